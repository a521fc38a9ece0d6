"""How long a classifier is trained: a budget of images or steps, and patience."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import fake_results, fake_study
from test_classifiers import SETTINGS, bright_and_dark, trained

from medaug_keras import classifiers
from medaug_keras.plan import Source, plan, trained_images
from medaug_keras.reading.words import weighted_twice
from medaug_keras.report.numbers.findings import recipes
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables.runs import all_arms
from medaug_keras.spec import Study, deciding
from medaug_keras.training import Passes
from studies import PHANTOM, cli_here, recipe, tiny, written


@given(st.integers(1, 30), st.lists(st.integers(0, 50), max_size=8), st.integers(0, 99))
def test_passes_have_every_image_once_wherever_they_are_cut(images: int, cuts: list[int], seed: int):
    def drawn(counts: list[int]) -> list[int]:
        passes = Passes(np.arange(images) % 3, "shuffle", np.random.default_rng(seed))
        return [index for count in counts if count for index in passes.take(count).tolist()]

    found = drawn(cuts)
    assert found == drawn([sum(cuts)])
    for start in range(0, len(found), images):
        some = found[start : start + images]
        assert len(set(some)) == len(some)


_CUT = classifiers.batches


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of all batches that are trained on."""
    found: list[int] = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        made = _CUT(*args, **kwargs)
        found.extend(map(len, made))
        return made

    monkeypatch.setattr(classifiers, "batches", noted)
    return found


def history(images: int, **changes: Any) -> dict[str, list[Any]]:
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    held_out = {"validation": bright_and_dark(20, 1), "test": bright_and_dark(10, 2)}
    sampling = changes.pop("sampling", "shuffle")
    how = SETTINGS | recipe(batch_size=16, **changes) | {"sampling": sampling}
    return classifiers.fit(model, bright_and_dark(images, 0), held_out, num_classes=2, **how).history


@pytest.mark.parametrize("sampling", ["shuffle", "weighted"])
@pytest.mark.parametrize("images", [9, 50, 70])
def test_with_a_budget_every_training_set_is_seen_and_validated_as_often(sizes: list[int], images: int, sampling: str):
    """150 images are 10 batches of 16, in 4 parts of 2, 3, 2 and 3."""
    found = history(images, epochs=4, budget={"images": 150}, sampling=sampling)
    assert sizes == [16] * 10
    assert {len(values) for values in found.values()} == {4}


def test_a_budget_of_steps_is_that_of_their_images():
    one, *others = (history(50, epochs=3, budget=budget) for budget in ({"steps": 7}, {"images": 112}, {"images": 97}))
    assert others == [one, one]


def planned(**classifier: Any) -> dict[str, Any]:
    """Arm → its task, of arms that add none, half as many and twice as many images."""
    arms = {name: {"duplicate": {"amount": {"fraction": f}}} for name, f in (("half", 0.5), ("twice", 2.0))}
    content = tiny(classifier={"epochs": 4, "batch_size": 16, **classifier}, arms={"baseline": {}, **arms})
    made = plan(Study.model_validate_json(json.dumps(content)), {"grey": Source("x", 48, 16, 20)})
    return {run.arm: made.tasks[run.task] for run in made.runs}


def test_the_plan_counts_as_many_images_in_every_arm_with_a_budget_and_more_without():
    held_out = 4 * 16 + 2 * 20
    assert {arm: task.images - held_out for arm, task in planned(budget={"images": 150}).items()} == dict.fromkeys(
        ("baseline", "half", "twice"), 160
    )
    assert {arm: task.images - held_out for arm, task in planned().items()} == {
        "baseline": 4 * 48,
        "half": 4 * 72,
        "twice": 4 * 144,
    }


@pytest.mark.parametrize("budget", [None, {"images": 150}, {"steps": 9}])
@pytest.mark.parametrize("epochs", [1, 3, 4])
def test_what_the_plan_counts_is_what_passes_whenever_training_stops(sizes: list[int], epochs: int, budget: Any):
    def stop(epoch: int, logs: dict[str, float]) -> None:
        if epoch == epochs:
            raise StopIteration("enough")

    how = recipe(epochs=4, batch_size=16, budget=budget)
    with pytest.raises(StopIteration, match="enough"):
        trained(**how, on_epoch=stop)
    assert sum(sizes) == trained_images(how, 96, epochs)


@pytest.mark.parametrize("rule", classifiers.RULES)
def test_training_stops_when_the_selected_epoch_is_as_old_as_the_patience(rule: str):
    """Validation labels that mean nothing: what is measured on them goes up and down."""
    images = bright_and_dark(40, 1)[0]
    unclear = images, np.random.default_rng(0).integers(0, 2, 40)
    whole, _ = trained(validation=unclear, **recipe(epochs=9, batch_size=16, optimizer={"learning_rate": 0.05}))
    how = recipe(epochs=9, batch_size=16, optimizer={"learning_rate": 0.05}, patience=2, select=rule)
    short, _ = trained(validation=unclear, **how | {"select": rule})
    count = len(short.history["loss"])
    assert short.history == {name: values[:count] for name, values in whole.history.items()}
    assert short.selected["last"] == count
    assert count == 9 or count - short.selected[rule] == 2
    assert count < 9 or whole.selected[rule] > 7


def test_the_rule_that_selects_is_in_the_key_where_it_ends_the_training():
    def key(**classifier: Any) -> str:
        return planned(**classifier)["baseline"].key

    assert key(select="best_validation_auc") == key(select="best_validation_loss")
    waiting = {"patience": 2}
    assert key(**waiting, select="best_validation_auc") == key(**waiting) != key()
    assert key(**waiting, select="best_validation_loss") != key(**waiting)


# --- an arm's own recipe ---------------------------------------------------------------------------


def study(**own: Any) -> Study:
    arms = {"baseline": {}, "other": {"classifier": {"epochs": 4, "batch_size": 16, **own}}}
    return Study.model_validate_json(json.dumps(tiny(classifier={"epochs": 4, "batch_size": 16}, arms=arms)))


def tasks(asked: Study) -> dict[str, Any]:
    made = plan(asked, {"grey": Source("x", PHANTOM["train"], 16, 16)})
    return {run.arm: made.tasks[run.task] for run in made.runs}


def test_an_arm_with_a_recipe_of_its_own_differs_in_it_alone():
    """Seed and kind stay, and they alone decide the initial weights."""
    found = tasks(study(loss={"focal_gamma": 2.0}))
    one, other = found["baseline"].params, found["other"].params
    assert other["settings"] == one["settings"] | {"loss": one["settings"]["loss"] | {"focal_gamma": 2.0}}
    assert {**other, "settings": None} == {**one, "settings": None}


def test_an_arm_whose_recipe_says_what_the_studys_says_shares_its_task():
    found = tasks(study())
    assert found["other"].id == found["baseline"].id


def test_an_arm_that_trains_for_fewer_epochs_is_planned_so():
    found = tasks(study(epochs=2))
    assert found["baseline"].images - found["other"].images == 2 * (PHANTOM["train"] + 16)


def test_the_birth_values_of_all_settings_of_a_recipe_are_what_a_study_without_them_means():
    assert deciding(study().classifier) == deciding(study().arms["other"].classifier)


# --- what pages say of it --------------------------------------------------------------------------


def said(folder: Any, **classifier: Any) -> tuple[list[str], list[Any]]:
    """The sentences about recipes, and the images that passed in training of baseline and another recipe."""
    arms = {"baseline": {}, "copies": {"duplicate": {}}, "focal": {"classifier": {**classifier, "loss": FOCAL}}}
    asked = fake_study(datasets=("breastmnist",), arms=arms, classifier=classifier, samplings=["shuffle"])
    found = Results(asked, *fake_results(asked, folder))
    table = all_arms(found)
    place = [column.key for column in table.columns].index("images_seen")
    return recipes(found), [row.entries[place].value for row in table.rows if row.factors["arm"] != "copies"]


FOCAL = {"focal_gamma": 2.0}
OTHERWISE = "focal is trained by a recipe of its own: loss.focal_gamma is 2.0, elsewhere 0.0."


def test_pages_say_which_arms_train_longer_and_by_which_recipe(tmp_path):
    """BreastMNIST has 546 training images; copies of a tenth of them are 54."""
    sentences, passed = said(tmp_path)
    assert sentences == [
        OTHERWISE,
        "Training takes more images, or fewer, in these arms than in the baseline: copies +10 %. Epochs are passes "
        "over an arm's own training set; with the setting budget, all arms take as many.",
    ]
    assert passed == [20 * 546, 20 * 546]


def test_pages_name_no_setting_of_a_kind_that_an_arm_does_not_have(tmp_path):
    arms = {"baseline": {}, "own": {"classifier": {"optimizer": {"kind": "adam", "learning_rate": 0.01}}}}
    asked = fake_study(datasets=("breastmnist",), arms=arms, samplings=["shuffle"])
    (sentence,) = recipes(Results(asked, *fake_results(asked, tmp_path)))
    assert "optimizer.kind is adam, elsewhere sgd" in sentence
    assert "optimizer.learning_rate is 0.01, elsewhere 0.001" in sentence
    assert "optimizer.beta_1 is 0.9;" in sentence
    assert "momentum" not in sentence


def test_with_a_budget_pages_say_that_of_no_arm(tmp_path):
    assert said(tmp_path, budget={"images": 10_000}) == ([OTHERWISE], [157 * 64, 157 * 64])


# --- weighted twice --------------------------------------------------------------------------------


def test_arms_whose_rare_classes_are_weighted_in_loss_and_batches_are_named_at_check_and_on_the_page(tmp_path):
    balanced = {"classifier": {"loss": {"class_weights": "balanced"}}}
    arms = {
        "baseline": {},
        "both": balanced,
        "loss": {**balanced, "samplings": ["shuffle"]},
        "always": {**balanced, "samplings": ["shuffle"], "always_weighted": True},
        "batches": {"samplings": ["weighted"]},
    }
    asked = fake_study(datasets=("breastmnist",), arms=arms, replicates=1)
    warning = weighted_twice(asked)
    assert "class_weights: balanced too: both, always." in warning
    assert warning in recipes(Results(asked, *fake_results(asked, tmp_path)))
    path = written(tmp_path, tiny(arms=arms, samplings=["shuffle", "weighted"]))
    assert warning in cli_here("check", path.name, cwd=tmp_path).stderr


def test_arms_that_are_weighted_once_are_not_warned_of():
    assert not weighted_twice(fake_study(classifier={"loss": {"class_weights": "balanced"}}, samplings=["shuffle"]))
    assert not weighted_twice(fake_study())
