//! Transactions: whole ones, with a second client changing keys between.

use super::{Exact, Generator, Steps, plain_command, row, sound_command};
use crate::pair::Unit;
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[
    row(12, Steps(transaction)),
    row(3, Exact(|_| words!["EXEC"])),
    row(3, Exact(|_| words!["DISCARD"])),
    row(3, Exact(|_| words!["UNWATCH"])),
    row(6, Exact(|w| [words!["WATCH"], w.keys(3)].concat())),
    row(1, Exact(|w| words!["MULTI", w.anything()])),
    row(1, Exact(|w| words!["DISCARD", w.anything()])),
    row(1, Exact(|w| words!["EXEC", w.anything()])),
    row(1, Exact(|w| words!["UNWATCH", w.anything()])),
    row(1, Exact(|_| words!["WATCH"])),
];

fn transaction(session: &mut Session) -> Outcome {
    let world = &mut session.world;
    if world.random.percent(60) {
        let watch = [words!["WATCH"], world.keys(3)].concat();
        session.command(Who::A, watch)?;
        if session.world.random.percent(60) {
            interfere(session)?;
        }
        if session.world.random.percent(10) {
            session.command(Who::A, words!["UNWATCH"])?;
        }
    }
    let mut commands = vec![words!["MULTI"]];
    // One refused command makes EXEC execute none: most transactions have none.
    let make = if session.world.random.percent(70) { sound_command } else { queued };
    for _ in 0..session.world.random.below(10) {
        commands.push(make(&mut session.world));
    }
    let (last, after) = ending(&mut session.world);
    if session.plan.batch_max > 1 && session.world.random.percent(60) {
        commands.extend([last, after].into_iter().flatten());
        session.step(Who::A, &[Unit::one_each(commands)])?;
    } else {
        for words in commands {
            session.command_alone(Who::A, words)?;
            if session.world.random.percent(15) {
                interfere(session)?;
            }
        }
        // Before EXEC, a PING after the command would be queued.
        for words in last {
            session.command_alone(Who::A, words)?;
        }
        session.step(Who::A, &[Unit::one_each(after)])?;
    }
    session.drain()
}

/// Another client changes something.
fn interfere(session: &mut Session) -> Outcome {
    let words = plain_command(&mut session.world);
    session.command(Who::B, words)?;
    Ok(())
}

/// A command to queue; if it is refused, as sometimes, EXEC executes nothing.
fn queued(w: &mut World) -> Words {
    match w.random.below(100) {
        0 => words!["MULTI"],
        1 => [words!["WATCH"], w.keys(2)].concat(),
        2 => words!["NOSUCHCOMMAND", w.value()],
        3 => words!["GET"],
        4 => words!["UNWATCH"],
        5 => words!["EXEC", "surplus"],
        _ => plain_command(w),
    }
}

/// The end of the transaction: commands inside it, then those from its end on.
fn ending(w: &mut World) -> (Vec<Words>, Vec<Words>) {
    let protocol = w.protocol.to_string();
    let hello = || words!["HELLO", &protocol[..]];
    match w.random.below(20) {
        0..2 => (vec![], vec![words!["DISCARD"]]),
        2 => (vec![], vec![words!["RESET"], hello()]),
        3 => (vec![words!["EXEC", "surplus"]], vec![words!["DISCARD"]]),
        4 => (vec![words!["DISCARD", "surplus"]], vec![words!["EXEC"]]),
        _ => (vec![], vec![words!["EXEC"]]),
    }
}
