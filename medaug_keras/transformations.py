"""Transformations of a batch of images, each image by an amount of its own. Nothing here draws.

Shapes: B batch, H x W x C image with values in [0, 1].
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor


def sharpen(images: Tensor, factor: float | Tensor) -> Tensor:
    """Blend each image with its smoothed copy: factor 0 smooths, 1 changes nothing, 2 sharpens; one of all or (B,).

    The smoothing kernel is [1 1 1; 1 5 1; 1 1 1] / 13; border pixels stay as they are.
    """
    rows = images[:, :-2] + images[:, 1:-1] + images[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    inner = images[:, 1:-1, 1:-1]
    smooth = images.clone()
    smooth[:, 1:-1, 1:-1] = (total + 4 * inner) / 13
    if isinstance(factor, Tensor):
        return torch.lerp(smooth, images, _each(factor)).clamp_(0, 1)
    return torch.lerp(smooth, images, factor).clamp_(0, 1)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch every channel of every image to [0, 1]; a constant channel stays as it is."""
    low = images.amin(dim=(1, 2), keepdim=True)
    high = images.amax(dim=(1, 2), keepdim=True)
    flat = high == low
    stretched = ((images - low) / torch.where(flat, torch.ones_like(high), high - low)).clamp_(0, 1)
    return torch.where(flat, images, stretched)


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of RGB images (B, H, W, 3) by `turns` (B,), one a full circle. Gray pixels do not change."""
    red, green, blue = images.unbind(-1)
    value, _ = images.max(dim=-1)
    chroma = value - images.amin(dim=-1)
    grey = chroma == 0
    divisor = torch.where(grey, torch.ones_like(chroma), chroma)
    from_red, from_green, from_blue = ((value - channel) / divisor for channel in (red, green, blue))
    sixths = torch.where(
        value == red,
        from_blue - from_green,
        torch.where(value == green, 2 + from_red - from_blue, 4 + from_green - from_red),
    )
    hue = torch.where(grey, torch.zeros_like(sixths), (sixths / 6 + 1) % 1)
    hue = (hue + turns[:, None, None]) % 1

    def channel(n: int) -> Tensor:
        k = (n + 6 * hue) % 6
        return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)  # value times saturation is chroma

    return torch.stack([channel(5), channel(3), channel(1)], dim=-1)


def shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each image moved by whole pixels (B,), at most its side; what comes in is black."""
    size, places = images.shape[1], torch.arange(images.shape[1], device=images.device)
    rows, columns = places - down[:, None], places - right[:, None]  # (B, H), (B, W): where each pixel comes from
    inside = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
    each = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images[each, rows.clamp(0, size - 1)[:, :, None], columns.clamp(0, size - 1)[:, None, :]]
    return moved * inside[..., None]


def turned(images: Tensor, quarters: Tensor) -> Tensor:
    """Each square image turned counterclockwise by so many right angles (B,), 0 to 3."""
    every = torch.stack([images.rot90(quarter, (1, 2)) for quarter in range(4)])  # (4, B, H, W, C)
    return every[quarters, torch.arange(len(images), device=images.device)]


def contrasted(images: Tensor, factors: Tensor) -> Tensor:
    """The differences of each image from its mean gray, times a factor (B,): 0 makes it gray, 1 changes nothing."""
    mean = images.mean(dim=(1, 2))  # (B, C)
    if images.shape[-1] == 3:
        mean = (0.299 * mean[:, 0] + 0.587 * mean[:, 1] + 0.114 * mean[:, 2])[:, None]  # ITU-R 601, as Pillow's gray
    return torch.lerp(mean[:, None, None, :], images, _each(factors)).clamp(0, 1)


def blurred(images: Tensor, sigmas: Tensor, reach: int) -> Tensor:
    """Each image under a Gaussian of its own sigma (B,), in pixels, cut off at `reach` of them; borders are mirrors."""
    places = torch.arange(-reach, reach + 1, device=images.device)
    weights = torch.exp(-((places / sigmas[:, None]) ** 2) / 2)
    weights = weights / weights.sum(dim=1, keepdim=True)  # (B, 2 reach + 1)
    side = images.shape[1]
    for axis in (1, 2):
        # reflected as often as it takes: 2 1 0 1 2 ... without the border twice
        found = torch.zeros_like(images)
        for number in range(2 * reach + 1):
            at = (torch.arange(side, device=images.device) + number - reach).remainder(2 * side - 2)
            moved = images.index_select(axis, torch.minimum(at, 2 * side - 2 - at))
            found = found + weights[:, number, None, None, None] * moved
        images = found
    return images


def brightened(images: Tensor, factors: Tensor) -> Tensor:
    """Each image times a factor (B,): 0 makes it black, 1 changes nothing."""
    return (images * _each(factors)).clamp(0, 1)


def colored(images: Tensor, factors: Tensor) -> Tensor:
    """The differences of each image from its gray copy, times a factor (B,): 1 changes nothing, nor does any of grey
    images."""
    if images.shape[-1] != 3:
        return images
    gray = 0.299 * images[..., :1] + 0.587 * images[..., 1:2] + 0.114 * images[..., 2:]
    return torch.lerp(gray.expand_as(images), images, _each(factors)).clamp(0, 1)


def posterized(images: Tensor, bits: Tensor) -> Tensor:
    """The first bits (B,), 0 to 8, of every value as a byte: 8 changes no byte."""
    step = _each(2 ** (8 - bits))
    return (images * 255).round().div(step).floor() * step / 255


def solarized(images: Tensor, thresholds: Tensor) -> Tensor:
    """What is a byte of at least the threshold (B,) is inverted: 256 changes nothing, 0 gives the negative."""
    return torch.where(images * 255 < _each(thresholds) - 0.5, images, 1 - images)


def equalized(images: Tensor) -> Tensor:
    """Every channel of every image with bytes that are as frequent as they can be, as Pillow's equalize."""
    count, side, _, channels = images.shape
    values = (images * 255).round().long().permute(0, 3, 1, 2).reshape(count * channels, -1)
    found = torch.zeros(len(values), 256, dtype=torch.long, device=images.device)
    found.scatter_add_(1, values, torch.ones_like(values))
    last = found.gather(1, values.amax(dim=1, keepdim=True))
    step = (values.shape[1] - last) // 255  # images of each value, were they alike
    below = found.cumsum(dim=1) - found
    bytes_of = ((below + step // 2) // step.clamp(min=1)).clamp(max=255).gather(1, values)
    result = torch.where(step > 0, bytes_of, values)
    return (result.reshape(count, channels, side, -1).permute(0, 2, 3, 1) / 255).contiguous()


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Each image turned counterclockwise about its middle; what comes in is black."""
    angle = torch.deg2rad(degrees)
    zero = torch.zeros_like(angle)
    return _moved(images, [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero])


def sheared(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Each image slanted by factors (B,) of the distance from its upper left corner; what comes in is black.

    A pixel (x, y) shows what was at (x + right * y, y + down * x).
    """
    one = torch.ones_like(right)
    return _moved(images, [one, right, right, down, one, down])


def translated(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Each image moved to the left and up by so many pixels (B,), which need not be whole; what comes in is black."""
    one, zero, side = torch.ones_like(right), torch.zeros_like(right), images.shape[1]
    return _moved(images, [one, zero, 2 * right / side, zero, one, 2 * down / side])


def displaced(images: Tensor, offsets: Tensor) -> Tensor:
    """A pixel (x, y) shows what was at (x, y) + offsets, (B, H, W, 2) in pixels to the right and down; beyond the
    border, the border is repeated."""
    side = images.shape[1]
    centres = (2 * torch.arange(side, device=images.device) + 1) / side - 1
    there = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)
    return _sampled(images, there + 2 * offsets / side)


def mapped(
    images: Tensor,
    transform: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str = "channels_last",
) -> Tensor:
    """Each image as its eight numbers (B, 8) of an affine map say: what Keras's affine_transform gives, to the bit, and
    does: it swaps rows and columns in `transform`.

    Keras on Torch takes one image after the other, and looks for neighbours between channels as between rows: about
    1,060 microseconds an image of 28 x 28 on one core, where this takes 120, and the CNN that learns from it 700.
    """
    if data_format != "channels_last" or images.ndim != 4 or transform.ndim != 2:
        raise ValueError("takes batches (B, H, W, C) and a map for each image, (B, 8)")
    count, height, width, channels = images.shape
    # Keras changes what it is given, and RandAugment gives the same rotation twice.
    transform[:, [0, 2, 4, 5]] = transform[:, [4, 5, 0, 2]]
    maps = F.pad(transform, [0, 1], value=1).reshape(count, 3, 3)
    offset = maps[:, :2, 2].clone()
    maps[:, :2, 2] = 0
    axes = [torch.arange(size, dtype=maps.dtype, device=maps.device) for size in images.shape[1:]]
    here = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).expand(count, -1, -1, -1, -1)
    there = torch.einsum("Bhwij, Bjk -> Bhwik", here, maps)  # a sum in another order would round otherwise
    rows, columns = (there[..., axis] + offset[:, axis, None, None, None] for axis in (0, 1))
    start = torch.arange(count, device=maps.device)[:, None, None, None] * (height * width * channels)
    start = start + torch.arange(channels, device=maps.device)
    flat, total = images.reshape(-1), None
    both = (_nodes(rows, height, interpolation, fill_mode), _nodes(columns, width, interpolation, fill_mode))
    for (row, row_valid, row_weight), (column, column_valid, column_weight) in itertools.product(*both):
        part = flat[start + row * (width * channels) + column * channels]
        if fill_mode == "constant":
            part = torch.where(row_valid & column_valid, part, fill_value)
        part = row_weight * column_weight * part
        total = part if total is None else total + part
    assert total is not None
    return total


def _nodes(places: Tensor, size: int, interpolation: str, fill_mode: str) -> list[tuple[Tensor, Tensor, Tensor | int]]:
    """The pixels along one axis that each place is between: where they are, whether they are inside, their weights."""
    if interpolation == "nearest":
        found: list[tuple[Tensor, Tensor | int]] = [(torch.round(places).long(), 1)]
    else:
        lower = torch.floor(places)
        found = [(lower.long(), 1 - (places - lower)), (lower.long() + 1, places - lower)]
    return [(_inside(index, size, fill_mode), (index >= 0) & (index < size), weight) for index, weight in found]


def _inside(index: Tensor, size: int, fill_mode: str) -> Tensor:
    """Where a pixel beyond the border is taken from."""
    if fill_mode == "wrap":
        return index % size
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        index = index % (2 * size)
        return torch.minimum(index, 2 * size - 1 - index)
    return index.clamp(0, size - 1)


def _moved(images: Tensor, rows: list[Tensor]) -> Tensor:
    """Each square image as its six numbers (B,) of an affine map say: where a pixel comes from, -1 and 1 the borders.

    Between pixels it is linear, as Pillow's transform with BILINEAR.
    """
    maps = torch.stack(rows, dim=1).reshape(-1, 2, 3)
    places = F.affine_grid(maps, [len(images), 1, *images.shape[1:3]], align_corners=False)
    inside = ((places >= -1) & (places < 1)).all(dim=-1, keepdim=True)
    return _sampled(images, places) * inside


def _sampled(images: Tensor, places: Tensor) -> Tensor:
    found = F.grid_sample(images.permute(0, 3, 1, 2), places, padding_mode="border", align_corners=False)
    return found.permute(0, 2, 3, 1).contiguous()


def _each(numbers: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)"""
    return numbers[:, None, None, None]
