//! Maximum lag of a replica: a number of bytes or a time.

/// A lag limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lag {
    /// Missing bytes of the stream.
    Bytes(u64),
    /// Seconds since the master wrote the last bytes that the replica has.
    Seconds(f64),
}

impl Lag {
    /// `1MB`, `64kb`, `512` (bytes), `50ms`, `2s`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let bytes = |unit: f64| Some(Self::Bytes((number * unit) as u64));
        match unit.to_ascii_lowercase().as_str() {
            "" | "b" => bytes(1.0),
            "kb" => bytes(1024.0),
            "mb" => bytes(1024.0 * 1024.0),
            "gb" => bytes(1024.0 * 1024.0 * 1024.0),
            "ms" => Some(Self::Seconds(number / 1000.0)),
            "s" => Some(Self::Seconds(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lag;

    #[test]
    fn a_lag_is_a_size_or_a_time() {
        for (text, lag) in [
            ("512", Some(Lag::Bytes(512))),
            ("1MB", Some(Lag::Bytes(1 << 20))),
            ("1.5kb", Some(Lag::Bytes(1536))),
            ("50ms", Some(Lag::Seconds(0.05))),
            ("2s", Some(Lag::Seconds(2.0))),
            ("", None),
            ("ms", None),
            ("5 min", None),
            ("-1", None),
        ] {
            assert_eq!(Lag::parse(text), lag, "{text:?}");
        }
    }
}
