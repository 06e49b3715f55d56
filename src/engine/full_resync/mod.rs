//! Full resyncs: what a master offers, and how a replica takes it over.

pub(crate) mod offer;
pub(crate) mod takeover;
