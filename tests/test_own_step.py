"""Augmentation steps of the user's own: when their code runs, what they may draw from, and what the key covers."""

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from report_records import fake_results, fake_study
from test_checkpoints import TRAININGS, KilledError, kept, train
from test_checks_page import leaking, pages_of

from medaug_keras import data, engine
from medaug_keras.augmentation import augmentation, tried
from medaug_keras.cli import options, request
from medaug_keras.own_code import OwnCodeError
from medaug_keras.plan import Plan, plan
from medaug_keras.plan import Source as Known
from medaug_keras.reading import StudyError, read
from medaug_keras.report.numbers import results
from medaug_keras.store import Store
from medaug_keras.training import checkpoints
from studies import PROJECT, cli, cli_here, tiny, written

PAGE = (PROJECT / "docs" / "how-to" / "own-step.md").read_text(encoding="utf-8")
EXAMPLE, STUDY = (
    re.findall(rf"^```{word}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0] for word in ("python", "yaml")
)
STEPS = [
    {"layer": "python", "builder": "my_steps:stripe", "arguments": {"width": 4}, "source": EXAMPLE},
    {"layer": "python", "builder": "my_steps:Gamma", "arguments": {"most": 1.5}, "source": EXAMPLE},
]


def study_with(folder: Path, text: str = EXAMPLE, **changes: Any) -> Path:
    """A tiny study with a step of my_steps.py in one arm."""
    (folder / "my_steps.py").write_text(text, encoding="utf-8")
    step = {"layer": "python", "builder": "my_steps:stripe", "arguments": {"width": 4}} | changes
    return written(folder, tiny(arms={"baseline": {}, "mine": {"augment": [step]}}))


def planned(path: Path, **allowed: Any) -> Plan:
    return plan(read(path), {"grey": Known("bytes", 48, 16, 16)}, **allowed)


def keys(path: Path) -> dict[str, str]:
    whole = planned(path)
    return {run.arm: whole.tasks[run.task].key for run in whole.runs}


def apply(text: str, images: torch.Tensor | None = None, function: str = "step") -> torch.Tensor:
    step = {"layer": "python", "builder": f"my_steps:{function}", "arguments": {}, "source": text}
    images = torch.rand(4, 6, 6, 1) if images is None else images
    return augmentation([step], seed=0)(images, torch.eye(4))[0]


def test_code_runs_only_where_the_command_allows_it(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    path = study_with(tmp_path, f"open({str(mark)!r}, 'w').close()\n{EXAMPLE}")
    refused = cli_here("run", path, cwd=tmp_path)
    assert refused.returncode == 2
    assert "arms.mine.augment.0.builder: the function stripe of my_steps.py" in refused.stderr
    assert "--allow-code" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not cli_here("plan", path, cwd=tmp_path).returncode
    assert not mark.exists()
    assert not cli_here("check", path, "--allow-code", cwd=tmp_path).returncode
    assert mark.exists()


def test_a_worker_runs_no_step_whose_text_its_task_does_not_carry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    _, whole, _ = request.planned(options.parser().parse_args(["plan", str(study_with(tmp_path))]))
    store = Store(tmp_path / "results")
    (mine,) = {run.task for run in whole.runs if run.arm == "mine" and run.sampling == "shuffle"}
    tasks = [*(task for task in whole.tasks.values() if task.kind == "data"), whole.tasks[mine]]
    what, failure = [engine.attempt(task, store, lambda what, content: None) for task in tasks][-1]
    assert what == "failed"
    assert "my_steps.py, stripe: " in failure.error
    assert "--allow-code" in failure.error


def test_text_function_and_arguments_are_in_the_key_of_their_arm_alone(tmp_path: Path) -> None:
    first = keys(study_with(tmp_path))
    changed = [
        keys(study_with(tmp_path, EXAMPLE + "# a comment\n")),
        keys(study_with(tmp_path, builder="my_steps:Gamma")),
        keys(study_with(tmp_path, arguments={"width": 5})),
    ]
    for other in changed:
        assert other["baseline"] == first["baseline"]
        assert other["mine"] != first["mine"]
    (tmp_path / "others.py").write_text(EXAMPLE)
    assert keys(study_with(tmp_path, builder="others:stripe")) == first
    texts = [
        {
            step["source"]
            for task in planned(study_with(tmp_path), **how).tasks.values()
            for step in task.params.get("augment", ())
        }
        for how in ({}, {"allow_code": True})
    ]
    assert texts == [{None}, {EXAMPLE}]


def test_every_task_that_trains_with_a_step_has_its_text_also_where_learning_rates_are_tried(tmp_path: Path) -> None:
    study_with(tmp_path)
    step = {name: value for name, value in STEPS[0].items() if name != "source"}
    tuned = tiny(arms={"baseline": {}, "mine": {"augment": [step]}})
    tuned["classifier"]["tune"] = {"learning_rate": [0.01, 0.1]}
    whole = planned(written(tmp_path, tuned), allow_code=True)
    steps = [step for task in whole.tasks.values() for step in task.params.get("augment", ())]
    assert len(steps) > len({run.task for run in whole.runs if run.arm == "mine"})
    assert {step["source"] for step in steps} == {EXAMPLE}


@pytest.mark.parametrize("builder", ["my_steps", "../my_steps:stripe", "my_steps:strip"])
def test_a_builder_that_is_not_there_is_a_mistake_with_its_line(tmp_path: Path, builder: str) -> None:
    with pytest.raises(StudyError, match=r"arms\.mine\.augment\.0\.builder") as error:
        read(study_with(tmp_path, builder=builder))
    assert error.value.mistakes[0][0].line is not None


DRAWS = "def step():\n    return lambda images, rng: {}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DRAWS.format("images[:2]"), r"made images of shape \(2, 6, 6, 1\) of images of shape \(4, 6, 6, 1\)"),
        (DRAWS.format("None"), "made NoneType of images"),
        (DRAWS.format("images / images.nothing"), "line 2: AttributeError"),
        ("import torch\n" + DRAWS.format("images * torch.rand(1)"), "a run could not be repeated: .* from rng alone"),
        ("import numpy as np\n" + DRAWS.format("images * np.random.rand()"), "could not be repeated"),
        ("import random\n" + DRAWS.format("images * random.random()"), "could not be repeated"),
        ("n = []\n" + DRAWS.format("n.append(1) or images / len(n)"), "keep nothing between calls"),
        ("def step():\n    return 3", "returned int; it must return a Keras layer, or a function of images and rng"),
        ("def step():\n    1 / 0", "line 2: ZeroDivisionError"),
        ("import sys\n" + DRAWS.format("sys.exit(3)"), "line 3: SystemExit: 3"),
        ("def step(width):\n    pass", "missing 1 required positional argument: 'width'"),
        (
            "import keras, torch\nclass step(keras.layers.Layer):\n    def call(self, images):\n"
            "        return images * torch.rand(1)",
            "SeedGenerator that the layer keeps",
        ),
    ],
)
def test_a_step_that_is_wrong_is_named_with_its_file_in_one_message(text: str, said: str) -> None:
    with pytest.raises(OwnCodeError, match=said) as error:
        apply(text)
    assert str(error.value).startswith("my_steps.py, step")
    assert len(str(error.value).splitlines()) == 1


def test_a_step_that_is_tried_has_to_take_images_and_not_only_to_be_made() -> None:
    step = {"layer": "python", "builder": "my_steps:step", "arguments": {}}
    tried(step | {"source": DRAWS.format("images.flip(1)")}, (6, 6, 1), seed=0)
    with pytest.raises(OwnCodeError, match="made NoneType of images"):
        tried(step | {"source": DRAWS.format("None")}, (6, 6, 1), seed=0)


@pytest.mark.parametrize(
    ("draw", "module"), [("random.random()", "random"), ("numpy.random.rand()", "numpy"), ("torch.rand(1)", "torch")]
)
def test_whether_a_draw_from_elsewhere_is_found_does_not_depend_on_what_was_drawn_before(draw: str, module: str):
    text = f"import {module}\n" + DRAWS.format(f"images.flip(1) if {draw} < 0.5 else images")
    for outside in range(8):
        random.seed(outside)
        np.random.seed(outside)
        torch.manual_seed(outside)
        with pytest.raises(OwnCodeError, match="could not be repeated"):
            apply(text)


def test_the_look_for_such_draws_is_the_first_batchs_alone_and_moves_no_state_of_the_program() -> None:
    steps = augmentation([STEPS[0]], seed=0)
    (step,) = steps.steps
    calls, change = [], step.change  # type: ignore[attr-defined]
    step.change = lambda images, rng: calls.append(1) or change(images, rng)  # type: ignore[attr-defined]
    images = torch.rand(4, 28, 28, 1)
    random.seed(5)
    np.random.seed(5)
    outside = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    for expected in (3, 4, 5):  # two to compare
        steps(images, torch.eye(4))
        assert len(calls) == expected
    assert outside == (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist())


def test_a_layer_is_called_as_in_training_and_its_draws_are_kept_with_the_training() -> None:
    text = "import keras\ndef step():\n    return keras.layers.GaussianNoise(0.1)"
    step = {"layer": "python", "builder": "my_steps:step", "arguments": {}, "source": text}
    images, targets = torch.full((4, 6, 6, 1), 0.5), torch.eye(4)
    steps = augmentation([step], seed=0)
    assert not steps.recordable
    before = [counter.clone() for counter in steps.counters]
    first, second = (steps(images, targets)[0] for _ in range(2))
    assert len({images.mean().item(), first.mean().item(), second.mean().item()}) == 3
    for counter, was in zip(steps.counters, before, strict=True):
        counter.copy_(was)
    assert before
    assert torch.equal(steps(images, targets)[0], first)


def test_images_stay_in_the_range_and_those_that_were_given_stay_what_they_were() -> None:
    images = torch.rand(4, 6, 6, 1)
    before = images.clone()
    assert set(apply(DRAWS.format("images.mul_(10).sub_(5)"), images).unique().tolist()) >= {0.0, 1.0}
    assert torch.equal(images, before)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["builder"])
def test_the_steps_of_the_page_draw_for_each_image_by_the_seed_alone(step: dict[str, Any]) -> None:
    images, targets = torch.full((64, 28, 28, 1), 0.5), torch.eye(64)
    found = []
    for outside, seed in ((1, 0), (2, 0), (1, 3)):
        torch.manual_seed(outside)
        changed, same = augmentation([step], seed=seed)(images, targets)
        assert torch.equal(same, targets)
        found.append(changed)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert len(found[0].reshape(64, -1).unique(dim=0)) > 15


def test_a_killed_run_with_steps_of_one_s_own_ends_with_the_bytes_of_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0)
    monkeypatch.setitem(TRAININGS, "classifier", {**TRAININGS["classifier"], "augment": STEPS})
    whole = train("classifier", lambda epoch, logs: None, None)

    def die(epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise KilledError("killed")

    with pytest.raises(KilledError, match="killed"):
        train("classifier", die, kept(tmp_path))
    again: list[int] = []
    assert train("classifier", lambda epoch, logs: again.append(epoch), kept(tmp_path)) == whole
    assert 1 not in again


def test_check_says_what_is_wrong_once_and_ends_with_2(tmp_path: Path) -> None:
    path = study_with(tmp_path, "def stripe(width):\n    return lambda images, rng: images[:, :width]")
    done = cli_here("check", path, "--allow-code", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("arms.mine.augment.0.builder: my_steps.py, stripe: made") == 1
    assert len(done.stderr.splitlines()) == 1


def test_the_example_of_the_page_runs_and_its_source_is_on_a_page_as_text(tmp_path: Path) -> None:
    (tmp_path / "my_steps.py").write_text(EXAMPLE + "# <script>alert('{{ 7 * 7 }}')</script>\n", encoding="utf-8")
    (tmp_path / "my-study.yaml").write_text(STUDY, encoding="utf-8")
    small = ["--replicates", "1", "--set", "datasets.phantom-ultrasound.train=40", "--set", "classifier.epochs=2"]
    done = cli("run", "my-study.yaml", "--allow-code", "--workers", 1, *small, cwd=tmp_path)
    assert not done.returncode, done.stderr
    page = (tmp_path / "site" / "studies" / "my-step" / "models.html").read_text(encoding="utf-8")
    assert "<script>alert(" not in page
    assert "{{ 7 * 7 }}" in page
    assert page.count("at a row of its own") == 2  # the file of each function
    records = [file.read_text() for file in (tmp_path / "results").glob("classifier-*/record.json")]
    assert len(records) == 3
    assert not any("at a row of its own" in record for record in records)
    pages = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "docs").rglob("*.md"))
    assert json.dumps(EXAMPLE)[1:60] not in pages.replace("Models", "")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("most", [results.MANY_RUNS, 1])
def test_every_command_of_the_pages_allows_the_study_s_own_code_where_it_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, most: int
) -> None:
    monkeypatch.setattr(results, "MANY_RUNS", most)  # of runs with a page each
    step = {"layer": "python", "builder": "my_steps:stripe"} if own else {"layer": "sharpness"}
    study = fake_study(datasets=("breastmnist",), arms={"baseline": {}, "mine": {"augment": [step]}}, replicates=2)
    study = study.with_code({"my_steps:stripe": EXAMPLE} if own else {})
    plan, store = fake_results(study, tmp_path)
    some = leaking()
    audit = some.summary() | {"audit": data.audit(some)}
    pages = pages_of((study, plan, store, store.folder(plan.data["breastmnist"])), audit, None)
    text = "".join(content.decode() for name, content in pages.items() if name.endswith(".md"))
    commands = re.findall("python -m medaug_keras ([^<]*)<", text)
    assert {command.split()[0] for command in commands} == {"check", "reproduce"}
    assert {command.endswith(" --allow-code") for command in commands} == {own}
    assert ("read it first" in text) == own
    assert pages.get("data/my_steps.py") == (EXAMPLE.encode() if own else None)
    assert text.count('data/my_steps.py" download>') == (len(plan.runs) if most > 1 else 4) * own + own
