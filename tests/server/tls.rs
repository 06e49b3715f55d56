//! TLS for clients and for the admin server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use tempfile::TempDir;

use crate::support::certificates::{self, Authority, Files, Valid, client};
use crate::support::connection::{Connection, encode};
use crate::support::now;
use crate::support::server::{Program, Server, free_port};
use crate::words;

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(30);

/// A server with a TLS port, and what its clients need.
pub(crate) struct Secured {
    pub(crate) server: Server,
    pub(crate) port: u16,
    authority: Authority,
    /// The server's own files.
    own: Files,
    folder: TempDir,
}

impl Secured {
    fn new(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(&folder.path().join("certs"));
        let own = authority.sign("own", Valid::Now);
        let port = free_port();
        let (port_text, ca, [cert, key]) = (port.to_string(), authority.path(), own.paths());
        let args = [
            "--save",
            "",
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            cert,
            "--tls-key-file",
            key,
            "--tls-ca-cert-file",
            &ca,
        ];
        let server = Server::limpid(&[&args, more].concat());
        Self { server, port, authority, own, folder }
    }

    /// A server that asks clients for no certificate.
    pub(crate) fn open(more: &[&str]) -> Self {
        Self::new(&[&["--tls-auth-clients", "no"], more].concat())
    }

    fn connect(&self) -> Connection {
        Connection::tls(self.port, &client(None, &[&TLS13])).expect("it accepts")
    }

    /// The answer to a command over a new plain connection.
    pub(crate) fn plain(&self, command: &[&str]) -> String {
        let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        self.server.call(&words).expect("it answers").to_string()
    }

    fn set(&self, name: &str, value: &str) -> String {
        self.plain(&["CONFIG", "SET", name, value])
    }
}

/// Whether a client is served; the failure may come with the handshake or right after it.
fn is_served(port: u16, config: &Arc<ClientConfig>) -> bool {
    let Ok(mut connection) = Connection::tls(port, config) else { return false };
    match connection.call(&[b"PING"]) {
        Ok(reply) => reply.to_string() == "simple \"PONG\"",
        Err(_) => false,
    }
}

fn ask(connection: &mut Connection, command: &str) -> String {
    connection.call(&words(command)).expect("it answers").to_string()
}

#[test]
fn each_port_has_its_protocol() {
    let secured = Secured::open(&[]);
    for version in [&TLS12, &TLS13] {
        let mut connection = Connection::tls(secured.port, &client(None, &[version])).unwrap();
        assert_eq!(connection.session().protocol_version(), Some(version.version));
        assert_eq!(ask(&mut connection, "PING"), "simple \"PONG\"");
        let list = ask(&mut connection, "CLIENT LIST");
        assert!(list.contains(&format!("laddr=127.0.0.1:{} ", secured.port)), "{list}");
    }
    assert_eq!(secured.plain(&["PING"]), "simple \"PONG\"");
    let mut plain = Connection::tcp(secured.port).unwrap();
    plain.send(&[b"PING"]).unwrap();
    let (answer, ended) = plain.read_to_end();
    assert!(ended && answer.is_empty(), "{answer:?}");
    assert!(secured.server.wait_for_log("Error accepting a client connection: ", LONG).is_some());
    assert!(!is_served(secured.server.port(), &client(None, &[&TLS13])));
}

#[test]
fn the_plain_port_can_be_off() {
    let secured = Secured::open(&["--port", "0"]);
    let mut connection = secured.connect();
    let info = connection.call(&words("INFO server")).unwrap();
    let info = String::from_utf8_lossy(info.text().unwrap()).into_owned();
    assert!(info.contains(&format!("tcp_port:{}", secured.port)), "{info}");
    assert!(Connection::tcp(secured.server.port()).is_err());
}

#[test]
fn pipelines_and_values_larger_than_any_buffer_arrive_whole() {
    const REQUESTS: usize = 300_000;
    let secured = Secured::open(&[]);
    for version in [&TLS12, &TLS13] {
        let mut connection = Connection::tls(secured.port, &client(None, &[version])).unwrap();
        connection.call(&[b"DEL", b"n"]).unwrap();
        connection.send_raw(&encode(&["INCR", "n"]).repeat(REQUESTS)).unwrap();
        let expected: Vec<u8> =
            (1..=REQUESTS).flat_map(|n| format!(":{n}\r\n").into_bytes()).collect();
        assert!(connection.read_bytes(expected.len()).unwrap() == expected);
        let value: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
        connection.call(&[b"SET", b"large", &value]).unwrap();
        connection.send_raw(&encode(&["GET", "large"]).repeat(3)).unwrap();
        for _ in 0..3 {
            assert_eq!(connection.read_line().unwrap(), b"$20000000\r\n");
            assert!(connection.read_bytes(value.len()).unwrap() == value);
            assert_eq!(connection.read_line().unwrap(), b"\r\n");
        }
    }
}

#[test]
fn connections_stay_whole_as_they_move_between_workers() {
    let secured = Secured::open(&["--workers", "4"]);
    let config = client(None, &[&TLS13]);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (config, port) = (&config, secured.port);
            scope.spawn(move || {
                let mut connection = Connection::tls(port, config).unwrap();
                let key = format!("k{number}");
                let requests = encode(&["INCR", &key]).repeat(200);
                for round in 0..200 {
                    connection.send_raw(&requests).unwrap();
                    for n in round * 200 + 1..=(round + 1) * 200 {
                        let line = connection.read_line().unwrap();
                        assert_eq!(line, format!(":{n}\r\n").into_bytes());
                    }
                }
            });
        }
    });
}

#[test]
fn messages_are_pushed_over_tls() {
    let secured = Secured::open(&[]);
    let mut subscriber = secured.connect();
    ask(&mut subscriber, "SUBSCRIBE c");
    let message = "m".repeat(100_000);
    for _ in 0..50 {
        assert_eq!(secured.plain(&["PUBLISH", "c", &message]), "integer 1");
    }
    for _ in 0..50 {
        let pushed = subscriber.read_bytes(message.len() + 35).unwrap();
        assert!(pushed.starts_with(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100000\r\nmmm"));
        assert!(pushed.ends_with(b"mmm\r\n"));
    }
}

#[test]
fn clients_are_let_in_by_their_certificates() {
    let secured = Secured::new(&[]);
    let good = secured.authority.sign("client", Valid::Now);
    let expired = secured.authority.sign("expired", Valid::NoLonger);
    let stranger = Authority::new(&secured.folder.path().join("other")).sign("x", Valid::Now);
    let served = |files| {
        let each =
            [&TLS12, &TLS13].map(|version| is_served(secured.port, &client(files, &[version])));
        assert_eq!(each[0], each[1], "{files:?}");
        each[0]
    };
    let all =
        || [served(None), served(Some(&good)), served(Some(&expired)), served(Some(&stranger))];
    assert_eq!(all(), [false, true, false, false]);
    assert_eq!(secured.set("tls-auth-clients", "optional"), "simple \"OK\"");
    assert_eq!(all(), [true, true, false, false]);
    assert_eq!(secured.set("tls-auth-clients", "no"), "simple \"OK\"");
    assert_eq!(all(), [true; 4]);
    assert_eq!(secured.set("tls-auth-clients", "yes"), "simple \"OK\"");
    assert_eq!(all(), [false, true, false, false]);
}

/// The certificate that a server shows.
fn shown(connection: &Connection) -> Vec<u8> {
    connection.session().peer_certificates().expect("it has one")[0].to_vec()
}

#[test]
fn config_set_reads_files_again_all_or_nothing() {
    let secured = Secured::open(&[]);
    let mut old = secured.connect();
    let first = shown(&old);
    secured.authority.sign("own", Valid::Now);
    assert_eq!(shown(&secured.connect()), first, "only when told, or after a while");
    let [cert, key] = secured.own.paths();
    assert_eq!(secured.set("tls-cert-file", cert), "simple \"OK\"");
    let second = shown(&secured.connect());
    assert_ne!(second, first);
    assert_eq!(ask(&mut old, "PING"), "simple \"PONG\"", "sessions stay");
    let refused =
        secured.plain(&["CONFIG", "SET", "timeout", "77", "tls-key-file", "/nonexistent"]);
    let expected = "error \"ERR CONFIG SET failed (possibly related to argument 'tls-key-file') - \
                    Unable to update TLS configuration. Check server logs.\"";
    assert_eq!(refused.replace('\\', ""), expected);
    assert!(
        secured.server.wait_for_log("Failed to load private key: /nonexistent", LONG).is_some()
    );
    assert!(secured.plain(&["CONFIG", "GET", "tls-key-file"]).contains(key));
    assert!(secured.plain(&["CONFIG", "GET", "timeout"]).contains("\"0\""));
    assert_eq!(shown(&secured.connect()), second);
}

#[test]
fn versions_and_ciphers_are_those_of_the_settings() {
    let secured = Secured::open(&["--tls-protocols", "TLSv1.2"]);
    assert!(!is_served(secured.port, &client(None, &[&TLS13])));
    let suite = || {
        let connection = Connection::tls(secured.port, &client(None, &[&TLS12])).unwrap();
        let suite = connection.session().negotiated_cipher_suite().unwrap().suite();
        suite.as_str().unwrap().to_owned()
    };
    let chacha = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    assert_ne!(suite(), chacha);
    let list = "CHACHA20:AESGCM";
    assert_eq!(secured.set("tls-ciphers", list), "simple \"OK\"");
    assert_ne!(suite(), chacha, "the client's order counts");
    assert_eq!(secured.set("tls-prefer-server-ciphers", "yes"), "simple \"OK\"");
    assert_eq!(suite(), chacha);
    assert!(secured.set("tls-ciphers", "RC4").contains("Unable to update TLS configuration"));
    assert!(secured.plain(&["CONFIG", "GET", "tls-ciphers"]).contains(list));
    assert_eq!(secured.set("tls-protocols", "TLSv1.3"), "simple \"OK\"");
    assert!(is_served(secured.port, &client(None, &[&TLS13])));
    assert!(!is_served(secured.port, &client(None, &[&TLS12])));
}

#[test]
fn sessions_are_resumed_as_the_settings_say() {
    let secured = Secured::open(&[]);
    let kinds = |version| {
        let mut config = ClientConfig::clone(&client(None, &[version]));
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        [(); 2].map(|()| {
            let mut connection = Connection::tls(secured.port, &config).unwrap();
            // Tickets come before the reply.
            ask(&mut connection, "PING");
            connection.session().handshake_kind().unwrap()
        })
    };
    for version in [&TLS12, &TLS13] {
        assert_eq!(kinds(version), [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
    assert_eq!(secured.set("tls-session-caching", "no"), "simple \"OK\"");
    for version in [&TLS12, &TLS13] {
        assert_eq!(kinds(version), [HandshakeKind::Full, HandshakeKind::Full]);
    }
}

#[test]
fn handshakes_that_stop_keep_nobody_out_and_end() {
    let secured = Secured::open(&["--maxclients", "3000"]);
    // A part of a client's first message.
    let mut half: Vec<TcpStream> = (0..1100)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", secured.port)).unwrap();
            stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            stream
        })
        .collect();
    let began = now();
    assert!(is_served(secured.port, &client(None, &[&TLS13])));
    assert_eq!(secured.plain(&["PING"]), "simple \"PONG\"");
    assert!(began.elapsed() < Duration::from_secs(5), "after {:?}", began.elapsed());
    // The one that asks, and the two before, whose ends may not be noticed yet.
    let clients = secured.server.call(&words("INFO clients")).unwrap();
    let clients = String::from_utf8_lossy(clients.text().unwrap()).into_owned();
    let count = clients.lines().find_map(|line| line.strip_prefix("connected_clients:"));
    assert!(count.is_some_and(|count| ["1", "2", "3"].contains(&count)), "{clients}");
    for stream in &mut half {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(ended.as_ref().map_or_else(reset, |_| true), "{ended:?}");
    }
}

#[test]
fn the_port_moves_while_the_server_runs() {
    let secured = Secured::open(&[]);
    let config = client(None, &[&TLS13]);
    let mut old = secured.connect();
    let port = free_port();
    assert_eq!(secured.set("tls-port", &port.to_string()), "simple \"OK\"");
    assert!(is_served(port, &config));
    assert!(!is_served(secured.port, &config));
    assert_eq!(ask(&mut old, "PING"), "simple \"PONG\"");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = secured.set("tls-port", &taken.local_addr().unwrap().port().to_string());
    assert!(refused.contains("Unable to listen on this port. Check server logs."), "{refused}");
    assert!(is_served(port, &config));
    assert_eq!(secured.set("tls-port", "0"), "simple \"OK\"");
    assert!(!is_served(port, &config));
}

#[test]
fn a_server_that_cannot_honour_a_setting_names_its_place_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limpid.conf");
    std::fs::write(
        &path,
        "port 0\ntls-port 1\ntls-auth-clients no\ntls-cert-file /none\ntls-key-file x\n",
    )
    .unwrap();
    let binary = env!("CARGO_BIN_EXE_limpid-server");
    let output = Command::new(binary).arg(&path).current_dir(folder.path()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Failed to load certificate: /none: No such file"), "{said}");
    assert!(said.contains("limpid.conf:4: 'tls-cert-file'"), "{said}");
}

#[test]
fn the_admin_server_speaks_tls_and_tells_when_certificates_expire() {
    let port = free_port();
    let port_text = port.to_string();
    let secured = Secured::new(&["--admin-port", &port_text, "--admin-tls", "yes"]);
    let get = |files: Option<&Files>, path: &str| {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let mut stream = certificates::session(client(files, &[&TLS13]), socket);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes());
        asked.and_then(|()| stream.read_to_string(&mut answer)).map(|_| answer)
    };
    let metrics = get(None, "/metrics").unwrap();
    let name = "limpid_tls_certificate_expiry_days{";
    let lines: Vec<&str> = metrics.lines().filter(|line| line.starts_with(name)).collect();
    for purpose in ["server", "ca", "admin"] {
        let label = format!("purpose=\"{purpose}\"");
        let line =
            lines.iter().find(|line| line.contains(&label)).unwrap_or_else(|| panic!("{metrics}"));
        let days: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(days > 600_000.0, "{line}");
    }
    let url = format!("https://127.0.0.1:{port}/livez");
    let probe =
        Command::new(env!("CARGO_BIN_EXE_limpid-server")).args(["healthcheck", &url]).output();
    assert!(probe.unwrap().status.success());
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.set_read_timeout(Some(LONG)).unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(secured.set("admin-tls-auth-clients", "yes"), "simple \"OK\"");
    assert!(get(None, "/livez").is_err());
    let known = secured.authority.sign("prometheus", Valid::Now);
    assert!(get(Some(&known), "/livez").unwrap().starts_with("HTTP/1.1 200"));
}

/// The output of redis-cli over TLS.
fn redis_cli(secured: &Secured, more: &[&str], input: &[u8]) -> String {
    let known = secured.authority.sign("cli", Valid::Now);
    let (port, ca, [cert, key]) =
        (secured.port.to_string(), secured.authority.path(), known.paths());
    let args = ["--tls", "-p", &port, "--cacert", &ca, "--cert", cert, "--key", key];
    let mut cli = Command::new("redis-cli")
        .args(args)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli is there");
    cli.stdin.take().expect("piped").write_all(input).unwrap();
    String::from_utf8_lossy(&cli.wait_with_output().unwrap().stdout).into_owned()
}

#[test]
#[ignore = "needs redis-cli"]
fn redis_cli_works_over_tls() {
    let secured = Secured::new(&[]);
    assert_eq!(redis_cli(&secured, &["PING"], b"").trim(), "PONG");
    let load: Vec<u8> =
        (0..100_000).flat_map(|n| encode(&["SET", &format!("k{n}"), "v"])).collect();
    let told = redis_cli(&secured, &["--pipe"], &load);
    assert!(told.contains("errors: 0, replies: 100000"), "{told}");
    assert_eq!(redis_cli(&secured, &["DBSIZE"], b"").trim(), "100000");
}

/// Runs openssl in a folder.
fn openssl(folder: &Path, args: &str) {
    let output =
        Command::new("openssl").args(args.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs openssl and redis-cli"]
fn certificates_of_version_1_are_as_good_as_their_signature() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for name in ["ca", "x"] {
        let subject = "/O=Test/CN=Authority";
        openssl(path, &format!("genrsa -out {name}.key 2048"));
        openssl(
            path,
            &format!("req -x509 -new -sha256 -key {name}.key -subj {subject} -out {name}.crt"),
        );
    }
    for (name, ca) in [("good", "ca"), ("bad", "x"), ("server", "ca")] {
        openssl(
            path,
            &format!("req -new -newkey rsa:2048 -nodes -keyout {name}.key -subj /CN={name} -out r"),
        );
        let signer = format!("-CA {ca}.crt -CAkey {ca}.key -CAcreateserial");
        openssl(path, &format!("x509 -req -sha256 -in r {signer} -days 9 -out {name}.crt"));
    }
    let at = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let port = free_port().to_string();
    let server = Server::limpid(&[
        "--save",
        "",
        "--tls-port",
        &port,
        "--tls-cert-file",
        &at("server.crt"),
        "--tls-key-file",
        &at("server.key"),
        "--tls-ca-cert-file",
        &at("ca.crt"),
    ]);
    let ping = |name: &str, version: &str| {
        let (cert, key, ca) =
            (at(&format!("{name}.crt")), at(&format!("{name}.key")), at("ca.crt"));
        let args = ["--tls", "-p", &port, "--cacert", &ca, "--cert", &cert, "--key", &key, "PING"];
        assert_eq!(
            server
                .call(&words(&format!("CONFIG SET tls-protocols {version}")))
                .unwrap()
                .to_string(),
            "simple \"OK\""
        );
        let output = Command::new("redis-cli").args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim() == "PONG"
    };
    for version in ["TLSv1.2", "TLSv1.3"] {
        assert!(ping("good", version), "{}", server.log_text());
        assert!(ping("ca", version), "the CA's own: {}", server.log_text());
        assert!(!ping("bad", version));
        assert!(!ping("x", version));
    }
}

#[test]
#[ignore = "needs redis-server 7.0.15"]
fn config_set_has_the_texts_of_redis() {
    let redis = Server::start(Program::Redis, &["--save", ""]);
    let port = free_port().to_string();
    for words in [
        &["tls-port", &port][..],
        &["tls-auth-clients", "x"],
        &["tls-replication", "yes"],
        &["tls-session-cache-size", "-1"],
        &["tls-prefer-server-ciphers", "maybe"],
        &["tls-cert-file", ""],
        &["tls-port", "65536"],
    ] {
        let words: Vec<&[u8]> =
            ["CONFIG", "SET"].iter().chain(words).map(|w| w.as_bytes()).collect();
        let of_redis = redis.call(&words).unwrap().to_string();
        // A server that has TLS has nothing to refuse in a port.
        let limpid = Server::limpid(&["--save", ""]);
        assert_eq!(limpid.call(&words).unwrap().to_string(), of_redis, "{words:?}");
    }
}
