"""The log on Apache Kafka: many processes, many machines."""

from dfml.log.kafka.log import KafkaLog

__all__ = ["KafkaLog"]
