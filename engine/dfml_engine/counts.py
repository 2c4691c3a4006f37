"""What the loop of a process counts: plain numbers, added to once a batch, read by whoever asks for metrics.

A counter of a metrics library takes a lock at each step; here a batch costs two additions and one bisection, and the
families are made of it when they are asked for.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dfml.record import TopicName
from dfml_engine.outcome import Outcome

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the durations' classes, seconds: records are stamped to the millisecond."""


@dataclass(slots=True)
class Durations:
    """How many durations fell between each two of :data:`BOUNDS_S` (the last: above all), and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Take one duration; a negative one, by a clock that was set back, counts as 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


@dataclass(slots=True)
class LoopCounts:
    """What a loop has done since its start; the keys are groups of workers.

    Attributes
    ----------
    read, written
        Records handed to a worker's ``handle``, and records written for it.
    failures
        Of those written: records on the errors topic.
    fired
        From the append of a batch's oldest record to the writing of what came of the batch.
    rebalances, retries, fenced
        Handovers of partition numbers; writes that the log refused and that were tried again; how often this process
        had been away for so long that it was replaced.
    """

    errors: TopicName
    read: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    fired: dict[str, Durations] = field(default_factory=dict)
    rebalances: int = 0
    retries: int = 0
    fenced: int = 0

    def note_written(self, outcomes: Iterable[Outcome], now_ms: int) -> None:
        """Take note of what has been written at ``now_ms``."""
        for outcome in outcomes:
            if not outcome.appends:
                continue
            self.written[outcome.group] += len(outcome.appends)
            n_failures = sum(append.topic == self.errors for append in outcome.appends)
            if n_failures:
                self.failures[outcome.group] += n_failures
            if outcome.since_ms is not None:
                durations = self.fired.get(outcome.group) or self.fired.setdefault(outcome.group, Durations())
                durations.add((now_ms - outcome.since_ms) / 1000)
