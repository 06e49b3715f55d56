//! The table of users: an immutable snapshot, of which each change makes another.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Commands;
use super::channels::Revoked;
use super::password::PasswordHash;
use super::rules::{Basis, SetUserError, has_spaces, merge_selectors};
use super::user::User;

/// All users by name. There is always a default user.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    default: Arc<User>,
    /// The default user too. In the order of bytes, as ACL LIST shows them.
    by_name: BTreeMap<Vec<u8>, Arc<User>>,
}

/// A table after ACL SETUSER.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) users: Users,
    pub(crate) user: Arc<User>,
    /// Which of the user's subscriptions end their connections.
    pub(crate) revoked: Option<Revoked>,
}

impl Users {
    /// Only a default user, which may do everything.
    pub(crate) fn new(basis: &Basis<'_>) -> Self {
        Self::of(User::new_default(basis), BTreeMap::new())
    }

    /// These users by name, and the default user.
    pub(super) fn of(default: User, others: BTreeMap<Vec<u8>, User>) -> Self {
        let others = others.into_iter().map(|(name, user)| (name, Arc::new(user)));
        let default = Arc::new(default);
        let mut users = Self { default: Arc::clone(&default), by_name: others.collect() };
        users.insert(default);
        users
    }

    /// The user of connections that have not authenticated.
    #[inline]
    pub(crate) fn default_user(&self) -> &Arc<User> {
        &self.default
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// All users in the order of ACL LIST and ACL USERS.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.by_name.values()
    }

    /// The lines of ACL LIST, which a rewritten configuration has too.
    pub(crate) fn lines(&self, commands: &Commands) -> Vec<Vec<u8>> {
        self.iter().map(|user| user.line(commands)).collect()
    }

    /// The state here of a user that a connection holds from an older table. `None` if it was
    /// deleted, also if another of its name was created since: then the connection ends.
    pub(crate) fn current(&self, held: &User) -> Option<&Arc<User>> {
        self.get(held.name()).filter(|user| user.is_same(held))
    }

    /// Whether a new connection must authenticate before it does anything.
    pub(crate) fn needs_authentication(&self) -> bool {
        !self.default.is_enabled() || !self.default.needs_no_password()
    }

    /// The user of these credentials, if they are right.
    pub(crate) fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<&Arc<User>> {
        // Whoever it is: the time that a long password takes must not tell who exists.
        let hash = std::hint::black_box(PasswordHash::of(password));
        self.get(name).filter(|user| user.accepts(&hash))
    }

    /// Creates a user or changes one: ACL SETUSER.
    ///
    /// # Errors
    /// The name or a rule is refused.
    pub(crate) fn with_rules(
        &self,
        basis: &Basis<'_>,
        name: &[u8],
        rules: &[&[u8]],
    ) -> Result<Changed, SetUserError> {
        if has_spaces(name) {
            return Err(SetUserError::Name);
        }
        let rules = merge_selectors(rules)
            .map_err(|start| SetUserError::Unmatched(rules[start].to_vec()))?;
        let old = self.get(name);
        let mut user = old.map_or_else(|| User::new(name, basis), |old| User::clone(old));
        for rule in rules {
            user.apply(&rule, basis)
                .map_err(|reason| SetUserError::Rule(rule.to_vec(), reason.text()))?;
        }
        let revoked = old.and_then(|old| Revoked::between(old, &user));
        let user = Arc::new(user);
        let mut users = self.clone();
        users.insert(Arc::clone(&user));
        Ok(Changed { users, user, revoked })
    }

    /// Deletes users: ACL DELUSER. Returns the rest and the number of those deleted.
    ///
    /// # Errors
    /// The default user is among them: code and text.
    pub(crate) fn without(&self, names: &[&[u8]]) -> Result<(Self, usize), &'static str> {
        if names.contains(&b"default".as_slice()) {
            return Err("ERR The 'default' user cannot be removed");
        }
        let mut users = self.clone();
        let deleted = names.iter().filter(|name| users.by_name.remove(**name).is_some()).count();
        Ok((users, deleted))
    }

    /// Sets the default user's only password, or that it needs none: the setting `requirepass`.
    #[must_use]
    pub(crate) fn with_password(&self, password: Option<&[u8]>) -> Self {
        let mut default = User::clone(&self.default);
        default.set_password(password);
        let mut users = self.clone();
        users.insert(Arc::new(default));
        users
    }

    /// Adds a user, or replaces the one of its name.
    pub(super) fn insert(&mut self, user: Arc<User>) {
        if user.name() == b"default" {
            self.default = Arc::clone(&user);
        }
        self.by_name.insert(user.name().to_vec(), user);
    }
}

/// Code and text of the error to AUTH with just a password when the default user needs none.
pub(crate) const NO_PASSWORD_SET: &str = "ERR AUTH <password> called without any password \
     configured for the default user. Are you sure your configuration is correct?";

/// Code and text of the error to wrong credentials.
pub(crate) const WRONG_PASSWORD: &str =
    "WRONGPASS invalid username-password pair or user is disabled.";

#[cfg(test)]
mod tests {
    use super::super::commands::tests::Few;
    use super::super::rules::PubsubDefault;
    use super::*;

    fn with(f: impl FnOnce(&Basis<'_>, Users)) {
        let commands = Commands::new(&Few::new());
        let basis = Basis { commands: &commands, channels: PubsubDefault::ResetChannels };
        f(&basis, Users::new(&basis));
    }

    fn set(users: &Users, basis: &Basis<'_>, name: &str, rules: &[&str]) -> Users {
        let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
        users.with_rules(basis, name.as_bytes(), &rules).unwrap().users
    }

    #[test]
    fn the_default_user_may_do_everything() {
        with(|basis, users| {
            assert_eq!(users.lines(basis.commands), [b"user default on nopass ~* &* +@all"]);
            assert!(users.default_user().is_unrestricted());
            assert!(!users.needs_authentication());
        });
    }

    #[test]
    fn a_refused_rule_changes_nothing() {
        with(|basis, users| {
            let error = users.with_rules(basis, b"u", &[b"on", b"+nope"]).unwrap_err();
            assert_eq!(
                error.text(),
                b"ERR Error in ACL SETUSER modifier '+nope': Unknown command or category name in ACL"
            );
            assert!(users.get(b"u").is_none());
            let error = users.with_rules(basis, b"a b", &[]).unwrap_err();
            assert_eq!(error.text(), b"ERR Usernames can't contain spaces or null characters");
        });
    }

    #[test]
    fn credentials_are_checked_by_user() {
        with(|basis, users| {
            let users = set(&users, basis, "u", &["on", ">one", ">two"]);
            let users = set(&users, basis, "off", &[">one"]);
            let users = set(&users, basis, "any", &["on", "nopass"]);
            let right = |name: &str, password: &str| {
                users.authenticate(name.as_bytes(), password.as_bytes()).is_some()
            };
            assert!(right("u", "one") && right("u", "two") && right("any", "x"));
            assert!(!right("u", "three") && !right("off", "one") && !right("nobody", "one"));
        });
    }

    #[test]
    fn requirepass_sets_the_default_user_s_only_password() {
        with(|basis, users| {
            let users = set(&users, basis, "default", &[">old"]);
            let users = users.with_password(Some(b"new"));
            assert!(users.needs_authentication());
            assert!(users.authenticate(b"default", b"new").is_some());
            assert!(users.authenticate(b"default", b"old").is_none());
            assert!(!users.with_password(None).needs_authentication());
        });
    }

    #[test]
    fn connections_follow_a_changed_user_and_lose_a_deleted_one() {
        with(|basis, users| {
            let users = set(&users, basis, "u", &["on"]);
            let held = Arc::clone(users.get(b"u").unwrap());
            let users = set(&users, basis, "u", &["off"]);
            assert!(!users.current(&held).unwrap().is_enabled());
            let (users, deleted) = users.without(&[b"u", b"u", b"nobody"]).unwrap();
            assert_eq!(deleted, 1);
            assert!(users.current(&held).is_none());
            let users = set(&users, basis, "u", &["on"]);
            assert!(users.current(&held).is_none());
            assert!(users.without(&[b"u", b"default"]).is_err());
        });
    }
}
