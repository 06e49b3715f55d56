//! Intended differences between limpid and Redis: one row each, with the reason. Not for
//! differences that two correct servers may have; those are in the table of canonicalisers.

use crate::canonical::{SHARED_REFCOUNT, are_alike, each_text, sorted_categories};
use crate::command_form::{NAME, SUBCOMMANDS};
use crate::support::connection::Words;
use crate::support::reply::Reply;

pub(crate) struct Exception {
    /// Names of commands in lower case, with subcommand where there is one.
    commands: &'static [&'static str],
    reason: &'static str,
    covers: fn(words: &Words, redis: &Reply, limpid: &Reply) -> bool,
}

pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        commands: &["client list", "client info"],
        reason: "CLIENT SETINFO is Redis 7.2's: clients of today send it, and its fields are shown",
        covers: |words, redis, limpid| {
            are_alike("client list", words, redis, &without_library(limpid))
        },
    },
    Exception {
        commands: &["command info"],
        reason: "some subcommands are newer than Redis 7.0, some are not there yet",
        covers: |words, redis, limpid| {
            let (redis, limpid) = (common_infos(redis), common_infos(limpid));
            are_alike("command info", words, &redis, &limpid)
        },
    },
    Exception {
        commands: &["command getkeys", "command getkeysandflags"],
        reason: "SYNC is not there yet",
        covers: |words, _, limpid| {
            words.get(2).is_some_and(|name| name.eq_ignore_ascii_case(b"sync"))
                && *limpid == Reply::Error(b"ERR Invalid command specified".to_vec())
        },
    },
    Exception {
        commands: &["acl cat"],
        reason: "some subcommands are newer than Redis 7.0",
        covers: |_, redis, limpid| {
            let sorted = |reply: &Reply| {
                let mut items = reply.items().unwrap_or_default();
                items.retain(|name| !is_uncommon(name));
                items.sort();
                items
            };
            !redis.is_error() && !limpid.is_error() && sorted(redis) == sorted(limpid)
        },
    },
    Exception {
        commands: &["acl list", "acl getuser"],
        reason: "which category describes a user best goes by how many of its commands he may run, \
                 and some categories have commands newer than Redis 7.0: the same categories may \
                 follow in another order",
        covers: |_, redis, limpid| {
            let [redis, limpid] =
                [redis, limpid].map(|reply| each_text(reply.clone(), sorted_categories));
            !redis.is_error() && redis == limpid
        },
    },
    Exception {
        commands: &["acl dryrun"],
        reason: "Redis takes a request for one without keys where one of several specifications of \
                 them finds none, also PFMERGE with one key; looks at a store's sources before its \
                 target where their count is written as no number of Redis's, as 01; and it looks for \
                 STREAMS where the command itself does not",
        covers: |words, redis, limpid| {
            let is_ok = |reply: &Reply| matches!(reply, Reply::Simple(_));
            let name = words.get(3).map(|name| name.to_ascii_lowercase()).unwrap_or_default();
            match &name[..] {
                b"zunionstore" | b"zinterstore" | b"zdiffstore" | b"pfmerge" => {
                    let is_odd =
                        |count: &Vec<u8>| count.starts_with(b"0") || count.starts_with(b"+");
                    let names_key = |reply: &Reply| match reply {
                        Reply::Bulk(text) => text.ends_with(b"' key"),
                        _ => false,
                    };
                    is_ok(redis) && !limpid.is_error()
                        || words.get(5).is_some_and(is_odd) && names_key(redis) && names_key(limpid)
                }
                b"xread" | b"xreadgroup" => is_ok(limpid) && !redis.is_error(),
                _ => false,
            }
        },
    },
    Exception {
        commands: &["command count"],
        reason: "some commands are not there yet",
        covers: |_, redis, limpid| {
            matches!((redis, limpid), (Reply::Integer(1..), Reply::Integer(1..)))
        },
    },
    Exception {
        commands: &["config set"],
        reason: "the log level 'nothing' is Redis 7.2's",
        covers: |_, redis, limpid| {
            let words = b"debug, verbose, notice, warning";
            let texts = (redis.text().unwrap_or_default(), limpid.text().unwrap_or_default());
            texts.0.ends_with(words) && texts.1 == [texts.0, b", nothing"].concat()
        },
    },
    Exception {
        commands: &["object refcount"],
        reason: "whether Redis shares a small integer depends on how it came about: COPY does not; \
                 and within a transaction the queued command that stored a value refers to it, too",
        covers: |_, redis, limpid| {
            let pair = (redis, limpid);
            COUNTS
                .iter()
                .any(|(one, other)| pair == (&Reply::Integer(*one), &Reply::Integer(*other)))
        },
    },
    Exception {
        commands: &["debug object"],
        reason: "as for OBJECT REFCOUNT",
        covers: |words, redis, limpid| {
            let Reply::Simple(text) = limpid else { return false };
            let text = String::from_utf8_lossy(text);
            COUNTS.iter().any(|(one, other)| {
                let field = |count: &i64| format!(" refcount:{count} ");
                let recounted = text.replace(&field(other), &field(one)).into_bytes();
                are_alike("debug object", words, redis, &Reply::Simple(recounted))
            })
        },
    },
    Exception {
        commands: &["object idletime"],
        reason: "in Redis all keys that hold one small integer share its clock; DEBUG OBJECT, which \
                 tells of that, is compared, and so is every command's access in a test of its own",
        covers: |_, redis, limpid| {
            matches!((redis, limpid), (Reply::Integer(0..), Reply::Integer(0..)))
        },
    },
];

/// Reference counts that Redis and limpid may report for one value.
const COUNTS: &[(i64, i64)] = &[(1, SHARED_REFCOUNT), (2, 1)];

pub(crate) fn is_excepted(name: &str, words: &Words, redis: &Reply, limpid: &Reply) -> bool {
    EXCEPTIONS.iter().any(|exception| {
        debug_assert!(!exception.reason.is_empty());
        exception.commands.contains(&name) && (exception.covers)(words, redis, limpid)
    })
}

/// Subcommands that one of the two servers lacks.
const UNCOMMON: &[(&str, &str)] = &[
    ("client|no-touch", "of Redis 7.2, and wanted"),
    ("waitaof", "of Redis 7.2, and wanted"),
    ("client|setinfo", "of Redis 7.2, and wanted: client libraries send it"),
];

/// Whether one of the servers lacks a subcommand, by its full name.
pub(crate) fn is_uncommon(name: &Reply) -> bool {
    name.text().is_some_and(is_uncommon_name)
}

pub(crate) fn is_uncommon_name(name: &[u8]) -> bool {
    let is = |(other, reason): &(&str, &str)| {
        debug_assert!(!reason.is_empty());
        name == other.as_bytes()
    };
    UNCOMMON.iter().any(is)
}

/// COMMAND INFO without uncommon subcommands.
fn common_infos(reply: &Reply) -> Reply {
    let Reply::Array(infos) = reply else { return reply.clone() };
    let is_common = |info: &Reply| match info {
        Reply::Array(fields) => !fields.get(NAME).is_some_and(is_uncommon),
        _ => true,
    };
    let info = |info: &Reply| match info {
        Reply::Array(fields) => {
            let mut fields = fields.clone();
            if let Some(Reply::Array(subcommands)) = fields.get_mut(SUBCOMMANDS) {
                subcommands.retain(is_common);
            }
            Reply::Array(fields)
        }
        other => other.clone(),
    };
    Reply::Array(infos.iter().map(info).collect())
}

/// CLIENT LIST without the fields of the client's library.
fn without_library(reply: &Reply) -> Reply {
    let without = |text: &[u8]| -> Vec<u8> {
        let text = String::from_utf8_lossy(text);
        let line = |line: &str| match line.split_once(" lib-name=") {
            Some((rest, library)) if !library.contains(" lib-ver=") => rest.to_owned() + library,
            Some((rest, _)) => rest.to_owned(),
            None => line.to_owned(),
        };
        text.split('\n').map(line).collect::<Vec<_>>().join("\n").into_bytes()
    };
    match reply {
        Reply::Bulk(text) => Reply::Bulk(without(text)),
        Reply::Verbatim(text) => Reply::Verbatim(without(text)),
        other => other.clone(),
    }
}
