"""A thousand jobs through rq with two workers, one of which is killed while it works.

Each job adds its number to a set; all must be there in the end.
"""

import os
import signal
import subprocess
import sys
import time

import redis
from rq import Queue

JOBS = 1000


def work(port: int, number: int) -> None:
    redis.Redis(port=port).sadd("done", number)


def start_worker(port: int) -> subprocess.Popen:
    here = os.path.dirname(os.path.abspath(__file__))
    command = [os.path.join(os.path.dirname(sys.executable), "rq"), "worker", "--quiet",
               "--worker-class", "rq.SimpleWorker", "--url", f"redis://127.0.0.1:{port}"]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": here})


def main() -> None:
    port = int(sys.argv[1])
    client = redis.Redis(port=port)
    queue = Queue(connection=client)
    workers = [start_worker(port), start_worker(port)]
    try:
        import jobs

        for number in range(JOBS):
            queue.enqueue(jobs.work, port, number)
        deadline = time.time() + 120
        while client.scard("done") < JOBS // 4 and time.time() < deadline:
            time.sleep(0.05)
        workers[0].send_signal(signal.SIGKILL)
        # A job in the killed worker's hands is asked for again, as an operator would.
        while client.scard("done") < JOBS - 1 and time.time() < deadline:
            time.sleep(0.05)
        missing = [n for n in range(JOBS) if not client.sismember("done", n)]
        for number in missing:
            queue.enqueue(jobs.work, port, number)
        while client.scard("done") < JOBS and time.time() < deadline:
            time.sleep(0.05)
        assert client.scard("done") == JOBS, client.scard("done")
        assert len(missing) <= 1, missing
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


if __name__ == "__main__":
    main()
