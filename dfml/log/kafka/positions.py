"""Positions that are still to be committed for the groups that this process is a member of."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from dfml.errors import FencedError
from dfml.log.base import Commit
from dfml.log.kafka.group import KafkaMembership

if TYPE_CHECKING:
    from dfml.record import TopicPartition

COMMIT_S = 1.0
"""Between two commits: what a successor reads twice, and 5 ms of a broker's work each."""
AGAIN_S = 3600.0
"""The broker forgets positions of topics that a group is not subscribed to after ``offsets.retention.minutes`` (seven
days by default), although the group lives: so every one is committed again each hour, moved or not."""


class PendingPositions:
    """Gathers positions of settled units and commits them once a second, for living members only.

    Parameters
    ----------
    memberships : Mapping of str to KafkaMembership
        The members of this process by name, as they come and go.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, memberships: Mapping[str, KafkaMembership], clock: Callable[[], float] = time.monotonic) -> None:
        self._memberships = memberships
        self._clock = clock
        self._moved: dict[str, dict[TopicPartition, int]] = {}
        self._committed: dict[str, dict[TopicPartition, int]] = {}
        self._due_s = 0.0
        self._again_s = clock() + AGAIN_S

    def take(self, commits: Sequence[Commit]) -> None:
        """Take the positions of a unit whose records are on the log."""
        for commit in commits:
            self._moved.setdefault(commit.member, {}).update(commit.offsets)

    def note(self, commits: Sequence[Commit]) -> None:
        """Take note of positions that a transaction has committed: they are behind all that were taken before."""
        for commit in commits:
            self._committed.setdefault(commit.member, {}).update(commit.offsets)
            moved = self._moved.get(commit.member, {})
            for place in commit.offsets:
                moved.pop(place, None)

    def commit_due(self) -> None:
        """Commit without waiting, when it is time."""
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + COMMIT_S
        if now_s >= self._again_s:
            self._again_s = now_s + AGAIN_S
            self._mark_all()
        self._commit(wait=False)

    def commit_now(self) -> None:
        """Commit and wait for it."""
        self._commit(wait=True)

    def forget(self, member: str, numbers: Collection[int]) -> None:
        """Leave the positions of these partition numbers to their next owner."""
        for kept in (self._moved, self._committed):
            places = kept.get(member, {})
            for place in [place for place in places if place.partition in numbers]:
                del places[place]

    def _mark_all(self) -> None:
        for member, places in self._committed.items():
            self._moved[member] = places | self._moved.get(member, {})

    def _commit(self, *, wait: bool) -> None:
        for member in list(self._moved.keys() | self._committed.keys()):
            membership = self._memberships.get(member)
            if membership is None:
                self._drop(member)
                continue
            if membership.commit_failed:
                membership.commit_failed = False
                self._moved[member] = self._committed.get(member, {}) | self._moved.get(member, {})
            # A unit may be settled after its number has gone: by then its next owner commits the position.
            owned = membership.owned
            moved = {place: at for place, at in self._moved.get(member, {}).items() if place.partition in owned}
            self._moved[member] = moved
            if not moved:
                continue
            try:
                membership.commit(moved, wait=wait)
            except FencedError:
                self._drop(member)
                continue
            self._committed.setdefault(member, {}).update(moved)
            self._moved[member] = {}

    def _drop(self, member: str) -> None:
        self._moved.pop(member, None)
        self._committed.pop(member, None)
