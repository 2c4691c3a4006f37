"""What is wrong with a document, and where: findings and their paths."""

import bisect
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Path = tuple[str | int, ...]
"""The way to a value inside a document: keys of mappings and indices of lists."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_CHARACTERS = 60
_COMPARED = 20
"""With how many words one is compared at most: each takes some ten microseconds."""


class Finding(NamedTuple):
    """One thing that is wrong: where in the document, and what (expected, got, what was probably meant)."""

    path: Path
    text: str

    def __str__(self) -> str:
        """Print ``path: text``, or the text alone when the document as a whole is meant."""
        return f"{show_path(self.path)}: {self.text}" if self.path else self.text


def show_path(path: Path) -> str:
    """Return ``spec.steps[1].tensorMap['a.outputs.X']`` for the path of that value."""
    shown = ""
    for part in path:
        if isinstance(part, str) and _PLAIN_KEY.fullmatch(part):
            shown += f".{part}" if shown else part
        else:
            shown += f"[{part if isinstance(part, int) else show_value(part)}]"
    return shown


def show_value(value: object) -> str:
    """Return how a finding quotes what it got: scalars as YAML writes them, long ones cut, the others by kind."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 3] + "...")
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)[:_SHOWN_CHARACTERS]


def nearest(got: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None when none is near; upper and lower case count little.

    Of many words only those that begin alike are compared.
    """
    candidates = sorted(set(known) - {got})
    near = difflib.get_close_matches(got, _beginning_alike(got, candidates), n=1)
    if near:
        return near[0]
    folded = {word.lower(): word for word in reversed(candidates)}
    near = difflib.get_close_matches(got.lower(), _beginning_alike(got.lower(), sorted(folded)), n=1)
    return folded[near[0]] if near else None


def _beginning_alike(got: str, words: Sequence[str]) -> Sequence[str]:
    """Return the neighbours of a word among sorted ones; all, where they are few."""
    place = bisect.bisect_left(words, got)
    return words if len(words) <= _COMPARED else words[max(place - _COMPARED // 2, 0) : place + _COMPARED // 2]


def suggest(got: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the :func:`nearest` known word, or ``""``."""
    near = nearest(got, known)
    return "" if near is None else f"; did you mean {near!r}?"
