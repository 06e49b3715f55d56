//! Traces, sent by OTLP to a collector: off until an endpoint is set.
//!
//! Commands are sampled before allocating anything for them, and recorded after they end, as server
//! spans by OpenTelemetry's conventions for databases: slow and failed ones always, of the others
//! one in `every`. Spans contain no value or key of a client. Work that the server starts itself
//! (loads, saves, resyncs, changes of role) is a `tracing` span where it happens.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TracerProvider};
use opentelemetry::{KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use super::collector::{Bounded, Client, Delivery};
use super::log::log;

/// How long shutdown waits for a working collector to take the remaining spans.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// The process's traces.
#[derive(Debug)]
struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    delivery: Arc<Delivery>,
    /// Sampling: one command in this many; 0: only slow and failed ones.
    every: u64,
}

static TRACES: OnceLock<Traces> = OnceLock::new();
static ON: AtomicBool = AtomicBool::new(false);

/// Starts to send traces to a collector, of one command in `every`. Called once; starts the export
/// thread.
///
/// # Errors
/// If the endpoint is not a URL.
pub(crate) fn start(endpoint: &str, every: u64) -> Result<(), String> {
    let failed = |reason: &dyn std::fmt::Display| format!("otlp-endpoint {endpoint}: {reason}");
    let rest = endpoint.strip_prefix("http://").ok_or_else(|| failed(&"not an http URL"))?;
    let url = match rest.trim_end_matches('/').contains('/') {
        true => endpoint.to_owned(),
        false => format!("http://{}/v1/traces", rest.trim_end_matches('/')),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new())
        .with_endpoint(url.as_str())
        .build()
        .map_err(|error| failed(&error))?;
    let resource = Resource::builder()
        .with_service_name("limpid")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let delivery = Delivery::new(&url);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Bounded::new(exporter, Arc::clone(&delivery)))
        .with_resource(resource)
        .build();
    let tracer = provider.tracer("limpid");
    // Excludes spans of the exporter's own HTTP client.
    let own = Targets::new().with_target("limpid", LevelFilter::INFO);
    let layer = tracing_opentelemetry::layer().with_tracer(tracer.clone()).with_filter(own);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| failed(&error))?;
    if TRACES.set(Traces { provider, tracer, delivery, every }).is_ok() {
        ON.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Sends the waiting spans, and logs how many were lost. Does not wait for a failing collector: an
/// orchestrator that ends this process waits, too.
pub(crate) fn end() {
    let Some(traces) = TRACES.get() else { return };
    ON.store(false, Ordering::Relaxed);
    let delivery = &traces.delivery;
    let timeout = if delivery.is_failing() { Duration::ZERO } else { END_TIMEOUT };
    // Spans not sent in time are counted below.
    drop(traces.provider.shutdown_with_timeout(timeout));
    let (lost, waiting) = (delivery.lost(), delivery.waiting());
    if lost > 0 || waiting > 0 {
        log!(Warning, "Trace spans lost: {lost}, and {waiting} not delivered at the end.");
    }
}

/// Spans delivered and lost since the start; `None` without traces.
pub(crate) fn delivered_and_lost() -> Option<(u64, u64)> {
    TRACES.get().map(|traces| (traces.delivery.delivered(), traces.delivery.lost()))
}

/// Runs `work` in a span, and marks the span as failed if the work fails.
///
/// # Errors
/// Those of the work.
pub(crate) fn in_span<T, E: std::fmt::Display>(
    span: &tracing::Span,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let result = span.in_scope(work);
    if let Err(reason) = &result {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", tracing::field::display(reason));
    }
    result
}

/// A span of work that the server starts itself, for [`in_span`].
macro_rules! work_span {
    ($name:literal $(, $field:ident = $value:expr)*) => {
        tracing::info_span!(
            $name,
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty
            $(, $field = $value)*
        )
    };
}
pub(crate) use work_span;

/// Whether traces are on.
#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Whether the command with this random number is sampled.
pub(crate) fn is_sampled(random: u64) -> bool {
    TRACES.get().is_some_and(|traces| traces.every > 0 && random.is_multiple_of(traces.every))
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct CommandSpan<'a> {
    /// Lower case, as in COMMAND.
    pub(crate) name: &'a str,
    /// Number of arguments after the name.
    pub(crate) arguments: usize,
    pub(crate) database: usize,
    /// Unix time in microseconds.
    pub(crate) end_us: i64,
    pub(crate) nanos: u64,
    /// The error reply, if it failed.
    pub(crate) error: Option<&'a [u8]>,
    pub(crate) slow: bool,
    /// The client's address.
    pub(crate) peer: &'a str,
    pub(crate) port: u16,
}

/// Records a span of a finished command.
pub(crate) fn command(span: &CommandSpan<'_>) {
    let Some(traces) = TRACES.get() else { return };
    let end = moment(span.end_us);
    let start = end.checked_sub(Duration::from_nanos(span.nanos)).unwrap_or(end);
    let operation = span.name.to_ascii_uppercase().replace('|', " ");
    let mut attributes = vec![
        KeyValue::new("db.system.name", "redis"),
        KeyValue::new("db.operation.name", operation.clone()),
        KeyValue::new("db.namespace", span.database.to_string()),
        KeyValue::new(
            "db.query.text",
            format!("{operation}{}", " ?".repeat(span.arguments.min(16))),
        ),
        KeyValue::new("server.port", i64::from(span.port)),
        KeyValue::new("limpid.slow", Value::Bool(span.slow)),
    ];
    if let Some((address, port)) = span.peer.rsplit_once(':') {
        attributes.push(KeyValue::new("network.peer.address", address.to_owned()));
        attributes.push(KeyValue::new("network.peer.port", port.parse::<i64>().unwrap_or(0)));
    }
    let mut status = Status::Unset;
    if let Some(error) = span.error {
        let code = error.split(|&byte| byte == b' ').next().unwrap_or_default();
        let code = String::from_utf8_lossy(code).into_owned();
        attributes.push(KeyValue::new("db.response.status_code", code.clone()));
        attributes.push(KeyValue::new("error.type", code));
        status = Status::Error { description: Cow::Borrowed("") };
    }
    let mut built = SpanBuilder::from_name(operation)
        .with_kind(SpanKind::Server)
        .with_start_time(start)
        .with_attributes(attributes)
        .start(&traces.tracer);
    built.set_status(status);
    built.end_with_timestamp(end);
}

fn moment(unix_us: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(unix_us).unwrap_or(0))
}
