//! Transcripts of the HyperLogLog commands.

use super::Fixture;

const INVALID: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
const CORRUPTED: &str = "-INVALIDOBJ Corrupted HLL object detected";

#[test]
fn elements_are_counted_and_the_count_is_kept() {
    Fixture::new().transcript(&[
        ("PFADD h", "1", "SELECT 0 | PFADD h", "new h, pfadd h"),
        ("PFADD h", "0", "", ""),
        ("PFADD h a b c", "1", "PFADD h a b c", "pfadd h"),
        ("PFADD h a b", "0", "", ""),
        // The count is stored in the string, which replicas get too.
        ("PFCOUNT h", "3", "PFCOUNT h", ""),
        ("PFCOUNT h", "3", "", ""),
        ("PFADD i b c d", "1", "PFADD i b c d", "new i, pfadd i"),
        ("PFCOUNT h i none", "4", "", "keymiss none"),
        ("PFCOUNT none", "0", "", "keymiss none"),
        ("OBJECT ENCODING h", "\"raw\"", "", ""),
    ]);
}

#[test]
fn merging_adds_to_the_target() {
    Fixture::new().transcript(&[
        ("PFADD a 1 2", "1", "SELECT 0 | PFADD a 1 2", "new a, pfadd a"),
        ("PFADD b 2 3", "1", "PFADD b 2 3", "new b, pfadd b"),
        ("PFMERGE c a b", "OK", "PFMERGE c a b", "keymiss c, new c, pfadd c"),
        ("PFCOUNT c", "3", "PFCOUNT c", ""),
        ("PFMERGE a b a", "OK", "PFMERGE a b a", "pfadd a"),
        ("PFCOUNT a", "3", "PFCOUNT a", ""),
        ("PFMERGE d", "OK", "PFMERGE d", "keymiss d, new d, pfadd d"),
        ("PFDEBUG TODENSE b", "1", "PFDEBUG TODENSE b", ""),
        ("PFDEBUG TODENSE b", "0", "", ""),
        ("PFMERGE d b", "OK", "PFMERGE d b", "pfadd d"),
        ("PFDEBUG ENCODING d", "dense", "", ""),
        ("STRLEN d", "12304", "", ""),
        ("PFCOUNT a d", "3", "", ""),
    ]);
}

#[test]
fn other_strings_are_refused() {
    Fixture::new().transcript(&[
        ("SET n 12", "OK", "SELECT 0 | SET n 12", "new n, set n"),
        ("PFADD n a", INVALID, "", ""),
        ("PFCOUNT n", INVALID, "", ""),
        ("PFCOUNT none n", INVALID, "", "keymiss none"),
        ("PFMERGE none n", INVALID, "", "keymiss none"),
        ("PFDEBUG ENCODING n", INVALID, "", ""),
        ("PFDEBUG ENCODING none", "-ERR The specified key does not exist", "", ""),
        ("PFADD h a", "1", "PFADD h a", "new h, pfadd h"),
        ("PFDEBUG NONSENSE h", "-ERR Unknown PFDEBUG subcommand 'NONSENSE'", "", ""),
        ("EXISTS none", "0", "", "keymiss none"),
    ]);
}

#[test]
fn registers_that_are_damaged_are_refused() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("PFADD h a", "1", "SELECT 0 | PFADD h a", "new h, pfadd h"),
        ("SETRANGE h 16 \"\\x7f\\xff\\x7f\"", "21", "SETRANGE h 16 \\x7f\\xff\\x7f", "setrange h"),
        ("PFCOUNT h", CORRUPTED, "", ""),
        ("PFCOUNT h h", CORRUPTED, "", ""),
        ("PFMERGE i h", CORRUPTED, "", "keymiss i"),
        ("PFDEBUG TODENSE h", CORRUPTED, "", ""),
        ("EXISTS i", "0", "", "keymiss i"),
        ("PFSELFTEST", "OK", "", ""),
    ]);
    // None is longer than a chunk.
    fixture.transcript(&[
        ("SETRANGE h 70000 x", "70001", "SETRANGE h 70000 x", "setrange h"),
        ("PFADD h b", CORRUPTED, "", ""),
        ("PFCOUNT h", CORRUPTED, "", ""),
    ]);
}

#[test]
fn the_runs_of_a_sparse_one_are_shown() {
    Fixture::new().transcript(&[
        ("PFADD h a", "1", "SELECT 0 | PFADD h a", "new h, pfadd h"),
        ("PFDEBUG ENCODING h", "sparse", "", ""),
        ("PFDEBUG DECODE h", "\"Z:12711 v:2,1 Z:3672\"", "", ""),
        ("PFDEBUG TODENSE h", "1", "PFDEBUG TODENSE h", ""),
        ("PFDEBUG DECODE h", "-ERR HLL encoding is not sparse", "", ""),
        ("PFADD h a", "0", "", ""),
        ("PFADD h b", "1", "PFADD h b", "pfadd h"),
        ("PFCOUNT h", "2", "PFCOUNT h", ""),
    ]);
}
