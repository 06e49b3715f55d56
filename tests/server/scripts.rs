//! Scripts that run for long: who is answered meanwhile, and what ends them.

use std::time::Duration;

use crate::support::connection::Connection;
use crate::support::reply::Reply;
use crate::support::server::Server;
use crate::{support, words};

const SOON: Duration = Duration::from_secs(20);
const FOREVER: &[u8] = b"while true do end";
const WRITES_FOREVER: &[u8] = b"redis.call('set', 'written', 1) while true do end";

fn start(workers: &str) -> Server {
    Server::limpid(&["--workers", workers, "--busy-reply-threshold", "20", "--save", ""])
}

fn text(reply: Reply) -> String {
    match reply {
        Reply::Error(text) | Reply::Simple(text) | Reply::Bulk(text) => {
            String::from_utf8_lossy(&text).into_owned()
        }
        other => format!("{other:?}"),
    }
}

fn call(connection: &mut Connection, command: &str) -> String {
    text(connection.call(&words(command)).expect("it answers"))
}

/// Begins a script and waits until others are told that the server is busy.
fn begin(server: &Server, other: &mut Connection, script: &[u8]) -> Connection {
    let mut runner = server.connect();
    runner.send(&[b"EVAL", script, b"0"]).expect("it reads");
    let began = support::now();
    while !call(other, "GET key").starts_with("BUSY ") {
        assert!(began.elapsed() < SOON, "nobody is told of the script");
    }
    runner
}

#[test]
fn a_script_that_runs_for_long_can_be_killed_by_clients_of_its_own_worker() {
    for workers in ["1", "2"] {
        let server = start(workers);
        let mut others: Vec<Connection> = (0..8).map(|_| server.connect()).collect();
        for other in &mut others {
            assert_eq!(call(other, "SET key value"), "OK");
        }
        let mut runner = begin(&server, &mut others[0], FOREVER);
        for other in &mut others {
            let busy = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or \
                        SHUTDOWN NOSAVE.";
            assert_eq!(call(other, "SET key other"), busy);
            assert_eq!(call(other, "EVAL return 0"), busy, "{workers}");
        }
        // One that comes only now is served, too.
        assert_eq!(call(&mut server.connect(), "SCRIPT KILL"), "OK");
        let ended = text(runner.read_reply().expect("it answers"));
        assert!(ended.starts_with("ERR Script killed by user with SCRIPT KILL..."), "{ended}");
        for other in others.iter_mut().chain([&mut runner]) {
            assert_eq!(call(other, "GET key"), "value");
        }
        assert_eq!(
            call(&mut others[0], "SCRIPT KILL"),
            "NOTBUSY No scripts in execution right now."
        );
    }
}

#[test]
fn a_script_that_has_written_ends_only_with_the_process() {
    let mut server = start("1");
    let mut other = server.connect();
    let _runner = begin(&server, &mut other, WRITES_FOREVER);
    assert!(call(&mut other, "SCRIPT KILL").starts_with("UNKILLABLE Sorry the script already"));
    assert!(call(&mut other, "FUNCTION KILL").starts_with("UNKILLABLE "));
    assert!(call(&mut other, "SHUTDOWN").starts_with("BUSY "));
    other.send(&words("SHUTDOWN NOSAVE")).expect("it reads");
    let status = server.wait_for_end(SOON).expect("it ends");
    assert!(status.success(), "{status}");
}

#[test]
fn clients_may_come_and_go_while_a_script_runs_for_long() {
    let server = start("1");
    let mut other = server.connect();
    let mut waiting = server.connect();
    waiting.send(&words("BLPOP list 0.2")).expect("it reads");
    let mut watching = server.connect();
    assert_eq!(call(&mut watching, "WATCH key"), "OK");
    let mut runner = begin(&server, &mut other, FOREVER);
    // Both would have to lock the shards that the script holds.
    drop(watching);
    assert_eq!(waiting.read_reply().expect("its wait ends"), Reply::NullArray);
    assert_eq!(call(&mut other, "MULTI"), "OK");
    assert!(call(&mut other, "SET key value").starts_with("BUSY "));
    assert_eq!(call(&mut other, "DISCARD"), "OK");
    assert_eq!(call(&mut server.connect(), "SCRIPT KILL"), "OK");
    runner.read_reply().expect("it answers");
    assert_eq!(call(&mut other, "SET key value"), "OK");
}

#[test]
fn scripts_that_reach_beyond_their_keys_do_not_block_each_other() {
    const RUNS: usize = 3000;
    let server = Server::limpid(&["--workers", "2", "--save", ""]);
    // Each writes its own key, then reaches for those of others in an order of its own.
    let script = b"redis.call('incr', KEYS[1]) for i = 1, #ARGV do redis.call('incr', ARGV[i]) end";
    let run = |first: usize| {
        let mut connection = server.connect();
        for turn in 0..RUNS {
            let key = |at: usize| format!("key:{}", (first * 7 + turn * 3 + at * 5) % 11);
            let keys: Vec<String> = (0..4).map(key).collect();
            let mut command: Vec<&[u8]> = vec![b"EVAL", script, b"1"];
            command.extend(keys.iter().map(String::as_bytes));
            connection.send(&command).expect("it reads");
            let mget: Vec<&[u8]> =
                [&b"MGET"[..]].into_iter().chain(command[3..].iter().copied()).collect();
            connection.send(&mget).expect("it reads");
            connection.read_reply().expect("the script ends");
            connection.read_reply().expect("what follows it is answered");
        }
    };
    std::thread::scope(|scope| {
        for first in 0..4 {
            scope.spawn(move || run(first));
        }
    });
    let mut connection = server.connect();
    let sum =
        b"local sum = 0 for i = 0, 10 do sum = sum + redis.call('get', 'key:' .. i) end return sum";
    let sum = connection.call(&[b"EVAL", sum, b"0"]).expect("it answers");
    assert_eq!(sum, Reply::Integer(4 * 4 * RUNS as i64));
}
