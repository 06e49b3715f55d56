//! Errors of settings: [`LoadError`] when the server starts, [`SetError`] at CONFIG SET. Owns the
//! texts around a reason; the checks of values give the reasons.

use std::error::Error;
use std::fmt;

/// Why a starting server cannot use its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// Where: `redis.conf:12`, `environment LIMPID_PORT`, `command line --port`.
    pub origin: String,
    /// The problem there. Holds no secret.
    pub reason: String,
}

impl LoadError {
    pub(super) fn new(origin: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { origin: origin.into(), reason: reason.into() }
    }

    /// Extracts our sources' error from the `config` crate's wrapper.
    pub(super) fn from_config(error: config::ConfigError) -> Self {
        match error {
            config::ConfigError::FileParse { cause, .. } | config::ConfigError::Foreign(cause) => {
                match cause.downcast::<Self>() {
                    Ok(error) => *error,
                    Err(cause) => Self::new("settings", cause.to_string()),
                }
            }
            other => Self::new("settings", other.to_string()),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.reason)
    }
}

impl Error for LoadError {}

/// Why CONFIG SET changes nothing. [`text`](Self::text) is the part after `ERR `; `Display` the
/// same for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    /// No parameter has this name.
    Unknown {
        /// As the client wrote it, any bytes.
        name: Vec<u8>,
    },
    /// The parameter is immutable, or the value invalid.
    Failed {
        /// Its name.
        argument: String,
        /// Why, in Redis's words.
        reason: String,
    },
}

impl SetError {
    /// An error for a value of `argument` that cannot be applied.
    pub fn failed(argument: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Failed { argument: argument.into(), reason: reason.into() }
    }

    /// An error for a client that `enable-protected-configs` keeps from setting `argument`.
    #[must_use]
    pub fn protected(argument: &str) -> Self {
        Self::failed(argument, "can't set protected config")
    }
}

impl SetError {
    /// The error in Redis's words. A name ends at its first zero byte, as a C string does.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::Unknown { name } => {
                let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
                let what = b"Unknown option or number of arguments for CONFIG SET - '";
                [&what[..], name, b"'"].concat()
            }
            Self::Failed { argument, reason } => {
                format!("CONFIG SET failed (possibly related to argument '{argument}') - {reason}")
                    .into_bytes()
            }
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

impl Error for SetError {}
