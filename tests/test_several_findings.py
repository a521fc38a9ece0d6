"""Images with several findings, from the user's file to the pages: what is read, refused, trained, tested and shown."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from report_records import ARMS, fake_results, fake_study, findings
from sklearn.metrics import roc_auc_score

from medaug_keras import data, engine, labels, stats
from medaug_keras.api import OpenStudy
from medaug_keras.cli.request import misfits
from medaug_keras.data import DataError
from medaug_keras.data.audit import audit, checks, pairs_to_show, related
from medaug_keras.data.medmnist_package import part
from medaug_keras.data.splits import Parts, split_csv
from medaug_keras.data.table import Table, load_table, table_class_counts, table_fingerprint, table_sizes
from medaug_keras.plan import JUDGES_RULE, Source, plan
from medaug_keras.report.figures import class_distribution
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import classifier_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.models import class_counts
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables import classes as tables
from medaug_keras.report.tables import quality as quality_tables
from medaug_keras.spec import Study
from medaug_keras.store import Store

NAMES = ("edema", "mass", "nodule")
COUNTS = {"train": 40, "val": 16, "test": 20}


def found(n, seed):
    some = (np.random.default_rng(seed).random((n, 3)) < (0.5, 0.3, 0.2)).astype(np.int64)
    some[:2] = [[1, 0, 1], [0, 1, 0]]
    return some


def arrays(**changed):
    rng, good = np.random.default_rng(0), {}
    for seed, (split, n) in enumerate(COUNTS.items()):
        good[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        good[f"{split}_labels"] = found(n, seed)
    return good | changed


def saved(path, **changed):
    np.savez_compressed(path, **arrays(**changed))
    return path


def load(path, classes=NAMES):
    return data.load_npz(path, name="x", title="X", classes=classes, size=None)


# --- what is read, and refused ---


def test_arrays_with_a_column_for_each_finding_are_read(tmp_path):
    some = load(saved(tmp_path / "x.npz"))
    assert some.several
    assert some.label_kind == "multi-label, binary-class"
    np.testing.assert_array_equal(some.test.labels, found(20, 2))
    assert some.per_class("train") == found(40, 0).sum(axis=0).tolist()
    sizes = data.npz_sizes(tmp_path / "x.npz", classes=None, size=None)
    assert (sizes.several, sizes.classes) == (True, ("0", "1", "2"))
    assert data.npz_class_counts(tmp_path / "x.npz") == []
    counts = some.summary()["splits"]["test"]
    assert counts["none"] == int((found(20, 2).sum(axis=1) == 0).sum())
    whole = np.concatenate([found(n, seed) for seed, n in enumerate(COUNTS.values())])
    assert some.summary()["together"] == (whole.T @ whole).tolist()
    examples = data.examples(some, seed=0)
    none = int((found(40, 0).sum(axis=1) == 0).sum())
    assert examples["by_class_count"].tolist() == [min(n, 10) for n in (*some.per_class("train"), none)]


WRONG = {
    "a two": ({"val_labels": 2 * found(16, 1)}, r"validation split: .* neither 0 nor 1 \(the first is 2, of image 0"),
    "uncertain": ({"train_labels": -found(40, 0)}, r"the first is -1, .* what an uncertain one is to be"),
    "NaN": ({"test_labels": np.where(found(20, 2) > 0, np.nan, 0)}, "the first is nan"),
    "never": ({"train_labels": found(40, 0) * [1, 0, 1]}, "no training image has the finding mass"),
    "always": ({"train_labels": found(40, 0) | [0, 0, 1]}, "every training image has the finding nodule"),
}


@pytest.mark.parametrize(("changed", "message"), WRONG.values(), ids=WRONG)
def test_arrays_that_are_no_findings_are_refused(changed, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(saved(tmp_path / "x.npz", **changed))


def test_as_many_names_as_columns_are_asked_for(tmp_path):
    with pytest.raises(DataError, match="has 2 names, but the labels have 3 columns"):
        load(saved(tmp_path / "x.npz"), classes=("a", "b"))
    with pytest.raises(DataError, match="two findings have the same name: a"):
        load(saved(tmp_path / "x.npz"), classes=("a", "b", "a"))


def test_a_file_of_images_made_elsewhere_has_one_class_each(tmp_path):
    path = tmp_path / "made.npz"
    np.savez(path, images=np.zeros((4, 28, 28), np.uint8), labels=np.ones((4, 3), int))
    with pytest.raises(DataError, match=r"these labels are \(N,\) or \(N, 1\)"):
        data.load_made(path, classes=NAMES, image_shape=(28, 28, 1))


@pytest.fixture
def table(tmp_path):
    """A table of 16 images of 8 patients, with its columns as they are written."""
    rng = np.random.default_rng(0)
    rows = ["file,edema,mass,patient,part"]
    for i in range(16):
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / f"{i:02}.png")
        split = "train" if i < 8 else "val" if i < 12 else "test"
        rows.append(f"{i:02}.png,{int(i % 3 == 0)},{['0.0', '1.0'][i % 2]},p{i // 2},{split}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    return tmp_path / "t.csv"


def listed(path, **changes):
    said = {"path": path, "image": "file", "label": None, "labels": ("edema", "mass"), "group": "patient"}
    return Table(**said | {"split": Parts(column="part")} | changes)


def read(some):
    return load_table(some, name="t", title="T", size=None, colour=None)


def test_a_table_has_a_column_for_each_finding(table):
    some = read(listed(table))
    assert some.classes == ("edema", "mass")
    np.testing.assert_array_equal(some.train.labels, [[int(i % 3 == 0), i % 2] for i in range(8)])
    assert some.test.groups == ("p6", "p6", "p7", "p7")
    assert table_sizes(listed(table), size=None, colour=None).several
    assert table_class_counts(listed(table)) == []
    assert table_fingerprint(listed(table), cache=None) == some.md5
    assert split_csv(some).decode().splitlines()[1:4] == [
        "00.png,p0,train,edema", "01.png,p0,train,mass", "02.png,p1,train,no finding"
    ]  # fmt: skip


def test_a_finding_more_or_less_makes_other_data(table):
    before = read(listed(table)).md5
    text = table.read_text()
    table.write_text(text.replace("02.png,0,0.0", "02.png,1,0.0"))
    assert read(listed(table)).md5 != before
    table.write_text(text.replace("0.0", "0").replace("1.0", "1"))
    assert read(listed(table)).md5 == before
    turned = read(listed(table, labels=("mass", "edema")))
    assert turned.md5 != before


@pytest.mark.parametrize(("value", "name"), [("-1", "'-1'"), ("2", "'2'"), ("yes", "'yes'")])
def test_values_of_a_table_other_than_0_and_1_are_named_with_their_rows(value, name, table):
    table.write_text(table.read_text().replace("02.png,0", f"02.png,{value}").replace("05.png,0", f"05.png,{value}"))
    with pytest.raises(DataError, match=rf"edema of rows 4 and 7 is neither 0 nor 1 \(the first is {name}\)"):
        read(listed(table))


def test_a_missing_finding_is_a_missing_value(table):
    table.write_text(table.read_text().replace("02.png,0", "02.png,"))
    with pytest.raises(DataError, match=r"row 4 has no value of `labels\.edema`"):
        read(listed(table))
    assert len(read(listed(table, missing="drop")).train.labels) == 7


def test_a_table_written_one_hot_is_one_of_classes(table):
    rows = ["file,a,b,patient,part"] + [f"{i:02}.png,{i % 2},{1 - i % 2},p{i},train" for i in range(16)]
    table.write_text("\n".join(rows))
    with pytest.raises(DataError, match="Write the class into one column, and name it with `label`"):
        read(listed(table, labels=("a", "b")))


def test_a_column_that_is_not_there_is_named_with_its_setting(table):
    with pytest.raises(DataError, match=r"no column 'oedema', which `labels` names.*edema"):
        read(listed(table, labels=("oedema", "mass")))


def test_images_left_out_leave_the_others_in_their_split(table):
    drop = table.with_name("drop.csv")
    drop.write_text("image\n03.png\n")
    cut = Parts(fractions={"train": 0.5, "validation": 0.25, "test": 0.25})
    before, after = read(listed(table, split=cut)), read(listed(table, split=cut, drop=drop))
    for split in ("train", "validation", "test"):
        kept = [name for name in getattr(before, split).ids if name != "03.png"]
        assert list(getattr(after, split).ids) == kept


def test_the_audit_tells_findings_as_it_tells_classes(tmp_path):
    images = arrays()["train_images"]
    images[1], images[3] = images[0], images[2]
    there = found(40, 0)
    there[0], there[1], there[2], there[3] = [1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, 0]
    valid = found(16, 1) * [1, 1, 0]
    some = load(saved(tmp_path / "x.npz", train_images=images, train_labels=there, val_labels=valid))
    relations = related(some)
    assert relations.words[relations.label[0]] == "edema, nodule"
    summary = some.summary() | {"audit": audit(some, relations)}
    assert summary["audit"]["train"]["conflicting"] == 2
    kept = pairs_to_show(relations)
    assert ["edema, nodule", "edema"] in kept["labels_words"].tolist()
    said = {check.name: check for check in checks(summary)}
    assert "occur with different findings" in said["labels"].found[0].text
    assert "class" not in " ".join(check.title + check.advice for check in said.values())
    assert said["classes"].found[0].text.startswith("No validation image has the finding nodule: AUC is not defined")
    assert said["rarest"].title == "Rarest finding"
    assert f"of {len(there)} (" in said["rarest"].found[0].text


# --- what a study can ask ---

SOURCE = Source("x", 40, 16, 20, 3, class_names=NAMES, several=True)


def study(path="x.npz", **more):
    content = {
        "name": "several",
        "title": "Several findings",
        "question": "Does it run?",
        "replicates": 2,
        "datasets": {"chest": {"kind": "npz", "path": str(path), "classes": list(NAMES)}},
        "classifier": {"epochs": 1, "batch_size": 16},
        "arms": {"baseline": {}, "copies": {"duplicate": {"amount": {"fraction": 0.5, "shares": "uniform"}}}},
        **more,
    }
    return Study.model_validate_json(json.dumps(content))


@pytest.mark.parametrize(
    ("more", "keys", "message"),
    [
        ({"operating_points": ["youden"]}, "operating_points", "all images have several findings: leave them out"),
        ({"classifier": {"head": "sigmoid"}}, "classifier.head", "chest has several findings an image, each with"),
        (
            {
                "generators": {"j": {"kind": "joint_vae", "per_class": True}},
                "arms": {"baseline": {}, "c": {"interleave": {"generator": "j"}}},
            },
            "generators.j.per_class",
            "trains one for each class, and chest has several findings an image: leave it out",
        ),
        (
            {
                "generators": {"f": {"kind": "files", "path": "made", "trained_on": "train"}},
                "arms": {"baseline": {}, "c": {"add": {"generator": "f"}}},
            },
            "arms.c.add",
            "a generator of kind files gives images of one class each: take one of another kind",
        ),
        (
            {
                "generators": {"v": {"kind": "cvae"}},
                "arms": {"baseline": {}, "c": {"add": {"generator": "v", "filter": {"probability": 0.5}}}},
            },
            "arms.c.add.filter",
            "chest has several findings an image: leave filter out",
        ),
        (
            {"datasets": {"chest": {"kind": "npz", "path": "x", "positive": 1}}},
            "datasets.chest.positive",
            "these images have several findings: leave it out",
        ),
    ],
)
def test_what_is_for_one_class_is_refused_before_anything_runs(more, keys, message):
    (line,) = misfits(study(**more), {"chest": SOURCE})
    assert line.startswith(f"{keys}: ")
    assert message in line
    assert misfits(study(), {"chest": SOURCE}) == []


def test_beside_images_of_two_classes_operating_points_stay():
    two = Source("y", 40, 16, 20, 2, class_names=("a", "b"))
    asked = study(
        operating_points=["youden"],
        datasets={"chest": {"kind": "npz", "path": "x"}, "two": {"kind": "npz", "path": "y", "positive": "a"}},
    )
    assert misfits(asked, {"chest": SOURCE, "two": two}) == []


def test_images_of_several_findings_are_judged_as_those_of_one_class_are():
    one = Source("x", 40, 16, 20, 3)
    for source in (SOURCE, one):
        found = plan(study(**WITH_CVAE), {"chest": source})
        assert [making.name for making in found.quality] == ["copies", "cvae"] * 2
        assert [making.name for making in found.usefulness] == ["cvae"] * 2


CVAE = {"kind": "cvae", "epochs": 1, "latent_dim": 4, "batch_size": 16}
WITH_CVAE = {
    "generators": {"cvae": CVAE},
    "arms": {
        "baseline": {},
        "copies": {"duplicate": {"amount": {"fraction": 0.5, "shares": "uniform"}}},
        "cvae": {"add": {"generator": "cvae", "amount": {"fraction": 0.5, "shares": "uniform"}}},
    },
    "quality": {"limit": 100, "components": 8, "draws": 2},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study of such images, run."""
    root = tmp_path_factory.mktemp("several")
    asked = study(saved(root / "x.npz"), **WITH_CVAE)
    source = Source(data.npz_fingerprint(root / "x.npz", cache=None), 40, 16, 20, 3, class_names=NAMES, several=True)
    whole, store = plan(asked, {"chest": source}), Store(root / "results")
    for task in whole.tasks.values():
        assert engine.attempt(task, store, lambda what, content: None)[0] == "done"
    return Results(asked, whole, store)


def test_a_run_keeps_findings_and_what_scikit_learn_says_of_its_predictions(results):
    for run in results.runs:
        with np.load(run.record.folder / "predictions.npz") as file:
            there, p = file["test_labels"], file[f"test_{run.selected(results.select)}"]
        np.testing.assert_array_equal(there, found(20, 2))
        assert p.shape == (20, 3)
        scores = run.scores(results.select, "test")
        assert scores["auc"] == pytest.approx(roc_auc_score(there, p), abs=1e-9)
        assert run.confusion(results.select) is None
        assert run.degenerate(results.select) == ()


def test_copies_are_of_every_sort_alike_and_keep_their_findings(results):
    (making,) = [m for m in results.plan.synthesis if (m.name, m.replicate) == ("copies", 0)]
    record = results.outcomes[making.task].record
    copied = data.load_plain(record.folder / "synthetic.npz")
    assert record.values["per_class"] == copied["labels"].sum(axis=0).tolist()
    known = {
        image.tobytes(): label for image, label in zip(arrays()["train_images"], found(40, 0).tolist(), strict=True)
    }
    assert [known[image.tobytes()] for image in copied["images"]] == copied["labels"].tolist()
    run = results.groups["chest", "copies", "shuffle"].runs[0].record.values
    assert run["training_per_class"] == (found(40, 0).sum(axis=0) + copied["labels"].sum(axis=0)).tolist()


def test_images_are_made_for_the_findings_that_as_many_copies_have(results):
    made, copied = (
        [
            data.load_plain(results.outcomes[m.task].record.folder / "synthetic.npz")
            for m in results.plan.synthesis
            if m.name == name
        ]
        for name in ("cvae", "copies")
    )
    for one, other in zip(made, copied, strict=True):
        np.testing.assert_array_equal(one["labels"], other["labels"])
        assert one["images"].shape == (20, 28, 28, 1)
        assert not np.array_equal(one["images"], other["images"])
    assert not np.array_equal(made[0]["labels"], made[1]["labels"])
    values = results.makings("synthesis", "chest", "cvae")[0][1].record.values
    assert values["per_class"] == made[0]["labels"].sum(axis=0).tolist()
    assert values["none"] == (made[0]["labels"].sum(axis=1) == 0).sum() > 0
    run = results.groups["chest", "cvae", "shuffle"].runs[0].record.values
    assert run["training_per_class"] == (found(40, 0).sum(axis=0) + made[0]["labels"].sum(axis=0)).tolist()


def test_a_saved_sampler_takes_vectors_of_findings_without_us(results):
    folder = results.makings("generators", "chest", "cvae")[0][1].record.folder
    sampler = keras.models.load_model(folder / "sampler.keras")
    noise = np.random.default_rng(0).standard_normal((4, 4), dtype="float32")
    wanted = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    images = keras.ops.convert_to_numpy(sampler([noise, wanted], training=True))
    assert images.shape == (4, 28, 28, 1)
    assert np.isfinite(images).all()


def test_made_images_are_judged_by_finding_and_beside_the_baselines_network(results):
    _, outcome = results.makings("quality", "chest", "cvae")[0]
    values = outcome.record.values
    made = data.load_plain(results.makings("synthesis", "chest", "cvae")[0][1].record.folder / "synthetic.npz")
    assert [len(values["spaces"][space]["classes"]) for space in ("pixels", "features")] == [4, 4]
    assert len(values["class_consistency"]["by_class"]) == 3
    base = results.groups["chest", "baseline", "shuffle"].runs[0]
    with np.load(base.record.folder / "predictions.npz") as file:
        p = file[f"test_{base.record.values['selected'][JUDGES_RULE]}"]
    assert values["class_consistency"]["ceiling"] == pytest.approx(roc_auc_score(found(20, 2), p), abs=1e-9)
    sorts = labels.rarest(made["labels"], among=found(40, 0))
    assert [one["added"] for one in values["shortcut"]["by_class"]] == np.bincount(sorts, minlength=4).tolist()
    assert values["spaces"]["features"]["map"]["synthetic"]["class"] == sorts.tolist()
    useful = results.makings("usefulness", "chest", "cvae")[0][1].record.values
    assert useful["images"] == 40


def test_tables_of_synthetic_images_have_a_row_for_each_finding_and_for_none(results):
    rows = [row.entries for row in quality_tables.classes(results).rows]
    names = [row[2].value for row in rows if (row[1].value, row[3].value) == ("cvae", "pixels")]
    assert names == [*NAMES, "no finding"]
    (first, _) = [row.entries for row in class_counts(results).rows if row.entries[1].value == "cvae"]
    values = results.makings("synthesis", "chest", "cvae")[0][1].record.values
    assert first[4].value.endswith(f"nodule {values['per_class'][2]}; no finding {values['none']}")
    notes = [
        note
        for table in (quality_tables.usefulness(results), quality_tables.similarity(results))
        for note in table.notes
    ]
    assert any(
        note.startswith("Of chest, whose images have several findings, class consistency is the AUC") for note in notes
    )
    assert any("the mix of classes is that of the rarest finding of each image" in note for note in notes)


def test_every_page_is_made_and_shows_findings_where_it_would_show_classes(results):
    files = dict(Pages(results).each())
    pages = {name: content.decode() for name, content in files.items() if name.endswith(".md")}
    assert "Finding by finding" in pages["class-by-class.md"]
    assert "Recall and precision of each class" not in pages["class-by-class.md"]
    assert not any("confusion" in name for name in files)
    sizes = "; ".join(f"{name}: " for name in NAMES[:1])
    assert sizes in pages["data-sets.md"]
    assert "<dt>Findings</dt>" in pages["data-sets.md"]
    assert "train (40)" in pages["data-sets.md"]
    assert "Rarest finding" in pages["data-sets.md"]
    assert "Without a finding" in pages["data-sets.md"]
    assert "not right or wrong as a whole" in pages["images.md"]
    assert "not looked at where images have several findings" in pages["calibration.md"]
    assert all("no finding" in pages[f"{name}.md"] for name in ("synthetic-images", "generators", "arms"))
    assert "images of each rarest finding" in pages["synthetic-images.md"]
    assert "a block for each finding, and for none: edema (" in pages["generators.md"]
    assert "counts for its rarest finding" in pages["cite.md"]
    text = classifier_text(results)
    assert "each finding has a sigmoid output" in text


def test_what_names_no_image_is_the_line_to_beat(results):
    there = found(20, 2).mean(axis=0)
    assert results.largest_class("chest") == pytest.approx(np.maximum(there, 1 - there).mean())
    assert results.majority("chest", "accuracy") == results.largest_class("chest")
    assert results.majority("chest", "auc") == results.majority("chest", "balanced_accuracy") == 0.5
    assert results.majority("chest", "macro_f1") is None


def test_chestmnist_runs_by_name_and_its_predictions_are_in_medmnists_format(tmp_path):
    info = data.medmnist_info("chestmnist")
    rng = np.random.default_rng(0)
    made = {}
    for split, n in (("train", 40), ("val", 20), ("test", 24)):
        made[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        made[f"{split}_labels"] = (rng.random((n, 14)) < 0.3).astype(np.uint8)
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "chestmnist.npz", **made)
    asked = study(datasets={"chestmnist": {"kind": "medmnist", "accept_unverified": True}}, replicates=1)
    md5 = data.medmnist_fingerprint("chestmnist", root=tmp_path / "data", cache=None)
    source = Source(md5, 40, 20, 24, 14, several=True)
    whole = plan(asked, {"chestmnist": source}, data_root=str(tmp_path / "data"))
    store = Store(tmp_path / "results")
    run = whole.runs[0]
    for name in (whole.data["chestmnist"], run.task):
        state = engine.attempt(whole.tasks[name], store, lambda what, content: None)
        assert state[0] == "done", state
    scores = store.record(run.task).values["scores"]
    (file,) = (store.folder(run.task) / "medmnist").glob("chestmnist_test_*")
    p = np.loadtxt(file, delimiter=",")[:, 1:]
    auc = part("evaluator").getAUC(made["test_labels"], p, info["task"])
    assert any(one["test"]["auc"] == pytest.approx(auc, abs=1e-9) for one in scores.values())
    assert f"[AUC]{auc:.3f}" in file.name


def test_a_file_of_chestmnist_without_its_columns_is_refused(tmp_path):
    np.savez(tmp_path / "chestmnist.npz", **arrays())
    with pytest.raises(DataError, match=r"shape \(40, 3\); expected is a column for each of 14 findings"):
        data.load_medmnist("chestmnist", root=tmp_path, accept_unverified=True, report=None)
    np.savez(tmp_path / "breastmnist.npz", **arrays())
    with pytest.raises(DataError, match=r"shape \(40, 3\); expected is one class number an image"):
        data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=True, report=None)


# --- from made-up records ---


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    asked = fake_study(
        datasets=("chestmnist", "breastmnist"),
        arms={name: ARMS[name] for name in ("baseline", "gda", "duplicate")},
        replicates=3,
        samplings=["shuffle"],
        primary="auc",
    )
    whole, store = fake_results(asked, tmp_path_factory.mktemp("made-up"))
    return Results(asked, whole, store)


CELL, BASE = ("chestmnist", "gda", "shuffle"), ("chestmnist", "baseline", "shuffle")


def predictions(results, cell):
    rows = []
    for run in results.groups[cell].runs:
        with np.load(run.record.folder / "predictions.npz") as file:
            rows.append(file[f"test_{run.selected(results.select)}"])
    return np.stack(rows)


def test_the_auc_of_a_finding_is_scikit_learns_and_its_test_that_of_two_classes(made_up):
    inference, there = Inference(made_up), findings("test", 120, 4)
    ours, theirs = predictions(made_up, CELL), predictions(made_up, BASE)
    for k in range(4):
        one = inference.by_finding[CELL, k]
        each = [roc_auc_score(there[:, k], row[:, k]) for row in ours]
        assert one.auc.mean == pytest.approx(np.mean(each), abs=1e-9)
        assert inference.by_finding[BASE, k].result is None
        if k == 3:  # one test image has it
            assert one.result.effect is None
            assert "two test images with the finding" in one.result.reason
            continue
        two = [np.stack([1 - arm[..., k], arm[..., k]], axis=-1).astype(np.float64) for arm in (ours, theirs)]
        expected = stats.compare("auc", *two, there[:, k])
        assert one.result.effect == pytest.approx(expected.effect, abs=1e-6)
        assert one.result.p_family == pytest.approx(expected.p_family, abs=1e-4)


def test_p_is_corrected_over_findings_and_arms_by_holm(made_up):
    inference = Inference(made_up)
    tested = [one for (cell, _), one in inference.by_finding.items() if cell != BASE]
    assert len(tested) == 8
    expected = stats.holm([one.result.p_family for one in tested])
    assert [one.holm for one in tested] == expected
    assert [one.holm for (cell, _), one in inference.by_finding.items() if cell == BASE] == [None] * 4
    assert not any(cell[0] == "breastmnist" for cell, _ in inference.by_finding)


def test_the_primary_test_is_of_the_mean_over_the_findings_that_can_be_tested(made_up):
    inference, there = Inference(made_up), findings("test", 120, 4)
    assert inference.left_out == {"chestmnist": [3]}
    result = inference.tests[CELL].result
    expected = stats.compare("auc", predictions(made_up, CELL), predictions(made_up, BASE), there)
    assert (result.effect, result.p_family) == (expected.effect, expected.p_family)


def test_the_table_has_every_finding_of_such_data_sets_alone_with_how_common_it_is(made_up):
    table = tables.findings(made_up, Inference(made_up))
    assert len(table.rows) == 12
    first = table.rows[0].entries
    for place, (split, n) in enumerate((("train", 400), ("validation", 60), ("test", 120))):
        assert first[2 + place].value == pytest.approx(findings(split, n, 4)[:, 0].mean())
    assert first[5].value == findings("test", 120, 4)[:, 0].sum()
    assert any("no test of a mean over findings has fourth" in note for note in table.notes)
    classes = tables.classes(made_up, Inference(made_up))
    assert {row.factors["data set"] for row in classes.rows} == {"BreastMNIST"}


def test_both_kinds_of_images_have_their_part_of_a_page(made_up):
    pages = {name: content.decode() for name, content in Pages(made_up).each() if name.endswith(".md")}
    assert "Recall and precision of each class" in pages["class-by-class.md"]
    assert "AUC of each finding" in pages["class-by-class.md"]
    assert "figures/calibration-breastmnist.svg" in pages["calibration.md"]


def test_shares_of_findings_are_of_all_images_of_the_split():
    svg = class_distribution(("a", "b"), {"train": [30, 10]}, images={"train": 100}).svg
    assert "train (100)" in svg
    assert "a, train: 30 images, 30.0 % of the split" in svg
    assert labels.NONE not in svg


def test_in_a_notebook_each_finding_has_a_column_of_its_own(results):
    opened = OpenStudy.__new__(OpenStudy)
    opened._results, opened._plan = results, results.plan
    frame = opened.predictions("copies", sampling="shuffle")
    np.testing.assert_array_equal(frame[[f"true_{name}" for name in NAMES]], found(20, 2))
    assert [column for column in frame if column.startswith("p_")] == [f"p_{name}" for name in NAMES]
    assert "predicted" not in frame
