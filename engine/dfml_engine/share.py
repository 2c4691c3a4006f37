"""Which partition numbers a process owns: all of them, or its share among the members of a group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dfml.aside import call_aside
from dfml.errors import FencedError, LogError
from dfml.log.base import Commit, Log, Membership
from dfml.record import TopicPartition

if TYPE_CHECKING:
    from concurrent.futures import Future

NO_GENERATION = 0
"""Older than any: nothing is committed by it."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What changed at a look: partition numbers that are the process's own from now on, and those that are not."""

    gained: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost)


class Share(Protocol):
    """The partition numbers of a process, and how its positions are committed."""

    @property
    def joined(self) -> bool:
        """Whether the process is a member of its group."""

    def owns(self, partition: int) -> bool:
        """Whether the process owns the partition number."""

    def among(self, partitions: int) -> Sequence[int]:
        """Return those of the numbers 0 to ``partitions - 1`` that the process owns, in order."""

    def look(self) -> Handover:
        """Show that the process lives and learn what changed. Records of lost numbers must be left alone at once."""

    def lose(self) -> Handover:
        """Give up everything, because others own it already, and begin anew."""

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> Commit:
        """Make the commit of positions for a group."""

    def leave(self) -> None:
        """Hand everything over to others."""


class OwnsAll:
    """The share of the only process on a log."""

    @property
    def joined(self) -> bool:
        """Return True."""
        return True

    def owns(self, partition: int) -> bool:
        """Return True."""
        return True

    def among(self, partitions: int) -> Sequence[int]:
        """Return all of them."""
        return range(partitions)

    def look(self) -> Handover:
        """Return that nothing changed."""
        return Handover()

    def lose(self) -> Handover:
        """Return that nothing changed: there is nobody else."""
        return Handover()

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> Commit:
        """Make a commit outside of any membership."""
        return Commit(group, offsets)

    def leave(self) -> None:
        """Do nothing."""


JOIN_S = 0.05
"""How long a look waits for a joining that is under way: the embedded log takes some milliseconds."""


class MembersShare:
    """The share of one member of a group.

    Parameters
    ----------
    log : Log
        Where membership is held.
    group : str
        The group, also of the positions.
    partitions : int
        The partition count of the namespace.
    """

    def __init__(self, log: Log, group: str, partitions: int) -> None:
        self._log = log
        self.group = group
        self._partitions = partitions
        self._membership = log.join(group, partitions)
        self._is_member = True
        self._joining: Future[Membership] | None = None
        self._owned: frozenset[int] = frozenset()

    @property
    def joined(self) -> bool:
        """Whether the process is a member of the group; one that was replaced joins again."""
        return self._is_member

    def owns(self, partition: int) -> bool:
        """Whether this member owns the partition number."""
        return partition in self._owned

    @property
    def owned(self) -> frozenset[int]:
        """The partition numbers that this member owns."""
        return self._owned

    def among(self, partitions: int) -> Sequence[int]:
        """Return those of the numbers 0 to ``partitions - 1`` that this member owns, in order."""
        return sorted(number for number in self._owned if number < partitions)

    def look(self) -> Handover:
        """Poll the group; a member that was away for too long loses everything and joins again at the next look.

        Raises
        ------
        LogUnavailableError
            If the group cannot be joined now; nothing is owned meanwhile.
        """
        if not self._is_member and not self._has_joined_again():
            return Handover()
        try:
            owned = self._membership.poll()
        except FencedError:
            return self.lose()
        handover = Handover(owned - self._owned, self._owned - owned)
        self._owned = owned
        return handover

    def _has_joined_again(self) -> bool:
        """Join again, on a thread of its own: a log that is away answers late, and callers are to be answered."""
        if self._joining is None:
            self._joining = call_aside(self._join_again)
        try:
            membership = self._joining.result(JOIN_S)
        except TimeoutError:
            return False
        except LogError:
            self._joining = None
            raise
        self._joining, self._membership, self._is_member = None, membership, True
        return True

    def _join_again(self) -> Membership:
        self._membership.abandon()
        return self._log.join(self.group, self._partitions)

    def lose(self) -> Handover:
        """Give up everything; the next look joins the group again. It asks nothing of the log, which may be away."""
        handover = Handover(lost=self._owned)
        self._owned = frozenset()
        self._is_member = False
        return handover

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> Commit:
        """Make a commit that is refused when this member was replaced."""
        generation = self._membership.generation if self._is_member else NO_GENERATION
        return Commit(group, offsets, self._membership.member, generation)

    def leave(self) -> None:
        """Leave the group."""
        self._membership.leave()
        self._owned = frozenset()


class JointShare:
    """The shares of several groups in one process, each the only member of its group.

    Parameters
    ----------
    shares : sequence of MembersShare
        One for each group; a partition number is owned where all of them own it.
    """

    def __init__(self, shares: Sequence[MembersShare]) -> None:
        self._shares = shares
        self._by_group = {share.group: share for share in shares}
        self._owned: frozenset[int] = frozenset()

    @property
    def joined(self) -> bool:
        """Whether the process is a member of every group."""
        return all(share.joined for share in self._shares)

    def owns(self, partition: int) -> bool:
        """Whether every share owns the partition number."""
        return partition in self._owned

    def among(self, partitions: int) -> Sequence[int]:
        """Return those of the numbers 0 to ``partitions - 1`` that every share owns, in order."""
        return sorted(number for number in self._owned if number < partitions)

    def look(self) -> Handover:
        """Look at every share."""
        for share in self._shares:
            share.look()
        return self._move_to(frozenset.intersection(*(share.owned for share in self._shares)))

    def lose(self) -> Handover:
        """Give up everything, in every group."""
        for share in self._shares:
            share.lose()
        return self._move_to(frozenset())

    def _move_to(self, owned: frozenset[int]) -> Handover:
        handover = Handover(owned - self._owned, self._owned - owned)
        self._owned = owned
        return handover

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> Commit:
        """Make a commit by the membership of that very group."""
        return self._by_group[group].commit(group, offsets)

    def leave(self) -> None:
        """Leave every group."""
        for share in self._shares:
            share.leave()
