//! INFO: its sections, by name and all together.

use crate::session::ARGS;
use crate::subject;
use crate::support::server::Server;

/// limpid keeps no percentiles of latencies yet.
const MISSING: &str = "# Latencystats";

const REQUESTS: &[&str] = &[
    "INFO",
    "INFO default",
    "INFO all",
    "INFO everything",
    "INFO server",
    "INFO clients",
    "INFO memory",
    "INFO persistence",
    "INFO stats",
    "INFO replication",
    "INFO cpu",
    "INFO modules",
    "INFO commandstats",
    "INFO errorstats",
    "INFO cluster",
    "INFO keyspace",
    "INFO sentinel",
    "INFO nosuch",
    "INFO ",
    "INFO SERVER",
    "INFO server clients",
    "INFO clients server clients",
    "INFO nosuch server",
    "INFO default commandstats",
    "INFO all nosuch",
    "INFO server everything",
];

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn sections_are_the_same() {
    let servers = [Server::redis(ARGS), Server::start(subject(), ARGS)];
    let mut differences = Vec::new();
    for request in REQUESTS {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let [redis, limpid] = servers.each_ref().map(|server| {
            let reply = server.call(&words).unwrap();
            let text = String::from_utf8_lossy(reply.text().unwrap_or_default()).into_owned();
            let mut sections: Vec<&str> = text.split("\r\n\r\n").collect();
            sections.retain(|section| !section.starts_with(MISSING));
            // Each section is a title and lines; an empty line separates sections.
            let title = |section: &&str| section.split("\r\n").next().unwrap_or("").to_owned();
            sections.iter().map(title).collect::<Vec<_>>()
        });
        if redis != limpid {
            differences.push(format!("{request}:\n  {redis:?}\n  {limpid:?}"));
        }
    }
    assert!(differences.is_empty(), "redis and limpid:\n{}", differences.join("\n"));
}
