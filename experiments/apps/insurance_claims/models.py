"""The five steps of the claims pipeline as plain functions: tensors by name in, tensors by name out.

A claim is one request; every tensor holds one number, shape ``[1]``. A step that chooses a branch emits only the tensor
of that branch, and that tensor carries the claim's amount.

==============  ==============================================  =============================================
step            reads                                           emits
==============  ==============================================  =============================================
claim-value     ``amount``                                      ``value`` = 1.05 x amount
value-split     ``value``, ``amount``                           ``high`` when value >= 60,000, else ``low``
classifier      ``low``, ``car_year``, ``witnesses``,           ``complex`` or ``simple``, see
                ``police_report``                               :func:`is_complex`
simple-payout   ``amount``                                      ``payout`` = 0.8 x amount
complex-payout  ``amount``                                      ``payout`` = 0.6 x amount
==============  ==============================================  =============================================
"""

from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray[Any, Any]]
"""Tensors by name; a tensor that the caller did not send is not in it."""

VALUE_FACTOR = 1.05
HIGH_VALUE = 60_000
SIMPLE_SHARE = 0.8
COMPLEX_SHARE = 0.6

COMPLEX_AMOUNT = 40_000
UNREPORTED_AMOUNT = 15_000
OLD_CAR_YEAR = 2005


def is_complex(amount: float, car_year: int, witnesses: int, *, police_report: bool) -> bool:
    """Return whether a claim under the high value needs an expert.

    It does when the amount is over 40,000, or over 15,000 without a police report, or when nobody saw what happened to
    a car built before 2005.
    """
    unreported = amount > UNREPORTED_AMOUNT and not police_report
    unseen = car_year < OLD_CAR_YEAR and witnesses == 0
    return amount > COMPLEX_AMOUNT or unreported or unseen


def value_claim(inputs: Tensors) -> Tensors:
    """Return the claim's ``value``: the amount with the 5 % that handling costs."""
    return {"value": inputs["amount"] * VALUE_FACTOR}


def split_by_value(inputs: Tensors) -> Tensors:
    """Pass the amount on as ``high`` when the value is 60,000 or more, else as ``low``."""
    branch = "high" if inputs["value"].item() >= HIGH_VALUE else "low"
    return {branch: inputs["amount"]}


def classify(inputs: Tensors) -> Tensors:
    """Pass the amount of a low claim on as ``complex`` or ``simple``; absent witnesses count as none."""
    witnesses = inputs["witnesses"].item() if "witnesses" in inputs else 0
    needs_expert = is_complex(
        inputs["low"].item(),
        inputs["car_year"].item(),
        witnesses,
        police_report=inputs["police_report"].item(),
    )
    return {"complex" if needs_expert else "simple": inputs["low"]}


def pay_simple(inputs: Tensors) -> Tensors:
    """Return the ``payout`` of a simple claim."""
    return {"payout": inputs["amount"] * SIMPLE_SHARE}


def pay_complex(inputs: Tensors) -> Tensors:
    """Return the ``payout`` of a complex or high claim."""
    return {"payout": inputs["amount"] * COMPLEX_SHARE}
