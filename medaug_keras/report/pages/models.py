"""Models and generators: networks layer by layer, losses, and what the generators make."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medaug_keras.report import figures
from medaug_keras.report.figures import Figure
from medaug_keras.report.numbers import paper
from medaug_keras.report.numbers.results import Results, Run, read_json
from medaug_keras.report.pages.book import Book, Shown
from medaug_keras.report.tables.table import ARM, DATASET, Column, Entry, Row, Table, arm_entry, dataset_entry
from medaug_keras.spec import Cgan, Cvae, JointVae
from medaug_keras.store import Record

KINDS = {"cvae": "Conditional VAE", "joint_vae": "Joint VAE", "cgan": "Conditional GAN"}
DIAGRAMS = {"cvae": 18, "joint_vae": 21, "cgan": 24}
NETWORKS: dict[str, dict[int, tuple[str, ...]]] = {
    "cvae": {19: ("decoder input", "decoder", "decoder hidden", "decoder output"), 20: ("encoder",)},
    "joint_vae": {22: ("decoder input", "decoder", "decoder hidden", "decoder output"), 23: ("encoder",)},
    "cgan": {25: ("discriminator",), 26: ("generator",)},
}
"""Kind of a generator → figure of the paper → networks of ours that it shows."""
PER_CLASS = 5
"""Images of a class in a montage, real and synthetic each."""


def layer_table(networks: Sequence[Mapping[str, Any]], number: int) -> Table:
    """Figs. 9, 19, 20, 22, 23, 25 and 26. Layers of the live networks, the paper's printed counts beside."""
    layers = [layer for network in networks for layer in network["layers"]]
    said = paper.beside(number, [layer["parameters"] for layer in layers])
    rows = tuple(
        Row(
            (
                Entry(layer["name"]),
                Entry(layer["type"]),
                Entry(" × ".join(str(size) for size in layer["output_shape"])),
                Entry(layer["parameters"], paper=printed),
            )
        )
        for layer, printed in zip(layers, said, strict=True)
    )
    columns = (
        Column("name", "Layer"),
        Column("type", "Type"),
        Column("output_shape", "Output (height × width × channels)"),
        Column("parameters", "Trainable parameters", "count", "", ("paper",)),
    )
    content = "Layers of the classifier" if number == 9 else f"Layers: {paper.MODEL_FIGURES[number].lower()}"
    return Table(f"layers-{number}", f"{content}.", columns, rows, "pages.models.layer_table")


def models(book: Book) -> dict[str, Any]:
    """The networks of the study, each from a live model, and the diagrams of the generators."""
    return {"classifier": _classifier(book), "kinds": [_kind(book, kind) for kind in KINDS]}


def _classifier(book: Book) -> dict[str, Any] | None:
    run = _preferred([run for run in book.results.runs if run.done], "pathmnist")
    if run is None:
        return None
    networks = read_json(run.record, "layers.json")
    return {"dataset": book.results.title(run.dataset), **_network(book, networks, 9, "Classifier")}


def _network(book: Book, networks: Sequence[Mapping[str, Any]], number: int, title: str) -> dict[str, Any]:
    layers = [figures.Layer(**layer) for network in networks for layer in network["layers"]]
    return {
        "number": number,
        "title": title,
        "table": book.table(layer_table(networks, number)),
        "diagram": book.figure(
            f"fig-{number}",
            figures.network_diagram(layers, title=title),
            f"{title}: layers of the live model.",
            f"Fig. {number}",
        ),
        "total": sum(network["trainable"] for network in networks),
        "parts": [(network["network"], network["trainable"]) for network in networks],
        "printed": paper.PRINTED_TOTALS[number],
    }


def _kind(book: Book, kind: str) -> dict[str, Any]:
    """One kind of generator, whether the study has it or not: the paper's figures keep their places."""
    results = book.results
    specs = {name: spec for name, spec in results.study.generators.items() if spec.kind == kind}
    made = [
        (making.dataset, outcome.record)
        for making in results.plan.generators
        if making.name in specs and (outcome := results.outcomes[making.task]).record is not None
    ]
    found = next((pair for pair in made if pair[0] == "pathmnist"), made[0] if made else None)
    number = DIAGRAMS[kind]
    content: dict[str, Any] = {
        "kind": kind,
        "title": KINDS[kind],
        "diagram": book.figure(
            f"fig-{number}", _diagram(results, kind, specs), f"{KINDS[kind]}, drawn for this study.", f"Fig. {number}"
        ),
        "reason": "" if found else ("no generator of this kind is trained yet" if specs else "not part of this study"),
        "networks": [],
        "missing": list(NETWORKS[kind]),
        "dataset": results.title(found[0]) if found else "",
    }
    if found and found[1] is not None:
        there = {network["network"]: network for network in read_json(found[1], "layers.json")}
        for figure, names in NETWORKS[kind].items():
            parts = [there[name] for name in names if name in there]
            if parts:
                title = paper.MODEL_FIGURES[figure]
                content["networks"].append(_network(book, parts, figure, title))
                content["missing"].remove(figure)
    return content


def _diagram(results: Results, kind: str, specs: Mapping[str, Any]) -> Figure:
    """The diagram with the settings of the study's first generator of the kind, or the defaults, on its "
    "first data set."""
    shape, classes = (28, 28, 3), 9
    for dataset in results.datasets:
        if (record := results.data(dataset).record) is not None:
            shape, classes = tuple(record.values["image_shape"]), len(record.values["classes"])
            break
    spec = next(iter(specs.values()), None)
    if kind == "cvae":
        spec = spec or Cvae(kind="cvae")
        return figures.cvae_diagram(image_shape=shape, classes=classes, latent_dim=spec.latent_dim)
    if kind == "joint_vae":
        spec = spec or JointVae(kind="joint_vae")
        return figures.joint_vae_diagram(image_shape=shape, latent_dim=spec.latent_dim, categories=spec.categories)
    spec = spec or Cgan(kind="cgan")
    return figures.cgan_diagram(image_shape=shape, classes=classes, latent_dim=spec.latent_dim)


def _preferred(runs: Sequence[Run], dataset: str) -> Run | None:
    return next((run for run in runs if run.dataset == dataset), runs[0] if runs else None)


# --- generators ------------------------------------------------------------------------------------


def generators(book: Book) -> dict[str, Any]:
    """Losses and images of every generator, data set by data set; of its replicates the first that is done."""
    results = book.results
    arms = [arm for arm in results.arms if results.generator(arm)]
    names = list(dict.fromkeys(results.generator(arm) for arm in arms))
    sections = []
    for dataset in results.datasets if names else ():
        section: dict[str, Any] = {"name": dataset, "title": results.title(dataset), "reason": ""}
        standing = [o for name in names if name for _, o in results.makings("generators", dataset, name)]
        if any(outcome.record is not None for outcome in standing):
            section["curves"] = _curves(book, dataset, [name for name in names if name])
            section["montages"] = [_montage(book, dataset, arm) for arm in arms]
        else:
            section["reason"] = standing[0].reason if standing else "not part of this study"
        sections.append(section)
    return {
        "sections": sections,
        "made": book.table(class_counts(results)),
        "anchors": _anchors(results, bool(sections)),
    }


def _anchors(results: Results, there: bool) -> dict[str, str]:
    """Data set → the paper's figure whose place its section is, so that the index always leads somewhere."""
    if not there:
        return {}
    first = results.datasets[0]
    return {
        "fig-27": "pathmnist" if "pathmnist" in results.datasets else first,
        "fig-28": "dermamnist" if "dermamnist" in results.datasets else first,
    }


def _first_done(results: Results, kind: str, dataset: str, name: str) -> tuple[int, Record | None, str]:
    """(replicate, record, reason) of the first replicate that is done."""
    made = results.makings(kind, dataset, name)
    for making, outcome in made:
        if outcome.record is not None:
            return making.replicate, outcome.record, ""
    return 0, None, made[0][1].reason if made else "not part of this study"


def _curves(book: Book, dataset: str, names: Sequence[str]) -> Shown:
    results, panels = book.results, []
    kinds = [results.study.generators[name].kind for name in names]
    for name, kind in zip(names, kinds, strict=True):
        _, record, reason = _first_done(results, "generators", dataset, name)
        title = KINDS[kind] if kinds.count(kind) == 1 else f"{KINDS[kind]} ({name})"
        if record is None:
            panels.append(figures.LossPanel(title, {}, reason=reason))
        else:
            panels.append(figures.LossPanel(title, read_json(record, "history.json"), record.values["best_epoch"]))
    title = results.title(dataset)
    return book.figure(
        f"losses-{dataset}",
        figures.loss_curves(panels),
        f"Losses per epoch of the generators on {title}; the mark is the epoch whose weights make the images.",
        "Fig. 27" if dataset == "pathmnist" else "",
    )


def _montage(book: Book, dataset: str, arm: str) -> dict[str, Any]:
    results = book.results
    label, title = results.label(arm), results.title(dataset)
    replicate, record, reason = _first_done(results, "synthesis", dataset, arm)
    data = results.data(dataset).record
    if record is None or data is None:
        return {"label": label, "reason": reason, "figure": None}
    with np.load(record.folder / "synthetic.npz", allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    with np.load(data.folder / "examples.npz", allow_pickle=False) as file:
        real, counts = file["by_class"], file["by_class_count"]
    rows = []
    for number, name in enumerate(results.classes(dataset)):
        some = images[np.flatnonzero(labels == number)[:PER_CLASS]]
        rows.append(figures.ClassRow(name, real[number][: min(int(counts[number]), PER_CLASS)], some))
    how = "reconstructions of training images" if results.study.arms[arm].interleave else "generated images"
    made = figures.class_montage(rows, columns=PER_CLASS, what=f"{how} by {label}, for {title}")
    return {
        "label": label,
        "reason": "",
        "figure": book.figure(
            f"images-{dataset}-{arm}",
            made,
            f"{title}, class by class: real training images, and {how} of {label}, replicate {replicate}.",
            "Fig. 28" if dataset == "dermamnist" else "",
        ),
    }


def class_counts(results: Results) -> Table:
    """Images made for each arm that adds any, class by class, as the records count them."""
    columns = (
        DATASET,
        ARM,
        Column("replicate", "Replicate", "count"),
        Column("images", "Images", "count"),
        Column("per_class", "Of each class, in order"),
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
                        Entry(", ".join(str(n) for n in values["per_class"])),
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
        (),
        ("data set", "arm"),
        empty="No arm of this study adds images.",
    )
