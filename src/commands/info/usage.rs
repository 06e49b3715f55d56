//! Where memory goes: the sums behind INFO memory and the MEMORY command. All in bytes.

use std::sync::atomic::Ordering;

use super::look::Look;

/// Memory by purpose.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct Usage {
    pub(in crate::commands) allocated: u64,
    pub(in crate::commands) peak: u64,
    /// When serving began.
    pub(in crate::commands) startup: u64,
    /// The log of writes; its parts are `backlog` and a part of `clients_replicas`.
    pub(in crate::commands) log: u64,
    pub(in crate::commands) backlog: u64,
    pub(in crate::commands) clients_normal: u64,
    /// Connections of replicas, and what they have yet to be sent beyond the backlog.
    pub(in crate::commands) clients_replicas: u64,
    /// Old values that the running snapshot keeps.
    pub(in crate::commands) retained: u64,
    /// Texts and names of scripts, and of libraries.
    pub(in crate::commands) scripts: u64,
    pub(in crate::commands) functions: u64,
    /// Databases with keys.
    pub(in crate::commands) databases: Vec<DatabaseUsage>,
    /// All that is neither keys nor values.
    pub(in crate::commands) overhead: u64,
    pub(in crate::commands) dataset: u64,
}

/// The overhead of a database.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct DatabaseUsage {
    pub(in crate::commands) index: usize,
    pub(in crate::commands) keys: u64,
    /// Tables and the heads of entries.
    pub(in crate::commands) main: u64,
    pub(in crate::commands) expires: u64,
}

impl Usage {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let (node, allocated) = (look.node, look.memory().allocated);
        let before = node.stats.peak_memory_bytes.fetch_max(allocated, Ordering::Relaxed);
        let startup = node.stats.startup_memory_bytes.load(Ordering::Relaxed);
        let window = node.log.window();
        let log = window.held_bytes as u64;
        let excess = match node.replication.replicas.len() {
            0 => 0,
            _ => log.saturating_sub(window.bytes_max as u64),
        };
        let retained = look.saving().running.as_ref().map_or(0, |run| run.retention.bytes() as u64);
        let clients_normal = look.clients().normal_bytes as u64;
        let clients_replicas = look.clients().replica_bytes as u64
            + node.replication.replicas.output_bytes() as u64
            + excess;
        let keyspace = &node.keyspace;
        let database = |index| {
            let [main, expires] = keyspace.overhead_bytes(index).map(|bytes| bytes as u64);
            let keys = keyspace.len(index) as u64;
            (keys > 0).then_some(DatabaseUsage { index, keys, main, expires })
        };
        let databases: Vec<_> = (0..keyspace.databases()).filter_map(database).collect();
        let scripts = look.scripts().script_overhead_bytes.load(Ordering::Relaxed) as u64;
        let functions = look.scripts().function_overhead_bytes.load(Ordering::Relaxed) as u64;
        let tables: u64 = databases.iter().map(|database| database.main + database.expires).sum();
        let backlog = log - excess;
        let overhead = startup
            + backlog
            + clients_normal
            + clients_replicas
            + retained
            + tables
            + scripts
            + functions;
        Self {
            allocated,
            peak: before.max(allocated),
            startup,
            log,
            backlog,
            clients_normal,
            clients_replicas,
            retained,
            scripts,
            functions,
            databases,
            overhead,
            dataset: allocated.saturating_sub(overhead),
        }
    }

    /// What was allocated since serving began.
    pub(in crate::commands) fn beyond_start(&self) -> u64 {
        self.allocated.saturating_sub(self.startup)
    }

    pub(in crate::commands) fn keys(&self) -> u64 {
        self.databases.iter().map(|database| database.keys).sum()
    }
}
