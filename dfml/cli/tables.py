"""Tables in files: reading and writing CSV and Parquet, with errors that name the file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dfml.errors import BadInputError, DataError

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path) -> "pd.DataFrame":
    """Return the table of a .csv or .parquet file.

    Raises
    ------
    DataError
        If the file does not exist, cannot be read, or is no table.
    """
    import pandas as pd

    try:
        found = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        why = " ".join(str(error).split())
        msg = f"table {path}: it cannot be read: {why}; expected CSV with a header line, or Parquet"
        raise DataError(msg) from error
    if found.empty:
        msg = f"table {path}: it has {len(found)} rows and {len(found.columns)} columns; expected a row per request"
        raise DataError(msg)
    return found


def _read_csv(path: Path) -> "pd.DataFrame":
    """Return the table; columns of one name keep it, where pandas would number them."""
    import pandas as pd

    found = pd.read_csv(path)
    names = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
    return found.set_axis([str(name) for name in names], axis=1) if names.dropna().duplicated().any() else found


def write_table(frame: "pd.DataFrame", path: Path) -> None:
    """Write a frame as .csv or .parquet, whole or not at all.

    Raises
    ------
    BadInputError
        If the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    plain = frame.copy()
    # What a frame says of itself is for Python; Parquet would store it, tuples and all.
    plain.attrs = {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            plain.to_parquet(draft)
        else:
            plain.to_csv(draft)
        draft.replace(path)
    except OSError as error:
        msg = f"{path}: the table cannot be written there: {error.strerror or error}; name another file"
        raise BadInputError(msg) from error
