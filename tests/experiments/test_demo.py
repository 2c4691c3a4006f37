"""The demo says what it can break, shows a telling pair of requests, and finds what it planted."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.apps.insurance_claims.faults import FAULTS
from experiments.demo.options import read_options

ROOT = Path(__file__).parents[2]


def test_unknown_fault_is_refused_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_options(["--fault", "foo"])
    said = capsys.readouterr().err
    assert "no fault is called 'foo'" in said
    assert all(name in said for name in FAULTS)


@pytest.mark.parametrize("arguments", [["--seed", "-1"], ["--seed", "x"], ["--requests", "3"]])
def test_bad_numbers_are_refused_with_what_was_expected(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_options(arguments)
    assert "expected a whole number of at least" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", FAULTS)
def test_demo_finds_the_fault_it_planted(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.demo", "--fault", name, "--out", str(tmp_path), "--requests", "400"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "localisation.json").read_text())
    assert found["verdict"] == FAULTS[name].verdict
    culprit = [FAULTS[name].step] if FAULTS[name].step else []
    assert [suspect["step"] for suspect in found["suspects"][:1]] == culprit
    assert (tmp_path / "report.html").stat().st_size > 1_000


def processes_of(folder: Path) -> str:
    """Return the command lines that name the folder: a broker's does."""
    listed = subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in listed.splitlines() if f"{folder}/kafka" in line)


@pytest.mark.kafka
@pytest.mark.slow
def test_an_interrupted_demo_on_kafka_leaves_nothing_running(kafka_jars: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.demo", "--log", "kafka", "--out", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        lines = iter(demo.stdout.readline, "")
        assert any("Planting" in line for line in lines)
        while demo.poll() is None and not (tmp_path / "log.lineage.db").exists():
            time.sleep(0.1)
        assert processes_of(tmp_path)
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=90)
    assert (demo.returncode, said) == (130, "stopped, and with it all that was started\n")
    assert not processes_of(tmp_path)
