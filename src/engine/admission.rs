//! Decides whether a command may run now, in Redis's order of checks.

use std::borrow::Cow;

use super::caller::Caller;
use super::declared;
use super::permission;
use crate::acl;
use crate::aof::State;
use crate::commands::registry::Registered;
use crate::commands::{Args, EngineCommand, Failure, Flag, Flags, LOADING};
use crate::node::admission::Condition;
use crate::node::client::{Client, Queued};
use crate::resp::Protocol;
use crate::scripting::ScriptFlags;

/// The decision on a command.
#[derive(Debug)]
pub(super) enum Verdict {
    Run,
    /// The command is part of a transaction. With what the script declares that it runs.
    Queue(Option<ScriptFlags>),
    Refuse(Failure),
    /// Clients are paused.
    Wait,
    /// The client's user is gone, and the connection ends.
    Over,
    /// It comes over the link to a former master.
    Abort,
}

/// Commands allowed for RESP2 subscribers, by full name: a subcommand may share another command's
/// name.
const WHILE_SUBSCRIBED: &[&str] = &[
    "ping",
    "subscribe",
    "ssubscribe",
    "psubscribe",
    "unsubscribe",
    "sunsubscribe",
    "punsubscribe",
    "quit",
    "reset",
];

/// Commands of a transaction that run at once.
const NOT_QUEUED: &[&str] = &["exec", "discard", "multi", "watch", "quit", "reset"];

const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable \
to persist to disk. Commands that may modify the data set are disabled, because this instance is \
configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error \
option). Please check the Redis logs for details about the RDB error.";

const READONLY: &str = "READONLY You can't write against a read only replica.";

const NOREPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";

pub(super) const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Commands that a transaction may end with when memory is short; of the rest none is queued.
const ENDS_TRANSACTION: &[&str] = &["exec", "discard", "quit", "reset"];

pub(super) const MASTERDOWN: &str =
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";

/// A master has already run its commands: they skip the checks.
fn judge_master(caller: &Caller<'_>, client: &Client, generation: u64, name: &str) -> Verdict {
    match client.multi {
        _ if generation != caller.node.replication.generation() => Verdict::Abort,
        Some(_) if !NOT_QUEUED.contains(&name) => Verdict::Queue(None),
        _ => Verdict::Run,
    }
}

/// A command to admit, and its client.
#[derive(Clone, Copy, Debug)]
struct Candidate<'c> {
    caller: &'c Caller<'c>,
    client: &'c Client,
    registered: &'c Registered,
    /// What the script declares that it runs.
    script: Option<ScriptFlags>,
}

#[cold]
pub(super) fn judge(
    caller: &Caller<'_>,
    client: &mut Client,
    registered: &Registered,
    args: &Args<'_>,
) -> Verdict {
    let (row, admission) = (registered.row, &caller.node.admission);
    if let Some(master) = &client.master {
        return judge_master(caller, client, master.generation, &registered.name);
    }
    if client.closing {
        return Verdict::Over;
    }
    if admission.has(Condition::ShuttingDown) {
        return Verdict::Wait;
    }
    if !client.is_trusted(&caller.node.acl) && !row.flags.has(Flag::NoAuth) {
        return refuse("NOAUTH Authentication required.");
    }
    if client.multi.is_some() && row.flags.has(Flag::NoMulti) {
        return refuse("ERR Command not allowed inside a transaction");
    }
    let context = if client.multi.is_some() { acl::Context::Multi } else { acl::Context::Toplevel };
    if let Some(denial) = permission::denied(caller, client, registered, args, context) {
        return Verdict::Refuse(Failure::Other(denial.error(&registered.name).into()));
    }
    let client = &*client;
    let script = declared::by_script(caller, registered, args);
    let candidate = Candidate { caller, client, registered, script };
    if caller.memory_short && candidate.needs_memory() {
        return refuse(OOM);
    }
    if let Some(failure) = candidate.refused_as_write().or_else(|| candidate.refused()) {
        return Verdict::Refuse(failure);
    }
    if client.is_fed() && candidate.touches_keys() {
        // A pause holds back clients, but none of these.
        return refuse("ERR Replica can't interact with the keyspace");
    }
    if candidate.waits() {
        return Verdict::Wait;
    }
    if client.multi.is_some() && !NOT_QUEUED.contains(&&*registered.name) {
        return Verdict::Queue(script);
    }
    Verdict::Run
}

impl Candidate<'_> {
    /// Whether the command matches, or is EXEC of a transaction with one that does.
    fn holds(&self, wanted: &dyn Fn(Flags) -> bool) -> bool {
        let row = self.registered.row;
        let flags = |queued: &Queued| {
            declared::instead_of(self.caller.row(queued.command).row.flags, queued.script)
        };
        wanted(declared::instead_of(row.flags, self.script))
            || row.run_by_engine() == Some(EngineCommand::Exec)
                && self
                    .client
                    .multi
                    .as_ref()
                    .is_some_and(|multi| multi.queued.iter().any(|queued| wanted(flags(queued))))
    }

    /// Whether the command may need more memory, if only for being queued.
    fn needs_memory(&self) -> bool {
        self.client.multi.is_some() && !ENDS_TRANSACTION.contains(&&*self.registered.name)
            || self.holds(&|flags| flags.has(Flag::DenyOom))
    }

    fn writes(&self) -> bool {
        self.holds(&|flags| flags.has(Flag::Write))
    }

    fn touches_keys(&self) -> bool {
        let wanted = [Flag::Write, Flag::ReadOnly, Flag::MayReplicate];
        self.holds(&|flags| wanted.iter().any(|&flag| flags.has(flag)))
    }

    /// Why writes are refused now.
    fn refused_as_write(&self) -> Option<Failure> {
        let (admission, settings) = (&self.caller.node.admission, &self.caller.settings);
        if is_save_failed(self.caller) && (self.writes() || self.registered.name == "ping") {
            return Some(Failure::Other(MISCONF.into()));
        }
        if admission.has(Condition::FileFailed)
            && (self.writes() || self.registered.name == "ping")
            && let Some(text) = file_failed(self.caller)
        {
            return Some(Failure::Other(text.into()));
        }
        if admission.has(Condition::TooFewReplicas) && self.writes() {
            return Some(Failure::Other(NOREPLICAS.into()));
        }
        if admission.has(Condition::Replica) && settings.replication.read_only && self.writes() {
            return Some(Failure::Other(READONLY.into()));
        }
        None
    }

    /// Why this client's command is refused now.
    fn refused(&self) -> Option<Failure> {
        let (client, registered) = (self.client, self.registered);
        if client.is_subscribed()
            && client.protocol == Protocol::Resp2
            && !WHILE_SUBSCRIBED.contains(&&*registered.name)
        {
            return Some(Failure::err(format_args!(
                "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
                 are allowed in this context",
                registered.name
            )));
        }
        let admission = &self.caller.node.admission;
        if admission.has(Condition::MasterDown)
            && !self.caller.settings.replication.serve_stale_data
            && self.holds(&|flags| !flags.has(Flag::Stale))
        {
            return Some(Failure::Other(MASTERDOWN.into()));
        }
        if admission.has(Condition::Loading) && self.holds(&|flags| !flags.has(Flag::Loading)) {
            return Some(Failure::Other(LOADING.into()));
        }
        if admission.has(Condition::Busy) && !registered.row.flags.has(Flag::AllowBusy) {
            let busy = self.caller.node.scripts.busy();
            return busy.map(|busy| Failure::Other(busy.kind.busy_text().into()));
        }
        None
    }

    /// Whether a pause blocks the command.
    fn waits(&self) -> bool {
        let node = self.caller.node;
        let admission = &node.admission;
        let writes =
            || self.holds(&|flags| flags.has(Flag::Write) || flags.has(Flag::MayReplicate));
        let paused = admission.has(Condition::PausedAll)
            || admission.has(Condition::PausedWrites) && writes();
        // A pause never blocks the command that ends it.
        let ends_it = matches!(&*self.registered.name, "client|unpause" | "client|pause");
        let waits = paused && !ends_it && admission.paused_until_ms() > node.clock.unix_ms()
            || admission.is_held() && writes();
        // Nor a replica: it has to report its offset.
        waits && !self.client.is_fed()
    }
}

/// Why a script of `client` may not begin to write now.
pub(super) fn refused_as_script_write(
    caller: &Caller<'_>,
    client: &Client,
) -> Option<Cow<'static, str>> {
    let (admission, settings) = (&caller.node.admission, &caller.settings);
    if admission.is_calm() || client.master.is_some() {
        return None;
    }
    if admission.has(Condition::Replica) && settings.replication.read_only {
        return Some(READONLY.into());
    }
    if is_save_failed(caller) {
        return Some(MISCONF.into());
    }
    if admission.has(Condition::FileFailed)
        && let Some(text) = file_failed(caller)
    {
        return Some(text.into());
    }
    admission.has(Condition::TooFewReplicas).then_some(NOREPLICAS.into())
}

/// Why the append only file cannot be written, in Redis's words; `None` if it can by now.
#[cold]
fn file_failed(caller: &Caller<'_>) -> Option<String> {
    match caller.node.log.file()?.state() {
        State::Working => None,
        State::Failed(reason) | State::Fatal(reason) => {
            Some(format!("MISCONF Errors writing to the AOF file: {reason}"))
        }
    }
}

/// Whether the last background save failed, where that refuses writes.
pub(super) fn is_save_failed(caller: &Caller<'_>) -> bool {
    let snapshot = &caller.settings.snapshot;
    caller.node.admission.has(Condition::SaveFailed)
        && snapshot.stop_writes_on_bgsave_error
        && !snapshot.save.is_empty()
}

fn refuse(text: &'static str) -> Verdict {
    Verdict::Refuse(Failure::Other(text.into()))
}
