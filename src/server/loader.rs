//! Loading the RDB file, at start and for DEBUG RELOAD.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use crate::commands::access;
use crate::engine::rdb_load::{self, Behind, Loaded, Store, There};
use crate::keyspace::{Locked, ShardSet};
use crate::node::Node;
use crate::node::persistence::Loading;
use crate::rdb::KeyRecord;
use crate::scripting::RestorePolicy;
use crate::telemetry::traces::{in_span, work_span};

/// Bytes read from the file at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Loads the file into the empty keyspace, one key at a time, while clients are answered LOADING.
/// `None` if there is no file.
///
/// # Errors
/// Names the file, and for bad contents the offset and what is wrong there.
pub(super) fn load_at_start(node: &Node, path: &Path) -> Result<Option<Loaded>, String> {
    let loaded = load(node, path, |source, progress| {
        rdb_load::load_into(node, &node.keyspace, source, Behind::Anything, progress)
    })?;
    if let Some(loaded) = &loaded {
        let mut scripts = node.scripts.wait();
        scripts.replace_libraries(&loaded.libraries)?;
        let _locked = node.keyspace.lock(ShardSet::ALL);
        node.scripts.show_libraries(&scripts);
    }
    Ok(loaded)
}

/// Validates the file without keeping anything: whether [`load_locked`] will succeed. The file must
/// have no key that is in `beside`.
pub(super) fn validate(
    node: &Node,
    path: &Path,
    beside: Option<&Locked<'_>>,
) -> Result<(), String> {
    let mut check = |database, record: KeyRecord| match beside {
        Some(locked) => rdb_load::check_absent(locked, database, locked.key(&record.key)),
        None => Ok(()),
    };
    there(load_each(node, path, &mut check)?, path)
}

/// Loads the file into the locked keyspace.
pub(super) fn load_locked(
    node: &Node,
    path: &Path,
    locked: &mut Locked<'_>,
    existing: There,
    libraries: RestorePolicy,
) -> Result<(), String> {
    let access = access(&node.settings.load(), node.clock.unix_ms());
    let mut store = |database, record: KeyRecord| {
        let hash = locked.key(&record.key).hash;
        rdb_load::store(locked, (database, hash), record, access, existing)
    };
    let loaded = load_each(node, path, &mut store)?;
    if let Some(loaded) = &loaded {
        node.scripts.reload_libraries(&loaded.libraries, libraries)?;
    }
    there(loaded, path)
}

/// A file that is to be loaded again must be there.
fn there(loaded: Option<Loaded>, path: &Path) -> Result<(), String> {
    loaded.map(|_| ()).ok_or_else(|| format!("There is no file {}", path.display()))
}

fn load_each(node: &Node, path: &Path, store: &mut Store<'_>) -> Result<Option<Loaded>, String> {
    load(node, path, |source, progress| {
        rdb_load::load(node, source, Behind::Anything, store, progress)
    })
}

/// Has the file read, if there is one.
fn load(
    node: &Node,
    path: &Path,
    read: impl FnOnce(BufReader<File>, &mut dyn FnMut(u64)) -> Result<Loaded, String>,
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
    let mut progress = |at| node.persistence.loaded(at);
    let source = BufReader::with_capacity(BUFFER_BYTES, file);
    let result =
        in_span(&work_span!("rdb.load", bytes = total_bytes), || read(source, &mut progress));
    node.persistence.update(|saving| saving.loading = None);
    result.map(Some).map_err(|reason| format!("Bad file format reading {shown}: {reason}"))
}
