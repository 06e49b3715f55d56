//! `user` lines of a configuration file: checked when read, applied when the server starts.

use std::sync::Arc;

use super::Users;
use super::rules::{Basis, RuleError, has_spaces, merge_selectors};
use super::user::User;
use crate::text::until_nul;

/// The users that a configuration file declares, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declarations {
    users: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

impl Declarations {
    /// Adds a line: its words behind `user`, quotes removed. Unknown commands are found later.
    ///
    /// # Errors
    /// The line is refused, in Redis's words.
    pub(crate) fn add(
        &mut self,
        name: &[u8],
        rules: &[&[u8]],
        basis: &Basis<'_>,
    ) -> Result<(), Vec<u8>> {
        // Redis counts rules from the line's first word, and so names a word two before the culprit.
        let named = |index: usize| match index {
            0 => b"user",
            1 => name,
            _ => rules[index - 2],
        };
        let refused = |index: usize, error: RuleError| {
            let text = error.text().as_bytes();
            Err([b"Error in user declaration '", until_nul(named(index)), b"': ", text].concat())
        };
        if self.users.iter().any(|(known, _)| known == name) {
            return refused(1, RuleError::DuplicateUser);
        }
        let merged = match merge_selectors(rules) {
            Ok(merged) => merged,
            // Redis sets no reason here; an earlier one shows, in practice this.
            Err(start) => return refused(start, RuleError::UnknownCommand),
        };
        let mut user = User::new(name, basis);
        for (index, rule) in merged.iter().enumerate() {
            match user.apply(rule, basis) {
                Ok(()) | Err(RuleError::UnknownCommand) => {}
                Err(error) => return refused(index, error),
            }
        }
        let rules = merged.into_iter().map(std::borrow::Cow::into_owned).collect();
        self.users.push((name.to_vec(), rules));
        Ok(())
    }

    /// Adds the users to a table. The default user is reset first. Also returns a line for the log
    /// (level notice) for each user that is disabled.
    ///
    /// # Errors
    /// The line for the log (level warning) that says why the server cannot start. Redis adds
    /// `Critical error while loading ACLs. Exiting.`
    pub(crate) fn apply(
        &self,
        users: &Users,
        basis: &Basis<'_>,
    ) -> Result<(Users, Vec<Vec<u8>>), Vec<u8>> {
        let (mut users, mut notices) = (users.clone(), Vec::new());
        for (name, rules) in &self.users {
            if has_spaces(name) {
                return Err(b"Spaces not allowed in ACL usernames".to_vec());
            }
            let mut user = match users.get(name) {
                Some(known) => {
                    let mut user = User::clone(known);
                    user.apply(b"reset", basis).expect("a rule of the server's own");
                    user
                }
                None => User::new(name, basis),
            };
            for rule in rules {
                user.apply(rule, basis).map_err(|error| {
                    let (rule, error) = (until_nul(rule), error.text().as_bytes());
                    let middle = b"' for the user named '";
                    [b"Error loading ACL rule '", rule, middle, name, b"': ", error].concat()
                })?;
            }
            if !user.is_enabled() {
                let advice = "' is disabled (there is no 'on' modifier in the user description). \
                              Make sure this is not a configuration error.";
                notices.push([b"The user '", name.as_slice(), advice.as_bytes()].concat());
            }
            users.insert(Arc::new(user));
        }
        Ok((users, notices))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Commands;
    use super::super::commands::tests::Few;
    use super::super::rules::PubsubDefault;
    use super::*;

    fn declared(lines: &[&str]) -> Result<(String, String), String> {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let mut declarations = Declarations::default();
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            declarations.add(words[0], &words[1..], &basis).map_err(|text| lossy(&text))?;
        }
        let (users, notices) =
            declarations.apply(&Users::new(&basis), &basis).map_err(|text| lossy(&text))?;
        Ok((lossy(&users.lines(&commands).join(&b'\n')), lossy(&notices.join(&b'\n'))))
    }

    #[test]
    fn declared_users_join_the_default_one() {
        let (users, notices) = declared(&["a on (+get ~x)", "default +@all"]).unwrap();
        assert_eq!(
            users,
            "user a on resetchannels -@all (~x resetchannels -@all +get)\n\
             user default off sanitize-payload resetchannels +@all"
        );
        assert_eq!(
            notices,
            "The user 'default' is disabled (there is no 'on' modifier in the user description). \
             Make sure this is not a configuration error."
        );
    }

    #[test]
    fn a_refused_line_names_the_word_that_redis_names() {
        for (lines, error) in [
            (&["a foo"][..], "user': Syntax error"),
            (&["a on foo"], "a': Syntax error"),
            (&["a on >x foo"], "on': Syntax error"),
            (&["a on (+get"], "a': Unknown command or category name in ACL"),
            (&["a (on)"], "user': Syntax error"),
            (
                &["a on", "a off"],
                "a': Duplicate user found. A user can only be defined once in config files",
            ),
        ] {
            let expected = Err(format!("Error in user declaration '{error}"));
            assert_eq!(declared(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_unknown_command_is_found_when_applied() {
        assert_eq!(
            declared(&["a on +foo ~a"]).unwrap_err(),
            "Error loading ACL rule '+foo' for the user named 'a': Unknown command or category \
             name in ACL"
        );
        assert_eq!(declared(&["a\tb on"]).unwrap_err(), "Spaces not allowed in ACL usernames");
    }
}
