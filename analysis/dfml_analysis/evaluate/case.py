"""One case of a suite: two windows of a pipeline, and what is known to have been broken between them."""

from collections.abc import Callable
from dataclasses import dataclass

from dfml_analysis.localisers.base import Problem

Culprit = frozenset[str]
"""The steps of one broken component: naming any of them is right."""


@dataclass(frozen=True, slots=True)
class Posed:
    """A problem and its answer.

    Attributes
    ----------
    problem : Problem
        The graph's vertices may carry ``step``; suspects are scored by step.
    culprits : tuple of frozenset of str
        One entry a fault, the steps of its component; empty for a control, where nothing was broken.
    """

    problem: Problem
    culprits: tuple[Culprit, ...]

    @property
    def truth(self) -> tuple[str, ...]:
        """Every step of every broken component, in order."""
        return tuple(sorted(frozenset().union(*self.culprits)))


@dataclass(frozen=True, slots=True)
class Case:
    """A case that is made when it is asked for: the large ones are not all in memory at once.

    Attributes
    ----------
    suite, condition, name : str
        Together unique. Cases of one condition are scored together.
    pose : callable
        Makes the windows; the same each time.
    """

    suite: str
    condition: str
    name: str
    pose: Callable[[], Posed]
