//! Patterns of BY and GET, which name a key after an element, or a field of it.

use crate::commands::Keys;
use crate::text::until_nul;
use crate::types::listpack::Item;
use crate::types::{StringView, ValueRef};

/// A pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// Without a `*`, no key has the name.
    Nothing,
    /// The key between whose parts the element stands; and which field of it, if it is a hash.
    Key { prefix: &'a [u8], suffix: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    /// Reads `prefix*suffix` or `prefix*suffix->field`. The marks are looked for up to a zero byte.
    pub(super) fn new(pattern: &'a [u8]) -> Self {
        let seen = until_nul(pattern);
        if seen == b"#" {
            return Self::Element;
        }
        let Some(star) = seen.iter().position(|&byte| byte == b'*') else { return Self::Nothing };
        let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
        let seen = &seen[star + 1..];
        match seen.windows(2).position(|pair| pair == b"->") {
            // An arrow at the end is part of the name.
            Some(arrow) if arrow + 2 < seen.len() => {
                Self::Key { prefix, suffix: &rest[..arrow], field: Some(&rest[arrow + 2..]) }
            }
            _ => Self::Key { prefix, suffix: rest, field: None },
        }
    }

    /// The string for an element. Counts as a read of the key, whose name is built in `name`.
    pub(super) fn value<'k>(
        &self,
        keys: &'k mut Keys<'_>,
        element: &'k [u8],
        name: &mut Vec<u8>,
    ) -> Option<StringView<'k>> {
        let field = match self.build(element, name) {
            Built::Name(field) => field,
            Built::Element => return Some(StringView::Bytes(element)),
            Built::Nothing => return None,
        };
        let key = keys.key(name);
        string_of(keys.read(key)?.value(), field)
    }

    /// The same for an element for which there is one, without counting.
    pub(super) fn look<'k>(
        &self,
        keys: &'k Keys<'_>,
        element: &'k [u8],
        name: &mut Vec<u8>,
    ) -> Option<StringView<'k>> {
        let field = match self.build(element, name) {
            Built::Name(field) => field,
            Built::Element => return Some(StringView::Bytes(element)),
            Built::Nothing => return None,
        };
        let key = keys.key(name);
        string_of(keys.look(key)?.value(), field)
    }

    fn build(&self, element: &[u8], name: &mut Vec<u8>) -> Built<'a> {
        match *self {
            Self::Element => Built::Element,
            Self::Nothing => Built::Nothing,
            Self::Key { prefix, suffix, field } => {
                name.clear();
                [prefix, element, suffix].iter().for_each(|part| name.extend_from_slice(part));
                Built::Name(field)
            }
        }
    }
}

/// What a pattern makes of an element.
enum Built<'a> {
    Element,
    Nothing,
    /// A name was built; holds the field.
    Name(Option<&'a [u8]>),
}

/// The string that a value is, or that its field has.
fn string_of<'v>(value: ValueRef<'v>, field: Option<&[u8]>) -> Option<StringView<'v>> {
    match field {
        None => value.string(),
        Some(field) => value.hash()?.get(field).map(|item| match item {
            Item::Int(value) => StringView::Int(value),
            Item::Bytes(bytes) => StringView::Bytes(bytes),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern::{self, Element, Nothing};

    fn key<'a>(prefix: &'a str, suffix: &'a str, field: Option<&'a str>) -> Pattern<'a> {
        Pattern::Key {
            prefix: prefix.as_bytes(),
            suffix: suffix.as_bytes(),
            field: field.map(str::as_bytes),
        }
    }

    #[test]
    fn a_pattern_names_a_key_or_a_field() {
        for (pattern, expected) in [
            ("#", Element),
            ("#\0x", Element),
            ("##", Nothing),
            ("", Nothing),
            ("w", Nothing),
            ("w->f", Nothing),
            ("w\0*", Nothing),
            ("*", key("", "", None)),
            ("w_*", key("w_", "", None)),
            ("w_*_*", key("w_", "_*", None)),
            ("h_*->f", key("h_", "", Some("f"))),
            ("h->g*x->f->e", key("h->g", "x", Some("f->e"))),
            ("h_*->", key("h_", "->", None)),
            ("h_*->->f", key("h_", "", Some("->f"))),
            ("h_*\0->f", key("h_", "\0->f", None)),
            ("h_*->\0f", key("h_", "->\0f", None)),
            ("h_*->f\0g", key("h_", "", Some("f\0g"))),
        ] {
            assert_eq!(Pattern::new(pattern.as_bytes()), expected, "{pattern:?}");
        }
    }
}
