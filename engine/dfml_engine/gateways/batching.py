"""Gathering records into batches: until there are enough rows, or the window is over."""

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field

from dfml.clock import SetBack
from dfml.record import Record
from dfml.spec.schema import Batch

DEFAULT_WINDOW_MS = 100
"""How long an incomplete batch waits when the spec gives a size and no window: a request must not wait for ever."""
REMEMBERED = 20_000
"""How many records are known again: a copy comes soon after the first, from a predecessor slow to notice its end."""


@dataclass(slots=True)
class Gathered:
    """Records that will share a call."""

    close_ms: int
    n_rows: int = 0
    records: list[Record] = field(default_factory=list)


class Batcher:
    """Gathers records by key; those of one key can share a call."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Gathered] = {}
        self._set_back = SetBack()
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    def is_repeated(self, own: Hashable) -> bool:
        """Return whether a record of this identity was asked for before: a copy would count in other requests' rows."""
        if own in self._known:
            return True
        self._known[own] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return False

    def add(self, key: Hashable, record: Record, n_rows: int, batch: Batch, now_ms: int) -> Iterable[list[Record]]:
        """Take a record and yield the batches that are complete; none has more rows than the size if it can help it."""
        self._note_set_back(now_ms)
        gathered = self._open.get(key)
        if gathered is not None and gathered.n_rows + n_rows > batch.size:
            yield self._open.pop(key).records
            gathered = None
        if gathered is None:
            gathered = self._open[key] = Gathered(now_ms + (batch.window_ms or DEFAULT_WINDOW_MS))
        gathered.records.append(record)
        gathered.n_rows += n_rows
        if gathered.n_rows >= batch.size:
            yield self._open.pop(key).records

    def take_all(self) -> Iterable[list[Record]]:
        """Yield every batch, complete or not."""
        while self._open:
            yield self._open.popitem()[1].records

    def due(self, now_ms: int) -> Iterable[list[Record]]:
        """Yield the batches whose window is over."""
        self._note_set_back(now_ms)
        for key in [key for key, gathered in self._open.items() if gathered.close_ms <= now_ms]:
            yield self._open.pop(key).records

    def _note_set_back(self, now_ms: int) -> None:
        behind_ms = self._set_back.by(now_ms)
        for gathered in self._open.values() if behind_ms else ():
            gathered.close_ms -= behind_ms

    def forget(self, partitions: Collection[int]) -> None:
        """Drop the records of these partition numbers; those of one batch have the same."""
        for key in [key for key, gathered in self._open.items() if gathered.records[0].partition in partitions]:
            del self._open[key]
        self._known.clear()

    def next_close_ms(self) -> int | None:
        """Return when the next window is over."""
        return min((gathered.close_ms for gathered in self._open.values()), default=None)
