//! The process from the operator's side: signals, log files, panics, the background, supervisors.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use crate::support::connection::Connection;
use crate::support::now;
use crate::support::reply::Reply;
use crate::support::server::{Server, free_port};
use crate::words;

const SOON: Duration = Duration::from_secs(20);

/// Waits until `look` returns a value.
fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < SOON, "in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Runs the binary until the launched process exits.
fn run(args: &[&str], dir: &Path) -> Output {
    let mut command = Command::new("timeout");
    command.arg("20").arg(env!("CARGO_BIN_EXE_limpid-server")).args(args).current_dir(dir);
    command.output().expect("it starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_panic_ends_the_process_with_a_report_of_place_and_command() {
    let mut server = Server::limpid(&["--save", "", "--enable-debug-command", "yes"]);
    let mut bystander = server.connect();
    assert!(server.call(&words("DEBUG PANIC")).is_err(), "nobody answers");
    let status = server.wait_for_end(SOON).expect("the process ends");
    assert_eq!(status.signal(), Some(rustix::process::Signal::ABORT.as_raw()));
    assert!(bystander.call(&words("PING")).is_err());
    let said = server.log_text();
    for part in [
        "CRASH REPORT",
        "thread: worker-",
        "place: src/commands/debug/faults.rs:",
        "last command on this thread: debug",
        "src/engine/call.rs:",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_panic_is_told_to_standard_error_when_the_log_is_a_file() {
    let args = ["--save", "", "--enable-debug-command", "yes", "--logfile", "log", "--port", "0"];
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let mut process = Command::new(env!("CARGO_BIN_EXE_limpid-server"))
        .args(args)
        .args(["--unixsocket", "socket", "--loglevel", "nothing"])
        .current_dir(dir.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = await_some("a socket", || Connection::unix(&socket).ok());
    drop(client.call(&words("DEBUG PANIC")));
    let output = process.stderr.take().unwrap();
    let said = std::io::read_to_string(output).unwrap();
    process.wait().unwrap();
    assert!(said.contains("last command on this thread: debug"), "{said}");
    assert!(text(&dir.path().join("log")).contains("CRASH REPORT"));
}

/// Makes a server write a line to its log.
fn log_a_line(port: u16) {
    let mut client = Connection::tcp(port).unwrap();
    // What has no effect is warned of, each time that it changes.
    client.call(&words("CONFIG SET activerehashing no")).unwrap();
    client.call(&words("CONFIG SET activerehashing yes")).unwrap();
}

/// A server that logs to a file, with nothing that logs periodically.
fn server_with_log_file(log: &Path) -> (Server, u16) {
    let port = free_port();
    let port_text = port.to_string();
    let log = log.to_str().unwrap();
    let args = ["--save", "", "--port", &port_text, "--logfile", log];
    (Server::limpid_with_log(log, &args), port)
}

#[test]
fn a_log_that_was_moved_away_goes_on_in_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = (dir.path().join("log"), dir.path().join("log.1"));
    let (_server, port) = server_with_log_file(&log);
    fs::rename(&log, &old).unwrap();
    await_some("a new file", || {
        log_a_line(port);
        text(&log).contains("'activerehashing' has no effect").then_some(())
    });
    let before = text(&old);
    log_a_line(port);
    assert_eq!(text(&old), before, "the old file is done with");
    // Also when the file is removed: rotation need not keep it.
    fs::remove_file(&log).unwrap();
    await_some("a new file", || {
        log_a_line(port);
        log.exists().then_some(())
    });
}

#[test]
fn a_log_that_was_copied_and_truncated_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (server, port) = server_with_log_file(&log);
    let file = fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(0).unwrap();
    log_a_line(port);
    let said = text(&log);
    assert!(said.starts_with(&format!("{}:M ", server.pid())), "{said:?}");
}

#[test]
fn signals_of_terminals_and_log_rotation_do_nothing() {
    let server = Server::limpid(&["--save", ""]);
    for signal in ["HUP", "USR1", "USR2"] {
        server.signal(signal);
        assert!(server.wait_for_log(&format!("Received SIG{signal}"), SOON).is_some());
    }
    for signal in ["PIPE", "WINCH", "CONT", "URG", "CHLD"] {
        server.signal(signal);
    }
    server.signal("STOP");
    server.signal("CONT");
    server.call(&words("PING")).expect("it lives");
    assert!(server.terminate().success());
}

#[test]
fn a_second_interrupt_ends_a_shutdown_that_waits() {
    let mut server = Server::limpid(&["--save", "", "--repl-diskless-sync-delay", "0"]);
    let mut replica = server.connect();
    // It never acknowledges anything.
    replica.send_raw(b"PSYNC ? -1\r\n").unwrap();
    assert!(server.wait_for_log("Full resync requested by replica", SOON).is_some());
    server.call(&words("SET a 1")).expect("answers");
    server.signal("INT");
    assert!(server.wait_for_log("Waiting for replicas before shutting down", SOON).is_some());
    // As in Redis, only this signal forces the end.
    server.signal("TERM");
    server.call(&words("PING")).expect("it waits still");
    server.signal("INT");
    let status = server.wait_for_end(Duration::from_secs(5)).expect("it ends at once");
    assert_eq!(status.code(), Some(1));
    assert!(server.log_text().contains("You insist... exiting now."));
}

#[test]
fn secrets_are_in_no_argument_and_no_variable_that_others_can_read() {
    let hidden = "export LIMPID_MASTERAUTH=in-a-variable";
    let args = ["--save", "", "--requirepass", "in-an-argument", "--admin-token", "token-in-both"];
    let server = Server::limpid_after(hidden, &args);
    let shown = |name: &str| text(Path::new(&format!("/proc/{}/{name}", server.pid())));
    let arguments = shown("cmdline");
    let title = format!("limpid-server 127.0.0.1:{}", server.port());
    assert_eq!(arguments.trim_end_matches('\0').rsplit('/').next(), Some(title.as_str()));
    let variables = shown("environ");
    assert!(variables.contains("LIMPID_MASTERAUTH=\0"), "{variables}");
    for text in [arguments, variables] {
        assert!(!text.contains("in-a") && !text.contains("token"), "{text}");
    }
    let mut client = server.connect();
    client.call(&words("AUTH in-an-argument")).expect("answers");
    let Reply::Array(pair) = client.call(&words("CONFIG GET masterauth")).expect("answers") else {
        panic!("no pair")
    };
    assert_eq!(pair[1].text(), Some(&b"in-a-variable"[..]));
}

#[test]
fn a_daemon_leaves_its_terminal_and_removes_its_pidfile_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (pidfile, log) = (dir.path().join("pid"), dir.path().join("log"));
    let port = free_port();
    let port_text = port.to_string();
    let args = ["--daemonize", "yes", "--save", "", "--port", &port_text, "--bind", "127.0.0.1"];
    let files = ["--logfile", "log", "--pidfile", "pid", "--otlp-endpoint", "http://127.0.0.1:9"];
    let output = run(&[&args[..], &files].concat(), dir.path());
    assert!(output.status.success(), "{}{}", stderr(&output), text(&log));
    // The daemon serves before the launched process exits.
    let mut client = Connection::tcp(port).unwrap();
    client.call(&words("PING")).expect("answers");
    let pid: i32 = text(&pidfile).trim().parse().expect("a process id");
    let stat = text(Path::new(&format!("/proc/{pid}/stat")));
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(fields[3], pid.to_string(), "it leads a session of its own");
    assert_eq!(fields[4], "0", "it has no terminal");
    for stream in 0..3 {
        let leads_to = fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
        assert_eq!(leads_to, Path::new("/dev/null"));
    }
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    await_some("the end", || text(&log).contains("bye bye").then_some(()));
    assert!(!pidfile.exists());
}

#[test]
fn a_daemon_that_cannot_serve_says_so_at_the_terminal() {
    let server = Server::limpid(&["--save", ""]);
    let dir = tempfile::tempdir().unwrap();
    let port = server.port().to_string();
    let args = ["--daemonize", "yes", "--bind", "127.0.0.1", "--pidfile", "pid"];
    let output = run(&[&args[..], &["--port", &port, "--logfile", "log"]].concat(), dir.path());
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("Failed listening on port {port}");
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    assert!(text(&dir.path().join("log")).contains(&expected));
}

#[test]
fn a_supervisor_is_told_when_the_server_serves_and_when_it_ends() {
    for (wanted, told) in [("systemd", true), ("auto", true), ("no", false)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let shell = format!("export NOTIFY_SOCKET={}", path.display());
        // Under a supervisor it stays in the foreground.
        let daemonize = if told { "yes" } else { "no" };
        let args = ["--save", "", "--supervised", wanted, "--daemonize", daemonize];
        let server = Server::limpid_after(&shell, &args);
        let mut heard = String::new();
        let mut hear = |until: &str| {
            await_some(until, || {
                let mut buffer = [0; 1000];
                while let Ok(len) = socket.recv(&mut buffer) {
                    heard.push_str(&String::from_utf8_lossy(&buffer[..len]));
                }
                heard.contains(until).then_some(())
            });
        };
        if told {
            hear("READY=1");
        }
        assert!(server.terminate().success());
        if told {
            hear("STOPPING=1");
            assert!(heard.contains("STATUS=Ready to accept connections"), "{heard}");
        } else {
            assert!(socket.recv(&mut [0; 10]).is_err(), "nobody is told");
        }
    }
}

#[test]
fn the_system_learns_how_a_server_weighs_in_its_role() {
    let args =
        ["--save", "", "--oom-score-adj", "absolute", "--oom-score-adj-values", "700 800 900"];
    let server = Server::limpid(&args);
    let path = format!("/proc/{}/oom_score_adj", server.pid());
    let score = || text(Path::new(&path)).trim().to_owned();
    let set = |line: &str| drop(server.call(&words(line)).unwrap());
    await_some("the score of a master", || (score() == "700").then_some(()));
    set("REPLICAOF 127.0.0.1 1");
    await_some("the score of a replica", || (score() == "800").then_some(()));
    set("REPLICAOF NO ONE");
    await_some("the score of a master", || (score() == "700").then_some(()));
    let own = text(Path::new("/proc/self/oom_score_adj")).trim().to_owned();
    set("CONFIG SET oom-score-adj no");
    assert_eq!(score(), own, "what was there before");
}

#[test]
fn the_title_is_as_the_template_has_it() {
    let long = "x".repeat(60);
    let args = [
        "--save",
        "",
        "--logfile",
        "",
        "--proc-title-template",
        "begun {port}",
        "--masteruser",
        &long,
    ];
    let server = Server::limpid(&args);
    let title = || {
        let shown = text(Path::new(&format!("/proc/{}/cmdline", server.pid())));
        shown.trim_end_matches('\0').to_owned()
    };
    assert_eq!(title(), format!("begun {}", server.port()));
    let set = |template: &str| {
        server.call(&[b"CONFIG", b"SET", b"proc-title-template", template.as_bytes()]).unwrap()
    };
    assert_eq!(set("now {listen-addr} {{}"), Reply::Simple(b"OK".to_vec()));
    assert!(title().starts_with("now ") && title().ends_with(" {}"), "{}", title());
    // Longer than the arguments: it goes on where the environment was.
    let long = "y".repeat(title().len() + 200);
    assert_eq!(set(&format!("{long} {{port}}")), Reply::Simple(b"OK".to_vec()));
    assert_eq!(title(), format!("{long} {}", server.port()));
    assert_eq!(set("short"), Reply::Simple(b"OK".to_vec()));
    assert_eq!(title(), "short");
    for wrong in ["{nosuch}", "{port", "{title}", ""] {
        let Reply::Error(error) = set(wrong) else { panic!("{wrong} is no template") };
        let error = String::from_utf8(error).unwrap();
        assert!(error.ends_with("template format is invalid or contains unknown variables"));
    }
}
