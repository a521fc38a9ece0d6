"""The methods to paste say what the study file and the records say, and cite only what has an entry."""

import re

import pytest
from report_records import ARMS, fake_results, fake_study

from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages


def files(root, *, leave_out=lambda task: False, **more):
    study = fake_study(datasets=("breastmnist",), arms={name: ARMS[name] for name in more.pop("arms", ARMS)}, **more)
    plan, store = fake_results(study, root, leave_out=leave_out)
    return Pages(Results(study, plan, store)).all()


def text_of(made):
    return made["cite.md"].decode().partition("Methods, to paste")[2].partition("## Data")[0]


def test_the_methods_have_the_numbers_of_the_study_and_its_records(tmp_path):
    made = files(tmp_path, replicates=4, classifier={"epochs": 31, "batch_size": 48})
    text = text_of(made)
    for words in (
        "546 training, 78 validation and 156 test images",
        "28 × 28 pixels",
        "2 classes",
        "31 epochs in batches of 48",
        "4 replicates",
        "keras 3.15.0",
        "copies of real training images added",
        "horizontal_flip",
    ):
        assert words in text


def test_everything_that_the_methods_cite_has_an_entry_and_each_entry_is_there_once(tmp_path):
    made = files(tmp_path)
    keys = re.findall(r"@\w+\{([^,]+),", made["data/references.bib"].decode())
    assert len(keys) == len(set(keys))
    cited = {key for found in re.findall(r"\[([\w, ]+)\]", text_of(made)) for key in found.split(", ")}
    assert {"obuchowski1995", "holm1979", "medaug_keras"} <= cited
    assert cited <= set(keys)


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_test_is_claimed_only_where_one_was_made(replicates, tmp_path):
    text = text_of(files(tmp_path, replicates=replicates))
    assert ("were tested" in text) == (replicates > 1)


def test_methods_of_a_study_that_is_not_finished_say_so(tmp_path):
    text = text_of(files(tmp_path, leave_out=lambda task: task.kind == "classifier"))
    assert "not complete: 0 of" in text
    assert "were tested" not in text
    assert "not read yet" in text_of(files(tmp_path / "none", leave_out=lambda task: True))
