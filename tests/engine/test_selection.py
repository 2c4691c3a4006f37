"""Which names a selection has, and when two have one in common."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.errors import BadInputError
from dfml_engine.selection import ALL, Selection

PATTERNS = st.text("ab*?", min_size=1, max_size=5)


def test_without_patterns_everything_is_selected_and_the_group_is_the_parts():
    assert ALL.covers("x")
    assert ALL.group("engine") == "engine"


def test_a_selection_is_a_group_of_its_own_whatever_the_order_of_its_patterns():
    assert Selection(("b", "a*", "b")).group("engine") == "engine[a*,b]"


@pytest.mark.parametrize(("name", "covered"), [("claims-1", True), ("fraud", True), ("frauds", False), ("x", False)])
def test_names_are_selected_whole_or_by_pattern(name, covered):
    assert Selection(("claims-*", "fraud")).covers(name) is covered


@pytest.mark.parametrize("pattern", ["", "a.b", "[ab]", "a b", "a/b"])
def test_what_no_name_can_be_is_refused(pattern):
    with pytest.raises(BadInputError, match="expected a name, or a pattern"):
        Selection((pattern,))


@given(PATTERNS, PATTERNS, st.text("ab", min_size=1, max_size=6))
def test_selections_that_share_a_name_meet(left, right, name):
    if fnmatchcase(name, left) and fnmatchcase(name, right):
        assert Selection((left,)).meets(Selection((right,)))


@pytest.mark.parametrize(
    ("left", "right", "met"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a*", "*b", True),
        ("a*", "b*", False),
        ("a?", "ab", True),
        ("a?", "a", False),
    ],
)
def test_selections_meet_where_some_name_could_be_in_both(left, right, met):
    assert Selection((left,)).meets(Selection((right,))) is met
    assert Selection((right,)).meets(Selection((left,))) is met
    assert ALL.meets(Selection((left,)))
