//! Scripts and functions as commands: arguments, rights, effects. What Lua itself does is tested in
//! `scripting`.

use crate::engine::fixture::Fixture;

#[test]
fn arguments_and_unknown_scripts_are_refused_as_in_redis() {
    Fixture::new().transcript(
        "
        a: EVAL 'return 1' -> -ERR wrong number of arguments for 'eval' command
        a: EVAL 'return 1' x -> -ERR value is not an integer or out of range
        a: EVAL 'return 1' -1 -> -ERR Number of keys can't be negative
        a: EVAL 'return 1' 1 -> -ERR Number of keys can't be greater than number of args
        a: EVALSHA abc 0 -> -NOSCRIPT No matching script. Please use EVAL.
        a: EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0 -> -NOSCRIPT No matching script. Please use EVAL.
        a: SCRIPT LOAD 'return 1' -> $40 e0e1f9fabfc9d4800c877a703b823ac0578ff8db
        a: EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0 -> :1
        a: SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db abc -> *2 :1 :0
        a: SCRIPT FLUSH SLOW -> -ERR SCRIPT FLUSH only support SYNC|ASYNC option
        a: SCRIPT FLUSH SYNC -> +OK
        a: SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db -> *1 :0
        a: SCRIPT KILL -> -NOTBUSY No scripts in execution right now.
        a: FCALL f 0 -> -ERR Function not found
        a: COMMAND GETKEYS EVAL x 0 -> *0
        a: COMMAND GETKEYS EVAL x 1 k -> *1 $1 k
        ",
    );
}

#[test]
fn a_script_selects_for_itself_and_nothing_blocks_it() {
    Fixture::new().transcript(
        r##"
        a: EVAL "redis.call('select', 3) redis.call('set', 'k', 'v') return redis.call('get', 'k')" 0 -> $1 v
        a: GET k -> $-1
        a: EVAL "return redis.call('blpop', 'list', 0)" 0 -> -ERR This Redis command is not allowed from script script: 6756c11d1cee6a06dd71dfc88c86e5cfb5a0e7d8, on @user_script:1.
        a: EVAL "return redis.pcall('xread', 'block', 0, 'streams', 's', '$')" 0 -> -ERR xread command is not allowed with BLOCK option from scripts
        a: EVAL "return redis.pcall('subscribe', 'c')" 0 -> -ERR This Redis command is not allowed from script
        a: EVAL_RO "return redis.pcall('set', 'k', 1)" 0 -> -ERR Write commands are not allowed from read-only scripts.
        a: EVAL "#!lua flags=no-writes\nreturn redis.pcall('set', 'k', 1)" 0 -> -ERR Write commands are not allowed from read-only scripts.
        a: EVAL_RO "#!lua\nreturn 1" 0 -> -ERR Can not execute a script with write flag using *_ro command.
        "##,
    );
}

#[test]
fn a_script_leaves_nothing_of_its_client_to_the_next() {
    Fixture::new().transcript(
        r#"
        a: SET k of-0 -> +OK
        a: SELECT 5 -> +OK
        a: EVAL "redis.setresp(3) return redis.call('get', 'k')" 0 -> $-1
        b: EVAL "return {redis.call('get', 'k'), redis.call('get', 'none')}" 0 -> *2 $4 of-0 $-1
        b: EVAL "redis.call('select', 5) return redis.call('set', 'k', 'of-5')" 0 -> +OK
        a: EVAL "return redis.call('get', 'k')" 0 -> $4 of-5
        b: EVAL "return redis.call('get', 'k')" 0 -> $4 of-0
        a: ACL SETUSER bob on nopass ~* +@all -set -> +OK
        c: AUTH bob x -> +OK
        c: EVAL "return redis.pcall('set', 'k', 1)" 0 -> -ERR The user executing the script can't run this command or subcommand
        b: EVAL "return redis.pcall('set', 'k', 1)" 0 -> +OK
        c: EVAL "return redis.pcall('set', 'k', 1)" 0 -> -ERR The user executing the script can't run this command or subcommand
        c: EVAL "return redis.call('get', 'k')" 0 -> $1 1
        "#,
    );
}

#[test]
fn scripts_run_within_transactions_and_serve_those_who_wait() {
    Fixture::new().transcript(
        r#"
        b: BLPOP list 0 -> <wait>
        a: MULTI -> +OK
        a: EVAL "redis.call('rpush', KEYS[1], 'x') return redis.call('llen', KEYS[1])" 1 list -> +QUEUED
        a: EVAL "return redis.call('rpush', 'other', 'y')" 0 -> +QUEUED
        a: EXEC -> *2 :1 :1
        b: (reads) -> *2 $4 list $1 x
        a: LLEN list -> :0
        "#,
    );
}

#[test]
fn functions_are_loaded_called_listed_and_restored() {
    Fixture::new().transcript(
        r##"
        a: FUNCTION LOAD "#!lua name=lib\nredis.register_function('f', function(keys, args) return args[1] end)" -> $3 lib
        a: FUNCTION LOAD "#!lua name=lib\nredis.register_function('f', function() return 2 end)" -> -ERR Library 'lib' already exists
        a: FCALL f 0 arg -> $3 arg
        a: FUNCTION LOAD REPLACE "#!lua name=lib\nredis.register_function('f', function() return 2 end)" -> $3 lib
        a: FCALL F 0 arg -> :2
        a: FCALL_RO f 0 -> -ERR Can not execute a script with write flag using *_ro command.
        a: FUNCTION LIST -> *1 *6 $12 library_name $3 lib $6 engine $3 LUA $9 functions *1 *6 $4 name $1 f $11 description $-1 $5 flags *0
        a: FUNCTION STATS -> *4 $14 running_script $-1 $7 engines *2 $3 LUA *4 $15 libraries_count :1 $15 functions_count :1
        a: FUNCTION DELETE none -> -ERR Library not found
        a: FUNCTION DELETE lib -> +OK
        a: FCALL f 0 -> -ERR Function not found
        a: FUNCTION RESTORE abc -> -ERR DUMP payload version or checksum are wrong
        "##,
    );
}
