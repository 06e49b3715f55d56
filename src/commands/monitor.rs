//! MONITOR: shows all commands of all clients.

use super::command::{Group::Server, NO_KEYS, command, exactly};
use super::{Args, Command, Context, Failure, Flag::*, Handled};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("MONITOR", monitor, exactly(1), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .docs("1.0.0", "O(N) in the number of monitors, for each command of any client", "", "Shows the connection every command that the server runs."),
];

/// A replica, or one that is a monitor already, gets no reply, as in Redis.
fn monitor(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    if ctx.client.in_exec.is_some() {
        return Err(Failure::err("MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if ctx.client.replica.is_some() || ctx.client.monitor {
        return Ok(());
    }
    ctx.client.monitor = true;
    ctx.client.publish();
    ctx.node.monitors.add(&ctx.client.handle);
    ctx.reply.ok();
    Ok(())
}
