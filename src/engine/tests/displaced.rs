//! Whatever a command displaces, it frees no large value under a shard's lock: a build with debug
//! assertions panics there (`keyspace::raw::shard::assert_unlocked`).

use crate::engine::Sweeper;
use crate::engine::fixture::Fixture;
use crate::node::host::Clock;

/// Too long to be stored within its entry.
const LARGE: &str = "SETRANGE large 20000 x";

/// Commands that displace `large`, or put another key in its place.
const DISPLACING: &[&str] = &[
    "DEL large",
    "UNLINK large",
    "GETDEL large",
    "SET large short",
    "SET large 5 KEEPTTL",
    "SET large short GET",
    "SETEX large 100 short",
    "MSET other 1 large short",
    "GETSET large short",
    "EXPIRE large -1",
    "PEXPIREAT large 1",
    "GETEX large EXAT 1",
    "EXPIRE large 100",
    "RENAME other large",
    "RENAME large other",
    "COPY other large REPLACE",
    "COPY large other",
    "COPY large other REPLACE",
    "MOVE large 1",
    "SWAPDB 0 1",
    "FLUSHDB",
    "FLUSHALL",
    "SETRANGE large 30000 tail",
];

#[test]
fn nothing_large_is_freed_under_a_lock() {
    for &command in DISPLACING {
        let mut fixture = Fixture::new();
        for round in ["plain", "expiring", "transaction"] {
            fixture.run("A", LARGE);
            fixture.run("A", "COPY large other REPLACE");
            match round {
                "expiring" => {
                    fixture.run("A", "EXPIRE large 1000");
                    fixture.run("A", command);
                }
                "transaction" => {
                    fixture.run("A", "MULTI");
                    fixture.run("A", command);
                    fixture.run("A", LARGE);
                    fixture.run("A", "EXEC");
                }
                _ => drop(fixture.run("A", command)),
            }
        }
        let reply = fixture.run("A", "PING");
        assert_eq!(reply, "+PONG", "{command}");
    }
}

/// Commands that displace a large set, or show one that they have made.
const DISPLACING_SETS: &[&str] = &[
    "SUNION set small",
    "SDIFF set small",
    "SDIFF set small small small",
    "SUNIONSTORE set small",
    "SUNIONSTORE set set small",
    "SDIFFSTORE set set",
    "SINTERSTORE set set none",
    "SPOP set 1000",
];

#[test]
fn no_large_set_is_freed_under_a_lock() {
    for &command in DISPLACING_SETS {
        let mut fixture = Fixture::new();
        let members: Vec<String> = (0..400).map(|number| format!("m{number}")).collect();
        fixture.run("A", &format!("SADD set {}", members.join(" ")));
        fixture.run("A", "SADD small m0 m1 other");
        fixture.run("A", command);
        assert_eq!(fixture.run("A", "PING"), "+PONG", "{command}");
    }
}

#[test]
fn nothing_large_that_expires_is_freed_under_a_lock() {
    let mut fixture = Fixture::new();
    fixture.run("A", LARGE);
    let dumped = fixture.run("A", "COPY large swept");
    assert_eq!(dumped, ":1");
    fixture.run("A", "PEXPIRE large 10");
    fixture.run("A", "PEXPIRE swept 10");
    fixture.clock.sleep_ms(100);
    assert_eq!(fixture.run("A", "GET large"), "$-1");
    Sweeper::default().round(&fixture.engine);
    assert_eq!(fixture.run("A", "DBSIZE"), ":0");
}
