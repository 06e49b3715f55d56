//! Publishing and subscribing.
//!
//! Confirmations use the client's message queue, which keeps their order: a message that another
//! thread publishes meanwhile is either before or after, on both sides.

use std::collections::BTreeSet;

use super::command::{
    Group::PubSub, NO_KEYS, at_least, command, container, exactly, key_range, one_key,
};
use super::{Args, Command, Context, Failure, Flag, Flag::*, Handled, KeyFlag::NotKey};
use crate::node::Node;
use crate::node::client::{Client, Name, name_bytes};
use crate::node::pubsub::Kind;
use crate::node::standing::HELLO_CHANNEL;
use crate::resp::Output;

const SUBSCRIBING: &[Flag] = &[Flag::PubSub, NoScript, Loading, Stale];
const PUBLISHING: &[Flag] = &[Flag::PubSub, Loading, Stale, Fast, MayReplicate];
const ASKING: &[Flag] = &[Flag::PubSub, Loading, Stale];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("PSUBSCRIBE", psubscribe, at_least(2), SUBSCRIBING, NO_KEYS, PubSub)
        .docs("2.0.0", "O(N) in the number of the client's patterns", "pattern [pattern ...]", "Subscribes to the channels whose names match a pattern."),
    command("PUBLISH", publish, exactly(3), PUBLISHING, NO_KEYS, PubSub)
        .docs("2.0.0", "O(N+M) in the number of the channel's subscribers and of all patterns", "channel message", "Sends a message to the subscribers of a channel, and counts them."),
    container("PUBSUB", SUBCOMMANDS, PubSub)
        .docs("2.8.0", "Depends on the subcommand", "", "Tells of channels and their subscribers."),
    command("PUNSUBSCRIBE", punsubscribe, at_least(1), SUBSCRIBING, NO_KEYS, PubSub)
        .docs("2.0.0", "O(N) in the number of patterns", "[pattern [pattern ...]]", "Ends subscriptions to patterns: all, or those given."),
    command("SPUBLISH", spublish, exactly(3), PUBLISHING, one_key(&[NotKey]), PubSub)
        .docs("7.0.0", "O(N) in the number of the channel's subscribers", "shardchannel message", "Sends a message to the subscribers of a shard channel, and counts them."),
    command("SSUBSCRIBE", ssubscribe, at_least(2), SUBSCRIBING, key_range(&[NotKey], 1, -1, 1), PubSub)
        .docs("7.0.0", "O(N) in the number of channels given", "shardchannel [shardchannel ...]", "Subscribes to shard channels."),
    command("SUBSCRIBE", subscribe, at_least(2), SUBSCRIBING, NO_KEYS, PubSub)
        .docs("2.0.0", "O(N) in the number of channels given", "channel [channel ...]", "Subscribes to channels."),
    command("SUNSUBSCRIBE", sunsubscribe, at_least(1), SUBSCRIBING, key_range(&[NotKey], 1, -1, 1), PubSub)
        .docs("7.0.0", "O(N) in the number of channels given", "[shardchannel [shardchannel ...]]", "Ends subscriptions to shard channels: all, or those given."),
    command("UNSUBSCRIBE", unsubscribe, at_least(1), SUBSCRIBING, NO_KEYS, PubSub)
        .docs("2.0.0", "O(N) in the number of channels given", "[channel [channel ...]]", "Ends subscriptions to channels: all, or those given."),
];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("CHANNELS", channels, at_least(2), ASKING, NO_KEYS, PubSub)
        .docs("2.8.0", "O(N) in the number of channels", "[pattern]", "Lists the channels with subscribers, all or those that match."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, PubSub)
        .categories(&[])
        .docs("6.2.0", "O(1)", "", "Tells of the subcommands."),
    command("NUMPAT", numpat, exactly(2), ASKING, NO_KEYS, PubSub)
        .docs("2.8.0", "O(1)", "", "Counts the different patterns with subscribers."),
    command("NUMSUB", numsub, at_least(2), ASKING, NO_KEYS, PubSub)
        .docs("2.8.0", "O(N) in the number of channels given", "[channel [channel ...]]", "Counts the subscribers of channels."),
    command("SHARDCHANNELS", shardchannels, at_least(2), ASKING, NO_KEYS, PubSub)
        .docs("7.0.0", "O(N) in the number of shard channels", "[pattern]", "Lists the shard channels with subscribers, all or those that match."),
    command("SHARDNUMSUB", shardnumsub, at_least(2), ASKING, NO_KEYS, PubSub)
        .docs("7.0.0", "O(N) in the number of shard channels given", "[shardchannel [shardchannel ...]]", "Counts the subscribers of shard channels."),
];

const HELP: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
];

/// A client's subscriptions of one kind.
fn names_of(client: &mut Client, kind: Kind) -> &mut BTreeSet<Name> {
    match kind {
        Kind::Channel => &mut client.channels,
        Kind::Pattern => &mut client.patterns,
        Kind::ShardChannel => &mut client.shard_channels,
    }
}

/// The number of subscriptions that a confirmation reports.
fn counted(client: &Client, kind: Kind) -> usize {
    match kind {
        Kind::Channel | Kind::Pattern => client.channels.len() + client.patterns.len(),
        Kind::ShardChannel => client.shard_channels.len(),
    }
}

/// The kind of change that a confirmation reports.
#[derive(Clone, Copy)]
enum Change {
    Subscribed,
    Unsubscribed,
}

/// An encoded confirmation.
fn confirmation(client: &Client, kind: Kind, change: Change, name: Option<&[u8]>) -> Output {
    let word: &[u8] = match (kind, change) {
        (Kind::Channel, Change::Subscribed) => b"subscribe",
        (Kind::Channel, Change::Unsubscribed) => b"unsubscribe",
        (Kind::Pattern, Change::Subscribed) => b"psubscribe",
        (Kind::Pattern, Change::Unsubscribed) => b"punsubscribe",
        (Kind::ShardChannel, Change::Subscribed) => b"ssubscribe",
        (Kind::ShardChannel, Change::Unsubscribed) => b"sunsubscribe",
    };
    let mut output = Output::new(client.protocol);
    output.push(3);
    output.bulk(word);
    match name {
        Some(name) => output.bulk(name),
        None => output.null(),
    }
    output.count(counted(client, kind));
    output
}

/// Within EXEC, appends the confirmation to the array of replies; otherwise returns it, for the
/// message queue.
fn placed<'c>(ctx: &mut Context<'_>, confirmation: &'c Output) -> Option<&'c Output> {
    if ctx.client.in_exec.is_some() {
        ctx.reply.append(confirmation);
        return None;
    }
    Some(confirmation)
}

fn subscribe_to(ctx: &mut Context<'_>, kind: Kind, args: &Args<'_>) -> Handled {
    for name in args.from(1) {
        let new = names_of(ctx.client, kind).insert(name.into());
        if new {
            ctx.client.names_bytes += name_bytes(name);
        }
        let confirmation = confirmation(ctx.client, kind, Change::Subscribed, Some(name));
        let pushed = placed(ctx, &confirmation);
        let handle = &ctx.client.handle;
        if new {
            ctx.node.pubsub.subscribe(kind, name, handle, pushed);
        } else if let Some(confirmation) = pushed {
            handle.push(confirmation);
        }
    }
    ctx.client.unpublished = true;
    Ok(())
}

fn unsubscribe_from(ctx: &mut Context<'_>, kind: Kind, args: &Args<'_>) -> Handled {
    let names: Vec<Name> = if args.len() > 1 {
        args.from(1).map(Into::into).collect()
    } else {
        names_of(ctx.client, kind).iter().cloned().collect()
    };
    for name in &names {
        let had = names_of(ctx.client, kind).remove(name);
        if had {
            ctx.client.names_bytes -= name_bytes(name);
        }
        if !ctx.client.is_subscribed() {
            // From the confirmation on it gets no messages of caches in RESP2.
            ctx.client.publish();
        }
        let confirmation = confirmation(ctx.client, kind, Change::Unsubscribed, Some(name));
        let pushed = placed(ctx, &confirmation);
        let handle = &ctx.client.handle;
        if had {
            ctx.node.pubsub.unsubscribe(kind, name, handle, pushed);
        } else if let Some(confirmation) = pushed {
            handle.push(confirmation);
        }
    }
    if names.is_empty() {
        let confirmation = confirmation(ctx.client, kind, Change::Unsubscribed, None);
        if let Some(confirmation) = placed(ctx, &confirmation) {
            ctx.client.handle.push(confirmation);
        }
    }
    ctx.client.unpublished = true;
    Ok(())
}

/// Ends all of a client's subscriptions without confirmations.
pub(super) fn leave_all(node: &Node, client: &mut Client) {
    for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
        for name in std::mem::take(names_of(client, kind)) {
            client.names_bytes -= name_bytes(&name);
            node.pubsub.unsubscribe(kind, &name, &client.handle, None);
        }
    }
}

fn subscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    subscribe_to(ctx, Kind::Channel, args)
}

fn psubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    subscribe_to(ctx, Kind::Pattern, args)
}

fn ssubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    subscribe_to(ctx, Kind::ShardChannel, args)
}

fn unsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    unsubscribe_from(ctx, Kind::Channel, args)
}

fn punsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    unsubscribe_from(ctx, Kind::Pattern, args)
}

fn sunsubscribe(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    unsubscribe_from(ctx, Kind::ShardChannel, args)
}

fn publish(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.at(1) == HELLO_CHANNEL {
        ctx.node.hear_sentinel(args.at(2), &ctx.client.handle.origin);
    }
    let receivers = ctx.node.pubsub.publish(args.at(1), args.at(2));
    ctx.keys.log_always();
    ctx.keys.log_for_replicas();
    ctx.reply.count(receivers);
    Ok(())
}

fn spublish(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let receivers = ctx.node.pubsub.publish_to_shard(args.at(1), args.at(2));
    ctx.keys.log_always();
    ctx.keys.log_for_replicas();
    ctx.reply.count(receivers);
    Ok(())
}

fn list(ctx: &mut Context<'_>, args: &Args<'_>, kind: Kind) -> Handled {
    if args.len() > 3 {
        return Err(Failure::UnknownSubcommandOrArity {
            sent: args.at(1).to_vec(),
            container: "PUBSUB",
        });
    }
    let names = ctx.node.pubsub.names(kind, args.get(2));
    ctx.reply.array(names.len());
    names.iter().for_each(|name| ctx.reply.bulk(name));
    Ok(())
}

fn channels(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    list(ctx, args, Kind::Channel)
}

fn shardchannels(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    list(ctx, args, Kind::ShardChannel)
}

/// Replies with names and counts, a flat array in both protocols.
fn count_subscribers(ctx: &mut Context<'_>, args: &Args<'_>, kind: Kind) {
    ctx.reply.array((args.len() - 2) * 2);
    for name in args.from(2) {
        ctx.reply.bulk(name);
        ctx.reply.count(ctx.node.pubsub.subscribers(kind, name));
    }
}

fn numsub(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    count_subscribers(ctx, args, Kind::Channel);
    Ok(())
}

fn shardnumsub(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    count_subscribers(ctx, args, Kind::ShardChannel);
    Ok(())
}

fn numpat(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.count(ctx.node.pubsub.patterns());
    Ok(())
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}
