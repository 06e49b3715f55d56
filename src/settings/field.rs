//! Conversion of each field type in [`Settings`] from canonical words and back to text, for the
//! rows of the table. Checks nothing that [`Kind`](super::kind::Kind) has checked.

use super::choice::Choice;
use super::figures::OomScores;
use super::share::MemoryShare;
use super::types::{
    ClientOutputBufferLimits, EventClasses, FileMode, MasterAddress, Percentiles, RenamedCommand,
    SavePoint, Secret, ShutdownFlags,
};
use super::users::UserLine;
use super::values::{
    AppendFsync, ClientAuth, EvictionPolicy, FullSync, LocalAccess, LogFormat, LogLevel,
    OomScoreAdj, PubsubDefault, Settings, Supervised, SyslogFacility,
};

/// Setter and getter of one field of [`Settings`].
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The field's path in [`Settings`].
    #[cfg_attr(not(test), expect(dead_code, reason = "a test looks for its readers"))]
    pub(super) path: [&'static str; 2],
    /// The value as CONFIG GET shows it.
    pub(super) text: fn(&Settings) -> String,
    /// Sets the field from canonical words of the parameter's kind.
    pub(super) assign: fn(&mut Settings, &[String]) -> Result<(), String>,
}

/// The field of [`Settings`] at a path such as `network.port`.
macro_rules! field {
    ($group:ident . $name:ident) => {
        Field {
            path: [stringify!($group), stringify!($name)],
            text: |settings| settings.$group.$name.text(),
            assign: |settings, words| settings.$group.$name.assign(words),
        }
    };
}
pub(super) use field;

/// A type that a field can have.
pub(super) trait Value {
    fn text(&self) -> String;

    /// # Errors
    /// If the table's bounds are wider than the type; a test rules this out.
    fn assign(&mut self, canonical: &[String]) -> Result<(), String>;
}

fn only(words: &[String]) -> Result<&str, String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".to_owned()),
    }
}

macro_rules! integer_values {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            fn text(&self) -> String {
                self.to_string()
            }

            fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
                *self = only(canonical)?.parse().map_err(|_| "number is out of range")?;
                Ok(())
            }
        }
    )*};
}
integer_values!(u16, u32, u64, i32, i64);

macro_rules! choice_values {
    ($($choice:ty),*) => {$(
        impl Value for $choice {
            fn text(&self) -> String {
                self.name().to_owned()
            }

            fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
                *self = Self::named(only(canonical)?).ok_or("word is not known")?;
                Ok(())
            }
        }
    )*};
}
choice_values!(
    AppendFsync,
    ClientAuth,
    EvictionPolicy,
    LogLevel,
    LogFormat,
    LocalAccess,
    FullSync,
    Supervised,
    OomScoreAdj,
    PubsubDefault,
    SyslogFacility
);

impl Value for OomScores {
    fn text(&self) -> String {
        self.to_string()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = Self::parse(canonical)?;
        Ok(())
    }
}

impl Value for bool {
    fn text(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = only(canonical)? == "yes";
        Ok(())
    }
}

impl Value for String {
    fn text(&self) -> String {
        self.clone()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        only(canonical)?.clone_into(self);
        Ok(())
    }
}

impl Value for MemoryShare {
    fn text(&self) -> String {
        Self::text(*self)
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = Self::parse(only(canonical)?).ok_or("number is out of range")?;
        Ok(())
    }
}

impl Value for Secret {
    fn text(&self) -> String {
        self.0.clone()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        self.0.assign(canonical)
    }
}

impl Value for FileMode {
    fn text(&self) -> String {
        format!("{:o}", self.0)
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        let mode = u32::from_str_radix(only(canonical)?, 8);
        self.0 = mode.map_err(|_| "number is out of range")?;
        Ok(())
    }
}

impl Value for Vec<String> {
    fn text(&self) -> String {
        self.join(" ")
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        // `bind ""` in a file or CONFIG SET means no addresses.
        *self = canonical.iter().filter(|word| !word.is_empty()).cloned().collect();
        Ok(())
    }
}

impl Value for Vec<SavePoint> {
    fn text(&self) -> String {
        let points = self.iter().map(|point| format!("{} {}", point.seconds, point.changes));
        points.collect::<Vec<_>>().join(" ")
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = SavePoint::parse_list(canonical)?;
        Ok(())
    }
}

impl Value for ClientOutputBufferLimits {
    fn text(&self) -> String {
        self.to_string()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        Self::assign(self, canonical)
    }
}

impl Value for EventClasses {
    fn text(&self) -> String {
        self.to_string()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = Self::parse(only(canonical)?)?;
        Ok(())
    }
}

impl Value for Percentiles {
    fn text(&self) -> String {
        self.to_string()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = Self::parse(canonical)?;
        Ok(())
    }
}

impl Value for ShutdownFlags {
    fn text(&self) -> String {
        self.to_string()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = Self::parse(canonical)?;
        Ok(())
    }
}

impl Value for Vec<RenamedCommand> {
    fn text(&self) -> String {
        let renamed = self.iter().map(|command| format!("{} {}", command.from, command.to));
        renamed.collect::<Vec<_>>().join(" ")
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        for [from, to] in canonical.as_chunks::<2>().0 {
            self.push(RenamedCommand { from: from.clone(), to: to.clone() });
        }
        Ok(())
    }
}

impl Value for Vec<UserLine> {
    fn text(&self) -> String {
        // CONFIG GET does not know it, and CONFIG REWRITE writes the users of now.
        String::new()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        self.push(UserLine { place: String::new(), words: canonical.to_vec() });
        Ok(())
    }
}

impl Value for Option<MasterAddress> {
    fn text(&self) -> String {
        self.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn assign(&mut self, canonical: &[String]) -> Result<(), String> {
        *self = match canonical {
            [host, port] => {
                let port = port.parse().map_err(|_| "Invalid master port")?;
                Some(MasterAddress { host: host.clone(), port })
            }
            _ => None,
        };
        Ok(())
    }
}
