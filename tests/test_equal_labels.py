"""Arms and data sets that a study calls alike are told apart on pages and in files."""

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import fake_plan, fake_results, fake_study

from medaug_keras import report
from medaug_keras.report import format
from medaug_keras.report.numbers.results import Results

FLIP = {"augment": [{"layer": "horizontal_flip"}]}
ARMS = {
    "baseline": {},
    "gda": FLIP,
    "a": FLIP | {"label": "Gda"},  # which looks like the arm without a label
    "b": FLIP | {"label": "  gda\u200b "},
    "heavy": FLIP | {"label": "baseline (weighted)"},  # as the baseline is called where it is drawn weighted
    "cvae": {"add": {"generator": "cvae"}, "label": "Conditional VAE"},
    "more": {"add": {"generator": "cvae", "amount": {"fraction": 0.5}}, "label": "Conditional VAE"},
}
OWN = {"kind": "npz", "path": "x.npz", "title": "Lesions"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("alike")
    study = fake_study(datasets=("breastmnist",), arms=ARMS, replicates=2, paper=True)
    content = json.loads(study.model_dump_json())
    content["datasets"] = {"one": OWN, "two": OWN, "breastmnist": content["datasets"]["breastmnist"]}
    study = type(study).model_validate_json(json.dumps(content))
    plan, store = fake_results(study, root / "results")
    return report.render(study, plan, store, root / "docs")


def test_every_row_of_every_table_is_told_from_the_others_by_names(pages):
    named = 0
    for path in pages.glob("data/*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows or "arm_name" not in rows[0] or "dataset_name" not in rows[0]:
            continue
        named += 1
        keys = [key for key in rows[0] if key in ("dataset_name", "arm_name", "run_name", "sampling", "replicate")]
        keys += [key for key in rows[0] if key in ("metric", "table", "measure", "in", "space", "class")]
        found = [tuple(row[key] for key in keys) for row in rows]
        assert len(set(found)) == len(found), path.name
        assert {row["dataset_name"] for row in rows} <= {"one", "two", "breastmnist"}
        labels = {(row["arm_name"], row["arm"]) for row in rows}
        assert len({label for _, label in labels}) == len({name for name, _ in labels}), path.name
    assert named >= 4


def test_columns_of_arms_that_are_called_alike_do_not_merge(pages):
    page = (pages / "results.md").read_text("utf-8")
    for said in (
        "gda (b)",
        "Gda (a)",
        "baseline (weighted) (heavy)",
        "Conditional VAE (cvae)",
        "Conditional VAE (more)",
    ):
        assert re.search(rf'<th scope="colgroup" colspan="\d"[^>]*><bdi>{re.escape(said)}</bdi></th>', page)
    assert "Lesions (one)" in page
    assert "Lesions (two)" in page
    assert "BreastMNIST (" not in page


def test_labels_that_differ_stay_as_they_are(tmp_path):
    study = fake_study(arms={name: arm for name, arm in ARMS.items() if name in ("baseline", "gda", "cvae")})
    results = Results(study, fake_plan(study), fake_results(study, tmp_path)[1])
    assert [results.label(arm) for arm in results.arms] == ["baseline", "gda", "Conditional VAE"]
    assert [results.title(name) for name in results.datasets] == ["BreastMNIST", "Phantom histology"]


@given(st.dictionaries(st.text("ab-", min_size=1, max_size=3), st.sampled_from(["A", "a", "A (a)", "A (a) (b)", "B"])))
def test_labels_become_different_whatever_they_are_and_only_where_they_look_alike(labels):
    found = format.distinct(labels)
    looks = [text.casefold() for text in found.values()]
    assert len(set(looks)) == len(labels)
    assert all(found[name].startswith(label) for name, label in labels.items())
    if len({label.casefold() for label in labels.values()}) == len(labels):
        assert found == labels
