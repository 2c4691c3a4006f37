"""Group membership on SQLite.

A partition number goes from one member to another in three polls, none of which relies on a clock: a poll of the old
owner leaves the number out (it is *releasing*, still owned, and may still be committed), the old owner's next poll
frees it, and a poll of the new owner takes it. Only a member that was silent for longer than its time-out loses its
numbers without a word; from then on it is fenced. All of it is decided inside units, so there is one order of events,
and the table of owners holds one name for each number.
"""

import os
import secrets
import socket
import sqlite3

from dfml.clock import Clock
from dfml.errors import BadInputError, ConflictError, FencedError
from dfml.log.base import Membership
from dfml.log.sqlite.fence import Fence
from dfml.log.sqlite.sharing import share_out
from dfml.log.sqlite.writer import Writer


class SqliteMembership(Membership):
    """A place in a group; entering it is the construction.

    Raises
    ------
    ConflictError
        If the group shares another count of partition numbers among members that live.
    """

    def __init__(self, writer: Writer, clock: Clock, group: str, partitions: int, timeout_ms: int) -> None:
        if partitions < 1 or timeout_ms < 1:
            msg = f"group {group!r}: got {partitions} partitions and a time-out of {timeout_ms} ms, expected at least 1"
            raise BadInputError(msg)
        self._writer = writer
        self._clock = clock
        self._name = group
        self._member = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._generation = 0
        with writer.unit() as cursor:
            self._group = writer.group_id(group)
            now_ms = clock()
            _expire(cursor, self._group, now_ms)
            self._agree(cursor, partitions)
            self._generation = _advance(cursor, self._group)
            cursor.execute(
                "INSERT INTO members VALUES (?, ?, ?, ?, ?)",
                (self._group, self._member, self._generation, now_ms, timeout_ms),
            )
            writer.note_change(self._group)

    @property
    def member(self) -> str:
        """The member's own name, unique in the group."""
        return self._member

    @property
    def generation(self) -> int:
        """The generation the member last learnt of."""
        return self._generation

    def poll(self) -> frozenset[int]:
        """Show that the member lives and return the partition numbers it owns now."""
        with self._writer.unit() as cursor:
            now_ms = self._clock()
            seen = cursor.execute(
                "UPDATE members SET seen_ms = ? WHERE grp = ? AND name = ?", (now_ms, self._group, self._member)
            )
            if not seen.rowcount:
                msg = f"group {self._name!r}: member {self._member!r} was away too long or has left; join again"
                raise FencedError(msg)
            if _expire(cursor, self._group, now_ms):
                _advance(cursor, self._group)
                self._writer.note_change(self._group)
            fence = Fence.load(cursor, self._group)
            owned = self._take_share(cursor, fence)
        self._generation = fence.generation
        return owned

    def leave(self) -> None:
        """Hand the owned partition numbers over at once; leaving again does nothing."""
        with self._writer.unit() as cursor:
            if _remove(cursor, self._group, self._member):
                _advance(cursor, self._group)
                self._writer.note_change(self._group)

    def abandon(self) -> None:
        """Leave; what was appended is on the log already."""
        self.leave()

    def _agree(self, cursor: sqlite3.Cursor, partitions: int) -> None:
        fence = Fence.load(cursor, self._group)
        if fence.joined and fence.partitions != partitions:
            msg = (
                f"group {self._name!r} shares {fence.partitions} partition numbers among {len(fence.joined)} members,"
                f" expected {partitions}; stop them first or use their count"
            )
            raise ConflictError(msg)
        cursor.execute("UPDATE groups SET partitions = ? WHERE id = ?", (partitions, self._group))

    def _take_share(self, cursor: sqlite3.Cursor, fence: Fence) -> frozenset[int]:
        """Free what this member was told of at its last poll, mark what it loses next, take what is free for it."""
        targets = share_out(fence.joined.keys(), fence.partitions, fence.owners, fence.releasing)
        mine = {number for number, owner in fence.owners.items() if owner == self._member}
        due = {number for number, target in targets.items() if target == self._member}
        freed = (mine - due) & fence.releasing
        told = (mine - due) - fence.releasing
        kept_after_all = mine & due & fence.releasing
        taken = due - fence.owners.keys()
        key = self._group
        cursor.executemany("DELETE FROM owners WHERE grp = ? AND number = ?", [(key, number) for number in freed])
        cursor.executemany(
            "UPDATE owners SET releasing = 1 - releasing WHERE grp = ? AND number = ?",
            [(key, number) for number in told | kept_after_all],
        )
        cursor.executemany("INSERT INTO owners VALUES (?, ?, ?, 0)", [(key, number, self._member) for number in taken])
        if freed or told or kept_after_all or taken:
            self._writer.note_change(self._group)
        return frozenset(mine & due | taken)


def _advance(cursor: sqlite3.Cursor, group: int) -> int:
    """Begin a new generation and return it."""
    cursor.execute("UPDATE groups SET generation = generation + 1 WHERE id = ?", (group,))
    generation: int = cursor.execute("SELECT generation FROM groups WHERE id = ?", (group,)).fetchone()[0]
    return generation


def _expire(cursor: sqlite3.Cursor, group: int, now_ms: int) -> bool:
    """Remove the members that were silent too long, by a clock that may also have been set back."""
    silent = cursor.execute(
        "SELECT name FROM members WHERE grp = ? AND abs(? - seen_ms) > timeout_ms", (group, now_ms)
    ).fetchall()
    for (name,) in silent:
        _remove(cursor, group, name)
    return bool(silent)


def _remove(cursor: sqlite3.Cursor, group: int, member: str) -> bool:
    cursor.execute("DELETE FROM owners WHERE grp = ? AND member = ?", (group, member))
    return cursor.execute("DELETE FROM members WHERE grp = ? AND name = ?", (group, member)).rowcount > 0
