//! Settings files of other servers.

use std::fs;
use std::path::Path;

use super::super::Rewrite;
use super::tests::{conf, options, toml};

/// SHA-256 of `secret`.
const SECRET: &str = "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

#[test]
fn the_default_user_may_be_what_it_is_without_its_line() {
    let digest =
        format!("user default on sanitize-payload {SECRET} ~* &* +@all\nrequirepass secret");
    for text in [
        "user default on nopass ~* &* +@all",
        "user default on nopass sanitize-payload ~* &* +@all",
        "USER default +@all allkeys allchannels nopass on",
        "requirepass secret\nuser default on >secret ~* &* +@all",
        &digest,
    ] {
        assert!(conf(text).is_ok(), "{text}: {:?}", conf(text));
    }
    assert!(toml("user = \"default on nopass ~* &* +@all\"").is_ok());
}

#[test]
fn users_that_need_acl_are_refused_by_name() {
    let digest_alone = format!("user default on {SECRET} ~* &* +@all");
    let another = format!("{digest_alone}\nrequirepass other");
    for (text, reason) in [
        ("user alice on nopass ~* &* +@all", "users other than 'default'"),
        ("user", "users other than 'default'"),
        ("user default off nopass ~* &* +@all", "a default user other than"),
        ("user default on nopass ~a* &* +@all", "a default user other than"),
        ("user default on nopass ~* &* +@all -debug", "a default user other than"),
        ("user default on nopass ~* +@all", "a default user other than"),
        ("user default on nopass ~* &* +@all\nrequirepass secret", "contradicts 'requirepass'"),
        (&digest_alone, "only known from 'requirepass'"),
        (&another, "not that of 'requirepass'"),
    ] {
        let error = conf(text).unwrap_err();
        assert!(error.starts_with("redis.conf:1: 'user': ") && error.contains(reason), "{error}");
    }
}

#[test]
fn a_rewritten_file_says_of_the_default_user_what_holds_then() {
    for (name, old, kept) in [
        ("a.conf", "# a\nuser default on nopass ~* &* +@all\n# b\n", "# b\n"),
        ("a.toml", "# a\nuser = \"default on nopass ~* &* +@all\"\n# b\n", "# b\n"),
    ] {
        let (settings, _) = super::Settings::default().set(&[(b"requirepass", b"secret")]).unwrap();
        let text = settings.rewritten(Path::new(name), old.as_bytes(), Rewrite::Changed).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(SECRET) && text.contains(kept) && !text.contains("nopass"), "{text}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, &text).unwrap();
        let again = options(&[path.to_str().unwrap()]).unwrap();
        assert_eq!(again.security.requirepass.reveal(), Some("secret"));
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
