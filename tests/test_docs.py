"""The reference pages name everything: topics, headers, kinds of errors, reasons of drops, REST paths, statuses."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from dfml import headers
from dfml.operations.metrics import FAMILIES
from dfml.operations.pages import Pages
from dfml.topics import Topics
from dfml_analysis.localisers import LOCALISERS
from dfml_engine.flow import SUPERSEDED, Ending
from dfml_engine.gateways.api import PipelineGatewayApi
from dfml_engine.gateways.rest import create_app
from dfml_engine.gateways.rest_answer import _STATUS
from dfml_engine.gateways.rest_call import _READ, TIMEOUT_HEADER
from dfml_engine.payloads import FILTERED
from dfml_engine.routing import ROUTE_HEADER

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGE = (DOCS / "architecture.md").read_text()
ENGINE = "\n".join(path.read_text() for path in (ROOT / "engine").rglob("*.py"))


def cells(page: str, heading: str) -> set[str]:
    """Return what stands in backticks in the first column of the table under a heading."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert section
    return {
        word for row in re.findall(r"^\|([^|]+)\|", section[1], re.MULTILINE) for word in re.findall("`(.+?)`", row)
    }


def test_every_topic_is_documented() -> None:
    names = Topics("seldon", "default")
    own = [names.errors, names.specs, names.status, names.owners, names.workers, names.fates]
    ports = [names.pipeline_inputs("<pipeline>"), names.pipeline_outputs("<pipeline>")]
    ports += [names.model_inputs("<model>"), names.model_outputs("<model>")]
    assert cells("records.md", "Topics") == {f"<prefix>.<namespace>.{names.shorten(each)}" for each in [*own, *ports]}


def test_every_header_of_a_record_is_documented() -> None:
    ours = {value for name, value in vars(headers).items() if name.isupper() and isinstance(value, str)}
    assert cells("records.md", "Headers") == ours | {"x-*", ROUTE_HEADER}


def test_every_kind_of_error_is_documented() -> None:
    kinds = set(re.findall(r'(?:Failure|cls)\(\s*"(\w+)"', ENGINE)) | set(re.findall(r'ERROR_KIND, b"(\w+)"', ENGINE))
    assert cells("records.md", "Kinds of errors") == kinds | {"dfml-error-kind"}


def test_every_reason_of_a_drop_is_documented() -> None:
    fixed = re.findall(r'drop\((?:self\.)?[^()]*?"([a-z ]{4,})"(?: if mirrored else "([a-z ]+)")?', ENGINE)
    reasons = (
        {FILTERED, SUPERSEDED}
        | {ending.value for ending in Ending}
        | {reason for found in fixed for reason in found if reason}
    )
    assert cells("records.md", "Reasons of drops") == reasons | {"reason"}


def test_every_path_is_documented() -> None:
    pages = Pages("", list, tuple, list)
    app = create_app(PipelineGatewayApi.__new__(PipelineGatewayApi), pages, max_request_bytes=1)
    paths = {route.path.replace(":path", "") for route in app.routes if isinstance(route, Route)}
    documented = {path.partition(" ")[2] for path in cells("rest.md", "Paths")}
    page = (DOCS / "rest.md").read_text()
    assert documented == {path for path in paths if "/models/" not in path and "/versions/" not in path}
    assert {path for path in paths if path.endswith("{version}")} <= set(re.findall("`(.+?)`", page))


def test_every_header_of_a_call_is_documented() -> None:
    page = (DOCS / "rest.md").read_text().lower()
    of_the_transport = {"content-length", "content-encoding"}
    missing = {name.decode() for name in _READ} | {TIMEOUT_HEADER, headers.REQUEST, headers.TRACEPARENT, ROUTE_HEADER}
    assert {name for name in missing - of_the_transport if f"`{name}" not in page} == set()


@pytest.mark.parametrize("status", sorted({200, 202, 405, 500, *(status for _, status in _STATUS)}))
def test_every_status_is_documented(status: int) -> None:
    assert re.search(rf"^\| {status} \|", (DOCS / "rest.md").read_text(), re.MULTILINE)


def test_every_metric_is_documented_with_its_labels() -> None:
    rows = cells("operations.md", "Metrics")
    assert rows == {f"{each.name}{{{', '.join(each.labels)}}}" if each.labels else each.name for each in FAMILIES}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_page_is_found_from_the_readme_and_its_links_lead_somewhere(page: Path) -> None:
    assert f"(docs/{page.name})" in (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert "://" in target or (DOCS / target).exists(), target


def test_every_module_of_the_engine_has_its_line() -> None:
    named = re.findall(r"[a-z_]+\.py", " ".join(re.findall(r"^\| `.*?\|", PAGE, re.MULTILINE)))
    folder = ROOT / "engine" / "dfml_engine"
    files = [*folder.glob("*.py"), *(path for path in (folder / "gateways").glob("*.py") if path.stem[:4] != "rest")]
    assert {path.name for path in files} - {"__init__.py", "outcome.py", "api.py"} <= set(named)


def test_every_study_is_listed() -> None:
    listed = set(re.findall(r"^\| \[(\w+)\]\(\1\)", (ROOT / "experiments" / "README.md").read_text(), re.MULTILINE))
    studies = {path.parent.name for path in (ROOT / "experiments").glob("*/__init__.py")}
    assert studies <= listed


@pytest.mark.parametrize("method", LOCALISERS)
def test_every_method_is_documented(method: str) -> None:
    assert f"`{method}`" in (DOCS / "methods.md").read_text()
