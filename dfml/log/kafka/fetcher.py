"""One consumer of a reader, and the topic partitions that it reads."""

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, Message
from confluent_kafka import TopicPartition as KafkaPlace

from dfml.log.kafka.client import Properties, client_logger
from dfml.log.kafka.errors import translated
from dfml.record import TopicPartition


class Fetcher:
    """A consumer outside of any group, with its topic partitions assigned by hand.

    Attributes
    ----------
    places
        What it reads.
    heard_s
        When it brought something last, or was asked about (monotonic seconds).
    is_asked_about
        Whether it is being found out if it still fetches.
    """

    def __init__(self, properties: Properties) -> None:
        self._properties = properties
        self.consumer = Consumer(properties, logger=client_logger)
        self.places: set[TopicPartition] = set()
        self.heard_s = time.monotonic()
        self.is_asked_about = False

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these too, each from its offset on."""
        with translated("begin to read (right: Read)"):
            self.consumer.incremental_assign([KafkaPlace(*place, offset) for place, offset in offsets.items()])
        self.places |= offsets.keys()

    def unassign(self, places: Iterable[TopicPartition]) -> None:
        """Read these no more."""
        gone = list(places)
        self.consumer.incremental_unassign([KafkaPlace(*place) for place in gone])
        self.places.difference_update(gone)

    def take(self, max_messages: int) -> list[Message]:
        """Return what has been fetched, at most so much of it."""
        messages: list[Message] = self.consumer.consume(max_messages, 0)
        if messages:
            self.heard_s = time.monotonic()
        return messages

    def wait(self, timeout_s: float) -> Message | None:
        """Wait for one message and return it; None where none comes in that time."""
        message: Message | None = self.consumer.poll(timeout_s)
        if message is not None:
            self.heard_s = time.monotonic()
        return message

    def begin_anew(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets by a new consumer."""
        self.consumer = Consumer(self._properties, logger=client_logger)
        self.assign(offsets)
        self.heard_s = time.monotonic()

    def close(self) -> None:
        """Close the consumer."""
        self.consumer.close()
