//! Writes nested tables depth first, without recursion and with few references held.
//!
//! Lua's limit on nested C calls forbids an iteration inside an iteration for every level, and one
//! step at a time is slow. So a table is iterated in one go: scalars are written at once, and where a
//! table stands inside, the walk notes a hole. Afterwards the holes are filled in order. A table with
//! many tables inside goes on one step at a time, since mlua holds at most some thousand references.

use std::collections::VecDeque;
use std::mem::take;

use mlua::{Error, Function, Table, Value};

use super::raise::Failure;

type Result<T> = std::result::Result<T, Failure>;

/// Holes that one iteration notes before the rest goes step by step.
const HOLES_PER_TABLE_MAX: usize = 64;
/// Holes that all open tables together note.
const HOLES_MAX: usize = 1024;
/// Bytes that one call may write: beyond, it fails as if memory were short.
///
/// Tests reach the limit sooner.
const OUTPUT_BYTES_MAX: usize = if cfg!(test) { 1 << 25 } else { 1 << 30 };

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// The elements from 1 to the length.
    Array(usize),
    /// All pairs, in Lua's order.
    Map,
}

/// Where a table stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Tables around it, plus 1.
    pub(super) depth: usize,
    /// Slots of Lua's stack that Redis's library would use up to and with this table.
    pub(super) slots: usize,
}

/// A format that writes tables.
pub(super) trait Format {
    /// Decides the shape of a table and writes what stands before its content.
    fn open(&self, table: &Table, place: Place, out: &mut Vec<u8>) -> Result<Shape>;
    /// Writes one element, unless it is a table, and what stands before it.
    fn element(&self, value: Value, is_first: bool, sink: &mut Sink<'_>) -> Result<()>;
    /// Writes one pair, except for tables, and what stands around it.
    fn pair(&self, key: &Value, value: Value, is_first: bool, sink: &mut Sink<'_>) -> Result<()>;
    /// Writes what stands after the content.
    fn close(&self, shape: Shape, out: &mut Vec<u8>);
}

/// Where a format writes: bytes at once, tables as holes.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) out: &'a mut Vec<u8>,
    holes: &'a mut VecDeque<Hole>,
    /// Slots of the table that is being written.
    slots: usize,
    depth: usize,
}

impl Sink<'_> {
    /// The depth of the table that is being written, 1 for the outermost.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Leaves the place for a table, which uses `slots` slots above those of the outer one.
    pub(super) fn table(&mut self, table: Table, slots: usize) {
        self.holes.push_back(Hole { at: self.out.len(), table, slots: self.slots + slots });
    }
}

#[derive(Debug)]
struct Hole {
    /// Position in the output, or in `later` once the iteration is over.
    at: usize,
    table: Table,
    slots: usize,
}

/// What of a table is still to be written.
#[derive(Debug, Default)]
enum Rest {
    Elements {
        next: usize,
        len: usize,
    },
    AllPairs,
    PairsAfter(Value),
    #[default]
    Nothing,
}

/// An open table.
#[derive(Debug)]
struct Frame {
    table: Table,
    shape: Shape,
    slots: usize,
    rest: Rest,
    is_first: bool,
    holes: VecDeque<Hole>,
    /// The part of `later` that belongs to this table and is not yet in the output: from here to the
    /// end, while no inner table is open.
    later_from: usize,
    later_start: usize,
    /// An error that came after the holes; theirs come first.
    error: Option<Failure>,
}

/// One walk: the output, and the written parts that wait for holes before them.
#[derive(Debug)]
pub(super) struct Walk<'a, F> {
    next: &'a Function,
    format: &'a F,
    out: Vec<u8>,
    later: Vec<u8>,
    frames: Vec<Frame>,
    holes_open: usize,
}

impl<'a, F: Format> Walk<'a, F> {
    /// A walk that writes to `out`. `next` is Lua's function of that name.
    pub(super) fn new(next: &'a Function, format: &'a F, out: Vec<u8>) -> Self {
        Self { next, format, out, later: Vec::new(), frames: Vec::new(), holes_open: 0 }
    }

    /// Writes a table with all in it. `slots` counts the stack up to and with the table.
    pub(super) fn table(&mut self, table: Table, slots: usize) -> Result<()> {
        self.open(table, slots)?;
        while let Some(frame) = self.frames.last_mut() {
            if let Some(hole) = frame.holes.pop_front() {
                self.holes_open -= 1;
                self.out.extend_from_slice(&self.later[frame.later_from..hole.at]);
                frame.later_from = hole.at;
                self.open(hole.table, hole.slots)?;
                continue;
            }
            self.out.extend_from_slice(&self.later[frame.later_from..]);
            self.later.truncate(frame.later_start);
            frame.later_from = frame.later_start;
            if let Some(error) = frame.error.take() {
                return Err(error);
            }
            self.advance()?;
            if self.out.len() > OUTPUT_BYTES_MAX {
                return Err(memory_error());
            }
        }
        Ok(())
    }

    /// Tables that are open.
    pub(super) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// The output.
    pub(super) fn into_output(self) -> Vec<u8> {
        self.out
    }

    fn open(&mut self, table: Table, slots: usize) -> Result<()> {
        let place = Place { depth: self.frames.len() + 1, slots };
        let shape = self.format.open(&table, place, &mut self.out)?;
        let rest = match shape {
            Shape::Array(len) => Rest::Elements { next: 1, len },
            Shape::Map => Rest::AllPairs,
        };
        let later_start = self.later.len();
        self.frames.push(Frame {
            table,
            shape,
            slots,
            rest,
            is_first: true,
            holes: VecDeque::new(),
            later_from: later_start,
            later_start,
            error: None,
        });
        Ok(())
    }

    /// Writes on in the innermost table: up to the next hole, or to its end.
    fn advance(&mut self) -> Result<()> {
        let frame = self.frames.last_mut().expect("a table is open");
        match take(&mut frame.rest) {
            Rest::Elements { next, len } => self.elements(next, len),
            Rest::AllPairs => {
                self.all_pairs();
                Ok(())
            }
            Rest::PairsAfter(key) => self.pairs_after(key),
            Rest::Nothing => {
                self.format.close(frame.shape, &mut self.out);
                self.frames.pop();
                Ok(())
            }
        }
    }

    fn elements(&mut self, mut next: usize, len: usize) -> Result<()> {
        let depth = self.frames.len();
        let frame = self.frames.last_mut().expect("a table is open");
        while next <= len {
            let value = frame.table.raw_get(next)?;
            let mut sink =
                Sink { out: &mut self.out, holes: &mut frame.holes, slots: frame.slots, depth };
            self.format.element(value, next == 1, &mut sink)?;
            next += 1;
            if !frame.holes.is_empty() || self.out.len() > OUTPUT_BYTES_MAX {
                frame.rest = Rest::Elements { next, len };
                break;
            }
        }
        self.settle_holes();
        Ok(())
    }

    /// Iterates the whole table at once, until it ends, fails or has noted too many holes.
    fn all_pairs(&mut self) {
        let depth = self.frames.len();
        let frame = self.frames.last_mut().expect("a table is open");
        let Frame { table, holes, slots, is_first, .. } = frame;
        let slots = *slots;
        let holes_max = HOLES_PER_TABLE_MAX.min(HOLES_MAX.saturating_sub(self.holes_open)).max(1);
        let (out, format) = (&mut self.out, self.format);
        let mut stopped_at = None;
        let mut failure = None;
        let result = table.for_each(|key: Value, value: Value| {
            let mut sink = Sink { out, holes, slots, depth };
            failure = format.pair(&key, value, take(is_first), &mut sink).err();
            let is_full = holes.len() >= holes_max || out.len() > OUTPUT_BYTES_MAX;
            if is_full {
                stopped_at = Some(key);
            }
            // Any error stops the iteration; what it means stands in the two variables.
            if is_full || failure.is_some() { Err(Error::StackError) } else { Ok(()) }
        });
        match (failure, stopped_at, result) {
            (Some(failure), _, _) => frame.error = Some(failure),
            (None, Some(key), _) => frame.rest = Rest::PairsAfter(key),
            (None, None, result) => frame.error = result.err().map(Failure::Lua),
        }
        self.settle_holes();
    }

    fn pairs_after(&mut self, mut key: Value) -> Result<()> {
        let depth = self.frames.len();
        let frame = self.frames.last_mut().expect("a table is open");
        loop {
            let value;
            (key, value) = self.next.call((&frame.table, key))?;
            if key.is_nil() {
                break;
            }
            let mut sink =
                Sink { out: &mut self.out, holes: &mut frame.holes, slots: frame.slots, depth };
            self.format.pair(&key, value, false, &mut sink)?;
            if !frame.holes.is_empty() || self.out.len() > OUTPUT_BYTES_MAX {
                frame.rest = Rest::PairsAfter(key);
                break;
            }
        }
        self.settle_holes();
        Ok(())
    }

    /// Moves what stands behind the first hole out of the output, to wait for the inner tables.
    fn settle_holes(&mut self) {
        let frame = self.frames.last_mut().expect("a table is open");
        let Some(first) = frame.holes.front() else { return };
        let first_at = first.at;
        self.holes_open += frame.holes.len();
        self.later.extend_from_slice(&self.out[first_at..]);
        self.out.truncate(first_at);
        for hole in &mut frame.holes {
            hole.at = hole.at - first_at + frame.later_start;
        }
    }
}

#[cold]
fn memory_error() -> Failure {
    Failure::Lua(Error::MemoryError("not enough memory".to_owned()))
}
