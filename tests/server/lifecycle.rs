//! Start, loading, saving, shutdown.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::words;

const SOON: Duration = Duration::from_secs(20);

/// Runs the binary, which must exit by itself.
fn run(args: &[&str], dir: &Path) -> Output {
    Command::new("timeout")
        .arg("20")
        .arg(env!("CARGO_BIN_EXE_limpid-server"))
        .args(args)
        .current_dir(dir)
        .output()
        .expect("it starts")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn number(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(number) => *number,
        other => panic!("a number, not {other:?}"),
    }
}

fn is_ok(reply: &Reply) -> bool {
    matches!(reply, Reply::Simple(text) if text == b"OK")
}

/// The value of a field of INFO.
fn info(server: &Server, field: &str) -> String {
    let reply = server.call(&words("INFO everything")).expect("INFO answers");
    let text = String::from_utf8_lossy(reply.text().expect("text")).into_owned();
    let prefix = format!("{field}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned);
    line.unwrap_or_else(|| panic!("INFO has {field}"))
}

/// Waits until a field of INFO has a value.
fn wait_for_info(server: &Server, field: &str, value: &str) {
    let began = crate::support::now();
    while info(server, field) != value {
        assert!(began.elapsed() < SOON, "{field} did not become {value}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn version_names_the_redis_version_first() {
    let dir = tempfile::tempdir().expect("a folder");
    for flag in ["--version", "-v"] {
        let output = run(&[flag], dir.path());
        assert!(output.status.success());
        assert!(text(&output).starts_with("Redis server v=7.0.15 "), "{}", text(&output));
    }
}

#[test]
fn data_outlive_a_restart_by_sigterm_when_save_points_are_set() {
    let data = tempfile::tempdir().expect("a folder");
    let dir = data.path().to_str().expect("a path");
    let args = ["--dir", dir, "--save", "3600", "1", "--enable-debug-command", "yes"];
    let server = Server::limpid(&args);
    server.call(&words("SET key value")).expect("answers");
    server.call(&words("SET 12 -7")).expect("answers");
    server.call(&words("DEBUG POPULATE 1000")).expect("answers");
    let digest = server.call(&words("DEBUG DIGEST")).expect("answers");
    let status = server.terminate();
    assert!(status.success(), "{status}");
    let server = Server::limpid(&args);
    assert_eq!(server.call(&words("DEBUG DIGEST")).expect("answers"), digest);
    assert_eq!(number(&server.call(&words("DBSIZE")).expect("answers")), 1002);
    assert!(server.log_text().contains("DB loaded from disk"));
}

#[test]
fn without_save_points_nothing_is_saved_at_the_end() {
    let data = tempfile::tempdir().expect("a folder");
    let dir = data.path().to_str().expect("a path");
    let server = Server::limpid(&["--dir", dir, "--save", ""]);
    server.call(&words("SET key value")).expect("answers");
    assert!(server.terminate().success());
    assert_eq!(fs::read_dir(data.path()).expect("readable").count(), 0);
}

#[test]
fn a_save_point_saves_in_the_background() {
    let server = Server::limpid(&["--save", "1", "2"]);
    server.call(&words("SET a 1")).expect("answers");
    server.call(&words("SET b 1")).expect("answers");
    assert!(server.wait_for_log("Background saving terminated with success", SOON).is_some());
    wait_for_info(&server, "rdb_changes_since_last_save", "0");
    assert!(server.dir().join("dump.rdb").exists());
}

#[test]
fn writes_are_refused_while_saving_fails_and_taken_again_after() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().join("data");
    fs::create_dir(&folder).expect("a folder");
    let dir = folder.to_str().expect("a path");
    let server = Server::limpid(&["--dir", dir, "--save", "3600", "1"]);
    assert!(is_ok(&server.call(&words("SET a 1")).expect("answers")));
    fs::remove_dir(&folder).expect("it is empty");
    server.call(&words("BGSAVE")).expect("answers");
    wait_for_info(&server, "rdb_last_bgsave_status", "err");
    let refused = server.call(&words("SET a 2")).expect("answers");
    let is_misconf = |reply: &Reply| matches!(reply, Reply::Error(e) if e.starts_with(b"MISCONF "));
    assert!(is_misconf(&refused), "{refused:?}");
    let read = server.call(&words("GET a")).expect("answers");
    assert_eq!(read.text(), Some(&b"1"[..]));
    fs::create_dir(&folder).expect("it was removed");
    server.call(&words("BGSAVE")).expect("answers");
    wait_for_info(&server, "rdb_last_bgsave_status", "ok");
    assert!(is_ok(&server.call(&words("SET a 2")).expect("answers")));
}

/// A small valid file, as the server writes it.
fn small_file() -> Vec<u8> {
    let server = Server::limpid(&["--save", ""]);
    server.call(&words("SET key a value of some length")).expect("answers");
    server.call(&words("SET number 12345")).expect("answers");
    server.call(&words("SAVE")).expect("answers");
    fs::read(server.dir().join("dump.rdb")).expect("saved")
}

#[test]
fn a_damaged_file_stops_the_start_and_is_left_as_it_was() {
    let whole = small_file();
    let mut flipped = whole.clone();
    let middle = whole.len() - 20;
    flipped[middle] ^= 0x10;
    let truncated = whole[..whole.len() - 9].to_vec();
    let newer = b"REDIS0010\xfe\x00\x1c\x01h\x01\x01f\x01v\xff\0\0\0\0\0\0\0\0".to_vec();
    for (damaged, reason) in [
        (flipped, "at byte "),
        (truncated, "unexpected end"),
        (newer, "key \"h\" in database 0 holds a value of a newer Redis"),
        (b"not an RDB file at all".to_vec(), "at byte 0"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("dump.rdb");
        fs::write(&path, &damaged).expect("writable");
        let output = run(&["--port", "0", "--unixsocket", "s", "--save", "3600 1"], dir.path());
        let said = text(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("dump.rdb") && said.contains(reason), "{said}");
        assert_eq!(fs::read(&path).expect("still there"), damaged);
    }
}

#[test]
fn clients_are_answered_loading_until_the_file_is_loaded() {
    let data = tempfile::tempdir().expect("a folder");
    let dir = data.path().to_str().expect("a path");
    let args = ["--dir", dir, "--save", "", "--enable-debug-command", "yes"];
    let server = Server::limpid(&args);
    server.call(&words("DEBUG POPULATE 1000000")).expect("answers");
    server.call(&words("SAVE")).expect("answers");
    drop(server);
    let socket = data.path().join("socket");
    let mut process = Command::new(env!("CARGO_BIN_EXE_limpid-server"))
        .args(args)
        .args(["--port", "0", "--unixsocket", socket.to_str().expect("a path")])
        // The load rests for a second in all: nobody is answered in the first half of one.
        .args(["--key-load-delay", "1"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let began = crate::support::now();
    let mut client = loop {
        match crate::support::connection::Connection::unix(&socket) {
            Ok(client) => break client,
            Err(_) => assert!(began.elapsed() < SOON, "it listens before it loads"),
        }
    };
    let mut refused = 0;
    loop {
        match client.call(&words("DBSIZE")).expect("answers") {
            Reply::Error(error) => {
                assert_eq!(error, b"LOADING Redis is loading the dataset in memory");
                let reply = client.call(&words("INFO persistence")).expect("answers");
                let info = String::from_utf8_lossy(reply.text().expect("text")).into_owned();
                // Loading may have ended in between.
                if info.contains("loading:1") {
                    assert!(info.contains("loading_total_bytes:"), "{info}");
                    refused += 1;
                }
            }
            reply => {
                assert_eq!(number(&reply), 1_000_000);
                break;
            }
        }
        assert!(began.elapsed() < SOON, "it loads");
    }
    assert!(refused > 0, "a million keys take a while to load");
    process.kill().expect("it runs");
    process.wait().expect("it is ours");
}

#[test]
fn a_busy_port_is_named() {
    let server = Server::limpid(&["--save", ""]);
    let dir = tempfile::tempdir().expect("a folder");
    let port = server.port().to_string();
    let output = run(&["--port", &port, "--bind", "127.0.0.1"], dir.path());
    assert!(!output.status.success());
    assert!(
        text(&output).contains(&format!("Failed listening on port {port}")),
        "{}",
        text(&output)
    );
}

#[test]
fn a_wrong_line_of_a_file_is_named_with_file_line_and_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, contents, expected) in [
        ("a.conf", "port 0\nfoo bar\n", "a.conf:2: "),
        ("b.conf", "maxclients many\n", "b.conf:1: "),
        ("c.toml", "port = 0\nmaxclients = \"many\"\n", "c.toml:2: "),
        ("d.conf", "cluster-enabled yes\n", "d.conf:1: "),
        ("e.conf", "requirepass \"open\n", "e.conf:1: "),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, contents).expect("writable");
        let output = run(&[path.to_str().expect("a path")], dir.path());
        assert!(!output.status.success(), "{name}");
        assert!(text(&output).contains(expected), "{name}: {}", text(&output));
    }
}

#[test]
fn json_logs_are_one_object_a_line() {
    let server = Server::limpid(&["--save", "", "--log-format", "json"]);
    for line in server.log_lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
}
