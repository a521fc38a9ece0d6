"""The files of a report: the same bytes twice, users' text as text, small pages word for word."""

import csv
import gc
import html.parser
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study, large_study

from medaug_keras import reading, report
from medaug_keras.ownership import NOTE
from medaug_keras.report.format import plain
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import PAGES, Pages
from medaug_keras.report.site import unchanged
from medaug_keras.report.site.single import single_file
from medaug_keras.spec import Corruptions, Study
from medaug_keras.store import Store

GOLDEN = Path(__file__).parent / "golden"
HERE = Path(__file__).parent.parent

HOSTILE = {
    "script": "<script>alert('label')</script>",
    "image": "<img src=x onerror=alert(1)>",
    "markdown": "**bold** _x_ [a](javascript:alert(1)) `code` # no heading ![i](http://example.org/x.png)",
    "table": "| a | b |\n| - | - |\n| 1 | 2 |",
    "template": "{{ 7 * 7 }} {% raw %} {# note #}",
    "attributes": "{: onclick=alert(1) #other } {#other}",
    "formula": '=HYPERLINK("http://example.org","x")',
    "wide-formula": "\N{FULLWIDTH EQUALS SIGN}1+1",
    "path": "../../etc/passwd",
    "direction": "abc \u202e fed \u2066 אבג \u200f",
    "latex": r"\input{secret} $x_1$ 50% & ~^",
    "entity": "&amp; &lt;b&gt; ]]> --> <!--",
    "quotes": '" \' onmouseover=alert(1) x="',
    "long": "x" * 490,
    "heading": "# heading\n\n## other",
    "astral": "\N{BRAIN} scans \N{MATHEMATICAL BOLD CAPITAL A}",
}


def small(**more) -> Study:
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    return fake_study(**{"datasets": ("phantom-histology",), "arms": arms, "replicates": 2, **more})


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_rendering_twice_gives_the_same_bytes_and_leaves_files_alone(tmp_path):
    study = fake_study(arms=ARMS, replicates=2, paper=True, datasets=("breastmnist",))
    plan, store = fake_results(study, tmp_path / "results", fails=lambda task: "cgan, replicate 1" in task.title)
    folder = report.render(study, plan, store, tmp_path / "docs")
    before = contents(folder)
    times = {name: (folder / name).stat().st_mtime_ns for name in before}
    assert report.render(study, plan, store, tmp_path / "docs") == folder
    assert contents(folder) == before
    assert {name: (folder / name).stat().st_mtime_ns for name in before} == times
    elsewhere = report.render(study, plan, store, tmp_path / "other")
    assert contents(elsewhere) == before


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_after_a_report_python_looks_for_garbage_as_before(tmp_path, monkeypatch, enabled, fails):
    study = small(replicates=1)
    plan, store = fake_results(study, tmp_path / "results")
    if fails:
        monkeypatch.setattr(Pages, "each", lambda self: iter([1 // 0]))

    def made() -> None:
        with pytest.raises(ZeroDivisionError, match="division") if fails else nullcontext():
            report.render(study, plan, store, tmp_path / "docs", anew=True)

    gc.unfreeze()  # the tests', see conftest.py
    try:
        (gc.enable if enabled else gc.disable)()
        made()
        assert gc.isenabled() == enabled
        assert gc.get_freeze_count() == 0
        gc.freeze()
        frozen = gc.get_freeze_count()
        made()
        assert gc.get_freeze_count() >= frozen > 0  # somebody else's stays
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A rendered study, and how often its pages are made from then on."""
    study = small(replicates=1)
    plan, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, plan, store, tmp_path / "docs")
    times = []
    whole = Pages.each
    monkeypatch.setattr(Pages, "each", lambda self: times.append(1) or whole(self))

    def again(**changed) -> int:
        how = {"study": study, "plan": plan, "store": store, "docs": tmp_path / "docs", **changed}
        before = len(times)
        report.render(how.pop("study"), how.pop("plan"), how.pop("store"), how.pop("docs"), **how)
        return len(times) - before

    return SimpleNamespace(study=study, plan=plan, store=store, folder=folder, again=again, monkeypatch=monkeypatch)


def test_pages_that_are_what_would_be_made_are_not_made_again(made):
    before = contents(made.folder)
    assert [made.again(), made.again()] == [0, 0]
    assert contents(made.folder) == before
    assert made.again(anew=True) == 1
    assert contents(made.folder) == before


def damage(made):
    (made.store.folder(made.plan.runs[0].task) / "predictions.npz").write_bytes(b"other")


def lose(made):
    shutil.rmtree(made.store.folder(made.plan.runs[0].task))


def remake(made):
    """The same task with another value in its record, checksum and all."""
    task = made.plan.tasks[made.plan.runs[0].task]
    record = made.store.record(task.id)
    values = {**record.values, "epochs": 1 + record.values["epochs"]}
    with made.store.claim(task.id) as out:
        for name in record.run["files"]:
            shutil.copy(record.folder / name, out / name)
        shutil.rmtree(record.folder)
        made.store.commit(task, out, values, {k: v for k, v in record.run.items() if k != "files"})


CHANGES = {
    "a result that was damaged": damage,
    "a result that is gone": lose,
    "a result that was made anew": remake,
    "a page that was edited": lambda made: (made.folder / "index.md").write_text("other"),
    "a page that is gone": lambda made: (made.folder / "runs.md").unlink(),
    "a note that is gone": lambda made: (made.folder / NOTE).unlink(),
    "another version of the program": lambda made: made.monkeypatch.setattr(unchanged, "of_program", lambda: "other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_the_pages_again_and_they_are_those_of_a_fresh_folder(change, made, tmp_path):
    CHANGES[change](made)
    assert made.again() == 1
    assert made.again() == 0
    fresh = report.render(made.study, made.plan, made.store, tmp_path / "fresh")
    assert contents(made.folder) == contents(fresh)


def test_another_study_of_the_same_name_makes_the_pages_again(made):
    other = made.study.model_copy(update={"title": "Another title"})
    assert made.again(study=other) == 1
    assert made.again(study=other) == 0
    assert made.again(study=other, beside=(made.study, made.plan)) == 1
    more = small(replicates=2)
    assert made.again(study=more, plan=fake_plan(more)) == 1


def test_a_change_in_any_file_of_the_program_is_another_program(tmp_path, monkeypatch):
    shutil.copytree(unchanged.PACKAGE, tmp_path / "package", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(unchanged, "PACKAGE", tmp_path / "package")
    before = unchanged.of_program.__wrapped__()
    assert unchanged.of_program.__wrapped__() == before
    template = tmp_path / "package" / "report" / "templates" / "index.md.j2"
    template.write_text(template.read_text("utf-8") + " ", encoding="utf-8")
    assert unchanged.of_program.__wrapped__() != before


def test_a_site_is_built_again_only_when_its_pages_or_its_own_files_changed(tmp_path, monkeypatch):
    docs, site = tmp_path / "docs", tmp_path / "site"
    docs.mkdir()
    (docs / "index.md").write_text("# Home")
    built = []

    def build(config):
        built.append(1)
        (Path(config.site_dir) / "index.html").write_text((docs / "index.md").read_text())

    monkeypatch.setattr("mkdocs.commands.build.build", build)

    def times(**how) -> int:
        before = len(built)
        report.build_site(docs, site, **how)
        return len(built) - before

    assert [times(), times()] == [1, 0]
    (docs / "index.md").write_text("# Other")
    assert [times(), times()] == [1, 0]
    (docs / ".hidden").write_text("MkDocs passes over it")
    assert times() == 0
    (site / "index.html").write_text("edited")
    assert [times(), times()] == [1, 0]
    (site / "index.html").unlink()
    assert [times(), times()] == [1, 0]
    shutil.rmtree(site)
    assert [times(), times()] == [1, 0]
    assert times(anew=True) == 1
    monkeypatch.setattr(unchanged, "of_program", lambda: "other")
    assert [times(), times()] == [1, 0]


def test_a_page_that_is_gone_leaves_no_file_and_nothing_is_left_beside(tmp_path):
    study = small()
    plan, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, plan, store, tmp_path / "docs")
    assert len(list((folder / "runs").iterdir())) == 8
    fewer = study.model_copy(update={"replicates": 1})
    report.render(fewer, fake_plan(fewer), store, tmp_path / "docs")
    assert len(list((folder / "runs").iterdir())) == 4
    assert sorted(p.name for p in (tmp_path / "docs" / "studies").iterdir()) == ["assets", "fake", "index.md"]


def test_every_page_exists_before_the_first_run_and_says_why_it_is_empty(tmp_path):
    study = fake_study(arms=ARMS, paper=True, operating_points=["youden"])
    worse = {"worse": Corruptions(kind="corruptions")}
    parts = {name: part.model_copy(update={"tests": worse}) for name, part in study.datasets.items()}
    study = study.model_copy(update={"datasets": parts})
    folder = report.render(study, fake_plan(study), Store(tmp_path / "results"), tmp_path / "docs")
    for page in PAGES:
        assert (folder / f"{page}.md").exists(), page
    assert "No run is done yet" in (folder / "index.md").read_text("utf-8")
    assert not (folder / "runs").exists()  # a run has a page once there is something to show


def test_what_must_be_known_of_the_data_stands_on_every_page(tmp_path):
    study = fake_study(datasets=("breastmnist", "phantom-histology"), replicates=1, paper=True)
    plan, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, plan, store, tmp_path / "docs")
    for path in folder.rglob("*.md"):
        text = path.read_text("utf-8")
        shown = [dataset for dataset in study.datasets if path.parent == folder or path.name.startswith(dataset)]
        assert ("unverified copy" in text) == ("breastmnist" in shown), path
        assert ("simulated images" in text) == ("phantom-histology" in shown), path
        assert "not for clinical use" in text, path


@pytest.mark.parametrize("dataset", ["breastmnist", "phantom-ultrasound"])
def test_medmnists_sentence_stands_where_its_images_are_and_elsewhere_one_of_the_results(dataset, tmp_path):
    study = fake_study(datasets=(dataset,), arms={"baseline": {}}, replicates=1, samplings=["shuffle"])
    plan, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, plan, store, tmp_path / "docs")
    single_file(tmp_path / "docs", study.name, tmp_path / "all.html")
    for path in [*folder.rglob("*.md"), tmp_path / "all.html"]:
        text = path.read_text("utf-8")
        assert ("MedMNIST's images are not for clinical use" in text) == (dataset == "breastmnist"), path
        assert text.count("not for clinical use") == 1, path


def test_the_csv_of_runs_is_the_table_of_runs(tmp_path):
    study = small()
    plan, store = fake_results(
        study, tmp_path / "results", fails=lambda task: "gda, weighted, replicate 1" in task.title
    )
    folder = report.render(study, plan, store, tmp_path / "docs")
    rows = list(csv.DictReader((folder / "data" / "runs.csv").open(encoding="utf-8")))
    assert len(rows) == len(plan.runs)
    assert {row["key"] for row in rows} == {plan.tasks[run.task].key for run in plan.runs}
    assert json.loads((folder / "data" / "runs.json").read_bytes())[0]["key"] == rows[0]["key"]
    text = (folder / "runs.md").read_text("utf-8")
    for row in rows:
        if row["test_accuracy"]:
            assert f'data-value="{float(row["test_accuracy"])!r}"' in text


def test_the_study_beside_the_pages_is_the_study(tmp_path):
    study = fake_study(arms=ARMS, paper=True)
    folder = report.render(study, fake_plan(study), Store(tmp_path / "results"), tmp_path / "docs")
    assert reading.read(folder / "data" / "study.yaml") == study


def test_what_a_page_says_made_a_table_is_a_function_of_the_report(tmp_path):
    study = fake_study(arms=ARMS, replicates=2, paper=True, datasets=("breastmnist",))
    plan, store = fake_results(study, tmp_path / "results")
    files = [json.loads(text) for name, text in Pages(Results(study, plan, store)).each() if name.endswith(".json")]
    makers = {file["made_by"] for file in files if "made_by" in file}
    assert len(makers) > 15
    for maker in makers:
        module, _, name = maker.rpartition(".")
        assert callable(getattr(importlib.import_module(f"medaug_keras.report.{module}"), name))


def test_a_failed_run_shows_the_end_of_its_error(tmp_path):
    study = small()
    plan, store = fake_results(
        study, tmp_path / "results", fails=lambda task: "baseline, shuffle, replicate 0" in task.title
    )
    folder = report.render(study, plan, store, tmp_path / "docs")
    for page in ("index.md", "runs/phantom-histology.baseline.shuffle.0.md"):
        assert "ValueError: a made-up failure" in (folder / page).read_text("utf-8")


@pytest.mark.parametrize("datasets", [("breastmnist",), ("breastmnist", "phantom-histology")])
def test_means_over_data_sets_have_a_section_where_there_are_several(datasets, tmp_path):
    study = small(datasets=datasets)
    files = Pages(Results(study, *fake_results(study, tmp_path / "results"))).all()
    page = files["significance.md"].decode()
    assert ("## Across data sets" in page) == (len(datasets) > 1) == ("data/across.csv" in files)
    links = re.findall(r'href="#([^"]+)"', page.split('class="ma-jump">')[1].split("</p>")[0])
    assert len(links) > 4
    assert [name for name in links if f"{{: #{name} }}" not in page] == []


def test_pages_of_generated_images_are_there_where_an_arm_has_images_that_are_not_its_real_ones(tmp_path):
    for arms, there in ((("baseline", "gda"), False), (("baseline", "duplicate"), True), (("baseline", "cvae"), True)):
        study = small(arms={name: ARMS[name] for name in arms})
        files = Pages(Results(study, *fake_results(study, tmp_path / "-".join(arms)))).all()
        assert {"generators.md" in files, "synthetic-images.md" in files} == {there}


@pytest.mark.parametrize("page", ["best-models", "cite", "index"])
def test_a_small_page_reads_as_it_was_read_before(page, tmp_path):
    study = small()
    plan, store = fake_results(study, tmp_path / "results", leave_out=lambda task: task.kind != "data")
    folder = report.render(study, plan, store, tmp_path / "docs")
    _same_as_golden(f"{page}.md", (folder / f"{page}.md").read_text("utf-8"))


def test_the_page_of_studies_reads_as_it_was_read_before(tmp_path):
    for name in ("first", "second"):
        study = small(name=name)
        report.render(study, fake_plan(study), Store(tmp_path / "results"), tmp_path / "docs")
    _same_as_golden("studies.md", (tmp_path / "docs" / "studies" / "index.md").read_text("utf-8"))


def _same_as_golden(name: str, text: str) -> None:
    """Compare with tests/golden/NAME; UPDATE_GOLDEN=1 writes it, to be read before it is accepted."""
    text = re.sub(r"<svg.*?</svg>", "<svg/>", text)  # figures have tests of their own
    text = re.sub(r'aria-label="[^"]*"', 'aria-label=""', text)
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text("utf-8")


class _Page(html.parser.HTMLParser):
    """Text, tags and attributes of a page's article."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.inside = "", [], False

    def handle_starttag(self, tag, attrs):
        self.inside = self.inside or tag == "article"
        if self.inside:
            self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag == "article":
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.text += data


def hostile_study() -> Study:
    arms = {"baseline": {}} | {name: {"label": text} for name, text in HOSTILE.items()}
    study = fake_study(
        arms=arms,
        replicates=1,
        samplings=["shuffle"],
        title=HOSTILE["script"],
        question=HOSTILE["markdown"],
        datasets=("breastmnist",),
    )
    content = json.loads(study.model_dump_json())
    content["datasets"] = {
        "own": {
            "kind": "npz",
            "path": "x.npz",
            "title": HOSTILE["image"],
            "classes": [HOSTILE["template"], HOSTILE["direction"]],
            "licence": HOSTILE["quotes"],
            "citation": HOSTILE["script"],
        }
    }
    return Study.model_validate_json(json.dumps(content))


def test_text_of_users_is_text_on_every_page_and_in_every_file(tmp_path):
    study = hostile_study()
    docs = tmp_path / "docs"
    shutil.copytree(HERE / "docs", docs, ignore=shutil.ignore_patterns("studies"))
    plan, store = fake_results(study, tmp_path / "results", leave_out=lambda task: "heading" in task.title)
    folder = report.render(study, plan, store, docs)
    report.build_site(docs, tmp_path / "site")
    assert {p.suffix for p in folder.rglob("*") if p.is_file()} == {
        ".md",
        ".svg",
        ".png",
        ".csv",
        ".json",
        ".tex",
        ".yaml",
        ".bib",
    }
    for path in sorted((tmp_path / "site" / "studies").rglob("*.html")):
        page = _Page()
        page.feed(path.read_text("utf-8"))
        scripts = [attrs for tag, attrs in page.tags if tag == "script"]
        run = [attrs for attrs in scripts if attrs.get("type") != "application/json"]  # numbers are not run
        assert all(attrs["src"].endswith("assets/report.js") for attrs in run), path
        assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)], path
        sources = {attrs["src"] for tag, attrs in page.tags if tag == "img"}
        assert all(source.startswith("figures/") for source in sources), path
        links = {attrs.get("href") or "" for tag, attrs in page.tags if tag == "a"}
        assert not [link for link in links if link.startswith(("javascript:", "http://example"))], path
    runs = _Page()
    runs.feed((tmp_path / "site" / "studies" / "fake" / "runs.html").read_text("utf-8"))
    for name, text in HOSTILE.items():
        assert plain(text) in runs.text, name
    table = (folder / "data" / "all-arms.tex").read_text("utf-8")
    assert r"\input" not in table
    for path in (folder / "data").glob("*.csv"):
        for row in csv.reader(path.open(encoding="utf-8")):
            assert not [cell for cell in row if cell.startswith(("=", "@", "\N{FULLWIDTH EQUALS SIGN}"))], path


def test_figures_leave_out_data_sets_without_a_run_and_a_line_names_them(tmp_path):
    study = small(datasets=("breastmnist", "octmnist"), paper=True)
    plan, store = fake_results(study, tmp_path / "results", leave_out=lambda task: task.title.startswith("octmnist: "))
    folder = report.render(study, plan, store, tmp_path / "docs")
    for page, figure in (("index", "differences"), ("against-le-roux", "le-roux-and-ours")):
        assert "No run is done yet on <bdi>OctMNIST</bdi>." in (folder / f"{page}.md").read_text("utf-8")
        drawn = (folder / "figures" / f"{figure}.svg").read_text("utf-8")
        assert "BreastMNIST" in drawn
        assert "OctMNIST" not in drawn


def test_with_many_data_sets_pages_show_one_at_a_time(tmp_path):
    study = large_study(5, 3, 1)
    names = list(study.datasets)
    plan, store = fake_results(study, tmp_path / "results")
    files = Pages(Results(study, plan, store)).all()
    for kind in ("data-sets", "generators", "best-models", "significance", "synthetic-images"):
        for name in names:
            text = files[f"{kind}/{name}.md"].decode()
            assert "<figure" in text, (kind, name)
            drawn = re.findall(r'<figure class="ma-fig" id="([^"]+)"', text)
            assert not [d for d in drawn for other in names if other != name and d.endswith(other)], (kind, name)
        whole = files[f"{kind}.md"].decode()
        assert all(f'href="{kind}/{name}.html"' in whole for name in names), kind
        assert not re.search(r'<figure class="ma-fig" id="[^"]*set-\d', whole), kind


@pytest.mark.parametrize(("dataset", "each", "unfold"), [("breastmnist", 8, False), ("organsmnist", 4, True)])
def test_with_many_classes_sheets_show_fewer_images_of_each_and_maps_unfold(tmp_path, dataset, each, unfold):
    arms = {name: ARMS[name] for name in ("baseline", "cvae", "cgan")}
    study = fake_study(datasets=(dataset,), arms=arms, replicates=1)
    files = Pages(Results(study, *fake_results(study, tmp_path / "results"))).all()
    shown = re.findall(r'alt="[^"]*a block for each class: malignant \((\d+)\)', files["generators.md"].decode())
    assert shown == [str(each)] * 3, "real images, and those of two generators"
    _, maps = files["synthetic-images.md"].decode().split("{: #similarity }")
    maps = maps.split("{: #shortcut }")[0]
    assert maps.count('id="map-') == 2
    assert ("<summary>Maps of" in maps) is unfold


HOLD = """
import sys, time
from pathlib import Path
from medaug_keras.ownership import locked, staging
with locked(Path(sys.argv[1]).parent, print), staging(Path(sys.argv[1])) as fresh:
    (fresh / "index.md").write_text("half of it")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_render_left_goes_with_the_next_and_what_is_only_called_so_stays(tmp_path):
    study = small()
    plan, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, plan, store, tmp_path / "docs")
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    (mine := folder / ".fresh-of-mine").mkdir()
    (mine / "notes.txt").write_text("mine")
    assert len(list(folder.glob(".fresh-*/*.md"))) == 1
    report.render(study, plan, store, tmp_path / "docs", anew=True)
    assert sorted(p.name for p in folder.parent.rglob(".*")) == [mine.name, NOTE, NOTE]
    assert (mine / "notes.txt").read_text() == "mine"


def test_invisible_marks_that_turn_text_are_gone():
    assert plain(HOSTILE["direction"]) == "abc   fed   אבג"


def test_mkdocs_builds_the_pages_in_strict_mode_without_a_warning(tmp_path, caplog):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    docs = tmp_path / "docs"
    shutil.copytree(HERE / "docs", docs, ignore=shutil.ignore_patterns("studies"))
    study = small()
    plan, store = fake_results(study, tmp_path / "results")
    for studies in (False, True):
        if studies:
            report.render(study, plan, store, docs)
        config = load_config(str(HERE / "mkdocs.yml"), docs_dir=str(docs), site_dir=str(tmp_path / "site"), strict=True)
        build(config)
        assert (tmp_path / "site" / "studies" / "index.html").exists()
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_building_the_site_twice_gives_the_same_bytes(tmp_path):
    docs = tmp_path / "docs"
    shutil.copytree(HERE / "docs", docs, ignore=shutil.ignore_patterns("studies"))
    study = small(replicates=1)
    plan, store = fake_results(study, tmp_path / "results")
    report.render(study, plan, store, docs)
    for name in ("one", "two"):
        report.build_site(docs, tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.slow
def test_eight_data_sets_ten_arms_and_five_replicates_stay_within_the_limits(tmp_path):
    import time

    names = ("pathmnist", "dermamnist", "octmnist", "pneumoniamnist", "breastmnist")
    study = fake_study(datasets=(*names, "organamnist", "organcmnist", "organsmnist"), replicates=5, paper=True)
    plan, store = fake_results(study, tmp_path / "results", small=False)
    docs = tmp_path / "docs"
    shutil.copytree(HERE / "docs", docs, ignore=shutil.ignore_patterns("studies"))
    started = time.monotonic()
    report.render(study, plan, store, docs)
    rendered = time.monotonic()
    report.build_site(docs, tmp_path / "site")
    built = time.monotonic()
    size = sum(path.stat().st_size for path in (tmp_path / "site").rglob("*") if path.is_file())
    print(f"render {rendered - started:.1f} s, build {built - rendered:.1f} s, site {size / 1e6:.1f} MB")
    assert len(Results(study, plan, store).runs) == 400
    assert built - started < 60
    assert size < 60e6
