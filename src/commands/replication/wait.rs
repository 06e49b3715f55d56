//! WAIT and WAITAOF: a client waits until others have its writes.

use std::sync::Arc;

use crate::commands::{Args, Context, Failure, Handled};
use crate::node::Node;
use crate::node::client::{Waiting, WaitsFor};
use crate::node::file::DiskWait;
use crate::number::parse_i64;
use crate::replication::{Peer, Waiter};

pub(super) fn wait(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let node = ctx.node;
    if node.is_replica() {
        return Err(Failure::err(
            "WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if \
             a replica is configured to be writable (which is not the default) writes to replicas \
             are just local and are not propagated.",
        ));
    }
    let wanted = Context::integer(args.at(1))?;
    let timeout_ms = timeout_ms(args.at(2))?;
    let replicas = &node.replication.replicas;
    ctx.client.waits_for_writes = true;
    let offset = ctx.client.write_offset;
    let enough = |count: usize| i64::try_from(count).unwrap_or(i64::MAX) >= wanted;
    let acknowledged = replicas.acknowledged(offset);
    if enough(acknowledged) || ctx.client.in_exec.is_some() {
        if enough(acknowledged) {
            node.stats.waits_met.observe(0);
        }
        ctx.reply.count(acknowledged);
        return Ok(());
    }
    let deadline_ms = deadline_ms(node, timeout_ms)?;
    let needed = usize::try_from(wanted).expect("more than there are, so not negative");
    begin(ctx, WaitsFor::Replicas { offset, needed }, deadline_ms, (offset, needed));
    Ok(())
}

/// WAITAOF, of Redis 7.2.
pub(super) fn waitaof(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let node = ctx.node;
    let local = Context::integer(args.at(1))?;
    if !(0..=1).contains(&local) {
        return Err(Failure::err("value is out of range, value must between 0 and 1"));
    }
    let needed = usize::try_from(Context::integer(args.at(2))?)
        .map_err(|_| Failure::err("value is out of range, must be positive"))?;
    let timeout_ms = timeout_ms(args.at(3))?;
    if node.is_replica() {
        return Err(Failure::err(
            "WAITAOF cannot be used with replica instances. Please also note that writes to replicas \
             are just local and are not propagated.",
        ));
    }
    let local = local == 1;
    if local && !node.settings.load().aof.enabled {
        return Err(Failure::err(DiskWait::NO_FILE));
    }
    ctx.client.waits_for_writes = true;
    let offset = ctx.client.write_offset;
    // What others have appended meanwhile is synced along with it.
    let file_offset = node.log.recording_file().map_or(0, |file| file.appended());
    let wait = DiskWait { offset, file_offset, local, needed };
    let (here, there) = wait.met(node);
    let over = wait.is_over((here, there));
    if over || ctx.client.in_exec.is_some() {
        if over {
            node.stats.waits_met.observe(0);
        }
        ctx.reply.array(2);
        ctx.reply.integer(here.into());
        ctx.reply.count(there);
        return Ok(());
    }
    let deadline_ms = deadline_ms(node, timeout_ms)?;
    if let Some(file) = node.log.recording_file() {
        file.kick();
    }
    begin(ctx, WaitsFor::Disks(wait), deadline_ms, (offset, needed));
    Ok(())
}

/// Has the client wait, until replicas have an offset.
fn begin(
    ctx: &mut Context<'_>,
    what: WaitsFor,
    deadline_ms: Option<i64>,
    (offset, needed): (u64, usize),
) {
    let node = ctx.node;
    let client = &mut *ctx.client;
    let on_disk = match &what {
        WaitsFor::Disks(wait) => Some(*wait),
        _ => None,
    };
    let (id, peer) = (client.handle.origin.id, Arc::clone(&client.handle) as _);
    let generation = node.replication.generation();
    let began_nanos = node.clock.nanos();
    client.waiting = Some(Waiting { what, deadline_ms, generation, began_nanos });
    // First: whoever sees it counted may end its wait.
    client.publish();
    let replicas = &node.replication.replicas;
    replicas.wait(Waiter { client: id, offset, needed, on_disk: on_disk.is_some(), peer });
    // What it waits for may have come before the waiter was registered.
    let over = match on_disk {
        Some(wait) => wait.is_over(wait.met(node)),
        None => replicas.acknowledged(offset) >= needed,
    };
    if over {
        client.handle.wake();
    }
}

/// A timeout in milliseconds, 0 or more.
fn timeout_ms(arg: &[u8]) -> Result<i64, Failure> {
    let timeout_ms =
        parse_i64(arg).ok_or_else(|| Failure::err("timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(Failure::err("timeout is negative"));
    }
    Ok(timeout_ms)
}

/// When a timeout is over, in Unix milliseconds; `None` for 0, which is none.
fn deadline_ms(node: &Node, timeout_ms: i64) -> Result<Option<i64>, Failure> {
    if timeout_ms == 0 {
        return Ok(None);
    }
    let out = || Failure::err("timeout is out of range");
    // The clock counts whole milliseconds, and the current one has begun.
    let at = node.clock.unix_ms().checked_add(timeout_ms).and_then(|at| at.checked_add(1));
    at.map(Some).ok_or_else(out)
}
