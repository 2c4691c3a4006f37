"""scikit-learn artefacts: what an estimator is given, what it gives, and from where it is loaded."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from dfml.errors import MissingTensorError, ModelError
from dfml.inference.codec import decode_tensors
from dfml.inference.oip_pb2 import InferResponse
from dfml_engine.runtimes import load_runtime
from dfml_engine.runtimes.base import Context, RuntimeOptions

Make = Callable[..., Any]
ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
LABELS = np.array([0, 1, 0, 1])
CONTEXT = Context("r1")


def estimator(**fit: Any) -> Any:
    return LogisticRegression().fit(fit.get("X", ROWS), fit.get("y", LABELS))


@pytest.fixture
def serve(tmp_path: Path, model: Make) -> Make:
    """Dump an estimator and load it as a model whose artefacts are allowed."""

    def make(fitted: object, **parameters: str) -> Any:
        joblib.dump(fitted, tmp_path / "model.joblib")
        options = RuntimeOptions(artefact_paths=(tmp_path,))
        return load_runtime(model(f"file:{tmp_path}/model.joblib", "sklearn", **parameters), options)

    return make


# -- tensors ----------------------------------------------------------------------------------------------------------


def test_one_table_is_predicted_row_by_row(serve: Make) -> None:
    outputs = serve(estimator()).infer({"x": ROWS}, CONTEXT)
    assert {name: array.tolist() for name, array in outputs.items()} == {"predict": [0, 1, 0, 1]}


def test_several_tensors_are_columns_in_their_order(serve: Make) -> None:
    runtime = serve(estimator(), outputs="predict, decision_function")
    first, second = ROWS[:, 0], ROWS[:, 1:]
    whole = runtime.infer({"x": ROWS}, CONTEXT)["decision_function"]
    assert runtime.infer({"a": first, "b": second}, CONTEXT)["decision_function"].tolist() == whole.tolist()
    assert runtime.infer({"b": second, "a": first}, CONTEXT)["decision_function"].tolist() != whole.tolist()


def test_columns_are_found_by_name_where_the_estimator_knows_names(serve: Make) -> None:
    runtime = serve(estimator(X=pd.DataFrame(ROWS, columns=["a", "b"])), outputs="decision_function")
    given = {"b": ROWS[:, 1], "unused": np.array([b"x"] * 4, dtype=object), "a": ROWS[:, 0]}
    by_name = runtime.infer(given, CONTEXT)["decision_function"]
    assert by_name.tolist() == runtime.infer({"x": ROWS}, CONTEXT)["decision_function"].tolist()
    with pytest.raises(MissingTensorError, match="model 'm' needs tensor 'a', it was given b, c"):
        runtime.infer({"b": ROWS[:, 1], "c": ROWS[:, 0]}, CONTEXT)
    with pytest.raises(ModelError, match=r"takes tensor 'a' as one column, expected shape \[rows\], got \[4, 2\]"):
        runtime.infer({"a": ROWS, "b": ROWS[:, 1]}, CONTEXT)


def test_a_single_column_of_numbers_is_a_table_of_one(serve: Make) -> None:
    runtime = serve(estimator(X=ROWS[:, :1]))
    assert runtime.infer({"x": ROWS[:, 0]}, CONTEXT)["predict"].tolist() == [0, 1, 0, 1]


def test_text_reaches_the_estimator_as_text_and_labels_come_back_as_text(serve: Make) -> None:
    words = ["good day", "good", "bad", "bad day"]
    fitted = make_pipeline(CountVectorizer(), MultinomialNB()).fit(words, ["yes", "yes", "no", "no"])
    outputs = serve(fitted).infer({"text": np.array([b"good night", b"bad night"], dtype=object)}, CONTEXT)
    assert outputs["predict"].tolist() == ["yes", "no"]
    with pytest.raises(ModelError, match="takes text, tensor 'text' is not UTF-8"):
        serve(fitted).infer({"text": np.array([b"\xff"], dtype=object)}, CONTEXT)


def test_the_parameter_outputs_names_the_tensors(serve: Make) -> None:
    outputs = serve(estimator(), outputs="predict,predict_proba").infer({"x": ROWS}, CONTEXT)
    assert list(outputs) == ["predict", "predict_proba"]
    assert outputs["predict_proba"].shape == (4, 2)
    assert outputs["predict_proba"].sum(axis=1) == pytest.approx(1)


def test_a_sparse_output_is_made_dense(serve: Make) -> None:
    outputs = serve(OneHotEncoder().fit([["a"], ["b"]]), outputs="transform").infer(
        {"x": np.array([[b"b"]], dtype=object)}, CONTEXT
    )
    assert outputs["transform"].tolist() == [[0, 1]]


def test_what_the_estimator_raises_is_told_with_what_it_was_given(serve: Make) -> None:
    text = r"model 'm' raised ValueError in predict: X has 3 features, .* \(it was given x \[1, 3\]\)"
    with pytest.raises(ModelError, match=text):
        serve(estimator()).infer({"x": np.zeros((1, 3))}, CONTEXT)


def test_columns_of_different_lengths_are_refused(serve: Make) -> None:
    with pytest.raises(ModelError, match="expected as many rows each: 'a' has 4, 'b' has 3"):
        serve(estimator()).infer({"a": ROWS[:, 0], "b": ROWS[:3, 1]}, CONTEXT)
    with pytest.raises(MissingTensorError, match="needs at least one tensor"):
        serve(estimator()).infer({}, CONTEXT)


# -- loading ----------------------------------------------------------------------------------------------------------


def test_an_artefact_outside_the_allowed_folders_is_not_loaded(tmp_path: Path, model: Make) -> None:
    canary = tmp_path / "loaded"

    class RunsWhenLoaded:
        def __reduce__(self) -> Any:
            return Path.touch, (canary,)

    joblib.dump(RunsWhenLoaded(), tmp_path / "model.joblib")
    text = r"model 'm' .* lies outside the folders that artefacts may be loaded from \(setting artefact_paths: none\)"
    with pytest.raises(ModelError, match=text):
        load_runtime(model(f"{tmp_path}/model.joblib", "sklearn"), RuntimeOptions())
    assert not canary.exists()
    with pytest.raises(ModelError, match="a NoneType has no predict"):
        load_runtime(model(f"{tmp_path}/model.joblib", "sklearn"), RuntimeOptions(artefact_paths=(tmp_path,)))
    assert canary.exists()


def test_neither_dots_nor_links_lead_out_of_an_allowed_folder(tmp_path: Path, model: Make) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "outside.joblib"
    allowed.mkdir()
    joblib.dump(estimator(), outside)
    (allowed / "link.joblib").symlink_to(outside)
    options = RuntimeOptions(artefact_paths=(allowed,))
    for uri in (f"{allowed}/../outside.joblib", f"file:{allowed}/link.joblib"):
        with pytest.raises(ModelError, match=r"outside\.joblib lies outside the folders"):
            load_runtime(model(uri, "sklearn"), options)


def test_a_folder_stands_for_the_artefact_in_it(tmp_path: Path, model: Make) -> None:
    joblib.dump(estimator(), tmp_path / "model.joblib")
    runtime = load_runtime(model(str(tmp_path), "sklearn"), RuntimeOptions(artefact_paths=(tmp_path,)))
    assert runtime.infer({"x": ROWS}, CONTEXT)["predict"].tolist() == [0, 1, 0, 1]


def test_an_artefact_that_is_not_there_or_broken_is_told(tmp_path: Path, model: Make) -> None:
    options = RuntimeOptions(artefact_paths=(tmp_path,))
    with pytest.raises(ModelError, match=r"there is no file .*/x\.joblib"):
        load_runtime(model(f"{tmp_path}/x.joblib", "sklearn"), options)
    (tmp_path / "x.joblib").write_bytes(b"no pickle")
    with pytest.raises(ModelError, match=r"x\.joblib cannot be loaded: "):
        load_runtime(model(f"{tmp_path}/x.joblib", "sklearn"), options)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ("score", "parameter outputs names 'score'; expected some of predict, predict_proba"),
        (" , ", "parameter outputs names nothing; expected some of predict"),
        ("transform", "a LogisticRegression has no transform; parameter outputs may name: predict, predict_proba"),
    ],
)
def test_an_output_that_the_estimator_lacks_is_refused_when_loaded(serve: Make, outputs: str, text: str) -> None:
    with pytest.raises(ModelError, match=text):
        serve(estimator(), outputs=outputs)


def test_without_scikit_learn_the_model_is_refused_with_the_extra_to_install(
    tmp_path: Path, model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.joblib").touch()
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ModelError, match="scikit-learn is not installed; install dfml with its extra 'analysis'"):
        load_runtime(model(str(tmp_path), "sklearn"), RuntimeOptions(artefact_paths=(tmp_path,)))


async def test_an_artefact_serves_a_step_row_by_row_of_a_batch(tmp_path: Path, stack: Make, texts: Any) -> None:
    joblib.dump(estimator(), tmp_path / "model.joblib")
    async with stack(artefact_paths=(tmp_path,)) as calls:
        document = texts.model("clf", "x", requirements=["sklearn"])
        spec = "{steps: [{name: clf, batch: {size: 4, windowMs: 50}}], output: {steps: [clf]}}"
        calls.load(document.replace("python:engine_models:x", str(tmp_path)), texts.pipeline("p", spec))
        submitted = [calls.submit("p", {"x": ROWS[rows]}) for rows in ([0, 1], [2, 3])]
        answers = [await calls.stack.gateway.result(submission) for submission in submitted]
    labels = [decode_tensors(InferResponse.FromString(answer.value))["predict"].tolist() for answer in answers]
    assert labels == [[0, 1], [0, 1]]
