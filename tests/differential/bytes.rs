//! Malformed or unusual requests: the exact bytes of the answer, and whether the connection stays
//! open.

use crate::session::ARGS;
use crate::subject;
use crate::support::reply::escaped;
use crate::support::server::{Program, Server};
use std::time::Duration;

/// Sent after each case: only a server that still reads answers it. The end of the stream then
/// makes the server close, so the answer is all bytes up to there.
const PROBE: &[u8] = b"*2\r\n$4\r\nPING\r\n$5\r\nprobe\r\n";

/// Lines and frames; each is sent over a new connection.
const CASES: &[&[u8]] = &[
    b"",
    // Inline commands.
    b"PING\r\n",
    b"PING\n",
    b"ping hello\r\n",
    b"  PING  \r\n",
    b"\tPING\t\r\n",
    b"\r\n",
    b"\n",
    b"\r\n\r\n\r\nPING\r\n",
    b"   \r\nPING\r\n",
    b"PING \"hello world\"\r\n",
    b"PING 'hello world'\r\n",
    b"PING \"\\x41\\n\\r\\t\\a\\b\\\\\\\"\\q\"\r\n",
    b"PING \"\\x4\"\r\n",
    b"PING \"\\xzz\"\r\n",
    b"PING 'it\\'s \\n'\r\n",
    b"PING \"\"\r\n",
    b"PING ''\r\n",
    b"\"PING\"\r\n",
    b"\"\"\r\n",
    b"PING \"unbalanced\r\n",
    b"PING 'unbalanced\r\n",
    b"PING \"a\"b\r\n",
    b"PING 'a'b\r\n",
    b"PING a\"b\"\r\n",
    b"PING a\"b\r\n",
    b"PING \xff\xfe\r\n",
    b"PING a\rb\r\n",
    b"PING\r\r\n",
    b"SET inline 1\r\nGET inline\r\nDEL inline\r\n",
    b"NOSUCH a b\r\n",
    b"GET\r\n",
    b"+PING\r\n",
    b"-ERR\r\n",
    b":1\r\n",
    b"$4\r\nPING\r\n",
    b"PING",
    // Sizes of arrays.
    b"*1\r\n$4\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*-10\r\n",
    b"*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n",
    b"*\r\n",
    b"*a\r\n",
    b"*1a\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*-0\r\n",
    b"*1 \r\n$4\r\nPING\r\n",
    b"*1.0\r\n",
    b"*1048576\r\n",
    b"*1048577\r\n",
    b"*2147483647\r\n",
    b"*2147483648\r\n",
    b"*9223372036854775807\r\n",
    b"*9223372036854775808\r\n",
    b"*-9223372036854775808\r\n",
    b"**\r\n",
    // A line with another ending: the character before LF counts as CR.
    b"*1\n$4\r\nPING\r\n",
    b"*12\n$4\r\nPING\r\n",
    b"*1\rX$4\r\nPING\r\n",
    b"*1\r\n$4\rXPING\r\n",
    // Sizes of bulks.
    b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$4\r\nPING\r\n$0\r\n\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$-10\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$a\r\n",
    b"*1\r\n$4a\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$4 \r\nPING\r\n",
    b"*1\r\n$536870912\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$4294967297\r\n",
    b"*1\r\n$9223372036854775808\r\n",
    b"*1\r\n$4\r\nPINGXX",
    b"*1\r\n$4\r\nPINGXX*1\r\n$4\r\nPING\r\n",
    b"*1\r\n$3\r\nPING\r\n",
    b"*1\r\n$5\r\nPING\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n\xff\r\n",
    b"*2\r\n$4\r\nPING\r\nx",
    b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n",
    b"*2\r\n$4\r\nECHO\r\n$6\r\n*1\r\n$4\r\n",
    b"*1\r\n$4\r\nPIN",
    b"*1\r\n$",
    b"*1\r",
    b"*",
    // Inline commands and arrays in turn; an error after valid commands.
    b"PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n",
    b"PING\r\nPING \"\r\nPING\r\n",
    // QUIT and RESET.
    b"QUIT\r\nPING\r\n",
    b"*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n",
    b"QUIT now\r\nPING\r\n",
    b"RESET\r\nPING\r\n",
    b"MULTI\r\nQUIT\r\n",
    b"MULTI\r\nPING\r\n*x\r\n",
    b"SUBSCRIBE a\r\nPING\r\nGET k\r\nQUIT\r\nPING\r\n",
    b"CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\n*x\r\n",
    b"CLIENT REPLY SKIP\r\nPING\r\nPING\r\n",
    b"HELLO 3\r\nPING\r\n*x\r\n",
    b"HELLO 3\r\nMGET nosuch\r\nGET nosuch\r\nHELLO 2 AUTH a b\r\n",
    // What browsers send.
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST / HTTP/1.1\r\n\r\n",
    b"Host: localhost\r\n",
    b"post\r\n",
];

/// Lines with a zero byte, and limpid's answers. Redis searches for the end of a line with C string
/// functions, which stop at a zero: it never finds the end, and waits for ever.
const ZEROS: &[(&[u8], &[u8])] = &[
    (b"PING \0\r\n", b"+PONG\r\n$5\r\nprobe\r\n"),
    (b"PING a\0b c\r\n", b"$1\r\na\r\n$5\r\nprobe\r\n"),
    (b"*\0\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\n\0\r\n", b"-ERR Protocol error: expected '$', got '\0'\r\n"),
];

/// Cases too long to write out.
fn long_cases() -> Vec<Vec<u8>> {
    let letters = vec![b'a'; 200_000];
    let words = b"word ".repeat(5_000);
    let value = [b"*2\r\n$4\r\nECHO\r\n$200000\r\n", &letters[..], b"\r\n"].concat();
    let many = [b"*1001\r\n$5\r\nMGET \r\n".to_vec(), b"$2\r\nk1\r\n".repeat(1_000)].concat();
    let mget = [b"*1001\r\n$4\r\nMGET\r\n".to_vec(), b"$2\r\nk1\r\n".repeat(1_000)].concat();
    vec![
        letters.clone(),
        [b"PING ", &letters[..30_000], b"\r\n"].concat(),
        [b"NOSUCH ", &words[..], b"\r\n"].concat(),
        value,
        many,
        mget,
        b"PING\r\n".repeat(10_000),
        b"*1\r\n$4\r\nPING\r\n".repeat(10_000),
        [&letters[..100], b"\r\n"].concat(),
        [b"*1\r\n$200\r\n", &letters[..200], b"\r\n"].concat(),
    ]
}

/// The server's answer, and whether it closed in the end.
fn answer(server: &Server, case: &[u8]) -> (Vec<u8>, bool) {
    server.connect().send_last(&[case, PROBE].concat())
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn bytes_that_are_no_good_request_are_answered_alike() {
    let reference = Server::redis(ARGS);
    let subject = Server::start(subject(), ARGS);
    let cases = CASES.iter().map(|case| case.to_vec()).chain(long_cases());
    let mut differences = Vec::new();
    for case in cases {
        let (left, right) = (answer(&reference, &case), answer(&subject, &case));
        let (left, right) = ((without_id(left.0), left.1), (without_id(right.0), right.1));
        if left != right {
            let show = |(bytes, closed): &(Vec<u8>, bool)| match closed {
                true => escaped(bytes),
                false => format!("{}, left open", escaped(bytes)),
            };
            differences.push(format!("{}\n  {}\n  {}", escaped(&case), show(&left), show(&right)));
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_zero_byte_does_not_hide_the_end_of_a_line() {
    let reference = Server::redis(ARGS);
    let subject = Server::start(subject(), ARGS);
    for (case, expected) in ZEROS {
        assert_eq!(answer(&reference, case), (Vec::new(), true), "{}", escaped(case));
        if subject.program() == Program::Limpid {
            assert_eq!(answer(&subject, case), (expected.to_vec(), true), "{}", escaped(case));
        }
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_line_is_too_long_when_its_end_is_not_in_sight() {
    let servers = [Server::redis(ARGS), Server::start(subject(), ARGS)];
    for (start, kind) in [(&b"*"[..], "mbulk"), (b"*1\r\n$", "bulk"), (b"PING ", "inline")] {
        let line = |len: usize| [start, &vec![b'1'; len]].concat();
        let ended = [&line(60_000)[..], b"\r\n"].concat();
        let [redis, limpid] = servers.each_ref().map(|server| answer(server, &ended));
        assert_eq!(redis, limpid);
        let too_big = match kind {
            "inline" => "-ERR Protocol error: too big inline request\r\n".to_owned(),
            kind => format!("-ERR Protocol error: too big {kind} count string\r\n"),
        };
        for server in &servers {
            let endless = server.connect().send_while(&line(70_000), |got| got.read_to_end());
            assert_eq!(endless, (too_big.clone().into_bytes(), true), "{kind}");
        }
        // Timing decides whether the server sees the end of this one.
        for server in &servers {
            let (bytes, closed) = answer(server, &line(100_000));
            let text = String::from_utf8_lossy(&bytes);
            let invalid = match kind {
                "mbulk" => "-ERR Protocol error: invalid multibulk length\r\n",
                "bulk" => "-ERR Protocol error: invalid bulk length\r\n",
                _ => "$100002\r\n1",
            };
            assert!(closed && (text == too_big || text.starts_with(invalid)), "{kind}: {text}");
        }
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn lines_of_http_are_logged_as_an_attack() {
    let line = |server: &Server| {
        assert_eq!(answer(server, b"PING\r\nPOST / HTTP/1.1\r\n"), (Vec::new(), true));
        let waited = Duration::from_secs(5);
        let line = server.wait_for_log("Possible SECURITY ATTACK", waited).unwrap();
        // Once a minute is enough.
        answer(server, b"Host: here\r\n");
        let count = server.log_lines().iter().filter(|line| line.contains("ATTACK")).count();
        assert_eq!(count, 1);
        let message = line.split_once(" # ").unwrap().1;
        // As later releases, limpid adds the client's address.
        message.split_once(" Connection ").unwrap().0.to_owned()
    };
    assert_eq!(line(&Server::redis(ARGS)), line(&Server::start(subject(), ARGS)));
}

/// Removes the client's id from HELLO's reply: each server assigns its own.
fn without_id(mut bytes: Vec<u8>) -> Vec<u8> {
    const FIELD: &[u8] = b"$2\r\nid\r\n:";
    let found = bytes.windows(FIELD.len()).position(|window| window == FIELD);
    if let Some(at) = found.map(|at| at + FIELD.len()) {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes.drain(at..at + digits);
    }
    bytes
}
