//! redis.conf as a source of the `config` crate: one directive a line, Redis's quoting, `include`.
//! Knows no parameter: what a directive means is the layer's business.

use std::path::Path;

use config::{ConfigError, Map, Source, Value};

use super::error::LoadError;
use super::layer::{Layer, Line};
use super::words;

/// As in Redis; stops a file that includes itself.
const INCLUDE_DEPTH_MAX: usize = 16;

/// One file. Its bytes need be text only in a directive's words.
#[derive(Debug, Clone)]
pub(super) struct RedisConf {
    /// The file's name in errors.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Source for RedisConf {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut layer = Layer::default();
        read(&self.name, &self.bytes, &mut layer, 0)
            .map_err(|error| ConfigError::Foreign(Box::new(error)))?;
        Ok(layer.into_values())
    }
}

/// The words of a line; none for blank lines and comments.
pub(super) fn directive(line: &[u8]) -> Result<Vec<String>, words::SplitError> {
    let line = line.trim_ascii();
    if line.starts_with(b"#") { Ok(Vec::new()) } else { words::split_bytes(line) }
}

fn read(name: &str, bytes: &[u8], layer: &mut Layer, depth: usize) -> Result<(), LoadError> {
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let origin = format!("{name}:{}", index + 1);
        let mut words = match directive(line) {
            Ok(words) => words.into_iter(),
            Err(error) => {
                let first = line.trim_ascii().split(u8::is_ascii_whitespace).next();
                let name = String::from_utf8_lossy(first.unwrap_or_default());
                let reason = format!("'{name}': {}", error.reason());
                return Err(LoadError::new(origin, reason));
            }
        };
        let Some(name) = words.next() else { continue };
        push(Line { origin, name, words: words.collect() }, layer, depth)?;
    }
    Ok(())
}

/// Adds one directive to the layer; for `include`, the directives of the files it names.
pub(super) fn push(line: Line, layer: &mut Layer, depth: usize) -> Result<(), LoadError> {
    if !line.name.eq_ignore_ascii_case("include") {
        return layer.push(line);
    }
    let [pattern] = line.words.as_slice() else {
        return Err(line.misfit("wrong number of arguments"));
    };
    if depth >= INCLUDE_DEPTH_MAX {
        return Err(line.misfit("files include one another too deeply"));
    }
    let unusable = |reason: String| line.misfit(&reason);
    if !pattern.contains(['*', '?', '[']) {
        let bytes = read_file(Path::new(pattern)).map_err(|error| unusable(error.to_string()))?;
        return read(pattern, &bytes, layer, depth + 1);
    }
    // As in Redis, a pattern that matches no file is valid.
    let paths = glob::glob(pattern).map_err(|error| unusable(error.to_string()))?;
    for path in paths {
        let path = path.map_err(|error| unusable(error.to_string()))?;
        let bytes = read_file(&path).map_err(|error| unusable(error.to_string()))?;
        read(&path.to_string_lossy(), &bytes, layer, depth + 1)?;
    }
    Ok(())
}

/// The bytes of a settings file.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let name = path.display().to_string();
    std::fs::read(path).map_err(|error| LoadError::new(name, format!("cannot be read: {error}")))
}

/// `bytes` of the file `name` as text.
///
/// # Errors
/// If they are not UTF-8.
pub(super) fn text_of(name: &str, bytes: Vec<u8>) -> Result<String, LoadError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = valid.filter(|byte| **byte == b'\n').count() + 1;
        LoadError::new(format!("{name}:{line}"), "line is not valid UTF-8")
    })
}
