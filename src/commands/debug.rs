//! DEBUG: for Redis's test suite and its tools. Requires enable-debug-command.

pub(crate) mod digest;
mod faults;
mod packing;
mod reload;
mod tables;

use std::sync::atomic::{AtomicBool, Ordering};

use super::command::{Group::Server, Locks, NO_KEYS, at_least, command};
use super::{Args, Command, Context, Failure, Flag::*, Handled, Keys, access_clock};
use crate::glob;
use crate::keyspace::Content;
use crate::keyspace::access::idle_s;
use crate::node::Node;
use crate::node::client_memory::{self, Bucket};
use crate::rdb;
use crate::resp::{Output, Protocol};
use crate::settings::Rewrite;
use crate::telemetry::log::log;
use crate::text::until_nul;

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
    "AOF-FLUSH-SLEEP <microsec>",
    "    Server will sleep before flushing the AOF, this is used for testing.",
    "ASSERT",
    "    Crash by assertion failed.",
    "CHANGE-REPL-ID",
    "    Change the replication IDs of the instance.",
    "    Dangerous: should be used only for testing the replication subsystem.",
    "CONFIG-REWRITE-FORCE-ALL",
    "    Like CONFIG REWRITE but writes all configuration options, including",
    "    keywords not listed in original configuration file or default values.",
    "DIGEST",
    "    Output a hex signature representing the current DB content.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Output a hex signature of the values of all the specified keys.",
    "ERROR <string>",
    "    Return a Redis protocol error with <string> as message. Useful for clients",
    "    unit tests to simulate Redis errors.",
    "LEAK <string>",
    "    Create a memory leak of the input string.",
    "LOG <message>",
    "    Write <message> to the server log.",
    "LOADAOF",
    "    Flush the AOF buffers on disk and reload the AOF in memory.",
    "REPLICATE <string>",
    "    Replicates the provided string to replicas, allowing data divergence.",
    "OBJECT <key>",
    "    Show low level info about `key` and associated value.",
    "OOM",
    "    Crash the server simulating an out-of-memory error.",
    "PANIC",
    "    Crash the server simulating a panic.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create <count> string keys named key:<num>. If <prefix> is specified then",
    "    it is used instead of the 'key' prefix. These are not propagated to",
    "    replicas. Cluster slots are not respected so keys not belonging to the",
    "    current node can be created in cluster mode.",
    "PROTOCOL <type>",
    "    Reply with a test value of the specified type. <type> can be: string,",
    "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
    "    true, false.",
    "RELOAD [option ...]",
    "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
    "    * MERGE: conflicting keys will be loaded from RDB.",
    "    * NOFLUSH: the existing database will not be removed before load, but",
    "      conflicting keys will generate an exception and kill the server.",
    "    * NOSAVE: the database will be loaded from an existing RDB file.",
    "    Examples:",
    "    * DEBUG RELOAD: verify that the server is able to persist, flush and reload",
    "      the database.",
    "    * DEBUG RELOAD NOSAVE: replace the current database with the contents of an",
    "      existing RDB file.",
    "    * DEBUG RELOAD NOSAVE NOFLUSH MERGE: add the contents of an existing RDB",
    "      file to the database.",
    "SEGFAULT",
    "    Crash the server with sigsegv.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Setting it to 0 disables expiring keys in background when they are not",
    "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
    "    default.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Sets the threshold for elements to be inserted as plain vs packed nodes",
    "    Default value is 1GB, allows values up to 4GB. Setting to 0 restores to default.",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    "    Enables or disables checksum checks for RDB files and RESTORE's payload.",
    "SLEEP <seconds>",
    "    Stop the server for <seconds>. Decimals allowed.",
    "STRINGMATCH-TEST",
    "    Run a fuzz tester against the stringmatchlen() function.",
    "LISTPACK <key>",
    "    Show low level info about the listpack encoding of <key>.",
    "QUICKLIST <key> [<0|1>]",
    "    Show low level info about the quicklist encoding of <key>.",
    "    The optional argument (0 by default) sets the level of detail",
    "CLIENT-EVICTION",
    "    Show low level client eviction pools info (maxmemory-clients).",
    "PAUSE-CRON <0|1>",
    "    Stop periodic cron job processing.",
    "REPLYBUFFER PEAK-RESET-TIME <NEVER||RESET|time>",
    "    Sets the time (in milliseconds) to wait between client reply buffer peak resets.",
    "    In case NEVER is provided the last observed peak will never be reset",
    "    In case RESET is provided the peak reset time will be restored to the default value",
    "REPLYBUFFER RESIZING <0|1>",
    "    Enable or disable the reply buffer resize cron job",
];

fn debug(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let access = ctx.settings.security.enable_debug_command;
    ctx.check_access(access, "DEBUG", "enable-debug-command")?;
    match (args.at(1).to_ascii_uppercase().as_slice(), args.len()) {
        (b"HELP", 2) => ctx.reply_help(args, HELP),
        (b"SLEEP", 3) => sleep(ctx, args.at(2)),
        (b"OBJECT", 3) => return object(ctx, args),
        (b"LISTPACK", 3) => return packing::listpack(ctx, args),
        (b"QUICKLIST", 3..=4) => return packing::quicklist(ctx, args),
        (b"HTSTATS", 3) => return tables::of_database(ctx, args),
        (b"HTSTATS-KEY", 3) => return tables::of_key(ctx, args),
        (b"QUICKLIST-PACKED-THRESHOLD", 3) => return packing::set_threshold(ctx, args),
        (b"RELOAD", _) => return reload::reload(ctx, args),
        (b"CLIENT-EVICTION", 2) => return client_eviction(ctx),
        (b"AOF-FLUSH-SLEEP", 3) => {
            let delay_us = u64::try_from(Context::integer(args.at(2))?).unwrap_or(0);
            ctx.node.file_delay_us.store(delay_us, Ordering::Relaxed);
            ctx.reply.ok();
        }
        (b"LOADAOF", 2) => return reload::load_file(ctx),
        (b"DIGEST", 2) => {
            let digest = digest::of_all_data(ctx);
            ctx.reply.simple(&digest);
        }
        (b"DIGEST-VALUE", 2..) => digest::of_values(ctx, args),
        (b"SET-ACTIVE-EXPIRE", 3) => switch(ctx, |node| &node.sweeping, args),
        (b"SET-SKIP-CHECKSUM-VALIDATION", 3) => switch(ctx, |node| &node.restores_unchecked, args),
        (b"CHANGE-REPL-ID", 2) => {
            ctx.node.log.begin_history(ctx.node.host().new_id());
            ctx.reply.ok();
        }
        (b"ASSERT" | b"OOM" | b"PANIC" | b"SEGFAULT", _) => return faults::crash(ctx, args),
        (b"LEAK", 3) => faults::leak(ctx, args.at(2)),
        (b"ERROR", 3) => return faults::error(args.at(2)),
        (b"LOG", 3) => {
            log!(Warning, "DEBUG LOG: {}", String::from_utf8_lossy(until_nul(args.at(2))));
            ctx.reply.ok();
        }
        (b"REPLICATE", 3..) => replicate(ctx, args),
        (b"SET-DISABLE-DENY-SCRIPTS", 3) => switch(ctx, |node| &node.scripts.allows_all, args),
        (b"PAUSE-CRON", 3) => pause_cron(ctx, args),
        (b"REPLYBUFFER", 4) => return reply_buffer(args).map(|()| ctx.reply.ok()),
        (b"CONFIG-REWRITE-FORCE-ALL", 2) => {
            let written = ctx.node.host().rewrite_settings(Rewrite::All);
            let failed = |reason| format!("CONFIG-REWRITE-FORCE-ALL failed: {reason}");
            written.map_err(|reason| Failure::err(failed(reason)))?;
            ctx.reply.ok();
        }
        (b"CLUSTERLINK", 5) if args.is(2, "KILL") => {
            let text = "Debug option only available for cluster mode enabled setup!";
            return Err(Failure::err(text));
        }
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

/// Sets a switch of the server.
fn switch(ctx: &mut Context<'_>, of: fn(&Node) -> &AtomicBool, args: &Args<'_>) {
    of(ctx.node).store(is_on(args.at(2)), Ordering::Relaxed);
    ctx.reply.ok();
}

/// Stops periodic work, or lets it go on: with the shutdown that a signal has asked for meanwhile.
fn pause_cron(ctx: &mut Context<'_>, args: &Args<'_>) {
    switch(ctx, |node| &node.cron_paused, args);
    if !is_on(args.at(2))
        && let Some(how) = ctx.node.shutdown.take_put_off()
        && let Err(error) = ctx.node.begin_shutdown(&mut ctx.keys.locked, how)
    {
        log!(Warning, "Errors trying to shut down the server: {error}");
    }
}

/// Checks what Redis takes for its clients' reply buffers. Here clients have none whose size could
/// change: so none does, whatever is set.
fn reply_buffer(args: &Args<'_>) -> Handled {
    if args.is(2, "RESIZING") {
        return Ok(());
    }
    if !args.is(2, "PEAK-RESET-TIME") {
        let sent = args.at(1).to_vec();
        return Err(Failure::UnknownSubcommandOrArity { sent, container: "DEBUG" });
    }
    if !args.is(3, "NEVER") && !args.is(3, "RESET") {
        Context::integer(args.at(3))?;
    }
    Ok(())
}

/// How many clients of which sizes there are.
fn client_eviction(ctx: &mut Context<'_>) -> Handled {
    let buckets = ctx.node.client_buckets();
    let buckets = buckets.ok_or_else(|| Failure::err("maxmemory-clients is disabled."))?;
    let last = buckets.len() - 1;
    let line = |(index, bucket): (usize, &Bucket)| {
        let (from, beyond) = client_memory::bucket_bounds(index);
        let Bucket { clients, bytes } = bucket;
        let to = match index == last {
            true => "+            : ".to_owned(),
            false => format!(" - {:>10}: ", beyond - 1),
        };
        format!("bucket {from:>10}{to}tot-mem: {bytes:>10}, clients: {clients}\n")
    };
    let text: String = buckets.iter().enumerate().map(line).collect();
    ctx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// Sends a command to the replicas alone.
fn replicate(ctx: &mut Context<'_>, args: &Args<'_>) {
    let command: Vec<&[u8]> = args.from(2).collect();
    ctx.keys.log_instead(&[&command]);
    ctx.keys.log_for_replicas();
    ctx.reply.ok();
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
    let entry = ctx.keys.locked.get(ctx.keys.database, key).ok_or(Failure::NoSuchKey)?;
    let encoding = entry.encoding().name();
    // Without the type byte and the footer that DUMP adds to the value.
    let serialized = rdb::dump(entry.value()).len().saturating_sub(11);
    let idle = idle_s(entry.access(), access_clock(ctx.keys.now_ms));
    let refcount = super::object::reference_count(entry, &ctx.settings.memory);
    let text = format!(
        "Value at:{:p} refcount:{refcount} encoding:{encoding} serializedlength:{serialized} lru:{} \
         lru_seconds_idle:{idle}{}",
        entry.key().as_ptr(),
        entry.access() & 0xff_ffff,
        entry.value().list().map(packing::summary).unwrap_or_default(),
    );
    ctx.reply.simple(&text);
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
        if let Some(size) = size.filter(|&size| size > 0) {
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
