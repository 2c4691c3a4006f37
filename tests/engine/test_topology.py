from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from dfml.spec.schema import Join
from dfml.topics import Topics
from dfml_engine.topology import Feed, Topology

JOIN3 = """{steps: [{name: a}, {name: b}, {name: c, inputs: [a.outputs.X, b.outputs.Y], tensorMap: {a.outputs.X: I}}],
    output: {steps: [c]}}"""


def wanted(topology: Topology, step: str) -> list[tuple[str, tuple[str, ...]]]:
    rule = topology.rule_of(step) or topology.output_rule()
    return [(source.name, source.wanted) for source in rule.slots]


def test_a_step_without_inputs_reads_the_pipelines_inputs_whole(compile_spec: Callable):
    assert wanted(compile_spec("p", "{steps: [{name: a}], output: {steps: [a]}}"), "a") == [("p.inputs", ())]


def test_tensors_of_one_topic_are_one_source(compile_spec: Callable):
    spec = "{steps: [{name: a}, {name: b, inputs: [a.outputs.X, p.inputs.Z, a.outputs.Y]}], output: {steps: [b]}}"
    assert wanted(compile_spec("p", spec), "b") == [("a.outputs", ("X", "Y")), ("p.inputs", ("Z",))]


def test_a_bare_reference_wants_all_tensors_of_its_topic(compile_spec: Callable):
    spec = "{steps: [{name: a}, {name: b, inputs: [a]}], output: {steps: [b]}}"
    assert wanted(compile_spec("p", spec), "b") == [("a.outputs", ())]


def test_a_step_may_read_another_steps_inputs(compile_spec: Callable, topics: Topics):
    topology = compile_spec("p", "{steps: [{name: a}, {name: b, inputs: [a.inputs]}], output: {steps: [b]}}")
    assert topology.feeds[topics.model_inputs("a")] == (Feed(1, 0),)


def test_renames_stand_at_the_source_they_are_of(compile_spec: Callable):
    sources = compile_spec("p", JOIN3).rule_of("c").sources
    assert [dict(source.renames) for source in sources] == [{"X": "I"}, {}]


def test_triggers_take_the_slots_behind_the_sources(compile_spec: Callable):
    spec = """{steps: [{name: a}, {name: b}, {name: c, inputs: [a, b], triggers: [p.inputs.go], triggersJoinType: any}],
        output: {steps: [c]}}"""
    rule = compile_spec("p", spec).rule_of("c")
    assert (rule.data_mask, rule.trigger_mask, rule.triggers_join) == (0b011, 0b100, Join.ANY)


def test_a_topic_feeds_every_slot_that_reads_it(compile_spec: Callable, topics: Topics):
    topology = compile_spec("p", JOIN3)
    assert topology.feeds[topics.pipeline_inputs("p")] == (Feed(0, 0), Feed(1, 0))
    assert topology.feeds[topics.model_outputs("b")] == (Feed(2, 1),)


def test_dependants_are_the_slots_that_only_this_rule_can_fill(compile_spec: Callable):
    topology = compile_spec("p", JOIN3)
    assert topology.dependants == ((Feed(2, 0),), (Feed(2, 1),), (Feed(3, 0),), ())


def test_an_acyclic_pipeline_has_no_edge_that_turns(compile_spec: Callable):
    topology = compile_spec("p", JOIN3)
    assert not topology.cyclic
    assert all(feed.turn == 0 for feeds in topology.feeds.values() for feed in feeds)


def test_the_edge_that_closes_a_cycle_turns(compile_spec: Callable, topics: Topics):
    spec = """{allowCycles: true, maxStepRevisits: 3, output: {steps: [b]}, steps: [
        {name: a, inputs: [p.inputs, b.outputs.AGAIN], inputsJoinType: any}, {name: b, inputs: [a]}]}"""
    topology = compile_spec("p", spec)
    assert (topology.cyclic, topology.max_step_revisits) == (True, 3)
    assert topology.feeds[topics.model_outputs("b")] == (Feed(0, 1, turn=1), Feed(2, 0, turn=0))
    assert topology.feeds[topics.model_outputs("a")] == (Feed(1, 0, turn=0),)


def test_external_inputs_are_a_rule_that_writes_the_pipelines_inputs(compile_spec: Callable, topics: Topics):
    spec = """{input: {externalInputs: [q.outputs.X, q.step.s.outputs], externalTriggers: [z], joinType: outer},
        steps: [{name: a}], output: {steps: [a]}}"""
    topology = compile_spec("p", spec)
    rule = topology.rules[2]
    assert (rule.step, rule.sink, rule.join) == ("", topics.pipeline_inputs("p"), Join.OUTER)
    assert topology.external_feeds == {
        (topics.pipeline_outputs("q"), "q"): (Feed(2, 0),),
        (topics.model_outputs("s"), "q"): (Feed(2, 1),),
        (topics.pipeline_outputs("z"), "z"): (Feed(2, 2),),
    }


def test_a_pipeline_without_output_has_no_output_rule(compile_spec: Callable, topics: Topics):
    topology = compile_spec("p", "{steps: [{name: a}]}")
    assert topology.output_rule() is None
    assert not topology.is_read(topics.model_outputs("a"))


def test_an_output_rule_allows_no_step_to_answer_in_its_name(compile_spec: Callable):
    topology = compile_spec("p", JOIN3)
    assert topology.rule_of("") is None
    assert topology.output_rule().sink_port == "outputs"


@st.composite
def layered(draw: st.DrawFn) -> str:
    """Draw an acyclic spec: each step reads some of the steps before it, or the pipeline's inputs."""
    steps = []
    for number in range(draw(st.integers(1, 7))):
        before = [f"s{earlier}" for earlier in range(number)] or ["p"]
        inputs = draw(st.lists(st.sampled_from(sorted({*before, "p"})), min_size=1, max_size=3, unique=True))
        steps.append(f"{{name: s{number}, inputs: [{', '.join(inputs)}]}}")
    return f"{{steps: [{', '.join(steps)}], output: {{steps: [s0]}}}}"


@given(layered())
def test_every_slot_of_every_rule_is_fed_by_exactly_one_topic(compile_spec: Callable, spec: str):
    topology = compile_spec("p", spec)
    slots = [(rule.index, slot) for rule in topology.rules for slot in range(len(rule.slots))]
    fed = [(feed.rule, feed.slot) for feeds in topology.feeds.values() for feed in feeds]
    assert sorted(fed) == slots
    assert not topology.cyclic
