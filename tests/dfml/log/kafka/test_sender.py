"""What is sent without waiting: no record fails unseen."""

from uuid import uuid4

from confluent_kafka.admin import AdminClient, NewTopic

from dfml.errors import LogError, RecordTooLargeError
from dfml.log.kafka import KafkaLog
from dfml.record import Append, TopicName
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
