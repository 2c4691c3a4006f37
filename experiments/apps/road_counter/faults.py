"""What can go wrong with the road counter, each a switch with a known culprit.

A fault in a step's code is a new version of its model, loaded while the pipeline runs (``rollouts/``); the faulty
versions stand below. A fault of the caller changes the clips before they are sent.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.apps.fault import Fault
from experiments.apps.road_counter.generator import Clip
from experiments.apps.road_counter.models import Tensors, detect, detect_above, track_within

APP = Path(__file__).parent
PIPELINE = "road-counter"
TARGET = "road-counter.outputs.cars"
"""The variable whose change is to be explained."""

WRONG_BRIGHTNESS = 0.85
WRONG_SPEED_PIXELS = 4.5
SLOW_S = 0.080
DIRT = 0.65


def detect_bright_only(inputs: Tensors) -> Tensors:
    """Find bright cars and overlook the others."""
    return detect_above(inputs, WRONG_BRIGHTNESS)


def track_slow_only(inputs: Tensors) -> Tensors:
    """Follow slow cars and lose the fast ones from one image to the next."""
    return track_within(inputs, WRONG_SPEED_PIXELS)


def detect_slowly(inputs: Tensors) -> Tensors:
    """Find the cars, after 80 ms."""
    time.sleep(SLOW_S)
    return detect(inputs)


def _through_dirt(clip: Clip) -> Clip:
    return replace(clip, images=np.round(clip.images * DIRT).astype(np.uint8))


_ALL: tuple[Fault[Clip], ...] = (
    Fault("none", "nothing changes", "no_change"),
    Fault(
        "threshold",
        "a new version of the detector overlooks cars of brightness under 0.85",
        "fault",
        "detector",
        "value",
        APP / "rollouts" / "threshold.yaml",
    ),
    Fault(
        "tracker",
        "a new version of the tracker loses cars faster than 4 pixels an image",
        "fault",
        "tracker",
        "value",
        APP / "rollouts" / "tracker.yaml",
    ),
    Fault(
        "slow",
        "a new version of the detector takes 80 ms more",
        "fault",
        "detector",
        "latency",
        APP / "rollouts" / "slow.yaml",
    ),
    Fault(
        "dirt",
        "the camera's lens is dirty: images are darker",
        "input_shift",
        PIPELINE,
        "input",
        None,
        _through_dirt,
    ),
)
FAULTS = {fault.name: fault for fault in _ALL}
"""Every switch by its name."""
