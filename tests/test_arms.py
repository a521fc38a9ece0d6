"""Arms that do more with generated images than to add them: replace the real ones, precede them, choose among them."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import ARMS, fake_results, fake_study

from medaug_keras import classifiers, data, engine, evaluation, tasks
from medaug_keras.classifiers import Pretraining
from medaug_keras.plan import Plan, Source, plan, replicate_seed
from medaug_keras.reading import StudyError, read
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables.quality import refused
from medaug_keras.report.tables.treatments import sizes
from medaug_keras.spec import Study
from medaug_keras.store import Store
from studies import PHANTOM, cli_here, recipe, tiny, written

CVAE = {"kind": "cvae", "latent_dim": 4, "epochs": 1, "batch_size": 16}
WHOLE = {"fraction": 1.0, "shares": "proportional"}


def study(arms: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return tiny(generators={"cvae": CVAE}, arms={"baseline": {}, **arms}, **changes)


def planned(content: dict[str, Any]) -> Plan:
    fingerprint = data.phantom_fingerprint(
        PHANTOM["name"], seed=0, **{split: PHANTOM[split] for split in ("train", "validation", "test")}
    )
    source = Source(fingerprint, PHANTOM["train"], PHANTOM["validation"], PHANTOM["test"], 2)
    return plan(Study.model_validate_json(json.dumps(content)), {"grey": source})


def classifier(made: Plan, arm: str) -> Any:
    return next(made.tasks[run.task] for run in made.runs if run.arm == arm)


# --- replace ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """A study of which everything that trains the arm is made, for real."""
    arms = {"alone": {"replace": {"generator": "cvae", "amount": {"fraction": 0.75}}}}
    made, store = planned(study(arms)), Store(tmp_path_factory.mktemp("replaced"))
    for task in made.only({"arm": ["alone"]}).tasks.values():
        if task.kind not in ("quality", "usefulness"):
            assert engine.attempt(task, store, lambda what, content: None)[0] == "done", task.title
    return made, store


def test_an_arm_that_replaces_trains_on_its_images_alone_to_the_last_bit(replaced):
    made, store = replaced
    task = classifier(made, "alone")
    synthetic = data.load_plain(store.folder(task.needs["synthesis"]) / "synthetic.npz")
    dataset = tasks._dataset(task, {"data": store.folder(task.needs["data"]), "unpacked": store.root / "unpacked"})
    network, training = classifiers.split(task.params["settings"])
    found = classifiers.fit(
        classifiers.build(**network, image_shape=(28, 28, 1), num_classes=2, seed=task.params["seed"]),
        (synthetic["images"], synthetic["labels"]),
        tasks._held_out(dataset),
        num_classes=2,
        sampling="shuffle",
        augment=[],
        seed=task.params["seed"],
        on_epoch=lambda epoch, logs: None,
        **{"select": None, **training},
    )
    assert json.loads((store.folder(task.id) / "history.json").read_bytes()) == found.history
    with np.load(store.folder(task.id) / "predictions.npz") as kept:
        np.testing.assert_array_equal(kept["test_1"], found.kept[1].probabilities["test"])


def test_the_images_that_replace_are_of_the_classes_of_the_real_ones(replaced):
    made, store = replaced
    values = store.record(classifier(made, "alone").id).values
    real = store.record(made.data["grey"]).values["splits"]["train"]["per_class"]
    assert values["training_images"] == 36 == sum(values["training_per_class"])
    assert np.abs(np.array(values["training_per_class"]) - 0.75 * np.array(real)).max() < 1


def test_replacing_and_adding_the_same_images_share_all_work_but_the_classifier():
    arms = {"added": {"add": {"generator": "cvae", "amount": WHOLE}}, "alone": {"replace": {"generator": "cvae"}}}
    made, one = planned(study(arms)), planned(study({"added": arms["added"]}))
    new = [task.kind for name, task in made.tasks.items() if name not in one.tasks]
    assert new == ["classifier"]
    assert one.tasks.keys() <= made.tasks.keys()


@pytest.mark.parametrize("amount", [{}, {"fraction": 0.5}, {"images": 96}])
def test_a_budget_makes_the_steps_of_an_arm_that_replaces_those_of_the_baseline(amount, tmp_path):
    arms = {"alone": {"replace": {"generator": "cvae", "amount": amount}}}

    def passed(**training: Any) -> dict[str, int]:
        made = planned(study(arms, classifier={"epochs": 3, "batch_size": 16, **training}))
        return {run.arm: made.tasks[run.task].images - 3 * 16 - 2 * 16 for run in made.runs}

    images = {"alone": 3 * {"fraction": 24, "images": 96}.get(next(iter(amount), ""), 48), "baseline": 3 * 48}
    assert passed() == images
    assert passed(budget={"images": 160}) == {"alone": 160, "baseline": 160}


SAID = "generated images take the place of all training images. The control is “No augmentation”"


def test_pages_say_what_an_arm_that_replaces_is_compared_with(tmp_path):
    arms = {
        "baseline": ARMS["baseline"],
        "alone": {"label": "Synthetic only", "replace": {"generator": "cvae"}},
        "copies": {"label": "Copies", "duplicate": {"amount": WHOLE}},
    }
    asked = fake_study(
        datasets=("breastmnist",), arms=arms, generators={"cvae": {"kind": "cvae"}}, samplings=["shuffle"]
    )
    results = Results(asked, *fake_results(asked, tmp_path))
    assert results.control("alone") is None
    (control,) = Inference(results).controls.values()
    assert control.result.reason == "it trains on no real image: the baseline is its control"
    rows = {row.factors["arm"]: [entry.value for entry in row.entries[2:4]] for row in sizes(results).rows}
    assert rows == {"No augmentation": [546, 0], "Synthetic only": [0, 546], "Copies": [546, 546]}
    pages = {name: text.decode() for name, text in Pages(results).all().items() if name.endswith(".md")}
    assert f"Synthetic only: {SAID}" in pages["arms.md"]
    assert "All training images replaced by images of a Conditional VAE (100 % of the training set" in pages["arms.md"]
    assert "it does not train on both kinds of images together" in pages["synthetic-images.md"]
    assert "can be told from real ones, and that tells" not in pages["synthetic-images.md"]


# --- pretrain --------------------------------------------------------------------------------------


def two_sets(real: int, made: int) -> tuple[np.ndarray, np.ndarray]:
    """Real images and made ones behind them."""
    first, second = bright(real, 0), bright(made, 1)
    images, labels = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    return images[..., None], labels


def fitted(train: tuple[np.ndarray, np.ndarray], model: Any = None, **changes: Any) -> Any:
    model = model or classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    images, labels = bright(20, 2)
    pretraining = changes.pop("pretraining", None)
    how = recipe(**{"epochs": 5, "batch_size": 8, **changes}) | {"sampling": "shuffle", "augment": [], "seed": 0}
    held_out = {"validation": (images[..., None], labels)}
    return classifiers.fit(
        model, train, held_out, num_classes=2, on_epoch=lambda *_: None, pretraining=pretraining, **how
    )


@pytest.mark.parametrize("budget", [None, {"steps": 13}])
def test_the_first_epochs_train_on_made_images_alone_and_the_others_on_real_ones(budget, monkeypatch):
    orders: list[list[int]] = []
    cut = classifiers.batches

    def noted(order: np.ndarray, *args: Any, **options: Any) -> Any:
        orders.append(order.tolist())
        return cut(order, *args, **options)

    monkeypatch.setattr(classifiers, "batches", noted)
    fitted(two_sets(24, 9), budget=budget, pretraining=Pretraining(epochs=2, images=9))
    made, real = [set(range(24, 33))] * 2, [set(range(24))] * 3
    if budget is None:
        assert [sorted(order) for order in orders] == [sorted(one) for one in made + real]
    else:
        assert [len(order) for order in orders] == [16, 24, 16, 24, 24]
        assert all(set(order) <= one for order, one in zip(orders, made + real, strict=True))
        assert set(orders[0]) == made[0], "a pass has every image"


def test_pretraining_is_training_on_one_set_and_then_on_the_other():
    """In batches of a whole set, the order of its images decides nothing but rounding."""
    images, labels = two_sets(24, 10)
    plain = {"batch_size": 32, "optimizer": {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.0}}
    whole = fitted((images, labels), epochs=4, pretraining=Pretraining(2, 10), **plain)
    before = fitted((images[24:], labels[24:]), epochs=2, **plain)
    after = fitted((images[:24], labels[:24]), model=before.model, epochs=2, **plain)
    for name in ("loss", "val_loss"):
        assert whole.history[name] == pytest.approx(before.history[name] + after.history[name], rel=1e-3)
    assert set(whole.kept) <= {3, 4}, "an epoch that saw no real image is not selected"


def test_balanced_weights_are_those_of_the_images_trained_on():
    """Of made images all of one class, the balanced loss is the plain one; of the others it is not."""
    images, labels = two_sets(24, 10)
    labels[:6], labels[24:] = 1, 0
    plain = {"batch_size": 32, "optimizer": {"kind": "sgd", "learning_rate": 1e-9, "momentum": 0.0}}
    balanced, alike = (
        fitted((images, labels), epochs=2, pretraining=Pretraining(1, 10), loss={"class_weights": how}, **plain)
        for how in ("balanced", "none")
    )
    assert balanced.history["loss"][0] == pytest.approx(alike.history["loss"][0], rel=1e-6)
    assert balanced.history["loss"][1] != pytest.approx(alike.history["loss"][1], rel=1e-3)


def test_pretraining_adding_and_replacing_share_their_images():
    use = {"generator": "cvae", "amount": WHOLE}
    three = {"added": {"add": use}, "alone": {"replace": use}, "first": {"pretrain": {**use, "epochs": 1}}}
    made = planned(study(three, classifier={"epochs": 3, "batch_size": 16}))
    assert len({m.task for m in made.synthesis}) == len({m.task for m in made.quality}) == 1
    assert len({run.task for run in made.runs}) == 4


def test_a_budget_makes_the_steps_of_pretraining_those_of_the_baseline():
    arms = {"first": {"pretrain": {"generator": "cvae", "epochs": 1, "amount": {"images": 80}}}}
    for budget, images in ((None, 80 + 2 * 48), ({"steps": 7}, 7 * 16)):
        made = planned(study(arms, classifier={"epochs": 3, "batch_size": 16, "budget": budget}))
        found = {run.arm: made.tasks[run.task].images - 3 * 16 - 2 * 16 for run in made.runs}
        assert found == {"baseline": images if budget else 3 * 48, "first": images}


def test_a_pretrained_arm_runs_and_pages_say_what_it_is_compared_with(tmp_path):
    arms = {"first": {"label": "Synthetic first", "pretrain": {"generator": "cvae", "epochs": 2}}}
    content = study(arms, classifier={"epochs": 3, "batch_size": 16}, quality={"enabled": False})
    path = written(tmp_path, content)
    done = cli_here(path.name, "--no-site", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(found.read_bytes()) for found in (tmp_path / "results").glob("classifier-*/record.json")]
    (values,) = [record["values"] for record in records if "pretrain" in record["params"]]
    assert (values["training_images"], values["pretraining_images"]) == (48, 48)
    assert set(values["selected"].values()) == {3}
    page = (tmp_path / "docs" / "studies" / "tiny" / "arms.md").read_text()
    assert "The first 2 epochs trained on images of a Conditional VAE (100 % of the training set" in page
    assert "Synthetic first: generated images are trained on before the real ones, not beside them." in page
    runs = [one.read_text() for one in (tmp_path / "docs" / "studies" / "tiny").glob("runs/*.md")]
    assert sum("The first 2 epochs trained on generated images" in one for one in runs) == 1
    curves = (tmp_path / "docs" / "studies" / "tiny" / "learning-curves.md").read_text()
    assert (
        "Left of an upright line in its color, an arm trains on generated images; right of it, on real ones" in curves
    )
    assert "real images from epoch 3 on" in curves


# --- filter ----------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(0, 10**6), st.sampled_from([0.0, 0.4, 0.9]))
def test_a_filter_gives_images_of_the_classes_asked_for_none_of_which_it_refuses(asked, seed, share):
    """An image is its class, the number of its draw, and whether it is wrong, for one of two reasons."""
    labels, rng = np.array(asked), np.random.default_rng(seed)
    drawn: list[np.ndarray] = []

    def sample(number: int) -> np.ndarray:
        wrong = (rng.random(len(labels)) < share) * rng.integers(1, 3, len(labels))
        drawn.append(np.stack([labels, np.full(len(labels), number), wrong], axis=1).astype(np.uint8))
        return drawn[-1]

    def refuses(images: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
        np.testing.assert_array_equal(images[:, 0], classes)
        return {"one": images[:, 2] == 1, "other": images[:, 2] >= 1}

    said = ""
    try:
        images, counts = evaluation.filtered(labels, sample, refuses, draws=4, num_classes=3)
    except ValueError as error:
        said = str(error)
    if said:
        right = [sum(int(np.sum((one[:, 0] == k) & (one[:, 2] == 0))) for one in drawn) for k in range(3)]
        assert re.findall(r"of class (\d)", said) == [str(k) for k in range(3) if right[k] < asked.count(k)]
        assert len(drawn) == 4
        return
    np.testing.assert_array_equal(images[:, 0], labels)
    assert not images[:, 2].any()
    every = np.concatenate(drawn)
    for number, reason in enumerate(("one", "other"), 1):
        of_reason = every[every[:, 2] == number, 0]
        np.testing.assert_array_equal(counts.refused[reason], np.bincount(of_reason, minlength=3))
    np.testing.assert_array_equal(counts.drawn, np.bincount(every[:, 0], minlength=3))
    if not share:
        np.testing.assert_array_equal(images, drawn[0])


@given(st.integers(0, 99), st.sampled_from([0.0, 1.0, 50.0]))
def test_copies_and_mirror_images_of_training_images_are_too_near_and_images_of_another_kind_are_not(seed, percentile):
    rng = np.random.default_rng(seed)
    train = rng.integers(0, 100, (12, 6, 6, 1), np.uint8)
    distance = evaluation.real_distance(train, percentile=percentile, seed=0)
    some = np.concatenate([train[:3], train[3:6, :, ::-1], 255 - train[:2]])
    near = evaluation.too_near(some, train, distance=distance)
    assert near.tolist() == [True] * 6 + [False] * 2


def test_the_distance_of_real_images_is_that_to_the_nearest_other_one():
    train = np.array([0, 1, 11, 31], np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    found = [evaluation.real_distance(train, percentile=p, seed=0) for p in (0, 50, 99.999)]
    assert found == pytest.approx([1, 5.5, 20], abs=1e-3)  # of 1, 1, 10 and 20


def test_a_filter_asks_networks_of_the_baseline_of_other_replicates_whatever_their_number():
    arms = {"kept": {"add": {"generator": "cvae", "filter": {"classifiers": 2}}}}
    two, three = (planned(study(arms, replicates=number)) for number in (2, 3))
    assert two.tasks.keys() < three.tasks.keys()
    for replicate in (0, 1):
        (images,) = (two.tasks[m.task] for m in two.synthesis if m.replicate == replicate)
        asked = [two.tasks[need] for word, need in images.needs.items() if word.startswith("judge")]
        seeds = [replicate_seed(0, replicate + later) for later in (1, 2)]
        assert [task.params["seed"] for task in asked] == seeds
        assert all("synthesis" not in task.needs for task in asked)
    runs = {(run.arm, run.replicate): run.task for run in three.runs}
    first = next(three.tasks[m.task] for m in three.synthesis if m.replicate == 0)
    assert [first.needs[f"judge {k}"] for k in (0, 1)] == [runs["baseline", 1], runs["baseline", 2]]


def test_an_arm_without_a_filter_has_the_keys_that_it_had_and_shares_its_generator_with_one_that_has():
    plain, kept = {"add": {"generator": "cvae"}}, {"add": {"generator": "cvae", "filter": {}}}
    one, both = planned(study({"plain": plain})), planned(study({"plain": plain, "kept": kept}))
    assert one.tasks.keys() < both.tasks.keys()
    synthesis = [task for name, task in one.tasks.items() if task.kind == "synthesis"]
    assert "filter" not in synthesis[0].keyed
    new = Counter(task.kind for name, task in both.tasks.items() if name not in one.tasks)
    assert new == {"synthesis": 1, "classifier": 1 + 3, "quality": 1}


@pytest.mark.parametrize("setting", [{"probability": 0.6}, {"classifiers": 2}, {"percentile": 2.0}, {"draws": 9}])
def test_every_setting_of_a_filter_decides_the_images(setting):
    keys = set()
    for chosen in ({}, setting):
        made = planned(study({"kept": {"add": {"generator": "cvae", "filter": chosen}}}))
        keys.add(made.synthesis[0].task)
    assert len(keys) == 2


def bright(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Dark images of class 0 and bright ones of class 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 2
    return (rng.integers(0, 90, (images, 28, 28)) + 150 * labels[:, None, None]).astype(np.uint8), labels


def test_copies_and_images_of_another_class_are_refused_and_the_others_are_taken(tmp_path):
    """40 images are right, 6 are copies of training images, and 10 bright ones are said to be dark."""
    arrays = {}
    for number, (split, n) in enumerate({"train": 60, "val": 20, "test": 20}.items()):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = bright(n, number)
    np.savez(tmp_path / "own.npz", **arrays)
    right, labels = bright(40, 9)
    wrong = bright(20, 10)[0][1::2]
    images = np.concatenate([right, arrays["train_images"][:6], wrong])
    np.savez(
        tmp_path / "made.npz", images=images, labels=np.concatenate([labels, arrays["train_labels"][:6], [0] * 10])
    )
    use = {"generator": "theirs", "amount": {"images": 36, "shares": "uniform"}}
    content = tiny(
        datasets={"own": {"kind": "npz", "path": "own.npz"}},
        classifier={"epochs": 3, "batch_size": 16, "optimizer": {"learning_rate": 0.02}},
        generators={"theirs": {"kind": "files", "path": "made.npz", "trained_on": "elsewhere"}},
        arms={"baseline": {}, "plain": {"add": use}, "kept": {"add": {**use, "filter": {"classifiers": 2}}}},
        quality={"enabled": False},
    )
    path = written(tmp_path, content)
    done = cli_here(path.name, "--no-site", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(found.read_bytes()) for found in (tmp_path / "results").glob("synthesis-*/record.json")]
    (values,) = [record["values"] for record in records if "filter" in record["values"]]
    assert values["filter"] == {"drawn": [33, 23], "refused": {"class": [10, 0], "near": [3, 3]}}
    assert values["per_class"] == [18, 18]
    pages = {page.stem: page.read_text() for page in (tmp_path / "docs" / "studies" / "tiny").glob("*.md")}
    assert "What filters refused of the images that generators made" in pages["synthetic-images"]
    assert "Against unfiltered images" in pages["significance"]
    assert "farther from any training image" in pages["arms"]


def test_a_filtered_arm_is_compared_with_as_many_unfiltered_images_and_with_copies(tmp_path):
    amount = {"amount": {"fraction": 0.1}}
    arms = {
        "baseline": ARMS["baseline"],
        "cvae": ARMS["cvae"],
        "kept": {"label": "Filtered", "add": {"generator": "cvae", "filter": {}, **amount}},
        "more": {"label": "More", "add": {"generator": "cvae", "filter": {}, "amount": {"fraction": 0.2}}},
        "copies": {"label": "Copies", "duplicate": amount},
    }
    asked = fake_study(
        datasets=("breastmnist",), arms=arms, generators={"cvae": {"kind": "cvae"}}, samplings=["shuffle"]
    )
    results = Results(asked, *fake_results(asked, tmp_path))
    assert [results.unfiltered(arm) for arm in arms] == [None, None, "cvae", None, None]
    inference = Inference(results)
    kept, more = inference.unfiltered.values()
    assert (kept.group.arm, kept.base.arm) == ("kept", "cvae")
    assert more.result.reason == "no arm takes as many images of its generator as they come"
    assert {cell[1]: c.base.arm for cell, c in inference.controls.items()}["kept"] == "copies"
    rows = [row for row in refused(results).rows if row.factors["arm"] == "Filtered"]
    drawn = [[entry.value for entry in row.entries[3:8]] for row in rows]
    assert drawn == [[6 * n, 3 * n, 0.5, 3 * n, 0] for n in (18, 36)]


# --- mistakes --------------------------------------------------------------------------------------


def test_a_filter_whose_networks_would_have_seen_test_images_or_others_than_real_ones_is_one_message(tmp_path):
    content = study({"a": {"add": {"generator": "cvae", "filter": {}}}})
    folded = {"own": {"kind": "folder", "path": "x", "split": {"folds": 2}}}
    with pytest.raises(
        StudyError, match=r"arms\.a\.add\.filter: asks the networks of other replicates, which have seen"
    ):
        read(written(tmp_path, {**content, "datasets": folded}))
    with pytest.raises(StudyError, match=r"arms\.a\.add\.filter: asks the networks of the baseline, and a trains them"):
        read(written(tmp_path, {**content, "baseline": {"arm": "a"}}))


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"pretrain": {"generator": "cvae"}}, r"arms\.a\.pretrain\.epochs: is missing"),
        (
            {"pretrain": {"generator": "cvae", "epochs": 1}},
            r"arms\.a\.pretrain\.epochs: 1 leaves none of the .* 1 epochs",
        ),
        ({"replace": {"generator": "jvae"}}, r"arms\.a\.replace\.generator: jvae is a joint_vae; it makes new"),
        ({"replace": {"generator": "cvea"}}, r"arms\.a\.replace\.generator: there is no generator cvea; did you mean"),
        (
            {"replace": {"generator": "cvae"}, "duplicate": {}},
            r"has replace and duplicate; an arm takes one of add, replace, pretrain, interleave and duplicate",
        ),
        (
            {"replace": {"generator": "cvae", "amount": {"fractions": {"gray": 2}}}},
            r"arms\.a\.replace\.amount\.fractions\.gray: there is no data set gray; did you mean grey",
        ),
    ],
)
def test_a_wrong_arm_is_one_message(tmp_path: Path, arm: dict[str, Any], said: str):
    content = study({"a": arm})
    content["generators"]["jvae"] = {"kind": "joint_vae"}
    with pytest.raises(StudyError, match=said) as caught:
        read(written(tmp_path, content))
    assert "(1 mistake)" in str(caught.value)
