"""The apps' faults as cases of ``dfml evaluate --suite live``: each planted in a stack that runs in this process.

A normal window of requests, the fault (a new version loaded, or other requests), a second window; the frames are what
the tap has kept of both. Times are real: the same seed sends the same requests, and its latencies differ.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from dfml.graph import PipelineGraph
from dfml.inference.codec import encode_request
from dfml.lineage.frames import frame
from dfml.lineage.store import LineageStore
from dfml.settings import Settings
from dfml.spec.schema import Pipeline
from dfml_analysis.alignment import align
from dfml_analysis.causal_graph import from_pipeline
from dfml_analysis.evaluate.case import Case, Posed
from dfml_analysis.localisers.base import Problem
from dfml_engine.gateways.api import SubmitOptions
from dfml_engine.stack import Stack
from experiments.apps.catalogue import APPS, App, Tensors

SUITE = "live"
N_REQUESTS, N_QUICK_REQUESTS = 300, 120
"""Requests of a window."""
N_WARM_UP = 30
N_CLIENTS = 4
SETTLE_S = 2.5
"""What answers nobody is not waited for: an unfilled batch is processed after at most 2 s (income)."""
TAP_TIMEOUT_S = 60.0
TAP_POLL_S = 0.1
N_KEPT = 64
"""Recorded cases that are kept in memory, for the methods that come later."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One fault of one app with one seed, ``n_requests`` a window."""

    app: str
    fault: str
    seed: int
    n_requests: int


def live_cases(seeds: Iterable[int], *, quick: bool = False) -> list[Case]:
    """Return a case for each app, fault and seed; a quick run sends fewer requests a window."""
    n_requests = N_QUICK_REQUESTS if quick else N_REQUESTS
    numbers = list(seeds)
    return [
        Case(SUITE, f"{name} {fault}", f"seed {seed}", partial(_pose, Planted(name, fault, seed, n_requests)))
        for name, app in APPS.items()
        for fault in app.faults
        for seed in numbers
    ]


@lru_cache(maxsize=N_KEPT)
def _pose(planted: Planted) -> Posed:
    app = APPS[planted.app]
    with tempfile.TemporaryDirectory(prefix="dfml-live-") as folder:
        reference, current = record(app, planted, Path(folder))
    mine = (item for item in app.read(app.document) if isinstance(item, Pipeline) and item.name == app.pipeline)
    causal = from_pipeline(PipelineGraph.from_pipeline(next(mine)), reference.columns)
    step = app.faults[planted.fault].step
    culprits = () if step is None else (frozenset({step}),)
    return Posed(Problem(causal, reference, current, app.target, planted.seed), culprits)


def record(app: App, planted: Planted, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run a case with its files in the folder, which is empty; return the normal and the second window's frame.

    Raises
    ------
    TimeoutError
        If the tap does not bring the end of every request in time.
    """
    windows = asyncio.run(_send(app, planted, folder))
    with LineageStore(folder / "log.lineage.db", read_only=True) as store:
        reference, current = (frame(store, app.pipeline, *window) for window in windows)
    return align(reference, current)


async def _send(app: App, planted: Planted, folder: Path) -> list[tuple[int, int]]:
    """Send both windows and return since when and until when each was sent, in ms since the epoch."""
    rng = np.random.default_rng(planted.seed)
    fault = app.faults[planted.fault]
    settings = Settings(log=f"sqlite:///{folder / 'log.db'}", rest_port=0, **app.settings)
    async with Stack(settings) as stack:
        stack.load(app.read(app.document))
        await _ask_all(stack, app, [app.to_tensors(item) for item in app.draw(N_WARM_UP, rng)], "warm-up")
        normal = [app.to_tensors(item) for item in app.draw(planted.n_requests, rng)]
        windows = [await _ask_all(stack, app, normal, "normal")]
        if fault.rollout is not None:
            stack.load(app.read(fault.rollout))
        faulty = [app.to_tensors(fault.alter(item)) for item in app.draw(planted.n_requests, rng)]
        windows.append(await _ask_all(stack, app, faulty, "second"))
        await asyncio.sleep(SETTLE_S)
        await _wait_for_tap(folder / "log.lineage.db", app.pipeline, windows, planted.n_requests)
    return windows


async def _ask_all(stack: Stack, app: App, requests: Sequence[Tensors], prefix: str) -> tuple[int, int]:
    waiting = enumerate(requests)

    async def client() -> None:
        for number, tensors in waiting:
            request = encode_request(tensors, model_name="", request_id="")
            submission = stack.gateway.submit(app.pipeline, request, SubmitOptions(f"{prefix}-{number:05d}"))
            await stack.gateway.result(submission)

    since_ms = time.time_ns() // 1_000_000
    await asyncio.gather(*(client() for _ in range(N_CLIENTS)))
    until_ms = time.time_ns() // 1_000_000 + 1
    await asyncio.sleep(0.002)
    return since_ms, until_ms


async def _wait_for_tap(path: Path, pipeline: str, windows: Sequence[tuple[int, int]], n_requests: int) -> None:
    deadline_s = time.monotonic() + TAP_TIMEOUT_S
    while (told := _told(path, pipeline, windows)) < len(windows) * n_requests:
        if time.monotonic() > deadline_s:
            msg = f"{path} has the end of {told} of {len(windows) * n_requests} requests after {TAP_TIMEOUT_S:g} s"
            raise TimeoutError(msg)
        await asyncio.sleep(TAP_POLL_S)


def _told(path: Path, pipeline: str, windows: Sequence[tuple[int, int]]) -> int:
    ended = f"{pipeline}.error"
    with LineageStore(path, read_only=True) as store:
        found = pd.concat([frame(store, pipeline, *window, [ended])[ended] for window in windows])
    return int(found.notna().sum())
