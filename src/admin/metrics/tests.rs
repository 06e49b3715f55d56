use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::engine::fixture::Fixture;

/// The text of a scrape.
fn scrape(engine: &Arc<Engine>) -> String {
    let mut text = Vec::new();
    let families = families(engine, &Scrapes::default()).into_inner();
    TextEncoder::new().encode(&families, &mut text).expect("every family has metrics");
    String::from_utf8(text).expect("names and labels are text")
}

/// The value of a series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().expect("a number")
}

#[test]
fn what_commands_did_is_counted_by_command() {
    let mut fixture = Fixture::new();
    fixture.run("a", "SET k v");
    fixture.run("a", "GET k");
    fixture.run("a", "GET none");
    fixture.run("a", "INCR k");
    fixture.run("a", "EXPIRE k 100");
    let text = scrape(&fixture.engine);
    for (series, expected) in [
        ("redis_up", 1.0),
        ("redis_commands_total{cmd=\"get\"}", 2.0),
        ("redis_commands_failed_calls_total{cmd=\"incr\"}", 1.0),
        ("redis_commands_latencies_usec_count{cmd=\"get\"}", 2.0),
        ("redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"+Inf\"}", 2.0),
        ("redis_errors_total{err=\"ERR\"}", 1.0),
        ("redis_keyspace_hits_total", 1.0),
        ("redis_keyspace_misses_total", 1.0),
        ("redis_db_keys{db=\"db0\"}", 1.0),
        ("redis_db_keys_expiring{db=\"db0\"}", 1.0),
        ("redis_db_keys{db=\"db15\"}", 0.0),
        ("redis_config_maxclients", 10000.0),
        ("redis_connected_slaves", 0.0),
        ("limpid_wait_seconds_count{outcome=\"met\"}", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
}

/// Checks that no series or family appears twice, and that each series follows its family.
fn check(text: &str) {
    let mut seen = BTreeSet::new();
    let mut typed = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed = rest.split(' ').next().unwrap_or_default().to_owned();
            assert!(seen.insert(typed.clone()), "{typed} twice");
        } else if !line.starts_with('#') {
            let series = line.rsplit_once(' ').expect("a value").0;
            assert!(series.starts_with(&typed), "{series} under {typed}");
            assert!(seen.insert(format!("series {series}")), "{series} twice");
        }
    }
    assert!(seen.len() > 200, "{} names and series", seen.len());
}

#[test]
fn a_type_stands_before_each_name_and_no_series_twice() {
    let mut fixture = Fixture::new();
    fixture.run("a", "SET k v");
    fixture.run("a", "SET");
    fixture.run("b", "REPLCONF listening-port 1");
    fixture.run("b", "PSYNC ? -1");
    let text = scrape(&fixture.engine);
    assert_eq!(value(&text, "redis_connected_slaves"), 1.0);
    check(&text);
    fixture.run("a", "REPLICAOF 10.0.0.1 6379");
    let text = scrape(&fixture.engine);
    assert!(text.contains("\nredis_master_link_up{"), "{text}");
    check(&text);
}

#[test]
fn waits_are_counted_by_how_they_ended() {
    let mut fixture = Fixture::new();
    fixture.run("a", "WAIT 0 0");
    assert_eq!(fixture.run("a", "WAIT 1 50"), "<wait>");
    let text = scrape(&fixture.engine);
    assert_eq!(value(&text, "limpid_wait_seconds_count{outcome=\"met\"}"), 1.0);
    assert_eq!(value(&text, "redis_blocked_clients"), 1.0);
}

#[test]
fn the_prefix_is_a_setting() {
    let mut settings = crate::settings::Settings::default();
    settings.admin.metrics_prefix = "valkey".into();
    let fixture = Fixture::with(settings, &[]);
    let text = scrape(&fixture.engine);
    assert_eq!(value(&text, "valkey_up"), 1.0);
    assert!(!text.contains("\nredis_"));
}
