from xml.etree import ElementTree

from dfml.drawing.graph import Mark
from dfml.drawing.pipeline import pipeline_svg, spell_tensors
from dfml.drawing.svg import Tone
from dfml.graph import Edge, PipelineGraph
from dfml.spec import parse_resources
from dfml.spec.schema import Pipeline

SVG = "{http://www.w3.org/2000/svg}"
CLAIMS = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: claims}
spec:
  input: {externalInputs: [feed.step.parse]}
  steps:
    - name: value
    - name: split
      inputs: [value.outputs.value]
      tensorMap: {value.outputs.value: amount}
    - name: low
      inputs: [split.outputs.low]
      triggers: [value]
      batch: {size: 4}
  output:
    steps: [low, split]
    stepsJoin: any
"""


def graph() -> PipelineGraph:
    (pipeline,) = parse_resources(CLAIMS, source="test")
    assert isinstance(pipeline, Pipeline)
    return PipelineGraph.from_pipeline(pipeline)


def names(svg: str) -> list[str]:
    return [node.attrib["data-name"] for node in ElementTree.fromstring(svg).findall(f"{SVG}g[@class='dfml-node']")]


def test_steps_ends_and_feeding_pipelines_are_drawn() -> None:
    assert names(pipeline_svg(graph())) == [
        "feed.step.parse.outputs", "claims.inputs", "value", "split", "low", "claims.outputs",
    ]  # fmt: skip


def test_tensors_stand_on_the_edges_with_their_new_names() -> None:
    svg = pipeline_svg(graph())
    assert "value → amount" in svg
    assert ">low<" in svg


def test_own_labels_replace_the_tensors() -> None:
    svg = pipeline_svg(graph(), labels={("value", "split"): "120/s"})
    assert "120/s" in svg
    assert "value → amount" not in svg


def test_joins_and_batches_are_said() -> None:
    svg = pipeline_svg(graph())
    assert "outputs · any join" in svg
    assert "batch of 4" in svg


def test_a_trigger_is_dashed() -> None:
    assert pipeline_svg(graph()).count("stroke-dasharray") == 1


def test_marks_and_tones_are_drawn() -> None:
    svg = pipeline_svg(graph(), marks={"split": Mark(Tone.BAD, "suspect 1")}, tones={("split", "low"): Tone.BAD})
    assert "suspect 1" in svg
    assert svg.count("url(#dfml-head-bad)") == 1


def test_an_edge_that_wants_everything_has_no_words() -> None:
    assert spell_tensors(Edge("a", "b", "outputs")) == ""
