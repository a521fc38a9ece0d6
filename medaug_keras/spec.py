"""What a study may say. The only home of settings and their defaults.

Every class is one section of the YAML file. Unknown keys are errors. The string below a field becomes its description
in the JSON Schema and in editors. Nothing here imports Keras or Torch: checking a study takes a moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from medaug_keras.generators import FLOW_WIDTHS

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40),
    Field(description="Lower-case letters, digits, - and _; it becomes part of file names."),
]
ArmName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*(\.[0-9]+)?$", max_length=40),
    Field(description="Lower-case letters, digits, - and _; a decimal may end it, as in flow-0.5."),
]
"""Of an arm or a generator, which `vary` names after a value."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Probability = Annotated[float, Field(ge=0, le=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Sampling = Literal["shuffle", "weighted"]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Builder = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*:[A-Za-z_]\w*$", max_length=100)]
"""FILE:FUNCTION, in a file beside the study."""

Metric = Literal["accuracy", "auc", "balanced_accuracy", "macro_f1"]
Select = Literal[
    "best_validation_accuracy",
    "best_validation_auc",
    "best_validation_balanced_accuracy",
    "best_validation_loss",
    "last",
]
FOLLOWS: dict[Metric, Select] = {
    "accuracy": "best_validation_accuracy",
    "auc": "best_validation_auc",
    "balanced_accuracy": "best_validation_balanced_accuracy",
    "macro_f1": "best_validation_balanced_accuracy",
}
"""Primary metric → the rule for epochs that follows it; no rule ranks by macro F1, so the nearest stands in."""

MedMnistName = Literal[
    "pathmnist",
    "chestmnist",
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "retinamnist",
    "breastmnist",
    "bloodmnist",
    "tissuemnist",
    "organamnist",
    "organcmnist",
    "organsmnist",
]


# --- where a setting is in a key -------------------------------------------------------------------
#
# A setting is in the key of the task that its section belongs to, unless its annotation has one of these marks.


@dataclass(frozen=True)
class Birth:
    """Mark of a setting that was added later: at this value, it is left out of the key.

    Under this value the program does what it did before the setting existed, so results made before stay valid. The
    birth value never changes, whatever becomes of the default.
    """

    value: Any

    def is_(self, value: Any) -> bool:
        """Whether a plain JSON value is this one: 0 is not False."""
        return type(value) is type(self.value) and bool(value == self.value)


@dataclass(frozen=True)
class _Mark:
    name: str


SHOWN = _Mark("shown")
"""Mark of a setting that says where data are or how a result is shown, not how it is made: it is in no key."""
SYNTHESIS = _Mark("synthesis")
"""Mark of a generator's setting that is used when images are made: it is in the key of the synthesis, not of the
training."""
CHOICE = _Mark("choice")
"""Mark of a setting that says how another is chosen: it is in the key of what takes the chosen value, not of the
training runs that it is chosen by."""
PLACE = _Mark("place")
"""Mark of a setting that is the path of a file or folder of the user's: relative paths start at the study's folder, and
what is published has a name in its place."""


Side = Annotated[int, Field(ge=8, le=512)]
"""Rows and columns of square images, in pixels."""
Fit = Literal["crop", "pad", "stretch"]
Filter = Literal["bilinear", "box", "bicubic", "lanczos"]
PhantomName = Literal["phantom-ultrasound", "phantom-histology", "phantom-planted"]


class _Part(BaseModel):
    """One section of a study."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, strict=True
    )


# --- data sets -------------------------------------------------------------------------------------


VOLUMES = "is one of MedMNIST's 3-D sets, whose images are volumes; only the 2-D sets are supported: leave it out"


Corruption = Literal["noise", "shot_noise", "impulse_noise", "blur", "brightness", "contrast", "jpeg"]


class Corruptions(_Part):
    """A further test set: the data set's own test images, corrupted. Networks that are trained already are tried on
    it."""

    kind: Literal["corruptions"]
    severity: Annotated[int, Field(ge=1, le=5)] = 3
    """From 1, the least, to 5, as Hendrycks and Dietterich (2019) set them for images of 32 x 32 pixels."""
    kinds: tuple[Corruption, ...] = ("noise", "blur", "brightness", "contrast", "jpeg")
    """Each makes all test images anew; the score is the mean over these kinds."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if not self.kinds:
            raise ValueError("names no corruption in kinds; name one, or leave kinds out")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("names a corruption twice in kinds; keep one")
        return self


class _Data(_Part):
    tests: Annotated[dict[Name, "Further"], SHOWN] = {}
    """Further test sets by name, on which the trained networks are tried: its own test images corrupted, or images from
    elsewhere. Nothing is trained again."""
    positive: Annotated[Text | Annotated[int, Field(ge=0)] | None, SHOWN] = None
    """Of two classes, the one that is looked for, by its name or its number from 0. Left out, malignant of BreastMNIST
    and of the simulated ultrasound, pneumonia of PneumoniaMNIST; of other sets none, and the second in PR-AUC."""
    ordinal: Annotated[bool | None, SHOWN] = None
    """Whether classes are grades, such as stages of a disease, in the order in which they stand; then errors in grades
    are shown too. Left out, those of RetinaMNIST are."""
    called: ClassVar[str]
    """What one of this kind is called in messages."""
    sought: ClassVar[Mapping[str, int]] = {}
    """Published or simulated set of two classes → the number of the class that is looked for."""
    graded: ClassVar[tuple[str, ...]] = ()
    """Published sets whose classes are grades."""
    sizes: ClassVar[tuple[int, ...]] = ()
    """The only sizes that there are; empty where any will do."""
    ending: ClassVar[str] = ""
    """Of the file with the user's images, as published studies name it."""

    @classmethod
    def published(cls) -> tuple[str, ...]:
        """The published or simulated sets of which a section names one; none where the images are the user's."""
        field = cls.model_fields.get("name")
        return tuple(name for form in get_args(field.annotation) for name in get_args(form)) if field else ()

    @classmethod
    def refused(cls, name: str) -> str | None:
        """Why a set of this name cannot be used; None where nothing speaks against it."""
        return None

    @property
    def side(self) -> int:
        """Pixels a side of its images; 28 where a section says nothing else."""
        return getattr(self, "size", None) or 28

    @property
    def folds(self) -> "Parts | None":
        """How its images are cut into folds; None where they are in splits."""
        split = getattr(self, "split", None)
        return split if split is not None and split.folds is not None else None

    @property
    def outside(self) -> "dict[str, Data]":
        """The further test sets whose images are from elsewhere."""
        return {name: part for name, part in self.tests.items() if not isinstance(part, Corruptions)}

    def many_classes(self, name: str) -> bool:
        """Whether the set is known to have more than two classes before its images are read."""
        return False

    def grades(self, name: str) -> bool:
        """Whether classes are grades in their order."""
        if self.ordinal is not None:
            return self.ordinal
        return (getattr(self, "name", None) or name) in self.graded

    def positive_class(self, name: str, classes: Sequence[str]) -> int | None:
        """The number of the class that is looked for; None where there is none, or `positive` names none of them."""
        asked = self.positive
        if len(classes) != 2:
            return None
        if asked is None:
            return self.sought.get(getattr(self, "name", None) or name)
        if str(asked) in classes:
            return list(classes).index(str(asked))
        return asked if isinstance(asked, int) and asked < 2 else None


_VALIDATION = 0.15  # of all images, with folds


class Parts(_Part):
    """Which image is in which split: fractions or folds that are drawn by group, a column of the table, or a file."""

    train: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Fraction of the images. Where images have groups, no group is parted, and classes are divided as alike as groups
    allow."""
    validation: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Of all images, with folds too; there 0.15 where it is left out."""
    test: Annotated[float | None, Field(gt=0, lt=1)] = None
    folds: Annotated[int | None, Field(ge=2, le=20)] = None
    """Cross-validation in so many folds: in each replicate every image is tested once, by networks that saw nothing of
    its group."""
    seed: Seed = 0
    """Of the draw of fractions, the same in every replicate; or of folds, which every replicate draws anew."""
    column: Text | None = None
    """A column of the table that says train, validation (or val) or test."""
    file: Annotated[Text | None, PLACE] = None
    """A CSV file with the columns image and split, such as the one that a run wrote."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.folds is not None:
            return self._folded(self.folds)
        fractions = (self.train, self.validation, self.test)
        given = [any(part is not None for part in fractions), self.column is not None, self.file is not None]
        if sum(given) != 1:
            raise ValueError("takes the fractions train, validation and test, or folds, or a column, or a file")
        if given[0]:
            if any(part is None for part in fractions):
                raise ValueError("needs all three fractions: train, validation and test")
            total = sum(part for part in fractions if part is not None)
            if abs(total - 1) > 1e-6:
                raise ValueError(f"has fractions whose sum is {total:g}; it must be 1")
        return self

    def _folded(self, folds: int) -> Self:
        others = [name for name in ("train", "test", "column", "file") if getattr(self, name) is not None]
        if others:
            raise ValueError(
                f"has folds and {' and '.join(others)}. With folds, each fold tests its part of the images, and trains "
                "on what validation leaves: give folds and validation only"
            )
        if self.validation is None:
            self.__dict__["validation"] = _VALIDATION  # a frozen part is not finished before its validators are
        if (self.validation or 0) + 1 / folds > 1 - 1e-9:
            raise ValueError(
                f"leaves no images to train on: each of {folds} folds tests {1 / folds:.3g} of them, and validation "
                f"takes {self.validation:g}"
            )
        return self


class Bands(_Part):
    """A column of numbers that parts images into bands."""

    column: Text
    at: Annotated[tuple[float, ...], Field(min_length=1)]
    """Where one band ends and the next begins, rising: 40 is in the band from 40 on."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(low >= high for low, high in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("has bands in at that do not rise; write the smaller numbers first, each once")
        return self


class Ids(_Part):
    """A table with a row for each image of an .npz file, which says what the images belong to."""

    path: Annotated[Text, PLACE]
    """The CSV or TSV file; a relative path starts at the study file's folder."""
    group: Text
    """The column that says which images belong together, such as a patient's."""
    image: Text | None = None
    """The column with the image's name; left out, it is named by its split and index."""
    split: Text = "split"
    """The column that says train, validation (or val) or test."""
    index: Text = "index"
    """The column with the place in the split's arrays, from 0."""


def _check_subgroups(subgroups: Sequence[Text | Bands], told: Mapping[str | None, str]) -> None:
    """`told`: column → what else it says. Raises ValueError."""
    columns = [one if isinstance(one, str) else one.column for one in subgroups]
    if len(set(columns)) < len(columns):
        raise ValueError("names a column twice in subgroups; keep one")
    for column in columns:
        if column in told:
            raise ValueError(f"names {column} in subgroups, which is its {told[column]}: leave it out there")


def _subgroups_of_ids(subgroups: Sequence[Text | Bands], ids: Ids | None) -> None:
    """Raises ValueError."""
    if subgroups and ids is None:
        raise ValueError("has subgroups, which are columns of a table of its images, and no such table: add ids")
    if ids is not None:
        _check_subgroups(subgroups, {getattr(ids, word): word for word in ("image", "group", "split", "index")})


class MedMnistData(_Data):
    """A 2-D MedMNIST data set, downloaded when it is not there."""

    kind: Literal["medmnist"] = "medmnist"
    name: Annotated[MedMnistName | None, SHOWN] = None
    """MedMNIST's name of the data set; left out, it is the key in `datasets`."""
    accept_unverified: Annotated[bool, SHOWN] = False
    """Use a local file whose MD5 is not the official one; pages then say "unverified copy"."""
    size: Annotated[Literal[28, 64, 128, 224], Birth(28)] = 28
    """Pixels a side; 64, 128 and 224 are the files of MedMNIST+."""
    ids: Annotated[Ids | None, SHOWN] = None
    """A table that says which images belong together; what it says is in the key."""
    subgroups: Annotated[tuple[Text | Bands, ...], SHOWN] = ()
    """Columns of the table of ids by which results are shown for some of the test images, such as sex, or
    {column: age, at: [40, 60]} in bands. Names of the columns and their values are published."""
    drop: Annotated[Text | None, SHOWN, PLACE] = None
    """A CSV file whose column image names images to leave out, as SPLIT/PLACE (such as train/12) or as `ids` names
    them; what it names is in the key."""
    called: ClassVar[str] = "MedMNIST data set"
    sought: ClassVar[Mapping[str, int]] = {"breastmnist": 0, "pneumoniamnist": 1}
    graded: ClassVar[tuple[str, ...]] = ("retinamnist",)
    sizes: ClassVar[tuple[int, ...]] = (28, 64, 128, 224)

    @model_validator(mode="after")
    def _subgroups(self) -> Self:
        _subgroups_of_ids(self.subgroups, self.ids)
        return self

    @classmethod
    def refused(cls, name: str) -> str | None:
        """3-D sets."""
        return f"{name} {VOLUMES}" if name.endswith("mnist3d") else None

    def many_classes(self, name: str) -> bool:
        """All but two sets have more than two classes."""
        return name in self.published() and name not in ("breastmnist", "pneumoniamnist")


class PhantomData(_Data):
    """Simulated images from a seed: nothing to download, and how they were made is known. Not patients."""

    kind: Literal["phantom"]
    name: Annotated[PhantomName | None, SHOWN] = None
    """Which phantom; left out, it is the key in `datasets`."""
    train: PositiveInt = 546
    """Training images (BreastMNIST's number)."""
    validation: PositiveInt = 78
    test: PositiveInt = 156
    seed: Seed = 0
    """Of the images; the same in every replicate."""
    size: Annotated[Side, Birth(28)] = 28
    """Pixels a side."""
    called: ClassVar[str] = "phantom"
    sought: ClassVar[Mapping[str, int]] = {"phantom-ultrasound": 0}

    def many_classes(self, name: str) -> bool:
        """One phantom has more than two classes."""
        return name == "phantom-histology"


class _OwnData(_Data):
    """What own images have in common."""

    path: Annotated[Text, SHOWN, PLACE]
    title: Annotated[Text | None, SHOWN] = None
    size: Side | None = None
    """Pixels a side that images of another size are resized to; left out, they must be 28 x 28."""
    fit: Annotated[Fit | None, Birth(None)] = None
    """How images that are not square become so. crop: the middle. pad: black borders. stretch: squeezed. Left out, such
    images are an error."""
    filter: Annotated[Filter, Birth("bilinear")] = "bilinear"
    """Pillow's filter for resizing; each averages where it shrinks."""
    licence: Annotated[Text | None, SHOWN] = None
    citation: Annotated[Text | None, SHOWN] = None


class Window(_Part):
    """Which values of more than 8 bits become 0 to 255: from low to high, or around a centre, or by percentiles."""

    low: float | None = None
    """The value that becomes 0, and all below it."""
    high: float | None = None
    """The value that becomes 255, and all above it."""
    centre: float | None = None
    """The middle of the range."""
    width: PositiveFloat | None = None
    """The length of the range."""
    percentiles: tuple[Annotated[float, Field(ge=0, le=100)], Annotated[float, Field(ge=0, le=100)]] | None = None
    """Percent of all pixels of the training images that lie below the range, and below its end, such as [0.5, 99.5]."""
    dicom: Annotated[bool, Birth(False)] = False
    """What each DICOM file names for its own display: its first table (VOI LUT), or its first window."""

    @model_validator(mode="after")
    def _one_range(self) -> Self:
        given = {
            name
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None and value is not False
        }
        if given not in ({"low", "high"}, {"centre", "width"}, {"percentiles"}, {"dicom"}):
            raise ValueError("takes low and high, or centre and width, or percentiles, or dicom: one of the four")
        if self.dicom:
            return self
        low, high = self.percentiles or (self.low or 0, self.high or 0)
        if self.centre is None and not low < high:
            raise ValueError("ends before it begins: the first value is the lower one")
        return self


class NpzData(_OwnData):
    """Your own images in one .npz file, with MedMNIST's array names (train_images, train_labels, val_images ...)."""

    kind: Literal["npz"]
    path: Annotated[Text, SHOWN, PLACE]
    """The file; a relative path starts at the study file's folder."""
    classes: Annotated[tuple[Text, ...] | None, SHOWN] = None
    """Names of the classes, in the order of the labels; or of the findings, in the order of their columns."""
    window: Annotated[Window | None, Birth(None)] = None
    """Which range of values of other numbers than uint8 becomes 0 to 255; left out, such images are an error."""
    ids: Annotated[Ids | None, SHOWN] = None
    """A table that says which images belong together; what it says is in the key."""
    subgroups: Annotated[tuple[Text | Bands, ...], SHOWN] = ()
    """Columns of the table of ids by which results are shown for some of the test images, such as sex, or
    {column: age, at: [40, 60]} in bands. Names of the columns and their values are published."""
    drop: Annotated[Text | None, SHOWN, PLACE] = None
    """A CSV file whose column image names images to leave out, as SPLIT/PLACE (such as train/12) or as `ids` names
    them; what it names is in the key."""
    called: ClassVar[str] = "file of arrays"
    ending: ClassVar[str] = ".npz"

    @model_validator(mode="after")
    def _subgroups(self) -> Self:
        _subgroups_of_ids(self.subgroups, self.ids)
        return self

    def many_classes(self, name: str) -> bool:
        """As many as are named."""
        return len(self.classes or ()) > 2


class FolderData(_OwnData):
    """Your own images in folders: PATH/train/CLASS/*.png, PATH/val/..., PATH/test/...; or PATH/CLASS/*.png, split."""

    kind: Literal["folder"]
    path: Annotated[Text, SHOWN, PLACE]
    """The folder; a relative path starts at the study file's folder."""
    colour: Literal["grey", "rgb"] | None = None
    """What the images are converted to; left out, the files decide, and they must agree."""
    window: Annotated[Window | None, Birth(None)] = None
    """Which range of values of more than 8 bits becomes 0 to 255; left out, such images are an error."""
    # What is in the key of these is what comes of them: the fingerprint has every image's class, split and group.
    split: Annotated[Parts | None, SHOWN] = None
    """Splits the images of PATH/CLASS/*.png; left out, PATH has the folders train, validation (or val) and test."""
    group: Annotated[Literal["folder"] | None, SHOWN] = None
    """folder: the images of one folder below a class belong together, as PATH/CLASS/PATIENT/*.png."""
    frame: Annotated[PositiveInt | None, SHOWN] = None
    """Which frame of each DICOM file, or page of each TIFF, is the image, from 1; left out, files hold one image."""
    drop: Annotated[Text | None, SHOWN, PLACE] = None
    """A CSV file whose column image names images to leave out."""
    publish_split: Annotated[bool, SHOWN] = False
    """Put which image is in which split among the study's pages, with the names of images and groups."""
    called: ClassVar[str] = "folder of images"
    ending: ClassVar[str] = ""


class TableData(_OwnData):
    """Your own images as a table lists them: a row for each image, with its file, class, group and split."""

    kind: Literal["table"]
    path: Annotated[Text, SHOWN, PLACE]
    """The CSV or TSV file; a relative path starts at the study file's folder."""
    # What is in the key of these is what comes of them: the fingerprint has every image's class, split and group.
    image: Annotated[Text, SHOWN]
    """A column with each image's file, or a pattern over columns such as "images/{image_id}.jpg"; relative to the
    table's folder."""
    label: Annotated[Text | None, SHOWN] = None
    """The column with the class."""
    labels: Annotated[tuple[Text, ...] | None, Field(min_length=2), SHOWN] = None
    """In place of `label`, where images have several findings, or none: a column for each, of 1 where the image has it,
    else 0."""
    group: Annotated[Text | None, SHOWN] = None
    """The column that says which images belong together, such as a patient's; no group is parted between splits."""
    split: Annotated[Parts | None, SHOWN] = None
    """Which image is in which split. Only a further test set may leave it out: then all its images are tried."""
    classes: Annotated[tuple[Text, ...] | None, SHOWN] = None
    """The classes as the table has them, in the wanted order; left out, by number or alphabet."""
    frame: Annotated[PositiveInt | Text | None, SHOWN] = None
    """Which frame of each DICOM file, or page of each TIFF, is the image, from 1: a number, or the column that says it;
    left out, files hold one image."""
    missing: Annotated[Literal["drop"] | None, SHOWN] = None
    """drop leaves rows with a missing value or without a file out, and pages count them; left out, they are errors."""
    encoding: Annotated[Text | None, SHOWN] = None
    """Of the table, such as cp1252; left out, UTF-8, or what a mark at its beginning says."""
    drop: Annotated[Text | None, SHOWN, PLACE] = None
    """A CSV file whose column image names images to leave out."""
    publish_split: Annotated[bool, SHOWN] = False
    """Put which image is in which split among the study's pages, with the names of images and groups."""
    subgroups: Annotated[tuple[Text | Bands, ...], SHOWN] = ()
    """Columns by which results are shown for some of the test images, such as sex, or {column: age, at: [40, 60]} in
    bands. Names of the columns and their values are published."""
    colour: Literal["grey", "rgb"] | None = None
    """What the images are converted to; left out, the files decide, and they must agree."""
    window: Annotated[Window | None, Birth(None)] = None
    """Which range of values of more than 8 bits becomes 0 to 255; left out, such images are an error."""
    called: ClassVar[str] = "table of images"
    ending: ClassVar[str] = ".csv"

    @model_validator(mode="after")
    def _subgroups(self) -> Self:
        told = {self.image: "image", self.group: "group"} | dict.fromkeys(self.labels or (self.label,), "labels")
        _check_subgroups(self.subgroups, told)
        return self

    @model_validator(mode="after")
    def _label_or_labels(self) -> Self:
        if (self.label is None) is (self.labels is None):
            raise ValueError("takes label, the column with the class, or labels, a column for each finding")
        if self.labels is None:
            return self
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("names a finding twice in labels; keep one")
        if self.ordinal:
            raise ValueError("has labels, which are findings and no grades: leave ordinal out")
        if self.classes is not None:
            raise ValueError("has labels, which name the findings: leave classes out")
        if self.folds is not None:
            raise ValueError(
                "has several findings an image, and such images are not cut into folds yet: give fractions, a column "
                "or a file"
            )
        return self

    def many_classes(self, name: str) -> bool:
        """As many as are named."""
        return len(self.classes or self.labels or ()) > 2


Data = Annotated[MedMnistData | PhantomData | NpzData | FolderData | TableData, Field(discriminator="kind")]
Further = Annotated[
    Corruptions | MedMnistData | PhantomData | NpzData | FolderData | TableData, Field(discriminator="kind")
]
for _kind_of_data in (MedMnistData, PhantomData, NpzData, FolderData, TableData):
    _kind_of_data.model_rebuild()  # their further test sets are of these kinds, too


# --- optimizers ------------------------------------------------------------------------------------


def _kind(default: str) -> Discriminator:
    """Chooses the form of a section by its `kind`; a section that names none has the default."""

    def of(section: Any) -> str | None:
        if isinstance(section, Mapping):
            return str(section.get("kind", default))
        return getattr(section, "kind", None)

    return Discriminator(of)


class _Sgd(_Part):
    learning_rate: PositiveFloat = 0.001
    momentum: Momentum = 0.9
    nesterov: Annotated[bool, Birth(False)] = False
    """Look ahead: the gradient's own step is added to that of the momentum."""
    weight_decay: Annotated[NonNegativeFloat, Birth(0.0)] = 0.0
    """Times each weight, added to its gradient."""

    @model_validator(mode="after")
    def _looks_ahead(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("has nesterov without momentum; give it a momentum, such as 0.9")
        return self


class Sgd(_Sgd):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = "sgd"


class OtherSgd(_Sgd):
    """The same, where another optimizer is the default."""

    kind: Literal["sgd"]


class _Adam(_Part):
    learning_rate: PositiveFloat = 0.001
    beta_1: Momentum = 0.9
    beta_2: Momentum = 0.999
    epsilon: PositiveFloat = 1e-8


class Adam(_Adam):
    """Adam; epsilon is PyTorch's 1e-8, not Keras's 1e-7."""

    kind: Literal["adam"] = "adam"


class OtherAdam(_Adam):
    """The same, where another optimizer is the default."""

    kind: Literal["adam"]


class AdamW(_Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"]
    weight_decay: NonNegativeFloat = 0.01
    """Times the learning rate, the part of each weight that a step takes away."""


class GanAdam(Adam):
    """Adam with the values that GANs are trained with; they hold where a study gives only some of them."""

    learning_rate: PositiveFloat = 1e-4
    beta_1: Momentum = 0.5


class GanAdamW(AdamW):
    """AdamW with these values."""

    learning_rate: PositiveFloat = 1e-4
    beta_1: Momentum = 0.5


# --- schedules and losses --------------------------------------------------------------------------


class _Schedule(_Part):
    warm_up: NonNegativeFloat = 0.0
    """Epochs, or parts of one, in which the learning rate rises to its value, by the same amount each step."""


class Constant(_Schedule):
    """The learning rate stays."""

    kind: Literal["constant"] = "constant"


class Drops(_Schedule):
    """The learning rate drops by a factor, once or more often."""

    kind: Literal["steps"]
    at: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.5, 0.75)
    """Parts of all steps after which it drops."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Cosine(_Schedule):
    """The learning rate falls along half a cosine wave."""

    kind: Literal["cosine"]
    end: NonNegativeFloat = 0.0
    """The learning rate after the last step."""


class Loss(_Part):
    """What a classifier minimizes: cross-entropy, as it is or changed."""

    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a class of N_c of the N training images, added ones included, weighs N / (K N_c). Of several findings,
    each with and without it are two classes."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The part of every label that is shared among all classes; of several findings, between with and without it."""
    focal_gamma: NonNegativeFloat = 0.0
    """Of the focal loss (Lin et al. 2017): the term of a class is multiplied by (1 - p) to this power."""


class Budget(_Part):
    """How much every arm is trained, however many images it adds."""

    images: PositiveInt | None = None
    """Images that pass through the network in training, in whole batches."""
    steps: PositiveInt | None = None
    """Batches; instead of images."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.images is None) is (self.steps is None):
            raise ValueError("takes images or steps, one of the two")
        return self


class Tune(_Part):
    """The learning rate of every arm is chosen from some values, each arm with the same number of training runs."""

    learning_rate: Annotated[tuple[PositiveFloat, ...], Field(min_length=2)]
    """The values that are tried, in the place of the optimizer's `learning_rate`. Of two that are equally good, the
    first is taken."""
    seeds: PositiveInt = 2
    """Training runs with each value, whose validation measures are averaged. Their seeds are no replicate's."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(set(self.learning_rate)) < len(self.learning_rate):
            raise ValueError("tries a learning rate twice; keep one")
        return self


# --- the classifier --------------------------------------------------------------------------------


IMAGENET = "imagenet"
"""Weights that Keras has, in the place of a file's."""
WEIGHTS = (".keras", ".weights.h5")
"""Endings of files of weights, as Keras saves them."""


class Sizing(_Part):
    """The size at which an image enters the network. The saved model resizes it."""

    size: Annotated[Side | None, Birth(None)] = None
    """Pixels a side that the network sees; left out, those of the data set."""
    resize: Annotated[Literal["nearest", "bilinear", "pad"], Birth("bilinear")] = "bilinear"
    """How they become so many: enlarged by nearest neighbor or bilinear, or pad: in the middle of a border of zeros."""


class Input(Sizing):
    """What becomes of an image before it enters the network. The saved model does this itself."""

    channels: Annotated[Literal["as_is", "rgb"], Birth("as_is")] = "as_is"
    """rgb repeats the channel of gray images three times."""
    normalise: Annotated[Literal["none", "half", "imagenet"], Birth("half")] = "half"
    """half: values in [-1, 1]. imagenet: less ImageNet's mean, by its standard deviation. none: bytes in 0..255."""


class _Classifier(_Part):
    """What every network is trained by."""

    kind: str
    head: Literal["softmax", "sigmoid"] = "softmax"
    """softmax: cross-entropy on one logit a class. sigmoid: one logit, for two classes only. Where images have several
    findings, each has a logit and a sigmoid of its own whatever this says."""
    epochs: PositiveInt = 20
    batch_size: Annotated[int, Field(ge=2)] = 64
    optimizer: Annotated[
        Annotated[Sgd, Tag("sgd")] | Annotated[OtherAdam, Tag("adam")] | Annotated[AdamW, Tag("adamw")], _kind("sgd")
    ] = Sgd()
    schedule: Annotated[
        Annotated[Constant, Tag("constant")] | Annotated[Drops, Tag("steps")] | Annotated[Cosine, Tag("cosine")],
        _kind("constant"),
        Birth({"kind": "constant", "warm_up": 0.0}),
    ] = Constant()
    """How the learning rate changes from step to step."""
    loss: Annotated[Loss, Birth({"class_weights": "none", "label_smoothing": 0.0, "focal_gamma": 0.0})] = Loss()
    """What is minimized. The validation loss stays the cross-entropy."""
    patience: Annotated[PositiveInt | None, Birth(None)] = None
    """Stop after this many epochs that are not better by the rule of `select`, which then decides what is trained; null
    trains all epochs."""
    budget: Annotated[Budget | None, Birth(None)] = None
    """Every arm is trained with as many images, in `epochs` equal parts; null: in passes over its own training set, so
    that arms with more images train longer."""
    tune: Annotated[Tune | None, Birth(None), CHOICE] = None
    """Choose the learning rate of each arm and data set on validation images, by the measure of `select`; null: it is
    the optimizer's."""
    select: Annotated[Select | None, SHOWN] = None
    """Which epoch tables show; left out, the best by the study's `primary` metric on the validation set (for macro_f1,
    by balanced accuracy). Every rule's epoch is recorded, so a change makes no work. The published code reports the
    last."""
    input: Annotated[Sizing, Birth({})] = Sizing()
    weights: Annotated[Text | None, PLACE, Birth(None)] = None
    """A .keras or .weights.h5 file of the same network, whose weights every run begins with; a relative path starts at
    the study file's folder. The last layer is drawn from the seed where the file's has another number of outputs. The
    key has what is in the file, not its place or name. Left out, random weights."""
    train: Annotated[Literal["all", "head"], Birth("all")] = "all"
    """head trains the last layer alone: the others stay as they are, batch norm included."""

    @field_validator("weights")
    @classmethod
    def _of_keras(cls, weights: str | None) -> str | None:
        if weights is not None and not weights.endswith(WEIGHTS):
            if weights != IMAGENET:
                raise ValueError(f"{weights} is no file of weights; give one that ends in {' or '.join(WEIGHTS)}")
            if not issubclass(cls, Applications):
                raise ValueError(
                    f"{IMAGENET}'s weights come with kind: applications alone; give a file ({' or '.join(WEIGHTS)})"
                )
        return weights

    @property
    def weights_file(self) -> str | None:
        """The user's own file of weights, if there is one."""
        return None if self.weights == IMAGENET else self.weights

    def side(self, size: int) -> int:
        """Pixels a side that the network sees of images of this size."""
        return self.input.size or size


class _Scaled(_Classifier):
    input: Annotated[Input, Birth({})] = Input()


class Cnn(_Scaled):
    """MedMNIST's getting-started network, 235 thousand parameters at 28 x 28."""

    kind: Literal["cnn"] = "cnn"


class Resnet18(_Scaled):
    """Residual network of 18 layers (He et al. 2016), 11.2 million parameters."""

    kind: Literal["resnet18"]
    stem: Literal["small", "standard"] | None = None
    """What comes before the residual blocks. small: a 3 x 3 convolution. standard: one of 7 x 7 with stride 2, and
    pooling. Left out, small below 96 pixels a side."""


class Resnet50(_Scaled):
    """Residual network of 50 layers (He et al. 2016), 23.5 million parameters."""

    kind: Literal["resnet50"]
    stem: Literal["small", "standard"] | None = None
    """As of `resnet18`."""


class Applications(_Classifier):
    """One of Keras's own networks: its body, the mean over its last maps, and a dense layer."""

    kind: Literal["applications"]
    name: Text
    """As `keras.applications` calls it, such as EfficientNetB0."""
    weights: Annotated[Text | None, PLACE] = None
    """imagenet: trained on ImageNet; Keras downloads them once. Or a .keras or .weights.h5 file, as with the other
    kinds. Left out, random ones."""
    train: Literal["all", "head"] = "all"
    """head trains the dense layer alone: the body stays as it is, batch norm included."""


class Python(_Scaled):
    """A network of your own: a function in a file beside the study, which is run with --allow-code only."""

    kind: Literal["python"]
    builder: Builder
    """FILE:FUNCTION, such as my_models:net for the function net of my_models.py in the study's folder. It is called
    with image_shape and num_outputs, and returns a keras.Model. The file's text is in the key, its place and name are
    not."""


Classifier = Annotated[
    Annotated[Cnn, Tag("cnn")]
    | Annotated[Resnet18, Tag("resnet18")]
    | Annotated[Resnet50, Tag("resnet50")]
    | Annotated[Applications, Tag("applications")]
    | Annotated[Python, Tag("python")],
    _kind("cnn"),
]
"""The network that is trained on every arm, and how."""


RECIPE = frozenset(_Classifier.model_fields) - {*("kind", "head", "select", "input", "tune", "weights", "train")}
"""Settings of a classifier that say how it is trained; the others say what it is, and are those of all arms."""


# --- generators ------------------------------------------------------------------------------------


VaeOptimizer = Annotated[
    Annotated[Adam, Tag("adam")] | Annotated[AdamW, Tag("adamw")] | Annotated[OtherSgd, Tag("sgd")], _kind("adam")
]
GanOptimizer = Annotated[
    Annotated[GanAdam, Tag("adam")] | Annotated[GanAdamW, Tag("adamw")] | Annotated[OtherSgd, Tag("sgd")], _kind("adam")
]


class _Generator(_Part):
    epochs: PositiveInt
    batch_size: Annotated[int, Field(ge=2)] = 64
    sampling: Sampling = "weighted"
    """How the generator's own batches are drawn; the published code always draws them weighted."""
    patience: PositiveInt | None
    """Stop after this many epochs without a lower validation loss; null trains all epochs."""
    keep: Literal["best", "last"]
    """Which epoch's weights generate images: the lowest validation loss, or the last."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate after each epoch; 1 keeps it. The upstream VAE code uses 0.95."""

    @property
    def needs_every_class(self) -> bool:
        """Whether it cannot be trained unless every class has images to train on and to validate with."""
        return False

    def passes(self, train: int, validation: int) -> int:
        """Images that pass through it, of so many training and validation images, if it does not stop early."""
        return (train + validation) * self.epochs

    def refuses(self, side: int) -> str | None:
        """What of its settings does not suit images of so many pixels a side; None where all do."""
        return None


class Cvae(_Generator):
    """Conditional VAE."""

    kind: Literal["cvae"]
    latent_dim: PositiveInt = 150
    epochs: PositiveInt = 200
    patience: PositiveInt | None = 5
    keep: Literal["best", "last"] = "best"
    optimizer: VaeOptimizer = Adam()
    reconstruction: Literal["sum", "mean"] = "sum"
    """Squared error summed over the batch (the published code) or its mean (upstream; its weight is 0.00025)."""
    kl_weight: NonNegativeFloat = 0.005
    kl_by_area: Annotated[bool, Birth(True)] = True
    """At other sizes than 28 x 28, multiply kl_weight by the area in units of 28 x 28, as a sum of squared errors over
    more pixels is larger; where reconstruction is mean, it changes nothing."""
    sampling_statistics: Annotated[Literal["batch", "moving"], SYNTHESIS] = "batch"
    """Batch-norm statistics when images are made: the batch's own, or the moving averages."""


class JointVae(_Generator):
    """Joint VAE: a continuous and a categorical latent variable."""

    kind: Literal["joint_vae"]
    latent_dim: PositiveInt = 100
    categories: Annotated[int, Field(ge=2)] = 50
    epochs: PositiveInt = 200
    patience: PositiveInt | None = 5
    keep: Literal["best", "last"] = "best"
    optimizer: VaeOptimizer = Adam()
    reconstruction: Literal["sum", "mean"] = "sum"
    temperature: PositiveFloat = 0.5
    """Of the Gumbel-softmax."""
    alpha: PositiveFloat = 30.0
    """Weight of the reconstruction."""
    kl_weight: NonNegativeFloat = 0.005
    kl_by_area: Annotated[bool, Birth(True)] = True
    """At other sizes than 28 x 28, multiply kl_weight by the area in units of 28 x 28, as a sum of squared errors over
    more pixels is larger; where reconstruction is mean, it changes nothing."""
    continuous_gamma: NonNegativeFloat = 30.0
    categorical_gamma: NonNegativeFloat = 30.0
    continuous_capacity: NonNegativeFloat = 25.0
    """Nats, reached after `capacity_steps` training batches."""
    categorical_capacity: NonNegativeFloat = 25.0
    """Nats; never more than ln(categories)."""
    capacity_steps: PositiveInt = 25_000
    per_class: bool = False
    """One Joint VAE for each class instead of one for all."""

    @property
    def needs_every_class(self) -> bool:
        """Whether it cannot be trained unless every class has images to train on and to validate with."""
        return self.per_class


class Cgan(_Generator):
    """Conditional GAN with spectral normalisation and a projection discriminator."""

    kind: Literal["cgan"]
    latent_dim: PositiveInt = 128
    epochs: PositiveInt = 100
    patience: None = None
    keep: Literal["last"] = "last"
    optimizer: GanOptimizer = GanAdam()
    """Of both networks."""
    loss: Literal["relativistic_average", "relativistic_pairwise"] = "relativistic_average"
    class_head: bool = False
    """Add a class head to the discriminator (Le Roux prints one; the published code has none)."""
    class_head_weight: NonNegativeFloat = 1.0
    """Weight of the class head's cross-entropy; our choice, no source has one."""


class FlowAdam(Adam):
    """Adam with the learning rate of `flow`; it holds where a study gives other values alone."""

    learning_rate: PositiveFloat = 2e-4


class FlowAdamW(AdamW):
    """AdamW with it."""

    learning_rate: PositiveFloat = 2e-4


class Flow(_Generator):
    """Conditional flow matching with a U-Net, for images of 28, 64 and 128 pixels."""

    kind: Literal["flow"]
    images: PositiveInt = 600_000
    """Training images that pass through the network at most, in whole batches."""
    epochs: PositiveInt = 100
    """Equal parts of these; the validation loss is taken after each."""
    patience: PositiveInt | None = 10
    keep: Literal["best", "last"] = "best"
    optimizer: Annotated[
        Annotated[FlowAdam, Tag("adam")] | Annotated[FlowAdamW, Tag("adamw")] | Annotated[OtherSgd, Tag("sgd")],
        _kind("adam"),
    ] = FlowAdam()
    warm_up: Probability = 0.1
    """Part of all steps in which the learning rate rises from 0 to its value."""
    patch: Literal[1, 2, 4] = 2
    """Pixels a side that become one place of the network's first grid."""
    widths: Annotated[
        tuple[Annotated[int, Field(ge=8, le=1024, multiple_of=8)], ...] | None, Field(min_length=1, max_length=6)
    ] = None
    """Channels of each grid, each grid of half the side of the one before; null: 48 and 96 at 28 pixels, 48, 96 and 96
    at 64, 48, 96, 96 and 96 at 128."""
    blocks: Annotated[int, Field(ge=1, le=8)] = 1
    """Of each grid, on the way down and on the way up."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    time: Literal["uniform", "skewed"] = "uniform"
    """How times between noise and image are drawn in training; skewed: more of those at which an image is all but
    made."""
    label_drop: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Part of the training images whose class the network is not told; guidance needs some."""
    average_half_life: Probability = 0.05
    """Of the moving average of the weights, as a part of the images seen; at most 500,000 images. 0: no average."""
    solver: Annotated[Literal["heun", "euler"], SYNTHESIS] = "heun"
    """Heun's method asks the network twice a step."""
    steps: Annotated[int, Field(ge=1, le=1000), SYNTHESIS] = 25
    """From noise to image."""
    guidance: Annotated[NonNegativeFloat, SYNTHESIS] = 1.0
    """More than 1 makes images more typical of their class, and less diverse."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.images // self.batch_size < self.epochs:
            raise ValueError(
                f"has {self.images // self.batch_size} batches of {self.batch_size} in {self.images:,} images, fewer "
                f"than its {self.epochs} epochs: raise images, or lower epochs or batch_size"
            )
        if self.guidance != 1 and not self.label_drop:
            raise ValueError("has guidance, which needs a label_drop above 0: set one, or guidance: 1")
        return self

    def passes(self, train: int, validation: int) -> int:
        """Training images as asked for, and the validation images after each epoch."""
        return self.images + validation * self.epochs

    def refuses(self, side: int) -> str | None:
        """Whether the grids of `widths` cannot be made by halving."""
        widths = self.widths or FLOW_WIDTHS.get(side, ())
        halved = len(widths) - 1
        if not widths or side % (self.patch * 2**halved) == 0:
            return None
        return (
            f"widths has {len(widths)} grids, so {side} pixels in patches of {self.patch} would be halved "
            f"{halved} times, which leaves a remainder: give fewer widths, or a smaller patch"
        )


class Files(_Part):
    """Images that a generator made elsewhere: a folder of class folders, or an .npz file."""

    kind: Literal["files"]
    path: Annotated[Text, SHOWN, PLACE]
    """The folder or file; {dataset}, {replicate} and {fold} stand for a data set's name and for numbers from 0. A
    relative path starts at the study file's folder. The key has what is in the files."""
    trained_on: Annotated[Literal["train", "elsewhere", "unknown"], SHOWN]
    """Which images their maker saw. train: this study's training images, and perhaps others, but no validation or test
    image. elsewhere: none of this study's. unknown: pages warn."""

    @property
    def needs_every_class(self) -> bool:
        """Whether it cannot be trained unless every class has images to train on and to validate with."""
        return False

    def passes(self, train: int, validation: int) -> int:
        """Images that pass through a network: none."""
        return 0

    def refuses(self, side: int) -> str | None:
        """What of its settings does not suit images of so many pixels a side."""
        return None

    def place(self, dataset: str, replicate: int, fold: int | None) -> str:
        """The folder or file of one data set, replicate and fold."""
        names = {"{dataset}": dataset, "{replicate}": str(replicate), "{fold}": str(fold or 0)}
        place = self.path
        for word, value in names.items():
            place = place.replace(word, value)
        return place


Generator = Annotated[Cvae | JointVae | Cgan | Flow | Files, Field(discriminator="kind")]


# --- arms ------------------------------------------------------------------------------------------


class Sharpness(_Part):
    """Sharpen by a fixed factor (1 changes nothing, 0 blurs)."""

    layer: Literal["sharpness"]
    factor: NonNegativeFloat = 2.0
    """torchvision has no default; the published code has 2."""
    probability: Probability = 0.5


class Autocontrast(_Part):
    """Stretch every channel of an image to the full range."""

    layer: Literal["autocontrast"]
    probability: Probability = 0.5


class Hue(_Part):
    """Turn the hue by a random part of a turn; grey images stay as they are."""

    layer: Literal["hue"]
    delta: Annotated[float, Field(ge=0, le=0.5)] = 0.05


class HorizontalFlip(_Part):
    """Mirror left and right."""

    layer: Literal["horizontal_flip"]
    probability: Probability = 0.5


class Crop(_Part):
    """Move by whole pixels, as a crop of the image with a black border does."""

    layer: Literal["crop"]
    padding: Annotated[int, Field(ge=1, le=64)] = 4
    """Pixels of the border: the most that an image is moved."""


class QuarterTurn(_Part):
    """Turn by no, one, two or three right angles, each as likely."""

    layer: Literal["quarter_turn"]


class Brightness(_Part):
    """Multiply an image by a factor around 1."""

    layer: Literal["brightness"]
    delta: Annotated[float, Field(gt=0, le=1)] = 0.2
    """The factor is between 1 less this and 1 plus this."""


class Contrast(_Part):
    """Multiply the differences from an image's mean gray by a factor around 1."""

    layer: Literal["contrast"]
    delta: Annotated[float, Field(gt=0, le=1)] = 0.2
    """The factor is between 1 less this and 1 plus this."""


class Noise(_Part):
    """Add Gaussian noise, to each pixel and channel its own."""

    layer: Literal["noise"]
    deviation: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Its standard deviation, in parts of the range from black to white."""
    probability: Probability = 0.5


class Blur(_Part):
    """Blur by a Gaussian."""

    layer: Literal["blur"]
    sigma: Annotated[float, Field(gt=0.1, le=10)] = 1.0
    """Pixels; each image's own is between 0.1 and this."""
    probability: Probability = 0.5


class Elastic(_Part):
    """Deform by a smooth random field of displacements."""

    layer: Literal["elastic"]
    strength: Annotated[float, Field(gt=0, le=0.5)] = 0.04
    """Standard deviation of the displacement along each axis, in parts of the image's side."""
    smoothness: Annotated[float, Field(ge=0.02, le=1)] = 0.15
    """Sigma of the Gaussian that smooths the field, in parts of the image's side."""
    probability: Probability = 0.5


class AugMix(_Part):
    """Mix an image with chains of operations on it (Hendrycks et al. 2020), without their consistency loss."""

    layer: Literal["augmix"]
    width: Annotated[int, Field(ge=1, le=10)] = 3
    """Chains."""
    depth: Annotated[int, Field(ge=1, le=10)] = 3
    """Operations of a chain, at most; each chain has its own number, from 1."""
    severity: Annotated[float, Field(ge=0.1, le=10)] = 3.0
    """Greatest strength of an operation; 10 turns by up to 30 degrees."""


class TrivialAugment(_Part):
    """One operation of 14 and one strength of 31, each as likely (Mueller and Hutter 2021), with their wide ranges."""

    layer: Literal["trivial_augment"]


# Keras's own layers, by their class names and with their own arguments, where these are numbers or words.

_Factor = Annotated[float, Field(gt=0, le=1)]


class KerasFactor(_Part):
    """One of Keras's layers that take a factor alone."""

    layer: Literal[
        "RandomBrightness", "RandomColorDegeneration", "RandomContrast", "RandomHue", "RandomInvert", "RandomSharpness"
    ]
    factor: _Factor
    """The most that is drawn; keras.io says of what."""


class RandomErasing(_Part):
    """Keras's RandomErasing: a rectangle of noise, or of one value."""

    layer: Literal["RandomErasing"]
    factor: _Factor
    """The greatest probability: each image draws its own between 0 and this, so half of it is the share of images."""
    fill_value: Annotated[Probability | None, Birth(None)] = None
    """From 0, black, to 1; left out, noise."""


class _Warp(_Part):
    fill_mode: Annotated[Literal["reflect", "wrap", "constant", "nearest"], Birth("reflect")] = "reflect"
    """What comes into the image."""
    fill_value: Annotated[Probability, Birth(0.0)] = 0.0
    """With fill_mode constant: from 0, black, to 1."""
    interpolation: Annotated[Literal["bilinear", "nearest"], Birth("bilinear")] = "bilinear"


class RandomRotation(_Warp):
    """Keras's RandomRotation."""

    layer: Literal["RandomRotation"]
    factor: _Factor
    """The most that is drawn, in full turns: 15 degrees are 0.042."""


class RandomShift(_Warp):
    """Keras's RandomTranslation and RandomZoom."""

    layer: Literal["RandomTranslation", "RandomZoom"]
    factor: Annotated[_Factor | None, Birth(None)] = None
    """The most that is drawn along both axes, in parts of the image's side; or give height_factor and width_factor."""
    height_factor: Annotated[_Factor | None, Birth(None)] = None
    width_factor: Annotated[_Factor | None, Birth(None)] = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.factor is None) != (self.height_factor is not None and self.width_factor is not None):
            raise ValueError("takes factor, or height_factor and width_factor")
        return self


class RandomShear(_Warp):
    """Keras's RandomShear."""

    layer: Literal["RandomShear"]
    x_factor: Probability = 0.0
    """The most that is drawn along the rows, in parts of the image's side."""
    y_factor: Probability = 0.0
    """The same along the columns."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.x_factor == self.y_factor == 0:
            raise ValueError("needs x_factor or y_factor above 0, or it does nothing")
        return self


class RandomPerspective(_Part):
    """Keras's RandomPerspective: moves the corners of an image."""

    layer: Literal["RandomPerspective"]
    factor: _Factor = 1.0
    """The greatest probability: each image draws its own between 0 and this, so half of it is the share of images."""
    scale: _Factor = 1.0
    """How far corners move."""
    fill_value: Probability = 0.0
    """What comes into the image: from 0, black, to 1."""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"


class RandomFlip(_Part):
    """Keras's RandomFlip, along one axis: with both, it turns an image by half, or not at all."""

    layer: Literal["RandomFlip"]
    mode: Literal["horizontal", "vertical"]
    """For both, give two steps."""


class RandomGrayscale(_Part):
    """Keras's RandomGrayscale."""

    layer: Literal["RandomGrayscale"]
    factor: _Factor = 0.5
    """The probability."""


class RandomPosterization(_Part):
    """Keras's RandomPosterization."""

    layer: Literal["RandomPosterization"]
    factor: Annotated[int, Field(ge=2, le=8)]
    """Bits of a value, of which fewer are left than this, and at least 1."""


class Solarization(_Part):
    """Keras's Solarization: inverts what is bright."""

    layer: Literal["Solarization"]
    addition_factor: Probability = 0.0
    """The most that is added before, in parts of the range from black to white."""
    threshold_factor: Probability = 0.0
    """The greatest threshold above which values are inverted, in the same; 0 inverts all."""


class RandAugment(_Part):
    """Keras's RandAugment."""

    layer: Literal["RandAugment"]
    num_ops: PositiveInt = 2
    factor: Probability = 0.5


class MixUp(_Part):
    """Keras's MixUp: mixes pairs of images and their labels."""

    layer: Literal["MixUp"]
    alpha: PositiveFloat = 0.2


class CutMix(_Part):
    """Keras's CutMix: pastes a patch of another image, and mixes the labels by its area."""

    layer: Literal["CutMix"]
    factor: PositiveFloat = 1.0
    """Both parameters of the beta distribution of the patch's area."""


class PythonStep(_Part):
    """A step of your own: a function in a file beside the study, which is run with --allow-code only."""

    layer: Literal["python"]
    builder: Builder
    """FILE:FUNCTION, such as my_steps:Dots for the function or class Dots of my_steps.py in the study's folder. It
    returns a Keras layer, or a function of images and rng. The file's text is in the key, its place and name are
    not."""
    arguments: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$", max_length=40)], Any] = {}
    """What it is called with."""


Step = Annotated[
    Sharpness
    | Autocontrast
    | Hue
    | HorizontalFlip
    | Crop
    | QuarterTurn
    | Brightness
    | Contrast
    | Noise
    | Blur
    | Elastic
    | AugMix
    | TrivialAugment
    | KerasFactor
    | RandomErasing
    | RandomRotation
    | RandomShift
    | RandomShear
    | RandomPerspective
    | RandomFlip
    | RandomGrayscale
    | RandomPosterization
    | Solarization
    | RandAugment
    | MixUp
    | CutMix
    | PythonStep,
    Field(discriminator="layer"),
]


_UNSEEDED = "it does not draw from the study's seed alone, so a run could not be repeated"
_SIZE = "it changes the size of the images"
NO_STEPS: dict[str, str] = {
    "AugMix": f"{_UNSEEDED}: use augmix",
    "AutoContrast": "it changes all training images alike, and no test image: use autocontrast, which draws",
    "CenterCrop": f"{_SIZE}: use crop, or set the data set's size and fit",
    "ContrastLimitedAdaptiveHistogramEqualization": (
        "it changes all training images alike, and no test image: use autocontrast or contrast"
    ),
    "Equalization": "it changes all training images alike, and no test image: use autocontrast or trivial_augment",
    "MaxNumBoundingBoxes": "it is for bounding boxes",
    "RandomColorJitter": "it fails on grey images: use brightness, contrast and hue",
    "RandomCrop": f"{_SIZE}: use crop, which moves by as much",
    "RandomElasticTransform": f"{_UNSEEDED}: use elastic",
    "RandomGaussianBlur": "it draws one sigma for all images of a batch: use blur",
    "RandomSaturation": "it takes all color from half of the images, whatever the factor: use RandomColorDegeneration",
    "Resizing": f"{_SIZE}: set the data set's size and fit, or classifier.input",
}
"""Keras's layers that are no steps here, as Keras has them on Torch: why, and what to use."""


class Amount(_Part):
    """How many images an arm adds to a training set, and of which classes."""

    fraction: Annotated[float, Field(gt=0, le=10)] = 0.10
    """Of the training images, rounded down."""
    fractions: dict[Name, Annotated[float, Field(gt=0, le=10)]] = {}
    """Other fractions for single data sets."""
    images: PositiveInt | None = None
    """A fixed number instead of a fraction."""
    shares: Literal["deficit", "inverse_frequency", "proportional", "uniform", "water_fill"] = "deficit"
    """How they are shared among classes; deficit is the published code's formula, N_max - N_c + 100."""
    class_order: Literal["label", "first_appearance"] = "label"
    """first_appearance repeats the published code: the weights are listed in the order in which the classes first
    appear in the training labels, so they reach the wrong classes
    (finding F5 in docs/explanation/methods.md)."""
    draw: Literal["largest_remainder", "multinomial"] = "largest_remainder"
    """largest_remainder gives exact shares; multinomial draws every label, as the published code does."""


class WholeAmount(Amount):
    """Amount of what replaces the training images; these values hold where a study gives others alone."""

    fraction: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Of the training images, rounded down."""
    shares: Literal["deficit", "inverse_frequency", "proportional", "uniform", "water_fill"] = "proportional"
    """How they are shared among classes; proportional: as the training images are."""


class ImageFilter(_Part):
    """Which of a generator's images are taken: those whose class is recognized, and that copy no training image."""

    probability: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Of the class that an image is to show, at least, as the mean over the classifiers."""
    classifiers: Annotated[int, Field(ge=1, le=20)] = 3
    """Networks that recognize classes: the baseline's of the next so many replicates. None is of the run's own
    replicate, since what a network recognizes is easy for it."""
    percentile: Annotated[float, Field(ge=0, lt=100)] = 1.0
    """Of the distances from training images to their nearest other one: an image that is no farther from a training
    image is refused."""
    draws: Annotated[int, Field(ge=1, le=1000)] = 20
    """Images drawn, at most, for each that is taken."""


class _Generated(_Part):
    generator: ArmName
    filter: Annotated[ImageFilter | None, Birth(None)] = None
    """Take only some of its images; null takes them as they come."""


class Add(_Generated):
    """Images that a generator makes for given classes, added to the training set."""

    amount: Amount = Amount()


class Replace(_Generated):
    """Images that a generator makes for given classes, in the place of all training images."""

    amount: WholeAmount = WholeAmount()


class Pretrain(_Generated):
    """Images that a generator makes for given classes: the first epochs train on them, the others on the real ones."""

    epochs: PositiveInt
    """Of the classifier's epochs, the first so many."""
    amount: WholeAmount = WholeAmount()


class Interleave(_Part):
    """Every training image and one reconstruction of it, with its label."""

    generator: ArmName
    mode: Literal["sample", "mean", "train_pair"] = "sample"
    """sample draws the latent variables; mean takes their means; train_pair repeats the published code, where images
    pass in identical pairs through batch norm in training mode, which erases them
    (finding F4 in docs/explanation/methods.md)."""


class Duplicate(_Part):
    """A control: copies of real training images, so that more steps are not taken for better data."""

    amount: Amount = Amount()


_SOURCES = ("add", "replace", "pretrain", "interleave", "duplicate")


class Arm(_Part):
    """One way to change the training set. At most one of add, replace, pretrain, interleave and duplicate; augment may
    join any."""

    label: Text | None = None
    """Shown in tables; it can change without making work."""
    augment: tuple[Step, ...] = ()
    """Applied to every training batch, in this order."""
    add: Add | None = None
    replace: Replace | None = None
    pretrain: Pretrain | None = None
    interleave: Interleave | None = None
    duplicate: Duplicate | None = None
    samplings: tuple[Sampling, ...] | None = None
    """Only these samplings; left out, all of the study's."""
    classifier: Classifier | None = None
    """Another recipe for this arm alone. A file gives only what differs from the study's classifier: any of epochs,
    batch_size, optimizer, schedule, loss, patience and budget."""
    always_weighted: bool = False
    """Draw weighted in the cells named shuffle too, as separate runs. The published code does this for its Table 2,
    because the switch is overwritten before it is tested
    (finding F3 in docs/explanation/methods.md)."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) > 1:
            known = f"{', '.join(_SOURCES[:-1])} and {_SOURCES[-1]}"
            raise ValueError(f"has {' and '.join(given)}; an arm takes one of {known}")
        return self

    @property
    def how(self) -> str | None:
        """What the arm does with images besides the training images: its setting's name; None where it has none."""
        return next((name for name in _SOURCES if getattr(self, name) is not None), None)

    @property
    def source(self) -> Add | Replace | Pretrain | Interleave | Duplicate | None:
        """The setting of that name."""
        return getattr(self, self.how) if self.how else None

    @property
    def generator(self) -> str | None:
        """The generator that makes its images, by its name in the study."""
        return getattr(self.source, "generator", None)

    @property
    def amount(self) -> Amount | None:
        """How many images those are, where the arm says it."""
        return getattr(self.source, "amount", None)

    @property
    def filter(self) -> ImageFilter | None:
        """What chooses among its generator's images."""
        return getattr(self.source, "filter", None)

    @property
    def mixes(self) -> bool:
        """Whether it trains on generated and real images together."""
        return self.how in ("add", "interleave")


class Series(_Part):
    """Arms that differ in one setting."""

    setting: Text
    """Of the arm, as `vary` names it: add.amount.fraction."""
    arms: Annotated[dict[ArmName, bool | int | float | str], Field(min_length=1)]
    """Each arm, and its value."""


# --- the study -------------------------------------------------------------------------------------


class Reference(_Part):
    """The cell that others are compared with."""

    arm: ArmName = "baseline"
    sampling: Sampling = "shuffle"


class Target(_Part):
    """What a threshold has to reach on validation images: a sensitivity, or a specificity."""

    sensitivity: Annotated[float | None, Field(gt=0, le=1)] = None
    """The share of the positive images that is called positive, at least: the highest such threshold."""
    specificity: Annotated[float | None, Field(gt=0, le=1)] = None
    """The share of the others that is not, at least: the lowest such threshold."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.sensitivity is None) is (self.specificity is None):
            raise ValueError("takes sensitivity or specificity, such as {sensitivity: 0.95}")
        return self


OperatingPoint = Annotated[
    Annotated[Literal["youden"], Tag("youden")] | Annotated[Target, Tag("Target")],
    Discriminator(lambda point: "youden" if isinstance(point, str) else "Target"),
]
"""youden: the threshold with the largest sum of sensitivity and specificity (Youden 1950)."""


class Quality(_Part):
    """Measures of the synthetic images."""

    enabled: Annotated[bool, SHOWN] = True
    neighbours: PositiveInt = 5
    """k of precision, recall, density and coverage."""
    components: PositiveInt = 64
    """Principal components of the pixels."""
    draws: PositiveInt = 10
    """Random draws of equal numbers of images, where a measure compares such."""
    limit: Annotated[int, Field(ge=100)] = 4000
    """Images of each kind that enter one comparison, at most; originals are searched for among all."""


class Study(_Part):
    """A study: what is asked, of which data, with which arms."""

    name: Name
    """Names the folder of its pages."""
    title: Text
    question: Text
    """One sentence that the first page opens with."""
    seed: Seed = 0
    """All chance comes from this number, the replicate and a word for the purpose."""
    replicates: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many times every cell is trained, each time with other chance."""
    primary: Metric = "auc"
    """The metric whose tests are confirmatory; the others are exploratory. Where a class is rare, the accuracy of a
    network that never names it is high; its AUC and balanced accuracy are not."""
    margin: Annotated[float, Field(gt=0, lt=100)] | None = None
    """Points of the primary metric: smaller differences do not matter. Arms that are shown to differ by less are called
    equivalent. Declare it before there are results."""
    operating_points: tuple[OperatingPoint, ...] = ()
    """Thresholds for data sets of two classes, which every run chooses on validation images, applied to test images:
    [{sensitivity: 0.95}, {specificity: 0.9}, youden]. A change trains nothing."""
    precision: Annotated[Literal["float32", "tf32", "bfloat16"], Birth("float32")] = "float32"
    """How matrices are multiplied. tf32 (NVIDIA's GPUs alone; float32 elsewhere) and bfloat16 are faster where the
    machine has them, and round more: their results are not taken for those of float32."""
    references: tuple[Name, ...] = ()
    """Publications whose printed values are shown beside ours: le-roux, medmnist-v2, medmnist-plus."""
    paper: bool = False
    """The same as `references: [le-roux]`."""
    predictions: dict[Name, Text] = {}
    """Files with what networks of others say of MedMNIST's test images: theirs/{dataset}_test_*@{run}.csv. The study's
    baseline is tested against them. Each has the name of a reference of the study, or one of its own, such as
    other-lab, and then a page of its own."""
    beside: Text | None = None
    """Another study file, relative to this one: its results, as far as they are in the same results folder, are shown
    beside this study's, with the settings in which the two differ."""
    ensemble: bool = False
    """Show what the mean of the replicates' probabilities scores, arm by arm; it trains nothing."""
    samplings: Annotated[tuple[Sampling, ...], Field(min_length=1)] = ("shuffle", "weighted")
    baseline: Reference = Reference()
    size: Side | None = None
    """Pixels a side of the images of every data set that has no `size` of its own."""
    datasets: Annotated[dict[Name, Data], Field(min_length=1)]
    classifier: Classifier = Cnn()
    generators: dict[ArmName, Generator] = {}
    arms: Annotated[dict[ArmName, Arm], Field(min_length=1)]
    series: dict[Name, Series] = {}
    """Arms that differ in one setting, by the name of their arm; `vary` of an arm makes it. Pages draw differences
    against the values."""
    quality: Quality = Quality()
    _code: Mapping[str, str] = PrivateAttr({})
    _sums: Mapping[str, str] = PrivateAttr({})

    @field_validator("predictions")
    @classmethod
    def _of_runs(cls, predictions: dict[str, str]) -> dict[str, str]:
        for pattern in predictions.values():
            folder, _, name = pattern.rpartition("/")
            if "{run}" in folder or name.count("{run}") != 1 or not name.endswith((".csv", ".npz")):
                raise ValueError(
                    f"{pattern} does not name a file for each run; expected are {{run}} once, in the file's name, and "
                    ".csv or .npz at its end"
                )
        return predictions

    @property
    def builders(self) -> dict[tuple[str | int, ...], str]:
        """The functions of the user's own: the keys that lead to each, and FILE:FUNCTION."""
        found: dict[tuple[str | int, ...], str] = {}
        if isinstance(self.classifier, Python):
            found["classifier", "builder"] = self.classifier.builder
        for name, arm in self.arms.items():
            for number, step in enumerate(arm.augment):
                if isinstance(step, PythonStep):
                    found["arms", name, "augment", number, "builder"] = step.builder
        return found

    @property
    def code(self) -> Mapping[str, str]:
        """FILE:FUNCTION -> the text of its file. No setting: who reads the study reads it with it."""
        return self._code

    def with_code(self, texts: Mapping[str, str]) -> Self:
        """The study, with the texts of these files."""
        study = self.model_copy()
        study._code = texts
        return study

    @property
    def sums(self) -> Mapping[str, str]:
        """SHA-256 by path of the file of weights that the classifier begins with, and of images made elsewhere. As with
        `code`, no setting."""
        return self._sums

    def with_sums(self, sums: Mapping[str, str]) -> Self:
        """The study, with the sums of these files too."""
        study = self.model_copy()
        study._sums = {**self._sums, **sums}
        return study

    def with_weights(self, path: str, sums: Mapping[str, str]) -> Self:
        """The study, whose file of weights is this one, with its sum."""
        arms = {
            name: arm.model_copy(update={"classifier": arm.classifier.model_copy(update={"weights": path})})
            for name, arm in self.arms.items()
            if arm.classifier is not None
        }
        classifier = self.classifier.model_copy(update={"weights": path})
        study = self.model_copy(update={"classifier": classifier, "arms": {**self.arms, **arms}})
        study._sums = {**self._sums, **sums}
        return study

    @model_validator(mode="after")
    def _sized(self) -> Self:
        """Give every data set its size, so that no key depends on where it was said. Whether the set has images of
        this size is said by `reading.rules`."""
        if self.size is not None:
            sized = {
                name: data.model_copy(update={"size": self.size}) if _unsaid(data, "size") else data
                for name, data in self.datasets.items()
            }
            self.__dict__["datasets"] = sized  # a frozen part is not finished before its validators are
        if any(data.outside for data in self.datasets.values()):
            self.__dict__["datasets"] = {name: _like(data) for name, data in self.datasets.items()}
        return self

    @property
    def sets(self) -> dict[str, Data]:
        """All images that are read: data sets by name, and their further test sets from elsewhere as
        DATASET.tests.NAME."""
        further = {
            place_of_test(name, test): part
            for name, data in self.datasets.items()
            for test, part in data.outside.items()
        }
        return {**self.datasets, **further}

    @property
    def select(self) -> Select:
        """The rule that chooses the epochs shown: the classifier's, or the one that follows the primary metric."""
        return self.classifier.select or FOLLOWS[self.primary]

    @property
    def tuned_by(self) -> Select:
        """The rule by whose measure learning rates are compared, at the epochs that `select` chooses; for the last
        epoch, which no measure chooses, the rule that follows the primary metric."""
        return FOLLOWS[self.primary] if self.select == "last" else self.select

    @property
    def shown_references(self) -> tuple[str, ...]:
        """References by name, however the study asks for them."""
        return tuple(dict.fromkeys((*self.references, *(("le-roux",) if self.paper else ()))))


def place_of_test(dataset: str, test: str) -> str:
    """What a further test set is called among all images that a study reads."""
    return f"{dataset}.tests.{test}"


def _like(data: Data) -> Data:
    """A data set whose further test sets, where they do not say their size, have images of its own."""
    further = {
        name: part.model_copy(update={"size": data.side}) if _unsaid(part, "size") else part
        for name, part in data.outside.items()
    }
    return data.model_copy(update={"tests": {**data.tests, **further}}) if further else data


def _unsaid(part: BaseModel, setting: str) -> bool:
    return setting in type(part).model_fields and setting not in part.model_fields_set


def dump(part: BaseModel) -> dict[str, Any]:
    """The part as plain JSON values, defaults included."""
    return part.model_dump(mode="json")


def deciding(part: BaseModel) -> dict[str, Any]:
    """What decides the result of the part's task, as plain JSON values: `dump` without the marked settings."""
    marked = (_marked(type(part), mark) for mark in (SHOWN, SYNTHESIS, CHOICE))
    return part.model_dump(mode="json", exclude=set().union(*marked))


def of_synthesis(part: BaseModel) -> dict[str, Any]:
    """A generator's settings that are used when images are made, as plain JSON values."""
    return part.model_dump(mode="json", include=_marked(type(part), SYNTHESIS))


def born(part: BaseModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, some of the part's as plain JSON values, without the settings that are at their birth value.

    This is what a key is made of.
    """
    fields = type(part).model_fields
    found = {name: _born(getattr(part, name), value) if name in fields else value for name, value in values.items()}
    return {
        name: value
        for name, value in found.items()
        if name not in fields or not any(isinstance(m, Birth) and m.is_(value) for m in fields[name].metadata)
    }


def _born(inner: Any, value: Any) -> Any:
    if isinstance(inner, BaseModel):
        return born(inner, value)
    if isinstance(inner, tuple):
        return [_born(one, content) for one, content in zip(inner, value, strict=True)]
    if isinstance(inner, Mapping):
        return {name: _born(inner[name], content) for name, content in value.items()}
    return value


def files(part: BaseModel, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The user's files and folders that a part names: the keys that lead to each, and its path."""
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            yield from files(value, (*keys, name))
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from files(inner, (*keys, name, key))
        elif PLACE in field.metadata and value is not None:
            yield (*keys, name), value


def with_files(part: Any, paths: Mapping[tuple[str, ...], str]) -> Any:
    """The part with other paths at some keys."""
    for (name, *rest), path in paths.items():
        inner = (
            with_files(part[name] if isinstance(part, Mapping) else getattr(part, name), {tuple(rest): path})
            if rest
            else path
        )
        part = {**part, name: inner} if isinstance(part, Mapping) else part.model_copy(update={name: inner})
    return part


@cache
def _marked(part: type[BaseModel], mark: _Mark) -> set[str]:
    return {name for name, field in part.model_fields.items() if mark in field.metadata}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that differ between two parts as `dump` gives them: dotted path → (old, new), None where absent."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    names = [*after, *(name for name in before if name not in after)]
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of everything that is not a mapping."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value
