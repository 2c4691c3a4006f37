"""Sending in transactions: a thread writes what has gathered as one, results and positions together.

While one transaction is written (3 ms and more) the next units gather, so the busier the loop the larger they are.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from dfml.aside import call_aside
from dfml.errors import LogError, LogUnavailableError
from dfml.log.base import Commit, Settled
from dfml.log.kafka.positions import PendingPositions
from dfml.log.kafka.sender import check_sizes
from dfml.log.kafka.transactions import Transactions
from dfml.record import Append

logger = logging.getLogger(__name__)

RECORDS_AT_ONCE = 5_000
"""A transaction takes no further unit from there on: who reads it waits for its end."""
FLUSH_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class _Unit:
    appends: Sequence[Append]
    commits: Sequence[Commit]
    settled: Settled


class _Done(NamedTuple):
    """What became of a unit, and whether its positions were committed with others' results."""

    unit: _Unit
    error: LogError | None
    in_transaction: bool = False


class TransactionalSender:
    """Units on their way through one transaction after another; all but the thread is called on the loop's thread.

    A transaction that its process left open would hold back all readers of its partitions until the broker gives it
    up. So each is named for the lowest partition number that its process owns, and who takes a number over ends what
    bears its name: see :meth:`end_earlier`.

    Parameters
    ----------
    open_transactions : callable
        Makes the transactions of a name, ending what was left open under it when they are first used.
    positions : PendingPositions
        Takes the positions of units without records.
    max_record_bytes : int
        Larger records are refused before they are sent.
    nameless : str
        The name of a process that owns no number: it has no results to write, but says that it is there.
    """

    def __init__(
        self,
        open_transactions: Callable[[str], Transactions],
        positions: PendingPositions,
        max_record_bytes: int,
        nameless: str,
    ) -> None:
        self._open = open_transactions
        self._positions = positions
        self._max_record_bytes = max_record_bytes
        self._transactions: Transactions | None = None
        self._name = ""
        self._nameless = nameless
        self._waiting: deque[_Unit] = deque()
        self._done: deque[_Done] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.n_unsettled = 0
        self._n_units = 0
        self._thread = threading.Thread(target=self._write_all, daemon=True, name="transactions")
        self._thread.start()

    def end_earlier(self, group: str, numbers: Collection[int]) -> None:
        """End the transactions that earlier owners of these numbers left open; it may be called on any thread.

        Raises
        ------
        LogError
            If the broker does not let them be ended.
        """
        # Each waits for the broker several times, so all of them are ended at once.
        ending = [call_aside(partial(self._end, f"{group}.{number}")) for number in numbers]
        for each in ending:
            each.result()

    def _end(self, name: str) -> None:
        found = self._open(name)
        found.start()
        found.close()

    def take_over(self, group: str, gained: Collection[int], owned: Collection[int]) -> None:
        """Write under the name of the lowest number, now that nothing of earlier owners of those gained is open."""
        with self._changed:
            if self._name in {f"{group}.{number}" for number in gained}:
                # Its own producer, from before the number was lost, was ended with the others'.
                self._transactions = None
        self._rename(group, owned)

    def give_up(self, group: str, owned: Collection[int]) -> None:
        """Write under another name, when the number that it was made of went to somebody else.

        A producer of the old one would end what its next owner writes.
        """
        self._rename(group, owned)

    def _rename(self, group: str, owned: Collection[int]) -> None:
        name = f"{group}.{min(owned)}" if owned else ""
        with self._changed:
            if name != self._name:
                self._name, self._transactions = name, None

    def send(self, appends: Sequence[Append], commits: Sequence[Commit], settled: Settled) -> None:
        """Have a unit written by the thread."""
        try:
            check_sizes(appends, self._max_record_bytes)
        except LogError as error:
            settled((), error)
            return
        with self._changed:
            self._waiting.append(_Unit(appends, commits, settled))
            self.n_unsettled += len(appends)
            self._n_units += 1
            self._changed.notify_all()

    def pump(self) -> None:
        """Settle what the thread has written."""
        while self._done:
            unit, error, in_transaction = self._done.popleft()
            self._n_units -= 1
            self.n_unsettled -= len(unit.appends)
            if in_transaction:
                self._positions.note(unit.commits)
            elif error is None:
                self._positions.take(unit.commits)
            unit.settled((), error)
        self._positions.commit_due()

    def flush(self, timeout_s: float) -> None:
        """Wait until everything sent is settled, at most so long, and commit the positions."""
        left_s = timeout_s
        while self._n_units and left_s > 0:
            with self._changed:
                if not self._done:
                    self._changed.wait(FLUSH_LOOK_S)
                    left_s -= FLUSH_LOOK_S
            self.pump()
        self._positions.commit_now()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                units = self._take_some()
            error = self._write(units)
            written = error is None and any(unit.appends for unit in units)
            with self._changed:
                self._done.extend(_Done(unit, error, written) for unit in units)
                if error is not None:
                    self._refuse_waiting(error)
                self._changed.notify_all()

    def _take_some(self) -> list[_Unit]:
        units, n_records = [], 0
        while self._waiting and n_records < RECORDS_AT_ONCE:
            units.append(self._waiting.popleft())
            n_records += len(units[-1].appends)
        return units

    def _write(self, units: Sequence[_Unit]) -> LogError | None:
        appends = [append for unit in units for append in unit.appends]
        if not appends:
            return None
        try:
            transactions = self._current()
            transactions.write(appends, [commit for unit in units for commit in unit.commits])
        except LogError as error:
            self._leave_fenced()
            return error
        except Exception as error:  # noqa: BLE001 - without this thread nothing would be written any more
            logger.exception("a transaction could not be written; its units are sent again")
            return LogUnavailableError(f"write a unit: {error}")
        return None

    def _leave_fenced(self) -> None:
        """Write under no number's name, where the one that was owned is another's by now."""
        with self._changed:
            if self._transactions is not None and self._transactions.fenced:
                self._name, self._transactions = "", None

    def _current(self) -> Transactions:
        with self._changed:
            if self._transactions is None:
                self._transactions = self._open(self._name or self._nameless)
            return self._transactions

    def _refuse_waiting(self, error: LogError) -> None:
        """Refuse what was sent behind a failure, so that it is sent again in order."""
        behind = LogUnavailableError(f"sent behind what failed: {error}")
        self._done.extend(_Done(unit, behind) for unit in self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Let the thread end after the transaction that it writes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(FLUSH_LOOK_S)
