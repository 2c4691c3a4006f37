"""What workers have handed in and the log has not taken yet: sent as one unit a turn, in order, again if refused."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import count

from dfml.clock import Clock
from dfml.errors import FencedError, LogError, LogUnavailableError, RecordTooLargeError, UnknownTopicError
from dfml.log.base import Commit, Log, TopicConfig
from dfml.record import Append, Record, TopicName, TopicPartition
from dfml_engine.counts import LoopCounts
from dfml_engine.outcome import Outcome
from dfml_engine.share import Share

logger = logging.getLogger(__name__)

RETRY_S = 0.25
"""How long a refused write waits before it is tried again."""
UNSETTLED_RECORDS = 20_000
"""So many records may be on their way to a log that does not take them, then no more are to be read."""


class Outbox:
    """The outcomes of one process's workers, on their way to the log. Everything is called on one event loop.

    Parameters
    ----------
    log : Log
        Where they go.
    share : Share
        Makes the commits of their positions.
    clock : Clock
        Milliseconds since the epoch.
    counts : LoopCounts
        Is told what was written, and how often it was refused.
    on_written, on_fenced : callable
        Called with a unit's records where the log gave them back; and when others own this process's partition numbers.

    Attributes
    ----------
    refusal
        The error that the log refuses to be written with, while it does.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the loop's own parts, each of which it needs
        self,
        log: Log,
        share: Share,
        clock: Clock,
        counts: LoopCounts,
        on_written: Callable[[Sequence[Record]], None],
        on_fenced: Callable[[], None],
    ) -> None:
        self._log = log
        self._share = share
        self._clock = clock
        self._counts = counts
        self._on_written = on_written
        self._on_fenced = on_fenced
        self._outcomes: list[Outcome] = []
        self._numbers = count()
        self._left: dict[int, int] = {}
        self._flush_due = False
        self.refusal: LogError | None = None

    @property
    def n_unwritten(self) -> int:
        """How many records wait for the log to take them."""
        return sum(len(outcome.appends) for outcome in list(self._outcomes))

    @property
    def idle(self) -> bool:
        """Whether everything handed in has been written."""
        return not self._outcomes and not self._log.n_unsettled

    @property
    def held_up(self) -> bool:
        """Whether the log refuses outcomes that must be written, or has not taken very many yet."""
        return (self.refusal is not None and bool(self._outcomes)) or self._log.n_unsettled > UNSETTLED_RECORDS

    def submit(self, outcome: Outcome) -> None:
        """Have the outcome written on the loop's next turn."""
        outcome.number = next(self._numbers)
        self._outcomes.append(outcome)
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def leave(self, partitions: Collection[int]) -> None:
        """Drop what was handed in for partition numbers that belong to others now."""
        self._left |= {number: next(self._numbers) for number in partitions}
        self._outcomes = self._without_lost(self._outcomes)

    def _without_lost(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Take out what was made for partition numbers that were lost since, and the outcomes that are empty then.

        Written or committed later it would undo what the next owner has done meanwhile.
        """
        for outcome in outcomes if self._left else ():
            lost = {number for number, at in self._left.items() if outcome.group and outcome.number < at}
            if lost:
                outcome.leave(lost)
        return [outcome for outcome in outcomes if outcome]

    def write_now(self) -> None:
        """Write what has been handed in, and what comes of it, without waiting for the loop's next turn."""
        while self._outcomes and self.refusal is None:
            self._flush()

    def _flush(self) -> None:
        self._flush_due = False
        outcomes, self._outcomes = self._outcomes, []
        if not outcomes:
            return
        appends = [append for outcome in outcomes for append in outcome.appends]
        self._log.send(appends, self._commits(outcomes), lambda records, error: self._settled(outcomes, records, error))

    def _commits(self, outcomes: Sequence[Outcome]) -> list[Commit]:
        offsets: dict[str, dict[TopicPartition, int]] = {}
        for outcome in outcomes:
            if outcome.offsets:
                offsets.setdefault(outcome.group, {}).update(outcome.offsets)
        return [self._share.commit(group, moved) for group, moved in offsets.items()]

    # -- what becomes of a unit ---------------------------------------------------------------------------------------

    def _settled(self, outcomes: Sequence[Outcome], records: Sequence[Record], error: LogError | None) -> None:
        if error is None:
            self.refusal = None
            self._counts.note_written(outcomes, self._clock())
            for outcome in outcomes:
                if outcome.written is not None:
                    outcome.written()
            self._on_written(records)
        elif isinstance(error, FencedError):
            self._fenced(outcomes)
        else:
            self._refused(outcomes, error)

    def _fenced(self, outcomes: Sequence[Outcome]) -> None:
        """Give up what was made for partition numbers: others own them and make it themselves.

        What belongs to no group, a status say, nobody else says. What was sent before the numbers were lost says
        nothing of those that came since.
        """
        if any(outcome.offsets for outcome in self._without_lost(outcomes)):
            self._counts.fenced += 1
            logger.warning("this process was away for too long: its partition numbers belong to others")
            self._on_fenced()
        error = FencedError("the request's partition number was handed to another process; send it again")
        for outcome in outcomes:
            if outcome.refused is not None:
                outcome.refused(error)
            elif not outcome.group:
                self.submit(outcome)

    def _refused(self, outcomes: Sequence[Outcome], error: LogError) -> None:
        """Give up the outcomes that can be, keep the others and try again until the log takes them."""
        if isinstance(error, RecordTooLargeError | UnknownTopicError):
            logger.warning("%s; what needed it fails with that", error)
        elif self.refusal is None:
            logger.error("the log refuses to be written: %s; trying again every %.2f s", error, RETRY_S)
        self.refusal = error
        self._counts.retries += 1
        self._mend(outcomes, error)
        for outcome in outcomes:
            if outcome.refused is not None:
                outcome.refused(error)
        self._outcomes += self._without_lost([outcome for outcome in outcomes if outcome.refused is None])
        self._outcomes.sort(key=lambda outcome: outcome.number)
        if self._outcomes and not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_later(RETRY_S, self._flush)

    def _mend(self, outcomes: Sequence[Outcome], error: LogError) -> None:
        """Put what can be said instead in the place of the records that their topic will never take."""
        if isinstance(error, UnknownTopicError):
            # Where the log does not tell, the outcomes are tried again as they are: none must be lost on the way.
            with suppress(LogUnavailableError):
                known = self._log.topics()
                _redirect(outcomes, lambda append: exists(append, known), error)
                for outcome in outcomes:
                    outcome.offsets = {place: at for place, at in outcome.offsets.items() if exists(place, known)}
        elif isinstance(error, RecordTooLargeError):
            limit_bytes = error.limit_bytes
            _redirect(outcomes, lambda append: append.n_bytes <= limit_bytes, error)


def _redirect(outcomes: Sequence[Outcome], fits: Callable[[Append], bool], why: LogError) -> None:
    for outcome in outcomes:
        instead = outcome.instead
        if instead is not None:
            outcome.appends = [append if fits(append) else instead(append, why) for append in outcome.appends]


def exists(place: Append | TopicPartition, known: Mapping[TopicName, TopicConfig]) -> bool:
    """Whether the log has the topic and the partition number."""
    return place.topic in known and place.partition < known[place.topic].partitions
