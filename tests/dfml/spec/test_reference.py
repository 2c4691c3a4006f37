"""References: every form, what it means, and what is said of those that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.errors import SpecError
from dfml.spec.reference import Reference, parse_external, parse_reference, tensor_names
from dfml.topics import Topics

LOCAL = {
    "s": Reference("p", "s", "outputs"),
    "s.outputs": Reference("p", "s", "outputs"),
    "s.inputs": Reference("p", "s", "inputs"),
    "s.outputs.T": Reference("p", "s", "outputs", "T"),
    "s.inputs.T": Reference("p", "s", "inputs", "T"),
    "p": Reference("p", None, "inputs"),
    "p.inputs": Reference("p", None, "inputs"),
    "p.inputs.T": Reference("p", None, "inputs", "T"),
    "p.outputs": Reference("p", None, "outputs"),
    "p.outputs.T": Reference("p", None, "outputs", "T"),
    "step.outputs": Reference("p", "step", "outputs"),
}
EXTERNAL = {
    "q": Reference("q", None, "outputs"),
    "q.outputs": Reference("q", None, "outputs"),
    "q.outputs.T": Reference("q", None, "outputs", "T"),
    "q.inputs": Reference("q", None, "inputs"),
    "q.inputs.T": Reference("q", None, "inputs", "T"),
    "q.step.s": Reference("q", "s", "outputs"),
    "q.step.s.inputs": Reference("q", "s", "inputs"),
    "q.step.s.outputs": Reference("q", "s", "outputs"),
    "q.step.s.outputs.T": Reference("q", "s", "outputs", "T"),
    "q.step.step.outputs": Reference("q", "step", "outputs"),
}
FORMS = "expected step, step.inputs, step.outputs, step.outputs.TENSOR, or the same with the pipeline's name"
EXTERNAL_FORMS = (
    "expected p, p.inputs, p.outputs, p.outputs.TENSOR, p.step.s, p.step.s.outputs or p.step.s.outputs.TENSOR"
)


@pytest.mark.parametrize("text", LOCAL)
def test_a_local_reference_means_a_topic_and_perhaps_a_tensor(text: str) -> None:
    assert parse_reference(text, "p") == LOCAL[text]


@pytest.mark.parametrize("text", EXTERNAL)
def test_an_external_reference_means_a_topic_of_another_pipeline(text: str) -> None:
    assert parse_external(text) == EXTERNAL[text]


@pytest.mark.parametrize("text", LOCAL)
def test_a_printed_local_reference_is_parsed_to_itself(text: str) -> None:
    reference = parse_reference(text, "p")
    assert parse_reference(str(reference), "p") == reference


@pytest.mark.parametrize("text", [*LOCAL, *EXTERNAL])
def test_the_external_form_of_any_reference_is_parsed_to_itself(text: str) -> None:
    reference = LOCAL.get(text) or EXTERNAL[text]
    assert parse_external(reference.external) == reference


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", f"reference '': it is empty; {FORMS}"),
        ("  ", f"reference '  ': it is empty; {FORMS}"),
        ("s.", f"reference 's.': a part between the dots is empty; {FORMS}"),
        (".outputs", f"reference '.outputs': a part between the dots is empty; {FORMS}"),
        ("s..T", f"reference 's..T': a part between the dots is empty; {FORMS}"),
        ("s.outputs.a.b", f"reference 's.outputs.a.b': nothing may follow 's.outputs.a'; {FORMS}"),
        (
            "s.output.T",
            f"reference 's.output.T': got 'output' where inputs or outputs stands; {FORMS}; did you mean 'outputs'?",
        ),
        ("p.step.s.outputs.T", f"reference 'p.step.s.outputs.T': write 's.outputs.T'; {FORMS}"),
        (
            "q.step.s.outputs.T",
            f"reference 'q.step.s.outputs.T': other pipelines are read through spec.input alone; {FORMS}",
        ),
        ("a b", "reference 'a b': the name 'a b' cannot be; expected letters, digits, '-' and '_'"),
    ],
)
def test_a_wrong_local_reference_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_reference(text, "p")
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", f"reference '': it is empty; {EXTERNAL_FORMS}"),
        ("q.step", f"reference 'q.step': no step after 'step'; {EXTERNAL_FORMS}"),
        ("q.step.s.outputs.T.U", f"nothing may follow 'q.step.s.outputs.T'; {EXTERNAL_FORMS}"),
        ("q.outputs.T.U", f"nothing may follow 'q.outputs.T'; {EXTERNAL_FORMS}"),
        ("q.s.outputs", "got 's' where inputs or outputs stands"),
        ("q.step.s.T", "got 'T' where inputs or outputs stands"),
    ],
)
def test_a_wrong_external_reference_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_external(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("reference", "topic"),
    [
        (Reference("p", None, "inputs"), "x.ns.pipeline.p.inputs"),
        (Reference("p", None, "outputs", "T"), "x.ns.pipeline.p.outputs"),
        (Reference("p", "s", "inputs"), "x.ns.model.s.inputs"),
        (Reference("p", "s", "outputs", "T"), "x.ns.model.s.outputs"),
    ],
)
def test_a_reference_is_read_from_the_topic_of_its_pipeline_or_model(reference: Reference, topic: str) -> None:
    assert reference.topic(Topics("x", "ns")) == topic


def test_tensor_names_are_grouped_by_source() -> None:
    names = tensor_names({"a.outputs.X": "U", "a.outputs.Y": "V", "p.inputs.Z": "W"}, "p")
    assert names == {
        Reference("p", "a", "outputs"): {"X": "U", "Y": "V"},
        Reference("p", None, "inputs"): {"Z": "W"},
    }


def test_tensor_names_of_external_sources_have_five_parts() -> None:
    names = tensor_names({"q.step.s.outputs.X": "U"}, "p", external=True)
    assert names == {Reference("q", "s", "outputs"): {"X": "U"}}


def test_a_tensor_map_key_must_name_a_tensor() -> None:
    with pytest.raises(SpecError, match="reference 'a.outputs': no tensor is named; expected step.outputs.TENSOR"):
        tensor_names({"a.outputs": "U"}, "p")


@given(st.text(max_size=40) | st.from_regex(r"[a-p]?(\.(step|inputs|outputs|[a-z])){0,5}", fullmatch=True))
def test_any_text_is_a_reference_or_a_spec_error(text: str) -> None:
    for parse in (parse_external, lambda given: parse_reference(given, "p")):
        try:
            reference = parse(text)
        except SpecError as error:
            assert repr(text) in str(error)
        else:
            assert reference.port in {"inputs", "outputs"}
            assert reference.tensor != ""
