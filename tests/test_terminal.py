"""A terminal of 80 columns shows everything: long lines are broken between words, and none is cut."""

import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from medaug_keras.cli.streams import wrapped
from studies import PHANTOM, command, environment, tiny, written

DATASET = "grey-images-of-which-nobody-knows-a-word"
ARM = "flips-that-may-help-or-harm-on-such-ones"
WORDS = st.lists(st.text("abc 細胞", min_size=1, max_size=12).map(str.strip).filter(bool), min_size=1, max_size=30)


def on_a_terminal(*words: object, cwd: Path) -> tuple[int, list[str]]:
    """The exit code of a command on a terminal of 80 columns and 24 rows, and the lines that it printed there."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    variables = {name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        command(*words), cwd=cwd, env=variables | {"TERM": "xterm"}, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    printed = b""
    try:
        while part := os.read(parent, 4096):
            printed += part
    except OSError:  # the terminal closes with its last process
        pass
    os.close(parent)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode())
    return process.wait(60), text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A study with long names that was run on a terminal, and what that showed."""
    folder = tmp_path_factory.mktemp("finished")
    long_names = {"baseline": {}, ARM: {"augment": [{"layer": "horizontal_flip"}]}}
    study = tiny(arms=long_names, datasets={DATASET: PHANTOM}, replicates=2)
    written(folder, study | {"classifier": study.get("classifier", {}) | {"epochs": 15}})
    code, lines = on_a_terminal("tiny.yaml", "--no-site", "--workers", 1, cwd=folder)
    assert code == 0, "\n".join(lines)
    return folder, lines


def test_a_run_shows_everything(finished: tuple[Path, list[str]]):
    lines = finished[1]
    assert [line for line in lines if cell_len(line) > 80 or "…" in line or "..." in line] == []
    assert ARM in "".join(line.strip() for line in lines)
    said = " ".join(" ".join(lines).split())
    assert re.search(r"epoch \d+ of 15 loss \d", said)


def test_the_end_of_a_run_says_what_the_first_page_says(finished: tuple[Path, list[str]]):
    folder, lines = finished
    page = (folder / "docs/studies/tiny/index.md").read_text("utf-8")
    block = page.partition('<div class="ma-answer">')[2].partition("</div>")[0]
    sentences = [html.unescape(re.sub("<.*?>", "", part)) for part in re.findall("<p>(.*?)</p>", block)]
    assert len(sentences) >= 2
    said = " ".join(" ".join(lines).split())
    assert " ".join(" ".join(sentences).split()) in said


@pytest.mark.parametrize(
    "words", [["check"], ["plan"], ["explain", "TASK"], ["report", "--no-site"], ["reproduce", "TASK"]]
)
def test_so_does_every_other_verb(finished: tuple[Path, list[str]], words: list[str]):
    task = f"{DATASET}/{ARM}/shuffle/0"
    words = [words[0], "tiny.yaml", *(task if word == "TASK" else word for word in words[1:])]
    code, lines = on_a_terminal(*words, cwd=finished[0])
    assert code == 0, "\n".join(lines)
    assert [line for line in lines if (cell_len(line) > 80 and " " in line.strip()) or "…" in line] == []
    assert "".join(lines).strip()


def test_help_fits(tmp_path: Path):
    code, lines = on_a_terminal("-h", cwd=tmp_path)
    assert code == 0
    assert max(map(cell_len, lines)) <= 80


@given(WORDS, st.integers(4, 80))
def test_wrapping_loses_no_word_and_fits_where_a_word_does(words: list[str], width: int):
    lines = wrapped(" ".join(words), width).split("\n")
    assert " ".join(lines).split() == " ".join(words).split()
    assert all(cell_len(line) <= width or " " not in line.strip() for line in lines)


def test_a_command_stays_in_one_piece():
    command_line = "python -m medaug_keras study.yaml --only arm=flip --results elsewhere"
    lines = wrapped(f"  The same command tries them again, alone: {command_line}", 60).split("\n")
    assert lines[-1].strip() == command_line
    assert all(line.startswith("  ") for line in lines)
