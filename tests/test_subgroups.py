"""Subgroups of a table's test images: what is read, what is tested, what pages say."""

import html
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import recall_score, roc_auc_score

from medaug_keras import data, engine, evaluation
from medaug_keras.data import DataError, Ids, Parts, Table
from medaug_keras.data.ids import fingerprint_with, ids_subgroups
from medaug_keras.data.subgroups import By, subgroups_of
from medaug_keras.plan import Source, plan
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import methods_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.numbers.subgroups import Subgroup, of_subgroups, subgroups_elsewhere
from medaug_keras.report.pages import classes as page
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.findings import findings
from medaug_keras.report.pages.further import other_test_sets
from medaug_keras.report.tables import subgroups as subgroup_tables
from medaug_keras.spec import Study
from medaug_keras.stats import apart, benjamini_hochberg, crossed, pseudo_values
from medaug_keras.store import Store
from studies import cli_here, tiny, written

N = 160
ASKED = ["sex", {"column": "age", "at": [40, 60]}]


def rows() -> list[list[str]]:
    """Two images a patient; half are test images. Sex is missing of some, and differs within some patients."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(N):
        sex = ["F", "M", ""][rng.choice(3, p=[0.45, 0.45, 0.1])]
        part = ["train", "val", "test", "test"][i // 2 % 4]
        found.append([f"{i:03}.png", "ab"[rng.integers(2)], f"p{i // 2}", part, sex, str(20 + 7 * (i // 2) % 61), "x"])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    for i in range(N):
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(root / "images" / f"{i:03}.png")
    text = "\n".join(map(",".join, [["file", "dx", "patient", "part", "sex", "age", "same"], *rows()]))
    (root / "table.csv").write_text(text + "\n")
    return root


def section(folder: Path, **changes) -> dict[str, object]:
    asked = {"kind": "table", "path": str(folder / "table.csv"), "image": "images/{file}", "label": "dx"}
    return asked | {"group": "patient", "split": {"column": "part"}, "subgroups": ASKED} | changes


def study(folder: Path, **changes) -> Study:
    content = tiny(datasets={"mine": section(folder, **changes)}, replicates=3)
    return Study.model_validate_json(json.dumps(content))


def table(folder: Path, **changes) -> Table:
    said = {"path": folder / "table.csv", "image": "images/{file}", "label": "dx", "group": "patient"}
    return Table(**said | {"split": Parts(column="part"), "subgroups": [By("sex"), By("age", (40, 60))]} | changes)


# --- what is read ---


def test_values_and_bands_are_those_of_the_rows_and_a_band_has_its_lower_number(folder):
    found = data.table_subgroups(table(folder))
    assert found.columns == ("sex", "age")
    assert found.names == (("F", "M"), ("below 40", "40 to below 60", "60 and above"))
    of = {row[0]: row for row in rows()}
    for name, sex, age, tested, group in zip(found.ids, *found.places, found.tested, found.groups, strict=True):
        _, _, patient, part, said, years, _ = of[Path(name).name]
        assert sex == {"F": 0, "M": 1, "": -1}[said]
        assert age == (int(years) >= 40) + (int(years) >= 60)
        assert tested == (part == "test")
        assert group == patient
    sex, age = found.counts()
    there = [row for row in rows() if row[3] == "test"]
    assert sex["images"] == [sum(row[4] == word for row in there) for word in "FM"]
    assert sex["groups"] == [len({row[2] for row in there if row[4] == word}) for word in "FM"]
    assert sex["missing"] == sum(row[4] == "" for row in there)
    assert (sum(age["images"]), age["missing"]) == (len(there), 0)


def test_without_a_split_every_image_is_a_test_image(folder):
    found = data.table_subgroups(table(folder, split=Parts(whole=True)))
    assert found.tested.all()
    assert sorted(found.ids) == sorted(f"images/{row[0]}" for row in rows())
    assert found.counts()[0]["images"] == [sum(row[4] == word for row in rows()) for word in "FM"]


def of(values, by, folds=False):
    columns = {"train": {by.column: values}, "validation": {by.column: []}, "test": {by.column: []}}
    ids = {"train": list(map(str, range(len(values)))), "validation": [], "test": []}
    return subgroups_of(columns, ids, {split: [] for split in ids}, [by], where="t.csv", all_tested=folds)


def test_a_number_at_the_edge_of_a_band_is_in_the_upper_one():
    found = of(["39.9", "40", "59", "60", "NA"], By("age", (40, 60)), folds=True)
    assert found.places.tolist() == [[0, 1, 1, 2, -1]]
    assert found.tested.all()


@pytest.mark.parametrize(
    ("values", "by", "said"),
    [
        ([f"p{i}" for i in range(10)], By("name"), "name has 10 different values in 10 images, too many"),
        ([f"{i % 21}" for i in range(100)], By("age"), "age has 21 different values in 100 images, too many"),
        (["F", "F", ""], By("sex"), "in one subgroup, or none has a value"),
        (["", "NA", ""], By("sex"), "in one subgroup, or none has a value"),
        (["1", "2"], By("age", (40,)), "in one subgroup, or none has a value"),
        (["old", "50", "10"], By("age", (40,)), r"age of 1 images is no number \(the first is 'old'\)"),
    ],
)
def test_a_column_that_makes_no_subgroups_is_one_message(values, by, said):
    with pytest.raises(DataError, match=said):
        of(values, by)


def test_twenty_values_are_subgroups_and_half_as_many_as_images_are():
    assert len(of([f"{i % 20}" for i in range(100)], By("site")).names[0]) == 20
    assert of(["a", "a", "b", "b"], By("site")).names == (("a", "b"),)
    assert of(["10", "9", "10", "9"], By("site")).names == (("9", "10"),)


def test_a_column_that_is_not_there_is_named_with_the_setting(folder):
    with pytest.raises(DataError, match=r"there is no column 'sexx', which `subgroups` names.*did you mean sex\?"):
        data.table_subgroups(table(folder, subgroups=[By("sexx")]))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["sex", {"column": "sex", "at": [1]}], "names a column twice in subgroups"),
        (["patient"], "names patient in subgroups, which is its group"),
        (["dx"], "names dx in subgroups, which is its labels"),
        ([{"column": "age", "at": [60, 40]}], "do not rise"),
    ],
)
def test_subgroups_that_contradict_are_refused(folder, asked, said):
    with pytest.raises(ValueError, match=said):
        study(folder, subgroups=asked)


def test_images_and_their_fingerprint_do_not_depend_on_subgroups(folder):
    one, other = (data.table_fingerprint(table(folder, **how), cache=None) for how in ({}, {"subgroups": ()}))
    assert one == other
    assert data.table_subgroups(table(folder, subgroups=())) is None


def test_what_is_odd_is_said_with_its_numbers(folder):
    found = data.table_subgroups(table(folder))
    missing, few_sex, few_age = data.odd_subgroups(found)
    assert f"{found.counts()[0]['missing']} of 80 test images have no value of sex" in missing
    sizes = found.counts()[1]["groups"]
    assert f"fewer than {data.FEW_IMAGES} groups of test images are in these subgroups of age" in few_age
    assert f"below 40 ({sizes[0]}), 40 to below 60 ({sizes[1]}), 60 and above ({sizes[2]})" in few_age
    assert "subgroups of sex" in few_sex


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ([*range(20, 47), 47, 63, 64], "27 of 30 test images with a value of age are in one band (below 47)"),
        ([30] + [50] * 19 + [60] * 10, "(47 and above), which leaves little to compare: at: [50, 60] parts them more"),
        ([50] * 27 + [30, 60, 70], "(47 and above), which leaves little to compare: nearly all have the same number."),
        ([*range(20, 46), 47, 62, 63, 64], None),
    ],
)
def test_other_bands_are_advised_where_nearly_all_test_images_are_in_one(ages, said):
    found = of(["", *map(str, ages)], By("age", (47,)), folds=True)
    hints = [text for text in data.odd_subgroups(found) if "in one band" in text]
    if said is None:
        assert not hints
    else:
        assert said in hints[0]


def test_advised_bands_part_the_test_images_into_thirds(folder):
    ages = [str(age) for age in range(90)]
    columns = {"train": {"age": ages * 5}, "validation": {"age": []}, "test": {"age": [str(30 + n) for n in range(30)]}}
    ids = {split: list(map(str, range(len(columns[split]["age"])))) for split in columns}
    nothing = {split: [] for split in ids}
    found = subgroups_of(columns, ids, nothing, [By("age", (30,))], where="t.csv", all_tested=False)
    (hint,) = (text for text in data.odd_subgroups(found) if "in one band" in text)
    assert "30 of 30 test images with a value of age are in one band (30 and above)" in hint
    assert "at: [40, 50] parts them more evenly" in hint


# --- a table of ids ---


IDS = [
    f"{split},{i},p{i // 2},{split}{i},{'FM'[i % 2]},{20 + 10 * i}"
    for split in ("train", "val", "test")
    for i in range(4)
]


def ids(folder: Path, lines=IDS, **changes) -> Ids:
    (folder / "ids.csv").write_text("\n".join(["split,index,who,file,sex,age", *lines]) + "\n")
    return Ids(**{"path": folder / "ids.csv", "group": "who", "image": "file"} | changes)


def test_a_table_of_ids_has_subgroups_by_the_names_that_it_gives_whatever_the_order_of_its_rows(tmp_path):
    by = [By("sex"), By("age", (40,))]
    for lines in (IDS, IDS[::-1]):
        found = ids_subgroups(ids(tmp_path, lines), by, None)
        assert found.ids == tuple(f"{split}{i}" for split in ("train", "val", "test") for i in range(4))
        assert found.places.tolist() == [[0, 1, 0, 1] * 3, [0, 0, 1, 1] * 3]
        assert found.tested.tolist() == [False] * 8 + [True] * 4
        assert found.groups == ("p0", "p0", "p1", "p1") * 3
    unnamed = ids_subgroups(ids(tmp_path, image=None), by, None)
    assert unnamed.ids[-1] == "test/3"
    assert unnamed.places.tolist() == found.places.tolist()
    (tmp_path / "drop.csv").write_text("image\ntest1\ntrain0\n")
    left = ids_subgroups(ids(tmp_path), by, tmp_path / "drop.csv")
    assert left.ids == tuple(name for name in found.ids if name not in ("test1", "train0"))
    assert left.places[0].tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 0, 1]


def test_subgroups_of_a_table_of_ids_are_not_in_the_fingerprint_of_the_images(tmp_path):
    part = {"kind": "npz", "path": "a.npz", "ids": {"path": str(tmp_path / "ids.csv"), "group": "who"}}
    ids(tmp_path)
    sections = [tiny(datasets={"mine": part | {"subgroups": asked}}) for asked in (["sex"], [])]
    known = [Source("bytes", 4, 4, 4, 2, ("",), ("a", "b"), False, said) for said in ("values", "")]
    plans = [
        plan(Study.model_validate_json(json.dumps(of)), {"mine": source})
        for of, source in zip(sections, known, strict=True)
    ]
    assert plans[0].tasks.keys() - plans[1].tasks.keys() == {plans[0].subgroups["mine"]}
    assert plans[1].tasks.keys() <= plans[0].tasks.keys()
    before = fingerprint_with("0", ids(tmp_path), None)
    assert before == fingerprint_with("0", ids(tmp_path, [line.replace("F", "M") for line in IDS]), None)


def test_two_images_of_one_name_are_in_no_subgroup_that_could_be_told(tmp_path):
    table_ = ids(tmp_path, [line.replace("test3", "test2") for line in IDS])
    with pytest.raises(DataError, match=r"two images have the same name \(test2\).*Give each a name of its own"):
        ids_subgroups(table_, [By("sex")], None)
    with pytest.raises(DataError, match="no column 'sexx', which `subgroups` names"):
        ids_subgroups(ids(tmp_path), [By("sexx")], None)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            {"subgroups": ["sex"]},
            "has subgroups, which are columns of a table of its images, and no such table: add ids",
        ),
        ({"ids": {"path": "i.csv", "group": "who"}, "subgroups": ["who"]}, "in subgroups, which is its group"),
        ({"ids": {"path": "i.csv", "group": "who"}, "subgroups": ["index"]}, "in subgroups, which is its index"),
        ({"ids": {"path": "i.csv", "group": "who"}, "subgroups": ["sex", "sex"]}, "names a column twice in subgroups"),
    ],
)
@pytest.mark.parametrize("kind", [{"kind": "npz", "path": "a.npz"}, {"kind": "medmnist", "name": "breastmnist"}])
def test_arrays_without_a_table_of_their_images_have_no_subgroups_and_say_so(kind, part, said):
    with pytest.raises(ValueError, match=said):
        Study.model_validate_json(json.dumps(tiny(datasets={"mine": {**kind, **part}})))


# --- the plan ---


def source(folder: Path, subgroups: str = "said") -> Source:
    return Source(data.table_fingerprint(table(folder), cache=None), 40, 40, 80, 2, ("",), ("a", "b"), False, subgroups)


def test_subgroups_are_a_task_of_their_own_and_change_no_other_key(folder):
    with_, without = (study(folder, subgroups=asked) for asked in (ASKED, []))
    found, before = plan(with_, {"mine": source(folder)}), plan(without, {"mine": source(folder, "")})
    assert found.tasks.keys() - before.tasks.keys() == {found.subgroups["mine"]}
    assert before.tasks.keys() <= found.tasks.keys()
    changed = plan(with_, {"mine": source(folder, "other values")})
    assert changed.subgroups != found.subgroups
    bands = plan(study(folder, subgroups=[ASKED[0], {"column": "age", "at": [40, 61]}]), {"mine": source(folder)})
    assert bands.subgroups != found.subgroups
    part = found.only({"dataset": ["mine"], "replicate": ["0"]})
    assert part.subgroups == found.subgroups
    assert part.subgroups["mine"] in part.tasks
    assert not found.only({"arm": ["none"]}).subgroups


def test_subgroups_of_a_test_set_from_elsewhere_are_a_task_of_their_own_and_of_its_data_set(folder):
    tests = [{"b": section(folder, subgroups=asked)} for asked in (ASKED, [])]
    sources = {"mine": source(folder), "mine.tests.b": source(folder, "other values")}
    found, before = (plan(study(folder, tests=of), sources) for of in tests)
    assert found.tasks.keys() - before.tasks.keys() == {found.subgroups["mine.tests.b"]}
    assert before.tasks.keys() <= found.tasks.keys()
    task = found.tasks[found.subgroups["mine.tests.b"]]
    assert (task.needs, task.params["values"]) == ({"data": found.data["mine.tests.b"]}, "other values")
    assert found.subgroups["mine"] in before.tasks
    assert found.only({"dataset": ["mine"]}).subgroups == found.subgroups
    assert not found.only({"dataset": ["min"]}).subgroups


# --- what is tested ---


def without(first, second, units_first, units_second, unit):
    return first[units_first != unit].mean() - second[units_second != unit].mean()


@pytest.mark.parametrize("shared", [0, 3])
def test_pseudo_values_of_a_difference_of_subgroups_are_those_of_brute_force(shared):
    rng = np.random.default_rng(1)
    own, other = np.arange(7), np.arange(7 - shared, 12 - shared)
    first, second = rng.normal(0.3, 1, (2, 7)), rng.normal(0, 1, (2, 5))
    found = apart(first, second, own, other)
    units = np.union1d(own, other)
    U = len(units)
    for s in range(2):
        whole = first[s].mean() - second[s].mean()
        assert found[s].mean() == pytest.approx(whole)
        left = np.array([without(first[s], second[s], own, other, unit) for unit in units])
        assert found[s] == pytest.approx(whole + (U - 1) * (whole - left))


def test_a_difference_of_subgroups_turns_its_sign_with_them_and_is_zero_of_equal_ones():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(3, 9)), rng.normal(size=(3, 6))
    one = crossed(apart(first, second, np.arange(9), np.arange(9, 15)))
    other = crossed(apart(second, first, np.arange(9, 15), np.arange(9)))
    assert one.effect == pytest.approx(-other.effect)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert crossed(apart(first, first, np.arange(9), np.arange(9, 18))).effect == pytest.approx(0)


@pytest.mark.parametrize(
    ("units", "said"),
    [
        (([0, 1], [2]), "fewer than two units"),
        (([0, 0], [1, 2]), "two values in a subgroup"),
        (([0], [1, 2]), "expected a unit"),
    ],
)
def test_units_that_do_not_fit_are_refused(units, said):
    with pytest.raises(ValueError, match=said):
        apart(np.zeros((2, 2)), np.zeros((2, len(units[1]))), *units)


@pytest.fixture(scope="module", params=["accuracy", "auc"])
def results(request, folder, tmp_path_factory) -> Results:
    """Data and subgroups read by their tasks; classifiers made up, two arms that differ most where sex is F.

    Further test sets: `again`, the same test images, and `all`, those of every split.
    """
    whole = section(folder, split=None)
    tests = {"again": section(folder), "all": {name: of for name, of in whole.items() if name != "split"}}
    asked = study(folder, tests=tests).model_copy(update={"primary": request.param})
    uncut = table(folder, split=Parts(whole=True))
    known = replace(source(folder), subgroups=data.table_subgroups(table(folder)).md5)
    sources = {"mine": known, "mine.tests.again": known}
    sources["mine.tests.all"] = Source(
        data.table_fingerprint(uncut, cache=None), N, 0, 0, 2, "", ("a", "b"), False, data.table_subgroups(uncut).md5
    )
    todo = plan(asked, sources)
    store = Store(tmp_path_factory.mktemp("results") / "results")
    for name in dict.fromkeys((*todo.data.values(), *todo.subgroups.values(), *todo.overlaps.values())):
        state = engine.attempt(todo.tasks[name], store, lambda what, content: None)
        assert state[0] == "done", state
    found = data.load_table(table(folder), name="mine", title="", size=None, colour=None)
    sex = dict(zip((row[0] for row in rows()), (row[4] for row in rows()), strict=True))
    boost = np.array([sex[Path(name).name] == "F" for name in found.test.ids])
    for number, run in enumerate(todo.runs):
        rng, labels = np.random.default_rng(number), {"test": found.test.labels, "validation": found.validation.labels}
        arrays = {}
        for split, of in labels.items():
            score = rng.normal(0, 1, len(of)) + (of * 2 - 1) * 0.6
            if split == "test" and run.arm == "flip":
                score += boost * (of * 2 - 1)
            p = 1 / (1 + np.exp(-score))
            arrays[f"{split}_1"] = np.stack([1 - p, p], axis=1).astype(np.float32)
        scores = {"1": {split: evaluation.scores(labels[split], arrays[f"{split}_1"]) for split in labels}}
        with store.claim(run.task) as out:
            names = {"test_ids": np.array(found.test.ids), "test_groups": np.array(found.test.groups)}
            np.savez(out / "predictions.npz", **arrays, **names, **{f"{s}_labels": of for s, of in labels.items()})
            (out / "history.json").write_text(json.dumps({"loss": [1.0]}))
            (out / "layers.json").write_text("[]")
            rules = ["accuracy", "auc", "balanced_accuracy", "loss"]
            selected = {f"best_validation_{rule}": 1 for rule in rules} | {"last": 1}
            values = {"selected": selected, "scores": scores, "epochs": 1, "training_images": 40, "parameters": 1}
            store.commit(todo.tasks[run.task], out, values, {"started": 0.0, "seconds": 1.0})
        whole = data.load_table(uncut, name="mine", title="", size=None, colour=None).train
        score = rng.normal(0, 1, N) + (whole.labels * 2 - 1) * 0.6
        p = np.stack([1 - (p := 1 / (1 + np.exp(-score))), p], axis=1).astype(np.float32)
        for name, some, of in (("again", found.test, arrays["test_1"]), ("all", whole, p)):
            with store.claim(run.tests[name]) as out:
                names = {"test_ids": np.array(some.ids), "test_groups": np.array(some.groups)}
                np.savez(out / "predictions.npz", test_1=of, test_labels=some.labels, **names)
                tried = {"1": {"test": evaluation.scores(some.labels, of)}}
                values = {"images": len(some.labels), "selected": selected, "pixels_changed": {}, "scores": tried}
                store.commit(todo.tasks[run.tests[name]], out, values, {"started": 0.0, "seconds": 1.0})
    return Results(asked, todo, store)


def told(results: Results, arm: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """(S, n, K) probabilities of an arm, labels, groups and names of the test images, from the files."""
    p = []
    for run in results.groups["mine", arm, "shuffle"].runs:
        with np.load(run.record.folder / "predictions.npz") as file:
            p.append(file["test_1"])
            labels, groups, ids = file["test_labels"], file["test_groups"], file["test_ids"].tolist()
    return np.stack(p), labels, groups, ids


def test_every_subgroup_has_its_metric_recall_and_difference_by_the_crossed_analysis_of_its_groups(results):
    metric = results.study.primary
    found = {(one.subgroup.name, one.group.arm): one for one in of_subgroups(Inference(results))}
    names = ["F", "M", "below 40", "40 to below 60", "60 and above"]
    assert list(found) == list(itertools.product(names, ["baseline", "flip"]))
    (ours, labels, groups, ids), (theirs, *_) = told(results, "flip"), told(results, "baseline")
    sex = {row[0]: row[4] for row in rows()}
    there = {word: np.array([sex[Path(name).name] == word for name in ids]) for word in "FM"}
    values = {}
    for word, here in there.items():
        one, base = found[word, "flip"], found[word, "baseline"]
        score = {
            "accuracy": lambda y, p: np.mean(p.argmax(1) == y),
            "auc": lambda y, p: roc_auc_score(y, p[:, 1]),
        }[metric]
        assert one.value.mean == pytest.approx(np.mean([score(labels[here], p[here]) for p in ours]))
        each = [recall_score(labels[here], p[here].argmax(1), average="macro") for p in ours]
        assert one.recall.mean == pytest.approx(np.mean(each))
        assert (one.subgroup.images, one.subgroup.groups) == (here.sum(), len(set(groups[here])))
        a, b = (pseudo_values(metric, p[:, here], labels[here], groups[here]) for p in (ours, theirs))
        values[word] = a - b, np.unique(groups[here])
        expected = crossed(a - b, images=int(here.sum()))
        assert (one.result.effect, one.result.se, one.result.p_family) == pytest.approx(
            (expected.effect, expected.se, expected.p_family)
        )
        assert one.result.images == here.sum()
        assert np.mean(one.runs) == pytest.approx(one.result.effect)
        assert base.result is base.apart is None
    (a, units_a), (b, units_b) = values["F"], values["M"]
    between = crossed(apart(a, b, units_a, units_b))
    one, other = found["F", "flip"].apart, found["M", "flip"].apart
    assert (one.effect, one.low, one.high) == pytest.approx((between.effect, between.low, between.high))
    assert other.effect == pytest.approx(-one.effect)
    assert one.effect > 0.05
    assert one.groups == len(np.union1d(units_a, units_b))
    assert one.images == there["F"].sum() + there["M"].sum()


def test_on_the_own_test_images_once_more_subgroups_are_those_of_the_test_images(results):
    """All but p, which is corrected among the test sets from elsewhere."""
    inference = Inference(results)
    there, own = subgroups_elsewhere(inference)["mine.tests.again"], of_subgroups(inference)
    assert len(own) == 5 * 2
    for one, other in zip(own, there, strict=True):
        assert replace(other.subgroup, place="mine") == one.subgroup
        assert replace(other, subgroup=one.subgroup, fdr=one.fdr, apart_fdr=one.apart_fdr) == one


def test_subgroups_of_images_elsewhere_are_those_of_its_own_rows_and_predictions(results):
    inference, metric = Inference(results), results.study.primary
    found = subgroups_elsewhere(inference)
    assert list(found) == ["mine.tests.again", "mine.tests.all"]
    sex, p = {row[0]: row[4] for row in rows()}, {}
    for arm in ("baseline", "flip"):
        each = []
        for run in results.groups["mine", arm, "shuffle"].runs:
            with np.load(run.tests["all"].record.folder / "predictions.npz") as file:
                each.append(file["test_1"])
                labels, groups, ids = file["test_labels"], file["test_groups"], file["test_ids"].tolist()
        p[arm] = np.stack(each)
    here = np.array([sex[Path(name).name] == "M" for name in ids])
    assert here.sum() > 50
    (one,) = (o for o in found["mine.tests.all"] if (o.subgroup.name, o.group.arm) == ("M", "flip"))
    assert (one.subgroup.images, one.subgroup.groups) == (here.sum(), len(set(groups[here])))
    ours, theirs = (pseudo_values(metric, p[arm][:, here], labels[here], groups[here]) for arm in ("flip", "baseline"))
    assert one.value.mean == pytest.approx(ours.mean())
    expected = crossed(ours - theirs, images=int(here.sum()))
    assert (one.result.effect, one.result.p_family) == pytest.approx((expected.effect, expected.p_family))
    every = [one for of in found.values() for one in of if one.result is not None]
    assert [one.fdr for one in every] == benjamini_hochberg([one.result.p_family for one in every])
    assert [one.apart_fdr for one in every] == benjamini_hochberg([one.apart.p_family for one in every])


def test_a_run_that_was_not_tried_elsewhere_is_left_out_of_the_subgroups_there(results, monkeypatch):
    inference = Inference(results)
    group = results.groups["mine", "flip", "shuffle"]
    nothing = replace(group.runs[0].tests["all"], record=None)
    monkeypatch.setitem(group.runs[0].tests, "all", nothing)
    for one in subgroups_elsewhere(inference)["mine.tests.all"]:
        assert len(one.runs) == (2 if one.group.arm == "flip" else 0)
        assert one.value.n == (2 if one.group.arm == "flip" else 3)


def test_the_page_of_other_test_sets_has_their_subgroups_and_class_by_class_the_own_alone(results, folder, tmp_path):
    book = Book(results)
    made = other_test_sets(book)
    table = made["subgroups"]
    assert len(table.rows) == 2 * 5 * 2
    keys = [column.key for column in table.columns]
    found = [one for here in subgroups_elsewhere(book.inference).values() for one in here]
    for row, one in zip(table.rows, found, strict=True):
        entries = dict(zip(keys, row.entries, strict=True))
        assert entries["test_set"].value == one.subgroup.place.rpartition(".")[2]
        assert entries[results.study.primary].value == one.value.mean
        assert entries["apart"].p == one.apart_fdr
    assert made["unknown"] == []
    assert len(page.class_by_class(book)["subgroups"].rows) == 5 * 2
    asked = study(folder, subgroups=[], tests={"b": section(folder)})
    known = {name: source(folder) for name in ("mine", "mine.tests.b")}
    nothing = Book(Results(asked, plan(asked, known), Store(tmp_path / "results")))
    assert page.class_by_class(nothing)["subgroups"] is None
    made = other_test_sets(nothing)
    assert made["subgroups"].rows == ()
    assert [text.partition(":")[0] for text in made["unknown"]] == ["b"]


def test_each_column_of_p_is_a_family_of_its_own(results):
    found = [one for one in of_subgroups(Inference(results)) if one.result is not None]
    assert [one.fdr for one in found] == benjamini_hochberg([one.result.p_family for one in found])
    assert [one.apart_fdr for one in found] == benjamini_hochberg([one.apart.p_family for one in found])


def test_the_page_has_a_panel_and_a_row_for_each_subgroup_and_marks_small_ones(results, monkeypatch):
    drawn, plot = {}, page.figures.differences
    monkeypatch.setattr(
        page.figures, "differences", lambda panels, **how: drawn.update({how["metric"]: panels}) or plot(panels, **how)
    )
    (part,) = page.class_by_class(Book(results))["sections"]
    assert part["parted"]
    found = of_subgroups(Inference(results))
    panels = drawn["accuracy" if results.study.primary == "accuracy" else "AUC"]
    titles = ["sex: F", "sex: M", "age: below 40", "age: 40 to below 60", "age: 60 and above"]
    assert [panel.title for panel in panels] == titles
    for panel, (base, one) in zip(panels, zip(found[::2], found[1::2], strict=True), strict=True):
        (row,) = panel.rows
        assert (row.effect, row.low, row.high, row.arm) == (one.result.effect, one.result.low, one.result.high, "flip")
        assert f"{100 * base.value.mean:.1f} %; {base.subgroup.images} images" in panel.note
        assert panel.note.endswith("small subgroup") is (base.subgroup.groups < 30)
    rows_ = subgroup_tables.subgroups(results, found).rows
    names = [column.key for column in subgroup_tables.subgroups(results, found).columns]
    assert len(rows_) == len(found)
    for row, one in zip(rows_, found, strict=True):
        entries = dict(zip(names, row.entries, strict=True))
        assert entries[results.study.primary].value == one.value.mean
        assert entries["recall"].value == one.recall.mean
        assert entries["subgroup"].tags == (("small subgroup",) if one.subgroup.groups < 30 else ())
        for name, result, p in (("difference", one.result, one.fdr), ("apart", one.apart, one.apart_fdr)):
            got = entries[name]
            wanted = (None,) * 4 if result is None else (result.effect, result.low, result.high, p)
            assert (got.value, got.low, got.high, got.p) == wanted


def test_methods_and_the_first_page_say_that_there_are_subgroups_where_the_study_asks_for_them(
    results, folder, tmp_path
):
    asked = study(folder, subgroups=[])
    without = Results(asked, plan(asked, {"mine": source(folder)}), Store(tmp_path / "results"))
    for one, there in ((results, True), (without, False)):
        book = Book(one)
        methods = " ".join(methods_text(one, book.inference))
        assert (f"subgroups of test images ({one.title('mine')} by sex and age) are exploratory" in methods) is there
        assert findings(book)["subgroups"] is there


def test_a_subgroup_whose_metric_has_no_value_is_named_below_the_figure(results):
    found = of_subgroups(Inference(results))
    drawn = page._forest_of_subgroups(Book(results), "mine", found)
    assert "Not drawn" not in drawn.caption
    none = [replace(one, value=replace(one.value, mean=None), reason="too few") for one in found[:2]]
    assert len({one.subgroup for one in none}) == 1
    lacking = page._forest_of_subgroups(Book(results), "mine", [*none, *found[2:]])
    metric = "accuracy" if results.study.primary == "accuracy" else "AUC"
    assert f"Not drawn, for {metric} has no value there: sex: F." in lacking.caption


def test_a_subgroup_of_29_images_is_small_and_of_30_is_not_and_groups_count_where_they_are_known():
    assert Subgroup("d", "sex", "F", 29, None).small
    assert not Subgroup("d", "sex", "F", 30, None).small
    assert Subgroup("d", "sex", "F", 60, 29).small


# --- a study ---


def test_a_study_runs_with_subgroups_that_are_added_later_without_training_again(folder, tmp_path):
    tests = {"b": {name: of for name, of in section(folder).items() if name not in ("split", "subgroups")}}
    content = tiny(datasets={"mine": section(folder, subgroups=[], tests=tests)}, replicates=2)
    path = written(tmp_path, content)
    words = ("run", path.name, "--no-site", "--workers", "1")
    done = cli_here(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    trained = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "results").glob("classifier-*/record.json")}
    pages = tmp_path / "docs" / "studies" / "tiny"
    assert "Subgroups" not in (pages / "class-by-class.md").read_text()
    assert "Subgroups" not in (pages / "other-test-sets.md").read_text()
    tests["b"]["subgroups"] = [{"column": "age", "at": [50]}, "sex"]
    written(tmp_path, tiny(datasets={"mine": section(folder, tests=tests)}, replicates=2))
    again = cli_here(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "results").glob("classifier-*/record.json")} == trained
    text = (pages / "class-by-class.md").read_text()
    assert "40 to below 60" in text
    assert "small subgroup" in text
    lines = (pages / "data" / "subgroups.csv").read_text().splitlines()
    assert len(lines) == 1 + 5 * 2
    lines = (pages / "data" / "subgroups-elsewhere.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * 2
    assert "50 and above" in html.unescape((pages / "other-test-sets.md").read_text())
    published = "".join(p.read_text() for p in pages.rglob("*.md")) + "".join(
        p.read_text() for p in pages.rglob("*.csv")
    )
    assert "000.png" not in published
    checked = cli_here("check", path.name, cwd=tmp_path)
    assert "test images have no value of sex" in checked.stdout + checked.stderr
    assert "datasets.mine.tests.b: warning: " in checked.stderr


def test_arrays_with_a_table_of_ids_run_with_subgroups(tmp_path):
    rng = np.random.default_rng(0)
    arrays, lines = {}, []
    for split, n in (("train", 48), ("val", 24), ("test", 40)):
        arrays |= {f"{split}_images": rng.integers(0, 256, (n, 28, 28), np.uint8), f"{split}_labels": np.arange(n) % 2}
        lines += [f"{split},{i},p{split}{i // 2},{split}{i},{'FM'[i // 2 % 2]},{20 + i}" for i in range(n)]
    np.savez(tmp_path / "a.npz", **arrays)
    ids(tmp_path, lines)
    part = {"kind": "npz", "path": "a.npz", "ids": {"path": "ids.csv", "group": "who"}, "subgroups": ["sex"]}
    path = written(tmp_path, tiny(datasets={"mine": {**part, "tests": {"b": part}}}, replicates=1))
    done = cli_here("run", path.name, "--no-site", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pages = tmp_path / "docs" / "studies" / "tiny"
    for name in ("subgroups", "subgroups-elsewhere"):
        lines = (pages / "data" / f"{name}.csv").read_text().splitlines()
        assert len(lines) == 1 + 2 * 2
        assert all(",20,10," in line for line in lines[1:])  # images and groups
