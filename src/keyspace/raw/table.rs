//! The slot table of one database in one shard: finds entries by hash.
//!
//! Extendible hashing, so that growth never stops the world: a directory, indexed by the hash bits
//! below the shard's eight, points to segments of 64 slots; a full segment is replaced by two, and
//! the directory doubles when it is not fine enough. A directory is ordered by hash, which makes a
//! hash prefix a stable cursor for SCAN, the sweeper and snapshots.
//!
//! A segment is 8 lines of 8 slots, each line one cache line. The low three hash bits give an
//! entry's home line; an entry whose home is full lies in the next line that is not. So every line
//! between an entry's home and its place is full, and a search ends at the first line with a
//! vacancy. Removal keeps this true by moving displaced entries back.
//!
//! A slot is 48 bits of address and 16 bits that answer most questions without touching the entry:
//!
//! ```text
//! 63          has an expiry
//! 62..60      lines between home and place
//! 59..48      tag: 12 further hash bits
//! 47..0       address, 0 when vacant
//! ```
//!
//! All of it is atomics: the holder of the shard's lock changes it through [`TableMut`], while
//! workers that prefetch read it through [`Head`] without the lock, inside an epoch of [`Reclaim`];
//! they never read entries.

mod detached;
mod line;
mod occupied;
mod segment;

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicUsize;

use super::entry::{Entry, EntryRef};
use super::reclaim::{Inside, Reclaim};
use super::sync::{AtomicPtr, Life, Ordering};
use crate::prefetch::prefetch;
pub(crate) use detached::Detached;
pub(crate) use occupied::{Occupied, Staying};
use segment::{ADDRESS, Directory, EXPIRES, LINE, LINES, MARK, SHARD_BITS, SLOTS, home, mark};
pub(crate) use segment::{Segment, same_bytes};

/// Two sibling segments with fewer keys than this are merged.
const MERGE_BELOW: usize = 24;
/// A directory this deep has used up the hash; 2^40 keys come nowhere near.
const BITS_MAX: u32 = 40;

/// Memory that unlocked readers may still see.
pub(crate) enum Garbage {
    Segment(#[allow(dead_code, reason = "kept to be dropped later")] Box<Segment>),
    Directory(#[allow(dead_code, reason = "kept to be dropped later")] Box<Directory>),
}

/// The root of a table; shared with readers that hold no lock.
pub(crate) struct Head(AtomicPtr<Directory>);

impl Head {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// First stage of prefetching: finds the segment of a hash and prefetches its home line.
    #[inline]
    pub(crate) fn prefetch_slots<'i>(
        &self,
        hash: u64,
        _inside: &'i Inside<'_, Garbage>,
    ) -> Option<&'i Segment> {
        let directory = self.0.load(Ordering::Acquire);
        // SAFETY: a directory or segment that was linked while a reader is inside an epoch is
        // freed only after it left (see `Reclaim`); all that is read of them is atomics and the
        // directory's immutable fields, which the Release stores that linked them published.
        unsafe {
            let directory = directory.as_ref()?;
            directory.life.look();
            let segment = directory.segment(directory.index(hash)).as_ref()?;
            segment.life.look();
            segment.prefetch_home(hash);
            Some(segment)
        }
    }

    /// The same without an epoch.
    ///
    /// # Safety
    /// The caller holds the shard's lock.
    pub(super) unsafe fn prefetch_own_slots(&self, hash: u64) {
        // SAFETY: what is linked is alive until it is unlinked, which needs the lock.
        unsafe {
            let Some(directory) = self.0.load(Ordering::Relaxed).as_ref() else { return };
            if let Some(segment) = directory.segment(directory.index(hash)).as_ref() {
                segment.prefetch_home(hash);
            }
        }
    }

    /// Prefetches all the entries of the segment that holds hash `from`, for a walk that is about
    /// to lock it.
    pub(crate) fn prefetch_segment(&self, from: u64, inside: &Inside<'_, Garbage>) {
        let Some(segment) = self.prefetch_slots(from, inside) else { return };
        for index in 0..SLOTS {
            prefetch((segment.load(index) & ADDRESS) as *const u8);
        }
    }

    /// Where the entry of a key is.
    ///
    /// # Safety
    /// The caller holds the shard's lock.
    #[inline]
    pub(super) unsafe fn find(&self, key: &[u8], hash: u64) -> Option<Position> {
        // SAFETY: what is linked is alive until it is unlinked, which needs the lock.
        unsafe {
            let directory = self.0.load(Ordering::Relaxed).as_ref()?;
            let segment = directory.segment(directory.index(hash)).as_ref()?;
            let index = segment.find(key, hash)?;
            Some(Position { segment: segment.into(), index })
        }
    }

    /// Second stage: prefetches the most likely entry for the hash.
    #[inline]
    pub(crate) fn prefetch_entry(segment: &Segment, hash: u64) {
        segment.life.look();
        for displaced in 0..2 {
            let start = ((home(hash) + displaced) % LINES) * LINE;
            let wanted = mark(hash, displaced);
            let mut vacant = false;
            for index in start..start + LINE {
                let slot = segment.load(index);
                vacant |= slot == 0;
                if slot & MARK == wanted && slot != 0 {
                    // The entry may already be freed: it is only prefetched, never read.
                    prefetch((slot & ADDRESS) as *const u8);
                    return;
                }
            }
            if vacant {
                return;
            }
        }
    }
}

/// Where an entry is, until its table gains or loses one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    segment: NonNull<Segment>,
    index: usize,
}

impl Position {
    /// The entry there.
    ///
    /// # Safety
    /// During `'a` the caller holds the shard's lock and does not change the table. It has held the
    /// lock since the entry was found, and the table has neither gained nor lost an entry.
    #[inline]
    pub(super) unsafe fn entry<'a>(self) -> EntryRef<'a> {
        // SAFETY: the segment is still linked, and the slot has the entry.
        unsafe { EntryRef::from_bits(self.segment.as_ref().load(self.index) & ADDRESS) }
    }
}

/// Counts of one table. Changed under the shard's lock, read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    keys: AtomicUsize,
    expires: AtomicUsize,
    merges: AtomicUsize,
    /// Segments, and indices of the directory; 0 if there is no table.
    segments: AtomicUsize,
    places: AtomicUsize,
}

impl Counts {
    /// Keys in the table, expired ones that still wait for removal included.
    pub(crate) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// Keys with an expiry.
    pub(crate) fn expires(&self) -> usize {
        self.expires.load(Ordering::Relaxed)
    }

    /// Bytes of the directory and its segments.
    pub(crate) fn table_bytes(&self) -> usize {
        match self.places.load(Ordering::Relaxed) {
            0 => 0,
            places => {
                let segments = self.segments.load(Ordering::Relaxed) * size_of::<Segment>();
                size_of::<Directory>() + places * size_of::<usize>() + segments
            }
        }
    }

    /// Adds to a count. One thread writes at a time, so this needs no read-modify-write.
    fn add(count: &AtomicUsize, delta: isize) -> usize {
        let new = count.load(Ordering::Relaxed).wrapping_add_signed(delta);
        count.store(new, Ordering::Relaxed);
        new
    }
}

/// Exclusive access to a table, for the holder of its shard's lock.
pub(crate) struct TableMut<'a> {
    head: &'a Head,
    counts: &'a Counts,
    reclaim: &'a Reclaim<Garbage>,
}

/// Hashes the key of an entry, to place it when a segment splits.
pub(crate) type HashKey<'a> = &'a dyn Fn(&[u8]) -> u64;

#[allow(clippy::needless_pass_by_ref_mut, reason = "changes go through atomics, but one at a time")]
impl<'a> TableMut<'a> {
    /// # Safety
    /// While this lives nobody else has a `TableMut` of the same head; the shard's lock ensures
    /// that.
    #[inline]
    pub(super) unsafe fn new(
        head: &'a Head,
        counts: &'a Counts,
        reclaim: &'a Reclaim<Garbage>,
    ) -> Self {
        Self { head, counts, reclaim }
    }

    fn directory(&self) -> Option<&'a Directory> {
        // SAFETY: what the head points to is alive until it is unlinked, which needs this lock.
        unsafe { self.head.0.load(Ordering::Relaxed).as_ref() }
    }

    #[inline]
    fn segment_of(&self, hash: u64) -> Option<&'a Segment> {
        let directory = self.directory()?;
        // SAFETY: as for the directory.
        unsafe { directory.segment(directory.index(hash)).as_ref() }
    }

    /// The entry of a key, to change or remove it.
    #[inline]
    pub(crate) fn occupied(&mut self, key: &[u8], hash: u64) -> Option<Occupied<'_>> {
        TableMut { head: self.head, counts: self.counts, reclaim: self.reclaim }
            .into_occupied(key, hash)
    }

    /// The same for as long as the access to the table was given.
    #[inline]
    pub(crate) fn into_occupied(self, key: &[u8], hash: u64) -> Option<Occupied<'a>> {
        // SAFETY: the lock is held, and nothing changes the table in between.
        unsafe {
            let position = self.head.find(key, hash)?;
            Some(self.into_occupied_at(position, hash))
        }
    }

    /// The entry at a position, whose key has this hash.
    ///
    /// # Safety
    /// As for [`Position::entry`].
    #[inline]
    pub(super) unsafe fn into_occupied_at(self, position: Position, hash: u64) -> Occupied<'a> {
        let index = position.index;
        // SAFETY: the segment is still linked. The slot owns the entry; `Occupied` puts it back when
        // it drops, and nobody else reaches the slot's entry while `Occupied` has the access to the
        // table.
        let (segment, entry) = unsafe {
            let segment = position.segment.as_ref();
            (segment, ManuallyDrop::new(Entry::from_bits(segment.load(index) & ADDRESS)))
        };
        Occupied { table: self, segment, index, hash, entry }
    }

    /// Adds an entry whose key is not in the table.
    pub(crate) fn insert(&mut self, entry: Entry, hash: u64, hash_key: HashKey<'_>) {
        let expires = entry.view().expire_at_ms().is_some();
        let address = entry.into_bits();
        assert_eq!(address & !ADDRESS, 0, "addresses of this platform have 48 bits");
        let slot = address | if expires { EXPIRES } else { 0 };
        Counts::add(&self.counts.keys, 1);
        Counts::add(&self.counts.expires, isize::from(expires));
        if self.directory().is_none() {
            let segments = Box::new([AtomicPtr::new(Box::into_raw(Segment::new()))]);
            let directory =
                Box::into_raw(Box::new(Directory { bits: 0, segments, life: Life::new() }));
            self.head.0.store(directory, Ordering::Release);
            self.counts.segments.store(1, Ordering::Relaxed);
            self.counts.places.store(1, Ordering::Relaxed);
        }
        loop {
            let segment = self.segment_of(hash).expect("linked above, and splits keep it linked");
            if segment.place(hash, slot) {
                return;
            }
            self.split(hash, hash_key);
        }
    }

    /// Replaces the full segment of a hash by two.
    #[cold]
    fn split(&mut self, hash: u64, hash_key: HashKey<'_>) {
        let mut directory = self.directory().expect("a full segment is in a directory");
        let mut index = directory.index(hash);
        let depth = directory.depth(index);
        if depth == directory.bits {
            self.double();
            directory = self.directory().expect("just doubled");
            index = directory.index(hash);
        }
        let old = directory.segment(index);
        // SAFETY: linked, so alive.
        let old_segment = unsafe { &*old };
        let (low, high) = (Segment::new(), Segment::new());
        Counts::add(&self.counts.segments, 1);
        let slots: [u64; SLOTS] = std::array::from_fn(|i| old_segment.load(i));
        for slot in slots {
            prefetch((slot & ADDRESS) as *const u8);
        }
        for slot in slots.into_iter().filter(|&slot| slot != 0) {
            // SAFETY: the lock is held.
            let key = unsafe { EntryRef::from_bits(slot & ADDRESS) }.key();
            let hash = hash_key(key);
            let bit = (hash << (SHARD_BITS + depth)) >> 63;
            let target = if bit == 0 { &low } else { &high };
            let placed = target.place(hash, slot & (ADDRESS | EXPIRES));
            assert!(placed, "a new segment has room for all of an old one");
        }
        let run = directory.run(index);
        let middle = run.start + run.len() / 2;
        let (low, high) = (Box::into_raw(low), Box::into_raw(high));
        for at in run {
            let half = if at < middle { low } else { high };
            directory.segments[at].store(half, Ordering::Release);
        }
        // SAFETY: just unlinked; `Box::into_raw` made it.
        self.reclaim.retire(Garbage::Segment(unsafe { Box::from_raw(old) }));
    }

    /// Doubles the directory; twice as many indices then point to each segment.
    fn double(&mut self) {
        let old = self.directory().expect("only a directory with segments doubles");
        assert!(old.bits < BITS_MAX, "more than 64 keys share 48 bits of a keyed hash");
        let segments =
            (0..old.segments.len() * 2).map(|i| AtomicPtr::new(old.segment(i / 2))).collect();
        self.relink(Directory { bits: old.bits + 1, segments, life: Life::new() });
    }

    fn relink(&mut self, new: Directory) {
        self.counts.places.store(new.segments.len(), Ordering::Relaxed);
        let old = self.head.0.swap(Box::into_raw(Box::new(new)), Ordering::AcqRel);
        // SAFETY: just unlinked; `Box::into_raw` made it.
        self.reclaim.retire(Garbage::Directory(unsafe { Box::from_raw(old) }));
    }

    /// After a removal: merges the segment of a hash with its sibling if both are sparse.
    fn shrink(&mut self, hash: u64, hash_key: HashKey<'_>) {
        if self.counts.keys() == 0 {
            let detached = self.detach();
            detached.free(self.reclaim);
            return;
        }
        let Some(directory) = self.directory() else { return };
        let index = directory.index(hash);
        let depth = directory.depth(index);
        if depth == 0 {
            return;
        }
        let sibling = index ^ (1 << (directory.bits - depth));
        if directory.depth(sibling) != depth {
            return;
        }
        let halves = [directory.segment(index), directory.segment(sibling)];
        // SAFETY: linked, so alive.
        let segments = halves.map(|half| unsafe { &*half });
        if segments.iter().map(|segment| segment.len()).sum::<usize>() >= MERGE_BELOW {
            return;
        }
        let joined = Segment::new();
        Counts::add(&self.counts.segments, -1);
        for slot in segments.iter().flat_map(|half| (0..SLOTS).map(|i| half.load(i))) {
            if slot != 0 {
                // SAFETY: the lock is held.
                let key = unsafe { EntryRef::from_bits(slot & ADDRESS) }.key();
                joined.place(hash_key(key), slot & (ADDRESS | EXPIRES));
            }
        }
        let joined = Box::into_raw(joined);
        for at in directory.run(index).chain(directory.run(sibling)).collect::<Vec<_>>() {
            directory.segments[at].store(joined, Ordering::Release);
        }
        for half in halves {
            // SAFETY: just unlinked.
            self.reclaim.retire(Garbage::Segment(unsafe { Box::from_raw(half) }));
        }
        if Counts::add(&self.counts.merges, 1) > directory.segments.len() / 2 {
            self.counts.merges.store(0, Ordering::Relaxed);
            self.halve();
        }
    }

    /// Halves the directory when no segment needs its last bit.
    fn halve(&mut self) {
        while let Some(old) = self.directory() {
            let pairs = old.segments.len() / 2;
            let fine = (0..pairs).any(|i| old.segment(2 * i) != old.segment(2 * i + 1));
            if old.bits == 0 || fine {
                return;
            }
            let segments = (0..pairs).map(|i| AtomicPtr::new(old.segment(2 * i))).collect();
            self.relink(Directory { bits: old.bits - 1, segments, life: Life::new() });
        }
    }

    /// Bytes of the directory and its segments.
    #[cfg(test)]
    pub(crate) fn allocated_bytes(&self) -> usize {
        let Some(directory) = self.directory() else { return 0 };
        let mut segments = 0;
        let mut index = 0;
        while index < directory.segments.len() {
            index = directory.run(index).end;
            segments += size_of::<Segment>();
        }
        segments + size_of::<Directory>() + directory.segments.len() * size_of::<usize>()
    }

    /// Takes everything out, leaving an empty table.
    pub(crate) fn detach(&mut self) -> Detached {
        let keys = self.counts.keys.swap(0, Ordering::Relaxed);
        let expires = self.counts.expires.swap(0, Ordering::Relaxed);
        self.counts.merges.store(0, Ordering::Relaxed);
        let segments = self.counts.segments.swap(0, Ordering::Relaxed);
        let places = self.counts.places.swap(0, Ordering::Relaxed);
        let directory = self.head.0.swap(ptr::null_mut(), Ordering::AcqRel);
        Detached { directory, keys, expires, segments, places }
    }

    /// Puts a whole table into this one, which is empty. It was made with the same hash.
    pub(crate) fn attach(&mut self, table: Detached) {
        let empty = self.head.0.swap(table.directory, Ordering::AcqRel);
        assert!(empty.is_null(), "a table is attached where there is none");
        self.counts.keys.store(table.keys, Ordering::Relaxed);
        self.counts.expires.store(table.expires, Ordering::Relaxed);
        self.counts.segments.store(table.segments, Ordering::Relaxed);
        self.counts.places.store(table.places, Ordering::Relaxed);
    }

    /// Visits the segment that holds hash `from`, in arbitrary order; only slots with an expiry if
    /// `expiring`. Returns the first hash of the next segment of this shard.
    pub(crate) fn visit_segment(
        &mut self,
        from: u64,
        only: Only,
        mut each: impl FnMut(InPlace<'_>) -> ControlFlow<()>,
    ) -> Option<u64> {
        let directory = self.directory()?;
        let index = directory.index(from);
        // SAFETY: linked, so alive.
        let segment = unsafe { &*directory.segment(index) };
        for at in 0..SLOTS {
            let slot = segment.load(at);
            if slot == 0 || (only == Only::Expiring && slot & EXPIRES == 0) {
                continue;
            }
            // SAFETY: the lock is held; the slot keeps owning the entry, which `InPlace` lets
            // nobody move or replace.
            let mut entry = ManuallyDrop::new(unsafe { Entry::from_bits(slot & ADDRESS) });
            if each(InPlace(&mut entry)).is_break() {
                break;
            }
        }
        directory.hash_after(index, from)
    }

    /// Visits up to `count` entries of the segment that holds hash `from`, the first at slot
    /// `start` or after it. Returns how many, and the first hash of the next segment of this shard.
    pub(crate) fn sample_segment(
        &self,
        from: u64,
        only: Only,
        start: usize,
        count: usize,
        mut each: impl FnMut(EntryRef<'_>),
    ) -> (usize, Option<u64>) {
        let Some(directory) = self.directory() else { return (0, None) };
        let index = directory.index(from);
        // SAFETY: linked, so alive.
        let segment = unsafe { &*directory.segment(index) };
        let mut picked = [0; SLOTS];
        let mut found = 0;
        for at in (0..SLOTS).map(|at| (start + at) % SLOTS) {
            if found == count {
                break;
            }
            let slot = segment.load(at);
            if slot != 0 && (only == Only::All || slot & EXPIRES != 0) {
                prefetch((slot & ADDRESS) as *const u8);
                picked[found] = slot & ADDRESS;
                found += 1;
            }
        }
        for &address in &picked[..found] {
            // SAFETY: the lock is held, and nothing changes the table meanwhile.
            each(unsafe { EntryRef::from_bits(address) });
        }
        (found, directory.hash_after(index, from))
    }
}

/// Which entries to visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    Expiring,
}

/// A visited entry: can be read and stamped, not moved.
pub(crate) struct InPlace<'a>(&'a mut Entry);

impl InPlace<'_> {
    pub(crate) fn view(&self) -> EntryRef<'_> {
        self.0.view()
    }

    pub(crate) fn set_epoch(&mut self, epoch: u8) {
        self.0.set_epoch(epoch);
    }
}

impl fmt::Debug for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segment(_) => "Segment",
            Self::Directory(_) => "Directory",
        })
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").finish_non_exhaustive()
    }
}
