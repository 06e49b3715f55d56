//! Groups and their consumers: XGROUP; and XACK.

use super::{
    Args, Context, EventClasses, Failure, Group, Handled, Key, Object, Stream, StreamId,
    no_group_in, unknown_subcommand,
};
use crate::text::until_nul;
use crate::types::Remains;
use crate::types::stream::Consumer;

const CONTAINER: &str = "XGROUP";

const HELP: &[&str] = &[
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
];

pub(super) fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}

/// Options of CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<i64>,
}

impl Options {
    fn parse(args: &Args<'_>, may_make_stream: bool) -> Result<Self, Failure> {
        let (mut options, mut at) = (Self::default(), 5);
        while at < args.len() {
            if may_make_stream && args.is(at, "MKSTREAM") {
                options.make_stream = true;
                at += 1;
            } else if args.is(at, "ENTRIESREAD") && at + 1 < args.len() {
                options.entries_read = match Context::integer(args.at(at + 1))? {
                    -1 => None,
                    read @ 0.. => Some(read),
                    _ => {
                        let text = "value for ENTRIESREAD must be positive or -1";
                        return Err(Failure::err(text));
                    }
                };
                at += 2;
            } else {
                return Err(unknown_subcommand(args, CONTAINER));
            }
        }
        Ok(options)
    }
}

fn no_stream() -> Failure {
    Failure::err(
        "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
         the MKSTREAM option to create an empty stream automatically.",
    )
}

/// Finds the stream of the second argument.
fn stream<'k>(ctx: &'k mut Context<'_>, key: Key<'_>) -> Result<&'k Stream, Failure> {
    ctx.keys.write_stream(key)?.ok_or_else(no_stream)
}

/// Finds it, and makes sure that it has the group of the third.
fn with_group<'a>(ctx: &mut Context<'_>, args: &Args<'a>) -> Result<(Key<'a>, &'a [u8]), Failure> {
    let (key, name) = (ctx.keys.at(args, 2), args.at(3));
    let found = stream(ctx, key)?.groups().get(name).is_some();
    if found { Ok((key, name)) } else { Err(no_group_in(key.bytes, name)) }
}

pub(super) fn create(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let options = Options::parse(args, true)?;
    let (key, name) = (ctx.keys.at(args, 2), args.at(3));
    let stream = ctx.keys.write_stream(key)?;
    if stream.is_none() && !options.make_stream {
        return Err(no_stream());
    }
    if args.len() > 8 {
        return Err(unknown_subcommand(args, CONTAINER));
    }
    let id = match until_nul(args.at(4)) {
        b"$" => stream.map_or(StreamId::MIN, Stream::last_id),
        _ => StreamId::parse_strict(args.at(4), 0)?,
    };
    let is_new = stream.is_none();
    if stream.is_some_and(|stream| stream.groups().get(name).is_some()) {
        let text = "BUSYGROUP Consumer Group name already exists";
        return Err(Failure::Other(text.into()));
    }
    if is_new {
        let stream = Object::Stream(Box::default());
        ctx.keys.store_owned(key, stream.into(), None);
    }
    let group = Group::new(id, options.entries_read);
    ctx.keys.edit_stream(key, |stream| stream.groups_mut().create(name, group));
    ctx.reply.ok();
    ctx.replied_before_events();
    if is_new {
        ctx.keys.changed(key, EventClasses::STREAM, "xgroup-create");
    } else {
        ctx.keys.changed_groups(key, "xgroup-create");
    }
    Ok(())
}

pub(super) fn setid(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let options = Options::parse(args, false)?;
    let (key, name) = with_group(ctx, args)?;
    if !matches!(args.len(), 5 | 7) {
        return Err(unknown_subcommand(args, CONTAINER));
    }
    let id = match until_nul(args.at(4)) {
        b"$" => ctx.keys.stream(key).last_id(),
        _ => StreamId::parse(args.at(4), 0)?,
    };
    ctx.keys.edit_group(key, name, |group| {
        (group.last_id, group.entries_read) = (id, options.entries_read);
    });
    ctx.reply.ok();
    ctx.replied_before_events();
    ctx.keys.changed_groups(key, "xgroup-setid");
    Ok(())
}

pub(super) fn destroy(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    stream(ctx, key)?;
    let group = ctx.keys.edit_stream(key, |stream| stream.groups_mut().remove(args.at(3)));
    let Some(group) = group else {
        ctx.reply.integer(0);
        return Ok(());
    };
    ctx.keys.bury(Remains::Group(Box::new(group)));
    ctx.reply.integer(1);
    ctx.replied_before_events();
    ctx.keys.changed_groups(key, "xgroup-destroy");
    // Those who wait for entries of the group wait in vain.
    ctx.keys.look_at_waiters(key);
    Ok(())
}

pub(super) fn createconsumer(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, name) = with_group(ctx, args)?;
    let now_ms = ctx.keys.now_ms;
    let created =
        ctx.keys.edit_group(key, name, |group| group.create_consumer(args.at(4), now_ms).is_some());
    if created {
        ctx.keys.changed_groups(key, "xgroup-createconsumer");
    }
    ctx.reply.integer(created.into());
    Ok(())
}

pub(super) fn delconsumer(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, name) = with_group(ctx, args)?;
    let removed = ctx.keys.edit_group(key, name, |group| group.remove_consumer(args.at(4)));
    let pending = removed.as_ref().map_or(0, Consumer::pending_len);
    if let Some(consumer) = removed {
        ctx.keys.changed_groups(key, "xgroup-delconsumer");
        ctx.keys.bury(Remains::Consumer(Box::new(consumer)));
    }
    ctx.reply.count(pending);
    Ok(())
}

pub(super) fn xack(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (key, name) = (ctx.keys.at(args, 1), args.at(2));
    let stream = ctx.keys.read_stream(key)?;
    if stream.is_none_or(|stream| stream.groups().get(name).is_none()) {
        ctx.reply.integer(0);
        return Ok(());
    }
    let ids = args.from(3).map(|arg| StreamId::parse_strict(arg, 0));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let acknowledged = ctx
        .keys
        .edit_group(key, name, |group| ids.into_iter().filter(|id| group.acknowledge(*id)).count());
    ctx.keys.changed_much(acknowledged as u64);
    ctx.reply.count(acknowledged);
    Ok(())
}
