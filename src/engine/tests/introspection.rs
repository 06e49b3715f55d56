use super::super::fixture::Fixture;

#[test]
fn commands_are_told_of_as_in_redis() {
    let mut fixture = Fixture::new();
    let get = "*10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 \
               *1 *6 $5 flags *2 +RO +access $12 begin_search *4 $4 type $5 index $4 spec \
               *2 $5 index :1 $9 find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :0 \
               $7 keystep :1 $5 limit :0 *0";
    assert_eq!(fixture.run("A", "COMMAND INFO get nosuch"), format!("*2 {get} $-1"));
    let len = "*10 $11 slowlog|len :2 *3 +admin +loading +stale :0 :0 :0 *3 +@admin +@slow \
               +@dangerous *3 $24 request_policy:all_nodes $23 response_policy:agg_sum \
               $23 nondeterministic_output *0 *0";
    assert_eq!(fixture.run("A", "COMMAND INFO slowlog|len"), format!("*1 {len}"));
    fixture.run("A", "HELLO 3");
    let watch = "*1 *10 $5 watch :-2 ~5 +noscript +loading +stale +fast +allow_busy :1 :-1 :1 \
                 ~2 +@fast +@transaction ~0 ~1 %3 $5 flags ~1 +RO $12 begin_search %2 $4 type \
                 $5 index $4 spec %1 $5 index :1 $9 find_keys %2 $4 type $5 range $4 spec \
                 %3 $7 lastkey :-1 $7 keystep :1 $5 limit :0 ~0";
    assert_eq!(fixture.run("A", "COMMAND INFO watch"), watch);
    let all = fixture.engine.registry.commands().len();
    assert_eq!(fixture.run("A", "COMMAND COUNT"), format!(":{all}"));
    assert!(fixture.run("A", "COMMAND").starts_with(&format!("*{all} *10 ")));
}

#[test]
fn keys_are_found_in_whole_commands() {
    Fixture::new().transcript(
        "
        A: COMMAND GETKEYS WATCH a b -> *2 $1 a $1 b
        A: COMMAND GETKEYS XREAD STREAMS s t 0 -> *1 $1 s
        A: COMMAND GETKEYS XREAD COUNT STREAMS s 0 -> *1 $1 s
        A: COMMAND GETKEYS XREADGROUP GROUP g STREAMS STREAMS s 0 -> *1 $1 s
        A: COMMAND GETKEYSANDFLAGS WATCH a -> *1 *2 $1 a *1 +RO
        A: COMMAND GETKEYSANDFLAGS SET a b -> *1 *2 $1 a *2 +OW +update
        A: COMMAND GETKEYSANDFLAGS SET a b GET -> *1 *2 $1 a *3 +RW +access +update
        A: COMMAND GETKEYS PING x -> -ERR The command has no key arguments
        A: COMMAND GETKEYS SSUBSCRIBE a -> -ERR The command has no key arguments
        A: COMMAND GETKEYS CONFIG FOO -> -ERR Invalid command specified
        A: COMMAND GETKEYS FOO a -> -ERR Invalid command specified
        A: COMMAND GETKEYS SET a -> -ERR Invalid number of arguments specified for command
        A: COMMAND GETKEYS GET -> -ERR wrong number of arguments for 'command|getkeys' command
        ",
    );
}

#[test]
fn names_are_listed_and_filtered() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: COMMAND LIST FILTERBY PATTERN SlowLog|L* -> *1 $11 slowlog|len
        A: COMMAND LIST FILTERBY MODULE x -> *0
        A: COMMAND LIST FILTERBY ACLCAT nosuch -> *0
        A: COMMAND LIST FILTERBY FOO x -> -ERR syntax error
        A: COMMAND LIST FOO -> -ERR syntax error
        A: COMMAND FOO -> -ERR unknown subcommand 'FOO'. Try COMMAND HELP.
        A: COMMAND LIST FILTERBY ACLCAT transaction -> *5 $7 discard $4 exec $5 multi $7 unwatch $5 watch
        ",
    );
    let all = fixture.engine.registry.all().count();
    assert!(fixture.run("A", "COMMAND LIST").starts_with(&format!("*{all} $")));
}

#[test]
fn documentation_comes_from_the_rows() {
    let mut fixture = Fixture::new();
    let reply = fixture.run("A", "COMMAND DOCS echo nosuch");
    let expected = "*2 $4 echo *10 $7 summary $25 Answers with the message. $5 since $5 1.0.0 \
                    $5 group $10 connection $10 complexity $4 O(1) $9 arguments *1 *4 $4 name \
                    $7 message $4 type $6 string";
    assert_eq!(reply, expected);
    fixture.run("A", "HELLO 3");
    fixture.transcript("A: COMMAND DOCS nosuch -> %0");
    let reply = fixture.run("A", "COMMAND DOCS pubsub");
    assert!(reply.starts_with("%1 $6 pubsub %5 $7 summary "), "{reply}");
    assert!(reply.contains("$11 subcommands %6 $15 pubsub|channels %5 $7 summary "), "{reply}");
}

/// Later than Redis 7.0, whose HELP does not know them.
const LATER: [&str; 2] = ["NO-TOUCH", "SETINFO"];

#[test]
fn help_lists_the_subcommands_there_are() {
    let mut fixture = Fixture::new();
    let containers: Vec<_> = fixture
        .engine
        .registry
        .commands()
        .iter()
        .filter(|command| command.is_container())
        .map(|command| command.row)
        // It has no help without a cluster.
        .filter(|row| row.name != "CLUSTER")
        .collect();
    for row in containers {
        let help = fixture.run("A", &format!("{} HELP", row.name));
        for subcommand in row.subcommands.iter().filter(|row| !LATER.contains(&row.name)) {
            let heading = format!("+{}", subcommand.name);
            assert!(help.contains(&heading), "{} {}", row.name, subcommand.name);
        }
    }
}
