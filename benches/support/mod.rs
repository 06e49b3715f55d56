//! Servers for benchmarks: starts them on a free port, reads their processor time and memory from
//! the operating system, and ends them with the benchmark.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub(crate) mod open_loop;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Timeout for a server's start.
const START: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    child: Child,
    folder: tempfile::TempDir,
}

/// An unused port.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    listener.local_addr().expect("bound").port()
}

impl Server {
    /// Starts limpid with this many workers, and more arguments.
    pub(crate) fn limpid(workers: usize, arguments: &[&str]) -> Self {
        let workers = workers.to_string();
        let mut all = vec!["--workers", &workers];
        all.extend(arguments);
        Self::start("limpid", env!("CARGO_BIN_EXE_limpid-server"), &all)
    }

    /// Starts another build of limpid.
    pub(crate) fn other(program: &str, workers: usize, arguments: &[&str]) -> Self {
        let workers = workers.to_string();
        let mut all = vec!["--workers", &workers];
        all.extend(arguments);
        Self::start("another limpid", program, &all)
    }

    /// Starts this machine's redis-server, which must have the version that the figures name.
    pub(crate) fn redis(arguments: &[&str]) -> Self {
        let version = Command::new("redis-server").arg("--version").output();
        let version = version.expect("redis-server is installed").stdout;
        let version = String::from_utf8_lossy(&version);
        assert!(version.contains("v=7.0.15"), "compared with 7.0.15, this is {version}");
        Self::start("redis", "redis-server", arguments)
    }

    /// Starts another server that takes Redis's arguments: a newer Redis, or Valkey.
    pub(crate) fn rival(program: &str) -> Self {
        Self::start("rival", program, &[])
    }

    fn start(name: &'static str, program: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut child = Command::new(program)
            .args(["--port", &port.to_string(), "--save", ""])
            .args(["--enable-debug-command", "yes"])
            .arg("--dir")
            .arg(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept")));
        assert!(ready, "{name} ended before it was ready");
        std::thread::spawn(move || lines.for_each(drop));
        Self { name, port, child, folder }
    }

    /// Its working folder, unless an argument named another.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time of all threads so far, in nanoseconds, from the scheduler's statistics.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let nanos = |task: std::io::Result<fs::DirEntry>| {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(nanos).sum()
    }

    /// Processor time of the workers alone.
    pub(crate) fn worker_nanos(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let nanos = |task: std::io::Result<fs::DirEntry>| {
            let task = task.ok()?.path();
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let stat = fs::read_to_string(task.join("schedstat")).ok()?;
            let nanos = stat.split(' ').next()?.parse::<u64>().ok()?;
            name.starts_with("worker-").then_some(nanos)
        };
        tasks.filter_map(nanos).sum()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kilobytes.expect("VmRSS in kB") * 1024
    }

    /// Memory of the process and its forked children, in bytes: shared pages count once.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let own = self.pid();
        let is_child = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The name may hold spaces; the parent is the second field after it.
            let parent = stat.rsplit(')').next().unwrap_or_default().split(' ').nth(2);
            parent.and_then(|parent| parent.parse().ok()) == Some(own)
        };
        let all = fs::read_dir("/proc").expect("a Linux machine");
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let share = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().split(' ').next()?.parse::<u64>().ok()
        };
        let pids = pids.filter(|&pid| pid == own || is_child(pid));
        pids.filter_map(share).sum::<u64>() * 1024
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_nodelay(true).expect("TCP");
        stream.set_read_timeout(Some(START)).expect("TCP");
        Client { reader: BufReader::new(stream.try_clone().expect("a socket")), writer: stream }
    }

    /// Sets `count` keys of 16 bytes to values of 16 bytes.
    pub(crate) fn fill(&self, count: usize) {
        let mut client = self.connect();
        for start in (0..count).step_by(1000) {
            let mut bytes = Vec::new();
            let end = (start + 1000).min(count);
            for number in start..end {
                let key = format!("key:{number:012}");
                let value = format!("value:{number:010}");
                command(&mut bytes, &[b"SET", key.as_bytes(), value.as_bytes()]);
            }
            client.writer.write_all(&bytes).expect("it reads");
            (start..end).for_each(|_| assert_eq!(client.line(), "+OK"));
        }
    }

    /// Runs redis-benchmark; returns requests per second.
    pub(crate) fn load(&self, test: &str, depth: usize, requests: usize, keys: usize) -> f64 {
        let (depth, keys) = (depth.to_string(), keys.to_string());
        let requests = requests.to_string();
        self.run_benchmark(&[
            "-c", "50", "-d", "16", "-t", test, "-P", &depth, "-r", &keys, "-n", &requests,
        ])
    }

    /// Runs redis-benchmark with one command, in which `__rand_int__` becomes a random number.
    pub(crate) fn load_command(
        &self,
        command: &str,
        depth: usize,
        requests: usize,
        numbers: usize,
    ) -> f64 {
        let (depth, numbers) = (depth.to_string(), numbers.to_string());
        let mut load = vec!["-c", "50", "-P", &depth, "-r", &numbers];
        // The number of requests stands before the command.
        let requests_text = requests.to_string();
        load.extend(["-n", &requests_text]);
        load.extend(command.split_ascii_whitespace());
        self.run_benchmark(&load)
    }

    /// Runs redis-benchmark with SETs from many clients, more bytes than a replica may take in
    /// time.
    pub(crate) fn flood(&self, requests: usize) -> f64 {
        let requests = requests.to_string();
        let load =
            ["-c", "400", "-P", "50", "-d", "500", "-r", "20000", "-t", "set", "-n", &requests];
        self.run_benchmark(&load)
    }

    fn run_benchmark(&self, load: &[&str]) -> f64 {
        let output = Command::new("timeout")
            .args(["120", "redis-benchmark", "--csv", "-p", &self.port.to_string()])
            .args(load)
            .output()
            .expect("redis-benchmark is installed");
        assert!(output.status.success(), "redis-benchmark: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        // The sixth before the last: the first is the command, and a script has commas of its own.
        let field = last.rsplit(',').nth(6).unwrap_or_default();
        field.trim_matches('"').parse().expect("requests per second")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A plain connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) reader: BufReader<TcpStream>,
    pub(crate) writer: TcpStream,
}

impl Client {
    /// One line of a reply.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a reply in time");
        line.trim_end().to_owned()
    }

    /// Sends a command; returns the first line of the reply.
    pub(crate) fn ask(&mut self, args: &[&str]) -> String {
        let mut bytes = Vec::new();
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        command(&mut bytes, &args);
        self.writer.write_all(&bytes).expect("it reads");
        self.line()
    }

    /// The number in a line of INFO.
    pub(crate) fn info(&mut self, section: &str, field: &str) -> u64 {
        self.info_text(section, field).parse().expect("a number")
    }

    /// The lines of a section of INFO.
    pub(crate) fn info_section(&mut self, section: &str) -> String {
        let header = self.ask(&["INFO", section]);
        let len: usize = header.trim_start_matches('$').parse().expect("a bulk reply");
        let mut text = vec![0; len + 2];
        self.reader.read_exact(&mut text).expect("the reply is whole");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The value in a line of INFO.
    pub(crate) fn info_text(&mut self, section: &str, field: &str) -> String {
        let text = self.info_section(section);
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        value.unwrap_or_else(|| panic!("INFO has no {field}")).trim().to_owned()
    }
}

/// Appends a request.
pub(crate) fn command(bytes: &mut Vec<u8>, args: &[&[u8]]) {
    bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Waits for a condition, checking every few milliseconds.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < START, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
