"""A localisation as a tired operator reads it: what changed, since when, how sure, show me; then the suspects."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dfml.drawing.svg import Tone, theme_css
from dfml_analysis.verdict import ALPHA, Verdict
from dfml_analysis.wording import (
    short_name,
    spell_before_after,
    spell_certainty,
    spell_compared,
    spell_elements,
    spell_load,
    spell_no_damage,
    spell_p,
    spell_part,
    spell_since,
    spell_unit,
)

if TYPE_CHECKING:
    from dfml_analysis.localisation import Localisation, Suspect

STYLES = {
    Verdict.FAULT: "bold red",
    Verdict.INPUT_SHIFT: "bold yellow",
    Verdict.NO_CHANGE: "bold green",
    Verdict.UNDECIDED: "bold blue",
}
TONES = {
    Verdict.FAULT: Tone.BAD,
    Verdict.INPUT_SHIFT: Tone.SHIFT,
    Verdict.NO_CHANGE: Tone.GOOD,
    Verdict.UNDECIDED: Tone.WARN,
}
CSS = """
.dfml-localisation{border:1px solid var(--dfml-line);border-left:6px solid var(--tone);border-radius:8px;
background:var(--dfml-surface);color:var(--dfml-ink);padding:12px 16px;max-width:900px;font-size:13px}
.dfml-localisation .sentence{color:var(--tone);font-size:16px;font-weight:650;margin:0 0 8px}
.dfml-localisation dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0 0 10px}
.dfml-localisation dt{color:var(--dfml-soft)}.dfml-localisation dd{margin:0;font-weight:600}
.dfml-localisation table{border-collapse:collapse;font-size:13px;margin:0 0 8px;background:none;color:inherit}
.dfml-localisation tr{background:none!important}
.dfml-localisation th,.dfml-localisation td{padding:3px 14px 3px 0;text-align:left;border:0;color:inherit;
border-bottom:1px solid var(--dfml-line)}
.dfml-localisation th{color:var(--dfml-soft);font-weight:600}
.dfml-localisation p{margin:0;color:var(--dfml-soft);font-size:12px}
"""
SHOW_ME = "show me"
TEXT_COLUMNS = 100
MAX_ROWS = 10
"""Suspects that are shown; the rest is in the JSON."""


def to_terminal(localisation: "Localisation") -> RenderableType:
    """Return the localisation as rich draws it, within 80 columns."""
    localisation = localisation.for_readers()
    parts: list[RenderableType] = [Text(localisation.sentence, style=STYLES[localisation.verdict])]
    facts = list(answers(localisation))
    if facts:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in facts:
            grid.add_row(name, Text(value))
        parts += [Text(), grid]
    if localisation.suspects:
        parts += [Text(), _table(localisation)]
    return Group(*parts)


def to_text(localisation: "Localisation") -> str:
    """Return what stands on the terminal as plain text, its lines at most 100 characters long."""
    page = Console(width=TEXT_COLUMNS, file=StringIO(), color_system=None, force_terminal=False, force_jupyter=False)
    with page.capture() as drawn:
        page.print(to_terminal(localisation))
    return "\n".join(line.rstrip() for line in drawn.get().rstrip().splitlines())


def answers(localisation: "Localisation") -> Iterator[tuple[str, str]]:
    """Yield what is asked after "what changed": since when, how sure, what damage, show me; what is known of it."""
    if not localisation.suspects:
        if localisation.verdict is Verdict.NO_CHANGE and localisation.evidence:
            yield "how sure", _how_sure_of_nothing(localisation)
        return
    first = localisation.suspects[0]
    if first.onset is not None:
        yield "since", spell_since(first.onset)
    if first.version is not None:
        yield "version", spell_load(first.version)
    if not math.isnan(first.p_value):
        yield "how sure", ", ".join(filter(None, [spell_certainty(first.p_value), spell_compared(first)]))
    if first.attribution is not None and first.attribution_interval is not None:
        yield "damage", _damage(localisation, first.attribution, first.attribution_interval)
    elif localisation.target and math.isnan(localisation.target_change):
        yield "damage", spell_no_damage(localisation.unit, localisation.target)
    if first.elements is not None:
        yield "elements", spell_elements(first.elements)
    if localisation.show_me:
        yield SHOW_ME, localisation.show_me
    elif first.pairs:
        yield SHOW_ME, f"request {first.pairs[0].guilty} beside request {first.pairs[0].counterpart} of the reference"


def _damage(localisation: "Localisation", part: float, interval: tuple[float, float]) -> str:
    low, high = (spell_part(value) for value in interval)
    unit = spell_unit(localisation.unit)
    told = f"{spell_part(part)} (95 %: {low} to {high}) in {unit} of {localisation.target}"
    if interval[0] <= 0 <= interval[1]:
        return f"none that can be told from chance: {told}"
    return f"{told}, which changed by {spell_part(localisation.target_change)}"


def _how_sure_of_nothing(localisation: "Localisation") -> str:
    smallest = min(item.p_value for item in localisation.evidence)
    return f"{len(localisation.evidence)} tests, smallest p = {spell_p(smallest)}; below {ALPHA} would be a change"


def _table(localisation: "Localisation") -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column()
    shown = localisation.suspects[:MAX_ROWS]
    columns = _columns(shown)
    for heading in columns:
        if heading in {"step", "variable", "kind"}:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    for place, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        table.add_row(*map(Text, (str(place), *cells)), style="bold" if place == 1 else None)
    if len(localisation.suspects) > MAX_ROWS:
        table.add_row("", f"{len(localisation.suspects) - MAX_ROWS} more", style="dim")
    return table


def _columns(suspects: "Sequence[Suspect]") -> dict[str, list[str]]:
    """Return the cells of each column by its heading; one that would say nothing new of any suspect is left out."""
    before, after = zip(*map(spell_before_after, suspects), strict=True)
    columns = {
        "step": [each.step for each in suspects],
        "variable": [short_name(each.variable, each.step) for each in suspects],
        "kind": [each.kind.value for each in suspects],
        "before": list(before),
        "after": list(after),
        "p": ["" if math.isnan(each.p_value) else spell_p(each.p_value) for each in suspects],
        "part": ["" if each.attribution is None else spell_part(each.attribution) for each in suspects],
    }
    if columns["variable"] == columns["step"]:
        del columns["variable"]
    return {heading: cells for heading, cells in columns.items() if any(cells)}


def to_html(localisation: "Localisation") -> str:
    """Return the localisation for a notebook: a card in the colours of a light or a dark page."""
    localisation = localisation.for_readers()
    tone = TONES[localisation.verdict].value
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in answers(localisation))
    table = _html_table(localisation.suspects[:MAX_ROWS]) if localisation.suspects else ""
    limits = "" if localisation.status == "ok" else f"; {localisation.status.removeprefix('ok; ')}"
    return (
        f"<style>{theme_css('.dfml-localisation')}{CSS}</style>"
        f'<div class="dfml-localisation" style="--tone:var(--dfml-{tone});--fill:var(--dfml-{tone}-fill)">'
        f'<p class="sentence">{escape(localisation.sentence)}</p><dl>{facts}</dl>{table}'
        f"<p>{escape(localisation.method)}, {localisation.seconds:.2f} s{escape(limits)}</p></div>"
    )


def _html_table(suspects: "Sequence[Suspect]") -> str:
    columns = _columns(suspects)
    rows = "".join(
        f"<tr><td>{place}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for place, cells in enumerate(zip(*columns.values(), strict=True), start=1)
    )
    return f"<table><tr><th></th>{''.join(f'<th>{heading}</th>' for heading in columns)}</tr>{rows}</table>"
