"""The road counter counts what its generator painted, and each of its faults does what it says."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dfml.spec import load_files
from experiments.apps.road_counter import faults, generator, models
from experiments.apps.road_counter.faults import APP, FAULTS, PIPELINE
from experiments.apps.road_counter.generator import Clip

N_CLIPS = 60


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return generator.draw_clips(N_CLIPS, np.random.default_rng(11))


def filtered(clip: Clip) -> models.Tensors:
    return models.filter_images(models.vectorise(generator.to_tensors(clip)))


def count(clip: Clip, detect: Any = models.detect, track: Any = models.track) -> int:
    detected = detect(filtered(clip))
    return int(models.count(track(detected))["cars"].item())


def sound(clips: list[Clip]) -> list[Clip]:
    return [clip for clip in clips if not clip.is_rejected]


async def test_every_clip_is_counted_or_rejected_as_painted(run_app: Callable[..., Any], clips: list[Clip]) -> None:
    async with run_app(load_files([APP / "pipeline.yaml"])) as app:
        answers = await app.ask_all(PIPELINE, [generator.to_tensors(clip) for clip in clips])
        n_detected = len(app.records("model.detector.inputs"))
    for clip, answer in zip(clips, answers, strict=True):
        if clip.is_rejected:
            assert {name: array.item() for name, array in answer.items()} == {"rejected": len(clip.faulty)}
        else:
            assert answer["cars"].item() == clip.cars
            assert answer["east"].item() + answer["west"].item() == clip.cars
    assert n_detected == len(sound(clips)) < N_CLIPS


async def test_a_rollout_changes_the_answers_of_the_running_pipeline(
    run_app: Callable[..., Any], clips: list[Clip]
) -> None:
    chosen = sound(clips)[:10]
    rollout = FAULTS["tracker"].rollout
    async with run_app(load_files([APP / "pipeline.yaml"])) as app:
        app.stack.load(load_files([rollout]))
        answers = await app.ask_all(PIPELINE, [generator.to_tensors(clip) for clip in chosen])
    assert sum(answer["cars"].item() for answer in answers) < sum(clip.cars for clip in chosen)


def test_one_seed_paints_the_same_clips() -> None:
    first, same, other = (generator.draw_clips(3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all((a.images == b.images).all() and a.cars == b.cars for a, b in zip(first, same, strict=True))
    assert any((a.images != b.images).any() for a, b in zip(first, other, strict=True))


def test_clips_are_of_all_kinds(clips: list[Clip]) -> None:
    assert {len(clip.faulty) for clip in clips} == {0, 1, generator.N_IMAGES}
    assert len({clip.cars for clip in sound(clips)}) >= 4


def test_a_single_faulty_image_is_left_out_and_does_not_break_the_tracks(clips: list[Clip]) -> None:
    (one, *_) = (clip for clip in clips if len(clip.faulty) == 1)
    outputs = filtered(one)
    assert set(range(generator.N_IMAGES)) - set(outputs["time"].tolist()) == set(one.faulty)
    assert count(one) == one.cars


def test_a_clip_that_is_rejected_emits_no_image(clips: list[Clip]) -> None:
    (dead, *_) = (clip for clip in clips if clip.is_rejected)
    assert list(filtered(dead)) == ["rejected"]


def test_an_empty_road_has_no_cars() -> None:
    empty = {"image": np.full((3, 32, 96), 0.15, dtype=np.float32), "time": np.arange(3)}
    detected = models.detect(empty)
    assert (detected["centroid"].shape, detected["frame"].shape) == ((0, 2), (0,))
    assert models.count(models.track(detected))["cars"].item() == 0


def test_a_car_is_counted_on_its_way_to_either_side() -> None:
    centroid = np.array([[4, 46.5], [20, 49.5], [28, 10.5], [4, 51.5], [20, 44.5], [28, 14.5]])
    tracked = models.track({"centroid": centroid, "frame": np.array([0, 0, 0, 1, 1, 1])})
    assert tracked["journeys"].tolist() == [[1, 1], [1, 0]]
    answer = models.count(tracked)
    assert [answer[name].item() for name in ("cars", "east", "west")] == [2, 1, 1]


def test_two_cars_in_one_lane_are_told_apart() -> None:
    centroid = np.array([[4.0, 10.5], [4.0, 40.5], [4.0, 16.5], [4.0, 46.5]])
    assert models.track({"centroid": centroid, "frame": np.array([0, 0, 1, 1])})["track"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("name", "change"),
    [("threshold", {"detect": faults.detect_bright_only}), ("tracker", {"track": faults.track_slow_only})],
)
def test_faulty_versions_count_too_few_cars(clips: list[Clip], name: str, change: dict[str, Any]) -> None:
    assert FAULTS[name].kind == "value"
    chosen = sound(clips)
    right, wrong = sum(clip.cars for clip in chosen), sum(count(clip, **change) for clip in chosen)
    assert wrong < 0.9 * right


def test_dirt_on_the_lens_hides_cars(clips: list[Clip]) -> None:
    chosen = sound(clips)
    assert sum(count(FAULTS["dirt"].alter(clip)) for clip in chosen) < 0.9 * sum(clip.cars for clip in chosen)


def test_slow_detector_is_right_and_takes_its_time(clips: list[Clip]) -> None:
    began = time.perf_counter()
    assert count(clips[0], detect=faults.detect_slowly) == clips[0].cars
    assert time.perf_counter() - began >= faults.SLOW_S
