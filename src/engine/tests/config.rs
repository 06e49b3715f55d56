use super::super::fixture::Fixture;
use crate::node::host::SettingRefused;
use crate::settings::{LocalAccess, Settings};

#[test]
fn settings_are_shown_and_changed() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: CONFIG GET timeout -> *2 $7 timeout $1 0
        A: CONFIG SET timeout 5 maxclients 9 -> +OK
        A: CONFIG GET timeout maxcl* -> *4 $7 timeout $1 5 $10 maxclients $1 9
        A: CONFIG GET nosuch -> *0
        A: CONFIG SET timeout 7 maxclients x -> -ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument couldn't be parsed into an integer
        A: CONFIG SET nosuch 1 -> -ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'
        A: CONFIG SET databases 3 -> -ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config
        A: CONFIG SET timeout 1 timeout 2 -> -ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter
        A: CONFIG SET timeout 1 x -> -ERR syntax error
        A: CONFIG SET timeout -> -ERR wrong number of arguments for 'config|set' command
        A: CONFIG GET timeout -> *2 $7 timeout $1 5
        A: CONFIG REWRITE -> -ERR The server is running without a config file
        A: CONFIG FOO -> -ERR unknown subcommand 'FOO'. Try CONFIG HELP.
        ",
    );
    fixture.run("A", "HELLO 3");
    fixture.transcript("A: CONFIG GET timeout -> %1 $7 timeout $1 5");
}

#[test]
fn what_the_host_refuses_is_not_set() {
    let mut fixture = Fixture::new();
    *fixture.host.refusal.lock() =
        Some(SettingRefused { argument: "dir", reason: "No way".into() });
    fixture.transcript(
        "
        A: CONFIG SET timeout 5 -> -ERR CONFIG SET failed (possibly related to argument 'dir') - No way
        A: CONFIG GET timeout -> *2 $7 timeout $1 0
        ",
    );
}

#[test]
fn protected_settings_are_for_those_who_may() {
    let with = |access| {
        let mut settings = Settings::default();
        settings.security.enable_protected_configs = access;
        Fixture::with(settings, &[])
    };
    let refusal = "-ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config";
    let set = "CONFIG SET dbfilename x";
    assert_eq!(with(LocalAccess::No).run("A", set), refusal);
    assert_eq!(with(LocalAccess::Local).run("A", set), "+OK");
    assert_eq!(with(LocalAccess::Yes).run("A", set), "+OK");
    // The first error is the one reported.
    let mut fixture = with(LocalAccess::No);
    let unknown = "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'";
    assert_eq!(fixture.run("A", "CONFIG SET nosuch 1 dbfilename x"), unknown);
    assert_eq!(fixture.run("A", "CONFIG SET dbfilename x nosuch 1"), refusal);
}

#[test]
fn statistics_begin_anew() {
    let mut fixture = Fixture::new();
    fixture.run("A", "GET a");
    fixture.run("A", "FOO");
    assert!(fixture.run("A", "INFO commandstats").contains("cmdstat_get:calls=1,"));
    assert!(fixture.run("A", "INFO stats").contains("total_error_replies:1 "));
    fixture.transcript("A: CONFIG RESETSTAT -> +OK");
    assert!(!fixture.run("A", "INFO commandstats").contains("cmdstat_get:"));
    assert!(fixture.run("A", "INFO stats").contains("total_error_replies:0 "));
}
