//! Chains of limpid and redis-server, in both orders: every write arrives, and a cut link continues
//! where it was.

use crate::load::{FORMS, Load, Writer};
use crate::nodes::{
    ask, follow, info, is_linked, number, ok, say, settle, start, syncs, until, words,
};
use crate::proxy::Proxy;
use crate::support::reply::Reply;
use crate::support::server::Program::{self, Limpid, Redis};
use crate::support::server::Server;

/// A chain of servers, each following the one before through a proxy.
struct Chain {
    nodes: Vec<Server>,
    links: Vec<Proxy>,
}

impl Chain {
    fn new(programs: &[Program]) -> Self {
        let nodes: Vec<Server> = programs.iter().map(|&program| start(program)).collect();
        let mut links = Vec::new();
        for pair in nodes.windows(2) {
            let link = Proxy::to(pair[0].port());
            follow(&pair[1], link.port());
            links.push(link);
        }
        Self { nodes, links }
    }

    fn head(&self) -> &Server {
        &self.nodes[0]
    }

    fn tail(&self) -> &Server {
        self.nodes.last().unwrap()
    }

    /// Waits until all have caught up.
    fn settle(&self) {
        self.nodes.windows(2).for_each(|pair| settle(&pair[0], &pair[1]));
    }

    /// Cuts a link during heavy writes, and heals it.
    fn cut(&self, index: usize, load: &Load) {
        let (master, replica) = (&self.nodes[index], &self.nodes[index + 1]);
        let before = syncs(master);
        self.links[index].cut();
        until("the replica misses its master", || !is_linked(replica));
        load.await_commands(2000);
        self.links[index].heal();
        until("the link is up again", || is_linked(replica));
        load.await_commands(500);
        let after = syncs(master);
        assert_eq!(after.full, before.full, "no full resync: {}", master.log_text());
        assert_eq!(after.partial, before.partial + 1, "{}", master.log_text());
    }
}

fn survives_cuts(programs: &[Program]) {
    let chain = Chain::new(programs);
    // Some more data, so that random writes hit existing keys.
    ok(chain.head(), "SET first 1");
    chain.settle();
    let load = Load::start(chain.head().port(), programs.len() as u64);
    load.await_commands(3000);
    for round in 0..3 {
        for index in 0..chain.links.len() {
            chain.cut(index, &load);
        }
        if round == 1 {
            // All of them at once.
            chain.links.iter().for_each(Proxy::cut);
            until("no link is up", || !chain.nodes[1..].iter().any(is_linked));
            load.await_commands(1000);
            chain.links.iter().for_each(Proxy::heal);
            until("all links are up", || chain.nodes[1..].iter().all(is_linked));
        }
    }
    load.stop();
    chain.settle();
    for node in &chain.nodes[..chain.links.len()] {
        assert_eq!(syncs(node).full, 1, "{}", node.log_text());
        assert!(syncs(node).partial >= 3);
    }
    let mute = |node: &&Server| !node.log_text().contains("CRITICAL");
    assert!(chain.nodes.iter().all(|node| mute(&node)), "a replica answered with an error");
}

#[test]
fn cuts_between_limpids_are_healed_partially() {
    survives_cuts(&[Limpid, Limpid, Limpid]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn cuts_are_healed_partially_with_redis_as_replica_and_a_limpid_behind_it() {
    survives_cuts(&[Limpid, Redis, Limpid]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn cuts_are_healed_partially_with_redis_as_master_and_behind_it() {
    survives_cuts(&[Redis, Limpid, Redis]);
}

/// Messages published on the first server reach subscribers on the last, from transactions too.
fn messages_reach_the_end(programs: &[Program]) {
    let chain = Chain::new(programs);
    let mut subscriber = chain.tail().connect();
    say(&mut subscriber, "SUBSCRIBE news");
    let mut next = || subscriber.read_reply().unwrap().to_string();
    ask(chain.head(), "PUBLISH news one");
    assert_eq!(next(), "array[bulk \"message\", bulk \"news\", bulk \"one\"]");
    let mut client = chain.head().connect();
    for command in ["MULTI", "SET a 1", "PUBLISH news two", "EXEC"] {
        say(&mut client, command);
    }
    assert_eq!(next(), "array[bulk \"message\", bulk \"news\", bulk \"two\"]");
    until("the write of the transaction is there", || ask(chain.tail(), "GET a") == "bulk \"1\"");
}

#[test]
fn messages_reach_limpids() {
    messages_reach_the_end(&[Limpid, Limpid, Limpid]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn messages_reach_the_end_of_mixed_chains() {
    messages_reach_the_end(&[Limpid, Redis, Limpid]);
    messages_reach_the_end(&[Redis, Limpid, Redis]);
}

/// A full resync transfers the existing data: all databases, with expiries.
fn begins_with_all_data(programs: &[Program]) {
    let nodes: Vec<Server> = programs.iter().map(|&program| start(program)).collect();
    let load = Load::start(nodes[0].port(), 99);
    load.await_commands(5000);
    // Attach them during writes.
    for pair in nodes.windows(2) {
        follow(&pair[1], pair[0].port());
    }
    load.await_commands(2000);
    load.stop();
    nodes.windows(2).for_each(|pair| settle(&pair[0], &pair[1]));
    assert!(nodes[..nodes.len() - 1].iter().all(|node| syncs(node).full == 1));
}

#[test]
fn a_full_resync_under_load_between_limpids() {
    begins_with_all_data(&[Limpid, Limpid, Limpid]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_full_resync_under_load_in_mixed_chains() {
    begins_with_all_data(&[Limpid, Redis, Limpid]);
    begins_with_all_data(&[Redis, Limpid, Redis]);
}

/// A key that expired on the master but was not yet removed there: hidden on the replica, but kept
/// until the master deletes it.
fn expires_by_the_masters_word(master: Program, replica: Program) {
    let chain = Chain::new(&[master, replica]);
    let (master, replica) = (chain.head(), chain.tail());
    for server in &chain.nodes {
        ok(server, "DEBUG SET-ACTIVE-EXPIRE 0");
    }
    ok(master, "SET short 1 PX 50");
    ok(master, "SET long 1");
    chain.settle();
    until("the key is hidden", || ask(replica, "GET short") == "null bulk");
    assert_eq!(ask(replica, "EXISTS short long"), "integer 1");
    assert_eq!(ask(replica, "KEYS *"), "array[bulk \"long\"]");
    assert_eq!(ask(replica, "TTL short"), "integer -2");
    assert_eq!(scan_all(replica), [b"long".to_vec()]);
    assert_eq!(number(replica, "DBSIZE"), 2);
    let offset = info(replica, "slave_repl_offset");
    assert_eq!(offset, info(master, "master_repl_offset"), "the replica adds nothing");
    // An access on the master removes it everywhere.
    assert_eq!(ask(master, "GET short"), "null bulk");
    until("the replica has removed it", || number(replica, "DBSIZE") == 1);
    // With active expiry on, the master removes it.
    for server in &chain.nodes {
        ok(server, "DEBUG SET-ACTIVE-EXPIRE 1");
    }
    ok(master, "SET short 1 PX 50");
    until("the replica has removed it", || number(replica, "DBSIZE") == 1);
    chain.settle();
}

/// All keys that SCAN returns.
fn scan_all(server: &Server) -> Vec<Vec<u8>> {
    let (mut cursor, mut keys) = (b"0".to_vec(), Vec::new());
    loop {
        let reply = server.call(&[b"SCAN", &cursor]).unwrap();
        let items = reply.items().unwrap();
        cursor = items[0].text().unwrap().to_vec();
        let found = items[1].items().unwrap();
        keys.extend(found.iter().filter_map(Reply::text).map(<[u8]>::to_vec));
        if cursor == b"0" {
            return keys;
        }
    }
}

#[test]
fn a_limpid_expires_by_its_masters_word() {
    expires_by_the_masters_word(Limpid, Limpid);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_replica_expires_by_its_masters_word_across_programs() {
    expires_by_the_masters_word(Limpid, Redis);
    expires_by_the_masters_word(Redis, Limpid);
}

/// A replica's own log equals its master's: nothing else gets in between.
#[test]
fn a_replica_passes_on_exactly_what_it_got() {
    let chain = Chain::new(&[Limpid, Limpid, Limpid]);
    let load = Load::start(chain.head().port(), 77);
    load.await_commands(2000);
    // On a replica, reads of expired keys and messages add nothing.
    let mut reader = chain.nodes[1].connect();
    for turn in 0..2000 {
        reader.call(&words(&format!("GET key:{}", turn % 300))).unwrap();
    }
    say(&mut reader, "PUBLISH news local");
    load.stop();
    chain.settle();
    let id = info(chain.head(), "master_replid");
    assert!(chain.nodes.iter().all(|node| info(node, "master_replid") == id));
}

/// Each form of a command has the same effect on all servers, one by one.
fn every_command_arrives(programs: &[Program]) {
    let chain = Chain::new(programs);
    let mut writer = Writer::new(chain.head().port(), 40);
    for turn in 0..4 {
        for form in FORMS.iter().chain(&["FLUSHDB", "SET K V"]) {
            writer.write(form);
            if turn == 3 {
                chain.settle();
            }
        }
        chain.settle();
    }
    writer.write("FLUSHALL");
    chain.settle();
    assert_eq!(number(chain.tail(), "DBSIZE"), 0);
}

#[test]
fn every_command_arrives_at_limpids() {
    every_command_arrives(&[Limpid, Limpid, Limpid]);
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn every_command_arrives_in_mixed_chains() {
    every_command_arrives(&[Limpid, Redis, Limpid]);
    every_command_arrives(&[Redis, Limpid, Redis]);
}
