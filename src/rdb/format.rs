//! The numbers of the format, as Redis's `rdb.h` names them: versions, opcodes, type codes, string
//! encodings. Reads and writes nothing.

/// The version this crate writes: that of Redis 7.0, which every later server reads.
pub(crate) const VERSION_WRITTEN: u16 = 10;
/// The latest version of Redis's numbering that is read: that of Redis 7.4 to 8.0.
pub(crate) const VERSION_MAX: u16 = 12;
/// The version of Valkey 9. Valkey numbers on from 80 and writes `VALKEY` as its magic.
pub(crate) const VERSION_VALKEY: u16 = 80;

/// The first version whose files end with a checksum.
pub(super) const VERSION_CHECKSUM: u16 = 5;

pub(super) mod opcode {
    /// Valkey: a slot being imported. Redis from version 13 on: metadata of a key.
    pub(in crate::rdb) const SLOT_IMPORT: u8 = 243;
    pub(in crate::rdb) const SLOT_INFO: u8 = 244;
    pub(in crate::rdb) const FUNCTION2: u8 = 245;
    pub(in crate::rdb) const FUNCTION_PRE_GA: u8 = 246;
    pub(in crate::rdb) const MODULE_AUX: u8 = 247;
    pub(in crate::rdb) const IDLE: u8 = 248;
    pub(in crate::rdb) const FREQ: u8 = 249;
    pub(in crate::rdb) const AUX: u8 = 250;
    pub(in crate::rdb) const RESIZEDB: u8 = 251;
    pub(in crate::rdb) const EXPIRETIME_MS: u8 = 252;
    pub(in crate::rdb) const EXPIRETIME: u8 = 253;
    pub(in crate::rdb) const SELECTDB: u8 = 254;
    pub(in crate::rdb) const EOF: u8 = 255;
}

pub(super) mod type_code {
    pub(in crate::rdb) const STRING: u8 = 0;
    pub(in crate::rdb) const LIST: u8 = 1;
    pub(in crate::rdb) const SET: u8 = 2;
    pub(in crate::rdb) const SORTED_SET: u8 = 3;
    pub(in crate::rdb) const HASH: u8 = 4;
    pub(in crate::rdb) const SORTED_SET_2: u8 = 5;
    pub(in crate::rdb) const MODULE: u8 = 6;
    pub(in crate::rdb) const MODULE_2: u8 = 7;
    pub(in crate::rdb) const HASH_ZIPMAP: u8 = 9;
    pub(in crate::rdb) const LIST_ZIPLIST: u8 = 10;
    pub(in crate::rdb) const SET_INTSET: u8 = 11;
    pub(in crate::rdb) const SORTED_SET_ZIPLIST: u8 = 12;
    pub(in crate::rdb) const HASH_ZIPLIST: u8 = 13;
    pub(in crate::rdb) const LIST_QUICKLIST: u8 = 14;
    pub(in crate::rdb) const STREAM_LISTPACKS: u8 = 15;
    pub(in crate::rdb) const HASH_LISTPACK: u8 = 16;
    pub(in crate::rdb) const SORTED_SET_LISTPACK: u8 = 17;
    pub(in crate::rdb) const LIST_QUICKLIST_2: u8 = 18;
    /// Written by Redis from 7.2 on.
    pub(in crate::rdb) const SET_LISTPACK: u8 = 20;
    /// With the first id, the greatest deleted one, and what groups have read.
    pub(in crate::rdb) const STREAM_LISTPACKS_2: u8 = 19;
    /// With the time of each consumer's last success.
    pub(in crate::rdb) const STREAM_LISTPACKS_3: u8 = 21;
    /// Valkey 9: fields that may expire.
    pub(in crate::rdb) const HASH_2: u8 = 22;
    /// Redis 7.4 and later: the same, as pairs and as a listpack.
    pub(in crate::rdb) const HASH_METADATA: u8 = 24;
    pub(in crate::rdb) const HASH_LISTPACK_EX: u8 = 25;
}

/// How a string that is not verbatim is stored: the low six bits of a length's first byte.
pub(super) mod string_encoding {
    pub(in crate::rdb) const INT8: u8 = 0;
    pub(in crate::rdb) const INT16: u8 = 1;
    pub(in crate::rdb) const INT32: u8 = 2;
    pub(in crate::rdb) const LZF: u8 = 3;
}

/// What a length starts with: two bits, or for long lengths a whole byte.
pub(super) mod length_mark {
    pub(in crate::rdb) const BITS_14: u8 = 0x40;
    pub(in crate::rdb) const BITS_32: u8 = 0x80;
    pub(in crate::rdb) const BITS_64: u8 = 0x81;
    pub(in crate::rdb) const ENCODED: u8 = 0xc0;
}

/// The user-visible name of the type with this code, or `None` if no server writes such a code.
///
/// One name covers all the encodings of a type; errors give the code beside it.
pub(super) fn type_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "string",
        1 | 10 | 14 | 18 => "list",
        2 | 11 | 20 => "set",
        3 | 5 | 12 | 17 => "sorted set",
        4 | 9 | 13 | 16 => "hash",
        6 | 7 => "module value",
        15 | 19 | 21 => "stream",
        22..=25 => "hash whose fields expire",
        26..=33 => "value of a newer Redis",
        _ => return None,
    })
}
