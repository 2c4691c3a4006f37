"""A variable's regression on its parents, fitted to the reference: what several methods ask of a mechanism."""

from dataclasses import dataclass

import numpy as np

from dfml_analysis.localisers.anomaly import spread
from dfml_analysis.variables import Floats, Variable
from dfml_analysis.windows import Windows

RIDGE = 1e-6
"""Added to the standardised columns' covariance, so that parents that say the same are no failure."""

FURTHEST = 1e6
"""Standard deviations from which on a parent counts as so far off: beyond, a square is no number any more."""


@dataclass(frozen=True, slots=True)
class Regression:
    """Least squares on standardised parents, their squares too if ``quadratic``.

    Attributes
    ----------
    centres, units : array, shape (d,)
        The parents' means and standard deviations in the reference.
    mean, coefficients : float, array
        The child's mean in the reference, and the coefficients of the centred design.
    design_mean : array
    residuals : array
        The reference's, where child and parents are present.
    quadratic : bool
    """

    centres: Floats
    units: Floats
    mean: float
    coefficients: Floats
    design_mean: Floats
    residuals: Floats
    quadratic: bool

    def predict(self, pa: Floats) -> Floats:
        """Return the expected child, shape (n,), for parents of shape (n, d); NaN where a parent is."""
        design = _design(_scaled(pa, self.centres, self.units), quadratic=self.quadratic)
        return np.asarray(self.mean + (design - self.design_mean) @ self.coefficients)


def fit_reference(windows: Windows, child: Variable, parents: list[Variable], *, quadratic: bool) -> Regression | None:
    """Return the regression of a child on its parents in the reference; None without two complete rows."""
    pa, y = stack(parents, child.values.size), child.values
    rows = (windows.window == 0) & child.present & ~np.isnan(pa).any(axis=1)
    if rows.sum() < 2:
        return None
    pa, y = pa[rows], y[rows]
    centres = pa.mean(axis=0)
    units = np.maximum(np.maximum(spread(pa), 1e-12 * np.abs(centres)), 1e-300)
    design = _design(_scaled(pa, centres, units), quadratic=quadratic)
    design_mean, mean = design.mean(axis=0), float(y.mean())
    centred = design - design_mean
    gram = centred.T @ centred / len(y) + RIDGE * np.eye(centred.shape[1])
    coefficients = np.linalg.solve(gram, centred.T @ (y - mean) / len(y))
    residuals = y - mean - centred @ coefficients
    return Regression(centres, units, mean, coefficients, design_mean, residuals, quadratic)


def stack(parents: list[Variable], n_rows: int) -> Floats:
    """Return the parents' values, shape (n, d); of shape (n, 0) without any."""
    return np.column_stack([parent.values for parent in parents]) if parents else np.empty((n_rows, 0))


def _scaled(pa: Floats, centres: Floats, units: Floats) -> Floats:
    return np.clip((pa - centres) / units, -FURTHEST, FURTHEST)


def _design(scaled: Floats, *, quadratic: bool) -> Floats:
    return np.hstack([scaled, np.square(scaled)]) if quadratic else scaled
