"""What a rule sends on: the tensors it wants of its arrivals, joined into one message."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from dfml.errors import PayloadError
from dfml.inference.codec import Message, read_message
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.inference.passing import pass_whole
from dfml.inference.project import Part, Wanted, merge, merge_response, want_all
from dfml.record import Record
from dfml_engine.flow import Arrival, Ended, Flow
from dfml_engine.topology import FiringRule, Source
from dfml_engine.writing import Failure

KINDS = {"inputs": InferRequest, "outputs": InferResponse}
"""What the records of a port's topics hold."""
FILTERED = "filtered"
"""The fate of a record that lacks what a rule wants of it."""


def parse(arrival: Arrival, source: Source) -> Message:
    """Return the arrival's message, parsed once.

    Raises
    ------
    PayloadError
        If its value is no Open Inference message.
    """
    if arrival.message is None:
        arrival.message = read_message(KINDS[source.port], arrival.record.value)
    return arrival.message


def lacking(rule: FiringRule, slot: int, arrival: Arrival) -> tuple[str, ...]:
    """Return the wanted tensors for want of which the record can never fill the slot; none where it can.

    Raises
    ------
    PayloadError
        If its value is no Open Inference message.
    """
    source = rule.slots[slot]
    if not source.wanted:
        return ()
    missing = source.missing(tensor.name for tensor in parse(arrival, source).tensors)
    return missing if len(missing) == len(source.wanted) or rule.needs_all_tensors(slot) else ()


def late_fate(rule: FiringRule, slot: int, arrival: Arrival, ended: Ended) -> tuple[str, tuple[str, ...]]:
    """Return why a record that comes when the rule has ended is dropped, and what it lacks.

    One that could not have filled its slot at any time says so, whatever came before it.
    """
    with suppress(PayloadError):
        if missing := lacking(rule, slot, arrival):
            return FILTERED, missing
    return arrival.late_reason(ended, rule, slot), ()


def join_payload(flow: Flow, rule: FiringRule, data: Sequence[tuple[int, Arrival]]) -> bytes:
    """Return the value of the record that the rule writes, made of the arrivals by slot.

    Raises
    ------
    PayloadError
        If the value of an arrival is no Open Inference message, or the tensors cannot be joined.
    """
    if len(data) == 1 and (value := _pass_whole(flow, rule, *data[0])) is not None:
        return value
    parts: list[Part] = []
    if rule.pieces:
        parts = _in_order_of_the_spec(rule, dict(data))
    else:
        for slot, arrival in data:
            source = rule.sources[slot]
            message = parse(arrival, source)
            parts.append((message, _wanted(source.wanted, source.renames, message)))
    request = flow.request.decode(errors="replace")
    if rule.sink_port == "inputs":
        return merge(parts, model_name=rule.step or flow.topology.pipeline, request_id=request).SerializeToString()
    name = flow.topology.pipeline
    return merge_response(parts, model_name=name, request_id=request, allow_duplicates=True).SerializeToString()


def _pass_whole(flow: Flow, rule: FiringRule, slot: int, arrival: Arrival) -> bytes | None:
    """Return what the rule writes where it takes all of one record as it is and no parser is needed, else None."""
    source = rule.sources[slot]
    if source.wanted or source.renames or rule.pieces:
        return None
    kind, to_kind = KINDS[source.port], KINDS[rule.sink_port]
    name = rule.step if rule.sink_port == "inputs" and rule.step else flow.topology.pipeline
    request = flow.request.decode(errors="replace").encode()
    return pass_whole(arrival.record.value, kind, to_kind, name.encode(), request)


def undecodable(record: Record, rule: FiringRule, error: PayloadError) -> Failure:
    """Say which record could not be used, for whom it was read, and why."""
    reader = f"step '{rule.step}'" if rule.step else "the pipeline's output"
    return Failure("undecodable", f"{record.position}, read for {reader}: {error}")


def _in_order_of_the_spec(rule: FiringRule, arrivals: Mapping[int, Arrival]) -> list[Part]:
    """Return the parts where the spec goes back and forth between sources."""
    parts: list[Part] = []
    for slot, tensors in rule.pieces:
        if slot in arrivals:
            message = parse(arrivals[slot], rule.sources[slot])
            parts.append((message, _wanted(tensors, rule.sources[slot].renames, message)))
    return parts


def _wanted(tensors: Sequence[str], renames: Mapping[str, str], message: Message) -> Wanted | None:
    """Return the tensors, or all where none is named, each with its new name."""
    if not tensors:
        return want_all(message, renames) if renames else None
    return tuple((name, renames.get(name, name)) for name in tensors)
