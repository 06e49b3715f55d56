//! Connection commands: greeting, authentication, the selected database.

use std::sync::Arc;

use super::acl::note_failed_authentication;
use super::command::{Group::Connection, NO_KEYS, at_least, command, exactly};
use super::{Args, Command, Context, Failure, Flag::*, Handled, pubsub};
use crate::acl::{NO_PASSWORD_SET, WRONG_PASSWORD};
use crate::node::client::{Client, ReplyMode};
use crate::resp::Protocol;
use crate::text::until_nul;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("AUTH", auth, at_least(2), &[NoScript, Loading, Stale, Fast, NoAuth, AllowBusy], NO_KEYS, Connection)
        .docs("1.0.0", "O(N) in the number of the user's passwords", "[username] password", "Authenticates the connection."),
    command("ECHO", echo, exactly(2), &[Loading, Stale, Fast], NO_KEYS, Connection)
        .docs("1.0.0", "O(1)", "message", "Answers with the message."),
    command("HELLO", hello, at_least(1), &[NoScript, Loading, Stale, Fast, NoAuth, AllowBusy], NO_KEYS, Connection)
        .docs("6.0.0", "O(1)", "[protover [AUTH username password] [SETNAME clientname]]", "Begins to speak a version of the protocol, and tells of the server."),
    command("PING", ping, at_least(1), &[Fast], NO_KEYS, Connection)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("1.0.0", "O(1)", "[message]", "Answers PONG, or with the message."),
    command("QUIT", quit, at_least(1), &[NoScript, Loading, Stale, Fast, NoAuth, AllowBusy], NO_KEYS, Connection)
        .docs("1.0.0", "O(1)", "", "Closes the connection."),
    command("RESET", reset, exactly(1), &[NoScript, Loading, Stale, Fast, NoAuth, AllowBusy], NO_KEYS, Connection)
        .docs("6.2.0", "O(1)", "", "Makes the connection as it was when it was new."),
    command("SELECT", select, exactly(2), &[Loading, Stale, Fast], NO_KEYS, Connection)
        .docs("1.0.0", "O(1)", "index", "Selects the database that the following commands use."),
];

/// The user who authenticates with just a password.
const DEFAULT_USER: &[u8] = b"default";

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

fn quit(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.ok();
    ctx.client.closing = true;
    Ok(())
}

fn select(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.client.database = ctx.database(args.at(1))?;
    ctx.client.unpublished = true;
    ctx.reply.ok();
    Ok(())
}

/// Authenticates the client as a user.
fn authenticate(ctx: &mut Context<'_>, args: &Args<'_>, name: &[u8], password: &[u8]) -> Handled {
    let users = ctx.node.acl.users();
    match users.authenticate(name, password) {
        Some(user) => {
            ctx.client.become_user(Arc::clone(user), true);
            Ok(())
        }
        None => {
            note_failed_authentication(ctx, args, name);
            Err(Failure::Other(WRONG_PASSWORD.into()))
        }
    }
}

fn auth(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len() > 3 {
        return Err(Failure::Syntax);
    }
    (1..args.len()).for_each(|index| ctx.redact(index));
    let (user, password) = match args.get(2) {
        Some(password) => (args.at(1), password),
        None => (DEFAULT_USER, args.at(1)),
    };
    if args.len() == 2 && ctx.node.acl.users().default_user().needs_no_password() {
        return Err(Failure::Other(NO_PASSWORD_SET.into()));
    }
    authenticate(ctx, args, user, password)?;
    ctx.reply.ok();
    Ok(())
}

fn hello(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let protocol = args.get(1).map(protocol).transpose()?;
    let mut at = 2;
    while let Some(option) = args.get(at) {
        let more = args.len() - 1 - at;
        if args.is(at, "AUTH") && more >= 2 {
            ctx.redact(at + 1);
            ctx.redact(at + 2);
            authenticate(ctx, args, args.at(at + 1), args.at(at + 2))?;
            at += 3;
        } else if args.is(at, "SETNAME") && more >= 1 {
            set_name(ctx.client, args.at(at + 1))?;
            at += 2;
        } else {
            let text = [b"ERR Syntax error in HELLO option '", until_nul(option), b"'"];
            return Err(Failure::Bytes(text.concat()));
        }
    }
    if !ctx.client.is_authenticated() {
        return Err(Failure::Other(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time"
                .into(),
        ));
    }
    if let Some(protocol) = protocol {
        speak(ctx, protocol);
    }
    let reply = &mut *ctx.reply;
    reply.map(7);
    for (field, value) in [("server", "redis"), ("version", super::REDIS_VERSION)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(ctx.client.protocol.version());
    reply.bulk(b"id");
    reply.integer(ctx.client.handle.origin.id.cast_signed());
    let role = if ctx.node.is_replica() { "replica" } else { "master" };
    for (field, value) in [("mode", "standalone"), ("role", role)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

fn protocol(version: &[u8]) -> Result<Protocol, Failure> {
    match crate::number::parse_i64(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(Failure::Other("NOPROTO unsupported protocol version".into())),
        None => Err(Failure::err("Protocol version is not an integer or out of range")),
    }
}

/// Switches the client's replies and messages to this protocol.
fn speak(ctx: &mut Context<'_>, protocol: Protocol) {
    ctx.client.protocol = protocol;
    ctx.reply.protocol = protocol;
    ctx.client.publish();
}

/// Names a client; an empty name removes the name.
pub(super) fn set_name(client: &Client, name: &[u8]) -> Handled {
    if !is_printable(name) {
        let what = "Client names cannot contain spaces, newlines or special characters.";
        return Err(Failure::err(what));
    }
    client.handle.shown.lock().name = name.to_vec();
    Ok(())
}

/// Whether CLIENT LIST can show this in a field.
pub(super) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

fn reset(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let client = &mut *ctx.client;
    client.database = 0;
    client.become_default_user(&ctx.node.acl);
    client.multi = None;
    client.reply_mode = ReplyMode::On;
    client.forget_watches(ctx.keys.keyspace());
    pubsub::leave_all(ctx.node, client);
    ctx.node.tracking.disable(client);
    if std::mem::take(&mut client.monitor) {
        ctx.node.monitors.remove(client.handle.origin.id);
    }
    client.handle.shown.lock().name.clear();
    speak(ctx, Protocol::Resp2);
    ctx.reply.simple("RESET");
    Ok(())
}
