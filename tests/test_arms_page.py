"""The page Arms: what every arm does, and how much it trains."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import ARMS, SIZES, fake_results, fake_study

from medaug_keras.plan import updates
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables import treatments
from medaug_keras.report.tables.verdicts import verdicts
from medaug_keras.store import Store
from medaug_keras.training.chance import batches


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    study = fake_study(arms=ARMS, replicates=1, paper=True)
    plan, store = fake_results(study, tmp_path_factory.mktemp("arms") / "results")
    return Results(study, plan, store)


@pytest.fixture(scope="module")
def files(results):
    return Pages(results).all()


@given(st.integers(1, 500), st.integers(2, 64), st.integers(1, 5))
def test_without_a_budget_updates_are_the_batches_of_all_epochs(train, batch_size, epochs):
    settings = {"budget": None, "batch_size": batch_size, "epochs": epochs}
    assert updates(settings, train) == epochs * len(batches(np.arange(train), batch_size))


def test_with_a_budget_every_arm_has_as_many_updates_however_many_images_it_has():
    settings = {"batch_size": 32, "epochs": 3, "budget": {"images": 1000, "steps": None}}
    assert updates(settings, 100) == updates(settings, 7000) == 32


def test_every_arm_says_what_it_does_and_how_much_it_trains(results, files):
    rows = list(csv.DictReader(io.StringIO(files["data/arms.csv"].decode())))
    does = {row["study_name"]: row["does"] for row in rows}
    assert len(rows) == len(results.variants())
    assert does["baseline, shuffle"] == "Nothing"
    assert does["gda, shuffle"].startswith("Horizontal flip of each training image, by a draw of its own")
    amount = "10 % of the training set, most of the rarest class, fewest of the largest"
    assert does["cgan, shuffle"] == f"Images of a Conditional GAN added ({amount})"
    assert "weighted batches, to which each class is drawn alike" in does["cgan, weighted"]
    sizes = list(csv.DictReader(io.StringIO(files["data/arms-sizes.csv"].decode())))
    assert len(sizes) == len(results.groups)
    for row in sizes:
        each = [int(part.rpartition(" ")[2].replace(",", "")) for part in row["per_class"].split(";") if part]
        assert sum(each) == int(row["added"])
        assert all(name in row["per_class"] for name in results.classes(row["dataset_name"]) if each)


def test_how_much_an_arm_trains_is_counted_from_its_data_set_and_what_it_adds(results):
    table = treatments.sizes(results)
    for row, cell in zip(table.rows, results.groups, strict=True):
        dataset, arm, sampling = cell
        real = SIZES[dataset][0]
        added = {"baseline": 0, "gda": 0, "jvae": real}.get(arm, round(real / 10))
        settings = results.training(results.groups[cell].runs[0].task).params["settings"]
        values = {c.key: entry.value for c, entry in zip(table.columns, row.entries, strict=True)}
        assert (values["real"], values["added"]) == (real, pytest.approx(added, abs=1))
        assert values["updates"] == updates(settings, real + values["added"])
        assert row.factors == {"data set": results.title(dataset), "arm": results.variant(arm, sampling)}


def test_of_data_that_are_away_without_a_known_size_only_what_is_added_is_said(results):
    unread = {name: replace(source, train=0, away="gone") for name, source in results.plan.sources.items()}
    table = treatments.sizes(Results(results.study, replace(results.plan, sources=unread), Store(results.root)))
    for row in table.rows:
        entries = {c.key: entry for c, entry in zip(table.columns, row.entries, strict=True)}
        for name in ("real", "updates"):
            assert (entries[name].value, entries[name].missing) == (None, "the data set cannot be read now")
        assert entries["added"].value is not None


def test_only_an_arm_of_generated_images_leads_to_generators(results):
    table = treatments.treatments(results)
    for row, (arm, _) in zip(table.rows, results.variants(), strict=True):
        generator = row.entries[3]
        assert bool(generator.value) == (arm in ("cvae", "jvae", "cgan"))
        shown = ("generators.html", "") if generator.value else ("", "its images are real")
        assert (generator.href, generator.missing) == shown
    assert table.notes[0] == "The others are compared with No augmentation."


def test_an_arm_has_one_name_in_the_grid_the_tables_and_the_page_of_arms(results, files):
    names = {results.variant(*pair) for pair in results.variants()}
    grid = verdicts(results, Inference(results), lambda dataset: "significance.html")
    assert {row.entries[0].value for row in grid.rows} == names - {results.variant(*results.reference)}
    assert {row["arm"] for row in csv.DictReader(io.StringIO(files["data/arms-sizes.csv"].decode()))} == names
    added = files["results.md"].decode()
    assert "Conditional GAN (weighted)" in re.findall(r'<th scope="colgroup"[^>]*>(?:<bdi>)?([^<]+)', added)
    assert "WRS" not in added
