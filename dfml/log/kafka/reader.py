"""Reads assigned topic partitions from Kafka, with as many consumers as they need.

A fetch names every partition of its consumer, and each record that comes ends a fetch, so that delay and work of a
record grow with their number (1 ms at 4, 2 at 400, 8 to 18 at 4,000, on a broker that does nothing else). Where there
are many, those that something comes to are therefore read by a consumer of their own, whose fetches are short, and the
others wait in consumers of some hundreds each, whose fetches are long and seldom end.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from confluent_kafka import KafkaError, Message

from dfml.aside import call_aside
from dfml.errors import LogError
from dfml.log.base import Reader
from dfml.log.kafka.catalogue import Catalogue
from dfml.log.kafka.client import Properties
from dfml.log.kafka.errors import UNKNOWN, translate
from dfml.log.kafka.fetcher import Fetcher
from dfml.log.kafka.lost import is_lost
from dfml.record import Headers, Record, TopicName, TopicPartition

logger = logging.getLogger(__name__)

BUSY_PARTITIONS = 100
"""So many are read by the first consumer, those that something comes to before others."""
PARTITIONS_PER_CONSUMER = 500
"""So many by each of the others."""
CALM_S = 10.0
"""To what nothing comes for so long gives its place among the busy ones up to another."""
WAIT_S = 0.05
"""How long a waiting poll stays in one consumer before it looks whether the reader was closed."""
LOOK_S = 0.005
"""How long it stays there where there are others to look at."""
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
        self._fetchers: list[Fetcher] = []
        self._fetcher_of: dict[TopicPartition, Fetcher] = {}
        # Looked up with plain tuples, which equal a TopicPartition and take a fifth of the time to make.
        self._next: dict[tuple[TopicName, int], int] = {}
        self._turn = 0
        self._first: list[Message] = []
        self._looked_s = 0.0
        self._stood_at: dict[TopicPartition, int] = {}
        self._calm: list[TopicPartition] = []

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

    def _take_up(self, offsets: Mapping[TopicPartition, int], *, calm: bool = False) -> None:
        """Read these too, by the first consumer as far as that has room, or by the others alone if they are calm."""
        chosen: dict[Fetcher, dict[TopicPartition, int]] = defaultdict(dict)
        for place, offset in offsets.items():
            fetcher = self._with_room(chosen, calm=calm)
            self._fetcher_of[place] = fetcher
            self._next[place] = offset
            chosen[fetcher][place] = offset
        for fetcher, begins in chosen.items():
            fetcher.assign(begins)

    def _with_room(self, chosen: Mapping[Fetcher, Collection[TopicPartition]], *, calm: bool) -> Fetcher:
        """Return the first consumer that can take one more, beside what is chosen for it."""
        for number, fetcher in enumerate(self._fetchers):
            limit = PARTITIONS_PER_CONSUMER if number else 0 if calm else BUSY_PARTITIONS
            if len(fetcher.places) + len(chosen.get(fetcher, ())) < limit:
                return fetcher
        self._fetchers.append(Fetcher(self._properties))
        return self._fetchers[-1]

    def _leave(self, places: Iterable[TopicPartition]) -> None:
        chosen: dict[Fetcher, list[TopicPartition]] = defaultdict(list)
        for place in places:
            chosen[self._fetcher_of.pop(place)].append(place)
            del self._next[place]
        for fetcher, found in chosen.items():
            fetcher.unassign(found)

    # -- consumers that bring nothing any more ------------------------------------------------------------------------

    def replace_lost(self) -> None:
        """Replace consumers that have lost their brokers for good; it may be called on any thread."""
        with self._asked:
            lost = [] if self._closed else [each for each in self._fetchers if is_lost(each.consumer)]
            with self._guard:
                for fetcher in lost:
                    self._replace(fetcher)

    def _replace(self, fetcher: Fetcher) -> None:
        """Read on from the same positions by a new consumer."""
        fetcher.begin_anew(self._positions_of(fetcher))
        self._first = []

    def _positions_of(self, fetcher: Fetcher) -> dict[TopicPartition, int]:
        return {place: self._next[place] for place in fetcher.places}

    def _ask_about(self, fetcher: Fetcher) -> None:
        """Replace a consumer that does not bring what is there; called on a thread of its own."""
        try:
            with self._guard:
                before = self._positions_of(fetcher)
            ends = self._catalogue.end(before)
            if all(offset >= ends[place] for place, offset in before.items()):
                return
            time.sleep(CONFIRM_S)
            with self._asked, self._guard:
                if not self._closed and self._positions_of(fetcher) == before:
                    logger.warning("a consumer of Kafka has stopped to fetch; another takes its place")
                    self._replace(fetcher)
        except LogError:
            pass  # the cluster does not answer, or a topic is gone: it is asked again
        finally:
            with self._guard:
                fetcher.heard_s = time.monotonic()
                fetcher.is_asked_about = False

    # -- busy and calm ------------------------------------------------------------------------------------------------

    def _bring_together(self, messages: Iterable[Message]) -> None:
        """Have what something came to read by the first consumer, as far as that has room or can make some."""
        busy = self._fetchers[0]
        came = {TopicPartition(each.topic(), each.partition()) for each in messages if each.error() is None}
        moved = [place for place in came if self._fetcher_of.get(place, busy) is not busy]
        self._make_room(len(busy.places) + len(moved) - BUSY_PARTITIONS)
        if moved := moved[: max(BUSY_PARTITIONS - len(busy.places), 0)]:
            self._move(moved)

    def _make_room(self, n_wanted: int) -> None:
        """Let as many leave the first consumer as are wanted, and nothing has come to for a time."""
        busy, now_s = self._fetchers[0], time.monotonic()
        if n_wanted > 0 and now_s > self._looked_s + CALM_S:
            at, before = self._positions_of(busy), self._stood_at
            self._calm = [place for place, offset in at.items() if before.get(place) == offset]
            self._looked_s, self._stood_at = now_s, at
        gone: list[TopicPartition] = []
        while self._calm and len(gone) < n_wanted:
            place = self._calm.pop()
            if place in busy.places and self._next[place] == self._stood_at[place]:
                gone.append(place)
        if gone:
            self._move(gone, calm=True)

    def _move(self, places: Collection[TopicPartition], *, calm: bool = False) -> None:
        """Have another consumer read topic partitions on from where they stand."""
        at = {place: self._next[place] for place in places}
        self._leave(places)
        self._take_up(at, calm=calm)

    # -- records ------------------------------------------------------------------------------------------------------

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
            records = self._records(first) if first else []
            n_fetchers, now_s = len(self._fetchers), time.monotonic()
            calm: list[Message] = []
            for step in range(n_fetchers):
                if len(records) >= max_records:
                    break
                number = (self._turn + step) % n_fetchers
                fetcher = self._fetchers[number]
                if messages := fetcher.take(max_records - len(records)):
                    records += self._records(messages)
                    if number:
                        calm += messages
                elif now_s - fetcher.heard_s > STILL_S and not fetcher.is_asked_about:
                    fetcher.is_asked_about = True
                    call_aside(partial(self._ask_about, fetcher))
            self._turn += 1
            if calm:
                self._bring_together(calm)
        return records

    def wait(self, timeout_s: float) -> None:
        """Wait for a first record of the first consumer and keep it for the next poll; the polls look at the others."""
        if not self._fetchers:
            time.sleep(min(timeout_s, LOOK_S))
        elif not self._first:
            only = len(self._fetchers) == 1
            message = self._fetchers[0].wait(timeout_s if only else min(timeout_s, LOOK_S))
            if message is not None:
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
                for fetcher in self._fetchers:
                    fetcher.close()

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
