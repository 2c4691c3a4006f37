"""A fault as a switch: what it loads, what it does to the requests, and what a localisation should say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")

Verdict = Literal["fault", "input_shift", "no_change"]
Kind = Literal["value", "presence", "latency", "error", "input"]
"""What of the step changes: what it answers, whether it answers, how long it takes, whether it fails; or the caller."""


def _as_sent(item: Item) -> Item:
    return item


@dataclass(frozen=True, slots=True)
class Fault(Generic[Item]):
    """One switch.

    Attributes
    ----------
    name, summary : str
        What it is called, and what changes.
    verdict : str
        What a localisation should find.
    step : str or None
        The culprit; the pipeline's own name when it is the caller, None when there is none.
    kind : str or None
        What of the culprit changes.
    rollout : Path or None
        The document to load; None when the code stays.
    alter : callable
        What the caller does to each item before it is sent.
    """

    name: str
    summary: str
    verdict: Verdict
    step: str | None = None
    kind: Kind | None = None
    rollout: Path | None = None
    alter: Callable[[Item], Item] = _as_sent
