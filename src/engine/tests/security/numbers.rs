//! Numbers at the ends of what fits: whatever a client gives, the answer comes soon, is short, and
//! debug builds find no overflow.

use super::super::super::fixture::Fixture;

const EXTREMES: &[&str] = &[
    "-9223372036854775809",
    "-9223372036854775808",
    "-9223372036854775807",
    "-2147483648",
    "-1",
    "0",
    "1",
    "2147483647",
    "2147483648",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
];

/// Commands with numbers in the places of `{}`.
const COMMANDS: &[&str] = &[
    "LRANGE l {} {}",
    "LTRIM l {} {}",
    "LINDEX l {}",
    "LSET l {} x",
    "LREM l {} a",
    "LPOS l a RANK {} COUNT {}",
    "LPOS l a RANK {} COUNT {} MAXLEN {}",
    "LPOP l {}",
    "RPOP l {}",
    "LMPOP {} l LEFT COUNT {}",
    "GETRANGE s {} {}",
    "SUBSTR s {} {}",
    "SETRANGE s {} x",
    "SETBIT s {} 1",
    "GETBIT s {}",
    "BITCOUNT s {} {}",
    "BITCOUNT s {} {} BIT",
    "BITPOS s 1 {} {}",
    "BITPOS s 0 {} {} BIT",
    "BITFIELD s GET u63 {} SET i64 {} {}",
    "BITFIELD s OVERFLOW SAT INCRBY i64 {} {}",
    "BITFIELD s OVERFLOW FAIL INCRBY u8 #{} {}",
    "BITFIELD s OVERFLOW WRAP INCRBY i64 #{} {} INCRBY i5 0 {}",
    "BITFIELD_RO s GET i64 #{} GET u{} 0",
    "SRANDMEMBER x {}",
    "HRANDFIELD h {}",
    "HRANDFIELD h {} WITHVALUES",
    "ZRANDMEMBER z {}",
    "ZRANDMEMBER z {} WITHSCORES",
    "SPOP x {}",
    "ZPOPMIN z {}",
    "ZPOPMAX z {}",
    "ZMPOP {} z MIN COUNT {}",
    "ZRANGE z {} {}",
    "ZRANGE z {} {} REV WITHSCORES",
    "ZREVRANGE z {} {}",
    "ZRANGE z -inf +inf BYSCORE LIMIT {} {}",
    "ZRANGE z - + BYLEX LIMIT {} {}",
    "ZREVRANGEBYSCORE z +inf -inf LIMIT {} {}",
    "ZRANGEBYSCORE z ({} {}",
    "ZRANGEBYLEX z - + LIMIT {} {}",
    "ZREMRANGEBYRANK z {} {}",
    "ZRANGESTORE d z {} {}",
    "ZINTERCARD {} z LIMIT {}",
    "SINTERCARD {} x LIMIT {}",
    "ZUNION {} z z",
    "ZUNIONSTORE d {} z WEIGHTS {}",
    "ZINCRBY z {} a",
    "ZADD z {} a",
    "XADD st MAXLEN {} * a b",
    "XADD st MINID {}-{} * a b",
    "XADD st {}-{} a b",
    "XADD st {}-* a b",
    "XTRIM st MAXLEN ~ {} LIMIT {}",
    "XTRIM st MINID {}",
    "XRANGE st {}-{} + COUNT {}",
    "XRANGE st ({}-{} ({}-0",
    "XREVRANGE st + - COUNT {}",
    "XREAD COUNT {} STREAMS st {}-{}",
    "XREADGROUP GROUP g c COUNT {} STREAMS st {}",
    "XREADGROUP GROUP g c COUNT {} STREAMS st >",
    "XAUTOCLAIM st g c {} {} COUNT {}",
    "XCLAIM st g c {} 1-1 IDLE {}",
    "XCLAIM st g c 0 1-1 TIME {} RETRYCOUNT {} FORCE",
    "XPENDING st g IDLE {} - + {}",
    "XSETID st {}-{} ENTRIESADDED {} MAXDELETEDID {}-0",
    "XINFO STREAM st FULL COUNT {}",
    "XGROUP SETID st g {} ENTRIESREAD {}",
    "XDEL st {}-{}",
    "SCAN {} COUNT {}",
    "SSCAN x {} COUNT {}",
    "HSCAN h {} COUNT {}",
    "ZSCAN z {} COUNT {}",
    "EXPIRE s {}",
    "PEXPIRE s {}",
    "EXPIREAT s {}",
    "PEXPIREAT s {} GT",
    "SET e v EX {}",
    "SET e v PX {}",
    "SET e v EXAT {}",
    "SET e v PXAT {}",
    "GETEX s EX {}",
    "GETEX s PXAT {}",
    "SETEX e {} v",
    "PSETEX e {} v",
    "RESTORE e {} x",
    "RESTORE e 0 x IDLETIME {} FREQ {}",
    "INCRBY n {}",
    "DECRBY n {}",
    "INCRBYFLOAT n {}",
    "HINCRBY h f {}",
    "HINCRBYFLOAT h f {}",
    "SORT l ALPHA LIMIT {} {}",
    "SORT_RO l ALPHA LIMIT {} {} DESC",
    "SORT x ALPHA LIMIT {} {} STORE d",
    "GEOSEARCH g FROMLONLAT 0 0 BYRADIUS {} m COUNT {}",
    "GEOSEARCH g FROMMEMBER a BYBOX {} {} km COUNT {} ANY",
    "GEORADIUS g 0 0 {} m COUNT {}",
    "GEOADD g {} {} m",
    "LCS s t IDX MINMATCHLEN {}",
    "SELECT {}",
    "SWAPDB {} {}",
    "MOVE s {}",
    "COPY s d DB {} REPLACE",
    "CLIENT KILL ID {}",
    "CLIENT UNBLOCK {}",
    "CLIENT LIST ID {} {}",
    "CLIENT TRACKING ON REDIRECT {}",
    "SLOWLOG GET {}",
    "ACL LOG {}",
    "ACL GENPASS {}",
    "MEMORY USAGE s SAMPLES {}",
    "EVAL 'return #KEYS' {} s t",
    "EVAL 'return redis.call(\"LRANGE\", \"l\", ARGV[1], ARGV[2])' 0 {} {}",
    "FCALL nosuch {} s",
    "COMMAND GETKEYS EVAL x {} a b",
    "COMMAND GETKEYS ZUNIONSTORE d {} a b",
    "COMMAND GETKEYSANDFLAGS XREADGROUP GROUP g c COUNT {} STREAMS a {}",
    "COMMAND GETKEYS MIGRATE h {} '' {} {} KEYS a",
    "COMMAND GETKEYS LMPOP {} a LEFT",
    "CONFIG SET hash-max-listpack-entries {}",
    "CONFIG SET maxmemory-samples {}",
    "CONFIG SET slowlog-max-len {}",
    "DEBUG OBJECT s {}",
    "OBJECT FREQ s",
];

/// Longer than any of these replies is by itself.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// Every type under a key of its own.
fn fill(fixture: &mut Fixture) {
    fixture.disconnect("A");
    for line in [
        "FLUSHALL",
        "SELECT 0",
        "SET s 'some text'",
        "SET t 'other text'",
        "SET n 9223372036854775800",
        "RPUSH l a b c",
        "SADD x a b c",
        "HSET h f 1 g 2 i 3",
        "ZADD z 1 a 2 b 3 c",
        "GEOADD g 1 1 a 2 2 b",
        "XADD st 1-1 a b",
        "XADD st 2-1 a b",
        "XGROUP CREATE st g 0",
    ] {
        fixture.run("A", line);
    }
}

fn filled(template: &str, numbers: [&str; 2]) -> String {
    let mut parts = template.split("{}");
    let mut line = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        line += numbers[index % 2];
        line += part;
    }
    line
}

#[test]
fn no_number_overflows() {
    let mut fixture = Fixture::new();
    for line in [
        "CONFIG SET proto-max-bulk-len 1mb",
        "CONFIG SET client-output-buffer-limit 'normal 64kb 64kb 60'",
    ] {
        assert_eq!(fixture.run("A", line), "+OK");
    }
    for template in COMMANDS {
        fill(&mut fixture);
        let numbers = if template.matches("{}").count() > 1 { EXTREMES } else { &EXTREMES[..1] };
        for (first, second) in
            EXTREMES.iter().flat_map(|first| numbers.iter().map(move |second| (first, second)))
        {
            let line = filled(template, [first, second]);
            let reply = fixture.run("B", &line);
            let end = &reply[reply.len().saturating_sub(200)..];
            assert!(reply.len() < REPLY_BYTES_MAX, "{line}: {} bytes", reply.len());
            assert!(!reply.ends_with("<wait>") && !reply.ends_with("<abort>"), "{line}: {end}");
            if reply.ends_with("<close>") || reply.ends_with("<killed>") {
                fixture.disconnect("B");
            }
        }
        fixture.disconnect("B");
    }
    assert_eq!(fixture.run("A", "PING"), "+PONG");
}

#[test]
fn no_value_outgrows_the_limit_of_strings() {
    let mut fixture = Fixture::new();
    fixture.run("A", "CONFIG SET proto-max-bulk-len 1mb");
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    for (line, reply) in [
        ("SETRANGE s 1048575 x", ":1048576"),
        ("SETRANGE s 1048576 x", too_long),
        ("SETRANGE s 1048575 xx", too_long),
        ("APPEND s x", too_long),
        ("SETBIT b 8388607 1", ":0"),
        ("SETBIT b 8388608 1", "-ERR bit offset is not an integer or out of range"),
        ("BITFIELD b SET u8 8388600 1", "*1 :1"),
        ("BITFIELD b SET u8 8388608 1", "-ERR bit offset is not an integer or out of range"),
        ("BITFIELD b GET u8 #1048576", "-ERR bit offset is not an integer or out of range"),
        ("BITOP OR d b s", ":1048576"),
        ("STRLEN s", ":1048576"),
        ("STRLEN b", ":1048576"),
    ] {
        assert_eq!(fixture.run("A", line), reply, "{line}");
    }
    // The table of LCS would take four bytes for each pair of bytes.
    let reply = fixture.run("A", "LCS s b LEN");
    assert!(reply.starts_with("-ERR Insufficient memory, transient memory for LCS"), "{reply}");
}

#[test]
fn lengths_of_requests_are_refused_before_they_are_believed() {
    let mut fixture = Fixture::new();
    for (index, bytes) in
        [&b"*1048576\r\n$536870912\r\n"[..], b"*1048576\r\n", b"*2\r\n$3\r\nGET\r\n$536870912\r\nx"]
            .iter()
            .enumerate()
    {
        assert_eq!(fixture.send(&format!("C{index}"), bytes), "", "more is to come");
    }
    for bytes in [
        &b"*9223372036854775808\r\n"[..],
        b"*2147483648\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$9223372036854775807\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$18446744073709551616\r\n",
    ] {
        let reply = fixture.send("B", bytes);
        let shown = bytes.escape_ascii();
        assert!(reply.starts_with("-ERR Protocol error: invalid "), "{shown}: {reply}");
        assert!(reply.ends_with("<close>"), "{shown}: {reply}");
        fixture.disconnect("B");
    }
}
