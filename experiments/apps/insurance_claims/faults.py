"""What can go wrong with the claims pipeline, each a switch with a known culprit.

A fault in a step's code is a new version of its model, loaded while the pipeline runs (``rollouts/``), as a bug arrives
in earnest; the faulty versions stand below. A fault of the caller changes the claims before they are sent.
"""

import time
import zlib
from dataclasses import replace
from pathlib import Path

from dfml_engine.runtimes.base import Context
from experiments.apps.fault import Fault
from experiments.apps.insurance_claims.generator import Claim
from experiments.apps.insurance_claims.models import Tensors, pay_complex, split_by_value

APP = Path(__file__).parent
PIPELINE = "insurance-claims"
TARGET = "insurance-claims.outputs.payout"
"""The variable whose change is to be explained: what callers are paid."""

UNIT_CHANGE = 1.5
FAILING_PERCENT = 15
SLOW_S = (0.020, 0.030)


def classify_all_simple(inputs: Tensors) -> Tensors:
    """Say of every low claim that it is simple, whatever it holds."""
    return {"simple": inputs["low"]}


def pay_complex_slowly(inputs: Tensors, context: Context) -> Tensors:
    """Pay a complex claim correctly, after 20 to 30 ms that depend on the request's id alone."""
    shortest, longest = SLOW_S
    time.sleep(shortest + (longest - shortest) * _percent(context.request_id) / 100)
    return pay_complex(inputs)


def split_or_fail(inputs: Tensors, context: Context) -> Tensors:
    """Split by value, or raise on 15 % of the requests, chosen by their id alone.

    Raises
    ------
    ConnectionError
        For the chosen requests, as when a service behind the step is not there.
    """
    if _percent(context.request_id) < FAILING_PERCENT:
        msg = "the rate table did not answer"
        raise ConnectionError(msg)
    return split_by_value(inputs)


def _percent(request_id: str) -> int:
    """Spread request ids evenly over 0 .. 99, the same in every process."""
    return zlib.crc32(request_id.encode()) % 100


def _in_other_units(claim: Claim) -> Claim:
    return replace(claim, amount=claim.amount * UNIT_CHANGE)


def _without_witnesses(claim: Claim) -> Claim:
    return replace(claim, witnesses=None)


_ALL: tuple[Fault[Claim], ...] = (
    Fault("none", "nothing changes", "no_change"),
    Fault(
        "classifier",
        "a new version of the classifier says of every claim that it is simple",
        "fault",
        "classifier",
        "presence",
        APP / "rollouts" / "classifier.yaml",
    ),
    Fault("amounts", "the caller sends amounts x 1.5", "input_shift", PIPELINE, "input", alter=_in_other_units),
    Fault(
        "slow",
        "a new version of complex-payout takes 20 to 30 ms",
        "fault",
        "complex-payout",
        "latency",
        APP / "rollouts" / "slow.yaml",
    ),
    Fault(
        "failing",
        "a new version of value-split raises on 15 % of the requests",
        "fault",
        "value-split",
        "error",
        APP / "rollouts" / "failing.yaml",
    ),
    Fault(
        "witnesses",
        "the caller loses the witnesses field",
        "input_shift",
        PIPELINE,
        "input",
        alter=_without_witnesses,
    ),
)
FAULTS = {fault.name: fault for fault in _ALL}
"""Every switch by its name."""
