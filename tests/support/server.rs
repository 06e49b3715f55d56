//! A server process: limpid-server as built, or the redis-server that it is compared with.

use super::connection::Connection;
use super::now;
use super::reply::{ReadError, Reply};
use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The release to compare replies with.
pub(crate) const REDIS_VERSION: &str = "7.0.15";

/// Timeout for a server's start or end.
const DEADLINE: Duration = Duration::from_secs(20);

/// Attempts to find a free port: another process may take one before its use.
const PORTS_TRIED: usize = 10;

/// The ports of servers: below those that the system gives to clients, which could take one before
/// its use, or between a server's end and its restart.
const PORTS: Range<u32> = 10_000..32_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Limpid,
    Redis,
}

impl Program {
    const fn path(self) -> &'static str {
        match self {
            Self::Limpid => env!("CARGO_BIN_EXE_limpid-server"),
            Self::Redis => "redis-server",
        }
    }
}

/// A command that runs a line of shell, then replaces the shell by the program.
pub(crate) fn after(shell: &str, program: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{shell}; exec \"$0\" \"$@\""), program]);
    command
}

/// A running server, killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    program: Program,
    process: Child,
    port: u16,
    dir: TempDir,
    log: Arc<Log>,
}

/// The lines of standard output and standard error so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    streams_ended: usize,
}

impl Server {
    /// Starts limpid-server and waits until it serves.
    pub(crate) fn limpid(args: &[&str]) -> Self {
        Self::start(Program::Limpid, args)
    }

    /// Starts redis-server and waits until it serves.
    pub(crate) fn redis(args: &[&str]) -> Self {
        Self::start(Program::Redis, args)
    }

    /// Starts limpid-server after a line of shell, such as `ulimit -n 256`, and waits until it
    /// serves.
    pub(crate) fn limpid_after(shell: &str, args: &[&str]) -> Self {
        Self::start_after(Program::Limpid, shell, args)
    }

    /// Starts a program after a line of shell, in the server's folder, and waits until it serves.
    pub(crate) fn start_after(program: Program, shell: &str, args: &[&str]) -> Self {
        for _ in 0..PORTS_TRIED {
            let command = after(shell, program.path());
            if let Some(server) = Self::spawn_as(command, program, free_port(), args).when_ready() {
                return server;
            }
        }
        panic!("{program:?} found no free port");
    }

    /// Starts limpid-server, which logs to a file, and waits until the log shows that it serves.
    pub(crate) fn limpid_with_log(path: &str, args: &[&str]) -> Self {
        let server = Self::spawn(Program::Limpid, free_port(), args);
        let deadline = now() + DEADLINE;
        let serves = || {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.contains("Ready to accept connections")
        };
        while !serves() {
            assert!(now() < deadline, "it did not get ready; it said:\n{}", server.log_text());
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    pub(crate) fn start(program: Program, args: &[&str]) -> Self {
        if program == Program::Redis {
            assert_redis_version();
        }
        for _ in 0..PORTS_TRIED {
            if let Some(server) = Self::spawn(program, free_port(), args).when_ready() {
                return server;
            }
        }
        panic!("{program:?} found no free port");
    }

    /// Starts a server on the port of one that has ended.
    pub(crate) fn start_on(program: Program, port: u16, args: &[&str]) -> Self {
        let server = Self::spawn(program, port, args).when_ready();
        server.unwrap_or_else(|| panic!("port {port} was taken meanwhile"))
    }

    /// Starts limpid-server as another user, to whom resource limits apply, and waits until it
    /// serves. For tests that run as root.
    pub(crate) fn limpid_as(user: u32, args: &[&str]) -> Self {
        let line = format!(
            "chown {user} . && exec setpriv --reuid {user} --regid {user} --clear-groups \"$0\" \"$@\""
        );
        for _ in 0..PORTS_TRIED {
            let mut command = Command::new("sh");
            command.args(["-c", &line, Program::Limpid.path()]);
            let server = Self::spawn_as(command, Program::Limpid, free_port(), args);
            if let Some(server) = server.when_ready() {
                return server;
            }
        }
        panic!("limpid-server found no free port");
    }

    /// Starts limpid-server without waiting.
    pub(crate) fn limpid_at_once(args: &[&str]) -> Self {
        Self::spawn(Program::Limpid, free_port(), args)
    }

    /// Waits until it serves; `None` if its port is taken.
    fn when_ready(self) -> Option<Self> {
        let outcome = self.log.wait(DEADLINE, |line| {
            line.contains("Ready to accept connections") || is_port_busy(line)
        });
        match outcome {
            Some(line) if is_port_busy(&line) => None,
            Some(_) => Some(self),
            None => panic!("{:?} did not get ready; it said:\n{}", self.program, self.log_text()),
        }
    }

    fn spawn(program: Program, port: u16, args: &[&str]) -> Self {
        Self::spawn_as(Command::new(program.path()), program, port, args)
    }

    fn spawn_as(mut command: Command, program: Program, port: u16, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the server");
        // limpid reads settings from the environment: remove those of the tests.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("LIMPID_") {
                command.env_remove(name);
            }
        }
        let mut process = command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(args)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?} does not start: {error}"));
        let log = Arc::new(Log::default());
        log.follow(process.stdout.take().expect("piped"));
        log.follow(process.stderr.take().expect("piped"));
        Self { program, process, port, dir, log }
    }

    pub(crate) const fn program(&self) -> Program {
        self.program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The working folder, which has the RDB file.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::tcp(self.port).expect("a ready server accepts")
    }

    /// Sends one command over a new connection.
    pub(crate) fn call(&self, words: &[&[u8]]) -> Result<Reply, ReadError> {
        self.connect().call(words)
    }

    pub(crate) fn log_lines(&self) -> Vec<String> {
        self.log.lines.lock().expect("no holder panics").lines.clone()
    }

    pub(crate) fn log_text(&self) -> String {
        self.log_lines().join("\n")
    }

    /// Waits for a log line that contains the text, from the start on; `None` if none came in time
    /// or the server ended without it.
    pub(crate) fn wait_for_log(&self, text: &str, timeout: Duration) -> Option<String> {
        self.log.wait(timeout, |line| line.contains(text))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Sends a signal, by its kill(1) name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .expect("kill(1) is there");
        assert!(status.success(), "no process {} to send {name}", self.pid());
    }

    /// Ends the server at once (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is ours");
    }

    /// Waits until the process ends by itself, and returns its status.
    pub(crate) fn wait_for_end(&mut self, timeout: Duration) -> Option<ExitStatus> {
        self.log.wait_for_end(timeout).then(|| self.process.wait().expect("it is ours"))
    }

    /// Sends SIGTERM and returns the exit status.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        if !self.log.wait_for_end(DEADLINE) {
            self.process.kill().expect("it runs still");
            let text = self.log_text();
            panic!("{:?} did not end on SIGTERM; it said:\n{text}", self.program);
        }
        self.process.wait().expect("it is ours")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(Some(status)) = self.process.try_wait() {
            if status.signal().is_some() && !thread::panicking() {
                eprintln!("{:?} ended by {status}; it said:\n{}", self.program, self.log_text());
            }
            return;
        }
        // Ignores a process that cannot be killed.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Log {
    /// Collects the lines of a stream on a thread that ends with the stream.
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                log.lines.lock().expect("no holder panics").lines.push(text);
                log.changed.notify_all();
                line.clear();
            }
            log.lines.lock().expect("no holder panics").streams_ended += 1;
            log.changed.notify_all();
        });
    }

    fn wait(&self, timeout: Duration, is_it: impl Fn(&str) -> bool) -> Option<String> {
        let mut seen = 0;
        self.wait_until(timeout, |lines| {
            let found = lines.lines[seen..].iter().find(|line| is_it(line)).cloned();
            seen = lines.lines.len();
            match found {
                None if lines.streams_ended == 2 => Some(None),
                None => None,
                found => Some(found),
            }
        })
        .flatten()
    }

    /// Both streams end when the process does.
    fn wait_for_end(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |lines| (lines.streams_ended == 2).then_some(())).is_some()
    }

    fn wait_until<T>(
        &self,
        timeout: Duration,
        mut outcome: impl FnMut(&Lines) -> Option<T>,
    ) -> Option<T> {
        let deadline = now() + timeout;
        let mut lines = self.lines.lock().expect("no holder panics");
        loop {
            if let Some(outcome) = outcome(&lines) {
                return Some(outcome);
            }
            let left = deadline.checked_duration_since(now())?;
            lines = self.changed.wait_timeout(lines, left).expect("no holder panics").0;
        }
    }
}

/// Asserts that this redis-server has the expected release; checked once.
fn assert_redis_version() {
    static VERSION: OnceLock<String> = OnceLock::new();
    let version =
        VERSION.get_or_init(|| match Command::new("redis-server").arg("--version").output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => format!("none: {error}"),
        });
    assert!(
        version.contains(&format!("v={REDIS_VERSION} ")),
        "these tests compare with redis-server {REDIS_VERSION} on the PATH; found {version}"
    );
}

fn is_port_busy(line: &str) -> bool {
    line.contains("Failed listening on port") || line.contains("Address already in use")
}

/// An unused port, which no other test of this process gets.
pub(crate) fn free_port() -> u16 {
    static TURNS: AtomicU32 = AtomicU32::new(0);
    // Other processes begin elsewhere.
    let first = std::process::id().wrapping_mul(1009);
    let mut ports = PORTS.map(|_| {
        let turn = first.wrapping_add(TURNS.fetch_add(1, Ordering::Relaxed));
        u16::try_from(PORTS.start + turn % (PORTS.end - PORTS.start)).expect("PORTS are ports")
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("loopback has free ports")
}
