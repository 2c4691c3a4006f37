"""References choose records: pipeline, step, port, tensor."""

import pytest

from dfml.errors import BadInputError, NotFoundError
from dfml.lineage.inspect import Selection, inspect, parse_selection


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("p", ("p", None, None, None)),
        ("p.inputs", ("p", None, "inputs", None)),
        ("p.outputs.y", ("p", None, "outputs", "y")),
        ("p.errors", ("p", None, "errors", None)),
        ("p.s", ("p", "s", None, None)),
        ("p.s.inputs", ("p", "s", "inputs", None)),
        ("p.s.outputs.y.z", ("p", "s", "outputs", "y.z")),
        ("p.step.s.outputs.y", ("p", "s", "outputs", "y")),
        ("p.step", ("p", "step", None, None)),
        ("p.step.outputs", ("p", "step", "outputs", None)),
    ],
)
def test_a_reference_names_pipeline_step_port_and_tensor(text, parsed):
    assert parse_selection(text) == Selection(*parsed)


@pytest.mark.parametrize("text", ["", ".", "p.", "p..s", "p.s.t.u", "p.s.inputs."])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(BadInputError, match="expected pipeline"):
        parse_selection(text)


def read(store, text, **narrowed):
    return inspect(store, parse_selection(text), **narrowed)


def test_a_tensor_is_read_from_the_records_that_have_it(pen, store, tap_all):
    for number, amount in enumerate([10.0, 100.0, 20.0]):
        pen.claim(f"r{number}", amount)
    tap_all()
    found = read(store, "claims.split.outputs.low")
    assert [(each.entry.request, each.tensors[0].array.tolist()) for each in found] == [("r0", [10.5]), ("r2", [21.0])]


def test_the_limit_counts_records_that_have_the_tensor(pen, store, tap_all):
    for number in range(10):
        pen.claim(f"r{number}", 10.0 if number == 0 else 100.0)
    tap_all()
    assert [each.entry.request for each in read(store, "claims.split.outputs.low", limit=1)] == ["r0"]
    assert [each.entry.request for each in read(store, "claims.outputs", limit=2)] == ["r8", "r9"]


def test_request_and_window_narrow_it_down(pen, store, tap_all):
    first, second = pen.claim("r1", 10.0), pen.claim("r2", 10.0)
    tap_all()
    assert [each.entry.position for each in read(store, "claims.inputs", request="r2")] == [second["in"]]
    assert [each.entry.position for each in read(store, "claims.inputs", until_ms=1_700_000_000_002)] == [first["in"]]
    assert len(read(store, "claims.value", request="r1")) == 2


def test_errors_are_read_as_text(pen, store, tap_all):
    pen.fail("value", "r1", [pen.enter("r1", {"x": [1.0]})], "boom")
    tap_all()
    assert [each.text for each in read(store, "claims.errors")] == ["raised: boom"]
    assert read(store, "claims.value.errors")[0].to_dict()["name"] == "value.errors"


def test_an_unreadable_payload_says_so(topics, pen, store, tap_all):
    pen.write(topics.model_inputs("value"), "r1", b"\xff\xff")
    tap_all()
    assert "unreadable" in read(store, "claims.value.inputs")[0].text


@pytest.mark.parametrize(("text", "said"), [("claim.value", "'claims'"), ("claims.valu", "'value'")])
def test_an_unknown_pipeline_or_step_is_not_found_with_a_suggestion(pen, store, tap_all, text, said):
    pen.claim("r1", 10.0)
    tap_all()
    with pytest.raises(NotFoundError, match=f"did you mean {said}"):
        read(store, text)
