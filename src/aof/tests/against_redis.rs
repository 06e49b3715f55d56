//! Folders of a real Redis are loaded here, and ours there.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::kill::RealHost;
use super::records::command;
use super::redis::{Redis, refusal};
use super::world::place;
use crate::aof::files::FileSystem;
use crate::aof::folder::{Folder, Place};
use crate::aof::handle::{Aof, Options, Policy};
use crate::aof::loader::{LoadOptions, RdbPart, Receiver, Refusal};
use crate::aof::manifest::Format;
use crate::aof::rewrite::{Purpose, RewriteOptions};
use crate::aof::writer::Writer;

const ON: [&str; 2] = ["--appendonly", "yes"];

/// Collects what is loaded, for another server.
#[derive(Default)]
struct Copy {
    rdb: Vec<u8>,
    /// Bytes of the preamble that the file begins with.
    preamble: usize,
    commands: Vec<Vec<u8>>,
}

impl Receiver for Copy {
    fn file(&mut self, _: &str, _: u64) {}

    fn rdb(&mut self, source: &mut dyn Read, part: RdbPart) -> Result<u64, String> {
        source.read_to_end(&mut self.rdb).map_err(|error| error.to_string())?;
        if part == RdbPart::Preamble {
            self.rdb.truncate(self.preamble);
        }
        Ok(self.rdb.len() as u64)
    }

    fn knows(&self, _: &[&[u8]]) -> bool {
        true
    }

    fn command(&mut self, args: &[&[u8]], _: u64) -> Result<(), Refusal> {
        self.commands.push(command(args));
        Ok(())
    }
}

fn open(dir: &Path, filename: &str) -> (Arc<Aof>, Writer) {
    let place = Place { dir: dir.to_owned(), filename: filename.to_owned(), ..place() };
    let options = Options { place, policy: Policy::EverySec, queue_bytes_max: 1 << 20 };
    let (aof, drain) = Aof::open(Arc::new(FileSystem), RealHost::new(), options).unwrap();
    (aof, Writer::spawn(drain).unwrap())
}

/// The digest of what a folder holds, as loaded here and handed to another server.
fn digest_of(dir: &Path, preamble: usize) -> String {
    let (aof, writer) = open(dir, "appendonly.aof");
    let mut copy = Copy { preamble, ..Copy::default() };
    aof.load(LoadOptions { truncated: true }, &mut copy).unwrap();
    writer.end().unwrap();
    let other = tempfile::tempdir().unwrap();
    if !copy.rdb.is_empty() {
        fs::write(other.path().join("dump.rdb"), &copy.rdb).unwrap();
    }
    let mut redis = Redis::start(other.path(), &[]);
    for bytes in &copy.commands {
        let args = parse(bytes);
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let reply = redis.call(&args);
        assert!(!reply.starts_with('-'), "{reply}");
    }
    redis.digest()
}

/// The arguments of a command.
fn parse(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut args = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == b'$') {
        let end = at + rest[at..].iter().position(|&byte| byte == b'\r').unwrap();
        let length: usize = std::str::from_utf8(&rest[at + 1..end]).unwrap().parse().unwrap();
        args.push(rest[end + 2..end + 2 + length].to_vec());
        rest = &rest[end + 2 + length..];
    }
    args
}

const WRITES: [&str; 18] = [
    "SET string 1",
    "INCRBY string 41",
    "APPEND text some-text",
    "RPUSH list a b c 1 2 3",
    "LPOP list",
    "SADD numbers 1 2 3",
    "SADD words a b c",
    "HSET hash field value other 1",
    "ZADD scores 1 one 2.5 two",
    "XADD stream 1-1 field value",
    "XGROUP CREATE stream group 0",
    "SELECT 3",
    "SET elsewhere value",
    "PEXPIREAT elsewhere 99999999999999",
    "EVAL return(redis.call('SET','scripted','1')) 0",
    "SETBIT bits 100 1",
    "PFADD log a b c",
    "SELECT 0",
];

fn write_all(redis: &mut Redis) {
    for write in WRITES {
        let reply = redis.words(write);
        assert!(!reply.starts_with('-'), "{write}: {reply}");
    }
    for number in 0..200 {
        redis.words(&format!("SET key:{number} value-{number}"));
    }
    for text in ["MULTI", "INCR string", "RPUSH list last", "EXEC"] {
        redis.words(text);
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn folders_of_redis_load_equal() {
    for preamble in ["yes", "no"] {
        for timestamps in ["yes", "no"] {
            for (policy, crash) in [("always", true), ("everysec", false), ("no", true)] {
                for rewrites in 0..3 {
                    let dir = tempfile::tempdir().unwrap();
                    let args = [
                        ON[0],
                        ON[1],
                        "--aof-use-rdb-preamble",
                        preamble,
                        "--appendfsync",
                        policy,
                        "--aof-timestamp-enabled",
                        timestamps,
                    ];
                    let mut redis = Redis::start(dir.path(), &args);
                    for _ in 0..rewrites {
                        write_all(&mut redis);
                        redis.words("DEL stream");
                        redis.words("BGREWRITEAOF");
                        redis.rewritten();
                    }
                    redis.words("DEL stream");
                    write_all(&mut redis);
                    let digest = redis.digest();
                    redis.end(crash);
                    let what = format!("{preamble} {timestamps} {policy} {rewrites}");
                    assert_eq!(digest_of(dir.path(), 0), digest, "{what}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn old_single_files_load_equal() {
    for preamble in ["yes", "no"] {
        let dir = tempfile::tempdir().unwrap();
        let args = [ON[0], ON[1], "--aof-use-rdb-preamble", preamble];
        let mut redis = Redis::start(dir.path(), &args);
        write_all(&mut redis);
        redis.words("BGREWRITEAOF");
        redis.rewritten();
        redis.words("SET after 1");
        let digest = redis.digest();
        redis.end(false);
        let folder = dir.path().join("appendonlydir");
        let suffix = if preamble == "yes" { "rdb" } else { "aof" };
        let base = fs::read(folder.join(format!("appendonly.aof.2.base.{suffix}"))).unwrap();
        let incr = fs::read(folder.join("appendonly.aof.2.incr.aof")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        fs::write(dir.path().join("appendonly.aof"), [&base[..], &incr].concat()).unwrap();
        assert_eq!(digest_of(dir.path(), base.len()), digest);
        let mut redis = Redis::start(dir.path(), &ON);
        assert_eq!(redis.digest(), digest, "Redis loads what was moved");
    }
}

/// Appends the same writes here that a server is given.
fn write_both(aof: &Aof, redis: &mut Redis) {
    let stamp = crate::aof::timestamp(1_700_000_000);
    aof.append(&[stamp.as_bytes(), &command(&[b"SELECT", b"0"])], 1);
    for write in WRITES {
        let args: Vec<&[u8]> = write.split(' ').map(str::as_bytes).collect();
        redis.call(&args);
        aof.append(&[&command(&args)], 1);
    }
    let units = [&[b"MULTI".as_slice()][..], &[b"INCR", b"string"], &[b"EXEC"]];
    aof.append(&units.map(command).iter().map(Vec::as_slice).collect::<Vec<_>>(), 1);
    redis.words("INCR string");
    aof.kick();
}

/// A base of the server's data, in RDB format or as commands.
fn base(redis: &mut Redis, dir: &Path, format: Format) -> Vec<u8> {
    match format {
        Format::Rdb => {
            redis.words("SAVE");
            fs::read(dir.join("dump.rdb")).unwrap()
        }
        Format::Aof => {
            redis.words("FLUSHALL");
            redis.words("SET only 1");
            [command(&[b"SELECT", b"0"]), command(&[b"SET", b"only", b"1"])].concat()
        }
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15 and redis-check-aof"]
fn folders_made_here_load_in_redis() {
    for (filename, formats) in [
        ("appendonly.aof", vec![]),
        ("appendonly.aof", vec![Format::Rdb]),
        ("appendonly.aof", vec![Format::Aof, Format::Rdb]),
        ("appendonly.aof", vec![Format::Rdb, Format::Aof]),
        (" a \"name\".aof", vec![Format::Rdb]),
    ] {
        for turn in [false, true] {
            let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let mut redis = Redis::start(other.path(), &[]);
            let (aof, writer) = open(dir.path(), filename);
            let first = if formats.is_empty() { Format::Aof } else { Format::Rdb };
            let empty = match first {
                Format::Rdb => base(&mut redis, other.path(), Format::Rdb),
                Format::Aof => Vec::new(),
            };
            aof.start(first, |to| to.write_all(&empty)).unwrap();
            write_both(&aof, &mut redis);
            for format in &formats {
                let mut purpose = Purpose::Compact;
                if turn {
                    aof.begin_stop().wait().unwrap();
                    redis.words("SET unrecorded 1");
                    purpose = Purpose::TurnOn;
                }
                let content = base(&mut redis, other.path(), *format);
                let options = RewriteOptions { purpose, format: *format, paced: true };
                let mut rewrite = aof.prepare_rewrite(options).unwrap().begin();
                redis.words("DEL stream");
                aof.append(&[&command(&[b"SELECT", b"0"]), &command(&[b"DEL", b"stream"])], 1);
                write_both(&aof, &mut redis);
                rewrite.write_all(&content).unwrap();
                rewrite.commit().unwrap();
            }
            writer.end().unwrap();
            let digest = redis.digest();

            let folder = dir.path().join("appendonlydir");
            let manifest = folder.join(format!("{filename}.manifest"));
            let check = Command::new("redis-check-aof").arg(&manifest).output().unwrap();
            let said = String::from_utf8_lossy(&check.stdout).into_owned();
            assert!(check.status.success(), "{said}");
            assert!(said.contains("All AOF files and manifest are valid"), "{said}");
            let args = [ON[0], ON[1], "--appendfilename", filename, "--aof-load-truncated", "no"];
            let mut loaded = Redis::start(dir.path(), &args);
            assert_eq!(loaded.digest(), digest, "{filename} {formats:?} {turn}");
            // It goes on in our folder, and we load what it left.
            loaded.words("SET from-redis 1");
            let digest = loaded.digest();
            loaded.end(false);
            if filename == "appendonly.aof" {
                assert_eq!(digest_of(dir.path(), 0), digest);
            }
        }
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn manifests_are_refused_in_the_words_of_redis() {
    let long = format!("file a seq 1 type b{}\n", " k v".repeat(300));
    for text in [
        "",
        "\n",
        "file a.1 seq 1 type b\n\nfile a.2 seq 2 type i\n",
        "filx a seq 1 type b\n",
        "file a type b\n",
        "file a seq 1 type b k\n",
        "file a seq 1 type x\n",
        "file a/b seq 1 type b\n",
        "file a seq 1 type b\nfile b seq 2 type b\n",
        "file b seq 2 type i\nfile a seq 1 type i\n",
        "file a seq 1 type b",
        "# c\n  file 'a  seq 1 type b \n",
        &long,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("appendonlydir");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("appendonly.aof.manifest"), text).unwrap();
        let theirs = refusal(dir.path(), &ON);
        let place = Place { dir: dir.path().to_owned(), ..place() };
        let ours = Folder::open(Arc::new(FileSystem), RealHost::new(), place).unwrap_err().lines();
        let mut rest = theirs.as_str();
        for line in &ours {
            let at =
                rest.find(line.as_str()).unwrap_or_else(|| panic!("{text:?}: {line:?}: {theirs}"));
            rest = &rest[at + line.len()..];
        }
        assert_eq!(theirs.contains("at line"), ours.len() == 4, "{theirs}");
    }
}

/// Cuts a folder's last file at many places: both must keep the same bytes. Within a transaction
/// Redis keeps the MULTI, and so loses what it appends after it; here that goes too.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn tails_are_cut_where_redis_cuts_them() {
    let dir = tempfile::tempdir().unwrap();
    // By default Redis keeps writes back while it syncs, and the crash would lose them.
    let mut redis = Redis::start(dir.path(), &[ON[0], ON[1], "--appendfsync", "always"]);
    for write in ["SET a 1", "MULTI", "SET b 2", "INCR a", "EXEC", "SET c 3"] {
        redis.words(write);
    }
    redis.end(true);
    let incr = dir.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let whole = fs::read(&incr).unwrap();
    let place = |name: &[u8]| whole.windows(name.len()).position(|bytes| bytes == name).unwrap();
    let multi = place(&command(&[b"MULTI"]));
    let exec = place(&command(&[b"EXEC"])) + command(&[b"EXEC"]).len();
    let mut within = 0;
    for length in (1..whole.len()).step_by(5) {
        fs::write(&incr, &whole[..length]).unwrap();
        Redis::start(dir.path(), &ON).end(true);
        let theirs = fs::read(&incr).unwrap().len();
        fs::write(&incr, &whole[..length]).unwrap();
        digest_of(dir.path(), 0);
        let ours = fs::read(&incr).unwrap().len();
        let open = (multi + 1..exec).contains(&theirs);
        assert_eq!(ours, if open { multi } else { theirs }, "cut at {length}");
        within += u32::from(open);
    }
    assert!(within > 0);
}
