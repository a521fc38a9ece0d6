"""Arms that use generated images otherwise than to add them: in the place of the real ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study

from medaug_keras import classifiers, data, engine, tasks
from medaug_keras.plan import Plan, Source, plan
from medaug_keras.reading import StudyError, read
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables.treatments import sizes
from medaug_keras.spec import Study
from medaug_keras.store import Store
from studies import PHANTOM, tiny, written

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
    assert "all images that this arm trains on are generated" in pages["synthetic-images.md"]
    assert "can be told from real ones, and that tells" not in pages["synthetic-images.md"]


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"replace": {"generator": "jvae"}}, r"arms\.a\.replace\.generator: jvae is a joint_vae; it makes new"),
        ({"replace": {"generator": "cvea"}}, r"arms\.a\.replace\.generator: there is no generator cvea; did you mean"),
        (
            {"replace": {"generator": "cvae"}, "duplicate": {}},
            r"has replace and duplicate; an arm takes one of add, replace, interleave and duplicate",
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
