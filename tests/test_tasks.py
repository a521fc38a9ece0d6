"""Every kind of task, made for real on a few simulated images, in this process."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from fnmatch import fnmatchcase

import keras
import numpy as np
import pytest
from PIL import Image

from medaug_keras import augmentation, classifiers, data, engine, evaluation, generators, tasks
from medaug_keras.plan import Source, plan, replicate_seed
from medaug_keras.spec import Arm, Cnn, FolderData, MedMnistData, NpzData, PhantomData, Study
from medaug_keras.store import MADE, Store
from medaug_keras.training import subseed
from studies import changed, planned, recipe, whole

AMOUNT = {"shares": "inverse_frequency", "class_order": "first_appearance", "draw": "multinomial"}
SMALL = {"kind": "phantom", "name": "phantom-histology", "train": 70, "validation": 20, "test": 30}


def tiny_whole():
    study = whole(replicates=1, datasets={"phantom-histology": SMALL}, classifier={"epochs": 2, "batch_size": 16})
    small = {"epochs": 1, "latent_dim": 4, "batch_size": 32}
    for generator in study["generators"].values():
        generator.update(small)
    study["generators"]["jvae"]["categories"] = 3
    study["arms"]["cgan"]["add"]["amount"] = AMOUNT
    study["quality"] = {"limit": 100, "components": 8, "draws": 2}
    return study


def made(folder):
    """The plan and its results; every task must have been done."""
    sizes = {split: SMALL[split] for split in ("train", "validation", "test")}
    found = data.phantom_fingerprint("phantom-histology", seed=0, **sizes)
    todo, store = planned(tiny_whole(), {"phantom-histology": found}), Store(folder)
    for task in todo.tasks.values():
        assert engine.attempt(task, store, lambda what, content: None)[0] == "done"
    return todo, store


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return made(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def images():
    sizes = {split: SMALL[split] for split in ("train", "validation", "test")}
    return data.load_phantom("phantom-histology", seed=0, **sizes)


def test_what_a_killed_task_leaves_has_names_that_the_store_knows(results):
    todo, store = results
    names = {name for task in todo.tasks for name in store.record(task).run["files"]}
    assert "classifier-1.keras" in names or "classifier-2.keras" in names
    assert [name for name in names if not any(fnmatchcase(name, pattern) for pattern in MADE)] == []
    unused = [pattern for pattern in MADE[1:-1] if not any(fnmatchcase(name, pattern) for name in names)]
    assert unused == ["split.csv", "subgroups.npz", "medmnist/*.csv"]


def records(results, kind):
    todo, store = results
    return [store.record(name) for name, task in todo.tasks.items() if task.kind == kind]


def test_the_same_study_gives_the_same_bytes_in_every_record_and_table_of_numbers(results, tmp_path):
    todo, store = results
    _, other = made(tmp_path)
    for name in todo.tasks:
        first, second = (json.loads((s.folder(name) / "record.json").read_bytes()) for s in (store, other))
        for part in ("run", "sha256"):  # when and where; and the checksum over it
            del first[part], second[part]
        assert first == second, name
        for path in store.folder(name).rglob("*"):
            if path.suffix in (".npz", ".csv") or path.name in ("history.json", "layers.json"):
                assert path.read_bytes() == (other.folder(name) / path.relative_to(store.folder(name))).read_bytes()


def test_an_added_arm_trains_on_the_images_of_the_data_set_and_those_made_for_it(results):
    todo, store = results
    for cell in todo.runs:
        record = store.record(cell.task)
        added = record.needs.get("synthesis")
        extra = store.record(added).values if added else {"images": 0, "per_class": [0, 0, 0, 0]}
        natural = store.record(todo.data[cell.dataset]).values["splits"]["train"]["per_class"]
        assert record.values["training_images"] == SMALL["train"] + extra["images"]
        assert record.values["training_per_class"] == [a + b for a, b in zip(natural, extra["per_class"], strict=True)]


def test_interleaving_makes_one_reconstruction_of_every_training_image(results):
    made = {m.name: results[1].record(m.task).values for m in results[0].synthesis}
    assert made["jvae"]["images"] == SMALL["train"]
    assert made["cvae"]["images"] == made["cgan"]["images"] == made["duplicate"]["images"] == 7


def test_copies_are_training_images_of_their_class(results, images):
    todo, store = results
    train = images.train
    task = next(m.task for m in todo.synthesis if m.name == "duplicate")
    with np.load(store.folder(task) / "synthetic.npz") as found:
        for image, label in zip(found["images"], found["labels"], strict=True):
            same = (train.images == image).all(axis=(1, 2, 3))
            assert label in train.labels[same]


def test_a_classifier_record_agrees_with_its_kept_probabilities(results):
    for record in records(results, "classifier"):
        with np.load(record.folder / "predictions.npz") as kept:
            for epoch, scores in record.values["scores"].items():
                for split in ("validation", "test"):
                    chosen = kept[f"{split}_{epoch}"].argmax(axis=1)
                    labels = kept[f"{split}_labels"]
                    values = scores[split]
                    assert values["accuracy"] == pytest.approx((chosen == labels).mean())
                    assert np.sum(values["confusion"]) == len(labels)
                    np.testing.assert_array_equal(np.sum(values["confusion"], axis=1), np.bincount(labels, minlength=4))


def test_copies_are_found_to_be_copies_and_every_arm_that_adds_images_is_judged(results):
    todo, store = results
    judged = {m.name: store.record(m.task).values for m in todo.quality}
    assert judged.keys() == {"cvae", "jvae", "cgan", "duplicate"}
    assert "shortcut" not in judged["duplicate"]
    useful = {m.name: store.record(m.task).values for m in todo.usefulness}
    assert useful.keys() == {"cvae", "jvae", "cgan"}
    for name, made in useful.items():
        assert made["images"] == SMALL["train"]
        assert 0 <= judged[name]["shortcut"]["class_told"] <= 1
        for epoch in made["selected"].values():
            assert 0 <= made["scores"][str(epoch)]["test"]["accuracy"] <= 1


# --- every task does what its settings say: the science called by hand, on the same files and seeds ---

SEED = replicate_seed(0, 0)
SETTINGS = recipe(epochs=2, batch_size=16)


def files(results, makings, name):
    """The folder of an arm's or a generator's result, and its record."""
    todo, store = results
    task = next(m.task for m in getattr(todo, makings) if m.name == name)
    return store.folder(task), store.record(task)


def loaded(folder, name="synthetic.npz"):
    with np.load(folder / name) as file:
        return {key: file[key] for key in file}


def fitted(images, train, *, sampling="shuffle", augment=(), seed=SEED, order=SEED):
    """A classifier trained by hand as the study says."""
    model = classifiers.build("cnn", image_shape=(28, 28, 3), num_classes=4, head="softmax", seed=seed)
    held_out = {
        split: (getattr(images, split).images, getattr(images, split).labels) for split in ("validation", "test")
    }
    how = {"sampling": sampling, "augment": augment, "seed": order, "on_epoch": lambda epoch, logs: None}
    return classifiers.fit(model, train, held_out, num_classes=4, **SETTINGS, **how)


def measured(images, trained):
    """What a record says of a trained classifier."""
    splits = {split: getattr(images, split).labels for split in ("validation", "test")}
    scores = {
        str(epoch): {s: evaluation.scores(splits[s], p) for s, p in one.probabilities.items()}
        for epoch, one in trained.kept.items()
    }
    return {"selected": trained.selected, "scores": scores}


def labels_for(train, total, **how):
    settings = {"shares": "deficit", "class_order": "label", "draw": "largest_remainder", **how}
    return augmentation.labels_to_make(train.labels, 4, total=total, seed=SEED, **settings)


@pytest.mark.parametrize(
    ("arm", "sampling", "augment"),
    [
        ("baseline", "weighted", []),
        ("gda", "shuffle", [{"layer": "horizontal_flip", "probability": 0.5}]),
        ("cgan", "shuffle", []),
        ("jvae", "weighted", []),
    ],
)
def test_a_classifier_is_trained_on_the_real_images_then_the_made_ones_as_its_arm_says(
    arm, sampling, augment, results, images
):
    todo, store = results
    train = images.train.images, images.train.labels
    if arm in ("cgan", "jvae"):
        added = loaded(files(results, "synthesis", arm)[0])
        train = tuple(np.concatenate(pair) for pair in zip(train, (added["images"], added["labels"]), strict=True))
    expected = fitted(images, train, sampling=sampling, augment=augment)
    task = next(c.task for c in todo.runs if (c.arm, c.sampling) == (arm, sampling))
    kept, record = loaded(store.folder(task), "predictions.npz"), store.record(task).values
    for split in ("validation", "test"):
        np.testing.assert_array_equal(kept[f"{split}_labels"], getattr(images, split).labels)
        for epoch, one in expected.kept.items():
            np.testing.assert_array_equal(kept[f"{split}_{epoch}"], one.probabilities[split])
    assert record["epochs"] == 2
    assert {name: record[name] for name in ("selected", "scores")} == measured(images, expected)
    assert json.loads((store.folder(task) / "history.json").read_bytes()) == expected.history


def test_always_weighted_arms_have_an_order_of_their_own_in_each_column_and_the_weights_of_the_others(results, images):
    study = changed(tiny_whole(), "arms.gda.always_weighted", True)
    todo, store = planned(study, {"phantom-histology": records(results, "data")[0].values["md5"]}), results[1]
    train = images.train.images, images.train.labels
    flips = [{"layer": "horizontal_flip", "probability": 0.5}]
    for cell in todo.runs:
        if cell.arm == "gda":
            assert engine.attempt(todo.tasks[cell.task], store, lambda what, content: None)[0] == "done"
            own = subseed(SEED, cell.sampling)
            expected = fitted(images, train, sampling="weighted", augment=flips, order=own)
            kept = loaded(store.folder(cell.task), "predictions.npz")
            np.testing.assert_array_equal(kept["test_2"], expected.chosen("last")["test"])


@pytest.mark.parametrize(("arm", "settings"), [("cvae", {"sampling_statistics": "batch"}), ("cgan", {})])
def test_an_arm_adds_what_its_generator_makes_for_the_labels_that_its_amount_asks_for(arm, settings, results, images):
    folder, record = files(results, "synthesis", arm)
    made = loaded(folder)
    labels = labels_for(images.train, 7, **(AMOUNT if arm == "cgan" else {}))
    sampler = keras.models.load_model(files(results, "generators", arm)[0] / "sampler.keras")
    np.testing.assert_array_equal(made["labels"], labels)
    expected = generators.GENERATORS[arm].sample(sampler, labels, seed=SEED, **settings)
    np.testing.assert_array_equal(made["images"], expected)
    assert record.values["per_class"] == np.bincount(labels, minlength=4).tolist()
    assert record.values["pixel_std"] == pytest.approx(expected.std() / 127.5)
    assert record.values["real_pixel_std"] == pytest.approx(images.train.images.std() / 127.5)


def test_copies_and_reconstructions_are_those_of_the_arms_seed_and_mode(results, images):
    train = images.train
    labels = labels_for(train, 7)
    chosen = augmentation.copies(train.labels, labels, seed=SEED)
    np.testing.assert_array_equal(loaded(files(results, "synthesis", "duplicate")[0])["images"], train.images[chosen])
    sampler = keras.models.load_model(files(results, "generators", "jvae")[0] / "sampler.keras")
    study = changed(tiny_whole(), "arms.jvae.interleave", {"generator": "jvae", "mode": "mean"})
    todo = planned(study, {"phantom-histology": records(results, "data")[0].values["md5"]})
    task = next(m.task for m in todo.synthesis if m.name == "jvae")
    assert engine.attempt(todo.tasks[task], results[1], lambda what, content: None)[0] == "done"
    for mode, folder in (("sample", files(results, "synthesis", "jvae")[0]), ("mean", results[1].folder(task))):
        made = loaded(folder)
        rebuilt = generators.joint_vae.reconstruct(sampler, train.images, train.labels, seed=SEED, mode=mode)
        np.testing.assert_array_equal(made["images"], rebuilt)
        np.testing.assert_array_equal(made["labels"], train.labels)


def test_images_are_judged_beside_the_test_images_by_the_baseline_of_their_replicate(results, images):
    todo, store = results
    folder, record = files(results, "quality", "cgan")
    made = loaded(files(results, "synthesis", "cgan")[0])
    judge = next(c.task for c in todo.runs if (c.arm, c.sampling) == ("baseline", "shuffle"))
    epoch = store.record(judge).values["selected"]["best_validation_auc"]
    model = keras.models.load_model(store.folder(judge) / f"classifier-{epoch}.keras")
    values, arrays = evaluation.quality(
        train_images=images.train.images,
        train_labels=images.train.labels,
        test_images=images.test.images,
        test_labels=images.test.labels,
        synthetic_images=made["images"],
        synthetic_labels=made["labels"],
        extractors={"features": lambda some: classifiers.features(model, some)},
        synthetic_probabilities=[classifiers.predict(model, made["images"], head="softmax")],
        test_probabilities=[classifiers.predict(model, images.test.images, head="softmax")],
        seed=subseed(SEED, "quality"),
        neighbours=5,
        components=8,
        draws=2,
        limit=100,
    )
    shortcut = evaluation.source_shortcut(
        train_images=images.train.images,
        train_labels=images.train.labels,
        train_groups=images.train.groups,
        added_images=made["images"],
        added_labels=made["labels"],
        test_images=images.test.images,
        test_labels=images.test.labels,
        rebuilt=False,
        looks=[
            evaluation.pixel_components(images.train.images, components=8, limit=100, seed=subseed(SEED, "shortcut")),
            lambda some: classifiers.features(model, some),
        ],
        limit=100,
        seed=subseed(SEED, "shortcut"),
    )
    assert record.values == values | {"shortcut": shortcut}
    for name, array in loaded(folder, "neighbours.npz").items():
        np.testing.assert_array_equal(array, arrays[name])


def test_usefulness_trains_on_as_many_new_images_as_there_are_real_ones_of_their_classes(results, images):
    sampler = keras.models.load_model(files(results, "generators", "cgan")[0] / "sampler.keras")
    labels = images.train.labels
    alone = generators.cgan.sample(sampler, labels, seed=subseed(SEED, "usefulness")), labels
    trained = fitted(images, alone)
    assert files(results, "usefulness", "cgan")[1].values == {"images": 70, **measured(images, trained)}


def test_reconstructions_are_useful_as_they_are(results, images):
    made = loaded(files(results, "synthesis", "jvae")[0])
    trained = fitted(images, (made["images"], made["labels"]))
    assert files(results, "usefulness", "jvae")[1].values == {"images": 70, **measured(images, trained)}


def test_a_fraction_that_adds_no_image_is_refused(results):
    todo, store = results
    task = todo.tasks[next(m.task for m in todo.synthesis if m.name == "duplicate")]
    few = replace(task, params={**task.params, "amount": {**task.params["amount"], "fraction": 0.01}})
    with pytest.raises(ValueError, match=r"a fraction of 0.01 of 70 training images adds none; raise it"):
        tasks.make(few, store, store.root, lambda what, content: None)


def test_data_that_are_others_than_was_planned_are_refused(results, tmp_path):
    todo, store = results
    task = todo.tasks[next(iter(todo.data.values()))]
    other = replace(task, params={**task.params, "fingerprint": "0" * 32})
    with pytest.raises(data.DataError, match="the data changed while the study ran"):
        tasks.make(other, store, tmp_path, lambda what, content: None)


def test_a_data_set_is_read_as_its_section_says(tmp_path):
    rng, labels = np.random.default_rng(0), {"train": [0, 1, 0, 1], "val": [0, 1], "test": [1, 0]}
    arrays = {f"{s}_images": rng.integers(0, 256, (len(found), 56, 56), np.uint8) for s, found in labels.items()}
    np.savez(tmp_path / "own.npz", **arrays, **{f"{split}_labels": found for split, found in labels.items()})
    for split, found in labels.items():
        for number, label in enumerate(found):
            folder = tmp_path / "folder" / split / "ab"[label]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (28, 28, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    small = arrays | {f"{split}_images": arrays[f"{split}_images"][:, ::2, ::2] for split in labels}
    np.savez(tmp_path / "breastmnist.npz", **small, **{f"{split}_labels": found for split, found in labels.items()})
    said = {"title": "Mine", "licence": "CC0", "citation": "me"}
    sections = {
        "own": NpzData(kind="npz", path=str(tmp_path / "own.npz"), classes=("cat", "dog"), size=28, **said),
        "folder": FolderData(kind="folder", path=str(tmp_path / "folder"), colour="grey", **said),
        "phantom-histology": PhantomData(kind="phantom", train=20, validation=8, test=8, seed=3),
        "breastmnist": MedMnistData(),
    }
    prints = {
        "own": data.npz_fingerprint(tmp_path / "own.npz", cache=None),
        "folder": data.folder_fingerprint(tmp_path / "folder", cache=None),
        "phantom-histology": data.phantom_fingerprint("phantom-histology", train=20, validation=8, test=8, seed=3),
        "breastmnist": data.md5_of_file(tmp_path / "breastmnist.npz", cache=None),
    }
    study = Study(name="four", title="T", question="Q?", datasets=sections, arms={"baseline": Arm()})
    todo = plan(study, {name: Source(md5, 4, 2, 2) for name, md5 in prints.items()}, data_root=str(tmp_path))
    store = Store(tmp_path / "results")
    found = {
        name: engine.attempt(todo.tasks[task], store, lambda what, content: None) for name, task in todo.data.items()
    }
    assert {name: how for name, (how, _) in found.items()} == dict.fromkeys(sections, "done") | {
        "breastmnist": "failed"
    }
    assert "MD5" in found["breastmnist"][1].error
    values = {name: store.record(todo.data[name]).values for name in ("own", "folder", "phantom-histology")}
    assert values["own"]["image_shape"] == values["folder"]["image_shape"] == [28, 28, 1]
    assert (values["own"]["classes"], values["folder"]["classes"]) == (["cat", "dog"], ["a", "b"])
    for name in ("own", "folder"):
        assert [values[name][word] for word in said] == list(said.values())
    assert {name: value["md5"] for name, value in values.items()} == {name: prints[name] for name in values}


def test_the_files_for_medmnists_evaluator_are_of_the_epoch_of_the_highest_validation_auc(tmp_path):
    rng, sizes = np.random.default_rng(0), {"train": 40, "val": 12, "test": 16}
    arrays = {f"{split}_images": rng.integers(0, 256, (n, 28, 28), np.uint8) for split, n in sizes.items()}
    arrays |= {f"{split}_labels": np.arange(n)[:, None] % 2 for split, n in sizes.items()}
    np.savez(tmp_path / "breastmnist.npz", **arrays)
    study = Study(
        name="one",
        title="One run",
        question="Which files?",
        samplings=("shuffle",),
        datasets={"breastmnist": MedMnistData(accept_unverified=True)},
        classifier=Cnn(epochs=3, batch_size=16),
        arms={"baseline": Arm()},
    )
    source = Source(data.md5_of_file(tmp_path / "breastmnist.npz", cache=None), *sizes.values())
    todo, store = plan(study, {"breastmnist": source}, data_root=str(tmp_path)), Store(tmp_path / "results")
    for task in todo.tasks.values():
        assert engine.attempt(task, store, lambda what, content: None)[0] == "done"
    record = store.record(todo.runs[0].task)
    kept, epoch = loaded(record.folder, "predictions.npz"), record.values["selected"]["best_validation_auc"]
    best = record.values["scores"][str(epoch)]
    for split, word in (("validation", "val"), ("test", "test")):
        (path,) = (record.folder / "medmnist").glob(f"breastmnist_{word}_*.csv")
        auc, accuracy = best[split]["auc"], best[split]["accuracy"]
        assert path.name == f"breastmnist_{word}_[AUC]{auc:.3f}_[ACC]{accuracy:.3f}@{record.key[:16]}.csv"
        rows = [[float(x) for x in row[1:]] for row in csv.reader(path.open())]
        np.testing.assert_array_equal(np.array(rows, np.float32), kept[f"{split}_{epoch}"])


def test_saved_models_load_with_keras_alone(results):
    """In a process where importing our package is an error."""
    todo, store = results
    first = next(name for name, task in todo.tasks.items() if task.kind == "classifier")
    files = [next(store.folder(first).glob("classifier-*.keras"))]
    files += [store.folder(n) / "sampler.keras" for n, t in todo.tasks.items() if t.kind == "generator"]
    assert len(files) == 4
    script = (
        "import sys; sys.modules['medaug_keras'] = None\n"
        "import keras\n"
        "for path in sys.argv[1:]: print(keras.models.load_model(path).count_params())"
    )
    done = subprocess.run([sys.executable, "-c", script, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 4
