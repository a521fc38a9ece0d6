"""Published studies whose printed numbers can stand beside ours: what was printed is data, one YAML file a publication.

To add one is to add a file to this folder; its name is what `references` of a study says. Nothing else in the program
knows a number, a figure or a word of a publication. `Reference` says what such a file may hold.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

FOLDER = Path(__file__).parent

Word = str
"""What the publication calls a cell of its tables; `cells` says which arm and sampling that is."""
TableName = Literal[
    "data-set-sizes",
    "without-added-images",
    "with-added-images",
    "with-added-images-weighted",
    "best-models",
    "all-arms",
]
"""Tables of ours that a printed table can stand beside."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Part):
    """The arm and the sampling of a study that stand for a cell of the publication, where any can."""

    arm: str | None = None
    """None: the cell stands beside no arm; it is shown with what was printed."""
    sampling: Literal["shuffle", "weighted"] = "shuffle"
    classifier: str | None = None
    """Kind of its network; an arm that is trained with another has no such cell. None: the publication has only one."""
    size: int | None = None
    """Pixels a side of its images; data sets of another size have no such cell."""
    label: str = ""
    """What a table of what was printed calls it; given to all cells or to none."""


class Sizes(_Part):
    """Images of a data set, as printed."""

    type: str
    train: int
    validation: int
    test: int


class Best(_Part):
    """The model that the publication calls the best of a data set, and its gains over cells, as printed."""

    cell: Word
    model: str
    gains: dict[Word, str]


class PrintedTable(_Part):
    """One table of the publication."""

    number: str
    shows: TableName
    note: str = ""
    sizes: dict[str, Sizes] = {}
    """By data set."""
    scores: dict[str, dict[Word, dict[str, float]]] = {}
    """Data set, cell, metric: percent."""
    spreads: dict[str, dict[Word, dict[str, float]]] = {}
    """The same, of `scores`: the printed standard deviations."""
    absent: str = "not printed"
    """Why a cell has no score."""
    bold: dict[str, dict[str, tuple[Word, ...]]] = {}
    """Data set, metric: cells in bold type. Kept for the record; no page shows them."""
    improved_over: dict[str, dict[Word, str]] = {}
    """Data set, cell: whether the best of the table is called better than that cell."""
    metric: str | None = None
    """Of `best`."""
    best: dict[str, Best] = {}
    """By data set."""


class PrintedFigure(_Part):
    """One figure of the publication: what it shows, of which data set, classifier or generator."""

    number: str
    shows: Literal["montage", "classes", "layers", "diagram", "losses", "images", "confusion", "curves"]
    dataset: str | None = None
    classifier: str | None = None
    generator: str | None = None
    """Kind of a generator."""
    network: str | None = None
    """Of that generator: encoder, decoder, generator, discriminator ..."""
    parameters: tuple[int, ...] = ()
    """Of the layers that have any, as printed for images of the data set."""


class AddedImages(_Part):
    """Images added to a training set. Kept for the record; no page shows them."""

    percent: float
    images: int


class Inconsistency(_Part):
    """Something in the publication that disagrees with itself, with its code, or with the data today."""

    text: str
    datasets: tuple[str, ...] = ()
    """Data sets that it is about; none for all."""


class Inconsistencies(_Part):
    """What was found, and how."""

    source: str
    found: tuple[Inconsistency, ...]


class Reference(_Part):
    """What a publication printed."""

    name: str
    """Of its file."""
    title: str
    author: str
    called: str
    """In the middle of a sentence."""
    short: str
    """Beside a number."""
    caution: str = ""
    """How its numbers came about, in a sentence."""
    protocol: str = ""
    """How its networks were trained and scored, in sentences."""
    citation: str
    """BibTeX."""
    cells: dict[Word, Cell] = {}
    tables: tuple[PrintedTable, ...] = ()
    added_images: dict[str, AddedImages] = {}
    figures: tuple[PrintedFigure, ...] = ()
    inconsistencies: Inconsistencies | None = None

    @model_validator(mode="after")
    def _cells_are_known(self) -> Self:
        unknown = sorted(set(self._words()) - set(self.cells))
        if unknown:
            raise ValueError(f"cells lacks {', '.join(unknown)}")
        standing = [cell for cell in self.cells.values() if cell.arm is not None]
        if len({(cell.arm, cell.sampling, cell.classifier, cell.size) for cell in standing}) < len(standing):
            raise ValueError("two of its cells have the same arm and sampling, network and size")
        if len({not cell.label for cell in self.cells.values()}) > 1:
            raise ValueError("some of its cells have a label, and others none")
        for table in self.tables:
            for dataset, row in table.spreads.items():
                for word, values in row.items():
                    lone = sorted(set(values) - set(table.scores.get(dataset, {}).get(word, {})))
                    if lone:
                        raise ValueError(
                            f"{table.number}: {dataset}, {word} has a spread without a score: {', '.join(lone)}"
                        )
        return self

    def _words(self) -> Iterator[Word]:
        for table in self.tables:
            for scores in table.scores.values():
                yield from scores
            for improved in table.improved_over.values():
                yield from improved
            for best in table.best.values():
                yield from (best.cell, *best.gains)
            for bold in table.bold.values():
                for words in bold.values():
                    yield from words

    def beside(self, networks: Mapping[str, str], sizes: Mapping[str, int]) -> Self:
        """What of it can stand beside a study: scores of arms that are trained with its network, on images of its size.

        networks: arm → kind of its classifier. sizes: data set → pixels a side.
        """

        def stands(dataset: str, cell: Cell) -> bool:
            return (
                cell.arm is not None
                and (cell.classifier is None or cell.classifier == networks.get(cell.arm))
                and (cell.size is None or cell.size == sizes.get(dataset))
            )

        def narrowed(table: PrintedTable) -> PrintedTable:
            scores = {
                dataset: {word: values for word, values in row.items() if stands(dataset, self.cells[word])}
                for dataset, row in table.scores.items()
            }
            return table.model_copy(update={"scores": {dataset: row for dataset, row in scores.items() if row}})

        return self.model_copy(update={"tables": tuple(map(narrowed, self.tables))})

    def words(self, arm: str, sampling: str) -> list[Word]:
        """What the publication calls a cell: of several networks or sizes, each."""
        return [word for word, cell in self.cells.items() if (cell.arm, cell.sampling) == (arm, sampling)]

    def word(self, arm: str, sampling: str) -> Word | None:
        """The first of these; None where there is none."""
        return next(iter(self.words(arm, sampling)), None)

    def score(self, dataset: str, arm: str, sampling: str, metric: str) -> float | None:
        """A printed test metric as a fraction; None where none was printed."""
        for table in self.tables:
            for word in self.words(arm, sampling):
                value = table.scores.get(dataset, {}).get(word, {}).get(metric)
                if value is not None:
                    return value / 100
        return None

    def table(self, shows: TableName) -> PrintedTable | None:
        """The printed table that stands beside one of ours."""
        return next((table for table in self.tables if table.shows == shows), None)

    def sizes(self, dataset: str) -> Sizes | None:
        """Printed numbers of images."""
        return next((table.sizes[dataset] for table in self.tables if dataset in table.sizes), None)

    def best(self, dataset: str, metric: str) -> Best | None:
        """The best model by a metric."""
        found = (table.best[dataset] for table in self.tables if table.metric == metric and dataset in table.best)
        return next(found, None)

    def gain(self, dataset: str, metric: str, over: tuple[str, str]) -> str | None:
        """The printed gain of the best model over an arm with its sampling."""
        best = self.best(dataset, metric)
        return best.gains.get(self.word(*over) or "") if best else None

    def figure(self, shows: str, **of: str | None) -> PrintedFigure | None:
        """The printed figure of just this: `figure("montage", dataset="pathmnist")`."""
        named = {"dataset", "classifier", "generator", "network"}
        wanted = {word: of.get(word) for word in named if shows != "layers" or word != "dataset"}
        return next(
            (f for f in self.figures if f.shows == shows and all(getattr(f, w) == v for w, v in wanted.items())), None
        )

    @property
    def datasets(self) -> frozenset[str]:
        """Data sets with a printed score."""
        return frozenset(dataset for table in self.tables for dataset in table.scores)


def names() -> tuple[str, ...]:
    """All references, by name."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def load(name: str, folder: Path | None = None) -> Reference:
    """A reference of the folder. Raises ValueError where its file breaks a rule."""
    path = (folder or FOLDER) / f"{name}.yaml"
    content: Mapping[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    try:
        return Reference(name=name, **content)
    except ValidationError as error:
        raise ValueError(f"{path} is not a reference: {error}") from None
