use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::Ordering;

use pkcs8::pkcs5::pbes2;
use pkcs8::{LineEnding, PrivateKeyInfo};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::TLS13;
use rustls::{ClientConnection, ServerConnection, StreamOwned, SupportedProtocolVersion};
use tokio::sync::watch;

use super::*;
use crate::engine::fixture::Fixture;
use crate::node::client::{Client, Handle, Origin};
use crate::server::ids::Ids;
use crate::server::stream::Accepted;
use crate::server::worker::Workers;
use certificates::{Authority, Files, Valid};

#[path = "../../../tests/support/certificates.rs"]
#[allow(dead_code, reason = "integration tests use the rest")]
pub(super) mod certificates;

/// Both ends of a session after the handshake: the server's with its non-blocking socket.
pub(super) fn shake(
    config: Arc<ServerConfig>,
    version: &'static SupportedProtocolVersion,
) -> (ServerConnection, std::net::TcpStream, StreamOwned<ClientConnection, std::net::TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut peer = certificates::session(certificates::client(None, &[version]), socket);
    let (mut accepted, _) = listener.accept().unwrap();
    let shaking = std::thread::spawn(move || {
        let mut tls = ServerConnection::new(config).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut accepted).unwrap();
        }
        accepted.set_nonblocking(true).unwrap();
        (tls, accepted)
    });
    while peer.conn.is_handshaking() {
        peer.conn.complete_io(&mut peer.sock).unwrap();
    }
    let (tls, accepted) = shaking.join().unwrap();
    (tls, accepted, peer)
}

/// Settings that use TLS, changed by pairs of name and value.
fn settings(authority: &Authority, own: &Files, pairs: &[(&str, &str)]) -> Settings {
    let [cert, key] = own.paths();
    let ca = authority.path();
    let base = [("tls-cert-file", cert), ("tls-key-file", key), ("tls-ca-cert-file", &ca)];
    let port = [("tls-port", "1")];
    let all = base.iter().chain(&port).chain(pairs);
    let mut settings = Settings::default();
    for (name, value) in all {
        settings = settings.set(&[(name.as_bytes(), value.as_bytes())]).unwrap().0;
    }
    settings
}

/// Why a server with these settings does not start.
fn refusal(settings: &Settings) -> String {
    Tls::start(settings).map(|_| "it starts".to_owned()).unwrap_or_else(|reason| reason)
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let own = authority.sign("own", Valid::Now);
    let other = authority.sign("other", Valid::Now);
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "no certificate").unwrap();
    let garbage = garbage.to_str().unwrap();
    let missing = "/nonexistent/x";
    for (pairs, expected) in [
        (&[][..], "it starts"),
        (&[("tls-cert-file", "")], "No tls-cert-file configured! ('tls-cert-file')"),
        (&[("tls-key-file", "")], "No tls-key-file configured! ('tls-key-file')"),
        (
            &[("tls-ca-cert-file", "")],
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified",
        ),
        (&[("tls-ca-cert-file", ""), ("tls-auth-clients", "no")], "it starts"),
        (&[("tls-cert-file", missing)], "Failed to load certificate: /nonexistent/x: No such file"),
        (&[("tls-cert-file", garbage)], "it has no certificate ('tls-cert-file')"),
        (&[("tls-key-file", garbage)], "Failed to load private key: "),
        (&[("tls-key-file", other.paths()[1])], "it is not the key of "),
        (&[("tls-ca-cert-file", garbage)], "it has no certificate of a CA ('tls-ca-cert-file')"),
        (&[("tls-ca-cert-dir", missing)], "('tls-ca-cert-dir')"),
        (
            &[("tls-client-cert-file", missing), ("tls-client-key-file", missing)],
            "client-cert-file')",
        ),
        (&[("tls-protocols", "TLSv1.1")], "('tls-protocols')\nFailed to configure TLS."),
        (&[("tls-ciphers", "RC4")], "('tls-ciphers')"),
        (&[("tls-ciphersuites", "x")], "('tls-ciphersuites')"),
        (&[("tls-port", "0"), ("tls-cert-file", missing)], "it starts"),
    ] {
        let reason = refusal(&settings(&authority, &own, pairs));
        assert!(reason.contains(expected), "{pairs:?}: {reason}");
    }
}

#[test]
fn a_folder_has_the_certificates_of_many_authorities_once() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let other = Authority::new(&folder.path().join("other"));
    // Whoever has its key must not become a CA.
    authority.sign("leaf", Valid::Now);
    std::fs::copy(other.path(), folder.path().join("other.crt")).unwrap();
    std::fs::write(folder.path().join("readme"), "no certificate").unwrap();
    let mut reader = material::Reader::default();
    let roots = reader.authorities(&authority.path(), folder.path().to_str().unwrap()).unwrap();
    assert_eq!(roots.counts(), (2, 2));
    assert_eq!(reader.certificates.len(), 2);
    assert!(reader.certificates.iter().all(|one| one.purpose == "ca"));
}

/// Encrypts a key file with a passphrase.
fn encrypt(key: &Path, pass: &str) {
    let plain = PrivateKeyDer::from_pem_file(key).unwrap();
    let info = PrivateKeyInfo::try_from(plain.secret_der()).unwrap();
    let params = pbes2::Parameters::pbkdf2_sha256_aes256cbc(1000, &[7; 16], &[9; 16]).unwrap();
    let sealed = info.encrypt_with_params(params, pass).unwrap();
    let pem = sealed.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap();
    std::fs::write(key, pem.as_bytes()).unwrap();
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let own = authority.sign("own", Valid::Now);
    encrypt(&own.key, "secret");
    let with = |pass: &str| refusal(&settings(&authority, &own, &[("tls-key-file-pass", pass)]));
    assert!(with("").contains("it is encrypted, and no passphrase is set ('tls-key-file')"));
    assert!(with("wrong").contains("the passphrase does not open it"));
    assert_eq!(with("secret"), "it starts");
    let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
    std::fs::write(&own.key, old).unwrap();
    assert!(with("secret").contains("openssl pkcs8 -topk8"));
}

/// The first certificate that new connections get.
fn served(tls: &Tls) -> String {
    let all = tls.contexts.load_full().unwrap();
    all.read.certificates.iter().find(|one| one.purpose == "server").unwrap().serial.clone()
}

#[test]
fn changed_files_are_read_again_and_unusable_ones_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let own = authority.sign("own", Valid::Now);
    let tls = Tls::start(&settings(&authority, &own, &[])).unwrap();
    let fixture = Fixture::new();
    let node = &fixture.engine.node;
    let mut refused = None;
    let first = served(&tls);
    tls.look(node, &mut refused);
    assert_eq!(served(&tls), first);

    // A certificate whose key has not come yet.
    let next = authority.sign("next", Valid::Now);
    std::fs::rename(&next.cert, &own.cert).unwrap();
    tls.look(node, &mut refused);
    assert!(refused.is_some());
    assert_eq!(served(&tls), first);
    std::fs::rename(&next.key, &own.key).unwrap();
    tls.look(node, &mut refused);
    assert!(refused.is_none());
    assert_ne!(served(&tls), first);
    assert!(node.certificates.all().iter().any(|one| one.serial == served(&tls)));

    let changed = tls.contexts.load_full().unwrap();
    tls.look(node, &mut refused);
    assert!(Arc::ptr_eq(&changed, &tls.contexts.load_full().unwrap()), "nothing has changed since");
    std::fs::remove_file(&own.cert).unwrap();
    tls.look(node, &mut refused);
    assert!(refused.is_some(), "a file that is gone has changed");
}

#[test]
fn a_change_of_settings_is_whole_and_only_that_of_tls_settings_reads_files() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let own = authority.sign("own", Valid::Now);
    let old = settings(&authority, &own, &[]);
    let tls = Tls::start(&old).unwrap();
    let bad = settings(&authority, &own, &[("tls-key-file", "/nonexistent/x")]);
    let refused = tls.prepare(&bad, &["timeout", "tls-key-file", "tls-cert-file"]).unwrap_err();
    assert_eq!(refused.argument, "tls-key-file");
    assert_eq!(refused.reason, "Unable to update TLS configuration. Check server logs.");
    assert!(tls.prepare(&bad, &["timeout"]).unwrap().0.is_none());
    let off = settings(&authority, &own, &[("tls-port", "0"), ("tls-key-file", "/nonexistent/x")]);
    assert!(tls.prepare(&off, &["tls-key-file"]).unwrap().0.is_none(), "as long as TLS is off");
    let prepared = tls.prepare(&old, &["tls-cert-file"]).unwrap();
    assert!(prepared.0.is_some(), "the same names may be new files");
    let fixture = Fixture::new();
    tls.commit(prepared, &fixture.engine.node);
    let listed = fixture.engine.node.certificates.all();
    let uses: Vec<&str> = listed.iter().map(|one| one.purpose).collect();
    assert_eq!(uses, ["ca", "server"]);
    let days = listed[1].days_left(1_700_000_000);
    assert!((700_000.0..730_000.0).contains(&days), "{days} days until the year 4000");
    assert!(listed[1].subject.contains("own"), "{}", listed[1].subject);
}

#[test]
fn a_session_moves_with_its_connection() {
    const ROUNDS: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let own = authority.sign("own", Valid::Now);
    let mut settings = settings(&authority, &own, &[("tls-auth-clients", "no")]);
    settings.process.workers = 2;
    let tls = Tls::start(&settings).unwrap();
    let engine = crate::server::engine(settings, None, &Ids::new().unwrap()).unwrap();
    let engine = Arc::new(engine);
    let (end, ended) = watch::channel(false);
    let (workers, threads) = Workers::start(&engine, 1, &ended).unwrap();
    let (session, accepted, mut peer) = shake(tls.server().unwrap(), &TLS13);
    let handle = Arc::new(Handle::new(Origin { id: 1, ..Origin::default() }));
    engine.node.clients.add(Arc::clone(&handle));
    let client = Client::new(Arc::clone(&handle), &engine.node.acl);
    workers.serve(Arc::clone(&engine), Accepted::Tls(accepted, Session::new(session)), client);
    let requests = b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n".repeat(7);
    let mut answered = 0;
    for round in 0..ROUNDS {
        // Pieces that end within requests, each of them a record.
        for piece in requests.chunks(11 + round % 50) {
            handle.worker.store(round % 2, Ordering::Relaxed);
            peer.write_all(piece).unwrap();
        }
        let expected: String = (1..=7).map(|n| format!(":{}\r\n", answered + n)).collect();
        answered += 7;
        let mut replies = vec![0; expected.len()];
        peer.read_exact(&mut replies).unwrap();
        assert_eq!(String::from_utf8_lossy(&replies), expected);
    }
    let reads: Vec<u64> = engine.node.workers.iter().map(|worker| worker.reads.get()).collect();
    assert!(reads[0] > 100 && reads[1] > 100, "both workers have read: {reads:?}");
    end.send(true).unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
