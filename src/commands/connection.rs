//! Connection commands.

use super::command::{Group::Connection, NO_KEYS, at_least, command, exactly};
use super::{Args, Command, Context, Failure, Flag::*, Handled};
use crate::resp::Protocol;

pub(super) const COMMANDS: &[Command] = &[
    command("PING", ping, at_least(1), &[Fast], NO_KEYS, Connection)
        .docs("1.0.0", "O(1)", "[message]", "Answers PONG, or with the message."),
    command("ECHO", echo, exactly(2), &[Loading, Stale, Fast], NO_KEYS, Connection)
        .docs("1.0.0", "O(1)", "message", "Answers with the message."),
];

fn ping(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len() > 2 {
        return Err(Failure::Arity("ping".into()));
    }
    let message = args.get(1);
    if ctx.client.is_subscribed() && ctx.client.protocol == Protocol::Resp2 {
        ctx.reply.array(2);
        ctx.reply.bulk(b"pong");
        ctx.reply.bulk(message.unwrap_or_default());
    } else {
        match message {
            Some(message) => ctx.reply.bulk(message),
            None => ctx.reply.simple("PONG"),
        }
    }
    Ok(())
}

fn echo(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply.bulk(args.at(1));
    Ok(())
}
