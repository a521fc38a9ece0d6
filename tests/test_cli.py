"""The command line is a contract: verbs, options, exit codes, what is printed where."""

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from medaug_keras.cli import main, options, request
from medaug_keras.cli.mistakes import ReportError
from medaug_keras.store import Failure, Store
from studies import changed, cli, command, environment, make_up, planned, results, tiny, whole, written

PLAN_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["study", "tasks", "to_do", "seconds_of_one_worker", "plan"],
    "properties": {
        "study": {"type": "string"},
        "tasks": {"type": "integer"},
        "to_do": {"type": "integer"},
        "seconds_of_one_worker": {"type": ["number", "null"]},
        "plan": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": [
                    "task",
                    "kind",
                    "title",
                    "dataset",
                    "replicate",
                    "state",
                    "reason",
                    "images",
                    "seconds",
                    "needs",
                ],
                "properties": {
                    "task": {"type": "string", "pattern": "^[a-z]+-[0-9a-f]{16}$"},
                    "kind": {"enum": ["data", "generator", "synthesis", "classifier", "quality", "usefulness"]},
                    "title": {"type": "string"},
                    "dataset": {"type": "string"},
                    "replicate": {"type": "integer"},
                    "state": {"enum": ["done", "pending", "running", "failed", "blocked", "damaged"]},
                    "reason": {"type": "string"},
                    "images": {"type": "integer"},
                    "seconds": {"type": ["number", "null"]},
                    "needs": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with tiny.yaml and whole.yaml."""
    written(tmp_path, tiny())
    written(tmp_path, whole())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDMNIST_ROOT", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which tiny.yaml was run, and what the run said."""
    folder = tmp_path_factory.mktemp("finished")
    written(folder, tiny(arms={"baseline": {}}))
    return folder, cli("tiny.yaml", "--no-site", "--workers", 1, cwd=folder)


def plan_of(*words: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert main(["plan", *words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    jsonschema.validate(content, PLAN_SCHEMA)
    assert content["tasks"] == len(content["plan"])
    return content["plan"]


# --- a run -----------------------------------------------------------------------------------------


def test_a_run_prints_plain_lines_on_stderr_and_where_to_look_on_stdout(finished):
    folder, run = finished
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(
        r"A tiny study: 2 tasks, 0 done already\n"
        r"\[1/2\] grey: data: done in [\d.]+ s\n"
        r"\[2/2\] grey: baseline, shuffle, replicate 0: done in [\d.]+ s\n",
        run.stderr,
    )
    assert re.match(
        r"2 tasks done in .*, 0 were done already\.\nThere is nothing to compare: .*\n(.*\n)*Pages: docs/studies/tiny\n"
        r"Written: .*\nNext: .*python -m medaug_keras plan ",
        run.stdout,
    )
    assert (folder / "docs/studies/tiny/index.md").exists()
    assert not (folder / "site").exists()


def test_a_second_run_does_nothing_and_ends_well(finished):
    folder, _ = finished
    before = results(folder / "results")
    run = cli("run", "--no-site", "tiny.yaml", cwd=folder)  # options may come first
    assert run.returncode == 0, run.stderr
    assert run.stderr == "A tiny study: 2 tasks, 2 done already\n"
    assert run.stdout.startswith("0 tasks done in ")
    assert results(folder / "results") == before


def test_quiet_prints_nothing_when_all_is_well(finished):
    run = cli("--quiet", "tiny.yaml", "--no-site", cwd=finished[0])
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_report_makes_the_pages_from_what_is_there(finished, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    shutil.rmtree(folder / "docs")
    run = cli("report", "tiny.yaml", "--no-site", cwd=folder)
    written = "Written: results, docs/studies/tiny, docs/studies/assets, docs/studies/index.md"
    assert (run.returncode, run.stderr) == (0, "")
    answer = json.loads((folder / "docs/studies/tiny/data/study.json").read_bytes())["answer"]
    assert run.stdout == "\n".join([*answer, "Pages: docs/studies/tiny", written, ""])
    assert (folder / "docs/studies/tiny/index.md").exists()


def test_on_a_terminal_one_line_lives_for_the_study_and_one_for_each_running_task(finished, tmp_path: Path):
    """A new arm is run on a pseudo-terminal, and Ctrl-C in it ends the run as it should."""
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    written(folder, tiny(classifier={"epochs": 500, "batch_size": 16}))
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command("tiny.yaml", "--no-site", "--workers", 1),
        cwd=folder,
        env=environment() | {"TERM": "xterm", "COLUMNS": "120"},
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509 - makes it the controlling terminal
    )
    os.close(child)
    text, stopped = b"", False
    with contextlib.suppress(OSError):  # the terminal closes with its last process
        while part := os.read(parent, 4096):
            text += part
            if b"validation accuracy" in text and not stopped:
                os.write(parent, b"\x03")
                stopped = True
    os.close(parent)
    said = text.decode()
    assert process.wait(60) == 130, said
    assert "1/3] tasks" in said
    assert re.search(r"grey: baseline, shuffle, replicate 0  epoch \d+ of 500  loss .*validation accuracy", said)
    assert "\x1b[" in said
    assert "Interrupted after" in said
    assert "Traceback" not in said


# --- plan, explain, check, schema ------------------------------------------------------------------


def test_plan_lists_every_task_for_scripts(here: Path, capsys):
    tasks = plan_of("whole.yaml", capsys=capsys)
    assert [task["kind"] for task in tasks].count("classifier") == 2 * 6 * 2 * 2
    assert {task["state"] for task in tasks} == {"pending"}
    names = [task["task"] for task in tasks]
    assert all(names.index(need) < names.index(task["task"]) for task in tasks for need in task["needs"])


def test_plan_counts_what_is_done_failed_and_blocked_and_tells_the_time(here: Path, capsys):
    tasks = plan_of("tiny.yaml", capsys=capsys)
    plan = request.planned(options.parser().parse_args(["plan", "tiny.yaml"]))[1]
    store, made = Store(Path("results")), list(plan.tasks.values())
    make_up(store, made[0], seconds=2)
    make_up(store, made[1], seconds=10)
    tasks = plan_of("tiny.yaml", capsys=capsys)
    assert [task["state"] for task in tasks] == ["done", "done", "pending"]
    assert tasks[2]["seconds"] == pytest.approx(10)
    assert main(["plan", "tiny.yaml", "--workers", "2"]) == 0
    assert "Expected time: 10 s with 2 workers." in capsys.readouterr().out  # one task is left, and one worker makes it
    store.fail(made[2], Failure(made[2].kind, made[2].key, "ValueError: no", "", {}))
    assert main(["plan", "tiny.yaml"]) == 0
    assert "failed: grey: flip, shuffle, replicate 0: ValueError: no" in capsys.readouterr().out


def test_plan_says_when_the_time_is_not_known(here: Path, capsys):
    assert main(["plan", "tiny.yaml"]) == 0
    assert "not known before the first task of each kind was run (classifier cnn, data)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        ([], 48),
        (["--only", "dataset=small"], 24),
        (["--only", "arm=gda", "--only", "arm=baseline"], 16),
        (["--only", "arm=gda", "--only", "sampling=weighted", "--only", "replicate=1"], 2),
        (["--replicates", "1"], 24),
        (["--replicates", "3"], 72),
        (["--set", "samplings=[shuffle]"], 24),
    ],
)
def test_only_set_and_replicates_choose_what_is_planned(here: Path, capsys, words: list[str], cells: int):
    tasks = plan_of("whole.yaml", "--set", "quality.enabled=false", *words, capsys=capsys)
    assert [task["kind"] for task in tasks].count("classifier") == cells


def test_explain_takes_a_cell_an_id_or_its_beginning(here: Path, capsys):
    assert main(["explain", "whole.yaml", "small/gda/weighted/0"]) == 0
    text = capsys.readouterr().out
    found = re.search(r"\((classifier-[0-9a-f]{16})\)", text)
    assert found
    for word in (found[1], found[1][:-3]):
        assert main(["explain", "whole.yaml", word]) == 0
        assert capsys.readouterr().out == text
    assert "No classifier task was run before" in text


def test_check_finds_nothing_wrong_or_says_what(here: Path, capsys):
    assert main(["check", "tiny.yaml"]) == 0
    assert capsys.readouterr().out == "tiny.yaml: nothing wrong; 1 data set, 2 arms, 2 runs.\n"
    written(here, changed(tiny(), "datasets.mine", {"kind": "npz", "path": "none.npz"}))
    assert main(["check", "tiny.yaml"]) == 1
    assert "datasets.mine: " in capsys.readouterr().err
    written(here, tiny(datasets={"mine": {"kind": "npz", "path": "none.npz"}}))
    assert main(["check", "tiny.yaml"]) == 2
    assert main(["tiny.yaml"]) == 2  # `check` and `run` agree


def test_schema_is_a_json_schema_that_accepts_a_study(capsys):
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.validate(tiny(), schema)


# --- wrong requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plann", "tiny.yaml"], "plann is neither a verb nor the .yaml file of a study; did you mean plan?"),
        (["none.yaml"], "none.yaml"),
        (["check", "none.yaml"], "none.yaml"),
        (["tiny.yaml", "--set", "classifier.epoch=2"], "did you mean epochs?"),
        (["tiny.yaml", "--set", "nonsense"], "write KEY=VALUE"),
        (["tiny.yaml", "--only", "nonsense"], "expected NAME=VALUE with NAME one of dataset, arm"),
        (["tiny.yaml", "--only", "colour=grey"], "expected NAME=VALUE with NAME one of dataset, arm"),
        (["tiny.yaml", "--only", "arm=gda"], "the study has no arm 'gda'; it has baseline, flip"),
        (["tiny.yaml", "--only", "task=quality-00"], "the study has no such task"),
        (["plan", "tiny.yaml", "--only", "task=data", "--only", "arm=flip"], "no other --only can narrow them"),
        (["explain", "tiny.yaml", "classifier"], "several tasks begin so"),
        (["explain", "tiny.yaml", "grey/gda/shuffle/0"], "the study has no such task"),
        (["tiny.yaml", "--results", "/proc/none"], "--results /proc/none: nothing can be written here"),
        (
            ["tiny.yaml", "--set", "datasets={x: {kind: npz, path: none.npz}}", "--set", "datasets.grey=null"],
            "none.npz",
        ),
    ],
)
def test_a_wrong_request_is_said_in_words_with_exit_code_2(here: Path, capsys, words: list[str], message: str):
    assert main(words) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "STUDY.yaml"),
        (["tiny.yaml", "--worker", "1"], "unrecognized arguments: --worker"),  # an abbreviation is no contract
        (["tiny.yaml", "--workers", "0"], "expected a whole number from 1, got '0'"),
        (["tiny.yaml", "--workers", "many"], "expected a whole number from 1, got 'many'"),
        (["tiny.yaml", "--replicates", "-1"], "--replicates"),
        (["plan", "tiny.yaml", "--results", "tiny.yaml"], "argument --results: tiny.yaml is a file, not a folder"),
        (["check", "tiny.yaml", "--only", "arm=flip"], "unrecognized arguments"),
        (["tiny.yaml", "more.yaml"], "unrecognized arguments: more.yaml"),
    ],
)
def test_a_wrong_option_ends_with_exit_code_2_and_the_usage(here: Path, capsys, words: list[str], message: str):
    with pytest.raises(SystemExit, match=r"\A2\Z"):
        main(words)
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("usage: python -m medaug_keras")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["a" * 5000], 2),
        (["a" * 5000 + ".yaml"], 2),
        (["plan", "loop"], 2),
        (["plan", "tiny.yaml", "--results", "a" * 5000], 2),
        (["plan", "tiny.yaml", "--results", "loop"], 2),
        (["plan", "tiny.yaml", "--data", "tiny.yaml/folder"], 2),
        (["plan", "tiny.yaml", "--data", "~nobody-of-this-name/folder"], 0),
        (["report", "tiny.yaml", "--no-site", "--docs", f"docs/{'a' * 300}"], 1),
        (["report", "tiny.yaml", "--no-site", "--docs", "full"], 2),
        (["plan", "caf\udce9.yaml"], 0),
        (["check", "caf\udce9.yaml"], 0),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_paths_that_lead_nowhere_are_said_in_words(here: Path, words: list[str], code: int):
    (here / "loop").symlink_to("loop")
    (here / "full").mkdir()
    (here / "full" / "studies").write_text("a file where a folder is to be")
    shutil.copy(here / "tiny.yaml", here / "caf\udce9.yaml")
    run = cli(*words, cwd=here)
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    assert bool(run.stderr) == (code != 0)


def test_a_terminal_without_a_letter_shows_it_by_number(here: Path):
    written(here, tiny(title="Ist größer besser?"))
    run = subprocess.run(
        command("plan", "tiny.yaml"),
        cwd=here,
        env=environment() | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Ist gr\\xf6\\xdfer besser?\n")


# --- mistakes of ours ------------------------------------------------------------------------------


@pytest.fixture
def broken_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*words: Any, **options: Any) -> None:
        raise KeyError("a number that\nis not there")

    monkeypatch.delenv("MEDAUG_DEBUG")
    monkeypatch.setattr("medaug_keras.report.render", stumble)


def test_a_report_that_fails_costs_no_result_and_can_be_made_again(
    here: Path, capsys, broken_report, monkeypatch: pytest.MonkeyPatch
):
    written(here, tiny(arms={"baseline": {}}))
    assert main(["tiny.yaml", "--workers", "1", "--results", "my results"]) == 1
    said = capsys.readouterr()
    assert "2 tasks done in " in said.out
    assert said.err.splitlines()[-3:] == [
        "The report could not be made: KeyError: 'a number that\\nis not there'",
        "No result is lost: they are in my results. To try again: "
        "python -m medaug_keras report tiny.yaml --results 'my results'",
        "This is a mistake in medaug-keras, not in your study. Please report it with the file "
        "my results/failures/report.txt, which says where it happened.",
    ]
    assert len(results(here / "my results")) == 2
    kept = (here / "my results/failures/report.txt").read_text()
    assert kept.startswith("python -m medaug_keras tiny.yaml --workers 1 --results 'my results'\nmedaug-keras ")
    assert "in stumble\n" in kept
    assert kept.endswith("KeyError: 'a number that\\nis not there'\n")

    assert main(["report", "tiny.yaml", "--results", "my results", "--no-site"]) == 1
    assert "The report could not be made" in capsys.readouterr().err
    monkeypatch.undo()
    assert cli("report", "tiny.yaml", "--results", "my results", "--no-site", cwd=here).returncode == 0
    assert not (here / "my results/failures/report.txt").exists()


@pytest.mark.parametrize("there", [True, False], ids=["with results", "without results"])
def test_every_mistake_of_ours_is_one_message_and_a_file(here: Path, capsys, monkeypatch, there: bool):
    def stumble(*words: Any, **options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.delenv("MEDAUG_DEBUG")
    monkeypatch.setattr("medaug_keras.cli.request.plan", stumble)
    monkeypatch.setattr("tempfile.tempdir", str(here / "temporary"))
    for name in ("temporary", *(["results"] if there else [])):
        (here / name).mkdir()
    assert main(["plan", "tiny.yaml"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("The program failed: ZeroDivisionError\nWhat is finished stays.\n")
    (kept,) = here.glob("results/failures/plan.txt" if there else "temporary/medaug-*.txt")
    assert str(kept.relative_to(here)) in said.err
    assert "in stumble\n" in kept.read_text()
    assert (here / "results").exists() == there


def test_a_mistake_of_ours_is_printed_where_no_file_can_be_written(here: Path, capsys, broken_report):
    (here / "results").mkdir()
    (here / "results" / "failures").write_text("a file where a folder is to be")
    assert main(["report", "tiny.yaml"]) == 1
    assert "in stumble\n" in capsys.readouterr().err


def test_developers_see_a_mistake_of_ours_as_it_is(here: Path, broken_report, monkeypatch):
    monkeypatch.setenv("MEDAUG_DEBUG", "1")
    with pytest.raises(ReportError, match="The report could not be made: KeyError") as error:
        main(["report", "tiny.yaml"])
    assert isinstance(error.value.__cause__, KeyError)


def test_a_wrong_mkdocs_file_is_said_and_the_pages_are_there(here: Path, capsys):
    (here / "mkdocs.yml").write_text("site_name: [\n")
    assert main(["report", "tiny.yaml"]) == 1
    said = capsys.readouterr().err
    assert "The pages are in docs/studies/tiny, but the site could not be built from them. MkDocs says: " in said
    assert said.endswith("Look at mkdocs.yml, or use --no-site.\n")
    assert (here / "docs/studies/tiny/index.md").exists()


def test_a_wrong_study_beside_is_said_before_any_work(here: Path, capsys):
    written(here, tiny(beside="other.yaml"))
    (here / "other.yaml").write_text("name: [\n")
    for verb in ("run", "check", "report"):
        assert main([verb, "tiny.yaml"]) == 2
        assert "other.yaml:" in capsys.readouterr().err
    assert not (here / "results").exists()


# --- help and start --------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["", "run", "check", "plan", "explain", "report", "init", "schema"])
def test_every_verb_has_help_with_an_example(verb: str, capsys):
    with pytest.raises(SystemExit, match=r"\A0\Z"):
        main([verb, "-h"] if verb else ["-h"])
    assert "python -m medaug_keras " + verb in capsys.readouterr().out


def test_help_names_every_verb_and_exit_code(capsys):
    with pytest.raises(SystemExit, match=r"\A0\Z"):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(verb in text for verb in ("run", "check", "plan", "explain", "report", "reproduce", "schema"))
    codes = "exit codes: 0 all done; 1 some of it could not be done; 2 the request is wrong; 130 interrupted"
    assert codes in " ".join(text.split())


def test_the_environment_says_where_the_data_are_and_the_option_wins(here: Path, monkeypatch):
    monkeypatch.setenv("MEDMNIST_ROOT", "/from/environment")
    assert options.parser().parse_args(["plan", "tiny.yaml"]).data == Path("/from/environment")
    assert options.parser().parse_args(["plan", "tiny.yaml", "--data", "x"]).data == Path("x")
    monkeypatch.delenv("MEDMNIST_ROOT")
    assert options.parser().parse_args(["plan", "tiny.yaml"]).data == Path.home() / ".medmnist"


@pytest.mark.parametrize(
    "words",
    [
        ["-h"],
        ["check", "tiny.yaml"],
        ["plan", "tiny.yaml"],
        ["plan", "tiny.yaml", "--json"],
        ["schema"],
        ["explain", "tiny.yaml", "grey/flip/shuffle/0"],
    ],
    ids=lambda words: " ".join(words[:1]),
)
def test_what_answers_at_once_imports_neither_keras_nor_torch(here: Path, words: list[str]):
    code = (
        "import sys\nfrom medaug_keras.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "slow = {'keras', 'torch', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'mkdocs'} & sys.modules.keys()\n"
        "sys.exit(f'imports {slow}' if slow else 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=here, env=environment(), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_the_command_of_a_failure_names_every_option_that_decides_the_study():
    words = ["--results", "r", "--data", "d", "--set", "classifier.epochs=2", "--replicates", "3", "--unverified-data"]
    asked = options.parser().parse_args(["run", "tiny.yaml", *words])
    again = options.words_again(asked)
    assert vars(options.parser().parse_args(["run", "tiny.yaml", *again])) == vars(asked)
    assert options.words_again(options.parser().parse_args(["run", "tiny.yaml"])) == []


def test_planned_helper_and_command_line_plan_the_same_kinds(here: Path, capsys):
    assert [task["kind"] for task in plan_of("tiny.yaml", capsys=capsys)] == [
        task.kind for task in planned(tiny()).tasks.values()
    ]
