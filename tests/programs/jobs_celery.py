"""Celery: two workers, one of which is killed in the midst of a task, and the results of all tasks."""

import os

import celery
from celery.result import ResultSet
from kombu.exceptions import OperationalError

import frame
from jobs_kombu import address, transport_options

TASKS = 100
TRAP = 20
FAILOVER_AT = 50
WORKERS = 2
NAME = "celery"


def make_app(place: frame.Place) -> celery.Celery:
    app = celery.Celery(NAME, broker=address(place), backend=address(place))
    app.conf.update(
        broker_transport_options=transport_options(place),
        result_backend_transport_options=transport_options(place),
        broker_use_ssl=place.tls() or None,
        redis_backend_use_ssl=place.tls() or None,
        # A task is acknowledged when it is done, and one at a time is taken.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        result_backend_always_retry=True,
        redis_socket_timeout=5,
    )
    return app


app = make_app(frame.Place.given())


@app.task(name="square")
def square(number: int) -> int:
    effects = frame.Effects(frame.Place.given(), NAME)
    if number == TRAP:
        effects.trap()
    effects.record(number)
    return number * number


def send(numbers) -> int:
    """Sends tasks. Returns how many may be there twice, since the reply to a try was lost."""
    twice = 0
    for number in numbers:
        task = lambda: square.apply_async((number,), task_id=f"task-{number}", retry=False)
        twice += frame.insist(task, OperationalError)[1]
    return twice


def is_idle(place: frame.Place) -> bool:
    return not place.client().exists("unacked", "celery")


def check(place: frame.Place) -> str:
    effects = frame.Effects(place, NAME)
    effects.clear()
    workers = frame.Supervised(place, WORKERS, "celery", "--app", "jobs_celery", "worker", "--pool", "solo",
                               "--loglevel", "WARNING", "--hostname", "%%n-%%i")
    lost = []
    try:
        twice = send(range(FAILOVER_AT))
        workers.await_that("the trap has sprung", effects.trapped)
        if place.sentinels:
            killed = place.kill_master()
        twice += send(range(FAILOVER_AT, TASKS))
        if place.sentinels:
            place.await_successor(killed)
        os.kill(effects.trapped(), 9)
        if place.sentinels:
            # See jobs_kombu.py for why.
            workers.await_that("nearly all are done", lambda: len(effects.counts()) >= TASKS - WORKERS)
            workers.await_that("nothing is waiting", lambda: is_idle(place))
            lost = [number for number in range(TASKS) if not effects.counts()[number]]
            send(lost)
        workers.await_that("all are done", lambda: len(effects.counts()) == TASKS)
        workers.await_that("all are acknowledged", lambda: is_idle(place))
    finally:
        workers.stop()
    results = ResultSet([app.AsyncResult(f"task-{number}") for number in range(TASKS)])
    assert sorted(results.get(timeout=frame.PATIENCE_S)) == [number * number for number in range(TASKS)]
    again = sum(effects.counts().values()) - TASKS
    if place.sentinels:
        assert again <= twice + WORKERS, f"{again} tasks again, {twice} tries cut"
        return (f"{TASKS} tasks with their results, {len(lost)} lost on their way out and sent anew, {again} twice, "
                "a worker and the master killed on the way")
    assert not again and not twice, f"{again} tasks again, {twice} tries cut"
    return f"{TASKS} tasks once each with their results, a worker killed in one of them"
