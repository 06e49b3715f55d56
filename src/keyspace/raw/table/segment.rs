//! Segments, in which a hash has its home, and the directory that finds them. See the module above
//! for how a slot is laid out.

use super::super::entry::EntryRef;
use super::super::sync::{AtomicPtr, AtomicU64, Life, Ordering};
use super::line::Line;
use crate::prefetch::prefetch;

#[cfg(not(limpid_loom))]
pub(super) const LINE: usize = 8;
#[cfg(not(limpid_loom))]
pub(super) const LINES: usize = 8;
// Models take time that grows exponentially with the number of slots.
#[cfg(limpid_loom)]
pub(super) const LINE: usize = 1;
#[cfg(limpid_loom)]
pub(super) const LINES: usize = 2;
pub(super) const SLOTS: usize = LINE * LINES;

/// Bits of the hash that choose the shard, above those that index the directory.
pub(super) const SHARD_BITS: u32 = 8;
pub(super) const ADDRESS: u64 = (1 << 48) - 1;
pub(super) const EXPIRES: u64 = 1 << 63;
pub(super) const MARK: u64 = 0x7fff << 48;

pub(super) fn home(hash: u64) -> usize {
    hash as usize % LINES
}

/// Bits 62..48 of a slot for a hash placed `displaced` lines from home.
pub(super) fn mark(hash: u64, displaced: usize) -> u64 {
    (((hash >> 3) & 0xfff) << 48) | ((displaced as u64) << 60)
}

/// Whether two keys are equal: compares words instead of calling a function, as keys are short.
#[inline]
pub(crate) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let same_rest = match (a.last_chunk(), b.last_chunk()) {
        // What does not fill a word is compared together with bytes before it.
        (Some(a), Some(b)) => word(a) == word(b),
        _ => a_rest == b_rest,
    };
    same_rest && a_words.iter().zip(b_words).all(|(a, b)| word(a) == word(b))
}

/// 64 slots.
#[repr(align(64))]
pub(crate) struct Segment {
    pub(super) slots: [AtomicU64; SLOTS],
    pub(super) life: Life,
}

impl Segment {
    pub(super) fn new() -> Box<Self> {
        let slots = std::array::from_fn(|_| AtomicU64::new(0));
        Box::new(Self { slots, life: Life::new() })
    }

    /// Prefetches the lines where an entry of this hash most likely is.
    #[inline]
    pub(super) fn prefetch_home(&self, hash: u64) {
        let line = home(hash) * LINE;
        prefetch(&raw const self.slots[line]);
        // The place of an entry whose home line is full.
        prefetch(&raw const self.slots[(line + LINE) % SLOTS]);
    }

    pub(super) fn load(&self, index: usize) -> u64 {
        self.slots[index].load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        (0..SLOTS).filter(|&i| self.load(i) != 0).count()
    }

    /// The index of `key`'s slot.
    ///
    /// # Safety
    /// The caller holds the lock of the shard, so that the entries are alive.
    #[inline]
    pub(super) unsafe fn find(&self, key: &[u8], hash: u64) -> Option<usize> {
        for displaced in 0..LINES {
            let start = ((home(hash) + displaced) % LINES) * LINE;
            // SAFETY: the lock is held, and the line lies within the segment.
            let line = unsafe { Line::read(&self.slots[start..start + LINE]) };
            let mut hits = line.marked(mark(hash, displaced));
            while hits != 0 {
                let index = start + hits.trailing_zeros() as usize;
                hits &= hits - 1;
                let slot = self.load(index);
                if slot == 0 {
                    continue;
                }
                // SAFETY: the address in a slot is an entry of this table, which lives while the
                // lock is held.
                let entry = unsafe { EntryRef::from_bits(slot & ADDRESS) };
                if same_bytes(entry.key(), key) {
                    return Some(index);
                }
            }
            if line.has_vacancy() {
                return None;
            }
        }
        None
    }

    /// Stores an address in the first vacancy from home on; false if all 64 slots are taken.
    pub(super) fn place(&self, hash: u64, address_and_expires: u64) -> bool {
        for displaced in 0..LINES {
            let start = ((home(hash) + displaced) % LINES) * LINE;
            for index in start..start + LINE {
                if self.load(index) == 0 {
                    let slot = address_and_expires | mark(hash, displaced);
                    self.slots[index].store(slot, Ordering::Relaxed);
                    return true;
                }
            }
        }
        false
    }

    /// Empties a slot and moves displaced entries back so that no search ends too early.
    pub(super) fn vacate(&self, index: usize) {
        let mut hole = index;
        self.slots[hole].store(0, Ordering::Relaxed);
        'fill: loop {
            let hole_line = hole / LINE;
            for away in 1..LINES {
                let line = (hole_line + away) % LINES;
                let mut vacant = false;
                for from in line * LINE..(line + 1) * LINE {
                    let slot = self.load(from);
                    vacant |= slot == 0;
                    let displaced = ((slot >> 60) & 7) as usize;
                    if slot != 0 && displaced >= away {
                        let moved = (slot & !(7 << 60)) | (((displaced - away) as u64) << 60);
                        self.slots[hole].store(moved, Ordering::Relaxed);
                        self.slots[from].store(0, Ordering::Relaxed);
                        hole = from;
                        continue 'fill;
                    }
                }
                if vacant {
                    return;
                }
            }
            return;
        }
    }
}

/// Segments by hash prefix.
pub(crate) struct Directory {
    pub(super) bits: u32,
    pub(super) segments: Box<[AtomicPtr<Segment>]>,
    pub(super) life: Life,
}

impl Directory {
    pub(super) fn index(&self, hash: u64) -> usize {
        if self.bits == 0 { 0 } else { ((hash << SHARD_BITS) >> (64 - self.bits)) as usize }
    }

    pub(super) fn segment(&self, index: usize) -> *mut Segment {
        self.segments[index].load(Ordering::Acquire)
    }

    /// How many hash bits the segment at `index` has used: 2^(bits − depth) neighbours share it.
    pub(super) fn depth(&self, index: usize) -> u32 {
        let segment = self.segment(index);
        let mut depth = self.bits;
        while depth > 0 && self.segment(index ^ (1 << (self.bits - depth))) == segment {
            depth -= 1;
        }
        depth
    }

    /// The first hash after the segment at `index`, in the shard of `hash`; `None` at its end.
    pub(super) fn hash_after(&self, index: usize, hash: u64) -> Option<u64> {
        let next = self.run(index).end;
        let shard = hash >> (64 - SHARD_BITS) << (64 - SHARD_BITS);
        (next < self.segments.len()).then(|| shard | (next as u64) << (64 - SHARD_BITS - self.bits))
    }

    /// The indices that share the segment at `index`.
    pub(super) fn run(&self, index: usize) -> std::ops::Range<usize> {
        let len = 1 << (self.bits - self.depth(index));
        let start = index & !(len - 1);
        start..start + len
    }
}
