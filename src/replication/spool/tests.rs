use std::sync::mpsc;
use std::thread;

use super::*;

#[derive(Debug, Default)]
struct InMemory(Mutex<Vec<u8>>);

impl Overflow for InMemory {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.0.lock();
        let at = usize::try_from(at).expect("small");
        let len = all.len().max(at + bytes.len());
        all.resize(len, 0xff);
        all[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).expect("small");
        into.copy_from_slice(&self.0.lock()[at..at + into.len()]);
        Ok(())
    }
}

fn spool(memory_bytes_max: usize) -> Spool {
    Spool::new(memory_bytes_max, Box::new(|| Ok(Box::new(InMemory::default()))))
}

fn write(spool: &Spool, bytes: Vec<u8>) -> Written {
    spool.write(bytes.into(), || {}).expect("memory does not fail")
}

/// Reads until there is nothing more for now.
fn drain(spool: &Spool, reader: usize, into: &mut Vec<u8>) -> Next {
    loop {
        match spool.read(reader, 7, into) {
            Next::Bytes => {}
            Next::Later if spool.fetch() => {}
            next => return next,
        }
    }
}

#[test]
fn each_reader_gets_every_byte_at_its_own_pace() {
    for memory_bytes_max in [0, 10, 25, 1000] {
        let spool = spool(memory_bytes_max);
        let (fast, slow) = (spool.attach(), spool.attach());
        let (mut by_fast, mut by_slow, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..20_u8 {
            all.extend_from_slice(&[i; 5]);
            write(&spool, vec![i; 5]);
            assert_eq!(drain(&spool, fast, &mut by_fast), Next::Later);
            assert_eq!(by_fast, all);
        }
        spool.end(Ok(()));
        assert_eq!(spool.len(), Some(Ok(100)));
        assert_eq!(drain(&spool, slow, &mut by_slow), Next::Done);
        assert_eq!(by_slow, all, "with {memory_bytes_max} bytes of memory");
    }
}

#[test]
fn memory_is_freed_when_the_slowest_has_read() {
    let spool = spool(100);
    let (one, two) = (spool.attach(), spool.attach());
    for _ in 0..100 {
        assert_eq!(write(&spool, vec![0; 10]), Written::InMemory);
        drain(&spool, one, &mut Vec::new());
        drain(&spool, two, &mut Vec::new());
    }
    assert!(spool.state.lock().overflow.is_none());
    assert!(spool.state.lock().chunks.is_empty());
    spool.detach(one);
    assert!(spool.is_read());
    spool.detach(two);
    assert!(!spool.is_read());
}

#[test]
fn a_reader_that_stands_still_holds_no_more_memory_than_the_bound() {
    let spool = spool(100);
    let (still, fast) = (spool.attach(), spool.attach());
    let (mut by_still, mut by_fast) = (Vec::new(), Vec::new());
    for i in 0..100_u8 {
        let written = write(&spool, vec![i; 10]);
        let first = i == 10;
        assert_eq!(written == Written::Overflowed, first, "chunk {i}");
        assert_eq!(drain(&spool, fast, &mut by_fast), Next::Later);
        assert!(spool.state.lock().held_bytes() <= 100);
    }
    spool.end(Ok(()));
    assert_eq!(drain(&spool, still, &mut by_still), Next::Done);
    assert_eq!(by_still, by_fast);
}

#[test]
fn readers_learn_that_it_failed() {
    let spool = spool(100);
    let reader = spool.attach();
    write(&spool, vec![0; 10]);
    spool.end(Err("no more memory".into()));
    assert_eq!(spool.read(reader, 5, &mut Vec::new()), Next::Failed("no more memory".into()));
}

/// A disk that blocks until released, and reports each request.
#[derive(Debug)]
struct Stalled {
    memory: InMemory,
    asked: Mutex<mpsc::Sender<&'static str>>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Stalled {
    fn stall(&self, what: &'static str) -> io::Result<()> {
        let gone = |_| io::Error::other("the test has ended");
        self.asked.lock().send(what).map_err(|_| io::Error::other("the test has ended"))?;
        self.go_on.lock().recv().map_err(gone)
    }
}

impl Overflow for Stalled {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.stall("write")?;
        self.memory.write_at(at, bytes)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.stall("read")?;
        self.memory.read_at(at, into)
    }
}

#[test]
fn nobody_who_reads_waits_for_the_disk() {
    let ((ask, asked), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let disk = Mutex::new(Some(Stalled {
        memory: InMemory::default(),
        asked: Mutex::new(ask),
        go_on: Mutex::new(go_on),
    }));
    let open =
        move || Ok(Box::new(disk.lock().take().expect("one is enough")) as Box<dyn Overflow>);
    let spool = Spool::new(10, Box::new(open));
    let (still, fast) = (spool.attach(), spool.attach());
    let (mut by_still, mut by_fast) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let writer = scope.spawn(|| (0..3).map(|i| write(&spool, vec![i; 10])).collect::<Vec<_>>());
        // Two of the three chunks go to the disk, which has not written the first one.
        assert_eq!(asked.recv(), Ok("write"));
        while by_fast.len() < 20 {
            assert_ne!(spool.read(fast, 100, &mut by_fast), Next::Done);
        }
        assert_eq!(spool.read(still, 5, &mut by_still), Next::Bytes);
        go.send(()).expect("the disk is there");
        assert_eq!(asked.recv(), Ok("write"));
        go.send(()).expect("the disk is there");
        let written = writer.join().expect("no panic");
        assert_eq!(written, [Written::InMemory, Written::Overflowed, Written::WithOverflow]);
        spool.end(Ok(()));
        // The other one's next bytes are on the disk, which blocks.
        let reader = scope.spawn(|| while spool.fetch_when_due() {});
        assert_eq!(asked.recv(), Ok("read"));
        assert_eq!(spool.read(still, 100, &mut by_still), Next::Later);
        while by_fast.len() < 30 {
            assert_ne!(spool.read(fast, 100, &mut by_fast), Next::Later);
        }
        assert!(spool.is_read());
        go.send(()).expect("the disk is there");
        while by_still.len() < 30 {
            assert_ne!(spool.read(still, 100, &mut by_still), Next::Done);
        }
        reader.join().expect("no panic");
    });
    assert_eq!(by_still, by_fast);
    assert_eq!(spool.read(still, 1, &mut Vec::new()), Next::Done);
}
