"""Who is at work on a log, and which partition numbers each owns: a compact record a process and part, on the log.

The compacted topic ``control.owners`` has the key ``group/worker``; a process writes its record again every few
seconds, at every change, and deletes it when it leaves. One that died leaves a record that grows old. Nobody is asked.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from dfml.clock import Clock
from dfml.operations.logs import worker_name
from dfml.record import Append, Record
from dfml.topics import Topics

RENEW_MS = 5_000
"""How often a process says that it is there: a write each time, so not more often than a person needs."""
STALE_MS = 20_000
"""When one that said nothing is held to be gone: three renewals missed, and some room for clocks."""
FORGET_MS = 3_600_000
"""When what a dead process left behind is deleted by the next one that starts."""


def group_of(part: str, selected: Sequence[str]) -> str:
    """Return the name of the group of those who run a part and have selected the same names and patterns."""
    return f"{part}[{','.join(selected)}]" if selected else part


@dataclass(frozen=True, slots=True)
class Owner:
    """One part of one process.

    Attributes
    ----------
    part, worker
        What it runs, and its name among those of that part.
    host, pid
        Where it runs.
    partitions
        The partition numbers that it owns.
    since_ms
        Since when it owns just these.
    selected
        Names or patterns of what it works on; none for all.
    url
        Where its pages (``/metrics``) are.
    """

    part: str
    worker: str
    host: str
    pid: int
    partitions: tuple[int, ...]
    since_ms: int
    selected: tuple[str, ...] = ()
    url: str = ""

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"{group_of(self.part, self.selected)}/{self.worker}".encode()

    def to_append(self, topics: Topics) -> Append:
        """Make the record that says so."""
        return Append(topics.owners, 0, self.key, orjson.dumps(asdict(self)))

    def leave(self, topics: Topics) -> Append:
        """Make the record that deletes it."""
        return Append(topics.owners, 0, self.key, b"")

    @classmethod
    def from_record(cls, record: Record) -> "Owner":
        """Read a record of the owners topic.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the record is not one of ours.
        """
        told = orjson.loads(record.value)
        numbers, selected = tuple(map(int, told["partitions"])), tuple(map(str, told["selected"]))
        texts = {name: str(told[name]) for name in ("part", "worker", "host", "url")}
        owner = cls(
            **texts, pid=int(told["pid"]), partitions=numbers, since_ms=int(told["since_ms"]), selected=selected
        )
        if record.key != owner.key:
            msg = f"the key is {record.key!r}, the value is of {owner.key!r}"
            raise ValueError(msg)
        return owner


def this_process(part: str, partitions: tuple[int, ...], since_ms: int, selected: tuple[str, ...], url: str) -> Owner:
    """Return the owner that a part of this very process is."""
    return Owner(part, worker_name(), socket.gethostname(), os.getpid(), partitions, since_ms, selected, url)


@dataclass(frozen=True, slots=True)
class Seen:
    """An owner, and when it was last heard of (milliseconds since the epoch, by the log)."""

    owner: Owner
    seen_ms: int

    def is_stale(self, now_ms: int) -> bool:
        """Whether it was silent for so long that it is held to be gone; a clock that was set back keeps it."""
        return self.seen_ms + STALE_MS < now_ms


class Owners:
    """Everybody who is or was at work, as far as the topic has been read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[bytes, Seen] = {}
        self._n_live = 0

    def take(self, record: Record) -> bool:
        """Take a record of the topic and return whether anything is new beside that its owner lives.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the record is not one of ours.
        """
        seen = Seen(Owner.from_record(record), record.timestamp_ms) if record.value else None
        before = self._seen.pop(record.key, None)
        if seen is not None:
            self._seen[record.key] = seen
        after, n_live_before, now_ms = self._seen.get(record.key), self._n_live, self._clock()
        self._n_live = sum(not seen.is_stale(now_ms) for seen in self._seen.values())
        return (before and before.owner) != (after and after.owner) or self._n_live != n_live_before

    def all(self) -> list[Seen]:
        """Return everybody, in order of part and worker."""
        return [self._seen[key] for key in sorted(self._seen)]

    def live(self, part: str) -> list[Owner]:
        """Return those of a part that were heard of lately."""
        now_ms = self._clock()
        return [seen.owner for seen in self.all() if seen.owner.part == part and not seen.is_stale(now_ms)]

    def forgotten(self) -> Mapping[bytes, Seen]:
        """Return those that have been silent for so long that their record may be deleted, by key."""
        now_ms = self._clock()
        return {key: seen for key, seen in self._seen.items() if seen.seen_ms + FORGET_MS < now_ms}
