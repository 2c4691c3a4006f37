"""Says on the log, again and again, that the parts of this process are at work and which partition numbers they own."""

from collections.abc import Mapping

from dfml.clock import Clock
from dfml.operations.owners import RENEW_MS, Owner, this_process
from dfml.topics import Topics
from dfml_engine.outcome import Outcome
from dfml_engine.share import Share
from dfml_engine.worker import ReadsNothing

LOOK_MS = 1_000
"""How often the share is looked at for a change that is to be said at once."""


class Announcer(ReadsNothing):
    """A worker that reads nothing and writes what this process owns.

    Parameters
    ----------
    topics : Topics
        The namespace.
    selected : Mapping of str to tuple of str
        For each part of the process the names and patterns of what it works on.
    share, partitions
        Which of the namespace's partition numbers are the process's own.
    clock : Clock
        Milliseconds since the epoch.
    """

    def __init__(
        self, topics: Topics, selected: Mapping[str, tuple[str, ...]], share: Share, partitions: int, clock: Clock
    ) -> None:
        self._topics = topics
        self._selected = selected
        self._share = share
        self._partitions = partitions
        self._next_ms = 0
        self._owned: tuple[int, ...] | None = None
        self._since_ms = clock()
        self._looked_ms = self._since_ms
        self._url = ""

    def tell_url(self, url: str) -> None:
        """Say from now on that the pages of this process are there."""
        self._url = url
        self._next_ms = 0

    def tick(self, now_ms: int) -> Outcome:
        """Say it again when it is due or has changed; a clock that was set back makes it due."""
        owned = tuple(self._share.among(self._partitions))
        changed, self._looked_ms = owned != self._owned, now_ms
        if not changed and now_ms < self._next_ms <= now_ms + RENEW_MS:
            return Outcome()
        if changed:
            self._owned, self._since_ms = owned, now_ms
        self._next_ms = now_ms + RENEW_MS
        # Given up where the log does not take it: the next one says the same.
        return Outcome(appends=[owner.to_append(self._topics) for owner in self.owners()], refused=_give_up)

    def wake_ms(self) -> int | None:
        """Return when to look again."""
        return self._looked_ms + LOOK_MS

    def owners(self) -> list[Owner]:
        """Return what is to be said, one for each part of the process."""
        return [
            this_process(part, self._owned or (), self._since_ms, selected, self._url)
            for part, selected in self._selected.items()
        ]

    def leave(self) -> Outcome:
        """Return what takes it all back."""
        appends = [owner.leave(self._topics) for owner in self.owners()]
        return Outcome(appends=appends, refused=_give_up)


def _give_up(_error: Exception) -> None:
    pass
