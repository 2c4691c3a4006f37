"""Sending without waiting: records first, their positions when they are on the log.

A unit is settled once the broker has acknowledged all its records, and units are settled in the order in which they
were sent. An idempotent producer acknowledges the records of a topic partition in order, so only the last of each and
those that may be over the limit of their topic report their delivery: the others cannot fail alone.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dfml.errors import LogError, LogUnavailableError, RecordTooLargeError
from dfml.log.base import Commit, Settled
from dfml.log.kafka.client import Clients, client_logger
from dfml.log.kafka.errors import not_taken
from dfml.log.kafka.lost import is_lost
from dfml.log.kafka.positions import PendingPositions
from dfml.log.kafka.transactions import Encoding
from dfml.record import Append, TopicName, TopicPartition

FULL_POLL_S = 0.01
LARGE_BYTES = 64 * 1024
"""From this size on a record may be over a limit that the broker has for its topic alone."""


@dataclass(slots=True)
class _Unit:
    """A unit on its way: how many reports it waits for, and what follows when they are in."""

    commits: Sequence[Commit]
    settled: Settled
    n_records: int
    n_open: int = 0
    error: LogError | None = None

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Take a delivery report."""
        self.n_open -= 1
        if error is not None and self.error is None:
            n_bytes = len(message.value() or b"") + len(message.key() or b"")
            self.error = not_taken(error, n_bytes, f"write to {message.topic()}[{message.partition()}] (right: Write)")


class Sender:
    """One producer and the units on their way. Everything is called on one thread.

    Parameters
    ----------
    clients : Clients
        Makes the producer.
    encoding : Encoding
        How records are written.
    positions : PendingPositions
        Takes the positions of settled units.
    max_record_bytes : int
        Larger records are refused before they are sent.
    narrow : callable
        Returns the topics that may refuse smaller ones.
    """

    def __init__(
        self,
        clients: Clients,
        encoding: Encoding,
        positions: PendingPositions,
        max_record_bytes: int,
        narrow: Callable[[], Collection[TopicName]],
    ) -> None:
        self._clients = clients
        self._producer = Producer(clients.producer(), logger=client_logger)
        self._is_lost = False
        self._encoding = encoding
        self._positions = positions
        self._max_record_bytes = max_record_bytes
        self._narrow = narrow
        self._units: deque[_Unit] = deque()
        self._refusing: LogError | None = None
        self.n_unsettled = 0

    def send(self, appends: Sequence[Append], commits: Sequence[Commit], settled: Settled) -> None:
        """Send a unit; ``settled`` is called by :meth:`pump`, or at once when there is nothing to wait for."""
        try:
            check_sizes(appends, self._max_record_bytes)
        except RecordTooLargeError as error:
            settled((), error)
            return
        unit = _Unit(commits, settled, len(appends))
        self._units.append(unit)
        self.n_unsettled += len(appends)
        try:
            self._produce(appends, unit)
        except LogError as error:
            unit.error = error
        if not unit.n_open:
            self._settle()

    def _produce(self, appends: Sequence[Append], unit: _Unit) -> None:
        last = {(append.topic, append.partition): number for number, append in enumerate(appends)}
        reporting = set(last.values())
        produce, now_ms = self._encoding.produce, self._encoding.clock()
        large_bytes, narrow = _large(self._max_record_bytes), self._narrow()
        for number, append in enumerate(appends):
            if number in reporting or len(append.value) > large_bytes or append.topic in narrow:
                unit.n_open += 1
                report: Callable[..., None] | None = unit.report
            else:
                report = None
            try:
                while not produce(self._producer, append, now_ms, report):
                    self._producer.poll(FULL_POLL_S)
            except KafkaException as error:
                unit.n_open -= report is not None
                raise not_taken(
                    error.args[0], append.n_bytes, f"write to {append.topic}[{append.partition}]"
                ) from error

    def pump(self) -> None:
        """Take delivery reports, settle what they complete, and commit positions that are due."""
        if self._is_lost:
            self._begin_anew()
        if self._units:
            self._producer.poll(0)
            self._settle()
        self._positions.commit_due()

    def flush(self, timeout_s: float) -> None:
        """Wait until everything sent is settled, at most so long, and commit the positions."""
        until_s = time.monotonic() + timeout_s
        while self._units and time.monotonic() < until_s:
            self._producer.poll(0.01)
            self._settle()
        self._positions.commit_now()

    def _settle(self) -> None:
        """Settle from the front.

        After a failure everything that was sent behind it is refused too, so that it is sent again in order: a
        position must not be committed before the records that came of those in front of it.
        """
        units = self._units
        while units and not units[0].n_open:
            unit = units.popleft()
            self.n_unsettled -= unit.n_records
            self._refusing = unit.error or self._refusing
            if self._refusing is None:
                self._positions.take(unit.commits)
                unit.settled((), None)
            else:
                unit.settled((), unit.error or LogUnavailableError(f"sent behind what failed: {self._refusing}"))
        if not units:
            self._refusing = None

    def note_if_lost(self) -> None:
        """Have the producer replaced when it has lost its brokers for good; it may be called on any thread."""
        self._is_lost = is_lost(self._producer)

    def _begin_anew(self) -> None:
        """Refuse what is on its way, so that it is sent again, by a new producer."""
        self._is_lost = False
        self.close()
        self._settle()
        self._producer = Producer(self._clients.producer(), logger=client_logger)

    def close(self) -> None:
        """Give up what is not delivered."""
        self._producer.purge()
        self._producer.flush(1.0)


def check_sizes(appends: Sequence[Append], limit_bytes: int) -> None:
    """Find out whether a log with this limit takes the records.

    Raises
    ------
    RecordTooLargeError
        If one is larger.
    """
    large_bytes = _large(limit_bytes)
    for append in appends:
        if len(append.value) > large_bytes and append.n_bytes > limit_bytes:
            place = TopicPartition(append.topic, append.partition)
            msg = (
                f"a record of {append.n_bytes:,} bytes for {place} is over the limit of {limit_bytes:,} bytes"
                " (setting max_record_bytes)"
            )
            raise RecordTooLargeError(msg, limit_bytes)


def _large(limit_bytes: int) -> int:
    """Return from which size of its value on a record may be over a limit, with key and headers of usual size."""
    return min(LARGE_BYTES, limit_bytes // 2)
