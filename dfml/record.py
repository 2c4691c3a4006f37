"""Records and positions: the two values that everything else is made of.

They are tuples, not frozen data classes: one of each is made for every record that is read or written, and a frozen
data class takes four times as long to make.
"""

from typing import NamedTuple, NewType

RequestId = NewType("RequestId", str)
TopicName = NewType("TopicName", str)
StepName = NewType("StepName", str)
TensorName = NewType("TensorName", str)

Headers = tuple[tuple[str, bytes], ...]
"""Ordered header names and values, as Kafka has them; a name may occur more than once."""


class TopicPartition(NamedTuple):
    """One partition number of one topic."""

    topic: TopicName
    partition: int

    def __str__(self) -> str:
        """Print ``topic[partition]``."""
        return f"{self.topic}[{self.partition}]"


class Position(NamedTuple):
    """The name of a record: ``topic[partition]@offset``."""

    topic: TopicName
    partition: int
    offset: int

    def __str__(self) -> str:
        """Print ``topic[partition]@offset``."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read ``topic[partition]@offset``.

        Raises
        ------
        ValueError
            If the text is not of that form.
        """
        place, at, offset = text.rpartition("@")
        topic, bracket, partition = place.rstrip("]").rpartition("[")
        if not (at and bracket and place.endswith("]") and partition.isdigit() and offset.isdigit()):
            msg = f"not a position: got {text!r}, expected topic[partition]@offset"
            raise ValueError(msg)
        return cls(TopicName(topic), int(partition), int(offset))


RECORD_OVERHEAD_BYTES = 100
"""What a record takes on a log beside key, value and headers, with something to spare."""


class Append(NamedTuple):
    """A record to be written: everything but the offset, which the log gives.

    ``timestamp_ms`` is stamped by the log when it is None (append time, milliseconds since the epoch).
    """

    topic: TopicName
    partition: int
    key: bytes
    value: bytes
    headers: Headers = ()
    timestamp_ms: int | None = None

    @property
    def n_bytes(self) -> int:
        """What the record takes on a log, bytes."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.key) + len(self.value) + headers + RECORD_OVERHEAD_BYTES


class Record(NamedTuple):
    """One entry of a topic, as read from the log. ``timestamp_ms`` is milliseconds since the epoch."""

    topic: TopicName
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Headers
    timestamp_ms: int

    @property
    def position(self) -> Position:
        """The record's name."""
        return Position(self.topic, self.partition, self.offset)

    def header(self, name: str) -> bytes | None:
        """Return the first header of that name, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None
