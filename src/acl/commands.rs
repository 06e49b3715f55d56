//! The catalog of commands, compiled for rules: names, and a set of commands per category.

use std::collections::HashMap;

use super::categories::{self, Categories, NAMES};
use crate::text::until_nul;

/// The commands that rules name. Ids run from zero; a subcommand has its own. A renamed or removed
/// command keeps its original name here, as in Redis.
pub(crate) trait Catalog {
    /// The number of ids.
    fn ids(&self) -> usize;

    /// The full name in lower case: `get`, `config|get`.
    fn name(&self, id: usize) -> &str;

    /// The id of the command that has this one as a subcommand.
    fn container(&self, id: usize) -> Option<usize>;

    /// All categories, those that follow from flags included.
    fn categories(&self, id: usize) -> Categories;
}

/// A set of commands by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandSet(Box<[u64]>);

impl CommandSet {
    fn new(ids: usize) -> Self {
        Self(vec![0; ids.div_ceil(64)].into())
    }

    #[inline]
    pub(super) fn has(&self, id: usize) -> bool {
        self.0.get(id / 64).is_some_and(|word| word >> (id % 64) & 1 != 0)
    }

    fn insert(&mut self, id: usize) {
        self.0[id / 64] |= 1 << (id % 64);
    }

    /// Adds all of `others`, or takes them away.
    pub(super) fn change(&mut self, others: &Self, allow: bool) {
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word = if allow { *word | other } else { *word & !other };
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn common(&self, others: &Self) -> usize {
        let words = self.0.iter().zip(&others.0);
        words.map(|(word, other)| (word & other).count_ones() as usize).sum()
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.0.len() * 64).filter(|id| self.has(*id))
    }
}

/// A category's commands.
#[derive(Debug)]
struct Category {
    members: CommandSet,
    /// The members and their subcommands, which a rule changes with them.
    reach: CommandSet,
}

/// A catalog as rules use it.
#[derive(Debug)]
pub(crate) struct Commands {
    names: Vec<Box<str>>,
    by_name: HashMap<Box<str>, usize>,
    containers: Vec<Option<usize>>,
    /// By id: the command and its subcommands.
    families: Vec<CommandSet>,
    categories: Vec<Category>,
    all: CommandSet,
}

impl Commands {
    pub(crate) fn new(catalog: &impl Catalog) -> Self {
        let ids = catalog.ids();
        let names: Vec<Box<str>> = (0..ids).map(|id| catalog.name(id).into()).collect();
        let by_name = names.iter().enumerate().map(|(id, name)| (name.clone(), id)).collect();
        let containers: Vec<_> = (0..ids).map(|id| catalog.container(id)).collect();
        let mut families = vec![CommandSet::new(ids); ids];
        let mut all = CommandSet::new(ids);
        for (id, container) in containers.iter().enumerate() {
            families[id].insert(id);
            all.insert(id);
            if let Some(container) = container {
                families[*container].insert(id);
            }
        }
        let category = |index: usize| {
            let (mut members, mut reach) = (CommandSet::new(ids), CommandSet::new(ids));
            for id in (0..ids).filter(|id| catalog.categories(*id).has(index)) {
                members.insert(id);
                reach.change(&families[id], true);
            }
            Category { members, reach }
        };
        let categories = (0..NAMES.len()).map(category).collect();
        Self { names, by_name, containers, families, categories, all }
    }

    /// The id of a command or `container|subcommand`, in any case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        let name = std::str::from_utf8(until_nul(name)).ok()?.to_ascii_lowercase();
        self.by_name.get(name.as_str()).copied()
    }

    /// The full name in lower case.
    pub(crate) fn name(&self, id: usize) -> &str {
        &self.names[id]
    }

    /// The names of a category's commands and subcommands, for ACL CAT.
    ///
    /// # Errors
    /// There is no such category: code and text.
    pub(crate) fn in_category(&self, category: &[u8]) -> Result<Vec<&str>, Vec<u8>> {
        let Some(index) = categories::index(category) else {
            let shown = until_nul(&category[..category.len().min(128)]);
            return Err(super::rules::one_line([b"ERR Unknown category '", shown, b"'"].concat()));
        };
        Ok(self.categories[index].members.iter().map(|id| self.name(id)).collect())
    }

    pub(super) fn none(&self) -> CommandSet {
        CommandSet::new(self.names.len())
    }

    pub(super) fn all(&self) -> &CommandSet {
        &self.all
    }

    pub(super) fn is_subcommand(&self, id: usize) -> bool {
        self.containers[id].is_some()
    }

    pub(super) fn is_container(&self, id: usize) -> bool {
        self.families[id].len() > 1
    }

    /// A command and its subcommands.
    pub(super) fn family(&self, id: usize) -> &CommandSet {
        &self.families[id]
    }

    /// Commands in the order of ids, each directly before its subcommands.
    pub(super) fn in_order(&self) -> impl Iterator<Item = usize> {
        let top = (0..self.names.len()).filter(|id| !self.is_subcommand(*id));
        top.flat_map(|id| {
            std::iter::once(id).chain(self.families[id].iter().filter(move |sub| *sub != id))
        })
    }

    /// What a rule about a category changes. Empty for a category without commands.
    pub(super) fn reach(&self, category: usize) -> Option<&CommandSet> {
        Some(&self.categories[category].reach).filter(|reach| !reach.is_empty())
    }

    /// Of a category's commands, how many are in a set, and how many are not.
    pub(super) fn count(&self, category: usize, set: &CommandSet) -> (usize, usize) {
        let members = &self.categories[category].members;
        let on = set.common(members);
        (on, members.len() - on)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A catalog of `name categories` lines; a subcommand follows its container.
    #[derive(Debug)]
    pub(in crate::acl) struct Few(Vec<(&'static str, Categories)>);

    pub(in crate::acl) const FEW: &str = "\
get read string fast
set write string slow
mget read string fast
del keyspace write slow
select connection fast
config slow
config|get admin slow dangerous
config|set admin slow dangerous
client slow
client|id slow connection
client|kill admin slow dangerous connection
subscribe pubsub slow
auth fast connection
flushall keyspace write slow dangerous";

    impl Few {
        pub(in crate::acl) fn new() -> Self {
            let line = |line: &'static str| {
                let (name, categories) = line.split_once(' ').unwrap();
                (name, Categories::named(categories.split(' ')))
            };
            Self(FEW.lines().map(line).collect())
        }
    }

    impl Catalog for Few {
        fn ids(&self) -> usize {
            self.0.len()
        }

        fn name(&self, id: usize) -> &str {
            self.0[id].0
        }

        fn container(&self, id: usize) -> Option<usize> {
            let (container, _) = self.name(id).split_once('|')?;
            self.0.iter().position(|(name, _)| *name == container)
        }

        fn categories(&self, id: usize) -> Categories {
            self.0[id].1
        }
    }

    #[test]
    fn commands_are_found_by_full_names_in_any_case() {
        let commands = Commands::new(&Few::new());
        assert_eq!(commands.find(b"GET").map(|id| commands.name(id)), Some("get"));
        assert_eq!(commands.find(b"Config|Get").map(|id| commands.name(id)), Some("config|get"));
        for unknown in ["", "get|", "config|", "config|get|x", "nope", "|get"] {
            assert_eq!(commands.find(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn a_category_lists_its_commands() {
        let commands = Commands::new(&Few::new());
        assert_eq!(
            commands.in_category(b"Admin").unwrap(),
            ["config|get", "config|set", "client|kill"]
        );
        assert!(commands.in_category(b"scripting").unwrap().is_empty());
        let error = commands.in_category(b"x\ny").unwrap_err();
        assert_eq!(error, b"ERR Unknown category 'x y'");
    }
}
