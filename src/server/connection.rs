//! One client's connection: reads, lets the executor run, writes.
//!
//! The connection owns only leftovers: the start of an incomplete request, and replies that the
//! socket did not take. Everything else is in the worker's scratch memory. Reading continues while
//! replies wait (a client may send a long pipeline before it reads), up to the client's output
//! limit.

mod limits;
mod turn;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;
use tokio::time::{Duration, Sleep, sleep};

use limits::{REPLY_BYTES_UNCHECKED, SoftLimit};

use super::stream::{Accepted, Stream};
use super::worker::{self, Berth, Worker};
use crate::engine::{After, Engine};
use crate::node::admission::Condition;
use crate::node::client::{Client, Handle, Waiting, WaitsFor};
use crate::replication::{By, Unreleased};
use crate::resp::{Input, Output, Parser};
use crate::telemetry::log::log;

/// A client held back for no set time checks again after this.
const HELD_MAX: Duration = Duration::from_secs(60);
/// The rest of a request, up to this many bytes, is copied in front of the next ones that arrive in
/// the worker's scratch memory. Behind a longer rest, input is read directly to where it stays.
const HEAD_BYTES_MAX: usize = 4096;
/// Input up to this many bytes waits until the other connections have been read as well.
const HELD_BYTES_MAX: usize = 256;
/// Replies up to this many bytes, to more input than that, wait until the others have run.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// Maximum number of pieces in one vectored write.
const PIECES_MAX: usize = 64;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    engine: Arc<Engine>,
    stream: Stream,
    client: Client,
    handle: Arc<Handle>,
    parser: Parser,
    /// Bytes received and not executed.
    input: Input,
    /// The input holds complete requests.
    runnable: bool,
    /// When the held input was read, in the clock's nanoseconds; 0: none is held.
    held_nanos: u64,
    /// Replies that wait for the socket.
    output: VecDeque<Bytes>,
    output_bytes: usize,
    /// Since when the output exceeds its soft limit.
    soft: Option<SoftLimit>,
    /// Set while a pause holds the input back.
    paused: Option<Pin<Box<Sleep>>>,
    /// Set while a command blocks until a deadline.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Replies that wait for the end of the worker's turn.
    kept: Output,
    /// Offset of the log up to which replicas must be fed before; 0: nothing waits.
    owed: u64,
    /// What the append only file must have released before, too.
    unreleased: Unreleased,
    /// When the batch of these replies ended, in the clock's nanoseconds.
    kept_nanos: u64,
    /// This is a replica's connection: only its feed sends on the socket.
    feeds: bool,
}

/// The connection is over.
#[derive(Debug)]
struct Over;

impl Connection {
    pub(super) fn new(engine: Arc<Engine>, stream: Stream, client: Client) -> Self {
        let handle = Arc::clone(&client.handle);
        Self {
            engine,
            stream,
            client,
            handle,
            parser: Parser::default(),
            input: Input::default(),
            runnable: false,
            held_nanos: 0,
            output: VecDeque::new(),
            output_bytes: 0,
            soft: None,
            paused: None,
            waiting: None,
            kept: Output::default(),
            owed: 0,
            unreleased: Unreleased::default(),
            kept_nanos: 0,
            feeds: false,
        }
    }

    /// Serves until the client leaves, is killed, or breaks the protocol, or until another worker has
    /// taken the connection; or until another worker must: then returns the connection.
    pub(super) async fn serve(berth: &Berth) -> Option<Self> {
        let mut known = false;
        let moves = std::future::poll_fn(|cx| {
            let mut berth = berth.lock();
            let Some(connection) = &mut *berth else { return Poll::Ready(false) };
            if !known {
                // A task's waker stays the same for its life. Signals given before it was set are
                // seen by `advance`.
                connection.handle.set_waker(cx.waker().clone());
                known = true;
            }
            worker::with(|worker| match connection.advance(cx, worker) {
                Poll::Ready(result) => Poll::Ready(result.is_ok()),
                Poll::Pending => Poll::Pending,
            })
        })
        .await;
        let mut connection = berth.lock().take()?;
        if moves {
            return Some(connection);
        }
        worker::forget(&connection.engine, &mut connection.client);
        connection.stream.close();
        None
    }

    /// Attaches the socket to another worker's runtime. If that fails, the connection is over.
    pub(super) fn reattach(mut self, runtime: &tokio::runtime::Handle) -> Option<Self> {
        let _entered = runtime.enter();
        match self.stream.detach().and_then(Accepted::attach) {
            Ok(stream) => {
                self.stream = stream;
                self.restart_timers();
                Some(self)
            }
            Err(error) => {
                log!(Warning, "Could not move a connection: {error}");
                worker::forget(&self.engine, &mut self.client);
                None
            }
        }
    }

    /// Replaces timers of the worker before: this one's run in its own runtime.
    fn restart_timers(&mut self) {
        self.waiting = None;
        if let Some(soft) = &mut self.soft {
            soft.stop_timer();
        }
        if self.paused.take().is_some() {
            self.pause();
        }
    }

    pub(super) fn handle(&self) -> Arc<Handle> {
        Arc::clone(&self.handle)
    }

    /// Runs until there is nothing to do; ready when another worker must take over the client.
    fn advance(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Poll<Result<(), Over>> {
        if self.keeps() {
            self.end_turn(cx, worker)?;
        }
        loop {
            if self.handle.is_killed() {
                if let Some(bytes) = self.handle.take_overflow() {
                    let (class, max) = self.handle.push_limit();
                    self.cut_for_output(bytes as u64, format_args!("{class}, hard limit {max}"));
                }
                return Poll::Ready(Err(Over));
            }
            if self.keeps() {
                return Poll::Pending;
            }
            if self.handle.has_pushes() {
                let mut pushes = self.handle.take_pushes();
                // A replica would take them for a part of the stream.
                if self.client.replica.is_none() {
                    if self.keeps_back(&pushes) {
                        return Poll::Pending;
                    }
                    pushes.take(|bytes| self.queue(bytes));
                }
            }
            let unsent = !self.output.is_empty() || !self.feeds && self.stream.has_unsent();
            let blocked = unsent && self.flush(cx, worker)?.is_pending();
            if self.client.closing {
                return if blocked { Poll::Pending } else { Poll::Ready(Err(Over)) };
            }
            self.check_output_limit(cx)?;
            if self.engine.node.client_memory.is_limited() {
                self.engine.node.count_client(&self.handle);
                if self.handle.is_killed() {
                    continue;
                }
            }
            if !blocked && self.client.replica.is_some() {
                self.feed(cx)?;
            }
            if self.is_paused(cx) {
                return Poll::Pending;
            }
            if self.client.waiting.is_some() {
                if !self.end_wait(cx, worker)? {
                    return Poll::Pending;
                }
                continue;
            }
            if self.runnable {
                self.run_kept(cx, worker)?;
                continue;
            }
            if self.worker() != worker.index && !blocked {
                return Poll::Ready(Ok(()));
            }
            ready!(self.read(cx, worker))?;
        }
    }

    /// Reads available input and runs it.
    fn read(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Poll<Result<(), Over>> {
        let head = self.input.len();
        if head > HEAD_BYTES_MAX {
            return self.read_on(cx, worker);
        }
        let mut scratch = std::mem::take(&mut worker.input);
        scratch[..head].copy_from_slice(self.input.unread());
        let mut buffer = ReadBuf::new(&mut scratch[head..]);
        let polled = self.stream.poll_read(cx, &mut buffer);
        let len = buffer.filled().len();
        let result = match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) => Poll::Ready(Err(Over)),
            Poll::Ready(Ok(())) if len == 0 => Poll::Ready(Err(Over)),
            Poll::Ready(Ok(())) => {
                self.note_read(worker, len);
                // From a replica it is an acknowledgement, for which others may wait.
                if head == 0 && len <= HELD_BYTES_MAX && !self.feeds {
                    self.hold(cx, worker, &scratch[..len]);
                    Poll::Pending
                } else {
                    Poll::Ready(self.run_scratch(cx, worker, &scratch[..head + len], head))
                }
            }
        };
        worker.input = scratch;
        result
    }

    /// Reads more of a request that is large so far, directly behind its start.
    fn read_on(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Poll<Result<(), Over>> {
        let missing = self.parser.missing(self.input.len());
        let len = match ready!(self.stream.poll_read_into(cx, &mut self.input.room(missing))) {
            Ok(len) if len > 0 => len,
            _ => return Poll::Ready(Err(Over)),
        };
        self.note_read(worker, len);
        // The client is not idle, though no command ends here.
        self.handle.active_ms.store(self.engine.node.clock.unix_ms(), Ordering::Relaxed);
        self.check_input_limit()?;
        if self.parser.missing(self.input.len()) > 0 {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.run_kept(cx, worker))
    }

    fn note_read(&self, worker: &Worker, len: usize) {
        let stats = worker.stats();
        stats.reads.add(1);
        stats.read_bytes.add(len as u64);
        if let Some(replica) = &self.client.replica {
            replica.hear(self.engine.node.clock.unix_ms());
        }
    }

    /// Holds what is likely a single request until the other ready connections have been read. Its
    /// key is prefetched meanwhile; and clients that get their replies close together send their
    /// next requests close together, which saves waiting in between.
    fn hold(&mut self, cx: &Context<'_>, worker: &mut Worker, input: &[u8]) {
        worker.executor.announce(&self.client, input);
        self.held_nanos = self.engine.node.clock.nanos();
        self.input.push(input);
        self.runnable = true;
        cx.waker().wake_by_ref();
    }

    /// Runs the requests in `input`, whose first `head` bytes are kept already, and keeps the rest.
    #[inline]
    fn run_scratch(
        &mut self,
        cx: &mut Context<'_>,
        worker: &mut Worker,
        input: &[u8],
        head: usize,
    ) -> Result<(), Over> {
        let consumed = self.execute(worker, input)?;
        if head > 0 {
            self.input.consume(consumed.min(head));
        }
        let new = consumed.max(head);
        if new < input.len() {
            self.input.push(&input[new..]);
        }
        self.end_run(cx, worker, consumed)
    }

    /// Runs the requests in the kept input.
    fn run_kept(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Result<(), Over> {
        let mut input = std::mem::take(&mut self.input);
        let consumed = self.execute(worker, input.unread())?;
        input.consume(consumed);
        self.input = input;
        self.end_run(cx, worker, consumed)
    }

    /// Runs the requests in `input`; returns how many bytes of it were consumed.
    #[inline]
    fn execute(&mut self, worker: &mut Worker, input: &[u8]) -> Result<usize, Over> {
        let ran = worker.executor.run(&mut self.client, &mut self.parser, input);
        let held_nanos = std::mem::take(&mut self.held_nanos);
        if held_nanos != 0 {
            let (began_nanos, _) = worker.executor.batch_nanos;
            worker.stats().queued.observe(began_nanos.saturating_sub(held_nanos));
        }
        if ran.after == After::Abort {
            self.log_attack();
            return Err(Over);
        }
        self.runnable = matches!(ran.after, After::More | After::Pause | After::Block)
            && ran.consumed < input.len();
        if ran.after == After::Pause {
            self.pause();
        }
        self.owed = ran.owed;
        self.unreleased = ran.unreleased;
        if self.feeds && self.unreleased.is_some() {
            // What a replica gets is bounded elsewhere.
            self.unreleased = Unreleased::default();
            self.engine.node.flush_file(worker.index);
        }
        Ok(ran.consumed)
    }

    /// Checks what is left over, and writes the replies to `consumed` bytes of input.
    #[inline]
    fn end_run(
        &mut self,
        cx: &mut Context<'_>,
        worker: &mut Worker,
        consumed: usize,
    ) -> Result<(), Over> {
        if !self.input.is_empty() {
            self.check_input_limit()?;
        } else if self.handle.input_bytes.load(Ordering::Relaxed) != 0 {
            self.show_input();
        }
        let made = worker.executor.output.len();
        if made > REPLY_BYTES_UNCHECKED
            && let Err(over) = self.check_reply(made, consumed)
        {
            // Nobody gets them: nor should they keep memory.
            worker.executor.output = Output::default();
            return Err(over);
        }
        if self.keeps() && self.waits_for_turn(cx, worker) {
            return Ok(());
        }
        if consumed > HELD_BYTES_MAX && (1..=KEPT_BYTES_MAX).contains(&made) {
            // What wakes clients is written in a row: one that is answered while the others' requests
            // run is asleep again before the next reply, and waking it costs more than the requests.
            self.keep(cx, worker);
            return Ok(());
        }
        let (_, ended_nanos) = worker.executor.batch_nanos;
        self.write(cx, worker, ended_nanos)
    }

    /// Logs once a minute at most: an attacker must not fill the log.
    fn log_attack(&self) {
        const EVERY_MS: i64 = 60_000;
        let node = &self.engine.node;
        let (now_ms, logged_ms) = (node.clock.unix_ms(), &node.stats.attack_logged_ms);
        let last_ms = logged_ms.load(Ordering::Relaxed);
        if now_ms - last_ms > EVERY_MS {
            logged_ms.store(now_ms, Ordering::Relaxed);
            log!(
                Warning,
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or \
                 Host: commands to Redis. This is likely due to an attacker attempting to use \
                 Cross Protocol Scripting to compromise your Redis instance. Connection from {} \
                 aborted.",
                self.handle.origin.address
            );
        }
    }

    /// Writes the executor's output, and keeps what the socket does not take. Its batch ended at
    /// `ended_nanos`.
    #[inline]
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        worker: &mut Worker,
        ended_nanos: u64,
    ) -> Result<(), Over> {
        if self.feeds {
            // A replica would take a reply for a part of the stream.
            worker.executor.output.clear();
            return Ok(());
        }
        let mut written = 0;
        if self.output.is_empty()
            && let Some(bytes) = worker.executor.output.plain()
        {
            if bytes.is_empty() {
                return Ok(());
            }
            if let Poll::Ready(result) = self.stream.poll_write(cx, bytes) {
                written = result.map_err(|_| Over)?;
                let nanos = self.engine.node.clock.nanos().saturating_sub(ended_nanos);
                let stats = worker.stats();
                stats.writing.observe(nanos);
                stats.writes.add(1);
                stats.written_bytes.add(written as u64);
                if written == bytes.len() {
                    worker.executor.output.clear();
                    return Ok(());
                }
            }
        }
        let mut skip = written;
        let mut output = std::mem::take(&mut worker.executor.output);
        output.take(|mut bytes| {
            bytes.advance(std::mem::take(&mut skip));
            self.queue(bytes);
        });
        output.clear();
        worker.executor.output = output;
        Ok(())
    }

    /// Answers a blocked command if its wait is over. While it lasts, input is only buffered.
    fn end_wait(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Result<bool, Over> {
        self.handle.take_look();
        let changes =
            |waiting: &Waiting| matches!(waiting.what, WaitsFor::Keys(_) | WaitsFor::Migration(_));
        let served = self.client.waiting.as_ref().is_some_and(changes);
        loop {
            if worker.executor.answer_waiting(&mut self.client) {
                self.waiting = None;
                self.runnable = !self.input.is_empty();
                let node = &self.engine.node;
                // Its write was made by somebody else: replicas have it before the reply, too.
                let fed = served && node.replication.replicas.any_fed();
                self.owed = if fed { node.log.offset() } else { 0 };
                let by = if served { By::Writing } else { By::Reading };
                self.unreleased = node.log.unreleased(by);
                if self.keeps() && self.waits_for_turn(cx, worker) {
                    return Ok(true);
                }
                let (_, ended_nanos) = worker.executor.batch_nanos;
                self.write(cx, worker, ended_nanos)?;
                return Ok(true);
            }
            let deadline_ms = self.client.waiting.as_ref().and_then(|waiting| waiting.deadline_ms);
            let Some(deadline_ms) = deadline_ms else { break };
            let left_ms = deadline_ms - self.engine.node.clock.unix_ms();
            let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
            let sleeping = self.waiting.get_or_insert_with(|| Box::pin(sleep(left)));
            if sleeping.as_mut().poll(cx).is_pending() {
                break;
            }
            // The timer and the clock may differ by a little.
            self.waiting = None;
            if left_ms > 0 {
                continue;
            }
        }
        while let Poll::Ready(()) = self.read_ahead(cx, worker)? {}
        Ok(false)
    }

    /// Reads without running anything, to notice when the client leaves.
    fn read_ahead(&mut self, cx: &mut Context<'_>, worker: &mut Worker) -> Result<Poll<()>, Over> {
        let mut buffer = ReadBuf::new(&mut worker.input);
        let polled = self.stream.poll_read(cx, &mut buffer);
        let read = buffer.filled();
        match polled {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Ok(())) if !read.is_empty() => self.input.push(read),
            Poll::Ready(_) => return Err(Over),
        }
        self.check_input_limit()?;
        Ok(Poll::Ready(()))
    }

    fn queue(&mut self, bytes: Bytes) {
        self.output_bytes += bytes.len();
        self.output.push_back(bytes);
        self.show_output();
    }

    fn show_output(&self) {
        self.handle.output_bytes.store(self.output_bytes, Ordering::Relaxed);
        self.handle.output_pieces.store(self.output.len(), Ordering::Relaxed);
    }

    /// Writes pending output.
    fn flush(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Result<Poll<()>, Over> {
        while !self.output.is_empty() {
            let pieces: Vec<IoSlice<'_>> =
                self.output.iter().take(PIECES_MAX).map(|bytes| IoSlice::new(bytes)).collect();
            let Poll::Ready(result) = self.stream.poll_write_vectored(cx, &pieces) else {
                return Ok(Poll::Pending);
            };
            let mut written = result.map_err(|_| Over)?;
            let stats = worker.stats();
            stats.writes.add(1);
            stats.written_bytes.add(written as u64);
            self.output_bytes -= written;
            while let Some(first) = self.output.front_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                self.output.pop_front();
            }
        }
        self.show_output();
        match self.stream.poll_flush(cx) {
            Poll::Ready(result) => result.map(Poll::Ready).map_err(|_| Over),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Index of the worker that is to serve the client.
    pub(super) fn worker(&self) -> usize {
        self.handle.worker.load(Ordering::Relaxed)
    }

    /// Holds the input back until the node's pause ends.
    fn pause(&mut self) {
        let node = &self.engine.node;
        if node.admission.has(Condition::ShuttingDown) {
            // What is not executed now never will be, and must not be acknowledged.
            self.client.closing = true;
            return;
        }
        if node.admission.wait(&self.handle) {
            let left = if node.admission.is_held() {
                // A resume ends the pause.
                HELD_MAX
            } else {
                node.admission.pause_left(node.clock.unix_ms())
            };
            self.paused = Some(Box::pin(sleep(left)));
        }
    }

    fn is_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = &mut self.paused else { return false };
        if self.handle.take_resumed() || deadline.as_mut().poll(cx).is_ready() {
            self.paused = None;
            self.engine.node.admission.forget(&self.handle);
        }
        self.paused.is_some()
    }
}
