"""Builds redis-rs's tests in a prepared workspace and runs them.

    tests.py FOLDER BIN

BIN has the `redis-server` to run them against. Prints PASSED or FAILED and the name of each test.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

# Without those of clusters, of modules, and of what servers newer than Redis 7.0 have (hotkeys, users by
# certificates).
TESTS = ["test_acl", "test_async", "test_auth", "test_basic", "test_bignum", "test_cache",
         "test_credentials_provider_failures", "test_digest_utils", "test_geospatial", "test_script",
         "test_sentinel", "test_streams", "test_types", "parser"]
FEATURES = "cluster,tokio-rustls-comp,tls-rustls-insecure,connection-manager,cache-aio,sentinel,r2d2,bb8"
LIMIT_S = 300


def build(folder: str) -> list[str]:
    """Builds the tests. Returns their programs."""
    command = ["cargo", "test", "--no-run", "--quiet", "--message-format", "json", "--package", "redis",
               "--features", FEATURES]
    command += [word for test in TESTS for word in ("--test", test)]
    lines = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    return [message["executable"] for message in messages
            if message.get("executable") and message["target"]["name"] in TESTS]


def run(program: str, folder: str, environment: dict[str, str]) -> None:
    name = re.sub(r"-[0-9a-f]+$", "", pathlib.Path(program).name)
    protocol = environment["PROTOCOL"]
    result = subprocess.run([program, "--test-threads", "4"], cwd=pathlib.Path(folder, "redis"), env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    verdicts = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED)$", result.stdout, re.MULTILINE)
    assert verdicts, f"{name}: no tests"
    for test, verdict in verdicts:
        print("PASSED" if verdict == "ok" else "FAILED", f"{protocol}::{name}::{test}", flush=True)
    if "-v" in sys.argv:
        print(result.stdout)
    assert (result.returncode == 0) == all(verdict == "ok" for _, verdict in verdicts), f"{name}: ended early"


def main() -> None:
    folder, binaries = sys.argv[1:3]
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "REDISRS_SERVER_TYPE": "tcp"}
    programs = build(folder)
    for protocol in ["RESP2", "RESP3"]:
        for program in programs:
            run(program, folder, environment | {"PROTOCOL": protocol})


if __name__ == "__main__":
    main()
