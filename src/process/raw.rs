//! The system calls and memory of the process that no safe interface covers.
//!
//! Both functions are sound only while the process has one thread, and ask the kernel whether it
//! has. A thread cannot appear between the question and the act, as only this one could start it.
#![allow(unsafe_code, reason = "fork, and the memory of the arguments; see the module doc")]

use std::io;
use std::ops::Range;

/// Who goes on after a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forked {
    Parent,
    Child,
}

/// # Errors
/// Unless this thread is the only one.
fn require_one_thread() -> io::Result<()> {
    match std::fs::read_dir("/proc/self/task")?.count() {
        1 => Ok(()),
        threads => Err(io::Error::other(format!("{threads} threads run already"))),
    }
}

/// Makes the process two.
///
/// # Errors
/// When other threads run, which the child would lack, or the system refuses.
pub(super) fn fork() -> io::Result<Forked> {
    require_one_thread()?;
    // SAFETY: no other thread can hold a lock of the allocator or of the library, so the child may
    // go on as the parent would have.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        _ => Ok(Forked::Parent),
    }
}

/// Puts `text`, and zeros behind it, in the place of the process's arguments or of a part of its
/// environment. What does not fit is left out.
///
/// # Errors
/// When other threads run, which may be reading it, or `area` is not within that memory.
pub(super) fn overwrite(area: Range<usize>, text: &[u8]) -> io::Result<()> {
    require_one_thread()?;
    let [arguments, environment] = areas()?;
    let within = |outer: &Range<usize>| outer.start <= area.start && area.end <= outer.end;
    // The last byte stays the zero that ends the last of them.
    let len = area.len().saturating_sub(1);
    if len == 0 || !(within(&arguments) || within(&environment)) {
        return Err(io::Error::other("no arguments lie there"));
    }
    let text = &text[..text.len().min(len)];
    let start = std::ptr::with_exposed_provenance_mut::<u8>(area.start);
    // SAFETY: the kernel says that the arguments or variables of this process lie there, in memory
    // of its stack that stays mapped and writable. Nobody holds a reference into it: the library
    // copies what it hands out, and no other thread runs. Strings end where they ended or sooner.
    unsafe {
        std::ptr::write_bytes(start, 0, len);
        std::ptr::copy_nonoverlapping(text.as_ptr(), start, text.len());
    }
    Ok(())
}

/// Where the kernel put the arguments and the environment when the process began.
pub(super) fn areas() -> io::Result<[Range<usize>; 2]> {
    const ARG_START: usize = 48;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Fields are counted from 1; the second, the name, may hold blanks. The third follows it.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = after_name.split_ascii_whitespace().skip(ARG_START - 3);
    let mut next = || fields.next().and_then(|field| field.parse::<usize>().ok()).unwrap_or(0);
    let found = [next()..next(), next()..next()];
    if found[0].start == 0 || found.iter().any(|area| area.end < area.start) {
        return Err(io::Error::other("the kernel does not tell"));
    }
    Ok(found)
}
