"""What can go wrong with the ride allocation, each a switch with a known culprit.

A fault in a step's code is a new version of its model, loaded while the pipeline runs (``rollouts/``); the faulty
versions stand below. A fault of the caller changes the minutes before they are sent.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.apps.fault import Fault
from experiments.apps.ride_allocation.generator import Minute
from experiments.apps.ride_allocation.models import (
    SPEED_KMH,
    WIDENING_MIN,
    Tensors,
    dispatch_within,
    find_open,
    tell_waiting_times,
    with_pairs,
)

APP = Path(__file__).parent
PIPELINE = "ride-allocation"
TARGET = "ride-allocation.outputs.mean_wait_min"
"""The variable whose change is to be explained."""


def allocate_first(inputs: Tensors) -> Tensors:
    """Give each rider the first free driver within the radius, however near another one is."""
    waiting, free, km = find_open(inputs)
    pairs: list[tuple[int, int]] = []
    for row, rider in enumerate(waiting.tolist()):
        taken = {driver for _, driver in pairs}
        near = (int(driver) for driver in free[km[row] <= inputs["radius_km"].item()] if driver not in taken)
        pairs += [(rider, driver) for driver in list(near)[:1]]
    return with_pairs(inputs, pairs)


def dispatch_at_once(inputs: Tensors) -> Tensors:
    """Send the drivers out after the first round, whoever still waits."""
    return dispatch_within(inputs, 0.0)


def tell_half_the_way(inputs: Tensors) -> Tensors:
    """Tell waiting times as if drivers went twice as fast as they do."""
    told = tell_waiting_times(inputs)
    fixed = WIDENING_MIN * inputs["widenings"]
    wait_min = np.where(told["driver_of"] >= 0, fixed + (told["wait_min"] - fixed) / 2, told["wait_min"])
    return {**told, "wait_min": wait_min, "mean_wait_min": np.array([wait_min.mean() if len(wait_min) else 0.0])}


def _after_a_concert(minute: Minute) -> Minute:
    """Add as many riders again, some steps away from the others."""
    return replace(minute, rider=np.concatenate([minute.rider, minute.rider + 0.05]))


_ALL: tuple[Fault[Minute], ...] = (
    Fault("none", "nothing changes", "no_change"),
    Fault(
        "allocator",
        "a new version of the allocator takes the first driver within the radius, not the nearest",
        "fault",
        "allocator",
        "value",
        APP / "rollouts" / "allocator.yaml",
    ),
    Fault(
        "dispatcher",
        "a new version of the dispatcher never widens the radius",
        "fault",
        "dispatcher",
        "value",
        APP / "rollouts" / "dispatcher.yaml",
    ),
    Fault(
        "waiting-time",
        f"a new version of waiting-time reckons with {2 * SPEED_KMH:g} km/h",
        "fault",
        "waiting-time",
        "value",
        APP / "rollouts" / "waiting-time.yaml",
    ),
    Fault("concert", "twice as many riders call", "input_shift", PIPELINE, "input", alter=_after_a_concert),
)
FAULTS = {fault.name: fault for fault in _ALL}
"""Every switch by its name."""
