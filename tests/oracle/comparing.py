"""The engine's records beside the oracle's: what differs, in words."""

from collections.abc import Iterator

from bench import Bench, Ground
from interpreter import interpret
from oracle_models import model_of
from strategies import Case
from values import Evaluation
from written import Written, rule_key, same_tensors

ECHOES = {"duplicate", "answered already"}
"""Drops of copies; where copies were written, the oracle says nothing of them."""
AFTER_FAILURE = "upstream dropped"
"""The drop of a copy of what a rule failed on."""


def compare(case: Case, ground: Ground) -> list[str]:
    """Run the case and return what differs from the oracle, and what is unaccounted."""
    bench = Bench(ground, case.specs, case.late)
    try:
        for version in (False, True):
            entries = [name for name in case.entries if (name[1:3] in case.late) is version]
            bench.later.append([(name, case.entries[name], case.partitions[name.request]) for name in entries])
        bench.run(case.moves)
        steps = {step["name"] for spec in case.specs.values() for step in spec["steps"]}
        models = {step: model_of(step) for step in steps}
        told = interpret(case.specs, models, case.entries, bench.happenings, case.partitions)
        audit = bench.audit()
        lost = [f"unaccounted: {position}" for position in audit.positions]
        written = bench.written()
        again = [] if bench.faults["duplicate"] else [name for name, n_copies in written.copies.items() if n_copies > 1]
        return differences(told, written) + lost + [f"{name} was written more than once" for name in again]
    finally:
        bench.close()


def differences(told: Evaluation, written: Written) -> list[str]:
    """Return how the engine's records differ from the oracle's; empty when they agree."""
    return [*_records(told, written), *_errors(told, written), *_drops(told, written)]


def _records(told: Evaluation, written: Written) -> Iterator[str]:
    for name in told.records.keys() - written.records.keys():
        yield f"the engine did not make {name}"
    for name in written.records.keys() - told.records.keys():
        yield f"only the engine made {name}"
    for name in told.records.keys() & written.records.keys():
        for tensors, parents in zip(written.records[name], written.parents[name], strict=True):
            if not same_tensors(tensors, told.records[name]):
                yield f"{name} holds {tensors}, expected {told.records[name]}"
            if parents != told.parents[name]:
                yield f"{name} was made from {sorted(parents)}, expected {sorted(told.parents[name])}"


def _errors(told: Evaluation, written: Written) -> Iterator[str]:
    for name in told.errors.keys() - written.errors.keys():
        yield f"the engine did not tell {name}"
    failed = {(name.request, name.pipeline) for name in told.errors}
    for name, copies in written.errors.items():
        for kind, parents in copies:
            if name in told.errors:
                if parents != told.errors[name]:
                    yield f"{name} was made from {sorted(parents)}, expected {sorted(told.errors[name])}"
            elif kind != "no_output" or name[:2] not in told.hopeless:
                yield f"only the engine told {name} ({kind})"
    for request in told.hopeless - failed:
        if not any(name[:2] == request for name in written.errors):
            yield f"the caller of {request} was not told that no output can come"


def _drops(told: Evaluation, written: Written) -> Iterator[str]:
    expected = {(name, rule_key(rule)): drop for (name, rule), drop in told.drops.items()}
    for key, (reasons, missing) in expected.items():
        found = [drop for drop in written.drops.get(key, []) if drop[0] not in ECHOES]
        if not found:
            yield f"{key[0]} was not dropped by {key[1]} as {sorted(reasons)}; got {written.drops.get(key, [])}"
        for reason, lacking, _ in found:
            if reason not in reasons:
                if written.copies[key[0]] > 1 and any(drop[0] in reasons for drop in found):
                    continue
                yield f"{key[0]} was dropped by {key[1]} as {reason!r}, expected {sorted(reasons)}"
            elif missing and not (lacking and lacking <= missing | {name.rpartition(".")[0] for name in missing}):
                sources = {name.removesuffix("." + name.split(".")[-1]) for name in lacking}
                if not sources <= missing:
                    yield f"{key[0]}, dropped by {key[1]}, lacked {sorted(lacking)}, expected {sorted(missing)}"
    for key, drops in written.drops.items():
        for reason, _, _ in drops:
            # A record may be used by a rule and be too many for it too: as trigger beside data, as a copy from a loop.
            made = any(key[0] in parents and name[1:4] == key[1] for name, parents in told.parents.items())
            failed = any(key[0] in parents and name[1:4] == key[1] for name, parents in told.errors.items())
            too_many = reason == "superseded" and (made or failed)
            copied = written.copies[key[0]] > 1
            echo = reason == "answered already" or (
                copied and (reason in ECHOES or (failed and reason == AFTER_FAILURE))
            )
            if key not in expected and not too_many and not echo:
                yield f"only the engine dropped {key[0]} by {key[1]} as {reason!r}"
