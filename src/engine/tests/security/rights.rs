//! Ways around a user's rights: keys where a command has them seldom, other names for a command,
//! scripts, and rights of several selectors together.

use super::super::super::fixture::Fixture;
use crate::settings::Settings;

/// How a request is refused for lack of rights, whoever says so.
fn is_denied(reply: &str) -> bool {
    [
        "-NOPERM ",
        "can't run this command or subcommand",
        "can't access at least one of the keys",
        "can't publish to the channel",
        "denied due to insufficient ACL permissions",
    ]
    .iter()
    .any(|text| reply.contains(text))
}

/// `B` is a user with these rules; `secret` is not for it.
fn with_user(rules: &str) -> Fixture {
    let mut fixture = Fixture::new();
    for line in [
        &format!("ACL SETUSER bob reset on nopass {rules}")[..],
        "SET secret value",
        "SET ok value",
        "RPUSH okl 1 2",
        "SADD oks m",
        "ZADD okz 1 m",
        "GEOADD okg 1 1 m",
        "XADD okx 1-1 a b",
        "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function{function_name='peek', \
         callback=function() return redis.call('GET', 'secret') end, flags={'no-writes'}}\"",
    ] {
        let reply = fixture.run("A", line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    assert_eq!(fixture.run("B", "AUTH bob x"), "+OK");
    fixture
}

/// All data that there is.
fn state(fixture: &mut Fixture) -> Vec<String> {
    [
        "DBSIZE",
        "GET secret",
        "PTTL secret",
        "GET ok",
        "LRANGE okl 0 -1",
        "SMEMBERS oks",
        "ZRANGE okz 0 -1 WITHSCORES",
        "ZRANGE okg 0 -1 WITHSCORES",
        "XRANGE okx - +",
    ]
    .map(|line| fixture.run("A", line))
    .into()
}

/// Requests that reach `secret`, or read keys by a pattern.
const REACH: &[&str] = &[
    "GET secret",
    "gEt secret",
    "MGET ok secret",
    "MSET ok 1 secret 2",
    "MSETNX new 1 secret 2",
    "EXISTS ok secret",
    "TOUCH ok secret",
    "DEL ok secret",
    "UNLINK ok secret",
    "TYPE secret",
    "DUMP secret",
    "RESTORE secret 0 x",
    "RESTORE-ASKING secret 0 x",
    "OBJECT ENCODING secret",
    "OBJECT FREQ secret",
    "OBJECT IDLETIME secret",
    "object refcount secret",
    "MEMORY USAGE secret",
    "MOVE secret 1",
    "COPY secret ok",
    "COPY ok secret DB 1",
    "RENAME ok secret",
    "RENAMENX secret ok2",
    "EXPIRE secret 1",
    "PERSIST secret",
    "WATCH ok secret",
    "MIGRATE 127.0.0.1 1 secret 0 10",
    "MIGRATE 127.0.0.1 1 '' 0 10 KEYS ok secret",
    "MIGRATE 127.0.0.1 1 '' 0 10 COPY REPLACE AUTH x KEYS secret",
    "SORT ok STORE secret",
    "SORT okl BY nosort STORE ok STORE secret",
    "SORT secret",
    "SORT okl BY secret*",
    "SORT okl GET secret",
    "SORT okl BY nosort GET # GET secret",
    "SORT_RO okl BY secret*",
    "SORT_RO okl GET secret",
    "GEORADIUS okg 0 0 1000 km STORE secret",
    "GEORADIUS okg 0 0 1000 km STOREDIST secret",
    "GEORADIUS okg 0 0 1000 km STORE ok STOREDIST secret",
    "GEORADIUSBYMEMBER okg m 1 km STORE secret",
    "GEORADIUSBYMEMBER okg m 1 km STOREDIST secret",
    "GEORADIUS_RO secret 0 0 1 km",
    "GEOSEARCHSTORE secret okg FROMLONLAT 0 0 BYRADIUS 1 km",
    "GEOSEARCHSTORE ok secret FROMLONLAT 0 0 BYRADIUS 1 km",
    "BITOP NOT secret ok",
    "BITOP AND ok ok secret",
    "BITFIELD secret GET u8 0",
    "BITFIELD_RO secret GET u8 0",
    "PFCOUNT ok secret",
    "PFMERGE ok secret",
    "LCS ok secret",
    "SUNIONSTORE secret oks",
    "SINTERCARD 2 oks secret",
    "SMOVE oks secret m",
    "ZUNION 2 okz secret",
    "ZUNIONSTORE secret 1 okz",
    "ZUNIONSTORE ok 2 okz secret",
    "ZINTERCARD 2 okz secret",
    "ZDIFFSTORE secret 1 okz",
    "ZRANGESTORE secret okz 0 1",
    "ZRANGESTORE ok secret 0 1",
    "ZMPOP 2 okz secret MIN",
    "BZMPOP 1 2 okz secret MIN",
    "LMPOP 1 secret LEFT",
    "BLMPOP 1 1 secret LEFT",
    "LMOVE okl secret LEFT LEFT",
    "BLMOVE secret okl LEFT LEFT 1",
    "RPOPLPUSH okl secret",
    "BRPOPLPUSH secret okl 1",
    "BLPOP okl secret 1",
    "XREAD STREAMS secret 0",
    "XREAD COUNT 1 BLOCK 1 STREAMS okx secret 0 0",
    "XREADGROUP GROUP g c STREAMS secret >",
    "XREADGROUP GROUP g c NOACK COUNT 1 STREAMS okx secret > >",
    "XREADGROUP GROUP STREAMS STREAMS STREAMS secret >",
    "XINFO STREAM secret",
    "XINFO GROUPS secret",
    "XGROUP CREATE secret g $ MKSTREAM",
    "XGROUP DESTROY secret g",
    "EVAL 'return redis.call(\"GET\", \"secret\")' 0",
    "EVAL 'return redis.call(\"GET\", KEYS[1])' 1 secret",
    "EVAL 'return redis.call(\"GET\", ARGV[1])' 1 ok secret",
    "EVAL_RO 'return redis.call(\"GET\", \"secret\")' 0",
    "EVAL_RO 'return 1' 1 secret",
    "EVAL 'return redis.pcall(\"COPY\", \"secret\", \"ok\")' 0",
    "EVAL 'return redis.call(\"SORT\", \"okl\", \"GET\", \"secret\")' 0",
    "FCALL peek 0",
    "FCALL_RO peek 0",
    "FCALL peek 1 secret",
];

#[test]
fn no_way_leads_to_a_key_without_a_pattern() {
    let mut fixture = with_user("~ok* &ok* +@all");
    let before = state(&mut fixture);
    for line in REACH {
        let reply = fixture.run("B", line);
        assert!(is_denied(&reply), "{line}: {reply}");
        // Nor in a transaction.
        assert_eq!(fixture.run("B", "MULTI"), "+OK");
        let queued = fixture.run("B", line);
        let end = fixture.run("B", "EXEC");
        assert!(is_denied(&queued) && end.starts_with("-EXECABORT") || is_denied(&end), "{line}");
    }
    assert_eq!(state(&mut fixture), before);
    assert_eq!(fixture.run("B", "GET ok"), "$5 value", "what is permitted works");
    assert_eq!(fixture.run("B", "SORT okl BY nosort"), "*2 $1 1 $1 2");
}

#[test]
fn a_loaded_script_has_the_rights_of_who_runs_it() {
    let mut fixture = with_user("~ok* +@all");
    let sha = fixture.run("A", "SCRIPT LOAD 'return redis.call(\"GET\", \"secret\")'");
    let sha = sha.trim_start_matches("$40 ").to_owned();
    for line in [format!("EVALSHA {sha} 0"), format!("EVALSHA_RO {sha} 0")] {
        assert_eq!(fixture.run("A", &line), "$5 value");
        let reply = fixture.run("B", &line);
        assert!(is_denied(&reply), "{line}: {reply}");
    }
    fixture.run("A", "ACL SETUSER bob -set");
    let script = "EVAL 'return redis.call(\"SET\", KEYS[1], \"x\")' 1 ok";
    let reply = fixture.run("B", script);
    assert!(is_denied(&reply), "{reply}");
    fixture.run("A", "ACL SETUSER bob -@scripting");
    for line in [script, "FCALL peek 0", "SCRIPT LOAD x", "FUNCTION LIST"] {
        let reply = fixture.run("B", line);
        assert!(reply.starts_with("-NOPERM"), "{line}: {reply}");
    }
}

#[test]
fn reading_and_writing_are_rights_of_their_own() {
    let mut fixture = with_user("%R~r* %W~w* %RW~b* +@all");
    for (line, permitted) in [
        ("GET r", true),
        ("GET w", false),
        ("SET w x", true),
        ("SET r x", false),
        ("SET w x GET", false),
        ("SET b x GET", true),
        ("GETSET w x", false),
        ("GETDEL r", false),
        ("GETEX r EX 10", false),
        ("GETEX b EX 10", true),
        ("INCR wn", false),
        ("APPEND w x", true),
        ("COPY r w REPLACE", true),
        ("COPY w r", false),
        ("BITFIELD r GET u8 0", true),
        ("BITFIELD r SET u8 0 1", false),
        ("BITFIELD r GET u8 0 INCRBY u8 0 1", false),
        ("BITFIELD w SET u8 0 1", false),
        ("BITFIELD b SET u8 0 1", true),
        ("BITFIELD_RO r GET u8 0", true),
        ("BITOP NOT w r", true),
        ("BITOP NOT r r", false),
        ("LPUSH wl x", true),
        ("LPOP wl", false),
        ("LMOVE rl wl LEFT LEFT", false),
        ("SORT r STORE w", true),
        ("SORT r STORE r", false),
        ("GEORADIUS rg 0 0 1 km STORE w", true),
        ("GEORADIUS rg 0 0 1 km STORE r", false),
        ("GEORADIUS_RO rg 0 0 1 km", true),
        ("ZRANGESTORE w r 0 1", true),
        ("ZRANGESTORE r r 0 1", false),
        ("SINTERSTORE w r", true),
        ("SMOVE rs ws x", false),
        ("XADD wx * a b", true),
        ("XREAD STREAMS wx 0", false),
        ("EXPIRE w 100", true),
        ("EXPIRE r 100", false),
        ("DEL w", true),
        ("DEL r", false),
        ("EXISTS w", true),
        ("TYPE w", true),
        ("DUMP w", false),
        ("OBJECT ENCODING r", true),
        ("EVAL 'return redis.call(\"SET\", \"r\", 1)' 0", false),
        ("EVAL 'return redis.call(\"GET\", \"w\")' 0", false),
    ] {
        let reply = fixture.run("B", line);
        assert_eq!(is_denied(&reply), !permitted, "{line}: {reply}");
    }
}

#[test]
fn a_denied_subcommand_has_no_other_name() {
    let settings = Settings::default();
    let mut fixture = Fixture::with(settings, &[("CONFIG", "cfg")]);
    fixture.run("A", "ACL SETUSER bob on nopass ~* &* +@all -config|set -client|kill -script|load");
    fixture.run("A", "ACL SETUSER bob -acl +acl|whoami -object -select +select|0");
    fixture.run("B", "AUTH bob x");
    for (line, permitted) in [
        ("cfg SET maxmemory 1", false),
        ("CFG sEt maxmemory 1", false),
        ("cfg GET maxmemory", true),
        ("CLIENT KILL ID 1", false),
        ("client kill 1.2.3.4:5", false),
        ("CLIENT ID", true),
        ("SCRIPT LOAD x", false),
        ("SCRIPT EXISTS x", true),
        ("ACL WHOAMI", true),
        ("ACL SETUSER bob +@all", false),
        ("acl LIST", false),
        ("OBJECT HELP", false),
        ("OBJECT ENCODING k", false),
        ("SELECT 0", true),
        ("SELECT 1", false),
        ("SELECT 00", false),
        ("EVAL 'return redis.call(\"SELECT\", \"1\")' 0", false),
        ("EVAL 'return redis.call(\"object\", \"encoding\", \"k\")' 0", false),
    ] {
        let reply = fixture.run("B", line);
        assert_eq!(is_denied(&reply), !permitted, "{line}: {reply}");
    }
}

#[test]
fn rights_of_several_selectors_do_not_add_up() {
    let mut fixture = with_user("-@all (+get +copy %R~a* &c1) (+set %W~b* +publish)");
    for (line, permitted) in [
        ("GET a", true),
        ("SET b x", true),
        ("SET a x", false),
        ("GET b", false),
        ("COPY a b", false),
        ("PUBLISH c1 x", false),
        ("DEL a", false),
        ("PING", false),
    ] {
        let reply = fixture.run("B", line);
        assert_eq!(is_denied(&reply), !permitted, "{line}: {reply}");
    }
}

#[test]
fn channels_are_those_of_the_rules_and_end_with_them() {
    let mut fixture = with_user("~* +@all &ok*");
    for line in [
        "SUBSCRIBE secret",
        "SUBSCRIBE ok1 secret",
        "SSUBSCRIBE secret",
        // It would match more than the rule does.
        "PSUBSCRIBE *",
        "PSUBSCRIBE o*",
        "PSUBSCRIBE ok1",
        "PSUBSCRIBE ok* *",
        "PUBLISH secret x",
        "SPUBLISH secret x",
        "EVAL 'return redis.call(\"PUBLISH\", \"secret\", \"x\")' 0",
        "EVAL 'return redis.call(\"SPUBLISH\", \"secret\", \"x\")' 0",
    ] {
        let reply = fixture.run("B", line);
        assert!(is_denied(&reply), "{line}: {reply}");
    }
    for (number, line) in ["SUBSCRIBE ok1", "PSUBSCRIBE ok*", "SSUBSCRIBE ok1"].iter().enumerate() {
        let name = format!("S{number}");
        fixture.run("A", "ACL SETUSER bob &ok*");
        fixture.run(&name, "AUTH bob x");
        assert!(fixture.run(&name, line).starts_with("*3 "), "{line}");
        fixture.run("A", "ACL SETUSER bob resetchannels &ok");
        assert_eq!(fixture.send(&name, b""), "<killed>", "{line}");
        fixture.disconnect(&name);
    }
}

#[test]
fn an_account_that_ends_takes_its_connections_along() {
    let mut fixture = with_user("~* &* +@all");
    assert_eq!(fixture.run("B", "MULTI"), "+OK");
    assert_eq!(fixture.run("B", "SET ok stolen"), "+QUEUED");
    fixture.run("A", "ACL DELUSER bob");
    fixture.run("A", "ACL SETUSER bob on nopass ~* &* +@all");
    let reply = fixture.run("B", "EXEC");
    assert!(reply.ends_with("<close>") || reply.ends_with("<killed>"), "{reply}");
    assert_eq!(fixture.run("A", "GET ok"), "$5 value");
    // Who is switched off stays connected, as in Redis, but can no longer come.
    fixture.run("C", "AUTH bob x");
    fixture.run("A", "ACL SETUSER bob off");
    assert_eq!(fixture.run("C", "ACL WHOAMI"), "$3 bob");
    assert!(fixture.run("D", "AUTH bob x").starts_with("-WRONGPASS"));
}
