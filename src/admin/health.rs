//! Health checks, modelled on Patroni's REST API: liveness, readiness and role.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{Admin, ErrorResponse, Shared, authorise, query};
use crate::node::Node;
use crate::node::admission;
use crate::node::replication::LinkState;
use crate::settings::Lag;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    lag: Option<String>,
    verbose: Option<String>,
}

/// The query of a route without a lag parameter.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    verbose: Option<String>,
}

/// An answer: healthy, or unhealthy for these reasons.
fn answer(reasons: &[String], verbose: Option<serde_json::Value>) -> Response {
    let (status, word) = match reasons {
        [] => (StatusCode::OK, "ok"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let mut body = json!({ "status": word, "reasons": reasons });
    if let Some(details) = verbose {
        body["details"] = details;
    }
    (status, Json(body)).into_response()
}

/// Liveness: any answer shows that the process serves.
pub(super) async fn livez() -> Response {
    answer(&[], None)
}

/// Readiness for clients: a master with its data, or a replica within the lag limit.
pub(super) async fn readyz(
    State(admin): Shared,
    request: Request,
) -> Result<Response, ErrorResponse> {
    let asked: Asked = query(&request)?;
    let node = admin.node();
    let max = lag_max(&admin, asked.lag.as_deref())?;
    let mut reasons = not_serving(node);
    if node.is_replica() {
        reasons.extend(not_following(node, max)?);
    }
    told(&admin, &request, &reasons, asked.verbose)
}

pub(super) async fn primary(
    State(admin): Shared,
    request: Request,
) -> Result<Response, ErrorResponse> {
    let asked: Plain = query(&request)?;
    let node = admin.node();
    let mut reasons = not_serving(node);
    if node.is_replica() {
        reasons.push("this node is a replica".into());
    }
    reasons.extend(not_confirmed(node));
    told(&admin, &request, &reasons, asked.verbose)
}

pub(super) async fn replica(
    State(admin): Shared,
    request: Request,
) -> Result<Response, ErrorResponse> {
    let asked: Asked = query(&request)?;
    let node = admin.node();
    let max = lag_max(&admin, asked.lag.as_deref())?;
    let mut reasons = not_serving(node);
    if node.is_replica() {
        reasons.extend(not_following(node, max)?);
    } else {
        reasons.push("this node is a master".into());
    }
    told(&admin, &request, &reasons, asked.verbose)
}

/// Readiness for reads: a master with its data, or a replica that answers with a master's.
pub(super) async fn read_only(
    State(admin): Shared,
    request: Request,
) -> Result<Response, ErrorResponse> {
    let asked: Plain = query(&request)?;
    let node = admin.node();
    let mut reasons = not_serving(node);
    if node.is_replica() {
        let serves_stale = node.settings.load().replication.serve_stale_data;
        if node.replication.synced_from().is_none() {
            reasons.push("this replica has never had a master's data".into());
        } else if node.admission.has(admission::Condition::MasterDown) && !serves_stale {
            reasons.push("the link to the master is down, and stale data are not served".into());
        }
    }
    reasons.extend(not_confirmed(node));
    told(&admin, &request, &reasons, asked.verbose)
}

/// The answer; only its details have addresses and offsets, and they require the token.
fn told(
    admin: &Admin,
    request: &Request,
    reasons: &[String],
    verbose: Option<String>,
) -> Result<Response, ErrorResponse> {
    if verbose.is_none() {
        return Ok(answer(reasons, None));
    }
    authorise(admin, request)?;
    Ok(answer(reasons, Some(super::replication::view(admin.node()))))
}

/// The lag limit of the request, or else of the settings.
fn lag_max(admin: &Admin, asked: Option<&str>) -> Result<Option<Lag>, ErrorResponse> {
    let settings = admin.node().settings.load();
    let text = asked.unwrap_or(&settings.admin.ready_lag_max);
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        let what = format!("lag is a size as 1MB or a time as 50ms, not {text}");
        ErrorResponse::new(StatusCode::BAD_REQUEST, what)
    };
    Lag::parse(text).map(Some).ok_or_else(wrong)
}

/// Why a node with the role of a master must not get clients yet.
fn not_confirmed(node: &Node) -> Option<String> {
    let timeout_ms = node.settings.load().admin.role_confirm_timeout_ms();
    let unconfirmed = || node.standing.unconfirmed(node.clock.unix_ms(), timeout_ms);
    let unconfirmed = if node.is_replica() { None } else { unconfirmed() };
    unconfirmed.map(|why| why.reason().to_owned())
}

fn not_serving(node: &Node) -> Vec<String> {
    let states = [
        (admission::Condition::Loading, "the data set is being loaded"),
        (admission::Condition::ShuttingDown, "the process is ending"),
        (admission::Condition::EndingSoon, "the process waits for replicas, to end"),
    ];
    let states = states.into_iter().filter(|(state, _)| node.admission.has(*state));
    states.map(|(_, reason)| reason.to_owned()).collect()
}

/// Why a replica is not within the lag limit.
fn not_following(node: &Node, max: Option<Lag>) -> Result<Vec<String>, ErrorResponse> {
    let link = node.link();
    let mut reasons = Vec::new();
    if link.refused.is_some() {
        reasons.push("the master is refused, as it seems to have lost its data".into());
    }
    if link.sync.is_some() {
        reasons.push("a full resync is under way".into());
    } else if link.state != LinkState::Connected {
        reasons.push("the link to the master is down".into());
    }
    if !reasons.is_empty() {
        return Ok(reasons);
    }
    match max {
        None => {}
        Some(Lag::Bytes(max)) => {
            let behind = link.read_offset.saturating_sub(node.log.offset());
            if behind > max {
                reasons.push(format!("{behind} bytes behind, more than {max}"));
            }
        }
        Some(Lag::Seconds(max)) => match link.lag_seconds(node.clock.unix_ms()) {
            Some(lag) if lag > max => {
                reasons.push(format!("{lag:.3} seconds behind, more than {max}"));
            }
            Some(_) => {}
            None if link.mark.is_none() => {
                let what = "this master does not tell the time: ask for a lag in bytes";
                return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, what));
            }
            None => reasons.push("the lag is not known yet".into()),
        },
    }
    Ok(reasons)
}
