"""Reads assigned topic partitions from Kafka, with as many consumers as they need.

A fetch names every partition of its consumer, so a record's delay grows with their number (1 ms at 4, 2 at 400, 8 to 18
at 4,000): beyond some hundreds another consumer is begun.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaPlace

from dfml.aside import call_aside
from dfml.errors import LogError
from dfml.log.base import Reader
from dfml.log.kafka.catalogue import Catalogue
from dfml.log.kafka.client import Properties, client_logger
from dfml.log.kafka.errors import UNKNOWN, translate, translated
from dfml.log.kafka.lost import is_lost
from dfml.record import Headers, Record, TopicName, TopicPartition

logger = logging.getLogger(__name__)

PARTITIONS_PER_CONSUMER = 500
WAIT_S = 0.05
"""How long a waiting poll stays in one consumer before it looks whether the reader was closed."""
LOOK_S = 0.001
STILL_S = 5.0
"""A consumer that brings nothing so long is asked about: behind an outage some never fetch again, and say nothing."""
CONFIRM_S = 1.0
"""How long a record that is there may be on its way."""
MAX_OFFSET = 2**63
"""Beyond all offsets: nothing of a topic partition that is not assigned is wanted."""
_PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        # A reader is of no group, but its client looks for the group's coordinator all the same.
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)


class KafkaReader(Reader):
    """A reader with consumers of its own, outside of any group.

    A topic that is deleted yields nothing more; created again, it is read from its beginning.
    """

    def __init__(
        self, properties: Properties, catalogue: Catalogue, closed: Callable[[], bool], keep_alive: Callable[[], None]
    ) -> None:
        self._properties = properties
        self._catalogue = catalogue
        self._log_closed = closed
        self._keep_alive = keep_alive
        self._closed = False
        self._guard = threading.RLock()
        self._asked = threading.Lock()
        self._consumers: list[Consumer] = []
        self._place_of: dict[TopicPartition, int] = {}
        self._load: list[int] = []
        self._heard_s: list[float] = []
        self._asking: set[int] = set()
        # Looked up with plain tuples, which equal a TopicPartition and take a fifth of the time to make.
        self._next: dict[tuple[TopicName, int], int] = {}
        self._turn = 0
        self._first: list[Message] = []

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Add topic partitions, each read from its offset on; an assigned one is moved to the offset."""
        self._check_open()
        self._catalogue.check(offsets)
        for place, offset in offsets.items():
            if offset < 0:
                msg = f"{place}: cannot be read from offset {offset}; offsets begin at 0"
                raise LogError(msg)
        with self._guard:
            self._leave([place for place in offsets if place in self._next])
            self._take_up(offsets)

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop reading these; unknown ones are ignored."""
        with self._guard:
            self._leave([place for place in partitions if place in self._next])

    def _take_up(self, offsets: Mapping[TopicPartition, int]) -> None:
        chosen: dict[int, list[KafkaPlace]] = {}
        for place, offset in offsets.items():
            number = self._emptiest()
            self._load[number] += 1
            self._place_of[place] = number
            self._next[place] = offset
            chosen.setdefault(number, []).append(KafkaPlace(place.topic, place.partition, offset))
        for number, places in chosen.items():
            with translated("begin to read (right: Read)"):
                self._consumers[number].incremental_assign(places)

    def _emptiest(self) -> int:
        number = min(range(len(self._load)), key=self._load.__getitem__, default=None)
        if number is None or self._load[number] >= PARTITIONS_PER_CONSUMER:
            self._consumers.append(Consumer(self._properties, logger=client_logger))
            self._load.append(0)
            self._heard_s.append(time.monotonic())
            return len(self._load) - 1
        return number

    def replace_lost(self) -> None:
        """Replace consumers that have lost their brokers for good; it may be called on any thread."""
        with self._asked:
            lost = [] if self._closed else [number for number, each in enumerate(self._consumers) if is_lost(each)]
            with self._guard:
                for number in lost:
                    self._replace(number)

    def _replace(self, number: int) -> None:
        """Read on from the same positions by a new consumer."""
        new = Consumer(self._properties, logger=client_logger)
        new.incremental_assign([KafkaPlace(*place, offset) for place, offset in self._positions_of(number).items()])
        self._consumers[number], self._first = new, []
        self._heard_s[number] = time.monotonic()

    def _positions_of(self, number: int) -> dict[TopicPartition, int]:
        return {place: self._next[place] for place, other in self._place_of.items() if other == number}

    def _ask_about(self, number: int) -> None:
        """Replace a consumer that does not bring what is there; called on a thread of its own."""
        try:
            with self._guard:
                before = self._positions_of(number)
            ends = self._catalogue.end(before)
            if all(offset >= ends[place] for place, offset in before.items()):
                return
            time.sleep(CONFIRM_S)
            with self._asked, self._guard:
                if not self._closed and self._positions_of(number) == before:
                    logger.warning("a consumer of Kafka has stopped to fetch; another takes its place")
                    self._replace(number)
        except LogError:
            pass  # the cluster does not answer, or a topic is gone: it is asked again
        finally:
            with self._guard:
                self._heard_s[number] = time.monotonic()
                self._asking.discard(number)

    def _leave(self, places: Iterable[TopicPartition]) -> None:
        chosen: dict[int, list[KafkaPlace]] = {}
        for place in places:
            number = self._place_of.pop(place)
            del self._next[place]
            self._load[number] -= 1
            chosen.setdefault(number, []).append(KafkaPlace(place.topic, place.partition))
        for number, found in chosen.items():
            self._consumers[number].incremental_unassign(found)

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to ``max_records`` records, waiting at most ``timeout_s`` seconds for the first."""
        self._check_open()
        self._keep_alive()
        records = self._take(max_records)
        until_s = time.monotonic() + timeout_s
        while not records and (left_s := until_s - time.monotonic()) > 0:
            self.wait(min(left_s, WAIT_S))
            self._check_open()
            records = self._take(max_records)
        return records

    def _take(self, max_records: int) -> list[Record]:
        """Take what has been fetched, beginning with the consumer whose turn it is."""
        with self._guard:
            first, self._first = self._first, []
            if first:
                self._heard_s[0] = time.monotonic()
            records = self._records(first) if first else []
            n_consumers, now_s = len(self._consumers), time.monotonic()
            for step in range(n_consumers):
                if len(records) >= max_records:
                    break
                number = (self._turn + step) % n_consumers
                if messages := self._consumers[number].consume(max_records - len(records), 0):
                    self._heard_s[number] = now_s
                    records += self._records(messages)
                elif now_s - self._heard_s[number] > STILL_S and number not in self._asking:
                    self._asking.add(number)
                    call_aside(partial(self._ask_about, number))
            self._turn += 1
        return records

    def wait(self, timeout_s: float) -> None:
        """Wait for a first record and keep it for the next poll; several consumers are looked at by the polls alone."""
        if len(self._consumers) != 1:
            time.sleep(min(timeout_s, LOOK_S))
        elif not self._first and (message := self._consumers[0].poll(timeout_s)) is not None:
            with self._guard:
                self._first.append(message)

    def _records(self, messages: list[Message]) -> list[Record]:
        """Make records of messages and note the positions behind them; partition ends move positions too.

        A message that was waited for may be of an assignment before the present one, and then comes again or is not
        wanted: offsets never go back.
        """
        following = self._next
        records = []
        for message in messages:
            error = message.error()
            place = (message.topic(), message.partition())
            offset = message.offset()
            if error is None:
                if following.get(place, MAX_OFFSET) <= offset:
                    following[place] = offset + 1
                    records.append(
                        Record(
                            *place,
                            offset,
                            message.key() or b"",
                            message.value() or b"",
                            _headers_of(message),
                            message.timestamp()[1],
                        )
                    )
            elif error.code() == KafkaError._PARTITION_EOF:
                if following.get(place, MAX_OFFSET) < offset:
                    following[place] = offset
            else:
                self._note(error, message.topic())
        return records

    def _note(self, error: KafkaError, topic: TopicName | None) -> None:
        """Pass over what passes by itself; raise what does not.

        A topic that was deleted is asked about again at the next assignment.
        """
        if error.code() in _PASSING or error.retriable():
            return
        if error.code() in UNKNOWN:
            self._catalogue.forget()
            return
        raise translate(error, f"read topic {topic!r} (right: Read)")

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset to be read, per assigned topic partition."""
        with self._guard:
            return {TopicPartition(*place): offset for place, offset in self._next.items()}

    def close(self) -> None:
        """Close the consumers; the reader cannot be used afterwards."""
        with self._asked, self._guard:
            if not self._closed:
                self._closed = True
                for consumer in self._consumers:
                    consumer.close()

    def _check_open(self) -> None:
        if self._closed or self._log_closed():
            msg = "the reader or its log is closed"
            raise LogError(msg)


def _headers_of(message: Message) -> Headers:
    """Return a message's headers; those that foreign clients wrote without a value have an empty one."""
    headers = message.headers()
    if not headers:
        return ()
    for _, value in headers:
        if value is None:
            return tuple((name, value or b"") for name, value in headers)
    return tuple(headers)
