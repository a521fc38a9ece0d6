"""Further test sets from elsewhere: which images are tried, their keys, laws, audit, statistics and pages."""

import html
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from report_records import ARMS, fake_results, fake_study

import medaug_keras as ma
from medaug_keras import data, engine
from medaug_keras.cli.mistakes import RequestError
from medaug_keras.cli.request import misfits
from medaug_keras.explain import explain
from medaug_keras.ownership import NotOursError
from medaug_keras.places import check_places
from medaug_keras.plan import Source, classes_of_test, located, plan
from medaug_keras.reading import StudyError, read
from medaug_keras.report.numbers import published
from medaug_keras.report.numbers.calibration import judged, judged_elsewhere, scaled, scaled_elsewhere
from medaug_keras.report.numbers.further import OTHER_IMAGES, further_tests
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import methods_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.numbers.thresholds import MEASURES, operating_points, points_elsewhere
from medaug_keras.report.pages.study import Pages
from medaug_keras.spec import Study, place_of_test
from medaug_keras.stats import benjamini_hochberg, crossed, holm, pseudo_values
from medaug_keras.store import Failure, Outcome, Store
from studies import PHANTOM, PROJECT, cli_here, tiny, written

OWN = data.load_phantom("phantom-ultrasound", train=48, validation=16, test=16, seed=0, size=28)
ELSEWHERE = {"kind": "phantom", "name": "phantom-ultrasound", "train": 8, "validation": 4, "test": 12, "seed": 7}
SPLITS = {"train": "train", "validation": "val", "test": "test"}


def with_tests(tests, **more):
    return tiny(datasets={"grey": {**PHANTOM, "tests": tests}}, **more)


def whole_plan(study):
    """The plan of a study whose data lie where it says."""
    checked = Study.model_validate_json(json.dumps(study))
    sources = {}
    for name in checked.sets:
        section = located(checked, name, "")
        kind = data.KINDS[section["kind"]]
        sizes = kind.sizes(section)
        counts = sizes.train, sizes.validation, sizes.test
        more = {"class_names": tuple(sizes.classes), "several": sizes.several, "channels": sizes.image_shape[2]}
        sources[name] = Source(kind.fingerprint(section, None), *counts, len(sizes.classes), **more)
    return plan(checked, sources)


def arrays(path, **changes):
    """The phantom as a file of arrays; `changes` of the test split: images, labels."""
    found = {}
    for split, word in SPLITS.items():
        some = getattr(OWN, split)
        found |= {f"{word}_images": some.images[..., 0], f"{word}_labels": some.labels}
    np.savez(path, **found | {f"test_{what}": value for what, value in changes.items()})
    return {"kind": "npz", "path": str(path), "classes": list(OWN.classes)}


def pictures(folder, split, *, side=28, table=True):
    """Some images of the phantom as files, with a table or in a folder for each class; every two are a group."""
    rows = []
    for place, (image, k) in enumerate(zip(split.images[..., 0], split.labels, strict=True)):
        name = f"{place}.png" if table else f"{OWN.classes[k]}/{place}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST).save(folder / name)
        rows.append(f"{name},{OWN.classes[k]},p{place // 2}")
    if not table:
        return {"kind": "folder", "path": str(folder)}
    (folder / "b.csv").write_text("\n".join(["file,class,patient", *rows]) + "\n")
    return {"kind": "table", "path": str(folder / "b.csv"), "image": "file", "label": "class"}


def done(study, root):
    todo, store = whole_plan(study), Store(root)
    for task in todo.tasks.values():
        if not store.is_done(task.id):
            state, *said = engine.attempt(task, store, lambda what, content: None)
            assert state == "done", said
    return todo, store


def kept(store, task):
    with np.load(store.folder(task) / "predictions.npz") as file:
        return dict(file)


# --- what a study may say ---


def mistakes(tmp_path, part, more="size: 28, "):
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: a\ntitle: A\nquestion: A?\narms: {baseline: {}}\ndatasets:\n"
        f"  mine: {{kind: folder, path: x, {more}tests: {{b: {part}}}}}\n"
    )
    with pytest.raises(StudyError, match="is not a study") as caught:
        read(path)
    return [message for _, message in caught.value.mistakes]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("{kind: tabel, path: y}", "tests.b.kind: got 'tabel'; did you mean table?"),
        ("{path: y}", "tests.b.kind: is missing; choose from corruptions, medmnist, phantom, npz, folder, table"),
        ("{kind: folder, path: y, positive: x}", "datasets.mine.tests.b.positive: is said by the data set"),
        ("{kind: folder, path: y, ordinal: true}", "tests.b.ordinal: is said by the data set"),
        ("{kind: folder, path: y, publish_split: true}", "tests.b.publish_split: is of data sets"),
        ("{kind: folder, path: y, size: 32}", "tests.b.size: its images are made 28 x 28, as those of mine"),
        ("{kind: folder, path: y, split: {folds: 3}}", "tests.b.split.folds: are of data sets that are trained on"),
        ("{kind: folder, path: y, split: {column: s}}", "tests.b.split.column: is of a table, which a folder has not"),
        (
            "{kind: folder, path: y, window: {percentiles: [1, 99]}}",
            "tests.b.window.percentiles: are of training images, and on these none is trained",
        ),
        (
            "{kind: folder, path: y, tests: {c: {kind: corruptions}}}",
            "tests.b.tests: are of data sets, and this is a further test set itself",
        ),
        ("{kind: folder, path: y, subgroups: [sex]}", "datasets.mine.tests.b.subgroups: not a setting"),
        ("{kind: medmnist}", "tests.b: b is not a MedMNIST data set: say which with name"),
        ("{kind: npz, path: y, classes: [a, a]}", "tests.b.classes: needs two or more different names"),
    ],
)
def test_what_a_test_set_from_elsewhere_cannot_say_is_refused_in_one_message(tmp_path, part, said):
    (message,) = mistakes(tmp_path, part)
    assert said in message


def test_a_published_set_of_another_size_is_refused(tmp_path):
    (message,) = mistakes(tmp_path, "{kind: medmnist, name: breastmnist}", "size: 32, ")
    assert "tests.b.size: there is no b of 32 x 32 pixels, as those of mine are" in message


def test_a_table_that_is_trained_on_still_needs_its_split(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: a\ntitle: A\nquestion: A?\narms: {baseline: {}}\n"
        "datasets: {mine: {kind: table, path: x, image: f, label: c}}\n"
    )
    with pytest.raises(StudyError, match=r"datasets\.mine\.split: is missing; add it: Which image is in which split"):
        read(path)


def test_images_from_elsewhere_have_the_size_of_the_data_set_wherever_it_is_said(tmp_path):
    path = tmp_path / "study.yaml"
    for before, inside in (("size: 40\n", ""), ("", "size: 40, ")):
        path.write_text(
            f"name: a\ntitle: A\nquestion: A?\narms: {{baseline: {{}}}}\n{before}datasets:\n"
            f"  mine: {{kind: folder, path: x, {inside}tests: {{b: {{kind: folder, path: y}}}}}}\n"
        )
        study = read(path)
        part = study.sets["mine.tests.b"]
        assert (part.side, part.path) == (40, str(tmp_path / "y"))
        assert Study.model_validate_json(study.model_dump_json()) == study


def test_what_is_published_of_a_test_set_from_elsewhere_has_no_path():
    study = Study.model_validate_json(
        json.dumps(
            with_tests({"b": {"kind": "table", "path": "/secret/b.csv", "image": "/secret/{f}.png", "label": "c"}})
        )
    )
    shown = published.study(study)
    assert "secret" not in shown.model_dump_json()
    assert shown.datasets["grey"].tests["b"].path == "grey-tests-b.csv"


def test_pages_may_not_lie_among_images_from_elsewhere(tmp_path):
    part = {"kind": "folder", "path": str(tmp_path / "docs" / "b")}
    study = Study.model_validate_json(json.dumps(with_tests({"b": part})))
    folders = {"docs": tmp_path / "docs", "site": None, "results": tmp_path / "results", "data": tmp_path / "data"}
    with pytest.raises(NotOursError, match=r"tests\.b\.path of the data set grey"):
        check_places(study, file=tmp_path / "study.yaml", **folders)


def test_what_a_failed_overlap_says_is_not_published_where_it_names_the_way_to_either_data_set():
    (name,) = whole_plan(with_tests({"b": ELSEWHERE})).overlaps.values()
    task = whole_plan(with_tests({"b": ELSEWHERE})).tasks[name]
    beside = {**task.local["beside"], "path": "/people/annamiller/b.csv"}
    task = replace(task, local={**task.local, "beside": beside})
    failure = Failure("overlap", task.key, "ValueError: annamiller has no images", "", {})
    failed = Outcome("failed", failure=failure)
    assert "annamiller" not in published.outcome(failed, task, Path("results")).reason


def test_an_unverified_copy_is_accepted_of_a_test_set_too(tmp_path):
    study = with_tests({"b": {"kind": "medmnist", "name": "breastmnist"}})
    assert not read(written(tmp_path, study)).sets["grey.tests.b"].accept_unverified
    assert read(written(tmp_path, study), accept_unverified=True).sets["grey.tests.b"].accept_unverified


# --- the plan ---


def test_a_test_set_from_elsewhere_adds_its_data_its_overlap_and_a_test_a_run_and_changes_no_other_task():
    before, after = whole_plan(tiny(replicates=2)), whole_plan(with_tests({"b": ELSEWHERE}, replicates=2))
    added = [task for name, task in after.tasks.items() if name not in before.tasks]
    assert {name: task.key for name, task in before.tasks.items()}.items() <= {
        name: task.key for name, task in after.tasks.items()
    }.items()
    assert sorted(task.kind for task in added) == ["data", "overlap", *["test"] * 4]
    tests = [task for task in added if task.kind == "test"]
    assert {task.needs["classifier"] for task in tests} == {run.task for run in after.runs}
    assert {(task.images, task.needs["data"]) for task in tests} == {(12, after.data["grey.tests.b"])}
    order = list(after.tasks)
    assert all(order.index(need) < order.index(name) for name, t in after.tasks.items() for need in t.needs.values())


@pytest.mark.parametrize(
    ("tests", "new"),
    [
        ({"other-name": ELSEWHERE}, []),
        ({"b": {**ELSEWHERE, "seed": 8}}, ["data", "overlap", "test", "test"]),
        ({"b": ELSEWHERE, "worse": {"kind": "corruptions"}}, ["test", "test"]),
        ({"b": ELSEWHERE, "same": PHANTOM}, ["overlap", "test", "test"]),
    ],
)
def test_only_what_a_test_set_from_elsewhere_shows_is_in_its_keys(tests, new):
    before, after = whole_plan(with_tests({"b": ELSEWHERE})), whole_plan(with_tests(tests))
    assert sorted(task.kind for name, task in after.tasks.items() if name not in before.tasks) == new


def test_the_numbers_of_classes_follow_their_names_and_are_in_the_keys():
    own = Source("a", 1, 1, 1, 3, class_names=("x", "y", "z"))
    assert classes_of_test(replace(own, class_names=("z", "x", "y")), own) == [2, 0, 1]
    assert classes_of_test(replace(own, class_names=("x", "y")), own) is None
    assert classes_of_test(replace(own, class_names=("x", "y", "w")), own) is None
    assert classes_of_test(replace(own, several=True), own) is None
    study = Study.model_validate_json(json.dumps(with_tests({"b": ELSEWHERE})))
    plans = []
    for names in (("x", "y"), ("y", "x")):
        there = Source("b", 8, 4, 12, 2, class_names=names)
        plans.append(plan(study, {"grey": replace(own, class_names=("x", "y")), "grey.tests.b": there}))
    differ = plans[0].tasks.keys() ^ plans[1].tasks.keys()
    assert {name.partition("-")[0] for name in differ} == {"test", "overlap"}


def test_a_part_of_a_plan_has_the_overlaps_of_its_data_sets():
    study = with_tests({"b": ELSEWHERE})
    study["datasets"]["other"] = {**PHANTOM, "seed": 3}
    todo = whole_plan(study)
    assert len(todo.only({"dataset": ["grey"]}).overlaps) == 1
    assert not todo.only({"dataset": ["other"]}).overlaps
    part = todo.only({"dataset": ["grey"], "arm": ["flip"]})
    assert sorted(task.kind for task in part.tasks.values()) == ["classifier", "data", "data", "overlap", "test"]


# --- which images ---


def tried(part, size=28):
    study = Study.model_validate_json(json.dumps(with_tests({"b": part})))
    found = data.load(located(study, "grey.tests.b", ""), None)
    return data.tried(found, range(len(found.classes)))


def test_of_a_set_in_splits_the_test_images_are_tried_else_all(tmp_path):
    assert len(tried(ELSEWHERE).labels) == 12
    assert len(tried(arrays(tmp_path / "a.npz")).labels) == 16
    table = pictures(tmp_path / "table", OWN.train)
    assert len(tried(table).labels) == 48
    parts = {"train": 0.5, "validation": 0.25, "test": 0.25}
    assert len(tried({**table, "split": parts}).labels) == 12
    folder = pictures(tmp_path / "folder", OWN.train, table=False)
    assert len(tried(folder).labels) == 48
    for split, word in SPLITS.items():
        pictures(tmp_path / "splits" / word, getattr(OWN, split), table=False)
    found = tried({"kind": "folder", "path": str(tmp_path / "splits")})
    assert len(found.labels) == 16
    assert (np.sort(found.images.sum((1, 2, 3))) == np.sort(OWN.test.images.sum((1, 2, 3)))).all()


def test_images_of_a_table_are_brought_to_the_data_sets_size_and_keep_their_groups(tmp_path):
    found = tried({**pictures(tmp_path, OWN.test, side=56), "group": "patient"})
    assert found.images.shape == OWN.test.images.shape
    assert len(set(found.groups)) == 8


def test_findings_are_put_into_the_order_of_the_data_set():
    labels = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]])
    split = data.Split(np.zeros((3, 8, 8, 1), np.uint8), labels)
    some = replace(OWN, classes=("x", "y", "z"), train=split, validation=split, test=split)
    assert data.tried(some, [2, 0, 1]).labels.tolist() == [[0, 0, 1], [1, 1, 0], [0, 1, 0]]
    with pytest.raises(data.DataError, match="are not those of the data set"):
        data.tried(some, None)
    with pytest.raises(data.DataError, match="are not those of the data set"):
        data.tried(some, [])


# --- laws of the task ---


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The phantom's own test images as test sets from elsewhere, in several forms."""
    folder = tmp_path_factory.mktemp("outside")
    order = np.random.default_rng(0).permutation(len(OWN.test.labels))
    images, labels = OWN.test.images[..., 0], OWN.test.labels
    every = {
        "same": PHANTOM,
        "arrays": arrays(folder / "a.npz"),
        "permuted": arrays(folder / "b.npz", images=images[order], labels=labels[order]),
        "renamed": {**arrays(folder / "c.npz"), "classes": list(OWN.classes)[::-1]},
        "table": {**pictures(folder / "table", OWN.test), "group": "patient"},
    }
    with np.load(folder / "c.npz") as file:
        turned = {name: 1 - value if name.endswith("labels") else value for name, value in file.items()}
    np.savez(folder / "c.npz", **turned)
    return (*done(with_tests(every), folder / "results"), order, every)


@pytest.mark.parametrize("name", ["same", "arrays", "renamed", "permuted", "table"])
def test_the_test_images_from_elsewhere_give_the_probabilities_and_scores_of_the_test_images(made, name):
    todo, store, order, _ = made
    for run in todo.runs:
        trained, own = store.record(run.task).values, kept(store, run.task)
        values, found = store.record(run.tests[name]).values, kept(store, run.tests[name])
        assert values["selected"] == trained["selected"]
        assert values["images"] == len(OWN.test.labels)
        there = order if name == "permuted" else np.arange(len(OWN.test.labels))
        if name == "table":
            there = np.array([int(image.partition(".")[0]) for image in found["test_ids"]])
        assert (found["test_labels"] == own["test_labels"][there]).all()
        for epoch, scores in trained["scores"].items():
            p, expected = found[f"test_{epoch}"], own[f"test_{epoch}"][there]
            if name in ("permuted", "table"):
                assert p == pytest.approx(expected, abs=1e-6)
                numbers = {k: v for k, v in scores["test"].items() if isinstance(v, float) and k != "loss"}
                assert {k: values["scores"][epoch]["test"][k] for k in numbers} == pytest.approx(numbers, abs=1e-6)
            else:
                assert (p == expected).all()
                assert values["scores"][epoch]["test"] == scores["test"]


def test_several_findings_in_another_order_give_the_same_scores(tmp_path):
    rng = np.random.default_rng(1)
    found = {}
    for word, number in (("train", 40), ("val", 16), ("test", 16)):
        labels = rng.integers(0, 2, (number, 3))
        labels[:4] = [[0, 0, 0], [1, 1, 1], [1, 0, 1], [0, 1, 0]]
        found |= {f"{word}_images": rng.integers(0, 255, (number, 28, 28), dtype=np.uint8), f"{word}_labels": labels}
    np.savez(tmp_path / "a.npz", **found)
    order = [2, 0, 1]
    turned = {name: value[:, order] if name.endswith("labels") else value for name, value in found.items()}
    np.savez(tmp_path / "b.npz", **turned)
    own = {"kind": "npz", "path": str(tmp_path / "a.npz"), "classes": ["x", "y", "z"]}
    other = {"kind": "npz", "path": str(tmp_path / "b.npz"), "classes": ["z", "x", "y"]}
    study = tiny(datasets={"findings": {**own, "tests": {"b": other}}}, arms={"baseline": {}})
    todo, store = done(study, tmp_path / "results")
    (run,) = todo.runs
    trained, there = kept(store, run.task), kept(store, run.tests["b"])
    assert (there["test_labels"] == trained["test_labels"]).all()
    for epoch, scores in store.record(run.task).values["scores"].items():
        assert (there[f"test_{epoch}"] == trained[f"test_{epoch}"]).all()
        assert store.record(run.tests["b"]).values["scores"][epoch]["test"] == scores["test"]
    results = Results(Study.model_validate_json(json.dumps(study)), todo, store)
    assert [one.reason for one in further_tests(Inference(results)).values()] == [""]


def test_groups_of_a_test_set_from_elsewhere_are_kept_with_its_predictions(made):
    todo, store, *_ = made
    found = kept(store, todo.runs[0].tests["table"])
    places = [int(image.partition(".")[0]) for image in found["test_ids"]]
    assert found["test_groups"].tolist() == [f"p{place // 2}" for place in places]
    assert "test_groups" not in kept(store, todo.runs[0].tests["same"])


def test_a_test_or_an_overlap_that_is_made_again_is_the_same_to_the_byte(made, tmp_path):
    todo, store, *_ = made
    other = Store(tmp_path / "results")
    shutil.copytree(store.root, other.root, dirs_exist_ok=True)
    shutil.rmtree(other.root / "unpacked")
    for name, file in (
        (todo.runs[1].tests["table"], "predictions.npz"),
        (todo.overlaps["grey.tests.table"], "audit.npz"),
    ):
        shutil.rmtree(other.folder(name))
        (other.root / "unfinished" / name).mkdir(parents=True)  # a killed one leaves such a folder
        assert engine.attempt(todo.tasks[name], other, lambda what, content: None)[0] == "done"
        first, second = (s.folder(name) / file for s in (store, other))
        assert first.read_bytes() == second.read_bytes()
        assert store.record(name).values == other.record(name).values


def test_why_a_test_elsewhere_would_run_is_said_by_its_own_data(made):
    _, store, _, every = made
    todo = whole_plan(with_tests({**every, "same": {**PHANTOM, "seed": 5}}))
    said = explain(todo.tasks[todo.runs[0].tests["same"]], todo, store)
    assert "datasets.grey.tests.same.seed: " in said


def test_bytes_that_changed_since_the_data_were_read_are_refused_by_the_name_of_the_test_set(made, tmp_path):
    todo, store, *_ = made
    other = Store(tmp_path / "results")
    shutil.copytree(store.root, other.root, dirs_exist_ok=True)
    shutil.rmtree(other.root / "unpacked")
    name = todo.runs[0].tests["arrays"]
    shutil.rmtree(other.folder(name))
    task = todo.tasks[name]
    moved = arrays(tmp_path / "other.npz", labels=1 - OWN.test.labels)
    changed = replace(task, local={**task.local, "path": moved["path"]})
    state, failure, *_ = engine.attempt(changed, other, lambda what, content: None)
    assert state == "failed"
    assert "grey.tests.arrays: the data changed while the study ran" in failure.error


# --- the audit ---


def overlap(test, train=OWN):
    both = data.beside(train, replace(train, name="b", test=test), range(len(train.classes)))
    return both.summary() | {"audit": data.audit(both)}


def test_images_that_training_knows_are_counted_identical_or_nearly_and_fail():
    other = data.load_phantom("phantom-ultrasound", train=8, validation=4, test=20, seed=9, size=28).test
    brighter = np.clip(OWN.train.images[5:8].astype(int) + 8, 0, 255).astype(np.uint8)
    images = np.concatenate([other.images, OWN.train.images[:4], brighter, OWN.validation.images[:2]])
    labels = np.concatenate([other.labels, OWN.train.labels[:4], OWN.train.labels[5:8], OWN.validation.labels[:2]])
    summary = overlap(data.Split(images, labels))
    found = summary["audit"]["test"]
    assert (found["in_train"], found["near_in_train"], found["in_validation"]) == (4, 3, 2)
    check = data.checks_outside(summary)[0]
    assert (check.name, check.level) == ("known", "fail")
    assert [one.level for one in check.found] == ["fail", "fail", "warn"]
    assert "4 of 29 (13.8 %) test images are identical to a training image" in check.found[0].text
    clean = data.checks_outside(overlap(other))
    assert (clean[0].level, clean[0].found[0].text) == (
        "pass",
        "None of 20 images is, or nearly, a training or validation image.",
    )
    only = overlap(data.Split(OWN.validation.images[:2], OWN.validation.labels[:2]))
    assert data.checks_outside(only)[0].level == "warn"


def test_a_group_elsewhere_is_not_the_group_of_the_same_name_here():
    groups = tuple("ab"[place % 2] for place in range(48))
    here = replace(OWN, train=replace(OWN.train, groups=groups))
    test = data.Split(OWN.test.images, OWN.test.labels, groups=("a",) * 16)
    found = overlap(test, here)["audit"]["test"]
    assert (found["groups"], found["largest_group"], found["group_in_train"]) == (1, 16, 0)


def test_images_of_other_channels_are_refused():
    color = replace(OWN, test=data.Split(np.repeat(OWN.test.images, 3, axis=-1), OWN.test.labels))
    with pytest.raises(data.DataError, match=r"its images are 28 x 28 color, and those of .* are 28 x 28 gray"):
        data.beside(OWN, color, [0, 1])


def test_the_overlap_task_finds_the_test_images_nowhere_in_training_and_shows_no_pair_without_them(made):
    todo, store, *_ = made
    for name in ("same", "table"):
        record = store.record(todo.overlaps[place_of_test("grey", name)])
        assert record.values["splits"]["test"]["images"] == 16
        assert record.values["audit"]["test"]["in_train"] == 0
        with np.load(record.folder / "audit.npz") as file:
            assert all((file[key] == 2).any(axis=1).all() for key in file if key.endswith("_splits"))


# --- check and run ---


def test_classes_and_channels_that_differ_are_said_by_check_and_run():
    study = Study.model_validate_json(json.dumps(with_tests({"b": ELSEWHERE})))
    own = Source("a", 48, 16, 16, 2, class_names=("malignant", "benign"), channels=1)

    def said(**changes):
        return misfits(study, {"grey": own, "grey.tests.b": replace(own, **changes)})

    assert said(class_names=("benign", "malignant")) == []
    (line,) = said(class_names=("benign", "cancer"))
    assert line.startswith(
        "datasets.grey.tests.b: its classes are 'benign', 'cancer', and those of grey are 'malignant'"
    )
    (line,) = said(channels=3)
    assert "its images are rgb, and those of grey are grey: set colour: grey" in line
    (line,) = said(several=True)
    assert "has several findings an image, and grey has one class an image" in line
    assert said(class_names=()) == []


def test_check_says_what_is_odd_and_writes_what_to_leave_out_and_a_run_without_the_file_makes_the_rest(tmp_path):
    images = data.Split(
        np.concatenate([OWN.train.images[:5], OWN.test.images]), np.concatenate([OWN.train.labels[:5], OWN.test.labels])
    )
    part = pictures(tmp_path / "b", images)
    study = with_tests({"b": part})
    study["arms"] = {"baseline": {}}
    path = written(tmp_path, study)
    found = cli_here("check", path, "--audit", "audits", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "datasets.grey.tests.b: fail: 5 of 21 (23.8 %) test images are identical to a training image" in found.stderr
    assert "write under datasets.grey.tests.b:  drop: audits/grey.tests.b.csv" in found.stderr.replace("\n", " ")
    rows = (tmp_path / "audits/grey.tests.b.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows[1:]] == [f"{place}.png" for place in range(5)]

    part["drop"] = "audits/grey.tests.b.csv"
    written(tmp_path, study)
    found = cli_here("check", path, cwd=tmp_path)
    assert "identical to a training image" not in found.stderr

    (tmp_path / "b").rename(tmp_path / "away")
    found = cli_here("run", path, "--no-site", "--workers", "1", cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    assert "datasets.grey.tests.b cannot be read now" in found.stderr
    assert "2 tasks done" in found.stdout + found.stderr
    page = (tmp_path / "docs/studies/tiny/other-test-sets.md").read_text()
    assert "baseline" in page

    (tmp_path / "away").rename(tmp_path / "b")
    found = cli_here("run", path, "--no-site", "--workers", "1", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "3 tasks done" in found.stdout + found.stderr
    (tmp_path / "b").rename(tmp_path / "away")
    found = cli_here("report", path, "--no-site", cwd=tmp_path)
    assert "Its 1 finished result is shown from the last known fingerprint" in found.stderr
    said = html.unescape((tmp_path / "docs/studies/tiny/other-test-sets.md").read_text())
    assert "It cannot be read now, and what is shown was made before" in said
    (tmp_path / "away").rename(tmp_path / "b")

    opened = ma.open(path, results=tmp_path / "results")
    task = opened._plan.runs[0].tests["b"]
    found = cli_here("reproduce", path, task, "--workers", "1", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "Identical: record, predictions and images" in found.stdout


# --- statistics and page ---


def study_of(primary="accuracy", tests=None):
    arms = {n: ARMS[n] for n in ("baseline", "gda", "cvae")}
    study = fake_study(datasets=("breastmnist",), arms=arms, samplings=["shuffle"], primary=primary)
    content = study.model_dump(mode="json")
    content["datasets"]["breastmnist"]["tests"] = (
        {"hospital_b": {"kind": "npz", "path": "/secret/b.npz", "licence": "CC0"}} if tests is None else tests
    )
    return Study.model_validate_json(json.dumps(content))


def inference_of(root, study=None, **more):
    study = study or study_of()
    return Inference(Results(study, *fake_results(study, root, **more)))


@pytest.mark.parametrize("primary", ["accuracy", "auc", "balanced_accuracy"])
def test_differences_are_those_of_the_crossed_analysis_of_the_groups_elsewhere(tmp_path, primary):
    inference = inference_of(tmp_path, study_of(primary))
    found, by_hand = further_tests(inference), {}
    for (cell, name), one in found.items():
        values, own = [], []
        for run in one.group.runs:
            epoch = run.selected(inference.results.select)
            with np.load(run.tests[name].record.folder / "predictions.npz") as file:
                p, labels, groups = file[f"test_{epoch}"], file["test_labels"], file["test_groups"]
            values.append(pseudo_values(primary, p[None], labels, groups)[0])
            with np.load(run.record.folder / "predictions.npz") as file:
                own.append(pseudo_values(primary, file[f"test_{epoch}"][None], file["test_labels"])[0].mean())
        by_hand[cell[1]] = np.stack(values)
        assert (one.images, one.units) == (100, 50)
        assert one.score.mean == pytest.approx(np.mean(values))
        assert one.change.effect == pytest.approx(np.mean([v.mean() for v in values]) - np.mean(own))
        assert (one.change.low, one.change.high, one.change.reason) == (None, None, OTHER_IMAGES)
    for (cell, _), one in found.items():
        if cell[1] == "baseline":
            assert one.difference is None
            continue
        expected = crossed(by_hand[cell[1]] - by_hand["baseline"], images=100)
        r = one.difference.result
        assert (r.effect, r.p, r.images, r.groups) == pytest.approx((expected.effect, expected.p, 100, 50))
    compared = [one.difference for one in found.values() if one.difference is not None]
    assert [one.holm for one in compared] == holm([one.result.p_family for one in compared])


POINTS = [{"sensitivity": 0.8}, "youden"]


def test_on_the_own_test_images_once_more_operating_points_and_calibration_are_those_on_the_test_images(tmp_path):
    """The same images, and so the same probabilities and thresholds; p is corrected among themselves."""
    study = with_tests({"b": PHANTOM}, replicates=2, operating_points=POINTS)
    study["datasets"]["grey"]["positive"] = OWN.classes[0]
    inference = Inference(Results(Study.model_validate_json(json.dumps(study)), *done(study, tmp_path)))
    (there,), own = points_elsewhere(inference).values(), operating_points(inference)
    assert there.keys() == own.keys()
    assert len(own) == 2 * 2
    for key, one in own.items():
        other = there[key]
        assert (other.thresholds, other.means, other.shares) == (one.thresholds, one.means, one.shares)
        assert (other.differences, other.intervals, other.rates) == (one.differences, one.intervals, one.rates)
        assert one.means["sensitivity"]
    (there,), own = judged_elsewhere(inference).values(), judged(inference)
    assert there.keys() == own.keys()
    assert len(own) == 2
    for cell, one in own.items():
        assert there[cell].means == one.means
        assert (there[cell].differences, there[cell].rates) == (one.differences, one.rates)
        assert one.means["pr_auc"]
    own = scaled(inference)
    (there,) = scaled_elsewhere(inference, own).values()
    assert there.keys() == own.keys()
    for cell, one in own.items():
        assert there[cell].temperatures == one.temperatures != []
        assert (there[cell].means, there[cell].differences, there[cell].rates) == (
            one.means,
            one.differences,
            one.rates,
        )
        assert one.means["ece"]


def test_thresholds_of_the_validation_images_at_home_are_applied_to_images_elsewhere(tmp_path):
    study = study_of(tests={name: {"kind": "npz", "path": f"{name}.npz"} for name in ("b", "c")})
    chosen = {"operating_points": [{"sensitivity": 0.8}]}
    study = Study.model_validate_json(json.dumps(study.model_dump(mode="json") | chosen))
    inference = inference_of(tmp_path, study)
    found, own = points_elsewhere(inference), operating_points(inference)
    assert list(found) == ["breastmnist.tests.b", "breastmnist.tests.c"]
    positive = inference.results.positive("breastmnist")
    for place, points in found.items():
        for (cell, at), one in points.items():
            assert one.thresholds == own[cell, at].thresholds
            rates = {"sensitivity": [], "specificity": []}
            for run, threshold in zip(one.group.runs, one.thresholds, strict=True):
                epoch = run.selected(inference.results.select)
                record = run.tests[place.rpartition(".")[2]].record
                with np.load(record.folder / "predictions.npz") as file:
                    called = file[f"test_{epoch}"][:, positive] >= threshold
                    ill = file["test_labels"] == positive
                rates["sensitivity"].append(called[ill].mean())
                rates["specificity"].append((~called[~ill]).mean())
            for measure, by_hand in rates.items():
                assert one.means[measure] == pytest.approx(by_hand)
                if cell[1] != "baseline":
                    base = points[("breastmnist", "baseline", "shuffle"), at]
                    expected = np.mean(by_hand) - np.mean(base.means[measure])
                    assert one.differences[measure].effect == pytest.approx(expected)
    every = [(one, m) for points in found.values() for one in points.values() for m in one.differences]
    corrected = benjamini_hochberg([one.differences[m].p_family for one, m in every])
    assert [one.rates[m] for one, m in every] == corrected
    assert len(every) == 2 * 2 * len(MEASURES)


def test_calibration_elsewhere_is_that_of_the_groups_there_and_corrected_over_all_of_it(tmp_path):
    tests = {name: {"kind": "npz", "path": f"{name}.npz"} for name in ("b", "c")}
    inference = inference_of(tmp_path, study_of(tests=tests))
    found, every = judged_elsewhere(inference), []
    for place, here in found.items():
        values = {}
        for cell, one in here.items():
            values[cell[1]] = []
            for run in one.group.runs:
                record = run.tests[place.rpartition(".")[2]].record
                with np.load(record.folder / "predictions.npz") as file:
                    p, labels = file[f"test_{run.selected(inference.results.select)}"], file["test_labels"]
                    groups = file["test_groups"]
                of_images = ((p[:, 1] - labels) ** 2).astype(float)
                values[cell[1]].append([of_images[groups == name].sum() for name in np.unique(groups)])
            values[cell[1]] = np.array(values[cell[1]]) * 50 / 100  # so that the mean over groups is that over images
            assert one.means["brier"] == pytest.approx(values[cell[1]].mean(1), rel=1e-5)
        for cell, one in here.items():
            if cell[1] == "baseline":
                assert not one.differences
                continue
            expected = crossed(values[cell[1]] - values["baseline"], images=100)
            r = one.differences["brier"]
            assert (r.p, r.images, r.groups) == (pytest.approx(expected.p, rel=1e-4), 100, 50)
            every += [(one, measure) for measure in one.differences]
    assert list(found) == ["breastmnist.tests.b", "breastmnist.tests.c"]
    corrected = benjamini_hochberg([one.differences[measure].p_family for one, measure in every])
    assert [one.rates[measure] for one, measure in every] == corrected


def test_images_elsewhere_are_scaled_by_the_temperatures_of_the_own_validation_images(tmp_path):
    tests = {name: {"kind": "npz", "path": f"{name}.npz"} for name in ("b", "c")}
    inference = inference_of(tmp_path, study_of(tests=tests))
    own, select, every = scaled(inference), inference.results.select, []
    found = scaled_elsewhere(inference, own)
    assert list(found) == ["breastmnist.tests.b", "breastmnist.tests.c"]
    for place, here in found.items():
        values = {}
        for cell, one in here.items():
            assert one.temperatures == own[cell].temperatures
            values[cell[1]] = []
            for run, at in zip(one.group.runs, one.temperatures, strict=True):
                record = run.tests[place.rpartition(".")[2]].record
                with np.load(record.folder / "predictions.npz") as file:
                    p, labels = file[f"test_{run.selected(select)}"].astype(float), file["test_labels"]
                    groups = file["test_groups"]
                p = p ** (1 / at) / (p ** (1 / at)).sum(1, keepdims=True)
                of_images = (p[:, 1] - labels) ** 2
                values[cell[1]].append([of_images[groups == name].sum() for name in np.unique(groups)])
            values[cell[1]] = np.array(values[cell[1]]) * 50 / 100  # so that the mean over groups is that over images
            assert one.means["brier"] == pytest.approx(values[cell[1]].mean(1), rel=1e-5)
        for cell, one in here.items():
            if cell[1] != "baseline":
                expected, r = crossed(values[cell[1]] - values["baseline"], images=100), one.differences["brier"]
                assert (r.effect, r.p) == pytest.approx((expected.effect, expected.p), rel=1e-4)
            every += [(one, measure) for measure in one.differences]
    assert any(abs(at - 1) > 0.05 for one in own.values() for at in one.temperatures)
    corrected = benjamini_hochberg([one.differences[measure].p_family for one, measure in every])
    assert [one.rates[measure] for one, measure in every] == corrected
    assert len(every) == 2 * 2 * 3


def test_operating_points_elsewhere_are_a_table_where_the_study_has_any(tmp_path):
    study = study_of()
    files = Pages((plain := inference_of(tmp_path / "a", study)).results, inference=plain).all()
    assert "data/operating-points-elsewhere.csv" not in files
    rows = files["data/calibration-elsewhere.csv"].decode().splitlines()
    assert len(rows) == 1 + 3
    assert all(",hospital_b," in row for row in rows[1:])
    rows = files["data/temperature-scaling-elsewhere.csv"].decode().splitlines()
    assert len(rows) == 1 + 3
    assert all(",hospital_b," in row for row in rows[1:])
    study = Study.model_validate_json(json.dumps(study.model_dump(mode="json") | {"operating_points": POINTS}))
    files = Pages((chosen := inference_of(tmp_path / "b", study)).results, inference=chosen).all()
    page = html.unescape(files["other-test-sets.md"].decode())
    assert page.count("\n## Operating points {") == 1
    assert "whether they hold elsewhere is what this table shows" in page
    said = "What they do on test images, and on images from elsewhere, is exploratory."
    assert said in " ".join(methods_text(chosen.results, chosen))
    assert said not in " ".join(methods_text(plain.results, plain))
    rows = files["data/operating-points-elsewhere.csv"].decode().splitlines()
    assert len(rows) == 1 + 2 * 3
    assert all(",hospital_b," in row for row in rows[1:])
    own = files["data/operating-points.csv"].decode().splitlines()
    assert len(own) == 1 + 2 * 3
    assert ("test_set" in rows[0], "test_set" in own[0]) == (True, False)
    assert "hospital_b" not in "".join(own)


def test_a_run_that_was_not_tried_elsewhere_is_left_out_of_its_operating_points(tmp_path):
    study = study_of()
    study = Study.model_validate_json(json.dumps(study.model_dump(mode="json") | {"operating_points": POINTS}))
    inference = inference_of(
        tmp_path,
        study,
        leave_out=lambda task: task.kind == "test" and "gda" in task.title and "replicate 1" in task.title,
    )
    (found,) = points_elsewhere(inference).values()
    for (cell, _), one in found.items():
        there = [run.tests["hospital_b"].record is not None for run in one.group.runs]
        assert one.tried == sum(there) == len(one.means["sensitivity"]) == len(there) - (cell[1] == "gda")
        assert len(one.thresholds) == one.tried
        assert one.reason("sensitivity") == ""


def test_the_page_says_how_many_images_there_are_where_from_and_how_many_training_knows(tmp_path):
    inference = inference_of(tmp_path)
    files = Pages(inference.results, inference=inference).all()
    page = html.unescape(files["other-test-sets.md"].decode())
    assert "hospital_b: images from elsewhere, 100 images of 50 groups. The accuracy of “No augmentation”" in page
    assert (
        "points from the test images to these. 9 of 100 (9.0 %) test images are identical to a training image" in page
    )
    assert "By corruption" not in page
    lines = files["data/test-sets-from-elsewhere.csv"].decode().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(",12,3,official,CC BY 4.0")
    assert len(files["data/other-test-sets.csv"].decode().splitlines()) == 1 + 3
    checks = html.unescape(files["checks.md"].decode())
    assert "BreastMNIST, test set hospital_b" in checks
    assert "Images that training knows" in checks
    assert "test set hospital_b" in html.unescape(files["cite.md"].decode())
    text = " ".join(methods_text(inference.results, inference))
    assert "tried on images from elsewhere: BreastMNIST on hospital_b (100 images of 50 groups" in text
    assert "hendrycks" not in text
    assert "hendrycks" not in files["data/references.bib"].decode()
    assert "(100 images, 12 of them known from training)" in html.unescape(files["checklist.md"].decode())
    everything = b"".join(files.values())
    assert b"/secret" not in everything
    assert "test set hospital_b" in html.unescape(files["index.md"].decode())


def test_before_anything_was_read_the_page_shows_why_nothing_is_there(tmp_path):
    inference = inference_of(tmp_path, leave_out=lambda task: task.dataset.endswith("hospital_b"))
    files = Pages(inference.results, inference=inference).all()
    for one in further_tests(inference).values():
        assert (one.score.mean, one.change.effect) == (None, None)
        assert one.reason
        assert one.change.reason == one.reason
    page = html.unescape(files["other-test-sets.md"].decode())
    assert "hospital_b: images from elsewhere." in page
    assert "not read yet" in " ".join(methods_text(inference.results, inference))


def test_corrupted_images_and_images_from_elsewhere_stand_side_by_side(tmp_path):
    study = study_of(tests={"worse": {"kind": "corruptions"}, "b": {"kind": "npz", "path": "b.npz"}})
    inference = inference_of(tmp_path, study)
    files = Pages(inference.results, inference=inference).all()
    figure = files["figures/other-test-sets-breastmnist.svg"].decode()
    assert all(f">{title}<" in figure for title in ("Test images", "worse", "b"))
    rows = files["data/corruptions.csv"].decode().splitlines()
    assert len(rows) == 1 + 5 * 3
    assert not any(",b," in row for row in rows)


def test_a_notebook_has_tests_and_differences_on_a_further_test_set(tmp_path):
    study = with_tests({"b": ELSEWHERE}, replicates=2)
    root = tmp_path / "results"
    done(study, root)
    opened = ma.open(study, results=root)
    frame = opened.tests(on="b")
    assert frame[["dataset", "arm", "test_set"]].to_numpy().tolist() == [
        ["grey", "baseline", "b"],
        ["grey", "flip", "b"],
    ]
    one = opened.compare("flip", on="b")
    assert one.effect == pytest.approx(frame["effect_points"][1] / 100)
    assert "further test set b" in one.words
    assert opened.compare("flip").words != one.words
    with pytest.raises(RequestError, match="there is no further test set 'c' here; there are b"):
        opened.compare("flip", on="c")
    with pytest.raises(RequestError, match="compared with the baseline alone; leave against= out"):
        opened.compare("flip", on="b", against="baseline")
    with pytest.raises(RequestError, match="cannot be compared with itself"):
        opened.compare("baseline", on="b")
    with pytest.raises(RequestError, match="there is no further test set 'c' here; there are b"):
        opened.tests(on="c")


def test_the_example_of_the_reference_is_a_data_set():
    block = (PROJECT / "docs/reference/study.md").read_text().partition("### datasets: tests")[2]
    example = yaml.safe_load(block.partition("```yaml")[2].partition("```")[0])
    found = read({"name": "a", "title": "A", "question": "A?", "arms": {"baseline": {}}, "size": 28, **example})
    assert list(found.sets) == ["hospital_a", "hospital_a.tests.hospital_b"]
