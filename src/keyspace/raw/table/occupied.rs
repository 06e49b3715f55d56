//! Exclusive access to an entry in its table, by its place there.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use super::super::entry::Entry;
use super::super::sync::Ordering;
use super::segment::{EXPIRES, LINE, MARK, Segment};
use super::{Counts, HashKey, TableMut};

/// Exclusive access to an entry that stays in its table.
pub(crate) struct Staying<'a>(Occupied<'a>);

impl<'a> Staying<'a> {
    pub(in super::super) fn new(entry: Occupied<'a>) -> Self {
        Self(entry)
    }

    /// See [`Occupied::replace`].
    pub(crate) fn replace(&mut self, new: Entry) -> Entry {
        self.0.replace(new)
    }

    /// See [`Occupied::set_expiry`].
    pub(crate) fn set_expiry(&mut self, at_ms: Option<i64>) {
        self.0.set_expiry(at_ms);
    }
}

impl Deref for Staying<'_> {
    type Target = Entry;
    #[inline]
    fn deref(&self) -> &Entry {
        &self.0.entry
    }
}

impl DerefMut for Staying<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Entry {
        &mut self.0.entry
    }
}

/// Exclusive access to an entry of a table; writes it back to its slot on drop.
pub(crate) struct Occupied<'a> {
    pub(super) table: TableMut<'a>,
    pub(super) segment: &'a Segment,
    pub(super) index: usize,
    pub(super) hash: u64,
    pub(super) entry: ManuallyDrop<Entry>,
}

impl Occupied<'_> {
    /// Replaces the entry by another for the same key; returns the old one.
    pub(crate) fn replace(&mut self, new: Entry) -> Entry {
        debug_assert_eq!(new.view().key(), self.entry.view().key());
        std::mem::replace(&mut *self.entry, new)
    }

    /// Changes the entry's expiry, moving it when it gains or loses the field.
    pub(crate) fn set_expiry(&mut self, at_ms: Option<i64>) {
        if let Some(at) = at_ms
            && self.entry.set_expiry_in_place(at)
        {
            return;
        }
        if at_ms.is_none() && self.entry.view().expire_at_ms().is_none() {
            return;
        }
        // SAFETY: the entry is taken out for the rebuild and written back at once; rebuilding
        // aborts only if memory runs out, which ends the process.
        unsafe {
            let old = ManuallyDrop::take(&mut self.entry);
            self.entry = ManuallyDrop::new(old.rebuilt(None, at_ms));
        }
    }

    /// Takes the entry out of the table.
    pub(crate) fn remove(self, hash_key: HashKey<'_>) -> Entry {
        let mut this = ManuallyDrop::new(self);
        let expires = this.segment.load(this.index) & EXPIRES != 0;
        Counts::add(&this.table.counts.keys, -1);
        Counts::add(&this.table.counts.expires, -isize::from(expires));
        let line = this.index / LINE * LINE;
        this.segment.vacate(this.index);
        let hash = this.hash;
        // Checking all the slots costs as much as the removal, so only about one in eight does.
        if this.segment.load(line) == 0 && (line..line + LINE).all(|i| this.segment.load(i) == 0)
            || this.table.counts.keys() == 0
        {
            this.table.shrink(hash, hash_key);
        }
        // SAFETY: the slot no longer owns it, and `this` never drops.
        unsafe { ManuallyDrop::take(&mut this.entry) }
    }
}

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        // SAFETY: the slot gets the ownership back; `self` is not used after.
        let entry = unsafe { ManuallyDrop::take(&mut self.entry) };
        let expires = entry.view().expire_at_ms().is_some();
        let old = self.segment.load(self.index);
        if expires != (old & EXPIRES != 0) {
            Counts::add(&self.table.counts.expires, if expires { 1 } else { -1 });
        }
        let flag = if expires { EXPIRES } else { 0 };
        let slot = entry.into_bits() | (old & MARK) | flag;
        if slot != old {
            self.segment.slots[self.index].store(slot, Ordering::Relaxed);
        }
    }
}

impl Deref for Occupied<'_> {
    type Target = Entry;
    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl DerefMut for Occupied<'_> {
    fn deref_mut(&mut self) -> &mut Entry {
        &mut self.entry
    }
}
