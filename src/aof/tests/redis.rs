//! A real redis-server on given files.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::Duration;

use super::records::command;

static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

#[derive(Debug)]
pub(super) struct Redis {
    process: Child,
    connection: BufReader<TcpStream>,
}

fn spawn(dir: &Path, args: &[&str], port: u16) -> Child {
    let version = Command::new("redis-server").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(version.contains("v=7.0.15"), "these tests compare with 7.0.15, not {version}");
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--enable-debug-command", "yes", "--daemonize", "no", "--dir"])
        .arg(dir)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn port() -> u16 {
    21300 + NEXT_PORT.fetch_add(1, Ordering::Relaxed) % 100
}

impl Redis {
    /// Starts a server that saves nothing by itself, and waits until it has loaded.
    pub(super) fn start(dir: &Path, args: &[&str]) -> Self {
        let port = port();
        let mut process = spawn(dir, args, port);
        for _ in 0..400 {
            if let Ok(connection) = TcpStream::connect(("127.0.0.1", port)) {
                let mut redis = Self { process, connection: BufReader::new(connection) };
                while redis.call(&[b"PING"]) != "+PONG" {
                    sleep(Duration::from_millis(10));
                }
                return redis;
            }
            if process.try_wait().unwrap().is_some() {
                let mut log = String::new();
                process.stdout.take().unwrap().read_to_string(&mut log).unwrap();
                panic!("redis-server ended: {log}");
            }
            sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not listen");
    }

    /// Calls, and returns the reply's first line, or the text of a bulk string.
    pub(super) fn call(&mut self, args: &[&[u8]]) -> String {
        self.connection.get_mut().write_all(&command(args)).unwrap();
        self.reply()
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.connection.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        if let Some(bytes) = line.strip_prefix('$').filter(|bytes| *bytes != "-1") {
            let mut bulk = vec![0; bytes.parse::<usize>().unwrap() + 2];
            self.connection.read_exact(&mut bulk).unwrap();
            return String::from_utf8_lossy(&bulk[..bulk.len() - 2]).into_owned();
        }
        if let Some(items) = line.strip_prefix('*').filter(|items| *items != "-1") {
            for _ in 0..items.parse::<usize>().unwrap() {
                self.reply();
            }
        }
        line
    }

    pub(super) fn words(&mut self, text: &str) -> String {
        let args: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        self.call(&args)
    }

    pub(super) fn digest(&mut self) -> String {
        self.words("DEBUG DIGEST")
    }

    /// Waits until no rewrite runs.
    pub(super) fn rewritten(&mut self) {
        while self.words("INFO persistence").contains("aof_rewrite_in_progress:1") {
            sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as a crash does, or properly.
    pub(super) fn end(mut self, crash: bool) {
        if !crash {
            self.connection.get_mut().write_all(&command(&[b"SHUTDOWN"])).unwrap();
            self.process.wait().unwrap();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What a server logs that does not start.
pub(super) fn refusal(dir: &Path, args: &[&str]) -> String {
    let output = spawn(dir, args, port()).wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
