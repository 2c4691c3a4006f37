"""One variable before and after, in a few numbers."""

import numpy as np

from dfml_analysis.localisation import Summary
from dfml_analysis.variables import Floats, Variable


def summarise(variable: Variable, window: Floats) -> tuple[Summary, Summary]:
    """Return the summaries of the reference and of the current window."""
    before, after = (_summary(variable, window == side) for side in (0, 1))
    return before, after


def _summary(variable: Variable, rows: np.ndarray) -> Summary:
    values = variable.values[rows & variable.present]
    n = int(rows.sum())
    if values.size == 0:
        return Summary(n, 0, float("nan"), float("nan"), float("nan"))
    return Summary(n, values.size, float(values.mean()), float(values.std()), float(np.median(values)))
