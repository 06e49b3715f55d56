//! Settings files of other servers.

use std::fs;
use std::path::Path;

use super::super::{Rewrite, Settings, UserLine};
use super::tests::{conf, options, toml};

/// The users' words, each user in brackets.
fn users(settings: &Settings) -> String {
    let users = settings.security.users.iter();
    users.map(|user| format!("[{}]", user.words.join(" "))).collect()
}

#[test]
fn users_are_kept_in_their_order_with_their_places() {
    let text = "user bob on >'a b' ~x\nport 1\nUSER default on (+get ~x)\n";
    let settings = conf(text).unwrap();
    assert_eq!(users(&settings), "[bob on >a b ~x][default on (+get ~x)]");
    let places: Vec<_> = settings.security.users.iter().map(|user| &user.place).collect();
    assert!(places[0].ends_with("redis.conf:1: 'user'"), "{places:?}");
    assert!(places[1].ends_with("redis.conf:3: 'USER'"), "{places:?}");
    assert!(!format!("{settings:?}").contains("a b"), "rules have passwords");
    assert_eq!(users(&toml("user = \"bob on\"").unwrap()), "[bob on]");
    assert_eq!(users(&toml("user = [\"bob on\", \"eve off\"]").unwrap()), "[bob on][eve off]");
    assert_eq!(
        users(&options(&["--user", "bob", "on", "--user", "eve"]).unwrap()),
        "[bob on][eve]"
    );
}

#[test]
fn a_rewritten_file_has_the_users_of_then() {
    let line = |words: &str| UserLine {
        place: String::new(),
        words: words.split(' ').map(str::to_owned).collect(),
    };
    for (name, old) in [
        ("a.conf", "# a\nuser default on\n# b\nuser x\nuser y\n"),
        ("a.toml", "# a\nuser = \"default on\"\n# b\n"),
    ] {
        let read = if name == "a.toml" { toml } else { conf };
        let mut settings = Settings::default();
        settings.security.users = vec![line("bob on"), line("e\" off")];
        let mut rewritten = || {
            let text = settings.rewritten(Path::new(name), old.as_bytes(), Rewrite::Changed);
            settings.security.aclfile = "f".to_owned();
            String::from_utf8(text.unwrap()).unwrap()
        };
        let text = rewritten();
        assert!(text.starts_with("# a\nuser") && text.contains("\n# b\n"), "{text}");
        assert_eq!(users(&read(&text).unwrap()), "[bob on][e\" off]");
        let text = rewritten();
        assert!(!text.contains("user") && text.contains("aclfile"), "{text}");
    }
}

#[test]
fn bytes_that_are_no_text_may_stand_in_comments_and_stay_in_a_rewritten_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.conf");
    let old = b"# caf\xe9 \xff\n  #\xfe\ntimeout 3\n";
    fs::write(&path, old).unwrap();
    let mut settings = options(&[path.to_str().unwrap()]).unwrap();
    assert_eq!(settings.clients.timeout_secs, 3);
    settings.clients.timeout_secs = 4;
    settings.snapshot.dir = ".".to_owned();
    let new = settings.rewritten(&path, old, Rewrite::Changed).unwrap();
    assert_eq!(new, b"# caf\xe9 \xff\n  #\xfe\ntimeout 4\n");
}

#[test]
fn directives_of_later_servers_that_only_tune_warn_once_each() {
    let text = "set-max-listpack-entries 128\nset-max-listpack-value 64\nlocale-collate \"\"\n\
                hide-user-data-from-log yes\nmax-new-connections-per-cycle 10\n\
                replica-full-sync-buffer-limit 0\ncluster-compatibility-sample-ratio 0\n\
                events-per-io-thread 2\nprefetch-batch-max-size 16\n\
                dual-channel-replication-enabled no\nextended-redis-compatibility no\n\
                availability-zone \"\"\nrdb-version-check strict\nserver-cpulist 0-7:2\n\
                commandlog-request-larger-than 1048576\nlua-replicate-commands yes\n";
    let settings = conf(text).unwrap();
    assert_eq!(settings.warnings.len(), text.lines().count(), "{:?}", settings.warnings);
    for (index, line) in text.lines().enumerate() {
        let name = line.split(' ').next().unwrap();
        let begins = format!("redis.conf:{}: '{name}' has no effect: ", index + 1);
        let told = |warning: &&String| warning.contains(&begins);
        assert_eq!(settings.warnings.iter().filter(told).count(), 1, "{begins}");
    }
}

#[test]
fn later_names_of_what_there_is_have_effect() {
    let settings = conf(
        "primaryauth a\nprimaryuser b\ncommandlog-execution-slower-than 7\n\
         commandlog-slow-execution-max-len 9\n",
    );
    let settings = settings.unwrap();
    assert_eq!(settings.replication.masterauth.reveal(), Some("a"));
    assert_eq!(settings.replication.masteruser.reveal(), Some("b"));
    assert_eq!((settings.slowlog.slower_than_us, settings.slowlog.max_len), (7, 9));
    // For clients these names are unknown, as in Redis 7.0.
    assert!(settings.set(&[(b"primaryauth", b"x")]).is_err());
}

#[test]
fn what_is_unsafe_to_leave_out_is_refused_by_name() {
    for (line, accepted) in [
        ("unixsocketgroup redis", "unixsocketgroup \"\""),
        ("import-mode yes", "import-mode no"),
        ("rdma-port 6380", "rdma-port 0"),
        ("tls-auth-clients-user CN", "tls-auth-clients-user off"),
        ("gopher-enabled yes", "gopher-enabled no"),
    ] {
        let name = line.split(' ').next().unwrap();
        let begins = format!("redis.conf:1: limpid cannot honour '{name}'");
        assert!(conf(line).unwrap_err().starts_with(&begins), "{line}");
        assert!(conf(accepted).is_ok(), "{accepted}");
    }
}

#[test]
fn the_place_of_a_setting_has_the_name_that_was_written_there() {
    let settings = conf("port 1\nslaveof 10.0.0.1 7\nSAVE 1 1\n").unwrap();
    assert!(settings.origins.place("replicaof").ends_with("redis.conf:2: 'slaveof'"));
    assert!(settings.origins.place("save").ends_with("redis.conf:3: 'SAVE'"));
    assert_eq!(settings.origins.place("dir"), "'dir'");
    let settings = options(&["--repl-ping-slave-period", "7"]).unwrap();
    let place = settings.origins.place("repl-ping-replica-period");
    assert_eq!(place, "command line --repl-ping-slave-period: 'repl-ping-slave-period'");
    for (text, begins) in [
        ("slave-priority x", "redis.conf:1: 'slave-priority \"x\"': "),
        ("hash-max-ziplist-entries x", "redis.conf:1: 'hash-max-ziplist-entries \"x\"': "),
    ] {
        assert!(conf(text).unwrap_err().starts_with(begins), "{text}");
    }
    let warned = conf("cluster-slave-no-failover yes").unwrap();
    let warning = "'cluster-slave-no-failover' has no effect";
    assert!(warned.warnings[0].contains(warning), "{:?}", warned.warnings);
    let error = warned.set(&[(b"SLAVE-PRIORITY", b"x")]).unwrap_err().to_string();
    assert!(error.contains("argument 'slave-priority')"), "{error}");
}
