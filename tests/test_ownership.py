"""Files that the program did not make stay, and are not published, whatever lies where and is linked to what."""

import json
import os
import random
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import InclusionLevel, get_files
from report_records import fake_results

from medaug_keras import ownership
from medaug_keras.cli import main, options, request
from medaug_keras.cli.mistakes import ReportError, apology
from medaug_keras.cli.pages import check_report
from medaug_keras.ownership import NOTE, NotOursError
from medaug_keras.places import check_study
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.site import mkdocs_hooks
from medaug_keras.spec import Study
from medaug_keras.store import Store
from studies import cli, dead_links, start, tiny, written

PHANTOM = {"kind": "phantom", "name": "phantom-ultrasound", "train": 546, "validation": 78, "test": 156}
MEDMNIST = "datasets={breastmnist: {kind: medmnist}}"
HOOKS = {"hooks": [mkdocs_hooks.__file__]}
SPLIT = "datasets={mine: {kind: folder, path: scans/images, split: {file: tables/split.csv}}}"
STUDY = tiny(datasets={"phantom-ultrasound": PHANTOM}, arms={"baseline": {}})


def made_up(whole: Any, store: Store, **options: Any) -> Any:
    """In place of training: records for every task that has none."""
    study = request.read_study(SimpleNamespace(study=Path("tiny.yaml"), set=[], replicates=None, unverified_data=False))
    before = {name for name in whole.tasks if store.is_done(name)}
    store.tidy()
    fake_results(study, store.root, whole=whole)
    done = [name for name in whole.tasks if name not in before]
    return SimpleNamespace(
        done=done, already=sorted(before), failed={}, blocked={}, notes=[], stopped="", interrupted=False
    )


def copied(config: Any) -> None:
    """In place of MkDocs's build: what it would publish, unrendered."""
    from mkdocs.structure.files import set_exclusions

    files = config.plugins.on_files(get_files(config), config=config)
    set_exclusions(files, config)
    for file in files:
        if file.inclusion.is_included():
            target = Path(config.site_dir, file.dest_uri)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content_bytes)
    mkdocs_hooks.on_post_build(config)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a project, in which we are, and others around it; training and MkDocs take no time."""
    for name in ("project", "outside"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("MEDMNIST_ROOT", raising=False)
    monkeypatch.setattr("medaug_keras.engine.run", made_up)
    monkeypatch.setattr("mkdocs.commands.build.build", copied)
    whole, known = Pages.each, {}

    def once(self: Pages) -> list[tuple[str, bytes]]:
        key = repr((self.results.study, sorted((t, o.state) for t, o in self.results.outcomes.items())))
        if key not in known:
            known[key] = list(whole(self))
        return known[key]

    monkeypatch.setattr(Pages, "each", once)
    written(Path(), STUDY)
    return tmp_path


def ids() -> list[str]:
    """The tasks of the study."""
    return list(request.planned(options.parser().parse_args(["plan", "tiny.yaml"]))[1].tasks)


# --- the law ---------------------------------------------------------------------------------------

FOLDERS = (
    "project",
    "project/docs",
    "project/docs/studies",
    "project/docs/studies/tiny",
    "project/docs/studies/tiny/runs",
    "project/docs/studies/tiny/mine",
    "project/docs/studies/tiny/.fresh-mine",
    "project/docs/studies/assets",
    "project/docs/studies/other/data",
    "project/docs/studies/.tiny.17.fresh",
    "project/docs/studies/.tiny.kept-1",
    "project/site",
    "project/site/studies/tiny",
    "project/site/photos",
    "project/.site.kept-1",
    "project/out",
    "project/results",
    "project/results/unfinished",
    "project/results/unfinished/TASK",
    "project/results/failures",
    "project/results/unpacked/TASK",
    "project/results/damaged",
    "project/results/studies",
    "project/results/TASK",
    "project/results/classifier-0123456789abcdef",
    "outside",
    "outside/web",
    "outside/pages/runs",
    "outside/docs/studies/tiny",
    "outside/site",
)
NAMES = (
    "notes.txt",
    "thesis.html",
    "figures.docx",
    "index.md",
    "index.html",
    "404.html",
    "runs.md",
    "runs.html",
    "data",
    "study.json",
    "study.yaml",
    "report.css",
    "report.js",
    "report.txt",
    "fingerprints.json",
    "mine.lock",
    "mine.checkpoint",
    "classifier-0123456789abcdef.lock",
    "classifier-0123456789abcdef.json",
    "TASK.json",
    "tiny.json",
    ".report.css.3.partial",
    ".hidden",
    NOTE,
    ownership.LOCK,
)
LINKS = (  # where the link is, where it leads
    ("project/site", "outside/web"),
    ("project/site", "outside"),
    ("project/site", "outside/nowhere"),
    ("project/docs", "outside/docs"),
    ("project/docs/studies", "outside/pages"),
    ("project/docs/studies/tiny", "outside/pages"),
    ("project/docs/studies/tiny", "outside/nowhere"),
    ("project/docs/studies/tiny/runs", "outside/pages/runs"),
    ("project/docs/studies/tiny/index.md", "outside/notes.md"),
    ("project/docs/studies/tiny/mine", "outside/pages"),
    ("project/docs/studies/assets", "outside/web"),
    ("project/docs/studies/assets/report.css", "outside/notes.md"),
    ("project/docs/studies/index.md", "outside/notes.md"),
    ("project/site/studies", "outside/pages"),
    ("project/site/index.html", "outside/notes.md"),
    ("project/results", "outside/results"),
    ("project/results/failures", "outside/failures"),
    ("project/results/unfinished/TASK", "outside/pages"),
    ("project/results/unfinished/classifier-0123456789abcdef.lock", "outside/notes.md"),
    ("project/out", "outside/web"),
)
DOCS = ("docs", "docs", "docs", "out", ".", "..", "results", "results/docs", "docs/studies", "../outside/docs", "site")
SITES = ("", "", "", "out", "site", "../outside/web", "../outside/site", "docs/site", "results/site", ".", "../outside")
RESULTS = ("results", "results", "results", "results", "docs/results", "site", "../outside", ".")


@dataclass
class Foreign:
    """Everything that the program did not make: content by path, and links."""

    world: Path
    files: dict[Path, bytes] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)

    def write(self, path: Path, content: bytes) -> None:
        """Put a file where there is room for one; behind links too."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(path):
                path.write_bytes(content)
                self.files[path.resolve()] = content
        except OSError:  # a file or a link that leads nowhere is on the way
            pass

    def link(self, path: Path, target: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix:
                self.write(target, f"foreign {target.name}".encode())
            elif "nowhere" not in target.name:
                target.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
            self.links.add(str(target))
        except OSError:
            pass

    def edit(self, path: Path) -> None:
        content = path.read_bytes() + b"\nedited by hand"
        path.unlink()  # not through a link of ours to another name
        path.write_bytes(content)
        self.files[path.resolve()] = content

    def check(self, said: str) -> None:
        """All of it is there: where it was, or beside, where what stood in the way is moved to."""
        found: dict[bytes, list[Path]] = {}
        links = set()
        for place, folders, names in os.walk(self.world):
            for name in [*folders, *names]:
                path = Path(place, name)
                if path.is_symlink():
                    links.add(os.readlink(path))
                elif path.is_file():
                    found.setdefault(path.read_bytes(), []).append(path)
        for path, content in self.files.items():
            places = found.get(content, [])
            assert path in places or any(".kept-" in str(place) for place in places), f"{path} is gone after {said}"
            if path.is_relative_to(self.world / "outside") and ".kept-" not in str(places):
                assert path in places, f"{path} was moved by {said}"
        assert self.links <= links, f"a link is gone after {said}"

    def published(self, site: Path) -> list[Path]:
        """Copies of foreign files in a site."""
        contents = set(self.files.values())
        found = []
        for place, _, names in os.walk(site):
            for path in (Path(place, name) for name in names):
                if path.is_file() and path.read_bytes() in contents and path.resolve() not in self.files:
                    found.append(path)
        return [path for path in found if ".kept-" not in str(path)]


def populate(world: Path, rng: random.Random, tasks: list[str]) -> Foreign:
    foreign = Foreign(world)
    for place, target in rng.sample(LINKS, rng.choice((0, 0, 1, 2, 4))):
        foreign.link(world / place.replace("TASK", rng.choice(tasks)), world / target)
    for number in range(rng.randint(1, 14)):
        task = rng.choice(tasks)
        path = world / rng.choice(FOLDERS).replace("TASK", task) / rng.choice(NAMES).replace("TASK", task)
        foreign.write(path, f"foreign {number}".encode())
    return foreign


def command(rng: random.Random) -> tuple[list[str], Path | None]:
    """Random words, and the site that they ask for."""
    verb = rng.choice(("run", "run", "run", "report", "report", "check", "plan"))
    docs, site = rng.choice(DOCS), rng.choice(SITES)
    words = [verb, rng.choice(("tiny.yaml", "tiny.yaml", "tiny.yaml", "copy.yaml", "other.yaml"))]
    words += ["--docs", docs, "--results", rng.choice(RESULTS), *(["--site", site] if site else [])]
    if verb in ("run", "report") and rng.random() < 0.2:
        words.append("--no-site")
    if verb == "run" and rng.random() < 0.3:
        words.append("--repair")
    if rng.random() < 0.2:
        words += ["--set", "title=Other"]
    return words, Path(site) if site else Path(docs).parent / "site"


def live(world: Path, seed: int) -> tuple[int, int]:
    """A random tree, with or without earlier reports, and random commands; how many of them were done and refused."""
    rng = random.Random(seed)
    shutil.copy("tiny.yaml", "copy.yaml")
    Path("other.yaml").write_text(yaml.safe_dump(STUDY | {"title": "Another"}))
    own = rng.random() < 0.3
    if own:
        Path("mkdocs.yml").write_text("site_name: Mine\ntheme: {name: material}\n")
    earlier = rng.random() < 0.5
    if earlier:
        assert main(["run", "tiny.yaml", "--quiet"]) == 0
    foreign = populate(world, rng, ids())
    if earlier:
        ours = [p for place in ("docs/studies", "site") for p in sorted(Path(place).rglob("*")) if p.is_file()]
        ours = [p for p in ours if p.resolve() not in foreign.files and p.name != NOTE]
        for path in rng.sample(ours, min(len(ours), rng.randint(0, 4))):
            foreign.edit(path)
    codes = []
    for _ in range(rng.randint(1, 4)):
        words, site = command(rng)
        codes.append(main(words))
        said = f"{' '.join(words)} (seed {seed})"
        foreign.check(said)
        if not own and site is not None:
            assert foreign.published(site) == [], f"{said} published them"
    return codes.count(0), codes.count(2)


@pytest.mark.parametrize("seed", [*range(40), *(pytest.param(n, marks=pytest.mark.slow) for n in range(40, 400))])
def test_every_foreign_byte_is_there_after_random_commands_and_none_is_published(world: Path, seed: int):
    live(world, seed)


# --- what is said, and what becomes of each --------------------------------------------------------


def test_a_site_of_the_users_own_is_refused_before_any_work_and_another_can_be_named(world: Path, capsys):
    (mine := Path("site/photos/a.txt")).parent.mkdir(parents=True)
    mine.write_text("mine")
    for verb in ("run", "check", "report"):
        assert main([verb, "tiny.yaml"]) == 2
        assert "site holds files that this program did not make" in capsys.readouterr().err
    assert not Path("results").exists()
    assert main(["tiny.yaml", "--site", "other"]) == 0
    assert "Report: other/studies/tiny/index.html" in capsys.readouterr().out
    assert main(["report", "tiny.yaml", "--no-site"]) == 0
    assert mine.read_text() == "mine"


def test_a_site_that_is_a_link_to_an_empty_folder_is_filled_there_and_stays_a_link(world: Path):
    (world / "outside/web").mkdir()
    Path("site").symlink_to(world / "outside/web")
    assert [main(["tiny.yaml"]), main(["report", "tiny.yaml"])] == [0, 0]
    assert Path("site").is_symlink()
    assert (world / "outside/web/studies/tiny/index.html").exists()


def test_notes_beside_the_pages_stay_are_named_and_are_not_in_the_site(world: Path, capsys):
    assert main(["tiny.yaml", "--quiet"]) == 0
    (notes := Path("docs/studies/tiny/notes/patients.csv")).parent.mkdir()
    notes.write_text("mine")
    for anew in (["tiny.yaml"], ["report", "tiny.yaml"]):
        assert main(anew) == 0
        assert f"kept and not published: {notes}." in capsys.readouterr().err
    assert notes.read_text() == "mine"
    assert not list(Path("site").rglob("patients.csv"))


@pytest.mark.parametrize("place", ["docs/studies/tiny/index.md", "docs/studies/assets/report.css", "site/404.html"])
def test_an_edited_file_of_ours_is_moved_beside_said_and_made_again(world: Path, capsys, place: str):
    Path("docs").mkdir()
    Path("docs/404.html").write_text("x")
    Path("mkdocs.yml").write_text("site_name: Mine\n")  # so that there is a file besides those of studies
    assert main(["tiny.yaml", "--quiet"]) == 0
    path = Path(place)
    before = path.read_bytes()
    for number in (1, 2):
        path.write_text(f"edited {number}")
        assert main(["report", "tiny.yaml"]) == 0
        folder = next(p for p in path.parents if (p / NOTE).exists())
        kept = folder.with_name(f".{folder.name}.kept-{number}")
        assert f"Not as this program left it, so moved to {kept}: {path}." in capsys.readouterr().err
        assert (kept / path.relative_to(folder)).read_text() == f"edited {number}"
        assert path.read_bytes() == before


def test_a_page_of_studies_of_the_users_own_stays_and_ours_is_made_where_there_is_none(world: Path, capsys):
    index = Path("docs/studies/index.md")
    index.parent.mkdir(parents=True)
    index.write_text("mine")
    assert main(["tiny.yaml"]) == 0
    said = capsys.readouterr()
    assert f"{index} was not made by this program, so it stays as it is." in said.err
    assert "index.md" not in said.out.partition("Written: ")[2].partition("\n")[0]
    assert index.read_text() == "mine"
    assert "A tiny study" in Path("site/studies/index.html").read_text()  # ours is published in its place
    index.unlink()
    assert main(["tiny.yaml"]) == 0
    assert "A tiny study" in index.read_text()
    index.write_text("edited")
    assert main(["report", "tiny.yaml"]) == 0
    assert index.read_text() == "edited"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--docs", "."], "--docs . is or holds the current folder"),
        (["--docs", ".."], "--docs .. is or holds the current folder"),
        (["--docs", "results"], "--docs results holds --results results"),
        (["--docs", "results/docs"], "--docs results/docs lies in --results results"),
        (["--docs", "scans"], "--docs scans holds the data set mine"),
        (["--docs", "tables", "--set", SPLIT], "--docs tables holds split.file of the data set mine"),
        (["--docs", "scans/images/docs"], "--docs scans/images/docs lies in the data set mine"),
        (["--results", "docs/results"], "--docs docs holds --results docs/results"),
        (["--data", "docs/files", "--set", MEDMNIST], "--docs docs holds --data docs/files"),
        (["--site", "out", "--docs", "out/docs"], "--site out and --docs out/docs lie in one another"),
        (["--site", "docs/site"], "--site docs/site and --docs docs lie in one another"),
        (["--site", "."], "--site . is or holds the current folder"),
        (["--set", "name=assets"], "A study cannot be called assets"),
    ],
)
def test_folders_that_would_publish_or_cost_something_are_refused_by_name(
    world: Path, capsys, words: list[str], message: str
):
    Path("scans/images").mkdir(parents=True)
    if words[-1] != SPLIT and "data set" in message:
        words = [*words, "--set", "datasets={mine: {kind: folder, path: scans/images}}"]
    study = SimpleNamespace(study=Path("tiny.yaml"), set=words[words.index("--set") + 1 :] if "--set" in words else [])
    study.replicates, study.unverified_data = None, False
    asked = options.parser().parse_args(["report", "tiny.yaml", *words])
    with pytest.raises(NotOursError, match=message.replace(".", r"\.")):
        check_report(asked, request.read_study(study))
    assert sorted(p.name for p in Path().iterdir()) == ["scans", "tiny.yaml"]


@pytest.mark.parametrize(
    "words",
    [
        ["--data", "files", "--docs", "files/docs", "--set", MEDMNIST],  # only files of known names are read there
        ["--data", "docs/files"],  # of which the study uses none
    ],
)
def test_folders_that_cost_and_publish_nothing_are_taken(world: Path, words: list[str]):
    study = SimpleNamespace(study=Path("tiny.yaml"), set=words[words.index("--set") + 1 :] if "--set" in words else [])
    study.replicates, study.unverified_data = None, False
    check_report(options.parser().parse_args(["report", "tiny.yaml", *words]), request.read_study(study))


def test_two_files_with_one_name_of_a_study_do_not_replace_each_others_pages(world: Path, capsys):
    assert main(["tiny.yaml"]) == 0
    page = Path("docs/studies/tiny/index.md").read_bytes()
    Path("other").mkdir()
    written(Path("other"), STUDY | {"title": "Another study"})
    capsys.readouterr()
    assert main(["other/tiny.yaml"]) == 2
    assert "holds the pages of a study that has the same name, tiny, but comes from another file" in (
        capsys.readouterr().err
    )
    assert Path("docs/studies/tiny/index.md").read_bytes() == page
    shutil.copy("tiny.yaml", "copy.yaml")
    Path("docs/studies/tiny/index.md").unlink()  # so that the copy's pages are written
    assert main(["copy.yaml"]) == 0  # it says the same
    assert main(["docs/studies/tiny/data/study.yaml"]) == 0
    assert main(["other/tiny.yaml"]) == 2  # the first one is still the owner
    written(Path(), STUDY | {"title": "Changed"})
    assert main(["tiny.yaml"]) == 0  # and the first one stays the owner
    assert main(["other/tiny.yaml", "--set", "name=another"]) == 0
    assert b"Changed" in Path("docs/studies/tiny/index.md").read_bytes()


def test_pages_that_are_made_without_a_study_file_stay_those_of_the_file_that_they_were_made_from(tmp_path: Path):
    study = Study.model_validate_json(json.dumps(STUDY))
    folder = tmp_path / "docs" / "studies" / "tiny"
    folder.mkdir(parents=True)
    first = check_study(study, tmp_path / "tiny.yaml", tmp_path / "docs")
    ownership.write_note(folder, ownership.Note("", {}, first), scratch=tmp_path)
    changed = study.model_copy(update={"title": "Changed"})
    again = check_study(changed, None, tmp_path / "docs")
    assert again["file"] == first["file"]
    assert again["study"] != first["study"]


def test_a_project_that_was_moved_with_its_pages_keeps_them(world: Path, monkeypatch: pytest.MonkeyPatch):
    assert main(["tiny.yaml"]) == 0
    (world / "project").rename(world / "moved")
    monkeypatch.chdir(world / "moved")
    assert main(["tiny.yaml", "--set", "title=Changed"]) == 0


def test_a_site_of_other_docs_is_refused(world: Path, capsys):
    assert main(["tiny.yaml", "--site", "out"]) == 0
    assert main(["tiny.yaml", "--docs", "more", "--site", "out"]) == 2
    assert "out holds the site of another docs folder than more" in capsys.readouterr().err


def test_without_an_mkdocs_file_only_what_was_made_is_published_and_the_rest_is_named(world: Path, capsys):
    Path("docs/studies/mine").mkdir(parents=True)
    for name in ("patients.csv", "index.md", "studies/mine/plan.md"):
        Path("docs", name).write_text("mine")
    assert main(["tiny.yaml"]) == 0
    assert "not in the site: docs/index.md, docs/patients.csv, docs/studies/mine/plan.md." in capsys.readouterr().err
    assert sorted(p.name for p in Path("site").iterdir() if p.suffix == ".html") == ["index.html"]
    assert "The studies that were run here" in Path("site/index.html").read_text()
    Path("mkdocs.yml").write_text("site_name: Mine\n")
    assert main(["tiny.yaml"]) == 0
    assert Path("site/patients.csv").read_text() == "mine"


def test_an_own_cache_file_crash_report_and_half_made_folder_stay(world: Path):
    task = ids()[0]
    Path("results/failures").mkdir(parents=True)
    Path("results/failures/report.txt").write_text("mine")
    Path("results/unfinished", task).mkdir(parents=True)
    Path("results/unfinished", task, "notes.txt").write_text("mine")
    Path("results/unfinished", task, "history.json").write_text("half")
    assert main(["tiny.yaml"]) == 0
    asked = options.parser().parse_args(["report", "tiny.yaml"])
    said = apology(ReportError("no"), ["report"], asked)
    assert "results/failures/report.txt-1" in said
    assert Path("results/failures/report.txt").read_text() == "mine"
    kept = Path("results/unfinished", f"{task}.kept-1")
    assert [p.name for p in kept.iterdir()] == ["notes.txt"]


# --- real processes --------------------------------------------------------------------------------


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """A study with made-up results in a folder."""
    monkeypatch.chdir(folder)
    written(folder, STUDY | changes)
    made_up(request.planned(options.parser().parse_args(["plan", "tiny.yaml"]))[1], Store(Path("results")))


def test_reports_made_at_once_into_one_docs_folder_and_one_site_all_end_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As a job array does: parts of one study, and another study, at the same time, twice."""
    made(tmp_path, monkeypatch)
    written(tmp_path, STUDY | {"name": "second"})
    jobs = ["tiny.yaml", "tiny.yaml", "second.yaml", "tiny.yaml"]
    for verb in ("run", "report"):
        processes = [start(verb, job, cwd=tmp_path) for job in jobs]
        for process in processes:
            out, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
            assert "Traceback" not in said
            assert "site/studies/" in out
    for folder in (tmp_path / "docs/studies/tiny", tmp_path / "docs/studies/second", tmp_path / "site"):
        note = ownership.read_note(folder)
        assert note is not None
        assert note.files == ownership.checksums(folder)
    assert dead_links(tmp_path / "site") == []
    listed = (tmp_path / "site/studies/index.html").read_text("utf-8")
    assert all(f'href="{name}/index.html"' in listed for name in ("tiny", "second"))
    assert not [p for p in tmp_path.rglob(".*") if p.name != NOTE]


def test_git_status_shows_only_what_the_run_says_that_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A stranger's repository, with a site, notes, docs and an mkdocs.yml of its own."""
    git = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True, text=True)
    for name, content in {
        "site/index.html": "my site",
        "notes/today.txt": "notes",
        "docs/index.md": "# Mine",
        "docs/studies/index.md": "# My studies",
        "docs/studies/field/report.md": "# A field study",
        "mkdocs.yml": "site_name: Mine\n",
        "results-of-mine.csv": "1,2",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    written(tmp_path, tiny(arms={"baseline": {}}))
    git(["git", "init", "-q"])
    git(["git", "add", "-A"])
    git(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "Before"])
    run = cli("tiny.yaml", "--workers", 1, cwd=tmp_path)
    assert run.returncode == 2
    assert "site holds files that this program did not make" in run.stderr
    assert git(["git", "status", "--porcelain", "--ignored"]).stdout == ""
    run = cli("tiny.yaml", "--workers", 1, "--site", "public", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    (said,) = [line for line in run.stdout.splitlines() if line.startswith("Written: ")]
    places = said.removeprefix("Written: ").split(", ")
    status = git(["git", "status", "--porcelain", "--ignored", "--untracked-files=all"]).stdout.splitlines()
    changed = [line[3:] for line in status]
    assert changed
    assert [path for path in changed if not any(path == p or path.startswith(f"{p}/") for p in places)] == []
    assert [place for place in places if not any(path.startswith(place) for path in changed)] == []
    assert dead_links(tmp_path / "public/studies/tiny") == []


@pytest.mark.parametrize("named", [True, False])
def test_a_site_has_the_styles_that_its_settings_name_and_a_home_page_and_a_page_of_studies(
    tmp_path: Path, named: bool
):
    docs, config = tmp_path / "docs", MkDocsConfig()
    (docs / "studies-of-mine" / "more").mkdir(parents=True)
    (docs / "studies-of-mine" / "more" / "a.md").write_text("mine")
    css = ["stylesheets/site.css", "stylesheets/mine.css"] if named else ["stylesheets/mine.css"]
    config.load_dict({"site_name": "mine", "docs_dir": str(docs), "extra_css": css} | HOOKS)
    config.validate()
    made = {file.src_uri: file for file in config.plugins.on_files(get_files(config), config=config)}
    assert made.keys() == {"index.md", "studies-of-mine/more/a.md", "studies/index.md", *(css[:1] if named else [])}
    assert made["studies-of-mine/more/a.md"].inclusion is InclusionLevel.INCLUDED
    for name in made:
        (docs / name).parent.mkdir(exist_ok=True)
        (docs / name).write_text("mine")
    again = config.plugins.on_files(get_files(config), config=config)
    assert [file.content_string for file in again] == ["mine"] * len(made)


def test_a_page_of_ours_that_the_users_mkdocs_file_leaves_out_stays_out(tmp_path: Path):
    folder, config = tmp_path / "docs" / "studies" / "tiny", MkDocsConfig()
    folder.mkdir(parents=True)
    for name in ("index.md", "left-out.md"):
        (folder / name).write_text("ours")
    ownership.write_note(folder, ownership.Note("", ownership.checksums(folder)), scratch=tmp_path)
    config.load_dict({"site_name": "mine", "docs_dir": str(tmp_path / "docs"), "exclude_docs": "left-out.md"} | HOOKS)
    config.validate()
    files = config.plugins.on_files(get_files(config), config=config)
    found = {file.src_uri: file.inclusion for file in files}
    assert found["studies/tiny/index.md"] is InclusionLevel.NOT_IN_NAV
    assert found["studies/tiny/left-out.md"] is InclusionLevel.EXCLUDED
