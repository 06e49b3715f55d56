//! Replication streams: the test attaches a replica to each server, sends both servers the same
//! random commands, and compares the streams command by command, with SELECT, MULTI and EXEC where
//! they stand.
//!
//! Times that each server computes by its own clock may differ by a little. PING and GETACK are not
//! compared.

use crate::families::{CHOICE, NOW, RESTORED, ToWord};
use crate::report::{Who, command_line};
use crate::session::{Plan, Session};
use crate::support::connection::{Words, encode};
use crate::support::now;
use crate::support::reply::{ReadError, Reply};
use crate::support::server::Server;
use crate::{number, subject, words};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Commands of a run, unless LIMPID_DIFF_COMMANDS says otherwise.
const COMMANDS: usize = 30_000;
const BATCH_MAX: usize = 20;
/// Rounds of the session between two comparisons of the streams.
const ROUNDS: usize = 10;
/// Maximum time between the servers' executions of a command.
const CLOCKS_APART_MS: i64 = 120_000;
/// Marks the place up to which the streams are compared.
pub(crate) const MARK: &[u8] = b"~compared";
/// Read timeout.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Replicas get the data without delay, and only bytes that a command caused.
pub(crate) const MASTER_ARGS: &[&str] =
    &["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "3600"];

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn replicas_get_the_same_stream() {
    let plan = Plan {
        seed: number("LIMPID_DIFF_SEED").unwrap_or(1),
        commands: number("LIMPID_DIFF_COMMANDS").map_or(COMMANDS, |count| count as usize),
        protocol: 2,
        batch_max: BATCH_MAX,
        subject: subject(),
        subject_args: Vec::new(),
        collects: false,
    };
    let mut session = Session::start_with(plan, MASTER_ARGS);
    let mut replicas = [Replica::attach(&session.reference), Replica::attach(&session.subject)];
    let mut compared = 0;
    if let Err(report) = run(&mut session, &mut replicas, &mut compared) {
        panic!("the streams differ, or the servers:\n{report}");
    }
    let links = replicas.each_ref().map(|replica| (replica.resumed, replica.begun_anew));
    println!(
        "{} commands sent, {compared} commands of the streams equal, links resumed and begun \
         anew: {links:?}",
        session.sent()
    );
    assert!(compared * 10 > session.sent(), "hardly anything was written");
}

fn run(
    session: &mut Session,
    replicas: &mut [Replica; 2],
    compared: &mut usize,
) -> Result<(), String> {
    let report = |mismatch: Box<crate::report::Mismatch>| mismatch.report;
    session.greet().map_err(report)?;
    let mut mark: i64 = 0;
    while session.sent() < session.plan.commands {
        for _ in 0..ROUNDS {
            session.round().map_err(report)?;
        }
        mark += 1;
        session.command(Who::Control, words!["PUBLISH", MARK, mark]).map_err(report)?;
        let lefts = replicas[0].read_until(&session.reference, mark);
        let rights = replicas[1].read_until(&session.subject, mark);
        if let (Some(lefts), Some(rights)) = (lefts, rights) {
            let (lefts, rights) = (without_choices(lefts), without_choices(rights));
            *compared += compare(&lefts, &rights).map_err(|difference| {
                format!("{difference}  the last commands:\n{}", session.last_commands())
            })?;
        }
        session.drain().map_err(report)?;
    }
    Ok(())
}

/// Number of equal commands; all of them must be.
pub(crate) fn compare(lefts: &[Words], rights: &[Words]) -> Result<usize, String> {
    let differs = |(left, right): (&Words, &Words)| !are_alike(left, right);
    let first = lefts.iter().zip(rights).position(differs);
    let at = match first {
        None if lefts.len() == rights.len() => return Ok(lefts.len()),
        None => lefts.len().min(rights.len()),
        Some(at) => at,
    };
    let shown = |commands: &[Words]| -> String {
        let around = commands.iter().enumerate().skip(at.saturating_sub(6)).take(10);
        around.map(|(index, words)| format!("    {index}: {}\n", command_line(words))).collect()
    };
    Err(format!(
        "  at {at} of {} and {}\n  redis :\n{}  limpid:\n{}",
        lefts.len(),
        rights.len(),
        shown(lefts),
        shown(rights)
    ))
}

/// Masks the members that a server removed by its own choice, payloads in a table's order, and ids of
/// the clock; and drops the commands that made the
/// subject's data equal afterwards.
fn without_choices(commands: Vec<Words>) -> Vec<Words> {
    let mut kept = Vec::new();
    let (mut is_choice, mut is_made_equal) = (false, false);
    for mut words in commands {
        if words[0].eq_ignore_ascii_case(b"PUBLISH") && words[1] == CHOICE.as_bytes() {
            (is_choice, is_made_equal) = (words[2] == b"begin", false);
        }
        match &mut words[..] {
            [name, key, _, payload, ..] if *name == b"RESTORE" && *key == RESTORED.as_bytes() => {
                *payload = b"..".to_vec();
            }
            [name, key, id, ..] if *name == b"XADD" && *key == NOW.as_bytes() => {
                id.truncate(1);
            }
            _ => {}
        }
        is_made_equal |= is_choice && words[0] == b"SADD";
        if is_choice && words[0] == b"SREM" {
            words[2..].iter_mut().for_each(|member| *member = b"..".to_vec());
        }
        if !is_made_equal {
            kept.push(words);
        }
    }
    kept
}

/// Whether two commands are the same except for times.
fn are_alike(left: &Words, right: &Words) -> bool {
    let same = |index: usize| {
        left[index] == right[index]
            || is_moment(left, index)
                && match (integer(&left[index]), integer(&right[index])) {
                    (Some(one), Some(other)) => one.abs_diff(other) < CLOCKS_APART_MS as u64,
                    _ => false,
                }
    };
    left.len() == right.len() && (0..left.len()).all(same)
}

/// Whether a word of a command is a time that the server may have computed.
fn is_moment(words: &Words, index: usize) -> bool {
    match words[0].to_ascii_uppercase().as_slice() {
        b"PEXPIREAT" | b"RESTORE" => index == 2,
        b"XCLAIM" => index > 3 && words[index - 1] == b"TIME",
        b"SET" => index > 3 && words[index - 1].eq_ignore_ascii_case(b"PXAT"),
        _ => false,
    }
}

fn integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A read-only replica.
pub(crate) struct Replica {
    stream: BufReader<TcpStream>,
    /// The replication id of its history.
    id: String,
    /// Offset in that history.
    offset: usize,
    /// Number of partial resyncs after a cut link.
    resumed: usize,
    /// Number of full resyncs after a cut link.
    begun_anew: usize,
}

impl Replica {
    pub(crate) fn attach(server: &Server) -> Self {
        let mut replica =
            Self { stream: connect(server), id: "?".into(), offset: 0, resumed: 0, begun_anew: 0 };
        assert!(!replica.introduce("-1"), "there is no history to go on in");
        await_snapshot(server);
        replica
    }

    /// Performs a replica's handshake, and reads up to the stream. Returns whether that is a
    /// partial resync.
    fn introduce(&mut self, next: &str) -> bool {
        for words in [&["PING"][..], &["REPLCONF", "listening-port", "1", "capa", "psync2"]] {
            self.send(words);
            self.line();
        }
        let id = self.id.clone();
        self.send(&["PSYNC", &id, next]);
        let answer = self.line();
        let answer: Vec<&str> = answer.split(' ').collect();
        let resumes = match answer[..] {
            ["+FULLRESYNC", id, offset] => {
                (self.id, self.offset) = (id.to_owned(), offset.parse().unwrap());
                let size = self.line();
                let len: usize = size.strip_prefix('$').unwrap().parse().unwrap();
                let mut data = vec![0; len];
                self.stream.read_exact(&mut data).unwrap();
                false
            }
            ["+CONTINUE", id] => {
                self.id = id.to_owned();
                true
            }
            _ => panic!("PSYNC is answered by {answer:?}"),
        };
        self.acknowledge();
        resumes
    }

    fn send(&mut self, words: &[&str]) {
        self.stream.get_mut().write_all(&encode(words)).unwrap();
    }

    fn acknowledge(&mut self) {
        self.send(&["REPLCONF", "ACK", &self.offset.to_string()]);
    }

    /// A line without its end; skips the empty lines of keepalive.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "the server closed the connection");
            if line.trim_end() != "" {
                return line.trim_end().to_owned();
            }
        }
    }

    /// The stream up to a mark. Resumes a link that CLIENT KILL cut; `None` if that fails: the
    /// history changed, or the backlog was too small.
    pub(crate) fn read_until(&mut self, server: &Server, mark: i64) -> Option<Vec<Words>> {
        let last = mark.to_word();
        let mut commands = Vec::new();
        loop {
            let reply = match Reply::read(&mut self.stream) {
                Ok(reply) => reply,
                Err(ReadError::Closed) => {
                    self.resumed += 1;
                    self.stream = connect(server);
                    if !self.introduce(&(self.offset + 1).to_string()) {
                        self.begun_anew += 1;
                        await_snapshot(server);
                        return None;
                    }
                    continue;
                }
                Err(error) => panic!("{:?}: {error:?} after {commands:?}", server.program()),
            };
            let words = words_of(&reply);
            self.offset += encode(&words).len();
            match &words[..] {
                [name, channel, text] if name == b"PUBLISH" && channel == MARK => {
                    assert_eq!(*text, last, "a mark is missing");
                    self.acknowledge();
                    return Some(commands);
                }
                [name] if name.eq_ignore_ascii_case(b"PING") => {}
                [name, ask, _] if name == b"REPLCONF" && ask == b"GETACK" => self.acknowledge(),
                _ => commands.push(words),
            }
        }
    }
}

/// Waits for the end of the snapshot for a replica: DEBUG RELOAD is refused until then.
fn await_snapshot(server: &Server) {
    let start = now();
    while start.elapsed() < TIMEOUT {
        let info = server.call(&[b"INFO", b"persistence"]).unwrap();
        let info = String::from_utf8_lossy(info.text().unwrap_or_default()).into_owned();
        if info.contains("rdb_bgsave_in_progress:0") {
            return;
        }
    }
    panic!("{:?}: a snapshot has no end", server.program());
}

fn connect(server: &Server) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    BufReader::new(stream)
}

/// A command of the stream.
fn words_of(reply: &Reply) -> Words {
    let items = reply.items().unwrap_or_default();
    let word = |item: &Reply| match item {
        Reply::Bulk(word) => word.clone(),
        other => panic!("no argument: {other}"),
    };
    let words: Words = items.iter().map(word).collect();
    assert!(!words.is_empty(), "no command: {reply}");
    words
}

#[test]
fn only_moments_may_differ() {
    let alike = |left: &[&str], right: &[&str]| {
        let words = |words: &[&str]| words.iter().map(|word| word.to_word()).collect();
        are_alike(&words(left), &words(right))
    };
    let (one, soon, late) = ("1700000000000", "1700000000900", "1700000900000");
    assert!(alike(&["SET", "k", "v", "PXAT", one], &["SET", "k", "v", "PXAT", soon]));
    assert!(!alike(&["SET", "k", "v", "PXAT", one], &["SET", "k", "v", "PXAT", late]));
    assert!(!alike(&["SET", "k", one], &["SET", "k", soon]));
    assert!(alike(&["PEXPIREAT", "k", one], &["PEXPIREAT", "k", soon]));
    assert!(!alike(&["PEXPIREAT", "k", one, "NX"], &["PEXPIREAT", "k", soon]));
    assert!(!alike(&["DEL", "k"], &["UNLINK", "k"]));
}
