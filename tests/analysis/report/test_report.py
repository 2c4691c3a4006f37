import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest

from dfml.errors import BadInputError
from dfml.graph import PipelineGraph
from dfml.spec import parse_resources
from dfml.spec.schema import Pipeline
from dfml_analysis.causal_graph import from_pipeline, read_graph
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.report import write_report
from dfml_analysis.wording import spell_since

CHAIN = {"x": [], "y": ["x"], "z": ["y"]}
CLAIMS = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: claims}
spec:
  steps:
    - name: value
    - name: payout
      inputs: [value]
  output: {steps: [payout]}
"""


class Page(HTMLParser):
    """Collects what a browser would load, what ids there are and what is said."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: dict[str, dict[str, str | None]] = {}
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "poster"}]
        if found.get("id"):
            self.ids.setdefault(str(found["id"]), found)
        if tag not in {"meta", "link", "img", "br", "wbr", "input", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.texts).append(data)


def table(seed: int, shift: float = 0.0, moved_by: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, 300)
    y = 2 * x + moved_by + rng.normal(0, 1, 300)
    return pd.DataFrame({"x": x, "y": y, "z": y - rng.normal(0, 1, 300)})


def report(
    tmp_path: Path, current: pd.DataFrame, reference: pd.DataFrame | None = None, **said: object
) -> tuple[Page, Localisation, str]:
    graph, reference = read_graph(CHAIN), table(1) if reference is None else reference
    found = localise(graph, reference, current, "z")
    options = {"graph": graph, "reference": reference, "current": current, "clock": lambda: 0} | said
    text = write_report(tmp_path / "r.html", found, **options).read_text(encoding="utf-8")
    return Page(text), found, text


def test_a_fault_is_named_in_the_headline_and_marked_in_the_graph(tmp_path: Path) -> None:
    page, found, text = report(tmp_path, table(2, moved_by=2.0))
    assert "y behaves differently." in page.texts
    assert found.sentence in page.texts
    assert page.ids["verdict"]["data-verdict"] == "fault"
    assert text.count(">suspect 1</text>") == 1
    assert ">target</text>" in text


def test_of_a_large_graph_the_way_from_the_suspects_to_the_target_is_drawn(tmp_path: Path) -> None:
    aside = {f"aside{number}": ["x"] for number in range(30)}
    rng = np.random.default_rng(3)
    before, after = (
        made.assign(**{name: rng.normal(0, 1, len(made)) for name in aside})
        for made in (table(1), table(2, moved_by=2.0))
    )
    found = localise(read_graph(CHAIN | aside), before, after, "z")
    path = write_report(tmp_path / "r.html", found, graph=read_graph(CHAIN | aside), reference=before, current=after)
    text = path.read_text(encoding="utf-8")
    picture, whole = re.findall(r'<svg [^>]*class="dfml-graph".*?</svg>', text, re.DOTALL)
    assert all(f">{name}</text>" in picture for name in CHAIN)
    assert ">aside" not in picture
    assert whole.count('class="dfml-node"') == 33
    assert "3 of 33 nodes" in text


def test_one_request_is_drawn_as_the_value_it_has(tmp_path: Path) -> None:
    reference, current = table(1), pd.DataFrame({"x": [0.0], "y": [40.0], "z": [40.0]})
    page, found, _ = report(tmp_path, current, reference)
    assert found.suspects[0].variable == "y"
    assert not any("weighted to like inputs" in text for text in page.texts)


def test_the_page_is_well_formed_and_loads_nothing(tmp_path: Path) -> None:
    page, _, text = report(tmp_path, table(2, moved_by=2.0))
    assert page.open == []
    assert page.loads == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text


def test_the_only_script_is_the_localisation_as_data(tmp_path: Path) -> None:
    page, found, _ = report(tmp_path, table(2, moved_by=2.0))
    assert page.scripts == [orjson.dumps(found.to_json(detail=True)).decode()]


def test_steps_without_evidence_are_cleared(tmp_path: Path) -> None:
    page, _, _ = report(tmp_path, table(2, moved_by=2.0))
    after = page.texts[page.texts.index("Not at fault") :]
    assert {"x", "z", "answers as before"} <= set(after[:40])


def test_a_step_that_only_passes_a_change_on_is_cleared_with_that_reason(tmp_path: Path) -> None:
    page, _, _ = report(tmp_path, table(2, moved_by=2.0))
    assert any(text.startswith("z went from ") and "explains" in text for text in page.texts)


def test_the_evidence_is_drawn_in_time_with_its_change_point(tmp_path: Path) -> None:
    page, found, text = report(tmp_path, table(2, moved_by=2.0))
    assert text.count('class="dfml-timeline"') == 1
    assert "began here" in page.texts
    assert found.suspects[0].onset is not None
    assert any(spell_since(found.suspects[0].onset) in text for text in page.texts)


def test_a_suspect_is_drawn_given_what_it_was_fed(tmp_path: Path) -> None:
    page, _, text = report(tmp_path, table(2, shift=0.5, moved_by=2.0))
    assert "Mean, by x (bars: 95 %)" in page.texts
    assert "Share of the requests, both windows weighted to like inputs" in page.texts
    assert text.count('class="dfml-given"') == 1


def test_nothing_changed_is_said_and_nobody_is_suspected(tmp_path: Path) -> None:
    page, _, _ = report(tmp_path, table(3))
    assert "Nothing changed between the two windows." in page.texts
    assert page.texts.count("Suspects") == 0


def test_a_shifted_input_is_no_fault(tmp_path: Path) -> None:
    page, _, text = report(tmp_path, table(4, shift=1.0))
    assert "The input changed: x. No step behaves differently." in page.texts
    assert "tone-shift" in text


def test_too_few_rows_are_undecided_with_the_reason(tmp_path: Path) -> None:
    page, _, _ = report(tmp_path, table(2).head(3), table(1).head(20))
    assert "There is not enough evidence to say what changed, or whether." in page.texts
    assert any("too few rows" in text for text in page.texts)


def test_a_method_that_only_ranks_accuses_nobody(tmp_path: Path) -> None:
    graph, reference, current = read_graph(CHAIN), table(1), table(2, moved_by=2.0)
    found = localise(graph, reference, current, "z", method="ranked_correlation")
    text = write_report(tmp_path / "r.html", found, graph=graph, reference=reference, current=current).read_text()
    assert "is the most suspect of 3 variables." in text
    assert "ordered by the method <em>ranked_correlation</em>" in text


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    graph, reference, current = read_graph({"x": [], evil: ["x"]}), table(1), table(2, moved_by=9.0)
    reference, current = (frame.rename(columns={"y": evil}) for frame in (reference, current))
    found = localise(graph, reference, current, evil)
    written = write_report(tmp_path / "r.html", found, graph=graph, reference=reference, current=current, title=evil)
    page = Page(written.read_text())
    assert len(page.scripts) == 1
    assert json.loads(page.scripts[0])["suspects"][0]["variable"] == evil


def test_the_same_localisation_makes_the_same_page(tmp_path: Path) -> None:
    graph, reference, current = read_graph(CHAIN), table(1), table(2, moved_by=2.0)
    found = localise(graph, reference, current, "z")
    pages = [
        write_report(tmp_path / name, found, graph=graph, reference=reference, current=current, clock=lambda: 0)
        for name in ("a.html", "b.html")
    ]
    assert pages[0].read_text() == pages[1].read_text()


def test_a_pipelines_graph_marks_its_input_step_and_output(tmp_path: Path) -> None:
    (pipeline,) = parse_resources(CLAIMS, source="test")
    assert isinstance(pipeline, Pipeline)
    graph = PipelineGraph.from_pipeline(pipeline)
    names = {"x": "claims.inputs.amount", "y": "value.outputs.value", "z": "payout.outputs.payout"}
    reference, current = (frame.rename(columns=names) for frame in (table(1), table(2, moved_by=2.0)))
    for frame in (reference, current):
        frame["claims.outputs.payout"] = frame["payout.outputs.payout"]
    causal = from_pipeline(graph, reference.columns)
    found = localise(causal, reference, current, list(causal)[-1])
    text = write_report(tmp_path / "r.html", found, graph=graph, reference=reference, current=current).read_text()
    assert "value behaves differently." in text
    assert re.search(r'data-name="value">.*?suspect 1</text>', text)
    assert "claims: what changed" in text


def test_without_a_graph_and_traces_there_is_still_a_report(tmp_path: Path) -> None:
    page, _, text = report(tmp_path, table(2, moved_by=2.0), graph=None, reproduce="make demo")
    assert 'class="dfml-graph"' not in text
    assert "make demo" in page.texts


def test_a_report_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    frame = table(1)
    found = localise(read_graph(CHAIN), frame, frame, "z")
    with pytest.raises(BadInputError, match=r"file/r\.html: the report cannot be written there"):
        write_report(tmp_path / "file" / "r.html", found, reference=frame, current=frame)


def test_of_a_large_graph_the_suspects_and_their_way_to_the_target_are_drawn_first(tmp_path: Path) -> None:
    parents = {"x": [], "y": ["x"]} | {f"n{at}": [f"n{at - 1}" if at else "y"] for at in range(40)}
    frames = []
    for seed, moved_by in ((1, 0.0), (2, 2.0)):
        rng = np.random.default_rng(seed)
        frame = {"x": rng.normal(size=300)}
        frame["y"] = frame["x"] + moved_by + rng.normal(size=300)
        for name in list(parents)[2:]:
            frame[name] = frame[parents[name][0]] + rng.normal(size=300) / 10
        frames.append(pd.DataFrame(frame))
    graph = read_graph(parents)
    found = localise(graph, *frames, "n39")
    text = write_report(tmp_path / "r.html", found, graph=graph, reference=frames[0], current=frames[1]).read_text(
        encoding="utf-8"
    )
    page = Page(text)
    assert "y → 39 nodes → n39" in page.texts
    assert "All 42 nodes" in page.texts
    first, second = re.findall(r'<svg [^>]*class="dfml-graph".*?</svg>', text, re.DOTALL)
    assert first.count('class="dfml-node"') == 4
    assert second.count('class="dfml-node"') == 42


def test_the_key_of_the_graph_has_the_colours_that_occur(tmp_path: Path) -> None:
    page, _, _ = report(tmp_path, table(2))
    assert "behaves as before, given what it was fed" in page.texts
    assert "behaves differently" not in page.texts


def test_long_names_are_broken_at_their_joints_and_dates_are_not(tmp_path: Path) -> None:
    frames = [
        table(seed, moved_by=moved_by).rename(columns={"y": "shop_AWS::Y"}) for seed, moved_by in ((1, 0), (2, 2))
    ]
    for frame, day in zip(frames, (1, 2), strict=True):
        frame.index = pd.date_range(f"2024-05-0{day}", periods=len(frame), freq="s", tz="UTC")
    graph = read_graph({"x": [], "shop_AWS::Y": ["x"], "z": ["shop_AWS::Y"]})
    found = localise(graph, *frames, "z")
    path = write_report(tmp_path / "r.html", found, graph=graph, reference=frames[0], current=frames[1])
    text = path.read_text(encoding="utf-8")
    assert "shop_<wbr>AWS:<wbr>:<wbr>Y" not in text
    assert "shop_<wbr>AWS::<wbr>Y behaves differently." in text
    assert '<span class="whole">2024-05-02</span> 00:00:00' in text
