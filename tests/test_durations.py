"""How long tasks are expected to take, from those that are finished."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaug_keras.architectures import ARCHITECTURES
from medaug_keras.durations import Durations, _weighted_median, counted, duration, kind_of, work_of
from medaug_keras.store import Store
from studies import PHANTOM, make_up, planned, tiny

SIZES = st.floats(1, 1e6)
SECONDS = st.floats(0.01, 1e5)


def known(seen: dict[float, list[float]]) -> Durations:
    made = Durations()
    made.seen["classifier cnn"] = seen
    return made


def expected(seen: dict[float, list[float]], work: float) -> float:
    seconds = known(seen).seconds("classifier cnn", work)
    assert seconds is not None
    return seconds


@given(st.floats(0, 100), st.floats(1e-5, 1), st.lists(st.integers(1, 10**6), min_size=2, max_size=9, unique=True))
def test_a_fixed_time_and_one_for_each_image_are_told_apart(fixed: float, each: float, sizes: list[int]):
    if max(sizes) < 1.5 * min(sizes):
        sizes.append(2 * max(sizes))
    seen = {float(work): [fixed + each * work] for work in sizes}
    for work in (1, 500, 10**7):
        assert expected(seen, work) == pytest.approx(fixed + each * work, rel=1e-3, abs=1e-3)


@given(
    st.dictionaries(SIZES | st.integers(100, 120), st.lists(SECONDS, min_size=1, max_size=4), min_size=1, max_size=8),
    SIZES,
    SIZES,
)
def test_more_work_never_takes_less_time_and_no_time_is_negative(
    seen: dict[float, list[float]], one: float, two: float
):
    less, more = sorted((one, two))
    assert 0 <= expected(seen, less) <= expected(seen, more) * (1 + 1e-9)


@given(SIZES, SECONDS, st.floats(1, 1000))
def test_after_one_task_an_equal_one_takes_as_long_and_a_larger_one_longer_but_not_in_proportion(
    work: float, seconds: float, times: float
):
    seen = {work: [seconds]}
    assert expected(seen, work) == pytest.approx(seconds)
    assert seconds * (1 - 1e-9) <= expected(seen, times * work) <= times * seconds * (1 + 1e-9)


@pytest.mark.parametrize("sizes", [[100.0], [100.0, 1000.0]], ids=["one size", "no difference between sizes"])
def test_two_seconds_at_most_are_believed_to_be_fixed_while_nothing_tells(sizes: list[float]):
    assert expected({100.0: [10]}, 200) == pytest.approx(2 + 2 * 8)
    assert expected({100.0: [1]}, 200) == pytest.approx(0.8 + 2 * 0.2)
    assert 0 < expected({100.0: [1.0], 110.0: [0.4]}, 100) < expected({100.0: [1.0], 110.0: [0.4]}, 10_000)
    seen = {work: [10.0] for work in sizes}
    assert expected(seen, 2000) > expected(seen, 1000) > expected(seen, 100)


@given(st.lists(st.tuples(st.floats(-10, 10), st.integers(1, 9)), min_size=1, max_size=9))
def test_a_weighted_median_is_the_lower_median_of_each_value_as_often_as_it_weighs(values):
    many = sorted(value for value, weight in values for _ in range(weight))
    assert _weighted_median(values) == many[(len(many) - 1) // 2]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "1.7 h"), (360_000, "100.0 h")],
)
def test_a_duration_is_said_in_the_unit_that_fits(seconds: float, words: str):
    assert duration(seconds) == words


@pytest.mark.parametrize("seed", range(20))
def test_a_few_tasks_that_met_a_busy_machine_or_went_on_from_a_checkpoint_do_not_matter_much(seed: int):
    """Three tasks of each of six sizes, of which one may take five times as long, or a twentieth."""
    chance = random.Random(seed)
    seen = {}
    for work in chance.sample([600, 900, 2000, 5000, 12_000, 40_000, 100_000], 6):
        odd = [1, 1, chance.choice([1, 5, 0.05])]
        seen[float(work)] = [(4 + 2e-3 * work) * chance.uniform(0.9, 1.1) * one for one in odd]
    assert 0.5 < expected(seen, 200_000) / (4 + 2e-3 * 200_000) < 2


def test_a_large_data_set_after_small_ones_is_not_expected_to_take_all_night():
    """Two small sets of 5 s and a little; a pace an image alone would say 14 hours for this half hour."""
    seen = {800.0: [5.1, 5.3], 1500.0: [5.3, 5.2]}
    true = 5 + 3e-4 * 5e6
    assert sum(5.1 / 800 * 5e6 for _ in range(2)) > 14 * 3600
    assert expected({800.0: [5 + 3e-4 * 800], 1500.0: [5 + 3e-4 * 1500]}, 5e6) == pytest.approx(true)
    assert expected(seen, 5e6) < 3 * true


@pytest.mark.parametrize("kind", ["classifier", "usefulness"])
def test_work_is_images_by_the_arithmetic_of_the_classifier(kind: str):
    (task, *_) = [task for task in planned(tiny()).tasks.values() if task.kind == "classifier"]
    settings = {"settings": task.params["settings"]}
    task = replace(task, kind=kind, params=settings)
    larger = replace(task, local={**task.local, "size": 128})
    assert work_of(task) == task.images
    assert 44 * task.images < work_of(larger) < 46 * task.images  # of pixels there are 21 times as many
    within = {word: {**some, "input": {"size": 128}} for word, some in settings.items()}
    assert work_of(replace(task, params=within)) == work_of(larger)


@pytest.mark.parametrize("kind", ["applications", "python"])
def test_the_work_of_a_network_that_only_building_tells_is_its_pixels(kind: str):
    times = ARCHITECTURES[kind].multiply_adds
    assert times(64, {}) == 4 * times(32, {})


def test_work_of_what_trains_no_classifier_is_images_by_their_pixels():
    (task, *_) = [task for task in planned(tiny()).tasks.values() if task.kind == "classifier"]
    for kind, settings in (("generator", {"kind": "cvae"}), ("synthesis", None)):
        small = replace(task, kind=kind, params={"settings": settings})
        assert work_of(small) == task.images
        assert work_of(replace(small, local={"size": 56})) == 4 * task.images


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("cnn", {}), ("resnet18", {"stem": None}), ("resnet18", {"stem": "standard"}), ("resnet50", {"stem": None})],
)
@pytest.mark.parametrize("side", [28, 65, 96, 128])
def test_the_arithmetic_of_a_network_is_told_without_building_it(kind: str, settings: dict, side: int):
    from medaug_keras import classifiers  # takes long to import

    model = classifiers.build(
        kind, image_shape=(side, side, 3), num_classes=5, head="softmax", seed=0, input=None, **settings
    )
    convolutions = sum(
        math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        for layer in model.layers
        if "conv" in type(layer).__name__.lower()
    )
    dense = max(math.prod(layer.kernel.shape) for layer in model.layers if type(layer).__name__ == "Dense")
    assert ARCHITECTURES[kind].multiply_adds(side, settings) == pytest.approx(convolutions + dense, rel=0.01)


def test_what_is_left_takes_at_least_as_long_as_its_longest_task():
    made = known({100.0: [100.0], 1000.0: [1000.0]})
    assert made.left({("classifier cnn", 1000.0): 1, ("classifier cnn", 100.0): 3}, 4) == pytest.approx(1000)
    assert made.left({("classifier cnn", 1000.0): 8}, 4) == pytest.approx(2000)
    assert made.left({("data", 1.0): 1}, 4) is None
    assert made.left({("data", 1.0): 0}, 4) == 0


def test_finished_tasks_of_a_plan_are_what_is_known(tmp_path):
    study = tiny(datasets={"small": PHANTOM, "large": {**PHANTOM, "train": 480}}, replicates=2)
    plan, store = planned(study), Store(tmp_path)
    done = [task for task in plan.tasks.values() if task.kind == "data" or task.replicate == 0]
    for task in done:
        make_up(store, task, seconds=3 + task.images / 100)
    known_now = Durations.of(plan, store.outcomes(plan))
    rest = [task for task in plan.tasks.values() if task not in done]
    assert known_now.total(counted(rest)) == pytest.approx(sum(3 + task.images / 100 for task in rest))
    for task in rest:
        assert known_now.seconds(kind_of(task), work_of(task)) == pytest.approx(3 + task.images / 100)
