"""``python -m experiments.kafka_throughput.bare SERVERS SOURCE SINK PARTITIONS``: consume, produce, nothing else.

What Python's client takes for a record that is read and written with key and three headers: no engine on it is faster.
"""

import sys

from confluent_kafka import Consumer, Producer, TopicPartition

RECORDS = 2_000
HEADERS = [("pipeline", b"p"), ("x-pipeline-version", b"1"), ("x-request-id", b"0123456789abcdef")]


def main(servers: str, source: str, sink: str, n_partitions: int) -> None:
    """Copy records from one topic to another until the process is ended."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bare",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
        }
    )
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 0})
    consumer.assign([TopicPartition(source, number, 0) for number in range(n_partitions)])
    while True:
        for message in consumer.consume(RECORDS, 0.1):
            producer.produce(sink, message.value(), message.key(), message.partition(), headers=HEADERS)
        producer.poll(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
