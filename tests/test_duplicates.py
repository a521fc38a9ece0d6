"""Images that are nearly the same: planted copies are found, others are not accused, and order does not matter."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medaug_keras import data
from medaug_keras.data import duplicates
from medaug_keras.data.duplicates import Pairs, near_duplicates

SHARED = Path(__file__).parents[2] / "shared"
BUSI = SHARED / "data" / "busi_breast"
REAL = SHARED / "medmnist"


def phantoms(name: str = "phantom-ultrasound", count: int = 300, size: int = 28, seed: int = 0) -> np.ndarray:
    return data.load_phantom(name, train=count, validation=8, test=8, seed=seed, size=size).train.images


def near(images: np.ndarray) -> Pairs:
    return near_duplicates(lambda i, j: images[i:j], len(images))


def found(images: np.ndarray) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in near(images).places}


def picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def array(image: Image.Image) -> np.ndarray:
    return np.asarray(image).reshape(image.height, image.width, -1)


def resized(factor: float):
    def alter(image: np.ndarray) -> np.ndarray:
        small = picture(image).resize((round(len(image) * factor),) * 2, Image.Resampling.BILINEAR)
        return array(small.resize((len(image),) * 2, Image.Resampling.BILINEAR))

    return alter


def encoded(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    picture(image).save(file, "JPEG", quality=50)
    return array(Image.open(file))


def moved(down: float, right: float):
    """By parts of 28 pixels; the edge is continued."""

    def alter(image: np.ndarray) -> np.ndarray:
        line = np.arange(len(image))
        rows, columns = (np.clip(line - round(by * len(image) / 28), 0, len(image) - 1) for by in (down, right))
        return image[rows][:, columns]

    return alter


def brighter(factor: float):
    return lambda image: np.clip(image * factor, 0, 255).astype(np.uint8)


def mirrored(image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


ALTERATIONS = {
    "shrunk to 0.7 and enlarged": resized(0.7),
    "enlarged to twice and shrunk": resized(2),
    "JPEG of quality 50": encoded,
    "moved by 1 pixel": moved(1, 0),
    "moved by 2 pixels": moved(-2, 2),
    "moved by 3 pixels": moved(0, 3),
    "brighter by 10 %": brighter(1.1),
    "darker by 10 %": brighter(0.9),
    "mirrored": mirrored,
    "mirrored, moved and encoded": lambda image: encoded(np.ascontiguousarray(moved(1, -2)(mirrored(image)))),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
@pytest.mark.parametrize(("name", "size"), [("phantom-ultrasound", 28), ("phantom-histology", 64)])
def test_planted_copies_are_found(name, size, alteration):
    images = phantoms(name, size=size)
    copies = np.stack([ALTERATIONS[alteration](image) for image in images[:40]])
    pairs = near(np.concatenate([images, copies]))
    hits = {int(b) - 300 for a, b in pairs.places if b - 300 == a}
    assert len(hits) >= 39
    flips = [bool(flip) for (a, b), flip in zip(pairs.places, pairs.mirrored, strict=True) if b - 300 == a]
    assert np.mean(flips) > 0.9 if "mirrored" in alteration else np.mean(flips) < 0.1


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_independent_images_are_not_accused(name, seed):
    assert len(near(phantoms(name, 600, seed=seed))) == 0


def test_noise_is_not_accused():
    assert len(near(np.random.default_rng(0).integers(0, 256, (500, 28, 28, 3), np.uint8))) == 0


@pytest.mark.parametrize(("factor", "hits"), [(0.8, 20), (0.5, 0)])
@pytest.mark.parametrize("softer_first", [True, False])
def test_images_of_very_unlike_contrast_are_no_copies(factor: float, hits: int, softer_first: bool):
    """As 1.4 to 1 at most, whichever of the two comes first."""
    images = phantoms(count=100)
    softer = (128 + (images[:20].astype(float) - 128) * factor).astype(np.uint8)
    parts = (softer, images) if softer_first else (images, softer)
    assert len(near(np.concatenate(parts))) == hits


def test_images_of_the_same_details_in_another_light_are_no_copies():
    """A slope of gray over the image is coarser than what counts as a detail."""
    images = (50 + 0.6 * phantoms(count=100)).astype(np.uint8)
    slope = np.linspace(-20, 20, 28)[:, None, None]
    assert len(near(np.concatenate([images, (images[:20] + slope).astype(np.uint8)]))) == 0


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_images_does_not_matter(seed):
    images = phantoms(count=60)
    images = np.concatenate([images, [moved(1, 1)(image) for image in images[:10]], images[10:15, :, ::-1]])
    order = np.random.default_rng(seed).permutation(len(images))
    back = {(int(order[a]), int(order[b])) for a, b in found(images[order])}
    assert {tuple(sorted(pair)) for pair in back} == found(images)
    assert len(back) == 15


def test_images_without_details_are_like_none():
    images = np.concatenate([phantoms(count=20), np.full((5, 28, 28, 1), 7, np.uint8)])
    assert len(near(images)) == 0
    assert len(near(images[-5:])) == len(near(images[:1])) == 0


def test_pairs_are_sorted_by_likeness_and_no_image_is_its_own_pair():
    images = phantoms(count=100)
    pairs = near(np.concatenate([images, [encoded(image) for image in images[:30]], images[30:40]]))
    assert len(pairs) >= 40
    assert (np.diff(pairs.likeness) <= 0).all()
    assert (pairs.places[:, 0] < pairs.places[:, 1]).all()


def test_images_are_taken_in_blocks_of_bounded_size():
    images = np.broadcast_to(np.zeros(1, np.uint8), (9, 2048, 2048, 3))
    asked = []
    near_duplicates(lambda i, j: asked.append(j - i) or images[i:j], len(images))
    assert max(asked) == 1


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 60), st.booleans())
def test_the_most_alike_pairs_are_kept_where_there_are_too_many(seed, most, few):
    rng = np.random.default_rng(seed)
    rows, others = (rng.standard_normal((50, 4)).astype(np.float32) for _ in range(2))
    queries = np.arange(0, 50, 7) if few else None
    kept = duplicates._alike(rows, others, queries, least=-9.0, most=most)
    products = rows @ others.T
    all_pairs = [(i, j) for i in (queries if few else range(50)) for j in range(50) if (i != j if few else i < j)]
    best = sorted(all_pairs, key=lambda pair: -products[pair])[:most]
    assert {tuple(pair) for pair in kept.tolist()} == {(int(i), int(j)) for i, j in best}


# --- real images -------------------------------------------------------------------------------------


@pytest.mark.skipif(not BUSI.exists(), reason=f"no BUSI images at {BUSI}")
@pytest.mark.parametrize("size", [28, 128])
def test_all_known_near_duplicates_of_breast_ultrasound_are_found(size):
    path = BUSI / "breastmnist_128_rebuilt.npz" if size == 128 else REAL / "breastmnist.npz"
    with np.load(path) as file:
        parts = {split: file[f"{split}_images"] for split in ("train", "val", "test")}
    starts = dict(zip(parts, np.cumsum([0, len(parts["train"]), len(parts["val"])]).tolist(), strict=True))
    images = np.concatenate(list(parts.values()))
    pairs = found(images.reshape(len(images), size, size, -1))
    with open(BUSI / "near_duplicate_pairs.csv", newline="") as file:
        known = [
            tuple(sorted((starts[r["split_a"]] + int(r["index_a"]), starts[r["split_b"]] + int(r["index_b"]))))
            for r in csv.DictReader(file)
        ]
    assert len(known) == 53
    assert set(known) <= pairs
    assert (
        len(pairs) < 260
    )  # of 303,810; the least alike were looked at: each the same view, moved or at another contrast


@pytest.mark.skipif(not (REAL / "dermamnist_ids.csv").exists(), reason=f"no ids in {REAL}")
def test_near_duplicates_among_skin_lesions_are_of_one_lesion():
    """Spots on plain skin are alike: without decoys, thousands of pairs of different lesions would be accused."""
    ids = data.Ids(path=REAL / "dermamnist_ids.csv", group="lesion_id", image="image_id")
    some = data.named(data.load_medmnist("dermamnist", root=REAL, accept_unverified=True, report=None), ids).train
    pairs = near(some.images[:3000])
    other = sum(some.groups[a] != some.groups[b] for a, b in pairs.places)
    assert len(pairs) >= 10
    assert other <= 2  # of 4,498,500


@pytest.mark.skipif(not SHARED.joinpath("data/nih_chest_64").exists(), reason=f"no X-rays in {SHARED}")
def test_near_duplicates_among_chest_x_rays_are_of_one_patient():
    folder = SHARED / "data" / "nih_chest_64"
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    images = np.stack([array(Image.open(folder / "images" / row["filename"]).convert("L")) for row in rows])
    pairs = near(images)
    other = sum(rows[a]["patient_id"] != rows[b]["patient_id"] for a, b in pairs.places)
    assert len(pairs) > 100
    assert other <= 2  # of 499,500
