"""A request's trace as a waterfall: what each step waited, worked and answered, and what did not happen and why."""

from collections.abc import Collection

from dfml.drawing.axis import spell_number
from dfml.drawing.svg import Tone
from dfml.drawing.waterfall import Bar, bars_svg
from dfml.errors import PayloadError
from dfml.lineage.entry import Entry, Fate, Kind
from dfml.lineage.payload import TensorValue, error_text, plain, read_tensors
from dfml.lineage.traces import Trace
from dfml.record import Position

SHOWN_ELEMENTS = 4
"""Elements of a tensor in one line of a waterfall."""


def waterfall_svg(trace: Trace, *, suspects: Collection[str] = ()) -> str:
    """Return the request as one ``<svg>`` element.

    A step's input and its answer are one row; entry, answer, errors and drops are points. Times are those of the log,
    milliseconds; waiting and working times are the model gateway's, microseconds.

    Parameters
    ----------
    trace
        The request.
    suspects
        Steps whose rows are drawn as at fault.
    """
    return bars_svg(trace_bars(trace, suspects=suspects), title=f"request {trace.request}: {trace.status}")


def trace_bars(trace: Trace, *, suspects: Collection[str] = ()) -> list[Bar]:
    """Return the rows of the waterfall, by time."""
    answered = _answered_inputs(trace)
    bars = [_bar(trace, entry, answered, suspects) for entry in trace.entries if entry.position not in answered]
    bars += [_drop(fate, trace.started_ms) for fate in trace.fates]
    return sorted(bars, key=lambda bar: bar.start_ms)


def spell_tensor(value: TensorValue) -> str:
    """Return a tensor in a few letters: ``payout = 0.8``, ``x = [1, 2, 3, 4, …] (16)``."""
    flat = value.array.reshape(-1)
    shown = [_spell_element(plain(element)) for element in flat[:SHOWN_ELEMENTS].tolist()]
    if flat.size == 1:
        return f"{value.name} = {shown[0]}"
    more = f", …] ({flat.size})" if flat.size > SHOWN_ELEMENTS else "]"
    return f"{value.name} = [{', '.join(shown)}{more}"


def spell_entry(entry: Entry) -> str:
    """Return what a record holds in one line: its tensors, its error, or that its payload was not kept."""
    if entry.kind is Kind.ERROR:
        return f"{entry.error_kind or 'error'}: {error_text(entry)}"
    if entry.payload is None:
        return f"payload not kept ({entry.payload_bytes} bytes)"
    try:
        return ", ".join(spell_tensor(value) for value in read_tensors(entry)) or "no tensor"
    except PayloadError as error:
        return f"unreadable: {error}"


def _spell_element(element: object) -> str:
    if isinstance(element, bool | str) or element is None:
        return str(element)
    return spell_number(float(element)) if isinstance(element, int | float) else str(element)


def _answered_inputs(trace: Trace) -> dict[Position, Entry]:
    """Return the step inputs that have an answer or an error of the same step, which their row shows."""
    found = {}
    for entry in trace.entries:
        if entry.kind not in {Kind.STEP_OUTPUTS, Kind.ERROR}:
            continue
        for parent in entry.parents:
            source = trace.by_position.get(parent)
            if source is not None and source.kind is Kind.STEP_INPUTS and source.step == entry.step:
                found[parent] = source
    return found


def _bar(trace: Trace, entry: Entry, answered: dict[Position, Entry], suspects: Collection[str]) -> Bar:
    inputs = [answered[parent] for parent in entry.parents if parent in answered]
    start_ms = min((each.timestamp_ms for each in inputs), default=entry.timestamp_ms) - trace.started_ms
    queue_ms, service_ms = (entry.queue_us or 0) / 1000, (entry.service_us or 0) / 1000
    said = spell_entry(entry)
    note = f"{entry.name}  {entry.position}\n{said}"
    if entry.kind is Kind.ERROR:
        return Bar(entry.step or entry.pipeline, start_ms, queue_ms, service_ms, said, note, Tone.BAD)
    if entry.kind is Kind.STEP_OUTPUTS:
        tone = Tone.BAD if entry.step in suspects else Tone.PLAIN
        return Bar(entry.step, start_ms, queue_ms, service_ms, said, note, tone)
    if entry.kind is Kind.STEP_INPUTS:
        return Bar(entry.step, start_ms, detail=f"no answer on record · {said}", note=note, tone=Tone.WARN)
    return Bar(
        entry.name, start_ms, detail=said, note=note, tone=Tone.GOOD if entry.kind is Kind.ANSWER else Tone.PLAIN
    )


def _drop(fate: Fate, started_ms: int) -> Bar:
    missing = f": no {', '.join(fate.missing)}" if fate.missing else ""
    note = f"{fate.position}\n{fate.fate}, {fate.reason}{missing}"
    name = fate.step or f"{fate.pipeline}.outputs"
    return Bar(
        name, float(fate.timestamp_ms - started_ms), detail=f"{fate.reason}{missing}", note=note, tone=Tone.MUTED
    )
