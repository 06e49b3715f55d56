//! The limit of open files: raised where possible, respected where not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::{Server, free_port};
use crate::words;

const SOON: Duration = Duration::from_secs(20);
const TOO_MANY: &[u8] = b"ERR max number of clients reached";

fn config(server: &mut Connection, name: &str) -> u64 {
    let reply = server.call(&words(&format!("CONFIG GET {name}"))).expect("answers");
    let Reply::Array(pair) = reply else { panic!("no pair: {reply:?}") };
    String::from_utf8_lossy(pair[1].text().expect("text")).parse().expect("a number")
}

/// The status line of the admin server's answer.
fn ready(admin_port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", admin_port)).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a socket");
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Connects clients until one is refused or `count` are connected.
fn crowd(server: &Server, count: usize) -> (Vec<Connection>, usize) {
    let mut clients = Vec::new();
    let mut refused = 0;
    for _ in 0..count {
        let mut client = server.connect();
        match client.call(&words("PING")) {
            Ok(Reply::Simple(_)) => clients.push(client),
            Ok(Reply::Error(error)) => {
                assert_eq!(error, TOO_MANY);
                refused += 1;
            }
            // The server closed it before it read the request.
            Err(_) => refused += 1,
            Ok(other) => panic!("{other:?}"),
        }
    }
    (clients, refused)
}

/// Checks that serving, saving and health work, whatever the limit.
fn assert_sound(client: &mut Connection, admin_port: u16) {
    assert_eq!(client.call(&words("SET a 1")).expect("answers"), Reply::Simple(b"OK".to_vec()));
    client.call(&words("BGSAVE")).expect("answers");
    let began = now();
    loop {
        let reply = client.call(&words("INFO persistence")).expect("answers");
        let info = String::from_utf8_lossy(reply.text().expect("text")).into_owned();
        if info.contains("rdb_bgsave_in_progress:0") {
            assert!(info.contains("rdb_last_bgsave_status:ok"), "{info}");
            break;
        }
        assert!(began.elapsed() < SOON, "it saves");
    }
    assert_eq!(ready(admin_port), "HTTP/1.1 200 OK");
}

#[test]
fn a_soft_limit_is_raised_for_all_clients_that_may_come() {
    let admin = free_port();
    let args = ["--save", "3600", "1", "--admin-port", &admin.to_string()];
    let server = Server::limpid_after("ulimit -Sn 128; ulimit -Hn 4096", &args);
    let mut first = server.connect();
    assert!(server.log_text().contains("maxclients has been reduced to"));
    let maxclients = config(&mut first, "maxclients");
    assert!((3500..4096).contains(&maxclients), "{maxclients}");
    let (clients, refused) = crowd(&server, 300);
    assert_eq!((clients.len(), refused), (300, 0));
    assert_sound(&mut first, admin);
}

#[test]
fn maxclients_beyond_the_hard_limit_is_refused_in_redis_words() {
    let server = Server::limpid_after("ulimit -n 1024", &["--save", "", "--maxclients", "100"]);
    let mut client = server.connect();
    assert_eq!(
        client.call(&words("CONFIG SET maxclients 200")).expect("answers"),
        Reply::Simple(b"OK".to_vec())
    );
    let reply = client.call(&words("CONFIG SET maxclients 5000")).expect("answers");
    let Reply::Error(error) = reply else { panic!("{reply:?}") };
    let expected = "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The \
                    operating system is not able to handle the specified number of clients, try \
                    with ";
    let error = String::from_utf8_lossy(&error).into_owned();
    let possible: u64 = error.strip_prefix(expected).expect(&error).parse().expect("a number");
    assert_eq!(config(&mut client, "maxclients"), 200, "nothing changed");
    let set = format!("CONFIG SET maxclients {possible}");
    assert_eq!(client.call(&words(&set)).expect("answers"), Reply::Simple(b"OK".to_vec()));
}

#[test]
fn under_a_hard_limit_clients_too_many_are_refused_and_the_rest_goes_on() {
    let admin = free_port();
    let args = ["--save", "3600", "1", "--admin-port", &admin.to_string()];
    let server = Server::limpid_after("ulimit -n 256", &args);
    let mut first = server.connect();
    let maxclients = config(&mut first, "maxclients");
    assert!((50..256).contains(&maxclients), "{maxclients}");
    let (clients, refused) = crowd(&server, 400);
    assert!(clients.len() >= 50 && refused >= 144, "{} {refused}", clients.len());
    assert_sound(&mut first, admin);
    drop(clients);
    let began = now();
    while crowd(&server, 1).1 > 0 {
        assert!(began.elapsed() < SOON, "there is room again");
    }
}

#[test]
fn too_low_a_limit_stops_the_start_with_the_number_that_is_needed() {
    let mut command =
        crate::support::server::after("ulimit -n 40", env!("CARGO_BIN_EXE_limpid-server"));
    let dir = tempfile::tempdir().expect("a folder");
    let output = command.args(["--port", "0"]).current_dir(dir.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("Your current 'ulimit -n' of 40 is not enough"), "{said}");
}

#[test]
fn without_a_free_descriptor_clients_are_told_so_once_in_the_log_and_taken_again_later() {
    let server = Server::limpid(&["--save", ""]);
    let mut first = server.connect();
    first.call(&words("SET a 1")).expect("answers");
    // Lowered from outside, as if something else had used up the descriptors.
    let limit = |soft: &str| {
        let pid = server.pid().to_string();
        let status = std::process::Command::new("prlimit")
            .args(["--pid", &pid, &format!("--nofile={soft}:")])
            .status()
            .expect("prlimit(1) is there");
        assert!(status.success());
    };
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("ours").count();
    limit(&open.to_string());
    // Gaps between descriptors in use are filled first.
    let (_few, refused) = crowd(&server, 50);
    let (clients, refused) = (crowd(&server, 20).0, refused + 20);
    assert_eq!(clients.len(), 0);
    assert_eq!(first.call(&words("GET a")).expect("answers").text(), Some(&b"1"[..]));
    // It may be on its way.
    assert!(server.wait_for_log("Too many open files", SOON).is_some());
    let text = server.log_text();
    assert_eq!(text.matches("Too many open files").count(), 1, "{text}");
    limit("4096");
    assert_eq!(crowd(&server, 50).0.len(), 50);
    let end = format!("Clients are accepted again; {refused} were refused");
    assert!(server.wait_for_log(&end, SOON).is_some());
}
