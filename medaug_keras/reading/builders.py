"""The user's own functions that a study names, such as `my_models:net`: their file is found and read, never run."""

import symtable
import warnings
from pathlib import Path

from medaug_keras.reading.words import did_you_mean

MAX_BYTES = 200_000


class BuilderError(Exception):
    """There is no such function; the message says what was found."""


def source_of(builder: str, folder: Path) -> str:
    """The text of the file in `folder` that has a `builder` such as `my_models:net`, not run. Raises BuilderError."""
    module, _, function = builder.partition(":")
    path = folder / f"{module}.py"
    try:
        if not path.is_file():
            raise BuilderError(f"no such file: {path}; {builder} is the function {function} of {module}.py there")
        if path.stat().st_size > MAX_BYTES:
            raise BuilderError(f"{path} is larger than {MAX_BYTES:,} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise BuilderError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BuilderError(f"{path} is not UTF-8 at byte {error.start}") from None
    known = _names(text, path)
    if function not in known:
        raise BuilderError(f"{path} has no function {function}{did_you_mean(function, sorted(known))}")
    return text


def _names(text: str, path: Path) -> set[str]:
    """What a file defines at its top level, told without running it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a backslash in a string, say: Python says it when it runs the file
            symbols = symtable.symtable(text, path.name, "exec").get_symbols()
    except SyntaxError as error:
        raise BuilderError(f"{path}, line {error.lineno}: Python cannot read this ({error.msg})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BuilderError(f"{path}: Python cannot read this ({error})") from None
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
