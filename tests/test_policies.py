"""AugMix, TrivialAugment and their operations: against Pillow, and how often each is drawn."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy.stats import chisquare, kstest

from medaug_keras import policies
from medaug_keras.augmentation import augmentation
from medaug_keras.policies import AUGMIX, LEVELS, OPERATIONS, TRIVIAL, augmix, operated, trivial_augment

SIDE = 24
# amounts of each operation, the last of which changes nothing
AMOUNTS = {
    "posterize": [1, 3, 7, 8],
    "solarize": [0, 1, 100, 255, 256],
    "rotate": [-30, 7, 135, 0],
    "shear_x": [-0.99, 0.3, 0],
    "shear_y": [-0.99, 0.3, 0],
    "translate_x": [-5, 8, 32, 2.5, 0],
    "translate_y": [-5, 8, 32, 2.5, 0],
    "brightness": [0.01, 0.6, 1.99, 1],
    "contrast": [0.01, 0.6, 1.99, 1],
    "color": [0.01, 0.6, 1.99, 1],
    "sharpness": [0.01, 0.6, 1.99, 1],
}

ON_BYTES = ("identity", "equalize", "posterize", "solarize")  # make a byte of a byte


def affine(image, *numbers):
    return image.transform(image.size, Image.Transform.AFFINE, numbers, resample=Image.Resampling.BILINEAR)


PILLOWS = {
    "identity": lambda image, _: image,
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "posterize": lambda image, bits: ImageOps.posterize(image, bits),
    "solarize": lambda image, threshold: ImageOps.solarize(image, threshold),
    "rotate": lambda image, degrees: image.rotate(degrees, resample=Image.Resampling.BILINEAR),
    "shear_x": lambda image, factor: affine(image, 1, factor, 0, 0, 1, 0),
    "shear_y": lambda image, factor: affine(image, 1, 0, 0, factor, 1, 0),
    "translate_x": lambda image, pixels: affine(image, 1, 0, pixels, 0, 1, 0),
    "translate_y": lambda image, pixels: affine(image, 1, 0, 0, 0, 1, pixels),
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "color": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
}


def pictures(count, channels, seed=0):
    """Smooth images with noise, (count, SIDE, SIDE, channels) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 220, (count, 4, 4, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for one in coarse]
    noisy = np.stack(large).astype(int) + rng.integers(-20, 20, (count, SIDE, SIDE, 3))
    return noisy.clip(0, 255).astype(np.uint8)[..., :channels]


def unit(images):
    return torch.from_numpy(images).float() / 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_on_a_batch_is_pillows_on_each_image_within_rounding(name, channels):
    amounts = AMOUNTS.get(name, [0, 0, 0])
    images = pictures(len(amounts), channels)
    found = OPERATIONS[name](unit(images), torch.tensor(amounts, dtype=torch.float32)) * 255
    for image, amount, ours in zip(images, amounts, found.numpy(), strict=True):
        expected = np.asarray(PILLOWS[name](Image.fromarray(image.squeeze()), amount), float).reshape(image.shape)
        # Pillow rounds or cuts values off once, and for the blends the gray pixels or the smooth copy before
        rounding = 1 + abs(1 - amount) if AMOUNTS.get(name, [0])[-1] == 1 else 1.001
        apart = np.abs(ours - expected) > (0.001 if name in ON_BYTES else rounding)
        assert apart.mean() <= (0.01 if name == "rotate" else 0)  # on the border, a pixel is in or out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", AMOUNTS)
def test_the_amount_of_no_change_changes_nothing(name, channels):
    images = unit(pictures(3, channels))
    same = OPERATIONS[name](images, torch.full((3,), float(AMOUNTS[name][-1])))
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in TRIVIAL if name not in ("autocontrast", "equalize")])
def test_trivial_augments_least_strength_changes_nothing_and_its_greatest_much(name):
    images = unit(pictures(20, 3))
    signs = torch.tensor([-1.0, 1.0]).repeat(10)
    choice = torch.full((20,), list(TRIVIAL).index(name))
    least, most = (operated(images, TRIVIAL, choice, torch.full((20,), s), signs) for s in (0.0, 1.0))
    torch.testing.assert_close(least, images, atol=1e-5, rtol=0)
    assert ((most - images).abs().flatten(1).mean(dim=1) > 0.005).all() is not (name == "identity")
    if name not in ("identity", "posterize", "solarize", "translate_x", "translate_y"):  # 32 pixels are all of them
        assert not torch.allclose(most[0], operated(images, TRIVIAL, choice, torch.ones(20), -signs)[0])


@pytest.mark.parametrize(("name", "most"), [("rotate", 30), ("shear_x", 0.3), ("translate_y", 8), ("solarize", 0)])
def test_augmix_at_severity_10_goes_as_far_as_its_published_code(name, most):
    assert AUGMIX[name](torch.ones(1), torch.ones(1), 24).item() == pytest.approx(most)


@pytest.mark.parametrize(
    ("amounts", "name", "strength", "amount"),
    [
        (AUGMIX, "posterize", 0.7, 2),  # 4 - int(2.8)
        (AUGMIX, "solarize", 0.999, 1),  # 256 - int(255.7)
        (AUGMIX, "rotate", 0.99, -29),
        (AUGMIX, "translate_x", 0.99, -7),  # a third of 24 pixels
        (AUGMIX, "shear_y", 0.5, -0.15),
        (TRIVIAL, "posterize", 0.6, 4),  # 8 - round(3.6)
        (TRIVIAL, "solarize", 0.999, 1),
        (TRIVIAL, "rotate", 0.5, -67.5),
        (TRIVIAL, "translate_y", 0.99, -31),
        (TRIVIAL, "shear_x", 0.5, -0.495),
        (TRIVIAL, "brightness", 1.0, 0.01),
        (TRIVIAL, "sharpness", 0.5, 0.505),
    ],
)
def test_an_amount_is_that_of_the_published_code(amounts, name, strength, amount):
    found = amounts[name](torch.tensor([strength]), torch.tensor([-1.0]), 24).item()
    assert found == pytest.approx(amount, abs=1e-6)


def test_augmix_uses_none_of_the_operations_that_imagenet_c_tests():
    assert set(TRIVIAL) - set(AUGMIX) == {"identity", "brightness", "contrast", "color", "sharpness"}
    assert set(AUGMIX) < set(TRIVIAL) == set(OPERATIONS)


def drawn(monkeypatch, function, **settings):
    """Choices, strengths and signs of 20,000 images, an entry for each application."""
    calls = []

    def noted(images, amounts, choice, strength, signs):
        calls.append((choice.numpy(), strength.numpy(), signs.numpy()))
        return images

    monkeypatch.setattr(policies, "operated", noted)
    function(torch.zeros(20_000, 1, 1, 1), torch.Generator().manual_seed(0), **settings)
    return calls


def test_trivial_augment_draws_every_operation_strength_and_sign_as_often(monkeypatch):
    ((choice, strength, signs),) = drawn(monkeypatch, trivial_augment)
    for found, number in ((choice, 14), (np.rint(strength * LEVELS).astype(int), 31), (signs > 0, 2)):
        assert chisquare(np.bincount(found, minlength=number)).pvalue > 1e-4
    assert np.unique(strength * LEVELS).size == 31
    assert chisquare(np.bincount(2 * choice + (signs > 0), minlength=28)).pvalue > 1e-4  # drawn apart


def test_augmix_draws_every_length_operation_and_strength_as_often(monkeypatch):
    calls = drawn(monkeypatch, augmix, width=2, depth=3, severity=4.0)
    used = np.stack([choice for choice, *_ in calls]) >= 0  # (depth, chains)
    assert chisquare(np.bincount(used.sum(axis=0), minlength=4)[1:]).pvalue > 1e-4
    assert (used[:-1] >= used[1:]).all()
    for choice, strength, _ in calls:
        assert chisquare(np.bincount(choice[choice >= 0], minlength=9)).pvalue > 1e-4
        assert kstest(strength, "uniform", args=(0.01, 0.39)).pvalue > 1e-4
        assert abs(np.corrcoef(strength[choice >= 0], choice[choice >= 0])[0, 1]) < 0.05


def test_augmix_mixes_by_convex_weights_of_dirichlet_and_beta_distributions(monkeypatch):
    """Chain n of an image becomes constant: its mixture is then the weight of the chains that are white."""

    def white_first(images, *_):
        chains = torch.zeros_like(images)
        chains[: len(images) // 3] = 1
        return chains

    monkeypatch.setattr(policies, "operated", white_first)
    black, white = (
        augmix(torch.full((5000, 1, 1, 1), level), torch.Generator().manual_seed(0), width=3, depth=1, severity=3)
        for level in (0.0, 1.0)
    )
    share = 1 - (white - black).flatten()  # of the mixture
    weight = black.flatten() / share  # of the first of three chains
    assert kstest(share.numpy(), "uniform").pvalue > 1e-4
    assert kstest(weight.numpy(), "beta", args=(1, 2)).pvalue > 1e-4
    assert abs(np.corrcoef(share, weight)[0, 1]) < 0.06


def test_a_chain_of_augmix_goes_on_from_its_last_operation_and_has_1_to_depth_of_them(monkeypatch):
    """With moves by one pixel as the only operation, a chain of n moves by n."""
    one = {"translate_x": lambda strength, sign, side: torch.ones_like(strength)}
    monkeypatch.setattr(policies, "AUGMIX", one)
    images = torch.zeros(3000, 12, 12, 1)
    images[:, :, 8] = 1
    mixed = augmix(images, torch.Generator().manual_seed(0), width=1, depth=3, severity=3)
    moved = mixed[:, 0, :, 0] > 1e-4  # (B, columns)
    moved[:, 8] = False
    assert moved.sum(dim=1).max() == 1
    ends = torch.bincount(moved.nonzero()[:, 1], minlength=12).tolist()
    assert ends[:5] + ends[8:] == [0] * 9
    assert chisquare(ends[5:8]).pvalue > 1e-4


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_the_same_where_all_are_changed_first_and_the_chosen_taken_then_as_on_a_gpu(channels, monkeypatch):
    images = unit(pictures(60, channels))
    steps = [{"layer": "augmix", "width": 3, "depth": 3, "severity": 5.0}, {"layer": "trivial_augment"}]
    expected, _ = augmentation(steps, seed=0)(images, torch.zeros(60, 2))
    monkeypatch.setattr(policies, "_finds_chosen", lambda images: False)
    found, _ = augmentation(steps, seed=0)(images, torch.zeros(60, 2))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
