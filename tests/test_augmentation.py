import colorsys
import importlib
import inspect
from typing import get_args

import keras
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.stats import chisquare

from medaug_keras import spec
from medaug_keras.augmentation import (
    augmentation,
    class_counts,
    copies,
    first_appearance,
    labels_to_make,
)
from medaug_keras.training import numpy_rng, subseed
from medaug_keras.transformations import (
    autocontrast,
    blurred,
    contrasted,
    displaced,
    mapped,
    sharpen,
    shift_hue,
    shifted,
    turned,
)

SHARES = ["deficit", "inverse_frequency", "proportional", "uniform", "water_fill"]
GEOMETRIC = [
    {"layer": "sharpness", "factor": 2.0, "probability": 0.5},
    {"layer": "autocontrast", "probability": 0.5},
    {"layer": "hue", "delta": 0.05},
    {"layer": "horizontal_flip", "probability": 0.5},
]


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def as_uint8(images):
    return (images * 255).round().to(torch.uint8).numpy()


# --- transformations, against references that are not ours ---


@pytest.mark.parametrize("channels", [1, 3])
def test_sharpening_equals_pillows_enhancement_within_its_rounding(channels):
    images = noise(6, 28, 28, channels)
    grid = torch.from_numpy(as_uint8(images)).float() / 255
    found = sharpen(grid, 2.0) * 255
    for image, ours in zip(as_uint8(images), found, strict=True):
        pillow = Image.fromarray(image.squeeze())
        smooth = pillow.filter(ImageFilter.SMOOTH)
        expected = 2 * np.asarray(pillow, float) - np.asarray(smooth, float)
        expected = expected.clip(0, 255).reshape(28, 28, channels)
        assert np.abs(ours.numpy() - expected).max() <= 0.51  # Pillow rounds the smoothed copy to whole numbers


def test_sharpening_by_one_changes_nothing_and_leaves_the_border_alone():
    images = noise(4, 28, 28, 3)
    torch.testing.assert_close(sharpen(images, 1.0), images)
    sharp = sharpen(images, 2.0)
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        torch.testing.assert_close(sharp[edge], images[edge])


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_equals_pillows_within_its_rounding(channels):
    images = torch.from_numpy(as_uint8(noise(6, 28, 28, channels) * 0.6 + 0.2)).float() / 255
    found = autocontrast(images) * 255
    for image, ours in zip(as_uint8(images), found, strict=True):
        expected = np.asarray(ImageOps.autocontrast(Image.fromarray(image.squeeze())), float)
        assert np.abs(ours.numpy() - expected.reshape(28, 28, channels)).max() <= 1.0  # Pillow truncates


def test_autocontrast_leaves_a_constant_channel_alone_and_fills_the_range_of_others():
    images = noise(2, 28, 28, 3) * 0.5
    images[0, :, :, 1] = 0.3
    found = autocontrast(images)
    assert torch.all(found[0, :, :, 1] == images[0, :, :, 1])
    assert found[1].amin(dim=(0, 1)).max() == 0
    assert found[1].amax(dim=(0, 1)).min() == 1


def test_hue_equals_the_standard_librarys_conversion():
    images, turns = noise(3, 28, 28, 3), torch.tensor([0.05, -0.03, 0.4])
    found = shift_hue(images, turns).numpy()
    for image, turn, ours in zip(images.numpy(), turns.tolist(), found, strict=True):
        for y, x in [(0, 0), (5, 7), (13, 27), (27, 1), (20, 20)]:
            hue, saturation, value = colorsys.rgb_to_hsv(*image[y, x].tolist())
            np.testing.assert_allclose(ours[y, x], colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value), atol=2e-6)


def test_hue_leaves_grey_pixels_and_a_full_turn_leaves_everything():
    grey = noise(2, 28, 28, 1).expand(-1, -1, -1, 3)
    torch.testing.assert_close(shift_hue(grey, torch.tensor([0.3, 0.1])), grey)
    colour = noise(2, 28, 28, 3)
    torch.testing.assert_close(shift_hue(colour, torch.ones(2)), colour, atol=1e-5, rtol=0)


@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_hue_turns_up_to_delta_to_both_sides(delta):
    """Pure red at hue 0, turned by less than a third of a circle: green is how far one way, blue the other."""
    red = torch.tensor([1.0, 0.0, 0.0]).expand(2000, 2, 2, 3)
    turned, _ = augmentation([{"layer": "hue", "delta": delta}], seed=0)(red, torch.zeros(2000, 2))
    turns = np.array([colorsys.rgb_to_hsv(*image[0, 0].tolist())[0] for image in turned])
    turns = np.where(turns > 0.5, turns - 1, turns)
    assert -delta - 1e-6 <= turns.min() < -0.98 * delta
    assert 0.98 * delta < turns.max() <= delta + 1e-6
    assert abs(turns.mean()) < 4 * delta / np.sqrt(3 * 2000)  # four standard errors of a uniform draw


def test_hue_leaves_grey_images_of_one_channel_alone():
    images, targets = noise(4, 8, 8, 1), torch.zeros(4, 2)
    assert augmentation([{"layer": "hue", "delta": 0.5}], seed=0)(images, targets)[0] is images


@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
def test_the_sharpness_step_sharpens_by_its_factor_and_stays_in_the_range(factor):
    images = noise(3, 12, 12, 3)
    step = {"layer": "sharpness", "factor": factor, "probability": 1.0}
    changed, _ = augmentation([step], seed=0)(images, torch.zeros(3, 2))
    assert torch.equal(changed, sharpen(images, factor))
    assert 0 <= changed.min() <= changed.max() <= 1


def pillows(images):
    return [Image.fromarray(image.squeeze()) for image in as_uint8(images)]


@pytest.mark.parametrize("channels", [1, 3])
def test_moving_is_a_crop_of_the_image_that_pillow_gives_a_black_border(channels):
    images = torch.from_numpy(as_uint8(noise(25, 12, 12, channels)))
    down, right = torch.arange(25) % 5 - 2, torch.arange(25) // 5 - 2
    for image, ours, y, x in zip(images, shifted(images, down, right), down.tolist(), right.tolist(), strict=True):
        padded = ImageOps.expand(Image.fromarray(image.numpy().squeeze()), 2)
        expected = np.asarray(padded.crop((2 - x, 2 - y, 14 - x, 14 - y))).reshape(12, 12, channels)
        np.testing.assert_array_equal(ours, expected)


def test_an_image_moved_by_more_than_its_side_is_black():
    images = torch.ones(3, 8, 8, 1)
    moved = shifted(images, torch.tensor([8, -64, 0]), torch.tensor([0, 0, 7]))
    assert moved.sum(dim=(1, 2, 3)).tolist() == [0, 0, 8]


def test_quarter_turns_are_pillows():
    images = noise(4, 9, 9, 3)
    for image, ours, quarter in zip(pillows(images), turned(images, torch.arange(4)), range(4), strict=True):
        np.testing.assert_array_equal(as_uint8(ours), np.asarray(image.rotate(90 * quarter)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.7])
def test_contrast_is_pillows_within_its_rounding(channels, factor):
    images = noise(5, 12, 12, channels)
    grid = torch.from_numpy(as_uint8(images)).float() / 255
    for image, ours in zip(pillows(images), contrasted(grid, torch.full((5,), factor)) * 255, strict=True):
        expected = np.asarray(ImageEnhance.Contrast(image).enhance(factor), float).reshape(12, 12, channels)
        # Pillow rounds every gray pixel and their mean to whole numbers, and cuts the result's fraction off
        assert np.abs(ours.numpy() - expected).max() <= 1 + abs(1 - factor)


@pytest.mark.parametrize("channels", [1, 3])
def test_blurring_is_scipys_gaussian_filter_with_a_sigma_for_each_image(channels):
    images, sigmas = noise(4, 11, 11, channels), torch.tensor([0.1, 0.7, 1.3, 2.0])
    for image, ours, sigma in zip(images, blurred(images, sigmas, 6), sigmas.tolist(), strict=True):
        expected = gaussian_filter(image.double().numpy(), sigma, mode="mirror", radius=6, axes=(0, 1))
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_blur_that_reaches_beyond_the_image_mirrors_it_again_and_again():
    images = noise(2, 4, 4, 1)
    expected = gaussian_filter(images[1].double().numpy(), 5.0, mode="mirror", radius=15, axes=(0, 1))
    np.testing.assert_allclose(blurred(images, torch.full((2,), 5.0), 15)[1], expected, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.6])
def test_a_blur_reaches_three_of_its_greatest_sigma_and_no_further(sigma):
    images = torch.zeros(500, 21, 21, 1)
    images[:, 10, 10] = 1
    step = {"layer": "blur", "sigma": sigma, "probability": 1.0}
    spread = augmentation([step], seed=0)(images, torch.zeros(500, 2))[0].amax(dim=0)[10, 10:, 0]
    reach = int(np.ceil(3 * sigma))
    assert (spread[: reach + 1] > 0).all()
    assert (spread[reach + 1 :] == 0).all()


def test_brightness_multiplies_by_a_factor_between_its_ends_and_stays_in_the_range():
    images = torch.full((4000, 2, 2, 1), 0.5)
    changed, _ = augmentation([{"layer": "brightness", "delta": 0.2}], seed=0)(images, torch.zeros(4000, 2))
    factors = changed[:, 0, 0, 0] / 0.5
    assert (changed == changed[:, :1, :1]).all()
    assert 0.8 <= factors.min() < 0.801
    assert 1.199 < factors.max() <= 1.2 + 1e-6
    assert factors.mean().item() == pytest.approx(1, abs=4 * 0.4 / np.sqrt(12 * 4000))
    brightest, _ = augmentation([{"layer": "brightness", "delta": 1.0}], seed=0)(2 * images, torch.zeros(4000, 2))
    assert brightest.max() == 1


def test_noise_has_its_deviation_and_each_pixel_and_channel_its_own():
    images = torch.full((200, 8, 8, 3), 0.5)
    step = {"layer": "noise", "deviation": 0.05, "probability": 1.0}
    added = augmentation([step], seed=0)(images, torch.zeros(200, 2))[0] - 0.5
    assert added.std().item() == pytest.approx(0.05, rel=4 / np.sqrt(2 * added.numel()))
    assert added.mean().item() == pytest.approx(0, abs=4 * 0.05 / np.sqrt(added.numel()))
    flat = added.reshape(200, -1).T  # a row for each pixel and channel
    between = np.corrcoef(flat.numpy())[~np.eye(len(flat), dtype=bool)]
    assert np.abs(between).max() < 6 / np.sqrt(200)


def test_a_crop_moves_by_every_distance_up_to_its_padding_as_often():
    images = torch.zeros(5000, 9, 9, 1)
    images[:, 4, 4] = 1
    changed, _ = augmentation([{"layer": "crop", "padding": 2}], seed=0)(images, torch.zeros(5000, 2))
    spots = changed.nonzero()
    assert len(spots) == 5000
    for axis in (1, 2):
        assert chisquare(np.bincount(spots[:, axis] - 2, minlength=5)).pvalue > 1e-4


def test_a_quarter_turn_turns_by_every_right_angle_as_often():
    images = torch.zeros(4000, 2, 2, 1)
    images[:, 0, 0] = 1
    changed, _ = augmentation([{"layer": "quarter_turn"}], seed=0)(images, torch.zeros(4000, 2))
    assert chisquare(changed.sum(dim=0).flatten()).pvalue > 1e-4


@pytest.mark.parametrize("channels", [1, 3])
def test_displacing_is_scipys_linear_interpolation_with_a_repeated_border(channels):
    images, offsets = noise(3, 11, 11, channels), 8 * noise(3, 11, 11, 2, seed=1) - 4
    rows, columns = np.meshgrid(np.arange(11), np.arange(11), indexing="ij")
    for image, ours, offset in zip(images, displaced(images, offsets), offsets.numpy(), strict=True):
        places = [rows + offset[..., 1], columns + offset[..., 0]]
        for channel in range(channels):
            expected = map_coordinates(image[..., channel].numpy(), places, order=1, mode="nearest")
            np.testing.assert_allclose(ours[..., channel], expected, atol=1e-5)


@pytest.mark.parametrize("smoothness", [0.05, 0.3])
def test_an_elastic_field_has_its_deviation_at_every_pixel_and_the_correlation_of_smoothed_noise(
    smoothness, monkeypatch
):
    fields = []
    monkeypatch.setattr("medaug_keras.augmentation.displaced", lambda images, field: fields.append(field) or images)
    step = {"layer": "elastic", "strength": 0.1, "smoothness": smoothness, "probability": 1.0}
    images = torch.zeros(4000, 20, 20, 1)
    augmentation([step], seed=0)(images, torch.zeros(4000, 2))
    (field,) = fields  # (4000, 20, 20, 2)
    wanted = 0.1 * 20
    np.testing.assert_allclose(field.std(dim=0), wanted, rtol=5 / np.sqrt(2 * 4000))
    assert field.mean(dim=0).abs().max() < 5 * wanted / np.sqrt(4000)
    for at, away in ((5, 1), (5, 3), (5, 8), (0, 3), (19, -3)):  # at the borders as inside
        found = (field[:, at, at] * field[:, at, at + away]).mean(dim=0) / wanted**2  # (2,)
        np.testing.assert_allclose(found, np.exp(-((away / (20 * smoothness)) ** 2) / 4), atol=4 / np.sqrt(4000))
    assert (field[..., 0] * field[..., 1]).mean().abs() < 0.05 * wanted**2  # the axes are drawn apart


# --- laws of the pipeline ---

OTHERS = [
    {"layer": "crop", "padding": 4},
    {"layer": "quarter_turn"},
    {"layer": "brightness", "delta": 0.2},
    {"layer": "contrast", "delta": 0.2},
    {"layer": "noise", "deviation": 0.05, "probability": 1.0},
    {"layer": "blur", "sigma": 1.0, "probability": 1.0},
    {"layer": "elastic", "strength": 0.04, "smoothness": 0.15, "probability": 1.0},
    {"layer": "augmix", "width": 3, "depth": 3, "severity": 3.0},
    {"layer": "trivial_augment"},
]


@pytest.mark.parametrize("step", OTHERS, ids=lambda step: step["layer"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_draws_for_every_image_from_its_generator_alone_and_keeps_shape_range_and_targets(step, channels):
    images, targets = noise(1, 28, 28, channels).expand(64, -1, -1, -1), torch.eye(2)[torch.arange(64) % 2]
    before = images.clone()
    found = []
    for outside, seed in ((1, 0), (2, 0), (1, 3)):
        torch.manual_seed(outside)
        changed, same = augmentation([step], seed=seed)(images, targets)
        assert changed.shape == images.shape
        assert 0 <= changed.min() <= changed.max() <= 1
        assert torch.equal(same, targets)
        found.append(changed)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(images, before)
    # 4 turns; 81 places of which 64 images find 44 or so; 14 operations with 61 strengths at most, some with none
    different = {"quarter_turn": 4, "crop": 40, "trivial_augment": 40}
    assert len(np.unique(found[0].reshape(64, -1).numpy(), axis=0)) >= different.get(step["layer"], 64)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_pipeline_keeps_shape_range_and_targets(channels):
    images, targets = noise(32, 28, 28, channels), torch.eye(4)[torch.arange(32) % 4]
    changed, same = augmentation(GEOMETRIC, seed=0)(images, targets)
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(same, targets)


def test_every_image_draws_for_itself():
    images = noise(1, 28, 28, 3).expand(64, -1, -1, -1)
    changed, _ = augmentation(GEOMETRIC, seed=0)(images, torch.eye(2)[torch.zeros(64, dtype=int)])
    assert len(np.unique(changed.reshape(64, -1).numpy(), axis=0)) == 64  # hue alone differs in each


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_a_step_changes_its_share_of_the_images(probability):
    images, targets = noise(2000, 4, 4, 1), torch.zeros(2000, 2)
    step = {"layer": "horizontal_flip", "probability": probability}
    changed, _ = augmentation([step], seed=1)(images, targets)
    flipped = (changed == images.flip(2)).all(dim=(1, 2, 3)).float().mean()
    assert abs(flipped - probability) <= (0 if probability in (0, 1) else 0.045)  # four standard deviations


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    images, targets = noise(16, 28, 28, 3), torch.zeros(16, 2)
    first, again, other = (augmentation(GEOMETRIC, seed=s)(images, targets)[0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


KERAS_STEPS = [
    {"layer": "RandAugment", "num_ops": 2, "factor": 0.5},
    {"layer": "RandomErasing", "factor": 0.5},
    {"layer": "RandomPosterization", "factor": 4},
    {"layer": "Solarization", "addition_factor": 0.2, "threshold_factor": 0.5},
    {"layer": "RandomBrightness", "factor": 0.3},
    {"layer": "RandomColorDegeneration", "factor": 0.5},
    {"layer": "RandomHue", "factor": 0.2},
    {"layer": "RandomInvert", "factor": 1.0},
    {"layer": "RandomSharpness", "factor": 0.8},
    {"layer": "RandomContrast", "factor": 0.3},
    {"layer": "RandomFlip", "mode": "vertical"},
    {"layer": "RandomGrayscale", "factor": 0.5},
    {"layer": "RandomPerspective", "factor": 1.0, "scale": 0.3, "fill_value": 0.5},
    {"layer": "RandomRotation", "factor": 0.1, "fill_mode": "constant", "fill_value": 0.5},
    {"layer": "RandomShear", "x_factor": 0.2, "y_factor": 0.1, "interpolation": "nearest"},
    {"layer": "RandomTranslation", "factor": 0.1},
    {"layer": "RandomTranslation", "factor": None, "height_factor": 0.1, "width_factor": 0.3},
    {"layer": "RandomZoom", "factor": 0.1},
    {"layer": "MixUp", "alpha": 0.2},
    {"layer": "CutMix", "factor": 1.0},
]
OF_COLOUR = {"RandomColorDegeneration", "RandomHue", "RandomGrayscale"}
FEW = {"RandomPosterization": 3, "RandomFlip": 2, "RandomGrayscale": 2, "RandomInvert": 2}
"""Layers that give so many different images of one."""


@pytest.mark.parametrize("step", KERAS_STEPS, ids=lambda step: step["layer"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_keras_step_changes_images_and_keeps_shape_range_and_sums_of_targets(step, channels):
    images, targets = noise(16, 28, 28, channels), torch.eye(2)[torch.arange(16) % 2]
    changed, mixed = augmentation([step], seed=3)(images, targets)
    again, _ = augmentation([step], seed=3)(images, targets)
    assert changed.shape == images.shape
    assert -1e-5 <= changed.min() <= changed.max() <= 1 + 1e-5
    assert torch.equal(changed, images) is (channels == 1 and step["layer"] in OF_COLOUR)
    assert torch.equal(changed, again)
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(16))


@pytest.mark.parametrize("step", KERAS_STEPS[:-2], ids=lambda step: step["layer"])
def test_a_keras_step_draws_for_every_image_from_its_seed_alone_and_leaves_what_it_was_given(step):
    images, targets = noise(1, 28, 28, 3).expand(64, -1, -1, -1).contiguous(), torch.eye(2)[torch.arange(64) % 2]
    before, found = images.clone(), []
    for outside, seed in ((1, 0), (2, 0), (1, 3)):
        keras.utils.set_random_seed(outside)
        found.append(augmentation([step], seed=seed)(images, targets))
    assert torch.equal(images, before)
    for changed, same in found:
        assert torch.equal(same, targets)
        assert changed.dtype == torch.float32
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.equal(found[0][0], found[2][0])
    different = len(np.unique(found[0][0].reshape(64, -1).numpy(), axis=0))
    few = FEW.get(step["layer"])
    assert (
        different == few
        if few
        else different >= (15 if step["layer"] in ("RandomErasing", "RandomPerspective") else 60)
    )


def keras_sections():
    """Section and layer of every step that is Keras's."""
    for section in get_args(get_args(spec.Step)[0]):
        for layer in get_args(section.model_fields["layer"].annotation):
            if layer[0].isupper():
                yield section, layer


def test_a_keras_layer_for_images_is_a_step_or_refused_by_name_and_its_settings_are_its_arguments():
    known = {
        name
        for name in dir(keras.layers)
        if ".image_preprocessing." in getattr(getattr(keras.layers, name), "__module__", "")
    }
    assert {layer for _, layer in keras_sections()} | spec.NO_STEPS.keys() == known
    assert not {layer for _, layer in keras_sections()} & spec.NO_STEPS.keys()
    for section, layer in keras_sections():
        arguments = inspect.signature(getattr(keras.layers, layer)).parameters
        for name, field in section.model_fields.items():
            if name == "layer" or (layer in ("RandomTranslation", "RandomZoom") and name == "factor"):
                continue
            assert name in arguments, (layer, name)
            if not field.is_required() and field.default is not None:
                assert field.default == arguments[name].default, (layer, name)


@pytest.mark.parametrize("name", [name for name, why in spec.NO_STEPS.items() if "study's seed" in why])
def test_a_keras_layer_is_refused_for_its_draws_only_while_they_are_not_the_seeds(name):
    images, found = noise(8, 16, 16, 3), []
    for outside in (1, 2):
        keras.utils.set_random_seed(outside)
        found.append(getattr(keras.layers, name)(value_range=(0, 1), seed=0)(images.clone(), training=True))
    assert not torch.equal(*found)


def test_what_else_keras_layers_are_refused_for_is_so():
    one, grey = noise(1, 16, 16, 3).expand(300, -1, -1, -1), noise(4, 16, 16, 1)
    blur = keras.layers.RandomGaussianBlur(sigma=1.0, value_range=(0, 1), seed=0)(one.clone(), training=True)
    assert len(np.unique(blur.reshape(300, -1).numpy().round(5), axis=0)) == 2
    both = keras.layers.RandomFlip("horizontal_and_vertical", seed=0)(one.clone(), training=True)
    assert len(np.unique(both.reshape(300, -1).numpy(), axis=0)) == 2
    dull = keras.layers.RandomSaturation(0.1, value_range=(0, 1), seed=0)(one.clone(), training=True)
    without = ((dull.amax(dim=-1) - dull.amin(dim=-1)) < 1e-5).all(dim=(1, 2)).float().mean()
    assert 0.35 < without < 0.65
    with pytest.raises(RuntimeError, match="split_sizes"):
        keras.layers.RandomColorJitter(value_range=(0, 1), saturation_factor=0.1)(grey, training=True)


def test_every_step_draws_for_itself_and_by_the_seed():
    steps = [{"layer": "RandomRotation", "factor": 0.1}, {"layer": "RandomRotation", "factor": 0.1}]
    seeds = [tuple(c.tolist()) for s in (0, 1) for c in augmentation(steps, seed=s).counters]
    assert len(set(seeds)) == len(seeds) == 4
    again = augmentation(steps, seed=0)
    assert seeds[:2] == [tuple(c.tolist()) for c in again.counters]
    again(noise(2, 8, 8, 1), torch.zeros(2, 2))
    assert seeds[:2] != [tuple(c.tolist()) for c in again.counters]  # they are what a checkpoint has to keep
    first, other = (augmentation(GEOMETRIC[:2], seed=s) for s in (0, 1))
    assert first.rng.initial_seed() != other.rng.initial_seed()


def test_steps_of_our_own_draw_from_their_generator_alone():
    images, targets = noise(64, 8, 8, 3), torch.zeros(64, 2)
    found = []
    for outside in (1, 2):
        torch.manual_seed(outside)
        found.append(augmentation(GEOMETRIC, seed=0)(images, targets)[0])
    assert torch.equal(*found)


def test_translation_moves_along_both_axes_and_zoom_goes_as_far_as_its_factor():
    """On ramps, whose slope zooming changes and whose level moving changes."""
    ramp = torch.linspace(0.2, 0.8, 28)
    for axis in (0, 1):
        images = (ramp[:, None] if axis == 0 else ramp[None, :]).expand(28, 28)[None, ..., None].repeat(64, 1, 1, 1)
        moved, _ = augmentation([{"layer": "RandomTranslation", "factor": 0.2}], seed=0)(images, torch.zeros(64, 2))
        assert (moved[:, 14, 14, 0] - images[:, 14, 14, 0]).abs().max() > 0.1 * 0.6
    for factor in (0.1, 0.4):
        zoomed, _ = augmentation([{"layer": "RandomZoom", "factor": factor}], seed=0)(images, torch.zeros(64, 2))
        slopes = (zoomed[:, 14, 17, 0] - zoomed[:, 14, 10, 0]) / (images[:, 14, 17, 0] - images[:, 14, 10, 0])
        assert 1 - factor - 0.02 < slopes.min() < 1 - 0.7 * factor
        assert 1 + 0.7 * factor < slopes.max() < 1 + factor + 0.02


def test_a_zoom_keeps_the_shape_of_what_an_image_shows():
    images = torch.zeros(32, 28, 28, 1)
    images[:, 8:20, 8:20] = 1
    zoomed, _ = augmentation([{"layer": "RandomZoom", "factor": 0.3}], seed=0)(images, torch.zeros(32, 2))
    torch.testing.assert_close(zoomed, zoomed.transpose(1, 2), atol=1e-4, rtol=0)
    assert len(zoomed.sum(dim=(1, 2, 3)).unique()) > 20


def test_a_rectangle_is_filled_with_black_where_black_is_asked_for_and_with_noise_otherwise():
    images = torch.full((64, 28, 28, 1), 0.5)
    for said, values in (({"fill_value": 0.0}, [0.0, 0.5]), ({"fill_value": None}, None), ({}, None)):
        step = {"layer": "RandomErasing", "factor": 1.0, **said}
        found = augmentation([step], seed=0)(images, torch.zeros(64, 2))[0].unique().tolist()
        assert found == values if values else len(found) > 100


def test_a_step_of_keras_is_not_recorded_and_all_steps_of_our_own_are():
    ours = {step["layer"]: augmentation([step], seed=0).recordable for step in [*GEOMETRIC, *OTHERS]}
    assert set(ours.values()) == {True}
    assert augmentation([], seed=0).recordable
    assert not augmentation([*GEOMETRIC, {"layer": "RandomZoom", "factor": 0.1}], seed=0).recordable


@pytest.mark.parametrize("step", KERAS_STEPS[:4], ids=lambda step: step["layer"])
def test_steps_that_must_know_the_range_of_values_are_told_ours(step):
    """What Keras's layer does to images of 0 to 255, ours does to the same images of 0 to 1."""
    images = noise(16, 28, 28, 3)
    settings = {name: value for name, value in step.items() if name != "layer"}
    layer = getattr(keras.layers, step["layer"])(
        **settings, value_range=(0, 255), seed=subseed(0, "augmentation 0"), data_format="channels_last"
    )
    expected = (layer(images * 255, training=True) / 255).clamp(0, 1)
    found, _ = augmentation([step], seed=0)(images, torch.zeros(16, 2))
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", ["reflect", "wrap", "constant", "nearest"])
@pytest.mark.parametrize("shape", [(9, 28, 28, 1), (5, 33, 20, 3), (1, 8, 8, 1)])
def test_an_affine_map_gives_the_bits_of_keras(shape, fill_mode, interpolation):
    images, spread = noise(*shape), torch.tensor([0.3, 0.3, 14, 0.3, 0.3, 14, 0, 0])  # much of it beyond the border
    maps = torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0]) + spread * torch.randn(shape[0], 8)
    maps[0] = torch.tensor([1.0, 0, 2, 0, 1, -3, 0, 0])  # whole pixels
    before = maps.clone()
    expected = keras.ops.image.affine_transform(images, before, interpolation, fill_mode, 0.3)
    assert torch.equal(mapped(images, maps, interpolation, fill_mode, 0.3), expected)
    assert torch.equal(maps, before)  # both have changed it


WARPS = [
    {"layer": "RandomRotation", "factor": 0.1},
    {"layer": "RandomTranslation", "height_factor": 0.2, "width_factor": 0.1, "fill_mode": "wrap"},
    {"layer": "RandomZoom", "height_factor": 0.3, "width_factor": 0.3, "fill_mode": "constant", "fill_value": 0.5},
    {"layer": "RandomShear", "x_factor": 0.3, "y_factor": 0.2, "interpolation": "nearest"},
    {"layer": "RandAugment", "num_ops": 3, "factor": 0.5},
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", WARPS, ids=lambda step: step["layer"])
def test_a_step_that_moves_pixels_gives_the_bits_of_keras_s_layer_without_its_slow_way(monkeypatch, step, channels):
    arguments = {name: value for name, value in step.items() if name != "layer"}
    if step["layer"] == "RandAugment":
        arguments |= {"value_range": (0, 1)}
    stock = getattr(keras.layers, step["layer"])(
        **arguments, data_format="channels_last", seed=subseed(7, "augmentation 0")
    )
    batches = [noise(6, 28, 28, channels, seed=number) for number in range(20)]  # RandAugment turns some of them twice
    expected = [stock(images.clone(), training=True).clamp(0, 1) for images in batches]
    slow = importlib.import_module("keras.src.backend.torch.image")
    monkeypatch.setattr(slow, "map_coordinates", lambda *args, **more: pytest.fail("one image after the other"))
    ours = augmentation([step], seed=7)
    for images, of_keras in zip(batches, expected, strict=True):
        assert torch.equal(ours(images, torch.zeros(6, 2))[0], of_keras)


def test_an_affine_map_of_other_shapes_is_refused():
    images, maps = noise(2, 8, 8, 1), torch.zeros(2, 8)
    for wrong in ({"images": images[0]}, {"transform": maps[0]}, {"data_format": "channels_first"}):
        with pytest.raises(ValueError, match="takes batches"):
            mapped(**{"images": images, "transform": maps, **wrong})


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_mixing_steps_mix_the_labels_by_the_share_of_each_image(name):
    """Class 0 is black and class 1 white, so the mean brightness of an image is its share of class 1."""
    labels = torch.arange(32) % 2
    images = labels[:, None, None, None].float().expand(-1, 28, 28, 1).contiguous()
    settings = {"alpha": 1.0} if name == "MixUp" else {"factor": 1.0}
    changed, mixed = augmentation([{"layer": name, **settings}], seed=0)(images, torch.eye(2)[labels])
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), mixed[:, 1], atol=0.02, rtol=0)


# --- amounts ---


@given(
    sizes=st.lists(st.integers(1, 50_000), min_size=2, max_size=12),
    total=st.integers(0, 20_000),
    shares=st.sampled_from(SHARES),
)
def test_counts_sum_to_the_total_and_none_is_negative(sizes, total, shares):
    counts = class_counts(total, np.array(sizes), shares=shares)
    assert counts.sum() == total
    assert counts.min() >= 0


PUBLISHED = {
    "path": ([9366, 9509, 10360, 10401, 8006, 12182, 7886, 9401, 12885], 3599),
    "derma": ([228, 359, 769, 80, 779, 4693, 99], 700),
    "oct": ([33484, 10213, 7754, 46026], 3899),
    "pneumonia": ([1214, 3494], 470),
    "breast": ([147, 399], 54),
}


@pytest.mark.parametrize(
    ("name", "shares", "expected"),
    [
        ("path", "deficit", [485, 466, 352, 346, 667, 107, 683, 480, 13]),
        ("derma", "deficit", [120, 117, 106, 124, 106, 3, 124]),
        ("oct", "deficit", [566, 1609, 1719, 5]),
        ("pneumonia", "deficit", [451, 19]),
        ("breast", "deficit", [42, 12]),
        ("breast", "inverse_frequency", [39, 15]),
        ("pneumonia", "inverse_frequency", [349, 121]),
        ("derma", "inverse_frequency", [94, 60, 28, 269, 28, 4, 217]),
        ("oct", "proportional", [1339, 409, 310, 1841]),
        ("breast", "proportional", [15, 39]),
    ],
)
def test_the_counts_are_those_worked_out_by_hand(name, shares, expected):
    sizes, total = PUBLISHED[name]
    found = class_counts(total, np.array(sizes), shares=shares)
    # The table was rounded class by class, so a class may differ by one.
    assert np.abs(found - expected).max() <= 1


def test_weights_in_order_of_first_appearance_reach_the_wrong_classes():
    sizes, total = PUBLISHED["derma"]
    found = class_counts(total, np.array(sizes), shares="deficit", class_order=np.array([0, 5, 4, 2, 1, 6, 3]))
    assert np.abs(found - [120, 3, 106, 106, 117, 124, 124]).max() <= 1


@pytest.mark.parametrize("draw", ["largest_remainder", "multinomial"])
@pytest.mark.parametrize("class_order", ["label", "first_appearance"])
@pytest.mark.parametrize("shares", SHARES)
def test_labels_to_make_have_the_shares_the_order_and_the_draw_that_are_asked_for(shares, class_order, draw):
    labels = np.repeat([2, 0, 1], [30, 400, 120])
    how = {"total": 20_000, "shares": shares, "class_order": class_order, "draw": draw}
    found = np.bincount(labels_to_make(labels, 3, **how, seed=0), minlength=3)
    order = np.array([2, 0, 1]) if class_order == "first_appearance" else None
    sizes = np.array([400, 120, 30])
    exact = class_counts(20_000, sizes, shares=shares, class_order=order)
    assert exact.sum() == found.sum() == 20_000
    if draw == "largest_remainder":
        np.testing.assert_array_equal(found, exact)
    else:
        assert (found != exact).any()
        assert np.abs(found - exact).max() < 4 * np.sqrt(20_000 / 4)
    by_rule = {
        "deficit": 400 - sizes + 100,
        "inverse_frequency": 1 / sizes,
        "proportional": sizes,
        "uniform": np.ones(3),
        "water_fill": (20_000 + 550) / 3 - sizes,  # there is enough for all to reach one level
    }[shares]
    by_rule = by_rule if order is None else by_rule[order]
    np.testing.assert_allclose(exact, 20_000 * by_rule / by_rule.sum(), atol=1)


def test_other_seeds_draw_other_labels_and_other_copies():
    labels = np.repeat([0, 1], [40, 60])
    how = {"total": 50, "shares": "deficit", "class_order": "label", "draw": "multinomial"}
    drawn = {tuple(np.bincount(labels_to_make(labels, 2, **how, seed=seed))) for seed in range(20)}
    assert len(drawn) > 1
    one, again, other = (copies(labels, labels[::7], seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_what_is_left_over_goes_to_the_largest_remainders_and_on_ties_to_the_lower_class():
    np.testing.assert_array_equal(class_counts(5, np.array([1, 1, 1]), shares="uniform"), [2, 2, 1])
    np.testing.assert_array_equal(
        class_counts(4, np.array([10, 15, 35]), shares="proportional"), [1, 1, 2]
    )  # .67 1 2.33


def test_water_fill_raises_the_rarest_classes_to_one_level():
    np.testing.assert_array_equal(class_counts(60, np.array([10, 50, 100]), shares="water_fill"), [50, 10, 0])
    np.testing.assert_array_equal(class_counts(20, np.array([10, 50, 100]), shares="water_fill"), [20, 0, 0])
    np.testing.assert_array_equal(class_counts(290, np.array([10, 50, 100]), shares="water_fill"), [140, 100, 50])


def test_first_appearance_lists_the_classes_as_they_come():
    np.testing.assert_array_equal(first_appearance(np.array([2, 2, 0, 1, 0])), [2, 0, 1])


def test_drawn_labels_have_the_weights_as_expectation_and_exact_ones_the_counts():
    labels = np.repeat([0, 1], [147, 399])
    settings = {"total": 5400, "shares": "deficit", "class_order": "label"}
    exact = labels_to_make(labels, 2, **settings, draw="largest_remainder", seed=0)
    drawn = labels_to_make(labels, 2, **settings, draw="multinomial", seed=0)
    np.testing.assert_array_equal(np.bincount(exact), class_counts(5400, np.array([147, 399]), shares="deficit"))
    assert len(drawn) == 5400
    assert abs((drawn == 0).mean() - (exact == 0).mean()) < 0.023  # four standard deviations


def test_copies_are_of_the_class_asked_for_and_no_image_comes_twice_before_all_came_once():
    labels = np.array([0] * 5 + [1] * 20)
    wanted = np.array([0] * 12 + [1] * 7)
    chosen = copies(labels, wanted, seed=0)
    np.testing.assert_array_equal(labels[chosen], wanted)
    assert sorted(np.bincount(chosen[:12], minlength=5)[:5]) == [2, 2, 2, 3, 3]
    assert len(set(chosen[12:])) == 7


def test_no_more_orders_are_drawn_than_copies_need():
    """Otherwise the copies of a class would depend on how many orders the class before it wasted."""
    rng = numpy_rng(0, "copies")
    expected = [*rng.permutation(3), *rng.permutation(3), *(3 + rng.permutation(4))]
    labels = np.array([0] * 3 + [1] * 4)
    assert copies(labels, np.array([0] * 6 + [1] * 4), seed=0).tolist() == expected
