"""The notebooks run from top to bottom, and are stored with what a real run has printed and drawn."""

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COIL20 = Path(os.environ.get("GLUON_CLASSICS_TEST_DATA", "nowhere"), "coil-20-proc.zip")
SECONDS = 180  # of a notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_is_one_for_each_chapter():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(11)]


def execute(path):
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    environment = {**os.environ, "COIL20": str(COIL20), "PYTHONPATH": str(ROOT)}
    client = nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=where)
    client.execute(env=environment)
    return notebook


@pytest.fixture(scope="module")
def executed():
    """All of them, two at a time: each computes with one thread."""
    with ThreadPoolExecutor(2) as pool:
        yield {path: pool.submit(execute, path) for path in NOTEBOOKS if COIL20.is_file() or "coil20" not in path.stem}


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, executed):
    if path not in executed:
        pytest.skip("needs COIL-20: GLUON_CLASSICS_TEST_DATA names no folder with coil-20-proc.zip")
    outputs = [output for cell in code_cells(executed[path].result()) for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_as_a_real_run_left_it(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert "FAST = True" in "".join(cell.source for cell in cells)
    assert "## Exercises" in "".join(cell.source for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_links_lead_somewhere(path):
    text = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("http") or (path.parent / target).exists(), target
