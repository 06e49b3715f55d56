//! `maxmemory` in a real process, whose memory is the allocator's count.

use std::collections::HashMap;
use std::time::Duration;

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::words;

const MEGABYTE: u64 = 1 << 20;
const LIMIT: u64 = 16 * MEGABYTE;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A pseudo-random number that follows from another (SplitMix64).
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

fn info(client: &mut Connection, section: &str) -> HashMap<String, String> {
    let text = client.call(&[b"INFO", section.as_bytes()]).unwrap();
    let text = String::from_utf8_lossy(text.text().unwrap()).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn number(fields: &HashMap<String, String>, name: &str) -> u64 {
    fields[name].parse().unwrap()
}

/// Bytes that count against the limit.
fn counted(client: &mut Connection) -> u64 {
    let memory = info(client, "memory");
    number(&memory, "used_memory") - number(&memory, "mem_not_counted_for_evict")
}

/// A write of one of several types; some kilobytes on average.
fn write(number: u64) -> Vec<Vec<u8>> {
    let (key, value) = (format!("key:{number}"), random(number));
    let text = match value % 5 {
        0 => format!("SET {key} {} EX 10000", "v".repeat((value % 8000) as usize + 1)),
        1 => format!("RPUSH {key} {}", format!("element:{value} ").repeat(50)),
        2 => format!("HSET {key} field:{value} {}", "v".repeat((value % 3000) as usize + 1)),
        3 => {
            let members: Vec<_> = (0..200).map(|nth| format!("{nth} member:{nth}")).collect();
            format!("ZADD {key} {}", members.join(" "))
        }
        _ => format!("SET {key} {value}"),
    };
    text.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn memory_stays_at_the_limit_under_every_policy() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let limit = LIMIT.to_string();
        let arguments =
            ["--save", "", "--workers", "2", "--maxmemory", &limit, "--maxmemory-policy", policy];
        let server = Server::limpid(&arguments);
        let mut clients = [server.connect(), server.connect()];
        let mut looker = server.connect();
        let mut most = 0;
        for batch in 0..60 {
            for nth in 0..200 {
                let write = write(batch * 200 + nth);
                let mut write: Vec<&[u8]> = write.iter().map(Vec::as_slice).collect();
                if policy.starts_with("volatile") {
                    // What has no expiry would stay, and in the end nothing else would.
                    write = vec![b"SET", write[1], &[b'v'; 2000], b"EX", b"10000"];
                }
                let reply = clients[(nth % 2) as usize].call(&write).unwrap();
                assert!(!matches!(reply, Reply::Error(_)), "{policy}: {reply:?}");
            }
            most = most.max(counted(&mut looker));
        }
        assert!(most <= LIMIT + LIMIT / 50, "{policy}: {most} of {LIMIT} bytes");
        let left = counted(&mut looker);
        // Within the room of one large key and what threads have not told of.
        assert!(left + LIMIT / 25 > LIMIT, "{policy}: only {left} of {LIMIT} bytes are left");
        let evicted = number(&info(&mut looker, "stats"), "evicted_keys");
        assert!(evicted > 100, "{policy}: {evicted}");
    }
}

#[test]
fn a_lower_limit_evicts_at_once_without_further_commands() {
    let policy = ["--maxmemory-policy", "allkeys-lru", "--notify-keyspace-events", "Ee"];
    let server = Server::limpid(&[&["--save", ""], &policy[..]].concat());
    let mut client = server.connect();
    for number in 0..4000 {
        let key = format!("key:{number}");
        client.call(&[b"SET", key.as_bytes(), &[b'v'; 4000]]).unwrap();
    }
    let mut listener = server.connect();
    listener.call(&words("SUBSCRIBE __keyevent@0__:evicted")).unwrap();
    let limit = counted(&mut client) - 8 * MEGABYTE;
    let text = limit.to_string();
    client.call(&[b"CONFIG", b"SET", b"maxmemory", text.as_bytes()]).unwrap();
    let warning = format!("({text}) is smaller than the current memory usage");
    server.wait_for_log(&warning, TIMEOUT).expect("it warns");
    // Each takes 5 kB. They arrive while nobody sends a command.
    for _ in 0..1500 {
        listener.read_reply().unwrap();
    }
    // The last few may be on their way.
    let deadline = now() + TIMEOUT;
    while counted(&mut client) > limit + MEGABYTE / 2 {
        assert!(now() < deadline, "memory stays beyond the limit");
    }
    let evicted = number(&info(&mut client, "stats"), "evicted_keys");
    assert!((1500..2100).contains(&evicted), "{evicted}");
}

#[test]
fn a_flush_makes_room_at_once() {
    let limit = LIMIT.to_string();
    let server = Server::limpid(&["--save", "", "--maxmemory", &limit]);
    let mut client = server.connect();
    for round in 0..3 {
        let mut number = 0;
        let refusal = loop {
            number += 1;
            let key = format!("key:{round}:{number}");
            match client.call(&[b"SET", key.as_bytes(), &[b'v'; 300]]).unwrap() {
                Reply::Simple(_) => {}
                refusal => break refusal,
            }
        };
        let text = b"OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(refusal, Reply::Error(text.to_vec()));
        assert!(number > 10_000, "{number}");
        // The keys are freed in the background.
        assert_eq!(client.call(&words("FLUSHALL")).unwrap(), Reply::Simple(b"OK".to_vec()));
        assert_eq!(client.call(&words("SET k v")).unwrap(), Reply::Simple(b"OK".to_vec()));
    }
}

#[test]
fn a_file_keeps_what_the_policy_counts() {
    for (policy, question, low, high) in
        [("allkeys-lru", "OBJECT IDLETIME k", 1000, 1060), ("allkeys-lfu", "OBJECT FREQ k", 60, 77)]
    {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        let arguments = ["--maxmemory-policy", policy, "--save", "", "--dir", folder];
        let server = Server::limpid(&arguments);
        let mut client = server.connect();
        let dump = b"\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce";
        let usage: [&[u8]; 2] = match policy {
            "allkeys-lru" => [b"IDLETIME", b"1000"],
            _ => [b"FREQ", b"77"],
        };
        client.call(&[b"RESTORE", b"k", b"0", dump, usage[0], usage[1]]).unwrap();
        assert_eq!(client.call(&words("SAVE")).unwrap(), Reply::Simple(b"OK".to_vec()));
        drop((client, server));
        let server = Server::limpid(&arguments);
        let reply = server.call(&words(question)).unwrap();
        let Reply::Integer(found) = reply else { panic!("{reply:?}") };
        assert!((low..=high).contains(&found), "{policy}: {found}");
    }
}

#[test]
fn memory_commands_answer_with_figures() {
    let server = Server::limpid(&["--save", ""]);
    let mut client = server.connect();
    let Reply::Array(stats) = client.call(&words("MEMORY STATS")).unwrap() else { panic!("a map") };
    assert_eq!(stats.len(), 2 * 27);
    let doctor = |client: &mut Connection| {
        let report = client.call(&words("MEMORY DOCTOR")).unwrap();
        String::from_utf8_lossy(report.text().unwrap()).into_owned()
    };
    assert!(doctor(&mut client).starts_with("Hi Sam, this instance is empty"));
    client.call(&[b"SET", b"large", &vec![b'v'; 64 << 20]]).unwrap();
    // A peak is noted by whoever looks, and ten times a second.
    assert!(number(&info(&mut client, "memory"), "used_memory_peak") > 64 << 20);
    client.call(&words("SET small v EX 1000")).unwrap();
    client.call(&words("DEL large")).unwrap();
    // A thread of its own frees it.
    let deadline = now() + TIMEOUT;
    while number(&info(&mut client, "memory"), "lazyfree_pending_objects") > 0 {
        assert!(now() < deadline, "it is not freed");
    }
    client.call(&[b"SET", b"large", &vec![b'v'; 16 << 20]]).unwrap();
    let Reply::Array(stats) = client.call(&words("MEMORY STATS")).unwrap() else { panic!("a map") };
    assert_eq!(stats.len(), 2 * 28);
    let named = |name: &[u8]| {
        let at = stats.iter().position(|field| field.text() == Some(name)).unwrap();
        match &stats[at + 1] {
            Reply::Integer(number) => *number,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named(b"keys.count"), 2);
    assert!(named(b"dataset.bytes") > 16 << 20);
    assert!(named(b"peak.allocated") >= named(b"total.allocated"));
    assert!(doctor(&mut client).contains(" * Peak memory: In the past"));
    assert_eq!(client.call(&words("MEMORY PURGE")).unwrap(), Reply::Simple(b"OK".to_vec()));
    let report = client.call(&words("MEMORY MALLOC-STATS")).unwrap();
    let report = String::from_utf8_lossy(report.text().unwrap()).into_owned();
    assert!(report.contains("jemalloc statistics"), "{report}");
}
