//! Where the settings of a server that starts were written, for errors that only show once they
//! are used.

use std::collections::BTreeMap;

use super::layer::Line;

/// By parameter, the place of the line that counts, and the name that it has there.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeMap<&'static str, String>);

impl Origins {
    pub(super) fn add(&mut self, parameter: &'static str, line: &Line) {
        self.0.insert(parameter, format!("{}: '{}'", line.origin, line.name));
    }

    /// The place of a parameter, by its own name: `redis.conf:3: 'slaveof'`; its name alone where
    /// it has its default.
    #[must_use]
    pub fn place(&self, parameter: &str) -> String {
        self.0.get(parameter).cloned().unwrap_or_else(|| format!("'{parameter}'"))
    }
}

/// Settings are equal that say the same, wherever they were written.
impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
