"""The ride allocation answers as worked out by hand, goes round its loop, and joins the two pipelines that feed it."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from dfml import headers as h
from dfml.spec import load_files
from experiments.apps.ride_allocation import faults, generator, models
from experiments.apps.ride_allocation.faults import APP, FAULTS, PIPELINE
from experiments.apps.ride_allocation.generator import Minute

N_MINUTES = 40


@pytest.fixture(scope="module")
def minutes() -> list[Minute]:
    return generator.draw_minutes(N_MINUTES, np.random.default_rng(5))


def positions(*places: tuple[float, float]) -> Any:
    return np.array(places, dtype=np.float64).reshape(-1, 2)


def town(drivers: Any, riders: Any) -> models.Tensors:
    return {"driver": drivers, "rider": riders}


def walk(inputs: models.Tensors, allocate: Any = models.allocate, dispatch: Any = models.dispatch) -> models.Tensors:
    """Go through the steps without an engine."""
    state = dispatch(allocate(models.open_market(inputs)))
    while "open_driver" in state:
        state = dispatch(allocate({name.removeprefix("open_"): array for name, array in state.items()}))
    return models.tell_waiting_times(state)


async def test_answers_are_those_of_the_steps_alone(run_app: Callable[..., Any], minutes: list[Minute]) -> None:
    sent = [generator.to_tensors(minute) for minute in minutes]
    async with run_app(load_files([APP / "pipeline.yaml"])) as app:
        answers = await app.ask_all(PIPELINE, sent)
        visits = {int(record.header(h.VISIT) or 0) for record in app.records("model.allocator.outputs")}
    for inputs, answer in zip(sent, answers, strict=True):
        for name, expected in walk(inputs).items():
            np.testing.assert_array_equal(answer[name], expected)
    assert visits >= {0, 1, 2}


# Drivers and riders on a line, km; the first radius is 1 km for as many drivers as riders, 2 km for one driver and two
# riders, and is doubled in each round. A kilometre takes two minutes, a round one minute.
BY_HAND = [
    ("near", [1.0], [1.5], [0], [1.0]),
    ("one round more", [1.0], [2.5], [0], [4.0]),
    ("three rounds more", [1.0], [8.0], [0], [17.0]),
    ("out of reach", [0.5], [9.5], [-1], [30.0]),
    ("nobody is lost for a shorter way", [2.0, 3.0], [2.4, 1.5], [1, 0], [1.2, 1.0]),
    ("scarce", [1.0], [1.5, 2.0], [0, -1], [4.0, 30.0]),
    ("no drivers", [], [1.0], [-1], [30.0]),
]


@pytest.mark.parametrize(("drivers", "riders", "driver_of", "wait_min"), [case[1:] for case in BY_HAND])
async def test_waiting_times_are_those_worked_out_by_hand(
    run_app: Callable[..., Any], drivers: list[float], riders: list[float], driver_of: list[int], wait_min: list[float]
) -> None:
    inputs = town(positions(*((x, 5.0) for x in drivers)), positions(*((x, 5.0) for x in riders)))
    async with run_app(load_files([APP / "pipeline.yaml"])) as app:
        answer = await app.ask(PIPELINE, inputs)
    assert answer["driver_of"].tolist() == driver_of
    assert answer["wait_min"].tolist() == pytest.approx(wait_min)
    assert answer["served"].item() == sum(driver >= 0 for driver in driver_of)


async def test_drivers_and_riders_of_one_minute_are_joined(run_app: Callable[..., Any], minutes: list[Minute]) -> None:
    minute = minutes[0]
    async with run_app(load_files([APP / "pipeline.yaml"])) as app:
        await app.ask("riders", generator.to_rider_tensors(minute), "minute-1")
        assert app.records("pipeline.ride-allocation.inputs") == []
        await app.ask("drivers", generator.to_driver_tensors(minute), "minute-1")
        answer = await app.answer_of(PIPELINE, "minute-1")
    assert answer["wait_min"].tolist() == walk(generator.to_tensors(minute))["wait_min"].tolist()


def test_no_driver_has_two_riders(minutes: list[Minute]) -> None:
    for minute in minutes:
        inputs = generator.to_tensors(minute)
        answer = walk(inputs)
        taken = answer["driver_of"][answer["driver_of"] >= 0]
        assert len(set(taken.tolist())) == len(taken)
        assert len(taken) <= min(len(inputs["driver"]), len(inputs["rider"]))


def test_one_round_takes_the_shortest_ways_of_all() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        state = models.open_market(town(rng.uniform(0, 1, (4, 2)), rng.uniform(0, 1, (4, 2))))
        state["radius_km"] = np.array([2.0])
        _, _, km = models.find_open(state)
        best = min(sum(km[row, column] for row, column in enumerate(order)) for order in permutations(range(4)))
        driver_of = models.allocate(state)["driver_of"]
        assert km[np.arange(4), driver_of].sum() == pytest.approx(best)


def test_waiting_grows_with_scarcity(minutes: list[Minute]) -> None:
    waits = [walk(generator.to_tensors(minute)) for minute in minutes]
    concert = [walk(generator.to_tensors(FAULTS["concert"].alter(minute))) for minute in minutes]
    assert np.mean([wait["mean_wait_min"] for wait in concert]) > 1.2 * np.mean(
        [wait["mean_wait_min"] for wait in waits]
    )


def test_drivers_off_duty_and_riders_out_of_town_are_left_out() -> None:
    drivers = models.keep_online({"driver": positions((1, 1), (2, 2)), "online": np.array([False, True])})
    riders = models.keep_in_town({"rider": positions((5, 5), (5, 10.1), (-0.1, 5))})
    assert (drivers["driver"].tolist(), riders["rider"].tolist()) == ([[2, 2]], [[5, 5]])


def test_one_seed_draws_the_same_minutes() -> None:
    first, same, other = (generator.draw_minutes(2, np.random.default_rng(seed))[1].rider for seed in (1, 1, 2))
    assert first.tolist() == same.tolist() != other.tolist()


def test_faulty_versions_change_what_they_say(minutes: list[Minute]) -> None:
    inputs = [generator.to_tensors(minute) for minute in minutes]
    right = [walk(each) for each in inputs]
    first = [walk(each, allocate=faults.allocate_first) for each in inputs]
    hasty = [walk(each, dispatch=faults.dispatch_at_once) for each in inputs]
    assert np.mean([each["mean_wait_min"] for each in first]) > np.mean([each["mean_wait_min"] for each in right])
    assert sum(each["served"].item() for each in hasty) < 0.8 * sum(each["served"].item() for each in right)


def test_wrong_speed_halves_the_way_alone() -> None:
    state = {**town(positions((1, 5)), positions((4, 5))), "driver_of": np.array([0]), "widenings": np.array([2])}
    assert models.tell_waiting_times(state)["wait_min"].tolist() == pytest.approx([8.0])
    assert faults.tell_half_the_way(state)["wait_min"].tolist() == pytest.approx([5.0])
