//! Tests of the append only file.

mod against_redis;
mod disk;
mod host;
mod kill;
mod loading;
mod power;
mod random;
mod records;
mod redis;
mod rewriting;
mod world;
mod writing;
