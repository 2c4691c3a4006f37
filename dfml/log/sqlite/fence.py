"""Who is a member of a group and owns what, as committed: the facts that a commit is checked against."""

import sqlite3
from dataclasses import dataclass

from dfml.errors import FencedError
from dfml.log.base import Commit


@dataclass(frozen=True, slots=True)
class Fence:
    """The membership of one group.

    ``joined`` is the generation that each member came in with; ``owners`` the owner of each partition number that has
    one; ``releasing`` the numbers whose owner has been told that it loses them and has not yet let go.
    """

    generation: int
    partitions: int
    joined: dict[str, int]
    owners: dict[int, str]
    releasing: frozenset[int]

    @classmethod
    def load(cls, cursor: sqlite3.Cursor, group: int) -> "Fence":
        """Read the membership of a group by its id."""
        generation, partitions = cursor.execute(
            "SELECT generation, partitions FROM groups WHERE id = ?", (group,)
        ).fetchone()
        joined = dict(cursor.execute("SELECT name, joined FROM members WHERE grp = ?", (group,)).fetchall())
        rows = cursor.execute("SELECT number, member, releasing FROM owners WHERE grp = ?", (group,)).fetchall()
        return cls(
            generation,
            partitions,
            joined,
            {number: member for number, member, _ in rows},
            frozenset(number for number, _, releasing in rows if releasing),
        )

    def check(self, commit: Commit) -> None:
        """Let a commit pass if its member lives in that generation and owns the partition numbers.

        A member that has been told to let go may still commit until it has. A number that the group does not share
        out needs no owner.

        Raises
        ------
        FencedError
            If it does not.
        """
        joined = self.joined.get(commit.member)
        if joined is None or commit.generation is None or not joined <= commit.generation <= self.generation:
            msg = (
                f"group {commit.group!r}: member {commit.member!r} of generation {commit.generation} may not commit,"
                f" the group is at generation {self.generation}; join again"
            )
            raise FencedError(msg)
        for place in commit.offsets:
            owner = self.owners.get(place.partition)
            if owner != commit.member and place.partition < self.partitions:
                msg = (
                    f"group {commit.group!r}: {place} cannot be committed by {commit.member!r}, partition number"
                    f" {place.partition} belongs to {owner or 'nobody'} now; drop what was read from it"
                )
                raise FencedError(msg)
