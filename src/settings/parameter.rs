//! The type of a row of the parameter table, and constructors and look-up of rows. The rows
//! themselves are in `table`; [`PARAMETERS`] is all of them.

use super::field::Field;
use super::kind::Kind;
pub use super::table::PARAMETERS;
use super::words;

/// One parameter: a directive of redis.conf, a key of the TOML file, an environment variable
/// `LIMPID_…`, an option `--…`, and a name for CONFIG GET and SET.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// In lower case, with dashes.
    pub name: &'static str,
    /// Older names that mean the same.
    pub aliases: &'static [&'static str],
    /// Names introduced after Redis 7.0: valid in files, unknown to CONFIG.
    pub later_aliases: &'static [&'static str],
    /// The kind of its values.
    pub kind: Kind,
    /// As CONFIG GET shows it.
    pub default: &'static str,
    /// When it can change.
    pub change: Change,
    /// Whether it can change while data are being loaded.
    pub while_loading: bool,
    /// How limpid treats it.
    pub standing: Standing,
    /// Where its value must not appear.
    pub exposure: Exposure,
    /// One line on its purpose.
    pub description: &'static str,
}

/// When a parameter can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// By CONFIG SET at any time.
    Live,
    /// By CONFIG SET, if `enable-protected-configs` allows the client; the caller checks that.
    Protected,
    /// Only by a file, the environment or the command line when the server starts.
    AtStart,
    /// As `AtStart`, but CONFIG SET accepts the present value. For parameters of limpid's own: tools
    /// that set again all that CONFIG GET shows leave out those that Redis cannot change.
    Own,
    /// As `AtStart`, and CONFIG GET and SET do not know the name.
    FileOnly,
}

/// Where a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Everywhere.
    Open,
    /// By CONFIG GET only to a client that gives the whole name: it is for tests.
    Hidden,
    /// Not in logs and traces: it is a password or the like.
    Secret,
}

/// How limpid treats a parameter. To implement one, give its row a field.
#[derive(Debug, Clone, Copy)]
pub enum Standing {
    /// It has effect: this is its field.
    Honoured(Field),
    /// It only tunes Redis internals: accepted with a warning that gives this reason.
    Ignored(&'static str),
    /// It needs a feature that limpid lacks. Only the default is accepted.
    Refused {
        /// The missing feature.
        reason: &'static str,
    },
}

impl Parameter {
    pub(super) const fn honoured(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        change: Change,
        field: Field,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            later_aliases: &[],
            kind,
            default,
            change,
            while_loading: true,
            standing: Standing::Honoured(field),
            exposure: Exposure::Open,
            description,
        }
    }

    pub(super) const fn ignored(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        change: Change,
        reason: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            later_aliases: &[],
            kind,
            default,
            change,
            while_loading: true,
            standing: Standing::Ignored(reason),
            exposure: Exposure::Open,
            description: "tunes the insides of Redis",
        }
    }

    pub(super) const fn refused(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        change: Change,
        reason: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            later_aliases: &[],
            kind,
            default,
            change,
            while_loading: true,
            standing: Standing::Refused { reason },
            exposure: Exposure::Open,
            description: "not honoured yet",
        }
    }

    pub(super) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn later_alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.later_aliases = aliases;
        self
    }

    /// Marks a parameter that CONFIG SET leaves alone while data are being loaded.
    pub(super) const fn once_loaded(mut self) -> Self {
        self.while_loading = false;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.exposure = Exposure::Secret;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.exposure = Exposure::Hidden;
        self
    }

    /// Marks a parameter introduced after Redis 7.0, by Redis or Valkey: valid in files, unknown to
    /// CONFIG.
    pub(super) const fn later(mut self) -> Self {
        self.change = Change::FileOnly;
        self
    }

    /// The row of a name or alias, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PARAMETERS.iter().find(|parameter| {
            let mut names = parameter.names().chain(parameter.later_aliases.iter().copied());
            names.any(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// The name, then the aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The default as a directive's arguments; none for a file-only parameter.
    pub(super) fn default_words(&self) -> Option<Vec<String>> {
        (self.change != Change::FileOnly).then(|| self.words_of_text(self.default))
    }

    /// One text as the arguments of a directive: unchanged, or split if the kind takes several.
    pub(super) fn words_of_text(&self, text: &str) -> Vec<String> {
        if self.kind.takes_several_words() {
            words::split(text).unwrap_or_else(|_| vec![text.to_owned()])
        } else {
            vec![text.to_owned()]
        }
    }

    /// For a refused row: why it refuses these canonical words; `None` if it accepts them. `name`
    /// is the name as written.
    pub(super) fn refusal(&self, name: &str, canonical: &[String]) -> Option<String> {
        let Standing::Refused { reason } = self.standing else {
            return None;
        };
        let text = canonical.join(" ");
        // Each line of these adds a module or a listening address.
        if self.change == Change::FileOnly && matches!(self.kind, Kind::Words { .. }) {
            return Some(format!("limpid cannot honour '{name}' yet: {reason}"));
        }
        if text == self.default {
            return None;
        }
        Some(match self.default {
            "" => format!("limpid cannot honour '{name}' yet: {reason}"),
            only => format!("limpid cannot honour '{name}' other than '{only}' yet: {reason}"),
        })
    }

    /// For an ignored row: the warning. `name` is the name as written.
    pub(super) fn warning(&self, name: &str) -> Option<String> {
        match self.standing {
            Standing::Ignored(reason) => Some(format!("'{name}' has no effect: {reason}")),
            Standing::Honoured(_) | Standing::Refused { .. } => None,
        }
    }
}
