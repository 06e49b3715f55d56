//! A user: who may authenticate as it, and what it may do.

use std::sync::Arc;

use super::Commands;
use super::password::PasswordHash;
use super::rules::{Basis, PubsubDefault, RuleError, split_rules};
use super::selector::Selector;
use crate::text::until_nul;

/// How payloads of RESTORE by this user are to be checked, if the user says so. They always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sanitize {
    Skip,
    Deeply,
}

/// A user. Immutable once published: a change makes a successor, which shares the name's
/// allocation and is recognised by that.
#[derive(Clone, Debug)]
pub(crate) struct User {
    name: Arc<[u8]>,
    pub(super) enabled: bool,
    pub(super) nopass: bool,
    pub(super) sanitize: Option<Sanitize>,
    pub(super) passwords: Vec<PasswordHash>,
    pub(super) root: Selector,
    pub(super) selectors: Vec<Selector>,
    /// One selector permits everything: the check's fast path.
    unrestricted: bool,
}

impl User {
    /// A user as ACL SETUSER without rules makes it: disabled and without permissions.
    pub(super) fn new(name: &[u8], basis: &Basis<'_>) -> Self {
        Self {
            name: name.into(),
            enabled: false,
            nopass: false,
            sanitize: None,
            passwords: Vec::new(),
            root: Selector::new(basis),
            selectors: Vec::new(),
            unrestricted: false,
        }
    }

    /// The default user of a new server, which may do everything.
    pub(super) fn new_default(basis: &Basis<'_>) -> Self {
        let mut user = Self::new(b"default", basis);
        for rule in ["+@all", "~*", "&*", "on", "nopass"] {
            user.apply(rule.as_bytes(), basis).expect("rules of the server's own");
        }
        user
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether one can authenticate as this user.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether any password, or none, will do.
    pub(crate) fn needs_no_password(&self) -> bool {
        self.nopass
    }

    /// Whether every command with every key and channel is permitted.
    #[inline]
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.unrestricted
    }

    /// Whether both are states of one user: a user that was deleted and created again is another.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.name, &other.name)
    }

    /// What is left of a user that was deleted: its name, without any right.
    pub(crate) fn without_rights(&self, commands: &Commands) -> Self {
        let basis = Basis { commands, channels: PubsubDefault::ResetChannels };
        Self::new(self.name(), &basis)
    }

    /// Becomes a successor of `other`, whatever this one was.
    pub(super) fn succeed(&mut self, other: &Self) {
        self.name = Arc::clone(&other.name);
    }

    pub(super) fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Whether this user may authenticate with a password of this hash.
    pub(super) fn accepts(&self, hash: &PasswordHash) -> bool {
        self.enabled && (self.nopass || hash.is_among(&self.passwords))
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// The rule is refused and changes nothing.
    pub(super) fn apply(&mut self, rule: &[u8], basis: &Basis<'_>) -> Result<(), RuleError> {
        if rule.is_empty() {
            return Ok(());
        }
        match until_nul(rule).to_ascii_lowercase().as_slice() {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"skip-sanitize-payload" => self.sanitize = Some(Sanitize::Skip),
            b"sanitize-payload" => self.sanitize = Some(Sanitize::Deeply),
            b"nopass" => self.reset_passwords(true),
            b"resetpass" => self.reset_passwords(false),
            b"clearselectors" => self.selectors.clear(),
            b"reset" => self.reset(basis),
            _ => self.apply_other(rule, basis)?,
        }
        let unrestricted = self.all_selectors().any(Selector::is_unrestricted);
        self.unrestricted = unrestricted;
        Ok(())
    }

    fn apply_other(&mut self, rule: &[u8], basis: &Basis<'_>) -> Result<(), RuleError> {
        match rule {
            [b'>', password @ ..] => self.add_password(PasswordHash::of(password)),
            [b'#', hash @ ..] => self.add_password(PasswordHash::read(hash)?),
            [b'<', password @ ..] => self.remove_password(PasswordHash::of(password))?,
            [b'!', hash @ ..] => self.remove_password(PasswordHash::read(hash)?)?,
            [b'(', inside @ .., b')'] => {
                let mut selector = Selector::new(basis);
                // As in Redis, a selector whose quotes do not match is an empty one.
                for rule in split_rules(inside).unwrap_or_default() {
                    selector.apply(&rule, basis.commands)?;
                }
                self.selectors.push(selector);
            }
            _ => self.root.apply(rule, basis.commands)?,
        }
        Ok(())
    }

    fn reset_passwords(&mut self, nopass: bool) {
        self.nopass = nopass;
        self.passwords.clear();
    }

    fn add_password(&mut self, hash: PasswordHash) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.nopass = false;
    }

    fn remove_password(&mut self, hash: PasswordHash) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| *known == hash);
        self.passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// The state of a new user, except that payloads are sanitized.
    fn reset(&mut self, basis: &Basis<'_>) {
        self.reset_passwords(false);
        self.enabled = false;
        self.sanitize = Some(Sanitize::Deeply);
        self.selectors.clear();
        self.root = Selector::new(basis);
    }

    /// Sets the only password, or that none is needed: the setting `requirepass`.
    pub(super) fn set_password(&mut self, password: Option<&[u8]>) {
        self.reset_passwords(password.is_none());
        if let Some(password) = password {
            self.add_password(PasswordHash::of(password));
        }
    }
}
