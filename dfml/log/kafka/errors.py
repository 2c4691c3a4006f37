"""Kafka's errors as ours, with what to do about them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from dfml.errors import (
    FencedError,
    ForbiddenError,
    LogError,
    LogUnavailableError,
    RecordTooLargeError,
    SettingsError,
    UnknownTopicError,
)

UNKNOWN = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
FENCED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError._FENCED,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._ASSIGNMENT_LOST,
    }
)
REFUSED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
LOGIN = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL})
LOOK_AT_LOGIN = "look at security.protocol, sasl.* and ssl.* in the setting kafka"
MISDATED = frozenset({KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD})
LOOK_AT_CLOCK = (
    "is this machine's clock right? A broker takes no record whose time is further ahead of its own clock than the "
    "topic's message.timestamp.after.max.ms (1 h unless set)"
)
PERMANENT = frozenset(
    {
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_CONFIG,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError._INVALID_ARG,
        KafkaError.MSG_SIZE_TOO_LARGE,
    }
)


def translate(error: KafkaError, doing: str) -> LogError:
    """Return our error for one of Kafka's; ``doing`` says what was tried, on what, and the right that it needs."""
    said = f"{doing}: {error.str()}"
    code = error.code()
    if code in UNKNOWN:
        return UnknownTopicError(f"{doing}: the topic or partition number does not exist ({error.str()})")
    if code in FENCED:
        return FencedError(f"{said}; this member was replaced and may not commit, join again")
    if code in REFUSED:
        return ForbiddenError(f"{said}; the cluster's administrator must grant the user that right (an ACL)")
    if code in LOGIN:
        return LogError(f"{said}; {LOOK_AT_LOGIN}")
    if code in PERMANENT:
        return LogError(said)
    return LogUnavailableError(f"{said}; {LOOK_AT_CLOCK}" if code in MISDATED else said)


@contextmanager
def configured() -> Iterator[None]:
    """Let what is wrong with a client's properties leave as an error of the settings.

    Raises
    ------
    SettingsError
        If the client library does not know a property, or not its value.
    """
    try:
        yield
    except KafkaException as error:
        # The library quotes the value, which may be a secret that stands in the wrong place.
        said = re.sub('Invalid value ".*" for', "Invalid value for", error.args[0].str())
        msg = f"kafka: {said}; the properties are librdkafka's"
        raise SettingsError(msg) from None


def not_taken(error: KafkaError, n_bytes: int, doing: str) -> LogError:
    """Return our error for a record of so many bytes that its topic did not take."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        text = f"{doing}: a record of {n_bytes:,} bytes is over the topic's limit; raise its max.message.bytes"
        return RecordTooLargeError(text, n_bytes - 1)
    return translate(error, doing)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Let Kafka's exceptions leave as ours."""
    try:
        yield
    except KafkaException as error:
        raise translate(error.args[0], doing) from error
