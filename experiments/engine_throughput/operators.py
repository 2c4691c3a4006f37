"""The operators that are measured: a pipeline each, the topics that feed it, and who works on them."""

from dataclasses import dataclass

API = "apiVersion: mlops.seldon.io/v1alpha1\n"
NAME = "p"


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    Attributes
    ----------
    name : str
        What the table calls it.
    spec : str
        The pipeline's spec in YAML's flow style.
    sources : tuple of str
        Short names of the topics that are filled, each with a record of every request.
    sink : str
        Short name of the topic that the operator writes.
    batch : bool
        Whether the model gateway works (a batch), or the engine (all others).
    """

    name: str
    spec: str
    sources: tuple[str, ...]
    sink: str
    batch: bool = False

    @property
    def document(self) -> str:
        """The pipeline and, for a batch, its model."""
        pipeline = f"{API}kind: Pipeline\nmetadata: {{name: {NAME}}}\nspec: {self.spec}\n"
        model = f"{API}kind: Model\nmetadata: {{name: m}}\nspec: {{storageUri: '{MODEL}', inline: true}}\n"
        return f"{model}---\n{pipeline}"


MODEL = "python:experiments.engine_latency.models:add10"
ENTRY = f"pipeline.{NAME}.inputs"


def _join(kind: str, n_sources: int) -> Operator:
    names = [f"s{number}" for number in range(n_sources)]
    steps = ", ".join(f"{{name: {name}}}" for name in names)
    renames = ", ".join(f"{name}.outputs.x: x{number}" for number, name in enumerate(names))
    last = f"{{name: m, inputs: [{', '.join(names)}], inputsJoinType: {kind}, tensorMap: {{{renames}}}}}"
    spec = f"{{steps: [{steps}, {last}], output: {{steps: [m]}}}}"
    return Operator(f"{kind} of {n_sources}", spec, tuple(f"model.{name}.outputs" for name in names), "model.m.inputs")


TRIGGERED = "{steps: [{name: s0}, {name: m, inputs: [p.inputs], triggers: [s0]}], output: {steps: [m]}}"

CHAIN = Operator("chain", "{steps: [{name: m}], output: {steps: [m]}}", (ENTRY,), "model.m.inputs")
HOP_SPEC = "{steps: [{name: s0}, {name: m, inputs: [s0]}], output: {steps: [m]}}"
HOP = Operator("hop", HOP_SPEC, ("model.s0.outputs",), "model.m.inputs")
"""From one model to the next, on a topic that other pipelines of the same models read too."""
OPERATORS = (
    CHAIN,
    _join("inner", 2),
    _join("inner", 4),
    _join("outer", 2),
    _join("any", 2),
    Operator("trigger", TRIGGERED, (ENTRY, "model.s0.outputs"), "model.m.inputs"),
    Operator(
        "batch of 32",
        "{steps: [{name: m, batch: {size: 32, windowMs: 1000}}], output: {steps: [m]}}",
        ("model.m.inputs",),
        "model.m.outputs",
        batch=True,
    ),
)
