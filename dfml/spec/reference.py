"""References: how a document names the records that a rule reads, and what they mean.

======================================  =========================================================
in a step's inputs, triggers, output
``step`` or ``step.outputs``            what the step's model answered
``step.inputs``                         what the step's model was given
``step.outputs.TENSOR``                 one tensor of it (also ``step.inputs.TENSOR``)
``pipeline`` or ``pipeline.inputs``     the pipeline's request (also ``pipeline.inputs.TENSOR``)
``pipeline.outputs``                    the pipeline's answer (also ``pipeline.outputs.TENSOR``)
in externalInputs, externalTriggers
``p`` or ``p.outputs``                  another pipeline's answer (also ``p.outputs.TENSOR``)
``p.inputs``                            another pipeline's request (also ``p.inputs.TENSOR``)
``p.step.s`` or ``p.step.s.outputs``    what a step of another pipeline answered (also with a tensor)
``p.step.s.inputs``                     what a step of another pipeline was given (also with a tensor)
======================================  =========================================================

References are spelled and parsed here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dfml.errors import SpecError
from dfml.record import TensorName, TopicName
from dfml.spec.findings import suggest
from dfml.topics import NAME, Topics

Port = Literal["inputs", "outputs"]
PORTS: tuple[Port, ...] = ("inputs", "outputs")

LOCAL_FORMS = "step, step.inputs, step.outputs, step.outputs.TENSOR, or the same with the pipeline's name"
EXTERNAL_FORMS = "p, p.inputs, p.outputs, p.outputs.TENSOR, p.step.s, p.step.s.outputs or p.step.s.outputs.TENSOR"


@dataclass(frozen=True, slots=True)
class Reference:
    """One topic of one pipeline, seen from a rule, and possibly one tensor of its records.

    Attributes
    ----------
    pipeline : str
        The pipeline that the records belong to.
    step : str or None
        The step whose model reads or writes the topic; None means the pipeline's own topic.
    port : {"inputs", "outputs"}
        Which of the two topics.
    tensor : str or None
        The wanted tensor; None means all that the record holds.
    """

    pipeline: str
    step: str | None
    port: Port
    tensor: str | None = None

    def __str__(self) -> str:
        """Print the full local form, ``step.outputs.TENSOR``."""
        return f"{self.source}{'' if self.tensor is None else f'.{self.tensor}'}"

    @property
    def source(self) -> str:
        """The reference without its tensor, as its own pipeline would write it: ``step.outputs``."""
        return f"{self.step or self.pipeline}.{self.port}"

    @property
    def external(self) -> str:
        """The reference as another pipeline would write it: ``p.step.s.outputs.TENSOR``."""
        place = self.pipeline if self.step is None else f"{self.pipeline}.step.{self.step}"
        return f"{place}.{self.port}{'' if self.tensor is None else f'.{self.tensor}'}"

    @property
    def node(self) -> str:
        """The node of the pipeline's graph that the records come from: the step, ``p.inputs`` or ``p.outputs``."""
        return self.step or self.source

    @property
    def whole(self) -> "Reference":
        """The same topic without the tensor: equal for references that read one topic of one pipeline."""
        return replace(self, tensor=None)

    def topic(self, topics: Topics) -> TopicName:
        """Return the topic to read: the pipeline's own, or that of the step's model."""
        if self.step is None:
            own = topics.pipeline_inputs if self.port == "inputs" else topics.pipeline_outputs
            return own(self.pipeline)
        model = topics.model_inputs if self.port == "inputs" else topics.model_outputs
        return model(self.step)


def parse_reference(text: str, pipeline_name: str) -> Reference:
    """Parse what a step's inputs, triggers and tensorMap and a pipeline's output may name.

    Whether the step exists is not looked at; :mod:`dfml.spec.rules` does that.

    Parameters
    ----------
    text : str
        The reference, one of the local forms above.
    pipeline_name : str
        The pipeline that the document describes; its name as a first word means its own topics.

    Raises
    ------
    SpecError
        If the text is empty or of none of the forms.
    """
    parts = _split(text, LOCAL_FORMS)
    own = parts[0] == pipeline_name
    step = None if own else _name(parts[0], text)
    if len(parts) > 2 and parts[1] == "step":
        where = f"write {'.'.join(parts[2:])!r}" if own else "other pipelines are read through spec.input alone"
        raise _wrong(text, where, LOCAL_FORMS)
    port = _port(parts[1], text, LOCAL_FORMS) if len(parts) > 1 else "inputs" if own else "outputs"
    if len(parts) > 3:
        raise _wrong(text, f"nothing may follow {'.'.join(parts[:3])!r}", LOCAL_FORMS)
    return Reference(pipeline_name, step, port, parts[2] if len(parts) > 2 else None)


def parse_external(text: str) -> Reference:
    """Parse what a pipeline's externalInputs, externalTriggers and input tensorMap may name.

    A bare pipeline means its outputs, a bare ``p.step.s`` the step's outputs. Whether the other pipeline exists is not
    looked at: it may be loaded later.

    Raises
    ------
    SpecError
        If the text is empty or of none of the forms.
    """
    parts = _split(text, EXTERNAL_FORMS)
    pipeline, rest, step = _name(parts[0], text), parts[1:], None
    if rest and rest[0] == "step":
        if len(rest) == 1:
            raise _wrong(text, "no step after 'step'", EXTERNAL_FORMS)
        step, rest = _name(rest[1], text), rest[2:]
    port = _port(rest[0], text, EXTERNAL_FORMS) if rest else "outputs"
    if len(rest) > 2:
        raise _wrong(text, f"nothing may follow {'.'.join(parts[: len(parts) - len(rest) + 2])!r}", EXTERNAL_FORMS)
    return Reference(pipeline, step, port, rest[1] if len(rest) > 1 else None)


def tensor_names(
    mapping: Mapping[str, str], pipeline_name: str, *, external: bool = False
) -> dict[Reference, dict[TensorName, TensorName]]:
    """Return a tensorMap as new names by old name, for each source (a reference without tensor).

    Parameters
    ----------
    mapping : Mapping of str to str
        The document's tensorMap: ``step.outputs.TENSOR: NEWNAME``.
    pipeline_name : str
        The pipeline that the document describes.
    external : bool
        Whether the keys are written in the external forms (a pipeline's ``input.tensorMap``).

    Raises
    ------
    SpecError
        If a key is not a reference or names no tensor.
    """
    names: dict[Reference, dict[TensorName, TensorName]] = {}
    for key, new in mapping.items():
        reference = parse_tensor(key, pipeline_name, external=external)
        names.setdefault(reference.whole, {})[TensorName(reference.tensor or "")] = TensorName(new)
    return names


def parse_tensor(text: str, pipeline_name: str, *, external: bool = False) -> Reference:
    """Parse a key of a tensorMap: a reference that names a tensor.

    Raises
    ------
    SpecError
        If the text is not a reference or names no tensor.
    """
    parsed = parse_external(text) if external else parse_reference(text, pipeline_name)
    if parsed.tensor is None:
        example = "p.outputs.TENSOR or p.step.s.outputs.TENSOR" if external else "step.outputs.TENSOR"
        raise _wrong(text, "no tensor is named", example)
    return parsed


def _split(text: str, forms: str) -> list[str]:
    if not text.strip():
        raise _wrong(text, "it is empty", forms)
    parts = text.split(".")
    if not all(parts):
        raise _wrong(text, "a part between the dots is empty", forms)
    return parts


def _name(word: str, text: str) -> str:
    if not NAME.fullmatch(word):
        msg = f"reference {text!r}: the name {word!r} cannot be; expected letters, digits, '-' and '_'"
        raise SpecError(msg)
    return word


def _port(word: str, text: str, forms: str) -> Port:
    for port in PORTS:
        if word == port:
            return port
    msg = f"reference {text!r}: got {word!r} where inputs or outputs stands; expected {forms}{suggest(word, PORTS)}"
    raise SpecError(msg)


def _wrong(text: str, what: str, forms: str) -> SpecError:
    return SpecError(f"reference {text!r}: {what}; expected {forms}")
