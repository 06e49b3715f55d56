//! Just enough of big natural numbers to read and write floats exactly.

/// A natural number, in 32-bit limbs from the lowest; the highest is not zero.
#[derive(Clone, Debug)]
pub(super) struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(value: u64) -> Self {
        let mut big = Self(vec![value as u32, (value >> 32) as u32]);
        big.trim();
        big
    }
}

impl Big {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// Bits up to the highest that is set.
    pub(super) fn bits(&self) -> u32 {
        let limbs = u32::try_from(self.0.len()).expect("numbers here have some thousand digits");
        limbs * 32 - self.0.last().map_or(0, |limb| limb.leading_zeros())
    }

    pub(super) fn multiply_add(&mut self, factor: u32, add: u32) {
        let mut carry = u64::from(add);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        self.0.push(carry as u32);
        self.trim();
    }

    /// Divides and returns the remainder.
    pub(super) fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0;
        for limb in self.0.iter_mut().rev() {
            let part = rest << 32 | u64::from(*limb);
            *limb = (part / u64::from(divisor)) as u32;
            rest = part % u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    pub(super) fn shift_left(&mut self, bits: u32) {
        self.multiply_add(1 << (bits % 32), 0);
        self.0.splice(0..0, std::iter::repeat_n(0, bits as usize / 32));
        self.trim();
    }

    /// The highest 128 bits, how many there are below them, and whether one of those is set.
    pub(super) fn high_bits(&self) -> (u128, u32, bool) {
        let below = self.bits().saturating_sub(128);
        let (limbs, shift) = (below as usize / 32, below % 32);
        let limb = |index: usize| u128::from(self.0.get(limbs + index).copied().unwrap_or(0));
        let low = limb(0) | limb(1) << 32 | limb(2) << 64 | limb(3) << 96;
        let high = if shift == 0 { 0 } else { limb(4) << (128 - shift) };
        let cut = self.0.get(limbs).is_some_and(|limb| limb & ((1 << shift) - 1) != 0);
        (low >> shift | high, below, cut || self.0.iter().take(limbs).any(|&limb| limb != 0))
    }

    pub(super) fn into_decimal(mut self) -> String {
        let mut parts = Vec::new();
        while !self.0.is_empty() {
            parts.push(self.divide(1_000_000_000));
        }
        let mut text = parts.pop().unwrap_or(0).to_string();
        parts.iter().rev().for_each(|part| text.push_str(&format!("{part:09}")));
        text
    }
}
