"""What others' networks say of test images: files are read as medmnist writes them, or refused in one message."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from report_records import fake_results, fake_study

from medaug_keras import reading
from medaug_keras.data import DataError, load_predicted, predicted_files
from medaug_keras.evaluation import scores
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.site.unchanged import of_results

N = 156  # BreastMNIST's test images


def written(path: Path, probabilities: np.ndarray, order: np.ndarray | None = None) -> Path:
    """A file of predictions, by the line with which medmnist's evaluator saves them."""
    frame = pd.DataFrame(probabilities)
    path.parent.mkdir(parents=True, exist_ok=True)
    (frame if order is None else frame.iloc[order]).to_csv(path, header=None)
    return path


def random(seed: int, classes: int = 2, images: int = N) -> np.ndarray:
    p = np.random.default_rng(seed).random((images, classes))
    return p / p.sum(1, keepdims=True)


def read(path: Path, classes: int = 2, several: bool = False) -> np.ndarray:
    return load_predicted(path, images=N, classes=classes, several=several)


# --- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 5])
def test_what_medmnist_saves_is_read_as_it_was_whatever_the_order_of_its_lines(tmp_path, classes):
    p = random(1, classes)
    order = np.random.default_rng(2).permutation(N)
    for path in (written(tmp_path / "a.csv", p), written(tmp_path / "b.csv", p, order)):
        np.testing.assert_allclose(read(path, classes), p, rtol=1e-12)


def test_one_column_of_two_classes_is_the_probability_of_the_second(tmp_path):
    p = random(1)
    np.testing.assert_allclose(read(written(tmp_path / "a.csv", p[:, 1])), p, atol=1e-12)


def test_findings_need_not_sum_to_1_and_one_column_is_one_finding(tmp_path):
    p = np.random.default_rng(3).random((N, 3))
    np.testing.assert_allclose(read(written(tmp_path / "a.csv", p), 3, several=True), p)
    with pytest.raises(DataError, match="has 1 probabilities an image; the data set has 2 findings"):
        read(written(tmp_path / "b.csv", p[:, 0]), 2, several=True)


def test_an_array_of_probabilities_says_the_same(tmp_path):
    p = random(4)
    np.savez_compressed(tmp_path / "a.npz", probabilities=p)
    np.testing.assert_array_equal(read(tmp_path / "a.npz"), p)


def changed(row: int, column: int, value: float) -> np.ndarray:
    p = random(5)
    p[row, column] = value
    return p


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (random(5, images=150), "a.csv has 150 lines; expected is one for each of 156 test images"),
        (random(5, classes=3), "a.csv has 3 probabilities an image; the data set has 2 classes"),
        (changed(7, 1, 1.5), r"gives image 7 the value 1.5; expected are probabilities, 0 to 1"),
        (changed(7, 1, -0.1), r"gives image 7 the value -0.1; expected are probabilities"),
        (changed(7, 0, np.inf), r"gives image 7 the value inf"),
        (changed(9, 1, 0.0) * [0.5, 1], r"the probabilities of image \d+ sum to 0\.\d+; expected is 1"),
        ("0,0.5,0.5\n" * N, "the first column is not each of 0 to 155 once"),
        ("".join(f"{k + 1},0.5,0.5\n" for k in range(N)), "the first column is not each of 0 to 155 once"),
        ("".join(f"{k}\n" for k in range(N)), "a.csv has one column"),
        ("id,true_0,score_0\n" + "0,1,0.5\n" * N, "lines of numbers without a header: .*'id'"),
        ("", "a.csv has 0 lines"),
        (b"\xff\xfe\x00\x01", "is not as medmnist writes predictions"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_file_that_cannot_be_right_is_refused_in_words(tmp_path, content, said):
    path = tmp_path / "a.csv"
    if isinstance(content, np.ndarray):
        written(path, content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=said):
        read(path)


def test_arrays_that_cannot_be_right_are_refused_in_words(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, scores=random(1))
    with pytest.raises(DataError, match="has scores; expected is an array `probabilities`"):
        read(path)
    np.savez(path, probabilities=random(1)[None])
    with pytest.raises(DataError, match="has probabilities of 1 x 156 x 2; expected is a row for each of 156"):
        read(path)
    np.savez(path, probabilities=np.array(["a"]))
    with pytest.raises(DataError, match="of type <U1; expected are numbers"):
        read(path)
    path.write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"is no \.npz file that can be read"):
        read(path)
    with pytest.raises(DataError, match="is no regular file"):
        read(tmp_path)


def test_runs_are_found_by_their_names_in_the_order_of_their_numbers(tmp_path):
    names = [f"breastmnist_test_[AUC]0.9{n}_[ACC]0.8@{n}.csv" for n in (10, 2, 1)]
    for name in (*names, "breastmnist_val_[AUC]0.9_[ACC]0.8@1.csv", "pathmnist_test_[AUC]0.9_[ACC]0.8@1.csv"):
        (tmp_path / name).touch()
    pattern = str(tmp_path / "{dataset}_test_[AUC]*_[ACC]*@{run}.csv")
    assert list(predicted_files(pattern, "breastmnist")) == ["1", "2", "10"]
    assert predicted_files(pattern, "breastmnist")["2"].name == names[1]
    assert list(predicted_files(pattern, "pathmnist")) == ["1"]
    assert predicted_files(pattern, "bloodmnist") == {}
    (tmp_path / "breastmnist_test_[AUC]0.1_[ACC]0.8@2.csv").touch()
    with pytest.raises(DataError, match="are both of run 2; expected is one file a run"):
        predicted_files(pattern, "breastmnist")
    with pytest.raises(DataError, match="nowhere cannot be read"):
        predicted_files(str(tmp_path / "nowhere" / "{run}.csv"), "breastmnist")


def test_a_folder_may_be_called_after_the_data_set(tmp_path):
    written(tmp_path / "breastmnist" / "r1.csv", random(1))
    assert list(predicted_files(str(tmp_path / "{dataset}" / "r{run}.csv"), "breastmnist")) == ["1"]


# --- a study that names them -----------------------------------------------------------------------

STUDY = {
    "name": "mine",
    "title": "Mine",
    "question": "Is it so?",
    "primary": "auc",
    "references": ["medmnist-v2"],
    "datasets": {"mine": {"kind": "medmnist", "name": "breastmnist"}},
    "arms": {"baseline": {}},
    "predictions": {"medmnist-v2": "theirs/{dataset}@{run}.csv"},
}


def study_file(folder: Path, **more: object) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **more}, sort_keys=False), encoding="utf-8")
    return path


def test_a_study_finds_files_beside_it_by_medmnists_name_of_the_data_set(tmp_path):
    file = written(tmp_path / "theirs/breastmnist@1.csv", random(1))
    study = reading.read(study_file(tmp_path))
    assert study.predictions == {"medmnist-v2": str(tmp_path / "theirs/{dataset}@{run}.csv")}
    assert list(study.sums) == [str(file)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, r"study.yaml:\d+: predictions.medmnist-v2: no file fits .*@\{run\}.csv for any MedMNIST data set"),
        ({"references": []}, "medmnist-v2 is none of the study's references: add it to them"),
        (
            {"references": ["other-lab"], "predictions": {"other-lab": "theirs/{run}.csv"}},
            r"references.0: other-lab has prediction files alone, which need no reference: leave it out here",
        ),
        ({"references": ["other-lab"]}, r"references.0: there is no reference other-lab; choose from le-roux"),
        ({"predictions": {"medmnist-v2": "theirs/{dataset}.csv"}}, "does not name a file for each run"),
        ({"predictions": {"medmnist-v2": "theirs/{run}/{run}.csv"}}, "does not name a file for each run"),
        ({"predictions": {"medmnist-v2": "theirs/{run}.txt"}}, "does not name a file for each run"),
    ],
)
def test_what_a_study_says_wrongly_of_them_is_one_message(tmp_path, more, said):
    (tmp_path / "theirs").mkdir()
    with pytest.raises(reading.StudyError, match=said):
        reading.read(study_file(tmp_path, **more))


def test_files_that_are_wrong_are_counted_and_named_with_the_line_of_the_study(tmp_path):
    for run in range(5):
        written(tmp_path / f"theirs/breastmnist@{run}.csv", random(run, images=9))
    said = r"study.yaml:\d+: predictions.medmnist-v2: 5 things are wrong: .*breastmnist@0.csv has 9 lines"
    with pytest.raises(reading.StudyError, match=said):
        reading.read(study_file(tmp_path))


def test_a_folder_that_is_not_there_is_said_once_whatever_the_number_of_data_sets(tmp_path):
    sets = {name: {"kind": "medmnist"} for name in ("breastmnist", "pneumoniamnist")}
    with pytest.raises(reading.StudyError, match=r"predictions.medmnist-v2: .*theirs cannot be read") as raised:
        reading.read(study_file(tmp_path, datasets=sets))
    assert str(raised.value).count("cannot be read") == 1


def test_a_data_set_with_images_left_out_is_not_compared(tmp_path):
    written(tmp_path / "theirs/breastmnist@1.csv", random(1))
    (tmp_path / "drop.csv").write_text("image\ntest/3\n")
    dropped = {"mine": {"kind": "medmnist", "name": "breastmnist", "drop": "drop.csv"}}
    with pytest.raises(
        reading.StudyError, match=r"theirs are of all test images, and datasets.mine.drop leaves some out"
    ):
        reading.read(study_file(tmp_path, datasets=dropped))


# --- ours against theirs ---------------------------------------------------------------------------


def results_of(root: Path, pattern: Path, *, name: str = "medmnist-v2", **more: object) -> Results:
    asked = fake_study(
        datasets=("breastmnist", "phantom-histology"),
        arms={"baseline": {}},
        samplings=["shuffle"],
        replicates=3,
        references=["medmnist-v2"],
        predictions={name: str(pattern)},
        **more,
    )
    return Results(asked, *fake_results(asked, root))


@pytest.fixture
def theirs(tmp_path):
    """The pattern of their files: what our own baseline says, in another order of runs."""
    results = results_of(tmp_path / "results", tmp_path / "theirs/{dataset}@{run}.csv")
    for number, run in enumerate(reversed(results.baseline("breastmnist").done)):
        with np.load(run.record.folder / "predictions.npz") as file:
            written(tmp_path / f"theirs/breastmnist@{number}.csv", file[f"test_{run.selected(results.select)}"])
    return results


def test_the_same_networks_differ_by_nothing_whatever_their_order(theirs):
    (one,) = Inference(theirs).theirs("medmnist-v2")
    assert (one.dataset, one.runs) == ("breastmnist", ("0", "1", "2"))
    assert one.comparison.result.effect == pytest.approx(0, abs=1e-9)
    assert one.comparison.result.replicates == 3
    group = theirs.baseline("breastmnist")
    assert one.scores == pytest.approx(group.values(theirs.select, "test", theirs.study.primary)[::-1])


@pytest.mark.parametrize(("sign", "word"), [(1, "worse"), (-1, "better")])
def test_ours_is_worse_than_networks_that_are_always_right_and_better_than_those_always_wrong(
    theirs, tmp_path, sign, word
):
    inference = Inference(theirs)
    labels = inference.labels["breastmnist"]
    truth = np.eye(2)[labels if sign > 0 else 1 - labels]
    for number in range(3):
        written(tmp_path / f"theirs/breastmnist@{number}.csv", 0.9 * truth + 0.05)
    (one,) = inference.theirs("medmnist-v2")
    assert one.comparison.word == word
    assert np.sign(one.comparison.result.effect) == -sign
    assert one.scores == ((1.0,) * 3 if sign > 0 else (0.0,) * 3)


def test_the_difference_is_over_all_runs_of_both_and_one_run_is_no_test(theirs, tmp_path):
    (tmp_path / "theirs/breastmnist@2.csv").unlink()
    (one,) = Inference(theirs).theirs("medmnist-v2")
    result, ours = one.comparison.result, theirs.baseline("breastmnist")
    assert (result.unpaired.replicates, len(one.scores)) == ((3, 2), 2)
    assert result.effect == pytest.approx(
        np.mean(ours.values(theirs.select, "test", theirs.study.primary)) - np.mean(one.scores)
    )
    assert result.low < result.effect < result.high
    (tmp_path / "theirs/breastmnist@1.csv").unlink()
    (one,) = Inference(theirs).theirs("medmnist-v2")
    assert one.comparison.word == "not tested"
    assert one.comparison.result.reason.startswith("one run of one of the two")


def test_the_order_of_their_files_changes_no_bit_of_the_test(theirs, tmp_path):
    found = set()
    p = [random(seed) for seed in range(3)]
    for order in permutations(range(3)):
        for number, run in enumerate(order):
            written(tmp_path / f"theirs/breastmnist@{number}.csv", p[run])
        (one,) = Inference(theirs).theirs("medmnist-v2")
        found.add(repr(one.comparison.result))
    assert len(found) == 1


def test_files_of_other_images_give_a_reason_and_no_number(theirs, tmp_path):
    written(tmp_path / "theirs/breastmnist@1.csv", random(1, images=9))
    (one,) = Inference(theirs).theirs("medmnist-v2")
    assert one.scores == ()
    assert one.comparison.result.effect is None
    assert one.comparison.result.reason == "their files are of other test images, or cannot be read any more"


def test_their_score_is_that_of_the_same_probabilities_by_our_own_measures(theirs, tmp_path):
    p = random(6)
    for number in range(3):
        written(tmp_path / f"theirs/breastmnist@{number}.csv", p)
    inference = Inference(theirs)
    expected = scores(inference.labels["breastmnist"], p.astype(np.float32))[theirs.study.primary]
    assert inference.theirs("medmnist-v2")[0].scores == pytest.approx((expected,) * 3, abs=1e-6)


def test_the_page_has_the_table_and_says_what_the_files_cannot_tell_and_no_page_says_where_they_are(theirs, tmp_path):
    made = {name: content.decode("utf-8", "ignore") for name, content in Pages(theirs).each()}
    page = made["against-medmnist-v2.md"]
    assert "Their files do not tell with which images and settings these networks were trained" in page
    assert "our file is an unverified copy; its test images are taken for theirs" in page
    assert made["data/theirs-medmnist-v2.csv"].count("\n") == 2
    assert [name for name, text in made.items() if str(tmp_path) in text or "theirs/" in text] == []
    assert yaml.safe_load(made["data/study.yaml"])["predictions"] == {}
    assert theirs.study.predictions == {}


def test_networks_of_others_that_are_no_reference_have_a_page_with_the_same_table_and_no_printed_value(
    theirs, tmp_path
):
    cited = Pages(theirs).all()
    pattern = tmp_path / "theirs/{dataset}@{run}.csv"
    made = Pages(results_of(tmp_path / "results", pattern, name="other-lab")).all()
    assert made["data/theirs-other-lab.csv"] == cited["data/theirs-medmnist-v2.csv"]
    page = made["against-other-lab.md"].decode()
    assert "\n# Against other&#45;lab\n" in page
    assert "Theirs is computed here from the probabilities in their prediction files" in page
    assert "printed" not in page.partition("\n# Against")[2]
    assert made["index.md"].count(b'href="against-other-lab.html"') == 1
    assert "against-medmnist-v2.md" in made  # which the study names too, without files
    assert "index-other-lab.md" not in made
    assert not [name for name in cited if "other-lab" in name]


def test_a_study_may_name_files_of_networks_that_are_no_reference(tmp_path):
    file = written(tmp_path / "theirs/breastmnist@1.csv", random(1))
    pattern = {"other-lab": "theirs/{dataset}@{run}.csv"}
    study = reading.read(study_file(tmp_path, references=[], predictions=pattern))
    assert (list(study.predictions), list(study.sums)) == (["other-lab"], [str(file)])


def test_other_bytes_of_their_files_make_the_pages_anew(tmp_path):
    file = written(tmp_path / "theirs/breastmnist@1.csv", random(1))
    made = []
    for seed in (1, 1, 2):
        written(file, random(seed))
        study = reading.read(study_file(tmp_path))
        made.append(of_results(Results(study, *fake_results(study, tmp_path / "results"))))
    assert made[0] == made[1] != made[2]


def test_predictions_of_others_move_no_key(tmp_path):
    written(tmp_path / "theirs/breastmnist@1.csv", random(1))
    with_them = reading.read(study_file(tmp_path))
    without = reading.read(study_file(tmp_path, predictions={}))
    keys = [{t.key for t in fake_results(s, tmp_path / "r")[0].tasks.values()} for s in (with_them, without)]
    assert keys[0] == keys[1]
    assert json.loads(with_them.model_dump_json())["predictions"] != {}
