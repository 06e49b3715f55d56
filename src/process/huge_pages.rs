//! Huge pages of memory: a small write to one that a snapshot's reader shares, or that the
//! allocator gave back in part, costs as much as one to all of it.

/// Whether the system gives huge pages to every process.
fn are_given() -> bool {
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("[always]"))
}

/// Has this process get none, if the system would give them.
///
/// # Errors
/// If the system refuses.
pub(crate) fn disable() -> std::io::Result<()> {
    if are_given() {
        rustix::thread::disable_transparent_huge_pages(true)?;
    }
    Ok(())
}
