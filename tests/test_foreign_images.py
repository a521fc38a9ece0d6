"""`kind: files`: images that were made elsewhere, from the file to the page."""

import importlib
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_records import fake_plan, fake_study

from medaug_keras import data, tasks
from medaug_keras.data import DataError
from medaug_keras.generators.files import sample
from medaug_keras.plan import Source, plan
from medaug_keras.reading import StudyError, read
from medaug_keras.reading.rules import problems
from medaug_keras.report.numbers import findings, published
from medaug_keras.report.numbers.results import Results
from medaug_keras.spec import Files, Study
from medaug_keras.store import Store
from studies import PHANTOM, cli_here, tiny

GREY = {"classes": ("benign", "malignant"), "image_shape": (28, 28, 1)}


def images(n: int, side: int = 28, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), np.uint8)


def saved(path: Path, n: int = 20, **arrays: np.ndarray) -> Path:
    np.savez(path, **{"images": images(n), "labels": np.arange(n) % 2, **arrays})
    return path


def foldered(root: Path, names: tuple[str, ...] = ("benign", "malignant"), each: int = 2) -> Path:
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i, image in enumerate(images(each, seed=number)):
            Image.fromarray(image).save(root / name / f"{i}.png")
    return root


def study(folder: Path, **changes: str) -> Path:
    part = {"kind": "files", "path": "made-{dataset}.npz", "trained_on": "train"} | changes
    content = tiny(
        generators={"theirs": part},
        arms={"baseline": {}, "theirs": {"add": {"generator": "theirs", "amount": {"fraction": 0.25}}}},
    )
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


# --- files -----------------------------------------------------------------------------------------


def test_a_file_and_a_folder_of_the_same_images_are_the_same(tmp_path):
    root = foldered(tmp_path / "made")
    path = saved(
        tmp_path / "made.npz", 4, images=np.concatenate([images(2, seed=k) for k in (0, 1)]), labels=[0, 0, 1, 1]
    )
    for one, other in zip(data.load_made(root, **GREY), data.load_made(path, **GREY), strict=True):
        np.testing.assert_array_equal(one, other)


def test_classes_may_be_folders_by_number_and_images_are_resized(tmp_path):
    made, labels = data.load_made(foldered(tmp_path / "made", ("0", "1")), classes=("a", "b"), image_shape=(14, 14, 1))
    assert made.shape == (4, 14, 14, 1)
    assert labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": images(20).astype(np.float32)}, "images has type float32, but images are uint8"),
        ({"images": np.stack([images(20)] * 3, -1)}, "images has 3 channels, and those of the data set have 1"),
        ({"images": images(20)[:, :, :20]}, "28 x 20, which is not square"),
        ({"labels": np.arange(20) % 4}, "labels has 2, 3; the data set has the classes 0 to 1"),
        ({"labels": np.arange(20) % 2 + 0.5}, "labels has 0.5, 1.5; the data set has the classes 0 to 1"),
        ({"labels": np.arange(19) % 2}, "images and labels are not as many"),
        ({"labels": np.array(["a"] * 20)}, "labels are the class numbers"),
        ({"images": np.array([None] * 20, object)}, "Python objects"),
    ],
)
def test_a_wrong_file_says_what_it_has_and_what_is_wanted(tmp_path, arrays, said):
    with pytest.raises(DataError, match=said):
        data.load_made(saved(tmp_path / "made.npz", **arrays), **GREY)


def test_all_images_that_cannot_be_used_are_named_in_one_message(tmp_path):
    root = foldered(tmp_path / "made", ("benign", "malignant", "other"))
    (root / "benign" / "text.png").write_text("no image")
    Image.fromarray(images(1, 20)[0][:, :10]).save(root / "malignant" / "wide.png")
    with pytest.raises(DataError, match=r"text\.png") as caught:
        data.load_made(root, **GREY)
    message = "\n".join(caught.value.args)
    for said in ("benign/text.png", "malignant/wide.png", "other/0.png", "other/1.png is in the folder of no class"):
        assert said in message


def test_the_sum_is_of_the_names_and_bytes_and_not_of_the_place(tmp_path):
    one, other = (foldered(tmp_path / name) for name in ("one", "other"))
    assert data.made_sum(one) == data.made_sum(other)
    (other / "benign" / "0.png").rename(other / "malignant" / "9.png")
    assert data.made_sum(one) != data.made_sum(other)


def test_the_sum_is_of_every_byte_and_class_and_does_not_depend_on_the_order_of_the_file_system(tmp_path, monkeypatch):
    root = foldered(tmp_path / "made")
    first = data.made_sum(root)
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda top: ((place, some, names[::-1]) for place, some, names in walk(top)))
    assert data.made_sum(root) == first
    one, other = root / "benign" / "0.png", root / "malignant" / "0.png"
    kept = one.read_bytes(), other.read_bytes()
    one.write_bytes(kept[1])
    assert data.made_sum(root) != first
    one.unlink(), other.unlink()
    one.write_bytes(kept[1]), other.write_bytes(kept[0])
    assert data.made_sum(root) != first, "the two changed their classes"
    monkeypatch.undo()
    one, other = (foldered(tmp_path / name, each=1) for name in ("a", "b"))
    (other / "malignant" / "0.png").rename(other / "benign" / "1.png")
    (one / "malignant" / "0.png").rename(one / "malignant" / "1.png")
    assert data.made_sum(one) != data.made_sum(other), "the same names and bytes in the same order, of other classes"


def test_folders_inside_that_of_a_class_and_names_in_capitals_belong_to_it_and_hidden_files_to_none(tmp_path):
    root = foldered(tmp_path / "made")
    plain, _ = data.load_made(root, **GREY)
    inside = root / "malignant" / "benign"
    inside.mkdir()
    (root / "malignant" / "1.png").rename(inside / "1.PNG")
    (root / "benign" / ".0.png").write_text("no image")
    (root / "benign" / "notes.txt").write_text("no image")
    made, labels = data.load_made(root, **GREY)
    np.testing.assert_array_equal(made, plain)
    assert labels.tolist() == [0, 0, 1, 1]


def test_of_very_many_mistakes_the_first_are_listed_and_the_others_counted(tmp_path):
    root = foldered(tmp_path / "made", ("benign", "other"), each=23)
    with pytest.raises(DataError, match=r"\.\.\. and 3 more$") as caught:
        data.load_made(root, **GREY)
    assert str(caught.value).count("is in the folder of no class") == 20
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty has no images \("):
        data.load_made(tmp_path / "empty", **GREY)


def test_classes_called_by_numbers_go_by_their_names(tmp_path):
    _, labels = data.load_made(foldered(tmp_path / "made", ("0", "1")), classes=("1", "0"), image_shape=(28, 28, 1))
    assert labels.tolist() == [1, 1, 0, 0]


def test_a_file_needs_both_arrays_and_room_and_its_labels_may_be_a_column(tmp_path, monkeypatch):
    path = saved(tmp_path / "made.npz", labels=(np.arange(20) % 2)[:, None])
    assert data.load_made(path, **GREY)[1].tolist() == [0, 1] * 10
    monkeypatch.setattr(importlib.import_module("medaug_keras.data.made"), "MAX_BYTES", 20 * 28 * 28)
    with pytest.raises(DataError, match=r"would take 15,840 bytes in memory, more than the limit of 15,680"):
        data.load_made(path, **GREY)
    for name, other in (("images", "labels"), ("labels", "images")):
        np.savez(tmp_path / "half.npz", **{other: np.zeros(3, np.uint8)})
        with pytest.raises(DataError, match=f"has no array {name}; it has {other}"):
            data.load_made(tmp_path / "half.npz", **GREY)


# --- drawing ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(0, 5))
def test_images_are_of_the_classes_asked_for_and_each_is_drawn_once_at_most(asked, seed):
    labels = np.array([k for k in (0, 1, 2) for _ in range(30)])
    pool = {"images": np.arange(90, dtype=np.uint8).reshape(90, 1, 1, 1), "labels": labels}
    drawn = sample(pool, np.array(asked, np.int64), seed=seed).reshape(-1)
    assert labels[drawn].tolist() == asked
    assert len(set(drawn.tolist())) == len(drawn)


def test_another_seed_draws_others_and_all_that_there_are_may_be_asked_for():
    labels = np.arange(40) % 2
    pool = {"images": np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1), "labels": labels}
    some = [sample(pool, labels[:10], seed=seed).reshape(-1).tolist() for seed in (1, 1, 2)]
    assert some[0] == some[1] != some[2]
    assert set(some[0]) != set(some[2])
    assert sorted(sample(pool, labels, seed=1).reshape(-1).tolist()) == list(range(40))


def test_too_few_images_of_any_class_are_one_message():
    pool = {"images": images(5), "labels": np.array([0, 0, 1, 1, 1])}
    with pytest.raises(ValueError, match=r"2 of class 0, and 3 are asked for; 0 of class 2, and 1 are asked for"):
        sample(pool, np.array([0, 0, 0, 1, 2]), seed=0)


def test_images_that_changed_while_the_study_ran_are_refused_and_a_class_without_any_is_counted(tmp_path):
    path = saved(tmp_path / "made.npz", 3, labels=np.zeros(3, np.int64))
    dataset = SimpleNamespace(classes=GREY["classes"], image_shape=GREY["image_shape"])
    files = {"path": str(path), "sha256": data.made_sum(path)}
    assert tasks._read_made(dataset, files, tmp_path) == {"images": 3, "per_class": [3, 0]}
    with pytest.raises(DataError, match=r"made\.npz changed while the study ran"):
        tasks._read_made(dataset, files | {"sha256": "0" * 64}, tmp_path)


# --- the study -------------------------------------------------------------------------------------


def test_a_study_knows_its_files_by_what_is_in_them(tmp_path):
    saved(tmp_path / "made-grey.npz")
    first = read(study(tmp_path))
    (place,) = first.sums
    assert place == str(tmp_path / "made-grey.npz")
    saved(tmp_path / "made-grey.npz", images=images(20, seed=1))
    assert read(study(tmp_path)).sums[place] != first.sums[place]


def test_files_that_are_not_there_are_one_message_at_the_line_of_their_pattern(tmp_path):
    saved(tmp_path / "made-0.npz")
    (tmp_path / "made-1.npz").write_text("no archive")
    with pytest.raises(StudyError, match="is not a study") as caught:
        read(study(tmp_path, path="made-{replicate}.npz"), replicates=3)
    message = str(caught.value)
    assert "(1 mistake)" in message
    assert re.search(r"study\.yaml:\d+: generators\.theirs\.path: 2 of 3 cannot be used: .*made-1.npz is", message)
    assert "made-2.npz does not exist" in message


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": images(20)[:, :, :20]}, r"made-grey\.npz: the images are 28 x 20, which is not square"),
        ({"images": np.zeros((20, 28, 28, 3), np.uint8)}, r"images has 3 channels, and those of the data set have 1"),
        ({"labels": np.full(20, 7)}, r"labels has 7; the data set has the classes 0 to 1"),
        ({"images": images(20)[:, :14, :14]}, None),
        (
            {"images": images(9), "labels": np.arange(9) % 2},
            r"arms\.theirs\.add\.amount: asks for 12 images of grey, and \S+made-grey\.npz has 9: lower it",
        ),
    ],
)
def test_check_looks_into_the_files(tmp_path, arrays, said):
    saved(tmp_path / "made-grey.npz", **arrays)
    done = cli_here("check", study(tmp_path).name, cwd=tmp_path)
    assert done.returncode == (2 if said else 0), done.stderr
    assert "Traceback" not in done.stderr
    if said:
        assert re.search(rf"study\.yaml: .*{said}", done.stderr), done.stderr


def test_check_names_every_image_of_a_folder_that_cannot_be_used(tmp_path):
    root = foldered(tmp_path / "made-grey", ("0", "1", "2"))
    (root / "0" / "0.png").write_bytes(b"no image")
    done = cli_here("check", study(tmp_path, path="made-{dataset}").name, cwd=tmp_path)
    assert done.returncode == 2
    assert len(re.findall(r"generators\.theirs\.path: ", done.stderr)) == 3, done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "made-{set}.npz"}, r"{set} is no part of a pattern: {dataset}, {replicate} and {fold} are"),
        ({"trained_on": "all"}, r"trained_on: Input should be 'train', 'elsewhere' or 'unknown', got 'all'"),
    ],
)
def test_a_wrong_section_is_one_message(tmp_path, changes, said):
    with pytest.raises(StudyError, match=said):
        read(study(tmp_path, **changes))


def test_a_place_has_the_numbers_of_its_replicate_and_fold_which_is_0_without_folds():
    part = Files(kind="files", path="{dataset}/{replicate}-{fold}.npz", trained_on="train")
    assert (part.place("a", 2, 1), part.place("b", 0, None)) == ("a/2-1.npz", "b/0-0.npz")


def test_files_are_looked_for_of_every_data_set_replicate_and_fold_and_of_no_generator_that_nothing_uses(tmp_path):
    path = study(tmp_path, path="{dataset}-{replicate}-{fold}")
    content = yaml.safe_load(path.read_text())
    folds = {"kind": "folder", "path": "x", "split": {"folds": 2}}
    content |= {"replicates": 3, "datasets": {"own": folds, "grey": PHANTOM}}
    path.write_text(yaml.safe_dump(content))
    wanted = {f"own-{replicate}-{fold}" for replicate in range(3) for fold in range(2)} | {
        f"grey-{replicate}-0" for replicate in range(3)
    }
    with pytest.raises(StudyError, match=r"9 of 9 cannot be used: .*grey-0-0 does not exist"):
        read(path)
    for name in sorted(wanted)[:4]:
        saved(tmp_path / f"{name}.npz").rename(tmp_path / name)
    with pytest.raises(StudyError, match=r"5 of 9 cannot be used: .*own-0-1 does not exist"):
        read(path)
    for name in wanted:
        saved(tmp_path / f"{name}.npz").rename(tmp_path / name)
    assert {Path(place).name for place in read(path).sums} == wanted
    content["generators"]["unused"] = {"kind": "files", "path": "nowhere-{dataset}", "trained_on": "unknown"}
    path.write_text(yaml.safe_dump(content))
    assert Path(read(path).generators["unused"].path).name == "nowhere-{dataset}"


@pytest.mark.parametrize(
    ("pattern", "trained_on", "folds", "replicates", "sets", "wrong"),
    [
        ("made", "train", 0, 2, 1, ""),
        ("made", "train", 0, 1, 2, r"is one place for 2 data sets; put {dataset} into it"),
        ("{dataset}", "train", 0, 1, 2, ""),
        ("{dataset}", "train", 2, 1, 2, r"needs {fold}: with folds"),
        ("{dataset}", "train", 2, 3, 1, r"needs {fold} and {replicate}: with folds"),
        ("{fold}", "train", 2, 3, 1, r"needs {replicate}: with folds"),
        ("{fold}{replicate}", "train", 2, 3, 1, ""),
        ("{fold}", "train", 2, 1, 1, ""),
        ("made", "elsewhere", 2, 3, 1, ""),
        ("made", "unknown", 2, 3, 1, ""),
    ],
)
def test_a_pattern_has_what_tells_its_files_apart(tmp_path, pattern, trained_on, folds, replicates, sets, wrong):
    own = {"kind": "folder", "path": "x"} | ({"split": {"folds": folds}} if folds else {})
    content = tiny(
        replicates=replicates,
        datasets={"own": own, **({"grey": PHANTOM} if sets > 1 else {})},
        generators={"theirs": {"kind": "files", "path": pattern, "trained_on": trained_on}},
        arms={"baseline": {}, "theirs": {"add": {"generator": "theirs"}}},
    )
    found = [message for keys, message in problems(Study.model_validate_json(json.dumps(content))) if "path" in keys]
    assert len(found) == bool(wrong), found
    assert re.match(wrong, "".join(found))


def test_what_the_maker_saw_must_be_said(tmp_path):
    path = study(tmp_path)
    content = yaml.safe_load(path.read_text())
    del content["generators"]["theirs"]["trained_on"]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match=r"generators.theirs.trained_on: is missing; add it: Which images"):
        read(path)


def test_with_folds_a_maker_that_saw_training_images_needs_a_file_for_each_fold(tmp_path):
    path = study(tmp_path, path="made.npz")
    content = yaml.safe_load(path.read_text())
    content |= {"replicates": 2, "datasets": {"own": {"kind": "folder", "path": "x", "split": {"folds": 2}}}}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match=r"needs {fold} and {replicate}: with folds, what one fold trains on"):
        read(path)


def test_replicates_share_the_files_that_they_have_in_common():
    def generators(path: str) -> int:
        part = {"kind": "files", "path": path, "trained_on": "train"}
        arms = {"baseline": {}, "theirs": {"add": {"generator": "theirs"}}}
        content = tiny(replicates=3, generators={"theirs": part}, arms=arms)
        one = Study.model_validate_json(json.dumps(content)).with_sums({f"made-{k}": str(k) for k in range(3)})
        found = plan(one, {"grey": Source("bytes", 48, 16, 16)})
        assert len({making.replicate for making in found.generators}) == 3
        return sum(task.kind == "generator" for task in found.tasks.values())

    assert generators("made") == 1
    assert generators("made-{replicate}") == 3


def test_the_keys_of_images_made_elsewhere_have_what_is_in_the_files_and_not_where_they_lie():
    def keys(path: str, content: str) -> set[str]:
        part = {"kind": "files", "path": path, "trained_on": "train"}
        arms = {"baseline": {}, "theirs": {"add": {"generator": "theirs"}}}
        one = Study.model_validate_json(json.dumps(tiny(generators={"theirs": part}, arms=arms)))
        found = plan(one.with_sums({path: content}), {"grey": Source("bytes", 48, 16, 16)})
        (made,) = found.generators
        assert found.tasks[made.task].params["files"] == {"path": path, "sha256": content}
        return set(found.tasks)

    assert keys("here/made", "one") == keys("there/made", "one")
    changed = keys("here/made", "one") - keys("here/made", "two")
    assert len(changed) == 5, "its images, those of the arm, and what uses them"


def test_pages_do_not_say_where_files_lie():
    arms = {"baseline": {}, "theirs": {"add": {"generator": "theirs"}}}
    part = Files(kind="files", path="/home/me/patient-7/{dataset}-{replicate}.npz", trained_on="train")
    whole = fake_study(arms=arms, generators={"theirs": json.loads(part.model_dump_json())})
    assert published.study(whole).generators["theirs"].path == "theirs-{dataset}-{replicate}.npz"
    folder = {"kind": "files", "path": "/home/me/patient-7", "trained_on": "train"}
    whole = fake_study(arms=arms, generators={"theirs": folder})
    assert published.study(whole).generators["theirs"].path == "theirs"


def test_only_arms_of_an_unknown_maker_are_warned_of(tmp_path):
    arms = {"baseline": {}} | {name: {"add": {"generator": name}} for name in ("train", "elsewhere", "unknown")}
    made = {name: {"kind": "files", "path": "made", "trained_on": name} for name in arms if name != "baseline"}
    whole = fake_study(arms=arms, generators=made)
    (said,) = findings.unknown_makers(Results(whole, fake_plan(whole), Store(tmp_path)))
    assert "whose images unknown adds." in said


def test_a_study_of_images_made_elsewhere_runs_to_its_pages_and_warns_where_their_maker_is_not_known(
    tmp_path,
):
    saved(tmp_path / "made-grey.npz", 60)
    path = study(tmp_path, trained_on="unknown")
    done = cli_here(path.name, "--no-site", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {page.stem: page.read_text() for page in (tmp_path / "docs" / "studies" / "tiny").glob("*.md")}
    assert "It is not known which images the generator saw whose images theirs adds" in pages["index"]
    assert "which images it saw" in pages["arms"]
    assert str(tmp_path) not in "".join(pages.values())
    records = [json.loads(found.read_bytes()) for found in (tmp_path / "results").glob("*/record.json")]
    (made,) = [record["values"] for record in records if record["kind"] == "generator"]
    assert made == {"images": 60, "per_class": [30, 30]}
    (useful,) = [record["values"] for record in records if record["kind"] == "usefulness"]
    assert useful["images"] == 60
    assert PHANTOM["train"] // 4 == next(r["values"]["images"] for r in records if r["kind"] == "synthesis")
