"""What a worker gives back: records to append and positions to commit, as one unit."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from dfml.errors import LogError
from dfml.record import Append, TopicPartition


@dataclass(slots=True)
class Outcome:
    """Records to be written and positions to be committed together, for one group.

    ``written`` is called once the unit is on the log. When the log refuses the unit and
    ``refused`` is given, it is called with the error and the unit is given up; otherwise the unit is tried again.
    ``instead`` says what is written in place of a record that its topic does not take, which must not hold up the rest.
    ``since_ms`` is when the oldest record that it was made from was appended, for the metrics; ``number`` the order in
    which outcomes were handed in.
    """

    group: str = ""
    appends: list[Append] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    written: Callable[[], None] | None = None
    refused: Callable[[Exception], None] | None = None
    instead: Callable[[Append, LogError], Append] | None = None
    since_ms: int | None = None
    number: int = 0

    def leave(self, partitions: Collection[int]) -> None:
        """Leave what is written and committed at these partition numbers to others."""
        self.appends = [append for append in self.appends if append.partition not in partitions]
        self.offsets = {place: at for place, at in self.offsets.items() if place.partition not in partitions}

    def __bool__(self) -> bool:
        return bool(self.appends or self.offsets or self.written)
