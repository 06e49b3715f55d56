//! A real server 7.0.15 to compare with. Uses sockets and a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::acl::{Catalog, Categories};

/// Tests that run side by side take ports of their own.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// A reply in RESP2; an absent one is a closed connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Self>),
    Closed,
}

impl Reply {
    pub(super) fn ok() -> Self {
        Self::Simple(b"OK".to_vec())
    }

    pub(super) fn array(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            other => panic!("not an array: {other:?}"),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::Error(bytes) => bytes,
            other => panic!("no bytes: {other:?}"),
        }
    }

    pub(super) fn integer(&self) -> i64 {
        match self {
            Self::Integer(value) => *value,
            other => panic!("not an integer: {other:?}"),
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The value of a field in a map.
    pub(super) fn field(&self, name: &str) -> &Self {
        let pair = self.array().chunks(2).find(|pair| pair[0].bytes() == name.as_bytes());
        &pair.unwrap_or_else(|| panic!("no field {name} in {self:?}"))[1]
    }
}

/// A running server, ended when dropped.
#[derive(Debug)]
pub(super) struct Real {
    process: Child,
    port: u16,
    pub(super) dir: tempfile::TempDir,
}

impl Real {
    pub(super) fn start() -> Self {
        let version = Command::new("redis-server").arg("--version").output().unwrap();
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        assert!(version.contains("v=7.0.15"), "these tests compare with 7.0.15, not {version}");

        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("users.acl"), "").unwrap();
        let port = Self::free_port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(dir.path())
            .arg("--aclfile")
            .arg(dir.path().join("users.acl"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let real = Self { process, port, dir };
        let listens = (0..200).any(|_| {
            let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
            if !listens {
                sleep(Duration::from_millis(25));
            }
            listens
        });
        assert!(listens, "redis-server does not listen");
        real
    }

    pub(super) fn free_port() -> u16 {
        let ports = (0..1_000).map(|_| 21_200 + NEXT_PORT.fetch_add(1, Ordering::Relaxed) % 100);
        let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        free.next().expect("a free port")
    }

    /// A connection to a server that may not listen yet.
    pub(super) fn try_connect(port: u16) -> Option<Connection> {
        TcpStream::connect(("127.0.0.1", port))
            .ok()
            .map(|stream| Connection(BufReader::new(stream)))
    }

    pub(super) fn acl_file(&self) -> PathBuf {
        self.dir.path().join("users.acl")
    }

    pub(super) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection(BufReader::new(stream))
    }

    /// A connection of the user `boss`, who may do everything.
    pub(super) fn connect_boss(&self) -> Connection {
        let mut boss = self.connect();
        assert_eq!(boss.words("AUTH boss secret"), Reply::ok());
        boss
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[derive(Debug)]
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn call(&mut self, args: &[impl AsRef<[u8]>]) -> Reply {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
            request.extend_from_slice(arg.as_ref());
            request.extend_from_slice(b"\r\n");
        }
        match self.0.get_mut().write_all(&request) {
            Ok(()) => self.read(),
            Err(_) => Reply::Closed,
        }
    }

    /// Calls with the words of a line.
    pub(super) fn words(&mut self, line: &str) -> Reply {
        self.call(&line.split(' ').collect::<Vec<_>>())
    }

    pub(super) fn read(&mut self) -> Reply {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Ok(1..) => {}
            _ => return Reply::Closed,
        }
        let (kind, rest) = (line[0], line[1..line.len() - 2].to_vec());
        let number = || std::str::from_utf8(&rest).unwrap().parse::<i64>().unwrap();
        match kind {
            b'+' => Reply::Simple(rest),
            b'-' => Reply::Error(rest),
            b':' => Reply::Integer(number()),
            _ if number() < 0 => Reply::Nil,
            b'$' => {
                let len = usize::try_from(number()).unwrap();
                let mut bulk = vec![0; len + 2];
                self.0.read_exact(&mut bulk).unwrap();
                bulk.truncate(len);
                Reply::Bulk(bulk)
            }
            b'*' => Reply::Array((0..number()).map(|_| self.read()).collect()),
            other => panic!("a reply of kind {other}"),
        }
    }
}

/// A command of the real server's.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    container: Option<usize>,
    categories: Categories,
    pub(super) arity: i64,
    pub(super) no_auth: bool,
}

/// The real server's commands.
#[derive(Debug)]
pub(super) struct Rows(pub(super) Vec<Row>);

impl Rows {
    pub(super) fn fetch(connection: &mut Connection) -> Self {
        let mut rows = Self(Vec::new());
        for command in connection.words("COMMAND").array() {
            rows.add(command, None);
        }
        rows
    }

    fn add(&mut self, command: &Reply, container: Option<usize>) {
        let fields = command.array();
        let words = |reply: &Reply| reply.array().iter().map(Reply::text).collect::<Vec<_>>();
        let categories = words(&fields[6]);
        let id = self.0.len();
        self.0.push(Row {
            name: fields[0].text(),
            container,
            categories: Categories::named(categories.iter().map(|name| &name[1..])),
            arity: fields[1].integer(),
            no_auth: words(&fields[2]).contains(&"no_auth".to_owned()),
        });
        fields[9].array().iter().for_each(|sub| self.add(sub, Some(id)));
    }
}

impl Catalog for Rows {
    fn ids(&self) -> usize {
        self.0.len()
    }

    fn name(&self, id: usize) -> &str {
        &self.0[id].name
    }

    fn container(&self, id: usize) -> Option<usize> {
        self.0[id].container
    }

    fn categories(&self, id: usize) -> Categories {
        self.0[id].categories
    }
}
