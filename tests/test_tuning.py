"""Tuning: the learning rate of each arm is chosen on validation images, each arm with as many training runs."""

import functools
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from report_records import fake_results, fake_study

from medaug_keras import classifiers, data, engine, tasks
from medaug_keras.explain import explain
from medaug_keras.plan import Plan, Source, Task, plan, replicate_seed, tuning_word
from medaug_keras.report.numbers.findings import recipes
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables.runs import learning_rates
from medaug_keras.spec import Study, Tune
from medaug_keras.store import Store
from medaug_keras.training import DivergedError, checkpoints, subseed
from studies import changed, planned, tiny, whole

TUNE = {"learning_rate": [0.001, 0.01, 0.1], "seeds": 2}


def tuned(study: dict[str, Any], **tune: Any) -> dict[str, Any]:
    return changed(study, "classifier.tune", {**TUNE, **tune})


# --- the choice ------------------------------------------------------------------------------------

LOGS = st.fixed_dictionaries(
    {
        "val_accuracy": st.sampled_from([0.5, 0.75, 1.0]),
        "val_auc": st.sampled_from([None, 0.25, 0.5, 1.0]),
        "val_balanced_accuracy": st.sampled_from([0.5, 1.0]),
        "val_loss": st.sampled_from([0.1, 0.3, 2.0]),
    }
)
RATES = [1e-4, 1e-3, 1e-2, 0.1]


def logs(auc: float | None) -> dict[str, float | None]:
    return {"val_accuracy": 0.5, "val_auc": auc, "val_balanced_accuracy": 0.5, "val_loss": 0.3}


@example([[logs(None), logs(1.0)], [logs(0.5), logs(0.5)]], "best_validation_auc")  # undefined in one is undefined
@example([[logs(1.0), logs(0.25)], [logs(0.7), logs(0.7)]], "best_validation_auc")  # the mean, not the best
@given(
    st.lists(st.lists(st.none() | LOGS, min_size=1, max_size=3), min_size=2, max_size=4),
    st.sampled_from(list(classifiers.RULES)),
)
def test_the_learning_rate_chosen_is_the_first_of_the_best_and_never_one_that_diverged(runs: Any, rule: str):
    tried = dict(zip(RATES, runs, strict=False))
    whole_runs = {rate: some for rate, some in tried.items() if None not in some}
    if not whole_runs:
        with pytest.raises(DivergedError, match="diverged with every learning rate"):
            classifiers.choose(tried, rule)
        return
    measure, sign = rule.replace("best_validation", "val"), -1 if rule == "best_validation_loss" else 1

    def mean(rate: float, name: str) -> float:
        values = [one[name] for one in whole_runs[rate]]
        return -1.0 if None in values else sum(values) / len(values)

    best = classifiers.choose(tried, rule)
    assert all(sign * mean(best, measure) >= sign * mean(rate, measure) for rate in whole_runs)
    equal = [rate for rate in whole_runs if all(mean(rate, m) == mean(best, m) for m in (measure, "val_loss"))]
    assert best == equal[0]


# --- the plan --------------------------------------------------------------------------------------


def of(todo: Plan, kind: str) -> dict[str, Task]:
    return {name: task for name, task in todo.tasks.items() if task.kind == kind}


def test_every_arm_has_as_many_tuning_runs_whatever_it_adds_and_by_whatever_recipe():
    recipe = {"classifier": {"batch_size": 16, "optimizer": {"kind": "adam"}, "tune": TUNE, "budget": {"steps": 40}}}
    study = tuned(whole(replicates=1, samplings=["shuffle"]))
    study["arms"]["own"] = recipe
    todo = planned(study)
    for run in todo.runs:
        needs = [todo.tasks[need] for need in todo.tasks[run.task].needs.values() if need in of(todo, "tuning")]
        assert Counter(task.params["settings"]["optimizer"]["learning_rate"] for task in needs) == {
            0.001: 2,
            0.01: 2,
            0.1: 2,
        }
        made = todo.tasks[run.task]
        for task in needs:
            assert task.needs == {word: need for word, need in made.needs.items() if word in ("data", "synthesis")}
            assert task.params["augment"] == made.params["augment"]
            assert task.params["sampling"] == made.params["sampling"]
            assert task.images > 0
    assert len(of(todo, "tuning")) == 6 * len(todo.runs)


def test_more_replicates_need_no_more_tuning():
    one, many = (of(planned(tuned(tiny(replicates=n))), "tuning") for n in (1, 4))
    assert one.keys() == many.keys()


def test_no_tuning_is_no_other_work():
    assert planned(changed(tiny(), "classifier.tune", None)).tasks.keys() == planned(tiny()).tasks.keys()


LATER = ("classifier", "quality", "usefulness")  # what a learning rate is used for


def kinds(before: Plan, after: Plan) -> set[str]:
    return {task.kind for name, task in after.tasks.items() if name not in before.tasks}


def test_the_way_a_learning_rate_is_chosen_is_in_the_key_of_what_has_it():
    before = planned(tuned(whole()))
    assert kinds(planned(whole()), before) == {"tuning", *LATER}
    fewer = planned(tuned(whole(), learning_rate=[0.001, 0.1]))
    assert kinds(before, fewer) == {*LATER}  # its training runs are there
    assert kinds(before, planned(tuned(whole(), seeds=3))) == {"tuning", *LATER}
    assert kinds(before, planned(changed(tuned(whole()), "classifier.select", "last"))) == {*LATER}
    waiting = changed(tuned(whole()), "classifier.patience", 2)
    assert kinds(before, planned(waiting)) == {"tuning", *LATER}


def test_a_learning_rate_that_is_not_used_makes_no_other_work():
    other = changed(tuned(whole()), "classifier.optimizer", {"learning_rate": 0.5})
    assert planned(other).tasks.keys() == planned(tuned(whole())).tasks.keys()


@pytest.mark.parametrize("rates", [[0.1], [0.1, 0.1], [0.1, 1e-1, 0.2]])
def test_fewer_than_two_different_learning_rates_are_no_choice(rates: list[float]):
    with pytest.raises(ValidationError, match=r"twice|at least 2"):
        Tune.model_validate({"learning_rate": tuple(rates)})


def test_the_last_epoch_is_compared_by_the_primary_metric():
    def by(**changes: Any) -> str:
        return Study.model_validate_json(json.dumps(tiny(**changes))).tuned_by

    last = {"select": "last"}
    assert by(classifier=last, primary="accuracy") == "best_validation_accuracy"
    assert by(classifier=last, primary="macro_f1") == "best_validation_balanced_accuracy"
    assert by(classifier={"select": "best_validation_loss"}) == "best_validation_loss"


def test_one_arm_alone_takes_its_own_tuning():
    part = planned(tuned(tiny(replicates=2))).only({"arm": ["flip"], "replicate": ["1"]})
    assert Counter(task.kind for task in part.tasks.values()) == {"data": 1, "tuning": 6, "classifier": 1}
    assert {task.title.split(", ")[0] for task in of(part, "tuning").values()} == {"grey: flip"}


def folded() -> dict[str, Any]:
    split = {"folds": 2, "validation": 0.25}
    own = {"kind": "folder", "path": "a", "split": split, "train": 24, "validation": 12, "test": 12}
    return tuned(tiny(replicates=2, datasets={"own": own}), learning_rate=[0.001, 0.01])


def plan_of_folds() -> Plan:
    content = folded()
    sizes = {split: content["datasets"]["own"].pop(split) for split in ("train", "validation", "test")}
    return plan(Study.model_validate_json(json.dumps(content)), {"own": Source("x", **sizes)})


def test_each_fold_of_each_replicate_tunes_for_itself_on_what_its_classifier_sees():
    todo = plan_of_folds()
    trained = of(todo, "classifier").values()
    assert len(of(todo, "tuning")) == 4 * len(trained) == 4 * 2 * 2 * 2
    for task in trained:
        cut = {word: task.params[word] for word in ("folds", "fold", "seed")}
        tuning = [todo.tasks[need] for word, need in task.needs.items() if word != "data"]
        assert len(tuning) == 4
        assert all({word: one.params[word] for word in cut} == cut for one in tuning)


def test_why_a_tuned_run_would_run_again_is_said_by_the_settings_name(tmp_path: Path):
    study = fake_study(datasets=("breastmnist",), replicates=1, classifier={"tune": TUNE}, samplings=["shuffle"])
    todo, store = fake_results(study, tmp_path)
    other = json.loads(study.model_dump_json())
    other["classifier"]["tune"]["seeds"] = 1
    again = plan(Study.model_validate_json(json.dumps(other)), todo.sources)
    said = explain(again.tasks[again.runs[0].task], again, store)
    assert "classifier.tune.seeds: 2 there, 1 now" in said


# --- done for real ---------------------------------------------------------------------------------


def arrays(folder: Path, name: str, *, turned: bool = False) -> Path:
    """A few images of which the brighter ones are of class 1; `turned`: the test labels say the opposite."""
    rng, found = np.random.default_rng(0), {}
    for split, count in (("train", 48), ("val", 24), ("test", 24)):
        labels = np.arange(count) % 2
        images = rng.normal(90 + 60 * labels[:, None, None], 40, (count, 28, 28))
        found[f"{split}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        found[f"{split}_labels"] = 1 - labels if turned and split == "test" else labels
    path = folder / f"{name}.npz"
    np.savez(path, **found)
    return path


def attempted(folder: Path, path: Path, **tune: Any) -> tuple[Plan, Store]:
    """A tuned study of an .npz file, made in this process."""
    content = tuned(tiny(datasets={"own": {"kind": "npz", "path": str(path)}}), **tune)
    content["classifier"]["epochs"] = 2
    content["arms"] = {"baseline": {}, "copies": {"duplicate": {}}}
    study = Study.model_validate_json(json.dumps(content))
    section = {**content["datasets"]["own"], **json.loads(study.datasets["own"].model_dump_json()), "name": "own"}
    section |= {"dataset": "own", "root": ""}
    source = Source(data.KINDS["npz"].fingerprint(section, None), 48, 24, 24, 2)
    todo, store = plan(study, {"own": source}), Store(folder)
    for task in todo.tasks.values():
        done = engine.attempt(task, store, lambda what, content: None)
        assert done[0] == "done", done
    return todo, store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    folder = tmp_path_factory.mktemp("tuned")
    return attempted(folder / "results", arrays(folder, "own"), learning_rate=[1e-4, 0.05, 1e30])


def test_the_choice_is_the_same_whatever_the_test_labels_say(made: tuple[Plan, Store], tmp_path: Path):
    other = attempted(tmp_path / "results", arrays(tmp_path, "own", turned=True), learning_rate=[1e-4, 0.05, 1e30])

    def records(todo: Plan, store: Store) -> tuple[list[Any], list[Any], list[Any]]:
        trained = [store.record(run.task).values for run in todo.runs]
        return (
            [store.record(name).values for name in of(todo, "tuning")],
            [values["tuned"] for values in trained],
            [next(iter(values["scores"].values()))["test"]["accuracy"] for values in trained],
        )

    (runs, chosen, scores), (other_runs, other_chosen, other_scores) = records(*made), records(*other)
    assert (runs, chosen) == (other_runs, other_chosen)
    assert scores != other_scores


def test_a_tuning_run_keeps_nothing_of_test_images(made: tuple[Plan, Store]):
    todo, store = made
    for name in of(todo, "tuning"):
        record = store.record(name)
        assert set(record.run["files"]) == (set() if "diverged" in record.values else {"history.json"})
        assert "test" not in json.dumps(record.values)


@pytest.fixture
def copied(made: tuple[Plan, Store], tmp_path: Path) -> tuple[Plan, Store]:
    """The results, in a folder where tasks can be made again."""
    shutil.copytree(made[1].root, tmp_path / "results")
    return made[0], Store(tmp_path / "results")


def again(task: Task, store: Store, tell: Any = lambda what, content: None) -> dict[str, Any]:
    shutil.rmtree(store.folder(task.id), ignore_errors=True)
    done = engine.attempt(task, store, tell)
    assert done[0] == "done", done
    return store.record(task.id).values


def test_a_tuning_run_is_handed_no_test_image(copied: tuple[Plan, Store], monkeypatch: pytest.MonkeyPatch):
    todo, store = copied
    seen: list[Any] = []

    @functools.wraps(classifiers.fit)
    def noted(model: Any, train: Any, held_out: Any, **how: Any) -> Any:
        seen.append((set(held_out), how["seed"]))
        raise DivergedError("seen enough")

    monkeypatch.setattr(classifiers, "fit", noted)
    for task in of(todo, "tuning").values():
        assert again(task, store)["diverged"] == "seen enough"
    assert [splits for splits, _ in seen] == [{"validation"}] * 12
    chance = {seed for _, seed in seen}
    assert chance == {subseed(replicate_seed(0, 0), f"tuning {number}") for number in (0, 1)}
    assert not chance & {replicate_seed(0, replicate) for replicate in range(1000)}


class KilledError(BaseException):
    """Stands for the signal."""


def test_a_tuning_run_that_is_killed_and_resumed_is_an_undisturbed_one(
    copied: tuple[Plan, Store], monkeypatch: pytest.MonkeyPatch
):
    todo, store = copied
    monkeypatch.setattr(checkpoints, "EVERY", 0)
    task = next(iter(of(todo, "tuning").values()))
    undisturbed, said = store.record(task.id).values, []

    def kill(what: str, content: Any) -> None:
        if what == "epoch" and content[0] == 2:
            raise KilledError("killed")

    with pytest.raises(KilledError, match="killed"):
        again(task, store, kill)
    assert again(task, store, lambda what, content: said.append((what, content))) == undisturbed
    assert ("message", "resumes from its checkpoint") in said
    assert [content[0] for what, content in said if what == "epoch"] == [2]


def test_what_trains_takes_the_learning_rate_that_was_chosen(made: tuple[Plan, Store]):
    """The same training run by hand, with the value that has the best mean in the records of the tuning."""
    todo, store = made
    for run in todo.runs:
        values, task = store.record(run.task).values, todo.tasks[run.task]
        means = {}
        for need in task.needs.values():
            if need in of(todo, "tuning") and (measured := store.record(need).values["measured"]):
                rate = todo.tasks[need].params["settings"]["optimizer"]["learning_rate"]
                means.setdefault(rate, []).append(measured["best_validation_auc"]["val_auc"])
        assert [(one["learning_rate"], one["diverged"]) for one in values["tuned"]["tried"]] == [
            (1e-4, 0),
            (0.05, 0),
            (1e30, 2),
        ]
        assert {one["learning_rate"]: one["validation"] for one in values["tuned"]["tried"][:2]} == means
        best = values["tuned"]["learning_rate"]
        assert sum(means[best]) == max(map(sum, means.values()))
        network, training = classifiers.split(
            {**task.params["settings"], "optimizer": {**task.params["settings"]["optimizer"], "learning_rate": best}}
        )
        seed = task.params["seed"]
        with np.load(todo.tasks[todo.data["own"]].local["path"]) as file:
            sets = {name: (file[f"{part}_images"][..., None], file[f"{part}_labels"]) for name, part in PARTS.items()}
        if "synthesis" in task.needs:
            added = data.load_plain(store.folder(task.needs["synthesis"]) / "synthetic.npz")
            sets["train"] = tuple(
                np.concatenate([own, added[name]])
                for own, name in zip(sets["train"], ("images", "labels"), strict=True)
            )
        model = classifiers.build(**network, image_shape=(28, 28, 1), num_classes=2, seed=seed)
        by_hand = classifiers.fit(
            model,
            sets.pop("train"),
            sets,
            num_classes=2,
            sampling="shuffle",
            augment=[],
            seed=seed,
            on_epoch=lambda epoch, logs: None,
            **{"select": None, **training},
        )
        assert by_hand.history == json.loads((store.folder(run.task) / "history.json").read_bytes())


def test_learning_rates_are_compared_by_one_rule_at_the_epochs_of_another(tmp_path: Path):
    """With the last epoch shown, the last epochs are compared by AUC, whatever the epochs with the best AUC had."""
    tune = {"learning_rate": [0.1, 0.01], "seeds": 2, "select": "last", "by": "best_validation_auc"}
    needs = {}
    for number in (0, 1):
        for rate, last, best in ((0.1, 0.6, 0.9), (0.01, 0.8, 0.7)):
            folder = needs[tuning_word(rate, number)] = tmp_path / f"{rate} {number}"
            folder.mkdir()
            measured = {"last": logs(last + number / 100), "best_validation_auc": logs(best)}
            (folder / "record.json").write_text(json.dumps({"values": {"measured": measured}}))
    assert tasks._tuned(tune, needs) == {
        "learning_rate": 0.01,
        "by": "best_validation_auc",
        "tried": [
            {"learning_rate": 0.1, "validation": [0.6, 0.61], "diverged": 0},
            {"learning_rate": 0.01, "validation": [0.8, 0.81], "diverged": 0},
        ],
    }


def test_what_a_tuning_run_measured_is_of_the_epoch_that_each_rule_selects(made: tuple[Plan, Store]):
    todo, store = made
    epochs = set()
    for name in of(todo, "tuning"):
        values = store.record(name).values
        if values["selected"]:
            history = json.loads((store.folder(name) / "history.json").read_bytes())
            for rule, epoch in values["selected"].items():
                assert values["measured"][rule]["val_loss"] == history["val_loss"][epoch - 1]
                epochs.add(epoch)
    assert epochs == {1, 2}


PARTS = {"train": "train", "validation": "val", "test": "test"}


# --- what pages say --------------------------------------------------------------------------------


def shown(folder: Path, *rates: float, **changes: Any) -> tuple[list[str], list[list[Any]], str]:
    """The sentences, the table of learning rates, and the page of a run; of made-up records, 0.5 is the best rate."""
    study = fake_study(
        datasets=("breastmnist",),
        arms={"baseline": {}, "gda": {"augment": [{"layer": "horizontal_flip"}]}},
        samplings=["shuffle"],
        classifier={"tune": {"learning_rate": rates, "seeds": 2}},
        **changes,
    )
    results = Results(study, *fake_results(study, folder))
    table = learning_rates(results)
    made = Pages(results).all()
    return (
        recipes(results),
        [[entry.value for entry in row.entries[2:]] for row in table.rows],
        made["runs/breastmnist.gda.shuffle.0.md"].decode(),
    )


def test_pages_say_how_the_learning_rate_was_chosen_and_what_each_value_scored(tmp_path: Path):
    sentences, rows, page = shown(tmp_path, 0.05, 0.5, 5.0)
    assert sentences == [
        "The learning rate of each arm was chosen from 3 values (0.05, 0.5, 5) by the mean validation accuracy of 2 "
        "training runs with each, of other seeds than the replicates'; no test image was used."
    ]
    assert rows == [["0.5", *map(pytest.approx, (0.805, 0.905, 0.805))]] * 2
    assert '<strong>0.5</strong> <span class="ma-tag">chosen</span>' in page
    assert "chosen from 3 values by the mean validation accuracy of 2 training runs" in page
    assert "may be better still" not in page


@pytest.mark.parametrize(
    ("rates", "end"), [((0.005, 0.05), "largest, 0.05"), ((5.0, 50.0), "smallest, 5"), ((5.0, 500.0), "smallest, 5")]
)
def test_a_choice_at_the_end_of_the_list_is_warned_of(rates: tuple[float, ...], end: str, tmp_path: Path):
    sentences, rows, page = shown(tmp_path, *rates)
    where = "baseline on BreastMNIST and gda on BreastMNIST"
    assert [f"The best of the learning rates tried was the {end}, for {where}" in text for text in sentences[1:]] == [
        True
    ]
    assert f"The best of the values tried was the {end.split(',')[0]}:" in page
    if rates[-1] == 500:
        assert rows[0][-1] is None
        assert '500 <span class="ma-tag">diverged</span>' in page


def test_a_study_that_tunes_nothing_says_nothing_of_it(tmp_path: Path):
    study = fake_study(datasets=("breastmnist",))
    results = Results(study, *fake_results(study, tmp_path))
    assert not any("learning" in sentence for sentence in recipes(results))
    assert not any(b"learning-rates" in text for name, text in Pages(results).all().items() if name == "results.md")
