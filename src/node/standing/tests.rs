use super::*;
use crate::engine::fixture::Fixture;
use crate::settings::Settings;

const TIMEOUT_MS: i64 = 30_000;

const PEERS: Kept = Kept {
    has_peers: true,
    has_sentinels: false,
    was_named: false,
    sentinel_epoch: 0,
    config_epoch: 0,
    sentinels: Vec::new(),
};

fn restarted(kept: Kept) -> Standing {
    let standing = Standing::default();
    standing.begin(kept, false, 0);
    standing
}

fn hello(sentinel_epoch: u64, config_epoch: u64) -> SentinelHello<'static> {
    SentinelHello {
        address: "10.0.0.9",
        sentinel_port: 26379,
        sentinel_epoch,
        master_name: "main",
        host: "10.0.0.2",
        port: 6379,
        config_epoch,
    }
}

#[test]
fn a_hello_is_read_as_sentinels_write_it() {
    let text = b"127.0.0.1,26379,4f7da5b2,7,main,fd00::2,6380,6";
    let expected =
        SentinelHello { address: "127.0.0.1", host: "fd00::2", port: 6380, ..hello(7, 6) };
    assert_eq!(SentinelHello::parse(text), Some(expected));
    let sentinel = expected.sentinel().expect("an address");
    assert_eq!((&*sentinel.address, &*sentinel.master_name), ("127.0.0.1:26379", "main"));
    for wrong in ["", "a,b", "a,1,r,7,main,h,6380", "a,1,r,7,main,h,6380,6,7", "a,1,r,x,m,h,1,6"] {
        assert_eq!(SentinelHello::parse(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn a_master_without_peers_and_a_replica_are_not_held_up() {
    assert!(Standing::default().is_confirmed());
    assert!(restarted(Kept::default()).is_confirmed());
    let replica = Standing::default();
    replica.begin(PEERS, true, 0);
    assert!(replica.is_confirmed());
}

#[test]
fn a_master_that_had_replicas_waits_for_a_word_or_for_time() {
    let standing = restarted(PEERS);
    let unconfirmed = |now_ms| standing.unconfirmed(now_ms, TIMEOUT_MS);
    assert_eq!(unconfirmed(0), Some(Unconfirmed::Unheard));
    assert_eq!(unconfirmed(TIMEOUT_MS - 1), Some(Unconfirmed::Unheard));
    assert_eq!(unconfirmed(TIMEOUT_MS), None);
    standing.serve(5000);
    assert_eq!(unconfirmed(TIMEOUT_MS), Some(Unconfirmed::Unheard), "it had to load first");
    standing.hear(hello(1, 1), Named::Unclear, 6000);
    assert!(!standing.is_confirmed());
    standing.hear(hello(1, 1), Named::This, 6001);
    assert_eq!(unconfirmed(6001), None);
}

#[test]
fn a_hello_with_another_master_denies_for_as_long_as_it_comes() {
    let standing = restarted(Kept { was_named: true, config_epoch: 1, ..PEERS });
    standing.hear(hello(2, 2), Named::Other, 1000);
    standing.hear(hello(2, 2), Named::Other, 20_000);
    let unconfirmed = |now_ms| standing.unconfirmed(now_ms, TIMEOUT_MS);
    assert_eq!(unconfirmed(49_999), Some(Unconfirmed::Denied));
    assert_eq!(unconfirmed(50_000), None);
    // A sentinel that missed the failover.
    standing.hear(hello(1, 1), Named::This, 21_000);
    assert_eq!(unconfirmed(21_000), Some(Unconfirmed::Denied));
    standing.hear(hello(2, 2), Named::This, 21_001);
    assert_eq!(unconfirmed(21_001), Some(Unconfirmed::Denied), "of one epoch, one is wrong");
    standing.hear(hello(3, 3), Named::This, 22_000);
    assert_eq!(unconfirmed(22_000), None);
}

#[test]
fn where_addresses_are_translated_a_denial_ends_with_the_time() {
    let standing = restarted(PEERS);
    standing.hear(hello(1, 1), Named::Other, 20_000);
    assert_eq!(standing.unconfirmed(29_999, TIMEOUT_MS), Some(Unconfirmed::Denied));
    assert_eq!(standing.unconfirmed(TIMEOUT_MS, TIMEOUT_MS), None);
    standing.confirm("of time");
    standing.hear(hello(2, 2), Named::Other, TIMEOUT_MS);
    assert!(standing.is_confirmed());
}

#[test]
fn an_election_that_began_meanwhile_is_waited_for() {
    let kept = Kept { has_sentinels: true, sentinel_epoch: 5, config_epoch: 5, ..PEERS };
    let first = restarted(PEERS);
    first.hear(hello(1, 0), Named::This, 1000);
    assert!(!first.is_confirmed(), "the first of all");
    let same = restarted(kept.clone());
    same.hear(hello(5, 5), Named::This, 1000);
    assert!(same.is_confirmed(), "there was none");
    let won = restarted(kept.clone());
    won.hear(hello(6, 5), Named::This, 1000);
    assert!(!won.is_confirmed());
    won.hear(hello(6, 6), Named::Other, 2000);
    won.hear(hello(6, 5), Named::This, 11_500);
    assert!(!won.is_confirmed());
    let again = restarted(kept.clone());
    again.hear(hello(6, 6), Named::This, 1000);
    assert!(again.is_confirmed(), "it has ended");
    let failed = restarted(kept);
    failed.hear(hello(6, 5), Named::This, 1000);
    failed.hear(hello(6, 5), Named::This, 10_999);
    assert!(!failed.is_confirmed());
    failed.hear(hello(6, 5), Named::This, 11_000);
    assert!(failed.is_confirmed());
}

#[test]
fn a_confirmed_role_is_denied_by_a_later_configuration_alone() {
    let standing = restarted(PEERS);
    standing.hear(hello(3, 3), Named::This, 0);
    standing.hear(hello(3, 3), Named::Other, 1);
    standing.hear(hello(3, 2), Named::Other, 2);
    assert!(standing.is_confirmed());
    standing.hear(hello(4, 4), Named::Other, 3);
    assert_eq!(standing.unconfirmed(3, TIMEOUT_MS), Some(Unconfirmed::Denied));
}

#[test]
fn what_is_kept_is_written_when_it_changes() {
    let standing = restarted(Kept::default());
    assert_eq!(standing.take_unwritten(), None);
    standing.hear(hello(2, 1), Named::This, 0);
    let kept = Kept {
        has_sentinels: true,
        was_named: true,
        sentinel_epoch: 2,
        config_epoch: 1,
        sentinels: hello(2, 1).sentinel().into_iter().collect(),
        ..Kept::default()
    };
    assert_eq!(standing.take_unwritten(), Some(kept.clone()));
    standing.hear(hello(2, 1), Named::This, 0);
    assert_eq!(standing.take_unwritten(), None);
    standing.rewrite();
    assert_eq!(standing.take_unwritten(), Some(kept));
}

/// A restarted master, with a client's origin address.
fn node(kept: Kept, settings: Settings) -> (Fixture, SocketAddr) {
    let fixture = Fixture::with(settings, &[]);
    let node = &fixture.engine.node;
    node.standing.begin(kept, false, node.clock.unix_ms());
    (fixture, "10.0.0.1:6379".parse().expect("an address"))
}

#[test]
fn a_node_is_named_by_the_address_that_the_sentinel_reached_or_by_what_it_announces() {
    let mut announcing = Settings::default();
    announcing.replication.announce_ip = "Node-1.example".into();
    announcing.replication.announce_port = 7000;
    for (settings, address, named) in [
        (Settings::default(), "10.0.0.1,6379", Named::This),
        (Settings::default(), "::ffff:10.0.0.1,6379", Named::This),
        (Settings::default(), "10.0.0.1,6380", Named::Other),
        (Settings::default(), "10.0.0.2,6379", Named::Other),
        (Settings::default(), "node-1.example,6379", Named::Unclear),
        (announcing.clone(), "node-1.example,7000", Named::This),
        (announcing.clone(), "node-1.example,6379", Named::Unclear),
        (announcing, "10.0.0.2,7000", Named::Other),
    ] {
        let (fixture, local) = node(PEERS, settings);
        let text = format!("10.9.9.9,26379,id,1,main,{address},1");
        let hello = SentinelHello::parse(text.as_bytes()).expect("a hello");
        assert_eq!(fixture.engine.node.named(&hello, Some(local)), named, "{address}");
    }
}

#[test]
fn an_operator_confirms_and_so_does_a_replica_where_no_sentinel_is_known() {
    let online = |fixture: &mut Fixture| {
        fixture.run("r", "REPLCONF listening-port 7001 capa psync2");
        let offer = format!("PSYNC {} 1", fixture.engine.node.log.ids().id);
        let answer = fixture.run("r", &offer);
        let replicas = fixture.engine.node.replication.replicas.all();
        let phase = replicas.first().and_then(|replica| replica.phase());
        assert_eq!(phase, Some(Phase::Online), "{answer}");
        fixture.engine.node.look_at_standing();
        fixture.engine.node.standing.is_confirmed()
    };
    let recording = |kept| {
        let (fixture, _) = node(kept, Settings::default());
        fixture.engine.node.log.start(1 << 20);
        fixture
    };
    let mut fixture = recording(PEERS);
    fixture.engine.node.look_at_standing();
    assert!(!fixture.engine.node.standing.is_confirmed());
    assert!(online(&mut fixture));
    assert!(!online(&mut recording(Kept { has_sentinels: true, ..PEERS })), "one is known");
    let mut fixture = recording(PEERS);
    fixture.run("s", "CLIENT SETNAME sentinel-0123-cmd");
    assert!(!online(&mut fixture), "one is connected");
    fixture.run("a", "REPLICAOF NO ONE");
    assert!(fixture.engine.node.standing.is_confirmed());
}

#[test]
fn answers_count_when_all_agree_and_nobody_is_replaced() {
    let (fixture, local) = node(Kept { sentinel_epoch: 2, ..PEERS }, Settings::default());
    let node = &fixture.engine.node;
    let answer = |host: &str, settled| {
        let answer =
            Answer { host: host.to_owned(), port: 6379, config_epoch: 3, settled, others: 1 };
        Some((answer, local))
    };
    let now_ms = node.clock.unix_ms();
    let after = |answers: &[Option<(Answer, SocketAddr)>]| {
        node.standing.begin(PEERS, false, now_ms);
        node.hear_answers(answers);
        node.standing.unconfirmed(now_ms, TIMEOUT_MS)
    };
    let this = || answer("10.0.0.1", true);
    let unheard = Some(Unconfirmed::Unheard);
    assert_eq!(after(&[]), unheard);
    assert_eq!(after(&[this()]), unheard, "it knows another");
    assert_eq!(after(&[this(), None]), unheard);
    assert_eq!(after(&[this(), answer("10.0.0.1", false)]), unheard);
    assert_eq!(after(&[this(), this()]), None);
    node.standing.confirm("for the next");
    assert_eq!(after(&[None, answer("10.0.0.2", true), this()]), Some(Unconfirmed::Denied));
}
