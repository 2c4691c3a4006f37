"""What is sent without waiting, or as a unit: no record fails unseen."""

from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from dfml.clock import wall_clock_ms
from dfml.errors import LogError, LogUnavailableError, RecordTooLargeError
from dfml.log import Commit, TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import ClientProperties, KafkaOptions


def test_a_record_that_its_topic_alone_does_not_take_is_told_although_others_of_its_unit_are_taken(
    kafka_address: str,
) -> None:
    topic, servers = TopicName(f"narrow-{uuid4().hex[:8]}"), kafka_address.removeprefix("kafka://")
    new = NewTopic(topic, 1, 1, config={"max.message.bytes": "10000"})
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([new])[topic].result(20)
    told: list[LogError | None] = []
    # Each record is a batch of its own: the broker refuses the first and takes the second.
    options = KafkaOptions(servers, ClientProperties({"batch.size": "1000"}))
    with KafkaLog(options, coordination=f"c-{uuid4().hex[:8]}") as log:
        log.send(
            [Append(topic, 0, b"k", b"v" * 20_000), Append(topic, 0, b"k", b"v" * 500)],
            [],
            lambda _records, error: told.append(error),
        )
        log.flush(20.0)
    assert [type(error) for error in told] == [RecordTooLargeError]


@pytest.mark.parametrize("committing", [False, True], ids=["sent", "unit"])
def test_what_a_clock_that_is_hours_ahead_has_dated_is_refused_with_a_word_on_the_clock(
    kafka_address: str, committing: bool
) -> None:
    topic, options = TopicName(f"ahead-{uuid4().hex[:8]}"), KafkaOptions(kafka_address.removeprefix("kafka://"))
    with KafkaLog(options, coordination=f"c-{uuid4().hex[:8]}", clock=lambda: wall_clock_ms() + 7_200_000) as log:
        log.create_topics([TopicConfig(topic)])
        commits = [Commit("g", {TopicPartition(topic, 0): 0})] if committing else []
        with pytest.raises(LogUnavailableError, match="is this machine's clock right"):
            log.append([Append(topic, 0, b"k", b"v")], commits)
