"""The example pipelines: their documents are right together, and their models do what their comments say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfml.spec import check_references, load_files
from dfml.spec.schema import Model
from experiments.apps.examples import models

FOLDER = Path(models.__file__).parent
V = np.array([1, 2, 3, 4], np.float32)
X = np.arange(1, 17, dtype=np.int32).reshape(1, 16)


def test_all_examples_load_together_and_lack_nothing() -> None:
    resources = load_files(sorted(FOLDER.glob("*.yaml")))
    assert check_references(resources) == {}


def test_each_example_model_names_an_object_that_exists() -> None:
    resources = [resource for resource in load_files([FOLDER / "models.yaml"]) if isinstance(resource, Model)]
    names = [resource.spec.storage_uri.partition("examples.models:")[2] for resource in resources]
    assert [name for name in names if not callable(getattr(models, name, None))] == []


@pytest.mark.parametrize(("model", "expected"), [(models.mul10, [10, 20, 30, 40]), (models.add10, [11, 12, 13, 14])])
def test_arithmetic_keeps_shape_and_datatype(model: Any, expected: list[int]) -> None:
    output = model({"INPUT": V})["OUTPUT"]
    assert (output.tolist(), output.dtype) == (expected, V.dtype)


def test_tfsimple_gives_sum_and_difference() -> None:
    outputs = models.tfsimple({"INPUT0": X, "INPUT1": X})
    assert (outputs["OUTPUT0"] == 2 * X).all()
    assert (outputs["OUTPUT1"] == 0).all()


@pytest.mark.parametrize(("choice", "emitted"), [(0, "OUTPUT0"), (1, "OUTPUT1")])
def test_conditional_emits_the_tensor_of_its_choice_alone(choice: int, emitted: str) -> None:
    outputs = models.conditional({"CHOICE": np.array([choice]), "INPUT0": V, "INPUT1": V})
    assert list(outputs) == [emitted]


def test_reject_negative_fails_on_a_negative_value() -> None:
    assert models.reject_negative({"INPUT": V})["OUTPUT"] is V
    with pytest.raises(ValueError, match=r"INPUT has negative values, the smallest is -4\.0"):
        models.reject_negative({"INPUT": -V})


@pytest.mark.parametrize(("values", "emitted"), [(V, "in_range"), (V * 100, "out_of_range"), (-V, "out_of_range")])
def test_range_says_by_its_tensor_whether_all_is_in_range(values: Any, emitted: str) -> None:
    assert list(models.Range().predict({"INPUT": values})) == [emitted]


def test_nearest_labels_each_row() -> None:
    model = models.Nearest()
    model.load()
    assert model.predict({"INPUT": np.array([[1.0, 2.0], [90.0, 95.0]])})["LABEL"].tolist() == [0, 2]
