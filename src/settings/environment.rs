//! The environment as a source of the `config` crate: `LIMPID_TCP_KEEPALIVE=60` sets
//! `tcp-keepalive`. A variable with the prefix that names no parameter is an error.

use std::ffi::OsString;

use config::{ConfigError, Map, Source, Value};

use super::error::LoadError;
use super::layer::{Layer, Line};
use super::parameter::{Exposure, PARAMETERS, Parameter};

const PREFIX: &str = "LIMPID_";

/// The variables of the process.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    variables: Vec<(OsString, OsString)>,
}

impl Environment {
    /// Keeps only variables with the prefix.
    pub(super) fn new(variables: &[(OsString, OsString)]) -> Self {
        let ours = |name: &OsString| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        Self { variables: variables.iter().filter(|(name, _)| ours(name)).cloned().collect() }
    }

    fn layer(&self) -> Result<Layer, LoadError> {
        let mut layer = Layer::default();
        for (variable, value) in &self.variables {
            let variable = variable.to_string_lossy();
            let origin = format!("environment {variable}");
            let Some((parameter, name)) = named(&variable) else {
                let name = variable.trim_start_matches(PREFIX).to_lowercase().replace('_', "-");
                return Err(LoadError::new(origin, format!("unknown directive '{name}'")));
            };
            let Some(value) = value.to_str() else {
                return Err(LoadError::new(origin, "value is not valid UTF-8"));
            };
            let words = parameter.words_of_text(value);
            layer.push(Line { origin, name: name.to_owned(), words })?;
        }
        Ok(layer)
    }
}

/// Whether an environment variable holds a secret.
#[must_use]
pub fn is_secret_variable(variable: &str) -> bool {
    named(variable).is_some_and(|(parameter, _)| parameter.exposure == Exposure::Secret)
}

/// The parameter that a variable names.
fn named(variable: &str) -> Option<(&'static Parameter, &'static str)> {
    let name = variable.strip_prefix(PREFIX)?;
    let spells = |known: &str| known.replace('-', "_").eq_ignore_ascii_case(name);
    PARAMETERS.iter().find_map(|parameter| {
        parameter.names().find(|known| spells(known)).map(|known| (parameter, known))
    })
}

impl Source for Environment {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let layer = self.layer().map_err(|error| ConfigError::Foreign(Box::new(error)))?;
        Ok(layer.into_values())
    }
}
