"""What one connection knows of the log's topics, ends and committed positions, kept up to date by what changed."""

import sqlite3

from dfml.errors import UnknownTopicError
from dfml.log.base import Cleanup, TopicConfig
from dfml.record import TopicName, TopicPartition

TOPICS_CHANGED = 0
"""The topic partition whose marks stand for changes of topics and of memberships."""
_UNKNOWN = -1

SELECT_NEW_TOPICS = (
    "SELECT * FROM topics WHERE name IN (SELECT topic FROM partitions WHERE tp > ? AND topic IS NOT NULL) ORDER BY name"
)


class Catalogue:
    """A copy in memory of the small tables, for one connection.

    Attributes
    ----------
    topics, ids
        Every topic, and the id (``tp``) of every topic partition.
    ends
        By ``tp``: the transaction that moved the end last, the end, the youngest timestamp before it.
    commits
        By ``tp`` and group id: the transaction that moved the committed position last, the position.
    noted
        By group id (0: topics): the transaction that changed its membership last.
    memberships
        Groups whose membership changed since the owner of the catalogue last emptied this set.
    seen
        The newest transaction that is known of.

    Notes
    -----
    Not safe to share between threads. The data version is SQLite's: it changes when another connection commits.
    """

    def __init__(self, connection: sqlite3.Connection, *, with_commits: bool) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        groups = "" if with_commits else " AND grp = 0"
        self._select_marks = f"SELECT changed, tp, grp, at, newest_ms FROM marks WHERE changed > ?{groups}"
        self.forget()

    def forget(self) -> None:
        """Drop everything that is known; the next refresh reads it all again."""
        self.topics: dict[TopicName, TopicConfig] = {}
        self.ids: dict[tuple[TopicName, int], int] = {}
        self.ends: dict[int, tuple[int, int, int]] = {}
        self.commits: dict[tuple[int, int], tuple[int, int]] = {}
        self.memberships: set[int] = set()
        self.noted: dict[int, int] = {}
        self.seen = _UNKNOWN
        self._data_version = _UNKNOWN
        self._last_tp = 0
        self._deletions = 0

    def copy_to(self, connection: sqlite3.Connection) -> "Catalogue":
        """Return a catalogue for another connection, without committed positions, that knows what this one does."""
        copied = Catalogue(connection, with_commits=False)
        copied.topics, copied.ids, copied.ends = dict(self.topics), dict(self.ids), dict(self.ends)
        copied.noted = dict(self.noted)
        copied.seen, copied._last_tp, copied._deletions = self.seen, self._last_tp, self._deletions
        return copied

    def distrust(self) -> None:
        """Make the next refresh look, for changes that this very connection made."""
        self._data_version = _UNKNOWN

    def refresh(self) -> list[int] | None:
        """Take up what was committed since the last call.

        Returns
        -------
        list[int] | None
            The ``tp`` whose end moved; None when everything was read anew, because topics were deleted.
        """
        version = self._cursor.execute("PRAGMA data_version").fetchone()[0]
        if version == self._data_version:
            return []
        rows = self._cursor.execute(self._select_marks, (self.seen,)).fetchall()
        if any(row[1] == TOPICS_CHANGED for row in rows):
            moved = self._refresh_topics()
        else:
            moved = self._take_marks(rows)
        self._data_version = version
        return moved

    def tp(self, place: TopicPartition) -> int:
        """Return the id of a topic partition.

        Raises
        ------
        UnknownTopicError
            If there is no such topic or partition number.
        """
        tp = self.ids.get(place)
        if tp is not None:
            return tp
        config = self.topics.get(place.topic)
        if config is None:
            msg = f"topic {place.topic!r} does not exist; create it first"
        else:
            msg = f"{place} does not exist: topic {place.topic!r} has {config.partitions} partition numbers, from 0"
        raise UnknownTopicError(msg)

    def _refresh_topics(self) -> list[int] | None:
        if self._connection.in_transaction:
            return self._take_topics()
        # One snapshot: a topic that is created between two reads would be known without its ends.
        self._cursor.execute("BEGIN")
        try:
            return self._take_topics()
        finally:
            self._cursor.execute("COMMIT")

    def _take_topics(self) -> list[int] | None:
        marks = self._cursor.execute(self._select_marks, (self.seen,)).fetchall()
        deletions = next((at for _, tp, group, at, _ in marks if tp == group == TOPICS_CHANGED), self._deletions)
        anew = deletions != self._deletions
        if anew:
            self.forget()
            self._deletions = deletions
            marks = self._cursor.execute(self._select_marks, (self.seen,)).fetchall()
        # A topic never changes while it exists: only those of new partition numbers are read.
        for name, n_partitions, retention_ms, cleanup in self._cursor.execute(SELECT_NEW_TOPICS, (self._last_tp,)):
            self.topics[TopicName(name)] = TopicConfig(name, n_partitions, retention_ms, Cleanup(cleanup))
        partitions = self._cursor.execute("SELECT tp, topic, number FROM partitions WHERE tp > ?", (self._last_tp,))
        for tp, topic, number in partitions:
            self._last_tp = tp
            if topic is not None:
                self.ids[TopicPartition(topic, number)] = tp
        moved = self._take_marks(marks)
        return None if anew else moved

    def _take_marks(self, rows: list[tuple[int, int, int, int, int]]) -> list[int]:
        moved = []
        for changed, tp, group, at, newest_ms in rows:
            self.seen = max(self.seen, changed)
            if tp == TOPICS_CHANGED:
                self.noted[group] = changed
                if group:
                    self.memberships.add(group)
            elif group:
                self.commits[tp, group] = changed, at
            else:
                self.ends[tp] = changed, at, newest_ms
                moved.append(tp)
        return moved
