//! Transcripts of commands on the server itself. What clients compare was recorded from Redis
//! 7.0.15.

use super::Fixture;

const NO_CLUSTER: &str = "-ERR This instance has cluster support disabled";
const NO_MODULES: &str = "-ERR MODULE command not allowed. If the enable-module-command option is \
set to \"local\", you can run it from a local connection, otherwise you need to set this option in \
the configuration file, and then restart the server.";

#[test]
fn there_is_no_cluster() {
    let mut fixture = Fixture::new();
    for line in [
        "CLUSTER INFO",
        "cluster myid",
        "CLUSTER KEYSLOT a",
        "CLUSTER HELP",
        "CLUSTER SLOTS",
        "CLUSTER SHARDS",
        "CLUSTER NODES",
        "CLUSTER RESET HARD",
        "CLUSTER SETSLOT 1 STABLE",
        "CLUSTER ADDSLOTS x",
        "CLUSTER FAILOVER FORCE TAKEOVER",
        "ASKING",
        "READONLY",
        "READWRITE",
    ] {
        assert_eq!(fixture.run(line).reply, NO_CLUSTER, "{line}");
    }
    fixture.transcript(&[
        ("CLUSTER", "-ERR wrong number of arguments for 'cluster' command", "", ""),
        ("CLUSTER FOO", "-ERR unknown subcommand 'FOO'. Try CLUSTER HELP.", "", ""),
        ("CLUSTER KEYSLOT", "-ERR wrong number of arguments for 'cluster|keyslot' command", "", ""),
        ("READONLY x", "-ERR wrong number of arguments for 'readonly' command", "", ""),
    ]);
}

#[test]
fn there_are_no_modules() {
    Fixture::new().transcript(&[
        ("MODULE LIST", "[]", "", ""),
        ("MODULE LOAD /x", NO_MODULES, "", ""),
        ("MODULE LOADEX /x ARGS y", NO_MODULES, "", ""),
        ("MODULE UNLOAD x", NO_MODULES, "", ""),
        ("MODULE FOO", "-ERR unknown subcommand 'FOO'. Try MODULE HELP.", "", ""),
        ("MODULE LIST x", "-ERR wrong number of arguments for 'module|list' command", "", ""),
    ]);
    let failed = "-ERR Error loading the extension. Please check the server logs.";
    let unknown = "-ERR Error unloading module: no such module with that name";
    Fixture::with(&["--enable-module-command", "yes"]).transcript(&[
        ("MODULE LOAD /x y", failed, "", ""),
        ("MODULE LOADEX /x", failed, "", ""),
        ("MODULE UNLOAD x", unknown, "", ""),
    ]);
}

#[test]
fn lolwut_ends_with_the_version() {
    let mut fixture = Fixture::new();
    let version = "\"Redis ver. 7.0.15\\n\"";
    fixture.transcript(&[
        ("LOLWUT", version, "", ""),
        ("LOLWUT 5 6", version, "", ""),
        ("LOLWUT VERSION", version, "", ""),
        ("LOLWUT VERSION 7", version, "", ""),
        ("LOLWUT VERSION x", "-ERR value is not an integer or out of range", "", ""),
        ("LOLWUT VERSION 5 x", "-ERR value is not an integer or out of range", "", ""),
    ]);
    for (line, rows) in [
        ("LOLWUT VERSION 5", 49),
        ("LOLWUT VERSION 5 30 3 2", 10),
        ("LOLWUT VERSION 6", 20),
        ("LOLWUT VERSION 6 5 -3", 1),
    ] {
        let drawn = fixture.run(line).reply;
        assert!(drawn.ends_with("Redis ver. 7.0.15\\n\""), "{line}");
        assert_eq!(drawn.matches("\\n").count(), rows + 2, "{line}");
    }
    let first = fixture.run("LOLWUT VERSION 5").reply;
    assert!(first != fixture.run("LOLWUT VERSION 5").reply, "each is drawn anew");
}

#[test]
fn huge_pictures_are_cut() {
    let drawn = Fixture::new().run("LOLWUT VERSION 5 1000 1 200").reply;
    // A braille character is shown as three escapes of four characters each.
    assert!(drawn.len() < 1_100_000 * 12, "{} characters", drawn.len());
}

#[test]
fn spikes_are_drawn_and_explained() {
    let mut fixture = Fixture::with(&["--enable-debug-command", "yes"]);
    fixture.transcript(&[
        ("LATENCY GRAPH command", "-ERR No samples available for event 'command'", "", ""),
        ("LATENCY GRAPH", "-ERR wrong number of arguments for 'latency|graph' command", "", ""),
        ("CONFIG SET latency-monitor-threshold 1", "OK", "", ""),
        ("LATENCY DOCTOR", "\"No event took 1 ms or longer.\\n\"", "", ""),
        ("DEBUG SLEEP 0.1", "OK", "", ""),
        ("DEBUG SLEEP 3", "OK", "", ""),
    ]);
    let graph = fixture.run("LATENCY GRAPH command").reply;
    assert!(graph.starts_with("\"command - high 3000 ms, low 100 ms (all time high 3000 ms)\\n"));
    let report = fixture.run("LATENCY DOCTOR").reply;
    let figures = "1. command: 2 latency spikes (average 1550ms, mean deviation 1450ms, period 1.50 \
                   sec). Worst all time event 3000ms.\\n";
    assert!(report.contains(figures), "{report}");
    assert!(report.contains("slowlog-log-slower-than 1000"), "{report}");
    assert_eq!(fixture.run("LATENCY RESET command other").reply, "1");
}

#[test]
fn debug_does_what_suites_ask() {
    let mut fixture = Fixture::with(&["--enable-debug-command", "yes"]);
    fixture.transcript(&[
        ("DEBUG ERROR \"MY error\\r\\nline\"", "-MY error  line", "", ""),
        ("DEBUG LOG hello", "OK", "", ""),
        ("DEBUG LEAK text", "OK", "", ""),
        ("DEBUG REPLICATE set a 1", "OK", "SELECT 0 | set a 1", ""),
        ("GET a", "nil", "", "keymiss a"),
        ("DEBUG POPULATE 2 p 0", "OK", "", "new p:0, new p:1"),
        ("GET p:1", "\"value:1\"", "", ""),
        ("DEBUG PAUSE-CRON 1", "OK", "", ""),
        (
            "DEBUG RELOAD FOO",
            "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            "",
            "",
        ),
        ("DEBUG RELOAD NOSAVE NOFLUSH merge", "OK", "", ""),
        (
            "DEBUG CLUSTERLINK KILL all x",
            "-ERR Debug option only available for cluster mode enabled setup!",
            "",
            "",
        ),
        (
            "DEBUG FOO",
            "-ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP.",
            "",
            "",
        ),
        (
            "DEBUG LOG",
            "-ERR unknown subcommand or wrong number of arguments for 'LOG'. Try DEBUG HELP.",
            "",
            "",
        ),
    ]);
}

#[test]
fn every_help_has_the_same_frame() {
    let mut fixture = Fixture::with(&["--enable-debug-command", "yes"]);
    for container in [
        "CLIENT", "COMMAND", "CONFIG", "DEBUG", "LATENCY", "MEMORY", "MODULE", "OBJECT", "PUBSUB",
        "SLOWLOG", "XGROUP", "XINFO",
    ] {
        let help = fixture.run(&format!("{} help", container.to_lowercase())).reply;
        let title =
            format!("[{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, ");
        assert!(help.starts_with(&title), "{help}");
        assert!(help.ends_with(", HELP,     Prints this help.]"), "{help}");
    }
}

#[test]
fn a_slot_that_moves_is_restored_like_any_key() {
    let mut fixture = Fixture::new();
    fixture.transcript(&[
        ("SET a 1", "OK", "SELECT 0 | SET a 1", "new a, set a"),
        ("RESTORE-ASKING b 0 x", "-ERR DUMP payload version or checksum are wrong", "", ""),
    ]);
    let dump = fixture.reply(&[b"DUMP", b"a"]);
    let start = dump.iter().position(|&byte| byte == b'\n').expect("a bulk string") + 1;
    let payload = &dump[start..dump.len() - 2];
    assert_eq!(fixture.reply(&[b"RESTORE-ASKING", b"b", b"0", payload]), b"+OK\r\n");
    assert_eq!(fixture.run("GET b").reply, "\"1\"");
}
