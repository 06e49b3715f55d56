//! SCRIPT DEBUG: a session of the debugger, line by line. What it shows is Redis's own, which a test
//! checks where a redis-server is there.

use std::time::Duration;

use crate::support;
use crate::support::connection::Connection;
use crate::support::reply::Reply;
use crate::support::server::{Program, Server};
use crate::words;

const SOON: Duration = Duration::from_secs(20);

const SCRIPT: &str = "local t = {1,2,'x\\ny'}
local m = {a=1}
local function f(q)
  local z = q + 1
  redis.debug('in f', z, t, m)
  return z
end
for i=1,2 do
  f(i)
end
redis.call('set', KEYS[1], ARGV[1])
redis.breakpoint()
local r = redis.call('get', KEYS[1])
local long = string.rep('q', 400)
redis.pcall('lpush', KEYS[1], 1)
return r
";

/// Commands, and what the session shows then.
const STEPS: &[(&str, &[&str])] = &[
    (
        "b 5",
        &["   4     local z = q + 1", "  #5     redis.debug('in f', z, t, m)", "   6     return z"],
    ),
    ("break", &["1 breakpoints set:", "  #5     redis.debug('in f', z, t, m)"]),
    ("p", &["No local variables in the current context."]),
    ("s", &["* Stopped at 2, stop reason = step over", "-> 2   local m = {a=1}"]),
    ("next", &["* Stopped at 7, stop reason = step over", "-> 7   end"]),
    ("print", &["<value> t = {1; 2; \"x\\ny\"}", "<value> m = {[\"a\"]=1}"]),
    ("p m", &["<value> {[\"a\"]=1}"]),
    ("p KEYS", &["<value> {\"k\"}"]),
    ("p nosuch", &["No such variable."]),
    (
        "l 2 1",
        &["   1   local t = {1,2,'x\\ny'}", "   2   local m = {a=1}", "   3   local function f(q)"],
    ),
    ("t", &["In top level:", "-> 7   end"]),
    ("c", &["* Stopped at 5, stop reason = break point", "->#5     redis.debug('in f', z, t, m)"]),
    (
        "trace",
        &["In f:", "->#5     redis.debug('in f', z, t, m)", "From top level:", "   9     f(i)"],
    ),
    ("p", &["<value> q = 1", "<value> z = 2"]),
    ("b -5", &["Breakpoint removed."]),
    ("b -9", &["No breakpoint in the specified line."]),
    ("b 99", &["Wrong line number."]),
    ("b x", &["Invalid argument:'x'"]),
    ("b 0", &["All breakpoints removed."]),
    ("e 1 + 1", &["<retval> 2"]),
    ("eval local a = 5", &["<retval> nil"]),
    ("e no code here", &["<error> ldb_eval:1: '=' expected near 'code'"]),
    ("r get nokey", &["<redis> get nokey", "<reply> NULL"]),
    ("r lpush l a b", &["<redis> lpush l a b", "<reply> 2"]),
    ("redis lrange l 0 -1", &["<redis> lrange l 0 -1", "<reply> [\"b\",\"a\"]"]),
    ("r nope", &["<redis> nope", "<error> Unknown Redis command called from script"]),
    ("r", &["<error> Unknown Redis Lua debugger command or wrong number of arguments."]),
    (
        "c",
        &[
            "<debug> line 5: \"in f\", 2, {1; 2; \"x\\ny\"}, {[\"a\"]=1}",
            "<debug> line 5: \"in f\", 3, {1; 2; \"x\\ny\"}, {[\"a\"]=1}",
            "* Stopped at 13, stop reason = redis.breakpoint() called",
            "-> 13  local r = redis.call('get', KEYS[1])",
        ],
    ),
    (
        "s",
        &[
            "<redis> get k",
            "<reply> \"v\"",
            "* Stopped at 14, stop reason = step over",
            "-> 14  local long = string.rep('q', 400)",
        ],
    ),
    ("s", &["* Stopped at 15, stop reason = step over", "-> 15  redis.pcall('lpush', KEYS[1], 1)"]),
    ("m", &["<value> replies are truncated at 256 bytes."]),
    ("m 10", &["<value> replies are truncated at 60 bytes."]),
    ("p long", &["<value> \"qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq ..."]),
    ("m 0", &["<value> replies are unlimited."]),
    (
        "s",
        &[
            "<redis> lpush k 1",
            "<error> -WRONGTYPE Operation against a key holding the wrong kind of value",
            "<reply> \"-WRONGTYPE Operation against a key holding the wrong kind of value\"",
            "* Stopped at 16, stop reason = step over",
            "-> 16  return r",
        ],
    ),
    ("c", &["<endsession>"]),
];

fn shown(connection: &mut Connection) -> Vec<String> {
    let reply = connection.read_reply().expect("it shows something");
    let lines = reply.items().unwrap_or_else(|| panic!("no lines: {reply:?}"));
    lines
        .iter()
        .map(|line| match line {
            Reply::Simple(text) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("no line: {other:?}"),
        })
        .collect()
}

fn show(connection: &mut Connection, command: &str) -> Vec<String> {
    connection.send(&words(command)).expect("it reads");
    shown(connection)
}

/// Begins a session, which stops at the first line.
fn begin(server: &Server, mode: &str, script: &str) -> Connection {
    let mut connection = server.connect();
    assert_eq!(connection.call(&[b"SCRIPT", b"DEBUG", mode.as_bytes()]).unwrap(), simple("OK"));
    connection.send(&[b"EVAL", script.as_bytes(), b"1", b"k", b"v"]).expect("it reads");
    let first = script.lines().next().unwrap_or_default();
    let stopped = ["* Stopped at 1, stop reason = step over".into(), format!("-> 1   {first}")];
    assert_eq!(shown(&mut connection), stopped);
    connection
}

fn simple(text: &str) -> Reply {
    Reply::Simple(text.as_bytes().to_vec())
}

/// Runs the whole session; returns how many of three keys there are then.
fn whole_session(server: &Server, mode: &str) -> Reply {
    let mut connection = begin(server, mode, SCRIPT);
    for (command, lines) in STEPS {
        assert_eq!(show(&mut connection, command), *lines, "{mode}: {command}");
    }
    assert_eq!(connection.read_reply().unwrap(), Reply::Bulk(b"v".to_vec()));
    assert!(connection.read_reply().is_err(), "the session's end ends the connection");
    server.connect().call(&words("EXISTS k l nokey")).unwrap()
}

/// What the sessions of a server come to, by mode.
fn sessions(server: &Server) {
    assert_eq!(whole_session(server, "yes"), Reply::Integer(0), "a forked session changes nothing");
    assert_eq!(whole_session(server, "sync"), Reply::Integer(2));
    let mut aborted = begin(server, "yes", SCRIPT);
    assert_eq!(show(&mut aborted, "abort"), ["<endsession>"]);
    let Reply::Error(text) = aborted.read_reply().unwrap() else { panic!("it was aborted") };
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.starts_with("ERR script aborted for user request script: "), "{text}");
    let mut other = server.connect();
    for (command, error) in [
        ("SCRIPT DEBUG maybe", "ERR Use SCRIPT DEBUG YES/SYNC/NO"),
        ("SCRIPT DEBUG", "ERR wrong number of arguments for 'script|debug' command"),
    ] {
        assert_eq!(other.call(&words(command)).unwrap(), Reply::Error(error.into()));
    }
    other.call(&words("SCRIPT DEBUG yes")).unwrap();
    let digest = Reply::Error("ERR Please use EVAL instead of EVALSHA for debugging".into());
    assert_eq!(
        other.call(&words("EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0")).unwrap(),
        digest
    );
    other.call(&words("SCRIPT DEBUG no")).unwrap();
    assert_eq!(
        other.call(&[b"EVAL", b"return redis.breakpoint()", b"0"]).unwrap(),
        Reply::NullBulk
    );
}

#[test]
fn a_script_runs_line_by_line_in_a_process_of_its_own_or_here() {
    sessions(&Server::limpid(&["--save", ""]));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn redis_shows_the_same_of_a_script() {
    sessions(&Server::start(Program::Redis, &[]));
}

#[test]
fn others_are_told_of_a_synchronous_session_and_can_end_it() {
    let server = Server::limpid(&["--workers", "1", "--busy-reply-threshold", "20", "--save", ""]);
    let mut other = server.connect();
    assert_eq!(other.call(&words("SET key value")).unwrap(), simple("OK"));
    let mut session = begin(&server, "sync", "local x = 1\nreturn x");
    let began = support::now();
    while !matches!(other.call(&words("GET key")).unwrap(), Reply::Error(text) if text.starts_with(b"BUSY "))
    {
        assert!(began.elapsed() < SOON, "nobody is told of the session");
    }
    assert_eq!(other.call(&words("SCRIPT KILL")).unwrap(), simple("OK"));
    assert_eq!(shown(&mut session), ["<endsession>"]);
    let Reply::Error(text) = session.read_reply().unwrap() else { panic!("it was killed") };
    assert!(text.starts_with(b"ERR Script killed by user"));
    assert_eq!(other.call(&words("GET key")).unwrap(), Reply::Bulk(b"value".to_vec()));
}

#[test]
fn a_forked_session_holds_up_nobody_and_ends_with_the_server() {
    let mut server = Server::limpid(&["--workers", "1", "--save", ""]);
    let mut other = server.connect();
    let mut session = begin(&server, "yes", "redis.call('set', 'here', 1)\nreturn 1");
    assert_eq!(other.call(&words("SET key value")).unwrap(), simple("OK"));
    let after = show(&mut session, "s");
    assert_eq!(after[..2], ["<redis> set here 1", "<reply> \"+OK\""]);
    assert_eq!(other.call(&words("EXISTS here key")).unwrap(), Reply::Integer(1));
    other.send(&words("SHUTDOWN NOSAVE")).expect("it reads");
    server.wait_for_end(SOON).expect("it ends");
    assert!(session.read_reply().is_err(), "its process has ended");
}

#[test]
fn errors_of_what_is_evaluated_are_shown_and_broken_input_ends_the_script() {
    let server = Server::limpid(&["--save", ""]);
    let mut session = begin(&server, "sync", "local x = 1\nreturn x");
    assert_eq!(
        show(&mut session, "e redis.call('nope')"),
        ["<error> ERR Unknown Redis command called from script"]
    );
    session.send_raw(b"hello\r\n").expect("it reads");
    assert_eq!(shown(&mut session), ["<endsession>"]);
    let Reply::Error(text) = session.read_reply().unwrap() else { panic!("it failed") };
    assert!(text.starts_with(b"ERR protocol error script: "), "{}", String::from_utf8_lossy(&text));
}
