"""The tensors behind a column, whole."""

import pytest

from dfml.lineage.tensors import read_column


@pytest.fixture(autouse=True)
def claims(pen, tap_all):
    pen.load()
    pen.claim("r1", 100.0)
    pen.claim("r2", 10.0)
    tap_all()


@pytest.mark.parametrize("column", ["value.outputs.parts[0]", "value.outputs.parts.mean", "value.outputs.parts"])
def test_a_column_of_a_step_gives_the_tensor_that_it_is_made_of(store, column):
    first, second = read_column(store, ["r1", "r2"], column)
    assert first.shape == second.shape
    assert (float(first[0]), float(second[0])) == (100.0, 10.0)


def test_what_entered_and_what_left_a_pipeline_are_its_columns_too(store):
    assert [float(each[0]) for each in read_column(store, ["r2", "r1"], "claims.inputs.amount")] == [10.0, 100.0]
    assert [float(each[0]) for each in read_column(store, ["r1"], "claims.outputs.payout")] == [80.0]


def test_requests_without_the_tensor_are_left_out(store):
    assert len(read_column(store, ["r1", "r2", "nobody"], "split.outputs.high")) == 1
    assert read_column(store, ["r1"], "split.outputs.hig") == []
