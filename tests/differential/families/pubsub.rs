//! Publish and subscribe. One client only subscribes; the messages to it and the observer are
//! compared after every batch.

use super::{Command, Exact, Generator, Steps, plain_command, row};
use crate::pair::Unit;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[
    row(25, Command(|w| words!["PUBLISH", w.channel(), w.value()])),
    row(15, Command(|w| words!["SPUBLISH", w.channel(), w.value()])),
    row(6, Exact(|w| pubsub(w, "CHANNELS"))),
    row(4, Exact(|w| pubsub(w, "SHARDCHANNELS"))),
    row(6, Exact(|w| [words!["PUBSUB", "NUMSUB"], w.channels(3)].concat())),
    row(4, Exact(|w| [words!["PUBSUB", "shardnumsub"], w.channels(3)].concat())),
    row(4, Exact(|_| words!["PUBSUB", "NUMPAT"])),
    row(3, Exact(odd_pubsub)),
    row(40, Steps(subscriber)),
];

fn pubsub(w: &mut World, sub: &str) -> Words {
    match w.random.below(5) {
        0 | 1 => words!["PUBSUB", sub],
        2 => words!["PUBSUB", sub, w.pattern()],
        3 => words!["PUBSUB", sub, w.channel_pattern(), "more"],
        _ => words!["pubsub", sub, w.channel_pattern()],
    }
}

fn odd_pubsub(w: &mut World) -> Words {
    match w.random.below(7) {
        0 => words!["PUBSUB"],
        1 => words!["PUBSUB", "HELP"],
        2 => words!["PUBSUB", "NUMPAT", "x"],
        3 => words!["PUBSUB", "NUMSUB"],
        4 => words!["PUBSUB", "SHARDNUMSUB"],
        5 => words!["PUBSUB", "HELP", "x"],
        _ => words!["PUBSUB", w.anything()],
    }
}

/// A step of the subscriber.
fn subscriber(session: &mut Session) -> Outcome {
    let w = &mut session.world;
    let words = match w.random.below(40) {
        0..6 => [words!["SUBSCRIBE"], w.channels(3)].concat(),
        6..10 => patterns(w, "PSUBSCRIBE"),
        10..13 => [words!["SSUBSCRIBE"], w.channels(3)].concat(),
        13..17 => [words!["UNSUBSCRIBE"], w.channels(3)].concat(),
        17..20 => patterns(w, "PUNSUBSCRIBE"),
        20..22 => [words!["SUNSUBSCRIBE"], w.channels(3)].concat(),
        22 => words!["UNSUBSCRIBE"],
        23 => words!["PUNSUBSCRIBE"],
        24 => words!["SUNSUBSCRIBE"],
        25 => words![*w.random.pick(&["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"])],
        26..28 => words!["PING"],
        28..30 => words!["PING", w.value()],
        30 => words!["PING", "a", "b"],
        31 => words!["RESET"],
        32 | 33 => {
            let protocol = w.protocol.to_string();
            words!["HELLO", &protocol[..]]
        }
        34 => words!["HELLO", *w.random.pick(&["2", "3"])],
        35 => words!["PUBLISH", w.channel(), w.value()],
        36 => words!["SPUBLISH", w.channel(), w.value()],
        _ => plain_command(w),
    };
    session.drain()?;
    session.step(Who::Subscriber, &[Unit::any(words)])?;
    session.drain()
}

fn patterns(w: &mut World, name: &str) -> Words {
    let mut words = words![name];
    for _ in 0..w.random.between(1, 3) {
        words.push(w.channel_pattern());
    }
    words
}
