//! What DUMP returns and RESTORE takes: one value without a key. The commands handle
//! keys, expiry and reply texts.
//!
//! ```text
//! type (1 byte)   value   RDB version (2 bytes)   CRC-64 of all before (8 bytes); little endian
//! ```
//!
//! From Redis's `createDumpPayload` and `verifyDumpPayload` in `cluster.c`.

use std::cell::Cell;

use super::crc64;
use super::decode::{Checksum, Decoder};
use super::encode::Encoder;
use super::error::{Error, ErrorKind};
use super::format::{VERSION_MAX, VERSION_VALKEY, VERSION_WRITTEN, opcode, type_name};
use super::reader::unsupported;
use super::values;
use crate::limits::Collections;
use crate::lzf::Compressor;
use crate::types::{Value, ValueRef};

thread_local! {
    /// The compressor of this thread's dumps: making one clears 256 KiB, which would be most of the
    /// work for a small value.
    static COMPRESSOR: Cell<Option<Compressor>> = const { Cell::new(None) };
}

/// The payload of a value, compressed as by default: byte for byte what Redis 7.0 returns.
pub(crate) fn dump(value: ValueRef<'_>) -> Vec<u8> {
    let compressor = COMPRESSOR.take().unwrap_or_else(Compressor::new);
    let mut encoder = Encoder::new(Vec::new(), None, Some(compressor));
    encoder
        .raw(&[values::type_code(value)])
        .and_then(|()| values::write(&mut encoder, value))
        .and_then(|()| encoder.raw(&VERSION_WRITTEN.to_le_bytes()))
        .expect("writing to a vector never fails");
    let (mut payload, compressor) = encoder.into_parts();
    COMPRESSOR.set(compressor);
    payload.extend_from_slice(&crc64::checksum(&payload).to_le_bytes());
    payload
}

/// The payload of libraries of functions, as FUNCTION DUMP returns it.
pub(crate) fn dump_libraries<'c>(codes: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), None, Some(Compressor::new()));
    let write = || {
        for code in codes {
            encoder.raw(&[opcode::FUNCTION2])?;
            encoder.bytes(code)?;
        }
        encoder.raw(&VERSION_WRITTEN.to_le_bytes())
    };
    write().expect("writing to a vector never fails");
    let (mut payload, _) = encoder.into_parts();
    payload.extend_from_slice(&crc64::checksum(&payload).to_le_bytes());
    payload
}

/// The texts of the libraries in a payload of [`dump_libraries`].
///
/// # Errors
///
/// As [`restore`].
pub(crate) fn restore_libraries(payload: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let body = verified_body(payload, PayloadChecksum::Compared)?;
    let mut decoder = Decoder::new(body, Checksum::Ignored);
    let mut codes = Vec::new();
    while decoder.position() < body.len() as u64 {
        let offset = decoder.position();
        match decoder.byte()? {
            opcode::FUNCTION2 => codes.push(decoder.string()?),
            opcode::FUNCTION_PRE_GA => {
                return Err(Error::new(offset, ErrorKind::FunctionsPreRelease));
            }
            code => return Err(Error::new(offset, ErrorKind::UnknownOpcode(code))),
        }
    }
    Ok(codes)
}

/// How [`restore`] treats a payload's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadChecksum {
    /// It must be right.
    Compared,
    /// It may be anything.
    Ignored,
}

/// The value of a payload of any supported version. Unlike in a file, a checksum of 0 is compared
/// like any other. What follows the value is ignored, as Redis does: a replica must take what its
/// master took. Unlike in Redis, the value cannot run into the footer, whose bytes would then be
/// part of it.
///
/// # Errors
///
/// When the version or the checksum is wrong (see [`Error::is_payload_footer`]), or the value
/// cannot be read.
pub(crate) fn restore(
    payload: &[u8],
    checksum: PayloadChecksum,
    limits: &Collections,
) -> Result<Value, Error> {
    let body = verified_body(payload, checksum)?;
    let mut decoder = Decoder::new(body, Checksum::Ignored);
    let code = decoder.byte()?;
    let Some(name) = type_name(code) else {
        return Err(Error::new(0, ErrorKind::UnknownOpcode(code)));
    };
    let value = values::read(&mut decoder, code, limits)?;
    value.ok_or_else(|| unsupported(&mut decoder, 0, "the payload".to_owned(), (code, name)))
}

/// Verifies the footer; returns the payload without it.
fn verified_body(payload: &[u8], checksum: PayloadChecksum) -> Result<&[u8], Error> {
    let error = |before_end: usize, kind| {
        let offset = payload.len().saturating_sub(before_end);
        Err(Error::new(u64::try_from(offset).unwrap_or(u64::MAX), kind))
    };
    let Some((summed, stored)) = payload.split_last_chunk::<8>() else {
        return error(0, ErrorKind::PayloadTooShort);
    };
    let Some((body, version)) = summed.split_last_chunk::<2>() else {
        return error(0, ErrorKind::PayloadTooShort);
    };
    let version = u16::from_le_bytes(*version);
    if version > VERSION_MAX && version != VERSION_VALKEY {
        return error(10, ErrorKind::UnsupportedPayloadVersion(version));
    }
    if checksum == PayloadChecksum::Ignored {
        return Ok(body);
    }
    let stored = u64::from_le_bytes(*stored);
    let computed = crc64::checksum(summed);
    if stored != computed {
        return error(8, ErrorKind::ChecksumMismatch { stored, computed });
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
