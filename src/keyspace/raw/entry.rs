//! One key with its value in one allocation.
//!
//! Layout: a 16-byte header, then (if the key has one) its expiry, then the key, then the value.
//! Short strings and integers are stored inline; everything else is a pointer to an [`Object`]. A
//! 16-byte key with a 16-byte value thus takes 48 bytes, which is a size class of the allocator.
//!
//! Knows nothing of tables, locks or databases.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use crate::types::{Object, StringView};

/// Longest string in bytes that is kept inside the entry; longer ones are chunked [`Object`]s.
pub(crate) const INLINE_BYTES_MAX: usize = 4096;

/// Allocation sizes are multiples of this, so a value can change a little without moving.
const QUANTUM: usize = 16;

#[repr(C)]
struct Header {
    encoding: Encoding,
    /// The snapshot epoch in which this entry was last written or saved.
    epoch: u8,
    has_expiry: bool,
    _spare: u8,
    /// Last access, in seconds of the server's clock.
    accessed_s: u32,
    key_len: u32,
    value_len: u32,
}

pub(crate) const HEADER: usize = size_of::<Header>();
pub(crate) const EXPIRY: usize = size_of::<i64>();

/// How the entry stores the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Encoding {
    /// A string that is the decimal form of an i64.
    Int,
    /// A short string as Redis embeds it (OBJECT ENCODING embstr).
    Embstr,
    /// A string that was modified in place, or is longer than Redis embeds.
    Raw,
    /// A pointer to an [`Object`].
    Object,
}

/// A value to be stored in an entry.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Int(i64),
    Embstr(&'a [u8]),
    Raw(&'a [u8]),
    Object(Box<Object>),
}

impl Content<'_> {
    fn encoding(&self) -> Encoding {
        match self {
            Self::Int(_) => Encoding::Int,
            Self::Embstr(_) => Encoding::Embstr,
            Self::Raw(_) => Encoding::Raw,
            Self::Object(_) => Encoding::Object,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Int(_) | Self::Object(_) => size_of::<u64>(),
            Self::Embstr(bytes) | Self::Raw(bytes) => bytes.len(),
        }
    }
}

/// A value read from an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueRef<'a> {
    Int(i64),
    Embstr(&'a [u8]),
    Raw(&'a [u8]),
    Object(&'a Object),
}

impl<'a> ValueRef<'a> {
    /// The value as a string, or `None` for another type.
    #[inline]
    pub(crate) fn string(self) -> Option<StringView<'a>> {
        match self {
            Self::Int(number) => Some(StringView::Int(number)),
            Self::Embstr(bytes) | Self::Raw(bytes) => Some(StringView::Bytes(bytes)),
            Self::Object(Object::String(chunks)) => Some(StringView::Chunks(chunks)),
        }
    }

    /// The type's name, as TYPE gives it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Int(_) | Self::Embstr(_) | Self::Raw(_) => "string",
            Self::Object(object) => object.type_name(),
        }
    }

    /// The encoding's name, as OBJECT ENCODING gives it.
    pub(crate) fn encoding_name(self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::Embstr(_) => "embstr",
            Self::Raw(_) => "raw",
            Self::Object(object) => object.encoding_name(),
        }
    }

    /// A copy for a snapshot or another key; shares the chunks of large values.
    pub(crate) fn content(self) -> Content<'a> {
        match self {
            Self::Int(number) => Content::Int(number),
            Self::Embstr(bytes) => Content::Embstr(bytes),
            Self::Raw(bytes) => Content::Raw(bytes),
            Self::Object(object) => Content::Object(Box::new(object.clone())),
        }
    }
}

/// An owned entry. Tables keep it as bare address bits between [`Entry::into_bits`] and
/// [`Entry::from_bits`].
pub(crate) struct Entry(NonNull<Header>);

// SAFETY: an entry owns its allocation; what it points to (bytes, `Object`) is Send and Sync.
unsafe impl Send for Entry {}

fn layout(has_expiry: bool, key_len: usize, value_len: usize) -> Layout {
    let expiry = if has_expiry { EXPIRY } else { 0 };
    let size = (HEADER + expiry + key_len + value_len).next_multiple_of(QUANTUM);
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
            accessed_s: 0,
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
                Content::Embstr(bytes) | Content::Raw(bytes) => {
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
        let same_size = layout(header.has_expiry, key_len, old_len).size()
            == layout(expire_at_ms.is_some(), key_len, content.len()).size();
        if header.encoding == Encoding::Object
            || header.has_expiry != expire_at_ms.is_some()
            || !same_size
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
                taken.value().content()
            }
        };
        let view = self.view();
        let mut new = Self::new(key.unwrap_or_else(|| view.key()), content, expire_at_ms);
        new.header_mut().accessed_s = self.header().accessed_s;
        new.header_mut().epoch = self.header().epoch;
        new
    }

    /// Takes the object out, leaving an entry whose value is the integer 0.
    fn take_object(&mut self) -> Option<Box<Object>> {
        if self.header().encoding != Encoding::Object {
            return None;
        }
        let at = self.header().key_len as usize;
        // SAFETY: encoding Object means that the value is a pointer made by `Box::into_raw`;
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
        self.header().encoding == Encoding::Object
    }

    /// The object, if its value is one. The rest of the entry is freed.
    pub(crate) fn into_object(mut self) -> Option<Box<Object>> {
        self.take_object()
    }

    pub(crate) fn object_mut(&mut self) -> Option<&mut Object> {
        if self.header().encoding != Encoding::Object {
            return None;
        }
        let at = self.header().key_len as usize;
        // SAFETY: as in `take_object`; the borrow of `self` keeps the box in place.
        Some(unsafe { &mut *self.key_pointer().add(at).cast::<*mut Object>().read_unaligned() })
    }

    pub(crate) fn set_epoch(&mut self, epoch: u8) {
        self.header_mut().epoch = epoch;
    }

    pub(crate) fn set_accessed_s(&mut self, seconds: u32) {
        self.header_mut().accessed_s = seconds;
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
    pub(crate) fn value(self) -> ValueRef<'a> {
        let header = self.header();
        let bytes = self.bytes(header.key_len as usize, header.value_len as usize);
        match header.encoding {
            Encoding::Int => {
                ValueRef::Int(i64::from_ne_bytes(bytes.try_into().expect("an Int has 8 bytes")))
            }
            Encoding::Embstr => ValueRef::Embstr(bytes),
            Encoding::Raw => ValueRef::Raw(bytes),
            Encoding::Object => {
                // SAFETY: encoding Object: a pointer made by `Box::into_raw`, live with the entry.
                ValueRef::Object(unsafe {
                    &*bytes.as_ptr().cast::<*const Object>().read_unaligned()
                })
            }
        }
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

    pub(crate) fn accessed_s(self) -> u32 {
        self.header().accessed_s
    }

    /// Bytes allocated for this entry, its object included.
    pub(crate) fn allocated_bytes(self) -> usize {
        let header = self.header();
        layout(header.has_expiry, header.key_len as usize, header.value_len as usize).size()
            + self.object_bytes()
    }

    /// Bytes allocated for its object, if it has one.
    pub(crate) fn object_bytes(self) -> usize {
        if self.header().encoding != Encoding::Object {
            return 0;
        }
        match self.value() {
            ValueRef::Object(object) => object.allocated_bytes(),
            _ => 0,
        }
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
        if header.encoding == Encoding::Object {
            self.objects.push(Entry::new(
                entry.key(),
                entry.value().content(),
                entry.expire_at_ms(),
            ));
            return;
        }
        let (key_len, value_len) = (header.key_len as usize, header.value_len as usize);
        let words = layout(header.has_expiry, key_len, value_len).size() / size_of::<u64>();
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
mod tests {
    use super::*;

    #[test]
    fn a_short_key_and_value_take_48_bytes() {
        let entry = Entry::new(b"key:0123456789ab", Content::Embstr(b"value:0123456789"), None);
        assert_eq!(entry.view().allocated_bytes(), 48);
    }

    #[test]
    fn an_entry_gives_back_what_it_was_made_of() {
        let long = vec![7; INLINE_BYTES_MAX];
        for key in [&b""[..], b"k", b"a longer key than eight"] {
            for at in [None, Some(i64::MAX)] {
                let entry = Entry::new(key, Content::Raw(&long), at);
                assert_eq!(entry.view().key(), key);
                assert_eq!(entry.view().expire_at_ms(), at);
                assert!(matches!(entry.view().value(), ValueRef::Raw(bytes) if bytes == long));
                let entry = entry.rebuilt(Some(b"other"), Some(3));
                assert_eq!(entry.view().key(), b"other");
                assert!(matches!(entry.view().value(), ValueRef::Raw(bytes) if bytes == long));
            }
        }
    }

    #[test]
    fn overwriting_needs_the_same_allocation() {
        let mut entry = Entry::new(b"key", Content::Embstr(b"0123456789"), None);
        assert!(entry.overwrite(Content::Int(-5), None).is_ok());
        assert!(matches!(entry.view().value(), ValueRef::Int(-5)));
        assert!(entry.overwrite(Content::Embstr(b"0123456789abcdef"), None).is_err());
        assert!(entry.overwrite(Content::Int(-5), Some(1)).is_err());
        assert!(matches!(entry.view().value(), ValueRef::Int(-5)));
    }

    #[test]
    fn objects_move_when_an_entry_is_rebuilt() {
        let chunks = crate::types::Chunks::from_slice(&vec![1; 100_000]);
        let entry = Entry::new(b"k", Content::Object(Box::new(Object::String(chunks))), None);
        let mut entry = entry.rebuilt(None, Some(9));
        let Some(Object::String(chunks)) = entry.object_mut() else { panic!("an object") };
        assert_eq!(chunks.len(), 100_000);
    }
}
