"""Folds: every image is tested once a replicate, by networks that saw nothing of its group."""

import csv
import io
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_splits import tables

from medaug_keras import data, engine, evaluation
from medaug_keras.data import DataError, Dataset, Folds, Split
from medaug_keras.data.dataset import SPLITS
from medaug_keras.data.folds import check_folds, examined, fold, fold_of, sparse
from medaug_keras.plan import VERSIONS, Plan, Source, plan, replicate_seed
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.numbers.thresholds import operating_points
from medaug_keras.reproduction import _weights
from medaug_keras.spec import Parts, Study
from medaug_keras.stats import compare, pseudo_values
from medaug_keras.store import Store
from studies import cli_here, start, tiny, written

# --- which image is where -----------------------------------------------------------------------------


def together(ids: list[str], labels: np.ndarray, groups: list[str]) -> Dataset:
    """A data set whose images are told apart by their only pixel value: their place."""
    images = np.arange(len(ids), dtype=np.uint32).view(np.uint8).reshape(-1, 1, 1, 4)
    none = Split(images[:0], labels[:0])
    return Dataset(
        name="t",
        title="T",
        classes=tuple(str(k) for k in range(int(labels.max()) + 1)),
        source="own",
        md5="",
        official_md5=None,
        licence="",
        homepage="",
        citation="",
        description="",
        train=Split(images, labels, tuple(ids), tuple(groups)),
        validation=none,
        test=none,
    )


def placed(images: Split) -> list[int]:
    return np.ascontiguousarray(images.images).view(np.uint32).ravel().tolist()


CUTS = st.builds(Folds, number=st.integers(2, 8), validation=st.floats(0.05, 0.4), seed=st.integers(0, 3))


@settings(max_examples=150)
@given(tables(), CUTS, st.integers(0, 2**31))
def test_every_image_is_tested_once_and_no_group_is_in_two_parts_of_any_fold(table, cut, seed):
    dataset = together(*table)
    seen: list[int] = []
    try:
        parts = [fold(dataset, cut, seed=seed, number=number) for number in range(cut.number)]
    except DataError:
        with pytest.raises(DataError, match=r"fold \d of replicate 0 has no"):
            examined(dataset, cut, seeds=[seed])
        return
    for part in parts:
        splits = [getattr(part, split) for split in SPLITS]
        assert sorted(place for split in splits for place in placed(split)) == list(range(len(table[0])))
        assert sum(len(set(split.groups)) for split in splits) == len(set(table[2]))
        for split in splits:
            there = placed(split)
            assert split.ids == tuple(table[0][i] for i in there)
            assert split.groups == tuple(table[2][i] for i in there)
            assert split.labels.tolist() == table[1][there].tolist()
        seen += placed(part.test)
    assert sorted(seen) == list(range(len(table[0])))
    fewest = {split: np.min([part.per_class(split) for part in parts], axis=0).tolist() for split in SPLITS}
    assert examined(dataset, cut, seeds=[seed]) == fewest


@settings(max_examples=100)
@given(tables(), CUTS, st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table, cut, seed, chance):
    ids, labels, groups = table
    order = list(range(len(ids)))
    chance.shuffle(order)
    for some in (groups, []):
        found = fold_of(ids, labels, some, cut, seed=seed)
        turned = fold_of(
            [ids[i] for i in order], labels[order], [some[i] for i in order] if some else [], cut, seed=seed
        )
        assert turned.tolist() == found[order].tolist()


@settings(max_examples=100)
@given(tables(), CUTS, st.integers(0, 2**31))
def test_folds_are_alike_in_classes_within_the_largest_groups(table, cut, seed):
    ids, labels, groups = table
    for some in (groups, []):
        folds = fold_of(ids, labels, some, cut, seed=seed)
        largest = max(groups.count(group) for group in set(groups)) if some else 1
        kinds = len(set(labels.tolist())) if some else 1
        counts = np.zeros((cut.number, labels.max() + 1), int)
        np.add.at(counts, (folds, labels), 1)
        assert np.all(np.abs(counts - counts.sum(axis=0) / cut.number) <= 2 * largest * kinds)
        if not some:  # alone, every class is divided to the image
            assert np.ptp(counts, axis=0).max() <= 1


def patients(count: int = 20) -> tuple[list[str], np.ndarray, list[str]]:
    """Patients of whom no two have as many images, each of one class."""
    groups = [f"p{i}" for i in range(count) for _ in range(10 + i)]
    labels = np.array([int(group[1:]) % 2 for group in groups])
    return [f"{i}.png" for i in range(len(groups))], labels, groups


@pytest.mark.parametrize("table", [patients(), (patients()[0], patients()[1], [])], ids=["patients", "images"])
def test_each_replicate_cuts_anew_the_same_replicate_alike_and_another_seed_otherwise(table):
    cut = Folds(number=5, validation=0.15, seed=0)

    def pairs(folds: np.ndarray) -> bytes:
        """Which images are tested together, whatever the folds are called."""
        return np.equal.outer(folds, folds).tobytes()

    found = [fold_of(*table, cut, seed=replicate_seed(0, replicate)) for replicate in range(10)]
    assert len({pairs(folds) for folds in found}) == 10
    assert found[0].tolist() == fold_of(*table, cut, seed=replicate_seed(0, 0)).tolist()
    other = fold_of(*table, Folds(number=5, validation=0.15, seed=1), seed=replicate_seed(0, 0))
    assert pairs(other) != pairs(found[0])


def test_folds_take_the_asked_part_of_all_images_for_validation():
    cut = Folds(number=5, validation=0.15)
    dataset = together([f"{i}.png" for i in range(1000)], np.arange(1000) % 10 // 9, [])
    for number in range(5):
        part = fold(dataset, cut, seed=3, number=number)
        assert [len(getattr(part, split).labels) for split in SPLITS] == [650, 150, 200]
        assert part.per_class("validation") == [135, 15]


def test_every_fold_draws_its_validation_images_by_itself():
    """Of the 600 images that two folds may both draw, 150 of 800 each: 21 in common by chance, and not nearly all."""
    dataset = together([f"{i}.png" for i in range(1000)], np.arange(1000) % 10 // 9, [])
    chosen = [set(placed(fold(dataset, Folds(number=5, validation=0.15), seed=3, number=k).validation)) for k in (0, 1)]
    assert 5 < len(chosen[0] & chosen[1]) < 50


def test_the_fewest_images_are_those_of_all_replicates():
    dataset, cut = together(*patients()), Folds(number=4, validation=0.2)
    alone = [examined(dataset, cut, seeds=[seed]) for seed in range(4)]
    assert len({str(found) for found in alone}) == 4
    fewest = {split: np.min([found[split] for found in alone], axis=0).tolist() for split in SPLITS}
    assert examined(dataset, cut, seeds=range(4)) == fewest


def test_a_fold_that_cannot_learn_a_class_or_cannot_test_it_is_refused():
    """All images of class 1 are of one group: one fold has them for its test, and the other does not."""
    groups = [f"p{i}" for i in range(12)] + ["q"] * 3
    dataset = together([f"{i}.png" for i in range(15)], np.array([0] * 12 + [1] * 3), groups)
    said = []
    for number in range(2):
        with pytest.raises(DataError, match="has no") as error:
            fold(dataset, Folds(number=2, validation=0.1), seed=0, number=number)
        said.append(str(error.value))
    assert {text.partition(" has ")[2].partition(".")[0] for text in said} == {
        "no training image of class 1",
        "no test image of class 1",
    }


def test_a_fold_may_choose_its_epoch_without_a_rare_class():
    """Of the 2 images of class 1 a fold tests one and learns the other."""
    dataset = together([f"{i}.png" for i in range(22)], np.array([0] * 20 + [1] * 2), [])
    parts = [fold(dataset, Folds(number=2, validation=0.1), seed=0, number=number) for number in range(2)]
    assert [[part.per_class(split)[1] for split in SPLITS] for part in parts] == [[1, 0, 1]] * 2


def test_more_folds_than_the_rarest_class_has_groups_are_refused_with_how_many_it_allows():
    labels, groups = np.array([0] * 10 + [1] * 6), [f"p{i}" for i in range(10)] + ["q1", "q1", "q2", "q2", "q3", "q3"]
    ids = [f"{i}.png" for i in range(16)]
    check_folds(ids, labels, groups, Folds(number=3, validation=0.15), classes=("a", "b"), where="t.csv")
    with pytest.raises(DataError, match=r"t\.csv: class b has 3 groups, too few for 4 folds .* At most 3 folds"):
        check_folds(ids, labels, groups, Folds(number=4, validation=0.15), classes=("a", "b"), where="t.csv")
    with pytest.raises(DataError, match="class b has 6 images, too few for 7 folds"):
        check_folds(ids, labels, [], Folds(number=7, validation=0.15), classes=("a", "b"), where="t.csv")


def test_a_class_with_fewer_than_two_groups_a_fold_is_named():
    labels = np.array([0] * 20 + [1] * 14)
    groups = [f"p{i}" for i in range(20)] + [f"q{i // 2}" for i in range(14)]
    dataset = together([f"{i}.png" for i in range(34)], labels, groups)
    said = "class 1 has 7 groups for {} folds, so some folds test it by one group alone, which says little. With at "
    said += "most 3 folds, each can have two"
    for number in (4, 5, 7):
        assert said.format(number) in sparse(dataset, Folds(number=number, validation=0.15))
    for number in (2, 3):
        assert not sparse(dataset, Folds(number=number, validation=0.15))


# --- what a study may say -----------------------------------------------------------------------------

WRONG = {
    '{"folds": 5, "train": 0.7}': "has folds and train",
    '{"folds": 5, "test": 0.2, "validation": 0.1}': "has folds and test",
    '{"folds": 5, "file": "x.csv"}': "has folds and file",
    '{"folds": 5, "validation": 0.8}': "leaves no images to train on",
    '{"folds": 1}': "greater than or equal to 2",
    '{"folds": 21}': "less than or equal to 20",
    '{"validation": 0.2}': "needs all three fractions",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_contradicts_folds_is_refused(said):
    with pytest.raises(ValueError, match=WRONG[said]):
        Parts.model_validate_json(said)


def test_validation_has_a_default_with_folds_and_percentiles_of_training_images_are_refused(tmp_path):
    assert Parts.model_validate_json('{"folds": 5}').validation == 0.15
    own = {"kind": "folder", "path": "x", "split": {"folds": 3}, "window": {"percentiles": [1, 99]}, "size": 28}
    done = cli_here("check", written(tmp_path, tiny(datasets={"own": own})), cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"datasets.own.window.percentiles: are of the training images, and with folds", done.stderr)


# --- the plan -----------------------------------------------------------------------------------------


def own(**split: Any) -> dict[str, Any]:
    table = {"kind": "table", "path": "t.csv", "image": "images/{file}", "label": "dx", "group": "patient"}
    return {**table, "split": {"folds": 2, **split}, "size": 28, "publish_split": True}


def folded(**changes: Any) -> dict[str, Any]:
    """Two folds of two replicates: a generator, its images, and the classifiers of two arms."""
    study = tiny(
        name="folded",
        replicates=2,
        datasets={"own": own()},
        classifier={"epochs": 2, "batch_size": 16},
        generators={"cvae": {"kind": "cvae", "epochs": 1, "latent_dim": 4}},
        arms={"baseline": {}, "cvae": {"add": {"generator": "cvae", "amount": {"fraction": 0.5}}}},
        quality={"limit": 100, "components": 4, "draws": 2},
    )
    return study | changes


def planned(study: dict[str, Any], fingerprint: str = "the same bytes") -> Plan:
    checked = Study.model_validate_json(json.dumps(study))
    return plan(checked, {name: Source(fingerprint, 20, 4, 24, 2) for name in study["datasets"]})


def kinds(one: Plan, other: Plan) -> set[str]:
    return {task.kind for name, task in other.tasks.items() if name not in one.tasks}


def test_every_fold_has_its_own_generator_images_and_classifiers_and_a_run_joins_them():
    found = planned(folded())
    of_kind = {kind: [t for t in found.tasks.values() if t.kind == kind] for kind in VERSIONS}
    assert {kind: len(some) for kind, some in of_kind.items()} == {
        "data": 1,
        "overlap": 0,
        "subgroups": 0,
        "generator": 4,
        "synthesis": 4,
        "tuning": 0,
        "classifier": 8,
        "folds": 4,
        "test": 0,
        "quality": 2,
        "usefulness": 2,
    }
    assert [found.tasks[run.task].kind for run in found.runs] == ["folds"] * 4
    for run in found.runs:
        classifiers = [found.tasks[found.tasks[run.task].needs[f"fold {k}"]] for k in range(2)]
        assert [task.params["fold"] for task in classifiers] == [0, 1]
        for task in classifiers:
            for word in {"synthesis"} & task.needs.keys():
                images = found.tasks[task.needs[word]]
                assert images.params["fold"] == task.params["fold"]
                assert found.tasks[images.needs["generator"]].params["fold"] == task.params["fold"]
    for task in (*of_kind["quality"], *of_kind["usefulness"]):  # of the first fold of each replicate
        fold_of = {found.tasks[need].params.get("fold", 0) for need in task.needs.values()}
        assert fold_of == {task.params["fold"]} == {0}
    order = list(found.tasks)
    assert all(order.index(need) < order.index(name) for name in order for need in found.tasks[name].needs.values())


def test_all_that_decides_the_cut_is_in_the_keys_and_the_images_themselves_are_read_once():
    everything = {"generator", "synthesis", "classifier", "folds", "quality", "usefulness"}
    for split in ({"folds": 3}, {"validation": 0.2}, {"seed": 1}):
        assert kinds(planned(folded()), planned(folded(datasets={"own": own(**split)}))) == everything
    assert planned(folded(datasets={"own": own(validation=0.15)})).tasks.keys() == planned(folded()).tasks.keys()


def test_a_new_version_of_the_task_that_joins_makes_no_other_work(monkeypatch: pytest.MonkeyPatch):
    before = planned(folded())
    monkeypatch.setitem(VERSIONS, "folds", VERSIONS["folds"] + 1)
    assert kinds(before, planned(folded())) == {"folds"}


def test_one_arm_or_replicate_alone_takes_all_its_folds():
    part = planned(folded()).only({"arm": ["baseline"], "replicate": ["1"]})
    assert sorted(task.kind for task in part.tasks.values()) == ["classifier", "classifier", "data", "folds"]


# --- a study of folds ---------------------------------------------------------------------------------

N = 48


def table_of_images(folder: Path) -> None:
    """Two images of each of 24 patients, brighter where they are of class b."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    with open(folder / "t.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "patient", "dx"])
        for i in range(N):
            bright = i // 2 % 2
            pixels = np.clip(rng.normal(100 + 30 * bright, 40, (28, 28)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{i:02}.png")
            writer.writerow([f"{i:02}.png", f"p{i // 2}", "ab"[bright]])


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """The folder of a study of folds that was killed when the first replicate was half done, and resumed."""
    folder = tmp_path_factory.mktemp("folds")
    table_of_images(folder)
    study = written(folder, folded())
    first = start("run", study.name, "--no-site", "--workers", "1", cwd=folder)
    while not list((folder / "results").glob("classifier-*")):
        assert first.poll() is None, first.communicate()
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert len(list((folder / "results").glob("folds-*"))) < 4
    again = cli_here("run", study.name, "--no-site", "--workers", "1", cwd=folder)
    assert again.returncode == 0, again.stderr
    return folder


def here(folder: Path) -> Plan:
    """The plan of the study in a folder, as it was run."""
    content = json.loads((folder / "results" / "studies" / "folded.json").read_bytes())
    study = Study.model_validate_json(json.dumps(content["study"]))
    return plan(study, {name: Source(**entry) for name, entry in content["sources"].items()})


def test_the_predictions_of_a_run_are_those_of_the_fold_that_tests_each_image(done):
    store, todo = Store(done / "results"), here(done)
    cuts = {}
    for run in todo.runs:
        record = store.record(run.task)
        rule = record.values["selected"]["best_validation_auc"]
        assert rule == "best_validation_auc"
        with np.load(record.folder / "predictions.npz", allow_pickle=False) as file:
            found = dict(file)
        assert found["test_ids"].tolist() == [f"images/{i:02}.png" for i in range(N)]
        assert found["test_groups"].tolist() == [f"p{i // 2}" for i in range(N)]
        assert found["test_labels"].tolist() == [i // 2 % 2 for i in range(N)]
        assert found["test_folds"].dtype == np.int64
        cuts.setdefault(run.replicate, set()).add(tuple(found["test_folds"].tolist()))
        for number in range(2):
            epoch = store.record(record.needs[f"fold {number}"]).values["selected"][rule]
            with np.load(store.folder(record.needs[f"fold {number}"]) / "predictions.npz") as one:
                there = found["test_folds"] == number
                assert found["test_ids"][there].tolist() == one["test_ids"].tolist()
                assert np.array_equal(found[f"test_{rule}"][there], one[f"test_{epoch}"])
                assert not set(found["test_groups"][there]) & set(one["validation_groups"].tolist())
        scores = record.values["scores"][rule]["test"]
        labels, folds, guessed = found["test_labels"], found["test_folds"], found[f"test_{rule}"]
        of_folds = [evaluation.auc(labels[folds == k], guessed[folds == k]) for k in range(2)]
        assert scores["auc"] == pytest.approx(np.mean(of_folds))
        assert scores["accuracy"] == evaluation.accuracy(labels, guessed)
        assert np.sum(scores["confusion"]) == N
        assert [one["test_images"] for one in record.values["folds"]] == np.bincount(folds).tolist()
        for metric in ("auc", "accuracy"):  # tables and tests say the same
            values = pseudo_values(metric, guessed[None], labels, found["test_groups"], folds[None])
            assert values.mean() == pytest.approx(scores[metric])
    assert [len(some) for some in cuts.values()] == [1, 1]  # arms of a replicate are cut alike
    assert cuts[0] != cuts[1]


def test_pages_show_a_run_with_its_folds_and_tests_over_all_images(done):
    pages = done / "docs" / "studies" / "folded"
    run = (pages / "runs" / "own.cvae.shuffle.1.md").read_text()
    assert "## Folds" in run
    assert len(re.findall(r'<tr><th scope="row">[01]</th><td class="ma-count">', run)) == 2
    assert "mean over 2 folds" in run
    assert "replicate 1, fold 0" in run  # what it needs
    assert f"own: {N} test images of 24 groups that belong together" in (pages / "significance.md").read_text()
    facts = (pages / "data-sets.md").read_text()
    assert "2, cut anew in each replicate; every image is tested once in each." in facts
    assert "24, the largest of 2 images" in facts
    assert "replicate 0, fold 0" in (pages / "generators.md").read_text()
    assert "the images of the first fold of each replicate" in (pages / "synthetic-images.md").read_text()
    with open(pages / "data" / "splits" / "own.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "group", "class", "fold_of_replicate_0", "fold_of_replicate_1"]
    assert len(rows) == N
    with np.load(Store(done / "results").folder(here(done).runs[0].task) / "predictions.npz") as found:
        assert [int(row["fold_of_replicate_0"]) for row in rows] == found["test_folds"].tolist()


def test_the_test_is_that_of_all_images_with_the_folds_of_each_replicate(done):
    store, found = Store(done / "results"), {}
    for run in here(done).runs:
        with np.load(store.folder(run.task) / "predictions.npz") as file:
            found.setdefault(run.arm, []).append({name: file[name] for name in file.files})
    base, arm = found["baseline"], found["cvae"]
    expected = compare(
        "auc",
        *(np.stack([one["test_best_validation_auc"] for one in some]) for some in (arm, base)),
        base[0]["test_labels"],
        groups=base[0]["test_groups"],
        folds=np.stack([one["test_folds"] for one in base]),
    )
    table = json.loads((done / "docs" / "studies" / "folded" / "data" / "tests.json").read_text())
    (row,) = table["rows"]
    assert expected.effect is not None
    assert row["effect"]["value"] == pytest.approx(100 * expected.effect)
    assert row["p"]["value"] == pytest.approx(expected.p)


def test_an_operating_point_takes_the_threshold_of_the_fold_that_tests_each_image(done):
    study = Study.model_validate_json(json.dumps(folded(operating_points=[{"sensitivity": 0.9}])))
    own = study.datasets["own"].model_copy(update={"positive": "b"})
    results = Results(study.model_copy(update={"datasets": {"own": own}}), here(done), Store(done / "results"))
    found = operating_points(Inference(results))
    assert len(found) == 2
    for (cell, _), one in found.items():
        expected = []
        for run in results.groups[cell].done:
            with np.load(run.record.folder / "predictions.npz") as file:
                tested, folds = dict(file), file["test_folds"]
            called = np.empty(N, bool)
            for number, part in enumerate(run.parts):
                with np.load(part.record.folder / "predictions.npz") as file:
                    known = file[f"validation_{part.record.values['selected']['best_validation_auc']}"][:, 1]
                    ours = np.sort(known[file["validation_labels"] == 1])[::-1]
                least = ours[int(np.ceil(0.9 * len(ours))) - 1]
                called[folds == number] = tested["test_best_validation_auc"][folds == number, 1] >= least
            expected.append(called[tested["test_labels"] == 1].mean())
        assert one.means["sensitivity"] == pytest.approx(expected)


def test_the_checklist_says_that_every_image_is_tested_once(done):
    text = (done / "docs" / "studies" / "folded" / "data" / "checklist-claim.csv").read_text()
    said = {row["item"]: row["records"] for row in csv.DictReader(io.StringIO(text))}
    assert said["19"] == "own: 48 images in 2 folds, cut anew in each replicate; each image tested once."
    assert said["21"].startswith("own: 48 test images.")
    assert said["36"] == "Test images by class. own: a 24; b 24."
    assert said["9"].startswith("own: 28 × 28 pixels, gray, resized or windowed as the study file says. The network")


def test_the_time_of_a_run_is_that_of_its_folds_together(done):
    store = Store(done / "results")
    rows = json.loads((done / "docs" / "studies" / "folded" / "data" / "runs.json").read_text())
    for run, row in zip(here(done).runs, sorted(rows, key=lambda row: row["replicate"]), strict=True):
        needs = [need for word, need in store.record(run.task).needs.items() if word.startswith("fold ")]
        times = [store.record(task).run["seconds"] for task in (run.task, *needs)]
        assert row["seconds"] == pytest.approx(sum(times))
        assert row["epoch"] is None


def test_a_run_of_folds_is_made_again_to_the_bit(done):
    again = cli_here("reproduce", "folded", "own/cvae/shuffle/0", "--workers", "1", cwd=done)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("identical: ") == 8  # data, 2 generators, 2 times images, 2 classifiers, and the run
    assert "Identical: " in again.stdout


def test_a_generator_has_never_seen_the_test_images_of_its_fold(done, tmp_path):
    """Where an image changes, the generator of the fold that tests it stays as it was, and the other does not."""
    store, before = Store(done / "results"), here(done)
    run = before.runs[0]
    with np.load(store.folder(run.task) / "predictions.npz") as found:
        tests = int(found["test_folds"][0])
        image = found["test_ids"][0]
    table_of_images(tmp_path)
    pixels = np.array(Image.open(tmp_path / image))
    pixels[10:14, 10:14] = 255 - pixels[10:14, 10:14]
    Image.fromarray(pixels).save(tmp_path / image)
    study = Study.model_validate_json(json.dumps(folded()))
    section = {"dataset": "own", "name": "own", **study.datasets["own"].model_dump(), "path": str(tmp_path / "t.csv")}
    study = study.model_copy(
        update={"datasets": {"own": study.datasets["own"].model_copy(update={"path": section["path"]})}}
    )
    kind = data.KINDS["table"]
    sizes = kind.sizes(section)
    source = Source(kind.fingerprint(section, None), sizes.train, sizes.validation, sizes.test, 2)
    after, again = plan(study, {"own": source}), Store(tmp_path / "results")
    same = {}
    for making, earlier in zip(after.generators[:2], before.generators[:2], strict=True):
        for name in (after.data["own"], making.task):
            assert engine.attempt(after.tasks[name], again, lambda what, content: None)[0] in ("done", "found")
        old, new = (_weights(s.folder(m.task) / "sampler.keras") for s, m in ((store, earlier), (again, making)))
        same[making.fold] = all(np.array_equal(old[name], new[name]) for name in old)
    assert same == {tests: True, 1 - tests: False}


def test_check_refuses_folds_that_a_class_is_too_rare_for(tmp_path):
    table_of_images(tmp_path)
    rows = (tmp_path / "t.csv").read_text().replace(",b\n", ",a\n", 22)
    (tmp_path / "t.csv").write_text(rows)
    assert rows.count(",b\n") == 2
    done = cli_here("check", written(tmp_path, folded()), cwd=tmp_path)
    assert done.returncode == 2
    assert "datasets.own: t.csv: class b has 1 group, too few for 2 folds" in done.stderr
    assert "Folds are not possible with these classes" in done.stderr
    assert "Traceback" not in done.stderr
