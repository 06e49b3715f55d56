//! Origins of a starting server's settings, for errors that only occur when they are used.

use std::collections::BTreeMap;

use super::layer::Line;

/// By parameter: the origin of the effective line, and the name used there.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeMap<&'static str, String>);

impl Origins {
    pub(super) fn add(&mut self, parameter: &'static str, line: &Line) {
        self.0.insert(parameter, format!("{}: '{}'", line.origin, line.name));
    }

    /// The origin of a parameter, by its canonical name: `redis.conf:3: 'slaveof'`; the name alone
    /// if it has its default.
    #[must_use]
    pub fn place(&self, parameter: &str) -> String {
        self.0.get(parameter).cloned().unwrap_or_else(|| format!("'{parameter}'"))
    }
}

/// Settings with equal values are equal, whatever their origin.
impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
