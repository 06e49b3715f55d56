//! The slots of one cache line, looked at together: without a branch for each, of which the processor
//! would guess one wrong in most searches.

#[cfg(all(target_arch = "x86_64", not(limpid_loom)))]
pub(super) use packed::Line;

#[cfg(not(all(target_arch = "x86_64", not(limpid_loom))))]
pub(super) use one_by_one::Line;

#[cfg(all(target_arch = "x86_64", not(limpid_loom)))]
mod packed {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi16, _mm_cmpeq_epi32, _mm_loadu_si128,
        _mm_movemask_epi8, _mm_or_si128, _mm_packs_epi16, _mm_packs_epi32, _mm_set1_epi16,
        _mm_setzero_si128, _mm_shuffle_epi32, _mm_slli_epi64, _mm_srli_epi64,
    };

    use super::super::super::sync::AtomicU64;
    use super::super::segment::LINE;

    /// Two slots each; SSE2, which all processors of the architecture have.
    pub(crate) struct Line([__m128i; LINE / 2]);

    impl Line {
        /// # Safety
        /// Nobody changes the slots meanwhile. There are as many as in a line.
        #[inline]
        pub(crate) unsafe fn read(slots: &[AtomicU64]) -> Self {
            debug_assert_eq!(slots.len(), LINE);
            let at = slots.as_ptr().cast::<__m128i>();
            // SAFETY: within the slots. Others only read them, so this races with no write.
            Self(std::array::from_fn(|pair| unsafe { _mm_loadu_si128(at.add(pair)) }))
        }

        /// The slots that have a mark, a bit each; vacant ones count as marked by 0.
        #[inline]
        pub(crate) fn marked(&self, mark: u64) -> u32 {
            // SAFETY: the processor has SSE2.
            unsafe {
                // Without the bit above the mark: packing must take none of them for negative.
                let marks = |pair| _mm_srli_epi64::<49>(_mm_slli_epi64::<1>(pair));
                let [a, b, c, d] = self.0.map(marks);
                let marks = _mm_packs_epi32(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
                let same = _mm_cmpeq_epi16(marks, _mm_set1_epi16((mark >> 48) as i16));
                _mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128())) as u32
            }
        }

        #[inline]
        pub(crate) fn has_vacancy(&self) -> bool {
            // SAFETY: the processor has SSE2.
            unsafe {
                let zero = |pair| {
                    let halves = _mm_cmpeq_epi32(pair, _mm_setzero_si128());
                    _mm_and_si128(halves, _mm_shuffle_epi32::<0b10_11_00_01>(halves))
                };
                let [a, b, c, d] = self.0.map(zero);
                let any = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
                _mm_movemask_epi8(any) != 0
            }
        }
    }
}

#[cfg(any(test, not(all(target_arch = "x86_64", not(limpid_loom)))))]
mod one_by_one {
    use super::super::super::sync::{AtomicU64, Ordering};
    use super::super::segment::{LINE, MARK};

    /// The same for other processors, and for models.
    pub(crate) struct Line([u64; LINE]);

    impl Line {
        /// # Safety
        /// Nobody changes the slots meanwhile. There are as many as in a line.
        #[inline]
        pub(crate) unsafe fn read(slots: &[AtomicU64]) -> Self {
            Self(std::array::from_fn(|index| slots[index].load(Ordering::Relaxed)))
        }

        /// The slots that have a mark, a bit each; vacant ones count as marked by 0.
        #[inline]
        pub(crate) fn marked(&self, mark: u64) -> u32 {
            let bit = |(index, slot): (usize, &u64)| u32::from(slot & MARK == mark) << index;
            self.0.iter().enumerate().map(bit).sum()
        }

        #[inline]
        pub(crate) fn has_vacancy(&self) -> bool {
            self.0.contains(&0)
        }
    }
}

#[cfg(all(test, target_arch = "x86_64", not(limpid_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::super::super::sync::AtomicU64;
    use super::super::segment::{EXPIRES, LINE, MARK};

    proptest! {
        #[test]
        fn slots_looked_at_together_are_as_one_by_one(
            slots: [u64; LINE],
            kinds in prop::array::uniform8(0_u8..5),
            pick in 0..LINE,
        ) {
            let slots: [u64; LINE] = std::array::from_fn(|index| match kinds[index] {
                0 => 0,
                1 => slots[index] & !MARK,
                2 => slots[pick] ^ EXPIRES,
                3 => slots[pick] & (MARK | 1),
                _ => slots[index],
            });
            let line = slots.map(AtomicU64::new);
            // SAFETY: they are this test's own.
            let (together, single) = unsafe {
                (super::packed::Line::read(&line), super::one_by_one::Line::read(&line))
            };
            for mark in slots.map(|slot| slot & MARK).into_iter().chain([0, MARK]) {
                prop_assert_eq!(together.marked(mark), single.marked(mark));
            }
            prop_assert_eq!(together.has_vacancy(), single.has_vacancy());
        }
    }
}
