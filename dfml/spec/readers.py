"""Who reads what in a pipeline: every place of the document that names references, parsed.

The rules check readers, the pipeline's graph draws them, and a firing rule is built from each.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from dfml.errors import SpecError
from dfml.spec.findings import Finding, Path
from dfml.spec.reference import Reference, parse_external, parse_reference, parse_tensor
from dfml.spec.schema import Join, Pipeline, PipelineInput, PipelineOutput, Step


class Source(NamedTuple):
    """A reference and where it stands."""

    path: Path
    reference: Reference


class Renaming(NamedTuple):
    """An entry of a tensorMap: which tensor of which source gets which name, and where that stands."""

    path: Path
    tensor: Reference
    name: str


@dataclass(frozen=True, slots=True)
class Reader:
    """A step, the pipeline's output, or the pipeline's input where other pipelines feed it.

    Attributes
    ----------
    pipeline : str
        The pipeline's name.
    node : str
        The step's name, ``p.outputs`` or ``p.inputs``.
    path : Path
        Where it stands in the document.
    sources, triggers : tuple of Source
        What it reads, in the document's order; a step without inputs reads the pipeline's.
    join, triggers_join : Join
        When it fires.
    join_window_ms : int
        How long it waits for its sources, milliseconds from the first arrival.
    renamings : tuple of Renaming
        Its tensorMap.
    is_complete : bool
        Whether every reference of the document is here; False when some could not be parsed.
    """

    pipeline: str
    node: str
    path: Path
    sources: tuple[Source, ...]
    triggers: tuple[Source, ...]
    join: Join
    triggers_join: Join
    join_window_ms: int
    renamings: tuple[Renaming, ...] = ()
    is_complete: bool = True

    @property
    def reads(self) -> tuple[Source, ...]:
        """Sources and triggers."""
        return self.sources + self.triggers


def read_pipeline(pipeline: Pipeline) -> tuple[tuple[Reader, ...], tuple[Finding, ...]]:
    """Return the readers of a pipeline (input, steps, output) and the references that cannot be parsed.

    The input is a reader only where other pipelines feed it; there its references are external ones.
    """
    parser = _Parser(pipeline.name)
    spec = pipeline.spec
    readers = [] if spec.input is None else [parser.read_input(spec.input)]
    readers.extend(parser.read_step(step, index) for index, step in enumerate(spec.steps))
    if spec.output is not None:
        readers.append(parser.read_output(spec.output))
    return tuple(readers), tuple(parser.findings)


class _Parser:
    """Parses references and collects what is wrong with them."""

    def __init__(self, pipeline_name: str) -> None:
        self.findings: list[Finding] = []
        self._pipeline_name = pipeline_name

    def read_step(self, step: Step, index: int) -> Reader:
        path: Path = ("spec", "steps", index)
        n_before = len(self.findings)
        sources = self._sources(step.inputs, (*path, "inputs"))
        if not step.inputs:
            sources = (Source(path, Reference(self._pipeline_name, None, "inputs")),)
        triggers = self._sources(step.triggers, (*path, "triggers"))
        return Reader(
            pipeline=self._pipeline_name,
            node=step.name,
            path=path,
            sources=sources,
            triggers=triggers,
            join=step.inputs_join_type,
            triggers_join=step.triggers_join_type,
            join_window_ms=step.join_window_ms,
            is_complete=len(self.findings) == n_before,
            renamings=self._renamings(step.tensor_map, (*path, "tensorMap")),
        )

    def read_input(self, spec: PipelineInput) -> Reader:
        path: Path = ("spec", "input")
        n_before = len(self.findings)
        return Reader(
            pipeline=self._pipeline_name,
            node=Reference(self._pipeline_name, None, "inputs").node,
            path=path,
            sources=self._sources(spec.external_inputs, (*path, "externalInputs"), external=True),
            triggers=self._sources(spec.external_triggers, (*path, "externalTriggers"), external=True),
            join=spec.join_type,
            triggers_join=spec.triggers_join_type,
            join_window_ms=spec.join_window_ms,
            is_complete=len(self.findings) == n_before,
            renamings=self._renamings(spec.tensor_map, (*path, "tensorMap"), external=True),
        )

    def read_output(self, spec: PipelineOutput) -> Reader:
        path: Path = ("spec", "output")
        n_before = len(self.findings)
        return Reader(
            pipeline=self._pipeline_name,
            node=Reference(self._pipeline_name, None, "outputs").node,
            path=path,
            sources=self._sources(spec.steps, (*path, "steps")),
            triggers=(),
            join=spec.steps_join,
            triggers_join=Join.INNER,
            join_window_ms=spec.join_window_ms,
            is_complete=len(self.findings) == n_before,
            renamings=self._renamings(spec.tensor_map, (*path, "tensorMap")),
        )

    def _sources(self, texts: Iterable[str], path: Path, *, external: bool = False) -> tuple[Source, ...]:
        sources = []
        for index, text in enumerate(texts):
            here = (*path, index)
            reference = self._try(here, partial(self._parse, text, external=external))
            if reference is not None:
                sources.append(Source(here, reference))
        return tuple(sources)

    def _renamings(self, mapping: Mapping[str, str], path: Path, *, external: bool = False) -> tuple[Renaming, ...]:
        renamings = []
        for key, name in mapping.items():
            here = (*path, key)
            tensor = self._try(here, partial(parse_tensor, key, self._pipeline_name, external=external))
            if tensor is not None:
                renamings.append(Renaming(here, tensor, name))
        return tuple(renamings)

    def _parse(self, text: str, *, external: bool) -> Reference:
        return parse_external(text) if external else parse_reference(text, self._pipeline_name)

    def _try(self, path: Path, parse: Callable[[], Reference]) -> Reference | None:
        try:
            return parse()
        except SpecError as error:
            self.findings.append(Finding(path, str(error)))
            return None
