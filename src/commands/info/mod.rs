//! INFO: the server's state, in sections of `field:value` lines.
//!
//! Every field is measured or counted; limpid omits fields that it cannot provide yet. The rows,
//! one file per section, also define the metrics: each figure is named once, in its row.

mod calls;
mod clients;
mod keyspace;
mod look;
mod memory;
mod persistence;
mod reading;
mod replication;
mod server;
mod stats;
mod usage;

use std::fmt::Write;

use super::command::{Group::Server, NO_KEYS, at_least, command};
use super::registry::Registry;
use super::{Args, Category, Command, Context, Flag::*, Handled};
use crate::node::Node;
use reading::Row;

pub(in crate::commands) use look::Look;
pub(in crate::commands) use memory::ratio;
pub(in crate::commands) use usage::Usage;

pub(crate) use reading::{Kind, Labels, Series, Value};

pub(super) const COMMANDS: &[Command] =
    &[command("INFO", info, at_least(1), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Dangerous])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .docs(
            "1.0.0",
            "O(1)",
            "[section [section ...]]",
            "Tells the server's state and statistics, all or by section.",
        )];

/// A section of INFO.
struct Section {
    title: &'static str,
    /// Part of a plain INFO.
    default: bool,
    rows: &'static [Row],
}

/// All sections in order. INFO's arguments are their titles in lower case.
const SECTIONS: &[Section] = &[
    Section { title: "Server", default: true, rows: server::ROWS },
    Section { title: "Clients", default: true, rows: clients::ROWS },
    Section { title: "Memory", default: true, rows: memory::ROWS },
    Section { title: "Persistence", default: true, rows: persistence::ROWS },
    Section { title: "Stats", default: true, rows: stats::ROWS },
    Section { title: "Replication", default: true, rows: replication::ROWS },
    Section { title: "CPU", default: true, rows: server::CPU },
    // There are no modules, but tools expect the section.
    Section { title: "Modules", default: true, rows: &[] },
    Section { title: "Commandstats", default: false, rows: calls::COMMANDS },
    Section { title: "Errorstats", default: true, rows: calls::ERRORS },
    Section { title: "Latencystats", default: false, rows: calls::LATENCIES },
    Section { title: "Cluster", default: true, rows: server::CLUSTER },
    Section { title: "Keyspace", default: true, rows: keyspace::ROWS },
];

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let wanted: Vec<Vec<u8>> = args.from(1).map(<[u8]>::to_ascii_lowercase).collect();
    let text = text(&sections(ctx.node, ctx.registry, &wanted));
    ctx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// A section's title and its fields (name, value).
pub(crate) type Told = (&'static str, Vec<(String, String)>);

/// The requested sections, by title in lower case, or by `default`, `all`, `everything`; an empty
/// request means the default ones. Takes no shard lock.
pub(crate) fn sections(node: &Node, registry: &Registry, wanted: &[Vec<u8>]) -> Vec<Told> {
    let asked = |word: &str| wanted.iter().any(|section| section == word.as_bytes());
    let all = asked("all") || asked("everything");
    let default = wanted.is_empty() || asked("default");
    let is_wanted = |section: &&Section| {
        all || default && section.default || asked(&section.title.to_ascii_lowercase())
    };
    let look = Look::new(node, registry);
    let told = |section: &Section| {
        let mut fields = Vec::with_capacity(section.rows.len());
        section.rows.iter().for_each(|row| row.fields(&look, &mut fields));
        (section.title, fields)
    };
    SECTIONS.iter().filter(is_wanted).map(told).collect()
}

/// Passes every series of the metrics to `give`. Takes no shard lock.
pub(crate) fn series(node: &Node, registry: &Registry, give: &mut dyn FnMut(Series<'_>)) {
    let look = Look::new(node, registry);
    let rows = SECTIONS.iter().flat_map(|section| section.rows);
    rows.for_each(|row| row.series(&look, give));
}

/// The text of INFO.
pub(crate) fn text(sections: &[Told]) -> String {
    let mut text = String::new();
    for (title, fields) in sections {
        let gap = if text.is_empty() { "" } else { "\r\n" };
        write!(text, "{gap}# {title}\r\n").expect("writing to memory");
        for (name, value) in fields {
            write!(text, "{name}:{value}\r\n").expect("writing to memory");
        }
    }
    text
}

#[cfg(test)]
mod tests;
