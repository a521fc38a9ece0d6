"""Every kind of task, made for real on a few simulated images, in this process."""

import json
import subprocess
import sys

import numpy as np
import pytest

from medaug_keras import data, engine
from medaug_keras.store import Store
from studies import planned, whole

SMALL = {"kind": "phantom", "name": "phantom-histology", "train": 70, "validation": 20, "test": 30}


def tiny_whole():
    study = whole(replicates=1, datasets={"phantom-histology": SMALL}, classifier={"epochs": 2, "batch_size": 16})
    small = {"epochs": 1, "latent_dim": 4, "batch_size": 32}
    for generator in study["generators"].values():
        generator.update(small)
    study["generators"]["jvae"]["categories"] = 3
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
    for cell in todo.cells:
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


def test_copies_are_training_images_of_their_class(results):
    todo, store = results
    sizes = {split: SMALL[split] for split in ("train", "validation", "test")}
    train = data.load_phantom("phantom-histology", seed=0, **sizes).train
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
    assert judged["duplicate"]["usefulness"] is None
    for name in ("cvae", "jvae", "cgan"):
        assert judged[name]["usefulness"]["images"] == SMALL["train"]
        made = judged[name]["usefulness"]
        for epoch in made["selected"].values():
            assert 0 <= made["scores"][str(epoch)]["test"]["accuracy"] <= 1


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
