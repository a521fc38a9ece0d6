"""Numbers of things in words, for messages and pages alike."""

from collections.abc import Sequence


def plural(number_of: int, word: str, words: str | None = None) -> str:
    """(1, "run") → 1 run; (2, "run") → 2 runs."""
    return f"{number_of:,} {word if number_of == 1 else words or word + 's'}"


def part(number_of: int, whole: int, word: str) -> str:
    """(4, 12, "run") → 4 of 12 runs; also of a single one: 1 of 1 runs."""
    return f"{number_of:,} of {whole:,} {word}s"


def first_of(names: Sequence[str], most: int) -> str:
    """(["a", "b", "c"], 2) → a, b and 1 more; (["a", "b"], 2) → a, b."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
