//! Files that real servers wrote, loaded whole: their data have the digest that the writer gave.

use std::path::Path;

use crate::engine::fixture::Fixture;
use crate::engine::rdb_load::{self, Behind};
use crate::settings::{LocalAccess, Settings};

/// Files that hold the same data, and their DEBUG DIGEST in Redis 7.0.15, which wrote the first. Newer
/// servers write some scores in another way, and so have another digest. The files hold libraries
/// of functions, which are cut out.
const WRITTEN: &[(&str, &str)] = &[
    ("r70_redis7.0.15.rdb", "909105af4173c62a05fb06cf9739cc82e5ffc2a3"),
    ("v81_valkey8.1.1.rdb", "909105af4173c62a05fb06cf9739cc82e5ffc2a3"),
];

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(fixture: &Fixture, bytes: &[u8]) -> Result<rdb_load::Loaded, String> {
    let node = fixture.node();
    rdb_load::load_into(node, &node.keyspace, bytes, Behind::Nothing, &mut |_| {})
}

/// A length of the format: its value, and how many bytes it takes.
fn length(bytes: &[u8]) -> (usize, usize) {
    match bytes[0] {
        0..0x40 => (bytes[0].into(), 1),
        0x40..0x80 => (usize::from(bytes[0] & 0x3f) << 8 | usize::from(bytes[1]), 2),
        0x80 => (u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize, 5),
        other => panic!("{other:#x} begins no short length"),
    }
}

/// The file without its libraries of functions, and without a checksum.
fn without_functions(mut bytes: Vec<u8>) -> Vec<u8> {
    const COMPRESSED: u8 = 0xc3;
    let end = bytes.len() - 8;
    bytes[end..].fill(0);
    while let Err(reason) = load(&Fixture::new(), &bytes) {
        let Some(rest) = reason.strip_prefix("at byte ") else { panic!("{reason}") };
        assert!(reason.contains("library of functions"), "{reason}");
        let at: usize = rest.split(':').next().unwrap().parse().unwrap();
        let code = &bytes[at + 1..];
        let taken = if code[0] == COMPRESSED {
            let (len, taken) = length(&code[1..]);
            1 + taken + length(&code[1 + taken..]).1 + len
        } else {
            let (len, taken) = length(code);
            taken + len
        };
        bytes.drain(at..at + 1 + taken);
    }
    bytes
}

#[test]
fn data_of_real_servers_have_the_digest_that_these_gave() {
    for (name, digest) in WRITTEN {
        let mut settings = Settings::default();
        settings.security.enable_debug_command = LocalAccess::Yes;
        let mut fixture = Fixture::with(settings, &[]);
        load(&fixture, &without_functions(sample(name))).unwrap();
        assert_eq!(fixture.run("a", "DEBUG DIGEST"), format!("+{digest}"), "{name}");
    }
}
