//! The table of parameters, one row each. The layers' parsing and errors, CONFIG GET, CONFIG SET
//! and CONFIG REWRITE derive from it. Defaults and bounds are those of Redis 7.0.
//!
//! Three kinds of rows: honoured, refused, ignored. To honour one more, give its row a field and a
//! description and move it up; no other code names the parameters.

use super::check::Check;
use super::field::{Field, Value, field};
use super::kind::Kind::{
    self, BindAddresses, Bool, BufferLimits, Checked, Choice, EventClasses, FileMode, FileName,
    Master, OomScores, Rename, SavePoints, ShutdownFlags, Text, User,
};
use super::parameter::Change::{AtStart, FileOnly, Live, Own, Protected};
use super::parameter::Parameter as P;
use super::values::{
    AppendFsync, ClientAuth, EvictionPolicy, FullSync, LocalAccess, LogFormat, LogLevel,
    OomScoreAdj, PubsubDefault, Settings, Supervised, SyslogFacility,
};

const INT_MAX: i64 = i32::MAX as i64;
/// Each takes some kilobytes, even if empty.
const DATABASES_MAX: i64 = 100_000;
const LONG_MAX: u64 = i64::MAX as u64;
const MB: u64 = 1 << 20;

/// Redis keeps at least this much, whatever the setting.
const BACKLOG_BYTES_MIN: u64 = 16 * 1024;

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const fn memory(min: u64, max: u64) -> Kind {
    Kind::Memory { min, max }
}

const NATURAL: Kind = integer(0, INT_MAX);
const ANY_INT: Kind = integer(-INT_MAX - 1, INT_MAX);
const WORDS: Kind = Kind::Words { max: usize::MAX, excess: "" };

const BACKLOG_SIZE: Field = Field {
    path: ["replication", "backlog_size_bytes"],
    text: |settings| settings.replication.backlog_size_bytes.text(),
    assign: |settings: &mut Settings, words| {
        settings.replication.backlog_size_bytes.assign(words)?;
        let bytes = &mut settings.replication.backlog_size_bytes;
        *bytes = (*bytes).max(BACKLOG_BYTES_MIN);
        Ok(())
    },
};

const HZ_MAX: u32 = 500;

/// Redis brings it within 1 and 500, without an error.
const HZ: Field = Field {
    path: ["process", "hz"],
    text: |settings| settings.process.hz.text(),
    assign: |settings: &mut Settings, words| {
        settings.process.hz.assign(words)?;
        settings.process.hz = settings.process.hz.clamp(1, HZ_MAX);
        Ok(())
    },
};

// Reasons for ignoring rows.
const LAYOUT: &str = "limpid lays out its values in its own way";
const TIMING: &str = "limpid's background work sets its own pace";
const THREADS: &str = "limpid's threads are set with 'workers' and 'pin-workers'";
const FREEING: &str = "limpid decides by itself where it frees memory";
const CHECKED: &str = "a full resync is loaded as 'replica-full-sync' has it";
const APPLIES_ALL: &str = "a replica applies what its master sends, and logs what fails";
const NO_CLUSTER: &str = "there is no cluster mode";
const NO_DH: &str = "key exchanges are over elliptic curves, which need no parameters";
const LOOKS: &str = "limpid looks for changed certificates once a minute";
const PROCESS: &str = "limpid leaves this to the system that runs it";

/// All parameters.
#[rustfmt::skip]
pub const PARAMETERS: &[P] = &[
    // Honoured: these have effect.
    P::honoured("bind", BindAddresses, "* -::*", Live, field!(network.bind), "addresses to listen on; '-' before one: skip it where it is missing"),
    P::honoured("port", integer(0, 65535), "6379", Live, field!(network.port), "TCP port; 0: none"),
    P::honoured("unixsocket", Checked(Check::SocketPath), "", AtStart, field!(network.unixsocket), "path of a Unix socket to listen on"),
    P::honoured("unixsocketperm", FileMode, "0", AtStart, field!(network.unixsocketperm), "permissions of the Unix socket, octal; 0: as umask has it"),
    P::honoured("tls-port", integer(0, 65535), "0", Live, field!(tls.port), "TCP port of TLS; 0: none"),
    P::honoured("tls-cert-file", Checked(Check::Path), "", Live, field!(tls.cert_file), "file with this server's certificate and those between it and the CA's, as PEM"),
    P::honoured("tls-key-file", Checked(Check::Path), "", Live, field!(tls.key_file), "file with the certificate's private key, as PEM"),
    P::honoured("tls-key-file-pass", Text, "", Live, field!(tls.key_file_pass), "passphrase of that key; empty: it is not encrypted").secret(),
    P::honoured("tls-client-cert-file", Checked(Check::Path), "", Live, field!(tls.client_cert_file), "certificate for the link to a master; empty: that of tls-cert-file"),
    P::honoured("tls-client-key-file", Checked(Check::Path), "", Live, field!(tls.client_key_file), "private key of that certificate"),
    P::honoured("tls-client-key-file-pass", Text, "", Live, field!(tls.client_key_file_pass), "passphrase of that key; empty: it is not encrypted").secret(),
    P::honoured("tls-ca-cert-file", Checked(Check::Path), "", Live, field!(tls.ca_cert_file), "file with the certificates of the CAs that clients and masters are checked by"),
    P::honoured("tls-ca-cert-dir", Checked(Check::Path), "", Live, field!(tls.ca_cert_dir), "folder with such files"),
    P::honoured("tls-auth-clients", Choice(ClientAuth::NAMES), "yes", Live, field!(tls.auth_clients), "whether clients of the TLS port must have a certificate"),
    P::honoured("tls-replication", Bool, "no", Live, field!(tls.replication), "follow the master over TLS"),
    P::honoured("tls-protocols", Checked(Check::Names), "", Live, field!(tls.protocols), "versions of the protocol: TLSv1.2, TLSv1.3; empty: both"),
    P::honoured("tls-ciphers", Checked(Check::Names), "", Live, field!(tls.ciphers), "ciphers of TLSv1.2 in OpenSSL's notation; empty: all that limpid has"),
    P::honoured("tls-ciphersuites", Checked(Check::Names), "", Live, field!(tls.ciphersuites), "ciphers of TLSv1.3; empty: all that limpid has"),
    P::honoured("tls-prefer-server-ciphers", Bool, "no", Live, field!(tls.prefer_server_ciphers), "choose the first cipher of these lists, not of the client's"),
    P::honoured("tls-session-caching", Bool, "yes", Live, field!(tls.session_caching), "let clients resume sessions"),
    P::honoured("tls-session-cache-size", NATURAL, "20480", Live, field!(tls.session_cache_size), "sessions kept for that; 0: any number"),
    P::honoured("tls-session-cache-timeout", NATURAL, "300", Live, field!(tls.session_cache_timeout_secs), "seconds for which they are kept"),
    P::honoured("tcp-backlog", NATURAL, "511", AtStart, field!(network.tcp_backlog), "connections that may wait to be accepted"),
    P::honoured("tcp-keepalive", NATURAL, "300", Live, field!(network.tcp_keepalive_secs), "seconds between keepalive probes; 0: none"),
    P::honoured("timeout", NATURAL, "0", Live, field!(clients.timeout_secs), "seconds after which an idle client is disconnected; 0: never"),
    P::honoured("maxclients", integer(1, u32::MAX as i64), "10000", Live, field!(clients.maxclients), "connections at a time"),
    P::honoured("client-query-buffer-limit", memory(MB, LONG_MAX), "1073741824", Live, field!(clients.query_buffer_limit_bytes), "bytes of one client's unparsed requests"),
    P::honoured("client-output-buffer-limit", BufferLimits, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", Live, field!(clients.output_buffer_limits), "unsent reply bytes by class: hard, soft, seconds over soft"),
    P::honoured("proto-max-bulk-len", memory(MB, LONG_MAX), "536870912", Live, field!(clients.proto_max_bulk_len_bytes), "bytes of the longest single argument"),
    P::honoured("maxmemory-clients", Kind::MemoryShare, "0", Live, field!(clients.memory_max), "bytes of all clients, or a percentage of maxmemory, from which the largest ones are disconnected; 0: no limit"),
    P::honoured("tracking-table-max-keys", integer(0, i64::MAX), "1000000", Live, field!(clients.tracking_keys_max), "keys in clients' caches that the server remembers; 0: any number"),
    P::honoured("protected-mode", Bool, "yes", Live, field!(security.protected_mode), "without a password only this machine may connect"),
    P::honoured("requirepass", Text, "", Live, field!(security.requirepass), "the default user's password").secret(),
    P::honoured("enable-debug-command", Choice(LocalAccess::NAMES), "no", AtStart, field!(security.enable_debug_command), "who may use DEBUG"),
    P::honoured("enable-module-command", Choice(LocalAccess::NAMES), "no", AtStart, field!(security.enable_module_command), "who may use MODULE, which loads nothing"),
    P::honoured("enable-protected-configs", Choice(LocalAccess::NAMES), "no", AtStart, field!(security.enable_protected_configs), "who may change protected parameters"),
    P::honoured("user", User, "", FileOnly, field!(security.users), "a user's name and rules"),
    P::honoured("aclfile", Checked(Check::Path), "", AtStart, field!(security.aclfile), "the file with the users; empty: none"),
    P::honoured("acl-pubsub-default", Choice(PubsubDefault::NAMES), "resetchannels", Live, field!(security.acl_pubsub_default), "which channels a new user may use"),
    P::honoured("acllog-max-len", integer(0, i64::MAX), "128", Live, field!(security.acl_log_len_max), "entries of ACL LOG"),
    P::honoured("rename-command", Rename, "", FileOnly, field!(security.renamed_commands), "another name for a command; an empty one disables it"),
    P::honoured("databases", integer(1, DATABASES_MAX), "16", AtStart, field!(keyspace.databases), "number of databases"),
    P::honoured("notify-keyspace-events", EventClasses, "", Live, field!(keyspace.notify_events), "classes of keyspace events to publish"),
    P::honoured("hash-max-listpack-entries", integer(0, i64::MAX), "512", Live, field!(collections.hash_pack_entries_max), "fields up to which a hash is one listpack").alias(&["hash-max-ziplist-entries"]),
    P::honoured("hash-max-listpack-value", memory(0, LONG_MAX), "64", Live, field!(collections.hash_pack_value_bytes_max), "bytes of a field or value up to which a hash is one listpack").alias(&["hash-max-ziplist-value"]),
    P::honoured("list-max-listpack-size", ANY_INT, "-2", Live, field!(collections.list_node_size), "size of a node of a list: elements, or -1 to -5 for 4 to 64 KB").alias(&["list-max-ziplist-size"]),
    P::honoured("list-compress-depth", NATURAL, "0", Live, field!(collections.list_compress_depth), "nodes at each end of a list that stay uncompressed; 0: all"),
    P::honoured("set-max-intset-entries", integer(0, i64::MAX), "512", Live, field!(collections.set_intset_entries_max), "integers up to which a set is kept as an intset"),
    P::honoured("zset-max-listpack-entries", integer(0, i64::MAX), "128", Live, field!(collections.sorted_set_pack_entries_max), "members up to which a sorted set is one listpack").alias(&["zset-max-ziplist-entries"]),
    P::honoured("zset-max-listpack-value", memory(0, LONG_MAX), "64", Live, field!(collections.sorted_set_pack_value_bytes_max), "bytes of a member up to which a sorted set is one listpack").alias(&["zset-max-ziplist-value"]),
    P::honoured("hll-sparse-max-bytes", memory(0, LONG_MAX), "3000", Live, field!(collections.hll_sparse_bytes_max), "bytes up to which a HyperLogLog is sparse"),
    P::honoured("stream-node-max-bytes", memory(0, LONG_MAX), "4096", Live, field!(collections.stream_node_bytes_max), "bytes of a node of a stream; 0: any number"),
    P::honoured("stream-node-max-entries", integer(0, i64::MAX), "100", Live, field!(collections.stream_node_entries_max), "entries of a node of a stream; 0: any number"),
    P::honoured("maxmemory", memory(0, u64::MAX), "0", Live, field!(memory.maxmemory_bytes), "bytes from which keys are evicted or writes refused; 0: no limit"),
    P::honoured("maxmemory-policy", Choice(EvictionPolicy::NAMES), "noeviction", Live, field!(memory.policy), "which keys are evicted"),
    P::honoured("maxmemory-samples", integer(1, INT_MAX), "5", Live, field!(memory.samples), "keys looked at for each that is evicted, in each database"),
    P::honoured("maxmemory-eviction-tenacity", integer(0, 100), "10", Live, field!(memory.eviction_tenacity), "how long a command evicts at most: 50 us each up to 10, then 15% more each; 100: no limit"),
    P::honoured("lfu-log-factor", NATURAL, "10", Live, field!(memory.lfu_log_factor), "how slowly the counter of accesses grows"),
    P::honoured("lfu-decay-time", NATURAL, "1", Live, field!(memory.lfu_decay_minutes), "minutes without an access that decrease that counter; 0: none do"),
    P::honoured("lazyfree-lazy-eviction", Bool, "no", Live, field!(memory.lazy_eviction), "replicas are sent UNLINK for what is evicted, not DEL; limpid itself frees large values in the background anyway"),
    P::honoured("lazyfree-lazy-expire", Bool, "no", Live, field!(memory.lazy_expire), "the same for what has expired"),
    P::honoured("replica-ignore-maxmemory", Bool, "yes", Live, field!(replication.ignore_maxmemory), "a replica evicts nothing by itself").alias(&["slave-ignore-maxmemory"]),
    P::honoured("dir", Checked(Check::Path), ".", Protected, field!(snapshot.dir), "working folder, holds the RDB file").once_loaded(),
    P::honoured("dbfilename", FileName, "dump.rdb", Protected, field!(snapshot.dbfilename), "name of the RDB file"),
    P::honoured("save", SavePoints, "3600 1 300 100 60 10000", Live, field!(snapshot.save), "save after so many seconds if so many keys changed"),
    P::honoured("rdbcompression", Bool, "yes", Live, field!(snapshot.rdbcompression), "compress long strings in the RDB file"),
    P::honoured("rdbchecksum", Bool, "yes", AtStart, field!(snapshot.rdbchecksum), "checksum at the end of the RDB file"),
    P::honoured("stop-writes-on-bgsave-error", Bool, "yes", Live, field!(snapshot.stop_writes_on_bgsave_error), "refuse writes after a failed background save"),
    P::honoured("snapshot-retained-max", memory(MB, LONG_MAX), "1073741824", Live, field!(snapshot.retained_max_bytes), "memory a running snapshot may retain before it is aborted"),
    P::honoured("rdb-key-save-delay", ANY_INT, "0", Live, field!(snapshot.key_save_delay_us), "for tests: microseconds of rest after each saved key; -n: one after n keys").hidden(),
    P::honoured("key-load-delay", ANY_INT, "0", Live, field!(snapshot.key_load_delay_us), "for tests: microseconds of rest after each loaded key; -n: one after n keys").hidden(),
    P::honoured("appendonly", Bool, "no", Live, field!(aof.enabled), "keep an append only file, and load it at start").once_loaded(),
    P::honoured("appendfilename", Checked(Check::AofFile), "appendonly.aof", AtStart, field!(aof.filename), "what the names of its files begin with"),
    P::honoured("appenddirname", Checked(Check::AofFolder), "appendonlydir", AtStart, field!(aof.dirname), "its folder, within 'dir'"),
    P::honoured("appendfsync", Choice(AppendFsync::NAMES), "everysec", Live, field!(aof.fsync), "when it is synced to the disk"),
    P::honoured("no-appendfsync-on-rewrite", Bool, "no", Live, field!(aof.no_sync_on_rewrite), "do not sync it while a snapshot is being written"),
    P::honoured("auto-aof-rewrite-percentage", NATURAL, "100", Live, field!(aof.rewrite_percentage), "growth since the last rewrite that begins another; 0: none does"),
    P::honoured("auto-aof-rewrite-min-size", memory(0, LONG_MAX), "67108864", Live, field!(aof.rewrite_bytes_min), "smaller files are not rewritten by themselves"),
    P::honoured("aof-load-truncated", Bool, "yes", Live, field!(aof.load_truncated), "load a file whose end is missing, as far as it goes"),
    P::honoured("aof-use-rdb-preamble", Bool, "yes", Live, field!(aof.rdb_preamble), "whether a rewrite writes RDB, which is smaller and loads faster, or commands"),
    P::honoured("aof-timestamp-enabled", Bool, "no", Live, field!(aof.timestamps), "note the time in the file"),
    P::honoured("aof-rewrite-incremental-fsync", Bool, "yes", Live, field!(aof.paced_rewrite), "sync a rewrite while it is written, not only at its end"),
    P::honoured("aof-disable-auto-gc", Bool, "no", Live, field!(aof.keep_history), "keep the files that a rewrite replaces"),
    P::honoured("repl-backlog-size", memory(1, LONG_MAX), "1048576", Live, BACKLOG_SIZE, "bytes of the log of writes kept for replicas that come back"),
    P::honoured("replicaof", Master, "", AtStart, field!(replication.master), "host and port of the master to follow").alias(&["slaveof"]),
    P::honoured("masterauth", Text, "", Live, field!(replication.masterauth), "password for the master").later_alias(&["primaryauth"]).secret(),
    P::honoured("masteruser", Text, "", Live, field!(replication.masteruser), "user for the master; empty: the default user").later_alias(&["primaryuser"]).secret(),
    P::honoured("replica-serve-stale-data", Bool, "yes", Live, field!(replication.serve_stale_data), "answer reads while the link to the master is down").alias(&["slave-serve-stale-data"]),
    P::honoured("replica-read-only", Bool, "yes", Live, field!(replication.read_only), "refuse writes while following a master").alias(&["slave-read-only"]),
    P::honoured("replica-priority", NATURAL, "100", Live, field!(replication.priority), "order in which Sentinel promotes replicas; 0: never").alias(&["slave-priority"]),
    P::honoured("replica-announced", Bool, "yes", Live, field!(replication.announced), "whether Sentinel tells clients of this replica"),
    P::honoured("replica-announce-ip", Checked(Check::AnnouncedHost), "", Live, field!(replication.announce_ip), "address that this replica gives its master; empty: the connection's").alias(&["slave-announce-ip"]),
    P::honoured("replica-announce-port", integer(0, 65535), "0", Live, field!(replication.announce_port), "port that this replica gives its master; 0: the one it listens on").alias(&["slave-announce-port"]),
    P::honoured("replica-full-sync", Choice(FullSync::NAMES), "auto", Live, field!(replication.full_sync), "where a replica loads a full resync: beside its data, or from a file it has checked"),
    P::honoured("replica-empty-master-guard", Bool, "yes", Live, field!(replication.empty_master_guard), "refuse a master that came back with next to nothing"),
    P::honoured("repl-timeout", integer(1, INT_MAX), "60", Live, field!(replication.timeout_secs), "seconds of silence after which a link is dead"),
    P::honoured("repl-ping-replica-period", integer(1, INT_MAX), "10", Live, field!(replication.ping_period_secs), "seconds between pings to replicas").alias(&["repl-ping-slave-period"]),
    P::honoured("repl-backlog-ttl", integer(0, i64::MAX), "3600", Live, field!(replication.backlog_ttl_secs), "seconds without replicas after which the backlog is freed; 0: never"),
    P::honoured("repl-diskless-sync", Bool, "yes", Live, field!(replication.diskless_sync), "send a full resync as it is made to replicas that can take it"),
    P::honoured("repl-diskless-sync-delay", NATURAL, "5", Live, field!(replication.diskless_sync_delay_secs), "seconds to wait for further replicas before such a full resync"),
    P::honoured("repl-diskless-sync-max-replicas", NATURAL, "0", Live, field!(replication.diskless_sync_replicas_max), "replicas that end that wait; 0: none do"),
    P::honoured("bind-source-addr", Checked(Check::AnnouncedHost), "", Live, field!(replication.bind_source_addr), "address from which to connect to the master; empty: the system chooses"),
    P::honoured("repl-disable-tcp-nodelay", Bool, "no", Live, field!(replication.disable_tcp_nodelay), "let the kernel gather what goes to replicas"),
    P::honoured("min-replicas-to-write", NATURAL, "0", Live, field!(replication.min_replicas_to_write), "good replicas without which writes are refused; 0: any").alias(&["min-slaves-to-write"]),
    P::honoured("min-replicas-max-lag", NATURAL, "10", Live, field!(replication.min_replicas_max_lag_secs), "seconds since its last acknowledgement that a good replica may have").alias(&["min-slaves-max-lag"]),
    P::honoured("loglevel", Choice(LogLevel::NAMES), "notice", Live, field!(log.level), "least weighty lines that are logged"),
    P::honoured("logfile", Checked(Check::Path), "", AtStart, field!(log.file), "path of the log; empty: standard output"),
    P::honoured("log-format", Choice(LogFormat::NAMES), "text", Own, field!(log.format), "lines of text or JSON objects"),
    P::honoured("syslog-enabled", Bool, "no", AtStart, field!(log.syslog_enabled), "log to the system's log as well"),
    P::honoured("syslog-ident", Checked(Check::SyslogIdent), "redis", AtStart, field!(log.syslog_ident), "the program's name there"),
    P::honoured("syslog-facility", Choice(SyslogFacility::NAMES), "local0", AtStart, field!(log.syslog_facility), "the kind of program there"),
    P::honoured("slowlog-log-slower-than", integer(-1, i64::MAX), "10000", Live, field!(slowlog.slower_than_us), "microseconds beyond which a command is logged; -1: none").later_alias(&["commandlog-execution-slower-than"]),
    P::honoured("slowlog-max-len", integer(0, i64::MAX), "128", Live, field!(slowlog.max_len), "entries of the slow log").later_alias(&["commandlog-slow-execution-max-len"]),
    P::honoured("admin-bind", Checked(Check::Host), "127.0.0.1", Own, field!(admin.bind), "address of the admin server"),
    P::honoured("admin-port", integer(0, 65535), "9121", Own, field!(admin.port), "port of the admin server; 0: none"),
    P::honoured("admin-tls", Bool, "no", Own, field!(admin.tls), "serve the admin server over TLS"),
    P::honoured("admin-tls-cert-file", Checked(Check::Path), "", Live, field!(admin.tls_cert_file), "certificate of the admin server; empty: that of tls-cert-file"),
    P::honoured("admin-tls-key-file", Checked(Check::Path), "", Live, field!(admin.tls_key_file), "private key of that certificate, not encrypted"),
    P::honoured("admin-tls-auth-clients", Choice(ClientAuth::NAMES), "no", Live, field!(admin.tls_auth_clients), "whether clients of the admin server must have a certificate"),
    P::honoured("admin-max-connections", integer(1, 10_000), "128", Own, field!(admin.max_connections), "connections to the admin server at a time"),
    P::honoured("admin-timeout", integer(1, 3600), "10", Own, field!(admin.timeout_secs), "seconds after which a connection to the admin server that asks nothing is closed"),
    P::honoured("admin-allow-anonymous", Bool, "no", Own, field!(admin.allow_anonymous), "tell everybody who reaches the admin server, though it is not on loopback and has no token"),
    P::honoured("admin-role-confirm-timeout", integer(0, 3600), "30", Live, field!(admin.role_confirm_timeout_secs), "seconds for which a master that had replicas before its start is no /primary unless its role is confirmed"),
    P::honoured("admin-token", Checked(Check::Token), "", Live, field!(admin.token), "bearer token that the admin server asks for; empty: none").secret(),
    P::honoured("admin-ready-lag-max", Checked(Check::Lag), "", Live, field!(admin.ready_lag_max), "how far a ready replica may be behind, as 1MB or 50ms; empty: any"),
    P::honoured("otlp-endpoint", Checked(Check::HttpEndpoint), "", Own, field!(admin.otlp_endpoint), "collector for traces, as http://host:4318; empty: no traces"),
    P::honoured("trace-sample-every", integer(0, INT_MAX), "1000", Own, field!(admin.trace_every), "one command in so many is traced; 0: only slow ones and those that fail"),
    P::honoured("metrics-prefix", Checked(Check::MetricsPrefix), "redis", Own, field!(admin.metrics_prefix), "how the names of the exporter's metrics begin"),
    P::honoured("busy-reply-threshold", integer(0, i64::MAX), "5000", Live, field!(scripts.busy_reply_threshold_ms), "milliseconds after which others no longer wait for a script").alias(&["lua-time-limit"]),
    P::honoured("lua-enable-deprecated-api", Bool, "no", AtStart, field!(scripts.enable_deprecated_api), "let scripts use setfenv, getfenv and newproxy").hidden(),
    P::honoured("script-memory-max", memory(0, LONG_MAX), "0", Own, field!(scripts.memory_max_bytes), "bytes that scripts and functions each may use in Lua; 0: half of the machine's memory"),
    P::honoured("latency-monitor-threshold", integer(0, i64::MAX), "0", Live, field!(slowlog.spike_ms), "milliseconds beyond which LATENCY tells of a command; 0: none"),
    P::honoured("latency-tracking", Bool, "yes", Live, field!(slowlog.latency_tracking), "show percentiles of how long commands take in INFO"),
    P::honoured("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9", Live, field!(slowlog.latency_percentiles), "the percentiles, 0 to 100"),
    P::honoured("daemonize", Bool, "no", AtStart, field!(process.daemonize), "go into the background"),
    P::honoured("supervised", Choice(Supervised::NAMES), "no", AtStart, field!(process.supervised), "tell a supervisor when the server serves"),
    P::honoured("pidfile", Checked(Check::Path), "", AtStart, field!(process.pidfile), "path of a file that holds the process id"),
    P::honoured("workers", integer(0, 1024), "0", Own, field!(process.workers), "worker threads; 0: one per core"),
    P::honoured("pin-workers", Bool, "no", Own, field!(process.pin_workers), "tie each worker to a core"),
    P::honoured("shutdown-timeout", NATURAL, "10", Live, field!(process.shutdown_timeout_secs), "seconds to wait for replicas before ending"),
    P::honoured("shutdown-on-sigint", ShutdownFlags, "default", Live, field!(process.shutdown_on_sigint), "what SIGINT does"),
    P::honoured("hz", NATURAL, "10", Live, HZ, "rounds of periodic work in a second, while there is work"),
    P::honoured("set-proc-title", Bool, "yes", AtStart, field!(process.set_proc_title), "show a title in place of the arguments"),
    P::honoured("proc-title-template", Checked(Check::TitleTemplate), "{title} {listen-addr} {server-mode}", Live, field!(process.proc_title_template), "the title, as far as arguments and environment were long"),
    P::honoured("crash-log-enabled", Bool, "yes", Live, field!(process.crash_log_enabled), "report a panic in the log"),
    P::honoured("oom-score-adj", Choice(OomScoreAdj::NAMES), "no", Live, field!(process.oom_score_adj), "tell the system which process to end when memory runs out"),
    P::honoured("oom-score-adj-values", OomScores, "0 200 800", Live, field!(process.oom_score_adj_values), "numbers for that: as a master, as a replica, and one without use here"),
    P::honoured("disable-thp", Bool, "yes", AtStart, field!(process.disable_thp), "use no huge pages of memory"),
    P::honoured("shutdown-on-sigterm", ShutdownFlags, "default", Live, field!(process.shutdown_on_sigterm), "what SIGTERM does"),

    // Refused: these need durability, security or a role that limpid lacks.
    P::refused("loadmodule", WORDS, "", FileOnly, "there are no modules"),
    P::refused("cluster-enabled", Bool, "no", AtStart, NO_CLUSTER),
    // Introduced after Redis 7.0, by Redis or Valkey, and not safe to ignore.
    P::refused("unixsocketgroup", Text, "", AtStart, "the Unix socket stays in the process's own group").later(),
    P::refused("import-mode", Bool, "no", AtStart, "keys expire by themselves").later(),
    P::refused("rdma-bind", WORDS, "", AtStart, "there is no RDMA").later(),
    P::refused("rdma-port", integer(0, 65535), "0", AtStart, "there is no RDMA").later(),
    P::refused("tls-auth-clients-user", Text, "off", AtStart, "certificates name no users").later(),
    P::refused("gopher-enabled", Bool, "no", AtStart, "there is no Gopher").later(),

    // Ignored: these tune Redis internals, or features that are off.
    P::ignored("activerehashing", Bool, "yes", Live, TIMING),
    P::ignored("tls-dh-params-file", Text, "", Live, NO_DH),
    P::ignored("tls-cluster", Bool, "no", Live, NO_CLUSTER),
    P::ignored("tls-auto-reload-interval", Text, "", AtStart, LOOKS).later(),
    P::ignored("dynamic-hz", Bool, "yes", Live, "periodic work takes no longer with more clients"),
    P::ignored("active-expire-effort", integer(1, 10), "1", Live, TIMING),
    P::ignored("loading-process-events-interval-bytes", integer(1024, INT_MAX), "2097152", Live, "clients are answered at any time of a load").hidden(),
    P::ignored("use-exit-on-panic", Bool, "no", Live, "a panic ends the process in one way").hidden(),
    P::ignored("activedefrag", Bool, "no", Live, FREEING),
    P::ignored("active-defrag-ignore-bytes", memory(1, LONG_MAX), "104857600", Live, FREEING),
    P::ignored("active-defrag-threshold-lower", integer(0, 1000), "10", Live, FREEING),
    P::ignored("active-defrag-threshold-upper", integer(0, 1000), "100", Live, FREEING),
    P::ignored("active-defrag-cycle-min", integer(1, 99), "1", Live, FREEING),
    P::ignored("active-defrag-cycle-max", integer(1, 99), "25", Live, FREEING),
    P::ignored("active-defrag-max-scan-fields", integer(1, i64::MAX), "1000", Live, FREEING),
    P::ignored("jemalloc-bg-thread", Bool, "yes", Live, FREEING),
    P::ignored("lazyfree-lazy-server-del", Bool, "no", Live, FREEING),
    P::ignored("lazyfree-lazy-user-del", Bool, "no", Live, FREEING),
    P::ignored("lazyfree-lazy-user-flush", Bool, "no", Live, FREEING),
    P::ignored("replica-lazy-flush", Bool, "no", Live, FREEING).alias(&["slave-lazy-flush"]),
    P::ignored("io-threads", integer(1, 128), "1", AtStart, THREADS),
    P::ignored("io-threads-do-reads", Bool, "no", AtStart, THREADS),
    P::ignored("server_cpulist", Text, "", AtStart, THREADS).later_alias(&["server-cpulist"]),
    P::ignored("bio_cpulist", Text, "", AtStart, THREADS).later_alias(&["bio-cpulist"]),
    P::ignored("aof_rewrite_cpulist", Text, "", AtStart, THREADS).later_alias(&["aof-rewrite-cpulist"]),
    P::ignored("bgsave_cpulist", Text, "", AtStart, THREADS).later_alias(&["bgsave-cpulist"]),
    P::ignored("always-show-logo", Bool, "no", AtStart, "limpid has no logo"),
    P::ignored("crash-memcheck-enabled", Bool, "yes", Live, PROCESS),
    P::ignored("ignore-warnings", Text, "", Live, "limpid looks for no bug of the system"),
    P::ignored("socket-mark-id", integer(0, u32::MAX as i64), "0", AtStart, PROCESS),
    P::ignored("sanitize-dump-payload", Choice(&["no", "yes", "clients"]), "no", Live, "limpid checks every payload"),
    P::ignored("rdb-save-incremental-fsync", Bool, "yes", Live, TIMING),
    P::ignored("rdb-del-sync-files", Bool, "no", Live, "files of a full resync never outlive it"),
    P::ignored("replica-ignore-disk-write-errors", Bool, "no", Live, APPLIES_ALL),
    P::ignored("repl-diskless-load", Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled", Live, CHECKED).once_loaded(),
    P::ignored("propagation-error-behavior", Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore", Live, APPLIES_ALL),
    P::ignored("cluster-config-file", Text, "nodes.conf", AtStart, NO_CLUSTER),
    P::ignored("cluster-node-timeout", integer(0, i64::MAX), "15000", Live, NO_CLUSTER),
    P::ignored("cluster-port", integer(0, 65535), "0", AtStart, NO_CLUSTER),
    P::ignored("cluster-announce-ip", Text, "", Live, NO_CLUSTER),
    P::ignored("cluster-announce-hostname", Text, "", Live, NO_CLUSTER),
    P::ignored("cluster-announce-port", integer(0, 65535), "0", Live, NO_CLUSTER),
    P::ignored("cluster-announce-bus-port", integer(0, 65535), "0", Live, NO_CLUSTER),
    P::ignored("cluster-announce-tls-port", integer(0, 65535), "0", Live, NO_CLUSTER),
    P::ignored("cluster-preferred-endpoint-type", Choice(&["ip", "hostname", "unknown-endpoint"]), "ip", Live, NO_CLUSTER),
    P::ignored("cluster-migration-barrier", NATURAL, "1", Live, NO_CLUSTER),
    P::ignored("cluster-replica-validity-factor", NATURAL, "10", Live, NO_CLUSTER).alias(&["cluster-slave-validity-factor"]),
    P::ignored("cluster-replica-no-failover", Bool, "no", Live, NO_CLUSTER).alias(&["cluster-slave-no-failover"]),
    P::ignored("cluster-require-full-coverage", Bool, "yes", Live, NO_CLUSTER),
    P::ignored("cluster-allow-replica-migration", Bool, "yes", Live, NO_CLUSTER),
    P::ignored("cluster-allow-reads-when-down", Bool, "no", Live, NO_CLUSTER),
    P::ignored("cluster-allow-pubsubshard-when-down", Bool, "yes", Live, NO_CLUSTER),
    P::ignored("cluster-link-sendbuf-limit", memory(0, LONG_MAX), "0", Live, NO_CLUSTER),

    // Ignored as well: tuning introduced after Redis 7.0, by Redis or Valkey.
    P::ignored("set-max-listpack-entries", Text, "", AtStart, LAYOUT).later(),
    P::ignored("set-max-listpack-value", Text, "", AtStart, LAYOUT).later(),
    P::ignored("list-max-ziplist-entries", Text, "", AtStart, LAYOUT).later(),
    P::ignored("list-max-ziplist-value", Text, "", AtStart, LAYOUT).later(),
    P::ignored("locale-collate", Text, "", AtStart, "limpid compares bytes").later(),
    P::ignored("hide-user-data-from-log", Text, "", AtStart, "the log never holds what clients send").later(),
    P::ignored("max-new-connections-per-cycle", Text, "", AtStart, TIMING).later(),
    P::ignored("max-new-tls-connections-per-cycle", Text, "", AtStart, TIMING).later(),
    P::ignored("lookahead", Text, "", AtStart, TIMING).later(),
    P::ignored("replica-full-sync-buffer-limit", Text, "", AtStart, TIMING).later(),
    P::ignored("dual-channel-replication-enabled", Text, "", AtStart, TIMING).later(),
    P::ignored("events-per-io-thread", Text, "", AtStart, THREADS).later(),
    P::ignored("prefetch-batch-max-size", Text, "", AtStart, THREADS).later(),
    P::ignored("io-threads-always-active", Text, "", AtStart, THREADS).later(),
    P::ignored("min-io-threads-avoid-copy-reply", Text, "", AtStart, THREADS).later(),
    P::ignored("min-string-size-avoid-copy-reply", Text, "", AtStart, THREADS).later(),
    P::ignored("min-string-size-avoid-copy-reply-threaded", Text, "", AtStart, THREADS).later(),
    P::ignored("extended-redis-compatibility", Text, "", AtStart, "limpid calls itself Redis where clients ask").later(),
    P::ignored("availability-zone", Text, "", AtStart, PROCESS).later(),
    P::ignored("mptcp", Text, "", AtStart, PROCESS).later(),
    P::ignored("repl-mptcp", Text, "", AtStart, PROCESS).later(),
    P::ignored("rdma-rx-size", Text, "", AtStart, PROCESS).later(),
    P::ignored("rdma-completion-vector", Text, "", AtStart, PROCESS).later(),
    P::ignored("log-timestamp-format", Text, "", AtStart, PROCESS).later(),
    P::ignored("hash-seed", Text, "", AtStart, PROCESS).later(),
    P::ignored("key-memory-histograms", Text, "", AtStart, PROCESS).later(),
    P::ignored("rdb-version-check", Text, "", AtStart, "files of unknown versions are refused").later(),
    P::ignored("commandlog-request-larger-than", Text, "", AtStart, "the slow log keeps slow commands alone").later(),
    P::ignored("commandlog-large-request-max-len", Text, "", AtStart, "the slow log keeps slow commands alone").later(),
    P::ignored("commandlog-reply-larger-than", Text, "", AtStart, "the slow log keeps slow commands alone").later(),
    P::ignored("commandlog-large-reply-max-len", Text, "", AtStart, "the slow log keeps slow commands alone").later(),
    P::ignored("lua-replicate-commands", Text, "", AtStart, "there are no scripts yet").later(),
    P::ignored("lua-enable-insecure-api", Text, "", AtStart, "there are no scripts yet").later(),
    P::ignored("stream-idmp-duration", Text, "", AtStart, LAYOUT).later(),
    P::ignored("stream-idmp-maxsize", Text, "", AtStart, LAYOUT).later(),
    P::ignored("vset-force-single-threaded-execution", Text, "", AtStart, LAYOUT).later(),
    P::ignored("cluster-announce-human-nodename", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-compatibility-sample-ratio", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-slot-stats-enabled", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-announce-client-ipv4", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-announce-client-ipv6", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-announce-client-port", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-announce-client-tls-port", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-blacklist-ttl", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-databases", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-manual-failover-timeout", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-message-gossip-perc", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-ping-interval", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-slot-migration-log-max-len", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-slot-migration-handoff-max-lag-bytes", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-slot-migration-write-pause-timeout", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("slot-migration-max-failover-repl-bytes", Text, "", AtStart, NO_CLUSTER).later(),
    P::ignored("cluster-config-save-behavior", Text, "", AtStart, NO_CLUSTER).later(),
];

#[cfg(test)]
mod tests;
