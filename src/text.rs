//! Byte strings as C reads them.

/// The part that C sees: it ends before the first zero byte. Redis hands much of what clients send to
/// functions of C.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Appends bytes in quotes, as `sdscatrepr` does: what is not printable ASCII is escaped.
pub(crate) fn push_quoted(text: &mut Vec<u8>, bytes: &[u8]) {
    text.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => text.extend_from_slice(&[b'\\', byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            0x07 => text.extend_from_slice(b"\\a"),
            0x08 => text.extend_from_slice(b"\\b"),
            b' '..=b'~' => text.push(byte),
            _ => text.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    text.push(b'"');
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
