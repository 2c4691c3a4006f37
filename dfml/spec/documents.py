"""From YAML files to resources: everything that is wrong in all of them in one report, each with its line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dfml.errors import SpecError
from dfml.spec.fields import read_resource
from dfml.spec.findings import Finding
from dfml.spec.rules import check_resource
from dfml.spec.schema import AnyResource
from dfml.spec.yaml_nodes import RawDocument, read_documents


def parse_resources(text: str, *, source: str) -> list[AnyResource]:
    """Return the resources of a text that holds one or several YAML (or JSON) documents.

    Parameters
    ----------
    text : str
        The documents, separated by ``---``; empty ones are skipped.
    source : str
        What findings call the text: a file's name.

    Raises
    ------
    SpecError
        If anything is wrong: one line a finding, ``source:line: path: what``, in the order of the text. Also if
        there is no document at all, and if two describe the same resource.
    """
    report = _Report()
    report.read(text, source)
    return report.resources_or_raise()


def load_files(paths: Iterable[Path | str]) -> list[AnyResource]:
    """Return the resources of several files, in order, as if they were one text.

    Raises
    ------
    SpecError
        If a file cannot be read or anything in any of them is wrong, as :func:`parse_resources`.
    """
    report = _Report()
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            report.lines.append(f"{path}: cannot be read: {error}")
        else:
            report.read(text, str(path))
    return report.resources_or_raise()


@dataclass(slots=True)
class _Report:
    """The resources and findings of all texts so far, and where each resource was described."""

    resources: list[AnyResource] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    described: dict[tuple[str, str], str] = field(default_factory=dict)

    def read(self, text: str, source: str) -> None:
        n_before = len(self.resources) + len(self.lines)
        for document in read_documents(text):
            self._read(document, source)
        if len(self.resources) + len(self.lines) == n_before:
            self.lines.append(f"{source}: holds no document; expected a Pipeline, Model or Experiment")

    def resources_or_raise(self) -> list[AnyResource]:
        if self.lines:
            raise SpecError("\n".join(self.lines))
        return self.resources

    def _read(self, document: RawDocument, source: str) -> None:
        found = list(document.findings)
        if document.data is not None:
            found.extend(self._check(document, source))
        found.sort(key=lambda item: item[0])
        self.lines.extend(f"{source}:{line}: {finding}" for line, finding in found)

    def _check(self, document: RawDocument, source: str) -> list[tuple[int, Finding]]:
        reading = read_resource(document.data)
        found = [(document.line(finding.path), finding) for finding in reading.findings]
        if reading.resource is None:
            return found
        rules = [*check_resource(reading.resource), *self._repeated(reading.resource, document, source)]
        found.extend(
            (document.line(reading.original(finding.path)), finding)
            for finding in rules
            if not reading.is_replaced(finding.path)
        )
        if not found and not document.findings:
            self.resources.append(reading.resource)
        return found

    def _repeated(self, resource: AnyResource, document: RawDocument, source: str) -> list[Finding]:
        path = ("metadata", "name")
        here = f"{source}:{document.line(path)}"
        first = self.described.setdefault((resource.kind, resource.name), here)
        return [] if first is here else [Finding(path, f"{resource.kind} {resource.name!r} stands in {first} already")]
