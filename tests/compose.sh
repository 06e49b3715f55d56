#!/usr/bin/env bash
# Brings docker-compose.yml up as it is and puts it to the test: replication, restarts, a master
# that comes back empty, a change of roles, what Prometheus scraped, the dashboard's queries, and
# the image itself. Needs docker with its compose plugin, redis-cli, curl, jq and python3.
set -Eeuo pipefail
cd "$(dirname "$0")/.."

project=limpid-test-$$
work=$(mktemp -d)

# Ports that are free now, so that nothing clashes with servers of this machine.
read -r MASTER_PORT REPLICA_1_PORT REPLICA_2_PORT MASTER_ADMIN_PORT REPLICA_1_ADMIN_PORT \
    REPLICA_2_ADMIN_PORT PROMETHEUS_PORT ALONE_PORT < <(python3 - <<'PYTHON'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
print(*(each.getsockname()[1] for each in sockets))
PYTHON
)
export MASTER_PORT REPLICA_1_PORT REPLICA_2_PORT MASTER_ADMIN_PORT REPLICA_1_ADMIN_PORT
export REPLICA_2_ADMIN_PORT PROMETHEUS_PORT

declare -A resp=([master]=$MASTER_PORT [replica-1]=$REPLICA_1_PORT [replica-2]=$REPLICA_2_PORT)
declare -A admin=([master]=$MASTER_ADMIN_PORT [replica-1]=$REPLICA_1_ADMIN_PORT
    [replica-2]=$REPLICA_2_ADMIN_PORT)
nodes=(master replica-1 replica-2)

compose() { docker compose --project-name "$project" --progress quiet "$@"; }

clean_up() {
    local status=$?
    if [ "$status" -ne 0 ]; then
        echo "--- what the containers say"
        compose ps --all || true
        compose logs --no-color --tail 25 "${nodes[@]}" || true
    fi
    docker rm --force --volumes "$project-alone" >/dev/null 2>&1 || true
    docker volume rm --force "$project-alone" >/dev/null 2>&1 || true
    compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'echo "FAIL  line $LINENO: $BASH_COMMAND" >&2' ERR

part() { printf -- '--- %s (%s s)\n' "$*" "$SECONDS"; }
ok() { printf 'ok    %s\n' "$*"; }
fail() {
    printf 'FAIL  %s\n' "$*" >&2
    exit 1
}

# equal WHAT EXPECTED ACTUAL
equal() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
    ok "$1: $3"
}

# eventually SECONDS WHAT COMMAND...: until the command succeeds.
eventually() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "not in time: $what"
        sleep 0.2
    done
    ok "$what"
}

ask() { # ask NODE COMMAND...
    local node=$1
    shift
    redis-cli -p "${resp[$node]}" "$@" | tr -d '\r'
}
field() { ask "$1" info replication stats | sed -n "s/^$2://p"; }
fields_are() { [ "$(field "$1" "$2")" = "$3" ]; }
page() { curl -sS --max-time 5 "http://127.0.0.1:${admin[$1]}$2"; }
container() { compose ps --all --quiet "$1"; }
health() { docker inspect --format '{{.State.Health.Status}}' "$(container "$1")"; }
is_healthy() { [ "$(health "$1")" = healthy ]; }
has() { [ "$(ask "$1" get "$2")" = "$3" ]; }
# How many replicas acknowledge a write within so many milliseconds. One connection: WAIT is about
# the writes of its own.
acknowledged() { printf 'INCR writes\nWAIT 2 %s\n' "$2" | ask "$1" | tail -n 1; }
acknowledges() { [ "$(acknowledged "$1" 1000)" = "$2" ]; }

# A checksum over keys, values and expiry times. DEBUG DIGEST would do; it is off as shipped.
digest() {
    ask "$1" --scan | LC_ALL=C sort | sed 's/.*/DUMP &\nPEXPIRETIME &/' \
        | redis-cli -p "${resp[$1]}" | sha256sum | cut -c 1-16
}
same_digests() {
    local of_master
    of_master=$(digest "$1")
    for node in "${nodes[@]}"; do [ "$(digest "$node")" = "$of_master" ] || return 1; done
}

query() {
    curl -sS --max-time 5 --get "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query" \
        --data-urlencode "query=$1" | jq -r '.data.result[].value[1]'
}
query_is() { [ "$(query "$1" | sort -u | tr '\n' ' ')" = "$2 " ]; }

part "build and start"
compose up --detach --build
ok "built and started in $SECONDS s"
for service in "${nodes[@]}" prometheus; do
    eventually 60 "$service is healthy" is_healthy "$service"
done

part "replication"
{
    seq 1 400 | sed 's/.*/SET key:& value-&/'
    seq 1 50 | sed 's/.*/SET passing:& & EX 3600/'
    seq 1 50 | sed 's/.*/SETRANGE binary:& & "\\x00\\xff"/'
    seq 1 600 | sed 's/.*/RPUSH list element-&/'
    seq 1 300 | sed 's/.*/SADD numbers &/'
    seq 1 60 | sed 's/.*/HSET hash field-& value-&/'
    seq 1 100 | sed 's/.*/ZADD scores &.5 member-&/'
    seq 1 300 | sed 's/.*/XADD stream * field value-&/'
    echo 'GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania'
    echo 'PFADD visitors a b c d e'
} | ask master >/dev/null
ask master set greeting hello >/dev/null
for node in replica-1 replica-2; do
    eventually 10 "a write reaches $node" has "$node" greeting hello
done
equal "WAIT 2 with two replicas" 2 "$(acknowledged master 1000)"
equal "keys of replica-2" 509 "$(ask replica-2 dbsize)"
eventually 10 "equal digests" same_digests master

compose stop replica-2
equal "WAIT 2 with one replica stopped" 1 "$(acknowledged master 500)"
compose start replica-2
eventually 30 "replica-2 is healthy again" is_healthy replica-2
equal "WAIT 2 with it back" 2 "$(acknowledged master 1000)"

part "a cut network"
timeouts() {
    for node in master replica-1; do
        ask "$node" config set repl-timeout "$1" repl-ping-replica-period "$2" >/dev/null
    done
}
timeouts 3 1
full=$(field master sync_full)
partial=$(field master sync_partial_ok)
docker network disconnect "${project}_default" "$(container replica-1)"
equal "WAIT 2 with the network to replica-1 cut" 1 "$(acknowledged master 500)"
seq 1 100 | sed 's/.*/SET cut:& &/' | ask master >/dev/null
eventually 20 "the master lets it go" fields_are master connected_slaves 1
docker network connect --alias replica-1 "${project}_default" "$(container replica-1)"
eventually 30 "replica-1 is back" fields_are master connected_slaves 2
eventually 10 "WAIT 2 gives 2" acknowledges master 2
equal "full resyncs" "$full" "$(field master sync_full)"
[ "$(field master sync_partial_ok)" -gt "$partial" ] || fail "no partial resync"
ok "partial resyncs: $partial before, $(field master sync_partial_ok) after"
eventually 10 "equal digests" same_digests master
timeouts 60 10

part "what Prometheus has"
ask master get greeting >/dev/null
ask master get nothing >/dev/null
eventually 30 "three targets are up" query_is 'sum(up{job="redis"})' 3
eventually 30 "redis_connected_slaves is 2" query_is 'redis_connected_slaves{instance="master"}' 2
offsets='redis_slave_repl_offset or redis_connected_slave_offset_bytes or redis_master_repl_offset'
eventually 60 "the offsets meet" query_is "max($offsets) - min($offsets)" 0
ok "at $(query 'redis_master_repl_offset{instance="master"}')"

cat >"$work/dashboard.py" <<'PYTHON'
"""Asks Prometheus each query of the dashboard, until all have data or time is up."""
import json, re, sys, time, urllib.parse, urllib.request

dashboard = json.load(open("deploy/grafana/dashboards/limpid.json"))
queries = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])}
for variable in dashboard["templating"]["list"]:
    if variable["type"] == "query":
        queries.add(re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])[1])
for name, value in [("$__rate_interval", "1m"), ("$cluster", "limpid"), ("$instance", ".+")]:
    queries = {query.replace(name, value) for query in queries}
assert not any("$" in query for query in queries), queries

def is_empty(query):
    url = f"http://127.0.0.1:{sys.argv[1]}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    result = json.load(urllib.request.urlopen(url, timeout=5))["data"]["result"]
    return not any(sample["value"][1] != "NaN" for sample in result)

empty, deadline = queries, time.time() + 60
while (empty := {query for query in empty if is_empty(query)}) and time.time() < deadline:
    time.sleep(1)
print(*(f"no data: {query}" for query in empty), sep="\n", end="\n" if empty else "")
print(f"{len(queries) - len(empty)} of {len(queries)}")
sys.exit(bool(empty))
PYTHON
answered=$(python3 "$work/dashboard.py" "$PROMETHEUS_PORT") || fail "the dashboard: $answered"
ok "queries of the dashboard with data: $answered"

part "promtool"
promtool() { compose exec -T --workdir /etc/prometheus prometheus promtool "$@"; }
promtool check config prometheus.yml >"$work/config" || fail "$(<"$work/config")"
ok "check config"
promtool check rules rules/recording.yml rules/alerts.yml >"$work/rules" || fail "$(<"$work/rules")"
ok "check rules"
promtool test rules tests/alerts.yml >"$work/tests" || fail "$(<"$work/tests")"
ok "test rules"
sed -n 's/.*- alert: //p' deploy/prometheus/rules/alerts.yml | while read -r alert; do
    grep -q "alertname: $alert\$" deploy/prometheus/tests/alerts.yml || fail "$alert has no test"
    grep -q "^## $alert\$" deploy/runbooks.md || fail "$alert has no runbook"
done
ok "every alert has a test and a runbook"
# Names of redis_exporter that promtool would have otherwise, and that dashboards know.
known="redis_aof_current_rewrite_duration_sec redis_aof_last_rewrite_duration_sec \
redis_current_eviction_exceeded_time_ms redis_dump_payload_sanitizations \
redis_eviction_exceeded_time_ms_total redis_expire_cycle_cpu_time_ms_total \
redis_migrate_cached_sockets_total redis_rdb_current_bgsave_duration_sec \
redis_rdb_last_bgsave_duration_sec redis_total_error_replies redis_total_reads_processed \
redis_total_writes_processed"
for node in "${nodes[@]}"; do
    page "$node" /metrics >"$work/metrics"
    promtool check metrics <"$work/metrics" >"$work/lint" 2>&1 || true
    equal "check metrics of $node finds" "$known" \
        "$(cut -d ' ' -f 1 "$work/lint" | sort -u | paste -sd ' ')"
done

part "restart of the master"
before=$(digest master)
compose restart master
eventually 30 "the master is healthy" is_healthy master
equal "digest of the master" "$before" "$(digest master)"
eventually 30 "both replicas follow" fields_are master connected_slaves 2
eventually 10 "WAIT 2 gives 2" acknowledges master 2
eventually 10 "equal digests" same_digests master

part "a master that lost its volume"
before=$(digest replica-1)
compose rm --stop --force master
docker volume rm "${project}_master-data" >/dev/null
compose up --detach --no-build --no-deps master
eventually 30 "the new master is healthy" is_healthy master
equal "its keys" 0 "$(ask master dbsize)"
refuses() { page "$1" /metrics | grep -q '^limpid_master_refused{.*} 1$'; }
for node in replica-1 replica-2; do
    eventually 60 "limpid_master_refused of $node is 1" refuses "$node"
    equal "its readiness" "503 unavailable" "$(curl -s -o "$work/ready" -w '%{http_code}' \
        "http://127.0.0.1:${admin[$node]}/readyz") $(jq -r .status "$work/ready")"
    ok "$(jq -r '.reasons[0]' "$work/ready")"
    equal "its data" "$before" "$(digest "$node")"
done
firing='count(ALERTS{alertname="LimpidMasterRefused", alertstate="firing"})'
eventually 30 "the alert fires for both" query_is "$firing" 2

part "a change of roles"
ask replica-1 replicaof no one >/dev/null
ask replica-2 replicaof replica-1 6379 >/dev/null
ask master replicaof replica-1 6379 >/dev/null
for node in "${nodes[@]}"; do equal "CONFIG REWRITE of $node" OK "$(ask "$node" config rewrite)"; done
eventually 60 "replica-1 has two replicas" fields_are replica-1 connected_slaves 2
eventually 30 "WAIT 2 gives 2" acknowledges replica-1 2
eventually 10 "equal digests" same_digests replica-1
before=$(digest replica-1)
compose restart
for node in "${nodes[@]}"; do eventually 60 "$node is healthy" is_healthy "$node"; done
equal "roles after a restart" "slave master slave" \
    "$(for node in "${nodes[@]}"; do field "$node" role; done | paste -sd ' ')"
eventually 30 "replica-1 has two replicas" fields_are replica-1 connected_slaves 2
equal "digest" "$before" "$(digest replica-1)"
eventually 10 "WAIT 2 gives 2" acknowledges replica-1 2
eventually 10 "equal digests" same_digests replica-1
equal "its replicas by name" "master replica-2" \
    "$(field replica-1 'slave[01]' | sed 's/ip=\([^,]*\),.*/\1/' | sort | paste -sd ' ')"

part "the image"
id=$(container master)
equal "user" 999:999 "$(docker inspect --format '{{.Config.User}}' "$id")"
equal "user of the process" 999 "$(docker exec "$id" stat --format %u /proc/1)"
equal "read-only root" true "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$id")"
! docker exec "$id" touch /etc/limpid/new 2>/dev/null || fail "/etc/limpid takes a file"
bytes() { docker image inspect --format '{{.Size}}' "$1"; }
over=$((($(bytes limpid) - $(bytes debian:trixie-slim)) / 1000))
[ "$over" -le 40000 ] || fail "$over kB over its base"
ok "$over kB over its base"

resp[alone]=$ALONE_PORT
run_alone() {
    docker run --detach --name "$project-alone" --read-only --cap-drop ALL \
        --volume "$project-alone:/data" --publish "127.0.0.1:$ALONE_PORT:6379" \
        limpid primary --protected-mode no >/dev/null
}
alone_is_healthy() {
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$project-alone")" = healthy ]
}
run_alone
eventually 30 "healthy by its own probe" alone_is_healthy
equal "a write" OK "$(ask alone set kept yes)"
began=$(date +%s%N)
docker stop "$project-alone" >/dev/null
took=$((($(date +%s%N) - began) / 1000000))
equal "exit code after SIGTERM" 0 "$(docker inspect --format '{{.State.ExitCode}}' "$project-alone")"
[ "$took" -le 2000 ] || fail "stopped after $took ms"
ok "stopped after $took ms"
docker rm "$project-alone" >/dev/null
run_alone
eventually 30 "healthy again" alone_is_healthy
equal "what was written" yes "$(ask alone get kept)"

part "done"
