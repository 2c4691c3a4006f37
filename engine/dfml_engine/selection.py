"""Which pipelines an engine runs, or which models a gateway calls: all, or those of some names and patterns.

Each selection is a group of its own: the processes that have it share the partition numbers, and their positions are
theirs alone.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dfml.errors import BadInputError
from dfml.operations.owners import group_of

PATTERN = re.compile(r"[A-Za-z0-9_*?-]+")


@dataclass(frozen=True, slots=True)
class Selection:
    """Names, or patterns with ``*`` and ``?``; none of them selects everything.

    Raises
    ------
    BadInputError
        If one has a character that no name has.
    """

    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            if not PATTERN.fullmatch(pattern):
                msg = (
                    f"selection: got {pattern!r}, expected a name, or a pattern of letters, digits, '-', '_', '*', '?'"
                )
                raise BadInputError(msg)
        object.__setattr__(self, "patterns", tuple(sorted(set(self.patterns))))

    def covers(self, name: str) -> bool:
        """Whether the name is selected."""
        return not self.patterns or any(fnmatchcase(name, pattern) for pattern in self.patterns)

    def group(self, part: str) -> str:
        """Return the group of the processes that run a part with this selection."""
        return group_of(part, self.patterns)

    def meets(self, other: "Selection") -> bool:
        """Whether some name may be in both; two patterns that share no name yet may still come to, with a new one."""
        if not (self.patterns and other.patterns):
            return True
        return any(_meet(mine, theirs) for mine in self.patterns for theirs in other.patterns)

    def __str__(self) -> str:
        return ", ".join(self.patterns) or "everything"


ALL = Selection()


def _meet(left: str, right: str) -> bool:
    """Whether two patterns have a name in common: walk through both, letting a star take nothing or one letter."""
    if not left or not right:
        return not (left or right).strip("*")
    if left[0] == "*":
        return _meet(left[1:], right) or _meet(left, right[1:])
    if right[0] == "*":
        return _meet(left, right[1:]) or _meet(left[1:], right)
    return (left[0] == right[0] or "?" in (left[0], right[0])) and _meet(left[1:], right[1:])
