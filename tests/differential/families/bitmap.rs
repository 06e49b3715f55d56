//! Bitmaps: all commands on the bits of a string.

use super::{Command, Family, Generator, row};
use crate::pool::ValueType::Bits;
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "bitmap", generators: GENERATORS, commands: COMMANDS, of: Some(Bits) };

const GENERATORS: &[Generator] = &[
    row(50, Command(|w| words!["SETBIT", w.key_of(Bits), offset(w), bit(w)])),
    row(20, Command(|w| words!["GETBIT", w.key_of(Bits), offset(w)])),
    row(30, Command(count)),
    row(40, Command(position)),
    row(40, Command(operation)),
    row(70, Command(|w| [words!["BITFIELD", w.key_of(Bits)], fields(w)].concat())),
    row(16, Command(read_only)),
    row(12, Command(|w| words!["SET", w.key_of(Bits), w.value()])),
    row(10, Command(|w| words!["SETRANGE", w.key_of(Bits), w.random.below(40) as i64, w.value()])),
    row(10, Command(|w| words!["GET", w.key_of(Bits)])),
];

const COMMANDS: &[&str] =
    &["BITCOUNT", "BITFIELD", "BITFIELD_RO", "BITOP", "BITPOS", "GETBIT", "SETBIT"];

fn offset(w: &mut World) -> Vec<u8> {
    match w.random.below(20) {
        0 => w.number(),
        1 => w.random.pick(&[&b"4294967295"[..], b"4294967296", b"-1", b"#1", b"99999"]).to_vec(),
        2 => w.random.below(20_000).to_string().into_bytes(),
        _ => w.random.below(200).to_string().into_bytes(),
    }
}

fn bit(w: &mut World) -> Vec<u8> {
    match w.random.below(15) {
        0 => w.number(),
        _ => w.random.below(2).to_string().into_bytes(),
    }
}

fn place(w: &mut World) -> Vec<u8> {
    match w.random.below(12) {
        0 => w.number(),
        1..3 => b"-1".to_vec(),
        3..5 => b"0".to_vec(),
        _ => (w.random.below(80) as i64 - 30).to_string().into_bytes(),
    }
}

fn count(w: &mut World) -> Words {
    let mut words = words!["BITCOUNT", w.key_of(Bits)];
    if w.takes(70) {
        words.extend([place(w), place(w)]);
        if w.takes(50) {
            words.push(w.one_of(&["BYTE", "BIT"]));
        }
    }
    words
}

fn position(w: &mut World) -> Words {
    let mut words = words!["BITPOS", w.key_of(Bits), bit(w)];
    if w.takes(70) {
        words.push(place(w));
        if w.takes(70) {
            words.push(place(w));
            if w.takes(50) {
                words.push(w.one_of(&["BYTE", "BIT"]));
            }
        }
    }
    words
}

/// The target may be one of the sources.
fn operation(w: &mut World) -> Words {
    let name = w.one_of(&["AND", "OR", "XOR", "NOT"]);
    let most = if name == b"NOT" && w.takes(90) { 1 } else { 4 };
    let target = w.key_of(Bits);
    let mut words = [words!["BITOP", name, target.clone()], w.keys_of(Bits, most)].concat();
    if w.takes(15) {
        words[3] = target;
    }
    words
}

fn field_type(w: &mut World) -> Vec<u8> {
    match w.random.below(12) {
        0 => {
            let types: &[&[u8]] = &[
                b"u64", b"i65", b"u0", b"i0", b"x8", b"u", b"i", b"8", b"", b"u-1", b"I8", b"u 8",
            ];
            w.random.pick(types).to_vec()
        }
        1..5 => w.random.pick(&[&b"u8"[..], b"i8", b"u16", b"i16", b"i64", b"u63"]).to_vec(),
        5..8 => format!("u{}", w.random.between(1, 63)).into_bytes(),
        _ => format!("i{}", w.random.between(1, 64)).into_bytes(),
    }
}

fn field_offset(w: &mut World) -> Vec<u8> {
    match w.random.below(10) {
        0 => offset(w),
        1..5 => format!("#{}", w.random.below(12)).into_bytes(),
        _ => w.random.below(150).to_string().into_bytes(),
    }
}

/// Subcommands of BITFIELD.
fn fields(w: &mut World) -> Words {
    let mut words = Vec::new();
    for _ in 0..*w.random.pick(&[0, 1, 1, 2, 3, 6]) {
        match w.random.below(8) {
            0..2 => words.extend(words!["GET", field_type(w), field_offset(w)]),
            2..4 => words.extend(words!["SET", field_type(w), field_offset(w), w.number()]),
            4..7 => words.extend(words!["INCRBY", field_type(w), field_offset(w), w.number()]),
            _ => words.extend(words!["OVERFLOW", w.one_of(&["WRAP", "SAT", "FAIL"])]),
        }
    }
    words
}

fn read_only(w: &mut World) -> Words {
    let mut words = words!["BITFIELD_RO", w.key_of(Bits)];
    for _ in 0..w.random.below(4) {
        words.extend(words!["GET", field_type(w), field_offset(w)]);
    }
    if w.takes(8) {
        words.extend(fields(w));
    }
    words
}
