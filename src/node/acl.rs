//! The users in force, and ACL LOG.
//!
//! The table of users changes only under all the locks and with a new epoch of
//! [`Admission`](super::admission::Admission). A client holds its user; when it meets a new epoch it
//! asks for its user's successor ([`Client::follow`]), so that no command runs by outdated rules.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use super::Node;
use super::client::Client;
use super::pubsub::Kind;
use crate::acl::{self, Basis, ChannelKind, Commands, Happening, Log, Revoked, User, Users};
use crate::keyspace::Locked;
use crate::settings::{PubsubDefault, Security};

/// Users and their log.
#[derive(Debug)]
pub(crate) struct Acl {
    pub(crate) commands: &'static Commands,
    users: ArcSwap<Users>,
    log: Mutex<Log>,
}

/// What rules are read by under these settings.
pub(crate) fn basis<'c>(commands: &'c Commands, security: &Security) -> Basis<'c> {
    let channels = match security.acl_pubsub_default {
        PubsubDefault::AllChannels => acl::PubsubDefault::AllChannels,
        PubsubDefault::ResetChannels => acl::PubsubDefault::ResetChannels,
    };
    Basis { commands, channels }
}

impl Acl {
    /// Only a default user, with the password of the settings.
    pub(super) fn new(commands: &'static Commands, security: &Security) -> Self {
        let users = Users::new(&basis(commands, security));
        let password = security.requirepass.reveal().map(str::as_bytes);
        let users = ArcSwap::from_pointee(users.with_password(password));
        Self { commands, users, log: Mutex::default() }
    }

    pub(crate) fn users(&self) -> Guard<Arc<Users>> {
        self.users.load()
    }

    /// Sets the users that a server starts with: nobody is connected yet.
    pub(crate) fn begin_with(&self, users: Users) {
        self.users.store(Arc::new(users));
    }

    /// The log of denials and failed authentications.
    pub(crate) fn log(&self) -> parking_lot::MutexGuard<'_, Log> {
        self.log.lock()
    }
}

impl Node {
    /// Adds to ACL LOG.
    pub(crate) fn note_denial(&self, happening: Happening) {
        let now_ms = self.clock.unix_ms().unsigned_abs();
        let entries_max = self.settings.load().security.acl_log_len_max;
        let entries_max = usize::try_from(entries_max).unwrap_or(usize::MAX);
        self.acl.log().add(happening, now_ms, entries_max);
    }

    /// Puts another table of users in force. Ends the connections of users that are gone, and those of
    /// `changed` with subscriptions that it may no longer have. `own` is the client that changes them:
    /// it gets its reply first.
    pub(crate) fn change_users(
        &self,
        locked: &Locked<'_>,
        users: Users,
        changed: Option<(&User, &Revoked)>,
        own: &mut Client,
    ) {
        self.acl.users.store(Arc::new(users));
        self.admission.changed(locked);
        let users = self.acl.users();
        for handle in self.clients.all() {
            let user = handle.shown.lock().user.clone();
            let is_gone = user.is_some_and(|user| users.current(&user).is_none());
            if is_gone && handle.origin.id != own.handle.origin.id {
                handle.kill();
            }
        }
        if let Some((changed, revoked)) = changed {
            self.end_subscribers(changed, revoked, own);
        }
        own.follow(&self.acl, self.admission.epoch());
    }

    fn end_subscribers(&self, changed: &User, revoked: &Revoked, own: &Client) {
        self.pubsub.for_each(|kind, name, handle| {
            if handle.origin.id != own.handle.origin.id
                && revoked.ends(name, channel_kind(kind))
                && handle.shown.lock().user.as_ref().is_some_and(|user| user.is_same(changed))
            {
                handle.kill();
            }
        });
    }
}

/// How a subscription is matched with a user's patterns.
fn channel_kind(kind: Kind) -> ChannelKind {
    match kind {
        Kind::Channel | Kind::ShardChannel => ChannelKind::Plain,
        Kind::Pattern => ChannelKind::Pattern,
    }
}

impl Client {
    /// Takes its user's state of now, which holds from an epoch on. Closes the client if the user is
    /// gone, or may no longer have one of the client's subscriptions.
    #[cold]
    pub(crate) fn follow(&mut self, acl: &Acl, epoch: u64) {
        self.users_epoch = epoch;
        let Some(held) = self.user() else { return };
        let users = acl.users();
        match users.current(held) {
            Some(current) if Arc::ptr_eq(current, held) => {}
            Some(current) => {
                let revoked = Revoked::between(held, current);
                let ends = |kind, name: &[u8]| {
                    revoked.as_ref().is_some_and(|revoked| revoked.ends(name, channel_kind(kind)))
                };
                let closes = self.channels.iter().any(|name| ends(Kind::Channel, name))
                    || self.patterns.iter().any(|name| ends(Kind::Pattern, name))
                    || self.shard_channels.iter().any(|name| ends(Kind::ShardChannel, name));
                self.closing |= closes;
                self.become_user(Arc::clone(current), self.is_authenticated());
            }
            None => {
                let nobody = held.without_rights(acl.commands);
                self.closing = true;
                self.become_user(Arc::new(nobody), false);
            }
        }
    }

    /// Becomes the user of a connection that has not authenticated, who may need no password.
    pub(crate) fn become_default_user(&mut self, acl: &Acl) {
        let users = acl.users();
        let authenticated = !users.needs_authentication();
        self.become_user(Arc::clone(users.default_user()), authenticated);
    }
}
