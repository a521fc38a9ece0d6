"""The command line: `python -m medaug_keras STUDY.yaml` and its other verbs.

Checking, planning and help import neither Keras nor Torch, so that they answer at once.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from medaug_keras import data
from medaug_keras.ownership import NotOursError
from medaug_keras.reading import StudyError

from . import streams
from .mistakes import DONE, INTERRUPTED, SOME_FAILED, WRONG_REQUEST, RequestError, SiteError, apology, refusal
from .options import parser, with_verb
from .verbs import VERBS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Without arguments, they are those of this process."""
    if arguments is not None:
        return _answer(list(arguments))
    streams.make_sturdy()
    if not os.path.isabs(os.path.expanduser("~")):  # a user without a home: libraries would make a folder named ~
        os.environ["HOME"] = os.devnull
    code = _answer(sys.argv[1:])
    lost = streams.lost()
    if lost:
        print(f"Not all that was to be printed could be written: {lost}", file=sys.stderr)
    return code or (SOME_FAILED if lost else DONE)


def _answer(words: list[str]) -> int:
    """Do what is asked; returns the exit code."""
    options = argparse.Namespace()
    if not words:
        parser().print_help(sys.stderr)
        return WRONG_REQUEST
    try:
        parser().parse_args(with_verb(words, VERBS), namespace=options)
        with _terminable():
            return VERBS[options.verb](options)
    except (StudyError, RequestError, NotOursError, data.DataError) as error:
        print(error, file=sys.stderr)
        return WRONG_REQUEST
    except SiteError as error:
        print(error, file=sys.stderr)
        return SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        refused = refusal(error)
        if refused is not None:
            print(f"{refused}. What is finished stays; mend this, and the same command goes on.", file=sys.stderr)
        elif os.environ.get("MEDAUG_DEBUG"):
            raise
        else:
            print(apology(error, words, options), file=sys.stderr)
        return SOME_FAILED


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, as batch systems send it, is as good as Ctrl-C."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may say so
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
