"""The processes of the campaign: some of each part, started again when they are killed, and perhaps the broker."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dfml.settings import Settings, to_environment
from experiments.crash_campaign.disturbing import BROKER, Disturbance, Way
from experiments.kafka_broker import Broker

READY_S = 90.0
"""A process is ready after some seconds; among many on few cores it takes much longer."""
PAUSE_S = 8.0
"""How long a stopped process is left stopped: past the session time-out of 6 s, so that others have its place."""
END_S = 30.0
"""How long a process that was asked to end may take: it drains for 10 s at most."""


class House:
    """The parts as processes on one log; the pipeline gateway keeps its port over restarts.

    Parameters
    ----------
    settings : Settings
        What all processes are told; the store and the REST port among it.
    counts : Mapping of str to int
        How many processes of each part.
    folder : Path
        Where each process's stderr goes.
    broker : Broker or None
        The broker, where it is the campaign's own and may be disturbed too.

    Attributes
    ----------
    deaths
        Processes that ended although nobody had disturbed them, with the end of what they said.
    """

    def __init__(self, settings: Settings, counts: Mapping[str, int], folder: Path, broker: Broker | None) -> None:
        self.settings = settings
        self.deaths: list[str] = []
        self._folder = folder
        self._broker = broker
        self._names = {f"{part}-{number}": part for part, n in counts.items() for number in range(1, n + 1)}
        self._running: dict[str, subprocess.Popen[str]] = {}

    @property
    def names(self) -> Mapping[str, str]:
        """What can be disturbed: each process's name, and its part."""
        return self._names | ({BROKER: BROKER} if self._broker else {})

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        for name in self._names:
            self._start(name)

    def _start(self, name: str) -> None:
        command = [sys.executable, "-m", "dfml", "run", self._names[name]]
        environment = {**os.environ, **to_environment(self.settings)}
        with self._said(name).open("a") as said:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment)
        self._running[name] = process
        if not _says_ready(process):
            msg = f"{name} did not become ready within {READY_S:g} s; it said:\n{self._last_words(name)}"
            raise RuntimeError(msg)

    def disturb(self, disturbance: Disturbance) -> float:
        """Do what the disturbance says; when it returns the process is there again.

        Returns from when on the parts could recover, on the monotonic clock: from the signal, but from a broker only
        when it is back.
        """
        self.note_deaths()
        if disturbance.target == BROKER:
            self._disturb_broker(disturbance.way)
            return time.monotonic()
        began_s = time.monotonic()
        self._disturb_process(disturbance.target, disturbance.way)
        return began_s

    def _disturb_process(self, name: str, way: Way) -> None:
        process = self._running[name]
        if way is Way.ZOMBIE:
            process.send_signal(signal.SIGSTOP)
            time.sleep(PAUSE_S)
            process.send_signal(signal.SIGCONT)
            return
        process.send_signal(signal.SIGKILL if way is Way.KILL else signal.SIGTERM)
        process.wait()
        self._start(name)

    def _disturb_broker(self, way: Way) -> None:
        assert self._broker is not None
        if way is Way.ZOMBIE:
            self._broker.suspend()
            time.sleep(PAUSE_S)
            self._broker.resume()
            return
        if way is Way.KILL:
            self._broker.kill()
        else:
            self._broker.stop()
        self._broker.start()

    def note_deaths(self) -> None:
        """Look for processes that ended by themselves, and start them again."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                self.deaths.append(f"{name} ended with {process.returncode}:\n{self._last_words(name)}")
                self._start(name)

    def stop(self) -> None:
        """End all parts in the order that lets requests finish, the tap last; the broker is left."""
        for part in ("pipeline-gateway", "engine", "model-gateway", "tap"):
            for name in [name for name in self._running if self._names[name] == part]:
                self._end(self._running.pop(name))

    @staticmethod
    def _end(process: "subprocess.Popen[str]") -> None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        process.kill()
        process.wait()

    def _said(self, name: str) -> Path:
        return self._folder / f"{name}.txt"

    def _last_words(self, name: str) -> str:
        return self._said(name).read_text()[-2000:]


def _says_ready(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout is not None
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        return bool(waiting.select(READY_S)) and process.stdout.readline().startswith("ready")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
