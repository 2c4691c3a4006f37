"""What the oracle says, and what it is told: records by name, happenings, what became of the requests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from reading import RuleId

Tensors = tuple[tuple[str, np.ndarray[Any, Any]], ...]
Model = Callable[[dict[str, np.ndarray[Any, Any]]], dict[str, np.ndarray[Any, Any]]]


class Name(NamedTuple):
    """A record: whose, and where it stands. ``node`` "" is the pipeline itself; ``port`` inputs, outputs or errors."""

    request: str
    pipeline: str
    version: int
    node: str
    port: str
    visit: int = 0


class Happening(NamedTuple):
    """``record`` was given to the reader, or its clock was read (``record`` None), or it began anew (``now`` None).

    Where a ``partition`` is given, only what it has of the requests on that number is meant.
    """

    reader: str
    record: Name | None
    now: int | None
    partition: int | None = None


@dataclass
class Evaluation:
    """What became of the requests: records with tensors and parents, errors, drops with the reasons allowed."""

    records: dict[Name, Tensors] = field(default_factory=dict)
    parents: dict[Name, frozenset[Name]] = field(default_factory=dict)
    errors: dict[Name, frozenset[Name]] = field(default_factory=dict)
    hopeless: set[tuple[str, str]] = field(default_factory=set)
    drops: dict[tuple[Name, RuleId], tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict)
