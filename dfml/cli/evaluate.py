"""``evaluate``: methods of fault localisation on a suite of cases with a known answer, scored and drawn."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfml.cli.output import Output, OutputOption, print_json, progress, say, show
from dfml.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress, TaskID

    from dfml_analysis.evaluate.answer import Answer
    from dfml_analysis.evaluate.case import Case
    from dfml_analysis.evaluate.journal import Journal
    from dfml_analysis.evaluate.run import Plan

DPI = 130
"""Of the figures."""
MAX_REASONS = 10
TOLD_EVERY_S = 10.0
"""How often cases.csv is written again, and a line of progress where there is no terminal for a bar."""
INTERRUPTED = 130
"""What a shell expects of a process that ended by SIGINT."""
DATA_VARIABLE = "DFML_SHARED_DATA"
DATA_FOLDERS = {"recorded": "causal-faults", "petshop": "petshop"}
N_SEEDS = {"simulated": 10, "live": 3}
N_QUICK_SEEDS = {"simulated": 2, "live": 1}
FIRST_SEED = {"train": 0, "test": 1000}
"""Methods are developed on seeds below 1,000 only."""
QUICK_LIMIT_S = 60.0


class SuiteName(StrEnum):
    """Which cases."""

    RECORDED = "recorded"
    PETSHOP = "petshop"
    SIMULATED = "simulated"
    LIVE = "live"


class Split(StrEnum):
    """Cases that methods were developed with, or cases they have not seen."""

    TRAIN = "train"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which cases are to be run: the options of the verb, checked."""

    suite: SuiteName
    data: Path | None
    split: Split
    seeds: range
    quick: bool

    @property
    def configuration(self) -> dict[str, object]:
        """What decides an answer, as plain JSON values; a folder takes one configuration of a suite."""
        seeds = f"{self.seeds[0]}..{self.seeds[-1]}" if self.data is None else None
        data = None if self.data is None else str(self.data.resolve())
        return {"data": data, "split": self.split.value, "seeds": seeds, "quick": self.quick}

    def cases(self) -> "list[Case]":
        """Return the suite's cases."""
        from dfml_analysis.evaluate.suites.petshop import petshop_cases
        from dfml_analysis.evaluate.suites.recorded import recorded_cases
        from dfml_analysis.evaluate.suites.simulated import simulated_cases

        if self.data is not None and self.suite is SuiteName.PETSHOP:
            return petshop_cases(self.data, self.split)
        if self.data is not None:
            split = self.data / self.split
            return recorded_cases(split if split.is_dir() else self.data)
        if self.suite is SuiteName.LIVE:
            return _live_cases()(self.seeds, quick=self.quick)
        return simulated_cases(self.seeds, quick=self.quick)


def evaluate(
    suite: Annotated[SuiteName, typer.Option(help="Which cases.")],
    methods: Annotated[
        str | None, typer.Option(help="Comma-separated; docs/methods.md lists them.", show_default="all")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases, and no method that takes seconds.")] = False,
    data: Annotated[Path | None, typer.Option(help="For recorded and petshop: the folder of the data set.")] = None,
    split: Annotated[Split, typer.Option(help="Cases to develop with, or to judge by.")] = Split.TRAIN,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="For simulated and live: first and last seed, A..B.", show_default="10 and 3 seeds; 2 and 1 if quick"
        ),
    ] = None,
    condition: Annotated[
        list[str] | None, typer.Option(help="Only this one; * stands for anything. May be repeated.")
    ] = None,
    slow_cases: Annotated[int, typer.Option(min=0, help="Cases a condition for methods that take seconds.")] = 1,
    limit: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Seconds after which a method has failed on a case.", show_default="120; 60 if quick"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables, figures and the page; taken up again.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Score methods on cases with a known answer: who finds the culprit, who cries wolf, how long it takes.

    With `--out` every answer is kept as it comes; the same command again goes on where it was stopped.

    Example: `dfml evaluate --suite recorded --quick --out build/recorded`
    """
    from dfml_analysis.evaluate.run import LIMIT_S, Plan

    choice = Choice(suite, _folder(suite, data), split, _seeds(suite, seeds, split, quick=quick), quick)
    limit_s = limit or (QUICK_LIMIT_S if quick else LIMIT_S)
    plan = Plan(_matching(choice.cases(), condition or ["*"]), _chosen(methods, quick=quick), slow_cases, limit_s)
    answers, stopped = _run(plan, choice, out)
    _tell(answers, output)
    if out is not None and answers:
        say(f"page: {(out / f'{suite}.html').resolve().as_uri()}")
    if stopped:
        say("stopped; the same command goes on from here" if out else "stopped; with --out it could go on from here")
        raise typer.Exit(INTERRUPTED)


def _run(plan: "Plan", choice: Choice, out: Path | None) -> "tuple[Sequence[Answer], bool]":
    """Run the plan; return its answers, those that the folder held before among them, and whether Ctrl-C ended it."""
    from dfml_analysis.evaluate.journal import Journal
    from dfml_analysis.evaluate.run import run

    journal = Journal(out, choice.suite.value, choice.configuration) if out is not None else None
    answers: list[Answer] = []
    done = {answer.key for answer in journal.of_suite} if journal is not None else set()
    n_missing = plan.n_missing(done)
    if done:
        say(f"{len(done)} answers are there; {n_missing} are missing")
    stopped = False
    with progress() as bar:
        watched = _Watched(bar, bar.add_task(choice.suite, total=n_missing), answers, journal)
        try:
            run(plan, done, watched.keep)
        except KeyboardInterrupt:
            stopped = True
        finally:
            if journal is not None and journal.of_suite:
                _write(journal, choice)
    return answers if journal is None else journal.of_suite, stopped


@dataclass(slots=True)
class _Watched:
    """Keeps answers, and tells now and then how far it is: with a bar, or with lines where nobody looks at one."""

    bar: "Progress"
    task: "TaskID"
    answers: "list[Answer]"
    journal: "Journal | None"
    told_s: float = field(default_factory=time.monotonic)

    def keep(self, answer: "Answer") -> None:
        """Keep an answer, in the journal if there is one."""
        self.answers.append(answer) if self.journal is None else self.journal.keep(answer)
        what = f"{answer.method}, {answer.condition}"
        self.bar.update(self.task, advance=1, description=what)
        if time.monotonic() - self.told_s > TOLD_EVERY_S:
            self._tell(what)
            self.told_s = time.monotonic()

    def _tell(self, what: str) -> None:
        if self.bar.disable:
            state = self.bar.tasks[0]
            say(f"{state.completed:.0f} of {state.total:.0f} answers; {what}")
        if self.journal is not None:
            self.journal.write_cases()


def _write(journal: "Journal", choice: Choice) -> None:
    """Write everything that is made of the answers into their folder."""
    from dfml_analysis.evaluate.figures import draw_conditions, draw_methods
    from dfml_analysis.evaluate.page import render_page
    from dfml_analysis.evaluate.scores import overview, score, scores_csv

    journal.write_cases()
    journal.write("scores.csv", scores_csv([*overview(journal.answers), *score(journal.answers)]))
    answers, suite = journal.of_suite, choice.suite
    draw_methods(overview(answers)).savefig(journal.folder / f"{suite}-methods.png", dpi=DPI)
    draw_conditions(score(answers)).savefig(journal.folder / f"{suite}-conditions.png", dpi=DPI)
    journal.write(f"{suite}.html", render_page(answers, choice.configuration))


def _tell(answers: "Sequence[Answer]", output: Output) -> None:
    """Print the scores, and on stderr why methods failed."""
    from dfml_analysis.evaluate.scores import score
    from dfml_analysis.evaluate.tables import render

    if output is Output.JSON:
        print_json(score(answers))
    else:
        for table in render(answers):
            show(table)
    failed = Counter((answer.method, answer.reason) for answer in answers if answer.failed)
    for (method, reason), n in failed.most_common(MAX_REASONS):
        say(f"failed: {method}, {n} {'case' if n == 1 else 'cases'}: {reason}")
    if len(failed) > MAX_REASONS:
        say(f"{len(failed) - MAX_REASONS} more reasons of failures are in answers.jsonl (--out)")


def _folder(suite: SuiteName, data: Path | None) -> Path | None:
    """Return the data set's folder, given or shared; None for a suite that makes its own cases."""
    if suite not in DATA_FOLDERS:
        if data is not None:
            msg = f"--data {data}: the suite {suite} makes its own cases; leave it out, or choose recorded or petshop"
            raise BadInputError(msg)
        return None
    return data or Path(os.environ.get(DATA_VARIABLE, "../shared/data")) / DATA_FOLDERS[suite]


def _live_cases() -> "Callable[..., list[Case]]":
    """Return what makes the live cases: the example pipelines are in the checkout and in no wheel."""
    try:
        from experiments.apps.live import live_cases
    except ModuleNotFoundError as error:
        msg = f"--suite live runs the example pipelines, which only a checkout has ({error}); start it there"
        raise BadInputError(msg) from error
    return live_cases


def _seeds(suite: SuiteName, given: str | None, split: Split, *, quick: bool) -> range:
    if given is None:
        n_seeds = (N_QUICK_SEEDS if quick else N_SEEDS).get(suite, 1)
        return range(FIRST_SEED[split], FIRST_SEED[split] + n_seeds)
    first, dots, last = given.partition("..")
    if not (first.isdecimal() and (last.isdecimal() if dots else True)) or int(last or first) < int(first):
        msg = f"--seeds {given}: expected the first and the last seed, such as 0..9"
        raise BadInputError(msg)
    return range(int(first), int(last or first) + 1)


def _matching(cases: "Sequence[Case]", patterns: "Sequence[str]") -> "list[Case]":
    """Return the cases of the conditions that are asked for."""
    found = [case for case in cases if any(fnmatchcase(case.condition, pattern) for pattern in patterns)]
    if not found:
        known = "; ".join(dict.fromkeys(case.condition for case in cases))
        msg = f"--condition {' '.join(patterns)}: no condition has such a name; expected some of: {known}"
        raise BadInputError(msg)
    return found


def _chosen(methods: str | None, *, quick: bool) -> list[str]:
    from dfml_analysis.localisers import LOCALISERS, localiser

    if methods is None:
        return [name for name, method in LOCALISERS.items() if not (quick and method.slow)]
    return list(dict.fromkeys(localiser(name.strip()).name for name in methods.split(",")))
