//! WAIT: how many replicas have a client's writes, and how long that takes.

use crate::nodes::{
    ask, info, limpid, ok, percentiles, say, settle, start, until, with_replicas, words,
};
use crate::proxy::Proxy;
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::{ReadError, Reply};
use crate::support::server::Program::{Limpid, Redis};
use crate::support::server::Server;
use std::time::Duration;

/// A master with two replicas, the second through a proxy.
fn two_replicas() -> (Server, Vec<Server>, Proxy) {
    let (master, mut replicas) = with_replicas(limpid(), vec![limpid()]);
    let proxy = Proxy::to(master.port());
    let second = limpid();
    crate::nodes::follow(&second, proxy.port());
    replicas.push(second);
    until("both are online", || ask(&master, "WAIT 2 10") == "integer 2");
    (master, replicas, proxy)
}

#[test]
fn counts_who_has_the_writes() {
    let (master, replicas, proxy) = two_replicas();
    let mut client = master.connect();
    say(&mut client, "SET a 1");
    assert_eq!(say(&mut client, "WAIT 2 5000"), "integer 2");
    // A stalled link.
    proxy.hold();
    say(&mut client, "SET a 2");
    assert_eq!(say(&mut client, "WAIT 1 5000"), "integer 1");
    assert_eq!(say(&mut client, "WAIT 2 100"), "integer 1");
    proxy.heal();
    assert_eq!(say(&mut client, "WAIT 2 5000"), "integer 2");
    // A stopped process.
    crate::nodes::freeze(&replicas[0]);
    say(&mut client, "SET a 3");
    assert_eq!(say(&mut client, "WAIT 1 5000"), "integer 1");
    assert_eq!(say(&mut client, "WAIT 2 100"), "integer 1");
    replicas[0].signal("CONT");
    assert_eq!(say(&mut client, "WAIT 2 5000"), "integer 2");
    // More replicas than exist, zero, and a negative number.
    assert_eq!(say(&mut client, "WAIT 5 20"), "integer 2");
    assert_eq!(say(&mut client, "WAIT 0 0"), "integer 2");
    assert_eq!(say(&mut client, "WAIT -1 0"), "integer 2");
}

#[test]
fn a_replica_that_is_gone_does_not_count() {
    let (master, _replicas, proxy) = two_replicas();
    let mut client = master.connect();
    say(&mut client, "SET a 1");
    assert_eq!(say(&mut client, "WAIT 2 5000"), "integer 2");
    proxy.cut();
    until("it has left", || say(&mut client, "WAIT 2 1") == "integer 1");
    // The replica returns while a client waits for it.
    say(&mut client, "SET a 2");
    client.send(&words("WAIT 2 20000")).unwrap();
    proxy.heal();
    assert_eq!(client.read_reply().unwrap().to_string(), "integer 2");
}

#[test]
fn does_not_block_within_a_transaction() {
    let (master, _replicas, proxy) = two_replicas();
    let mut client = master.connect();
    proxy.hold();
    for command in ["MULTI", "SET a 1", "WAIT 2 0"] {
        say(&mut client, command);
    }
    let began = now();
    let reply = say(&mut client, "EXEC");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(reply.starts_with("array[simple \"OK\", integer "), "{reply}");
    assert_eq!(say(&mut client, "WAIT 1 5000"), "integer 1");
}

/// Errors, compared with Redis's replies.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn is_refused_with_the_texts_of_redis() {
    let sides = [Redis, Limpid].map(|program| {
        let (master, replicas) = with_replicas(start(program), vec![start(program)]);
        let on_master = ["WAIT", "WAIT 1", "WAIT x 0", "WAIT 1 x", "WAIT 1 -1", "WAIT 1 0 0"];
        let mut said: Vec<String> = on_master.iter().map(|command| ask(&master, command)).collect();
        said.push(ask(&master, "WAIT 1 9223372036854775807"));
        said.push(ask(&replicas[0], "WAIT 1 0"));
        said
    });
    assert_eq!(sides[0], sides[1]);
}

#[test]
fn is_refused_on_a_replica() {
    let (_master, replicas) = with_replicas(limpid(), vec![limpid()]);
    let reply = replicas[0].call(&words("WAIT 1 0")).unwrap();
    let expected = "ERR WAIT cannot be used with replica instances. Please also note that since \
                    Redis 4.0 if a replica is configured to be writable (which is not the default) \
                    writes to replicas are just local and are not propagated.";
    assert_eq!(reply, Reply::Error(expected.into()));
}

/// Waits until a client is blocked.
fn await_blocked(server: &Server) {
    until("the client waits", || crate::nodes::count(server, "blocked_clients") == 1);
}

#[test]
fn a_change_of_role_ends_it_and_the_connection() {
    let (master, other) = (limpid(), limpid());
    let mut client = master.connect();
    say(&mut client, "SET a 1");
    client.send(&words("WAIT 1 0")).unwrap();
    await_blocked(&master);
    ok(&master, &format!("REPLICAOF 127.0.0.1 {}", other.port()));
    assert_eq!(
        client.read_reply().unwrap().to_string(),
        "error \"UNBLOCKED force unblock from blocking operation, instance state changed (master \
         -> replica?)\""
    );
    assert_eq!(client.read_reply(), Err(ReadError::Closed));
}

#[test]
fn another_client_can_end_it() {
    let master = limpid();
    let mut client = master.connect();
    let id = say(&mut client, "CLIENT ID").replace("integer ", "");
    for (how, reply) in [
        ("", "integer 0"),
        (" TIMEOUT", "integer 0"),
        (" ERROR", "error \"UNBLOCKED client unblocked via CLIENT UNBLOCK\""),
    ] {
        client.send(&words("WAIT 1 0")).unwrap();
        await_blocked(&master);
        assert_eq!(ask(&master, &format!("CLIENT UNBLOCK {id}{how}")), "integer 1");
        assert_eq!(client.read_reply().unwrap().to_string(), reply);
    }
    assert_eq!(ask(&master, &format!("CLIENT UNBLOCK {id}")), "integer 0");
    assert_eq!(say(&mut client, "PING"), "simple \"PONG\"");
}

#[test]
fn what_is_sent_behind_it_waits_too() {
    let master = limpid();
    let mut client = master.connect();
    let began = now();
    client.send_raw(b"WAIT 1 100\r\nECHO after\r\n").unwrap();
    assert_eq!(client.read_reply().unwrap().to_string(), "integer 0");
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(client.read_reply().unwrap().to_string(), "bulk \"after\"");
}

#[test]
fn a_client_that_leaves_waits_no_more() {
    let master = limpid();
    let mut client = master.connect();
    client.send(&words("WAIT 1 0")).unwrap();
    await_blocked(&master);
    drop(client);
    until("nobody waits", || crate::nodes::count(&master, "blocked_clients") == 0);
}

#[test]
fn a_timeout_is_met_to_within_ten_milliseconds() {
    let (master, _replicas, proxy) = two_replicas();
    proxy.hold();
    let mut client = master.connect();
    say(&mut client, "SET a 1");
    assert_eq!(say(&mut client, "WAIT 1 5000"), "integer 1");
    let mut over = Vec::new();
    for sample in 0..100 {
        let timeout = Duration::from_millis(1 + sample % 20);
        let began = now();
        let reply = say(&mut client, &format!("WAIT 2 {}", timeout.as_millis()));
        let took = began.elapsed();
        assert_eq!(reply, "integer 1");
        assert!(took >= timeout, "{took:?} is less than {timeout:?}");
        over.push(took - timeout);
    }
    let (p50, p99, max) = percentiles(&mut over);
    println!("WAIT's timeout is overshot by {p50:.2} ms (p50), {p99:.2} ms (p99), {max:.2} ms");
    assert!(p50 <= 10.0, "the half of all are later than {p50} ms");
}

/// Two replicas on this machine get a write quickly. The limits are for a debug build.
#[test]
fn takes_little_time() {
    let (master, replicas) = with_replicas(limpid(), vec![limpid(), limpid()]);
    let mut client = master.connect();
    let mut times = Vec::new();
    for number in 0..2000 {
        times.push(set_and_wait(&mut client, number));
    }
    let (p50, p99, max) = percentiles(&mut times);
    println!("SET and WAIT 2 0: {p50:.3} ms (p50), {p99:.3} ms (p99), {max:.3} ms");
    replicas.iter().for_each(|replica| settle(&master, replica));
}

fn set_and_wait(client: &mut Connection, number: usize) -> Duration {
    let began = now();
    client.send_raw(format!("SET a {number}\r\nWAIT 2 0\r\n").as_bytes()).unwrap();
    assert_eq!(client.read_reply().unwrap().to_string(), "simple \"OK\"");
    assert_eq!(client.read_reply().unwrap().to_string(), "integer 2");
    began.elapsed()
}

/// A limpid with an append only file in a folder, synced by a policy.
fn with_file(dir: &std::path::Path, policy: &str) -> Server {
    let dir = dir.to_str().unwrap();
    crate::nodes::limpid_with(&["--dir", dir, "--appendonly", "yes", "--appendfsync", policy])
}

#[test]
fn waitaof_counts_the_disks_that_have_the_writes() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let master = with_file(folders[0].path(), "always");
    let durable = with_file(folders[1].path(), "everysec");
    let (master, replicas) = with_replicas(master, vec![limpid(), durable]);
    let mut client = master.connect();
    // It counts once its file is whole, and it has told of that.
    say(&mut client, "SET a 1");
    assert_eq!(say(&mut client, "WAITAOF 1 1 0"), "array[integer 1, integer 1]");
    say(&mut client, "SET a 2");
    assert_eq!(say(&mut client, "WAITAOF 0 1 0"), "array[integer 1, integer 1]");
    // The other replica has no file, however long one waits.
    assert_eq!(say(&mut client, "WAIT 2 5000"), "integer 2");
    assert_eq!(say(&mut client, "WAITAOF 1 2 50"), "array[integer 1, integer 1]");
    // What is not synced does not count.
    ok(&replicas[1], "CONFIG SET appendfsync no");
    say(&mut client, "SET a x");
    assert_eq!(say(&mut client, "WAIT 2 5000"), "integer 2");
    assert_eq!(say(&mut client, "WAITAOF 1 1 1500"), "array[integer 1, integer 0]");
    ok(&replicas[1], "CONFIG SET appendfsync everysec");
    assert_eq!(say(&mut client, "WAITAOF 1 1 0"), "array[integer 1, integer 1]");
    // Within a transaction nobody waits.
    for command in ["MULTI", "SET a 2", "WAITAOF 1 2 0"] {
        say(&mut client, command);
    }
    let replies = say(&mut client, "EXEC");
    assert!(replies.starts_with("array[simple \"OK\", array[integer"), "{replies}");
}

#[test]
fn waitaof_waits_for_the_own_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_file(folder.path(), "no");
    let mut client = server.connect();
    say(&mut client, "SET a 1");
    assert_eq!(say(&mut client, "WAITAOF 1 0 50"), "array[integer 0, integer 0]");
    assert_eq!(say(&mut client, "WAITAOF 0 0 0"), "array[integer 0, integer 0]");
    // A sync ends the wait, and so does a file that is turned off.
    client.send(&words("WAITAOF 1 0 0")).unwrap();
    until("it waits", || info(&server, "blocked_clients").as_deref() == Some("1"));
    ok(&server, "CONFIG SET appendfsync everysec");
    assert_eq!(client.read_reply().unwrap().to_string(), "array[integer 1, integer 0]");
    ok(&server, "CONFIG SET appendfsync no");
    say(&mut client, "SET a 2");
    let off = "WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
    client.send(&words("WAITAOF 1 0 0")).unwrap();
    until("it waits", || info(&server, "blocked_clients").as_deref() == Some("1"));
    ok(&server, "CONFIG SET appendonly no");
    assert_eq!(client.read_reply().unwrap().to_string(), format!("error \"ERR {off}\""));
    for (command, error) in [
        ("WAITAOF 1 0 0", off),
        ("WAITAOF 2 0 0", "value is out of range, value must between 0 and 1"),
        ("WAITAOF 0 -1 0", "value is out of range, must be positive"),
        ("WAITAOF x 0 0", "value is not an integer or out of range"),
        ("WAITAOF 0 0 -1", "timeout is negative"),
        ("WAITAOF 0 0 x", "timeout is not an integer or out of range"),
    ] {
        assert_eq!(say(&mut client, command), format!("error \"ERR {error}\""), "{command}");
    }
    ok(&server, "REPLICAOF 127.0.0.1 1");
    let reply = say(&mut client, "WAITAOF 0 0 0");
    assert!(reply.contains("WAITAOF cannot be used with replica instances."), "{reply}");
}
