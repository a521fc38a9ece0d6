"""What `import medaug_keras as ma` gives in a notebook is what the pages say, of the runs that are asked for."""

import csv
import html
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from report_records import fake_results

import medaug_keras as ma
from medaug_keras import api, cli
from medaug_keras.cli.memory import names
from medaug_keras.looks import NAME
from medaug_keras.report.format import points
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.spec import Cnn, Cvae, deciding
from studies import PHANTOM, environment, tasks_here, tiny, written

SHARES = {"baseline": 0.75, "flip": 0.86, "flop": 0.7, "copies": 0.76, "cvae": 0.8}
ARMS: dict[str, Any] = {
    "baseline": {"label": "None"},
    "flip": {"label": "Flips", "augment": [{"layer": "horizontal_flip"}]},
    "flop": {"augment": [{"layer": "sharpness"}], "samplings": ["weighted"]},
    "copies": {"label": "Copies", "duplicate": {}},
    "cvae": {"add": {"generator": "cvae"}},
}
FAKE = tiny(
    name="fake",
    title="Made-up records",
    replicates=3,
    primary="accuracy",
    samplings=["shuffle", "weighted"],
    datasets={"phantom-ultrasound": {"kind": "phantom"}, "phantom-histology": {"kind": "phantom"}},
    generators={"cvae": {"kind": "cvae"}},
    arms=ARMS,
)
ONE = "phantom-ultrasound"


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> api.OpenStudy:
    """Two data sets, three replicates, made-up records; the last replicate of a flip has none."""
    root = tmp_path_factory.mktemp("fake")
    path = written(root, FAKE)
    empty = ma.open(path, results=root / "results")
    fake_results(
        empty.study,
        root / "results",
        whole=empty._plan,
        leave_out=lambda task: task.title.endswith("histology: flip, weighted, replicate 2"),
        score=lambda d, arm, s, replicate: SHARES[arm] + 0.01 * replicate,
    )
    return ma.open(path, results=root / "results")


@pytest.fixture(scope="module")
def made(fake: api.OpenStudy) -> dict[str, bytes]:
    """The files of the pages."""
    return Pages(Results(fake.study, fake._plan, fake._store)).all()


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


# --- numbers and words are those of the pages ---------------------------------------------------------


def test_runs_are_the_rows_of_the_file_of_runs(fake: api.OpenStudy, made: dict[str, bytes]):
    frame = fake.runs()
    expected = pd.read_csv(io.BytesIO(made["data/runs.csv"]))
    for one in (frame, expected):
        one["degenerate"] = one["degenerate"].astype(object).fillna("")
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
    assert set(frame["status"]) == {"done", "pending"}
    assert len(frame) == 2 * 3 * (4 * 2 + 1)


def test_tests_are_the_rows_of_the_file_of_tests_under_the_studys_own_names(
    fake: api.OpenStudy, made: dict[str, bytes]
):
    frame, expected = fake.tests(), pd.read_csv(io.BytesIO(made["data/tests.csv"]))
    assert list(frame.columns[:3]) == ["dataset", "arm", "sampling"]
    assert list(frame["dataset"]) == list(expected["dataset_name"])
    assert [f"{a}.{s}" for a, s in zip(frame["arm"], frame["sampling"], strict=True)] == list(expected["arm_name"])
    numbers = [name for name in expected if not name.startswith(("dataset", "arm"))]
    pd.testing.assert_frame_equal(frame[numbers], expected[numbers])
    assert {"effect_points", "holm", "verdict"} <= set(numbers)


def test_a_comparison_has_the_numbers_of_its_test_and_the_sentences_of_the_first_page(
    fake: api.OpenStudy, made: dict[str, bytes]
):
    found = fake.compare("flip", dataset=ONE)
    (test,) = [r for r in rows(made["data/tests.csv"]) if (r["dataset_name"], r["arm_name"]) == (ONE, "flip.shuffle")]
    (claim,) = [r for r in rows(made["data/claims.csv"]) if (r["dataset_name"], r["arm_name"]) == (ONE, "flip.shuffle")]
    for number, name in ((found.effect, "effect"), (found.low, "low"), (found.high, "high")):
        assert 100 * number == pytest.approx(float(test[f"{name}_points"]))
    assert found.effect > 0.05
    assert found.p == pytest.approx(float(test["holm"]))
    assert (found.verdict, found.replicates) == (test["verdict"], int(test["replicates"]))
    assert (found.dataset, found.arm, found.sampling) == (ONE, "flip", "shuffle")
    assert (found.against, found.metric) == ("baseline", "accuracy")
    assert claim["can"] in str(found)
    assert claim["cannot"] in str(found)
    assert html.escape(str(found)) in found._repr_html_()
    assert f": better: {points(float(test['effect_points']) / 100)} points, 95 % interval +" in str(found)


def test_a_comparison_the_other_way_round_has_the_other_sign(fake: api.OpenStudy):
    one = fake.compare("flip", dataset=ONE, against="copies")
    other = fake.compare("copies", dataset=ONE, against="flip")
    assert one.effect == pytest.approx(-other.effect)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.effect > 0
    assert (one.against, other.against) == ("copies", "flip")
    assert (one.verdict, other.verdict) == ("better", "worse")
    assert one.p == other.p
    assert fake.compare("copies", dataset=ONE).against == "baseline"


def test_two_arms_have_the_corrected_p_that_they_have_on_compare(fake: api.OpenStudy, made: dict[str, bytes]):
    for row in rows(made["data/pairs.csv"]):
        arm, other = (row[name].split(".") for name in ("first_name", "second_name"))
        if arm[1] == other[1]:
            one = fake.compare(arm[0], dataset=row["dataset_name"], sampling=arm[1], against=other[0])
            assert one.p == pytest.approx(float(row["verdict_p"]))


def test_an_answer_is_that_of_the_first_page(fake: api.OpenStudy, made: dict[str, bytes]):
    said = yaml.safe_load(made["data/study.json"])["answer"]
    assert fake.answer == said
    assert repr(fake) == "\n".join(["Made-up records", *said])
    assert all(html.escape(sentence) in fake._repr_html_() for sentence in said)


def test_a_figure_is_the_file_of_the_page(fake: api.OpenStudy, made: dict[str, bytes], tmp_path: Path):
    figure = fake.figure("findings")
    assert figure.svg is not None
    assert figure.svg.encode() == made["figures/differences.svg"]
    shown = figure._repr_html_()
    assert figure.svg in shown
    assert html.escape(figure.caption) in shown
    assert figure.save(tmp_path / "a.svg").read_bytes() == made["figures/differences.svg"]
    with pytest.raises(ValueError, match=r"this figure is SVG; give a path that ends in \.svg"):
        figure.save(tmp_path / "a.png")
    picture = fake.figure("data-sets")
    assert picture.png is not None
    assert picture.png in made.values()
    assert 'src="data:image/png;base64,' in picture._repr_html_()
    assert picture.save(tmp_path / "a.png").read_bytes() == picture.png


def test_a_figure_that_is_not_there_is_refused_with_those_that_are(fake: api.OpenStudy):
    with pytest.raises(ma.RequestError, match="no page 'nonsense'; pages are findings, data-sets"):
        fake.figure("nonsense")
    with pytest.raises(ma.RequestError, match="findings has no figure 7; it has 0: Difference to"):
        fake.figure("findings", 7)
    with pytest.raises(ma.RequestError, match="checklist has no figure 0; it has none"):
        fake.figure("checklist")


def test_predictions_are_those_that_the_scores_are_of(fake: api.OpenStudy):
    runs = fake.runs().set_index(["dataset", "arm", "sampling", "replicate"])
    for arm, sampling, replicate in (("flip", "shuffle", 0), ("flip", "shuffle", 2), ("flop", "weighted", 1)):
        found = fake.predictions(arm, replicate=replicate, dataset=ONE)
        score = runs.loc[(ONE, arm, sampling, replicate)]
        assert (found["true"] == found["predicted"]).mean() == pytest.approx(score["test_accuracy"])
        assert list(found["image"]) == list(range(len(found)))
        probabilities = found.filter(regex="^p_")
        assert probabilities.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
        assert list(found["predicted"]) == [name.removeprefix("p_") for name in probabilities.idxmax(axis=1)]
    held_out = fake.predictions("flip", dataset=ONE, split="validation")
    score = runs.loc[(ONE, "flip", "shuffle", 0)]
    assert (held_out["true"] == held_out["predicted"]).mean() == pytest.approx(score["val_accuracy"])


def test_images_are_those_that_the_arm_adds(fake: api.OpenStudy):
    images, labels = fake.images("cvae", replicate=1, dataset="phantom-histology")
    assert images.shape == (len(labels), 28, 28, 3)
    assert images.dtype == np.uint8
    assert list(images[:, 0, 0, 0]) == [60 + 10 * label for label in labels]
    with pytest.raises(ma.RequestError, match="flip adds no images; those that do: copies, cvae"):
        fake.images("flip", dataset=ONE)


def test_images_that_are_not_made_yet_are_said_to_be_so(fake: api.OpenStudy, tmp_path: Path):
    nothing = ma.open(Path(fake._options.study), results=tmp_path)
    with pytest.raises(ma.RequestError, match=r"The images of .*cvae.* cannot be had: not run yet"):
        nothing.images("cvae", dataset=ONE)


# --- which run is meant ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("flip",), "say which dataset with dataset=; the study has phantom-ultrasound, phantom-histology"),
        (("flipp", ONE), "there is no arm 'flipp' here; there are baseline, flip, flop, copies, cvae"),
        (("flip", "else"), "there is no dataset 'else' here; there are phantom-ultrasound, phantom-histology"),
        (("flop", ONE, "shuffle"), "there is no sampling 'shuffle' here; there are weighted"),
        (("baseline", ONE), "baseline cannot be compared with itself"),
    ],
)
def test_a_run_that_is_not_there_is_refused_with_those_that_are(fake: api.OpenStudy, asked: Any, said: str):
    with pytest.raises(ma.RequestError, match=said):
        fake.compare(*asked[:1], **dict(zip(("dataset", "sampling"), asked[1:], strict=False)))


def test_a_run_without_a_result_says_why_and_a_replicate_too_many_how_many_there_are(fake: api.OpenStudy):
    with pytest.raises(ma.RequestError, match=r"phantom-histology\.flip\.weighted\.2 has no result: not run yet"):
        fake.predictions("flip", replicate=2, dataset="phantom-histology", sampling="weighted")
    with pytest.raises(ma.RequestError, match=r"flip\.shuffle has no replicate 3; it has 0 to 2"):
        fake.predictions("flip", replicate=3, dataset=ONE)
    with pytest.raises(ma.RequestError, match="no predictions of 'train'; it has those of test, validation"):
        fake.predictions("flip", dataset=ONE, split="train")


def test_looking_at_results_is_noted_once(fake: api.OpenStudy):
    log = fake._store.root / NAME
    _ = fake.answer
    before = log.read_text()
    assert before.count('"look"') == 1
    again = ma.open(Path(fake._options.study), results=fake._store.root)
    again.tests()
    assert log.read_text() == before


# --- a study in a dictionary -----------------------------------------------------------------------------


def test_a_dictionary_is_the_study_of_the_file_that_says_the_same(
    tmp_path: Path, fake: api.OpenStudy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert ma.open(FAKE, results=fake._store.root).study == fake.study
    written(tmp_path, FAKE)
    found = ma.open({"extends": "fake.yaml", "replicates": np.float64(2).astype(int).item()})
    assert found.study == fake.study.model_copy(update={"replicates": 2})


def test_a_dictionary_may_leave_out_what_only_heads_the_pages(tmp_path: Path):
    heads = {"name", "title", "question"}
    found = ma.open({key: value for key, value in tiny().items() if key not in heads}, results=tmp_path / "r")
    named = ma.open(tiny(), results=tmp_path / "r")
    assert found._plan.tasks.keys() == named._plan.tasks.keys()
    assert found.study.name == "study"
    assert not (tmp_path / "r").exists()


def test_mistakes_of_a_dictionary_are_said_with_their_keys(tmp_path: Path):
    with pytest.raises(ma.StudyError, match="the dictionary is not a study") as caught:
        ma.open(tiny(classifier={"epoch": 1}, replicates=0), results=tmp_path)
    assert "the dictionary is not a study (2 mistakes)" in str(caught.value)
    assert "the dictionary: classifier.epoch: not a setting; did you mean epochs?" in str(caught.value)
    assert "the dictionary: replicates: " in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"margin": float("nan")}, "margin: nan is no text, number, list or dictionary"),
        ({"datasets": {1: PHANTOM}}, "datasets: a key is text, not 1"),
        ({"arms": {"a": {"augment": [object]}}}, r"arms\.a\.augment\.0: <class 'object'> is no text"),
    ],
)
def test_what_no_file_can_say_no_dictionary_can(tmp_path: Path, content: dict[str, Any], said: str):
    with pytest.raises(ma.StudyError, match=f"the dictionary: {said}"):
        ma.open(tiny(**content), results=tmp_path)


def test_a_dictionary_that_holds_itself_is_refused(tmp_path: Path):
    content = tiny()
    content["arms"] = content
    with pytest.raises(ma.StudyError, match="more than 30 levels"):
        ma.open(content, results=tmp_path)


def test_messages_name_arguments_and_not_options_of_the_command_line(tmp_path: Path):
    with pytest.raises(ma.RequestError, match=r"knows no study of that name .* say with `results` where"):
        ma.open("unknown", results=tmp_path)
    (tmp_path / "net.py").write_text("def net(): ...\n")
    own = tiny(classifier={"kind": "python", "builder": "net:net"})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with pytest.raises(ma.RequestError, match=r"if you trust it, add `allow_code`\.$"):
            ma.run(own, results=tmp_path / "r")


def test_a_filter_of_what_is_not_there_is_an_error_of_the_argument(tmp_path: Path):
    with pytest.raises(ma.RequestError, match=r"^`only` arm=flop: the study has no arm 'flop'; it has baseline, flip$"):
        ma.run(tiny(), results=tmp_path, only="arm=flop")
    with pytest.raises(ma.RequestError, match=r"^`only` arm: expected NAME=VALUE"):
        ma.run(tiny(), results=tmp_path, only=["arm=flip", "arm"])
    assert not list(tmp_path.glob("classifier*"))


# --- what is wrong or odd --------------------------------------------------------------------------------


def two_splits(path: Path, *, shared: int) -> dict[str, Any]:
    """A file of one's own, of which as many test images are in training."""
    from medaug_keras.data import load_phantom

    one = load_phantom("phantom-planted", train=60, validation=20, test=40, seed=0)
    arrays = {}
    for name, split in (("train", one.train), ("val", one.validation), ("test", one.test)):
        arrays |= {f"{name}_images": split.images.copy(), f"{name}_labels": split.labels.copy()}
    for what in ("images", "labels"):
        arrays[f"test_{what}"][:shared] = arrays[f"train_{what}"][:shared]
    np.savez(path, **arrays)
    return {"kind": "npz", "path": str(path)}


def test_check_returns_what_the_verb_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "none.npz").write_bytes(b"<!DOCTYPE html>")
    away = {"kind": "npz", "path": str(tmp_path / "none.npz")}
    odd = two_splits(tmp_path / "odd.npz", shared=3)
    for sets in ({"odd": odd}, {"odd": odd, "away": away}, {"away": away}, {"few": {**PHANTOM, "train": 4}}):
        path = written(tmp_path, tiny(datasets=sets, arms={"baseline": {}, "copies": {"duplicate": {}}}))
        words = [str(path), "--results", str(tmp_path / "r"), "--docs", str(tmp_path / "docs")]
        code = cli.main(["check", *words])
        printed = capsys.readouterr()
        found = ma.check(path, results=tmp_path / "r")
        assert [f"{path}: {one}" for one in found.remarks] == [
            line for line in printed.err.splitlines() if line.startswith(f"{path}: ")
        ]
        assert printed.out == f"{path}: {found.words}\n"
        assert found.ok == (code == cli.DONE)
        assert str(found).splitlines()[-1] == found.words


def test_check_says_where_how_grave_what_and_how_to_mend(tmp_path: Path):
    found = ma.check(tiny(datasets={"odd": two_splits(tmp_path / "odd.npz", shared=3)}), results=tmp_path / "r")
    assert found.ok
    frame = found.frame()
    assert list(frame.columns) == ["where", "severity", "what", "mend"]
    (first,) = frame[frame["severity"] == "fail"].to_dict("records")
    assert first["where"] == "datasets.odd"
    assert first["what"].startswith("3 of 40 (7.5 %) test images are identical to a training image")
    assert first["mend"] == "Leave them out: check with `audit` writes the list."  # an argument, no option
    for text in [*first.values(), found.words]:
        assert html.escape(text) in found._repr_html_()
    assert found._repr_html_().count("<tr>") == 1 + len(frame)
    odd = sum(frame["severity"].isin(["fail", "warning"]))
    assert found.words.startswith(f"can be run; {odd} thing")


def test_check_of_nothing_odd_is_a_sentence_and_an_empty_frame(tmp_path: Path):
    found = ma.check(tiny(), results=tmp_path / "r")
    assert (found.ok, found.remarks, str(found)) == (True, (), "nothing wrong; 1 data set, 2 arms, 2 runs.")
    assert found._repr_html_() == f"<p>{found.words}</p>"
    assert list(found.frame().columns) == ["where", "severity", "what", "mend"]
    assert len(found.frame()) == 0


def test_a_data_set_that_cannot_be_read_is_a_remark_and_what_a_run_refuses_another(tmp_path: Path):
    away, few = {"kind": "npz", "path": str(tmp_path / "no.npz")}, {**PHANTOM, "train": 4}
    copies = {"baseline": {}, "copies": {"duplicate": {}}}
    alone = ma.check(tiny(datasets={"away": away}), results=tmp_path / "r")
    assert [one.severity for one in alone.remarks] == ["unreadable"]
    assert alone.words == "no data set can be used, so a run would refuse it."
    some = ma.check(tiny(datasets={"away": away, "grey": PHANTOM}, arms=copies), results=tmp_path / "r")
    assert some.words == "a run would leave out datasets.away, and make the rest."
    both = ma.check(tiny(datasets={"away": away, "few": few}, arms=copies), results=tmp_path / "r")
    assert [(one.where, one.severity) for one in both.remarks] == [
        ("datasets.away", "unreadable"),
        ("arms.copies.duplicate.amount", "refused"),
    ]
    assert both.words == "a run would refuse it; 2 things are to be mended."  # both of those above
    assert not any(one.ok for one in (alone, some, both))


def test_check_writes_the_list_of_images_to_leave_out_where_it_is_asked(tmp_path: Path):
    study = tiny(datasets={"odd": two_splits(tmp_path / "odd.npz", shared=3)})
    ma.check(study, results=tmp_path / "r")
    assert not (tmp_path / "lists").exists()
    found = ma.check(study, results=tmp_path / "r", audit=tmp_path / "lists")
    assert len((tmp_path / "lists" / "odd.csv").read_text().splitlines()) == 1 + 3
    assert any(one.severity == "note" and "3 train" in one.what for one in found.remarks)
    (tmp_path / "lists" / "odd.csv").write_text("mine\n")
    with pytest.raises(ma.RequestError, match=r"^`audit`: .* is there and no list of this kind"):
        ma.check(study, results=tmp_path / "r", audit=tmp_path / "lists")


def test_mistakes_of_the_study_itself_are_raised_by_check_as_by_run(tmp_path: Path):
    with pytest.raises(ma.StudyError, match="replicates: "):
        ma.check(tiny(replicates=0), results=tmp_path)


def test_check_runs_the_studys_code_only_where_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("def net(image_shape, num_outputs):\n    raise ValueError('not today')\n")
    own = {**tiny(), "classifier": {"kind": "python", "builder": "net:net", "epochs": 1}}
    (one,) = ma.check(own, results="r").remarks
    assert (one.where, one.severity) == ("classifier.builder", "refused")
    assert one.what.endswith("if you trust it, add `allow_code`.")
    (one,) = ma.check(own, results="r", allow_code=True).remarks
    assert (one.where, one.severity) == ("classifier.builder", "refused")
    assert "not today" in one.what


# --- real runs ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> api.OpenStudy:
    """A phantom, and a table of images that is cut into folds; a plain arm and copies."""
    root = tmp_path_factory.mktemp("real")
    rng = np.random.default_rng(0)
    lines = ["image,patient,diagnosis"]
    for number in range(24):
        ill = number // 2 % 2
        Image.fromarray((rng.normal(90 + 60 * ill, 20, (20, 20)).clip(0, 255)).astype(np.uint8)).save(
            root / f"{number}.png"
        )
        lines.append(f"{number}.png,p{number // 2},{('ill', 'well')[1 - ill]}")
    (root / "scans.csv").write_text("\n".join(lines))
    table = {
        "kind": "table",
        "path": "scans.csv",
        "image": "image",
        "label": "diagnosis",
        "group": "patient",
        "split": {"folds": 2, "validation": 0.25},
        "size": 20,
    }
    copies = {"duplicate": {"amount": {"fraction": 0.5}}}
    study = tiny(datasets={"grey": PHANTOM, "scans": table}, arms={"baseline": {}, "copies": copies})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        tasks_here(patch)
        return ma.run(study, results=root / "results", workers=1, quiet=True)


def test_everything_is_made_and_the_folder_remembers_the_study(real: api.OpenStudy):
    assert set(real.runs()["status"]) == {"done"}
    assert names(real._store.root) == ["tiny"]
    assert ma.open("tiny", results=real._store.root).study == real.study


def test_a_run_in_python_names_a_forgotten_group_unless_it_is_quiet(real: api.OpenStudy, tmp_path, monkeypatch, capsys):
    table = {"kind": "table", "path": str(real._store.root.parent / "scans.csv"), "image": "image"}
    table |= {"label": "diagnosis", "split": {"train": 0.5, "validation": 0.25, "test": 0.25}, "size": 20}
    study = tiny(datasets={"scans": table}, arms={"baseline": {}})
    tasks_here(monkeypatch)
    ma.run(study, results=tmp_path / "quiet", workers=1, quiet=True)
    assert "no group is given" not in capsys.readouterr().err
    ma.run(study, results=tmp_path / "results", workers=1)
    words = "datasets.scans: warning: no group is given, and the column patient has 12 values in 24 rows"
    assert capsys.readouterr().err.count(words) == 1


def test_a_filter_makes_a_part_and_the_whole_study_is_opened(tmp_path: Path):
    study = ma.run(tiny(), results=tmp_path / "results", only="arm=flip", workers=1, quiet=True)
    assert dict(zip(study.runs()["arm"], study.runs()["status"], strict=True)) == {
        "baseline": "pending",
        "flip": "done",
    }


def scaled(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 127.5 - 1


def probabilities(model: Any, images: np.ndarray) -> np.ndarray:
    logits = model.predict(scaled(images), verbose=0)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def test_a_model_gives_the_predictions_of_its_run(real: api.OpenStudy):
    from medaug_keras import data

    test = data.load_phantom("phantom-ultrasound", train=48, validation=16, test=16, seed=0).test
    kept = real.predictions("copies", dataset="grey").filter(regex="^p_").to_numpy()
    assert probabilities(real.model("copies", dataset="grey"), test.images) == pytest.approx(kept, abs=1e-4)


def test_a_fold_has_its_own_model_and_images(real: api.OpenStudy):
    found = real.predictions("copies", dataset="scans")
    assert set(found["fold"]) == {0, 1}
    assert set(found["group"]) == {f"p{number}" for number in range(12)}
    for fold in (0, 1):
        tested = found[found["fold"] == fold]
        folder = Path(str(real.study.datasets["scans"].path)).parent
        images = np.stack([np.asarray(Image.open(folder / name))[..., None] for name in tested["image"]])
        model = real.model("copies", dataset="scans", fold=fold)
        assert probabilities(model, images) == pytest.approx(tested.filter(regex="^p_").to_numpy(), abs=1e-4)
    first, second = (real.images("copies", dataset="scans", fold=fold)[0] for fold in (0, 1))
    assert len(first) > 0
    assert not np.array_equal(first, second)
    for ask in (real.model, real.images):
        with pytest.raises(ma.RequestError, match=r"scans\.copies\.shuffle\.0 has 2 folds; name one with fold="):
            ask("copies", dataset="scans")
        with pytest.raises(ma.RequestError, match="has 2 folds; name one with fold="):
            ask("copies", dataset="scans", fold=2)
        with pytest.raises(ma.RequestError, match=r"grey\.copies\.shuffle\.0 has no folds; leave fold= out"):
            ask("copies", dataset="grey", fold=0)


def test_copies_are_training_images(real: api.OpenStudy):
    from medaug_keras import data

    train = data.load_phantom("phantom-ultrasound", train=48, validation=16, test=16, seed=0).train
    images, labels = real.images("copies", dataset="grey")
    assert len(images) == 24
    there = {(image.tobytes(), int(label)) for image, label in zip(train.images, train.labels, strict=True)}
    assert {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)} <= there


def test_a_report_is_the_site_of_the_study(real: api.OpenStudy, tmp_path: Path):
    page = real.report(tmp_path / "docs")
    assert page == tmp_path / "site" / "studies" / "tiny" / "index.html"
    assert real.study.title in page.read_text("utf-8")
    fewer = ma.open(tiny(arms={"baseline": {}}), results=real._store.root)
    with pytest.raises(ma.RequestError, match="They are left as they are"):
        fewer.report(tmp_path / "docs")


def test_what_fails_is_said_and_the_rest_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "net.py").write_text("def net(image_shape, num_outputs):\n    raise ValueError('not today')\n")
    own = {**tiny(), "classifier": {"kind": "python", "builder": "net:net", "epochs": 1}}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        found = ma.run(own, results="results", workers=1, allow_code=True)
        opened = ma.open(own, results="results")  # which runs no code, so it needs no leave
    assert list(opened.runs()["status"]) == list(found.runs()["status"])
    said = capsys.readouterr().err
    assert "not today" in said
    assert "2 tasks failed and 0 could not run; the same call tries them again" in said
    assert set(found.runs()["status"]) == {"failed"}


# --- the science by hand -------------------------------------------------------------------------------


def test_settings_are_those_that_a_study_has():
    found = ma.settings("classifier", epochs=7, batch_size=16)
    assert found == {"select": None, **deciding(Cnn(kind="cnn", epochs=7, batch_size=16))}
    assert ma.settings("generator", kind="cvae", latent_dim=3) == deciding(Cvae(kind="cvae", latent_dim=3))
    assert ma.settings("step", layer="sharpness") == {"layer": "sharpness", "factor": 2.0, "probability": 0.5}
    with pytest.raises(ma.StudyError, match=r"classifier\.epoch: not a setting; did you mean epochs"):
        ma.settings("classifier", epoch=7)
    with pytest.raises(ValueError, match="classifier, generator or step, not 'arm'"):
        ma.settings("arm")


# --- importing -------------------------------------------------------------------------------------------


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment() | variables, capture_output=True, text=True, timeout=120
    )


def test_importing_the_package_imports_nothing_large():
    done = python("import sys, medaug_keras; print(*sys.modules)")
    assert not set(done.stdout.split()) & {"keras", "torch", "numpy", "pandas", "yaml", "medaug_keras.api"}
    assert done.returncode == 0, done.stderr


def test_the_command_line_imports_nothing_of_notebooks():
    code = "import sys; from medaug_keras import cli; cli.main(['schema']); print('\\n', *sys.modules)"
    assert not set(python(code).stdout.split()) & {"keras", "torch", "pandas", "medaug_keras.api"}


def test_every_name_is_there_and_no_other():
    assert set(ma.__all__) <= set(dir(ma))
    assert all(getattr(ma, name) is not None for name in ma.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = ma.nonsense  # type: ignore[attr-defined]


def test_keras_with_another_backend_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "keras").mkdir()  # no other backend is installed here: as much of Keras as says which it has
    (tmp_path / "keras" / "__init__.py").write_text("from . import backend\n")
    (tmp_path / "keras" / "backend.py").write_text("def backend(): return 'numpy'\n")
    done = python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import keras; import medaug_keras")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: Keras was imported with the backend numpy, and medaug_keras needs torch.")
    assert "import medaug_keras before Keras" in last


def test_keras_has_the_right_backend_where_the_package_is_imported_first():
    done = python("import medaug_keras, keras; print(keras.backend.backend())", KERAS_BACKEND="numpy")
    assert done.stdout.strip() == "torch"
