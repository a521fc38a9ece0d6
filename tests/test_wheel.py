"""The program as a stranger has it: a wheel in a fresh environment, without the repository, in folders of their own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from medaug_keras.cli import main
from medaug_keras.cli.options import STARTS
from studies import PROJECT, dead_links, tiny, written


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `bin` of an environment that has the wheel of the source distribution, beside what is here."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "study.yaml"):
        shutil.copy(PROJECT / name, source)
    for name in ("medaug_keras", "studies"):
        shutil.copytree(
            PROJECT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )  # links as the repository has them
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=source, check=True, timeout=300)
    (packed,) = folder.glob("medaug_keras-*.tar.gz")
    build_wheel = ["wheel", "--no-deps", "--no-build-isolation", "-w", folder, packed]
    subprocess.run([*pip, *build_wheel], check=True, timeout=300)
    (wheel,) = folder.glob("medaug_keras-*.whl")
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=300)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True, timeout=300)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n")  # Torch takes minutes to install
    return folder / "venv" / "bin"


def run(program: Path, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MEDMNIST_ROOT")}
    return subprocess.run(
        [program, *map(str, words)], cwd=cwd, env=inherited, capture_output=True, text=True, timeout=300
    )


def test_the_wheel_is_what_runs(installed: Path, tmp_path: Path):
    found = run(installed / "python", "-c", "import medaug_keras; print(medaug_keras.__file__)", cwd=tmp_path)
    assert Path(found.stdout.strip()).is_relative_to(installed.parent), found.stderr


def test_from_a_wheel_a_study_in_an_empty_folder_has_its_whole_site(installed: Path, tmp_path: Path):
    written(tmp_path, tiny(arms={"baseline": {}}))
    made = run(installed / "medaug-keras", "tiny.yaml", "--workers", 1, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "Report: site/studies/tiny/index.html (double-click it)\n" in made.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["docs", "results", "site", "tiny.yaml"]
    site = tmp_path / "site"
    pages = {p.relative_to(site).as_posix() for p in site.rglob("*.html")}
    assert {"index.html", "studies/index.html", "studies/tiny/index.html", "studies/tiny/runs.html"} <= pages
    assert dead_links(site) == []
    for name in ("stylesheets/site.css", "javascripts/search-from-file.js", "search/search_index.js"):
        assert (site / name).stat().st_size > 0
    assert not [line for line in made.stderr.splitlines() if "WARNING" in line or "Traceback" in line]

    own = tmp_path / "own"  # the same with an mkdocs.yml of one's own, which knows nothing of our pages
    shutil.copytree(tmp_path / "results", own / "results")
    written(own, tiny(arms={"baseline": {}}))
    (own / "docs").mkdir()
    (own / "docs" / "index.md").write_text("# My lab\n\n[About](about.md)\n")
    (own / "docs" / "about.md").write_text("# About\n")
    (own / "mkdocs.yml").write_text("site_name: My lab\nnav: [index.md, about.md]\n")
    made = run(installed / "medaug-keras", "tiny.yaml", "--workers", 1, cwd=own)
    assert made.returncode == 0, made.stderr
    assert "mkdocs.yml lacks `use_directory_urls: false` and `attr_list` among its markdown_extensions" in made.stderr
    assert "mkdocs.yml has no page of studies in its nav" in made.stderr
    assert (own / "site" / "about.html").exists()
    assert "My lab" in (own / "site" / "index.html").read_text("utf-8")
    assert dead_links(own / "site") == []


def test_from_a_wheel_init_writes_studies_that_check_understands(installed: Path, tmp_path: Path):
    for start in STARTS:
        made = run(installed / "medaug-keras", "init", f"my {start}", "--from", start, cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        checked = run(installed / "medaug-keras", "plan", "study.yaml", cwd=tmp_path / f"my {start}")
        if start != "own-images":  # whose images are yet to be named
            assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("start", STARTS)
def test_init_writes_a_study_its_schema_and_three_lines_to_read(start: str, tmp_path: Path):
    folder = tmp_path / "a" / "my-study"
    assert main(["init", str(folder), "--from", start]) == 0
    study = (folder / "study.yaml").read_text("utf-8")
    assert study.startswith("# yaml-language-server: $schema=study.schema.json\n")
    assert (folder / "study.schema.json").exists()
    readme = (folder / "README.md").read_text("utf-8").splitlines()
    assert len(readme) == 3
    assert readme[0] == "# my-study"
    content = yaml.safe_load(study)
    for name in (content.get("extends"), content.get("beside")):
        assert name is None or (folder / name).is_file()
    shipped = PROJECT / "medaug_keras" / "studies" / STARTS[start]
    assert yaml.safe_load(shipped.read_text("utf-8").replace("../study.yaml", "paper.yaml")) == content


def test_every_shipped_study_is_one_to_start_from():
    files = [PROJECT / "study.yaml", *sorted((PROJECT / "studies").glob("*.yaml"))]
    linked = {(PROJECT / "medaug_keras" / "studies" / name).resolve() for name in STARTS.values()}
    assert linked == {path.resolve() for path in files}


def test_init_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "study.schema.json").symlink_to(tmp_path / "nowhere")
    assert main(["init", str(tmp_path)]) == 2
    assert "study.schema.json. Name another folder" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "study.schema.json"]
    (tmp_path / "study.schema.json").unlink()
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text() == "mine"
    assert main(["init", str(tmp_path)]) == 2
