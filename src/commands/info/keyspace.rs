//! INFO keyspace: the databases.

use super::reading::{Each, Part, Row, gauge, part};

pub(super) const ROWS: &[Row] = &[Row::Each(&DATABASES)];

/// A database and its number of keys.
type Database = (usize, usize);

/// INFO omits empty databases; metrics include them, so that a series never ends.
static DATABASES: Each<Database> = Each {
    items: |look| {
        let keyspace = &look.node.keyspace;
        (0..keyspace.databases()).map(|index| (index, keyspace.len(index))).collect()
    },
    field: |_, (index, keys)| (*keys > 0).then(|| format!("db{index}")),
    labels: |(index, _)| vec![("db", format!("db{index}"))],
    parts: DATABASE,
};

#[rustfmt::skip]
const DATABASE: &[Part<Database>] = &[
    part("keys", |_, (_, keys): &Database| (*keys).into())
        .is(gauge("db_keys", "Keys.")),
    part("expires", |look, (index, _): &Database| look.node.keyspace.expires(*index).into())
        .is(gauge("db_keys_expiring", "Keys with an expiry.")),
    part("avg_ttl", |look, (index, keys): &Database| (*keys > 0).then(|| look.node.average_ttl_ms(*index)).into())
        .is(gauge("db_avg_ttl_seconds", "Average time to live.").per(1e3)),
];
