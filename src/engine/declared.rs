//! What a script declares of itself, by which its command is admitted and queued.

use super::caller::Caller;
use crate::commands::registry::Registered;
use crate::commands::{Args, EngineCommand, Flag, Flags, Run, Source};
use crate::scripting::{ScriptFlags, parse_sha, script_flags};

/// What the script declares that a command runs; `None` if it is none, declares nothing, or cannot
/// be found. The caller holds no lock.
pub(super) fn by_script(
    caller: &Caller<'_>,
    registered: &Registered,
    args: &Args<'_>,
) -> Option<ScriptFlags> {
    let Run::Engine(EngineCommand::Script(source)) = registered.row.run else { return None };
    let (scripts, name) = (&caller.node.scripts, args.at(1));
    let flags = match source {
        Source::Text => script_flags(name).ok()?.0,
        Source::Digest => {
            let sha = parse_sha(name)?;
            scripts.enter()?.script_flags(&sha)?
        }
        Source::Function => scripts.enter()?.function_flags(name)?,
    };
    (!flags.contains(ScriptFlags::COMPAT)).then_some(flags)
}

/// A command's flags, with those that follow from what its script declares in place of its own.
pub(super) fn instead_of(flags: Flags, script: Option<ScriptFlags>) -> Flags {
    let Some(script) = script else { return flags };
    let writes = !script.contains(ScriptFlags::NO_WRITES);
    // What writes nothing needs no memory either.
    flags
        .with(Flag::Write, writes)
        .with(Flag::DenyOom, writes && !script.contains(ScriptFlags::ALLOW_OOM))
        .with(Flag::Stale, script.contains(ScriptFlags::ALLOW_STALE))
        .with(Flag::MayReplicate, false)
}
