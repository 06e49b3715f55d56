//! The string that a command writes bits to: made ready first, then read and written in place. Of a
//! long one, only the chunks that are written to are touched.

use crate::commands::{Failure, Keys};
use crate::keyspace::{Content, Key};
use crate::settings::EventClasses;
use crate::types::bits::field::{FIELD_BYTES_MAX, Field};
use crate::types::{CHUNK_BYTES, Chunks, Encoding, Object, StringView};

/// A key with a string that is long enough to be written to.
pub(super) struct Target<'t, 'k> {
    keys: &'t mut Keys<'k>,
    key: Key<'t>,
    lengthened: bool,
}

impl<'t, 'k> Target<'t, 'k> {
    /// Makes the key hold a string of at least `len` bytes: zeros are added to a shorter one. As in
    /// Redis, the string is raw from now on, even if nothing is written.
    ///
    /// # Errors
    /// [`Failure::WrongType`]
    pub(super) fn prepare(
        keys: &'t mut Keys<'k>,
        key: Key<'t>,
        len: usize,
    ) -> Result<Self, Failure> {
        let Some(entry) = keys.write(key) else {
            store(keys, key, Vec::new(), len);
            return Ok(Self { keys, key, lengthened: true });
        };
        let string = entry.value().string().ok_or(Failure::WrongType)?;
        let lengthened = string.len() < len;
        match (entry.encoding(), string) {
            (Encoding::Chunks | Encoding::Raw, _) if !lengthened => {}
            (Encoding::Chunks, _) => keys.edit(key, |place| {
                if let Some(Object::String(chunks)) = place.object_mut() {
                    chunks.grow(len);
                }
            }),
            (_, short) => {
                let bytes = short.to_bytes().into_owned();
                store(keys, key, bytes, len);
            }
        }
        Ok(Self { keys, key, lengthened })
    }

    /// Whether the string was missing or shorter before.
    pub(super) fn is_lengthened(&self) -> bool {
        self.lengthened
    }

    /// Copies the bytes from `at` on; those past the end are left as they are.
    pub(super) fn read(&self, at: usize, bytes: &mut [u8]) {
        let string = self.keys.look(self.key).and_then(|entry| entry.value().string());
        string.unwrap_or(StringView::Bytes(b"")).read_at(at, bytes);
    }

    /// Overwrites bytes, which must lie within the prepared length.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        self.keys.edit(self.key, |place| {
            if let Some(Object::String(chunks)) = place.object_mut() {
                chunks.write_at(at, bytes);
            } else {
                place.bytes_mut()[at..at + bytes.len()].copy_from_slice(bytes);
            }
        });
    }

    /// Writes a field, which must lie within the prepared length.
    pub(super) fn write_field(&mut self, field: Field, value: i64) {
        let range = field.bytes();
        let mut bytes = [0; FIELD_BYTES_MAX];
        let bytes = &mut bytes[..(range.end - range.start) as usize];
        self.read(range.start as usize, bytes);
        field.write(bytes, value);
        self.write(range.start as usize, bytes);
    }
}

/// Records how many changes were made to a target. Without any, a key that was created, lengthened
/// or made raw is not told of, as in Redis.
pub(super) fn record(keys: &mut Keys<'_>, key: Key<'_>, changes: u64) {
    match changes.checked_sub(1) {
        None => keys.keep_to_ourselves(),
        Some(more) => {
            keys.changed(key, EventClasses::STRING, "setbit");
            keys.changed_much(more);
        }
    }
}

/// Stores a short string as raw, lengthened to `len` bytes if it is shorter. Keeps the expiry.
fn store(keys: &mut Keys<'_>, key: Key<'_>, mut bytes: Vec<u8>, len: usize) {
    if len <= CHUNK_BYTES {
        bytes.resize(bytes.len().max(len), 0);
        return keys.store_value(key, Content::raw(&bytes));
    }
    let mut chunks = Chunks::from_slice(&bytes);
    chunks.grow(len);
    keys.store_value(key, Content::Object(Box::new(Object::String(chunks))));
}
