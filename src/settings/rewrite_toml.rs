//! CONFIG REWRITE of a TOML file: as for a redis.conf, with values in TOML's types. Comments and
//! order stay, through `toml_edit`.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Value};

use super::error::LoadError;
use super::kind::Kind;
use super::layer::{Layer, Line};
use super::parameter::Parameter;
use super::rewrite::{Rewrite, SIGNATURE, buffer_limits, rewritable, size_text, user_lines};
use super::toml_file;
use super::users;
use super::values::Settings;

/// The text `old` of the file `name` with `settings` in it.
///
/// # Errors
/// If `old` is not valid TOML.
pub(super) fn rewritten_toml(
    settings: &Settings,
    name: &str,
    old: &str,
    which: Rewrite,
) -> Result<String, LoadError> {
    let mut document: DocumentMut = old
        .parse()
        .map_err(|_| LoadError::new(name, "cannot be rewritten: it is not valid TOML"))?;
    let mut layer = Layer::default();
    for (key, item) in document.as_table() {
        // Keep keys that are no parameter or have an invalid value: this server did not start from
        // them.
        for line in toml_file::lines(key, item, name).unwrap_or_default() {
            let line = Line { origin: String::new(), name: key.to_owned(), words: line.words };
            if layer.push(line).is_err() {
                break;
            }
        }
    }
    let mut is_marked = old.lines().any(|line| line == SIGNATURE);
    rewrite_users(&mut document, settings, &mut is_marked);
    for parameter in rewritable() {
        if which == Rewrite::Changed && layer.text_of(parameter) == parameter.value(settings) {
            continue;
        }
        let value = value(parameter, settings);
        let known = document.as_table().iter().map(|(key, _)| key.to_owned());
        let is_own = |key: &String| Parameter::named(key).is_some_and(|p| p.name == parameter.name);
        let mut keys: Vec<String> = known.filter(is_own).collect();
        let Some(first) = keys.pop() else {
            append(&mut document, parameter.name, value, &mut is_marked);
            continue;
        };
        // Drop an alias beside the name: one of them is enough.
        for further in keys {
            document.remove(&further);
        }
        replace(document.entry(&first).or_insert(Item::None), value);
    }
    Ok(document.to_string())
}

/// Replaces the users' lines by those of now.
fn rewrite_users(document: &mut DocumentMut, settings: &Settings, is_marked: &mut bool) {
    let keyword = users::PARAMETER.len() + 1;
    let lines = user_lines(settings).map(|line| line[keyword..].to_owned());
    let lines: Array = lines.collect();
    match document.get_mut(users::PARAMETER) {
        Some(_) if lines.is_empty() => drop(document.remove(users::PARAMETER)),
        Some(item) => replace(item, lines.into()),
        None if lines.is_empty() => {}
        None => append(document, users::PARAMETER, lines.into(), is_marked),
    }
}

fn append(document: &mut DocumentMut, name: &str, value: Value, is_marked: &mut bool) {
    let is_first = document.is_empty();
    document.insert(name, Item::Value(value));
    if !*is_marked && let Some(mut key) = document.key_mut(name) {
        let blank = if is_first { "" } else { "\n" };
        key.leaf_decor_mut().set_prefix(format!("{blank}{SIGNATURE}\n"));
        *is_marked = true;
    }
}

/// Replaces a value, and keeps the comments around it.
fn replace(item: &mut Item, mut value: Value) {
    if let (Some(table), Some(new)) = (item.as_table_mut(), value.as_inline_table()) {
        table.clear();
        for (key, value) in new {
            table.insert(key, Item::Value(value.clone()));
        }
        return;
    }
    if let Some(old) = item.as_value() {
        *value.decor_mut() = old.decor().clone();
    }
    *item = Item::Value(value);
}

fn value(parameter: &Parameter, settings: &Settings) -> Value {
    let text = parameter.value(settings).unwrap_or_default();
    let words = || text.split(' ').filter(|word| !word.is_empty());
    match parameter.kind {
        Kind::Bool => (text == "yes").into(),
        Kind::Integer { .. } => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        },
        Kind::Memory { .. } => size_text(&text).into(),
        Kind::Words { .. } => words().collect::<Array>().into(),
        Kind::SavePoints => {
            let numbers: Vec<i64> = words().filter_map(|word| word.parse().ok()).collect();
            let points = numbers.chunks(2).map(|point| point.iter().copied().collect::<Array>());
            points.collect::<Array>().into()
        }
        Kind::BufferLimits => {
            let mut limits = InlineTable::new();
            for (class, limit) in buffer_limits(settings) {
                limits.insert(class, limit.into());
            }
            limits.into()
        }
        _ => text.into(),
    }
}
