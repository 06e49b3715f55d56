//! A handler's context: keys under the locks of its row, its client, and its reply.

use super::effects::{Change, Effects};
use super::random::Random;
use super::registry::Registry;
use super::{Args, Failure};
use crate::keyspace::{Content, Entry, EntryRef, Key, Keyspace, Locked};
use crate::node::Node;
use crate::node::client::{Client, Replied};
use crate::node::host::Within;
use crate::node::stats::WorkerStats;
use crate::resp::Output;
use crate::settings::{EventClasses, Settings};
use crate::types::listpack::Item;
use crate::types::{Encoding, Place, Remains, StringView, Type, Value, ValueRef};

/// The context of one command.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) node: &'a Node,
    pub(crate) registry: &'a Registry,
    pub(crate) settings: &'a Settings,
    pub(crate) client: &'a mut Client,
    pub(crate) keys: Keys<'a>,
    pub(crate) reply: &'a mut Output,
    pub(crate) random: &'a mut Random,
}

/// The keys of the selected database, for a command.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) locked: Locked<'a>,
    pub(crate) database: usize,
    /// Unix milliseconds; the same for all the commands of a batch.
    pub(crate) now_ms: i64,
    /// Reads count as accesses.
    pub(crate) touch: bool,
    pub(crate) expired: Expired,
    pub(crate) stats: &'a WorkerStats,
    pub(crate) effects: &'a mut Effects,
}

/// How to treat expired keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Remove them on access.
    Remove,
    /// Hide them while clients are paused, remove them later.
    Defer,
    /// Hide them until the master deletes them.
    Hide,
    /// Treat them as live: the command comes from the master, which still has them.
    Ignore,
}

impl Expired {
    /// Whether this node expires keys, now or later.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Remove | Self::Defer)
    }
}

impl<'a> Keys<'a> {
    /// The argument at `index` as a key.
    #[inline]
    pub(crate) fn at<'b>(&self, args: &Args<'b>, index: usize) -> Key<'b> {
        args.key(self.locked.keyspace(), index)
    }

    pub(crate) fn key<'b>(&self, bytes: &'b [u8]) -> Key<'b> {
        self.locked.key(bytes)
    }

    pub(crate) fn keyspace(&self) -> &'a Keyspace {
        self.locked.keyspace()
    }

    /// Whether an expiry lies in the past.
    #[inline]
    pub(crate) fn is_past(&self, expire_at_ms: i64) -> bool {
        expire_at_ms < self.now_ms && self.expired != Expired::Ignore
    }

    /// Whether a key with this expiry would expire at once. False where this node only hides
    /// expired keys: another node decides when they go.
    pub(crate) fn is_elapsed(&self, expire_at_ms: i64) -> bool {
        self.expired.is_ours() && expire_at_ms <= self.now_ms
    }

    /// Removes the key if it has expired, or hides it where this node must not remove it. Returns
    /// the access bits of a live key, so that the caller can decide on a touch before it looks up
    /// the entry.
    #[inline]
    fn alive(&mut self, database: usize, key: Key<'_>) -> Option<u32> {
        let entry = self.locked.get(database, key)?;
        match entry.expire_at_ms() {
            Some(at) if self.is_past(at) => {
                if self.expired == Expired::Remove {
                    self.remove_expired(database, key);
                }
                None
            }
            _ => Some(entry.access()),
        }
    }

    /// Removes a key that has expired.
    #[cold]
    pub(crate) fn remove_expired(&mut self, database: usize, key: Key<'_>) {
        self.locked.remove(database, key);
        self.stats.expired_keys.add(1);
        self.effects.expired(&mut self.locked, database, key);
    }

    /// Removes expired keys found by a scan: at once if the command holds their shards' locks
    /// throughout, else after the command, each under its own lock.
    pub(crate) fn met_expired(&mut self, expired: Vec<Box<[u8]>>) {
        if self.expired != Expired::Remove {
            return;
        }
        for bytes in expired {
            let key = self.key(&bytes);
            if self.locked.set().contains(key.shard()) {
                self.has(key);
            } else {
                self.effects.met_expired.push((self.database, bytes));
            }
        }
    }

    /// The entry of a key that the command reads. Counts as hit or miss, and as an access.
    #[inline]
    pub(crate) fn read(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let access = self.found(key)?;
        if self.touch {
            self.touch(self.database, key, access);
        }
        self.locked.get(self.database, key)
    }

    /// Like [`Keys::read`], but without access or miss event: for commands about keys themselves.
    pub(crate) fn inspect(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let found = self.alive(self.database, key).is_some();
        let counter = if found { &self.stats.keyspace_hits } else { &self.stats.keyspace_misses };
        counter.add(1);
        if found { self.locked.get(self.database, key) } else { None }
    }

    /// Like [`Keys::read`], but not counted as an access.
    pub(crate) fn peek(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.found(key)?;
        self.locked.get(self.database, key)
    }

    #[inline]
    fn found(&mut self, key: Key<'_>) -> Option<u32> {
        let found = self.alive(self.database, key);
        if found.is_some() {
            self.stats.keyspace_hits.add(1);
        } else {
            self.stats.keyspace_misses.add(1);
            self.effects.event(self.database, key, EventClasses::KEY_MISS, "keymiss");
        }
        found
    }

    /// The entry of a key that the command is about to change. An access, but neither hit nor miss.
    #[inline]
    pub(crate) fn write(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let access = self.alive(self.database, key)?;
        self.touch_to_write(self.database, key, access);
        self.locked.get(self.database, key)
    }

    /// Whether a key that the command is about to overwrite or remove exists. Counts neither as hit
    /// or miss nor as an access.
    #[inline]
    pub(crate) fn has(&mut self, key: Key<'_>) -> bool {
        self.alive(self.database, key).is_some()
    }

    /// Whether an existing key prevents the command from proceeding. Counts as an access, not as
    /// hit or miss.
    pub(crate) fn is_taken(&mut self, key: Key<'_>) -> bool {
        self.is_taken_in(self.database, key)
    }

    /// The same in another database.
    pub(crate) fn is_taken_in(&mut self, database: usize, key: Key<'_>) -> bool {
        let access = self.alive(database, key);
        if let Some(access) = access {
            self.touch_to_write(database, key, access);
        }
        access.is_some()
    }

    /// The value of a key that the command reads, which must be of a type.
    ///
    /// # Errors
    /// [`Failure::WrongType`] for a value of another type; likewise below.
    #[inline]
    pub(crate) fn read_of(
        &mut self,
        key: Key<'_>,
        kind: Type,
    ) -> Result<Option<ValueRef<'_>>, Failure> {
        match self.read(key) {
            Some(entry) if entry.encoding().kind() != kind => Err(Failure::WrongType),
            Some(entry) => Ok(Some(entry.value())),
            None => Ok(None),
        }
    }

    /// The value of a key that the command is about to change, which must be of a type.
    #[inline]
    pub(crate) fn write_of(
        &mut self,
        key: Key<'_>,
        kind: Type,
    ) -> Result<Option<ValueRef<'_>>, Failure> {
        match self.write(key) {
            Some(entry) if entry.encoding().kind() != kind => Err(Failure::WrongType),
            Some(entry) => Ok(Some(entry.value())),
            None => Ok(None),
        }
    }

    /// The string of a key that the command reads.
    #[inline]
    pub(crate) fn read_string(&mut self, key: Key<'_>) -> Result<Option<StringView<'_>>, Failure> {
        self.read(key).map(|entry| entry.value().string().ok_or(Failure::WrongType)).transpose()
    }

    /// The string of a key that the command is about to change.
    #[inline]
    pub(crate) fn write_string(&mut self, key: Key<'_>) -> Result<Option<StringView<'_>>, Failure> {
        self.write(key).map(|entry| entry.value().string().ok_or(Failure::WrongType)).transpose()
    }

    /// Looks at a key that this command has found alive by another method: several can be looked at
    /// together. Counts nothing.
    #[inline]
    pub(crate) fn look(&self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.locked.get(self.database, key)
    }

    /// Changes a collection in its place; `None` if the key is missing. The key stays even if
    /// nothing is left in it: see [`Keys::shrunk`].
    pub(crate) fn update<R>(
        &mut self,
        key: Key<'_>,
        kind: Type,
        change: impl FnOnce(&mut dyn Place) -> R,
    ) -> Result<Option<R>, Failure> {
        let found = self.write_of(key, kind)?.is_some();
        Ok(found.then(|| self.edit(key, change)))
    }

    /// Changes a collection in its place, or makes one, beginning with `empty`. A new one that
    /// stays empty is not stored.
    pub(crate) fn upsert<R>(
        &mut self,
        key: Key<'_>,
        empty: Encoding,
        change: impl FnOnce(&mut dyn Place) -> R,
    ) -> Result<R, Failure> {
        if self.write_of(key, empty.kind())?.is_some() {
            return Ok(self.edit(key, change));
        }
        let mut value = Value::empty(empty);
        let result = change(&mut value);
        if !value.view().is_empty_collection() {
            self.store_owned(key, value, None);
        }
        Ok(result)
    }

    /// Changes the value of a key that was found alive.
    pub(crate) fn edit<R>(&mut self, key: Key<'_>, change: impl FnOnce(&mut dyn Place) -> R) -> R {
        let mut editor =
            self.locked.edit(self.database, key).expect("found alive under the same lock");
        if cfg!(debug_assertions) {
            let before = editor.fingerprint();
            let result = change(&mut editor);
            self.effects.modified |= editor.fingerprint() != before;
            return result;
        }
        change(&mut editor)
    }

    /// The same for an owned value.
    pub(crate) fn store_owned(&mut self, key: Key<'_>, value: Value, expire_at_ms: Option<i64>) {
        Content::with(value, |content| self.store(key, content, expire_at_ms));
    }

    /// Makes a key hold the result of a command: `value` without expiry, or nothing if that is
    /// empty. Records the change by the event `name`, or `del` where a key was removed.
    pub(crate) fn store_result(
        &mut self,
        key: Key<'_>,
        value: Value,
        class: EventClasses,
        name: &'static str,
    ) {
        let was_there = self.has(key);
        if !value.view().is_empty_collection() {
            self.store_owned(key, value, None);
            self.changed(key, class, name);
        } else if was_there {
            self.remove(key);
            self.changed(key, EventClasses::GENERIC, "del");
        }
    }

    /// Records that elements were removed from a collection, by the event `name` of a class. A
    /// collection with none left is removed: the one place where that happens.
    pub(crate) fn shrunk(&mut self, key: Key<'_>, class: EventClasses, name: &'static str) {
        self.changed(key, class, name);
        self.remove_if_empty(key);
    }

    /// The second half of [`Keys::shrunk`], for commands that reply between the two events.
    pub(crate) fn remove_if_empty(&mut self, key: Key<'_>) {
        if self.look(key).is_some_and(|entry| entry.value().is_empty_collection()) {
            self.remove(key);
            self.event(key, EventClasses::GENERIC, "del");
        }
    }

    /// Sets a key's value and expiry, replacing both.
    #[inline]
    pub(crate) fn store(&mut self, key: Key<'_>, content: Content<'_>, expire_at_ms: Option<i64>) {
        self.effects.modified = true;
        if self.store_stamped(key, content, expire_at_ms) {
            self.added(self.database, key);
        }
    }

    /// Sets a key's value; keeps its expiry.
    pub(crate) fn store_value(&mut self, key: Key<'_>, content: Content<'_>) {
        self.store(key, content, self.expire_at_ms(key));
    }

    /// Removes a key that was found alive; false if it is missing.
    pub(crate) fn remove(&mut self, key: Key<'_>) -> bool {
        self.remove_in(self.database, key)
    }

    /// The same in another database.
    pub(crate) fn remove_in(&mut self, database: usize, key: Key<'_>) -> bool {
        let removed = self.locked.remove(database, key);
        self.effects.modified |= removed;
        removed
    }

    /// Takes a key's entry out, for [`Keys::put_in`].
    pub(crate) fn take(&mut self, key: Key<'_>) -> Option<Entry> {
        self.effects.modified = true;
        self.locked.take(self.database, key)
    }

    /// Puts an entry under a key that the database does not have.
    pub(crate) fn put_in(
        &mut self,
        database: usize,
        key: Key<'_>,
        entry: Entry,
        expire_at_ms: Option<i64>,
    ) {
        self.effects.modified = true;
        self.locked.put(database, key, entry, expire_at_ms);
        self.added(database, key);
    }

    /// Notes that a database has a key that it did not have.
    #[inline]
    fn added(&mut self, database: usize, key: Key<'_>) {
        if self.locked.has_interests(key.shard()) && self.locked.is_awaited(database, key) {
            self.effects.ready(database, key.bytes, Change::Added);
        }
        self.effects.event(database, key, EventClasses::NEW, "new");
    }

    /// The expiry of a key that was found alive.
    pub(crate) fn expire_at_ms(&self, key: Key<'_>) -> Option<i64> {
        self.locked.get(self.database, key).and_then(EntryRef::expire_at_ms)
    }

    /// Sets or removes the expiry of a key.
    pub(crate) fn set_expiry(&mut self, key: Key<'_>, expire_at_ms: Option<i64>) {
        self.effects.modified = true;
        self.locked.set_expiry(self.database, key, expire_at_ms);
    }

    /// Records a change of what is no key.
    pub(crate) fn changed_no_key(&mut self) {
        self.effects.dirty += 1;
    }

    /// Records a change of a key: counts it, marks watchers and queues the event `name` of a class.
    #[inline]
    pub(crate) fn changed(&mut self, key: Key<'_>, class: EventClasses, name: &'static str) {
        self.effects.changed(&mut self.locked, self.database, key, class, name);
    }

    /// The same in another database.
    pub(crate) fn changed_in(
        &mut self,
        database: usize,
        key: Key<'_>,
        class: EventClasses,
        name: &'static str,
    ) {
        self.effects.changed(&mut self.locked, database, key, class, name);
    }

    /// Records a change of a key that raises no event.
    pub(crate) fn changed_silently(&mut self, key: Key<'_>) {
        self.effects.dirty += 1;
        self.effects.touched(&mut self.locked, self.database, key);
    }

    /// Records another changed key as part of a change that is already counted.
    pub(crate) fn changed_too(
        &mut self,
        database: usize,
        key: Key<'_>,
        class: EventClasses,
        name: &'static str,
    ) {
        self.effects.touched(&mut self.locked, database, key);
        self.effects.event(database, key, class, name);
    }

    /// Records a change that cannot be what somebody waits for.
    pub(crate) fn changed_for_nobody(
        &mut self,
        key: Key<'_>,
        class: EventClasses,
        name: &'static str,
    ) {
        self.effects.dirty += 1;
        self.effects.touched_for_nobody(&mut self.locked, self.database, key);
        self.event(key, class, name);
    }

    /// Looks again at a key for which somebody may wait, though its value did not change.
    pub(crate) fn look_at_waiters(&mut self, key: Key<'_>) {
        if self.locked.has_interests(key.shard()) && self.locked.is_awaited(self.database, key) {
            self.effects.ready(self.database, key.bytes, Change::Other);
        }
    }

    /// Frees what a change took out of a value, after the locks are released.
    pub(crate) fn bury(&mut self, remains: Remains) {
        self.locked.bury(remains);
    }

    /// Looks again at all the keys of a database for which somebody waits; needs all the locks.
    pub(crate) fn awaited_changed(&mut self, database: usize) {
        for key in self.locked.awaited_keys(database) {
            self.effects.ready(database, &key, Change::Added);
        }
    }

    /// Tells clients that nothing in their caches is valid any more, whatever databases were flushed,
    /// as in Redis; needs all the locks.
    pub(crate) fn invalidate_caches(&mut self, node: &Node) {
        self.locked.untrack_all();
        if node.tracking.tell_of_flush(&node.clients, self.effects.runner) {
            self.effects.own_invalid.push(None);
        }
    }

    /// Adds an event to a change that is already counted.
    pub(crate) fn event(&mut self, key: Key<'_>, class: EventClasses, name: &'static str) {
        self.effects.event(self.database, key, class, name);
    }

    /// Counts changes to whole databases, or changes that no key represents.
    pub(crate) fn changed_much(&mut self, count: u64) {
        self.effects.dirty += count;
    }

    /// Logs these commands instead of the one that the client sent.
    pub(crate) fn log_instead(&mut self, commands: &[&[&[u8]]]) {
        if self.effects.logging {
            let owned = |command: &&[&[u8]]| command.iter().map(|arg| Box::from(*arg)).collect();
            self.effects.log_instead(commands.iter().map(owned).collect());
        }
    }

    /// Whether the log has readers: what goes into it need not be made otherwise.
    pub(crate) fn is_logging(&self) -> bool {
        self.effects.logging
    }

    /// Like [`Keys::log_instead`], for commands that are made here; none are logged if empty.
    pub(crate) fn log_commands(&mut self, commands: Vec<Vec<Box<[u8]>>>) {
        self.effects.log_instead(commands);
    }

    /// Keeps the command's changes to this server: they are neither counted nor logged.
    pub(crate) fn keep_to_ourselves(&mut self) {
        self.effects.modified = false;
    }

    /// Logs the command although no key changed.
    pub(crate) fn log_always(&mut self) {
        self.effects.log_always();
    }

    /// What the command logs is for replicas alone: it changes no key.
    pub(crate) fn log_for_replicas(&mut self) {
        self.effects.log_for_replicas();
    }
}

impl Context<'_> {
    /// Where the command runs.
    pub(crate) fn within(&self) -> Within {
        if self.client.in_exec.is_some() { Within::Transaction } else { Within::Nothing }
    }

    /// Writes a string as a bulk reply.
    #[inline]
    pub(crate) fn reply_string(reply: &mut Output, string: StringView<'_>) {
        match string {
            StringView::Int(value) => reply.bulk_integer(value),
            StringView::Bytes(bytes) => reply.bulk(bytes),
            StringView::Chunks(chunks) => reply.bulk_shared(chunks.len(), chunks.shared()),
        }
    }

    /// Writes an element of a collection as a bulk reply.
    #[inline]
    pub(crate) fn reply_item(reply: &mut Output, item: Item<'_>) {
        match item {
            Item::Int(value) => reply.bulk_integer(value),
            Item::Bytes(bytes) => reply.bulk(bytes),
        }
    }

    /// Places the reply so far before the messages of later events, if the client itself gets them;
    /// otherwise all events of a command come before its reply. This is Redis's order: it sends an
    /// event where the command raises it.
    #[inline]
    pub(crate) fn replied_before_events(&mut self) {
        if self.client.is_subscribed() {
            let events = self.keys.effects.told.len();
            self.client.replied = Some(Replied { events, reply_end: self.reply.bookmark() });
        }
    }

    /// Parses an argument as an integer.
    ///
    /// # Errors
    /// [`Failure::NotInteger`] unless it is one in canonical form.
    pub(crate) fn integer(arg: &[u8]) -> Result<i64, Failure> {
        crate::number::parse_i64(arg).ok_or(Failure::NotInteger)
    }

    /// Parses an argument as a count, 0 or more.
    ///
    /// # Errors
    /// [`Failure::NotPositive`] unless it is one.
    pub(crate) fn count(arg: &[u8]) -> Result<usize, Failure> {
        let count = crate::number::parse_i64(arg).and_then(|count| usize::try_from(count).ok());
        count.ok_or(Failure::NotPositive)
    }

    /// Parses an argument as the index of a database, as COPY and MOVE take it.
    ///
    /// # Errors
    /// [`Failure::NotInteger`], [`Failure::NotInInt`], or [`Failure::DbOutOfRange`].
    pub(crate) fn database(&self, arg: &[u8]) -> Result<usize, Failure> {
        let index = i32::try_from(Self::integer(arg)?).map_err(|_| Failure::NotInInt)?;
        let index = usize::try_from(index).ok();
        index.filter(|&i| i < self.keys.keyspace().databases()).ok_or(Failure::DbOutOfRange)
    }

    /// Hides the argument at `index` from the slow log: it is a password or similar.
    pub(crate) fn redact(&mut self, index: usize) {
        self.keys.effects.redacted.push(index);
    }
}
