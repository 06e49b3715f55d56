//! Bytes that the process has allocated, cheap enough to read before every command.
//!
//! The allocator's own sum takes a walk over its arenas. Between two walks ([`adjust`]) the threads
//! that allocate and free most add what they did, from the allocator's counters of their thread
//! ([`tell`]). What other threads do follows with the walks.
//!
//! Off, and without cost, until [`begin`]. Needs jemalloc as the global allocator; under another
//! the threads' counters stand still.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tikv_jemalloc_ctl::thread::{self, ThreadLocal};

/// A thread tells of less than this many bytes only when asked to.
const UNTOLD_BYTES_MAX: i64 = 16 << 10;
/// A walk takes over this part of its difference: it saw the threads within their work.
const ADJUSTED_PART: i64 = 4;
/// Smaller differences, in bytes or as a part of the sum, are taken for that work alone.
const ADJUSTED_BYTES_MIN: i64 = 128 << 10;
const ADJUSTED_PART_MIN: i64 = 256;

/// The sum as far as it was told; 0 until the first walk.
static TOTAL: AtomicI64 = AtomicI64::new(0);
/// Another one whenever counting begins, as the walk then has what threads did before; 0: off.
static EPOCH: AtomicU64 = AtomicU64::new(0);
static EPOCHS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OWN: Option<Own> = Own::new();
}

/// The allocator's counters of a thread.
struct Own {
    allocated: ThreadLocal<u64>,
    freed: ThreadLocal<u64>,
    /// The difference that was told of, and since which epoch.
    told: Cell<i64>,
    epoch: Cell<u64>,
}

impl Own {
    fn new() -> Option<Self> {
        let allocated = thread::allocatedp::read().ok()?;
        let freed = thread::deallocatedp::read().ok()?;
        Some(Self { allocated, freed, told: Cell::new(0), epoch: Cell::new(0) })
    }

    /// What this thread has allocated and not told of; negative if it freed more.
    #[inline]
    fn untold(&self) -> i64 {
        let now = self.allocated.get().wrapping_sub(self.freed.get()).cast_signed();
        let epoch = EPOCH.load(Ordering::Relaxed);
        if self.epoch.get() != epoch {
            self.epoch.set(epoch);
            self.told.set(now);
        }
        now.wrapping_sub(self.told.get())
    }

    #[inline]
    fn tell(&self, untold: i64) {
        self.told.set(self.told.get().wrapping_add(untold));
        TOTAL.fetch_add(untold, Ordering::Relaxed);
    }
}

/// Begins to count from the allocator's own sum, in bytes.
pub(crate) fn begin(allocated: u64) {
    EPOCH.store(EPOCHS.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    TOTAL.store(allocated.cast_signed(), Ordering::Relaxed);
}

/// Ends counting.
pub(crate) fn end() {
    EPOCH.store(0, Ordering::Relaxed);
}

#[inline]
pub(crate) fn is_counting() -> bool {
    EPOCH.load(Ordering::Relaxed) != 0
}

/// Bytes allocated in the process: exact for this thread, for others as of their last [`tell`].
#[inline]
pub(crate) fn used() -> u64 {
    let untold = OWN.with(|own| {
        let Some(own) = own else { return 0 };
        let untold = own.untold();
        if untold.abs() < UNTOLD_BYTES_MAX {
            return untold;
        }
        own.tell(untold);
        0
    });
    u64::try_from(TOTAL.load(Ordering::Relaxed) + untold).unwrap_or(0)
}

/// Adds what this thread allocated and freed. Called at the end of a piece of work.
#[inline]
pub(crate) fn tell() {
    if !is_counting() {
        return;
    }
    OWN.with(|own| {
        let Some(own) = own else { return };
        match own.untold() {
            0 => {}
            untold => own.tell(untold),
        }
    });
}

/// Approaches the allocator's own sum, in bytes.
pub(crate) fn adjust(allocated: u64) {
    if !is_counting() {
        return;
    }
    let total = TOTAL.load(Ordering::Relaxed);
    let off = allocated.cast_signed() - total;
    if off.abs() > ADJUSTED_BYTES_MIN.max(total / ADJUSTED_PART_MIN) {
        TOTAL.fetch_add(off / ADJUSTED_PART, Ordering::Relaxed);
    }
}
