use super::super::fixture::Fixture;
use crate::keyspace::ShardSet;
use crate::node::admission::Condition;

fn set(fixture: &Fixture, state: Condition, on: bool) {
    let mut guard = fixture.node().keyspace.lock(ShardSet::ALL);
    fixture.node().admission.set(&guard.locked(), state, on);
}

#[test]
fn unknown_commands_are_shown_with_the_start_of_their_arguments() {
    Fixture::new().transcript(
        "
        A: FOO -> -ERR unknown command 'FOO', with args beginning with:
        A: FOO bar 'b\\az' -> -ERR unknown command 'FOO', with args beginning with: 'bar' 'b\\az'
        A: CLIENT FOO bar -> -ERR unknown subcommand 'FOO'. Try CLIENT HELP.
        ",
    );
}

#[test]
fn while_loading_only_some_commands_run() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: MULTI -> +OK
        A: GET a -> +QUEUED
        B: MULTI -> +OK
        B: ECHO x -> +QUEUED
        ",
    );
    set(&fixture, Condition::Loading, true);
    fixture.transcript(
        "
        C: GET a -> -LOADING Redis is loading the dataset in memory
        C: ECHO x -> $1 x
        A: EXEC -> -EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory
        A: EXEC -> -ERR EXEC without MULTI
        B: EXEC -> *1 $1 x
        ",
    );
    set(&fixture, Condition::Loading, false);
    fixture.transcript("C: GET a -> $-1");
}

#[test]
fn after_a_failed_save_writes_are_refused_but_messages_are_not() {
    let mut fixture = Fixture::new();
    set(&fixture, Condition::SaveFailed, true);
    fixture.transcript("A: GET a -> $-1");
    for refused in ["SET a 1", "PING"] {
        assert!(fixture.run("A", refused).starts_with("-MISCONF Redis is configured to save"));
    }
    fixture.transcript("A: PUBLISH a x -> :0");
    fixture.transcript("A: CONFIG SET stop-writes-on-bgsave-error no -> +OK");
    fixture.transcript("A: SET a 1 -> +OK");
}

#[test]
fn refusals_and_failures_are_counted_apart() {
    let mut fixture = Fixture::new();
    fixture.run("A", "EXEC");
    fixture.run("A", "EXEC x");
    fixture.run("A", "GET");
    fixture.run("A", "SELECT x");
    let stats = fixture.run("A", "INFO commandstats");
    for (command, counts) in [
        ("exec", "calls=1,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=1"),
        ("get", "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"),
        ("select", "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"),
    ] {
        let line = format!("cmdstat_{command}:{counts}");
        assert!(stats.contains(&line), "{line} in {stats}");
    }
}

#[test]
fn no_pause_holds_back_a_replica() {
    let mut fixture = Fixture::new();
    fixture.transcript("r: PSYNC ? -1 ->");
    fixture.transcript("a: CLIENT PAUSE 1000 ALL -> +OK");
    fixture.transcript("a: PING -> <wait>");
    fixture.transcript("r: REPLCONF ACK 0 ->");
}
