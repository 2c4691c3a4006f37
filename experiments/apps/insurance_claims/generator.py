"""Synthetic claims with a documented distribution, reproducible by seed.

=================  ====================================================================================================
``amount``         log-normal, median 24,000, sigma 0.9, limited to 500 .. 120,000, rounded to tens; the value is
                   60,000 or more (high) for 17 % of the claims, and 34 % of the others are complex
``car_year``       uniform on 1995 .. 2024
``witnesses``      0, 1, 2, 3, 4 with probability 0.35, 0.30, 0.20, 0.10, 0.05
``police_report``  yes with probability logistic((amount - 12,000) / 10,000): one scratch in four, every wreck
=================  ====================================================================================================

Amount, year and witnesses are independent of one another.
"""

from dataclasses import dataclass

import numpy as np

from experiments.apps.insurance_claims.models import Tensors

AMOUNT_MEDIAN = 24_000.0
AMOUNT_SIGMA = 0.9
AMOUNT_RANGE = (500.0, 120_000.0)
CAR_YEARS = (1995, 2024)
WITNESS_PROBABILITIES = (0.35, 0.30, 0.20, 0.10, 0.05)
REPORT_MIDPOINT = 12_000.0
REPORT_SCALE = 10_000.0


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim as its caller sends it; ``witnesses`` None means that the field is not in the request."""

    amount: float
    car_year: int
    witnesses: int | None
    police_report: bool


def draw_claims(n_claims: int, rng: np.random.Generator) -> list[Claim]:
    """Draw that many claims from the distribution of the module's table."""
    amounts = np.exp(rng.normal(np.log(AMOUNT_MEDIAN), AMOUNT_SIGMA, n_claims))
    amounts = np.round(np.clip(amounts, *AMOUNT_RANGE), -1)
    years = rng.integers(CAR_YEARS[0], CAR_YEARS[1] + 1, n_claims)
    witnesses = rng.choice(len(WITNESS_PROBABILITIES), size=n_claims, p=WITNESS_PROBABILITIES)
    report_probability = 1 / (1 + np.exp(-(amounts - REPORT_MIDPOINT) / REPORT_SCALE))
    reports = rng.random(n_claims) < report_probability
    drawn = zip(amounts.tolist(), years.tolist(), witnesses.tolist(), reports.tolist(), strict=True)
    return [Claim(*values) for values in drawn]


def to_tensors(claim: Claim) -> Tensors:
    """Return the tensors of the claim's request."""
    fields = {
        "amount": np.array([claim.amount]),
        "car_year": np.array([claim.car_year]),
        "witnesses": np.array([claim.witnesses]),
        "police_report": np.array([claim.police_report]),
    }
    return {name: array for name, array in fields.items() if name != "witnesses" or claim.witnesses is not None}


def to_request(claim: Claim, request_id: str) -> dict[str, object]:
    """Return the claim as the JSON body of an Open Inference request."""
    fields = (
        ("amount", "FP64", claim.amount),
        ("car_year", "INT64", claim.car_year),
        ("witnesses", "INT64", claim.witnesses),
        ("police_report", "BOOL", claim.police_report),
    )
    tensors = [
        {"name": name, "shape": [1], "datatype": datatype, "data": [value]}
        for name, datatype, value in fields
        if value is not None
    ]
    return {"id": request_id, "inputs": tensors}
