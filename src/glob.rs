//! Glob patterns as Redis matches them: `*`, `?`, `[a-c]`, `[^a]` and `\` before any of these.

/// A pattern with more stars than this, but for stars at its end, matches nothing, as in Redis.
const STARS_MAX: usize = 1000;

/// Whether `text` matches `pattern`. Takes time proportional to the product of their lengths at
/// most, where naive matching of many stars takes exponential time.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_with(pattern, text, |byte| byte)
}

/// The same, ignoring the case of ASCII letters.
pub(crate) fn matches_any_case(pattern: &[u8], text: &[u8]) -> bool {
    matches_with(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn matches_with(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8) -> bool {
    if text.is_empty() {
        // Even a star does not match empty text, a quirk of Redis's.
        return pattern.is_empty();
    }
    let (mut p, mut t, mut stars) = (0, 0, 0);
    // Where to continue when the text after the last star does not match: that star takes one byte
    // more. An earlier star never needs to.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += pattern[p..].iter().take_while(|&&byte| byte == b'*').count();
            if p == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((p, t));
            continue;
        }
        match element(&pattern[p..], fold(text[t]), &fold) {
            Some(len) => (p, t) = (p + len, t + 1),
            None => match retry {
                Some((after_star, from)) => {
                    (p, t) = (after_star, from + 1);
                    retry = Some((after_star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Matches one byte with the first element of a pattern; returns the element's length.
fn element(pattern: &[u8], byte: u8, fold: &impl Fn(u8) -> u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ..] => class(pattern, byte, fold),
        [b'\\', escaped, ..] => (fold(*escaped) == byte).then_some(2),
        [plain, ..] => (fold(*plain) == byte).then_some(1),
    }
}

/// A class; an unclosed one ends with the pattern, as in Redis.
fn class(pattern: &[u8], byte: u8, fold: &impl Fn(u8) -> u8) -> Option<usize> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match &pattern[at.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= fold(*escaped) == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [first, b'-', last, ..] => {
                let (first, last) = (fold(*first.min(last)), fold(*first.max(last)));
                found |= (first..=last).contains(&byte);
                at += 3;
            }
            [plain, ..] => {
                found |= fold(*plain) == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let yes: &[(&str, &str)] = &[
            ("*", "abc"),
            ("a*c", "abbbc"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            ("\\*", "*"),
            ("h[e\\]]l", "h]l"),
            ("a**", "a"),
            ("[c-a]", "b"),
            ("*b*b*", "abab"),
            ("[abc", "b"),
            ("", ""),
        ];
        let no: &[(&str, &str)] = &[
            ("a", "b"),
            ("a?", "a"),
            ("[^a]", "a"),
            ("", "a"),
            ("*a", "ab"),
            ("\\*", "a"),
            ("[]", "a"),
            ("*", ""),
            ("**", ""),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in no {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        assert!(matches_any_case(b"MAX[C]*", b"maxclients"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(2000).as_bytes()));
    }

    #[test]
    fn a_thousand_stars_are_the_most() {
        let text = "a".repeat(2000);
        for (stars, end, matched) in
            [(1000, "", true), (1001, "", false), (1000, "**", true), (1000, "*?", false)]
        {
            let pattern = "*?".repeat(stars) + end;
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), matched, "{stars} {end}");
        }
    }
}
