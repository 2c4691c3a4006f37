"""Which records of a topic partition are still needed: the rule behind committed positions."""

import heapq


class HeldOffsets:
    """The offsets of one topic partition that something still needs, and the position to be committed for it.

    Offsets are held and released in any order. One offset may be held several times.
    """

    __slots__ = ("_counts", "_oldest", "next_offset")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._oldest: list[int] = []
        self.next_offset = 0

    def __len__(self) -> int:
        return len(self._counts)

    def hold(self, offset: int) -> None:
        """Need the record until it is released as often as it was held."""
        count = self._counts.get(offset, 0)
        self._counts[offset] = count + 1
        if not count:
            heapq.heappush(self._oldest, offset)

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
        oldest = self._oldest
        while oldest and oldest[0] not in self._counts:
            heapq.heappop(oldest)
        return oldest[0] if oldest else self.next_offset
