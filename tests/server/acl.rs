//! Users in files: the settings' own and the ACL file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::words;
use crate::support::reply::{ReadError, Reply};
use crate::support::server::Server;

fn call(server: &Server, command: &str) -> Reply {
    server.call(&words(command)).expect("answers")
}

/// The lines of ACL LIST.
fn users(server: &Server) -> Vec<String> {
    let lines = call(server, "ACL LIST").items().expect("a list");
    let text = |line: &Reply| String::from_utf8_lossy(line.text().expect("text")).into_owned();
    lines.iter().map(text).collect()
}

/// What a server says that does not start.
fn refusal(conf: &str, acl: Option<&str>) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("limpid.conf");
    fs::write(&path, format!("dir {}\n{conf}", dir.path().display())).expect("written");
    if let Some(text) = acl {
        fs::write(dir.path().join("users.acl"), text).expect("written");
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_limpid-server"))
        .arg(&path)
        .args(["--port", "0", "--admin-port", "0", "--unixsocket"])
        .arg(dir.path().join("socket"))
        .output()
        .expect("it ends");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn users_that_cannot_be_are_refused_by_file_and_line() {
    for (conf, acl, said) in [
        (
            "user bob on +nope",
            None,
            "limpid.conf:2: 'user': Error loading ACL rule '+nope' for the user named 'bob': Unknown command or category name in ACL",
        ),
        (
            "user bob on\nuser bob off",
            None,
            "limpid.conf:3: 'user': Error in user declaration 'bob': Duplicate user found.",
        ),
        (
            "user bob on ~a ~*\nuser eve zz",
            None,
            "limpid.conf:3: 'user': Error in user declaration",
        ),
        (
            "user bob on\naclfile users.acl",
            Some(""),
            "limpid.conf:2: 'user': Configuring Redis with users defined in redis.conf",
        ),
        (
            "aclfile users.acl",
            None,
            "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file 'users.acl': No such file or directory",
        ),
        (
            "aclfile users.acl",
            Some("user bob on\nbob"),
            "users.acl:2 should start with user keyword followed by the username.",
        ),
    ] {
        let text = refusal(conf, acl);
        assert!(text.contains(said), "{conf}: {text}");
    }
}

#[test]
fn an_acl_file_is_saved_whole_and_loaded_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("users.acl");
    fs::write(&path, "user bob on >x ~b* +get\n").expect("written");
    let server = Server::limpid(&["--save", "", "--aclfile", path.to_str().expect("text")]);
    let before = users(&server);
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(before[0].starts_with("user bob on #") && before[0].ends_with("+get"), "{before:?}");
    assert_eq!(call(&server, "ACL SETUSER eve on nopass ~* +@all"), Reply::Simple(b"OK".to_vec()));
    assert_eq!(call(&server, "ACL SAVE"), Reply::Simple(b"OK".to_vec()));
    let saved = fs::read_to_string(&path).expect("there");
    assert_eq!(saved.lines().collect::<Vec<_>>(), users(&server));
    let mut eve = server.connect();
    let mut ask = |command: &str| eve.call(&words(command));
    assert_eq!(ask("AUTH eve x").expect("answers"), Reply::Simple(b"OK".to_vec()));
    fs::write(&path, "user bob on +get\nuser eve zz\n").expect("written");
    let Reply::Error(text) = call(&server, "ACL LOAD") else { panic!("a wrong file is loaded") };
    assert!(String::from_utf8_lossy(&text).contains("users.acl:2: Syntax error"), "{text:?}");
    assert_eq!(users(&server).len(), 3, "nothing has changed");
    assert_eq!(ask("PING").expect("answers"), Reply::Simple(b"PONG".to_vec()));
    fs::write(&path, &saved).expect("written");
    assert_eq!(call(&server, "ACL LOAD"), Reply::Simple(b"OK".to_vec()));
    assert!(ask("PING").is_err(), "whoever is no default user must authenticate again");
    let names = fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(names, 1, "nothing is left beside the file");
}

#[test]
fn a_rewritten_configuration_has_the_users_of_now() {
    for name in ["limpid.conf", "limpid.toml"] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        let text = match name {
            "limpid.conf" => {
                "# a\nuser bob on >x ~b* +get\nrequirepass secret\nuser default on nopass ~* +@all -debug\n# b\n"
            }
            _ => {
                "# a\nuser = [\"bob on >x ~b* +get\", \"default on nopass ~* +@all -debug\"]\nrequirepass = \"secret\"\n# b\n"
            }
        };
        fs::write(&path, text).expect("written");
        // The file is the first argument.
        let start = || {
            let first = format!("set -- {} \"$@\"", path.display());
            Server::limpid_after(&first, &["--save", ""])
        };
        let server = start();
        assert_eq!(
            users(&server)[1],
            "user default on nopass sanitize-payload ~* resetchannels +@all -debug"
        );
        call(&server, "ACL DELUSER bob");
        call(&server, "ACL SETUSER eve on nopass ~\"q +@all");
        call(&server, "ACL SETUSER zoe off (~a +get)");
        assert_eq!(call(&server, "CONFIG REWRITE"), Reply::Simple(b"OK".to_vec()));
        let listed = users(&server);
        let rewritten = fs::read_to_string(&path).expect("there");
        assert!(!rewritten.contains("bob") && rewritten.contains("# b"), "{rewritten}");
        // In the same folder, which the file names.
        let again = start();
        assert_eq!(users(&again), listed, "{rewritten}");
    }
}

#[test]
fn users_of_files_and_arguments_add_up() {
    let server = Server::limpid(&["--save", "", "--user", "bob", "on", "nopass", "+ping"]);
    let mut bob = server.connect();
    let mut ask = |command: &str| bob.call(&words(command)).expect("answers");
    assert_eq!(ask("AUTH bob x"), Reply::Simple(b"OK".to_vec()));
    assert_eq!(ask("PING"), Reply::Simple(b"PONG".to_vec()));
    let Reply::Error(text) = ask("GET a") else { panic!("bob may only ping") };
    assert!(text.starts_with(b"NOPERM"), "{text:?}");
}

#[test]
fn a_loaded_file_ends_the_subscriptions_that_it_takes() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("users.acl");
    fs::write(&path, "").expect("written");
    let server = Server::limpid(&["--save", "", "--aclfile", path.to_str().expect("text")]);
    let mut subscribers = ["news", "other"].map(|channel| {
        let mut subscriber = server.connect();
        subscriber.call(&[b"SUBSCRIBE", channel.as_bytes()]).expect("subscribed");
        subscriber
    });
    fs::write(&path, "user default on nopass ~* resetchannels &other +@all\n").expect("written");
    assert_eq!(call(&server, "ACL LOAD"), Reply::Simple(b"OK".to_vec()));
    assert_eq!(call(&server, "PUBSUB NUMSUB other").items().expect("a list")[1], Reply::Integer(1));
    let [taken, kept] = &mut subscribers;
    assert_eq!(taken.read_reply(), Err(ReadError::Closed));
    assert_eq!(call(&server, "PUBLISH other x"), Reply::Integer(1));
    assert!(kept.read_reply().is_ok());
}

#[test]
fn a_saved_file_keeps_its_permissions_and_follows_no_link() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, victim) = (dir.path().join("users.acl"), dir.path().join("victim"));
    fs::write(&path, "").expect("written");
    fs::write(&victim, "untouched").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    let server = Server::limpid(&["--save", "", "--aclfile", path.to_str().expect("text")]);
    // Where the new file is written before it takes the old one's place.
    let temporary = dir.path().join(format!(".users.acl.{}.tmp", server.pid()));
    std::os::unix::fs::symlink(&victim, &temporary).expect("a link");
    call(&server, "ACL SETUSER bob on >secret");
    assert_eq!(call(&server, "ACL SAVE"), Reply::Simple(b"OK".to_vec()));
    assert!(fs::read_to_string(&path).expect("there").contains("user bob"));
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&victim).expect("there"), "untouched");
    assert!(!temporary.exists());
}
