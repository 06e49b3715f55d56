//! Replication commands: from replicas to their master, and from operators to both. Waits for replicas
//! have a separate file, but their rows are here.

mod wait;

use std::sync::Arc;

use super::command::{
    Group::{Generic, Server},
    Locks, NO_KEYS, at_least, command, exactly,
};
use super::{Args, Category, Command, Context, Failure, Flag::*, Handled};
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::client::Client;
use crate::node::replication::{Failover, LinkState};
use crate::node::stats::FullResyncReason;
use crate::number::parse_i64;
use crate::replication::{Announced, Filter, Peer, Phase, Replica, Resync};
use crate::settings::MasterAddress;
use crate::telemetry::log::log;
use crate::text::{split_words, until_nul};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("PSYNC", psync, at_least(3), &[Admin, NoScript, NoAsyncLoading, NoMulti], NO_KEYS, Server)
        .locking(Locks::All)
        .docs("2.8.0", "O(1) for a partial resync, O(N) in the number of keys for a full one", "replicationid offset", "Begins to replicate, from where the replica left off if that is possible."),
    command("SYNC", sync, exactly(1), &[Admin, NoScript, NoAsyncLoading, NoMulti], NO_KEYS, Server)
        .locking(Locks::All)
        .docs("1.0.0", "O(N) in the number of keys", "", "Begins to replicate, with all the data."),
    command("REPLCONF", replconf, at_least(1), &[Admin, NoScript, Loading, Stale, AllowBusy], NO_KEYS, Server)
        .docs("3.0.0", "O(1)", "", "Tells a master of its replica."),
    command("REPLICAOF", replicaof, exactly(3), &[Admin, NoScript, NoAsyncLoading, Stale], NO_KEYS, Server)
        .locking(Locks::All)
        .docs("5.0.0", "O(1)", "<host port | NO ONE>", "Makes this server a replica, or a master again."),
    command("SLAVEOF", replicaof, exactly(3), &[Admin, NoScript, NoAsyncLoading, Stale], NO_KEYS, Server)
        .locking(Locks::All)
        .docs("1.0.0", "O(1)", "<host port | NO ONE>", "The old name of REPLICAOF."),
    command("ROLE", role, exactly(1), &[NoScript, Loading, Stale, Fast], NO_KEYS, Server)
        .categories(&[Category::Admin, Category::Dangerous])
        .docs("2.8.12", "O(1)", "", "Tells the server's role in replication."),
    command("FAILOVER", failover, at_least(1), &[Admin, NoScript, Stale], NO_KEYS, Server)
        .locking(Locks::All)
        .docs("6.2.0", "O(1)", "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]", "Hands the role of master to a replica that has everything."),
    command("WAIT", wait::wait, exactly(3), &[NoScript], NO_KEYS, Generic)
        .categories(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .docs("3.0.0", "O(1)", "numreplicas timeout", "Waits until so many replicas have this connection's writes."),
    command("WAITAOF", wait::waitaof, exactly(4), &[NoScript], NO_KEYS, Generic)
        .categories(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .docs("7.2.0", "O(1)", "numlocal numreplicas timeout", "Waits until this connection's writes are on disks, in append only files: here, and of so many replicas."),
];

/// A client's address for the log and INFO.
fn address(client: &Client) -> String {
    let ip = client.announced.ip.clone().unwrap_or_else(|| peer_ip(client));
    match client.announced.port {
        0 => format!("{ip}:<unknown-replica-port>"),
        port => format!("{ip}:{port}"),
    }
}

fn peer_ip(client: &Client) -> String {
    let address = &client.handle.origin.address;
    address
        .parse::<std::net::SocketAddr>()
        .map_or_else(|_| address.clone(), |address| address.ip().to_canonical().to_string())
}

fn psync(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if ctx.client.replica.is_some() {
        return Ok(());
    }
    let name = address(ctx.client);
    let id = args.at(1);
    let next = parse_i64(args.at(2));
    if args.len() > 3 && args.is(3, "FAILOVER") {
        log!(Warning, "Failover request received for replid {}.", shown(id));
        check_failover(ctx.node, id, next)?;
        ctx.node.promote(&ctx.keys.locked);
    }
    check_source(ctx.node)?;
    check_filter(ctx.client)?;
    log!(Notice, "Replica {name} asks for synchronization");
    let Some(next) = next else {
        log!(Warning, "Replica {name} asks for synchronization but with a wrong offset");
        return Err(Failure::NotInteger);
    };
    let reason = match resumed(ctx, &name, id, next) {
        Ok(()) => {
            ctx.node.stats.sync_partial_ok.add(1);
            return Ok(());
        }
        Err(reason) => reason,
    };
    if id.first() != Some(&b'?') {
        ctx.node.stats.sync_partial_err.add(1);
    }
    begin_full(ctx, reason);
    Ok(())
}

/// Checks that the sender is this replica's master, handing over its role. It holds back all
/// writes, so it has at least what it sent here; more, if it does not wait for a lagging replica.
fn check_failover(node: &Node, id: &[u8], next: Option<i64>) -> Handled {
    if !node.is_replica() {
        return Err(Failure::err("PSYNC FAILOVER can't be sent to a master."));
    }
    if node.log.ids().id.as_bytes() != id {
        return Err(Failure::err("PSYNC FAILOVER replid must match my replid."));
    }
    let have = next.ok_or(Failure::NotInteger)?.checked_sub(1);
    let have = have.and_then(|have| u64::try_from(have).ok());
    let own = node.log.offset();
    if have.is_none_or(|have| have < own) {
        let text = format_args!("PSYNC FAILOVER offset must not be before my offset {own}.");
        return Err(Failure::err(text));
    }
    not_failing_over(node)
}

/// Refuses to serve data during a failover.
fn not_failing_over(node: &Node) -> Handled {
    if node.replication.failover() == Failover::None {
        return Ok(());
    }
    Err(Failure::Other("NOMASTERLINK Can't SYNC while failing over".into()))
}

fn sync(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    if ctx.client.replica.is_some() {
        return Ok(());
    }
    check_source(ctx.node)?;
    check_filter(ctx.client)?;
    log!(Notice, "Replica {} asks for synchronization", address(ctx.client));
    begin_full(ctx, FullResyncReason::Sync);
    Ok(())
}

/// Checks that this node has data to serve.
fn check_source(node: &Node) -> Handled {
    not_failing_over(node)?;
    if node.is_replica() && node.link().state != LinkState::Connected {
        let text = "NOMASTERLINK Can't SYNC while not connected with my master";
        return Err(Failure::Other(text.into()));
    }
    Ok(())
}

/// As in Redis, where a part of the data never goes through the snapshot's file.
fn check_filter(client: &Client) -> Handled {
    match client.announced {
        Announced { filter: Some(_), eof: false, .. } => {
            Err(Failure::err("Filtered replica requires EOF capability"))
        }
        _ => Ok(()),
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(text)).chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Resumes the stream at the replica's offset.
///
/// # Errors
/// Why a full resync is needed.
fn resumed(
    ctx: &mut Context<'_>,
    name: &str,
    id: &[u8],
    next: i64,
) -> Result<(), FullResyncReason> {
    let node = ctx.node;
    let Some(have) = next.checked_sub(1).and_then(|have| u64::try_from(have).ok()) else {
        log!(Notice, "Full resync requested by replica {name}");
        return Err(FullResyncReason::New);
    };
    let ids = node.log.ids();
    match node.log.resync(id, have) {
        Resync::Partial => {}
        _ if id.first() == Some(&b'?') => {
            log!(Notice, "Full resync requested by replica {name}");
            return Err(FullResyncReason::New);
        }
        Resync::UnknownHistory => {
            let earlier = ids.earlier.map_or_else(|| "0".repeat(40), |(id, _)| id);
            log!(
                Notice,
                "Partial resynchronization not accepted: Replication ID mismatch (Replica asked \
                 for '{}', my replication IDs are '{}' and '{earlier}')",
                shown(id),
                ids.id
            );
            return Err(FullResyncReason::UnknownHistory);
        }
        Resync::BeyondShared => {
            let shared = ids.earlier.map_or(0, |(_, shared)| shared);
            log!(
                Notice,
                "Partial resynchronization not accepted: Requested offset for second ID was \
                 {next}, but I can reply up to {}",
                shared + 1
            );
            return Err(FullResyncReason::BeyondBacklog);
        }
        Resync::OutsideBacklog => {
            log!(
                Notice,
                "Unable to partial resync with replica {name} for lack of backlog (Replica \
                 request was: {next})."
            );
            return Err(FullResyncReason::BeyondBacklog);
        }
    }
    let Some(reader) = node.log.attach(have) else {
        return Err(FullResyncReason::BeyondBacklog);
    };
    let replica = new_replica(ctx, false);
    replica.resume(reader, have);
    let sent = node.log.offset() - have;
    log!(
        Notice,
        "Partial resynchronization request from {name} accepted. Sending {sent} bytes of backlog \
         starting from offset {next}."
    );
    if ctx.client.announced.psync2 {
        ctx.reply.simple(&format!("CONTINUE {}", ids.id));
    } else {
        ctx.reply.simple("CONTINUE");
    }
    attach(ctx, replica);
    Ok(())
}

fn new_replica(ctx: &Context<'_>, plain_sync: bool) -> Replica {
    let client = &ctx.client;
    let ip = client.announced.ip.clone().unwrap_or_else(|| peer_ip(client));
    let peer: Arc<dyn Peer> = Arc::clone(&client.handle) as _;
    let id = client.handle.origin.id;
    let now_ms = ctx.node.clock.unix_ms();
    Replica::waiting(id, ip, client.announced.clone(), peer, plain_sync, now_ms)
}

fn attach(ctx: &mut Context<'_>, replica: Replica) {
    let replica = Arc::new(replica);
    ctx.client.replica = Some(Arc::clone(&replica));
    ctx.client.publish();
    ctx.node.replication.replicas.add(replica);
}

/// Queues the replica for the next snapshot. The first one ever starts a new history.
fn begin_full(ctx: &mut Context<'_>, reason: FullResyncReason) {
    let node = ctx.node;
    node.stats.sync_full.add(1);
    node.stats.full_resyncs[reason as usize].add(1);
    if !node.log.has_backlog() {
        node.log.begin_history(node.host().new_id());
        node.log.start(node.backlog_bytes_max());
        log!(
            Notice,
            "Replication backlog created, my new replication IDs are '{}' and '{}'",
            node.log.ids().id,
            "0".repeat(40)
        );
    }
    let replica = new_replica(ctx, reason == FullResyncReason::Sync);
    attach(ctx, replica);
    node.host().sync_replicas(&mut ctx.keys.locked);
}

fn replconf(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len().is_multiple_of(2) {
        return Err(Failure::Syntax);
    }
    // Applied only if all options are valid.
    let mut announced = ctx.client.announced.clone();
    for at in (1..args.len()).step_by(2) {
        let (option, value) = (args.at(at), args.at(at + 1));
        match option.to_ascii_lowercase().as_slice() {
            b"listening-port" => {
                let port = parse_i64(value).and_then(|port| u16::try_from(port).ok());
                announced.port = port.ok_or(Failure::NotInteger)?;
            }
            b"ip-address" => {
                let ip = std::str::from_utf8(value).ok().filter(|ip| {
                    ip.len() < ADDRESS_BYTES_MAX && ip.bytes().all(|byte| byte.is_ascii_graphic())
                });
                let wrong = || {
                    Failure::err(format_args!(
                        "REPLCONF ip-address provided by replica instance is too long: {} bytes",
                        value.len()
                    ))
                };
                announced.ip = Some(ip.ok_or_else(wrong)?.to_owned());
            }
            b"capa" => match value.to_ascii_lowercase().as_slice() {
                b"eof" => announced.eof = true,
                b"psync2" => announced.psync2 = true,
                b"limpid-marks" => announced.marks = true,
                // Ignores unknown capabilities, meant for other servers.
                _ => {}
            },
            b"rdb-only" => {
                let only = Context::integer(value)?;
                if !(0..=1).contains(&only) {
                    return Err(Failure::err("value is out of range, value must between 0 and 1"));
                }
                announced.rdb_only = only == 1;
            }
            b"rdb-filter-only" => announced.filter = Some(filter(value)?),
            b"ack" => {
                if args.is(at + 2, "FACK") {
                    note_durable(ctx, args.get(at + 3).unwrap_or_default());
                }
                acknowledge(ctx, value);
                return Ok(());
            }
            b"getack" => {
                let offset = ctx.node.log.offset();
                if let Some(master) = &mut ctx.client.master {
                    master.ack_wanted = Some(offset);
                }
                return Ok(());
            }
            _ => {
                let text = [b"ERR Unrecognized REPLCONF option: ", until_nul(option)].concat();
                return Err(Failure::Bytes(text));
            }
        }
    }
    ctx.client.announced = announced;
    ctx.reply.ok();
    Ok(())
}

/// The parts that the words of a value name.
fn filter(value: &[u8]) -> Result<Filter, Failure> {
    let words = split_words(value).map_err(|_| Failure::err("Missing rdb-filter-only values"))?;
    let mut filter = Filter::Nothing;
    for word in &words {
        if !word.eq_ignore_ascii_case(b"functions") {
            let text = [b"ERR Unsupported rdb-filter-only option: ", until_nul(word)].concat();
            return Err(Failure::Bytes(text));
        }
        filter = Filter::Functions;
    }
    Ok(filter)
}

/// Most bytes of an announced address.
const ADDRESS_BYTES_MAX: usize = 256;

/// Records the offset that a replica acknowledges. Sends no reply.
/// A replica's disk has the stream up to an offset.
fn note_durable(ctx: &Context<'_>, offset: &[u8]) {
    let offset = parse_i64(offset).and_then(|offset| u64::try_from(offset).ok());
    if let (Some(replica), Some(offset)) = (&ctx.client.replica, offset) {
        replica.note_durable(offset);
    }
}

fn acknowledge(ctx: &Context<'_>, offset: &[u8]) {
    let offset = parse_i64(offset).and_then(|offset| u64::try_from(offset).ok());
    if let (Some(replica), Some(offset)) = (&ctx.client.replica, offset) {
        let now_ms = ctx.node.clock.unix_ms();
        let now_nanos = ctx.node.clock.nanos();
        ctx.node.replication.replicas.acknowledge(replica, offset, now_ms, now_nanos);
        if ctx.node.admission.has(Condition::FailingOver) {
            ctx.node.host().look_at_role();
        }
    }
}

fn replicaof(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if ctx.node.replication.failover() != Failover::None {
        return Err(Failure::err("REPLICAOF not allowed while failing over."));
    }
    let who = &ctx.client.handle.origin.address;
    if args.is(1, "NO") && args.is(2, "ONE") {
        let was_replica = ctx.node.is_replica();
        ctx.node.promote(&ctx.keys.locked);
        if was_replica {
            log!(Notice, "MASTER MODE enabled (user request from '{who}')");
        }
        ctx.reply.ok();
        return Ok(());
    }
    if ctx.client.replica.is_some() {
        return Err(Failure::err("Command is not valid when client is a replica."));
    }
    let port = parse_i64(args.at(2)).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| Failure::err("Invalid master port"))?;
    let host = std::str::from_utf8(args.at(1))
        .ok()
        .filter(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()));
    let host = host.ok_or_else(|| Failure::err("Invalid master host"))?;
    ctx.node.replication.give_consent();
    let master = MasterAddress { host: host.to_owned(), port };
    let current = ctx.node.master();
    let same = |other: &MasterAddress| {
        other.host.eq_ignore_ascii_case(&master.host) && other.port == master.port
    };
    if current.as_ref().is_some_and(same) {
        log!(
            Notice,
            "REPLICAOF would result into synchronization with the master we are already connected \
             with. No operation performed."
        );
        // Asks a refused master again.
        ctx.node.host().look_at_role();
        ctx.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    log!(Notice, "REPLICAOF {host}:{port} enabled (user request from '{who}')");
    ctx.node.follow(&ctx.keys.locked, master);
    ctx.reply.ok();
    Ok(())
}

fn role(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let node = ctx.node;
    let offset = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
    let reply = &mut *ctx.reply;
    if let Some(master) = node.master() {
        let link = node.link();
        reply.array(5);
        reply.bulk(b"slave");
        reply.bulk(master.host.as_bytes());
        reply.integer(master.port.into());
        reply.bulk(link.state.name().as_bytes());
        let connected = link.state == LinkState::Connected;
        reply.integer(if connected { offset(node.log.offset()) } else { -1 });
        return Ok(());
    }
    let online = node.replication.replicas.views();
    let online: Vec<_> = online.iter().filter(|view| view.phase == Phase::Online).collect();
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(offset(node.log.offset()));
    reply.array(online.len());
    for replica in online {
        reply.array(3);
        reply.bulk(replica.ip.as_bytes());
        reply.bulk_integer(replica.port.into());
        reply.bulk_integer(offset(replica.acked));
    }
    Ok(())
}

/// Options of FAILOVER.
#[derive(Debug, Default)]
struct FailoverOptions {
    target: Option<MasterAddress>,
    timeout_ms: Option<i64>,
    abort: bool,
    force: bool,
}

impl FailoverOptions {
    fn parse(args: &Args<'_>) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut at = 1;
        while let Some(option) = args.get(at) {
            let more = args.len() - 1 - at;
            at += match option.to_ascii_uppercase().as_slice() {
                b"TIMEOUT" if more >= 1 && options.timeout_ms.is_none() => {
                    let ms = Context::integer(args.at(at + 1))?;
                    if ms <= 0 {
                        return Err(Failure::err("FAILOVER timeout must be greater than 0"));
                    }
                    options.timeout_ms = Some(ms);
                    2
                }
                b"ABORT" if args.len() == 2 => {
                    options.abort = true;
                    1
                }
                b"TO" if more >= 2 && options.target.is_none() => {
                    let port = Context::integer(args.at(at + 2))?;
                    let host = String::from_utf8_lossy(args.at(at + 1)).into_owned();
                    let port = u16::try_from(port).unwrap_or(0);
                    options.target = Some(MasterAddress { host, port });
                    3
                }
                b"FORCE" if !options.force => {
                    options.force = true;
                    1
                }
                _ => return Err(Failure::Syntax),
            };
        }
        Ok(options)
    }

    /// Checks that the node can begin this failover now.
    fn check(&self, node: &Node) -> Result<(), Failure> {
        if node.replication.failover() != Failover::None {
            return Err(Failure::err("FAILOVER already in progress."));
        }
        if node.is_replica() {
            return Err(Failure::err("FAILOVER is not valid when server is a replica."));
        }
        let views = node.replication.replicas.views();
        if views.is_empty() {
            return Err(Failure::err("FAILOVER requires connected replicas."));
        }
        if self.force && (self.timeout_ms.is_none() || self.target.is_none()) {
            return Err(Failure::err(
                "FAILOVER with force option requires both a timeout and target HOST and IP.",
            ));
        }
        let Some(target) = &self.target else { return Ok(()) };
        let view = views.iter().find(|view| view.port == target.port && view.ip == target.host);
        match view.map(|view| view.phase) {
            None => Err(Failure::err("FAILOVER target HOST and PORT is not a replica.")),
            Some(Phase::Online) => Ok(()),
            Some(_) => Err(Failure::err("FAILOVER target replica is not online.")),
        }
    }
}

fn failover(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let node = ctx.node;
    let options = FailoverOptions::parse(args)?;
    if options.abort {
        if node.replication.failover() == Failover::None {
            return Err(Failure::err("No failover in progress."));
        }
        node.end_failover(&ctx.keys.locked, "FAILOVER ABORT command");
        ctx.reply.ok();
        return Ok(());
    }
    options.check(node)?;
    let FailoverOptions { target, timeout_ms, force, .. } = options;
    let deadline_ms = timeout_ms.map(|ms| node.clock.unix_ms().saturating_add(ms));
    log!(Notice, "FAILOVER requested to {}.", shown_target(target.as_ref()));
    node.begin_failover(&ctx.keys.locked, target, deadline_ms, force);
    ctx.reply.ok();
    Ok(())
}

fn shown_target(target: Option<&MasterAddress>) -> String {
    target.map_or_else(
        || "any replica".to_owned(),
        |target| format!("{}:{}", target.host, target.port),
    )
}
