//! May this command run now? In the order in which Redis asks.

use super::caller::Caller;
use crate::commands::registry::Registered;
use crate::commands::{Command, Failure, Flag};
use crate::node::admission::State;
use crate::node::client::Client;
use crate::resp::Protocol;

/// The answer.
#[derive(Debug)]
pub(super) enum Verdict {
    Run,
    /// It is part of a transaction.
    Queue,
    Refuse(Failure),
    /// Clients are paused.
    Wait,
    /// It comes over a link to a master that is not followed any more.
    Abort,
}

/// What RESP2 subscribers may still send, by full name: a subcommand may be called like another
/// command.
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

const MASTERDOWN: &str =
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";

/// What a master did is done: it is not asked whether it may.
fn judge_master(caller: &Caller<'_>, client: &Client, generation: u64, name: &str) -> Verdict {
    match client.multi {
        _ if generation != caller.node.replication.generation() => Verdict::Abort,
        Some(_) if !NOT_QUEUED.contains(&name) => Verdict::Queue,
        _ => Verdict::Run,
    }
}

#[cold]
pub(super) fn judge(caller: &Caller<'_>, client: &Client, registered: &Registered) -> Verdict {
    let (row, admission) = (registered.row, &caller.node.admission);
    if let Some(master) = &client.master {
        return judge_master(caller, client, master.generation, &registered.name);
    }
    if admission.has(State::ShuttingDown) {
        return Verdict::Wait;
    }
    if !client.is_trusted(&caller.settings) && !row.flags.has(Flag::NoAuth) {
        return refuse("NOAUTH Authentication required.");
    }
    if client.multi.is_some() && row.flags.has(Flag::NoMulti) {
        return refuse("ERR Command not allowed inside a transaction");
    }
    // EXEC counts as what it runs.
    let holds = |wanted: &dyn Fn(&Command) -> bool| {
        wanted(row)
            || row.run_by_engine().is_some()
                && client.multi.as_ref().is_some_and(|multi| {
                    multi.queued.iter().any(|queued| wanted(caller.row(queued.command).row))
                })
    };
    if admission.has(State::SaveFailed)
        && (holds(&|row| row.flags.has(Flag::Write)) || registered.name == "ping")
        && caller.settings.snapshot.stop_writes_on_bgsave_error
        && !caller.settings.snapshot.save.is_empty()
    {
        return refuse(MISCONF);
    }
    if admission.has(State::TooFewReplicas) && holds(&|row| row.flags.has(Flag::Write)) {
        return refuse("NOREPLICAS Not enough good replicas to write.");
    }
    let replication = &caller.settings.replication;
    if admission.has(State::Replica)
        && replication.read_only
        && holds(&|row| row.flags.has(Flag::Write))
    {
        return refuse("READONLY You can't write against a read only replica.");
    }
    if client.is_subscribed()
        && client.protocol == Protocol::Resp2
        && !WHILE_SUBSCRIBED.contains(&&*registered.name)
    {
        return Verdict::Refuse(Failure::err(format_args!(
            "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context",
            registered.name
        )));
    }
    if admission.has(State::MasterDown)
        && !replication.serve_stale_data
        && holds(&|row| !row.flags.has(Flag::Stale))
    {
        return refuse(MASTERDOWN);
    }
    if admission.has(State::Loading) && holds(&|row| !row.flags.has(Flag::Loading)) {
        return refuse("LOADING Redis is loading the dataset in memory");
    }
    let writes = |row: &Command| row.flags.has(Flag::Write) || row.flags.has(Flag::MayReplicate);
    let paused =
        admission.has(State::PausedAll) || admission.has(State::PausedWrites) && holds(&writes);
    // A pause never holds back the command that ends it.
    let ends_it = matches!(&*registered.name, "client|unpause" | "client|pause");
    let waits = paused && !ends_it && admission.paused_until_ms() > caller.node.clock.unix_ms()
        || admission.is_held() && holds(&writes);
    // Nor a replica: it has to say how far it is.
    if waits && client.replica.is_none() {
        return Verdict::Wait;
    }
    if client.multi.is_some() && !NOT_QUEUED.contains(&&*registered.name) {
        return Verdict::Queue;
    }
    Verdict::Run
}

fn refuse(text: &'static str) -> Verdict {
    Verdict::Refuse(Failure::Other(text.into()))
}
