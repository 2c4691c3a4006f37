"""The processes of the campaign: one of each part, started again when it is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

PARTS = ("engine", "model-gateway", "pipeline-gateway", "tap")
PARTITIONS = 2
READY_S = 60.0
PAUSE_S = 8.0
"""How long a stopped process is left stopped: past the session time-out of 6 s, so that others have its place."""


class House:
    """The parts as processes on one log in ``folder``; the REST gateway keeps its port over restarts."""

    def __init__(self, folder: Path) -> None:
        self.log = f"sqlite:///{folder / 'log.db'}"
        self.store = folder / "log.lineage.db"
        self.port = _free_port()
        self._folder = folder
        self._running: dict[str, subprocess.Popen[str]] = {}

    def start(self, part: str) -> None:
        """Start a part and wait until it is ready (the tap says nothing: it is ready when it runs)."""
        command = [sys.executable, "-m", "dfml", "run", part, "--log", self.log, "--rest-port", str(self.port)]
        errors = (self._folder / f"{part}.txt").open("a")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environment())
        errors.close()
        self._running[part] = process
        if part != "tap":
            assert process.stdout is not None
            if not process.stdout.readline().startswith("ready"):
                msg = f"{part} did not become ready: {(self._folder / f'{part}.txt').read_text()[-2000:]}"
                raise RuntimeError(msg)

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the processes."""
        return {**os.environ, "DFML_PARTITIONS": str(PARTITIONS), "DFML_PYTHON_PATHS": os.getcwd()}

    def disturb(self, part: str, how: str) -> None:
        """Kill a part and start it again, stop it and let it go on (a zombie), or ask it to end and start it again."""
        process = self._running[part]
        if how == "zombie":
            process.send_signal(signal.SIGSTOP)
            time.sleep(PAUSE_S)
            process.send_signal(signal.SIGCONT)
            return
        process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        process.wait()
        self.start(part)

    def stop(self) -> None:
        """End all parts in the order that lets requests finish; the tap last."""
        for part in ("pipeline-gateway", "engine", "model-gateway", "tap"):
            process = self._running.pop(part, None)
            if process is not None:
                process.send_signal(signal.SIGTERM)
                process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
