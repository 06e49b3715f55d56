//! HELP of the containers: the frame that all share. Each family has its own lines.

use super::{Args, Context};

/// The last lines of every HELP.
const END: [&str; 2] = ["HELP", "    Prints this help."];

impl Context<'_> {
    /// Answers a HELP subcommand: `lines` in the frame, which has the container's name as sent.
    pub(crate) fn reply_help(&mut self, args: &Args<'_>, lines: &[&str]) {
        let name = args.at(0).to_ascii_uppercase();
        let title = " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
        self.reply.array(lines.len() + 1 + END.len());
        self.reply.simple(&(String::from_utf8_lossy(&name) + title));
        lines.iter().chain(&END).for_each(|line| self.reply.simple(line));
    }
}
