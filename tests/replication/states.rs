//! INFO and ROLE of replication, in every state and field by field compared with Redis.

use crate::nodes::{
    args, ask, await_link, follow, info, info_text, ok, say, settle, start, syncs, until, words,
};
use crate::proxy::Proxy;
use crate::support::connection::Connection;
use crate::support::server::Program::{self, Limpid, Redis};
use crate::support::server::Server;
use std::net::TcpListener;

/// Fields whose values always differ.
const OWN: &[&str] = &["master_replid", "master_port", "master_last_io_seconds_ago"];

/// Fields that only limpid has.
const BESIDES: &[&str] = &["master_link_ups", "master_link_losses"];

/// The output in a state: INFO's fields and ROLE.
#[derive(Debug, Default)]
struct Seen(Vec<String>);

impl Seen {
    /// Records a server's output, without values that always differ.
    fn note(&mut self, state: &str, server: &Server) {
        self.note_without(&[], state, server);
    }

    /// Records the output, without the values of some fields.
    fn note_without(&mut self, without: &[&str], state: &str, server: &Server) {
        for line in info_text(server, "replication").lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            if BESIDES.contains(&name) {
                continue;
            }
            let shown = match name {
                name if OWN.contains(&name) || without.contains(&name) => "..".to_owned(),
                // Distinguishes an earlier history from none.
                "master_replid2" if value.bytes().any(|byte| byte != b'0') => "..".to_owned(),
                _ => value.split(',').map(masked).collect::<Vec<_>>().join(","),
            };
            self.0.push(format!("{state}: {name}:{shown}"));
        }
        let role = ask(server, "ROLE");
        let masked: Vec<&str> =
            role.split(' ').map(|word| if is_port(word) { "port" } else { word }).collect();
        self.0.push(format!("{state}: ROLE {}", masked.join(" ")));
    }
}

/// Part of a line of a replica.
fn masked(part: &str) -> String {
    match part.split_once('=') {
        Some((name @ ("port" | "lag"), _)) => format!("{name}=.."),
        _ => part.to_owned(),
    }
}

/// The system's ephemeral ports have five digits; offsets here have fewer.
fn is_port(word: &str) -> bool {
    let digits = word.trim_matches(|c: char| !c.is_ascii_digit());
    digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Waits until a replica of a server has acknowledged everything.
fn await_acknowledged(server: &Server) {
    until("a replica has acknowledged all", || {
        let all = format!("state=online,offset={},", info(server, "master_repl_offset").unwrap());
        info_text(server, "replication").contains(&all)
    });
}

/// Limpid's log begins at REPLICAOF, Redis's at the first full resync.
const LOG_BEGINS: &[&str] = &["repl_backlog_active", "repl_backlog_first_byte_offset"];

fn assert_same(seen: impl Fn(Program) -> Seen) {
    let (redis, limpid) = (seen(Redis), seen(Limpid));
    let differing: Vec<_> = limpid.0.iter().filter(|line| !redis.0.contains(line)).collect();
    let missing: Vec<_> = redis.0.iter().filter(|line| !limpid.0.contains(line)).collect();
    assert!(
        differing.is_empty() && missing.is_empty(),
        "redis: {missing:#?}\nlimpid: {differing:#?}"
    );
    assert_eq!(redis.0, limpid.0, "the order is another");
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn masters_and_replicas_show_the_same_as_redis() {
    assert_same(|program| {
        let mut seen = Seen::default();
        let (master, replica) = (start(program), start(program));
        seen.note("fresh", &master);
        ok(&master, "SET before 1");
        seen.note("written without replicas", &master);
        let link = Proxy::to(master.port());
        follow(&replica, link.port());
        until("it is online", || info_text(&master, "replication").contains("state=online"));
        ok(&master, "SET a 1");
        settle(&master, &replica);
        await_acknowledged(&master);
        seen.note("with a replica", &master);
        seen.note("connected", &replica);
        let behind = start(program);
        follow(&behind, replica.port());
        until("it is online", || info_text(&replica, "replication").contains("state=online"));
        ok(&master, "SET a 2");
        settle(&master, &replica);
        settle(&replica, &behind);
        await_acknowledged(&master);
        await_acknowledged(&replica);
        seen.note("in the middle", &replica);
        ok(&master, "CONFIG SET min-replicas-to-write 1");
        seen.note("with enough replicas", &master);
        link.cut();
        until("the link is down", || !crate::nodes::is_linked(&replica));
        until("the replica has left", || info(&master, "connected_slaves").as_deref() == Some("0"));
        seen.note("without its replica", &master);
        ok(&replica, "REPLICAOF NO ONE");
        until("the one behind has come back", || syncs(&replica).partial == 1);
        await_acknowledged(&replica);
        seen.note("promoted", &replica);
        ok(&replica, "SET a 3");
        follow(&master, replica.port());
        settle(&replica, &master);
        seen.note("demoted, after a partial resync", &master);
        seen
    });
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_replica_that_never_had_its_master_shows_the_same_as_redis() {
    assert_same(|program| {
        let mut seen = Seen::default();
        // First a port without a listener, then a listener that never answers.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Server::start(program, &args(&["--replica-priority", "7"]));
        ok(&server, "CONFIG SET replica-announced no");
        ok(&server, "CONFIG SET replica-read-only no");
        ok(&server, &format!("REPLICAOF 127.0.0.1 {closed}"));
        // Between two tries, each of which takes no time.
        until("it has tried", || {
            let mut now = Seen::default();
            now.note_without(LOG_BEGINS, "without a master", &server);
            let between = now.0.last().is_some_and(|role| role.contains("\"connect\""));
            if between {
                seen.0.append(&mut now.0);
            }
            between
        });
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        ok(&server, &format!("REPLICAOF 127.0.0.1 {port}"));
        let mut master = Connection::accept(&silent).unwrap();
        assert_eq!(master.read_reply().unwrap().to_string(), "array[bulk \"PING\"]");
        until("it has sent its PING", || ask(&server, "ROLE").contains("\"handshake\""));
        seen.note_without(LOG_BEGINS, "connecting", &server);
        seen
    });
}

/// A master that answers up to the beginning of a full resync.
fn offer(listener: &TcpListener, bytes: &[u8]) -> Connection {
    let mut master = Connection::accept(listener).unwrap();
    for answer in ["+PONG", "+OK", "+OK"] {
        master.read_reply().unwrap();
        master.send_raw(format!("{answer}\r\n").as_bytes()).unwrap();
    }
    master.read_reply().unwrap();
    master.send_raw(bytes).unwrap();
    master
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_replica_in_a_full_resync_shows_the_same_as_redis() {
    const ID: &str = "0123456789abcdef0123456789abcdef01234567";
    assert_same(|program| {
        let mut seen = Seen::default();
        for (state, begins) in [
            ("before the size", String::new()),
            ("with a size", "$200\r\nREDIS0010".to_owned()),
            ("with marks", format!("$EOF:{ID}\r\n")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = start(program);
            ok(&server, &format!("REPLICAOF 127.0.0.1 {port}"));
            let offered = format!("+FULLRESYNC {ID} 10\r\n{begins}");
            let _master = offer(&listener, offered.as_bytes());
            until("it synchronises", || ask(&server, "ROLE").contains("\"sync\""));
            let read = match state {
                "with a size" => ("master_sync_read_bytes", "9"),
                "with marks" => ("master_sync_total_bytes", "0"),
                _ => ("master_sync_total_bytes", "-1"),
            };
            until("it has read", || info(&server, read.0).as_deref() == Some(read.1));
            seen.note_without(LOG_BEGINS, state, &server);
        }
        seen
    });
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_replica_that_waits_for_a_snapshot_is_shown_as_by_redis() {
    assert_same(|program| {
        let mut seen = Seen::default();
        let server = Server::start(program, &["--save", "", "--repl-diskless-sync-delay", "60"]);
        // Redis's first round of pings has passed.
        until("it is up for a second", || crate::nodes::count(&server, "uptime_in_seconds") >= 1);
        let mut replica = server.connect();
        say(&mut replica, "REPLCONF listening-port 12345");
        say(&mut replica, "REPLCONF capa eof capa psync2");
        replica.send(&words("PSYNC ? -1")).unwrap();
        until("it is attached", || info(&server, "connected_slaves").as_deref() == Some("1"));
        seen.note("with a replica that waits", &server);
        seen
    });
}

/// A link that goes down and up shows how long it is down.
#[test]
fn a_link_that_is_down_says_for_how_long() {
    let (master, replica) = (start(Limpid), start(Limpid));
    let link = Proxy::to(master.port());
    follow(&replica, link.port());
    assert_eq!(info(&replica, "master_link_down_since_seconds"), None);
    link.cut();
    until("it is down for a second", || {
        let seconds = info(&replica, "master_link_down_since_seconds");
        seconds.is_some_and(|seconds| seconds.parse::<i64>().unwrap() >= 1)
    });
    assert_eq!(info(&replica, "master_last_io_seconds_ago").as_deref(), Some("-1"));
    link.heal();
    await_link(&replica);
    assert_eq!(info(&replica, "master_link_down_since_seconds"), None);
}
