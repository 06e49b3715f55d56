//! A real redis-server for tests that compare with it. Uses a socket and a process; tests only.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A running server, ended when dropped.
#[derive(Debug)]
pub(crate) struct RealRedis {
    process: Child,
    connection: BufReader<TcpStream>,
    dir: tempfile::TempDir,
}

/// A reply; only the kinds that the tests need.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    Line(String),
    Bulk(Vec<u8>),
    Nil,
}

impl RealRedis {
    /// Starts a server 7.0.15 that saves only when asked, loading `dump.rdb` if given.
    pub(crate) fn start(dump: Option<&[u8]>) -> Self {
        let version = Command::new("redis-server").arg("--version").output().unwrap();
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        assert!(version.contains("v=7.0.15"), "these tests compare with 7.0.15, not {version}");

        let dir = tempfile::tempdir().unwrap();
        if let Some(dump) = dump {
            std::fs::write(dir.path().join("dump.rdb"), dump).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--enable-debug-command",
                "yes",
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
            ])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut attempts = 0;
        let connection = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(connection) => break connection,
                Err(error) => assert!(attempts < 200, "redis-server does not listen: {error}"),
            }
            attempts += 1;
            sleep(Duration::from_millis(25));
        };
        Self { process, connection: BufReader::new(connection), dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn call(&mut self, args: &[&[u8]]) -> Reply {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.connection.get_mut().write_all(&request).unwrap();
        let mut line = String::new();
        self.connection.read_line(&mut line).unwrap();
        let line = line.trim_end();
        match line.strip_prefix('$') {
            Some("-1") => Reply::Nil,
            Some(len) => {
                let len: usize = len.parse().unwrap();
                let mut bulk = vec![0; len + 2];
                self.connection.read_exact(&mut bulk).unwrap();
                bulk.truncate(len);
                Reply::Bulk(bulk)
            }
            None => Reply::Line(line.to_owned()),
        }
    }

    /// Calls and asserts that the answer is `+OK`.
    pub(crate) fn ok(&mut self, args: &[&[u8]]) {
        assert_eq!(self.call(args), Reply::Line("+OK".to_owned()));
    }
}

impl Drop for RealRedis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
