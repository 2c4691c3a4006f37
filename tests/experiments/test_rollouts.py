"""Every rollout of an app is a new version of its fault's culprit, and of nothing else."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from dfml.spec import load_files
from dfml.spec.schema import Model
from experiments.apps.income import faults as income
from experiments.apps.insurance_claims import faults as insurance_claims
from experiments.apps.ride_allocation import faults as ride_allocation
from experiments.apps.road_counter import faults as road_counter

APPS = (income, insurance_claims, ride_allocation, road_counter)
ROLLOUTS = [(app, name) for app in APPS for name, fault in app.FAULTS.items() if fault.rollout]
CODE = {"storage_uri": "", "parameters": ()}
"""What a new version may change: where its code is, and what that is told."""


def model_of(file: Path, name: str) -> Model:
    (found,) = (item for item in load_files([file]) if isinstance(item, Model) and item.name == name)
    return found


@pytest.mark.parametrize(("app", "name"), ROLLOUTS, ids=[f"{app.APP.name}-{name}" for app, name in ROLLOUTS])
def test_rollout_changes_the_code_of_the_culprit_and_nothing_else(app: ModuleType, name: str) -> None:
    fault = app.FAULTS[name]
    normal, faulty = model_of(app.APP / "pipeline.yaml", fault.step), model_of(fault.rollout, fault.step)
    assert len(load_files([fault.rollout])) == 1
    assert faulty.spec != normal.spec
    assert faulty.spec.model_copy(update=CODE) == normal.spec.model_copy(update=CODE)


@pytest.mark.parametrize(("app", "name"), ROLLOUTS, ids=[f"{app.APP.name}-{name}" for app, name in ROLLOUTS])
def test_code_of_a_rollout_is_where_it_says(app: ModuleType, name: str) -> None:
    scheme, _, place = model_of(app.FAULTS[name].rollout, app.FAULTS[name].step).spec.storage_uri.partition(":")
    if scheme == "file":  # what training the app writes
        assert place.startswith("build/income/")
        return
    module, _, attribute = place.partition(":")
    assert callable(getattr(import_module(module), attribute))
