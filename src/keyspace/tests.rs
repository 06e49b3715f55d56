//! The keyspace against a plain map: any sequence of changes, scans and snapshots among them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proptest::prelude::*;

use super::scan::Cursor;
use super::snapshot::{GivenUp, Snapshot, WalkStep};
use super::*;
use crate::types::{Buffer, Place};

const DATABASES: usize = 3;

fn keyspace() -> Arc<Keyspace> {
    Arc::new(Keyspace::new(DATABASES, 1, [1, 2, 3, 4]))
}

/// What a database holds: values with expiries.
type Model = Vec<HashMap<Vec<u8>, (Vec<u8>, Option<i64>)>>;

/// One change.
#[derive(Clone, Debug)]
enum Change {
    Store { database: usize, key: u16, value: Vec<u8>, expire: Option<i64> },
    Append { database: usize, key: u16 },
    SetExpiry { database: usize, key: u16, expire: Option<i64> },
    Remove { database: usize, key: u16 },
    Move { from: usize, to: usize, key: u16 },
    Rename { database: usize, from: u16, to: u16 },
    Swap { a: usize, b: usize },
    Flush { database: usize },
}

fn name(key: u16) -> Vec<u8> {
    format!("key:{key}").into_bytes()
}

fn changes(keys: u16) -> impl Strategy<Value = Change> {
    let database = 0..DATABASES;
    let expire = prop::option::weighted(0.3, 1_i64..1_000_000);
    let value = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just(b"12345".to_vec()),
        1 => (5000_usize..200_000).prop_map(|len| vec![b'x'; len]),
    ];
    prop_oneof![
        20 => (database.clone(), 0..keys, value, expire.clone()).prop_map(
            |(database, key, value, expire)| Change::Store { database, key, value, expire }
        ),
        5 => (database.clone(), 0..keys)
            .prop_map(|(database, key)| Change::Append { database, key }),
        4 => (database.clone(), 0..keys, expire)
            .prop_map(|(database, key, expire)| Change::SetExpiry { database, key, expire }),
        10 => (database.clone(), 0..keys)
            .prop_map(|(database, key)| Change::Remove { database, key }),
        4 => (database.clone(), database.clone(), 0..keys)
            .prop_map(|(from, to, key)| Change::Move { from, to, key }),
        4 => (database.clone(), 0..keys, 0..keys)
            .prop_map(|(database, from, to)| Change::Rename { database, from, to }),
        1 => (database.clone(), database.clone()).prop_map(|(a, b)| Change::Swap { a, b }),
        1 => database.prop_map(|database| Change::Flush { database }),
    ]
}

/// Appends to a string where it lies; false if it is kept as an integer.
fn append(mut value: Editor<'_>) -> bool {
    if value.encoding() == Encoding::Int {
        return false;
    }
    if let Some(Object::String(chunks)) = value.object_mut() {
        chunks.write_at(chunks.len(), b"more");
    } else {
        value.splice(value.bytes().len(), 0, b"more");
    }
    true
}

/// Makes a change in both.
fn apply(locked: &mut Locked<'_>, model: &mut Model, change: Change) {
    match change {
        Change::Store { database, key, value, expire } => {
            let bytes = name(key);
            locked.store(database, locked.key(&bytes), Content::encode(&value), expire, 0);
            model[database].insert(bytes, (value, expire));
        }
        Change::Append { database, key } => {
            let bytes = name(key);
            if locked.edit(database, locked.key(&bytes)).is_some_and(append) {
                model[database].get_mut(&bytes).expect("in both").0.extend_from_slice(b"more");
            }
        }
        Change::SetExpiry { database, key, expire } => {
            let bytes = name(key);
            let found = locked.set_expiry(database, locked.key(&bytes), expire);
            let entry = model[database].get_mut(&bytes);
            assert_eq!(found, entry.is_some());
            if let Some(entry) = entry {
                entry.1 = expire;
            }
        }
        Change::Remove { database, key } => {
            let bytes = name(key);
            let removed = locked.remove(database, locked.key(&bytes));
            assert_eq!(removed, model[database].remove(&bytes).is_some());
        }
        Change::Move { from, to, key } => apply_move(locked, model, [from, to], name(key)),
        Change::Rename { database, from, to } => {
            apply_rename(locked, model, database, name(from), name(to));
        }
        Change::Swap { a, b } => {
            locked.swap(a, b);
            model.swap(a, b);
        }
        Change::Flush { database } => {
            locked.flush_later(database);
            model[database].clear();
        }
    }
}

fn apply_move(locked: &mut Locked<'_>, model: &mut Model, [from, to]: [usize; 2], bytes: Vec<u8>) {
    let key = locked.key(&bytes);
    if from != to
        && locked.get(to, key).is_none()
        && let Some(entry) = locked.take(from, key)
    {
        let expire = entry.view().expire_at_ms();
        locked.put(to, key, entry, expire);
        let value = model[from].remove(&bytes).expect("in both");
        model[to].insert(bytes, value);
    }
}

fn apply_rename(
    locked: &mut Locked<'_>,
    model: &mut Model,
    database: usize,
    from: Vec<u8>,
    to: Vec<u8>,
) {
    if from != to
        && let Some(entry) = locked.take(database, locked.key(&from))
    {
        let expire = entry.view().expire_at_ms();
        locked.remove(database, locked.key(&to));
        locked.put(database, locked.key(&to), entry, expire);
        let value = model[database].remove(&from).expect("in both");
        model[database].insert(to, value);
    }
}

fn contents(entry: EntryRef<'_>) -> (Vec<u8>, Option<i64>) {
    let string = entry.value().string().expect("all are strings");
    (string.to_bytes().into_owned(), entry.expire_at_ms())
}

fn assert_same(keyspace: &Keyspace, model: &Model) {
    let mut guard = keyspace.lock(ShardSet::ALL);
    for (database, expected) in model.iter().enumerate() {
        let mut found = HashMap::new();
        guard.locked().for_each(database, |entry| {
            let old = found.insert(entry.key().to_vec(), contents(entry));
            assert!(old.is_none(), "met twice");
        });
        assert_eq!(&found, expected);
        assert_eq!(keyspace.len(database), expected.len());
        let expiring = expected.values().filter(|(_, expire)| expire.is_some()).count();
        assert_eq!(keyspace.expires(database), expiring);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changes_do_what_they_do_to_a_map(
        changes in prop::collection::vec(changes(200), 0..600),
    ) {
        let (keyspace, mut model) = (keyspace(), vec![HashMap::new(); DATABASES]);
        for change in changes {
            apply(&mut keyspace.lock(ShardSet::ALL).locked(), &mut model, change);
        }
        assert_same(&keyspace, &model);
        keyspace.collect();
    }

    #[test]
    fn a_snapshot_is_the_state_at_its_cut_whatever_happens_meanwhile(
        rounds in prop::collection::vec(
            (
                prop::collection::vec(changes(60), 0..80),
                prop::collection::vec(prop::collection::vec(changes(60), 0..4), 0..400),
                // After how many steps it is given up.
                prop::option::weighted(0.4, 0_usize..300),
            ),
            1..4,
        ),
    ) {
        let (keyspace, mut model) = (keyspace(), vec![HashMap::new(); DATABASES]);
        for (before, during, given_up_at) in rounds {
            for change in before {
                apply(&mut keyspace.lock(ShardSet::ALL).locked(), &mut model, change);
            }
            let expected = model.clone();
            let mut snapshot =
                Snapshot::cut(&keyspace, &mut keyspace.lock(ShardSet::ALL).locked(), usize::MAX);
            let mut during = during.into_iter();
            let mut found: Model = vec![HashMap::new(); DATABASES];
            let mut steps = 0;
            let finished = loop {
                if given_up_at == Some(steps) {
                    snapshot.retention().give_up();
                }
                steps += 1;
                let step = snapshot.step(|database, entry| {
                    let old = found[database].insert(entry.key().to_vec(), contents(entry));
                    assert!(old.is_none(), "each key comes out once");
                });
                match step {
                    Ok(WalkStep::Done) => break true,
                    Ok(WalkStep::More) => {}
                    Err(reason) => {
                        prop_assert_eq!(reason, GivenUp::Asked);
                        break false;
                    }
                }
                for change in during.next().unwrap_or_default() {
                    apply(&mut keyspace.lock(ShardSet::ALL).locked(), &mut model, change);
                }
            };
            prop_assert_eq!(finished, given_up_at.is_none_or(|at| at >= steps));
            if finished {
                prop_assert_eq!(found, expected);
            }
            drop(snapshot);
            assert_same(&keyspace, &model);
        }
    }

    #[test]
    fn a_scan_meets_each_lasting_key_once_while_tables_grow_and_shrink(
        lasting in 0_u16..3000,
        passing in prop::collection::vec(3000_u16..20_000, 0..200),
        count in 1_usize..200,
    ) {
        let keyspace = keyspace();
        let change = |key: u16, add: bool| {
            let bytes = name(key);
            let mut guard = keyspace.lock(ShardSet::ALL);
            let mut locked = guard.locked();
            let key = locked.key(&bytes);
            if add {
                locked.store(0, key, Content::encode(b"v"), None, 0);
            } else {
                locked.remove(0, key);
            }
        };
        (0..lasting).for_each(|key| change(key, true));
        let mut met = BTreeMap::new();
        let (mut cursor, mut round) = (Cursor(0), 0);
        loop {
            let mut seen = 0;
            cursor = keyspace.lock(ShardSet::default()).locked().scan(0, cursor, count, |entry| {
                *met.entry(entry.key().to_vec()).or_insert(0) += 1;
                seen += 1;
            });
            if cursor == Cursor(0) {
                break;
            }
            prop_assert!(seen >= count, "{seen} of {count}");
            for key in &passing {
                change(*key, round % 2 == 0);
            }
            round += 1;
        }
        for key in 0..lasting {
            prop_assert_eq!(met.get(&name(key)), Some(&1));
        }
    }
}

#[test]
fn a_snapshot_that_retains_too_much_ends_with_a_reason() {
    let keyspace = keyspace();
    let keys: Vec<Vec<u8>> = (0..1000_u16).map(name).collect();
    let store_all = |value: &[u8]| {
        for key in &keys {
            let mut guard = keyspace.lock(ShardSet::ALL);
            let mut locked = guard.locked();
            locked.store(0, locked.key(key), Content::encode(value), None, 0);
        }
    };
    store_all(b"old");
    let mut snapshot = Snapshot::cut(&keyspace, &mut keyspace.lock(ShardSet::ALL).locked(), 4096);
    store_all(b"new");
    let reason = loop {
        match snapshot.step(|_, _| {}) {
            Ok(_) => {}
            Err(reason) => break reason,
        }
    };
    assert!(matches!(reason, GivenUp::RetainedTooMuch(bytes) if bytes > 4096 && bytes < 8192));
}

#[test]
fn a_hundred_thousand_keys_take_at_most_64_bytes_each_with_their_table() {
    let keyspace = keyspace();
    for number in 0..100_000 {
        let bytes = format!("key:{number:012}").into_bytes();
        let key = keyspace.key(&bytes);
        let mut set = ShardSet::default();
        set.insert(key.shard());
        let mut guard = keyspace.lock(set);
        guard.locked().store(0, key, Content::encode(b"value:0123456789"), None, 0);
    }
    assert!(keyspace.table_bytes() <= 100_000 * 16, "{}", keyspace.table_bytes());
}

#[test]
fn the_overhead_of_keys_is_counted_as_tables_grow_shrink_and_go() {
    let keyspace = keyspace();
    let change = |keys: std::ops::Range<usize>, store: bool| {
        for number in keys {
            let bytes = format!("key:{number:012}").into_bytes();
            let key = keyspace.key(&bytes);
            let mut guard = keyspace.lock(ShardSet::ALL);
            let mut locked = guard.locked();
            let changed = match store {
                true => locked.store(0, key, Content::encode(b"v"), Some(1 << 40), 0),
                false => locked.remove(0, key),
            };
            assert!(changed || store);
        }
        let heads = keyspace.len(0) * 16 + keyspace.expires(0) * 8;
        let overhead: usize = keyspace.overhead_bytes(0).iter().sum();
        assert_eq!(overhead, keyspace.table_bytes() + heads);
        overhead
    };
    assert_eq!(change(0..0, true), 0);
    let many = change(0..60_000, true);
    let few = change(0..59_000, false);
    assert!(few * 4 < many, "{few} {many}");
    let mut guard = keyspace.lock(ShardSet::ALL);
    drop(guard.locked().flush(0));
    drop(guard);
    assert_eq!(keyspace.overhead_bytes(0), [0, 0]);
}

#[test]
fn random_keys_are_of_the_database_and_come_from_everywhere() {
    let keyspace = keyspace();
    for key in 0..50 {
        let bytes = name(key);
        let mut guard = keyspace.lock(ShardSet::ALL);
        let mut locked = guard.locked();
        locked.store(1, locked.key(&bytes), Content::encode(b"v"), None, 0);
    }
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random ^ (random >> 33)
    };
    let mut guard = keyspace.lock(ShardSet::default());
    let mut locked = guard.locked();
    assert!(locked.random_key(0, [next(), next()]).is_none());
    let picked: BTreeSet<_> = (0..2000)
        .map(|_| locked.random_key(1, [next(), next()]).expect("there are keys"))
        .collect();
    assert_eq!(picked.len(), 50);
}

/// The number that a key holds.
fn number(locked: &Locked<'_>, database: usize, key: Key<'_>) -> Option<i64> {
    locked.get(database, key)?.value().string()?.integer()
}

#[test]
fn an_entry_is_found_again_whatever_changed_since_it_was_found() {
    let keyspace = keyspace();
    let mut guard = keyspace.lock(ShardSet::ALL);
    let mut locked = guard.locked();
    let mut model: HashMap<(usize, u64), i64> = HashMap::new();
    let mut random = 3_u64;
    for turn in 0..100_000_i64 {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let (database, name) = ((random >> 20) as usize % 2, (random >> 33) % 10_000);
        let bytes = name.to_string().into_bytes();
        let key = keyspace.key(&bytes);
        let expected = model.get(&(database, name)).copied();
        // Found by one, it is found by the next.
        assert_eq!(number(&locked, database, key), expected);
        match (random >> 25) % 6 {
            0 | 1 => {
                assert_eq!(
                    locked.store(database, key, Content::Int(turn), Some(turn), 0),
                    expected.is_none()
                );
                model.insert((database, name), turn);
            }
            2 => assert_eq!(locked.set_expiry(database, key, None), expected.is_some()),
            3 => {
                assert_eq!(locked.remove(database, key), model.remove(&(database, name)).is_some())
            }
            4 => {
                if number(&locked, 1 - database, key).is_none()
                    && let Some(entry) = locked.take(database, key)
                {
                    assert_eq!(number(&locked, database, key), None);
                    locked.put(1 - database, key, entry, None);
                    let old = model.remove(&(database, name));
                    model.insert((1 - database, name), old.expect("it was there"));
                }
            }
            _ if turn % 100 == 0 => {
                locked.swap(0, 1);
                let swapped = model.into_iter();
                model = swapped.map(|((base, name), value)| ((1 - base, name), value)).collect();
            }
            _ => {}
        }
        let expected = model.get(&(database, name)).copied();
        assert_eq!(number(&locked, database, key), expected);
        if turn % 9973 == 0 {
            locked.flush_later(database);
            model.retain(|(base, _), _| *base != database);
            assert_eq!(number(&locked, database, key), None);
        }
    }
}
