//! Limits on what a client may make the server hold: input that is not executed, and output that it
//! does not read. A client over a limit is disconnected, logged and counted.

use std::fmt::Arguments;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;

use tokio::time::{Duration, Sleep, sleep};

use super::{Connection, Over};
use crate::settings::{BufferLimit, Settings};
use crate::telemetry::log::log;

/// Maximum number of bytes of input that an unauthenticated client may make the server hold.
const UNAUTHENTICATED_BYTES_MAX: usize = 64 * 1024;

/// Replies of so many bytes pass whatever the hard limit: Redis, too, has this buffer beside it. An
/// unauthenticated client may not leave more of them unread.
pub(super) const REPLY_BYTES_UNCHECKED: usize = 16 * 1024;

/// Output over its soft limit. It is checked again when the time is up, even if nothing can be sent
/// meanwhile.
#[derive(Debug)]
pub(super) struct SoftLimit {
    /// Unix milliseconds.
    since_ms: i64,
    /// Wakes the connection at this age.
    timer: Option<(i64, Pin<Box<Sleep>>)>,
}

impl SoftLimit {
    /// Drops the timer; the next check sets another.
    pub(super) fn stop_timer(&mut self) {
        self.timer = None;
    }
}

impl Connection {
    /// Disconnects a client with more unparsed input than its limit. For an unauthenticated client
    /// everything counts that it makes the server hold.
    pub(super) fn check_input_limit(&self) -> Result<(), Over> {
        let held = self.input.len();
        self.show_input();
        let settings = self.engine.node.settings.load();
        let max = settings.clients.query_buffer_limit_bytes;
        let unparsed = self.parser.unparsed(held);
        let (bytes, max) = if unparsed as u64 > max {
            (unparsed, max)
        } else if held > UNAUTHENTICATED_BYTES_MAX && !self.client.is_trusted(&self.engine.node.acl)
        {
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

    /// Disconnects a client whose last replies alone, of `made` bytes to `consumed` bytes of input,
    /// exceed the hard limit of its class. As in Redis nothing of them is sent, however fast the
    /// client reads. An unauthenticated client is cut as well where Redis, which reads as much input
    /// at once as it has room for replies, would run out of that room.
    #[cold]
    pub(super) fn check_reply(&self, made: usize, consumed: usize) -> Result<(), Over> {
        if self.client.replica.is_some() {
            return Ok(());
        }
        if made > consumed.max(REPLY_BYTES_UNCHECKED) {
            self.check_authenticated(made)?;
        }
        let settings = self.engine.node.settings.load();
        let (class, limit) = self.output_limit(&settings);
        let bytes = made.saturating_add(self.output_bytes) as u64;
        if limit.hard_bytes == 0 || bytes <= limit.hard_bytes {
            return Ok(());
        }
        Err(self.cut_for_output(bytes, format_args!("{class}, hard limit {}", limit.hard_bytes)))
    }

    /// The client's class and its output limit.
    fn output_limit(&self, settings: &Settings) -> (&'static str, BufferLimit) {
        let limits = &settings.clients.output_buffer_limits;
        match self.client.is_subscribed() {
            true => ("pubsub", limits.pubsub),
            false => ("normal", limits.normal),
        }
    }

    /// Publishes how much input is held.
    pub(super) fn show_input(&self) {
        let held = self.input.len();
        let parsed = held - self.parser.unparsed(held);
        self.handle.input_bytes.store(held, Ordering::Relaxed);
        self.handle.parsed_bytes.store(parsed, Ordering::Relaxed);
        self.handle.input_free_bytes.store(self.input.free_bytes(), Ordering::Relaxed);
    }

    /// Disconnects a client whose pending replies exceed the limit of its class.
    pub(super) fn check_output_limit(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        // For a replica its lag counts, which is checked elsewhere.
        if self.output_bytes == 0 || self.client.replica.is_some() {
            self.soft = None;
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let settings = engine.node.settings.load();
        let (class, limit) = self.output_limit(&settings);
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
        if self.output_bytes > REPLY_BYTES_UNCHECKED {
            self.check_authenticated(self.output_bytes)?;
        }
        Ok(())
    }

    /// Disconnects an unauthenticated client for its output of so many bytes.
    fn check_authenticated(&self, bytes: usize) -> Result<(), Over> {
        if self.client.is_trusted(&self.engine.node.acl) {
            return Ok(());
        }
        let why = format_args!("not authenticated, hard limit {REPLY_BYTES_UNCHECKED}");
        Err(self.cut_for_output(bytes as u64, why))
    }

    /// Disconnects the client once its output exceeds the soft limit for too long. Until then sets
    /// a timer to check again.
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

    /// Logs and counts a client disconnected for its output of this many bytes.
    #[cold]
    pub(super) fn cut_for_output(&self, bytes: u64, limit: Arguments<'_>) -> Over {
        // Whoever reads the line finds it counted.
        self.engine.node.stats.output_limit_disconnections.add(1);
        log!(
            Warning,
            "Client {} scheduled to be closed ASAP for overcoming of output buffer limits ({bytes} \
             bytes wait; {limit}).",
            self.handle.described()
        );
        Over
    }
}
