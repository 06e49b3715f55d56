//! Loads a starting server's settings: defaults, then the file, then standard input, then the
//! environment, then the command line, merged by the `config` crate. Reads files and standard
//! input; the caller passes arguments and environment.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, File, Map, Source, Value, ValueKind};

use super::command_line::Request;
use super::environment::Environment;
use super::error::LoadError;
use super::layer::{self, Layer};
use super::redis_conf::{self, RedisConf};
use super::toml_file::Toml;
use super::users;
use super::values::Settings;

/// The action that the command line requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Invocation {
    /// Print the version and end.
    Version,
    /// Print the usage and end.
    Help,
    /// Serve.
    Run {
        /// With these settings.
        settings: Box<Settings>,
        /// The absolute path of the settings file, for CONFIG REWRITE and INFO.
        file: Option<PathBuf>,
    },
}

/// Loads the settings: `arguments` without the program's name, `environment` all variables. Reads
/// `standard_input` only if the arguments hold `-`.
///
/// # Errors
/// The first error, with its origin.
pub fn load(
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
    standard_input: &mut dyn Read,
) -> Result<Invocation, LoadError> {
    let command_line = match Request::parse(arguments)? {
        Request::Version => return Ok(Invocation::Version),
        Request::Help => return Ok(Invocation::Help),
        Request::Run(command_line) => command_line,
    };
    let mut files = Config::builder();
    if let Some(path) = &command_line.file {
        let (bytes, name) = (redis_conf::read_file(path)?, path.display().to_string());
        files = match FileForm::of(path) {
            FileForm::Toml => {
                let text = redis_conf::text_of(&name, bytes)?;
                files.add_source(File::from_str(&text, Toml { name }))
            }
            FileForm::RedisConf => files.add_source(RedisConf { name, bytes }),
        };
    }
    if command_line.reads_standard_input {
        let (name, mut bytes) = ("standard input".to_owned(), Vec::new());
        standard_input
            .read_to_end(&mut bytes)
            .map_err(|error| LoadError::new(name.as_str(), format!("cannot be read: {error}")))?;
        files = files.add_source(RedisConf { name, bytes });
    }
    let files = files.build().map_err(LoadError::from_config)?;
    let of_arguments = command_line.collect().map_err(LoadError::from_config)?;
    let appended = ["save", users::PARAMETER].map(|name| {
        let lines = appended(name, &files.cache, &of_arguments);
        lines.map(|lines| (name.to_owned(), lines))
    });
    let file = command_line.file.as_deref().map(absolute).transpose()?;
    let merged = Config::builder()
        .add_source(Defaults)
        .add_source(files)
        .add_source(Environment::new(environment))
        .add_source(command_line)
        .build()
        .map_err(LoadError::from_config)?;
    let ValueKind::Table(mut values) = merged.cache.kind else {
        return Err(LoadError::new("settings", "layers are no table"));
    };
    values.extend(appended.into_iter().flatten());
    let mut settings = layer::settings(&values)?;
    settings.snapshot.dir = absolute(Path::new(&settings.snapshot.dir))?.display().to_string();
    Ok(Invocation::Run { settings: Box::new(settings), file })
}

/// Joins a parameter's lines of files and arguments: Redis treats arguments as more lines of the
/// file, so users and save points of both add up, and an empty one clears the points before it.
fn appended(name: &str, files: &Value, arguments: &Map<String, Value>) -> Option<Value> {
    let ValueKind::Table(files) = &files.kind else { return None };
    let (below, above) = (files.get(name)?, arguments.get(name)?);
    let (ValueKind::Array(lines), ValueKind::Array(more)) = (&below.kind, &above.kind) else {
        return None;
    };
    let all: Vec<Value> = lines.iter().chain(more).cloned().collect();
    Some(Value::new(Some(&above.origin().unwrap_or(name).to_owned()), all))
}

/// The two formats of settings files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileForm {
    Toml,
    RedisConf,
}

impl FileForm {
    pub(super) fn of(path: &Path) -> Self {
        let is_toml = path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("toml"));
        if is_toml { Self::Toml } else { Self::RedisConf }
    }
}

/// The absolute path, without `.` and a trailing slash.
fn absolute(path: &Path) -> Result<PathBuf, LoadError> {
    let absolute = std::path::absolute(path).map_err(|error| {
        LoadError::new(path.display().to_string(), format!("path cannot be used: {error}"))
    })?;
    Ok(absolute.components().collect())
}

/// The lowest layer.
#[derive(Debug, Clone)]
struct Defaults;

impl Source for Defaults {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let layer = Layer::of_defaults().map_err(|error| ConfigError::Foreign(Box::new(error)))?;
        Ok(layer.into_values())
    }
}

#[cfg(test)]
mod files_of_redis;
#[cfg(test)]
mod tests;
