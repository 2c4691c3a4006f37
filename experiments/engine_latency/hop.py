"""One hop with nothing but Python's Kafka client: from a record's sending to its arrival at a consumer.

A step takes two of them, one to its model and one back, so twice this time is the floor of a step on that broker.
"""

import time

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from numpy.typing import NDArray

TOPIC = "bare-hop"
PAYLOAD = bytes(64)
TIMEOUT_S = 30.0


def hops_ms(servers: str, delivery: str, n_records: int, n_warm: int) -> NDArray[np.float64]:
    """Send one record after the other and return how long each took, shape ``[n_records]``, in milliseconds.

    With ``transactional`` each record is a transaction of its own, and is read once that is committed.

    Raises
    ------
    RuntimeError
        If a record does not arrive.
    """
    topic = f"{TOPIC}-{delivery}"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    transactional = delivery == "transactional"
    producer = Producer(
        {"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 0, "retry.backoff.ms": 5}
        | ({"transactional.id": topic} if transactional else {})
    )
    if transactional:
        producer.init_transactions(TIMEOUT_S)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    taken = np.empty(n_warm + n_records)
    for number in range(n_warm + n_records):
        began = time.perf_counter_ns()
        if transactional:
            producer.begin_transaction()
        producer.produce(topic, PAYLOAD, partition=0)
        if transactional:
            producer.commit_transaction(TIMEOUT_S)
        message = consumer.poll(TIMEOUT_S)
        if message is None or message.error() is not None:
            msg = f"record {number} of {topic} did not arrive: {message and message.error()}"
            raise RuntimeError(msg)
        taken[number] = (time.perf_counter_ns() - began) / 1e6
        producer.poll(0)
    consumer.close()
    return taken[n_warm:]
