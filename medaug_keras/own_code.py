"""Code of the user's own: how it is run, and what its mistakes are called."""

import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras


class OwnCodeError(ValueError):
    """The user's own function is wrong; the message names it, and no code of ours has part in it."""

    own = True


def place_of(builder: str) -> str:
    """`my_models:net` -> `my_models.py, net`"""
    file, _, function = builder.partition(":")
    return f"{file}.py, {function}"


def called(builder: str, source: str | None, **arguments: Any) -> Any:
    """What the function returns. Its file is run as a module that nothing else can import.

    `builder` is `FILE:FUNCTION`, `source` the text of FILE.py; None where the user did not allow that it is run.
    """
    file, _, function = builder.partition(":")
    if source is None:
        raise OwnCodeError(f"{place_of(builder)}: code of the study's own is run with --allow-code only")
    name = f"<{file}.py>"
    module = ModuleType(name)
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    sys.modules[name] = module  # data classes look up the module that they are in
    try:
        exec(compile(source, f"{file}.py", "exec"), module.__dict__)
        made: Callable[..., Any] | None = getattr(module, function, None)
        if not callable(made):
            raise OwnCodeError(f"{file}.py has no function {function}")
        return made(**arguments)
    except OwnCodeError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        raise wrong(builder, error) from None
    finally:
        del sys.modules[name]
        registered.clear()  # what the file registers with Keras is not there when a saved model is loaded elsewhere
        registered.update(before)


def wrong(builder: str, error: BaseException) -> OwnCodeError:
    """What the user's code raised, in one line that names its file, function and line."""
    file = f"{builder.partition(':')[0]}.py"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    at = f", line {lines[-1]}" if lines else ""
    said = " ".join(str(error).split())[:300]
    return OwnCodeError(f"{place_of(builder)}{at}: {type(error).__name__}{f': {said}' if said else ''}")
