//! Random commands of users with random rules, over several connections: what they are denied, what
//! ACL's subcommands tell of it, and which connections end when rules change.

use crate::canonical::sorted_categories;
use crate::families::{plain_command, sound_command};
use crate::pair::Unit;
use crate::report::Who;
use crate::rules::rules;
use crate::session::{ARGS, Outcome, Plan, Session};
use crate::support::connection::Words;
use crate::support::server::{Program, Server};
use crate::world::World;
use crate::{acl, number, subject, words};
use std::fs;

/// Commands of all runs together, unless the environment says otherwise.
const COMMANDS: usize = 20_000;
const RUNS: usize = 2;
const BATCH_MAX: usize = 12;

const NAMES: &[&str] = &["u0", "u1", "u2", "u3", "u4", "\u{fc}ser"];
const PASSWORDS: &[&str] = &["one", "one", "two", "", "three"];
const ODD_NAMES: &[&[u8]] = &[b"", b"a b", b"nobody", b"a\0b", b"U0", b"default", b"DEFAULT"];

/// In both servers' folders.
const FILE: &str = "users.acl";

/// Redis ends groups of similar entries of ACL LOG by time: so the log is emptied before that.
const LOG_RESETS_PERCENT: usize = 4;

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_users_in_resp2() {
    run(2);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_users_in_resp3() {
    run(3);
}

fn start(program: Program) -> Server {
    // The file must be there before the server, whose folder does not exist yet.
    let line = format!("touch {FILE}");
    Server::start_after(program, &line, &[ARGS, &["--aclfile", FILE]].concat())
}

fn run(protocol: u8) {
    let plan = Plan {
        seed: number("LIMPID_DIFF_SEED").unwrap_or(1),
        commands: number("LIMPID_DIFF_COMMANDS").map_or(COMMANDS, |count| count as usize) / RUNS,
        protocol,
        batch_max: BATCH_MAX,
        subject: subject(),
        subject_args: Vec::new(),
        collects: std::env::var_os("LIMPID_DIFF_COLLECT").is_some(),
    };
    let (reference, subject) = (start(Program::Redis), start(plan.subject));
    let mut session = Session::of(plan, reference, subject);
    session.expect_users();
    let names = common_commands(&session);
    let outcome = session.run_with(|session| round(session, &names));
    if std::env::var_os("LIMPID_DIFF_TALLY").is_some() {
        eprintln!("{}", session.tally.table());
    }
    if let Err(report) = outcome {
        panic!("the servers differ:\n{report}");
    }
    assert!(session.tally.denied > session.sent() / 25, "{} denied", session.tally.denied);
}

fn common_commands(session: &Session) -> Vec<Vec<u8>> {
    let servers = [&session.reference, &session.subject];
    let [redis, limpid] = servers.map(|server| acl::names(&mut server.connect()));
    let common: Vec<Vec<u8>> = redis.intersection(&limpid).cloned().collect();
    assert!(common.len() > 300, "{} commands in common", common.len());
    common
}

/// Some steps: of the administrator, or of a user.
fn round(session: &mut Session, names: &[Vec<u8>]) -> Outcome {
    match session.world.random.below(100) {
        0..12 => change_user(session, names)?,
        12..30 => administer(session, names)?,
        30..45 => authenticate(session)?,
        45..55 => subscriber(session)?,
        55..63 => transaction(session, names)?,
        63 => change_default(session, names)?,
        _ => commands(session, names)?,
    }
    session.drain()?;
    session.compare_digests_at_times()
}

/// One of the connections of users.
fn anyone(w: &mut World) -> Who {
    *w.random.pick(&[Who::A, Who::A, Who::B, Who::Subscriber])
}

fn name(w: &mut World) -> Vec<u8> {
    match w.random.percent(94) {
        true => w.random.pick(NAMES).as_bytes().to_vec(),
        false => w.random.pick(ODD_NAMES).to_vec(),
    }
}

fn password(w: &mut World) -> &'static str {
    PASSWORDS[w.random.below(PASSWORDS.len())]
}

fn set_user(w: &mut World, names: &[Vec<u8>]) -> Words {
    // The rules of the default user change elsewhere: it administers.
    let name = loop {
        let name = name(w);
        if name != b"default" {
            break name;
        }
    };
    [words!["ACL", "SETUSER", name], rules(w, names)].concat()
}

fn change_user(session: &mut Session, names: &[Vec<u8>]) -> Outcome {
    let words = set_user(&mut session.world, names);
    session.command(Who::Control, words)?;
    let words = words!["ACL", "GETUSER", name(&mut session.world)];
    session.command(Who::Control, words)?;
    Ok(())
}

/// The default user loses a right, and gets it back.
fn change_default(session: &mut Session, names: &[Vec<u8>]) -> Outcome {
    let lost = [b"-", session.world.random.pick(names).as_slice()].concat();
    if lost.starts_with(b"-acl") || lost.starts_with(b"-psubscribe") {
        return Ok(());
    }
    session.command(Who::Control, words!["ACL", "SETUSER", "default", lost, "(+get ~k*)"])?;
    let words = words!["ACL", "GETUSER", "default"];
    session.command(Who::Control, words)?;
    commands(session, names)?;
    let again = words!["ACL", "SETUSER", "default", "+@all", "clearselectors"];
    session.command(Who::Control, again)?;
    Ok(())
}

/// A subcommand of ACL, or a setting of it.
fn acl_command(w: &mut World, names: &[Vec<u8>]) -> Words {
    match w.random.below(40) {
        0..4 => words!["ACL", "GETUSER", name(w)],
        4..7 => words!["ACL", "LIST"],
        7 => words!["ACL", "USERS"],
        8..12 => words!["ACL", "WHOAMI"],
        12..15 => words!["ACL", "LOG", w.integer()],
        15 | 16 => words!["ACL", "LOG"],
        17 => words!["ACL", "LOG", w.anything()],
        18 => words!["ACL", "CAT"],
        19 => words!["ACL", "CAT", *w.random.pick(&["read", "admin", "ALL", "nosuch", "pubsub"])],
        20 => words!["ACL", "GENPASS", w.number()],
        21 => words!["ACL", "HELP"],
        22..34 => dry_run(w, names),
        34 | 35 => words!["ACL", "DELUSER", name(w), *w.random.pick(NAMES)],
        36 | 37 => words!["ACL", "SAVE"],
        38 => words!["ACL", "LOG", "RESET"],
        _ => words!["ACL", w.anything(), w.anything()],
    }
}

fn dry_run(w: &mut World, names: &[Vec<u8>]) -> Words {
    let mut words = words!["ACL", "DRYRUN", name(w)];
    match w.random.below(4) {
        0 => {
            let name = w.random.pick(names).clone();
            words.extend(name.split(|&byte| byte == b'|').map(<[u8]>::to_vec));
            for _ in 0..w.random.below(5) {
                words.push(w.anything());
            }
        }
        _ => words.extend(plain_command(w)),
    }
    words
}

fn administer(session: &mut Session, names: &[Vec<u8>]) -> Outcome {
    let w = &mut session.world;
    let words = match w.random.below(100) {
        0..6 => words!["ACL", "LOAD"],
        6..8 => {
            let channels = *w.random.pick(&["allchannels", "resetchannels"]);
            words!["CONFIG", "SET", "acl-pubsub-default", channels]
        }
        8 => words!["CONFIG", "SET", "acllog-max-len", *w.random.pick(&["0", "3", "128"])],
        _ => acl_command(w, names),
    };
    let saves = words.len() == 2 && words[1] == b"SAVE";
    if is_fit(&words) {
        session.command(Who::Control, words)?;
    }
    if saves {
        let servers = [&session.reference, &session.subject];
        let [redis, limpid] = servers.map(|server| {
            let text = fs::read(server.dir().join(FILE)).unwrap();
            let lines = text.split(|&byte| byte == b'\n').map(sorted_categories);
            lines.collect::<Vec<_>>().join(&b'\n').escape_ascii().to_string()
        });
        assert_eq!(redis, limpid);
    }
    if session.world.random.percent(LOG_RESETS_PERCENT) {
        session.command(Who::Control, words!["ACL", "LOG", "100"])?;
        session.command(Who::Control, words!["ACL", "LOG", "RESET"])?;
    }
    Ok(())
}

fn authenticate(session: &mut Session) -> Outcome {
    let protocol = session.plan.protocol.to_string();
    let w = &mut session.world;
    let (who, name, password) = (anyone(w), name(w), password(w));
    let units = match w.random.below(10) {
        0 => vec![words!["RESET"], words!["HELLO", &protocol[..]]],
        1 => vec![words!["HELLO", &protocol[..], "AUTH", name, password]],
        2 => vec![words!["AUTH", password]],
        _ => vec![words!["AUTH", name, password]],
    };
    session.step(who, &units.into_iter().map(Unit::any).collect::<Vec<_>>())?;
    Ok(())
}

/// Subscriptions within a user's channels and beyond, and messages.
fn subscriber(session: &mut Session) -> Outcome {
    let w = &mut session.world;
    let words = match w.random.below(8) {
        0 | 1 => [words!["SUBSCRIBE"], w.channels(2)].concat(),
        2 => words!["PSUBSCRIBE", w.channel_pattern()],
        3 => [words!["SSUBSCRIBE"], w.channels(2)].concat(),
        4 => words![*w.random.pick(&["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"])],
        5 => words!["UNSUBSCRIBE", w.channel()],
        6 => words!["PUNSUBSCRIBE", w.channel_pattern()],
        _ => words!["SUNSUBSCRIBE", w.channel()],
    };
    session.step(Who::Subscriber, &[Unit::any(words)])?;
    for _ in 0..session.world.random.below(3) {
        let w = &mut session.world;
        let name = *w.random.pick(&["PUBLISH", "SPUBLISH"]);
        let words = words![name, w.channel(), w.value()];
        let who = *w.random.pick(&[Who::A, Who::B]);
        session.step(who, &[Unit::one(words)])?;
    }
    Ok(())
}

/// A command that users send: mostly of the data's families.
fn command(w: &mut World, names: &[Vec<u8>]) -> Words {
    loop {
        let words = match w.random.below(100) {
            0..6 => acl_command(w, names),
            6 => set_user(w, names),
            7..15 => script(w),
            15 => words!["SORT", w.key(), "BY", w.pattern(), "GET", "#", "STORE", "k0"],
            16 => words!["CLIENT", "LIST"],
            17 => words!["CLIENT", "INFO"],
            _ => plain_command(w),
        };
        if is_fit(&words) {
            return words;
        }
    }
}

/// A script that calls a command, or asks whether it may.
fn script(w: &mut World) -> Words {
    let body = *w.random.pick(&[
        "return redis.call(unpack(ARGV))",
        "return redis.pcall(unpack(ARGV))",
        "return redis.acl_check_cmd(unpack(ARGV))",
        "redis.setresp(3) return redis.pcall(unpack(ARGV))",
    ]);
    let called = loop {
        let called = sound_command(w);
        // What a script calls must have known keys, for both servers to order its errors alike.
        if called.len() < 6 && !is_random(&called) && has_clear_keys(&called) {
            break called;
        }
    };
    [words![*w.random.pick(&["EVAL", "EVAL", "EVAL_RO"]), body, "0"], called].concat()
}

/// Scripts give what is sorted by no promise in the order that it has.
fn is_random(words: &Words) -> bool {
    let name = words[0].to_ascii_lowercase();
    let about_time = [
        &b"ttl"[..],
        b"pttl",
        b"expiretime",
        b"pexpiretime",
        b"dump",
        b"object",
        b"debug",
        b"xinfo",
        b"xpending",
    ];
    let unordered = [&b"keys"[..], b"scan", b"info", b"time", b"client", b"lastsave", b"memory"];
    about_time.contains(&&name[..])
        || unordered.contains(&&name[..])
        || [&b"s"[..], b"h"].iter().any(|family| name.starts_with(family))
        || name.ends_with(b"scan")
        || name.ends_with(b"store")
        || name == b"randomkey"
        || name == b"zrandmember"
        || name == b"slowlog"
}

/// Whether this test can send a command: it must not look like its mark, nor silence or end what it
/// needs.
fn is_fit(words: &Words) -> bool {
    let is = |index: usize, word: &str| {
        words.get(index).is_some_and(|own| own.eq_ignore_ascii_case(word.as_bytes()))
    };
    let is_mark = |index: usize| is(index, "auth") && words.len() == index + 1;
    let is_reply = |index: usize| is(index, "client") && is(index + 1, "reply");
    let subscribes = words[0].to_ascii_lowercase().ends_with(b"subscribe");
    // In Redis a list of SORT STORE does not follow the settings of nodes, which DUMP and DEBUG OBJECT
    // show. And who else is connected at a moment is not for CLIENT LIST to compare.
    let is_unsteady = is(0, "sort") || is(0, "client") && is(1, "list");
    let is_needed = is_mark(0) || is_mark(3) || is_reply(0) || subscribes || is_unsteady;
    !is_needed && !is(0, "multi") && !is(0, "exec") && has_clear_keys(words)
}

/// Whether both servers look for the keys in the same places. Where they do not, they differ in what
/// ACL LOG has later on; ACL DRYRUN logs nothing, and is compared: see the exceptions.
fn has_clear_keys(words: &Words) -> bool {
    let name = words[0].to_ascii_lowercase();
    let rest = &words[1..];
    match &name[..] {
        b"pfmerge" => words.len() != 2,
        b"zunionstore" | b"zinterstore" | b"zdiffstore" => {
            let count = rest.get(1).and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
            count.is_some_and(|count: usize| count > 0 && count <= rest.len().saturating_sub(2))
        }
        b"xread" | b"xreadgroup" => {
            // Redis looks for the word STREAMS, wherever it is; limpid reads the options before it.
            let is = |at: usize, name: &str| {
                rest.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
            };
            let mut at = 0;
            while !is(at, "STREAMS") {
                at += match () {
                    () if is(at, "BLOCK") || is(at, "COUNT") => 2,
                    () if is(at, "GROUP") => 3,
                    () if is(at, "NOACK") => 1,
                    () => return false,
                };
            }
            let others = (0..rest.len()).filter(|&other| is(other, "STREAMS")).count();
            let keys = rest.len() - at - 1;
            others == 1 && keys > 0 && keys.is_multiple_of(2)
        }
        _ => true,
    }
}

fn commands(session: &mut Session, names: &[Vec<u8>]) -> Outcome {
    let w = &mut session.world;
    let who = if w.random.percent(60) { Who::A } else { Who::B };
    let count = w.random.between(1, BATCH_MAX);
    let units: Vec<Unit> = (0..count).map(|_| Unit::one(command(w, names))).collect();
    session.step(who, &units)?;
    Ok(())
}

/// A transaction, amid which the rules may change.
fn transaction(session: &mut Session, names: &[Vec<u8>]) -> Outcome {
    let who = if session.world.random.percent(60) { Who::A } else { Who::B };
    session.command_alone(who, words!["MULTI"])?;
    for _ in 0..session.world.random.between(1, 5) {
        let words = loop {
            let words = command(&mut session.world, names);
            if !words[0].eq_ignore_ascii_case(b"HELLO") && !words[0].eq_ignore_ascii_case(b"RESET")
            {
                break words;
            }
        };
        session.command_alone(who, words)?;
    }
    if session.world.random.percent(50) {
        change_user(session, names)?;
    }
    session.command_alone(who, words!["EXEC"])?;
    // Where EXEC was not permitted.
    session.command_alone(who, words!["RESET"])?;
    let protocol = session.plan.protocol.to_string();
    session.command_alone(who, words!["HELLO", &protocol[..]])
}
