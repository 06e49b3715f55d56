"""kombu: messages with acknowledgement. A consumer is killed with a message in its hands, which another
one gets when the time for it is over."""

import kombu
import redis
from kombu.exceptions import OperationalError

import frame

MESSAGES = 120
TRAP = 20
FAILOVER_AT = 60
CONSUMERS = 3
NAME = "kombu"
# After which a message that is not acknowledged is given to another.
VISIBILITY_S = 3 * frame.SLOWNESS


def transport_options(place: frame.Place) -> dict:
    """Options of kombu's transport, which Celery has as well. A mutex in the server guards what looks
    for abandoned messages: it goes with a connection that a failover cuts."""
    options = {"visibility_timeout": VISIBILITY_S, "unacked_restore_interval": 1, "unacked_restore_throttle": 1,
               "unacked_mutex_expire": 2, "socket_timeout": 5}
    if place.sentinels:
        options |= {"master_name": frame.MASTER, "sentinel_kwargs": {"socket_timeout": 1}}
    return options


def address(place: frame.Place) -> str:
    if place.sentinels:
        return ";".join(f"sentinel://{place.user()}{host}:{port}/0" for host, port in place.sentinels)
    return place.url()


def connect(place: frame.Place) -> kombu.Connection:
    return kombu.Connection(address(place), transport_options=transport_options(place), ssl=place.tls() or None)


def consume(_index: int, place: frame.Place, effects: frame.Effects) -> int:
    """Takes messages until the end is marked. Returns how many it has acknowledged."""
    acknowledged = 0
    while not place.file("end").exists():
        try:
            with connect(place) as connection, connection.SimpleQueue(NAME) as queue:
                # By default it would take all that there are.
                queue.consumer.qos(prefetch_count=1)
                acknowledged += consume_some(place, queue, effects)
        except (OperationalError, redis.RedisError, OSError):
            # Cut by a failover.
            if not place.sentinels:
                raise
    return acknowledged


def consume_some(place: frame.Place, queue, effects: frame.Effects) -> int:
    acknowledged = 0
    while not place.file("end").exists():
        try:
            message = queue.get(timeout=0.5)
        except queue.Empty:
            continue
        if message.payload == TRAP:
            effects.trap()
        effects.record(message.payload)
        message.ack()
        acknowledged += 1
    return acknowledged


def publish(place: frame.Place, numbers) -> int:
    """Publishes messages. Returns how many may be there twice, since the reply to a try was lost."""
    numbers = list(numbers)

    def put_all() -> None:
        with connect(place) as connection, connection.SimpleQueue(NAME) as queue:
            while numbers:
                queue.put(numbers[0], retry=False)
                del numbers[0]

    return frame.insist(put_all, OperationalError)[1]


def check(place: frame.Place) -> str:
    effects = frame.Effects(place, NAME)
    effects.clear()
    crew = frame.Crew(CONSUMERS, consume, place, effects)
    twice = publish(place, range(FAILOVER_AT))
    crew.await_that("the trap has sprung", effects.trapped)
    if place.sentinels:
        killed = place.kill_master()
    twice += publish(place, range(FAILOVER_AT, MESSAGES))
    if place.sentinels:
        place.await_successor(killed)
    crew.kill(effects.trapped())
    lost = []
    if place.sentinels:
        # Who takes a message notes it as not acknowledged in a second step: it is lost to a connection
        # that is cut between them.
        crew.await_that("nearly all are done", lambda: len(effects.counts()) >= MESSAGES - CONSUMERS)
        frame.await_that("nothing is waiting", lambda: frame.insist(lambda: is_empty(place))[0])
        lost = [number for number in range(MESSAGES) if not effects.counts()[number]]
        publish(place, lost)
    crew.await_that("all are done", lambda: len(effects.counts()) == MESSAGES)
    crew.await_that("all are acknowledged", lambda: frame.insist(lambda: is_empty(place))[0])
    place.file("end").touch()
    crew.join()
    again = sum(effects.counts().values()) - MESSAGES
    if place.sentinels:
        assert again <= twice + CONSUMERS, f"{again} messages again, {twice} tries cut"
        return (f"{MESSAGES} messages, {len(lost)} lost on their way out and sent anew, {again} twice, "
                "a consumer and the master killed on the way")
    assert not again and not twice, f"{again} messages again, {twice} tries cut"
    return f"{MESSAGES} messages by {CONSUMERS} consumers once each, one of them killed with one in its hands"


def is_empty(place: frame.Place) -> bool:
    """Whether no message waits, nor for an acknowledgement."""
    client = place.client()
    return not client.exists("unacked", NAME)
