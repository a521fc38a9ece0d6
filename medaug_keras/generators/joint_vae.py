"""Joint VAE: Dupont 2018, https://arxiv.org/abs/1804.00104; layers of the paper's Figs. 22 and 23.

One categorical latent variable beside the continuous ones, drawn by the Gumbel-softmax (Jang et al. 2017,
https://arxiv.org/abs/1611.01144). Loss, from PyTorch-VAE with the published code's weights:

    alpha * squared error + kl_weight * (continuous_gamma * |C_c - KL_c| + categorical_gamma * |C_d - KL_d|)

with capacities C that grow with the training batches. The temperature stays as it is: PyTorch-VAE's annealing rule
starts at its minimum. The model knows no classes; with `per_class` there is one model for each (`per_class.py`).
Images of other sizes than 28 x 28 are treated as by the Conditional VAE (`cvae.py`).

Shapes: B batch, N images, H x W x C image, K classes, Z latent_dim, Q categories.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from torch import Tensor

from medaug_keras import networks
from medaug_keras.generators.fitting import Images, Labels, Outcome, Recipe, Trained, TrainingData, image_function
from medaug_keras.generators.per_class import by_class, fit_per_class
from medaug_keras.generators.vae import Losses, gaussian_kl, kl_scale, squared_error, train_vae
from medaug_keras.networks import device_of, fuse
from medaug_keras.networks.scaling import from_pixels_layer, to_pixels_layer
from medaug_keras.training import Checkpoint, OnEpoch, numpy_rng, silent, subseed

CHUNK = 256  # images rebuilt at once
SAMPLER = "joint_vae_sampler"


def build(
    *, image_shape: tuple[int, int, int], latent_dim: int, categories: int, temperature: float, name: str
) -> dict[str, keras.Model]:
    """The networks; `name` becomes the sampler's.

    `whole`: [images in [-1, 1], noise (B, Z), Gumbel noise (B, Q)] -> [reconstructions, mean (B, Z), log variance
    (B, Z), logits (B, Q)]; `sampler`: the same inputs, images in 0..255 -> reconstructions in 0..255; and those of
    Figs. 22 and 23.
    """
    side, _, channels = image_shape
    encoder = networks.vae_encoder(channels, side)
    decoder = networks.vae_decoder(channels, latent_dim + categories, side)
    widths = {"mean": latent_dim, "log_variance": latent_dim, "logits": categories}
    heads = [layers.Dense(width, **networks.torch_init(512), name=head) for head, width in widths.items()]

    def rebuild(image: Any, noise: Any, gumbel: Any) -> tuple[Any, ...]:
        x = networks.resized(image, networks.vae_side(side), "to_the_network")
        x = layers.Flatten(name="flatten")(encoder(x))
        mean, log_variance, logits = (head(x) for head in heads)
        shifted = layers.Add(name="noisy_logits")([logits, gumbel])
        shifted = layers.Rescaling(1 / temperature, name="over_temperature")(shifted)
        category = layers.Activation("softmax", name="category")(shifted)
        z = networks.reparameterized(mean, log_variance, noise)
        x = layers.Concatenate(name="latents")([z, category])
        for part in decoder:
            x = part(x)
        return networks.resized(x, side, "to_its_size"), mean, log_variance, logits

    image = keras.Input(image_shape, name="image")
    inputs = [keras.Input((latent_dim,), name="noise"), keras.Input((categories,), name="gumbel")]
    whole = keras.Model([image, *inputs], list(rebuild(image, *inputs)), name="joint_vae")
    rebuilt = rebuild(from_pixels_layer()(image), *inputs)[0]
    pixels = to_pixels_layer()(rebuilt)
    return {
        "encoder": encoder,
        "decoder input": decoder[0],
        "decoder hidden": decoder[1],
        "decoder output": decoder[2],
        "whole": whole,
        "sampler": keras.Model([image, *inputs], pixels, name=name),
    }


def categorical_kl(logits: Tensor) -> Tensor:
    """(B, Q) -> (B,): nats between softmax(logits) and the uniform distribution."""
    probabilities = torch.softmax(logits, dim=1)
    return (probabilities * ((probabilities + 1e-7).log() - math.log(1 / logits.shape[1] + 1e-7))).sum(dim=1)


def capacity(step: Tensor, *, steps: int, maximum: float) -> Tensor:
    """Nats that a latent variable is asked to carry in training batch number `step`; linear from 0, then constant."""
    return maximum * (step.double() / steps).clamp(max=1)


def gumbel(uniform: Any, log: Any) -> Any:
    """Standard Gumbel noise from uniform noise; `log` is NumPy's or Torch's. The 1e-7 keep it finite."""
    return -log(-log(uniform + 1e-7) + 1e-7)


@dataclass(frozen=True)
class Objective:
    """The settings of the loss at the top of this module."""

    reconstruction: str
    """"sum" of the squared error over all pixels of all images, or its "mean"."""
    alpha: float
    kl_weight: float
    """Times the images' area in units of 28 x 28 where that is asked for (`vae.kl_scale`)."""
    continuous_gamma: float
    categorical_gamma: float
    continuous_capacity: float
    """C_c at the end, in nats."""
    categorical_capacity: float
    """C_d at the end, in nats; ln Q at most."""
    capacity_steps: int
    """Training batches until then."""

    def loss(self, error: Tensor, kl: Tensor, kl_categorical: Tensor, *, step: Tensor, categories: int) -> Tensor:
        """What is minimized in training batch number `step`; the divergences are in nats, means over the batch."""
        continuous = capacity(step, steps=self.capacity_steps, maximum=self.continuous_capacity).float()
        categorical = capacity(step, steps=self.capacity_steps, maximum=self.categorical_capacity)
        categorical = categorical.clamp(max=math.log(categories)).float()
        return self.alpha * error + self.kl_weight * (
            self.continuous_gamma * (continuous - kl).abs()
            + self.categorical_gamma * (categorical - kl_categorical).abs()
        )


def fit(
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    on_epoch: OnEpoch = silent,
    latent_dim: int,
    categories: int,
    temperature: float,
    per_class: bool,
    kl_weight: float,
    kl_by_area: bool,
    checkpoint: Checkpoint | None = None,
    **objective: Any,
) -> Trained:
    """Train on square images; settings as in the study, `objective` the others of `Objective`.

    With a `checkpoint`, training resumes after the epoch that it holds.

    Losses, means over the images: `reconstruction` (squared error per image, pixels in [-1, 1]), `kl` and
    `kl_categorical` (nats per image), `loss` (what is minimized, divided by the images of the batch if it is a sum),
    and the same with `val_`.

    With `per_class` one Joint VAE after the other learns its class; see `fit_per_class`, also for the errors.
    """
    scale = kl_scale(data.images.shape[1], objective["reconstruction"], by_area=kl_by_area)
    target = Objective(kl_weight=kl_weight * scale, **objective)

    def build_one(name: str, seed: int) -> dict[str, keras.Model]:
        keras.utils.set_random_seed(subseed(seed, "weights"))
        shape = data.images.shape[1:]
        return build(
            image_shape=shape, latent_dim=latent_dim, categories=categories, temperature=temperature, name=name
        )

    def fit_one(
        parts: dict[str, keras.Model], data: TrainingData, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
    ) -> Outcome:
        return _train(parts["whole"], target, data, recipe, seed=seed, on_epoch=on_epoch, checkpoint=checkpoint)

    if per_class:
        return fit_per_class(
            build_one, fit_one, data, name=SAMPLER, seed=seed, on_epoch=on_epoch, checkpoint=checkpoint
        )
    parts = build_one(SAMPLER, seed)
    outcome = fit_one(parts, data, seed, on_epoch, checkpoint)
    return Trained(**vars(outcome), sampler=parts.pop("sampler"), networks=parts)


def _train(
    whole: keras.Model,
    objective: Objective,
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    on_epoch: OnEpoch,
    checkpoint: Checkpoint | None,
) -> Outcome:
    """Train one Joint VAE, its network `whole` of `build`."""
    call, step = fuse(whole), torch.zeros((), dtype=torch.int64, device=device_of(whole))
    latent_dim, categories = (given.shape[-1] for given in whole.inputs[1:])

    def losses(image: Tensor, label: Tensor, rng: torch.Generator, training: bool) -> Losses:
        step.add_(int(training))
        noise = torch.randn(len(image), latent_dim, generator=rng, device=image.device)
        uniform = torch.rand(len(image), categories, generator=rng, device=image.device)
        rebuilt, mean, log_variance, logits = call(image, noise, gumbel(uniform, torch.log), training=training)
        kl, kl_categorical = gaussian_kl(mean, log_variance).mean(), categorical_kl(logits).mean()
        error = squared_error(image, rebuilt, objective.reconstruction)
        loss = objective.loss(error.to_minimize, kl, kl_categorical, step=step, categories=categories)
        return loss, {"reconstruction": error.per_image, "kl": kl, "kl_categorical": kl_categorical}

    return train_vae(
        whole,
        losses,
        data,
        recipe,
        reconstruction=objective.reconstruction,
        seed=seed,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        counters=[step],
    )


def reconstruct(sampler: keras.Model, images: Images, labels: Labels, *, seed: int, mode: str) -> Images:
    """A new version of each uint8 image (n, S, S, C); `labels` (n,) choose the part of a `per_class` sampler, and are
    not looked at elsewhere.

    `mode`: "sample" draws both latent variables; "mean" takes the mean and the softmax of the logits; "train_pair"
    repeats the published code, where each image goes as a pair of equal images through batch norm in training mode:
    the last batch norm of the encoder then sees two equal rows and gives its bias, whatever the image.
    """
    rng = numpy_rng(seed, "noise")
    made = np.empty_like(images)
    parts = by_class(sampler, labels) if len(sampler.inputs) == 4 else [(sampler, np.arange(len(labels)))]
    for part, chosen in parts:
        latent_dim, categories = (given.shape[-1] for given in part.inputs[1:])
        make = image_function(part, training=mode == "train_pair")
        copies, chunk = (2, 1) if mode == "train_pair" else (1, CHUNK)
        noise = rng.standard_normal((len(chosen), copies, latent_dim), dtype=np.float32)
        shift = gumbel(rng.random((len(chosen), copies, categories), dtype=np.float32), np.log)
        if mode == "mean":
            noise, shift = np.zeros_like(noise), np.zeros_like(shift)
        for start in range(0, len(chosen), chunk):
            rows = slice(start, start + chunk)
            batch = np.repeat(images[chosen[rows]], copies, axis=0).astype(np.float32)
            rebuilt = make(batch, noise[rows].reshape(-1, latent_dim), shift[rows].reshape(-1, categories))
            made[chosen[rows]] = rebuilt[::copies]
    return made
