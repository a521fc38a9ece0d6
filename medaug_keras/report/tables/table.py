"""What a table is: columns, rows, and cells that know what stands beside their number and why one is missing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from medaug_keras.measures import MEASURES
from medaug_keras.report.format import in_words, of_points, plural, together, within
from medaug_keras.report.numbers.inference import Comparison
from medaug_keras.report.numbers.measured import Measured
from medaug_keras.report.numbers.printed import Printed
from medaug_keras.report.numbers.results import DEGENERATE, Group, Results, select_words
from medaug_keras.stats import FEW, Crossed, Estimate, Verdict

Kind = Literal[
    "text",
    "sentence",
    "verdict",
    "count",
    "percent",
    "points",
    "effect",
    "size",
    "number",
    "change",
    "distance",
    "p",
    "seconds",
]
Part = Literal["name", "sd", "n", "verdict", "p", "low", "high"]


@dataclass(frozen=True)
class Column:
    """One column. `parts` says what stands beside the number and becomes columns of its own in CSV."""

    key: str
    title: str
    kind: Kind = "text"
    group: str = ""
    parts: tuple[Part, ...] = ()
    help: str = ""
    printed: tuple[str, ...] = ()
    """Short names of references whose values stand beside ours."""
    reasons: bool = False
    """Whether the reason of a cell is written out under its text; otherwise it shows on hover."""
    extra: bool = False
    """Whether a page shows the column only on demand, because the others fill its width; print and files have it."""
    marked: bool = False
    """Whether a verdict is a mark before the number; otherwise its words stand under it."""


@dataclass(frozen=True)
class Entry:
    """One cell: a number or text, what stands beside it, and where it leads."""

    value: float | int | str | None = None
    sd: float | None = None
    n: int | None = None
    planned: int | None = None
    printed: Printed = ()
    """What references printed."""
    verdict: str | None = None
    """What a corrected test says of the number: better, worse, not distinguishable, not tested."""
    p: float | None = None
    """The corrected p behind a verdict."""
    low: float | None = None
    high: float | None = None
    """Ends of a 95 % interval."""
    best: bool = False
    """The highest of its row."""
    tied: bool = False
    """A corrected test does not tell it from the highest of its row."""
    missing: str = ""
    """Why there is no value, or why there are fewer replicates than planned."""
    href: str = ""
    tags: tuple[str, ...] = ()
    """Words set beside the value: simulated, unverified copy, a state."""
    name: str | None = None
    """The study's own name of what the value calls by its title or label; files have both."""


@dataclass(frozen=True)
class Row:
    """One row; `factors` are what the page filters by."""

    entries: tuple[Entry, ...]
    factors: Mapping[str, str] = field(default_factory=dict)
    anchor: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page. `name` is its address and the name of its files."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    made_by: str
    notes: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    empty: str = "Nothing to show yet."
    look: Literal["", "grid"] = ""
    """A grid is a table of verdicts, each on a ground of its own."""

    @property
    def by_dataset(self) -> bool:
        """Whether every row is of one data set, so that the table can be shown in parts."""
        return bool(self.rows) and all("data set" in row.factors for row in self.rows)

    def of(self, dataset: str) -> "Table":
        """The part that is of the data set with this title; the whole where rows are of no data set."""
        if not self.by_dataset:
            return self
        return replace(self, rows=tuple(row for row in self.rows if row.factors["data set"] == dataset))

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Titles above neighbouring columns, with how many columns each spans."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found

    @property
    def verdicts(self) -> list[str]:
        """The verdicts that marked columns show, in the order of their weight."""
        marked = [i for i, column in enumerate(self.columns) if column.marked]
        there = {row.entries[i].verdict for row in self.rows for i in marked}
        return [word for word in get_args(Verdict) if word in there]

    @property
    def spans(self) -> list[tuple[str, int, bool]]:
        """The same, with whether the columns are shown on demand only; those have a title of their own."""
        found: list[tuple[str, int, bool]] = []
        for column in self.columns:
            if found and (found[-1][0], found[-1][2]) == (column.group, column.extra):
                found[-1] = (column.group, found[-1][1] + 1, column.extra)
            else:
                found.append((column.group, 1, column.extra))
        return found

    @property
    def wordy(self) -> bool:
        """Whether rows are more words than numbers, some of them sentences: a phone shows each row as a card."""
        kinds = [column.kind for column in self.columns]
        words = [kind for kind in kinds if kind in ("text", "sentence", "verdict")]
        return "sentence" in kinds and 2 * len(words) > len(kinds)

    @property
    def usual(self) -> tuple[int, int] | None:
        """Replicates, and how many are planned, of most cells: a note names both, so that only the others say theirs.
        Of equally many cells, those that have all of theirs."""
        places = [i for i, column in enumerate(self.columns) if "n" in column.parts]
        entries = [row.entries[i] for row in self.rows for i in places]
        found = Counter((e.n, e.planned) for e in entries if e.n is not None and e.planned is not None)
        return max(found, key=lambda pair: (found[pair], pair[0] == pair[1], pair)) if found else None

    @property
    def explained(self) -> tuple[str, ...]:
        """Its notes, and what “few images” and ± are where a cell has them and no note says so."""
        notes = self.notes
        if any(_FEW in entry.tags for row in self.rows for entry in row.entries):
            notes += (
                f"Few images: fewer than {FEW} test images (or groups of them) account for almost all of the "
                "difference, so its 95 % interval is too narrow.",
            )
        places = [i for i, column in enumerate(self.columns) if "sd" in column.parts]
        spreads = any(row.entries[i].sd is not None for row in self.rows for i in places)
        if not spreads or any("standard deviation" in note for note in notes):
            return notes
        return (*notes, "±: standard deviation over replicates.")

    @property
    def starts(self) -> frozenset[int]:
        """Places of the columns that begin a group, other than the first."""
        return frozenset(i for i in range(1, len(self.columns)) if self.columns[i].group != self.columns[i - 1].group)

    @property
    def options(self) -> dict[str, list[str]]:
        """Factor → its values, in the order in which they appear."""
        return {
            name: list(dict.fromkeys(value for row in self.rows if (value := row.factors[name])))
            for name in self.factors
        }


_FEW = "few images"
DATASET = Column("dataset", "Data set", parts=("name",))
ARM = Column("arm", "Arm", parts=("name",))


def tags_of(group: Group, select: str) -> tuple[str, ...]:
    """What shows that the accuracy of a group's runs says little, as tags: the gravest sign, and in how many runs."""
    return gravest(group.signs(select), len(group.done))


def gravest(signs: Mapping[str, int], runs: int) -> tuple[str, ...]:
    """The tag of the gravest of these signs, of which each has a number of runs; none where there is no sign."""
    return tuple(f"{_SHORT[sign]} {signs[sign]}/{runs}" for sign in DEGENERATE if sign in signs)[:1]


def verdict_tags(metric: str, groups: Iterable[Group], select: str) -> tuple[str, ...]:
    """The tag of a verdict on the accuracy of groups of which one has runs whose accuracy says little."""
    return (LITTLE_SAID,) if metric == "accuracy" and any(group.signs(select) for group in groups) else ()


def comparison_tags(c: Comparison, select: str) -> tuple[str, ...]:
    """The tags of a comparison's verdict: within which margin it is equivalent, and whether accuracy says little."""
    equal = (within(c.margin),) if c.margin and c.word == "equivalent" else ()
    return (*equal, *verdict_tags(c.metric, (c.group, c.base), select))


def interval_note(found: Iterable[Comparison]) -> tuple[str, ...]:
    """Why an interval can exclude 0 where the verdict is inconclusive, for a table in which that happens."""
    odd = [c for c in found if c.excludes_zero and c.word == "not distinguishable"]
    if not odd:
        return ()
    reasons = [
        "p and verdict are corrected for all comparisons (Holm)" * any(c.largest_family > 1 for c in odd),
        "p also allows for how little so few replicates say of the spread between runs" * any(c.guarded for c in odd),
    ]
    return (
        "Where an interval excludes 0 and the verdict is inconclusive: the interval is of that comparison alone; "
        f"{'; '.join(filter(None, reasons))}.",
    )


def difference_entry(r: Crossed | None, p: float | None, none: str = "the baseline itself, or no baseline") -> Entry:
    """A difference to the baseline with its interval and corrected p; `none` says why there is none."""
    if r is None:
        return Entry(missing=none)
    return Entry(r.effect, low=r.low, high=r.high, p=p, missing=r.reason or "", tags=few_tags(r))


def few_tags(difference: Crossed) -> tuple[str, ...]:
    """The tag of a difference that few test images carry."""
    return (_FEW,) if difference.few else ()


def margin_note(margin: float | None) -> tuple[str, ...]:
    """What “equivalent” means, for the notes of a table with verdicts; none without a margin."""
    if margin is None:
        return ()
    return (
        f"Equivalent: a true difference of {of_points(margin)} or more, either way, is rejected by two one-sided tests "
        "(5 %, p corrected as that of the difference is); also where a smaller difference is shown. Where few images "
        "carry a difference, nothing is called equivalent.",
    )


LITTLE_SAID = "accuracy says little"
_SHORT = {"one class": "one class", "first epoch": "first epoch", "majority": "≤ largest class"}
TAGS = (
    "Tags count the runs whose accuracy says little: “one class”, the network predicts the same class for all test "
    "images; “first epoch”, the first of several epochs was chosen; “≤ largest class”, it is no more accurate than "
    "always predicting the largest class."
)
"""What the tags mean, for the notes of a table that has some."""


def notes_of(rows: Iterable["Row"]) -> tuple[str, ...]:
    """The note that explains tags, where a table has some."""
    short = tuple(_SHORT.values())
    tagged = any(tag.startswith(short) for row in rows for entry in row.entries for tag in entry.tags)
    return (TAGS,) if tagged else ()


def largest_class(results: Results, dataset: str) -> Entry:
    """The accuracy that naming the largest class always has on the test images: the line to beat."""
    share = results.largest_class(dataset)
    return Entry(share, missing="" if share is not None else "the data were not read yet")


LARGEST_CLASS = Column(
    "largest_class",
    "Largest class, acc.",
    "percent",
    help="Accuracy of naming the largest class always: the line to beat",
)


def measured(group: Group | None, epoch: str, metric: str, printed: Printed = (), split: str = "test") -> Entry:
    """A group's mean with its spread; a dash with the reason where there is none."""
    if group is None:
        return Entry(printed=printed, missing="not part of this study")
    found: Estimate = group.estimate(epoch, split, metric)
    if found.mean is None:
        reason = group.reason or f"{MEASURES[metric].label} is not defined on this test set"
        return Entry(printed=printed, missing=reason, href=group.page, planned=found.planned)
    tags = tags_of(group, epoch) if (metric, split) == ("accuracy", "test") else ()
    return Entry(
        found.mean, found.sd, found.n, found.planned, printed, missing=group.reason, href=group.page, tags=tags
    )


def less_baseline(one: Measured, measure: str) -> Entry:
    """An arm's difference to the baseline in one of its measures; of the baseline a dash."""
    r = one.differences.get(measure)
    return difference_entry(r, one.rates.get(measure), "the arm that the others are compared with")


def of_folds(results: Results) -> tuple[str, ...]:
    """The note on synthetic images of data sets with folds, where there are any."""
    found = [results.title(name) for name in results.datasets if results.folds(name)]
    if not found:
        return ()
    return (f"Of {together(found)}, the images of the first fold of each replicate are shown and judged.",)


def not_begun(results: Results, dataset: str, columns: Sequence[Column], factors: Iterable[str]) -> Row:
    """One row in place of many, for a data set of which nothing was run yet: every number a dash."""
    why = "nothing of this data set was run yet"
    words = {"arm": "every arm", "verdict": "not tested"}
    rest = (Entry(words.get(column.key), missing=why) for column in columns[1:])
    shown = {"data set": results.title(dataset), **{name: "" for name in factors if name != "data set"}}
    return Row((dataset_entry(results, dataset), *rest), shown)


def dataset_entry(results: Results, dataset: str) -> Entry:
    """A data set's name with what must be known of it: its warning; of several how many checks failed, or how many."""
    page, marks = f"data-sets.html#{dataset}", results.marks(dataset)
    failed = results.failed_checks(dataset) if len(marks) > 1 else 0
    several = plural(failed, "failed check") if failed else f"{in_words(len(marks))} warnings"
    tags = marks if len(marks) < 2 else [several]
    return Entry(results.title(dataset), href=page, tags=tuple(tags), name=dataset)


def arm_entry(results: Results, arm: str) -> Entry:
    """An arm's label."""
    return Entry(results.label(arm), name=arm)


def variant_entry(results: Results, arm: str, sampling: str) -> Entry:
    """An arm with its sampling."""
    return Entry(results.variant(arm, sampling), name=f"{arm}.{sampling}")


def epoch_words(results: Results) -> str:
    """Which epoch's metrics a table shows, after a comma."""
    return f"of {select_words(results.select)}"
