"""The steps of the income classifier that are no artefacts.

==============  ==================================  ===================================================================
step            reads                               emits
==============  ==================================  ===================================================================
outlier-gate    ``decision_function`` FP64 [n],     ``inlier`` or ``outlier`` FP64 [n], the same numbers
                negative for odd rows
drift-detector  ``transform`` FP64 [n, columns],    ``drift`` FP64 [1], ``drifting`` BOOL [1], ``rows`` INT64 [1]: one
                the rows of a batch                 answer for all rows
==============  ==================================  ===================================================================
"""

from pathlib import Path
from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray[Any, Any]]

DRIFT_LIMIT = 4.0
"""How many standard errors a column's mean may be off: in normal times one batch in a thousand is further."""


class OutlierGate:
    """Passes a request's scores on as ``inlier`` when none is under the limit, else as ``outlier``.

    Parameters
    ----------
    limit : str
        The smallest score of a row that is not odd; the Model's parameter, which is text.
    """

    def __init__(self, limit: str = "0") -> None:
        self._limit = float(limit)

    def predict(self, inputs: Tensors) -> Tensors:
        """Choose the branch."""
        scores = inputs["decision_function"]
        return {"inlier" if bool((scores >= self._limit).all()) else "outlier": scores}


class DriftDetector:
    """Compares the means of a batch with those of the reference, column by column.

    Parameters
    ----------
    reference : str
        The file with ``mean`` and ``std`` of each column, a npz file without pickles.
    """

    def __init__(self, reference: str) -> None:
        self._path = Path(reference)

    def load(self) -> None:
        """Read the reference."""
        with np.load(self._path, allow_pickle=False) as stored:
            self._mean, self._std = stored["mean"], stored["std"]

    def predict(self, inputs: Tensors) -> Tensors:
        """Tell how many standard errors the mean of the worst column is off."""
        rows = inputs["transform"]
        errors = np.abs(rows.mean(axis=0) - self._mean) / (self._std / np.sqrt(len(rows)))
        drift = float(errors.max())
        return {
            "drift": np.array([drift]),
            "drifting": np.array([drift > DRIFT_LIMIT]),
            "rows": np.array([len(rows)]),
        }
