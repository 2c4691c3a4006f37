"""The folder of a run: every answer is written as it comes, so that nothing is lost and a run can be taken up again.

==========================  =========================================================================================
``configuration.json``      what was run of each suite; a folder takes one configuration of a suite
``answers.jsonl``           one line an answer (:class:`dfml_analysis.evaluate.answer.Answer`), with its reason
``cases.csv``               the same as a table
``scores.csv``              one row a condition and method (:mod:`dfml_analysis.evaluate.scores`)
``SUITE.html``, ``*.png``   the same for people, a page for each suite
==========================  =========================================================================================
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson

from dfml.errors import BadInputError, ConflictError
from dfml_analysis.evaluate.answer import Answer

CASE_COLUMNS: Final = (
    "suite",
    "condition",
    "case",
    "method",
    "truth",
    "suspects",
    "verdict",
    "p_value",
    "seconds",
    "status",
)
SEPARATOR: Final = "|"


class Journal:
    """The answers of one folder, and the suite that is run into it.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    suite : str
    configuration : Mapping
        What decides an answer: plain JSON values.

    Raises
    ------
    ConflictError
        If the folder holds a run of this suite with another configuration.
    BadInputError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, suite: str, configuration: Mapping[str, object]) -> None:
        self.folder, self.suite = folder, suite
        self._lines = folder / "answers.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._claim(configuration)
            self.answers = self._read()
        except OSError as error:
            msg = f"{folder}: a run cannot be kept there ({error.strerror or error}); name another folder"
            raise BadInputError(msg) from error

    @property
    def of_suite(self) -> list[Answer]:
        """The answers to cases of this suite."""
        return [answer for answer in self.answers if answer.suite == self.suite]

    def keep(self, answer: Answer) -> None:
        """Add an answer, in memory and in the file."""
        self.answers.append(answer)
        with self._lines.open("ab") as file:
            file.write(orjson.dumps(asdict(answer), option=orjson.OPT_APPEND_NEWLINE))

    def write_cases(self) -> None:
        """Write ``cases.csv`` of the answers so far."""
        self.write("cases.csv", cases_csv(self.answers))

    def write(self, name: str, text: str) -> Path:
        """Write one more file into the folder, whole or not at all, and return its path."""
        path = self.folder / name
        draft = path.with_name(f".{name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        return path

    def _claim(self, configuration: Mapping[str, object]) -> None:
        path = self.folder / "configuration.json"
        suites = orjson.loads(path.read_bytes()) if path.exists() else {}
        there = suites.setdefault(self.suite, dict(configuration))
        if there != configuration:
            differing = [name for name in configuration if there.get(name) != configuration[name]]
            held, got = (_spell(values, differing) for values in (there, configuration))
            msg = f"{self.folder} holds {self.suite} with {held}; this run has {got}; name another folder"
            raise ConflictError(msg)
        self.write(path.name, orjson.dumps(suites, option=orjson.OPT_INDENT_2).decode() + "\n")

    def _read(self) -> list[Answer]:
        """Return what is there; a line that was being written when the run was killed is cut off."""
        if not self._lines.exists():
            return []
        data = self._lines.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(self._lines, len(whole))
        return [Answer(**orjson.loads(line)) for line in whole.splitlines()]


def cases_csv(answers: Iterable[Answer]) -> str:
    """Return the answers as ``cases.csv``: the columns of ``CASE_COLUMNS``, steps joined by ``|``.

    ``truth`` is empty for a control. Where the method names nobody, ``suspects`` are all steps by their evidence;
    whether anything is accused is in ``verdict``.
    """
    rows = (
        (
            *answer.key,
            SEPARATOR.join(sorted(answer.truth)),
            SEPARATOR.join(answer.suspects),
            answer.verdict,
            "" if answer.p_value is None else f"{answer.p_value:.6g}",
            f"{answer.seconds:.6f}",
            answer.status,
        )
        for answer in answers
    )
    return to_csv(CASE_COLUMNS, rows)


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue()


def _spell(values: Mapping[str, object], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {values.get(name)}" for name in names)
