"""What each kind of task does: it reads files, calls the science, and writes files.

Every function gets the task, the folders of its needs (by the word under which it needs them, and as `unpacked` where
data sets lie that all workers map), an empty folder `out`, and a checkpoint from which a killed training run resumes.
It returns the few values worth a record; anything large is a file in `out`. To add a kind, add to `MAKERS`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from medaug_keras import augmentation, classifiers, data, evaluation, generators
from medaug_keras import labels as labels_of
from medaug_keras.generators.fitting import Recipe, TrainingData
from medaug_keras.networks import fuse
from medaug_keras.plan import JUDGES_RULE, Task, added_images, judge_word, tuning_word
from medaug_keras.store import Store
from medaug_keras.training import Checkpoint, DivergedError, Gathered, Images, arithmetic, file_checkpoint, subseed

Tell = Callable[[str, Any], None]
"""Called with ("epoch", (number, values)), ("message", text) or ("resumed", seconds spent before)."""
Folders = Mapping[str, Path]

# How MedMNIST's own benchmark chooses the epoch that it evaluates.
MEDMNISTS_RULE = "best_validation_auc"


def make(task: Task, store: Store, out: Path, tell: Tell) -> dict[str, Any]:
    """Do the work of a task in `out` and return the values of its record."""
    folders = {word: store.folder(need) for word, need in task.needs.items()} | {"unpacked": store.root / "unpacked"}
    checkpoint = file_checkpoint(
        store.checkpoint(task.id),
        scratch=out,
        key=task.key,
        on_message=lambda text: tell("message", text),
        on_resume=lambda seconds: tell("resumed", seconds),
    )
    precision = task.params.get("precision")  # reading data has none
    with arithmetic(precision) if precision is not None else nullcontext():
        return MAKERS[task.kind](task, folders, out, tell, checkpoint)


def make_data(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Find, check and describe a data set. Makes examples.npz, a few images to show; audit.npz, pairs of related
    images; and split.csv, the image, group, split and class of every image, where the study says how images are split
    (folds differ between replicates).
    """
    dataset = _unpacked(
        task, needs["unpacked"] / task.id, task.params["fingerprint"], tell=lambda text: tell("message", text)
    )
    np.savez_compressed(out / "examples.npz", allow_pickle=False, **data.examples(dataset, seed=0))
    if task.local.get("split") is not None and not dataset.whole:
        (out / "split.csv").write_bytes(data.split_csv(dataset))
    relations = data.related(dataset)
    np.savez_compressed(out / "audit.npz", allow_pickle=False, **data.pairs_to_show(relations))
    return dataset.summary() | {"audit": data.audit(dataset, relations)}


def make_subgroups(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Read which image is in which subgroup. Makes subgroups.npz: ids, and the subgroup's number by each column."""
    found = data.KINDS[task.local["kind"]].subgroups(task.local)
    if found is None or found.md5 != task.params["values"]:
        raise data.DataError(f"{task.dataset}: the columns of its subgroups changed while the study ran. Run it again.")
    data.save_subgroups(out / "subgroups.npz", found)
    return {"columns": found.counts()}


def make_overlap(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Look for the images of a further test set from elsewhere among those that its networks learn from. Makes
    audit.npz, pairs of related images.

    Its record is that of the data set with these images in place of its test images.
    """
    own, place = _dataset(task, needs), task.needs["outside"]
    values = json.loads((needs["outside"] / "record.json").read_bytes())["values"]
    found, section = values.get("fingerprint", values["md5"]), task.local["beside"]
    outside = _unpacked(task, needs["unpacked"] / place, found, tell=None, section=section)
    both = data.beside(own, outside, task.params["classes"])
    relations = data.related(both)
    np.savez_compressed(out / "audit.npz", allow_pickle=False, **data.pairs_to_show(relations, split="test"))
    return both.summary() | {"audit": data.audit(both, relations)}


def make_generator(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Train a generator. Makes sampler.keras, history.json, layers.json; of images made elsewhere, synthetic.npz."""
    dataset = _dataset(task, needs)
    settings = dict(task.params["settings"])
    kind = settings.pop("kind")
    if generators.GENERATORS[kind].foreign:
        return _read_made(dataset, task.params["files"], out)
    keras.backend.clear_session()
    recipe, own = Recipe.split(settings)
    trained = generators.GENERATORS[kind].fit(
        TrainingData(
            dataset.train.images,
            dataset.train.labels,
            dataset.validation.images,
            dataset.validation.labels,
            num_classes=len(dataset.classes),
        ),
        recipe,
        seed=task.params["seed"],
        on_epoch=lambda epoch, logs: tell("epoch", (epoch, logs)),
        checkpoint=checkpoint,
        **own,
    )
    trained.sampler.save(out / "sampler.keras")
    _write_json(out / "history.json", trained.history)
    _write_json(out / "layers.json", [_layers(name, network) for name, network in trained.networks.items()])
    return {
        "epochs": len(next(iter(trained.history.values()))),
        "best_epoch": trained.best_epoch,
        "losses": trained.losses,
        "parameters": {name: _trainable(network) for name, network in trained.networks.items()},
    }


def _read_made(dataset: data.Dataset, files: Mapping[str, str], out: Path) -> dict[str, Any]:
    path = Path(files["path"])
    images, labels = data.load_made(path, classes=dataset.classes, image_shape=dataset.image_shape)
    if data.made_sum(path) != files["sha256"]:
        raise data.DataError(f"{path} changed while the study ran. Run the study again.")
    data.save_plain(out / "synthetic.npz", images=images, labels=labels)
    return {
        "images": len(labels),
        "per_class": [int(n) for n in np.bincount(labels, minlength=len(dataset.classes))],
    }


def _sampler(kind: str, folder: Path) -> Any:
    """What a generator's `sample` or `reconstruct` takes: its saved network, or the images that were made elsewhere."""
    if generators.GENERATORS[kind].foreign:
        return data.load_plain(folder / "synthetic.npz")
    return keras.models.load_model(folder / "sampler.keras")


def make_synthesis(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Make the images that an arm adds. Makes synthetic.npz: images (n, H, W, C) uint8 and labels (n,) or (n, K)."""
    dataset, params = _dataset(task, needs), task.params
    images, labels, order = dataset.train.images, dataset.train.labels, None
    chosen: evaluation.Counts | None = None
    if params["how"] == "interleave":
        sampler = _sampler(params["kind"], needs["generator"])
        reconstruct = generators.GENERATORS[params["kind"]].reconstruct
        settings = params.get("settings", {})
        made = reconstruct(sampler, images, labels, seed=params["seed"], mode=params["mode"], **settings)
        made_labels = labels
    else:
        amount = params["amount"]
        total = added_images(amount, len(labels))
        if total == 0:
            raise ValueError(f"a fraction of {amount['fraction']} of {len(labels)} training images adds none; raise it")
        sorts = labels_of.sorts(labels)
        wanted = augmentation.labels_to_make(
            sorts,
            int(sorts.max()) + 1 if dataset.several else len(dataset.classes),
            total=total,
            shares=amount["shares"],
            class_order=amount["class_order"],
            draw=amount["draw"],
            seed=params["seed"],
        )
        if params["how"] == "duplicate":
            made, order = images, augmentation.copies(sorts, wanted, seed=params["seed"])
            made_labels = labels[order]
        else:
            made_labels = wanted
            if dataset.several:  # the findings that as many copies have
                made_labels = labels[augmentation.copies(sorts, wanted, seed=params["seed"])]
            sampler = _sampler(params["kind"], needs["generator"])
            if params.get("filter") is not None:
                made, chosen = _filtered(dataset, needs, sampler, made_labels, params)
            else:
                sample = generators.GENERATORS[params["kind"]].sample
                made = sample(sampler, made_labels, seed=params["seed"], **params["settings"])
    data.save_plain(out / "synthetic.npz", images=made, labels=made_labels, order=order)
    made = data.load_plain(out / "synthetic.npz")["images"]
    return {
        "images": len(made_labels),
        "per_class": labels_of.counts(made_labels, len(dataset.classes)),
        **({"none": int(np.sum(~made_labels.any(axis=1)))} if dataset.several else {}),
        "pixel_std": data.pixel_std(made) / 127.5,  # of values in [-1, 1], as the models see them
        "real_pixel_std": data.pixel_std(images) / 127.5,
        **({"filter": _counted(chosen)} if chosen is not None else {}),
    }


def _filtered(
    dataset: data.Dataset, needs: Folders, sampler: Any, labels: np.ndarray, params: Mapping[str, Any]
) -> tuple[np.ndarray, evaluation.Counts]:
    """A generator's images of these classes that the filter of an arm keeps."""
    rules, seed, kind = params["filter"], params["seed"], generators.GENERATORS[params["kind"]]
    train, classes = dataset.train.images, len(dataset.classes)
    judges = []
    for place in range(rules["classifiers"]):
        folder = needs[judge_word(place)]
        epoch = json.loads((folder / "record.json").read_bytes())["values"]["selected"][JUDGES_RULE]
        judges.append(keras.models.load_model(folder / f"classifier-{epoch}.keras"))
    distance = evaluation.real_distance(train, percentile=rules["percentile"], seed=subseed(seed, "filter"))

    def refuses(made: np.ndarray, asked: np.ndarray) -> dict[str, np.ndarray]:
        mean = np.mean([classifiers.predict(judge, made, head=rules["head"]) for judge in judges], axis=0)
        return {
            "class": mean[np.arange(len(asked)), asked] < rules["probability"],
            "near": evaluation.too_near(made, train, distance=distance),
        }

    if kind.foreign:  # there are no others to draw
        kept, counts = evaluation.judged(sampler["images"], sampler["labels"], refuses, num_classes=classes)
        pool = {"images": sampler["images"][kept], "labels": sampler["labels"][kept]}
        try:
            return kind.sample(pool, labels, seed=seed, **params["settings"]), counts
        except ValueError as error:
            raise ValueError(f"of the images that the filter keeps, {error}") from error

    def sample(number: int) -> np.ndarray:
        own = seed if number == 0 else subseed(seed, f"filter {number}")  # at first the images of an arm without filter
        made: np.ndarray = kind.sample(sampler, labels, seed=own, **params["settings"])
        return made

    return evaluation.filtered(labels, sample, refuses, draws=rules["draws"], num_classes=classes)


def _counted(counts: evaluation.Counts) -> dict[str, Any]:
    refused = {reason: [int(n) for n in of_classes] for reason, of_classes in counts.refused.items()}
    return {"drawn": [int(n) for n in counts.drawn], "refused": refused}


def make_classifier(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Train a classifier. Makes history.json, predictions.npz, layers.json, MedMNIST's own files, and one
    classifier-EPOCH.keras for every epoch that a rule chooses: five at most.
    """
    dataset, params = _dataset(task, needs), task.params
    tuned = _tuned(params["tune"], needs) if "tune" in params else None
    settings = _at_rate(params["settings"], tuned)
    images, labels, pretraining = _training_set(dataset, needs, params)
    real = labels if pretraining is None else labels[: -pretraining.images]
    trained = _trained(
        dataset,
        (images, labels),
        settings,
        sampling=params["sampling"],
        augment=params["augment"],
        seed=params["seed"],
        stream=params["stream"],
        pretraining=pretraining,
        tell=tell,
        checkpoint=checkpoint,
    )
    held_out = _held_out(dataset)
    for epoch in trained.kept:
        trained.at(epoch).save(out / f"classifier-{epoch}.keras")
    _write_json(out / "history.json", trained.history)
    _write_json(out / "layers.json", [_layers("classifier", trained.model)])
    kept = {
        f"{split}_{epoch}": found for epoch, one in trained.kept.items() for split, found in one.probabilities.items()
    }
    truth = {f"{split}_labels": labels for split, (_, labels) in held_out.items()}
    np.savez_compressed(out / "predictions.npz", allow_pickle=False, **kept, **truth, **_names(dataset))
    measured = _measured(trained, held_out)
    if dataset.official_md5 is not None and not dataset.left_out:  # MedMNIST's evaluator expects every image
        folder = out / "medmnist"
        folder.mkdir()
        flag = Path(data.medmnist_file(dataset.name, dataset.image_shape[0])).stem
        for split, found in trained.chosen(MEDMNISTS_RULE).items():
            score = measured["scores"][str(trained.selected[MEDMNISTS_RULE])][split]
            evaluation.write_medmnist_csv(folder, flag, split, found, score["auc"], score["accuracy"], task.key[:16])
    return {
        "epochs": len(trained.history["loss"]),
        "training_images": len(real),
        "training_per_class": labels_of.counts(real, len(dataset.classes)),
        **({"pretraining_images": pretraining.images} if pretraining is not None else {}),
        "parameters": _trainable(trained.model),
        **({"unfused": unfused} if (unfused := fuse(trained.model).unfused) else {}),
        **({"tuned": tuned} if tuned else {}),
        **measured,
    }


def make_tuning(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Train as an arm does, with one of the learning rates that its own is chosen from. Makes history.json.

    No test image is looked at. A training run that diverges is a result, too: its learning rate is not chosen.
    """
    dataset, params = _dataset(task, needs), task.params
    images, labels, pretraining = _training_set(dataset, needs, params)
    try:
        trained = _trained(
            dataset,
            (images, labels),
            params["settings"],
            sampling=params["sampling"],
            augment=params["augment"],
            seed=subseed(params["seed"], f"tuning {params['number']}"),
            stream="",
            pretraining=pretraining,
            tell=tell,
            checkpoint=checkpoint,
            held_out=("validation",),
        )
    except DivergedError as error:
        return {"diverged": str(error), "selected": {}, "measured": {}}
    history = trained.history
    _write_json(out / "history.json", history)
    return {
        "epochs": len(history["loss"]),
        "training_images": len(labels) - (pretraining.images if pretraining is not None else 0),
        "selected": trained.selected,
        "measured": {
            rule: {name: values[epoch - 1] for name, values in history.items() if name.startswith("val_")}
            for rule, epoch in trained.selected.items()
        },
    }


def make_folds(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Put the predictions of a run's folds together. Makes predictions.npz of all images in the data set's order,
    history.json (a list of the folds'), and layers.json of the first.

    Folds choose other epochs by one rule, so arrays and scores are named by the rule: test_best_validation_auc.
    """
    images, number = _dataset(task, needs).train, task.params["folds"]["number"]
    trained = [needs[f"fold {fold}"] for fold in range(number)]
    records = [json.loads((folder / "record.json").read_bytes())["values"] for folder in trained]
    places = {name: place for place, name in enumerate(images.ids)}
    folds = np.full(len(places), -1, np.int64)
    tested: dict[str, np.ndarray] = {}
    validated: dict[str, list[np.ndarray]] = {}
    truth: list[np.ndarray] = []  # of the validation images of each fold
    for fold, (folder, values) in enumerate(zip(trained, records, strict=True)):
        with np.load(folder / "predictions.npz", allow_pickle=False) as found:
            there = [places[name] for name in found["test_ids"].tolist()]
            folds[there] = fold
            truth.append(found["validation_labels"])
            for rule, epoch in values["selected"].items():
                made = found[f"test_{epoch}"]
                tested.setdefault(rule, np.empty((len(folds), made.shape[1]), made.dtype))[there] = made
                validated.setdefault(rule, []).append(found[f"validation_{epoch}"])
    if folds.min() < 0:
        raise ValueError(f"{np.sum(folds < 0):,} of {len(folds):,} images are in the test part of no fold")
    validating = np.repeat(np.arange(number), [len(labels) for labels in truth])
    scores = {
        rule: {
            "validation": evaluation.scores(np.concatenate(truth), np.concatenate(validated[rule]), validating),
            "test": evaluation.scores(images.labels, found, folds),
        }
        for rule, found in tested.items()
    }
    kept = {f"test_{rule}": found for rule, found in tested.items()}
    names = {f"test_{what}": np.array(known) for what in ("ids", "groups") if (known := getattr(images, what))}
    np.savez_compressed(
        out / "predictions.npz", allow_pickle=False, **kept, test_labels=images.labels, test_folds=folds, **names
    )
    _write_json(out / "history.json", [json.loads((folder / "history.json").read_bytes()) for folder in trained])
    (out / "layers.json").write_bytes((trained[0] / "layers.json").read_bytes())
    return {
        "epochs": max(values["epochs"] for values in records),
        "training_images": round(np.mean([values["training_images"] for values in records])),
        "parameters": records[0]["parameters"],
        **({"unfused": records[0]["unfused"]} if "unfused" in records[0] else {}),
        "selected": {rule: rule for rule in tested},
        "scores": scores,
        "folds": [
            {
                **{w: values[w] for w in ("training_images", "selected", "scores", "tuned") if w in values},
                "validation_images": len(truth[fold]),
                "test_images": int(np.sum(folds == fold)),
            }
            for fold, values in enumerate(records)
        ],
    }


def make_test(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Try a classifier, at every epoch that a rule chooses, on its test images corrupted, or on images from elsewhere.

    Makes predictions.npz: CORRUPTION_EPOCH or test_EPOCH, and classes, ids and groups as the classifier's own has them.
    """
    dataset, params = _dataset(task, needs), task.params
    test = dataset.test if "corruptions" in params else data.tried(dataset, params["classes"])
    head = labels_of.head(test.labels, params["head"])
    selected = json.loads((needs["classifier"] / "record.json").read_bytes())["values"]["selected"]
    models = {
        epoch: keras.models.load_model(needs["classifier"] / f"classifier-{epoch}.keras")
        for epoch in sorted(set(selected.values()))
    }
    wanted = next(iter(models.values())).input_shape[1:]
    if test.images.shape[1:] != wanted:
        raise data.DataError(data.unlike(dataset.title, test.images.shape[1:], "its data set", wanted))
    found, scores, changed = {}, {str(epoch): dict[str, Any]() for epoch in models}, {}
    for kind, images in _tried_on(test.images, params):
        if kind != "test":
            changed[kind] = evaluation.pixels_changed(test.images, images)
        for epoch, model in models.items():
            found[f"{kind}_{epoch}"] = p = classifiers.predict(model, images, head=head)
            scores[str(epoch)][kind] = evaluation.scores(test.labels, p)
    names = {f"test_{what}": np.array(known) for what in ("ids", "groups") if (known := getattr(test, what))}
    np.savez_compressed(out / "predictions.npz", allow_pickle=False, **found, test_labels=test.labels, **names)
    return {"images": len(test.labels), "selected": selected, "pixels_changed": changed, "scores": scores}


def _tried_on(images: np.ndarray, params: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Each corruption and the images that it makes; images from elsewhere as they are, as "test"."""
    if "corruptions" not in params:
        yield "test", images
        return
    how = params["corruptions"]
    for kind in how["kinds"]:
        seed = subseed(params["seed"], f"corruption {kind}")
        yield kind, evaluation.corrupted(images, kind, severity=how["severity"], seed=seed)


def make_quality(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Judge an arm's images. Makes neighbours.npz: the closest pairs, and every image's distances."""
    dataset, params = _dataset(task, needs), task.params
    settings, head = dict(params["settings"]), labels_of.head(dataset.train.labels, params["head"])
    judge = json.loads((needs["classifier"] / "record.json").read_bytes())["values"]
    made = data.load_plain(needs["synthesis"] / "synthetic.npz")
    images, labels = made["images"], made["labels"]
    epoch = judge["selected"][JUDGES_RULE]
    with np.load(needs["classifier"] / "predictions.npz", allow_pickle=False) as known:
        test_probabilities = known[f"test_{epoch}"]
    model = keras.models.load_model(needs["classifier"] / f"classifier-{epoch}.keras")
    values, arrays = evaluation.quality(
        train_images=dataset.train.images,
        train_labels=dataset.train.labels,
        test_images=dataset.test.images,
        test_labels=dataset.test.labels,
        synthetic_images=images,
        synthetic_labels=labels,
        extractors={"features": lambda some: classifiers.features(model, some)},
        synthetic_probabilities=[classifiers.predict(model, images, head=head)],
        test_probabilities=[test_probabilities],
        seed=subseed(params["seed"], "quality"),
        **settings,
    )
    np.savez_compressed(out / "neighbours.npz", allow_pickle=False, **arrays)
    if params["how"] == "duplicate":  # copies are real images
        return values
    seed, limit = subseed(params["seed"], "shortcut"), settings["limit"]
    principal = evaluation.pixel_components(
        dataset.train.images, components=settings["components"], limit=limit, seed=seed
    )
    return values | {
        "shortcut": evaluation.source_shortcut(
            train_images=dataset.train.images,
            train_labels=dataset.train.labels,
            train_groups=dataset.train.groups,
            added_images=images,
            added_labels=labels,
            test_images=dataset.test.images,
            test_labels=dataset.test.labels,
            rebuilt=params["how"] == "interleave",
            looks=[principal, lambda some: classifiers.features(model, some)],
            limit=limit,
            seed=seed,
        )
    }


def make_usefulness(task: Task, needs: Folders, out: Path, tell: Tell, checkpoint: Checkpoint) -> dict[str, Any]:
    """Train on a generator's images alone, as many as there are real ones and of the same classes; test on real ones.

    Makes history.json.
    """
    dataset, params = _dataset(task, needs), task.params
    how, seed, tuned = params["synthesis"], params["seed"], None
    if "classifier" in needs:
        tuned = json.loads((needs["classifier"] / "record.json").read_bytes())["values"].get("tuned")
    if how["how"] == "add" and generators.GENERATORS[how["kind"]].foreign:
        found = data.load_plain(needs["generator"] / "synthetic.npz")  # all that there are
        made = found["images"], found["labels"]
    elif how["how"] == "add":
        labels = dataset.train.labels
        sampler = _sampler(how["kind"], needs["generator"])
        sample = generators.GENERATORS[how["kind"]].sample
        made = sample(sampler, labels, seed=subseed(seed, "usefulness"), **how["settings"]), labels
    else:
        found = data.load_plain(needs["synthesis"] / "synthetic.npz")
        made = found["images"], found["labels"]
    trained = _trained(
        dataset,
        made,
        _at_rate(params["settings"], tuned),
        sampling="shuffle",
        augment=[],
        seed=seed,
        stream="",
        tell=tell,
        checkpoint=checkpoint,
    )
    _write_json(out / "history.json", trained.history)
    return {"images": len(made[1]), **_measured(trained, _held_out(dataset))}


MAKERS: dict[str, Callable[[Task, Folders, Path, Tell, Checkpoint], dict[str, Any]]] = {
    "data": make_data,
    "subgroups": make_subgroups,
    "overlap": make_overlap,
    "generator": make_generator,
    "synthesis": make_synthesis,
    "tuning": make_tuning,
    "classifier": make_classifier,
    "folds": make_folds,
    "test": make_test,
    "quality": make_quality,
    "usefulness": make_usefulness,
}


def _trained(
    dataset: data.Dataset,
    train: tuple[Images, np.ndarray],
    settings: Mapping[str, Any],
    *,
    sampling: str,
    augment: Sequence[Mapping[str, Any]],
    seed: int,
    stream: str,
    tell: Tell,
    checkpoint: Checkpoint,
    pretraining: classifiers.Pretraining | None = None,
    held_out: Sequence[str] = ("validation", "test"),
) -> classifiers.Trained:
    """A classifier with a study's settings, trained on these images and labels.

    `stream`, where it is not empty, gives the order and the augmentation chance of their own; weights stay the seed's.
    """
    settings = {**settings, "head": labels_of.head(dataset.train.labels, settings["head"])}
    network, training = classifiers.split(settings)
    model = classifiers.build(**network, image_shape=dataset.image_shape, num_classes=len(dataset.classes), seed=seed)
    return classifiers.fit(
        model,
        train,
        {split: pair for split, pair in _held_out(dataset).items() if split in held_out},
        num_classes=len(dataset.classes),
        sampling=sampling,
        augment=augment,
        seed=subseed(seed, stream) if stream else seed,
        pretraining=pretraining,
        on_epoch=lambda epoch, logs: tell("epoch", (epoch, logs)),
        checkpoint=checkpoint,
        **{"select": None, **training},
    )


def _training_set(
    dataset: data.Dataset, needs: Folders, params: Mapping[str, Any]
) -> tuple[Images, np.ndarray, classifiers.Pretraining | None]:
    """The training images and labels, with those that the arm adds or trains on first, or those that replace them.

    Last, how the first epochs train on the images after the real ones, where they do.
    """
    if "synthesis" not in needs:
        return Gathered(dataset.train.images), dataset.train.labels, None
    added = data.load_plain(needs["synthesis"] / "synthetic.npz")
    if params.get("replace"):
        return Gathered(added["images"]), added["labels"], None
    first = params.get("pretrain")
    pretraining = classifiers.Pretraining(**first, images=len(added["labels"])) if first else None
    labels = np.concatenate([dataset.train.labels, added["labels"]])
    return Gathered(dataset.train.images, added["images"]), labels, pretraining


def _tuned(tune: Mapping[str, Any], needs: Folders) -> dict[str, Any]:
    """The learning rate that tuning chose, and what each of its training runs measured on the validation images."""
    tried: dict[float, list[Any]] = {}
    for rate in tune["learning_rate"]:
        for number in range(tune["seeds"]):
            record = json.loads((needs[tuning_word(rate, number)] / "record.json").read_bytes())
            tried.setdefault(rate, []).append(record["values"]["measured"].get(tune["select"]))
    measure = tune["by"].replace("best_validation", "val")
    return {
        "learning_rate": classifiers.choose(tried, tune["by"]),
        "by": tune["by"],
        "tried": [
            {
                "learning_rate": rate,
                "validation": [logs and logs[measure] for logs in runs],
                "diverged": sum(logs is None for logs in runs),
            }
            for rate, runs in tried.items()
        ],
    }


def _at_rate(settings: Mapping[str, Any], tuned: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A classifier's settings, with the learning rate that tuning chose where it did."""
    if tuned is None:
        return settings
    return {**settings, "optimizer": {**settings["optimizer"], "learning_rate": tuned["learning_rate"]}}


def _measured(trained: classifiers.Trained, held_out: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Which epoch every rule chooses, and the scores at each of these epochs."""
    scores = {
        str(epoch): {split: evaluation.scores(held_out[split][1], p) for split, p in one.probabilities.items()}
        for epoch, one in trained.kept.items()
    }
    return {"selected": trained.selected, "scores": scores}


def _names(dataset: data.Dataset) -> dict[str, np.ndarray]:
    """Ids and groups of the images that are predicted, where they are known."""
    return {
        f"{split}_{what}": np.array(known)
        for split in ("validation", "test")
        for what in ("ids", "groups")
        if (known := getattr(getattr(dataset, split), what))
    }


def _held_out(dataset: data.Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        "validation": (dataset.validation.images, dataset.validation.labels),
        "test": (dataset.test.images, dataset.test.labels),
    }


# --- data sets -------------------------------------------------------------------------------------

_last: tuple[str, data.Dataset] | None = None  # a worker mostly stays with one data set
_last_fold: tuple[Any, data.Dataset] | None = None


def _dataset(task: Task, needs: Folders) -> data.Dataset:
    """The data set that a task sees: the splits of its fold, where it is of one. Raises DataError."""
    global _last_fold
    whole = _whole(task, needs)
    if "fold" not in task.params:
        return whole
    how = task.needs["data"], *task.params["folds"].values(), task.params["seed"], task.params["fold"]
    if _last_fold is None or _last_fold[0] != how:
        _last_fold = None  # or there would be two in memory
        cut, seed = data.Folds(**task.params["folds"]), task.params["seed"]
        _last_fold = how, data.fold(whole, cut, seed=seed, number=task.params["fold"])
    return _last_fold[1]


def _whole(task: Task, needs: Folders) -> data.Dataset:
    """The data set of a task, as its data task found it, in memory that all workers share.

    Raises DataError where it has to be read again and its bytes are others by now.
    """
    global _last
    name = task.needs["data"]
    if _last is None or _last[0] != name:
        values = json.loads((needs["data"] / "record.json").read_bytes())["values"]
        _last = name, _unpacked(task, needs["unpacked"] / name, values.get("fingerprint", values["md5"]), tell=None)
    return _last[1]


def _unpacked(
    task: Task,
    folder: Path,
    fingerprint: str,
    *,
    tell: Callable[[str], None] | None,
    section: Mapping[str, Any] | None = None,
) -> data.Dataset:
    """A task's data set with this fingerprint, in files that all workers map; read where it is not there yet.

    `tell` is for the data task, whose record says what the data set is called now; `section` is of another data set
    than the task's own.
    """

    def checked(dataset: data.Dataset) -> data.Dataset:
        if dataset.fingerprint != fingerprint:
            raise data.DataError(
                f"{task.dataset}: the data changed while the study ran (MD5 {fingerprint} before, now "
                f"{dataset.fingerprint}). Run the study again."
            )
        return dataset

    def load(room: data.Room) -> data.Dataset:
        return checked(data.load(section or task.local, tell, room))

    return checked(data.unpacked(folder, load, section=task.local if tell is not None else None, report=tell))


# --- files -----------------------------------------------------------------------------------------


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _trainable(model: keras.Model) -> int:
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def _layers(name: str, model: keras.Model) -> dict[str, Any]:
    """The table of a network's layers, as the live model has them."""
    rows = [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "output_shape": list(layer.output.shape[1:]) if not isinstance(layer.output, list) else [],
            "parameters": int(sum(np.prod(weight.shape) for weight in layer.trainable_weights)),
        }
        for layer in model.layers
    ]
    return {"network": name, "layers": rows, "trainable": _trainable(model)}
