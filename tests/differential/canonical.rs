//! Permitted differences between two correct servers, as one table: a reply is rewritten to a form
//! that must be equal, or two numbers must be close. An error is never rewritten.

use crate::canonical_collections::COLLECTIONS;
use crate::command_form::{sorted_command_infos, sorted_flags};
use crate::exceptions::is_uncommon_name;
use crate::support::connection::Words;
use crate::support::reply::Reply;

/// The reference count that Redis shows for a small integer, which it does not count.
pub(crate) const SHARED_REFCOUNT: i64 = 2_147_483_647;

/// Maximum seconds between the two servers' executions of a command.
pub(crate) const APART_SECS: i64 = 2;

pub(crate) struct Canonicaliser {
    /// Names of commands in lower case, with subcommand where there is one.
    commands: &'static [&'static str],
    how: How,
    /// Why the replies differ between two correct servers.
    reason: &'static str,
}

#[derive(Clone, Copy)]
pub(crate) enum How {
    Rewrite(fn(&Words, Reply) -> Reply),
    /// Positive numbers with at most this difference.
    Near(i64),
    Compare(fn(&Reply, &Reply) -> bool),
}

use How::{Compare, Near, Rewrite};

pub(crate) const CANONICALISERS: &[Canonicaliser] = &[
    row(&["keys"], Rewrite(sorted), "the order is that of a table with a random seed"),
    row(
        &["scan"],
        Rewrite(scan_page),
        "cursors and pages are the server's own; scenarios compare full iterations",
    ),
    row(&["randomkey"], Rewrite(shape), "random; a scenario compares that the key exists"),
    row(&["ttl", "expiretime"], Near(APART_SECS), "the two execute at different moments"),
    row(&["pttl", "pexpiretime"], Near(APART_SECS * 1_000), "the two execute at different moments"),
    row(&["object idletime"], Near(APART_SECS), "the two execute at different moments"),
    row(
        &["time", "lastsave", "memory usage", "client id"],
        Rewrite(shape),
        "a clock, a size, a counter of the server's own",
    ),
    row(
        &["client list", "client info"],
        Rewrite(client_lines),
        "ids, addresses, ages and sizes are the server's own",
    ),
    row(&["hello"], Rewrite(hello), "the id of the client is the server's own"),
    row(
        &["debug object"],
        Compare(are_objects_alike),
        "an address and clocks are in it; keys with one shared integer have one clock in Redis",
    ),
    row(
        &["slowlog get"],
        Rewrite(slowlog),
        "ids, moments, durations and addresses are the server's own",
    ),
    row(&["slowlog len"], Rewrite(shape), "which commands are slow is a matter of time"),
    row(&["config get"], Rewrite(sorted_pairs), "parameters come in the order of a table"),
    row(&["info"], Rewrite(info), "an average of times is in it"),
    row(
        &["pubsub channels", "pubsub shardchannels"],
        Rewrite(sorted),
        "the order is that of a table with a random seed",
    ),
    row(
        &["command info"],
        Rewrite(command_infos),
        "flags are sets, subcommands in the order of a table",
    ),
    row(&["command getkeysandflags"], Rewrite(keys_and_flags), "flags are sets"),
    row(
        &["acl list", "acl getuser"],
        Rewrite(acl_rules),
        "the order of single commands is that of a table with a random seed",
    ),
    row(&["acl cat"], Rewrite(sorted), "the order is that of a table with a random seed"),
    row(&["acl genpass"], Rewrite(shape), "random"),
    row(&["acl log"], Rewrite(acl_log), "ages and clients' ids and addresses are in it"),
    row(
        &[
            "acl help",
            "client help",
            "command help",
            "config help",
            "debug help",
            "memory help",
            "object help",
            "pubsub help",
            "slowlog help",
            "xgroup help",
            "xinfo help",
        ],
        Rewrite(help),
        "help is in words of one's own: lines below one that is the same",
    ),
];

pub(crate) const fn row(
    commands: &'static [&'static str],
    how: How,
    reason: &'static str,
) -> Canonicaliser {
    Canonicaliser { commands, how, reason }
}

/// Whether the two replies to a command are equivalent.
pub(crate) fn are_alike(name: &str, words: &Words, left: &Reply, right: &Reply) -> bool {
    if left == right {
        return true;
    }
    let mut rows = CANONICALISERS.iter().chain(COLLECTIONS);
    let Some(row) = rows.find(|row| row.commands.contains(&name)) else {
        return false;
    };
    debug_assert!(!row.reason.is_empty());
    match row.how {
        _ if left.is_error() || right.is_error() => false,
        Rewrite(rewrite) => rewrite(words, left.clone()) == rewrite(words, right.clone()),
        Near(most) => match (left, right) {
            (Reply::Integer(left @ 0..), Reply::Integer(right @ 0..)) => {
                left.abs_diff(*right) <= most.unsigned_abs()
            }
            _ => false,
        },
        Compare(are_alike) => are_alike(left, right),
    }
}

/// Sorts neighbouring messages that a subscriber gets for several matching patterns: their order is
/// that of a table with a random seed.
pub(crate) fn sorted_messages(mut messages: Vec<Reply>) -> Vec<Reply> {
    let of = |reply: &Reply| match reply.items() {
        Some(items) if items.len() == 4 && items[0].text() == Some(b"pmessage") => {
            Some((items[2].clone(), items[3].clone()))
        }
        _ => None,
    };
    messages
        .chunk_by_mut(|one, next| of(one).is_some() && of(one) == of(next))
        .for_each(<[Reply]>::sort);
    messages
}

/// Sorts the channels of an unsubscription from all, whose order is that of a table with a random
/// seed; keeps the falling counts.
pub(crate) fn sorted_unsubscriptions(replies: &[Reply]) -> Vec<Reply> {
    let items: Vec<_> = replies.iter().map(|reply| reply.items().unwrap_or_default()).collect();
    if items.iter().any(|items| items.len() != 3) {
        return replies.to_vec();
    }
    let mut channels: Vec<_> = items.iter().map(|items| items[1].clone()).collect();
    channels.sort();
    let is_push = |index: usize| matches!(replies[index], Reply::Push(_));
    let rebuilt = items.iter().zip(channels).enumerate().map(|(index, (items, channel))| {
        let items = vec![items[0].clone(), channel, items[2].clone()];
        if is_push(index) { Reply::Push(items) } else { Reply::Array(items) }
    });
    rebuilt.collect()
}

pub(crate) fn sorted(_: &Words, reply: Reply) -> Reply {
    match reply {
        Reply::Array(mut items) => {
            items.sort();
            Reply::Array(items)
        }
        Reply::Set(mut items) => {
            items.sort();
            Reply::Set(items)
        }
        other => other,
    }
}

pub(crate) fn sorted_pairs(_: &Words, reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => {
            let mut pairs: Vec<_> = items.chunks(2).map(<[Reply]>::to_vec).collect();
            pairs.sort();
            Reply::Array(pairs.concat())
        }
        Reply::Map(mut pairs) => {
            pairs.sort();
            Reply::Map(pairs)
        }
        other => other,
    }
}

/// Keeps the types only: numbers become 0, texts empty.
pub(crate) fn shape(_: &Words, reply: Reply) -> Reply {
    zeroed(reply)
}

fn zeroed(reply: Reply) -> Reply {
    match reply {
        Reply::Integer(_) => Reply::Integer(0),
        Reply::Bulk(_) => Reply::Bulk(Vec::new()),
        Reply::Double(_) => Reply::Double(Vec::new()),
        Reply::Array(items) => Reply::Array(items.into_iter().map(zeroed).collect()),
        Reply::Set(items) => Reply::Set(items.into_iter().map(zeroed).collect()),
        Reply::Map(pairs) => {
            let pairs = pairs.into_iter();
            Reply::Map(pairs.map(|(key, value)| (zeroed(key), zeroed(value))).collect())
        }
        other => other,
    }
}

pub(crate) fn scan_page(_: &Words, reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => match &items[..] {
            [Reply::Bulk(_), Reply::Array(_)] => Reply::Simple(b"a page".to_vec()),
            _ => Reply::Array(items),
        },
        other => other,
    }
}

/// One line for each client, by id: Redis starts its list at another client each time.
fn client_lines(_: &Words, reply: Reply) -> Reply {
    match reply {
        Reply::Bulk(text) => Reply::Bulk(client_text(&text)),
        Reply::Verbatim(text) => match text.strip_prefix(b"txt:") {
            Some(text) => Reply::Verbatim(client_text(text)),
            None => Reply::Verbatim(text),
        },
        other => other,
    }
}

fn client_text(text: &[u8]) -> Vec<u8> {
    /// Fields whose values are compared; of the others only presence and position.
    const COMPARED: &[&str] =
        &["name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp"];
    let text = String::from_utf8_lossy(text);
    let id =
        |line: &&str| -> Option<u64> { line.split(' ').next()?.strip_prefix("id=")?.parse().ok() };
    let mut lines: Vec<&str> = text.split_terminator('\n').collect();
    lines.sort_by_key(id);
    let field = |field: &str| match field.split_once('=') {
        Some((name, value)) if COMPARED.contains(&name) => format!("{name}={value}"),
        Some((name, _)) => format!("{name}=.."),
        None => field.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(field).collect::<Vec<_>>().join(" ");
    let end = if text.ends_with('\n') { "\n" } else { "" };
    let lines: Vec<_> = lines.into_iter().map(line).collect();
    (lines.join("\n") + end).into_bytes()
}

/// Every text with its rules about single commands in the order of names, between others.
fn acl_rules(_: &Words, reply: Reply) -> Reply {
    each_text(reply, sorted_rules)
}

/// A reply with something done to each text in it.
pub(crate) fn each_text(reply: Reply, to: fn(&[u8]) -> Vec<u8>) -> Reply {
    let each = |replies: Vec<Reply>| replies.into_iter().map(move |one| each_text(one, to));
    match reply {
        Reply::Bulk(text) => Reply::Bulk(to(&text)),
        Reply::Array(items) => Reply::Array(each(items).collect()),
        Reply::Map(pairs) => {
            let (names, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            Reply::Map(names.into_iter().zip(each(values)).collect())
        }
        other => other,
    }
}

/// Rules of one line with those about single commands sorted, but for subcommands that Redis lacks.
pub(crate) fn sorted_rules(text: &[u8]) -> Vec<u8> {
    let is_single = |word: &&[u8]| matches!(word, [b'+' | b'-', name, ..] if *name != b'@');
    // A selector's end is a word of its own meanwhile.
    let text = text.split(|&byte| byte == b')').collect::<Vec<_>>().join(&b" ) "[..]);
    let is_common = |word: &&[u8]| word.get(1..).is_none_or(|name| !is_uncommon_name(name));
    let mut words: Vec<&[u8]> = text.split(|&byte| byte == b' ').filter(is_common).collect();
    words
        .chunk_by_mut(|one, next| is_single(one) && is_single(next))
        .for_each(<[&[u8]]>::sort_unstable);
    words.join(&b' ')
}

/// The same, with those about categories sorted, too, which stand before those about commands.
pub(crate) fn sorted_categories(text: &[u8]) -> Vec<u8> {
    let text = sorted_rules(text);
    let is_category = |word: &&[u8]| matches!(word, [b'+' | b'-', b'@', ..]) && *word != b"-@all";
    let mut words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    words
        .chunk_by_mut(|one, next| is_category(one) && is_category(next))
        .for_each(<[&[u8]]>::sort_unstable);
    words.join(&b' ')
}

/// Entries without the age, and of the client what CLIENT LIST compares.
fn acl_log(_: &Words, reply: Reply) -> Reply {
    let field = |(name, value): (Reply, Reply)| match name.text() {
        Some(b"age-seconds") => (name, zeroed(value)),
        Some(b"client-info") => {
            let text = client_text(value.text().unwrap_or_default());
            // Of Redis 7.2: see the exceptions.
            let end = text.windows(10).position(|part| part == b" lib-name=").unwrap_or(text.len());
            (name, Reply::Bulk(text[..end].to_vec()))
        }
        _ => (name, value),
    };
    let entry = |entry: Reply| match entry {
        Reply::Map(fields) => Reply::Map(fields.into_iter().map(field).collect()),
        Reply::Array(items) => {
            let pairs = items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
            Reply::Map(pairs.map(field).collect())
        }
        other => other,
    };
    match reply {
        Reply::Array(entries) => Reply::Array(entries.into_iter().map(entry).collect()),
        other => other,
    }
}

fn hello(_: &Words, reply: Reply) -> Reply {
    let is_id = |reply: &Reply| reply.text() == Some(b"id");
    match reply {
        Reply::Map(mut pairs) => {
            pairs
                .iter_mut()
                .filter(|pair| is_id(&pair.0))
                .for_each(|pair| pair.1 = zeroed(pair.1.clone()));
            Reply::Map(pairs)
        }
        Reply::Array(mut items) => {
            if let Some(at) = items.iter().position(is_id) {
                items[at + 1] = zeroed(items[at + 1].clone());
            }
            Reply::Array(items)
        }
        other => other,
    }
}

/// Compares two lines of DEBUG OBJECT. Includes the idle time, unless in Redis the key shares its
/// value, and the value's clock, with others.
fn are_objects_alike(left: &Reply, right: &Reply) -> bool {
    let (Reply::Simple(left), Reply::Simple(right)) = (left, right) else { return false };
    let parts = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        // A hash may have been loaded from a table, in random order: compressed, the length depends
        // on it.
        let is_listpack = text.contains(" encoding:listpack ");
        let mut idle_secs = None;
        let mut field = |field: &str| match field.split_once(':') {
            Some((name @ ("at" | "lru"), _)) => format!("{name}:.."),
            Some((name @ "serializedlength", _)) if is_listpack => format!("{name}:.."),
            Some((name @ "lru_seconds_idle", value)) => {
                idle_secs = value.parse::<i64>().ok();
                format!("{name}:..")
            }
            _ => field.to_owned(),
        };
        let fields: Vec<String> = text.split(' ').map(&mut field).collect();
        (fields, idle_secs)
    };
    let ((left, left_idle), (right, right_idle)) = (parts(left), parts(right));
    let is_shared = left.iter().any(|field| *field == format!("refcount:{SHARED_REFCOUNT}"));
    let are_near = match (left_idle, right_idle) {
        (Some(left), Some(right)) => left.abs_diff(right) <= APART_SECS.unsigned_abs(),
        _ => false,
    };
    left == right && (are_near || is_shared)
}

/// Keeps the first line; the others may differ in wording.
fn help(_: &Words, reply: Reply) -> Reply {
    let Reply::Array(lines) = reply else { return reply };
    let are_lines = lines.iter().all(|line| matches!(line, Reply::Simple(_)));
    match lines.first() {
        Some(first) if are_lines && lines.len() > 2 => Reply::Array(vec![first.clone()]),
        _ => Reply::Array(lines),
    }
}

/// Keeps only entries that a scenario made certain, and of those command and client name.
fn slowlog(_: &Words, reply: Reply) -> Reply {
    let Reply::Array(entries) = reply else { return reply };
    let entry = |entry: Reply| match entry {
        Reply::Array(mut fields) if fields.len() == 6 => {
            for field in &mut fields[..3] {
                *field = zeroed(field.clone());
            }
            fields[4] = zeroed(fields[4].clone());
            Reply::Array(fields)
        }
        other => other,
    };
    Reply::Array(entries.into_iter().map(entry).collect())
}

fn info(_: &Words, reply: Reply) -> Reply {
    let rewrite = |text: Vec<u8>| {
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = |line: &str| match line.split_once(",avg_ttl=") {
            Some((counts, _)) => format!("{counts},avg_ttl=.."),
            None => line.to_owned(),
        };
        text.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n").into_bytes()
    };
    match reply {
        Reply::Bulk(text) => Reply::Bulk(rewrite(text)),
        Reply::Verbatim(text) => Reply::Verbatim(rewrite(text)),
        other => other,
    }
}

fn command_infos(_: &Words, reply: Reply) -> Reply {
    sorted_command_infos(reply)
}

fn keys_and_flags(_: &Words, reply: Reply) -> Reply {
    let Reply::Array(keys) = reply else { return reply };
    let key = |key: Reply| match key {
        Reply::Array(mut fields) if fields.len() == 2 => {
            let flags = fields.remove(1);
            Reply::Array(vec![fields.remove(0), sorted_flags(flags)])
        }
        other => other,
    };
    Reply::Array(keys.into_iter().map(key).collect())
}
