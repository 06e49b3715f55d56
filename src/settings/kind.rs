//! The kinds of parameter values: which texts they accept, their canonical form, and Redis 7.0's
//! error texts for the others. Knows no parameter and no field.

use super::check::Check;
use super::figures::OomScores;
use super::types::{
    ClientOutputBufferLimits, EventClasses, MasterAddress, Percentiles, SavePoint, ShutdownFlags,
    memory_bytes,
};

/// The kind of values that a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A decimal integer within inclusive bounds.
    Integer { min: i64, max: i64 },
    /// A size in bytes within inclusive bounds; `1k` is 1000, `1kb` is 1024, and so on up to `gb`.
    Memory { min: u64, max: u64 },
    /// A size in bytes, or a percentage up to 100, as `5%`.
    MemoryShare,
    /// File permissions, 0 to 777, in octal.
    FileMode,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Any one argument.
    Text,
    /// One argument that passes a check.
    Checked(Check),
    /// Up to 16 addresses to listen on; a `-` before one makes it optional.
    BindAddresses,
    /// A user's name and rights.
    User,
    /// The name of a file without a folder.
    FileName,
    /// Any number of words up to `max`; more give the error `excess`.
    Words { max: usize, excess: &'static str },
    /// Pairs of seconds and changes.
    SavePoints,
    /// Numbers from 0 to 100.
    Percentiles,
    /// Letters of keyspace event classes.
    EventClasses,
    /// Groups of class, hard limit, soft limit, seconds.
    BufferLimits,
    /// Shutdown behaviour on a signal: `default`, or any of `save nosave now force`.
    ShutdownFlags,
    /// A command's name and its new name; an empty one disables the command.
    Rename,
    /// Three numbers for the system's choice of a process to end when memory runs out.
    OomScores,
    /// Host and port of a master; none, or `no one`, for a master itself.
    Master,
}

/// How several lines for one parameter combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combination {
    /// The last line counts.
    Replace,
    /// The words of all lines are one list; a line without words empties it.
    Append,
    /// Each line sets what its first word names.
    ByKey,
}

pub(super) const WRONG_ARITY: &str = "wrong number of arguments";

impl Kind {
    /// Whether a directive may have any number of arguments other than one.
    pub(super) fn takes_several_words(self) -> bool {
        match self {
            Self::Words { .. }
            | Self::SavePoints
            | Self::Percentiles
            | Self::BufferLimits
            | Self::ShutdownFlags
            | Self::Rename
            | Self::BindAddresses
            | Self::User
            | Self::OomScores
            | Self::Master => true,
            Self::Bool
            | Self::Integer { .. }
            | Self::Memory { .. }
            | Self::MemoryShare
            | Self::FileMode
            | Self::Choice(_)
            | Self::Text
            | Self::Checked(_)
            | Self::FileName
            | Self::EventClasses => false,
        }
    }

    /// Whether any text is valid, so that only its encoding can be wrong.
    pub(super) fn takes_any_text(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Checked(_)
                | Self::FileName
                | Self::Words { .. }
                | Self::BindAddresses
                | Self::Rename
        )
    }

    pub(super) fn combination(self) -> Combination {
        match self {
            Self::SavePoints => Combination::Append,
            Self::BufferLimits | Self::Rename => Combination::ByKey,
            _ => Combination::Replace,
        }
    }

    /// The words in the form of CONFIG GET.
    ///
    /// # Errors
    /// Why the words are not a valid value, in Redis's words.
    pub(super) fn canonical(self, words: &[String]) -> Result<Vec<String>, String> {
        if !self.takes_several_words() {
            let [word] = words else {
                return Err(WRONG_ARITY.to_owned());
            };
            return Ok(vec![self.canonical_word(word)?]);
        }
        match self {
            Self::Words { max, excess } if words.len() > max => Err(excess.to_owned()),
            Self::SavePoints => {
                let points = SavePoint::parse_list(words)?;
                let numbers = points.iter().flat_map(|p| [p.seconds, p.changes]);
                Ok(numbers.map(|number| number.to_string()).collect())
            }
            Self::Percentiles => {
                Ok(Percentiles::parse(words)?.0.iter().map(f64::to_string).collect())
            }
            Self::BufferLimits => ClientOutputBufferLimits::canonical(words),
            Self::ShutdownFlags => {
                let flags = ShutdownFlags::parse(words)?;
                Ok(flags.to_string().split(' ').map(str::to_owned).collect())
            }
            Self::BindAddresses => canonical_addresses(words),
            Self::User if words.is_empty() => Err(WRONG_ARITY.to_owned()),
            Self::OomScores => {
                let scores = OomScores::parse(words)?;
                Ok(scores.0.iter().map(ToString::to_string).collect())
            }
            Self::Rename if words.len() != 2 => Err(WRONG_ARITY.to_owned()),
            Self::Master => MasterAddress::canonical(words),
            _ => Ok(words.to_vec()),
        }
    }

    fn canonical_word(self, word: &str) -> Result<String, String> {
        match self {
            Self::Bool => match word.to_ascii_lowercase().as_str() {
                bool @ ("yes" | "no") => Ok(bool.to_owned()),
                _ => Err("argument must be 'yes' or 'no'".to_owned()),
            },
            Self::Integer { min, max } => canonical_integer(word, min, max),
            Self::Memory { min, max } => match memory_bytes(word) {
                None => Err("argument must be a memory value".to_owned()),
                Some(bytes) if (min..=max).contains(&bytes) => Ok(bytes.to_string()),
                Some(_) => Err(format!("argument must be between {min} and {max} inclusive")),
            },
            Self::MemoryShare => canonical_share(word),
            Self::FileMode => match i64::from_str_radix(word, 8) {
                Err(_) => Err("argument couldn't be parsed as an octal number".to_owned()),
                Ok(mode @ 0..=0o777) => Ok(format!("{mode:o}")),
                Ok(_) => Err("argument must be between 0 and 777 inclusive".to_owned()),
            },
            Self::Choice(names) => names
                .iter()
                .find(|name| name.eq_ignore_ascii_case(word))
                .map(|name| (*name).to_owned())
                .ok_or_else(|| not_one_of(names)),
            Self::FileName if word.contains('/') => {
                Err("dbfilename can't be a path, just a filename".to_owned())
            }
            Self::FileName if matches!(word, "" | "." | "..") || word.contains('\0') => {
                Err("argument must be the name of a file".to_owned())
            }
            Self::Checked(check) => check.accept(word).map(|()| word.to_owned()),
            Self::EventClasses => Ok(EventClasses::parse(word)?.to_string()),
            _ => Ok(word.to_owned()),
        }
    }
}

fn canonical_addresses(words: &[String]) -> Result<Vec<String>, String> {
    const ADDRESSES_MAX: usize = 16;
    if words.len() > ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".to_owned());
    }
    // A lone empty word means none.
    let is_none = matches!(words, [none] if none.is_empty());
    for word in words.iter().filter(|_| !is_none) {
        Check::Host.accept(word.strip_prefix('-').unwrap_or(word))?;
    }
    Ok(words.to_vec())
}

fn canonical_share(word: &str) -> Result<String, String> {
    const PERCENT_MAX: i64 = 100;
    match memory_bytes(word) {
        Some(bytes) if i64::try_from(bytes).is_ok() => return Ok(bytes.to_string()),
        Some(_) => {
            let max = i64::MAX;
            return Err(format!("argument must be between -{PERCENT_MAX} and {max} inclusive"));
        }
        None => {}
    }
    let percent = word.strip_suffix('%');
    let percent = percent.and_then(|digits| canonical_integer(digits, 0, i64::MAX).ok());
    match percent.and_then(|digits| digits.parse().ok()) {
        // Redis keeps a percentage as a negative number, which 0 is not.
        Some(0) => Ok("0".to_owned()),
        Some(percent @ 1..=PERCENT_MAX) => Ok(format!("{percent}%")),
        Some(_) => Err(format!("percentage argument must be less or equal to {PERCENT_MAX}")),
        None => Err("argument must be a memory or percent value".to_owned()),
    }
}

/// Redis's `string2ll` accepts one spelling of each integer: no sign `+`, no leading zeros.
fn canonical_integer(word: &str, min: i64, max: i64) -> Result<String, String> {
    match word.parse::<i64>() {
        Ok(number) if number.to_string() == word => {
            if (min..=max).contains(&number) {
                Ok(number.to_string())
            } else {
                Err(format!("argument must be between {min} and {max} inclusive"))
            }
        }
        _ => Err("argument couldn't be parsed into an integer".to_owned()),
    }
}

/// The error for a word that is not among `names`.
pub(super) fn not_one_of(names: &[&str]) -> String {
    format!("argument(s) must be one of the following: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::Kind;

    fn canonical(kind: Kind, words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        kind.canonical(&words).map(|words| words.join(" "))
    }

    #[test]
    fn integers_have_one_spelling_as_in_redis() {
        let kind = Kind::Integer { min: -1, max: 10 };
        assert_eq!(canonical(kind, &["-1"]), Ok("-1".to_owned()));
        for word in ["+5", "05", "1k", "", " 1", "abc", "9223372036854775808", "-0"] {
            let reason = canonical(kind, &[word]).unwrap_err();
            assert_eq!(reason, "argument couldn't be parsed into an integer", "{word:?}");
        }
        let reason = canonical(kind, &["11"]).unwrap_err();
        assert_eq!(reason, "argument must be between -1 and 10 inclusive");
    }

    #[test]
    fn memory_has_units_of_1000_and_of_1024() {
        let kind = Kind::Memory { min: 1, max: i64::MAX as u64 };
        for (word, bytes) in [
            ("7", "7"),
            ("7b", "7"),
            ("1k", "1000"),
            ("1kb", "1024"),
            ("1m", "1000000"),
            ("1MB", "1048576"),
            ("1g", "1000000000"),
            ("2Gb", "2147483648"),
        ] {
            assert_eq!(canonical(kind, &[word]).as_deref(), Ok(bytes), "{word}");
        }
        for word in ["abc", "-1", "1.5gb", "5x", "", "gb", "1 kb"] {
            let reason = canonical(kind, &[word]).unwrap_err();
            assert_eq!(reason, "argument must be a memory value", "{word:?}");
        }
        for word in ["0", "9223372036854775808", "99999999999999999999", "99999999999gb"] {
            let reason = canonical(kind, &[word]).unwrap_err();
            assert_eq!(
                reason, "argument must be between 1 and 9223372036854775807 inclusive",
                "{word:?}"
            );
        }
    }

    #[test]
    fn a_share_is_a_size_or_a_percentage() {
        for (word, shown) in
            [("0", "0"), ("3mb", "3145728"), ("5%", "5%"), ("100%", "100%"), ("0%", "0")]
        {
            assert_eq!(canonical(Kind::MemoryShare, &[word]).as_deref(), Ok(shown), "{word}");
        }
        for (word, reason) in [
            ("101%", "percentage argument must be less or equal to 100"),
            ("-1%", "argument must be a memory or percent value"),
            ("%", "argument must be a memory or percent value"),
            ("05%", "argument must be a memory or percent value"),
            ("x", "argument must be a memory or percent value"),
        ] {
            assert_eq!(canonical(Kind::MemoryShare, &[word]).unwrap_err(), reason, "{word}");
        }
    }

    #[test]
    fn file_modes_are_octal() {
        assert_eq!(canonical(Kind::FileMode, &["0700"]).as_deref(), Ok("700"));
        assert_eq!(
            canonical(Kind::FileMode, &["9"]).unwrap_err(),
            "argument couldn't be parsed as an octal number"
        );
        assert_eq!(
            canonical(Kind::FileMode, &["1777"]).unwrap_err(),
            "argument must be between 0 and 777 inclusive"
        );
    }

    #[test]
    fn choices_are_case_insensitive_and_listed_in_their_error() {
        let kind = Kind::Choice(&["text", "json"]);
        assert_eq!(canonical(kind, &["JSON"]).as_deref(), Ok("json"));
        let reason = canonical(kind, &["xml"]).unwrap_err();
        assert_eq!(reason, "argument(s) must be one of the following: text, json");
    }

    #[test]
    fn one_word_kinds_refuse_none_and_two() {
        for words in [&[][..], &["1", "2"]] {
            let reason = canonical(Kind::Integer { min: 0, max: 9 }, words).unwrap_err();
            assert_eq!(reason, "wrong number of arguments");
        }
    }
}
