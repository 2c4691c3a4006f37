"""Which elements of a long tensor changed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.columns import Kind
from dfml_analysis.elements import compare_elements, with_elements
from dfml_analysis.localisation import Localisation, Suspect
from dfml_analysis.verdict import Verdict
from dfml_analysis.wording import spell_elements

SHAPE = (8, 20)
Images = list["np.ndarray[Any, Any]"]


def _images(seed: int, n: int = 60) -> Images:
    return list(np.random.default_rng(seed).normal(10.0, 1.0, (n, *SHAPE)))


def _with_a_bright_corner(images: Images, by: float = 3.0) -> Images:
    changed = [image.copy() for image in images]
    for image in changed:
        image[2:4, 5:9] += by
    return changed


def test_the_changed_block_is_found_and_nothing_else() -> None:
    found = compare_elements(_images(0), _with_a_bright_corner(_images(1)))
    assert found is not None
    assert (found.n_changed, found.n_elements) == (8, 160)
    assert (found.first, found.last) == ((2, 5), (3, 8))
    assert found.strongest[0].after - found.strongest[0].before == pytest.approx(3.0, abs=0.8)


def test_a_changed_spread_is_a_change() -> None:
    noisy = [image + np.random.default_rng(place).normal(0, 5, SHAPE) for place, image in enumerate(_images(1))]
    found = compare_elements(_images(0), noisy)
    assert found is not None
    assert found.n_changed > 150


def test_of_normal_images_hardly_an_element_is_named() -> None:
    found = [compare_elements(_images(2 * seed), _images(2 * seed + 1)) for seed in range(20)]
    assert sum(each is not None and each.n_changed > 0 for each in found) <= 3


def test_a_constant_element_that_takes_another_value_is_found() -> None:
    before, after = [np.zeros(100)] * 10, [np.eye(1, 100, 7)[0]] * 10
    found = compare_elements(before, after)
    assert found is not None
    assert [element.place for element in found.strongest] == [(7,)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_images(0, 3), _images(1, 3)),
        (_images(0), [image[:4] for image in _images(1)]),
        ([np.array(["a"])] * 9, [np.array(["b"])] * 9),
    ],
    ids=["few", "other shape", "text"],
)
def test_what_cannot_be_compared_has_no_elements(before: Images, after: Images) -> None:
    assert compare_elements(before, after) is None


def test_suspects_that_are_summaries_are_followed_to_their_elements() -> None:
    images = {f"b{place}": image for place, image in enumerate(_images(0))}
    images |= {f"a{place}": image for place, image in enumerate(_with_a_bright_corner(_images(1)))}

    def read(requests: Sequence[str], column: str) -> Images:
        assert column == "camera.outputs.image.mean"
        return [images[request] for request in requests]

    suspect = Suspect("camera", "camera.outputs.image.mean", Kind.VALUE, 0.9, 1e-9)
    other = replace(suspect, variable="camera.outputs.speed")
    frames = [pd.DataFrame(index=[f"{name}{place}" for place in range(60)]) for name in "ba"]
    told = with_elements(Localisation(Verdict.FAULT, (suspect, other), "dfml", 0, 0.1), *frames, read)
    assert told.suspects[1].elements is None
    assert told.suspects[0].elements is not None
    assert spell_elements(told.suspects[0].elements).startswith("8 of 160 changed, within [2, 5] to [3, 8], most [")
