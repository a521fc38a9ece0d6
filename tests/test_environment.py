"""What a user's terminal, home, folder and network may be like: the program answers all the same."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medaug_keras.data import DataError
from medaug_keras.data.download import download
from studies import PROJECT, cli, cli_here, command, environment, results, tiny, written

BASELINE = tiny(arms={"baseline": {}})
RUN = "tiny.yaml --no-site --workers 1"


def shell(line: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A line of a shell; `medaug` in it is the program, and the exit code is that of the program."""
    program = f"{sys.executable} -m medaug_keras"
    line = line.replace("medaug", program)
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=cwd,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


def whole(folder: Path) -> bool:
    """Whether every result and the pages are there."""
    return len(results(folder / "results")) == 2 and (folder / "docs/studies/tiny/index.md").exists()


# --- output ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"medaug {RUN} | true",
        f"medaug {RUN} 2>&1 | head -1",
        f"medaug {RUN} <&- >&- 2>&-",
    ],
)
def test_output_that_nobody_reads_ends_nothing(tmp_path: Path, line: str):
    written(tmp_path, BASELINE)
    done = shell(line, tmp_path)
    assert done.returncode == 0, done.stderr
    assert whole(tmp_path)
    assert "Traceback" not in done.stderr
    assert "failed" not in done.stderr


def test_the_exit_code_is_right_though_nobody_reads(tmp_path: Path):
    written(tmp_path, tiny(classifier={"epochs": 1, "batch_size": 16, "optimizer": {"learning_rate": 1e38}}))
    assert shell(f"medaug {RUN} 2>&1 | true", tmp_path).returncode == 1
    assert shell("medaug plan nosuch.yaml 2>&1 | true", tmp_path).returncode == 2
    assert shell("medaug schema | head -1", tmp_path).returncode == 0


def test_what_a_script_waits_for_is_not_lost_in_silence(tmp_path: Path):
    written(tmp_path, BASELINE)
    done = shell("medaug plan tiny.yaml --json > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"Not all that was to be printed could be written: {os.strerror(errno.ENOSPC)}\n"


def test_alone_the_program_shows_its_help_and_says_that_nothing_was_done(tmp_path: Path):
    done = cli(cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "python -m medaug_keras studies/demo.yaml" in done.stderr


def test_what_to_do_next_can_be_typed_as_it_is_said(tmp_path: Path):
    folder = tmp_path / "my study"
    folder.mkdir()
    path = written(folder, BASELINE).relative_to(tmp_path)
    done = cli_here(path, "--no-site", "--results", "my results", "--set", "question=Is it?", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Next: ")]
    said = line.partition("what that costs: ")[2]
    assert said == ("python -m medaug_keras plan 'my study/tiny.yaml' --results 'my results' --set 'question=Is it?'")
    again = shell(said.replace("python -m medaug_keras", "medaug"), tmp_path)
    assert "Nothing to do." in again.stdout, again.stderr


def test_where_no_time_is_known_plan_says_which_tasks_to_make_and_then_knows_it(tmp_path: Path):
    written(tmp_path, tiny(replicates=2))
    before = shell("medaug plan tiny.yaml --results 'my results' --only replicate=1", tmp_path)
    (line,) = [line for line in before.stdout.splitlines() if line.startswith("Next: ")]
    said = line.partition("to make them: ")[2]
    assert re.fullmatch(
        r"python -m medaug_keras tiny\.yaml --results 'my results' --only=task=classifier-[0-9a-f]{16}", said
    ), "one task, for it needs the data"
    made = shell(f"{said} --no-site --quiet".replace("python -m medaug_keras", "medaug"), tmp_path)
    assert made.returncode == 0, made.stderr
    assert len(results(tmp_path / "my results")) == 2
    after = shell("medaug plan tiny.yaml --results 'my results'", tmp_path).stdout
    assert re.search(r"^Expected time: \d+ s with", after, re.MULTILINE), after
    assert "Next:" not in after


def test_lines_of_both_streams_come_in_the_order_in_which_they_were_printed(tmp_path: Path):
    lines = "print('1'); print('2', file=sys.stderr); print('3'); print('4', file=sys.stderr); print('5')"
    code = f"import sys; from medaug_keras.cli import streams; streams.make_sturdy(); {lines}"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )
    assert done.stdout.split() == list("12345")


# --- Ctrl-C, home, folder --------------------------------------------------------------------------


def test_ctrl_c_while_the_program_is_imported_ends_without_a_traceback(tmp_path: Path):
    """A module that it imports says that it has come so far, and takes its time."""
    (tmp_path / "pydantic.py").write_text("import time; print('imported', flush=True); time.sleep(60)")
    process = subprocess.Popen(
        command("check", "tiny.yaml"),
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": f"{tmp_path}:{PROJECT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "imported\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == -signal.SIGINT  # 130 to a shell


def test_a_keras_json_of_the_users_changes_no_number(tmp_path: Path):
    written(tmp_path, BASELINE)
    calm = cli_here(*RUN.split(), "--results", "calm", "--docs", "calm-docs", cwd=tmp_path)
    assert calm.returncode == 0, calm.stderr
    for number, words in enumerate(
        (
            {"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"},
            {"floatx": "nonsense"},
        )
    ):
        kept = tmp_path / str(number) / ".keras/keras.json"
        kept.parent.mkdir(parents=True)
        kept.write_text(json.dumps(words))
        home = {"HOME": str(tmp_path / str(number)), "KERAS_BACKEND": "tensorflow"}
        done = shell(f"medaug {RUN} --results results{number}", tmp_path, **home)
        assert done.returncode == 0, done.stderr
        assert results(tmp_path / f"results{number}") == results(tmp_path / "calm")
        assert json.loads(kept.read_text()) == words


def test_a_user_without_a_home_gets_no_folder_named_after_it(tmp_path: Path):
    """A user whom the system does not know, as in many containers: ~ stays ~."""
    written(tmp_path, BASELINE)
    done = shell(f"medaug {RUN}", tmp_path, HOME="~")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs", "results", "tiny.yaml"]
    written(tmp_path, tiny(datasets={"breastmnist": {"kind": "medmnist"}}))
    done = shell("medaug plan tiny.yaml", tmp_path, HOME="~")
    assert done.returncode == 2
    assert "There is no home folder (HOME) for MedMNIST's files: name another with --data DIR" in done.stderr
    assert shell("medaug plan tiny.yaml --data here", tmp_path, HOME="~").returncode == 0


def test_files_in_the_folder_that_are_called_like_modules_are_not_imported(tmp_path: Path):
    written(tmp_path, BASELINE)
    names = (
        "random keras numpy torch yaml json signal string secrets copy queue tempfile scipy jinja2 mkdocs statistics"
    )
    for name in names.split():
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')\n")
    done = shell("medaug tiny.yaml --workers 1", tmp_path)
    assert done.returncode == 0, done.stderr
    assert whole(tmp_path)
    assert (tmp_path / "site/studies/tiny/index.html").exists()
    assert not list(tmp_path.glob("__pycache__"))


def test_the_program_runs_in_its_own_folder_without_being_installed(tmp_path: Path):
    (tmp_path / "medaug_keras").symlink_to(PROJECT / "medaug_keras")
    (tmp_path / "random.py").write_text("raise SystemExit('imported')\n")
    written(tmp_path, BASELINE)
    done = shell(f"unset PYTHONPATH; medaug {RUN}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert whole(tmp_path)


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_names_with_any_letter_work_in_every_locale(tmp_path: Path, locale: str):
    path = written(tmp_path, tiny(arms={"baseline": {"label": "Ohne – ärztliche 画像"}}, title="Größe"))
    path = path.rename(tmp_path / "größe 画像.yaml")
    done = shell(
        f"medaug '{path.name}' --no-site --workers 1 --results 'ergebniß'", tmp_path, LC_ALL=locale, LANG=locale
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(results(tmp_path / "ergebniß")) == 2


# --- network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_that_refuses_is_named_with_its_variable_and_without_its_password(
    tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://me:secret@127.0.0.1:1")
    with pytest.raises(DataError, match="no connection") as caught:
        download(
            "http://example.org/x", tmp_path / "x", md5="0" * 32, max_bytes=1, report=None, attempts=1, stall_timeout=5
        )
    assert f"http://example.org/x by the proxy 127.0.0.1:1 (of {variable}): no connection" in str(caught.value)
    assert "secret" not in str(caught.value)
