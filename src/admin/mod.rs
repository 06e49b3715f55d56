//! The admin server: the HTTP interface for operators, Prometheus and load balancers.
//!
//! It has its own thread and runtime, so a busy worker delays no answer, and takes no shard lock,
//! so no answer delays a command. It only reads.
//!
//! | Route | Answer | File |
//! |---|---|---|
//! | `/metrics` | the metrics, in Prometheus's text format | `metrics` |
//! | `/info` | INFO, as text or JSON | here |
//! | `/replication` | offsets and lag of master and replicas, JSON | `replication` |
//! | `/livez`, `/readyz` | liveness and readiness | `health` |
//! | `/primary`, `/replica`, `/read-only` | whether the node has this role | `health` |
//!
//! Health needs no authorisation; its details (`verbose`) and the other routes require the bearer
//! token if one is set.

mod connections;
mod health;
mod metrics;
mod probe;
mod replication;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::commands::info;
use crate::engine::Engine;
use crate::node::Node;
use crate::server::tls::Tls;
use crate::telemetry::log::log;

pub use probe::probe;

/// What the routes share.
#[derive(Debug)]
struct Admin {
    engine: Arc<Engine>,
    scrapes: metrics::Scrapes,
}

impl Admin {
    fn node(&self) -> &Node {
        &self.engine.node
    }
}

type Shared = State<Arc<Admin>>;

/// An error response, as JSON.
#[derive(Debug)]
struct ErrorResponse {
    status: StatusCode,
    reason: String,
}

impl ErrorResponse {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.reason }));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// Starts the admin server on its own thread; it ends when `end` changes. `None` if it is disabled,
/// or if the default port is taken: another server on this machine has it.
///
/// # Errors
/// If an address or port that was configured explicitly is not available.
pub(crate) fn start(
    engine: &Arc<Engine>,
    tls: &Arc<Tls>,
    mut end: watch::Receiver<bool>,
) -> Result<Option<JoinHandle<()>>, String> {
    let settings = engine.node.settings.load_full();
    let admin = &settings.admin;
    if admin.port == 0 {
        return Ok(None);
    }
    let failed = |what: &str| format!("Admin server on {}:{}: {what}", admin.bind, admin.port);
    check_access(&engine.node)?;
    let listener = match connections::listen(&admin.bind, admin.port) {
        Ok(listener) => listener,
        Err(error) if admin.is_default() => {
            let why = match error.kind() {
                std::io::ErrorKind::AddrInUse => "another process has the port".to_owned(),
                _ => error.to_string(),
            };
            log!(Warning, "{}; going on without it", failed(&why));
            return Ok(None);
        }
        Err(error) => return Err(failed(&error.to_string())),
    };
    let address = listener.local_addr().map_err(|error| failed(&error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(crate::heap::tell)
        .enable_all()
        .build()
        .map_err(|error| failed(&error.to_string()))?;
    let listener = {
        let _guard = runtime.enter();
        TcpListener::from_std(listener).map_err(|error| failed(&error.to_string()))?
    };
    let (routes, node) = (routes(Arc::clone(engine)), Arc::clone(&engine.node));
    let (tls, scheme) = (Arc::clone(tls), if admin.tls { "https" } else { "http" });
    let timeout = Duration::from_secs(admin.timeout_secs.into());
    let limits = connections::Limits { max: admin.max_connections as usize, timeout };
    let work = move || {
        runtime.block_on(async {
            let accept = async || listener.accept().await.map(|(stream, _)| stream);
            tokio::select! {
                never = connections::serve(accept, routes, (node, tls), limits) => match never {},
                // An error means that the sender is gone: end as well.
                _ = end.wait_for(|&end| end) => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name("admin".into()).spawn(work);
    let thread = thread.map_err(|error| failed(&error.to_string()))?;
    announce(scheme, address);
    Ok(Some(thread))
}

/// Warns if the admin server answers without authorisation.
///
/// # Errors
/// If clients need a password, and no setting allows the admin server to answer without a token.
fn check_access(node: &Node) -> Result<(), String> {
    let Some(warning) = node.settings.load().admin.open_warning() else { return Ok(()) };
    if node.acl.users().needs_authentication() {
        return Err(format!("clients need a password, but: {warning}"));
    }
    log!(Warning, "{warning}");
    Ok(())
}

fn announce(scheme: &str, address: SocketAddr) {
    log!(Notice, "Admin server listening on {scheme}://{address}");
}

/// A GET route that also accepts OPTIONS, as some load balancers send it; HEAD comes with GET.
macro_rules! asked {
    ($handler:path) => {
        get($handler).options($handler)
    };
}

fn routes(engine: Arc<Engine>) -> Router {
    let admin = Arc::new(Admin { engine, scrapes: metrics::Scrapes::default() });
    let guarded: Router<Arc<Admin>> = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/info", get(info))
        .route("/replication", get(replication::replication))
        .layer(middleware::from_fn_with_state(Arc::clone(&admin), authorised));
    let health =
        |handler: MethodRouter<Arc<Admin>>| handler.layer(middleware::from_fn(without_body));
    Router::new()
        .merge(guarded)
        .route("/livez", health(asked!(health::livez)))
        .route("/readyz", health(asked!(health::readyz)))
        .route("/primary", health(asked!(health::primary)))
        .route("/replica", health(asked!(health::replica)))
        .route("/read-only", health(asked!(health::read_only)))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(admin)
}

async fn unknown(request: Request) -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {}", request.uri().path()),
    )
}

async fn not_allowed(request: Request) -> ErrorResponse {
    let what = format!("{} is not for {}", request.method(), request.uri().path());
    ErrorResponse::new(StatusCode::METHOD_NOT_ALLOWED, what)
}

/// Answers OPTIONS as GET, without the body.
async fn without_body(request: Request, next: Next) -> Response {
    let options = request.method() == axum::http::Method::OPTIONS;
    let response = next.run(request).await;
    if options { response.status().into_response() } else { response }
}

/// Rejects a request without the bearer token, if one is set.
async fn authorised(State(admin): Shared, request: Request, next: Next) -> Response {
    match authorise(&admin, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Checks the bearer token, if one is set.
///
/// # Errors
/// If the token is missing or wrong.
fn authorise(admin: &Admin, request: &Request) -> Result<(), ErrorResponse> {
    let settings = admin.node().settings.load();
    let sent = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let sent = sent.and_then(|sent| sent.split_at_checked(BEARER.len()));
    let sent = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(BEARER));
    let token = sent.map_or(&b""[..], |(_, token)| token.trim_ascii());
    if settings.admin.token.admits(token) {
        return Ok(());
    }
    Err(ErrorResponse::new(StatusCode::UNAUTHORIZED, "a bearer token is needed"))
}

/// Scheme of the authorisation header, in any case.
const BEARER: &[u8] = b"Bearer ";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct InfoQuery {
    section: Option<String>,
    format: Option<String>,
}

/// Parses the query of a request.
///
/// # Errors
/// Names the invalid parameter.
fn query<T: for<'d> Deserialize<'d>>(request: &Request) -> Result<T, ErrorResponse> {
    Query::try_from_uri(request.uri())
        .map(|Query(query)| query)
        .map_err(|error| ErrorResponse::new(StatusCode::BAD_REQUEST, error.body_text()))
}

async fn info(
    State(admin): Shared,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ErrorResponse> {
    let query: InfoQuery = query(&request)?;
    let wanted: Vec<Vec<u8>> = query
        .section
        .iter()
        .flat_map(|sections| sections.split(','))
        .map(|section| section.to_ascii_lowercase().into_bytes())
        .collect();
    let sections = info::sections(admin.node(), &admin.engine.registry, &wanted);
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let json = match query.format.as_deref() {
        Some("json") => true,
        Some("text") => false,
        None => accepted.is_some_and(|accepted| accepted.contains("application/json")),
        Some(other) => {
            let what = format!("format is json or text, not {other}");
            return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, what));
        }
    };
    if !json {
        return Ok(info::text(&sections).into_response());
    }
    let section = |(title, fields): info::Told| {
        let fields = fields.into_iter().map(|(name, value)| (name, value.into()));
        let fields: serde_json::Map<String, serde_json::Value> = fields.collect();
        (title.to_ascii_lowercase(), fields.into())
    };
    let all: serde_json::Map<String, serde_json::Value> =
        sections.into_iter().map(section).collect();
    Ok(Json(all).into_response())
}

#[cfg(test)]
mod tests;
