//! A line of redis.conf as words: Redis's quoting, read and written.
//!
//! Owns splitting (`sdssplitargs`) and quoting (`sdscatrepr`). Knows no directive.

/// Why a line cannot be split into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SplitError {
    /// A quote is never closed, or a closing quote touches the next word.
    UnbalancedQuotes,
    /// Escapes such as `\xff` gave bytes that are no UTF-8 text.
    NotUtf8,
}

impl SplitError {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::UnbalancedQuotes => "unbalanced quotes in configuration line",
            Self::NotUtf8 => "value is not valid UTF-8",
        }
    }
}

/// Splits a line as Redis does: `"..."` with the escapes `\n \r \t \b \a \xHH`, `'...'` with `\'`,
/// and words without quotes. A quote may begin within a word; after it closes, the word must end.
pub(super) fn split(line: &str) -> Result<Vec<String>, SplitError> {
    split_bytes(line.as_bytes())
}

/// As [`split`]; accepts any bytes outside of words.
pub(super) fn split_bytes(line: &[u8]) -> Result<Vec<String>, SplitError> {
    let mut rest = line;
    let mut words = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, after) = word(rest)?;
        words.push(String::from_utf8(word).map_err(|_| SplitError::NotUtf8)?);
        rest = after;
    }
}

/// The first word of `rest` (which begins with no space), and what follows it.
fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), SplitError> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => return Ok((word, rest)),
            [byte, ..] if byte.is_ascii_whitespace() => return Ok((word, rest)),
            [b'"', inner @ ..] => {
                let after = double_quoted(inner, &mut word)?;
                return Ok((word, closed(after)?));
            }
            [b'\'', inner @ ..] => {
                let after = single_quoted(inner, &mut word)?;
                return Ok((word, closed(after)?));
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

fn closed(after: &[u8]) -> Result<&[u8], SplitError> {
    match after {
        [byte, ..] if !byte.is_ascii_whitespace() => Err(SplitError::UnbalancedQuotes),
        _ => Ok(after),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], SplitError> {
    loop {
        match rest {
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return Err(SplitError::UnbalancedQuotes),
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], SplitError> {
    loop {
        match rest {
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return Err(SplitError::UnbalancedQuotes),
        }
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// Quotes `text` so that [`split`] returns it as one word.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\\' | '"' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            control if control.is_ascii_control() => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// `text` as one word: quoted only if [`split`] needs it.
pub(super) fn quote_if_needed(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control())
        && !text.contains(['"', '\'', '\\', '#']);
    if plain { text.to_owned() } else { quote(text) }
}

#[cfg(test)]
mod tests {
    use super::{SplitError, quote, quote_if_needed, split};

    #[test]
    fn words_split_at_any_run_of_blanks() {
        assert_eq!(split("  save \t 900   1 "), Ok(vec!["save".into(), "900".into(), "1".into()]));
        assert_eq!(split("  \t"), Ok(vec![]));
    }

    #[test]
    fn double_quotes_know_escapes() {
        let words = split(r#"a "b\x41\n\t\"\\ c\q" """#).unwrap();
        assert_eq!(words, ["a", "bA\n\t\"\\ cq", ""]);
    }

    #[test]
    fn single_quotes_know_only_their_own_escape() {
        assert_eq!(split(r"'a\'b\n' ''").unwrap(), ["a'b\\n", ""]);
    }

    #[test]
    fn a_quote_may_begin_within_a_word_but_must_end_it() {
        assert_eq!(split(r#"ab"cd ef""#).unwrap(), ["abcd ef"]);
        assert_eq!(split(r#""abc"def"#), Err(SplitError::UnbalancedQuotes));
    }

    #[test]
    fn an_open_quote_is_unbalanced() {
        assert_eq!(split(r#"logfile "abc"#), Err(SplitError::UnbalancedQuotes));
        assert_eq!(split("logfile 'abc"), Err(SplitError::UnbalancedQuotes));
        assert_eq!(split(r#"logfile "abc\"#), Err(SplitError::UnbalancedQuotes));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(split(r#"requirepass "\xff""#), Err(SplitError::NotUtf8));
    }

    #[test]
    fn what_was_quoted_splits_back_to_itself() {
        for text in ["", "plain", "two words", "quote\" \\ back", "tab\tbell\u{7}\u{1}", "Zürich"]
        {
            assert_eq!(split(&quote(text)).unwrap(), [text]);
            assert_eq!(split(&quote_if_needed(text)).unwrap(), [text]);
        }
        assert_eq!(quote_if_needed("127.0.0.1"), "127.0.0.1");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_quoted_so_that_it_splits_back(text: String) {
            assert_eq!(split(&quote(&text)).unwrap(), [text.as_str()]);
            assert_eq!(split(&quote_if_needed(&text)).unwrap(), [text.as_str()]);
        }

        #[test]
        fn no_line_makes_the_splitter_panic(line in r#"[a \\"'xf\n0]{0,24}"#) {
            let _words = split(&line);
        }
    }
}
