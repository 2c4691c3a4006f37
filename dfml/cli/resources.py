"""``load``, ``unload``, ``list`` and ``status``: what is loaded, and whether it works."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfml.cli.output import FAILED, Output, OutputOption, print_json, print_table, say
from dfml.cli.target import LogOption, Target, find_target
from dfml.cli.workers import show_workers
from dfml.errors import BadInputError, DeadlineError, NotFoundError

if TYPE_CHECKING:
    from dfml.log.base import Log
    from dfml.spec.schema import AnyResource
    from dfml_engine.control import Control, ResourceStatus
    from dfml_engine.registry import LoadedSpec

POLL_S = 0.1
"""Between two looks at the status while waiting for it."""
NO_STACK = "no stack runs on this log"


class Kind(StrEnum):
    """A resource's kind, as documents spell it."""

    PIPELINE = "Pipeline"
    MODEL = "Model"
    EXPERIMENT = "Experiment"


def load(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="YAML files; several documents each.")],
    from_beginning: Annotated[
        bool,
        typer.Option(
            "--from-beginning", help="Let new pipelines read what others wrote before, as far as it is retained."
        ),
    ] = False,
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Load pipelines, models and experiments; what is loaded unchanged keeps its version.

    Example: `dfml load models.yaml pipeline.yaml`, `dfml load archive.yaml --from-beginning`
    """
    from dfml.spec import load_files

    resources = load_files(files)
    target = find_target(ctx, log)
    with target.open_log() as opened:
        control = _control(target, opened)
        loaded = control.load(resources, from_beginning=from_beginning)
        if from_beginning:
            _tell_older(loaded)
        _tell_missing(resources, control)
    rows = [{"kind": spec.kind, "name": spec.name, "version": spec.version} for spec in loaded]
    if output is Output.JSON:
        print_json(rows)
    else:
        print_table(("kind", "name", "version"), [list(row.values()) for row in rows])


def unload(
    ctx: typer.Context,
    kind: Annotated[Kind, typer.Argument(case_sensitive=False, help="What it is.")],
    name: Annotated[str, typer.Argument(help="The resource's name.")],
    log: LogOption = None,
) -> None:
    """Unload a pipeline, model or experiment; requests under way finish.

    Example: `dfml unload pipeline claims`
    """
    target = find_target(ctx, log)
    with target.open_log() as opened:
        _control(target, opened).unload(kind.value, name)
    say(f"unloaded {kind.value} {name}")


def list_resources(ctx: typer.Context, log: LogOption = None, output: OutputOption = Output.TABLE) -> None:
    """Show what is loaded, and whether it works.

    Example: `dfml list --output json`
    """
    target = find_target(ctx, log)
    with target.open_log(read_only=True) as opened:
        control = _control(target, opened)
        loaded_ms = {(spec.kind, spec.name): spec.loaded_ms for spec in control.specs()}
        found = _known(target, control.status())
        rows = [{**asdict(each), "loaded_ms": loaded_ms[each.kind, each.name]} for each in found]
    _print_status(rows, output)


def status(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A pipeline, model or experiment.", show_default=False)] = "",
    wait: Annotated[float, typer.Option(min=0.0, help="Wait up to so many seconds for it to be ready.")] = 0.0,
    workers: Annotated[
        bool, typer.Option("--workers", help="Show who owns which partition numbers instead of a resource.")
    ] = False,
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say whether a resource works; exit code 1 when it does not. Or show who is at work on the log.

    Example: `dfml status claims --wait 10`, `dfml status --workers`
    """
    if bool(name) == workers:
        msg = "give the name of a resource, or --workers"
        raise BadInputError(msg)
    target = find_target(ctx, log)
    if workers:
        show_workers(target, output)
        return
    deadline_s = time.monotonic() + wait
    with target.open_log(read_only=True) as opened:
        control = _control(target, opened)
        while not _all_ready(found := _known(target, control.status(name))) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
            target = find_target(ctx, log)
    if not found:
        msg = f"nothing is loaded under the name {name!r}; 'dfml list' shows what is"
        raise NotFoundError(msg)
    _print_status([asdict(each) for each in found], output)
    if not _all_ready(found):
        reasons = "; ".join(each.reason for each in found if not each.ready)
        if not wait:
            raise typer.Exit(FAILED)
        msg = f"{name} was not ready after {wait:g} s: {reasons}"
        raise DeadlineError(msg)


list_resources.__name__ = "list"
VERBS = (load, unload, list_resources, status)


def _tell_older(loaded: Sequence["LoadedSpec"]) -> None:
    """Name the pipelines that do not begin anew, because they were loaded before."""
    for spec in loaded:
        if spec.kind == "Pipeline" and spec.since_ms:
            say(f"pipeline {spec.name} goes on where it was; unload it first to have it read from the beginning")


def _tell_missing(resources: Sequence["AnyResource"], control: "Control") -> None:
    """Say what the loaded resources wait for, because nobody has loaded it yet."""
    from dfml.spec import check_references
    from dfml.spec.schema import Pipeline

    specs = control.specs()
    models = [spec.name for spec in specs if spec.kind == "Model"]
    pipelines = {spec.name: spec.resource for spec in specs if isinstance(spec.resource, Pipeline)}
    for (kind, name), missing in check_references(resources, models, pipelines).items():
        absent = [*(f"model {each}" for each in missing.models), *(f"pipeline {each}" for each in missing.pipelines)]
        say(f"{kind} {name} waits for {', '.join([*absent, *(f'step {each}' for each in missing.steps)])}")


def _control(target: Target, log: "Log") -> "Control":
    from dfml.topics import Topics
    from dfml_engine.control import Control

    topics = Topics(target.settings.prefix, target.settings.namespace)
    # A namespace that exists has its partition count; the setting is for new ones.
    there = log.topics().get(topics.errors)
    partitions = there.partitions if there else target.settings.partitions
    return Control(log, topics, partitions=partitions, retention_ms=target.settings.retention_ms)


def _all_ready(found: list["ResourceStatus"]) -> bool:
    return bool(found) and all(each.ready for each in found)


def _known(target: Target, found: list["ResourceStatus"]) -> list["ResourceStatus"]:
    """Return the status as it is now: what parts said of themselves while a stack ran does not outlive it."""
    return [replace(each, ready=False, reason=NO_STACK) for each in found] if target.is_down else found


def _print_status(rows: list[dict[str, object]], output: Output) -> None:
    if output is Output.JSON:
        print_json(rows)
        return
    table = [(row["kind"], row["name"], row["version"], "ready" if row["ready"] else row["reason"]) for row in rows]
    print_table(("kind", "name", "version", "status"), table)
