"""``python -m experiments.dynamism``: load and unload many pipelines beside one that is called all the while."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, ParamSpec

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dfml import headers as h
from dfml.log import open_log
from dfml.log.base import Log
from dfml.record import TopicPartition
from dfml.settings import Settings
from dfml.topics import Topics
from dfml_engine.control import Control
from experiments.dynamism.bystander import Caller, longest_gap_ms, percentiles
from experiments.dynamism.documents import BYSTANDER, REPLACED, model_name, pipeline, resources, shared_models
from experiments.running import Stack, running_stack

QUIET_S = 3.0
PAUSE_S = 0.005
CALLERS = 4
BLOCKS = 10
POLL_S = 0.005
"""Between two questions whether a pipeline is ready: often enough to time it, too seldom to be a load of its own."""
errors = Console(stderr=True)
P = ParamSpec("P")


def main(
    pipelines: Annotated[int, typer.Option(help="How many pipelines come and go.")] = 1000,
    replacements: Annotated[int, typer.Option(help="How often one pipeline is replaced.")] = 50,
) -> None:
    """Measure; the table goes to the screen.

    Example: python -m experiments.dynamism --pipelines 100 --replacements 10
    """
    table = Table(
        "measure", "value", title=f"{pipelines} pipelines on 20 models; {replacements} replacements under load"
    )
    with TemporaryDirectory(prefix="dfml-dynamism-") as name:
        documents = Path(name) / "models.yaml"
        documents.write_text("---\n".join([shared_models(), pipeline(BYSTANDER, 0), pipeline(REPLACED, 0)]))
        with running_stack(Path(name), [documents], tap=False) as stack, open_log(Settings(log=stack.log)) as log:
            _come_and_go(stack, Control(log, Topics()), pipelines, table)
            _replace(stack, log, replacements, table)
    Console().print(table)


def _come_and_go(stack: Stack, control: Control, n_pipelines: int, table: Table) -> None:
    """Load all pipelines and unload them again, a block at a time, with as long a pause after each block."""
    caller = Caller(stack.url, BYSTANDER, PAUSE_S)
    names = [f"p{number}" for number in range(n_pipelines)]
    phases: dict[str, list[tuple[float, float]]] = {}
    memory = _memory_mb(stack)
    with httpx.Client(base_url=stack.url) as client, _kept_apart(stack.pid, caller.pid):
        with _phase(phases, "alone"):
            time.sleep(QUIET_S)
        ready_ms = _in_blocks(phases, "loaded", partial(_load, control, client), names)
        full = _memory_mb(stack)
        with _phase(phases, "among all"):
            time.sleep(QUIET_S)
        gone_ms = _in_blocks(phases, "unloaded", partial(_unload, control, client), names)
    calls = caller.stop()
    p50 = {}
    for phase, spans in phases.items():
        p50[phase], p99 = percentiles([ms for span in spans for ms in calls.between(*span)])
        table.add_row(f"bystander, {phase}: p50, p99", f"{p50[phase]:.2f} ms, {p99:.2f} ms")
    for what in ("loaded", "unloaded"):
        table.add_row(f"bystander's p50, while others are {what}", f"{p50[what] / p50[f'{what}, pauses']:.2f} times")
    tenth = max(n_pipelines // 10, 1)
    for which, part in (("the first tenth", ready_ms[:tenth]), ("the last tenth", ready_ms[-tenth:])):
        table.add_row(f"load until ready, {which}: p50, max", f"{np.median(part):.1f} ms, {max(part):.1f} ms")
    table.add_row("unload until gone: p50, max", f"{np.median(gone_ms):.1f} ms, {max(gone_ms):.1f} ms")
    table.add_row("memory before, with all", f"{memory:.0f} MB, {full:.0f} MB")


@contextmanager
def _kept_apart(*others: int) -> Iterator[None]:
    """Give what loads a core of its own: what it takes from those who answer is the scheduler's doing and not ours."""
    cores = os.sched_getaffinity(0)
    *shared, last = sorted(cores)
    for process in others if shared else ():
        os.sched_setaffinity(process, shared)
    os.sched_setaffinity(0, {last})
    yield
    for process in (0, *others):
        os.sched_setaffinity(process, cores)


@contextmanager
def _phase(phases: dict[str, list[tuple[float, float]]], name: str) -> Iterator[None]:
    since_s = time.monotonic()
    yield
    phases.setdefault(name, []).append((since_s, time.monotonic()))


def _in_blocks(
    phases: dict[str, list[tuple[float, float]]], what: str, do: Callable[[str, int], None], names: list[str]
) -> list[float]:
    """Do something with every name and return the milliseconds of each; what else the machine does hits both phases."""
    taken_ms = []
    block = max(len(names) // BLOCKS, 1)
    for begin in track(range(0, len(names), block), what, console=errors):
        began_s = time.monotonic()
        with _phase(phases, what):
            taken_ms += [
                _time_ms(do, name, number) for number, name in enumerate(names[begin : begin + block], start=begin)
            ]
        with _phase(phases, f"{what}, pauses"):
            time.sleep(time.monotonic() - began_s)
    return taken_ms


def _load(control: Control, client: httpx.Client, name: str, number: int) -> None:
    control.load(resources(pipeline(name, number, number + 1)))
    _wait_for(client, name, 200)


def _unload(control: Control, client: httpx.Client, name: str, number: int) -> None:
    control.unload("Pipeline", name)
    _wait_for(client, name, 404)


def _wait_for(client: httpx.Client, name: str, status: int) -> None:
    while client.get(f"/v2/pipelines/{name}/ready").status_code != status:
        time.sleep(POLL_S)


def _replace(stack: Stack, log: Log, n_replacements: int, table: Table) -> None:
    """Replace a pipeline again and again under load; each version adds another number."""
    control = Control(log, Topics())
    callers = [Caller(stack.url, REPLACED, 0.0) for _ in range(CALLERS)]
    for number in track(range(1, n_replacements + 1), "replacing", console=errors):
        time.sleep(0.1)
        control.load(resources(pipeline(REPLACED, number)))
    time.sleep(0.3)
    seen = [caller.stop() for caller in callers]
    answers = {request: value for calls in seen for request, value in calls.answers.items()}
    entered = _versions(log)
    wrong = sum(
        float(model_name(entered[request] - 1).rpartition("-")[2]) != value for request, value in answers.items()
    )
    gap_ms = max(longest_gap_ms(calls.answered_s) for calls in seen)
    table.add_row("requests under replacement, answered", f"{len(entered)}, {len(answers)}")
    table.add_row("answered by another version than they entered on", f"{wrong}")
    table.add_row("versions that requests ran on", f"{len(set(entered.values()))}")
    table.add_row("longest pause of a caller", f"{gap_ms:.1f} ms")


def _versions(log: Log) -> dict[str, int]:
    """Return the version that each request to the replaced pipeline entered on."""
    place = TopicPartition(Topics().pipeline_inputs(REPLACED), 0)
    reader = log.reader()
    found: dict[str, int] = {}
    reader.assign({place: 0})
    while batch := reader.poll(5000, 0):
        found |= {record.key.decode(): int(record.header(h.VERSION) or b"0") for record in batch}
    reader.close()
    return found


def _time_ms(call: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> float:
    began = time.perf_counter()
    call(*arguments, **named)
    return (time.perf_counter() - began) * 1000


def _memory_mb(stack: Stack) -> float:
    """Return the resident memory of the stack's process, MB."""
    lines = Path(f"/proc/{stack.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    typer.run(main)
