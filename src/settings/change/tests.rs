use super::super::parameter::{Change, PARAMETERS};
use super::super::values::{LogLevel, Settings};
use super::super::{SavePoint, SetError};

/// The glob subset that these tests need: a `*` at the end.
fn starts(pattern: &[u8], name: &[u8]) -> bool {
    pattern.strip_suffix(b"*").is_some_and(|prefix| name.starts_with(prefix))
}

fn get(settings: &Settings, patterns: &[&str]) -> Vec<String> {
    let patterns: Vec<&[u8]> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
    let found = settings.get(&patterns, &starts);
    found.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn set(pairs: &[(&str, &str)]) -> Result<(Settings, Vec<&'static str>), SetError> {
    let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let (settings, changed) = Settings::default().set(&pairs)?;
    Ok((settings, changed.into_iter().map(|parameter| parameter.name).collect()))
}

fn error(pairs: &[(&str, &str)]) -> String {
    set(pairs).unwrap_err().to_string()
}

/// Name and value of each line: CONFIG GET * of redis-server 7.0.15 started without arguments.
const DEFAULTS_OF_REDIS: &str = include_str!("../table/redis_7_0_15.txt");

#[test]
fn every_parameter_of_redis_is_shown_with_its_default() {
    let settings = Settings::default();
    assert_eq!(DEFAULTS_OF_REDIS.lines().count(), 192);
    for line in DEFAULTS_OF_REDIS.lines() {
        let (name, value) = line.split_once(' ').unwrap();
        assert_eq!(get(&settings, &[name]), [format!("{name}={value}")]);
    }
}

#[test]
fn what_has_no_effect_is_kept_and_shown() {
    let (settings, changed) =
        set(&[("activerehashing", "no"), ("Slave-Lazy-Flush", "yes")]).unwrap();
    assert_eq!(changed, ["activerehashing", "replica-lazy-flush"]);
    assert_eq!(get(&settings, &["activere*"]), ["activerehashing=no"]);
    assert_eq!(get(&settings, &["replica-lazy-flush"]), ["replica-lazy-flush=yes"]);
    let (settings, changed) = settings.set(&[(b"activerehashing", b"yes")]).unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(get(&settings, &["activere*"]), ["activerehashing=yes"]);
}

#[test]
fn patterns_find_each_parameter_once_in_the_order_of_the_table() {
    let settings = Settings::default();
    assert_eq!(
        get(&settings, &["slowlog-max-len", "slow*", "SLOWLOG-MAX-LEN"]),
        ["slowlog-log-slower-than=10000", "slowlog-max-len=128"]
    );
    assert_eq!(get(&settings, &["TIMEOUT", "time*"]), ["TIMEOUT=0"]);
    assert_eq!(get(&settings, &["timeout", "port"]), ["port=6379", "timeout=0"]);
    assert_eq!(get(&settings, &["slaveo*", "nosuch"]), ["slaveof="]);
}

#[test]
fn what_only_files_have_is_not_shown() {
    let settings = Settings::default();
    for name in ["rename-command", "user", "loadmodule", "mptcp"] {
        assert_eq!(get(&settings, &[name]), [""; 0], "{name}");
    }
}

#[test]
fn several_pairs_are_set_at_once() {
    let (settings, changed) =
        set(&[("MAXCLIENTS", "5"), ("save", "10 1 20 2"), ("loglevel", "Debug"), ("timeout", "0")])
            .unwrap();
    assert_eq!(changed, ["maxclients", "save", "loglevel"]);
    assert_eq!(settings.clients.maxclients, 5);
    assert_eq!(settings.log.level, LogLevel::Debug);
    let points = [(10, 1), (20, 2)].map(|(seconds, changes)| SavePoint { seconds, changes });
    assert_eq!(settings.snapshot.save, points);
}

#[test]
fn values_print_as_redis_prints_them() {
    for (name, value, printed) in [
        ("protected-mode", "NO", "no"),
        ("proto-max-bulk-len", "2GB", "2147483648"),
        ("shutdown-on-sigterm", "save force now", "save now force"),
        ("shutdown-on-sigterm", "default save", "save"),
        ("notify-keyspace-events", "KEg$lshzxetdm", "AKEm"),
        ("notify-keyspace-events", "KEx", "xKE"),
        ("save", "", ""),
        ("save", "10 5 20 6", "10 5 20 6"),
        ("repl-backlog-size", "1", "16384"),
        ("requirepass", "", ""),
        (
            "client-output-buffer-limit",
            "replica 1mb 2kb 3 normal 1 2 3",
            "normal 1 2 3 slave 1048576 2048 3 pubsub 33554432 8388608 60",
        ),
    ] {
        let (settings, _) = set(&[(name, value)]).unwrap();
        assert_eq!(get(&settings, &[name]), [format!("{name}={printed}")]);
    }
}

#[test]
fn setting_what_was_got_changes_nothing() {
    let settings = Settings::default();
    for parameter in PARAMETERS {
        let settable = matches!(parameter.change, Change::Live | Change::Protected | Change::Own);
        if let (true, Some(value)) = (settable, parameter.value(&settings)) {
            let pair = (parameter.name.as_bytes(), value.as_bytes());
            let (mut same, changed) = settings.set(&[pair]).unwrap();
            // An ignored one warns again.
            same.warnings.clear();
            assert_eq!((same, changed.len()), (settings.clone(), 0), "{}", parameter.name);
        }
    }
}

/// Parameter, value, and the reason.
const WRONG_VALUES: &[(&str, &str, &str)] = &[
    ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
    ("maxclients", "4294967296", "argument must be between 1 and 4294967295 inclusive"),
    ("maxclients", "abc", "argument couldn't be parsed into an integer"),
    ("timeout", "1 2", "argument couldn't be parsed into an integer"),
    ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
    (
        "slowlog-log-slower-than",
        "-2",
        "argument must be between -1 and 9223372036854775807 inclusive",
    ),
    ("slowlog-max-len", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
    ("proto-max-bulk-len", "1.5gb", "argument must be a memory value"),
    (
        "proto-max-bulk-len",
        "1",
        "argument must be between 1048576 and 9223372036854775807 inclusive",
    ),
    ("protected-mode", "maybe", "argument must be 'yes' or 'no'"),
    (
        "shutdown-on-sigterm",
        "foo",
        "argument(s) must be one of the following: default, save, nosave, now, force",
    ),
    (
        "shutdown-on-sigterm",
        "save  now",
        "argument(s) must be one of the following: default, save, nosave, now, force",
    ),
    (
        "shutdown-on-sigterm",
        "save nosave",
        "shutdown options SAVE and NOSAVE can't be used simultaneously",
    ),
    ("notify-keyspace-events", "Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    ("save", "1", "Invalid save parameters"),
    ("save", "0 1", "Invalid save parameters"),
    ("save", "1  1", "Invalid save parameters"),
    (
        "client-output-buffer-limit",
        "normal 1",
        "Wrong number of arguments in buffer limit configuration.",
    ),
    (
        "client-output-buffer-limit",
        "master 1 1 1",
        "Invalid client class specified in buffer limit configuration.",
    ),
    (
        "client-output-buffer-limit",
        "normal 1mb 1mb -1",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
    ),
    ("dbfilename", "a/b", "dbfilename can't be a path, just a filename"),
    ("databases", "3", "can't set immutable config"),
    ("tcp-backlog", "511", "can't set immutable config"),
    ("workers", "3", "can't set immutable config"),
    ("enable-debug-command", "yes", "can't set immutable config"),
    ("hz", "abc", "argument couldn't be parsed into an integer"),
];

#[test]
fn wrong_values_are_refused_in_redis_words() {
    for (name, value, reason) in WRONG_VALUES {
        assert_eq!(
            error(&[(name, value)]),
            format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}")
        );
    }
    assert_eq!(
        error(&[("loglevel", "foo")]),
        "CONFIG SET failed (possibly related to argument 'loglevel') - argument(s) must be one of \
         the following: debug, verbose, notice, warning, nothing"
    );
}

#[test]
fn unknown_and_repeated_names_are_refused() {
    let unknown = "Unknown option or number of arguments for CONFIG SET - 'nosuch'";
    assert_eq!(error(&[("timeout", "1"), ("nosuch", "2"), ("nope", "3")]), unknown);
    assert_eq!(
        error(&[("rename-command", "a b")]),
        "Unknown option or number of arguments for CONFIG SET - 'rename-command'"
    );
    assert_eq!(
        error(&[("timeout", "5"), ("Timeout", "6")]),
        "CONFIG SET failed (possibly related to argument 'Timeout') - duplicate parameter"
    );
}

#[test]
fn one_wrong_pair_keeps_the_others_from_being_set() {
    assert_eq!(
        error(&[("timeout", "7"), ("maxclients", "0")]),
        "CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between \
         1 and 4294967295 inclusive"
    );
}

#[test]
fn what_only_tunes_redis_is_accepted_with_a_warning() {
    let (settings, changed) = set(&[("activerehashing", "no"), ("timeout", "3")]).unwrap();
    assert_eq!(changed, ["activerehashing", "timeout"]);
    let warning = "'activerehashing' has no effect: limpid's background work sets its own pace";
    assert_eq!(settings.warnings, [warning]);
}

#[test]
fn a_protected_parameter_is_marked_for_the_caller() {
    for name in ["dir", "dbfilename"] {
        let parameter = super::Parameter::named(name).unwrap();
        assert_eq!(parameter.change, Change::Protected);
    }
    assert_eq!(
        SetError::protected("dir").to_string(),
        "CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"
    );
}

#[test]
fn hidden_parameters_are_shown_to_who_names_them() {
    let settings = Settings::default();
    assert_eq!(get(&settings, &["key-load-delay"]), ["key-load-delay=0"]);
    let all = get(&settings, &["*"]);
    assert!(!all.iter().any(|line| line.starts_with("key-load-delay")));
    let (settings, changed) = set(&[("rdb-key-save-delay", "-50")]).unwrap();
    assert_eq!((settings.snapshot.key_save_delay_us, changed), (-50, vec!["rdb-key-save-delay"]));
}

#[test]
fn percentiles_lie_between_0_and_100() {
    let name = "latency-tracking-info-percentiles";
    let (settings, _) = set(&[(name, "0.0 50.0 99.9 100.0")]).unwrap();
    assert_eq!(get(&settings, &[name]), [format!("{name}=0 50 99.9 100")]);
    let (settings, _) = set(&[(name, "")]).unwrap();
    assert_eq!(get(&settings, &[name]), [format!("{name}=")]);
    for (value, reason) in [
        ("10.0 50.0 a", "Invalid latency-tracking-info-percentiles parameters"),
        ("nan", "Invalid latency-tracking-info-percentiles parameters"),
        ("10 101", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
    ] {
        assert!(error(&[(name, value)]).ends_with(reason), "{value}");
    }
}
