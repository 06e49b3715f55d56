//! Byte strings as C reads them.

/// The part that C sees: it ends before the first zero byte. Redis hands much of what clients send to
/// functions of C.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::until_nul;

    #[test]
    fn a_text_ends_before_the_first_zero() {
        for (bytes, seen) in [(&b""[..], &b""[..]), (b"a", b"a"), (b"a\0b\0", b"a"), (b"\0a", b"")]
        {
            assert_eq!(until_nul(bytes), seen);
        }
    }
}
