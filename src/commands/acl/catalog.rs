//! All rows as the rules of users know them: also those that were renamed or removed, under their
//! own names.

use std::sync::LazyLock;

use crate::acl::{Catalog, Categories, Commands};
use crate::commands::{Command, all};

/// Rows in the order in which the registry numbers them: each before its subcommands.
struct Rows(Vec<Row>);

struct Row {
    name: String,
    container: Option<usize>,
    row: &'static Command,
}

impl Rows {
    fn new() -> Self {
        let mut rows = Vec::new();
        for row in all() {
            let (id, name) = (rows.len(), row.name.to_ascii_lowercase());
            let full = |sub: &Command| format!("{name}|{}", sub.name.to_ascii_lowercase());
            let subcommands: Vec<Row> = row
                .subcommands
                .iter()
                .map(|sub| Row { name: full(sub), container: Some(id), row: sub })
                .collect();
            rows.push(Row { name, container: None, row });
            rows.extend(subcommands);
        }
        Self(rows)
    }
}

impl Catalog for Rows {
    fn ids(&self) -> usize {
        self.0.len()
    }

    fn name(&self, id: usize) -> &str {
        &self.0[id].name
    }

    fn container(&self, id: usize) -> Option<usize> {
        self.0[id].container
    }

    fn categories(&self, id: usize) -> Categories {
        Categories::named(self.0[id].row.acl_categories())
    }
}

/// What users may be permitted, by the ids of the registry.
pub(crate) fn acl_commands() -> &'static Commands {
    static COMMANDS: LazyLock<Commands> = LazyLock::new(|| Commands::new(&Rows::new()));
    &COMMANDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::registry::Registry;

    #[test]
    fn ids_are_those_of_the_registry() {
        let registry = Registry::new(all(), &[]).unwrap();
        assert_eq!(Rows::new().ids(), registry.ids());
        for registered in registry.all() {
            assert_eq!(acl_commands().name(registered.id), registered.name);
        }
    }
}
