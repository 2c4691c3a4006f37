"""The income classifier knows the odds that its generator drew by, refuses odd applications and notices drift."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfml import headers as h
from dfml.inference.codec import decode_tensors
from dfml.inference.oip_pb2 import InferResponse
from dfml.spec import parse_resources
from dfml.spec.schema import AnyResource
from experiments.apps.income import generator, models
from experiments.apps.income.faults import APP, ARTEFACTS, FAULTS, PIPELINE
from experiments.apps.income.generator import Applicant
from experiments.apps.income.train import train

BATCH = 32
N_APPLICANTS = 200


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("income")
    train(folder)
    return folder


@pytest.fixture(scope="module")
def applicants() -> list[Applicant]:
    return generator.draw_applicants(N_APPLICANTS, np.random.default_rng(21))


@pytest.fixture
def run_income(run_app: Callable[..., Any], artefacts: Path) -> Callable[..., Any]:
    """Start the app with the trained artefacts; more documents take the place of the pipeline's own."""

    def start(*rollouts: Path) -> Any:
        resources = [item for document in (APP / "pipeline.yaml", *rollouts) for item in documents(document, artefacts)]
        newest = {(item.kind, item.name): item for item in resources}
        return run_app(list(newest.values()), artefact_paths=(artefacts,))

    return start


def documents(path: Path, artefacts: Path) -> list[AnyResource]:
    return parse_resources(path.read_text().replace(str(ARTEFACTS), str(artefacts)), source=str(path))


def tensors(applicants: list[Applicant]) -> list[models.Tensors]:
    return [generator.to_tensors(applicant) for applicant in applicants]


def chances(answers: list[dict[str, Any]]) -> Any:
    """Return the probabilities in those answers that are no refusals."""
    return np.array([answer["predict_proba"][0, 1] for answer in answers if "predict_proba" in answer])


async def test_probabilities_are_those_of_the_generator_and_odd_applications_are_refused(
    run_income: Callable[..., Any], applicants: list[Applicant]
) -> None:
    async with run_income() as app:
        answers = await app.ask_all(PIPELINE, tensors(applicants))
        n_classified = len(app.records("model.income-classifier.inputs"))
    refused = np.array(["outlier" in answer for answer in answers])
    odd = np.array([applicant.is_odd for applicant in applicants])
    assert refused[odd].mean() >= 0.8
    assert refused[~odd].mean() <= 0.05
    assert n_classified == (~refused).sum()
    truth = np.array([applicant.probability for applicant in applicants])
    # A logistic regression on 20,000 rows is off by 1 / sqrt(20,000) x 10 parameters at most, on the logit's scale.
    kept = ~refused & ~odd
    given = np.array([answer["predict_proba"][0, 1] if "predict" in answer else np.nan for answer in answers])
    assert np.abs(given - truth)[kept].max() < 0.07
    labels = [answer["predict"].item() for answer, keep in zip(answers, kept, strict=True) if keep]
    assert labels == (given[kept] > 0.5).astype(int).tolist()


@pytest.mark.parametrize(("fault", "drifting"), [("none", False), ("recession", True)])
async def test_drift_is_told_for_each_batch_of_thirty_two(
    run_income: Callable[..., Any], applicants: list[Applicant], fault: str, drifting: bool
) -> None:
    sound = [applicant for applicant in applicants if not applicant.is_odd]
    async with run_income() as app:
        await app.ask_all(PIPELINE, tensors([FAULTS[fault].alter(applicant) for applicant in sound]))
        records = await app.wait_for_records("model.drift-detector.outputs", 4 * BATCH)
    batches = defaultdict(list)
    for record in records:
        batches[record.header(h.MEMBERS)].append(decode_tensors(InferResponse.FromString(record.value)))
    for members, answers in batches.items():
        assert members.count(b",") + 1 == len(answers) == BATCH
        assert {(answer["drift"].item(), answer["rows"].item()) for answer in answers} == {
            (answers[0]["drift"].item(), BATCH)
        }
    told = np.mean([answers[0]["drifting"].item() for answers in batches.values()])
    assert told >= 0.75 if drifting else told == 0


@pytest.mark.parametrize(("fault", "ratio"), [("preprocess", 1.5), ("classifier", 0.5)])
async def test_faulty_artefacts_change_the_probabilities(
    run_income: Callable[..., Any], applicants: list[Applicant], fault: str, ratio: float
) -> None:
    truth = np.mean([applicant.probability for applicant in applicants if not applicant.is_odd])
    async with run_income(FAULTS[fault].rollout) as app:
        changed = chances(await app.ask_all(PIPELINE, tensors(applicants[:60]))).mean() / truth
    assert changed > ratio if ratio > 1 else changed < ratio


async def test_faulty_gate_refuses_many(run_income: Callable[..., Any], applicants: list[Applicant]) -> None:
    async with run_income(FAULTS["gate"].rollout) as app:
        answers = await app.ask_all(PIPELINE, tensors(applicants[:60]))
    assert len(chances(answers)) < 0.75 * 60


def test_gate_emits_one_branch_alone() -> None:
    gate = models.OutlierGate("0")
    scores = np.array([0.1, -0.1])
    assert list(gate.predict({"decision_function": scores})) == ["outlier"]
    assert list(gate.predict({"decision_function": scores[:1]})) == ["inlier"]


def test_drift_counts_standard_errors_of_the_worst_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "reference.npz", mean=np.array([0.0, 1.0]), std=np.array([1.0, 2.0]))
    detector = models.DriftDetector(str(tmp_path / "reference.npz"))
    detector.load()
    answer = detector.predict({"transform": np.tile([0.5, 4.0], (4, 1))})
    assert (answer["drift"].item(), answer["drifting"].item(), answer["rows"].item()) == (3.0, False, 4)


def test_one_seed_draws_the_same_applicants() -> None:
    first, same, other = (generator.draw_applicants(5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == same != other


def test_labels_are_drawn_by_the_probabilities() -> None:
    rng = np.random.default_rng(4)
    drawn = generator.draw_applicants(20_000, rng)
    share = generator.draw_labels(drawn, rng).mean()
    expected = np.mean([applicant.probability for applicant in drawn])
    assert abs(share - expected) < 4 * 0.5 / np.sqrt(20_000)
