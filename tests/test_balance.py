"""Classes that are rare: told from labels alone, and said before a run where accuracy would decide."""

import numpy as np
import pytest
from PIL import Image

from medaug_keras import data
from studies import cli_here, tiny, written


@pytest.mark.parametrize(
    ("counts", "share"),
    [
        ([399, 44], 44 / 443),
        ([19, 81], 0.19),
        ([20, 80], None),  # a fifth is not rare
        ([10] * 9, None),  # many classes of one size
        ([11, 12, 13, 14, 15, 17, 18], None),
        ([5, 10, 10, 10, 10, 10], None),  # half as many as the largest
        ([4, 10, 10, 10, 10, 10], 4 / 54),
        ([1, 1], None),
    ],
)
def test_a_class_is_rare_below_a_fifth_of_the_images_and_half_of_the_largest_class(counts, share):
    assert data.rarest_share(counts) == share
    assert data.rarest_share(counts[::-1]) == share


def labels_of(split: str, ill: int) -> np.ndarray:
    return np.repeat([0, 1], [ill if split == "train" else 4, 30])


def own_file(folder, ill: int):
    rng, arrays = np.random.default_rng(0), {}
    for split in ("train", "val", "test"):
        labels = labels_of(split, ill)
        arrays |= {f"{split}_labels": labels, f"{split}_images": rng.integers(0, 256, (len(labels), 28, 28), np.uint8)}
    np.savez(folder / "own.npz", **arrays)
    return {"kind": "npz", "path": "own.npz", "classes": ["ill", "healthy"]}


def own_folder(folder, ill: int):
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number, label in enumerate(labels_of(split, ill)):
            path = folder / "own" / split / ("ill", "well")[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(path)
    return {"kind": "folder", "path": "own"}


@pytest.mark.parametrize("made", [own_file, own_folder])
def test_images_of_each_class_are_counted_without_reading_one(made, tmp_path):
    section = made(tmp_path, 6)
    count = {"npz": data.npz_class_counts, "folder": data.folder_class_counts}[section["kind"]]
    assert count(tmp_path / section["path"]) == [6, 30]


@pytest.mark.parametrize("made", [own_file, own_folder])
@pytest.mark.parametrize(
    ("primary", "ill", "warned"), [("accuracy", 3, True), ("auc", 3, False), ("accuracy", 20, False)]
)
def test_check_and_plan_warn_where_a_class_is_rare_and_accuracy_decides(made, primary, ill, warned, tmp_path):
    path = written(tmp_path, tiny(datasets={"own": made(tmp_path, ill)}, primary=primary))
    for verb in ("check", "plan"):
        said = cli_here(verb, path, cwd=tmp_path)
        assert said.returncode == 0, said.stderr
        share = f"own {100 * ill / (ill + 30):.2g} %"
        remarks = said.stderr if verb == "check" else said.stdout
        assert (share in remarks and "primary: auc or balanced_accuracy" in remarks) == warned
