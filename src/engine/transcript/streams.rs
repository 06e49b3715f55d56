//! Transcripts of the stream commands, as measured on Redis 7.0.15.

use super::Fixture;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument";
const NOT_GREATER: &str =
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
const NO_STREAM: &str = "-ERR The XGROUP subcommand requires the key to exist. Note that \
                         for CREATE you may want to use the MKSTREAM option to create an empty \
                         stream automatically.";
const EXACT_LIMIT: &str = "-ERR syntax error, LIMIT cannot be used without the special ~ option";

#[test]
fn entries_get_ids_in_the_forms_that_clients_write() {
    Fixture::new().transcript(&[
        ("XADD s 1-1 f v", "\"1-1\"", "SELECT 0 | XADD s 1-1 f v", "new s, xadd s"),
        ("XADD s 1-* f v g w", "\"1-2\"", "XADD s 1-2 f v g w", "xadd s"),
        ("XADD s 2 f w", "\"2-0\"", "XADD s 2 f w", "xadd s"),
        ("XADD s * f now", "\"1000000000000-0\"", "XADD s 1000000000000-0 f now", "xadd s"),
        ("XADD s 2-0 f v", NOT_GREATER, "", ""),
        ("XADD s 0-0 f v", "-ERR The ID specified in XADD must be greater than 0-0", "", ""),
        ("XADD s 1 f", "-ERR wrong number of arguments for 'xadd' command", "", ""),
        ("XADD s abc f v", INVALID_ID, "", ""),
        ("XADD none NOMKSTREAM 1 f v", "nil", "", ""),
        ("XLEN s", "4", "", ""),
        ("XLEN none", "0", "", "keymiss none"),
        ("TYPE s", "stream", "", ""),
        ("OBJECT ENCODING s", "\"stream\"", "", ""),
    ]);
}

#[test]
fn xadd_trims_and_tells_replicas_how_far() {
    Fixture::new().transcript(&[
        ("XADD s 1 f v", "\"1-0\"", "SELECT 0 | XADD s 1 f v", "new s, xadd s"),
        ("XADD s 2 f v", "\"2-0\"", "XADD s 2 f v", "xadd s"),
        ("XADD s MAXLEN = 2 3-* f v", "\"3-0\"", "XADD s MAXLEN = 2 3-0 f v", "xadd s, xtrim s"),
        ("XADD s MAXLEN ~ 1 4-* f v", "\"4-0\"", "XADD s MAXLEN = 3 4-0 f v", "xadd s"),
        ("XADD s MINID 4 5 f v", "\"5-0\"", "XADD s MINID 4 5 f v", "xadd s, xtrim s"),
        (
            "XADD s MINID ~ 9 LIMIT 5 6 f v",
            "\"6-0\"",
            "XADD s MINID = 18446744073709551615-18446744073709551615 LIMIT 5 6 f v",
            "xadd s, xtrim s",
        ),
        ("XADD s MAXLEN 1 LIMIT 1 7-1 f v", EXACT_LIMIT, "", ""),
        ("XADD s LIMIT 0 7-1 f v", EXACT_LIMIT, "", ""),
        (
            "XADD s LIMIT 1 7-1 f v",
            "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            "",
            "",
        ),
        (
            "XADD s MAXLEN 1 MINID 1 7-1 f v",
            "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            "",
            "",
        ),
        ("XADD s MAXLEN -1 7-1 f v", "-ERR The MAXLEN argument must be >= 0.", "", ""),
        (
            "XADD s MAXLEN ~ 0 LIMIT 0 8-1 f v",
            "\"8-1\"",
            "XADD s MAXLEN = 0 LIMIT 0 8-1 f v",
            "xadd s, xtrim s",
        ),
    ]);
}

#[test]
fn ranges_end_where_they_are_told() {
    Fixture::new().transcript(&[
        ("XADD s 1-1 f v", "\"1-1\"", "SELECT 0 | XADD s 1-1 f v", "new s, xadd s"),
        ("XADD s 1-2 f v g w", "\"1-2\"", "XADD s 1-2 f v g w", "xadd s"),
        ("XADD s 2 f w", "\"2-0\"", "XADD s 2 f w", "xadd s"),
        (
            "XRANGE s - +",
            "[[\"1-1\", [\"f\", \"v\"]], [\"1-2\", [\"f\", \"v\", \"g\", \"w\"]], [\"2-0\", \
             [\"f\", \"w\"]]]",
            "",
            "",
        ),
        (
            "XRANGE s 1 1",
            "[[\"1-1\", [\"f\", \"v\"]], [\"1-2\", [\"f\", \"v\", \"g\", \"w\"]]]",
            "",
            "",
        ),
        (
            "XRANGE s (1-1 (2",
            "[[\"1-2\", [\"f\", \"v\", \"g\", \"w\"]], [\"2-0\", [\"f\", \"w\"]]]",
            "",
            "",
        ),
        ("XREVRANGE s + - COUNT 1", "[[\"2-0\", [\"f\", \"w\"]]]", "", ""),
        (
            "XREVRANGE s 1 -",
            "[[\"1-2\", [\"f\", \"v\", \"g\", \"w\"]], [\"1-1\", [\"f\", \"v\"]]]",
            "",
            "",
        ),
        ("XRANGE s - + COUNT 0", "nil", "", ""),
        ("XRANGE s + -", "[]", "", ""),
        ("XRANGE none - +", "[]", "", "keymiss none"),
        (
            "XRANGE s (18446744073709551615-18446744073709551615 +",
            "-ERR invalid start ID for the interval",
            "",
            "",
        ),
        ("XRANGE s - (0-0", "-ERR invalid end ID for the interval", "", ""),
        ("XRANGE s x +", INVALID_ID, "", ""),
    ]);
}

#[test]
fn a_stream_stays_when_its_last_entry_goes() {
    Fixture::new().transcript(&[
        ("XADD s 1-1 f v", "\"1-1\"", "SELECT 0 | XADD s 1-1 f v", "new s, xadd s"),
        ("XADD s 2-1 f v", "\"2-1\"", "XADD s 2-1 f v", "xadd s"),
        ("XADD s 3-1 f v", "\"3-1\"", "XADD s 3-1 f v", "xadd s"),
        ("XDEL s 2-1 2-1 9-9", "1", "XDEL s 2-1 2-1 9-9", "xdel s"),
        ("XTRIM s MAXLEN 0", "2", "XTRIM s MAXLEN 0", "xtrim s"),
        ("XTRIM s MAXLEN 0", "0", "", ""),
        ("XTRIM none MAXLEN 0", "0", "", ""),
        ("XTRIM s MINID 5 LIMIT 1", EXACT_LIMIT, "", ""),
        ("XTRIM s LIMIT 1 2", "-ERR syntax error", "", ""),
        ("XDEL s 1-1", "0", "", ""),
        ("EXISTS s", "1", "", ""),
        ("XADD s 2-5 f v", NOT_GREATER, "", ""),
        ("XADD s 3-* f v", "\"3-2\"", "XADD s 3-2 f v", "xadd s"),
        (
            "XTRIM s MINID ~ 9",
            "1",
            "XTRIM s MINID = 18446744073709551615-18446744073709551615",
            "xtrim s",
        ),
    ]);
}

#[test]
fn xsetid_sets_what_a_stream_remembers() {
    Fixture::new().transcript(&[
        ("XADD s 1-1 f v", "\"1-1\"", "SELECT 0 | XADD s 1-1 f v", "new s, xadd s"),
        ("XADD s 2-1 f v", "\"2-1\"", "XADD s 2-1 f v", "xadd s"),
        ("XDEL s 1-1", "1", "XDEL s 1-1", "xdel s"),
        (
            "XSETID s 9-0 ENTRIESADDED 9 MAXDELETEDID 4-4",
            "OK",
            "XSETID s 9-0 ENTRIESADDED 9 MAXDELETEDID 4-4",
            "xsetid s",
        ),
        (
            "XINFO STREAM s",
            "[\"length\", 1, \"radix-tree-keys\", 1, \"radix-tree-nodes\", 2, \
             \"last-generated-id\", \"9-0\", \"max-deleted-entry-id\", \"4-4\", \
             \"entries-added\", 9, \"recorded-first-entry-id\", \"2-1\", \"groups\", 0, \
             \"first-entry\", [\"2-1\", [\"f\", \"v\"]], \"last-entry\", [\"2-1\", [\"f\", \
             \"v\"]]]",
            "",
            "",
        ),
        (
            "XSETID s 3-0 MAXDELETEDID 4-4",
            "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
            "",
            "",
        ),
        (
            "XSETID s 2-0",
            "-ERR The ID specified in XSETID is smaller than the target stream top item",
            "",
            "",
        ),
        (
            "XSETID s 5-0 ENTRIESADDED 0",
            "-ERR The entries_added specified in XSETID is smaller than the target stream length",
            "",
            "",
        ),
        ("XSETID s 5-0 ENTRIESADDED -1", "-ERR entries_added must be positive", "", ""),
        ("XSETID s 5-0 MORE", "-ERR syntax error", "", ""),
        ("XSETID none 9-9", "-ERR no such key", "", ""),
    ]);
}

#[test]
#[allow(clippy::too_many_lines, reason = "the steps of one story")]
fn groups_hand_out_entries_and_remember_whom_they_gave_them_to() {
    Fixture::new().transcript(&[
        ("XGROUP CREATE s g $", NO_STREAM, "", ""),
        (
            "XGROUP CREATE s g $ MKSTREAM",
            "OK",
            "SELECT 0 | XGROUP CREATE s g $ MKSTREAM",
            "new s, xgroup-create s",
        ),
        ("XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists", "", ""),
        ("XADD s 1-1 f v", "\"1-1\"", "XADD s 1-1 f v", "xadd s"),
        ("XADD s 2-1 f v", "\"2-1\"", "XADD s 2-1 f v", "xadd s"),
        ("XADD s 3-1 f v", "\"3-1\"", "XADD s 3-1 f v", "xadd s"),
        (
            "XREADGROUP GROUP g alice COUNT 1 STREAMS s >",
            "[[\"s\", [[\"1-1\", [\"f\", \"v\"]]]]]",
            "XCLAIM s g alice 0 1-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
            "xgroup-createconsumer s",
        ),
        (
            "XREADGROUP GROUP g bob STREAMS s >",
            "[[\"s\", [[\"2-1\", [\"f\", \"v\"]], [\"3-1\", [\"f\", \"v\"]]]]]",
            "MULTI | XCLAIM s g bob 0 2-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID LASTID \
             2-1 | XCLAIM s g bob 0 3-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID LASTID \
             3-1 | EXEC",
            "xgroup-createconsumer s",
        ),
        ("XREADGROUP GROUP g bob STREAMS s >", "nil", "", ""),
        ("XREADGROUP GROUP g bob STREAMS s 2-1", "[[\"s\", [[\"3-1\", [\"f\", \"v\"]]]]]", "", ""),
        (
            "XREADGROUP GROUP g carol NOACK STREAMS s 0",
            "[[\"s\", []]]",
            "XGROUP CREATECONSUMER s g carol",
            "xgroup-createconsumer s",
        ),
        ("XPENDING s g", "[3, \"1-1\", \"3-1\", [[\"alice\", \"1\"], [\"bob\", \"2\"]]]", "", ""),
        ("XPENDING s g - + 10 alice", "[[\"1-1\", \"alice\", 0, 1]]", "", ""),
        ("XPENDING s g IDLE 1000 - + 10", "[]", "", ""),
        ("XACK s g 1-1 1-1 7", "1", "XACK s g 1-1 1-1 7", ""),
        ("XPENDING s g", "[2, \"2-1\", \"3-1\", [[\"bob\", \"2\"]]]", "", ""),
        ("XDEL s 3-1", "1", "XDEL s 3-1", "xdel s"),
        (
            "XREADGROUP GROUP g bob STREAMS s 0",
            "[[\"s\", [[\"2-1\", [\"f\", \"v\"]], [\"3-1\", nil]]]]",
            "",
            "",
        ),
        (
            "XINFO GROUPS s",
            "[[\"name\", \"g\", \"consumers\", 3, \"pending\", 2, \"last-delivered-id\", \
             \"3-1\", \"entries-read\", 3, \"lag\", 0]]",
            "",
            "",
        ),
        (
            "XINFO CONSUMERS s g",
            "[[\"name\", \"alice\", \"pending\", 0, \"idle\", 0], [\"name\", \"bob\", \
             \"pending\", 2, \"idle\", 0], [\"name\", \"carol\", \"pending\", 0, \"idle\", 0]]",
            "",
            "",
        ),
        ("XADD s 4-1 f v", "\"4-1\"", "XADD s 4-1 f v", "xadd s"),
        (
            "XREADGROUP GROUP g dave NOACK STREAMS s >",
            "[[\"s\", [[\"4-1\", [\"f\", \"v\"]]]]]",
            "MULTI | XGROUP CREATECONSUMER s g dave | XGROUP SETID s g 4-1 ENTRIESREAD 4 | EXEC",
            "xgroup-createconsumer s",
        ),
        (
            "XINFO STREAM s FULL COUNT 1",
            "[\"length\", 3, \"radix-tree-keys\", 1, \"radix-tree-nodes\", 2, \
             \"last-generated-id\", \"4-1\", \"max-deleted-entry-id\", \"3-1\", \
             \"entries-added\", 4, \"recorded-first-entry-id\", \"1-1\", \"entries\", \
             [[\"1-1\", [\"f\", \"v\"]]], \"groups\", [[\"name\", \"g\", \
             \"last-delivered-id\", \"4-1\", \"entries-read\", 4, \"lag\", 0, \"pel-count\", \
             2, \"pending\", [[\"2-1\", \"bob\", 1000000000000, 2]], \"consumers\", \
             [[\"name\", \"alice\", \"seen-time\", 1000000000000, \"pel-count\", 0, \
             \"pending\", []], [\"name\", \"bob\", \"seen-time\", 1000000000000, \
             \"pel-count\", 2, \"pending\", [[\"2-1\", 1000000000000, 2]]], [\"name\", \
             \"carol\", \"seen-time\", 1000000000000, \"pel-count\", 0, \"pending\", []], \
             [\"name\", \"dave\", \"seen-time\", 1000000000000, \"pel-count\", 0, \"pending\", \
             []]]]]]",
            "",
            "",
        ),
        (
            "XREADGROUP GROUP other bob STREAMS s >",
            "-NOGROUP No such key 's' or consumer group 'other' in XREADGROUP with GROUP option",
            "",
            "",
        ),
        (
            "XREADGROUP GROUP g bob STREAMS s $",
            "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the \
             history of this consumer by specifying a proper ID, or use the > ID to get new \
             messages. The $ ID would just return an empty result set.",
            "",
            "",
        ),
    ]);
}

#[test]
#[allow(clippy::too_many_lines, reason = "the steps of one story")]
fn groups_and_consumers_come_and_go() {
    Fixture::new().transcript(&[
        ("XADD s 1-1 f v", "\"1-1\"", "SELECT 0 | XADD s 1-1 f v", "new s, xadd s"),
        (
            "XGROUP CREATE s g 0 ENTRIESREAD 0",
            "OK",
            "XGROUP CREATE s g 0 ENTRIESREAD 0",
            "xgroup-create s",
        ),
        ("XGROUP CREATE s h $", "OK", "XGROUP CREATE s h $", "xgroup-create s"),
        (
            "XGROUP CREATECONSUMER s g alice",
            "1",
            "XGROUP CREATECONSUMER s g alice",
            "xgroup-createconsumer s",
        ),
        ("XGROUP CREATECONSUMER s g alice", "0", "", ""),
        (
            "XREADGROUP GROUP g alice STREAMS s >",
            "[[\"s\", [[\"1-1\", [\"f\", \"v\"]]]]]",
            "XCLAIM s g alice 0 1-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
            "",
        ),
        (
            "XGROUP DELCONSUMER s g alice",
            "1",
            "XGROUP DELCONSUMER s g alice",
            "xgroup-delconsumer s",
        ),
        ("XGROUP DELCONSUMER s g alice", "0", "", ""),
        (
            "XGROUP SETID s g 0 ENTRIESREAD 0",
            "OK",
            "XGROUP SETID s g 0 ENTRIESREAD 0",
            "xgroup-setid s",
        ),
        ("XGROUP SETID s g $", "OK", "XGROUP SETID s g $", "xgroup-setid s"),
        (
            "XGROUP SETID s none 0",
            "-NOGROUP No such consumer group 'none' for key name 's'",
            "",
            "",
        ),
        (
            "XGROUP CREATE s i 0 ENTRIESREAD -2",
            "-ERR value for ENTRIESREAD must be positive or -1",
            "",
            "",
        ),
        (
            "XGROUP CREATE s i 0 NONSENSE",
            "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
            "",
            "",
        ),
        ("XGROUP DESTROY s g", "1", "XGROUP DESTROY s g", "xgroup-destroy s"),
        ("XGROUP DESTROY s g", "0", "", ""),
        ("XGROUP DESTROY none g", NO_STREAM, "", ""),
        ("XACK s g 1-1", "0", "", ""),
        (
            "XINFO GROUPS s",
            "[[\"name\", \"h\", \"consumers\", 0, \"pending\", 0, \"last-delivered-id\", \
             \"1-1\", \"entries-read\", nil, \"lag\", 0]]",
            "",
            "",
        ),
    ]);
}

#[test]
#[allow(clippy::too_many_lines, reason = "the steps of one story")]
fn claims_move_entries_and_forget_those_that_are_gone() {
    Fixture::new().transcript(&[
        ("XADD s 1-1 f v", "\"1-1\"", "SELECT 0 | XADD s 1-1 f v", "new s, xadd s"),
        ("XADD s 2-1 f v", "\"2-1\"", "XADD s 2-1 f v", "xadd s"),
        ("XADD s 3-1 f v", "\"3-1\"", "XADD s 3-1 f v", "xadd s"),
        ("XGROUP CREATE s g 0", "OK", "XGROUP CREATE s g 0", "xgroup-create s"),
        (
            "XREADGROUP GROUP g alice STREAMS s >",
            "[[\"s\", [[\"1-1\", [\"f\", \"v\"]], [\"2-1\", [\"f\", \"v\"]], [\"3-1\", \
             [\"f\", \"v\"]]]]]",
            "MULTI | XCLAIM s g alice 0 1-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID \
             LASTID 1-1 | XCLAIM s g alice 0 2-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID \
             LASTID 2-1 | XCLAIM s g alice 0 3-1 TIME 1000000000000 RETRYCOUNT 1 FORCE JUSTID \
             LASTID 3-1 | EXEC",
            "xgroup-createconsumer s",
        ),
        ("XCLAIM s g bob 1000000 1-1", "[]", "", ""),
        (
            "XCLAIM s g bob 0 1 1-1",
            "[[\"1-1\", [\"f\", \"v\"]]]",
            "XCLAIM s g bob 0 1-1 TIME 1000000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 3-1",
            "xgroup-createconsumer s",
        ),
        (
            "XCLAIM s g bob 0 1-1 JUSTID",
            "[\"1-1\"]",
            "XCLAIM s g bob 0 1-1 TIME 1000000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 3-1",
            "",
        ),
        (
            "XCLAIM s g bob 0 1-1 RETRYCOUNT 7 TIME 5 LASTID 5-5",
            "[[\"1-1\", [\"f\", \"v\"]]]",
            "XCLAIM s g bob 0 1-1 TIME 5 RETRYCOUNT 7 FORCE JUSTID LASTID 5-5",
            "",
        ),
        ("XPENDING s g - + 10 bob", "[[\"1-1\", \"bob\", 999999999995, 7]]", "", ""),
        ("XCLAIM s g bob 0 9-9 LASTID 6-6", "[]", "XGROUP SETID s g 6-6 ENTRIESREAD 3", ""),
        ("XCLAIM s g bob 0 9-9", "[]", "", ""),
        ("XACK s g 2-1", "1", "XACK s g 2-1", ""),
        ("XCLAIM s g carol 0 2-1", "[]", "", ""),
        (
            "XCLAIM s g carol 0 2-1 FORCE",
            "[[\"2-1\", [\"f\", \"v\"]]]",
            "XCLAIM s g carol 0 2-1 TIME 1000000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 6-6",
            "xgroup-createconsumer s",
        ),
        ("XDEL s 1-1", "1", "XDEL s 1-1", "xdel s"),
        (
            "XAUTOCLAIM s g dave 0 - COUNT 1",
            "[\"2-1\", [], [\"1-1\"]]",
            "XCLAIM s g bob 0 1-1 TIME 5 RETRYCOUNT 7 FORCE JUSTID LASTID 6-6",
            "",
        ),
        (
            "XAUTOCLAIM s g dave 0 - COUNT 1 JUSTID",
            "[\"3-1\", [\"2-1\"], []]",
            "XCLAIM s g dave 0 2-1 TIME 1000000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 6-6",
            "xgroup-createconsumer s",
        ),
        (
            "XAUTOCLAIM s g dave 0 3-1",
            "[\"0-0\", [[\"3-1\", [\"f\", \"v\"]]], []]",
            "XCLAIM s g dave 0 3-1 TIME 1000000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 6-6",
            "",
        ),
        ("XCLAIM s none dave 0 1-1", "-NOGROUP No such key 's' or consumer group 'none'", "", ""),
        ("XCLAIM s g dave x 1-1", "-ERR Invalid min-idle-time argument for XCLAIM", "", ""),
        ("XCLAIM s g dave 0 1-1 WHAT", "-ERR Unrecognized XCLAIM option 'WHAT'", "", ""),
        ("XAUTOCLAIM s g dave 0 - COUNT 0", "-ERR COUNT must be > 0", "", ""),
    ]);
}

#[test]
fn xread_gives_what_comes_after_an_id() {
    Fixture::new().transcript(&[
        ("XADD s 1-1 f v", "\"1-1\"", "SELECT 0 | XADD s 1-1 f v", "new s, xadd s"),
        ("XADD s 2-1 f v", "\"2-1\"", "XADD s 2-1 f v", "xadd s"),
        ("XADD t 1-1 f v", "\"1-1\"", "XADD t 1-1 f v", "new t, xadd t"),
        ("XREAD STREAMS s 0", "[[\"s\", [[\"1-1\", [\"f\", \"v\"]], [\"2-1\", [\"f\", \"v\"]]]]]", "", ""),
        ("XREAD COUNT 1 STREAMS s t 1 0", "[[\"s\", [[\"1-1\", [\"f\", \"v\"]]]], [\"t\", [[\"1-1\", [\"f\", \"v\"]]]]]", "", ""),
        ("XREAD STREAMS s $", "nil", "", ""),
        ("XREAD STREAMS s none 5 0", "nil", "", "keymiss none, keymiss none"),
        ("XREAD COUNT STREAMS STREAMS s 0", "-ERR value is not an integer or out of range", "", ""),
        ("XREAD STREAMS s", "-ERR wrong number of arguments for 'xread' command", "", ""),
        ("XREAD STREAMS s >", "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
             <group> <consumer> option.", "", ""),
        ("XREAD GROUP g c STREAMS s 0", "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.", "", ""),
        ("XREAD NOACK STREAMS s 0", "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.", "", ""),
        ("XREADGROUP COUNT 1 NOACK STREAMS s t >", "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.", "", ""),
        ("XREADGROUP COUNT 1 NOACK BLOCK 5 STREAMS s >", "-ERR Missing GROUP option for XREADGROUP", "", ""),
        ("XREAD BLOCK -1 STREAMS s $", "-ERR timeout is negative", "", ""),
        ("XREAD BLOCK x STREAMS s $", "-ERR timeout is not an integer or out of range", "", ""),
        ("SET w text", "OK", "SET w text", "new w, set w"),
        ("XREAD STREAMS s w 0 0", WRONG_TYPE, "", ""),
        ("XADD w 1 f v", WRONG_TYPE, "", ""),
        ("XRANGE w - +", WRONG_TYPE, "", ""),
        ("XINFO STREAM w", WRONG_TYPE, "", ""),
        ("XINFO STREAM none", "-ERR no such key", "", "keymiss none"),
        ("XINFO STREAM s EMPTY", "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.", "", ""),
        ("XGROUP CREATE w g $", WRONG_TYPE, "", ""),
    ]);
}
