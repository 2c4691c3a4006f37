"""The contract of the log: Kafka's semantics, reduced to what SQLite and Kafka can both keep.

What is promised. Records of one topic and partition number are read in the order of their offsets. Everything in one
:meth:`Log.append` becomes visible as a whole or not at all, together with the positions committed in it. Appended
records survive the death of the process. A member of a group that lost its generation cannot commit.

What is not. No order between partition numbers. Offsets may have gaps (Kafka's transaction markers). No promise of
durability against a power cut beyond the implementation's own setting.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self

from dfml.errors import LogError
from dfml.record import Append, Position, Record, TopicName, TopicPartition

Settled = Callable[[Sequence[Record], LogError | None], None]
"""Told of a unit that was sent: its records, where they are known at once, and the error that it was refused with."""


class Cleanup(Enum):
    """What the log may remove from a topic: old records, or superseded ones of the same key.

    In a compacted topic an empty value deletes its key; the record that says so may itself go after a day.
    """

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """How a topic is kept. ``retention_ms`` None keeps for ever; ``partitions`` is at least 1."""

    name: TopicName
    partitions: int = 1
    retention_ms: int | None = None
    cleanup: Cleanup = Cleanup.DELETE


@dataclass(frozen=True, slots=True)
class Commit:
    """Positions to be committed for a group: the offset of the oldest record still needed, per topic partition.

    ``generation`` None commits outside of any membership (a reader that owns its positions by arrangement); a number
    is checked against the group's membership and a stale one raises :class:`~dfml.errors.FencedError`.
    """

    group: str
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    member: str = ""
    generation: int | None = None


class Reader(ABC):
    """Reads assigned topic partitions from given positions onwards; not safe to share between threads."""

    @abstractmethod
    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Add topic partitions, each read from its offset on; an assigned one is moved to the offset.

        Raises
        ------
        UnknownTopicError
            If the topic or partition number does not exist.
        """

    @abstractmethod
    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop reading these; unknown ones are ignored."""

    @abstractmethod
    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to ``max_records`` records, waiting at most ``timeout_s`` seconds for the first.

        Records of one topic partition come in order of offset; no topic partition starves another for ever.
        """

    @abstractmethod
    def wait(self, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` seconds until a poll may find something.

        It may be called in a thread of its own; meanwhile others may poll, assign and unassign, but not move what is
        assigned backwards.
        """

    @abstractmethod
    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset to be read, per assigned topic partition."""

    @abstractmethod
    def close(self) -> None:
        """Release what the reader holds; it cannot be used afterwards."""


class Membership(ABC):
    """A member's place in a group: which partition numbers it owns, and by which generation.

    Every partition number of the group is owned by at most one member of the newest generation.
    """

    @property
    @abstractmethod
    def member(self) -> str:
        """The member's own name, unique in the group."""

    @property
    @abstractmethod
    def generation(self) -> int:
        """The generation the member last learnt of."""

    @abstractmethod
    def poll(self) -> frozenset[int]:
        """Show that the member lives and return the partition numbers it owns now; call at least every second.

        Raises
        ------
        FencedError
            If the member was away for longer than the session time-out and has been replaced.
        """

    @abstractmethod
    def leave(self) -> None:
        """Hand the owned partition numbers over at once."""

    @abstractmethod
    def abandon(self) -> None:
        """Leave with nothing to hand over: what the member had is lost already. On any thread."""


class Log(ABC):
    """Topics, appends, readers, committed positions and group membership. Methods may be called from any thread."""

    @abstractmethod
    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        """Create the topics that do not exist yet.

        Raises
        ------
        ConflictError
            If a topic exists with another partition count.
        """

    @abstractmethod
    def delete_topics(self, names: Iterable[TopicName]) -> None:
        """Delete topics with their records and committed positions; unknown ones are ignored."""

    @abstractmethod
    def topics(self) -> dict[TopicName, TopicConfig]:
        """Return every topic of the log."""

    @abstractmethod
    def append(self, appends: Sequence[Append], commits: Sequence[Commit] = ()) -> list[Position]:
        """Write the records and commit the positions as one unit; return the records' positions in order.

        Raises
        ------
        UnknownTopicError
            If a topic or partition number does not exist; nothing is written.
        FencedError
            If a commit's generation is stale; nothing is written.
        RecordTooLargeError
            If a record is over the log's limit; nothing is written.
        LogUnavailableError, LogReadOnlyError
            If it cannot be written now (disk full, locked) or at all.
        """

    @abstractmethod
    def send(self, appends: Sequence[Append], commits: Sequence[Commit], settled: Settled) -> None:
        """Write the records and commit the positions without waiting; for one thread of a process.

        ``settled`` is called on the same thread once the records survive the death of the process, or with the error
        of :meth:`append`; units are settled in the order in which they were sent. After a refused unit those sent
        behind it are refused as well. With the records come their offsets where the log knows them then.

        What is promised is less than of :meth:`append`: positions are committed no earlier than the records are
        settled, but perhaps later, and the records of a unit may become visible one after the other.
        """

    @abstractmethod
    def pump(self) -> None:
        """Settle what can be settled; call it often while something is on its way."""

    @abstractmethod
    def flush(self, timeout_s: float) -> None:
        """Wait until what was sent is settled and its positions are committed, at most so many seconds."""

    @property
    @abstractmethod
    def is_remote(self) -> bool:
        """Whether a question to the log takes a round trip: who must not wait then asks in a thread."""

    @property
    @abstractmethod
    def n_unsettled(self) -> int:
        """How many records were sent and are not settled."""

    @abstractmethod
    def reader(self, *, to_end: bool = False) -> Reader:
        """Return a new reader with nothing assigned; ``to_end`` for one that only reads what is there now."""

    @abstractmethod
    def beginning(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of the oldest record kept (the end when there is none)."""

    @abstractmethod
    def end(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record will have at least."""

    @abstractmethod
    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        """Return the offset of the first record appended at that time or later (the end when there is none)."""

    @abstractmethod
    def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the committed positions; topic partitions without one are left out."""

    @abstractmethod
    def join(self, group: str, partitions: int, *, session_timeout_ms: int = 6000) -> Membership:
        """Become a member of a group that shares the partition numbers 0 to ``partitions - 1``."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; further calls raise :class:`~dfml.errors.LogError`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
