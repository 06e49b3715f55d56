"""Runs the programs of this folder against limpid in four modes: plain, with a password, over TLS with
client certificates, and with two replicas and three sentinels, where the master is killed on the way.

    modes.py SERVER FIRST_PORT [MODE | PROGRAM]...

Two lanes run at a time: the three modes of one server, and the failovers. Prints a line per check, and
exits with 1 if one failed. Uses the first 12 ports from the given one on.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

import redis
from redis.sentinel import Sentinel

import frame
from frame import HOST, MASTER, PLACE, Place, await_that

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ["lock_redis_py", "lock_dogpile", "lock_django", "limiters", "jobs_rq", "jobs_kombu", "jobs_celery"]
MODES = ["plain", "password", "tls", "sentinel"]
PASSWORD = "correct horse"
# A program that takes longer is ended, and so is the whole.
PROGRAM_LIMIT_S = 60 * frame.SLOWNESS
LIMIT_S = 330 * frame.SLOWNESS
# Of what a failed program said, so many lines are shown.
REPORTED_LINES = 30
SENTINEL = """\
port {port}
bind 127.0.0.1
sentinel monitor main 127.0.0.1 {master} 2
sentinel auth-pass main "{password}"
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 4000
sentinel parallel-syncs main 2
"""


def make_certificates(folder: pathlib.Path) -> None:
    """A CA, and certificates by it for the server and its clients."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    folder.mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.crt")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ["server", "client"]:
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", f"{name}.crt")


class Servers:
    """The servers of one mode: those of limpid by their ports, and sentinels."""

    def __init__(self, server: str, mode: str, folder: pathlib.Path, first_port: int, deadline: float):
        self.server, self.folder, self.deadline = server, folder, deadline
        self.place = Place(mode, str(folder), first_port)
        self.processes: dict[int, subprocess.Popen] = {}
        self.sentinels: list[subprocess.Popen] = []
        if mode in ("password", "sentinel"):
            self.place.password = PASSWORD
        if mode == "tls":
            make_certificates(folder / "certificates")
            self.place.certificates = str(folder / "certificates")

    def __enter__(self) -> "Servers":
        try:
            self.start_all(self.place.port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_all(self, port: int) -> None:
        if self.place.mode == "sentinel":
            self.start(port)
            for replica in [port + 1, port + 2]:
                self.start(replica, "--replicaof", f"{HOST} {port}")
            await_that("both replicas follow", lambda: self.online_replicas(port) == 2)
            self.start_sentinels([port + 3, port + 4, port + 5])
        else:
            self.start(port)

    def __exit__(self, *_error) -> None:
        for process in [*self.sentinels, *self.processes.values()]:
            process.kill()
            process.wait()

    def start(self, port: int, *more: str) -> None:
        """Starts a limpid, and waits until it serves."""
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        options = ["--bind", HOST, "--port", str(port), "--dir", str(folder), "--admin-port", "0", "--save", ""]
        if self.place.password:
            options += ["--requirepass", self.place.password, "--masterauth", self.place.password]
        if self.place.certificates:
            file = lambda name: os.path.join(self.place.certificates, name)
            options += ["--port", "0", "--tls-port", str(port), "--tls-cert-file", file("server.crt"),
                        "--tls-key-file", file("server.key"), "--tls-ca-cert-file", file("ca.crt")]
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen([self.server, *options, *more], stdout=log, stderr=log)
        self.processes[port] = process
        self.place.processes[str(port)] = process.pid
        await_that(f"{self.place.mode}: port {port} serves", lambda: self.answers(port))

    def client(self, port: int) -> redis.Redis:
        return dataclasses.replace(self.place, port=port, sentinel_ports=[]).client()

    def answers(self, port: int) -> bool:
        assert self.processes[port].poll() is None, (self.folder / str(port) / "log").read_text()
        try:
            return self.client(port).info("server")["process_id"] == self.processes[port].pid
        except redis.RedisError:
            return False

    def online_replicas(self, port: int) -> int:
        states = [value["state"] for value in self.client(port).info("replication").values() if isinstance(value, dict)]
        return states.count("online")

    def start_sentinels(self, ports: list[int]) -> None:
        for port in ports:
            folder = self.folder / str(port)
            folder.mkdir()
            text = SENTINEL.format(port=port, master=self.place.port, password=PASSWORD)
            (folder / "sentinel.conf").write_text(text)
            command = ["redis-sentinel", folder / "sentinel.conf"]
            with open(folder / "log", "ab") as log:
                self.sentinels.append(subprocess.Popen(command, stdout=log, stderr=log))
        self.place.sentinel_ports = ports
        for port in ports:
            await_that(f"sentinel {port} answers", lambda port=port: self.sentinel_answers(port))
            # More frequent messages and queries: what takes ten seconds by default takes one.
            for option, period_ms in [("publish-period", 250), ("info-period", 1000), ("ping-period", 250)]:
                redis.Redis(port=port).execute_command("SENTINEL", "DEBUG", option, period_ms)
        await_that("the sentinels see all", self.is_whole)

    @staticmethod
    def sentinel_answers(port: int) -> bool:
        with contextlib.suppress(redis.RedisError):
            return redis.Redis(port=port).ping()
        return False

    def is_whole(self) -> bool:
        """Whether all sentinels agree on a master, and see two replicas that follow it."""
        masters = set()
        for port in self.place.sentinel_ports:
            sentinel = redis.Redis(port=port)
            state = sentinel.sentinel_master(MASTER)
            replicas = sentinel.sentinel_slaves(MASTER)
            if state["flags"] != "master" or state["num-other-sentinels"] != 2 or len(replicas) != 2:
                return False
            if any(replica["flags"] != "slave" or replica["master-link-status"] != "ok" for replica in replicas):
                return False
            masters.add(state["port"])
        return len(masters) == 1 and self.online_replicas(masters.pop()) == 2

    def mend(self) -> None:
        """Starts again what was killed, and waits until it follows the new master."""
        for port, process in list(self.processes.items()):
            if process.poll() is not None:
                assert process.returncode == -signal.SIGKILL, f"the server at {port} ended: {process.returncode}"
                self.start(port)
        if self.place.sentinels:
            await_that("all servers are there again", self.is_whole)

    def run(self, program: str) -> str:
        """Runs a program. Returns its figures, or fails with what it said."""
        self.mend()
        self.place.client().flushall()
        folder = self.folder / program
        folder.mkdir()
        place = dataclasses.asdict(dataclasses.replace(self.place, folder=str(folder)))
        environment = {**os.environ, PLACE: json.dumps(place), "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        code = f"import frame, {program}; frame.main({program}.check)"
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        try:
            output, _ = process.communicate(timeout=min(PROGRAM_LIMIT_S, max(0, self.deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            output = "not done in time"
        finally:
            # What the program left behind, if it failed.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        killed = [port for port, server in self.processes.items() if server.poll() is not None]
        if process.wait() != 0 or len(killed) != (1 if self.place.sentinels else 0):
            raise RuntimeError("\n".join([f"servers that ended: {killed}", *output.splitlines()[-REPORTED_LINES:]]))
        return output.strip()


class Run:
    """The lanes, and what they found."""

    def __init__(self, server: str, first_port: int, programs: list[str], folder: pathlib.Path):
        self.server, self.first_port, self.programs, self.folder = server, first_port, programs, folder
        self.deadline = time.monotonic() + LIMIT_S
        self.failed = 0
        self.lock = threading.Lock()

    def say(self, verdict: str, text: str) -> None:
        with self.lock:
            self.failed += verdict == "FAIL"
            print(f"{verdict:5} {text}", flush=True)

    def lane(self, modes: list[str]) -> None:
        for mode in modes:
            folder = self.folder / mode
            folder.mkdir()
            port = self.first_port + (6 if mode == "sentinel" else MODES.index(mode))
            try:
                with Servers(self.server, mode, folder, port, self.deadline) as servers:
                    self.all_programs(mode, servers)
            except Exception as error:
                self.say("FAIL", f"{mode}: {error!r}")

    def all_programs(self, mode: str, servers: Servers) -> None:
        for program in self.programs:
            before = time.monotonic()
            try:
                figures = servers.run(program)
                self.say("ok", f"{program}, {mode}: {figures} ({time.monotonic() - before:.1f} s)")
            except Exception as error:
                self.say("FAIL", f"{program}, {mode}: {error}")


def main() -> None:
    server, first_port, chosen = os.path.abspath(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    programs = [program for program in PROGRAMS if program in chosen] or PROGRAMS
    modes = [mode for mode in MODES if mode in chosen] or MODES
    assert set(chosen) <= {*PROGRAMS, *MODES}, f"programs: {PROGRAMS}; modes: {MODES}"
    with tempfile.TemporaryDirectory() as folder:
        run = Run(server, first_port, programs, pathlib.Path(folder))
        lanes = [[mode for mode in modes if mode != "sentinel"], [mode for mode in modes if mode == "sentinel"]]
        threads = [threading.Thread(target=run.lane, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sys.exit(1 if run.failed else 0)


if __name__ == "__main__":
    main()
