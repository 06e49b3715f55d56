//! Three real sentinels over limpid: they replace a killed master in time, and no write that WAIT
//! has confirmed is lost.

use crate::nodes::{
    args, info, info_text, is_linked, percentiles, say, settle, syncs, told, until, until_some,
    with_replicas,
};
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::{Program::Limpid, Server, free_port};
use std::fs;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::TempDir;

const TURNS: usize = 10;
/// Maximum time from the kill to a master that accepts writes.
const TAKEN_OVER: Duration = Duration::from_secs(3);

/// A sentinel's configuration, and the state that it writes back.
const FILE: &str = "sentinel.conf";

/// Settings that have a master counted as down, and a failover given up, sooner than by default.
const QUICK: &str =
    "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 4000\n";

/// Whether the sentinels run with all their default periods, as an operator's do, so that each
/// takeover takes half a minute: by LIMPID_SENTINELS=stock.
pub(crate) fn stock_periods() -> bool {
    std::env::var("LIMPID_SENTINELS").is_ok_and(|value| value == "stock")
}

/// A redis-sentinel, killed when dropped.
#[derive(Debug)]
pub(crate) struct Sentinel {
    process: Child,
    port: u16,
    dir: TempDir,
}

impl Sentinel {
    pub(crate) fn watching(master: u16) -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let lines = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 2\n\
             sentinel parallel-syncs main 2\n{}",
            if stock_periods() { "" } else { QUICK }
        );
        fs::write(dir.path().join(FILE), lines).unwrap();
        let sentinel = Self { process: Self::spawn(&dir), port, dir };
        until("the sentinel answers", || Connection::tcp(port).is_ok());
        // Sentinels discover each other, and correct a server's role, by periodic messages and
        // queries: make them more frequent, so that the test takes less time. By default a ping
        // goes out once a second, the first one a second after a switch: as late as the time after
        // which a master counts as down, so that sometimes the new one is replaced at once.
        let quick = ["publish-period 250", "info-period 1000", "ping-period 250"];
        for option in quick.iter().filter(|_| !stock_periods()) {
            assert_eq!(sentinel.say(&format!("SENTINEL DEBUG {option}")), "simple \"OK\"");
        }
        sentinel
    }

    fn spawn(dir: &TempDir) -> Child {
        Command::new("redis-server")
            .arg(dir.path().join(FILE))
            .arg("--sentinel")
            .current_dir(dir.path())
            .stdout(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .expect("redis-server is on the PATH")
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Restarts it with its saved state, and the default periods.
    pub(crate) fn start_again(&mut self) {
        self.process = Self::spawn(&self.dir);
    }

    fn say(&self, command: &str) -> String {
        say(&mut Connection::tcp(self.port).unwrap(), command)
    }

    /// Whether it sees the master up, and knows this many replicas and other sentinels.
    pub(crate) fn sees(&self, replicas: usize, others: usize) -> bool {
        let reply =
            Connection::tcp(self.port).unwrap().call(&[b"SENTINEL", b"MASTER", b"main"]).unwrap();
        let items = reply.items().unwrap_or_default();
        let text = |item: &Reply| String::from_utf8_lossy(item.text().unwrap()).into_owned();
        let fields: Vec<String> = items.iter().map(text).collect();
        let field =
            |name: &str| fields.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
        field("flags").as_deref() == Some("master")
            && field("num-slaves") == Some(replicas.to_string())
            && field("num-other-sentinels") == Some(others.to_string())
    }

    /// Whether all replicas that it knows are up.
    pub(crate) fn misses_nobody(&self) -> bool {
        let reply =
            Connection::tcp(self.port).unwrap().call(&[b"SENTINEL", b"REPLICAS", b"main"]).unwrap();
        let replicas = reply.items().unwrap_or_default();
        replicas.iter().all(|replica| {
            let fields = replica.items().unwrap_or_default();
            let value = |name: &[u8]| {
                let at = fields.iter().position(|field| field.text() == Some(name))?;
                fields.get(at + 1)?.text().map(<[u8]>::to_vec)
            };
            value(b"flags").as_deref() == Some(b"slave")
                && value(b"master-link-status").as_deref() == Some(b"ok")
        })
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // Ignores a process that cannot be killed.
        drop(self.process.kill());
        drop(self.process.wait());
        if thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("a sentinel said:\n{log}");
        }
    }
}

/// A client of one master: SET and WAIT 2, until the master is gone.
struct Writer {
    confirmed: Arc<AtomicU64>,
    /// Returns the numbers whose writes both replicas had.
    thread: JoinHandle<Vec<u64>>,
}

impl Writer {
    fn start(port: u16, turn: usize) -> Self {
        let confirmed = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&confirmed);
        let thread = thread::spawn(move || {
            let mut client = Connection::tcp(port).unwrap();
            let mut kept = Vec::new();
            for number in 0.. {
                let request = format!("SET turn:{turn}:{number} {number}\r\nWAIT 2 500\r\n");
                // A failed write shows in the read.
                drop(client.send_raw(request.as_bytes()));
                let (Ok(set), Ok(wait)) = (client.read_reply(), client.read_reply()) else {
                    // The sentinels have cut the connection, or the master is gone.
                    match Connection::tcp(port) {
                        Ok(again) => client = again,
                        Err(_) => break,
                    }
                    continue;
                };
                if matches!(set, Reply::Simple(_)) && matches!(wait, Reply::Integer(2..)) {
                    kept.push(number);
                    counts.fetch_add(1, Ordering::Relaxed);
                }
            }
            kept
        });
        Self { confirmed, thread }
    }
}

/// The master and its replicas.
struct Nodes {
    master: Server,
    replicas: Vec<Server>,
}

/// Prints all of their logs after a failure.
impl Drop for Nodes {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the master said:\n{}", self.master.log_text());
            for replica in &self.replicas {
                eprintln!("a replica said:\n{}", replica.log_text());
            }
        }
    }
}

impl Nodes {
    /// Kills the master during writes, and checks that the sentinels replace it. Returns how long
    /// that took.
    fn replace_master(&mut self, sentinels: &[Sentinel], turn: usize) -> Duration {
        until("the sentinels see all", || {
            sentinels.iter().all(|sentinel| sentinel.sees(2, 2) && sentinel.misses_nobody())
        });
        let writer = Writer::start(self.master.port(), turn);
        until("writes are confirmed", || {
            assert!(!writer.thread.is_finished(), "no master: {}", self.master.log_text());
            writer.confirmed.load(Ordering::Relaxed) >= 200
        });
        let port = self.master.port();
        let began = now();
        self.master.kill();
        let promoted = until_some("a replica is promoted", || {
            self.replicas.iter().position(|replica| {
                info_text(replica, "replication").starts_with("# Replication\r\nrole:master")
            })
        });
        let took = began.elapsed();
        let kept = writer.thread.join().unwrap();
        let new = self.replicas.remove(promoted);
        // The other replica continues with the new master, by a partial resync.
        let other = &self.replicas[0];
        until("the other replica follows", || {
            info(other, "master_port") == Some(new.port().to_string()) && is_linked(other)
        });
        let after = syncs(&new);
        assert_eq!(after.partial, 1, "{}", new.log_text());
        assert_eq!(after.full, 0, "{}", new.log_text());
        let mut client = new.connect();
        for number in kept {
            let reply = say(&mut client, &format!("GET turn:{turn}:{number}"));
            assert_eq!(reply, format!("bulk \"{number}\""), "a confirmed write is lost");
        }
        // The old one restarts as a master, with its first arguments. The sentinels demote it.
        let old = Server::start_on(Limpid, port, &args(&[]));
        until("the old master is a replica", || {
            info(&old, "master_port") == Some(new.port().to_string()) && is_linked(&old)
        });
        settle(&new, &old);
        settle(&new, other);
        self.replicas.push(old);
        self.master = new;
        // Each turn counts from zero.
        for server in self.replicas.iter().chain([&self.master]) {
            assert_eq!(told(server, &[b"CONFIG", b"RESETSTAT"]), "OK");
        }
        took
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_killed_master_is_replaced_ten_times_and_no_confirmed_write_is_lost() {
    let replicas = vec![crate::nodes::limpid(), crate::nodes::limpid()];
    let (master, replicas) = with_replicas(crate::nodes::limpid(), replicas);
    let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::watching(master.port())).collect();
    let mut nodes = Nodes { master, replicas };
    let mut times: Vec<Duration> =
        (0..TURNS).map(|turn| nodes.replace_master(&sentinels, turn)).collect();
    println!("taken over after {times:?}");
    let (p50, _, max) = percentiles(&mut times);
    println!("taken over after {p50:.0} ms (p50), {max:.0} ms (most)");
    assert!(times.iter().all(|&took| took <= TAKEN_OVER), "{times:?}");
}
