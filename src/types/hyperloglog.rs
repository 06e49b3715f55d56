//! HyperLogLog: counts distinct elements approximately, in at most 12,304 bytes of a string.
//!
//! The bytes are those of Redis 7.0, since GET shows them and SET accepts them: a header (`HYLL`,
//! the encoding, three unused bytes, the cached count in little endian with its highest bit as
//! "outdated"), then 16,384 registers. A register is the longest run of zeros, plus one, that any
//! hash assigned to it began with. Dense registers have 6 bits each, the first in the lowest bits;
//! sparse ones are runs ([`sparse`]), until they are longer than a limit or a register exceeds 32.
//!
//! Nothing here knows keys. No bytes cause a panic: what does not decode is [`Corrupted`].

mod dense;
mod estimate;
mod hash;
mod self_test;
mod sparse;
#[cfg(test)]
mod tests;

use super::buffer::Buffer;
pub(crate) use self_test::self_test;

/// Bits of a hash that select the register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that a register describes.
const RUN_BITS: u32 = 64 - INDEX_BITS;
const HEADER_BYTES: usize = 16;
const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const COUNT_AT: usize = 8;
/// The byte of the cached count with the bit "outdated".
const OUTDATED_AT: usize = 15;
const OUTDATED: u8 = 1 << 7;

/// How the registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Dense,
    Sparse,
}

impl Encoding {
    /// The name that PFDEBUG ENCODING gives.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
}

/// The runs of a sparse encoding do not cover exactly all registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupted;

/// An empty HyperLogLog, sparse, with a valid count of 0.
pub(crate) fn new() -> Vec<u8> {
    let mut bytes = header(Encoding::Sparse);
    bytes.extend_from_slice(&sparse::EMPTY);
    bytes
}

fn header(encoding: Encoding) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ENCODING_AT] = u8::from(encoding == Encoding::Sparse);
    bytes
}

/// The encoding, if the bytes have a header and, when dense, the right length; otherwise the string
/// is none of ours. Sparse registers are not looked at.
pub(crate) fn encoding(bytes: &[u8]) -> Option<Encoding> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return None;
    }
    match bytes[ENCODING_AT] {
        0 if bytes.len() == HEADER_BYTES + dense::BYTES => Some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

/// Whether commands take the string for a HyperLogLog.
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    encoding(bytes).is_some()
}

/// Adds an element; returns whether a register changed, which outdates the cached count. Runs
/// become dense rather than longer than `sparse_max_bytes`, header included.
///
/// # Errors
/// [`Corrupted`]; nothing has changed then.
pub(crate) fn add<B: Buffer + ?Sized>(
    bytes: &mut B,
    element: &[u8],
    sparse_max_bytes: usize,
) -> Result<bool, Corrupted> {
    let (index, run) = hash::register(element);
    let changed = set(bytes, index, run, sparse_max_bytes, &mut sparse::Hint::default())?;
    if changed {
        outdate(bytes);
    }
    Ok(changed)
}

/// Raises a register to `value`; returns whether it was lower.
fn set<B: Buffer + ?Sized>(
    bytes: &mut B,
    index: usize,
    value: u8,
    sparse_max_bytes: usize,
    hint: &mut sparse::Hint,
) -> Result<bool, Corrupted> {
    match encoding(bytes.bytes()).ok_or(Corrupted)? {
        Encoding::Dense => Ok(dense::raise(&mut bytes.bytes_mut()[HEADER_BYTES..], index, value)),
        Encoding::Sparse => match sparse::raise(bytes, index, value, sparse_max_bytes, hint)? {
            sparse::Raised::Unchanged => Ok(false),
            sparse::Raised::Changed => Ok(true),
            sparse::Raised::NeedsDense => {
                to_dense(bytes)?;
                Ok(dense::raise(&mut bytes.bytes_mut()[HEADER_BYTES..], index, value))
            }
        },
    }
}

/// Marks the cached count as outdated.
pub(crate) fn outdate<B: Buffer + ?Sized>(bytes: &mut B) {
    if let Some(byte) = bytes.bytes_mut().get_mut(OUTDATED_AT) {
        *byte |= OUTDATED;
    }
}

/// The count that the header caches, unless it is outdated.
pub(crate) fn cached_count(bytes: &[u8]) -> Option<u64> {
    let count: [u8; 8] = bytes.get(COUNT_AT..HEADER_BYTES)?.try_into().ok()?;
    (count[7] & OUTDATED == 0).then(|| u64::from_le_bytes(count))
}

/// Stores a count that [`count`] gave into the header.
pub(crate) fn cache_count<B: Buffer + ?Sized>(bytes: &mut B, count: u64) {
    if let Some(field) = bytes.bytes_mut().get_mut(COUNT_AT..HEADER_BYTES) {
        field.copy_from_slice(&count.to_le_bytes());
    }
}

/// Estimates the number of distinct elements from the registers.
///
/// # Errors
/// [`Corrupted`]
pub(crate) fn count(bytes: &[u8]) -> Result<u64, Corrupted> {
    let mut histogram = estimate::Histogram::default();
    match encoding(bytes).ok_or(Corrupted)? {
        Encoding::Dense => {
            let mut registers = [0; REGISTERS];
            dense::read(&bytes[HEADER_BYTES..], &mut registers);
            histogram.add_each(&registers);
        }
        Encoding::Sparse => sparse::runs(&bytes[HEADER_BYTES..], |run| {
            histogram.add(run.value, run.end - run.start);
        })?,
    }
    Ok(histogram.estimate())
}

/// Makes the registers dense; returns whether they were not.
///
/// # Errors
/// [`Corrupted`]; nothing has changed then.
pub(crate) fn to_dense<B: Buffer + ?Sized>(bytes: &mut B) -> Result<bool, Corrupted> {
    let old = bytes.bytes();
    if encoding(old).ok_or(Corrupted)? == Encoding::Dense {
        return Ok(false);
    }
    let mut new = vec![0; HEADER_BYTES + dense::BYTES];
    new[..HEADER_BYTES].copy_from_slice(&old[..HEADER_BYTES]);
    new[ENCODING_AT] = 0;
    let packed = &mut new[HEADER_BYTES..];
    sparse::runs(&old[HEADER_BYTES..], |run| {
        if run.value > 0 {
            (run.start..run.end).for_each(|index| dense::put(packed, index, run.value));
        }
    })?;
    let removed = old.len();
    bytes.splice(0, removed, &new);
    Ok(true)
}

/// The runs of a sparse encoding as PFDEBUG DECODE shows them, up to damage; `None` if dense.
pub(crate) fn describe(bytes: &[u8]) -> Option<String> {
    let is_sparse = encoding(bytes) == Some(Encoding::Sparse);
    is_sparse.then(|| sparse::describe(&bytes[HEADER_BYTES..]))
}

/// All registers, a byte each: the union of any number of HyperLogLogs.
#[derive(Clone, Debug)]
pub(crate) struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    /// Raises every register to that of `bytes`.
    ///
    /// # Errors
    /// [`Corrupted`]; some registers may be raised already.
    pub(crate) fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupted> {
        match encoding(bytes).ok_or(Corrupted)? {
            Encoding::Dense => {
                let mut registers = [0; REGISTERS];
                dense::read(&bytes[HEADER_BYTES..], &mut registers);
                let pairs = self.0.iter_mut().zip(registers);
                pairs.for_each(|(own, other)| *own = (*own).max(other));
                Ok(())
            }
            Encoding::Sparse => sparse::runs(&bytes[HEADER_BYTES..], |run| {
                if run.value > 0 {
                    let run_of_own = &mut self.0[run.start..run.end];
                    run_of_own.iter_mut().for_each(|own| *own = (*own).max(run.value));
                }
            }),
        }
    }

    /// Estimates the number of distinct elements.
    pub(crate) fn count(&self) -> u64 {
        let mut histogram = estimate::Histogram::default();
        histogram.add_each(&self.0);
        histogram.estimate()
    }

    pub(crate) fn values(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Raises the registers of `bytes`, a destination that was merged too, and outdates its count.
    /// Makes it dense first if `encoding` says so: Redis's PFMERGE does if any source is.
    ///
    /// # Errors
    /// [`Corrupted`]
    pub(crate) fn store<B: Buffer + ?Sized>(
        &self,
        bytes: &mut B,
        encoding: Encoding,
        sparse_max_bytes: usize,
    ) -> Result<(), Corrupted> {
        if encoding == Encoding::Dense {
            to_dense(bytes)?;
        }
        let mut hint = sparse::Hint::default();
        for (index, &value) in self.0.iter().enumerate().filter(|&(_, &value)| value > 0) {
            set(bytes, index, value, sparse_max_bytes, &mut hint)?;
        }
        outdate(bytes);
        Ok(())
    }
}
