//! Transcripts of the expiry commands.

use super::Fixture;

#[test]
fn every_expiry_is_logged_as_a_moment() {
    Fixture::new().transcript(&[
        ("SET n 1", "OK", "SELECT 0 | SET n 1", "new n, set n"),
        ("EXPIRE n 100", "1", "PEXPIREAT n 1000000100000", "expire n"),
        ("PEXPIRE n 100000", "1", "PEXPIREAT n 1000000100000", "expire n"),
        ("EXPIREAT n 99999999999", "1", "PEXPIREAT n 99999999999000", "expire n"),
        ("pexpireat n 99999999999000", "1", "pexpireat n 99999999999000", "expire n"),
        ("EXPIRE none 10", "0", "", ""),
        ("PERSIST n", "1", "PERSIST n", "persist n"),
        ("PERSIST n", "0", "", ""),
        ("PERSIST none", "0", "", ""),
    ]);
}

#[test]
fn an_expiry_in_the_past_removes_the_key() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        (
            "MSET a 1 b 2 c 3",
            "OK",
            "SELECT 0 | MSET a 1 b 2 c 3",
            "new a, set a, new b, set b, new c, set c",
        ),
        ("EXPIRE a -1", "1", "DEL a", "del a"),
        ("PEXPIRE b 0", "1", "DEL b", "del b"),
        ("PEXPIREAT c 1000000000000", "1", "DEL c", "del c"),
        ("EXISTS a b c", "0", "", "keymiss a, keymiss b, keymiss c"),
    ]);
}

#[test]
fn conditions_compare_with_the_expiry_so_far() {
    Fixture::new().transcript(&[
        ("SET n 1", "OK", "SELECT 0 | SET n 1", "new n, set n"),
        ("EXPIRE n 100 XX", "0", "", ""),
        ("EXPIRE n 100 GT", "0", "", ""),
        ("EXPIRE n 100 NX", "1", "PEXPIREAT n 1000000100000 NX", "expire n"),
        ("EXPIRE n 100 NX", "0", "", ""),
        ("EXPIRE n 100 gt", "0", "", ""),
        ("EXPIRE n 100 LT", "0", "", ""),
        ("EXPIRE n 101 xx gt", "1", "PEXPIREAT n 1000000101000 xx gt", "expire n"),
        ("EXPIRE n 99 LT", "1", "PEXPIREAT n 1000000099000 LT", "expire n"),
        ("EXPIRE n -1 GT", "0", "", ""),
        ("EXPIRE n -1 LT", "1", "DEL n", "del n"),
        ("SET n 1", "OK", "SET n 1", "new n, set n"),
        ("EXPIRE n 100 LT", "1", "PEXPIREAT n 1000000100000 LT", "expire n"),
    ]);
}

#[test]
fn arguments_are_checked_before_the_key() {
    let not_integer = "-ERR value is not an integer or out of range";
    Fixture::new().transcript(&[
        (
            "EXPIRE n 1 NX XX",
            "-ERR NX and XX, GT or LT options at the same time are not compatible",
            "",
            "",
        ),
        ("EXPIRE n 1 GT LT", "-ERR GT and LT options at the same time are not compatible", "", ""),
        ("EXPIRE n x nonsense", "-ERR Unsupported option nonsense", "", ""),
        ("EXPIRE n x", not_integer, "", ""),
        ("EXPIRE n 9223372036854776", "-ERR invalid expire time in 'expire' command", "", ""),
        ("EXPIREAT n -9223372036854776", "-ERR invalid expire time in 'expireat' command", "", ""),
        ("PEXPIRE n 9223372036854775807", "-ERR invalid expire time in 'pexpire' command", "", ""),
        ("PEXPIREAT n 9223372036854775807", "0", "", ""),
    ]);
}

#[test]
fn times_to_live_are_rounded() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        (
            "SET a 1 PX 1500",
            "OK",
            "SELECT 0 | SET a 1 PXAT 1000000001500",
            "new a, set a, expire a",
        ),
        ("TTL a", "2", "", ""),
        ("PTTL a", "1500", "", ""),
        ("EXPIRETIME a", "1000000002", "", ""),
        ("PEXPIRETIME a", "1000000001500", "", ""),
    ]);
    fixture.advance_ms(1001);
    fixture.transcript(&[
        ("TTL a", "0", "", ""),
        ("PTTL a", "499", "", ""),
        ("SET b 1", "OK", "SET b 1", "new b, set b"),
        ("TTL b", "-1", "", ""),
        ("EXPIRETIME b", "-1", "", ""),
        ("TTL none", "-2", "", "keymiss none"),
        ("PEXPIRETIME none", "-2", "", "keymiss none"),
    ]);
    fixture.advance_ms(499);
    fixture.transcript(&[("PTTL a", "0", "", "")]);
    fixture.advance_ms(1);
    fixture.transcript(&[("PTTL a", "-2", "DEL a", "expired a, keymiss a")]);
}
