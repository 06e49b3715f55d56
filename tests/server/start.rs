//! Errors at start appear at the terminal and in the log, with the setting as the operator wrote
//! it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::server::{Server, free_port};
use crate::words;

/// Runs a server that cannot start with a file of these lines; returns its standard error and its
/// log.
fn failing(lines: &str, dir: &Path) -> (String, String) {
    let log = dir.join("log");
    drop(fs::remove_file(&log));
    let conf = dir.join("redis.conf");
    fs::write(&conf, lines).unwrap();
    let mut command = Command::new("timeout");
    command.arg("20").arg(env!("CARGO_BIN_EXE_limpid-server")).arg(&conf).current_dir(dir);
    let output = command.stdout(Stdio::piped()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{lines}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (said, fs::read_to_string(&log).unwrap_or_default())
}

#[test]
fn reasons_that_show_before_there_is_a_log_are_told_at_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    for (lines, reason, place) in [
        ("port 0\nlogfile /missing/log", "Can't open the log file /missing/log", ":2: 'logfile'"),
        ("DIR /missing", "Can't chdir to '/missing'", ":1: 'DIR'"),
        (
            "\nslave-priority many",
            "couldn't be parsed into an integer",
            ":2: 'slave-priority \"many\"'",
        ),
        ("bind a,b", "a host name or an address", ":1: 'bind \"a,b\"'"),
        ("admin-ready-lag-max \"5 min\"", "a size as 1MB or a time as 50ms", ":1: 'admin-ready"),
        ("metrics-prefix 1a", "letters, digits", ":1: 'metrics-prefix \"1a\"'"),
        (
            "otlp-endpoint collector:4318",
            "http://host:4318",
            ":1: 'otlp-endpoint \"collector:4318\"'",
        ),
        ("dbfilename \"\"", "the name of a file", ":1: 'dbfilename \"\"'"),
    ] {
        let (said, _) = failing(lines, dir.path());
        assert!(said.contains(reason) && said.contains(place), "{lines}: {said}");
        assert!(said.contains("redis.conf:"), "{said}");
    }
}

#[test]
fn reasons_that_show_later_are_in_the_log_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let taken = Server::limpid(&["--save", ""]);
    let port = format!("logfile log\nbind 127.0.0.1\nport {}", taken.port());
    for (lines, reason, place) in [
        (port.as_str(), "Failed listening on port", "redis.conf:3: 'port'"),
        ("logfile log\nport 0\nunixsocket /missing/s", "/missing/s", "redis.conf:3: 'unixsocket'"),
        ("logfile log\nport 0", "Configured to not listen anywhere", "redis.conf:2: 'port'"),
        (
            "rename-command NONE \"\"\nlogfile log\nport 0\nunixsocket s",
            "No such command in rename-command: 'NONE'",
            "redis.conf:1: 'rename-command'",
        ),
        ("logfile log\nport 1\nbind 192.0.2.1", "192.0.2.1:1: ", "redis.conf:3: 'bind'"),
    ] {
        let (said, log) = failing(lines, dir.path());
        for text in [said, log] {
            assert!(text.contains(reason) && text.contains(place), "{lines}: {text}");
        }
    }
}

/// The /etc/redis/redis.conf of Debian's package of Redis 7.0, without its comments.
const DEBIAN: &str = include_str!("debian-redis.conf");

#[test]
fn the_file_that_debian_installs_works_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    // Its folders belong to a user that the package creates.
    let port = free_port();
    let text = DEBIAN
        .replace("/run/redis/redis-server.pid", &at("pid"))
        .replace("/var/log/redis/redis-server.log", &at("log"))
        .replace("/var/lib/redis", dir.path().to_str().unwrap())
        .replace("port 6379", &format!("port {port}"));
    let conf = at("redis.conf");
    fs::write(&conf, &text).unwrap();
    let log = || fs::read_to_string(at("log")).unwrap_or_default();
    // As its init script starts it: in the background.
    let status = Command::new(env!("CARGO_BIN_EXE_limpid-server")).arg(&conf).status().unwrap();
    assert!(status.success(), "{}", log());
    let stop = || {
        let pid = fs::read_to_string(at("pid")).unwrap().trim().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let began = now();
        while !log().contains("bye bye") || Path::new(&at("pid")).exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "{}", log());
        }
    };
    let mut client = Connection::tcp(port).unwrap();
    client.call(&words("SET a 1")).unwrap();
    client.call(&words("CONFIG SET timeout 77")).unwrap();
    client.call(&words("CONFIG REWRITE")).unwrap();
    stop();
    let rewritten = fs::read_to_string(&conf).unwrap();
    // As in Redis: the users are always written.
    let users = "\n# Generated by CONFIG REWRITE\nuser default on nopass ~* &* +@all\n";
    assert_eq!(rewritten, text.replace("timeout 0", "timeout 77") + users);
    let status = Command::new(env!("CARGO_BIN_EXE_limpid-server")).arg(&conf).status().unwrap();
    assert!(status.success(), "{}", log());
    drop(fs::write(at("log"), ""));
    stop();
}
