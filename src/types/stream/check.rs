//! Validation of blocks from outside: what is accepted here can be read, changed and walked without
//! looking again.

use super::StreamId;
use super::block::{DELETED, FIXED_ELEMENTS, SAME_FIELDS};
use crate::types::Damage;
use crate::types::listpack::{Item, Iter, Listpack};

/// What a valid block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// Entries that are not deleted.
    pub(super) live: u64,
    /// The last of them.
    pub(super) last: Option<StreamId>,
}

/// The elements that are still to be checked.
struct Elements<'a> {
    items: Iter<'a>,
    /// Where the last one stood.
    offset: usize,
    /// Elements in all, which no number of them can exceed.
    len: i64,
}

impl<'a> Elements<'a> {
    fn next(&mut self) -> Result<Item<'a>, Damage> {
        let Some((offset, item)) = self.items.next() else {
            return Err(Damage::new(self.offset, "a stream's block that ends within an entry"));
        };
        self.offset = offset;
        Ok(item)
    }

    fn number(&mut self) -> Result<i64, Damage> {
        let number = self.next()?.integer();
        number.ok_or_else(|| self.damage("text in a stream's block in place of a number"))
    }

    /// A number of things that stand in this block.
    fn count(&mut self) -> Result<i64, Damage> {
        let count = self.number()?;
        if !(0..=self.len).contains(&count) {
            return Err(self.damage("a number in a stream's block that cannot be"));
        }
        Ok(count)
    }

    fn skip(&mut self, elements: i64) -> Result<(), Damage> {
        (0..elements).try_for_each(|_| self.next().map(|_| ()))
    }

    fn damage(&self, what: &'static str) -> Damage {
        Damage::new(self.offset, what)
    }
}

/// Validates a block whose first id is `first`: the listpack, its structure, both counts, and that
/// the ids of what is not deleted rise.
pub(super) fn check(first: StreamId, bytes: &[u8]) -> Result<Checked, Damage> {
    let len = Listpack::check(bytes)? as i64;
    let mut elements = Elements { items: Listpack::new(bytes).iter(), offset: 0, len };
    let (live, deleted) = (elements.count()?, elements.count()?);
    if live + deleted == 0 {
        return Err(elements.damage("a stream's block without entries"));
    }
    let master_fields = elements.count()?;
    elements.skip(master_fields)?;
    if elements.number()? != 0 {
        return Err(elements.damage("a stream's block whose fields do not end"));
    }
    let (mut live_found, mut last) = (0, None);
    for _ in 0..live + deleted {
        let (flags, id) = check_entry(&mut elements, first, master_fields)?;
        if flags & DELETED != 0 {
            continue;
        }
        if id < first || last.is_some_and(|last| id <= last) {
            return Err(elements.damage("ids in a stream's block that do not rise"));
        }
        (live_found, last) = (live_found + 1, Some(id));
    }
    if live_found != live {
        return Err(
            elements.damage("a stream's block with another number of entries than it states")
        );
    }
    if elements.items.next().is_some() {
        return Err(elements.damage("a stream's block that goes on behind its entries"));
    }
    Ok(Checked { live: live_found as u64, last })
}

/// Checks one entry; returns its flags and id.
fn check_entry(
    elements: &mut Elements<'_>,
    first: StreamId,
    master_fields: i64,
) -> Result<(i64, StreamId), Damage> {
    let flags = elements.number()?;
    if flags & !(DELETED | SAME_FIELDS) != 0 {
        return Err(elements.damage("an entry of a stream with unknown flags"));
    }
    let (ms, seq) = (elements.number()?, elements.number()?);
    let length = if flags & SAME_FIELDS != 0 {
        elements.skip(master_fields)?;
        FIXED_ELEMENTS + master_fields
    } else {
        let fields = elements.count()?;
        elements.skip(2 * fields)?;
        FIXED_ELEMENTS + 1 + 2 * fields
    };
    if elements.number()? != length {
        return Err(elements.damage("an entry of a stream with another length than it states"));
    }
    Ok((flags, first.offset(ms as u64, seq as u64)))
}
