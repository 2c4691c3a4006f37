"""Synthetic minutes of a town's drivers and riders, reproducible by seed.

==========  ============================================================================================================
``driver``  Poisson with mean 10, each uniform over the town's square of 10 km; online with probability 0.9
``rider``   1 + Poisson with mean 7, each normal around the town's centre with standard deviation 2 km; those who
            stand outside the town are refused
==========  ============================================================================================================
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.apps.ride_allocation.models import TOWN_KM, Tensors, keep_in_town, keep_online

MEAN_DRIVERS = 10
MEAN_FURTHER_RIDERS = 7
CENTRE_KM, SPREAD_KM = TOWN_KM / 2, 2.0
ONLINE = 0.9


@dataclass(frozen=True, slots=True)
class Minute:
    """Where drivers [d, 2] and riders [r, 2] are, km, and which drivers are online [d]."""

    driver: np.ndarray[Any, Any]
    online: np.ndarray[Any, Any]
    rider: np.ndarray[Any, Any]


def draw_minutes(n_minutes: int, rng: np.random.Generator) -> list[Minute]:
    """Draw that many minutes from the distribution of the module's table."""
    return [_draw_minute(rng) for _ in range(n_minutes)]


def _draw_minute(rng: np.random.Generator) -> Minute:
    n_drivers, n_riders = int(rng.poisson(MEAN_DRIVERS)), 1 + int(rng.poisson(MEAN_FURTHER_RIDERS))
    return Minute(
        driver=rng.uniform(0, TOWN_KM, (n_drivers, 2)),
        online=rng.random(n_drivers) < ONLINE,
        rider=rng.normal(CENTRE_KM, SPREAD_KM, (n_riders, 2)),
    )


def to_driver_tensors(minute: Minute) -> Tensors:
    """Return the tensors of the minute's request to the pipeline of drivers."""
    return {"driver": minute.driver, "online": minute.online}


def to_rider_tensors(minute: Minute) -> Tensors:
    """Return the tensors of the minute's request to the pipeline of riders."""
    return {"rider": minute.rider}


def to_tensors(minute: Minute) -> Tensors:
    """Return the tensors of a request to the allocation itself: what the two pipelines would have handed it."""
    return {**keep_online(to_driver_tensors(minute)), **keep_in_town(to_rider_tensors(minute))}
