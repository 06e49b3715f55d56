//! Byte strings as C reads them, and the words of a line in Redis's quoting.

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

/// What C's `isspace` takes for space.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// A quote without its partner, or one that something other than space follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnbalancedQuotes;

/// Splits a line into words as `sdssplitargs` does: `"..."` with the escapes `\n \r \t \b \a \xHH`,
/// `'...'` with `\'`, and words without quotes. A quote may begin within a word; where it closes,
/// the word must end. A zero byte ends the line.
pub(crate) fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let (mut words, mut rest) = (Vec::new(), line);
    loop {
        let mut word = Vec::new();
        if !next_word(&mut rest, &mut word)? {
            return Ok(words);
        }
        words.push(word);
    }
}

/// Takes the next word off a line, and appends it without its quotes to `word`; false at the end of
/// the line.
pub(crate) fn next_word(rest: &mut &[u8], word: &mut Vec<u8>) -> Result<bool, UnbalancedQuotes> {
    let start = rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len());
    let mut left = &rest[start..];
    if matches!(left, [] | [0, ..]) {
        *rest = left;
        return Ok(false);
    }
    loop {
        left = match left {
            [] | [0 | b' ' | b'\n' | b'\r' | b'\t', ..] => break,
            [quote @ (b'"' | b'\''), inner @ ..] => {
                left = unquote(*quote, inner, word)?;
                if left.first().is_some_and(|&next| next != 0 && !is_space(next)) {
                    return Err(UnbalancedQuotes);
                }
                break;
            }
            [plain, after @ ..] => {
                word.push(*plain);
                after
            }
        };
    }
    *rest = left;
    Ok(true)
}

/// Reads up to the closing quote; returns what follows it.
fn unquote<'a>(
    quote: u8,
    mut rest: &'a [u8],
    word: &mut Vec<u8>,
) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        let (byte, after) = match (quote, rest) {
            (_, [] | [0, ..]) => return Err(UnbalancedQuotes),
            (_, [end, after @ ..]) if *end == quote => return Ok(after),
            (b'"', [b'\\', b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_digit(*high) << 4 | hex_digit(*low), after)
            }
            (b'"', [b'\\', escaped, after @ ..]) if *escaped != 0 => (unescaped(*escaped), after),
            (b'\'', [b'\\', b'\'', after @ ..]) => (b'\'', after),
            (_, [plain, after @ ..]) => (*plain, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::{UnbalancedQuotes, push_quoted, split_words, until_nul};

    #[test]
    fn words_end_as_sdssplitargs_ends_them() {
        let words = |line: &[u8]| split_words(line).map(|words| words.join(&b"|"[..]));
        for (line, split) in [
            (&b"  a \t b\r\n"[..], &b"a|b"[..]),
            (b"", b""),
            (br#""a b\x41\n\"\q" '' ab"c d""#, b"a bA\n\"q||abc d"),
            (br"'a\'b\n'", br"a'b\n"),
            (br#""\xg1""#, b"xg1"),
            // Space to `isspace`, which ends no word.
            (b"\x0ba\x0bb \x0cc", b"a\x0bb|c"),
            (b"a \0b", b"a"),
            (b"a\0b", b"a"),
            (b"'a'\0b", b"a"),
        ] {
            assert_eq!(words(line).as_deref(), Ok(split), "{}", line.escape_ascii());
        }
        for line in [&b"\"a"[..], b"'a", b"\"a\"b", b"'a'b", br#""a\""#, b"\"a\0\"", b"\"\\\0\""] {
            assert_eq!(words(line), Err(UnbalancedQuotes), "{}", line.escape_ascii());
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_quoted_splits_back_to_itself(bytes: Vec<u8>) {
            let mut line = Vec::new();
            push_quoted(&mut line, &bytes);
            assert_eq!(split_words(&line), Ok(vec![bytes]));
        }
    }

    #[test]
    fn a_text_ends_before_the_first_zero() {
        for (bytes, seen) in [(&b""[..], &b""[..]), (b"a", b"a"), (b"a\0b\0", b"a"), (b"\0a", b"")]
        {
            assert_eq!(until_nul(bytes), seen);
        }
    }
}
