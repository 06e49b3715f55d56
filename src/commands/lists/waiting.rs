//! The commands that wait for elements: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.

use super::moving::{self, Ends};
use super::popping::{ManyPop, note_popped, pop_command};
use super::{Direction, limits};
use crate::commands::blocking::{self, Readiness, Serve, deadline_of_seconds};
use crate::commands::{Args, Context, Failure, Handled, Keys};
use crate::keyspace::Key;
use crate::node::Node;
use crate::resp::Output;
use crate::types::Type;
use crate::types::list;

pub(super) fn blpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop(ctx, args, Direction::Forward)
}

pub(super) fn brpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    pop(ctx, args, Direction::Backward)
}

fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: Direction) -> Handled {
    let last = args.len() - 1;
    let deadline_ms = deadline_of_seconds(ctx.node, args.at(last))?;
    let keys: Vec<Key<'_>> = (1..last).map(|index| ctx.keys.at(args, index)).collect();
    for key in &keys {
        if ctx.keys.write_of(*key, Type::List)?.is_some() {
            Pop(end).take(&mut ctx.keys, ctx.reply, *key);
            ctx.replied_before_events();
            note_popped(&mut ctx.keys, *key, end, 1);
            return Ok(());
        }
    }
    blocking::block(ctx, &keys, deadline_ms, Box::new(Pop(end)));
    Ok(())
}

pub(super) fn blmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let pop = ManyPop::parse(args, 2)?;
    let deadline_ms = deadline_of_seconds(ctx.node, args.at(1))?;
    let keys = pop.keys(ctx, args);
    if !pop.run(ctx, &keys)? {
        blocking::block(ctx, &keys, deadline_ms, Box::new(pop));
    }
    Ok(())
}

pub(super) fn blmove(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let ends = Ends::parse(args, 3)?;
    let deadline_ms = deadline_of_seconds(ctx.node, args.at(5))?;
    move_or_wait(ctx, args, ends, Form::Lmove, deadline_ms)
}

pub(super) fn brpoplpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let deadline_ms = deadline_of_seconds(ctx.node, args.at(3))?;
    move_or_wait(ctx, args, Ends::RIGHT_TO_LEFT, Form::Rpoplpush, deadline_ms)
}

fn move_or_wait(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    ends: Ends,
    form: Form,
    deadline_ms: Option<i64>,
) -> Handled {
    let (source, target) = (ctx.keys.at(args, 1), ctx.keys.at(args, 2));
    if moving::run(ctx, source, target, ends)? {
        match form {
            Form::Lmove => {
                let (from, to) = (args.at(3), args.at(4));
                ctx.keys.log_instead(&[&[b"LMOVE", source.bytes, target.bytes, from, to]]);
            }
            Form::Rpoplpush => {
                ctx.keys.log_instead(&[&[b"RPOPLPUSH", source.bytes, target.bytes]]);
            }
        }
        return Ok(());
    }
    let wanted = Move { target: target.bytes.into(), ends, form };
    blocking::block(ctx, &[source], deadline_ms, Box::new(wanted));
    Ok(())
}

/// Whether a key holds a list, which is never empty.
fn list_readiness(keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
    match keys.write(key) {
        Some(entry) if entry.encoding().kind() == Type::List => Readiness::Ready,
        Some(_) => Readiness::NotForThis,
        None => Readiness::Empty,
    }
}

/// Waits for one element, at this end.
#[derive(Clone, Copy, Debug)]
struct Pop(Direction);

impl Pop {
    /// Takes an element from a list that was found there. The change is for the caller to record.
    fn take(self, keys: &mut Keys<'_>, reply: &mut Output, key: Key<'_>) {
        reply.array(2);
        reply.bulk(key.bytes);
        keys.edit(key, |place| {
            list::pop_with(place, self.0, |item| Context::reply_item(reply, item));
        });
        keys.log_instead(&[&[pop_command(self.0), key.bytes]]);
    }
}

impl Serve for Pop {
    fn readiness(&self, keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
        list_readiness(keys, key)
    }

    fn serve(&self, _: &Node, keys: &mut Keys<'_>, key: Key<'_>, reply: &mut Output) -> Handled {
        self.take(keys, reply, key);
        note_popped(keys, key, self.0, 1);
        Ok(())
    }
}

impl Serve for ManyPop {
    fn readiness(&self, keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
        list_readiness(keys, key)
    }

    fn serve(&self, _: &Node, keys: &mut Keys<'_>, key: Key<'_>, reply: &mut Output) -> Handled {
        let count = Self::serve(*self, keys, reply, key);
        note_popped(keys, key, self.end, count);
        Ok(())
    }
}

/// As which command a move is logged.
#[derive(Clone, Copy, Debug)]
enum Form {
    Lmove,
    Rpoplpush,
}

/// Waits for an element to move it.
#[derive(Debug)]
struct Move {
    target: Box<[u8]>,
    ends: Ends,
    form: Form,
}

impl Serve for Move {
    fn readiness(&self, keys: &mut Keys<'_>, key: Key<'_>) -> Readiness {
        list_readiness(keys, key)
    }

    fn serve(
        &self,
        node: &Node,
        keys: &mut Keys<'_>,
        key: Key<'_>,
        reply: &mut Output,
    ) -> Result<(), Failure> {
        let name = |end| match end {
            Direction::Forward => &b"left"[..],
            Direction::Backward => b"right",
        };
        let (target, Ends { from, to }) = (keys.key(&self.target), self.ends);
        let limits = limits(node, &node.settings.load());
        moving::move_one(keys, reply, key, target, self.ends, limits)?;
        note_popped(keys, key, from, 1);
        match self.form {
            Form::Lmove => {
                let words = [&b"LMOVE"[..], key.bytes, target.bytes, name(from), name(to)];
                keys.log_instead(&[&words]);
            }
            Form::Rpoplpush => keys.log_instead(&[&[b"RPOPLPUSH", key.bytes, target.bytes]]),
        }
        Ok(())
    }

    fn target(&self) -> Option<&[u8]> {
        Some(&self.target)
    }

    fn refused(&self, reply: &mut Output) {
        reply.null();
    }
}
