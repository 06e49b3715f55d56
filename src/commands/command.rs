//! A command's row: everything about it except its handler's body.
//!
//! The row determines COMMAND's replies, arity, ACL categories, the lock set, admission,
//! replication and the metrics' labels. Flags and key specifications have the meaning and names of
//! Redis 7's command tables.

pub(super) use super::keyspec::{
    Begin, Find, KeyPlaces, NO_KEYS, key_range, numbered_keys, one_key, two_keys,
};
use super::{Args, Context, Failure};
use crate::node::scripts::Scripts;

/// A handler's result: its reply is written, or it failed and changed nothing.
pub(crate) type Handled = Result<(), Failure>;

/// A handler: synchronous, holds the locks that its row names.
pub(crate) type Handler = fn(&mut Context<'_>, &Args<'_>) -> Handled;

/// A handler of a command about scripts, which the engine has locked before the shards.
pub(crate) type ScriptsHandler = fn(&mut Context<'_>, &mut Scripts, &Args<'_>) -> Handled;

/// How a command runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    Handler(Handler),
    /// A handler that needs the scripts.
    Scripts(ScriptsHandler),
    /// Only a container of subcommands.
    Subcommands,
    /// Run by the engine, which identifies it by this.
    Engine(EngineCommand),
}

/// Commands that the engine runs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineCommand {
    Exec,
    /// Runs a script.
    Script(Source),
}

/// Where a script comes from: what the first argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Its text.
    Text,
    /// The SHA-1 digest of one that is known.
    Digest,
    /// A function's name.
    Function,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    /// Upper case; for a subcommand, its own word only.
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    pub(crate) arity: Arity,
    pub(crate) flags: Flags,
    pub(crate) keys: KeyPlaces,
    pub(crate) locks: Locks,
    pub(crate) group: Group,
    pub(crate) categories: &'static [Category],
    pub(crate) tips: &'static [&'static str],
    pub(crate) subcommands: &'static [Self],
    /// Index of the argument that is a member or field of the first key's collection; 0 if there is
    /// none, or none to look up. A hint: several of a batch are read ahead together.
    pub(crate) member: usize,
    pub(crate) docs: Docs,
}

/// Number of arguments, including the command's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arity(pub(crate) i32);

impl Arity {
    #[inline]
    pub(crate) fn allows(self, args: usize) -> bool {
        let args = i64::try_from(args).unwrap_or(i64::MAX);
        let arity = i64::from(self.0);
        if arity >= 0 { args == arity } else { args >= -arity }
    }
}

pub(super) const fn exactly(args: i32) -> Arity {
    Arity(args)
}

pub(super) const fn at_least(args: i32) -> Arity {
    Arity(-args)
}

/// Properties of a command; names as in Redis's COMMAND INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Flag {
    Write = 1,
    ReadOnly = 1 << 1,
    DenyOom = 1 << 2,
    Admin = 1 << 3,
    PubSub = 1 << 4,
    NoScript = 1 << 5,
    Blocking = 1 << 6,
    Loading = 1 << 7,
    Stale = 1 << 8,
    SkipMonitor = 1 << 9,
    SkipSlowlog = 1 << 10,
    Fast = 1 << 11,
    NoAuth = 1 << 12,
    MayReplicate = 1 << 13,
    NoAsyncLoading = 1 << 14,
    NoMulti = 1 << 15,
    AllowBusy = 1 << 16,
    /// The positions of the keys depend on the arguments.
    MovableKeys = 1 << 17,
    /// For a slot that another node moves to this one.
    Asking = 1 << 18,
    /// It may have no keys at all.
    NoMandatoryKeys = 1 << 19,
}

impl Flag {
    /// Names in COMMAND INFO's order; COMMAND INFO omits `MayReplicate`.
    pub(crate) const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Write, "write"),
        (Self::ReadOnly, "readonly"),
        (Self::DenyOom, "denyoom"),
        (Self::Admin, "admin"),
        (Self::PubSub, "pubsub"),
        (Self::NoScript, "noscript"),
        (Self::Blocking, "blocking"),
        (Self::Loading, "loading"),
        (Self::Stale, "stale"),
        (Self::SkipMonitor, "skip_monitor"),
        (Self::SkipSlowlog, "skip_slowlog"),
        (Self::Asking, "asking"),
        (Self::Fast, "fast"),
        (Self::NoAuth, "no_auth"),
        (Self::NoMandatoryKeys, "no_mandatory_keys"),
        (Self::NoAsyncLoading, "no_async_loading"),
        (Self::NoMulti, "no_multi"),
        (Self::MovableKeys, "movablekeys"),
        (Self::AllowBusy, "allow_busy"),
    ];
}

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    const fn of(flags: &[Flag]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < flags.len() {
            bits |= flags[i] as u32;
            i += 1;
        }
        Self(bits)
    }

    #[inline]
    pub(crate) const fn has(self, flag: Flag) -> bool {
        self.0 & flag as u32 != 0
    }

    /// These, with a flag set or not.
    #[must_use]
    pub(crate) const fn with(self, flag: Flag, set: bool) -> Self {
        if set { Self(self.0 | flag as u32) } else { Self(self.0 & !(flag as u32)) }
    }
}

/// Which shards are locked while a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locks {
    /// Those of the keys.
    Keys,
    /// All: the command acts on whole databases, or needs a consistent view of all data.
    All,
    /// One after the other, as the handler iterates; all of them within EXEC.
    OneByOne,
}

/// The group of COMMAND DOCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    Bitmap,
    HyperLogLog,
    Geo,
    Generic,
    Connection,
    PubSub,
    Server,
    Transactions,
    Cluster,
    Scripting,
}

impl Group {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Hash => "hash",
            Self::Stream => "stream",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hyperloglog",
            Self::Geo => "geo",
            Self::Generic => "generic",
            Self::Connection => "connection",
            Self::PubSub => "pubsub",
            Self::Server => "server",
            Self::Transactions => "transactions",
            Self::Cluster => "cluster",
            Self::Scripting => "scripting",
        }
    }
}

/// ACL categories in COMMAND INFO's order. Rows do not list those that follow from flags (write,
/// read, admin, dangerous, fast, slow, ...).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Category {
    Keyspace,
    Read,
    Write,
    Set,
    SortedSet,
    List,
    Hash,
    String,
    Bitmap,
    HyperLogLog,
    Geo,
    Stream,
    PubSub,
    Admin,
    Fast,
    Slow,
    Blocking,
    Dangerous,
    Connection,
    Transaction,
    Scripting,
}

impl Category {
    pub(crate) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Keyspace, "keyspace"),
        (Self::Read, "read"),
        (Self::Write, "write"),
        (Self::Set, "set"),
        (Self::SortedSet, "sortedset"),
        (Self::List, "list"),
        (Self::Hash, "hash"),
        (Self::String, "string"),
        (Self::Bitmap, "bitmap"),
        (Self::HyperLogLog, "hyperloglog"),
        (Self::Geo, "geo"),
        (Self::Stream, "stream"),
        (Self::PubSub, "pubsub"),
        (Self::Admin, "admin"),
        (Self::Fast, "fast"),
        (Self::Slow, "slow"),
        (Self::Blocking, "blocking"),
        (Self::Dangerous, "dangerous"),
        (Self::Connection, "connection"),
        (Self::Transaction, "transaction"),
        (Self::Scripting, "scripting"),
    ];
}

/// The texts of COMMAND DOCS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Docs {
    pub(crate) summary: &'static str,
    /// The version of Redis that introduced the command.
    pub(crate) since: &'static str,
    pub(crate) complexity: &'static str,
    /// The arguments in the notation of Redis's documentation, e.g. `key [NX | XX]`.
    pub(crate) syntax: &'static str,
}

/// A row with a handler.
pub(super) const fn command(
    name: &'static str,
    handler: Handler,
    arity: Arity,
    flags: &[Flag],
    keys: KeyPlaces,
    group: Group,
) -> Command {
    let categories: &[Category] = match group {
        Group::String => &[Category::String],
        Group::List => &[Category::List],
        Group::Set => &[Category::Set],
        Group::SortedSet => &[Category::SortedSet],
        Group::Hash => &[Category::Hash],
        Group::Stream => &[Category::Stream],
        Group::Bitmap => &[Category::Bitmap],
        Group::HyperLogLog => &[Category::HyperLogLog],
        Group::Geo => &[Category::Geo],
        Group::Generic => &[Category::Keyspace],
        Group::Connection => &[Category::Connection],
        Group::PubSub => &[Category::PubSub],
        Group::Server | Group::Cluster => &[],
        Group::Transactions => &[Category::Transaction],
        Group::Scripting => &[Category::Scripting],
    };
    Command {
        name,
        run: Run::Handler(handler),
        arity,
        flags: Flags::of(flags),
        keys,
        locks: Locks::Keys,
        group,
        categories,
        tips: &[],
        subcommands: &[],
        member: 0,
        docs: Docs { summary: "", since: "", complexity: "", syntax: "" },
    }
}

/// A row that only holds subcommands.
pub(super) const fn container(
    name: &'static str,
    subcommands: &'static [Command],
    group: Group,
) -> Command {
    Command {
        name,
        run: Run::Subcommands,
        arity: at_least(2),
        flags: Flags(0),
        keys: NO_KEYS,
        locks: Locks::Keys,
        group,
        categories: &[],
        tips: &[],
        subcommands,
        member: 0,
        docs: Docs { summary: "", since: "", complexity: "", syntax: "" },
    }
}

impl Command {
    /// Sets the texts of COMMAND DOCS.
    pub(super) const fn docs(
        mut self,
        since: &'static str,
        complexity: &'static str,
        syntax: &'static str,
        summary: &'static str,
    ) -> Self {
        self.docs = Docs { summary, since, complexity, syntax };
        self
    }

    pub(super) const fn member(mut self, argument: usize) -> Self {
        self.member = argument;
        self
    }

    pub(super) const fn locking(mut self, locks: Locks) -> Self {
        self.locks = locks;
        self
    }

    pub(super) const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Sets explicit ACL categories, which replace the group's.
    pub(super) const fn categories(mut self, categories: &'static [Category]) -> Self {
        self.categories = categories;
        self
    }

    /// Makes the engine run the command instead of a handler.
    pub(super) const fn by_engine(mut self, command: EngineCommand) -> Self {
        self.run = Run::Engine(command);
        self
    }

    /// Makes a handler run the command that needs the scripts.
    pub(super) const fn with_scripts(mut self, handler: ScriptsHandler) -> Self {
        self.run = Run::Scripts(handler);
        self
    }

    /// Whether the scripts must be locked before the command runs.
    pub(crate) fn needs_scripts(&self) -> bool {
        matches!(self.run, Run::Scripts(_) | Run::Engine(EngineCommand::Script(_)))
    }

    /// Adds subcommands; the handler runs when none is given.
    pub(super) const fn subcommands(mut self, subcommands: &'static [Self]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Which engine command this is, if any.
    #[inline]
    pub(crate) fn run_by_engine(&self) -> Option<EngineCommand> {
        match self.run {
            Run::Engine(command) => Some(command),
            _ => None,
        }
    }

    /// All ACL categories: those of the row and those that follow from its flags.
    pub(crate) fn acl_categories(&self) -> Vec<&'static str> {
        let has = |category: Category| {
            self.categories.contains(&category)
                || match category {
                    Category::Write => self.flags.has(Flag::Write),
                    Category::Read => {
                        self.flags.has(Flag::ReadOnly)
                            && !self.categories.contains(&Category::Scripting)
                    }
                    Category::Admin => self.flags.has(Flag::Admin),
                    Category::Dangerous => self.flags.has(Flag::Admin),
                    Category::PubSub => self.flags.has(Flag::PubSub),
                    Category::Fast => self.flags.has(Flag::Fast),
                    Category::Slow => !self.flags.has(Flag::Fast),
                    Category::Blocking => self.flags.has(Flag::Blocking),
                    _ => false,
                }
        };
        let all = Category::ALL.iter();
        all.filter(|(category, _)| has(*category)).map(|(_, name)| *name).collect()
    }
}
