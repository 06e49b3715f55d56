"""redis-py's Lock."""

import exclusion
import frame


def make(place: frame.Place, name: str, timeout_s: float):
    return place.client().lock(name, timeout=timeout_s)


def check(place: frame.Place) -> str:
    lock = make(place, "extended", 20)
    assert lock.acquire(blocking=False)
    assert lock.extend(30) and lock.locked() and lock.owned()
    assert 30_000 < place.client().pttl("extended") <= 50_000
    assert lock.reacquire() and place.client().pttl("extended") <= 20_000
    lock.release()
    return exclusion.check(place, make)
