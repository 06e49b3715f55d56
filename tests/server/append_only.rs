//! The append only file: what survives a kill, damaged files, rewrites, full disks, and replicas.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::{Program, Server};
use crate::words;

const SOON: Duration = Duration::from_secs(30);
/// Kills in the short test, and in the long one, where `LIMPID_AOF_KILLS` overrides it.
const KILLS: usize = 4;
const KILLS_LONG: usize = 2000;
const POLICIES: [&str; 3] = ["always", "everysec", "no"];
/// Clients that write until a kill.
const WRITERS: usize = 3;

/// Arguments of a server whose files are in a folder.
fn args<'a>(dir: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let dir = dir.to_str().unwrap();
    let common = ["--dir", dir, "--save", "", "--appendonly", "yes"];
    [&common[..], &["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"], more]
        .concat()
}

fn start(dir: &Path, more: &[&str]) -> Server {
    Server::limpid(&args(dir, more))
}

fn call(server: &Server, command: &str) -> Reply {
    server.call(&words(command)).unwrap()
}

fn text(server: &Server, command: &str) -> String {
    match call(server, command) {
        Reply::Simple(text) | Reply::Error(text) => String::from_utf8(text).unwrap(),
        other => other.text().map_or_else(String::new, |text| String::from_utf8_lossy(text).into()),
    }
}

fn info(server: &Server, field: &str) -> String {
    let all = text(server, "INFO persistence");
    let prefix = format!("{field}:");
    all.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = now() + SOON;
    while !done() {
        assert!(now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the end of the first rewrite, as of that which begins a replica's file. It is counted
/// before it is in progress, and its time is known before it is no longer: so the order of the two
/// questions matters.
fn await_first_rewrite(server: &Server) {
    until("the first rewrite ends", || {
        info(server, "aof_last_rewrite_time_sec") != "-1"
            && info(server, "aof_rewrite_in_progress") == "0"
    });
}

/// A key of each type, with some commands that are recorded in another form.
fn fill(server: &Server) {
    for command in [
        "SET a 1",
        "INCRBYFLOAT f 1.5",
        "RPUSH l 1 2 3",
        "SADD s 1 2 x",
        "ZADD z 1.5 a 2 b",
        "HSET h f v",
        "XADD st 1-1 f v",
        "XADD st 2-1 f v",
        "XGROUP CREATE st g 0",
        "XREADGROUP GROUP g me COUNT 1 STREAMS st >",
        "XADD gone 1-1 f v",
        "XDEL gone 1-1",
        "PEXPIRE h 10000000",
        "SET e v EX 10000",
        "SPOP s",
    ] {
        let reply = call(server, command);
        assert!(!reply.is_error(), "{command}: {reply}");
    }
    for number in 0..200 {
        call(server, &format!("RPUSH long {number}"));
    }
}

fn incr(dir: &Path) -> PathBuf {
    let folder = dir.join("appendonlydir");
    let manifest = fs::read_to_string(folder.join("appendonly.aof.manifest")).unwrap();
    let last = manifest.lines().rfind(|line| line.ends_with("type i")).unwrap();
    folder.join(last.split(' ').nth(1).unwrap())
}

#[test]
fn data_come_back_after_a_kill_and_a_restart_goes_on() {
    let dir = TempDir::new().unwrap();
    let mut server = start(dir.path(), &["--appendfsync", "always"]);
    fill(&server);
    for round in 0..3 {
        call(&server, &format!("SET round {round}"));
        let digest = text(&server, "DEBUG DIGEST");
        server.kill();
        server = start(dir.path(), &["--appendfsync", "always"]);
        assert_eq!(text(&server, "DEBUG DIGEST"), digest, "round {round}");
    }
    let digest = text(&server, "DEBUG DIGEST");
    assert!(server.terminate().success());
    let server = start(dir.path(), &[]);
    assert_eq!(text(&server, "DEBUG DIGEST"), digest);
    assert_eq!(text(&server, "DEBUG LOADAOF"), "OK");
    assert_eq!(text(&server, "DEBUG DIGEST"), digest);
    call(&server, "SET after 1");
    assert_eq!(text(&server, "GET after"), "1");
}

/// What the clients of a server that is killed were told.
#[derive(Debug, Default)]
struct Told {
    /// The counter's highest value that a writer got.
    acked: AtomicI64,
    /// That a reader saw.
    seen: AtomicI64,
    /// For each writer the last number that its list was acknowledged to hold.
    listed: [AtomicI64; WRITERS],
}

/// Increments a counter and appends its value to a list of the writer's own, until the server is
/// gone.
fn write_until_killed(mut client: Connection, writer: usize, told: &Told) {
    let list = format!("list{writer}");
    while let Ok(Reply::Integer(number)) = client.call(&words("INCR n")) {
        told.acked.fetch_max(number, Ordering::SeqCst);
        match client.call(&words(&format!("RPUSH {list} {number}"))) {
            Ok(Reply::Integer(_)) => told.listed[writer].store(number, Ordering::SeqCst),
            _ => return,
        }
    }
}

fn read_until_killed(mut client: Connection, told: &Told) {
    while let Ok(reply) = client.call(&words("GET n")) {
        let text = reply.text().unwrap_or(b"0");
        let number = String::from_utf8_lossy(text).parse().unwrap();
        told.seen.fetch_max(number, Ordering::SeqCst);
    }
}

/// Looks at what came back after a kill: all that was acknowledged, in order and without a gap.
/// Returns the counter.
fn check_what_came_back(server: &Server, told: &Told, what: &str) -> i64 {
    let counter = text(server, "GET n").parse::<i64>().unwrap_or(0);
    let acked = told.acked.load(Ordering::SeqCst);
    assert!(counter >= acked, "{what}: {counter} of {acked}");
    for (writer, listed) in told.listed.iter().enumerate() {
        let Reply::Array(items) = call(server, &format!("LRANGE list{writer} 0 -1")) else {
            panic!("{what}: not a list");
        };
        let number = |item: &Reply| -> i64 {
            String::from_utf8_lossy(item.text().unwrap()).parse().unwrap()
        };
        let numbers: Vec<i64> = items.iter().map(number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{what}: {numbers:?}");
        let (last, listed) = (numbers.last().copied().unwrap_or(0), listed.load(Ordering::SeqCst));
        assert!(last >= listed, "{what}: list {writer} ends with {last} before {listed}");
        // A number was counted before it was listed.
        assert!(last <= counter, "{what}: list {writer} has {last}, the counter is {counter}");
    }
    counter
}

/// Kills a server under writes, again and again: nothing is lost that a client was told of, nor that
/// a replica has; under `always` nothing that a reader has seen. A disk that makes writes wait may
/// show readers more under the other policies.
fn kill_under_writes(policy: &str, kills: usize) {
    let dir = TempDir::new().unwrap();
    let more = ["--appendfsync", policy, "--auto-aof-rewrite-min-size", "100kb"];
    let (mut told, mut floor) = (Arc::<Told>::default(), 0);
    for kill in 0..kills {
        let what = format!("{policy}, kill {kill}");
        let mut server = start(dir.path(), &more);
        let counter = check_what_came_back(&server, &told, &what);
        assert!(counter >= floor, "{what}: {counter} of {floor}");
        assert!(!call(&server, "DEL list0 list1 list2").is_error());
        let port = server.port().to_string();
        let replica = (kill % 8 == 0).then(|| {
            let replica =
                Server::limpid(&["--replicaof", &format!("127.0.0.1 {port}"), "--save", ""]);
            until("the link is up", || {
                text(&replica, "INFO replication").contains("master_link_status:up")
            });
            replica
        });
        told = Arc::default();
        let mut clients: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, told) = (server.connect(), Arc::clone(&told));
                thread::spawn(move || write_until_killed(client, writer, &told))
            })
            .collect();
        let (client, theirs) = (server.connect(), Arc::clone(&told));
        clients.push(thread::spawn(move || read_until_killed(client, &theirs)));
        let wanted = counter + 20 + (kill % 67) as i64;
        until("writes are acknowledged", || told.acked.load(Ordering::SeqCst) >= wanted);
        if kill % 3 == 0 {
            call(&server, "BGREWRITEAOF");
        }
        server.kill();
        clients.into_iter().for_each(|client| client.join().unwrap());
        floor = if policy == "always" { told.seen.load(Ordering::SeqCst) } else { 0 };
        if let Some(replica) = replica {
            floor = floor.max(text(&replica, "GET n").parse().unwrap_or(0));
        }
    }
    let server = start(dir.path(), &more);
    let counter = check_what_came_back(&server, &told, policy);
    assert!(counter >= floor, "{policy}: {counter} of {floor}");
    eprintln!("{policy}: {kills} kills, {counter} writes counted, none lost");
}

#[test]
fn a_kill_loses_nothing_under_any_policy() {
    for policy in POLICIES {
        kill_under_writes(policy, KILLS);
    }
}

#[test]
#[ignore = "takes long: LIMPID_AOF_KILLS of each policy, 2000 by default"]
fn many_kills_lose_nothing_under_any_policy() {
    let kills = std::env::var("LIMPID_AOF_KILLS").ok().and_then(|kills| kills.parse().ok());
    for policy in POLICIES {
        kill_under_writes(policy, kills.unwrap_or(KILLS_LONG));
    }
}

/// The longest time that a GET takes while something else happens, asked for again and again.
fn longest_read(server: &Server, during: impl FnOnce()) -> Duration {
    let (mut client, ended) = (server.connect(), Arc::new(AtomicBool::new(false)));
    let ends = Arc::clone(&ended);
    let reader = thread::spawn(move || {
        let mut longest = Duration::ZERO;
        while !ends.load(Ordering::SeqCst) {
            let began = now();
            assert!(!client.call(&words("GET other")).unwrap().is_error());
            longest = longest.max(now() - began);
        }
        longest
    });
    during();
    ended.store(true, Ordering::SeqCst);
    reader.join().unwrap()
}

#[test]
fn a_disk_that_makes_writers_wait_makes_no_reader_wait() {
    const WRITE: Duration = Duration::from_secs(3);
    for policy in ["everysec", "no"] {
        let dir = TempDir::new().unwrap();
        // One worker: the reader is on the writer's.
        let server = start(dir.path(), &["--appendfsync", policy, "--workers", "1", "--hz", "20"]);
        call(&server, "SET other 1");
        call(&server, "CONFIG SET latency-monitor-threshold 100");
        let mut writer = server.connect();
        writer.call(&words("PING")).unwrap();
        let slow = format!("DEBUG AOF-FLUSH-SLEEP {}", WRITE.as_micros());
        assert_eq!(text(&server, &slow), "OK");
        let longest = longest_read(&server, || {
            let began = now();
            assert_eq!(writer.call(&words("INCR n")).unwrap(), Reply::Integer(1));
            assert!(now() - began >= WRITE, "the reply leaves after the write");
        });
        assert!(longest < WRITE / 3, "{policy}: a reader waited for {longest:?}");
        assert_eq!(text(&server, "DEBUG AOF-FLUSH-SLEEP 0"), "OK");
        let history = format!("{}", call(&server, "LATENCY HISTORY aof-write"));
        assert_ne!(history, format!("{}", Reply::Array(Vec::new())), "{policy}");
        assert_eq!(text(&server, "GET n"), "1");
    }
}

#[test]
fn a_tail_that_is_cut_short_is_loaded_or_refused_as_the_settings_have_it() {
    let dir = TempDir::new().unwrap();
    let mut server = start(dir.path(), &["--appendfsync", "always"]);
    call(&server, "SET a 1");
    call(&server, "SET b 2");
    server.kill();
    let path = incr(dir.path());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let mut refused = Server::limpid_at_once(&args(dir.path(), &["--aof-load-truncated", "no"]));
    let line = "Unexpected end of file reading the append only file";
    assert!(refused.wait_for_log(line, SOON).is_some(), "{}", refused.log_text());
    assert!(!refused.wait_for_end(SOON).unwrap().success());
    let server = start(dir.path(), &[]);
    assert_eq!((text(&server, "GET a"), text(&server, "GET b")), ("1".to_owned(), String::new()));
    assert!(server.log_text().contains("bytes removed"));
    call(&server, "SET b 3");
    assert!(server.terminate().success());
    let server = start(dir.path(), &[]);
    assert_eq!(text(&server, "GET b"), "3");
}

#[test]
fn damage_and_unknown_commands_keep_the_server_from_starting() {
    let dir = TempDir::new().unwrap();
    let mut server = start(dir.path(), &["--appendfsync", "always"]);
    call(&server, "SET a 1");
    call(&server, "SET b 2");
    server.kill();
    let path = incr(dir.path());
    let whole = fs::read(&path).unwrap();
    let damaged = String::from_utf8(whole.clone()).unwrap().replacen("$1\r\na", "$9\r\na", 1);
    let unknown = [&whole[..], b"*1\r\n$3\r\nBAD\r\n"].concat();
    for (bytes, line) in [
        (damaged.into_bytes(), "Bad file format reading the append only file"),
        (unknown, "Unknown command 'BAD' reading the append only file"),
    ] {
        fs::write(&path, &bytes).unwrap();
        let mut refused = Server::limpid_at_once(&args(dir.path(), &[]));
        let found = refused.wait_for_log(line, SOON);
        assert!(found.is_some_and(|line| line.contains("offset")), "{}", refused.log_text());
        assert!(!refused.wait_for_end(SOON).unwrap().success());
        assert_eq!(fs::read(&path).unwrap(), bytes, "the file is left as it is");
    }
}

#[test]
fn bases_of_either_format_hold_the_same_data() {
    for preamble in ["yes", "no"] {
        let dir = TempDir::new().unwrap();
        let server = start(dir.path(), &["--aof-use-rdb-preamble", preamble]);
        fill(&server);
        assert_eq!(text(&server, "BGREWRITEAOF"), "Background append only file rewriting started");
        call(&server, "SET after 1");
        until("the rewrite ends", || info(&server, "aof_rewrite_in_progress") == "0");
        assert_eq!(info(&server, "aof_last_bgrewrite_status"), "ok");
        let (digest, stream) =
            (text(&server, "DEBUG DIGEST"), format!("{}", call(&server, "XPENDING st g")));
        assert!(server.terminate().success());
        let server = start(dir.path(), &[]);
        assert_eq!(text(&server, "DEBUG DIGEST"), digest, "preamble {preamble}");
        assert_eq!(format!("{}", call(&server, "XPENDING st g")), stream);
    }
}

#[test]
fn a_file_grows_by_writes_and_shrinks_by_itself() {
    let dir = TempDir::new().unwrap();
    let server = start(dir.path(), &["--auto-aof-rewrite-min-size", "10kb"]);
    let mut client = server.connect();
    until("it is rewritten", || {
        client.call(&[b"SET", b"a", &[b'x'; 1000]]).unwrap();
        info(&server, "aof_rewrites") != "0"
    });
    await_first_rewrite(&server);
    assert!(info(&server, "aof_base_size").parse::<u64>().unwrap() < 10 << 10);
}

#[test]
fn it_is_turned_on_and_off_at_run_time() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let server = Server::limpid(&["--dir", path, "--save", "", "--enable-debug-command", "yes"]);
    fill(&server);
    assert_eq!(text(&server, "CONFIG SET appendonly yes"), "OK");
    call(&server, "SET while 1");
    until("the rewrite ends", || info(&server, "aof_rewrite_in_progress") == "0");
    assert_eq!(info(&server, "aof_enabled"), "1");
    assert_eq!(text(&server, "CONFIG SET appendonly no"), "OK");
    call(&server, "SET unrecorded 1");
    assert_eq!(info(&server, "aof_enabled"), "0");
    assert_eq!(text(&server, "CONFIG SET appendonly yes"), "OK");
    until("the rewrite ends", || info(&server, "aof_rewrite_in_progress") == "0");
    let digest = text(&server, "DEBUG DIGEST");
    assert!(server.terminate().success());
    let server = start(dir.path(), &[]);
    assert_eq!(text(&server, "DEBUG DIGEST"), digest);
}

#[test]
fn writes_are_refused_while_the_disk_is_full() {
    let dir = TempDir::new().unwrap();
    // In kilobytes. The signal that comes with the error is ignored.
    let server =
        Server::limpid_after("trap '' XFSZ; ulimit -S -f 64", &args(dir.path(), &["--hz", "10"]));
    let mut client = server.connect();
    let deadline = now() + SOON;
    let refusal = loop {
        assert!(now() < deadline, "no write was refused");
        let reply = client.call(&[b"APPEND", b"a", &[b'x'; 4000]]).unwrap();
        if reply.is_error() {
            break format!("{reply}");
        }
    };
    assert!(
        refusal.contains("MISCONF Errors writing to the AOF file: File too large"),
        "{refusal}"
    );
    assert!(text(&server, "PING").contains("MISCONF"));
    assert!(text(&server, "EVAL return{redis.call('set','b',1)} 0").contains("MISCONF"));
    assert_eq!(info(&server, "aof_last_write_status"), "err");
    assert!(!call(&server, "GET a").is_error(), "reads go on");
    let pid = server.pid().to_string();
    let status =
        Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap();
    assert!(status.success());
    until("it recovers", || text(&server, "SET b 1") == "OK");
    assert_eq!(info(&server, "aof_last_write_status"), "ok");
    let digest = text(&server, "DEBUG DIGEST");
    assert!(server.terminate().success());
    let server = start(dir.path(), &[]);
    assert_eq!(text(&server, "DEBUG DIGEST"), digest);
}

#[test]
fn a_replica_keeps_a_file_of_its_own() {
    let (dir, own) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let master = start(dir.path(), &[]);
    fill(&master);
    let address = format!("127.0.0.1 {}", master.port());
    let mut replica = start(own.path(), &["--replicaof", &address, "--appendfsync", "always"]);
    until("the link is up", || text(&replica, "INFO replication").contains("link_status:up"));
    await_first_rewrite(&replica);
    for command in ["SET r 1", "EXPIRE r 1000", "INCR n", "LPUSH l 9"] {
        assert!(!call(&master, command).is_error());
    }
    assert!(!call(&master, "EVAL redis.call('set','x',1)redis.call('set','y',2) 0").is_error());
    let digest = text(&master, "DEBUG DIGEST");
    until("it has them", || text(&replica, "DEBUG DIGEST") == digest);
    let file = incr(own.path());
    until("the file has them", || fs::read(&file).unwrap().ends_with(b"EXEC\r\n"));
    let recorded = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
    assert!(!recorded.contains("PING") && !recorded.contains("REPLCONF"), "{recorded}");
    replica.kill();
    let server = start(own.path(), &[]);
    assert_eq!(text(&server, "DEBUG DIGEST"), digest);
}

/// A field of INFO.
fn stat(server: &Server, field: &str) -> String {
    let all = text(server, "INFO");
    let prefix = format!("{field}:");
    all.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
}

#[test]
fn a_replica_loads_its_file_and_goes_on() {
    let (dir, own) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let master = start(dir.path(), &[]);
    fill(&master);
    let address = format!("127.0.0.1 {}", master.port());
    let replica = start(own.path(), &["--replicaof", &address]);
    let same = |what: &str| {
        let digest = text(&master, "DEBUG DIGEST");
        until(what, || text(&replica, "DEBUG DIGEST") == digest);
    };
    await_first_rewrite(&replica);
    call(&master, "SET before 1");
    same("it has what its master has");
    assert_eq!(text(&replica, "DEBUG LOADAOF"), "OK");
    call(&master, "SET after 1");
    same("it goes on where its file ends");
    assert_eq!(stat(&master, "sync_full"), "1");

    assert_eq!(text(&replica, "CONFIG SET appendonly no"), "OK");
    call(&master, "SET unrecorded 1");
    same("it has what it does not record");
    assert_eq!(text(&replica, "DEBUG LOADAOF"), "OK");
    same("its master sends what its file lacks");
    assert_eq!(stat(&master, "sync_full"), "2");
}

#[test]
fn the_file_of_a_replica_has_the_ends_of_its_own_keys() {
    let (dir, own) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let master = start(dir.path(), &[]);
    let address = format!("127.0.0.1 {}", master.port());
    let options = ["--replicaof", &address, "--replica-read-only", "no", "--appendfsync", "always"];
    let replica = start(own.path(), &options);
    until("the link is up", || text(&replica, "INFO replication").contains("link_status:up"));
    await_first_rewrite(&replica);
    for round in 1..=2 {
        assert_eq!(text(&replica, "SET own x PX 1"), "OK");
        until("the file has its end", || {
            let recorded = fs::read(incr(own.path())).unwrap();
            String::from_utf8_lossy(&recorded).matches("DEL\r\n$3\r\nown").count() == round
        });
    }
}

#[test]
fn scripts_choose_who_gets_their_writes() {
    let dir = TempDir::new().unwrap();
    let server = start(dir.path(), &["--appendfsync", "always"]);
    for (target, key) in [("REPL_AOF", "file"), ("REPL_REPLICA", "replicas"), ("REPL_NONE", "none")]
    {
        let script = format!("redis.set_repl(redis.{target})redis.call('set','{key}',1)");
        assert!(!server.call(&[b"EVAL", script.as_bytes(), b"0"]).unwrap().is_error());
    }
    call(&server, "PUBLISH c m");
    let recorded = String::from_utf8(fs::read(incr(dir.path())).unwrap()).unwrap();
    let has = |word: &str| recorded.contains(word);
    assert_eq!(
        [has("file"), has("replicas"), has("none"), has("PUBLISH")],
        [true, false, false, false]
    );
}

#[test]
fn time_is_noted_if_asked_for() {
    let dir = TempDir::new().unwrap();
    let server = start(dir.path(), &["--appendfsync", "always", "--aof-timestamp-enabled", "yes"]);
    call(&server, "SET a 1");
    let recorded = fs::read(incr(dir.path())).unwrap();
    assert!(recorded.starts_with(b"#TS:"), "{}", String::from_utf8_lossy(&recorded));
    assert!(server.terminate().success());
    assert_eq!(text(&start(dir.path(), &[]), "GET a"), "1");
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn folders_are_exchanged_with_redis_both_ways() {
    for preamble in ["yes", "no"] {
        let dir = TempDir::new().unwrap();
        let mut program = Program::Limpid;
        let mut digest = String::new();
        for round in 0..6 {
            let more = ["--aof-use-rdb-preamble", preamble];
            let server = Server::start(program, &args(dir.path(), &more));
            if round > 0 {
                assert_eq!(text(&server, "DEBUG DIGEST"), digest, "round {round} {program:?}");
            } else {
                fill(&server);
            }
            call(&server, &format!("SET round {round}"));
            if round % 3 != 2 {
                assert!(text(&server, "BGREWRITEAOF").contains("started"));
                until("the rewrite ends", || info(&server, "aof_rewrite_in_progress") == "0");
            }
            call(&server, &format!("RPUSH rounds {round}"));
            digest = text(&server, "DEBUG DIGEST");
            assert!(server.terminate().success());
            let manifest = dir.path().join("appendonlydir/appendonly.aof.manifest");
            let checked = Command::new("redis-check-aof").arg(manifest).output().unwrap();
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
            program = if program == Program::Limpid { Program::Redis } else { Program::Limpid };
        }
    }
}
