"""The notebooks run from their first cell to their last, as they are in the repository."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

SMALLER = {
    '"train": 240, "validation": 80, "test": 160': '"train": 48, "validation": 16, "test": 16',
    '"epochs": 10': '"epochs": 1',
    '"epochs": 3': '"epochs": 1',
    '"replicates": 3': '"replicates": 1',
    '"replicates": 4': '"replicates": 2',
    '"folds": 3': '"folds": 2',
    "range(120)": "range(48)",
    "quiet=True": "quiet=True, workers=1",
    "ma.run(asked)": "ma.run(asked, workers=1)",
}
"""Pieces of code that take long → what takes less; slow tests run all as it stands."""

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


def shown(code: str, names: dict[str, Any], where: str) -> str:
    """Run a cell; what a notebook shows of its last expression."""
    body = ast.parse(code, where)
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, where, "exec"), names)
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    return str(value._repr_html_()) if hasattr(value, "_repr_html_") else repr(value)


def ran(path: Path, changes: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Run all cells, with these pieces of code replaced; the names that are left, and what each cell shows."""
    names: dict[str, Any] = {}
    found = []
    for cell in cells(path, "code"):
        code = "".join(cell["source"])
        for piece, other in changes.items():
            code = code.replace(piece, other)
        found.append(shown(code, names, f"{path.name}, cell {cell['id']}"))
    assert any("<svg" in text for text in found)
    assert set(names["study"].runs()["status"]) == {"done"}
    return names, found


@each
def test_a_notebook_runs_from_its_first_cell_to_its_last(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code = "".join("".join(cell["source"]) for cell in cells(path, "code"))
    changes = {piece: other for piece, other in SMALLER.items() if piece in code}
    assert len(changes) > 2
    names, _ = ran(path, changes)
    if path.stem == "first-study":
        assert names["more"].compare("mirror").replicates == names["study"].compare("mirror").replicates + 1
        assert (tmp_path / "site" / "studies" / "first-study" / "index.html").exists()


@pytest.mark.slow
@each
def test_a_notebook_runs_as_it_stands_and_finds_what_was_planted(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    names, _ = ran(path, {})
    if path.stem == "first-study":
        assert names["study"].compare("mirror").effect > 0 > names["study"].compare("turn").effect


@each
def test_a_notebook_is_whole_and_holds_no_output_and_no_number(path: Path):
    found = json.loads(path.read_text("utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in found["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_every_notebook_is_named_in_a_page():
    page = (FOLDER.parent / "docs" / "how-to" / "notebook.md").read_text("utf-8")
    assert NOTEBOOKS
    assert all(f"notebooks/{path.name}" in page for path in NOTEBOOKS)
