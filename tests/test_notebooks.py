"""The notebooks run from their first cell to their last, as they are in the repository."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

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


@each
def test_a_notebook_runs_as_it_stands(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    found = [shown("".join(cell["source"]), names, f"{path.name}, cell {cell['id']}") for cell in cells(path, "code")]
    assert any("<svg" in text for text in found)
    assert set(names["study"].runs()["status"]) == {"done"}
    if path.stem == "first-study":
        assert names["more"].compare("mirror").replicates == 4
        assert names["study"].compare("mirror").effect > 0 > names["study"].compare("turn").effect
        assert (tmp_path / "site" / "studies" / "first-study" / "index.html").exists()


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
