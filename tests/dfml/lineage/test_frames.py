"""The frame: one row a request, one column a variable, and what is absent is NaN."""

import sys

import numpy as np
import pytest

from dfml.errors import DataError, NotFoundError
from dfml.lineage.frames import frame, pipelines, variables, windows
from dfml.lineage.rows import Kept
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap

EVER = (0, 2**50)


@pytest.fixture
def claims(pen, store, tap_all):
    """Two claims, r1 high and r2 low, and r3 whose first step fails."""
    pen.load()
    pen.claim("r1", 100.0)
    pen.claim("r2", 10.0)
    entered = pen.enter("r3", {"amount": [5.0]})
    pen.fail("value", "r3", [pen.call("value", "r3", [entered], {"amount": [5.0]})], "boom")
    tap_all()
    return frame(store, "claims", *EVER)


def test_rows_are_requests_in_the_order_of_their_starts(claims):
    assert list(claims.index) == ["r1", "r2", "r3"]
    assert claims.index.name == "request"


def test_values_stand_under_step_port_and_tensor(claims):
    assert claims["claims.inputs.amount"].tolist() == [100.0, 10.0, 5.0]
    assert claims["value.outputs.parts[0]"].tolist()[:2] == [100.0, 10.0]
    assert claims["claims.inputs.kind"].tolist()[:2] == ["car", "car"]
    assert claims["claims.outputs.payout"].tolist()[:2] == [80.0, 8.0]


def test_what_is_absent_is_nan_and_never_zero(claims):
    assert claims["split.outputs.high"].isna().tolist() == [False, True, True]
    assert claims["low.latency_ms"].isna().tolist() == [True, False, True]
    assert claims["claims.inputs.kind"].isna().tolist() == [False, False, True]


def test_presence_says_which_branch_was_taken(claims):
    assert claims["high.presence"].tolist() == [1.0, 0.0, 0.0]
    assert claims["split.outputs.low.presence"].tolist() == [0.0, 1.0, 0.0]
    assert "value.outputs.value.presence" not in claims


def test_an_error_is_one_a_good_call_zero_and_no_call_nan(claims):
    assert claims["value.error"].tolist() == [0.0, 0.0, 1.0]
    np.testing.assert_array_equal(claims["high.error"], [0.0, np.nan, np.nan])
    assert claims["claims.error"].tolist() == [0.0, 0.0, 1.0]


def test_times_are_milliseconds_of_the_model_and_of_the_pipeline(claims):
    assert claims["value.latency_ms"].tolist()[:2] == [0.25, 0.25]
    assert claims["value.queue_ms"].tolist()[:2] == [0.04, 0.04]
    np.testing.assert_array_equal(claims["claims.latency_ms"], [8.0, 9.0, np.nan])


def test_attrs_name_the_window_and_the_starts(claims):
    assert claims.attrs["pipeline"] == "claims"
    assert (claims.attrs["since_ms"], claims.attrs["until_ms"]) == EVER
    assert claims.attrs["started_ms"] == tuple(sorted(claims.attrs["started_ms"]))
    assert claims.attrs["n_unreadable"] == 0


def test_the_window_is_closed_at_its_start_and_open_at_its_end(claims, store):
    first, second, _ = claims.attrs["started_ms"]
    assert list(frame(store, "claims", first, second).index) == ["r1"]


def test_a_step_that_was_never_reached_has_its_columns(pen, store, tap_all):
    pen.load()
    pen.enter("r1", {"x": [1.0]})
    tap_all()
    found = frame(store, "claims", *EVER)
    assert found["high.presence"].tolist() == [0.0]
    assert found["high.latency_ms"].isna().all()


def test_an_empty_window_is_an_empty_frame(claims, store):
    assert frame(store, "claims", 0, 1).shape[0] == 0


def test_a_pipeline_without_any_request_is_not_found(claims, store):
    with pytest.raises(NotFoundError, match="did you mean 'claims'"):
        frame(store, "claim", *EVER)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (["claims.error"], ["claims.error"]),
        (["value.outputs.parts"], [f"value.outputs.parts[{index}]" for index in range(3)]),
        (
            ["low", "high.presence"],
            ["low.presence", "low.outputs.payout", "low.latency_ms", "low.queue_ms", "low.error", "high.presence"],
        ),
    ],
)
def test_variables_choose_columns_by_what_they_begin_with(claims, store, asked, got):
    assert list(frame(store, "claims", *EVER, variables=asked).columns) == got


def test_a_variable_that_does_not_exist_is_refused_with_a_suggestion(claims, store):
    with pytest.raises(DataError, match=r"did you mean 'value\.presence'"):
        frame(store, "claims", *EVER, variables=["value.presense"])


def test_long_tensors_are_summarised(pen, store, tap_all):
    pen.enter("r1", {"x": np.arange(65.0)})
    pen.enter("r2", {"x": [4.0]})
    tap_all()
    found = frame(store, "claims", *EVER).filter(like="claims.inputs")
    assert found.loc["r1"].tolist() == pytest.approx([32.0, np.arange(65.0).std(), 0.0, 64.0, 65.0])
    assert found.loc["r2"].tolist() == [4.0, 0.0, 4.0, 4.0, 1.0]


def test_a_result_written_twice_counts_once_and_a_revisit_gives_its_last(pen, store, tap_all):
    entered = pen.enter("r1", {"x": [1.0]})
    called = pen.call("loop", "r1", [entered], {"x": [1.0]})
    for visit, value in ((0, 1.0), (1, 2.0), (1, 3.0)):
        pen.extra = (("dfml-visit", b"%d" % visit),)
        pen.give("loop", "r1", [called], {"y": [value]})
    tap_all()
    assert frame(store, "claims", *EVER)["loop.outputs.y"].tolist() == [2.0]


def test_an_unreadable_payload_is_counted_and_absent(topics, pen, store, tap_all):
    called = pen.call("value", "r1", [pen.enter("r1", {"x": [1.0]})], {"x": [1.0]})
    pen.write(topics.model_outputs("value"), "r1", b"\xffgarbage", (("dfml-step", b"value"),), [called])
    tap_all()
    found = frame(store, "claims", *EVER)
    assert found.attrs["n_unreadable"] == 1
    assert found["value.presence"].tolist() == [1.0]


def test_where_payloads_were_not_kept_values_are_nan_and_presence_is_known(log, topics, pen, tmp_path):
    pen.claim("r1", 10.0)
    with LineageStore(tmp_path / "l.db", topics=topics, kept=Kept(limit_bytes=1)) as store:
        tap = Tap(log, store, topics)
        tap.step(0.0)
        tap.close()
        found = frame(store, "claims", *EVER)
    assert found["split.presence"].tolist() == [1.0]
    assert found["low.error"].tolist() == [0.0]
    assert not [name for name in found if ".outputs." in name]


def test_without_pandas_the_text_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DataError, match=r"pip install 'dfml\[analysis\]'"):
        frame(store, "claims", *EVER)


def test_the_store_says_which_pipelines_windows_and_variables_it_has(claims, store):
    assert pipelines(store) == ["claims"]
    (window,) = windows(store, "claims")
    assert (window.first_ms, window.n_requests) == (claims.attrs["started_ms"][0], 3)
    assert variables(store, "claims") == list(claims.columns)
    with pytest.raises(NotFoundError, match="did you mean 'claims'"):
        windows(store, "claim")


class Interrupted(LineageStore):
    """A store that lets something happen after each of its queries."""

    happens = staticmethod(lambda: None)

    def query(self, sql, parameters=()):
        found = super().query(sql, parameters)
        self.happens()
        return found


def test_a_frame_is_of_one_moment_while_the_tap_goes_on(pen, store, tap_all, topics):
    pen.claim("r0", 10.0)
    tap_all()

    def go_on():
        pen.claim(f"r{len(frame(store, 'claims', *EVER)) + 1}", 10.0)
        tap_all()

    with Interrupted(store.path, read_only=True) as reading:
        reading.happens = go_on
        found = frame(reading, "claims", *EVER)
    assert len(frame(store, "claims", *EVER)) > len(found)
    assert found["claims.outputs.payout"].notna().all()
