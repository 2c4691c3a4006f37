"""The steps of the ride allocation as plain functions: tensors by name in, tensors by name out.

The *state* of an allocation is ``driver`` FP64 [d, 2] and ``rider`` FP64 [r, 2] (positions, km), ``driver_of`` INT64
[r] (the driver's number, -1 for none yet), ``widenings`` INT64 [r] (how often the radius was widened for this rider)
and ``radius_km`` FP64 [1].

================  ================================  ====================================================================
step              reads                             emits
================  ================================  ====================================================================
driver-positions  ``driver``, ``online`` BOOL [d]   ``driver``: those that are online
rider-requests    ``rider``                         ``rider``: those in town
market            ``driver``, ``rider``             the state, nobody allocated; ``supply`` FP64 [1], drivers per rider
allocator         the state                         the state, with the drivers of riders within the radius;
                                                    ``allocated`` INT64 [1], how many this round
dispatcher        the state                         the state with a wider radius, each name begun with ``open_``, when
                                                    another round may help; else the state and ``served`` INT64 [1]
waiting-time      the state                         ``wait_min`` FP64 [r], ``driver_of``, ``served`` INT64 [1],
                                                    ``mean_wait_min`` FP64 [1]
================  ================================  ====================================================================
"""

from typing import Any

import numpy as np
from scipy import optimize

Array = np.ndarray[Any, Any]
Tensors = dict[str, Array]

TOWN_KM = 10.0
"""The town is a square of this side."""
RADIUS_RANGE_KM = (0.5, 2.0)
"""The first radius: 1 km where there is a driver for each rider, less where there are more."""
MAX_RADIUS_KM = 8.0
SPEED_KMH = 30.0
WIDENING_MIN = 1.0
"""What a round costs a rider."""
PRESSURE_MIN = 3.0
"""What each further rider per driver costs everybody."""
PATIENCE_MIN = 30.0
"""When a rider gives up."""
FORBIDDEN = 1e6
NOBODY = -1


def keep_online(inputs: Tensors) -> Tensors:
    """Leave out drivers who are not at work."""
    return {"driver": inputs["driver"][inputs["online"]]}


def keep_in_town(inputs: Tensors) -> Tensors:
    """Leave out riders who stand outside the town."""
    rider = inputs["rider"]
    return {"rider": rider[((rider >= 0) & (rider <= TOWN_KM)).all(axis=1)]}


def open_market(inputs: Tensors) -> Tensors:
    """Begin an allocation: the first radius is small where drivers are many."""
    driver, rider = inputs["driver"], inputs["rider"]
    supply = len(driver) / max(len(rider), 1)
    radius_km = float(np.clip(1 / supply, *RADIUS_RANGE_KM)) if supply else RADIUS_RANGE_KM[1]
    return {
        "driver": driver,
        "rider": rider,
        "driver_of": np.full(len(rider), NOBODY),
        "widenings": np.zeros(len(rider), dtype=np.int64),
        "radius_km": np.array([radius_km]),
        "supply": np.array([supply]),
    }


def allocate(inputs: Tensors) -> Tensors:
    """Give each rider without a driver a free one within the radius: as many as can be, by the shortest ways."""
    waiting, free, km = find_open(inputs)
    costs = np.where(km <= inputs["radius_km"].item(), km, FORBIDDEN)
    pairs = zip(*optimize.linear_sum_assignment(costs), strict=True)
    return with_pairs(inputs, [(waiting[row], free[column]) for row, column in pairs if costs[row, column] < FORBIDDEN])


def find_open(state: Tensors) -> tuple[Array, Array, Array]:
    """Return the riders without a driver, the drivers without a rider, and the ways between them [riders, drivers]."""
    waiting = np.flatnonzero(state["driver_of"] == NOBODY)
    free = np.setdiff1d(np.arange(len(state["driver"])), state["driver_of"])
    km = np.linalg.norm(state["rider"][waiting][:, None] - state["driver"][free][None], axis=-1)
    return waiting, free, km


def with_pairs(state: Tensors, pairs: list[tuple[Any, Any]]) -> Tensors:
    """Return the state with these riders' drivers."""
    driver_of = state["driver_of"].copy()
    for rider, driver in pairs:
        driver_of[rider] = driver
    kept = {name: state[name] for name in ("driver", "rider", "widenings", "radius_km")}
    return {**kept, "driver_of": driver_of, "allocated": np.array([len(pairs)])}


def dispatch(inputs: Tensors) -> Tensors:
    """Send the drivers out, or go round again when riders wait, drivers are free and the radius can be wider."""
    return dispatch_within(inputs, MAX_RADIUS_KM)


def dispatch_within(inputs: Tensors, max_radius_km: float) -> Tensors:
    """Go round again as long as the radius is under that."""
    waiting = inputs["driver_of"] == NOBODY
    n_served = len(waiting) - int(waiting.sum())
    state = {name: inputs[name] for name in ("driver", "rider", "driver_of", "widenings", "radius_km")}
    radius_km = inputs["radius_km"].item()
    if n_served in {len(waiting), len(inputs["driver"])} or radius_km >= max_radius_km:
        return {**state, "served": np.array([n_served])}
    state["widenings"] = inputs["widenings"] + waiting
    state["radius_km"] = np.array([min(2 * radius_km, max_radius_km)])
    return {f"open_{name}": array for name, array in state.items()}


def tell_waiting_times(inputs: Tensors) -> Tensors:
    """Tell each rider how long the driver takes: the way, the rounds, and what scarcity costs everybody."""
    driver, rider, driver_of = inputs["driver"], inputs["rider"], inputs["driver_of"]
    is_served = driver_of != NOBODY
    wait_min = np.full(len(rider), PATIENCE_MIN)
    if is_served.any():
        km = np.linalg.norm(rider[is_served] - driver[driver_of[is_served]], axis=1)
        pressure = max(len(rider) / len(driver) - 1, 0) * PRESSURE_MIN
        wait_min[is_served] = 60 * km / SPEED_KMH + WIDENING_MIN * inputs["widenings"][is_served] + pressure
    wait_min = np.minimum(wait_min, PATIENCE_MIN)
    return {
        "wait_min": wait_min,
        "driver_of": driver_of,
        "served": np.array([int(is_served.sum())]),
        "mean_wait_min": np.array([wait_min.mean() if len(rider) else 0.0]),
    }
