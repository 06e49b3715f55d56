//! The system calls and memory of the process that no safe interface covers.
//!
//! [`fork`] and [`overwrite`] are sound only while the process has one thread, and check that with
//! the kernel. No thread can appear after the check, as only this one could start it.
#![allow(unsafe_code, reason = "fork, the memory of the arguments, the allocator")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// The process that returns from a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forked {
    Parent,
    Child,
}

/// # Errors
/// If other threads are running.
fn require_one_thread() -> io::Result<()> {
    match std::fs::read_dir("/proc/self/task")?.count() {
        1 => Ok(()),
        threads => Err(io::Error::other(format!("{threads} threads run already"))),
    }
}

/// Forks the process.
///
/// # Errors
/// If other threads are running, which the child would lack, or fork fails.
pub(super) fn fork() -> io::Result<Forked> {
    require_one_thread()?;
    // SAFETY: no other thread can hold a lock of the allocator or of libc, so the child may
    // continue as the parent would.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        _ => Ok(Forked::Parent),
    }
}

/// Another descriptor of the same open file.
///
/// # Errors
/// If `fd` is none, or there are too many.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes any number. What it returns belongs to nobody else.
    match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) } {
        -1 => Err(io::Error::last_os_error()),
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

/// Forks a process of many threads, for a child that has this thread alone and must end by
/// [`end_forked`]. The child keeps, of all descriptors, those of its standard streams and `kept`, its
/// signals do what they do by default, and it ends with the thread that forked it. It may wait for ever where it takes a lock that another
/// thread held; those of the allocator are free.
///
/// Returns the child's id in the parent.
///
/// # Errors
/// If fork fails.
pub(crate) fn fork_beside_threads(kept: &OwnedFd) -> io::Result<Option<u32>> {
    let kept = kept.as_raw_fd().unsigned_abs();
    // SAFETY: memory is as it was; what other threads were about is never ended, and never looked at
    // but under their locks. The descriptors that close have owners in this process who never run or
    // are dropped again. The handlers of signals go: they would write into what has been closed.
    unsafe {
        let child = libc::fork();
        match child {
            -1 => return Err(io::Error::last_os_error()),
            0 => {}
            child => return Ok(Some(child.unsigned_abs())),
        }
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let first = 3;
        if kept > first {
            libc::syscall(libc::SYS_close_range, first, kept - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, kept.max(first - 1) + 1, u32::MAX, 0);
    }
    Ok(None)
}

/// Ends the process at once; nothing is flushed or dropped.
pub(crate) fn end_forked() -> ! {
    // SAFETY: takes any number.
    unsafe { libc::_exit(0) }
}

/// Makes the allocator give unused pages of all its arenas back to the kernel.
///
/// # Errors
/// The allocator's error number.
pub(crate) fn purge_allocator() -> Result<(), i32> {
    // The number that stands for all arenas: MALLCTL_ARENAS_ALL.
    let name = c"arena.4096.purge";
    // SAFETY: a valid name of an action that reads and writes nothing.
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    if code == 0 { Ok(()) } else { Err(code) }
}

/// Bytes that the allocator's caches of the threads hold, which its sums count as allocated; as of
/// its last walk.
///
/// # Errors
/// The allocator's error number.
pub(crate) fn allocator_cached_bytes() -> Result<usize, i32> {
    let name = c"stats.arenas.4096.tcache_bytes";
    let (mut bytes, mut len) = (0_usize, size_of::<usize>());
    // SAFETY: a valid name of a number of this type, which is written to `bytes`.
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            (&raw mut bytes).cast(),
            &raw mut len,
            ptr::null_mut(),
            0,
        )
    };
    if code == 0 { Ok(bytes) } else { Err(code) }
}

/// Makes the library keep all environment variables in memory of its own, so that their place is
/// free.
///
/// # Errors
/// If other threads are running, which may be reading them, or some cannot be moved.
pub(super) fn move_variables() -> io::Result<()> {
    require_one_thread()?;
    let there = std::fs::read("/proc/self/environ")?;
    let there = there.split(|&byte| byte == 0).filter(|variable| !variable.is_empty()).count();
    let variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let odd = |name: &OsString| name.as_bytes().contains(&b'=');
    if variables.len() != there || variables.keys().any(odd) {
        return Err(io::Error::other("not each variable has a name of its own"));
    }
    for (name, value) in variables {
        // SAFETY: no other thread runs, so nobody reads a variable meanwhile. The library copies
        // what it is given, also if the value stays the same.
        unsafe { std::env::set_var(name, value) };
    }
    Ok(())
}

/// Overwrites the process's arguments, a part of its environment, or both, with `text` and zeros.
/// Truncates text that does not fit.
///
/// # Errors
/// If other threads are running, which may be reading it, or `area` is not within that memory.
pub(super) fn overwrite(area: Range<usize>, text: &[u8]) -> io::Result<()> {
    require_one_thread()?;
    let [arguments, environment] = areas()?;
    let within = |outer: &Range<usize>| outer.start <= area.start && area.end <= outer.end;
    let both = match arguments.end == environment.start {
        true => arguments.start..environment.end,
        false => arguments,
    };
    // Keep the last byte, the terminating zero.
    let len = area.len().saturating_sub(1);
    if len == 0 || !(within(&both) || within(&environment)) {
        return Err(io::Error::other("no arguments lie there"));
    }
    let text = &text[..text.len().min(len)];
    let start = ptr::with_exposed_provenance_mut::<u8>(area.start);
    // SAFETY: the kernel reports that this process's arguments or variables lie there, on its
    // stack, which stays mapped and writable. Nobody holds a reference into it: the library returns
    // copies, and no other thread runs. Strings end where they ended or sooner.
    unsafe {
        ptr::write_bytes(start, 0, len);
        ptr::copy_nonoverlapping(text.as_ptr(), start, text.len());
    }
    Ok(())
}

/// Where the kernel put the arguments and the environment at the start of the process.
pub(super) fn areas() -> io::Result<[Range<usize>; 2]> {
    const ARG_START: usize = 48;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Fields are counted from 1; the second, the name in brackets, may hold blanks. The third
    // follows it.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = after_name.split_ascii_whitespace().skip(ARG_START - 3);
    let mut next = || fields.next().and_then(|field| field.parse::<usize>().ok()).unwrap_or(0);
    let found = [next()..next(), next()..next()];
    if found[0].start == 0 || found.iter().any(|area| area.end < area.start) {
        return Err(io::Error::other("the kernel does not tell"));
    }
    Ok(found)
}
