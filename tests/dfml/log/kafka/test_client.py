"""What a person sees of a Kafka client that has no broker: one line, and one when there is one again."""

import logging

import pytest
from confluent_kafka import KafkaError

from dfml.errors import LogUnavailableError
from dfml.log.kafka import KafkaLog, catalogue
from dfml.log.kafka.client import Health, client_logger
from dfml.settings import KafkaOptions

REFUSED = "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"


def test_a_cluster_that_does_not_answer_is_told_by_the_error_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "dfml")
    monkeypatch.setattr(catalogue, "CONNECT_S", 0.5)
    reason = "Connect to ipv4#127.0.0.1:1 failed: Connection refused; does it run"
    with pytest.raises(LogUnavailableError, match=rf"^kafka://127.0.0.1:1 does not answer: {reason}"):
        KafkaLog(KafkaOptions("127.0.0.1:1"))
    assert caplog.records == []


def test_a_cluster_that_goes_and_comes_back_is_told_in_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dfml")
    health = Health("kafka://127.0.0.1:1", lambda: None)
    health.note_answer()
    for _ in range(3):
        health.note(KafkaError(KafkaError._TRANSPORT, REFUSED))
        health.note(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    health.note_answer()
    health.note_answer()
    refused = "Connect to ipv4#127.0.0.1:1 failed: Connection refused"
    assert [line.getMessage() for line in caplog.records] == [
        f"kafka://127.0.0.1:1 does not answer: {refused}; what is under way waits until it does",
        "kafka://127.0.0.1:1 answers again",
    ]


def test_what_the_client_library_says_is_shown_with_debug_alone(caplog: pytest.LogCaptureFixture) -> None:
    for level in (logging.INFO, logging.DEBUG):
        caplog.set_level(level, "dfml")
        client_logger.error("FAIL %s", REFUSED)
    assert [line.levelname for line in caplog.records] == ["DEBUG"]
