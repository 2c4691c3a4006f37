"""Where a loop reads on: the next offset of each topic partition, by one reader, past what went from memory.

A topic partition that waits for its worker keeps its offset and is left out of the reading; the others go on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from dfml.log.base import Reader
from dfml.record import Record, TopicName, TopicPartition


class Reading:
    """The topic partitions that a loop reads.

    Parameters
    ----------
    reader : Reader
        A reader of the log with nothing assigned; it is closed by :meth:`close`.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        # Every record looks its topic partition up; a plain tuple equals it and takes a fifth of the time to make.
        self._next: dict[tuple[TopicName, int], int] = {}
        self._moved: dict[tuple[TopicName, int], int] = {}
        self._paused: dict[TopicPartition, int] = {}
        self._pausing: frozenset[TopicName] = frozenset()

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of every topic partition, those that wait too.

        Where offsets end in a gap the reader alone knows that there is nothing more.
        """
        at = self._reader.positions()
        following = ((TopicPartition(*place), offset) for place, offset in self._next.items())
        return {place: max(offset, at.get(place, 0)) for place, offset in following} | self._paused

    @property
    def paused(self) -> frozenset[TopicName]:
        """The topics that wait for their worker."""
        return self._pausing

    def begin(self, place: TopicPartition, start: int) -> int | None:
        """Read a topic partition from an offset on; return the next offset where it is read already, else None."""
        before = self._next.get(place, self._paused.get(place))
        if before is not None:
            return before
        if place.topic in self._pausing:
            self._paused[place] = start
        else:
            self._next[place] = start
            self._reader.assign({place: start})
        return None

    def begin_anew(self, at: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """Read what was deleted and has been made again from its beginning: its offsets mean other records.

        It ends before what had been read of it (``at``) by the time when that was asked; where it has more records by
        then it is not noticed. That a topic is not listed says nothing: a broker that has just come back does not know
        all of them for a moment.
        """
        for place in [place for place, end in ends.items() if end < at[place]]:
            if place in self._next:
                self._next[place] = 0
                self._moved.pop(place, None)
                self._reader.assign({place: 0})

    def end(self, places: Iterable[TopicPartition]) -> None:
        """Read these no more."""
        gone = list(places)
        self._reader.unassign(gone)
        for place in gone:
            self._next.pop(place, None)
            self._moved.pop(place, None)
            self._paused.pop(place, None)

    def pause(self, topics: frozenset[TopicName]) -> None:
        """Let these topics wait, and read on those that waited before and are not among them."""
        if topics == self._pausing:
            return
        self._pausing = topics
        for place in [TopicPartition(*place) for place in self._next if place[0] in topics]:
            self._paused[place] = self._next.pop(place)
            self._moved.pop(place, None)
            self._reader.unassign([place])
        for place in [place for place in self._paused if place.topic not in topics]:
            self._next[place] = self._paused.pop(place)
            self._reader.assign({place: self._next[place]})

    def take_written(self, records: Collection[Record]) -> tuple[list[Record], bool]:
        """Return those of the records that are the next ones of their topic partition, and whether any was not.

        What is returned counts as read: nothing of another process lies before it.
        """
        following, moved, missed = self._next, self._moved, False
        taken = []
        for record in records:
            place = (record.topic, record.partition)
            expected = following.get(place)
            if expected == record.offset:
                following[place] = moved[place] = record.offset + 1
                taken.append(record)
            elif expected is not None:
                missed = True
        return taken, missed

    def poll(self, max_records: int, wait_s: float = 0.0) -> Sequence[Record]:
        """Read what is on the log, waiting at most so many seconds for a first record."""
        if self._moved:
            self._reader.assign({TopicPartition(*place): offset for place, offset in self._moved.items()})
            self._moved.clear()
        records = self._reader.poll(max_records, wait_s)
        following = self._next
        for record in records:
            following[record.topic, record.partition] = record.offset + 1
        return records

    def wait(self, timeout_s: float) -> None:
        """Wait, in any thread, until a poll may find something; at most so many seconds."""
        self._reader.wait(timeout_s)

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()
