"""Laws of the plan: what is new work, what is shared, and in which order."""

import contextlib
import json
import random
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from medaug_keras.generators import GENERATORS
from medaug_keras.plan import VERSIONS, Plan, Source, added_images, plan, replicate_seed, task_key
from medaug_keras.spec import Data, Flow, Step, Study, dump
from studies import PHANTOM, changed, planned, tiny, whole

PAPER = {  # training images and added ones, Section 2.6 and its table
    "pathmnist": (89996, 0.04, 3599),
    "dermamnist": (7007, 0.10, 700),
    "octmnist": (97477, 0.04, 3899),
    "pneumoniamnist": (4708, 0.10, 470),
    "breastmnist": (546, 0.10, 54),
    "organamnist": (34581, 0.05, 1729),
    "organcmnist": (13000, 0.10, 1300),
    "organsmnist": (13940, 0.10, 1394),
}


LATER = ("classifier", "quality", "usefulness")  # what uses images that are made


def new_kinds(before: Plan, after: Plan) -> set[str]:
    """The kinds of the tasks that a changed study adds."""
    return {task.kind for name, task in after.tasks.items() if name not in before.tasks}


@pytest.mark.parametrize(
    ("path", "value", "kinds"),
    [
        ("name", "another", set()),
        ("title", "Another title", set()),
        ("question", "Another question?", set()),
        ("paper", True, set()),
        ("primary", "auc", set()),
        ("classifier.select", "last", set()),
        ("arms.baseline.label", "Nothing added", set()),
        ("arms.cvae.label", "A VAE", set()),
        ("arms.more", {}, set()),  # does what baseline does
        ("generators.unused", {"kind": "cvae"}, set()),
        ("quality.enabled", False, set()),
        ("quality.neighbours", 3, {"quality"}),
        ("classifier.epochs", 5, {"classifier", "quality", "usefulness"}),
        ("classifier.head", "sigmoid", {"classifier", "quality", "usefulness"}),
        ("arms.gda.augment", [{"layer": "hue"}], {"classifier"}),
        ("arms.duplicate.duplicate", {"amount": {"fraction": 0.5}}, {"synthesis", "classifier", "quality"}),
        ("arms.cvae.add", {"generator": "cvae", "amount": {"images": 7}}, {"synthesis", "classifier", "quality"}),
        ("arms.jvae.interleave", {"generator": "jvae", "mode": "mean"}, {"synthesis", *LATER}),
        ("generators.cvae.sampling_statistics", "moving", {"synthesis", *LATER}),
        ("generators.cvae.epochs", 4, {"generator", "synthesis", *LATER}),
        ("precision", "bfloat16", {"generator", "synthesis", *LATER}),
        ("seed", 1, {"generator", "synthesis", *LATER}),
        ("datasets.small.test", 20, {"data", "generator", "synthesis", *LATER}),
    ],
)
def test_a_changed_setting_makes_new_work_only_for_what_it_decides(path: str, value: Any, kinds: set[str]):
    assert new_kinds(planned(whole()), planned(changed(whole(), path, value))) == kinds


def test_renaming_an_arm_a_generator_and_the_study_makes_no_new_work():
    study = whole()
    text = json.dumps(study)
    for name in ("baseline", "gda", "cvae", "jvae", "cgan", "duplicate"):
        text = text.replace(f'"{name}": {{', f'"new-{name}": {{').replace(
            f'"generator": "{name}"', f'"generator": "new-{name}"'
        )
    text = text.replace('"new-duplicate": {}', '"duplicate": {}')  # the word of the arm, not its name
    renamed = json.loads(text) | {"name": "renamed", "baseline": {"arm": "new-baseline"}}
    assert not {*renamed["arms"], *renamed["generators"]} & {*study["arms"], *study["generators"]}
    assert planned(renamed).tasks.keys() == planned(study).tasks.keys()


def test_renaming_a_data_set_makes_no_new_work():
    one, other = (planned(tiny(datasets={name: PHANTOM}), {name: "same bytes"}) for name in ("one", "other"))
    assert one.tasks.keys() == other.tasks.keys()


@pytest.mark.parametrize(
    "larger",
    [
        whole(replicates=3),
        changed(whole(), "arms.extra", {"augment": [{"layer": "hue"}]}),
        changed(whole(), "datasets.third", {**PHANTOM, "seed": 5}),
    ],
    ids=["replicate", "arm", "data set"],
)
def test_adding_something_keeps_every_key(larger: dict[str, Any]):
    assert planned(whole()).tasks.keys() < planned(larger).tasks.keys()


def test_two_studies_share_what_they_have_in_common():
    one = planned(whole(arms={"baseline": {}, "a": {"add": {"generator": "cvae"}}}))
    other = planned(whole(name="other", arms={"baseline": {}, "b": {"add": {"generator": "cvae"}}, "gda": {}}))
    assert one.tasks.keys() == other.tasks.keys()


def test_keys_do_not_depend_on_the_data_folder():
    assert planned(whole(), data_root="/here").tasks.keys() == planned(whole(), data_root="/there").tasks.keys()


def test_keys_do_not_depend_on_the_order_of_parameters():
    params = {"a": 1, "b": {"c": [1, 2], "d": None}}
    assert task_key("data", params, {}) == task_key("data", {"b": {"d": None, "c": [1, 2]}, "a": 1}, {})
    assert task_key("data", params, {}) != task_key("data", params | {"b": {"c": [2, 1], "d": None}}, {})


def test_other_bytes_of_the_data_change_every_key_of_its_tasks():
    one, other = (planned(tiny(), {"grey": md5}) for md5 in ("one", "other"))
    assert not one.tasks.keys() & other.tasks.keys()


def test_arms_of_a_replicate_share_their_seed_and_replicates_do_not():
    tasks = planned(whole()).tasks.values()
    seeds = [{t.params["seed"] for t in tasks if t.replicate == r and t.kind != "data"} for r in (0, 1)]
    assert seeds == [{replicate_seed(0, 0)}, {replicate_seed(0, 1)}]
    assert seeds[0] != seeds[1]


def test_seeds_fit_into_31_bits_and_differ():
    seeds = [replicate_seed(seed, replicate) for seed in range(30) for replicate in range(30)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == len(seeds)


def test_replicate_0_of_everything_comes_first_and_the_cheapest_data_set_first_in_each():
    tasks = [task for task in planned(whole()).tasks.values() if task.kind != "data"]
    places = [(task.replicate, ["small", "large"].index(task.dataset)) for task in tasks]
    assert places == sorted(places)


@pytest.mark.parametrize("study", [tiny(), whole(), whole(replicates=1)])
def test_needs_come_before_their_users(study: dict[str, Any]):
    made: set[str] = set()
    for name, task in planned(study).tasks.items():
        assert name == task.id
        assert set(task.needs.values()) <= made
        made.add(name)


def test_every_pair_of_arm_and_sampling_is_a_cell_in_every_data_set_and_replicate():
    cells = planned(whole()).runs
    assert len({(c.dataset, c.arm, c.sampling, c.replicate) for c in cells}) == len(cells) == 2 * 6 * 2 * 2


def test_an_arm_with_its_own_samplings_has_only_those():
    cells = planned(changed(whole(), "arms.gda.samplings", ["weighted"])).runs
    assert {cell.sampling for cell in cells if cell.arm == "gda"} == {"weighted"}


def test_always_weighted_draws_weighted_in_both_columns_as_separate_runs():
    plan = planned(changed(whole(), "arms.gda.always_weighted", True))
    runs = {c.sampling: plan.tasks[c.task] for c in plan.runs if (c.arm, c.dataset, c.replicate) == ("gda", "small", 0)}
    assert {task.params["sampling"] for task in runs.values()} == {"weighted"}
    assert runs["shuffle"].key != runs["weighted"].key
    assert runs["shuffle"].params["seed"] == runs["weighted"].params["seed"]
    streams = {(c.arm == "gda", plan.tasks[c.task].params["stream"]) for c in plan.runs}
    assert streams == {(True, "shuffle"), (True, "weighted"), (False, "")}  # all others share their replicate's order


def test_only_what_adds_images_needs_synthesis_and_copies_need_no_generator():
    plan = planned(whole())
    for cell in plan.runs:
        assert ("synthesis" in plan.tasks[cell.task].needs) == (cell.arm not in ("baseline", "gda"))
    assert {m.name for m in plan.synthesis if "generator" not in plan.tasks[m.task].needs} == {"duplicate"}


def test_interleaving_doubles_the_training_set_and_adding_grows_it():
    plan = planned(whole(replicates=1, samplings=["shuffle"], classifier={"epochs": 1}))
    images = {c.arm: plan.tasks[c.task].images for c in plan.runs if c.dataset == "small"}
    assert images["jvae"] - images["baseline"] == PHANTOM["train"]
    assert images["cvae"] - images["baseline"] == images["duplicate"] - images["baseline"] == 4
    assert images["baseline"] == images["gda"]


def test_samplings_of_an_arm_share_generator_and_images():
    plan = planned(whole(replicates=1))
    kinds = [task.kind for task in plan.tasks.values() if task.dataset == "small"]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "data": 1,
        "generator": 3,
        "synthesis": 4,
        "classifier": 12,
        "quality": 4,
        "usefulness": 3,
    }


def test_quality_judges_every_arm_with_synthesis_by_the_baseline_of_its_replicate():
    plan = planned(whole())
    cells = {run.task: run for run in plan.runs}
    assert len(plan.quality) == 2 * 2 * 4
    for making in plan.quality:
        judge = cells[plan.tasks[making.task].needs["classifier"]]
        assert (judge.arm, judge.sampling) == ("baseline", "shuffle")
        assert (judge.dataset, judge.replicate) == (making.dataset, making.replicate)


@pytest.mark.parametrize("seed", range(20))
def test_only_narrows_and_keeps_needs(seed: int):
    plan, draw = planned(whole()), random.Random(seed)
    choices = {"dataset": ["large", "small"], "arm": list(whole()["arms"]), "sampling": ["shuffle", "weighted"]}
    choices["replicate"] = ["0", "1"]
    names = draw.sample(list(choices), draw.randint(1, 4))
    filters = {name: draw.sample(choices[name], draw.randint(1, len(choices[name]))) for name in names}
    part = plan.only(filters)
    assert part.runs == [c for c in plan.runs if all(str(getattr(c, name)) in filters[name] for name in filters)]
    assert list(part.tasks) == [name for name in plan.tasks if name in part.tasks]
    assert all(need in part.tasks for task in part.tasks.values() for need in task.needs.values())
    for makings in (part.runs, part.generators, part.synthesis, part.quality):
        assert all(making.task in part.tasks for making in makings)
    assert set(part.data.values()) == {name for name, task in part.tasks.items() if task.kind == "data"}


def test_only_one_task_leaves_it_and_what_it_needs():
    plan = planned(whole())
    for name, task in plan.tasks.items():
        part = plan.only({"task": [name]})
        assert list(part.tasks)[-1] == name
        assert all(need in part.tasks for need in task.needs.values())
        assert {t.kind for t in part.tasks.values()} <= {"data", "generator", "synthesis", "classifier", task.kind}


@pytest.mark.parametrize("dataset", PAPER)
def test_added_images_are_the_papers(dataset: str):
    train, fraction, expected = PAPER[dataset]
    assert added_images({"images": None, "fraction": fraction}, train) == expected


@pytest.mark.parametrize(("hundredths", "train"), [(h, t) for h in (1, 7, 29, 57, 58, 99) for t in (100, 4700)])
def test_a_fraction_is_the_decimal_that_was_written(hundredths: int, train: int):
    assert added_images({"images": None, "fraction": hundredths / 100}, train) == hundredths * train // 100


def test_a_fixed_number_of_images_is_taken_as_it_is():
    assert added_images({"images": 12, "fraction": 0.1}, 5) == 12


def test_fractions_of_single_data_sets_reach_only_those():
    plan = planned(
        changed(whole(), "arms.duplicate.duplicate", {"amount": {"fraction": 0.5, "fractions": {"large": 0.25}}})
    )
    images = {m.dataset: plan.tasks[m.task].images for m in plan.synthesis if m.name == "duplicate"}
    assert images == {"large": 25, "small": 24}


# --- what a key covers -----------------------------------------------------------------------------

AMOUNT = {"amount": {"fraction": 0.25, "shares": "uniform"}}
OWN = {
    "path": "a",
    "title": "A",
    "licence": "L",
    "citation": "C",
    "classes": ["x", "y"],
    "colour": "rgb",
    "image": "i",
    "label": "l",
    "drop": "d",
    "ids": {"path": "i", "group": "g"},
    "split": {"train": 0.5, "validation": 0.25, "test": 0.25},
}


def own(section: type[BaseModel]) -> dict[str, Any]:
    """A data set of one's own, of a kind, with as many settings as the kind has."""
    return {name: value for name, value in OWN.items() if name in section.model_fields}


def every_step() -> Iterator[dict[str, Any]]:
    for section in get_args(get_args(Step)[0]):
        needed = {"factor": 0.1} if "factor" in section.model_fields else {}
        needed |= {"RandomPosterization": {"factor": 4}, "RandomShear": {"x_factor": 0.1}}.get(section.__name__, {})
        needed |= {"builder": "my_steps:step"} if "builder" in section.model_fields else {}
        needed |= {"mode": "vertical"} if "mode" in section.model_fields else {}
        yield from ({"layer": layer, **needed} for layer in get_args(section.model_fields["layer"].annotation))


FOREIGN = {"path": "made", "trained_on": "train"}
OTHERS = {"phantom": PHANTOM, "medmnist": {"kind": "medmnist", "name": "breastmnist"}}
EVERYTHING = whole(
    replicates=1,
    samplings=["shuffle"],
    datasets={
        kind: OTHERS.get(kind) or {"kind": kind, **own(section)}
        for section in get_args(get_args(Data)[0])
        for kind in get_args(section.model_fields["kind"].annotation)
    },
    generators={kind: {"kind": kind, **(FOREIGN if made.foreign else {})} for kind, made in GENERATORS.items()},
    arms={
        "baseline": {"label": "None"},
        "steps": {"augment": list(every_step())},
        "copies": {"duplicate": AMOUNT},
        "alone": {"replace": {"generator": "cvae", **AMOUNT}},
        "first": {"pretrain": {"generator": "cvae", "epochs": 2, **AMOUNT}},
        **{
            kind: {"interleave": {"generator": kind}} if made.reconstructs else {"add": {"generator": kind, **AMOUNT}}
            for kind, made in GENERATORS.items()
        },
    },
)
ORDER = ("data", "generator", "synthesis", "classifier", "quality", "usefulness")
SHOWN_ONLY = re.compile(
    r"datasets\.\w+\.(name|accept_unverified|path|title|classes.*|licence|citation|split.*|ids.*|drop|frame|group|publish_split|image|labels?|missing|encoding|positive|ordinal|subgroups.*|tests)"
    r"|generators\.files\.(path|trained_on)|classifier\.select|arms\.\w+\.(label|samplings)|quality\.enabled"
)
REFERENCES = re.compile(r".*\.(kind|layer|generator)")
DECIDES = {  # settings of a section, and the first kind of task that they change
    r"datasets\..*": "data",
    r"generators\.\w+\.(sampling_statistics|solver|steps|guidance)": "synthesis",
    r"generators\..*": "generator",
    r"arms\.\w+\.pretrain\.epochs": "classifier",
    r"arms\.\w+\.(add|replace|pretrain|interleave|duplicate)\..*": "synthesis",
    r"arms\..*|classifier\..*": "classifier",
    r"quality\..*": "quality",
}


def settings(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from settings(inner, f"{path}.{name}".strip("."))
    elif isinstance(value, list):
        yield from settings(dict(enumerate(value)), path)
    else:
        yield path, value


def with_setting(content: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    if isinstance(content, list):
        return [with_setting(one, path[1:], value) if n == int(path[0]) else one for n, one in enumerate(content)]
    return {**content, path[0]: with_setting(content[path[0]], path[1:], value)}


def words(schema: Any) -> Iterator[str]:
    """Every word that some setting chooses from."""
    if isinstance(schema, dict):
        yield from (word for word in (schema.get("const"), *schema.get("enum", ())) if isinstance(word, str))
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from words(inner)


WORDS = sorted(set(words(Study.model_json_schema())))


def otherwise(content: dict[str, Any], path: str, value: Any) -> Study | None:
    """The study with another valid value of one setting; None where there is no other."""
    others = [f"{value}z", 28, 3, *(word for word in WORDS if word != value)]
    if isinstance(value, bool | int | float):
        near = (value + 1, value / 2, 0.5)
        others = [not value] if isinstance(value, bool) else [other for other in near if other != value]
    for other in others:
        with contextlib.suppress(ValueError):
            return Study.model_validate_json(json.dumps(with_setting(content, path.split("."), other)))
    return None


def test_every_setting_reaches_the_keys_of_the_work_that_it_decides_and_no_others():
    """A setting that is new here fails until it is in a key, or among those that are only shown."""
    sections = ("datasets", "classifier", "generators", "arms", "quality")
    content = dump(Study.model_validate_json(json.dumps(EVERYTHING)))
    sources = dict.fromkeys(EVERYTHING["datasets"], Source("the same bytes", 48, 16, 16))
    before = plan(Study.model_validate_json(json.dumps(content)), sources).tasks
    found, expected = {}, {}
    for path, value in settings({section: content[section] for section in sections}):
        other = None if REFERENCES.fullmatch(path) else otherwise(content, path, value)
        if other is not None:
            new = {task.kind for name, task in plan(other, sources).tasks.items() if name not in before}
            found[path] = min(new, key=ORDER.index, default=None)
            decides = next(kind for pattern, kind in DECIDES.items() if re.fullmatch(pattern, path))
            expected[path] = None if SHOWN_ONLY.fullmatch(path) else decides
    assert found == expected
    assert len(found) > 100


def test_the_kind_of_a_data_set_is_in_its_key_though_its_bytes_may_be_the_same():
    datasets = {"one": {"kind": "npz", "path": "a"}, "other": {"kind": "folder", "path": "a"}}
    study = Study.model_validate_json(json.dumps(tiny(datasets=datasets)))
    assert len(set(plan(study, dict.fromkeys(datasets, Source("the same bytes", 48, 16, 16))).data.values())) == 2


@pytest.mark.parametrize("kind", ORDER)  # that of folds: tests/test_folds.py
def test_a_new_version_of_a_kind_makes_new_keys_of_it_and_of_what_needs_it(kind: str, monkeypatch: pytest.MonkeyPatch):
    before = planned(whole())
    monkeypatch.setitem(VERSIONS, kind, VERSIONS[kind] + 1)
    needed_by = {"data": set(ORDER), "generator": {*ORDER} - {"data"}, "synthesis": {"synthesis", *LATER}}
    alone = {kind} | ({"quality"} if kind == "classifier" else set())
    expected = needed_by.get(kind) or alone
    assert new_kinds(before, planned(whole())) == expected


def test_a_key_tells_kinds_params_and_needs_apart():
    keys = [
        task_key("data", {}, {}),
        task_key("generator", {}, {}),
        task_key("data", {"a": 1}, {}),
        task_key("data", {}, {"a": "1"}),
        task_key("data", {}, {"b": "1"}),
    ]
    assert len(set(keys)) == len(keys)


def test_a_task_is_as_dear_as_the_images_that_pass_through_its_networks():
    """Training sees its images and those held out once an epoch; what is made is held out twice at the end."""
    study = whole(replicates=1, samplings=["shuffle"], datasets={"small": PHANTOM}, classifier={"epochs": 5})
    train, validation, test = (PHANTOM[split] for split in ("train", "validation", "test"))
    made = planned(study)
    images = {(m.name, made.tasks[m.task].kind): made.tasks[m.task].images for m in (*made.synthesis, *made.usefulness)}
    assert {m.name: made.tasks[m.task].images for m in made.generators} == dict.fromkeys(
        ("cvae", "jvae", "cgan"), 3 * (train + validation)
    )
    flow = Flow(kind="flow", images=1000, epochs=5)
    assert flow.passes(train, validation) == 1000 + 5 * validation  # its epochs are parts of its images
    assert images["cvae", "synthesis"] == 4
    assert images["jvae", "synthesis"] == train
    assert {(m.name, made.tasks[m.task].images) for m in made.quality} == {
        (name, train + test + images[name, "synthesis"]) for name in ("cvae", "jvae", "cgan", "duplicate")
    }
    assert images["jvae", "usefulness"] == 5 * (train + validation) + 2 * test
    for cell in made.runs:
        added = images.get((cell.arm, "synthesis"), 0)
        assert made.tasks[cell.task].images == 5 * (train + added + validation) + 2 * test


def test_only_one_replicate_has_the_quality_of_that_replicate_alone():
    part = planned(whole()).only({"replicate": [1]})
    assert {making.replicate for making in part.quality} == {1}
    assert len(part.quality) == 2 * 4
    assert {making.replicate for making in part.usefulness} == {1}
    assert len(part.usefulness) == 2 * 3


def test_a_generator_is_judged_by_training_on_its_images_once_whatever_arms_add_of_them():
    more = {f"cvae-{n}": {"add": {"generator": "cvae", "amount": {"images": n}}} for n in (1, 2, 3)}
    one, several = (planned(whole(arms=whole()["arms"] | arms)) for arms in ({}, more))
    count = [sum(task.kind == "usefulness" for task in made.tasks.values()) for made in (one, several)]
    assert count == [2 * 2 * 3] * 2
    assert len(several.usefulness) == 2 * 2 * 6
    named = planned(
        whole(arms={"baseline": {}, "first": more["cvae-1"], "second": {"interleave": {"generator": "jvae"}}})
    )
    titles = {named.tasks[m.task].title.partition(": ")[2].partition(",")[0] for m in named.usefulness}
    assert titles == {"usefulness of cvae's images", "usefulness of second's images"}
    guided = whole(
        generators={"flow": {"kind": "flow"}, "guided": {"kind": "flow", "guidance": 2.0}},
        arms={"baseline": {}, **{name: {"add": {"generator": name}} for name in ("flow", "guided")}},
    )
    kinds = [task.kind for task in planned(guided).tasks.values()]
    assert (kinds.count("generator"), kinds.count("usefulness")) == (2 * 2, 2 * 2 * 2)


def test_usefulness_needs_the_generator_or_the_reconstructions_and_the_baseline_only_for_its_learning_rate():
    tune = {"epochs": 2, "tune": {"learning_rate": [0.1, 0.01]}}
    for more, needed in (({}, set()), ({"classifier": tune}, {"classifier"})):
        made = planned(whole(**more))
        assert {m.name for m in made.usefulness} == {"cvae", "cgan", "jvae"}
        baseline = {
            (run.dataset, run.replicate): run.task
            for run in made.runs
            if (run.arm, run.sampling) == ("baseline", "shuffle")
        }
        for m in made.usefulness:
            needs = made.tasks[m.task].needs
            images = "synthesis" if m.name == "jvae" else "generator"
            assert needs.keys() == {"data", images} | needed
            assert needs.get("classifier", baseline[m.dataset, m.replicate]) == baseline[m.dataset, m.replicate]


def test_medmnists_files_are_looked_for_in_the_folder_that_was_said():
    assert {task.local["root"] for task in planned(whole(), data_root="/here").tasks.values()} == {"/here"}
