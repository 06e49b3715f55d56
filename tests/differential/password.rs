//! Servers with a password: commands allowed without authentication, and ways to authenticate.

use crate::canonical::are_alike;
use crate::compare::name_of;
use crate::session::ARGS;
use crate::subject;
use crate::support::reply::Reply;
use crate::support::server::Server;

const PASSWORD: &[&str] = &["--requirepass", "secret"];

/// Each row uses a new connection.
const DIALOGUES: &[&[&str]] = &[
    &["PING", "GET k", "SET k v", "NOSUCH", "GET", "CLIENT NOSUCH", "INFO", "COMMAND COUNT"],
    &["MULTI", "EXEC", "DISCARD", "WATCH k", "SELECT 1", "ECHO a", "CLIENT ID", "DEBUG SLEEP 0"],
    &["AUTH", "AUTH wrong", "PING", "AUTH secret", "PING", "AUTH wrong", "PING"],
    &["AUTH default wrong", "AUTH default secret", "PING"],
    &["AUTH nobody secret", "AUTH Default secret", "AUTH a b c", "AUTH  ", "PING"],
    &["HELLO", "HELLO 3", "HELLO 2", "HELLO 4", "HELLO x", "PING"],
    &["HELLO 3 AUTH default wrong", "PING", "HELLO 3 AUTH nobody secret", "PING"],
    &["HELLO 3 AUTH default secret", "PING", "HELLO", "GET nosuch", "HELLO 2"],
    &["HELLO 3 SETNAME me", "HELLO 3 SETNAME me AUTH default secret", "CLIENT GETNAME", "PING"],
    &["HELLO 3 AUTH default", "HELLO 3 AUTH", "HELLO 2 AUTH default secret extra", "PING"],
    &["HELLO 9 AUTH default secret", "PING"],
    &["AUTH secret", "RESET", "PING", "AUTH secret", "PING"],
    &["AUTH secret", "MULTI", "AUTH wrong", "PING", "EXEC", "PING"],
    &["AUTH secret", "CONFIG SET requirepass other", "PING", "AUTH secret", "AUTH other", "PING"],
    &["PING", "AUTH other", "CONFIG GET requirepass", "CONFIG SET requirepass secret"],
    &["AUTH secret", "CONFIG SET requirepass ", "AUTH secret", "AUTH default x", "PING"],
    &["PING", "CONFIG SET requirepass secret", "PING", "RESET", "PING"],
    &["SUBSCRIBE a", "PUBLISH a b", "QUIT"],
    &["POST / HTTP/1.1"],
    &["CLIENT REPLY OFF", "PING"],
    &["CLIENT LIST", "CLIENT INFO", "CLIENT KILL 1.2.3.4:5", "SLOWLOG GET", "SHUTDOWN NOSUCH"],
    &["HELLO 3 AUTH default secret SETNAME bad\nname", "PING", "CLIENT GETNAME"],
];

/// Requests at the size limits of an unauthenticated client.
const LARGE: &[&[u8]] = &[
    b"*10\r\n",
    b"*11\r\n",
    b"*1\r\n$16384\r\n",
    b"*1\r\n$16385\r\n",
    b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*11\r\n",
    b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$16385\r\n",
];

fn servers() -> [Server; 2] {
    let args = [ARGS, PASSWORD].concat();
    [Server::redis(&args), Server::start(subject(), &args)]
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn who_does_not_say_the_password_may_do_the_same() {
    let servers = servers();
    let mut differences = Vec::new();
    for dialogue in DIALOGUES {
        let mut clients = servers.each_ref().map(Server::connect);
        for command in *dialogue {
            let words: Vec<Vec<u8>> =
                command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            let bytes: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let [left, right] = clients.each_mut().map(|client| client.call(&bytes));
            let alike = match (&left, &right) {
                (Ok(left), Ok(right)) => {
                    are_alike(&name_of(&words), &words, &known(left), &known(right))
                }
                (left, right) => left == right,
            };
            if !alike {
                differences.push(format!("{dialogue:?}, {command}:\n  {left:?}\n  {right:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}

/// Any two INFO replies count as equal.
fn known(reply: &Reply) -> Reply {
    match reply {
        Reply::Bulk(text) if text.starts_with(b"# Server") => Reply::Simple(b"INFO".to_vec()),
        other => other.clone(),
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn who_does_not_say_the_password_may_send_as_little() {
    const PROBE: &[u8] = b"*1\r\n$4\r\nQUIT\r\n";
    let servers = servers();
    for case in LARGE {
        let [left, right] =
            servers.each_ref().map(|server| server.connect().send_last(&[case, PROBE].concat()));
        assert_eq!(left, right, "{}", case.escape_ascii());
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn passwords_do_not_show_in_the_slow_log() {
    let shown = servers().map(|server| {
        let mut client = server.connect();
        let mut call = |command: &str| {
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            client.call(&words).unwrap()
        };
        call("AUTH secret");
        call("CONFIG SET slowlog-log-slower-than 0");
        call("AUTH wrong");
        call("AUTH default secret");
        call("HELLO 2 AUTH default secret SETNAME me");
        call("HELLO 2 SETNAME me AUTH default wrong");
        call("CONFIG SET requirepass secret maxclients 100");
        call("CONFIG SET timeout 0 masterauth secret");
        call("CONFIG SET nosuch 0 requirepass secret");
        let entries = call("SLOWLOG GET -1").items().unwrap();
        entries.iter().map(|entry| entry.items().unwrap()[3].to_string()).collect::<Vec<_>>()
    });
    let [redis, limpid] = shown;
    assert!(!redis.iter().any(|line| line.contains("secret")), "{redis:#?}");
    assert_eq!(redis, limpid);
}
