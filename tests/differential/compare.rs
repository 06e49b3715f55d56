//! Compares two replies to one command and describes the difference.

use crate::canonical::are_alike;
use crate::exceptions::is_excepted;
use crate::support::connection::Words;
use crate::support::reply::Reply;

/// Kind of difference between subject and reference.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// The subject does not have the command.
    Missing,
    /// Another type of reply, or an error on one side only.
    Type,
    /// Two errors of different texts.
    ErrorText,
    Value,
    /// More or fewer replies than commands.
    Count,
    /// The connection ended or the bytes are not RESP.
    Broken,
    /// A message to a subscriber is missing, surplus, or different.
    Message,
    /// The data differs.
    Digest,
}

/// Commands whose first argument is part of the name.
const CONTAINERS: &[&str] = &[
    "acl", "client", "command", "config", "debug", "memory", "object", "pubsub", "slowlog",
    "xgroup", "xinfo",
];

/// The name in lower case, with the subcommand where there is one.
pub(crate) fn name_of(words: &[Vec<u8>]) -> String {
    let lower = |word: &Vec<u8>| String::from_utf8_lossy(&word.to_ascii_lowercase()).into_owned();
    let name = words.first().map(lower).unwrap_or_default();
    match words.get(1) {
        Some(sub) if CONTAINERS.contains(&name.as_str()) => format!("{name} {}", lower(sub)),
        _ => name,
    }
}

/// How the replies differ; `None`: they do not. `queued`: the commands that an EXEC executes. The
/// name is that of the differing command, for EXEC the queued one.
pub(crate) fn difference(
    words: &Words,
    queued: &[Words],
    left: &Reply,
    right: &Reply,
) -> Option<(String, Kind)> {
    let name = name_of(words);
    if let ("exec", Reply::Array(lefts), Reply::Array(rights)) = (name.as_str(), left, right)
        && lefts.len() == queued.len()
        && rights.len() == queued.len()
    {
        let mut each = queued.iter().zip(lefts.iter().zip(rights));
        let first = each.find_map(|(words, (left, right))| difference(words, &[], left, right));
        return first.map(|(name, kind)| (format!("exec: {name}"), kind));
    }
    if are_alike(&name, words, left, right) || is_excepted(&name, words, left, right) {
        return None;
    }
    let is_unknown = |reply: &Reply| matches!(reply, Reply::Error(text) if text.starts_with(b"ERR unknown command"));
    let kind = match (left.is_error(), right.is_error()) {
        _ if is_unknown(right) && !is_unknown(left) => Kind::Missing,
        (true, true) => Kind::ErrorText,
        _ if left.type_name() != right.type_name() => Kind::Type,
        _ => Kind::Value,
    };
    Some((name, kind))
}

#[cfg(test)]
mod tests {
    use super::{Kind, difference};
    use crate::support::reply::Reply;

    fn kind(words: &[&str], left: Reply, right: Reply) -> Option<Kind> {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        difference(&words, &[], &left, &right).map(|(_, kind)| kind)
    }

    #[test]
    fn nothing_but_the_canonicalised_part_may_differ() {
        let bulk = |text: &str| Reply::Bulk(text.into());
        let simple = |text: &str| Reply::Simple(text.into());
        let error = |text: &str| Reply::Error(text.into());
        let number = Reply::Integer;
        let list = |items: &[&str]| Reply::Array(items.iter().map(|item| bulk(item)).collect());

        assert_eq!(kind(&["GET", "k"], bulk("v"), bulk("v")), None);
        assert_eq!(kind(&["GET", "k"], bulk("v"), bulk("w")), Some(Kind::Value));
        assert_eq!(kind(&["SET", "k", "v"], simple("OK"), bulk("OK")), Some(Kind::Type));
        assert_eq!(kind(&["GET", "k"], Reply::NullBulk, Reply::Null), Some(Kind::Type));
        assert_eq!(kind(&["GET"], error("ERR a"), error("ERR b")), Some(Kind::ErrorText));
        assert_eq!(kind(&["KEYS", "*"], list(&["a", "b"]), list(&["b", "a"])), None);
        assert_eq!(kind(&["KEYS", "*"], list(&["a"]), list(&["a", "a"])), Some(Kind::Value));
        assert_eq!(kind(&["MGET", "a"], list(&["a", "b"]), list(&["b", "a"])), Some(Kind::Value));
        assert_eq!(kind(&["ttl", "k"], number(100), number(99)), None);
        assert_eq!(kind(&["ttl", "k"], number(100), number(90)), Some(Kind::Value));
        assert_eq!(kind(&["ttl", "k"], number(0), number(-1)), Some(Kind::Value));
        assert_eq!(kind(&["ttl", "k"], number(-1), number(-2)), Some(Kind::Value));
        assert_eq!(kind(&["CLIENT", "ID"], number(3), number(9)), None);
        assert_eq!(kind(&["CLIENT", "ID"], number(3), error("ERR a")), Some(Kind::Type));
    }

    #[test]
    fn the_replies_of_exec_are_compared_as_those_of_the_queued_commands() {
        let exec = vec![b"EXEC".to_vec()];
        let queued = [vec![b"TTL".to_vec(), b"k".to_vec()], vec![b"PING".to_vec()]];
        let reply = |ttl, pong: &str| {
            Reply::Array(vec![Reply::Integer(ttl), Reply::Simple(pong.as_bytes().to_vec())])
        };
        let compare = |left, right| difference(&exec, &queued, &left, &right);
        assert_eq!(compare(reply(100, "PONG"), reply(99, "PONG")), None);
        let (name, kind) = compare(reply(100, "PONG"), reply(100, "OK")).unwrap();
        assert_eq!((name.as_str(), kind), ("exec: ping", Kind::Value));
    }
}
