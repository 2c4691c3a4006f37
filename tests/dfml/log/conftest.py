"""A log of each implementation, and a second client of the same log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfml.log import Log
from tests.dfml.log.backends import Backend, make_backend


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return make_backend(
        request.param, tmp_path, lambda: request.getfixturevalue("kafka_address").removeprefix("kafka://")
    )


@pytest.fixture
def log(backend: Backend) -> Iterator[Log]:
    with backend.open() as opened:
        yield opened


@pytest.fixture
def other(backend: Backend, log: Log) -> Iterator[Log]:
    with backend.open() as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an SQLite log is to be made."""
    return tmp_path / "log.db"
