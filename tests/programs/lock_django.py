"""django-redis: Django's cache with `cache.lock`."""

import django
from django.conf import settings
from django.core.cache import caches

import exclusion
import frame


def configure(place: frame.Place) -> None:
    options = {"SOCKET_TIMEOUT": 5, "PASSWORD": place.password, "CONNECTION_POOL_KWARGS": place.tls()}
    if place.sentinels:
        location = f"redis://{frame.MASTER}/0"
        options |= {"CLIENT_CLASS": "django_redis.client.SentinelClient", "SENTINELS": place.sentinels,
                    "SENTINEL_KWARGS": {"socket_timeout": 1},
                    "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory"}
    else:
        location = place.url()
    settings.configure(CACHES={"default": {
        "BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options,
    }})
    django.setup()


def make(_place: frame.Place, name: str, timeout_s: float):
    return caches["default"].lock(name, timeout=timeout_s)


def count(_index: int) -> None:
    for _ in range(50):
        caches["default"].incr("count")


def check(place: frame.Place) -> str:
    configure(place)
    cache = caches["default"]
    cache.set("count", 0)
    frame.Crew(4, count).join()
    # With sentinels, reads go to replicas, which may be a moment behind.
    frame.await_that("the count is right", lambda: cache.get("count") == 200)
    cache.set_many({f"many:{number}": [number] for number in range(100)}, timeout=60)
    frame.await_that("the keys are there", lambda: len(cache.keys("many:*")) == 100)
    assert 0 < cache.ttl("many:1") <= 60
    assert cache.get_many(["many:1", "many:2"]) == {"many:1": [1], "many:2": [2]}
    assert cache.delete_pattern("many:*") == 100
    report = exclusion.check(place, make)
    if place.sentinels:
        assert frame.insist(lambda: cache.get("count"))[0] == 200
    return report
