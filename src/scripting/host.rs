//! What a script needs from the engine that runs it, and how it hands its result back.

use std::borrow::Cow;

use scoped_tls_hkt::scoped_thread_local;

/// Which replies a command gives to a script, and how the script's own values become replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resp {
    Two,
    Three,
}

/// Where the writes of a script go from now on, as `redis.set_repl` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Propagation {
    pub(crate) aof: bool,
    pub(crate) replicas: bool,
}

/// Levels of `redis.log`, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
}

/// Why a command gave no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The command was refused before it ran, and the refusal is counted in the statistics. The
    /// text begins with `-` and a code, or gets the code ERR.
    Refused(Cow<'static, str>),
}

/// Why a running script must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// SCRIPT KILL or FUNCTION KILL: the script fails with Redis's text, which it cannot catch.
    Kill,
}

/// The engine behind `redis.*`, for the length of one run.
///
/// No method may run another script on the same thread.
pub(crate) trait Host {
    /// Runs a command. Writes exactly one reply to `reply`, which is empty, in the protocol that
    /// [`set_resp`](Self::set_resp) chose last (RESP2 at first), or refuses it.
    fn call(&mut self, argv: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), CallError>;
    /// `redis.setresp`: the protocol of the replies to the commands that follow.
    fn set_resp(&mut self, resp: Resp);
    /// `redis.set_repl`: where the writes that follow go.
    fn set_repl(&mut self, propagation: Propagation);
    /// `redis.acl_check_cmd`: whether the user may run the command. `None` if there is none.
    fn acl_check_cmd(&mut self, argv: &[&[u8]]) -> Option<bool>;
    /// `redis.log`; the host compares the level with its own.
    fn log(&mut self, level: LogLevel, text: &[u8]);
    /// Asked every 100,000 instructions of Lua.
    fn interrupted(&mut self) -> Option<Interrupt>;
}

/// The engine while a library loads.
pub(crate) trait Loader {
    /// Whether the time for FUNCTION LOAD (500 ms in Redis; none for a replica, AOF and RDB) is
    /// over. Asked every 100,000 instructions of Lua.
    fn expired(&mut self) -> bool;
    /// `redis.log` within the library's code.
    fn log(&mut self, level: LogLevel, text: &[u8]);
}

/// Whether an error is in the statistics already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// A command of the script failed, and was counted then.
    Already,
    /// The writer counts it.
    NotYet,
}

/// Takes a script's result. Each method writes in the protocol of the *caller's connection*, as
/// Redis's reply functions do: what RESP2 lacks, it writes in its RESP2 form.
pub(crate) trait ReplyWriter {
    fn bulk(&mut self, bytes: &[u8]);
    fn integer(&mut self, value: i64);
    /// The text holds no line breaks.
    fn simple(&mut self, text: &[u8]);
    /// The text begins with its code, without `-`, and holds no line breaks.
    fn error(&mut self, text: &[u8], counted: Counted);
    fn null(&mut self);
    fn boolean(&mut self, value: bool);
    fn double(&mut self, value: f64);
    /// The digits hold no line breaks.
    fn big_number(&mut self, digits: &[u8]);
    fn verbatim(&mut self, format: [u8; 3], text: &[u8]);
    fn array(&mut self, len: usize);
    fn map(&mut self, pairs: usize);
    fn set(&mut self, len: usize);
}

scoped_thread_local!(pub(super) static mut HOST: for<'a> &'a mut (dyn Host + 'a));
scoped_thread_local!(pub(super) static mut LOADER: for<'a> &'a mut (dyn Loader + 'a));
