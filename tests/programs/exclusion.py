"""The checks that a lock of any library has to stand.

A library gives `make(place, name, timeout_s)`: a lock with `acquire(blocking)` and `release()`, whose
holder loses it after the timeout.
"""

import os
import signal
import time

from redis.exceptions import LockError
from redis.sentinel import MasterNotFoundError

from frame import Crew, Place, Witness, await_that, forks, insist

PROCESSES = 4
TURNS = 30
TIMEOUT_S = 5
SHORT_TIMEOUT_S = 1


def contend(_index: int, place: Place, make, witness: Witness) -> tuple[int, int]:
    """Takes the lock so many times. Returns that, and how many calls a failover cut."""
    lock, taken, cut = make(place, "contended", TIMEOUT_S), 0, 0
    while taken < TURNS:
        acquired, failures = insist(lambda: lock.acquire(blocking=False))
        cut += failures
        if not acquired:
            time.sleep(0.002)
            continue
        with witness:
            time.sleep(0.001)
        taken += 1
        cut += release(lock)
    return taken, cut


def release(lock) -> int:
    """Releases a lock. Returns how many tries a failover cut."""
    cut = 0

    def once() -> None:
        nonlocal cut
        try:
            lock.release()
        except LockError:
            # A try before, whose reply was lost, has released it.
            if not cut:
                raise
        except Exception:
            cut += 1
            raise

    insist(once)
    return cut


def dead_holder(place: Place, make) -> None:
    """A lock whose holder was killed is free when its timeout is over, and not before."""

    def hold() -> None:
        assert make(place, "dead", SHORT_TIMEOUT_S).acquire(blocking=False)
        place.file("held").touch()
        signal.pause()

    place.file("held").unlink(missing_ok=True)
    before = time.monotonic()
    holder = forks.Process(target=hold)
    holder.start()
    await_that("the holder has it", place.file("held").exists)
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    lock = make(place, "dead", TIMEOUT_S)
    await_that("the dead holder's lock is free", lambda: lock.acquire(blocking=False))
    assert time.monotonic() - before >= SHORT_TIMEOUT_S, "a lock was free before its timeout"
    lock.release()


def check(place: Place, make) -> str:
    dead_holder(place, make)
    witness = Witness(place.file("contended.witness"))
    held = make(place, "held", 60)
    assert held.acquire(blocking=False)
    crew = Crew(PROCESSES, contend, place, make, witness)
    if place.sentinels:
        crew.await_that("a quarter is done", lambda: witness.taken() >= PROCESSES * TURNS // 4)
        place.await_successor(place.kill_master())
    results = crew.join()
    assert witness.taken() == sum(taken for taken, _ in results) == PROCESSES * TURNS
    other, _ = insist(lambda: make(place, "held", TIMEOUT_S))
    assert not insist(lambda: other.acquire(blocking=False))[0], "a held lock was given away"
    release(held)
    assert other.acquire(blocking=False)
    other.release()
    cut = sum(cut for _, cut in results)
    assert place.sentinels or not cut
    report = f"{witness.taken()} locks by {PROCESSES} processes, never two at once"
    return f"{report}; {cut} calls cut, the lock held across the failover stayed" if place.sentinels else report
