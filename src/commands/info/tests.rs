use std::collections::BTreeSet;

use super::*;
use crate::engine::fixture::Fixture;

#[test]
fn no_field_appears_twice() {
    let mut fixture = Fixture::new();
    fixture.run("a", "SET k v");
    fixture.run("a", "SET");
    let engine = &fixture.engine;
    let sections = sections(&engine.node, &engine.registry, &[b"everything".to_vec()]);
    let mut seen = BTreeSet::new();
    for (name, _) in sections.iter().flat_map(|(_, fields)| fields) {
        assert!(seen.insert(name), "{name} twice");
    }
    assert!(seen.len() > 100, "{} fields", seen.len());
}

#[test]
fn full_resyncs_are_counted_by_what_made_them_necessary() {
    let mut fixture = Fixture::new();
    fixture.run("new", "PSYNC ? -1");
    let id = fixture.engine.node.log.ids().id;
    fixture.run("other", &format!("PSYNC {} 1", "9".repeat(40)));
    fixture.run("late", &format!("PSYNC {id} 1000000"));
    fixture.run("later", &format!("PSYNC {id} 2000000"));
    fixture.run("plain", "SYNC");
    let stats = fixture.run("a", "INFO stats");
    for field in [
        "sync_full:5",
        "sync_full_new:1",
        "sync_full_unknown_history:1",
        "sync_full_beyond_backlog:2",
        "sync_full_by_sync:1",
        "sync_partial_err:3",
    ] {
        assert!(stats.contains(&format!(" {field} ")), "{field} in {stats}");
    }
}

#[test]
fn values_are_written_as_in_redis() {
    for (value, text) in [
        (Value::from(-1), "-1"),
        (Value::from(true), "1"),
        (Value::Decimal(1.0, 2), "1.00"),
        (Value::status(true, ["ok", "err"]), "ok"),
        (Value::status(false, ["ok", "err"]), "err"),
    ] {
        assert_eq!(value.to_string(), text);
    }
    let fixture = Fixture::new();
    let engine = &fixture.engine;
    let look = Look::new(&engine.node, &engine.registry);
    let mut fields = Vec::new();
    for row in [
        reading::bytes("small", |_| 1023.into()),
        reading::bytes("large", |_| (3 << 19).into()),
        reading::field("none", |_| Value::Absent),
    ] {
        row.fields(&look, &mut fields);
    }
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let expected = [
        ("small", "1023"),
        ("small_human", "1023B"),
        ("large", "1572864"),
        ("large_human", "1.50M"),
    ];
    assert_eq!(fields, expected);
}
