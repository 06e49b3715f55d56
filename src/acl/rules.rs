//! Why a rule is refused, and how the arguments of ACL SETUSER become rules.

use std::borrow::Cow;

use super::Commands;
use crate::text::{is_space, split_words, until_nul};

/// What rules are read by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis<'a> {
    pub(crate) commands: &'a Commands,
    pub(crate) channels: PubsubDefault,
}

/// The channels of a new selector: the setting `acl-pubsub-default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PubsubDefault {
    AllChannels,
    ResetChannels,
}

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleError {
    UnknownCommand,
    Syntax,
    KeysAfterAll,
    ChannelsAfterAll,
    NoSuchPassword,
    BadHash,
    DuplicateUser,
    FirstArgOfSubcommand,
}

impl RuleError {
    /// Redis's text, without a code.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::UnknownCommand => "Unknown command or category name in ACL",
            Self::Syntax => "Syntax error",
            Self::KeysAfterAll => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and \
                 does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Self::ChannelsAfterAll => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and \
                 does not have any effect. Try 'resetchannels' to start with an empty list of \
                 channels"
            }
            Self::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Self::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters"
            }
            Self::DuplicateUser => {
                "Duplicate user found. A user can only be defined once in config files"
            }
            Self::FirstArgOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// Why ACL SETUSER fails; it has changed nothing then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetUserError {
    /// The user's name has spaces or zero bytes.
    Name,
    /// A selector that begins in this argument has no end.
    Unmatched(Vec<u8>),
    /// A rule is refused, for this reason.
    Rule(Vec<u8>, &'static str),
}

impl SetUserError {
    /// Code and text of the error, in Redis's words. Bytes of the client's stand in it, none of
    /// which is a line break.
    pub(crate) fn text(&self) -> Vec<u8> {
        let parts: [&[u8]; 4] = match self {
            Self::Name => [b"ERR Usernames can't contain spaces or null characters", b"", b"", b""],
            Self::Unmatched(start) => [
                b"ERR Unmatched parenthesis in acl selector starting at '",
                until_nul(start),
                b"'.",
                b"",
            ],
            Self::Rule(rule, reason) => {
                [b"ERR Error in ACL SETUSER modifier '", until_nul(rule), b"': ", reason.as_bytes()]
            }
        };
        one_line(parts.concat())
    }
}

/// Line breaks become spaces: an error is one line.
pub(super) fn one_line(mut text: Vec<u8>) -> Vec<u8> {
    text.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
    text
}

/// Whether a name or pattern has spaces or zero bytes, which would not survive in a file.
pub(super) fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|&byte| byte == 0 || is_space(byte))
}

/// Joins selectors that are spread over several arguments.
///
/// # Errors
/// The index of the argument in which a selector begins that has no end.
pub(super) fn merge_selectors<'a>(args: &[&'a [u8]]) -> Result<Vec<Cow<'a, [u8]>>, usize> {
    let mut merged = Vec::with_capacity(args.len());
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (index, &arg) in args.iter().enumerate() {
        let closes = arg.last() == Some(&b')');
        if arg.first() == Some(&b'(') && !closes {
            // A second beginning makes Redis forget the first.
            open = Some((index, arg.to_vec()));
        } else if let Some((start, mut selector)) = open.take() {
            selector.push(b' ');
            selector.extend_from_slice(until_nul(arg));
            if closes {
                merged.push(Cow::Owned(selector));
            } else {
                open = Some((start, selector));
            }
        } else {
            merged.push(Cow::Borrowed(arg));
        }
    }
    match open {
        Some((start, _)) => Err(start),
        None => Ok(merged),
    }
}

/// Splits the inside of a selector into rules, which may have quotes and escapes as in a
/// configuration file. `None` if quotes do not match.
pub(super) fn split_rules(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    split_words(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(args: &[&str]) -> Result<Vec<String>, usize> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let merged = merge_selectors(&args)?;
        Ok(merged.iter().map(|rule| String::from_utf8_lossy(rule).into_owned()).collect())
    }

    #[test]
    fn selectors_are_joined_across_arguments() {
        let ok = |args: &[&str], rules: &[&str]| {
            assert_eq!(merged(args), Ok(rules.iter().map(|rule| (*rule).to_owned()).collect()));
        };
        ok(&["on", "(~a", "+get", "&b)", "off"], &["on", "(~a +get &b)", "off"]);
        ok(&["(~a)", "()"], &["(~a)", "()"]);
        ok(&["(", "", "+get)"], &["(  +get)"]);
        ok(&["(+a", "(+b", "+c)"], &["(+b +c)"]);
        ok(&["(+a", "(+b)"], &["(+a (+b)"]);
        ok(&[")"], &[")"]);
        assert_eq!(merged(&["on", "(+a", "+b"]), Err(1));
        assert_eq!(merged(&["("]), Err(0));
    }

    #[test]
    fn the_inside_of_a_selector_has_quotes_and_escapes() {
        let split = |text: &str| split_rules(text.as_bytes());
        let rules =
            |rules: &[&str]| Some(rules.iter().map(|rule| rule.as_bytes().into()).collect());
        assert_eq!(split(" +get\t~a "), rules(&["+get", "~a"]));
        assert_eq!(split("~\"a\\x20\\n\\q\""), rules(&["~a \nq"]));
        assert_eq!(split("'~it\\'s' +x"), rules(&["~it's", "+x"]));
        assert_eq!(split("~a\u{b}b"), rules(&["~a\u{b}b"]));
        assert_eq!(split("+get\0+set"), rules(&["+get"]));
        assert_eq!(split(""), rules(&[]));
        assert_eq!(split("~\"a"), None);
        assert_eq!(split("~\"a\"b"), None);
    }

    #[test]
    fn an_error_is_one_line_and_ends_at_a_zero_byte() {
        let error = SetUserError::Rule(b"a\r\nb\0c".to_vec(), RuleError::Syntax.text());
        assert_eq!(error.text(), b"ERR Error in ACL SETUSER modifier 'a  b': Syntax error");
        let error = SetUserError::Unmatched(b"(a".to_vec());
        assert_eq!(error.text(), b"ERR Unmatched parenthesis in acl selector starting at '(a'.");
    }
}
