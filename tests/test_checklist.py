"""The checklists have the published numbers, and say nothing that the records do not."""

import csv
import io
import json

import pytest
from report_records import ARMS, fake_results, fake_study
from test_checks_page import leaking

from medaug_keras import data
from medaug_keras.report.numbers.checklist import ANSWERS, CHECKLISTS
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages

CLAIM, TRIPOD = CHECKLISTS


def files(root, *, leave_out=lambda task: False, audit=None, **more):
    study = fake_study(datasets=("breastmnist",), arms={name: ARMS[name] for name in ("baseline", "gda")}, **more)
    plan, store = fake_results(study, root, leave_out=leave_out)
    results = Results(study, plan, store)
    if audit is not None:
        record = results.data("breastmnist").record
        object.__setattr__(record, "values", json.loads(json.dumps(record.values)) | audit)
    return Pages(results).all()


def said(made, name="claim"):
    return {row["item"]: row for row in csv.DictReader(io.StringIO(made[f"data/checklist-{name}.csv"].decode()))}


def test_the_lists_have_every_published_number_once():
    assert [item.number for item in CLAIM.items] == [str(n) for n in range(1, 45)]
    before = [int(item.before) for item in CLAIM.items if item.before]
    assert sorted(before) == [n for n in range(1, 43) if n != 11]
    parts = {"3": "abc", "5": "ab", "6": "abc", "8": "abc", "9": "abc", "12": "abcdefg", "18": "abcdef", "20": "abc"}
    parts |= {"23": "ab", "27": "abc"}
    wanted = [f"{n}{letter}" for n in range(1, 28) for letter in parts.get(str(n), [""])]
    assert [item.number for item in TRIPOD.items] == wanted
    assert len(wanted) == 52


def test_every_answer_is_given_to_an_item_and_every_item_has_an_answer_or_something_to_write():
    items = [item for listed in CHECKLISTS for item in listed.items]
    assert {name for item in items for name in item.answers} == set(ANSWERS)
    assert all(item.answers or item.left for item in items)


def test_answers_have_the_numbers_of_the_records(tmp_path):
    made = files(tmp_path, replicates=4, classifier={"epochs": 31})
    rows = said(made)
    for item, words in {
        "4": "Does this page show what its records say?",
        "19": "546 training, 78 validation and 156 test images",
        "22": "2,121 parameters",
        "23": "keras 3.15.0",
        "25": "31 epochs",
        "28": "Primary: accuracy",
        "30": "4 replicates",
        "36": "malignant 52",
        "37": "(n = 4)",
    }.items():
        assert words in rows[item]["records"], item
    assert rows["20"]["records"] == ""  # these records were not audited
    for name in ("claim", "tripod-ai"):
        pages = {f"{page}.md" for page in made_pages(made)}
        table = json.loads(made[f"data/checklist-{name}.json"])
        led = {row["page"]["page"].partition(".")[0] for row in table["rows"] if "page" in row["page"]}
        assert {f"{page}.md" for page in led} <= pages
        titles = {row["page"]["value"] for row in table["rows"]} - {None}
        assert titles <= set(json.loads(made["data/study.json"])["pages"].values())


def made_pages(made):
    return [name.removesuffix(".md") for name in made if name.endswith(".md")]


@pytest.mark.parametrize("replicates", [1, 2])
def test_tests_and_intervals_are_named_only_where_they_were_made(replicates, tmp_path):
    rows = said(files(tmp_path, replicates=replicates))
    assert ("95 % intervals" in rows["38"]["records"]) == (replicates > 1)
    assert bool(rows["30"]["records"]) == (replicates > 1)


def test_of_a_study_that_has_not_run_only_its_settings_are_said(tmp_path):
    made = files(tmp_path, leave_out=lambda task: True)
    rows = said(made)
    assert {item for item, row in rows.items() if row["records"]} == {
        *("1", "4", "6", "22", "24", "25", "26", "27", "28", "42")
    }
    assert "fulfilled" in made["checklist.md"].decode()


def test_whether_parts_are_disjoint_is_what_the_checks_found(tmp_path):
    some = leaking()
    audit = some.summary() | {"audit": data.audit(some)}
    row = said(files(tmp_path, audit=audit))["20"]
    assert "1 of 10 (10.0 %) test images is identical to a training image" in row["records"]
    assert "Which images belong together" in row["records"]
