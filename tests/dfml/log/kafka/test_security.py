"""What a user of a secured cluster is told: what is wrong with the login, or which right is missing on what."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfml.errors import ForbiddenError, LogError, LogUnavailableError, SettingsError
from dfml.log import Commit, TopicConfig
from dfml.log.kafka import KafkaLog, catalogue
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import ClientProperties, KafkaOptions
from experiments.kafka_broker import make_security
from tests.conftest import SecureKafka

SCOPE = "seldon.default"
MINE, FOREIGN = TopicName(f"{SCOPE}.x"), TopicName("other.default.x")


def open_as(kafka: SecureKafka, user: str, scope: str = SCOPE, **others: str) -> KafkaLog:
    options = KafkaOptions(kafka.servers, ClientProperties(kafka.client(user, **others)))
    return KafkaLog(options, coordination=f"{scope}.control.workers")


@pytest.fixture(scope="module", autouse=True)
def topics(secure_kafka: SecureKafka) -> None:
    with KafkaLog(KafkaOptions(secure_kafka.plain_servers)) as log:
        log.create_topics([TopicConfig(MINE), TopicConfig(FOREIGN)])


@pytest.fixture
def claims(secure_kafka: SecureKafka) -> Iterator[KafkaLog]:
    with open_as(secure_kafka, "claims") as log:
        yield log


def test_a_user_with_rights_on_its_prefix_does_all_that_the_log_does(claims: KafkaLog) -> None:
    topic = TopicName(f"{SCOPE}.made")
    place = TopicPartition(topic, 0)
    claims.create_topics([TopicConfig(topic)])
    membership = claims.join("engine", 1)
    claims.append([Append(topic, 0, b"k", b"v")], [Commit("tap", {place: 1})])
    claims.send([Append(topic, 0, b"k", b"w")], [], lambda _, error: pytest.fail(str(error)) if error else None)
    claims.flush(20)
    reader = claims.reader()
    reader.assign({place: 0})
    assert reader.poll(1, 20)[0].value == b"v"
    assert claims.committed("tap", [place]) == {place: 1}
    membership.leave()
    claims.delete_topics([topic])


def test_a_wrong_password_is_told_with_what_to_look_at(secure_kafka: SecureKafka) -> None:
    with pytest.raises(LogError, match=r"(?s)invalid credentials.*sasl\.\*"):
        open_as(secure_kafka, "claims", sasl_password="wrong")


def test_an_unknown_authority_is_told_with_what_to_look_at(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    other = make_security(tmp_path, []).authority
    with pytest.raises(LogError, match=r"certificate verify failed"):
        open_as(secure_kafka, "claims", ssl_ca_location=str(other))


@pytest.mark.parametrize(
    ("servers", "reason"),
    [("127.0.0.1:1", "Connection refused"), ("nowhere.invalid:9092", "Failed to resolve")],
)
def test_an_address_where_no_broker_is_is_told_with_the_reason(
    servers: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "CONNECT_S", 0.5)
    with pytest.raises(LogUnavailableError, match=f"kafka://{servers} does not answer: .*{reason}"):
        KafkaLog(KafkaOptions(servers))


def test_a_property_that_the_client_does_not_know_is_an_error_of_the_settings(secure_kafka: SecureKafka) -> None:
    with pytest.raises(SettingsError, match=r'kafka: No such configuration property: "sasl.user"'):
        open_as(secure_kafka, "claims", sasl_user="x")


def test_a_value_that_the_client_does_not_know_is_not_quoted(secure_kafka: SecureKafka) -> None:
    with pytest.raises(SettingsError, match=r"Invalid value for .*security\.protocol") as error:
        open_as(secure_kafka, "claims", security_protocol="hunter2")
    assert "hunter2" not in str(error.value)


ACTIONS: dict[str, Callable[[KafkaLog, TopicName], object]] = {
    "append": lambda log, topic: log.append([Append(topic, 0, b"k", b"v")]),
    "assign": lambda log, topic: log.reader().assign({TopicPartition(topic, 0): 0}),
    "end": lambda log, topic: log.end([TopicPartition(topic, 0)]),
    "create": lambda log, topic: log.create_topics([TopicConfig(TopicName(f"{topic}.new"))]),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("user", "topic"), [("stranger", MINE), ("claims", FOREIGN)])
def test_a_missing_right_on_a_topic_is_told_with_both(
    secure_kafka: SecureKafka, user: str, topic: TopicName, action: str
) -> None:
    with (
        open_as(secure_kafka, user) as log,
        pytest.raises(ForbiddenError, match=rf"'{topic}.*' .*\(right: .*the cluster's administrator"),
    ):
        ACTIONS[action](log, topic)


def test_a_missing_right_is_told_to_who_sends_without_waiting(secure_kafka: SecureKafka) -> None:
    told: list[LogError | None] = []
    with open_as(secure_kafka, "stranger") as log:
        log.send([Append(MINE, 0, b"k", b"v")], [], lambda _, error: told.append(error))
        log.flush(20)
    assert isinstance(told[0], ForbiddenError)


def test_groups_of_another_scope_are_others(secure_kafka: SecureKafka) -> None:
    place = TopicPartition(MINE, 0)
    with open_as(secure_kafka, "claims") as one, open_as(secure_kafka, "claims", "seldon.other") as two:
        one.append([], [Commit("engine", {place: 0})])
        assert one.committed("engine", [place]) == {place: 0}
        assert two.committed("engine", [place]) == {}


def test_a_missing_right_on_transactions_is_told(secure_kafka: SecureKafka) -> None:
    missing = pytest.raises(ForbiddenError, match=r"'other.default.control.workers\..*' \(right: Write\)")
    with open_as(secure_kafka, "claims", "other.default") as log, missing:
        log.append([Append(MINE, 0, b"k", b"v")])


def test_a_missing_right_on_a_group_is_told_with_both(secure_kafka: SecureKafka) -> None:
    missing = pytest.raises(ForbiddenError, match=r"'other.default.control.workers.tap' \(right: Read\)")
    with open_as(secure_kafka, "claims", "other.default") as log, missing:
        log.committed("tap", [TopicPartition(MINE, 0)])
