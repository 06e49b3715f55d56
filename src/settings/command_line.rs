//! The command line in redis-server's form: `[config-file] [-] [--name value …]`. Each option is a
//! directive of redis.conf; its arguments go on until the next word that begins with `--`. So is what
//! stands before the options: `redis.conf loglevel verbose`.

use std::ffi::OsString;
use std::path::PathBuf;

use config::{ConfigError, Map, Source, Value};

use super::error::LoadError;
use super::layer::{Layer, Line};
use super::{redis_conf, words};

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Version,
    Help,
    Run(CommandLine),
}

/// The parts of a command line that runs the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CommandLine {
    /// The settings file.
    pub(super) file: Option<PathBuf>,
    /// `-`: read a redis.conf from standard input.
    pub(super) reads_standard_input: bool,
    options: Vec<Line>,
}

impl Request {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    /// If an argument is not UTF-8 or has unbalanced quotes.
    pub(super) fn parse(arguments: &[OsString]) -> Result<Self, LoadError> {
        let arguments = arguments.iter().map(|argument| argument.to_str());
        let Some(mut arguments) = arguments.collect::<Option<Vec<&str>>>() else {
            return Err(LoadError::new("command line", "argument is not valid UTF-8"));
        };
        let mut command_line = CommandLine::default();
        match arguments.first() {
            Some(&("-v" | "--version")) => return Ok(Self::Version),
            Some(&("-h" | "--help")) => return Ok(Self::Help),
            Some(file) if !file.starts_with('-') => {
                command_line.file = Some(PathBuf::from(file));
                arguments.remove(0);
            }
            _ => {}
        }
        // Redis takes `-` for standard input only at either end: elsewhere it is a value.
        if command_line.file.is_none() && arguments.first() == Some(&"-") {
            command_line.reads_standard_input = true;
            arguments.remove(0);
        }
        if arguments.last() == Some(&"-") {
            command_line.reads_standard_input = true;
            arguments.pop();
        }
        command_line.options = options(&arguments)?;
        Ok(Self::Run(command_line))
    }
}

/// A word that begins with `--` is an option, unless the option before still lacks an argument:
/// `--requirepass --secret` has one.
fn options(arguments: &[&str]) -> Result<Vec<Line>, LoadError> {
    let mut options: Vec<Line> = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        let awaits_value = options.last().is_some_and(|option| option.words.is_empty());
        match (argument.strip_prefix("--"), options.last_mut()) {
            (Some(option), _) if !awaits_value => {
                let (name, mut words) = option_words(option)?;
                let next = arguments.get(index + 1);
                let ends = next.is_none_or(|next| next.starts_with("--"));
                // As in Redis: a script that puts nothing after --save means no save points.
                if words.is_empty() && ends && name.eq_ignore_ascii_case("save") {
                    words.push(String::new());
                }
                options.push(Line { origin: format!("command line --{name}"), name, words });
            }
            (_, Some(option)) => option.words.push((*argument).to_owned()),
            // Redis takes what stands before all options as a directive.
            (_, None) => options.push(Line {
                origin: "command line".to_owned(),
                name: (*argument).to_owned(),
                words: Vec::new(),
            }),
        }
    }
    Ok(options)
}

/// An option may have its arguments in the same word: `"--port 7000"`.
fn option_words(option: &str) -> Result<(String, Vec<String>), LoadError> {
    let origin = || format!("command line --{}", option.split(' ').next().unwrap_or_default());
    let mut words =
        words::split(option).map_err(|error| LoadError::new(origin(), error.reason()))?;
    if words.is_empty() {
        return Err(LoadError::new("command line", "option '--' has no name"));
    }
    let name = words.remove(0);
    Ok((name, words))
}

impl CommandLine {
    fn layer(&self) -> Result<Layer, LoadError> {
        let mut layer = Layer::default();
        for option in &self.options {
            // The first wrong option is the one to show, whatever is wrong with others.
            option.check()?;
            redis_conf::push(option.clone(), &mut layer, 0)?;
        }
        Ok(layer)
    }
}

impl Source for CommandLine {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let layer = self.layer().map_err(|error| ConfigError::Foreign(Box::new(error)))?;
        Ok(layer.into_values())
    }
}
