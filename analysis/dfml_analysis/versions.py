"""Which version a change began with: what was loaded between the last request as before and the first that differs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dfml_analysis.onset import Onset, Since

if TYPE_CHECKING:
    from dfml.lineage.entry import LoadedSpec
    from dfml_analysis.localisation import Localisation

SLACK_MS = 1000
"""A request that entered this long before a version was loaded may still have been answered by it."""


@dataclass(frozen=True, slots=True)
class Load:
    """A document that was loaded: ``Model``, ``classifier``, version 2, and when (ms since the epoch)."""

    kind: str
    name: str
    version: int
    loaded_ms: int


def with_versions(found: "Localisation", loaded: Sequence["LoadedSpec"]) -> "Localisation":
    """Return the localisation with the version that each suspect's change began with, where one was loaded then.

    Parameters
    ----------
    found : Localisation
    loaded : sequence of LoadedSpec
        Documents of the pipeline and its models, as the lineage store has them. A version counts for a suspect if it is
        of the suspect's step (or of the pipeline where that is the suspect) and was loaded within the interval of the
        change; that it was the cause is not proven by that.
    """
    suspects = []
    for suspect in found.suspects:
        own = [spec for spec in loaded if spec.name == suspect.step and spec.document]
        inside = [spec for spec in own if suspect.onset is not None and _began_with(suspect.onset, spec.loaded_ms)]
        last = inside[-1] if inside else None
        load = None if last is None else Load(last.kind, last.name, last.version, last.loaded_ms)
        suspects.append(replace(suspect, version=load))
    return replace(found, suspects=tuple(suspects))


def _began_with(onset: Onset, loaded_ms: int) -> bool:
    if onset.since is Since.UNCLEAR or onset.latest_ms is None or onset.before_ms is None:
        return False
    return onset.before_ms <= loaded_ms <= onset.latest_ms + SLACK_MS
