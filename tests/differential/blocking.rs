//! Blocking commands: scripts of several clients, step by step on both servers. After each step the
//! same clients must be waiting, the others must have the same replies, and the same events must
//! have been published; after each script the replication streams must be equal.

use crate::blocking_random::random_script;
use crate::blocking_scripts::SCRIPTS;
use crate::families::{self, ToWord};
use crate::random::Random;
use crate::session::ARGS;
use crate::streams::{MARK, MASTER_ARGS, Replica, compare};
use crate::support::connection::{Connection, Words, encode};
use crate::support::now;
use crate::support::reply::{ReadError, Reply};
use crate::support::server::{Program, Server};
use crate::{number, subject, words};
use std::collections::BTreeMap;
use std::env;
use std::thread;
use std::time::Duration;

/// Maximum time of a step; that of a wait for timeouts included.
const PATIENCE: Duration = Duration::from_secs(5);
/// Maximum time in which the subject does what the reference has done.
const DELAY: Duration = Duration::from_secs(2);
/// Scripts that may differ before the others are left out.
const DIFFERENCES_MAX: usize = 8;
/// How long a look for a reply takes.
const GLANCE: Duration = Duration::from_millis(1);
const RANDOM_SCRIPTS: u64 = 60;

/// One client of a script.
struct Client {
    connection: Connection,
    /// As the server numbers it.
    id: i64,
    /// Replies that are still to come.
    owed: usize,
}

/// What a step brought: each client's replies, and those that wait.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Seen {
    replies: BTreeMap<char, Vec<String>>,
    waiting: Vec<char>,
}

/// One server and its clients.
struct Side {
    server: Server,
    control: Connection,
    observer: Connection,
    replica: Replica,
    clients: BTreeMap<char, Client>,
    /// The last reply of DUMP.
    dump: Vec<u8>,
}

impl Side {
    fn start(program: Program) -> Self {
        let server = Server::start(program, &[ARGS, MASTER_ARGS].concat());
        let replica = Replica::attach(&server);
        let (control, mut observer) = (server.connect(), server.connect());
        observer.call(&[b"PSUBSCRIBE", b"__key*__:*"]).unwrap();
        Self { server, control, observer, replica, clients: BTreeMap::new(), dump: Vec::new() }
    }

    /// Sends a client's commands, which `;` separates. `@a` is the id of client a, `%dump` the
    /// payload of the last DUMP.
    fn send(&mut self, name: char, commands: &str) {
        if !self.clients.contains_key(&name) {
            let mut connection = self.server.connect();
            let id = match connection.call(&[b"CLIENT", b"ID"]) {
                Ok(Reply::Integer(id)) => id,
                other => panic!("CLIENT ID is answered by {other:?}"),
            };
            connection.set_timeout(GLANCE).unwrap();
            self.clients.insert(name, Client { connection, id, owed: 0 });
        }
        let word = |word: &str| match word.strip_prefix('@').and_then(|name| name.chars().next()) {
            Some(name) => self.clients.get(&name).map_or(0, |client| client.id).to_word(),
            None if word == "%dump" => self.dump.clone(),
            None if word == "\"\"" => Vec::new(),
            None => word.to_word(),
        };
        let commands: Vec<Words> =
            commands.split(" ; ").map(|words| words.split(' ').map(word).collect()).collect();
        let bytes: Vec<u8> = commands.iter().flat_map(|words| encode(words)).collect();
        let client = self.clients.get_mut(&name).unwrap();
        client.owed += commands.len();
        // A closed connection shows in the read.
        drop(client.connection.send_raw(&bytes));
    }

    /// Whether the server counts a client as one that waits.
    fn is_waiting(&mut self, id: i64) -> bool {
        let id = id.to_string();
        let line = self.control.call(&[b"CLIENT", b"LIST", b"ID", id.as_bytes()]).unwrap();
        let line = String::from_utf8_lossy(line.text().unwrap()).into_owned();
        let mut flags = line.split(' ').filter_map(|field| field.strip_prefix("flags="));
        flags.next().is_some_and(|flags| flags.contains('b'))
    }

    /// Reads until every client that is owed a reply waits for good; with `until`, until that has
    /// been seen.
    fn settle(&mut self, until: Option<&Seen>, waits_for_all: bool) -> Seen {
        let start = now();
        let patience = if until.is_some() { DELAY } else { PATIENCE };
        let mut seen = Seen::default();
        let mut calm = 0;
        // Twice: what a client does may be what another waits for.
        while calm < 2 && start.elapsed() < patience {
            for _ in 0..2 {
                self.control.call(&[b"PING"]).unwrap();
            }
            let waiting = self.look(&mut seen);
            let is_calm = match until {
                Some(until) => {
                    seen.replies == until.replies && waiting == Some(until.waiting.clone())
                }
                None => waiting.as_ref().is_some_and(|names| !waits_for_all || names.is_empty()),
            };
            calm = if is_calm { calm + 1 } else { 0 };
            seen.waiting = waiting.unwrap_or_default();
        }
        seen
    }

    /// Takes the replies that have come; the clients that wait, or `None` if some do neither.
    fn look(&mut self, seen: &mut Seen) -> Option<Vec<char>> {
        let names: Vec<char> = self.clients.keys().copied().collect();
        let mut waiting = Vec::new();
        let mut is_certain = true;
        for name in names {
            let (id, owed) = (self.clients[&name].id, self.clients[&name].owed);
            if owed == 0 {
                continue;
            }
            if self.is_waiting(id) {
                waiting.push(name);
                continue;
            }
            is_certain = false;
            let client = self.clients.get_mut(&name).unwrap();
            let reply = client.connection.read_reply();
            let line = match &reply {
                Err(ReadError::TimedOut) => continue,
                Ok(reply) => {
                    client.owed -= 1;
                    shown(reply)
                }
                Err(error) => {
                    client.owed = 0;
                    format!("{error:?}")
                }
            };
            if let Ok(Reply::Bulk(text)) = reply {
                self.dump = text;
            }
            seen.replies.entry(name).or_default().push(line);
        }
        is_certain.then_some(waiting)
    }

    /// The events published since the last call.
    fn events(&mut self) -> Vec<String> {
        self.observer.send(&[b"PING", b"so far"]).unwrap();
        let mut events = Vec::new();
        loop {
            match self.observer.read_reply().unwrap() {
                Reply::Array(items) if items.len() == 2 => return events,
                event => events.push(event.to_string()),
            }
        }
    }

    /// Ends all clients and removes all data.
    fn clear(&mut self) {
        for client in std::mem::take(&mut self.clients).into_values() {
            drop(client);
        }
        for words in [&["CLIENT", "UNPAUSE"][..], &["FLUSHALL"], &["SELECT", "0"]] {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            self.control.call(&words).unwrap();
        }
        let start = now();
        let info = |side: &mut Self| {
            let info = side.control.call(&[b"INFO", b"clients"]).unwrap();
            String::from_utf8_lossy(info.text().unwrap()).into_owned()
        };
        while !info(self).contains("blocked_clients:0\r") {
            assert!(start.elapsed() < PATIENCE, "a client that has gone still waits");
        }
        self.events();
    }
}

/// A reply as the transcript has it: a greeting without the client's id.
fn shown(reply: &Reply) -> String {
    match reply.items() {
        Some(items) if items.first().and_then(Reply::text) == Some(b"server") => {
            "a greeting".to_owned()
        }
        _ => reply.to_string(),
    }
}

/// Whether the families of this run have all commands of a step.
fn has_commands(step: &str) -> bool {
    let Some((_, commands)) = step.split_once(' ') else { return true };
    commands.split(" ; ").all(|command| {
        let mut words = command.split(' ');
        let name = words.next().unwrap_or_default();
        families::has_command(name)
    })
}

/// Runs a script on both; the difference, if there is one.
fn run(sides: &mut [Side; 2], mark: i64, name: &str, steps: &[String]) -> Result<(), String> {
    let mut transcript = String::new();
    for step in steps {
        let waits_for_all = step == "wait";
        match step.split_once(' ') {
            Some(("sleep", ms)) => thread::sleep(Duration::from_millis(ms.parse().unwrap())),
            Some((name, commands)) => {
                let is_optional = name.ends_with('?');
                let name = name.chars().next().unwrap();
                let is_busy = sides[0].clients.get(&name).is_some_and(|client| client.owed > 0);
                if is_optional && is_busy {
                    continue;
                }
                sides.iter_mut().for_each(|side| side.send(name, commands));
            }
            None => assert!(waits_for_all, "no step: {step}"),
        }
        let [left, right] = sides;
        let expected = left.settle(None, waits_for_all);
        let seen = right.settle(Some(&expected), waits_for_all);
        let (left_events, right_events) = (left.events(), right.events());
        transcript.push_str(&format!("    {step}\n        {expected:?}\n"));
        if expected != seen {
            return Err(format!("{name}:\n{transcript}  limpid: {seen:?}\n"));
        }
        if left_events != right_events {
            let events = format!("  redis : {left_events:?}\n  limpid: {right_events:?}\n");
            return Err(format!("{name}: events\n{transcript}{events}"));
        }
    }
    compare_streams(sides, mark).map_err(|error| format!("{name}: streams\n{transcript}{error}"))
}

fn compare_streams(sides: &mut [Side; 2], mark: i64) -> Result<(), String> {
    let streams = sides.each_mut().map(|side| {
        let words = words!["PUBLISH", MARK, mark];
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        side.server.call(&[b"CLIENT", b"UNPAUSE"]).unwrap();
        side.server.call(&words).unwrap();
        side.replica.read_until(&side.server, mark)
    });
    match streams {
        [Some(left), Some(right)] => compare(&left, &right).map(|_| ()),
        // CLIENT KILL cut a link.
        _ => Ok(()),
    }
}

fn run_all(scripts: impl Iterator<Item = (String, Vec<String>)>) {
    let mut sides = [Side::start(Program::Redis), Side::start(subject())];
    let wanted = env::var("LIMPID_DIFF_SCRIPT").unwrap_or_default();
    let mut differences = Vec::new();
    for (mark, (name, steps)) in scripts.enumerate() {
        let is_wanted = name.contains(&wanted) && steps.iter().all(|step| has_commands(step));
        if !is_wanted || differences.len() == DIFFERENCES_MAX {
            continue;
        }
        differences.extend(run(&mut sides, mark as i64, &name, &steps).err());
        sides.iter_mut().for_each(Side::clear);
    }
    assert!(
        differences.is_empty(),
        "{} scripts differ, or more:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn scripts_of_waiting_clients_go_alike() {
    let steps = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect();
    run_all(SCRIPTS.iter().map(|(name, script)| ((*name).to_owned(), steps(script))));
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn random_scripts_of_waiting_clients_go_alike() {
    let seed = number("LIMPID_DIFF_SEED").unwrap_or(1);
    run_all((0..RANDOM_SCRIPTS).map(|index| {
        let mut random = Random::new(seed.wrapping_mul(1_000).wrapping_add(index));
        (format!("seed {seed}, script {index}"), random_script(&mut random))
    }));
}
