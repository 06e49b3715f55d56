//! A snapshot of the server: gathers shared inputs once, so that all readings agree.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::usage::Usage;
use crate::aof::{Aof, Mode, Readings};
use crate::commands::registry::Registry;
use crate::node::Node;
use crate::node::admission::Condition;
use crate::node::client::Handle;
use crate::node::host::Memory;
use crate::node::persistence::{Loading, Saving};
use crate::node::replication::LinkStatus;
use crate::node::scripts::Figures;
use crate::node::stats::RATES;
use crate::replication::ReplicaView;
use crate::settings::{MasterAddress, Settings};

/// The input of readers. Costly parts are gathered on first use.
#[derive(Debug)]
pub(crate) struct Look<'n> {
    pub(super) node: &'n Node,
    pub(super) registry: &'n Registry,
    pub(super) settings: Arc<Settings>,
    /// Unix time in microseconds.
    pub(super) now_us: i64,
    /// Memory used under `maxmemory`, before this look itself takes any.
    used_bytes: Option<u64>,
    memory: OnceCell<Memory>,
    usage: OnceCell<Usage>,
    clients: OnceCell<ClientSums>,
    saving: OnceCell<Saving>,
    loading: OnceCell<Option<Loading>>,
    master: Option<MasterAddress>,
    link: OnceCell<LinkStatus>,
    replicas: OnceCell<Vec<ReplicaView>>,
    rates: OnceCell<[f64; RATES]>,
    processor_seconds: OnceCell<[f64; 2]>,
    threads: OnceCell<Vec<(String, [f64; 2])>>,
}

/// Sums over the connections; replicas separate, as in Redis.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct ClientSums {
    pub(in crate::commands) normal: usize,
    pub(super) normal_bytes: usize,
    pub(super) replica_bytes: usize,
    pub(super) input_bytes_max: usize,
    pub(super) output_bytes_max: usize,
}

impl ClientSums {
    fn of(handles: &[Arc<Handle>]) -> Self {
        let mut sums = Self::default();
        for handle in handles {
            let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
            let (input, output) = (load(&handle.input_bytes), load(&handle.output_bytes));
            let bytes = handle.memory_bytes();
            if handle.shown.lock().replica {
                sums.replica_bytes += bytes;
            } else {
                sums.normal += 1;
                sums.normal_bytes += bytes;
            }
            sums.input_bytes_max = sums.input_bytes_max.max(input);
            sums.output_bytes_max = sums.output_bytes_max.max(output);
        }
        sums
    }
}

impl<'n> Look<'n> {
    pub(super) fn scripts(&self) -> &'n Figures {
        &self.node.scripts.figures
    }

    /// The append only file.
    pub(super) fn file(&self) -> Option<&'n Arc<Aof>> {
        self.node.log.file()
    }

    /// What is shown of it while it is on.
    pub(super) fn readings(&self) -> Option<Readings> {
        self.file().filter(|file| file.mode() != Mode::Off).map(|file| file.readings())
    }

    pub(crate) fn new(node: &'n Node, registry: &'n Registry) -> Self {
        let settings = node.settings.load_full();
        let limited = settings.memory.maxmemory_bytes > 0;
        Self {
            node,
            registry,
            used_bytes: limited.then(|| node.host().used_bytes()),
            settings,
            now_us: node.clock.unix_us(),
            memory: OnceCell::new(),
            usage: OnceCell::new(),
            clients: OnceCell::new(),
            saving: OnceCell::new(),
            loading: OnceCell::new(),
            master: node.master(),
            link: OnceCell::new(),
            replicas: OnceCell::new(),
            rates: OnceCell::new(),
            processor_seconds: OnceCell::new(),
            threads: OnceCell::new(),
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_us / 1000
    }

    pub(super) fn uptime_s(&self) -> i64 {
        (self.now_ms() - self.node.identity.started_ms) / 1000
    }

    pub(in crate::commands) fn memory(&self) -> &Memory {
        self.memory.get_or_init(|| {
            let memory = self.node.host().memory();
            Memory { allocated: self.used_bytes.unwrap_or(memory.allocated), ..memory }
        })
    }

    /// Where memory goes.
    pub(in crate::commands) fn usage(&self) -> &Usage {
        self.usage.get_or_init(|| Usage::of(self))
    }

    pub(in crate::commands) fn clients(&self) -> &ClientSums {
        self.clients.get_or_init(|| ClientSums::of(&self.node.clients.all()))
    }

    /// The progress of a load during which commands fail with LOADING. Checked once, as the load may
    /// end between two readings.
    pub(super) fn loading(&self) -> Option<Loading> {
        *self.loading.get_or_init(|| {
            let loading = self.node.admission.has(Condition::Loading);
            loading.then(|| self.saving().loading.unwrap_or_default())
        })
    }

    pub(super) fn saving(&self) -> &Saving {
        self.saving.get_or_init(|| self.node.persistence.get())
    }

    /// The master; `None` if this node is a master.
    pub(super) fn master(&self) -> Option<&MasterAddress> {
        self.master.as_ref()
    }

    /// The link to the master; `None` if this node is a master.
    pub(super) fn link(&self) -> Option<&LinkStatus> {
        self.master()?;
        Some(self.link.get_or_init(|| self.node.link()))
    }

    pub(in crate::commands) fn replicas(&self) -> &[ReplicaView] {
        self.replicas.get_or_init(|| self.node.replication.replicas.views())
    }

    /// Commands, bytes read and bytes written per second.
    pub(super) fn rates(&self) -> [f64; RATES] {
        *self.rates.get_or_init(|| self.node.stats.rates.lock().per_second())
    }

    /// CPU time of the process: user and system.
    pub(super) fn processor_seconds(&self) -> [f64; 2] {
        *self.processor_seconds.get_or_init(|| self.node.host().processor_seconds())
    }

    /// CPU time by thread, the main thread first.
    pub(super) fn threads(&self) -> &[(String, [f64; 2])] {
        self.threads.get_or_init(|| self.node.host().thread_seconds())
    }
}
