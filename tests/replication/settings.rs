//! Effects of the replication settings, and REPLICAOF with its refusals.

use crate::nodes::{
    args, ask, await_link, count, follow, info, info_text, is_linked, limpid, limpid_with, number,
    ok, say, settle, start, syncs, until, with_replicas,
};
use crate::support::server::Program::{self, Limpid, Redis};
use crate::support::server::Server;
use std::time::Duration;

/// Asserts that both programs give the same replies.
fn assert_same(said: impl Fn(Program) -> Vec<String>) {
    let (redis, limpid) = (said(Redis), said(Limpid));
    for (redis, limpid) in redis.iter().zip(&limpid) {
        assert_eq!(redis, limpid);
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn replicaof_says_what_redis_says() {
    assert_same(|program| {
        let server = start(program);
        let mut client = server.connect();
        let commands = [
            "REPLICAOF",
            "REPLICAOF x",
            "REPLICAOF a b c",
            "REPLICAOF 127.0.0.1 x",
            "REPLICAOF 127.0.0.1 99999",
            "REPLICAOF 127.0.0.1 -1",
            "REPLICAOF 127.0.0.1 0x10",
            "REPLICAOF NO ONE",
            "slaveof no one",
            "REPLICAOF no 1",
            "REPLICAOF NO ONE",
            "REPLICAOF 127.0.0.1 1",
            "REPLICAOF 127.0.0.1 1",
            "SLAVEOF 127.0.0.1 1",
            "SET a 1",
            "CONFIG GET replicaof",
            "CONFIG GET slaveof",
            "CONFIG SET replicaof x",
            "MULTI",
            "SLAVEOF NO ONE",
            "CLIENT KILL TYPE normal",
            "CLIENT KILL TYPE pubsub",
            "EXEC",
            "SET a 1",
            "FAILOVER ABORT",
        ];
        commands.iter().map(|command| format!("{command}: {}", say(&mut client, command))).collect()
    });
}

/// A transaction that makes its server a replica, as Sentinel sends it.
#[test]
fn a_role_changes_within_a_transaction() {
    let (master, replica) = (limpid(), limpid());
    let mut client = replica.connect();
    let port = master.port();
    for command in [
        "MULTI",
        &format!("SLAVEOF 127.0.0.1 {port}"),
        "CONFIG REWRITE",
        "CLIENT KILL TYPE normal",
        "CLIENT KILL TYPE pubsub",
    ] {
        say(&mut client, command);
    }
    assert_eq!(
        say(&mut client, "EXEC"),
        "array[simple \"OK\", error \"ERR The server is running without a config file\", integer \
         0, integer 0]"
    );
    await_link(&replica);
}

#[test]
fn writes_are_refused_on_a_replica_but_where_they_are_allowed() {
    let (master, replicas) = with_replicas(limpid(), vec![limpid()]);
    let readonly = "error \"READONLY You can\\'t write against a read only replica.\"";
    assert_eq!(ask(&replicas[0], "SET own 1"), readonly);
    ok(&replicas[0], "CONFIG SET replica-read-only no");
    let offset = count(&replicas[0], "slave_repl_offset");
    ok(&replicas[0], "SET own 1");
    assert_eq!(count(&replicas[0], "slave_repl_offset"), offset);
    assert_eq!(ask(&replicas[0], "GET own"), "bulk \"1\"");
    // The replica itself expires a key that its client set.
    ok(&replicas[0], "SET own 1 PX 20");
    until("its own key is gone", || ask(&replicas[0], "GET own") == "null bulk");
    ok(&replicas[0], "CONFIG SET replica-read-only yes");
    assert_eq!(ask(&replicas[0], "SET own 1"), readonly);
    ok(&master, "SET a 1");
    until("it still follows", || ask(&replicas[0], "GET a") == "bulk \"1\"");
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn stale_data_are_kept_back_as_by_redis() {
    assert_same(|program| {
        let server = start(program);
        ok(&server, "SET a 1");
        ok(&server, "CONFIG SET replica-serve-stale-data no");
        let mut said = vec![ask(&server, "GET a")];
        ok(&server, "REPLICAOF 127.0.0.1 1");
        let mut client = server.connect();
        for command in [
            "GET a",
            "SET a 2",
            "PING",
            "ECHO a",
            "DBSIZE",
            "KEYS *",
            "SELECT 1",
            "PUBLISH a b",
            "CONFIG GET replica-serve-stale-data",
            "WAIT 1 0",
            "CLIENT ID x",
            "OBJECT HELP x",
            "SUBSCRIBE",
            "MULTI",
            "GET a",
            "EXEC",
            "DISCARD",
            "FAILOVER",
        ] {
            said.push(format!("{command}: {}", say(&mut client, command)));
        }
        ok(&server, "CONFIG SET replica-serve-stale-data yes");
        said.push(ask(&server, "GET a"));
        said
    });
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn too_few_good_replicas_refuse_writes_as_redis_does() {
    assert_same(|program| {
        let master = start(program);
        let mut said = Vec::new();
        let mut all = |state: &str| {
            for command in ["SET a 1", "GET a", "PUBLISH a b", "DEL nosuch", "PING"] {
                said.push(format!("{state}: {command}: {}", ask(&master, command)));
            }
        };
        ok(&master, "CONFIG SET min-replicas-to-write 1");
        until("writes are refused", || ask(&master, "SET a 1").contains("NOREPLICAS"));
        all("without");
        let replicas = [start(program)];
        follow(&replicas[0], master.port());
        until("writes are taken", || ask(&master, "SET a 1") == "simple \"OK\"");
        all("with");
        ok(&master, "CONFIG SET min-replicas-to-write 2");
        until("writes are refused", || ask(&master, "SET a 1").contains("NOREPLICAS"));
        all("with too few");
        ok(&master, "CONFIG SET min-replicas-to-write 1");
        ok(&master, "CONFIG SET min-replicas-max-lag 1");
        until("writes are taken", || ask(&master, "SET a 1") == "simple \"OK\"");
        crate::nodes::freeze(&replicas[0]);
        until("writes are refused", || ask(&master, "SET a 1").contains("NOREPLICAS"));
        all("with one that lags");
        ok(&master, "CONFIG SET min-replicas-max-lag 0");
        until("writes are taken", || ask(&master, "SET a 1") == "simple \"OK\"");
        said
    });
}

/// A master with a password, and a replica that gets the password later.
fn authenticates(master: Program, replica: Program) {
    let master = Server::start(master, &args(&[]));
    ok(&master, "SET a 1");
    let id = info(&master, "master_replid");
    ok(&master, "CONFIG SET requirepass secret");
    let mut client = master.connect();
    say(&mut client, "AUTH secret");
    let replica = start(replica);
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    // Without one, and with a wrong one.
    assert!(replica.wait_for_log("NOAUTH", SOON).is_some(), "{}", replica.log_text());
    ok(&replica, "CONFIG SET masterauth wrong");
    assert!(replica.wait_for_log("WRONGPASS", SOON).is_some(), "{}", replica.log_text());
    assert!(!is_linked(&replica));
    ok(&replica, "CONFIG SET masterauth secret");
    await_link(&replica);
    assert_eq!(ask(&replica, "GET a"), "bulk \"1\"");
    ok(&replica, "CONFIG SET masteruser default");
    ok(&replica, "REPLICAOF NO ONE");
    follow(&replica, master.port());
    // The master began this history when the replica connected.
    assert_ne!(info(&replica, "master_replid"), id);
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_limpid_authenticates_with_a_limpid() {
    authenticates(Limpid, Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn programs_authenticate_with_each_other() {
    authenticates(Redis, Limpid);
    authenticates(Limpid, Redis);
}

#[test]
fn a_replica_is_shown_as_it_announces_itself() {
    let master = limpid();
    let announced = ["--replica-announce-ip", "10.1.2.3", "--replica-announce-port", "4321"];
    let replica = limpid_with(&announced);
    follow(&replica, master.port());
    until("it is online", || {
        info_text(&master, "replication").contains("slave0:ip=10.1.2.3,port=4321,state=online,")
    });
    assert!(ask(&master, "ROLE").contains("[bulk \"10.1.2.3\", bulk \"4321\","));
}

#[test]
fn links_are_listed_and_killed_by_type() {
    let (master, replicas) = with_replicas(limpid(), vec![limpid()]);
    let replica = &replicas[0];
    let listed = |server: &Server, kind: &str| {
        let reply = server.call(&[b"CLIENT", b"LIST", b"TYPE", kind.as_bytes()]).unwrap();
        String::from_utf8_lossy(reply.text().unwrap()).into_owned()
    };
    for kind in ["replica", "slave"] {
        let list = listed(&master, kind);
        assert_eq!(list.lines().count(), 1, "{list}");
        assert!(list.contains(" flags=S "), "{list}");
        assert_eq!(listed(replica, kind), "");
    }
    let list = listed(replica, "master");
    assert!(list.lines().count() == 1 && list.contains(" flags=M "), "{list}");
    assert_eq!(listed(&master, "master"), "");
    assert!(!listed(&master, "normal").contains("flags=S"));
    // Either side may cut it; replication continues where it was.
    for (server, kind) in [(&master, "replica"), (&master, "slave"), (replica, "master")] {
        let before = syncs(&master).partial;
        assert_eq!(ask(server, &format!("CLIENT KILL TYPE {kind}")), "integer 1");
        until("it is attached again", || syncs(&master).partial == before + 1);
        await_link(replica);
        ask(&master, "INCR a");
        settle(&master, replica);
    }
    assert_eq!(syncs(&master).full, 1);
    // Connections of other types stay.
    assert_eq!(ask(&master, "CLIENT KILL TYPE pubsub"), "integer 0");
    assert!(is_linked(replica));
}

/// The master does not know these keys, so it cannot expire them.
#[test]
fn a_writable_replica_ends_the_keys_that_its_clients_gave_an_expiry() {
    let master = limpid();
    let (master, replicas) =
        with_replicas(master, vec![limpid_with(&["--replica-read-only", "no"])]);
    let replica = &replicas[0];
    ok(replica, "SET own 1 PX 100000");
    ok(replica, "SET lasting 1 PX 100000");
    assert_eq!(count(replica, "slave_expires_tracked_keys"), 2);
    assert_eq!(number(replica, "PEXPIRE own 50"), 1);
    until("it has ended", || count(replica, "slave_expires_tracked_keys") == 1);
    assert_eq!(number(replica, "DBSIZE"), 1);
    ok(&master, "SET theirs 1");
    until("it follows on", || number(replica, "EXISTS theirs") == 1);
    ok(replica, "REPLICAOF NO ONE");
    assert_eq!(count(replica, "slave_expires_tracked_keys"), 0);
}

#[test]
fn sockets_of_replicas_gather_small_writes_where_the_setting_says_so() {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    for (setting, nodelay) in [("yes", false), ("no", true)] {
        let args = ["--save", "", "--repl-diskless-sync-delay", "0"];
        let master =
            Server::limpid(&[&args[..], &["--repl-disable-tcp-nodelay", setting]].concat());
        let mut replica = master.connect();
        replica.send_raw(b"PSYNC ? -1\r\n").unwrap();
        assert!(
            master
                .wait_for_log("Full resync requested by replica", Duration::from_secs(20))
                .is_some()
        );
        // The data set comes after the socket options are set.
        replica.read_line().unwrap();
        replica.read_bytes(1).unwrap();
        let reply = master.call(&[b"CLIENT", b"LIST", b"TYPE", b"replica"]).unwrap();
        let list = String::from_utf8_lossy(reply.text().expect("text")).into_owned();
        let field = list.split(' ').find_map(|field| field.strip_prefix("fd="));
        let descriptor: i32 = field.and_then(|fd| fd.parse().ok()).expect(&list);
        // The same socket, seen from this side.
        let pid = Pid::from_raw(master.pid().cast_signed()).unwrap();
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let socket = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()).unwrap();
        let socket = std::net::TcpStream::from(socket);
        assert_eq!(socket.nodelay().unwrap(), nodelay, "{setting}");
    }
}
