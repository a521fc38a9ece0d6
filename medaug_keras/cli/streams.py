"""Output never ends the program: not when its reader is gone, nor when there is none, nor on a full disk."""

import errno
import io
import os
import shutil
import sys
from contextlib import suppress
from typing import Any, TextIO

_READER_IS_GONE = (errno.EPIPE, errno.EIO)  # as after `| head`; a terminal that was closed


class _Output(io.FileIO):
    """A stream that discards what it can no longer write."""

    lost = ""
    """Why output was discarded that somebody waits for."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno not in _READER_IS_GONE:
                self.lost = str(error.strerror)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(content)


class _Wrapped(io.TextIOWrapper):
    """A stream that breaks long lines between words where it leads to a terminal, so that none is broken in a word."""

    before: TextIO | None = None
    """Another stream, what is printed on which comes out first, also where both lead to the same file or pipe."""

    def write(self, text: str) -> int:
        if self.before is not None and not self.before.closed:
            with suppress(BlockingIOError):
                self.before.flush()
        if not self.isatty() or "\x1b" in text:  # Rich has laid out what it prints
            return super().write(text)
        super().write(wrapped(text, shutil.get_terminal_size().columns))
        return len(text)


def wrapped(text: str, width: int) -> str:
    """Text whose lines fit into so many columns; what continues a line is indented more than its beginning.

    A word that is longer, as a path, and a command that begins with `python -m` stay in one piece, to be copied; a
    terminal shows them on several lines.
    """
    return "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    if len(line) <= width // 2:  # whatever its letters are, for none takes more than two columns
        return line
    from rich.cells import cell_len

    if cell_len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    words, _, command = line.partition("python -m ")
    pieces = [*words.split(), *([f"python -m {command}"] if command else [])]
    lines = [indent + pieces[0]]
    for piece in pieces[1:]:
        longer = f"{lines[-1]} {piece}"
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(f"{indent}  {piece}")
    return "\n".join(lines)


_outputs: list[_Output] = []


def make_sturdy() -> None:
    """Make the standard streams never raise; letters that the terminal lacks are printed as escapes."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed, as with `>&-`: a file that is opened later would get its number, and what is printed
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this
    for name, number in (("stdout", 1), ("stderr", 2)):
        before = getattr(sys, name)
        raw = _Output(number, "w", closefd=False)
        _outputs.append(raw)
        stream = _Wrapped(
            io.BufferedWriter(raw),
            encoding=getattr(before, "encoding", None) or "utf-8",
            errors="backslashreplace",
            line_buffering=number == 2 or raw.isatty(),
        )
        if number == 2:  # it is written at once, and standard output only when its buffer is full
            stream.before = sys.stdout
        setattr(sys, name, stream)


def lost() -> str:
    """Why output was lost; empty where all was written, or nobody reads it."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return next((output.lost for output in _outputs if output.lost), "")
