"""Records that are read again for the sake of a pipeline that was added to a running one: who is given them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dfml.record import Record, TopicName, TopicPartition


@dataclass(slots=True)
class _Range:
    """Records before ``reached`` are for those pipelines alone that still lack them, each from an offset on."""

    reached: int
    lacking: dict[str, int] = field(default_factory=dict)


class Rereading:
    """The topic partitions that are read again from their beginning, up to where they had been read."""

    def __init__(self) -> None:
        self._ranges: dict[tuple[TopicName, int], _Range] = {}

    def begin(self, pipeline: str, positions: Mapping[TopicPartition, int]) -> None:
        """Take note that a pipeline is to have all before these positions, where reading was until now."""
        for place, at in positions.items():
            again = self._ranges.setdefault(place, _Range(at))
            if at >= again.reached:
                self._ranges[place] = again = _Range(at)
            # One that is in the middle of it lacks what comes from here on.
            again.lacking = {other: max(since, at) for other, since in again.lacking.items()}
            again.lacking[pipeline] = 0

    def only(self, record: Record) -> Collection[str] | None:
        """Return the pipelines that the record is for, or None where it is for every reader."""
        if not self._ranges:
            return None
        place = (record.topic, record.partition)
        again = self._ranges.get(place)
        if again is None:
            return None
        if record.offset >= again.reached:
            del self._ranges[place]
            return None
        return [pipeline for pipeline, since in again.lacking.items() if since <= record.offset]

    def forget(self, partitions: Collection[int]) -> None:
        """Forget the partition numbers that belong to another process now."""
        self._ranges = {place: again for place, again in self._ranges.items() if place[1] not in partitions}
