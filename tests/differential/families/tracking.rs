//! Client-side caching. The subscriber tracks keys, reads some and changes some; the messages to it
//! are compared after every batch.

use super::{Generator, Steps, row, sound_command};
use crate::pair::Unit;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] =
    &[row(60, Steps(tracker)), row(4, Steps(broadcast_tracker))];

/// A step of the tracker.
fn tracker(session: &mut Session) -> Outcome {
    let w = &mut session.world;
    let words = match w.random.below(40) {
        0..6 => words!["CLIENT", "TRACKING", "ON"],
        6 => words!["CLIENT", "TRACKING", "ON", "NOLOOP"],
        7 => words!["CLIENT", "TRACKING", "ON", "OPTIN"],
        8 => words!["CLIENT", "TRACKING", "ON", "OPTOUT", "noloop"],
        9..11 => words!["CLIENT", "TRACKING", "OFF"],
        11..15 => words!["CLIENT", "CACHING", *w.random.pick(&["YES", "NO", "no", "maybe"])],
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

/// Broadcasts of single commands. The keys of a broadcast are those of a batch, which the servers
/// divide in their own ways.
fn broadcast_tracker(session: &mut Session) -> Outcome {
    let off = || Unit::any(words!["CLIENT", "TRACKING", "OFF"]);
    let w = &mut session.world;
    let mut on = words!["CLIENT", "TRACKING", "ON", "BCAST"];
    if w.random.percent(50) {
        on = prefixes(w);
    }
    if w.random.percent(30) {
        on.extend(words!["NOLOOP"]);
    }
    session.drain()?;
    session.step(Who::Subscriber, &[off(), Unit::any(on)])?;
    for _ in 0..session.world.random.between(1, 8) {
        let words = sound_command(&mut session.world);
        session.drain()?;
        if session.world.random.percent(70) {
            session.command(Who::A, words)?;
        } else {
            session.step(Who::Subscriber, &[Unit::any(words)])?;
        }
        session.drain()?;
    }
    session.step(Who::Subscriber, &[off()])?;
    Ok(())
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
