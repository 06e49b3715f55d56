//! COMMAND: the command table for clients.

use super::command::{Group::Server, NO_KEYS, at_least, command, exactly};
use super::registry::Registered;
use super::syntax::{self, Argument};
use super::{Args, Category, Command, Context, Failure, Flag, Flag::*, Handled, KeyFlag, KeySpec};
use super::{Begin, Find};
use crate::glob;
use crate::resp::Output;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] =
    &[command("COMMAND", all, at_least(1), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .subcommands(SUBCOMMANDS)
        .docs("2.8.13", "O(N) in the number of commands", "", "Tells of all commands.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("COUNT", count, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .docs("2.8.13", "O(1)", "", "Counts the commands."),
    command("DOCS", docs, at_least(2), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .docs("7.0.0", "O(N) in the number of commands to look up", "[command-name [command-name ...]]", "Gives the documentation of commands."),
    command("GETKEYS", getkeys, at_least(4), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .docs("2.8.13", "O(N) in the number of arguments", "", "Gives the keys of a whole command."),
    command("GETKEYSANDFLAGS", getkeysandflags, at_least(4), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .docs("7.0.0", "O(N) in the number of arguments", "", "Gives the keys of a whole command, and what it does with each."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .docs("5.0.0", "O(1)", "", "Tells of the subcommands."),
    command("INFO", info, at_least(2), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .docs("2.8.13", "O(N) in the number of commands to look up", "[command-name [command-name ...]]", "Tells of commands: all, or those given."),
    command("LIST", list, at_least(2), &[Loading, Stale], NO_KEYS, Server)
        .categories(&[Category::Connection])
        .tips(&["nondeterministic_output_order"])
        .docs("7.0.0", "O(N) in the number of commands", "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", "Gives the names of the commands, all or some."),
];

const HELP: &[&str] = &[
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full Redis command.",
];

fn all(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let commands = ctx.registry.commands();
    ctx.reply.array(commands.len());
    commands.iter().for_each(|command| reply_info(ctx.reply, command));
    Ok(())
}

fn count(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.count(ctx.registry.commands().len());
    Ok(())
}

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len() == 2 {
        return all(ctx, args);
    }
    ctx.reply.array(args.len() - 2);
    for name in args.from(2) {
        match ctx.registry.find_full(name) {
            Some(command) => reply_info(ctx.reply, command),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// One command as in COMMAND and COMMAND INFO (`addReplyCommandInfo` in Redis's server.c).
fn reply_info(reply: &mut Output, command: &Registered) {
    let row = command.row;
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.integer(row.arity.0.into());
    let flags = Flag::NAMES.iter().filter(|(flag, _)| row.flags.has(*flag));
    reply_words(reply, &flags.map(|(_, name)| *name).collect::<Vec<_>>(), "");
    let [first, last, step] = legacy_range(row);
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    reply_words(reply, &row.acl_categories(), "@");
    reply.set(row.tips.len());
    row.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(row.keys.specs().count());
    row.keys.specs().for_each(|spec| reply_spec(reply, spec));
    match command.subcommands.len() {
        0 => reply.set(0),
        len => reply.array(len),
    }
    command.subcommands.iter().for_each(|subcommand| reply_info(reply, subcommand));
}

/// Replies with a set of words as simple strings.
fn reply_words(reply: &mut Output, words: &[&str], prefix: &str) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(&format!("{prefix}{word}")));
}

fn reply_flags(reply: &mut Output, flags: &[KeyFlag]) {
    let names: Vec<&str> = flags.iter().map(|flag| flag.name()).collect();
    reply_words(reply, &names, "");
}

fn reply_spec(reply: &mut Output, spec: &KeySpec) {
    let field = |reply: &mut Output, name: &str, value: i64| {
        reply.bulk(name.as_bytes());
        reply.integer(value);
    };
    let kind = |reply: &mut Output, kind: &str, fields: usize| {
        reply.map(2);
        reply.bulk(b"type");
        reply.bulk(kind.as_bytes());
        reply.bulk(b"spec");
        reply.map(fields);
    };
    reply.map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        reply.bulk(b"notes");
        reply.bulk(notes.as_bytes());
    }
    reply.bulk(b"flags");
    reply_flags(reply, spec.flags);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(first) => {
            kind(reply, "index", 1);
            field(reply, "index", index(first));
        }
        Begin::Keyword { word, from } => {
            kind(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            field(reply, "startfrom", from.into());
        }
        Begin::Unknown => kind(reply, "unknown", 0),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            kind(reply, "range", 3);
            field(reply, "lastkey", last.into());
            field(reply, "keystep", index(step));
            field(reply, "limit", index(limit));
        }
        Find::Number { at, first, step } => {
            kind(reply, "keynum", 3);
            field(reply, "keynumidx", index(at));
            field(reply, "firstkey", index(first));
            field(reply, "keystep", index(step));
        }
        Find::Unknown => kind(reply, "unknown", 0),
    }
}

fn index(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// First key, last key and step, the format before key specifications: covers the first range and
/// those that continue where it ends (`populateCommandLegacyRangeSpec` in Redis).
fn legacy_range(row: &Command) -> [i64; 3] {
    let mut ranges = row.keys.specs().filter_map(|spec| match (spec.begin, spec.find) {
        (Begin::Index(first), Find::Range { last, step, .. }) => {
            let last = i64::from(last);
            let end = if last < 0 { last } else { index(first) + last };
            Some((index(first), end, index(step)))
        }
        _ => None,
    });
    let Some((first, mut last, step)) = ranges.next() else { return [0; 3] };
    for (next, end, step) in ranges {
        if step == 1 && next == last + 1 {
            last = end;
        }
    }
    [first, last, step]
}

fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let wanted: Box<dyn Fn(&Registered) -> bool + '_> = match args.len() {
        2 => Box::new(|_| true),
        5 if args.is(2, "FILTERBY") && args.is(3, "PATTERN") => {
            Box::new(|command| glob::matches_any_case(args.at(4), command.name.as_bytes()))
        }
        5 if args.is(2, "FILTERBY") && args.is(3, "ACLCAT") => Box::new(|command| {
            let mut categories = command.row.acl_categories().into_iter();
            categories.any(|category| args.is(4, category))
        }),
        // There are no modules.
        5 if args.is(2, "FILTERBY") && args.is(3, "MODULE") => Box::new(|_| false),
        _ => return Err(Failure::Syntax),
    };
    let names: Vec<&str> = ctx
        .registry
        .all()
        .filter(|command| wanted(command))
        .map(|command| command.name.as_str())
        .collect();
    ctx.reply.array(names.len());
    names.iter().for_each(|name| ctx.reply.bulk(name.as_bytes()));
    Ok(())
}

fn docs(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let commands: Vec<&Registered> = if args.len() == 2 {
        ctx.registry.commands().iter().collect()
    } else {
        args.from(2).filter_map(|name| ctx.registry.find_full(name)).collect()
    };
    ctx.reply.map(commands.len());
    for command in commands {
        reply_docs(ctx.reply, command);
    }
    Ok(())
}

/// Replies with a command's name and its documentation map.
fn reply_docs(reply: &mut Output, command: &Registered) {
    let row = command.row;
    let arguments = syntax::arguments(row);
    let fields = [
        ("summary", row.docs.summary),
        ("since", row.docs.since),
        ("group", row.group.name()),
        ("complexity", row.docs.complexity),
    ];
    reply.bulk(command.name.as_bytes());
    let further = usize::from(!arguments.is_empty()) + usize::from(command.is_container());
    reply.map(fields.len() + further);
    for (field, value) in fields {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        reply_arguments(reply, &arguments);
    }
    if command.is_container() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|subcommand| reply_docs(reply, subcommand));
    }
}

fn reply_arguments(reply: &mut Output, arguments: &[Argument]) {
    reply.array(arguments.len());
    for argument in arguments {
        let mut flags = Vec::new();
        flags.extend(argument.optional.then_some("optional"));
        flags.extend(argument.multiple.then_some("multiple"));
        flags.extend(argument.multiple_token.then_some("multiple_token"));
        let fields = 2
            + usize::from(argument.key_spec.is_some())
            + usize::from(argument.token.is_some())
            + usize::from(!flags.is_empty())
            + usize::from(!argument.arguments.is_empty());
        reply.map(fields);
        reply.bulk(b"name");
        reply.bulk(argument.name.as_bytes());
        reply.bulk(b"type");
        reply.bulk(argument.kind.as_bytes());
        if let Some(spec) = argument.key_spec {
            reply.bulk(b"key_spec_index");
            reply.count(spec);
        }
        if let Some(token) = &argument.token {
            reply.bulk(b"token");
            reply.bulk(token.as_bytes());
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply_words(reply, &flags, "");
        }
        if !argument.arguments.is_empty() {
            reply.bulk(b"arguments");
            reply_arguments(reply, &argument.arguments);
        }
    }
}

/// A key with its flags.
type Found<'a> = (&'a [u8], &'static [KeyFlag]);

/// The keys, with their flags, of the command given by the arguments from the third on.
fn keys_of<'a>(ctx: &Context<'_>, args: &Args<'a>) -> Result<Vec<Found<'a>>, Failure> {
    let found = ctx.registry.find(args.at(2)).and_then(|command| {
        if command.is_container() { command.subcommand(args.at(3)) } else { Some(command) }
    });
    let row = found.ok_or_else(|| Failure::err("Invalid command specified"))?.row;
    let is_key = |spec: &KeySpec| !spec.flags.contains(&KeyFlag::NotKey);
    if !row.keys.specs().any(is_key) {
        return Err(Failure::err("The command has no key arguments"));
    }
    let command = args.skip(2);
    if !row.arity.allows(command.len()) {
        return Err(Failure::err("Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    row.keys.for_each(&command, |index, flags| {
        if !flags.contains(&KeyFlag::NotKey) {
            keys.push((command.at(index), flags));
        }
    });
    let fits = !keys.is_empty() && row.keys.numbers_fit(&command);
    if !fits && !row.flags.has(NoMandatoryKeys) {
        return Err(Failure::err("Invalid arguments specified for command"));
    }
    Ok(keys)
}

fn getkeys(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let keys = keys_of(ctx, args)?;
    ctx.reply.array(keys.len());
    keys.iter().for_each(|(key, _)| ctx.reply.bulk(key));
    Ok(())
}

fn getkeysandflags(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let keys = keys_of(ctx, args)?;
    ctx.reply.array(keys.len());
    for (key, flags) in keys {
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        reply_flags(ctx.reply, flags);
    }
    Ok(())
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}
