//! INFO clients: the connections.

use std::sync::atomic::Ordering;

use super::reading::{Each, Part, Row, Value, counter, field, gauge, only, part_only, unshown};
use crate::node::certificates::Certificate;
use crate::settings::BufferLimit;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    field("connected_clients", |look| look.clients().normal.into())
        .is(gauge("connected_clients", "Client connections, without replicas.")),
    field("maxclients", |look| look.settings.clients.maxclients.into())
        .is(gauge("max_clients", "Most client connections.")),
    field("client_recent_max_input_buffer", |look| look.clients().input_bytes_max.into())
        .is(gauge("client_recent_max_input_buffer_bytes", "The largest input buffer of a client.")),
    field("client_recent_max_output_buffer", |look| look.clients().output_bytes_max.into())
        .is(gauge("client_recent_max_output_buffer_bytes", "The largest output buffer of a client.")),
    field("blocked_clients", |look| (look.node.admission.waiting() + look.node.replication.replicas.waiting() + look.node.blocked.clients() + look.node.shutdown.clients()).into())
        .is(gauge("blocked_clients", "Clients that wait in a command or a pause.")),
    field("tracking_clients", |look| look.node.tracking.clients().into())
        .is(gauge("tracking_clients", "Clients that are told when keys in their caches change.")),
    field("clients_in_timeout_table", |look| look.node.blocked.timed_clients().into())
        .is(gauge("clients_in_timeout_table", "Clients that wait for keys, and not for ever.")),
    only(gauge("config_maxclients", "The setting."), |look| look.settings.clients.maxclients.into()),
    only(gauge("limpid_admin_connections", "Connections to the admin server."), |look| look.node.stats.admin_connections.load(Ordering::Relaxed).into()),
    only(counter("limpid_admin_connections_cut_total", "Connections to the admin server that asked nothing and gave way to new ones, at admin-max-connections."),
        |look| look.node.stats.admin_connections_cut.get().into()),
    only(counter("limpid_tls_handshakes_failed_total", "TLS handshakes that failed, also for lack of time."),
        |look| look.node.stats.tls_handshakes_failed.get().into()),
    only(counter("limpid_tls_handshakes_cut_total", "TLS handshakes that gave way to newer ones, as too many were under way."),
        |look| look.node.stats.tls_handshakes_cut.get().into()),
    Row::Each(&OUTPUT_LIMITS),
    Row::Each(&CERTIFICATES),
];

/// The certificates that TLS uses.
static CERTIFICATES: Each<Certificate> = Each {
    items: |look| look.node.certificates.all().to_vec(),
    field: unshown,
    labels: |one| {
        vec![
            ("purpose", one.purpose.to_owned()),
            ("file", one.file.clone()),
            ("subject", one.subject.clone()),
            ("serial", one.serial.clone()),
        ]
    },
    parts: CERTIFICATE,
};

#[rustfmt::skip]
const CERTIFICATE: &[Part<Certificate>] = &[
    part_only(gauge("limpid_tls_certificate_expiry_days", "Days until a certificate in use expires; negative once it has."), |look, one| Value::Decimal(one.days_left(look.now_us / 1_000_000), 3)),
];

/// The output buffer limits with their client classes.
static OUTPUT_LIMITS: Each<(&'static str, BufferLimit)> = Each {
    items: |look| {
        let limits = &look.settings.clients.output_buffer_limits;
        vec![("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)]
    },
    field: unshown,
    labels: |(class, _)| vec![("class", (*class).to_owned())],
    parts: OUTPUT_LIMIT,
};

#[rustfmt::skip]
const OUTPUT_LIMIT: &[Part<(&str, BufferLimit)>] = &[
    part_only(gauge("config_client_output_buffer_limit_bytes", "The setting.").label("limit", "hard"), |_, (_, limit)| limit.hard_bytes.into()),
    part_only(gauge("config_client_output_buffer_limit_bytes", "The setting.").label("limit", "soft"), |_, (_, limit)| limit.soft_bytes.into()),
    part_only(gauge("config_client_output_buffer_limit_overcome_seconds", "The setting.").label("limit", "soft"), |_, (_, limit)| limit.soft_secs.into()),
];
