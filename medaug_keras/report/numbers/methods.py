"""The methods of a study in sentences for a paper, from its settings and records; keys in brackets are BibTeX's."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from medaug_keras.data.dataset import SPLITS
from medaug_keras.data.windows import declared
from medaug_keras.generators import GENERATORS
from medaug_keras.report.format import class_in_list, count, counted, of_points, part, plural, together
from medaug_keras.report.numbers.circumstances import margin_since
from medaug_keras.report.numbers.findings import metric_name, own_recipe, short_arms
from medaug_keras.report.numbers.further import corruption_words
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results, select_words
from medaug_keras.report.numbers.thresholds import has_points_elsewhere, point_words
from medaug_keras.spec import (
    IMAGENET,
    Add,
    Amount,
    Corruptions,
    Data,
    Files,
    FolderData,
    NpzData,
    Parts,
    Pretrain,
    Replace,
    TableData,
    Window,
    dump,
    place_of_test,
)

_KEY = re.compile(r"@\w+\{\s*([^,\s]+)\s*,")


def methods_text(results: Results, inference: Inference) -> list[str]:
    """A paragraph each: data, classifier, arms, analysis, software. What no record says yet is left out, and said."""
    return [
        _data(results),
        classifier_text(results),
        _arms(results),
        _analysis(results, inference),
        software_text(results),
    ]


def _data(results: Results) -> str:
    said = []
    for name in results.datasets:
        record, title = results.data(name).record, results.title(name)
        if record is None:
            said.append(f"{title} (not read yet)")
            continue
        splits, keys = record.values["splits"], _KEY.findall(record.values.get("citation") or "")
        size = " × ".join(str(side) for side in record.values["image_shape"][:2])
        channels = "color" if record.values["image_shape"][2] == 3 else "gray"
        if folds := results.folds(name):
            images = f"{count(splits['train']['images'])} images, cut into {folds} folds of which each tests once"
        else:
            parts = [
                f"{count(splits[split]['images'])} {word}"
                for split, word in (("train", "training"), ("validation", "validation"), ("test", "test"))
            ]
            images = f"{together(parts)} images"
        simulated = "simulated, " if "simulated" in results.marks(name) else ""
        cited = f" [{', '.join(keys)}]" if keys else ""
        said.append(f"{title}{cited} ({simulated}{images}, {size} pixels, {channels}, {_classes(results, name)})")
    more = [sentence for name in results.datasets for sentence in _how_made(results, name)]
    return " ".join([f"Data: {'; '.join(said)}.", *more])


def _how_made(results: Results, name: str) -> list[str]:
    """Sentences on the groups of own images, how they were split, and which of their values are shown; those that the
    study and the record say."""
    record, section = results.data(name).record, results.study.datasets[name]
    if record is None:
        return []
    title, found = results.title(name), record.values.get("audit", {})
    said = _groups(title, found)
    parts = section.split if isinstance(section, FolderData | TableData) else None
    if parts is not None:
        of_groups = any("groups" in found.get(split, {}) for split in SPLITS)
        said.append(f"The images of {title} were {_split(parts, of_groups)}.")
    if left_out := record.values.get("left_out"):
        said.append(f"Left out of {title}: {together(counted(left_out))}.")
    said += _sized(results, name, section)
    window = section.window if isinstance(section, FolderData | TableData | NpzData) else None
    if window is not None:
        said.append(f"Values of {title} {_window(window)}.")
    return said


def _sized(results: Results, name: str, section: Data) -> list[str]:
    """How own images became squares of one size, where the study says how; they may have been that before."""
    if not isinstance(section, FolderData | TableData | NpzData) or (section.size is None and section.fit is None):
        return []
    how = [_FITTED[section.fit]] if section.fit is not None else []
    if section.size is not None:
        how.append(f"resized to {section.size} × {section.size} pixels ({section.filter} filter)")
    return [f"Images of {results.title(name)} that were of another shape or size were {' and '.join(how)}."]


_FITTED = {
    "crop": "cropped to their middle square",
    "pad": "padded with black to squares",
    "stretch": "squeezed to squares",
}


def _groups(title: str, audit: Mapping[str, Any]) -> list[str]:
    """How many groups there are, in all where no split shares one with another, and in each split."""
    sizes = {split: audit[split]["groups"] for split in SPLITS if "groups" in audit.get(split, {})}
    if not sizes:
        return []
    if set(sizes) == {"train"}:  # cut into folds, so all images stay together
        return [f"The images of {title} are of {plural(sizes['train'], 'group')} (such as patients)."]
    each = together([f"{count(n)} in {_IN[split]}" for split, n in sizes.items()])
    parted = any(audit[split].get(f"group_in_{other}") for split in sizes for other in ("train", "validation"))
    if parted:
        return [f"The images of {title} are of groups (such as patients): {each}, some of them in more than one."]
    return [f"The images of {title} are of {plural(sum(sizes.values()), 'group')} (such as patients): {each}."]


def _split(parts: Parts, of_groups: bool) -> str:
    """How images were split, after `were`."""
    drawn = "that divides classes as evenly as it can"
    if of_groups:
        drawn = "that parts no group and divides classes as evenly as groups allow"
    if parts.folds is not None:
        return (
            f"cut into folds anew in every replicate, by a random draw (seed {parts.seed} and the replicate) {drawn}; "
            f"in each fold {100 * (parts.validation or 0):g} % of all images were for validation"
        )
    if parts.column is not None or parts.file is not None:
        return f"split as {'a column of its table' if parts.column is not None else 'a file'} says"
    shares = [(parts.train, "training"), (parts.validation, "validation"), (parts.test, "test")]
    asked = together([f"{100 * (share or 0):g} % {word}" for share, word in shares])
    return f"split into {asked} images by a random draw (seed {parts.seed}) {drawn}"


def _window(window: Window) -> str:
    """Which values of more than 8 bits became 0 to 255, after `Values of a data set`."""
    if window.percentiles is not None:
        low, high = window.percentiles
        return f"from the {low:g} to the {high:g} percentile of all training pixels became 0 to 255"
    found = declared(dump(window))
    if found is None or isinstance(found, str):
        return (
            "became 0 to 255 as each DICOM file says of its own display (its first table of values of interest, "
            "or its first window)"
        )
    return f"from {found[0]:g} to {found[1]:g} became 0 to 255"


_IN = {"train": "training", "validation": "validation", "test": "test"}


def _classes(results: Results, dataset: str) -> str:
    names = results.classes(dataset)
    said = plural(len(names), "finding") if results.several(dataset) else plural(len(names), "class", "classes")
    return f"{said}: {together(map(class_in_list, names))}" if len(names) <= _FEW else said


_FEW = 4
"""Classes that are named."""


def classifier_text(results: Results) -> str:
    """How every classifier is trained."""
    settings = dump(results.study.classifier)
    optimizer = _settings(settings["optimizer"], without=("kind",))
    named = f" ({settings['name']})" if "name" in settings else ""
    begins = {None: "", IMAGENET: "beginning with ImageNet's weights, "}
    begin = begins.get(settings["weights"], f"beginning with the weights of {settings['weights']}, ")
    last = "its last layer alone " if settings["train"] == "head" else ""
    network = _NETWORKS.get(settings["kind"], f"a network of kind {settings['kind']}")
    by = _OPTIMIZERS.get(settings["optimizer"]["kind"], settings["optimizer"]["kind"])
    text = (
        f"Classifier: {network}{named}, {begin}{last}trained for {plural(settings['epochs'], 'epoch')} in batches of "
        f"{settings['batch_size']} with {by} ({optimizer}) and a "
        f"{settings['schedule']['kind']} learning rate schedule"
    )
    loss = _settings({key: value for key, value in settings["loss"].items() if value != "none"}, without=())
    text += f", minimizing the cross-entropy{f' with {loss}' if loss else ''}"
    if settings["budget"] is not None:
        text += ", every arm with as many images as the others"
    if settings["patience"] is not None:
        text += f", stopped after {plural(settings['patience'], 'epoch')} without improvement"
    if results.study.precision != "float32":
        text += f", matrices multiplied in {results.study.precision}"
    several = together(map(results.title, results.of_findings))
    own = (
        f" Images of {several} have several findings, or none: each finding has a sigmoid output, the loss is the mean "
        "of their binary cross-entropies, and metrics are means over the findings. Where images are drawn, copied or "
        "made by class, such an image counts for its rarest finding."
        if several
        else ""
    )
    return f"{text}. Scores are those of {select_words(results.select)}.{own}"


_NETWORKS = {"cnn": "a small CNN", "resnet18": "a ResNet-18", "resnet50": "a ResNet-50"}
"""Kind of a classifier → as papers write it; others by their kind."""
_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
"""Kind of an optimizer → as papers write it."""


def _arms(results: Results) -> str:
    base, variants = results.variant(*results.reference), results.variants()
    both = all((arm, sampling) in variants for arm in results.arms for sampling in ("shuffle", "weighted"))
    said = []
    for arm, sampling in variants:
        if both and sampling == "weighted":
            continue  # said once for all
        does = together(what_it_does(results, arm, sampling, cited=True)) or "nothing is changed"
        said.append(f"{results.variant(arm, sampling)} – {does}")
    again = f" Each was trained again with {WEIGHTED}." if both else ""
    return f"Arms: {'; '.join(said)}.{again} The others are compared with {base}, declared in the study file."


WEIGHTED = "weighted batches, to which each class is drawn alike"
"""What pages call the sampling `weighted`."""


def _drawn(step: Mapping[str, Any]) -> str:
    """To what a step is applied; every step of ours and of Keras draws anew for each image."""
    return "every training batch" if step["layer"] == "python" else "each training image, by a draw of its own"


_STEPS = {"quarter_turn": "turn by 0, 90, 180 or 270 degrees"}
"""Steps that are not what their name says alone, for people."""


def what_it_does(results: Results, arm: str, sampling: str, *, cited: bool = False) -> list[str]:
    """What an arm changes, in words; with the keys of what to cite if `cited`."""
    spec, done = results.study.arms[arm], []
    for step in dump(spec)["augment"]:
        own = _settings(step, without=("layer",))
        if step["layer"] == "RandomRotation":  # papers give degrees
            own += f", up to {360 * step['factor']:.3g} degrees either way"
        name = _STEPS.get(step["layer"], step["layer"].replace("_", " "))
        done.append(f"{name} of {_drawn(step)}" + (f" ({own})" if own else ""))
    if spec.add is not None:
        done.append(f"{_images_of(results, spec.add, cited)} added ({_amount(spec.add.amount)})")
    if spec.replace is not None:
        what, amount = _images_of(results, spec.replace, cited), spec.replace.amount
        done.append(f"all training images replaced by {what} ({_amount(amount)})")
    if spec.pretrain is not None:
        what, amount = _images_of(results, spec.pretrain, cited), spec.pretrain.amount
        done.append(
            f"the first {plural(spec.pretrain.epochs, 'epoch')} trained on {what} ({_amount(amount)}), the others on "
            "real images"
        )
    if spec.interleave is not None:
        done.append(
            f"a reconstruction of every training image by a {_made_by(results, spec.interleave.generator, cited)} added"
        )
    if spec.duplicate is not None:
        done.append(f"copies of real training images added ({_amount(spec.duplicate.amount)})")
    if sampling == "weighted" or spec.always_weighted:
        done.append(WEIGHTED)
    if spec.classifier is not None:
        own_words = "; ".join(own_recipe(results, arm))
        done.append(f"networks trained by a recipe of their own{f' ({own_words})' if own_words else ''}")
    return done


def _images_of(results: Results, use: Add | Replace | Pretrain, cited: bool) -> str:
    """What an arm takes of a generator's images, in words."""
    made, chosen_by = results.study.generators[use.generator], use.filter
    what = f"images of a {_made_by(results, use.generator, cited)}"
    if isinstance(made, Files):
        what = f"images made elsewhere {_SAW[made.trained_on]}"
    if chosen_by is None:
        return what
    networks = plural(chosen_by.classifiers, "network")
    return (
        f"{what} (only those whose class {networks} of other replicates give a probability of "
        f"{chosen_by.probability:g} or more, and that are farther from any training image than the nearest "
        f"{chosen_by.percentile:g} % of these are from one another)"
    )


_SAW = {
    "train": "by a generator that saw no validation or test image",
    "elsewhere": "by a generator that saw none of the study's images",
    "unknown": "by a generator of which it is not known which images it saw",
}


def _made_by(results: Results, generator: str, cited: bool) -> str:
    """The kind of a generator, for people."""
    kind = results.study.generators[generator].kind
    known = GENERATORS.get(kind)
    keys = f" [{', '.join(known.citations)}]" if cited and known and known.citations else ""
    return f"{known.title if known else kind}{keys}"


_SHARES = {
    "deficit": "most of the rarest class, fewest of the largest",
    "inverse_frequency": "of each class in inverse proportion to its size",
    "proportional": "of each class in proportion to its size",
    "uniform": "as many of each class",
    "water_fill": "of the rarest classes, which are filled up to one level",
}
"""How an arm's images are shared among the classes → its words."""


def _amount(amount: Amount) -> str:
    """How many images an arm adds, and of which classes; where data sets differ, that is said."""
    shares = "" if amount.class_order == "first_appearance" else f", {_SHARES[amount.shares]}"
    if amount.images is not None:
        return plural(amount.images, "image") + shares
    others = ", or another share by data set" if amount.fractions else ""
    return f"{100 * amount.fraction:g} % of the training set{others}{shares}"


def _settings(values: Mapping[str, Any], *, without: Sequence[str]) -> str:
    shown = {key: value for key, value in values.items() if key not in without and value not in (None, False, 0, 0.0)}
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items())


def _analysis(results: Results, inference: Inference) -> str:
    tested = [c for c in inference.tests.values() if c.holm is not None]
    done = sum(run.done for run in results.runs)
    planned = " planned" if done < len(results.runs) else ""
    text = (
        f"Analysis: {plural(results.replicates, 'replicate')} of every arm{planned}; arms of a replicate share the "
        "seed of initial weights and order of images. The primary metric is "
        f"{metric_name(results.study.primary)} on the test images."
    )
    if tested:
        largest = max(c.largest_family for c in tested)
        margin, declared_so = inference.margin, margin_since(results.looks) or "declared in the study file"
        equal = (
            f" Equivalence within {of_points(margin)}, a margin {declared_so}, was tested by two "
            "one-sided tests [schuirmann1987], with p corrected in the same way."
            if margin
            else ""
        )
        text += (
            " Differences to the baseline were tested by a crossed analysis of replicates and test images "
            "[obuchowski1995], two-sided at 5 %. p is averaged over the values that the variance between replicates "
            "may have (a generalised p-value [tsui1989]), is never below that of the test itself, and is corrected "
            f"over the arms of a data set by Holm's method [holm1979] ({plural(largest, 'comparison')}).{equal} "
            "Intervals are 95 % intervals of single comparisons. Other metrics are exploratory."
        )
        grouped = [results.title(name) for name in inference.grouped]
        if grouped:
            text += f" Images of one group (such as a patient) count as one unit in {together(grouped)}."
    points = together(point_words(point) for point in results.study.operating_points)
    if points:
        where = "test images, and on images from elsewhere," if has_points_elsewhere(results) else "test images"
        text += (
            f" Every run chose thresholds for {points} on its validation images. What they do on {where} is "
            "exploratory."
        )
    text += _by_subgroup(results)
    text += _further_tests(results)
    if done < len(results.runs):
        there = f"{part(done, len(results.runs), 'run')} {'has' if done == 1 else 'have'} a result"
        text += f" The study is not complete: {there}{short_arms(results)}."
    return text


def _by_subgroup(results: Results) -> str:
    """By what test images are also parted; empty where they are not."""
    columns = {name: getattr(results.study.datasets[name], "subgroups", ()) for name in results.datasets}
    found = [
        f"{results.title(name)} by {together(one if isinstance(one, str) else one.column for one in those)}"
        for name, those in columns.items()
        if those
    ]
    return f" Scores and differences in subgroups of test images ({'; '.join(found)}) are exploratory." if found else ""


def _further_tests(results: Results) -> str:
    """How networks were tried on further test sets; empty without one."""
    worse, elsewhere = [], []
    for dataset, name in results.further_tests:
        part, title = results.study.datasets[dataset].tests[name], results.title(dataset)
        if isinstance(part, Corruptions):
            worse.append(f"{title} at severity {part.severity} ({together(corruption_words(part))})")
        else:
            elsewhere.append(f"{title} on {name} ({_images_elsewhere(results, place_of_test(dataset, name))})")
    text = ""
    if worse:
        text += (
            f" The trained networks were also tried on corrupted test images [hendrycks2019]: {'; '.join(worse)}. The "
            "score there is the mean over corruptions; differences are tested as on the test images, with p corrected "
            "over the arms on each such test set."
        )
    if elsewhere:
        text += (
            f" The trained networks were also tried on images from elsewhere: {'; '.join(elsewhere)}. Differences "
            "there are tested as on the test images, with p corrected over the arms on each such test set."
        )
    return text


def _images_elsewhere(results: Results, place: str) -> str:
    record, data = results.overlap(place).record, results.data(place).record
    if record is None or data is None:
        return "not read yet"
    keys = _KEY.findall(data.values.get("citation") or "")
    simulated = "simulated, " if data.values["source"] == "simulated" else ""
    groups = record.values["audit"]["test"].get("groups")
    cited = f" [{', '.join(keys)}]" if keys else ""
    of_groups = f" of {plural(groups, 'group')}" if groups else ""
    return f"{simulated}{plural(record.values['splits']['test']['images'], 'image')}{of_groups}{cited}"


def software_text(results: Results) -> str:
    """With which versions, and on what, the records were made."""
    records = [o.record for o in results.outcomes.values() if o.record is not None]
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in {"Python": record.run.get("python", ""), **record.run.get("packages", {})}.items():
            if version:
                found.setdefault(name, set()).add(version)
    if not found:
        return "Software: nothing was run yet."
    named = [f"{name} {' and '.join(sorted(versions))}" for name, versions in found.items()]
    devices = sorted({str(record.run["device"]) for record in records if record.run.get("device")})
    on = f" on {together(devices)}" if devices else ""
    return f"Software: medaug-keras [medaug_keras]; versions: {', '.join(named)}{on}."
