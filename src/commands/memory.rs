//! MEMORY: where memory goes, and what the allocator says.

use super::command::{Group::Server, NO_KEYS, at_least, command, container, exactly, key_range};
use super::info::{Look, Usage, ratio};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*};
use crate::number::double::DoubleText;
use crate::resp::Output;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("MEMORY", SUBCOMMANDS, Server)
    .docs("4.0.0", "Depends on the subcommand.", "", "Says where memory goes.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("DOCTOR", doctor, exactly(2), &[], NO_KEYS, Server)
        .docs("4.0.0", "O(1)", "", "Looks for problems with memory.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .docs("4.0.0", "O(1)", "", "Lists the subcommands."),
    command("MALLOC-STATS", malloc_stats, exactly(2), &[], NO_KEYS, Server)
        .docs("4.0.0", "Depends on how much memory is allocated, could be slow", "", "Gives the allocator's own report.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    command("PURGE", purge, exactly(2), &[], NO_KEYS, Server)
        .docs("4.0.0", "Depends on how much memory is allocated, could be slow", "", "Makes the allocator give unused pages back.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    command("STATS", stats, exactly(2), &[], NO_KEYS, Server)
        .docs("4.0.0", "O(1)", "", "Gives memory by purpose.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    command("USAGE", usage, at_least(3), &[ReadOnly], key_range(&[Ro], 2, 0, 1), Server)
        .docs("4.0.0", "O(N) where N is the number of samples", "key [SAMPLES count]",
            "Estimates how many bytes a key takes with its value."),
];

const HELP: &[&str] = &[
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
];

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}

/// Bytes per key that a table takes in addition to its entry.
const SLOT_BYTES: usize = size_of::<u64>();

fn usage(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    // Values know their size, so sampling is unnecessary.
    for index in (3..args.len()).step_by(2) {
        let count = args.get(index + 1).filter(|_| args.is(index, "SAMPLES"));
        if Context::integer(count.ok_or(Failure::Syntax)?)? < 0 {
            return Err(Failure::Syntax);
        }
    }
    let key = ctx.keys.at(args, 2);
    match ctx.keys.locked.get(ctx.keys.database, key) {
        Some(entry) => ctx.reply.count(entry.allocated_bytes() + SLOT_BYTES),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn purge(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    ctx.node.host().purge().map_err(|_| Failure::err("Error purging dirty pages"))?;
    ctx.reply.ok();
    Ok(())
}

fn malloc_stats(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    ctx.reply.verbatim(b"txt", &ctx.node.host().allocator_report());
    Ok(())
}

/// Fields of MEMORY STATS besides one for each database with keys.
const FIELDS: usize = 27;

fn stats(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    let look = Look::new(ctx.node, ctx.registry);
    let (usage, memory, reply) = (look.usage(), look.memory(), &mut *ctx.reply);
    reply.map(FIELDS + usage.databases.len());
    counts(
        reply,
        &[
            ("peak.allocated", usage.peak),
            ("total.allocated", usage.allocated),
            ("startup.allocated", usage.startup),
            ("replication.backlog", usage.backlog),
            ("clients.slaves", usage.clients_replicas),
            ("clients.normal", usage.clients_normal),
            // There are no cluster and no append-only file.
            ("cluster.links", 0),
            ("aof.buffer", 0),
            ("lua.caches", usage.scripts),
            ("functions.caches", usage.functions),
        ],
    );
    for database in &usage.databases {
        reply.bulk(format!("db.{}", database.index).as_bytes());
        reply.map(3);
        let (main, expires) = (database.main, database.expires);
        counts(
            reply,
            &[("overhead.hashtable.main", main), ("overhead.hashtable.expires", expires)],
        );
        counts(reply, &[("overhead.hashtable.slot-to-keys", 0)]);
    }
    let beyond = usage.beyond_start().max(1);
    counts(
        reply,
        &[
            ("overhead.total", usage.overhead),
            ("keys.count", usage.keys()),
            ("keys.bytes-per-key", beyond.checked_div(usage.keys()).unwrap_or(0)),
            ("dataset.bytes", usage.dataset),
        ],
    );
    double(reply, "dataset.percentage", ratio(usage.dataset, beyond) * 100.0);
    double(reply, "peak.percentage", ratio(usage.allocated, usage.peak) * 100.0);
    counts(
        reply,
        &[
            ("allocator.allocated", memory.allocator_allocated),
            ("allocator.active", memory.active),
            ("allocator.resident", memory.allocator_resident),
        ],
    );
    for excess in Excess::all(&look) {
        double(reply, excess.names[0], excess.ratio);
        reply.bulk(excess.names[1].as_bytes());
        reply.integer(excess.bytes);
    }
    Ok(())
}

fn counts(reply: &mut Output, fields: &[(&str, u64)]) {
    for (name, bytes) in fields {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(*bytes).unwrap_or(i64::MAX));
    }
}

/// Of single precision, as in Redis.
fn double(reply: &mut Output, name: &str, value: f64) {
    reply.bulk(name.as_bytes());
    reply.double(DoubleText::new((value as f32).into()).as_bytes());
}

/// How far one measure of memory exceeds the next one within it.
struct Excess {
    names: [&'static str; 2],
    ratio: f64,
    bytes: i64,
}

impl Excess {
    fn new(names: [&'static str; 2], outer: u64, inner: u64) -> Self {
        let bytes = i128::from(outer) - i128::from(inner);
        Self { names, ratio: ratio(outer, inner), bytes: i64::try_from(bytes).unwrap_or(i64::MAX) }
    }

    /// Whether it is more than a ratio and more than 10 MB.
    fn is_beyond(&self, ratio: f64) -> bool {
        self.ratio > ratio && self.bytes > 10 << 20
    }

    fn all(look: &Look<'_>) -> [Self; 4] {
        let memory = look.memory();
        let (allocated, active) = (memory.allocated, memory.active);
        let with_caches = memory.allocator_allocated;
        let (pages, resident) = (memory.allocator_resident, memory.resident);
        [
            Self::new(
                ["allocator-fragmentation.ratio", "allocator-fragmentation.bytes"],
                active,
                with_caches,
            ),
            Self::new(["allocator-rss.ratio", "allocator-rss.bytes"], pages, active),
            Self::new(["rss-overhead.ratio", "rss-overhead.bytes"], resident, pages),
            Self::new(["fragmentation", "fragmentation.bytes"], resident, allocated),
        ]
    }
}

/// An instance with less is not worth a diagnosis.
const DIAGNOSED_BYTES_MIN: u64 = 5 << 20;
/// Mean memory of a client, and of all replicas' pending output, that are worth a remark.
const CLIENT_BYTES_MAX: u64 = 200 << 10;
const REPLICAS_BYTES_MAX: u64 = 10 << 20;

fn doctor(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    let look = Look::new(ctx.node, ctx.registry);
    let usage = look.usage();
    let report = if usage.allocated < DIAGNOSED_BYTES_MIN {
        diagnosis::EMPTY.to_owned()
    } else {
        let problems = problems(&look, usage);
        match problems.as_slice() {
            [] => diagnosis::HEALTHY.to_owned(),
            _ => [diagnosis::BEGIN, &problems.concat(), diagnosis::END].concat(),
        }
    };
    ctx.reply.verbatim(b"txt", report.as_bytes());
    Ok(())
}

/// What Redis's doctor would remark, by the same limits.
fn problems(look: &Look<'_>, usage: &Usage) -> Vec<&'static str> {
    let [fragmentation, pages, process, total] = Excess::all(look);
    let (clients, replicas) = (look.clients().normal as u64, look.replicas().len());
    let found = [
        (ratio(usage.peak, usage.allocated) > 1.5, diagnosis::PEAK),
        (total.is_beyond(1.4), diagnosis::TOTAL),
        (fragmentation.is_beyond(1.1), diagnosis::FRAGMENTATION),
        (pages.is_beyond(1.1), diagnosis::PAGES),
        (process.is_beyond(1.1), diagnosis::PROCESS),
        (replicas > 0 && usage.clients_replicas > REPLICAS_BYTES_MAX, diagnosis::REPLICAS),
        (usage.clients_normal / clients.max(1) > CLIENT_BYTES_MAX, diagnosis::CLIENTS),
    ];
    found.into_iter().filter_map(|(is_found, text)| is_found.then_some(text)).collect()
}

/// The doctor's words, which are Redis's.
mod diagnosis {
    pub(super) const HEALTHY: &str = "Hi Sam, I can't find any memory issue in your instance. I can only account for what \
         occurs on this base.\n";
    pub(super) const EMPTY: &str = "Hi Sam, this instance is empty or is using very little memory, my issues detector \
         can't be used in these conditions. Please, leave for your mission on Earth and fill \
         it with some data. The new Sam and I will be back to our programming as soon as I \
         finished rebooting.\n";
    pub(super) const BEGIN: &str =
        "Sam, I detected a few issues in this Redis instance memory implants:\n\n";
    pub(super) const END: &str = "I'm here to keep you safe, Sam. I want to help you.\n";
    pub(super) const PEAK: &str = " * Peak memory: In the past this instance used more than 150% the memory that is \
         currently using. The allocator is normally not able to release memory after a peak, \
         so you can expect to see a big fragmentation ratio, however this is actually \
         harmless and is only due to the memory peak, and if the Redis instance Resident Set \
         Size (RSS) is currently bigger than expected, the memory will be used as soon as you \
         fill the Redis instance with more data. If the memory peak was only occasional and \
         you want to try to reclaim memory, please try the MEMORY PURGE command, otherwise \
         the only other option is to shutdown and restart the instance.\n\n";
    pub(super) const TOTAL: &str = " * High total RSS: This instance has a memory fragmentation and RSS overhead greater \
         than 1.4 (this means that the Resident Set Size of the Redis process is much larger \
         than the sum of the logical allocations Redis performed). This problem is usually \
         due either to a large peak memory (check if there is a peak memory entry above in \
         the report) or may result from a workload that causes the allocator to fragment \
         memory a lot. If the problem is a large peak memory, then there is no issue. \
         Otherwise, make sure you are using the Jemalloc allocator and not the default libc \
         malloc. Note: The currently used allocator is \"jemalloc\".\n\n";
    pub(super) const FRAGMENTATION: &str = " * High allocator fragmentation: This instance has an allocator external \
         fragmentation greater than 1.1. This problem is usually due either to a large peak \
         memory (check if there is a peak memory entry above in the report) or may result \
         from a workload that causes the allocator to fragment memory a lot. You can try \
         enabling 'activedefrag' config option.\n\n";
    pub(super) const PAGES: &str = " * High allocator RSS overhead: This instance has an RSS memory overhead is greater \
         than 1.1 (this means that the Resident Set Size of the allocator is much larger than \
         the sum what the allocator actually holds). This problem is usually due to a large \
         peak memory (check if there is a peak memory entry above in the report), you can try \
         the MEMORY PURGE command to reclaim it.\n\n";
    pub(super) const PROCESS: &str = " * High process RSS overhead: This instance has non-allocator RSS memory overhead is \
         greater than 1.1 (this means that the Resident Set Size of the Redis process is much \
         larger than the RSS the allocator holds). This problem may be due to Lua scripts or \
         Modules.\n\n";
    pub(super) const REPLICAS: &str = " * Big replica buffers: The replica output buffers in this instance are greater than \
         10MB for each replica (on average). This likely means that there is some replica \
         instance that is struggling receiving data, either because it is too slow or because \
         of networking issues. As a result, data piles on the master output buffers. Please \
         try to identify what replica is not receiving data correctly and why. You can use \
         the INFO output in order to check the replicas delays and the CLIENT LIST command to \
         check the output buffers of each replica.\n\n";
    pub(super) const CLIENTS: &str = " * Big client buffers: The clients output buffers in this instance are greater than \
         200K per client (on average). This may result from different causes, like Pub/Sub \
         clients subscribed to channels bot not receiving data fast enough, so that data \
         piles on the Redis instance output buffer, or clients sending commands with large \
         replies or very large sequences of commands in the same pipeline. Please use the \
         CLIENT LIST command in order to investigate the issue if it causes problems in your \
         instance, or to understand better why certain clients are using a big amount of \
         memory.\n\n";
}
