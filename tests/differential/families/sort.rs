//! SORT: lists, sets and sorted sets, by their own values or by keys and fields named after them.

use super::{Family, Generator, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::{List, Set, SortedSet};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "sort", generators: GENERATORS, commands: &["SORT", "SORT_RO"], of: None };

const GENERATORS: &[Generator] = &[row(30, Together(any)), row(40, Together(own))];

/// Redis tells from `errno` whether a score is out of range, and does not clear it before: an earlier
/// command's failure would count. This command clears it, and has no other effect.
fn without_earlier_failure() -> Words {
    words!["INCRBYFLOAT", "~none", "not a number"]
}

/// Any key, without what a tie would decide.
fn any(w: &mut World) -> Unit {
    let name = if w.takes(70) { "SORT" } else { "SORT_RO" };
    let of = *w.random.pick(&[List, Set, SortedSet]);
    let mut words = words![name, w.key_of(of)];
    let mut stores = false;
    for _ in 0..w.random.below(4) {
        match w.random.below(6) {
            0 => words.extend(limit(w)),
            1 => words.extend(words!["GET", pattern(w)]),
            2 => words.push(w.one_of(&["ASC", "DESC"])),
            3 | 4 if name == "SORT" => {
                stores = true;
                words.extend(words!["STORE", w.key_of(List)]);
            }
            _ => {}
        }
    }
    if stores && w.takes(50) {
        words.push(b"ALPHA".to_vec());
    }
    if w.takes(5) {
        words.insert(w.random.between(1, words.len()), w.odd_number());
    }
    Unit::one_each(vec![without_earlier_failure(), words])
}

fn limit(w: &mut World) -> Words {
    words!["LIMIT", w.index(), w.count()]
}

fn pattern(w: &mut World) -> Vec<u8> {
    let patterns: &[&[u8]] =
        &[b"#", b"w_*", b"*", b"h_*->f", b"h_*->", b"k*", b"->f", b"w_1", b"h_*->none", b"w_*_*"];
    w.random.pick(patterns).to_vec()
}

/// A source of different members that are all named, each by a weight of its own.
fn own(w: &mut World) -> Unit {
    let key = b"~sort".to_vec();
    let is_numeric = w.takes(50);
    let count = w.random.between(2, 30);
    let mut members: Words = (0..count)
        .map(|number| match is_numeric {
            true => (number as i64 * 3 - 20).to_string().into_bytes(),
            false => format!("m{}", number * 7 % 31).into_bytes(),
        })
        .collect();
    shuffle(w, &mut members);
    let mut weights: Vec<i64> = (0..count as i64).map(|number| number * 5 - 30).collect();
    shuffle(w, &mut weights);
    let kind = w.random.below(3);
    let mut fill = words![["RPUSH", "SADD", "ZADD"][kind], key.clone()];
    let mut commands = vec![words!["DEL", key.clone()]];
    for (index, (member, weight)) in members.iter().zip(weights).enumerate() {
        if kind == 2 {
            fill.extend(words![index as i64 % 5]);
        }
        fill.push(member.clone());
        commands.push(words!["SET", [b"w_", &member[..]].concat(), weight]);
        let field = if w.takes(80) { "f" } else { "other" };
        commands.push(words!["HSET", [b"h_", &member[..]].concat(), field, weight]);
    }
    commands.push(fill);
    for _ in 0..w.random.between(1, 4) {
        // A set itself has no order, nor has a part of it.
        commands.push(without_earlier_failure());
        commands.push(sort(w, &key, kind != 1, is_numeric));
    }
    if w.takes(50) {
        commands.push(words!["LRANGE", "list:0", "0", "-1"]);
    }
    // The names go too: others' patterns would find them in one database and not in another.
    let mut names = words!["DEL", key];
    for member in members {
        names.extend([[b"w_", &member[..]].concat(), [b"h_", &member[..]].concat()]);
    }
    commands.push(names);
    Unit::one_each(commands)
}

fn sort(w: &mut World, key: &[u8], is_ordered: bool, is_numeric: bool) -> Words {
    let stores = w.takes(30);
    let mut options = Vec::new();
    // Fields that are missing would be equal, if compared as texts.
    let by: &[&str] = match (is_ordered, w.random.below(2)) {
        (_, 0) => &["w_*", "w_*", "w_*"],
        (true, _) => &["nosort", "h_*->f", ""],
        (false, _) => &["h_*->f", "", ""],
    };
    let by = *w.random.pick(by);
    if !by.is_empty() {
        options.push(words!["BY", by]);
    }
    let needs_alpha = by.is_empty() && !is_numeric;
    if needs_alpha && w.takes(90) || by != "h_*->f" && w.takes(40) {
        options.push(words!["ALPHA"]);
    }
    if w.takes(40) {
        options.push(limit(w));
    }
    for _ in 0..w.random.below(3) {
        options.push(words!["GET", pattern(w)]);
    }
    if w.takes(50) {
        options.push(words![*w.random.pick(&["ASC", "DESC"])]);
    }
    if stores {
        options.push(words!["STORE", *w.random.pick(&["list:0", "~sorted", "~sorted"])]);
    }
    shuffle(w, &mut options);
    let name = if !stores && w.takes(30) { "SORT_RO" } else { "SORT" };
    [words![name, key], options.concat()].concat()
}

fn shuffle<T>(w: &mut World, items: &mut [T]) {
    for index in (1..items.len()).rev() {
        items.swap(index, w.random.below(index + 1));
    }
}
