"""The page of learning curves: which runs a figure joins, how the arms are ordered, and what lines are called."""

import pytest
from report_records import ARMS, fake_results, fake_study

from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages import curves as page
from medaug_keras.report.pages.book import Book

SETS = ("breastmnist", "phantom-ultrasound")


def results_of(root, kind=Results, leave_out=lambda task: False):
    arms = {name: ARMS[name] for name in ("gda", "duplicate", "baseline")}  # the baseline last
    study = fake_study(
        datasets=SETS,
        arms=arms,
        replicates=3,
        samplings=["shuffle"],
        baseline={"arm": "baseline", "sampling": "shuffle"},
    )
    return kind(study, *fake_results(study, root, leave_out=leave_out))


@pytest.fixture
def drawn(monkeypatch):
    """What every figure is drawn of."""
    found, plot = [], page.figures.arms_curves
    monkeypatch.setattr(page.figures, "arms_curves", lambda shown, **how: found.append(shown) or plot(shown, **how))
    return found


def test_a_figure_has_every_run_of_every_arm_the_baseline_first(tmp_path, drawn):
    sections = page.learning_curves(Book(results_of(tmp_path)))["sections"]
    assert [section["name"] for section in sections] == list(SETS)
    for arms, section in zip(drawn, sections, strict=True):
        assert [one.arm for one in arms] == ["baseline", "gda", "duplicate"]
        assert [len(one.histories) for one in arms] == [3, 3, 3]
        assert len({str(run) for one in arms for run in one.histories}) == 9
        assert "means over the replicates that still train" in section["figure"].caption


def test_arms_and_data_sets_of_which_nothing_is_done_are_not_drawn(tmp_path, drawn):
    def gone(task):
        return task.kind == "classifier" and (task.dataset == SETS[1] or len(task.needs) > 1 or task.replicate > 1)

    first, second = page.learning_curves(Book(results_of(tmp_path, leave_out=gone)))["sections"]
    assert first["figure"] is not None
    assert second["figure"] is None
    (arms,) = drawn
    assert [(one.arm, len(one.histories)) for one in arms] == [("baseline", 2), ("gda", 2)]


def test_lines_of_a_cross_validation_are_said_to_be_means_over_its_folds(tmp_path):
    class Folded(Results):
        def folds(self, dataset):
            return 5 if dataset == SETS[0] else 0

    captions = [s["figure"].caption for s in page.learning_curves(Book(results_of(tmp_path, Folded)))["sections"]]
    assert ["means over the folds of all replicates" in caption for caption in captions] == [True, False]


def test_so_many_data_sets_stand_on_one_page_and_one_more_does_not(tmp_path, monkeypatch):
    book = Book(results_of(tmp_path))
    for most, apart in ((2, False), (1, True)):
        monkeypatch.setattr(page, "MANY", most)
        assert page.learning_curves(book)["apart"] is apart
