//! The rules that a user amounts to, in the order and form of Redis 7.0.

use super::Commands;
use super::categories::NAMES;
use super::selector::{Access, KeyPattern, Selector};
use super::user::{Sanitize, User};

/// The fields of ACL GETUSER. Patterns are the clients' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserFields {
    pub(crate) flags: Vec<&'static str>,
    /// SHA-256 in hexadecimal.
    pub(crate) passwords: Vec<String>,
    /// Stands in the reply beside the flags.
    pub(crate) root: SelectorFields,
    pub(crate) selectors: Vec<SelectorFields>,
}

/// A selector's fields in ACL GETUSER, in the reply's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SelectorFields {
    pub(crate) commands: Vec<u8>,
    pub(crate) keys: Vec<u8>,
    pub(crate) channels: Vec<u8>,
}

impl User {
    /// The data of ACL GETUSER.
    pub(crate) fn fields(&self, commands: &Commands) -> UserFields {
        UserFields {
            flags: self.flags(),
            passwords: self.passwords.iter().map(|hash| hash.as_str().to_owned()).collect(),
            root: self.root.fields(commands),
            selectors: self.selectors.iter().map(|selector| selector.fields(commands)).collect(),
        }
    }

    /// The line `user NAME RULES` of ACL LIST, the ACL file and a rewritten configuration.
    pub(crate) fn line(&self, commands: &Commands) -> Vec<u8> {
        let mut line = [b"user ", self.name(), b" "].concat();
        for flag in self.flags() {
            line.extend_from_slice(flag.as_bytes());
            line.push(b' ');
        }
        for hash in &self.passwords {
            line.push(b'#');
            line.extend_from_slice(hash.as_str().as_bytes());
            line.push(b' ');
        }
        self.root.describe(commands, &mut line);
        for selector in &self.selectors {
            line.extend_from_slice(b" (");
            selector.describe(commands, &mut line);
            line.push(b')');
        }
        line
    }

    fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        flags.extend(self.nopass.then_some("nopass"));
        flags.extend(self.sanitize.map(|sanitize| match sanitize {
            Sanitize::Skip => "skip-sanitize-payload",
            Sanitize::Deeply => "sanitize-payload",
        }));
        flags
    }
}

impl Selector {
    fn fields(&self, commands: &Commands) -> SelectorFields {
        let keys: Vec<Vec<u8>> = self.keys.iter().map(key_rule).collect();
        let channels: Vec<Vec<u8>> = self.channels.iter().map(channel_rule).collect();
        SelectorFields {
            commands: self.command_rules(commands),
            keys: if self.all_keys { b"~*".to_vec() } else { keys.join(&b' ') },
            channels: if self.all_channels { b"&*".to_vec() } else { channels.join(&b' ') },
        }
    }

    fn describe(&self, commands: &Commands, text: &mut Vec<u8>) {
        if self.all_keys {
            text.extend_from_slice(b"~* ");
        }
        for pattern in &self.keys {
            text.extend(key_rule(pattern));
            text.push(b' ');
        }
        text.extend_from_slice(if self.all_channels { b"&* " } else { b"resetchannels " });
        for pattern in &self.channels {
            text.extend(channel_rule(pattern));
            text.push(b' ');
        }
        text.extend(self.command_rules(commands));
    }

    /// Rules that lead to the same commands.
    ///
    /// They begin with all or nothing, then take the categories that fit best, one at a time: most
    /// of a category's commands differ from what the rules so far amount to, few do not, and of
    /// equals the one with the most that differ. Single commands correct the rest. The rules are
    /// applied to a `model` on the way, so that their sum is known; `rest` loses the categories
    /// taken, so that no command counts twice.
    fn command_rules(&self, commands: &Commands) -> Vec<u8> {
        let adds = !self.from_all;
        let mut model = if adds { commands.none() } else { commands.all().clone() };
        let mut rules = if adds { b"-@all".to_vec() } else { b"+@all".to_vec() };
        let mut rest = self.commands.clone();
        let mut taken = [false; NAMES.len()];
        while let Some(best) = best_category(commands, &rest, adds, &taken) {
            taken[best] = true;
            push_rule(&mut rules, if adds { "+@" } else { "-@" }, NAMES[best]);
            if let Some(reach) = commands.reach(best) {
                model.change(reach, adds);
                rest.change(reach, !adds);
            }
        }
        // A container's first arguments would follow its subcommands, but it has none.
        for id in commands.in_order() {
            let permitted = self.commands.has(id);
            if permitted != model.has(id) {
                push_rule(&mut rules, if permitted { "+" } else { "-" }, commands.name(id));
                model.change(commands.family(id), permitted);
            }
            let first_args = self.first_args.get(&id).filter(|_| !permitted);
            for first_arg in first_args.into_iter().flatten() {
                push_rule(&mut rules, "+", commands.name(id));
                rules.push(b'|');
                rules.extend_from_slice(first_arg);
            }
        }
        debug_assert_eq!(model, self.commands, "the rules lead to the same commands");
        rules
    }
}

/// The category not yet taken that fits best, if any fits.
fn best_category(
    commands: &Commands,
    rest: &super::commands::CommandSet,
    adds: bool,
    taken: &[bool; NAMES.len()],
) -> Option<usize> {
    let mut best: Option<(usize, usize, usize)> = None;
    for category in (0..NAMES.len()).filter(|category| !taken[*category]) {
        let (on, off) = commands.count(category, rest);
        let (fits, misfits) = if adds { (on, off) } else { (off, on) };
        let better = best.is_none_or(|(_, best_fits, best_misfits)| {
            misfits < best_misfits || (misfits == best_misfits && fits > best_fits)
        });
        if fits > misfits && better {
            best = Some((category, fits, misfits));
        }
    }
    best.map(|(category, ..)| category)
}

fn push_rule(rules: &mut Vec<u8>, sign: &str, name: &str) {
    rules.push(b' ');
    rules.extend_from_slice(sign.as_bytes());
    rules.extend_from_slice(name.as_bytes());
}

fn key_rule(key: &KeyPattern) -> Vec<u8> {
    let sign: &[u8] = match key.access {
        Access::READ => b"%R~",
        Access::WRITE => b"%W~",
        _ => b"~",
    };
    [sign, &key.pattern].concat()
}

fn channel_rule(pattern: &Vec<u8>) -> Vec<u8> {
    [b"&", pattern.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::super::commands::tests::Few;
    use super::super::rules::{Basis, PubsubDefault};
    use super::*;

    fn described(rules: &[&str]) -> String {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        let mut user = User::new(b"u", &basis);
        for rule in rules {
            user.apply(rule.as_bytes(), &basis).unwrap();
        }
        String::from_utf8(user.line(&commands)).unwrap()
    }

    #[test]
    fn a_line_has_flags_passwords_keys_channels_and_commands() {
        assert_eq!(described(&[]), "user u off resetchannels -@all");
        assert_eq!(
            described(&["on", "nopass", "skip-sanitize-payload", "~*", "&*", "+@all"]),
            "user u on nopass skip-sanitize-payload ~* &* +@all"
        );
        let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(
            described(&[">foo", "%R~r", "%RW~b", "&c", "&d", "+get", "(~x +set)", "()"]),
            format!(
                "user u off #{hash} %R~r ~b resetchannels &c &d -@all +get \
                 (~x resetchannels -@all +set) (resetchannels -@all)"
            )
        );
        assert_eq!(
            described(&["reset", "+@all"]),
            "user u off sanitize-payload resetchannels +@all"
        );
    }

    #[test]
    fn commands_are_described_by_the_categories_that_fit() {
        for (rules, line) in [
            (&["+get", "+mget"][..], "-@all +@read"),
            (&["+get"], "-@all +get"),
            (&["+get", "+mget", "+set"], "-@all +@string"),
            (&["+@all", "-@write"], "+@all -@write"),
            (&["+@all", "-config|set"], "+@all -config|set"),
            (&["+config", "-config|set"], "-@all +config -config|set"),
            (&["+config|get"], "-@all +config|get"),
            (&["+select|1", "+select|0"], "-@all +select|1 +select|0"),
            (&["+select|1", "+select"], "-@all +select"),
            (&["+@all", "-@all", "+subscribe"], "-@all +@pubsub"),
        ] {
            assert_eq!(described(rules), format!("user u off resetchannels {line}"), "{rules:?}");
        }
    }
}
