//! Failures of the operating system, and kills at bad moments: the server continues, reports the
//! problem, and recovers; it never loses or overwrites data.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::words;

const SOON: Duration = Duration::from_secs(20);

fn await_that(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = now() + SOON;
    while !is() {
        assert!(now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn say(connection: &mut Connection, command: &str) -> String {
    let reply = connection.call(&words(command)).unwrap_or_else(|e| panic!("{command}: {e:?}"));
    match reply {
        Reply::Simple(text) | Reply::Error(text) | Reply::Bulk(text) => {
            String::from_utf8_lossy(&text).into_owned()
        }
        other => format!("{other:?}"),
    }
}

fn info(connection: &mut Connection, field: &str) -> String {
    let text = say(connection, "INFO everything");
    let prefix = format!("{field}:");
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
    value.unwrap_or_default().trim().to_owned()
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().expect("it is there");
    assert!(status.success(), "{program} {args:?}");
}

/// Connects as soon as the port accepts.
fn first_connection(server: &mut Server) -> Option<Connection> {
    let deadline = now() + SOON;
    loop {
        if let Ok(connection) = Connection::tcp(server.port()) {
            return Some(connection);
        }
        assert!(now() < deadline, "nobody listens: {}", server.log_text());
        if !server.is_running() {
            // Another process took its port meanwhile.
            return None;
        }
    }
}

#[test]
fn a_server_without_a_file_never_answers_that_it_loads() {
    let mut starts = 0;
    while starts < 30 {
        let mut server = Server::limpid_at_once(&[]);
        let Some(mut connection) = first_connection(&mut server) else { continue };
        assert_eq!(say(&mut connection, "PING"), "PONG", "start {starts}");
        assert_eq!(say(&mut connection, "SET key 1"), "OK", "start {starts}");
        assert_eq!(info(&mut connection, "loading"), "0");
        starts += 1;
    }
}

/// Writes an RDB file with this many keys, without a checksum.
fn write_file(path: &Path, keys: u32) {
    let mut bytes = b"REDIS0010\xfe\x00".to_vec();
    for key in 0..keys {
        bytes.push(0);
        for string in [format!("key:{key:010}"), "x".repeat(20)] {
            bytes.push(u8::try_from(string.len()).expect("short"));
            bytes.extend_from_slice(string.as_bytes());
        }
    }
    bytes.extend_from_slice(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    fs::write(path, bytes).expect("there is room");
}

#[test]
fn a_load_ends_with_the_process_and_overwrites_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("dump.rdb");
    write_file(&file, 3_000_000);
    let written = fs::metadata(&file).expect("written").modified().expect("a time");
    let args = ["--dir", data.path().to_str().expect("a path"), "--save", "1", "1"];
    let whole = {
        let began = now();
        let server = Server::limpid(&args);
        let whole = began.elapsed();
        server.call(&words("SHUTDOWN NOSAVE")).expect_err("it ends");
        whole
    };
    let ends: [fn(&Server) -> Instant; 3] = [
        |server| {
            let at = now();
            server.signal("TERM");
            at
        },
        |server| {
            let mut connection = server.connect();
            let at = now();
            connection.call(&words("SHUTDOWN")).expect_err("it ends");
            at
        },
        |server| {
            let mut connection = server.connect();
            let at = now();
            connection.call(&words("SHUTDOWN SAVE")).expect_err("it ends");
            at
        },
    ];
    for (way, end) in ends.into_iter().enumerate() {
        let mut server = Server::limpid_at_once(&args);
        let Some(mut connection) = first_connection(&mut server) else {
            panic!("{}", server.log_text())
        };
        let refused = say(&mut connection, "GET key:0000000000");
        assert!(refused.starts_with("LOADING "), "{refused}");
        assert_eq!(info(&mut connection, "loading"), "1");
        let at = end(&server);
        let status = server.wait_for_end(SOON).expect("it ends");
        let took = at.elapsed();
        let text = server.log_text();
        assert!(status.success(), "way {way}: {status}: {text}");
        assert!(!text.contains("DB loaded from disk") && !text.contains("saved on disk"), "{text}");
        assert!(took < whole / 2, "way {way}: {took:?} of {whole:?}");
    }
    assert_eq!(fs::metadata(&file).expect("kept").modified().expect("a time"), written);
    let names: Vec<_> = fs::read_dir(data.path()).expect("readable").flatten().collect();
    assert_eq!(names.len(), 1, "nothing is left beside the file: {names:?}");
}

/// A folder on a tmpfs, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = Self(dir);
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "none", disk.path()]);
        disk
    }

    fn path(&self) -> &str {
        self.0.path().to_str().expect("a path")
    }

    fn grow(&self, size: &str) {
        run("mount", &["-o", &format!("remount,size={size}"), self.path()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Ignores one that is still in use.
        drop(Command::new("umount").args(["-l", self.path()]).status());
    }
}

#[test]
#[ignore = "mounts a small disk, as root"]
fn a_full_disk_is_told_of_once_and_serving_goes_on() {
    let disk = Disk::new("256k");
    let args = ["--dir", disk.path(), "--save", "1", "1", "--rdbcompression", "no"];
    let server = Server::limpid(&args);
    let mut connection = server.connect();
    let value = "x".repeat(600_000);
    assert_eq!(say(&mut connection, &format!("SET large {value}")), "OK");
    await_that("the save fails", || info(&mut connection, "rdb_last_bgsave_status") == "err");
    assert!(say(&mut connection, "SET key 1").starts_with("MISCONF "));
    assert_eq!(say(&mut connection, "CONFIG SET stop-writes-on-bgsave-error no"), "OK");
    assert_eq!(say(&mut connection, "SET key 1"), "OK");
    assert_eq!(say(&mut connection, "GET large"), value);
    assert!(server.wait_for_log("No space left on device", SOON).is_some());
    for _ in 0..3 {
        let before = info(&mut connection, "total_commands_processed");
        assert_eq!(say(&mut connection, "BGSAVE"), "Background saving started", "{before}");
        await_that("it ends", || info(&mut connection, "rdb_bgsave_in_progress") == "0");
    }
    let said = || {
        let lines = server.log_lines();
        lines.iter().filter(|line| line.contains("No space left on device")).count()
    };
    assert_eq!(said(), 1, "{}", server.log_text());
    disk.grow("64m");
    await_that("the save is tried again", || {
        info(&mut connection, "rdb_last_bgsave_status") == "ok"
    });
    assert_eq!(say(&mut connection, "CONFIG SET stop-writes-on-bgsave-error yes"), "OK");
    assert_eq!(say(&mut connection, "SET key 2"), "OK");
    assert_eq!(said(), 1, "{}", server.log_text());
}

/// A user id that nothing else uses.
fn user() -> u32 {
    400_000 + std::process::id() % 100_000
}

/// Limits the threads of the server's user: 1 allows no new ones.
fn limit_threads(server: &Server, max: &str) {
    let (user, pid) = (user().to_string(), server.pid().to_string());
    let limit = format!("--nproc={max}:");
    let as_user = ["--reuid", &user, "--regid", &user, "--clear-groups"];
    run("setpriv", &[&as_user[..], &["prlimit", "--pid", &pid, &limit]].concat());
}

#[test]
#[ignore = "runs a server as another user, as root"]
fn a_server_that_gets_no_thread_goes_on_serving_and_saving() {
    let server = Server::limpid_as(user(), &["--save", "", "--enable-debug-command", "yes"]);
    let mut connection = server.connect();
    say(&mut connection, "DEBUG POPULATE 100000");
    limit_threads(&server, "1");
    for _ in 0..3 {
        assert_eq!(say(&mut connection, "BGSAVE"), "Background saving started");
        await_that("it ends", || info(&mut connection, "rdb_bgsave_in_progress") == "0");
        assert_eq!(info(&mut connection, "rdb_last_bgsave_status"), "ok");
        assert_eq!(say(&mut connection, "SET key 1"), "OK");
    }
    let replica = Server::limpid(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let mut at_replica = replica.connect();
    await_that("it follows", || info(&mut at_replica, "master_link_status") == "up");
    assert_eq!(say(&mut at_replica, "GET key"), "1");
    assert_eq!(info(&mut connection, "sync_full"), "1");
    assert_eq!(say(&mut connection, "FLUSHALL"), "OK");
    assert_eq!(say(&mut connection, "DBSIZE"), "Integer(0)");
}

#[test]
#[ignore = "runs a server as another user, as root"]
fn a_replica_that_gets_no_thread_keeps_its_data_and_follows_once_it_gets_one() {
    let master = Server::limpid(&["--save", ""]);
    let mut at_master = master.connect();
    assert_eq!(say(&mut at_master, "SET key new"), "OK");
    let replica = Server::limpid_as(user(), &["--save", ""]);
    let mut connection = replica.connect();
    assert_eq!(say(&mut connection, "SET key old"), "OK");
    limit_threads(&replica, "1");
    for host in ["127.0.0.1", "localhost"] {
        let port = master.port();
        assert_eq!(say(&mut connection, &format!("REPLICAOF {host} {port}")), "OK");
        let lost = "Connection with master lost: ";
        await_that("the link is lost", || {
            let lines = replica.log_lines();
            let follows = |line: &String| line.contains(&format!("REPLICAOF {host}:"));
            let since = lines.iter().rposition(follows).unwrap_or(0);
            lines[since..].iter().any(|line| {
                line.contains(lost) && line.contains("Resource temporarily unavailable")
            })
        });
        assert_eq!(say(&mut connection, "GET key"), "old");
    }
    assert_eq!(info(&mut connection, "master_link_status"), "down");
    limit_threads(&replica, "4096");
    await_that("it follows", || info(&mut connection, "master_link_status") == "up");
    assert_eq!(say(&mut connection, "GET key"), "new");
}
