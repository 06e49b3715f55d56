//! DEBUG: for Redis's test suite and its tools. Requires enable-debug-command.

pub(crate) mod digest;
mod packing;

use std::sync::atomic::Ordering;

use super::command::{Group::Server, Locks, NO_KEYS, at_least, command};
use super::{Args, Command, Context, Failure, Flag::*, Handled, Keys};
use crate::glob;
use crate::keyspace::{Content, EntryRef};
use crate::rdb;
use crate::resp::{Output, Protocol};
use crate::settings::LocalAccess;

pub(super) const COMMANDS: &[Command] =
    &[command("DEBUG", debug, at_least(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Server)
        .locking(Locks::All)
        .docs(
            "1.0.0",
            "Depends on the subcommand",
            "subcommand [argument ...]",
            "Looks into the server and disturbs it, for tests.",
        )];

const HELP: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CHANGE-REPL-ID",
    "    Begin a new history of replication: replicas will need all the data again.",
    "DIGEST",
    "    A hash of all the data, 40 hexadecimal digits.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Such a hash of each key's value.",
    "LISTPACK <key>",
    "    Log the elements of <key>'s value, if it is kept as a listpack.",
    "OBJECT <key>",
    "    How the value of <key> is kept.",
    "PANIC",
    "    End the process as an error in it would: by a panic.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Make <count> strings named key:<number>, or <prefix>:<number>.",
    "PROTOCOL <type>",
    "    A reply of this type: string, integer, double, bignum, null, array, set, map, attrib,",
    "    push, verbatim, true or false.",
    "QUICKLIST <key> [<0|1>]",
    "    Log the nodes of the list <key>; with 1 their elements, too.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    From which length a list's element stands alone in its node, below 4 GB; with 0 from 1 GB.",
    "RELOAD [NOSAVE]",
    "    Save the data and load it again; with NOSAVE load the file there is.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Whether expired keys are removed that nobody asks for.",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    "    Whether RESTORE takes payloads whatever their checksum.",
    "SLEEP <seconds>",
    "    Stand still for so long. Decimals allowed.",
    "STRINGMATCH-TEST",
    "    Match random texts with random glob patterns.",
    "HELP",
    "    This text.",
];

fn debug(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    check_allowed(ctx)?;
    match (args.at(1).to_ascii_uppercase().as_slice(), args.len()) {
        (b"HELP", 2) => {
            ctx.reply.array(HELP.len());
            HELP.iter().for_each(|line| ctx.reply.simple(line));
        }
        (b"SLEEP", 3) => sleep(ctx, args.at(2)),
        (b"OBJECT", 3) => return object(ctx, args),
        (b"LISTPACK", 3) => return packing::listpack(ctx, args),
        (b"QUICKLIST", 3..=4) => return packing::quicklist(ctx, args),
        (b"QUICKLIST-PACKED-THRESHOLD", 3) => return packing::set_threshold(ctx, args),
        (b"RELOAD", _) => return reload(ctx, args),
        (b"DIGEST", 2) => {
            let digest = digest::of_all_data(ctx);
            ctx.reply.simple(&digest);
        }
        (b"DIGEST-VALUE", 2..) => digest::of_values(ctx, args),
        (b"SET-ACTIVE-EXPIRE", 3) => {
            ctx.node.sweeping.store(is_on(args.at(2)), Ordering::Relaxed);
            ctx.reply.ok();
        }
        (b"SET-SKIP-CHECKSUM-VALIDATION", 3) => {
            ctx.node.restores_unchecked.store(is_on(args.at(2)), Ordering::Relaxed);
            ctx.reply.ok();
        }
        (b"CHANGE-REPL-ID", 2) => {
            ctx.node.log.begin_history(ctx.node.host().new_id());
            ctx.reply.ok();
        }
        (b"PANIC", 2) => panic!("DEBUG PANIC asked for it"),
        (b"POPULATE", 3..=5) => return populate(ctx, args),
        (b"PROTOCOL", 3) => return protocol(ctx, args.at(2)),
        (b"STRINGMATCH-TEST", 2) => string_match_test(ctx),
        _ => {
            let sent = args.at(1).to_vec();
            return Err(Failure::UnknownSubcommandOrArity { sent, container: "DEBUG" });
        }
    }
    Ok(())
}

fn check_allowed(ctx: &Context<'_>) -> Handled {
    match ctx.node.settings.load().security.enable_debug_command {
        LocalAccess::Yes => Ok(()),
        LocalAccess::Local if ctx.client.handle.origin.is_local() => Ok(()),
        _ => Err(Failure::err(
            "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
             you can run it from a local connection, otherwise you need to set this option in the \
             configuration file, and then restart the server.",
        )),
    }
}

/// Parses a switch like C's `atoi`: off if the digits give 0 or there are none, else on.
fn is_on(arg: &[u8]) -> bool {
    let arg = arg.trim_ascii_start();
    let digits = arg.strip_prefix(b"-").or_else(|| arg.strip_prefix(b"+")).unwrap_or(arg);
    digits.iter().take_while(|byte| byte.is_ascii_digit()).any(|&digit| digit != b'0')
}

/// Blocks the whole server, since the command holds all locks.
fn sleep(ctx: &mut Context<'_>, seconds: &[u8]) {
    let seconds: f64 =
        std::str::from_utf8(seconds).ok().and_then(|s| s.parse().ok()).unwrap_or(0.0);
    ctx.node.clock.sleep_ms((seconds.max(0.0) * 1000.0) as u64);
    ctx.reply.ok();
}

fn object(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let key = ctx.keys.at(args, 2);
    let clock = (ctx.keys.now_ms / 1000) as u32;
    let entry = ctx.keys.locked.get(ctx.keys.database, key).ok_or(Failure::NoSuchKey)?;
    let encoding = entry.encoding().name();
    // Without the type byte and the footer that DUMP adds to the value.
    let serialized = rdb::dump(entry.value()).len().saturating_sub(11);
    let idle = clock.saturating_sub(entry.accessed_s());
    let refcount = super::object::reference_count(entry);
    let text = format!(
        "Value at:{:p} refcount:{refcount} encoding:{encoding} serializedlength:{serialized} lru:{} \
         lru_seconds_idle:{idle}{}",
        entry.key().as_ptr(),
        entry.accessed_s() & 0xff_ffff,
        entry.value().list().map(packing::summary).unwrap_or_default(),
    );
    ctx.reply.simple(&text);
    Ok(())
}

fn reload(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let mut save = true;
    for arg in args.from(2) {
        if arg.eq_ignore_ascii_case(b"NOSAVE") {
            save = false;
        } else {
            return Err(Failure::err("DEBUG RELOAD only supports the option NOSAVE."));
        }
    }
    if ctx.node.persistence.get().running.is_some() {
        return Err(Failure::err("Background save already in progress"));
    }
    // Reloaded keys count as changed.
    let now_ms = ctx.keys.now_ms;
    for database in 0..ctx.node.keyspace.databases() {
        let alive = |entry: EntryRef<'_>| entry.expire_at_ms().is_none_or(|at| at >= now_ms);
        ctx.keys.locked.mark_watchers_of_database(database, &[database], alive);
    }
    ctx.node.host().reload(&mut ctx.keys.locked, save).map_err(|reason| {
        Failure::err(format_args!("Error trying to load the RDB dump, check server logs: {reason}"))
    })?;
    ctx.keys.invalidate_caches(ctx.node);
    ctx.reply.ok();
    Ok(())
}

/// One value of each type, the same as Redis's.
fn protocol(ctx: &mut Context<'_>, kind: &[u8]) -> Handled {
    let reply = &mut *ctx.reply;
    let numbers = |reply: &mut Output| (0..3).for_each(|number| reply.integer(number));
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(b"3.141"),
        b"bignum" => reply.big_number(b"1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            numbers(reply);
        }
        b"set" => {
            reply.set(3);
            numbers(reply);
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            if reply.protocol == Protocol::Resp3 {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if reply.protocol == Protocol::Resp2 {
                return Err(Failure::err("RESP2 is not supported by this command"));
            }
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => reply.verbatim(b"txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => {
            return Err(Failure::err(
                "Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

fn populate(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let count = Context::integer(args.at(2))?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map(Context::integer).transpose()?;
    if count < 0 || size.is_some_and(|size| size < 0) {
        return Err(Failure::Other("ERR value is out of range, must be positive".into()));
    }
    let bytes_max = ctx.node.settings.load().clients.proto_max_bulk_len_bytes;
    if size.is_some_and(|size| size.unsigned_abs() > bytes_max) {
        return Err(Failure::StringTooLong);
    }
    for number in 0..count {
        let name = [prefix, format!(":{number}").as_bytes()].concat();
        let key = ctx.keys.key(&name);
        if ctx.keys.locked.get(ctx.keys.database, key).is_some() {
            continue;
        }
        let mut value = format!("value:{number}").into_bytes();
        if let Some(size) = size {
            value.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
        }
        store_populated(&mut ctx.keys, key, &value);
    }
    ctx.reply.ok();
    Ok(())
}

/// Not logged: DEBUG POPULATE affects this server only.
fn store_populated(keys: &mut Keys<'_>, key: crate::keyspace::Key<'_>, value: &[u8]) {
    keys.store(key, Content::unencoded(value), None);
    keys.keep_to_ourselves();
}

/// Matches random patterns; passes if it neither hangs nor crashes.
fn string_match_test(ctx: &mut Context<'_>) {
    const CYCLES: usize = 100_000;
    const ALPHABET: &[u8] = b"ab*?[]^-\\";
    let text = |random: &mut super::Random| -> Vec<u8> {
        let len = random.next() % 32;
        (0..len).map(|_| ALPHABET[(random.next() % ALPHABET.len() as u64) as usize]).collect()
    };
    let matched = (0..CYCLES)
        .filter(|_| {
            let (pattern, subject) = (text(ctx.random), text(ctx.random));
            glob::matches(&pattern, &subject)
        })
        .count();
    debug_assert!(matched <= CYCLES);
    ctx.reply.simple("Apparently Redis did not crash: test passed");
}
