"""``python -m experiments.dynamism``: load and unload many pipelines beside one that is called all the while."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
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
from dfml_engine.gateways.lookup import read_range
from experiments.dynamism.bystander import Caller, longest_gap_ms, percentiles
from experiments.dynamism.documents import BYSTANDER, REPLACED, model_name, pipeline, resources, shared_models
from experiments.kafka_broker import Broker
from experiments.running import Stack, ended_in_order, running_parts, running_stack, wait_until_ready

QUIET_S = 3.0
PAUSE_S = 0.005
LONG_PAUSE_S = 2.0
CALLERS = 4
BLOCKS = 10
POLL_S = 0.005
"""Between two questions whether a pipeline is ready: often enough to time it, too seldom to be a load of its own."""
errors = Console(stderr=True)
P = ParamSpec("P")
Span = tuple[float, float]


def main(
    pipelines: Annotated[int, typer.Option(help="How many pipelines come and go.")] = 1000,
    replacements: Annotated[int, typer.Option(help="How often one pipeline is replaced.")] = 50,
    log: Annotated[
        str, typer.Option(help="sqlite, or kafka: a broker of its own, a process for each part.")
    ] = "sqlite",
) -> None:
    """Measure; the table goes to the screen.

    Example: python -m experiments.dynamism --pipelines 100 --replacements 10
    """
    if log not in {"sqlite", "kafka"}:
        msg = f"got {log!r}, expected sqlite or kafka"
        raise typer.BadParameter(msg, param_hint="--log")
    title = f"{pipelines} pipelines on 20 models, log {log}; {replacements} replacements under load"
    table = Table("measure", "value", title=title)
    with TemporaryDirectory(prefix="dfml-dynamism-") as name:
        documents = Path(name) / "models.yaml"
        documents.write_text("---\n".join([shared_models(), pipeline(BYSTANDER, 0), pipeline(REPLACED, 0)]))
        with _running(log, Path(name), documents) as stack, open_log(Settings(log=stack.log)) as opened:
            _come_and_go(stack, Control(opened, Topics()), pipelines, table)
            _replace(stack, opened, replacements, table)
    Console().print(table)


@contextmanager
def _running(log: str, folder: Path, documents: Path) -> Iterator[Stack]:
    if log == "sqlite":
        with running_stack(folder, [documents], tap=False) as stack:
            yield stack
    else:
        with Broker(folder / "broker") as broker, running_parts(folder, [documents], broker.address, 1) as stack:
            wait_until_ready(stack, REPLACED)
            wait_until_ready(stack, BYSTANDER)
            yield stack


def _come_and_go(stack: Stack, control: Control, n_pipelines: int, table: Table) -> None:
    """Load all pipelines and unload them again, a block at a time, with as long a pause after each block."""
    caller = Caller(stack.url, BYSTANDER, PAUSE_S)
    names = [f"p{number}" for number in range(n_pipelines)]
    measured = Phases()
    with httpx.Client(base_url=stack.url) as client, _kept_apart(*stack.pids, caller.pid):
        with measured.phase("alone"):
            time.sleep(QUIET_S)
        measured.note_memory(0, stack)
        ready_ms = _in_blocks(measured, "loaded", partial(_load, control, client), names, stack)
        gone_ms = _in_blocks(measured, "unloaded", partial(_unload, control, client), names, stack)
    calls = caller.stop()
    table.add_row("bystander's requests refused for a while", f"{len(calls.refusals)} {set(calls.refusals) or ''}")
    p50 = {}
    for phase, spans in measured.spans.items():
        p50[phase], p99 = percentiles([ms for span in spans for ms in calls.between(*span)])
        table.add_row(f"bystander, {phase}: p50, p99", f"{p50[phase]:.2f} ms, {p99:.2f} ms")
    for what in ("loaded", "unloaded"):
        table.add_row(f"bystander's p50, while others are {what}", f"{p50[what] / p50[f'{what}, pauses']:.2f} times")
    for size in _sizes(n_pipelines):
        part = ready_ms[max(size - n_pipelines // BLOCKS, 0) : size]
        table.add_row(f"load until ready, up to {size}: p50, max", f"{np.median(part):.1f} ms, {max(part):.1f} ms")
    table.add_row("unload until gone: p50, max", f"{np.median(gone_ms):.1f} ms, {max(gone_ms):.1f} ms")
    for size, memory_mb in measured.memory_mb.items():
        table.add_row(f"memory of all processes, with {size}", f"{memory_mb:.0f} MB")


def _sizes(n_pipelines: int) -> list[int]:
    """Return at how many pipelines the bystander and the memory are looked at: one, a tenth, all."""
    return sorted({1, max(n_pipelines // BLOCKS, 1), n_pipelines})


@dataclass(slots=True)
class Phases:
    """When each phase was (monotonic seconds from and to), and the memory by the number of pipelines."""

    spans: dict[str, list[Span]] = field(default_factory=dict)
    memory_mb: dict[int, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, *names: str) -> Iterator[None]:
        """Count the time that the block takes to these phases."""
        since_s = time.monotonic()
        yield
        for name in names:
            self.spans.setdefault(name, []).append((since_s, time.monotonic()))

    def note_memory(self, n_pipelines: int, stack: Stack) -> None:
        """Take note of the resident memory of the stack's processes."""
        self.memory_mb[n_pipelines] = sum(map(_memory_mb, stack.pids))


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


def _in_blocks(
    measured: Phases, what: str, do: Callable[[str, int], None], names: list[str], stack: Stack
) -> list[float]:
    """Do something with every name and return the milliseconds of each; what else the machine does hits both phases."""
    taken_ms = []
    sizes = _sizes(len(names)) if what == "loaded" else []
    bounds = sorted({0, *sizes, *range(0, len(names), max(len(names) // BLOCKS, 1)), len(names)})
    for begin, end in track(list(pairwise(bounds)), what, console=errors):
        began_s = time.monotonic()
        with measured.phase(what):
            taken_ms += [_time_ms(do, name, number) for number, name in enumerate(names[begin:end], start=begin)]
        pause_s, among = time.monotonic() - began_s, []
        if end in sizes:
            pause_s, among = max(pause_s, LONG_PAUSE_S), [f"among {end}"]
            measured.note_memory(end, stack)
        with measured.phase(f"{what}, pauses", *among):
            time.sleep(pause_s)
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
    return {record.key.decode(): int(record.header(h.VERSION) or b"0") for record in read_range(log, {place: 0})}


def _time_ms(call: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> float:
    began = time.perf_counter()
    call(*arguments, **named)
    return (time.perf_counter() - began) * 1000


def _memory_mb(pid: int) -> float:
    """Return the resident memory of a process, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    with ended_in_order():
        typer.run(main)
