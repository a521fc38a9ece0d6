"""Each page that begins with nothing ends with a site: its code, its study and its commands, one after the other."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
import yaml
from test_docs import ROOT, blocks

from medaug_keras import cli, reading

PAGES = {"skin-table": "skin.yaml", "dicom": "ct.yaml", "own-network": "my-study.yaml"}
"""Page of docs/how-to → its study file."""
LESS = ["--replicates", "1", "--workers", "1", "--set", "classifier.epochs=1"]


def uncommented(content: str, name: str) -> dict:
    """A data set that the template has as a comment."""
    (block,) = re.findall(rf"^  # {name}:\n(?:  #   .*\n)+", content, re.MULTILINE)
    return yaml.safe_load(re.sub("^  # ", "", block, flags=re.MULTILINE))


@pytest.mark.parametrize(("name", "window"), [("our-lesions", None), ("our-radiographs", {"dicom": True})])
def test_what_the_template_for_own_images_has_as_a_comment_is_a_study(name, window, tmp_path: Path):
    content = (ROOT / "studies" / "own-data.yaml").read_text("utf-8")
    (line,) = re.findall(r"^# (samplings: .*)$", content, re.MULTILINE)
    whole = yaml.safe_load(content)
    runs = len(whole["arms"])
    whole["datasets"] = uncommented(content, name)
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    if name == "our-radiographs":
        del whole["generators"], whole["arms"]["cvae"]  # whose images are of 28 pixels a side
        runs -= 1
    (tmp_path / "once.yaml").write_text(yaml.safe_dump(whole | yaml.safe_load(line)), encoding="utf-8")
    study = reading.read(tmp_path / "once.yaml")
    assert len(study.arms) * len(study.samplings) == runs
    section = study.datasets[name]
    assert (section.kind, section.group, section.window is not None) == ("table", "patient", window is not None)
    assert section.window is None or section.window.dicom
    if name == "our-lesions":
        plain = reading.read(tmp_path / "plain.yaml")
        assert len(plain.arms) * len(plain.samplings) == 2 * runs  # the comment says that it halves them


@pytest.mark.parametrize(("page", "study"), PAGES.items())
def test_a_page_leads_from_nothing_to_a_site(page: str, study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pydicom")
    monkeypatch.chdir(tmp_path)
    path = ROOT / "docs" / "how-to" / f"{page}.md"
    assert f"`{study}`" in path.read_text("utf-8")
    code, *more = blocks(path, "python")
    names: dict[str, object] = {}
    if page == "own-network":
        Path("my_models.py").write_text(code, encoding="utf-8")
    else:
        exec(compile(code, path.name, "exec"), names)
    content, *others = blocks(path, "yaml")
    Path(study).write_text(content, encoding="utf-8")
    shown = "\n".join([*blocks(path, ""), *blocks(path, "bash")]).splitlines()
    commands = [shlex.split(line, comments=True)[3:] for line in shown if line.startswith("python -m medaug_keras")]
    check, run = commands
    assert (check[:2], run[0]) == (["check", study], study)
    said = io.StringIO()
    for further in more:
        exec(compile(further, path.name, "exec"), names)
    for other in others:  # the same study with other sections
        Path("other.yaml").write_text(yaml.safe_dump(yaml.safe_load(content) | yaml.safe_load(other)), encoding="utf-8")
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            assert cli.main(["check", "other.yaml"]) == cli.DONE, said.getvalue()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        assert cli.main(check) == cli.DONE, said.getvalue()
        assert cli.main([*run, *LESS]) == cli.DONE, said.getvalue()
    (name,) = re.findall(r"^name: (.*)$", content, re.MULTILINE)
    site = tmp_path / "site" / "studies" / name / "index.html"
    title = re.search(r"^title: (.*)$", content, re.MULTILINE)[1]
    assert title in site.read_text("utf-8")
