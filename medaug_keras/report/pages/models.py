"""Models and generators: networks layer by layer, losses, and what the generators make."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from medaug_keras.generators import GENERATORS
from medaug_keras.labels import members
from medaug_keras.report import figures
from medaug_keras.report.figures import Figure
from medaug_keras.report.format import together
from medaug_keras.report.numbers.printed import beside_layers, figure_numbers
from medaug_keras.report.numbers.results import Results, read_json, which
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.tables.table import ARM, DATASET, Column, Entry, Row, Table, arm_entry, dataset_entry, of_folds
from medaug_keras.report.tables.treatments import of_made
from medaug_keras.spec import Files
from medaug_keras.store import Record

DIAGRAMS: dict[str, Callable[[Any, tuple[int, ...], int, bool], Figure]] = {
    "cvae": lambda settings, shape, classes, findings: figures.cvae_diagram(
        image_shape=shape, classes=classes, latent_dim=settings.latent_dim, findings=findings
    ),
    "joint_vae": lambda settings, shape, classes, findings: figures.joint_vae_diagram(
        image_shape=shape, latent_dim=settings.latent_dim, categories=settings.categories
    ),
    "cgan": lambda settings, shape, classes, findings: figures.cgan_diagram(
        image_shape=shape, classes=classes, latent_dim=settings.latent_dim, findings=findings
    ),
    "flow": lambda settings, shape, classes, findings: figures.flow_diagram(
        image_shape=shape, classes=classes, solver=settings.solver, steps=settings.steps, findings=findings
    ),
}
"""Kind of a generator → its drawing, from its settings, the shape of an image, the number of classes or findings, and
whether they are findings.

A kind that is not here has none.
"""
T = TypeVar("T")
PER_CLASS = 8
"""Images of a class on a sheet of real ones, and on that of each arm."""
MANY_ROWS = 10
"""With more classes, or findings, than this a sheet shows half as many images of each."""
MANY = 24
"""With more classes than this in all data sets, each data set has a page of its own."""


def title_of(kind: str) -> str:
    """A kind of generator, for people."""
    return GENERATORS[kind].title if kind in GENERATORS else kind


@dataclass(frozen=True)
class Network:
    """One network of a trained model, maybe in several parts, and what references call it."""

    title: str
    parts: Sequence[Mapping[str, Any]]
    """As layers.json has them."""
    of: Mapping[str, str]
    """Classifier, or generator and network: what a printed figure is found by."""

    @property
    def name(self) -> str:
        """Its address on the page, and the name of its files."""
        generator = self.of.get("generator")
        return f"layers-{generator}-{self.of['network']}" if generator else "layers-classifier"

    @property
    def layers(self) -> list[Mapping[str, Any]]:
        """Of all parts."""
        return [layer for part in self.parts for layer in part["layers"]]


def layer_table(results: Results, network: Network) -> Table:
    """Layers of a live network, printed counts beside."""
    parameters = [layer["parameters"] for layer in network.layers]
    printed = {
        reference.short: beside_layers(figure.parameters, parameters)
        for reference in results.references
        if (figure := reference.figure("layers", **network.of)) is not None
    }
    rows = tuple(
        Row(
            (
                Entry(layer["name"]),
                Entry(layer["type"]),
                Entry(" × ".join(str(size) for size in layer["output_shape"])),
                Entry(
                    layer["parameters"],
                    printed=tuple((short, n) for short, counts in printed.items() if (n := counts[place]) is not None),
                ),
            )
        )
        for place, layer in enumerate(network.layers)
    )
    columns = (
        Column("name", "Layer"),
        Column("type", "Type"),
        Column("output_shape", "Output (height × width × channels)"),
        Column("parameters", "Trainable parameters", "count", printed=tuple(printed)),
    )
    return Table(network.name, f"Layers: {network.title}.", columns, rows, "pages.models.layer_table")


def models(book: Book) -> dict[str, Any]:
    """The networks of the study, each from a live model, and the diagrams of its generators."""
    kinds = dict.fromkeys(spec.kind for spec in book.results.study.generators.values() if not isinstance(spec, Files))
    number = figure_numbers(book.results, "layers", classifier=book.results.study.classifier.kind)
    return {
        "classifier": _classifier(book),
        "classifier_number": number,
        "weights": _weights(book),
        "code": _code(book),
        "kinds": [_kind(book, k) for k in kinds],
    }


def _weights(book: Book) -> dict[str, Any] | None:
    """Where the weights come from that training begins with, where they are not drawn."""
    study = book.results.study
    file = study.classifier.weights_file
    if study.classifier.weights is None:
        return None
    return {"file": file, "sum": study.sums.get(file or ""), "head": study.classifier.train == "head"}


def _code(book: Book) -> dict[str, list[dict[str, str]]]:
    """Code of the user's own, of the network and of steps: the file's name, the function, and the file's text."""
    study = book.results.study
    found: dict[str, dict[str, dict[str, str]]] = {"classifier": {}, "arms": {}}
    for keys, builder in study.builders.items():
        file, _, function = builder.partition(":")
        if builder in study.code:
            one = {"file": f"{file}.py", "function": function, "text": study.code[builder]}
            found[str(keys[0])][builder] = one
    return {part: list(codes.values()) for part, codes in found.items()}


def _classifier(book: Book) -> dict[str, Any] | None:
    results, of = book.results, {"classifier": book.results.study.classifier.kind}
    run = _preferred([(run.dataset, run) for run in results.runs if run.done], _printed_for(results, of))
    if run is None:
        return None
    network = Network(f"A network of kind {results.study.classifier.kind}", read_json(run[1].record, "layers.json"), of)
    return {"dataset": results.title(run[0]), **_network(book, network)}


def _network(book: Book, network: Network) -> dict[str, Any]:
    results = book.results
    layers = [figures.Layer(**layer) for layer in network.layers]
    printed = [
        (reference, figure)
        for reference in results.references
        if (figure := reference.figure("layers", **network.of)) is not None and figure.parameters
    ]
    return {
        "name": network.name,
        "title": network.title,
        "number": figure_numbers(results, "layers", **network.of),
        "table": book.table(layer_table(results, network)),
        "diagram": book.figure(
            network.name,
            figures.network_diagram(layers, title=network.title),
            f"{network.title}: layers of the live model.",
            figure_numbers(results, "layers", **network.of),
        ),
        "total": sum(part["trainable"] for part in network.parts),
        "parts": [(part["network"], part["trainable"]) for part in network.parts],
        "printed": [
            (reference.called, results.title_of(figure.dataset or ""), sum(figure.parameters))
            for reference, figure in printed
        ],
    }


def _kind(book: Book, kind: str) -> dict[str, Any]:
    """One kind of generator of the study: how it works, and its networks as soon as one is trained."""
    results = book.results
    specs = {name: spec for name, spec in results.study.generators.items() if spec.kind == kind}
    made = [
        (making.dataset, outcome.record)
        for making in results.plan.generators
        if making.name in specs and (outcome := results.outcomes[making.task]).record is not None
    ]
    found = _preferred(made, _printed_for(results, {"generator": kind}))
    title = title_of(kind)
    content: dict[str, Any] = {
        "kind": kind,
        "title": title,
        "diagram": None,
        "reason": "" if found else "no generator of this kind is trained yet",
        "networks": [],
        "dataset": results.title(found[0]) if found else "",
    }
    printed = GENERATORS[kind].printed
    sides = sorted({data.side for data in results.study.datasets.values()} - {printed}) if printed else []
    content["printed"], content["continued"] = printed, together(f"{side} × {side}" for side in sides)
    if kind in DIAGRAMS:
        drawing = DIAGRAMS[kind](next(iter(specs.values())), *_images(results))
        number = figure_numbers(results, "diagram", generator=kind)
        content["diagram"] = book.figure(f"diagram-{kind}", drawing, f"{title}, drawn for this study.", number)
    if found and found[1] is not None:
        trained = {network["network"]: network for network in read_json(found[1], "layers.json")}
        parts = GENERATORS[kind].networks or {name.capitalize(): (name,) for name in trained}
        for part, names in parts.items():
            networks = [trained[name] for name in names if name in trained]
            if networks:
                network = Network(f"{part} of the {title}", networks, {"generator": kind, "network": part.lower()})
                content["networks"].append(_network(book, network))
    return content


def _images(results: Results) -> tuple[tuple[int, ...], int, bool]:
    """Image shape, number of classes, and whether they are findings, of the first data set that was read; or typical
    ones."""
    for dataset in results.datasets:
        if (record := results.data(dataset).record) is not None:
            return tuple(record.values["image_shape"]), len(record.values["classes"]), results.several(dataset)
    return (28, 28, 3), 9, False


def _printed_for(results: Results, of: Mapping[str, str]) -> set[str]:
    """Data sets for which references print layers of this classifier or generator."""
    figures_ = (f for r in results.references for f in r.figures if f.shows == "layers" and f.dataset)
    return {f.dataset or "" for f in figures_ if all(getattr(f, word) == value for word, value in of.items())}


def _preferred(found: Sequence[tuple[str, T]], datasets: set[str]) -> tuple[str, T] | None:
    """The first pair of one of these data sets, so that counts can be held against printed ones; else the first."""
    return next((pair for pair in found if pair[0] in datasets), found[0] if found else None)


# --- generators ------------------------------------------------------------------------------------


def generators(book: Book) -> dict[str, Any]:
    """Losses and images of every generator, by data set; from its first finished replicate."""
    results = book.results
    arms = [arm for arm in results.arms if results.generator(arm)]
    names = list(dict.fromkeys(results.generator(arm) for arm in arms))
    sections = []
    for dataset in results.datasets if names else ():
        section: dict[str, Any] = {"name": dataset, "title": results.title(dataset), "reason": ""}
        standing = [o for name in names if name for _, o in results.makings("generators", dataset, name)]
        if any(outcome.record is not None for outcome in standing):
            trained = [name for name in names if name and not isinstance(results.study.generators[name], Files)]
            section["curves"] = _curves(book, dataset, trained) if trained else None
            sheets = dict.fromkeys(_with_most(results, dataset, arm) for arm in arms)
            section["montages"] = [_real(book, dataset), *(_montage(book, dataset, arm) for arm in sheets)]
        else:
            section["reason"] = standing[0].reason if standing else "not part of this study"
        sections.append(section)
    return {
        "apart": book.apart or sum(len(results.classes(section["name"])) for section in sections) > MANY,
        "sections": sections,
        "made": book.table(class_counts(results)),
    }


def _with_most(results: Results, dataset: str, arm: str) -> str:
    """Of the arms with more or fewer images of the same generator, the one with the most of those that are done."""
    made = {name: results.makings("synthesis", dataset, name) for name in results.same_images(arm)}
    planned = {name: results.plan.tasks[found[0][0].task].images for name, found in made.items() if found}
    done = [name for name in planned if any(outcome.record is not None for _, outcome in made[name])]
    return max(done or planned or [arm], key=lambda name: planned.get(name, 0))


def _first_done(results: Results, kind: str, dataset: str, name: str) -> tuple[str, Record | None, str]:
    """(which one, record, reason) of the first replicate that is done."""
    made = results.makings(kind, dataset, name)
    for making, outcome in made:
        if outcome.record is not None:
            return which(making), outcome.record, ""
    return "", None, made[0][1].reason if made else "not part of this study"


def _curves(book: Book, dataset: str, names: Sequence[str]) -> Shown:
    results, panels = book.results, []
    kinds = [results.study.generators[name].kind for name in names]
    for name, kind in zip(names, kinds, strict=True):
        _, record, reason = _first_done(results, "generators", dataset, name)
        title = title_of(kind) if kinds.count(kind) == 1 else f"{title_of(kind)} ({name})"
        if record is None:
            panels.append(figures.LossPanel(title, {}, reason=reason))
        else:
            panels.append(figures.LossPanel(title, read_json(record, "history.json"), record.values["best_epoch"]))
    title = results.title(dataset)
    return book.figure(
        f"losses-{dataset}",
        figures.loss_curves(panels),
        f"Losses per epoch of the generators on {title}; the mark is the epoch whose weights make the images.",
        figure_numbers(results, "losses", dataset=dataset),
    )


def _real(book: Book, dataset: str) -> dict[str, Any]:
    """Real images of each class, to hold the generated ones against."""
    results, data = book.results, book.results.data(dataset).record
    what = "Real images" if results.folds(dataset) else "Real training images"
    if data is None:
        return {"label": what, "reason": results.data(dataset).reason, "figure": None}
    with np.load(data.folder / "examples.npz", allow_pickle=False) as file:
        examples, counts = file["by_class"], file["by_class_count"]
    names = results.row_names(dataset)[: len(counts)]  # earlier versions showed no images without a finding
    each = _each(results, dataset)
    rows = [
        figures.ClassRow(name, examples[number][: min(int(counts[number]), each)]) for number, name in enumerate(names)
    ]
    what = f"{what} of {results.title(dataset)}"
    sheet = book.figure(
        f"images-{dataset}",
        figures.class_montage(rows, each=each, what=what, by=_by(results, dataset)),
        f"{what}.",
    )
    return {"label": "Real", "reason": "", "figure": sheet}


def _montage(book: Book, dataset: str, arm: str) -> dict[str, Any]:
    results = book.results
    label, title = results.label(arm), results.title(dataset)
    one, record, reason = _first_done(results, "synthesis", dataset, arm)
    if record is None:
        return {"label": label, "reason": reason, "figure": None}
    with np.load(record.folder / "synthetic.npz", allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    each = _each(results, dataset)
    rows = [
        figures.ClassRow(name, images[np.flatnonzero(members(labels, number))[:each]])
        for number, name in enumerate(results.row_names(dataset))
    ]
    how = "reconstructions of training images" if results.study.arms[arm].interleave else "generated images"
    others = " Other amounts of its images are not shown." if len(results.same_images(arm)) > 1 else ""
    return {
        "label": label,
        "reason": "",
        "figure": book.figure(
            f"images-{dataset}-{arm}",
            figures.class_montage(rows, each=each, what=f"{label}: {how} for {title}", by=_by(results, dataset)),
            f"{label}: {how} for {title}, {one}.{others}",
            figure_numbers(results, "images", dataset=dataset),
        ),
    }


def _each(results: Results, dataset: str) -> int:
    """How many images of each class a sheet shows: half as many where a phone would scroll for long."""
    return PER_CLASS if len(results.row_names(dataset)) <= MANY_ROWS else PER_CLASS // 2


def _by(results: Results, dataset: str) -> str:
    """What there is a block of images for."""
    return "finding, and for none" if results.several(dataset) else "class"


def class_counts(results: Results) -> Table:
    """Images made for each arm that adds any, class by class, as the records count them."""
    columns = (
        DATASET,
        ARM,
        Column("replicate", "Replicate", "count"),
        Column("images", "Images", "count"),
        Column("per_class", "Of each class" if results.of_classes else "With each finding"),
        Column("pixel_std", "Spread of pixels", "number", help="Standard deviation of values in [-1, 1]"),
        Column("real_pixel_std", "of real images", "number"),
    )
    rows = []
    for dataset in results.datasets:
        for arm in results.arms:
            for making, outcome in results.makings("synthesis", dataset, arm):
                head = (
                    dataset_entry(results, dataset),
                    arm_entry(results, arm),
                    Entry(making.replicate),
                )
                factors = {"data set": results.title(dataset), "arm": results.label(arm)}
                if outcome.record is None:
                    rest = [Entry(missing=outcome.reason)] * 4
                else:
                    values = outcome.record.values
                    rest = [
                        Entry(values["images"]),
                        Entry(of_made(results, dataset, values)),
                        Entry(values.get("pixel_std")),
                        Entry(values.get("real_pixel_std")),
                    ]
                rows.append(Row((*head, *rest), factors))
    return Table(
        "images-made",
        "Images added to the training sets.",
        columns,
        tuple(rows),
        "pages.models.class_counts",
        of_folds(results),
        ("data set", "arm"),
        empty="No arm of this study adds images.",
    )
