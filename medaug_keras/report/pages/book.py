"""What the pages of a study share: its results, and the files that tables and figures become."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from medaug_keras.plan import Plan
from medaug_keras.report import figures
from medaug_keras.report.figures import Figure
from medaug_keras.report.numbers.calibration import Scaled, scaled
from medaug_keras.report.numbers.circumstances import Expected
from medaug_keras.report.numbers.further import Tried, further_tests
from medaug_keras.report.numbers.inference import Cell, Inference
from medaug_keras.report.numbers.results import Results, Run, histories
from medaug_keras.report.numbers.thresholds import AtPoint, operating_points, points_elsewhere
from medaug_keras.report.tables.export import table_csv, table_json, table_latex
from medaug_keras.report.tables.table import Table

MANY_GROUPS = 120
"""With more pairs of data set and arm than this, they are not all drawn on one page."""

MANY_DATASETS = 4
"""With more data sets than this, each has a page of its own where they would stand one below the other."""

GRID = 600
"""With more such pairs, the first page has the means over data sets only."""


@dataclass(frozen=True)
class Shown:
    """A figure on a page: anchor, caption and file."""

    name: str
    figure: Figure
    caption: str
    number: str = ""
    """What references call it."""
    file: str = ""
    """Relative to the page; empty if the figure has no file."""


class Book:
    """A study's results, and the files written of them so far."""

    def __init__(
        self,
        results: Results,
        *,
        beside: Results | None = None,
        asked: Plan | None = None,
        expected: Expected | None = None,
        show_host: bool = False,
        inference: Inference | None = None,
    ) -> None:
        self.results, self.beside, self.show_host = results, beside, show_host
        self.asked, self.expected = asked or results.plan, expected
        self.inference = inference or Inference(results)
        self.files: dict[str, bytes] = {}

    @cached_property
    def pages(self) -> dict[str, str]:
        """Page → its title, in the order of the study's navigation."""
        return {}

    @cached_property
    def operating_points(self) -> Mapping[tuple[Cell, int], AtPoint]:
        """What every arm does at the study's operating points."""
        return operating_points(self.inference)

    @cached_property
    def points_elsewhere(self) -> Mapping[str, Mapping[tuple[Cell, int], AtPoint]]:
        """The same on test sets from elsewhere, by their names in the plan."""
        return points_elsewhere(self.inference)

    @cached_property
    def scaled(self) -> Mapping[Cell, Scaled]:
        """Every arm after temperature scaling, where images have one class each."""
        return scaled(self.inference)

    @cached_property
    def further_tests(self) -> Mapping[tuple[Cell, str], Tried]:
        """What every arm does on the further test sets."""
        return further_tests(self.inference)

    @property
    def many(self) -> bool:
        """Whether there are too many arms and data sets to draw them all on one page."""
        return len(self.results.datasets) > 1 and len(self.results.groups) > MANY_GROUPS

    @property
    def apart(self) -> bool:
        """Whether pages show one data set at a time."""
        return self.many or len(self.results.datasets) > MANY_DATASETS

    @property
    def grid(self) -> bool:
        """Whether every difference has its place on the first page."""
        return len(self.results.groups) <= GRID

    def tests_page(self, dataset: str) -> str:
        """The page with a data set's tests."""
        return f"significance/{dataset}.html" if self.apart else "significance.html"

    def begun(self) -> tuple[list[str], list[str]]:
        """Data sets to draw, which are those with a run, or all while there is none; and the titles of the others."""
        results = self.results
        begun = [d for d in results.datasets if d in results.begun] or results.datasets
        return list(begun), [results.title(d) for d in results.datasets if d not in begun]

    def command(self, run: Run) -> str:
        """The command that repeats a run and compares the two."""
        # Checked names alone, so nothing is to be quoted. Settings and places are those that the results remember.
        place = f"{run.dataset}/{run.arm}/{run.sampling}/{run.replicate}"
        allowed = " --allow-code" if self.results.study.builders else ""
        return f"python -m medaug_keras reproduce {self.results.study.name} {place}{allowed}"

    @property
    def own_files(self) -> dict[str, str]:
        """Files with code of the study's own, which *Models* shows, and their text: they belong beside the study."""
        return {f"{builder.partition(':')[0]}.py": text for builder, text in self.results.study.code.items()}

    def file(self, path: str, content: str | bytes) -> None:
        """Write a file, named from the study's folder."""
        self.files[path] = content.encode() if isinstance(content, str) else content

    def made(self) -> Iterator[tuple[str, bytes]]:
        """Files written since the last call."""
        made, self.files = self.files, {}
        yield from made.items()

    def table(self, table: Table) -> Table:
        """The same table, with its files written."""
        self.file(f"data/{table.name}.csv", table_csv(table))
        self.file(f"data/{table.name}.json", table_json(table))
        self.file(f"data/{table.name}.tex", table_latex(table))
        return table

    def figure(self, name: str, figure: Figure, caption: str, number: str = "") -> Shown:
        """A figure with its file; `number` is what references call it."""
        path = f"figures/{name}.{'png' if figure.png else 'svg'}"
        content = figure.png or figure.svg
        if content is not None:
            self.file(path, content)
        return Shown(name, figure, caption, number, path)

    def curves(self, run: Run) -> Figure:
        """How a done run learned."""
        return figures.learning_curves(
            histories(run), best_epoch=run.epoch(self.results.select), pretraining=self.results.pretraining(run.task)
        )

    def of_folds(self, run: Run) -> str:
        """What curves of folds are, after the words on what they show; empty for others."""
        if not run.folds:
            return ""
        return f", mean over {len(run.folds)} folds, with the lowest and highest validation of a fold"

    def drawn(self, name: str, figure: Figure, caption: str) -> Shown:
        """A figure that is on its page only."""
        return Shown(name, figure, caption)
