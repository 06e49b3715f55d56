//! A command's reply as the debugger shows it, in the form that redis-cli's users know.

use bstr::ByteSlice;

use crate::text::push_quoted;

/// The reply's text.
pub(super) fn reply_text(reply: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    push_reply(&mut text, reply);
    text
}

/// Appends the first reply of `bytes`, and returns what is behind it.
fn push_reply<'b>(text: &mut Vec<u8>, bytes: &'b [u8]) -> &'b [u8] {
    let Some(end) = bytes.find(b"\r\n") else { return &[] };
    let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
    let Some((&kind, value)) = line.split_first() else { return rest };
    let len = value.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    match kind {
        b':' => text.extend_from_slice(value),
        b'+' | b'-' => push_quoted(text, line),
        b'_' => text.extend_from_slice(b"(null)"),
        b'#' => text.extend_from_slice(if value == b"t" { b"#true" } else { b"#false" }),
        b',' => {
            text.extend_from_slice(b"(double) ");
            text.extend_from_slice(value);
        }
        b'$' => match len {
            Some(len) => {
                push_quoted(text, &rest[..len]);
                return &rest[len + 2..];
            }
            None => text.extend_from_slice(b"NULL"),
        },
        b'*' | b'~' | b'%' => return push_items(text, kind, len, rest),
        _ => {}
    }
    rest
}

fn push_items<'b>(
    text: &mut Vec<u8>,
    kind: u8,
    len: Option<usize>,
    mut rest: &'b [u8],
) -> &'b [u8] {
    let Some(len) = len else {
        text.extend_from_slice(b"NULL");
        return rest;
    };
    let (open, close): (&[u8], &[u8]) = match kind {
        b'*' => (b"[", b"]"),
        b'~' => (b"~(", b")"),
        _ => (b"{", b"}"),
    };
    text.extend_from_slice(open);
    for index in 0..len {
        if index > 0 {
            text.push(b',');
        }
        rest = push_reply(text, rest);
        if kind == b'%' {
            text.extend_from_slice(b" => ");
            rest = push_reply(text, rest);
        }
    }
    text.extend_from_slice(close);
    rest
}

#[cfg(test)]
mod tests {
    use super::reply_text;

    #[test]
    fn replies_are_shown_in_the_form_of_redis() {
        for (reply, text) in [
            (":-12\r\n", "-12"),
            ("+OK\r\n", r#""+OK""#),
            ("-ERR no\r\n", r#""-ERR no""#),
            ("$3\r\na\n\"\r\n", r#""a\n\"""#),
            ("$-1\r\n", "NULL"),
            ("*-1\r\n", "NULL"),
            ("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", r#"[1,["x"]]"#),
            ("%1\r\n+a\r\n,1.5\r\n", r#"{"+a" => (double) 1.5}"#),
            ("~2\r\n#t\r\n_\r\n", "~(#true,(null))"),
        ] {
            assert_eq!(String::from_utf8(reply_text(reply.as_bytes())).unwrap(), text);
        }
    }
}
