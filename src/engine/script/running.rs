//! A running script, as the interpreter sees it: the commands that it calls, and how others learn
//! that it runs for long.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::caller::{Caller, Tools};
use super::super::write::{self, Writing};
use super::super::{admission, call, permission, tracking};

use crate::commands::effects::Effects;
use crate::commands::registry::Registered;
use crate::commands::{Args, Asked, Flag, Locks, Random};
use crate::keyspace::{ShardSet, Tracker};
use crate::node::admission::Condition;
use crate::node::client::Client;
use crate::node::scripts::{Busy, Kind, Workspace, log_from_script};
use crate::replication::Target;
use crate::resp::{Protocol, Span};
use crate::scripting::{CallError, Host, Interrupt, LogLevel, Propagation, Resp};
use crate::telemetry::log::log;

/// What a script may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    /// It may call no command that writes.
    pub(super) read_only: bool,
    /// It may not begin with a command that needs memory.
    pub(super) short_of_memory: bool,
}

/// What a script is called in logs and by FUNCTION STATS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Title<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    /// The command that runs it.
    pub(super) command: &'a Args<'a>,
}

/// What a run begins with.
#[derive(Debug)]
pub(super) struct Beginning<'a> {
    pub(super) rights: Rights,
    pub(super) title: Title<'a>,
    pub(super) work: Workspace,
}

/// A running script, as the interpreter sees it.
#[derive(Debug)]
pub(super) struct Running<'r, 'e, 'n> {
    pub(super) caller: &'r mut Caller<'e>,
    pub(super) writing: &'r mut Writing<'n>,
    effects: &'r mut Effects,
    random: &'r mut Random,
    /// The script's own client: SELECT and the protocol are the script's affair.
    client: Box<Client>,
    work: Workspace,
    rights: Rights,
    title: Title<'r>,
    /// The client tracks the keys that its command, of this row, declares: from the first call on
    /// that reads anything.
    pub(super) tracker: Option<(Arc<dyn Tracker>, &'e Registered)>,
    /// It runs in a process of its own, on a copy of the data: nobody else learns of anything.
    pub(super) is_aside: bool,
    began_nanos: u64,
    /// Others know that it runs for long.
    is_busy: bool,
    has_written: bool,
    /// All commands so far only read or wrote keys: the client is as it was.
    keys_only: bool,
    /// Whether changes go into the log, as `redis.set_repl` leaves it.
    logging: bool,
}

impl<'r, 'e, 'n> Running<'r, 'e, 'n> {
    /// Begins a run for `client`, which lends its handle, and its link to a master if it is one.
    pub(super) fn begin(
        caller: &'r mut Caller<'e>,
        client: &mut Client,
        effects: &'r mut Effects,
        random: &'r mut Random,
        writing: &'r mut Writing<'n>,
        beginning: Beginning<'r>,
    ) -> Self {
        let Beginning { rights, title, mut work } = beginning;
        if client.user().is_some_and(|user| !user.is_unrestricted()) {
            // What its user may not do is logged with it.
            client.publish();
        }
        let mut own = work.client.take().unwrap_or_else(|| Box::new(Client::of_scripts()));
        own.act_for(client);
        work.output.protocol = Protocol::Resp2;
        let began_nanos = caller.node.clock.nanos();
        caller.node.scripts.set_written(false);
        Self {
            logging: effects.logging,
            caller,
            writing,
            effects,
            random,
            client: own,
            work,
            rights,
            title,
            tracker: None,
            is_aside: false,
            began_nanos,
            is_busy: false,
            has_written: false,
            keys_only: true,
        }
    }

    /// Ends it; the client gets back what it has lent.
    pub(super) fn end(mut self, client: &mut Client) -> Workspace {
        self.client.stop_acting_for(client);
        self.effects.logging = self.logging;
        self.effects.log.target = Target::Everywhere;
        if self.is_busy {
            let node = self.caller.node;
            node.keyspace.set_busy(false);
            node.scripts.set_busy(None);
            node.admission.set_busy(false);
            node.host().end_relief(self.caller.worker);
        }
        if self.keys_only && !self.client.closing && self.client.waiting.is_none() {
            self.work.client = Some(self.client);
        }
        self.work
    }

    /// Finds the row of a command that the script calls.
    fn resolve(&self, args: &Args<'_>) -> Result<&'e Registered, Refused<'e>> {
        let unknown = || (None, "Unknown Redis command called from script".into());
        let mut registered = self.caller.engine.registry.find(args.at(0)).ok_or_else(unknown)?;
        if registered.is_container() && args.len() > 1 {
            registered = registered.subcommand(args.at(1)).ok_or_else(unknown)?;
        }
        if !registered.row.arity.allows(args.len()) {
            let text = "Wrong number of args calling Redis command from script";
            return Err((Some(registered), text.into()));
        }
        Ok(registered)
    }

    /// Why the script may not call a command now, in Redis's order.
    fn refused(&mut self, registered: &Registered, args: &Args<'_>) -> Option<Cow<'static, str>> {
        let (node, flags) = (self.caller.node, registered.row.flags);
        let admission = &node.admission;
        if flags.has(Flag::NoScript) && !node.scripts.allows_all.load(Ordering::Relaxed) {
            return Some("This Redis command is not allowed from script".into());
        }
        if admission.has(Condition::MasterDown)
            && !self.caller.settings.replication.serve_stale_data
            && !flags.has(Flag::Stale)
        {
            return Some("Can not execute the command on a stale replica".into());
        }
        let denial = permission::denied_in_script(self.caller, &mut self.client, registered, args);
        if let Some(denial) = denial {
            return Some(denial.error_in_script().trim_start_matches("ERR ").into());
        }
        let writes = flags.has(Flag::Write);
        if self.rights.read_only && (writes || flags.has(Flag::MayReplicate)) {
            return Some("Write commands are not allowed from read-only scripts.".into());
        }
        if !writes || self.has_written {
            // What has begun to write goes on.
            return None;
        }
        let short = self.rights.short_of_memory && flags.has(Flag::DenyOom);
        let refused = admission::refused_as_script_write(self.caller, &self.client)
            .or_else(|| short.then_some(admission::OOM.into()));
        refused.map(|text| format!("-{text}").into())
    }

    /// Locks what a command needs beyond what is locked. Returns its arguments, with the hash of its
    /// key.
    fn cover<'a>(&mut self, registered: &Registered, args: &Args<'a>) -> Args<'a> {
        let args = if registered.one_key {
            let key = args.key(&self.caller.node.keyspace, registered.first_key);
            args.with_hash(registered.first_key, key.hash)
        } else {
            *args
        };
        let set = match registered.row.locks {
            Locks::Keys => self.caller.lock_set(registered, &args),
            Locks::All | Locks::OneByOne => ShardSet::ALL,
        };
        if !self.writing.set().includes(set) {
            self.writing.extend();
        }
        args
    }

    fn run(&mut self, args: &Args<'_>, reply: &mut Vec<u8>) -> Result<(), CallError> {
        let registered = match self.resolve(args) {
            Ok(registered) => registered,
            Err((registered, text)) => return Err(self.refuse(registered, text)),
        };
        if let Some(text) = self.refused(registered, args) {
            return Err(self.refuse(Some(registered), text));
        }
        let writes = registered.row.flags.has(Flag::Write);
        if writes && !self.has_written {
            self.has_written = true;
            self.caller.node.scripts.set_written(true);
        }
        self.keys_only &= writes || registered.row.flags.has(Flag::ReadOnly);
        let args = &self.cover(registered, args);
        self.work.output.clear();
        let mut tools = Tools {
            client: &mut self.client,
            output: &mut self.work.output,
            effects: self.effects,
            random: self.random,
            pushed: None,
            scripts: None,
        };
        call::run(self.caller, &mut tools, self.writing.locked(), registered, args);
        if let Some((tracker, command)) = &self.tracker
            && registered.row.flags.has(Flag::ReadOnly)
        {
            let mut locked = self.writing.locked();
            tracking::track(&mut locked, tracker, command, self.title.command);
        }
        if !self.effects.told.is_empty() && !self.is_aside {
            // Before the next one can publish.
            write::tell(self.caller.node, self.effects);
        }
        self.client.replied = None;
        self.work.output.give_to(reply);
        Ok(())
    }

    fn refuse(&self, registered: Option<&Registered>, text: Cow<'static, str>) -> CallError {
        if let Some(registered) = registered {
            self.caller.stats.commands[registered.id].rejected.add(1);
        }
        let code = text.strip_prefix('-').map_or_else(|| format!("ERR {text}"), str::to_owned);
        self.caller.stats.error(code.as_bytes());
        CallError::Refused(text)
    }

    /// Tells others that the script runs for long.
    #[cold]
    fn become_busy(&mut self, elapsed_nanos: u64) {
        let (node, title) = (self.caller.node, self.title);
        self.is_busy = true;
        let kill = match title.kind {
            Kind::Script => "SCRIPT KILL",
            Kind::Function => "FUNCTION KILL",
        };
        log!(
            Warning,
            "Slow script detected: still in execution after {} milliseconds. You can try killing \
             the script using the {kill} command. Script name is: {}.",
            elapsed_nanos / 1_000_000,
            title.name
        );
        node.scripts.set_busy(Some(Busy {
            kind: title.kind,
            name: title.name.to_owned(),
            command: title.command.from(0).map(Into::into).collect(),
            began_nanos: self.began_nanos,
            from_master: self.client.master.is_some(),
        }));
        node.admission.set_busy(true);
        node.keyspace.set_busy(true);
    }
}

/// The row of a command that was refused, and why.
type Refused<'e> = (Option<&'e Registered>, Cow<'static, str>);

/// Puts arguments one after the other.
fn place(argv: &[&[u8]], buffer: &mut Vec<u8>, spans: &mut Vec<Span>) {
    let len = |len: usize| u32::try_from(len).expect("arguments stay below 4 GiB");
    for arg in argv {
        spans.push(Span { start: len(buffer.len()), len: len(arg.len()) });
        buffer.extend_from_slice(arg);
    }
}

impl Host for Running<'_, '_, '_> {
    fn call(&mut self, argv: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), CallError> {
        let (mut buffer, mut spans) =
            (mem::take(&mut self.work.buffer), mem::take(&mut self.work.spans));
        buffer.clear();
        spans.clear();
        place(argv, &mut buffer, &mut spans);
        let result = self.run(&Args::new(&buffer, &spans, None), reply);
        (self.work.buffer, self.work.spans) = (buffer, spans);
        result
    }

    fn set_resp(&mut self, resp: Resp) {
        self.client.protocol = match resp {
            Resp::Two => Protocol::Resp2,
            Resp::Three => Protocol::Resp3,
        };
        self.work.output.protocol = self.client.protocol;
    }

    fn set_repl(&mut self, propagation: Propagation) {
        let target = match propagation {
            Propagation { aof: true, replicas: true } => Some(Target::Everywhere),
            Propagation { aof: true, replicas: false } => Some(Target::File),
            Propagation { aof: false, replicas: true } => Some(Target::Replicas),
            Propagation { aof: false, replicas: false } => None,
        };
        self.effects.logging = self.logging && target.is_some();
        self.effects.log.target = target.unwrap_or_default();
    }

    fn acl_check_cmd(&mut self, argv: &[&[u8]]) -> Option<bool> {
        let (mut buffer, mut spans) = (Vec::new(), Vec::new());
        place(argv, &mut buffer, &mut spans);
        let args = &Args::new(&buffer, &spans, None);
        argv.first()?;
        let registered = self.caller.engine.registry.resolve(args)?;
        let asked = Asked { registered, args };
        Some(self.client.user().is_none_or(|user| user.check(&asked).is_ok()))
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        log_from_script(level, text);
    }

    fn interrupted(&mut self) -> Option<Interrupt> {
        if self.is_aside {
            return None;
        }
        let node = self.caller.node;
        let threshold_ms = self.caller.settings.scripts.busy_reply_threshold_ms;
        if !self.is_busy {
            let elapsed_nanos = node.clock.nanos().saturating_sub(self.began_nanos);
            if elapsed_nanos / 1_000_000 < threshold_ms {
                return None;
            }
            self.become_busy(elapsed_nanos);
        }
        node.host().relieve(self.caller.worker);
        node.scripts.is_killed().then_some(Interrupt::Kill)
    }
}
