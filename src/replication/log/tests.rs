use super::*;

fn batch(records: &[(usize, &[&[u8]])]) -> Batch {
    let mut batch = Batch::default();
    for (database, args) in records {
        batch.push(*database, args.iter().copied());
    }
    batch
}

fn append(log: &Log, batch: &Batch) {
    log.append(batch, false, RecordTime::default);
}

fn id(digit: &str) -> String {
    digit.repeat(40)
}

#[test]
fn every_byte_counts_towards_the_offset() {
    let log = Log::new(id("0"));
    log.start(1 << 20);
    append(&log, &batch(&[(0, &[b"SET", b"a", b"1"])]));
    append(&log, &batch(&[(0, &[b"DEL", b"a"]), (3, &[b"SET", b"b", b"2"])]));
    log.append_bare(&[b"PING"]);
    let bytes = log.bytes_from(0).expect("in the backlog");
    let expected = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n\
        *1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n\
        *3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$4\r\nPING\r\n";
    assert_eq!(bytes, expected);
    assert_eq!(log.offset(), expected.len() as u64);
}

#[test]
fn lengths_of_several_digits_are_written_whole() {
    let log = Log::new(id("0"));
    log.start(1 << 20);
    log.append_bare(&[&[b'x'; 12], b""]);
    let expected = b"*2\r\n$12\r\nxxxxxxxxxxxx\r\n$0\r\n\r\n";
    assert_eq!(log.bytes_from(0).expect("in the backlog"), expected);
}

#[test]
fn the_backlog_keeps_at_least_what_was_asked_for() {
    let log = Log::new(id("0"));
    log.start(100_000);
    let value = vec![b'v'; 10_000];
    for _ in 0..100 {
        append(&log, &batch(&[(0, &[b"SET", b"a", &value])]));
    }
    assert!(log.bytes_from(0).is_none());
    assert!(log.bytes_from(log.offset() - 100_000).is_some());
    assert_eq!(log.bytes_from(log.offset()), Some(Vec::new()));
    assert!(log.bytes_from(log.offset() + 1).is_none());
    let held = log.window();
    assert!(held.held_bytes < 100_000 + 3 * BLOCK_BYTES, "{held:?}");
}

#[test]
fn what_a_reader_lacks_is_kept_until_it_has_read_it() {
    let log = Log::new(id("0"));
    log.start(1);
    let reader = log.attach(0).expect("nothing is written yet");
    let value = vec![b'v'; 50_000];
    for _ in 0..10 {
        append(&log, &batch(&[(0, &[b"SET", b"a", &value])]));
    }
    let (mut read, end) = (Vec::new(), log.offset());
    while (read.len() as u64) < end {
        let at = log.read(reader, 30_000, &mut read).expect("its place is kept");
        assert_eq!(at, read.len() as u64);
    }
    assert!(read.ends_with(b"\r\n"));
    log.detach(reader);
    assert!(log.window().first > 0, "with the last reader gone, the rest goes");
}

#[test]
fn partial_resync_ends_where_the_backlog_or_the_shared_history_ends() {
    let log = Log::new(id("a"));
    log.start(1 << 20);
    log.append_bare(&[b"PING"]);
    assert_eq!(log.resync(id("a").as_bytes(), 14), Resync::Partial);
    assert_eq!(log.resync(id("a").as_bytes(), 15), Resync::OutsideBacklog);
    assert_eq!(log.resync(id("b").as_bytes(), 14), Resync::UnknownHistory);
    log.continue_history(id("b"));
    log.append_bare(&[b"PING"]);
    assert_eq!(log.resync(id("a").as_bytes(), 14), Resync::Partial);
    assert_eq!(log.resync(id("a").as_bytes(), 15), Resync::BeyondShared);
    assert_eq!(log.resync(id("b").as_bytes(), 28), Resync::Partial);
    log.stop(id("c"));
    assert_eq!(log.resync(id("b").as_bytes(), 28), Resync::UnknownHistory);
    assert_eq!(log.resync(id("c").as_bytes(), 28), Resync::OutsideBacklog);
}

#[test]
fn a_reader_of_the_earlier_id_gets_nothing_of_the_later_one() {
    let log = Log::new(id("a"));
    log.start(1 << 20);
    let earlier = log.attach(0).expect("nothing is written yet");
    log.continue_history(id("b"));
    let later = log.attach(0).expect("nothing is written yet");
    log.append_bare(&[b"PING"]);
    assert_eq!(log.read(earlier, 100, &mut Vec::new()), None);
    assert_eq!(log.read(later, 100, &mut Vec::new()), Some(14));
}

#[test]
fn a_log_begun_anew_loses_its_readers_places() {
    let log = Log::new(id("a"));
    log.start(1 << 20);
    let reader = log.attach(0).expect("nothing is written yet");
    log.adopt(Ids { id: id("b"), earlier: None }, 500, 1 << 20);
    assert_eq!(log.read(reader, 10, &mut Vec::new()), None);
    assert_eq!((log.offset(), log.window().first), (500, 500));
}
