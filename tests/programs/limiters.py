"""limits: its three strategies, whose Lua scripts are asked by several processes at once."""

import time

from limits import RateLimitItemPerHour, RateLimitItemPerSecond
from limits.storage import RedisSentinelStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

import frame

STRATEGIES = [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter]
PROCESSES = 4
LIMIT = 120
TRIES = 40
# Long enough for some hits on a slow machine.
WINDOW_S = round(2 * frame.SLOWNESS)


def limiter(place: frame.Place, strategy):
    # Without retries: a hit whose reply was lost would be counted twice.
    options = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 5}
    if place.sentinels:
        hosts = ",".join(f"{host}:{port}" for host, port in place.sentinels)
        # It takes the password for that of the sentinels as well.
        return strategy(RedisSentinelStorage(f"redis+sentinel://{hosts}/{frame.MASTER}", password=place.password,
                                             sentinel_kwargs={"password": None, "socket_timeout": 1}, **options))
    return strategy(RedisStorage(place.url(), **place.tls(), **options))


def hit(_index: int, place: frame.Place, strategy, witness: frame.Effects) -> tuple[int, int]:
    """Tries more often than the limit allows. Returns how many hits passed, and how many calls a
    failover cut, of which nobody knows whether they counted."""
    limits, passed, cut = limiter(place, strategy), 0, 0
    for _ in range(TRIES):
        allowed, failures = frame.insist(lambda: limits.hit(RateLimitItemPerHour(LIMIT), strategy.__name__))
        passed += allowed
        cut += failures
        witness.record(int(allowed))
    return passed, cut


def check_many(place: frame.Place, strategy) -> tuple[int, int]:
    witness = frame.Effects(place, strategy.__name__)
    witness.clear()
    crew = frame.Crew(PROCESSES, hit, place, strategy, witness)
    if place.sentinels and strategy is MovingWindowRateLimiter:
        crew.await_that("a quarter has passed", lambda: witness.counts()[1] >= LIMIT // 4)
        place.await_successor(place.kill_master())
    results = crew.join()
    passed, cut = (sum(column) for column in zip(*results))
    # As many as allowed. A hit whose reply was lost may count as well: each process has one on the way
    # when the master dies, and one when the sentinels cut the clients of its successor.
    lost = LIMIT - passed
    assert 0 <= lost <= min(cut, 2 * PROCESSES), f"{strategy.__name__}: {passed} passed, {cut} calls cut"
    return passed, cut


def check_window(place: frame.Place, strategy) -> None:
    """What a short window has refused is allowed when it is over, and not before."""
    limits, item = limiter(place, strategy), RateLimitItemPerSecond(3, WINDOW_S)
    before = time.time()
    name = f"few {strategy.__name__}"
    assert [limits.hit(item, name) for _ in range(4)] == [True, True, True, False]
    frame.await_that("the window is over", lambda: limits.hit(item, name))
    # A sliding window gives way little by little: a third of it is one hit.
    at_least_s = WINDOW_S / 3 if strategy is SlidingWindowCounterRateLimiter else WINDOW_S
    # Milliseconds are rounded.
    assert time.time() - before >= at_least_s - 0.002, f"{strategy.__name__}: too early"


def check(place: frame.Place) -> str:
    for strategy in STRATEGIES:
        check_window(place, strategy)
    counts = [check_many(place, strategy) for strategy in STRATEGIES]
    passed = ", ".join(str(passed) for passed, _ in counts)
    cut = f", {sum(cut for _, cut in counts)} calls cut" if place.sentinels else ""
    return f"of {PROCESSES * TRIES} hits by {PROCESSES} processes with a limit of {LIMIT} passed {passed}{cut}"
