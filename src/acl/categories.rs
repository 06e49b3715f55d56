//! The categories of commands that rules name as `@category`.

use crate::text::until_nul;

/// All categories in Redis's order, which ACL CAT shows and which decides how rules are described.
pub(super) const NAMES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The categories of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Categories(u32);

impl Categories {
    /// Those with these names; others are ignored.
    pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bits = names.into_iter().filter_map(|name| index(name.as_bytes()));
        Self(bits.fold(0, |bits, index| bits | 1 << index))
    }

    pub(super) fn has(self, index: usize) -> bool {
        self.0 & 1 << index != 0
    }

    /// The names of all categories, for ACL CAT.
    pub(crate) fn all() -> &'static [&'static str] {
        &NAMES
    }
}

/// A category's place in [`NAMES`], by its name in any case.
pub(super) fn index(name: &[u8]) -> Option<usize> {
    let name = until_nul(name);
    NAMES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
