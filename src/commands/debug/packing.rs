//! How lists and other small collections are packed: DEBUG LISTPACK, QUICKLIST and their kin.

use std::sync::atomic::Ordering;

use crate::commands::{Args, Context, Failure, Handled};
use crate::settings::memory_bytes;
use crate::telemetry::log::log;
use crate::types::Encoding;
use crate::types::list::{Container, Direction, ListRef, PLAIN_BYTES_MIN, Stored};
use crate::types::listpack::Listpack;

/// Nodes hold their length in 32 bits.
const PLAIN_BYTES_MIN_MAX: u64 = (1 << 32) - (1 << 20);

/// The fields that DEBUG OBJECT adds for a list.
pub(super) fn summary(list: ListRef<'_>) -> String {
    let nodes = list.node_count();
    let bytes: usize = list
        .nodes()
        .map(|(_, stored)| match stored {
            Stored::Raw(bytes) => bytes.len(),
            Stored::Compressed(_, expanded_bytes) => expanded_bytes,
        })
        .sum();
    format!(
        " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} \
         ql_uncompressed_size:{bytes}",
        list.len() as f64 / nodes as f64,
        list.limits().fill(),
        u8::from(list.limits().compress_depth() > 0),
    )
}

/// Logs the elements of a value that Redis keeps as one listpack.
pub(super) fn listpack(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let entry = ctx.keys.locked.get(ctx.keys.database, key).ok_or(Failure::NoSuchKey)?;
    if !matches!(entry.encoding(), Encoding::HashPack | Encoding::SortedSetPack) {
        return Err(Failure::err("Not a listpack encoded object."));
    }
    let pack = Listpack::new(entry.packed());
    log!(Notice, "{{total bytes {}}} {{num entries {}}}", pack.bytes_len(), pack.len());
    for (index, (offset, item)) in pack.iter().enumerate() {
        item.with_bytes(|bytes| {
            log!(Notice, "{{offset {offset}, index {index}}} {}", bytes.escape_ascii());
        });
    }
    ctx.reply.simple("Listpack structure printed on stdout");
    Ok(())
}

/// Logs the nodes of a list.
pub(super) fn quicklist(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let entry = ctx.keys.locked.get(ctx.keys.database, key).ok_or(Failure::NoSuchKey)?;
    let full = args.get(3).is_some_and(super::is_on);
    let list = entry.value().list();
    let list = list.ok_or_else(|| Failure::err("Not a quicklist encoded object."))?;
    log!(Notice, "{{count {}}} {{nodes {}}}", list.len(), list.node_count());
    for (index, (container, stored)) in list.nodes().enumerate() {
        let (bytes, expanded_bytes) = match stored {
            Stored::Raw(bytes) => (bytes.len(), bytes.len()),
            Stored::Compressed(bytes, expanded_bytes) => (bytes.len(), expanded_bytes),
        };
        let container = if container == Container::Plain { "PLAIN" } else { "PACKED" };
        log!(Notice, "{{node {index}}} {container} {{bytes {bytes} of {expanded_bytes}}}");
    }
    if full {
        list.visit_some(0, Direction::Forward, list.len(), |item| {
            item.with_bytes(|bytes| log!(Notice, "{}", bytes.escape_ascii()));
        });
    }
    ctx.reply.simple("Quicklist structure printed on stdout");
    Ok(())
}

/// Sets from which length a list's element stands alone in its node.
pub(super) fn set_threshold(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let bytes = std::str::from_utf8(args.at(2)).ok().and_then(memory_bytes);
    let bytes = bytes.filter(|bytes| *bytes <= PLAIN_BYTES_MIN_MAX);
    let bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok()).ok_or_else(|| {
        Failure::err("argument must be a memory value bigger than 1 and smaller than 4gb")
    })?;
    let bytes = if bytes == 0 { PLAIN_BYTES_MIN } else { bytes };
    ctx.node.list_plain_bytes_min.store(bytes, Ordering::Relaxed);
    ctx.reply.ok();
    Ok(())
}
