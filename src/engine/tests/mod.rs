//! Transcripts: what clients send, and what they then read. Each was compared with Redis 7.0.15.

mod acl;
mod admission;
mod blocking;
mod client;
mod config;
mod connection;
mod displaced;
mod eviction;
mod fuzz;
mod introspection;
mod latency;
mod monitor;
mod propagation;
mod pubsub;
mod rdb_samples;
mod replication;
mod scripts;
mod security;
mod simulation;
mod slowlog;
mod snapshot;
mod streams;
mod tables;
mod tracking;
mod transactions;
mod writers;
