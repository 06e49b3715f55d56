//! [`Settings`]: a typed field for each honoured parameter; names and bounds are in the table.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::choice::{Choice, choices};
use super::figures::OomScores;
use super::origins::Origins;
use super::parameter::{PARAMETERS, Standing};
use super::share::MemoryShare;
use super::types::{
    ClientOutputBufferLimits, EventClasses, FileMode, MasterAddress, Percentiles, RenamedCommand,
    SavePoint, Secret, ShutdownFlags,
};
use super::users::UserLine;
pub use crate::limits::Collections;

/// All settings of a server. `default()` has the defaults of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the server listens.
    pub network: Network,
    /// Encryption.
    pub tls: Tls,
    /// Limits of clients.
    pub clients: Clients,
    /// Authentication and protection.
    pub security: Security,
    /// Databases and their events.
    pub keyspace: Keyspace,
    /// How collections are kept.
    pub collections: Collections,
    /// Scripts and functions.
    pub scripts: Scripts,
    /// The limit of memory, and what to evict.
    pub memory: Memory,
    /// The RDB file.
    pub snapshot: Snapshot,
    /// The append only file.
    pub aof: AppendOnly,
    /// Masters and replicas.
    pub replication: Replication,
    /// The server's own log.
    pub log: Log,
    /// The log of slow commands.
    pub slowlog: Slowlog,
    /// Threads and shutdown.
    pub process: Process,
    /// The admin server.
    pub admin: Admin,
    /// Values of ignored parameters that differ from the default, by name: CONFIG GET and REWRITE
    /// keep them.
    pub ignored: BTreeMap<&'static str, String>,
    /// Settings that the last load or change accepted without effect: one line each, for the
    /// logger.
    pub warnings: Vec<String>,
    /// The origins of the settings at start.
    pub origins: Origins,
}

/// Where the server listens. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    /// Addresses; a leading `-` means: skip if not available. `*`: all of IPv4. Empty: none.
    pub bind: Vec<String>,
    /// 0: no TCP.
    pub port: u16,
    /// Path of the Unix socket; empty: none.
    pub unixsocket: String,
    /// 0: the process's umask applies.
    pub unixsocketperm: FileMode,
    /// Length of the queue of connections not yet accepted.
    pub tcp_backlog: u32,
    /// 0: no keepalive probes.
    pub tcp_keepalive_secs: u32,
}

/// Encryption. `default()` is empty; see [`Settings::default`]. Files are PEM; an empty path: none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tls {
    /// 0: no port of TLS.
    pub port: u16,
    /// This server's certificate, and those between it and the CA's.
    pub cert_file: String,
    /// Its private key.
    pub key_file: String,
    /// The passphrase of the private key.
    pub key_file_pass: Secret,
    /// The certificate on the link to a master, if another one.
    pub client_cert_file: String,
    /// Its private key.
    pub client_key_file: String,
    /// The passphrase of that private key.
    pub client_key_file_pass: Secret,
    /// Certificates of CAs.
    pub ca_cert_file: String,
    /// Folder with further files of certificates of CAs.
    pub ca_cert_dir: String,
    /// Whether clients must have a certificate.
    pub auth_clients: ClientAuth,
    /// Follow the master over TLS.
    pub replication: bool,
    /// Names of versions between blanks; empty: all.
    pub protocols: String,
    /// List of TLS 1.2 ciphers in OpenSSL's notation; empty: all.
    pub ciphers: String,
    /// List of TLS 1.3 ciphers; empty: all.
    pub ciphersuites: String,
    /// Choose the first cipher of the server's list rather than of the client's.
    pub prefer_server_ciphers: bool,
    /// Let clients resume sessions.
    pub session_caching: bool,
    /// Number of sessions kept. 0: any number.
    pub session_cache_size: u32,
    /// How long they are kept.
    pub session_cache_timeout_secs: u32,
}

/// Limits of clients. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clients {
    /// Connections at a time.
    pub maxclients: u32,
    /// Time after which idle clients are disconnected. 0: never.
    pub timeout_secs: u32,
    /// Limit of a client's unparsed request bytes.
    pub query_buffer_limit_bytes: u64,
    /// Limits of a client's unsent reply bytes, by client class.
    pub output_buffer_limits: ClientOutputBufferLimits,
    /// Maximum length of a single argument of a request.
    pub proto_max_bulk_len_bytes: u64,
    /// Memory of all clients together from which the largest ones are disconnected.
    pub memory_max: MemoryShare,
    /// Keys that clients have in their caches, of which the server remembers whose. 0: any number.
    pub tracking_keys_max: u64,
}

/// Authentication and protection. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Security {
    /// Without a password, only loopback may connect.
    pub protected_mode: bool,
    /// The default user's password.
    pub requirepass: Secret,
    /// Whether DEBUG is available.
    pub enable_debug_command: LocalAccess,
    /// Whether MODULE may be asked to load modules, which it refuses otherwise.
    pub enable_module_command: LocalAccess,
    /// Whether CONFIG SET may change protected parameters.
    pub enable_protected_configs: LocalAccess,
    /// The users that files declare; none beside an ACL file.
    pub users: Vec<UserLine>,
    /// The path of the ACL file; empty: none.
    pub aclfile: String,
    /// Which channels a new user may use.
    pub acl_pubsub_default: PubsubDefault,
    /// Entries that ACL LOG keeps.
    pub acl_log_len_max: u64,
    /// In the order of renaming.
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

/// The limit of memory, and what to evict. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// 0: no limit.
    pub maxmemory_bytes: u64,
    /// Which keys are evicted.
    pub policy: EvictionPolicy,
    /// Keys looked at for each eviction, in each database.
    pub samples: u32,
    /// How long one command may evict: 0 to 100.
    pub eviction_tenacity: u32,
    /// How slowly the LFU counter grows.
    pub lfu_log_factor: u32,
    /// Time without an access that decreases the LFU counter by one. 0: it does not decrease.
    pub lfu_decay_minutes: u32,
    /// Propagate evictions as UNLINK.
    pub lazy_eviction: bool,
    /// Propagate expiries as UNLINK.
    pub lazy_expire: bool,
}

/// The RDB file. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The folder of the file and the working folder; absolute once loaded.
    pub dir: String,
    /// The name of the file in `dir`.
    pub dbfilename: String,
    /// When to save automatically; empty: never.
    pub save: Vec<SavePoint>,
    /// Compress long strings with LZF.
    pub rdbcompression: bool,
    /// Write and verify a checksum at the file's end.
    pub rdbchecksum: bool,
    /// Refuse writes after a failed background save.
    pub stop_writes_on_bgsave_error: bool,
    /// Memory that writes may retain for a running snapshot before it is aborted.
    pub retained_max_bytes: u64,
    /// Rest after each key that a snapshot saves. Negative: 1 µs after so many.
    pub key_save_delay_us: i32,
    /// Rest after each key that is loaded. Negative: 1 µs after so many.
    pub key_load_delay_us: i32,
}

/// The append only file. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AppendOnly {
    /// Whether there is one.
    pub enabled: bool,
    /// What the names of its files begin with.
    pub filename: String,
    /// Its folder, within [`Snapshot::dir`].
    pub dirname: String,
    /// When it is synced.
    pub fsync: AppendFsync,
    /// Leave syncs out while a snapshot is being written.
    pub no_sync_on_rewrite: bool,
    /// Growth since the last rewrite, in percent, that begins another. 0: none does.
    pub rewrite_percentage: u32,
    /// Smaller files are not rewritten by themselves.
    pub rewrite_bytes_min: u64,
    /// Load a file whose end is missing.
    pub load_truncated: bool,
    /// Whether a rewrite writes RDB, or commands.
    pub rdb_preamble: bool,
    /// Note the time in the file.
    pub timestamps: bool,
    /// Sync a rewrite while it is written.
    pub paced_rewrite: bool,
    /// Keep the files that a rewrite replaces.
    pub keep_history: bool,
}

/// Masters and replicas. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replication {
    /// The master that this node follows; `None`: it is a master. REPLICAOF and failovers change it.
    pub master: Option<MasterAddress>,
    /// Password for AUTH on the link to the master.
    pub masterauth: Secret,
    /// User for AUTH on the link to the master; empty: the default user.
    pub masteruser: Secret,
    /// Answer commands while the link to the master is down.
    pub serve_stale_data: bool,
    /// Refuse clients' writes while following a master.
    pub read_only: bool,
    /// Priority for Sentinel; 0: this replica is never promoted.
    pub priority: u32,
    /// Whether Sentinel lists this replica to clients.
    pub announced: bool,
    /// The address that this replica announces to its master; empty: none.
    pub announce_ip: String,
    /// The port that this replica announces; 0: the listening port.
    pub announce_port: u16,
    /// Where to load a full resync.
    pub full_sync: FullSync,
    /// Refuse a master that restarted with almost no data.
    pub empty_master_guard: bool,
    /// Silence after which a link is dead.
    pub timeout_secs: u32,
    /// Interval between pings to replicas.
    pub ping_period_secs: u32,
    /// Size of the backlog kept for replicas that reconnect.
    pub backlog_size_bytes: u64,
    /// Time without replicas after which the backlog is freed. 0: never.
    pub backlog_ttl_secs: i64,
    /// Stream a full resync while the snapshot runs.
    pub diskless_sync: bool,
    /// How long to wait for further replicas before such a full resync.
    pub diskless_sync_delay_secs: u32,
    /// Number of replicas that ends this wait early. 0: no number does.
    pub diskless_sync_replicas_max: u32,
    /// The address from which this node connects to its master; empty: the system chooses.
    pub bind_source_addr: String,
    /// Let the kernel coalesce packets to replicas.
    pub disable_tcp_nodelay: bool,
    /// Leave `maxmemory` to the master while following one.
    pub ignore_maxmemory: bool,
    /// Refuse writes with fewer good replicas.
    pub min_replicas_to_write: u32,
    /// Maximum age of a good replica's last acknowledgement.
    pub min_replicas_max_lag_secs: u32,
}

/// The server's own log. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// The minimum level of lines that are logged.
    pub level: LogLevel,
    /// Path; empty: standard output.
    pub file: String,
    /// The format of a line.
    pub format: LogFormat,
    /// Log to the system's log as well.
    pub syslog_enabled: bool,
    /// The program's name there.
    pub syslog_ident: String,
    /// The kind of program there.
    pub syslog_facility: SyslogFacility,
}

/// The log of slow commands. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slowlog {
    /// Commands that take longer are logged. Negative: none.
    pub slower_than_us: i64,
    /// Entries kept.
    pub max_len: u64,
    /// Duration from which an event is a latency spike, in milliseconds; 0: none is.
    pub spike_ms: i64,
    /// Whether INFO shows percentiles of how long commands take.
    pub latency_tracking: bool,
    /// Which.
    pub latency_percentiles: Percentiles,
}

/// Scripts and functions. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scripts {
    /// Milliseconds for which others wait for a script.
    pub busy_reply_threshold_ms: u64,
    /// Bytes that each interpreter may use; 0: half of the machine's memory.
    pub memory_max_bytes: u64,
    /// Whether scripts have `setfenv`, `getfenv` and `newproxy`.
    pub enable_deprecated_api: bool,
}

/// The admin server and traces. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admin {
    /// The address to listen on.
    pub bind: String,
    /// 0: no admin server.
    pub port: u16,
    /// Serve over TLS.
    pub tls: bool,
    /// The certificate; empty: that of the clients' port.
    pub tls_cert_file: String,
    /// Its private key.
    pub tls_key_file: String,
    /// Whether clients must have a certificate.
    pub tls_auth_clients: ClientAuth,
    /// Maximum number of connections; included in the limit of descriptors.
    pub max_connections: u32,
    /// Idle timeout of a connection.
    pub timeout_secs: u32,
    /// How long after its restart a master that had replicas is not `/primary`, unless its role is
    /// confirmed earlier.
    pub role_confirm_timeout_secs: u32,
    /// The bearer token that the protected routes require; none: no authorisation.
    pub token: Secret,
    /// Explicitly allow access without a token, whatever the listening address.
    pub allow_anonymous: bool,
    /// The prefix of the exporter's metric names.
    pub metrics_prefix: String,
    /// Maximum lag of a ready replica: a size or a time; empty: any.
    pub ready_lag_max: String,
    /// The collector's URL for traces, by OTLP over HTTP; empty: no traces.
    pub otlp_endpoint: String,
    /// Sampling: one command in this many is traced; 0: only slow and failed ones.
    pub trace_every: u64,
}

impl Admin {
    /// Whether address and port have their defaults.
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

    /// Who may read the admin server's data.
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

    /// The warning for the operator if anyone may read the data and no setting allows this
    /// explicitly.
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

/// Who may read the admin server's data; health is open to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAccess {
    /// No admin server.
    Off,
    /// Clients on this machine.
    Local,
    /// Clients with the token.
    Token,
    /// Everyone who reaches the port.
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

/// Threads and shutdown. `default()` is empty; see [`Settings::default`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// Run in the background.
    pub daemonize: bool,
    /// The supervisor to notify of the process's state.
    pub supervised: Supervised,
    /// Path of a file that holds the process id while the server runs; empty: none.
    pub pidfile: String,
    /// Worker threads. 0: one per core.
    pub workers: u32,
    /// Tie each worker to a core.
    pub pin_workers: bool,
    /// How long to wait for lagging replicas before ending.
    pub shutdown_timeout_secs: u32,
    /// How SIGINT ends the server.
    pub shutdown_on_sigint: ShutdownFlags,
    /// How SIGTERM ends the server.
    pub shutdown_on_sigterm: ShutdownFlags,
    /// Rounds of periodic work in a second, while there is work.
    pub hz: u32,
    /// Show a title in place of the arguments.
    pub set_proc_title: bool,
    /// See [`title`](super::title).
    pub proc_title_template: String,
    /// Whether a panic is reported in the log.
    pub crash_log_enabled: bool,
    /// Whether and how the system is told which process to end when memory runs out.
    pub oom_score_adj: OomScoreAdj,
    /// The numbers for that.
    pub oom_score_adj_values: OomScores,
    /// Use no huge pages of memory.
    pub disable_thp: bool,
}

choices! {
    /// The minimum level of lines in the log.
    pub enum LogLevel {
        Debug = "debug",
        Verbose = "verbose",
        #[default]
        Notice = "notice",
        Warning = "warning",
        Nothing = "nothing",
    }
    /// Which keys are evicted under `maxmemory`.
    pub enum EvictionPolicy {
        VolatileLru = "volatile-lru",
        VolatileLfu = "volatile-lfu",
        VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl",
        AllKeysLru = "allkeys-lru",
        AllKeysLfu = "allkeys-lfu",
        AllKeysRandom = "allkeys-random",
        #[default]
        NoEviction = "noeviction",
    }
    /// The format of a log line.
    pub enum LogFormat { #[default] Text = "text", Json = "json" }
    /// Who may use a dangerous feature: no one, everyone, or clients on this machine.
    pub enum LocalAccess { #[default] No = "no", Yes = "yes", Local = "local" }
    /// Whether clients must have a certificate, valid by the CAs' ones; optional: only a valid one
    /// or none.
    pub enum ClientAuth { No = "no", #[default] Yes = "yes", Optional = "optional" }
    /// Which channels a new user may use.
    pub enum PubsubDefault { AllChannels = "allchannels", #[default] ResetChannels = "resetchannels" }
    /// The supervisor to notify; `auto`: the one that the environment names.
    pub enum Supervised { Upstart = "upstart", Systemd = "systemd", Auto = "auto", #[default] No = "no" }
    /// How `oom-score-adj-values` are written: not at all, added to what was there, or as they are.
    pub enum OomScoreAdj { #[default] No = "no", Yes = "yes", Relative = "relative", Absolute = "absolute" }
    /// The kind of program in the system's log.
    pub enum SyslogFacility {
        User = "user",
        #[default]
        Local0 = "local0",
        Local1 = "local1",
        Local2 = "local2",
        Local3 = "local3",
        Local4 = "local4",
        Local5 = "local5",
        Local6 = "local6",
        Local7 = "local7",
    }
    /// When the append only file is synced.
    pub enum AppendFsync { #[default] EverySec = "everysec", Always = "always", No = "no" }
    /// Where a replica loads a full resync: beside its data, or from a file; automatic: as it fits.
    pub enum FullSync { #[default] Auto = "auto", Beside = "beside", Spool = "spool" }
}

impl EvictionPolicy {
    /// Whether only keys with an expiry are evicted.
    #[must_use]
    pub fn is_volatile(self) -> bool {
        matches!(
            self,
            Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl
        )
    }

    /// Whether accesses are counted rather than timed.
    #[must_use]
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllKeysLfu)
    }

    /// Whether the time of the last access decides.
    #[must_use]
    pub fn is_lru(self) -> bool {
        matches!(self, Self::VolatileLru | Self::AllKeysLru)
    }
}

impl Settings {
    /// Every field empty: what the defaults and the layers above them are applied to.
    pub(super) fn empty() -> Self {
        Self {
            network: Network::default(),
            tls: Tls::default(),
            clients: Clients::default(),
            security: Security::default(),
            keyspace: Keyspace::default(),
            collections: Collections::default(),
            scripts: Scripts::default(),
            memory: Memory::default(),
            snapshot: Snapshot::default(),
            aof: AppendOnly::default(),
            replication: Replication::default(),
            log: Log::default(),
            slowlog: Slowlog::default(),
            admin: Admin::default(),
            process: Process::default(),
            ignored: BTreeMap::new(),
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
