//! The reader against real files, damaged ones, and ones made by hand.

use std::io::{self, Read};
use std::path::Path;

use super::{Error, ErrorKind, Item, KeyRecord, ReadOptions, Reader};
use crate::rdb::crc64::checksum;
use crate::types::Value;

impl<R: Read> Reader<R> {
    /// Reads the header, with default settings.
    pub(crate) fn new(source: R) -> Result<Self, Error> {
        let limits = crate::settings::Settings::default().collections;
        Self::with_options(source, ReadOptions { verify_checksum: true, limits })
    }
}

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All items up to the end or the first error.
fn read(bytes: &[u8]) -> (Vec<Item>, Result<(), Error>) {
    let mut items = Vec::new();
    let outcome = Reader::new(bytes).and_then(|mut reader| {
        while let Some(item) = reader.next()? {
            items.push(item);
        }
        Ok(())
    });
    (items, outcome)
}

fn items(bytes: &[u8]) -> Vec<Item> {
    let (items, outcome) = read(bytes);
    outcome.unwrap();
    items
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).1.unwrap_err().to_string()
}

fn aux(name: &str, value: &str) -> Item {
    Item::Aux { name: name.into(), value: value.into() }
}

fn record(key: &str, value: impl Into<Vec<u8>>) -> KeyRecord {
    let value = Value::String(value.into());
    KeyRecord { key: key.into(), expire_at_ms: None, idle_s: None, freq: None, value }
}

fn key(key: &str, value: &str) -> Item {
    Item::Key(record(key, value))
}

/// A file of this version with this body, its EOF and its checksum.
fn file(version: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = match version {
        80 => b"VALKEY080".to_vec(),
        _ => format!("REDIS{version:04}").into_bytes(),
    };
    bytes.extend_from_slice(body);
    bytes.push(0xff);
    if version >= 5 {
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
    }
    bytes
}

#[test]
fn an_empty_file_of_version_3_has_no_items() {
    assert_eq!(items(&sample("empty_database.rdb")), []);
}

#[test]
fn strings_of_two_databases_are_told_apart() {
    let expected = [
        Item::SelectDb(0),
        key("key_in_zeroth_database", "zero"),
        Item::SelectDb(2),
        key("key_in_second_database", "second"),
    ];
    assert_eq!(items(&sample("multiple_databases.rdb")), expected);
    let expected = [Item::SelectDb(0), key("foo", "bar"), Item::SelectDb(1), key("foo", "bar")];
    assert_eq!(items(&sample("multidb-skipping.rdb")), expected);
}

#[test]
fn integer_keys_are_read_as_text() {
    let expected = [
        Item::SelectDb(0),
        key("183358245", "Positive 32 bit integer"),
        key("125", "Positive 8 bit integer"),
        key("-29477", "Negative 16 bit integer"),
        key("-123", "Negative 8 bit integer"),
        key("43947", "Positive 16 bit integer"),
        key("-183358245", "Negative 32 bit integer"),
    ];
    assert_eq!(items(&sample("integer_keys.rdb")), expected);
}

#[test]
fn an_expiry_in_milliseconds_is_kept_to_the_millisecond() {
    let mut record = record("expires_ms_precision", "2022-12-25 10:11:12.573 UTC");
    record.expire_at_ms = Some(1_671_963_072_573);
    assert_eq!(items(&sample("keys_with_expiry.rdb")), [Item::SelectDb(0), Item::Key(record)]);
}

#[test]
fn a_compressed_key_is_expanded() {
    let expected = key(&"a".repeat(200), "Key that redis should compress easily");
    assert_eq!(items(&sample("easily_compressible_string_key.rdb")), [Item::SelectDb(0), expected]);
}

#[test]
fn keys_that_barely_compress_are_whole() {
    let items = items(&sample("uncompressible_string_keys.rdb"));
    let sizes: Vec<(usize, Value)> = items
        .into_iter()
        .filter_map(|item| match item {
            Item::Key(record) => Some((record.key.len(), record.value)),
            _ => None,
        })
        .collect();
    let text = |text: &str| Value::String(text.into());
    assert_eq!(
        sizes,
        [
            (16_382, text("Key length more than 6 bits but less than 14 bits")),
            (60, text("Key length within 6 bits")),
            (16_386, text("Key length more than 14 bits but less than 32")),
        ]
    );
}

#[test]
fn a_file_of_version_5_is_read_with_its_checksum() {
    let expected = [
        Item::SelectDb(0),
        key("abcd", "efgh"),
        key("foo", "bar"),
        key("bar", "baz"),
        key("abcdef", "abcdef"),
        key("longerstring", "thisisalongerstring.idontknowwhatitmeans"),
        key("abc", "def"),
    ];
    assert_eq!(items(&sample("rdb_version_5_with_checksum.rdb")), expected);
}

#[test]
fn aux_fields_sizes_and_any_bytes_in_values_are_read() {
    let items = items(&sample("non_ascii_values.rdb"));
    assert_eq!(
        items[..6],
        [
            aux("redis-ver", "3.2.6"),
            aux("redis-bits", "64"),
            aux("ctime", "1486987515"),
            aux("used-mem", "821752"),
            Item::SelectDb(0),
            Item::ResizeDb { keys: 6, expires: 0 },
        ]
    );
    assert_eq!(
        items[6..],
        [
            key("int_value", "123"),
            key("ascii", "\x00! ~0\n\t\rAb"),
            Item::Key(record("bin", *b"\x00$ ~0\x7f\xff\n\xaa\t\x80\rAb")),
            key("printable", "!+ Ab^~"),
            key("378", "int_key_name"),
            key(
                "utf8",
                "\u{5d1}\u{5d3}\u{5d9}\u{5e7}\u{5d4}\u{1000f}123\u{5e2}\u{5d1}\u{5e8}\u{5d9}\u{5ea}"
            ),
        ]
    );
}

#[test]
fn sets_of_both_forms_are_read() {
    let members = |name: &str| {
        let Some(Item::Key(record)) = items(&sample(name)).pop() else { panic!("a key is last") };
        let set = record.value.view().set().expect("a set");
        let mut members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
        members.sort();
        members
            .iter()
            .map(|member| String::from_utf8_lossy(member).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(members("intset_16.rdb"), ["32764", "32765", "32766"]);
    assert_eq!(members("regular_set.rdb"), ["alpha", "beta", "delta", "gamma", "kappa", "phi"]);
}

#[test]
fn a_sorted_set_of_an_old_server_is_read() {
    let sample = sample("sorted_set_as_ziplist.rdb");
    let Some(Item::Key(record)) = items(&sample).pop() else { panic!("a key is last") };
    let set = record.value.view().sorted_set().expect("a sorted set");
    let elements: Vec<_> = set
        .iter_from(0)
        .map(|(member, score)| (String::from_utf8(member.to_vec()).unwrap(), score))
        .collect();
    let expected = [
        ("8b6ba6718a786daefa69438148361901", 1.0),
        ("cb7a24bb7528f934b841b34c3a73e0c7", 2.37),
        ("523af537946b79c4f8369ed39ba78605", 3.423),
    ];
    assert_eq!(elements, expected.map(|(member, score)| (member.to_owned(), score)));
}

#[test]
fn a_key_of_a_set_without_members_is_skipped() {
    let body = b"\xfc\x01\x00\x00\x00\x00\x00\x00\x00\x02\x01s\x00\x00\x01k\x01v";
    assert_eq!(items(&file(10, body)), [Item::EmptyKey(b"s".to_vec()), key("k", "v")]);
}

#[test]
fn what_is_not_loaded_is_refused_by_name_and_place() {
    let module = |what: &str, module: &str| {
        format!("at byte {what} of the module \"{module}\", which is not loaded here")
    };
    let cases = [
        (
            "redis_40_with_module.rdb",
            module("190: key \"foo\" in database 0 holds a value", "ReJSON-RL"),
        ),
        ("redis_60_with_module_aux.rdb", module("89: data", "test__rdb")),
    ];
    for (name, message) in cases {
        assert_eq!(refusal(&sample(name)), message, "{name}");
    }
}

#[test]
fn hashes_of_every_age_are_loaded() {
    let get = |key: &str, field: &str, name: &str| {
        let items = items(&sample(name));
        let found = items.into_iter().find_map(|item| match item {
            Item::Key(record) if record.key == key.as_bytes() => Some(record.value),
            _ => None,
        });
        let value = found.expect("the key is there");
        let value = value.view().hash().and_then(|hash| hash.get(field.as_bytes()));
        value.map(|value| String::from_utf8(value.to_vec()).unwrap())
    };
    for (name, key, field, value) in [
        ("hash_as_ziplist.rdb", "zipmap_compresses_easily", "aaaaa", "aaaaaaaaaaaaaa"),
        (
            "zipmap_that_compresses_easily.rdb",
            "zipmap_compresses_easily",
            "aaaaa",
            "aaaaaaaaaaaaaa",
        ),
    ] {
        assert_eq!(get(key, field, name).as_deref(), Some(value), "{name}");
    }
}

/// The samples that are refused, and for what.
const REFUSED: &[(&str, &str)] = &[
    ("r80_redis8.0.2.rdb", "fields that expire"),
    ("redis_40_with_module.rdb", "a module"),
    ("redis_60_with_module_aux.rdb", "a module"),
    ("v91_valkey9.1.2.rdb", "fields that expire"),
];

#[test]
fn every_sample_is_loaded_but_those_with_what_does_not_exist_here() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb");
    let mut refused = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rdb") {
            continue;
        }
        if let Err(error) = read(&std::fs::read(&path).unwrap()).1 {
            let what = match error.kind {
                ErrorKind::ModuleData { .. } | ErrorKind::ModuleValue { .. } => "a module",
                ErrorKind::ExpiringFields => "fields that expire",
                _ => panic!("{}: {error}", path.display()),
            };
            refused.push((path.file_name().unwrap().to_str().unwrap().to_owned(), what));
        }
    }
    refused.sort_unstable();
    let refused: Vec<(&str, &str)> =
        refused.iter().map(|(name, what)| (name.as_str(), *what)).collect();
    assert_eq!(refused, REFUSED);
}

#[test]
fn headers_of_all_supported_versions_are_read() {
    for version in (1..=12).chain([80]) {
        let bytes = file(version, b"\xfe\x03\x00\x01k\x01v");
        assert_eq!(Reader::new(&*bytes).unwrap().version(), version);
        assert_eq!(items(&bytes), [Item::SelectDb(3), key("k", "v")], "version {version}");
    }
}

#[test]
fn headers_of_other_versions_and_other_files_are_refused() {
    let cases = [
        ("REDIS0000", "at byte 0: the format's version is not supported: \"REDIS0000\""),
        ("REDIS0013", "at byte 0: the format's version is not supported: \"REDIS0013\""),
        ("REDIS0080", "at byte 0: the format's version is not supported: \"REDIS0080\""),
        ("REDIS9999", "at byte 0: the format's version is not supported: \"REDIS9999\""),
        ("VALKEY012", "at byte 0: the format's version is not supported: \"VALKEY012\""),
        ("VALKEY081", "at byte 0: the format's version is not supported: \"VALKEY081\""),
        ("REDIS 010", "at byte 0: this is not an RDB file: it begins with \"REDIS 010\""),
        ("redis0010", "at byte 0: this is not an RDB file: it begins with \"redis0010\""),
        (
            "*2\r\n$6\r\nS",
            "at byte 0: this is not an RDB file: it begins with \"*2\\r\\n$6\\r\\nS\"",
        ),
        ("REDIS001", "at byte 8: unexpected end of file"),
        ("", "at byte 0: unexpected end of file"),
    ];
    for (header, message) in cases {
        assert_eq!(refusal(header.as_bytes()), message);
    }
}

#[test]
fn all_opcodes_are_read_and_attributes_belong_to_the_next_key_alone() {
    let body = [
        &b"\xfe\x40\x41"[..],                              // SELECTDB 65
        b"\xfb\x80\x00\x00\x40\x00\x02",                   // RESIZEDB 16384 2
        b"\xf4\x01\x02\x03",                               // SLOT_INFO
        b"\xfd\x10\x00\x00\x00\xf8\x40\x64\x00\x01a\x011", // 16 s, idle 100 s
        b"\x00\x01b\x012",
        b"\xfc\xfe\xff\xff\xff\xff\xff\xff\xff\xf9\x07\x00\x01c\x013", // -2 ms, freq 7
        b"\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01d\x014",         // -1: none
        b"\xfd\xff\xff\xff\x7f\x00\x01e\x015",
    ]
    .concat();
    let seconds = KeyRecord { expire_at_ms: Some(16_000), idle_s: Some(100), ..record("a", "1") };
    let millis = KeyRecord { expire_at_ms: Some(-2), freq: Some(7), ..record("c", "3") };
    let latest = KeyRecord { expire_at_ms: Some(2_147_483_647_000), ..record("e", "5") };
    let expected = [
        Item::SelectDb(65),
        Item::ResizeDb { keys: 16_384, expires: 2 },
        Item::Key(seconds),
        key("b", "2"),
        Item::Key(millis),
        key("d", "4"),
        Item::Key(latest),
    ];
    assert_eq!(items(&file(12, &body)), expected);
}

#[test]
fn what_a_module_stored_is_refused_by_the_modules_name() {
    let data = b"\xf7\x81\xb5\xeb\x2d\xff\xfa\xdd\x6c\x01\x02\x02\x00\x00\x01k\x01v";
    let refused = "at byte 9: data of the module \"test__rdb\", which is not loaded here";
    assert_eq!(refusal(&file(10, data)), refused);
    for code in [6, 7] {
        let value = [&[code][..], b"\x01k\x81\xb5\xeb\x2d\xff\xfa\xdd\x6c\x01\x00"].concat();
        let refused = "at byte 9: key \"k\" in database 0 holds a value of the module \
                       \"test__rdb\", which is not loaded here";
        assert_eq!(refusal(&file(10, &value)), refused, "type {code}");
    }
}

#[test]
fn a_library_of_functions_is_its_text() {
    assert_eq!(items(&file(10, b"\xf5\x03abc")), [Item::Library(b"abc".to_vec())]);
}

#[test]
fn opcodes_that_cannot_be_honoured_are_refused() {
    let unknown = "at byte 9: unknown opcode or type 34";
    assert_eq!(refusal(&file(10, b"\x22\x01k\x01v")), unknown);
    assert_eq!(refusal(&file(10, b"\x08\x01k\x01v")), "at byte 9: unknown opcode or type 8");
    assert!(matches!(
        read(&file(10, b"\xf6\x01x")).1.unwrap_err().kind,
        ErrorKind::FunctionsPreRelease
    ));
    assert!(matches!(read(&file(80, b"\xf3\x01x")).1.unwrap_err().kind, ErrorKind::SlotImport));
    assert_eq!(
        refusal(&file(12, b"\xfe\x02\x1c\x01k\x01v")),
        "at byte 11: key \"k\" in database 2 holds a value of a newer Redis (type 28), \
         which this version cannot load yet"
    );
}

#[test]
fn keys_in_errors_are_escaped_and_cut() {
    let refused = refusal(&file(10, b"\x1c\x05\x00\"\xffa\n"));
    assert!(
        refused.starts_with("at byte 9: key \"\\x00\\\"\\xffa\\n\" in database 0"),
        "{refused}"
    );
    let mut body = vec![28, 0x43, 0xe8];
    body.extend_from_slice(&[b'x'; 1000]);
    let refused = refusal(&file(10, &body));
    assert!(refused.contains(&format!("key \"{}...\" in", "x".repeat(64))), "{refused}");
}

#[test]
fn a_wrong_checksum_is_refused_unless_it_is_not_asked_for() {
    let mut bytes = file(10, b"\x00\x01k\x01v");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let error = read(&bytes).1.unwrap_err();
    assert_eq!(error.offset, 15);
    assert!(matches!(error.kind, ErrorKind::ChecksumMismatch { .. }));

    let mut reader = Reader::with_options(
        &*bytes,
        ReadOptions {
            verify_checksum: false,
            limits: crate::settings::Settings::default().collections,
        },
    )
    .unwrap();
    assert_eq!(reader.next().unwrap(), Some(key("k", "v")));
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn a_stored_checksum_of_0_was_not_computed() {
    let mut bytes = file(10, b"\x00\x01k\x01v");
    let trailer = bytes.len() - 8;
    bytes[trailer..].fill(0);
    assert_eq!(items(&bytes), [key("k", "v")]);
}

#[test]
fn nothing_after_the_trailer_is_read() {
    for version in [4, 10] {
        let mut bytes = file(version, b"\x00\x01k\x01v");
        let end = bytes.len() as u64;
        bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        let mut reader = Reader::new(&*bytes).unwrap();
        while reader.next().unwrap().is_some() {}
        assert_eq!(reader.next().unwrap(), None);
        assert_eq!(reader.position(), end);
        assert_eq!(reader.into_inner(), b"*1\r\n$4\r\nPING\r\n");
    }
}

#[test]
fn lengths_that_lie_are_refused_without_room_being_made() {
    for body in [
        &b"\x00\x81\x00\x00\x40\x00\x00\x00\x00\x00key"[..],
        b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffkey",
        b"\x00\x01k\x80\xff\xff\xff\xffvalue",
        b"\xfa\x01n\x81\x7f\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let kind = read(&file(10, body)).1.unwrap_err().kind;
        assert!(matches!(kind, ErrorKind::UnexpectedEnd | ErrorKind::OutOfMemory(_)), "{kind}");
    }
    let lzf = b"\x00\x01k\xc3\x03\x81\x00\x00\x40\x00\x00\x00\x00\x00abc";
    assert!(matches!(read(&file(10, lzf)).1.unwrap_err().kind, ErrorKind::BadLzf { .. }));
}

/// A small file with every supported opcode and every encoding of a string.
fn varied() -> Vec<u8> {
    let body = [
        &b"\xfa\x09redis-ver\x067.0.15\xfa\x0aredis-bits\xc0\x40"[..],
        b"\xfe\x00\xfb\x04\x02\xf4\x01\x02\x03",
        b"\xfc\x3d\xd8\xc3\x48\x85\x01\x00\x00\xf8\x40\x64\x00\xc1\x00\x01\xc2\x00\x00\x01\x00",
        b"\xfd\x10\x00\x00\x00\xf9\x07\x00\x01k\xc3\x09\x40\xc8\x01aa\xe0\xbb\x00\x01aa",
        b"\xfe\x40\x41\x00\x80\x00\x00\x00\x01x\x81\x00\x00\x00\x00\x00\x00\x00\x01y",
    ]
    .concat();
    file(12, &body)
}

#[test]
fn every_truncation_is_refused_as_an_unexpected_end() {
    let bytes = varied();
    assert_eq!(items(&bytes).len(), 8);
    for len in 0..bytes.len() {
        let error = read(&bytes[..len]).1.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::UnexpectedEnd), "{len}: {error}");
        assert_eq!(error.offset, len as u64);
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = varied();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let (_, outcome) = read(&damaged);
            // Only the header may change undetected: to that of a version without a checksum.
            assert!(outcome.is_err() || at < 9, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn damage_without_a_checksum_never_panics() {
    let mut bytes = varied();
    let trailer = bytes.len() - 8;
    bytes[trailer..].fill(0);
    for at in 0..trailer {
        for value in 0..=255 {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            drop(read(&damaged));
        }
    }
}

#[test]
fn a_failing_source_is_reported_with_its_place_and_cause() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "the link broke"))
        }
    }
    let mut reader = Reader::new(b"REDIS0010\x00\x01k\x05va".chain(Failing)).unwrap();
    let error = reader.next().unwrap_err();
    assert_eq!(error.to_string(), "at byte 15: cannot read on: the link broke");
    assert!(std::error::Error::source(&error).unwrap().is::<io::Error>());
}

#[test]
fn a_source_that_gives_little_at_a_time_makes_no_difference() {
    struct Dribble<'a>(&'a [u8], bool);
    impl Read for Dribble<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let len = buf.len().min(3);
            self.0.read(&mut buf[..len])
        }
    }
    let bytes = sample("uncompressible_string_keys.rdb");
    let mut reader = Reader::new(Dribble(&bytes, false)).unwrap();
    let mut dribbled = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        dribbled.push(item);
    }
    assert_eq!(dribbled, items(&bytes));
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_after_a_header_never_panic(body: Vec<u8>) {
        drop(read(&file(10, &body)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        drop(read(&bytes));
    }
}
