//! Transcripts of the sorted set commands, as measured on Redis 7.0.15.

use super::Fixture;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_FLOAT: &str = "-ERR value is not a valid float";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn members_are_added_changed_and_removed() {
    Fixture::new().transcript(&[
        ("ZADD z 1 a 2.5 b", "2", "SELECT 0 | ZADD z 1 a 2.5 b", "new z, zadd z"),
        ("ZADD z 1 a", "0", "", ""),
        ("ZADD z 3 a 1 c", "1", "ZADD z 3 a 1 c", "zadd z"),
        ("ZADD z CH 4 a 1 c 7 d", "2", "ZADD z CH 4 a 1 c 7 d", "zadd z"),
        ("ZCARD z", "4", "", ""),
        ("ZSCORE z b", "\"2.5\"", "", ""),
        ("ZSCORE z x", "nil", "", ""),
        ("ZMSCORE z a x d", "[\"4\", nil, \"7\"]", "", ""),
        ("ZRANK z c", "0", "", ""),
        ("ZREVRANK z c", "3", "", ""),
        ("ZRANK z x", "nil", "", ""),
        ("ZINCRBY z -1.5 a", "\"2.5\"", "ZINCRBY z -1.5 a", "zincr z"),
        ("ZINCRBY z 0 a", "\"2.5\"", "", ""),
        ("ZINCRBY z inf d", "\"inf\"", "ZINCRBY z inf d", "zincr z"),
        ("ZINCRBY z -inf d", "-ERR resulting score is not a number (NaN)", "", ""),
        ("ZREM z x", "0", "", ""),
        ("ZREM z a x a b", "2", "ZREM z a x a b", "zrem z"),
        ("ZREM z c d e", "2", "ZREM z c d e", "zrem z, del z"),
        ("ZREM z c", "0", "", ""),
    ]);
}

#[test]
fn options_of_zadd_decide_what_is_changed() {
    let condition = "-ERR XX and NX options at the same time are not compatible";
    let comparison = "-ERR GT, LT, and/or NX options at the same time are not compatible";
    Fixture::new().transcript(&[
        ("ZADD z XX 1 a", "0", "", ""),
        ("ZADD z XX INCR 1 a", "nil", "", ""),
        ("ZADD z NX 1 a 1 b", "2", "SELECT 0 | ZADD z NX 1 a 1 b", "new z, zadd z"),
        ("ZADD z nx ch 2 a", "0", "", ""),
        ("ZADD z XX CH 2 a 2 c", "1", "ZADD z XX CH 2 a 2 c", "zadd z"),
        ("ZADD z GT CH 1 a 2 b", "1", "ZADD z GT CH 1 a 2 b", "zadd z"),
        ("ZADD z LT CH 1 a 3 b", "1", "ZADD z LT CH 1 a 3 b", "zadd z"),
        ("ZADD z GT XX 5 c", "0", "", ""),
        ("ZADD z GT 5 c", "1", "ZADD z GT 5 c", "zadd z"),
        ("ZADD z GT INCR -1 c", "nil", "", ""),
        ("ZADD z LT INCR -1 c", "\"4\"", "ZADD z LT INCR -1 c", "zincr z"),
        ("ZADD z NX INCR 1 c", "nil", "", ""),
        ("ZADD z NX XX 1 c", condition, "", ""),
        ("ZADD z NX GT 1 c", comparison, "", ""),
        ("ZADD z LT GT 1 c", comparison, "", ""),
        (
            "ZADD z INCR 1 c 2 d",
            "-ERR INCR option supports a single increment-element pair",
            "",
            "",
        ),
        ("ZADD z 1 c 2", SYNTAX, "", ""),
        ("ZADD z CH XX", SYNTAX, "", ""),
        ("ZADD z x c", NOT_FLOAT, "", ""),
        ("ZADD z 1 a nan c", NOT_FLOAT, "", ""),
        ("ZINCRBY z x c", NOT_FLOAT, "", ""),
        ("ZINCRBY z NX c", SYNTAX, "", ""),
    ]);
}

#[test]
fn a_missing_sorted_set_is_an_empty_one() {
    Fixture::new().transcript(&[
        ("ZCARD z", "0", "", "keymiss z"),
        ("ZSCORE z a", "nil", "", "keymiss z"),
        ("ZMSCORE z a b", "[nil, nil]", "", "keymiss z"),
        ("ZRANK z a", "nil", "", "keymiss z"),
        ("ZCOUNT z 1 2", "0", "", "keymiss z"),
        ("ZLEXCOUNT z - +", "0", "", "keymiss z"),
        ("ZRANGE z 0 -1", "[]", "", "keymiss z"),
        ("ZRANDMEMBER z", "nil", "", "keymiss z"),
        ("ZRANDMEMBER z -3 WITHSCORES", "[]", "", "keymiss z"),
        ("ZSCAN z 0 COUNT x", "[\"0\", []]", "", "keymiss z"),
        ("ZPOPMIN z", "[]", "", ""),
        ("ZPOPMAX z 2", "[]", "", ""),
        ("ZREMRANGEBYRANK z 0 -1", "0", "", ""),
        ("ZREM z a", "0", "", ""),
        ("ZUNION 1 z", "[]", "", "keymiss z"),
        ("ZINTERCARD 2 z y", "0", "", "keymiss z, keymiss y"),
    ]);
}

#[test]
fn ranges_are_shown_by_rank_score_and_member() {
    let mut fixture = Fixture::new();
    fixture.run("ZADD z 1 a 2 b 2 c 3.5 d");
    fixture.run("ZADD l 0 a 0 b 0 bb 0 c");
    fixture.transcript(&[
        ("ZRANGE z 0 -1", "[\"a\", \"b\", \"c\", \"d\"]", "", ""),
        ("ZRANGE z -3 1 WITHSCORES", "[\"b\", \"2\"]", "", ""),
        ("ZRANGE z 1 0", "[]", "", ""),
        ("ZRANGE z 0 1 REV", "[\"d\", \"c\"]", "", ""),
        ("ZREVRANGE z 3 9 WITHSCORES", "[\"a\", \"1\"]", "", ""),
        ("ZRANGE z (1 3 BYSCORE", "[\"b\", \"c\"]", "", ""),
        ("ZRANGE z +inf (2 BYSCORE REV", "[\"d\"]", "", ""),
        ("ZRANGE z -inf inf BYSCORE LIMIT 1 2", "[\"b\", \"c\"]", "", ""),
        ("ZRANGE z inf -inf BYSCORE REV LIMIT 1 1", "[\"c\"]", "", ""),
        ("ZRANGEBYSCORE z 2 2 WITHSCORES LIMIT 1 -1", "[\"c\", \"2\"]", "", ""),
        ("ZRANGEBYSCORE z 0 9 LIMIT -1 2", "[]", "", ""),
        ("ZREVRANGEBYSCORE z 3.5 (1 LIMIT 0 2", "[\"d\", \"c\"]", "", ""),
        ("ZRANGEBYLEX l [b (c", "[\"b\", \"bb\"]", "", ""),
        ("ZRANGEBYLEX l - + LIMIT 3 9", "[\"c\"]", "", ""),
        ("ZREVRANGEBYLEX l + (a LIMIT 1 2", "[\"bb\", \"b\"]", "", ""),
        ("ZRANGE l [c [a BYLEX REV", "[\"c\", \"bb\", \"b\", \"a\"]", "", ""),
        ("ZRANGEBYLEX l + -", "[]", "", ""),
        ("ZCOUNT z (1 +inf", "3", "", ""),
        ("ZCOUNT z 3 2", "0", "", ""),
        ("ZLEXCOUNT l - [bb", "3", "", ""),
    ]);
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    let rank =
        "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    let scores = "-ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    let (float, member) =
        ("-ERR min or max is not a float", "-ERR min or max not valid string range item");
    let integer = "-ERR value is not an integer or out of range";
    Fixture::new().transcript(&[
        ("ZRANGE z 0 x", integer, "", ""),
        ("ZRANGE z 0 1 LIMIT 0 1", rank, "", ""),
        ("ZRANGE z 0 1 LIMIT 0 -1", "[]", "", "keymiss z"),
        ("ZRANGE z 0 1 LIMIT 0", SYNTAX, "", ""),
        ("ZRANGE z 0 1 BYSCORE LIMIT 0 x", integer, "", ""),
        ("ZRANGE z - + BYLEX WITHSCORES", scores, "", ""),
        ("ZRANGE z 0 1 BYLEX BYSCORE", SYNTAX, "", ""),
        ("ZREVRANGE z 0 1 REV", SYNTAX, "", ""),
        ("ZRANGEBYSCORE z 0 1 BYSCORE", SYNTAX, "", ""),
        ("ZRANGEBYSCORE z ((1 2", float, "", ""),
        ("ZCOUNT z nan 2", float, "", ""),
        ("ZREMRANGEBYSCORE z a b", float, "", ""),
        ("ZRANGEBYLEX z a b", member, "", ""),
        ("ZLEXCOUNT z [a b", member, "", ""),
        ("ZREMRANGEBYLEX z ++ -", member, "", ""),
        ("ZRANGESTORE d z 0 1 WITHSCORES", SYNTAX, "", ""),
    ]);
}

#[test]
fn ranges_are_stored_and_removed() {
    let mut fixture = Fixture::new();
    fixture.run("ZADD z 1 a 2 b 3 c 4 d 5 e");
    fixture.transcript(&[
        ("ZRANGESTORE d z 1 2", "2", "ZRANGESTORE d z 1 2", "new d, zrangestore d"),
        ("ZRANGE d 0 -1 WITHSCORES", "[\"b\", \"2\", \"c\", \"3\"]", "", ""),
        (
            "ZRANGESTORE d z 9 3 BYSCORE REV LIMIT 1 1",
            "1",
            "ZRANGESTORE d z 9 3 BYSCORE REV LIMIT 1 1",
            "zrangestore d",
        ),
        ("ZRANGE d 0 -1", "[\"d\"]", "", ""),
        ("ZRANGESTORE d z 9 9", "0", "ZRANGESTORE d z 9 9", "del d"),
        ("ZRANGESTORE d none 0 -1", "0", "", "keymiss none"),
        ("ZRANGESTORE z z 0 3", "4", "ZRANGESTORE z z 0 3", "zrangestore z"),
        ("ZREMRANGEBYRANK z 7 9", "0", "", ""),
        ("ZREMRANGEBYRANK z -1 -1", "1", "ZREMRANGEBYRANK z -1 -1", "zremrangebyrank z"),
        ("ZREMRANGEBYSCORE z (1 2", "1", "ZREMRANGEBYSCORE z (1 2", "zremrangebyscore z"),
        ("ZREMRANGEBYLEX z - +", "2", "ZREMRANGEBYLEX z - +", "zremrangebylex z, del z"),
    ]);
}

#[test]
fn the_least_and_greatest_are_popped() {
    let positive = "-ERR value is out of range, must be positive";
    let mut fixture = Fixture::new();
    fixture.run("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g");
    fixture.transcript(&[
        ("ZPOPMIN z", "[\"a\", \"1\"]", "ZPOPMIN z", "zpopmin z"),
        ("ZPOPMAX z 2", "[\"g\", \"7\", \"f\", \"6\"]", "ZPOPMAX z 2", "zpopmax z"),
        ("ZPOPMIN z 0", "[]", "", ""),
        ("ZPOPMIN z -1", positive, "", ""),
        ("ZPOPMIN z x", positive, "", ""),
        ("ZPOPMIN z 1 2", SYNTAX, "", ""),
        ("ZMPOP 2 y z MIN", "[\"z\", [[\"b\", \"2\"]]]", "ZPOPMIN z 1", "zpopmin z"),
        ("BZPOPMAX y z 0", "[\"z\", \"e\", \"5\"]", "ZPOPMAX z", "zpopmax z"),
        (
            "BZMPOP 0 1 z MAX COUNT 9",
            "[\"z\", [[\"d\", \"4\"], [\"c\", \"3\"]]]",
            "ZPOPMAX z 2",
            "zpopmax z, del z",
        ),
        ("ZMPOP 1 z MIN", "nil", "", ""),
        ("ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0", "", ""),
        ("ZMPOP 1 z MIN COUNT 0", "-ERR count should be greater than 0", "", ""),
        ("ZMPOP 1 z MIN COUNT", SYNTAX, "", ""),
        ("ZMPOP 1 z MIN COUNT 1 COUNT 1", SYNTAX, "", ""),
        ("ZMPOP 1 z MID", SYNTAX, "", ""),
        ("ZMPOP 9223372036854775807 z MIN", SYNTAX, "", ""),
        ("BZPOPMIN z -1", "-ERR timeout is negative", "", ""),
    ]);
}

#[test]
fn several_are_combined() {
    let mut fixture = Fixture::new();
    fixture.run("ZADD a 1 x 2 y");
    fixture.run("ZADD b 10 y 20 z");
    fixture.run("SADD s y z");
    fixture.transcript(&[
        ("ZUNION 2 a b WITHSCORES", "[\"x\", \"1\", \"y\", \"12\", \"z\", \"20\"]", "", ""),
        ("ZUNION 2 a b WEIGHTS 100 1 AGGREGATE MAX", "[\"z\", \"x\", \"y\"]", "", ""),
        (
            "ZUNION 2 a b AGGREGATE MIN WITHSCORES",
            "[\"x\", \"1\", \"y\", \"2\", \"z\", \"20\"]",
            "",
            "",
        ),
        ("ZINTER 3 a b s WITHSCORES", "[\"y\", \"13\"]", "", ""),
        ("ZINTER 2 a a WITHSCORES", "[\"x\", \"2\", \"y\", \"4\"]", "", ""),
        ("ZDIFF 2 b a WITHSCORES", "[\"z\", \"20\"]", "", ""),
        ("ZDIFF 2 s a", "[\"z\"]", "", ""),
        ("ZINTERCARD 2 b s", "2", "", ""),
        ("ZINTERCARD 2 b s LIMIT 1", "1", "", ""),
        ("ZINTERCARD 2 b s LIMIT 0", "2", "", ""),
        (
            "ZUNIONSTORE a 2 a b WEIGHTS 1 -inf",
            "3",
            "ZUNIONSTORE a 2 a b WEIGHTS 1 -inf",
            "zunionstore a",
        ),
        ("ZRANGE a 0 -1 WITHSCORES", "[\"y\", \"-inf\", \"z\", \"-inf\", \"x\", \"1\"]", "", ""),
        ("ZINTERSTORE d 2 b s", "2", "ZINTERSTORE d 2 b s", "new d, zinterstore d"),
        ("ZDIFFSTORE d 2 d s", "0", "ZDIFFSTORE d 2 d s", "del d"),
        ("ZDIFFSTORE d 1 none", "0", "", "keymiss none"),
        ("ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command", "", ""),
        (
            "ZUNIONSTORE d -1 a",
            "-ERR at least 1 input key is needed for 'zunionstore' command",
            "",
            "",
        ),
        ("ZUNION x a", "-ERR value is not an integer or out of range", "", ""),
        ("ZUNION 3 a b", SYNTAX, "", ""),
        ("ZUNION 2 a b WEIGHTS 1", SYNTAX, "", ""),
        ("ZUNION 2 a b WEIGHTS 1 x", "-ERR weight value is not a float", "", ""),
        ("ZUNION 2 a b AGGREGATE AVG", SYNTAX, "", ""),
        ("ZDIFF 2 a b WEIGHTS 1 1", SYNTAX, "", ""),
        ("ZUNIONSTORE d 1 a WITHSCORES", SYNTAX, "", ""),
        ("ZINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative", "", ""),
    ]);
}

#[test]
fn infinities_that_cancel_out_are_zero() {
    let mut fixture = Fixture::new();
    fixture.run("ZADD a inf x 0 y");
    fixture.run("ZADD b -inf x 1 y");
    fixture.transcript(&[
        ("ZUNION 2 a b WITHSCORES", "[\"x\", \"0\", \"y\", \"1\"]", "", ""),
        ("ZINTER 2 a b WITHSCORES", "[\"x\", \"0\", \"y\", \"1\"]", "", ""),
        ("ZUNION 1 a WEIGHTS inf WITHSCORES", "[\"y\", \"0\", \"x\", \"inf\"]", "", ""),
    ]);
}

#[test]
fn other_types_are_refused() {
    let mut fixture = Fixture::new();
    fixture.run("SET s x");
    fixture.run("ZADD z 1 a");
    for line in [
        "ZADD s 1 a",
        "ZADD s XX 1 a",
        "ZINCRBY s 1 a",
        "ZREM s a",
        "ZCARD s",
        "ZSCORE s a",
        "ZMSCORE s a",
        "ZRANK s a",
        "ZREVRANK s a",
        "ZCOUNT s 0 1",
        "ZLEXCOUNT s - +",
        "ZRANGE s 0 1",
        "ZRANGEBYLEX s - +",
        "ZRANGESTORE z s 0 1",
        "ZREMRANGEBYRANK s 0 1",
        "ZPOPMIN s",
        "ZPOPMIN s 0",
        "ZMPOP 2 none s MIN",
        "BZPOPMIN none s 0",
        "BZMPOP 0 1 s MAX",
        "ZUNION 2 z s",
        "ZUNIONSTORE z 1 s",
        "ZINTERCARD 1 s",
        "ZRANDMEMBER s",
        "ZRANDMEMBER s 1",
        "ZSCAN s 0",
        "GET z",
    ] {
        let outcome = fixture.run(line);
        assert_eq!((&*outcome.reply, &*outcome.replicas), (WRONG_TYPE, ""), "{line}");
    }
}

#[test]
fn random_members_and_scans_show_what_is_there() {
    let range = "-ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807";
    let mut fixture = Fixture::new();
    fixture.run("ZADD z 1.5 a");
    fixture.transcript(&[
        ("ZRANDMEMBER z", "\"a\"", "", ""),
        ("ZRANDMEMBER z 2", "[\"a\"]", "", ""),
        ("ZRANDMEMBER z -2 WITHSCORES", "[\"a\", \"1.5\", \"a\", \"1.5\"]", "", ""),
        ("ZRANDMEMBER z 0", "[]", "", ""),
        ("ZRANDMEMBER z x", "-ERR value is not an integer or out of range", "", ""),
        ("ZRANDMEMBER z -9223372036854775808", range, "", ""),
        ("ZRANDMEMBER z 9223372036854775807 WITHSCORES", "-ERR value is out of range", "", ""),
        ("ZRANDMEMBER z 1 SCORES", SYNTAX, "", ""),
        ("ZSCAN z 0", "[\"0\", [\"a\", \"1.5\"]]", "", ""),
        ("ZSCAN z 0 MATCH b*", "[\"0\", []]", "", ""),
        ("ZSCAN z x", "-ERR invalid cursor", "", ""),
        ("ZSCAN z 0 TYPE zset", SYNTAX, "", ""),
    ]);
}

#[test]
fn object_encoding_follows_the_limits() {
    let mut fixture = Fixture::new();
    let encoding = |fixture: &mut Fixture, line: &str, expected: &str| {
        fixture.run(line);
        let key = line.split(' ').nth(1).expect("a key");
        let shown = fixture.run(&format!("OBJECT ENCODING {key}")).reply;
        assert_eq!(shown, format!("\"{expected}\""), "after {line}");
    };
    let long = "x".repeat(65);
    let members: Vec<String> = (0..128).map(|number| format!("{number} {number}")).collect();
    encoding(&mut fixture, &format!("ZADD z {}", members.join(" ")), "listpack");
    encoding(&mut fixture, "ZADD z 7 0", "listpack");
    encoding(&mut fixture, "ZADD z 7 more", "skiplist");
    encoding(&mut fixture, "ZREM z more", "skiplist");
    encoding(&mut fixture, "ZRANGESTORE y z 0 -1", "listpack");
    encoding(&mut fixture, "ZUNIONSTORE y 1 z", "listpack");
    encoding(&mut fixture, &format!("ZADD w 1 {long}"), "skiplist");
    encoding(&mut fixture, "ZUNIONSTORE y 2 z w", "skiplist");
    encoding(&mut fixture, "ZRANGESTORE y w 0 -1", "skiplist");
    fixture.run("CONFIG SET zset-max-listpack-entries 0");
    encoding(&mut fixture, "ZADD v 1 a", "skiplist");
}

/// DEBUG DIGEST of redis-server 7.0.15 for the same commands.
#[test]
fn digests_do_not_depend_on_the_form() {
    let debug = ["--enable-debug-command", "yes"];
    let mut fixture = Fixture::with(&debug);
    fixture.run("ZADD z 1 a 2.5 b -inf c 1e20 d");
    let packed = fixture.run("DEBUG DIGEST-VALUE z").reply;
    fixture.run("CONFIG SET zset-max-listpack-entries 0");
    fixture.run("ZUNIONSTORE y 1 z");
    let large = fixture.run("DEBUG DIGEST-VALUE y").reply;
    assert_eq!(packed, "[e0c0ad59cc45cbee05e828bff2f6f689e5081354]");
    assert_eq!(large, packed);
}
