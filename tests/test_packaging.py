"""What is shipped, and what the repository's front pages promise."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import dfml

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "dfml": ROOT / "dfml",
    "dfml_engine": ROOT / "engine/dfml_engine",
    "dfml_analysis": ROOT / "analysis/dfml_analysis",
}


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the paths in a wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def on_disk(package: str) -> set[str]:
    files = (path for path in PACKAGES[package].rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"{package}/{path.relative_to(PACKAGES[package]).as_posix()}" for path in files}


def test_wheel_holds_the_three_packages_whole_and_nothing_else(wheel_files: set[str]) -> None:
    shipped = {name for name in wheel_files if not name.split("/")[0].endswith(".dist-info")}
    assert shipped == on_disk("dfml") | on_disk("dfml_engine") | on_disk("dfml_analysis")


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_tells_type_checkers_that_it_is_typed(wheel_files: set[str], package: str) -> None:
    assert f"{package}/py.typed" in wheel_files


def test_wheel_carries_the_licence_and_the_command(wheel_files: set[str]) -> None:
    names = {name.partition(".dist-info/")[2] for name in wheel_files}
    assert {"licenses/LICENSE", "entry_points.txt"} <= names
    assert (ROOT / "LICENSE").read_text().splitlines()[1].strip() == "Apache License"


def test_version_is_the_same_in_code_package_and_changelog() -> None:
    assert dfml.__version__ == version("dfml")
    assert f"## [{dfml.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_room_of_the_language_is_kept_below_the_command_line() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    kept = set(contracts[0]["source_modules"])
    rooms = {
        f"dfml.{path.stem}"
        for path in (ROOT / "dfml").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert rooms - {"dfml.__init__", "dfml.__main__", "dfml.cli"} == kept


def test_every_make_target_named_in_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = "".join((ROOT / page).read_text() for page in ("README.md", "CONTRIBUTING.md"))
    named = set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", pages, re.MULTILINE))
    words = {word for pair in named for word in pair if word}
    assert words >= {"demo", "test", "check"}
    assert words <= targets


def test_what_the_pages_link_to_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_core_install_needs_none_of_the_analysis_extra() -> None:
    heavy = ["dowhy", "jinja2", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn"]
    modules = [
        path.relative_to(folder.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for package, folder in PACKAGES.items()
        if package != "dfml_analysis"
        for path in sorted(folder.rglob("*.py"))
        if path.name != "__main__.py"
    ]
    script = (
        f"import importlib, sys\nfor name in {heavy!r}: sys.modules[name] = None\n"
        f"for name in {modules!r}: importlib.import_module(name)\nprint(len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
