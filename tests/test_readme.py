"""The README's five minutes work as they stand."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def commands(name: str, folder: Path) -> str:
    """Return the README's blocks of that name, their files in ``folder`` and on a free port."""
    blocks = "\n".join(re.findall(rf"^```sh {name}\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    lines = [line for line in blocks.splitlines() if line != ". .venv/bin/activate"]
    return "\n".join(lines).replace("build/", f"{folder}/").replace("--rest-port 8080", "--rest-port 0")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with this Python's commands first, and running stacks announced in a folder of its own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "XDG_RUNTIME_DIR": str(tmp_path), "COLUMNS": "200"}


@pytest.fixture
def stack(tmp_path: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run what the README runs in its first terminal."""
    command = ["bash", "-c", f"exec {commands('up', tmp_path)}"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready http://")
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("stack")
def test_five_minutes_of_the_readme_find_the_buggy_classifier(tmp_path: Path, environment: dict[str, str]) -> None:
    script = ["bash", "-euo", "pipefail", "-c", commands("use", tmp_path)]
    done = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert "Fault in classifier" in done.stdout
    assert (tmp_path / "claims.html").stat().st_size > 1_000
    assert len((tmp_path / "claims.csv").read_text().splitlines()) > 400 + 400
