//! Asking the processor to load memory ahead of its use.
#![allow(unsafe_code, reason = "the instruction takes an address")]

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;

/// Loads the cache lines of bytes.
#[inline]
pub(crate) fn prefetch_all(bytes: &[u8]) {
    for offset in (0..bytes.len()).step_by(LINE_BYTES) {
        prefetch(bytes.as_ptr().wrapping_add(offset));
    }
}

/// Loads the cache line at `address`. A hint: any address is allowed.
#[inline]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: PREFETCHT0 reads nothing architecturally and cannot fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
