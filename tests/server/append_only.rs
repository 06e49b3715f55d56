//! The append only file: what survives a kill, damaged files, rewrites, full disks, and replicas.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::{Program, Server};
use crate::words;

const SOON: Duration = Duration::from_secs(30);
/// Kills in the short test, and in the long one, where `LIMPID_AOF_KILLS` overrides it.
const KILLS: usize = 4;
const KILLS_LONG: usize = 2000;

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

/// Increments a counter in `always`, reads it as another client and on a replica, and kills the
/// server: nobody has seen what is lost.
fn kill_under_writes(kills: usize) {
    let dir = TempDir::new().unwrap();
    let more = ["--appendfsync", "always", "--auto-aof-rewrite-min-size", "1kb"];
    let mut restored = 0;
    for kill in 0..kills {
        let mut server = start(dir.path(), &more);
        let now = text(&server, "GET n").parse::<i64>().unwrap_or(0);
        assert!(now >= restored, "kill {kill}: {now} of {restored}");
        let port = server.port().to_string();
        let replica = (kill % 4 == 0).then(|| {
            let replica =
                Server::limpid(&["--replicaof", &format!("127.0.0.1 {port}"), "--save", ""]);
            until("the link is up", || {
                text(&replica, "INFO replication").contains("master_link_status:up")
            });
            replica
        });
        let (acked, seen) = (Arc::new(AtomicI64::new(now)), Arc::new(AtomicI64::new(now)));
        let clients: Vec<_> = (0..4)
            .map(|index| {
                let mut client = server.connect();
                let (acked, seen) = (Arc::clone(&acked), Arc::clone(&seen));
                thread::spawn(move || {
                    let command = if index == 0 { "GET n" } else { "INCR n" };
                    while let Ok(reply) = client.call(&words(command)) {
                        let number = match &reply {
                            Reply::Integer(number) => *number,
                            other => {
                                let text = other.text().unwrap_or(b"0");
                                String::from_utf8_lossy(text).parse().unwrap()
                            }
                        };
                        if index == 0 { &seen } else { &acked }.fetch_max(number, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let wanted = now + 20 + (kill % 7) as i64;
        until("writes are acknowledged", || acked.load(Ordering::SeqCst) >= wanted);
        if kill % 3 == 0 {
            call(&server, "BGREWRITEAOF");
        }
        server.kill();
        clients.into_iter().for_each(|client| client.join().unwrap());
        restored = acked.load(Ordering::SeqCst).max(seen.load(Ordering::SeqCst));
        if let Some(replica) = replica {
            let there = text(&replica, "GET n").parse().unwrap_or(0);
            restored = restored.max(there);
        }
    }
    let server = start(dir.path(), &more);
    assert!(text(&server, "GET n").parse::<i64>().unwrap() >= restored);
}

#[test]
fn nobody_has_seen_what_a_kill_loses() {
    kill_under_writes(KILLS);
}

#[test]
#[ignore = "takes long: LIMPID_AOF_KILLS, 2000 by default"]
fn nobody_has_seen_what_many_kills_lose() {
    let kills = std::env::var("LIMPID_AOF_KILLS").ok().and_then(|kills| kills.parse().ok());
    kill_under_writes(kills.unwrap_or(KILLS_LONG));
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
    until("the rewrite ends", || info(&server, "aof_rewrite_in_progress") == "0");
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
    until("its file begins", || {
        info(&replica, "aof_rewrite_in_progress") == "0" && info(&replica, "aof_rewrites") != "0"
    });
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

#[test]
fn the_file_of_a_replica_has_the_ends_of_its_own_keys() {
    let (dir, own) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let master = start(dir.path(), &[]);
    let address = format!("127.0.0.1 {}", master.port());
    let options = ["--replicaof", &address, "--replica-read-only", "no", "--appendfsync", "always"];
    let replica = start(own.path(), &options);
    until("the link is up", || text(&replica, "INFO replication").contains("link_status:up"));
    until("its file begins", || {
        info(&replica, "aof_rewrite_in_progress") == "0" && info(&replica, "aof_rewrites") != "0"
    });
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
