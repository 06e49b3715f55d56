//! `/metrics`: Prometheus's text format, under the names of redis_exporter, so that its dashboards
//! and alerts work unchanged; limpid's own metrics come on top.
//!
//! The series and their values come from INFO's tables (`commands::info`), which name each figure
//! once. Values come from counters: a scrape takes no shard lock.

mod family;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TEXT_FORMAT, TextEncoder};

use super::{ErrorResponse, Shared};
use crate::commands::info;
use crate::engine::Engine;
use crate::telemetry::counter::SharedHistogram;
use family::Families;

/// Statistics of scrapes themselves.
#[derive(Debug, Default)]
pub(super) struct Scrapes {
    took: SharedHistogram,
}

pub(super) async fn metrics(State(admin): Shared) -> Result<Response, ErrorResponse> {
    let node = admin.node();
    let began = node.clock.nanos();
    let families = families(&admin.engine, &admin.scrapes);
    let mut text = Vec::with_capacity(64 * 1024);
    let encoded = TextEncoder::new().encode(&families.into_inner(), &mut text);
    admin.scrapes.took.observe(node.clock.nanos().saturating_sub(began));
    encoded.map_err(|error| {
        ErrorResponse::new(StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}

fn families(engine: &Engine, scrapes: &Scrapes) -> Families {
    let node = &*engine.node;
    let settings = node.settings.load();
    let mut families = Families::new(&settings.admin.metrics_prefix);
    info::series(node, &engine.registry, &mut |series| families.add(&series));
    let took = scrapes.took.distribution();
    families.add_durations("limpid_scrape_duration_seconds", SCRAPE_HELP, &took);
    families
}

const SCRAPE_HELP: &str = "How long it took to gather the metrics.";

#[cfg(test)]
mod tests;
