//! The bytes on a link: a test plays the replica of a limpid, and the master of one.

use crate::nodes::{args, ask, count, info, limpid, limpid_with, ok, start, until, words};
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::Program::{self, Limpid, Redis};
use crate::support::server::Server;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// SELECT 0 as in the stream: 23 bytes.
const SELECT_0: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
/// SET a 1: 27 bytes.
const SET_A_1: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";
/// An RDB without keys; no checksum.
pub(crate) const EMPTY_RDB: &[u8] = b"REDIS0010\xff\0\0\0\0\0\0\0\0";
const ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// The history and offset of a +FULLRESYNC.
fn full_resync(client: &mut Connection) -> (String, u64) {
    let line = next_line(client);
    let rest = line.strip_prefix("+FULLRESYNC ").and_then(|rest| rest.strip_suffix("\r\n"));
    let (id, offset) = rest.unwrap_or_else(|| panic!("{line}")).split_once(' ').unwrap();
    assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
    (id.to_owned(), offset.parse().unwrap())
}

/// The next line that is not an empty keepalive line.
fn next_line(client: &mut Connection) -> String {
    loop {
        let line = client.read_line().unwrap();
        if line != b"\n" {
            return String::from_utf8(line).unwrap();
        }
    }
}

/// An RDB with a length header.
fn sized_rdb(client: &mut Connection) -> Vec<u8> {
    let line = next_line(client);
    let len = line.strip_prefix('$').and_then(|rest| rest.strip_suffix("\r\n"));
    client.read_bytes(len.unwrap().parse().unwrap()).unwrap()
}

/// An RDB between two EOF marks.
fn marked_rdb(client: &mut Connection) -> Vec<u8> {
    let line = next_line(client);
    let mark = line.strip_prefix("$EOF:").and_then(|rest| rest.strip_suffix("\r\n")).unwrap();
    assert_eq!(mark.len(), 40);
    let mut bytes = Vec::new();
    while !bytes.ends_with(mark.as_bytes()) {
        bytes.extend(client.read_bytes(1).unwrap());
    }
    bytes.truncate(bytes.len() - 40);
    bytes
}

fn announce(client: &mut Connection, what: &str) {
    assert_eq!(crate::nodes::say(client, &format!("REPLCONF {what}")), "simple \"OK\"");
}

/// Asserts that the bytes are a valid RDB: limpid loads it.
fn assert_loads(rdb: &[u8], keys: i64) {
    let folder = tempfile::TempDir::new().unwrap();
    fs::write(folder.path().join("dump.rdb"), rdb).unwrap();
    let dir = folder.path().to_str().unwrap().to_owned();
    let server = limpid_with(&["--dir", &dir]);
    assert_eq!(crate::nodes::number(&server, "DBSIZE"), keys);
}

/// Reads and compares bytes of the stream.
fn expect(client: &mut Connection, bytes: &[u8]) {
    let read = client.read_bytes(bytes.len()).unwrap();
    assert_eq!(read.escape_ascii().to_string(), bytes.escape_ascii().to_string());
}

#[test]
fn an_empty_master_sends_its_length_at_once_and_then_the_stream() {
    let master = limpid_with(&["--repl-diskless-sync-delay", "20"]);
    let mut replica = master.connect();
    announce(&mut replica, "listening-port 7");
    announce(&mut replica, "capa psync2");
    replica.send(&words("PSYNC ? -1")).unwrap();
    let (id, offset) = full_resync(&mut replica);
    assert_eq!((id, offset), (info(&master, "master_replid").unwrap(), 0));
    let rdb = sized_rdb(&mut replica);
    assert_loads(&rdb, 0);
    ok(&master, "SET a 1");
    expect(&mut replica, SELECT_0);
    expect(&mut replica, SET_A_1);
    assert_eq!(count(&master, "master_repl_offset"), 23 + 27);
    // The database stays selected.
    ok(&master, "SET a 1");
    expect(&mut replica, SET_A_1);
    assert_eq!(count(&master, "master_repl_offset"), 23 + 27 + 27);
    replica.send(&words("REPLCONF ACK 77")).unwrap();
    until("the master knows", || ask(&master, "ROLE").contains("bulk \"77\""));
}

#[test]
fn with_capa_eof_the_rdb_stands_between_marks_and_the_stream_waits_for_an_acknowledgement() {
    let master = limpid();
    ok(&master, "SET key value");
    let mut replica = master.connect();
    announce(&mut replica, "capa eof capa psync2 capa nosuch");
    replica.send(&words("PSYNC ? -1")).unwrap();
    assert_eq!(full_resync(&mut replica).1, 0);
    let rdb = marked_rdb(&mut replica);
    assert_loads(&rdb, 1);
    ok(&master, "SET a 1");
    assert!(replica.read_for(Duration::from_millis(300)).unwrap().is_empty());
    replica.send(&words("REPLCONF ACK 0")).unwrap();
    expect(&mut replica, SELECT_0);
    expect(&mut replica, SET_A_1);
}

#[test]
fn sync_is_answered_with_the_rdb_alone() {
    let master = limpid();
    ok(&master, "SET key value");
    let mut replica = master.connect();
    replica.send(&words("SYNC")).unwrap();
    assert_loads(&sized_rdb(&mut replica), 1);
    ok(&master, "SET a 1");
    expect(&mut replica, SELECT_0);
    expect(&mut replica, SET_A_1);
}

/// A replica that has read everything up to offset 50.
fn attached(master: &Server) -> (Connection, String) {
    let mut replica = master.connect();
    announce(&mut replica, "capa psync2");
    replica.send(&words("PSYNC ? -1")).unwrap();
    let (id, _) = full_resync(&mut replica);
    sized_rdb(&mut replica);
    ok(master, "SET a 1");
    expect(&mut replica, SELECT_0);
    expect(&mut replica, SET_A_1);
    (replica, id)
}

#[test]
fn a_partial_resync_begins_with_the_missing_byte() {
    let master = limpid();
    let (replica, id) = attached(&master);
    drop(replica);
    ok(&master, "SET a 1");
    let ask_for = |request: &str| {
        let mut replica = master.connect();
        announce(&mut replica, "capa psync2");
        replica.send(&words(request)).unwrap();
        let line = next_line(&mut replica);
        (replica, line)
    };
    // Byte 51 is the first that the replica above lacks.
    let (mut replica, line) = ask_for(&format!("PSYNC {id} 51"));
    assert_eq!(line, format!("+CONTINUE {id}\r\n"));
    expect(&mut replica, SET_A_1);
    ok(&master, "SET a 1");
    expect(&mut replica, SET_A_1);
    // At one past the end nothing is missing; beyond that the bytes do not exist.
    let end = count(&master, "master_repl_offset");
    let (_replica, line) = ask_for(&format!("PSYNC {id} {}", end + 1));
    assert_eq!(line, format!("+CONTINUE {id}\r\n"));
    let (mut replica, line) = ask_for(&format!("PSYNC {id} 1"));
    assert_eq!(line, format!("+CONTINUE {id}\r\n"));
    expect(&mut replica, SELECT_0);
    for beyond in [format!("PSYNC {id} {}", end + 2), format!("PSYNC {ID} 1"), "PSYNC ? 1".into()] {
        let (_replica, line) = ask_for(&beyond);
        assert!(line.starts_with("+FULLRESYNC "), "{beyond}: {line}");
    }
    let (_replica, line) = ask_for(&format!("PSYNC {id} x"));
    assert_eq!(line, "-ERR value is not an integer or out of range\r\n");
    // Without psync2 the master does not send the id.
    let mut old = master.connect();
    old.send(&words(&format!("PSYNC {id} 51"))).unwrap();
    assert_eq!(next_line(&mut old), "+CONTINUE\r\n");
}

#[test]
fn wait_asks_the_replica_and_counts_the_question() {
    let master = limpid();
    let (mut replica, _) = attached(&master);
    let mut client = master.connect();
    client.send_raw(b"SET a 1\r\nWAIT 1 0\r\n").unwrap();
    expect(&mut replica, SET_A_1);
    expect(&mut replica, GETACK);
    assert_eq!(count(&master, "master_repl_offset"), 50 + 27 + 37);
    replica.send(&words("REPLCONF ACK 77")).unwrap();
    assert_eq!(client.read_reply().unwrap().to_string(), "simple \"OK\"");
    assert_eq!(client.read_reply().unwrap().to_string(), "integer 1");
}

/// A master played by the test.
pub(crate) struct Script {
    pub(crate) link: Connection,
}

impl Script {
    /// Accepts a replica's connection and answers it up to PSYNC, which it returns.
    pub(crate) fn meet(listener: &TcpListener, greeting: &[&[u8]]) -> (Self, Vec<String>) {
        let mut script = Self { link: Connection::accept(listener).unwrap() };
        let mut heard = vec![script.hear()];
        assert_eq!(heard[0], "PING");
        script.link.send_raw(b"+PONG\r\n").unwrap();
        for answer in greeting {
            heard.push(script.hear());
            script.link.send_raw(answer).unwrap();
        }
        heard.push(script.hear());
        (script, heard)
    }

    /// The next command, as words.
    fn hear(&mut self) -> String {
        let Ok(Reply::Array(items)) = self.link.read_reply() else { panic!("no command") };
        let words = items.iter().map(|item| String::from_utf8_lossy(item.text().unwrap()));
        words.collect::<Vec<_>>().join(" ")
    }

    /// The next command that is another than this one, which may come at any time.
    fn hear_after(&mut self, periodic: &str) -> String {
        loop {
            let heard = self.hear();
            if heard != periodic {
                return heard;
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.link.send_raw(bytes).unwrap();
    }
}

pub(crate) fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A limpid that has loaded an empty data set from a script, in either form.
fn taken(form: &[u8]) -> (Server, Script) {
    let (listener, port) = listen();
    let replica = limpid();
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {port}"));
    let (mut script, _) = Script::meet(&listener, &[b"+OK\r\n", b"+OK\r\n"]);
    script.send(format!("+FULLRESYNC {ID} 1000\r\n").as_bytes());
    script.send(form);
    (replica, script)
}

fn sized() -> Vec<u8> {
    [format!("${}\r\n", EMPTY_RDB.len()).as_bytes(), EMPTY_RDB].concat()
}

fn marked() -> Vec<u8> {
    [b"$EOF:", ID.as_bytes(), b"\r\n", EMPTY_RDB, ID.as_bytes()].concat()
}

#[test]
fn a_replica_introduces_itself_and_names_its_history() {
    let (listener, port) = listen();
    let replica = limpid();
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {port}"));
    let (_script, heard) = Script::meet(&listener, &[b"+OK\r\n", b"-ERR what?\r\n"]);
    assert_eq!(heard[1], format!("REPLCONF listening-port {}", replica.port()));
    assert!(heard[2].starts_with("REPLCONF capa eof capa psync2"), "{}", heard[2]);
    let id = info(&replica, "master_replid").unwrap();
    assert_eq!(heard[3], format!("PSYNC {id} 1"));
}

#[test]
fn a_replica_sends_its_password_and_its_announced_address() {
    let (listener, port) = listen();
    let more = ["--masteruser", "someone", "--masterauth", "secret"];
    let announced = ["--replica-announce-ip", "host.example", "--replica-announce-port", "4321"];
    let replica = limpid_with(&[more, announced].concat());
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {port}"));
    let answers = [&b"+OK\r\n"[..]; 4];
    let (_script, heard) = Script::meet(&listener, &answers);
    assert_eq!(heard[1], "AUTH someone secret");
    assert_eq!(heard[2], "REPLCONF listening-port 4321");
    assert_eq!(heard[3], "REPLCONF ip-address host.example");
}

#[test]
fn a_replica_sends_nothing_unasked_and_answers_when_asked() {
    let began = now();
    let (replica, mut script) = taken(&sized());
    crate::nodes::await_link(&replica);
    let unasked = script.link.read_for(Duration::from_millis(500)).unwrap();
    // But for what comes once a second, where the machine has taken so long.
    let periodic = b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n1000\r\n";
    let times = unasked.len() / periodic.len();
    assert_eq!(unasked, periodic.repeat(times), "{}", unasked.escape_ascii());
    assert!(times as u64 <= began.elapsed().as_secs(), "{times} times");
    script.send(&[SELECT_0, SET_A_1, GETACK].concat());
    // The offset does not count the GETACK itself yet.
    assert_eq!(script.hear_after("REPLCONF ACK 1000"), "REPLCONF ACK 1050");
    assert_eq!(ask(&replica, "GET a"), "bulk \"1\"");
    script.send(GETACK);
    assert_eq!(script.hear_after("REPLCONF ACK 1050"), "REPLCONF ACK 1087");
    until("both questions count", || count(&replica, "slave_repl_offset") == 1000 + 50 + 74);
}

#[test]
fn with_marks_a_replica_says_that_it_has_loaded() {
    let (replica, mut script) = taken(&marked());
    expect(&mut script.link, b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n1000\r\n");
    script.send(&[SELECT_0, SET_A_1].concat());
    until("it is applied", || ask(&replica, "GET a") == "bulk \"1\"");
    assert_eq!(info(&replica, "master_replid").as_deref(), Some(ID));
}

/// With a master that never stops sending, the socket is always readable.
#[test]
fn a_replica_acknowledges_while_its_master_never_stops_sending() {
    let (_replica, mut script) = taken(&sized());
    let mut set = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4096\r\n".to_vec();
    set.extend([b'v'; 4096]);
    set.extend(b"\r\n");
    let stream = set.repeat(100);
    let mut sender = script.link.try_clone().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut link_is_up = true;
            while link_is_up && !stop.load(Ordering::Relaxed) {
                link_is_up = sender.send_raw(&stream).is_ok();
            }
        });
        let began = now();
        let heard = [script.hear(), script.hear(), script.hear()];
        let took = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        assert!(heard.iter().all(|command| command.starts_with("REPLCONF ACK ")), "{heard:?}");
        assert!(took < Duration::from_secs(6), "one a second: {took:?}");
        let offset = |nth: usize| heard[nth].rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        assert!(offset(2) - offset(0) > 1 << 20, "it was kept busy: {heard:?}");
    });
}

#[test]
fn commands_in_pieces_and_of_any_case_are_applied() {
    let (replica, mut script) = taken(&sized());
    let stream = [SELECT_0, b"*3\r\n$3\r\nsEt\r\n$1\r\na\r\n$3\r\nx\r\ny".as_slice()].concat();
    for piece in stream.chunks(3) {
        script.send(piece);
    }
    assert_eq!(ask(&replica, "GET a"), "null bulk");
    script.send(b"\r\n\r\n");
}

/// The offset does not advance within a transaction; after a link lost there, PSYNC begins before
/// it.
#[test]
fn a_transaction_that_was_cut_is_asked_for_again() {
    let (listener, port) = listen();
    let replica = limpid();
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {port}"));
    let (mut script, _) = Script::meet(&listener, &[b"+OK\r\n", b"+OK\r\n"]);
    script.send(format!("+FULLRESYNC {ID} 0\r\n").as_bytes());
    script.send(&sized());
    script.send(&[SELECT_0, SET_A_1].concat());
    script.send(b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n");
    until("the first write is applied", || ask(&replica, "GET a") == "bulk \"1\"");
    drop(script);
    let (mut script, heard) = Script::meet(&listener, &[b"+OK\r\n", b"+OK\r\n"]);
    assert_eq!(heard[3], format!("PSYNC {ID} 51"));
    script.send(b"+CONTINUE\r\n");
    let unit: &[u8] =
        b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n*1\r\n$4\r\nEXEC\r\n";
    script.send(unit);
    until("the transaction is applied", || ask(&replica, "GET a") == "bulk \"2\"");
    assert_eq!(count(&replica, "slave_repl_offset"), 50 + unit.len() as i64);
}

/// Compares the replies of a real server and limpid to the same bytes of a replica.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn refusals_are_those_of_redis() {
    let said = |program: Program| {
        let server = start(program);
        let mut said = Vec::new();
        for command in [
            "REPLCONF",
            "REPLCONF listening-port",
            "REPLCONF listening-port x",
            "REPLCONF listening-port 1",
            "REPLCONF nosuch 1",
            "REPLCONF capa nosuch",
            "REPLCONF rdb-only 0",
            "REPLCONF rdb-only 1",
            "REPLCONF rdb-only 2",
            "REPLCONF rdb-only x",
            "REPLCONF rdb-filter-only functions",
            "REPLCONF rdb-filter-only nosuch",
            "REPLCONF rdb-filter-only functions\"",
            "REPLCONF version 1.2.3",
            "PSYNC",
            "PSYNC ?",
            "PSYNC ? x",
            "SYNC now",
            "PSYNC ? -1 FAILOVER",
        ] {
            said.push(format!("{command}: {}", ask(&server, command)));
        }
        let long = "x".repeat(300);
        said.push(ask(&server, &format!("REPLCONF ip-address {long}")));
        let mut client = server.connect();
        for command in ["REPLCONF rdb-filter-only functions", "PSYNC ? -1", "SYNC"] {
            said.push(crate::nodes::say(&mut client, command));
        }
        for command in ["MULTI", "PSYNC ? -1", "SYNC", "EXEC"] {
            said.push(crate::nodes::say(&mut client, command));
        }
        said
    };
    let (redis, limpid) = (said(Redis), said(Limpid));
    for (redis, limpid) in redis.iter().zip(&limpid) {
        assert_eq!(redis, limpid);
    }
}

/// What redis-cli fetches with REPLCONF rdb-filter-only.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn functions_alone_can_be_fetched() {
    let server = limpid();
    ok(&server, "SET a-key its-value");
    let library = "#!lua name=shop\nredis.register_function('buy', function() return 1 end)";
    server.call(&[b"FUNCTION", b"LOAD", library.as_bytes()]).unwrap();
    let file = server.dir().join("functions.rdb");
    let run = |program: &str, words: &[&str]| {
        let done = Command::new(program).args(words).arg(&file).output().unwrap();
        assert!(done.status.success(), "{program}: {done:?}");
    };
    run("redis-cli", &["-p", &server.port().to_string(), "--functions-rdb"]);
    run("redis-check-rdb", &[]);
    let bytes = fs::read(&file).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("name=shop") && !has("a-key"), "{}", String::from_utf8_lossy(&bytes));
}

/// A replica without a master serves no PSYNC.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn who_has_no_master_cannot_be_one() {
    let said = |program: Program| {
        let server = Server::start(program, &args(&["--replicaof", "127.0.0.1", "1"]));
        [ask(&server, "PSYNC ? -1"), ask(&server, "SYNC")]
    };
    assert_eq!(said(Redis), said(Limpid));
}
