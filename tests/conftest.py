"""What all tests share: how examples are drawn, and a Kafka broker for those that want one.

Drawn examples are judged by what they show, not by how long they take, and are the same in every run; ``make soak``
(``DFML_SOAK``) draws others each time.

The broker is the one that ``DFML_TEST_KAFKA=host:port`` names, else one of our own, started by the first test that
wants it. Where that cannot be had its tests are skipped, or fail with ``DFML_TEST_KAFKA=own``.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from experiments.kafka_broker import (
    VERSION,
    Broker,
    JarsError,
    Security,
    fetch_jars,
    give_rights,
    make_security,
    what_is_missing,
)

settings.register_profile(
    "dfml",
    deadline=None,
    derandomize="DFML_SOAK" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("dfml")

GIVEN_KAFKA = os.environ.get("DFML_TEST_KAFKA", "")
OWN = "own"
KAFKA_VERSION = os.environ.get("DFML_TEST_KAFKA_VERSION") or VERSION
KAFKA_FIXTURES = {"kafka_address", "kafka_jars"}
WHY_NO_JARS = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    # What is to take its place aborts the process (dfml/log/kafka/catalogue.py).
    config.addinivalue_line("filterwarnings", "ignore:list_groups:DeprecationWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if KAFKA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")
        if item.get_closest_marker("kafka"):
            # The first of them waits until the broker is ready; one process runs them all, with one broker.
            item.add_marker(pytest.mark.timeout(180))
            item.add_marker(pytest.mark.xdist_group("kafka"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what a broker needs before the first test: a download may take longer than a test is given."""
    if any(map(wants_jars, session.items)) and not session.config.option.collectonly:
        session.config.stash[WHY_NO_JARS] = why_no_jars()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what wants a broker and cannot have one; from here pytest tells it in one line, from a fixture in many."""
    why_not = item.config.stash.get(WHY_NO_JARS, "")
    if why_not and wants_jars(item):
        end = pytest.fail if GIVEN_KAFKA == OWN else pytest.skip
        end(f"no Kafka broker: {why_not}; DFML_TEST_KAFKA=host:port names one")


def wants_jars(item: pytest.Item) -> bool:
    """Return whether a test is to have a broker of our own."""
    given = GIVEN_KAFKA not in {"", OWN} and "kafka_jars" not in getattr(item, "fixturenames", ())
    return item.get_closest_marker("kafka") is not None and not given


def why_no_jars() -> str:
    """Return why this machine cannot run a broker; empty when it can."""
    if missing := what_is_missing():
        return f"{missing} is not on PATH"
    try:
        fetch_jars(KAFKA_VERSION)
    except JarsError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """Return the jars of a broker."""
    return fetch_jars(KAFKA_VERSION)


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return ``kafka://host:port`` of a broker that all tests share: topics of other tests are on it."""
    if GIVEN_KAFKA not in {"", OWN}:
        yield f"kafka://{GIVEN_KAFKA}"
        return
    with Broker(tmp_path_factory.mktemp("kafka"), version=KAFKA_VERSION) as broker:
        yield broker.address


@dataclass(frozen=True)
class SecureKafka:
    """A broker whose ``servers`` want TLS and a password; ``plain_servers`` want neither and allow everything."""

    servers: str
    plain_servers: str
    security: Security

    def client(self, user: str, **others: str) -> dict[str, str]:
        """Return a user's properties; ``others``, with _ for dots, win."""
        return {**self.security.client(user), **{name.replace("_", "."): value for name, value in others.items()}}


@pytest.fixture(scope="session")
def secure_kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """Run a broker with the users ``claims``, who may use what begins with ``seldon.``, and ``stranger``."""
    security = make_security(tmp_path_factory.mktemp("security"), ["claims", "stranger"])
    with Broker(tmp_path_factory.mktemp("secure"), version=KAFKA_VERSION, security=security) as broker:
        give_rights(broker.servers, "claims", "seldon.")
        yield SecureKafka(broker.secure_servers, broker.servers, security)
