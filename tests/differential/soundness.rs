//! Which commands on collections two correct servers may answer differently, or would wait at, or
//! that fill the memory: random commands leave those out. Scenarios send some of them, with what it
//! takes to compare them.

use crate::pool::TIMEOUTS;

/// Negative counts of random picks are numbers of members in the reply.
const PICKS_MAX: i64 = 1_000;
/// Number of members that no set of a run has.
const MORE_THAN_ALL: i64 = 100_000;
/// Bits beyond which a bitmap gets too large for the test; beyond the server's own limit it is an
/// error again.
const BITS_TOO_MANY: std::ops::Range<i64> = 400_000..(1 << 32);
/// An entry was delivered during the run, or in 1970 by XCLAIM's TIME: so its idle time is far below
/// or far above these milliseconds.
pub(crate) const IDLE_MS_BETWEEN: i64 = 100_000_000_000;

pub(crate) fn is_sound_collection_command(name: &[u8], words: &[Vec<u8>]) -> bool {
    let at = |index: usize| words.get(index).and_then(|word| integer(word));
    let has = |option: &str| {
        words.iter().skip(2).any(|word| word.eq_ignore_ascii_case(option.as_bytes()))
    };
    match name {
        // Only when all members go, no choice is made.
        b"spop" => {
            words.len() != 2 && at(2).is_none_or(|count| count <= 0 || count > MORE_THAN_ALL)
        }
        b"srandmember" | b"hrandfield" | b"zrandmember" => {
            at(2).is_none_or(|count| count >= -PICKS_MAX || count == i64::MIN)
        }
        b"blpop" | b"brpop" | b"bzpopmin" | b"bzpopmax" | b"blmove" | b"brpoplpush" => {
            is_short_wait(words.last())
        }
        b"blmpop" | b"bzmpop" => is_short_wait(words.get(1)),
        // A bound by name says nothing in a set of several scores: only the keys of equal scores.
        b"zrangebylex" | b"zrevrangebylex" | b"zlexcount" | b"zremrangebylex" => {
            words.get(1).is_none_or(|key| key.starts_with(b"~lex"))
        }
        b"zrange" => !has("BYLEX") || words[1].starts_with(b"~lex"),
        b"zrangestore" => {
            words.get(1).is_none_or(|key| !key.starts_with(b"~lex"))
                && (!has("BYLEX") || words[2].starts_with(b"~lex"))
        }
        // The order of equal elements, of those with equal weights, and of a set itself, is no
        // server's promise; nor is a collation's. Scores have a trap: see the family of SORT.
        b"sort" => words.len() == 1 || has("ALPHA") && has("STORE") && !has("BY"),
        b"sort_ro" => words.len() == 1,
        b"setbit" => at(2).is_none_or(|offset| !BITS_TOO_MANY.contains(&offset)),
        b"bitfield" => are_bits_few(words),
        b"xadd" => !words.iter().any(|word| word == b"*"),
        b"xread" | b"xreadgroup" => is_wait_short(words),
        b"xclaim" => at(4).is_none_or(is_clear_idle_time),
        b"xautoclaim" => at(4).is_none_or(is_clear_idle_time),
        b"xpending" => words.windows(2).all(|pair| {
            !pair[0].eq_ignore_ascii_case(b"IDLE")
                || integer(&pair[1]).is_none_or(is_clear_idle_time)
        }),
        // Which of several are the nearest may be a tie; ANY is a choice.
        b"geosearch"
        | b"geosearchstore"
        | b"georadius"
        | b"georadiusbymember"
        | b"georadius_ro"
        | b"georadiusbymember_ro" => {
            !has("ANY") && (!has("COUNT") || words[1].starts_with(b"~geo") && !is_store(words))
        }
        _ => true,
    }
}

fn is_store(words: &[Vec<u8>]) -> bool {
    words.iter().any(|word| word.to_ascii_uppercase().starts_with(b"STORE"))
        || words[0].to_ascii_lowercase().ends_with(b"store")
}

fn is_short_wait(timeout: Option<&Vec<u8>>) -> bool {
    timeout.is_none_or(|timeout| TIMEOUTS.contains(&timeout.as_slice()))
}

/// BLOCK with a few milliseconds, or with what is refused.
fn is_wait_short(words: &[Vec<u8>]) -> bool {
    words.windows(2).all(|pair| {
        !pair[0].eq_ignore_ascii_case(b"BLOCK")
            || integer(&pair[1]).is_none_or(|ms| ms < 0 || (1..10).contains(&ms))
    })
}

const fn is_clear_idle_time(ms: i64) -> bool {
    ms <= 0 || ms == IDLE_MS_BETWEEN || ms > IDLE_MS_BETWEEN * 1_000
}

fn are_bits_few(words: &[Vec<u8>]) -> bool {
    words.windows(3).all(|three| {
        let is_write =
            [&b"SET"[..], b"INCRBY"].iter().any(|name| three[0].eq_ignore_ascii_case(name));
        let (scale, offset) = match three[2].strip_prefix(b"#") {
            Some(offset) => (64, offset),
            None => (1, &three[2][..]),
        };
        !is_write
            || integer(offset)
                .is_none_or(|offset| !BITS_TOO_MANY.contains(&offset.saturating_mul(scale)))
    })
}

/// Parses leniently: any text that some server reads as a number counts as one.
pub(crate) fn integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.trim().parse().ok()
}
