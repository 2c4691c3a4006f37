"""``.ci/prepare`` installs once, again when pyproject.toml changed, and says what is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAND_IN = """#!/bin/bash
echo "$@" >> "$CALLS"
if [[ $1 == -m && $2 == venv ]]; then mkdir -p .venv/bin && cp "$0" .venv/bin/python; fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the script, a pyproject.toml, and a python3.11 that only notes how it was called."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/prepare", tmp_path / ".ci/prepare")
    (tmp_path / "pyproject.toml").write_text("first")
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "cat", "cksum", "cp", "dirname", "mkdir"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    (tmp_path / "bin/python3.11").write_text(STAND_IN)
    (tmp_path / "bin/python3.11").chmod(0o755)
    return tmp_path


def prepare(checkout: Path) -> tuple["subprocess.CompletedProcess[str]", list[str]]:
    """Run the script with nothing but the folder's own tools; return how it ended and the installs it asked for."""
    calls = checkout / "calls"
    calls.write_text("")
    environment = {"PATH": str(checkout / "bin"), "CALLS": str(calls), "LC_ALL": os.environ.get("LC_ALL", "C")}
    done = subprocess.run([checkout / ".ci/prepare"], env=environment, capture_output=True, text=True, check=False)
    return done, [call for call in calls.read_text().splitlines() if " install " in call]


def test_first_run_makes_the_environment_and_says_so(checkout: Path) -> None:
    done, installs = prepare(checkout)
    assert done.returncode == 0, done.stderr
    assert "preparing .venv (once, about a minute)" in done.stderr
    assert len(installs) == 1


def test_second_run_does_nothing(checkout: Path) -> None:
    prepare(checkout)
    done, installs = prepare(checkout)
    assert (done.returncode, done.stderr, installs) == (0, "", [])


def test_changed_pyproject_is_installed_again(checkout: Path) -> None:
    prepare(checkout)
    (checkout / "pyproject.toml").write_text("second")
    assert len(prepare(checkout)[1]) == 1


def test_moved_checkout_is_installed_again(checkout: Path) -> None:
    prepare(checkout)
    moved = checkout.with_name("moved")
    checkout.rename(moved)
    assert len(prepare(moved)[1]) == 1


def test_machine_without_python_is_told_what_to_install(checkout: Path) -> None:
    (checkout / "bin/python3.11").unlink()
    done, installs = prepare(checkout)
    assert done.returncode != 0
    assert installs == []
    assert "no Python 3.11 or newer on PATH" in done.stderr
