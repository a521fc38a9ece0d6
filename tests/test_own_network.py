"""A network of the user's own: when its code runs, what it must return, and what its key covers."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import medaug_keras as ma
from medaug_keras import classifiers, engine
from medaug_keras.cli import options, request
from medaug_keras.own_code import OwnCodeError
from medaug_keras.plan import Plan, plan
from medaug_keras.plan import Source as Known
from medaug_keras.reading import StudyError, read
from medaug_keras.store import Store
from studies import PROJECT, cli, cli_here, tiny, written

PAGE = (PROJECT / "docs" / "how-to" / "own-network.md").read_text(encoding="utf-8")
EXAMPLE, STUDY = (
    re.findall(rf"^```{word}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0] for word in ("python", "yaml")
)
NET = """
import keras
from keras import layers

def net(image_shape, num_outputs):
    image = keras.Input(image_shape)
    x = layers.Flatten()(layers.Conv2D(2, 3, 4)(image))
    {}
"""
PLAIN = NET.format("return keras.Model(image, layers.Dense(num_outputs)(x))")


VERBS = ("check", []), ("run", ["--no-site", "--workers", 1, "--quiet"])


def study_with(folder: Path, text: str | None = PLAIN, **changes: Any) -> Path:
    """A tiny study whose network is the function net of my_models.py."""
    if text is not None:
        (folder / "my_models.py").write_text(text, encoding="utf-8")
    classifier = {"kind": "python", "builder": "my_models:net", "epochs": 1, "batch_size": 16, **changes}
    return written(folder, tiny(classifier=classifier))


def planned(path: Path, **allowed: Any) -> Plan:
    return plan(read(path), {"grey": Known("bytes", 48, 16, 16)}, **allowed)


def keys(path: Path) -> list[str]:
    return [task.key for task in planned(path).tasks.values() if task.kind == "classifier"]


def built(text: str, function: str = "net", **changes: Any) -> keras.Model:
    settings = {"image_shape": (8, 8, 1), "num_classes": 3, "head": "softmax", "seed": 0} | changes
    return classifiers.build("python", builder=f"my_models:{function}", source=text, **settings)


# --- when code runs --------------------------------------------------------------------------------


def test_code_runs_only_where_the_command_allows_it(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    path = study_with(tmp_path, f"open({str(mark)!r}, 'w').close()\n{PLAIN}")
    for verb in ("run", "reproduce"):
        words = [verb, path, *(["grey/baseline/shuffle/0"] if verb == "reproduce" else [])]
        refused = cli_here(*words, cwd=tmp_path)
        assert refused.returncode == 2
        assert "my_models.py" in refused.stderr
        assert "--allow-code" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert not (tmp_path / "results").exists()
    assert not cli_here("plan", path, cwd=tmp_path).returncode
    assert not mark.exists()
    assert not cli_here("check", path, "--allow-code", cwd=tmp_path).returncode
    assert mark.exists()


@pytest.mark.parametrize("extra", [[], ["--allow-code"]])
def test_check_and_run_refuse_own_code_in_the_same_words_or_neither_does(tmp_path: Path, extra: list[str]) -> None:
    path = study_with(tmp_path)
    checked, ran = (cli_here(verb, path, *extra, *more, cwd=tmp_path) for verb, more in VERBS)
    assert checked.returncode == ran.returncode == (0 if extra else 2)
    if not extra:
        assert checked.stderr == ran.stderr
        assert checked.stderr.startswith(f"{path}: classifier.builder: the function net of my_models.py is Python code")
        assert "a run would refuse it; 1 thing is to be mended." in checked.stdout


def test_who_refuses_or_plans_own_code_names_every_function_of_it_once(tmp_path: Path) -> None:
    (tmp_path / "my_models.py").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "my_steps.py").write_text("def wave():\n    return lambda images, rng: images\n", encoding="utf-8")
    step = {"layer": "python", "builder": "my_steps:wave"}
    arms = {"baseline": {}, "one": {"augment": [step]}, "two": {"augment": [step, {"layer": "MixUp"}]}}
    classifier = {"kind": "python", "builder": "my_models:net", "epochs": 1, "batch_size": 16}
    path = written(tmp_path, tiny(classifier=classifier, arms=arms))
    of_both = "the functions net of my_models.py and wave of my_steps.py are Python code"
    refused = cli_here("run", path, cwd=tmp_path).stderr
    assert refused.count(of_both) == 1
    assert len(refused.splitlines()) == 1
    assert f"To run it, add --allow-code: {of_both}.\n" in cli_here("plan", path, cwd=tmp_path).stdout
    assert "add --allow-code" not in cli_here("plan", path, "--allow-code", cwd=tmp_path).stdout


def test_check_looks_at_the_data_even_where_own_code_is_not_allowed(tmp_path: Path) -> None:
    path = study_with(tmp_path)
    gone = ["--set", "datasets.mine={kind: npz, path: gone.npz}"]
    said = cli_here("check", path, *gone, cwd=tmp_path).stderr
    assert "datasets.mine: " in said
    assert "--allow-code" in said


def test_a_task_carries_the_text_only_where_it_is_allowed_and_its_key_is_the_same(tmp_path: Path) -> None:
    path = study_with(tmp_path)
    without, allowed = planned(path), planned(path, allow_code=True)
    assert without.tasks.keys() == allowed.tasks.keys()
    texts = [
        [task.params["settings"]["source"] for task in one.tasks.values() if task.kind == "classifier"]
        for one in (without, allowed)
    ]
    assert texts == [[None, None], [PLAIN, PLAIN]]


def test_a_worker_runs_no_code_that_its_task_does_not_carry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    _, whole, _ = request.planned(options.parser().parse_args(["plan", str(study_with(tmp_path))]))
    store = Store(tmp_path / "results")
    data, task, *_ = whole.tasks.values()
    assert engine.attempt(data, store, lambda what, content: None)[0] == "done"
    what, failure = engine.attempt(task, store, lambda what, content: None)
    assert what == "failed"
    assert "my_models.py, net: " in failure.error
    assert "--allow-code" in failure.error


def test_the_file_is_the_one_beside_the_study_whatever_python_would_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "my_models.py").write_text("def net(): pass")
    monkeypatch.chdir(other)
    monkeypatch.syspath_prepend(other)
    assert read(study_with(tmp_path)).code == {"my_models:net": PLAIN}
    (tmp_path / "keras.py").write_text(PLAIN)
    path = study_with(tmp_path, builder="keras:net")
    assert built(read(path).code["keras:net"], "net").get_layer("logits") is not None
    assert sys.modules["keras"] is keras


# --- the key ---------------------------------------------------------------------------------------


def test_another_text_makes_other_keys_and_another_place_or_name_of_the_file_does_not(tmp_path: Path) -> None:
    first = keys(study_with(tmp_path))
    assert keys(study_with(tmp_path, PLAIN + "# a comment\n")) != first
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "others.py").write_text(PLAIN)
    assert keys(study_with(moved, None, builder="others:net")) == first
    renamed = PLAIN.replace("def net", "def other")
    assert keys(study_with(tmp_path, renamed, builder="my_models:other")) != first


# --- what is wrong with a file, told without running it --------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("def nett(image_shape, num_outputs): pass", "has no function net; did you mean nett?"),
        ("def net(:", "line 1: Python cannot read this"),
        ("net\0 = 1", "Python cannot read this"),
        ("#" * 300_000, "larger than"),
    ],
)
def test_a_file_that_cannot_be_meant_is_a_mistake_of_the_study(tmp_path: Path, text: str | None, said: str) -> None:
    with pytest.raises(StudyError, match=r"my_models\.py") as error:
        read(study_with(tmp_path, text))
    ((place, message),) = error.value.mistakes
    assert place.line is not None
    assert said in message


@pytest.mark.parametrize("builder", ["my_models", "my_models.py:net", "../my_models:net", "a.b:net", ":net"])
def test_a_builder_is_a_file_of_the_folder_and_a_function(tmp_path: Path, builder: str) -> None:
    with pytest.raises(StudyError, match=r"classifier\.builder"):
        read(study_with(tmp_path, builder=builder))


# --- what the function returns ---------------------------------------------------------------------

SUBCLASSED = """
import keras
class Mine(keras.Model):
    def call(self, x):
        return x
def net(image_shape, num_outputs):
    return Mine()
"""
OWN_LAYER = """
import keras
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
def net(image_shape, num_outputs):
    image = keras.Input(image_shape)
    return keras.Model(image, keras.layers.Dense(num_outputs)(keras.layers.Flatten()(Twice()(image))))
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SUBCLASSED, "returned a class of its own, Mine"),
        (OWN_LAYER, "is a Twice, which a saved file cannot hold"),
        ("net = 3", "has no function net"),
        ("def net(image_shape, num_outputs): return None", "returned a NoneType; it must return keras.Model"),
        ("def net(image_shape): return None", "unexpected keyword argument 'num_outputs'"),
        ("def net(image_shape, num_outputs):\n    return 1 / 0", "line 2: ZeroDivisionError: division by zero"),
        ("import sys\ndef net(image_shape, num_outputs):\n    sys.exit(3)", "line 3: SystemExit: 3"),
        ("import nowhere\nnet = nowhere.net", "line 1: ModuleNotFoundError"),
        (
            NET.format("return keras.Model(image, layers.Dense(7)(x))"),
            r"has shape \(7,\); it must have num_outputs, \(3,\)",
        ),
        (NET.format("return keras.Model(image, [layers.Dense(num_outputs)(x)] * 2)"), "1 input and 2 outputs"),
        (
            NET.format("y = keras.Input((3,)); return keras.Model([image, y], layers.Dense(num_outputs)(x))"),
            "2 inputs and 1 output;",
        ),
        (NET.format("return keras.Model(image, layers.Dense(num_outputs, 'softmax')(x))"), "ends with softmax"),
        (
            NET.format("return keras.Model(image, layers.Softmax()(layers.Dense(num_outputs)(x)))"),
            "ends with a Softmax",
        ),
        (NET.format("return keras.Sequential([layers.Flatten(), layers.Dense(num_outputs)])"), "no shapes yet"),
        (
            "import keras\ndef net(image_shape, num_outputs):\n    return keras.Sequential([keras.Input((9, 9, 1)), "
            "keras.layers.Flatten(), keras.layers.Dense(num_outputs)])",
            r"takes \(9, 9, 1\); it must take image_shape, \(8, 8, 1\)",
        ),
        (
            NET.format("x = layers.Lambda(lambda x: x)(x); return keras.Model(image, layers.Dense(num_outputs)(x))"),
            "a Lambda",
        ),
        (
            NET.format("x = layers.Dense(4, lambda x: x)(x); return keras.Model(image, layers.Dense(num_outputs)(x))"),
            "cannot be saved and loaded",
        ),
        (
            "@__import__('keras').saving.register_keras_serializable()\ndef mine(x):\n    return x\n"
            + NET.format("x = layers.Dense(4, mine)(x); return keras.Model(image, layers.Dense(num_outputs)(x))"),
            "cannot be saved and loaded",
        ),
        (
            NET.format("x = layers.ReLU(name='logits')(x); return keras.Model(image, layers.Dense(num_outputs)(x))"),
            "is a name of ours",
        ),
    ],
)
def test_a_function_that_makes_no_classifier_is_named_with_its_file_in_one_message(text: str, said: str) -> None:
    with pytest.raises(OwnCodeError, match=said) as error:
        built(text)
    assert re.match(r"my_models\.py(, | has no function )net", str(error.value))
    assert len(str(error.value).splitlines()) == 1


def test_check_says_what_is_wrong_once_and_ends_with_2(tmp_path: Path) -> None:
    path = study_with(tmp_path, NET.format("return keras.Model(image, layers.Dense(7)(x))"))
    done = cli_here("check", path, "--allow-code", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("my_models.py, net: ") == len(done.stderr.splitlines()) == 1


def test_a_failure_of_the_user_s_code_has_no_traceback_of_this_program(tmp_path: Path) -> None:
    path = study_with(tmp_path, "def net(image_shape, num_outputs):\n    raise KeyError('heads')")
    done = cli("run", path, "--allow-code", "--no-site", "--workers", 1, cwd=tmp_path)
    assert done.returncode == 1
    (failure,) = {json.loads(file.read_bytes())["details"] for file in (tmp_path / "results/failures").glob("*.json")}
    assert failure == "OwnCodeError: my_models.py, net, line 2: KeyError: 'heads'"
    assert "Traceback" not in done.stderr + done.stdout


# --- the network -----------------------------------------------------------------------------------


def test_a_network_has_the_same_layers_and_weights_whatever_was_built_before() -> None:
    text = NET.format(
        "inner = keras.Sequential([keras.Input(x.shape[1:]), layers.Dense(4), layers.ReLU()]); "
        "x = keras.ops.maximum(layers.Dropout(0.5)(inner(x)), 0.1); "
        "return keras.Model(image, layers.Dense(num_outputs)(x))"
    )
    first, again = built(text), built(text)
    assert [layer.name for layer in first.layers] == [layer.name for layer in again.layers]
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    expected = first(images.astype("float32") / 127.5 - 1).cpu().detach().numpy()
    probabilities = classifiers.predict(again, images, head="softmax")
    np.testing.assert_allclose(probabilities, keras.ops.convert_to_numpy(keras.ops.softmax(expected)), atol=1e-5)


def test_a_layer_that_is_used_twice_has_its_weights_once() -> None:
    text = NET.format(
        "layer = layers.Dense(x.shape[-1], use_bias=False, name='both'); "
        "return keras.Model(image, layers.Dense(num_outputs)(layer(layer(x))))"
    )
    model = built(text)
    assert [layer.name for layer in model.layers].count("both") == 1
    assert sum("both" in weight.path for weight in model.weights) == 1


def test_weights_that_the_function_sets_stay_and_the_image_is_prepared_before(tmp_path: Path) -> None:
    text = NET.format(
        "last = layers.Dense(num_outputs, kernel_initializer='zeros'); y = last(x); "
        "last.set_weights([last.get_weights()[0] + 5, last.get_weights()[1] + [1, 2, 3]]); "
        "return keras.Model(image, y)"
    )
    model = built(text, input={"size": 12, "resize": "nearest", "channels": "rgb", "normalise": "none"})
    kernel, bias = model.get_layer("logits").get_weights()
    assert np.all(kernel == 5)
    np.testing.assert_array_equal(bias, [1, 2, 3])
    assert model.get_layer("logits").input.shape == (None, 3 * 3 * 2)  # of 12 x 12 pixels, three at a time


def test_the_example_of_the_page_runs_and_its_source_is_on_a_page_as_text(tmp_path: Path) -> None:
    secret = "# <script>alert('{{ 7 * 7 }}')</script>\n\n    \n# `" + "`" * 3 + "\n"
    (tmp_path / "my_models.py").write_text(EXAMPLE + secret, encoding="utf-8")
    (tmp_path / "my-study.yaml").write_text(STUDY, encoding="utf-8")
    small = ["--replicates", "1", "--set", "datasets.phantom-ultrasound.train=40", "--set", "classifier.epochs=2"]
    done = cli("run", "my-study.yaml", "--allow-code", "--workers", 1, *small, cwd=tmp_path)
    assert not done.returncode, done.stderr
    page = (tmp_path / "site" / "studies" / "my-network" / "models.html").read_text(encoding="utf-8")
    assert "<script>alert(" not in page
    assert "&lt;script&gt;alert(" in page
    assert "{{ 7 * 7 }}" in page
    assert "SeparableConv2D(16, 3, padding=" in page
    pages = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "docs").rglob("*.md"))
    pages += (tmp_path / "docs/studies/my-network/data/study.yaml").read_text(encoding="utf-8")
    assert str(tmp_path) not in pages
    record = next((tmp_path / "results").glob("classifier-*/record.json")).read_text()
    assert "SeparableConv2D(16" not in record
    there = tmp_path / "site" / "studies" / "my-network"
    run = (there / "runs" / "phantom-ultrasound.flips.shuffle.0.html").read_text(encoding="utf-8")
    (command,) = re.findall(r"python -m medaug_keras (reproduce [^<]*)", run)
    again = command.split()
    assert cli_here(*[word for word in again if word != "--allow-code"], cwd=tmp_path).returncode == 2
    (tmp_path / "my_models.py").unlink()  # the results folder knows the text that made them
    same = cli(*again, "--workers", 1, cwd=tmp_path)
    assert not same.returncode, same.stdout + same.stderr
    assert "Identical" in same.stdout
    opened = ma.open("my-network", results=tmp_path / "results")
    assert set(opened.runs()["status"]) == {"done"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for href in re.findall(r'href="../(data/[^"]*)" download', run):
        (elsewhere / Path(href).name).write_bytes((there / href).read_bytes())
    assert sorted(file.name for file in elsewhere.iterdir()) == ["my_models.py", "study.yaml"]
    anew = read(elsewhere / "study.yaml")
    assert list(anew.code.values()) == [EXAMPLE + secret]
    assert not cli_here("check", "study.yaml", "--allow-code", cwd=elsewhere).returncode
