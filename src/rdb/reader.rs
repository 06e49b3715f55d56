//! Reads an RDB stream item by item: its header, opcodes and trailer. Holds one key at a time and
//! reads nothing beyond the trailer. `decode` reads the strings; the caller handles the items.

use std::io::Read;
use std::mem;

use super::attributes::Attributes;
use super::decode::{Checksum, Decoder};
use super::error::{Error, ErrorKind, key_owner};
use super::format::{VERSION_CHECKSUM, VERSION_MAX, VERSION_VALKEY, opcode, type_code, type_name};
use super::values;
use crate::limits::Collections;
use crate::types::Value;

/// How a stream is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadOptions {
    /// Whether the trailer's checksum is compared with the bytes (`rdbchecksum`).
    pub(crate) verify_checksum: bool,
    /// How collections will be kept.
    pub(crate) limits: Collections,
}

/// An item of a stream.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) enum Item {
    /// A field about the file: `redis-ver`, `ctime`, `repl-id` and others. Unknown ones are
    /// ignored.
    Aux {
        /// The field.
        name: Vec<u8>,
        /// Its value; numbers in decimal.
        value: Vec<u8>,
    },
    /// The name of a key whose value is a collection without elements. Redis skips it: some of its
    /// versions wrote such.
    EmptyKey(Vec<u8>),
    /// The keys that follow belong to this database.
    SelectDb(u64),
    /// The size of the current database: a hint, which may be wrong.
    #[cfg_attr(not(test), allow(dead_code, reason = "tables here need no size in advance"))]
    ResizeDb {
        /// How many keys.
        keys: u64,
        /// How many of them expire.
        expires: u64,
    },
    /// A library of functions: its text.
    Library(Vec<u8>),
    /// A key and its value.
    Key(KeyRecord),
}

/// A key as it was stored.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct KeyRecord {
    /// The key.
    pub(crate) key: Vec<u8>,
    /// When it expires, in milliseconds of Unix time. May be long past, or negative.
    pub(crate) expire_at_ms: Option<i64>,
    /// How long it had not been used, in seconds; written under an LRU policy.
    pub(crate) idle_s: Option<u64>,
    /// Its access counter, logarithmic; written under an LFU policy.
    pub(crate) freq: Option<u8>,
    /// What it holds.
    pub(crate) value: Value,
}

/// Reads an RDB stream, as Redis's `rdbLoadRio` does.
///
/// Many reads are of single bytes: give it a buffered source, or one in memory. It reads nothing
/// after the trailer, so that a replication stream may follow in the same source.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    decoder: Decoder<R>,
    version: u16,
    db: u64,
    /// Attributes read for the next key.
    next_key: Attributes,
    limits: Collections,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// When the source fails, or begins with no header of a supported version.
    pub(crate) fn with_options(source: R, options: ReadOptions) -> Result<Self, Error> {
        let checksum = if options.verify_checksum { Checksum::Computed } else { Checksum::Ignored };
        let mut decoder = Decoder::new(source, checksum);
        let version = version(decoder.array()?).map_err(|kind| Error::new(0, kind))?;
        Ok(Self {
            decoder,
            version,
            db: 0,
            next_key: Attributes::default(),
            limits: options.limits,
            ended: false,
        })
    }

    /// The version in the header: 1 to 12, or 80.
    #[cfg(test)]
    pub(crate) fn version(&self) -> u16 {
        self.version
    }

    /// Bytes read so far, of the header and all that follows.
    pub(crate) fn position(&self) -> u64 {
        self.decoder.position()
    }

    /// The source, positioned after the last byte read.
    pub(crate) fn into_inner(self) -> R {
        self.decoder.into_source()
    }

    /// The next item; `None` once the stream has ended and its checksum was right.
    ///
    /// # Errors
    ///
    /// When the source fails or its bytes are refused. The reader's position is then undefined, and
    /// further items mean nothing.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, Error> {
        while !self.ended {
            let offset = self.decoder.position();
            let code = self.decoder.byte()?;
            if let Some(item) = self.item(code, offset)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// The item that begins with `code`, a byte read at `offset`; `None` if that is no item itself.
    fn item(&mut self, code: u8, offset: u64) -> Result<Option<Item>, Error> {
        match code {
            opcode::EXPIRETIME => {
                let seconds = i32::from_le_bytes(self.decoder.array()?);
                self.next_key.expire_at_ms = Some(i64::from(seconds).saturating_mul(1000));
            }
            opcode::EXPIRETIME_MS => {
                self.next_key.expire_at_ms = Some(i64::from_le_bytes(self.decoder.array()?));
            }
            opcode::IDLE => self.next_key.idle_s = Some(self.decoder.length()?),
            opcode::FREQ => self.next_key.freq = Some(self.decoder.byte()?),
            opcode::SELECTDB => {
                self.db = self.decoder.length()?;
                return Ok(Some(Item::SelectDb(self.db)));
            }
            opcode::RESIZEDB => {
                let keys = self.decoder.length()?;
                let expires = self.decoder.length()?;
                return Ok(Some(Item::ResizeDb { keys, expires }));
            }
            opcode::AUX => {
                let name = self.decoder.string()?;
                let value = self.decoder.string()?;
                return Ok(Some(Item::Aux { name, value }));
            }
            opcode::MODULE_AUX => {
                let module = module_name(self.decoder.length()?);
                return Err(Error::new(offset, ErrorKind::ModuleData { module }));
            }
            opcode::SLOT_INFO => {
                // Slot, keys, expires: hints for tables that are split by slot.
                for _ in 0..3 {
                    self.decoder.length()?;
                }
            }
            opcode::EOF => {
                self.verify_trailer()?;
                self.ended = true;
            }
            opcode::FUNCTION2 => {
                return Ok(Some(Item::Library(self.decoder.string()?)));
            }
            opcode::FUNCTION_PRE_GA => {
                return Err(Error::new(offset, ErrorKind::FunctionsPreRelease));
            }
            opcode::SLOT_IMPORT => return Err(Error::new(offset, ErrorKind::SlotImport)),
            _ => return self.key(code, offset).map(Some),
        }
        Ok(None)
    }

    /// A key with its value.
    fn key(&mut self, code: u8, offset: u64) -> Result<Item, Error> {
        let Some(name) = type_name(code) else {
            return Err(Error::new(offset, ErrorKind::UnknownOpcode(code)));
        };
        let key = self.decoder.string()?;
        let read = values::read(&mut self.decoder, code, &self.limits);
        let Attributes { expire_at_ms, idle_s, freq } = mem::take(&mut self.next_key);
        let value = match read {
            Ok(Some(value)) => value,
            Ok(None) => {
                let owner = key_owner(&key, self.db);
                return Err(unsupported(&mut self.decoder, offset, owner, (code, name)));
            }
            Err(Error { kind: ErrorKind::EmptyCollection, .. }) => return Ok(Item::EmptyKey(key)),
            Err(error) => return Err(error),
        };
        // Redis treats a stored expiry of -1 as none.
        let expire_at_ms = expire_at_ms.filter(|expire_at_ms| *expire_at_ms != -1);
        Ok(Item::Key(KeyRecord { key, expire_at_ms, idle_s, freq, value }))
    }

    /// Reads the checksum and compares it. A stored 0 means that the writer computed none.
    fn verify_trailer(&mut self) -> Result<(), Error> {
        if self.version < VERSION_CHECKSUM {
            return Ok(());
        }
        let computed = self.decoder.checksum();
        let offset = self.decoder.position();
        let stored = u64::from_le_bytes(self.decoder.array()?);
        match computed {
            Some(computed) if stored != 0 && stored != computed => {
                Err(Error::new(offset, ErrorKind::ChecksumMismatch { stored, computed }))
            }
            _ => Ok(()),
        }
    }
}

/// Why a value of an unsupported type is refused. The decoder is at the start of the value.
pub(super) fn unsupported<R: Read>(
    decoder: &mut Decoder<R>,
    offset: u64,
    owner: String,
    (code, name): (u8, &'static str),
) -> Error {
    if !matches!(code, type_code::MODULE | type_code::MODULE_2) {
        return Error::new(offset, ErrorKind::UnsupportedType { owner, code, name });
    }
    match decoder.length() {
        Ok(id) => {
            let module = module_name(id);
            Error::new(offset, ErrorKind::ModuleValue { owner, module })
        }
        Err(error) => error,
    }
}

/// The name of a module's type by its id: nine characters of six bits each, above ten bits of
/// version (`moduleTypeNameByID` in Redis's `module.c`).
fn module_name(id: u64) -> String {
    const CHARACTERS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let character = |at: u32| {
        let index = usize::try_from(id.checked_shr(at).unwrap_or(0) & 63).unwrap_or(0);
        CHARACTERS.get(index).map_or('?', |&byte| char::from(byte))
    };
    (0..9u32).rev().map(|place| character(place.saturating_mul(6).saturating_add(10))).collect()
}

/// The version in a header: `REDIS` and four digits, or `VALKEY` and three.
fn version(header: [u8; 9]) -> Result<u16, ErrorKind> {
    let (digits, supported) = match &header {
        [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (&digits[..], 1..=VERSION_MAX),
        [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => {
            (&digits[..], VERSION_VALKEY..=VERSION_VALKEY)
        }
        _ => return Err(ErrorKind::NotRdb(header)),
    };
    let mut version = 0u16;
    for digit in digits {
        let Some(digit) = digit.checked_sub(b'0').filter(|digit| *digit <= 9) else {
            return Err(ErrorKind::NotRdb(header));
        };
        version = version.saturating_mul(10).saturating_add(u16::from(digit));
    }
    if supported.contains(&version) {
        Ok(version)
    } else {
        Err(ErrorKind::UnsupportedVersion(header))
    }
}

#[cfg(test)]
mod tests;
