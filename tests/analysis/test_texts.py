"""Free text is compared by what can be counted of it."""

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.columns import parse_column
from dfml_analysis.localise import localise
from dfml_analysis.texts import SUMMARIES, describe_texts, with_text_nodes
from dfml_analysis.verdict import Verdict

WORDS = [f"word{number}" for number in range(40)]
STEP = "writer.outputs.text"
GRAPH = {"claims.inputs.topic": [], STEP: ["claims.inputs.topic"], "rater.outputs.score": [STEP]}


def _window(seed: int, *, n: int = 300, shout: bool = False, babble: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    topic = rng.normal(size=n)
    lengths = np.maximum(3, np.round(10 + 3 * topic + rng.normal(size=n))).astype(int)
    texts = [" ".join(rng.choice(WORDS, length)) for length in lengths]
    if babble:
        texts = [" ".join(f"x{rng.integers(10**6)}" if rng.random() < 0.3 else w for w in t.split()) for t in texts]
    texts = [text.upper() if shout else text for text in texts]
    score = np.array([len(text) for text in texts]) / 50 + rng.normal(0, 0.1, n)
    return pd.DataFrame({"claims.inputs.topic": topic, STEP: texts, "rater.outputs.score": score})


@pytest.mark.parametrize(("fault", "summary"), [("shout", "capitals"), ("babble", "unknown")])
def test_a_writer_that_writes_otherwise_is_found_by_what_changed(fault: str, summary: str) -> None:
    found = localise(read_graph(GRAPH), _window(0), _window(1, **{fault: True}), "rater.outputs.score")  # type: ignore[arg-type]
    assert found.verdict is Verdict.FAULT
    assert {suspect.step for suspect in found.suspects} == {"writer"}
    assert f"{STEP}.{summary}" in {found.suspects[0].variable, *found.suspects[0].also}


def test_the_sentence_says_what_of_the_text_changed() -> None:
    found = localise(read_graph(GRAPH), _window(0), _window(1, shout=True), "rater.outputs.score")
    assert "the share of capitals of its `text` changed" in found.sentence


def test_normal_texts_are_left_alone() -> None:
    found = [localise(read_graph(GRAPH), _window(0), _window(seed), "rater.outputs.score") for seed in range(1, 9)]
    assert sum(each.verdict is Verdict.FAULT for each in found) <= 1


def test_what_reads_a_text_reads_its_description() -> None:
    before, _ = describe_texts(_window(0), _window(1))
    graph = with_text_nodes(read_graph(GRAPH), before.columns)
    assert set(graph.predecessors("rater.outputs.score")) == {STEP, *(f"{STEP}.{name}" for name in SUMMARIES)}
    assert list(graph.predecessors(f"{STEP}.length")) == ["claims.inputs.topic"]
    assert graph.nodes[f"{STEP}.length"]["step"] == "writer"


def test_the_numbers_of_known_texts() -> None:
    texts = pd.Series(["Hello World 12", "hello", None] * 20 + [f"word{n}" for n in range(60)], dtype=object)
    before, _ = describe_texts(pd.DataFrame({"t": texts}), pd.DataFrame({"t": texts}))
    first = before.loc[0, [f"t.{name}" for name in SUMMARIES]].tolist()
    assert first == [14.0, 3.0, pytest.approx(2 / 14), 0.2, 0.0]
    assert before.loc[2, [f"t.{name}" for name in SUMMARIES]].isna().all()
    assert before.loc[60, "t.unknown"] == 1.0


def test_classes_numbers_and_mixtures_are_no_free_text() -> None:
    frame = pd.DataFrame({"c": ["a", "b"] * 50, "n": range(100), "m": [1, "x"] * 50})
    assert describe_texts(frame, frame)[0] is frame


def test_every_summary_is_a_column_of_its_step() -> None:
    assert {parse_column(f"{STEP}.{name}").tensor for name in SUMMARIES} == {"text"}
