//! A line of redis.conf as words: Redis's quoting, read and written.
//!
//! Words are text here, and stay readable where they are quoted. Knows no directive.

use crate::text::{UnbalancedQuotes, split_words};

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

/// Splits a line as Redis does.
pub(super) fn split(line: &str) -> Result<Vec<String>, SplitError> {
    split_bytes(line.as_bytes())
}

/// As [`split`]; accepts any bytes outside of words.
pub(super) fn split_bytes(line: &[u8]) -> Result<Vec<String>, SplitError> {
    let words = split_words(line).map_err(|UnbalancedQuotes| SplitError::UnbalancedQuotes)?;
    let text = |word| String::from_utf8(word).map_err(|_| SplitError::NotUtf8);
    words.into_iter().map(text).collect()
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
