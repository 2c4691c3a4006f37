"""The compose file starts every part, with commands and settings that exist, on a broker that starts."""

from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from dfml.cli import app
from dfml.cli.stack import RunnablePart
from dfml.settings import KAFKA_SCHEME, given_settings, load_settings
from experiments.kafka_broker import Broker
from tests.conftest import KAFKA_VERSION

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "compose.yaml"
COMPOSED = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSED["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "dfml"}
VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OF_THE_CONTAINER = ("listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs")


def properties() -> dict[str, str]:
    """Return the broker's environment as the properties that its image makes of it."""
    environment = SERVICES["kafka"]["environment"]
    return {name.removeprefix("KAFKA_").replace("_", ".").lower(): value for name, value in environment.items()}


def test_every_part_has_its_service_and_engines_and_gateways_are_two() -> None:
    run = {service["command"][2] for service in OURS.values() if service["command"][1] == "run"}
    assert run == {part.value for part in RunnablePart}
    assert {name for name, service in OURS.items() if service.get("deploy") == {"replicas": 2}} == {
        "engine",
        "model-gateway",
        "pipeline-gateway",
    }


@pytest.mark.parametrize("service", OURS)
def test_a_service_runs_a_command_that_the_command_line_accepts(service: str) -> None:
    program, verb, *arguments = OURS[service]["command"]
    assert program == "dfml"
    VERBS[verb].make_context(verb, list(arguments))


@pytest.mark.parametrize("service", OURS)
def test_a_services_settings_are_settings(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = OURS[service]["environment"]
    assert len(given_settings(None, environment, {})) == len(environment)
    settings = load_settings(None, environment, {})
    assert settings.log.startswith(KAFKA_SCHEME)
    assert settings.drain_timeout_ms < int(OURS[service]["stop_grace_period"].removesuffix("s")) * 1000
    assert settings.metrics_port == 9100


def test_what_is_built_and_mounted_is_there() -> None:
    build = OURS["engine"]["build"]
    copied = [line.split()[1:-1] for line in build["dockerfile_inline"].splitlines() if line.startswith("COPY")]
    mounted = [volume.split(":")[0] for volume in OURS["engine"]["volumes"]]
    named = [path for path in mounted if path not in COMPOSED["volumes"]]
    assert all((FILE.parent / build["context"] / path).exists() for paths in copied for path in paths)
    assert all((FILE.parent / path).exists() for path in named)
    assert (ROOT / OURS["load"]["command"][2]).is_file()


def test_the_log_is_the_composed_broker() -> None:
    log = OURS["engine"]["environment"]["DFML_LOG"]
    assert properties()["advertised.listeners"] == f"PLAINTEXT://{log.removeprefix(KAFKA_SCHEME)}"


def test_the_composed_broker_starts(kafka_jars: Path, tmp_path: Path) -> None:
    chosen = {name: value for name, value in properties().items() if name not in OF_THE_CONTAINER}
    with Broker(tmp_path, version=KAFKA_VERSION, properties=chosen) as broker:
        assert broker.pid
