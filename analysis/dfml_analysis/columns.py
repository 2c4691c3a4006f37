"""What a frame's column name says: which step it belongs to and what kind of variable it is.

================================  ==================================================
``step.outputs.TENSOR[i]``        element i of what the step answered (value)
``step.outputs.TENSOR.mean``      the same of a long tensor: its mean, std, min, max or size
``step.outputs.TENSOR.length``    the same of free text: length, words, digits, capitals, unknown
``step.outputs.TENSOR.presence``  whether the tensor was there (presence)
``step.presence``                 whether the step answered at all (presence)
``step.latency_ms``               how long it took (latency)
``step.queue_ms``                 how long its call waited (queue)
``step.error``                    whether it failed (error)
``P.inputs.TENSOR[i]``            what the caller sent (input)
any other name                    a step of that name with one value
================================  ==================================================
"""

import re
from dataclasses import dataclass
from enum import StrEnum

TENSOR_COLUMN = re.compile(
    r"(?P<step>[^.]+)\.(?P<port>inputs|outputs)\.(?P<tensor>[^\[\]]+?)"
    r"(?:\[(?P<element>\d+)\]|\.(?P<summary>mean|std|min|max|size|presence|length|words|digits|capitals|unknown))?"
)
ASPECT_COLUMN = re.compile(r"(?P<step>[^.]+)\.(?P<aspect>presence|latency_ms|queue_ms|error)")


class Kind(StrEnum):
    """What a variable tells about its step."""

    VALUE = "value"
    INPUT = "input"
    PRESENCE = "presence"
    LATENCY = "latency"
    ERROR = "error"
    QUEUE = "queue"
    """Waiting is the machine's: it explains latencies and is never a suspect."""


ASPECTS = {"presence": Kind.PRESENCE, "latency_ms": Kind.LATENCY, "queue_ms": Kind.QUEUE, "error": Kind.ERROR}


@dataclass(frozen=True, slots=True)
class Column:
    """A parsed column name.

    Attributes
    ----------
    name : str
        The name as it stands in the frame.
    step : str
        The step (or the pipeline) it belongs to; the whole name for a column outside the grammar.
    kind : Kind or None
        None for a column outside the grammar: the graph decides between input and value.
    port : str or None
        ``inputs`` or ``outputs`` for a tensor.
    tensor : str or None
        The tensor's name.
    """

    name: str
    step: str
    kind: Kind | None
    port: str | None = None
    tensor: str | None = None


def parse_column(name: str) -> Column:
    """Read a column's name; every text is a column, so nothing is refused.

    Examples
    --------
    >>> parse_column("simple.outputs.payout").step
    'simple'
    >>> parse_column("simple.latency_ms").kind
    <Kind.LATENCY: 'latency'>
    >>> parse_column("split.outputs.low.presence").kind
    <Kind.PRESENCE: 'presence'>
    >>> parse_column("count1").step
    'count1'
    """
    if match := TENSOR_COLUMN.fullmatch(name):
        kind = Kind.INPUT if match["port"] == "inputs" else Kind.VALUE
        kind = Kind.PRESENCE if match["summary"] == "presence" else kind
        return Column(name, match["step"], kind, match["port"], match["tensor"])
    if match := ASPECT_COLUMN.fullmatch(name):
        return Column(name, match["step"], ASPECTS[match["aspect"]])
    return Column(name, name, None)
