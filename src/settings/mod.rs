//! The settings of the server: one table of parameters, and the code derived from it.
//!
//! | File | Owns |
//! |---|---|
//! | `table` | a row for each parameter: name, kind, default, when it can change, its field |
//! | `parameter`, `kind`, `types`, `figures`, `check`, `lag`, `users`, `choice`, `field` | the parts of a row |
//! | `origins` | the origins of the settings |
//! | `values` | [`Settings`], the typed fields |
//! | `load`, `layer` | the layers, merged by the `config` crate |
//! | `redis_conf`, `toml_file`, `environment`, `command_line`, `words` | one layer each |
//! | `change` | CONFIG GET and CONFIG SET |
//! | `rewrite`, `rewrite_toml` | CONFIG REWRITE |
//!
//! Nothing here depends on the rest of the crate, opens sockets or keeps state: the caller of
//! CONFIG SET holds the current [`Settings`] and replaces them by the changed ones.

mod change;
mod check;
mod choice;
mod command_line;
mod environment;
mod error;
mod field;
mod figures;
mod kind;
mod lag;
mod layer;
mod load;
mod origins;
mod parameter;
mod redis_conf;
mod rewrite;
mod rewrite_toml;
mod share;
mod table;
mod toml_file;
mod types;
mod users;
mod values;
mod words;

pub use check::{Check, title};
pub use environment::is_secret_variable;
pub use error::{LoadError, SetError};
pub use field::Field;
pub use figures::OomScores;
pub use kind::Kind;
pub use lag::Lag;
pub use load::{Invocation, load};
pub use origins::Origins;
pub use parameter::{Change, Exposure, PARAMETERS, Parameter, Standing};
pub use rewrite::Rewrite;
pub use share::MemoryShare;
pub(crate) use types::memory_bytes;
pub use types::{
    BufferLimit, ClientOutputBufferLimits, EventClasses, FileMode, MasterAddress, RenamedCommand,
    SavePoint, Secret, ShutdownFlags, ShutdownSave,
};
pub use users::UserLine;
pub use values::{
    Admin, AdminAccess, AppendFsync, AppendOnly, ClientAuth, Clients, Collections, EvictionPolicy,
    FullSync, Keyspace, LocalAccess, Log, LogFormat, LogLevel, Memory, Network, OomScoreAdj,
    Process, PubsubDefault, Replication, Security, Settings, Slowlog, Snapshot, Supervised,
    SyslogFacility, Tls,
};

impl Settings {
    /// The port for clients: that of TCP, or that of TLS if it is the only one.
    #[must_use]
    pub fn client_port(&self) -> u16 {
        if self.network.port == 0 { self.tls.port } else { self.network.port }
    }
}
