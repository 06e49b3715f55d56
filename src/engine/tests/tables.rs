//! DEBUG HTSTATS and HTSTATS-KEY.

use super::super::fixture::Fixture;
use crate::settings::{LocalAccess, Settings};

fn fixture() -> Fixture {
    let mut settings = Settings::default();
    settings.security.enable_debug_command = LocalAccess::Yes;
    Fixture::with(settings, &[])
}

/// The number behind each occurrence of a name.
fn figures(text: &str, name: &str) -> Vec<usize> {
    let after = text.split(name).skip(1);
    let digits = after.map(|rest| rest.split_ascii_whitespace().next().unwrap_or_default());
    digits.map(|digits| digits.trim_end_matches("\\n").parse().unwrap()).collect()
}

/// Checks what is shown of a table against itself; gives its size.
fn check(text: &str, elements: usize) -> usize {
    let [shown] = figures(text, "number of elements: ")[..] else { panic!("{text}") };
    assert_eq!(shown, elements, "{text}");
    let (size, used) = (figures(text, "table size: ")[0], figures(text, "different slots: ")[0]);
    let longest = figures(text, "max chain length: ")[0];
    assert!(used <= size && used <= elements && longest * used >= elements, "{text}");
    assert!(!text.contains("rehashing target"), "{text}");
    size
}

#[test]
fn tables_of_values_show_their_segments() {
    let mut fixture = fixture();
    for (add, elements) in [
        ("SADD set", (0..1000).map(|n| format!(" member:{n}")).collect::<String>()),
        ("HSET hash", (0..1000).map(|n| format!(" field:{n} {n}")).collect()),
        ("ZADD zset", (0..1000).map(|n| format!(" {n} member:{n}")).collect()),
    ] {
        fixture.run("A", &format!("{add}{elements}"));
        let key = add.split(' ').next_back().unwrap();
        let size = check(&fixture.run("A", &format!("DEBUG HTSTATS-KEY {key}")), 1000);
        assert!((2..1000).contains(&size), "{key}: {size}");
    }
    fixture.run("A", "SADD small a b c");
    let text = "-ERR The value stored at the specified key is not represented using an hash table";
    for key in ["small", "string"] {
        fixture.run("A", "SET string x");
        assert_eq!(fixture.run("A", &format!("DEBUG HTSTATS-KEY {key}")), text);
    }
    assert_eq!(fixture.run("A", "DEBUG HTSTATS-KEY none"), "-ERR no such key");
}

#[test]
fn the_table_of_a_database_shows_keys_and_those_that_expire() {
    let mut fixture = fixture();
    assert_eq!(fixture.run("A", "DEBUG HTSTATS 0").matches("empty dictionaries").count(), 2);
    for number in 0..300 {
        fixture.run("A", &format!("SET key:{number} x"));
    }
    fixture.run("A", "EXPIRE key:7 100");
    let text = fixture.run("A", "DEBUG HTSTATS 0");
    let (keys, expires) = text.split_once("[Expires HT]").unwrap();
    assert!(keys.contains("[Dictionary HT]"), "{text}");
    assert_eq!(check(keys, 300), check(expires, 1));
    assert_eq!(fixture.run("A", "DEBUG HTSTATS 16"), "-ERR Out of range database");
    assert_eq!(fixture.run("A", "DEBUG HTSTATS -1"), "-ERR Out of range database");
}
