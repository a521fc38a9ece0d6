"""Each page that begins with nothing ends with a site: its code, its study and its commands, one after the other."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from test_docs import ROOT, blocks

from medaug_keras import cli

PAGES = {"skin-table": "skin.yaml", "dicom": "ct.yaml", "own-network": "my-study.yaml"}
"""Page of docs/how-to → its study file."""
LESS = ["--replicates", "1", "--workers", "1", "--set", "classifier.epochs=1"]


@pytest.mark.parametrize(("page", "study"), PAGES.items())
def test_a_page_leads_from_nothing_to_a_site(page: str, study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pydicom")
    monkeypatch.chdir(tmp_path)
    path = ROOT / "docs" / "how-to" / f"{page}.md"
    assert f"`{study}`" in path.read_text("utf-8")
    (code,) = blocks(path, "python")
    if page == "own-network":
        Path("my_models.py").write_text(code, encoding="utf-8")
    else:
        exec(compile(code, path.name, "exec"), {})
    (content,) = blocks(path, "yaml")
    Path(study).write_text(content, encoding="utf-8")
    shown = "\n".join([*blocks(path, ""), *blocks(path, "bash")]).splitlines()
    commands = [shlex.split(line, comments=True)[3:] for line in shown if line.startswith("python -m medaug_keras")]
    check, run = commands
    assert (check[:2], run[0]) == (["check", study], study)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        assert cli.main(check) == cli.DONE, said.getvalue()
        assert cli.main([*run, *LESS]) == cli.DONE, said.getvalue()
    (name,) = re.findall(r"^name: (.*)$", content, re.MULTILINE)
    site = tmp_path / "site" / "studies" / name / "index.html"
    title = re.search(r"^title: (.*)$", content, re.MULTILINE)[1]
    assert title in site.read_text("utf-8")
