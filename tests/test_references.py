"""What publications printed is data: shown where a study asks for it, and nowhere else."""

import ast
import html
import re
import textwrap
from pathlib import Path

import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study

from medaug_keras import reading, references
from medaug_keras.data.medmnist import MEDMNIST_NAMES
from medaug_keras.generators import GENERATORS
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages import citations
from medaug_keras.report.pages import references as pages
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.study import Pages
from medaug_keras.spec import Metric, Sampling
from medaug_keras.store import Store

PACKAGE = Path(references.__file__).parents[1]
WORDS = re.compile(r"\bthe paper|\bpaper['’]s|\bPaper\b|\bFigs?\. ?\d|\bTables? \d|\bWRS\b|Le Roux|le-roux")
"""Words of a publication, as a page might have them."""
YANG = """
    title: A made-up benchmark
    author: Jo Yang
    called: Yang et al.
    short: Yang
    citation: "@misc{yang}"
    cells:
      plain: {arm: baseline, sampling: shuffle}
      flipped: {arm: gda, sampling: shuffle}
    tables:
      - number: Table 7
        shows: without-added-images
        scores:
          breastmnist:
            plain: {accuracy: 81.0}
            flipped: {accuracy: 83.5}
    figures:
      - {number: Fig. 70, shows: classes, dataset: breastmnist}
"""


def text_of(pages_: Pages) -> dict[str, str]:
    """What a reader sees of every page and file but pictures; the study's own settings are not ours to word."""
    files = {name: content.decode() for name, content in pages_.each() if not name.endswith(".png")}
    del files["data/study.yaml"]
    return {name: html.unescape(text) for name, text in files.items()}


def results_of(root: Path, **study) -> Results:
    asked = fake_study(**{"arms": ARMS, "replicates": 2, "datasets": ("breastmnist",), **study})
    return Results(asked, *fake_results(asked, root))


def test_a_study_without_a_reference_shows_no_word_of_one(tmp_path):
    found = text_of(Pages(results_of(tmp_path)))
    assert len([name for name in found if name.endswith(".md")]) > 10
    said = {name: match.group() for name, text in found.items() if (match := WORDS.search(text))}
    assert said == {}


def test_a_study_with_one_shows_it_on_every_page_that_has_numbers(tmp_path):
    found = text_of(Pages(results_of(tmp_path, references=["le-roux"])))
    for page in ("data-sets", "models", "results", "best-models", "significance", "cite", "index-le-roux"):
        assert WORDS.search(found[f"{page}.md"]), page
    assert "With added images, shuffled (Table 3 of the paper)" in found["results.md"]
    assert "Fig. 37 of the paper" in found["best-models.md"]


def test_paper_means_the_reference_of_le_roux_and_both_together_mean_it_once(tmp_path):
    asked = [{"paper": True}, {"references": ["le-roux"]}, {"paper": True, "references": ["le-roux"]}]
    made = [text_of(Pages(results_of(tmp_path / str(n), **how))) for n, how in enumerate(asked)]
    assert made[0] == made[1] == made[2]


def test_references_move_no_key():
    plain, shown = fake_study(), fake_study(references=["le-roux"], paper=True)
    assert {t.key for t in fake_plan(plain).tasks.values()} == {t.key for t in fake_plan(shown).tasks.values()}


def test_a_name_that_is_no_reference_is_an_error_with_a_suggestion(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(Path("studies/demo.yaml").read_text("utf-8") + "\nreferences: [le-rou]\n", encoding="utf-8")
    with pytest.raises(reading.StudyError, match="there is no reference le-rou; did you mean le-roux"):
        reading.read(study)


@pytest.fixture
def yang(tmp_path, monkeypatch):
    """A second reference, of another shape: one table, two arms, one figure."""
    folder = tmp_path / "references"
    folder.mkdir()
    for name in references.names():
        (folder / f"{name}.yaml").write_bytes((references.FOLDER / f"{name}.yaml").read_bytes())
    (folder / "yang.yaml").write_text(textwrap.dedent(YANG), encoding="utf-8")
    monkeypatch.setattr(references, "FOLDER", folder)
    references.load.cache_clear()
    yield
    references.load.cache_clear()


def test_a_second_reference_needs_no_code(tmp_path, yang):
    found = text_of(Pages(results_of(tmp_path / "results", references=["yang"])))
    assert "Without added images (Table 7 of Yang et al.)" in found["results.md"]
    assert "Yang 83.50" in found["results.md"].replace("</small>", " ").replace('<small class="ma-printed">', " ")
    assert "Yang et al.'s +2.5 " in found["significance.md"]
    assert "Fig. 70 of Yang et al." in found["data-sets.md"]
    assert found["data/against-yang.csv"].count("\n") == 3
    assert not WORDS.search(re.sub(r"(Table 7|Fig\. 70)", "", "".join(found.values())))


def test_two_references_stand_beside_each_other(tmp_path, yang):
    found = text_of(Pages(results_of(tmp_path / "results", references=["le-roux", "yang"])))
    assert "(Table 2 of the paper, Table 7 of Yang et al.)" in found["results.md"]
    header, first = found["data/without-added-images.csv"].splitlines()[:2]
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (row["gda.shuffle.accuracy_paper_percent"], row["gda.shuffle.accuracy_yang_percent"]) == ("78.21", "83.5")
    assert {"against-le-roux.md", "against-yang.md", "index-yang.md"} <= found.keys()


def test_the_index_has_every_table_and_figure_and_its_places_are_there(tmp_path):
    results = results_of(tmp_path, references=["le-roux"], datasets=("breastmnist", "phantom-histology"))
    index = pages.index(Book(results), references.load("le-roux"))
    assert [place.name for place in index["the_tables"]] == [f"Table {n}" for n in range(1, 6)]
    assert [place.name for place in index["the_figures"]] == [f"Fig. {n}" for n in range(1, 45)]
    assert sum("not part of this study" in place.note for place in index["the_figures"]) == 7 * 4 + 2
    made = text_of(Pages(results))
    for place in (*index["the_tables"], *index["the_figures"]):
        page, _, anchor = place.href.partition("#")
        text = made[page.replace(".html", ".md")]
        assert not anchor or f'id="{anchor}"' in text or f"#{anchor} }}" in text, place


def test_a_study_that_ran_nothing_has_the_places_of_the_index_too(tmp_path):
    study = fake_study(arms=ARMS, references=["le-roux"], datasets=("breastmnist",))
    results = Results(study, fake_plan(study), Store(tmp_path))
    made = text_of(Pages(results))
    for place in pages.index(Book(results), references.load("le-roux"))["the_figures"]:
        page, _, anchor = place.href.partition("#")
        text = made[page.replace(".html", ".md")]
        assert not anchor or f'id="{anchor}"' in text or f"#{anchor} }}" in text, place


# --- the files themselves --------------------------------------------------------------------------


@pytest.mark.parametrize("name", references.names())
def test_a_reference_names_only_what_there_is(name):
    reference = references.load(name)
    metrics = set(Metric.__args__)
    for table in reference.tables:
        assert table.sizes or table.scores or table.best, table.number
        assert {*table.sizes, *table.scores, *table.best, *table.improved_over} <= set(MEDMNIST_NAMES)
        assert all(set(values) <= metrics for row in table.scores.values() for values in row.values())
    assert {cell.sampling for cell in reference.cells.values()} <= set(Sampling.__args__)
    numbers = [part.number for part in (*reference.tables, *reference.figures)]
    assert len(set(numbers)) == len(numbers)
    assert sum(references.load(other).short == reference.short for other in references.names()) == 1


def test_a_cell_that_no_arm_stands_for_is_an_error(tmp_path):
    broken = YANG.replace("flipped: {accuracy", "turned: {accuracy")
    (tmp_path / "broken.yaml").write_text(textwrap.dedent(broken), encoding="utf-8")
    with pytest.raises(ValueError, match="cells lacks turned"):
        references.load("broken", tmp_path)


def test_printed_layers_sum_to_the_printed_totals():
    figures = {figure.number: sum(figure.parameters) for figure in references.load("le-roux").figures}
    printed = {"Fig. 9": 235_225, "Fig. 20": 1_570_848, "Fig. 23": 1_570_560, "Fig. 25": 772_426, "Fig. 26": 1_076_547}
    assert {number: figures[number] for number in printed} == printed
    assert figures["Fig. 19"] - (109 * 2048 + 2048) == 1_568_160 + 19_491


def test_no_code_and_no_template_knows_a_word_of_a_publication():
    found = []
    for path in PACKAGE.rglob("*"):
        if path.suffix == ".py":
            tree = ast.parse(path.read_text("utf-8"))
            docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs]
            found += [(path.name, text) for text in strings if isinstance(text, str) and WORDS.search(text)]
        elif path.suffix in (".j2", ".css", ".js", ".md") and (match := WORDS.search(path.read_text("utf-8"))):
            found.append((path.name, match.group()))
    # `paper: true` is a setting that names its reference.
    assert [place for place in found if place != ("spec.py", "le-roux")] == []


def test_every_publication_that_a_kind_of_generator_names_has_its_entry():
    named = {key for kind in GENERATORS.values() for key in kind.citations}
    assert named <= set(citations.BIBTEX)
    assert all(f"{{{key}," in entry for key, entry in citations.BIBTEX.items())
