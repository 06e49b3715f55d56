//! Mangles commands: arguments lost, added, doubled, swapped, replaced. Also filters out commands
//! that two correct servers may answer differently, or that would stop the run.

use crate::soundness::{integer, is_sound_collection_command};
use crate::support::connection::Words;
use crate::world::{COLLECTION_OPTIONS, FAR_SECS, OPTIONS, World};

/// Shorter relative times could expire during a run.
const NEAR_SECS: i64 = 10_000;

/// Offsets at which SETRANGE makes a value too large for the test; beyond the server's own limit it
/// is an error again.
const OFFSETS_TOO_LARGE: std::ops::Range<i64> = 200_000..536_870_912;

/// Makes one or two changes at random places after the name.
pub(crate) fn mangled(world: &mut World, mut words: Words) -> Words {
    for _ in 0..world.random.between(1, 2) {
        let place = world.random.between(1, words.len());
        let other = world.random.between(1, words.len());
        let exists = place < words.len();
        match world.random.below(6) {
            0 if exists => drop(words.remove(place)),
            1 if exists => words[place] = world.anything(),
            2 if exists => words[place] = world.odd_number(),
            3 if exists && other < words.len() => words.swap(place, other),
            4 if exists => words.insert(place, words[place].clone()),
            _ => words.insert(place, world.anything()),
        }
    }
    words
}

/// Changes the case of the name and the options.
pub(crate) fn recased(world: &mut World, mut words: Words) -> Words {
    for (index, word) in words.iter_mut().enumerate() {
        let mut options = OPTIONS.iter().chain(COLLECTION_OPTIONS);
        let is_option = options.any(|option| word.eq_ignore_ascii_case(option.as_bytes()));
        if index == 0 || is_option {
            *word = world.mixed_case(word);
        }
    }
    words
}

/// Whether both servers must answer the same, whenever each executes the command.
pub(crate) fn is_deterministic(words: &[Vec<u8>]) -> bool {
    let name = words[0].to_ascii_lowercase();
    let at = |index: usize| words.get(index).and_then(|word| integer(word));
    match name.as_slice() {
        b"expire" => at(2).is_none_or(is_sound_ttl),
        b"pexpire" => at(2).is_none_or(is_sound_ttl_ms),
        b"expireat" => at(2).is_none_or(|secs| !is_around_now(secs)),
        b"pexpireat" => at(2).is_none_or(|ms| !is_around_now(ms / 1_000)),
        b"setex" => at(2).is_none_or(is_sound_ttl),
        b"psetex" => at(2).is_none_or(is_sound_ttl_ms),
        b"set" | b"getex" => are_sound_options(words, name == b"set"),
        b"restore" => {
            let mut options = words.iter().skip(4);
            let is_absolute = options.any(|word| word.eq_ignore_ascii_case(b"ABSTTL"));
            // Redis adds the current time without an overflow check; the time of expiry is then
            // undefined.
            at(2).is_none_or(|ms| match is_absolute {
                true => !is_around_now(ms / 1_000),
                false => ms < i64::MAX / 2 && is_sound_ttl_ms(ms),
            })
        }
        b"setrange" => at(2).is_none_or(|offset| !OFFSETS_TOO_LARGE.contains(&offset)),
        name => is_sound_collection_command(name, words),
    }
}

/// SET keeps a key whose time is past until the next access or sweep; only an immediate access
/// makes the result certain, so such times are excluded here.
fn are_sound_options(words: &[Vec<u8>], is_set: bool) -> bool {
    words.windows(2).all(|pair| {
        let Some(time) = integer(&pair[1]) else { return true };
        let is_sound_moment = |secs| match is_set {
            true => time <= 0 || secs >= FAR_SECS,
            false => !is_around_now(secs),
        };
        match pair[0].to_ascii_uppercase().as_slice() {
            b"EX" => is_sound_ttl(time),
            b"PX" => is_sound_ttl_ms(time),
            b"EXAT" => is_sound_moment(time),
            b"PXAT" => is_sound_moment(time / 1_000),
            _ => true,
        }
    })
}

/// Past, far off on the grid, or so far that it is an error.
const fn is_sound_ttl(secs: i64) -> bool {
    secs <= 0 || secs >= NEAR_SECS && secs % 1_000 == 0 || secs >= i64::MAX / 1_000
}

const fn is_sound_ttl_ms(ms: i64) -> bool {
    ms <= 0 || ms >= 1_000 && is_sound_ttl(ms / 1_000)
}

const fn is_around_now(secs: i64) -> bool {
    1_000_000_000 <= secs && secs < FAR_SECS
}
