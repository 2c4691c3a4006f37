import numpy as np
import pandas as pd

from dfml_analysis.alignment import align


def test_a_tensor_that_one_window_lacks_is_absent_throughout_it() -> None:
    before, after = align(pd.DataFrame({"a": [1.0], "b": [2.0]}), pd.DataFrame({"a": [3.0], "c": [4.0]}))
    assert list(before.columns) == list(after.columns) == ["a", "b", "c"]
    assert before["c"].isna().all()
    assert after["b"].isna().all()


def test_a_presence_that_a_window_lacks_is_no_or_that_of_its_tensor() -> None:
    reference = pd.DataFrame({"s.presence": [1.0], "t.presence": [1.0], "t": [1.0]})
    _, after = align(reference, pd.DataFrame({"t": [np.nan, 2.0]}))
    assert after["s.presence"].tolist() == [0.0, 0.0]
    assert after["t.presence"].tolist() == [0.0, 1.0]


def test_what_frames_say_of_themselves_is_kept() -> None:
    reference = pd.DataFrame({"a": [1.0]})
    reference.attrs["since_ms"] = 5
    assert align(reference, pd.DataFrame({"b": [1.0]}))[0].attrs == {"since_ms": 5}
