//! Loading the RDB file, at start and for DEBUG RELOAD.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use crate::commands::access_clock;
use crate::keyspace::{Content, Locked, ShardSet};
use crate::node::Node;
use crate::node::persistence::Loading;
use crate::rdb::{Item, KeyRecord, ReadOptions, Reader, Value};
use crate::telemetry::log::log;

/// Bytes read from the file at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Keys between two updates of the progress that INFO shows.
const PROGRESS_KEYS: u64 = 1024;

/// What was loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loaded {
    pub(super) keys: u64,
    pub(super) expired: u64,
}

/// Loads the file into the empty keyspace, a key at a time, while clients are answered LOADING.
/// `None` if there is no file.
///
/// # Errors
/// Names the file, and for bad contents the offset and what is wrong there.
pub(super) fn load_at_start(node: &Node, path: &Path) -> Result<Option<Loaded>, String> {
    let mut store = |database, record: KeyRecord| {
        let key = node.keyspace.key(&record.key);
        let mut set = ShardSet::default();
        set.insert(key.shard());
        store(&mut node.keyspace.lock(set).locked(), database, &record, clock(node))
    };
    load(node, path, &mut store)
}

/// Reads the file through without keeping anything: whether [`load_locked`] will do.
pub(super) fn validate(node: &Node, path: &Path) -> Result<(), String> {
    load(node, path, &mut |_, _| Ok(())).map(|_| ())
}

/// Loads the file into the locked, empty keyspace.
pub(super) fn load_locked(
    node: &Node,
    path: &Path,
    locked: &mut Locked<'_>,
) -> Result<Option<Loaded>, String> {
    load(node, path, &mut |database, record| store(locked, database, &record, clock(node)))
}

/// Keys count as accessed when they are loaded.
fn clock(node: &Node) -> u32 {
    access_clock(node.clock.unix_ms())
}

fn store(
    locked: &mut Locked<'_>,
    database: usize,
    record: &KeyRecord,
    accessed_s: u32,
) -> Result<(), String> {
    let key = locked.key(&record.key);
    if locked.get(database, key).is_some() {
        return Err(format!(
            "key \"{}\" stands twice in database {database}",
            record.key.escape_ascii().to_string().chars().take(64).collect::<String>()
        ));
    }
    let content = match &record.value {
        Value::String(bytes) => Content::encode(bytes),
    };
    locked.store(database, key, content, record.expire_at_ms, accessed_s);
    Ok(())
}

fn load(
    node: &Node,
    path: &Path,
    store: &mut dyn FnMut(usize, KeyRecord) -> Result<(), String>,
) -> Result<Option<Loaded>, String> {
    let shown = path.display();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("Can't open {shown}: {error}")),
    };
    let total_bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let started_ms = node.clock.unix_ms();
    let loading = Loading { started_ms, total_bytes, loaded_bytes: 0 };
    node.persistence.update(|saving| saving.loading = Some(loading));
    let result = read(node, BufReader::with_capacity(BUFFER_BYTES, file), store);
    node.persistence.update(|saving| saving.loading = None);
    result.map(Some).map_err(|reason| format!("Bad file format reading {shown}: {reason}"))
}

fn read(
    node: &Node,
    source: BufReader<File>,
    store: &mut dyn FnMut(usize, KeyRecord) -> Result<(), String>,
) -> Result<Loaded, String> {
    let settings = node.settings.load();
    let options = ReadOptions { verify_checksum: settings.snapshot.rdbchecksum };
    let now_ms = node.clock.unix_ms();
    let mut reader = Reader::with_options(source, options).map_err(|error| error.to_string())?;
    let mut loaded = Loaded::default();
    let mut database = 0;
    while let Some(item) = reader.next().map_err(|error| error.to_string())? {
        match item {
            Item::SelectDb(index) => {
                database = usize::try_from(index).unwrap_or(usize::MAX);
                if database >= node.keyspace.databases() {
                    return Err(format!(
                        "at byte {}: the file has a database {index}, but there are only {} here \
                         (see the setting databases)",
                        reader.position(),
                        node.keyspace.databases()
                    ));
                }
            }
            Item::Aux { name, value } => note(node, &name, &value),
            Item::Key(record) => {
                if record.expire_at_ms.is_some_and(|at| at < now_ms) {
                    loaded.expired += 1;
                    continue;
                }
                let at = reader.position();
                store(database, record).map_err(|reason| format!("at byte {at}: {reason}"))?;
                loaded.keys += 1;
                if loaded.keys % PROGRESS_KEYS == 0 {
                    node.persistence.update(|saving| {
                        if let Some(loading) = &mut saving.loading {
                            loading.loaded_bytes = at;
                        }
                    });
                }
            }
            _ => {}
        }
    }
    Ok(loaded)
}

/// Logs what the file says of itself, as Redis does.
fn note(node: &Node, name: &[u8], value: &[u8]) {
    let text = String::from_utf8_lossy(value);
    match name {
        b"redis-ver" => log!(Notice, "Loading RDB produced by version {text}"),
        b"ctime" => {
            let age = node.clock.unix_ms() / 1000 - text.parse().unwrap_or(0);
            log!(Notice, "RDB age {} seconds", age.max(0));
        }
        b"used-mem" => {
            let mb = text.parse::<f64>().unwrap_or(0.0) / (1024.0 * 1024.0);
            log!(Notice, "RDB memory usage when created {mb:.2} Mb");
        }
        _ => {}
    }
}
