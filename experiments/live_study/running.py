"""One case: an app in a stack of this process, a normal window, the fault, a second window, the localisation."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
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
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_engine.gateways.api import SubmitOptions
from dfml_engine.stack import Stack
from experiments.live_study.apps import App, Tensors

N_WARM_UP = 30
N_CLIENTS = 4
SETTLE_S = 2.5
"""What answers nobody is not waited for: an unfilled batch is processed after at most 2 s (income)."""
TAP_TIMEOUT_S = 30.0
TAP_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of one app with one seed, ``n_requests`` a window."""

    app: str
    fault: str
    seed: int
    n_requests: int


def record(app: App, case: Case, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run the case with its files in the folder, which is empty; return the normal and the second window's frame.

    Raises
    ------
    TimeoutError
        If the tap does not bring the end of every request in time.
    """
    windows = asyncio.run(_send(app, case, folder))
    with LineageStore(folder / "log.lineage.db", read_only=True) as store:
        reference, current = (frame(store, app.pipeline, *window) for window in windows)
    return align(reference, current)


def diagnose(app: App, reference: pd.DataFrame, current: pd.DataFrame, seed: int) -> Localisation:
    """Return what is found between the two windows of a case."""
    mine = (item for item in app.read(app.document) if isinstance(item, Pipeline) and item.name == app.pipeline)
    causal = from_pipeline(PipelineGraph.from_pipeline(next(mine)), reference.columns)
    return localise(causal, reference, current, app.target, seed=seed)


async def _send(app: App, case: Case, folder: Path) -> list[tuple[int, int]]:
    """Send both windows and return since when and until when each was sent, in ms since the epoch."""
    rng = np.random.default_rng(case.seed)
    fault = app.faults[case.fault]
    settings = Settings(log=f"sqlite:///{folder / 'log.db'}", rest_port=0, **app.settings)
    async with Stack(settings) as stack:
        stack.load(app.read(app.document))
        await _ask_all(stack, app, [app.to_tensors(item) for item in app.draw(N_WARM_UP, rng)], "warm-up")
        normal = [app.to_tensors(item) for item in app.draw(case.n_requests, rng)]
        windows = [await _ask_all(stack, app, normal, "normal")]
        if fault.rollout is not None:
            stack.load(app.read(fault.rollout))
        faulty = [app.to_tensors(fault.alter(item)) for item in app.draw(case.n_requests, rng)]
        windows.append(await _ask_all(stack, app, faulty, "second"))
        await asyncio.sleep(SETTLE_S)
        await _wait_for_tap(folder / "log.lineage.db", app.pipeline, windows, case.n_requests)
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
