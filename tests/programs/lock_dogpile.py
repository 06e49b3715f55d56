"""dogpile.cache: the lock of its Redis backend, and a value that many want made once."""

import time

from dogpile.cache import make_region

import exclusion
import frame


def region(place: frame.Place, timeout_s: float):
    common = {"distributed_lock": True, "thread_local_lock": False, "lock_timeout": timeout_s,
              "lock_sleep": 0.01, "redis_expiration_time": 60}
    if place.sentinels:
        arguments = {"sentinels": place.sentinels, "service_name": frame.MASTER, "password": place.password,
                     "sentinel_kwargs": {"password": None, "socket_timeout": 1}, "socket_timeout": 5, **common}
        return make_region().configure("dogpile.cache.redis_sentinel", 30, arguments)
    arguments = {"url": place.url(), "connection_kwargs": place.tls(), **common}
    return make_region().configure("dogpile.cache.redis", 30, arguments)


class Mutex:
    """dogpile's mutex, by the names of redis-py's lock."""

    def __init__(self, mutex):
        self.mutex = mutex
        self.release = mutex.release

    def acquire(self, blocking: bool) -> bool:
        return self.mutex.acquire(wait=blocking)


def make(place: frame.Place, name: str, timeout_s: float) -> Mutex:
    return Mutex(region(place, timeout_s).backend.get_mutex(name))


def want(_index: int, place: frame.Place, effects: frame.Effects) -> list[int]:
    values = region(place, 30)

    def create() -> int:
        effects.record(0)
        time.sleep(0.02)
        return 42

    return [values.get_or_create(f"value:{number}", create) for number in range(20)]


def check(place: frame.Place) -> str:
    effects = frame.Effects(place, "dogpile")
    effects.clear()
    for values in frame.Crew(4, want, place, effects).join():
        assert values == [42] * 20
    made = effects.counts()[0]
    # With sentinels it reads from replicas, which may be a moment behind.
    assert made >= 20 if place.sentinels else made == 20, made
    report = exclusion.check(place, make)
    if place.sentinels:
        # What was cached before the failover is not made again.
        assert frame.insist(lambda: region(place, 30).get_or_create("value:7", lambda: 0))[0] == 42
    return f"20 values wanted by 4, made {made} times; {report}"
