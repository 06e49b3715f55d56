//! Loading: whole files, tails that are cut, damage.

use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::host::TestHost;
use super::records::{Numbers, aof_base, command, rdb_base, record};
use super::world::open;
use crate::aof::handle::{Aof, Policy};
use crate::aof::loader::{LoadOptions, Loaded};

const FOLDER: &str = "/srv/appendonlydir";
const LAST: &str = "/srv/appendonlydir/appendonly.aof.2.incr.aof";
const MANIFEST: &str = "file appendonly.aof.1.base.rdb seq 1 type b\n\
                        file appendonly.aof.1.incr.aof seq 1 type i\n\
                        file appendonly.aof.2.incr.aof seq 2 type i\n";

fn folder(manifest: &str, files: &[(&str, &[u8])]) -> Disk {
    let disk = Disk::new(Path::new("/srv"));
    let dir = Path::new(FOLDER);
    crate::aof::files::Files::create_folder(&disk, dir).unwrap();
    if !manifest.is_empty() {
        disk.put(&dir.join("appendonly.aof.manifest"), manifest.as_bytes(), manifest.len());
    }
    for (name, bytes) in files {
        let dir =
            if name.contains('.') && *name == "appendonly.aof" { Path::new("/srv") } else { dir };
        disk.put(&dir.join(name), bytes, bytes.len());
    }
    disk
}

fn three(first: &[u8], second: &[u8]) -> Disk {
    folder(
        MANIFEST,
        &[
            ("appendonly.aof.1.base.rdb", &rdb_base(3)),
            ("appendonly.aof.1.incr.aof", first),
            ("appendonly.aof.2.incr.aof", second),
        ],
    )
}

fn load(
    disk: &Disk,
    truncated: bool,
) -> (Result<Loaded, String>, Numbers, Arc<TestHost>, Arc<Aof>) {
    let host = TestHost::new();
    let (aof, _) = open(disk, &host, Policy::EverySec).unwrap();
    let mut numbers = Numbers::default();
    let loaded = aof.load(LoadOptions { truncated }, &mut numbers);
    (loaded, numbers, host, aof)
}

fn old_file(disk: &Disk, bytes: &[u8]) {
    disk.put(Path::new("/srv/appendonly.aof"), bytes, bytes.len());
}

fn records(from: u64, to: u64) -> Vec<u8> {
    (from..to).flat_map(|number| record(number, 5)).collect()
}

#[test]
fn files_load_in_their_order() {
    let annotated = [&b"#TS:1\r\n"[..], &records(5, 9), b"#TS:2\r\n"].concat();
    let disk = three(&records(3, 5), &annotated);
    let (loaded, numbers, host, aof) = load(&disk, false);
    let loaded = loaded.unwrap();
    assert_eq!((loaded.files, loaded.commands, loaded.truncated_bytes), (3, 6, 0));
    assert_eq!(numbers.finish().unwrap(), 9);
    assert_eq!(numbers.offsets[2], 7, "offsets count the annotation");
    let readings = aof.readings();
    assert_eq!(readings.base_size, 64);
    assert_eq!(readings.current_size, loaded.bytes);
    assert!(host.logged("DB loaded from base file appendonly.aof.1.base.rdb"));
    assert!(host.logged("DB loaded from incr file appendonly.aof.2.incr.aof"));
}

#[test]
fn empty_files_and_folders_hold_nothing() {
    let (loaded, numbers, ..) = load(&three(b"", b""), false);
    assert_eq!((loaded.unwrap().files, numbers.count), (1, 3));
    let (loaded, ..) = load(&folder("", &[]), false);
    assert_eq!(loaded.unwrap(), Loaded::default());
    let (loaded, ..) = load(&Disk::new(Path::new("/srv")), false);
    assert_eq!(loaded.unwrap(), Loaded::default());
}

#[test]
fn a_missing_file_is_refused_once() {
    let disk = folder(MANIFEST, &[("appendonly.aof.1.base.rdb", &rdb_base(1))]);
    let (loaded, ..) = load(&disk, true);
    assert_eq!(
        loaded.unwrap_err(),
        "Unable to obtain the AOF file appendonly.aof.1.incr.aof length. stat: No such file or \
         directory"
    );
}

/// Cuts the last file at every byte.
#[test]
fn a_cut_tail_loads_up_to_the_last_whole_unit() {
    let transaction = [command(&[b"MULTI"]), records(6, 8), command(&[b"EXEC"])].concat();
    let units = [records(5, 6), transaction, records(8, 9)];
    let whole = units.concat();
    for length in 0..whole.len() {
        let disk = three(&records(3, 5), &whole[..length]);
        let mut valid = (0, 5);
        let mut end = 0;
        for (unit, count) in units.iter().zip([6, 8, 9]) {
            end += unit.len();
            if length >= end {
                valid = (end, count);
            }
        }
        let (loaded, numbers, host, _) = load(&disk, true);
        let removed = length - valid.0;
        assert_eq!(loaded.unwrap().truncated_bytes, removed as u64, "at {length}");
        assert_eq!(numbers.finish().unwrap(), valid.1, "at {length}");
        let after = disk.content(Path::new(LAST)).unwrap();
        assert_eq!(after, whole[..valid.0], "at {length}");
        assert_eq!(host.logged("loaded anyway because aof-load-truncated is enabled"), removed > 0);
        assert!(load(&disk, false).0.is_ok(), "the cut file is whole");

        let disk = three(&records(3, 5), &whole[..length]);
        match load(&disk, false).0 {
            Ok(_) => assert_eq!(removed, 0),
            Err(error) => {
                assert!(error.starts_with(
                    "Unexpected end of file reading the append only file appendonly.aof.2.incr.aof."
                ));
                assert!(error.contains(&format!("after offset {}", valid.0)), "{error}");
                assert_eq!(disk.content(Path::new(LAST)).unwrap().len(), length, "untouched");
            }
        }
    }
}

#[test]
fn only_the_last_file_may_be_cut() {
    let whole = records(3, 5);
    let disk = three(&whole[..whole.len() - 1], &records(5, 6));
    let error = load(&disk, true).0.unwrap_err();
    assert!(error.starts_with("Fatal error: the truncated file is not the last file"), "{error}");
    let first = disk.content(Path::new("/srv/appendonlydir/appendonly.aof.1.incr.aof")).unwrap();
    assert_eq!(first.len(), whole.len() - 1, "untouched");
}

/// Changes each byte of a file in the middle: a load must fail, or take the changed value for what it
/// is; it must never leave out what follows.
#[test]
fn damage_in_the_middle_is_refused() {
    let head = [command(&[b"MULTI"]), records(5, 7), command(&[b"EXEC"]), records(7, 8)].concat();
    let whole = [&head[..], &records(8, 12)].concat();
    for at in 0..head.len() {
        for damage in [b'0', b'9', b'x', b'\n', b'*', b'#', 0] {
            let mut bytes = whole.clone();
            if bytes[at] == damage {
                continue;
            }
            bytes[at] = damage;
            let disk = three(&records(3, 5), &bytes);
            let (loaded, numbers, ..) = load(&disk, true);
            match loaded {
                Ok(loaded) => {
                    assert_eq!((numbers.count, loaded.truncated_bytes), (12, 0), "{at} {damage}");
                }
                Err(error) => assert!(
                    error.contains("appendonly.aof.2.incr.aof") && error.contains("offset"),
                    "{error}"
                ),
            }
            assert_eq!(disk.content(Path::new(LAST)).unwrap(), bytes, "never cut");
        }
    }
}

/// A length that reaches beyond the end is a cut tail, unless whole commands stand behind it.
#[test]
fn a_damaged_length_does_not_swallow_what_follows() {
    let damaged = b"*2\r\n$3\r\nSET\r\n$900000000000\r\n5\r\n";
    let disk = three(&records(3, 5), &[&damaged[..], &records(6, 8)].concat());
    let error = load(&disk, true).0.unwrap_err();
    assert!(error.contains("a length beyond the end, with whole commands after it"), "{error}");
    let disk = three(&records(3, 5), &[&damaged[..], &records(6, 7)[..9]].concat());
    assert_eq!(load(&disk, true).1.count, 5, "no whole command is behind it");
}

#[test]
fn words_of_redis_for_bad_formats_and_unknown_commands() {
    let cases: [(&[u8], &str); 8] = [
        (b"!!!", "Bad file format reading the append only file appendonly.aof.2.incr.aof"),
        (b"*0\r\n", "a command of no arguments"),
        (b"*1\r\n:4\r\n", "an argument without its length"),
        (b"*1\r\n$-1\r\n", "a length that is no number"),
        (b"*1\r\n$1\n", "a length that is no number"),
        (b"*1\r\n$1\r\nabc\r\n", "an argument longer than its length"),
        (b"*1\r\n$4\r\nEXEC\r\n", "Unexpected EXEC"),
        (
            b"*1\r\n$3\r\nbla\r\n",
            "Unknown command 'bla' reading the append only file appendonly.aof.2.incr.aof",
        ),
    ];
    for (bytes, words) in cases {
        let error = load(&three(b"", bytes), true).0.unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let nested = [command(&[b"MULTI"]), command(&[b"multi"]), command(&[b"EXEC"])].concat();
    let error = load(&three(b"", &nested), true).0.unwrap_err();
    assert!(error.contains("(at offset 15: Unexpected MULTI)"), "{error}");
    let refused = load(&three(b"", &record(7, 1)), true).0.unwrap_err();
    assert!(refused.contains("at offset 0 was refused: record 7 after 3 records"), "{refused}");
}

#[test]
fn a_bad_base_is_refused() {
    let broken = rdb_base(3);
    let files: [(&str, &[u8]); 3] = [
        ("appendonly.aof.1.base.rdb", &broken[..40]),
        ("appendonly.aof.1.incr.aof", b""),
        ("appendonly.aof.2.incr.aof", b""),
    ];
    let error = load(&folder(MANIFEST, &files), true).0.unwrap_err();
    assert!(error.starts_with(
        "Error reading the RDB base file appendonly.aof.1.base.rdb, AOF loading aborted"
    ));
}

#[test]
fn an_old_single_file_moves_into_the_folder() {
    for preamble in [false, true] {
        let bytes = match preamble {
            true => [rdb_base(4), records(4, 7)].concat(),
            false => records(0, 7),
        };
        let disk = Disk::new(Path::new("/srv"));
        old_file(&disk, &[&bytes[..], b"*1\r\n$"].concat());
        let (loaded, numbers, host, aof) = load(&disk, true);
        assert_eq!((numbers.finish().unwrap(), loaded.unwrap().truncated_bytes), (7, 5));
        assert!(host.logged("Successfully migrated an old-style AOF file (appendonly.aof)"));
        assert_eq!(host.logged("Reading RDB preamble from AOF file..."), preamble);
        assert_eq!(aof.folder().manifest().text(), b"file appendonly.aof seq 1 type b\n");
        assert_eq!(disk.names(Path::new("/srv")), ["appendonlydir"]);
        let (loaded, numbers, ..) = load(&disk, false);
        assert_eq!((loaded.unwrap().files, numbers.count), (1, 7), "again");
    }
}

/// Redis's truncation of a preamble's tail empties the file; here the preamble stays.
#[test]
fn a_tail_cut_right_after_the_preamble_keeps_the_preamble() {
    let disk = Disk::new(Path::new("/srv"));
    let bytes = [&rdb_base(4)[..], b"*3\r\n$3\r\nSE"].concat();
    old_file(&disk, &bytes);
    let (loaded, numbers, ..) = load(&disk, true);
    assert_eq!((loaded.unwrap().truncated_bytes, numbers.count), (10, 4));
    assert_eq!(load(&disk, false).1.count, 4);
}

#[test]
fn an_interrupted_move_continues_and_a_newer_folder_wins() {
    let listed = "file appendonly.aof seq 1 type b\n";
    let disk = folder(listed, &[]);
    old_file(&disk, &records(0, 3));
    assert_eq!(load(&disk, false).1.count, 3);

    let disk = three(b"", b"");
    old_file(&disk, &records(0, 9));
    assert_eq!(load(&disk, false).1.count, 3, "the folder has data: the old file is not looked at");
    assert!(disk.content(Path::new("/srv/appendonly.aof")).is_some());

    let disk = folder(listed, &[]);
    assert!(
        load(&disk, false).0.unwrap_err().contains("appendonly.aof length. stat: No such file")
    );
}

#[test]
fn a_base_of_commands_loads() {
    let manifest = "file appendonly.aof.1.base.aof seq 1 type b\n";
    let disk = folder(manifest, &[("appendonly.aof.1.base.aof", &aof_base(6))]);
    assert_eq!(load(&disk, false).1.finish().unwrap(), 6);
}
