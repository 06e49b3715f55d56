//! CONFIG: the settings of the running server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::command::{Group::Server, Locks, NO_KEYS, at_least, command, container, exactly};
use super::{Args, Command, Context, Failure, Flag::*, Handled, LOADING};
use crate::glob;
use crate::node::admission::Condition;
use crate::settings::{Change, Exposure, LocalAccess, Parameter, Rewrite, SetError, Settings};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("CONFIG", SUBCOMMANDS, Server)
    .docs("2.0.0", "Depends on the subcommand", "", "Shows and changes the server's settings.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("GET", get, at_least(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .docs("2.0.0", "O(N) in the number of patterns", "parameter [parameter ...]", "Gives the settings whose names match."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .docs("5.0.0", "O(1)", "", "Tells of the subcommands."),
    command("RESETSTAT", resetstat, exactly(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .docs("2.0.0", "O(1)", "", "Sets the statistics of INFO back."),
    command("REWRITE", rewrite, exactly(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .docs("2.8.0", "O(1)", "", "Writes the settings to the file they came from."),
    command("SET", set, at_least(4), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        // Holds all locks, so that no command sees a mix of old and new settings.
        .locking(Locks::All)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("2.0.0", "O(N) in the number of settings given", "parameter value [parameter value ...]", "Changes settings: all those given, or none."),
];

const HELP: &[&str] = &[
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "REWRITE",
    "    Rewrite the configuration file.",
];

fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let patterns: Vec<&[u8]> = args.from(2).collect();
    let found = ctx.node.settings.load().get(&patterns, &glob::matches);
    ctx.reply.map(found.len());
    for (name, value) in found {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.bulk(value.as_bytes());
    }
    Ok(())
}

fn set(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if !args.len().is_multiple_of(2) {
        return Err(Failure::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> =
        (2..args.len()).step_by(2).map(|at| (args.at(at), args.at(at + 1))).collect();
    for (index, (name, _)) in pairs.iter().enumerate() {
        if named(name).is_some_and(|parameter| parameter.exposure == Exposure::Secret) {
            ctx.redact(3 + index * 2);
        }
    }
    let old = ctx.node.settings.load_full();
    check_changeable(ctx, &pairs)?;
    let (mut new, _) = old.set(&pairs).map_err(|error| failure(&error))?;
    let within = ctx.within();
    let names: Vec<&'static str> =
        pairs.iter().filter_map(|(name, _)| Some(named(name)?.name)).collect();
    ctx.node
        .host()
        .apply(&mut ctx.keys.locked, &old, &mut new, (&names, within))
        .map_err(|refusal| Failure::err(SetError::failed(refusal.argument, refusal.reason)))?;
    let limit = |settings: &Settings| (settings.memory.maxmemory_bytes, settings.memory.policy);
    let evicts = limit(&old) != limit(&new) && new.memory.maxmemory_bytes > 0;
    let password = new.security.requirepass.clone();
    ctx.node.settings.store(Arc::new(new));
    if evicts {
        ctx.node.evicting.store(true, Ordering::Relaxed);
        ctx.node.pace.wake();
    }
    ctx.node.admission.changed(&ctx.keys.locked);
    if password != old.security.requirepass {
        let users = ctx.node.acl.users().with_password(password.reveal().map(str::as_bytes));
        ctx.node.change_users(&ctx.keys.locked, users, None, ctx.client);
    }
    ctx.node.judge_replicas(&ctx.keys.locked);
    ctx.reply.ok();
    Ok(())
}

fn failure(error: &SetError) -> Failure {
    Failure::Bytes([b"ERR ", &error.text()[..]].concat())
}

fn named(name: &[u8]) -> Option<&'static Parameter> {
    std::str::from_utf8(name).ok().and_then(Parameter::named)
}

/// Refuses the first parameter that is protected, or has to wait for the data to be loaded, unless an
/// earlier pair has another error, which the client then gets.
fn check_changeable(ctx: &Context<'_>, pairs: &[(&[u8], &[u8])]) -> Handled {
    let allowed = match ctx.node.settings.load().security.enable_protected_configs {
        LocalAccess::Yes => true,
        LocalAccess::Local => ctx.client.handle.origin.is_local(),
        LocalAccess::No => false,
    };
    let loading = ctx.node.admission.has(Condition::Loading);
    for (index, (name, _)) in pairs.iter().enumerate() {
        let Some(parameter) = named(name) else { return Ok(()) };
        match parameter.change {
            Change::Protected if !allowed => {
                let name = String::from_utf8_lossy(name);
                return Err(Failure::err(SetError::protected(&name)));
            }
            Change::Live | Change::Protected => {}
            Change::AtStart | Change::Own | Change::FileOnly => return Ok(()),
        }
        if loading && !parameter.while_loading {
            return Err(Failure::Other(LOADING.into()));
        }
        let same = |(other, _): &(&[u8], &[u8])| {
            named(other).is_some_and(|other| other.name == parameter.name)
        };
        if pairs[..index].iter().any(same) {
            return Ok(());
        }
    }
    Ok(())
}

fn resetstat(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.node.counted().for_each(|stats| stats.reset());
    ctx.node.stats.reset();
    ctx.node.replication.replicas.stats.reset();
    ctx.node.keyspace.graveyard().reset();
    ctx.node.persistence.update(|saving| (saving.cuts, saving.last_cut_nanos) = (0, 0));
    ctx.reply.ok();
    Ok(())
}

fn rewrite(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.node.host().rewrite_settings(Rewrite::Changed).map_err(Failure::err)?;
    ctx.reply.ok();
    Ok(())
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}
