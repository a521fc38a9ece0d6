"""What the paper has and where our page of it is: its 5 tables, its 44 figures, its printed layer tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from medaug_keras.report.format import TITLES
from medaug_keras.report.numbers.results import Results

DATASETS = (
    "pathmnist",
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "breastmnist",
    "organamnist",
    "organcmnist",
    "organsmnist",
)
"""In the paper's order, which numbers its figures."""


def montage_figure(dataset: str) -> int | None:
    """Figs. 1 to 8."""
    return DATASETS.index(dataset) + 1 if dataset in DATASETS else None


def distribution_figure(dataset: str) -> int | None:
    """Figs. 10 to 17."""
    return DATASETS.index(dataset) + 10 if dataset in DATASETS else None


def confusion_figure(dataset: str) -> int | None:
    """Figs. 29, 31 … 43."""
    return 2 * DATASETS.index(dataset) + 29 if dataset in DATASETS else None


def curves_figure(dataset: str) -> int | None:
    """Figs. 30, 32 … 44."""
    return 2 * DATASETS.index(dataset) + 30 if dataset in DATASETS else None


@dataclass(frozen=True)
class Place:
    """One line of the index."""

    name: str
    content: str
    href: str
    note: str = ""


def index(results: Results) -> tuple[list[Place], list[Place]]:
    """The paper's tables, and its figures, each with its place in this study's pages."""
    tables = [
        Place("Table 1", "Data sets and their sizes", "data-sets.html#table-1"),
        Place("Table 2", "Test AUC and accuracy with geometric augmentation", "results.html#table-2"),
        Place("Table 3", "Test AUC and accuracy with generated images, shuffled", "results.html#table-3"),
        Place("Table 4", "Test AUC and accuracy with generated images, weighted sampling", "results.html#table-4"),
        Place("Table 5", "Best model of each data set", "results.html#table-5"),
    ]
    has = set(results.datasets)

    def of(dataset: str, page: str, number: int, content: str) -> Place:
        name, title = f"Fig. {number}", TITLES[dataset]
        if dataset in has:
            return Place(name, f"{content}, {title}", f"{page}#fig-{number}")
        return Place(name, f"{content}, {title}", page, f"{title} is not part of this study")

    figures = [of(d, "data-sets.html", i, "Montage of training images") for i, d in enumerate(DATASETS, 1)]
    figures.append(Place("Fig. 9", "Layers of the classifier", "models.html#fig-9"))
    figures += [of(d, "data-sets.html", i, "Class distribution") for i, d in enumerate(DATASETS, 10)]
    for number, content in MODEL_FIGURES.items():
        figures.append(Place(f"Fig. {number}", content, f"models.html#fig-{number}"))
    for number, dataset, content in (
        (27, "pathmnist", "Training losses of the generators"),
        (28, "dermamnist", "Generated images"),
    ):
        note = (
            "" if dataset in has else f"{TITLES[dataset]} is not part of this study; those of its data sets are there"
        )
        figures.append(Place(f"Fig. {number}", f"{content}, {TITLES[dataset]}", f"generators.html#fig-{number}", note))
    for i, dataset in enumerate(DATASETS):
        figures.append(of(dataset, "best-models.html", 29 + 2 * i, "Confusion matrix of the best model"))
        figures.append(of(dataset, "best-models.html", 30 + 2 * i, "Accuracy and AUC per epoch of the best model"))
    return tables, figures


MODEL_FIGURES = {
    18: "Diagram of a Conditional VAE",
    19: "Decoder of the Conditional VAE",
    20: "Encoder of the Conditional VAE",
    21: "Diagram of a Joint VAE",
    22: "Decoder of the Joint VAE",
    23: "Encoder of the Joint VAE",
    24: "Diagram of a Conditional GAN",
    25: "Discriminator of the Conditional GAN",
    26: "Generator of the Conditional GAN",
}

_DECODER = (1_179_904, 512, 295_040, 256, 73_792, 128, 18_464, 64, 9_248, 64, 9_248, 64, 867)
PRINTED_LAYERS: dict[int, tuple[int, ...]] = {
    9: (448, 32, 2_320, 32, 9_280, 128, 36_928, 128, 36_928, 128, 131_200, 16_512, 1_161),
    19: (109 * 2048 + 2048, *_DECODER),
    20: (1_184, 64, 18_496, 128, 73_856, 256, 295_168, 512, 1_180_160, 1_024),
    22: (110 * 2048 + 2048, *_DECODER),
    23: (896, 64, 18_496, 128, 73_856, 256, 295_168, 512, 1_180_160, 1_024),
    25: (896, 32_832, 512, 512, 4_096, 131_200, 524_544, 4_097, 36_864, 36_873),
    26: (409_856, 2_304, 2_304, 524_416, 1_152, 1_152, 131_136, 576, 576, 3_075),
}
"""Figure → parameters of its layers that have any, as printed, for PathMNIST (RGB, 9 classes).

Figs. 19 and 22 print the dense layer in front by its sizes only (109 or 110 to 2048, with biases).
"""
PRINTED_TOTALS = {number: sum(counts) for number, counts in PRINTED_LAYERS.items()}
"""Figs. 9, 20, 23, 25 and 26 print this sum; Figs. 19 and 22 print it in three parts."""


def beside(figure: int, parameters: Sequence[int]) -> list[int | None]:
    """For every layer of ours, the printed count that stands in its place; None where there is none.

    Layers without parameters are passed over. Where both sides differ over a stretch of the same length they are put
    side by side, which is what another number of channels or classes looks like.
    """
    ours = [(place, count) for place, count in enumerate(parameters) if count]
    said = PRINTED_LAYERS[figure]
    found: list[int | None] = [None] * len(parameters)
    matcher = SequenceMatcher(None, [count for _, count in ours], said, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal" or (what == "replace" and b - a == d - c):
            for (place, _), count in zip(ours[a:b], said[c:d], strict=True):
                found[place] = count
    return found


@dataclass(frozen=True)
class Inconsistency:
    """Something in the paper that disagrees with itself, with its code, or with the data today."""

    text: str
    datasets: tuple[str, ...] = ()
    """Data sets that it is about; none for all."""


INCONSISTENCIES = (
    Inconsistency(
        "Table 3, OctMNIST accuracy: 72.50 (Conditional VAE) is bold; the highest is 73.00 (Joint VAE).", ("octmnist",)
    ),
    Inconsistency(
        "Table 3, BreastMNIST AUC: 83.31 (Conditional GAN) is bold but the lowest of its row; the highest is 87.49 "
        "(Conditional VAE).",
        ("breastmnist",),
    ),
    Inconsistency(
        "Table 4, PneumoniaMNIST AUC: 95.30 (Conditional VAE) is bold; the highest is 95.87 (Conditional GAN).",
        ("pneumoniamnist",),
    ),
    Inconsistency(
        "Table 5, BreastMNIST: the gain over weighted sampling is printed as +1.41; 85.90 − 84.62 is +1.28.",
        ("breastmnist",),
    ),
    Inconsistency(
        "Table 5: the last two headings are exchanged (“Loss Convergence” leads to confusion matrices), and the curves "
        "show accuracy and AUC, not a loss."
    ),
    Inconsistency("The “improved” columns hold for accuracy; by AUC six of them would read otherwise."),
    Inconsistency(
        "“Weighted sampling improves 7 of 8 data sets” holds for accuracy (5 of 8 by AUC); three of the "
        "gains are 0.39, "
        "0.07 and 0.02 points. The best arm is chosen on the test set throughout."
    ),
    Inconsistency(
        "Table 2, OrganSMNIST: the baseline AUC of 97.46 is more than a point above every other AUC of that "
        "data set; it "
        "may be a misprint of 96.46.",
        ("organsmnist",),
    ),
    Inconsistency(
        "76.6, 68.8 (OctMNIST) and 85.9 (BreastMNIST) are printed with one decimal.", ("octmnist", "breastmnist")
    ),
    Inconsistency(
        "Latent dimensions are 150, 100 + 50 and 128 in the text, but 100, 100 + 10 and 100 in Figs. 19, 22 and 26."
    ),
    Inconsistency("The GAN is trained for 100 epochs in the text; the axis of Fig. 27 ends at 50.", ("pathmnist",)),
    Inconsistency(
        "Fig. 25 lists a class head with 36,873 parameters that neither the text's losses nor the published code have; "
        "without it the total is 735,553."
    ),
    Inconsistency(
        "The text has a binary cross-entropy for two classes; the published checkpoints have two logits "
        "(softmax), which "
        "is the same function of their difference.",
        ("pneumoniamnist", "breastmnist"),
    ),
    Inconsistency(
        "The text reports the epoch with the best validation accuracy; the published code reports the last epoch (its "
        "copy of the best weights is overwritten). Checked on the checkpoints of two data sets."
    ),
    Inconsistency(
        "The columns of Table 2 without weighted sampling come from runs with it: the published code "
        "overwrites the switch "
        "before testing it. Tables 3 and 4 honour the switch, so Table 2 cannot be compared with Table 3. Checked on "
        "BreastMNIST's checkpoints; for the others read from the code."
    ),
    Inconsistency(
        "The Joint VAE's reconstructions pass, in the published code, as identical pairs through a network in training "
        "mode, which removes what they show: half of that arm's training set has no information about its label."
    ),
    Inconsistency(
        "Added images are “inversely proportional to the scarcity of a class”: the published formula favours "
        "rare classes, "
        "and its weights are listed in the order in which classes first appear, so they reach other classes."
    ),
    Inconsistency(
        "Figs. 10–17: the panels of validation and test are exchanged.",
    ),
    Inconsistency(
        "Table 1's Organ sizes are those before MedMNIST 2.2.4, which removed blank images.",
        ("organamnist", "organcmnist", "organsmnist"),
    ),
    Inconsistency(
        "Arms with generated images take 4 to 10 % more training steps an epoch, the Joint VAE's 100 % more; "
        "every cell is "
        "one run without a fixed seed."
    ),
)
"""Found by recounting the printed tables and reading the published code (its final notebook could not be read)."""
