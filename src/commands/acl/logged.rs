//! ACL LOG: what goes into it, and the command.

use std::sync::atomic::Ordering;

use super::super::client::info_of;
use super::super::registry::Registry;
use super::super::{Args, Context, Handled};
use super::{Asked, wrong_arity};
use crate::acl::{self, Denial, Happening, Reason};
use crate::node::Node;
use crate::node::client::Client;
use crate::number::double::DoubleText;

/// Entries that LOG shows unless told otherwise.
const COUNT: i64 = 10;

/// Logs that the client's user may not run a request. The client has published its state.
pub(crate) fn note_denial(
    node: &Node,
    registry: &Registry,
    client: &Client,
    denial: Denial,
    asked: &Asked<'_>,
    context: acl::Context,
) {
    let Some(user) = client.user() else { return };
    node.note_denial(Happening {
        reason: Reason::from(denial),
        context,
        object: denial.object(&asked.registered.name, asked),
        username: user.name().to_vec(),
        client_info: info_of(node, registry, &client.handle),
    });
}

/// Logs that nobody may authenticate like this.
pub(in crate::commands) fn note_failed_authentication(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    name: &[u8],
) {
    let client = &mut *ctx.client;
    client.publish();
    let context = match client.in_exec {
        Some(_) => acl::Context::Multi,
        None => acl::Context::Toplevel,
    };
    let registered = match client.in_exec {
        Some(_) => ctx.registry.find_row(b"exec"),
        None => ctx.registry.find(args.at(0)),
    };
    if let Some(registered) = registered {
        client.handle.last_command.store(registered.id + 1, Ordering::Relaxed);
    }
    ctx.node.note_denial(Happening {
        reason: Reason::Auth,
        context,
        object: args.at(0).to_vec(),
        username: name.to_vec(),
        client_info: info_of(ctx.node, ctx.registry, &client.handle),
    });
}

pub(super) fn log(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len() > 3 {
        return Err(wrong_arity(args));
    }
    if args.is(2, "RESET") {
        ctx.node.acl.log().reset();
        ctx.reply.ok();
        return Ok(());
    }
    let count = args.get(2).map_or(Ok(COUNT), Context::integer)?;
    let now_ms = ctx.node.clock.unix_ms().unsigned_abs();
    let (log, reply) = (ctx.node.acl.log(), &mut *ctx.reply);
    let entries = log.newest(usize::try_from(count).unwrap_or(0));
    reply.array(entries.len());
    for entry in entries {
        let last = &entry.last;
        reply.map(7);
        reply.bulk(b"count");
        reply.integer(entry.count.cast_signed());
        for (name, text) in [
            ("reason", last.reason.name().as_bytes()),
            ("context", last.context.name().as_bytes()),
            ("object", &last.object),
            ("username", &last.username),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(text);
        }
        reply.bulk(b"age-seconds");
        reply.double(DoubleText::new(entry.age_seconds(now_ms)).as_bytes());
        reply.bulk(b"client-info");
        reply.bulk(&last.client_info);
    }
    Ok(())
}
