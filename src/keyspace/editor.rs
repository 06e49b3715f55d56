//! A value being changed where it lies in its entry.

use super::raw::entry::Content;
use super::raw::table::Staying;
use crate::types::{Buffer, Encoding, Object, Place, ValueRef};

/// Exclusive access to the value of a key. A running snapshot has what it was before.
pub(crate) struct Editor<'a>(Staying<'a>);

impl<'a> Editor<'a> {
    pub(super) fn new(entry: Staying<'a>) -> Self {
        Self(entry)
    }
}

impl Buffer for Editor<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.0.view().packed()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.packed_mut()
    }

    #[inline]
    fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8] {
        self.0.open(at, removed, added)
    }
}

impl Place for Editor<'_> {
    #[inline]
    fn encoding(&self) -> Encoding {
        self.0.view().encoding()
    }

    #[inline]
    fn object_mut(&mut self) -> Option<&mut Object> {
        self.0.object_mut()
    }

    fn become_packed(&mut self, encoding: Encoding, bytes: &[u8]) {
        self.0.replace_packed(Content::Packed(encoding, bytes));
    }

    fn become_object(&mut self, object: Object) {
        self.0.replace_packed(Content::Object(Box::new(object)));
    }

    fn view(&self) -> ValueRef<'_> {
        self.0.view().value()
    }
}
