"""A margin that a study declares: which words, lines and sentences pages have for it, and that nothing else changes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study, hash_text

from medaug_keras import looks, report
from medaug_keras.report import figures
from medaug_keras.report.format import points
from medaug_keras.report.numbers import findings
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import methods_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables import evidence

SHARES = {"baseline": 0.7, "gda": 0.9, "cvae": 0.7, "duplicate": 0.7}
IMAGES = {"pneumoniamnist": 400, "breastmnist": 156}


def hits(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    """Three of four images are as hard for every arm; of the others an arm gets its share, by chance."""
    n = IMAGES[dataset]
    found = np.random.default_rng(hash_text(dataset)).random(n) < SHARES[arm]
    chance = np.random.default_rng([hash_text(dataset + arm), replicate]).random(n)
    return np.where(np.arange(n) % 4 > 0, found, chance < SHARES[arm])


def study_of(datasets=("pneumoniamnist",), **more):
    arms = {name: ARMS[name] for name in SHARES}
    return fake_study(datasets=datasets, arms=arms, replicates=5, samplings=["shuffle"], **more)


def inference_of(root: Path, **more) -> Inference:
    study = study_of(**more)
    return Inference(Results(study, *fake_results(study, root, hits=hits)))


@pytest.fixture(scope="module")
def within_four(tmp_path_factory) -> Inference:
    return inference_of(tmp_path_factory.mktemp("four"), margin=4.0)


def words(inference: Inference) -> dict[str, str]:
    return {arm: c.word for (_, arm, _), c in inference.tests.items()}


def test_a_margin_makes_equivalent_of_what_is_shown_to_lie_within_and_leaves_the_rest(within_four, tmp_path):
    found = {margin: words(inference_of(tmp_path, margin=margin)) for margin in (None, 0.1, 4.0)}
    assert found[4.0] == {"gda": "better", "cvae": "equivalent", "duplicate": "equivalent"}
    unsure = {"gda": "better", "cvae": "not distinguishable", "duplicate": "not distinguishable"}
    assert found[None] == found[0.1] == unsure
    for c in within_four.tests.values():
        assert c.equivalence is not None
        assert c.equivalence >= c.p_equivalent


def test_a_shown_difference_within_the_margin_is_equivalent_and_its_sentence_says_that_it_is_shown(tmp_path):
    inference = inference_of(tmp_path, margin=30)
    (better,) = (c for (_, arm, _), c in inference.tests.items() if arm == "gda")
    assert (better.word, better.sign) == ("equivalent", "better")
    said = findings.can_be_said(better, None)
    assert said == "Here it changes test accuracy by less than 30 points. A gain smaller than that is shown."


def test_a_margin_is_in_no_key_and_in_what_a_registration_is_of(tmp_path):
    plain, declared, wider = (fake_plan(study_of(margin=margin)) for margin in (None, 2.0, 3.0))
    assert plain.tasks == declared.tasks
    lines = [
        looks.line("registered", study_of(margin=margin), plan, [])
        for margin, plan in ((None, plain), (2.0, declared), (3.0, wider))
    ]
    assert len({line.study for line in lines}) == 3


def test_a_margin_that_was_set_or_changed_after_a_look_or_a_registration_is_told_from_one_that_was_there_before(
    tmp_path,
):
    def said(name: str, *log: tuple[str, float | None]) -> list[list[bool]]:
        """Of a study with a margin of 4 points: whether the first page and the methods say so."""
        study, root = study_of(margin=4.0), tmp_path / name
        plan, store = fake_results(study, root, hits=hits)
        for what, margin in log:
            looks.note(
                root, looks.line(what, study_of(margin=margin), plan, list(plan.tasks) if what == "look" else [])
            )
        inference = Inference(Results(study, plan, store))
        texts = [" ".join(of(inference.results, inference)) for of in (findings.caveats, methods_text)]
        return [[words in text for words in ("not the registered one", "after results had been")] for text in texts]

    declared, registered, looked = ([[False, False]] * 2, [[True, False]] * 2, [[False, True]] * 2)
    assert said("nothing") == said("own", ("registered", 4.0)) == said("same", ("look", 4.0)) == declared
    assert said("own first", ("registered", 4.0), ("registered", 2.0), ("look", 2.0)) == declared
    assert said("other", ("registered", 2.0)) == said("other, seen", ("registered", 2.0), ("look", 2.0)) == registered
    assert said("seen", ("look", 2.0)) == said("none", ("look", None)) == looked
    assert said("late", ("look", 2.0), ("registered", 4.0)) == looked


def test_only_the_margin_tells_pages_with_and_without_it_apart(tmp_path):
    """A margin that nothing lies within: verdicts are the same, and a page names the margin or is as it was."""
    pages = {}
    for margin in (None, 0.001):
        study = study_of(margin=margin)
        plan, store = fake_results(study, tmp_path / "results", hits=hits)
        folder = report.render(study, plan, store, tmp_path / str(margin))
        pages[margin] = {p.relative_to(folder): p.read_text("utf-8") for p in folder.rglob("*.md")}
    assert pages[None].keys() == pages[0.001].keys()
    changed = {str(path) for path, text in pages[0.001].items() if text != pages[None][path]}
    assert {"index.md", "significance.md"} <= changed
    assert all("0.001 points" in pages[0.001][Path(path)] for path in changed)
    assert not any("equivalent (" in text for text in pages[None].values())


def test_every_page_that_draws_verdicts_has_the_word_and_the_dotted_lines(tmp_path):
    sets = ("pneumoniamnist", "breastmnist")
    study = study_of(datasets=sets, margin=8)
    plan, store = fake_results(study, tmp_path / "results", hits=hits)
    folder = report.render(study, plan, store, tmp_path / "docs")
    index, significance, compare = (
        (folder / f"{name}.md").read_text("utf-8") for name in ("index", "significance", "compare")
    )
    assert "ma-v-equivalent" in index
    assert "equivalent (within 8 points)" in index
    for page in (index, significance):
        assert "the margin, ±8 points" in page
    assert "is equivalent to “" in significance
    assert "Equivalent to as many copies of real images" in significance
    assert 'data-verdict="equivalent"' in compare
    assert "equivalent (within 8 points)" in compare
    table = (folder / "data/tests.csv").read_text("utf-8").splitlines()
    column = table[0].split(",").index("verdict")
    assert "equivalent" in {line.split(",")[column] for line in table[1:]}
    assert "equivalence" in table[0]
    cited = (folder / "data/references.bib").read_text("utf-8")
    assert "schuirmann1987" in cited


def test_the_headline_names_what_is_equivalent_where_nothing_is_better_or_worse(tmp_path, monkeypatch):
    monkeypatch.setitem(SHARES, "gda", 0.7)
    inference = inference_of(tmp_path, margin=4.0)
    first, counted, *_ = findings.conclusion(inference.results, inference)
    assert re.fullmatch(
        r"No arm was shown to be better or worse; .*, .* and .* are equivalent to “.*” in test accuracy "
        r"\(within 4 points\)\.",
        first,
    )
    assert "3 equivalent (within 4 points)" in counted


def test_few_images_that_carry_a_difference_make_nothing_equivalent(tmp_path):
    """Three images of 400 differ, always alike: the interval is narrow and says little."""

    def few(dataset, arm, sampling, replicate):
        found = np.arange(400) % 4 > 0
        found[[0, 4, 8][: replicate % 2 + 2]] = arm == "gda"
        return found

    study = study_of(margin=4.0)
    inference = Inference(Results(study, *fake_results(study, tmp_path, hits=few)))
    (c,) = (c for (_, arm, _), c in inference.tests.items() if arm == "gda")
    assert c.few
    assert c.equivalence is None
    assert c.word != "equivalent"


def test_a_log_keeps_that_an_arm_was_equivalent_and_the_next_look_says_what_turned(within_four, tmp_path):
    line = looks.line("look", within_four.results.study, within_four.results.plan, [], within_four.claims)
    assert looks.note(tmp_path, line) == ""
    (found,), unreadable = looks.read(tmp_path)
    assert not unreadable
    assert found.verdicts["pneumoniamnist/cvae/shuffle"] == "equivalent"
    assert json.loads((tmp_path / "looks.jsonl").read_text())["verdicts"] == found.verdicts


def test_the_table_of_tests_has_the_p_of_equivalence_only_where_there_is_a_margin(within_four, tmp_path):
    def keys(inference):
        return [column.key for column in evidence.tests(inference.results, inference).columns]

    assert set(keys(within_four)) - set(keys(inference_of(tmp_path))) == {"equivalence"}


EFFECT = {"effect": 0.01, "low": -0.01, "high": 0.03}
DOSE = figures.Dose("1", **EFFECT, value=1)
DRAWN = {
    "differences": lambda margin: figures.differences(
        [figures.DifferencesPanel("Set", [figures.Difference("Flip", **EFFECT, arm="flip", sampling="shuffle")])],
        margin=margin,
    ),
    "doses": lambda margin: figures.dose_response(
        [
            figures.DosePanel(
                "Set", [figures.DoseSeries("flip", "shuffle", "Flip", [figures.Dose("1", **EFFECT, value=1)])]
            )
        ],
        setting="amount",
        margin=margin,
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_differences_have_two_lines_at_the_margin_and_room_for_them_however_wide_it_is(name):
    for margin in (0.002, 0.5):
        drawn = DRAWN[name](margin).svg
        assert [f": {points(at)}</title>" in drawn for at in (-margin, margin)] == [True, True]
    assert "margin" not in DRAWN[name](None).svg
