//! Eviction without sockets: memory used is the bytes of the keys.

use std::sync::Arc;

use crate::engine::fixture::{Fixture, START_MS};
use crate::keyspace::ShardSet;
use crate::node::admission::Condition;
use crate::settings::Settings;

/// A fixture with settings of CONFIG SET, whose memory is that of its keys.
fn fixture(settings: &[(&str, &str)]) -> Fixture {
    let mut fixture = Fixture::with(with(settings), &[]);
    let keyspace = Arc::clone(&fixture.node().keyspace);
    *fixture.host.counted.lock() = Some(keyspace);
    fixture.run("a", "PING");
    fixture
}

fn with(settings: &[(&str, &str)]) -> Settings {
    let pairs = settings.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Settings::default().set(&pairs.collect::<Vec<_>>()).unwrap().0
}

fn used(fixture: &Fixture) -> u64 {
    fixture.node().keyspace.bytes() as u64
}

fn limit(fixture: &mut Fixture, bytes: u64) {
    assert_eq!(fixture.run("a", &format!("CONFIG SET maxmemory {bytes}")), "+OK");
}

/// Sets keys of 32 bytes each, the first `expiring` of them with an expiry in the same room.
fn fill(fixture: &mut Fixture, keys: usize) {
    for number in 0..keys {
        assert_eq!(fixture.run("a", &format!("SET key:{number:03} value")), "+OK");
    }
}

fn evicted(fixture: &Fixture) -> u64 {
    fixture.node().stats.eviction.keys.get()
}

fn has(fixture: &mut Fixture, number: usize) -> bool {
    fixture.run("a", &format!("EXISTS key:{number:03}")) == ":1"
}

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

#[test]
fn without_eviction_only_commands_that_need_memory_are_refused() {
    let mut fixture = fixture(&[]);
    fill(&mut fixture, 10);
    limit(&mut fixture, 1);
    fixture.transcript(&format!(
        "a: SET new v -> {OOM}
         a: APPEND key:001 x -> {OOM}
         a: GET key:001 -> $5 value
         a: DEL key:000 -> :1
         a: NOSUCH -> -ERR unknown command 'NOSUCH', with args beginning with:
         a: SET x -> -ERR wrong number of arguments for 'set' command
         a: EXPIRE key:001 100 -> :1
         a: CONFIG SET maxmemory 0 -> +OK
         a: SET new v -> +OK"
    ));
    assert_eq!(evicted(&fixture), 0);
    assert!(fixture.run("a", "INFO errorstats").contains("errorstat_OOM:count=2"));
    assert!(
        fixture
            .run("a", "INFO commandstats")
            .contains("cmdstat_append:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1")
    );
}

#[test]
fn a_transaction_queues_nothing_while_memory_is_short() {
    let mut fixture = fixture(&[]);
    fill(&mut fixture, 10);
    limit(&mut fixture, 1);
    fixture.transcript(&format!(
        "a: MULTI -> +OK
         a: GET key:001 -> {OOM}
         a: EXEC -> -EXECABORT Transaction discarded because of previous errors.
         a: MULTI -> +OK
         a: WATCH k -> {OOM}
         a: DISCARD -> +OK
         a: CONFIG SET maxmemory 0 -> +OK
         a: MULTI -> +OK
         a: SET x y -> +QUEUED
         b: CONFIG SET maxmemory 1 -> +OK
         a: EXEC -> -EXECABORT Transaction discarded because of: OOM command not allowed when \
         used memory > 'maxmemory'.
         b: CONFIG SET maxmemory 0 -> +OK
         a: MULTI -> +OK
         a: GET key:001 -> +QUEUED
         b: CONFIG SET maxmemory 1 -> +OK
         a: EXEC -> *1 $5 value"
    ));
}

#[test]
fn a_script_may_not_begin_to_write_while_memory_is_short() {
    let mut fixture = fixture(&[]);
    fixture.run("a", "SET k v");
    limit(&mut fixture, 1);
    fixture.transcript(&format!(
        r#"a: EVAL "return redis.call('SET','x','y')" 0 -> {OOM} script: 369f960080b4f0c7c9cb056e5a6c243089894dff, on @user_script:1.
        a: EVAL "return redis.pcall('SET','x','y')" 0 -> {OOM}
        # What has begun to write goes on.
        a: EVAL "redis.call('DEL','k') return redis.call('SET','x','y')" 0 -> +OK
        a: EVAL "return redis.call('GET','x')" 0 -> $1 y
        a: EVAL "\x23!lua\nreturn 1" 0 -> {OOM}
        a: EVAL "\x23!lua flags=allow-oom\nreturn redis.call('SET','x','z')" 0 -> +OK
        a: EVAL "\x23!lua flags=no-writes\nreturn redis.call('GET','x')" 0 -> $1 z"#
    ));
}

#[test]
fn an_unauthenticated_client_is_told_so_and_evicts_nothing() {
    let mut fixture = fixture(&[("maxmemory-policy", "allkeys-lru")]);
    fill(&mut fixture, 10);
    let before = fixture.node().keyspace.len(0);
    fixture.run("a", "CONFIG SET requirepass secret maxmemory 1");
    assert_eq!(fixture.run("b", "SET x y"), "-NOAUTH Authentication required.");
    assert_eq!(fixture.node().keyspace.len(0), before);
}

#[test]
fn each_policy_evicts_what_it_may_and_no_more_than_it_takes() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let mut fixture = fixture(&[("maxmemory-policy", policy)]);
        fill(&mut fixture, 400);
        for number in 0..200 {
            fixture.run("a", &format!("EXPIRE key:{number:03} {}", 1000 + number));
        }
        let bytes = used(&fixture);
        let goal = bytes - bytes / 4;
        limit(&mut fixture, goal);
        assert_eq!(fixture.run("a", "PING"), "+PONG");
        let left = used(&fixture);
        assert!(left <= goal, "{policy}: {left} of {goal}");
        // One key less would have been too few.
        assert!(left + 48 > goal, "{policy}: {left} of {goal}");
        assert_eq!(evicted(&fixture) as usize, 400 - fixture.node().keyspace.len(0), "{policy}");
        let kept = (200..400).filter(|&number| has(&mut fixture, number)).count();
        assert_eq!(kept == 200, policy.starts_with("volatile"), "{policy}: {kept}");
    }
}

#[test]
fn where_nothing_may_be_evicted_any_more_writes_are_refused() {
    let mut fixture = fixture(&[("maxmemory-policy", "volatile-lru")]);
    fill(&mut fixture, 100);
    fixture.run("a", "EXPIRE key:007 1000");
    limit(&mut fixture, 100);
    assert_eq!(fixture.run("a", "SET x y"), OOM);
    assert!(!has(&mut fixture, 7));
    assert_eq!((evicted(&fixture), fixture.node().keyspace.len(0)), (1, 99));
    fixture.run("a", "CONFIG SET maxmemory-policy allkeys-lru");
    assert_eq!(fixture.run("a", "SET x y"), "+OK");
    assert_eq!(fixture.run("a", "PING"), "+PONG");
    assert!(used(&fixture) <= 100);
}

#[test]
fn lru_keeps_what_was_used_last() {
    let mut fixture = fixture(&[("maxmemory-policy", "allkeys-lru"), ("maxmemory-samples", "64")]);
    for number in 0..100 {
        fixture.clock.advance_ms(1000);
        fixture.run("a", &format!("SET key:{number:03} value"));
    }
    fixture.clock.advance_ms(1000);
    (0..10).for_each(|number| drop(fixture.run("a", &format!("GET key:{number:03}"))));
    let half = used(&fixture) / 2;
    limit(&mut fixture, half);
    fixture.run("a", "PING");
    assert!((0..10).all(|number| has(&mut fixture, number)), "those read last stay");
    let kept = (60..100).filter(|&number| has(&mut fixture, number)).count();
    assert_eq!(kept, 40, "those written last stay");
}

#[test]
fn lfu_keeps_what_was_used_often() {
    let mut fixture = fixture(&[("maxmemory-policy", "allkeys-lfu"), ("maxmemory-samples", "64")]);
    fill(&mut fixture, 100);
    for number in 0..20 {
        (0..50).for_each(|_| drop(fixture.run("a", &format!("GET key:{number:03}"))));
    }
    let third = used(&fixture) / 3;
    limit(&mut fixture, third);
    fixture.run("a", "PING");
    assert!((0..20).all(|number| has(&mut fixture, number)));
}

#[test]
fn ttl_keeps_what_lives_long() {
    let mut fixture = fixture(&[("maxmemory-policy", "volatile-ttl"), ("maxmemory-samples", "64")]);
    for number in 0..100 {
        fixture.run("a", &format!("SET key:{number:03} v EX {}", 10_000 - number));
    }
    let half = used(&fixture) / 2;
    limit(&mut fixture, half);
    fixture.run("a", "PING");
    assert!((0..40).all(|number| has(&mut fixture, number)));
    assert!((60..100).all(|number| !has(&mut fixture, number)));
}

#[test]
fn an_eviction_is_an_event_a_change_for_watchers_and_its_own_unit_in_the_log() {
    for (lazy, command) in [("no", "DEL"), ("yes", "UNLINK")] {
        let mut fixture = fixture(&[
            ("maxmemory-policy", "allkeys-lru"),
            ("notify-keyspace-events", "Ee"),
            ("lazyfree-lazy-eviction", lazy),
        ]);
        fixture.run("a", "SET key:000 value");
        fixture.run("a", "SELECT 3");
        fixture.run("a", "SET key:001 value");
        fixture.run("w", "WATCH key:000");
        fixture.run("s", "PSUBSCRIBE __key*__:*");
        fixture.node().log.start(1 << 20);
        limit(&mut fixture, 1);
        assert_eq!(fixture.run("b", "PING"), "+PONG");
        assert_eq!(evicted(&fixture), 2);
        fixture.transcript("w: MULTI -> +OK\nw: PING -> +QUEUED\nw: EXEC -> *-1");
        let logged = fixture.node().log.bytes_from(0).unwrap();
        let logged = String::from_utf8(logged).unwrap();
        assert!(!logged.contains("MULTI"), "{logged}");
        for number in 0..2 {
            let unit = format!("${}\r\n{command}\r\n$7\r\nkey:00{number}\r\n", command.len());
            assert!(logged.contains(&unit), "{logged}");
        }
        let events = fixture.run("s", "PING");
        for channel in ["__keyevent@0__:evicted $7 key:000", "__keyevent@3__:evicted $7 key:001"] {
            assert!(events.contains(channel), "{events}");
        }
    }
}

#[test]
fn nothing_is_evicted_in_a_pause_while_loading_or_on_a_replica() {
    let mut fixture = fixture(&[("maxmemory-policy", "allkeys-lru")]);
    fill(&mut fixture, 10);
    limit(&mut fixture, 1);
    let set = |fixture: &Fixture, condition, on| {
        let mut guard = fixture.node().keyspace.lock(ShardSet::ALL);
        fixture.node().admission.set(&guard.locked(), condition, on);
    };
    for condition in [Condition::Loading, Condition::PausedWrites, Condition::Replica] {
        set(&fixture, condition, true);
        fixture.run("a", "PING");
        assert_eq!(evicted(&fixture), 0, "{condition:?}");
        set(&fixture, condition, false);
    }
    set(&fixture, Condition::Replica, true);
    fixture.run("a", "CONFIG SET replica-ignore-maxmemory no");
    fixture.run("a", "PING");
    assert_eq!(evicted(&fixture), 10);
}

#[test]
fn what_has_expired_is_logged_as_lazyfree_says() {
    for (lazy, command) in [("no", "DEL"), ("yes", "UNLINK")] {
        let mut fixture = fixture(&[("lazyfree-lazy-expire", lazy)]);
        fixture.run("a", "SET k v PX 40");
        fixture.node().log.start(1 << 20);
        fixture.clock.advance_ms(50);
        assert_eq!(fixture.run("a", "GET k"), "$-1");
        let logged = String::from_utf8(fixture.node().log.bytes_from(0).unwrap()).unwrap();
        assert!(logged.ends_with(&format!("{command}\r\n$1\r\nk\r\n")), "{logged}");
    }
}

#[test]
fn the_time_beyond_the_limit_is_counted() {
    let mut fixture = fixture(&[]);
    fill(&mut fixture, 10);
    limit(&mut fixture, 1);
    fixture.run("a", "PING");
    fixture.clock.advance_ms(1500);
    let figures = |fixture: &mut Fixture| {
        let info = fixture.run("a", "INFO stats");
        let figure = |name: &str| {
            let (_, rest) = info.split_once(&format!("{name}:")).unwrap();
            rest.split(' ').next().unwrap().to_owned()
        };
        [figure("current_eviction_exceeded_time"), figure("total_eviction_exceeded_time")]
    };
    assert_eq!(figures(&mut fixture), ["1500", "1500"]);
    limit(&mut fixture, 1 << 40);
    fixture.run("a", "PING");
    fixture.clock.advance_ms(1000);
    assert_eq!(figures(&mut fixture), ["0", "1500"]);
    limit(&mut fixture, 1);
    fixture.run("a", "PING");
    fixture.clock.advance_ms(200);
    assert_eq!(figures(&mut fixture), ["200", "1700"]);
}

#[test]
fn accesses_are_counted_under_lfu_and_timed_otherwise() {
    let mut fixture = fixture(&[]);
    let not = |which: &str, lacks: &str| {
        format!(
            "-ERR An LFU maxmemory policy is {which} selected, {lacks} not tracked. Please note \
             that when switching between policies at runtime LRU and LFU data will take some time \
             to adjust."
        )
        .replace("  ", " ")
    };
    let (no_lfu, lfu) = (not("not", "access frequency"), not("", "idle time"));
    fixture.transcript(&format!(
        "a: SET k v -> +OK
         a: OBJECT FREQ k -> {no_lfu}
         a: OBJECT FREQ none -> $-1
         a: CONFIG SET maxmemory-policy allkeys-lfu -> +OK
         a: OBJECT IDLETIME k -> {lfu}
         a: OBJECT IDLETIME none -> $-1
         a: SET fresh v -> +OK
         a: OBJECT FREQ fresh -> :5
         a: GET fresh -> $1 v
         # The first increment is certain.
         a: OBJECT FREQ fresh -> :6
         a: OBJECT FREQ fresh -> :6
         a: CONFIG SET lfu-log-factor 0 -> +OK
         a: GET fresh -> $1 v
         # A write is an access, and only one.
         a: SET fresh w -> +OK
         a: OBJECT FREQ fresh -> :8
         a: APPEND fresh x -> :2
         a: OBJECT FREQ fresh -> :9
         a: SET n 1 -> +OK
         a: INCR n -> :2
         a: OBJECT FREQ n -> :6
         a: COPY fresh copied -> :1
         a: OBJECT FREQ copied -> :5
         a: RENAME fresh moved -> +OK
         a: OBJECT FREQ moved -> :11"
    ));
    fixture.clock.advance_ms(2 * 60_000);
    fixture.transcript(
        "a: OBJECT FREQ moved -> :9
         a: CONFIG SET lfu-decay-time 0 -> +OK
         a: OBJECT FREQ moved -> :11
         a: CONFIG SET maxmemory-policy noeviction -> +OK
         a: SET k v -> +OK
         a: OBJECT IDLETIME k -> :0",
    );
    assert_eq!(fixture.node().clock.unix_ms(), START_MS + 120_000);
}

#[test]
fn restore_takes_what_the_policy_counts() {
    let dump = r#""\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce""#;
    let mut fixture = fixture(&[("maxmemory-policy", "volatile-lfu")]);
    fixture.transcript(&format!(
        "a: RESTORE r 0 {dump} FREQ 77 -> +OK
         a: OBJECT FREQ r -> :77
         a: RESTORE i 0 {dump} IDLETIME 1000 -> +OK
         a: OBJECT FREQ i -> :5
         a: CONFIG SET maxmemory-policy volatile-lru -> +OK
         a: RESTORE r 0 {dump} REPLACE FREQ 77 -> +OK
         a: OBJECT IDLETIME r -> :0
         a: RESTORE r 0 {dump} REPLACE IDLETIME 1000 -> +OK
         a: OBJECT IDLETIME r -> :1000"
    ));
}
