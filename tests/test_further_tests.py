"""Further test sets: corrupted test images, the task that tries a network on them, their statistics and their page."""

import html
import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study

from medaug_keras import classifiers, data, engine, evaluation, tasks
from medaug_keras.evaluation import CORRUPTIONS, corrupted, pixels_changed
from medaug_keras.explain import explain
from medaug_keras.plan import VERSIONS
from medaug_keras.reading import StudyError, read
from medaug_keras.report.numbers.further import WORDS, further_tests
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import methods_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.spec import Corruption, Corruptions
from medaug_keras.stats import crossed, holm, pseudo_values
from medaug_keras.store import MADE, Store
from studies import PHANTOM, planned, tiny

KINDS = tuple(CORRUPTIONS)
IMAGES = data.load_phantom("phantom-histology", train=8, validation=4, test=60, seed=3, size=28).test.images
GREY = data.load_phantom("phantom-ultrasound", train=8, validation=4, test=60, seed=3, size=32).test.images


# --- the corruptions ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("images", [IMAGES, GREY], ids=["color", "gray"])
def test_a_corruption_changes_images_more_the_more_severe_it_is_and_not_at_all_at_severity_0(kind, images):
    made = [corrupted(images, kind, severity=severity, seed=1) for severity in range(6)]
    assert (made[0] == images).all()
    assert all((one.shape, one.dtype) == (images.shape, np.uint8) for one in made)
    changed = [pixels_changed(images, one) for one in made]
    assert changed[0] == 0
    assert all(np.diff(changed) > 0), changed


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_depends_on_the_seed_and_no_image_on_what_comes_after_it(kind):
    whole = corrupted(IMAGES, kind, severity=3, seed=1)
    assert (corrupted(IMAGES[:7], kind, severity=3, seed=1) == whole[:7]).all()
    drawn = kind in ("noise", "shot_noise", "impulse_noise")
    assert (corrupted(IMAGES, kind, severity=3, seed=2) == whole).all() != drawn


def test_blocks_do_not_show(monkeypatch):
    whole = {kind: corrupted(IMAGES, kind, severity=3, seed=1) for kind in KINDS}
    change = pixels_changed(IMAGES, whole["blur"])
    monkeypatch.setattr(evaluation.corruptions, "_BLOCK", 7)
    for kind in set(KINDS) - {"shot_noise"}:  # a Poisson draw takes a varying number of random numbers
        assert (corrupted(IMAGES, kind, severity=3, seed=1) == whole[kind]).all(), kind
    assert pixels_changed(IMAGES, whole["blur"]) == pytest.approx(change)


def test_corruptions_do_to_values_what_their_source_says():
    middle = np.full((400, 16, 16, 1), 100, np.uint8)
    noise = corrupted(middle, "noise", severity=5, seed=0).astype(float) / 255
    assert noise.std() == pytest.approx(0.10, rel=0.02)
    shot = corrupted(middle, "shot_noise", severity=5, seed=0).astype(float) / 255
    assert (shot.mean(), shot.std()) == pytest.approx((100 / 255, np.sqrt(100 / 255 / 50)), rel=0.02)
    impulse = corrupted(middle, "impulse_noise", severity=5, seed=0)
    assert [(impulse == value).mean() for value in (0, 255)] == pytest.approx([0.035, 0.035], rel=0.1)
    assert set(np.unique(impulse)) == {0, 100, 255}
    halves = np.zeros((1, 16, 16, 1), np.uint8)
    halves[:, :, 8:] = 200
    dull = corrupted(halves, "contrast", severity=2, seed=0)
    assert set(np.unique(dull)) == {50, 150}
    color = np.tile(np.array([100, 50, 0], np.uint8), (1, 8, 8, 1))
    bright = corrupted(color, "brightness", severity=2, seed=0)[0, 0, 0]
    assert bright.tolist() == [126, 63, 0], "the largest channel is raised by a tenth of the range, hue stays"
    black = corrupted(np.zeros((1, 8, 8, 3), np.uint8), "brightness", severity=2, seed=0)
    assert (black == 26).all()


def test_the_blur_is_as_wide_for_the_side_of_the_image_at_every_size():
    def spread(side):
        line = np.zeros((1, side, side, 1), np.uint8)
        line[0, :, side // 2] = 255
        column = corrupted(line, "blur", severity=5, seed=0)[0, side // 2, :, 0].astype(float)
        places = np.arange(side) - side // 2
        return np.sqrt((column * places**2).sum() / column.sum())

    assert spread(32) == pytest.approx(1.0, rel=0.1)
    assert spread(64) == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("severity", [-1, 6])
def test_another_severity_is_refused(severity):
    with pytest.raises(ValueError, match="it is 0 to 5"):
        corrupted(IMAGES, "blur", severity=severity, seed=0)


def test_the_study_names_the_corruptions_that_there_are_and_all_have_words():
    assert set(KINDS) == set(Corruption.__args__) == set(WORDS)


# --- what a study may say ---


def mistakes(tmp_path, tests, more=""):
    path = tmp_path / "study.yaml"
    path.write_text(
        f"name: a\ntitle: A\nquestion: A?\narms: {{baseline: {{}}}}\ndatasets:\n"
        f"  mine: {{kind: folder, path: x, {more}tests: {tests}}}\n"
    )
    with pytest.raises(StudyError, match="is not a study") as caught:
        read(path)
    return [message for _, message in caught.value.mistakes]


@pytest.mark.parametrize(
    ("tests", "more", "said"),
    [
        ("{b: {kind: tabel}}", "", "tests.b.kind: got 'tabel'; did you mean table?"),
        ("{b: {kind: corruptions, severity: 0}}", "", "tests.b.severity: Input should be greater than or equal to 1"),
        ("{b: {kind: corruptions, severity: 6}}", "", "tests.b.severity: Input should be less than or equal to 5"),
        ("{b: {kind: corruptions, kinds: [blur, blur]}}", "", "tests.b: names a corruption twice in kinds; keep one"),
        ("{b: {kind: corruptions, kinds: []}}", "", "tests.b: names no corruption in kinds; name one"),
        ("{b: {kind: corruptions, kinds: [blurr]}}", "", "did you mean blur?"),
        ("{b: {kind: corruptions}}", "split: {folds: 3}, ", "datasets.mine.tests: are tried on one network a run"),
    ],
)
def test_a_further_test_set_that_cannot_be_is_refused_in_one_message(tmp_path, tests, more, said):
    (message,) = mistakes(tmp_path, tests, more)
    assert said in message


# --- the plan ---

WORSE = {"kind": "corruptions", "severity": 2, "kinds": ["noise", "jpeg"]}


def with_tests(tests, **more):
    return tiny(datasets={"grey": {**PHANTOM, "tests": tests}}, **more)


def test_a_further_test_set_adds_one_task_a_run_and_changes_no_other():
    before, after = planned(tiny(replicates=2)), planned(with_tests({"worse": WORSE}, replicates=2))
    added = [task for name, task in after.tasks.items() if name not in before.tasks]
    assert before.tasks.items() <= after.tasks.items()
    assert [task.kind for task in added] == ["test"] * 4
    assert {run.tests["worse"]: run.task for run in after.runs} == {t.id: t.needs["classifier"] for t in added}
    assert {task.images for task in added} == {2 * PHANTOM["test"]}
    assert len({json.dumps(task.params) for task in added}) == 1, "all arms and replicates see the same pixels"


@pytest.mark.parametrize(
    ("tests", "new"),
    [
        ({"other-name": WORSE}, 0),
        ({"worse": WORSE, "worst": {**WORSE, "severity": 5}}, 2),
        ({"worse": {**WORSE, "severity": 3}}, 2),
        ({"worse": {**WORSE, "kinds": ["noise"]}}, 2),
    ],
)
def test_only_what_a_further_test_set_shows_is_in_its_key(tests, new):
    before, after = planned(with_tests({"worse": WORSE})), planned(with_tests(tests))
    assert [task.kind for name, task in after.tasks.items() if name not in before.tasks] == ["test"] * new


def test_another_seed_or_version_makes_the_tests_again(monkeypatch):
    before = planned(with_tests({"worse": WORSE}))
    seeded = planned(with_tests({"worse": WORSE}, seed=1))
    assert seeded.tasks[seeded.runs[0].tests["worse"]].params["seed"] == 1
    monkeypatch.setitem(VERSIONS, "test", VERSIONS["test"] + 1)
    again = planned(with_tests({"worse": WORSE}))
    assert {task.kind for name, task in again.tasks.items() if name not in before.tasks} == {"test"}


def test_a_part_of_a_plan_has_the_tests_of_its_runs_alone():
    whole = planned(with_tests({"worse": WORSE}))
    part = whole.only({"arm": ["flip"]})
    (run,) = part.runs
    assert sorted(task.kind for task in part.tasks.values()) == ["classifier", "data", "test"]
    assert run.tests["worse"] in part.tasks
    alone = whole.only({"task": [run.task]})
    assert [dict(one.tests) for one in alone.runs] == [{}]
    test = whole.only({"task": [run.tests["worse"]]})
    assert sorted(task.kind for task in test.tasks.values()) == ["classifier", "data", "test"]


# --- the task ---


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A plan and its results; every task must have been done."""
    folder = tmp_path_factory.mktemp("further")
    sizes = {split: PHANTOM[split] for split in ("train", "validation", "test")}
    found = data.phantom_fingerprint(PHANTOM["name"], seed=0, **sizes)
    todo, store = planned(with_tests({"worse": WORSE}, replicates=2), {"grey": found}), Store(folder)
    for task in todo.tasks.values():
        assert engine.attempt(task, store, lambda what, content: None)[0] == "done"
    return todo, store


def kept(store, task):
    with np.load(store.folder(task) / "predictions.npz") as file:
        return dict(file)


def test_a_test_keeps_what_the_saved_networks_say_of_the_corrupted_images_and_their_scores(made):
    todo, store = made
    sizes = {split: PHANTOM[split] for split in ("train", "validation", "test")}
    test = data.load_phantom(PHANTOM["name"], seed=0, **sizes).test
    for run in todo.runs:
        record, found = store.record(run.tests["worse"]), kept(store, run.tests["worse"])
        trained = store.record(run.task)
        assert record.values["selected"] == trained.values["selected"]
        assert set(record.values["scores"]) == {str(epoch) for epoch in trained.values["selected"].values()}
        assert record.values["images"] == len(test.labels) == len(found["test_labels"])
        assert set(record.run["files"]) == {"predictions.npz"} <= set(MADE)
        for kind in WORSE["kinds"]:
            images = corrupted(test.images, kind, severity=2, seed=tasks.subseed(0, f"corruption {kind}"))
            assert record.values["pixels_changed"][kind] == pixels_changed(test.images, images)
            for epoch, scores in record.values["scores"].items():
                model = keras.models.load_model(store.folder(run.task) / f"classifier-{epoch}.keras")
                p = classifiers.predict(model, images, head="softmax")
                assert (found[f"{kind}_{epoch}"] == p).all()
                assert scores[kind] == evaluation.scores(test.labels, p)


def test_uncorrupted_images_give_the_probabilities_that_training_gave_to_the_bit(made, tmp_path, monkeypatch):
    todo, store = made
    run = todo.runs[0]
    task = todo.tasks[run.tests["worse"]]
    same = replace(task, params={**task.params, "corruptions": {"severity": 0, "kinds": ["noise", "jpeg"]}})
    folders = {word: store.folder(need) for word, need in task.needs.items()} | {"unpacked": store.root / "unpacked"}
    values = tasks.make_test(same, folders, tmp_path, lambda *what: None, None)
    trained, before = store.record(run.task).values, kept(store, run.task)
    with np.load(tmp_path / "predictions.npz") as found:
        for epoch in trained["scores"]:
            for kind in ("noise", "jpeg"):
                assert (found[f"{kind}_{epoch}"] == before[f"test_{epoch}"]).all()
                assert values["scores"][epoch][kind] == trained["scores"][epoch]["test"]
        for name in ("test_labels", "test_ids", "test_groups"):
            assert (name in found) == (name in before)
    assert values["pixels_changed"] == {"noise": 0, "jpeg": 0}


def test_a_test_that_is_made_again_is_the_same_to_the_byte(made, tmp_path):
    todo, store = made
    other = Store(tmp_path / "results")
    shutil.copytree(store.root, other.root, dirs_exist_ok=True)
    name = todo.runs[1].tests["worse"]
    shutil.rmtree(other.folder(name))
    assert engine.attempt(todo.tasks[name], other, lambda what, content: None)[0] == "done"
    first, second = (s.folder(name) / "predictions.npz" for s in (store, other))
    assert first.read_bytes() == second.read_bytes()
    assert store.record(name).values == other.record(name).values


def test_why_a_test_would_run_is_said_by_the_setting_of_its_data_set(made):
    _, store = made
    sizes = {split: PHANTOM[split] for split in ("train", "validation", "test")}
    found = data.phantom_fingerprint(PHANTOM["name"], seed=0, **sizes)
    todo = planned(with_tests({"worse": {**WORSE, "severity": 4}}), {"grey": found})
    said = explain(todo.tasks[todo.runs[0].tests["worse"]], todo, store)
    assert "datasets.grey.tests.worse.severity: 2 there, 4 now" in said


# --- statistics and page ---

TESTS = {
    "worse": Corruptions(kind="corruptions", severity=2, kinds=("noise", "jpeg")),
    "blurred": Corruptions(kind="corruptions", kinds=("blur",)),
}


def study_of(tests=TESTS, arms=("baseline", "gda", "cvae"), primary="accuracy"):
    study = fake_study(
        datasets=("breastmnist",), arms={n: ARMS[n] for n in arms}, samplings=["shuffle"], primary=primary
    )
    part = study.datasets["breastmnist"].model_copy(update={"tests": tests})
    return study.model_copy(update={"datasets": {"breastmnist": part}})


def inference_of(root, study=None, **more):
    study = study or study_of()
    return Inference(Results(study, *fake_results(study, root, **more)))


@pytest.mark.parametrize("primary", ["accuracy", "auc", "balanced_accuracy"])
@pytest.mark.parametrize("grouped", [False, True])
def test_differences_are_those_of_the_crossed_analysis_of_means_over_corruptions(tmp_path, primary, grouped):
    groups = np.arange(156) // 2
    more = {"small": False, "groups": lambda dataset: groups} if grouped else {}
    inference = inference_of(tmp_path, study_of(primary=primary), **more)
    found = further_tests(inference)
    assert len(found) == 2 * 3
    by_hand, own = {}, {}
    for (cell, name), one in found.items():
        values, clean = [], []
        for run in one.group.runs:
            epoch = run.selected(inference.results.select)
            with np.load(run.tests[name].record.folder / "predictions.npz") as file:
                of = [
                    pseudo_values(primary, file[f"{kind}_{epoch}"][None], file["test_labels"], file.get("test_groups"))
                    for kind in TESTS[name].kinds
                ]
            values.append(np.mean(of, axis=0)[0])
            with np.load(run.record.folder / "predictions.npz") as file:
                p = file[f"test_{epoch}"][None]
                clean.append(pseudo_values(primary, p, file["test_labels"], file.get("test_groups"))[0])
        by_hand[cell[1], name], own[cell[1], name] = np.stack(values), np.stack(clean)
        assert one.score.mean == pytest.approx(np.mean(values))
        assert (one.images, one.units) == (156, 78 if grouped else None)
    for (cell, name), one in found.items():
        values = by_hand[cell[1], name]
        images = 156 if grouped else None
        change = crossed(values - own[cell[1], name], images=images)
        assert (one.change.effect, one.change.low, one.change.high) == pytest.approx(
            (change.effect, change.low, change.high)
        )
        if cell[1] == "baseline":
            assert one.difference is None
            continue
        expected = crossed(values - by_hand["baseline", name], images=images)
        r = one.difference.result
        assert (r.effect, r.low, r.high, r.p) == pytest.approx(
            (expected.effect, expected.low, expected.high, expected.p)
        )
        assert one.less_baseline == pytest.approx((values - by_hand["baseline", name]).mean(1).tolist())


def test_each_further_test_set_is_a_family_of_its_own_and_the_main_one_is_as_without(tmp_path):
    inference = inference_of(tmp_path)
    found = further_tests(inference)
    for name in TESTS:
        here = [one.difference for (_, other), one in found.items() if other == name and one.difference is not None]
        assert [one.holm for one in here] == holm([one.result.p_family for one in here])
        assert {one.family for one in here} == {2}
    study = study_of({})
    plain = Inference(Results(study, fake_plan(study), Store(tmp_path)))
    assert [c.holm for c in plain.tests.values()] == [c.holm for c in inference.tests.values()]
    assert further_tests(plain) == {}


def test_scores_of_the_records_are_those_of_the_page(tmp_path):
    inference = inference_of(tmp_path)
    for (_, name), one in further_tests(inference).items():
        for kind in TESTS[name].kinds:
            scores = []
            for run in one.group.runs:
                values = run.tests[name].record.values
                scores.append(values["scores"][str(values["selected"][inference.results.select])][kind]["accuracy"])
            assert one.of_kind[kind] == pytest.approx(scores)
            assert one.of_corruption(kind).mean == pytest.approx(np.mean(scores))


def test_a_margin_makes_equivalence_on_a_further_test_set_too(tmp_path):
    study = study_of().model_copy(update={"margin": 60.0})
    found = further_tests(inference_of(tmp_path, study))
    assert {one.difference.word for one in found.values() if one.difference} == {"equivalent"}


def test_a_run_that_was_not_tried_is_missing_there_and_nowhere_else(tmp_path):
    def gone(task):
        return task.kind == "test" and task.replicate == 1

    inference = inference_of(tmp_path, leave_out=gone)
    for one in further_tests(inference).values():
        assert sorted(one.runs) == [0, 2]
        assert (one.score.n, one.score.planned) == (2, 3)
        assert one.reason.startswith("pending")
        assert one.change.replicates == 2
    assert {c.result.replicates for c in inference.tests.values()} == {3}


def test_before_anything_is_tried_the_page_shows_why_nothing_is_there(tmp_path):
    inference = inference_of(tmp_path, leave_out=lambda task: task.kind == "test")
    files = Pages(inference.results, inference=inference).all()
    for one in further_tests(inference).values():
        assert (one.score.mean, one.change.effect) == (None, None)
        if one.difference is not None:
            assert one.difference.word == "not tested"
            assert one.difference.result.reason.startswith("pending")
    assert "not run yet" in files["figures/other-test-sets-breastmnist.svg"].decode()


def test_further_test_sets_are_on_a_page_of_their_own_and_without_them_there_is_none(tmp_path):
    inference = inference_of(tmp_path / "with")
    files = Pages(inference.results, inference=inference).all()
    page = html.unescape(files["other-test-sets.md"].decode())
    assert "worse: the test images at severity 2 of Gaussian noise and JPEG compression, 156 images each." in page
    figure = files["figures/other-test-sets-breastmnist.svg"].decode()
    assert all(f">{title}<" in figure for title in ("Test images", "worse", "blurred"))
    lines = files["data/other-test-sets.csv"].decode().splitlines()
    assert len(lines) == 1 + 2 * 3
    assert len(files["data/corruptions.csv"].decode().splitlines()) == 1 + 3 * 3
    assert "[hendrycks2019]" in " ".join(methods_text(inference.results, inference))
    assert "hendrycks2019" in files["data/references.bib"].decode()
    study = study_of({})
    without = Inference(Results(study, *fake_results(study, tmp_path / "without")))
    none = Pages(without.results, inference=without).all()
    assert not {"other-test-sets.md", "data/corruptions.csv"} & set(none)
    assert "hendrycks" not in " ".join(methods_text(without.results, without))
    assert "hendrycks" not in none["data/references.bib"].decode()


def test_the_table_of_further_test_sets_has_the_numbers_of_the_statistics(tmp_path):
    from medaug_keras.report.tables.further import by_corruption, other_test_sets

    inference = inference_of(tmp_path)
    results, found = inference.results, further_tests(inference)
    table = other_test_sets(results, inference, found)
    keys = [column.key for column in table.columns]
    for row, (key, one) in zip(table.rows, found.items(), strict=True):
        cells = dict(zip(keys, row.entries, strict=True))
        assert (cells["test_set"].value, cells["score"].value) == (key[1], one.score.mean)
        own = inference.tests.get(key[0])
        assert (cells["change"].value, cells["change"].low) == (one.change.effect, one.change.low)
        assert cells["own"].value == one.group.estimate(results.select, "test", "accuracy").mean
        if one.difference is None:
            assert (cells["effect"].value, cells["own_effect"].value, own) == (None, None, None)
        else:
            r = one.difference.result
            assert (cells["effect"].value, cells["effect"].low, cells["effect"].high) == (r.effect, r.low, r.high)
            assert (cells["p"].value, cells["verdict"].value) == (one.difference.p, one.difference.word)
            assert cells["own_effect"].value == own.result.effect
        assert (cells["images"].value, cells["groups"].value) == (156, None)
    rows = by_corruption(results, found).rows
    assert [row.entries[2].name for row in rows] == [k for k in ("noise", "jpeg", "blur") for _ in range(3)]
    first = next(iter(found.values()))
    assert rows[0].entries[4].value == first.of_corruption("noise").mean
