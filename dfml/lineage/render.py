"""Traces and audits for a terminal (rich) and a notebook (HTML)."""

from html import escape
from typing import Any

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from dfml.lineage.audit import Audit
from dfml.lineage.traces import Trace

_BAR_CELLS = 10
"""Few, so that a terminal of 80 columns has room for what a record says."""
_SHOWN_POSITIONS = 20
_COLUMNS = ("#", "ms", "record", "from", "wait ms", "call ms", "says")


def render_trace(trace: Trace) -> RenderableType:
    """Return the waterfall: one row per record with its time, parents, tensors, wait and call.

    All times are milliseconds; ``from`` names the parents by their numbers. Rows are cut at the terminal's width,
    errors stand below in full.
    """
    said = trace.to_dict()
    # Expanded with one flexible column, so that only that one gives way on a narrow terminal.
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name in _COLUMNS[:3]:
        table.add_column(name, justify="right" if name != "record" else "left", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in _COLUMNS[3:]:
        justify: JustifyMethod = "right" if name.endswith("ms") else "left"
        table.add_column(name, justify=justify, no_wrap=True, ratio=1 if name == "says" else None)
    for row, record in zip(_rows(said), said["records"], strict=True):
        bar = _bar(record["at_ms"], said["duration_ms"])
        table.add_row(*map(Text, (*row[:3], bar, *row[3:])), style="red" if record["port"] == "errors" else None)
    errors = [Text(line, style="red") for line in _error_lines(said)]
    return Group(Text(_headline(said), style="bold"), table, *errors, *map(Text, _drop_lines(said)))


def trace_html(trace: Trace) -> str:
    """Return the waterfall as a small HTML table."""
    said = trace.to_dict()
    head = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
    rows = ("".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row) for row in _rows(said))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    drops = "".join(f"<p>{escape(line)}</p>" for line in _drop_lines(said))
    return f"<p><b>{escape(_headline(said))}</b></p><table><tr>{head}</tr>{body}</table>{drops}"


def render_audit(audit: Audit) -> RenderableType:
    """Return the count of each fate, and the positions of what is unaccounted for."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("fate")
    table.add_column("records", justify="right")
    for fate, count in audit.counts.items():
        table.add_row(fate, str(count))
        for reason, n_records in audit.reasons.get(fate, {}).items():
            table.add_row(f"  {reason}", str(n_records), style="dim")
    verdict = Text(f"unaccounted = {audit.unaccounted}", style="bold red" if audit.unaccounted else "bold green")
    lines = [Text(str(position)) for position in audit.positions[:_SHOWN_POSITIONS]]
    left = audit.unaccounted - len(lines)
    more = [Text(f"and {left} more", style="dim")] if left > 0 else []
    lost = [Text(f"{loss.first} to {loss.end_offset - 1}: {loss.reason}", style="bold red") for loss in audit.losses]
    return Group(table, verdict, *lines, *more, *lost)


def _headline(said: dict[str, Any]) -> str:
    where = ", ".join(said["pipelines"])
    return f"{said['request']}  {where}  {said['status']}  {said['duration_ms']} ms  {len(said['records'])} records"


def _error_lines(said: dict[str, Any]) -> list[str]:
    return [
        f"{record['name']}: {record['error']['kind'] or 'error'}: {record['error']['text']}"
        for record in said["records"]
        if "error" in record
    ]


def _drop_lines(said: dict[str, Any]) -> list[str]:
    numbers = {record["position"]: f"{number} {record['name']}" for number, record in enumerate(said["records"])}
    return [
        f"{drop['rule']} did not use {numbers.get(drop['position'], drop['position'])}: {drop['reason']}"
        + (f" (missing {', '.join(drop['missing'])})" if drop["missing"] else "")
        for drop in said["drops"]
    ]


def _rows(said: dict[str, Any]) -> list[tuple[str, ...]]:
    numbers = {record["position"]: number for number, record in enumerate(said["records"])}
    return [
        (
            str(number),
            str(record["at_ms"]),
            record["name"] + (f" visit {record['visit']}" if record["visit"] else ""),
            _from(record["parents"], numbers),
            _ms(record["queue_ms"]),
            _ms(record["service_ms"]),
            _says(record),
        )
        for number, record in enumerate(said["records"])
    ]


def _from(parents: list[str], numbers: dict[str, int]) -> str:
    inside = [str(numbers[parent]) for parent in parents if parent in numbers]
    n_outside = len(parents) - len(inside)
    return " ".join([*inside, *([f"+{n_outside} of others"] if n_outside else [])])


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _bar(at_ms: int, duration_ms: int) -> str:
    cell = 0 if duration_ms == 0 else round(at_ms / duration_ms * (_BAR_CELLS - 1))
    return "·" * cell + "█" + " " * (_BAR_CELLS - 1 - cell)


def _says(record: dict[str, Any]) -> str:
    said = [f"{tensor['name']} {_value(tensor)}" for tensor in record["tensors"]]
    if "error" in record:
        said.append(f"{record['error']['kind'] or 'error'}: {record['error']['text']}")
    if "unreadable" in record:
        said.append(f"unreadable: {record['unreadable']}")
    if not record["payload_kept"]:
        said.append(f"{record['payload_bytes']} bytes, not kept")
    if record["parents_inferred"]:
        said.append("(parents inferred)")
    if record["duplicate"]:
        said.append("(written again)")
    return "  ".join(said)


def _value(tensor: dict[str, Any]) -> str:
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in tensor["data"])
    more = f", … {tensor['n_left_out']} more" if tensor["n_left_out"] else ""
    return shown if len(tensor["data"]) == 1 and not more else f"[{shown}{more}]"
