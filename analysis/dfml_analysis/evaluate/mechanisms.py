"""Ten families of mechanisms, from parents to a child, each with standardised parents in mind."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from dfml_analysis.variables import Floats

NOISE_SD = 0.5
"""Standard deviation of the additive noise, against signals of standard deviation 1 to 2."""

Mechanism = Callable[[Floats, np.random.Generator], Floats]
"""From parents, shape (n, d), to the child, shape (n,)."""


def _with_noise(signal: Callable[[Floats], Floats]) -> Mechanism:
    def mechanism(pa: Floats, rng: np.random.Generator) -> Floats:
        return signal(pa) + rng.normal(0.0, NOISE_SD, pa.shape[0])

    return mechanism


def _total(pa: Floats) -> Floats:
    return np.asarray(pa.sum(axis=1) / np.sqrt(pa.shape[1]))


def _heteroscedastic(pa: Floats, rng: np.random.Generator) -> Floats:
    x = _total(pa)
    return np.asarray(x + NOISE_SD * np.exp(0.5 * np.clip(x, -4.0, 4.0)) * rng.normal(0.0, 1.0, x.size))


def _discrete(pa: Floats, rng: np.random.Generator) -> Floats:
    x = _total(pa)
    return np.asarray((rng.logistic(0.0, 1.0, x.size) < 1.5 * x).astype(np.float64))


FAMILIES: Mapping[str, Mechanism] = MappingProxyType(
    {
        "linear": _with_noise(_total),
        "square": _with_noise(lambda pa: _total(pa) ** 2),
        "sine": _with_noise(lambda pa: np.sin(2.0 * _total(pa))),
        "step": _with_noise(lambda pa: np.where(_total(pa) > 0.3, 2.0, 0.0)),
        "exponential": _with_noise(lambda pa: np.exp(np.clip(_total(pa), -10.0, 10.0))),
        "product": _with_noise(lambda pa: pa.prod(axis=1) + _total(pa)),
        "absolute": _with_noise(lambda pa: np.abs(_total(pa))),
        "heteroscedastic": _heteroscedastic,
        "discrete": _discrete,
        "exact": lambda pa, _rng: 2.0 * _total(pa) + 1.0,
    }
)
"""The families by name."""
