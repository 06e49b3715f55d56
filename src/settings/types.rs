//! Composite setting values: save points, buffer limits, classes of keyspace events, shutdown
//! flags. Each parses words as Redis 7.0 does and prints the form of CONFIG GET. Knows no
//! parameter.

use std::fmt;

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::check::is_host;
use super::kind::{WRONG_ARITY, not_one_of};

/// The number of bytes in `1gb`, `64mb`, `10k` or `512`; sizes beyond 64 bits are capped. `None` if
/// the text is not a size.
pub(crate) fn memory_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return None;
    }
    let unit_bytes: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1000 * 1000,
        "mb" => 1 << 20,
        "g" => 1000 * 1000 * 1000,
        "gb" => 1 << 30,
        _ => return None,
    };
    Some(number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit_bytes))
}

/// `bytes` in the largest unit that divides it, as CONFIG REWRITE writes sizes: `64mb`, `1000`.
pub(super) fn memory_text(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes > 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// The address of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterAddress {
    /// A name or an address.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl MasterAddress {
    /// Host and port, or nothing if there is no master.
    ///
    /// # Errors
    /// Unless the words are none, `no one`, or a host and a port.
    pub(super) fn canonical(words: &[String]) -> Result<Vec<String>, String> {
        match words {
            [] => Ok(Vec::new()),
            [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => {
                Ok(Vec::new())
            }
            [host, port] => match port.parse::<u16>() {
                // Redis takes 0 as well: a replica that no master answers.
                Ok(_) if is_host(host) => Ok(words.to_vec()),
                Ok(_) => Err("Invalid master host".to_owned()),
                _ => Err("Invalid master port".to_owned()),
            },
            _ => Err(WRONG_ARITY.to_owned()),
        }
    }
}

impl fmt::Display for MasterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host, self.port)
    }
}

/// Save in the background once this many keys changed within this many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// At least 1.
    pub seconds: u64,
    /// Changes since the last save.
    pub changes: u64,
}

impl SavePoint {
    /// # Errors
    /// Unless the words are pairs of seconds (1 or more) and changes (0 or more).
    pub(super) fn parse_list(words: &[String]) -> Result<Vec<Self>, String> {
        let number = |word: &str, min: i64| word.parse::<i64>().ok().filter(|n| *n >= min);
        let (pairs, odd) = words.as_chunks::<2>();
        let points = pairs.iter().map(|[seconds, changes]| {
            let seconds = number(seconds, 1)?.unsigned_abs();
            Some(Self { seconds, changes: number(changes, 0)?.unsigned_abs() })
        });
        points
            .collect::<Option<Vec<Self>>>()
            .filter(|_| odd.is_empty())
            .ok_or_else(|| "Invalid save parameters".to_owned())
    }
}

/// Limit of a client's unsent reply bytes, beyond which it is disconnected. 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BufferLimit {
    /// Disconnect at once beyond this.
    pub hard_bytes: u64,
    /// Disconnect after exceeding this for `soft_secs` without a break.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_secs: u64,
}

/// The limits of the three client classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientOutputBufferLimits {
    /// Clients that only send commands.
    pub normal: BufferLimit,
    /// Links to replicas.
    pub replica: BufferLimit,
    /// Clients subscribed to at least one channel or pattern.
    pub pubsub: BufferLimit,
}

impl ClientOutputBufferLimits {
    /// The words with Redis's names of the classes and plain numbers.
    ///
    /// # Errors
    /// Unless they are groups of four, or none: class, hard bytes, soft bytes, soft seconds.
    pub(super) fn canonical(words: &[String]) -> Result<Vec<String>, String> {
        let (groups, odd) = words.as_chunks::<4>();
        if !odd.is_empty() {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        }
        let mut canonical = Vec::with_capacity(words.len());
        for [class, hard, soft, seconds] in groups {
            let class = buffer_class(class).ok_or_else(|| {
                "Invalid client class specified in buffer limit configuration.".to_owned()
            })?;
            let seconds = seconds.parse::<i64>().ok().and_then(|secs| u64::try_from(secs).ok());
            let numbers = [memory_bytes(hard), memory_bytes(soft), seconds];
            canonical.push(class.to_owned());
            for number in numbers {
                canonical.push(number.map(|n| n.to_string()).ok_or_else(|| {
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                        .to_owned()
                })?);
            }
        }
        Ok(canonical)
    }

    /// Sets the classes that the canonical words name.
    pub(super) fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        for [class, hard_bytes, soft_bytes, soft_secs] in canonical.as_chunks::<4>().0 {
            let number = |word: &str| word.parse::<u64>().map_err(|error| error.to_string());
            let limit = BufferLimit {
                hard_bytes: number(hard_bytes)?,
                soft_bytes: number(soft_bytes)?,
                soft_secs: number(soft_secs)?,
            };
            match class.as_str() {
                "normal" => self.normal = limit,
                "pubsub" => self.pubsub = limit,
                _ => self.replica = limit,
            }
        }
        Ok(())
    }

    /// The name in CONFIG GET and the limit of each class.
    pub(super) fn classes(&self) -> [(&'static str, BufferLimit); 3] {
        [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)]
    }
}

/// CONFIG GET's name for a client class: replicas are `slave` there.
pub(super) fn buffer_class(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "normal" => Some("normal"),
        "slave" | "replica" => Some("slave"),
        "pubsub" => Some("pubsub"),
        _ => None,
    }
}

impl fmt::Display for ClientOutputBufferLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (class, limit)) in self.classes().iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let BufferLimit { hard_bytes, soft_bytes, soft_secs } = limit;
            write!(f, "{space}{class} {hard_bytes} {soft_bytes} {soft_secs}")?;
        }
        Ok(())
    }
}

/// Which keyspace events are published, as a set of classes with Redis's bits (`NOTIFY_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventClasses(u32);

impl EventClasses {
    /// `K`: published in `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Self = Self(1);
    /// `E`: published in `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: DEL, EXPIRE, RENAME and other commands for any type.
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`
    pub const STRING: Self = Self(1 << 3);
    /// `l`
    pub const LIST: Self = Self(1 << 4);
    /// `s`
    pub const SET: Self = Self(1 << 5);
    /// `h`
    pub const HASH: Self = Self(1 << 6);
    /// `z`
    pub const SORTED_SET: Self = Self(1 << 7);
    /// `x`: a key expired.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: a key was evicted under maxmemory.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`
    pub const STREAM: Self = Self(1 << 10);
    /// `m`: a command accessed a missing key. Not part of `A`.
    pub const KEY_MISS: Self = Self(1 << 11);
    /// `d`: events of modules.
    pub const MODULE: Self = Self(1 << 13);
    /// `n`: a key was created. Not part of `A`.
    pub const NEW: Self = Self(1 << 14);
    /// `A`: `g$lshzxetd`.
    pub const ALL: Self = Self(0b10_0111_1111_1100);

    /// Letters in the order in which Redis prints them.
    const LETTERS: [(char, Self); 14] = [
        ('g', Self::GENERIC),
        ('$', Self::STRING),
        ('l', Self::LIST),
        ('s', Self::SET),
        ('h', Self::HASH),
        ('z', Self::SORTED_SET),
        ('x', Self::EXPIRED),
        ('e', Self::EVICTED),
        ('t', Self::STREAM),
        ('d', Self::MODULE),
        ('n', Self::NEW),
        ('K', Self::KEYSPACE),
        ('E', Self::KEYEVENT),
        ('m', Self::KEY_MISS),
    ];

    /// Whether this set includes all classes of `other`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no class is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The classes in Redis's bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// # Errors
    /// If a letter names no class.
    pub(super) fn parse(letters: &str) -> Result<Self, String> {
        let mut classes = Self::default();
        for letter in letters.chars() {
            let class = match letter {
                'A' => Some(Self::ALL),
                _ => Self::LETTERS.iter().find(|(l, _)| *l == letter).map(|(_, class)| *class),
            };
            let class = class.ok_or_else(|| {
                "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned()
            })?;
            classes.0 |= class.0;
        }
        Ok(classes)
    }
}

impl EventClasses {
    /// As CONFIG GET shows them. Redis omits `n` beside `A`.
    pub(super) fn shown(self) -> String {
        let text = self.to_string();
        if self.contains(Self::ALL) { text.replace('n', "") } else { text }
    }
}

impl fmt::Display for EventClasses {
    /// All letters, for a file that the server reads again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.contains(Self::ALL);
        if all {
            write!(f, "A")?;
        }
        for (letter, class) in Self::LETTERS {
            if self.contains(class) && !(all && Self::ALL.contains(class)) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// Whether the server saves before a signal ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShutdownSave {
    /// Save if save points are set.
    #[default]
    Default,
    /// Save in any case.
    Always,
    /// Never save.
    Never,
}

/// How SIGTERM or SIGINT ends the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownFlags {
    /// Whether to save first.
    pub save: ShutdownSave,
    /// Do not wait for lagging replicas.
    pub now: bool,
    /// End even if saving fails.
    pub force: bool,
}

impl ShutdownFlags {
    const NAMES: [&'static str; 5] = ["default", "save", "nosave", "now", "force"];

    /// # Errors
    /// If a word is not a flag, there is none, or `save` comes with `nosave`.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        if words.is_empty() {
            return Err(not_one_of(&Self::NAMES));
        }
        for word in words {
            let save = match word.to_ascii_lowercase().as_str() {
                "default" => continue,
                "save" => ShutdownSave::Always,
                "nosave" => ShutdownSave::Never,
                "now" => {
                    flags.now = true;
                    continue;
                }
                "force" => {
                    flags.force = true;
                    continue;
                }
                _ => return Err(not_one_of(&Self::NAMES)),
            };
            if flags.save != ShutdownSave::Default && flags.save != save {
                let reason = "shutdown options SAVE and NOSAVE can't be used simultaneously";
                return Err(reason.to_owned());
            }
            flags.save = save;
        }
        Ok(flags)
    }
}

impl fmt::Display for ShutdownFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let save = match self.save {
            ShutdownSave::Default => None,
            ShutdownSave::Always => Some("save"),
            ShutdownSave::Never => Some("nosave"),
        };
        let flags = [save, self.now.then_some("now"), self.force.then_some("force")];
        let names: Vec<&str> = flags.into_iter().flatten().collect();
        f.write_str(if names.is_empty() { "default" } else { "" })?;
        f.write_str(&names.join(" "))
    }
}

/// Percentiles, each of 0 to 100.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Percentiles(pub Vec<f64>);

impl Percentiles {
    /// # Errors
    /// If a word is no number from 0 to 100, in Redis's words.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let parse = |word: &String| match word.parse::<f64>() {
            Ok(percentile) if (0.0..=100.0).contains(&percentile) => Ok(percentile),
            Ok(number) if !number.is_nan() => {
                Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
            }
            _ => Err("Invalid latency-tracking-info-percentiles parameters"),
        };
        let words = words.iter().filter(|word| !word.is_empty());
        Ok(Self(words.map(parse).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(f64::to_string).collect();
        f.write_str(&texts.join(" "))
    }
}

/// Permissions of a file, 0 to 0o777. 0: leave the permissions unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileMode(pub u32);

/// A text that `Debug` hides, such as a password. Empty: none.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub(super) String);

impl Secret {
    /// The text itself; `None` if none is set.
    #[must_use]
    pub fn reveal(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }

    /// Whether a text equals the secret, or none is set. Takes constant time wherever the two
    /// differ; digests also hide the secret's length.
    #[must_use]
    pub fn admits(&self, sent: &[u8]) -> bool {
        let same = Sha1::digest(&self.0).ct_eq(&Sha1::digest(sent));
        self.0.is_empty() || bool::from(same)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(none)" } else { "Secret(hidden)" })
    }
}

/// A renamed or disabled command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedCommand {
    /// Its name in Redis.
    pub from: String,
    /// Its name here; empty: the command is disabled.
    pub to: String,
}

#[cfg(test)]
mod tests {
    use super::{EventClasses, memory_bytes, memory_text};

    #[test]
    fn event_classes_print_as_redis_prints_them_and_read_as_they_are_written() {
        for (letters, printed, shown) in [
            ("", "", ""),
            ("KEA", "AKE", "AKE"),
            ("KEx", "xKE", "xKE"),
            ("KEgnm", "gnKEm", "gnKEm"),
            ("KEg$lshzxetdm", "AKEm", "AKEm"),
            ("EAn", "AnE", "AE"),
        ] {
            assert_eq!(EventClasses::parse(letters).unwrap().to_string(), printed);
            assert_eq!(EventClasses::parse(letters).unwrap().shown(), shown);
            let again = EventClasses::parse(printed).unwrap();
            assert_eq!(again, EventClasses::parse(letters).unwrap());
        }
        assert_eq!(
            EventClasses::parse("KQ").unwrap_err(),
            "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
        );
    }

    #[test]
    fn sizes_are_written_in_the_greatest_whole_unit() {
        for (bytes, text) in [(0, "0"), (1000, "1000"), (2048, "2kb"), (3 << 30, "3gb")] {
            assert_eq!(memory_text(bytes), text);
            assert_eq!(memory_bytes(text), Some(bytes));
        }
    }
}
