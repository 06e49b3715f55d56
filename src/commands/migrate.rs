//! MIGRATE: sends keys to another server and removes them here.
//!
//! The socket's work happens elsewhere, without locks, while the client waits: see
//! [`node::migration`](crate::node::migration). So a key may change on its way. Then it stays here,
//! and the client is told: in Redis, which stands still meanwhile, none can.

use std::sync::Arc;

use super::command::{Begin, Find, Group::Generic, KeyPlaces, at_least, command, key_range};
use super::{Args, Category, Command, Context, Failure, Flag::*, Handled, KeyFlag, KeyFlag::*};
use crate::node::client::{Waiting, WaitsFor};
use crate::node::migration::{Credentials, MigratedKey, Migration, Options, Route};
use crate::rdb;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("MIGRATE", migrate, at_least(6), &[Write, MovableKeys], KEYS, Generic)
        .categories(&[Category::Keyspace, Category::Dangerous])
        .tips(&["nondeterministic_output"])
        .docs("2.6.0", "O(N) in the size of the values",
            "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key [key ...]]",
            "Sends keys to another server, and removes them here."),
];

const MOVED: &[KeyFlag] = &[Rw, Access, Delete];
const KEYS: KeyPlaces = key_range(MOVED, 3, 0, 1)
    .and(
        &[Rw, Access, Delete, Incomplete],
        Begin::Keyword { word: "KEYS", from: -2 },
        Find::Range { last: -1, step: 1, limit: 0 },
    )
    .found_by(find_keys);

/// For a timeout of 0 or below.
const TIMEOUT_MS_DEFAULT: i64 = 1000;

fn find_keys(args: &Args<'_>, each: &mut dyn FnMut(usize, &'static [KeyFlag])) {
    let mut index = 6;
    while index < args.len() {
        if args.is(index, "KEYS") {
            if args.at(3).is_empty() {
                (index + 1..args.len()).for_each(|key| each(key, MOVED));
            }
            return;
        }
        index += match () {
            () if args.is(index, "AUTH") => 2,
            () if args.is(index, "AUTH2") => 3,
            () => 1,
        };
    }
    if args.len() > 3 {
        each(3, MOVED);
    }
}

/// What follows the timeout.
#[derive(Debug, Default)]
struct Tail {
    options: Options,
    credentials: Option<Credentials>,
    /// Where the keys begin, if they are many.
    keys_at: Option<usize>,
}

impl Tail {
    fn parse(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Self, Failure> {
        let mut tail = Self::default();
        let mut index = 6;
        while index < args.len() {
            let more = args.len() - 1 - index;
            if args.is(index, "COPY") {
                tail.options.copy = true;
            } else if args.is(index, "REPLACE") {
                tail.options.replace = true;
            } else if args.is(index, "AUTH") && more >= 1 {
                ctx.redact(index + 1);
                // A user named before stays.
                let user = tail.credentials.and_then(|credentials| credentials.user);
                let password = args.at(index + 1).into();
                tail.credentials = Some(Credentials { user, password });
                index += 1;
            } else if args.is(index, "AUTH2") && more >= 2 {
                (1..=2).for_each(|offset| ctx.redact(index + offset));
                let (user, password) = (args.at(index + 1).into(), args.at(index + 2).into());
                tail.credentials = Some(Credentials { user: Some(user), password });
                index += 2;
            } else if args.is(index, "KEYS") {
                if !args.at(3).is_empty() {
                    return Err(Failure::err(
                        "When using MIGRATE KEYS option, the key argument must be set to the empty \
                         string",
                    ));
                }
                tail.keys_at = Some(index + 1);
                break;
            } else {
                return Err(Failure::Syntax);
            }
            index += 1;
        }
        Ok(tail)
    }
}

fn migrate(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let tail = Tail::parse(ctx, args)?;
    let timeout_ms = Context::integer(args.at(5))?;
    let database_there = Context::integer(args.at(4))?;
    let timeout_ms = if timeout_ms <= 0 { TIMEOUT_MS_DEFAULT } else { timeout_ms };
    if ctx.client.in_exec.is_some() {
        return Err(Failure::err("MIGRATE waits for another server, which a transaction cannot"));
    }
    let keys = match tail.keys_at {
        Some(first) => dumped(ctx, args, first..args.len(), tail.options),
        None => dumped(ctx, args, 3..4, tail.options),
    };
    if keys.is_empty() {
        ctx.reply.simple("NOKEY");
        return Ok(());
    }
    let route = Route {
        host: args.at(1).into(),
        port: args.at(2).into(),
        timeout_ms: timeout_ms.unsigned_abs(),
        credentials: tail.credentials,
        options: tail.options,
        database: ctx.keys.database,
        database_there,
    };
    let migration = Arc::new(Migration::new(route, keys, Arc::clone(&ctx.client.handle)));
    ctx.client.waiting = Some(Waiting {
        what: WaitsFor::Migration(Arc::clone(&migration)),
        deadline_ms: None,
        generation: ctx.node.replication.generation(),
        began_nanos: ctx.node.clock.nanos(),
    });
    ctx.client.unpublished = true;
    ctx.node.host().migrate(migration);
    Ok(())
}

/// Dumps the keys that are there. Those that are to be removed are watched from now on.
fn dumped(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    places: std::ops::Range<usize>,
    options: Options,
) -> Vec<MigratedKey> {
    let (database, now_ms) = (ctx.keys.database, ctx.keys.now_ms);
    let mut keys: Vec<MigratedKey> = Vec::new();
    for index in places {
        let key = ctx.keys.at(args, index);
        let Some(entry) = ctx.keys.read(key) else { continue };
        let ttl_ms = entry.expire_at_ms().map_or(0, |at| (at - now_ms).max(1));
        let payload = rdb::dump(entry.value());
        let mark = Default::default();
        if !options.copy {
            ctx.keys.locked.watch(database, key, &mark, true);
        }
        keys.push(MigratedKey { name: key.bytes.into(), ttl_ms, payload, mark });
    }
    keys
}
