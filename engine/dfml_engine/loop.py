"""The event loop that drives workers on a log.

Appends gather until the loop's next turn; then one unit takes them all. The embedded log says at once where they are,
and the workers whose topics they went to get the records from memory; what another process appended, and everything on
a remote log, is read, in the same order of offsets: a record is handed on from memory only when it is the next one of
its topic partition.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from dfml.clock import Clock, wall_clock_ms
from dfml.errors import LogError, UnknownTopicError
from dfml.log.base import Log, TopicConfig
from dfml.record import Record, TopicName, TopicPartition
from dfml_engine.beginning import Beginnings
from dfml_engine.counts import LoopCounts
from dfml_engine.outbox import RETRY_S, Outbox, exists
from dfml_engine.outcome import Outcome
from dfml_engine.reading import Reading
from dfml_engine.share import Handover, OwnsAll, Share
from dfml_engine.trouble import Trouble
from dfml_engine.worker import NOTHING, Worker

logger = logging.getLogger(__name__)

READ_RECORDS = 500
"""How many records of other processes are taken at once, so that a turn of the loop stays short."""
LOOK_S = 0.005
"""How often the log is looked at for records of other processes; a look that finds nothing costs microseconds."""
LOOK_AMONG_OTHERS_S = 0.001
"""The same where the other parts are other processes and every record comes this way: 0.6 ms of delay in the mean."""
SHARE_S = 0.5
"""How often the group is polled: well within the session time-out, and a handover takes three polls."""
WAIT_S = 0.05
"""How long a thread waits for records of a remote log, before the loop looks after other things."""
CATCH_UP_S = 0.05
"""How long a reading waits for what is on the log already, before it looks again."""
STOP_S = 5.0
"""How long a stop waits for the log to take what was sent."""
NO_TOPIC = TopicName("")


class EventLoop:
    """Drives workers in one process on one asyncio loop.

    Parameters
    ----------
    log : Log
        The log.
    clock : Clock
        What ``tick`` is told.
    share : Share
        Which partition numbers are read.
    errors : TopicName
        The topic whose records count as failures.

    Attributes
    ----------
    unreadable
        That it cannot be read, and why.
    counts
        What was done since the start.
    """

    def __init__(
        self, log: Log, clock: Clock = wall_clock_ms, share: Share | None = None, errors: TopicName = NO_TOPIC
    ) -> None:
        self._log = log
        self._share = share or OwnsAll()
        self._look_s = LOOK_S if share is None else LOOK_AMONG_OTHERS_S
        self._share_at_s = 0.0
        self._clock = clock
        self._reading = Reading(log.reader())
        self._beginnings = Beginnings(
            log,
            self._reading,
            lambda worker, batch: self.submit(worker.handle(batch)),
            lambda worker, starts: self.submit(Outcome(worker.group, offsets=dict(starts))),
        )
        self._workers: list[Worker] = []
        self._readers: dict[TopicName, list[Worker]] = defaultdict(list)
        self._wanted: dict[int, frozenset[TopicName]] = {}
        self._waiter = ThreadPoolExecutor(1, "waiter")
        self._ticking: asyncio.Task[None] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at_ms: int | None = None
        self._looking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self.unreadable = Trouble(logger, "the log cannot be read")
        self.counts = LoopCounts(errors)
        self._outbox = Outbox(log, self._share, clock, self.counts, self._hand_on, self._lose_share)

    # -- life ---------------------------------------------------------------------------------------------------------

    def add(self, worker: Worker) -> None:
        """Start a worker from its committed positions; it reads what waits for it in the log by and by."""
        self._loop = asyncio.get_running_loop()
        self._workers.append(worker)
        self.refresh()

    def catch_up(self) -> None:
        """Hand on everything that is on the log now, at once: for small topics, before others start."""
        ends = self._log.end([place for place in self.positions() if place.topic not in self.paused])
        while self._is_behind(ends) and self.refusal is None:
            self._read_some(CATCH_UP_S)

    def _is_behind(self, ends: Mapping[TopicPartition, int]) -> bool:
        at = self.positions()
        return any(at.get(place, end) < end for place, end in ends.items() if place.topic not in self.paused)

    def start(self) -> None:
        """Take up the partition numbers that are free, begin to look for records of other processes and what is due."""
        self._look_at_share()
        self._looking = asyncio.get_running_loop().create_task(self._look())
        self._tick()

    async def stop(self) -> None:
        """Write what has been handed in and stop driving."""
        self._stopped = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._wake is not None:
            self._wake.cancel()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        self._waiter.shutdown()
        self.write_now()
        self._log.flush(STOP_S)
        if self.n_unwritten:
            text = "%d records were not written (%s); the next start makes them again"
            logger.error(text, self.n_unwritten, self.refusal)
        self._reading.close()

    @property
    def n_unwritten(self) -> int:
        """How many records wait for the log to take them."""
        return self._outbox.n_unwritten

    @property
    def idle(self) -> bool:
        """Whether everything handed in has been written."""
        return self._outbox.idle

    # -- which topics -------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the topics that workers want now; new ones from their committed positions on.

        Raises
        ------
        LogError
            If the log does not tell of them now; the next refresh tries again.
        """
        known: Mapping[TopicName, TopicConfig] = {}
        for number, worker in enumerate(self._workers):
            wanted = worker.topics()
            if wanted is self._wanted.get(number):
                continue
            before = self._wanted.get(number, NOTHING)
            known = known or self._log.topics()
            self._add_topics(worker, wanted - before, known)
            self._remove_topics(worker, before - wanted)
            self._wanted[number] = wanted
        self._beginnings.begin()

    def read_anew(self, topics: frozenset[TopicName], only: Worker | None = None) -> None:
        """Read all that topics hold from the next refresh on, for all workers or one."""
        for number, worker in enumerate(self._workers if topics else ()):
            if only in {None, worker}:
                wanted = self._wanted.get(number, NOTHING)
                self._remove_topics(worker, wanted & topics)
                self._wanted[number] = wanted - topics
                self._beginnings.read_anew(worker, topics)

    def _remove_topics(self, worker: Worker, topics: Collection[TopicName]) -> None:
        for topic in topics:
            self._readers[topic].remove(worker)
        self._beginnings.drop(lambda each, place: each is worker and place.topic in topics)
        idle = {topic for topic in topics if not self._readers[topic]}
        if idle:
            self._reading.end([place for place in self.positions() if place.topic in idle])

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset to be read of every topic partition, of those too that wait for their worker."""
        return self._reading.positions()

    @property
    def paused(self) -> frozenset[TopicName]:
        """The topics that wait because their worker holds as much as it may."""
        return self._reading.paused

    # -- which partition numbers --------------------------------------------------------------------------------------

    def _look_at_share(self) -> None:
        """Take up partition numbers that came, and leave those that went; what was handed in is written before."""
        self.write_now()
        self._hand_over(self._share.look())
        self.refresh()

    def _lose_share(self) -> None:
        self._hand_over(self._share.lose())

    def _hand_over(self, handover: Handover) -> None:
        if not handover:
            return
        logger.info("partition numbers: gained %s, lost %s", sorted(handover.gained), sorted(handover.lost))
        self.counts.rebalances += 1
        sharing = [worker for worker in self._workers if worker.group]
        topics = {topic for worker in sharing for topic in worker.topics()}
        lost = [place for place in self.positions() if place.partition in handover.lost and place.topic in topics]
        self._reading.end(lost)
        for worker in sharing:
            worker.release(handover.lost)
        self._beginnings.drop(lambda worker, place: bool(worker.group) and place.partition in handover.lost)
        self._outbox.leave(handover.lost)
        for number, worker in enumerate(self._workers):
            wanted = self._wanted[number] if worker.group else NOTHING
            self._beginnings.add(worker, [TopicPartition(topic, each) for topic in wanted for each in handover.gained])

    def _add_topics(
        self, worker: Worker, topics: Collection[TopicName], known: Mapping[TopicName, TopicConfig]
    ) -> None:
        for topic in topics:
            self._readers[topic].append(worker)
        places = [
            TopicPartition(topic, partition)
            for topic in topics
            if topic in known
            for partition in range(known[topic].partitions)
        ]
        self._beginnings.add(
            worker, [place for place in places if not worker.group or self._share.owns(place.partition)]
        )

    # -- writing ------------------------------------------------------------------------------------------------------

    def submit(self, outcome: Outcome) -> None:
        """Have the outcome written on the loop's next turn. Call it on the loop's own thread."""
        self._outbox.submit(outcome)

    def write_now(self) -> None:
        """Write what has been handed in, and what comes of it, without waiting for the loop's next turn."""
        self._outbox.write_now()

    @property
    def refusal(self) -> LogError | None:
        """The error that the log refuses to be written with, while it does."""
        return self._outbox.refusal

    def hand_in(self, make: Callable[[], Outcome]) -> None:
        """Call ``make`` on the loop's thread and have its outcome written; from any thread, at any time.

        What comes after the stop is not written: the next start makes it again.
        """
        assert self._loop is not None
        with suppress(RuntimeError):  # the asyncio loop is closed
            self._loop.call_soon_threadsafe(self._take_in, make)

    def _take_in(self, make: Callable[[], Outcome]) -> None:
        if not self._stopped:
            self.submit(make())

    # -- reading ------------------------------------------------------------------------------------------------------

    def _hand_on(self, records: Sequence[Record]) -> None:
        """Give appended records to their readers from memory, as far as nothing of another process lies between."""
        batch, missed = self._reading.take_written(records)
        self._deliver(batch)
        if missed:
            self._read_some()

    def _read_some(self, wait_s: float = 0.0) -> bool:
        """Read a batch and hand it on, passing over what went from memory; return whether more may wait.

        Nothing is read while the log refuses what came of the records before: it would only gather in memory.
        """
        if self._outbox.held_up:
            return False
        records = self._reading.poll(READ_RECORDS, wait_s)
        if records:
            self._deliver(records)
        return len(records) == READ_RECORDS

    def _deliver(self, records: Sequence[Record]) -> None:
        batches: dict[int, list[Record]] = {}
        for record in records:
            for worker in self._readers.get(record.topic, ()):
                batches.setdefault(id(worker), []).append(record)
        for worker in self._workers:
            batch = batches.get(id(worker))
            if batch:
                outcome = worker.handle(batch)
                outcome.since_ms = batch[0].timestamp_ms
                self.counts.read[worker.group] += len(batch)
                if outcome:
                    self.submit(outcome)
                self._wake_by(worker.wake_ms())
        self._follow_workers()

    def _follow_workers(self) -> None:
        """Read what workers want now; a topic waits, for all of the process, where one holds as much as it may."""
        self._reading.pause(NOTHING.union(*(worker.paused() for worker in self._workers)))
        if any(worker.topics() is not self._wanted[number] for number, worker in enumerate(self._workers)):
            self.refresh()

    async def _look(self) -> None:
        """Read what other processes append, a batch a turn so that requests in this process go on."""
        while True:
            more = False
            try:
                if is_due := time.monotonic() >= self._share_at_s:
                    self._share_at_s = time.monotonic() + SHARE_S
                    self._look_at_share()
                self._log.pump()
                more = self._read_some()
                if is_due and self._share.joined:
                    self.unreadable.end()
            except LogError as error:
                self.unreadable.begin(str(error))
                await asyncio.sleep(RETRY_S)
            if more or not self._log.is_remote:
                await asyncio.sleep(0 if more else self._look_s)
            else:
                await self._wait_for_records()

    async def _wait_for_records(self) -> None:
        """Let a thread wait for what a remote log brings, briefly where something sent is to be settled."""
        assert self._loop is not None
        wait_s = LOOK_S if self._log.n_unsettled or self._reading.paused else WAIT_S
        await self._loop.run_in_executor(self._waiter, self._reading.wait, wait_s)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _wake_by(self, at_ms: int | None) -> None:
        if at_ms is None or (self._wake_at_ms is not None and self._wake_at_ms <= at_ms):
            return
        if self._wake is not None:
            self._wake.cancel()
        assert self._loop is not None
        self._wake_at_ms = at_ms
        delay = max(at_ms - self._clock(), LOOK_S * 1000) / 1000
        self._wake = self._loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        """Let workers do what is due, once everything that had been appended has been read."""
        self._wake, self._wake_at_ms = None, None
        now_ms = self._clock()
        if self._log.is_remote:
            if self._ticking is not None and not self._ticking.done():
                return  # it finds out when the next one is due
            assert self._loop is not None
            self._ticking = self._loop.create_task(self._tick_from_afar(now_ms))
        elif self._read_some() or self._outbox.held_up:
            self._wake_by(now_ms)
        else:
            self._tick_workers(now_ms)

    async def _tick_from_afar(self, now_ms: int) -> None:
        """Ask a remote log where it ends, in a thread, and wait until all up to there has been read."""
        at = {place: offset for place, offset in self.positions().items() if place.topic not in self.paused}
        try:
            ends = await asyncio.to_thread(self._ends, at.keys())
            self._reading.begin_anew(at, ends)
        except LogError as error:
            logger.warning("windows stay open until the log answers: %s", error)
            await asyncio.sleep(RETRY_S)
            ends = {}
            now_ms = 0
        # Positions move with every batch; an event would have to be set on the way of each.
        while self._is_behind(ends) or self._outbox.held_up:  # noqa: ASYNC110
            await asyncio.sleep(self._look_s)
        self._tick_workers(now_ms)

    def _ends(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return where topic partitions end; those of a deleted topic are left out, because nothing of it comes."""
        try:
            return self._log.end(places)
        except UnknownTopicError:
            known = self._log.topics()
            return self._log.end([place for place in places if exists(place, known)])

    def _tick_workers(self, now_ms: int) -> None:
        for worker in self._workers:
            outcome = worker.tick(now_ms)
            if outcome:
                self.submit(outcome)
            self._wake_by(worker.wake_ms())
        self._follow_workers()
