"""What a program of this folder knows of the servers that it runs against, and how it checks.

A program is a file with a function `check(place)`, which raises when something does not hold and
returns its figures in a line. `modes.py` starts the servers and runs each program in a process of its
own, with the place as JSON in the environment.

Witnesses are files, outside of the server: what the server says of itself proves nothing.
"""

import collections
import contextlib
import dataclasses
import fcntl
import json
import multiprocessing
import os
import pathlib
import queue
import signal
import subprocess
import sys
import time
import urllib.parse

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

HOST = "127.0.0.1"
MASTER = "main"
PLACE = "PROGRAMS_PLACE"
# How many times slower than usual the machine is: all limits of time are so many times longer.
SLOWNESS = float(os.environ.get("PROGRAMS_SLOWNESS", "1"))
# A program that waits for longer than this has failed.
PATIENCE_S = 30 * SLOWNESS
# What a client may see while a master is dead and its successor is not there yet.
FAILURES = (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, redis.BusyLoadingError)

forks = multiprocessing.get_context("fork")


@dataclasses.dataclass
class Place:
    """The servers of a mode, as programs see them."""

    mode: str
    folder: str
    port: int
    password: str | None = None
    certificates: str | None = None
    sentinel_ports: list[int] = dataclasses.field(default_factory=list)
    # Process ids by port: those of the master and its replicas.
    processes: dict[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def given(cls) -> "Place":
        return cls(**json.loads(os.environ[PLACE]))

    def file(self, name: str) -> pathlib.Path:
        return pathlib.Path(self.folder, name)

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        return [(HOST, port) for port in self.sentinel_ports]

    def tls(self) -> dict[str, str]:
        """The certificate files by the names of redis-py's parameters."""
        if self.certificates is None:
            return {}
        names = {"ssl_ca_certs": "ca.crt", "ssl_certfile": "client.crt", "ssl_keyfile": "client.key"}
        files = {name: os.path.join(self.certificates, file) for name, file in names.items()}
        return {"ssl_cert_reqs": "required", **files}

    def url(self, database: int = 0) -> str:
        """The server's address without certificates. Not for the mode sentinel."""
        assert not self.sentinels
        scheme = "rediss" if self.certificates else "redis"
        return f"{scheme}://{self.user()}{HOST}:{self.port}/{database}"

    def user(self) -> str:
        """The password as part of an address."""
        return f":{urllib.parse.quote(self.password)}@" if self.password else ""

    def client(self, **options) -> redis.Redis:
        """A client of the server, in the mode sentinel of whoever is master. It repeats nothing by
        itself: a command that was executed twice would be counted once."""
        options = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 5, **options}
        if self.sentinels:
            sentinel = Sentinel(self.sentinels, socket_timeout=1)
            return sentinel.master_for(MASTER, password=self.password, **options)
        return redis.Redis.from_url(self.url(), **self.tls(), **options)

    def master_port(self) -> int:
        return Sentinel(self.sentinels, socket_timeout=1).discover_master(MASTER)[1]

    def kill_master(self) -> int:
        """Kills the master by SIGKILL. Returns its port."""
        port = self.master_port()
        os.kill(self.processes[str(port)], signal.SIGKILL)
        return port

    def await_successor(self, killed: int) -> None:
        """Waits until the sentinels have replaced the master of this port."""
        def serves() -> bool:
            try:
                return self.master_port() != killed and self.client().role()[0] == b"master"
            except redis.RedisError:
                return False

        await_that("a successor is there", serves)


def await_that(what: str, holds, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        time.sleep(0.01)


def insist(call, *accepted: type[Exception]):
    """Repeats a call that fails because of a failover. Returns its result and how often it failed."""
    deadline = time.monotonic() + PATIENCE_S
    failures = 0
    while True:
        try:
            return call(), failures
        except (*FAILURES, *accepted):
            failures += 1
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Crew:
    """Processes that do the same."""

    def __init__(self, size: int, work, *arguments):
        self.results = forks.Queue()

        def run(index: int) -> None:
            self.results.put(work(index, *arguments))

        self.members = [forks.Process(target=run, args=(index,)) for index in range(size)]
        for member in self.members:
            member.start()

    def await_that(self, what: str, holds) -> None:
        """Like `await_that` beside them, and fails when one of them does."""

        def holds_or_failed() -> bool:
            failed = [member.exitcode for member in self.members if member.exitcode]
            assert not failed, f"processes ended with {failed}"
            return holds()

        await_that(what, holds_or_failed)

    def join(self) -> list:
        """What they returned, in no order. Fails if one of them failed."""
        results = []

        def all_returned() -> bool:
            with contextlib.suppress(queue.Empty):
                results.append(self.results.get(timeout=0.1))
            return len(results) == len(self.members)

        self.await_that("all processes are done", all_returned)
        for member in self.members:
            member.join()
        return results


    def kill(self, process: int) -> None:
        """Kills one of them by SIGKILL. Nothing is expected of it any more."""
        os.kill(process, signal.SIGKILL)
        [killed] = [member for member in self.members if member.pid == process]
        self.members.remove(killed)
        killed.join()


class Supervised:
    """Processes of a program of the environment, each started again when it ends, as a supervisor does."""

    def __init__(self, place: Place, size: int, program: str, *arguments: str):
        self.command = [os.path.join(os.path.dirname(sys.executable), program), *arguments]
        self.environment = {**os.environ, "PYTHONPATH": f"{place.folder}:{os.environ['PYTHONPATH']}"}
        self.log = open(place.file(f"{program}.log"), "ab")
        self.started = 0
        self.processes = [self.start() for _ in range(size)]

    def start(self) -> subprocess.Popen:
        self.started += 1
        return subprocess.Popen(self.command, env=self.environment, stdout=self.log, stderr=self.log)

    def check(self) -> None:
        self.processes = [process if process.poll() is None else self.start() for process in self.processes]

    def await_that(self, what: str, holds) -> None:
        """Waits for something that a failover may hinder."""

        def holds_by_now() -> bool:
            self.check()
            return insist(holds)[0]

        await_that(what, holds_by_now)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


class Overlap(Exception):
    """Two were where only one may be."""


class Witness:
    """Notices two holders of a lock at once: by a lock of the kernel that is never waited for, and by
    a count in that file, which loses a step if two of them take it together."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        path.touch()

    def taken(self) -> int:
        return int(self.path.read_text() or 0)

    def __enter__(self) -> None:
        self.file = open(self.path, "r+", encoding="ascii")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Overlap(self.path.name) from None
        self.before = self.taken()

    def __exit__(self, *_error) -> None:
        self.file.write(str(self.before + 1))
        self.file.close()


class Effects:
    """What jobs did: a line for each, written by one call to the kernel."""

    def __init__(self, place: Place, name: str):
        self.path = place.file(f"{name}.effects")
        self.trap_path = place.file(f"{name}.trap")

    def clear(self) -> None:
        self.path.write_text("")
        self.trap_path.unlink(missing_ok=True)

    def record(self, number: int) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(file, f"{number}\n".encode())
        os.close(file)

    def trap(self) -> None:
        """Stays for ever, but only the first who comes: to be killed in the midst of a job."""
        try:
            file = os.open(self.trap_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return
        os.write(file, f"{os.getpid()}\n".encode())
        while True:
            signal.pause()

    def trapped(self) -> int | None:
        """The process in the trap."""
        text = self.trap_path.read_text() if self.trap_path.exists() else ""
        return int(text) if text.endswith("\n") else None

    def counts(self) -> collections.Counter:
        return collections.Counter(int(line) for line in self.path.read_text().split())


def main(check) -> None:
    print(check(Place.given()))
