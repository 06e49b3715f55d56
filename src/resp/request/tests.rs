//! Requests arrive whole, in pieces, and wrong.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bulk_bytes_max: 512 << 20, authenticated: true };

fn arguments(buffer: &[u8], spans: &[Span]) -> Vec<Vec<u8>> {
    let slice = |span: &Span| {
        let start = span.start as usize;
        buffer.get(start..start + span.len as usize).expect("spans lie in the buffer").to_vec()
    };
    spans.iter().map(slice).collect()
}

fn error(buffer: &[u8]) -> String {
    let mut spans = Vec::new();
    let error = Parser::default().parse(buffer, &mut spans, LIMITS).expect_err("is refused");
    String::from_utf8_lossy(&error.text()).into_owned()
}

fn inline(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let (mut arena, mut spans) = (Vec::new(), Vec::new());
    split_inline(line, &mut arena, 0, &mut spans)?;
    Ok(arguments(&arena, &spans))
}

proptest! {
    #[test]
    fn a_request_is_the_same_however_it_is_cut(
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in &args {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        ends.sort_unstable();
        let mut parser = Parser::default();
        let mut spans = Vec::new();
        for end in ends {
            let got = parser.parse(&bytes[..end], &mut spans, LIMITS);
            prop_assert_eq!(got, Ok(None));
            prop_assert!(spans.is_empty());
        }
        let got = parser.parse(&bytes, &mut spans, LIMITS);
        prop_assert_eq!(got, Ok(Some((Request::Multibulk, bytes.len()))));
        prop_assert_eq!(arguments(&bytes, &spans), args);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut parser, mut spans, mut at) = (Parser::default(), Vec::new(), 0);
        while let Ok(Some((_, len))) = parser.parse(&bytes[at..], &mut spans, LIMITS) {
            at += len;
            spans.clear();
        }
        drop(inline(&bytes));
    }
}

#[test]
fn errors_say_what_redis_says() {
    assert_eq!(error(b"*x\r\n"), "ERR Protocol error: invalid multibulk length");
    assert_eq!(error(b"*2147483648\r\n"), "ERR Protocol error: invalid multibulk length");
    assert_eq!(error(b"*1\r\n+2\r\n"), "ERR Protocol error: expected '$', got '+'");
    assert_eq!(error(b"*1\r\n$-1\r\n"), "ERR Protocol error: invalid bulk length");
    assert_eq!(error(b"*1\r\n$536870913\r\n"), "ERR Protocol error: invalid bulk length");
    assert_eq!(error(&[b'a'; 64 * 1024]), "ERR Protocol error: too big inline request");
    assert_eq!(error(&[b'*'; 64 * 1024]), "ERR Protocol error: too big mbulk count string");
}

#[test]
fn an_unauthenticated_client_may_send_little() {
    let limits = Limits { authenticated: false, ..LIMITS };
    let parse = |bytes: &[u8]| Parser::default().parse(bytes, &mut Vec::new(), limits);
    assert_eq!(parse(b"*11\r\n"), Err(ProtocolError::UnauthenticatedMultibulkLength));
    assert_eq!(parse(b"*1\r\n$16385\r\n"), Err(ProtocolError::UnauthenticatedBulkLength));
    assert_eq!(parse(b"*10\r\n$16384\r\n"), Ok(None));
}

#[test]
fn inline_arguments_are_split_as_redis_splits_them() {
    let expect = |line: &[u8], args: &[&[u8]]| {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_vec()).collect();
        assert_eq!(inline(line), Ok(args));
    };
    expect(b"  set  a\tb ", &[b"set", b"a", b"b"]);
    expect(br#"set "a b" "\x41\n\"" 'it\'s'"#, &[b"set", b"a b", b"A\n\"", b"it's"]);
    expect(b"get \"\"", &[b"get", b""]);
    expect(b"", &[]);
    for line in [&b"\"a"[..], b"'a", b"\"a\"b", b"'a'b"] {
        assert_eq!(inline(line), Err(ProtocolError::UnbalancedQuotes));
    }
}
