//! DEBUG's faults: ends of the process, a leak, and an error as a client wants it.

use crate::commands::{Args, Context, Failure, Handled};

/// Ends the process by the fault that the subcommand names.
pub(super) fn crash(ctx: &Context<'_>, args: &Args<'_>) -> Handled {
    if args.is(1, "OOM") {
        // The allocator refuses, which aborts the process.
        let bytes = Vec::<u8>::with_capacity(isize::MAX.unsigned_abs());
        drop(std::hint::black_box(bytes));
    } else if args.is(1, "SEGFAULT") {
        ctx.node.host().fault();
    }
    panic!("DEBUG {} asked for it", args.at(1).to_ascii_uppercase().escape_ascii())
}

/// Leaks a copy of the text.
pub(super) fn leak(ctx: &mut Context<'_>, text: &[u8]) {
    let leaked: &mut [u8] = Box::leak(text.into());
    std::hint::black_box(leaked);
    ctx.reply.ok();
}

/// The text as the error of this command, line breaks replaced.
pub(super) fn error(text: &[u8]) -> Handled {
    let line = |byte: &u8| if b"\r\n".contains(byte) { b' ' } else { *byte };
    Err(Failure::Bytes(text.iter().map(line).collect()))
}
