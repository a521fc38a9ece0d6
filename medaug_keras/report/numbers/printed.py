"""What references printed, beside our numbers: values, table and figure numbers, parameters of layers."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from medaug_keras.references import Reference, TableName
from medaug_keras.report.numbers.results import Results

Printed = tuple[tuple[str, float | str], ...]
"""(short name of a reference, what it printed) of those that printed something."""


def scores(results: Results, dataset: str, arm: str, sampling: str, metric: str) -> Printed:
    """Printed test metrics of a cell, as fractions."""
    found = ((r.short, r.score(dataset, arm, sampling, metric)) for r in results.references)
    return tuple((short, value) for short, value in found if value is not None)


def differences(
    results: Results, references: Sequence[Reference], dataset: str, arm: str, sampling: str
) -> list[float | None]:
    """For each reference the printed primary metric of a cell less the baseline's; None where one is missing."""
    found: list[float | None] = []
    for reference in references:
        pairs = ((arm, sampling), results.reference)
        values = [reference.score(dataset, *pair, results.study.primary) for pair in pairs]
        found.append(None if values[0] is None or values[1] is None else values[0] - values[1])
    return found


def table_numbers(results: Results, name: TableName) -> str:
    """What references call a table of ours, as "Table 3 of the paper"; empty where none has it."""
    found = ((r, r.table(name)) for r in results.references)
    return ", ".join(f"{table.number} of {r.called}" for r, table in found if table is not None)


def figure_numbers(results: Results, shows: str, **of: str | None) -> str:
    """What references call a figure of ours, as "Fig. 28 of the paper"; empty where none has it."""
    found = ((r, r.figure(shows, **of)) for r in results.references)
    return ", ".join(f"{figure.number} of {r.called}" for r, figure in found if figure is not None)


def beside_layers(printed: Sequence[int], parameters: Sequence[int]) -> list[int | None]:
    """For every layer of ours, the printed count that stands in its place; None where there is none.

    Layers without parameters are passed over. Where both sides differ over a stretch of the same length they are put
    side by side, which is what another number of channels or classes looks like.
    """
    ours = [(place, count) for place, count in enumerate(parameters) if count]
    found: list[int | None] = [None] * len(parameters)
    matcher = SequenceMatcher(None, [count for _, count in ours], printed, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal" or (what == "replace" and b - a == d - c):
            for (place, _), count in zip(ours[a:b], printed[c:d], strict=True):
                found[place] = count
    return found
