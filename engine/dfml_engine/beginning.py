"""What workers are to begin to read, from their committed positions on: at once, or when a log that is away is back."""

from collections.abc import Callable, Collection, Mapping, Sequence

from dfml.log.base import Log
from dfml.record import Record, TopicName, TopicPartition
from dfml_engine.reading import Reading
from dfml_engine.worker import Worker

READ_RECORDS = 500
"""How many records that others have read already are taken at once."""
FLUSH_S = 2.0
"""How long what this process sent itself is waited for: where it owned the same numbers before and lost them while the
log was away, what it had sent then must be seen, or it is made again."""
WAIT_S = 0.05
"""How long the reading of those waits for what is on the log, before it looks again."""


class Beginnings:
    """Topic partitions that wait until the log tells where their worker begins.

    Parameters
    ----------
    log : Log
        Asked for positions, and for what an earlier owner had written.
    reading : Reading
        Where reading goes on from there.
    give : callable
        Takes a worker and records that others in the process have read already.
    claim : callable
        Takes a worker and the positions that it begins from, to be committed as its own: a remote log forgets those
        that nobody commits again for a time, and a topic may be silent for longer.
    """

    def __init__(
        self,
        log: Log,
        reading: Reading,
        give: Callable[[Worker, Sequence[Record]], None],
        claim: Callable[[Worker, Mapping[TopicPartition, int]], None],
    ) -> None:
        self._log = log
        self._reading = reading
        self._give = give
        self._claim = claim
        self._waiting: list[tuple[Worker, list[TopicPartition]]] = []
        self._anew: set[tuple[int, TopicName]] = set()

    def add(self, worker: Worker, places: Sequence[TopicPartition]) -> None:
        """Let a worker read these from the next :meth:`begin` on."""
        if places:
            self._waiting.append((worker, list(places)))

    def read_anew(self, worker: Worker, topics: Collection[TopicName]) -> None:
        """Let a worker begin with all that these topics hold when they are next added, whatever it has read of them."""
        self._anew |= {(id(worker), topic) for topic in topics}

    def drop(self, is_dropped: Callable[[Worker, TopicPartition], bool]) -> None:
        """Let those wait no longer that are another's now, or that nobody wants."""
        left = [
            (worker, [place for place in places if not is_dropped(worker, place)]) for worker, places in self._waiting
        ]
        self._waiting = [(worker, places) for worker, places in left if places]

    def begin(self) -> None:
        """Begin with everything that waits; topics that the log does not have are passed over.

        Raises
        ------
        LogError
            If the log does not tell now; what has not begun waits for the next call.
        """
        if self._waiting:
            self._log.flush(FLUSH_S)
        known = self._log.topics() if self._waiting else {}
        while self._waiting:
            worker, places = self._waiting[0]
            self._begin(worker, [place for place in places if place.topic in known])
            self._waiting.pop(0)

    def _begin(self, worker: Worker, places: Sequence[TopicPartition]) -> None:
        starts = self._log.beginning(places)
        if worker.group:
            starts |= self._committed(worker, places)
        anew = {place: start for place, start in starts.items() if (id(worker), place.topic) in self._anew}
        worker.resume(self._log, {place: start for place, start in starts.items() if place not in anew})
        if worker.group and (anew or self._log.is_remote):
            self._claim(worker, starts if self._log.is_remote else anew)
        self._anew -= {(id(worker), place.topic) for place in anew}
        for place, start in starts.items():
            end = self._reading.begin(place, start)
            if end is not None and start < end:
                self._deliver_range(worker, place, start, end)

    def _committed(self, worker: Worker, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return committed positions; one beyond the end is of a topic that was deleted and made again since."""
        known = [place for place in places if (id(worker), place.topic) not in self._anew]
        found = self._log.committed(worker.inherits, known) | self._log.committed(worker.group, known)
        ends = self._log.end(found)
        return {place: start for place, start in found.items() if start <= ends[place]}

    def _deliver_range(self, worker: Worker, place: TopicPartition, start: int, end: int) -> None:
        """Give one worker what others have read before it came."""
        reader = self._log.reader(to_end=True)
        reader.assign({place: start})
        while reader.positions()[place] < end:
            batch = [record for record in reader.poll(READ_RECORDS, WAIT_S) if record.offset < end]
            if batch:
                self._give(worker, batch)
        reader.close()
