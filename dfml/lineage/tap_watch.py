"""What a tap's process shows of itself: its pages, and its record on the owners topic."""

import logging
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Protocol

from dfml.clock import wall_clock_ms
from dfml.errors import DfmlError, LogError
from dfml.log.base import Cleanup, Log, TopicConfig
from dfml.operations.metrics import Sample
from dfml.operations.owners import RENEW_MS, this_process
from dfml.operations.pages import Pages
from dfml.record import TopicPartition
from dfml.topics import Topics

PART = "tap"
_logger = logging.getLogger(__name__)


class Watched(Protocol):
    """What is shown of a tap at work."""

    n_records: int
    n_lost: int
    n_retries: int
    problem: str

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of every topic partition that is read."""

    def ends(self) -> dict[TopicPartition, int]:
        """Return the present ends of these."""


class TapWatch:
    """Answers for the tap of this process; ``waits_for`` says why there is none yet."""

    def __init__(self) -> None:
        self.tap: Watched | None = None
        self.waits_for = "it is starting"
        self.pages = Pages(PART, self.problems, tuple, self._samples)

    def problems(self) -> list[str]:
        """Return what keeps the tap from reading and writing."""
        problem = self.waits_for if self.tap is None else self.tap.problem
        return [problem] if problem else []

    def _samples(self) -> Iterator[Sample]:
        tap = self.tap
        if tap is None:
            return
        yield Sample("dfml_records_read_total", tap.n_records, (PART,))
        yield Sample("dfml_lost_records_total", tap.n_lost)
        yield Sample("dfml_retries_total", tap.n_retries)
        positions = tap.positions()
        try:
            ends = tap.ends()
        except LogError:
            return
        for place, position in sorted(positions.items()):
            lag = max(ends.get(place, position) - position, 0)
            yield Sample("dfml_lag_records", lag, (place.topic, str(place.partition)))


def keep_announced(open_to_write: Callable[[], Log], topics: Topics, url: str, stop: Event) -> Thread:
    """Say on the owners topic that a tap is at work, until ``stop``; on a thread of its own, which is returned.

    The tap itself reads only; where the log cannot be written it goes on unannounced, and that is said once.
    """
    thread = Thread(target=_announce, args=(open_to_write, topics, url, stop), name="announcing", daemon=True)
    thread.start()
    return thread


def _announce(open_to_write: Callable[[], Log], topics: Topics, url: str, stop: Event) -> None:
    owner = this_process(PART, (), wall_clock_ms(), (), url)
    told = False
    while not stop.is_set():
        try:
            with open_to_write() as log:
                # The tap may be the first to start.
                log.create_topics([TopicConfig(topics.owners, cleanup=Cleanup.COMPACT)])
                log.append([owner.to_append(topics)])
                while not stop.wait(RENEW_MS / 1000):
                    log.append([owner.to_append(topics)])
                log.append([owner.leave(topics)])
        except DfmlError as error:
            if not told:
                _logger.warning("the tap is not shown among the workers: %s", error)
            told = True
            stop.wait(RENEW_MS / 1000)
