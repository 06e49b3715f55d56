//! Sorted sets: all their commands, with ranges by rank, score and name; from listpacks to skip
//! lists.

use super::picks::{random_members, scan_members, scan_page};
use super::{Command, Exact, Family, Generator, Steps, Together, row};
use crate::pair::Unit;
use crate::pool::ValueType::{Set, SortedSet};
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::words;
use crate::world::World;

pub(super) const FAMILY: Family =
    Family { name: "sorted_set", generators: GENERATORS, commands: COMMANDS, of: Some(SortedSet) };

const GENERATORS: &[Generator] = &[
    row(60, Command(add)),
    row(12, Command(add_many)),
    row(20, Command(|w| words!["ZINCRBY", w.key_of(SortedSet), w.score(), w.member()])),
    row(25, Command(|w| [words!["ZREM", w.key_of(SortedSet)], w.members(5)].concat())),
    row(6, Command(|w| [words!["ZREM", w.key_of(SortedSet)], w.many_members()].concat())),
    row(8, Command(|w| words!["ZCARD", w.key_of(SortedSet)])),
    row(14, Command(|w| [words!["ZCOUNT", w.key_of(SortedSet)], scores(w)].concat())),
    row(12, Command(|w| words!["ZSCORE", w.key_of(SortedSet), w.member()])),
    row(12, Command(|w| [words!["ZMSCORE", w.key_of(SortedSet)], w.members(5)].concat())),
    row(12, Command(|w| words!["ZRANK", w.key_of(SortedSet), w.member()])),
    row(12, Command(|w| words!["ZREVRANK", w.key_of(SortedSet), w.member()])),
    row(50, Command(range)),
    row(20, Command(old_range)),
    row(30, Command(range_by_score)),
    row(20, Command(range_and_store)),
    row(24, Together(by_name)),
    row(20, Command(one_by_name)),
    row(10, Command(remove_range)),
    row(14, Command(pop)),
    row(14, Command(|w| [words!["ZMPOP"], many_pop(w)].concat())),
    row(5, Command(blocking_pop)),
    row(4, Command(|w| [words!["BZMPOP", w.timeout()], many_pop(w)].concat())),
    row(30, Command(combine)),
    row(36, Command(combine_and_store)),
    row(10, Command(cardinality)),
    row(12, Command(random)),
    row(8, Steps(pick)),
    row(6, Steps(scan)),
    row(5, Command(|w| scan_page(w, "ZSCAN", SortedSet))),
    row(4, Together(over_a_threshold)),
    row(2, Together(down_to_nothing)),
    row(1, Exact(limits)),
];

const COMMANDS: &[&str] = &[
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZDIFF",
    "ZDIFFSTORE",
    "ZINCRBY",
    "ZINTER",
    "ZINTERCARD",
    "ZINTERSTORE",
    "ZLEXCOUNT",
    "ZMPOP",
    "ZMSCORE",
    "ZPOPMAX",
    "ZPOPMIN",
    "ZRANDMEMBER",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANGESTORE",
    "ZRANK",
    "ZREM",
    "ZREMRANGEBYLEX",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
    "ZREVRANGE",
    "ZREVRANGEBYLEX",
    "ZREVRANGEBYSCORE",
    "ZREVRANK",
    "ZSCAN",
    "ZSCORE",
    "ZUNION",
    "ZUNIONSTORE",
];

/// Keys of sets whose members all have one score, as ranges by name need it. Nothing else writes
/// them.
fn key_of_equals(w: &mut World) -> Vec<u8> {
    format!("~lex:{}", w.random.below(3)).into_bytes()
}

fn add(w: &mut World) -> Words {
    let mut words = words!["ZADD", w.key_of(SortedSet)];
    if w.takes(50) {
        words.extend(w.some_of(3, &["NX", "XX", "GT", "LT", "CH", "CH"]));
    }
    let is_increment = w.takes(15);
    if is_increment {
        words.push(b"INCR".to_vec());
    }
    for _ in 0..if is_increment { 1 } else { w.random.between(1, 5) } {
        words.extend([w.score(), w.member()]);
    }
    words
}

fn add_many(w: &mut World) -> Words {
    let mut words = words!["ZADD", w.key_of(SortedSet)];
    let equal = w.takes(30);
    for member in w.many_members() {
        let score = if equal { 0 } else { w.random.below(300) as i64 - 100 };
        words.extend(words![score, member]);
    }
    words
}

fn scores(w: &mut World) -> Words {
    w.score_bounds().to_vec()
}

fn limit(w: &mut World) -> Words {
    let offset = w.index();
    let count = if w.takes(30) { b"-1".to_vec() } else { w.count() };
    words!["LIMIT", offset, count]
}

/// ZRANGE in its newer form.
fn range(w: &mut World) -> Words {
    [words!["ZRANGE", w.key_of(SortedSet)], range_arguments(w)].concat()
}

/// Bounds and options of ZRANGE by rank or score.
fn range_arguments(w: &mut World) -> Words {
    let by_score = w.takes(50);
    let reverse = w.takes(40);
    let mut words = if by_score {
        let [low, high] = w.score_bounds();
        if reverse { words![high, low] } else { words![low, high] }
    } else {
        words![w.index(), w.index()]
    };
    let mut options = Vec::new();
    if by_score {
        options.push(words!["BYSCORE"]);
    }
    if reverse {
        options.push(words!["REV"]);
    }
    if w.takes(if by_score { 50 } else { 3 }) {
        options.push(limit(w));
    }
    if w.takes(50) {
        options.push(words!["WITHSCORES"]);
    }
    if w.takes(2) {
        options.push(vec![w.anything()]);
    }
    while !options.is_empty() {
        let at = w.random.below(options.len());
        words.extend(options.remove(at));
    }
    words
}

fn old_range(w: &mut World) -> Words {
    let name = *w.random.pick(&["ZRANGE", "ZREVRANGE"]);
    let mut words = words![name, w.key_of(SortedSet), w.index(), w.index()];
    if w.takes(50) {
        words.push(w.one_of(&["WITHSCORES"]));
    }
    words
}

fn range_by_score(w: &mut World) -> Words {
    let [low, high] = w.score_bounds();
    let mut words = match w.random.below(2) {
        0 => words!["ZRANGEBYSCORE", w.key_of(SortedSet), low, high],
        _ => words!["ZREVRANGEBYSCORE", w.key_of(SortedSet), high, low],
    };
    if w.takes(40) {
        words.extend(limit(w));
    }
    if w.takes(40) {
        words.push(w.one_of(&["WITHSCORES"]));
    }
    words
}

fn range_and_store(w: &mut World) -> Words {
    let source = if w.takes(30) { key_of_equals(w) } else { w.key_of(SortedSet) };
    let target = if w.takes(15) { source.clone() } else { w.key_of(SortedSet) };
    if source.starts_with(b"~lex") && target != source {
        let [low, high] = [w.lex_bound(), w.lex_bound()];
        let mut words = words!["ZRANGESTORE", target, source, low, high, "BYLEX"];
        if w.takes(40) {
            words.extend(limit(w));
        }
        return words;
    }
    let mut arguments = range_arguments(w);
    arguments.retain(|word| word != b"WITHSCORES");
    [words!["ZRANGESTORE", target, source], arguments].concat()
}

/// Makes a set of equal scores out of any, adds to it, and reads or removes ranges by name.
fn by_name(w: &mut World) -> Unit {
    let key = key_of_equals(w);
    let mut commands = Vec::new();
    if w.takes(50) {
        let score = if w.takes(80) { "0" } else { "-0" };
        commands.push(words![
            "ZUNIONSTORE",
            key.clone(),
            "1",
            w.key_of(SortedSet),
            "WEIGHTS",
            score
        ]);
    }
    let mut add = words!["ZADD", key.clone()];
    for member in w.members(5) {
        add.extend(words!["0", member]);
    }
    commands.push(add);
    for _ in 0..w.random.between(1, 5) {
        let mut words = one_by_name(w);
        words[1].clone_from(&key);
        commands.push(words);
    }
    Unit::one_each(commands)
}

fn one_by_name(w: &mut World) -> Words {
    let key = key_of_equals(w);
    let [low, high] = match w.random.below(3) {
        0 => [b"-".to_vec(), b"+".to_vec()],
        _ => [w.lex_bound(), w.lex_bound()],
    };
    let mut words = match w.random.below(8) {
        0 | 1 => words!["ZRANGEBYLEX", key, low, high],
        2 | 3 => words!["ZREVRANGEBYLEX", key, high, low],
        4 => words!["ZRANGE", key, low, high, "BYLEX"],
        5 => words!["ZRANGE", key, high, low, "BYLEX", "REV"],
        6 => return words!["ZLEXCOUNT", key, low, high],
        _ => return words!["ZREMRANGEBYLEX", key, low, high],
    };
    if w.takes(40) {
        words.extend(limit(w));
    }
    words
}

fn remove_range(w: &mut World) -> Words {
    match w.random.below(2) {
        0 => words!["ZREMRANGEBYRANK", w.key_of(SortedSet), w.index(), w.index()],
        _ => [words!["ZREMRANGEBYSCORE", w.key_of(SortedSet)], scores(w)].concat(),
    }
}

fn pop(w: &mut World) -> Words {
    let name = *w.random.pick(&["ZPOPMIN", "ZPOPMAX"]);
    let mut words = words![name, w.key_of(SortedSet)];
    if w.takes(50) {
        words.push(w.count());
    }
    words
}

/// The arguments of ZMPOP.
fn many_pop(w: &mut World) -> Words {
    let mut words = w.counted_keys_of(&[SortedSet], 4);
    words.push(w.one_of(&["MIN", "MAX"]));
    if w.takes(50) {
        words.extend(words!["COUNT", w.count()]);
    }
    words
}

fn blocking_pop(w: &mut World) -> Words {
    let name = *w.random.pick(&["BZPOPMIN", "BZPOPMAX"]);
    [words![name], w.keys_of(SortedSet, 4), vec![w.timeout()]].concat()
}

/// Sources, with weights and a way to aggregate; sets count as sources too.
fn sources(w: &mut World, has_weights: bool) -> Words {
    let types =
        if w.types.contains(&Set) { &[SortedSet, SortedSet, Set][..] } else { &[SortedSet] };
    let mut words = w.counted_keys_of(types, 4);
    let count = words.len() - 1;
    if has_weights && w.takes(40) {
        words.push(b"WEIGHTS".to_vec());
        for _ in 0..if w.takes(95) { count } else { w.random.below(5) } {
            words.push(w.score());
        }
    }
    if has_weights && w.takes(40) {
        words.extend(words!["AGGREGATE", w.one_of(&["SUM", "MIN", "MAX"])]);
    }
    words
}

fn combine(w: &mut World) -> Words {
    let name = *w.random.pick(&["ZUNION", "ZINTER", "ZDIFF"]);
    let mut words = [words![name], sources(w, name != "ZDIFF")].concat();
    if w.takes(50) {
        words.push(w.one_of(&["WITHSCORES"]));
    }
    words
}

fn combine_and_store(w: &mut World) -> Words {
    let name = *w.random.pick(&["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"]);
    [words![name, w.key_of(SortedSet)], sources(w, name != "ZDIFFSTORE")].concat()
}

fn cardinality(w: &mut World) -> Words {
    let mut words = [words!["ZINTERCARD"], w.counted_keys_of(&[SortedSet], 4)].concat();
    if w.takes(50) {
        words.extend(words!["LIMIT", w.count()]);
    }
    words
}

fn random(w: &mut World) -> Words {
    let mut words = words!["ZRANDMEMBER", w.key_of(SortedSet)];
    if w.takes(70) {
        words.push(w.count());
        if w.takes(50) {
            words.push(w.one_of(&["WITHSCORES"]));
        }
    }
    words
}

fn pick(session: &mut Session) -> Outcome {
    let key = session.world.key_of(SortedSet);
    random_members(session, "ZRANDMEMBER", key)
}

fn scan(session: &mut Session) -> Outcome {
    let key = session.world.key_of(SortedSet);
    scan_members(session, "ZSCAN", key)
}

fn over_a_threshold(w: &mut World) -> Unit {
    let key = w.typed_key(SortedSet);
    let encoding = || words!["OBJECT", "ENCODING", key.clone()];
    let mut fill = words!["ZADD", key.clone()];
    for number in 0..*w.random.pick(&[2_i64, 127, 128]) {
        fill.extend(words![number % 50, number]);
    }
    let len = *w.random.pick(&[1, 63, 64, 65]);
    let member = vec![b'x'; len];
    Unit::one_each(vec![
        words!["DEL", key.clone()],
        fill,
        encoding(),
        words!["ZADD", key.clone(), "25", member.clone()],
        encoding(),
        words!["ZRANK", key.clone(), member.clone()],
        words!["ZREM", key.clone(), member],
        words!["ZREMRANGEBYRANK", key.clone(), "10", "-10"],
        encoding(),
        words!["ZUNIONSTORE", key.clone(), "2", key.clone(), w.typed_key(SortedSet)],
        encoding(),
        words!["ZRANGE", key, "0", "-1", "WITHSCORES"],
    ])
}

fn down_to_nothing(w: &mut World) -> Unit {
    let key = w.typed_key(SortedSet);
    let last = match w.random.below(4) {
        0 => words!["ZREMRANGEBYRANK", key.clone(), "0", "-1"],
        1 => words!["ZREMRANGEBYSCORE", key.clone(), "-inf", "+inf"],
        2 => words!["ZMPOP", "1", key.clone(), "MAX", "COUNT", "100000"],
        _ => words!["ZPOPMIN", key.clone(), "100000"],
    };
    Unit::one_each(vec![last, words!["EXISTS", key]])
}

fn limits(w: &mut World) -> Words {
    let (name, values): (&str, &[&str]) = *w.random.pick(&[
        ("zset-max-listpack-entries", &["128", "4", "16", "0"][..]),
        ("zset-max-listpack-value", &["64", "4", "8192"]),
        ("zset-max-ziplist-entries", &["128"]),
    ]);
    words!["CONFIG", "SET", name, *w.random.pick(values)]
}
