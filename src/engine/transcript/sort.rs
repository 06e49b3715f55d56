//! Transcripts of SORT.

use super::Fixture;

fn numbers() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("RPUSH l 10 9 100 1", "4", "SELECT 0 | RPUSH l 10 9 100 1", "new l, rpush l"),
        ("MSET w_1 3 w_9 1 w_10 2", "OK", "MSET w_1 3 w_9 1 w_10 2", MSET),
        ("HSET h_1 f one", "1", "HSET h_1 f one", "new h_1, hset h_1"),
    ]);
    fixture
}

const MSET: &str = "new w_1, set w_1, new w_9, set w_9, new w_10, set w_10";

#[test]
fn elements_are_sorted_as_numbers_or_as_texts() {
    numbers().transcript(&[
        ("SORT l", "[\"1\", \"9\", \"10\", \"100\"]", "", ""),
        ("SORT l DESC", "[\"100\", \"10\", \"9\", \"1\"]", "", ""),
        ("SORT l ALPHA", "[\"1\", \"10\", \"100\", \"9\"]", "", ""),
        ("SORT_RO l LIMIT 1 2 DESC ASC", "[\"9\", \"10\"]", "", ""),
        ("SORT l LIMIT -5 1", "[\"1\"]", "", ""),
        ("SORT l LIMIT 3 -1", "[\"100\"]", "", ""),
        ("SORT l LIMIT 4 9", "[]", "", ""),
        ("SORT none", "[]", "", "keymiss none"),
        ("SORT l BY nosort", "[\"10\", \"9\", \"100\", \"1\"]", "", ""),
        ("SORT l BY nosort DESC LIMIT 1 2", "[\"100\", \"9\"]", "", ""),
        ("SORT w_1", "-WRONGTYPE Operation against a key holding the wrong kind of value", "", ""),
        ("SORT w_1 NONSENSE", "-ERR syntax error", "", ""),
        ("SORT_RO l STORE d LIMIT x y", "-ERR syntax error", "", ""),
        ("SORT l LIMIT x 1", "-ERR value is not an integer or out of range", "", ""),
        ("RPUSH l x", "5", "RPUSH l x", "rpush l"),
        ("SORT l", "-ERR One or more scores can't be converted into double", "", ""),
    ]);
}

#[test]
fn keys_and_fields_named_after_elements_give_order_and_reply() {
    numbers().transcript(&[
        ("SORT l BY w_*", "[\"100\", \"9\", \"10\", \"1\"]", "", "keymiss w_100"),
        (
            "SORT l BY w_* LIMIT 1 2 GET # GET w_* GET h_*->f GET none",
            "[\"9\", \"1\", nil, nil, \"10\", \"2\", nil, nil]",
            "",
            "keymiss w_100, keymiss h_9, keymiss h_10",
        ),
        ("SORT l BY h_*->f ALPHA LIMIT 3 1 GET h_*->f", "[\"one\"]", "", MISSING),
        (
            "SORT l BY h_*->f LIMIT 0 1",
            "-ERR One or more scores can't be converted into double",
            "",
            MISSING,
        ),
        ("SORT l BY nosort GET h_* LIMIT 3 1", "[nil]", "", ""),
    ]);
}

const MISSING: &str = "keymiss h_10, keymiss h_9, keymiss h_100";

#[test]
fn what_is_sorted_can_be_stored() {
    numbers().transcript(&[
        ("SORT l STORE d", "4", "SORT l STORE d", "new d, sortstore d"),
        ("LRANGE d 0 -1", "[\"1\", \"9\", \"10\", \"100\"]", "", ""),
        (
            "SORT l GET w_* GET # STORE a STORE l",
            "8",
            "SORT l GET w_* GET # STORE a STORE l",
            "keymiss w_100, sortstore l",
        ),
        ("LRANGE l 0 -1", "[\"3\", \"1\", \"1\", \"9\", \"2\", \"10\", \"\", \"100\"]", "", ""),
        ("EXISTS a", "0", "", "keymiss a"),
        ("SORT none STORE d", "0", "SORT none STORE d", "keymiss none, del d"),
        ("SORT none STORE d", "0", "", "keymiss none"),
    ]);
}

#[test]
fn a_set_that_is_stored_unsorted_is_sorted_as_texts() {
    Fixture::new().transcript(&[
        ("SADD s c b a", "3", "SELECT 0 | SADD s c b a", "new s, sadd s"),
        ("SORT s BY nosort STORE d", "3", "SORT s BY nosort STORE d", "new d, sortstore d"),
        ("LRANGE d 0 -1", "[\"a\", \"b\", \"c\"]", "", ""),
        ("SORT s", "-ERR One or more scores can't be converted into double", "", ""),
        ("SORT s ALPHA DESC", "[\"c\", \"b\", \"a\"]", "", ""),
    ]);
}

#[test]
fn a_sorted_set_becomes_large_and_keeps_its_own_order_on_request() {
    Fixture::new().transcript(&[
        ("ZADD z 3 1 2 2 1 3", "3", "SELECT 0 | ZADD z 3 1 2 2 1 3", "new z, zadd z"),
        ("OBJECT ENCODING z", "\"listpack\"", "", ""),
        ("SORT z", "[\"1\", \"2\", \"3\"]", "", ""),
        ("OBJECT ENCODING z", "\"skiplist\"", "", ""),
        ("SORT z BY nosort", "[\"3\", \"2\", \"1\"]", "", ""),
        ("SORT z BY nosort DESC LIMIT 1 5", "[\"2\", \"3\"]", "", ""),
        ("SORT z BY nosort LIMIT 2 1", "[\"1\"]", "", ""),
    ]);
}

#[test]
fn the_keys_of_sort_are_found() {
    let found = |keys: &'static str, line: &'static str| (line, keys, "", "");
    Fixture::new().transcript(&[
        found("[\"k\"]", "COMMAND GETKEYS SORT k BY x LIMIT 0 STORE"),
        found("[\"k\", \"w\"]", "COMMAND GETKEYS SORT k GET STORE STORE z STORE w"),
        found("[\"k\"]", "COMMAND GETKEYS SORT_RO k STORE z"),
    ]);
}
