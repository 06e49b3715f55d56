//! Where a command's keys stand among its arguments, in the form of Redis's key specifications.
//! Locks, COMMAND GETKEYS and prefetching all find keys by these.

use super::Args;

/// What a command does with a key; names as in COMMAND INFO's key specifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFlag {
    /// Reads, does not change.
    Ro,
    /// Reads and changes.
    Rw,
    /// Overwrites without reading.
    Ow,
    /// Removes.
    Rm,
    Access,
    Update,
    Insert,
    Delete,
    /// A shard channel rather than a key.
    NotKey,
    VariableFlags,
    /// The specification misses some keys.
    Incomplete,
}

impl KeyFlag {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ro => "RO",
            Self::Rw => "RW",
            Self::Ow => "OW",
            Self::Rm => "RM",
            Self::Access => "access",
            Self::Update => "update",
            Self::Insert => "insert",
            Self::Delete => "delete",
            Self::NotKey => "not_key",
            Self::VariableFlags => "variable_flags",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Where the search for some keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At this argument.
    Index(usize),
    /// After this word, looked for from an argument on; if negative, from the end towards the
    /// start.
    Keyword { word: &'static str, from: i32 },
    /// It takes the command's own code: see [`Finder`].
    Unknown,
}

/// Which arguments are keys, from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Find {
    /// Up to the last, relative to the first, or from the end if negative, in steps. A `limit` of n
    /// takes only one nth of the arguments.
    Range {
        last: i32,
        step: usize,
        limit: usize,
    },
    /// As many as the argument `at` says, the first being at `first`; both relative to the start.
    Number {
        at: usize,
        first: usize,
        step: usize,
    },
    Unknown,
}

/// The positions of some of a command's keys among its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    pub(crate) flags: &'static [KeyFlag],
    pub(crate) begin: Begin,
    pub(crate) find: Find,
    pub(crate) notes: Option<&'static str>,
}

/// Finds keys where specifications cannot: passes each one's index and flags on.
pub(crate) type Finder = fn(&Args<'_>, &mut dyn FnMut(usize, &'static [KeyFlag]));

/// Keys that a command may touch besides those among its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    None,
    Any,
}

/// Finds all keys that a command may touch where specifications do not say so: passes the index of
/// each argument that may be one on.
pub(crate) type LockFinder = fn(&Args<'_>, &mut dyn FnMut(usize)) -> Others;

/// A command's key specifications.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyPlaces {
    specs: [Option<KeySpec>; 3],
    finder: Option<Finder>,
    lock_finder: Option<LockFinder>,
}

pub(super) const NO_KEYS: KeyPlaces =
    KeyPlaces { specs: [None; 3], finder: None, lock_finder: None };

/// One key, the first argument.
pub(super) const fn one_key(flags: &'static [KeyFlag]) -> KeyPlaces {
    key_range(flags, 1, 0, 1)
}

/// Keys from `first` to `last` (relative to it; negative from the end) in steps.
pub(super) const fn key_range(
    flags: &'static [KeyFlag],
    first: usize,
    last: i32,
    step: usize,
) -> KeyPlaces {
    NO_KEYS.and(flags, Begin::Index(first), Find::Range { last, step, limit: 0 })
}

/// As many keys as the argument at `number` says, directly behind it.
pub(super) const fn numbered_keys(flags: &'static [KeyFlag], number: usize) -> KeyPlaces {
    NO_KEYS.and_numbered(flags, number)
}

/// Two keys, the first two arguments, each with its own flags.
pub(super) const fn two_keys(one: &'static [KeyFlag], two: &'static [KeyFlag]) -> KeyPlaces {
    one_key(one).and(two, Begin::Index(2), Find::Range { last: 0, step: 1, limit: 0 })
}

impl KeyPlaces {
    /// Adds a specification.
    pub(super) const fn and(mut self, flags: &'static [KeyFlag], begin: Begin, find: Find) -> Self {
        let mut free = 0;
        while self.specs[free].is_some() {
            free += 1;
        }
        self.specs[free] = Some(KeySpec { flags, begin, find, notes: None });
        self
    }

    /// Adds as many keys as the argument at `number` says, directly behind it.
    pub(super) const fn and_numbered(self, flags: &'static [KeyFlag], number: usize) -> Self {
        self.and(flags, Begin::Index(number), Find::Number { at: 0, first: 1, step: 1 })
    }

    /// Finds the keys by code, whatever the specifications say.
    pub(super) const fn found_by(mut self, finder: Finder) -> Self {
        self.finder = Some(finder);
        self
    }

    /// Finds the keys to lock by code: those that the specifications tell of may be fewer.
    pub(super) const fn locked_by(mut self, finder: LockFinder) -> Self {
        self.lock_finder = Some(finder);
        self
    }

    /// Adds a note to the last specification.
    pub(super) const fn note(mut self, note: &'static str) -> Self {
        let mut at = self.specs.len();
        while at > 0 {
            at -= 1;
            if let Some(spec) = &mut self.specs[at] {
                spec.notes = Some(note);
                return self;
            }
        }
        self
    }

    pub(crate) fn specs(&self) -> impl Iterator<Item = &KeySpec> {
        self.specs.iter().flatten()
    }

    /// Where the first key is always found, and whether there is never another.
    pub(crate) fn fixed(&self) -> Option<(usize, bool)> {
        let mut specs = self.specs();
        let first = specs.next()?;
        let (Begin::Index(index), Find::Range { last, .. }) = (first.begin, first.find) else {
            return None;
        };
        Some((index, last == 0 && specs.next().is_none()))
    }

    /// Where the first key is found, if there is any; 0: it depends on the arguments.
    pub(crate) fn likely_first(&self) -> usize {
        match self.specs().next() {
            Some(KeySpec { begin: Begin::Index(index), find: Find::Range { .. }, .. }) => *index,
            Some(KeySpec {
                begin: Begin::Index(index), find: Find::Number { first, .. }, ..
            }) => index + first,
            _ => 0,
        }
    }

    /// Passes the index of each key among the arguments, with its flags, to `each`. Arguments that
    /// make no sense have no keys.
    pub(crate) fn for_each(
        &self,
        args: &Args<'_>,
        mut each: impl FnMut(usize, &'static [KeyFlag]),
    ) {
        if let Some(finder) = self.finder {
            return finder(args, &mut each);
        }
        for spec in self.specs() {
            if let Some((keys, step)) = spec.range(args) {
                keys.step_by(step).for_each(|index| each(index, spec.flags));
            }
        }
    }

    /// Whether each number of keys among the arguments is one, and so many arguments follow it.
    pub(crate) fn numbers_fit(&self, args: &Args<'_>) -> bool {
        let numbered = |spec: &&KeySpec| matches!(spec.find, Find::Number { .. });
        self.finder.is_some()
            || self.specs().filter(numbered).all(|spec| spec.range(args).is_some())
    }

    /// Passes the index of each argument whose key must be locked to `each`.
    pub(crate) fn for_each_locked(&self, args: &Args<'_>, mut each: impl FnMut(usize)) -> Others {
        if let Some(finder) = self.lock_finder {
            return finder(args, &mut each);
        }
        self.for_each(args, |index, _| each(index));
        Others::None
    }
}

impl KeySpec {
    /// The arguments among which every `step`th is a key.
    fn range(&self, args: &Args<'_>) -> Option<(std::ops::Range<usize>, usize)> {
        let start = match self.begin {
            Begin::Index(index) => index,
            Begin::Keyword { word, from } => keyword(args, word, from)? + 1,
            Begin::Unknown => return None,
        };
        if start >= args.len() {
            return None;
        }
        match self.find {
            Find::Range { last, step, limit } => {
                let end = match usize::try_from(last) {
                    Ok(last) => start + last + 1,
                    Err(_) if limit > 1 => start + (args.len() - start) / limit,
                    Err(_) => (args.len() + 1).saturating_sub(last.unsigned_abs() as usize),
                };
                Some((start..end.min(args.len()), step))
            }
            Find::Number { at, first, step } => {
                let number = number_of_keys(args.get(start + at)?)?;
                let first = start + first;
                let end = first.checked_add(number.checked_mul(step)?)?;
                (end <= args.len()).then_some((first..end, step))
            }
            Find::Unknown => None,
        }
    }
}

/// A number of keys. Where it is not in canonical form, Redis finds keys all the same, by C's `atoi`,
/// and the command itself refuses it.
fn number_of_keys(arg: &[u8]) -> Option<usize> {
    let number = crate::number::parse_i64(arg).or_else(|| {
        let text = arg.trim_ascii_start();
        let text = text.strip_prefix(b"+").unwrap_or(text);
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
    });
    usize::try_from(number?).ok().filter(|&number| number > 0)
}

/// The place of a word among the arguments, looked for from one on; from behind if that is negative.
pub(super) fn keyword(args: &Args<'_>, word: &str, from: i32) -> Option<usize> {
    match usize::try_from(from) {
        Ok(from) => (from..args.len()).find(|&index| args.is(index, word)),
        Err(_) => {
            let end = (args.len() + 1).checked_sub(from.unsigned_abs() as usize)?;
            (1..end).rev().find(|&index| args.is(index, word))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Span;

    fn found(places: KeyPlaces, line: &str) -> String {
        let (mut spans, mut buffer) = (Vec::new(), Vec::new());
        for word in line.split(' ') {
            let start = u32::try_from(buffer.len()).unwrap();
            spans.push(Span { start, len: u32::try_from(word.len()).unwrap() });
            buffer.extend_from_slice(word.as_bytes());
        }
        let args = Args::new(&buffer, &spans, None);
        let mut keys = Vec::new();
        places.for_each(&args, |index, _| keys.push(String::from_utf8_lossy(args.at(index))));
        keys.join(" ")
    }

    #[test]
    fn keys_are_found_from_the_arguments() {
        const RO: &[KeyFlag] = &[KeyFlag::Ro];
        let streams = NO_KEYS.and(
            RO,
            Begin::Keyword { word: "STREAMS", from: 1 },
            Find::Range { last: -1, step: 1, limit: 2 },
        );
        let migrate = NO_KEYS.and(
            RO,
            Begin::Keyword { word: "KEYS", from: -2 },
            Find::Range { last: -1, step: 1, limit: 0 },
        );
        let store = one_key(RO).and_numbered(RO, 2);
        for (places, line, keys) in [
            (one_key(RO), "GET k", "k"),
            (key_range(RO, 1, -1, 2), "MSET a 1 b 2", "a b"),
            (key_range(RO, 1, -2, 1), "BLPOP a b 0", "a b"),
            (two_keys(RO, RO), "LMOVE a b LEFT LEFT", "a b"),
            (numbered_keys(RO, 1), "ZUNION 2 a b WITHSCORES", "a b"),
            (numbered_keys(RO, 1), "ZUNION 3 a b", ""),
            (numbered_keys(RO, 1), "ZUNION -1 a b", ""),
            (numbered_keys(RO, 1), "ZUNION 9223372036854775807 a b", ""),
            (numbered_keys(RO, 1), "ZUNION x a", ""),
            (store, "ZUNIONSTORE d 2 a b", "d a b"),
            (streams, "XREAD COUNT 2 STREAMS a b 0 0", "a b"),
            (streams, "XREAD streams a 0 0", "a"),
            (streams, "XREAD STREAMS", ""),
            (migrate, "MIGRATE h 1 - 0 5 KEYS a b", "a b"),
        ] {
            assert_eq!(found(places, line), keys, "{line}");
        }
    }

    #[test]
    fn the_first_key_is_prefetched_where_its_place_is_known() {
        const RO: &[KeyFlag] = &[KeyFlag::Ro];
        let begin = Begin::Keyword { word: "STREAMS", from: 1 };
        let streams = NO_KEYS.and(RO, begin, Find::Range { last: -1, step: 1, limit: 2 });
        for (places, index) in [
            (one_key(RO), 1),
            (key_range(RO, 2, -1, 1), 2),
            (numbered_keys(RO, 2), 3),
            (streams, 0),
            (NO_KEYS, 0),
        ] {
            assert_eq!(places.likely_first(), index);
        }
    }

    #[test]
    fn keys_to_lock_may_be_more_than_the_specified() {
        fn every_second(args: &Args<'_>, each: &mut dyn FnMut(usize)) -> Others {
            (1..args.len()).step_by(2).for_each(each);
            Others::Any
        }
        let places = one_key(&[KeyFlag::Ro]);
        let locked = |places: KeyPlaces| {
            let spans = [0, 1, 2, 3].map(|start| Span { start, len: 1 });
            let mut found = Vec::new();
            let args = Args::new(b"abcd", &spans, None);
            let others = places.for_each_locked(&args, |index| found.push(index));
            (found, others)
        };
        assert_eq!(locked(places), (vec![1], Others::None));
        assert_eq!(locked(places.locked_by(every_second)), (vec![1, 3], Others::Any));
    }
}
