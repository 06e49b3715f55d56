use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::{
    BufferLimit, LogFormat, RenamedCommand, Rewrite, SavePoint, Settings, ShutdownFlags,
    ShutdownSave,
};
use super::{Invocation, LoadError, load};

fn strings(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Loads with these arguments, variables and standard input.
fn loaded(
    arguments: &[&str],
    variables: &[(&str, &str)],
    mut standard_input: &[u8],
) -> Result<(Settings, Option<PathBuf>), LoadError> {
    let variables: Vec<_> = variables.iter().map(|(n, v)| (n.into(), v.into())).collect();
    match load(&strings(arguments), &variables, &mut standard_input)? {
        Invocation::Run { settings, file } => Ok((*settings, file)),
        other => panic!("{other:?}"),
    }
}

pub(super) fn options(arguments: &[&str]) -> Result<Settings, String> {
    loaded(arguments, &[], b"").map(|(settings, _)| settings).map_err(|error| error.to_string())
}

fn variables(variables: &[(&str, &str)]) -> Result<Settings, String> {
    loaded(&[], variables, b"").map(|(settings, _)| settings).map_err(|error| error.to_string())
}

/// Loads a file of this name; replaces its path by the bare name in errors.
fn file(name: &str, text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    options(&[path.to_str().unwrap()]).map_err(|error| error.replace(&prefix, ""))
}

pub(super) fn conf(text: &str) -> Result<Settings, String> {
    file("redis.conf", text)
}

pub(super) fn toml(text: &str) -> Result<Settings, String> {
    file("limpid.toml", text)
}

fn save_points(settings: &Settings) -> Vec<(u64, u64)> {
    settings
        .snapshot
        .save
        .iter()
        .map(|SavePoint { seconds, changes }| (*seconds, *changes))
        .collect()
}

#[test]
fn nothing_given_means_defaults_in_the_current_folder() {
    let (mut settings, path) = loaded(&[], &[("HOME", "/"), ("limpid_port", "1")], b"").unwrap();
    assert_eq!(path, None);
    assert_eq!(Path::new(&settings.snapshot.dir), std::env::current_dir().unwrap());
    settings.snapshot.dir = ".".to_owned();
    assert_eq!(settings, Settings::default());
}

#[test]
fn version_and_help_are_asked_for_by_the_first_argument() {
    for (argument, invocation) in [
        ("-v", Invocation::Version),
        ("--version", Invocation::Version),
        ("-h", Invocation::Help),
        ("--help", Invocation::Help),
    ] {
        let asked = load(&strings(&[argument, "--foo"]), &[], &mut &b""[..]);
        assert_eq!(asked, Ok(invocation));
    }
}

#[test]
fn later_layers_override_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.conf");
    let text = "port 1\ntimeout 1\nmaxclients 1\nslowlog-max-len 1\nsave 900 1\n\
                client-output-buffer-limit normal 1 1 1\nrename-command A B";
    fs::write(&path, text).unwrap();
    let arguments = [path.to_str().unwrap(), "-", "--port", "4", "--save", "60", "100"];
    let arguments = [&arguments[..], &["--client-output-buffer-limit", "pubsub", "2", "2", "2"]];
    let arguments = [arguments[0], arguments[1], &["--rename-command", "C", ""]].concat();
    let environment = [("LIMPID_PORT", "3"), ("LIMPID_TIMEOUT", "3"), ("LIMPID_SAVE", "7 7")];
    // With a file named, `-` counts at the end only.
    let mut arguments: Vec<&str> = arguments.into_iter().filter(|word| *word != "-").collect();
    arguments.push("-");
    let (settings, file) =
        loaded(&arguments, &environment, b"port 2\ntimeout 2\nmaxclients 2\n").unwrap();
    assert_eq!(file, Some(path));
    assert_eq!(settings.network.port, 4);
    assert_eq!(settings.clients.timeout_secs, 3);
    assert_eq!(settings.clients.maxclients, 2);
    assert_eq!(settings.slowlog.max_len, 1);
    assert_eq!(save_points(&settings), [(900, 1), (60, 100)]);
    let limits = settings.clients.output_buffer_limits;
    let limit = |n| BufferLimit { hard_bytes: n, soft_bytes: n, soft_secs: n };
    assert_eq!((limits.normal, limits.pubsub), (limit(1), limit(2)));
    assert_eq!(limits.replica, Settings::default().clients.output_buffer_limits.replica);
    let renamed = |from: &str, to: &str| RenamedCommand { from: from.into(), to: to.into() };
    assert_eq!(settings.security.renamed_commands, [renamed("A", "B"), renamed("C", "")]);
}

#[test]
fn a_relative_file_and_folder_become_absolute() {
    let folder = tempfile::tempdir().unwrap();
    let settings = options(&["--dir", "./sub/"]).unwrap();
    assert_eq!(Path::new(&settings.snapshot.dir), std::env::current_dir().unwrap().join("sub"));
    let path = folder.path().join("./a.conf");
    fs::write(&path, "").unwrap();
    let (_, file) = loaded(&[path.to_str().unwrap()], &[], b"").unwrap();
    assert_eq!(file, Some(folder.path().join("a.conf")));
}

#[test]
fn directives_are_read_as_redis_reads_them() {
    let settings = conf(
        "# comment\n\n  PORT 7000\t\r\nlogfile ''\nrequirepass \"a\\x41\\n b\"\nbind 127.0.0.1 -::1\n\
         unixsocket \"/tmp/a b.sock\"\nunixsocketperm 0700\nshutdown-on-sigterm \"force now\"\n\
         proto-max-bulk-len 1mb\nlog-format json\nmaxclients 1\nmaxclients 7\n\
         client-output-buffer-limit normal 1mb 2mb 3 pubsub 1 2 3\n\
         client-output-buffer-limit slave 5 6 7",
    )
    .unwrap();
    assert_eq!(settings.network.port, 7000);
    assert_eq!(settings.log.file, "");
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.security.requirepass.reveal(), Some("aA\n b"));
    assert_eq!(settings.network.bind, ["127.0.0.1", "-::1"]);
    assert_eq!(settings.network.unixsocket, "/tmp/a b.sock");
    assert_eq!(settings.network.unixsocketperm.0, 0o700);
    assert_eq!(
        settings.process.shutdown_on_sigterm,
        ShutdownFlags { save: ShutdownSave::Default, now: true, force: true }
    );
    assert_eq!(settings.clients.proto_max_bulk_len_bytes, 1 << 20);
    assert_eq!(settings.clients.maxclients, 7);
    assert_eq!(
        settings.clients.output_buffer_limits.to_string(),
        "normal 1048576 2097152 3 slave 5 6 7 pubsub 1 2 3"
    );
}

#[test]
fn save_lines_add_up_and_an_empty_one_clears() {
    for (text, points) in [
        ("save 900 1\nsave 60 5 10 7\n", &[(900, 1), (60, 5), (10, 7)][..]),
        ("save 900 1\nsave \"\"\n", &[]),
        ("save \"\"\nsave 60 5\n", &[(60, 5)]),
        ("save\n", &[]),
        ("save \"900 1\"\n", &[(900, 1)]),
        ("port 1\n", &[(3600, 1), (300, 100), (60, 10000)]),
    ] {
        assert_eq!(save_points(&conf(text).unwrap()), points, "{text:?}");
    }
}

#[test]
fn options_take_words_until_the_next_option() {
    for (arguments, points) in [
        (&["--save", "900", "1", "--save", "60", "100"][..], &[(900, 1), (60, 100)][..]),
        (&["--save", "900 1 60 100"], &[(900, 1), (60, 100)]),
        (&["--save", ""], &[]),
        (&["--save"], &[]),
        (&["--save", "--timeout", "3"], &[]),
        (&["--save 900 1", "--timeout", "3"], &[(900, 1)]),
    ] {
        assert_eq!(save_points(&options(arguments).unwrap()), points, "{arguments:?}");
    }
    let settings = options(&["--requirepass", "--secret", "--PORT", "7000"]).unwrap();
    assert_eq!(settings.security.requirepass.reveal(), Some("--secret"));
    assert_eq!(settings.network.port, 7000);
    let settings = options(&["--slowlog-log-slower-than", "-1", "--requirepass", ""]).unwrap();
    assert_eq!(settings.slowlog.slower_than_us, -1);
    assert_eq!(settings.security.requirepass.reveal(), None);
}

#[test]
fn a_lone_dash_reads_standard_input() {
    let (settings, file) = loaded(&["-", "--port", "3"], &[], b"timeout 9\nport 2").unwrap();
    assert_eq!((settings.clients.timeout_secs, settings.network.port, file), (9, 3, None));
    let error = loaded(&["--port", "3", "-"], &[], b"\nfoo 1").unwrap_err();
    assert_eq!(error.to_string(), "standard input:2: unknown directive 'foo'");
}

#[test]
fn variables_of_the_environment_set_parameters() {
    let settings = variables(&[
        ("LIMPID_TCP_KEEPALIVE", "60"),
        ("LIMPID_REQUIREPASS", "two words"),
        ("LIMPID_BIND", "127.0.0.1 ::1"),
        ("LIMPID_SAVE", ""),
    ])
    .unwrap();
    assert_eq!(settings.network.tcp_keepalive_secs, 60);
    assert_eq!(settings.security.requirepass.reveal(), Some("two words"));
    assert_eq!(settings.network.bind, ["127.0.0.1", "::1"]);
    assert_eq!(save_points(&settings), []);
}

#[test]
fn toml_keys_are_parameters() {
    let settings = toml(
        "port = 7000\nprotected-mode = false\nrdbchecksum = \"no\"\nsnapshot-retained-max = \"2gb\"\n\
         bind = [\"127.0.0.1\", \"-::1\"]\nsave = [[900, 1], \"60 5\"]\nunixsocketperm = \"700\"\n\
         client-output-buffer-limit = { replica = [\"1mb\", 2, 3] }\nrequirepass = \"a b\"\n\
         [rename-command]\nFLUSHALL = \"\"\nKEYS = \"slow-keys\"\n",
    )
    .unwrap();
    assert_eq!(settings.network.port, 7000);
    assert!(!settings.security.protected_mode && !settings.snapshot.rdbchecksum);
    assert_eq!(settings.snapshot.retained_max_bytes, 2 << 30);
    assert_eq!(settings.network.bind, ["127.0.0.1", "-::1"]);
    assert_eq!(save_points(&settings), [(900, 1), (60, 5)]);
    assert_eq!(settings.clients.output_buffer_limits.replica.hard_bytes, 1 << 20);
    assert_eq!(settings.security.requirepass.reveal(), Some("a b"));
    let renamed = |from: &str, to: &str| RenamedCommand { from: from.into(), to: to.into() };
    assert_eq!(
        settings.security.renamed_commands,
        [renamed("FLUSHALL", ""), renamed("KEYS", "slow-keys")]
    );
    assert_eq!(save_points(&toml("save = []").unwrap()), []);
    assert_eq!(save_points(&toml("save = \"\"").unwrap()), []);
}

/// A redis.conf, and the error.
const MISTAKES: &[(&str, &str)] = &[
    ("\n\n  foo bar\n", "redis.conf:3: unknown directive 'foo'"),
    ("logfile \"abc\n", "redis.conf:1: 'logfile': unbalanced quotes in configuration line"),
    ("requirepass \"\\xff\"\n", "redis.conf:1: 'requirepass': value is not valid UTF-8"),
    ("port 1\nmaxclients\n", "redis.conf:2: 'maxclients': wrong number of arguments"),
    ("requirepass foo # no\n", "redis.conf:1: 'requirepass': wrong number of arguments"),
    (
        "maxclients 0\nmaxclients 5\n",
        "redis.conf:1: 'maxclients \"0\"': argument must be between 1 and 4294967295 inclusive",
    ),
    ("port x", "redis.conf:1: 'port \"x\"': argument couldn't be parsed into an integer"),
    ("rdbchecksum x", "redis.conf:1: 'rdbchecksum \"x\"': argument must be 'yes' or 'no'"),
    (
        "repl-backlog-size x",
        "redis.conf:1: 'repl-backlog-size \"x\"': argument must be a memory value",
    ),
    (
        "log-format xml",
        "redis.conf:1: 'log-format \"xml\"': argument(s) must be one of the following: text, json",
    ),
    ("save 900 1\nsave 900", "redis.conf:2: 'save \"900\"': Invalid save parameters"),
    (
        "client-output-buffer-limit normal 1 1",
        "redis.conf:1: 'client-output-buffer-limit \"normal\" \"1\" \"1\"': Wrong number of arguments in buffer limit configuration.",
    ),
    (
        "client-output-buffer-limit foo 1 1 1",
        "redis.conf:1: 'client-output-buffer-limit \"foo\" \"1\" \"1\" \"1\"': Invalid client class specified in buffer limit configuration.",
    ),
    ("rename-command GET", "redis.conf:1: 'rename-command \"GET\"': wrong number of arguments"),
    (
        "unixsocketperm 9",
        "redis.conf:1: 'unixsocketperm \"9\"': argument couldn't be parsed as an octal number",
    ),
    (
        "shutdown-on-sigint",
        "redis.conf:1: 'shutdown-on-sigint': argument(s) must be one of the following: default, save, nosave, now, force",
    ),
    ("hz abc", "redis.conf:1: 'hz \"abc\"': argument couldn't be parsed into an integer"),
    ("include", "redis.conf:1: 'include': wrong number of arguments"),
    (
        "include /nonexistent/x.conf",
        "redis.conf:1: 'include': /nonexistent/x.conf: cannot be read: No such file or directory (os error 2)",
    ),
    (
        "cluster-enabled yes",
        "redis.conf:1: limpid cannot honour 'cluster-enabled' other than 'no' yet: there is no cluster mode",
    ),
    ("maxmemory 100xb", "redis.conf:1: 'maxmemory \"100xb\"': argument must be a memory value"),
    (
        "slaveof 10.0.0.1 65536",
        "redis.conf:1: 'slaveof \"10.0.0.1\" \"65536\"': Invalid master port",
    ),
    ("replicaof 10.0.0.1", "redis.conf:1: 'replicaof \"10.0.0.1\"': wrong number of arguments"),
    ("user", "redis.conf:1: 'user': wrong number of arguments"),
];

#[test]
fn mistakes_in_a_redis_conf_name_file_line_and_reason() {
    for (text, message) in MISTAKES {
        assert_eq!(conf(text).unwrap_err(), *message, "{text:?}");
    }
}

#[test]
fn mistakes_in_a_toml_file_name_file_line_and_reason() {
    for (text, message) in [
        ("port = 1\n\nfoo = 1\n", "limpid.toml:3: unknown directive 'foo'"),
        ("[network]\nport = 1\n", "limpid.toml:1: unknown directive 'network'"),
        ("port = 1\nport = 2\n", "limpid.toml:2: not valid TOML: duplicate key"),
        ("port = [1]", "limpid.toml:1: 'port': value must not be a list"),
        ("\nport = { a = 1 }", "limpid.toml:2: 'port': value must not be a table"),
        ("port = 1979-05-27", "limpid.toml:1: 'port': value has a wrong type"),
        ("bind = [1979-05-27]", "limpid.toml:1: 'bind': value has a wrong type"),
        (
            "port = true",
            "limpid.toml:1: 'port \"yes\"': argument couldn't be parsed into an integer",
        ),
        (
            "port = 1.5",
            "limpid.toml:1: 'port \"1.5\"': argument couldn't be parsed into an integer",
        ),
        (
            "port = 70000",
            "limpid.toml:1: 'port \"70000\"': argument must be between 0 and 65535 inclusive",
        ),
        ("rdbchecksum = 1", "limpid.toml:1: 'rdbchecksum \"1\"': argument must be 'yes' or 'no'"),
        ("save = [[900]]", "limpid.toml:1: 'save \"900\"': Invalid save parameters"),
        (
            "[client-output-buffer-limit]\nnormal = \"1 1 1\"\nfoo = \"1 1 1\"",
            "limpid.toml:3: 'client-output-buffer-limit \"foo\" \"1\" \"1\" \"1\"': Invalid client class specified in buffer limit configuration.",
        ),
        (
            "cluster-enabled = true",
            "limpid.toml:1: limpid cannot honour 'cluster-enabled' other than 'no' yet: there is no cluster mode",
        ),
    ] {
        assert_eq!(toml(text).unwrap_err(), message, "{text:?}");
    }
    let error = toml("port = 1\ntimeout = \n").unwrap_err();
    assert!(error.starts_with("limpid.toml:2: not valid TOML: "), "{error}");
}

#[test]
fn mistakes_elsewhere_name_the_variable_or_option() {
    for (variable, value, message) in [
        ("LIMPID_FOO_BAR", "1", "environment LIMPID_FOO_BAR: unknown directive 'foo-bar'"),
        (
            "LIMPID_MAXCLIENTS",
            "x",
            "environment LIMPID_MAXCLIENTS: 'maxclients \"x\"': argument couldn't be parsed into an integer",
        ),
    ] {
        assert_eq!(variables(&[(variable, value)]).unwrap_err(), message);
    }
    for (arguments, message) in [
        (&["--foo", "1"][..], "command line --foo: unknown directive 'foo'"),
        (&["--port=7000"], "command line --port=7000: unknown directive 'port=7000'"),
        (&["--port"], "command line --port: 'port': wrong number of arguments"),
        (
            &["--port", "1", "2"],
            "command line --port: 'port \"1\" \"2\"': wrong number of arguments",
        ),
        (
            &["--timeout", "-5"],
            "command line --timeout: 'timeout \"-5\"': argument must be between 0 and 2147483647 inclusive",
        ),
        (&["-x"], "command line: unknown directive '-x'"),
        (&["--logfile \"x"], "command line --logfile: unbalanced quotes in configuration line"),
        (&["--"], "command line: option '--' has no name"),
        (
            &["--replicaof", "10.0.0.1", "x"],
            "command line --replicaof: 'replicaof \"10.0.0.1\" \"x\"': Invalid master port",
        ),
        // The first wrong one is shown.
        (
            &["--replicaof", "--10.0.0.1", "--foo"],
            "command line --replicaof: 'replicaof \"--10.0.0.1\"': wrong number of arguments",
        ),
        (
            &["/nonexistent.conf"],
            "/nonexistent.conf: cannot be read: No such file or directory (os error 2)",
        ),
        (&["/"], "/: cannot be read: Is a directory (os error 21)"),
    ] {
        assert_eq!(options(arguments).unwrap_err(), message, "{arguments:?}");
    }
    assert!(options(&["--replicaof", "no", "one"]).is_ok());
    let before = options(&["file.conf", "loglevel", "verbose"]);
    assert_eq!(
        before.unwrap_err(),
        "file.conf: cannot be read: No such file or directory (os error 2)"
    );
    let secret = options(&["--requirepass", "one", "two"]).unwrap_err();
    assert_eq!(secret, "command line --requirepass: 'requirepass': wrong number of arguments");
    for arguments in [&["--replicaof", "10.0.0.1", "6379"][..], &["--replicaof", "10.0.0.1 6379"]] {
        assert!(options(arguments).is_ok(), "{arguments:?}");
    }
}

#[test]
fn a_line_that_is_no_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.conf");
    fs::write(&path, b"port 1\ntimeout \xff\n").unwrap();
    let error = options(&[path.to_str().unwrap()]).unwrap_err();
    assert!(error.ends_with("redis.conf:2: 'timeout': value is not valid UTF-8"), "{error}");
}

#[test]
fn a_value_that_a_later_layer_replaces_need_not_be_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.conf");
    fs::write(&path, "cluster-enabled yes\n").unwrap();
    let arguments = [path.to_str().unwrap(), "--cluster-enabled", "no"];
    assert_eq!(options(&arguments).unwrap().warnings, [""; 0]);
}

#[test]
fn included_files_stand_where_they_are_included() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("a1.inc"), "timeout 1\nmaxclients 1\n").unwrap();
    fs::write(at("a2.inc"), "timeout 2\n").unwrap();
    fs::write(at("bad.inc"), "port 1\nfoo 1\n").unwrap();
    fs::write(at("loop.inc"), format!("include {}\n", at("loop.inc"))).unwrap();
    let included = |pattern: &str| format!("maxclients 9\ninclude {}\nport 5\n", at(pattern));
    let settings = conf(&included("a*.inc")).unwrap();
    assert_eq!(
        (settings.clients.timeout_secs, settings.clients.maxclients, settings.network.port),
        (2, 1, 5)
    );
    assert_eq!(conf(&included("none*")).unwrap().clients.maxclients, 9);
    let error = format!("{}:2: unknown directive 'foo'", at("bad.inc"));
    assert_eq!(conf(&included("bad.inc")).unwrap_err(), error);
    let error = conf(&included("loop.inc")).unwrap_err();
    assert!(error.ends_with("loop.inc:1: 'include': files include one another too deeply"));
    let settings = options(&["--include", &at("a2.inc")]).unwrap();
    assert_eq!(settings.clients.timeout_secs, 2);
}

#[test]
fn what_only_tunes_redis_is_accepted_with_one_warning() {
    let settings =
        conf("io-threads 1\nio-threads 2\n\nactiverehashing yes\nappendonly no\n").unwrap();
    assert_eq!(settings.warnings.len(), 2, "{:?}", settings.warnings);
    assert!(settings.warnings.iter().any(|warning| warning.ends_with(
        "redis.conf:2: 'io-threads' has no effect: limpid's threads are set with 'workers' and \
         'pin-workers'"
    )));
}

#[test]
fn the_sample_file_loads_without_warnings() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/primary.toml");
    let (mut settings, _) = loaded(&[path], &[], b"").unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    assert_eq!(settings.replication.backlog_size_bytes, 64 << 20);
    // Everything else in the file repeats the default.
    settings.replication.backlog_size_bytes = 1 << 20;
    settings.snapshot.dir = ".".to_owned();
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_sample_file_of_a_replica_differs_from_it_in_its_master_alone() {
    let path = |name| format!("{}/config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let (mut settings, _) = loaded(&[path("replica").as_str()], &[], b"").unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    let master = settings.replication.master.take().unwrap();
    assert_eq!((master.host.as_str(), master.port), ("master", 6379));
    assert_eq!(settings, loaded(&[path("primary").as_str()], &[], b"").unwrap().0);
}

#[test]
fn a_rewritten_file_loads_as_the_settings_it_was_made_of() {
    let pairs: [(&[u8], &[u8]); 9] = [
        (b"requirepass", b"a \"b\\ #\n'c"),
        (b"save", b"10 5 20 6"),
        (b"client-output-buffer-limit", b"normal 1024 1000 3 slave 0 0 0"),
        (b"notify-keyspace-events", b"AKEnm"),
        (b"shutdown-on-sigterm", b"nosave force"),
        (b"proto-max-bulk-len", b"3mb"),
        (b"slowlog-log-slower-than", b"-1"),
        (b"protected-mode", b"no"),
        (b"dir", b"/tmp"),
    ];
    let (mut settings, _) = Settings::default().set(&pairs).unwrap();
    settings.network.bind = vec![];
    settings.process.pidfile = "/run/a b.pid".to_owned();
    for (name, old) in [
        ("redis.conf", ""),
        ("redis.conf", "save 900 1\nbind 127.0.0.1\nclient-output-buffer-limit pubsub 1 1 1"),
        ("limpid.toml", ""),
        ("limpid.toml", "bind = \"127.0.0.1\"\nsave = \"1 1\"\n[client-output-buffer-limit]\n"),
    ] {
        let text = settings.rewritten(Path::new(name), old.as_bytes(), Rewrite::Changed).unwrap();
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(file(name, &shown).unwrap(), settings, "{shown}");
        assert_eq!(settings.rewritten(Path::new(name), &text, Rewrite::Changed).unwrap(), text);
    }
}
