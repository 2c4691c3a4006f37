"""Verbs log in to a secured cluster by settings; what they say of a failure is one line without a secret."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import SecureKafka
from tests.dfml.cli.conftest import MODEL, Run

LogIn = Callable[..., None]


@pytest.fixture
def log_in(secure_kafka: SecureKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogIn:
    """Give a function that makes a user's login the environment's; ``others``, with _ for dots, win."""

    def log_in(user: str, **others: str) -> None:
        client = secure_kafka.client(user, **others)
        secrets = {name: client.pop(name) for name in ("sasl.username", "sasl.password")}
        (tmp_path / "secrets").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
        monkeypatch.setenv("DFML_LOG", f"kafka://{secure_kafka.servers}")
        monkeypatch.setenv("DFML_NAMESPACE", "login")
        monkeypatch.setenv("DFML_KAFKA", yaml.safe_dump(client))
        monkeypatch.setenv("DFML_KAFKA_SECRETS", str(tmp_path / "secrets"))

    (tmp_path / "model.yaml").write_text(MODEL.format(name="double", function="double"))
    return log_in


def test_a_user_with_rights_loads_and_lists(log_in: LogIn, run_alone: Run) -> None:
    log_in("claims")
    assert run_alone("load", "model.yaml").code == 0
    assert "double" in run_alone("list").out


def test_a_wrong_password_is_told_and_never_shown(log_in: LogIn, run_alone: Run) -> None:
    log_in("claims", sasl_password="hunter2")
    ended = run_alone("list")
    assert ended.code == 1
    assert "refuses the login" in ended.err
    assert "invalid credentials" in ended.err
    assert "hunter2" not in ended.out + ended.err


def test_no_traceback_shows_a_password(log_in: LogIn, run_alone: Run) -> None:
    log_in("claims", sasl_password="hunter2")
    done = subprocess.run([sys.executable, "-m", "dfml.cli", "--debug", "list"], capture_output=True, check=False)
    assert b"Traceback" in done.stderr
    assert b"hunter2" not in done.stdout + done.stderr


def test_a_user_without_rights_is_told_which_and_on_what(log_in: LogIn, run_alone: Run) -> None:
    log_in("stranger")
    ended = run_alone("load", "model.yaml")
    assert ended.code == 1
    assert "create topic 'seldon.login." in ended.err
    assert "(right: Create)" in ended.err


def test_a_misspelled_property_is_told_by_name(log_in: LogIn, run_alone: Run) -> None:
    log_in("claims", sasl_pasword="hunter2")
    ended = run_alone("list")
    assert 'No such configuration property: "sasl.pasword"' in ended.err
    assert "hunter2" not in ended.out + ended.err


def test_a_user_without_rights_is_not_told_that_nothing_is_loaded(log_in: LogIn, run_alone: Run) -> None:
    log_in("claims")
    assert run_alone("load", "model.yaml").code == 0
    log_in("stranger")
    ended = run_alone("list")
    assert ended.code == 1
    assert "use topic 'seldon.login.control." in ended.err
