//! A disk with a volatile cache: what was not synced may be lost or torn when the power fails.
//!
//! Content and names are cached apart, as file systems do it: a file's bytes may be on the disk and
//! its name not, a new name and not the old one's end. Within a file, what survives is a prefix of
//! what was done to it, the last write torn; of the names' changes, any subset in their order.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::random::Random;
use crate::aof::files::{Barrier, Files, InFile, Kind, OutFile};

#[derive(Clone, Debug)]
enum Change {
    Append(Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Append(bytes) => to.extend_from_slice(bytes),
            Self::Truncate(bytes) => to.truncate(*bytes),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A change of names.
#[derive(Clone, Debug)]
enum Naming {
    Set(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl Naming {
    fn is_in(&self, folder: &Path) -> bool {
        let within = |path: &PathBuf| path.parent() == Some(folder);
        match self {
            Self::Set(path, _) | Self::Remove(path) => within(path),
            Self::Rename(from, to, _) => within(from) || within(to),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Set(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// The operation at which the process stops, counted from the disk's start.
    pub(super) stop_at: Option<u64>,
    /// The n-th sync of a kind before which it stops.
    pub(super) stop_before: Option<(Barrier, u64)>,
    /// The operation that fails; a write is short first.
    pub(super) fail_at: Option<u64>,
    /// Operations from this one on fail until the plan changes.
    pub(super) fail_from: Option<u64>,
}

#[derive(Debug, Default)]
struct DiskState {
    inodes: Vec<Inode>,
    cached: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    unsynced: Vec<Naming>,
    plan: Plan,
    operations: u64,
    syncs: BTreeMap<String, u64>,
    stopped: bool,
    ignored: Option<Barrier>,
}

impl DiskState {
    /// Counts an operation, and lets it fail.
    fn enter(&mut self) -> io::Result<()> {
        let index = self.operations;
        self.operations += 1;
        self.stopped |= self.plan.stop_at.is_some_and(|at| index >= at);
        if self.stopped {
            return Err(io::Error::other("the process is gone"));
        }
        let fails = self.plan.fail_at == Some(index)
            || self.plan.fail_from.is_some_and(|from| index >= from);
        if fails { Err(io::Error::from_raw_os_error(28)) } else { Ok(()) }
    }

    fn enter_sync(&mut self, barrier: Barrier) -> io::Result<bool> {
        let count = self.syncs.entry(format!("{barrier:?}")).or_default();
        *count += 1;
        let stop = self.plan.stop_before == Some((barrier, *count));
        self.stopped |= stop;
        self.enter()?;
        Ok(self.ignored != Some(barrier))
    }

    fn rename_cached(&mut self, change: Naming) {
        change.apply(&mut self.cached);
        self.unsynced.push(change);
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        match self.cached.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            _ => Err(io::Error::from_raw_os_error(2)),
        }
    }

    fn parent_exists(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().expect("the disk's paths have parents");
        match self.cached.get(parent) {
            Some(Node::Folder) => Ok(()),
            _ => Err(io::Error::from_raw_os_error(2)),
        }
    }

    fn new_file(&mut self, path: &Path) -> usize {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.rename_cached(Naming::Set(path.to_owned(), Node::File(inode)));
        inode
    }

    fn change(&mut self, inode: usize, change: Change) {
        let inode = &mut self.inodes[inode];
        change.apply(&mut inode.cached);
        inode.unsynced.push(change);
    }

    fn sync_inode(&mut self, inode: usize) {
        let inode = &mut self.inodes[inode];
        inode.durable.clone_from(&inode.cached);
        inode.unsynced.clear();
    }
}

type Hook = dyn Fn(Option<Barrier>) + Send + Sync;

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct Disk {
    state: Arc<Mutex<DiskState>>,
    /// Called before each operation, with what it syncs: others work meanwhile.
    hook: Arc<Mutex<Option<Arc<Hook>>>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Disk")
    }
}

impl Disk {
    /// A disk with one folder on it.
    pub(super) fn new(root: &Path) -> Self {
        let disk = Self::default();
        let mut state = disk.state.lock();
        state.cached.insert(root.to_owned(), Node::Folder);
        state.durable = state.cached.clone();
        drop(state);
        disk
    }

    pub(super) fn set_hook(&self, hook: Option<Arc<Hook>>) {
        *self.hook.lock() = hook;
    }

    fn hook(&self, barrier: Option<Barrier>) {
        let hook = self.hook.lock().clone();
        if let Some(hook) = hook {
            hook(barrier);
        }
    }

    /// Syncs of a kind do nothing from now on.
    pub(super) fn ignore(&self, barrier: Option<Barrier>) {
        self.state.lock().ignored = barrier;
    }

    pub(super) fn plan(&self, plan: Plan) {
        self.state.lock().plan = plan;
    }

    pub(super) fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// How many syncs of a kind there were.
    pub(super) fn syncs(&self, barrier: Barrier) -> u64 {
        self.state.lock().syncs.get(&format!("{barrier:?}")).copied().unwrap_or(0)
    }

    pub(super) fn stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// The process starts again: what it wrote is there, on the disk or not.
    pub(super) fn restart(&self) {
        let mut state = self.state.lock();
        state.stopped = false;
        state.plan = Plan::default();
    }

    /// The power fails.
    pub(super) fn cut_power(&self, random: &mut Random) {
        let mut state = self.state.lock();
        let names_kept = [0, 50, 100][random.below(3)];
        for change in std::mem::take(&mut state.unsynced) {
            if random.percent(names_kept) {
                change.apply(&mut state.durable);
            }
        }
        // Files whose folder was lost are lost with it.
        let folders: Vec<PathBuf> = state.durable.keys().cloned().collect();
        state.durable.retain(|path, _| {
            path.parent().is_none_or(|up| up == Path::new("/") || folders.iter().any(|f| f == up))
        });
        state.cached = state.durable.clone();
        for inode in &mut state.inodes {
            let changes = std::mem::take(&mut inode.unsynced);
            let kept = match random.below(3) {
                0 => 0,
                1 => changes.len(),
                _ => random.below(changes.len() + 1),
            };
            for change in &changes[..kept] {
                change.apply(&mut inode.durable);
            }
            if let Some(Change::Append(bytes)) = changes.get(kept) {
                inode.durable.extend_from_slice(&bytes[..random.below(bytes.len() + 1)]);
            }
            inode.cached.clone_from(&inode.durable);
        }
    }

    /// Puts a file there whose name and first bytes are durable.
    pub(super) fn put(&self, path: &Path, bytes: &[u8], durable: usize) {
        let mut state = self.state.lock();
        let inode = state.new_file(path);
        state.unsynced.pop();
        state.durable.insert(path.to_owned(), Node::File(inode));
        state.change(inode, Change::Append(bytes[..durable].to_vec()));
        state.sync_inode(inode);
        for chunk in bytes[durable..].chunks(50) {
            state.change(inode, Change::Append(chunk.to_vec()));
        }
    }

    pub(super) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let inode = state.inode(path).ok()?;
        Some(state.inodes[inode].cached.clone())
    }

    /// The names in a folder.
    pub(super) fn names(&self, folder: &Path) -> Vec<String> {
        let state = self.state.lock();
        let within = state.cached.keys().filter(|path| path.parent() == Some(folder));
        within.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: Disk,
    inode: usize,
}

impl OutFile for OpenFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.hook(None);
        let mut state = self.disk.state.lock();
        let index = state.operations;
        let once = state.plan.fail_at == Some(index);
        let entered = state.enter();
        if once && bytes.len() > 1 {
            // A short write, and then the failure.
            state.plan.fail_at = Some(index + 1);
            let half = bytes.len() / 2;
            state.change(self.inode, Change::Append(bytes[..half].to_vec()));
            return Ok(half);
        }
        entered?;
        state.change(self.inode, Change::Append(bytes.to_vec()));
        Ok(bytes.len())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.disk.hook(None);
        let mut state = self.disk.state.lock();
        state.enter()?;
        state.change(self.inode, Change::Truncate(usize::try_from(bytes).unwrap()));
        Ok(())
    }

    fn sync(&self, barrier: Barrier) -> io::Result<()> {
        self.disk.hook(Some(barrier));
        let mut state = self.disk.state.lock();
        if state.enter_sync(barrier)? {
            state.sync_inode(self.inode);
        }
        Ok(())
    }
}

impl Files for Disk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.hook(None);
        let mut state = self.state.lock();
        state.enter()?;
        match state.cached.get(path) {
            Some(Node::Folder) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => {
                state.rename_cached(Naming::Set(path.to_owned(), Node::Folder));
                Ok(())
            }
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn OutFile>> {
        self.hook(None);
        let mut state = self.state.lock();
        state.enter()?;
        state.parent_exists(path)?;
        let inode = match state.inode(path) {
            Ok(inode) => {
                state.change(inode, Change::Truncate(0));
                inode
            }
            Err(_) => state.new_file(path),
        };
        drop(state);
        Ok(Box::new(OpenFile { disk: self.clone(), inode }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn OutFile>> {
        self.hook(None);
        let mut state = self.state.lock();
        state.enter()?;
        state.parent_exists(path)?;
        let inode = state.inode(path).unwrap_or_else(|_| state.new_file(path));
        drop(state);
        Ok(Box::new(OpenFile { disk: self.clone(), inode }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn InFile>> {
        self.hook(None);
        let mut state = self.state.lock();
        state.enter()?;
        let inode = state.inode(path)?;
        Ok(Box::new(Cursor::new(state.inodes[inode].cached.clone())))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.enter()?;
        let inode = state.inode(path)?;
        Ok(state.inodes[inode].cached.len() as u64)
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        match self.state.lock().cached.get(path)? {
            Node::Folder => Some(Kind::Folder),
            Node::File(_) => Some(Kind::File),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hook(None);
        let mut state = self.state.lock();
        state.enter()?;
        let node = Node::File(state.inode(from)?);
        state.rename_cached(Naming::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.hook(None);
        let mut state = self.state.lock();
        state.enter()?;
        state.inode(path)?;
        state.rename_cached(Naming::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, path: &Path, barrier: Barrier) -> io::Result<()> {
        self.hook(Some(barrier));
        let mut state = self.state.lock();
        if state.enter_sync(barrier)? {
            let (synced, left): (Vec<_>, Vec<_>) = std::mem::take(&mut state.unsynced)
                .into_iter()
                .partition(|change| change.is_in(path));
            for change in synced {
                change.apply(&mut state.durable);
            }
            state.unsynced = left;
        }
        Ok(())
    }
}
