"""The command line: `python -m medaug_keras STUDY.yaml` and its other verbs.

Checking, planning and help import neither Keras nor Torch, so that they answer at once.
"""

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from medaug_keras import data
from medaug_keras.reading import StudyError

from .mistakes import DONE, INTERRUPTED, SOME_FAILED, WRONG_REQUEST, RequestError, SiteError, apology, refusal
from .options import parser, with_verb
from .verbs import VERBS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = argparse.Namespace()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that has not every letter shows the others by number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        parser().parse_args(with_verb(words, VERBS), namespace=options)
        with _terminable():
            return VERBS[options.verb](options)
    except (StudyError, RequestError, data.DataError) as error:
        print(error, file=sys.stderr)
        return WRONG_REQUEST
    except SiteError as error:
        print(error, file=sys.stderr)
        return SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output is gone, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
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
