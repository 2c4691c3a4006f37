"""The claims app gives the answers worked out by hand, and its claims follow the documented distribution."""

import math
import time

import numpy as np
import pytest

from dfml.spec import load_files
from dfml.spec.schema import Model, Pipeline
from dfml_engine.runtimes.base import Context
from experiments.apps.insurance_claims import faults, generator, models
from experiments.apps.insurance_claims.faults import APP, FAULTS, PIPELINE
from experiments.apps.insurance_claims.generator import Claim

N_CLAIMS = 20_000


def tensors(**values: object) -> models.Tensors:
    return {name: np.array([value]) for name, value in values.items()}


def low_claim(amount: float, **fields: object) -> models.Tensors:
    return tensors(low=amount, **{"car_year": 2020, "witnesses": 1, "police_report": True} | fields)


@pytest.fixture(scope="module")
def claims() -> list[Claim]:
    return generator.draw_claims(N_CLAIMS, np.random.default_rng(7))


def test_claim_value_adds_five_percent() -> None:
    assert models.value_claim(tensors(amount=10_000.0))["value"].item() == pytest.approx(10_500.0)


@pytest.mark.parametrize(("value", "branch"), [(59_999.99, "low"), (60_000.0, "high"), (126_000.0, "high")])
def test_value_split_emits_the_amount_on_one_branch_alone(value: float, branch: str) -> None:
    emitted = models.split_by_value(tensors(value=value, amount=123.0))
    assert list(emitted) == [branch]
    assert emitted[branch].item() == 123.0


@pytest.mark.parametrize(
    ("claim", "branch"),
    [
        (low_claim(40_000.0), "simple"),
        (low_claim(40_010.0), "complex"),
        (low_claim(15_000.0, police_report=False), "simple"),
        (low_claim(15_010.0, police_report=False), "complex"),
        (low_claim(1_000.0, car_year=2004, witnesses=0), "complex"),
        (low_claim(1_000.0, car_year=2005, witnesses=0), "simple"),
        (low_claim(1_000.0, car_year=2004, witnesses=1), "simple"),
    ],
)
def test_classifier_follows_its_documented_rule(claim: models.Tensors, branch: str) -> None:
    assert models.classify(claim) == {branch: claim["low"]}


def test_absent_witnesses_count_as_none() -> None:
    claim = low_claim(1_000.0, car_year=1999)
    del claim["witnesses"]
    assert list(models.classify(claim)) == ["complex"]


def test_payouts_are_their_shares_of_the_amount() -> None:
    assert models.pay_simple(tensors(amount=10_000.0))["payout"].item() == pytest.approx(8_000.0)
    assert models.pay_complex(tensors(amount=10_000.0))["payout"].item() == pytest.approx(6_000.0)


def test_one_seed_draws_the_same_claims() -> None:
    drawn = [generator.draw_claims(50, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_amounts_have_the_documented_median_spread_and_limits(claims: list[Claim]) -> None:
    amounts = np.array([claim.amount for claim in claims])
    # Four standard errors of a median: 4 x 1.2533 x sigma / sqrt(n), on the logarithm's scale.
    tolerance = 4 * 1.2533 * generator.AMOUNT_SIGMA / math.sqrt(N_CLAIMS)
    assert abs(math.log(np.median(amounts) / generator.AMOUNT_MEDIAN)) < tolerance
    assert amounts.min() >= 500
    assert amounts.max() <= 120_000
    assert np.all(amounts % 10 == 0)


@pytest.mark.parametrize(("branch", "expected"), [("high", 0.167), ("complex", 0.342)])
def test_branches_are_taken_as_often_as_documented(claims: list[Claim], branch: str, expected: float) -> None:
    high = [claim for claim in claims if claim.amount * models.VALUE_FACTOR >= models.HIGH_VALUE]
    low = [claim for claim in claims if claim.amount * models.VALUE_FACTOR < models.HIGH_VALUE]
    needs_expert = [
        models.is_complex(claim.amount, claim.car_year, claim.witnesses or 0, police_report=claim.police_report)
        for claim in low
    ]
    share = len(high) / N_CLAIMS if branch == "high" else float(np.mean(needs_expert))
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / len(low))


def test_witnesses_and_years_have_the_documented_probabilities(claims: list[Claim]) -> None:
    witnesses = np.bincount([claim.witnesses or 0 for claim in claims], minlength=5) / N_CLAIMS
    assert np.abs(witnesses - generator.WITNESS_PROBABILITIES).max() < 4 * 0.5 / math.sqrt(N_CLAIMS)
    assert {claim.car_year for claim in claims} == set(range(1995, 2025))


def test_large_claims_are_reported_more_often_than_small_ones(claims: list[Claim]) -> None:
    small = np.mean([claim.police_report for claim in claims if claim.amount < 5_000])
    large = np.mean([claim.police_report for claim in claims if claim.amount > 50_000])
    assert small < 0.35
    assert large > 0.95


def test_request_leaves_an_absent_field_out() -> None:
    claim = FAULTS["witnesses"].alter(Claim(500.0, 2001, 2, police_report=True))
    body = generator.to_request(claim, "c-1")
    assert body["id"] == "c-1"
    assert [tensor["name"] for tensor in body["inputs"]] == ["amount", "car_year", "police_report"]  # type: ignore[attr-defined]


def test_unit_change_multiplies_the_amount_and_nothing_else() -> None:
    assert FAULTS["amounts"].alter(Claim(500.0, 2001, 2, police_report=True)) == Claim(750.0, 2001, 2, True)


def test_faulty_classifier_calls_a_complex_claim_simple() -> None:
    claim = low_claim(50_000.0)
    assert models.classify(claim) == {"complex": claim["low"]}
    assert faults.classify_all_simple(claim) == {"simple": claim["low"]}


def test_slow_payout_is_right_and_takes_at_least_twenty_milliseconds() -> None:
    started = time.perf_counter()
    payout = faults.pay_complex_slowly(tensors(amount=100.0), Context("c-1"))["payout"].item()
    assert payout == pytest.approx(60.0)
    assert time.perf_counter() - started >= 0.020


def test_failing_split_raises_on_about_fifteen_percent_of_request_ids() -> None:
    n_failed = 0
    for number in range(1_000):
        try:
            faults.split_or_fail(tensors(value=1.0, amount=1.0), Context(f"c-{number}"))
        except ConnectionError:
            n_failed += 1
    assert 100 <= n_failed <= 200


def test_pipeline_document_has_a_model_for_every_step() -> None:
    resources = load_files([APP / "pipeline.yaml"])
    pipeline = next(resource for resource in resources if isinstance(resource, Pipeline))
    assert pipeline.name == PIPELINE
    assert {step.name for step in pipeline.spec.steps} == {item.name for item in resources if isinstance(item, Model)}
