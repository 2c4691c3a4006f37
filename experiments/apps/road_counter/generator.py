"""Synthetic clips of a road from above, of which the answer is known; reproducible by seed.

==============  ========================================================================================================
images          10 a clip, 32 x 96 pixels, colour
road            brightness 0.15, a dashed marking of 0.4 between the directions, noise of standard deviation 0.03
lanes           4, at rows 4, 12 (to the right), 20 and 28 (to the left), each with one speed of 3 to 6 pixels an image
cars            4 x 6 pixels, brightness uniform on 0.75 .. 1, each of its own tint; at least 30 pixels from one to the
                next, on average 42
exposure        brightness x 0.9 .. 1.05, one draw a clip
faulty images   none in 85 % of the clips; one image (black, white or snow) in 10 %; a dead camera in 5 %
==============  ========================================================================================================
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.apps.road_counter.models import LINE_COLUMN, Tensors

N_IMAGES, HEIGHT, WIDTH = 10, 32, 96
EAST_ROWS, WEST_ROWS = (4, 12), (20, 28)
CAR_HEIGHT, CAR_LENGTH = 4, 6
MIN_GAP_PIXELS, MEAN_EXTRA_GAP_PIXELS = 30, 12
SPEEDS = (3, 6)
ROAD, MARKING, NOISE = 0.15, 0.4, 0.03
CAR_RANGE = (0.75, 1.0)
EXPOSURE_RANGE = (0.9, 1.05)
ONE_FAULTY, DEAD = 0.10, 0.05

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Car:
    """A car: its lane's row, the column of its left end on the first image, and its speed, pixels an image."""

    row: int
    column: int
    speed: int
    colour: tuple[float, float, float]

    def centre(self, time: int) -> float:
        """Return the column of its middle, which is never a whole number and so never on the line."""
        return self.column + self.speed * time + (CAR_LENGTH - 1) / 2


@dataclass(frozen=True, slots=True)
class Clip:
    """Images and what is true of them.

    ``cars`` crossed the line between the first and the last sound image; ``faulty`` are the numbers of faulty images.
    """

    images: Pixels
    cars: int
    faulty: tuple[int, ...]

    @property
    def is_rejected(self) -> bool:
        """Whether the images are too faulty to count on."""
        return len(self.faulty) > len(self.images) / 4


def draw_clips(n_clips: int, rng: np.random.Generator) -> list[Clip]:
    """Draw that many clips from the distribution of the module's table."""
    return [_draw_clip(rng) for _ in range(n_clips)]


def _draw_clip(rng: np.random.Generator) -> Clip:
    cars = [car for row in EAST_ROWS + WEST_ROWS for car in _draw_lane(row, rng)]
    exposure = rng.uniform(*EXPOSURE_RANGE)
    images = [_paint(cars, time, exposure, rng) for time in range(N_IMAGES)]
    faulty = _draw_faulty(rng)
    for time in faulty:
        images[time] = _spoil(rng)
    sound = [time for time in range(N_IMAGES) if time not in faulty]
    crossed = sum(_crosses(car, sound[0], sound[-1]) for car in cars) if sound else 0
    return Clip(np.stack(images), crossed, faulty)


def _draw_lane(row: int, rng: np.random.Generator) -> list[Car]:
    direction = 1 if row in EAST_ROWS else -1
    speed = direction * int(rng.integers(SPEEDS[0], SPEEDS[1] + 1))
    cars, column = [], -N_IMAGES * SPEEDS[1]
    while column < WIDTH + N_IMAGES * SPEEDS[1]:
        column += MIN_GAP_PIXELS + int(rng.exponential(MEAN_EXTRA_GAP_PIXELS))
        tint = rng.uniform(0.93, 1.07, 3)
        colour = rng.uniform(*CAR_RANGE) * tint / tint.mean()
        cars.append(Car(row, column, speed, tuple(colour.tolist())))
    return cars


def _crosses(car: Car, first: int, last: int) -> bool:
    return (car.centre(first) < LINE_COLUMN) != (car.centre(last) < LINE_COLUMN)


def _paint(cars: list[Car], time: int, exposure: float, rng: np.random.Generator) -> Pixels:
    scene = np.full((HEIGHT, WIDTH, 3), ROAD)
    scene[HEIGHT // 2, np.arange(WIDTH) % 12 < 6] = MARKING
    for car in cars:
        left = car.column + car.speed * time
        top = car.row - CAR_HEIGHT // 2
        scene[top : top + CAR_HEIGHT, max(left, 0) : max(left + CAR_LENGTH, 0)] = car.colour
    return _develop(scene * exposure + rng.normal(0, NOISE, scene.shape))


def _draw_faulty(rng: np.random.Generator) -> tuple[int, ...]:
    chance = rng.random()
    if chance < DEAD:
        return tuple(range(N_IMAGES))
    return (int(rng.integers(N_IMAGES)),) if chance < DEAD + ONE_FAULTY else ()


def _spoil(rng: np.random.Generator) -> Pixels:
    shape = (HEIGHT, WIDTH, 3)
    snow = np.repeat(rng.random((HEIGHT, WIDTH, 1)), 3, axis=2)
    return _develop((np.zeros(shape), np.ones(shape), snow)[rng.integers(3)])


def _develop(scene: np.ndarray[Any, Any]) -> Pixels:
    pixels: Pixels = np.round(np.clip(scene, 0, 1) * 255).astype(np.uint8)
    return pixels


def to_tensors(clip: Clip) -> Tensors:
    """Return the tensors of the clip's request."""
    return {"clip": clip.images}
