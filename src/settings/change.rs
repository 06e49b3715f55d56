//! CONFIG GET and CONFIG SET on [`Settings`]. Knows no client: the caller checks whether it may set
//! a protected parameter.

use std::borrow::Cow;

use super::error::SetError;
use super::kind::Kind;
use super::parameter::{Change, Exposure, PARAMETERS, Parameter, Standing};
use super::values::Settings;

impl Settings {
    /// CONFIG GET: names and values of the parameters that match any of the patterns, in the order
    /// of the table, none twice. `matches(pattern, name)` is the glob matcher; it gets names and
    /// patterns in lower case. A name without wildcards is returned as the client wrote it; only such
    /// a one shows a hidden parameter.
    ///
    /// Ignored parameters show what was set, though it has no effect; refused ones their accepted
    /// value.
    #[must_use]
    pub fn get(
        &self,
        patterns: &[&[u8]],
        matches: &dyn Fn(&[u8], &[u8]) -> bool,
    ) -> Vec<(String, String)> {
        let patterns: Vec<(&[u8], Vec<u8>)> =
            patterns.iter().map(|pattern| (*pattern, pattern.to_ascii_lowercase())).collect();
        let mut found = Vec::new();
        for parameter in PARAMETERS {
            let value = match parameter.kind {
                Kind::EventClasses => Some(self.keyspace.notify_events.shown()),
                _ => parameter.value(self),
            };
            let Some(value) = value else { continue };
            for name in parameter.names() {
                let shown = patterns.iter().find_map(|(written, lower)| {
                    if lower == name.as_bytes() {
                        return Some(String::from_utf8_lossy(written).into_owned());
                    }
                    let is_glob = lower.iter().any(|byte| b"*?[".contains(byte))
                        && parameter.exposure != Exposure::Hidden;
                    (is_glob && matches(lower, name.as_bytes())).then(|| name.to_owned())
                });
                found.extend(shown.map(|name| (name, value.clone())));
            }
        }
        found
    }

    /// CONFIG SET: these settings with all `pairs` of name and value applied, and the honoured
    /// parameters whose values changed, in the order of the pairs. `warnings` of the result are
    /// those of this change alone.
    ///
    /// The caller refuses protected parameters first, with [`SetError::protected`].
    ///
    /// # Errors
    /// The first invalid pair; then nothing is changed.
    pub fn set(
        &self,
        pairs: &[(&[u8], &[u8])],
    ) -> Result<(Self, Vec<&'static Parameter>), SetError> {
        let mut named: Vec<(&'static Parameter, &str, &[u8])> = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let unknown = || SetError::Unknown { name: name.to_vec() };
            let name = std::str::from_utf8(name).map_err(|_| unknown())?;
            let parameter = Parameter::named(name)
                .filter(|parameter| parameter.change != Change::FileOnly)
                .filter(|parameter| parameter.names().any(|own| own.eq_ignore_ascii_case(name)))
                .ok_or_else(unknown)?;
            let kept = parameter.change == Change::Own
                && parameter.value(self).is_some_and(|present| present.as_bytes() == *value);
            if matches!(parameter.change, Change::AtStart | Change::Own) && !kept {
                return Err(SetError::failed(name, "can't set immutable config"));
            }
            if named.iter().any(|(other, ..)| other.name == parameter.name) {
                return Err(SetError::failed(name, "duplicate parameter"));
            }
            named.push((parameter, parameter.known_as(name), value));
        }
        let mut settings = Self { warnings: Vec::new(), ..self.clone() };
        for (parameter, name, value) in &named {
            settings
                .set_one(parameter, name, value)
                .map_err(|reason| SetError::failed(*name, reason))?;
        }
        let changed = named.iter().map(|(parameter, ..)| *parameter);
        let changed = changed.filter(|p| p.value(self) != p.value(&settings)).collect();
        Ok((settings, changed))
    }

    /// Keeps the value of an ignored parameter.
    pub(super) fn keep_ignored(&mut self, parameter: &Parameter, canonical: &[String]) {
        let text = canonical.join(" ");
        if text == parameter.default {
            self.ignored.remove(parameter.name);
        } else {
            self.ignored.insert(parameter.name, text);
        }
    }

    fn set_one(&mut self, parameter: &Parameter, name: &str, value: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(value);
        if matches!(text, Cow::Owned(_)) && parameter.kind.takes_any_text() {
            return Err("value is not valid UTF-8".to_owned());
        }
        let words: Vec<String> = if !parameter.kind.takes_several_words() {
            vec![text.into_owned()]
        } else if text.is_empty() {
            Vec::new()
        } else {
            // Redis splits at each single blank here, unlike a line of a file.
            text.split(' ').map(str::to_owned).collect()
        };
        let canonical = parameter.kind.canonical(&words)?;
        if let Some(reason) = parameter.refusal(name, &canonical) {
            return Err(reason);
        }
        match parameter.standing {
            Standing::Honoured(field) => (field.assign)(self, &canonical),
            Standing::Ignored(_) => {
                if parameter.value(self) != Some(canonical.join(" ")) {
                    self.warnings.extend(parameter.warning(name));
                }
                self.keep_ignored(parameter, &canonical);
                Ok(())
            }
            Standing::Refused { .. } => Ok(()),
        }
    }
}

impl Parameter {
    /// The name or alias that matches `written` in any case.
    fn known_as(&self, written: &str) -> &'static str {
        self.names().find(|name| name.eq_ignore_ascii_case(written)).unwrap_or(self.name)
    }

    /// As CONFIG GET shows it (but for keyspace events); `None` if CONFIG GET does not.
    #[must_use]
    pub fn value(&self, settings: &Settings) -> Option<String> {
        match self.standing {
            _ if self.change == Change::FileOnly => None,
            Standing::Honoured(field) => Some((field.text)(settings)),
            Standing::Refused { .. } => Some(self.default.to_owned()),
            Standing::Ignored(_) => {
                let kept = settings.ignored.get(self.name).map(String::as_str);
                Some(kept.unwrap_or(self.default).to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests;
