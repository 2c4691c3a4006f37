"""One suspect for one change: variables of a step that only show what another one shows already.

A changed classifier shows in the tensor of either branch, a changed number in every element that is computed with it.
Of the variables of one step and kind, the one with the strongest evidence stands for the change. Another is a suspect
of its own only if its mechanism differs also *given those that stand already*: then it tells something that they do
not. Where that cannot be compared it is taken for the same change, so that the list stays short.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dfml_analysis.columns import Kind
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
    asked = [(test.variable.name, test.variable.step, test.kind) for test in changed]
    return stand_apart(asked, lambda index, standing, n: _adds(windows, changed, index, standing, n))


def stand_apart(
    changed: Sequence[tuple[str, str, Kind]], adds: Callable[[int, Sequence[int], int], bool]
) -> Mapping[int, tuple[str, ...]]:
    """Return the same of variables by name, step and kind, strongest first.

    ``adds`` says whether one differs given those that stand, and is told how many of its group are asked.
    """
    groups: dict[tuple[str, Kind], list[int]] = {}
    for index, (_, step, kind) in enumerate(changed):
        groups.setdefault((step, kind), []).append(index)
    found: dict[int, tuple[str, ...]] = {}
    for first, *others in groups.values():
        standing, shown = [first], []
        for index in others:
            if len(standing) < MAX_STANDING and adds(index, standing, len(others)):
                standing.append(index)
            else:
                shown.append(changed[index][0])
        own = {changed[index][0] for index in standing}
        found[first] = tuple(name for name in dict.fromkeys(shown) if name not in own)
        found |= {index: () for index in standing[1:]}
    return found


def _adds(
    windows: Windows, changed: Sequence[MechanismTest], index: int, standing: Sequence[int], n_asked: int
) -> bool:
    beside = examine_beside(windows, changed[index], [changed[each] for each in standing])
    return beside.comparable and beside.evidence.log_p + np.log(n_asked) <= np.log(ALPHA)
