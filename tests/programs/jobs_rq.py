"""rq: two workers, one of which is killed in the midst of a job; the job is given to the other."""

import os
import time

from rq import Queue, Retry
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

import frame

JOBS = 100
# Where a worker is killed, and the master.
TRAP = 20
FAILOVER_AT = 50
WORKERS = 2
NAME = "rq"


def work(number: int) -> int:
    effects = frame.Effects(frame.Place.given(), NAME)
    if number == TRAP:
        effects.trap()
    effects.record(number)
    return number * number


def settings(place: frame.Place) -> str:
    """rq's file of settings."""
    if place.sentinels:
        sentinel = {"INSTANCES": place.sentinels, "MASTER_NAME": frame.MASTER, "PASSWORD": place.password,
                    "SOCKET_TIMEOUT": 10}
        return f"SENTINEL = {sentinel!r}\n"
    names = {"ssl_ca_certs": "SSL_CA_CERTS", "ssl_certfile": "SSL_CERTFILE", "ssl_keyfile": "SSL_KEYFILE"}
    lines = [f"REDIS_HOST = {frame.HOST!r}", f"REDIS_PORT = {place.port}", f"REDIS_PASSWORD = {place.password!r}",
             f"REDIS_SSL = {bool(place.certificates)}"]
    lines += [f"REDIS_{names[name]} = {file!r}" for name, file in place.tls().items() if name in names]
    return "\n".join(lines) + "\n"


def enqueue(place: frame.Place, queue: Queue, effects: frame.Effects) -> int:
    """Enqueues all jobs, and kills the master on the way. Returns how many may be queued twice, since
    the reply to a try was lost."""
    twice = 0
    for number in range(JOBS):
        if place.sentinels and number == FAILOVER_AT:
            frame.await_that("the trap has sprung", effects.trapped)
            killed = place.kill_master()
        _, failures = frame.insist(lambda: queue.enqueue(work, number, job_id=f"job-{number}", retry=Retry(max=5)))
        twice += failures
    if place.sentinels:
        place.await_successor(killed)
    return twice


def recover(queue: Queue) -> None:
    """Has jobs run again whose worker is gone, without waiting for their time to be over: those that a
    worker had taken from the queue but not started, then those that were started. In this order: the
    other workers take what is queued again at once."""
    while queue.connection.lmove(queue.intermediate_queue_key, queue.key, "LEFT", "RIGHT"):
        pass
    StartedJobRegistry(queue=queue).cleanup(timestamp=time.time() + 10_000)


def check(place: frame.Place) -> str:
    effects, queue = frame.Effects(place, NAME), Queue(connection=place.client())
    effects.clear()
    place.file("rq_settings.py").write_text(settings(place))
    workers = frame.Supervised(place, WORKERS, "rq", "worker", "--quiet", "--config", "rq_settings",
                               "--worker-class", "rq.SimpleWorker")
    # The trapped one, and those that had no word from the master before it died.
    unfinished = 1 + WORKERS if place.sentinels else 1
    finished = FinishedJobRegistry(queue=queue)
    try:
        twice = enqueue(place, queue, effects)
        frame.await_that("the trap has sprung", effects.trapped)
        os.kill(effects.trapped(), 9)
        workers.await_that("all others are finished",
                           lambda: queue.is_empty() and finished.get_job_count() >= JOBS - unfinished)
        frame.insist(lambda: recover(queue))
        workers.await_that("all are finished", lambda: finished.get_job_count() == JOBS)
    finally:
        workers.stop()
    assert not FailedJobRegistry(queue=queue).get_job_ids()
    results = [queue.fetch_job(f"job-{number}").return_value() for number in range(JOBS)]
    assert results == [number * number for number in range(JOBS)]
    counts = effects.counts()
    again = [number for number, count in counts.items() if count > 1]
    assert len(counts) == JOBS
    assert sum(counts.values()) <= JOBS + (twice + unfinished if place.sentinels else 0), f"done again: {again}"
    if place.sentinels:
        return f"{JOBS} jobs done, {len(again)} of them twice, a worker and the master killed on the way"
    return f"{JOBS} jobs done once each, a worker killed on the way"
