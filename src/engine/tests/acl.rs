//! What users may do, and what they are told. Recorded from Redis 7.0.15.

use super::super::fixture::Fixture;
use crate::node::client::Client;

#[test]
fn users_are_made_shown_and_deleted() {
    Fixture::new().transcript(
        "
        A: ACL WHOAMI -> $7 default
        A: ACL USERS -> *1 $7 default
        A: ACL LIST -> *1 $34 user default on nopass ~* &* +@all
        A: ACL SETUSER bob -> +OK
        A: ACL GETUSER bob -> *12 $5 flags *1 $3 off $9 passwords *0 $8 commands $5 -@all $4 keys $0  $8 channels $0  $9 selectors *0
        A: ACL GETUSER nobody -> $-1
        A: AUTH bob x -> -WRONGPASS invalid username-password pair or user is disabled.
        A: ACL SETUSER bob on >one #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~b:* &b* +get '(~s:* +set)' -> +OK
        A: ACL LIST -> *2 $209 user bob on #7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~b:* resetchannels &b* -@all +get (~s:* resetchannels -@all +set) $34 user default on nopass ~* &* +@all
        A: ACL GETUSER bob -> *12 $5 flags *1 $2 on $9 passwords *2 $64 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed $64 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b $8 commands $10 -@all +get $4 keys $4 ~b:* $8 channels $3 &b* $9 selectors *1 *6 $8 commands $10 -@all +set $4 keys $4 ~s:* $8 channels $0
        B: AUTH bob two -> -WRONGPASS invalid username-password pair or user is disabled.
        B: AUTH bob one -> +OK
        B: AUTH bob secret -> +OK
        B: ACL WHOAMI -> -NOPERM this user has no permissions to run the 'acl|whoami' command
        B: PING -> -NOPERM this user has no permissions to run the 'ping' command
        B: GET b:1 -> $-1
        B: GET c:1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: SET s:1 x -> +OK
        B: SET b:1 x -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GET s:1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        A: ACL SETUSER bob +ping '+acl|whoami' -> +OK
        B: PING -> +PONG
        B: ACL WHOAMI -> $3 bob
        B: ACL LIST -> -NOPERM this user has no permissions to run the 'acl|list' command
        B: AUTH default x -> +OK
        B: ACL WHOAMI -> $7 default
        A: ACL DELUSER bob nobody -> :1
        A: ACL DELUSER default -> -ERR The 'default' user cannot be removed
        A: ACL SETUSER bob +nope -> -ERR Error in ACL SETUSER modifier '+nope': Unknown command or category name in ACL
        A: ACL SETUSER 'a b' -> -ERR Usernames can't contain spaces or null characters
        A: ACL SETUSER bob '(~x' -> -ERR Unmatched parenthesis in acl selector starting at '(~x'.
        A: ACL USERS -> *1 $7 default
        A: ACL CAT nope -> -ERR Unknown category 'nope'
        A: ACL CAT a b -> -ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.
        A: ACL NOPE -> -ERR unknown subcommand 'NOPE'. Try ACL HELP.
        A: ACL -> -ERR wrong number of arguments for 'acl' command
        A: ACL GENPASS 0 -> -ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096
        A: ACL GENPASS x -> -ERR value is not an integer or out of range
        A: ACL LOG x -> -ERR value is not an integer or out of range
        A: ACL LOG a b -> -ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP.
        A: ACL LOAD -> -ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.
        A: ACL SAVE -> -ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.
        A: ACL SETUSER -> -ERR wrong number of arguments for 'acl|setuser' command
        ",
    );
}

#[test]
fn who_lacks_a_permission_is_told_which() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER bob on nopass ~b* +@all -set -config '-client|kill' &chan* -> +OK
        A: ACL SETUSER hank on nopass -> +OK
        H: AUTH hank x -> +OK
        H: GET b -> -NOPERM this user has no permissions to run the 'get' command
        H: AUTH hank y -> +OK
        H: RESET -> +RESET
        H: PING -> +PONG
        B: AUTH bob x -> +OK
        B: SET b x -> -NOPERM this user has no permissions to run the 'set' command
        B: set b x -> -NOPERM this user has no permissions to run the 'set' command
        B: MSET b 1 c 2 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: MSET b 1 bc 2 -> +OK
        B: GET c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GET -> -ERR wrong number of arguments for 'get' command
        B: CONFIG GET save -> -NOPERM this user has no permissions to run the 'config|get' command
        B: CLIENT KILL 1.2.3.4:5 -> -NOPERM this user has no permissions to run the 'client|kill' command
        B: CLIENT ID x -> -ERR wrong number of arguments for 'client|id' command
        B: PUBLISH chan1 x -> :0
        B: PUBLISH other x -> -NOPERM this user has no permissions to access one of the channels used as arguments
        B: SPUBLISH other x -> -NOPERM this user has no permissions to access one of the channels used as arguments
        B: NOSUCH -> -ERR unknown command 'NOSUCH', with args beginning with:
        ",
    );
}

#[test]
fn permissions_are_checked_at_queueing_and_again_at_exec() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER bob on nopass ~b* +@all &chan* -> +OK
        B: AUTH bob x -> +OK
        B: MULTI -> +OK
        B: SET b x -> +QUEUED
        B: SET c x -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: EXEC -> -EXECABORT Transaction discarded because of previous errors.
        B: MULTI -> +OK
        B: SET b x -> +QUEUED
        B: GET b -> +QUEUED
        B: PUBLISH chan x -> +QUEUED
        A: ACL SETUSER bob -set resetchannels -> +OK
        B: EXEC -> *3 -NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to execute the command or subcommand $-1 -NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to access one of the channels used as arguments
        A: ACL SETUSER bob resetkeys -> +OK
        B: MULTI -> +OK
        B: INCR b -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: EXEC -> -EXECABORT Transaction discarded because of previous errors.
        A: ACL SETUSER bob ~b* -> +OK
        B: MULTI -> +OK
        B: INCR b -> +QUEUED
        A: ACL SETUSER bob resetkeys -> +OK
        B: EXEC -> *1 -NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to touch the specified keys
        A: GET b -> $-1
        ",
    );
}

#[test]
fn a_transaction_that_changes_its_own_user_goes_on_by_the_new_rules() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER bob on nopass ~* +@all -> +OK
        B: AUTH bob x -> +OK
        B: MULTI -> +OK
        B: ACL SETUSER bob -get -> +QUEUED
        B: GET b -> +QUEUED
        B: EXEC -> *2 +OK -NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to execute the command or subcommand
        B: MULTI -> +OK
        B: ACL DELUSER bob -> +QUEUED
        B: SET b x -> +QUEUED
        # In Redis the rest of the transaction runs as the default user.
        B: EXEC -> *2 :1 -NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to execute the command or subcommand <close>
        A: GET b -> $-1
        A: ACL USERS -> *1 $7 default
        ",
    );
}

#[test]
fn connections_of_a_deleted_user_end() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER bob on nopass ~* +@all &* -> +OK
        B: AUTH bob x -> +OK
        C: AUTH bob x -> +OK
        C: BLPOP list 0 -> <wait>
        B: SUBSCRIBE chan -> *3 $9 subscribe $4 chan :1
        A: ACL DELUSER bob -> :1
        B: (reads) -> <killed>
        C: (reads) -> <killed>
        A: RPUSH list x -> :1
        A: LLEN list -> :1
        ",
    );
}

#[test]
fn subscriptions_that_are_no_longer_permitted_end_their_connections() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER bob on nopass ~* +@all &a* &b -> +OK
        B: AUTH bob x -> +OK
        C: AUTH bob x -> +OK
        D: AUTH bob x -> +OK
        B: SUBSCRIBE a1 -> *3 $9 subscribe $2 a1 :1
        C: PSUBSCRIBE a* -> *3 $10 psubscribe $2 a* :1
        D: SSUBSCRIBE b -> *3 $10 ssubscribe $1 b :1
        A: ACL SETUSER bob resetchannels &a1 -> +OK
        B: (reads) ->
        C: (reads) -> <killed>
        D: (reads) -> <killed>
        A: ACL SETUSER bob &a* -> +OK
        B: SUBSCRIBE c -> -NOPERM this user has no permissions to access one of the channels used as arguments
        B: SUBSCRIBE a2 -> *3 $9 subscribe $2 a2 :2
        B: PSUBSCRIBE a* -> *3 $10 psubscribe $2 a* :3
        B: PSUBSCRIBE a1* -> -NOPERM this user has no permissions to access one of the channels used as arguments
        B: UNSUBSCRIBE zzz -> *3 $11 unsubscribe $3 zzz :3
        ",
    );
}

#[test]
fn sort_names_keys_by_patterns_only_for_who_may_read_all() {
    Fixture::new().transcript(
        r#"
        A: RPUSH list 2 1 -> :2
        A: ACL SETUSER bob on nopass ~list ~d +@all -> +OK
        B: AUTH bob x -> +OK
        B: SORT list -> *2 $1 1 $1 2
        B: SORT list BY w_* -> -ERR BY option of SORT denied due to insufficient ACL permissions.
        B: SORT list BY nosort -> *2 $1 2 $1 1
        B: SORT list GET # -> -ERR GET option of SORT denied due to insufficient ACL permissions.
        B: SORT list GET w_* -> -ERR GET option of SORT denied due to insufficient ACL permissions.
        B: SORT_RO list BY w_* -> -ERR BY option of SORT denied due to insufficient ACL permissions.
        B: SORT list STORE d -> :2
        B: SORT list STORE e -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: EVAL "return redis.call('SORT', KEYS[1], 'BY', 'w_*')" 1 list -> -ERR BY option of SORT denied due to insufficient ACL permissions. script: d56bbb32c09764f47e6b0538df6bfd7f373f0e6e, on @user_script:1.
        A: ACL SETUSER bob %R~* -> +OK
        B: SORT list BY w_* GET # GET w_* -> *4 $1 1 $-1 $1 2 $-1
        B: SORT list BY w_* STORE e -> -NOPERM this user has no permissions to access one of the keys used as arguments
        "#,
    );
}

#[test]
fn a_script_has_the_rights_of_its_caller() {
    Fixture::new().transcript(
        r#"
        A: SET c 1 -> +OK
        A: ACL SETUSER bob on nopass ~b* +@all -set &x -> +OK
        B: AUTH bob x -> +OK
        B: EVAL "return redis.call('GET', 'c')" 0 -> -ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: ac3d291306cffc383de6ae4c080eca79f7115406, on @user_script:1.
        B: EVAL "return redis.pcall('GET', 'c')" 1 b -> -ERR The user executing the script can't access at least one of the keys mentioned in the command arguments
        B: EVAL "return redis.pcall('SET', 'b', 1)" 1 b -> -ERR The user executing the script can't run this command or subcommand
        B: EVAL "return redis.pcall('PUBLISH', 'y', 1)" 1 b -> -ERR The user executing the script can't publish to the channel mentioned in the command
        B: EVAL "return 1" 1 c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: EVAL "return {tostring(redis.acl_check_cmd('set', 'b', 1)), tostring(redis.acl_check_cmd('get', 'b')), tostring(redis.acl_check_cmd('get', 'c')), tostring(redis.acl_check_cmd('config', 'get', 'x'))}" 0 -> *4 $5 false $4 true $5 false $4 true
        B: EVAL "return redis.acl_check_cmd('nosuch')" 0 -> -ERR Invalid command passed to redis.acl_check_cmd() script: d2491587bab5149c93be0dce4426f7a06ba9e1a1, on @user_script:1.
        B: FCALL f 1 c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        "#,
    );
}

#[test]
fn no_form_of_a_command_hides_its_keys() {
    Fixture::new().transcript(
        r#"
        A: ACL SETUSER bob on nopass ~b* +@all -> +OK
        B: AUTH bob x -> +OK
        B: MOVE c 1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: COPY b c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: COPY c b -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: RENAME b c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: RENAME c b -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: BITFIELD c GET u8 0 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: BITOP AND b c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: SINTERSTORE b c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: ZUNIONSTORE b 1 c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GEORADIUS b 1 1 1 m STORE c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: XREAD STREAMS c 0 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: LMPOP 1 c LEFT -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: MIGRATE 127.0.0.1 1 c 0 10 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: MIGRATE 127.0.0.1 1 "" 0 10 KEYS c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: OBJECT ENCODING c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: OBJECT FREQ c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: DEBUG OBJECT c -> -ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.
        B: MEMORY USAGE c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: DUMP c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: RESTORE c 0 x -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: TOUCH b c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: WATCH c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: EXISTS c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: XGROUP CREATE c g $ -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: XINFO STREAM c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: PFCOUNT c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: SPUBLISH c x -> -NOPERM this user has no permissions to access one of the channels used as arguments
        B: EVALSHA_RO 0123456789012345678901234567890123456789 1 c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: LPOS c x -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: BLMPOP 0 1 c LEFT -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: KEYS c* -> *0
        B: SUBSTR c 0 1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GETRANGE c 0 1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        "#,
    );
}

#[test]
fn reading_and_writing_are_different_rights() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER bob on nopass %R~r* %W~w* ~b* +@all -> +OK
        B: AUTH bob x -> +OK
        B: SET w x -> +OK
        B: SET w x GET -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: SET r x -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GET w -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GET r -> $-1
        B: COPY r w -> :0
        B: COPY w r -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: BITFIELD r GET u8 0 -> *1 :0
        B: BITFIELD r SET u8 0 1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: BITFIELD w SET u8 0 1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GETDEL w -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: INCR w -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: APPEND w x -> :2
        B: LMOVE r w LEFT LEFT -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: STRLEN w -> :2
        B: TYPE w -> +string
        B: EXPIRE r 1 -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: EXISTS w -> :1
        B: DEL r -> -NOPERM this user has no permissions to access one of the keys used as arguments
        ",
    );
}

#[test]
fn a_dry_run_tells_what_is_missing() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER bob on nopass %R~r* &x* +get +set +subscribe +psubscribe '+config|get' '+select|0' -> +OK
        A: ACL DRYRUN nobody get x -> -ERR User 'nobody' not found
        A: ACL DRYRUN bob nosuch -> -ERR Command 'nosuch' not found
        A: ACL DRYRUN bob get -> -ERR wrong number of arguments for 'get' command
        A: ACL DRYRUN bob get r -> +OK
        A: ACL DRYRUN bob get w -> $50 This user has no permissions to access the 'w' key
        A: ACL DRYRUN bob set r x -> $50 This user has no permissions to access the 'r' key
        A: ACL DRYRUN bob incr r -> $54 This user has no permissions to run the 'incr' command
        A: ACL DRYRUN bob subscribe x1 y -> $54 This user has no permissions to access the 'y' channel
        A: ACL DRYRUN bob psubscribe x* -> +OK
        A: ACL DRYRUN bob psubscribe x1* -> $56 This user has no permissions to access the 'x1*' channel
        A: ACL DRYRUN bob config get x -> +OK
        A: ACL DRYRUN bob config set x y -> $60 This user has no permissions to run the 'config|set' command
        A: ACL DRYRUN bob config nope x -> -ERR Command 'config' not found
        A: ACL DRYRUN bob select 0 -> +OK
        A: ACL DRYRUN bob select 1 -> $56 This user has no permissions to run the 'select' command
        A: ACL DRYRUN bob auth x -> +OK
        ",
    );
}

#[test]
fn the_default_user_may_have_a_password_and_fewer_rights() {
    Fixture::new().transcript(
        "
        A: ACL SETUSER default -debug -> +OK
        A: ACL SETUSER admin on nopass +@all ~* &* -> +OK
        C: AUTH admin x -> +OK
        C: ACL SETUSER default off -> +OK
        B: PING -> -NOAUTH Authentication required.
        A: PING -> +PONG
        B: AUTH x -> -ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
        B: HELLO 3 -> -NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time
        C: ACL SETUSER default on >pass -> +OK
        B: PING -> -NOAUTH Authentication required.
        B: AUTH pass -> +OK
        B: PING -> +PONG
        A: RESET -> +RESET
        A: PING -> -NOAUTH Authentication required.
        C: ACL SETUSER default nopass -ping -> +OK
        D: PING -> -NOPERM this user has no permissions to run the 'ping' command
        D: ECHO x -> $1 x
        C: CLIENT KILL USER nobody -> -ERR No such user 'nobody'
        C: CLIENT KILL USER default -> :3
        C: CONFIG SET requirepass new -> +OK
        C: CONFIG SET requirepass '' -> +OK
        C: ACL SETUSER default >other -> +OK
        C: CONFIG SET requirepass '' -> +OK
        ",
    );
}

/// The fields `count`, `reason`, `context`, `object`, `username` and the client's `cmd` of ACL LOG.
fn logged(fixture: &mut Fixture) -> Vec<String> {
    let log = fixture.run("A", "ACL LOG");
    let field = |entry: &str, name: &str| {
        let rest = entry.split(&format!(" {name} ")).nth(1).expect("a field");
        let rest = rest.trim_start_matches(|c: char| c == '$' || c.is_ascii_digit());
        rest.trim_start_matches([' ', ':']).split(' ').next().expect("a value").to_owned()
    };
    let entry = |entry: &str| {
        let shown = ["reason", "context", "object", "username"].map(|name| field(entry, name));
        let command = entry.split("cmd=").nth(1).and_then(|rest| rest.split(' ').next());
        let count = entry.split(':').nth(1).and_then(|rest| rest.split(' ').next());
        format!("{} {} {}", count.expect("a count"), shown.join(" "), command.expect("a client"))
    };
    log.split("$5 count").skip(1).map(entry).collect()
}

#[test]
fn denials_are_logged_with_what_led_to_them() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: ACL SETUSER bob on nopass ~b* +@all -set &x -> +OK
        A: ACL LOG RESET -> +OK
        B: AUTH nobody x -> -WRONGPASS invalid username-password pair or user is disabled.
        B: AUTH bob x -> +OK
        B: GET c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: GET c -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: SET b x -> -NOPERM this user has no permissions to run the 'set' command
        B: MULTI -> +OK
        B: GET d -> -NOPERM this user has no permissions to access one of the keys used as arguments
        B: DISCARD -> +OK
        B: PUBLISH y z -> -NOPERM this user has no permissions to access one of the channels used as arguments
        A: ACL LOG 0 -> *0
        A: ACL LOG -1 -> *0
        ",
    );
    fixture.run("B", "EVAL \"return redis.pcall('CONFIG', 'SET', 'a')\" 0");
    fixture.run("B", "EVAL \"return redis.pcall('GET', 'e')\" 0");
    assert_eq!(
        logged(&mut fixture),
        [
            "1 key lua e bob eval",
            "1 channel toplevel y bob publish",
            "1 key multi d bob get",
            "1 command toplevel set bob set",
            "2 key toplevel c bob get",
            "1 auth toplevel AUTH nobody auth",
        ]
    );
    fixture.run("A", "CONFIG SET acllog-max-len 1");
    fixture.run("B", "GET f");
    assert_eq!(logged(&mut fixture), ["1 key toplevel f bob get"]);
}

#[test]
fn clients_are_listed_and_ended_by_user() {
    let mut fixture = Fixture::new();
    fixture.transcript(
        "
        A: ACL SETUSER bob on nopass +@all -> +OK
        B: AUTH bob x -> +OK
        C: AUTH bob x -> +OK
        C: AUTH default x -> +OK
        ",
    );
    let list = fixture.run("A", "CLIENT LIST");
    let users: Vec<&str> =
        list.split(" user=").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    assert_eq!(users, ["default", "bob", "default"]);
    fixture.transcript(
        "
        A: CLIENT KILL USER bob -> :1
        B: (reads) -> <killed>
        C: PING -> +PONG
        ",
    );
}

#[test]
fn a_new_password_is_not_set_again_by_the_same_setting() {
    Fixture::new().transcript(
        "
        A: CONFIG SET requirepass one -> +OK
        A: ACL SETUSER default >two -> +OK
        A: CONFIG SET requirepass one -> +OK
        B: AUTH two -> +OK
        A: CONFIG SET requirepass three -> +OK
        C: AUTH two -> -WRONGPASS invalid username-password pair or user is disabled.
        C: AUTH three -> +OK
        ",
    );
}

#[test]
fn a_running_script_loses_the_rights_that_its_user_loses() {
    let mut fixture = Fixture::new();
    fixture.run("A", "ACL SETUSER bob on nopass ~* &* +@all");
    fixture.run("B", "AUTH bob x");
    let mut script = Client::of_scripts();
    script.act_for(fixture.client("B"));
    fixture.run("A", "ACL SETUSER bob -set");
    let node = fixture.node();
    assert!(script.user().expect("bob").is_unrestricted(), "it has not looked yet");
    script.follow(&node.acl, node.admission.epoch());
    assert!(!script.user().expect("bob").is_unrestricted() && !script.closing);
    fixture.run("A", "ACL DELUSER bob");
    let node = fixture.node();
    script.follow(&node.acl, node.admission.epoch());
    assert!(script.closing && !script.user().expect("what is left").is_enabled());
}
