//! A size in bytes, or as a share of `maxmemory`.

/// A limit on memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryShare {
    /// So many bytes; 0: no limit.
    Bytes(u64),
    /// So many hundredths of `maxmemory`.
    Percent(u8),
}

impl Default for MemoryShare {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl MemoryShare {
    /// The limit in bytes, given `maxmemory`; 0: none, as is a share of no limit.
    #[must_use]
    pub fn bytes(self, maxmemory_bytes: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => {
                let bytes = u128::from(maxmemory_bytes) * u128::from(percent) / 100;
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
        }
    }

    /// Reads the text of CONFIG GET.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().map(Self::Percent),
            None => text.parse().ok().map(Self::Bytes),
        }
    }

    /// The text of CONFIG GET.
    pub(super) fn text(self) -> String {
        match self {
            Self::Bytes(bytes) => bytes.to_string(),
            Self::Percent(percent) => format!("{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryShare;

    #[test]
    fn a_share_is_of_maxmemory() {
        assert_eq!(MemoryShare::Percent(7).bytes(6 << 20), 440_401);
        assert_eq!(MemoryShare::Percent(7).bytes(0), 0);
        assert_eq!(MemoryShare::Percent(100).bytes(u64::MAX), u64::MAX);
        assert_eq!(MemoryShare::Bytes(5).bytes(6), 5);
    }
}
