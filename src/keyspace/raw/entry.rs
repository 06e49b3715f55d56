//! One key with its value in one allocation.
//!
//! Layout: a 16-byte header, then (if the key has one) its expiry, then the key, then the value.
//! Integers, short strings and packed collections are stored inline; everything else is a pointer
//! to an [`Object`]. A 16-byte key with a 16-byte value thus takes 48 bytes. The allocation is always
//! of the size class that header, key and value need, so a value can change a little in place.
//!
//! Knows nothing of tables, locks or databases.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use crate::types::allocation::size_class;
use crate::types::{Encoding, Object, ValueRef};

/// Longest string in bytes that is kept inside the entry; longer ones are chunked [`Object`]s.
pub(crate) const INLINE_BYTES_MAX: usize = 4096;

#[repr(C)]
struct Header {
    encoding: Encoding,
    /// The snapshot epoch in which this entry was last written or saved.
    epoch: u8,
    has_expiry: bool,
    _spare: u8,
    /// How the key was used: see `keyspace::access`.
    access: u32,
    key_len: u32,
    value_len: u32,
}

pub(crate) const HEADER: usize = size_of::<Header>();
pub(crate) const EXPIRY: usize = size_of::<i64>();

/// A value to be stored in an entry.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Int(i64),
    /// Bytes of a packed encoding.
    Packed(Encoding, &'a [u8]),
    Object(Box<Object>),
}

impl Content<'_> {
    fn encoding(&self) -> Encoding {
        match self {
            Self::Int(_) => Encoding::Int,
            Self::Packed(encoding, _) => *encoding,
            Self::Object(object) => object.encoding(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Int(_) | Self::Object(_) => size_of::<u64>(),
            Self::Packed(_, bytes) => bytes.len(),
        }
    }
}

/// An owned entry. Tables keep it as bare address bits between [`Entry::into_bits`] and
/// [`Entry::from_bits`].
pub(crate) struct Entry(NonNull<Header>);

// SAFETY: an entry owns its allocation; what it points to (bytes, `Object`) is Send and Sync.
unsafe impl Send for Entry {}

fn used_bytes(has_expiry: bool, key_len: usize, value_len: usize) -> usize {
    HEADER + if has_expiry { EXPIRY } else { 0 } + key_len + value_len
}

#[inline]
fn layout(has_expiry: bool, key_len: usize, value_len: usize) -> Layout {
    let size = size_class(used_bytes(has_expiry, key_len, value_len));
    Layout::from_size_align(size, align_of::<u64>()).expect("keys and values are at most 512 MB")
}

impl Entry {
    /// A new entry.
    ///
    /// # Panics
    /// If the key or an inline value is longer than 4 GiB, which the RESP limits forbid.
    pub(crate) fn new(key: &[u8], content: Content<'_>, expire_at_ms: Option<i64>) -> Self {
        let layout = layout(expire_at_ms.is_some(), key.len(), content.len());
        // SAFETY: the layout has at least the header's size.
        let raw = unsafe { alloc(layout) };
        let Some(pointer) = NonNull::new(raw.cast::<Header>()) else { handle_alloc_error(layout) };
        let header = Header {
            encoding: content.encoding(),
            epoch: 0,
            has_expiry: expire_at_ms.is_some(),
            _spare: 0,
            access: 0,
            key_len: u32::try_from(key.len()).expect("key length is limited by the protocol"),
            value_len: u32::try_from(content.len()).expect("inline values are short"),
        };
        let mut entry = Self(pointer);
        // SAFETY: freshly allocated with the size that `layout` computed for this very header,
        // and aligned to 8, so the header, the expiry and the key all fit where they are written.
        unsafe {
            pointer.write(header);
            if let Some(at) = expire_at_ms {
                entry.expiry_pointer().write(at);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), entry.key_pointer(), key.len());
        }
        entry.write_value(content);
        entry
    }

    /// The address as bits for a slot; the table owns it until [`Entry::from_bits`].
    pub(super) fn into_bits(self) -> u64 {
        let bits = self.0.as_ptr() as u64;
        std::mem::forget(self);
        bits
    }

    /// Takes an entry back.
    ///
    /// # Safety
    /// `bits` came from [`Entry::into_bits`] and is not used again as an owner.
    pub(super) unsafe fn from_bits(bits: u64) -> Self {
        // SAFETY: the caller's promise; the address was not null.
        Self(unsafe { NonNull::new_unchecked(bits as *mut Header) })
    }

    pub(crate) fn view(&self) -> EntryRef<'_> {
        EntryRef(self.0, PhantomData)
    }

    fn header(&self) -> &Header {
        // SAFETY: `self` owns a live allocation that begins with a header.
        unsafe { self.0.as_ref() }
    }

    fn header_mut(&mut self) -> &mut Header {
        // SAFETY: as above, and `&mut self` is exclusive.
        unsafe { self.0.as_mut() }
    }

    fn expiry_pointer(&mut self) -> *mut i64 {
        // SAFETY: the expiry, where there is one, follows the header.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEADER).cast() }
    }

    fn key_pointer(&mut self) -> *mut u8 {
        let expiry = if self.header().has_expiry { EXPIRY } else { 0 };
        // SAFETY: within the allocation by `layout`.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEADER + expiry) }
    }

    /// Writes header fields and bytes of a value for which the allocation has room.
    fn write_value(&mut self, content: Content<'_>) {
        let (encoding, len) = (content.encoding(), content.len());
        let key_len = self.header().key_len as usize;
        let header = self.header_mut();
        header.encoding = encoding;
        header.value_len = u32::try_from(len).expect("inline values are short");
        // SAFETY: `layout` reserved `len` bytes after the key; the source is another allocation.
        unsafe {
            let target = self.key_pointer().add(key_len);
            match content {
                Content::Int(number) => target.cast::<i64>().write_unaligned(number),
                Content::Packed(_, bytes) => {
                    ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
                }
                Content::Object(object) => {
                    target.cast::<*mut Object>().write_unaligned(Box::into_raw(object));
                }
            }
        }
    }

    /// Replaces value and expiry without moving the entry, if the allocation fits; otherwise
    /// returns the content.
    pub(crate) fn overwrite<'a>(
        &mut self,
        content: Content<'a>,
        expire_at_ms: Option<i64>,
    ) -> Result<(), Content<'a>> {
        let header = self.header();
        let (key_len, old_len) = (header.key_len as usize, header.value_len as usize);
        // Numbers, and values of one length, are most of those that are overwritten.
        let same_size = old_len == content.len()
            || layout(header.has_expiry, key_len, old_len).size()
                == layout(header.has_expiry, key_len, content.len()).size();
        if header.encoding.is_object() || header.has_expiry != expire_at_ms.is_some() || !same_size
        {
            return Err(content);
        }
        self.write_value(content);
        if let Some(at) = expire_at_ms {
            // SAFETY: the entry has an expiry field, checked above.
            unsafe { self.expiry_pointer().write(at) };
        }
        Ok(())
    }

    /// The same entry with another key or another expiry; moves the value without copying an
    /// [`Object`].
    pub(crate) fn rebuilt(mut self, key: Option<&[u8]>, expire_at_ms: Option<i64>) -> Self {
        let taken;
        let content = match self.take_object() {
            Some(object) => Content::Object(object),
            None => {
                taken = self.view();
                taken.content()
            }
        };
        let view = self.view();
        let mut new = Self::new(key.unwrap_or_else(|| view.key()), content, expire_at_ms);
        new.header_mut().access = self.header().access;
        new.header_mut().epoch = self.header().epoch;
        new
    }

    /// Takes the object out, leaving an entry whose value is the integer 0.
    fn take_object(&mut self) -> Option<Box<Object>> {
        if !self.header().encoding.is_object() {
            return None;
        }
        let at = self.header().key_len as usize;
        // SAFETY: an object's encoding means that the value is a pointer made by `Box::into_raw`;
        // writing an Int of the same size below gives up that pointer.
        let object = unsafe {
            Box::from_raw(self.key_pointer().add(at).cast::<*mut Object>().read_unaligned())
        };
        self.write_value(Content::Int(0));
        Some(object)
    }

    /// Whether its value is an [`Object`], stored outside the entry.
    #[inline]
    pub(crate) fn has_object(&self) -> bool {
        self.header().encoding.is_object()
    }

    /// The object, if its value is one. The rest of the entry is freed.
    pub(crate) fn into_object(mut self) -> Option<Box<Object>> {
        self.take_object()
    }

    pub(crate) fn object_mut(&mut self) -> Option<&mut Object> {
        if !self.header().encoding.is_object() {
            return None;
        }
        let at = self.header().key_len as usize;
        // SAFETY: as in `take_object`; the borrow of `self` keeps the box in place.
        Some(unsafe { &mut *self.key_pointer().add(at).cast::<*mut Object>().read_unaligned() })
    }

    /// The bytes of a packed value, to change.
    pub(crate) fn packed_mut(&mut self) -> &mut [u8] {
        debug_assert!(!self.header().encoding.is_object());
        let len = self.header().value_len as usize;
        let at = self.header().key_len as usize;
        // SAFETY: the value lies there by `layout`, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.key_pointer().add(at), len) }
    }

    /// Replaces `removed` bytes at `at` of a packed value by `added` ones, in place where the size
    /// class stays the same, and returns these.
    ///
    /// # Panics
    /// If the range does not lie within the value.
    pub(crate) fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8] {
        let header = self.header();
        let (has_expiry, key_len) = (header.has_expiry, header.key_len as usize);
        let old_len = header.value_len as usize;
        assert!(
            !header.encoding.is_object() && at + removed <= old_len,
            "the range lies within the value"
        );
        let new_len = old_len - removed + added;
        let old_layout = layout(has_expiry, key_len, old_len);
        let new_layout = layout(has_expiry, key_len, new_len);
        let start = used_bytes(has_expiry, key_len, at);
        let (tail, moved) = (start + removed, old_len - at - removed);
        // SAFETY: both allocations have room for the header, the key and the value of their length;
        // source ranges lie within the old value. The added bytes are written before they are lent.
        unsafe {
            let old = self.0.as_ptr().cast::<u8>();
            let new = if new_layout.size() == old_layout.size() {
                ptr::copy(old.add(tail), old.add(start + added), moved);
                old
            } else {
                let new = alloc(new_layout);
                let Some(pointer) = NonNull::new(new.cast::<Header>()) else {
                    handle_alloc_error(new_layout)
                };
                ptr::copy_nonoverlapping(old, new, start);
                ptr::copy_nonoverlapping(old.add(tail), new.add(start + added), moved);
                dealloc(old, old_layout);
                self.0 = pointer;
                new
            };
            new.add(start).write_bytes(0, added);
        }
        self.header_mut().value_len = u32::try_from(new_len).expect("packed values are limited");
        &mut self.packed_mut()[at..at + added]
    }

    /// Replaces a packed value by another; keeps the rest.
    pub(crate) fn replace_packed(&mut self, content: Content<'_>) {
        debug_assert!(!self.header().encoding.is_object());
        let Err(content) = self.overwrite(content, self.view().expire_at_ms()) else { return };
        let mut new = Self::new(self.view().key(), content, self.view().expire_at_ms());
        new.header_mut().access = self.header().access;
        new.header_mut().epoch = self.header().epoch;
        *self = new;
    }

    pub(crate) fn set_epoch(&mut self, epoch: u8) {
        self.header_mut().epoch = epoch;
    }

    pub(crate) fn set_access(&mut self, bits: u32) {
        self.header_mut().access = bits;
    }

    /// Changes the expiry of an entry that has one already.
    pub(crate) fn set_expiry_in_place(&mut self, at_ms: i64) -> bool {
        if !self.header().has_expiry {
            return false;
        }
        // SAFETY: the field exists.
        unsafe { self.expiry_pointer().write(at_ms) };
        true
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.has_object() {
            super::shard::assert_unlocked();
        }
        drop(self.take_object());
        let header = self.header();
        let layout = layout(header.has_expiry, header.key_len as usize, header.value_len as usize);
        // SAFETY: allocated in `new` with this layout: rounding makes it stay the same through
        // `overwrite`, which never lets the rounded size change.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) };
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// A borrowed entry.
#[derive(Clone, Copy)]
pub(crate) struct EntryRef<'a>(NonNull<Header>, PhantomData<&'a Entry>);

impl<'a> EntryRef<'a> {
    /// Borrows an entry that a table owns.
    ///
    /// # Safety
    /// `bits` came from [`Entry::into_bits`], and nothing changes or frees it during `'a`.
    #[inline]
    pub(super) unsafe fn from_bits(bits: u64) -> Self {
        // SAFETY: the caller's promise; the address was not null.
        Self(unsafe { NonNull::new_unchecked(bits as *mut Header) }, PhantomData)
    }

    #[inline]
    fn header(self) -> &'a Header {
        // SAFETY: live for `'a` by construction.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn bytes(self, offset: usize, len: usize) -> &'a [u8] {
        let expiry = if self.header().has_expiry { EXPIRY } else { 0 };
        // SAFETY: callers ask for the key or the value, which lie there by `layout`.
        unsafe {
            let start = self.0.as_ptr().cast::<u8>().add(HEADER + expiry + offset);
            std::slice::from_raw_parts(start, len)
        }
    }

    #[inline]
    pub(crate) fn key(self) -> &'a [u8] {
        self.bytes(0, self.header().key_len as usize)
    }

    #[inline]
    pub(crate) fn encoding(self) -> Encoding {
        self.header().encoding
    }

    #[inline]
    pub(crate) fn value(self) -> ValueRef<'a> {
        match self.object() {
            Some(object) => ValueRef::object(object),
            None => ValueRef::packed(self.header().encoding, self.packed()),
        }
    }

    /// The bytes of a packed value.
    #[inline]
    pub(crate) fn packed(self) -> &'a [u8] {
        let header = self.header();
        self.bytes(header.key_len as usize, header.value_len as usize)
    }

    #[inline]
    fn object(self) -> Option<&'a Object> {
        if !self.header().encoding.is_object() {
            return None;
        }
        let bytes = self.packed();
        // SAFETY: an object's encoding: a pointer made by `Box::into_raw`, live with the entry.
        Some(unsafe { &*bytes.as_ptr().cast::<*const Object>().read_unaligned() })
    }

    /// A copy of the value for a snapshot or another key; shares the nodes of an object.
    pub(crate) fn content(self) -> Content<'a> {
        match (self.object(), self.header().encoding) {
            (Some(object), _) => Content::Object(Box::new(object.clone())),
            (None, Encoding::Int) => {
                let bytes = self.packed().try_into().expect("an Int has 8 bytes");
                Content::Int(i64::from_ne_bytes(bytes))
            }
            (None, encoding) => Content::Packed(encoding, self.packed()),
        }
    }

    /// A copy of the entry for a snapshot.
    pub(crate) fn copied(self) -> Entry {
        let mut copy = Entry::new(self.key(), self.content(), self.expire_at_ms());
        copy.set_access(self.access());
        copy
    }

    /// When the key expires, in milliseconds of Unix time.
    #[inline]
    pub(crate) fn expire_at_ms(self) -> Option<i64> {
        if !self.header().has_expiry {
            return None;
        }
        // SAFETY: the field follows the header and is aligned to 8.
        Some(unsafe { self.0.as_ptr().cast::<u8>().add(HEADER).cast::<i64>().read() })
    }

    pub(crate) fn epoch(self) -> u8 {
        self.header().epoch
    }

    /// The access bits.
    pub(crate) fn access(self) -> u32 {
        self.header().access
    }

    /// Bytes allocated for this entry, its object included.
    pub(crate) fn allocated_bytes(self) -> usize {
        let header = self.header();
        layout(header.has_expiry, header.key_len as usize, header.value_len as usize).size()
            + self.object_bytes()
    }

    /// Bytes allocated for its object, if it has one.
    pub(crate) fn object_bytes(self) -> usize {
        self.object().map_or(0, Object::allocated_bytes)
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys and values are user data and stay out of logs.
        f.debug_struct("Entry")
            .field("encoding", &self.header().encoding)
            .field("epoch", &self.header().epoch)
            .field("key_len", &self.header().key_len)
            .finish_non_exhaustive()
    }
}

/// Copies of entries, optimised for speed: copying runs under a shard's lock, where every
/// microsecond may stall a worker.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// Entries with inline values, byte for byte as they were, one after the other.
    words: Vec<MaybeUninit<u64>>,
    /// Where each begins.
    starts: Vec<usize>,
    /// Entries with objects, whose ownership a copy of bytes would not copy.
    objects: Vec<Entry>,
}

impl Copies {
    pub(crate) fn push(&mut self, entry: EntryRef<'_>) {
        let header = entry.header();
        if header.encoding.is_object() {
            self.objects.push(entry.copied());
            return;
        }
        let (key_len, value_len) = (header.key_len as usize, header.value_len as usize);
        let words = used_bytes(header.has_expiry, key_len, value_len).div_ceil(size_of::<u64>());
        let start = self.words.len();
        self.words.reserve(words);
        // SAFETY: the entry's allocation has that many words. The last may be uninitialised: it is
        // copied without being read, into reserved capacity, and nothing reads past the entry's own
        // length.
        unsafe {
            let target = self.words.as_mut_ptr().add(start);
            ptr::copy_nonoverlapping(entry.0.as_ptr().cast::<MaybeUninit<u64>>(), target, words);
            self.words.set_len(start + words);
        }
        self.starts.push(start);
    }

    /// Passes all the copies to `each` and clears them, keeping the memory for reuse.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(EntryRef<'_>)) {
        let words = NonNull::from(self.words.as_mut_slice()).cast::<MaybeUninit<u64>>();
        for &start in &self.starts {
            // SAFETY: an entry was copied there, and the buffer does not change meanwhile. The
            // pointer comes from the whole buffer, since an entry spans more than its first word.
            each(EntryRef(unsafe { words.add(start) }.cast::<Header>(), PhantomData));
        }
        for entry in &self.objects {
            each(entry.view());
        }
        self.clear();
    }

    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.starts.clear();
        self.objects.clear();
    }
}

#[cfg(test)]
mod tests;
