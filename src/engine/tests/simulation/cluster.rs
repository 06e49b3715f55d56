//! The cluster and its events.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::counts::Counts;
use super::network::{Network, Read};
use super::node::{Follow, Load, SimNode, Waited, host, port};
use super::random::Random;
use crate::engine::follow::{Lost, ResyncStep};
use crate::node::host::Clock as _;
use crate::node::replication::{Failover, LinkState};

/// A master, two replicas, and a replica of the second.
pub(super) const NODES: usize = 4;
const FIRST_MASTERS: [Option<usize>; NODES] = [None, Some(0), Some(0), Some(2)];

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) random: Random,
    pub(super) nodes: Vec<SimNode>,
    pub(super) network: Network,
    pub(super) counts: Counts,
    /// Whether roles change in this seed.
    roles_change: bool,
    /// Whether nodes end and begin again.
    restarts: bool,
    /// Values may be long.
    long: bool,
    told: bool,
    /// All disturbances are over.
    pub(super) quiet: bool,
}

impl Cluster {
    pub(super) fn new(seed: u64, told: bool) -> Self {
        let mut random = Random::new(seed);
        let nodes = (0..NODES).map(|index| SimNode::new(index, &mut random)).collect();
        let (roles_change, long) = (random.percent(75), random.percent(60));
        let restarts = random.percent(30);
        let (network, counts) = (Network::default(), Counts::default());
        let mut cluster = Self {
            random,
            nodes,
            network,
            counts,
            roles_change,
            restarts,
            long,
            told,
            quiet: false,
        };
        for (index, master) in FIRST_MASTERS.into_iter().enumerate() {
            if let Some(master) = master {
                cluster.replicate(index, master);
            }
        }
        cluster
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.told {
            eprintln!("{}", what());
        }
    }

    /// Runs one event.
    pub(super) fn event(&mut self) {
        let node = self.random.below(NODES);
        match self.random.below(1000) {
            0..450 => self.carry_some(),
            450..650 => self.call(),
            650..700 => {
                let long = self.random.percent(4);
                let ms = self.random.between(0, if long { 3000 } else { 30 });
                self.advance_ms(ms as i64);
            }
            700..900 => self.drive(node),
            900..960 => {
                let (bytes, fails) = (self.random.between(1, 5000), self.random.percent(3));
                self.nodes[node].host.send_some(bytes, fails);
            }
            960..970 => self.nodes[node].sweep(),
            970..980 => self.nodes[node].look_after_replicas(),
            980..988 => self.disturb(),
            988..991 => self.nodes[node].save(),
            991 if self.restarts => self.restart(node),
            991..995 => {}
            _ if self.roles_change => self.change_roles(),
            _ => {}
        }
        self.note_begun();
    }

    pub(super) fn advance_ms(&self, ms: i64) {
        self.nodes.iter().for_each(|node| node.clock.advance_ms(ms));
    }

    /// Records which logs have begun.
    fn note_begun(&mut self) {
        for node in &mut self.nodes {
            if node.begun.is_none() && node.node().log.has_backlog() {
                node.begun = Some(node.node().log.offset());
            }
        }
    }

    /// Moves some bytes along one connection, or lets an end notice that it is closed.
    fn carry_some(&mut self) {
        let wires: Vec<u64> = self.network.wires.keys().copied().collect();
        if wires.is_empty() {
            return;
        }
        let wire = *self.random.pick(&wires);
        let bytes = match self.random.below(3) {
            0 => self.random.between(1, 5),
            1 => self.random.between(1, 300),
            _ => 100_000,
        };
        if self.random.percent(40) {
            self.carry_to_master(wire, bytes);
        } else {
            self.carry_to_replica(wire, bytes);
        }
    }

    pub(super) fn carry_to_master(&mut self, wire: u64, bytes_max: usize) {
        let Some(Wire { master, asked }) = self.wire(wire) else { return };
        let read = match self.network.wires.get_mut(&wire) {
            Some(wire) => wire.to_master.read(bytes_max),
            None => return,
        };
        let node = &mut self.nodes[master];
        if !node.serving.contains_key(&wire) {
            return;
        }
        let goes_on = match read {
            Read::End => false,
            Read::Nothing if !node.holds_input(wire) => true,
            read => {
                let bytes = if let Read::Bytes(bytes) = read { bytes } else { Vec::new() };
                let before = (node.node().log.has_backlog(), resyncs(node));
                let (out, goes_on) = node.serve(wire, &bytes);
                if let Some(wire) = self.network.wires.get_mut(&wire) {
                    wire.to_replica.write(&out);
                }
                self.check_resync(master, asked, before);
                goes_on
            }
        };
        self.after_serving(master, wire, goes_on);
    }

    /// Makes a master send what a replica lacks.
    pub(super) fn feed(&mut self, wire: u64) {
        let Some(Wire { master, .. }) = self.wire(wire) else { return };
        let under_way = self.network.wires.get(&wire).map_or(0, |wire| wire.to_replica.len());
        let max = self.random.between(1, 8000);
        if !self.nodes[master].serving.contains_key(&wire) {
            return;
        }
        let (out, goes_on) = self.nodes[master].feed(wire, under_way, max);
        if let Some(wire) = self.network.wires.get_mut(&wire) {
            wire.to_replica.write(&out);
        }
        self.after_serving(master, wire, goes_on);
    }

    fn after_serving(&mut self, master: usize, wire: u64, goes_on: bool) {
        if !goes_on {
            self.nodes[master].stop_serving(wire);
            self.network.leave_as_master(wire);
        }
    }

    fn wire(&self, wire: u64) -> Option<Wire> {
        let wire = self.network.wires.get(&wire)?;
        Some(Wire { master: wire.master, asked: wire.asked.clone() })
    }

    pub(super) fn carry_to_replica(&mut self, wire: u64, bytes_max: usize) {
        let Some(replica) = self.network.wires.get(&wire).map(|wire| wire.replica) else { return };
        let node = &mut self.nodes[replica];
        // While it loads it does not read.
        match &node.follow {
            Follow::Line(line) if line.wire == wire && !line.session.is_loading() => {}
            _ => return,
        }
        let Some(pipe) = self.network.wires.get_mut(&wire).map(|wire| &mut wire.to_replica) else {
            return;
        };
        let result = match pipe.read(bytes_max) {
            Read::Nothing => Ok(()),
            Read::End => Err(Lost::Failed("the master closed it".into())),
            Read::Bytes(bytes) => self.receive(replica, &bytes),
        };
        self.after_following(replica, result);
    }

    /// A replica processes what its master sent.
    fn receive(&mut self, replica: usize, bytes: &[u8]) -> Result<(), Lost> {
        let long = self.random.percent(10);
        let delay_ms = self.random.below(if long { 2000 } else { 50 }) as i64;
        let node = &mut self.nodes[replica];
        let now_ms = node.clock.unix_ms();
        let Follow::Line(line) = &mut node.follow else { return Ok(()) };
        line.session.note_read(bytes.len());
        let mut input = bytes;
        loop {
            if line.session.is_loading() {
                line.held.extend_from_slice(input);
                return Ok(());
            }
            match line.session.next(&mut node.applier, &mut input)? {
                None => return Ok(()),
                Some(ResyncStep::Begin { offer, .. }) => {
                    let (generation, master) = (line.generation, line.master.clone());
                    let (bytes, due_ms) = (Vec::new(), now_ms + delay_ms);
                    line.load = Some(Load { generation, master, offer, bytes, due_ms });
                }
                Some(ResyncStep::Part(part)) => {
                    line.load.as_mut().expect("the RDB has begun").bytes.extend_from_slice(&part);
                }
                Some(ResyncStep::End) => {}
            }
        }
    }

    fn after_following(&mut self, replica: usize, result: Result<(), Lost>) {
        match result {
            Ok(()) => self.send_output(replica),
            Err(lost) => {
                self.tell(|| format!("{replica}: link over, {lost:?}"));
                check_lost(&lost);
                if let Some(wire) = self.nodes[replica].end_line(lost) {
                    self.network.leave_as_replica(wire);
                }
            }
        }
    }

    fn send_output(&mut self, replica: usize) {
        if let Follow::Line(line) = &mut self.nodes[replica].follow {
            let output = line.session.take_output();
            if let Some(wire) = self.network.wires.get_mut(&line.wire) {
                wire.to_master.write(&output);
            }
        }
    }

    /// Does a node's due work: as a master for its replicas, as a replica on its link.
    pub(super) fn drive(&mut self, index: usize) {
        let served: Vec<u64> = self.nodes[index].serving.keys().copied().collect();
        for wire in served {
            self.feed(wire);
            // Input held back by a pause.
            self.carry_to_master(wire, 0);
        }
        let now_ms = self.nodes[index].now_ms();
        while self.nodes[index].left_over.first().is_some_and(|load| load.due_ms <= now_ms) {
            let load = self.nodes[index].left_over.remove(0);
            let result = self.nodes[index].load(load, false);
            self.tell(|| format!("{index}: a load that was left over: {result:?}"));
        }
        match &self.nodes[index].follow {
            Follow::Resting(until_ms) => {
                let until_ms = *until_ms;
                self.rest(index, until_ms);
            }
            Follow::Line(_) => {
                let result = self.drive_line(index);
                self.after_following(index, result);
            }
        }
    }

    fn rest(&mut self, index: usize, until_ms: Option<i64>) {
        let node = &mut self.nodes[index];
        node.node().advance_failover();
        let looked = node.host.take_look();
        let master = node.node().settings.load().replication.master.clone();
        let Some(address) = master else { return };
        if until_ms.is_some_and(|until| node.now_ms() < until) && !looked {
            return;
        }
        let node_handle = Arc::clone(node.node());
        let generation = node_handle.replication.generation();
        let whole = node.retries.whole(&node_handle);
        node_handle.replication.update_link(|link| link.state = LinkState::Connecting);
        let master = usize::from(address.port) - 7000;
        if self.network.is_apart(index, master) {
            self.nodes[index].rest(generation, Lost::Failed("nobody answers".into()));
            return;
        }
        let log = &node_handle.log;
        let asked = (log.has_backlog() && !whole).then(|| (log.ids().id, log.offset()));
        self.tell(|| format!("{index}: connects to {master}, asks for {asked:?}"));
        let wire = self.network.connect(index, master, asked);
        self.nodes[master].accept(wire, index);
        self.nodes[index].begin_line(wire, address, whole);
        self.send_output(index);
    }

    fn drive_line(&mut self, index: usize) -> Result<(), Lost> {
        let fails = !self.quiet && self.random.percent(5);
        let node = &mut self.nodes[index];
        let now_ms = node.now_ms();
        let Follow::Line(line) = &mut node.follow else { return Ok(()) };
        if line.session.is_ended() {
            return Err(Lost::Failed("it was closed here".into()));
        }
        if now_ms - line.ticked_ms >= 1000 {
            line.ticked_ms = now_ms;
            line.session.tick()?;
        }
        if line.session.ack_due().is_some_and(|due| due.is_zero()) {
            line.session.acknowledge();
        }
        if line.session.is_loading() && line.load.as_ref().is_some_and(|load| load.due_ms <= now_ms)
        {
            let load = line.load.take().expect("looked at above");
            let held = std::mem::take(&mut line.held);
            let result = node.load(load, fails);
            self.tell(|| format!("{index}: loaded, {result:?}"));
            let Follow::Line(line) = &mut self.nodes[index].follow else { return Ok(()) };
            line.session.loaded(result)?;
            return self.receive(index, &held);
        }
        Ok(())
    }

    /// A client sends a command.
    fn call(&mut self) {
        let masters: Vec<usize> =
            (0..NODES).filter(|&index| !self.nodes[index].node().is_replica()).collect();
        let index = match masters.is_empty() || self.random.percent(15) {
            true => self.random.below(NODES),
            false => *self.random.pick(&masters),
        };
        let waited = self.nodes[index].call(&mut self.random, self.long);
        if let Some(waited) = waited {
            self.check_waited(index, &waited);
        }
    }

    /// Checks that as many replicas have the writes as WAIT counted.
    fn check_waited(&mut self, index: usize, waited: &Waited) {
        self.counts.waits += 1;
        // Where roles change, counted replicas may have moved to another history. A client that
        // wrote nothing waits for nothing.
        if self.roles_change || self.restarts || waited.offset == 0 {
            return;
        }
        let has = |node: &&SimNode| {
            let log = &node.node().log;
            node.index() != index && log.ids().id == waited.id && log.offset() >= waited.offset
        };
        let having = self.nodes.iter().filter(has).count();
        assert!(having >= waited.count, "WAIT told of more replicas than have it: {waited:?}");
    }

    /// Disturbs the network, or a node's connections.
    fn disturb(&mut self) {
        let wires: Vec<u64> = self.network.wires.keys().copied().collect();
        let (one, other) = (self.random.below(NODES), self.random.below(NODES));
        match self.random.below(10) {
            0..6 if !wires.is_empty() => {
                let wire = *self.random.pick(&wires);
                self.counts.cuts += 1;
                self.tell(|| format!("cut wire {wire}"));
                self.network.cut(wire);
            }
            6 if one != other => {
                self.tell(|| format!("{one} and {other} are apart"));
                self.network.part(one, other);
            }
            9 if !wires.is_empty() => {
                let ms = self.random.between(1, 2000).to_string();
                let kind = if self.random.percent(50) { "WRITE" } else { "ALL" };
                self.tell(|| format!("{one}: CLIENT PAUSE {ms} {kind}"));
                self.nodes[one].operate(&["CLIENT", "PAUSE", &ms, kind]);
            }
            7 | 8 => {
                let loads = |index: &usize| match &self.nodes[*index].follow {
                    Follow::Line(line) => line.session.is_loading(),
                    Follow::Resting(_) => false,
                };
                let one = (0..NODES).find(loads).unwrap_or(one);
                let what = if self.random.percent(60) { "master" } else { "replica" };
                self.tell(|| format!("{one}: kills {what}"));
                self.nodes[one].operate(&["CLIENT", "KILL", "TYPE", what]);
            }
            _ => {}
        }
        if self.random.percent(15) {
            self.network.heal();
        }
    }

    /// Ends a node, cleanly or not, and restarts it.
    fn restart(&mut self, index: usize) {
        if self.random.percent(50) {
            self.nodes[index].save();
        }
        let ends: Vec<(u64, bool)> = self
            .network
            .wires
            .iter()
            .filter(|(_, wire)| wire.replica == index || wire.master == index)
            .map(|(&id, wire)| (id, wire.replica == index))
            .collect();
        for (wire, as_replica) in ends {
            if as_replica {
                if matches!(&self.nodes[index].follow, Follow::Line(line) if line.wire == wire) {
                    self.network.leave_as_replica(wire);
                }
            } else if self.nodes[index].serving.contains_key(&wire) {
                self.network.leave_as_master(wire);
            }
        }
        self.nodes[index] = self.nodes[index].restarted(&mut self.random);
        self.counts.restarts += 1;
        let log = &self.nodes[index].node().log;
        let (ids, offset) = (log.ids(), log.offset());
        self.tell(|| format!("{index}: begins again, {ids:?} at {offset}"));
    }

    /// Makes a node follow another.
    pub(super) fn replicate(&mut self, index: usize, master: usize) {
        let (host, port) = (host(master), port(master).to_string());
        let reply = self.nodes[index].operate(&["REPLICAOF", &host, &port]);
        self.tell(|| format!("{index}: REPLICAOF {master}: {reply}"));
    }

    /// The nodes from which a node's data come, itself first.
    pub(super) fn sources(&self, index: usize) -> Vec<usize> {
        let mut sources = vec![index];
        let mut seen = BTreeSet::from([index]);
        let mut at = index;
        while let Some(master) = self.nodes[at].master()
            && seen.insert(master)
        {
            sources.push(master);
            at = master;
        }
        sources
    }

    /// An operator runs a command.
    fn change_roles(&mut self) {
        let (one, other) = (self.random.below(NODES), self.random.below(NODES));
        match self.random.below(10) {
            0..3 => self.promote(one),
            // In a circle no node is master.
            3..7 if one != other && !self.sources(other).contains(&one) => {
                self.replicate(one, other);
            }
            7..10 => self.fail_over(one),
            _ => {}
        }
    }

    fn promote(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let (was_replica, ids) = (node.node().is_replica(), node.node().log.ids());
        let offset = node.node().log.offset();
        let recording = node.node().log.has_backlog();
        let reply = node.operate(&["REPLICAOF", "NO", "ONE"]);
        let now = self.nodes[index].node().log.ids();
        self.tell(|| format!("{index}: REPLICAOF NO ONE: {reply}, {now:?} at {offset}"));
        if was_replica && reply == "+OK" && recording {
            self.counts.promotions += 1;
            assert_eq!(now.earlier, Some((ids.id, offset)), "the history goes on");
        }
    }

    /// Fails over, mostly where that can begin at all.
    fn fail_over(&mut self, any: usize) {
        let timeout = self.random.between(1, 2000).to_string();
        let replicas: Vec<usize> = (0..NODES)
            .filter(|&index| {
                let master = self.nodes[index].master();
                master.is_some_and(|master| !self.nodes[master].node().is_replica())
            })
            .collect();
        let (index, target) = match replicas.is_empty() || self.random.percent(10) {
            true => (any, self.random.below(NODES)),
            false => {
                let target = *self.random.pick(&replicas);
                (self.nodes[target].master().unwrap_or(any), target)
            }
        };
        let (host, port) = (host(target), port(target).to_string());
        let words: &[&str] = match self.random.below(8) {
            0 => &["FAILOVER", "ABORT"],
            1 => &["FAILOVER"],
            2 => &["FAILOVER", "TIMEOUT", &timeout],
            3 => &["FAILOVER", "TO", &host, &port, "TIMEOUT", &timeout],
            4..7 => &["FAILOVER", "TO", &host, &port, "FORCE", "TIMEOUT", &timeout],
            _ => &["FAILOVER", "TO", &host, &port],
        };
        let reply = self.nodes[index].operate(words);
        self.tell(|| format!("{index}: {words:?}: {reply}"));
        if reply == "+OK" && self.nodes[index].node().replication.failover() != Failover::None {
            self.counts.failovers += 1;
        }
    }

    /// Whether a replica that came with a history and an offset got the resync that the model
    /// expects.
    fn check_resync(
        &mut self,
        master: usize,
        asked: Option<(String, u64)>,
        before: (bool, (u64, u64)),
    ) {
        let node = &self.nodes[master];
        let (recorded, (full_before, partial_before)) = before;
        let (full, partial) = resyncs(node);
        if (full, partial) == (full_before, partial_before) {
            return;
        }
        self.counts.full += full - full_before;
        self.counts.partial += partial - partial_before;
        let log = &node.node().log;
        let (ids, end) = (log.ids(), log.offset());
        let known = asked.as_ref().filter(|_| recorded).is_some_and(|(id, have)| {
            let earlier = |(earlier, shared): &(String, u64)| earlier == id && have <= shared;
            ids.id == *id && *have <= end || ids.earlier.as_ref().is_some_and(earlier)
        });
        let have = asked.as_ref().map_or(0, |(_, have)| *have);
        let backlog = node.node().backlog_bytes_max() as u64;
        let begun = node.begun.unwrap_or(u64::MAX);
        let covered = have >= begun && have + backlog >= end;
        let is_full = full > full_before;
        let described = format!(
            "{master} was asked for {asked:?} and has {ids:?} up to {end}, begun at {begun}, \
             backlog {backlog}"
        );
        self.tell(|| format!("{}: {described}", if is_full { "full" } else { "partial" }));
        if is_full {
            assert!(!(known && covered), "a needless full resync: {described}");
        } else {
            assert!(known && have >= begun, "a partial resync out of nothing: {described}");
        }
    }
}

/// The needed properties of a wire.
struct Wire {
    master: usize,
    asked: Option<(String, u64)>,
}

/// Full and partial resyncs that a node has served.
fn resyncs(node: &SimNode) -> (u64, u64) {
    let stats = &node.node().stats;
    (stats.sync_full.get(), stats.sync_partial_ok.get())
}

/// Links end because of the network, roles or the guard; never because of what was sent.
fn check_lost(lost: &Lost) {
    const FINE: &[&str] = &[
        "the master closed it",
        "it was closed here",
        "Master is currently unable to PSYNC: -NOMASTERLINK",
        "Failover target rejected psync request: -ERR PSYNC FAILOVER",
        "Failover target rejected psync request: -NOMASTERLINK",
    ];
    match lost {
        Lost::Changed | Lost::Refused(_) => {}
        Lost::Failed(reason) if FINE.iter().any(|fine| reason.starts_with(fine)) => {}
        // An injected load failure.
        Lost::Failed(reason) if reason.contains("end of") => {}
        lost => panic!("a link was lost to {lost:?}"),
    }
}
