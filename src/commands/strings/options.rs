//! Options of SET and GETEX, and the expiry they request.

use crate::commands::{Args, Context, Failure, Keys};

/// The condition for SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// NX
    Missing,
    /// XX
    Exists,
}

/// The unit of an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// What to do with a key's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime<'a> {
    /// No option given.
    Unsaid,
    /// KEEPTTL
    Keep,
    /// PERSIST
    Persist,
    /// EX, PX: relative to now.
    For(Unit, &'a [u8]),
    /// EXAT, PXAT: a Unix time.
    Until(Unit, &'a [u8]),
}

impl<'a> Lifetime<'a> {
    /// Parses the option at `index` if it is an expiry option compatible with the earlier ones;
    /// returns how many arguments it took. The same option may occur again with another number.
    fn option(&mut self, args: &Args<'a>, index: usize) -> usize {
        let Some(number) = args.get(index + 1) else { return 0 };
        let said = if args.is(index, "EX") {
            Self::For(Unit::Seconds, number)
        } else if args.is(index, "PX") {
            Self::For(Unit::Milliseconds, number)
        } else if args.is(index, "EXAT") {
            Self::Until(Unit::Seconds, number)
        } else if args.is(index, "PXAT") {
            Self::Until(Unit::Milliseconds, number)
        } else {
            return 0;
        };
        let same_kind = match (*self, said) {
            (Self::Unsaid, _) => true,
            (Self::For(old, _), Self::For(new, _)) => old == new,
            (Self::Until(old, _), Self::Until(new, _)) => old == new,
            _ => false,
        };
        if !same_kind {
            return 0;
        }
        *self = said;
        2
    }

    /// Parses the single word at `index` in the same way.
    fn word(&mut self, args: &Args<'_>, index: usize, word: &str, meaning: Self) -> usize {
        let fits = args.is(index, word) && (*self == Self::Unsaid || *self == meaning);
        if fits {
            *self = meaning;
        }
        usize::from(fits)
    }

    /// The requested expiry in Unix milliseconds; errors name the command `name`.
    pub(super) fn expire_at_ms(
        self,
        keys: &Keys<'_>,
        command: &'static str,
    ) -> Result<Option<i64>, Failure> {
        let (unit, number, base_ms) = match self {
            Self::For(unit, number) => (unit, number, keys.now_ms),
            Self::Until(unit, number) => (unit, number, 0),
            Self::Unsaid | Self::Keep | Self::Persist => return Ok(None),
        };
        let number = Context::integer(number)?;
        let factor = if unit == Unit::Seconds { 1000 } else { 1 };
        let at = number.checked_mul(factor).and_then(|ms| ms.checked_add(base_ms));
        match at {
            Some(at) if number > 0 => Ok(Some(at)),
            _ => Err(Failure::InvalidExpire(command)),
        }
    }
}

/// Options of SET.
#[derive(Debug)]
pub(super) struct SetOptions<'a> {
    pub(super) condition: Option<Condition>,
    pub(super) get: bool,
    pub(super) lifetime: Lifetime<'a>,
}

impl<'a> SetOptions<'a> {
    /// Parses the arguments from the third on.
    pub(super) fn parse(args: &Args<'a>) -> Result<Self, Failure> {
        let mut options = Self { condition: None, get: false, lifetime: Lifetime::Unsaid };
        let mut index = 3;
        while index < args.len() {
            index += match options.other(args, index) {
                0 => return Err(Failure::Syntax),
                taken => taken,
            };
        }
        Ok(options)
    }

    fn other(&mut self, args: &Args<'a>, index: usize) -> usize {
        let condition = if args.is(index, "NX") {
            Condition::Missing
        } else if args.is(index, "XX") {
            Condition::Exists
        } else if args.is(index, "GET") {
            self.get = true;
            return 1;
        } else {
            return self.lifetime.word(args, index, "KEEPTTL", Lifetime::Keep)
                + self.lifetime.option(args, index);
        };
        let fits = self.condition.is_none_or(|said| said == condition);
        self.condition = Some(condition);
        usize::from(fits)
    }
}

/// Parses the options of GETEX, from the second argument on.
pub(super) fn getex_lifetime<'a>(args: &Args<'a>) -> Result<Lifetime<'a>, Failure> {
    let mut lifetime = Lifetime::Unsaid;
    let mut index = 2;
    while index < args.len() {
        index += match lifetime.word(args, index, "PERSIST", Lifetime::Persist)
            + lifetime.option(args, index)
        {
            0 => return Err(Failure::Syntax),
            taken => taken,
        };
    }
    Ok(lifetime)
}
