"""From the tests of all variables to a verdict: fault, input shift, nothing, or not enough to say.

The chance of any false accusation is held at ``ALPHA`` over all variables (Holm 1979, which is stricter than a false
discovery rate: one certain culprit shall not make room for an uncertain one). What passes only at ``ALPHA_WEAK`` is no
verdict but is shown, as ``undecided``.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from dfml_analysis.mechanisms import MechanismTest
from dfml_analysis.variables import Floats

ALPHA = 0.01
"""One false alarm in a hundred windows: an operator who watches a window an hour hears one in four days."""
ALPHA_WEAK = 0.05
ALPHA_WINDOW = 0.02
"""For windows that are compared with normal ones of their length: 49 of those can say no more."""
ALPHA_TARGET = 0.001
"""At which the target is said to have moved although no mechanism's change is proven: no case of "nothing changed"."""


class Verdict(StrEnum):
    """What became of the pipeline between the two windows."""

    FAULT = "fault"
    INPUT_SHIFT = "input_shift"
    NO_CHANGE = "no_change"
    UNDECIDED = "undecided"


def adjusted_log_p(log_p: Sequence[float], tested: Sequence[bool]) -> Floats:
    """Return p-values adjusted by Holm's method, as natural logarithms; 0 for what could not be tested.

    Examples
    --------
    >>> [round(float(p), 3) for p in np.exp(adjusted_log_p([np.log(0.01), np.log(0.5)], [True, True]))]
    [0.02, 0.5]
    """
    family = np.asarray(tested, dtype=bool)
    values = np.asarray(log_p, dtype=np.float64)[family]
    order = np.argsort(values)
    remaining = np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] + np.log(remaining)), 0.0)
    result = np.zeros(family.size)
    result[family] = adjusted
    return result


def decide(tests: Sequence[MechanismTest], adjusted: Floats) -> tuple[Verdict, list[int]]:
    """Return the verdict and the indices of the changed variables.

    A changed mechanism is a fault, whatever else changed; changed roots alone are an input shift.
    """
    changed = [index for index in range(len(tests)) if adjusted[index] <= np.log(ALPHA)]
    if changed:
        only_roots = all(tests[index].root for index in changed)
        return Verdict.INPUT_SHIFT if only_roots else Verdict.FAULT, changed
    weak = [index for index in range(len(tests)) if adjusted[index] <= np.log(ALPHA_WEAK)]
    if weak or (tests and not any(test.comparable for test in tests)):
        return Verdict.UNDECIDED, weak
    return Verdict.NO_CHANGE, []
