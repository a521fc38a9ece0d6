"""Which test images an arm repairs or breaks: against a count by hand, and as a reader sees them."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_records import ARMS, fake_results, fake_study

from medaug_keras import data, report
from medaug_keras.report.numbers.changes import between_runs, changes, hardest, strongest
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages

SET = "phantom-ultrasound"
BASE, FLIPS = (SET, "baseline", "shuffle"), (SET, "gda", "shuffle")


def phantom(room=None):
    return data.load_phantom(SET, train=546, validation=78, test=156, seed=0, room=room)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    study = fake_study(datasets=(SET,), arms=arms, replicates=3, samplings=["shuffle"])
    plan, store = fake_results(study, root / "results")
    data.unpacked(store.root / "unpacked" / plan.data[SET], phantom)
    return study, plan, store


@pytest.fixture(scope="module")
def results(made):
    return Results(*made)


def right(results, cell):
    """(S, n): which images each run has right, read from the files themselves."""
    found = []
    for run in results.groups[cell].runs:
        with np.load(run.record.folder / "predictions.npz") as file:
            found.append(file[f"test_{run.selected(results.select)}"].argmax(1) == file["test_labels"])
    return found


def test_repaired_and_broken_images_are_those_of_a_count_by_hand(results):
    found = changes(Inference(results), FLIPS)
    ours, theirs = right(results, FLIPS), right(results, BASE)
    assert found.of == 3
    for i in range(156):
        assert found.repaired[i] == sum(a[i] and not b[i] for a, b in zip(ours, theirs, strict=True))
        assert found.broken[i] == sum(b[i] and not a[i] for a, b in zip(ours, theirs, strict=True))


def test_repaired_less_broken_images_are_the_difference_in_accuracy(results):
    found = changes(Inference(results), FLIPS)
    scores = [results.groups[cell].estimate(results.select, "test", "accuracy").mean for cell in (FLIPS, BASE)]
    assert (found.repaired.sum() - found.broken.sum()) / found.of / 156 == pytest.approx(scores[0] - scores[1])


def test_what_two_runs_of_the_baseline_differ_by_is_that_of_a_count_by_hand(results):
    a, b, c = right(results, BASE)
    pairs = [(a, b), (b, a), (a, c), (c, a), (b, c), (c, b)]
    by_hand = sum(sum(x[i] and not y[i] for i in range(156)) for x, y in pairs) / 6
    assert between_runs(Inference(results), SET) == pytest.approx(by_hand)


def test_the_hardest_images_are_wrong_in_as_many_runs_as_a_count_by_hand_says(results):
    found = hardest(Inference(results), SET)
    every = [*right(results, BASE), *right(results, FLIPS)]
    assert found.of == 6
    assert found.wrong.tolist() == [sum(not run[i] for run in every) for i in range(156)]
    labels = Inference(results).labels[SET]
    assert ((found.taken_for == labels) == (found.wrong == 0)).all()


@given(st.lists(st.tuples(st.integers(-2, 3), st.integers(0, 2)), min_size=1, max_size=30), st.integers(1, 12))
def test_the_strongest_images_have_changed_and_each_class_has_its_strongest(drawn, most):
    amount, labels = (np.array(column) for column in zip(*drawn, strict=True))
    chosen = strongest(amount, np.zeros(len(drawn)), labels, most)
    assert len(chosen) == min(most, (amount > 0).sum())
    assert (amount[chosen] > 0).all()
    assert (np.diff(amount[chosen]) <= 0).all()
    changed = {k for k in labels if (amount[labels == k] > 0).any()}
    if most >= len(changed):
        for k in changed:
            assert amount[labels == k].max() in amount[[i for i in chosen if labels[i] == k]]


def test_a_picture_is_the_test_image_whose_number_it_has(results):
    files = Pages(results).all()
    pictures = {name: content for name, content in files.items() if name.startswith(f"figures/test-{SET}-")}
    assert pictures
    images = phantom().test.images
    for name, content in pictures.items():
        number = int(name.removesuffix(".png").rpartition("-")[2])
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), images[number, ..., 0])


def test_without_the_images_the_page_says_so_and_keeps_its_table(made, tmp_path):
    study, plan, store = made
    shutil.copytree(store.root, tmp_path / "results")
    folder = tmp_path / "results" / "unpacked" / plan.data[SET]
    with open(folder / "test_images.npy", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff" if file.read(1) != b"\xff" else b"\x00")
    for gone in (False, True):
        if gone:
            shutil.rmtree(folder)
        page = Pages(Results(study, plan, type(store)(tmp_path / "results"))).all()["images.md"].decode()
        assert "no longer unpacked" in page
        assert "another run" in page
        assert "<img" not in page


def test_a_class_is_chosen_without_a_script(made, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("no chromium on this machine (Debian: apt install chromium)")
    docs = tmp_path / "docs"
    shutil.copytree(Path(__file__).parent.parent / "docs", docs, ignore=shutil.ignore_patterns("studies"))
    report.render(*made, docs)
    report.build_site(docs, tmp_path / "site")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"{(tmp_path / 'site').as_uri()}/studies/fake/images.html")
        shown = page.locator(".ma-gallery details[open] figure:visible")
        every = shown.count()
        page.get_by_label("malignant").check()
        some = shown.count()
        assert 0 < some < every
        assert page.locator(".ma-gallery details[open] figure:visible b").all_inner_texts() == ["malignant"] * some
        browser.close()
