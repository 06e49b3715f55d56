//! A save that fails or dies anywhere leaves a file that loads.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::super::clock::SystemClock;
use super::super::files::FileSystem;
use super::super::host::ServerHost;
use super::super::ids::Ids;
use super::super::loader;
use super::*;
use crate::commands::acl_commands;
use crate::keyspace::Content;
use crate::node::Identity;
use crate::node::host::{BackgroundSave, Reload};
use crate::node::persistence::Purpose;
use crate::node::stats::WorkerStats;
use crate::settings::Settings;

/// A fault, counted over file operations: creating, each write, syncing, renaming, removing.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Operation `n` fails; later ones work.
    FailAt(usize),
    /// The process dies at operation `n`: nothing later happens.
    DieAt(usize),
    /// The disk takes this many bytes in all.
    FullAfter(usize),
}

#[derive(Debug)]
struct FaultyFiles {
    fault: Mutex<Fault>,
    operations: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl FaultyFiles {
    fn new() -> Arc<Self> {
        let fault = Mutex::new(Fault::None);
        Arc::new(Self { fault, operations: Arc::default(), written: Arc::default() })
    }

    fn inject(&self, fault: Fault) {
        *self.fault.lock() = fault;
        self.operations.store(0, Ordering::Relaxed);
        self.written.store(0, Ordering::Relaxed);
    }

    fn operation(&self) -> io::Result<()> {
        step(*self.fault.lock(), &self.operations)
    }
}

fn step(fault: Fault, operations: &AtomicUsize) -> io::Result<()> {
    let operation = operations.fetch_add(1, Ordering::Relaxed);
    match fault {
        Fault::FailAt(at) if operation == at => Err(io::Error::other("injected")),
        Fault::DieAt(at) if operation >= at => Err(io::Error::other("dead")),
        _ => Ok(()),
    }
}

struct FaultyTarget {
    file: fs::File,
    fault: Fault,
    operations: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Write for FaultyTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        step(self.fault, &self.operations)?;
        if let Fault::FullAfter(max) = self.fault
            && self.written.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() > max
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for FaultyTarget {
    fn sync(&mut self) -> io::Result<()> {
        step(self.fault, &self.operations)?;
        self.file.sync_all()
    }
}

impl Files for FaultyFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Target>> {
        self.operation()?;
        Ok(Box::new(FaultyTarget {
            file: fs::File::create(path)?,
            fault: *self.fault.lock(),
            operations: Arc::clone(&self.operations),
            written: Arc::clone(&self.written),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation()?;
        FileSystem.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.operation()?;
        FileSystem.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation()?;
        FileSystem.remove(path)
    }
}

/// A node that saves into its own folder.
struct Fixture {
    node: Arc<Node>,
    saver: Arc<Saver>,
    folder: tempfile::TempDir,
}

fn fixture(files: Arc<dyn Files>) -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let node = node(folder.path());
    let saver = Arc::new(Saver::new(Arc::clone(&node), files).expect("a thread"));
    let (ending, _) = tokio::sync::watch::channel(false);
    node.set_host(Arc::new(ServerHost::new(
        Arc::clone(&node),
        Arc::clone(&saver),
        ending,
        Arc::default(),
        Ids::new().expect("a system"),
        (Arc::default(), Arc::default()),
    )));
    Fixture { node, saver, folder }
}

fn node(folder: &Path) -> Arc<Node> {
    let mut settings = Settings::default();
    settings.snapshot.dir = folder.to_string_lossy().into_owned();
    let identity = Identity {
        run_id: String::new(),
        started_ms: 0,
        process_id: std::process::id(),
        config_file: None,
        executable: String::new(),
        operating_system: String::new(),
    };
    let clock = Arc::new(SystemClock::new());
    let workers = vec![WorkerStats::new(0)];
    Arc::new(Node::new(
        settings,
        identity,
        acl_commands(),
        clock,
        workers,
        [1, 2, 3, 4],
        "0".repeat(40),
    ))
}

/// Gives every key the same value, which identifies a state.
fn set_all(node: &Node, value: &str) {
    let mut guard = node.keyspace.lock(ShardSet::ALL);
    let mut locked = guard.locked();
    for number in 0..2000 {
        let name = format!("key:{number}");
        locked.store(0, locked.key(name.as_bytes()), Content::encode(value.as_bytes()), None, 0);
    }
}

/// How many keys have which value in the file, as a starting server loads it.
fn values_in_file(fixture: &Fixture) -> BTreeMap<String, usize> {
    let node = node(fixture.folder.path());
    let loaded = loader::load_at_start(&node, &fixture.saver.path());
    assert!(loaded.expect("the file is whole").is_some(), "the file is there");
    let mut values = BTreeMap::new();
    let mut guard = node.keyspace.lock(ShardSet::ALL);
    guard.locked().for_each(0, |entry| {
        let value = entry.value().string().expect("a string").to_bytes().into_owned();
        *values.entry(String::from_utf8(value).expect("text")).or_insert(0) += 1;
    });
    values
}

fn save(fixture: &Fixture, background: bool) -> io::Result<()> {
    if !background {
        let mut guard = fixture.node.keyspace.lock(ShardSet::ALL);
        return fixture.saver.save(&mut guard.locked());
    }
    assert!(begin(fixture), "none is being written");
    await_end(fixture);
    let failed = fixture.node.admission.has(Condition::SaveFailed);
    if failed { Err(io::Error::other("failed")) } else { Ok(()) }
}

/// Begins a background save.
fn begin(fixture: &Fixture) -> bool {
    let mut guard = fixture.node.keyspace.lock(ShardSet::ALL);
    fixture.node.host().background_save(&mut guard.locked()) == BackgroundSave::Started
}

fn await_end(fixture: &Fixture) {
    while fixture.node.persistence.get().running.is_some() {
        std::thread::yield_now();
    }
}

/// Begins a save that writes nothing until the sender drops.
fn begin_held(fixture: &Fixture) -> mpsc::Sender<()> {
    let (go, held) = mpsc::channel();
    let saver = Arc::clone(&fixture.saver);
    let cut = rdb_save::cut(&fixture.node);
    let mut guard = fixture.node.keyspace.lock(ShardSet::ALL);
    let began = fixture.saver.snapshots.try_begin(&mut guard.locked(), Purpose::Save, || {
        move |snapshot, turn| {
            assert!(held.recv().is_err(), "nothing is sent");
            saver.finish(snapshot, &cut, turn);
        }
    });
    assert!(began, "none is being written");
    go
}

/// Fails at each operation in turn until a save meets no fault.
fn every_operation(background: bool, fault: fn(usize) -> Fault) {
    let files = FaultyFiles::new();
    let fixture = fixture(Arc::clone(&files) as Arc<dyn Files>);
    set_all(&fixture.node, "old");
    save(&fixture, background).expect("no fault yet");
    for operation in 0.. {
        set_all(&fixture.node, "new");
        files.inject(fault(operation));
        let saved = save(&fixture, background);
        files.inject(Fault::None);
        let values = values_in_file(&fixture);
        let one_state = values.len() == 1 && values.values().all(|&keys| keys == 2000);
        assert!(one_state, "at operation {operation}: {values:?}");
        if saved.is_ok() {
            assert!(values.contains_key("new"));
            assert!(operation >= 5, "create, write, sync, rename and sync were counted");
            return;
        }
        set_all(&fixture.node, "old");
        save(&fixture, background).expect("faults are over");
    }
}

#[test]
fn a_failure_at_any_operation_leaves_a_whole_file() {
    every_operation(false, Fault::FailAt);
    every_operation(true, Fault::FailAt);
}

#[test]
fn a_death_at_any_operation_leaves_a_whole_file() {
    every_operation(false, Fault::DieAt);
    every_operation(true, Fault::DieAt);
}

#[test]
fn a_full_disk_refuses_writes_until_a_save_succeeds() {
    let files = FaultyFiles::new();
    let fixture = fixture(Arc::clone(&files) as Arc<dyn Files>);
    set_all(&fixture.node, "old");
    save(&fixture, true).expect("there is room");
    set_all(&fixture.node, "new");
    files.inject(Fault::FullAfter(1000));
    assert!(save(&fixture, true).is_err());
    assert!(fixture.node.admission.has(Condition::SaveFailed));
    assert_eq!(values_in_file(&fixture).into_keys().collect::<Vec<_>>(), ["old"]);
    let left: Vec<_> = fs::read_dir(fixture.folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 1, "nothing but the file is left: {left:?}");
    files.inject(Fault::None);
    save(&fixture, true).expect("there is room again");
    assert!(!fixture.node.admission.has(Condition::SaveFailed));
    assert_eq!(values_in_file(&fixture).into_keys().collect::<Vec<_>>(), ["new"]);
}

#[test]
fn a_save_that_was_given_up_replaces_nothing() {
    let fixture = fixture(Arc::new(FileSystem));
    set_all(&fixture.node, "old");
    save(&fixture, true).expect("saves");
    let go = begin_held(&fixture);
    set_all(&fixture.node, "final");
    save(&fixture, false).expect("saves");
    fixture.saver.give_up_save();
    drop(go);
    await_end(&fixture);
    assert!(!fixture.node.admission.has(Condition::SaveFailed), "nothing has failed");
    assert_eq!(values_in_file(&fixture).into_keys().collect::<Vec<_>>(), ["final"]);
}

#[test]
fn a_snapshot_that_meets_another_or_a_load_does_nothing() {
    let fixture = fixture(Arc::new(FileSystem));
    set_all(&fixture.node, "one");
    let go = begin_held(&fixture);
    let running = || fixture.node.persistence.get().running.map(|running| running.dirty_at_cut);
    let before = running();
    assert!(before.is_some());
    assert!(!begin(&fixture), "one is being written");
    assert_eq!(running(), before, "the one that is written is still the same");
    drop(go);
    await_end(&fixture);
    assert!(begin(&fixture), "the first has ended");
    await_end(&fixture);
    let set_loading = |on| {
        let mut guard = fixture.node.keyspace.lock(ShardSet::ALL);
        fixture.node.admission.set(&guard.locked(), Condition::Loading, on);
    };
    set_loading(true);
    set_all(&fixture.node, "half");
    assert!(!begin(&fixture), "half a data set replaces no file");
    assert_eq!(values_in_file(&fixture).into_keys().collect::<Vec<_>>(), ["one"]);
    set_loading(false);
    assert!(begin(&fixture));
    await_end(&fixture);
}

#[test]
fn a_file_that_is_not_there_is_not_loaded_in_the_place_of_data() {
    let fixture = fixture(Arc::new(FileSystem));
    set_all(&fixture.node, "kept");
    let mut guard = fixture.node.keyspace.lock(ShardSet::ALL);
    let mut locked = guard.locked();
    let refused = fixture
        .node
        .host()
        .reload(&mut locked, Reload { save: false, flush: true, merge: false })
        .expect_err("there is none");
    assert!(refused.starts_with("There is no file "), "{refused}");
    assert!(fixture.node.keyspace.len(0) > 0);
}

#[test]
fn a_file_is_loaded_over_what_is_there_only_if_asked() {
    let fixture = fixture(Arc::new(FileSystem));
    set_all(&fixture.node, "filed");
    save(&fixture, false).expect("saves");
    set_all(&fixture.node, "newer");
    let reload = |merge| {
        let mut guard = fixture.node.keyspace.lock(ShardSet::ALL);
        let how = Reload { save: false, flush: false, merge };
        fixture.node.host().reload(&mut guard.locked(), how)
    };
    let values = || {
        save(&fixture, false).expect("saves");
        values_in_file(&fixture).into_keys().collect::<Vec<_>>()
    };
    let file = fixture.saver.path();
    let old = fs::read(&file).expect("it was saved");
    let refused = reload(false).expect_err("the keys are there");
    assert!(refused.contains("stands twice in database 0"), "{refused}");
    assert_eq!(values(), ["newer"]);
    fs::write(&file, old).expect("the old file is back");
    reload(true).expect("keys may be replaced");
    assert_eq!(values(), ["filed"]);
}
