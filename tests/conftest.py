"""What all tests share: how examples are drawn, and a Kafka broker for those that want one.

Drawn examples are judged by what they show, not by how long they take, and are the same in every run; ``make soak``
(``DFML_SOAK``) draws others each time.

The broker is the one that ``DFML_TEST_KAFKA=host:port`` names, else one of our own, started by the first test that
wants it. Where that cannot be had its tests are skipped, or fail with ``DFML_TEST_KAFKA=own``.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from experiments.kafka_broker import VERSION, Broker, JarsError, fetch_jars, what_is_missing

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if KAFKA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what a broker needs before the first test: a download may take longer than a test is given."""
    if any(item.get_closest_marker("kafka") for item in session.items) and not session.config.option.collectonly:
        session.config.stash[WHY_NO_JARS] = why_no_jars()


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
def kafka_jars(pytestconfig: pytest.Config) -> Path:
    """Return the jars of a broker, or skip what wants them with one line that says why."""
    why_not = pytestconfig.stash[WHY_NO_JARS]
    if why_not and GIVEN_KAFKA == OWN:
        pytest.fail(f"no Kafka broker: {why_not}")
    if why_not:
        pytest.skip(f"no Kafka broker: {why_not}; DFML_TEST_KAFKA=host:port names one")
    return fetch_jars(KAFKA_VERSION)


@pytest.fixture(scope="session")
def kafka_address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return ``kafka://host:port`` of a broker that all tests share: topics of other tests are on it."""
    if GIVEN_KAFKA not in {"", OWN}:
        yield f"kafka://{GIVEN_KAFKA}"
        return
    request.getfixturevalue("kafka_jars")
    with Broker(tmp_path_factory.mktemp("kafka"), version=KAFKA_VERSION) as broker:
        yield broker.address
