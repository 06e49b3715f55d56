//! What the allocator hands out for a request, and vectors that grow by its size classes.
//!
//! jemalloc rounds a request up to a size class: multiples of 16 bytes up to 128, from there on
//! four classes per doubling. A vector that doubles wastes a quarter of its room on average, one
//! that grows class by class a tenth.

use std::sync::Arc;

/// The reference counts before what an `Arc` holds, in bytes.
const ARC_HEADER: usize = 16;

/// Bytes that the allocator uses for a request of `bytes`.
#[inline]
pub(crate) const fn size_class(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
    }
}

/// Bytes allocated for an `Arc` of a value of `bytes`.
#[inline]
pub(crate) const fn arc_bytes(bytes: usize) -> usize {
    size_class(ARC_HEADER + bytes)
}

/// The longest slice that an `Arc` of at least `bytes` can hold in the same allocation.
#[inline]
pub(crate) const fn arc_room(bytes: usize) -> usize {
    arc_bytes(bytes) - ARC_HEADER
}

/// Bytes allocated for a vector's elements.
#[inline]
pub(crate) const fn vec_bytes<T>(vec: &Vec<T>) -> usize {
    size_class(vec.capacity() * size_of::<T>())
}

/// Elements that fit into the allocation for `len` of them.
const fn vec_room<T>(len: usize) -> usize {
    size_class(len * size_of::<T>()) / size_of::<T>()
}

/// Makes room for `more` elements, up to the next size class.
pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize) {
    let len = vec.len() + more;
    if len > vec.capacity() {
        vec.reserve_exact(vec_room::<T>(len) - vec.len());
    }
}

/// Gives back room that the elements no longer need.
pub(crate) fn shrink<T>(vec: &mut Vec<T>) {
    let room = vec_room::<T>(vec.len());
    if room < vec.capacity() {
        vec.shrink_to(room);
    }
}

/// A copy with the same room, so that counted bytes stay right.
pub(crate) fn cloned<T: Clone>(vec: &Vec<T>) -> Vec<T> {
    let mut clone = Vec::with_capacity(vec.capacity());
    clone.extend_from_slice(vec);
    clone
}

/// Zeroed bytes behind an `Arc` of their own, and a way to write to them.
pub(crate) fn zeroed(len: usize) -> Arc<[u8]> {
    // Copying zeros is quicker than what collecting them into an `Arc` compiles to.
    static ZEROS: [u8; 8192] = [0; 8192];
    ZEROS.get(..len).map_or_else(|| vec![0; len].into(), Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_jemallocs() {
        let classes = [
            8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
            896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
            10240, 12288, 14336, 16384, 20480,
        ];
        let mut smaller = 0;
        for class in classes {
            assert_eq!([smaller + 1, class].map(size_class), [class, class]);
            smaller = class;
        }
        assert_eq!(size_class(0), 0);
    }

    #[test]
    fn a_vector_grows_class_by_class() {
        let mut vec: Vec<[u8; 24]> = Vec::new();
        for len in 1..200 {
            reserve(&mut vec, 1);
            vec.push([0; 24]);
            assert_eq!(vec.capacity(), size_class(len * 24) / 24);
        }
        vec.truncate(3);
        shrink(&mut vec);
        assert_eq!((vec.capacity(), vec_bytes(&vec)), (3, 80));
    }

    #[test]
    fn zeroed_bytes_are_zero_at_any_length() {
        for len in [0, 1, 8192, 8193] {
            assert_eq!(*zeroed(len), *vec![0; len]);
        }
    }
}
