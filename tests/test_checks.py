"""The checks of .pre-commit-config.yaml are part of the tests, and the workflow runs the same ones."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PROJECT

from medaug_keras import __version__


def hooks() -> dict[str, dict[str, Any]]:
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))
    return {hook["id"]: hook for repository in config["repos"] for hook in repository["hooks"]}


def files(hook: dict[str, Any]) -> list[str]:
    """What pre-commit would hand to a hook that wants names."""
    names = sorted(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob(".github/workflows/*"))
    if not hook.get("pass_filenames", True):
        return []
    return names if "workflows" in hook["files"] else ["CITATION.cff"]


@pytest.mark.parametrize("name", hooks())
def test_the_code_passes_the_check_of_its(name: str):
    hook = hooks()[name]
    program, *words = shlex.split(hook["entry"])
    cached = [] if program != "lint-imports" else ["--no-cache"]
    beside = Path(sys.executable).parent / program  # not that of PATH
    done = subprocess.run(
        [beside, *words, *cached, *files(hook)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_every_check_of_the_commit_hooks():
    steps = yaml.safe_load((PROJECT / ".github/workflows/tests.yml").read_text("utf-8"))["jobs"]["tests"]["steps"]
    run = [step.get("run", "") for step in steps]
    missing = [hook["entry"] for hook in hooks().values() if not any(line.startswith(hook["entry"]) for line in run)]
    assert not missing


def test_hooks_need_no_network():
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks().values()} == {"system"}


def test_the_citation_file_names_this_version():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__
