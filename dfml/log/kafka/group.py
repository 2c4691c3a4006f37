"""Group membership on Kafka: partition numbers of one small topic stand for those of all.

Members subscribe to the coordination topic, which has a partition for each number and never a record; the broker's
assignment of it says who owns which numbers. The data topics are assigned by hand, so loading a pipeline rebalances
nobody (architecture, law 2). Positions are committed through the member's consumer, which the broker refuses once the
member was replaced.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPlace

from dfml.aside import call_aside
from dfml.errors import FencedError, LogError, LogUnavailableError
from dfml.log.base import Membership
from dfml.log.kafka.client import Clients, client_logger
from dfml.log.kafka.errors import FENCED, REFUSED, UNKNOWN, translate
from dfml.log.kafka.lost import is_lost
from dfml.record import TopicName, TopicPartition

ENTER_S = 2.0
"""How long the construction waits for the group to take the member in; it goes on by itself at the polls that follow.
Others are waited for up to their session's time-out, so it may take longer than anybody should be kept waiting."""
POLL_S = 0.02
PREPARE_S = 0.05
"""How long a poll waits for numbers that came to be free, before their member goes on with those that it has."""
ABANDON_S = 1.0
"""How long who begins anew waits for the member that it was to be gone: some hundredths where a broker answers."""
KEEP_S = 1.0
"""A member that is busy is not silent for longer: well within the session's time-out."""
SESSIONS_OUTSIDE = 3
"""A member that is in no group for as many sessions does not come back by itself: joining takes one at worst."""
EVENTS_AT_ONCE = 10
_MAGIC = b"CGMDv2:"


class KafkaMembership(Membership):
    """A place in a group; entering it is the construction.

    Parameters
    ----------
    clients : Clients
        Makes the consumer.
    group, topic : str
        The group, and the coordination topic whose partitions are shared.
    session_timeout_ms : int
        How long the member may be silent.
    handover : Handover
        What is to be done when partition numbers come and go.

    Raises
    ------
    LogError
        If the broker refuses the member.
    """

    def __init__(
        self,
        clients: Clients,
        group: str,
        topic: TopicName,
        session_timeout_ms: int,
        handover: "Handover",
    ) -> None:
        self.group = group
        self._handover = handover
        self._preparing: tuple[frozenset[int], Future[None]] | None = None
        self._owned: set[int] = set()
        self._coming: set[int] = set()
        self._fenced = ""
        self._closed = False
        self._asked = threading.Lock()
        self._thread = threading.get_ident()
        self._session_timeout_s = session_timeout_ms / 1000
        self._served_s = self._in_group_s = time.monotonic()
        self._is_in = False
        self._refused: KafkaError | None = None
        self.commit_failed = False
        self._consumer = Consumer(clients.member(group, session_timeout_ms, self._committed), logger=client_logger)
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        self._member = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._joined_generation = self._generation = 0
        self._enter()

    def _enter(self) -> None:
        until_s = time.monotonic() + ENTER_S
        while not self._is_in and time.monotonic() < until_s:
            self._serve(POLL_S)
            if self._refused is not None:
                self.close()
                raise translate(self._refused, f"join group {self.group!r} (right: Read)")
        self._learn_generation()

    def _learn_generation(self) -> None:
        found = _generation_of(self._consumer.consumer_group_metadata())
        if found > 0:
            self._in_group_s = time.monotonic()
            self._joined_generation = self._joined_generation or found
            self._generation = max(self._generation, found)

    # -- the contract -------------------------------------------------------------------------------------------------

    @property
    def member(self) -> str:
        """The member's own name, unique in the group."""
        return self._member

    @property
    def owned(self) -> frozenset[int]:
        """The partition numbers that it owns now."""
        return frozenset(self._owned)

    @property
    def generation(self) -> int:
        """The generation of the group now, or the last one that the member was of."""
        if not self._closed:
            self._learn_generation()
        return self._generation

    def poll(self) -> frozenset[int]:
        """Show that the member lives and return the partition numbers it owns now.

        Raises
        ------
        FencedError
            As the contract says.
        LogError
            If numbers that came cannot be taken up now; they are none of the member's until they can.
        """
        self._thread = threading.get_ident()
        self._note_silence()
        self._check_alive()
        self._serve(0)
        self._check_alive()
        self._learn_generation()
        if time.monotonic() - self._in_group_s > SESSIONS_OUTSIDE * self._session_timeout_s:
            self._fenced = "is in no group"
            self._check_alive()
        if self._coming:
            self._take_up()
        return frozenset(self._owned)

    def _note_silence(self) -> None:
        """Know at once of having been away, before the client learns it from the broker: others do the work by now."""
        if not self._fenced and time.monotonic() - self._served_s > self._session_timeout_s:
            self._fenced = "was away too long"

    def _take_up(self) -> None:
        """Make the numbers that came the member's own, once what their earlier owners left is ended."""
        coming = frozenset(self._coming)
        if self._preparing is None or self._preparing[0] != coming:
            self._preparing = (coming, self._handover.prepare(self, coming))
        try:
            self._preparing[1].result(PREPARE_S)
        except TimeoutError:
            return
        except LogError:
            self._preparing = None
            raise
        self._preparing = None
        self._coming.clear()
        self._owned |= coming
        self._handover.gained(self, coming)

    def keep_alive(self) -> None:
        """Show that the member lives while its own thread is busy with something long; others may call it in vain.

        Partition numbers that go meanwhile are known at the next :meth:`poll`.
        """
        if threading.get_ident() == self._thread and not self._fenced and time.monotonic() > self._served_s + KEEP_S:
            self._serve(0)

    def leave(self) -> None:
        """Hand the owned partition numbers over at once; leaving again does nothing."""
        if not self._fenced:
            self._handover.release(self, frozenset(self._owned))
            self._fenced = "has left"
        self.close()

    def abandon(self) -> None:
        """Leave with nothing to hand over: what was sent is not waited for, which its own thread alone may do.

        Nor is a broker that was away, which the client waits for until seconds after it is back.
        """
        self._fenced = self._fenced or "has left"
        with suppress(TimeoutError):
            call_aside(self.close).result(ABANDON_S)

    def close(self) -> None:
        """Release the consumer, which leaves the group without committing anything."""
        with self._asked:
            if not self._closed:
                self._closed = True
                self._owned.clear()
                self._consumer.close()

    def end_if_lost(self) -> None:
        """Be thrown out when the client has lost its brokers for good: the group does without it. From any thread."""
        with self._asked:
            if not self._closed and not self._fenced and is_lost(self._consumer):
                self._fenced = "has lost its brokers"

    # -- positions ----------------------------------------------------------------------------------------------------

    def check(self, member: str, generation: int | None) -> None:
        """Find out whether a commit of this member and generation may be made.

        Raises
        ------
        FencedError
            If not.
        """
        if self._fenced or member != self._member or generation is None or generation < self._joined_generation:
            raise may_not_commit(self.group, member, generation)

    def commit(self, offsets: Mapping[TopicPartition, int], *, wait: bool) -> None:
        """Commit positions, waiting for it or not; what goes wrong later is told by :meth:`poll`.

        Raises
        ------
        FencedError
            If the member was replaced.
        LogError
            If it was waited for and failed.
        """
        self.metadata()
        places = [KafkaPlace(place.topic, place.partition, offset) for place, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=not wait)
        except KafkaException as error:
            # The position in a topic that was deleted is nobody's any more, and those in others are committed.
            if error.args[0].code() not in UNKNOWN:
                raise self._commit_error(error.args[0]) from error

    def metadata(self) -> bytes:
        """Return what a transaction commits positions by.

        A client that was thrown out forgets who it was, and the broker takes commits of nobody in particular: they
        must not get there.

        Raises
        ------
        FencedError
            If the member was replaced.
        """
        found: bytes = b"" if self._closed else self._consumer.consumer_group_metadata()
        if self._fenced or _generation_of(found) < max(self._joined_generation, 1):
            raise may_not_commit(self.group, self._member, self._generation)
        return found

    def metadata_of(self, generation: int) -> bytes:
        """Return the same for what is written later than it was sent: the group must be of that generation still.

        The broker takes what a member commits by its present generation, and some of its numbers may have been handed
        to another since.

        Raises
        ------
        FencedError
            If the member was replaced.
        LogUnavailableError
            If the group was shared out anew meanwhile; what is still the member's may be sent again.
        """
        found = self.metadata()
        if _generation_of(found) != generation:
            msg = f"group {self.group!r} was shared out anew while a unit was under way; it is sent again"
            raise LogUnavailableError(msg)
        return found

    def _commit_error(self, error: KafkaError) -> Exception:
        found = translate(error, f"commit positions of group {self.group!r}")
        if error.code() in FENCED:
            self._fenced = "was away too long"
        return found

    def _committed(self, error: KafkaError | None, _places: Collection[KafkaPlace]) -> None:
        if error is not None and error.code() not in UNKNOWN:
            self.commit_failed = True
            if error.code() in FENCED:
                self._fenced = "was away too long"

    # -- rebalances ---------------------------------------------------------------------------------------------------

    def _serve(self, timeout_s: float) -> None:
        """Let the client call back; the coordination topic has no records, so only errors come."""
        self._served_s = time.monotonic()
        for message in self._consumer.consume(1, timeout_s) + self._consumer.consume(EVENTS_AT_ONCE, 0):
            error = message.error()
            if error is None:
                continue
            if error.code() in FENCED:
                self._fenced = "was away too long"
            elif error.code() in REFUSED:
                self._refused = error

    def _assigned(self, _consumer: Consumer, places: Collection[KafkaPlace]) -> None:
        self._is_in = True
        self._coming |= {place.partition for place in places}

    def _revoked(self, _consumer: Consumer, places: Collection[KafkaPlace]) -> None:
        lost = frozenset(place.partition for place in places)
        try:
            # What came and went before it was taken up leaves nothing to be finished; a member that joins on a thread
            # of its own must not settle there what the loop has sent.
            if lost & self._owned and not self._fenced:
                self._handover.release(self, lost & self._owned)
        except LogError as error:
            # They go nevertheless: what was not committed is read again by their next owner.
            client_logger.warning("partition numbers %s went uncommitted: %s", sorted(lost), error)
        self._owned -= lost
        self._coming -= lost
        self._preparing = None

    def _lost(self, _consumer: Consumer, places: Collection[KafkaPlace]) -> None:
        self._owned.clear()
        self._coming.clear()
        self._preparing = None
        if places:
            self._fenced = "was away too long"
            # The client would join again by itself, as another member than the one that is to come: nobody would do the
            # work of its numbers until that one's session was over too.
            self._consumer.unsubscribe()

    def _check_alive(self) -> None:
        if self._fenced:
            self._handover.lost(self)
            # The consumer is released by leaving, which may wait for a cluster that is away.
            msg = f"group {self.group!r}: member {self._member!r} {self._fenced}; join again"
            raise FencedError(msg)


OnHandover = Callable[[KafkaMembership, frozenset[int]], None]


def _do_nothing(_member: KafkaMembership) -> None: ...


@dataclass(frozen=True, slots=True)
class Handover:
    """What is done when partition numbers come and go.

    Attributes
    ----------
    prepare
        Called with numbers that came; they are the member's own once its future is done, tried again where it failed.
    gained
        Called with numbers that are the member's own from now on, before it is told.
    release
        Called with those that will be another's when it returns: their positions must be committed.
    lost
        Called when the member finds that it was replaced: its numbers are others' already.
    """

    prepare: Callable[[KafkaMembership, frozenset[int]], Future[None]]
    gained: OnHandover
    release: OnHandover
    lost: Callable[[KafkaMembership], None] = _do_nothing


def may_not_commit(group: str, member: str, generation: int | None) -> FencedError:
    """Make the error for a commit by somebody who is no member of the group, or not any more."""
    return FencedError(f"group {group!r}: member {member!r} of generation {generation} may not commit; join again")


def _generation_of(metadata: bytes) -> int:
    """Read the generation from a group's metadata as librdkafka serialises it; -1 outside of the group.

    Raises
    ------
    LogUnavailableError
        If this version of librdkafka writes it otherwise.
    """
    if not metadata:
        return -1
    if not metadata.startswith(_MAGIC):
        msg = f"librdkafka's group metadata begin with {metadata[:7]!r}, expected {_MAGIC!r}; use confluent-kafka 2.16"
        raise LogUnavailableError(msg)
    return int.from_bytes(metadata[len(_MAGIC) : len(_MAGIC) + 4], "little", signed=True)
