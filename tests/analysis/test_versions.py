"""Which version a change began with."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dfml.lineage.entry import LoadedSpec
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.versions import Load, with_versions
from dfml_analysis.wording import spell_load

N = 200
STARTED_MS = 1_700_000_000_000
FIRST_BAD_MS = STARTED_MS + 1000 * (N + 80)


@pytest.fixture(scope="module")
def found() -> Localisation:
    rng = np.random.default_rng(0)
    frames = []
    for place in (0, 1):
        x = rng.normal(size=N)
        frame = pd.DataFrame({"x": x, "y": x + rng.normal(size=N) + 4.0 * place * (np.arange(N) >= 80)})
        frame.attrs["started_ms"] = tuple(STARTED_MS + 1000 * (N * place + row) for row in range(N))
        frames.append(frame)
    return localise(read_graph({"x": [], "y": ["x"]}), *frames, "y")


def _loaded(name: str, version: int, loaded_ms: int, document: bytes = b"{}") -> LoadedSpec:
    return LoadedSpec("Model", name, version, loaded_ms, document)


def test_the_version_that_was_loaded_when_it_began_is_named(found: Localisation) -> None:
    loaded = [
        _loaded("y", 1, STARTED_MS - 5000),
        _loaded("y", 2, FIRST_BAD_MS - 300),
        _loaded("y", 3, FIRST_BAD_MS * 2),
    ]
    assert with_versions(found, loaded).suspects[0].version == Load("Model", "y", 2, FIRST_BAD_MS - 300)


@pytest.mark.parametrize(
    "spec",
    [
        _loaded("y", 2, FIRST_BAD_MS - 60_000),
        _loaded("y", 2, FIRST_BAD_MS + 60_000),
        _loaded("x", 2, FIRST_BAD_MS),
        _loaded("y", 2, FIRST_BAD_MS, b""),
    ],
    ids=["earlier", "later", "another step", "unloaded"],
)
def test_no_other_load_is(found: Localisation, spec: LoadedSpec) -> None:
    assert with_versions(found, [spec]).suspects[0].version is None


def test_without_times_no_version_is_named(found: Localisation) -> None:
    (suspect,) = found.suspects
    assert suspect.onset is not None
    timeless = replace(suspect, onset=replace(suspect.onset, latest_ms=None))
    told = with_versions(replace(found, suspects=(timeless,)), [_loaded("y", 2, FIRST_BAD_MS)])
    assert told.suspects[0].version is None


def test_a_load_is_told_with_its_time() -> None:
    assert spell_load(Load("Model", "y", 2, STARTED_MS)) == "2 of model y was loaded 2023-11-14 22:13:20 UTC"
