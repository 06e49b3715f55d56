//! Loom models of what runs without a lock: all interleavings, and all that the memory model
//! allows, of a small table (segments of two slots). Run with
//! `RUSTFLAGS="--cfg limpid_loom" cargo test --release --lib model`.

use loom::sync::Arc;
use loom::thread;

use super::entry::{Content, Entry};
use super::reclaim::Reclaim;
use super::sync::Life;
use super::table::{Counts, Garbage, Head, TableMut};

/// Keys are their own hashes; the top bits after the shard's index the directory.
fn hash(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().expect("eight bytes"))
}

fn key(prefix: u64, place: u64) -> [u8; 8] {
    ((prefix << 48) | place).to_be_bytes()
}

fn check(bound: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(model);
}

#[test]
fn retired_memory_outlives_every_reader_that_may_see_it() {
    check(4, || {
        struct Shared {
            reclaim: Reclaim<Box<Life>>,
            current: loom::sync::atomic::AtomicPtr<Life>,
        }
        let shared = Arc::new(Shared {
            reclaim: Reclaim::new(2),
            current: loom::sync::atomic::AtomicPtr::new(Box::into_raw(Box::new(Life::new()))),
        });
        let reading = |reader: usize| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let inside = shared.reclaim.enter(reader);
                let life = shared.current.load(loom::sync::atomic::Ordering::Acquire);
                // SAFETY: what the model checks: it is not freed while this reader is inside.
                unsafe { (*life).look() };
                drop(inside);
            })
        };
        let readers = [reading(0), reading(1)];
        let new = Box::into_raw(Box::new(Life::new()));
        let old = shared.current.swap(new, loom::sync::atomic::Ordering::AcqRel);
        // SAFETY: made by `into_raw`, and just unlinked.
        shared.reclaim.retire(unsafe { Box::from_raw(old) });
        shared.reclaim.collect();
        for reader in readers {
            reader.join().expect("no panic");
        }
        // SAFETY: as above; nobody else is left.
        drop(unsafe { Box::from_raw(shared.current.load(loom::sync::atomic::Ordering::Relaxed)) });
    });
}

#[test]
fn prefetching_is_sound_while_segments_split_and_merge_and_tables_empty() {
    check(2, || {
        let shared = Arc::new((Head::new(), Reclaim::<Garbage>::new(1)));
        let counts = Counts::default();
        let insert = |prefix, place| {
            // SAFETY: this thread alone changes the table.
            let mut table = unsafe { TableMut::new(&shared.0, &counts, &shared.1) };
            let key = key(prefix, place);
            table.insert(Entry::new(&key, Content::Int(1), None), hash(&key), &hash);
        };
        insert(0, 0);
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let inside = shared.1.enter(0);
                let hash = hash(&key(0x80, 0));
                if let Some(segment) = shared.0.prefetch_slots(hash, &inside) {
                    Head::prefetch_entry(segment, hash);
                }
            })
        };
        insert(0x80, 0);
        insert(0xc0, 0);
        shared.1.collect();
        for prefix in [0xc0, 0x80, 0] {
            // SAFETY: as above.
            let mut table = unsafe { TableMut::new(&shared.0, &counts, &shared.1) };
            let key = key(prefix, 0);
            let entry = table.occupied(&key, hash(&key)).expect("inserted above");
            drop(entry.remove(&hash));
        }
        shared.1.collect();
        reader.join().expect("no panic");
        shared.1.collect();
    });
}
