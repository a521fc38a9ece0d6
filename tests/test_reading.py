"""YAML → Study: traps of YAML, merging, overrides, rules between sections, the schema and the reference page."""

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from medaug_keras import spec
from medaug_keras.reading import StudyError, _merged, read, schema, strict_yaml
from medaug_keras.reading.strict_yaml import Place, compose_value, plain, scalar

ROOT = Path(__file__).parent.parent
SHIPPED = [ROOT / "study.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]
SMALL = """\
name: small
title: A small study
question: Is it read?
datasets:
  breastmnist: {kind: medmnist}
classifier:
  epochs: 3
generators:
  cvae:
    kind: cvae
    epochs: 4
  jvae: {kind: joint_vae}
arms:
  baseline: {}
  flip: {augment: [{layer: horizontal_flip}]}
  cvae: {add: {generator: cvae, amount: {fraction: 0.5, fractions: {breastmnist: 0.25}}}}
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = SMALL, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def mistakes(path: Path, **options: Any) -> str:
    """The message, with the folder of the study taken out."""
    with pytest.raises(StudyError, match=re.escape(str(path))) as caught:
        read(path, **options)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_a_message_names_the_study_also_where_its_data_sets_have_paths_and_something_else_is_wrong(study_file) -> None:
    text = SMALL.replace("{kind: medmnist}", "{kind: npz, path: images.npz}").replace(
        "  epochs: 3", "  epochs: 3\n  weights: none.keras"
    )
    assert mistakes(study_file(text)).startswith("study.yaml is not a study (1 mistake):\n  study.yaml:8: ")


# --- shipped studies -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_study_is_one_and_names_its_schema(path: Path) -> None:
    assert read(path) == read(path)
    first = path.read_text().splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert named, first
    assert (path.parent / named[1]).resolve() == ROOT / "docs/reference/study.schema.json"


def test_the_papers_study_has_the_papers_grid() -> None:
    study = read(ROOT / "study.yaml")
    assert list(study.arms) == ["baseline", "gda", "cvae", "jvae", "cgan", "duplicate"]
    assert study.samplings == ("shuffle", "weighted")
    assert len(study.datasets) == 8
    assert study.replicates == 5
    assert study.paper


def test_the_papers_study_states_every_setting() -> None:
    """A default that changes later must not change the paper's study, and a reader sees all values in one place."""
    study = read(ROOT / "study.yaml")
    for part in [study.classifier, study.classifier.optimizer, study.baseline, study.quality]:
        assert part.model_fields_set == set(type(part).model_fields)
    for generator in study.generators.values():
        assert generator.model_fields_set == set(type(generator).model_fields)
        assert generator.optimizer.model_fields_set == set(type(generator.optimizer).model_fields)
    for step in study.arms["gda"].augment:
        assert step.model_fields_set == set(type(step).model_fields)
    for arm in ("cvae", "cgan", "duplicate"):
        source = study.arms[arm].add or study.arms[arm].duplicate
        assert source is not None
        assert source.amount.model_fields_set == set(spec.Amount.model_fields) - {"images"}


def test_the_defaults_are_the_papers_study() -> None:
    study = read(ROOT / "study.yaml")
    assert study.classifier == spec.Cnn(select=spec.FOLLOWS["accuracy"])
    assert study.generators["cvae"] == spec.Cvae(kind="cvae")
    assert study.generators["jvae"] == spec.JointVae(kind="joint_vae")
    assert study.generators["cgan"] == spec.Cgan(kind="cgan")


def test_the_papers_studies_are_about_accuracy_and_all_others_that_are_shipped_say_what_they_are_about() -> None:
    for path in (ROOT / "study.yaml", *(ROOT / "studies").glob("*.yaml")):
        assert re.search(r"^primary: ", path.read_text(), re.MULTILINE), path
    assert read(ROOT / "study.yaml").primary == read(ROOT / "studies/as-published.yaml").primary == "accuracy"


@pytest.mark.parametrize("primary", spec.FOLLOWS)
def test_the_epoch_shown_follows_the_primary_metric_unless_a_study_says_which(primary: Any) -> None:
    study = read(ROOT / "studies/demo.yaml", overrides=[f"primary={primary}"])
    assert study.select == spec.FOLLOWS[primary]
    said = read(ROOT / "studies/demo.yaml", overrides=[f"primary={primary}", "classifier.select=last"])
    assert said.select == "last"


def test_as_published_differs_from_the_paper_in_the_named_settings_only() -> None:
    stated = spec.dump(read(ROOT / "study.yaml"))
    published = spec.dump(read(ROOT / "studies/as-published.yaml"))
    differences = set()

    def compare(one: Any, other: Any, path: str) -> None:
        if isinstance(one, dict) and isinstance(other, dict):
            for key in one.keys() | other.keys():
                compare(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
        elif one != other:
            differences.add(path)

    compare(stated, published, "")
    dropped = {"pathmnist", "dermamnist", "octmnist", "organamnist", "organcmnist", "organsmnist"}
    assert differences == {
        "name",
        "title",
        "question",
        "beside",
        *(f"datasets.{name}" for name in dropped),
        "classifier.select",
        "generators.cvae.keep",
        "generators.jvae.keep",
        "arms.baseline.always_weighted",
        "arms.gda.always_weighted",
        *(f"arms.{arm}.add.amount.{key}" for arm in ("cvae", "cgan") for key in ("class_order", "draw")),
        "arms.jvae.interleave.mode",
        "arms.duplicate",
    }


def test_a_study_is_read_in_a_moment_without_keras_or_torch() -> None:
    script = (
        "import sys; from pathlib import Path; from medaug_keras.reading import read; "
        f"read(Path({str(ROOT / 'study.yaml')!r})); "
        "print(sorted({'keras', 'torch', 'numpy', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3  # 0.25 s of processor time alone


def test_a_study_of_ten_thousand_tasks_is_read_within_a_second(study_file: Callable[..., Path]) -> None:
    arm = "  a{0}: {{add: {{generator: cvae, amount: {{images: {0}}}}}, augment: [{{layer: hue}}]}}\n"
    path = study_file(SMALL.replace("arms:\n", "arms:\n" + "".join(arm.format(i) for i in range(1, 2001))))
    started = time.process_time()
    study = read(path)
    assert len(study.arms) == 2003  # times a data set, two samplings, synthesis and quality
    assert time.process_time() - started < 1  # 0.2 s alone; the rest is for a busy machine


# --- YAML's surprises ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        *(
            (text, text)
            for text in (
                *("no", "yes", "on", "off", "No", "True", "FALSE", "Null", "NULL", "y", "n"),
                *("010", "0x10", "0o10", "0b1", "1_000", "10:30", "1:2:3", "2026-01-31", "2026-01-31 10:00:00"),
                *(".nan", ".inf", "-.inf", "nan", "1e999", "-1e999", "9" * 400, "9007199254740993", "=", "1.2.3", "."),
            )
        ),
    ],
)
def test_a_plain_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)
    if text != "=":
        assert plain(compose_value(f"[{text}]" if text else "[~]", Place("x"))) == [value]


def test_minus_zero_is_zero_so_that_it_makes_no_other_key() -> None:
    assert json.dumps([scalar("-0.0"), scalar("-0")]) == "[0.0, 0]"


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_every_number_that_python_writes_is_read_back(number: float) -> None:
    assert scalar(repr(number)) == number


@given(st.text())
def test_quoted_text_stays_text(text: str) -> None:
    quoted = json.dumps(text, ensure_ascii=False)
    if strict_yaml._UNPRINTABLE.search(text):
        with pytest.raises(strict_yaml.YamlError, match="cannot be printed"):
            compose_value(quoted, Place("x"))
    else:
        assert plain(compose_value(quoted, Place("x"))) == text


@pytest.mark.parametrize("number", ["010", "0x10", "10:30", "1_000", "ten", "'5'", "1e3", ".nan", "5%", "true", "[1]"])
def test_a_number_field_refuses_what_is_no_number_and_says_what_it_got(
    number: str, study_file: Callable[..., Path]
) -> None:
    message = mistakes(study_file(SMALL.replace("epochs: 3", f"epochs: {number}")))
    assert message.startswith("study.yaml is not a study (1 mistake):\n  study.yaml:7: classifier.epochs: Input should")
    assert ", got " in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("epochs: 3", "epochs: 010"), "got '010'; write 10"),
        (("name: small", "name:small"), "study.yaml:1: is not YAML: put a space after the colon: name: \\.\\.\\.$"),
        (
            ("epochs: 3", "epochs:3\n  batch_size: 4"),
            "study.yaml:7: is not YAML: put a space after the colon: epochs: ",
        ),
        (
            ("epochs: 3", "epochs:3"),
            "study.yaml:6: classifier: .*got 'epochs:3'; put a space after the colon: epochs: ",
        ),
        (("kind: medmnist", "kind:medmnist"), "study.yaml:5: put a space after the colon: kind: "),
        (("augment: [", "augment:["), "study.yaml:15: .*put a space after the colon: augment: "),
        (
            ("title: A", "title： A"),
            r"study.yaml:2: is not YAML: holds U\+FF1A \(fullwidth colon\), .*: write : for it",
        ),
        (
            ("epochs: 3", "epochs： 3"),
            r"study.yaml:7: .*holds U\+FF1A|study.yaml:6: classifier: Input .*got 'epochs： 3'",
        ),
        (("[{layer", "［{layer"), r"study.yaml:15: .*holds U\+FF3B .*: write \[ for it"),
        (
            ("  epochs: 3", "\u00a0 epochs: 3"),
            r"study.yaml:7: .*holds U\+00A0 \(no-break space\), which looks like a space",
        ),
        (("epochs: 3", "epochs:\u00a03"), r"study.yaml:[67]: .*(U\+00A0|put a space after the colon)"),
        (("epochs: 3", "epochs: 3\u200b"), r"study.yaml:7: holds U\+200B \(zero width space\)"),
        (("epochs: 3", "ep\u200dochs: 3"), r"study.yaml:7: holds U\+200D \(zero width joiner\)"),
        (("epochs: 3", "head: soft\u200bmax"), r"got 'soft<U\+200B>max'; did you mean softmax"),
        (("name: small", "name: small\u3000"), r"study.yaml:1: holds U\+3000 \(ideographic space\)"),
        (
            ("{kind: medmnist}", '{kind: npz, path: "C:\\Users\\me"}'),
            r"study.yaml:5: is not YAML: .*use single quotes, as in 'C:",
        ),
        (("{kind: medmnist}", '{kind: npz, path: "C:\\temp\\me"}'), "study.yaml:5: .*use single quotes"),
        (("{kind: medmnist}", '{kind: npz, path: "C:\\temp"}'), "study.yaml:5: a backslash in double quotes begins an"),
        (("{kind: medmnist}", "medmnist"), "datasets.breastmnist: .*settings, got 'medmnist'; write {kind: medmnist}"),
        (
            ("[{layer: horizontal_flip}]", "horizontal_flip"),
            r"got 'horizontal_flip'; write \[{layer: horizontal_flip}\]",
        ),
        (("[{layer: horizontal_flip}]", "[horizontal_flip]"), "augment.0: .*; write {layer: horizontal_flip}"),
        (("[{layer: horizontal_flip}]", "hflip"), r"got 'hflip'; write \[{layer: \.\.\.}\] with one of sharpness, "),
        (("[{layer: horizontal_flip}]", "{layer: hue}"), "got a mapping; it is a list: put .* around it"),
        (
            ("{layer: horizontal_flip}", "{layer: RandomShear, x: 0.2}"),
            r"study.yaml:15: arms.flip.augment.0.x: not a setting; did you mean",
        ),
        (
            ("{layer: horizontal_flip}", "{layer: RandomShear, angle: 0.2}"),
            r"study.yaml:15: .*angle: not a setting; choose from fill_mode, fill_value, .*x_factor, y_factor",
        ),
        (("{layer: horizontal_flip}", "{layer: RandomShear}"), "needs x_factor or y_factor above 0"),
        (("{layer: horizontal_flip}", "{layer: RandomZoom, height_factor: 0.1}"), "takes factor, or height_factor and"),
        (("horizontal_flip", "AugMix"), "study.yaml:15: .*Keras's AugMix cannot be used: .* use augmix"),
        (("horizontal_flip", "RandomCrop"), "Keras's RandomCrop cannot be used: it changes the size .* use crop"),
        (
            ("{layer: horizontal_flip}", "{layer: RandomRotation, factor: 15}"),
            "got 15. .*in full turns: 15 degrees are 0.042",
        ),
        (("epochs: 3", "epochs: 1_000"), "got '1_000'; write 1000"),
        (("epochs: 3", "epochs: '5'"), "got '5'; write it without quotes"),
        (("epochs: 3", "epochs: 0x1F"), "got '0x1F'; write 31"),
        (("epochs: 3", "epochs: 2.0"), "got 2.0; write 2"),
        (("epochs: 3", "epochs: 99999999999999999999"), "write a finite number, at most 2\\*\\*53"),
        (("fraction: 0.5", "fraction: 5%"), "got '5%'; write 0.05"),
        (("fraction: 0.5", "fraction: .nan"), "got '.nan'; write a finite number"),
        (("title: A small study", "title: 2026"), "study.yaml:2: title: .*got 2026; put text in quotes"),
        (("name: small", "name: no\npaper: yes"), "paper: .*got 'yes'; write true, without quotes"),
        (("epochs: 3", "epoch: 3"), "study.yaml:7: classifier.epoch: not a setting; did you mean epochs"),
        (("    epochs: 4", "    latnt_dim: 4"), "study.yaml:11: generators.cvae.latnt_dim: .*mean latent_dim"),
        (("kind: cvae", "kind: cvea"), "study.yaml:10: generators.cvae.kind: got 'cvea'; did you mean cvae"),
        (
            ("    kind: cvae\n", ""),
            "study.yaml:9: generators.cvae.kind: is missing; choose from cvae, joint_vae, cgan",
        ),
        (
            ("kind: cvae\n", "kind: flow\n    images: 100\n"),
            "has 1 batches of 64 in 100 images, fewer than its 4 epochs",
        ),
        (("{kind: medmnist}", "{}"), "study.yaml:5: datasets.breastmnist.kind: is missing; choose from medmnist"),
        (("horizontal_flip", "flip"), "study.yaml:15: arms.flip.augment.0.layer: got 'flip'; did you mean"),
        (
            ("epochs: 3", "head: softmx"),
            "classifier.head: .*'softmax' or 'sigmoid', got 'softmx'; did you mean softmax",
        ),
        (("baseline: {}", "baseline:"), "arms.baseline: Input should be a mapping .* got nothing; write baseline: {}"),
        (("question: Is it read?\n", ""), "study.yaml:1: question: is missing; add it: One sentence"),
        (("  flip:", "  Flip:"), "study.yaml:15: arms.Flip: a name has lower-case letters"),
        (("name: small", "samplings: shuffle\nname: small"), r"samplings: .*got 'shuffle'; write \[shuffle\]"),
        (("name: small", "extend: a.yaml\nname: small"), "study.yaml:1: extend: not a setting; did you mean extends"),
        (("add: {", "interleave: {generator: jvae}, add: {"), "arms.cvae: has add and interleave; an arm takes one"),
        (("kind: joint_vae", "kind: cgan, patience: 3"), "generators.jvae.patience: Input should be null, got 3"),
        (("epochs: 3", "epochs: 3\n  epochs: 4"), "study.yaml:8: epochs: a key that stands in .*study.yaml:7 too"),
        (("epochs: 3", "epochs: !!int 3"), "study.yaml:7: the tag tag:yaml.org,2002:int is not allowed"),
        (("epochs: 3", "epochs: !!python/name:os.system x"), "study.yaml:7: the tag .* is not allowed"),
        (("  epochs: 3", "\tepochs: 3"), "study.yaml:7: is not YAML: .*indent with spaces, not tabs"),
        (("A small study", "A study: small"), "study.yaml:2: is not YAML: .*in quotes"),
        (("A small study", "*nothing"), "study.yaml:2: there is no &nothing above"),
        (("baseline: {}", "baseline: &b {augment: [*b]}"), r"study.yaml:14: \*b stands inside what &b names"),
        (("baseline: {}", "baseline: &b {}\n  other: &b {}"), "study.yaml:15: &b names something above already"),
        (("baseline: {}", "? [a, b]\n  : {}"), "study.yaml:14: a key is plain text"),
        (("arms:", "---\narms:"), "study.yaml:13: begins a second document"),
        (("A small study", '"a\\0b"'), "study.yaml:2: holds U.0000, which cannot be printed"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_how_to_mend_it(
    change: tuple[str, str], says: str, study_file: Callable[..., Path]
) -> None:
    assert change[0] in SMALL
    said = mistakes(study_file(SMALL.replace(*change, 1)))
    assert re.search(says, said), said


def test_all_mistakes_are_said_at_once_sorted_by_line(study_file: Callable[..., Path]) -> None:
    text = (
        SMALL.replace("epochs: 3", "epochs: ten")
        .replace("epochs: 4", "epochz: 4")
        .replace("generator: cvae", "generator: cave")
    )
    lines = mistakes(study_file(text)).splitlines()
    assert lines[0] == "study.yaml is not a study (3 mistakes):"
    assert [line.split(": ")[0:2] for line in lines[1:]] == [
        ["  study.yaml:7", "classifier.epochs"],
        ["  study.yaml:11", "generators.cvae.epochz"],
        ["  study.yaml:16", "arms.cvae.add.generator"],
    ]


def test_thousands_of_mistakes_are_counted_not_printed(study_file: Callable[..., Path]) -> None:
    message = mistakes(study_file(SMALL + "".join(f"x{i}: 1\n" for i in range(5_000))))
    assert "(5,000 mistakes)" in message
    assert len(message.splitlines()) < 60


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "study.yaml:1: is empty"),
        (b"# only a comment\n", "study.yaml:1: is empty"),
        (b"- a\n- b\n", "study.yaml:1: a study is a mapping"),
        (b"\n\njust text\n", "study.yaml:3: a study is a mapping"),
        (SMALL.encode("utf-16"), "study.yaml:1: is UTF-16"),
        (SMALL.encode("utf-16-le"), "study.yaml:1: the character U.0000 cannot be printed"),
        (SMALL.replace("small study", "sm\xe5ll").encode("latin-1"), "study.yaml:2: byte 0xe5 is not UTF-8"),
        (SMALL.replace("small study", "sm\x07ll").encode(), "study.yaml:2: the character U.0007 cannot be printed"),
        (SMALL.replace("small study", "sm\u2028ll").encode(), "study.yaml:2: the character U.2028"),
        (b"x" * 1_000_001, "study.yaml:1: is larger than 1,000,000 bytes"),
        (b"<!DOCTYPE html>\n<html></html>\n", "study.yaml:1: is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "study.yaml:1: is a git-lfs pointer"),
        (b"PK\x03\x04\x14\x00", "study.yaml:1: is a zip file"),
        (b"\x89PNG\r\n\x1a\n\x00", "study.yaml:1: is a PNG image"),
    ],
)
def test_a_file_that_is_no_text_is_refused(raw: bytes, says: str, study_file: Callable[..., Path]) -> None:
    path = study_file("")
    path.write_bytes(raw)
    assert re.search(says, mistakes(path))


def test_a_byte_order_mark_and_windows_line_ends_are_harmless(study_file: Callable[..., Path]) -> None:
    plain_study = read(study_file(SMALL))
    path = study_file("")
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert read(path) == plain_study


def test_a_missing_file_a_folder_and_an_unreadable_name_are_named(tmp_path: Path) -> None:
    assert "nosuch.yaml:1: cannot be read: No such file" in mistakes(tmp_path / "nosuch.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert "folder.yaml:1: cannot be read: Is a directory; name a file" in mistakes(tmp_path / "folder.yaml")
    (tmp_path / "loose.yaml").symlink_to("gone.yaml")
    assert mistakes(tmp_path / "loose.yaml").endswith("; it is a link to gone.yaml, which is not there")
    assert "cannot be read: File name too long" in mistakes(tmp_path / ("a" * 5000))


def test_advice_on_a_step_is_not_refused_in_turn(study_file: Callable[..., Path]) -> None:
    wrong = SMALL.replace("[{layer: horizontal_flip}]", "horizontal_flip")
    advice = mistakes(study_file(wrong)).rpartition("; write ")[2]
    assert read(study_file(wrong.replace("augment: horizontal_flip", f"augment: {advice}"))) == read(study_file())


@pytest.mark.parametrize("name", ["demo.yaml", "demo.yml", "demos.yaml", "demo"])
def test_a_study_in_the_folder_of_studies_is_proposed(tmp_path: Path, name: str, monkeypatch) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/demo.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    assert mistakes(Path(name)).endswith("; did you mean studies/demo.yaml?")


@pytest.mark.parametrize("style", [f"title: {mark}" for mark in ("a\u200db", "a\u00a0b", '"\u00a0a"', "2\u00a0%")])
def test_spaces_inside_of_text_are_the_users_own(style: str, study_file: Callable[..., Path]) -> None:
    assert read(study_file(SMALL.replace("title: A small study", style))).title


def test_the_two_parsers_of_yaml_give_the_same_studies(
    monkeypatch: pytest.MonkeyPatch, study_file: Callable[..., Path]
) -> None:
    with_libyaml = [read(path) for path in [*SHIPPED, study_file()]]
    monkeypatch.setattr(strict_yaml, "_LOADER", yaml.SafeLoader)
    assert [read(path) for path in [*SHIPPED, study_file()]] == with_libyaml


def test_anchors_aliases_and_merge_keys_mean_what_they_repeat(study_file: Callable[..., Path]) -> None:
    with_aliases = SMALL.replace(
        "baseline: {}", "baseline: &b {label: B}\n  c: *b\n  d: {<<: *b, label: D}\n  e: {<<: [{label: E}, *b]}"
    )
    written_out = SMALL.replace(
        "baseline: {}", "baseline: {label: B}\n  c: {label: B}\n  d: {label: D}\n  e: {label: E}"
    )
    assert read(study_file(with_aliases)) == read(study_file(written_out))


# --- extends ---------------------------------------------------------------------------------------

TREES = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), TREES, max_size=4)


def merge(base: dict[str, Any], over: dict[str, Any]) -> Any:
    place = Place("x", 1)
    return plain(_merged(compose_value(json.dumps(base), place), compose_value(json.dumps(over), place)))


@given(MAPPINGS, MAPPINGS, MAPPINGS)
def test_merging_is_associative_with_the_empty_study_as_its_unit(a: Any, b: Any, c: Any) -> None:
    assert merge(a, {}) == a == merge({}, a) == merge(a, a)
    # Where the middle one replaces a mapping by something else, the order of merging shows: it does for any deep merge.
    if _shapes_agree(a, b) and _shapes_agree(b, c) and _shapes_agree(a, c):
        assert merge(merge(a, b), c) == merge(a, merge(b, c))


def _shapes_agree(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return all(_shapes_agree(a[key], b[key]) for key in a.keys() & b.keys())
    return isinstance(a, dict) == isinstance(b, dict)


@given(MAPPINGS, MAPPINGS)
def test_what_an_extending_file_says_holds(a: Any, b: Any) -> None:
    def holds(said: Any, merged: Any) -> bool:
        if isinstance(said, dict) and isinstance(merged, dict):
            return all(holds(value, merged[key]) for key, value in said.items())
        return said == merged

    assert holds(b, merge(a, b))


def test_an_extending_file_changes_what_it_says_and_nothing_else(study_file: Callable[..., Path]) -> None:
    base = read(study_file())
    study_file(
        "extends: ../study.yaml\nname: other\nclassifier: {batch_size: 8}\narms: {flip: null, more: {}}\n", "a/b.yaml"
    )
    other = read(study_file("extends: a/b.yaml\ngenerators: {cvae: {latent_dim: 7}}\n", "top.yaml"))
    assert other.name == "other"
    assert other.classifier == base.classifier.model_copy(update={"batch_size": 8})
    assert list(other.arms) == ["baseline", "cvae", "more"]
    assert other.generators["cvae"] == base.generators["cvae"].model_copy(update={"latent_dim": 7})
    assert other.generators["jvae"] == base.generators["jvae"]


def test_a_section_of_another_kind_inherits_nothing(study_file: Callable[..., Path]) -> None:
    study_file()
    other = read(study_file("extends: study.yaml\ngenerators: {cvae: {kind: cgan, epochs: 9}}\n", "other.yaml"))
    assert other.generators["cvae"] == spec.Cgan(kind="cgan", epochs=9)


def test_null_drops_an_entry_of_names_and_is_a_value_elsewhere(study_file: Callable[..., Path]) -> None:
    study_file()
    text = """
extends: study.yaml
generators: {jvae: null, cvae: {patience: null}}
arms: {cvae: {add: {amount: {fractions: {breastmnist: null}}}}}
"""
    other = read(study_file(text, "other.yaml"))
    assert list(other.generators) == ["cvae"]
    assert other.generators["cvae"].patience is None
    assert other.arms["cvae"].add is not None
    assert other.arms["cvae"].add.amount.fractions == {}
    assert "arms.fliip: Input should be a mapping" in mistakes(
        study_file("extends: study.yaml\narms: {fliip: null}\n", "other.yaml")
    )


def test_mistakes_of_a_merged_study_are_named_in_the_file_that_made_them(study_file: Callable[..., Path]) -> None:
    study_file(SMALL.replace("epochs: 3", "epochs: ten"), "base.yaml")
    message = mistakes(study_file("extends: base.yaml\n\ngenerators:\n  cvae: {latent_dim: none}\n"))
    assert "base.yaml:7: classifier.epochs" in message
    assert "study.yaml:4: generators.cvae.latent_dim" in message


def test_extends_that_leads_nowhere_or_round_is_named_with_its_route(study_file: Callable[..., Path]) -> None:
    study_file("extends: c.yaml\n", "b.yaml")
    study_file("extends: ./b.yaml\n", "c.yaml")
    assert re.search(
        r"study.yaml:2: extends: no such file: \S*x.yaml", mistakes(study_file("name: a\nextends: x.yaml\n"))
    )
    assert "c.yaml:1: extends: goes round in a circle: study.yaml → b.yaml → c.yaml → b.yaml" in mistakes(
        study_file("extends: b.yaml\n")
    )
    assert "goes round in a circle" in mistakes(study_file("extends: study.yaml\n"))
    for wrong in ("3", "[b.yaml]", "null", "' '", "{}"):
        said = mistakes(study_file(f"extends: {wrong}\n"))
        assert "study.yaml:1: extends: takes the name of one study file" in said
    for i in range(20):
        study_file(f"extends: long{i + 1}.yaml\n", f"long{i}.yaml")
    assert "extends: more than 10 files" in mistakes(study_file("extends: long0.yaml\n"))


# --- overrides -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "change"),
    [
        (["classifier.epochs=2"], ("epochs: 3", "epochs: 2")),
        (["classifier={epochs: 2}"], ("epochs: 3", "epochs: 2")),
        (["classifier.epochs=1", "classifier.epochs=2"], ("epochs: 3", "epochs: 2")),
        (["arms.flip=null"], ("  flip: {augment: [{layer: horizontal_flip}]}\n", "")),
        (["arms.flip.augment=[]"], ("augment: [{layer: horizontal_flip}]", "")),
        (["title='a=b: c'"], ("title: A small study", "title: 'a=b: c'")),
        (["generators.jvae.kind=cgan"], ("kind: joint_vae", "kind: cgan")),
        (["generators.cvae.optimizer.learning_rate=1e-3"], ("", "")),
    ],
)
def test_an_override_equals_an_edited_file(
    overrides: list[str], change: tuple[str, str], study_file: Callable[..., Path]
) -> None:
    assert read(study_file(), overrides=overrides) == read(study_file(SMALL.replace(*change)))


@given(st.sampled_from(["classifier.epochs", "seed", "replicates", "generators.cvae.latent_dim"]), st.integers(1, 999))
def test_an_override_equals_an_extending_file(key: str, value: int) -> None:
    path = ROOT / "study.yaml"
    study: Any = read(path, overrides=[f"{key}={value}"])
    for name in key.split("."):
        study = study[name] if isinstance(study, dict) else getattr(study, name)
    assert study == value


def test_mistakes_of_overrides_are_named_by_the_option(study_file: Callable[..., Path]) -> None:
    message = mistakes(study_file(), overrides=["classifier.epochs=ten", "classifier={head: x}"], replicates=0)
    assert "  --set classifier.epochs=ten: Input should be a valid integer, got 'ten'\n" in message
    assert "  --set classifier={head: x}: classifier.head: Input should be" in message
    assert "  --replicates 0: Input should be greater than or equal to 1, got 0\n" in message
    message = mistakes(
        study_file(SMALL.replace("epochs: 3", "epochs: [")), overrides=["=3", "a..b=1", "epochs", "a=[", "extends=x"]
    )
    assert message.count("write KEY=VALUE") == 3
    assert "--set a=[: is not YAML" in message
    assert "--set extends=x: extends stands in a file" in message
    assert "study.yaml:9: is not YAML" in message
    assert "study.yaml:1: question: is missing" in mistakes(
        study_file(SMALL.replace("question: Is it read?\n", "")), overrides=["seed=1"]
    )


def test_replicates_and_unverified_copies_can_be_asked_for(study_file: Callable[..., Path]) -> None:
    study = read(study_file(), replicates=7, accept_unverified=True)
    assert study.replicates == 7
    assert study.datasets["breastmnist"] == spec.MedMnistData(kind="medmnist", accept_unverified=True)


def test_a_path_starts_at_the_folder_of_the_file_that_says_it(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = """\
  own: {kind: npz, path: x/a.npz}
  slides: {kind: folder, path: /abs}
  home: {kind: npz, path: ~/h.npz}
  listed: {kind: table, path: t.csv, image: i, label: l, split: {file: x/s.csv}, drop: d.csv}
generators:
"""
    study_file(SMALL.replace("classifier:\n  epochs: 3\ngenerators:\n", own), "deep/base.yaml")
    path = study_file("extends: deep/base.yaml\n")
    monkeypatch.setenv("HOME", "/home/somebody")

    def paths(study: spec.Study) -> dict[str, str]:
        named = {name: dict(spec.files(data)) for name, data in study.datasets.items()}
        return {".".join([name, *keys]): path for name, some in named.items() for keys, path in some.items()}

    assert paths(read(path)) == {
        "own.path": str(tmp_path / "deep/x/a.npz"),
        "slides.path": "/abs",
        "home.path": "/home/somebody/h.npz",
        "listed.path": str(tmp_path / "deep/t.csv"),
        "listed.split.file": str(tmp_path / "deep/x/s.csv"),
        "listed.drop": str(tmp_path / "deep/d.csv"),
    }
    monkeypatch.chdir(tmp_path)
    assert paths(read(path, overrides=["datasets.own.path=b.npz"]))["own.path"] == str(tmp_path / "b.npz")


# --- rules between sections ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("generator: cvae", "generator: cvea"),
            "16: arms.cvae.add.generator: there is no generator cvea; did you mean cvae",
        ),
        (("generator: cvae", "generator: jvae"), "jvae is a joint_vae; it makes new versions.*use interleave"),
        (("add: {generator: cvae,.*", "interleave: {generator: cvae}}"), "cvae is a cvae; it makes images of.*use add"),
        (
            ("fractions: {breastmnist", "fractions: {breast"),
            "fractions.breast: there is no data set breast; did you mean",
        ),
        (
            ("arms:", "baseline: {arm: base}\narms:"),
            "13: baseline.arm: there is no arm base to compare with; did you mean",
        ),
        (("arms:", "samplings: [shuffle, shuffle]\narms:"), "samplings: names a sampling twice"),
        (
            ("breastmnist: {kind: medmnist}", "a: {kind: folder, path: b, split: {column: part}}"),
            "5: datasets.a.split.column: is of a table, which a folder has not",
        ),
        (
            ("breastmnist: {kind: medmnist}", "a: {kind: folder, path: b, split: {train: 0.5, test: 0.5}}"),
            "5: datasets.a.split: needs all three fractions",
        ),
        (
            ("breastmnist: {kind: medmnist}", "a: {kind: folder, path: b, split: {train: 0.5, file: c}}"),
            "5: datasets.a.split: takes the fractions train, validation and test, or folds, or a column, or a file",
        ),
        (("arms:", "samplings: [weighted]\narms:"), "baseline.sampling: baseline is not trained with shuffle"),
        (("baseline: {}", "baseline: {samplings: [weighted]}"), "baseline.sampling: baseline is not trained with"),
        (("baseline: {}", "baseline: {samplings: []}"), "arms.baseline.samplings: names every sampling once"),
        (("arms:", "samplings: [shuffle]\narms:\n  x: {samplings: [weighted]}"), "weighted is not among the study's"),
        (
            ("  breastmnist: {", "  brestmnist: {"),
            "5: datasets.brestmnist: brestmnist is not a MedMNIST.*mean breastmnist",
        ),
        (
            ("breastmnist: {kind: medmnist}", "phantom: {kind: phantom}"),
            "phantom is not a phantom: say which with name",
        ),
        (
            ("breastmnist: {kind: medmnist}", "t: {kind: table, path: t, image: i, split: {column: s}}"),
            "datasets.t: takes label, the column with the class, or labels, a column for each finding",
        ),
        (
            (
                "breastmnist: {kind: medmnist}",
                "t: {kind: table, path: t, image: i, label: l, labels: [a, b], split: {column: s}}",
            ),
            "datasets.t: takes label, the column with the class, or labels",
        ),
        (
            (
                "breastmnist: {kind: medmnist}",
                "t: {kind: table, path: t, image: i, labels: [a, a], split: {column: s}}",
            ),
            "names a finding twice in labels",
        ),
        (
            (
                "breastmnist: {kind: medmnist}",
                "t: {kind: table, path: t, image: i, labels: [a, b], classes: [a, b], split: {column: s}}",
            ),
            "has labels, which name the findings: leave classes out",
        ),
        (
            ("breastmnist: {kind: medmnist}", "t: {kind: table, path: t, image: i, labels: [a, b], split: {folds: 5}}"),
            "has several findings an image, and such images are not cut into folds yet",
        ),
        (("breastmnist: {kind: medmnist}", "b: {kind: npz, path: x, classes: [a, a]}"), "two or more different names"),
    ],
)
def test_sections_that_contradict_each_other_are_named(
    change: tuple[str, str], says: str, study_file: Callable[..., Path]
) -> None:
    text = re.sub(re.escape(change[0]).replace(r"\.\*", ".*"), lambda _: change[1], SMALL, count=1)
    assert text != SMALL
    said = mistakes(study_file(text))
    assert re.search(says, said), said


def test_a_sigmoid_head_is_for_two_classes(study_file: Callable[..., Path]) -> None:
    sigmoid = ["classifier.head=sigmoid"]
    assert read(study_file(), overrides=sigmoid).classifier.head == "sigmoid"
    for more in (
        "datasets.pathmnist={kind: medmnist}",
        "datasets.phantom-histology={kind: phantom}",
        "datasets.own={kind: npz, path: x, classes: [a, b, c]}",
    ):
        said = mistakes(study_file(), overrides=[*sigmoid, more])
        assert "more than two classes, and classifier.head sigmoid is for two: use softmax" in said


def test_arms_that_ask_for_the_same_work_are_allowed(study_file: Callable[..., Path]) -> None:
    assert len(read(study_file(SMALL + "  again: {}\n  once-more: {label: No augmentation}\n")).arms) == 5


def test_part_of_a_gans_optimizer_keeps_the_rest_of_it(study_file: Callable[..., Path]) -> None:
    study = read(study_file(), overrides=["generators.gan={kind: cgan, optimizer: {learning_rate: 2e-4}}"])
    assert study.generators["gan"].optimizer == spec.GanAdam(learning_rate=2e-4, beta_1=0.5)


# --- schema and reference --------------------------------------------------------------------------


def test_the_published_schema_is_current() -> None:
    published = (ROOT / "docs/reference/study.schema.json").read_text()
    assert published == json.dumps(schema(), indent=2) + "\n", (
        "python -m medaug_keras schema > docs/reference/study.schema.json"
    )
    jsonschema.Draft7Validator.check_schema(json.loads(published))


def _as_json(path: Path) -> Any:
    return plain(strict_yaml.compose_file(path, str(path)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_schema_accepts_every_shipped_study_and_rejects_a_typo_anywhere(path: Path) -> None:
    validator = jsonschema.Draft7Validator(schema())
    data = _as_json(path)
    assert list(validator.iter_errors(data)) == []
    for section in _sections(data):
        section["epohcs"] = "x"
        assert not validator.is_valid(data)
        del section["epohcs"]


def _sections(data: Any) -> list[dict[str, Any]]:
    """Every mapping in it: those of names take no text, those of settings no such key."""
    if isinstance(data, list):
        return [section for item in data for section in _sections(item)]
    if isinstance(data, dict):
        return [data, *(section for value in data.values() for section in _sections(value))]
    return []


@pytest.mark.parametrize(
    "change",
    [
        ("name: small\n", ""),
        ("epochs: 3", "epochs: ten"),
        ("{kind: medmnist}", "{}"),
        ("kind: joint_vae", "kind: vae"),
        ("fraction: 0.5", "fraction: 11"),
        ("  flip:", "  Flip!:"),
        ("layer: horizontal_flip", "layer: horizontal_flip, probability: 2"),
    ],
)
def test_the_schema_rejects_what_the_reader_rejects(change: tuple[str, str], study_file: Callable[..., Path]) -> None:
    path = study_file(SMALL.replace(*change))
    mistakes(path)
    assert not jsonschema.Draft7Validator(schema()).is_valid(_as_json(path))


def test_in_an_extending_file_the_schema_requires_nothing() -> None:
    validator = jsonschema.Draft7Validator(schema())
    assert validator.is_valid({"extends": "a.yaml"})
    assert validator.is_valid({"extends": "a.yaml", "arms": {"gda": None}, "generators": {"cvae": {"epochs": 3}}})
    assert not validator.is_valid({"extends": "a.yaml", "generators": {"cvae": {"epochz": 3}}})
    assert not validator.is_valid({"arms": {"gda": None}})


REFERENCE: dict[str, type[BaseModel]] = {  # heading of the page → the section of the spec that it documents
    "The study": spec.Study,
    "operating_points": spec.Target,
    "baseline": spec.Reference,
    "datasets: medmnist": spec.MedMnistData,
    "datasets: phantom": spec.PhantomData,
    "datasets: npz": spec.NpzData,
    "datasets: folder": spec.FolderData,
    "window": spec.Window,
    "datasets: table": spec.TableData,
    "datasets: split": spec.Parts,
    "datasets: subgroups": spec.Bands,
    "datasets: ids": spec.Ids,
    "datasets: tests": spec.Corruptions,
    "classifier": spec.Cnn,
    "classifier: resnet18 and resnet50": spec.Resnet18,
    "classifier: applications": spec.Applications,
    "classifier: python": spec.Python,
    "classifier: input": spec.Input,
    "classifier: schedule": spec.Constant,
    "classifier: schedule steps": spec.Drops,
    "classifier: schedule cosine": spec.Cosine,
    "classifier: loss": spec.Loss,
    "classifier: budget": spec.Budget,
    "classifier: tune": spec.Tune,
    "optimizers: sgd": spec.Sgd,
    "optimizers: adam": spec.Adam,
    "optimizers: adamw": spec.AdamW,
    "generators: cvae": spec.Cvae,
    "generators: joint_vae": spec.JointVae,
    "generators: cgan": spec.Cgan,
    "generators: flow": spec.Flow,
    "generators: files": spec.Files,
    "arms": spec.Arm,
    "arms: add": spec.Add,
    "arms: replace": spec.Replace,
    "arms: pretrain": spec.Pretrain,
    "arms: filter": spec.ImageFilter,
    "arms: interleave": spec.Interleave,
    "arms: duplicate": spec.Duplicate,
    "arms: amount": spec.Amount,
    "series": spec.Series,
    "quality": spec.Quality,
}
STEPS: tuple[type[BaseModel], ...] = get_args(get_args(spec.Step)[0])
SECTIONS = {
    part
    for part in vars(spec).values()
    if isinstance(part, type) and issubclass(part, spec._Part) and not part.__name__.startswith("_")
}


def _tables() -> dict[str, dict[str, str]]:
    """Heading → key → default, from the page."""
    page = (ROOT / "docs/reference/study.md").read_text()
    tables: dict[str, dict[str, str]] = {}
    for chunk in re.split(r"\n##+ ", page)[1:]:
        heading, _, body = chunk.partition("\n")
        body = body.partition("\nWith N images")[0]
        tables[heading] = dict(re.findall(r"^\| `([a-z0-9_]+)` \| ([^|]*) \|", body, re.MULTILINE))
    return tables


@pytest.mark.parametrize("heading", REFERENCE)
def test_every_setting_has_its_line_and_its_default_in_the_reference(heading: str) -> None:
    section = REFERENCE[heading]
    lines = _tables()[heading]
    for of_files in ("extends", "vary"):
        lines.pop(of_files, None)
    of_all = issubclass(section, spec._Classifier) and heading != "classifier"  # these stand under `classifier`
    shared = spec._Classifier.model_fields if of_all else ()
    own = {key: field for key, field in section.model_fields.items() if key not in shared}
    assert set(lines) == set(own)
    for key, field in own.items():
        written = lines[key].strip()
        choosing = key == "kind" and heading.split(":")[0] in ("datasets", "generators")
        if field.is_required() or choosing:
            assert written == "–", key
        elif not isinstance(field.default, BaseModel) or written.startswith("`"):
            value = plain(compose_value(written.strip("`"), Place(key)))
            expected = spec.dump(field.default) if isinstance(field.default, BaseModel) else field.default
            assert value == (list(expected) if isinstance(expected, tuple) else expected), key


def _choices(form: Any) -> list[str]:
    if get_origin(form) is Literal:
        return [choice for choice in get_args(form) if isinstance(choice, str)]
    return [choice for part in get_args(form) for choice in _choices(part)]


def test_every_word_that_a_setting_can_have_is_in_the_reference() -> None:
    """But MedMNIST's names, of which it shows one: they are MedMNIST's to tell."""
    page = (ROOT / "docs/reference/study.md").read_text("utf-8")
    for section in SECTIONS:
        for key, field in section.model_fields.items():
            missing = {choice for choice in _choices(field.annotation) if f"`{choice}`" not in page}
            assert missing <= set(get_args(spec.MedMnistName)), (section, key)


def test_the_reference_documents_every_section_of_the_spec() -> None:
    documented = set(REFERENCE.values()) | set(STEPS)
    shared = spec._Classifier.model_fields.keys()  # these stand under `classifier`
    nothing_own = {
        part for part in SECTIONS if issubclass(part, spec._Classifier) and part.model_fields.keys() == shared
    }
    # the same settings with other defaults, or where another optimizer is the default; and what stands with another
    assert SECTIONS - documented - nothing_own == {
        spec.FlowAdam,
        spec.FlowAdamW,
        spec.GanAdam,
        spec.GanAdamW,
        spec.OtherAdam,
        spec.OtherSgd,
        spec.Resnet50,
        spec.Sizing,
        spec.WholeAmount,
    }


def test_every_augmentation_has_its_line_with_its_settings() -> None:
    page = (ROOT / "docs/reference/study.md").read_text().partition("\n### arms: augment\n")[2].partition("\n##")[0]
    for step in STEPS:
        for layer in get_args(step.model_fields["layer"].annotation):
            (line,) = [
                line for line in page.splitlines() if line.startswith("| `") and f"`{layer}`" in line.split("|")[1]
            ]
            for key, field in step.model_fields.items():
                if key != "layer":
                    text = f"`{key}`" if field.is_required() else f"`{key}: {field.default}`"
                    assert text in line


def test_the_references_short_study_is_one(study_file: Callable[..., Path]) -> None:
    page = (ROOT / "docs/reference/study.md").read_text()
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "name:" in block]
    assert read(study_file(text)).name == "flips"


# --- arms with a recipe of their own ---------------------------------------------------------------

OWN = SMALL.replace("classifier:\n", "classifier:\n  optimizer: {kind: adamw, weight_decay: 0.05}\n")


def own(recipe: str, study: str = OWN) -> str:
    return study.replace("arms:\n", f"arms:\n  own: {{classifier: {recipe}}}\n")


def test_what_an_arm_says_of_its_classifier_is_merged_onto_the_studys(study_file: Callable[..., Path]) -> None:
    study = read(study_file(own("{optimizer: {beta_1: 0.8}, loss: {focal_gamma: 2}}")))
    found = study.arms["own"].classifier
    assert found is not None
    optimizer = study.classifier.optimizer.model_copy(update={"beta_1": 0.8})
    assert found == study.classifier.model_copy(update={"optimizer": optimizer, "loss": spec.Loss(focal_gamma=2.0)})
    assert study.arms["baseline"].classifier is None


def test_an_arms_optimizer_of_another_kind_has_that_kinds_defaults(study_file: Callable[..., Path]) -> None:
    found = read(study_file(own("{optimizer: {kind: sgd}}"))).arms["own"].classifier
    assert found is not None
    assert found.optimizer == spec.Sgd()


def test_a_study_with_a_recipe_of_an_arm_is_read_from_what_it_is_written_as(study_file: Callable[..., Path]) -> None:
    study = read(study_file(own("{epochs: 7}")))
    assert read(study_file(json.dumps(spec.dump(study)), "again.yaml")).arms == study.arms


def test_an_override_reaches_an_arms_recipe(study_file: Callable[..., Path]) -> None:
    path = study_file(own("{epochs: 7}"))
    found = read(path, overrides=["arms.own.classifier.epochs=8", "classifier.batch_size=9"]).arms["own"].classifier
    assert found is not None
    assert (found.epochs, found.batch_size) == (8, 9)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("{head: sigmoid}", r"arms.own.classifier.head: is the same in all arms, .*: here, leave it out"),
        ("{select: last}", r"arms.own.classifier.select: is the same in all arms, .*: here, leave it out"),
        ("{epoch: 3}", "arms.own.classifier.epoch: not a setting; did you mean epochs"),
        ("{budget: {images: 10}}", "arms.own.classifier.budget: has fewer steps of 64 images than there are epochs, 3"),
        ("{budget: {images: 10, steps: 3}}", "arms.own.classifier.budget: takes images or steps, one of the two"),
        ("{schedule: {warm_up: 3}}", "arms.own.classifier.schedule.warm_up: 3 epochs are not less than all 3"),
        ("{schedule: {kind: cosine, end: 0.5}}", "schedule.end: 0.5 is not below the learning rate, 0.001"),
        ("{optimizer: {kind: adan}}", "optimizer.kind: got 'adan'; did you mean adam"),
        ("{optimizer: adam}", r"arms.own.classifier.optimizer: .*; write {kind: adam}"),
        ("{optimizer: {kind: sgd, nesterov: true, momentum: 0}}", "nesterov without momentum; give it a momentum"),
        ("7", "arms.own.classifier: Input should be a mapping of settings, got 7"),
    ],
)
def test_a_wrong_recipe_of_an_arm_is_one_message_at_its_line(
    study_file: Callable[..., Path], recipe: str, said: str
) -> None:
    message = mistakes(study_file(own(recipe)))
    assert "(1 mistake)" in message
    assert re.search(said, message)
    number = 1 + own(recipe).splitlines().index(f"  own: {{classifier: {recipe}}}")
    assert f"study.yaml:{number}: " in message


def test_a_mistake_in_the_studys_classifier_is_said_once_though_an_arm_has_it_too(
    study_file: Callable[..., Path],
) -> None:
    message = mistakes(study_file(own("{batch_size: 4}", OWN.replace("epochs: 3", "epochs: ten"))))
    assert "(1 mistake)" in message
    assert "classifier.epochs: Input should be a valid integer" in message


def test_patience_needs_a_rule_that_prefers_an_epoch(study_file: Callable[..., Path]) -> None:
    wrong = OWN.replace("epochs: 3", "epochs: 3\n  patience: 2\n  select: last")
    assert "classifier.patience: has nothing to wait for, since select is last" in mistakes(study_file(wrong))
