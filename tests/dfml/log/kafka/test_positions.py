"""Positions that are committed beside the records: when, and for whom."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from dfml.log import Commit, TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.log.kafka.group import KafkaMembership
from dfml.log.kafka.positions import AGAIN_S, COMMIT_S, PendingPositions
from dfml.record import TopicName, TopicPartition
from dfml.settings import KafkaOptions
from tests.dfml.log.backends import until

N_PARTITIONS = 2


@pytest.fixture
def log(kafka_address: str) -> Iterator[KafkaLog]:
    prefix = f"positions-{uuid4().hex[:8]}"
    with KafkaLog(KafkaOptions(kafka_address.removeprefix("kafka://")), coordination=prefix) as opened:
        opened.create_topics([TopicConfig(TopicName(f"{prefix}-data"), N_PARTITIONS)])
        yield opened


@pytest.fixture
def place(log: KafkaLog) -> TopicPartition:
    return TopicPartition(next(name for name in log.topics() if name.endswith("-data") and "positions" in name), 0)


class Hours:
    """A clock that a test moves."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def member(log: KafkaLog) -> KafkaMembership:
    joined = log.join("g", N_PARTITIONS)
    assert isinstance(joined, KafkaMembership)
    until(lambda: len(joined.poll()) == N_PARTITIONS)
    return joined


@pytest.fixture
def committed(log: KafkaLog, member: KafkaMembership, place: TopicPartition) -> Callable[[], int]:
    """Return what is committed for the place once every commit has been answered that was sent before."""

    def ask() -> int:
        member.commit({TopicPartition(place.topic, 1): 0}, wait=True)
        return log.committed("g", [place])[place]

    return ask


def test_positions_are_committed_again_each_hour_although_nothing_moved(
    member: KafkaMembership, place: TopicPartition, committed: Callable[[], int]
) -> None:
    clock = Hours()
    pending = PendingPositions({member.member: member}, clock)
    pending.take([Commit("g", {place: 5}, member.member, member.generation)])
    pending.commit_now()
    assert committed() == 5
    member.commit({place: 3}, wait=True)  # as if the broker had forgotten it
    clock.now_s = AGAIN_S - 1
    pending.commit_due()
    assert committed() == 3
    clock.now_s = AGAIN_S + COMMIT_S
    pending.commit_due()
    assert committed() == 5


def test_positions_of_numbers_that_went_are_not_committed_again(
    member: KafkaMembership, place: TopicPartition, committed: Callable[[], int]
) -> None:
    clock = Hours()
    pending = PendingPositions({member.member: member}, clock)
    pending.take([Commit("g", {place: 5}, member.member, member.generation)])
    pending.commit_now()
    pending.forget(member.member, {place.partition})
    member.commit({place: 9}, wait=True)  # as the next owner does
    clock.now_s = 2 * AGAIN_S
    pending.commit_due()
    pending.commit_now()
    assert committed() == 9


def test_a_position_that_is_settled_after_its_number_went_is_left_to_the_next_owner(
    log: KafkaLog, member: KafkaMembership, place: TopicPartition
) -> None:
    other = log.join("g", N_PARTITIONS)
    until(lambda: len(member.poll()) == len(other.poll()) == 1)
    [gone] = other.owned
    pending = PendingPositions({member.member: member})
    pending.take([Commit("g", {TopicPartition(place.topic, gone): 5}, member.member, member.generation)])
    pending.commit_now()
    assert log.committed("g", [TopicPartition(place.topic, gone)]) == {}
