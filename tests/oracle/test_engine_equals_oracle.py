"""The engine's outputs, errors, fates and parents are the oracle's, whatever the order, the copies and the restarts."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from comparing import compare
from conftest import PROFILE
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import COPIES, DELAYS, RESTARTS, cases


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    "faults",
    [(), COPIES, RESTARTS, DELAYS, COPIES + RESTARTS + DELAYS],
    ids=["any order", "copies", "restarts", "delays", "all at once"],
)
def test_every_record_is_what_the_rules_say(faults: Sequence[str]):
    @settings(PROFILE)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert compare(data.draw(cases(faults)), Path(folder)) == []

    check()
