//! Links over TLS: limpid and redis-server in both roles, full resyncs, cuts, slow replicas, and
//! masters that are not who they should be.

use crate::load::Load;
use crate::nodes::{await_link, follow, info, info_text, is_linked, ok, settle, syncs, until};
use crate::proxy::Proxy;
use crate::support::certificates::{Authority, Files, Valid};
use crate::support::server::Program::{self, Limpid, Redis};
use crate::support::server::{Server, free_port};
use std::time::Duration;
use tempfile::TempDir;

/// Bytes of each value of [`fill`].
const VALUE_BYTES: usize = 100_000;

/// An authority and its folder.
struct Trust {
    authority: Authority,
    folder: TempDir,
}

/// A server with a TLS port, which also follows its master over TLS.
struct Node {
    server: Server,
    port: u16,
}

impl Trust {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { authority: Authority::new(&folder.path().join("certs")), folder }
    }

    fn start(&self, program: Program, name: &str, more: &[&str]) -> Node {
        let own = self.authority.sign(name, Valid::Now);
        self.start_as(program, &own, more)
    }

    fn start_as(&self, program: Program, own: &Files, more: &[&str]) -> Node {
        let port = free_port();
        let (port_text, ca, [cert, key]) = (port.to_string(), self.authority.path(), own.paths());
        let tls = [
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            cert,
            "--tls-key-file",
            key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-replication",
            "yes",
            "--rdbcompression",
            "no",
        ];
        let args = crate::nodes::args(&[&tls, more].concat());
        Node { server: Server::start(program, &args), port }
    }
}

/// Data that take many records and more than any buffer, not compressible.
fn fill(server: &Server, keys: usize) {
    let mut client = server.connect();
    let mut state = 1_u64;
    for key in 0..keys {
        let value: Vec<u8> = (0..VALUE_BYTES)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        client.call(&[b"SET", format!("fill{key}").as_bytes(), &value]).unwrap();
    }
}

/// A full resync, a stream of all kinds of writes, and a cut that ends with a partial resync.
fn replicates(programs: [Program; 2], more: &[&str]) {
    let trust = Trust::new();
    let master = trust.start(programs[0], "master", more);
    let replica = trust.start(programs[1], "replica", &[]);
    fill(&master.server, 80);
    let link = Proxy::to(master.port);
    ok(&replica.server, &format!("REPLICAOF 127.0.0.1 {}", link.port()));
    let load = Load::start(master.server.port(), 5);
    await_link(&replica.server);
    load.await_commands(3000);
    link.cut();
    until("the replica misses its master", || !is_linked(&replica.server));
    load.await_commands(1000);
    link.heal();
    until("the link is up again", || is_linked(&replica.server));
    load.await_commands(1000);
    load.stop();
    settle(&master.server, &replica.server);
    let syncs = syncs(&master.server);
    assert_eq!((syncs.full, syncs.partial), (1, 1), "{}", master.server.log_text());
    let shown = info_text(&master.server, "replication");
    assert!(shown.contains(&format!("port={},", replica.port)), "its TLS port: {shown}");
}

#[test]
fn limpid_follows_limpid() {
    replicates([Limpid, Limpid], &[]);
}

#[test]
fn limpid_follows_limpid_by_a_file() {
    replicates([Limpid, Limpid], &["--repl-diskless-sync", "no"]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn redis_follows_limpid() {
    replicates([Limpid, Redis], &[]);
    replicates([Limpid, Redis], &["--repl-diskless-sync", "no"]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn limpid_follows_redis() {
    replicates([Redis, Limpid], &[]);
    replicates([Redis, Limpid], &["--repl-diskless-sync", "no"]);
}

#[test]
fn a_replica_that_reads_slowly_holds_nobody_back() {
    let trust = Trust::new();
    let master = trust.start(Limpid, "master", &[]);
    let replica = trust.start(Limpid, "replica", &[]);
    let link = Proxy::to(master.port);
    follow(&replica.server, link.port());
    settle(&master.server, &replica.server);
    link.hold();
    // More than the sockets in between take.
    let load = Load::start(master.server.port(), 9);
    fill(&master.server, 400);
    load.await_commands(2000);
    link.heal();
    load.stop();
    settle(&master.server, &replica.server);
    assert_eq!(syncs(&master.server).full, 1, "{}", master.server.log_text());
}

#[test]
fn replicas_that_move_between_workers_keep_their_link() {
    let trust = Trust::new();
    let master = trust.start(Limpid, "master", &["--workers", "4"]);
    let replicas: Vec<Node> =
        (0..3).map(|n| trust.start(Limpid, &format!("replica{n}"), &[])).collect();
    replicas.iter().for_each(|replica| follow(&replica.server, master.port));
    let loads: Vec<Load> = (1..6).map(|seed| Load::start(master.server.port(), seed)).collect();
    loads.iter().for_each(|load| load.await_commands(5000));
    loads.into_iter().for_each(Load::stop);
    for replica in &replicas {
        settle(&master.server, &replica.server);
    }
    assert_eq!(syncs(&master.server).full, 3, "{}", master.server.log_text());
}

/// Waits for the reason why a link does not come up.
fn refuses(replica: &Server, master: u16, reason: &str) {
    ok(replica, &format!("REPLICAOF 127.0.0.1 {master}"));
    let line = replica.wait_for_log(reason, Duration::from_secs(30));
    assert!(line.is_some(), "{reason}: {}", replica.log_text());
    assert_eq!(info(replica, "master_link_status").as_deref(), Some("down"));
    ok(replica, "REPLICAOF NO ONE");
}

#[test]
fn a_master_must_prove_who_it_is() {
    let trust = Trust::new();
    let replica = trust.start(Limpid, "replica", &[]);
    let elsewhere = Authority::new(&trust.folder.path().join("elsewhere"));
    let stranger = trust.start_as(Limpid, &elsewhere.sign("own", Valid::Now), &[]);
    refuses(&replica.server, stranger.port, "SYNC: invalid peer certificate");
    let expired = trust.authority.sign("expired", Valid::NoLonger);
    let expired = trust.start_as(Limpid, &expired, &[]);
    refuses(&replica.server, expired.port, "certificate expired");
    // A port without TLS.
    refuses(&replica.server, expired.server.port(), "Error condition on socket for SYNC: ");
    // A replica must prove who it is, too: this one has a stranger's certificate.
    let master = trust.start(Limpid, "master", &[]);
    let impostor = trust.start_as(Limpid, &elsewhere.sign("impostor", Valid::Now), &[]);
    refuses(&impostor.server, master.port, "Connection with master lost: ");
    until("the master refuses the impostor", || {
        master.server.log_text().contains("Error accepting a client connection: ")
    });
    assert_eq!(syncs(&master.server).full, 0);
}

#[test]
fn another_certificate_can_be_for_the_link_alone() {
    let trust = Trust::new();
    let master = trust.start(Limpid, "master", &[]);
    let elsewhere = Authority::new(&trust.folder.path().join("elsewhere"));
    let own = elsewhere.sign("own", Valid::Now);
    let for_link = trust.authority.sign("link", Valid::Now);
    let [cert, key] = for_link.paths();
    let more = ["--tls-client-cert-file", cert, "--tls-client-key-file", key];
    let replica = trust.start_as(Limpid, &own, &more);
    follow(&replica.server, master.port);
    settle(&master.server, &replica.server);
}

#[test]
fn the_link_goes_over_tls_only_if_the_settings_say_so() {
    let trust = Trust::new();
    let master = trust.start(Limpid, "master", &[]);
    let replica = trust.start(Limpid, "replica", &[]);
    ok(&replica.server, "CONFIG SET tls-replication no");
    follow(&replica.server, master.server.port());
    settle(&master.server, &replica.server);
    ok(&replica.server, "CONFIG SET tls-replication yes");
    follow(&replica.server, master.port);
    settle(&master.server, &replica.server);
}
