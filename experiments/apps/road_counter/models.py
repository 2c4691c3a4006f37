"""The five steps of the road counter as plain functions: tensors by name in, tensors by name out.

============  ===================================  =====================================================================
step          reads                                emits
============  ===================================  =====================================================================
vectorise     ``clip`` UINT8 [k, h, w, 3]          ``grey`` FP32 [k, h, w], 0 is black and 1 is white
image-filter  ``grey``                             ``image`` FP32 [m, h, w] and ``time`` INT64 [m]: the sound images and
                                                   their numbers; or ``rejected`` INT64 [1]: how many are faulty, when
                                                   more than a quarter is
detector      ``image``, ``time``                  ``centroid`` FP64 [n, 2] (row, column) and ``frame`` INT64 [n]: the
                                                   cars of all images in order; ``cars_seen`` INT64 [1] and ``area``
                                                   FP64 [1]: how many, and their mean size
tracker       ``centroid``, ``frame``              ``track`` INT64 [n]: detections of one car have one number;
                                                   ``journeys`` INT64 [2, 2]: cars by the side of the line on which they
                                                   are first (row) and last (column) seen, 0 is the left
counter       ``journeys``                         ``cars``, ``east``, ``west`` INT64 [1]: how many crossed the line, in
                                                   all and to the right and left
============  ===================================  =====================================================================
"""

from typing import Any

import numpy as np
from scipy import ndimage, optimize

Tensors = dict[str, np.ndarray[Any, Any]]

LINE_COLUMN = 48
"""The line that is crossed: the middle of the road, columns."""
SOUND_MEAN = (0.04, 0.6)
"""The mean brightness of a sound image; outside is a covered lens or a blinded camera."""
SOUND_ROUGHNESS = 0.1
"""The largest mean difference of neighbouring pixels of a sound image; above is snow."""
FAULTY_SHARE = 0.25
CAR_BRIGHTNESS = 0.55
"""Between the brightest marking of the road (0.4) and the dullest car (0.67)."""
MIN_AREA_PIXELS = 8
MAX_SPEED_PIXELS = 7
"""How far a car moves along the road from one image to the next; the fastest move 6."""
MAX_DRIFT_PIXELS = 3
"""How far across the road; lanes are 8 apart."""
FORBIDDEN = 1e6


def vectorise(inputs: Tensors) -> Tensors:
    """Return the images' brightness, as the mean of the colours."""
    return {"grey": inputs["clip"].mean(axis=-1, dtype=np.float32) / np.float32(255)}


def is_faulty(image: np.ndarray[Any, Any]) -> bool:
    """Return whether a grey image is too dark, too bright or snow."""
    roughness = float(np.abs(np.diff(image, axis=1)).mean())
    return not SOUND_MEAN[0] <= float(image.mean()) <= SOUND_MEAN[1] or roughness > SOUND_ROUGHNESS


def filter_images(inputs: Tensors) -> Tensors:
    """Leave faulty images out, or reject the clip when too many are."""
    grey = inputs["grey"]
    sound = np.array([not is_faulty(image) for image in grey], dtype=bool)
    n_faulty = len(grey) - int(sound.sum())
    if n_faulty > FAULTY_SHARE * len(grey):
        return {"rejected": np.array([n_faulty])}
    return {"image": grey[sound], "time": np.flatnonzero(sound)}


def detect(inputs: Tensors) -> Tensors:
    """Find the bright regions of each image that are large enough to be a car."""
    return detect_above(inputs, CAR_BRIGHTNESS)


def detect_above(inputs: Tensors, brightness: float) -> Tensors:
    """Find the regions that are brighter than that."""
    centroids, frames, areas = [], [], []
    for image, time in zip(inputs["image"], inputs["time"].tolist(), strict=True):
        labels, n_regions = ndimage.label(image > brightness)
        sizes = np.bincount(labels.ravel(), minlength=n_regions + 1)
        cars = [number for number in range(1, n_regions + 1) if sizes[number] >= MIN_AREA_PIXELS]
        centroids += ndimage.center_of_mass(labels > 0, labels, cars)
        frames += [time] * len(cars)
        areas += [sizes[number] for number in cars]
    return {
        "centroid": np.array(centroids, dtype=np.float64).reshape(-1, 2),
        "frame": np.array(frames, dtype=np.int64),
        "cars_seen": np.array([len(frames)]),
        "area": np.array([np.mean(areas) if areas else 0.0]),
    }


def track(inputs: Tensors) -> Tensors:
    """Follow each car from image to image: it is the detection nearest to where it was."""
    return track_within(inputs, MAX_SPEED_PIXELS)


def track_within(inputs: Tensors, max_speed: float) -> Tensors:
    """Follow cars that move at most that many pixels from one image to the next."""
    centroid, frame = inputs["centroid"], inputs["frame"]
    tracks = np.full(len(frame), -1, dtype=np.int64)
    n_tracks, before = 0, np.zeros(0, dtype=np.int64)
    for time in np.unique(frame):
        now = np.flatnonzero(frame == time)
        reach = max_speed * (time - frame[before[0]]) if len(before) else 0
        for old, new in _nearest(centroid[before], centroid[now], reach):
            tracks[now[new]] = tracks[before[old]]
        fresh = now[tracks[now] < 0]
        tracks[fresh] = np.arange(n_tracks, n_tracks + len(fresh))
        n_tracks, before = n_tracks + len(fresh), now
    return {"track": tracks, "journeys": _count_journeys(centroid[:, 1], tracks)}


def _count_journeys(columns: np.ndarray[Any, Any], tracks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Count the tracks from side to side: rows by the first side, columns by the last."""
    journeys = np.zeros((2, 2), dtype=np.int64)
    for number in np.unique(tracks):
        path = columns[tracks == number]
        journeys[int(path[0] >= LINE_COLUMN), int(path[-1] >= LINE_COLUMN)] += 1
    return journeys


def _nearest(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any], reach: float) -> list[tuple[int, int]]:
    """Pair the positions of two images so that the sum of their distances is least and none is out of reach."""
    rows = np.abs(before[:, None, 0] - now[None, :, 0])
    columns = np.abs(before[:, None, 1] - now[None, :, 1])
    costs = np.where((columns <= reach) & (rows <= MAX_DRIFT_PIXELS), columns + rows, FORBIDDEN)
    pairs = zip(*optimize.linear_sum_assignment(costs), strict=True)
    return [(int(old), int(new)) for old, new in pairs if costs[old, new] < FORBIDDEN]


def count(inputs: Tensors) -> Tensors:
    """Count the cars that are last seen on another side of the line than first."""
    (_, east), (west, _) = inputs["journeys"].tolist()
    return {"cars": np.array([east + west]), "east": np.array([east]), "west": np.array([west])}
