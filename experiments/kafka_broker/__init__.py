"""An Apache Kafka broker of one's own on loopback ports, for tests, studies and the demo; nothing is measured here.

It takes Java 17 and Maven; ``python -m experiments.kafka_broker start`` runs one until it is told to stop.
"""

from experiments.kafka_broker.broker import Broker, BrokerError
from experiments.kafka_broker.jars import VERSION, JarsError, fetch_jars, what_is_missing
from experiments.kafka_broker.security import Security, give_rights, make_security

__all__ = [
    "VERSION",
    "Broker",
    "BrokerError",
    "JarsError",
    "Security",
    "fetch_jars",
    "give_rights",
    "make_security",
    "what_is_missing",
]
