"""``simulated``: graph families, mechanism families, faults, severities, sizes and oddities, each seed a pipeline.

Not the product of all, which nobody would wait for, but one group of conditions for each question, around the middle:
ten nodes, 500 rows a window, mechanisms of all families, 1.5 sd. The graph family goes round with the seed.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from dfml_analysis.evaluate.case import Case, Posed
from dfml_analysis.evaluate.faults import FAULTS
from dfml_analysis.evaluate.mechanisms import FAMILIES
from dfml_analysis.evaluate.series import SeriesSetting, simulate_series
from dfml_analysis.evaluate.shapes import SHAPES
from dfml_analysis.evaluate.simulate import Setting, Simulated, Twist, simulate
from dfml_analysis.localisers.base import Problem

SUITE = "simulated"
WEAK, MEDIUM, GROSS = 0.5, 1.5, 5.0
Numbers = tuple[int, int]
"""A seed, and a number of the condition: the same seed is another pipeline in each condition."""
Condition = tuple[str, Callable[[Numbers], Simulated]]
"""Its name, and its pipeline of a seed."""


def simulated_cases(seeds: Iterable[int], *, quick: bool = False) -> list[Case]:
    """Return a case for each condition and seed; a quick run leaves out the conditions that take seconds a case."""
    conditions = [*_conditions(), *(() if quick else _large())]
    numbers = list(seeds)
    return [
        Case(SUITE, name, f"seed {seed}", partial(_pose, name, draw, seed))
        for name, draw in conditions
        for seed in numbers
    ]


def _pose(name: str, draw: Callable[[Numbers], Simulated], seed: int) -> Posed:
    made = draw((seed, zlib.crc32(name.encode())))
    culprits = tuple(frozenset({node}) for node in made.broken)
    return Posed(Problem(made.graph, made.reference, made.current, made.target, seed), culprits)


def _conditions() -> Iterator[Condition]:
    for group in (_nothing, _catalogue, _severities, _shifts, _several, _oddities, _sizes, _outliers, _series):
        yield from group()


def _condition(name: str, **told: object) -> Condition:
    return name, partial(_draw, told=told)


def _draw(numbers: Numbers, told: Mapping[str, object]) -> Simulated:
    """Return a pipeline of the middle with what differs; the graph family is the seed's if none is given."""
    shape = list(SHAPES)[numbers[0] % len(SHAPES)]
    if shape == "chain" and FAULTS[str(told.get("fault", "none"))].n_parents > 1:
        shape = "random"
    middle: dict[str, object] = {"shape": shape, "n_nodes": 10, "n_rows": 500, "fault": "none", "severity": MEDIUM}
    return simulate(Setting(**(middle | dict(told))), numbers)  # type: ignore[arg-type]


def _nothing() -> Iterator[Condition]:
    yield from (_condition(f"nothing, {shape}", shape=shape) for shape in SHAPES)
    yield _condition("nothing, daily cycle", twist="daily")
    yield _condition("nothing, unrecorded confounder", twist="confounder")
    yield _condition("nothing, an edge missing", twist="edge missing")


def _catalogue() -> Iterator[Condition]:
    yield from (_condition(name, fault=name) for name in FAULTS if name != "none")


def _severities() -> Iterator[Condition]:
    for words, severity in (("weak", WEAK), ("gross", GROSS)):
        yield from (_condition(f"{name}, {words}", fault=name, severity=severity) for name in ("input", "offset"))


def _shifts() -> Iterator[Condition]:
    for family in FAMILIES:
        yield _condition(f"inputs shift only, {family}", family=family, shift=MEDIUM)
    for family in FAMILIES:
        yield _condition(
            f"weak offset and shift of 1 sd, {family}", family=family, fault="offset", severity=WEAK, shift=1.0
        )


def _several() -> Iterator[Condition]:
    for n_faults in (2, 3):
        yield _condition(f"{n_faults} offsets", fault="offset", n_faults=n_faults, n_rows=1_000)
        told = {"fault": "offset", "n_faults": n_faults, "n_rows": 1_000}
        yield _condition(f"{n_faults} offsets on one path", shape="chain", **told)
    yield _condition("offset and shift", fault="offset", shift=MEDIUM, n_rows=1_000)
    for percent in (20, 10):
        yield _condition(f"{percent} % of requests", fault="offset", share=percent / 100, n_rows=1_000)


def _oddities() -> Iterator[Condition]:
    twists: tuple[Twist, ...] = ("confounder", "edge missing", "edge too many", "daily", "cancelled")
    yield from (_condition(f"offset, {twist}", fault="offset", twist=twist) for twist in twists)


def _sizes() -> Iterator[Condition]:
    yield from (_condition(f"offset, {n_rows:,} rows", fault="offset", n_rows=n_rows) for n_rows in (30, 100, 1_000))
    yield from (_condition(f"offset, {n_nodes} nodes", fault="offset", n_nodes=n_nodes) for n_nodes in (30, 100))


def _outliers() -> Iterator[Condition]:
    told = {"fault": "offset", "severity": GROSS, "n_current": 1}
    yield _condition("one request", **told)
    yield _condition("one request, two faults", n_faults=2, **told)


def _series() -> Iterator[Condition]:
    for n_nodes in (10, 50, 100):
        yield f"series, {n_nodes} nodes", partial(simulate_series, SeriesSetting(n_nodes))
    yield "series, 50 nodes, two faults", partial(simulate_series, SeriesSetting(50, n_faults=2))


def _large() -> Iterator[Condition]:
    for percent in (5, 1):
        yield _condition(f"{percent} % of requests", fault="offset", share=percent / 100, n_rows=10_000)
    yield _condition("offset, 100 nodes, 10,000 rows", fault="offset", n_nodes=100, n_rows=10_000)
