//! LATENCY: histograms of command latencies, and the spikes over a threshold.

mod doctor;
mod graph;

use super::command::{Group::Server, NO_KEYS, at_least, command, container, exactly};
use super::{Args, Command, Context, Failure, Flag::*, Handled};
use crate::telemetry::counter::{BUCKETS, bound_us};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("LATENCY", SUBCOMMANDS, Server)
    .docs("2.8.13", "Depends on the subcommand", "", "Tells how long commands take.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("DOCTOR", doctor::doctor, exactly(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
        .docs("2.8.13", "O(1)", "", "Reports on the spikes and what may help against them."),
    command("GRAPH", graph, exactly(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
        .docs("2.8.13", "O(1)", "event", "Draws an event's spikes in text."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .docs("2.8.13", "O(1)", "", "Tells of the subcommands."),
    command("HISTOGRAM", histogram, at_least(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
        .docs("7.0.0", "O(N) in the number of commands", "[command [command ...]]", "Tells how long calls took, by command."),
    command("HISTORY", history, exactly(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
        .docs("2.8.13", "O(1)", "event", "Tells of an event's spikes."),
    command("LATEST", latest, exactly(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
        .docs("2.8.13", "O(1)", "", "Tells of each event's last spike."),
    command("RESET", reset, at_least(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("2.8.13", "O(1)", "[event [event ...]]", "Forgets the spikes, all or of some events."),
];

const HELP: &[&str] = &[
    "DOCTOR",
    "    Return a human readable latency analysis report.",
    "GRAPH <event>",
    "    Return an ASCII latency graph for the <event> class.",
    "HISTORY <event>",
    "    Return time-latency samples for the <event> class.",
    "LATEST",
    "    Return the latest latency samples for all events.",
    "RESET [<event> ...]",
    "    Reset latency data of one or more <event> classes.",
    "    (default: reset all data for all event classes)",
    "HISTOGRAM [COMMAND ...]",
    "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
    "    If no commands are specified then all histograms are replied.",
];

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}

/// Buckets are cumulative; buckets that add nothing are omitted, as in Redis.
fn histogram(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let node = ctx.node;
    let wanted: Vec<Vec<u8>> = args.from(2).map(<[u8]>::to_ascii_lowercase).collect();
    let is_wanted = |name: &str| {
        let container = name.split('|').next().unwrap_or_default();
        let asked = |word: &Vec<u8>| *word == name.as_bytes() || *word == container.as_bytes();
        wanted.is_empty() || wanted.iter().any(asked)
    };
    let told: Vec<_> = ctx
        .registry
        .all()
        .filter(|registered| is_wanted(&registered.name))
        .map(|registered| (registered.name.as_str(), node.latency(registered.id)))
        .filter(|(_, latency)| latency.count() > 0)
        .collect();
    ctx.reply.map(told.len());
    for (name, latency) in told {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.map(2);
        ctx.reply.bulk(b"calls");
        ctx.reply.integer(i64::try_from(latency.count()).unwrap_or(i64::MAX));
        ctx.reply.bulk(b"histogram_usec");
        let filled: Vec<usize> =
            (0..BUCKETS).filter(|&bucket| latency.counts[bucket] > 0).collect();
        ctx.reply.map(filled.len());
        for bucket in filled {
            let us = bound_us(bucket).unwrap_or(i64::MAX.unsigned_abs());
            let cumulative: u64 = latency.counts[..=bucket].iter().sum();
            ctx.reply.integer(i64::try_from(us).unwrap_or(i64::MAX));
            ctx.reply.integer(i64::try_from(cumulative).unwrap_or(i64::MAX));
        }
    }
    Ok(())
}

fn history(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let spikes = ctx.node.spikes.of(args.at(2));
    ctx.reply.array(spikes.len());
    for spike in spikes {
        ctx.reply.array(2);
        ctx.reply.integer(spike.at_s);
        ctx.reply.integer(spike.ms);
    }
    Ok(())
}

fn graph(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let latest = ctx.node.spikes.latest().into_iter();
    let Some((event, _, most_ms)) = latest.rev().find(|(event, ..)| event.as_bytes() == args.at(2))
    else {
        let text = [b"ERR No samples available for event '", args.at(2), b"'"];
        return Err(Failure::Bytes(text.concat()));
    };
    let spikes = ctx.node.spikes.of(args.at(2));
    let text = graph::drawn(event, &spikes, most_ms, ctx.keys.now_ms / 1000);
    ctx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

fn latest(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let latest = ctx.node.spikes.latest();
    ctx.reply.array(latest.len());
    for (event, spike, most_ms) in latest {
        ctx.reply.array(4);
        ctx.reply.bulk(event.as_bytes());
        ctx.reply.integer(spike.at_s);
        ctx.reply.integer(spike.ms);
        ctx.reply.integer(most_ms);
    }
    Ok(())
}

fn reset(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let forgotten = if args.len() == 2 {
        ctx.node.spikes.forget_all()
    } else {
        args.from(2).filter(|event| ctx.node.spikes.forget(event)).count()
    };
    ctx.reply.count(forgotten);
    Ok(())
}
