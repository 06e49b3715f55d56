//! The scripts of EVAL: an interpreter and what it has compiled, by SHA-1.

use std::collections::{HashMap, hash_map};
use std::hash::BuildHasher;
use std::rc::Rc;

use ahash::RandomState;
use bstr::ByteSlice;
use mlua::{RegistryKey, Result};

use super::answer::without_breaks;
use super::entry::Passing;
use super::flags::{ScriptFlags, script_flags};
use super::host::{Host, ReplyWriter};
use super::raise::reply_text;
use super::random::Random;
use super::sha::{Sha, sha1_hex};
use super::state::{Environment, Input, Purpose, State};

/// The name of a script's code in messages.
pub(super) const CHUNK: &str = "@user_script";
/// Texts that are known by themselves, and their bytes together: EVAL of one needs no SHA-1.
const TEXTS_MAX: usize = 1000;
const TEXTS_BYTES_MAX: usize = 1 << 20;

/// A compiled script.
#[derive(Debug)]
pub(crate) struct Script {
    sha: Sha,
    /// In Lua's registry: handles are few.
    function: RegistryKey,
    flags: ScriptFlags,
}

impl Script {
    pub(crate) fn sha(&self) -> &Sha {
        &self.sha
    }

    pub(crate) fn flags(&self) -> ScriptFlags {
        self.flags
    }
}

/// The place of a script among those that are there, until the next flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScriptId(usize);

/// The interpreter of EVAL with its cache of scripts, which only [`flush`](Self::flush) empties.
#[derive(Debug)]
pub(crate) struct Scripts {
    // Functions go before the interpreter that holds them.
    scripts: Vec<Script>,
    cache: HashMap<Sha, ScriptId, RandomState>,
    /// Some of them by their texts. Which ones, clients decide: it is kept small.
    texts: HashMap<Box<[u8]>, ScriptId, RandomState>,
    texts_bytes: usize,
    state: State,
    random: Rc<Random>,
    environment: Environment,
    bodies: usize,
}

impl Scripts {
    /// Creates the interpreter. `random` is shared with the functions, as in Redis.
    pub(crate) fn new(random: Rc<Random>, environment: Environment) -> Result<Self> {
        let state = State::new(Purpose::Eval, environment, Rc::clone(&random))?;
        Ok(Self {
            scripts: Vec::new(),
            cache: HashMap::with_hasher(hasher()),
            texts: HashMap::with_hasher(hasher()),
            texts_bytes: 0,
            state,
            random,
            environment,
            bodies: 0,
        })
    }

    /// Compiles a script unless it is there already. The error is a reply's text with its code.
    pub(crate) fn load(&mut self, body: &[u8]) -> std::result::Result<ScriptId, Vec<u8>> {
        if let Some(id) = self.texts.get(body) {
            return Ok(*id);
        }
        let id = self.load_by_sha(body)?;
        self.remember(body, id);
        Ok(id)
    }

    fn load_by_sha(&mut self, body: &[u8]) -> std::result::Result<ScriptId, Vec<u8>> {
        let sha = sha1_hex(body);
        if let Some(id) = self.cache.get(&sha) {
            return Ok(*id);
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
        let id = ScriptId(self.scripts.len());
        self.scripts.push(Script { sha, function, flags });
        self.cache.insert(sha, id);
        Ok(id)
    }

    fn remember(&mut self, body: &[u8], id: ScriptId) {
        if body.len() > TEXTS_BYTES_MAX {
            return;
        }
        if self.texts.len() >= TEXTS_MAX || self.texts_bytes + body.len() > TEXTS_BYTES_MAX {
            self.texts.clear();
            self.texts_bytes = 0;
        }
        self.texts_bytes += body.len();
        self.texts.insert(body.into(), id);
    }

    /// Looks a script up by its SHA-1.
    pub(crate) fn find(&self, sha: &Sha) -> Option<ScriptId> {
        self.cache.get(sha).copied()
    }

    pub(crate) fn script(&self, id: ScriptId) -> &Script {
        &self.scripts[id.0]
    }

    /// How many scripts there are.
    pub(crate) fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Runs a script. The host must be ready to answer: all checks of flags come before.
    pub(crate) fn run(
        &self,
        id: ScriptId,
        input: Input<'_>,
        host: &mut dyn Host,
        writer: &mut dyn ReplyWriter,
    ) {
        let script = &self.scripts[id.0];
        let name = std::str::from_utf8(&script.sha).expect("a SHA consists of hexadecimal digits");
        self.state.run((&script.function, Passing::Globals), name, input, host, writer);
    }

    /// SCRIPT FLUSH: forgets all scripts and whatever they left in the interpreter.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let state = State::new(Purpose::Eval, self.environment, Rc::clone(&self.random))?;
        self.scripts.clear();
        self.cache.clear();
        self.texts.clear();
        (self.texts_bytes, self.bodies) = (0, 0);
        self.state = state;
        Ok(())
    }

    /// Bytes of the interpreter: used_memory_vm_eval.
    pub(crate) fn used_memory(&self) -> usize {
        self.state.used_memory()
    }

    /// Bytes of the texts and names of scripts, and of the table that holds them.
    pub(crate) fn overhead(&self) -> usize {
        self.bodies
            + self.texts_bytes
            + self.scripts.capacity() * size_of::<Script>()
            + self.cache.capacity() * size_of::<(Sha, ScriptId)>()
    }
}

/// A hash that clients do not know.
fn hasher() -> RandomState {
    let random = hash_map::RandomState::new();
    let [a, b, c, d] = [0, 1, 2, 3].map(|number: u64| random.hash_one(number));
    RandomState::with_seeds(a, b, c, d)
}

/// An error's text as addReplyErrorFormat gives it.
pub(super) fn with_code(text: &[u8]) -> Vec<u8> {
    without_breaks([b"ERR ", text.trim_with(|c| c == '\r' || c == '\n')].concat().as_slice())
}
