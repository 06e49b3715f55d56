//! Rewrites, and a failure of each single operation within.

use std::io::Write;
use std::path::Path;

use super::disk::{Disk, Plan};
use super::records::{aof_base, rdb_base, record};
use super::writing::{Server, count};
use crate::aof::files::Barrier;
use crate::aof::handle::{Mode, Policy};
use crate::aof::host::State;
use crate::aof::manifest::Format;
use crate::aof::rewrite::{Prepared, Purpose, Rewrite, RewriteOptions};

const FOLDER: &str = "/srv/appendonlydir";
const COMPACT: RewriteOptions =
    RewriteOptions { purpose: Purpose::Compact, format: Format::Rdb, paced: false };
const TURN_ON: RewriteOptions = RewriteOptions { purpose: Purpose::TurnOn, ..COMPACT };

fn manifest(server: &Server) -> String {
    let path = Path::new(FOLDER).join("appendonly.aof.manifest");
    String::from_utf8(server.disk.content(&path).unwrap()).unwrap()
}

fn begin(server: &Server, options: RewriteOptions) -> Rewrite {
    server.aof.prepare_rewrite(options).map(Prepared::begin).unwrap()
}

#[test]
fn a_rewrite_leaves_a_base_and_the_new_increment() {
    for (format, suffix) in [(Format::Rdb, "rdb"), (Format::Aof, "aof")] {
        let mut server = Server::new(Policy::EverySec);
        server.append(&record(0, 5));
        let mut rewrite = begin(&server, RewriteOptions { format, ..COMPACT });
        assert_eq!(rewrite.cut(), server.aof.appended());
        server.append(&record(1, 5));
        assert!(!rewrite.switched());
        server.settle();
        assert!(rewrite.switched());
        assert_eq!(
            manifest(&server),
            "file appendonly.aof.1.base.rdb seq 1 type b\n\
             file appendonly.aof.1.incr.aof seq 1 type i\n\
             file appendonly.aof.2.incr.aof seq 2 type i\n"
        );
        assert_eq!(count(&server.disk), 2, "before the base stands");
        assert!(server.aof.readings().rewriting);
        let base = if format == Format::Rdb { rdb_base(1) } else { aof_base(1) };
        rewrite.write_all(&base).unwrap();
        rewrite.commit().unwrap();
        assert_eq!(
            manifest(&server),
            format!(
                "file appendonly.aof.2.base.{suffix} seq 2 type b\n\
                 file appendonly.aof.2.incr.aof seq 2 type i\n"
            )
        );
        assert_eq!(
            server.disk.names(Path::new(FOLDER)),
            [
                &format!("appendonly.aof.2.base.{suffix}"),
                "appendonly.aof.2.incr.aof",
                "appendonly.aof.manifest"
            ]
        );
        assert_eq!(count(&server.disk), 2);
        let readings = server.aof.readings();
        assert_eq!(readings.current_size, (base.len() + record(1, 5).len()) as u64);
        assert_eq!(readings.base_size, readings.current_size);
        assert_eq!(
            (readings.rewrites, readings.rewriting, readings.last_rewrite_ok),
            (1, false, true)
        );
        for line in [
            "Creating AOF incr file appendonly.aof.2.incr.aof on background rewrite",
            "Successfully renamed the temporary AOF base file",
            "Removing the history file appendonly.aof.1.base.rdb in the background",
            "Background AOF rewrite finished successfully",
        ] {
            assert!(server.host.logged(line), "{line}");
        }
    }
}

#[test]
fn history_is_kept_for_as_long_as_asked() {
    let mut server = Server::new(Policy::No);
    server.aof.keep_history(true);
    for _ in 0..2 {
        let mut rewrite = begin(&server, COMPACT);
        server.settle();
        rewrite.write_all(&rdb_base(0)).unwrap();
        rewrite.commit().unwrap();
    }
    assert_eq!(
        manifest(&server),
        "file appendonly.aof.3.base.rdb seq 3 type b\nfile appendonly.aof.2.incr.aof seq 2 type h\n\
         file appendonly.aof.2.base.rdb seq 2 type h\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
         file appendonly.aof.1.base.rdb seq 1 type h\nfile appendonly.aof.3.incr.aof seq 3 type i\n"
    );
    server.aof.keep_history(false);
    server.settle();
    assert_eq!(
        manifest(&server),
        "file appendonly.aof.3.base.rdb seq 3 type b\nfile appendonly.aof.3.incr.aof seq 3 type i\n"
    );
    assert_eq!(server.disk.names(Path::new(FOLDER)).len(), 3, "it is removed at once");
}

#[test]
fn an_abandoned_rewrite_leaves_one_more_increment() {
    let mut server = Server::new(Policy::No);
    server.append(&record(0, 5));
    for round in 1..4 {
        let rewrite = begin(&server, COMPACT);
        server.settle();
        server.append(&record(round, 5));
        server.settle();
        rewrite.fail();
        assert_eq!(server.aof.readings().consecutive_failures, round);
        assert_eq!(count(&server.disk), round + 1);
    }
    assert!(!server.aof.readings().last_rewrite_ok);
    drop(begin(&server, COMPACT));
    assert_eq!(server.aof.readings().consecutive_failures, 3, "given up on purpose");
    server.aof.forget_failures();
    assert_eq!(server.aof.readings().consecutive_failures, 0);
}

#[test]
fn one_rewrite_at_a_time() {
    let server = Server::new(Policy::No);
    let rewrite = begin(&server, COMPACT);
    let busy = server.aof.prepare_rewrite(COMPACT).unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);
    drop(rewrite);
    drop(server.aof.prepare_rewrite(COMPACT).unwrap());
    drop(server.aof.prepare_rewrite(COMPACT).unwrap());
}

fn off() -> Server {
    let mut server = Server::new(Policy::Always);
    server.append(&record(0, 5));
    server.settle();
    let closing = server.aof.begin_stop();
    server.settle();
    closing.wait().unwrap();
    server
}

#[test]
fn turning_on_lists_nothing_before_the_first_base_stands() {
    let mut server = off();
    assert_eq!(server.aof.released(), u64::MAX);
    let before = manifest(&server);
    let mut rewrite = begin(&server, TURN_ON);
    assert_eq!(server.aof.mode(), Mode::Waiting);
    let end = server.append(&record(5, 5));
    assert!(server.aof.released() < end);
    server.settle();
    assert_eq!(server.aof.released(), end);
    assert_eq!(manifest(&server), before);
    assert!(server.disk.names(Path::new(FOLDER)).contains(&"temp-appendonly.aof.incr".to_owned()));
    rewrite.write_all(&rdb_base(5)).unwrap();
    rewrite.commit().unwrap();
    assert_eq!(server.aof.mode(), Mode::On);
    assert_eq!(
        manifest(&server),
        "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n"
    );
    server.append(&record(6, 5));
    server.settle();
    assert_eq!(count(&server.disk), 7);
}

#[test]
fn turning_on_can_be_tried_again() {
    let mut server = off();
    let rewrite = begin(&server, TURN_ON);
    server.append(&record(5, 5));
    rewrite.fail();
    assert!(server.host.logged("Removing the temp incr aof file temp-appendonly.aof.incr"));
    let end = server.aof.appended();
    assert_eq!(server.append(&record(6, 5)), end, "nothing is recorded");
    let mut rewrite = begin(&server, COMPACT);
    server.append(&record(7, 5));
    server.settle();
    rewrite.write_all(&rdb_base(7)).unwrap();
    rewrite.commit().unwrap();
    assert_eq!(count(&server.disk), 8);
}

#[test]
fn turning_off_voids_a_rewrite() {
    let mut server = Server::new(Policy::EverySec);
    let mut rewrite = begin(&server, COMPACT);
    rewrite.write_all(&rdb_base(0)).unwrap();
    server.append(&record(0, 5));
    let closing = server.aof.begin_stop();
    server.settle();
    closing.wait().unwrap();
    assert!(rewrite.commit().is_err());
    assert_eq!(count(&server.disk), 1);

    let prepared = server.aof.prepare_rewrite(TURN_ON).unwrap();
    server.aof.begin_stop().wait().unwrap();
    let rewrite = prepared.begin();
    assert_eq!(server.aof.mode(), Mode::Off);
    assert!(rewrite.commit().is_err());
}

#[test]
fn a_rewrite_while_off_writes_a_base_alone() {
    let server = off();
    let mut rewrite = begin(&server, COMPACT);
    rewrite.write_all(&rdb_base(9)).unwrap();
    rewrite.commit().unwrap();
    assert_eq!(manifest(&server), "file appendonly.aof.2.base.rdb seq 2 type b\n");
    assert_eq!(count(&server.disk), 9);
}

#[test]
fn a_base_is_synced_while_it_is_written_if_paced() {
    let server = Server::new(Policy::No);
    let mut rewrite = begin(&server, RewriteOptions { paced: true, ..COMPACT });
    for _ in 0..9 {
        rewrite.write_all(&vec![0; 1 << 20]).unwrap();
    }
    assert_eq!(server.disk.syncs(Barrier::Pace), 2);
}

/// A whole run: records, a rewrite, records, a shutdown. Fails one operation if asked; returns
/// whether the rewrite went well, and how many records were taken.
fn run(server: &mut Server, turn_on: bool, fail: Option<u64>) -> (bool, u64) {
    let first = server.disk.operations();
    let fail_at = fail.map(|index| first + index);
    server.disk.plan(Plan { fail_at, ..Plan::default() });
    let mut number = 1;
    let write = |server: &mut Server, number: &mut u64| {
        if server.aof.state() == State::Working {
            server.append(&record(*number, 30));
            *number += 1;
        }
        server.settle();
        server.host.pass(1_000_000_000);
        server.settle();
    };
    let options = if turn_on { TURN_ON } else { COMPACT };
    let rewritten = match server.aof.prepare_rewrite(options) {
        Err(_) => false,
        Ok(prepared) => {
            let mut rewrite = prepared.begin();
            write(server, &mut number);
            let base = rewrite.write_all(&rdb_base(1)).map_err(|error| error.to_string());
            write(server, &mut number);
            assert!(rewrite.switched(), "a failure resolves the switch");
            base.and_then(|()| rewrite.commit()).is_ok()
        }
    };
    for _ in 0..3 {
        write(server, &mut number);
    }
    if server.aof.mode() != Mode::Off {
        let closing = server.aof.begin_stop();
        server.settle();
        closing.wait().ok();
    }
    (rewritten, number)
}

#[test]
fn whatever_operation_fails_the_folder_has_every_record() {
    for policy in [Policy::EverySec, Policy::No] {
        let start = || {
            let mut server = Server::new(policy);
            server.append(&record(0, 5));
            server.settle();
            server.host.pass(1_000_000_000);
            server.settle();
            server
        };
        let mut server = start();
        let began = server.disk.operations();
        assert_eq!(run(&mut server, false, None), (true, 6));
        let operations = server.disk.operations() - began;
        assert!(operations > 25);
        let mut failed = 0;
        for index in 0..operations {
            let mut server = start();
            let (rewritten, records) = run(&mut server, false, Some(index));
            failed += u64::from(!rewritten);
            // The shutdown's own write may be what fails, which it says.
            let found = count(&server.disk);
            assert_eq!(found, records, "{policy:?}, operation {index}");
            assert_eq!(count(&server.disk), found);
        }
        assert!(failed > 8 && failed < operations, "{failed} of {operations} rewrites failed");
    }
}

#[test]
fn whatever_operation_fails_turning_on_lists_whole_data_or_none_of_it() {
    let mut server = off();
    server.aof.set_policy(Policy::EverySec);
    let began = server.disk.operations();
    assert!(run(&mut server, true, None).0);
    let operations = server.disk.operations() - began;
    for index in 0..operations {
        let mut server = off();
        server.aof.set_policy(Policy::EverySec);
        let (turned_on, records) = run(&mut server, true, Some(index));
        let found = count(&server.disk);
        if server.host.logged("Fail to fsync AOF directory") && !turned_on {
            // The manifest may be the new one, which no one was told to count on.
            assert!((1..=records).contains(&found), "operation {index}");
        } else {
            let expected = if turned_on { records } else { 1 };
            assert_eq!(found, expected, "operation {index}");
        }
        if !turned_on {
            let names = server.disk.names(Path::new(FOLDER));
            let left = names.contains(&"temp-appendonly.aof.incr".to_owned());
            assert!(!left || server.host.logged("Can't remove"), "operation {index}");
        }
    }
}

#[test]
fn a_new_start_goes_on_in_the_last_increment() {
    let disk = Disk::new(Path::new("/srv"));
    for round in 0..3 {
        let mut server = Server::start(&disk, Policy::Always);
        server.append(&record(round, 5));
        server.settle();
        assert_eq!(server.disk.names(Path::new(FOLDER)).len(), 3);
        let verb = if round == 0 { "Creating" } else { "Opening" };
        let line = format!("{verb} AOF incr file appendonly.aof.1.incr.aof on server start");
        assert!(server.host.logged(&line));
    }
    assert_eq!(count(&disk), 3);
}
