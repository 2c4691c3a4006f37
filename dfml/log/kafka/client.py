"""What every client of a cluster is told: librdkafka's properties for each use.

Each number that is not librdkafka's own says why it stands here.
"""

import logging
import re
import threading
from collections.abc import Callable

from confluent_kafka import KafkaError

from dfml.settings.kafka import KafkaOptions

Property = str | int | bool | float
Properties = dict[str, object]

logger = logging.getLogger(__name__)
client_logger = logging.getLogger(f"{__name__}.librdkafka")
"""What librdkafka says goes here: a line for each attempt of each client, hence at level DEBUG whatever it is."""

RETRY_BACKOFF_MS = 5
"""librdkafka's 100 makes each of several transactions in a row wait 100 ms for the markers of the one before."""
RECONNECT_MAX_MS = 1_000
"""A broker that comes back is noticed within a second; librdkafka's 10 s would outlast a session."""
TO_END_MS = 10
"""How long a broker keeps a fetch that finds nothing, where what is there is read to its end. Behind a transaction
only such a fetch tells the end: with librdkafka's 500 each partition number that is taken over took half a second."""
FETCH_BACKOFF_MS = 5
"""How long a full local queue keeps the next fetch waiting; librdkafka's second empties the queue meanwhile."""
QUEUED_KBYTES = 16_384
"""Read ahead for one consumer; librdkafka's 64 MB for each would be most of a process's memory."""
QUEUED_RECORDS = 20_000
HEARTBEAT_MS = 500
"""Members learn of a rebalance from the answer to a heartbeat, and a handover takes two rebalances."""
UNSENT_RECORDS = 1_000_000
"""The loop stops reading long before so many records wait for a broker; the bound must never be met."""
GONE_MS = 5_000
"""How long a topic that was there may be missing before what is sent to it is refused: callers wait; librdkafka's 30 s
are for topics that are made by the first record."""
_ASIDE = re.compile(r"^\S+?/\w+: (?=[A-Z])| \(after \d+ms in state \w+(, \d+ identical error\(s\) suppressed)?\)")
"""Which connection it was, and for how long."""


def _as_detail(line: logging.LogRecord) -> bool:
    line.levelno, line.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
    return client_logger.isEnabledFor(logging.DEBUG)


client_logger.addFilter(_as_detail)


class Health:
    """What the clients' background threads report of the connection; safe to share between threads.

    Parameters
    ----------
    address
        What the cluster is called in lines of log: one when no broker answers any more, one when they do again.
    on_down
        Called whenever a client finds that no broker answers any more.
    """

    def __init__(self, address: str, on_down: Callable[[], None]) -> None:
        self._address = address
        self._on_down = on_down
        self._guard = threading.Lock()
        self._reason = ""
        self._code: int | None = None
        self._answered = self._down = False

    def note(self, error: KafkaError) -> None:
        """Keep an error that a client reports; that all brokers are down says less than why."""
        with self._guard:
            all_down = error.code() == KafkaError._ALL_BROKERS_DOWN
            if not all_down or not self._reason:
                self._reason, self._code = _ASIDE.sub("", error.str()), error.code()
            went_down = all_down and self._answered
            tell = went_down and not self._down
            self._down |= tell
        if went_down:
            self._on_down()
        if tell:
            logger.error("%s does not answer: %s; what is under way waits until it does", self._address, self._reason)

    def note_answer(self) -> None:
        """Take note that a broker answered."""
        with self._guard:
            tell, self._down, self._answered = self._down, False, True
        if tell:
            logger.warning("%s answers again", self._address)

    def last(self) -> tuple[str, int | None]:
        """Return the last error's text and code, or an empty text."""
        with self._guard:
            return self._reason, self._code


class Clients:
    """Makes the properties of a cluster's clients; ``scope`` begins the names of groups."""

    def __init__(self, options: KafkaOptions, health: Health, scope: str) -> None:
        self._options = options
        self._scope = scope
        self._health = health

    def admin(self) -> Properties:
        """Return the properties of an admin client."""
        return self._common()

    def reader(self, *, to_end: bool) -> Properties:
        """Return the properties of a consumer with partitions assigned by hand: only what was committed is read."""
        return (
            self._consumer(f"{self._scope}.readers-never-commit")
            | {
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": FETCH_BACKOFF_MS,
                "queued.max.messages.kbytes": QUEUED_KBYTES,
                "queued.min.messages": QUEUED_RECORDS,
            }
            | ({"fetch.wait.max.ms": TO_END_MS} if to_end else {})
        )

    def positions(self, group: str) -> Properties:
        """Return the properties of a consumer that only asks for a group's committed positions."""
        return self._consumer(group)

    def member(self, group: str, session_timeout_ms: int, on_commit: Callable[..., None]) -> Properties:
        """Return the properties of a group's member; it must be polled within the session's time-out."""
        return self._consumer(group) | {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_timeout_ms,
            "max.poll.interval.ms": session_timeout_ms,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "on_commit": on_commit,
        }

    def producer(self) -> Properties:
        """Return the properties of a producer whose records are on the log once, in order, however long it takes."""
        return {
            # Under load batches form by themselves; a user may have them wait and be larger.
            "linger.ms": 0,
            **self._common(),
            "enable.idempotence": True,
            "message.timeout.ms": 0,
            "message.max.bytes": self._options.max_record_bytes,
            "queue.buffering.max.messages": UNSENT_RECORDS,
            "topic.metadata.propagation.max.ms": GONE_MS,
        }

    def transactional(self, transactional_id: str, timeout_ms: int) -> Properties:
        """Return the properties of a producer of transactions; no record outlives its transaction."""
        return self.producer() | {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": timeout_ms,
            "message.timeout.ms": timeout_ms,
        }

    def _consumer(self, group: str) -> Properties:
        return self._common() | {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # A position that is gone (retention) or unknown begins at the beginning: what is read twice is
            # recognised, what is passed over is lost.
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
        }

    def _common(self) -> Properties:
        return {
            "client.id": "dfml",
            "retry.backoff.ms": RETRY_BACKOFF_MS,
            "reconnect.backoff.max.ms": RECONNECT_MAX_MS,
            **self._options.properties,
            "bootstrap.servers": self._options.brokers,
            "error_cb": self._health.note,
            "logger": client_logger,
        }
