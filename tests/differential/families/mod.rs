//! Command generators, one file per family of commands. To add a family: a file with a table of
//! rows, and the table in [`FAMILIES`].

mod arity;
mod bitmap;
mod collection;
mod connection;
mod expiry;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod picks;
mod pubsub;
mod server;
mod set;
mod sort;
mod sorted_set;
mod stream;
mod string;
mod tracking;
mod transaction;

pub(crate) use collection::RESTORED;
pub(crate) use picks::{CHOICE, pop_at_random};
pub(crate) use stream::NOW;

use crate::mangle::{is_deterministic, mangled, recased};
use crate::pair::Unit;
use crate::pool::ValueType;
use crate::session::{Outcome, Session};
use crate::support::connection::Words;
use crate::world::World;
use std::env;
use std::sync::OnceLock;

/// A generator of one kind of command, or of steps.
pub(crate) struct Generator {
    /// How often, relative to the others.
    weight: usize,
    emit: Emit,
}

#[derive(Clone, Copy)]
pub(crate) enum Emit {
    /// A command that may be mangled at random.
    Command(fn(&mut World) -> Words),
    /// A command sent unchanged: mangled, it might stop the run.
    Exact(fn(&mut World) -> Words),
    /// Commands that belong together.
    Unit(fn(&mut World) -> Unit),
    /// Several steps, on several connections.
    Scenario(Scenario),
}

pub(crate) type Scenario = fn(&mut Session) -> Outcome;

pub(crate) enum Next {
    Unit(Unit),
    Scenario(Scenario),
}

use Emit::{Command, Exact, Scenario as Steps, Unit as Together};

/// The generators of one group of commands.
struct Family {
    name: &'static str,
    generators: &'static [Generator],
    /// Commands for random arguments in any number, besides those of [`arity`].
    commands: &'static [&'static str],
    /// The type whose keys the family uses.
    of: Option<ValueType>,
}

const fn family(name: &'static str, generators: &'static [Generator]) -> Family {
    Family { name, generators, commands: &[], of: None }
}

const FAMILIES: &[Family] = &[
    family("connection", connection::GENERATORS),
    family("string", string::GENERATORS),
    family("generic", generic::GENERATORS),
    family("expiry", expiry::GENERATORS),
    family("transaction", transaction::GENERATORS),
    family("pubsub", pubsub::GENERATORS),
    family("server", server::GENERATORS),
    family("tracking", tracking::GENERATORS),
    family("arity", arity::GENERATORS),
    list::FAMILY,
    set::FAMILY,
    hash::FAMILY,
    sorted_set::FAMILY,
    stream::FAMILY,
    bitmap::FAMILY,
    hyperloglog::FAMILY,
    geo::FAMILY,
    sort::FAMILY,
    collection::FAMILY,
];

/// The families whose commands limpid has.
const DEFAULT: &[&str] = &[
    "connection",
    "string",
    "generic",
    "expiry",
    "transaction",
    "pubsub",
    "server",
    "tracking",
    "arity",
    "bitmap",
    "hyperloglog",
    "list",
    "set",
    "hash",
    "sorted_set",
    "geo",
    "sort",
    "stream",
];

/// The families of this run: LIMPID_DIFF_FAMILIES names them, separated by commas; `default` and
/// `all` stand for several.
fn selected() -> &'static [&'static Family] {
    static SELECTED: OnceLock<Vec<&'static Family>> = OnceLock::new();
    SELECTED.get_or_init(|| {
        let names = env::var("LIMPID_DIFF_FAMILIES").unwrap_or_else(|_| "default".to_owned());
        let names: Vec<&str> = names.split(',').collect();
        let is_known = |name: &str| {
            matches!(name, "default" | "all") || FAMILIES.iter().any(|family| family.name == name)
        };
        let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "LIMPID_DIFF_FAMILIES: no families {unknown:?}");
        let is_selected = |family: &&Family| {
            names.contains(&"all")
                || names.contains(&family.name)
                || names.contains(&"default") && DEFAULT.contains(&family.name)
        };
        FAMILIES.iter().filter(is_selected).collect()
    })
}

/// Whether this run has a family.
pub(crate) fn is_selected(name: &str) -> bool {
    selected().iter().any(|family| family.name == name)
}

/// Whether a command belongs to no family that this run leaves out.
pub(crate) fn has_command(name: &str) -> bool {
    let of = FAMILIES.iter().find(|family| family.commands.contains(&name));
    of.is_none_or(|family| is_selected(family.name))
}

/// The types that the families of this run use.
pub(crate) fn value_types() -> Vec<ValueType> {
    selected().iter().filter_map(|family| family.of).collect()
}

const MANGLED_PERCENT: usize = 10;
const RECASED_PERCENT: usize = 20;

const fn row(weight: usize, emit: Emit) -> Generator {
    Generator { weight, emit }
}

/// Draws the next step.
pub(crate) fn next(world: &mut World) -> Next {
    match drawn(world) {
        Command(make) => Next::Unit(Unit::one(varied(world, make))),
        Exact(make) => Next::Unit(Unit::one(make(world))),
        Together(make) => Next::Unit(make(world)),
        Steps(run) => Next::Scenario(run),
    }
}

/// A command on its own, for use in a transaction or another command.
pub(crate) fn plain_command(world: &mut World) -> Words {
    loop {
        match drawn(world) {
            Command(make) => return varied(world, make),
            Exact(make) => return make(world),
            Together(_) | Steps(_) => {}
        }
    }
}

/// A command as its generator makes it; seldom refused before execution.
pub(crate) fn sound_command(world: &mut World) -> Words {
    loop {
        if let Command(make) = drawn(world) {
            let words = make(world);
            if is_deterministic(&words) {
                return words;
            }
        }
    }
}

fn drawn(world: &mut World) -> Emit {
    let all = || selected().iter().flat_map(|family| family.generators);
    let mut place = world.random.below(all().map(|generator| generator.weight).sum());
    for generator in all() {
        if place < generator.weight {
            return generator.emit;
        }
        place -= generator.weight;
    }
    unreachable!("the place is below the sum of the weights")
}

/// A command, sometimes mangled, sometimes in another case.
fn varied(world: &mut World, make: fn(&mut World) -> Words) -> Words {
    loop {
        let mut words = make(world);
        if world.random.percent(MANGLED_PERCENT) {
            words = mangled(world, words);
        }
        if world.random.percent(RECASED_PERCENT) {
            words = recased(world, words);
        }
        if is_deterministic(&words) {
            return words;
        }
    }
}

/// Converts a value to one argument.
pub(crate) trait ToWord {
    fn to_word(self) -> Vec<u8>;
}

impl ToWord for Vec<u8> {
    fn to_word(self) -> Vec<u8> {
        self
    }
}

impl ToWord for &[u8] {
    fn to_word(self) -> Vec<u8> {
        self.to_vec()
    }
}

impl ToWord for &str {
    fn to_word(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl ToWord for i64 {
    fn to_word(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

/// Builds a command from its arguments.
#[macro_export]
macro_rules! words {
    ($($word:expr),* $(,)?) => {
        vec![$($crate::families::ToWord::to_word($word)),*]
    };
}
