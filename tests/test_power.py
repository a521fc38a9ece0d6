"""What the page of tests announces, held against what it finds: planted gains, from records to table cells."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import report_records
from report_records import fake_results, fake_study

from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables import evidence as evidence_tables
from medaug_keras.spec import Study
from medaug_keras.stats import power_to_detect, variance_limits

ROOT = Path(__file__).parents[1]
GAIN = 0.03
IMAGES = 624
ARMS = {"baseline": {}, "gain": {}, "idle": {"augment": [{"layer": "horizontal_flip"}]}}
ARMS["gain"] = {"augment": [{"layer": "autocontrast"}]}


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("statistics_benchmark", ROOT / "benchmarks" / "statistics.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def page(benchmark, root: Path, monkeypatch, *, studies: int, replicates: int, moved_sd: float):
    """The table of tests over many data sets, each a study of its own in which one arm gains 3 points."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # no power cut is tested here
    names = [f"set-{i}" for i in range(studies)]
    for name in names:
        monkeypatch.setitem(report_records.SIZES, name, (546, 78, IMAGES, 2, 1))
    arms = list(benchmark.accuracy_values(np.random.default_rng(replicates), studies, replicates, IMAGES, moved_sd))
    right = {"baseline": arms[0], "idle": arms[1], "gain": arms[-1]}  # (studies, replicates, images) each
    content = json.loads(fake_study(arms=ARMS, replicates=replicates, samplings=["shuffle"]).model_dump_json())
    content["datasets"] = {name: {"kind": "npz", "path": f"{name}.npz"} for name in names}
    study = Study.model_validate_json(json.dumps(content))
    plan, store = fake_results(
        study,
        root,
        small=False,
        hits=lambda dataset, arm, sampling, r: right[arm][names.index(dataset), r] > 0,
    )
    results = Results(study, plan, store)
    inference = Inference(results)
    table = evidence_tables.tests(results, inference)
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, (entry.value for entry in row.entries), strict=True)) for row in table.rows]
    comparisons = [c for cell, c in inference.tests.items() if cell[1] == "gain"]
    return [row for row in rows if row["arm"] == "gain"], [row for row in rows if row["arm"] == "idle"], comparisons


def announced(comparisons, *, tests: int) -> float:
    """Mean power against the planted gain that follows from what each study knows of its own variances."""
    return float(
        np.mean(
            [
                power_to_detect(GAIN, c.result.variances, c.result.replicates, c.result.images, tests=tests)
                for c in comparisons
            ]
        )
    )


def check(rows, idle, comparisons):
    """A planted gain is found as often as announced, by the verdict and alone; an idle arm is hardly ever called."""
    n = len(rows)
    for found, promised in (
        (np.mean([row["verdict"] == "better" for row in rows]), announced(comparisons, tests=2)),
        (np.mean([c.result.p < 0.05 and c.result.effect > 0 for c in comparisons]), announced(comparisons, tests=1)),
    ):
        assert abs(found - promised) <= 3 * np.sqrt(promised * (1 - promised) / n) + 0.03, (found, promised)
    assert np.mean([row["verdict"] in ("better", "worse") for row in idle]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)
    # The cells "detectable" are the differences at which that announcement is 80 %, at the limits of the variances.
    for row, c in zip(rows, comparisons, strict=True):
        S, images = c.result.replicates, c.result.images
        for key, v in zip(("detectable_low", "detectable_high"), variance_limits(c.result), strict=True):
            assert float(power_to_detect(row[key], v, S, images, tests=2)) == pytest.approx(0.8, abs=1e-4)
        assert c.outlook.detectable.high < row["detectable_high"]


def test_a_planted_gain_of_3_points_is_found_on_the_page_at_the_power_it_announces(benchmark, tmp_path, monkeypatch):
    check(*page(benchmark, tmp_path, monkeypatch, studies=40, replicates=5, moved_sd=0.5))


@pytest.mark.slow
@pytest.mark.parametrize("moved_sd", [0.0, 0.5])
@pytest.mark.parametrize("replicates", [5, 10])
def test_planted_gains_are_found_on_many_pages(benchmark, tmp_path, monkeypatch, replicates, moved_sd):
    check(*page(benchmark, tmp_path, monkeypatch, studies=300, replicates=replicates, moved_sd=moved_sd))
