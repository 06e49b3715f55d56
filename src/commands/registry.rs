//! Looks up a command's row by the name that a client sends, after renames.

use super::{Args, Command};
use crate::acl::ChannelPlaces;

/// A row as registered in this server.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) row: &'static Command,
    /// Lower case; `container|subcommand` for a subcommand. Used in errors, statistics and COMMAND,
    /// also for a renamed command, as in Redis.
    pub(crate) name: String,
    /// The container's name in its row (or empty), and the row's own name.
    pub(crate) path: [&'static str; 2],
    /// Lower case: the name that clients send. Differs from `name` after a rename.
    sent: String,
    /// The row's index in arrays of statistics.
    pub(crate) id: usize,
    pub(crate) subcommands: Vec<Self>,
    /// Index of the first key if fixed. 0 if none.
    pub(crate) first_key: usize,
    /// Index of the first key if there is any, for prefetching. 0 if none.
    pub(crate) likely_key: usize,
    /// The first key is the only one: its shard is the complete lock set.
    pub(crate) one_key: bool,
    /// Arguments that are channels, which users need permission for.
    pub(crate) channels: Option<ChannelPlaces>,
}

/// All rows by name.
#[derive(Debug)]
pub(crate) struct Registry {
    commands: Vec<Registered>,
    /// Indices into `commands` plus one, open addressing.
    buckets: Vec<u16>,
    /// Length of the longest name in bytes: longer names are not looked up.
    name_bytes_max: usize,
    /// By id: the command's index, and the subcommand's within it.
    places: Vec<(usize, Option<usize>)>,
}

fn bucket_hash(name: &[u8]) -> usize {
    // ASCII letters differ in case by one bit.
    name.iter()
        .fold(name.len(), |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte | 0x20)))
}

impl Registry {
    /// All rows, some renamed: `(from, to)`; an empty `to` removes the command.
    ///
    /// # Errors
    /// A command does not exist, or a new name is taken; the text is Redis's.
    pub(crate) fn new(
        rows: impl Iterator<Item = &'static Command>,
        renames: &[(String, String)],
    ) -> Result<Self, String> {
        let mut ids = 0;
        let mut commands: Vec<Registered> =
            rows.map(|row| Registered::new(row, "", &mut ids)).collect();
        for (from, to) in renames {
            let found = commands.iter().position(|command| command.sent.eq_ignore_ascii_case(from));
            let at = found.ok_or_else(|| format!("No such command in rename-command: '{from}'"))?;
            if to.is_empty() {
                commands.remove(at);
            } else if commands.iter().any(|command| command.sent.eq_ignore_ascii_case(to)) {
                return Err(format!("Target command name already exists: '{to}'"));
            } else {
                commands[at].sent = to.to_ascii_lowercase();
            }
        }
        let size = (commands.len() * 4).next_power_of_two();
        let mut buckets = vec![0; size];
        for (index, command) in commands.iter().enumerate() {
            let mut at = bucket_hash(command.sent.as_bytes()) % size;
            while buckets[at] != 0 {
                at = (at + 1) % size;
            }
            buckets[at] = u16::try_from(index + 1).expect("a few hundred commands");
        }
        let mut places = vec![(0, None); ids];
        for (index, command) in commands.iter().enumerate() {
            places[command.id] = (index, None);
            for (nth, subcommand) in command.subcommands.iter().enumerate() {
                places[subcommand.id] = (index, Some(nth));
            }
        }
        let name_bytes_max = commands.iter().map(|command| command.sent.len()).max().unwrap_or(0);
        Ok(Self { commands, buckets, name_bytes_max, places })
    }

    /// The number of ids.
    pub(crate) fn ids(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn commands(&self) -> &[Registered] {
        &self.commands
    }

    /// Commands and subcommands.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Registered> {
        self.commands
            .iter()
            .flat_map(|command| std::iter::once(command).chain(&command.subcommands))
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<&Registered> {
        self.find_index(name).map(|index| &self.commands[index])
    }

    /// The row with an id.
    pub(crate) fn by_id(&self, id: usize) -> &Registered {
        let (command, subcommand) = self.places[id];
        let command = &self.commands[command];
        subcommand.map_or(command, |subcommand| &command.subcommands[subcommand])
    }

    /// A command's index among [`Registry::commands`].
    #[inline]
    pub(crate) fn find_index(&self, name: &[u8]) -> Option<usize> {
        if name.len() > self.name_bytes_max {
            return None;
        }
        let size = self.buckets.len();
        let mut at = bucket_hash(name) & (size - 1);
        loop {
            let index = usize::from(self.buckets[at]).checked_sub(1)?;
            if self.commands[index].sent.as_bytes().eq_ignore_ascii_case(name) {
                return Some(index);
            }
            at = (at + 1) & (size - 1);
        }
    }

    /// The row with this original full name, regardless of renames.
    pub(crate) fn find_row(&self, name: &[u8]) -> Option<&Registered> {
        self.all().find(|registered| registered.name.as_bytes() == name)
    }

    /// The row of a request: a container's only if it stands alone. Does not check the arity.
    pub(crate) fn resolve(&self, args: &Args<'_>) -> Option<&Registered> {
        let registered = self.find(args.at(0))?;
        match args.get(1) {
            Some(word) if registered.is_container() => registered.subcommand(word),
            _ => Some(registered),
        }
    }

    /// The row by the full name, `container|subcommand` included.
    pub(crate) fn find_full(&self, name: &[u8]) -> Option<&Registered> {
        match name.iter().position(|&byte| byte == b'|') {
            None => self.find(name),
            Some(at) => self.find(&name[..at])?.subcommand(&name[at + 1..]),
        }
    }
}

impl Registered {
    fn new(row: &'static Command, container: &'static str, ids: &mut usize) -> Self {
        let own = row.name.to_ascii_lowercase();
        let name = match container {
            "" => own.clone(),
            container => format!("{}|{own}", container.to_ascii_lowercase()),
        };
        let id = *ids;
        *ids += 1;
        let subcommands = row.subcommands.iter().map(|sub| Self::new(sub, row.name, ids)).collect();
        let (first_key, one_key) = row.keys.fixed().unwrap_or((0, false));
        let likely_key = row.keys.likely_first();
        let path = [container, row.name];
        let channels = ChannelPlaces::of(&name);
        Self {
            row,
            name,
            path,
            sent: own,
            id,
            subcommands,
            first_key,
            likely_key,
            one_key,
            channels,
        }
    }

    /// The subcommand with this word.
    pub(crate) fn subcommand(&self, word: &[u8]) -> Option<&Self> {
        self.subcommands.iter().find(|sub| sub.row.name.as_bytes().eq_ignore_ascii_case(word))
    }

    /// Whether a second word names a subcommand.
    #[inline]
    pub(crate) fn is_container(&self) -> bool {
        !self.subcommands.is_empty()
    }
}
