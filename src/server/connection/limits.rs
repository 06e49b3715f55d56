//! What a client may make the server hold: input that is not executed, and output that it does not
//! read. One that goes past a limit is cut, named in the log and counted.

use std::fmt::Arguments;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;

use tokio::time::{Duration, Sleep, sleep};

use super::{Connection, Over};
use crate::settings::BufferLimit;
use crate::telemetry::log::log;

/// Most bytes that an unauthenticated client may make the server hold.
const UNAUTHENTICATED_BYTES_MAX: usize = 64 * 1024;

/// Output that is past its soft limit. It is looked at again when the time is up, though nothing
/// may be sent meanwhile.
#[derive(Debug)]
pub(super) struct SoftLimit {
    /// Unix milliseconds.
    since_ms: i64,
    /// Wakes the connection at this age.
    timer: Option<(i64, Pin<Box<Sleep>>)>,
}

impl Connection {
    /// Cuts a client that has sent more than its limit of what is no argument yet. Of a client that
    /// has not authenticated all counts that it makes the server hold.
    pub(super) fn check_input_limit(&self) -> Result<(), Over> {
        let held = self.input.len();
        self.handle.input_bytes.store(held, Ordering::Relaxed);
        let settings = self.engine.node.settings.load();
        let max = settings.clients.query_buffer_limit_bytes;
        let unparsed = self.parser.unparsed(held);
        let (bytes, max) = if unparsed as u64 > max {
            (unparsed, max)
        } else if held > UNAUTHENTICATED_BYTES_MAX && !self.client.is_trusted(&settings) {
            (held, UNAUTHENTICATED_BYTES_MAX as u64)
        } else {
            return Ok(());
        };
        log!(
            Warning,
            "Closing client that reached max query buffer length: {} ({bytes} bytes, limit {max})",
            self.handle.described()
        );
        self.engine.node.stats.query_limit_disconnections.add(1);
        Err(Over)
    }

    /// Cuts a client whose replies pile up past the limit of its class.
    pub(super) fn check_output_limit(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        // Of a replica it counts how far it is behind, which is looked at elsewhere.
        if self.output_bytes == 0 || self.client.replica.is_some() {
            self.soft = None;
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let settings = engine.node.settings.load();
        let limits = &settings.clients.output_buffer_limits;
        let (class, limit) = if self.client.is_subscribed() {
            ("pubsub", limits.pubsub)
        } else {
            ("normal", limits.normal)
        };
        let waiting = self.output_bytes as u64;
        let past = |max: u64| max != 0 && waiting > max;
        if past(limit.hard_bytes) {
            let why = format_args!("{class}, hard limit {}", limit.hard_bytes);
            return Err(self.cut_for_output(waiting, why));
        }
        if past(limit.soft_bytes) {
            self.wait_at_soft_limit(cx, class, limit)?;
        } else {
            self.soft = None;
        }
        let max = UNAUTHENTICATED_BYTES_MAX;
        if self.output_bytes > max && !self.client.is_trusted(&settings) {
            let why = format_args!("not authenticated, hard limit {max}");
            return Err(self.cut_for_output(waiting, why));
        }
        Ok(())
    }

    /// Cuts the client once its output is past the soft limit for too long. Until then it sees to
    /// be asked again in time.
    fn wait_at_soft_limit(
        &mut self,
        cx: &mut Context<'_>,
        class: &str,
        limit: BufferLimit,
    ) -> Result<(), Over> {
        let BufferLimit { soft_bytes, soft_secs, .. } = limit;
        let now_ms = self.engine.node.clock.unix_ms();
        let max_ms = i64::try_from(soft_secs).unwrap_or(i64::MAX).saturating_mul(1000);
        let soft = self.soft.get_or_insert(SoftLimit { since_ms: now_ms, timer: None });
        let age_ms = now_ms - soft.since_ms;
        if age_ms > max_ms {
            let why = format_args!("{class}, soft limit {soft_bytes} for {soft_secs} s");
            return Err(self.cut_for_output(self.output_bytes as u64, why));
        }
        loop {
            let timer = match &mut soft.timer {
                Some((at_ms, timer)) if *at_ms == max_ms => timer,
                timer => {
                    let left_ms = max_ms.saturating_sub(age_ms).saturating_add(1);
                    let left = Duration::from_millis(left_ms.unsigned_abs());
                    &mut timer.insert((max_ms, Box::pin(sleep(left)))).1
                }
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            // The timer and the clock may differ by a little.
            soft.timer = None;
        }
    }

    /// Notes that the client is cut for its output, of so many bytes.
    #[cold]
    pub(super) fn cut_for_output(&self, bytes: u64, limit: Arguments<'_>) -> Over {
        log!(
            Warning,
            "Client {} scheduled to be closed ASAP for overcoming of output buffer limits ({bytes}              bytes wait; {limit}).",
            self.handle.described()
        );
        self.engine.node.stats.output_limit_disconnections.add(1);
        Over
    }
}
