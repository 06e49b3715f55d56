//! Three real sentinels and HAProxy over limpid: a killed master that restarts gets no new
//! connection before it is demoted, as it does not know that another has taken over.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::nodes::{args, follow, freeze, info, info_text, is_linked, ok, until, until_some};
use crate::sentinel::Sentinel;
use crate::support::connection::Connection;
use crate::support::now;
use crate::support::server::{Program::Limpid, Server, free_port};

/// Number of kills of a master; `TURNS` overrides it.
const TURNS: usize = 3;

/// A node whose folder outlives its processes.
struct Node {
    folder: PathBuf,
    admin: u16,
    server: Server,
}

impl Node {
    fn start(folder: &Path, port: Option<u16>, admin: u16) -> Self {
        let (dir, admin_port) = (folder.display().to_string(), admin.to_string());
        let more = ["--dir", &dir, "--admin-port", &admin_port];
        let server = match port {
            Some(port) => Server::start_on(Limpid, port, &args(&more)),
            None => Server::start(Limpid, &args(&more)),
        };
        Self { folder: folder.to_owned(), admin, server }
    }

    fn new(folder: PathBuf) -> Self {
        fs::create_dir(&folder).unwrap();
        Self::start(&folder, None, free_port())
    }

    /// Ends it by SIGKILL; the result can be restarted.
    fn kill(mut self) -> Killed {
        self.server.kill();
        Killed { folder: self.folder, port: self.server.port(), admin: self.admin }
    }

    /// The HTTP status of a path of the admin server; 0 while it does not answer.
    fn status(&self, path: &str) -> u16 {
        status(self.admin, path)
    }

    fn port(&self) -> u16 {
        self.server.port()
    }

    fn is_master(&self) -> bool {
        info_text(&self.server, "replication").starts_with("# Replication\r\nrole:master")
    }
}

struct Killed {
    folder: PathBuf,
    port: u16,
    admin: u16,
}

fn status(port: u16, path: &str) -> u16 {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "OPTIONS {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().unwrap_or_default();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A load balancer that sends connections to the node whose `/primary` succeeds.
struct Balancer {
    process: Child,
    port: u16,
    _dir: TempDir,
}

impl Balancer {
    fn start(nodes: &[Node]) -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let mut text = format!(
            "defaults\n mode tcp\n timeout connect 500ms\n timeout client 10s\n timeout server 10s\n\
             listen redis\n bind 127.0.0.1:{port}\n option httpchk OPTIONS /primary\n"
        );
        for (index, node) in nodes.iter().enumerate() {
            let (port, admin) = (node.port(), node.admin);
            text.push_str(&format!(
                " server n{index} 127.0.0.1:{port} check port {admin} inter 50ms fall 1 rise 1\n"
            ));
        }
        let file = dir.path().join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        let process = Command::new("haproxy")
            .args(["-db", "-q", "-f"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy is on the PATH");
        Self { process, port, _dir: dir }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Ignores a process that cannot be killed.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A client that reconnects again and again, and asks which node it has reached.
struct Visitor {
    over: Arc<AtomicBool>,
    /// Time of the connection, and the port that it reached.
    met: Arc<Mutex<Vec<(Instant, u16)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Visitor {
    fn start(balancer: u16) -> Self {
        let (over, met) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let thread = {
            let (over, met) = (Arc::clone(&over), Arc::clone(&met));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let began = now();
                    let port = visit(balancer);
                    met.lock().unwrap().extend(port.map(|port| (began, port)));
                    thread::sleep(Duration::from_millis(5));
                }
            })
        };
        Self { over, met, thread: Some(thread) }
    }

    fn last(&self) -> Option<(Instant, u16)> {
        self.met.lock().unwrap().last().copied()
    }

    fn has_met_since(&self, since: Instant, port: u16) -> bool {
        self.met.lock().unwrap().iter().any(|(at, met)| *at >= since && *met == port)
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn visit(balancer: u16) -> Option<u16> {
    let mut client = Connection::tcp(balancer).ok()?;
    client.set_timeout(Duration::from_secs(2)).ok()?;
    let reply = client.call(&[b"INFO", b"server"]).ok()?;
    let text = String::from_utf8_lossy(reply.text()?).into_owned();
    text.lines().find_map(|line| line.strip_prefix("tcp_port:"))?.parse().ok()
}

/// Kills the master, restarts it when another has been promoted (or this much later), and checks
/// that it gets no connection.
fn kill_and_start(mut nodes: Vec<Node>, visitor: &Visitor, turn: usize) -> Vec<Node> {
    let with_data = turn.is_multiple_of(2);
    let later = Duration::from_millis([0, 300, 1500][turn % 3]);
    let at = nodes.iter().position(|node| node.status("/primary") == 200).unwrap();
    let master = nodes.remove(at);
    ok(&master.server, "SET data here");
    ok(&master.server, "SAVE");
    let killed = master.kill();
    until("a replica is promoted", || nodes.iter().any(Node::is_master));
    thread::sleep(later);
    if !with_data {
        fs::remove_file(killed.folder.join("dump.rdb")).unwrap();
    }
    let restarted = now();
    let old = Node::start(&killed.folder, Some(killed.port), killed.admin);
    let mut looks = 0;
    until("the old master is demoted", || {
        let status = old.status("/primary");
        // A sentinel cuts connections when it demotes a node.
        let demoted = !old.is_master();
        let (since, log) = (restarted.elapsed(), || old.server.log_text());
        assert!(demoted || status != 200, "/primary is 200 {since:?} after the start:\n{}", log());
        assert_eq!(old.status("/livez"), 200);
        looks += 1;
        demoted
    });
    let took = restarted.elapsed();
    assert!(!visitor.has_met_since(restarted, old.port()), "turn {turn}");
    eprintln!(
        "turn {turn}, data {with_data}, {later:?} after: demoted after {took:?}, {looks} looks"
    );
    until("the old master follows", || is_linked(&old.server));
    nodes.push(old);
    nodes
}

#[test]
#[ignore = "needs redis-server 7.0.15 and haproxy"]
fn a_master_that_comes_back_gets_no_connection_before_it_is_demoted() {
    let folder = TempDir::new().unwrap();
    let mut nodes: Vec<Node> =
        (0..3).map(|index| Node::new(folder.path().join(index.to_string()))).collect();
    for replica in &nodes[1..] {
        follow(&replica.server, nodes[0].port());
    }
    let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::watching(nodes[0].port())).collect();
    let balancer = Balancer::start(&nodes);
    let visitor = Visitor::start(balancer.port);
    let turns = std::env::var("TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(TURNS);
    for turn in 0..turns {
        until("the sentinels see all", || {
            sentinels.iter().all(|sentinel| sentinel.sees(2, 2) && sentinel.misses_nobody())
        });
        let began = now();
        let primary = until_some("the balancer finds the master", || {
            let (at, port) = visitor.last().filter(|(at, _)| *at > began)?;
            nodes.iter().any(|node| node.port() == port && node.is_master()).then_some((at, port))
        });
        println!("turn {turn}: {} is reached", primary.1);
        nodes = kill_and_start(nodes, &visitor, turn);
    }
    assert_eq!(
        nodes.iter().filter(|node| info(&node.server, "role").as_deref() == Some("master")).count(),
        1
    );
}

/// Kills a whole stack and restarts it: the master's role is confirmed as soon as sentinels answer.
#[test]
#[ignore = "needs redis-server 7.0.15"]
fn a_cold_start_under_sentinel_waits_for_no_hello() {
    let folder = TempDir::new().unwrap();
    let nodes: Vec<Node> =
        (0..2).map(|index| Node::new(folder.path().join(index.to_string()))).collect();
    follow(&nodes[1].server, nodes[0].port());
    let mut sentinels: Vec<Sentinel> =
        (0..3).map(|_| Sentinel::watching(nodes[0].port())).collect();
    let file = nodes[0].folder.join("limpid-role.json");
    until("all sentinels are known", || {
        let kept = fs::read_to_string(&file).unwrap_or_default();
        kept.matches("master_name").count() == 3
            && sentinels.iter().all(|sentinel| sentinel.sees(1, 2))
    });
    sentinels.iter_mut().for_each(Sentinel::kill);
    let killed: Vec<Killed> = nodes.into_iter().map(Node::kill).collect();
    let start = |killed: &Killed| Node::start(&killed.folder, Some(killed.port), killed.admin);
    let master = start(&killed[0]);
    assert_eq!(master.status("/primary"), 503);
    let began = now();
    sentinels.iter_mut().for_each(Sentinel::start_again);
    // With the default periods their first hello takes two seconds.
    let mut hello = false;
    until("it is the primary", || {
        hello = info_text(&master.server, "commandstats").contains("cmdstat_publish:");
        master.status("/primary") == 200
    });
    let took = began.elapsed();
    let soon = Duration::from_millis(1500);
    assert!(took < soon || !hello, "{took:?} after the sentinels' start: by a hello");
    println!("confirmed {took:?} after the sentinels' start");
}

#[test]
fn a_master_alone_is_not_held_up_and_one_with_replicas_waits_for_them() {
    let folder = TempDir::new().unwrap();
    let master = Node::new(folder.path().join("master"));
    ok(&master.server, "SET data here");
    ok(&master.server, "SAVE");
    let killed = master.kill();
    let master = Node::start(&killed.folder, Some(killed.port), killed.admin);
    assert_eq!(master.status("/primary"), 200, "as soon as it serves");
    let replica = Server::start(Limpid, &args(&[]));
    follow(&replica, master.port());
    until("it is known to have replicas", || killed.folder.join("limpid-role.json").exists());
    let killed = master.kill();
    freeze(&replica);
    let node = Node::start(&killed.folder, Some(killed.port), killed.admin);
    for path in ["/primary", "/read-only"] {
        assert_eq!(node.status(path), 503, "{path}");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(node.status(path), 200, "{path}");
    }
    assert!(node.is_master());
    replica.signal("CONT");
    let began = now();
    until("the replica confirms it", || node.status("/primary") == 200);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}: not by time alone");
}
