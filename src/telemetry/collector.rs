//! Sends spans to the collector, and counts lost ones.
//!
//! The SDK drops spans silently when its queue is full or an export fails. So a processor in front
//! of its queue bounds it and counts, and an exporter behind it sees the result of each batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::Context;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::log::log;

/// Timeout for connecting to the collector.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout for sending a batch, and the same for its answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of spans waiting for the collector; more are lost.
const WAITING_MAX: usize = 2048;

/// Delivery statistics of this process's spans.
#[derive(Debug)]
pub(super) struct Delivery {
    endpoint: String,
    waiting: AtomicUsize,
    delivered: AtomicU64,
    lost: AtomicU64,
    /// The last request to the collector failed.
    failing: AtomicBool,
}

impl Delivery {
    pub(super) fn new(endpoint: &str) -> Arc<Self> {
        Arc::new(Self {
            endpoint: endpoint.to_owned(),
            waiting: AtomicUsize::new(0),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        })
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Reserves room for one more span, or counts it as lost.
    fn admit(&self) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.lost.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Counts an exported batch, and logs when the collector fails or recovers.
    fn note(&self, spans: usize, result: &OTelSdkResult) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let counter = if result.is_ok() { &self.delivered } else { &self.lost };
        counter.fetch_add(spans as u64, Ordering::Relaxed);
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(reason) if !was_failing => log!(
                Warning,
                "The trace collector at {} takes no spans: {reason}. Until it does, they are \
                 counted as lost.",
                self.endpoint
            ),
            Ok(()) if was_failing => log!(
                Notice,
                "The trace collector at {} takes spans again; {} were lost since the start.",
                self.endpoint,
                self.lost()
            ),
            _ => {}
        }
    }
}

/// Passes spans to the SDK's queue and thread while few enough wait there.
#[derive(Debug)]
pub(super) struct Bounded {
    delivery: Arc<Delivery>,
    next: BatchSpanProcessor,
}

impl Bounded {
    /// A processor whose batches go to `exporter`.
    pub(super) fn new(exporter: opentelemetry_otlp::SpanExporter, delivery: Arc<Delivery>) -> Self {
        // Never reached: `WAITING_MAX` comes first.
        let config = BatchConfigBuilder::default().with_max_queue_size(2 * WAITING_MAX).build();
        let counted = Counted { delivery: Arc::clone(&delivery), next: exporter };
        let next = BatchSpanProcessor::builder(counted).with_batch_config(config).build();
        Self { delivery, next }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.delivery.admit() {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Counts exported spans.
#[derive(Debug)]
struct Counted {
    delivery: Arc<Delivery>,
    next: opentelemetry_otlp::SpanExporter,
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.next.export(batch).await;
        self.delivery.note(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// A blocking HTTP client. Only the SDK's export thread calls it.
#[derive(Debug)]
pub(super) struct Client(ureq::Agent);

impl Client {
    pub(super) fn new() -> Self {
        // No timeout for the whole request: with one, ureq looks up each name on a new thread and
        // panics if it cannot start it.
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_send_request(Some(TIMEOUT))
            .timeout_send_body(Some(TIMEOUT))
            .timeout_recv_response(Some(TIMEOUT))
            .timeout_recv_body(Some(TIMEOUT))
            // Return error statuses as answers: the exporter judges them.
            .http_status_as_error(false)
            .build();
        Self(config.into())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let mut response = self.0.run(Request::from_parts(head, &body[..]))?;
        let body = response.body_mut().read_to_vec()?;
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn a_span_is_delivered_lost_or_waits() {
        let delivery = Delivery::new("http://collector");
        let count = |delivery: &Delivery| {
            (delivery.waiting(), delivery.delivered(), delivery.lost(), delivery.is_failing())
        };
        assert!((0..WAITING_MAX).all(|_| delivery.admit()));
        assert!(!delivery.admit());
        assert_eq!(count(&delivery), (WAITING_MAX, 0, 1, false));
        delivery.note(2, &Err(OTelSdkError::InternalFailure("refused".into())));
        assert_eq!(count(&delivery), (WAITING_MAX - 2, 0, 3, true));
        delivery.note(WAITING_MAX - 2, &Ok(()));
        assert_eq!(count(&delivery), (0, WAITING_MAX as u64 - 2, 3, false));
    }
}
