"""From what the tap has kept to a localisation: both windows as frames, the causal graph, the verdict."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dfml.graph import PipelineGraph
from dfml.lineage.frames import frame
from dfml.lineage.store import LineageStore
from dfml.settings import SQLITE_SCHEME
from dfml.spec import load_files
from dfml.spec.schema import Pipeline
from dfml_analysis.alignment import align
from dfml_analysis.causal_graph import from_pipeline
from dfml_analysis.guilty import GuiltyPair
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.versions import with_versions
from experiments.demo.traffic import Window

if TYPE_CHECKING:
    import networkx as nx

TARGET = "outputs.payout"
"""The pipeline's variable whose change is to be explained: what callers are paid."""
TAP_TIMEOUT_S = 20.0
TAP_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Both windows, how their variables depend on each other, and what was found."""

    pipeline: PipelineGraph
    causal: "nx.DiGraph[str]"
    reference: pd.DataFrame
    current: pd.DataFrame
    localisation: Localisation

    @property
    def pairs(self) -> tuple[GuiltyPair, ...]:
        """Requests that show the first suspect's change, each beside one that was asked alike."""
        return self.localisation.suspects[0].pairs if self.localisation.suspects else ()

    def on_log(self, log: str, store: Path) -> "Diagnosis":
        """Return the same with commands that name the log, and the store where it is not the one beside the log."""
        beside = log.startswith(SQLITE_SCHEME)
        return replace(self, localisation=self.localisation.on_log(log, "" if beside else str(store)))


def diagnose(store: LineageStore, document: Path, reference: Window, current: Window, seed: int) -> Diagnosis:
    """Compare the two windows of the pipeline in the document.

    Raises
    ------
    TimeoutError
        If the tap does not bring the end of every request in time.
    """
    (pipeline,) = (item for item in load_files([document]) if isinstance(item, Pipeline))
    graph = PipelineGraph.from_pipeline(pipeline)
    before, after = align(*(_complete_frame(store, pipeline.name, window) for window in (reference, current)))
    causal = from_pipeline(graph, before.columns)
    found = localise(causal, before, after, f"{pipeline.name}.{TARGET}", seed=seed)
    found = with_versions(found, (*store.specs("Pipeline", pipeline.name), *store.specs("Model")))
    return Diagnosis(graph, causal, before, after, found)


def _complete_frame(store: LineageStore, pipeline: str, window: Window) -> pd.DataFrame:
    """Return the window's frame once the tap has the answer to, or the failure of, each of its requests."""
    deadline_s = time.monotonic() + TAP_TIMEOUT_S
    ended = f"{pipeline}.error"
    while True:
        told = frame(store, pipeline, window.since_ms, window.until_ms, [ended])[ended].notna().sum()
        if told == window.n_requests:
            return frame(store, pipeline, window.since_ms, window.until_ms)
        if time.monotonic() > deadline_s:
            msg = f"{store.path} has the end of {told} of {window.n_requests} requests after {TAP_TIMEOUT_S:g} s"
            raise TimeoutError(msg)
        time.sleep(TAP_POLL_S)
