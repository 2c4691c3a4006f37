"""Which records of a topic partition are still needed: the rule behind committed positions."""

from collections import OrderedDict


class HeldOffsets:
    """The offsets of one topic partition that something still needs, and the position to be committed for it.

    Offsets are held in rising order and released in any. One offset may be held several times.
    """

    __slots__ = ("_counts", "next_offset")

    def __init__(self) -> None:
        self._counts: OrderedDict[int, int] = OrderedDict()
        self.next_offset = 0

    def __len__(self) -> int:
        return len(self._counts)

    def hold(self, offset: int) -> None:
        """Need the record until it is released as often as it was held."""
        self._counts[offset] = self._counts.get(offset, 0) + 1

    def release(self, offset: int) -> None:
        """Need the record once less."""
        left = self._counts[offset] - 1
        if left:
            self._counts[offset] = left
        else:
            del self._counts[offset]

    @property
    def committable(self) -> int:
        """The oldest offset still needed; the next one to be read when none is."""
        return next(iter(self._counts), self.next_offset)
