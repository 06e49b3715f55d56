//! Connections: HELLO, SELECT, CLIENT and the like.

use super::{Command, Exact, Generator, Steps, Together, plain_command, row};
use crate::compare::Kind;
use crate::pair::{Replies, Unit};
use crate::report::Who;
use crate::session::{Outcome, Session};
use crate::support::connection::{Connection, Words};
use crate::support::reply::{ReadError, Reply};
use crate::words;
use crate::world::World;

pub(super) const GENERATORS: &[Generator] = &[
    row(8, Command(|_| words!["PING"])),
    row(6, Command(|w| words!["PING", w.value()])),
    row(8, Command(|w| words!["ECHO", w.value()])),
    row(20, Command(|w| words!["SELECT", w.database()])),
    row(8, Exact(hello)),
    row(4, Exact(odd_hello)),
    row(6, Exact(auth)),
    row(4, Together(reset)),
    row(3, Command(|_| words!["CLIENT", "ID"])),
    row(3, Command(|_| words!["CLIENT", "INFO"])),
    row(4, Exact(client_list)),
    row(6, Exact(set_name)),
    row(4, Command(|_| words!["CLIENT", "GETNAME"])),
    row(6, Exact(kill_nobody)),
    row(2, Exact(pause)),
    row(2, Exact(|_| words!["CLIENT", "UNPAUSE"])),
    row(3, Exact(no_evict)),
    row(4, Exact(unblock_nobody)),
    row(2, Exact(odd_client)),
    row(6, Together(without_replies)),
    row(1, Steps(kills_another)),
];

fn hello(w: &mut World) -> Words {
    let other = if w.protocol == 3 { "2" } else { "3" };
    let own = w.protocol.to_string();
    match w.random.below(10) {
        0 => words!["HELLO"],
        1 => words!["HELLO", other],
        2 => words!["HELLO", &own[..], "SETNAME", "me"],
        3 => words!["HELLO", &own[..], "AUTH", "default", "any"],
        4 => words!["hello", &own[..], "auth", "default", "", "setname", "you"],
        _ => words!["HELLO", &own[..]],
    }
}

fn odd_hello(w: &mut World) -> Words {
    let version = w.number();
    match w.random.below(10) {
        0 => words!["HELLO", version],
        1 => words!["HELLO", "1"],
        2 => words!["HELLO", "4"],
        3 => words!["HELLO", "3", "AUTH", "nobody", "secret"],
        4 => words!["HELLO", "3", "AUTH", "default"],
        5 => words!["HELLO", "2", "SETNAME"],
        6 => words!["HELLO", "2", "SETNAME", "with space"],
        7 => words!["HELLO", "3", "SETNAME", "\u{e4}"],
        8 => words!["HELLO", "SETNAME", "x"],
        _ => words!["HELLO", "2", "OTHER", w.anything()],
    }
}

fn auth(w: &mut World) -> Words {
    match w.random.below(7) {
        0 => words!["AUTH"],
        1 => words!["AUTH", w.value()],
        2 => words!["AUTH", "default", w.value()],
        3 => words!["AUTH", "nobody", w.value()],
        4 => words!["AUTH", "", ""],
        5 => words!["AUTH", "a", "b", "c"],
        _ => words!["AUTH", "DEFAULT", "x"],
    }
}

/// RESET returns to RESP2 and database 0.
fn reset(w: &mut World) -> Unit {
    let protocol = w.protocol.to_string();
    Unit::one_each(vec![words!["RESET"], words!["HELLO", &protocol[..]]])
}

fn client_list(w: &mut World) -> Words {
    match w.random.below(12) {
        0..3 => words!["CLIENT", "LIST"],
        3 => words!["CLIENT", "LIST", "TYPE", "normal"],
        4 => words!["CLIENT", "LIST", "type", "PUBSUB"],
        5 => words!["CLIENT", "LIST", "TYPE", "master"],
        6 => words!["CLIENT", "LIST", "TYPE", "replica"],
        7 => words!["CLIENT", "LIST", "TYPE", w.anything()],
        8 => words!["CLIENT", "LIST", "ID", "99999999", "88888888"],
        9 => words!["CLIENT", "LIST", "ID", w.odd_number()],
        10 => words!["CLIENT", "LIST", "ID"],
        _ => words!["CLIENT", "LIST", w.anything(), w.anything()],
    }
}

fn set_name(w: &mut World) -> Words {
    let names: &[&[u8]] =
        &[b"", b"worker-1", b"a b", b"a\n", b"\xff", b"a\0", b"!~", b"\x7f", b"\xc3\xa4"];
    match w.random.below(10) {
        0 => words!["CLIENT", "SETNAME"],
        1 => words!["CLIENT", "SETNAME", "a", "b"],
        _ => words!["CLIENT", "SETNAME", *w.random.pick(names)],
    }
}

/// Filters that match no client of the session, and invalid ones.
fn kill_nobody(w: &mut World) -> Words {
    let filters: &[&[&str]] = &[
        &["ID", "99999999"],
        &["ID", "0"],
        &["ID", "-1"],
        &["ID", "abc"],
        &["ID", "1.5"],
        &["ID", ""],
        &["ADDR", "1.2.3.4:5"],
        &["ADDR", ""],
        &["LADDR", "1.2.3.4:5"],
        &["TYPE", "replica"],
        &["TYPE", "slave"],
        &["TYPE", "MASTER"],
        &["TYPE", "nothing"],
        &["USER", "nobody"],
        &["SKIPME", "maybe"],
        &["ID", "99999999", "SKIPME", "no"],
        &["TYPE", "normal", "ID", "99999999"],
        &["USER", "default", "ADDR", "1.2.3.4:5", "SKIPME", "YES"],
        &["LADDR", "1.2.3.4:5", "ADDR", "1.2.3.4:5"],
        &["1.2.3.4:5"],
        &["nonsense"],
        &[""],
        &[],
        &["ID"],
        &["OTHER", "1"],
        &["ID", "99999999", "SKIPME"],
    ];
    let mut words = words!["CLIENT", "KILL"];
    words.extend(w.random.pick(filters).iter().map(|word| word.as_bytes().to_vec()));
    words
}

/// Short pauses only: no command is answered meanwhile.
fn pause(w: &mut World) -> Words {
    let rest: &[&[&str]] = &[
        &["0"],
        &["1"],
        &["5", "ALL"],
        &["5", "write"],
        &["0", "WRITE"],
        &["-1"],
        &["abc"],
        &["1.5"],
        &["0", "NONE"],
        &["0", "ALL", "more"],
        &[],
        &["+1"],
        &["9223372036854775808"],
    ];
    let mut words = words!["CLIENT", "PAUSE"];
    words.extend(w.random.pick(rest).iter().map(|word| word.as_bytes().to_vec()));
    words
}

fn no_evict(w: &mut World) -> Words {
    match w.random.below(5) {
        0 => words!["CLIENT", "NO-EVICT", w.anything()],
        1 => words!["CLIENT", "no-evict"],
        2 => words!["CLIENT", "No-Evict", "ON"],
        _ => words!["CLIENT", "NO-EVICT", "off"],
    }
}

fn unblock_nobody(w: &mut World) -> Words {
    match w.random.below(6) {
        0 => words!["CLIENT", "UNBLOCK", "99999999", "TIMEOUT"],
        1 => words!["CLIENT", "UNBLOCK", "99999999", "ERROR"],
        2 => words!["CLIENT", "UNBLOCK", "99999999", w.anything()],
        3 => words!["CLIENT", "UNBLOCK", w.odd_number()],
        4 => words!["CLIENT", "UNBLOCK"],
        _ => words!["CLIENT", "UNBLOCK", "99999999"],
    }
}

fn odd_client(w: &mut World) -> Words {
    match w.random.below(6) {
        0 => words!["CLIENT"],
        1 => words!["CLIENT", "HELP"],
        2 => words!["CLIENT", "HELP", "x"],
        3 => words!["CLIENT", "REPLY", "maybe"],
        4 => words!["CLIENT", "REPLY"],
        _ => words!["CLIENT", w.anything()],
    }
}

/// CLIENT REPLY in all modes: only the last command is answered.
fn without_replies(w: &mut World) -> Unit {
    let mut commands = Vec::new();
    if w.random.percent(60) {
        commands.push(words!["CLIENT", "REPLY", "OFF"]);
        for _ in 0..w.random.below(4) {
            commands.push(plain_command(w));
        }
        if w.random.percent(20) {
            commands.extend([words!["CLIENT", "REPLY", "SKIP"], plain_command(w)]);
        }
        commands.push(words!["CLIENT", "REPLY", "ON"]);
    } else {
        let count = w.random.between(1, 2);
        for _ in 0..count {
            commands.extend([words!["CLIENT", "REPLY", "SKIP"], plain_command(w)]);
        }
        commands.push(plain_command(w));
    }
    Unit { commands, replies: Replies::OfLast }
}

/// Kills a client by its id, which differs between the servers.
fn kills_another(session: &mut Session) -> Outcome {
    let mut victims = [session.reference.connect(), session.subject.connect()];
    let mut ids = victims.iter_mut().map(|victim| victim.call(&[b"CLIENT", b"ID"]));
    let mut id = || match ids.next() {
        Some(Ok(Reply::Integer(id))) => id.to_string().into_bytes(),
        _ => b"none".to_vec(),
    };
    let (left_id, right_id) = (id(), id());
    let kill = |id: Vec<u8>| {
        move |connection: &mut Connection| connection.call(&[b"CLIENT", b"KILL", b"ID", &id])
    };
    let words = words!["CLIENT", "KILL", "ID", "<of another>"];
    session.compare_sides(Who::A, words.clone(), kill(left_id), kill(right_id))?;
    for mut victim in victims {
        if victim.read_reply() != Err(ReadError::Closed) {
            let open = Reply::Simple(b"open".to_vec());
            let closed = Reply::Simple(b"closed".to_vec());
            let name = "client kill: the connection".to_owned();
            return Err(session.mismatch(name, Kind::Value, Who::A, &words, &closed, &open));
        }
    }
    Ok(())
}
