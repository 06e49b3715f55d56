//! Why a command fails, and the one place that formats it as a RESP error.

use crate::text::until_nul;
use std::borrow::Cow;

/// A command's error. Texts are Redis 7.0's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Syntax,
    WrongType,
    NotInteger,
    /// A count below zero, or past an i64.
    NotPositive,
    NotFloat,
    /// A result that would not fit an i64.
    Overflow,
    NotFinite,
    NoSuchKey,
    /// Holds the command name in lower case.
    InvalidExpire(&'static str),
    StringTooLong,
    DbOutOfRange,
    /// An integer argument outside the range of a C int.
    NotInInt,
    NegativeOffset,
    SameObject,
    InvalidCursor,
    BusyKey,
    /// A payload of DUMP whose version or checksum is wrong.
    BadPayload,
    /// A payload of DUMP that does not decode to a value.
    BadData,
    /// Holds the full command name in lower case.
    Arity(String),
    /// Holds the subcommand and the container as sent.
    UnknownSubcommand {
        sent: Vec<u8>,
        container: Vec<u8>,
    },
    /// The same where the number of arguments may be at fault.
    UnknownSubcommandOrArity {
        sent: Vec<u8>,
        container: &'static str,
    },
    /// A complete error: code and text.
    Other(Cow<'static, str>),
    /// The same, containing bytes from a client.
    Bytes(Vec<u8>),
}

/// The error while data are being loaded.
pub(crate) const LOADING: &str = "LOADING Redis is loading the dataset in memory";

impl Failure {
    /// An error with the code ERR.
    pub(crate) fn err(text: impl std::fmt::Display) -> Self {
        Self::Other(Cow::Owned(format!("ERR {text}")))
    }

    /// Code and text, as they follow the `-`.
    pub(crate) fn text(&self) -> Cow<'_, [u8]> {
        let text: Cow<'_, str> = match self {
            Self::Syntax => "ERR syntax error".into(),
            Self::WrongType => {
                "WRONGTYPE Operation against a key holding the wrong kind of value".into()
            }
            Self::NotInteger => "ERR value is not an integer or out of range".into(),
            Self::NotPositive => "ERR value is out of range, must be positive".into(),
            Self::NotFloat => "ERR value is not a valid float".into(),
            Self::Overflow => "ERR increment or decrement would overflow".into(),
            Self::NotFinite => "ERR increment would produce NaN or Infinity".into(),
            Self::NoSuchKey => "ERR no such key".into(),
            Self::InvalidExpire(command) => {
                format!("ERR invalid expire time in '{command}' command").into()
            }
            Self::StringTooLong => {
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)".into()
            }
            Self::DbOutOfRange => "ERR DB index is out of range".into(),
            Self::NotInInt => {
                "ERR value is out of range, value must between -2147483648 and 2147483647".into()
            }
            Self::NegativeOffset => "ERR offset is out of range".into(),
            Self::SameObject => "ERR source and destination objects are the same".into(),
            Self::InvalidCursor => "ERR invalid cursor".into(),
            Self::BusyKey => "BUSYKEY Target key name already exists.".into(),
            Self::BadPayload => "ERR DUMP payload version or checksum are wrong".into(),
            Self::BadData => "ERR Bad data format".into(),
            Self::Arity(command) => {
                format!("ERR wrong number of arguments for '{command}' command").into()
            }
            Self::UnknownSubcommand { sent, container } => {
                let container = container.to_ascii_uppercase();
                return unknown_subcommand("unknown subcommand", sent, &container).into();
            }
            Self::UnknownSubcommandOrArity { sent, container } => {
                let what = "unknown subcommand or wrong number of arguments for";
                return unknown_subcommand(what, sent, container.as_bytes()).into();
            }
            Self::Other(text) => text.as_ref().into(),
            Self::Bytes(bytes) => return bytes.into(),
        };
        match text {
            Cow::Borrowed(text) => text.as_bytes().into(),
            Cow::Owned(text) => text.into_bytes().into(),
        }
    }
}

fn unknown_subcommand(what: &str, sent: &[u8], container: &[u8]) -> Vec<u8> {
    let sent = until_nul(&sent[..sent.len().min(128)]);
    [b"ERR ", what.as_bytes(), b" '", sent, b"'. Try ", container, b" HELP."].concat()
}
