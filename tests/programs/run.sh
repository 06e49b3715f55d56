#!/usr/bin/env bash
# Real programs against limpid, unchanged: redis-cli's walks, redis-benchmark, redis-py's own tests of
# the data types, and a job queue of which a worker is killed on the way.
#
# Needs redis-tools, python3 with venv, pip's package index, and cargo. Prints one line per check.
set -euo pipefail
cd "$(dirname "$0")/../.."

REDIS_PY=5.0.8
PORT=${LIMPID_PORT:-16399}
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

ok() { printf 'ok    %s\n' "$*"; }
fail() { printf 'FAIL  %s\n' "$*"; exit 1; }

cargo build --release --locked --quiet
target/release/limpid-server --port "$PORT" --dir "$work" --admin-port 0 --enable-debug-command yes \
    --save "" >"$work/log" 2>&1 &
server=$!
cli() { redis-cli -p "$PORT" "$@"; }
for _ in $(seq 100); do
    [ "$(cli ping 2>/dev/null)" = PONG ] && break
    sleep 0.1
done

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
cli flushall >/dev/null

python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q download --no-binary :all: --no-deps -d "$work" "redis==$REDIS_PY" 2>/dev/null
tar xzf "$work/redis-$REDIS_PY.tar.gz" -C "$work"
"$work/venv/bin/pip" -q install "$work/redis-$REDIS_PY" pytest pytest-asyncio pytest-timeout rq
(
    cd "$work/redis-$REDIS_PY"
    "$work/venv/bin/python" -m pytest tests/test_commands.py -q -W ignore -p no:cacheprovider \
        --timeout 30 --redis-url "redis://127.0.0.1:$PORT/9" -rA || true
) >"$work/tests" 2>&1
# What fails on redis-server 7.0.15 too, or needs what limpid does not have yet, with its reason.
sed -n 's/^FAILED \([^ ]*\).*/\1/p; s/^ERROR \([^ ]*\).*/\1/p' "$work/tests" | sort >"$work/failed"
sed -n 's/^\(tests[^ ]*\) .*/\1/p' tests/programs/redis_py_expected.txt | sort >"$work/expected"
comm -23 "$work/failed" "$work/expected" >"$work/unexpected"
[ ! -s "$work/unexpected" ] || fail "redis-py: $(cat "$work/unexpected")"
ok "redis-py $REDIS_PY: $(grep -c ^PASSED "$work/tests") tests pass, $(wc -l <"$work/failed") known not to"
cli flushall >/dev/null

"$work/venv/bin/python" tests/programs/jobs.py "$PORT" || fail "rq"
ok "rq: 1,000 jobs done, a worker killed on the way"
