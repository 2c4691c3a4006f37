"""One suspect for one change: variables of a step that only show what another one shows already.

A changed classifier shows in the tensor of either branch, a changed number in every element that is computed with it.
Of the variables of one step and kind, the one with the strongest evidence stands for the change. Another is a suspect
of its own only if its mechanism differs also *given those that stand already*: then it tells something that they do
not. Where that cannot be compared it is taken for the same change, so that the list stays short.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dfml_analysis.mechanisms import MechanismTest, examine_beside
from dfml_analysis.verdict import ALPHA
from dfml_analysis.windows import Windows

MAX_STANDING = 5
"""A step with more changes than that is wrong throughout; each further test would have one more parent."""


def distinct(windows: Windows, changed: Sequence[MechanismTest]) -> Mapping[int, tuple[str, ...]]:
    """Return which of the changed variables stand for a change, each with those that show the same one.

    Parameters
    ----------
    windows : Windows
    changed : sequence of MechanismTest
        Strongest evidence first.

    Returns
    -------
    Mapping of int to tuple of str
        Indices in ``changed``, and names of other variables than its own.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for index, test in enumerate(changed):
        groups.setdefault((test.variable.step, test.kind.value), []).append(index)
    found: dict[int, tuple[str, ...]] = {}
    for first, *others in groups.values():
        standing, shown = [first], []
        for index in others:
            if len(standing) < MAX_STANDING and _adds(windows, changed, index, standing, len(others)):
                standing.append(index)
            else:
                shown.append(changed[index].variable.name)
        own = {changed[index].variable.name for index in standing}
        found[first] = tuple(name for name in dict.fromkeys(shown) if name not in own)
        found |= {index: () for index in standing[1:]}
    return found


def _adds(
    windows: Windows, changed: Sequence[MechanismTest], index: int, standing: Sequence[int], n_asked: int
) -> bool:
    beside = examine_beside(windows, changed[index], [changed[each] for each in standing])
    return beside.comparable and beside.evidence.log_p + np.log(n_asked) <= np.log(ALPHA)
