//! MONITOR: a line for every command that runs, in the order in which they ran on any key.

use bytes::Bytes;

use super::caller::{Caller, Tools};
use crate::commands::registry::Registered;
use crate::commands::{Args, Flag};
use crate::node::admission::Condition;
use crate::node::client::ReplyMode;
use crate::text::push_quoted;

/// Whether monitors see a command: those of administrators may hold secrets.
#[cold]
pub(super) fn shows(registered: &Registered) -> bool {
    let flags = registered.row.flags;
    // Redis does not run QUIT as a command.
    !flags.has(Flag::Admin) && !flags.has(Flag::SkipMonitor) && registered.name != "quit"
}

/// Sends the command's line to all monitors; the running client's own line follows its reply. The
/// caller holds the command's locks.
#[cold]
pub(super) fn tell(caller: &Caller<'_>, tools: &mut Tools<'_>, args: &Args<'_>) {
    let node = caller.node;
    if node.admission.has(Condition::Loading) {
        return;
    }
    let line = line(caller, tools, args);
    if tools.client.monitor
        && matches!(tools.client.reply_mode, ReplyMode::On | ReplyMode::SkipNext)
    {
        tools.effects.own_lines.extend_from_slice(&line);
    }
    node.monitors.tell(&Bytes::from(line), tools.client.handle.origin.id);
}

/// `+<Unix time> [<database> <address>] "<argument>" ...`, in Redis's format.
fn line(caller: &Caller<'_>, tools: &Tools<'_>, args: &Args<'_>) -> Vec<u8> {
    let now_us = caller.node.clock.unix_us();
    let (origin, database) = (&tools.client.handle.origin, tools.client.database);
    let address = if tools.client.in_script {
        "lua".to_owned()
    } else if origin.unix_socket {
        format!("unix:{}", caller.settings.network.unixsocket)
    } else {
        origin.address.clone()
    };
    let (seconds, us) = (now_us / 1_000_000, now_us % 1_000_000);
    let mut line = format!("+{seconds}.{us:06} [{database} {address}]").into_bytes();
    line.reserve(args.total_bytes() + 3 * args.len() + 2);
    for (index, arg) in args.from(0).enumerate() {
        line.push(b' ');
        let redacted = tools.effects.redacted.contains(&index);
        push_quoted(&mut line, if redacted { b"(redacted)" } else { arg });
    }
    line.extend_from_slice(b"\r\n");
    line
}
