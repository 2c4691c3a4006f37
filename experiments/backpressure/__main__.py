"""``python -m experiments.backpressure --seconds 60``: exit code 1 when an accepted request has no answer.

Or when somebody was refused without being told when to try again.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dfml.log import open_log
from dfml.settings import Settings
from dfml.spec import load_files
from dfml.topics import Topics
from dfml_engine.control import Control
from experiments.backpressure.models import GATE
from experiments.kafka_broker import Broker
from experiments.running import ended_in_order

HERE = Path(__file__).parent
PARTS = ("engine", "model-gateway", "pipeline-gateway")
MIB = 1024 * 1024
BEFORE_S = 3.0
"""How long requests flow before the broker is killed: some are under way then."""
errors = Console(stderr=True)


@dataclass
class Load:
    """What callers sent and were told (how often a 503 did not say when to try again); each keeps on sending."""

    url: str
    body: bytes
    accepted: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unhelpful: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def send(self) -> None:
        """Send until told to stop; the answers are asked for at the end."""
        headers = {"prefer": "respond-async", "content-type": "application/json"}
        with httpx.Client(timeout=60, trust_env=False) as client:
            while not self.stopped.is_set():
                answer = client.post(f"{self.url}/v2/pipelines/stalled/infer", content=self.body, headers=headers)
                self.statuses[answer.status_code] += 1
                self.unhelpful += answer.status_code == 503 and "retry-after" not in answer.headers
                if answer.status_code == 202:
                    self.accepted.append(answer.json()["id"])
                else:
                    time.sleep(0.02)


def main(
    seconds: Annotated[int, typer.Option(help="How long the model stalls under load.")] = 60,
    kilobytes: Annotated[int, typer.Option(help="Size of a request's tensor.")] = 100,
    callers: Annotated[int, typer.Option(help="Callers that keep on sending.")] = 4,
    bound: Annotated[int, typer.Option(help="The settings max_outstanding_bytes and max_held_bytes, MiB.")] = 64,
    log: Annotated[str, typer.Option(help="sqlite, a log in a temporary folder, or kafka://HOST:PORT.")] = "sqlite",
    broker: Annotated[
        bool, typer.Option("--broker", help="Stall the broker, one of its own that is killed, instead of the model.")
    ] = False,
) -> None:
    """Stall a model or the broker under load, watch what each process holds, let it go on, ask for every answer.

    Example: python -m experiments.backpressure --seconds 60 --kilobytes 100 --bound 64
    """
    with TemporaryDirectory(prefix="dfml-backpressure-") as folder, ExitStack() as open_:
        own = open_.enter_context(Broker(Path(folder) / "broker")) if broker else None
        house = open_.enter_context(_processes(Path(folder), bound, own.address if own else log))
        if own:
            house.open_gate()
        load = Load(house.url, _body(kilobytes))
        began_mib = house.memory_mib()
        peaks_mib = _stall(load, house, seconds, callers, own)
        if own:
            own.start()
        house.open_gate()
        recovery_s, n_missing = _collect(load)
        _report(load, began_mib, peaks_mib, house, (recovery_s, n_missing))
    raise typer.Exit(1 if n_missing or load.unhelpful else 0)


def _body(kilobytes: int) -> bytes:
    values = ",".join(["0.5"] * (kilobytes * 128))
    document = f'{{"name":"X","shape":[{kilobytes * 128}],"datatype":"FP64","data":[{values}]}}'
    return f'{{"inputs":[{document}]}}'.encode()


@dataclass
class House:
    """The processes on one log."""

    folder: Path
    running: dict[str, subprocess.Popen[str]]
    url: str = ""

    def memory_mib(self) -> dict[str, float]:
        """Return the resident memory of each process."""
        found = {}
        for part, process in self.running.items():
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            found[part] = int(status.partition("VmRSS:")[2].split()[0]) / 1024
        return found

    def open_gate(self) -> None:
        """Let the model go on."""
        (self.folder / "gate").touch()


@contextmanager
def _processes(folder: Path, bound_mib: int, log: str) -> Iterator[House]:
    url = f"sqlite:///{folder / 'log.db'}" if log == "sqlite" else log
    namespace = f"backpressure-{os.getpid()}"
    with open_log(Settings(log=url, namespace=namespace)) as opened:
        Control(opened, Topics(namespace=namespace)).load(load_files([HERE / "pipeline.yaml"]))
    bound = str(bound_mib * MIB)
    env = {**os.environ, "DFML_LOG": url, "DFML_NAMESPACE": namespace, "DFML_REST_PORT": "0"}
    env |= {"DFML_MODEL_TIMEOUT_MS": "86400000"}
    env |= {"DFML_MAX_OUTSTANDING_BYTES": bound, "DFML_MAX_HELD_BYTES": bound, GATE: str(folder / "gate")}
    house = House(folder, {})
    try:
        for part in PARTS:
            command = [sys.executable, "-m", "dfml", "run", part]
            house.running[part] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        said = {part: process.stdout.readline() for part, process in house.running.items() if process.stdout}
        house.url = said["pipeline-gateway"].split()[-1]
        _await_ready(house.url)
        yield house
    finally:
        for process in house.running.values():
            process.send_signal(signal.SIGTERM)
        for process in house.running.values():
            process.wait()


def _await_ready(url: str) -> None:
    while httpx.get(f"{url}/v2/pipelines/stalled/ready", trust_env=False).status_code != 200:
        time.sleep(0.1)


def _stall(load: Load, house: House, seconds: int, n_callers: int, broker: Broker | None) -> dict[str, float]:
    """Send for so long, the broker being away where one is given, and return the most that each process held."""
    threads = [threading.Thread(target=load.send, daemon=True) for _ in range(n_callers)]
    for thread in threads:
        thread.start()
    if broker is not None:
        time.sleep(BEFORE_S)
        broker.kill()
    peaks = house.memory_mib()
    for _ in track(range(seconds), "stalling", console=errors):
        time.sleep(1)
        peaks = {part: max(peaks[part], held) for part, held in house.memory_mib().items()}
    load.stopped.set()
    for thread in threads:
        thread.join()
    return peaks


def _collect(load: Load) -> tuple[float, int]:
    """Ask for every accepted request's answer; return how long that took and how many have none."""
    began, n_missing = time.monotonic(), 0
    with httpx.Client(timeout=60, trust_env=False) as client:
        for request in track(load.accepted, "collecting", console=errors):
            until = time.monotonic() + 60
            place = f"{load.url}/v2/pipelines/stalled/requests/{request}"
            while (status := client.get(place).status_code) in {202, 503} and time.monotonic() < until:
                time.sleep(0.05)
            if status != 200:
                n_missing += 1
                errors.print(f"request {request} has no answer: {client.get(place).text}")
    return time.monotonic() - began, n_missing


def _report(
    load: Load, began: dict[str, float], peaks: dict[str, float], house: House, ended: tuple[float, int]
) -> None:
    table = Table("process", "before, MiB", "peak, MiB", "after, MiB", title="resident memory")
    after = house.memory_mib()
    for part in PARTS:
        table.add_row(part, *(f"{held[part]:.0f}" for held in (began, peaks, after)))
    Console().print(table)
    sent_mib = len(load.accepted) * len(load.body) / MIB
    typer.echo(f"accepted {len(load.accepted)} requests ({sent_mib:.0f} MiB of bodies), answered by status: ", nl=False)
    typer.echo(", ".join(f"{status}: {count}" for status, count in sorted(load.statuses.items())))
    typer.echo(f"all asked for {ended[0]:.1f} s after it went on; without answer: {ended[1]}")
    typer.echo(f"refused with 503 but without Retry-After: {load.unhelpful}")


if __name__ == "__main__":
    with ended_in_order():
        typer.run(main)
