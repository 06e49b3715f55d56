//! The format of COMMAND INFO: ten fields, some of them sets in any order.

use crate::support::reply::Reply;

/// Names of the fields, in order.
pub(crate) const FIELDS: &[&str] = &[
    "name",
    "arity",
    "flags",
    "first key",
    "last key",
    "step",
    "ACL categories",
    "tips",
    "key specifications",
    "subcommands",
];
pub(crate) const NAME: usize = 0;
pub(crate) const SUBCOMMANDS: usize = 9;

/// Sorts sets, and subcommands by name.
pub(crate) fn sorted_command_infos(reply: Reply) -> Reply {
    match reply {
        Reply::Array(infos) => Reply::Array(infos.into_iter().map(sorted_command_info).collect()),
        other => other,
    }
}

fn sorted_command_info(info: Reply) -> Reply {
    let Reply::Array(fields) = info else { return info };
    let field = |(index, field): (usize, Reply)| match FIELDS.get(index) {
        Some(&("flags" | "ACL categories" | "tips")) => sorted_flags(field),
        Some(&"key specifications") => sorted_deep(field),
        Some(&"subcommands") => match sorted_command_infos(field) {
            Reply::Array(mut infos) => {
                infos.sort();
                Reply::Array(infos)
            }
            other => other,
        },
        _ => field,
    };
    Reply::Array(fields.into_iter().enumerate().map(field).collect())
}

/// Sorts a set, or the array that replaces it in RESP2.
pub(crate) fn sorted_flags(reply: Reply) -> Reply {
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

/// Sorts the flags of key specifications, a set at some depth.
fn sorted_deep(reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => {
            let mut items: Vec<Reply> = items.into_iter().map(sorted_deep).collect();
            // RESP2: name, value, name, value ..
            if let Some(flags) = items.iter().position(|item| item.text() == Some(b"flags")) {
                let set = std::mem::replace(&mut items[flags + 1], Reply::Null);
                items[flags + 1] = sorted_flags(set);
            }
            Reply::Array(items)
        }
        Reply::Set(items) => {
            let mut items: Vec<Reply> = items.into_iter().map(sorted_deep).collect();
            items.sort();
            Reply::Set(items)
        }
        Reply::Map(pairs) => {
            let pairs = pairs.into_iter();
            Reply::Map(pairs.map(|(key, value)| (key, sorted_deep(value))).collect())
        }
        other => other,
    }
}
