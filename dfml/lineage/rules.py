"""What each rule of a loaded pipeline reads, from the documents that the store has seen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from dfml.errors import SpecError
from dfml.lineage.entry import Kind
from dfml.lineage.store import LineageStore
from dfml.spec.dump import resource_from_dict
from dfml.spec.readers import read_pipeline
from dfml.spec.reference import Reference
from dfml.spec.schema import Pipeline


@dataclass(frozen=True, slots=True)
class PipelineRules:
    """One loaded version: its steps in the document's order, and what each rule reads.

    ``reads`` goes from the rule (a step's name, ``p.outputs``, ``p.inputs``) to its sources and triggers, tensors left
    out.
    """

    pipeline: str
    version: int
    steps: tuple[str, ...]
    reads: Mapping[str, frozenset[Reference]]

    def readers(self, step: str) -> Iterator[tuple[Kind, str]]:
        """Yield which of a step's records (``""``: the pipeline's) which rule reads; its output's rule is ``""``."""
        answer = Reference(self.pipeline, None, "outputs").node
        for rule, sources in self.reads.items():
            for source in sources:
                if source.pipeline == self.pipeline and (source.step or "") == step:
                    yield _KINDS[source.step is None, source.port], "" if rule == answer else rule


_KINDS = {
    (True, "inputs"): Kind.ENTRY,
    (True, "outputs"): Kind.ANSWER,
    (False, "inputs"): Kind.STEP_INPUTS,
    (False, "outputs"): Kind.STEP_OUTPUTS,
}


def pipeline_rules(store: LineageStore, pipeline: str) -> dict[int, PipelineRules]:
    """Return the rules of every version that the store has seen loaded, by version; unreadable ones are left out."""
    found = {}
    for loaded in store.specs("Pipeline", pipeline):
        if not loaded.document:
            continue
        try:
            resource = resource_from_dict(orjson.loads(loaded.document)["resource"])
        except (SpecError, KeyError):
            continue
        if isinstance(resource, Pipeline):
            found[loaded.version] = _rules(resource, loaded.version)
    return found


def _rules(pipeline: Pipeline, version: int) -> PipelineRules:
    readers, _ = read_pipeline(pipeline)
    reads = {reader.node: frozenset(source.reference.whole for source in reader.reads) for reader in readers}
    return PipelineRules(pipeline.name, version, tuple(step.name for step in pipeline.spec.steps), reads)
