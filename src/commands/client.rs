//! CLIENT: inspects and controls connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::command::{Group::Connection, Locks, NO_KEYS, at_least, command, container, exactly};
use super::connection::{DEFAULT_USER, is_printable, set_name};
use super::registry::Registry;
use super::{Args, Command, Context, Failure, Flag::*, Handled, c_string};
use crate::node::Node;
use crate::node::client::{Client, Handle, ReplyMode, Shown};
use crate::number::parse_i64;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[container("CLIENT", SUBCOMMANDS, Connection)
    .docs("2.4.0", "Depends on the subcommand", "", "Tells of connections and steers them.")];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("GETNAME", getname, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("2.6.9", "O(1)", "", "Gives the connection's name."),
    command("HELP", help, exactly(2), &[Loading, Stale], NO_KEYS, Connection)
        .docs("5.0.0", "O(1)", "", "Tells of the subcommands."),
    command("ID", id, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("5.0.0", "O(1)", "", "Gives the connection's number, which no other ever had."),
    command("INFO", info, exactly(2), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .tips(&["nondeterministic_output"])
        .docs("6.2.0", "O(1)", "", "Tells of this connection."),
    command("KILL", kill, at_least(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("2.4.0", "O(N) in the number of connections", "<ip:port | <[ID client-id] [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME yes/no]>>", "Ends connections."),
    command("LIST", list, at_least(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .tips(&["nondeterministic_output"])
        .docs("2.4.0", "O(N) in the number of connections", "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]", "Tells of all connections, or of some."),
    command("NO-EVICT", no_evict, exactly(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("7.0.0", "O(1)", "<ON | OFF>", "Keeps the connection when others are closed to save memory."),
    command("NO-TOUCH", no_touch, exactly(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("7.2.0", "O(1)", "<ON | OFF>", "Has the connection's commands not count as accesses of their keys."),
    command("PAUSE", pause, at_least(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .locking(Locks::All)
        .docs("2.9.50", "O(1)", "timeout [WRITE | ALL]", "Holds back commands for some milliseconds: all, or those that write."),
    command("REPLY", reply, exactly(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("3.2.0", "O(1)", "<ON | OFF | SKIP>", "Has the connection get replies, none, or not the next one."),
    command("SETINFO", setinfo, exactly(4), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("7.2.0", "O(1)", "<LIB-NAME libname | LIB-VER libver>", "Says which library the client uses."),
    command("SETNAME", setname, exactly(3), &[NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("2.6.9", "O(1)", "connection-name", "Names the connection."),
    command("UNBLOCK", unblock, at_least(3), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .docs("5.0.0", "O(1)", "client-id [TIMEOUT | ERROR]", "Ends the wait of a client that waits in a command."),
    command("UNPAUSE", unpause, exactly(2), &[Admin, NoScript, Loading, Stale], NO_KEYS, Connection)
        .locking(Locks::All)
        .docs("6.2.0", "O(N) in the number of clients held back", "", "Ends a pause."),
];

const HELP: &[&str] = &[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
];

/// The client types that CLIENT KILL and CLIENT LIST distinguish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Normal,
    PubSub,
    Replica,
    Master,
}

impl Type {
    fn named(name: &[u8]) -> Result<Self, Failure> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"pubsub" => Ok(Self::PubSub),
            b"slave" | b"replica" => Ok(Self::Replica),
            b"master" => Ok(Self::Master),
            _ => Err(Failure::Bytes([b"ERR Unknown client type '", c_string(name), b"'"].concat())),
        }
    }

    fn of(shown: &Shown) -> Self {
        match shown {
            Shown { master: true, .. } => Self::Master,
            Shown { replica: true, .. } => Self::Replica,
            _ if shown.subscriptions() > 0 => Self::PubSub,
            _ => Self::Normal,
        }
    }
}

/// Publishes the client's state now; otherwise that happens only at the end of the batch.
fn note_activity(ctx: &mut Context<'_>) {
    ctx.client.publish();
    ctx.client.handle.active_ms.store(ctx.keys.now_ms, Ordering::Relaxed);
}

/// Clients that are not being killed.
fn present(ctx: &mut Context<'_>) -> Vec<Arc<Handle>> {
    note_activity(ctx);
    let mut all = ctx.node.clients.all();
    all.retain(|handle| !handle.is_killed());
    all
}

/// The lines of clients. That of the one that asks counts the request, which is still being executed.
fn lines(ctx: &Context<'_>, args: &Args<'_>, clients: &[Arc<Handle>]) -> Vec<u8> {
    let input = &ctx.client.handle.input_bytes;
    let waiting = input.load(Ordering::Relaxed);
    input.store(waiting + args.request_bytes(), Ordering::Relaxed);
    let lines: Vec<Vec<u8>> =
        clients.iter().map(|handle| line(ctx.node, ctx.registry, handle)).collect();
    input.store(waiting, Ordering::Relaxed);
    lines.concat()
}

/// A client's line in CLIENT LIST, in the format of Redis 7.0 with the library fields of 7.2.
fn line(node: &Node, registry: &Registry, handle: &Arc<Handle>) -> Vec<u8> {
    let now_ms = node.clock.unix_ms();
    let seconds_since = |at_ms: i64| (now_ms - at_ms).max(0) / 1000;
    let origin = &handle.origin;
    let shown = handle.shown.lock();
    let load = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::Relaxed);
    let (input, output) = (load(&handle.input_bytes), load(&handle.output_bytes));
    let (queued, queued_bytes) =
        shown.multi.map_or((-1, 0), |(queued, bytes)| (queued.cast_signed(), bytes));
    let own = size_of::<Handle>() + size_of::<Client>() + shown.name.len();
    let command = load(&handle.last_command).checked_sub(1);
    let command = command.map_or("NULL", |id| registry.by_id(id).name.as_str());
    let mut line = format!("id={} addr={}", origin.id, origin.address).into_bytes();
    line.extend(format!(" laddr={} fd={} name=", origin.local_address, origin.fd).bytes());
    line.extend_from_slice(&shown.name);
    let fields = format!(
        " age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={queued} qbuf={input} \
         qbuf-free=0 argv-mem=0 multi-mem={queued_bytes} rbs=0 rbp=0 obl=0 oll={} omem={output} \
         tot-mem={} events={} cmd={command} user=default redir=-1 resp={} lib-name=",
        seconds_since(origin.connected_ms),
        seconds_since(handle.active_ms.load(Ordering::Relaxed)),
        flags(node, handle, &shown),
        shown.database,
        shown.channels,
        shown.patterns,
        shown.shard_channels,
        load(&handle.output_pieces),
        own + input + output + queued_bytes,
        if output > 0 { "rw" } else { "r" },
        shown.protocol.version(),
    );
    line.extend(fields.bytes());
    line.extend_from_slice(&shown.library_name);
    line.extend_from_slice(b" lib-ver=");
    line.extend_from_slice(&shown.library_version);
    line.push(b'\n');
    line
}

/// The flag letters of CLIENT LIST.
fn flags(node: &Node, handle: &Arc<Handle>, shown: &Shown) -> String {
    let letters = [
        ('S', shown.replica),
        ('M', shown.master),
        ('P', shown.subscriptions() > 0),
        ('x', shown.multi.is_some()),
        ('b', shown.waiting || node.admission.is_waiting(handle)),
        ('d', handle.watch_mark.load(Ordering::Relaxed)),
        ('c', shown.closing),
        ('U', handle.origin.unix_socket),
        ('e', shown.no_evict),
        ('T', shown.no_touch),
    ];
    let set: String = letters.iter().filter(|(_, set)| *set).map(|(letter, _)| *letter).collect();
    if set.is_empty() { "N".into() } else { set }
}

fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    note_command(ctx, b"client|list");
    let clients = if args.len() == 4 && args.is(2, "TYPE") {
        let wanted = Type::named(args.at(3))?;
        let mut clients = present(ctx);
        clients.retain(|handle| Type::of(&handle.shown.lock()) == wanted);
        clients
    } else if args.len() > 3 && args.is(2, "ID") {
        let ids: Option<Vec<i64>> = args.from(3).map(parse_i64).collect();
        let ids = ids.ok_or_else(|| Failure::err("Invalid client ID"))?;
        note_activity(ctx);
        let with = |id| ctx.node.clients.get(u64::try_from(id).ok()?);
        ids.into_iter().filter_map(with).filter(|handle| !handle.is_killed()).collect()
    } else if args.len() == 2 {
        present(ctx)
    } else {
        return Err(Failure::Syntax);
    };
    let lines = lines(ctx, args, &clients);
    ctx.reply.verbatim(b"txt", &lines);
    Ok(())
}

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    note_command(ctx, b"client|info");
    note_activity(ctx);
    let line = lines(ctx, args, &[Arc::clone(&ctx.client.handle)]);
    ctx.reply.verbatim(b"txt", &line);
    Ok(())
}

/// Records the running command as its client's last one. Within a transaction that is EXEC.
fn note_command(ctx: &Context<'_>, name: &[u8]) {
    let name = if ctx.client.in_exec.is_some() { b"exec" } else { name };
    if let Some(registered) = ctx.registry.find_row(name) {
        ctx.client.handle.last_command.store(registered.id + 1, Ordering::Relaxed);
    }
}

/// Which clients CLIENT KILL selects.
#[derive(Default)]
struct Filter<'a> {
    id: Option<i64>,
    kind: Option<Type>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    skip_me: bool,
}

impl<'a> Filter<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, Failure> {
        if args.len() == 3 {
            // The old form lets clients kill themselves.
            return Ok(Self { address: Some(args.at(2)), ..Self::default() });
        }
        let mut filter = Self { skip_me: true, ..Self::default() };
        let mut at = 2;
        while at < args.len() {
            let Some(value) = args.get(at + 1) else { return Err(Failure::Syntax) };
            match args.at(at).to_ascii_uppercase().as_slice() {
                b"ID" => {
                    let id = parse_i64(value).filter(|&id| id > 0);
                    let wrong = || Failure::err("client-id should be greater than 0");
                    filter.id = Some(id.ok_or_else(wrong)?);
                }
                b"TYPE" => filter.kind = Some(Type::named(value)?),
                b"ADDR" => filter.address = Some(value),
                b"LADDR" => filter.local_address = Some(value),
                b"USER" if value == DEFAULT_USER => {}
                b"USER" => {
                    let text = [b"ERR No such user '", c_string(value), b"'"];
                    return Err(Failure::Bytes(text.concat()));
                }
                b"SKIPME" => filter.skip_me = yes_or_no(value, "YES", "NO")?,
                _ => return Err(Failure::Syntax),
            }
            at += 2;
        }
        Ok(filter)
    }

    fn means(&self, handle: &Handle) -> bool {
        let origin = &handle.origin;
        self.address.is_none_or(|address| address == origin.address.as_bytes())
            && self.local_address.is_none_or(|address| address == origin.local_address.as_bytes())
            && self.kind.is_none_or(|kind| kind == Type::of(&handle.shown.lock()))
            && self.id.is_none_or(|id| id == origin.id.cast_signed())
    }
}

fn kill(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let filter = Filter::parse(args)?;
    let mut killed = 0;
    let mut me = false;
    for handle in present(ctx) {
        let is_me = Arc::ptr_eq(&handle, &ctx.client.handle);
        if !filter.means(&handle) || is_me && filter.skip_me {
            continue;
        }
        if is_me {
            me = true;
        } else {
            handle.kill();
        }
        killed += 1;
    }
    if args.len() > 3 {
        ctx.reply.integer(killed);
    } else if killed == 0 {
        return Err(Failure::err("No such client"));
    } else {
        ctx.reply.ok();
    }
    if me {
        ctx.client.closing = true;
    }
    Ok(())
}

/// True for the word `yes`, false for `no`; any other argument is an error.
fn yes_or_no(arg: &[u8], yes: &str, no: &str) -> Result<bool, Failure> {
    if arg.eq_ignore_ascii_case(yes.as_bytes()) {
        Ok(true)
    } else if arg.eq_ignore_ascii_case(no.as_bytes()) {
        Ok(false)
    } else {
        Err(Failure::Syntax)
    }
}

fn id(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.reply.integer(ctx.client.handle.origin.id.cast_signed());
    Ok(())
}

fn getname(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    let shown = ctx.client.handle.shown.lock();
    if shown.name.is_empty() {
        ctx.reply.null();
    } else {
        ctx.reply.bulk(&shown.name);
    }
    Ok(())
}

fn setname(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    set_name(ctx.client, args.at(2))?;
    ctx.reply.ok();
    Ok(())
}

fn setinfo(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let (attribute, value) = (args.at(2), args.at(3));
    let (is_name, is_version) = (args.is(2, "LIB-NAME"), args.is(2, "LIB-VER"));
    if !is_name && !is_version {
        return Err(Failure::Bytes(
            [b"ERR Unrecognized option '", c_string(attribute), b"'"].concat(),
        ));
    }
    if !is_printable(value) {
        let reason = b" cannot contain spaces, newlines or special characters.";
        return Err(Failure::Bytes([b"ERR ", attribute, reason].concat()));
    }
    let mut shown = ctx.client.handle.shown.lock();
    let field = if is_name { &mut shown.library_name } else { &mut shown.library_version };
    *field = value.to_vec();
    ctx.reply.ok();
    Ok(())
}

fn pause(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let all = match args.get(3) {
        _ if args.len() > 4 => return Err(wrong_arity(args)),
        None => true,
        Some(mode) => yes_or_no(mode, "ALL", "WRITE")
            .map_err(|_| Failure::err("CLIENT PAUSE mode must be WRITE or ALL"))?,
    };
    let timeout = parse_i64(args.at(2));
    let timeout_ms =
        timeout.ok_or_else(|| Failure::err("timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(Failure::err("timeout is negative"));
    }
    let now_ms = ctx.node.clock.unix_ms();
    let until_ms = now_ms.checked_add(timeout_ms);
    let until_ms = until_ms.ok_or_else(|| Failure::err("timeout is out of range"))?;
    ctx.node.admission.pause(&ctx.keys.locked, all, until_ms, now_ms);
    ctx.reply.ok();
    Ok(())
}

fn unpause(ctx: &mut Context<'_>, _args: &Args<'_>) -> Handled {
    ctx.node.admission.unpause(&ctx.keys.locked);
    ctx.reply.ok();
    Ok(())
}

/// Sends no reply to this command itself, unless it is ON.
fn reply(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    if args.is(2, "ON") {
        ctx.client.reply_mode = ReplyMode::On;
        ctx.reply.ok();
    } else if args.is(2, "OFF") {
        ctx.client.reply_mode = ReplyMode::Off;
    } else if args.is(2, "SKIP") {
        if ctx.client.reply_mode != ReplyMode::Off {
            ctx.client.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(Failure::Syntax);
    }
    Ok(())
}

fn no_evict(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let on = yes_or_no(args.at(2), "ON", "OFF")?;
    ctx.client.handle.shown.lock().no_evict = on;
    ctx.reply.ok();
    Ok(())
}

fn no_touch(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.client.no_touch = yes_or_no(args.at(2), "ON", "OFF")?;
    ctx.client.unpublished = true;
    ctx.reply.ok();
    Ok(())
}

fn unblock(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    let error = match args.get(3) {
        _ if args.len() > 4 => return Err(wrong_arity(args)),
        None => false,
        Some(reason) => !yes_or_no(reason, "TIMEOUT", "ERROR")
            .map_err(|_| Failure::err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR"))?,
    };
    let id = Context::integer(args.at(2))?;
    let handle = u64::try_from(id).ok().and_then(|id| ctx.node.clients.get(id));
    let waits =
        |handle: &Handle| handle.claim_key_wait().unwrap_or_else(|| handle.shown.lock().waiting);
    let waiting = handle.filter(|handle| waits(handle));
    if let Some(handle) = &waiting {
        handle.unblock(error);
    }
    ctx.reply.integer(waiting.is_some().into());
    Ok(())
}

fn wrong_arity(args: &Args<'_>) -> Failure {
    Failure::UnknownSubcommandOrArity { sent: args.at(1).to_vec(), container: "CLIENT" }
}

fn help(ctx: &mut Context<'_>, args: &Args<'_>) -> Handled {
    ctx.reply_help(args, HELP);
    Ok(())
}
