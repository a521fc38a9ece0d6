"""How much memory does a worker take? Peaks of every kind of task on images of noise, as many as PathMNIST has.

    python -m benchmarks.memory [--size S] [--images N] [--seconds N] [--only NAME ...]

Each task is made by the engine, in a new worker that is watched and stopped after `--seconds`. What a task needs is put
there first: untrained samplers and classifiers take as much memory as trained ones.

- resident: all that the process has in memory at its peak, pages that it shares with others included.
- own share: the same with shared pages divided by the number of their users (PSS), at its peak. Over all workers these
  add up to what the machine needs.
- private: what is the process's own, without files that it maps, at its peak. It must not grow with the data set.
"""

import argparse
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from benchmarks.machine import children, machine
from medaug_keras import engine
from medaug_keras.data import npz_fingerprint
from medaug_keras.plan import Plan, Source, Task, plan
from medaug_keras.spec import Study
from medaug_keras.store import Store

PATHMNIST = 89_996  # training images; a ninth as many for validation and a twelfth to test, as there
CLASSES = 9
CHANNELS = 3
MIB = 2**20

STUDY: dict[str, Any] = {
    "name": "memory",
    "title": "Memory",
    "question": "How much memory does a worker take?",
    "samplings": ["shuffle", "weighted"],
    "generators": {
        "cvae": {"kind": "cvae"},
        "jvae": {"kind": "joint_vae"},
        "cgan": {"kind": "cgan"},
        "flow": {"kind": "flow"},
    },
    "classifier": {"epochs": 1},
    "arms": {
        "baseline": {},
        "cvae": {"add": {"generator": "cvae"}},
        "jvae": {"interleave": {"generator": "jvae"}},
        "cgan": {"add": {"generator": "cgan"}},
        "flow": {"add": {"generator": "flow"}},
    },
}


# Of images that no generator makes: what an arm may add and change, in the batches of 64 that fit them.
LARGE: dict[str, Any] = {
    **STUDY,
    "generators": {},
    "classifier": {"epochs": 1, "batch_size": 64},
    "arms": {
        "baseline": {},
        "copies": {
            "duplicate": {"amount": {"fraction": 1}},
            "augment": [
                {"layer": "sharpness"},
                {"layer": "autocontrast"},
                {"layer": "hue"},
                {"layer": "horizontal_flip"},
                {"layer": "MixUp"},
            ],
        },
    },
}


def noise(images: int, channels: int, classes: int, size: int = 28) -> dict[str, np.ndarray]:
    """Arrays under MedMNIST's names: uint8 images (N, size, size, channels) and labels (N,), every class there."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", images), ("val", images // 9), ("test", images // 12)):
        count = max(count, classes)
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % classes
    return arrays


def planned(study: Mapping[str, Any], path: Path, arrays: Mapping[str, np.ndarray]) -> Plan:
    """The plan of a study of the one data set in `path`, which is written."""
    np.savez(path, allow_pickle=False, **arrays)
    sizes = [len(arrays[f"{split}_labels"]) for split in ("train", "val", "test")]
    section = {"kind": "npz", "path": str(path), "size": arrays["train_images"].shape[1]}
    content = {**study, "datasets": {"noise": section}}
    checked = Study.model_validate_json(json.dumps(content))
    return plan(checked, {"noise": Source(npz_fingerprint(path, cache=None), *sizes)})


def prepare(whole: Plan, store: Store, arrays: Mapping[str, np.ndarray]) -> None:
    """Finish all that other tasks need: the data for real, the rest without learning."""
    from medaug_keras import classifiers, generators
    from medaug_keras.generators import fitting

    few = {name: array[:64] for name, array in arrays.items()}

    def generator(task: Task, out: Path) -> None:
        settings = task.params["settings"] | {"epochs": 1}
        if "images" in settings:  # that pass through it, whatever its epochs
            settings["images"] = settings["batch_size"]
        module = generators.GENERATORS[settings.pop("kind")]
        recipe, own = fitting.Recipe.split(settings)
        four = [few[f"{split}_{what}"] for split in ("train", "val") for what in ("images", "labels")]
        learned = fitting.TrainingData(*four, num_classes=CLASSES)
        made = module.fit(learned, recipe, seed=0, on_epoch=lambda epoch, logs: None, **own)
        made.sampler.save(out / "sampler.keras")

    def synthesis(task: Task, out: Path) -> None:
        chosen = slice(None if task.params["how"] == "interleave" else task.images)
        made = {"images": arrays["train_images"][chosen], "labels": arrays["train_labels"][chosen]}
        np.savez(out / "synthetic.npz", allow_pickle=False, **made)

    def classifier(task: Task, out: Path) -> None:
        shape = arrays["train_images"].shape[1:]
        model = classifiers.build("cnn", image_shape=shape, num_classes=CLASSES, head="softmax", seed=0)
        model.save(out / "classifier-1.keras")
        sure = np.eye(CLASSES, dtype=np.float32)[arrays["test_labels"]]
        np.savez(out / "predictions.npz", allow_pickle=False, test_1=sure)

    makers: dict[str, Callable[[Task, Path], None]] = {
        "generator": generator,
        "synthesis": synthesis,
        "classifier": classifier,
    }
    for task in whole.tasks.values():
        if task.kind == "data":
            engine.attempt(task, store, lambda what, content: None)
        elif task.kind in makers:
            with store.claim(task.id) as out:
                assert out is not None
                makers[task.kind](task, out)
                store.commit(task, out, {"selected": {"best_validation_auc": 1}}, {"seconds": 0.0})


class Watch(threading.Thread):
    """Looks at the memory of this process's children, as a context, but not of those that were there before. In MiB."""

    def __init__(self) -> None:
        super().__init__()
        self.resident: dict[int, float] = {}
        """Process → its peak."""
        self.private: dict[int, float] = {}
        """Process → the peak of what is its own: without mapped files."""
        self.own: list[float] = []
        """Own shares of all processes at the moment at which their sum was highest."""
        self.over = threading.Event()
        self.before = set(children())

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        while not self.over.wait(0.05):
            own = []
            for child in set(children()) - self.before:
                try:
                    peak, share = _field(child, "status", "VmHWM"), _field(child, "smaps_rollup", "Pss")
                    private = _field(child, "status", "RssAnon")
                except OSError:  # it has ended
                    continue
                if share:  # one that ends has nothing left
                    self.resident[child] = peak
                    self.private[child] = max(private, self.private.get(child, 0.0))
                    own.append(share)
            if sum(own) > sum(self.own):
                self.own = own


def _field(process: int | None, file: str, name: str) -> float:
    """A field in kB of /proc/PROCESS/FILE, in MiB; 0 where there is none."""
    for line in Path(f"/proc/{process}/{file}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Interrupt what runs longer, as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def watched(whole: Plan, store: Store, tasks: list[str], seconds: float) -> tuple[Watch, bool]:
    """Make tasks side by side, each in a worker of its own. What was seen, and whether they were finished in time."""
    with Watch() as watch, _at_most(seconds):
        summary = engine.run(whole.only({"task": tasks}), store, workers=len(tasks), listen=lambda event: None)
    if summary.failed or summary.stopped:
        raise RuntimeError(f"{summary.failed or summary.stopped}")
    return watch, not summary.interrupted


def measure(images: int, size: int, seconds: float, only: list[str], folder: Path) -> Iterator[tuple[str, Watch, bool]]:
    """Rows: what was made, what was seen of its processes, whether it was finished."""
    arrays = noise(images, CHANNELS, CLASSES, size)
    study = STUDY if size == 28 else LARGE
    whole, store = planned(study, folder / "noise.npz", arrays), Store(folder / "results")
    cells = {(run.arm, run.sampling): run.task for run in whole.runs}
    ways = {
        "data": [whole.data["noise"]],
        "classifier": [cells["baseline", "shuffle"]],
        "classifier, two at once": [cells["baseline", "shuffle"], cells["baseline", "weighted"]],
        **({"classifier, a tenth added": [cells["cvae", "shuffle"]]} if size == 28 else {}),
        "classifier, as many added": [cells["jvae" if size == 28 else "copies", "shuffle"]],
        **{f"generator {made.name}": [made.task] for made in whole.generators},
        **{f"synthesis {made.name}": [made.task] for made in whole.synthesis},
        **{f"quality {made.name}": [made.task] for made in whole.quality},
    }
    ways = {name: tasks for name, tasks in ways.items() if not only or name in only}
    prepare(whole.only({"task": [task for tasks in ways.values() for task in tasks]}), store, arrays)
    for name, tasks in ways.items():
        ready = [task for task in tasks if store.is_done(task)]
        for task in ready:
            store.folder(task).rename(folder / task)
        watch, done = watched(whole, store, tasks, seconds)
        for task in ready:
            shutil.rmtree(store.folder(task), ignore_errors=True)
            (folder / task).rename(store.folder(task))
        yield name, watch, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=PATHMNIST)
    parser.add_argument("--size", type=int, default=28, help="pixels a side; beyond 28 without generators")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a row of the table; repeatable")
    options = parser.parse_args()
    size = 1.2 * options.images * options.size**2 * CHANNELS / MIB
    print(f"{machine()}\n")
    print(
        f"{options.images:,} training images of {options.size} x {options.size} x {CHANNELS}; "
        f"the data set has {size:.0f} MiB.\n"
    )
    print("| task | resident, MiB | own share, MiB | private, MiB | watched |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, watch, done in measure(options.images, options.size, options.seconds, options.only, Path(folder)):
            resident, own, private = (
                " + ".join(f"{value:.0f}" for value in seen)
                for seen in (watch.resident.values(), watch.own, watch.private.values())
            )
            until = "to its end" if done else f"{options.seconds:.0f} s"
            print(f"| {name} | {resident} | {own} | {private} | {until} |", flush=True)


if __name__ == "__main__":
    main()
