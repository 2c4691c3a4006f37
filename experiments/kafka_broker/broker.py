"""A broker's process: started, stopped, killed, suspended, and started again on the same ports and data."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from experiments.kafka_broker.configuration import JAVA_OPTIONS, Configuration, free_ports
from experiments.kafka_broker.jars import VERSION, fetch_jars
from experiments.kafka_broker.security import Security

START_TIMEOUT_S = 60.0
"""It takes 2 to 4 s on two quiet cores; busy ones may take ten times as long."""
STOP_TIMEOUT_S = 60.0
"""The first broker of a version takes some seconds more, to leave its classes."""
LOOK_AGAIN_S = 0.05
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
"""Any 16 bytes in base64: a broker's data says which cluster it belongs to."""
LAST_LINES = 20
CLASSES = "classes.jsa"
"""The loaded classes of the first broker that was stopped in order, beside the jars: with them the next starts in 1.7
instead of 2.9 CPU seconds and takes 60 MB less."""


class BrokerError(Exception):
    """The broker did not start; the text ends with what it said."""


class Broker:
    """An Apache Kafka of one node with everything it has in ``folder``; ``with`` starts and stops it.

    Parameters
    ----------
    folder
        Its properties, data and log (``broker.log``); made when it is not there. What an earlier broker left there is
        used again.
    version
        Of Apache Kafka: 3.9.x and 4.x were tried. Its jars are fetched when they are not in the cache.
    security
        Opens a second way in, over TLS and with a password, where a user has only the rights that it was given.
    properties
        Properties of the broker, which win over the usual ones (``configuration.py``).
    stays
        Lets it run on when this process ends; else it is killed then, however this process ends.

    Raises
    ------
    JarsError
        If the jars cannot be had.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str = VERSION,
        security: Security | None = None,
        properties: Mapping[str, str] | None = None,
        stays: bool = False,
    ) -> None:
        self._jars = fetch_jars(version)
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._ports = free_ports()
        self._security = security
        self._settings = Configuration(self._folder, self._ports, security, properties or {}).write()
        self._stays = stays
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        """Where clients connect, as librdkafka's ``bootstrap.servers`` wants it."""
        return f"127.0.0.1:{self._ports.plain}"

    @property
    def secure_servers(self) -> str:
        """The same for clients that come in over TLS; nobody listens there without ``security``."""
        return f"127.0.0.1:{self._ports.secure}"

    @property
    def address(self) -> str:
        """Where clients connect, as the setting ``log`` wants it."""
        return f"kafka://{self.servers}"

    @property
    def pid(self) -> int | None:
        """The broker's process; None when there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, on the ports and data it had before, and wait until clients can connect.

        Raises
        ------
        BrokerError
            If it ends before that or takes longer than ``START_TIMEOUT_S``.
        """
        if not (self._folder / "data").is_dir():
            self._format()
        with self._said.open("ab") as said:
            # A session of its own: an interrupt at the terminal must not end it before its clients.
            command = self._java(self._classes(), "kafka.Kafka", str(self._settings))
            self._process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        if not self._stays:
            self._watch = _kill_after_us(self._process.pid)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut it down in order and wait for its end; kill it after ``STOP_TIMEOUT_S``."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
            else:
                self._forget()
                self._keep_classes()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._forget()

    def _forget(self) -> None:
        self._process = None
        if self._watch:
            self._watch.kill()
            self._watch.communicate()
            self._watch = None

    def suspend(self) -> None:
        """Let it hang: its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after :meth:`suspend`."""
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        if self._process is None:
            msg = "the broker does not run; start it first"
            raise BrokerError(msg)
        self._process.send_signal(which)

    @property
    def _said(self) -> Path:
        return self._folder / "broker.log"

    def _java(self, *arguments: str) -> list[str]:
        return ["java", *JAVA_OPTIONS, "-cp", f"{self._jars}{os.sep}*", *arguments]

    def _classes(self) -> str:
        """Return the option that brings the loaded classes, or has them left when the broker ends."""
        if self._kept_classes.is_file():
            return f"-XX:SharedArchiveFile={self._kept_classes}"
        return f"-XX:ArchiveClassesAtExit={self._left_classes}"

    @property
    def _kept_classes(self) -> Path:
        return self._jars / CLASSES

    @property
    def _left_classes(self) -> Path:
        return self._folder / CLASSES

    def _keep_classes(self) -> None:
        if self._left_classes.is_file():
            # The cache may be on another file system: moved there first, it appears whole.
            arriving = self._jars / f"{CLASSES}-{os.getpid()}"
            shutil.move(self._left_classes, arriving)
            arriving.replace(self._kept_classes)

    def _format(self) -> None:
        users = self._security.format_arguments() if self._security else ()
        command = self._java(f"-XX:SharedArchiveFile={self._kept_classes}", "kafka.tools.StorageTool")
        command += ["format", "-t", CLUSTER_ID, "-c", str(self._settings), *users]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"the broker's storage could not be made:\n{(done.stdout + done.stderr).strip()}"
            raise BrokerError(msg)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if self._listens() and self._answers():
                return
            time.sleep(LOOK_AGAIN_S)
        told = "\n".join(self._said.read_text(errors="replace").splitlines()[-LAST_LINES:])
        ended = process.returncode is not None
        how = f"ended with {process.returncode}" if ended else f"was not ready within {START_TIMEOUT_S:g} s"
        msg = f"the broker {how}; {self._said} ends:\n{told}"
        raise BrokerError(msg)

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self._ports.plain)) == 0

    def _answers(self) -> bool:
        # Its log level keeps the client from telling of each refused connection while the broker starts.
        client = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        try:
            return bool(client.list_topics(timeout=5).brokers)
        except KafkaException:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _kill_after_us(pid: int) -> "subprocess.Popen[bytes]":
    """Start a process that kills another once this one is gone: then nobody holds the pipe open that it reads."""
    command = ["sh", "-c", 'read _; kill -9 "$1"', "sh", str(pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
