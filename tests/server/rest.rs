//! An idle server makes no periodic wake-ups.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::reply::Reply;
use crate::support::server::Server;

/// Number of context switches of all threads.
fn waits(server: &Server) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
    let of = |task: std::io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let count = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<u64>().ok()
        };
        Some(count("voluntary_ctxt_switches:")? + count("nonvoluntary_ctxt_switches:")?)
    };
    tasks.filter_map(of).sum()
}

#[test]
fn an_idle_server_hardly_wakes() {
    let server = Server::limpid(&["--save", "3600 1", "--timeout", "300"]);
    let mut client = server.connect();
    client.call(&[b"SET", b"key", b"value"]).expect("answers");
    // It becomes idle two seconds after the last command. One wake-up a second after that, for save
    // points and timeouts, is expected; ten a second would be 30 more.
    let calm = |seconds: u64| {
        let before = waits(&server);
        thread::sleep(Duration::from_secs(seconds));
        waits(&server) - before
    };
    let rests = (0..5).any(|_| calm(3) <= 15);
    assert!(rests, "in 3 seconds it woke {} times", calm(3));
}

#[test]
fn regular_work_begins_again_with_the_first_command() {
    let server = Server::limpid(&["--save", ""]);
    let mut client = server.connect();
    for _ in 0..2 {
        // Long enough to become idle. A command would end that, so poll nothing.
        thread::sleep(Duration::from_millis(2600));
        client.call(&[b"SET", b"key", b"value", b"PX", b"50"]).expect("answers");
        // Nobody accesses the key; the sweeper looks for it ten times a second.
        thread::sleep(Duration::from_millis(600));
        assert_eq!(client.call(&[b"DBSIZE"]).expect("answers"), Reply::Integer(0));
    }
}
