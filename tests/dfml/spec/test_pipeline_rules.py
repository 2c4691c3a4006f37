"""The rules of a pipeline, one a test; `p` is the pipeline, line 5 the first of its spec."""

from collections.abc import Callable

import pytest

Findings = Callable[..., list[str]]

NAME_FORM = (
    "expected letters, digits, '-' and '_', a letter or digit first and last (no dots: names are parts of topics)"
)


def test_a_chain_with_an_output_is_right(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b, inputs: [a]}]\noutput: {steps: [b]}") == []


def test_a_pipeline_without_output_is_right(findings: Findings) -> None:
    assert findings("steps: [{name: a}]") == []


@pytest.mark.parametrize("name", ["a.b", "a b", "-a", "a_", "ä"])
def test_a_pipelines_name_is_part_of_a_topics_name(findings: Findings, name: str) -> None:
    assert findings("steps: [{name: s}]", name=name) == [f"3: metadata.name: the name {name!r} cannot be; {NAME_FORM}"]


def test_a_steps_name_is_part_of_a_topics_name(findings: Findings) -> None:
    assert findings("steps: [{name: a.b}]") == [f"5: spec.steps[0].name: the name 'a.b' cannot be; {NAME_FORM}"]


def test_a_pipeline_has_a_step(findings: Findings) -> None:
    assert findings("steps: []") == ["5: spec.steps: expected at least one step, got none"]


def test_a_steps_name_is_unique(findings: Findings) -> None:
    assert findings("steps:\n- name: a\n- name: a") == [
        "7: spec.steps[1].name: step 'a' stands twice, first as steps[0]; a step's name is its model's"
    ]


def test_no_step_bears_the_pipelines_name(findings: Findings) -> None:
    assert findings("steps: [{name: p}]") == [
        "5: spec.steps[0].name: no step may bear the pipeline's name 'p': references could mean either"
    ]


def test_an_input_names_a_step_that_exists(findings: Findings) -> None:
    assert findings("steps:\n- name: scorer\n- name: b\n  inputs:\n  - scorre.outputs.X") == [
        "9: spec.steps[1].inputs[0]: unknown step 'scorre'; did you mean 'scorer'?"
    ]


def test_an_unknown_step_like_no_other_is_told_what_there_is(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b, inputs: [zzz]}]") == [
        "5: spec.steps[1].inputs[0]: unknown step 'zzz'; expected a, b or p"
    ]


def test_a_trigger_names_a_step_that_exists(findings: Findings) -> None:
    assert findings("steps: [{name: alpha, triggers: [alfa]}]") == [
        "5: spec.steps[0].triggers[0]: unknown step 'alfa'; did you mean 'alpha'?"
    ]


def test_the_output_names_steps_that_exist(findings: Findings) -> None:
    assert findings("steps: [{name: alpha}]\noutput: {steps: [alpah]}") == [
        "6: spec.output.steps[0]: unknown step 'alpah'; did you mean 'alpha'?"
    ]


@pytest.mark.parametrize("reference", ["''", "a..X", "a.outputs.x.y", "a.output"])
def test_a_reference_has_one_of_the_forms(findings: Findings, reference: str) -> None:
    (found,) = findings(f"steps: [{{name: a}}, {{name: b, inputs: [{reference}]}}]")
    assert found.startswith("5: spec.steps[1].inputs[0]: reference ")


@pytest.mark.parametrize("reference", ["p", "p.inputs", "p.inputs.X", "a.inputs", "a.inputs.X"])
def test_a_step_may_read_the_pipelines_and_another_steps_inputs(findings: Findings, reference: str) -> None:
    assert findings(f"steps: [{{name: a}}, {{name: b, inputs: [{reference}]}}]") == []


def test_a_step_may_read_the_pipelines_answer(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b, inputs: [p.outputs]}]\noutput: {steps: [a]}") == []


def test_a_pipeline_without_output_has_no_answer_to_read(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b, inputs: [p.outputs]}]") == [
        "5: spec.steps[1].inputs[0]: 'p.outputs' is never written: the pipeline has no output"
    ]


def test_the_output_does_not_read_itself(findings: Findings) -> None:
    assert findings("steps: [{name: a}]\noutput: {steps: [a, p.outputs]}") == [
        "6: spec.output.steps[1]: the output cannot read itself ('p.outputs')"
    ]


def test_an_output_names_a_step(findings: Findings) -> None:
    assert findings("steps: [{name: a}]\noutput: {stepsJoin: any}") == [
        "6: spec.output.steps: names no step; leave output out for asynchronous use only"
    ]


def test_a_reference_stands_once(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b, inputs: [a, a.outputs]}]") == [
        "5: spec.steps[1].inputs[1]: 'a.outputs' stands twice, first as inputs[0]"
    ]


def test_a_tensor_is_not_read_beside_its_whole_record(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b, inputs: [a.outputs.X, a]}]") == [
        "5: spec.steps[1].inputs[0]: 'a.outputs' is read whole already, 'X' with it; keep one of them"
    ]


def test_a_step_may_be_input_and_trigger(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b, inputs: [a.outputs.X], triggers: [a.outputs.ok]}]") == []


def test_a_tensor_map_names_a_source_that_is_read(findings: Findings) -> None:
    body = "steps: [{name: a}, {name: b, inputs: [a]}, {name: c, inputs: [b], tensorMap: {a.outputs.X: Y}}]"
    assert findings(body) == [
        "5: spec.steps[2].tensorMap['a.outputs.X']: 'a.outputs' is not read here; did you mean 'b.outputs'?"
    ]


def test_a_tensor_map_names_a_tensor_that_is_read(findings: Findings) -> None:
    body = "steps: [{name: a}, {name: b, inputs: [a.outputs.X], tensorMap: {a.outputs.Z: Y}}]"
    assert findings(body) == [
        "5: spec.steps[1].tensorMap['a.outputs.Z']: the tensor 'Z' of 'a.outputs' is not read here; expected X"
    ]


def test_a_tensor_map_renames_the_pipelines_inputs_where_none_are_named(findings: Findings) -> None:
    assert findings("steps: [{name: a, tensorMap: {p.inputs.X: Y}}]") == []


def test_a_trigger_has_no_tensors_to_rename(findings: Findings) -> None:
    body = "steps: [{name: a}, {name: b, inputs: [p], triggers: [a], tensorMap: {a.outputs.X: Y}}]"
    assert findings(body) == [
        "5: spec.steps[1].tensorMap['a.outputs.X']: 'a.outputs' is only a trigger here: its tensors do not flow"
    ]


def test_a_tensor_map_gives_a_name(findings: Findings) -> None:
    assert findings("steps: [{name: a, tensorMap: {p.inputs.X: ''}}]") == [
        "5: spec.steps[0].tensorMap['p.inputs.X']: the new name is empty"
    ]


def test_a_tensor_map_of_the_output_names_a_step_that_is_read(findings: Findings) -> None:
    (found,) = findings("steps: [{name: a}, {name: b}]\noutput: {steps: [a], tensorMap: {b.outputs.X: Y}}")
    assert found.startswith("6: spec.output.tensorMap['b.outputs.X']: 'b.outputs' is not read here")


def test_two_tensors_do_not_arrive_under_one_name(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b}, {name: c, inputs: [a.outputs.X, b.outputs.X]}]") == [
        "5: spec.steps[2].inputs[1]: 'a.outputs.X' and 'b.outputs.X' both arrive as 'X'; rename one in tensorMap"
    ]


def test_two_tensors_of_one_name_may_arrive_when_one_is_renamed(findings: Findings) -> None:
    step = "{name: c, inputs: [a.outputs.X, b.outputs.X], tensorMap: {b.outputs.X: Y}}"
    assert findings(f"steps: [{{name: a}}, {{name: b}}, {step}]") == []


def test_renaming_does_not_make_two_tensors_of_one_name(findings: Findings) -> None:
    body = "steps: [{name: a}, {name: b, inputs: [a], tensorMap: {a.outputs.X: Z, a.outputs.Y: Z}}]"
    (found,) = findings(body)
    assert found.endswith("'a.outputs.X' and 'a.outputs.Y' both arrive as 'Z'; rename one in tensorMap")


def test_branches_joined_by_any_may_agree_in_their_names(findings: Findings) -> None:
    step = "{name: c, inputs: [a.outputs.X, b.outputs.X], inputsJoinType: any}"
    assert findings(f"steps: [{{name: a}}, {{name: b}}, {step}]") == []


def test_an_output_keeps_tensors_of_one_name(findings: Findings) -> None:
    assert findings("steps: [{name: a}, {name: b}]\noutput: {steps: [a.outputs.X, b.outputs.X]}") == []


def test_a_cycle_is_refused_and_named(findings: Findings) -> None:
    body = "steps:\n- {name: a, inputs: [c]}\n- {name: b, inputs: [a]}\n- {name: c, inputs: [p], triggers: [b]}"
    assert findings(body) == [
        "6: spec.steps[0].inputs[0]: a cycle, a -> b -> c -> a; remove one of its references, "
        "or set allowCycles: true and maxStepRevisits"
    ]


def test_each_separate_cycle_is_named(findings: Findings) -> None:
    found = findings("steps: [{name: a, inputs: [a]}, {name: b, inputs: [c.inputs]}, {name: c, inputs: [b]}]")
    assert ["a cycle, a -> a" in found[0], "a cycle, b -> c -> b" in found[1], len(found)] == [True, True, 2]


def test_a_cycle_through_the_output_is_a_cycle(findings: Findings) -> None:
    (found,) = findings("steps: [{name: a, inputs: [p.outputs]}]\noutput: {steps: [a]}")
    assert "a cycle, a -> p.outputs -> a;" in found


def test_a_cycle_is_right_where_cycles_are_allowed(findings: Findings) -> None:
    step = "{name: a, inputs: [p, b.outputs.again], inputsJoinType: any}"
    body = f"steps: [{step}, {{name: b, inputs: [a]}}]\nallowCycles: true\nmaxStepRevisits: 5"
    assert findings(body) == []


def test_a_loop_that_nothing_enters_is_refused(findings: Findings) -> None:
    body = "steps:\n- {name: a, inputs: [p, b]}\n- {name: b, inputs: [a]}\n- {name: c, inputs: [b]}\nallowCycles: true"
    late = "can only come after it; a loop is entered through a join of any or outer"
    assert findings(body) == [
        f"6: spec.steps[0].inputs[1]: never fires: b.outputs {late}",
        f"7: spec.steps[1].inputs[0]: never fires: a.outputs {late}",
    ]


def test_revisits_need_allowed_cycles(findings: Findings) -> None:
    assert findings("steps: [{name: a}]\nmaxStepRevisits: 3") == [
        "6: spec.maxStepRevisits: got 3, but without allowCycles: true no step is visited again"
    ]


def test_a_batch_window_alone_batches_nothing(findings: Findings) -> None:
    assert findings("steps: [{name: a, batch: {windowMs: 50}}]") == [
        "5: spec.steps[0].batch: windowMs alone batches nothing: give size, at least 2"
    ]


@pytest.mark.parametrize("batch", ["{size: 4}", "{size: 4, windowMs: 10}", "{size: 1}"])
def test_a_batch_has_a_size_and_perhaps_a_window(findings: Findings, batch: str) -> None:
    assert findings(f"steps: [{{name: a, batch: {batch}}}]") == []


@pytest.mark.parametrize("batch", ["{size: 0}", "{size: -1}", "{size: 2.5}", "{size: true}", "{size: 2, windowMs: 0}"])
def test_batch_values_are_whole_and_positive(findings: Findings, batch: str) -> None:
    (found,) = findings(f"steps: [{{name: a, batch: {batch}}}]")
    assert found.startswith("5: spec.steps[0].batch.")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("steps: [{name: a, inputsJoinType: iner}]", "spec.steps[0].inputsJoinType"),
        ("steps: [{name: a, triggersJoinType: iner}]", "spec.steps[0].triggersJoinType"),
        ("steps: [{name: a}]\ninput: {joinType: iner}", "spec.input.joinType"),
        ("steps: [{name: a}]\noutput: {steps: [a], stepsJoin: iner}", "spec.output.stepsJoin"),
    ],
)
def test_a_join_is_inner_outer_or_any(findings: Findings, body: str, path: str) -> None:
    (found,) = findings(body)
    assert found.endswith(f"{path}: expected 'inner', 'outer' or 'any', got 'iner'; did you mean 'inner'?")


@pytest.mark.parametrize("reference", ["q", "q.inputs", "q.outputs.X", "q.step.s", "q.step.s.inputs.X"])
def test_an_input_may_come_from_another_pipeline(findings: Findings, reference: str) -> None:
    body = f"steps: [{{name: a}}]\ninput: {{externalInputs: [{reference}], externalTriggers: [{reference}]}}"
    assert findings(body) == []


def test_an_external_reference_has_one_of_the_forms(findings: Findings) -> None:
    (found,) = findings("steps: [{name: a}]\ninput: {externalTriggers: [q.s.outputs]}")
    assert found.startswith("6: spec.input.externalTriggers[0]: reference 'q.s.outputs': got 's' where")


def test_an_external_input_is_another_pipelines(findings: Findings) -> None:
    assert findings("steps: [{name: a}]\ninput: {externalInputs: [p.step.a]}") == [
        "6: spec.input.externalInputs[0]: 'p.step.a.outputs' is this pipeline's own; its steps can read it, "
        "its input cannot"
    ]


def test_external_tensors_are_renamed_by_their_five_parts(findings: Findings) -> None:
    body = "steps: [{name: a}]\ninput: {externalInputs: [q.step.s], tensorMap: {q.step.s.outputs.X: Y}}"
    assert findings(body) == []


def test_a_tensor_map_of_the_input_names_a_source_that_is_read(findings: Findings) -> None:
    body = "steps: [{name: a}]\ninput: {externalInputs: [q.step.s], tensorMap: {q.outputs.X: Y}}"
    (found,) = findings(body)
    assert "'q.outputs' is not read here; did you mean 'q.step.s.outputs'?" in found


def test_broken_inputs_do_not_make_the_tensor_map_wrong_as_well(findings: Findings) -> None:
    body = "steps: [{name: scorer}, {name: b, inputs: [scorre], tensorMap: {scorer.outputs.X: Y}}]"
    assert findings(body) == ["5: spec.steps[1].inputs[0]: unknown step 'scorre'; did you mean 'scorer'?"]
