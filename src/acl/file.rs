//! The ACL file's text: a line `user NAME RULES` for each user.

use std::collections::BTreeMap;

use super::rules::{Basis, RuleError, has_spaces, merge_selectors};
use super::user::User;
use super::{Commands, Users};
use crate::text::until_nul;

/// Bytes of one read of Redis's; a zero byte hides the rest of its read.
const READ_BYTES: usize = 1023;

/// The text that ACL SAVE writes.
pub(crate) fn save(users: &Users, commands: &Commands) -> Vec<u8> {
    let mut text = users.lines(commands).join(&b'\n');
    text.push(b'\n');
    text
}

/// Makes a table from a file's text: all of it or nothing. The default user succeeds that of
/// `before`, even if the file has none; all others are new, also those whose names existed. So the
/// connections of all but the default user end, as in Redis 7.0.
///
/// # Errors
/// What is wrong in which lines, as one line of text. ACL LOAD's reply begins with the code ERR
/// before it.
pub(crate) fn load(
    text: &[u8],
    file: &str,
    before: &Users,
    basis: &Basis<'_>,
) -> Result<Users, Vec<u8>> {
    let mut loader = Loader { file, basis, users: BTreeMap::new(), errors: Vec::new() };
    for (index, line) in visible(text).split(|&byte| byte == b'\n').enumerate() {
        loader.line(trimmed(line, b" \t\r\n"), index + 1);
    }
    let Loader { mut users, mut errors, .. } = loader;
    if !errors.is_empty() {
        errors.extend_from_slice(
            b"WARNING: ACL errors detected, no change to the previously active ACL rules was \
              performed",
        );
        return Err(errors);
    }
    let mut default =
        users.remove(b"default".as_slice()).unwrap_or_else(|| User::new_default(basis));
    default.succeed(before.default_user());
    Ok(Users::of(default, users))
}

struct Loader<'a> {
    file: &'a str,
    basis: &'a Basis<'a>,
    users: BTreeMap<Vec<u8>, User>,
    errors: Vec<u8>,
}

impl Loader<'_> {
    fn line(&mut self, line: &[u8], number: usize) {
        if line.is_empty() {
            return;
        }
        // Every space separates: two of them have an empty argument between them.
        let mut words = line.split(|&byte| byte == b' ');
        let place = format!("{}:{number}", self.file);
        let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
            let what = " should start with user keyword followed by the username. ";
            return self.complain(&[place.as_bytes(), what.as_bytes()]);
        };
        if has_spaces(name) {
            let what = b"' contains invalid characters. ";
            return self.complain(&[b"'", place.as_bytes(), b": username '", name, what]);
        }
        if self.users.contains_key(name) {
            let line = format!("' found on line {number}. ");
            return self.complain(&[b"WARNING: Duplicate user '", name, line.as_bytes()]);
        }
        let words: Vec<&[u8]> = words.collect();
        let mut user = User::new(name, self.basis);
        match merge_selectors(&words) {
            Ok(rules) => {
                let rules = rules.iter().map(|rule| trimmed(rule, b"\t\r\n"));
                self.apply(rules, &mut user, &place);
            }
            // Redis 7.0 crashes here if the line has any other rule.
            Err(_) => self
                .complain(&[place.as_bytes(), b": Unmatched parenthesis in selector definition."]),
        }
        self.users.insert(name.to_vec(), user);
    }

    /// Applies all rules. Complains of every unknown command, but of other mistakes only once, as
    /// the rest may follow from the first.
    fn apply<'r>(&mut self, rules: impl Iterator<Item = &'r [u8]>, user: &mut User, place: &str) {
        let mut complained = false;
        for rule in rules {
            let Err(error) = user.apply(rule, self.basis) else { continue };
            let text = error.text().as_bytes();
            if error == RuleError::UnknownCommand {
                let what = b": Error in applying operation '";
                self.complain(&[place.as_bytes(), what, until_nul(rule), b"': ", text, b". "]);
            } else if !complained {
                self.complain(&[place.as_bytes(), b": ", text, b". "]);
                complained = true;
            }
        }
    }

    fn complain(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.errors.extend_from_slice(part));
    }
}

/// The text as Redis sees it, which reads lines in pieces and takes each as a C string.
fn visible(text: &[u8]) -> Vec<u8> {
    if !text.contains(&0) {
        return text.to_vec();
    }
    let pieces = text.split_inclusive(|&byte| byte == b'\n');
    pieces.flat_map(|line| line.chunks(READ_BYTES)).flat_map(until_nul).copied().collect()
}

fn trimmed<'a>(mut text: &'a [u8], bytes: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = text
        && bytes.contains(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && bytes.contains(last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::commands::tests::Few;
    use super::super::rules::PubsubDefault;
    use super::*;

    fn loaded(text: &str) -> Result<String, String> {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        match load(text.as_bytes(), "f", &Users::new(&basis), &basis) {
            Ok(users) => Ok(String::from_utf8(save(&users, &commands)).unwrap()),
            Err(errors) => Err(String::from_utf8(errors).unwrap()),
        }
    }

    #[test]
    fn a_saved_file_loads_as_it_was() {
        let text = "user a off ~x resetchannels &y -@all +get (~z resetchannels -@all)\n\
                    user default on nopass ~* &* +@all\n";
        assert_eq!(loaded(text), Ok(text.to_owned()));
    }

    #[test]
    fn a_file_without_a_default_user_gets_one() {
        let default = "user default on nopass ~* &* +@all\n";
        assert_eq!(loaded(""), Ok(default.to_owned()));
        let text = "\n\t \nuser b  on\t\r\n";
        let user = "user b on resetchannels -@all\n";
        assert_eq!(loaded(text), Ok([user, default].concat()));
        assert_eq!(
            loaded("user default on"),
            Ok("user default on resetchannels -@all\n".to_owned())
        );
    }

    #[test]
    fn every_wrong_line_is_complained_of() {
        let text = "user a on\nuser a off\n\nfoo\nuser\nuser x +foo +bar zz zz\nuser y zz +foo\n#a\n\
                    user t\tt on\nuser p on (+get\nuser p2 (+get";
        let unknown = "Unknown command or category name in ACL";
        assert_eq!(
            loaded(text).unwrap_err(),
            format!(
                "WARNING: Duplicate user 'a' found on line 2. \
                 f:4 should start with user keyword followed by the username. \
                 f:5 should start with user keyword followed by the username. \
                 f:6: Error in applying operation '+foo': {unknown}. \
                 f:6: Error in applying operation '+bar': {unknown}. \
                 f:6: Syntax error. f:7: Syntax error. \
                 f:7: Error in applying operation '+foo': {unknown}. \
                 f:8 should start with user keyword followed by the username. \
                 'f:9: username 't\tt' contains invalid characters. \
                 f:10: Unmatched parenthesis in selector definition.\
                 f:11: Unmatched parenthesis in selector definition.\
                 WARNING: ACL errors detected, no change to the previously active ACL rules was \
                 performed"
            )
        );
    }

    #[test]
    fn only_the_default_user_survives_a_load() {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        let before = Users::new(&basis).with_rules(&basis, b"u", &[b"on"]).unwrap().users;
        let after = load(b"user u on", "f", &before, &basis).unwrap();
        assert!(after.current(before.default_user()).is_some());
        assert!(after.current(before.get(b"u").unwrap()).is_none());
    }

    #[test]
    fn a_zero_byte_hides_the_rest_of_its_line() {
        assert_eq!(visible(b"user a\0x\ny\n"), b"user ay\n");
        let long = [&[b'x'; 1022], b"\0z".as_slice(), b"y\n"].concat();
        assert_eq!(visible(&long), [&[b'x'; 1022], b"zy\n".as_slice()].concat());
    }
}
