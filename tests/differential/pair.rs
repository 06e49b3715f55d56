//! One client on both servers: a connection to the reference and one to the subject that get the
//! same bytes. A PING with a unique word follows each group, so that the end of any number of
//! replies is known. Users who may not PING have an AUTH without arguments instead, which is refused
//! before their rights count.

use crate::support::connection::{Connection, LARGE_BYTES, Words, encode};
use crate::support::reply::{ReadError, Reply};
use crate::support::server::Server;
use std::time::Duration;

/// Commands sent to the servers together, on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) commands: Vec<Words>,
    pub(crate) replies: Replies,
}

/// Which replies a unit causes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replies {
    OneEach,
    /// The last command is answered once, the others not at all.
    OfLast,
    /// Any number, pushes among them.
    Any,
}

impl Unit {
    pub(crate) fn one(command: Words) -> Self {
        Self { commands: vec![command], replies: Replies::OneEach }
    }

    pub(crate) const fn one_each(commands: Vec<Words>) -> Self {
        Self { commands, replies: Replies::OneEach }
    }

    pub(crate) fn any(command: Words) -> Self {
        Self { commands: vec![command], replies: Replies::Any }
    }
}

/// One side's answer, up to the PING after it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) replies: Vec<Reply>,
    pub(crate) broken: Option<ReadError>,
}

/// What follows each group of commands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    Ping,
    Auth,
}

/// The reply to [`Mark::Auth`], which no command of a group gets.
const AUTH_REFUSED: &[u8] = b"ERR wrong number of arguments for 'auth' command";

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) left: Connection,
    pub(crate) right: Connection,
    /// The commands queued in the open transaction.
    pub(crate) queued: Option<Vec<Words>>,
    pings: u64,
    mark: Mark,
}

impl Pair {
    pub(crate) fn new(reference: &Server, subject: &Server, timeout: Duration, mark: Mark) -> Self {
        let connect = |server: &Server| {
            let mut connection = server.connect();
            connection.set_timeout(timeout).expect("a time limit above zero");
            connection
        };
        let (left, right) = (connect(reference), connect(subject));
        Self { left, right, queued: None, pings: 0, mark }
    }

    /// Sends groups of commands, each followed by a PING, and reads the replies before each PING's.
    pub(crate) fn exchange(&mut self, groups: &[Vec<&Words>]) -> Vec<(Answer, Answer)> {
        let mut bytes = Vec::new();
        let mut marks = Vec::new();
        for group in groups {
            for words in group {
                bytes.extend_from_slice(&encode(words));
            }
            self.pings += 1;
            let mark = match self.mark {
                Mark::Ping => format!("~mark{}", self.pings).into_bytes(),
                Mark::Auth => AUTH_REFUSED.to_vec(),
            };
            bytes.extend(match self.mark {
                Mark::Ping => encode(&[b"PING", &mark[..]]),
                Mark::Auth => encode(&[b"AUTH"]),
            });
            marks.push(mark);
        }
        let (left, right) = self.both(&bytes, |connection| read_marked(connection, &marks));
        left.into_iter().zip(right).collect()
    }

    /// Sends one command without a PING and reads one reply: for use in a transaction.
    pub(crate) fn call(&mut self, words: &Words) -> (Answer, Answer) {
        self.both(&encode(words), |connection| match connection.read_reply() {
            Ok(reply) => Answer { replies: vec![reply], broken: None },
            Err(error) => Answer { replies: Vec::new(), broken: Some(error) },
        })
    }

    /// Both servers work at the same time where that is safe: see `send_while`.
    fn both<T>(&mut self, bytes: &[u8], read: impl Fn(&mut Connection) -> T) -> (T, T) {
        if bytes.len() < LARGE_BYTES {
            // A failed write shows in the read.
            drop(self.left.send_raw(bytes));
            drop(self.right.send_raw(bytes));
            (read(&mut self.left), read(&mut self.right))
        } else {
            (self.left.send_while(bytes, &read), self.right.send_while(bytes, &read))
        }
    }
}

fn read_marked(connection: &mut Connection, marks: &[Vec<u8>]) -> Vec<Answer> {
    let mut broken = None;
    let read_one = |mark: &Vec<u8>| {
        let mut replies = Vec::new();
        while broken.is_none() {
            match connection.read_reply() {
                Ok(reply) if is_pong(&reply, mark) => break,
                Ok(reply) => replies.push(reply),
                Err(error) => broken = Some(error),
            }
        }
        Answer { replies, broken: broken.clone() }
    };
    marks.iter().map(read_one).collect()
}

/// A RESP2 client with subscriptions gets PONG in another form.
fn is_pong(reply: &Reply, mark: &[u8]) -> bool {
    match reply {
        Reply::Error(text) => text == mark,
        Reply::Bulk(text) => text == mark,
        Reply::Array(items) => match &items[..] {
            [Reply::Bulk(pong), Reply::Bulk(text)] => pong == b"pong" && text == mark,
            _ => false,
        },
        _ => false,
    }
}
