"""Which topics a cluster has, how they are kept, and offsets: what the log answers about itself."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as KafkaPlace
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from dfml.errors import BadInputError, ConflictError, LogError, LogUnavailableError, UnknownTopicError
from dfml.log.base import Cleanup, TopicConfig
from dfml.log.kafka.client import Clients, Health
from dfml.log.kafka.errors import LOGIN, LOOK_AT_LOGIN, UNKNOWN, translate, translated
from dfml.record import Position, TopicName, TopicPartition
from dfml.settings.kafka import KafkaOptions

if TYPE_CHECKING:
    from concurrent.futures import Future

ANSWER_S = 10.0
"""How long a question may take: less than a caller's usual deadline."""
HANG_S = ANSWER_S + 2.0
"""How long an answer is waited for: librdkafka does not always keep its time-out where a broker went away meanwhile."""
OFFSETS_S = 4.0
"""How long offsets are waited for, which take milliseconds: whoever asks one that came back in time goes on within a
session's time-out."""
CONNECT_S = 5.0
"""How long a cluster may take to answer first; who can wait longer tries again."""
CONNECT_LOOK_S = 0.5
SETTLE_S = 10.0
"""How long topics that were made or deleted may take to be seen everywhere."""
LOOK_AGAIN_S = 0.02
LOOK_SOON_S = 0.001
"""How soon it is looked again first, and twice as long after each: most answers are there within a few milliseconds."""
TOPICS_AT_ONCE = 100
LIMIT = "max.message.bytes"
BATCH_BYTES = 1024
"""More than a batch takes beside its records."""
SEGMENTS_IN_RETENTION = 10
"""Records go a segment at a time: so many of them to a retention, for a tenth more than was asked."""
SHORTEST_SEGMENT_MS = 1_000
LONGEST_SEGMENT_MS = 7 * 24 * 3_600_000

_T = TypeVar("_T")
_Offsets = dict[TopicPartition, int]


class Catalogue:
    """Questions to a cluster, from any thread."""

    def __init__(self, clients: Clients, options: KafkaOptions, health: Health) -> None:
        self._clients = clients
        self._admin = AdminClient(clients.admin())
        self._options = options
        self._health = health
        self._configs: dict[TopicName, TopicConfig] = {}
        self._known: dict[TopicName, int] = {}
        self.narrow: frozenset[TopicName] = frozenset()
        """Topics of others' making that may refuse a record which the setting allows; as they were first seen."""

    def connect(self) -> None:
        """Wait until a broker answers.

        Raises
        ------
        LogError
            If the brokers refuse the login.
        LogUnavailableError
            If none answers in ``CONNECT_S`` seconds.
        """
        until_s = time.monotonic() + CONNECT_S
        while True:
            try:
                self._look(CONNECT_LOOK_S)
            except LogUnavailableError as error:
                self._admin.poll(0)
                reason, code = self._health.last()
                if code in LOGIN:
                    msg = f"{self._place} refuses the login: {reason}; {LOOK_AT_LOGIN}"
                    raise LogError(msg) from error
                if time.monotonic() > until_s:
                    msg = f"{self._place} does not answer: {reason or error}; does it run, and is that its address?"
                    raise LogUnavailableError(msg) from error
            else:
                return

    @property
    def _place(self) -> str:
        return f"kafka://{self._options.brokers}"

    # -- topics -------------------------------------------------------------------------------------------------------

    def topics(self) -> dict[TopicName, TopicConfig]:
        """Return every topic but Kafka's own; how a topic is kept is asked once."""
        known = self._look()
        self._configs = {
            name: config for name, config in self._configs.items() if name in known and config.partitions == known[name]
        }
        new = [name for name in known if name not in self._configs]
        if new:
            self._ask_configs(new, known)
        return {name: self._configs[name] for name in known if name in self._configs}

    def create(self, configs: Iterable[TopicConfig]) -> None:
        """Create the topics that do not exist yet, and wait until they are there for everybody."""
        asked = {config.name: config for config in configs}
        known = self._look()
        new = [config for config in asked.values() if self._is_new(config, known)]
        for at in range(0, len(new), TOPICS_AT_ONCE):
            self._create_some(new[at : at + TOPICS_AT_ONCE])
        self._configs.update({config.name: config for config in new})

    def delete(self, names: Iterable[TopicName]) -> None:
        """Delete topics and wait until they are gone; unknown ones are ignored."""
        known = self._look()
        gone = [name for name in names if name in known]
        if not gone:
            return
        for name, future in self._admin.delete_topics(gone, operation_timeout=ANSWER_S).items():
            self._result(future, f"delete topic {name!r} (right: Delete)", KafkaError.UNKNOWN_TOPIC_OR_PART)
        for name in gone:
            self._configs.pop(name, None)
        self._wait(lambda: not set(gone) & self._look().keys(), f"topics {gone} to be gone")

    def check(self, places: Collection[tuple[TopicName, int]]) -> None:
        """Find out whether the topic partitions exist; those known from before are not asked about again.

        Raises
        ------
        UnknownTopicError
            If one does not.
        ForbiddenError
            If the user may do nothing with its topic.
        """
        if all(partition < self._known.get(topic, 0) for topic, partition in places):
            return
        self._look()
        for place in (TopicPartition(*place) for place in places):
            n_partitions = self._known.get(place.topic)
            if n_partitions is None:
                raise self._missing(place.topic)
            if place.partition >= n_partitions:
                msg = f"{place} does not exist: topic {place.topic!r} has {n_partitions} partition numbers, from 0"
                raise UnknownTopicError(msg)

    def _missing(self, topic: TopicName) -> LogError:
        """Return why a topic is not listed: of one that the user may not see, only who asks by name is told."""
        asked = self._admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_S)[topic]
        try:
            self._result(asked, f"use topic {topic!r} (right: Describe, Read or Write)", *UNKNOWN)
        except LogError as error:
            return error
        return UnknownTopicError(f"topic {topic!r} does not exist; create it first")

    def forget(self) -> None:
        """Ask anew at the next check: a topic turned out to be gone."""
        self._known = {}

    def _look(self, timeout_s: float = ANSWER_S) -> dict[TopicName, int]:
        asked = self._admin
        try:
            with translated(f"list the topics of {self._place}"):
                listed = asked.list_topics(timeout=timeout_s).topics
        except LogUnavailableError:
            if timeout_s >= ANSWER_S:
                self._ask_by_another_than(asked)
            raise
        self._health.note_answer()
        # A topic that is being made or deleted is listed with an error, or without partitions.
        self._known = {
            TopicName(name): len(topic.partitions)
            for name, topic in listed.items()
            if topic.error is None and topic.partitions and not name.startswith("__")
        }
        return self._known

    def _result(self, future: "Future[_T]", doing: str, *expected: int) -> _T | None:
        """Return what a future brings; None for an error that is no surprise."""
        asked = self._admin
        try:
            return future.result(HANG_S)
        except TimeoutError:
            raise self._hung(asked, doing, HANG_S) from None
        except KafkaException as error:
            found: KafkaError = error.args[0]
            if found.code() in expected:
                return None
            raise translate(found, doing) from error

    def _hung(self, asked: AdminClient, doing: str, after_s: float) -> LogUnavailableError:
        """Ask by a new client from now on, and return what is told of the one that does not answer."""
        self._ask_by_another_than(asked)
        return LogUnavailableError(f"{doing}: {self._place} did not answer within {after_s:g} s")

    def _ask_by_another_than(self, asked: AdminClient) -> None:
        """Replace a client that does not answer: a cluster that is there answers a new one.

        One to whom a broker that just came back named no brokers never connects again (librdkafka issue 5301), and of
        one that was asked while a broker went away the answer may never come.
        """
        if self._admin is asked:
            self._admin = AdminClient(self._clients.admin())

    def _is_new(self, config: TopicConfig, known: Mapping[TopicName, int]) -> bool:
        if config.partitions < 1:
            msg = f"topic {config.name!r}: got {config.partitions} partitions, expected at least 1"
            raise BadInputError(msg)
        there = known.get(config.name)
        if there is not None and there != config.partitions:
            msg = (
                f"topic {config.name!r} exists with {there} partitions, expected {config.partitions};"
                " delete it first or ask for as many as it has"
            )
            raise ConflictError(msg)
        return there is None

    def _create_some(self, configs: Collection[TopicConfig]) -> None:
        asked = [
            NewTopic(config.name, config.partitions, self._options.replication, config=self._kept(config))
            for config in configs
        ]
        for name, future in self._admin.create_topics(asked, operation_timeout=ANSWER_S).items():
            doing = f"create topic {name!r} with {self._options.replication} replicas (right: Create)"
            self._result(future, doing, KafkaError.TOPIC_ALREADY_EXISTS)
        wanted = {config.name for config in configs}
        self._wait(lambda: wanted <= self._look().keys(), f"topics {sorted(wanted)} to be made")
        # Listed is not led: only a partition that says where it ends can be written and read.
        self.end(TopicPartition(config.name, number) for config in configs for number in range(config.partitions))

    def _kept(self, config: TopicConfig) -> dict[str, str]:
        kept = {
            "cleanup.policy": config.cleanup.value,
            "retention.ms": str(-1 if config.retention_ms is None else config.retention_ms),
            LIMIT: str(self._limit_bytes),
        }
        if config.retention_ms is not None:
            share = config.retention_ms // SEGMENTS_IN_RETENTION
            kept["segment.ms"] = str(min(max(share, SHORTEST_SEGMENT_MS), LONGEST_SEGMENT_MS))
        return kept

    @property
    def _limit_bytes(self) -> int:
        # The client fills its batches up to one record beyond the limit, and the topic's is one of batches.
        return min(2 * self._options.max_record_bytes + BATCH_BYTES, 2**31 - 1)

    def _ask_configs(self, names: Collection[TopicName], known: Mapping[TopicName, int]) -> None:
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        for resource, future in self._admin.describe_configs(asked, request_timeout=ANSWER_S).items():
            name = TopicName(resource.name)
            doing = f"ask how topic {name!r} is kept (right: DescribeConfigs)"
            found = self._result(future, doing, KafkaError.UNKNOWN_TOPIC_OR_PART)
            if found is not None:
                values = {key: entry.value for key, entry in found.items()}
                self._configs[name] = _config_of(name, known[name], values)
                if int(values.get(LIMIT, self._limit_bytes)) < self._limit_bytes:
                    self.narrow |= {name}

    @staticmethod
    def _wait(condition: Callable[[], bool], what: str) -> None:
        until_s, pause_s = time.monotonic() + SETTLE_S, LOOK_SOON_S
        while not condition():
            if time.monotonic() > until_s:
                msg = f"waited {SETTLE_S:g} s for {what}; is the cluster in order?"
                raise LogUnavailableError(msg)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LOOK_AGAIN_S)

    # -- offsets ------------------------------------------------------------------------------------------------------

    def beginning(self, partitions: Iterable[TopicPartition]) -> _Offsets:
        """Return the offset of the oldest record kept, or the end."""
        return self._list_offsets(partitions, OffsetSpec.earliest())

    def end(self, partitions: Iterable[TopicPartition]) -> _Offsets:
        """Return the offset behind the last record that was committed."""
        return self._list_offsets(partitions, OffsetSpec.latest())

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp_ms: int) -> _Offsets:
        """Return the offset of the first record of that time or later, or the end."""
        found = self._list_offsets(partitions, OffsetSpec.for_timestamp(max(timestamp_ms, 0)))
        return found | self.end([place for place, offset in found.items() if offset < 0])

    def wait_for(self, positions: Iterable[Position]) -> None:
        """Wait until these records can be read: a transaction's markers are written after its commit has returned."""
        last: _Offsets = {}
        for position in positions:
            place = TopicPartition(position.topic, position.partition)
            last[place] = max(position.offset, last.get(place, 0))
        self._wait(lambda: all(end > last[place] for place, end in self.end(last).items()), "a unit to become visible")

    def _list_offsets(self, partitions: Iterable[TopicPartition], spec: OffsetSpec) -> _Offsets:
        places = list(partitions)
        self.check(places)
        if not places:
            return {}
        asked = {KafkaPlace(place.topic, place.partition): spec for place in places}
        until_s, pause_s = time.monotonic() + ANSWER_S, LOOK_SOON_S
        found: _Offsets = {}
        while asked:
            left = self._ask_offsets(asked, found)
            if left and time.monotonic() > until_s:
                raise next(iter(left.values()))
            asked = {each: spec for each in left}
            if left:
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, LOOK_AGAIN_S)
                # librdkafka asks by the leaders that it knew, although they lead no more: it learns anew from this.
                self._look()
        return found

    def _ask_offsets(self, asked: Mapping[KafkaPlace, OffsetSpec], found: _Offsets) -> dict[KafkaPlace, LogError]:
        """Ask once; return those that have no answer yet: a partition that was just made has no leader for a moment."""
        admin, until_s = self._admin, time.monotonic() + OFFSETS_S
        futures = admin.list_offsets(
            dict(asked), isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=OFFSETS_S
        )
        left: dict[KafkaPlace, LogError] = {}
        for each, future in futures.items():
            place = TopicPartition(TopicName(each.topic), each.partition)
            doing = f"ask for an offset of {place} (right: Describe)"
            try:
                offset = int(future.result(max(until_s - time.monotonic(), 0)).offset)
            except TimeoutError:
                left[each] = self._hung(admin, doing, OFFSETS_S)
            except KafkaException as error:
                failure = translate(error.args[0], doing)
                if not isinstance(failure, LogUnavailableError):
                    raise failure from error
                left[each] = failure
            else:
                if offset == OFFSET_INVALID:  # what librdkafka answers, and no error, where its broker dies meanwhile
                    left[each] = LogUnavailableError(f"{doing}: {self._place} went away meanwhile")
                else:
                    found[place] = offset
                    self._health.note_answer()
        return left

    # -- groups -------------------------------------------------------------------------------------------------------

    def subscribed_topics(self, group: str) -> dict[TopicName, int]:
        """Return the topics that members of a group subscribe to now, and how many members.

        While the group is being shared out anew the broker does not say.
        """
        # Deprecated in favour of describe_consumer_groups, which aborts the process when an answer comes after its
        # time-out, as behind a broker that was restarted (librdkafka issue 4605).
        with translated(f"list group {group!r} (right: Describe)"):
            found = self._admin.list_groups(group, timeout=ANSWER_S)
        counts: dict[TopicName, int] = {}
        for member in (member for each in found for member in each.members):
            for name in _subscription_of(member.metadata):
                counts[name] = counts.get(name, 0) + 1
        return counts


def _subscription_of(metadata: bytes) -> list[TopicName]:
    """Read the topics from a member's subscription: a version, then their number, then each with its length."""
    n_topics, at, found = int.from_bytes(metadata[2:6]), 6, []
    for _ in range(n_topics):
        end = at + 2 + int.from_bytes(metadata[at : at + 2])
        found.append(TopicName(metadata[at + 2 : end].decode()))
        at = end
    return found


def _config_of(name: TopicName, n_partitions: int, values: Mapping[str, str]) -> TopicConfig:
    compacted = "compact" in values.get("cleanup.policy", "")
    retention_ms = int(values.get("retention.ms", -1))
    return TopicConfig(
        name, n_partitions, None if retention_ms < 0 else retention_ms, Cleanup.COMPACT if compacted else Cleanup.DELETE
    )
