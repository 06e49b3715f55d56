//! CONFIG SET of addresses and ports.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use crate::support::connection::Connection;
use crate::support::server::{Server, free_port};
use crate::words;

fn set(client: &mut Connection, pairs: &str) -> String {
    client.call(&words(&format!("CONFIG SET {pairs}"))).expect("answers").to_string()
}

fn field(client: &mut Connection, name: &str) -> String {
    let info = client.call(&words("INFO server")).expect("answers");
    let text = String::from_utf8_lossy(info.text().expect("INFO is text")).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.expect("INFO has it").to_owned()
}

fn is_served(address: &str, port: u16) -> bool {
    TcpStream::connect((address, port)).is_ok()
}

const OK: &str = "simple \"OK\"";

#[test]
fn addresses_change_while_others_connect() {
    let server = Server::limpid(&["--bind", "*", "--protected-mode", "no"]);
    let (port, mut client) = (server.port(), server.connect());
    let connecting = std::thread::spawn(move || {
        let is_lost = |_: &u32| {
            match Connection::tcp(port) {
                Ok(mut client) => client.call(&words("PING")).is_err(),
                // The same, before it knew that it was connected.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
                Err(error) => panic!("the port listens at any time: {error}"),
            }
        };
        (0..300).filter(is_lost).count()
    });
    for _ in 0..20 {
        // Each includes addresses of the one before, on the same port.
        for bind in ["127.0.0.1", "*", "127.0.0.1 127.0.0.2"] {
            let reply = client.call(&[b"CONFIG", b"SET", b"bind", bind.as_bytes()]).unwrap();
            assert_eq!(reply.to_string(), OK, "{bind}");
        }
    }
    // Who connects between a socket's last look and its end is reset: some microseconds.
    let lost = connecting.join().expect("nobody was refused");
    assert!(lost <= 3, "{lost} of 300 were reset");
    assert!(is_served("127.0.0.2", port));
    assert_eq!(set(&mut client, "bind 127.0.0.1"), OK);
    assert!(!is_served("127.0.0.2", port));
}

#[test]
fn an_address_that_cannot_be_bound_changes_nothing() {
    let server = Server::limpid(&["--bind", "127.0.0.1"]);
    let (port, mut client) = (server.port(), server.connect());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let (unbound, unheard) =
        ("Failed to bind to specified addresses.", "Unable to listen on this port.");
    for (pairs, argument, reason) in [
        ("bind 192.0.2.1".to_owned(), "bind", unbound),
        (format!("bind * port {taken_port}"), "bind", unbound),
        (format!("port {taken_port} bind *"), "port", unheard),
        (format!("hz 20 port {taken_port}"), "port", unheard),
    ] {
        // As it is shown, quotes are escaped.
        let reply = set(&mut client, &pairs).replace('\\', "");
        let expected = format!("(possibly related to argument '{argument}') - {reason}");
        assert!(reply.contains(&expected), "{pairs}: {reply}");
    }
    // Two addresses that exclude each other.
    let twice = client.call(&[b"CONFIG", b"SET", b"bind", b"127.0.0.1 127.0.0.1"]).unwrap();
    assert!(twice.to_string().contains(unbound), "{twice}");
    let within = client.call(&[b"CONFIG", b"SET", b"bind", b"* 127.0.0.2"]).unwrap();
    assert!(within.to_string().contains(unbound), "{within}");
    let kept = client.call(&words("CONFIG GET bind")).unwrap().to_string();
    assert!(kept.contains("\"127.0.0.1\""), "{kept}");
    assert_eq!(field(&mut client, "tcp_port"), port.to_string());
    assert_eq!(field(&mut client, "hz"), "10");
    assert!(is_served("127.0.0.1", port) && !is_served("127.0.0.2", port));
    // The port is this server's alone again, as it was before it tried.
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
}

#[test]
fn the_port_moves_and_is_written_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limpid.conf");
    std::fs::write(&file, "bind 127.0.0.1\n").unwrap();
    // The file is the first argument.
    let server = Server::limpid_after(&format!("set -- {} \"$@\"", file.display()), &[]);
    let (old, new, mut client) = (server.port(), free_port(), server.connect());
    assert_eq!(set(&mut client, &format!("port {new}")), OK);
    assert!(is_served("127.0.0.1", new) && !is_served("127.0.0.1", old));
    assert_eq!(field(&mut client, "tcp_port"), new.to_string());
    client.call(&words("CONFIG REWRITE")).unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains(&format!("port {new}\n")), "{written}");
    // Listening nowhere is allowed: whoever is connected can change that.
    let nowhere = client.call(&[b"CONFIG", b"SET", b"bind", b""]).unwrap();
    assert_eq!(nowhere.to_string(), OK);
    assert!(!is_served("127.0.0.1", new));
    assert_eq!(set(&mut client, "bind 127.0.0.1"), OK);
    assert!(is_served("127.0.0.1", new));
}
