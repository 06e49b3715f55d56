//! Permitted differences in replies of commands on collections: tables with random seeds, random
//! choices, times.

use crate::canonical::How::Rewrite;
use crate::canonical::{Canonicaliser, row, scan_page, shape, sorted, sorted_pairs};
use crate::support::connection::Words;
use crate::support::reply::Reply;

pub(crate) const COLLECTIONS: &[Canonicaliser] = &[
    row(
        &["smembers", "sinter", "sunion", "sdiff", "spop", "hkeys", "hvals"],
        Rewrite(sorted),
        "the order is that of a table with a random seed; scenarios compare where there is another",
    ),
    row(&["hgetall"], Rewrite(sorted_pairs), "as for HKEYS"),
    row(
        &["srandmember", "hrandfield", "zrandmember", "spop-random", "xadd-now"],
        Rewrite(shape),
        "random, or of a clock; scenarios compare that the choice consists of members",
    ),
    row(
        &["sscan", "hscan", "zscan"],
        Rewrite(scan_page),
        "cursors and pages are the server's own; scenarios compare full iterations",
    ),
    row(
        &["dump"],
        Rewrite(dump),
        "tables are dumped in their order, streams with times; a scenario restores each payload on \
         the other server",
    ),
    row(
        &["xinfo stream", "xinfo groups", "xinfo consumers", "xpending"],
        Rewrite(without_times),
        "times of delivery and idle times; the nodes of a radix tree are of Redis's own",
    ),
    row(
        &["geosearch", "georadius", "georadius_ro", "georadiusbymember", "georadiusbymember_ro"],
        Rewrite(places),
        "without COUNT or an order, places come as they are found; equally far ones in any order",
    ),
];

/// Types of values in a payload.
const TYPE_SET: u8 = 2;
const TYPE_HASH: u8 = 4;
const TYPE_STREAM: u8 = 19;
const TYPE_HASH_LISTPACK: u8 = 16;

/// Keeps the length of what comes in a random order. A hash in a listpack may have been loaded from
/// a table: compressed, its length depends on the order, too.
fn dump(_: &Words, reply: Reply) -> Reply {
    match reply {
        Reply::Bulk(payload) => match payload.first().copied() {
            Some(TYPE_SET | TYPE_HASH | TYPE_STREAM) => Reply::Array(vec![
                Reply::Integer(payload[0].into()),
                Reply::Integer(payload.len().try_into().unwrap_or(i64::MAX)),
            ]),
            Some(TYPE_HASH_LISTPACK) => Reply::Integer(TYPE_HASH_LISTPACK.into()),
            _ => Reply::Bulk(payload),
        },
        other => other,
    }
}

/// Every millisecond of this century is above.
const MOMENT_MS: i64 = 1_000_000_000_000;

/// Replaces times of the wall clock, idle times, and sizes of a structure that only Redis has.
fn without_times(words: &Words, reply: Reply) -> Reply {
    let is_pending = words[0].eq_ignore_ascii_case(b"XPENDING");
    match reply {
        Reply::Array(entries) if is_pending && words.len() > 3 => {
            Reply::Array(entries.into_iter().map(without_idle_time).collect())
        }
        reply => masked(reply),
    }
}

/// An entry of XPENDING: id, consumer, idle time, deliveries.
fn without_idle_time(entry: Reply) -> Reply {
    match entry {
        Reply::Array(mut fields) if fields.len() == 4 => {
            if matches!(fields[2], Reply::Integer(0..)) {
                fields[2] = Reply::Integer(0);
            }
            Reply::Array(fields)
        }
        other => other,
    }
}

fn masked(reply: Reply) -> Reply {
    let is_masked =
        |name: &Reply| matches!(name.text(), Some(b"idle" | b"seen-time" | b"radix-tree-nodes"));
    match reply {
        Reply::Integer(MOMENT_MS..) => Reply::Integer(MOMENT_MS),
        Reply::Array(items) => {
            let names = items.clone();
            let item = |(index, item): (usize, Reply)| match (index, item) {
                (1.., Reply::Integer(0..)) if is_masked(&names[index - 1]) => Reply::Integer(0),
                (_, item) => masked(item),
            };
            Reply::Array(items.into_iter().enumerate().map(item).collect())
        }
        Reply::Map(pairs) => {
            let pair = |(name, value): (Reply, Reply)| match value {
                Reply::Integer(0..) if is_masked(&name) => (name, Reply::Integer(0)),
                value => (name, masked(value)),
            };
            Reply::Map(pairs.into_iter().map(pair).collect())
        }
        other => other,
    }
}

/// Sorts places, unless an order is asked for of those that are never equally far.
fn places(words: &Words, reply: Reply) -> Reply {
    let has = |option: &str| words.iter().any(|word| word.eq_ignore_ascii_case(option.as_bytes()));
    let is_ordered = has("COUNT") || has("ASC") || has("DESC");
    if is_ordered && words[1].starts_with(b"~geo") { reply } else { sorted(words, reply) }
}
