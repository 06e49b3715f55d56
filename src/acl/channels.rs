//! Channels: where commands have them, and which subscriptions a changed user loses.

use super::user::User;
use crate::glob;

/// How a channel is matched with a user's patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelKind {
    /// A channel: some pattern matches it.
    Plain,
    /// A pattern of PSUBSCRIBE: some pattern equals it.
    Pattern,
}

/// Which arguments of a command are channels that need permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelPlaces {
    pub(crate) kind: ChannelKind,
    /// All from the first on, not just the first.
    pub(crate) all: bool,
}

impl ChannelPlaces {
    /// Those of a command, by its name in lower case. Commands that unsubscribe need no permission.
    pub(crate) fn of(command: &str) -> Option<Self> {
        let places = |kind, all| Some(Self { kind, all });
        match command {
            "subscribe" | "ssubscribe" => places(ChannelKind::Plain, true),
            "psubscribe" => places(ChannelKind::Pattern, true),
            "publish" | "spublish" => places(ChannelKind::Plain, false),
            _ => None,
        }
    }

    /// The indices of the channels among this many arguments, the command's name included.
    pub(crate) fn indices(self, args: usize) -> std::ops::Range<usize> {
        1..if self.all { args } else { args.min(2) }
    }
}

/// Whether a channel is permitted by these patterns.
pub(super) fn permitted(patterns: &[Vec<u8>], channel: &[u8], kind: ChannelKind) -> bool {
    patterns.iter().any(|pattern| match kind {
        ChannelKind::Plain => glob::matches(pattern, channel),
        // To the last byte: behind a zero byte, where Redis stops, a pattern could match more.
        ChannelKind::Pattern => pattern == channel,
    })
}

/// The channels left to a user that lost some. A connection of that user ends if it is in the
/// subscribed state and [`Revoked::ends`] any of its subscriptions: channels and shard channels as
/// [`ChannelKind::Plain`], patterns as [`ChannelKind::Pattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revoked {
    /// Of all selectors: here a subscription need not fit into one of them.
    left: Vec<Vec<u8>>,
}

impl Revoked {
    /// What a change leaves. `None` if the user had no channels, or has all of them now. That all former
    /// patterns remain is no such case, as in Redis: a connection may have subscribed as another user.
    pub(crate) fn between(old: &User, new: &User) -> Option<Self> {
        if new.all_selectors().any(|selector| selector.all_channels) {
            return None;
        }
        let left: Vec<Vec<u8>> =
            new.all_selectors().flat_map(|selector| selector.channels.iter().cloned()).collect();
        let had_none = old
            .all_selectors()
            .all(|selector| !selector.all_channels && selector.channels.is_empty());
        if had_none { None } else { Some(Self { left }) }
    }

    /// Whether a subscription is no longer permitted.
    pub(crate) fn ends(&self, channel: &[u8], kind: ChannelKind) -> bool {
        !permitted(&self.left, channel, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::commands::tests::Few;
    use super::super::rules::{Basis, PubsubDefault};
    use super::super::{Commands, Users};
    use super::*;

    #[test]
    fn a_pattern_is_compared_and_a_channel_is_matched() {
        let patterns = [b"news:*".to_vec()];
        let permitted = |channel: &[u8], kind| permitted(&patterns, channel, kind);
        assert!(permitted(b"news:it", ChannelKind::Plain));
        assert!(!permitted(b"news:it", ChannelKind::Pattern));
        assert!(permitted(b"news:*", ChannelKind::Pattern));
        assert!(!permitted(b"news:*\0*", ChannelKind::Pattern));
        assert!(!permitted(b"other", ChannelKind::Plain));
    }

    #[test]
    fn commands_have_channels_where_they_subscribe_or_publish() {
        let indices = |command, args| ChannelPlaces::of(command).map(|places| places.indices(args));
        assert_eq!(indices("subscribe", 4), Some(1..4));
        assert_eq!(indices("spublish", 3), Some(1..2));
        assert_eq!(indices("unsubscribe", 3), None);
    }

    #[test]
    fn subscriptions_end_when_a_user_with_channels_changes() {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        let revoked = |before: &[&str], after: &[&str]| {
            let rules = |rules: &[&str]| -> Vec<Vec<u8>> {
                rules.iter().map(|rule| rule.as_bytes().to_vec()).collect()
            };
            let set = |users: &Users, rules: &[Vec<u8>]| {
                let rules: Vec<&[u8]> = rules.iter().map(Vec::as_slice).collect();
                users.with_rules(&basis, b"u", &rules).unwrap()
            };
            let users = set(&Users::new(&basis), &rules(before)).users;
            set(&users, &rules(after)).revoked
        };
        assert_eq!(revoked(&["on"], &["&b"]), None);
        assert_eq!(revoked(&["&*"], &["allchannels"]), None);
        assert_eq!(revoked(&["&a"], &["(&*)", "resetchannels"]).map(|_| ()), None);
        for after in [&["&b"][..], &["resetchannels", "(&b)", "(&a)"]] {
            let revoked = revoked(&["&a"], after).unwrap();
            let ends =
                ["a", "b", "c"].map(|name| revoked.ends(name.as_bytes(), ChannelKind::Plain));
            assert_eq!(ends, [false, false, true]);
        }
        let revoked = revoked(&["&*"], &["resetchannels", "&a*"]).unwrap();
        assert!(!revoked.ends(b"ab", ChannelKind::Plain));
        assert!(revoked.ends(b"b", ChannelKind::Plain));
        assert!(revoked.ends(b"ab", ChannelKind::Pattern));
        assert!(!revoked.ends(b"a*", ChannelKind::Pattern));
    }
}
