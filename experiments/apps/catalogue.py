"""The apps: how each is started, what its callers send, and which faults it has."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dfml.spec import parse_resources
from dfml.spec.schema import AnyResource
from experiments.apps.fault import Fault
from experiments.apps.income import faults as income
from experiments.apps.income.generator import draw_applicants
from experiments.apps.income.generator import to_tensors as of_applicant
from experiments.apps.income.train import train
from experiments.apps.insurance_claims import faults as claims
from experiments.apps.insurance_claims.generator import draw_claims
from experiments.apps.insurance_claims.generator import to_tensors as of_claim
from experiments.apps.ride_allocation import faults as rides
from experiments.apps.ride_allocation.generator import draw_minutes
from experiments.apps.ride_allocation.generator import to_tensors as of_minute
from experiments.apps.road_counter import faults as road
from experiments.apps.road_counter.generator import draw_clips
from experiments.apps.road_counter.generator import to_tensors as of_clip

Tensors = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class App:
    """One app.

    Attributes
    ----------
    pipeline, target : str
        What is called, and the variable whose change is to be explained.
    faults : Mapping of str to Fault
        The control ``none`` is one of them.
    document : Path
        Its models and pipelines.
    draw : callable
        How many and a generator of random numbers -> items.
    to_tensors : callable
        An item -> the tensors of its request.
    artefacts : callable
        Where its artefacts are, instead of the folder that its documents name; None for an app without any.
    """

    pipeline: str
    target: str
    faults: Mapping[str, Fault[Any]]
    document: Path
    draw: Callable[[int, np.random.Generator], Sequence[Any]]
    to_tensors: Callable[[Any], Tensors]
    artefacts: Callable[[], Path | None] = field(default=lambda: None)

    def read(self, document: Path) -> list[AnyResource]:
        """Return the resources of one of its documents."""
        text, folder = document.read_text(encoding="utf-8"), self.artefacts()
        if folder is not None:
            text = text.replace(str(income.ARTEFACTS), str(folder))
        return parse_resources(text, source=str(document))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it needs."""
        folder = self.artefacts()
        return {} if folder is None else {"artefact_paths": (folder,)}


@cache
def _trained() -> Path:
    """Return a folder with the artefacts of the income app, made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="dfml-income-"))
    train(folder)
    return folder


APPS = {
    "insurance_claims": App(
        claims.PIPELINE, claims.TARGET, claims.FAULTS, claims.APP / "pipeline.yaml", draw_claims, of_claim
    ),
    "road_counter": App(road.PIPELINE, road.TARGET, road.FAULTS, road.APP / "pipeline.yaml", draw_clips, of_clip),
    "ride_allocation": App(
        rides.PIPELINE, rides.TARGET, rides.FAULTS, rides.APP / "pipeline.yaml", draw_minutes, of_minute
    ),
    "income": App(
        income.PIPELINE,
        income.TARGET,
        income.FAULTS,
        income.APP / "pipeline.yaml",
        draw_applicants,
        of_applicant,
        _trained,
    ),
}
"""Every app by the name of its folder."""
