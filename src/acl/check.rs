//! Whether a user may run a command with its keys and channels, and what to say if not.

use super::channels::{ChannelKind, permitted};
use super::rules::one_line;
use super::selector::{Access, Selector};
use super::user::User;
use crate::text::until_nul;

/// A command with its arguments, as the check sees it. Index 0 is the command's name.
pub(crate) trait Request {
    /// The command's id in the catalog; the subcommand's if there is one.
    fn command(&self) -> usize;

    /// Whether the command needs no permission: AUTH, HELLO, QUIT and RESET (the flag `no_auth`).
    fn is_exempt(&self) -> bool;

    fn arg(&self, index: usize) -> Option<&[u8]>;

    /// Passes each key's index on, with what the command does to it.
    fn keys(&self, each: &mut dyn FnMut(usize, Access));

    /// Passes each channel's index on; see [`super::ChannelPlaces`].
    fn channels(&self, each: &mut dyn FnMut(usize, ChannelKind));
}

/// Why a user may not run a command. Keys and channels have the argument's index. The greatest is
/// the one to report when each selector has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denial {
    Command,
    Key(usize),
    Channel(usize),
}

impl User {
    /// Checks a whole request. One selector must permit all of it.
    ///
    /// # Errors
    /// No selector does.
    #[inline]
    pub(crate) fn check(&self, request: &impl Request) -> Result<(), Denial> {
        if self.is_unrestricted() { Ok(()) } else { self.check_selectors(request) }
    }

    fn check_selectors(&self, request: &impl Request) -> Result<(), Denial> {
        let mut denial = Denial::Command;
        for selector in self.all_selectors() {
            match selector.check(request) {
                Ok(()) => return Ok(()),
                Err(other) => denial = denial.max(other),
            }
        }
        Err(denial)
    }

    /// Whether one selector permits both the request and this access to every key. SORT's BY and
    /// GET need it for reading.
    pub(crate) fn permits_with_all_keys(&self, request: &impl Request, access: Access) -> bool {
        self.is_unrestricted()
            || self.all_selectors().any(|selector| {
                selector.check(request).is_ok() && selector.permits_all_keys(access)
            })
    }
}

impl Selector {
    fn check(&self, request: &impl Request) -> Result<(), Denial> {
        let id = request.command();
        let may_run = self.permits_command(id)
            || request.is_exempt()
            || self.permits_first_arg(id, request.arg(1));
        if !may_run {
            return Err(Denial::Command);
        }
        let mut denial = None;
        let arg = |index| request.arg(index).unwrap_or_default();
        if !self.all_keys {
            request.keys(&mut |index, access| {
                if denial.is_none() && !self.permits_key(arg(index), access) {
                    denial = Some(Denial::Key(index));
                }
            });
        }
        if denial.is_none() && !self.all_channels {
            request.channels(&mut |index, kind| {
                if denial.is_none() && !permitted(&self.channels, arg(index), kind) {
                    denial = Some(Denial::Channel(index));
                }
            });
        }
        denial.map_or(Ok(()), Err)
    }
}

impl Denial {
    /// Code and text of the error to a command of this full name.
    pub(crate) fn error(self, command: &str) -> String {
        match self {
            Self::Command => {
                format!("NOPERM this user has no permissions to run the '{command}' command")
            }
            Self::Key(_) => "NOPERM this user has no permissions to access one of the keys used \
                             as arguments"
                .to_owned(),
            Self::Channel(_) => "NOPERM this user has no permissions to access one of the \
                                 channels used as arguments"
                .to_owned(),
        }
    }

    /// Code and text of the error when a command queued in MULTI is no longer permitted at EXEC.
    pub(crate) fn error_at_exec(self) -> String {
        let reason = match self {
            Self::Command => "no permission to execute the command or subcommand",
            Self::Key(_) => "no permission to touch the specified keys",
            Self::Channel(_) => "no permission to access one of the channels used as arguments",
        };
        format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
             EXEC call. This command is no longer allowed for the following reason: {reason}"
        )
    }

    /// Code and text of the error that a script gets.
    pub(crate) fn error_in_script(self) -> &'static str {
        match self {
            Self::Command => {
                "ERR The user executing the script can't run this command or subcommand"
            }
            Self::Key(_) => {
                "ERR The user executing the script can't access at least one of the keys \
                 mentioned in the command arguments"
            }
            Self::Channel(_) => {
                "ERR The user executing the script can't publish to the channel mentioned in the \
                 command"
            }
        }
    }

    /// What ACL DRYRUN replies, given the command's full name.
    pub(crate) fn dry_run(self, command: &str, request: &impl Request) -> Vec<u8> {
        let arg = |index| until_nul(request.arg(index).unwrap_or_default());
        let (what, object, kind): (&str, &[u8], &str) = match self {
            Self::Command => ("run", command.as_bytes(), "command"),
            Self::Key(index) => ("access", arg(index), "key"),
            Self::Channel(index) => ("access", arg(index), "channel"),
        };
        let beginning = format!("This user has no permissions to {what} the '");
        [beginning.as_bytes(), object, b"' ", kind.as_bytes()].concat()
    }

    /// The object of an entry in ACL LOG: the command's full name, the key or the channel.
    pub(crate) fn object(self, command: &str, request: &impl Request) -> Vec<u8> {
        match self {
            Self::Command => command.as_bytes().to_vec(),
            Self::Key(index) | Self::Channel(index) => {
                request.arg(index).unwrap_or_default().to_vec()
            }
        }
    }
}

/// Code and text of ACL DRYRUN's error for a user that does not exist.
pub(crate) fn no_such_user(name: &[u8]) -> Vec<u8> {
    one_line([b"ERR User '", until_nul(name), b"' not found"].concat())
}

/// Code and text of ACL DRYRUN's error for a command that does not exist.
pub(crate) fn no_such_command(name: &[u8]) -> Vec<u8> {
    one_line([b"ERR Command '", until_nul(name), b"' not found"].concat())
}

#[cfg(test)]
mod tests {
    use super::super::commands::tests::Few;
    use super::super::rules::{Basis, PubsubDefault};
    use super::super::{ChannelPlaces, Commands};
    use super::*;

    /// A command line whose keys are the words `r:…`, `w:…`, `b:…` and `e:…` by what is done to them.
    struct Line(usize, Vec<&'static str>, Option<ChannelPlaces>);

    impl Request for Line {
        fn command(&self) -> usize {
            self.0
        }

        fn is_exempt(&self) -> bool {
            self.1[0] == "auth"
        }

        fn arg(&self, index: usize) -> Option<&[u8]> {
            self.1.get(index).map(|word| word.as_bytes())
        }

        fn keys(&self, each: &mut dyn FnMut(usize, Access)) {
            for (index, word) in self.1.iter().enumerate().skip(1) {
                match word.split_once(':') {
                    Some(("r", _)) => each(index, Access::READ),
                    Some(("w", _)) => each(index, Access::WRITE),
                    Some(("b", _)) => each(index, Access::BOTH),
                    Some(("e", _)) => each(index, Access::NONE),
                    _ => {}
                }
            }
        }

        fn channels(&self, each: &mut dyn FnMut(usize, ChannelKind)) {
            if let Some(places) = self.2 {
                places.indices(self.1.len()).for_each(|index| each(index, places.kind));
            }
        }
    }

    fn verdict(rules: &[&str], line: &'static str) -> Result<(), Denial> {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        let mut user = User::new(b"u", &basis);
        for rule in rules {
            user.apply(rule.as_bytes(), &basis).unwrap();
        }
        let words: Vec<&str> = line.split(' ').collect();
        let id = commands.find(words[0].as_bytes()).unwrap();
        user.check(&Line(id, words.clone(), ChannelPlaces::of(words[0])))
    }

    #[test]
    fn a_request_needs_its_command_keys_and_channels() {
        for (rules, line, expected) in [
            (&["+get"][..], "set x", Err(Denial::Command)),
            (&["+get"], "get r:1", Err(Denial::Key(1))),
            (&["+get", "~r:*"], "get r:1", Ok(())),
            (&["+get", "%W~r:*"], "get r:1", Err(Denial::Key(1))),
            (&["+get", "%W~e:*"], "get e:1", Ok(())),
            (&["+mget", "%R~r:1"], "mget r:1 r:2 r:3", Err(Denial::Key(2))),
            (&["+set", "%R~b:*", "%W~b:*"], "set b:1", Ok(())),
            (&["+subscribe", "&a*"], "subscribe ab", Ok(())),
            (&["+subscribe", "&a*"], "subscribe ab b", Err(Denial::Channel(2))),
            (&["+@all"], "subscribe ab", Err(Denial::Channel(1))),
            (&["+select|0"], "select 0", Ok(())),
            (&["+select|0"], "select 1", Err(Denial::Command)),
            (&[], "auth x", Ok(())),
            (&["+@all", "~*", "&*"], "set w:1", Ok(())),
        ] {
            assert_eq!(verdict(rules, line), expected, "{rules:?} {line}");
        }
    }

    #[test]
    fn one_selector_must_permit_all_and_the_last_index_is_reported() {
        for (rules, line, expected) in [
            (&["+get", "(~r:*)"][..], "get r:1", Err(Denial::Key(1))),
            (&["+set", "(+get ~r:*)"], "get r:1", Ok(())),
            (&["+mget", "(+mget ~r:1)"], "mget r:1 r:2", Err(Denial::Key(2))),
            (&["(+mget ~r:1 ~r:2)", "+mget"], "mget r:1 r:2 r:3", Err(Denial::Key(3))),
            (&["(+subscribe &a)", "(~* &*)"], "subscribe b", Err(Denial::Channel(1))),
        ] {
            assert_eq!(verdict(rules, line), expected, "{rules:?} {line}");
        }
    }

    #[test]
    fn all_keys_and_the_request_must_be_permitted_by_one_selector() {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        let line = Line(commands.find(b"get").unwrap(), vec!["get", "r:1"], None);
        for (rules, expected) in [
            (&["+get", "~*"][..], true),
            (&["+get", "%R~*"], true),
            (&["+get", "~r:*"], false),
            (&["+get", "~r:*", "(~*)"], false),
            (&["+get", "~r:*", "(+get %R~*)"], true),
            (&["~*"], false),
        ] {
            let mut user = User::new(b"u", &basis);
            rules.iter().for_each(|rule| user.apply(rule.as_bytes(), &basis).unwrap());
            assert_eq!(user.permits_with_all_keys(&line, Access::READ), expected, "{rules:?}");
        }
    }

    #[test]
    fn a_denial_names_its_object() {
        let line = Line(0, vec!["get", "key"], None);
        assert_eq!(
            Denial::Command.dry_run("get", &line),
            b"This user has no permissions to run the 'get' command"
        );
        assert_eq!(
            Denial::Key(1).dry_run("get", &line),
            b"This user has no permissions to access the 'key' key"
        );
        assert_eq!(
            Denial::Channel(1).dry_run("get", &line),
            b"This user has no permissions to access the 'key' channel"
        );
        assert_eq!(Denial::Command.object("config|get", &line), b"config|get");
        assert_eq!(Denial::Key(1).object("get", &line), b"key");
    }
}
