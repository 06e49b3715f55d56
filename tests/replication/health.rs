//! What the admin server reports during replication: lag, readiness, roles, and stalls of the
//! server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::nodes::{ask, await_link, follow, info, limpid_with, ok, percentiles, until};
use crate::proxy::Proxy;
use crate::support::now;
use crate::support::server::{Server, free_port};

/// A limpid, and its admin server's port.
fn watched(more: &[&str]) -> (Server, u16) {
    let port = free_port();
    let text = port.to_string();
    (limpid_with(&[&["--admin-port", &text], more].concat()), port)
}

/// Status and body of an answer.
fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer}")), answer)
}

fn status(port: u16, path: &str) -> u16 {
    get(port, path).0
}

/// The value of the first series of a metric.
fn metric(port: u16, name: &str) -> Option<f64> {
    let (_, text) = get(port, "/metrics");
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A link that delays the server's bytes without limiting throughput.
struct LateLink {
    port: u16,
    delay_ms: Arc<AtomicU64>,
}

impl LateLink {
    fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let delay_ms = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&delay_ms);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let back = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass_on(back.0, back.1));
                let delay = Arc::clone(&delay);
                thread::spawn(move || pass_late(server, client, &delay));
            }
        });
        Self { port, delay_ms }
    }

    fn delay(&self, by: Duration) {
        self.delay_ms.store(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    // Either end may close it.
    drop(std::io::copy(&mut from, &mut to));
}

/// Forwards each piece after the delay, while it reads further ones.
fn pass_late(mut from: TcpStream, mut to: TcpStream, delay_ms: &AtomicU64) {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    let writer = thread::spawn(move || {
        for (due, piece) in receive {
            thread::sleep(due.saturating_duration_since(now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
    });
    let mut piece = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut piece) {
        let delay = Duration::from_millis(delay_ms.load(Ordering::Relaxed));
        if send.send((now() + delay, piece[..len].to_vec())).is_err() {
            break;
        }
    }
    drop(send);
    drop(writer.join());
}

/// Waits for a condition; returns how long that took.
fn took(what: &str, holds: impl FnMut() -> bool) -> Duration {
    let began = now();
    until(what, holds);
    began.elapsed()
}

#[test]
fn lag_in_seconds_is_true_at_both_ends() {
    let (master, master_admin) = watched(&[]);
    let (replica, replica_admin) = watched(&[]);
    let link = LateLink::to(master.port());
    follow(&replica, link.port);
    let none_lags = || {
        metric(master_admin, "limpid_replica_lag_seconds") == Some(0.0)
            && metric(replica_admin, "limpid_replication_lag_seconds") == Some(0.0)
    };
    until("nothing lags behind", none_lags);
    link.delay(Duration::from_millis(250));
    let over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (mut client, over) = (master.connect(), Arc::clone(&over));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                client.call(&[b"INCR", b"a"]).unwrap();
                thread::sleep(Duration::from_millis(2));
            }
        })
    };
    let is_late =
        |port, name| metric(port, name).is_some_and(|lag: f64| (0.2..=0.3).contains(&lag));
    until("the master sees it", || is_late(master_admin, "limpid_replica_lag_seconds"));
    until("the replica sees it", || is_late(replica_admin, "limpid_replication_lag_seconds"));
    until("it is not ready", || status(replica_admin, "/readyz?lag=100ms") == 503);
    assert_eq!(status(replica_admin, "/readyz?lag=10s"), 200);
    link.delay(Duration::ZERO);
    let healed = took("it is ready again", || status(replica_admin, "/readyz?lag=100ms") == 200);
    assert!(healed < Duration::from_secs(1), "{healed:?}");
    over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    // Also on a slow link, while there is nothing to send.
    link.delay(Duration::from_millis(250));
    until("nothing lags behind", none_lags);
}

#[test]
fn a_replica_is_not_ready_and_tells_no_lag_while_it_takes_a_full_resync() {
    let master = limpid_with(&[]);
    ok(&master, "DEBUG POPULATE 100000");
    let (replica, admin) = watched(&[]);
    let proxy = Proxy::to(master.port());
    proxy.hold_after(100_000);
    ok(&replica, &format!("REPLICAOF 127.0.0.1 {}", proxy.port()));
    let mut seen = 0;
    until("the resync is under way", || {
        let (status, text) = get(admin, "/readyz");
        assert_eq!(status, 503, "{text}");
        seen += u32::from(text.contains("full resync is under way"));
        seen > 5
    });
    assert_eq!(metric(admin, "limpid_replication_lag_seconds"), None);
    proxy.heal();
    await_link(&replica);
    until("it is ready", || status(admin, "/readyz") == 200);
}

#[test]
fn a_link_that_flaps_is_counted() {
    let (master, _) = watched(&[]);
    let (replica, admin) = watched(&[]);
    follow(&replica, master.port());
    let counted = || {
        let (_, text) = get(admin, "/metrics");
        ["limpid_master_link_ups_total ", "limpid_master_link_losses_total "].map(|name| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_else(|| panic!("{name} in {text}")).parse::<u64>().unwrap()
        })
    };
    assert_eq!(counted(), [1, 0]);
    for losses in 1..=3 {
        assert_eq!(ask(&master, "CLIENT KILL TYPE replica"), "integer 1");
        until("the link is up again", || counted() == [losses + 1, losses]);
    }
    assert_eq!(info(&replica, "master_link_losses").as_deref(), Some("3"));
}

#[test]
fn roles_flip_within_a_second() {
    let (master, master_admin) = watched(&[]);
    let (replica, replica_admin) = watched(&[]);
    follow(&replica, master.port());
    let is_primary = |port| (status(port, "/primary"), status(port, "/replica"));
    until("both have their role", || {
        is_primary(master_admin) == (200, 503) && is_primary(replica_admin) == (503, 200)
    });
    ok(&replica, "REPLICAOF NO ONE");
    ok(&master, &format!("REPLICAOF 127.0.0.1 {}", replica.port()));
    let flipped = took("the roles are the other way round", || {
        is_primary(replica_admin) == (200, 503) && is_primary(master_admin) == (503, 200)
    });
    assert!(flipped < Duration::from_secs(1), "{flipped:?}");
}

#[test]
fn a_server_that_stands_still_answers_the_admin_port_at_once() {
    let (server, admin) = watched(&[]);
    ok(&server, "DEBUG POPULATE 1000");
    thread::scope(|scope| {
        let asleep = scope.spawn(|| ask(&server, "DEBUG SLEEP 2"));
        // The stall has begun once a command gets no reply.
        let mut probe = server.connect();
        probe.set_timeout(Duration::from_millis(100)).unwrap();
        while probe.call(&[b"PING"]).is_ok() {}
        let mut times = Vec::new();
        while !asleep.is_finished() && times.len() < 40 {
            for path in ["/livez", "/metrics"] {
                let began = now();
                assert_eq!(status(admin, path), 200);
                times.push(began.elapsed());
            }
        }
        assert!(times.len() > 10, "{} answers while it slept", times.len());
        // A single one may wait for a processor.
        let (p50, ..) = percentiles(&mut times);
        assert!(p50 < 50.0, "half of the answers took more than {p50} ms");
    });
}
