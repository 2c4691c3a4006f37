"""Units as Kafka's transactions: records and positions become visible together or not at all."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as KafkaPlace

from dfml.aside import call_aside
from dfml.clock import Clock
from dfml.errors import LogError, LogUnavailableError, UnknownTopicError
from dfml.log.base import Commit
from dfml.log.kafka.client import Clients, client_logger
from dfml.log.kafka.errors import FENCED, not_taken, translate, translated
from dfml.record import Append, Position, TopicName, TopicPartition

TIMEOUT_S = 10.0
"""How long one transaction may take before the broker aborts it; readers behind it wait so long at worst."""

OFFSETS_S = 4.0
"""How long positions may take to become part of a transaction. librdkafka does not keep its own time-out there, and
can wait for good for a broker that came back (librdkafka issues 5456 and 5511): who was answered by then goes on within
a session's time-out."""
COMMIT_TRIES = 3
"""A client that has not learned in as many time-outs what became of a commit may never do, and nothing else is written
meanwhile."""
FULL_POLL_S = 0.01

Metadata = Callable[[Commit], bytes]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How records are written: ``clock`` stamps them, empty values of compacted topics are written as deletions."""

    clock: Clock
    is_compacted: Callable[[TopicName], bool]

    def produce(self, producer: Producer, append: Append, now_ms: int, on_delivery: Callable[..., None] | None) -> bool:
        """Hand a record to a producer; return False where its queue is full.

        Raises
        ------
        KafkaException
            If the producer does not take it.
        """
        value: bytes | None = append.value
        if not value and self.is_compacted(append.topic):
            value = None
        try:
            producer.produce(
                append.topic,
                value,
                append.key,
                append.partition,
                on_delivery=on_delivery,
                timestamp=now_ms if append.timestamp_ms is None else append.timestamp_ms,
                headers=list(append.headers),
            )
        except BufferError:
            return False
        return True


class Transactions:
    """Writes one unit at a time; safe to call from any thread. The producer is made when it is first needed.

    Parameters
    ----------
    clients : Clients
        Makes the producer.
    encoding : Encoding
        How records are written.
    metadata : callable
        Returns what the positions of a commit are committed by, or raises FencedError.
    name : str
        The producer's transactional id: a later producer of that name ends what an earlier one left open.

    Attributes
    ----------
    fenced
        Whether a later producer of that name has ended this one.
    """

    def __init__(self, clients: Clients, encoding: Encoding, metadata: Metadata, name: str) -> None:
        self._clients = clients
        self._name = name
        self._encoding = encoding
        self._metadata = metadata
        self._guard = threading.Lock()
        self._producer: Producer | None = None
        self.fenced = False

    def write(self, appends: Sequence[Append], commits: Sequence[Commit]) -> list[Position]:
        """Write the records, commit the positions, and return where the records are.

        Raises
        ------
        FencedError, UnknownTopicError, LogError
            As the contract says; nothing is visible then.
        """
        with self._guard:
            producer = self._started()
            offsets: list[int | None] = [None] * len(appends)
            errors: list[tuple[KafkaError, int]] = []
            try:
                producer.begin_transaction()
                now_ms = self._encoding.clock()
                for number, append in enumerate(appends):
                    while not self._encoding.produce(producer, append, now_ms, _reporter(offsets, errors, number)):
                        producer.poll(FULL_POLL_S)
                for metadata, places in self._by_group(commits):
                    self._send_offsets(producer, places, metadata)
                _commit(producer)
            except (KafkaException, LogError) as error:
                raise self._abort(producer, error, errors) from error
            return [
                Position(append.topic, append.partition, _known(offset))
                for append, offset in zip(appends, offsets, strict=True)
            ]

    def _send_offsets(self, producer: Producer, places: list[KafkaPlace], metadata: bytes) -> None:
        """Make positions part of the transaction; a producer that does not come back from it is given up.

        Nobody commits its transaction any more: the next producer of its name ends it.
        """
        sending = call_aside(lambda: producer.send_offsets_to_transaction(places, metadata, OFFSETS_S))
        try:
            sending.result(OFFSETS_S)
        except TimeoutError:
            self._producer = None
            msg = f"write a unit (right: Write): its positions were not taken within {OFFSETS_S:g} s"
            raise LogUnavailableError(msg) from None

    def start(self) -> None:
        """End what an earlier producer of this name left open, and let no such one write any more."""
        with self._guard:
            self._started()

    def _started(self) -> Producer:
        if self._producer is None:
            properties = self._clients.transactional(self._name, int(TIMEOUT_S * 1000))
            producer = Producer(properties, logger=client_logger)
            doing = f"begin transactions as {self._name!r} (right: Write)"
            with translated(doing):
                producer.init_transactions(TIMEOUT_S)
            self._producer = producer
        return self._producer

    def _by_group(self, commits: Sequence[Commit]) -> list[tuple[bytes, list[KafkaPlace]]]:
        """Put the positions of one group together: a later one of the same topic partition counts."""
        found: dict[bytes, dict[TopicPartition, int]] = {}
        for commit in commits:
            found.setdefault(self._metadata(commit), {}).update(commit.offsets)
        return [
            (metadata, [KafkaPlace(place.topic, place.partition, offset) for place, offset in offsets.items()])
            for metadata, offsets in found.items()
            if offsets
        ]

    def _abort(self, producer: Producer, error: Exception, errors: Sequence[tuple[KafkaError, int]]) -> LogError:
        """End a transaction without effect, and say why it failed; a producer that cannot go on is given up."""
        raised: KafkaError | None = error.args[0] if isinstance(error, KafkaException) else None
        if raised is not None and raised.fatal():
            self._producer = None
            self.fenced = raised.code() in FENCED
        elif self._producer is not None:
            try:
                producer.abort_transaction(TIMEOUT_S)
            except KafkaException:
                self._producer = None
        with suppress(KafkaException):  # that of a producer which cannot go on, and says so again
            producer.poll(0)
        for each, n_bytes in errors:
            if each.code() != KafkaError._PURGE_QUEUE:
                return not_taken(each, n_bytes, "write a unit (right: Write)")
        if isinstance(error, LogError):
            return error
        assert raised is not None
        return translate(raised, "write a unit (right: Write)")

    def close(self) -> None:
        """Give the producer up."""
        self._producer = None


def simple_metadata(clients: Clients, group: str) -> bytes:
    """Return what positions outside of any membership are committed by."""
    consumer = Consumer(clients.positions(group), logger=client_logger)
    found: bytes = consumer.consumer_group_metadata()
    consumer.close()
    return found


def _commit(producer: Producer) -> None:
    """Commit the transaction, asking until it is known whether it is: what may be written must not be sent again.

    Raises
    ------
    KafkaException
        If it is not committed, or the broker has not said so after ``COMMIT_TRIES``.
    """
    for left in reversed(range(COMMIT_TRIES)):
        try:
            producer.commit_transaction(TIMEOUT_S)
        except KafkaException as error:
            if not (left and error.args[0].retriable()):
                raise
        else:
            return


def _reporter(offsets: list[int | None], errors: list[tuple[KafkaError, int]], number: int) -> Callable[..., None]:
    def report(error: KafkaError | None, message: Message) -> None:
        if error is None:
            offsets[number] = message.offset()
        else:
            errors.append((error, len(message.value() or b"") + len(message.key() or b"")))

    return report


def _known(offset: int | None) -> int:
    if offset is None:
        msg = "the broker did not say where a record of a committed unit is"
        raise UnknownTopicError(msg)
    return offset
