#!/usr/bin/env bash
# Real programs and client libraries against limpid, unchanged.
#
#   run.sh [PART]...     all parts, or some of:
#     tools      redis-cli's walks, redis-benchmark, redis-check-rdb
#     modes      locks, limiters and job queues of Python: plain, with a password, over TLS, and across a
#                failover by three sentinels (modes.py)
#     redis-py   redis-py's own tests, synchronous and asyncio
#     walrus     walrus's own tests: containers, models, locks, search and streams
#     fakeredis  fakeredis's own tests, those that run on a server too, in RESP2 and RESP3
#     redis-rs   redis-rs's own tests, synchronous and asynchronous, with RESP2 and RESP3
#
# Needs redis-tools, redis-sentinel, openssl, python3 with venv, pip's package index, and cargo. Prints a
# line per check. The failures of a library's own tests must be those of its file *_expected.txt, each with
# its reason: another failure fails, and so does a listed test that passes. Nothing may listen at port 6379.
#
#   PROGRAMS_SERVER    a server binary, in place of a release build
#   PROGRAMS_PORT      the first of 20 ports (16399)
#   PROGRAMS_SLOWNESS  limits of time are so many times longer (1)
set -euo pipefail
cd "$(dirname "$0")/../.."

REDIS_PY=5.0.8
REDIS_RS=1.8.1
REDIS_RS_TEST=1.0.4
WALRUS=0.9.8
FAKEREDIS=2.41.0
PORT=${PROGRAMS_PORT:-16399}
here=$PWD/tests/programs
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

failed=0
ok() { printf 'ok    %s\n' "$*"; }
fail() { printf 'FAIL  %s\n' "$*"; failed=1; }

parts=("$@")
[ $# -gt 0 ] || parts=(tools modes redis-py walrus fakeredis redis-rs)
wanted() { [[ " ${parts[*]} " == *" $1 "* ]]; }

binary=${PROGRAMS_SERVER:-}
if [ -z "$binary" ]; then
    cargo build --release --locked --quiet
    binary=${CARGO_TARGET_DIR:-target}/release/limpid-server
fi
binary=$(realpath "$binary")

cli() { redis-cli -p "$PORT" "$@"; }
start_server() {
    mkdir -p "$work/data"
    "$binary" --port "$PORT" --dir "$work/data" --admin-port 0 --enable-debug-command yes --save "" >"$work/log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        [ "$(cli ping 2>/dev/null)" = PONG ] && return
        sleep 0.1
    done
    fail "the server does not answer: $(tail -1 "$work/log")"
    exit 1
}
stop_server() {
    kill "$server"
    wait "$server" || fail "the server ended with $?"
    server=
}

# new_python NAME FILE: makes a venv with the packages of a file, and sets $python to its interpreter.
new_python() {
    python3 -m venv "$work/$1"
    python=$work/$1/bin/python
    "$python" -m pip -q install -r "$2"
}

# judge NAME FAILED PASSED: compares the files of test names with what is expected to fail.
judge() {
    sort -u "$2" -o "$2"
    sed -n '/^[^#]/s/ .*//p' "$here/$1_expected.txt" | sort >"$work/expected"
    local unexpected mended
    unexpected=$(comm -23 "$2" "$work/expected")
    mended=$(comm -13 "$2" "$work/expected")
    [ -z "$unexpected" ] || fail "$1: these failed: $unexpected"
    [ -z "$mended" ] || fail "$1: these are listed but did not fail: $mended"
    [ "$3" -gt 0 ] || fail "$1: nothing passed"
    [ -n "$unexpected$mended" ] || ok "$1: $3 tests pass, $(wc -l <"$2") do not, as listed"
}

tools() {
    start_server
    {
        seq 1 20000 | sed 's/.*/SET string:& value/'
        seq 1 5000 | sed 's/.*/RPUSH list element-&/'
        seq 1 5000 | sed 's/.*/SADD set member-&/'
        seq 1 5000 | sed 's/.*/HSET hash field-& value-&/'
        seq 1 5000 | sed 's/.*/ZADD zset & member-&/'
        seq 1 5000 | sed 's/.*/XADD stream * field value-&/'
    } | sed 's/$/\r/' | cli --pipe >"$work/pipe"
    grep -q 'errors: 0, replies: 45000' "$work/pipe" || fail "redis-cli --pipe: $(tail -1 "$work/pipe")"
    ok "redis-cli --pipe of 45,000 commands"
    cli --bigkeys >"$work/bigkeys"
    for kind in list set hash zset stream; do
        grep -Eq "Biggest +$kind found '\"$kind\"' has 5000" "$work/bigkeys" || fail "redis-cli --bigkeys: $kind"
    done
    ok "redis-cli --bigkeys finds the largest of each type"
    cli --memkeys >"$work/memkeys"
    grep -q 'Biggest *zset found .*zset' "$work/memkeys" || fail "redis-cli --memkeys"
    ok "redis-cli --memkeys"
    cli --rdb "$work/copy.rdb" >/dev/null
    redis-check-rdb "$work/copy.rdb" >"$work/check" || fail "redis-check-rdb: $(tail -1 "$work/check")"
    ok "redis-cli --rdb, and redis-check-rdb likes it"
    redis-benchmark -p "$PORT" -q >"$work/benchmark" 2>&1 || fail "redis-benchmark"
    ! grep -qi err "$work/benchmark" || fail "redis-benchmark: $(grep -i err "$work/benchmark")"
    ok "redis-benchmark: $(grep -c 'requests per second' <(tr '\r' '\n' <"$work/benchmark")) lines"
    stop_server
}

modes() {
    new_python programs "$here/requirements.txt"
    "$python" "$here/modes.py" "$binary" "$((PORT + 1))" || fail "programs"
}

# new_tests NAME PACKAGE VERSION: makes a venv for a library's tests, and unpacks its source.
new_tests() {
    new_python "$1-venv" "$here/$1_requirements.txt"
    "$python" -m pip -q download --no-binary :all: --no-deps -d "$work" "$2==$3"
    tar xzf "$work/$2-$3.tar.gz" -C "$work"
}

# judge_tests NAME: compares what pytest told of a library's tests with what is expected.
judge_tests() {
    sed -nE 's/^(FAILED|ERROR) ([^ ]*\.py[^ ]*).*/\2/p' "$work/$1" >"$work/failed"
    judge "$1" "$work/failed" "$(grep -c ^PASSED "$work/$1")"
}

redis_py() {
    new_tests redis_py redis "$REDIS_PY"
    start_server
    (
        cd "$work/redis-$REDIS_PY"
        # Without tests of modules, clusters, and of TLS with certificates that are not published.
        # Three tests fail on a busy machine, against redis-server as well: their own limits are seconds.
        find tests -name 'test_*.py' | grep -Ev 'bloom|graph|json|search|timeseries|cluster|test_ssl' | sort >files
        xargs "$python" -m pytest -q -W ignore -p no:cacheprovider -o asyncio_mode=auto --timeout 120 -rA \
            -m 'not redismod and not onlycluster and not replica' --timeout-method signal \
            -k 'not test_reconnect_socket_error and not test_late_subscribe and not test_pubsub_deadlock' \
            --redis-url "redis://127.0.0.1:$PORT/9" <files || true
    ) >"$work/redis_py" 2>&1
    stop_server
    judge_tests redis_py
}

walrus() {
    new_tests walrus walrus "$WALRUS"
    start_server
    (
        cd "$work/walrus-$WALRUS"
        WALRUS_REDIS_PORT=$PORT "$python" -m pytest -q -W ignore -p no:cacheprovider --timeout 120 -rA \
            --timeout-method signal -o python_files=__init__.py walrus/tests/__init__.py || true
    ) >"$work/walrus" 2>&1
    stop_server
    judge_tests walrus
}

fakeredis() {
    new_tests fakeredis fakeredis "$FAKEREDIS"
    start_server
    (
        cd "$work/fakeredis-$FAKEREDIS"
        sed -i "s/\b6390\b/$PORT/" test/conftest.py test/test_async/test_asyncredis.py
        # Without tests of modules and of other servers.
        "$python" -m pytest -q -W ignore -p no:cacheprovider --timeout 120 -rA --timeout-method signal -m real \
            test/test_mixins test/test_async test/test_keyspace_notifications.py || true
    ) >"$work/fakeredis" 2>&1
    stop_server
    judge_tests fakeredis
}

redis_rs() {
    # cargo fetches the source of a dependency, with its tests.
    mkdir -p "$work/fetch/src" "$work/macros/src" "$work/bin"
    touch "$work/fetch/src/lib.rs"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\n[dependencies]\nredis = "=%s"\n' "$REDIS_RS" \
        >"$work/fetch/Cargo.toml"
    local manifest
    manifest=$(cargo metadata --quiet --format-version 1 --manifest-path "$work/fetch/Cargo.toml" |
        grep -o "\"manifest_path\":\"[^\"]*/redis-$REDIS_RS/Cargo.toml\"" | cut -d'"' -f4)
    cp -r "$(dirname "$manifest")" "$work/redis-rs"
    # What the tests need of redis-rs's repository: redis-test, and an attribute that is not published.
    printf '[package]\nname = "test-macros"\nversion = "0.0.0"\nedition = "2024"\n[lib]\nproc-macro = true\n' \
        >"$work/macros/Cargo.toml"
    cp "$here/redis_rs_macros.rs" "$work/macros/src/lib.rs"
    cat >>"$work/redis-rs/Cargo.toml" <<END
[dev-dependencies.redis-test]
version = "=$REDIS_RS_TEST"
[dev-dependencies.test-macros]
path = "../macros"
[patch.crates-io.redis]
path = "."
END
    # The tests start servers by this name.
    cat >"$work/bin/redis-server" <<END
#!/bin/sh
[ "\$1" != -v ] || exec "$binary" -v
exec "$binary" "\$@" --admin-port 0
END
    chmod +x "$work/bin/redis-server"
    # Without tests of modules, clusters and TLS; those that need no server; those of sentinels, which read
    # before all replicas are known; and those that change a password every half a second, by the clock.
    # The library waits for a reply half a second: on a busy machine others fail, against redis-server as well.
    local tests=(acl async basic cache geospatial script streams) protocol
    for protocol in RESP2 RESP3; do
        echo "protocol $protocol"
        PATH=$work/bin:$PATH PROTOCOL=$protocol CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/redis-rs \
            cargo test --manifest-path "$work/redis-rs/Cargo.toml" --no-fail-fast \
            --features tokio-comp,connection-manager,cache-aio \
            "${tests[@]/#/--test=test_}" -- --test-threads 1 || true
    done >"$work/redis_rs" 2>&1
    # Each test is named by its protocol, its file and its own name. Its result may stand some lines below.
    awk '$1 == "protocol" { protocol = $2 }
        $1 == "Running" { sub(".*/", "", $2); sub("[.]rs$", "", $2); file = $2 }
        $1 == "test" && $3 == "..." { name = protocol "::" file "::" $2 }
        name && (NF == 1 || ($1 == "test" && NF == 4)) && $NF ~ /^(ok|FAILED)$/ { print $NF, name; name = "" }
        ' "$work/redis_rs" >"$work/results"
    [ "$(grep -c '^test result:' "$work/redis_rs")" -eq $((2 * ${#tests[@]})) ] || fail "redis_rs: a file did not end"
    sed -n 's/^FAILED //p' "$work/results" >"$work/failed"
    judge redis_rs "$work/failed" "$(grep -c '^ok' "$work/results")"
}

! wanted tools || tools
! wanted modes || modes
! wanted redis-py || redis_py
! wanted walrus || walrus
! wanted fakeredis || fakeredis
! wanted redis-rs || redis_rs
exit $failed
