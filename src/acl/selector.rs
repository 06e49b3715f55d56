//! What one set of rules permits: commands, keys and channels.

use std::collections::BTreeMap;

use super::commands::CommandSet;
use super::rules::{Basis, PubsubDefault, RuleError, has_spaces};
use super::{Commands, categories};
use crate::glob;
use crate::text::until_nul;

/// What a command does to a key, or what a pattern permits: reading, writing, both or neither.
///
/// Of the flags in a key specification, `access` is reading, and `update`, `insert` and `delete`
/// are writing. `RO`, `RW`, `OW` and `RM` say nothing here: a command that only asks whether a key
/// exists needs any pattern that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access(u8);

impl Access {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const READ: Self = Self(1);
    pub(crate) const WRITE: Self = Self(2);
    pub(crate) const BOTH: Self = Self(3);

    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A pattern of keys, and what may be done to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPattern {
    pub(super) pattern: Vec<u8>,
    pub(super) access: Access,
}

/// One set of permissions. A user has a root selector and any number of others, one of which must
/// permit all of a command.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) all_keys: bool,
    pub(super) all_channels: bool,
    /// All commands, present and future: the shortcut of the check.
    pub(super) all_commands: bool,
    /// Its rules began with `+@all`. Stays when single commands go, and so decides how the rules
    /// are described.
    pub(super) from_all: bool,
    pub(super) commands: CommandSet,
    /// By command: first arguments with which it may run although it may not run as such.
    pub(super) first_args: BTreeMap<usize, Vec<Vec<u8>>>,
    pub(super) keys: Vec<KeyPattern>,
    pub(super) channels: Vec<Vec<u8>>,
}

impl Selector {
    /// One that permits nothing, except all channels if that is the default.
    pub(super) fn new(basis: &Basis<'_>) -> Self {
        Self {
            all_keys: false,
            all_channels: basis.channels == PubsubDefault::AllChannels,
            all_commands: false,
            from_all: false,
            commands: basis.commands.none(),
            first_args: BTreeMap::new(),
            keys: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Whether it permits everything.
    pub(super) fn is_unrestricted(&self) -> bool {
        self.all_keys && self.all_channels && self.all_commands
    }

    /// Applies one rule about commands, keys or channels.
    ///
    /// # Errors
    /// The rule is refused and changes nothing.
    pub(super) fn apply(&mut self, rule: &[u8], commands: &Commands) -> Result<(), RuleError> {
        // As in Redis, words end at a zero byte, and only patterns are looked at beyond it.
        let word = until_nul(rule);
        match word.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.set_all_keys(true),
            b"resetkeys" => self.set_all_keys(false),
            b"allchannels" | b"&*" => self.set_all_channels(true),
            b"resetchannels" => self.set_all_channels(false),
            b"allcommands" | b"+@all" => self.set_all_commands(commands, true),
            b"nocommands" | b"-@all" => self.set_all_commands(commands, false),
            _ => {
                return match word {
                    [b'~', ..] => self.add_keys(&rule[1..], Access::BOTH),
                    [b'%', ..] => {
                        let (pattern, access) = qualified(&rule[1..], self.all_keys)?;
                        self.add_keys(pattern, access)
                    }
                    [b'&', ..] => self.add_channels(&rule[1..]),
                    [b'+', b'@', name @ ..] => self.change_category(name, commands, true),
                    [b'-', b'@', name @ ..] => self.change_category(name, commands, false),
                    [b'+', name @ ..] => self.allow(name, commands),
                    [b'-', name @ ..] => {
                        let id = commands.find(name).ok_or(RuleError::UnknownCommand)?;
                        self.change_command(id, commands, false);
                        Ok(())
                    }
                    _ => Err(RuleError::Syntax),
                };
            }
        }
        Ok(())
    }

    fn set_all_keys(&mut self, all: bool) {
        self.all_keys = all;
        self.keys.clear();
    }

    fn set_all_channels(&mut self, all: bool) {
        self.all_channels = all;
        self.channels.clear();
    }

    pub(super) fn set_all_commands(&mut self, commands: &Commands, all: bool) {
        self.all_commands = all;
        self.from_all = all;
        self.commands.change(commands.all(), all);
        self.first_args.clear();
    }

    fn add_keys(&mut self, pattern: &[u8], access: Access) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::KeysAfterAll);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => known.access = known.access.and(access),
            None => self.keys.push(KeyPattern { pattern: pattern.into(), access }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::ChannelsAfterAll);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known == pattern) {
            self.channels.push(pattern.into());
        }
        Ok(())
    }

    fn change_category(
        &mut self,
        name: &[u8],
        commands: &Commands,
        allow: bool,
    ) -> Result<(), RuleError> {
        let category = categories::index(name).ok_or(RuleError::UnknownCommand)?;
        if let Some(reach) = commands.reach(category) {
            self.change(reach, allow);
        }
        Ok(())
    }

    /// Permits a command, a subcommand, or a first argument of a command without subcommands.
    fn allow(&mut self, name: &[u8], commands: &Commands) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|&byte| byte == b'|') else {
            let id = commands.find(name).ok_or(RuleError::UnknownCommand)?;
            self.change_command(id, commands, true);
            return Ok(());
        };
        let (command, first_arg) = (&name[..bar], &name[bar + 1..]);
        let id = commands.find(command).ok_or(RuleError::UnknownCommand)?;
        if commands.is_subcommand(id) {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        if first_arg.is_empty() {
            return Err(RuleError::Syntax);
        }
        if commands.is_container(id) {
            let id = commands.find(name).ok_or(RuleError::UnknownCommand)?;
            self.change_command(id, commands, true);
            return Ok(());
        }
        let known = self.first_args.entry(id).or_default();
        if !known.iter().any(|known| known.eq_ignore_ascii_case(first_arg)) {
            known.push(first_arg.into());
        }
        Ok(())
    }

    /// Permits or denies a command with its subcommands.
    pub(super) fn change_command(&mut self, id: usize, commands: &Commands, allow: bool) {
        self.change(commands.family(id), allow);
    }

    fn change(&mut self, family: &CommandSet, allow: bool) {
        self.commands.change(family, allow);
        self.first_args.retain(|id, _| !family.has(*id));
        if !allow {
            self.all_commands = false;
        }
    }

    /// Whether a command may run with whatever arguments.
    #[inline]
    pub(super) fn permits_command(&self, id: usize) -> bool {
        self.all_commands || self.commands.has(id)
    }

    /// Whether a command that may not run as such may run with this first argument.
    pub(super) fn permits_first_arg(&self, id: usize, first_arg: Option<&[u8]>) -> bool {
        let (Some(known), Some(first_arg)) = (self.first_args.get(&id), first_arg) else {
            return false;
        };
        known.iter().any(|known| known.eq_ignore_ascii_case(until_nul(first_arg)))
    }

    /// Whether a key may be accessed.
    pub(super) fn permits_key(&self, key: &[u8], access: Access) -> bool {
        self.all_keys
            || self
                .keys
                .iter()
                .any(|known| known.access.includes(access) && glob::matches(&known.pattern, key))
    }

    /// Whether every key may be accessed.
    pub(super) fn permits_all_keys(&self, access: Access) -> bool {
        self.all_keys
            || self.keys.iter().any(|known| known.access.includes(access) && known.pattern == b"*")
    }
}

/// A pattern behind `%R~`, `%W~` or `%RW~`.
fn qualified(rule: &[u8], all_keys: bool) -> Result<(&[u8], Access), RuleError> {
    // Redis complains of `allkeys` before it reads the rest.
    if all_keys {
        return Err(RuleError::KeysAfterAll);
    }
    let mut access = Access::NONE;
    for (index, byte) in rule.iter().enumerate() {
        access = match byte.to_ascii_uppercase() {
            b'R' if !access.includes(Access::READ) => access.and(Access::READ),
            b'W' if !access.includes(Access::WRITE) => access.and(Access::WRITE),
            b'~' if access != Access::NONE => return Ok((&rule[index + 1..], access)),
            _ => return Err(RuleError::Syntax),
        };
    }
    // Without a tilde the pattern is empty.
    if access == Access::NONE { Err(RuleError::Syntax) } else { Ok((b"", access)) }
}

#[cfg(test)]
mod tests {
    use super::super::commands::tests::Few;
    use super::*;

    fn selector(rules: &[&str]) -> Result<(Selector, Commands), RuleError> {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        let mut selector = Selector::new(&basis);
        for rule in rules {
            selector.apply(rule.as_bytes(), &commands)?;
        }
        Ok((selector, commands))
    }

    fn refusal(rules: &[&str]) -> RuleError {
        selector(rules).unwrap_err()
    }

    #[test]
    fn rules_are_refused_for_redis_s_reasons() {
        use RuleError::{ChannelsAfterAll, FirstArgOfSubcommand, KeysAfterAll};
        use RuleError::{Syntax, UnknownCommand};
        for (rules, reason) in [
            (&["foo"][..], Syntax),
            (&[""], Syntax),
            (&["+"], UnknownCommand),
            (&["-"], UnknownCommand),
            (&["+@"], UnknownCommand),
            (&["+nope"], UnknownCommand),
            (&["-get|x"], UnknownCommand),
            (&["+config|nope"], UnknownCommand),
            (&["+config|"], Syntax),
            (&["+get|"], Syntax),
            (&["+|x"], UnknownCommand),
            (&["+config|get|x"], FirstArgOfSubcommand),
            (&["~a b"], Syntax),
            (&["~a\u{b}"], Syntax),
            (&["~a\0b"], Syntax),
            (&["%~a"], Syntax),
            (&["%"], Syntax),
            (&["%RR~a"], Syntax),
            (&["%X~a"], Syntax),
            (&["~*", "~a"], KeysAfterAll),
            (&["~*", "%X~a"], KeysAfterAll),
            (&["&*", "&a"], ChannelsAfterAll),
            (&["&a b"], Syntax),
            (&["on"], Syntax),
        ] {
            assert_eq!(refusal(rules), reason, "{rules:?}");
        }
    }

    #[test]
    fn a_container_changes_its_subcommands_with_it() {
        let (selector, commands) = selector(&["+config", "-config|set"]).unwrap();
        let permits = |name: &str| {
            let id = commands.find(name.as_bytes()).unwrap();
            selector.permits_command(id)
        };
        assert!(permits("config") && permits("config|get"));
        assert!(!permits("config|set") && !permits("get"));
    }

    #[test]
    fn first_arguments_last_until_the_command_changes() {
        let (selector, commands) = selector(&["+select|0", "+SELECT|a", "+select|A"]).unwrap();
        let id = commands.find(b"select").unwrap();
        assert_eq!(selector.first_args[&id], [b"0", b"a"]);
        assert!(selector.permits_first_arg(id, Some(b"0")));
        assert!(selector.permits_first_arg(id, Some(b"A\0zzz")));
        assert!(!selector.permits_first_arg(id, Some(b"1")));
        assert!(!selector.permits_first_arg(id, None));
        for clearing in ["-select", "+select", "-@connection", "-@all", "+@all"] {
            let mut changed = selector.clone();
            changed.apply(clearing.as_bytes(), &commands).unwrap();
            assert!(changed.first_args.is_empty(), "{clearing}");
        }
    }

    #[test]
    fn a_key_needs_a_pattern_with_its_access() {
        let (selector, _) =
            selector(&["%R~r:*", "%w~w:*", "%RW~b:*", "%R~twice", "%W~twice", "%R"]).unwrap();
        let permits = |key: &str, access| selector.permits_key(key.as_bytes(), access);
        assert!(permits("r:1", Access::READ) && permits("r:1", Access::NONE));
        assert!(!permits("r:1", Access::WRITE) && !permits("r:1", Access::BOTH));
        assert!(permits("w:1", Access::WRITE) && !permits("w:1", Access::READ));
        assert!(permits("b:1", Access::BOTH) && permits("twice", Access::BOTH));
        assert!(permits("", Access::READ) && !permits("x", Access::NONE));
        assert!(!selector.permits_all_keys(Access::READ));
    }

    #[test]
    fn every_key_is_permitted_by_a_star() {
        let (selector, _) = selector(&["%R~*"]).unwrap();
        assert!(selector.permits_all_keys(Access::READ));
        assert!(!selector.permits_all_keys(Access::BOTH));
    }

    #[test]
    fn a_category_without_commands_takes_nothing_from_all() {
        let (selector, _) = selector(&["+@all", "-@scripting", "~*", "&*"]).unwrap();
        assert!(selector.is_unrestricted());
    }
}
