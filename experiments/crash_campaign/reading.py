"""Every record of some topics, read by nobody's help where that can be: Kafka's own client alone reads Kafka."""

from collections.abc import Collection, Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from dfml.log import open_log
from dfml.record import Record, TopicName
from dfml.record import TopicPartition as Place
from dfml.settings import KAFKA_SCHEME, Settings

BATCH = 5_000
ANSWER_S = 30.0


def read_topics(settings: Settings, topics: Collection[TopicName]) -> Iterator[Record]:
    """Yield what stands on the topics: on Kafka what every foreign reader of committed records sees.

    Raises
    ------
    RuntimeError
        If a record cannot be read.
    """
    if settings.log.startswith(KAFKA_SCHEME):
        return _read_kafka(settings.log.removeprefix(KAFKA_SCHEME), topics)
    return _read_log(settings, topics)


def _read_kafka(servers: str, topics: Collection[TopicName]) -> Iterator[Record]:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "campaign-checker",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    known = consumer.list_topics(timeout=ANSWER_S).topics
    open_places = {(topic, number) for topic in topics for number in known[topic].partitions}
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in open_places])
    while open_places:
        for message in consumer.consume(BATCH, 1.0):
            error = message.error()
            if error is None:
                yield _record_of(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_places.discard((message.topic(), message.partition()))
            elif not error.retriable():
                msg = f"{message.topic()}[{message.partition()}] cannot be read: {error}"
                raise RuntimeError(msg)
    consumer.close()


def _record_of(message: Message) -> Record:
    headers = tuple((name, value or b"") for name, value in message.headers() or ())
    topic, key, value = TopicName(message.topic()), message.key() or b"", message.value() or b""
    return Record(topic, message.partition(), message.offset(), key, value, headers, message.timestamp()[1])


def _read_log(settings: Settings, topics: Collection[TopicName]) -> Iterator[Record]:
    with open_log(settings, read_only=True) as log:
        known = log.topics()
        places = [Place(topic, number) for topic in topics for number in range(known[topic].partitions)]
        ends, reader = log.end(places), log.reader()
        reader.assign(log.beginning(places))
        while any(at < ends[place] for place, at in reader.positions().items()):
            yield from reader.poll(BATCH, 1.0)
        reader.close()
