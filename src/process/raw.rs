//! The system calls and memory of the process that no safe interface covers.
//!
//! [`fork`] and [`overwrite`] are sound only while the process has one thread, and check that with
//! the kernel. No thread can appear after the check, as only this one could start it.
#![allow(unsafe_code, reason = "fork, the memory of the arguments, the allocator")]

use std::io;
use std::ops::Range;
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

/// Overwrites the process's arguments, or a part of its environment, with `text` and zeros.
/// Truncates text that does not fit.
///
/// # Errors
/// If other threads are running, which may be reading it, or `area` is not within that memory.
pub(super) fn overwrite(area: Range<usize>, text: &[u8]) -> io::Result<()> {
    require_one_thread()?;
    let [arguments, environment] = areas()?;
    let within = |outer: &Range<usize>| outer.start <= area.start && area.end <= outer.end;
    // Keep the last byte, the terminating zero.
    let len = area.len().saturating_sub(1);
    if len == 0 || !(within(&arguments) || within(&environment)) {
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
