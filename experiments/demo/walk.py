"""One request walked back from its answer to the record where it went wrong, beside a request like it."""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from dfml.lineage.entry import Entry, Kind
from dfml.lineage.payload import error_text, read_tensors
from dfml.lineage.traces import Trace, order_for_waterfall
from dfml_analysis.columns import Kind as VariableKind
from dfml_analysis.localisation import Suspect

SHOWN_US = 100
"""A call that took less says nothing about what is slow."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One record on the way back: ``said`` by the guilty request, ``counterpart`` by the one like it ("" for none)."""

    record: str
    said: str
    counterpart: str
    went_wrong: bool


def walk_back(guilty: Trace, counterpart: Trace, suspect: Suspect) -> list[Stop]:
    """Return the records that the request's end was made from, the end first, the suspect's own marked."""
    wrong = _wrong_record(guilty, suspect)
    end = next(reversed(guilty.answers or guilty.errors or guilty.entries))
    timed = suspect.kind is VariableKind.LATENCY
    others = {entry.name: _say(entry, timed=timed) for entry in counterpart.entries}
    way_back = reversed(order_for_waterfall(guilty.backwards(end.position)))
    return [
        Stop(entry.name, _say(entry, timed=timed), others.get(entry.name, ""), entry.position == wrong.position)
        for entry in way_back
    ]


def to_table(stops: list[Stop], guilty: Trace, counterpart: Trace) -> Table:
    """Return the walk for the terminal."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column()
    table.add_column("record", no_wrap=True)
    table.add_column(f"guilty: {guilty.request}", overflow="fold")
    table.add_column(f"alike, before: {counterpart.request}", overflow="fold")
    for stop in stops:
        cells = ("►" if stop.went_wrong else "", stop.record, stop.said, stop.counterpart or "–")
        table.add_row(*map(Text, cells), style="bold red" if stop.went_wrong else None)
    return table


def _wrong_record(trace: Trace, suspect: Suspect) -> Entry:
    """Return the suspect's record: what came in, what failed, or what the step answered; else the last there is."""
    step, kind = suspect.step, Kind.STEP_OUTPUTS
    if suspect.kind is VariableKind.INPUT or any(entry.pipeline == step for entry in trace.entries):
        step, kind = "", Kind.ENTRY
    if suspect.kind is VariableKind.ERROR:
        kind = Kind.ERROR
    found = [entry for entry in trace.entries if entry.step == step and entry.kind is kind]
    return found[-1] if found else trace.entries[-1]


def _say(entry: Entry, *, timed: bool) -> str:
    if entry.kind is Kind.ERROR:
        return error_text(entry)
    said = [f"{tensor.name} {_plain(tensor.array.reshape(-1).tolist())}" for tensor in read_tensors(entry)]
    if timed and entry.service_us is not None and entry.service_us >= SHOWN_US:
        said.append(f"({entry.service_us / 1000:.1f} ms)")
    return "  ".join(said)


def _plain(values: list[object]) -> str:
    shown = [f"{value:,.10g}" if isinstance(value, float) else str(value) for value in values]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
