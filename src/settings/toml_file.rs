//! A TOML settings file as a format of the `config` crate: each key is a parameter's name, at the
//! top level. Booleans mean yes and no; lists and tables serve parameters with several words:
//!
//! ```toml
//! bind = ["127.0.0.1", "-::1"]
//! save = [[3600, 1], [300, 100]]
//! rename-command = { FLUSHALL = "" }
//! client-output-buffer-limit = { replica = "256mb 64mb 60" }
//! ```

use std::error::Error;

use config::{FileStoredFormat, Format, Map, Value};
use toml_edit::{Document, Item, TableLike};

use super::error::LoadError;
use super::kind::Combination;
use super::layer::{Layer, Line};
use super::parameter::Parameter;
use super::words;

/// The format of one file.
#[derive(Debug, Clone)]
pub(super) struct Toml {
    /// The file's name in errors.
    pub(super) name: String,
}

impl Format for Toml {
    fn parse(
        &self,
        _uri: Option<&String>,
        text: &str,
    ) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
        Ok(self.layer(text)?.into_values())
    }
}

impl FileStoredFormat for Toml {
    fn file_extensions(&self) -> &'static [&'static str] {
        &["toml"]
    }
}

impl Toml {
    fn layer(&self, text: &str) -> Result<Layer, LoadError> {
        let origin = |offset: Option<usize>| match offset {
            Some(offset) => format!("{}:{}", self.name, line_number(text, offset)),
            None => self.name.clone(),
        };
        let document = Document::parse(text).map_err(|error| {
            let origin = origin(error.span().map(|span| span.start));
            LoadError::new(origin, format!("not valid TOML: {}", one_line(error.message())))
        })?;
        let mut layer = Layer::default();
        for (name, item) in document.as_table() {
            let offset = document.as_table().key(name).and_then(toml_edit::Key::span);
            let at = origin(offset.map(|span| span.start));
            for TomlLine { offset, words } in lines(name, item, &at)? {
                let origin = offset.map_or_else(|| at.clone(), |offset| origin(Some(offset)));
                layer.push(Line { origin, name: name.to_owned(), words })?;
            }
        }
        Ok(layer)
    }
}

fn line_number(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(", ")
}

/// A value as a line of redis.conf.
pub(super) struct TomlLine {
    /// Where the value begins in the text, if known.
    offset: Option<usize>,
    pub(super) words: Vec<String>,
}

/// The lines of redis.conf equivalent to a key and its value.
///
/// # Errors
/// If the parameter is unknown or cannot have a value of this type; at `origin`.
pub(super) fn lines(name: &str, item: &Item, origin: &str) -> Result<Vec<TomlLine>, LoadError> {
    let Some(parameter) = Parameter::named(name) else {
        return Err(LoadError::new(origin, format!("unknown directive '{name}'")));
    };
    let misfit = |reason: &str| LoadError::new(origin, format!("'{name}': {reason}"));
    if let Some(table) = item.as_table_like() {
        if parameter.kind.combination() != Combination::ByKey {
            return Err(misfit("value must not be a table"));
        }
        return keyed_lines(parameter, table).ok_or_else(|| misfit("value has a wrong type"));
    }
    let several = parameter.kind.takes_several_words();
    let offset = item.span().map(|span| span.start);
    if let Some(array) = item.as_array() {
        if !several {
            return Err(misfit("value must not be a list"));
        }
        if parameter.kind == super::kind::Kind::User {
            // Each is a line.
            let line = |value: &toml_edit::Value| {
                let words = words::split(value.as_str()?).ok()?;
                Some(TomlLine { offset: value.span().map(|span| span.start), words })
            };
            let lines: Option<Vec<_>> = array.iter().map(line).collect();
            return lines.ok_or_else(|| misfit("value has a wrong type"));
        }
        let mut words = Vec::new();
        for value in array {
            collect_words(value, &mut words).ok_or_else(|| misfit("value has a wrong type"))?;
        }
        return Ok(vec![TomlLine { offset, words }]);
    }
    let text = item.as_value().and_then(scalar).ok_or_else(|| misfit("value has a wrong type"))?;
    let words = if several {
        words::split(&text).map_err(|error| misfit(error.reason()))?
    } else {
        vec![text]
    };
    Ok(vec![TomlLine { offset, words }])
}

fn keyed_lines(parameter: &Parameter, table: &dyn TableLike) -> Option<Vec<TomlLine>> {
    let mut lines = Vec::new();
    for (key, item) in table.iter() {
        let mut words = vec![key.to_owned()];
        match item.as_value()? {
            // An empty new name is a word, not a missing one.
            toml_edit::Value::String(to) if parameter.kind == super::kind::Kind::Rename => {
                words.push(to.value().clone());
            }
            value => collect_words(value, &mut words)?,
        }
        let span = table.key(key).and_then(toml_edit::Key::span);
        lines.push(TomlLine { offset: span.map(|span| span.start), words });
    }
    Some(lines)
}

/// The words of a value within a list; flattens lists within it.
fn collect_words(value: &toml_edit::Value, words: &mut Vec<String>) -> Option<()> {
    if let Some(array) = value.as_array() {
        return array.iter().try_for_each(|value| collect_words(value, words));
    }
    words.extend(words::split(&scalar(value)?).ok()?);
    Some(())
}

fn scalar(value: &toml_edit::Value) -> Option<String> {
    match value {
        toml_edit::Value::String(text) => Some(text.value().clone()),
        toml_edit::Value::Integer(number) => Some(number.value().to_string()),
        toml_edit::Value::Float(number) => Some(number.value().to_string()),
        toml_edit::Value::Boolean(bool) => Some(if *bool.value() { "yes" } else { "no" }.into()),
        _ => None,
    }
}
