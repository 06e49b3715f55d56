//! DEBUG RELOAD and LOADAOF: load a file into the running server.

use std::sync::Arc;

use crate::commands::{Args, Context, Failure, Handled};
use crate::keyspace::EntryRef;
use crate::node::client::{Waiting, WaitsFor};
use crate::node::file::FileLoad;
use crate::node::host::{Reload, Within};
use crate::node::persistence::{Purpose, Running};

pub(super) fn reload(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let mut how = Reload { save: true, flush: true, merge: false };
    for arg in args.from(2) {
        match arg.to_ascii_uppercase().as_slice() {
            b"MERGE" => how.merge = true,
            b"NOFLUSH" => how.flush = false,
            b"NOSAVE" => how.save = false,
            _ => {
                return Err(Failure::err(
                    "DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    // Replicas have the state of the cut, whatever follows.
    let is_file = |running: Running| running.purpose != Purpose::FullSync;
    if ctx.node.persistence.get().running.is_some_and(is_file) {
        return Err(Failure::err("Background save already in progress"));
    }
    note_all_changed(ctx);
    ctx.node.host().reload(&mut ctx.keys.locked, how).map_err(|reason| {
        Failure::err(format_args!("Error trying to load the RDB dump, check server logs: {reason}"))
    })?;
    ctx.keys.invalidate_caches(ctx.node);
    ctx.reply.ok();
    Ok(())
}

/// Reloaded keys count as changed.
fn note_all_changed(ctx: &Context<'_>) {
    let now_ms = ctx.keys.now_ms;
    for database in 0..ctx.node.keyspace.databases() {
        let alive = |entry: EntryRef<'_>| entry.expire_at_ms().is_none_or(|at| at >= now_ms);
        ctx.keys.locked.mark_watchers_of_database(database, &[database], alive);
    }
}

/// Loads the append only file. Its commands take their own locks, so that another thread runs them;
/// meanwhile others are answered LOADING.
pub(super) fn load_file(ctx: &mut Context<'_>) -> Handled {
    if ctx.within() == Within::Transaction {
        return Err(Failure::err("LOADAOF cannot be called within a transaction"));
    }
    if ctx.node.persistence.get().running.is_some() {
        return Err(Failure::err("Background save already in progress"));
    }
    note_all_changed(ctx);
    let load = Arc::new(FileLoad::new(Arc::clone(&ctx.client.handle)));
    let host = ctx.node.host();
    host.reload_file(&mut ctx.keys.locked, Arc::clone(&load)).map_err(Failure::err)?;
    ctx.keys.invalidate_caches(ctx.node);
    ctx.client.waiting = Some(Waiting {
        what: WaitsFor::FileLoad(load),
        deadline_ms: None,
        generation: ctx.node.replication.generation(),
        began_nanos: ctx.node.clock.nanos(),
    });
    ctx.client.unpublished = true;
    Ok(())
}
