//! The words of a manifest's line: quoting as Redis's `sdssplitargs` and `sdscatrepr` have it.

/// What C's `isspace` takes for space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The line without space at its ends.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let kept = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let first = line.iter().position(kept).unwrap_or(line.len());
    let last = line.iter().rposition(kept).map_or(first, |at| at + 1);
    &line[first..last]
}

/// The number that a word begins with, as C's `atoll` reads it; 0 if there is none.
pub(super) fn leading_number(word: &[u8]) -> i64 {
    let start = word.iter().position(|&byte| !is_space(byte)).unwrap_or(word.len());
    let word = &word[start..];
    let (negative, digits) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut number = 0_i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        let next = number.saturating_mul(10);
        number = if negative { next.saturating_sub(digit) } else { next.saturating_add(digit) };
    }
    number
}

/// Splits a line into words; `None` where quotes are not balanced, or end within a word.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut words, mut rest) = (Vec::new(), line);
    loop {
        let start = rest.iter().position(|&byte| !is_space(byte));
        let Some(start) = start else { return Some(words) };
        let (word, after) = next_word(&rest[start..])?;
        words.push(word);
        rest = after;
    }
}

/// Takes one word off a text that begins with it.
fn next_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' | b'\'' => {
                rest =
                    if byte == b'"' { double(rest, &mut word)? } else { single(rest, &mut word)? };
                let ended = rest.first().is_none_or(|&next| is_space(next));
                return ended.then_some((word, rest));
            }
            other => word.push(other),
        }
    }
    Some((word, rest))
}

/// Reads up to the closing double quote, with its escapes.
fn double<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    &other => other,
                });
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

/// Reads up to the closing single quote.
fn single<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Writes a name, in quotes if a reader would split or change it otherwise.
pub(super) fn quote_if_needed(name: &[u8], into: &mut Vec<u8>) {
    if name.iter().all(|&byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'\'')) {
        into.extend_from_slice(name);
        return;
    }
    into.push(b'"');
    for &byte in name {
        match byte {
            b'\\' | b'"' => into.extend_from_slice(&[b'\\', byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            7 => into.extend_from_slice(b"\\a"),
            8 => into.extend_from_slice(b"\\b"),
            b' '..=b'~' => into.push(byte),
            other => into.extend_from_slice(format!("\\x{other:02x}").as_bytes()),
        }
    }
    into.push(b'"');
}
