"""A real stack in a process of its own, and the verbs run against it in this one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from typer.testing import CliRunner

from dfml.cli import app

ROOT = Path(__file__).resolve().parents[3]
MODELS = """
def double(inputs):
    if inputs["INPUT"].item() == 13:
        raise ValueError("thirteen brings bad luck")
    return {"OUTPUT": inputs["INPUT"] * 2}

def hang(inputs):
    import threading

    threading.Event().wait(30)

def hold(inputs):
    import pathlib
    import threading

    pathlib.Path("called").touch()
    while not pathlib.Path("go").exists():
        threading.Event().wait(0.02)
    return {"OUTPUT": inputs["INPUT"] * 2}

def hang_once(inputs):
    import pathlib
    import threading

    if pathlib.Path("called").exists():
        return {"OUTPUT": inputs["INPUT"] * 2}
    pathlib.Path("called").touch()
    threading.Event().wait(30)

def sort(inputs):
    value = inputs["OUTPUT"]
    return {"large" if value.item() >= 10 else "small": value}

def sort_wrong(inputs):
    return {"small": inputs["OUTPUT"]}
"""
MODEL = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata: {{name: {name}}}
spec: {{storageUri: "python:cli_models:{function}", inline: true}}
---
"""
PIPELINE = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: numbers}
spec:
  steps:
    - name: double
    - name: sort
      inputs: [double]
  output: {steps: [sort]}
"""


@dataclass(frozen=True)
class Finished:
    """What a verb left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> object:
        return json.loads(self.out)


Run = Callable[..., Finished]


def run_verb(*arguments: object) -> Finished:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return Finished(result.exit_code, result.stdout, result.stderr)


class UpProcess:
    """``dfml up`` in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        (folder / "cli_models.py").write_text(MODELS)
        models = "".join(MODEL.format(name=name, function=name) for name in ("double", "sort"))
        (folder / "numbers.yaml").write_text(models + PIPELINE)
        (folder / "wrong.yaml").write_text(MODEL.format(name="sort", function="sort_wrong"))
        (folder / "run").mkdir(exist_ok=True)
        self.env = {"XDG_RUNTIME_DIR": str(folder / "run")}
        paths = os.pathsep.join(str(ROOT / part) for part in ("", "engine", "analysis"))
        with (folder / "up.err").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dfml.cli", "up", "--log", "sqlite:///n.db", "--rest-port", "0", *options],
                cwd=folder, env={**os.environ, **self.env, "PYTHONPATH": paths},
                stdout=subprocess.PIPE, stderr=err, text=True,
            )  # fmt: skip

    def ready_url(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("ready http://"), (self.folder / "up.err").read_text()
        return line.removeprefix("ready ").strip()

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        assert self.process.stdout
        self.process.stdout.close()
        return code


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < deadline_s, "the condition did not come true in time"
            Event().wait(0.02)

    return wait


@pytest.fixture
def body() -> Callable[..., str]:
    def spell(value: float, **more: object) -> str:
        return json.dumps({"inputs": [{"name": "INPUT", "shape": [1], "datatype": "FP64", "data": [value]}], **more})

    return spell


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., UpProcess]]:
    """Start stacks that the test ends itself; what it forgets is ended here."""
    started: list[UpProcess] = []

    def begin(*options: str) -> UpProcess:
        started.append(UpProcess(tmp_path, *options))
        monkeypatch.setenv("XDG_RUNTIME_DIR", started[0].env["XDG_RUNTIME_DIR"])
        monkeypatch.chdir(tmp_path)
        return started[-1]

    yield begin
    for up in started:
        up.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    up = UpProcess(tmp_path_factory.mktemp("stack"), "--load", "numbers.yaml")
    up.ready_url()
    yield up
    up.end()


@pytest.fixture
def run(shared_stack: UpProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", shared_stack.env["XDG_RUNTIME_DIR"])
    return run_verb


@pytest.fixture
def run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run verbs where no stack runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return run_verb
