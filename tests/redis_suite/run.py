#!/usr/bin/env python3
"""Redis 7.0.15's own test suite against limpid.

The suite comes from Debian's source package and runs as it is; nothing of it is kept in this
repository. limpid stands in the place of src/redis-server; redis-cli and the other tools are
Debian's. Units run one after the other, or several at a time, each in a folder and a range of
ports of its own. A unit that hangs or whose server crashes ends by a time limit, and the next one
begins.

    run.py UNIT...            these units, as unit/type/list
    run.py --choice           the choice of units that units.tsv marks, 12 minutes at most
    run.py --all              all units of units.tsv but those that it leaves out
    run.py --write ...        writes the failures of these units to expected.tsv, with the reasons
                              that it has and NEW for the others

Exits with 1 if a test fails that expected.tsv does not list, or if a listed one passes.
Needs Debian 12 (apt-get as root to install tcl, tcl-tls, redis-tools, openssl and dpkg-dev) and
python3.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VERSION = "7.0.15"
TOOLS = ["redis-cli", "redis-benchmark", "redis-check-rdb", "redis-check-aof"]
AWAIT_STOP = """\
        wait_for_condition 100 10 {
            [exec sh -c "grep -h ^State: /proc/$slave_pid/task/*/status | sort -u"] eq "State:\\tT (stopped)"
        } else {
            fail "the replica goes on"
        }
"""

# Changes to our copy of the suite, none of which touches what a test asks for: file, before, after.
PATCHES = [
    # The suite waits two minutes for the PID of a server that has refused its configuration and ended.
    (
        "tests/support/server.tcl",
        "        if {[regexp -- \" PID: $pid\" [exec cat $stdout]]} {\n            break\n        }\n"
        "        after $checkperiod\n        incr maxiter -1\n",
        "        set ended [expr {![is_alive [dict create pid $pid]]}]\n"
        "        if {[regexp -- \" PID: $pid\" [exec cat $stdout]]} {\n            break\n        }\n"
        "        after $checkperiod\n        incr maxiter -1\n"
        "        if {$ended && ![regexp {Failed listening on port} [exec cat $stdout]]} {set maxiter 0}\n",
    ),
    # With --durable an exception ends its test alone; one outside of tests ends its block of a server,
    # without the surrounding one, which the suite would take down as well.
    (
        "tests/support/server.tcl",
        "if {!$assertion && $::durable} {",
        "if {$::durable && $::cur_test eq {}} {",
    ),
    (
        "tests/support/server.tcl",
        "            } else {\n                # Re-raise, let handler up the stack take care of this.\n"
        "                error $error $backtrace",
        "                set ::tags [lrange $::tags 0 end-[llength $tags]]\n                return\n"
        "            } else {\n                error $error $backtrace",
    ),
    # Known parameters in place of such as take minutes to find; no test looks at them.
    (
        "utils/gen-test-certs.sh",
        "openssl dhparam -out tests/tls/redis.dh 2048",
        "openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out tests/tls/redis.dh",
    ),
    # A test that failed within MULTI does not take those after it along.
    (
        "tests/support/test.tcl",
        "                lappend details $::errorInfo\n            }\n",
        "                lappend details $::errorInfo\n            }\n            catch {r discard}\n",
    ),
    # A process of several threads stands still only when all of them do: awaited, as in later versions of
    # the suite.
    (
        "tests/unit/wait.tcl",
        "if slave is blocked} {\n        exec kill -SIGSTOP $slave_pid\n",
        "if slave is blocked} {\n        exec kill -SIGSTOP $slave_pid\n" + AWAIT_STOP,
    ),
    (
        "tests/unit/wait.tcl",
        "since ACKs aren't sent} {\n        exec kill -SIGSTOP $slave_pid\n",
        "since ACKs aren't sent} {\n        exec kill -SIGSTOP $slave_pid\n" + AWAIT_STOP,
    ),
]

# Where the units run: the servers' sockets lie below, whose paths may have 107 bytes, however deep the
# folder of the build is.
PLACES = pathlib.Path(tempfile.gettempdir()) / f"rs-{os.getpid()}"

PORTS_PER_JOB = 800

# Units that have tests in TLS mode alone.
TLS_UNITS = {"unit/tls"}

# What expected.tsv calls a unit that does not reach its end.
END = "(the unit's end)"


@dataclasses.dataclass
class Test:
    """One line of the suite's output: outcome is passed, failed or skipped."""

    name: str
    outcome: str
    text: str = ""


@dataclasses.dataclass
class Unit:
    """What a unit came to. `end` says how it ended: done, aborted, or at the time limit."""

    name: str
    tests: list
    end: str
    seconds: float

    def count(self, outcome):
        return sum(test.outcome == outcome for test in self.tests)

    def failures(self):
        """Names of tests of which a run failed, with the text of the first failure."""
        found = {}
        for test in self.tests:
            if test.outcome == "failed":
                found.setdefault(test.name, test.text)
        if self.end != "done":
            found.setdefault(END, self.end)
        return found


def say(*words):
    print(*words, flush=True)


# ---------------------------------------------------------------------------- what a run needs


def has_tcl_tls():
    try:
        asked = subprocess.run(["tclsh"], input="puts [catch {package require tls}]", capture_output=True, text=True)
    except OSError:
        return False
    return asked.stdout.strip() == "0"


def install_tools(tls):
    wanted = {"tclsh": "tcl", "redis-cli": "redis-tools", "redis-check-aof": "redis-tools", "dpkg-source": "dpkg-dev"}
    if tls:
        wanted["openssl"] = "openssl"
    missing = sorted({package for tool, package in wanted.items() if not shutil.which(tool)})
    if tls and not has_tcl_tls():
        missing.append("tcl-tls")
    if missing:
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
        try:
            subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)
            subprocess.run(install, check=True, **quiet)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"the tools of Redis's suite cannot be installed ({', '.join(missing)}): {error}")
    version = subprocess.run(["redis-cli", "--version"], check=True, capture_output=True, text=True).stdout
    if VERSION not in version:
        sys.exit(f"redis-tools {VERSION} wanted, found: {version.strip()}")


def write_source_lists(parts):
    """Writes apt's lists of this machine that are Debian's into `parts`, as lists of source packages."""
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    etc = pathlib.Path("/etc/apt")
    for path in [etc / "sources.list", *(etc / "sources.list.d").glob("*.list"), *(etc / "sources.list.d").glob("*.sources")]:
        text = path.read_text() if path.exists() else ""
        if "debian" not in text:
            continue
        of_sources = re.sub(r"^Types:.*$", "Types: deb-src", re.sub(r"^deb(?=\s)", "deb-src", text, flags=re.M), flags=re.M)
        (parts / path.name).write_text(of_sources)


def fetch_source(folder):
    """Downloads the source package, if `folder` has none, with lists of apt's own; returns its .dsc file."""
    known = sorted(folder.glob(f"redis_{VERSION}-*.dsc"))
    if known:
        return known[-1]
    lists = folder / "apt"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    parts = folder / "sources"
    write_source_lists(parts)
    apt = ["apt-get", "-qq", "-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={parts}"]
    apt += ["-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User=root"]
    try:
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "source", "--download-only", "redis"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the source package of Redis cannot be had, so its suite cannot run: {error}")
    known = sorted(folder.glob(f"redis_{VERSION}-*.dsc"))
    if not known:
        sys.exit(f"apt-get source redis did not give Redis {VERSION}, so its suite cannot run")
    return known[-1]


def fetch_suite(folder):
    """Fetches and unpacks the source package and applies PATCHES, unless `folder` has just that."""
    suite, applied = folder / f"redis-{VERSION}", folder / "patches"
    if applied.exists() and applied.read_text() == repr(PATCHES) and suite.exists():
        return suite
    source = fetch_source(folder)
    shutil.rmtree(suite, ignore_errors=True)
    subprocess.run(["dpkg-source", "--no-check", "-x", source, suite], check=True, stdout=subprocess.DEVNULL)
    for name, before, after in PATCHES:
        text = (suite / name).read_text()
        if text.count(before) != 1:
            sys.exit(f"the suite's {name} is not the one that this script knows")
        (suite / name).write_text(text.replace(before, after))
    applied.write_text(repr(PATCHES))
    return suite


def make_certificates(suite):
    """The certificates of the suite's own script, which servers and clients of TLS mode have."""
    if not (suite / "tests" / "tls" / "redis.dh").exists():
        script = ["sh", "utils/gen-test-certs.sh"]
        subprocess.run(script, cwd=suite, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def table(name):
    """Rows of a file of tab-separated columns beside this script."""
    path = HERE / name
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def stage(suite, server, place):
    """A folder in which the suite finds what it expects, with a tests/tmp of its own."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "src").mkdir(parents=True)
    (place / "tests" / "tmp").mkdir(parents=True)
    for entry in (suite / "tests").iterdir():
        if entry.name != "tmp":
            (place / "tests" / entry.name).symlink_to(entry)
    (place / "utils").symlink_to(suite / "utils")
    (place / "src" / "redis-server").symlink_to(server)
    for tool in TOOLS:
        (place / "src" / tool).symlink_to(shutil.which(tool))


# ---------------------------------------------------------------------------- one unit


def end_processes(place):
    """Ends what still runs in the folder of a unit: the suite's servers and clients have it as theirs."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if pathlib.Path(os.readlink(entry / "cwd")).is_relative_to(place):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue  # It has ended meanwhile, or is not ours.


STARTED = re.compile(r"^### Starting test (.*) in tests/\S+$", re.M)
OUTCOMES = {"ok": "passed", "err": "failed", "skip": "skipped", "ignore": "skipped"}
LINE = re.compile(r"^\[(ok|err|skip|ignore|exception|TIMEOUT)\]: ?(.*)$")
DONE = re.compile(r"^\[\d+/\d+ done\]: ")


def running_test(place):
    """The test that the logs of the unit's servers name last."""
    logs = sorted(place.glob("tests/tmp/server*/stdout"), key=lambda path: path.stat().st_mtime)
    for log in reversed(logs):
        names = STARTED.findall(log.read_text(errors="replace"))
        if names:
            return names[-1]
    return None


def parse(output):
    """The tests in the suite's output, and whether it reached the unit's end."""
    tests, done, exception = [], False, None
    text = None
    for line in output.splitlines():
        match = LINE.match(line)
        if match:
            kind, rest = match.groups()
            if kind == "ok":
                tests.append(Test(re.sub(r" \(\d+ ms\)$", "", rest), "passed"))
                text = None
            elif kind in ("skip", "ignore"):
                tests.append(Test(rest, "skipped"))
                text = None
            elif kind == "exception":
                exception = text = [rest]
            elif kind == "err":
                named = re.match(r"(.*) in tests/\S+\.tcl$", rest)
                test = Test(named.group(1) if named else "(outside of a test)", "failed")
                text = test.text = [] if named else [rest]
                tests.append(test)
        elif DONE.match(line):
            done, text = True, None
        elif line.strip() == "The End":
            break
        elif text is not None and not line.startswith(("Waiting for process", "[ready]")):
            text.append(line)
    for test in tests:
        test.text = "\n".join(test.text)
    return tests, done, "\n".join(exception) if exception else None


@dataclasses.dataclass
class Limits:
    """Seconds without a line of output, and seconds for a unit as a whole."""

    stall: float
    unit: float


class Attempt:
    """One start of the suite for one unit."""

    def __init__(self, command, place, log):
        self.place, self.log = place, log
        environment = {**os.environ, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def wait(self, stall, deadline):
        """Waits for the end and returns None; or for a limit, and returns it with the test that ran then."""
        size, since, limit = 0, time.monotonic(), None
        while self.process.poll() is None and not limit:
            time.sleep(0.2)
            now = time.monotonic()
            if self.log.stat().st_size != size:
                size, since = self.log.stat().st_size, now
            if now - since > stall:
                limit = f"no progress for {stall:.0f} s", running_test(self.place)
            elif now > deadline:
                limit = "time limit", running_test(self.place)
        if limit:
            self.process.kill()
        self.process.wait()
        end_processes(self.place)
        return limit


def run_unit(name, suite, server, folder, limits, port):
    """Runs a unit. If it hangs in a test, it is started again without that test."""
    flat = name.replace("/", "-")
    place, begin, hanging = PLACES / flat, time.monotonic(), {}
    while True:
        stage(suite, server, place)
        log = folder / "logs" / f"{flat}.{len(hanging)}.log"
        command = ["tclsh", "tests/test_helper.tcl", "--single", name, "--clients", "1", "--durable"]
        command += ["--baseport", str(port), "--portcount", str(PORTS_PER_JOB)]
        command += ["--tls"] if name in TLS_UNITS else []
        for test in hanging:
            command += ["--skiptest", test]
        limit = Attempt(command, place, log).wait(limits.stall, begin + limits.unit)
        if not (limit and limit[0] != "time limit" and limit[1] and limit[1] not in hanging):
            break
        hanging[limit[1]] = limit[0]
    tests, done, exception = parse(log.read_text(errors="replace"))
    tests = [test for test in tests if not (test.outcome == "skipped" and test.name in hanging)]
    tests += [Test(test, "failed", reason) for test, reason in hanging.items()]
    end = "done" if done else f"ends early: {exception or 'killed'}"
    if limit:
        end = f"{limit[0]} in {limit[1]}"
    return Unit(name, tests, end, time.monotonic() - begin)


# ---------------------------------------------------------------------------- all units


def compare(units):
    """Failures that expected.tsv does not list, and listed ones that are none, as lines to print.

    Where the reason says that it is a race, the test may pass as well: it looks at what happens in the background."""
    rows = table("expected.tsv")
    expected = {(row[0], row[1]) for row in rows}
    races = {(row[0], row[1]) for row in rows if row[2].startswith("a race: ")}
    ran = {unit.name: unit for unit in units}
    failed = {(unit.name, test) for unit in units for test in unit.failures()}
    passed = {(unit.name, test.name) for unit in units for test in unit.tests if test.outcome == "passed"}
    lines = [f"FAIL  {unit}: {test}" for unit, test in sorted(failed - expected)]
    for unit, test in sorted(row for row in expected - races - failed if row[0] in ran):
        if (unit, test) in passed or test == END:
            lines.append(f"FAIL  {unit}: {test}: passes, but expected.tsv lists it")
        elif ran[unit].end == "done":
            lines.append(f"FAIL  {unit}: {test}: has not run, but expected.tsv lists it")
    return lines


def write_expected(units):
    """Puts the failures of `units` into expected.tsv, with the reasons that it has, in the order of units.tsv."""
    known = {(row[0], row[1]): row[2] for row in table("expected.tsv")}
    ran = {unit.name for unit in units}
    rows = {row: reason for row, reason in known.items() if row[0] not in ran}
    for unit in units:
        for test in unit.failures():
            rows[unit.name, test] = known.get((unit.name, test), "NEW")
    place = {row[0]: number for number, row in enumerate(table("units.tsv"))}
    path = HERE / "expected.tsv"
    head = [line for line in path.read_text().splitlines() if line.startswith("#")] if path.exists() else []
    order = sorted(rows, key=lambda row: place.get(row[0], len(place)))
    lines = head + ["\t".join((*row, rows[row])) for row in order]
    path.write_text("".join(line + "\n" for line in lines))


def show(unit, tests_of_redis):
    ran = sum(unit.count(outcome) for outcome in ("passed", "failed", "skipped"))
    unrun = max(0, tests_of_redis - ran) if tests_of_redis else 0
    counts = unit.count("passed"), unit.count("failed"), unit.count("skipped"), unrun
    say("%-40s %5d passed %4d failed %4d skipped %4d unrun %5.0f s  %s" % (
        unit.name, *counts, unit.seconds, unit.end.splitlines()[0][:100]))
    return counts


def show_total(units, total, seconds):
    passed, failed, skipped, unrun = total
    say("total: %d passed, %d failed, %d skipped, %d unrun in %d units, %d s" % (*total, len(units), seconds))
    tests = passed + failed + unrun
    if tests:
        say("%.2f%% of %d tests pass" % (100 * passed / tests, tests))


def run_all(names, suite, server, folder, limits, ports):
    """Runs the units, one at a time for each of `ports`, and yields each as it ends."""
    free = queue.SimpleQueue()
    for port in ports:
        free.put(port)

    def one(name):
        port = free.get()
        try:
            return run_unit(name, suite, server, folder, limits, port)
        finally:
            free.put(port)

    with concurrent.futures.ThreadPoolExecutor(len(ports)) as pool:
        for done in concurrent.futures.as_completed([pool.submit(one, name) for name in names]):
            yield done.result()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("units", nargs="*", help="as unit/type/list")
    parser.add_argument("--choice", action="store_true", help="the units that units.tsv marks")
    parser.add_argument("--all", action="store_true", help="all units of units.tsv but those that it leaves out")
    parser.add_argument("--write", action="store_true", help="write the failures to expected.tsv")
    parser.add_argument("--server", type=pathlib.Path, default=ROOT / "target/release/limpid-server")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target/redis-suite", help="of the build")
    parser.add_argument("--jobs", type=int, default=1, help="units at a time")
    parser.add_argument("--port", type=int, default=21111, help="first port, of 800 for each job")
    parser.add_argument("--stall", type=float, default=120, help="seconds without progress that end a test")
    parser.add_argument("--limit", type=float, default=1800, help="seconds that end a unit")
    parser.add_argument("--failures", action="store_true", help="print the failures' texts")
    chosen = parser.parse_args()
    known = table("units.tsv")
    if chosen.all:
        chosen.units = [row[0] for row in known if row[2] != "out"]
    elif chosen.choice:
        chosen.units = [row[0] for row in known if row[2] == "choice"]
    if not chosen.units:
        parser.error("name units, or give --choice or --all")
    # Where the number is not fixed, none is missing.
    return chosen, {row[0]: int(row[1]) for row in known if row[1].isdigit()}


def main():
    chosen, tests_of_redis = arguments()
    folder = chosen.folder.resolve()
    for part in ("logs", "results", "bin"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    tls = not TLS_UNITS.isdisjoint(chosen.units)
    install_tools(tls)
    suite = fetch_suite(folder)
    if tls:
        make_certificates(suite)
    # A copy, so that a build meanwhile does not change what runs.
    server = pathlib.Path(shutil.copy(chosen.server, folder / "bin" / f"redis-server-{os.getpid()}"))

    def end(*_):
        end_processes(PLACES)
        os._exit(1)

    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, end)
    units, total, begin = [], [0, 0, 0, 0], time.monotonic()
    ports = [chosen.port + job * PORTS_PER_JOB for job in range(chosen.jobs)]
    limits = Limits(chosen.stall, chosen.limit)
    for unit in run_all(chosen.units, suite, server, folder, limits, ports):
        units.append(unit)
        total = [sum(pair) for pair in zip(total, show(unit, tests_of_redis.get(unit.name, 0)))]
        result = folder / "results" / f"{unit.name.replace('/', '-')}.json"
        result.write_text(json.dumps(dataclasses.asdict(unit), indent=1))
        if chosen.failures:
            for test, text in unit.failures().items():
                say(f"--- {test}\n{text}")
    server.unlink()
    shutil.rmtree(PLACES, ignore_errors=True)
    show_total(units, total, time.monotonic() - begin)
    if chosen.write:
        write_expected(units)
    differences = compare(units)
    for line in differences:
        say(line)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
