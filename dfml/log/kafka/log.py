"""The log on a Kafka cluster, as one process sees it."""

import secrets
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPlace

from dfml.aside import call_aside
from dfml.clock import Clock, wall_clock_ms
from dfml.errors import ConflictError, LogError, LogReadOnlyError, LogUnavailableError
from dfml.log.base import Cleanup, Commit, Log, Membership, Reader, Settled, TopicConfig
from dfml.log.kafka.catalogue import ANSWER_S, LOOK_AGAIN_S, Catalogue
from dfml.log.kafka.client import Clients, Health, client_logger
from dfml.log.kafka.errors import REFUSED, UNKNOWN, configured, translated
from dfml.log.kafka.group import EVENTS_AT_ONCE, Handover, KafkaMembership, may_not_commit
from dfml.log.kafka.lost import LookAfter, is_lost
from dfml.log.kafka.positions import PendingPositions
from dfml.log.kafka.reader import KafkaReader
from dfml.log.kafka.sender import Sender
from dfml.log.kafka.transactional_sender import TransactionalSender
from dfml.log.kafka.transactions import Encoding, Transactions, simple_metadata
from dfml.record import Append, Position, TopicName, TopicPartition
from dfml.settings import Delivery, KafkaOptions

COORDINATION = "dfml.groups"
"""What coordination topics are called where nobody says otherwise; their partition count stands behind it."""
ASK_S = 2.0
"""How long one question for positions waits; the client keeps what the brokers refuse to itself meanwhile."""
RELEASE_S = 2.0
"""How long a member that gives partition numbers up waits for its last records to be acknowledged: less than others
wait for it."""


class KafkaLog(Log):
    """A log on the cluster that ``options`` name.

    Parameters
    ----------
    options : KafkaOptions
        The brokers, and how records are kept.
    read_only : bool
        Never write, nor join a group.
    coordination : str
        The first words of the topics that members share (the partition count comes behind), and of the names of groups
        and transactions.
    delivery : str
        How :meth:`send` writes: ``identity`` records first and their positions later, ``transactional`` as one.
    clock : Clock
        Stamps records, milliseconds since the epoch.

    Raises
    ------
    LogUnavailableError
        If no broker answers in some seconds.
    LogError
        If the brokers refuse the login.
    SettingsError
        If the client library does not know a property, or not its value.
    """

    def __init__(
        self,
        options: KafkaOptions,
        *,
        read_only: bool = False,
        coordination: str = COORDINATION,
        delivery: Delivery = "identity",
        clock: Clock = wall_clock_ms,
    ) -> None:
        self._options = options
        self._read_only = read_only
        self._coordination = coordination
        self._closed = False
        self._guard = threading.Lock()
        look_after = LookAfter(self.topics, self._replace_lost, lambda: self._closed)
        self._health = Health(f"kafka://{options.brokers}", look_after.note_down)
        self._clients = Clients(options, self._health, coordination)
        with configured():
            self._catalogue = Catalogue(self._clients, options, self._health)
        self._memberships: dict[str, KafkaMembership] = {}
        self._readers: weakref.WeakSet[KafkaReader] = weakref.WeakSet()
        self._askers: dict[str, Consumer] = {}
        self._simple: dict[str, bytes] = {}
        self._compacted: frozenset[TopicName] = frozenset()
        self._encoding = Encoding(clock, self._is_compacted)
        self._transactions = self._open_transactions(f"{coordination}.{secrets.token_hex(8)}")
        self._delivery = delivery
        self._positions = PendingPositions(self._memberships)
        self._sender: Sender | TransactionalSender | None = None
        self._catalogue.connect()
        self.topics()

    # -- topics -------------------------------------------------------------------------------------------------------

    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        """Create the topics that do not exist yet."""
        self._check_open(writing=True)
        self._catalogue.create(configs)
        self.topics()

    def delete_topics(self, names: Iterable[TopicName]) -> None:
        """Delete topics with their records and committed positions; unknown ones are ignored."""
        self._check_open(writing=True)
        self._catalogue.delete(names)

    def topics(self) -> dict[TopicName, TopicConfig]:
        """Return every topic of the cluster but Kafka's own and those that groups share."""
        self._check_open()
        found = self._catalogue.topics()
        self._compacted = frozenset(name for name, config in found.items() if config.cleanup is Cleanup.COMPACT)
        return {name: config for name, config in found.items() if not name.startswith(f"{self._coordination}.")}

    def _is_compacted(self, topic: TopicName) -> bool:
        return topic in self._compacted

    # -- writing ------------------------------------------------------------------------------------------------------

    def append(self, appends: Sequence[Append], commits: Sequence[Commit] = ()) -> list[Position]:
        """Write the records and commit the positions in one transaction; return the records' positions in order."""
        self._check_open(writing=True)
        self._check_places(appends, commits)
        for commit in commits:
            self._metadata(commit)
        if not appends and not any(commit.offsets for commit in commits):
            return []
        positions = self._transactions.write(appends, commits)
        self._catalogue.wait_for(positions)
        return positions

    def send(self, appends: Sequence[Append], commits: Sequence[Commit], settled: Settled) -> None:
        """Send the records; commit the positions once they are acknowledged."""
        self._check_open(writing=True)
        try:
            self._check_places(appends, commits)
            for commit in commits:
                self._metadata(commit)
            self._start_sender().send(appends, commits, settled)
        except LogError as error:
            settled((), error)

    def pump(self) -> None:
        """Settle what has been acknowledged."""
        if self._sender is not None:
            self._sender.pump()

    def flush(self, timeout_s: float) -> None:
        """Wait until everything sent is settled, at most so long, and commit the positions."""
        if self._sender is not None:
            self._sender.flush(timeout_s)

    @property
    def is_remote(self) -> bool:
        """Return True."""
        return True

    @property
    def n_unsettled(self) -> int:
        """How many records were sent and are not acknowledged."""
        return 0 if self._sender is None else self._sender.n_unsettled

    def _start_sender(self) -> Sender | TransactionalSender:
        if self._sender is None:
            limit_bytes = self._options.max_record_bytes
            if self._delivery == "transactional":
                nameless = f"{self._coordination}.{secrets.token_hex(8)}"
                self._sender = TransactionalSender(self._open_late, self._positions, limit_bytes, nameless)
            else:
                self._sender = Sender(
                    self._clients, self._encoding, self._positions, limit_bytes, lambda: self._catalogue.narrow
                )
        return self._sender

    def _open_transactions(self, name: str) -> Transactions:
        return Transactions(self._clients, self._encoding, self._metadata, name)

    def _open_late(self, name: str) -> Transactions:
        """Open transactions whose units are written later than they were sent."""
        return Transactions(self._clients, self._encoding, self._metadata_late, name)

    def _check_places(self, appends: Sequence[Append], commits: Sequence[Commit]) -> None:
        # Plain tuples: of the many records of a unit few are of different topic partitions.
        places: set[tuple[TopicName, int]] = {(append.topic, append.partition) for append in appends}
        for commit in commits:
            places.update(commit.offsets)
        self._catalogue.check(places)

    def _metadata(self, commit: Commit) -> bytes:
        """Return what the positions are committed by, or find out that they may not be."""
        if commit.generation is None:
            return self._simple_metadata(commit.group)
        return self._membership(commit).metadata()

    def _metadata_late(self, commit: Commit) -> bytes:
        """Return the same, or find out that the group was shared out anew since the unit was sent."""
        if commit.generation is None:
            return self._simple_metadata(commit.group)
        return self._membership(commit).metadata_of(commit.generation)

    def _simple_metadata(self, group: str) -> bytes:
        if group not in self._simple:
            self._simple[group] = simple_metadata(self._clients, self._id(group))
        return self._simple[group]

    def _membership(self, commit: Commit) -> KafkaMembership:
        membership = self._memberships.get(commit.member)
        if membership is None or membership.group != self._id(commit.group):
            raise may_not_commit(commit.group, commit.member, commit.generation)
        membership.check(commit.member, commit.generation)
        return membership

    # -- reading ------------------------------------------------------------------------------------------------------

    def reader(self, *, to_end: bool = False) -> Reader:
        """Return a new reader with nothing assigned; one that reads ``to_end`` asks more often and sees it sooner."""
        self._check_open()
        properties = self._clients.reader(to_end=to_end)
        reader = KafkaReader(properties, self._catalogue, lambda: self._closed, self._keep_alive)
        self._readers.add(reader)
        return reader

    def _keep_alive(self) -> None:
        """Let members not be taken for dead while their thread asks for, and reads, what an earlier owner wrote."""
        for membership in list(self._memberships.values()):
            membership.keep_alive()

    def beginning(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of the oldest record kept (the end when there is none)."""
        self._check_alive()
        return self._catalogue.beginning(partitions)

    def end(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record will have at least."""
        self._check_alive()
        return self._catalogue.end(partitions)

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        """Return the offset of the first record appended at that time or later (the end when there is none)."""
        self._check_alive()
        return self._catalogue.offsets_at(partitions, timestamp_ms)

    # -- groups -------------------------------------------------------------------------------------------------------

    def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the committed positions; topic partitions without one are left out."""
        self._check_alive()
        places = [KafkaPlace(place.topic, place.partition) for place in partitions]
        if not places:
            return {}
        until_s = time.monotonic() + ANSWER_S
        while True:
            try:
                answers = self._ask_committed(group, places)
            except LogUnavailableError:
                # A group that is new has no coordinator for a moment.
                if time.monotonic() > until_s:
                    raise
                time.sleep(LOOK_AGAIN_S)
            else:
                found = ((TopicPartition(TopicName(each.topic), each.partition), each.offset) for each in answers)
                return {place: offset for place, offset in found if offset >= 0}

    def _ask_committed(self, group: str, places: list[KafkaPlace]) -> list[KafkaPlace]:
        with self._guard, translated(f"ask for the positions of group {self._id(group)!r} (right: Read)"):
            asker = self._askers.get(group)
            if asker is None:
                asker = self._askers[group] = Consumer(self._clients.positions(self._id(group)), logger=client_logger)
            try:
                answers: list[KafkaPlace] = asker.committed(places, ASK_S)
            except KafkaException as error:
                raise _reason(asker) or error from error
            for each in answers:
                if each.error is not None and each.error.code() not in UNKNOWN:
                    raise KafkaException(each.error)
            return answers

    def join(self, group: str, partitions: int, *, session_timeout_ms: int = 6000) -> Membership:
        """Become a member of a group that shares the partition numbers 0 to ``partitions - 1``."""
        self._check_open(writing=True)
        topic = TopicName(f"{self._coordination}.{partitions}")
        self._catalogue.create([TopicConfig(topic, partitions)])
        self._check_group(group, topic, partitions)
        handover = Handover(self._prepare, self._take_over, self._release, self._lose)
        membership = KafkaMembership(self._clients, self._id(group), topic, session_timeout_ms, handover)
        self._memberships[membership.member] = membership
        return membership

    def _id(self, group: str) -> str:
        """Return what the cluster knows a group by: it is no other installation's."""
        return f"{self._coordination}.{group}"

    def _check_group(self, group: str, topic: TopicName, partitions: int) -> None:
        """Refuse to share a group with members that live and share another count."""
        for other, n_members in self._catalogue.subscribed_topics(self._id(group)).items():
            if other != topic and other.startswith(f"{self._coordination}."):
                count = other.rpartition(".")[2]
                msg = (
                    f"group {group!r} shares {count} partition numbers among {n_members} members,"
                    f" expected {partitions}; stop them first or use their count"
                )
                raise ConflictError(msg)

    def _release(self, membership: KafkaMembership, numbers: frozenset[int]) -> None:
        """Let nothing of these numbers be unacknowledged or uncommitted when their next owner takes them up."""
        self.flush(RELEASE_S)
        self._positions.forget(membership.member, numbers)
        if isinstance(self._sender, TransactionalSender):
            self._sender.give_up(membership.group, membership.owned - numbers)

    def _prepare(self, membership: KafkaMembership, numbers: frozenset[int]) -> Future[None]:
        """Begin to end what earlier owners of these numbers left open."""
        sender = self._start_sender()
        if isinstance(sender, TransactionalSender):
            return call_aside(lambda: sender.end_earlier(membership.group, numbers))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _take_over(self, membership: KafkaMembership, numbers: frozenset[int]) -> None:
        if isinstance(self._sender, TransactionalSender):
            self._sender.take_over(membership.group, numbers, membership.owned)

    def _lose(self, membership: KafkaMembership) -> None:
        if isinstance(self._sender, TransactionalSender):
            self._sender.give_up(membership.group, ())

    def _replace_lost(self) -> None:
        """Replace the clients that have lost their brokers for good."""
        for membership in list(self._memberships.values()):
            membership.end_if_lost()
        for reader in list(self._readers):
            reader.replace_lost()
        if isinstance(self._sender, Sender):
            self._sender.note_if_lost()
        lost = [group for group, asker in list(self._askers.items()) if is_lost(asker)]
        with self._guard:
            for group in lost:
                self._askers.pop(group, None)

    # -- life ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Release everything, readers too; further calls raise :class:`~dfml.errors.LogError`."""
        if self._closed:
            return
        self.flush(RELEASE_S)
        self._closed = True
        for membership in self._memberships.values():
            membership.close()
        for reader in list(self._readers):
            reader.close()
        for asker in self._askers.values():
            asker.close()
        if self._sender is not None:
            self._sender.close()
        self._transactions.close()

    def _check_alive(self) -> None:
        """Find out whether a question may be asked; a row of questions takes long where a cluster is slow to answer."""
        self._check_open()
        self._keep_alive()

    def _check_open(self, *, writing: bool = False) -> None:
        if self._closed:
            msg = f"log kafka://{self._options.brokers} is closed"
            raise LogError(msg)
        if writing and self._read_only:
            msg = f"log kafka://{self._options.brokers} was opened read-only; open it without read_only to write"
            raise LogReadOnlyError(msg)


def _reason(asker: Consumer) -> KafkaException | None:
    """Return the missing right that a consumer has learnt of instead of an answer, if any."""
    errors = (message.error() for message in asker.consume(EVENTS_AT_ONCE, 0))
    return next((KafkaException(error) for error in errors if error is not None and error.code() in REFUSED), None)
