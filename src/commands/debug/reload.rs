//! DEBUG RELOAD: loads the RDB file into the running server.

use crate::commands::{Args, Context, Failure, Handled};
use crate::keyspace::EntryRef;
use crate::node::host::Reload;

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
    if ctx.node.persistence.get().running.is_some() {
        return Err(Failure::err("Background save already in progress"));
    }
    // Reloaded keys count as changed.
    let now_ms = ctx.keys.now_ms;
    for database in 0..ctx.node.keyspace.databases() {
        let alive = |entry: EntryRef<'_>| entry.expire_at_ms().is_none_or(|at| at >= now_ms);
        ctx.keys.locked.mark_watchers_of_database(database, &[database], alive);
    }
    ctx.node.host().reload(&mut ctx.keys.locked, how).map_err(|reason| {
        Failure::err(format_args!("Error trying to load the RDB dump, check server logs: {reason}"))
    })?;
    ctx.keys.invalidate_caches(ctx.node);
    ctx.reply.ok();
    Ok(())
}
