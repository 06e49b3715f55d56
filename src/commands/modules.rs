//! MODULE: there are no modules, so that the list is empty and loading fails.

use super::command::{Group::Server, NO_KEYS, at_least, command, container, exactly};
use super::{Args, Command, Context, Failure, Flag::*, Handled};
use crate::settings::LocalAccess;
use crate::telemetry::log::log;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("MODULE", SUBCOMMANDS, Server)
    .docs("4.0.0", "Depends on the subcommand.", "", "Lists modules; none can be loaded.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Server)
        .docs("5.0.0", "O(1)", "", "Lists the subcommands."),
    command("LIST", list, exactly(2), &[Admin, NoScript], NO_KEYS, Server)
        .tips(&["nondeterministic_output_order"])
        .docs("4.0.0", "O(1)", "", "Lists the loaded modules: none."),
    command("LOAD", load, at_least(3), &[Admin, NoScript, NoAsyncLoading], NO_KEYS, Server)
        .docs("4.0.0", "O(1)", "path [arg [arg ...]]", "Refuses to load a module."),
    command("LOADEX", load, at_least(3), &[Admin, NoScript, NoAsyncLoading], NO_KEYS, Server)
        .docs("7.0.0", "O(1)", "path [CONFIG name value [CONFIG name value ...]] [ARGS args [args ...]]", "Refuses to load a module."),
    command("UNLOAD", unload, exactly(3), &[Admin, NoScript, NoAsyncLoading], NO_KEYS, Server)
        .docs("4.0.0", "O(1)", "name", "Finds no module to unload."),
];

const HELP: &[&str] = &[
    "LIST",
    "    Return a list of loaded modules.",
    "LOAD <path> [<arg> ...]",
    "    Load a module library from <path>, passing to it any optional arguments.",
    "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
    "    Load a module library from <path>, while passing it module configurations and optional arguments.",
    "UNLOAD <name>",
    "    Unload a module.",
];

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}

fn list(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    ctx.reply.array(0);
    Ok(())
}

/// Modules are C code against Redis's insides, which limpid does not have.
fn load(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    check_allowed(ctx)?;
    log!(Warning, "Module {} was not loaded: limpid has no modules", args.at(2).escape_ascii());
    Err(Failure::err("Error loading the extension. Please check the server logs."))
}

fn unload(ctx: &mut Context<'_>, _: &Args<'_>) -> Handled {
    check_allowed(ctx)?;
    Err(Failure::err("Error unloading module: no such module with that name"))
}

/// Refuses where `enable-module-command` does.
fn check_allowed(ctx: &Context<'_>) -> Handled {
    ctx.check_access(ctx.settings.security.enable_module_command, "MODULE", "enable-module-command")
}

impl Context<'_> {
    /// Refuses a command that a setting allows to nobody, to everybody, or to this machine.
    pub(super) fn check_access(
        &self,
        access: LocalAccess,
        command: &str,
        setting: &str,
    ) -> Handled {
        match access {
            LocalAccess::Yes => Ok(()),
            LocalAccess::Local if self.client.handle.origin.is_local() => Ok(()),
            LocalAccess::Local | LocalAccess::No => Err(Failure::err(format_args!(
                "{command} command not allowed. If the {setting} option is set to \"local\", you \
                 can run it from a local connection, otherwise you need to set this option in the \
                 configuration file, and then restart the server."
            ))),
        }
    }
}
