"""How the models work: our own drawings of the flow of data, and of a network's layers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medaug_keras.report.figures.svg import SMALL, WIDTH, Board, Figure, figure, wrap
from medaug_keras.report.format import count


@dataclass(frozen=True)
class Layer:
    """One layer of a network; `output_shape` may begin with None for the batch."""

    name: str
    type: str
    output_shape: Sequence[int | None]
    parameters: int


# --- generators ------------------------------------------------------------------------------------


def cvae_diagram(*, image_shape: Sequence[int], classes: int, latent_dim: int, findings: bool = False) -> Figure:
    """The conditional VAE: encoder, latent variable, decoder; the class, or the findings, enter both networks."""
    board, shape, (label, which) = Board(), _size(image_shape), _condition(classes, findings)
    top = board.heading("Conditional VAE") + 4
    _box(board, 92, top, 132, ["image x", shape], "data")
    _box(board, 256, top, 104, [f"{label} y", which], "label")
    _box(board, 92, top + 70, 132, ["encoder", "convolutions"], "network")
    _box(board, 92, top + 140, 60, ["μ", f"{latent_dim}"], "hidden")
    _box(board, 164, top + 140, 60, ["log σ²", f"{latent_dim}"], "hidden")
    _box(board, 244, top + 140, 90, ["noise ε", "from N(0, 1)"], "noise")
    _box(board, 92, top + 210, 132, ["z = μ + σ ε", f"{latent_dim} numbers"], "hidden")
    _box(board, 92, top + 280, 132, ["decoder", "transposed conv."], "network")
    _box(board, 92, top + 350, 132, ["image x̂", shape], "data")
    for start in (40, 250, 320):
        board.arrow([(158, top + start), (158, top + start + 30)])
    for x in (122, 194):
        board.arrow([(x, top + 110), (x, top + 140)])
        board.arrow([(x, top + 180), (x, top + 210)])
    board.arrow([(289, top + 180), (289, top + 230), (224, top + 230)])
    board.arrow([(280, top + 40), (280, top + 90), (224, top + 90)])
    board.arrow([(348, top + 40), (348, top + 300), (224, top + 300)])
    _compare(board, 92, top + 20, top + 370)
    _divergence(board, 92, top + 160, ["KL to", "N(0, 1)"])
    y = _remark(board, top + 404, f"To make an image of {label} y: draw z from N(0, 1) and use the decoder alone.")
    board.height = y
    alt = (
        f"Conditional VAE. The encoder takes an image of {shape} and its {label}, {which}, and gives mean "
        f"and log variance of {latent_dim} latent numbers. z is drawn from them with noise; the decoder makes an image "
        f"from z and the {label}. Losses: difference of the two images, and KL divergence to the standard normal. "
        f"New images: draw z, choose the {label}, decode."
    )
    return figure(cvae_diagram, [board], alt)


def joint_vae_diagram(*, image_shape: Sequence[int], latent_dim: int, categories: int) -> Figure:
    """The Joint VAE: a continuous and a categorical latent variable; no class enters."""
    board, shape = Board(), _size(image_shape)
    top = board.heading("Joint VAE") + 4
    _box(board, 140, top, 136, ["image x", shape], "data")
    _box(board, 140, top + 70, 136, ["encoder", "convolutions"], "network")
    _box(board, 84, top + 140, 116, ["μ, log σ²", f"{latent_dim} each"], "hidden")
    _box(board, 216, top + 140, 116, ["logits q", f"{categories} categories"], "hidden")
    _box(board, 84, top + 222, 116, ["z = μ + σ ε", f"{latent_dim} numbers"], "hidden")
    _box(board, 216, top + 222, 116, ["c = softmax", "((q + g) / T)"], "hidden")
    _box(board, 140, top + 304, 136, ["decoder", "transposed conv."], "network")
    _box(board, 140, top + 374, 136, ["image x̂", shape], "data")
    board.arrow([(208, top + 40), (208, top + 70)])
    board.arrow([(208, top + 344), (208, top + 374)])
    for x, start, end, noise in ((142, 170, 172, "ε normal"), (274, 246, 244, "g Gumbel")):
        board.arrow([(start, top + 110), (start, top + 126), (x, top + 126), (x, top + 140)])
        board.arrow([(x, top + 180), (x, top + 222)])
        board.text(x + 8, top + 205, noise, fill="muted")
        board.arrow([(x, top + 262), (x, top + 280), (end, top + 280), (end, top + 304)])
    _compare(board, 140, top + 20, top + 394)
    _divergence(board, 84, top + 160, ["KL near", "capacity"])
    y = _remark(
        board,
        top + 428,
        "It knows no classes: an image is encoded and decoded again, and the result keeps the label of the original.",
    )
    board.height = y
    alt = (
        f"Joint VAE. The encoder takes an image of {shape} and gives mean and log variance of {latent_dim} continuous "
        f"numbers and logits of {categories} categories. z is drawn with normal noise, c with Gumbel noise at "
        "temperature T; the decoder makes an image from both. Losses: difference of the two images, and how far each "
        "KL divergence is from its capacity. No class enters; a reconstruction keeps the label of its original."
    )
    return figure(joint_vae_diagram, [board], alt)


def cgan_diagram(*, image_shape: Sequence[int], classes: int, latent_dim: int, findings: bool = False) -> Figure:
    """The conditional GAN: a generator from noise and class, a discriminator that sees image and class, or findings."""
    board, shape, (label, which) = Board(), _size(image_shape), _condition(classes, findings)
    top = board.heading("Conditional GAN") + 4
    _box(board, 0, top, 104, ["noise z", f"{latent_dim} numbers"], "noise")
    _box(board, 128, top, 104, [f"{label} y", which], "label")
    _box(board, 0, top + 76, 232, ["generator", "transposed convolutions"], "network")
    _box(board, 64, top + 152, 104, ["made image", shape], "data")
    _box(board, 256, top + 152, 104, ["real image", shape], "data")
    _box(board, 64, top + 236, 296, ["discriminator", f"convolutions, attention, projection on the {label}"], "network")
    _box(board, 64, top + 312, 296, ["score", "is the made image less real than real ones?"], "hidden")
    board.arrow([(52, top + 40), (52, top + 76)])
    board.arrow([(180, top + 40), (180, top + 76)])
    board.arrow([(116, top + 116), (116, top + 152)])
    board.arrow([(116, top + 192), (116, top + 236)])
    board.arrow([(308, top + 192), (308, top + 236)])
    board.arrow([(212, top + 276), (212, top + 312)])
    board.arrow([(232, top + 20), (244, top + 20), (244, top + 214), (212, top + 214), (212, top + 236)])
    board.arrow([(64, top + 332), (24, top + 332), (24, top + 116)], stroke="vermilion", dash="5 3")
    board.lines(30, top + 214, ["learns", "to fool"])
    y = _remark(
        board,
        top + 366,
        "Both learn in turns: the discriminator to tell real from made, the generator to be taken for real. "
        f"To make an image of {label} y: draw z and use the generator alone.",
    )
    board.height = y
    alt = (
        f"Conditional GAN. The generator makes an image of {shape} from {latent_dim} noise numbers and "
        f"{'findings' if findings else 'a class'}, {which}. The discriminator sees made and real images with their "
        f"{label} and scores how real they are. They learn in turns: the discriminator to tell them apart, the "
        f"generator to be taken for real. New images: draw noise, choose the {label}, generate."
    )
    return figure(cgan_diagram, [board], alt)


def flow_diagram(
    *, image_shape: Sequence[int], classes: int, solver: str, steps: int, findings: bool = False
) -> Figure:
    """Flow matching: what lies between noise and image at a time, and the velocity that a network learns there."""
    board, shape, (label, which) = Board(), _size(image_shape), _condition(classes, findings)
    top = board.heading("Flow matching") + 4
    _box(board, 0, top, 80, ["noise x₀", "from N(0, 1)"], "noise")
    _box(board, 86, top, 102, ["image x₁", shape], "data")
    _box(board, 194, top, 76, ["time t", "from 0 to 1"], "noise")
    _box(board, 276, top, 84, [f"{label} y", which], "label")
    _box(board, 0, top + 76, 188, ["x = (1 − t) x₀ + t x₁", "between noise and image"], "hidden")
    _box(board, 0, top + 152, 360, ["U-Net", "convolutions and attention, first to smaller maps, then back"], "network")
    _box(board, 0, top + 232, 136, ["velocity v(x, t, y)", shape], "data")
    _box(board, 224, top + 232, 136, ["x₁ − x₀", "from noise to image"], "data")
    for x in (40, 137):
        board.arrow([(x, top + 40), (x, top + 76)])
    board.arrow([(214, top + 40), (214, top + 96), (188, top + 96)])
    board.arrow([(94, top + 116), (94, top + 152)])
    for x in (250, 318):
        board.arrow([(x, top + 40), (x, top + 152)])
    board.arrow([(68, top + 192), (68, top + 232)])
    board.line(136, top + 252, 224, top + 252, "vermilion", dash="5 3", width=1.5)
    board.text(180, top + 244, "compare", anchor="middle", fill="muted")
    way = f"in {count(steps)} {'step' if steps == 1 else 'steps'} of {solver.capitalize()}'s method"
    y = _remark(
        board,
        top + 286,
        f"To make an image of {label} y: begin with noise at t = 0 and follow the velocity to t = 1, {way}.",
    )
    board.height = y
    alt = (
        f"Flow matching. Between noise x₀ and an image x₁ of {shape} lies x = (1 − t) x₀ + t x₁, at a time t from 0 to "
        f"1. A U-Net takes x, the time and the {label}, {which}, and gives a velocity. Loss: difference of the "
        f"velocity and x₁ − x₀. New images: begin with noise, choose the {label}, follow the velocity {way}."
    )
    return figure(flow_diagram, [board], alt)


def _condition(classes: int, findings: bool) -> tuple[str, str]:
    """What a generator is asked for, and of how many there are: "class" and "one of 9"."""
    return ("findings", f"any of {classes}") if findings else ("class", f"one of {classes}")


_FILLS = {"data": "blue", "label": "ochre", "noise": "grey", "hidden": "purple", "network": "green"}


def _box(board: Board, x: float, y: float, width: float, texts: Sequence[str], kind: str) -> None:
    """A box 40 high with a name and a remark; networks have square corners, values round ones."""
    color = _FILLS[kind]
    board.rect(x + 0.75, y + 0.75, width - 1.5, 38.5, "panel", stroke=color, radius=3 if kind == "network" else 12)
    if kind == "network":
        board.rect(x, y, 5, 40, color)
    board.text(x + width / 2, y + 17, texts[0], size=13, anchor="middle", bold=kind == "network")
    board.text(x + width / 2, y + 32, texts[1], anchor="middle", fill="muted")


def _compare(board: Board, left: float, top: float, bottom: float) -> None:
    """The reconstruction loss: a dashed line at the left edge from the image to what was made of it."""
    path = [(left, top), (6, top), (6, bottom), (left, bottom)]
    board.polyline(path, "vermilion", dash="5 3")
    board.lines(14, bottom - 54, ["compare", "x with x̂"])


def _divergence(board: Board, right: float, y: float, texts: Sequence[str]) -> None:
    """A loss on the latent variable, named left of it."""
    board.lines(14, y, texts)
    board.line(62, y, right, y, "vermilion", dash="5 3", width=1.5)


def _remark(board: Board, y: float, text: str) -> float:
    for line in wrap(text, WIDTH, SMALL, 4):
        y += 15
        board.text(0, y, line, fill="muted")
    return y + 6


def _size(shape: Sequence[int]) -> str:
    return " × ".join(str(side) for side in shape)


# --- layers ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stage:
    """Neighbouring layers with one output shape."""

    types: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


def network_diagram(layers: Sequence[Layer], *, title: str) -> Figure:
    """From input to output, a block for each output shape.

    A block is as wide as its feature maps are and as high as the logarithm of their number (vectors: as narrow
    as 1 pixel, as high as their length). Beside it: the shape, the layers, and their trainable parameters.
    """
    board = Board()
    y = board.heading(title) + 6
    stages = _stages(layers)
    widest = max((stage.shape[0] for stage in stages if len(stage.shape) == 3), default=1)
    column = 92
    for i, stage in enumerate(stages):
        side, depth = (stage.shape[0], stage.shape[2]) if len(stage.shape) == 3 else (1, math.prod(stage.shape))
        lines = wrap(_types(stage.types), WIDTH - column - 12 - 54, SMALL, 3)
        tall = 8 + 4 * math.log2(max(depth, 1))
        height = max(tall, 15 + 13 * len(lines)) + 6
        width = max(6, side / widest * column)
        text = f"{_size(stage.shape)}: {_types(stage.types)}, {count(stage.parameters)} parameters"
        middle = y + (height - 6) / 2
        color = "blue" if len(stage.shape) == 3 else "purple"
        board.rect((column - width) / 2, middle - tall / 2, width, tall, color, opacity=0.85, radius=2, title=text)
        start = middle - (13 * (len(lines) + 1)) / 2
        board.text(column + 12, start + 11, _size(stage.shape), bold=True)
        for k, line in enumerate(lines):
            board.text(column + 12, start + 24 + 13 * k, line, fill="muted")
        if stage.parameters:
            board.text(WIDTH, start + 11, count(stage.parameters), anchor="end")
        y += height
        if i + 1 < len(stages):
            board.line(0, y, WIDTH, y, "rule")
            y += 6
    total = sum(layer.parameters for layer in layers)
    board.line(column + 12, y + 2, WIDTH, y + 2, "muted")
    board.text(column + 12, y + 18, "trainable parameters", bold=True)
    board.text(WIDTH, y + 18, count(total), anchor="end", bold=True)
    board.height = y + 24
    listed = "; ".join(f"{_size(s.shape)} ({_types(s.types)}, {count(s.parameters)} parameters)" for s in stages)
    return figure(
        network_diagram, [board], f"{title}, from input to output: {listed}. {count(total)} parameters in all."
    )


def _stages(layers: Sequence[Layer]) -> list[_Stage]:
    stages: list[_Stage] = []
    for layer in layers:
        shape = tuple(side for side in layer.output_shape if side is not None)
        if stages and stages[-1].shape == shape:
            last = stages.pop()
            stages.append(_Stage((*last.types, layer.type), shape, last.parameters + layer.parameters))
        else:
            stages.append(_Stage((layer.type,), shape, layer.parameters))
    return _with_branches(stages)


def _with_branches(stages: Sequence[_Stage]) -> list[_Stage]:
    """Vectors between two stages of the same maps, of an embedding or of weights of channels, are part of these."""
    found: list[_Stage] = []
    for stage in stages:
        before = len(found)
        while before and _is_vector(found[before - 1]):
            before -= 1
        if 0 < before < len(found) and found[before - 1].shape == stage.shape:
            parts = [*found[before - 1 :], stage]
            del found[before - 1 :]
            types = dict.fromkeys(name for part in parts for name in part.types)
            stage = _Stage(tuple(types), stage.shape, sum(part.parameters for part in parts))
        found.append(stage)
    return found


def _is_vector(stage: _Stage) -> bool:
    return len(stage.shape) < 3 or stage.shape[:2] == (1, 1)


_SHORT = {
    "BatchNormalization": "BatchNorm",
    "GroupNormalization": "GroupNorm",
    "Conv2DTranspose": "ConvT",
    "Conv2D": "Conv",
    "ZeroPadding2D": "Pad",
    "Cropping2D": "Crop",
    "MaxPooling2D": "MaxPool",
    "InputLayer": "input",
}


def _types(types: Sequence[str]) -> str:
    """Names of the layers in order, shortened; repetitions are listed once."""
    names = [_SHORT.get(name, name) for name in types]
    return ", ".join(name for i, name in enumerate(names) if i == 0 or names[i - 1] != name)
