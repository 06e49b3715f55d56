//! The options of SORT, and where its keys stand.

use std::ops::Range;

use super::pattern::Pattern;
use crate::commands::keyspec::Others;
use crate::commands::{Args, Context, Failure, KeyFlag};
use crate::text::until_nul;

/// The parsed options.
#[derive(Debug, Default)]
pub(super) struct Options<'a> {
    pub(super) descending: bool,
    /// Elements are compared as texts instead of numbers.
    pub(super) alpha: bool,
    /// Names what to sort by.
    pub(super) by: Option<Pattern<'a>>,
    /// BY without a `*`: elements stay in their own order.
    pub(super) keeps_order: bool,
    /// What to give in place of each element.
    pub(super) gets: Vec<Pattern<'a>>,
    /// The index of the key to store the result in.
    pub(super) store: Option<usize>,
    /// Where to begin, and how many to take.
    limit: Option<(i64, i64)>,
}

/// Whether the option STORE exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storing {
    Allowed,
    ReadOnly,
}

impl<'a> Options<'a> {
    /// Parses the arguments. Only a user who may read all keys may name some by patterns.
    ///
    /// # Errors
    /// The first argument that is wrong.
    pub(super) fn parse(
        args: &Args<'a>,
        storing: Storing,
        reads_all_keys: bool,
    ) -> Result<Self, Failure> {
        let denied = |option: &str| {
            let why = "option of SORT denied due to insufficient ACL permissions.";
            Err(Failure::err(format_args!("{option} {why}")))
        };
        let mut options = Self::default();
        let mut index = 2;
        while index < args.len() {
            let left = args.len() - index - 1;
            index += 1;
            match () {
                () if args.is(index - 1, "ASC") => options.descending = false,
                () if args.is(index - 1, "DESC") => options.descending = true,
                () if args.is(index - 1, "ALPHA") => options.alpha = true,
                () if left >= 2 && args.is(index - 1, "LIMIT") => {
                    let start = Context::integer(args.at(index))?;
                    options.limit = Some((start, Context::integer(args.at(index + 1))?));
                    index += 2;
                }
                () if storing == Storing::Allowed && left >= 1 && args.is(index - 1, "STORE") => {
                    options.store = Some(index);
                    index += 1;
                }
                () if left >= 1 && args.is(index - 1, "BY") => {
                    if !reads_all_keys && until_nul(args.at(index)).contains(&b'*') {
                        return denied("BY");
                    }
                    options.by = Some(Pattern::new(args.at(index)));
                    options.keeps_order |= !until_nul(args.at(index)).contains(&b'*');
                    index += 1;
                }
                () if left >= 1 && args.is(index - 1, "GET") => {
                    if !reads_all_keys {
                        return denied("GET");
                    }
                    options.gets.push(Pattern::new(args.at(index)));
                    index += 1;
                }
                () => return Err(Failure::Syntax),
            }
        }
        Ok(options)
    }

    /// Sorts elements by themselves as texts where they would stay in their own order.
    pub(super) fn settle_order(&mut self) {
        if std::mem::take(&mut self.keeps_order) {
            self.alpha = true;
            self.by = None;
        }
    }

    /// The positions of `len` sorted elements that are wanted.
    pub(super) fn range(&self, len: usize) -> Range<usize> {
        let Some((start, count)) = self.limit else { return 0..len };
        let up_to_len = |bound: i64| usize::try_from(bound).map_or(0, |bound| bound.min(len));
        let start = up_to_len(start);
        let count = if count < 0 { len } else { up_to_len(count) };
        start..(start + count).min(len)
    }
}

/// The keys that COMMAND GETKEYS shows: as in Redis, a key after STORE is looked for as an option,
/// too.
pub(super) fn keys(args: &Args<'_>, each: &mut dyn FnMut(usize, &'static [KeyFlag])) {
    each(1, &[KeyFlag::Ro, KeyFlag::Access]);
    let mut store = None;
    let mut index = 2;
    while index < args.len() {
        index += match () {
            () if args.is(index, "LIMIT") => 3,
            () if args.is(index, "GET") || args.is(index, "BY") => 2,
            () => {
                if args.is(index, "STORE") && index + 1 < args.len() {
                    store = Some(index + 1);
                }
                1
            }
        };
    }
    if let Some(index) = store {
        each(index, &[KeyFlag::Ow, KeyFlag::Update]);
    }
}

/// All keys that may be stored in; and any others where a pattern names keys.
pub(super) fn keys_to_lock(args: &Args<'_>, each: &mut dyn FnMut(usize)) -> Others {
    each(1);
    let mut others = Others::None;
    for index in 2..args.len().saturating_sub(1) {
        if args.is(index, "STORE") {
            each(index + 1);
        } else if (args.is(index, "BY") || args.is(index, "GET"))
            && args.at(index + 1).contains(&b'*')
        {
            others = Others::Any;
        }
    }
    others
}
