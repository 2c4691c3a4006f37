"""Tail probabilities of a sum of weighted coin flips, by the saddlepoint approximation.

Given the parents, a row belongs to the current window with probability e; under one mechanism its (residual) value
tells nothing more. So ``T = sum (W - e) a`` has a known distribution given the values, whatever theirs is: no
moment of the data has to exist. Daniels (1987), "Tail probability approximations", in the form r* of
Barndorff-Nielsen (1986), which keeps its relative accuracy far out in the tail.
"""

import numpy as np
from scipy.special import expit, log_ndtr, stdtr

from dfml_analysis.variables import Floats

MAX_STEPS = 30
TOLERANCE = 1e-8
LARGE = 200.0
"""From here Student's t and the normal distribution differ by less than the saddlepoint's own error."""
FAR = 2.0
"""Nearer to the centre than so many standard deviations no correction makes evidence, and it costs most of the time."""
NEAR_CENTRE = 1e-3
"""Below this many standard deviations the formula is 0/0; the normal distribution is exact enough there."""


def log_two_sided(
    probability: Floats,
    weights: Floats,
    surplus: Floats,
    freedom: "float | Floats" = np.inf,
    inflation: "float | Floats" = 1.0,
) -> tuple[Floats, Floats]:
    """Return the natural logarithm of two-sided p-values, and the z-scores, of the sums ``surplus @ weights``.

    Parameters
    ----------
    probability : array, shape (n,)
        e, the coins.
    weights : array, shape (n, k)
        a, one column a test.
    surplus : array, shape (n,)
        W - e as observed.
    freedom : float, or array of shape (k,)
        Degrees of freedom left after e was estimated; few of them make the tail Student's.
    inflation : float, or array of shape (k,)
        By how much rows that depend on one another inflate the sum's variance (:mod:`dfml_analysis.dependence`).

    Returns
    -------
    log_p, z : arrays, shape (k,)
        log_p is 0 where all weights are 0.
    """
    spread = np.sqrt((probability * (1.0 - probability)) @ weights**2)
    usable = spread > 1e-12 * max(float(weights.max(initial=0.0)), -float(weights.min(initial=0.0)), 1e-300)
    log_p, z = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    if usable.any():
        z[usable] = (surplus @ weights)[usable] / spread[usable]
        distance = np.abs(z)
        for index in np.flatnonzero(distance > FAR):
            scaled = weights[:, index] * (np.sign(z[index]) / spread[index])
            distance[index] = _signed_root(probability, scaled, distance[index])
        root = distance[usable]
        root /= np.sqrt(np.broadcast_to(inflation, z.shape)[usable])
        left = np.broadcast_to(freedom, z.shape)[usable]
        student = np.log(np.maximum(stdtr(np.clip(left, 1.0, LARGE), -root), 1e-300))
        one_sided = np.where(left > LARGE, log_ndtr(-root), student)
        log_p[usable] = np.minimum(one_sided + np.log(2.0), 0.0)
    return log_p, z


def _signed_root(probability: Floats, a: Floats, observed: float) -> float:
    """Return r*, as normal as the sum of unit variance is not, for an observed sum of 0 or more; all shapes (n,)."""
    heavy = a != 0.0
    e, a = probability[heavy], a[heavy]
    logit = np.log(e) - np.log1p(-e)
    centre = float(e @ a)
    highest = float(a[a > 0].sum()) - centre
    target = min(observed, highest * (1.0 - 1e-3))
    squares, s = a * a, 0.0
    for _ in range(MAX_STEPS):
        tilted = expit(logit + s * a)
        slope = float(tilted @ a) - centre - target
        curvature = float((tilted * (1.0 - tilted)) @ squares)
        step = min(max(slope / max(curvature, 1e-12), -2.0), 2.0)
        s = max(s - step, 0.0)
        if abs(step) < TOLERANCE * (1.0 + s):
            break
    tilted = expit(logit + s * a)
    curvature = float((tilted * (1.0 - tilted)) @ squares)
    cumulant = float((np.log1p(-e) + np.logaddexp(0.0, logit + s * a)).sum()) - s * centre
    w = np.sqrt(max(2.0 * (s * target - cumulant), 0.0))
    v = s * np.sqrt(max(curvature, 1e-300))
    return observed if min(w, v) < NEAR_CENTRE else float(w + np.log(v / w) / w)
