"""Transactional sending: who owns no partition number still says that it is there, and positions never go back."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from dfml.clock import wall_clock_ms
from dfml.errors import FencedError, LogError, UnknownTopicError
from dfml.log import Commit, TopicConfig, open_log
from dfml.log.kafka import KafkaLog
from dfml.log.kafka.client import Clients, Health
from dfml.log.kafka.transactions import Encoding, Transactions
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import KafkaOptions, Settings
from tests.dfml.log.backends import until

TOPIC = TopicName(f"transactional-{uuid4().hex[:8]}")
PLACE = TopicPartition(TOPIC, 0)
RECORD = Append(TOPIC, 0, b"k", b"v")


@pytest.fixture
def log(kafka_address: str) -> Iterator[KafkaLog]:
    settings = Settings(log=kafka_address, prefix=f"t-{uuid4().hex[:8]}", delivery="transactional")
    with open_log(settings) as opened:
        opened.create_topics([TopicConfig(TOPIC)])
        yield opened


def test_who_owns_no_partition_number_may_write_what_commits_nothing(log: KafkaLog) -> None:
    told = []
    log.send([RECORD], [], lambda _records, error: told.append(error))
    log.flush(30.0)
    assert told == [None]


def test_a_position_that_came_first_alone_is_not_committed_after_later_ones(log: KafkaLog) -> None:
    member = log.join("g", 1)
    until(member.poll)

    def send(offset: int, *appends: Append) -> None:
        commit = Commit("g", {PLACE: offset}, member.member, member.generation)
        log.send(appends, [commit], lambda _records, _error: None)

    send(1)
    send(2, RECORD)
    until(lambda: (member.poll(), log.pump(), log.committed("g", [PLACE]) == {PLACE: 2})[-1])
    log.flush(30.0)
    assert log.committed("g", [PLACE]) == {PLACE: 2}


def test_a_unit_that_a_rebalance_overtakes_is_refused_because_its_number_may_be_anothers(log: KafkaLog) -> None:
    member = log.join("g", 2)
    until(lambda: len(member.poll()) == 2)
    commit = Commit("g", {PLACE: 1}, member.member, member.generation)
    other = log.join("g", 2)
    until(lambda: len(member.poll()) == len(other.poll()) == 1)
    told: list[LogError | None] = []
    log.send([RECORD], [commit], lambda _records, error: told.append(error))
    log.flush(30.0)
    assert "was shared out anew" in str(told[0])
    assert log.committed("g", [PLACE]) == {}


def test_who_takes_its_own_numbers_over_again_writes_on(log: KafkaLog) -> None:
    told = []
    for offset in (1, 2):
        member = log.join("g", 1)
        until(member.poll)
        commit = Commit("g", {PLACE: offset}, member.member, member.generation)
        log.send([RECORD], [commit], lambda _records, error: told.append(error))
        log.flush(30.0)
        member.abandon()
    assert told == [None, None]


def test_who_was_fenced_does_not_end_what_the_next_owner_of_its_number_writes(kafka_address: str) -> None:
    options, scope = KafkaOptions(kafka_address.removeprefix("kafka://")), f"t-{uuid4().hex[:8]}"
    clients, encoding = Clients(options, Health("", lambda: None), scope), Encoding(wall_clock_ms, lambda _topic: False)
    with KafkaLog(options, coordination=scope, delivery="transactional") as log:
        log.create_topics([TopicConfig(TOPIC)])
        member = log.join("g", 1)
        until(member.poll)
        told: list[type] = []

        def send() -> None:
            log.send([RECORD], [], lambda _records, error: told.append(type(error)))
            log.flush(30.0)

        send()
        next_owner = Transactions(clients, encoding, lambda _commit: b"", f"{scope}.g.0")
        next_owner.start()
        send()
        send()
        assert told == [type(None), FencedError, type(None)]
        assert len(next_owner.write([RECORD], [])) == 1


class FencedProducer(Producer):
    """One that says at every look that it was fenced, as those do that were."""

    def poll(self, timeout: float = -1) -> int:
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", True))


def test_a_producer_that_cannot_go_on_ends_its_unit_and_not_the_thread_that_writes(kafka_address: str) -> None:
    options, scope = KafkaOptions(kafka_address.removeprefix("kafka://")), f"t-{uuid4().hex[:8]}"
    clients, encoding = Clients(options, Health("", lambda: None), scope), Encoding(wall_clock_ms, lambda _topic: False)
    writing = Transactions(clients, encoding, lambda _commit: b"", f"{scope}.g.0")
    writing._producer = FencedProducer(clients.transactional(f"{scope}.g.0", 10_000))
    writing._producer.init_transactions(10)
    with pytest.raises(UnknownTopicError):
        writing.write([Append(TopicName(f"none-{scope}"), 0, b"k", b"v")], [])
