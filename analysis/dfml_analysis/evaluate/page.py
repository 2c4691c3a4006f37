"""The scores as one HTML page that needs nothing else."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from dfml.drawing.svg import theme_css
from dfml_analysis.evaluate.answer import Answer
from dfml_analysis.evaluate.figures import draw_methods
from dfml_analysis.evaluate.scores import OWN, Score, overview, score
from dfml_analysis.evaluate.tables import HEADINGS, by_condition, cells, rightness

DPI = 130


def render_page(answers: Sequence[Answer], configuration: Mapping[str, object]) -> str:
    """Return the page of the answers of one suite; there is at least one."""
    scores, pooled = score(answers), overview(answers)
    names = [item.method for item in pooled]
    conditions = by_condition(scores)
    told = [name if value is True else f"{name} {value}" for name, value in configuration.items() if value is not None]
    counted = f"{len({answer.key[:3] for answer in answers})} cases, {len(names)} methods"
    return _template().render(
        css=theme_css(":root"),
        suite=answers[0].suite,
        facts=[counted, *told],
        headings=HEADINGS,
        own=OWN,
        methods=[(item.method, cells(item)) for item in pooled],
        figure=_as_png(pooled),
        names=names,
        matrix=[
            (condition, max(item.n for item in found.values()), [_share(found, name) for name in names])
            for condition, found in conditions.items()
        ],
        conditions=[
            (condition, [(name, cells(item)) for name, item in found.items()])
            for condition, found in conditions.items()
        ],
        failures=_failures(answers),
    )


def _share(found: Mapping[str, Score], name: str) -> float | None:
    return rightness(found[name]) if name in found else None


def _failures(answers: Sequence[Answer]) -> list[tuple[str, str, int]]:
    counts = Counter((answer.method, answer.reason) for answer in answers if answer.failed)
    return [(method, reason, n) for (method, reason), n in counts.items()]


def _as_png(pooled: Sequence[Score]) -> str:
    data = io.BytesIO()
    draw_methods(pooled).savefig(data, format="png", dpi=DPI)
    return base64.b64encode(data.getvalue()).decode()


@cache
def _template() -> Template:
    loader = PackageLoader("dfml_analysis.evaluate", package_path="")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return pages.get_template("page.html.j2")
