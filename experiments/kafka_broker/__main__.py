"""Start a broker that stays, or stop it: ``python -m experiments.kafka_broker start|stop``."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from experiments.kafka_broker.broker import LOOK_AGAIN_S, STOP_TIMEOUT_S, Broker, BrokerError
from experiments.kafka_broker.jars import VERSION, JarsError

FOLDER = Path("build/kafka")
PARSER = argparse.ArgumentParser(
    prog="python -m experiments.kafka_broker",
    description="Run an Apache Kafka broker on free loopback ports until it is stopped, and print its address.",
    epilog="example: python -m experiments.kafka_broker start --version 3.9.1",
)


def main() -> int:
    """Do what the command line says; the address goes to stdout."""
    PARSER.add_argument("action", choices=("start", "stop"))
    PARSER.add_argument("--folder", type=Path, default=FOLDER, help="where it keeps its data (default: %(default)s)")
    PARSER.add_argument("--version", default=VERSION, help="of Apache Kafka (default: %(default)s)")
    chosen = PARSER.parse_args()
    try:
        return start(chosen.folder, chosen.version) if chosen.action == "start" else stop(chosen.folder)
    except (BrokerError, JarsError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def start(folder: Path, version: str) -> int:
    """Start an empty broker and leave it running; when one runs already, say where."""
    if running := _running(folder):
        sys.stderr.write(f"a broker runs already (process {running[0]}); stop it with: make kafka-stop\n")
        print(running[1])
        return 0
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    broker = Broker(folder, version=version, stays=True)
    broker.start()
    _note(folder).write_text(json.dumps([broker.pid, broker.address]))
    sys.stderr.write(f"Apache Kafka {version} is ready after {time.monotonic() - began:.1f} s, process {broker.pid}\n")
    print(broker.address)
    return 0


def stop(folder: Path) -> int:
    """Stop the broker that :func:`start` left running, and remove its folder."""
    running = _running(folder)
    if running is None:
        sys.stderr.write(f"no broker runs in {folder}\n")
        return 0
    os.kill(running[0], signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _running(folder):
        if time.monotonic() > deadline:
            os.kill(running[0], signal.SIGKILL)
        time.sleep(LOOK_AGAIN_S)
    shutil.rmtree(folder)
    return 0


def _note(folder: Path) -> Path:
    return folder / "running.json"


def _running(folder: Path) -> tuple[int, str] | None:
    """Return process and address of the folder's broker; None when it does not run."""
    if not _note(folder).is_file():
        return None
    pid, address = json.loads(_note(folder).read_text())
    # The number may belong to another process by now: a broker's command names its folder.
    found = subprocess.run(["ps", "-o", "args=", "-ww", "-p", str(pid)], capture_output=True, text=True, check=False)
    return (pid, address) if str(folder.resolve()) in found.stdout else None


if __name__ == "__main__":
    sys.exit(main())
