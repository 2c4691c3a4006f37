"""How unusual values are against the reference, which the methods that look at single values share.

Every score is of the rows of the current window, one a row, NaN where the variable is absent.
"""

import numpy as np

from dfml_analysis.variables import Floats, Variable
from dfml_analysis.windows import Windows

LARGEST_SCORE = 1e12
"""A value that never varied and now does is unusual beyond measure; scores stay finite so that they can be added."""
SIGMAS = 3.0
"""From so many standard deviations on a value is anomalous, to the methods that need a limit."""


def reference_values(windows: Windows, variable: Variable) -> Floats:
    """Return the present values of the reference."""
    return np.asarray(variable.values[variable.present & (windows.window == 0)])


def current_values(windows: Windows, variable: Variable) -> Floats:
    """Return the values of the current window, absent ones as NaN."""
    return np.asarray(variable.values[windows.window == 1])


def deviations(values: Floats, reference: Floats) -> Floats:
    """Return ``|x - mean| / sd`` of the reference; 0 where the reference has no values."""
    if not reference.size:
        return np.where(np.isnan(values), np.nan, 0.0)
    centre = float(reference.mean())
    return in_units(np.abs(values - centre), float(spread(reference)), centre)


def spread(values: Floats) -> Floats:
    """Return the standard deviation along the first axis, of numbers whose squares are no numbers too."""
    largest = np.maximum(np.abs(values).max(axis=0), 1e-300)
    return np.asarray((values / largest).std(axis=0) * largest)


def in_units(distances: Floats, unit: float, centre: float) -> Floats:
    """Return distances in a unit; a unit of nothing counts as what rounding leaves of the centre."""
    with np.errstate(over="ignore"):
        scaled = distances / max(unit, 1e-12 * abs(centre), 1e-300)
    return np.minimum(scaled, LARGEST_SCORE)


def information(values: Floats, reference: Floats) -> Floats:
    """Return the information-theoretic anomaly score ``-log P(g(X) >= g(x))``, g the deviation.

    The probability is estimated by the reference's share, one added to both counts; so no score is above
    ``log(n + 1)`` for n values. Budhathoki, Minorics, Bloebaum, Janzing (2022), *Causal structure-based root cause
    analysis of outliers*, eq. 4.
    """
    ordered = np.sort(deviations(reference, reference))
    n_as_large = ordered.size - np.searchsorted(ordered, deviations(values, reference), side="left")
    return np.where(np.isnan(values), np.nan, np.log((ordered.size + 1) / (n_as_large + 1)))


def mean_information(windows: Windows, name: str) -> float:
    """Return the mean information score of a variable's present values in the current window; 0 without any."""
    variable = windows.variables[name]
    current = current_values(windows, variable)
    present = current[~np.isnan(current)]
    return float(information(present, reference_values(windows, variable)).mean()) if present.size else 0.0


def mean_shift(windows: Windows, name: str) -> float:
    """Return by how many standard errors the mean of the current window lies off; 0 where a window has no value."""
    variable = windows.variables[name]
    reference, current = reference_values(windows, variable), current_values(windows, variable)
    current = current[~np.isnan(current)]
    if not (reference.size and current.size):
        return 0.0
    unit = float(spread(reference)) * float(np.sqrt(1 / reference.size + 1 / current.size))
    distance = np.abs(current.mean(keepdims=True) - reference.mean())
    return float(in_units(distance, unit, float(reference.mean()))[0])
