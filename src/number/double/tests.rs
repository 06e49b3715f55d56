use proptest::prelude::*;

use super::*;

fn text(value: f64) -> String {
    String::from_utf8(DoubleText::new(value).as_bytes().to_vec()).unwrap()
}

/// Each line of the table: what ZADD was given, then `refused`, or what ZSCORE replied and as what
/// a listpack held it.
#[test]
fn scores_are_read_written_and_kept_as_by_a_real_redis() {
    for line in include_str!("real_redis.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let value = parse(words[0].as_bytes());
        let [_, reply, kind] = words[..] else {
            assert_eq!((value, words[1]), (None, "refused"), "{line}");
            continue;
        };
        let value = value.unwrap_or_else(|| panic!("{line}"));
        assert_eq!(text(value), reply, "{line}");
        assert_eq!(integral(value).is_some(), kind == "int", "{line}");
    }
}

#[test]
fn a_score_has_neither_spaces_nor_zero_bytes() {
    for wrong in
        ["", " ", " 1", "1 ", "\t1", "1\0", "\0", "\u{e9}1", "1\u{e9}", "0x\u{e9}", "0x1.p\0"]
    {
        assert_eq!(parse(wrong.as_bytes()), None, "{wrong:?}");
    }
    assert_eq!(parse(b"1\xff"), None);
}

#[test]
fn weights_are_read_as_bounds_but_only_within_the_range_of_doubles() {
    for (text, expected) in [
        ("", Some(0.0)),
        (" -1.5", Some(-1.5)),
        ("0x10\0 and more", Some(16.0)),
        ("-inf", Some(f64::NEG_INFINITY)),
        ("0", Some(0.0)),
        ("2.3e-308", Some(2.3e-308)),
        ("1e-310", None),
        ("1e-400", None),
        ("1e400", None),
        ("-1e400", None),
        ("nan", None),
        ("1 ", None),
        (" ", None),
    ] {
        assert_eq!(parse_weight(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn bounds_of_ranges_are_read_as_c_reads_a_prefix() {
    let infinity = f64::INFINITY;
    let cases: [(&[u8], Option<f64>); 21] = [
        (b"", Some(0.0)),
        (b" ", None),
        (b"1 ", None),
        (b" 1", Some(1.0)),
        (b"\t\n\x0b\x0c\r 2", Some(2.0)),
        (b"1\0xyz", Some(1.0)),
        (b"1e400", Some(infinity)),
        (b"-1e400", Some(-infinity)),
        (b"1e-400", Some(0.0)),
        (b"nan", None),
        (b"\0x", Some(0.0)),
        (b"(", None),
        (b"+", None),
        (b"inf", Some(infinity)),
        (b"infx", None),
        (b"0x10", Some(16.0)),
        (b"0x", None),
        (b"\xa01", None),
        (b"-0", Some(0.0)),
        (b"- 1", None),
        (b"1e5z", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_bound(text), expected, "{}", text.escape_ascii());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn what_is_written_reads_as_the_same_double(bits: u64, small in -1_000_000_000_i64.., scale in 0..40) {
        let values = [f64::from_bits(bits), small as f64, small as f64 * 0.1_f64.powi(scale)];
        for value in values.into_iter().filter(|value| !value.is_nan()) {
            let read = parse(text(value).as_bytes()).expect("a number");
            prop_assert_eq!(read.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn hexadecimal_is_rounded_once(mantissa: u64, exponent in -1200_i32..1000) {
        // The same digits in decimal, exactly: 2^-k is 5^k / 10^k.
        let hex = format!("0x{mantissa:x}p{exponent}");
        let exact = (mantissa as f64) * 2_f64.powi(exponent.clamp(-1000, 900));
        if (mantissa >> 53 == 0) && (-1000..900).contains(&exponent) {
            prop_assert_eq!(parse(hex.as_bytes()), Some(exact));
        } else if let Some(value) = parse(hex.as_bytes()) {
            let halved = format!("0x{mantissa:x}.0p{exponent}");
            prop_assert_eq!(parse(halved.as_bytes()), Some(value));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes: Vec<u8>, text in "[-+]?[0-9a-fxpe.]{0,12}") {
        for value in [parse(&bytes), parse_bound(&bytes), parse(text.as_bytes())] {
            prop_assert!(value.is_none_or(|value| !value.is_nan()));
        }
    }
}
