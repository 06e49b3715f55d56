//! The types of values, and how each is kept.

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
}

impl Type {
    /// As TYPE and SCAN name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }
}

/// How a value is kept; stands in the entry's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Encoding {
    /// A string that is the decimal form of an i64: its eight bytes.
    Int,
    /// A short string as Redis embeds it (OBJECT ENCODING embstr).
    Embstr,
    /// A string that was modified in place, or is longer than Redis embeds.
    Raw,
    /// A long string: an object.
    Chunks,
    /// A list: one listpack.
    ListPack,
    /// A list: an object.
    List,
    /// A set of integers: Redis's intset.
    IntSet,
    /// A set: a listpack of its members, up to a limit.
    SetPack,
    /// A set: an object.
    Set,
    /// A hash: a listpack of fields and values, one after the other.
    HashPack,
    /// A hash: an object.
    Hash,
    /// A sorted set: a listpack of members and scores in order.
    SortedSetPack,
    /// A sorted set: an object.
    SortedSet,
    /// A stream: an object.
    Stream,
}

impl Encoding {
    /// The type of value that is kept so.
    #[inline]
    pub(crate) fn kind(self) -> Type {
        match self {
            Self::Int | Self::Embstr | Self::Raw | Self::Chunks => Type::String,
            Self::ListPack | Self::List => Type::List,
            Self::IntSet | Self::SetPack | Self::Set => Type::Set,
            Self::HashPack | Self::Hash => Type::Hash,
            Self::SortedSetPack | Self::SortedSet => Type::SortedSet,
            Self::Stream => Type::Stream,
        }
    }

    /// Whether the value is an [`Object`](super::Object), and not bytes within the entry.
    #[inline]
    pub(crate) fn is_object(self) -> bool {
        matches!(
            self,
            Self::Chunks | Self::List | Self::Set | Self::Hash | Self::SortedSet | Self::Stream
        )
    }

    /// The name that OBJECT ENCODING of Redis 7.0 gives a value of that size and content.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Embstr => "embstr",
            Self::Raw | Self::Chunks => "raw",
            Self::ListPack | Self::List => "quicklist",
            Self::IntSet => "intset",
            Self::SetPack | Self::Set | Self::Hash => "hashtable",
            Self::HashPack | Self::SortedSetPack => "listpack",
            Self::SortedSet => "skiplist",
            Self::Stream => "stream",
        }
    }
}
