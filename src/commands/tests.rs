//! Invariants of all rows.

use std::collections::BTreeSet;

use super::command::Locks;
use super::{Begin, Command, Find, Flag, KeyFlag, KeySpec, Run, all};

/// All rows with their full names, subcommands included.
fn rows() -> Vec<(String, &'static Command)> {
    let with_subcommands = |row: &'static Command| {
        let own = std::iter::once((row.name.to_owned(), row));
        let name = |sub: &'static Command| (format!("{}|{}", row.name, sub.name), sub);
        own.chain(row.subcommands.iter().map(name))
    };
    all().flat_map(with_subcommands).collect()
}

#[test]
fn names_are_unique_and_in_capitals() {
    let mut names = BTreeSet::new();
    for (name, _) in rows() {
        let plain =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"|-_".contains(&byte);
        assert!(name.bytes().all(plain), "{name}");
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
}

#[test]
fn documentation_is_filled_in() {
    for (name, row) in rows() {
        let docs = &row.docs;
        assert!(docs.summary.ends_with('.') && docs.summary.len() > 5, "{name}: {}", docs.summary);
        // As in Redis, which says nothing of what MONITOR costs.
        assert!(!docs.complexity.is_empty() || name == "MONITOR", "{name}");
        let numbers: Vec<_> = docs.since.split('.').map(str::parse::<u32>).collect();
        assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{name}: {}", docs.since);
    }
}

#[test]
fn every_row_can_run_and_takes_its_own_name() {
    for (name, row) in rows() {
        assert_ne!(row.arity.0, 0, "{name}");
        // A subcommand's own word also counts.
        let words = name.split('|').count();
        assert!(row.arity.0.unsigned_abs() as usize >= words, "{name}");
        assert!(row.subcommands.iter().all(|sub| sub.subcommands.is_empty()), "{name}");
        if matches!(row.run, Run::Subcommands) {
            assert!(!row.subcommands.is_empty(), "{name}");
            assert!(row.arity.0 == -2 && row.keys.specs().count() == 0, "{name}");
        }
    }
}

#[test]
fn containers_offer_help() {
    for (name, row) in rows().into_iter().filter(|(_, row)| !row.subcommands.is_empty()) {
        let help = row.subcommands.iter().find(|sub| sub.name == "HELP");
        let help = help.unwrap_or_else(|| panic!("{name} has no HELP"));
        assert_eq!(help.arity.0, 2, "{name}");
        assert!(help.flags.has(Flag::Loading) && help.flags.has(Flag::Stale), "{name}");
    }
}

#[test]
fn key_specifications_lie_within_the_arity() {
    for (name, row) in rows() {
        let least = row.arity.0.unsigned_abs() as usize;
        let words = name.split('|').count();
        for (nth, spec) in row.keys.specs().enumerate() {
            let Begin::Index(first) = spec.begin else { continue };
            // SUNSUBSCRIBE's channels are optional, and so are PFMERGE's sources.
            let further = nth > 0 && matches!(spec.find, Find::Range { last: ..0, .. });
            let optional = further || spec.flags.contains(&KeyFlag::NotKey);
            assert!(first >= words && (optional || first < least), "{name}");
            match spec.find {
                Find::Range { last: last @ 0.., step: 1.., .. } => {
                    assert!(optional || first + (last as usize) < least, "{name}");
                }
                Find::Range { step: 1.., .. } | Find::Number { step: 1.., .. } => {}
                _ => panic!("{name}: {:?}", spec.find),
            }
        }
    }
}

/// The access of a specification: exactly one of read, change, overwrite or remove.
fn access(name: &str, spec: &KeySpec) -> KeyFlag {
    let kinds = [KeyFlag::Ro, KeyFlag::Rw, KeyFlag::Ow, KeyFlag::Rm];
    let mut said = spec.flags.iter().filter(|flag| kinds.contains(flag));
    let one = said.next().unwrap_or_else(|| panic!("{name} does not say what it does"));
    assert!(said.next().is_none(), "{name}");
    *one
}

#[test]
fn flags_agree_with_keys() {
    for (name, row) in rows() {
        let (write, read) = (row.flags.has(Flag::Write), row.flags.has(Flag::ReadOnly));
        assert!(!(write && read), "{name}");
        let keys = row.keys.specs().filter(|spec| !spec.flags.contains(&KeyFlag::NotKey));
        let accesses: Vec<KeyFlag> = keys.map(|spec| access(&name, spec)).collect();
        let changes = accesses.iter().any(|access| *access != KeyFlag::Ro);
        // WATCH reads no values, and what a script does is its own affair.
        let values = !accesses.is_empty() && row.name != "WATCH" && !row.needs_scripts();
        assert!(!values || write || read, "{name} has keys and neither reads nor writes");
        // PFCOUNT stores the count in the key, which is no write in Redis.
        let may_change = write || row.flags.has(Flag::MayReplicate);
        assert!(!changes || may_change, "{name} changes keys");
        // XREADGROUP changes only what a group has read, which Redis calls reading.
        let changes = changes || row.name == "XREADGROUP";
        assert!(accesses.is_empty() || !write || changes, "{name} writes and changes no key");
        assert!(!row.flags.has(Flag::DenyOom) || write, "{name}");
        assert!(!row.flags.has(Flag::NoAuth) || row.flags.has(Flag::Loading), "{name}");
    }
}

#[test]
fn what_writes_without_keys_locks_everything() {
    for (name, row) in rows() {
        let keyless = row.keys.specs().count() == 0 && !row.flags.has(Flag::MovableKeys);
        if row.flags.has(Flag::Write) && keyless {
            assert_eq!(row.locks, Locks::All, "{name}");
        }
    }
}

#[test]
fn tips_are_those_that_clients_know() {
    let known = [
        "nondeterministic_output",
        "nondeterministic_output_order",
        "request_policy:all_nodes",
        "request_policy:all_shards",
        "request_policy:multi_shard",
        "request_policy:special",
        "response_policy:one_succeeded",
        "response_policy:all_succeeded",
        "response_policy:agg_logical_and",
        "response_policy:agg_logical_or",
        "response_policy:agg_min",
        "response_policy:agg_max",
        "response_policy:agg_sum",
        "response_policy:special",
    ];
    for (name, row) in rows() {
        assert!(row.tips.iter().all(|tip| known.contains(tip)), "{name}: {:?}", row.tips);
    }
}
