//! ACL: users and what they may do. The rules themselves are in [`crate::acl`].

pub(super) mod catalog;
mod file;
mod logged;

use super::command::{Group::Server, Locks, NO_KEYS, at_least, command, container, exactly};
use super::registry::Registered;
use super::{Args, Command, Context, Failure, Flag, Flag::*, Handled, KeyFlag};
use crate::acl::{self, Access, ChannelKind, Request, SelectorFields};
use crate::node::acl::basis;
use crate::resp::Output;

pub(crate) use logged::note_denial;
pub(super) use logged::note_failed_authentication;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("ACL", SUBCOMMANDS, Server)
    .docs("6.0.0", "Depends on the subcommand", "", "Shows and changes users and what they may do.")];

const OPEN: &[Flag] = &[NoScript, Loading, Stale];
const ADMIN: &[Flag] = &[Admin, NoScript, Loading, Stale];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("CAT", cat, at_least(2), OPEN, NO_KEYS, Server)
        .docs("6.0.0", "O(1)", "[categoryname]", "Lists the categories of commands, or the commands of one."),
    command("DELUSER", deluser, at_least(3), ADMIN, NO_KEYS, Server)
        .locking(Locks::All)
        .docs("6.0.0", "O(N) in the number of connections", "username [username ...]", "Deletes users, and ends their connections."),
    command("DRYRUN", dryrun, at_least(4), ADMIN, NO_KEYS, Server)
        .docs("7.0.0", "O(1)", "username command [arg [arg ...]]", "Says whether a user may run a command, without running it."),
    command("GENPASS", genpass, at_least(2), OPEN, NO_KEYS, Server)
        .docs("6.0.0", "O(1)", "[bits]", "Makes a password that nobody can guess."),
    command("GETUSER", getuser, exactly(3), ADMIN, NO_KEYS, Server)
        .docs("6.0.0", "O(N) in the number of the user's rules", "username", "Tells what a user may do."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .docs("6.0.0", "O(1)", "", "Tells of the subcommands."),
    command("LIST", list, exactly(2), ADMIN, NO_KEYS, Server)
        .docs("6.0.0", "O(N) in the number of users", "", "Lists all users with their rules, as files have them."),
    command("LOAD", file::load, exactly(2), ADMIN, NO_KEYS, Server)
        .locking(Locks::All)
        .docs("6.0.0", "O(N) in the number of users", "", "Reads the users from the ACL file: all of it or nothing."),
    command("LOG", logged::log, at_least(2), ADMIN, NO_KEYS, Server)
        .docs("6.0.0", "O(N) in the number of entries shown", "[count | RESET]", "Shows what was denied of late, or forgets it."),
    command("SAVE", file::save, exactly(2), ADMIN, NO_KEYS, Server)
        .docs("6.0.0", "O(N) in the number of users", "", "Writes the users to the ACL file."),
    command("SETUSER", setuser, at_least(3), ADMIN, NO_KEYS, Server)
        .locking(Locks::All)
        .docs("6.0.0", "O(N) in the number of rules and of connections", "username [rule [rule ...]]", "Changes what a user may do, or creates one."),
    command("USERS", users, exactly(2), ADMIN, NO_KEYS, Server)
        .docs("6.0.0", "O(N) in the number of users", "", "Lists the names of all users."),
    command("WHOAMI", whoami, exactly(2), OPEN, NO_KEYS, Server)
        .docs("6.0.0", "O(1)", "", "Gives the name of the connection's user."),
];

const HELP: &[&str] = &[
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories",
    "    when no category is specified.",
    "DELUSER <username> [<username> ...]",
    "    Delete a list of users.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Returns whether the user can execute the given command without executing the command.",
    "GETUSER <username>",
    "    Get the user's details.",
    "GENPASS [<bits>]",
    "    Generate a secure 256-bit user password. The optional `bits` argument can",
    "    be used to specify a different size.",
    "LIST",
    "    Show users details in config file format.",
    "LOAD",
    "    Reload users from the ACL file.",
    "LOG [<count> | RESET]",
    "    Show the ACL log entries.",
    "SAVE",
    "    Save the current config to the ACL file.",
    "SETUSER <username> <attribute> [<attribute> ...]",
    "    Create or modify a user with the specified attributes.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
];

/// Bits of a password that GENPASS makes unless told otherwise.
const PASSWORD_BITS: i64 = 256;

/// A request, as the check of a user's rights sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) registered: &'a Registered,
    pub(crate) args: &'a Args<'a>,
}

impl Request for Asked<'_> {
    fn command(&self) -> usize {
        self.registered.id
    }

    fn is_exempt(&self) -> bool {
        self.registered.row.flags.has(NoAuth)
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        self.args.get(index)
    }

    fn keys(&self, each: &mut dyn FnMut(usize, Access)) {
        self.registered.row.keys.for_each(self.args, |index, flags| {
            if !flags.contains(&KeyFlag::NotKey) {
                each(index, access(flags));
            }
        });
    }

    fn channels(&self, each: &mut dyn FnMut(usize, ChannelKind)) {
        if let Some(places) = self.registered.channels {
            places.indices(self.args.len()).for_each(|index| each(index, places.kind));
        }
    }
}

/// The access to a key's data that flags of its specification stand for.
fn access(flags: &[KeyFlag]) -> Access {
    flags.iter().fold(Access::NONE, |access, flag| match flag {
        KeyFlag::Access => access.and(Access::READ),
        KeyFlag::Update | KeyFlag::Insert | KeyFlag::Delete => access.and(Access::WRITE),
        _ => access,
    })
}

fn wrong_arity(args: &Args<'_>) -> Failure {
    Failure::UnknownSubcommandOrArity { sent: args.at(1).to_vec(), container: "ACL" }
}

fn cat(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let names = match args.get(2) {
        _ if args.len() > 3 => return Err(wrong_arity(args)),
        None => acl::Categories::all().to_vec(),
        Some(category) => ctx.node.acl.commands.in_category(category).map_err(Failure::Bytes)?,
    };
    ctx.reply.array(names.len());
    names.iter().for_each(|name| ctx.reply.bulk(name.as_bytes()));
    Ok(())
}

fn setuser(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    // The rules may have passwords.
    (2..args.len()).for_each(|index| ctx.redact(index));
    let node = ctx.node;
    let rules: Vec<&[u8]> = args.from(3).collect();
    let basis = basis(node.acl.commands, &ctx.settings.security);
    let changed = node.acl.users().with_rules(&basis, args.at(2), &rules);
    let changed = changed.map_err(|error| Failure::Bytes(error.text()))?;
    let revoked = changed.revoked.as_ref().map(|revoked| (&*changed.user, revoked));
    node.change_users(&ctx.keys.locked, changed.users, revoked, ctx.client);
    ctx.reply.ok();
    Ok(())
}

fn deluser(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let names: Vec<&[u8]> = args.from(2).collect();
    let (users, deleted) =
        ctx.node.acl.users().without(&names).map_err(|text| Failure::Other(text.into()))?;
    ctx.node.change_users(&ctx.keys.locked, users, None, ctx.client);
    ctx.reply.count(deleted);
    Ok(())
}

fn getuser(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let users = ctx.node.acl.users();
    let Some(user) = users.get(args.at(2)) else {
        ctx.reply.null();
        return Ok(());
    };
    let (fields, reply) = (user.fields(ctx.node.acl.commands), &mut *ctx.reply);
    reply.map(6);
    reply.bulk(b"flags");
    reply.set(fields.flags.len());
    fields.flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(fields.passwords.len());
    fields.passwords.iter().for_each(|hash| reply.bulk(hash.as_bytes()));
    reply_selector(reply, &fields.root);
    reply.bulk(b"selectors");
    reply.array(fields.selectors.len());
    for selector in &fields.selectors {
        reply.map(3);
        reply_selector(reply, selector);
    }
    Ok(())
}

/// The three fields of a selector.
fn reply_selector(reply: &mut Output, selector: &SelectorFields) {
    for (name, rules) in [
        ("commands", &selector.commands),
        ("keys", &selector.keys),
        ("channels", &selector.channels),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(rules);
    }
}

fn list(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let lines = ctx.node.acl.users().lines(ctx.node.acl.commands);
    ctx.reply.array(lines.len());
    lines.iter().for_each(|line| ctx.reply.bulk(line));
    Ok(())
}

fn users(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let users = ctx.node.acl.users();
    ctx.reply.array(users.iter().len());
    users.iter().for_each(|user| ctx.reply.bulk(user.name()));
    Ok(())
}

fn whoami(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    match ctx.client.user() {
        Some(user) => ctx.reply.bulk(user.name()),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn dryrun(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let users = ctx.node.acl.users();
    let unknown = || Failure::Bytes(acl::no_such_user(args.at(2)));
    let user = users.get(args.at(2)).ok_or_else(unknown)?;
    let args = args.skip(3);
    let unknown = || Failure::Bytes(acl::no_such_command(args.at(0)));
    let registered = ctx.registry.resolve(&args).ok_or_else(unknown)?;
    if !registered.row.arity.allows(args.len()) {
        return Err(Failure::Arity(registered.name.clone()));
    }
    let asked = Asked { registered, args: &args };
    match user.check(&asked) {
        Ok(()) => ctx.reply.ok(),
        Err(denial) => ctx.reply.bulk(&denial.dry_run(&registered.name, &asked)),
    }
    Ok(())
}

fn genpass(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let bits = match args.get(2) {
        _ if args.len() > 3 => return Err(wrong_arity(args)),
        None => PASSWORD_BITS,
        Some(bits) => Context::integer(bits)?,
    };
    let password = acl::generated_password(bits, |bytes| {
        for chunk in bytes.chunks_mut(40) {
            let digits = ctx.node.host().new_id();
            // A digit's value is what counts.
            let digits = digits.chars().filter_map(|digit| digit.to_digit(16));
            chunk.iter_mut().zip(digits).for_each(|(byte, digit)| *byte = digit as u8);
        }
    });
    ctx.reply.bulk(password.map_err(|text| Failure::Other(text.into()))?.as_bytes());
    Ok(())
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}
