//! Arguments of `redis.call` and its like as the words of a command.

use std::ops::Range;

use mlua::{Error, LuaString, MultiValue, Result, Value};

use super::names::Shared;
use super::raise;
use crate::number::double::DoubleText;

/// Words that fit without an allocation.
const INLINE: usize = 8;

/// Gives `run` the arguments as the words of a command. Numbers are written as C's `%.17g`.
pub(super) fn with_words<R>(
    shared: &Shared,
    args: &MultiValue,
    run: impl FnOnce(&[&[u8]]) -> R,
) -> Result<R> {
    if args.is_empty() {
        return Err(raise::reply("Please specify at least one argument for this redis lib call"));
    }
    let mut numbers = shared.numbers.take();
    numbers.clear();
    let mut few: [Word; INLINE] = Default::default();
    let mut many: Vec<Word>;
    let words = match few.get_mut(..args.len()) {
        Some(words) => words,
        None => {
            many = std::iter::repeat_with(Word::default).take(args.len()).collect();
            &mut many[..]
        }
    };
    for (word, arg) in words.iter_mut().zip(args.iter()) {
        *word = Word::of(arg, &mut numbers)?;
    }
    let mut few_refs = [&[][..]; INLINE];
    let mut many_refs: Vec<&[u8]>;
    let refs = match few_refs.get_mut(..words.len()) {
        Some(refs) => refs,
        None => {
            many_refs = vec![&[]; words.len()];
            &mut many_refs[..]
        }
    };
    for (to, word) in refs.iter_mut().zip(words.iter()) {
        *to = word.bytes(&numbers);
    }
    let result = run(refs);
    shared.numbers.replace(numbers);
    Ok(result)
}

#[derive(Default)]
enum Word {
    #[default]
    Empty,
    String(mlua::BorrowedBytes),
    Number(Range<usize>),
}

impl Word {
    fn of(value: &Value, numbers: &mut Vec<u8>) -> Result<Self> {
        let number = match value {
            Value::String(string) => return Ok(Self::String(LuaString::as_bytes(string))),
            Value::Number(number) => *number,
            Value::Integer(number) => *number as f64,
            _ => return Err(not_a_word()),
        };
        let start = numbers.len();
        // C writes the sign of a NaN, too.
        if number.is_nan() && number.is_sign_negative() {
            numbers.extend_from_slice(b"-nan");
        } else {
            numbers.extend_from_slice(DoubleText::new(number).as_bytes());
        }
        Ok(Self::Number(start..numbers.len()))
    }

    fn bytes<'a>(&'a self, numbers: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Empty => &[],
            Self::String(bytes) => bytes,
            Self::Number(range) => &numbers[range.clone()],
        }
    }
}

fn not_a_word() -> Error {
    raise::reply("Lua redis lib command arguments must be strings or integers")
}
