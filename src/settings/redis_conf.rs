//! redis.conf as a format of the `config` crate: one directive a line, Redis's quoting, `include`.
//! Knows no parameter: what a directive means is the layer's business.

use std::error::Error;
use std::path::Path;

use config::{FileStoredFormat, Format, Map, Value};

use super::error::LoadError;
use super::layer::{Layer, Line};
use super::words;

/// As in Redis; a file that includes itself would otherwise never end.
const INCLUDE_DEPTH_MAX: usize = 16;

/// The format of one file.
#[derive(Debug, Clone)]
pub(super) struct RedisConf {
    /// What errors call the file.
    pub(super) name: String,
}

impl Format for RedisConf {
    fn parse(
        &self,
        _uri: Option<&String>,
        text: &str,
    ) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
        let mut layer = Layer::default();
        read(&self.name, text, &mut layer, 0)?;
        Ok(layer.into_values())
    }
}

impl FileStoredFormat for RedisConf {
    fn file_extensions(&self) -> &'static [&'static str] {
        &["conf"]
    }
}

/// The words of a line; none for blank lines and comments.
pub(super) fn directive(line: &str) -> Result<Vec<String>, words::SplitError> {
    let line = line.trim_matches([' ', '\t', '\r', '\n']);
    if line.starts_with('#') { Ok(Vec::new()) } else { words::split(line) }
}

fn read(name: &str, text: &str, layer: &mut Layer, depth: usize) -> Result<(), LoadError> {
    for (index, line) in text.lines().enumerate() {
        let origin = format!("{name}:{}", index + 1);
        let mut words = directive(line)
            .map_err(|error| LoadError::new(origin.as_str(), error.reason()))?
            .into_iter();
        let Some(directive) = words.next() else {
            continue;
        };
        let words: Vec<String> = words.collect();
        push(&directive, Line { origin, words }, layer, depth)?;
    }
    Ok(())
}

/// Adds one directive to the layer; for `include`, those of the files it names.
pub(super) fn push(
    directive: &str,
    line: Line,
    layer: &mut Layer,
    depth: usize,
) -> Result<(), LoadError> {
    if !directive.eq_ignore_ascii_case("include") {
        return layer.push(directive, line);
    }
    let [pattern] = line.words.as_slice() else {
        return Err(LoadError::new(line.origin, "'include': wrong number of arguments"));
    };
    if depth >= INCLUDE_DEPTH_MAX {
        return Err(LoadError::new(line.origin, "'include': files include one another too deeply"));
    }
    let unusable =
        |reason: String| LoadError::new(line.origin.as_str(), format!("'include': {reason}"));
    if !pattern.contains(['*', '?', '[']) {
        let text = read_text(Path::new(pattern)).map_err(|error| unusable(error.to_string()))?;
        return read(pattern, &text, layer, depth + 1);
    }
    // As in Redis, a pattern that matches no file is no mistake.
    let paths = glob::glob(pattern).map_err(|error| unusable(error.to_string()))?;
    for path in paths {
        let path = path.map_err(|error| unusable(error.to_string()))?;
        let text = read_text(&path).map_err(|error| unusable(error.to_string()))?;
        read(&path.to_string_lossy(), &text, layer, depth + 1)?;
    }
    Ok(())
}

/// The text of a settings file.
///
/// # Errors
/// If it cannot be read or is no UTF-8 text.
pub(super) fn read_text(path: &Path) -> Result<String, LoadError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| LoadError::new(name.as_str(), format!("cannot be read: {error}")))?;
    text_of(&name, bytes)
}

/// `bytes` of the file `name` as text.
pub(super) fn text_of(name: &str, bytes: Vec<u8>) -> Result<String, LoadError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = valid.filter(|byte| **byte == b'\n').count() + 1;
        LoadError::new(format!("{name}:{line}"), "line is not valid UTF-8")
    })
}
