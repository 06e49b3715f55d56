//! Transcripts of the commands on bits.

use super::Fixture;

#[test]
fn bits_are_set_and_read_and_an_unchanged_one_is_not_told_of() {
    Fixture::new().transcript(&[
        ("SETBIT b 9 1", "0", "SELECT 0 | SETBIT b 9 1", "new b, setbit b"),
        ("SETBIT b 9 1", "1", "", ""),
        ("SETBIT b 0 0", "0", "", ""),
        ("SETBIT b 23 0", "0", "SETBIT b 23 0", "setbit b"),
        ("GET b", "\"\\x00@\\x00\"", "", ""),
        ("GETBIT b 9", "1", "", ""),
        ("GETBIT b 24", "0", "", ""),
        ("GETBIT none 4294967295", "0", "", "keymiss none"),
        ("SET n 123", "OK", "SET n 123", "new n, set n"),
        ("GETBIT n 2", "1", "", ""),
        ("SETBIT n 7 1", "1", "", ""),
        ("OBJECT ENCODING n", "\"raw\"", "", ""),
    ]);
}

#[test]
fn offsets_and_bits_out_of_range_are_refused() {
    let offset = "-ERR bit offset is not an integer or out of range";
    let bit = "-ERR bit is not an integer or out of range";
    Fixture::new().transcript(&[
        ("SETBIT b 4294967296 1", offset, "", ""),
        ("SETBIT b -1 1", offset, "", ""),
        ("SETBIT b x 2", offset, "", ""),
        ("SETBIT b 0 2", bit, "", ""),
        ("SETBIT b 0 x", bit, "", ""),
        ("GETBIT b #1", offset, "", ""),
        ("EXISTS b", "0", "", "keymiss b"),
    ]);
}

#[test]
fn bits_are_counted_in_ranges_of_bytes_or_bits() {
    Fixture::new().transcript(&[
        ("BITCOUNT none a b c d", "0", "", "keymiss none"),
        ("SET b foobar", "OK", "SELECT 0 | SET b foobar", "new b, set b"),
        ("BITCOUNT b", "26", "", ""),
        ("BITCOUNT b 1 1", "6", "", ""),
        ("BITCOUNT b 1 -2 byte", "18", "", ""),
        ("BITCOUNT b 5 30 BIT", "17", "", ""),
        ("BITCOUNT b -1 -5 nonsense", "0", "", ""),
        ("BITCOUNT b 0", "-ERR syntax error", "", ""),
        ("BITCOUNT b 0 1 nonsense", "-ERR syntax error", "", ""),
        ("BITCOUNT b 0 x", "-ERR value is not an integer or out of range", "", ""),
    ]);
}

#[test]
fn a_clear_bit_follows_the_string_unless_the_end_is_given() {
    Fixture::new().transcript(&[
        ("BITPOS none 0 x", "0", "", "keymiss none"),
        ("BITPOS none 1", "-1", "", "keymiss none"),
        (
            "SETRANGE b 0 \"\\xff\\xff\"",
            "2",
            "SELECT 0 | SETRANGE b 0 \\xff\\xff",
            "new b, setrange b",
        ),
        ("BITPOS b 0", "16", "", ""),
        ("BITPOS b 0 1", "16", "", ""),
        ("BITPOS b 0 2", "-1", "", ""),
        ("BITPOS b 0 0 -1", "-1", "", ""),
        ("BITPOS b 1 9 -1 BIT", "9", "", ""),
        ("BITPOS b 2", "-ERR The bit argument must be 1 or 0.", "", ""),
        ("BITPOS b 0 0 x nonsense", "-ERR syntax error", "", ""),
        ("BITPOS b 0 x 1 nonsense", "-ERR value is not an integer or out of range", "", ""),
    ]);
}

#[test]
fn strings_are_combined_and_an_empty_result_removes_the_target() {
    Fixture::new().transcript(&[
        ("SET a abc", "OK", "SELECT 0 | SET a abc", "new a, set a"),
        ("SET n 65", "OK", "SET n 65", "new n, set n"),
        ("BITOP AND d a n", "3", "BITOP AND d a n", "new d, set d"),
        ("GET d", "\"  \\x00\"", "", ""),
        ("OBJECT ENCODING d", "\"raw\"", "", ""),
        ("BITOP or a a none", "3", "BITOP or a a none", "keymiss none, set a"),
        ("GET a", "\"abc\"", "", ""),
        ("BITOP XOR a a a", "3", "BITOP XOR a a a", "set a"),
        ("GET a", "\"\\x00\\x00\\x00\"", "", ""),
        ("BITOP NOT a a", "3", "BITOP NOT a a", "set a"),
        ("GET a", "\"\\xff\\xff\\xff\"", "", ""),
        ("BITOP OR a none none", "0", "BITOP OR a none none", "keymiss none, keymiss none, del a"),
        ("BITOP OR a none none", "0", "", "keymiss none, keymiss none"),
        ("BITOP NOT a a n", "-ERR BITOP NOT must be called with a single source key.", "", ""),
        ("BITOP NAND a a n", "-ERR syntax error", "", ""),
    ]);
}

#[test]
fn fields_are_read_set_and_incremented_in_order() {
    Fixture::new().transcript(&[
        ("BITFIELD f", "[]", "", "keymiss f"),
        ("BITFIELD f GET u8 0", "[0]", "", "keymiss f"),
        (
            "BITFIELD f SET u8 #1 200 GET u4 8 OVERFLOW SAT INCRBY u8 #1 100",
            "[0, 12, 255]",
            "SELECT 0 | BITFIELD f SET u8 #1 200 GET u4 8 OVERFLOW SAT INCRBY u8 #1 100",
            "new f, setbit f",
        ),
        ("GET f", "\"\\x00\\xff\"", "", ""),
        ("BITFIELD f SET u8 8 255", "[255]", "", ""),
        ("BITFIELD f OVERFLOW FAIL INCRBY u8 8 1 GET i8 8", "[nil, -1]", "", ""),
        // The key is lengthened though nothing is told of.
        ("BITFIELD f OVERFLOW FAIL INCRBY u8 24 256", "[nil]", "", ""),
        ("STRLEN f", "4", "", ""),
        ("BITFIELD_RO f GET u16 0 GET i64 100", "[255, 0]", "", ""),
        ("BITFIELD_RO f SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand", "", ""),
        ("BITFIELD f GET u8 0 SET u8 0", "-ERR syntax error", "", ""),
    ]);
}

#[test]
fn a_chunk_of_a_long_string_is_changed_alone() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("SETBIT b 1599999 1", "0", "SELECT 0 | SETBIT b 1599999 1", "new b, setbit b"),
        ("SETBIT b 1599999 1", "1", "", ""),
        ("SETBIT b 524288 1", "0", "SETBIT b 524288 1", "setbit b"),
        // Across the end of the first chunk.
        ("BITFIELD b SET u16 524280 258", "[128]", "BITFIELD b SET u16 524280 258", "setbit b"),
        ("BITFIELD_RO b GET u16 524280 GET u8 1599992", "[258, 1]", "", ""),
        ("STRLEN b", "200000", "", ""),
        ("BITCOUNT b", "3", "", ""),
        ("BITPOS b 1", "524287", "", ""),
        ("BITPOS b 1 65537", "1599999", "", ""),
        ("BITOP NOT c b", "200000", "BITOP NOT c b", "new c, set c"),
        ("BITOP AND d b c", "200000", "BITOP AND d b c", "new d, set d"),
        ("BITCOUNT c", "1599997", "", ""),
        ("BITCOUNT d", "0", "", ""),
        ("BITPOS c 0", "524287", "", ""),
    ]);
}
