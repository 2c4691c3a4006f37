"""The engine's outputs, errors, fates and parents are the oracle's, whatever the order, the copies and the restarts."""

import tempfile
from pathlib import Path

from comparing import compare
from conftest import PROFILE
from hypothesis import given, settings
from strategies import FAULTS, Case, cases


@settings(PROFILE)
@given(case=cases(faults=()))
def test_in_any_order(case: Case):
    with tempfile.TemporaryDirectory() as folder:
        assert compare(case, Path(folder)) == []


@settings(PROFILE)
@given(case=cases(faults=FAULTS))
def test_with_copies_and_restarts(case: Case):
    with tempfile.TemporaryDirectory() as folder:
        assert compare(case, Path(folder)) == []
