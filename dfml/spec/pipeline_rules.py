"""The rules of a pipeline: names, references, tensors, cycles, and whether every step can fire at all."""

from collections.abc import Iterable, Iterator, Sequence

from dfml.spec.findings import Finding, Path, show_value, suggest
from dfml.spec.names import check_name
from dfml.spec.order import reachable, shortest_cycle, strongly_connected
from dfml.spec.readers import Reader, Source, read_pipeline
from dfml.spec.reference import Reference
from dfml.spec.schema import Join, Pipeline

_STEPS: Path = ("spec", "steps")


def check_pipeline(pipeline: Pipeline) -> list[Finding]:
    """Return everything in a pipeline that breaks a rule, its own name apart."""
    readers, unparsed = read_pipeline(pipeline)
    findings = [*_check_steps(pipeline), *_check_settings(pipeline), *unparsed]
    unknown = [finding for reader in readers for finding in _check_known(reader, pipeline)]
    broken = {finding.path for finding in unknown}
    findings += unknown
    for reader in readers:
        findings += _check_repeats(reader)
        if reader.is_complete and not any(source.path in broken for source in reader.reads):
            findings += _check_renamings(reader)
            findings += _check_collisions(reader, pipeline)
    inside = [reader for reader in readers if reader.path[1] != "input"]
    cycles = [] if pipeline.spec.allow_cycles else [c for c in _find_cycles(inside) if c.path not in broken]
    if not unparsed and not unknown and not cycles:
        findings += _check_firing(inside, pipeline)
    return findings + cycles


def _check_steps(pipeline: Pipeline) -> Iterator[Finding]:
    names = [step.name for step in pipeline.spec.steps]
    if not names:
        yield Finding(_STEPS, "expected at least one step, got none")
    for index, name in enumerate(names):
        path = (*_STEPS, index, "name")
        yield from check_name(name, path)
        if names.index(name) < index:
            first = f"steps[{names.index(name)}]"
            yield Finding(path, f"step {show_value(name)} stands twice, first as {first}; a step's name is its model's")
        if name == pipeline.name:
            yield Finding(
                path, f"no step may bear the pipeline's name {show_value(name)}: references could mean either"
            )


def _check_settings(pipeline: Pipeline) -> Iterator[Finding]:
    spec = pipeline.spec
    if spec.max_step_revisits and not spec.allow_cycles:
        text = f"got {spec.max_step_revisits}, but without allowCycles: true no step is visited again"
        yield Finding(("spec", "maxStepRevisits"), text)
    for index, step in enumerate(spec.steps):
        if step.batch is not None and step.batch.size == 1 and step.batch.window_ms is not None:
            text = "windowMs alone batches nothing: give size, at least 2"
            yield Finding((*_STEPS, index, "batch"), text)
    if spec.output is not None and not spec.output.steps:
        yield Finding(("spec", "output", "steps"), "names no step; leave output out for asynchronous use only")


def _check_known(reader: Reader, pipeline: Pipeline) -> Iterator[Finding]:
    """Find references to steps and outputs that the pipeline does not have."""
    steps = [step.name for step in pipeline.spec.steps if step.name]
    own_input, own_output = f"{pipeline.name}.inputs", f"{pipeline.name}.outputs"
    for path, reference in reader.reads:
        if reader.node == own_input:
            if reference.pipeline == pipeline.name:
                text = f"{reference.external!r} is this pipeline's own; its steps can read it, its input cannot"
                yield Finding(path, text)
        elif reference.step is not None and reference.step not in steps:
            hint = suggest(reference.step, [*steps, pipeline.name]) or f"; expected {_list([*steps, pipeline.name])}"
            yield Finding(path, f"unknown step {reference.step!r}{hint}")
        elif reference.node == own_output and pipeline.spec.output is None:
            yield Finding(path, f"{own_output!r} is never written: the pipeline has no output")
        elif reference.node == own_output and reader.node == own_output:
            yield Finding(path, f"the output cannot read itself ({own_output!r})")


def _check_repeats(reader: Reader) -> Iterator[Finding]:
    """Find references that stand twice in a list, and tensors of a source that is read whole."""
    for sources in (reader.sources, reader.triggers):
        first: dict[Reference, Path] = {}
        for path, reference in sources:
            if reference in first:
                where = f"{first[reference][-2]}[{first[reference][-1]}]"
                yield Finding(path, f"{_shown(reader, reference)!r} stands twice, first as {where}")
            first.setdefault(reference, path)
        for path, reference in sources:
            if reference.tensor is not None and reference.whole in first:
                whole = _shown(reader, reference.whole)
                yield Finding(path, f"{whole!r} is read whole already, {reference.tensor!r} with it; keep one of them")


def _check_renamings(reader: Reader) -> Iterator[Finding]:
    """Find tensorMap entries for tensors that the reader does not read."""
    wanted: dict[Reference, list[str | None]] = {}
    for _, reference in reader.sources:
        wanted.setdefault(reference.whole, []).append(reference.tensor)
    triggers = {source.reference.whole for source in reader.triggers}
    for path, tensor, name in reader.renamings:
        tensors = wanted.get(tensor.whole)
        if not name.strip():
            yield Finding(path, "the new name is empty")
        if tensors is None:
            shown = _shown(reader, tensor.whole)
            if tensor.whole in triggers:
                yield Finding(path, f"{shown!r} is only a trigger here: its tensors do not flow")
            else:
                read = [_shown(reader, whole) for whole in wanted]
                yield Finding(path, f"{shown!r} is not read here{suggest(shown, read) or f'; expected {_list(read)}'}")
        elif None not in tensors and tensor.tensor not in tensors:
            read = [known for known in tensors if known is not None]
            text = f"the tensor {tensor.tensor!r} of {_shown(reader, tensor.whole)!r} is not read here"
            yield Finding(path, f"{text}; expected {_list(read)}")


def _check_collisions(reader: Reader, pipeline: Pipeline) -> Iterator[Finding]:
    """Find two tensors that certainly arrive under one name; at a pipeline's output both are kept."""
    if reader.node == f"{pipeline.name}.outputs":
        return
    names = {tensor: name for _, tensor, name in reader.renamings}
    whole = {reference for _, reference in reader.sources if reference.tensor is None}
    arriving = [source for source in reader.sources if source.reference.tensor is not None]
    arriving += [Source(path, tensor) for path, tensor, _ in reader.renamings if tensor.whole in whole]
    taken: dict[str, list[Reference]] = {}
    for path, tensor in dict.fromkeys(arriving):
        name = names.get(tensor, tensor.tensor or "")
        for other in taken.get(name, []):
            # An any join takes one source or the other, so that branches may well agree in their names.
            if other != tensor and (reader.join is not Join.ANY or other.whole == tensor.whole):
                both = f"{_shown(reader, other)!r} and {_shown(reader, tensor)!r}"
                yield Finding(path, f"{both} both arrive as {name!r}; rename one in tensorMap")
                break
        taken.setdefault(name, []).append(tensor)


def _successors(readers: Iterable[Reader]) -> dict[str, list[str]]:
    """Return which readers each node leads to, by data or as a trigger."""
    successors: dict[str, list[str]] = {}
    for reader in readers:
        for _, reference in reader.reads:
            successors.setdefault(reference.node, []).append(reader.node)
    return successors


def _find_cycles(readers: Sequence[Reader]) -> Iterator[Finding]:
    """Find each group of steps that wait for one another, named by its shortest cycle."""
    successors = _successors(readers)
    for component in strongly_connected(dict.fromkeys(reader.node for reader in readers), successors):
        cycle = shortest_cycle(component[0], successors)
        if cycle:
            closing = _reading(readers, cycle[-1], cycle[-2])
            text = f"a cycle, {' -> '.join(cycle)}; remove one of its references"
            yield Finding(closing.path, f"{text}, or set allowCycles: true and maxStepRevisits")


def _check_firing(readers: Sequence[Reader], pipeline: Pipeline) -> Iterator[Finding]:
    """Find what can never fire because it waits, in a cycle, for what comes only after it."""
    fired = {f"{pipeline.name}.inputs"}
    waiting = list(readers)
    while any(_can_fire(reader, fired) for reader in waiting):
        fired.update(reader.node for reader in waiting if _can_fire(reader, fired))
        waiting = [reader for reader in waiting if reader.node not in fired]
    successors = _successors(readers)
    for reader in waiting:
        after = reachable([reader.node], successors)
        late = [source for source in reader.reads if source.reference.node in after - fired]
        if late:
            names = ", ".join(dict.fromkeys(str(source.reference.whole) for source in late))
            text = f"never fires: {names} can only come after it; a loop is entered through a join of any or outer"
            yield Finding(late[0].path, text)


def _can_fire(reader: Reader, fired: Iterable[str]) -> bool:
    for sources, join in ((reader.sources, reader.join), (reader.triggers, reader.triggers_join)):
        there = [source.reference.node in fired for source in sources]
        if there and not (all(there) if join is Join.INNER else any(there)):
            return False
    return True


def _reading(readers: Iterable[Reader], node: str, origin: str) -> Source:
    """Return where ``node`` reads what ``origin`` writes."""
    return next(
        source
        for reader in readers
        if reader.node == node
        for source in reader.reads
        if source.reference.node == origin
    )


def _list(words: Sequence[str]) -> str:
    """Return at most ten words, the last after an "or"."""
    shown = [*words[:9], f"one of {len(words) - 9} more"] if len(words) > 10 else list(words)
    return " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1] if shown else ""]))


def _shown(reader: Reader, reference: Reference) -> str:
    """Spell the reference as the reader's document does."""
    return str(reference) if reference.pipeline == reader.pipeline else reference.external
