"""Tables, figures and the page show every method, condition and failure."""

import io
import re

import pytest
from rich.console import Console

from dfml_analysis.evaluate.answer import Answer
from dfml_analysis.evaluate.figures import draw_conditions, draw_methods
from dfml_analysis.evaluate.page import render_page
from dfml_analysis.evaluate.scores import overview, score
from dfml_analysis.evaluate.tables import render, spell_seconds, spell_share


def _answers() -> list[Answer]:
    told = {"verdict": "fault", "seconds": 0.02, "peak_mb": 1.0}
    return [
        Answer("made", "step <moved>", "0", "dfml", [["a"]], True, ["a"], ["a"], **told),  # type: ignore[arg-type]
        Answer("made", "step <moved>", "0", "ranks", [["a"]], False, ["b", "a"], seconds=2.0),
        Answer("made", "step <moved>", "0", "fails", [["a"]], True, status="failed", reason="it broke", seconds=1.0),
        Answer("made", "nothing", "0", "dfml", [], True, verdict="no_change", seconds=0.01),
    ]


def test_the_tables_tell_each_method_and_each_condition():
    console = Console(file=io.StringIO(), width=160)
    for table in render(_answers()):
        console.print(table)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"dfml +2 +1\.00 \(0\.21-1\.00\)", told)
    assert re.search(r"ranks .* 100 +1.00 *$", told, re.MULTILINE), "a hundred times the time of dfml"
    assert re.search(r"nothing +1 +0\.00 \(0\.00-0\.79\) alarms", told)


def test_without_answers_there_is_no_table():
    assert render([]) == []


def test_the_page_needs_nothing_else_and_escapes_what_it_shows():
    page = render_page(_answers(), {"seeds": "0..9", "data": None})
    assert "seeds 0..9" in page
    assert "step &lt;moved&gt;" in page
    assert "it broke" in page
    assert not re.search(r'(src|href)="(?!data:)', page)


@pytest.mark.parametrize(
    "draw", [lambda: draw_methods(overview(_answers())), lambda: draw_conditions(score(_answers()))]
)
def test_the_figures_name_every_method(draw):
    figure = draw()
    figure.draw_without_rendering()
    labels = {text.get_text() for axes in figure.axes for text in (*axes.get_yticklabels(), *axes.get_xticklabels())}
    assert {"dfml", "ranks", "fails"} <= labels


def test_numbers_are_spelled_for_people():
    assert spell_share(None) == ""
    assert [spell_seconds(value) for value in (0.0123, 0.9999, 12.34)] == ["12.3 ms", "1 s", "12.3 s"]
