//! How full the hash tables are: DEBUG HTSTATS and HTSTATS-KEY.
//!
//! What Redis calls a slot with its chain is a segment with its elements here: where the hash of an
//! element leads to. There is no second table that elements would move to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::commands::{Args, Context, Failure, Handled};
use crate::types::ValueRef;
use crate::types::hash::HashRef;
use crate::types::members::SetRef;
use crate::types::sorted_set::SortedSetRef;

/// Shows the table of a database. Keys that expire are in the same table as others.
pub(super) fn of_database(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let database = usize::try_from(Context::integer(args.at(2))?).ok();
    let database = database.filter(|database| *database < ctx.node.keyspace.databases());
    let database = database.ok_or_else(|| Failure::err("Out of range database"))?;
    let segments = ctx.keys.locked.segment_lens(database);
    let keys = figures(segments.iter().map(|(keys, _)| *keys));
    let expires = figures(segments.iter().map(|(_, expiring)| *expiring));
    let text = format!("[Dictionary HT]\n{keys}[Expires HT]\n{expires}");
    ctx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// Shows the table of a large set, hash or sorted set.
pub(super) fn of_key(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let entry = ctx.keys.locked.get(ctx.keys.database, key).ok_or(Failure::NoSuchKey)?;
    let text = match entry.value() {
        ValueRef::Set(SetRef::Table(table)) => figures(table.segment_lens()),
        ValueRef::Hash(HashRef::Table(table)) => figures(table.segment_lens()),
        ValueRef::SortedSet(SortedSetRef::Tree(set)) => figures(set.index_segment_lens()),
        _ => {
            return Err(Failure::err(
                "The value stored at the specified key is not represented using an hash table",
            ));
        }
    };
    ctx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// What Redis shows of a table, by the lengths of its segments.
fn figures(segments: impl IntoIterator<Item = usize>) -> String {
    let mut lengths = BTreeMap::<usize, usize>::new();
    for len in segments {
        *lengths.entry(len).or_default() += 1;
    }
    let mut text = "Hash table 0 stats (main hash table):\n".to_owned();
    let size: usize = lengths.values().sum();
    let elements: usize = lengths.iter().map(|(len, count)| len * count).sum();
    if elements == 0 {
        text.push_str("No stats available for empty dictionaries\n");
        return text;
    }
    let used = size - lengths.get(&0).unwrap_or(&0);
    let longest = lengths.last_key_value().map_or(0, |(len, _)| *len);
    let average = elements as f64 / used as f64;
    let lines = format!(
        " table size: {size}\n number of elements: {elements}\n different slots: {used}\n \
         max chain length: {longest}\n avg chain length (counted): {average:.2}\n \
         avg chain length (computed): {average:.2}\n Chain length distribution:\n"
    );
    text.push_str(&lines);
    for (len, count) in &lengths {
        let share = *count as f64 / size as f64 * 100.0;
        let written = writeln!(text, "   {len}: {count} ({share:.2}%)");
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    text
}
