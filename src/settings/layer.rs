//! One layer of settings (defaults, a file, the environment, the command line) as values of the
//! `config` crate, and the merged layers as [`Settings`].
//!
//! A layer maps a parameter's canonical name to the lines that name it: a list of lines, or, where
//! each line sets what its first word names, a table by that word. So the `config` crate's merge
//! does what layers need: a list replaces the list below it, a table adds to it. Each line keeps
//! its origin, so that errors can name it.

use config::{Map, Value, ValueKind};

use super::error::LoadError;
use super::kind::{Combination, Kind};
use super::parameter::{Exposure, PARAMETERS, Parameter, Standing};
use super::types::buffer_class;
use super::values::Settings;
use super::words;

/// One directive's arguments, and where they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) origin: String,
    /// As written: an alias, or another case.
    pub(super) name: String,
    pub(super) words: Vec<String>,
}

impl Line {
    /// The error for an invalid line, which it shows as Redis does unless it holds a secret.
    pub(super) fn misfit(&self, reason: &str) -> LoadError {
        let parameter = Parameter::named(&self.name);
        // A user's line has passwords, too.
        let is_open = parameter
            .is_some_and(|known| known.exposure != Exposure::Secret && known.kind != Kind::User);
        let words =
            self.words.iter().filter(|_| is_open).map(|word| format!(" {}", words::quote(word)));
        let shown: String = std::iter::once(self.name.clone()).chain(words).collect();
        LoadError::new(self.origin.as_str(), format!("'{shown}': {reason}"))
    }
}

impl Line {
    /// Whether the arguments fit. Other errors are those of [`Layer::push`].
    ///
    /// # Errors
    /// As CONFIG SET has it.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        let known = Parameter::named(&self.name);
        let Some(parameter) = known.filter(|known| known.kind.combination() != Combination::ByKey)
        else {
            return Ok(());
        };
        let line = requoted(parameter, self.clone())?;
        parameter.kind.canonical(&line.words).map_err(|reason| line.misfit(&reason)).map(drop)
    }
}

/// The origin of default values.
const DEFAULTS: &str = "defaults";

/// The lines of one layer by parameter.
#[derive(Debug, Default)]
pub(super) struct Layer {
    values: Map<String, Value>,
}

impl Layer {
    /// Adds a directive.
    ///
    /// # Errors
    /// If no parameter has this name, or a keyed one has a wrong number of arguments.
    pub(super) fn push(&mut self, line: Line) -> Result<(), LoadError> {
        let Some(parameter) = Parameter::named(&line.name) else {
            let reason = format!("unknown directive '{}'", line.name);
            return Err(LoadError::new(line.origin, reason));
        };
        let line = requoted(parameter, line)?;
        let kind = parameter.kind;
        let misfit = |reason: &str| line.misfit(reason);
        let name = parameter.name.to_owned();
        if kind.combination() != Combination::ByKey {
            let lines = self.values.entry(name).or_insert_with(|| Vec::<Value>::new().into());
            if let ValueKind::Array(lines) = &mut lines.kind {
                lines.push(line_value(&line));
            }
            return Ok(());
        }
        let key_len = if kind == Kind::BufferLimits { 4 } else { 2 };
        if line.words.is_empty() || !line.words.len().is_multiple_of(key_len) {
            // The kind has Redis's text of the error.
            let reason = kind.canonical(&line.words).err();
            return Err(misfit(reason.as_deref().unwrap_or("wrong number of arguments")));
        }
        let table = self.values.entry(name).or_insert_with(|| Map::<String, Value>::new().into());
        if let ValueKind::Table(table) = &mut table.kind {
            for words in line.words.chunks(key_len) {
                let key = words.first().map(String::as_str).unwrap_or_default();
                let key = match buffer_class(key) {
                    Some(class) if kind == Kind::BufferLimits => class.to_owned(),
                    _ => key.to_ascii_lowercase(),
                };
                let keyed = Line { words: words.to_vec(), ..line.clone() };
                table.insert(key, line_value(&keyed));
            }
        }
        Ok(())
    }

    /// The value, as CONFIG GET shows it, that a parameter has with this layer over the defaults;
    /// `None` if its lines are invalid.
    pub(super) fn text_of(&self, parameter: &Parameter) -> Option<String> {
        let mut settings = Settings::default();
        if let Some(value) = self.values.get(parameter.name) {
            apply(parameter, &lines_of(value), &mut settings).ok()?;
        }
        parameter.value(&settings)
    }

    pub(super) fn into_values(self) -> Map<String, Value> {
        self.values
    }

    /// The layer below all others: the table's defaults.
    pub(super) fn of_defaults() -> Result<Self, LoadError> {
        let mut layer = Self::default();
        for parameter in PARAMETERS {
            if let (Standing::Honoured(_), Some(words)) =
                (parameter.standing, parameter.default_words())
            {
                let name = parameter.name.to_owned();
                layer.push(Line { origin: DEFAULTS.to_owned(), name, words })?;
            }
        }
        Ok(layer)
    }
}

/// Splits a single argument of a directive that takes several once more, as Redis does: `save "900
/// 1"`.
fn requoted(parameter: &Parameter, line: Line) -> Result<Line, LoadError> {
    match line.words.as_slice() {
        [one] if parameter.kind.takes_several_words() && parameter.kind != Kind::Rename => {
            let words = words::split(one).map_err(|error| line.misfit(error.reason()))?;
            Ok(Line { words, ..line })
        }
        _ => Ok(line),
    }
}

/// The name comes before the words.
fn line_value(line: &Line) -> Value {
    let words: Vec<String> = std::iter::once(&line.name).chain(&line.words).cloned().collect();
    Value::new(Some(&line.origin), words)
}

fn line_of(value: &Value) -> Line {
    let mut words = match &value.kind {
        ValueKind::Array(words) => words.iter().map(|word| word.kind.to_string()).collect(),
        other => vec![other.to_string()],
    };
    let name = if words.is_empty() { String::new() } else { words.remove(0) };
    Line { origin: value.origin().unwrap_or("settings").to_owned(), name, words }
}

/// The lines under one parameter's name.
fn lines_of(value: &Value) -> Vec<Line> {
    match &value.kind {
        ValueKind::Array(lines) => lines.iter().map(line_of).collect(),
        ValueKind::Table(lines) => lines.values().map(line_of).collect(),
        _ => vec![line_of(value)],
    }
}

/// Builds settings from the merged layers.
///
/// # Errors
/// The first value, in the order of the table, that is invalid or refused.
pub(super) fn settings(merged: &Map<String, Value>) -> Result<Settings, LoadError> {
    let mut settings = Settings::empty();
    for parameter in PARAMETERS {
        if let Some(value) = merged.get(parameter.name) {
            let lines = lines_of(value);
            apply(parameter, &lines, &mut settings)?;
            if let Some(line) = lines.last().filter(|line| line.origin != DEFAULTS) {
                settings.origins.add(parameter.name, line);
            }
        }
    }
    Ok(settings)
}

/// Sets a parameter from all its lines. Each must be valid, even if a later one overrides it.
fn apply(parameter: &Parameter, lines: &[Line], settings: &mut Settings) -> Result<(), LoadError> {
    let mut appended: Vec<String> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_last = index + 1 == lines.len();
        let misfit = |reason: String| line.misfit(&reason);
        let mut canonical = parameter.kind.canonical(&line.words).map_err(misfit)?;
        if parameter.kind.combination() == Combination::Append {
            if canonical.is_empty() {
                appended.clear();
            }
            appended.append(&mut canonical);
            canonical.clone_from(&appended);
        }
        match parameter.standing {
            Standing::Honoured(field) => {
                (field.assign)(settings, &canonical).map_err(misfit)?;
                if let (Kind::User, Some(user)) =
                    (parameter.kind, settings.security.users.last_mut())
                {
                    user.place = format!("{}: '{}'", line.origin, line.name);
                }
            }
            Standing::Ignored(_) | Standing::Refused { .. } if !is_last => {}
            Standing::Ignored(_) | Standing::Refused { .. } => {
                if let Some(reason) = parameter.refusal(&line.name, &canonical) {
                    return Err(LoadError::new(line.origin.as_str(), reason));
                }
                if matches!(parameter.standing, Standing::Ignored(_)) {
                    settings.keep_ignored(parameter, &canonical);
                }
                let warning = parameter.warning(&line.name);
                settings.warnings.extend(warning.map(|text| format!("{}: {text}", line.origin)));
            }
        }
    }
    Ok(())
}
