//! Whether this node's role as a master is confirmed: `/primary` checks it in addition to the role.
//!
//! A master that is killed and restarts does not know whether a replica has taken its place: it
//! starts as a master and stays one until sentinels demote it, some eleven seconds later. Until
//! then a load balancer must not route clients to it. So a node that had replicas before its
//! restart treats its role as unconfirmed until one of these:
//!
//! - A sentinel's hello that names this node as the master confirms; one that names another denies.
//!   The greater config epoch wins. If the sentinels have begun an election since their last hello,
//!   a hello from before its end proves nothing yet; it counts once repeated for so long that the
//!   election must have failed.
//! - REPLICAOF NO ONE, from an operator or a sentinel, confirms.
//! - An online replica confirms, if no sentinel is known.
//! - A timeout confirms: a node not demoted by then will not be.
//!
//! [`Kept`] is the part that must survive a restart; the outer layer writes it to a file. Only
//! `/primary`, and `/read-only` of a master, use the result.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Node;
use super::client::Origin;
use crate::replication::Phase;
use crate::telemetry::log::log;

/// The channel on which sentinels announce the master.
pub(crate) const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";
/// Prefix of the names of sentinels' connections.
const SENTINEL_PREFIX: &[u8] = b"sentinel-";
/// An election has failed if hellos still name the old master this many milliseconds after it
/// began. Sentinels take one or two seconds from the vote to the new master's hello.
const ELECTION_MS: i64 = 10_000;

/// A sentinel that can be queried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownSentinel {
    /// As `address:port`.
    pub(crate) address: String,
    /// The sentinel's name for this node's master.
    pub(crate) master_name: String,
}

/// More than the sentinels that watch one master in practice.
const SENTINELS_MAX: usize = 16;

/// A sentinel's answer to a query for its master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) config_epoch: u64,
    /// Neither down nor being replaced.
    pub(crate) settled: bool,
    /// Number of other sentinels it knows.
    pub(crate) others: usize,
}

impl Answer {
    fn as_hello(&self) -> SentinelHello<'_> {
        SentinelHello {
            address: "",
            sentinel_port: 0,
            sentinel_epoch: self.config_epoch,
            master_name: "",
            host: &self.host,
            port: self.port,
            config_epoch: self.config_epoch,
        }
    }
}

/// The state that survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// It has replicas, or is one: another node could have become master meanwhile.
    pub(crate) has_peers: bool,
    /// Sentinel hellos were received.
    pub(crate) has_sentinels: bool,
    /// A sentinel has named this node by an address that it recognizes as its own, so a hello with
    /// another address means another node.
    pub(crate) was_named: bool,
    /// The greatest sentinel epoch; increments when an election begins.
    pub(crate) sentinel_epoch: u64,
    /// The greatest config epoch; increments when an election ends.
    pub(crate) config_epoch: u64,
    /// The most recently heard sentinels.
    pub(crate) sentinels: Vec<KnownSentinel>,
}

/// A sentinel's hello, sent to every node about every two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SentinelHello<'m> {
    /// The sentinel's own address; empty if this came from a query.
    address: &'m str,
    sentinel_port: u16,
    sentinel_epoch: u64,
    master_name: &'m str,
    host: &'m str,
    port: u16,
    config_epoch: u64,
}

impl<'m> SentinelHello<'m> {
    /// Parses `ip,port,runid,epoch,name,master's ip,master's port,config epoch`.
    fn parse(message: &'m [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let mut words = text.split(',');
        let (address, sentinel_port) = (words.next()?, words.next()?.parse().ok()?);
        let sentinel_epoch = words.nth(1)?.parse().ok()?;
        let master_name = words.next()?;
        let hello = Self {
            address,
            sentinel_port,
            sentinel_epoch,
            master_name,
            host: words.next()?,
            port: words.next()?.parse().ok()?,
            config_epoch: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(hello)
    }

    /// The sentinel to query; `None`: it gives no address.
    fn sentinel(&self) -> Option<KnownSentinel> {
        let address = SocketAddr::new(self.address.parse().ok()?, self.sentinel_port);
        let master_name = self.master_name.to_owned();
        Some(KnownSentinel { address: address.to_string(), master_name })
    }
}

/// The node that a hello names as the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    This,
    Other,
    /// A name that is neither an address nor the announced one.
    Unclear,
}

/// Why the role is not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unconfirmed {
    /// No evidence yet.
    Unheard,
    /// A sentinel names another master.
    Denied,
}

impl Unconfirmed {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Unheard => "role not confirmed: this node had replicas before its restart",
            Self::Denied => "role not confirmed: a sentinel names another master",
        }
    }
}

#[derive(Debug, Default)]
struct Evidence {
    kept: Kept,
    /// The file is outdated.
    unwritten: bool,
    /// The last sentinel epoch known before the restart.
    epoch_before: u64,
    /// Start of unconfirmed service, Unix milliseconds.
    began_ms: i64,
    /// Time and config epoch of the last denial.
    denied: Option<(i64, u64)>,
    /// Since when hellos name this node and no other.
    named_since_ms: Option<i64>,
}

/// The standing of this node's role.
#[derive(Debug)]
pub(crate) struct Standing {
    confirmed: AtomicBool,
    state: Mutex<Evidence>,
}

impl Default for Standing {
    fn default() -> Self {
        Self { confirmed: AtomicBool::new(true), state: Mutex::default() }
    }
}

impl Standing {
    /// Restores the kept state, before any connection.
    pub(crate) fn begin(&self, kept: Kept, is_replica: bool, now_ms: i64) {
        let mut state = self.state.lock();
        state.epoch_before = kept.sentinel_epoch;
        state.began_ms = now_ms;
        self.confirmed.store(is_replica || !kept.has_peers, Ordering::Release);
        state.kept = kept;
    }

    /// Called once the data are loaded: from here on, sentinels get answers.
    pub(crate) fn serve(&self, now_ms: i64) {
        self.state.lock().began_ms = now_ms;
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire)
    }

    /// Why a master's role is not confirmed; `None`: it is confirmed.
    pub(crate) fn unconfirmed(&self, now_ms: i64, timeout_ms: i64) -> Option<Unconfirmed> {
        if self.is_confirmed() {
            return None;
        }
        let state = self.state.lock();
        let lasting = state.denied.filter(|_| state.kept.was_named);
        let since_ms = lasting.map_or(state.began_ms, |(at_ms, _)| at_ms.max(state.began_ms));
        (now_ms - since_ms < timeout_ms).then_some(match state.denied {
            Some(_) => Unconfirmed::Denied,
            None => Unconfirmed::Unheard,
        })
    }

    /// Confirms the role; logs the reason.
    pub(crate) fn confirm(&self, by: &str) {
        let was = self.confirmed.swap(true, Ordering::AcqRel);
        let mut state = self.state.lock();
        (state.denied, state.named_since_ms) = (None, None);
        drop(state);
        if !was {
            log!(Notice, "The role of a master is confirmed: {by}");
        }
    }

    /// The sentinels that can be queried.
    pub(crate) fn sentinels(&self) -> Vec<KnownSentinel> {
        self.state.lock().kept.sentinels.clone()
    }

    /// Whether there are peers, whether there are sentinels, and since when this node has served.
    fn surroundings(&self) -> (bool, bool, i64) {
        let state = self.state.lock();
        (state.kept.has_peers, state.kept.has_sentinels, state.began_ms)
    }

    fn set_has_peers(&self, has_peers: bool) {
        let mut state = self.state.lock();
        state.unwritten |= state.kept.has_peers != has_peers;
        state.kept.has_peers = has_peers;
    }

    /// Records a hello's data other than its master. Returns the known config epoch, and whether
    /// this hello raised it.
    fn note(&self, hello: &SentinelHello<'_>, named: Named) -> (u64, bool) {
        let mut state = self.state.lock();
        let before = state.kept.clone();
        let kept = &mut state.kept;
        kept.has_sentinels = true;
        kept.sentinel_epoch = kept.sentinel_epoch.max(hello.sentinel_epoch);
        let newer = hello.config_epoch > kept.config_epoch;
        kept.config_epoch = kept.config_epoch.max(hello.config_epoch);
        kept.was_named |= named == Named::This && hello.config_epoch == kept.config_epoch;
        if let Some(sentinel) = hello.sentinel().filter(|one| !kept.sentinels.contains(one)) {
            if kept.sentinels.len() == SENTINELS_MAX {
                kept.sentinels.remove(0);
            }
            kept.sentinels.push(sentinel);
        }
        let changed = *kept != before;
        state.unwritten |= changed;
        (state.kept.config_epoch, newer)
    }

    pub(crate) fn is_unwritten(&self) -> bool {
        self.state.lock().unwritten
    }

    /// The state to write, if the file is outdated. Marks it as written.
    pub(crate) fn take_unwritten(&self) -> Option<Kept> {
        let mut state = self.state.lock();
        std::mem::take(&mut state.unwritten).then(|| state.kept.clone())
    }

    /// Requests another write: the last one failed, or the folder changed.
    pub(crate) fn rewrite(&self) {
        self.state.lock().unwritten = true;
    }

    /// Processes a sentinel's hello; the greatest config epoch wins.
    fn hear(&self, hello: SentinelHello<'_>, named: Named, now_ms: i64) {
        let (config_epoch, newer) = self.note(&hello, named);
        if hello.config_epoch < config_epoch {
            return;
        }
        match named {
            Named::This if !self.is_confirmed() => {
                let mut state = self.state.lock();
                if state.denied.is_some_and(|(_, epoch)| epoch >= hello.config_epoch) {
                    return;
                }
                let since_ms = *state.named_since_ms.get_or_insert(now_ms);
                let known = state.epoch_before;
                drop(state);
                let electing = hello.sentinel_epoch > known.max(hello.config_epoch);
                if !electing || now_ms - since_ms >= ELECTION_MS {
                    self.confirm("a sentinel names this node");
                }
            }
            Named::Other => self.deny(hello, newer, now_ms),
            Named::This | Named::Unclear => {}
        }
    }

    /// Denies the role. A confirmed role is denied only by a later configuration, and only where
    /// addresses identify nodes.
    fn deny(&self, hello: SentinelHello<'_>, newer: bool, now_ms: i64) {
        let mut state = self.state.lock();
        if self.is_confirmed() && !(newer && state.kept.was_named) {
            return;
        }
        let first = state.denied.replace((now_ms, hello.config_epoch)).is_none();
        state.named_since_ms = None;
        self.confirmed.store(false, Ordering::Release);
        drop(state);
        if first {
            let SentinelHello { host, port, config_epoch, .. } = hello;
            log!(
                Warning,
                "A sentinel names {host}:{port} as the master (config epoch {config_epoch}): \
                 /primary is refused until this node's role is confirmed"
            );
        }
    }
}

impl Node {
    /// Processes a client's message to [`HELLO_CHANNEL`].
    pub(crate) fn hear_sentinel(&self, message: &[u8], origin: &Origin) {
        let Some(hello) = SentinelHello::parse(message) else { return };
        let named = match self.is_replica() {
            // Whoever the master is, it is not this node.
            true => Named::Unclear,
            false => self.named(&hello, origin.local_address.parse().ok()),
        };
        self.standing.hear(hello, named, self.clock.unix_ms());
    }

    /// Processes the answers of all known sentinels, each with the local address of the query. A
    /// single answer that names another master denies. Answers that name this node confirm only if
    /// all agree and none is in a failover: the sentinel that leads it reports it last.
    pub(crate) fn hear_answers(&self, answers: &[Option<(Answer, SocketAddr)>]) {
        if self.is_replica() {
            return;
        }
        let now_ms = self.clock.unix_ms();
        let mut agreed = !answers.is_empty();
        for answer in answers {
            let Some((answer, local)) = answer else {
                agreed = false;
                continue;
            };
            let hello = answer.as_hello();
            let local = SocketAddr::new(local.ip(), self.settings.load().client_port());
            let named = self.named(&hello, Some(local));
            agreed &= answer.settled && named == Named::This && answer.others < answers.len();
            if named == Named::Other {
                self.standing.hear(hello, named, now_ms);
            }
        }
        let newest = answers.iter().flatten().max_by_key(|(answer, _)| answer.config_epoch);
        if let Some((answer, _)) = newest.filter(|_| agreed) {
            self.standing.hear(answer.as_hello(), Named::This, now_ms);
        }
    }

    /// The port that this node gives its master and Sentinel.
    pub(crate) fn announced_port(&self) -> u16 {
        let settings = self.settings.load();
        match settings.replication.announce_port {
            0 if settings.tls.replication && settings.tls.port != 0 => settings.tls.port,
            0 => settings.client_port(),
            announced => announced,
        }
    }

    /// The node that a hello names. A sentinel names a node by the address it connects to, and a
    /// replica by the address it announces.
    fn named(&self, hello: &SentinelHello<'_>, local: Option<SocketAddr>) -> Named {
        let settings = self.settings.load();
        let announced = &settings.replication;
        let announced_port = self.announced_port();
        if !announced.announce_ip.is_empty()
            && announced.announce_ip.eq_ignore_ascii_case(hello.host)
            && announced_port == hello.port
        {
            return Named::This;
        }
        match (local, hello.host.parse::<IpAddr>()) {
            (Some(local), Ok(host)) => {
                let same = local.ip().to_canonical() == host.to_canonical();
                let port = local.port() == hello.port || announced_port == hello.port;
                if same && port { Named::This } else { Named::Other }
            }
            _ => Named::Unclear,
        }
    }

    /// Periodic work: checks replicas and the timeout. Peers that are gone for as long as the
    /// backlog is kept will not come back.
    pub(crate) fn look_at_standing(&self) {
        let (standing, now_ms) = (&self.standing, self.clock.unix_ms());
        let replicas = self.replication.replicas.all();
        let online = |replica: &std::sync::Arc<crate::replication::Replica>| {
            // Tools that copy the data use SYNC.
            !replica.plain_sync && replica.phase() == Some(Phase::Online)
        };
        let has_replica = replicas.iter().any(online);
        let settings = self.settings.load();
        let ttl_ms = settings.replication.backlog_ttl_secs.saturating_mul(1000);
        let (has_peers, has_sentinels, began_ms) = standing.surroundings();
        if has_replica || self.is_replica() {
            standing.set_has_peers(true);
        } else if has_peers && replicas.is_empty() && ttl_ms > 0 {
            let left_ms = self.replication.replicas.left_ms().max(began_ms);
            if now_ms - left_ms > ttl_ms {
                standing.set_has_peers(false);
            }
        }
        if standing.is_confirmed() || self.is_replica() {
            return;
        }
        if has_replica && !has_sentinels && !self.has_sentinel_client() {
            standing.confirm("a replica follows this node, and no sentinel is known");
        } else if standing.unconfirmed(now_ms, settings.admin.role_confirm_timeout_ms()).is_none() {
            standing.confirm("nobody has demoted this node in time");
        }
    }

    fn has_sentinel_client(&self) -> bool {
        let is_sentinel = |handle: &std::sync::Arc<super::client::Handle>| {
            handle.shown.lock().name.starts_with(SENTINEL_PREFIX)
        };
        self.clients.all().iter().any(is_sentinel)
    }
}

#[cfg(test)]
mod tests;
