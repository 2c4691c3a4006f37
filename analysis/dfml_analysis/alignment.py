"""Two frames with the same columns: a tensor that never came in a window is absent throughout it."""

import numpy as np
import pandas as pd

PRESENCE = ".presence"


def align(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both windows with the columns of either, in the order of the reference and then of the current one.

    Parameters
    ----------
    reference, current : DataFrame
        Frames of one pipeline (:func:`dfml.lineage.frames.frame`). Which columns a frame has depends on what came in
        its window; ``attrs`` are kept.
    """
    columns = list(dict.fromkeys([*reference.columns, *current.columns]))
    return _with_columns(reference, columns), _with_columns(current, columns)


def _with_columns(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    filled = frame.reindex(columns=columns)
    for name in columns:
        if name in frame.columns:
            continue
        present = name.removesuffix(PRESENCE)
        if present != name:
            filled[name] = frame[present].notna().astype(np.float64) if present in frame.columns else 0.0
    filled.attrs = dict(frame.attrs)
    return filled
