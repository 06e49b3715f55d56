//! String commands.

use super::command::{Group::String, at_least, command, exactly, one_key};
use super::{Args, Command, Context, Failure, Flag::*, Handled, KeyFlag::*};
use crate::keyspace::Content;
use crate::settings::EventClasses;

pub(super) const COMMANDS: &[Command] = &[
    command("GET", get, exactly(2), &[ReadOnly, Fast], one_key(&[Ro, Access]), String)
        .docs("1.0.0", "O(1)", "key", "Gives the string that a key holds."),
    command("SET", set, at_least(3), &[Write, DenyOom], one_key(&[Rw, Access, Update, VariableFlags]), String)
        .docs("1.0.0", "O(1)", "key value", "Sets a key to a string, whatever it held before."),
];

fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 1);
    match ctx.keys.read_string(key)? {
        Some(string) => Context::reply_string(ctx.reply, string),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn set(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.len() > 3 {
        return Err(Failure::Syntax);
    }
    let key = ctx.keys.at(args, 1);
    ctx.keys.store(key, Content::encode(args.at(2)), None);
    ctx.keys.changed(key, EventClasses::STRING, "set");
    ctx.reply.ok();
    Ok(())
}
