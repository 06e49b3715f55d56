//! Server introspection and configuration: CONFIG, COMMAND, SLOWLOG, DEBUG.

use super::{Command, Exact, Generator, Steps, plain_command, row};
use crate::pair::Unit;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[
    row(8, Exact(config_get)),
    row(14, Exact(config_set)),
    row(2, Exact(odd_config)),
    row(10, Exact(command_get_keys)),
    row(3, Exact(command_info)),
    row(2, Exact(odd_command)),
    row(4, Exact(slowlog)),
    row(6, Command(memory_usage)),
    row(2, Command(|_| words!["LASTSAVE"])),
    row(2, Command(|_| words!["TIME"])),
    row(3, Exact(|_| words!["INFO", "keyspace"])),
    row(1, Exact(|_| words!["INFO", "nosuchsection"])),
    row(6, Exact(|w| words!["DEBUG", "OBJECT", w.key()])),
    row(3, Exact(|_| words!["DEBUG", "DIGEST"])),
    row(8, Exact(|w| [words!["DEBUG", "DIGEST-VALUE"], w.keys(3)].concat())),
    row(3, Exact(debug_protocol)),
    row(3, Exact(odd_debug)),
    row(2, Steps(slow_commands)),
    row(2, Steps(other_events)),
    row(1, Steps(reload)),
];

/// Parameters of both servers, with valid and invalid values. None changes the content or timing of
/// later replies.
const PARAMETERS: &[(&str, &[&str])] = &[
    ("timeout", &["0", "-1", "abc", "", "1.5", "2147483648", "+0", "0 0"]),
    ("maxclients", &["1000", "1500", "0", "-1", "abc", "4294967296"]),
    (
        "proto-max-bulk-len",
        &["512mb", "536870912", "1mb", "1048575", "1.5mb", "abc", "-1", "300MB"],
    ),
    ("slowlog-log-slower-than", &["abc", "-2", "", "9223372036854775808"]),
    ("slowlog-max-len", &["128", "-1", "abc", "1e3"]),
    ("notify-keyspace-events", &["Q", "KEA!", "KEA", "AKE"]),
    ("tcp-keepalive", &["300", "0", "-1", "x"]),
    ("loglevel", &["notice", "NOTICE", "foo", ""]),
    ("save", &["", "3600 1000000", "1", "0 1", "1 -1", "abc", "1  1", "3600 1000000 7200"]),
    (
        "client-output-buffer-limit",
        &[
            "pubsub 64mb 32mb 60",
            "normal 0 0 0",
            "foo 1 1 1",
            "normal 1 1",
            "normal a b c",
            "",
            "slave 256mb 64mb 60 pubsub 64mb 32mb 60",
        ],
    ),
    ("repl-backlog-size", &["1mb", "2097152", "1", "0", "-1", "abc"]),
    ("protected-mode", &["yes", "no", "YES", "maybe", "1"]),
    ("rdbcompression", &["yes", "Yes", "2", ""]),
    ("stop-writes-on-bgsave-error", &["yes", "no", "on"]),
    ("shutdown-timeout", &["10", "-1", "x"]),
    ("shutdown-on-sigterm", &["default", "nosave", "save now force", "save nosave", "foo", ""]),
    ("maxmemory", &["0", "abc", "-1", "1.5gb"]),
    ("maxmemory-policy", &["noeviction", "allkeys-lru", "volatile-ttl", "nosuch", ""]),
    ("maxmemory-samples", &["5", "10", "0", "x"]),
    ("maxmemory-eviction-tenacity", &["10", "0", "100", "101", "-1"]),
    ("lfu-log-factor", &["10", "0", "-1"]),
    ("lfu-decay-time", &["1", "0", "-1"]),
    ("lazyfree-lazy-eviction", &["no", "yes", "maybe"]),
    ("replica-ignore-maxmemory", &["yes", "no", "1"]),
    ("databases", &["16", "3"]),
    ("dbfilename", &["dump.rdb", "a/b"]),
    ("nosuchparameter", &["1", ""]),
    ("", &["1"]),
];

fn config_get(w: &mut World) -> Words {
    let any = |w: &mut World| {
        let name = w.random.pick(PARAMETERS).0;
        w.mixed_case(name.as_bytes())
    };
    match w.random.below(8) {
        0 => words!["CONFIG", "GET", any(w), any(w)],
        1 => words!["CONFIG", "GET", "slowlog-*", "notify-*"],
        2 => words!["CONFIG", "GET", "notify-keyspace-event?", "[st]lowlog-max-len"],
        3 => words!["CONFIG", "GET", "nosuch*"],
        _ => words!["CONFIG", "GET", any(w)],
    }
}

fn config_set(w: &mut World) -> Words {
    let mut words = words!["CONFIG", "SET"];
    let count = *w.random.pick(&[1, 1, 1, 1, 2, 3]);
    for _ in 0..count {
        let (name, values) = *w.random.pick(PARAMETERS);
        words.extend(words![w.mixed_case(name.as_bytes()), *w.random.pick(values)]);
    }
    if w.random.percent(5) {
        words.pop();
    }
    words
}

fn odd_config(w: &mut World) -> Words {
    match w.random.below(6) {
        0 => words!["CONFIG", "RESETSTAT"],
        1 => words!["CONFIG", "REWRITE"],
        2 => words!["CONFIG", "HELP"],
        3 => words!["CONFIG", "GET"],
        4 => words!["CONFIG", "SET", "timeout"],
        _ => words!["CONFIG", w.anything(), w.anything()],
    }
}

fn command_get_keys(w: &mut World) -> Words {
    let sub = *w.random.pick(&["GETKEYS", "GETKEYSANDFLAGS"]);
    [words!["COMMAND", sub], plain_command(w)].concat()
}

fn command_info(w: &mut World) -> Words {
    let names =
        ["GET", "set", "Object", "CLIENT", "client|id", "nosuch", "", "exec", "restore", "lcs"];
    let mut words = words!["COMMAND", "INFO"];
    for _ in 0..w.random.between(1, 3) {
        words.push(w.random.pick(&names).as_bytes().to_vec());
    }
    words
}

fn odd_command(w: &mut World) -> Words {
    match w.random.below(7) {
        0 => words!["COMMAND", "HELP"],
        1 => words!["COMMAND", "COUNT", "x"],
        2 => words!["COMMAND", "GETKEYS"],
        3 => words!["COMMAND", "DOCS", "nosuch"],
        4 => words!["COMMAND", "LIST", "FILTERBY", "PATTERN", "nosuch*"],
        5 => words!["COMMAND", "LIST", "FILTERBY", "NOSUCH", "x"],
        _ => words!["COMMAND", w.anything()],
    }
}

fn slowlog(w: &mut World) -> Words {
    match w.random.below(9) {
        0 => words!["SLOWLOG", "GET", "0"],
        1 => words!["SLOWLOG", "GET", "-2"],
        2 => words!["SLOWLOG", "GET", "abc"],
        3 => words!["SLOWLOG", "GET", "1", "2"],
        4 => words!["SLOWLOG", "LEN"],
        5 => words!["SLOWLOG", "RESET"],
        6 => words!["SLOWLOG", "HELP"],
        7 => words!["SLOWLOG"],
        _ => words!["SLOWLOG", "LEN", w.anything()],
    }
}

fn memory_usage(w: &mut World) -> Words {
    match w.random.below(4) {
        0 => words!["MEMORY", "USAGE", w.key(), "SAMPLES", w.number()],
        1 => words!["MEMORY", "USAGE", w.key(), "samples", "5"],
        _ => words!["MEMORY", "USAGE", w.key()],
    }
}

/// Every reply type of the connection's protocol.
fn debug_protocol(w: &mut World) -> Words {
    let kinds = [
        "string", "integer", "double", "bignum", "null", "array", "set", "map", "verbatim", "true",
        "false", "STRING", "nosuch",
    ];
    words!["DEBUG", "PROTOCOL", *w.random.pick(&kinds)]
}

fn odd_debug(w: &mut World) -> Words {
    match w.random.below(8) {
        0 => words!["DEBUG", "SLEEP", "0"],
        1 => words!["DEBUG", "SET-ACTIVE-EXPIRE", "1"],
        2 => words!["DEBUG", "OBJECT"],
        3 => words!["DEBUG", "DIGEST-VALUE"],
        4 => words!["DEBUG"],
        5 => words!["DEBUG", "CHANGE-REPL-ID"],
        6 => words!["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "0"],
        _ => words!["DEBUG", "DIGEST", "x"],
    }
}

/// Logs every command as slow for a while, long ones included, and compares the entries.
fn slow_commands(session: &mut Session) -> Outcome {
    let w = &mut session.world;
    let slower_than = |us: &str| words!["CONFIG", "SET", "slowlog-log-slower-than", us];
    let mut batch = vec![
        slower_than("0"),
        // After it: what comes before may have been slow.
        words!["SLOWLOG", "RESET"],
        [words!["DEL"], (0..40).map(|number: i64| number.to_string().into_bytes()).collect()]
            .concat(),
        words!["SET", w.key(), vec![b'x'; 300]],
        words!["CLIENT", "SETNAME", "slow"],
        words!["NOSUCHCOMMAND"],
        words!["GET"],
    ];
    for _ in 0..w.random.below(4) {
        batch.push(words!["GET", w.key()]);
    }
    batch.push(words!["SLOWLOG", "GET", *w.random.pick(&["3", "-1", "100"])]);
    // From here on nothing is logged, however slow the machine is.
    batch.push(slower_than("-1"));
    batch.push(words!["SLOWLOG", "GET", "-1"]);
    batch.push(words!["SLOWLOG", "RESET"]);
    batch.push(slower_than("10000"));
    session.step(Who::A, &[Unit::one_each(batch)])?;
    Ok(())
}

/// Changes the keyspace event classes for some commands.
fn other_events(session: &mut Session) -> Outcome {
    let w = &mut session.world;
    let choices =
        ["", "K", "E", "KE$", "Kg", "Ex", "KEAm", "KEAn", "KEAmn", "KEd", "KEt", "A", "KE$g"];
    let classes = *w.random.pick(&choices);
    let set = |classes: &str| words!["CONFIG", "SET", "notify-keyspace-events", classes];
    let mut batch = vec![set(classes), words!["CONFIG", "GET", "notify-keyspace-events"]];
    for _ in 0..w.random.between(5, 40) {
        let words = plain_command(w);
        // It would end the scenario early.
        if !words[0].eq_ignore_ascii_case(b"CONFIG") {
            batch.push(words);
        }
    }
    batch.push(set("KEA"));
    session.drain()?;
    if session.plan.batch_max > 1 {
        session.step(Who::A, &[Unit::one_each(batch)])?;
    } else {
        for words in batch {
            session.command(Who::A, words)?;
        }
    }
    session.drain()
}

/// Saves and reloads: the data must stay the same.
fn reload(session: &mut Session) -> Outcome {
    session.drain()?;
    session.command(Who::A, words!["DEBUG", "RELOAD"])?;
    session.drain()?;
    session.compare_digests()
}
