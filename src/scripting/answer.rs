//! A script's result as a reply.
//!
//! Tables nest as deep as the stack of Lua allows, so the conversion keeps a stack of its own.

use bstr::ByteSlice;
use mlua::{Error, Lua, LuaString, Result, Table, Value};

use super::host::{Counted, ReplyWriter, Resp};
use super::names::Names;
use super::raise::{reply_text, up_to_zero};

/// Slots of Lua's stack that Redis's conversion may use, those that are taken when it begins, and
/// those that each step needs.
const SLOTS_MAX: usize = 8000;
const SLOTS_TAKEN: usize = 2;
const SLOTS_NEEDED: usize = 4;
const STACK_LIMIT: &[u8] = b"ERR reached lua stack limit";
/// Most values of a reply, tables that are met again counted each time: a few tables that refer to
/// each other would make a reply without end, which nothing could interrupt.
const VALUES_MAX: usize = 1 << if cfg!(test) { 18 } else { 25 };
const VALUES_LIMIT: &[u8] = b"ERR too many values in a script's reply";
/// Open tables that Rust holds itself; the binding has no more than 8000 handles for all purposes.
const HELD_MAX: usize = 1000;

/// A result without elements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    String(&'a [u8]),
    Number(f64),
    Boolean(bool),
    Nil,
}

impl Scalar<'_> {
    /// Writes it as one reply.
    pub(super) fn write(self, resp: Resp, writer: &mut dyn ReplyWriter) {
        match self {
            Self::String(bytes) => writer.bulk(bytes),
            Self::Number(value) => writer.integer(to_integer(value)),
            Self::Boolean(value) => match (resp, value) {
                (Resp::Three, value) => writer.boolean(value),
                (Resp::Two, true) => writer.integer(1),
                (Resp::Two, false) => writer.null(),
            },
            Self::Nil => writer.null(),
        }
    }
}

/// Where the writing of a table's elements stands.
enum Open {
    Array {
        written: usize,
        len: usize,
    },
    /// `key` is the one written last; `value` waits until its key is written; `left` pairs follow.
    Map {
        key: Value,
        value: Option<Value>,
        left: usize,
    },
    Set {
        key: Value,
        left: usize,
    },
}

impl Open {
    /// Values that are still to be written.
    fn missing(&self) -> usize {
        match self {
            Self::Array { written, len } => len - written,
            Self::Map { value, left, .. } => 2 * left + usize::from(value.is_some()),
            Self::Set { left, .. } => *left,
        }
    }

    /// Slots of the stack that Redis's recursion holds for it while it writes an element.
    fn slots(&self) -> usize {
        match self {
            Self::Array { .. } => 1,
            Self::Map { value, .. } => 3 + usize::from(value.is_some()),
            Self::Set { .. } => 3,
        }
    }

    /// The next element of `table`.
    fn next(&mut self, names: &Names, table: &Table) -> Result<Option<Value>> {
        match self {
            Self::Array { written, len } => {
                if written == len {
                    return Ok(None);
                }
                let value = table.raw_get(*written + 1)?;
                *written += 1;
                Ok(Some(value))
            }
            Self::Map { value, .. } if value.is_some() => Ok(value.take()),
            Self::Map { key, value, left } => {
                let Some((next_key, next_value)) = entry_after(names, table, key)? else {
                    return Ok(None);
                };
                (*left, *value) = (left.saturating_sub(1), Some(next_value));
                *key = next_key.clone();
                Ok(Some(next_key))
            }
            Self::Set { key, left } => {
                let Some((next_key, _)) = entry_after(names, table, key)? else { return Ok(None) };
                *left = left.saturating_sub(1);
                *key = next_key.clone();
                Ok(Some(next_key))
            }
        }
    }
}

/// The open tables, outermost first; the deep ones in a table of Lua's.
#[derive(Default)]
struct Tables {
    held: Vec<Table>,
    deep: Option<Table>,
    deep_len: usize,
}

impl Tables {
    fn push(&mut self, lua: &Lua, table: Table) -> Result<()> {
        if self.held.len() < HELD_MAX {
            self.held.push(table);
            return Ok(());
        }
        let deep = match self.deep.take() {
            Some(deep) => deep,
            None => lua.create_table()?,
        };
        let deep = self.deep.insert(deep);
        deep.raw_set(self.deep_len + 1, table)?;
        self.deep_len += 1;
        Ok(())
    }

    fn pop(&mut self) {
        match self.deep_len {
            0 => drop(self.held.pop()),
            _ => self.deep_len -= 1,
        }
    }

    /// Gives `read` the innermost.
    fn with_last<R>(&self, read: impl FnOnce(&Table) -> Result<R>) -> Result<R> {
        match (&self.deep, self.held.last()) {
            (Some(deep), _) if self.deep_len > 0 => read(&deep.raw_get(self.deep_len)?),
            (_, Some(table)) => read(table),
            _ => Err(Error::runtime("no table is open")),
        }
    }
}

/// Writes results in the forms that the script's protocol asks for.
pub(super) struct Answer<'a> {
    lua: &'a Lua,
    names: &'a Names,
    resp: Resp,
    writer: &'a mut dyn ReplyWriter,
    open: Vec<Open>,
    tables: Tables,
    /// Slots that Redis's recursion holds for all open tables but the innermost.
    slots: usize,
    /// Values that may still be written, beyond those of open tables.
    values_left: usize,
}

impl<'a> Answer<'a> {
    pub(super) fn new(
        lua: &'a Lua,
        names: &'a Names,
        resp: Resp,
        writer: &'a mut dyn ReplyWriter,
    ) -> Self {
        let (open, tables) = (Vec::new(), Tables::default());
        let (slots, values_left) = (SLOTS_TAKEN, VALUES_MAX);
        Self { lua, names, resp, writer, open, tables, slots, values_left }
    }

    /// Writes one value as one reply, whole in any case: if Lua fails, an error or nulls stand for
    /// what could not be read.
    pub(super) fn write(&mut self, value: Value) {
        self.begin(value);
        loop {
            match self.next() {
                Ok(Some(value)) => self.begin(value),
                Ok(None) => return,
                Err(_) => return self.give_up(),
            }
        }
    }

    fn give_up(&mut self) {
        for open in self.open.drain(..) {
            (0..open.missing()).for_each(|_| self.writer.null());
        }
    }

    /// Writes a plain value, or the head of one with elements, which becomes open.
    fn begin(&mut self, value: Value) {
        let innermost = self.open.last().map_or(0, Open::slots);
        if self.slots + innermost + SLOTS_NEEDED > SLOTS_MAX {
            return self.writer.error(STACK_LIMIT, Counted::NotYet);
        }
        match value {
            Value::String(string) => self.scalar(Scalar::String(&string.as_bytes())),
            Value::Integer(value) => self.writer.integer(value),
            Value::Number(value) => self.scalar(Scalar::Number(value)),
            Value::Boolean(value) => self.scalar(Scalar::Boolean(value)),
            Value::Table(table) => {
                if let Err(error) = self.begin_table(table, innermost) {
                    self.writer.error(&without_breaks(&reply_text(&error)), Counted::NotYet);
                }
            }
            _ => self.scalar(Scalar::Nil),
        }
    }

    fn scalar(&mut self, scalar: Scalar<'_>) {
        scalar.write(self.resp, self.writer);
    }

    /// Sets values of a table aside. If there are too many, an error stands for the table.
    fn reserves(&mut self, values: usize) -> bool {
        let left = self.values_left.checked_sub(values);
        match left {
            Some(left) => self.values_left = left,
            None => self.writer.error(VALUES_LIMIT, Counted::NotYet),
        }
        left.is_some()
    }

    /// Writes nothing if it fails.
    fn begin_table(&mut self, table: Table, innermost: usize) -> Result<()> {
        let table = self.readable(table)?;
        if self.special(&table)? {
            return Ok(());
        }
        if let Value::Table(map) = table.raw_get(&self.names.map)? {
            let map = self.readable(map)?;
            let left = entries(&map)?;
            if !self.reserves(left.saturating_mul(2)) {
                return Ok(());
            }
            self.tables.push(self.lua, map)?;
            self.writer.map(left);
            self.open.push(Open::Map { key: Value::Nil, value: None, left });
        } else if let Value::Table(set) = table.raw_get(&self.names.set)? {
            let set = self.readable(set)?;
            let left = entries(&set)?;
            if !self.reserves(left) {
                return Ok(());
            }
            self.tables.push(self.lua, set)?;
            self.writer.set(left);
            self.open.push(Open::Set { key: Value::Nil, left });
        } else {
            let len = table.sequence_values::<bool>().count();
            if !self.reserves(len) {
                return Ok(());
            }
            self.tables.push(self.lua, table)?;
            self.writer.array(len);
            self.open.push(Open::Array { written: 0, len });
        }
        self.slots += innermost;
        Ok(())
    }

    /// The table with the fields: a sealed one has none itself.
    fn readable(&self, table: Table) -> Result<Table> {
        if table.metatable().is_none() {
            return Ok(table);
        }
        let contents: Option<Table> = self.names.prelude()?.contents.raw_get(&table)?;
        Ok(contents.unwrap_or(table))
    }

    /// Writes a table that stands for a value without elements, if it does.
    fn special(&mut self, table: &Table) -> Result<bool> {
        if let Value::String(_) = table.raw_get(&self.names.err)? {
            let failure = Failure::of(self.names, table)?;
            self.writer.error(&on_one_line(&failure.text), failure.counted);
        } else if let Value::String(text) = table.raw_get(&self.names.ok)? {
            self.writer.simple(&without_breaks(up_to_zero(&text.as_bytes())));
        } else if let Some(value) = number(&table.raw_get(&self.names.double)?) {
            self.writer.double(value);
        } else if let Value::String(digits) = table.raw_get(&self.names.big_number)? {
            self.writer.big_number(&without_breaks(&digits.as_bytes()));
        } else if let Some((format, text)) = self.verbatim(table)? {
            self.writer.verbatim(format_name(&format), &text.as_bytes());
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn verbatim(&self, table: &Table) -> Result<Option<(LuaString, LuaString)>> {
        let Value::Table(inner) = table.raw_get(&self.names.verbatim_string)? else {
            return Ok(None);
        };
        let inner = self.readable(inner)?;
        let fields = (inner.raw_get(&self.names.format)?, inner.raw_get(&self.names.string)?);
        let (Value::String(format), Value::String(text)) = fields else { return Ok(None) };
        Ok(Some((format, text)))
    }

    /// The next value of the innermost open table; closes those that are at their end.
    fn next(&mut self) -> Result<Option<Value>> {
        while let Some(open) = self.open.last_mut() {
            let value = self.tables.with_last(|table| open.next(self.names, table))?;
            if value.is_some() {
                return Ok(value);
            }
            self.open.pop();
            self.tables.pop();
            self.slots -= self.open.last().map_or(0, Open::slots);
        }
        Ok(None)
    }
}

fn entries(table: &Table) -> Result<usize> {
    let mut count = 0;
    table.for_each::<bool, bool>(|_, _| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

fn entry_after(names: &Names, table: &Table, key: &Value) -> Result<Option<(Value, Value)>> {
    let (key, value): (Value, Value) = names.prelude()?.next.call((table, key))?;
    Ok((!key.is_nil()).then_some((key, value)))
}

/// What a script failed with, as the fields of its error table say.
pub(super) struct Failure {
    /// `CODE text`.
    pub(super) text: Vec<u8>,
    /// The chunk and the line, if both are known.
    pub(super) place: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) counted: Counted,
}

impl Failure {
    /// Reads the fields by way of metatables, as Redis does.
    pub(super) fn of(names: &Names, table: &Table) -> Result<Self> {
        let text = string(&table.get(&names.err)?).unwrap_or_else(|| b"ERR unknown error".to_vec());
        let source = string(&table.get(&names.source)?);
        let line = string(&table.get(&names.line)?);
        let counted = match table.get(&names.counted)? {
            Value::Boolean(true) => Counted::Already,
            _ => Counted::NotYet,
        };
        Ok(Self { text, place: source.zip(line), counted })
    }
}

/// A string, or the text of a number, up to the first zero byte.
fn string(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(string) => Some(up_to_zero(&string.as_bytes()).to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(value) => Some(*value as f64),
        Value::Number(value) => Some(*value),
        _ => None,
    }
}

/// C's conversion of a double to a `long long` on x86-64: what does not fit is the least value.
fn to_integer(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// Three letters; spaces for those that lack.
fn format_name(format: &LuaString) -> [u8; 3] {
    let mut name = [b' '; 3];
    for (to, from) in name.iter_mut().zip(up_to_zero(&format.as_bytes())) {
        *to = *from;
    }
    name
}

/// An error's text on one line: none of its line breaks at the ends, spaces for those within.
fn on_one_line(text: &[u8]) -> Vec<u8> {
    without_breaks(text.trim_with(|c| c == '\r' || c == '\n'))
}

/// Spaces for line breaks.
pub(super) fn without_breaks(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
}
