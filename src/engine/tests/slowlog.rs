use super::super::fixture::Fixture;

#[test]
fn slow_commands_are_kept_without_secrets() {
    let mut fixture = Fixture::new();
    fixture.run("A", "CLIENT SETNAME bob");
    fixture.run("A", "CONFIG SET slowlog-log-slower-than 0");
    fixture.run("A", "AUTH default hidden");
    fixture.run("A", "HELLO 2 AUTH default hidden SETNAME bob");
    fixture.run("A", "CONFIG SET timeout 0 requirepass hidden");
    fixture.run("A", "MULTI");
    fixture.run("A", "ECHO x");
    fixture.run("A", "EXEC");
    fixture.run("A", "CONFIG SET slowlog-log-slower-than -1");
    let log = fixture.run("A", "SLOWLOG GET -1");
    assert!(!log.contains("hidden"), "{log}");
    for entry in [
        "*3 $4 AUTH $10 (redacted) $10 (redacted)",
        "*7 $5 HELLO $1 2 $4 AUTH $10 (redacted) $10 (redacted) $7 SETNAME $3 bob",
        "*6 $6 CONFIG $3 SET $7 timeout $1 0 $11 requirepass $10 (redacted)",
        // The slow log has the commands that EXEC runs, but not EXEC.
        "*2 $4 ECHO $1 x $15 127.0.0.1:50001 $3 bob",
    ] {
        assert!(log.contains(entry), "{entry} in {log}");
    }
    assert!(!log.contains("EXEC"), "{log}");
    fixture.transcript(
        "
        A: SLOWLOG LEN -> :6
        A: SLOWLOG RESET -> +OK
        A: SLOWLOG GET -> *0
        A: SLOWLOG GET -2 -> -ERR count should be greater than or equal to -1
        A: SLOWLOG GET a -> -ERR count should be greater than or equal to -1
        A: SLOWLOG GET 1 2 -> -ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.
        ",
    );
}

#[test]
fn entries_say_when_how_long_what_and_who() {
    let mut fixture = Fixture::new();
    fixture.node().sweeping.store(false, std::sync::atomic::Ordering::Relaxed);
    let mut settings = crate::settings::Settings::clone(&fixture.node().settings.load());
    settings.security.enable_debug_command = crate::settings::LocalAccess::Yes;
    fixture.node().settings.store(settings.into());
    fixture.run("A", "DEBUG SLEEP 0.05");
    let entry = "*1 *6 :0 :1700000000 :50000 *3 $5 DEBUG $5 SLEEP $4 0.05 $15 127.0.0.1:50001 $0";
    assert_eq!(fixture.run("A", "SLOWLOG GET"), entry);
}

#[test]
fn a_command_that_waited_is_logged_once_it_is_served() {
    let mut fixture = Fixture::new();
    fixture.run("A", "CLIENT SETNAME bob");
    fixture.run("A", "CONFIG SET slowlog-log-slower-than 0");
    fixture.transcript(
        "
        A: BLPOP list 0 -> <wait>
        B: MULTI -> +OK
        B: RPUSH list x -> +QUEUED
        B: SLOWLOG RESET -> +QUEUED
        B: EXEC -> *2 :1 +OK
        A: (reads) -> *2 $4 list $1 x
        ",
    );
    let log = fixture.run("B", "SLOWLOG GET");
    let waited = "*3 $5 BLPOP $4 list $1 0 $15 127.0.0.1:50001 $3 bob";
    assert!(log.contains(waited), "{log}");
    assert_eq!(log.matches("BLPOP").count(), 1, "{log}");
    let calls = fixture.run("B", "INFO commandstats");
    assert!(calls.contains("cmdstat_blpop:calls=1,"), "{calls}");
}
