//! CLIENT LIST and CLIENT INFO.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::registry::Registry;
use super::super::{Args, Context, Failure, Handled};
use crate::node::Node;
use crate::node::client::{Handle, Shown};
use crate::node::tracking::Mode;
use crate::number::parse_i64;
use crate::text::until_nul;

/// The client types that CLIENT KILL and CLIENT LIST distinguish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Normal,
    PubSub,
    Replica,
    Master,
}

impl Type {
    pub(super) fn named(name: &[u8]) -> Result<Self, Failure> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"pubsub" => Ok(Self::PubSub),
            b"slave" | b"replica" => Ok(Self::Replica),
            b"master" => Ok(Self::Master),
            _ => {
                Err(Failure::Bytes([b"ERR Unknown client type '", until_nul(name), b"'"].concat()))
            }
        }
    }

    pub(super) fn of(shown: &Shown) -> Self {
        match shown {
            Shown { master: true, .. } => Self::Master,
            Shown { replica: true, .. } => Self::Replica,
            _ if shown.subscriptions() > 0 => Self::PubSub,
            _ => Self::Normal,
        }
    }
}

/// Publishes the client's state now; otherwise that happens only at the end of the batch.
fn note_activity(ctx: &mut Context<'_>) {
    ctx.client.publish();
    ctx.client.handle.active_ms.store(ctx.keys.now_ms, Ordering::Relaxed);
}

/// Clients that are not being killed.
pub(super) fn present(ctx: &mut Context<'_>) -> Vec<Arc<Handle>> {
    note_activity(ctx);
    let mut all = ctx.node.clients.all();
    all.retain(|handle| !handle.is_killed());
    all
}

/// A client's line in CLIENT LIST, in the format of Redis 7.0 with the library fields of 7.2.
fn line(node: &Node, registry: &Registry, handle: &Arc<Handle>) -> Vec<u8> {
    let now_ms = node.clock.unix_ms();
    let seconds_since = |at_ms: i64| (now_ms - at_ms).max(0) / 1000;
    let origin = &handle.origin;
    let total = handle.memory_bytes();
    let tracking = handle.tracker.get().and_then(|tracker| tracker.mode());
    let redirect = tracking.map_or(-1, |(mode, _)| mode.redirect.cast_signed());
    let shown = handle.shown.lock();
    let load = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::Relaxed);
    let (input, output) = (load(&handle.input_bytes), load(&handle.output_bytes));
    let parsed = load(&handle.parsed_bytes).min(input);
    let (queued, queued_bytes) =
        shown.multi.map_or((-1, 0), |(queued, bytes)| (queued.cast_signed(), bytes));
    let command = load(&handle.last_command).checked_sub(1);
    let command = command.map_or("NULL", |id| registry.by_id(id).name.as_str());
    let user = shown.user.as_ref().map_or(&b"(superuser)"[..], |user| user.name());
    let mut line = format!("id={} addr={}", origin.id, origin.address).into_bytes();
    line.extend(format!(" laddr={} fd={} name=", origin.local_address, origin.fd).bytes());
    line.extend_from_slice(&shown.name);
    let fields = format!(
        " age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={queued} qbuf={} \
         qbuf-free={} argv-mem={parsed} multi-mem={queued_bytes} rbs=0 rbp=0 obl=0 oll={} omem={output} \
         tot-mem={} events={} cmd={command} user=",
        seconds_since(origin.connected_ms),
        seconds_since(handle.active_ms.load(Ordering::Relaxed)),
        flags(node, handle, &shown, tracking),
        shown.database,
        shown.channels,
        shown.patterns,
        shown.shard_channels,
        input.saturating_sub(parsed),
        load(&handle.input_free_bytes),
        load(&handle.output_pieces),
        total,
        if output > 0 { "rw" } else { "r" },
    );
    line.extend(fields.bytes());
    line.extend_from_slice(user);
    let version = shown.protocol.version();
    line.extend(format!(" redir={redirect} resp={version} lib-name=").bytes());
    line.extend_from_slice(&shown.library_name);
    line.extend_from_slice(b" lib-ver=");
    line.extend_from_slice(&shown.library_version);
    line.push(b'\n');
    line
}

/// A client's line for ACL LOG.
pub(in crate::commands) fn info_of(
    node: &Node,
    registry: &Registry,
    handle: &Arc<Handle>,
) -> Vec<u8> {
    let mut line = line(node, registry, handle);
    line.pop();
    line
}

/// The flag letters of CLIENT LIST.
fn flags(
    node: &Node,
    handle: &Arc<Handle>,
    shown: &Shown,
    tracking: Option<(Mode, bool)>,
) -> String {
    let letters = [
        ('O', shown.monitor),
        ('S', shown.replica),
        ('M', shown.master),
        ('P', shown.subscriptions() > 0),
        ('x', shown.multi.is_some()),
        ('b', shown.waiting || node.admission.is_waiting(handle)),
        ('t', tracking.is_some()),
        ('R', tracking.is_some_and(|(_, broken)| broken)),
        ('B', tracking.is_some_and(|(mode, _)| mode.broadcast)),
        ('d', handle.watch_mark.load(Ordering::Relaxed)),
        ('c', shown.closing),
        ('U', handle.origin.unix_socket),
        ('e', shown.no_evict),
        ('T', shown.no_touch),
    ];
    let set: String = letters.iter().filter(|(_, set)| *set).map(|(letter, _)| *letter).collect();
    if set.is_empty() { "N".into() } else { set }
}

pub(super) fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    note_command(ctx, b"client|list");
    let clients = if args.len() == 4 && args.is(2, "TYPE") {
        let wanted = Type::named(args.at(3))?;
        let mut clients = present(ctx);
        clients.retain(|handle| Type::of(&handle.shown.lock()) == wanted);
        clients
    } else if args.len() > 3 && args.is(2, "ID") {
        let ids: Option<Vec<i64>> = args.from(3).map(parse_i64).collect();
        let ids = ids.ok_or_else(|| Failure::err("Invalid client ID"))?;
        note_activity(ctx);
        let with = |id| ctx.node.clients.get(u64::try_from(id).ok()?);
        ids.into_iter().filter_map(with).filter(|handle| !handle.is_killed()).collect()
    } else if args.len() == 2 {
        present(ctx)
    } else {
        return Err(Failure::Syntax);
    };
    let lines = lines(ctx, args, &clients);
    ctx.reply.verbatim(b"txt", &lines);
    Ok(())
}

/// The lines of clients. That of the one that asks counts the request, which is still being executed.
fn lines(ctx: &Context<'_>, args: &Args<'_>, clients: &[Arc<Handle>]) -> Vec<u8> {
    let input = &ctx.client.handle.input_bytes;
    let waiting = input.load(Ordering::Relaxed);
    input.store(waiting + args.request_bytes(), Ordering::Relaxed);
    let lines: Vec<Vec<u8>> =
        clients.iter().map(|handle| line(ctx.node, ctx.registry, handle)).collect();
    input.store(waiting, Ordering::Relaxed);
    lines.concat()
}

pub(super) fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    note_command(ctx, b"client|info");
    note_activity(ctx);
    let line = lines(ctx, args, &[Arc::clone(&ctx.client.handle)]);
    ctx.reply.verbatim(b"txt", &line);
    Ok(())
}

/// Records the running command as its client's last one. Within a transaction that is EXEC.
fn note_command(ctx: &Context<'_>, name: &[u8]) {
    let name = if ctx.client.in_exec.is_some() { b"exec" } else { name };
    if let Some(registered) = ctx.registry.find_row(name) {
        ctx.client.handle.last_command.store(registered.id + 1, Ordering::Relaxed);
    }
}
