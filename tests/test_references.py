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
    for name in ("le-roux", "yang"):
        held = re.search(r"<p>(\d+) of (\d+) printed values that can be compared lie", found[f"against-{name}.md"])
        first = re.search(rf"(\d+) of (\d+) values? that [^:]*: <a href=.against-{name}.html", found["index.md"])
        assert first.groups() == held.groups()


def test_a_first_page_has_no_line_on_printed_values_before_one_can_be_compared(tmp_path):
    found = text_of(Pages(results_of(tmp_path, references=["le-roux"], replicates=1)))
    assert "No printed value can be compared with a range of ours yet" in found["against-le-roux.md"]
    assert "values that" not in found["index.md"]


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


# --- several networks and sizes ---------------------------------------------------------------------

BENCH = """
    title: Another made-up benchmark
    author: Jo Ito
    called: Ito et al.
    short: Ito
    protocol: Nothing was augmented, and nothing was said of seeds.
    caution: Read by eye.
    citation: "@misc{ito}"
    cells:
      small: {label: CNN (28), arm: baseline, classifier: cnn, size: 28}
      large: {label: CNN (64), arm: baseline, classifier: cnn, size: 64}
      deep: {label: ResNet-18 (28), arm: baseline, classifier: resnet18, size: 28}
      bought: {label: A service}
    tables:
      - number: Table 9
        shows: without-added-images
        absent: not confirmed
        scores:
          breastmnist:
            small: {auc: 81.3, accuracy: 71.3}
            large: {auc: 82.3, accuracy: 72.3}
            deep: {auc: 83.3, accuracy: 73.3}
            bought: {auc: 84.3}
        spreads:
          breastmnist:
            small: {auc: 1.7}
            deep: {auc: 2.7, accuracy: 3.7}
"""
CNN, RESNET = {"baseline": "cnn"}, {"baseline": "resnet18"}


@pytest.fixture
def ito(tmp_path, monkeypatch):
    """A reference of several networks and sizes, one of them of no arm."""
    folder = tmp_path / "references"
    folder.mkdir()
    (folder / "ito.yaml").write_text(textwrap.dedent(BENCH), encoding="utf-8")
    monkeypatch.setattr(references, "FOLDER", folder)
    references.load.cache_clear()
    yield references.load("ito")
    references.load.cache_clear()


@pytest.mark.parametrize(
    ("networks", "size", "auc"),
    [(CNN, 28, 0.813), (CNN, 64, 0.823), (RESNET, 28, 0.833), (RESNET, 64, None), (CNN, None, None), ({}, 28, None)],
)
def test_a_score_stands_beside_an_arm_of_its_network_at_its_size_alone(ito, networks, size, auc):
    narrowed = ito.beside(networks, {"breastmnist": size})
    assert narrowed.score("breastmnist", "baseline", "shuffle", "auc") == (auc and pytest.approx(auc))
    assert narrowed.score("breastmnist", "baseline", "weighted", "auc") is None
    assert narrowed.datasets == ({"breastmnist"} if auc else set())


def test_a_page_says_how_networks_were_trained_and_shows_all_that_were_printed(tmp_path, ito):
    found = text_of(Pages(results_of(tmp_path / "results", references=["ito"])))
    page = found["against-ito.md"]
    assert "Nothing was augmented, and nothing was said of seeds." in page
    assert "How Ito et al. trained" in page
    header, only = found["data/printed-ito.csv"].splitlines()
    row = dict(zip(header.split(","), only.split(","), strict=True))
    assert (row["small.auc_percent"], row["small.auc_sd_percent"]) == ("81.3", "1.7")
    assert (row["deep.accuracy_percent"], row["deep.accuracy_sd_percent"]) == ("73.3", "3.7")
    assert (row["bought.auc_percent"], row["bought.accuracy_percent"]) == ("84.3", "")
    assert "not confirmed" in page
    assert "A service" in page
    assert "Read by eye." in page


def test_only_what_stands_beside_ours_is_compared_and_counted(tmp_path, ito):
    found = text_of(Pages(results_of(tmp_path / "results", references=["ito"])))
    table = found["data/against-ito.csv"].splitlines()
    assert len(table) == 3  # AUC and accuracy of the CNN at 28 x 28
    row = dict(zip(table[0].split(","), table[1].split(","), strict=True))
    assert (row["printed_percent"], row["printed_sd_percent"]) == ("81.3", "1.7")
    assert "2 are printed for the data sets of this study" in found["against-ito.md"]
    assert "Ito 81.30" in found["results.md"].replace("</small>", " ").replace('<small class="ma-printed">', " ")
    assert "82.30" not in found["results.md"]


def test_a_reference_of_baselines_alone_has_no_column_among_differences_to_the_baseline(tmp_path, ito):
    claims = text_of(Pages(results_of(tmp_path / "results", references=["ito"])))["data/claims.csv"]
    assert "ito" not in claims.splitlines()[0]


def test_a_study_of_another_network_says_that_nothing_stands_beside_it(tmp_path, ito):
    folded = results_of(tmp_path / "results", references=["ito"], classifier={"kind": "resnet50"})
    page = text_of(Pages(folded))["against-ito.md"]
    assert "Ito et al. printed no score of a data set of this study, with its network and images of its size." in page


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "small: {auc: 1.7}",
            "small: {recall: 1.7}",
            "Table 9: breastmnist, small has a spread without a score: recall",
        ),
        ("classifier: cnn, size: 64", "classifier: cnn, size: 28", "two of its cells have the same arm and sampling"),
        ("label: A service", "size: 28", "some of its cells have a label, and others none"),
    ],
)
def test_a_file_that_contradicts_itself_is_an_error(tmp_path, old, new, said):
    assert old in BENCH
    (tmp_path / "broken.yaml").write_text(textwrap.dedent(BENCH.replace(old, new)), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        references.load("broken", tmp_path)


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


def test_the_benchmark_has_the_cells_that_a_source_confirmed_and_no_other():
    (table,) = references.load("medmnist-v2").tables
    assert sum(len(values) for row in table.scores.values() for values in row.values()) == 81
    assert table.scores["breastmnist"] == {
        "resnet18_28": {"auc": 90.1, "accuracy": 86.3},
        "resnet50_224": {"auc": 86.6, "accuracy": 84.2},
    }
    assert table.absent == "not confirmed"
    assert set(table.scores) == set(MEDMNIST_NAMES)


def test_what_was_read_by_eye_says_so_and_has_a_spread_for_every_score():
    plus = references.load("medmnist-plus")
    (table,) = plus.tables
    assert "by eye" in plus.caution
    assert {d: {w: set(v) for w, v in row.items()} for d, row in table.scores.items()} == {
        d: {w: set(v) for w, v in row.items()} for d, row in table.spreads.items()
    }
    assert max(v for row in table.spreads.values() for values in row.values() for v in values.values()) < 3
    assert table.scores["retinamnist"]["resnet18_224"] == {"auc": 83.16, "accuracy": 61.50}
    assert table.spreads["retinamnist"]["resnet18_224"] == {"auc": 0.65, "accuracy": 1.34}


def test_the_shipped_benchmark_stands_beside_the_printed_values_of_its_network():
    study = reading.read(Path("studies/medmnist-benchmark.yaml"))
    reference = references.load("medmnist-v2").beside(
        {"baseline": study.classifier.kind}, {name: data.size for name, data in study.datasets.items()}
    )
    assert reference.datasets == set(study.datasets) == set(MEDMNIST_NAMES)
    assert reference.score("breastmnist", "baseline", "shuffle", "auc") == pytest.approx(0.901)
    assert reference.score("chestmnist", "baseline", "shuffle", "accuracy") == pytest.approx(0.947)


def test_augmentation_on_the_benchmark_shares_its_baseline():
    bench, more = (reading.read(Path(f"studies/medmnist-{name}.yaml")) for name in ("benchmark", "augmented"))
    assert set(bench.datasets) - set(more.datasets) == {"chestmnist"}
    sets = {name: bench.datasets[name] for name in more.datasets}
    runs = {t.key for t in fake_plan(bench.model_copy(update={"datasets": sets})).tasks.values()}
    assert runs <= {t.key for t in fake_plan(more).tasks.values()}


def test_every_publication_that_a_kind_of_generator_names_has_its_entry():
    named = {key for kind in GENERATORS.values() for key in kind.citations}
    assert named <= set(citations.BIBTEX)
    assert all(f"{{{key}," in entry for key, entry in citations.BIBTEX.items())
