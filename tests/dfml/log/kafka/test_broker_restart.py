"""What a broker that was away and is back answers: its clients go on as soon as it does."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo

from dfml.aside import call_aside
from dfml.clock import wall_clock_ms
from dfml.errors import FencedError, LogError, LogUnavailableError
from dfml.log import Commit, TopicConfig, open_log
from dfml.log.kafka import KafkaLog, catalogue, group, lost, transactions
from dfml.log.kafka import log as kafka_log
from dfml.log.kafka.client import Clients, Health
from dfml.log.kafka.transactions import Encoding, Transactions
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import Delivery, KafkaOptions, Settings
from experiments.kafka_broker import Broker
from tests.dfml.log.backends import take, until

TOPIC = TopicName("t")
PLACE = TopicPartition(TOPIC, 0)
RECORD = Append(TOPIC, 0, b"k", b"v")


@pytest.fixture(scope="module")
def broker(kafka_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start a broker that may be stopped; the other one says that this machine can."""
    del kafka_address
    with Broker(tmp_path_factory.mktemp("restarted")) as started:
        yield started


@pytest.fixture
def open_on(broker: Broker) -> Iterator[Callable[[Delivery], KafkaLog]]:
    logs: list[KafkaLog] = []

    def open_it(delivery: Delivery) -> KafkaLog:
        log = open_log(Settings(log=broker.address, prefix=f"t-{uuid4().hex[:8]}", delivery=delivery))
        assert isinstance(log, KafkaLog)
        logs.append(log)
        log.create_topics([TopicConfig(TOPIC)])
        return log

    yield open_it
    for log in logs:
        log.close()


def test_offsets_are_told_again_when_the_broker_is_back(broker: Broker, open_on: Callable) -> None:
    log = open_on("identity")
    ends = log.end([PLACE])
    broker.stop()
    broker.start()
    assert log.end([PLACE]) == ends


NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
"""What a client knows of its cluster that has lost its brokers for good (librdkafka issue 5301)."""


def test_who_asks_about_topics_is_replaced_when_it_has_lost_its_brokers_for_good(
    open_on: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_on("identity")
    monkeypatch.setattr(catalogue, "ANSWER_S", 0.2)
    monkeypatch.setattr(log._catalogue, "_admin", AdminClient(NOWHERE))
    with pytest.raises(LogUnavailableError):
        log._catalogue._look(0.2)
    monkeypatch.setattr(catalogue, "ANSWER_S", 10.0)
    assert TOPIC in log.topics()


def test_who_reads_writes_or_is_a_member_is_replaced_when_it_has_lost_its_brokers_for_good(
    open_on: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "PROBE_S", 1.0)
    log, told = open_on("identity"), list[LogError | None]()

    def send() -> None:
        log.send([RECORD], [], lambda _records, error: told.append(error))

    send()
    log.flush(20.0)
    membership, reader = log.join("g", 1), log.reader()
    reader.assign({PLACE: 0})
    reader._fetchers[0].consumer = Consumer({**NOWHERE, "group.id": "g"})
    membership._consumer = Consumer({**NOWHERE, "group.id": "g"})
    log._sender._producer = Producer(NOWHERE)
    send()
    log._replace_lost()
    log.pump()
    send()
    log.flush(20.0)
    assert [type(error) for error in told] == [type(None), LogUnavailableError, type(None)]
    assert [record.value for record in take(reader, 2)] == [b"v", b"v"]
    with pytest.raises(FencedError, match="has lost its brokers"):
        membership.poll()


def test_a_member_that_is_in_no_group_for_long_is_to_join_again(
    open_on: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    membership = open_on("identity").join("g", 1)
    until(membership.poll)
    # Only now: to join may take longer than this by itself.
    monkeypatch.setattr(group, "SESSIONS_OUTSIDE", 0.1)
    membership._consumer = Consumer({**NOWHERE, "group.id": "g"})
    with pytest.raises(FencedError):
        until(lambda: membership.poll() and False)


def test_clients_are_looked_after_once_the_cluster_answers_again() -> None:
    answers, looked = iter([LogUnavailableError("away"), None]), threading.Event()

    def ask() -> None:
        if (error := next(answers)) is not None:
            raise error

    lost.LookAfter(ask, looked.set, lambda: False).note_down()
    assert looked.wait(10)


def test_a_unit_whose_positions_a_broker_does_not_take_is_refused_and_may_be_sent_again(
    broker: Broker, open_on: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_on("transactional")
    member = log.join("g", 1)
    until(member.poll)
    told: list[LogError | None] = []

    def is_taken() -> bool:
        commit = Commit("g", {PLACE: 1}, member.member, member.generation)
        log.send([RECORD], [commit], lambda _records, error: told.append(error))
        until(lambda: (log.pump(), not log.n_unsettled)[-1])
        return told[-1] is None

    until(is_taken)
    broker.suspend()
    with monkeypatch.context() as patched:
        patched.setattr(transactions, "OFFSETS_S", 0.5)
        assert not is_taken()
    broker.resume()
    assert isinstance(told[-1], LogUnavailableError)
    until(is_taken)
    until(lambda: log.committed("g", [PLACE]) == {PLACE: 1})


def test_a_commit_that_a_broker_does_not_answer_is_waited_for_because_it_may_be_made(
    broker: Broker, open_on: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_on("transactional")

    def goes_away(_commit: Commit) -> bytes:
        broker.suspend()
        call_aside(lambda: (time.sleep(2.0), broker.resume()))
        return b""

    clients = Clients(KafkaOptions(broker.servers), Health("", lambda: None), "t")
    unit = Transactions(clients, Encoding(wall_clock_ms, lambda _topic: False), goes_away, f"t-{uuid4().hex[:8]}")
    unit.start()
    monkeypatch.setattr(transactions, "TIMEOUT_S", 1.0)
    [position] = unit.write([RECORD], [Commit("g", {})])
    reader = log.reader()
    reader.assign({PLACE: position.offset})
    assert [record.offset for record in take(reader, 1)] == [position.offset]


def test_offsets_that_a_client_never_answers_are_asked_for_by_another(
    open_on: Callable[[Delivery], KafkaLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    clients, ask = [], AdminClient.list_offsets

    def never_at_first(client: AdminClient, places: dict[Any, Any], **options: Any) -> dict[Any, Any]:
        clients.append(client)
        return {each: Future() for each in places} if len(clients) == 1 else ask(client, places, **options)

    log = open_on("identity")
    monkeypatch.setattr(AdminClient, "list_offsets", never_at_first)
    monkeypatch.setattr(catalogue, "OFFSETS_S", 0.5)
    assert PLACE in log.end([PLACE])
    first, second = clients
    assert first is not second


def test_an_offset_that_a_client_makes_up_where_a_broker_dies_is_asked_for_again(
    open_on: Callable[[Delivery], KafkaLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    n_asked, ask = count(), AdminClient.list_offsets

    def invalid_at_first(client: AdminClient, places: dict[Any, Any], **options: Any) -> dict[Any, Any]:
        if next(n_asked):
            return ask(client, places, **options)
        answers = {each: Future() for each in places}
        for answer in answers.values():
            answer.set_result(ListOffsetsResultInfo(OFFSET_INVALID, -1, -1))
        return answers

    log = open_on("identity")
    log.append([RECORD])
    ends = log.end([PLACE])
    monkeypatch.setattr(AdminClient, "list_offsets", invalid_at_first)
    assert log.end([PLACE]) == ends


def test_a_position_that_a_coordinator_cannot_tell_yet_is_not_taken_for_none(
    open_on: Callable[[Delivery], KafkaLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    n_asked = count()

    class Loading(Consumer):
        def committed(self, places: list[Any], *options: Any) -> list[Any]:
            if next(n_asked):
                return super().committed(places, *options)
            error = KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
            return [SimpleNamespace(topic=TOPIC, partition=0, offset=OFFSET_INVALID, error=error)]

    log = open_on("identity")
    until(lambda: _takes(log, Commit("loading", {PLACE: 1})))
    monkeypatch.setattr(kafka_log, "Consumer", Loading)
    assert log.committed("loading", [PLACE]) == {PLACE: 1}


def _takes(log: KafkaLog, commit: Commit) -> bool:
    """Say whether the log takes a commit: a new broker makes its topic of positions first."""
    try:
        log.append([], [commit])
    except LogUnavailableError:
        return False
    return True
