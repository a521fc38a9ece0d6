"""Images are scaled in one place; saved samplers scale by a stock layer, which can only multiply."""

import torch

from medaug_keras.networks.scaling import center, from_pixels_layer, to_bytes, to_pixels_layer, to_unit

BYTES = torch.arange(256, dtype=torch.uint8)


def test_bytes_become_their_half_range_exactly_rounded():
    assert torch.equal(to_unit(BYTES), BYTES.float() / 255)
    assert torch.equal(center(to_unit(BYTES)), BYTES.float() / 127.5 - 1)
    assert (center(to_unit(BYTES)).min(), center(to_unit(BYTES)).max()) == (-1, 1)


def test_every_byte_comes_back():
    pixels = to_pixels_layer()
    assert torch.equal(to_bytes(pixels(center(to_unit(BYTES)))), BYTES)
    assert torch.equal(to_bytes(pixels(from_pixels_layer()(BYTES.float()))), BYTES)


def test_what_is_out_of_range_becomes_the_nearest_byte():
    assert to_bytes(torch.tensor([-3.0, 0.4, 254.6, 300.0])).tolist() == [0, 0, 255, 255]


def test_a_samplers_layer_differs_from_the_training_values_by_rounding_alone():
    difference = (from_pixels_layer()(BYTES.float()) - center(to_unit(BYTES))).abs()
    assert 0 < difference.max() < 2**-22
