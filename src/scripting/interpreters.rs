//! Both interpreters together, and why they may move between threads.

use std::rc::Rc;

use super::random::Random;
use super::{Environment, Libraries, Scripts};

/// The interpreters of EVAL and of functions, which share a generator of random numbers.
#[derive(Debug)]
pub(crate) struct Interpreters {
    pub(crate) scripts: Scripts,
    pub(crate) libraries: Libraries,
}

// SAFETY: what is not `Send` in here are reference counts, of interpreters, of their values and of
// what they share. None of them leaves the interpreters: callers get plain references that end with
// their borrow. So whoever has this value has every one of them, and uses them on one thread.
#[allow(unsafe_code, reason = "the binding would lock at each step to be `Send` by itself")]
unsafe impl Send for Interpreters {}

impl Interpreters {
    /// Creates both. Fails if Lua has no memory.
    pub(crate) fn new(environment: Environment) -> Result<Self, String> {
        let random = Rc::new(Random::new());
        let scripts =
            Scripts::new(Rc::clone(&random), environment).map_err(|error| error.to_string())?;
        let libraries = Libraries::new(random, environment).map_err(|error| error.to_string())?;
        Ok(Self { scripts, libraries })
    }
}
