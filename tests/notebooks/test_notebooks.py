"""Every notebook runs from its first cell to its last, and is kept without what a run left in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=50, resources={"metadata": {"path": sys.argv[2]}}).execute()
nbformat.write(notebook, sys.stdout)
"""


def executed(notebook: Path) -> str:
    """Return everything that the notebook's cells print and show."""
    command = [sys.executable, "-c", EXECUTE, str(notebook), str(notebook.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    return json.dumps([output for cell in cells for output in cell.get("outputs", ())])


@pytest.mark.slow
def test_the_recorded_stream_leads_to_the_classifier() -> None:
    shown = executed(ROOT / "notebooks" / "recorded_stream.ipynb")
    assert "classifier.outputs.complex" in shown
    assert "most probable" in shown
    assert shown.count("image/png") == 3


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[] for _ in cells]
    assert {cell["execution_count"] for cell in cells} == {None}
