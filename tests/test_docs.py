"""The documentation is checked like code: what it shows runs, what it lists is all there is, links lead somewhere."""

import argparse
import contextlib
import io
import json
import re
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from markdown.extensions.toc import slugify

from medaug_keras import cli
from medaug_keras.cli import options, request
from medaug_keras.plan import Plan
from medaug_keras.reading import read
from medaug_keras.spec import Study
from medaug_keras.store import Store

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "medaug_keras"
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if "studies" not in p.relative_to(ROOT / "docs").parts)
TEXTS = [*(ROOT / n for n in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")), *PAGES]
STUDIES = [ROOT / "study.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]

each_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language, "" for those that name none."""
    return blocks_of(path.read_text(encoding="utf-8"), language)


def blocks_of(page: str, language: str) -> list[str]:
    """Those of a page's text."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    return [content for name, content in found if name == language]


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its rank or higher."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,6}} |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, f"there is no heading {heading!r}"
    return found[2]


def in_code(page: str) -> set[str]:
    """Every word or path that a page writes as `code`."""
    return set(re.findall(r"`([^`\n]+)`", page))


# --- links and names -------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in headings}


@each_text
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if target == ROOT / "docs" / "studies" / "index.md":  # made by the first study, or by MkDocs
            continue
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


@each_text
def test_no_page_names_a_machine_or_the_workshop(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:work|tmp|root|home|mnt|Users)\b", content)
    assert not re.search(r"#\d+\b|\bTODO\b|\bFIXME\b", prose(path))


@each_text
def test_no_page_has_marks_of_a_merge_that_was_left_unfinished(path: Path) -> None:
    assert not re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_shipped_study_is_named_in_the_readme_or_a_page() -> None:
    said = "\n".join(path.read_text(encoding="utf-8") for path in TEXTS)
    for study in STUDIES:
        assert str(study.relative_to(ROOT)) in said


def test_every_study_file_that_a_page_names_exists() -> None:
    for path in TEXTS:
        for name in re.findall(r"studies/[\w-]+\.yaml", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{path.name}: {name}"


def test_every_file_of_tests_that_a_page_names_exists() -> None:
    for path in TEXTS:
        for name in re.findall(r"tests/\w+\.py", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{path.name}: {name}"


def test_the_readme_has_the_two_commands_word_for_word() -> None:
    commands = "".join(blocks(ROOT / "README.md", "")).splitlines()
    assert "pip install -c constraints.txt -e . && python -m medaug_keras studies/demo.yaml" in commands
    assert 'pip install -c constraints.txt -e ".[dev]" && pytest -n 2 --dist loadfile' in commands


def test_the_readme_leads_to_the_pages_for_dicom_files_tables_and_own_networks() -> None:
    said = section(text("README.md"), "Your own images")
    for page in ("dicom", "skin-table", "own-network"):
        assert f"(docs/how-to/{page}.md)" in said


def test_an_extra_is_installed_by_the_same_words_wherever_it_is_named() -> None:
    """In a clone with the versions that were tested; everywhere else by its name, in quotes for every shell."""
    seen = set()
    for path in [*TEXTS, *(ROOT / "medaug_keras").rglob("*.py"), *STUDIES]:
        for line in path.read_text(encoding="utf-8").splitlines():
            for said, extra in re.findall(r"pip install (.*?)\[([a-z,]+)\]", line):
                assert said in ('-c constraints.txt -e ".', '"medaug-keras'), f"{path.name}: {line}"
                seen.add((said[0], extra))
    assert seen == {(how, extra) for how in '-"' for extra in ("cluster", "dicom")} | {("-", "dev")}


def test_the_readme_says_what_it_is_not_for() -> None:
    assert "not for clinical use" in " ".join(text("README.md").split())


def test_every_module_has_its_line_in_the_design() -> None:
    listed = in_code(section(text("docs/explanation/design.md"), "Every module"))
    modules = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")} - {"__init__.py"}
    assert modules - listed == set(), "add a line to docs/explanation/design.md"
    assert {name for name in listed if name.endswith(".py")} - modules == set(), "these do not exist"


def test_places_that_the_design_names_are_there() -> None:
    rows = re.findall(r"^\| .*? \| (.*?) \|$", section(text("docs/explanation/design.md"), "Where is …"), re.MULTILINE)
    for row in rows:
        file = ""
        for name in re.findall(r"`([\w/.]+)`", row):
            if name.endswith((".py", ".yaml", "/")):
                file = name
                assert (PACKAGE / file).exists() or (ROOT / file).exists(), file
            elif file:
                source = (PACKAGE / file).read_text(encoding="utf-8")
                assert re.search(rf"(?:def|class) {name}\b", source), f"{file} has no {name}"


# --- the command line ------------------------------------------------------------------------------

COMMANDS = "docs/reference/command-line.md"
SHARED = "Options of every verb with a study"


def verbs() -> dict[str, argparse.ArgumentParser]:
    (found,) = [a for a in options.parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found.choices)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Options as a page writes them: --only NAME=VALUE; positional words by their metavar."""
    found = set()
    for action in parser._actions:
        value = action.metavar or (action.dest.upper() if action.nargs is None else None)
        if not action.option_strings:
            found.add(str(action.metavar))
        elif isinstance(action, argparse._HelpAction):
            found.update(action.option_strings)
        else:
            found.add(f"{action.option_strings[-1]} {value}" if action.nargs != 0 else action.option_strings[-1])
    return found


def options_said(heading: str) -> set[str]:
    lines = re.findall(r"^\| (`.*?`) \|", section(text(COMMANDS), heading), re.MULTILINE)
    return {option for line in lines for option in in_code(line)}


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_option_of_a_verb_has_its_line_and_no_other_has(verb: str) -> None:
    parser = verbs()[verb]
    shared = {"-h", "--help"} if verb in ("init", "schema") else options_said(SHARED)
    assert options_said(verb) | shared == options_of(parser)


def test_every_verb_has_its_line() -> None:
    assert set(verbs()) == set(cli.VERBS)
    assert {f"`{verb}`" for verb in cli.VERBS} == set(re.findall(r"^\| \[(`\w+`)\]", text(COMMANDS), re.MULTILINE))


def test_every_exit_code_has_its_line() -> None:
    codes = {cli.DONE, cli.SOME_FAILED, cli.WRONG_REQUEST, cli.INTERRUPTED}
    assert {int(n) for n in re.findall(r"^\| (\d+) \|", section(text(COMMANDS), "Exit codes"), re.MULTILINE)} == codes


def test_every_filter_of_only_is_named() -> None:
    (line,) = [line for line in section(text(COMMANDS), "run").splitlines() if "`--only" in line]
    assert {f"{name}=" for name in options.FILTERS} <= in_code(line)


def test_every_command_that_a_page_shows_is_understood() -> None:
    parser, shown = options.parser(), 0
    for path in TEXTS:
        for line in "\n".join(blocks(path, "")).replace("\\\n", " ").splitlines():
            command = line.rpartition("&& ")[2]
            words = shlex.split(command, comments=True)
            if words[:3] == ["python", "-m", "medaug_keras"] and "[VERB]" not in words:
                words = words[: words.index(">")] if ">" in words else words
                parser.parse_args(options.with_verb(words[3:], cli.VERBS))
                shown += 1
    assert shown > 15


# --- studies ---------------------------------------------------------------------------------------


def examples() -> list[tuple[str, str]]:
    return [
        (f"{path.stem} {number}", content)
        for path in TEXTS
        for number, content in enumerate(blocks(path, "yaml"))
        if not content.startswith("# yaml-language-server")
    ]


@pytest.fixture
def beside_the_studies(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    shutil.copy(ROOT / "study.yaml", tmp_path)
    for page, file in (("own-network", "my_models.py"), ("own-step", "my_steps.py")):
        (code,) = blocks(ROOT / "docs" / "how-to" / f"{page}.md", "python")
        (tmp_path / file).write_text(code, "utf-8")
    with zipfile.ZipFile(tmp_path / "pneumonia.keras", "w") as archive:  # a study that begins with it reads its sum
        archive.writestr("model.weights.h5", b"")
    for name in ("breastmnist", "dermamnist", "octmnist", "organamnist", "organcmnist", "organsmnist", "pathmnist"):
        shutil.copy(tmp_path / "pneumonia.keras", tmp_path / f"made-{name}.npz")  # and one of images made elsewhere
    shutil.copy(tmp_path / "pneumonia.keras", tmp_path / "made-pneumoniamnist.npz")
    (tmp_path / "theirs").mkdir()  # predictions of others, each image's of two classes
    lines = "".join(f"{image},0.5,0.5\n" for image in range(156))
    (tmp_path / "theirs/breastmnist_test_[AUC]0.500_[ACC]0.269@1.csv").write_text(lines)
    (tmp_path / "theirs/breastmnist-1.csv").write_text(lines)
    return tmp_path


@pytest.mark.parametrize(("name", "content"), examples(), ids=[name for name, _ in examples()])
def test_every_piece_of_a_study_on_a_page_is_one(name: str, content: str, beside_the_studies: Path) -> None:
    whole = content.startswith("extends:") or "name:" in content.splitlines()[0]
    path = beside_the_studies / "page.yaml"
    path.write_text(content if whole else f"extends: study.yaml\n{content}", encoding="utf-8")
    read(path)


def planned(*words: str) -> tuple[Study, Plan]:
    study, whole, _ = request.planned(options.parser().parse_args(["plan", *words]))
    return study, whole


def test_the_tutorials_plan_is_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    demo = str(ROOT / "studies" / "demo.yaml")
    checked, plan, *_ = blocks(ROOT / "docs" / "tutorial.md", "text")
    assert cli.main(["plan", demo]) == cli.DONE
    assert plan.strip() in capsys.readouterr().out
    assert cli.main(["check", demo]) == cli.DONE
    assert checked.partition(":")[2] in capsys.readouterr().out


def test_the_quick_budget_of_flow_is_the_demos(tmp_path: Path) -> None:
    (content,) = blocks_of(section(text("docs/reference/study.md"), "generators: flow"), "yaml")
    path = tmp_path / "page.yaml"
    head = f"extends: {ROOT / 'studies' / 'demo.yaml'}\narms: {{flow: {{add: {{generator: quick}}}}}}\n"
    path.write_text(head + content, encoding="utf-8")
    generators = read(path).generators
    assert generators["quick"] == generators["flow"]
    assert generators["short"] != generators["flow"]


def test_the_tutorials_own_study_shares_what_it_says_with_the_demo(beside_the_studies: Path) -> None:
    content, _ = blocks(ROOT / "docs" / "tutorial.md", "yaml")
    path = beside_the_studies / "my-study.yaml"
    path.write_text(content, encoding="utf-8")
    _, demo = planned(str(beside_the_studies / "studies" / "demo.yaml"))
    _, mine = planned(str(path))
    new = len(mine.tasks.keys() - demo.tasks.keys())
    said = " ".join(text("docs/tutorial.md").split())
    assert f"{len(mine.tasks)} tasks, of which {len(mine.tasks) - new} are done" in said
    assert f"Only those {new} tasks run" in said


def test_the_tutorials_single_runs_have_the_error_and_the_study_the_power_that_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = section(text("docs/tutorial.md"), "6. What single runs can show")
    (code,), (said, power), (study,) = (blocks_of(page, language) for language in ("python", "text", "yaml"))
    exec(compile(code, "tutorial.md", "exec"), {})
    assert capsys.readouterr().out == said
    Path("x-rays.yaml").write_text(study, encoding="utf-8")
    assert cli.main(["plan", "x-rays.yaml", "--power", "--data", "none"]) == cli.DONE
    assert power in capsys.readouterr().out
    detectable = re.search(r"624 +([\d.]+) to", power)
    assert detectable is not None
    assert float(detectable[1]) > 85.3 - 83.7  # the printed gain of 300 %


# --- code and records ------------------------------------------------------------------------------

DEMO = (
    "classifier.epochs=1",
    "generators.cvae.epochs=1",
    "datasets.phantom-planted.train=40",
    "datasets.phantom-planted.validation=16",
    "datasets.phantom-planted.test=24",
    "quality.draws=2",
)


@pytest.fixture(scope="module")
def run_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a very small demo was run: one replicate, two arms, with its pages."""
    from medaug_keras import engine, report
    from medaug_keras.generators import flow

    folder = tmp_path_factory.mktemp("demo")
    words = [word for override in DEMO for word in ("--set", override)]
    study, whole = planned(str(ROOT / "studies" / "demo.yaml"), "--replicates", "1", *words)
    chosen = whole.only({"arm": ["baseline", "cvae"], "sampling": ["shuffle"]})
    store = Store(folder / "results")
    for task in chosen.tasks.values():
        what, why = engine.attempt(task, store, lambda what, content: None)
        assert what == "done", why
    report.render(study, whole, store, folder / "docs")
    shape = {"image_shape": (28, 28, 1), "num_classes": 2, "patch": 4, "widths": (8,), "blocks": 1, "dropout": 0.0}
    flow.build(**shape).save(folder / "sampler.keras")
    return folder


@pytest.mark.parametrize(
    "page", [path for path in PAGES if blocks(path, "python")], ids=lambda path: str(path.relative_to(ROOT / "docs"))
)
def test_the_code_on_a_page_runs_as_it_stands(page: Path, run_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run_demo)
    names: dict[str, Any] = {}
    for number, code in enumerate(blocks(page, "python")):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    if page.stem == "results":
        record = names["record"]["values"]["scores"][str(names["epoch"])]["test"]
        assert names["accuracy"] == pytest.approx(record["accuracy"])
        assert names["images"].shape == (256, 28, 28, 1)
        assert names["images"].std() > 0
        assert names["result"].replicates == 1
        probabilities = names["classify"](names["few"])
        assert probabilities.shape == (5, 2)
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    if page.stem == "own-data":
        lay_out(Path())
        checked = [content for content in blocks(page, "yaml") if "kind: " in content and "medmnist" not in content]
        for content in checked:
            head = "" if content.startswith("name") else "name: page\ntitle: P\nquestion: Q?\narms: {baseline: {}}\n"
            Path("page.yaml").write_text(head + content, encoding="utf-8")
            assert cli.main(["check", "page.yaml"]) == cli.DONE, content
        assert len(checked) == 10


def lay_out(folder: Path) -> None:
    """What the page on own data says of folders and stacks, with images that its code made."""
    import numpy as np
    from PIL import Image

    files = sorted((folder / "images").glob("*.png"))
    images = [Image.open(file) for file in files]
    for i, image in enumerate(images):
        name = ("benign", "malignant")[i % 2]
        split = ("train", "train", "val", "test")[i // 2 % 4]
        for place in (f"our-slides/{split}/{name}", f"our-patients/{name}/p{i // 4}", f"our-slices/{name}"):
            (folder / place).mkdir(parents=True, exist_ok=True)
            made = (
                image
                if "slices" not in place
                else Image.fromarray(np.asarray(image.resize((40, 40))).astype(np.uint16))
            )
            made.save(folder / place / f"{i}.png")
    findings = [f"{file.stem},{i % 2},{int(i % 3 == 0)},{int(i % 5 == 0)},{i // 2}" for i, file in enumerate(files)]
    (folder / "our-chests.csv").write_text("\n".join(["image_id,effusion,edema,nodule,patient", *findings]))
    rows = ["scan,slice,diagnosis"]
    for i in range(0, len(images), 4):
        squares = [image.resize((40, 40)) for image in images[i : i + 4]]
        squares[0].save(folder / f"{i}.tif", save_all=True, append_images=squares[1:])
        rows += [f"{i}.tif,{page},{('benign', 'malignant')[page % 2]}" for page in (1, 2, 3, 4)]
    (folder / "our-stacks.csv").write_text("\n".join(rows))


def test_a_classifier_loaded_as_the_page_says_gives_the_recorded_probabilities(
    run_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from medaug_keras import data

    monkeypatch.chdir(run_demo)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for code in blocks(ROOT / "docs" / "how-to" / "results.md", "python")[:3]:
            exec(code, names)
    phantom = data.load_phantom("phantom-planted", train=40, validation=16, test=24, seed=0)
    with np.load(names["run"] / "predictions.npz") as kept:
        assert names["classify"](phantom.test.images) == pytest.approx(kept[f"test_{names['epoch']}"], abs=1e-4)


@pytest.mark.parametrize("kind", ["data", "generator", "synthesis", "classifier", "quality", "usefulness"])
def test_every_value_and_file_of_a_record_has_its_line(kind: str, run_demo: Path) -> None:
    page = text("docs/reference/results.md")
    said = in_code(section(page, kind))
    folder = next((run_demo / "results").glob(f"{kind}-*"))
    record = json.loads((folder / "record.json").read_bytes())
    assert set(record["values"]) - said == set()
    files = {re.sub(r"-\d+\.keras$", "-EPOCH.keras", name) for name in record["run"]["files"]}
    assert files - said == set()
    assert (set(record) | set(record["run"])) - in_code(section(page, "record.json")) == set()


def test_every_column_of_the_runs_has_its_line(run_demo: Path) -> None:
    lines = (run_demo / "docs" / "studies" / "demo" / "data" / "runs.csv").read_text().splitlines()
    rows = re.findall(r"^\| (`.*?`) \|", section(text("docs/reference/results.md"), "runs.csv"), re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == lines[0].split(",")
