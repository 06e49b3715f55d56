//! Client-side caching. The subscriber tracks keys, reads some and changes some; the messages to it
//! are compared after every batch.

use super::{Generator, Steps, row, sound_command};
use crate::pair::Unit;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[row(60, Steps(tracker))];

/// A step of the tracker.
fn tracker(session: &mut Session) -> Outcome {
    // The keys of a broadcast are those of a batch, which the servers divide in their own ways.
    let one_by_one = session.plan.batch_max == 1;
    let w = &mut session.world;
    let words = match w.random.below(40) {
        0..6 => words!["CLIENT", "TRACKING", "ON"],
        6 => words!["CLIENT", "TRACKING", "ON", "NOLOOP"],
        7 => words!["CLIENT", "TRACKING", "ON", "OPTIN"],
        8 => words!["CLIENT", "TRACKING", "ON", "OPTOUT", "noloop"],
        9..11 => words!["CLIENT", "TRACKING", "OFF"],
        11 if one_by_one => words!["CLIENT", "TRACKING", "ON", "BCAST"],
        12 if one_by_one => prefixes(w),
        13 if one_by_one => [prefixes(w), words!["NOLOOP"]].concat(),
        14 => words!["CLIENT", "CACHING", *w.random.pick(&["YES", "NO", "no", "maybe"])],
        15 => words!["CLIENT", "TRACKINGINFO"],
        16 => words!["CLIENT", "GETREDIR"],
        17 => odd(w),
        18 => words!["RESET"],
        19 | 20 => {
            let protocol = w.protocol.to_string();
            words!["HELLO", &protocol[..]]
        }
        21..24 => [words!["MGET"], w.keys(4)].concat(),
        24..28 => [words!["EXISTS"], w.keys(3)].concat(),
        _ => sound_command(w),
    };
    session.drain()?;
    session.step(Who::Subscriber, &[Unit::any(words)])?;
    session.drain()
}

/// Broadcasting for some keys, of which one may be the start of another.
fn prefixes(w: &mut World) -> Words {
    let mut words = words!["CLIENT", "TRACKING", "ON", "BCAST"];
    // Of three that overlap, Redis answers twice.
    for _ in 0..w.random.between(1, 2) {
        words.extend(words!["PREFIX", w.key()]);
    }
    words
}

fn odd(w: &mut World) -> Words {
    match w.random.below(8) {
        0 => words!["CLIENT", "TRACKING", "ON", "REDIRECT", "99999999"],
        1 => words!["CLIENT", "TRACKING", "ON", "REDIRECT", w.odd_number()],
        2 => words!["CLIENT", "TRACKING", "ON", "OPTIN", "OPTOUT"],
        3 => words!["CLIENT", "TRACKING", "ON", "PREFIX", w.key()],
        4 => words!["CLIENT", "TRACKING", w.anything()],
        5 => words!["CLIENT", "TRACKING", "ON", w.anything()],
        6 => words!["CLIENT", "CACHING", w.anything()],
        _ => words!["CLIENT", "TRACKING", "ON", "BCAST", "OPTIN"],
    }
}
