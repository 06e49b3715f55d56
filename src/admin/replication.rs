//! `/replication`: offsets and lag of master and replicas, as JSON.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Shared;
use crate::node::Node;
use crate::replication::Phase;

pub(super) async fn replication(State(admin): Shared) -> Json<Value> {
    Json(view(admin.node()))
}

/// The JSON body. Offsets count bytes of the stream, lags seconds.
pub(super) fn view(node: &Node) -> Value {
    let settings = node.settings.load();
    let (now_ms, now_nanos) = (node.clock.unix_ms(), node.clock.nanos());
    let (ids, window, offset) = (node.log.ids(), node.log.window(), node.log.offset());
    let replicas = &node.replication.replicas;
    let each = |replica: &crate::replication::ReplicaView| {
        let online = replica.phase == Phase::Online;
        let lag_s = online.then(|| replicas.lag_seconds(replica.acked, now_nanos));
        json!({
            "ip": replica.ip,
            "port": replica.port,
            "state": replica.phase.name(),
            "sent_offset": replica.sent,
            "acknowledged_offset": replica.acked,
            "lag_bytes": online.then(|| offset.saturating_sub(replica.acked)),
            "lag_seconds": lag_s,
            "last_ack_seconds_ago": (now_ms - replica.acked_ms).max(0) as f64 / 1000.0,
        })
    };
    let all: Vec<Value> = replicas.views().iter().map(each).collect();
    let mut view = json!({
        "role": if node.is_replica() { "replica" } else { "master" },
        "replid": ids.id,
        "offset": offset,
        "failover_state": node.replication.failover().name(),
        "backlog": node.log.has_backlog().then(|| json!({
            "size_bytes": settings.replication.backlog_size_bytes,
            "first_offset": window.first,
            "end_offset": window.end,
            "memory_bytes": window.held_bytes,
        })),
        "replicas": all,
    });
    if let Some((id, shared)) = ids.earlier {
        view["earlier"] = json!({ "replid": id, "shared_until_offset": shared });
    }
    if let Some(master) = node.master() {
        view["master"] = link(node, &master.host, master.port, now_ms);
    }
    view
}

fn link(node: &Node, host: &str, port: u16, now_ms: i64) -> Value {
    let link = node.link();
    let offset = node.log.offset();
    json!({
        "host": host,
        "port": port,
        "link": link.state.name(),
        "applied_offset": offset,
        "received_offset": link.read_offset.max(offset),
        "lag_bytes": link.read_offset.saturating_sub(offset),
        "lag_seconds": link.lag_seconds(now_ms),
        "last_io_seconds_ago": (link.last_io_ms > 0)
            .then(|| (now_ms - link.last_io_ms).max(0) as f64 / 1000.0),
        "sync": link.sync.map(|sync| json!({
            "total_bytes": sync.total_bytes,
            "read_bytes": sync.read_bytes,
        })),
        "refused": link.refused.map(|refused| json!({
            "replid": refused.id,
            "reason": refused.reason,
        })),
    })
}
