//! The scripts of EVAL: an interpreter and what it has compiled, by SHA-1.

use std::collections::HashMap;
use std::rc::Rc;

use bstr::ByteSlice;
use mlua::{RegistryKey, Result};

use super::answer::without_breaks;
use super::flags::{ScriptFlags, script_flags};
use super::host::{Host, ReplyWriter};
use super::raise::reply_text;
use super::random::Random;
use super::sha::{Sha, sha1_hex};
use super::state::{Environment, Input, Purpose, State};

/// The name of a script's code in messages.
pub(super) const CHUNK: &str = "@user_script";

/// A compiled script.
#[derive(Debug)]
pub(crate) struct Script {
    /// In Lua's registry: handles are few.
    function: RegistryKey,
    flags: ScriptFlags,
}

impl Script {
    pub(crate) fn flags(&self) -> ScriptFlags {
        self.flags
    }
}

/// The interpreter of EVAL with its cache of scripts, which only [`flush`](Self::flush) empties.
#[derive(Debug)]
pub(crate) struct Scripts {
    // Functions go before the interpreter that holds them.
    cache: HashMap<Sha, Script>,
    state: State,
    random: Rc<Random>,
    environment: Environment,
    bodies: usize,
}

impl Scripts {
    /// Creates the interpreter. `random` is shared with the functions, as in Redis.
    pub(crate) fn new(random: Rc<Random>, environment: Environment) -> Result<Self> {
        let state = State::new(Purpose::Eval, environment, Rc::clone(&random))?;
        Ok(Self { cache: HashMap::default(), state, random, environment, bodies: 0 })
    }

    /// Compiles a script unless it is there already. The error is a reply's text with its code.
    pub(crate) fn load(&mut self, body: &[u8]) -> std::result::Result<Sha, Vec<u8>> {
        let sha = sha1_hex(body);
        if self.cache.contains_key(&sha) {
            return Ok(sha);
        }
        let (flags, line) = script_flags(body).map_err(|text| with_code(&text))?;
        // The first line's break stays, so that lines count from it.
        let compiled = self.state.compile(&body[line..], CHUNK);
        let compiled = compiled.unwrap_or_else(|error| Err(error.to_string().into_bytes()));
        let function = compiled.map_err(|message| {
            with_code(&[b"Error compiling script (new function): ", &message[..]].concat())
        })?;
        let function = self.state.keep(function).map_err(|error| reply_text(&error))?;
        self.bodies += body.len();
        self.cache.insert(sha, Script { function, flags });
        Ok(sha)
    }

    pub(crate) fn script(&self, sha: &Sha) -> Option<&Script> {
        self.cache.get(sha)
    }

    /// How many scripts there are.
    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Runs a script that is there; false if it is not. The host must be ready to answer: all
    /// checks of flags come before.
    pub(crate) fn run(
        &mut self,
        sha: &Sha,
        input: Input<'_>,
        host: &mut dyn Host,
        writer: &mut dyn ReplyWriter,
    ) -> bool {
        let Some(script) = self.cache.get(sha) else { return false };
        let name = std::str::from_utf8(sha).expect("a SHA consists of hexadecimal digits");
        self.state.run_script(&script.function, name, input, host, writer);
        true
    }

    /// SCRIPT FLUSH: forgets all scripts and whatever they left in the interpreter.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let state = State::new(Purpose::Eval, self.environment, Rc::clone(&self.random))?;
        self.cache.clear();
        self.bodies = 0;
        self.state = state;
        Ok(())
    }

    /// Bytes of the interpreter: used_memory_vm_eval.
    pub(crate) fn used_memory(&self) -> usize {
        self.state.used_memory()
    }

    /// Bytes of the texts and names of scripts, and of the table that holds them.
    pub(crate) fn overhead(&self) -> usize {
        self.bodies + self.cache.capacity() * size_of::<(Sha, Script)>()
    }
}

/// An error's text as addReplyErrorFormat gives it.
pub(super) fn with_code(text: &[u8]) -> Vec<u8> {
    without_breaks([b"ERR ", text.trim_with(|c| c == '\r' || c == '\n')].concat().as_slice())
}
