//! Counts of what happened in a run.

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) full: u64,
    pub(super) partial: u64,
    pub(super) cuts: u64,
    pub(super) promotions: u64,
    pub(super) failovers: u64,
    pub(super) restarts: u64,
    pub(super) waits: u64,
    pub(super) logged_bytes: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.full += other.full;
        self.partial += other.partial;
        self.cuts += other.cuts;
        self.promotions += other.promotions;
        self.failovers += other.failovers;
        self.restarts += other.restarts;
        self.waits += other.waits;
        self.logged_bytes += other.logged_bytes;
    }
}
