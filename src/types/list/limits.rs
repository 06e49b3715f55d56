//! How lists are divided into nodes: the settings list-max-listpack-size and list-compress-depth.

/// Beyond this a node of a limit in elements is full all the same, in bytes.
const SAFETY_BYTES_MAX: u32 = 8192;
/// Elements of at least so many bytes stand alone, without a listpack, unless DEBUG says otherwise.
pub(crate) const PLAIN_BYTES_MIN: u32 = 1 << 30;
/// Bytes of a node for sizes from -1 to -5.
const BYTES_MAX: [u32; 5] = [4096, 8192, 16_384, 32_768, 65_536];
/// Values of the two settings as a listpack in an entry has them behind it.
pub(super) const SAVED_BYTES: usize = 4;

/// The limits of a list. A list keeps those it was made with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// list-max-listpack-size: elements of a node, or -1 to -5 for 4 to 64 KiB.
    fill: i16,
    /// Nodes at each end that are not compressed; 0 if none is.
    compress_depth: u16,
    /// What `fill` means.
    node_bytes_max: u32,
    node_elements_max: u32,
    plain_bytes_min: u32,
}

impl Limits {
    /// The settings' defaults.
    pub(crate) const DEFAULT: Self = Self::of(-2, 0);

    /// The limits of list-max-listpack-size (elements, or -1 to -5 for 4 to 64 KiB) and
    /// list-compress-depth (nodes).
    pub(crate) fn new(max_listpack_size: i64, compress_depth: usize) -> Self {
        // Redis's own bounds.
        let fill = i16::try_from(max_listpack_size.clamp(-5, i64::from(i16::MAX)));
        let compress_depth = u16::try_from(compress_depth).unwrap_or(u16::MAX);
        Self::of(fill.expect("clamped to it"), compress_depth)
    }

    const fn of(fill: i16, compress_depth: u16) -> Self {
        let (node_bytes_max, node_elements_max) = if fill < 0 {
            (BYTES_MAX[(-(fill + 1)) as usize % BYTES_MAX.len()], u32::MAX)
        } else if fill == 0 {
            (SAFETY_BYTES_MAX, 1)
        } else {
            (SAFETY_BYTES_MAX, fill as u32)
        };
        let plain_bytes_min = PLAIN_BYTES_MIN;
        Self { fill, compress_depth, node_bytes_max, node_elements_max, plain_bytes_min }
    }

    /// The same, with elements of so many bytes alone in their nodes: DEBUG
    /// QUICKLIST-PACKED-THRESHOLD.
    pub(crate) const fn with_plain_bytes_min(self, plain_bytes_min: u32) -> Self {
        Self { plain_bytes_min, ..self }
    }

    /// The same, with the other ones' length of elements that stand alone: it is the server's.
    pub(crate) const fn with_plain_of(self, other: Self) -> Self {
        Self { plain_bytes_min: other.plain_bytes_min, ..self }
    }

    /// list-max-listpack-size, in its bounds.
    pub(crate) const fn fill(self) -> i16 {
        self.fill
    }

    /// list-compress-depth, in nodes.
    #[inline]
    pub(crate) const fn compress_depth(self) -> usize {
        self.compress_depth as usize
    }

    /// The two settings as bytes; `None` if they are the default ones.
    pub(super) fn saved(self) -> Option<[u8; SAVED_BYTES]> {
        if (self.fill, self.compress_depth) == (Self::DEFAULT.fill, Self::DEFAULT.compress_depth) {
            return None;
        }
        let ([a, b], [c, d]) = (self.fill.to_le_bytes(), self.compress_depth.to_le_bytes());
        Some([a, b, c, d])
    }

    /// What [`saved`](Self::saved) gave: no bytes for the defaults.
    #[inline]
    pub(super) fn of_saved(bytes: &[u8]) -> Self {
        match *bytes {
            [a, b, c, d] => Self::of(i16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
            _ => Self::DEFAULT,
        }
    }

    /// Whether an element of `len` bytes stands alone in its node.
    #[inline]
    pub(super) const fn is_plain(self, len: usize) -> bool {
        len >= self.plain_bytes_min as usize
    }

    /// Whether a node of so many bytes and elements would be too large.
    #[inline]
    pub(super) const fn exceeded(self, bytes: usize, elements: usize) -> bool {
        bytes > self.node_bytes_max as usize || elements > self.node_elements_max as usize
    }

    /// Whether Redis would add a string of `len` bytes to a listpack of so many bytes and elements.
    #[inline]
    pub(super) const fn allow(self, bytes: usize, elements: usize, len: usize) -> bool {
        /// What Redis takes a string to cost beyond its length.
        const OVERHEAD_ESTIMATE: usize = 8;
        !self.is_plain(len) && !self.exceeded(bytes + len + OVERHEAD_ESTIMATE, elements + 1)
    }
}
