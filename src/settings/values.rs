//! [`Settings`]: a typed field for each parameter that limpid honours. Owns no names, bounds or
//! defaults: those are in the table of parameters.

use std::net::IpAddr;

use super::choice::{Choice, choices};
use super::default_user::DefaultUser;
use super::origins::Origins;
use super::parameter::{PARAMETERS, Standing};
use super::types::{
    ClientOutputBufferLimits, EventClasses, FileMode, MasterAddress, RenamedCommand, SavePoint,
    Secret, ShutdownFlags,
};

/// All settings of a server. `default()` has the defaults of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the server listens.
    pub network: Network,
    /// How many clients, and what one may use.
    pub clients: Clients,
    /// Who may do what.
    pub security: Security,
    /// Databases and their events.
    pub keyspace: Keyspace,
    /// The RDB file.
    pub snapshot: Snapshot,
    /// Masters and replicas.
    pub replication: Replication,
    /// The server's own log.
    pub log: Log,
    /// The log of slow commands.
    pub slowlog: Slowlog,
    /// Threads, and how the server ends.
    pub process: Process,
    /// The admin server.
    pub admin: Admin,
    /// What the last load or change accepted without effect: one line each, for the logger.
    pub warnings: Vec<String>,
    /// Where the settings of the start were written.
    pub origins: Origins,
}

/// Where the server listens. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    /// Addresses; a leading `-` means: go on without it where it is not available. `*`: all of
    /// IPv4. Empty: none.
    pub bind: Vec<String>,
    /// 0: no TCP.
    pub port: u16,
    /// Path of the Unix socket; empty: none.
    pub unixsocket: String,
    /// 0: as the process's umask has it.
    pub unixsocketperm: FileMode,
    /// Length of the queue of connections not yet accepted.
    pub tcp_backlog: u32,
    /// 0: no keepalive probes.
    pub tcp_keepalive_secs: u32,
}

/// How many clients, and what one may use. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clients {
    /// Connections at a time.
    pub maxclients: u32,
    /// Idle clients are disconnected after this. 0: never.
    pub timeout_secs: u32,
    /// A client's unparsed request bytes.
    pub query_buffer_limit_bytes: u64,
    /// A client's unsent reply bytes, by class of client.
    pub output_buffer_limits: ClientOutputBufferLimits,
    /// The longest single argument of a request.
    pub proto_max_bulk_len_bytes: u64,
}

/// Who may do what. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Security {
    /// Without a password, only loopback may connect.
    pub protected_mode: bool,
    /// The default user's password.
    pub requirepass: Secret,
    /// Whether DEBUG is available.
    pub enable_debug_command: LocalAccess,
    /// Whether CONFIG SET may change protected parameters.
    pub enable_protected_configs: LocalAccess,
    /// What a file says of the default user, which agrees with `requirepass`.
    pub default_user: Option<DefaultUser>,
    /// In the order in which they are to be renamed.
    pub renamed_commands: Vec<RenamedCommand>,
}

/// Databases and their events. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Keyspace {
    /// Number of databases, 1 or more.
    pub databases: u32,
    /// Which events are published.
    pub notify_events: EventClasses,
}

/// The RDB file. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The folder of the file and the working folder; absolute once loaded.
    pub dir: String,
    /// The name of the file in `dir`.
    pub dbfilename: String,
    /// When to save by itself; empty: never.
    pub save: Vec<SavePoint>,
    /// Compress long strings with LZF.
    pub rdbcompression: bool,
    /// Write and check a checksum at the file's end.
    pub rdbchecksum: bool,
    /// Refuse writes after a failed background save.
    pub stop_writes_on_bgsave_error: bool,
    /// Memory that a running snapshot may retain for it before it is aborted.
    pub retained_max_bytes: u64,
}

/// Masters and replicas. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replication {
    /// Whom this node follows; `None`: it is a master. REPLICAOF and failovers change it.
    pub master: Option<MasterAddress>,
    /// For AUTH on the link to the master.
    pub masterauth: Secret,
    /// Empty: the default user.
    pub masteruser: Secret,
    /// Answer while the link to the master is down.
    pub serve_stale_data: bool,
    /// Refuse writes of clients while following a master.
    pub read_only: bool,
    /// For Sentinel; 0: this replica is never promoted.
    pub priority: u32,
    /// For Sentinel: whether it tells clients of this replica.
    pub announced: bool,
    /// What this replica says of itself to its master; empty: nothing.
    pub announce_ip: String,
    /// 0: the port that is listened on.
    pub announce_port: u16,
    /// Where a full resync is loaded.
    pub full_sync: FullSync,
    /// Refuse a master that came back with next to nothing.
    pub empty_master_guard: bool,
    /// Silence after which a link is dead.
    pub timeout_secs: u32,
    /// Between two pings to replicas.
    pub ping_period_secs: u32,
    /// Bytes of the log kept for replicas that come back.
    pub backlog_size_bytes: u64,
    /// Without replicas for so long, the backlog is freed. 0: never.
    pub backlog_ttl_secs: i64,
    /// Send a full resync as it is made.
    pub diskless_sync: bool,
    /// Wait for further replicas before such a full resync.
    pub diskless_sync_delay_secs: u32,
    /// Replicas that end this wait. 0: none do.
    pub diskless_sync_replicas_max: u32,
    /// Let the kernel gather what goes to replicas.
    pub disable_tcp_nodelay: bool,
    /// Writes are refused with fewer good replicas.
    pub min_replicas_to_write: u32,
    /// Age of the last acknowledgement of a good replica.
    pub min_replicas_max_lag_secs: u32,
}

/// The server's own log. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// The least weighty lines that are shown.
    pub level: LogLevel,
    /// Path; empty: standard output.
    pub file: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// The log of slow commands. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slowlog {
    /// Commands that take longer are logged. Negative: none.
    pub slower_than_us: i64,
    /// Entries kept.
    pub max_len: u64,
    /// What takes so many milliseconds is a spike; 0: nothing is.
    pub spike_ms: i64,
}

/// The admin server and traces. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admin {
    /// The address to listen on.
    pub bind: String,
    /// 0: there is no admin server.
    pub port: u16,
    /// Connections at a time; the limit of descriptors counts them.
    pub max_connections: u32,
    /// How long a connection may be without asking anything.
    pub timeout_secs: u32,
    /// How long a master that had replicas before its restart is no `/primary` unless somebody
    /// confirms its role.
    pub role_confirm_timeout_secs: u32,
    /// Asked for where something is told; none: anybody may ask.
    pub token: Secret,
    /// That anybody may ask is wanted, wherever the server listens.
    pub allow_anonymous: bool,
    /// How the names of the exporter's metrics begin.
    pub metrics_prefix: String,
    /// How far a ready replica may be behind: a size or a time; empty: any.
    pub ready_lag_max: String,
    /// Where traces go, by OTLP over HTTP; empty: nowhere.
    pub otlp_endpoint: String,
    /// One command in so many is traced; 0: only slow ones and those that fail.
    pub trace_every: u64,
}

impl Admin {
    /// Whether address and port are those of the table.
    #[must_use]
    pub fn is_default(&self) -> bool {
        let default = Settings::default().admin;
        self.bind == default.bind && self.port == default.port
    }

    /// `role_confirm_timeout_secs` in milliseconds.
    #[must_use]
    pub fn role_confirm_timeout_ms(&self) -> i64 {
        i64::from(self.role_confirm_timeout_secs) * 1000
    }

    /// Whom the admin server tells what it knows.
    #[must_use]
    pub fn access(&self) -> AdminAccess {
        let is_local = match self.bind.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.bind.eq_ignore_ascii_case("localhost"),
        };
        match () {
            () if self.port == 0 => AdminAccess::Off,
            () if self.token.reveal().is_some() => AdminAccess::Token,
            () if is_local => AdminAccess::Local,
            () => AdminAccess::Anyone,
        }
    }

    /// What to tell the operator where anyone is told and nobody has said that this is wanted.
    #[must_use]
    pub fn open_warning(&self) -> Option<String> {
        let is_open = self.access() == AdminAccess::Anyone && !self.allow_anonymous;
        is_open.then(|| {
            format!(
                "The admin server on {} asks for no token: whoever reaches port {} sees addresses, \
                 commands and figures. Set admin-token, set admin-bind to 127.0.0.1, or, if that is \
                 wanted, set admin-allow-anonymous yes",
                self.bind, self.port
            )
        })
    }
}

/// Whom the admin server tells what it knows; health is told to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAccess {
    /// There is no admin server.
    Off,
    /// Who is on this machine.
    Local,
    /// Who has the token.
    Token,
    /// Whoever reaches the port.
    Anyone,
}

impl AdminAccess {
    /// In INFO's words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Local => "local",
            Self::Token => "token",
            Self::Anyone => "anyone",
        }
    }
}

/// Threads, and how the server ends. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// Go into the background.
    pub daemonize: bool,
    /// Whom to tell that the server serves.
    pub supervised: Supervised,
    /// Path of a file that holds the process id while the server runs; empty: none.
    pub pidfile: String,
    /// Worker threads. 0: one per core.
    pub workers: u32,
    /// Tie each worker to a core.
    pub pin_workers: bool,
    /// How long to wait for replicas that lag behind before ending.
    pub shutdown_timeout_secs: u32,
    /// What SIGINT does.
    pub shutdown_on_sigint: ShutdownFlags,
    /// What SIGTERM does.
    pub shutdown_on_sigterm: ShutdownFlags,
}

choices! {
    /// The least weighty lines that the log shows.
    pub enum LogLevel {
        Debug = "debug",
        Verbose = "verbose",
        #[default]
        Notice = "notice",
        Warning = "warning",
        Nothing = "nothing",
    }
    /// How a line of the log looks.
    pub enum LogFormat { #[default] Text = "text", Json = "json" }
    /// Who may use something dangerous: no one, everyone, or clients on this machine.
    pub enum LocalAccess { #[default] No = "no", Yes = "yes", Local = "local" }
    /// The supervisor that is told how the server is; by itself, the one that the environment names.
    pub enum Supervised { Upstart = "upstart", Systemd = "systemd", Auto = "auto", #[default] No = "no" }
    /// Where a replica loads a full resync: beside its data, or from a file that it has read
    /// through before it drops its data. By itself, as memory allows.
    pub enum FullSync { #[default] Auto = "auto", Beside = "beside", Spool = "spool" }
}

impl Settings {
    /// Every field empty: what the defaults and the layers above them are applied to.
    pub(super) fn empty() -> Self {
        Self {
            network: Network::default(),
            clients: Clients::default(),
            security: Security::default(),
            keyspace: Keyspace::default(),
            snapshot: Snapshot::default(),
            replication: Replication::default(),
            log: Log::default(),
            slowlog: Slowlog::default(),
            admin: Admin::default(),
            process: Process::default(),
            warnings: Vec::new(),
            origins: Origins::default(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self::empty();
        for parameter in PARAMETERS {
            if let (Standing::Honoured(field), Some(words)) =
                (&parameter.standing, parameter.default_words())
            {
                let assigned = parameter
                    .kind
                    .canonical(&words)
                    .and_then(|canonical| (field.assign)(&mut settings, &canonical));
                assigned.expect("a test walks the table and parses each default");
            }
        }
        settings
    }
}
