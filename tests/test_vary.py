"""`vary` of an arm: one ordinary arm for each value, their figure, and what is said of mistakes."""

import re
from pathlib import Path

import pytest
from report_records import fake_plan, fake_results

from medaug_keras import spec
from medaug_keras.explain import explain
from medaug_keras.reading import StudyError, read
from medaug_keras.report import figures
from medaug_keras.report.format import points
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.models import generators
from medaug_keras.report.pages.study import Pages
from medaug_keras.store import Store

HEAD = """\
name: doses
title: How much is enough?
question: How much is enough?
primary: accuracy
replicates: 3
samplings: [shuffle]
datasets:
  breastmnist: {kind: medmnist}
generators:
  cvae: {kind: cvae, epochs: 4}
  flow: {kind: flow}
arms:
  baseline: {}
"""
VARIED = """\
  cvae:
    label: Conditional VAE
    add: {generator: cvae, amount: {shares: proportional}}
    vary: {add.amount.fraction: [0.1, 0.50, 2]}
  copies:
    label: Copies
    duplicate: {amount: {shares: proportional}}
    vary: {duplicate.amount.fraction: [0.1, 0.5, 2]}
"""


@pytest.fixture
def study(tmp_path):
    def write(arms: str, head: str = HEAD) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(head + arms, encoding="utf-8")
        return path

    return write


def by_hand(add: str, *, how: str = "cvae") -> str:
    return "".join(f"  {how}-{value}: {add % value}\n" for value in ("0.1", "0.5", "2"))


def test_varied_arms_have_the_keys_of_arms_written_out_by_hand(study):
    varied = fake_plan(read(study(VARIED)))
    added = "{add: {generator: cvae, amount: {shares: proportional, fraction: %s}}}"
    copied = "{duplicate: {amount: {shares: proportional, fraction: %s}}}"
    written = fake_plan(read(study(by_hand(added) + by_hand(copied, how="copies"))))
    assert [run.arm for run in varied.runs[:7]] == [
        "baseline",
        *(f"{w}-{v}" for w in ("cvae", "copies") for v in (0.1, 0.5, 2)),
    ]
    assert varied.tasks.keys() == written.tasks.keys()
    assert varied.runs == written.runs


def test_a_varied_study_is_read_from_what_it_is_written_as(study, tmp_path):
    first = read(study(VARIED))
    again = tmp_path / "again.yaml"
    again.write_text(spec.Study.model_dump_json(first), encoding="utf-8")
    assert spec.dump(read(again)) == spec.dump(first)
    assert first.series["cvae"] == spec.Series(
        setting="add.amount.fraction", arms={"cvae-0.1": 0.1, "cvae-0.5": 0.5, "cvae-2": 2}
    )


def test_a_setting_of_a_generator_a_step_and_a_recipe_can_vary(study):
    arms = """\
  guided: {add: {generator: flow}, vary: {add.generator.guidance: [1, 1.5]}}
  noise: {augment: [{layer: horizontal_flip}, {layer: noise}], vary: {augment.noise.deviation: [0.1, 0.2]}}
  smooth: {vary: {classifier.loss.label_smoothing: [0.1]}}
  shares: {duplicate: {}, vary: {duplicate.amount.shares: [uniform, water_fill]}}
"""
    found = read(study(arms))
    assert [found.generators[found.arms[f"guided-{v}"].add.generator].guidance for v in (1, 1.5)] == [1, 1.5]
    assert [found.arms[f"noise-{v}"].augment[1].deviation for v in (0.1, 0.2)] == [0.1, 0.2]
    assert found.arms["smooth-0.1"].classifier.loss.label_smoothing == 0.1
    assert found.arms["shares-water_fill"].duplicate.amount.shares == "water_fill"
    plan = fake_plan(found)
    trained = {making.task for making in plan.generators if making.replicate == 0}
    assert len(trained) == 1, "guidance is used when images are made, so one training run serves both"


def test_each_varied_arm_has_its_control_of_as_many_copies(study, tmp_path):
    found = read(study(VARIED))
    results = Results(found, *fake_results(found, tmp_path / "results"))
    assert [results.control(f"cvae-{v}") for v in (0.1, 0.5, 2)] == [f"copies-{v}" for v in (0.1, 0.5, 2)]


def test_a_part_of_a_varied_study_is_named_by_its_values(study, tmp_path):
    plan = fake_plan(read(study(VARIED)))
    part = plan.only({"arm": ["cvae-0.5"]})
    assert {run.arm for run in part.runs} == {"cvae-0.5"}
    task = plan.tasks[part.runs[0].task]
    assert "cvae-0.5" in explain(task, plan, Store(tmp_path / "results"))


def test_an_extending_study_drops_one_of_the_arms_and_gives_other_values(study, tmp_path):
    study(VARIED)
    path = tmp_path / "more.yaml"
    path.write_text(
        "extends: study.yaml\narms:\n  cvae: {vary: {add.amount.fraction: [0.5, 1]}}\n  copies-0.1: null\n", "utf-8"
    )
    assert list(read(path).arms) == ["baseline", "cvae-0.5", "cvae-1", "copies-0.5", "copies-2"]
    assert list(read(path).series["copies"].arms) == ["copies-0.5", "copies-2"]


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("  a: {vary: 3}", r"arms\.a\.vary: takes one setting of the arm and its values; write vary: {"),
        ("  a: {vary: {x: [1], y: [2]}}", r"takes one setting"),
        ("  a: {duplicate: {}, vary: {duplicate.amount.fraction: 0.1}}", r"needs a list of values of duplicate"),
        ("  a: {duplicate: {}, vary: {duplicate.amount.fraction: [0.1, 0.10]}}", r"has the value 0.1 twice; keep one"),
        ("  a: {duplicate: {}, vary: {duplicate.amount.fraction: [[1]]}}", r"takes numbers, words, true and false"),
        ("  a: {vary: {augment.noise.deviation: [0.1]}}", r"the arm has no augment, so there is no step to vary"),
        ("  a: {augment: [{layer: blur}], vary: {augment.noise.deviation: [0.1]}}", r"no step noise; choose from blur"),
        (
            "  a: {augment: [{layer: blur}, {layer: blur}], vary: {augment.blur.sigma: [1]}}",
            r"the arm has 2 steps blur; name one by its place, from 0",
        ),
        ("  a: {add: {generator: flo}, vary: {add.generator.steps: [3]}}", r"no generator flo; did you mean flow\?"),
        ("  a: {vary: {add.generator.steps: [3]}}", r"the arm has no add\.generator"),
        (
            "  a: {duplicate: {}, vary: {duplicate.amount.fracton: [1, 2]}}",
            r"arms\.a\.duplicate\.amount\.fracton: not a",
        ),
        ("  a: {duplicate: {}, vary: {duplicate.amount.fraction: [1, 20]}}", r"arms\.a-20\.\S+: .*got 20"),
        ("  a: {vary: {classifier.epochs: [3]}}\n  a-3: {}", r"arms\.a\.vary: makes a-3, which is an arm already"),
        (
            "  a: {vary: {classifier.epochs: [3, 4]}}\n  a-3: null\n  a-4: null",
            r"arms\.a\.vary: every arm that it makes is dropped by a null: write a: null instead",
        ),
        ("  a: {var: {classifier.epochs: [3]}}", r"arms\.a\.var: not a setting; did you mean vary\?"),
        ("  a: {lable: x, vary: {classifier.epochs: [3, 4, 5]}}", r"arms\.a\.lable: not a setting"),
        ("  a: {augment: [{layer: blur}], vary: {augment.1.sigma: [1]}}", r"no step 1; choose from blur"),
        ("  a: {vary: {classifier.epochs: [b.1.2]}}", r"makes the arm a-b\.1\.2, and a name has .*; a decimal may end"),
        ("  a: {vary: {classifier.epochs: [b.c]}}", r"makes the arm a-b\.c, and a name has .*; a decimal may end it"),
    ],
)
def test_a_wrong_vary_is_one_message_at_its_line(study, arms, said):
    path = study(arms + "\n")
    with pytest.raises(StudyError, match="is not a study") as caught:
        read(path)
    message = str(caught.value)
    assert "(1 mistake)" in message, message
    assert re.search(said, message), message
    assert f"study.yaml:{1 + HEAD.count(chr(10))}: " in message, message


def test_a_mistake_of_some_arms_of_a_series_is_said_of_each_and_one_of_all_once(study):
    values = "[noise, horizontal_flip, autocontrast]"
    several = f"  a: {{augment: [{{layer: x, deviation: 0.1}}], vary: {{augment.0.layer: {values}}}}}\n"
    for arms, named in ((several, ("a-horizontal_flip", "a-autocontrast")), (several.replace("noise, ", ""), "a")):
        with pytest.raises(StudyError, match=rf"\({len(named)} mistake") as caught:
            read(study(arms))
        assert all(f"arms.{name}.augment.0.deviation: not a setting" in str(caught.value) for name in named)


def test_what_varies_stands_beside_the_generators_and_series_that_the_study_has(study):
    given = "series:\n  mine: {setting: classifier.epochs, arms: {baseline: 100, guided-1: 50}}\n"
    arms = "  guided: {add: {generator: flow}, vary: {add.generator.guidance: [1.0, 1.5]}}\n"
    found = read(study(arms + given))
    assert list(found.generators) == ["cvae", "flow", "flow-guidance-1", "flow-guidance-1.5"]
    assert list(found.series) == ["mine", "guided"]
    assert list(found.arms) == ["baseline", "guided-1", "guided-1.5"]
    with pytest.raises(StudyError, match=r"series\.mine\.arms\.guided-1: there is no arm guided-1"):
        read(study(given))


def test_the_generator_of_an_arm_can_vary_itself(study):
    found = read(study("  made: {add: {generator: cvae}, vary: {add.generator: [cvae, flow]}}\n"))
    assert {name: arm.add.generator for name, arm in found.arms.items() if arm.add} == {
        "made-cvae": "cvae",
        "made-flow": "flow",
    }
    assert list(found.generators) == ["cvae", "flow"]


def test_series_with_numbers_have_a_figure_for_each_setting_whatever_is_added_and_words_have_none(study, tmp_path):
    arms = """\
  shares: {duplicate: {}, vary: {duplicate.amount.shares: [uniform, water_fill]}}
  other: {vary: {classifier.augment_validation: [true, false]}}
  epochs: {label: Long, vary: {classifier.epochs: [3, 4]}}
  mixed: {vary: {classifier.optimizer.momentum: [0.5]}}
""".replace(
        "  other: {vary: {classifier.augment_validation: [true, false]}}\n",
        "  flags: {vary: {always_weighted: [true, false]}}\n",
    )
    both = "series:\n  both: {setting: classifier.epochs, arms: {epochs-3: 3, baseline: many}}\n"
    found = read(study(VARIED + arms + both))
    results = Results(found, fake_plan(found), Store(tmp_path))
    assert results.doses == {
        "amount.fraction": ["cvae", "copies"],
        "classifier.epochs": ["epochs"],
        "classifier.optimizer.momentum": ["mixed"],
    }
    assert [results.series_label(name) for name in ("cvae", "epochs", "mixed")] == ["Conditional VAE", "Long", "mixed"]


def test_arms_of_a_series_whose_labels_have_nothing_in_common_are_called_by_its_name(study, tmp_path):
    given = "series:\n  mine: {setting: classifier.epochs, arms: {one: 3, two: 4}}\n"
    arms = "  one: {label: 'First, 3', classifier: {epochs: 3}}\n  two: {label: 'Second, 4', classifier: {epochs: 4}}\n"
    found = read(study(arms + given))
    assert Results(found, fake_plan(found), Store(tmp_path)).series_label("mine") == "mine"


def test_a_data_set_with_a_fraction_of_its_own_is_in_no_figure_of_fractions_and_in_those_of_other_settings(
    study, tmp_path
):
    arms = """\
  added: {add: {generator: cvae, amount: {fractions: {breastmnist: 0.3}}}, vary: {add.amount.fraction: [0.1, 0.5]}}
  longer: {add: {generator: cvae, amount: {fractions: {breastmnist: 0.3}}}, vary: {classifier.epochs: [3, 4]}}
"""
    found = read(study(arms))
    files = Pages(Results(found, *fake_results(found, tmp_path / "results"))).all()
    assert [name for name in files if "figures/doses" in name] == ["figures/doses-breastmnist-classifier-epochs.svg"]


@pytest.mark.parametrize(("gone", "shown"), [((), "cvae-2"), (("cvae-2",), "cvae-0.5")])
def test_of_arms_with_more_and_fewer_images_of_a_generator_those_with_the_most_are_shown(study, tmp_path, gone, shown):
    arms = """\
  wide: {add: {generator: flow}, vary: {add.generator.latent_dim: [16, 32]}}
  longer: {add: {generator: flow}, vary: {classifier.epochs: [3, 4]}}
  kept: {add: {generator: cvae, filter: {}, amount: {fraction: 4}}}
series:
  mine: {setting: add.amount.fraction, arms: {kept: 4}}
"""
    found = read(study(VARIED + arms, HEAD.replace("kind: flow", "kind: cgan")))
    lacking = {making.task for making in fake_plan(found).synthesis if making.name in gone}
    made = fake_results(found, tmp_path / "results", leave_out=lambda task: task.id in lacking)
    results = Results(found, *made)
    (section,) = generators(Book(results))["sections"]
    names = [sheet["figure"].name for sheet in section["montages"] if sheet["figure"]]
    others = ["wide-16", "wide-32", "longer-3", "longer-4", "kept"]
    assert names == ["images-breastmnist", *(f"images-breastmnist-{arm}" for arm in (shown, *others))]
    said = ["Other amounts of its images are not shown." in sheet["figure"].caption for sheet in section["montages"]]
    assert said == [False, True, *[False] * 5]


def test_a_figure_of_doses_has_the_samplings_of_its_arms_and_never_the_baseline(study, tmp_path):
    arms = """\
  copies: {label: Copies, duplicate: {}, samplings: [shuffle], vary: {duplicate.amount.images: [10, 20]}}
  longer: {label: Long, vary: {classifier.epochs: [30, 40]}}
series:
  all: {setting: classifier.batch_size, arms: {baseline: 128, longer-30: 64}}
"""
    found = read(study(arms, HEAD.replace("[shuffle]", "[shuffle, weighted]")))
    pages = Pages(Results(found, *fake_results(found, tmp_path / "results")))
    drawn = {name: text.decode() for name, text in pages.all().items() if "figures/doses" in name}
    images, epochs, batch = (
        drawn[f"figures/doses-breastmnist-{setting}.svg"]
        for setting in ("amount-images", "classifier-epochs", "classifier-batch_size")
    )
    assert [words in images for words in ("Copies, 10", "Copies (weighted)", "against images added")] == [
        True,
        False,
        True,
    ]
    assert [words in epochs for words in ("Long, 30", "Long (weighted), 30")] == [True, True]
    assert [f"all, {value}: " in batch for value in (64, 128)] == [True, False]


# --- the figure ------------------------------------------------------------------------------------


def test_a_study_with_varied_amounts_draws_them_beside_their_controls_and_tests_each(study, tmp_path):
    found = read(study(VARIED))
    results = Results(found, *fake_results(found, tmp_path / "results"))
    pages = Pages(results)
    files = pages.all()
    page = files["significance.md"].decode()
    assert 'id="doses-breastmnist-amount-fraction"' in page
    drawn = files["figures/doses-breastmnist-amount-fraction.svg"].decode()
    for words in ("Conditional VAE", "Copies", "logarithmic", "images added, as a part of the training images"):
        assert words in drawn
    tests = {cell[1]: one for cell, one in pages.inference.tests.items()}
    assert {one.family for one in tests.values()} == {6}, "each value is an arm of the family"
    assert points(tests["cvae-2"].result.effect) in drawn


def test_a_study_without_vary_has_no_figure_of_doses(study, tmp_path):
    found = read(study("  copies: {duplicate: {}}\n"))
    files = Pages(Results(found, *fake_results(found, tmp_path / "results"))).all()
    assert not any("doses" in name for name in files)


@pytest.mark.parametrize(("values", "logarithmic"), [((0.1, 0.5, 1), True), ((1, 2, 9), False), ((0, 1, 100), False)])
def test_values_that_span_a_factor_of_ten_have_a_logarithmic_axis(values, logarithmic):
    doses = [figures.Dose("arm", 0.01, -0.01, 0.03, value=value) for value in values]
    panel = figures.DosePanel("Set", [figures.DoseSeries("arm", "shuffle", "Arm", doses)])
    assert ("(logarithmic)" in figures.dose_response([panel], setting="factor").svg) is logarithmic


def test_doses_of_equal_ratio_stand_equally_far_apart_on_a_logarithmic_axis():
    doses = [figures.Dose("arm", 0.01, value=value) for value in (0.1, 1, 10)]
    panel = figures.DosePanel("Set", [figures.DoseSeries("arm", "shuffle", "Arm", doses)])
    drawn = figures.dose_response([panel], setting="factor").svg
    line = re.search(r'd="M([\d.]+) [\d.]+L([\d.]+) [\d.]+L([\d.]+) [\d.]+"', drawn)
    first, second, third = map(float, line.groups())
    assert second - first == pytest.approx(third - second, abs=0.02)
