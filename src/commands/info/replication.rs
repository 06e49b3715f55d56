//! INFO replication: the role, the link to a master, the replicas, the log.

use super::look::Look;
use super::reading::{
    Each, Labels, Part, Row, Value, counter, field, gauge, histogram, only, part, part_only,
    unshown,
};
use crate::node::replication::{LinkState, LinkStatus, SyncProgress};
use crate::replication::{Phase, ReplicaView};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    field("role", |look| if look.master().is_some() { "slave" } else { "master" }.into()),
    field("master_host", |look| look.master().map(|master| master.host.clone()).into()),
    field("master_port", |look| look.master().map(|master| master.port).into()),
    field("master_link_status", |look| of_link(look, |_, link| Value::status(is_up(link), ["up", "down"])))
        .is(gauge("master_link_up", "Whether the link to the master is up.").labels(master)),
    field("master_last_io_seconds_ago", |look| of_link(look, |look, link| if is_up(link) { idle_s(look, link) } else { -1 }.into()))
        .is(gauge("master_last_io_seconds_ago", "Since the master was heard of.").labels(master)),
    field("master_sync_in_progress", |look| of_link(look, |_, link| link.sync.is_some().into()))
        .is(gauge("master_sync_in_progress", "Whether a full resync is under way.").labels(master)),
    field("slave_read_repl_offset", |look| of_link(look, |look, link| link.read_offset.max(applied(look)).into())),
    field("slave_repl_offset", |look| of_link(look, |look, _| applied(look).into()))
        .is(gauge("slave_repl_offset", "What of the stream is applied.").labels(master)),
    field("master_sync_total_bytes", |look| of_sync(look, |_, sync| total(sync).into())),
    field("master_sync_read_bytes", |look| of_sync(look, |_, sync| sync.read_bytes.into())),
    field("master_sync_left_bytes", |look| of_sync(look, |_, sync| (total(sync) - i128::from(sync.read_bytes)).into())),
    field("master_sync_perc", |look| of_sync(look, |_, sync| Value::Decimal(percent(sync), 2))),
    field("master_sync_last_io_seconds_ago", |look| of_sync(look, |look, _| look.link().map(|link| idle_s(look, link)).into())),
    field("master_link_down_since_seconds", |look| of_link(look, down_since)),
    field("master_link_ups", |look| look.master().map(|_| look.node.stats.link_ups.get()).into()),
    field("master_link_losses", |look| look.master().map(|_| look.node.stats.link_losses.get()).into()),
    only(counter("limpid_master_link_ups_total", "How often the link to a master came up."), |look| look.node.stats.link_ups.get().into()),
    only(counter("limpid_master_link_losses_total", "How often the link to a master went down after it had been up."), |look| look.node.stats.link_losses.get().into()),
    field("master_refused_replid", |look| of_link(look, |_, link| link.refused.as_ref().map(|refused| refused.id.clone()).into())),
    field("slave_priority", |look| look.master().map(|_| look.settings.replication.priority).into())
        .is(gauge("slave_priority", "The setting replica-priority.")),
    field("slave_read_only", |look| look.master().map(|_| look.settings.replication.read_only).into()),
    field("replica_announced", |look| look.master().map(|_| look.settings.replication.announced).into()),
    field("connected_slaves", |look| look.replicas().len().into())
        .is(gauge("connected_slaves", "Attached replicas.")),
    field("min_slaves_good_slaves", |look| look.node.replication.good_replicas().into()),
    Row::Each(&SLAVES),
    Row::Each(&REPLICAS),
    field("master_failover_state", |look| look.node.replication.failover().name().into()),
    field("master_replid", |look| look.node.log.ids().id.into()),
    field("master_replid2", |look| look.node.log.ids().earlier.map_or_else(|| "0".repeat(40), |(id, _)| id).into()),
    field("master_repl_offset", |look| look.node.log.offset().into())
        .is(gauge("master_repl_offset", "Bytes of the replication stream so far.")),
    field("second_repl_offset", |look| look.node.log.ids().earlier.map_or(-1, |(_, shared)| i128::from(shared) + 1).into())
        .is(gauge("second_repl_offset", "Up to where the earlier history is shared; -1: there is none.")),
    field("repl_backlog_active", |look| look.node.log.has_backlog().into())
        .is(gauge("repl_backlog_is_active", "Whether there is a backlog.")),
    field("repl_backlog_size", |look| look.settings.replication.backlog_size_bytes.into())
        .is(gauge("replication_backlog_bytes", "The setting repl-backlog-size.")),
    field("repl_backlog_first_byte_offset", |look| if look.node.log.has_backlog() { look.node.log.window().first + 1 } else { 0 }.into())
        .is(gauge("repl_backlog_first_byte_offset", "The first offset in the backlog.")),
    field("repl_backlog_histlen", backlog_bytes)
        .is(gauge("repl_backlog_history_bytes", "Bytes in the backlog.")),
    only(gauge("config_repl_backlog_size", "The setting."), |look| look.settings.replication.backlog_size_bytes.into()),
    only(gauge("limpid_role_confirmed", "Whether /primary holds this node's role for confirmed; 1 for replicas."), |look| look.node.standing.is_confirmed().into()),
    only(gauge("slave_info", "Whom this replica follows.").labels(slave), |look| look.master().map(|_| 1).into()),
    only(gauge("limpid_replication_lag_seconds", "How old what this replica has applied is.").labels(master), |look| of_link(look, lag)),
    only(gauge("limpid_master_refused", "Whether the master is refused, as it seems to have lost its data.").labels(master),
        |look| of_link(look, |_, link| link.refused.is_some().into())),
];

/// As in Redis, a replica without history shows offset 1.
const NO_OFFSET: u64 = 1;

fn of_link(look: &Look<'_>, read: fn(&Look<'_>, &LinkStatus) -> Value) -> Value {
    look.link().map_or(Value::Absent, |link| read(look, link))
}

fn of_sync(look: &Look<'_>, read: fn(&Look<'_>, &SyncProgress) -> Value) -> Value {
    let sync = look.link().and_then(|link| link.sync.as_ref());
    sync.map_or(Value::Absent, |sync| read(look, sync))
}

fn is_up(link: &LinkStatus) -> bool {
    link.state == LinkState::Connected
}

/// Seconds since the master last sent anything.
fn idle_s(look: &Look<'_>, link: &LinkStatus) -> i64 {
    (look.now_ms() - link.last_io_ms).max(0) / 1000
}

fn applied(look: &Look<'_>) -> u64 {
    if look.node.log.has_backlog() { look.node.log.offset() } else { NO_OFFSET }
}

/// -1: unknown.
fn total(sync: &SyncProgress) -> i128 {
    sync.total_bytes.map_or(-1, i128::from)
}

fn percent(sync: &SyncProgress) -> f64 {
    match total(sync) {
        0 => 0.0,
        total => sync.read_bytes as f64 / total as f64 * 100.0,
    }
}

fn down_since(look: &Look<'_>, link: &LinkStatus) -> Value {
    match link.down_since_ms {
        _ if is_up(link) => Value::Absent,
        0 => (-1).into(),
        since => ((look.now_ms() - since).max(0) / 1000).into(),
    }
}

fn lag(look: &Look<'_>, link: &LinkStatus) -> Value {
    link.lag_seconds(look.now_ms()).map_or(Value::Absent, |lag| Value::Decimal(lag, 3))
}

fn backlog_bytes(look: &Look<'_>) -> Value {
    let window = look.node.log.window();
    (window.end - window.first).into()
}

/// Labels of metrics about the link to the master.
fn master(look: &Look<'_>) -> Labels {
    let Some(master) = look.master() else { return Vec::new() };
    vec![("master_host", master.host.clone()), ("master_port", master.port.to_string())]
}

fn slave(look: &Look<'_>) -> Labels {
    let mut labels = master(look);
    labels.push(("read_only", u8::from(look.settings.replication.read_only).to_string()));
    labels
}

/// Replicas as shown by Redis and its exporter.
static SLAVES: Each<ReplicaView> = Each {
    items: |look| look.replicas().to_vec(),
    field: |index, _| Some(format!("slave{index}")),
    labels: |replica| {
        vec![
            ("slave_ip", replica.ip.clone()),
            ("slave_port", replica.port.to_string()),
            ("slave_state", replica.phase.name().to_owned()),
        ]
    },
    parts: SLAVE,
};

#[rustfmt::skip]
const SLAVE: &[Part<ReplicaView>] = &[
    part("ip", |_, replica| replica.ip.as_str().into()),
    part("port", |_, replica| replica.port.into()),
    part("state", |_, replica| replica.phase.name().into()),
    part("offset", |_, replica: &ReplicaView| replica.acked.into())
        .is(gauge("connected_slave_offset_bytes", "What the replica has acknowledged.")),
    part("lag", ack_age)
        .is(gauge("connected_slave_lag_seconds", "Whole seconds since the replica's last acknowledgement.")),
];

fn ack_age(look: &Look<'_>, replica: &ReplicaView) -> Value {
    match replica.phase {
        Phase::Online => (look.now_ms() / 1000 - replica.acked_ms / 1000).max(0),
        _ => 0,
    }
    .into()
}

/// limpid's own figures on replicas.
static REPLICAS: Each<ReplicaView> = Each {
    items: |look| look.replicas().to_vec(),
    field: unshown,
    labels: |replica| {
        vec![("replica_ip", replica.ip.clone()), ("replica_port", replica.port.to_string())]
    },
    parts: REPLICA,
};

#[rustfmt::skip]
const REPLICA: &[Part<ReplicaView>] = &[
    part_only(histogram("limpid_replica_propagation_seconds", "From a write to the replica's acknowledgement."),
        |_, replica| Value::durations(replica.propagation.clone())),
    part_only(gauge("limpid_replica_lag_bytes", "Bytes of the stream that the replica has not acknowledged."), lag_bytes),
    part_only(gauge("limpid_replica_lag_seconds", "Age of the oldest write that the replica has not acknowledged."), lag_seconds),
];

fn lag_bytes(look: &Look<'_>, replica: &ReplicaView) -> Value {
    let online = replica.phase == Phase::Online;
    online.then(|| look.node.log.offset().saturating_sub(replica.acked)).into()
}

fn lag_seconds(look: &Look<'_>, replica: &ReplicaView) -> Value {
    if replica.phase != Phase::Online {
        return Value::Absent;
    }
    let now_nanos = look.node.clock.nanos();
    Value::Decimal(look.node.replication.replicas.lag_seconds(replica.acked, now_nanos), 3)
}
