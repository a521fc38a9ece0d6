"""A results folder full of made-up records, written through the real plan and store. Nothing here was measured."""

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from medaug_keras import evaluation, tasks
from medaug_keras.plan import Plan, Run, Source, Task, plan
from medaug_keras.spec import Select, Study
from medaug_keras.store import Failure, Store

SIZES = {  # training, validation and test images, classes, channels
    "pathmnist": (89996, 10004, 7180, 9, 3),
    "dermamnist": (7007, 1003, 2005, 7, 3),
    "octmnist": (97477, 10832, 1000, 4, 1),
    "pneumoniamnist": (4708, 524, 624, 2, 1),
    "breastmnist": (546, 78, 156, 2, 1),
    "organamnist": (34561, 6491, 17778, 11, 1),
    "organcmnist": (12975, 2392, 8216, 11, 1),
    "organsmnist": (13932, 2452, 8827, 11, 1),
    "phantom-ultrasound": (546, 78, 156, 2, 1),
    "phantom-histology": (600, 100, 200, 4, 3),
    "chestmnist": (400, 60, 120, 4, 1),  # fewer than there are, of fewer findings
}
SEVERAL = ("chestmnist",)
"""Data sets whose images have several findings."""
NAMES = ["malignant", "normal, benign", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "x", "y"]
ARMS: dict[str, Any] = {
    "baseline": {"label": "No augmentation"},
    "gda": {"label": "Geometric", "augment": [{"layer": "horizontal_flip"}]},
    "cvae": {"label": "Conditional VAE", "add": {"generator": "cvae"}},
    "jvae": {"label": "Joint VAE", "interleave": {"generator": "jvae"}},
    "cgan": {"label": "Conditional GAN", "add": {"generator": "cgan"}},
    "duplicate": {"label": "Duplicates (control)", "duplicate": {}},
}
GENERATORS = {"cvae": {"kind": "cvae"}, "jvae": {"kind": "joint_vae"}, "cgan": {"kind": "cgan"}}
EFFECTS = {"baseline": 0.0, "gda": -0.02, "cvae": 0.012, "jvae": -0.01, "cgan": 0.02, "duplicate": 0.003}
RUN = {
    "started": 1_700_000_000.0,
    "seconds": 12.5,
    "host": "fake-host",
    "system": "Linux-fake",
    "processor": "Fake CPU",
    "device": "CPU",
    "threads": 1,
    "python": "3.11.0",
    "packages": {"medaug-keras": "0.1.0", "keras": "3.15.0", "torch": "2.13.0", "numpy": "2.4.0"},
}


def fake_study(
    *,
    datasets: tuple[str, ...] = ("breastmnist", "phantom-histology"),
    arms: Mapping[str, Any] | None = None,
    replicates: int = 3,
    **more: Any,
) -> Study:
    """A study of the given data sets with the paper's arms, or others."""
    arms = {name: ARMS[name] for name in ("baseline", "gda", "cvae", "jvae", "cgan")} if arms is None else dict(arms)
    used = {(a.get("add") or a.get("interleave") or {}).get("generator") for a in arms.values()}
    content = {
        "name": "fake",
        "title": "Made-up records",
        "question": "Does this page show what its records say?",
        "replicates": replicates,
        "primary": "accuracy",
        "datasets": {name: {"kind": "phantom" if name.startswith("phantom") else "medmnist"} for name in datasets},
        "generators": {name: spec for name, spec in GENERATORS.items() if name in used},
        "arms": arms,
        **more,
    }
    return Study.model_validate_json(json.dumps(content))


def large_study(sets: int, arms: int, replicates: int) -> Study:
    """Phantoms of many seeds; beside the baseline a generator, copies, and rotations by many angles."""
    phantoms = ("phantom-ultrasound", "phantom-histology")
    every = {name: ARMS[name] for name in ("baseline", "cvae", "duplicate")}
    every |= {f"turned-{n:02d}": {"augment": [{"layer": "RandomRotation", "factor": n / 100}]} for n in range(3, arms)}
    content = {
        "name": "large",
        "title": "A large study",
        "question": "Does its report stay small?",
        "samplings": ["shuffle"],
        "replicates": replicates,
        "datasets": {f"set-{n:02d}": {"kind": "phantom", "name": phantoms[n % 2], "seed": n} for n in range(sets)},
        "generators": {"cvae": GENERATORS["cvae"]},
        "arms": every,
    }
    return Study.model_validate_json(json.dumps(content))


def fake_plan(study: Study) -> Plan:
    """The study's plan, with the true numbers of images of each data set (any other has BreastMNIST's)."""
    sources = {}
    for name in study.sets:
        train, validation, test, *_ = SIZES.get(name, SIZES["breastmnist"])
        fingerprint = f"{hash_text(name):032x}"
        sources[name] = Source(fingerprint, train, validation, test, several=name in SEVERAL)
    return plan(study, sources)


def hash_text(text: str) -> int:
    """The same number for the same text in every process, unlike hash()."""
    return zlib.crc32(text.encode())


def fake_results(
    study: Study,
    root: Path,
    *,
    leave_out: Callable[[Task], bool] = lambda task: False,
    fails: Callable[[Task], bool] = lambda task: False,
    score: Callable[[str, str, str, int], float] | None = None,
    hits: Callable[[str, str, str, int], np.ndarray] | None = None,
    groups: Callable[[str], np.ndarray] | None = None,
    folds: Callable[[str, int], np.ndarray] | None = None,
    held_out: Callable[[str, str, str, int], float] | None = None,
    late: Callable[[str, str, str, int], float] = lambda *cell: 0.0,
    small: bool = True,
    whole: Plan | None = None,
) -> tuple[Plan, Store]:
    """Records for every task of the study but those left out, those that fail, and what needs them.

    `score(dataset, arm, sampling, replicate)` gives the share of the test images to get right; `hits` of the same says
    which (bool, one a test image); `groups(dataset)` which of them belong together, and `folds(dataset, replicate)`
    which fold tests each. `held_out` gives the share of the validation images where it is another; `late` what the last
    epoch has in addition. `small` keeps the arrays of images per split below 400, whatever the data set has.
    """
    whole, store = whole or fake_plan(study), Store(root)
    root.mkdir(parents=True, exist_ok=True)
    cells = {run.task: run for run in whole.runs}
    names = {m.task: m.name for m in (*whole.generators, *whole.synthesis, *whole.quality)}
    gone: set[str] = set()
    for task in whole.tasks.values():
        if store.is_done(task.id):
            continue
        if leave_out(task) or any(need in gone for need in task.needs.values()):
            gone.add(task.id)
            continue
        if fails(task):
            gone.add(task.id)
            details = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: a made-up failure\n'
            store.fail(task, Failure(task.kind, task.key, "ValueError: a made-up failure <b>&", details, RUN))
            continue
        if store.is_done(task.id):
            continue
        with store.claim(task.id) as out:
            assert out is not None
            make = MAKERS.get(task.kind)
            rng = np.random.default_rng(int(task.key[:12], 16))
            if make is not None:
                values = make(study, task, names.get(task.id, ""), out, rng)
            else:
                base = study.baseline  # what a filter asks may be of a replicate that the study has not
                own = Run(task.dataset, base.arm, base.sampling, task.replicate, task.id)
                cell = cells.get(task.id, own)
                values = _classifier(cell, task, out, rng, score or _score, hits, groups, folds, held_out, late, small)
                values |= _tuned(store, task)
            store.commit(task, out, values, RUN)
    return whole, store


def _score(dataset: str, arm: str, sampling: str, replicate: int) -> float:
    noise = np.random.default_rng([hash_text(dataset + arm + sampling) % 10_000, replicate]).normal(0, 0.01)
    return float(np.clip(0.82 + EFFECTS.get(arm, 0.0) + (0.01 if sampling == "weighted" else 0) + noise, 0, 1))


def _shape(dataset: str) -> tuple[int, int, int, int, int]:
    return SIZES.get(dataset, SIZES["breastmnist"])


def _shares(n: int, classes: int) -> list[int]:
    weights = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    counts = np.floor(n * weights).astype(int)
    counts[-1] += n - counts.sum()
    return [int(c) for c in counts]


def findings(split: str, n: int, classes: int) -> np.ndarray:
    """(n, K) made-up findings: the first of half the images, each other of fewer; of test images, the last has one."""
    labels = np.random.default_rng(len(split)).random((n, classes)) < 0.5 ** np.arange(1, classes + 1)
    if split == "test":
        labels[:, -1] = np.arange(n) == 0
    return labels.astype(np.int64)


def _splits(dataset: str) -> dict[str, dict[str, Any]]:
    *sizes, classes, _ = _shape(dataset)
    counted = zip(("train", "validation", "test"), sizes, strict=True)
    if dataset not in SEVERAL:
        return {split: {"images": n, "per_class": _shares(n, classes)} for split, n in counted}
    found = {split: findings(split, n, classes) for split, n in counted}
    return {
        split: {"images": len(labels), "per_class": labels.sum(0).tolist(), "none": int((~labels.any(1)).sum())}
        for split, labels in found.items()
    }


def _data(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    *_, classes, channels = _shape(task.dataset)
    several = task.dataset in SEVERAL
    images = np.zeros((200, 28, 28, channels), np.uint8) + np.linspace(0, 180, 28, dtype=np.uint8)[:, None, None]
    images += rng.integers(0, 70, (200, 1, 1, 1), dtype=np.uint8)
    np.savez(
        out / "examples.npz",
        montage=images,
        montage_labels=rng.integers(0, classes, 200),
        by_class=np.stack([images[:10]] * (classes + several)),
        by_class_count=np.full(classes + several, 10),
    )
    simulated = task.dataset.startswith("phantom")
    own = getattr(study.sets[task.dataset], "classes", None)
    return {
        "name": task.dataset,
        "source": "simulated" if simulated else "unverified copy" if task.dataset == "breastmnist" else "official",
        "md5": "0" * 32,
        "official_md5": None if simulated else "1" * 32,
        "image_shape": [28, 28, channels],
        "classes": list(own or NAMES[:classes]),
        "task": "multi-label, binary-class" if several else "binary-class" if classes == 2 else "multi-class",
        "splits": _splits(task.dataset),
        **({"together": np.full((classes, classes), 7).tolist()} if several else {}),
        "licence": "CC BY 4.0",
        "homepage": "https://medmnist.com",
        "citation": "yang2023medmnist",
    }


LOSSES = {
    "cvae": ("loss", "reconstruction", "kl", "val_loss"),
    "joint_vae": ("loss", "reconstruction", "kl", "val_loss"),
    "cgan": ("generator_loss", "discriminator_loss"),
}
NETWORKS = {"cvae": ("encoder", "decoder"), "joint_vae": ("encoder", "decoder"), "cgan": ("generator", "discriminator")}


def _layers(network: str) -> dict[str, Any]:
    rows = [
        {"name": "images", "type": "InputLayer", "output_shape": [28, 28, 1], "parameters": 0},
        {"name": "conv_1", "type": "Conv2D", "output_shape": [14, 14, 32], "parameters": 896},
        {"name": "norm_1", "type": "BatchNormalization", "output_shape": [14, 14, 32], "parameters": 64},
        {"name": "logits", "type": "Dense", "output_shape": [2], "parameters": 1161},
    ]
    return {"network": network, "layers": rows, "trainable": 2121}


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _generator(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    kind = task.params["settings"]["kind"]
    history = {loss: [float(x) for x in 40 * np.exp(-np.arange(25) / 8) + rng.random(25)] for loss in LOSSES[kind]}
    _write(out / "history.json", history)
    _write(out / "layers.json", [_layers(network) for network in NETWORKS[kind]])
    (out / "sampler.keras").write_bytes(b"not a model")
    return {
        "epochs": 25,
        "best_epoch": 20,
        "losses": {loss: values[19] for loss, values in history.items()},
        "parameters": dict.fromkeys(NETWORKS[kind], 2121),
    }


def _synthesis(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    *_, classes, channels = _shape(task.dataset)
    number = labels = np.repeat(np.arange(classes), 10)
    values = {"images": task.images, "per_class": _shares(task.images, classes)}
    if task.dataset in SEVERAL:
        labels = findings("train", len(number), classes)
        values["none"] = 5
    np.savez(
        out / "synthetic.npz",
        images=np.zeros((len(labels), 28, 28, channels), np.uint8)
        + (60 + 10 * number[:, None, None, None]).astype(np.uint8),
        labels=labels,
    )
    if task.params.get("filter") is not None:
        counts = {"drawn": [2 * n for n in values["per_class"]]}
        values["filter"] = counts | {"refused": {"class": values["per_class"], "near": [0] * classes}}
    return {**values, "pixel_std": 0.4, "real_pixel_std": 0.41}


def _quality(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    *_, classes, channels = _shape(task.dataset)
    classes += task.dataset in SEVERAL  # those without a finding
    grey = rng.integers(0, 256, (16, 1, 1, 1), dtype=np.uint8)
    images = {kind: np.zeros((16, 28, 28, channels), np.uint8) + grey for kind in ("train", "synthetic")}
    arrays: dict[str, np.ndarray] = {}
    for space in ("pixels", "features"):
        arrays[f"{space}_train"] = arrays[f"{space}_test"] = images["train"]
        arrays[f"{space}_synthetic"] = images["synthetic"]
        for kind in ("train", "test"):
            arrays[f"{space}_{kind}_mirrored"] = np.arange(16) % 2 == 0
            arrays[f"{space}_{kind}_distance"] = np.sort(rng.uniform(5, 30, 16))
    np.savez(out / "neighbours.npz", **arrays)
    copied = name == "duplicate"
    spaces = {space: _space(classes, copied, rng) for space in ("pixels", "features")}
    spaces["aligned"] = {"copying": _space(classes, copied, rng)["copying"]}
    spaces["features"]["map"] = {"variance": [0.5, 0.2]} | {
        kind: {"class": [i % classes for i in range(30)], "x": [i / 7 for i in range(30)], "y": [1.5 + shift] * 30}
        for shift, kind in enumerate(("train", "test", "synthetic"))
    }
    shortcut = {"auc": 0.7, "auc_test": 0.5, "class_told": 0.07, "by_class": []}
    return {
        "images": 54,
        "verdict": "copies found" if copied else "no copying found at this threshold",
        "class_consistency": {"value": 0.8, "ceiling": 0.85, "by_class": [0.8] * classes},
        "duplicates": {"images": 54, "near": 0.012, "near_real": 0.01, "identical": 0, "reason": None},
        "spaces": spaces,
    } | ({} if copied else {"shortcut": shortcut})


def _usefulness(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    *_, classes, _ = _shape(task.dataset)
    values = {"accuracy": 0.7, "auc": 0.75, "balanced_accuracy": 0.7, "macro_f1": 0.7}
    if task.dataset not in SEVERAL:
        values["confusion"] = [
            [7 * (i == j) + 3 * ((i + 1) % classes == j) for j in range(classes)] for i in range(classes)
        ]
    return {"images": 546, "selected": dict.fromkeys(get_args(Select), 3), "scores": {"3": {"test": values}}}


def _overlap(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Of the 100 images of a further test set from elsewhere, 12 are training images, and 3 validation images."""
    *_, classes, channels = _shape(task.dataset)
    train, validation = (_splits(task.dataset)[split] for split in ("train", "validation"))
    test = {"images": 100, "per_class": _shares(100, classes)}
    none = {"constant": 0, "dark": 0, "near_within": 0, "near_conflicting": 0, "conflicting": 0}
    found = {"in_train": 9, "near_in_train": 3, "in_validation": 1, "near_in_validation": 2, "groups": 50}
    other = {f"{what}_other_class": 0 for what in found if what != "groups"}
    return {
        "name": "breastmnist",
        "title": "breastmnist",
        "source": "official",
        "image_shape": [28, 28, channels],
        "classes": NAMES[:classes],
        "task": "binary-class" if classes == 2 else "multi-class",
        "splits": {"train": train, "validation": validation, "test": test},
        "audit": {"enlarged": 0, "test": {**none, **found, **other, "distinct": 100, "largest_group": 2}},
    }


def _test(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Probabilities of the classifier, mixed with noise; of images from elsewhere, of 100 in groups of two."""
    classifier = out.parent.parent / task.needs["classifier"]
    if "corruptions" not in task.params:
        return _elsewhere(classifier, out, rng)
    made = task.params["corruptions"]
    selected = json.loads((classifier / "record.json").read_bytes())["values"]["selected"]
    with np.load(classifier / "predictions.npz") as kept:
        arrays = {name: kept[name] for name in ("test_labels", "test_groups") if name in kept}
        p = {epoch: kept[f"test_{epoch}"] for epoch in sorted(set(selected.values()))}
    scores: dict[str, Any] = {str(epoch): {} for epoch in p}
    for place, kind in enumerate(made["kinds"]):
        for epoch, of in p.items():
            worse = ((5 - place) * of + made["severity"] * rng.dirichlet(np.ones(of.shape[1]), len(of))) / 10
            arrays[f"{kind}_{epoch}"] = worse = (worse / worse.sum(1, keepdims=True)).astype(np.float32)
            scores[str(epoch)][kind] = evaluation.scores(arrays["test_labels"], worse)
    np.savez(out / "predictions.npz", **arrays)
    changed = {kind: 4.0 + place for place, kind in enumerate(made["kinds"])}
    return {"images": len(arrays["test_labels"]), "selected": selected, "pixels_changed": changed, "scores": scores}


def _elsewhere(classifier: Path, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    selected = json.loads((classifier / "record.json").read_bytes())["values"]["selected"]
    scores: dict[str, Any] = {}
    with np.load(classifier / "predictions.npz") as kept:
        some = np.linspace(0, len(kept["test_labels"]) - 1, 100).astype(np.int64)
        labels, arrays = kept["test_labels"][some], {}
        for epoch in sorted(set(selected.values())):
            of = kept[f"test_{epoch}"][some]
            worse = (6 * of + 4 * rng.dirichlet(np.ones(of.shape[1]), len(of))) / 10
            arrays[f"test_{epoch}"] = worse = (worse / worse.sum(1, keepdims=True)).astype(np.float32)
            scores[str(epoch)] = {"test": evaluation.scores(labels, worse)}
    groups = np.array([f"p{place // 2}" for place in range(len(labels))])
    np.savez(out / "predictions.npz", **arrays, test_labels=labels, test_groups=groups)
    return {"images": len(labels), "selected": selected, "pixels_changed": {}, "scores": scores}


def _space(classes: int, copied: bool, rng: np.random.Generator) -> dict[str, Any]:
    names = ("precision", "recall", "density", "coverage")
    four, real = (dict(zip(names, values, strict=True)) for values in ((0.6, 0.5, 0.4, 0.3), (0.9, 0.8, 0.75, 0.7)))
    quantiles = {"smallest": 1.0, "low": 2.0, "median": 12.5, "high": 30.0}
    return {
        "features": 64,
        "kid": {"value": 0.02 + float(rng.normal(0, 0.001)), "low": 0.01, "high": 0.03, "reason": None},
        "kid_real": {"value": 0.001, "low": 0.0, "high": 0.002, "reason": None},
        "fd": {"value": 20.0, "floor": 14.0, "reason": None},
        # The first class has too few images to be judged.
        "classes": [
            {"class": 0, "reason": "3 synthetic images, more than 5 are needed", "real": None} | dict.fromkeys(four),
            *({"class": k, "reason": None, "real": real, **four} for k in range(1, classes)),
        ],
        "copying": {
            "verdict": "copies found" if copied else "no copying found at this threshold",
            "p": 1e-9 if copied else 0.7,
            "identical": 54 if copied else 0,
            "identical_test": 1,
            "nearer_to_train": {"value": 0.5},
            "c_t": {"value": None if classes == 2 else -0.3, "cells": 2},
            "train_distance": quantiles,
            "test_distance": {**quantiles, "median": 14.5},
        },
    }


def _tuning(study: Study, task: Task, name: str, out: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Of the learning rates 0.5 is best, and the nearer the better; with 100 and more, training diverges."""
    rate = task.params["settings"]["optimizer"]["learning_rate"]
    if rate >= 100:
        return {"diverged": "loss is nan after epoch 1", "selected": {}, "measured": {}}
    score = 0.9 - 0.1 * abs(float(np.log10(rate / 0.5))) + 0.01 * task.params["number"]
    measured = {"val_auc": score, "val_accuracy": score, "val_balanced_accuracy": score, "val_loss": 1 - score}
    rules = get_args(Select)
    return {"selected": dict.fromkeys(rules, 1), "measured": dict.fromkeys(rules, measured)}


def _tuned(store: Store, task: Task) -> dict[str, Any]:
    """What a classifier's record has of the tuning that it needs; empty without any."""
    needs = {word: store.folder(need) for word, need in task.needs.items()}
    return {"tuned": tasks._tuned(task.params["tune"], needs)} if "tune" in task.params else {}


MAKERS = {
    "data": _data,
    "generator": _generator,
    "synthesis": _synthesis,
    "tuning": _tuning,
    "overlap": _overlap,
    "test": _test,
    "quality": _quality,
    "usefulness": _usefulness,
}


def _probabilities(labels: np.ndarray, hit: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Probabilities that are largest at the label where `hit`, elsewhere at another class."""
    n = len(labels)
    guess = np.where(hit, labels, (labels + rng.integers(1, classes, n)) % classes)
    scores = rng.random((n, classes)) * 0.5
    scores[np.arange(n), guess] += 0.6
    return (scores / scores.sum(1, keepdims=True)).astype(np.float32)


def _metrics(probabilities: np.ndarray, labels: np.ndarray, classes: int, auc: float) -> dict[str, Any]:
    guess = probabilities.argmax(1)
    confusion = np.bincount(labels * classes + guess, minlength=classes * classes).reshape(classes, classes)
    recall = np.diag(confusion) / np.maximum(confusion.sum(1), 1)
    f1 = 2 * np.diag(confusion) / np.maximum(confusion.sum(0) + confusion.sum(1), 1)
    return {
        "auc": auc,
        "accuracy": float((guess == labels).mean()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "recall": [float(r) for r in recall],
        "confusion": confusion.tolist(),
    }


def _classifier(
    cell: Any,
    task: Task,
    out: Path,
    rng: np.random.Generator,
    score: Callable[[str, str, str, int], float],
    hits: Callable[[str, str, str, int], np.ndarray] | None,
    groups: Callable[[str], np.ndarray] | None,
    folds: Callable[[str, int], np.ndarray] | None,
    held_out: Callable[[str, str, str, int], float] | None,
    late: Callable[[str, str, str, int], float],
    small: bool,
) -> dict[str, Any]:
    train, validation, test, classes, _ = _shape(task.dataset)
    where = cell.dataset, cell.arm, cell.sampling, cell.replicate
    arrays, shares_right = {}, {}
    epochs = task.params["settings"]["epochs"]
    chosen = min(12, epochs)  # by every rule but the last
    for split, size in (("test", test), ("validation", validation)):
        if task.dataset in SEVERAL:
            labels = findings(split, size, classes)
        else:
            shares = _shares(min(size, 400) if small else size, classes)
            labels = np.repeat(np.arange(classes), shares)
        arrays[f"{split}_labels"] = labels
        for epoch in sorted({chosen, epochs}):
            right = (held_out or score)(*where) if split == "validation" else score(*where)
            shares_right[split, epoch] = right = right + (late(*where) if epoch == epochs else 0.0)
            hit = rng.permutation(np.arange(len(labels)) < round(right * len(labels)))
            if hits is not None and split == "test":
                hit = hits(*where)
            if task.dataset in SEVERAL:
                drawn = rng.random(labels.shape)
                arrays[f"{split}_{epoch}"] = np.where(hit[:, None], (labels + drawn) / 2, drawn).astype(np.float32)
            else:
                arrays[f"{split}_{epoch}"] = _probabilities(labels, hit, classes, rng)
    scores = {
        str(epoch): {
            split: evaluation.scores(arrays[f"{split}_labels"], arrays[f"{split}_{epoch}"])
            if task.dataset in SEVERAL
            else _metrics(
                arrays[f"{split}_{epoch}"],
                arrays[f"{split}_labels"],
                classes,
                min(1.0, shares_right[split, epoch] + 0.05),
            )
            for split in ("test", "validation")
        }
        for epoch in sorted({chosen, epochs})
    }
    if groups is not None:
        arrays["test_groups"] = groups(cell.dataset)
    if folds is not None:
        arrays["test_folds"] = folds(cell.dataset, cell.replicate)
    np.savez(out / "predictions.npz", **arrays)
    rising = 0.5 + 0.4 * (1 - np.exp(-np.arange(epochs) / 5))
    names = ("accuracy", "auc", "val_accuracy", "val_auc")
    history = {name: [float(x) for x in np.clip(rising + rng.normal(0, 0.01, epochs), 0, 1)] for name in names}
    history["loss"] = history["val_loss"] = [float(1 - x) for x in rising]
    _write(out / "history.json", history)
    _write(out / "layers.json", [_layers("classifier")])
    return {
        "selected": {rule: epochs if rule == "last" else chosen for rule in get_args(Select)},
        "scores": scores,
        "epochs": epochs,
        "training_images": train,
        "training_per_class": _shares(train, classes),
        "parameters": 2121,
    }
