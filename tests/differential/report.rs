//! Reports a difference with everything needed to reproduce it.

use crate::compare::Kind;
use crate::support::connection::Words;
use crate::support::reply::{Reply, escaped};
use crate::world::is_key;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

/// Commands remembered, to show those that led to a difference.
const REMEMBERED: usize = 5_000;
const SHOWN: usize = 10;
/// Examples of one sort of difference in a summary.
const EXAMPLES: usize = 2;

/// The clients of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    A,
    B,
    /// Subscribes and unsubscribes at random.
    Subscriber,
    /// Gets every message.
    Observer,
    /// Asks for digests.
    Control,
}

#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What distinguishes this sort of difference from others of the same command and kind.
    pub(crate) sort: String,
    pub(crate) report: String,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    commands: VecDeque<(usize, Who, Words)>,
    pub(crate) sent: usize,
}

impl History {
    pub(crate) fn add(&mut self, who: Who, words: &Words) {
        if self.commands.len() == REMEMBERED {
            self.commands.pop_front();
        }
        self.sent += 1;
        self.commands.push_back((self.sent, who, words.clone()));
    }

    /// The last commands that named one of these keys, or changed all keys.
    pub(crate) fn about(&self, keys: &[&Vec<u8>]) -> String {
        let is_about = |words: &Words| {
            let name = words[0].to_ascii_lowercase();
            matches!(
                &name[..],
                b"flushall" | b"flushdb" | b"swapdb" | b"select" | b"reset" | b"multi" | b"exec"
            ) || words[1..].iter().any(|word| keys.contains(&word))
        };
        let about = self.commands.iter().rev().filter(|(_, _, words)| is_about(words));
        let mut lines: Vec<_> = about.take(SHOWN).map(line).collect();
        lines.reverse();
        lines.concat()
    }

    /// What one connection sent last.
    pub(crate) fn of(&self, who: Who, count: usize) -> String {
        let own: Vec<_> = self.commands.iter().filter(|(_, sender, _)| *sender == who).collect();
        own[own.len().saturating_sub(count)..].iter().map(|&command| line(command)).collect()
    }

    pub(crate) fn last(&self, count: usize) -> String {
        let from = self.commands.len().saturating_sub(count);
        self.commands.range(from..).map(line).collect()
    }
}

fn line((number, who, words): &(usize, Who, Words)) -> String {
    format!("    #{number} {who:?}: {}\n", command_line(words))
}

/// The words of a command that are keys.
pub(crate) fn keys_of(words: &Words) -> Vec<&Vec<u8>> {
    words[1..].iter().filter(|word| is_key(word)).collect()
}

/// A command as one printable line.
pub(crate) fn command_line(words: &Words) -> String {
    const WORDS_SHOWN: usize = 40;
    let mut line: Vec<_> = words.iter().take(WORDS_SHOWN).map(|word| escaped(word)).collect();
    if words.len() > WORDS_SHOWN {
        line.push(format!(".. ({} words)", words.len()));
    }
    line.join(" ")
}

/// Collected differences, one entry for each sort.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    sorts: BTreeMap<(String, Kind, String), (usize, Vec<String>)>,
}

impl Collection {
    pub(crate) fn add(&mut self, mismatch: Mismatch) {
        let key = (mismatch.name, mismatch.kind, mismatch.sort);
        let (count, examples) = self.sorts.entry(key).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(mismatch.report);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sorts.is_empty()
    }

    /// Missing commands; one line for each sort, the most frequent first; then examples.
    pub(crate) fn summary(&self) -> String {
        let is_missing = |kind: &Kind| *kind == Kind::Missing;
        let missing = self.sorts.keys().filter(|(_, kind, _)| is_missing(kind));
        let missing: Vec<_> = missing.map(|(name, _, _)| name.as_str()).collect();
        let mut sorts: Vec<_> =
            self.sorts.iter().filter(|((_, kind, _), _)| !is_missing(kind)).collect();
        sorts.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let mut text = format!("not there: {}\n", missing.join(", "));
        writeln!(text, "{} other sorts of differences", sorts.len()).expect("a String takes all");
        for ((name, kind, sort), (count, _)) in &sorts {
            writeln!(text, "{count:>6}  {name:<28} {kind:?}: {sort}").expect("a String takes all");
        }
        for ((name, kind, sort), (_, examples)) in &sorts {
            writeln!(text, "\n=== {name} {kind:?}: {sort}").expect("a String takes all");
            text.push_str(&examples.join("  ---\n"));
        }
        text
    }
}

/// How often each command was sent outside transactions, and how it was answered.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<String, Counts>,
    /// How many were refused for lack of rights.
    pub(crate) denied: usize,
}

#[derive(Debug, Default)]
struct Counts {
    sent: usize,
    errors: usize,
    /// Null, zero, or nothing in it.
    empty: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, name: &str, reply: &Reply) {
        if !self.counts.contains_key(name) {
            self.counts.insert(name.to_owned(), Counts::default());
        }
        let counts = self.counts.get_mut(name).expect("just inserted");
        counts.sent += 1;
        counts.errors += usize::from(reply.is_error());
        let is_denial = matches!(reply, Reply::Error(text) if text.starts_with(b"NOPERM"));
        self.denied += usize::from(is_denial);
        let is_empty = match reply {
            Reply::Integer(0) | Reply::NullBulk | Reply::NullArray | Reply::Null => true,
            Reply::Bulk(text) => text.is_empty(),
            reply => reply.items().is_some_and(|items| items.is_empty()),
        };
        counts.empty += usize::from(is_empty);
    }

    /// One line for each command that was sent several times.
    pub(crate) fn table(&self) -> String {
        const SENT_MIN: usize = 10;
        let mut text = "  sent  errors  empty\n".to_owned();
        for (name, Counts { sent, errors, empty }) in &self.counts {
            if *sent >= SENT_MIN {
                let percent = |part: usize| 100 * part / sent;
                let (errors, empty) = (percent(*errors), percent(*empty));
                writeln!(text, "{sent:>6} {errors:>6}% {empty:>5}%  {name}")
                    .expect("a String takes all");
            }
        }
        text
    }
}
