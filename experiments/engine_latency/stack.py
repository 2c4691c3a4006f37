"""A stack of its own for one measurement: ``dfml up`` as a child process on a log in a temporary folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.engine_latency.chain import chain_yaml


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured: how many steps, called in the loop or in a pool, with or without the tap."""

    n_steps: int
    inline: bool = True
    tap: bool = True


@dataclass(frozen=True, slots=True)
class Running:
    """A running stack: its port, its folder and the process."""

    port: int
    folder: Path
    process: "subprocess.Popen[str]"


@contextmanager
def running_stack(setup: Setup) -> Iterator[Running]:
    """Start a stack with the chain loaded, give it, and stop it at the end.

    Raises
    ------
    RuntimeError
        If it does not say that it is ready.
    """
    with TemporaryDirectory(prefix="dfml-latency-") as name:
        folder = Path(name)
        (folder / "chain.yaml").write_text(chain_yaml(setup.n_steps, inline=setup.inline))
        command = [sys.executable, "-m", "dfml", "up", "--log", f"sqlite:///{folder}/log.db", "--rest-port", "0"]
        command += ["--load", str(folder / "chain.yaml"), *([] if setup.tap else ["--no-tap"])]
        errors = (folder / "stderr.txt").open("w")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ)
        try:
            yield Running(_port(process, folder), folder, process)
        finally:
            process.terminate()
            process.wait()
            errors.close()


def _port(process: "subprocess.Popen[str]", folder: Path) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    port = line.strip().rpartition(":")[2]
    if not port.isdigit():
        process.wait()
        msg = f"the stack did not become ready, it said {line!r}\n{(folder / 'stderr.txt').read_text()}"
        raise RuntimeError(msg)
    return int(port)
