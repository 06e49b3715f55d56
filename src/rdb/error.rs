//! Why bytes were refused, and where. The caller decides what follows.

use std::fmt;
use std::io;

use crate::types::Damage;

/// How much of a key an error shows, in bytes of the key.
const KEY_BYTES_SHOWN_MAX: usize = 64;

/// Why a file, stream or payload was refused, and at which byte.
#[derive(Debug)]
pub(crate) struct Error {
    /// Bytes from the start of the file or payload: to the start of an item refused as a whole, or
    /// to where missing bytes should have been.
    pub(crate) offset: u64,
    /// Why.
    pub(crate) kind: ErrorKind,
}

/// The reasons for refusing.
#[derive(Debug)]
pub(crate) enum ErrorKind {
    /// The underlying reader failed.
    Io(io::Error),
    /// The bytes ended within an item.
    UnexpectedEnd,
    /// The bytes begin with these instead of `REDIS` or `VALKEY` and a version.
    NotRdb([u8; 9]),
    /// An unknown version, as in the header.
    UnsupportedVersion([u8; 9]),
    /// Neither an opcode nor a type that any server writes.
    UnknownOpcode(u8),
    /// A function as release candidates of Redis 7.0 wrote it (opcode 246).
    FunctionsPreRelease,
    /// Opcode 243: a slot half imported in Valkey, or metadata of a key in Redis after 8.0.
    SlotImport,
    /// A value of a type that is not loaded.
    UnsupportedType {
        /// Whose value: `key "…" in database N` or `the payload`.
        owner: String,
        /// The type's code in the format.
        code: u8,
        /// The type's name.
        name: &'static str,
    },
    /// The packed bytes of a value are damaged.
    DamagedValue {
        /// The form of the value, in Redis's words: `Hash listpack`.
        form: &'static str,
        damage: Damage,
    },
    /// A collection that contradicts itself: an element twice, a score that is no number.
    BadCollection(&'static str),
    /// A collection without elements: Redis skips such a key in a file.
    EmptyCollection,
    /// A hash with fields that expire.
    ExpiringFields,
    /// A first byte that begins no length.
    BadLength(u8),
    /// An unknown encoding of a string.
    BadStringEncoding(u8),
    /// A compressed string that does not expand to what it claims.
    BadLzf {
        /// The claimed length before compression, in bytes.
        claimed_bytes: u64,
        /// The length compressed, in bytes.
        compressed_bytes: u64,
    },
    /// Data of a module outside the keys (opcode 247).
    ModuleData {
        /// The name of the module's type.
        module: String,
    },
    /// A value of a module's own type.
    ModuleValue {
        /// Whose value, as in [`ErrorKind::UnsupportedType`].
        owner: String,
        /// The name of the module's type.
        module: String,
    },
    /// The checksum in the bytes is not the checksum of the bytes.
    ChecksumMismatch {
        /// What the bytes say.
        stored: u64,
        /// What they should say.
        computed: u64,
    },
    /// Allocating this many bytes failed.
    OutOfMemory(u64),
    /// A payload too short for its footer of ten bytes.
    PayloadTooShort,
    /// A payload of an unknown version.
    UnsupportedPayloadVersion(u16),
}

impl Error {
    pub(super) fn new(offset: u64, kind: ErrorKind) -> Self {
        Self { offset, kind }
    }

    /// Whether a payload was refused for its footer: its version or its checksum. RESTORE answers
    /// that with a different error than an unreadable value.
    pub(crate) fn is_payload_footer(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::PayloadTooShort
                | ErrorKind::UnsupportedPayloadVersion(_)
                | ErrorKind::ChecksumMismatch { .. }
        )
    }

    /// What FUNCTION RESTORE says of it in Redis.
    pub(crate) fn function_text(&self) -> &'static str {
        match self.kind {
            ErrorKind::UnknownOpcode(_) => "given type is not a function",
            ErrorKind::FunctionsPreRelease => "Pre-GA function format not supported",
            _ => "failed loading the given functions payload",
        }
    }
}

/// Names a key in an [`ErrorKind::UnsupportedType`]: escaped, and truncated if long, since keys are
/// untrusted.
pub(super) fn key_owner(key: &[u8], db: u64) -> String {
    format!("key \"{}\" in database {db}", shortened(key))
}

/// A name from a file for an error: escaped, and truncated if long.
pub(super) fn shortened(name: &[u8]) -> String {
    let shown = name.get(..KEY_BYTES_SHOWN_MAX).unwrap_or(name);
    let cut = if shown.len() < name.len() { "..." } else { "" };
    format!("{}{cut}", shown.escape_ascii())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read on: {error}"),
            Self::UnexpectedEnd => f.write_str("unexpected end of file"),
            Self::NotRdb(found) => {
                write!(f, "this is not an RDB file: it begins with \"{}\"", found.escape_ascii())
            }
            Self::UnsupportedVersion(found) => {
                write!(f, "the format's version is not supported: \"{}\"", found.escape_ascii())
            }
            Self::UnknownOpcode(code) => write!(f, "unknown opcode or type {code}"),
            Self::FunctionsPreRelease => {
                f.write_str("a function as release candidates of Redis 7.0 stored it, which is not supported")
            }
            Self::SlotImport => f.write_str(
                "opcode 243 (a slot import of Valkey, or key metadata of Redis after 8.0), which is not supported",
            ),
            Self::UnsupportedType { owner, code, name } => {
                write!(f, "{owner} holds a {name} (type {code}), which this version cannot load yet")
            }
            Self::DamagedValue { form, damage } => write!(f, "{form} integrity check failed: {damage}"),
            Self::BadCollection(what) => write!(f, "integrity check failed: {what}"),
            Self::EmptyCollection => f.write_str("a collection without elements"),
            Self::ExpiringFields => {
                f.write_str("a hash with fields that expire, which this version cannot load yet")
            }
            Self::BadLength(byte) => write!(f, "no length begins with byte {byte:#04x}"),
            Self::BadStringEncoding(encoding) => write!(f, "unknown string encoding {encoding}"),
            Self::BadLzf { claimed_bytes, compressed_bytes } => write!(
                f,
                "{compressed_bytes} compressed bytes do not expand to the {claimed_bytes} they claim"
            ),
            Self::ModuleData { module } => {
                write!(f, "data of the module \"{module}\", which is not loaded here")
            }
            Self::ModuleValue { owner, module } => {
                write!(f, "{owner} holds a value of the module \"{module}\", which is not loaded here")
            }
            Self::ChecksumMismatch { stored, computed } => write!(
                f,
                "RDB CRC error: the checksum is {computed:016x}, but {stored:016x} is stored"
            ),
            Self::OutOfMemory(bytes) => write!(f, "no memory for a string of {bytes} bytes"),
            Self::PayloadTooShort => f.write_str("the payload is too short"),
            Self::UnsupportedPayloadVersion(version) => {
                write!(f, "the payload's version is not supported: {version}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}
