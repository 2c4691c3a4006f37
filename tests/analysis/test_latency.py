"""Slower or just another day: latencies of two windows on a busy machine."""

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.columns import Kind
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.verdict import Verdict

N_ROWS = 200
STEPS = ("a", "b", "c", "d")
GRAPH = {
    "p.inputs.x": [],
    **{f"{step}.latency_ms": ["p.inputs.x"] for step in STEPS},
    "p.latency_ms": [f"{step}.latency_ms" for step in STEPS],
}


def _window(seed: int, machine: float) -> pd.DataFrame:
    """Return latencies around 2 ms with a load that wanders, so that neighbours are alike."""
    rng = np.random.default_rng(seed)
    load = machine * np.exp(0.2 * np.convolve(rng.normal(size=N_ROWS + 20), np.ones(21) / np.sqrt(21), "valid"))
    steps = {f"{step}.latency_ms": load * rng.gamma(8.0, 0.25, N_ROWS) for step in STEPS}
    total = sum(steps.values()) + load * rng.gamma(4.0, 0.2, N_ROWS)
    return pd.DataFrame({"p.inputs.x": rng.normal(size=N_ROWS), **steps, "p.latency_ms": total})


def _localise(reference: pd.DataFrame, current: pd.DataFrame) -> Localisation:
    return localise(read_graph(GRAPH), reference, current, "p.latency_ms")


@pytest.mark.parametrize("machine", [0.7, 1.0, 1.3, 1.8])
def test_a_machine_that_slows_every_step_down_accuses_none(machine: float) -> None:
    answers = [_localise(_window(seed, 1.0), _window(seed + 100, machine)) for seed in range(8)]
    assert all(not answer.flagged for answer in answers)


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_slow_step_is_accused_and_not_what_comes_after_it(share: float) -> None:
    reference, current = _window(1, 1.0), _window(2, 1.2)
    delay = np.where(np.random.default_rng(3).random(N_ROWS) < share, 20.0, 0.0)
    current["b.latency_ms"] += delay
    current["p.latency_ms"] += delay
    answer = _localise(reference, current)
    assert answer.verdict is Verdict.FAULT
    assert [(suspect.step, suspect.kind) for suspect in answer.suspects] == [("b", Kind.LATENCY)]


def test_a_step_that_becomes_faster_is_no_fault() -> None:
    reference, current = _window(4, 1.0), _window(5, 1.0)
    reference["b.latency_ms"] += 20.0
    assert "b.latency_ms" not in _localise(reference, current).flagged


def _with_waits(seed: int, wait_ms: float, work_ms: float) -> pd.DataFrame:
    """Return latencies of microseconds beside which waits and the engine's own work are everything."""
    rng = np.random.default_rng(seed)
    burst = np.repeat(rng.gamma(1.0, 1.0, N_ROWS // 20), 20)
    steps = {f"{step}.latency_ms": rng.gamma(8.0, 0.003, N_ROWS) for step in STEPS}
    waits = {f"{step}.queue_ms": np.round(wait_ms * burst * rng.gamma(1.0, 1.0, N_ROWS)) for step in STEPS}
    total = sum(steps.values()) + sum(waits.values()) + work_ms * burst * rng.gamma(4.0, 0.25, N_ROWS)
    return pd.DataFrame({"p.inputs.x": rng.normal(size=N_ROWS), **steps, **waits, "p.latency_ms": np.round(total)})


WAITS = {
    **GRAPH,
    **{f"{step}.queue_ms": ["p.inputs.x"] for step in STEPS},
    "p.latency_ms": [f"{step}.{time}" for step in STEPS for time in ("latency_ms", "queue_ms")],
}


def _accused(reference: pd.DataFrame, current: pd.DataFrame) -> list[str]:
    return [suspect.variable for suspect in localise(read_graph(WAITS), reference, current, "p.latency_ms").suspects]


@pytest.mark.parametrize(("wait_ms", "work_ms"), [(0.2, 1.0), (5.0, 1.0), (0.2, 3.0), (5.0, 3.0)])
def test_waits_and_a_busy_machine_accuse_none(wait_ms: float, work_ms: float) -> None:
    found = [_accused(_with_waits(seed, 0.2, 1.0), _with_waits(seed + 100, wait_ms, work_ms)) for seed in range(8)]
    assert found == [[]] * 8


def test_who_waits_for_a_slow_step_is_not_accused() -> None:
    current = _with_waits(2, 0.2, 1.0)
    current["b.latency_ms"] += 25.0
    current["b.queue_ms"] += 15.0
    current["p.latency_ms"] += 40.0
    assert _accused(_with_waits(1, 0.2, 1.0), current) == ["b.latency_ms"]


def test_a_pipeline_that_takes_longer_without_waits_or_steps_is_accused() -> None:
    current = _with_waits(2, 0.2, 1.0)
    current["p.latency_ms"] += 50.0
    assert _accused(_with_waits(1, 0.2, 1.0), current) == ["p.latency_ms"]
