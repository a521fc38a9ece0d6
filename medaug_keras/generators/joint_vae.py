"""Joint VAE: Dupont 2018, https://arxiv.org/abs/1804.00104; layers of the paper's Figs. 22 and 23.

One categorical latent variable beside the continuous ones, drawn by the Gumbel-softmax (Jang et al. 2017,
https://arxiv.org/abs/1611.01144). Loss, from PyTorch-VAE with the published code's weights:

    alpha * squared error + kl_weight * (continuous_gamma * |C_c - KL_c| + categorical_gamma * |C_d - KL_d|)

with capacities C that grow with the training batches. The temperature stays as it is: PyTorch-VAE's annealing rule
starts at its minimum. The model knows no classes; with `per_class` there is one model for each.

Shapes: B batch, N images, H x W x C image, K classes, Z latent_dim, Q categories.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import torch
from keras import layers

from medaug_keras import networks
from medaug_keras.generators.loop import Losses, Trained, gaussian_kl, painter, squared_error, train_vae
from medaug_keras.networks import device_of, fuse
from medaug_keras.training import Checkpoint, Outcome, Report, State, subseed

TOGETHER = 256  # images rebuilt at once


def build(
    *, image_shape: tuple[int, int, int], latent_dim: int, categories: int, temperature: float, name: str
) -> dict[str, keras.Model]:
    """The networks; `name` becomes the sampler's.

    `whole`: [images in [-1, 1], noise (B, Z), Gumbel noise (B, Q)] -> [reconstructions, mean (B, Z), log variance
    (B, Z), logits (B, Q)]; `sampler`: the same inputs, images in 0..255 -> reconstructions in 0..255; and those of
    Figs. 22 and 23.
    """
    channels = image_shape[-1]
    encoder = networks.vae_encoder(channels)
    decoder = networks.vae_decoder(channels, latent_dim + categories)
    widths = {"mean": latent_dim, "log_variance": latent_dim, "logits": categories}
    heads = [layers.Dense(width, **networks.torch_init(512), name=head) for head, width in widths.items()]

    def rebuild(image: Any, noise: Any, gumbel: Any) -> tuple[Any, ...]:
        x = layers.Flatten(name="flatten")(encoder(image))
        mean, log_variance, logits = (head(x) for head in heads)
        shifted = layers.Add(name="noisy_logits")([logits, gumbel])
        shifted = layers.Rescaling(1 / temperature, name="over_temperature")(shifted)
        category = layers.Activation("softmax", name="category")(shifted)
        z = networks.reparameterised(mean, log_variance, noise)
        x = layers.Concatenate(name="latents")([z, category])
        for part in decoder:
            x = part(x)
        return x, mean, log_variance, logits

    image = keras.Input(image_shape, name="image")
    inputs = [keras.Input((latent_dim,), name="noise"), keras.Input((categories,), name="gumbel")]
    whole = keras.Model([image, *inputs], list(rebuild(image, *inputs)), name="joint_vae")
    rebuilt = rebuild(layers.Rescaling(1 / 127.5, offset=-1, name="in_range")(image), *inputs)[0]
    pixels = layers.Rescaling(127.5, offset=127.5, name="pixels")(rebuilt)
    return {
        "encoder": encoder,
        "decoder input": decoder[0],
        "decoder hidden": decoder[1],
        "decoder output": decoder[2],
        "whole": whole,
        "sampler": keras.Model([image, *inputs], pixels, name=name),
    }


def categorical_kl(logits: torch.Tensor) -> torch.Tensor:
    """(B, Q) -> (B,): nats between softmax(logits) and the uniform distribution."""
    probabilities = torch.softmax(logits, dim=1)
    return (probabilities * ((probabilities + 1e-7).log() - math.log(1 / logits.shape[1] + 1e-7))).sum(dim=1)


def capacity(step: torch.Tensor, *, steps: int, maximum: float) -> torch.Tensor:
    """Nats that a latent variable is asked to carry in training batch number `step`; linear from 0, then constant."""
    return maximum * (step.double() / steps).clamp(max=1)


def gumbel(uniform: Any, log: Any) -> Any:
    """Standard Gumbel noise from uniform noise; `log` is NumPy's or Torch's. The 1e-7 keep it finite."""
    return -log(-log(uniform + 1e-7) + 1e-7)


def fit(
    images: np.ndarray,
    labels: np.ndarray,
    validation_images: np.ndarray,
    validation_labels: np.ndarray,
    *,
    num_classes: int,
    seed: int,
    report: Report,
    latent_dim: int,
    categories: int,
    epochs: int,
    batch_size: int,
    sampling: str,
    patience: int | None,
    keep: str,
    optimizer: Mapping[str, Any],
    learning_rate_decay: float,
    reconstruction: str,
    temperature: float,
    alpha: float,
    kl_weight: float,
    continuous_gamma: float,
    categorical_gamma: float,
    continuous_capacity: float,
    categorical_capacity: float,
    capacity_steps: int,
    per_class: bool,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on uint8 images (N, 28, 28, C) and labels (N,); settings as in the study.

    With a `checkpoint`, training goes on after the epoch that it keeps.

    Losses, means over the images: `reconstruction` (squared error an image, pixels in [-1, 1]), `kl` and
    `kl_categorical` (nats an image), `loss` (what is minimised, divided by the images of the batch if it is a sum), and
    the same with `val_`.

    With `per_class` one Joint VAE after the other learns its class, and the sampler takes the labels as a fourth input.
    The best epoch is then the latest of theirs, losses are means weighted by the classes' training images, and in the
    history over the classes still in training.

    Raises ValueError where `per_class` meets a class with fewer than two training images or no validation image.
    """

    def built(name: str, seed: int) -> dict[str, keras.Model]:
        keras.utils.set_random_seed(subseed(seed, "weights"))
        return build(
            image_shape=images.shape[1:],
            latent_dim=latent_dim,
            categories=categories,
            temperature=temperature,
            name=name,
        )

    def train_one(
        whole: keras.Model,
        chosen: np.ndarray | slice,
        held: np.ndarray | slice,
        seed: int,
        report: Report,
        checkpoint: Checkpoint | None,
    ) -> Outcome:
        call, step = fuse(whole), torch.zeros((), dtype=torch.int64, device=device_of(whole))

        def losses(image: torch.Tensor, label: torch.Tensor, chance: torch.Generator, training: bool) -> Losses:
            step.add_(int(training))
            noise = torch.randn(len(image), latent_dim, generator=chance, device=image.device)
            uniform = torch.rand(len(image), categories, generator=chance, device=image.device)
            rebuilt, mean, log_variance, logits = call(image, noise, gumbel(uniform, torch.log), training=training)
            kl, kl_categorical = gaussian_kl(mean, log_variance).mean(), categorical_kl(logits).mean()
            asked = capacity(step, steps=capacity_steps, maximum=continuous_capacity).float()
            asked_categorical = capacity(step, steps=capacity_steps, maximum=categorical_capacity)
            asked_categorical = asked_categorical.clamp(max=math.log(categories)).float()
            error = squared_error(image, rebuilt, reconstruction)
            loss = alpha * error.to_minimise + kl_weight * (
                continuous_gamma * (asked - kl).abs() + categorical_gamma * (asked_categorical - kl_categorical).abs()
            )
            return loss, {"reconstruction": error.per_image, "kl": kl, "kl_categorical": kl_categorical}

        return train_vae(
            whole,
            losses,
            images[chosen],
            labels[chosen],
            validation_images[held],
            validation_labels[held],
            seed=seed,
            report=report,
            epochs=epochs,
            batch_size=batch_size,
            sampling=sampling,
            patience=patience,
            keep=keep,
            optimizer=optimizer,
            learning_rate_decay=learning_rate_decay,
            reconstruction=reconstruction,
            checkpoint=checkpoint,
            counters=[step],
        )

    if not per_class:
        parts = built("joint_vae_sampler", seed)
        outcome = train_one(parts["whole"], slice(None), slice(None), seed, report, checkpoint)
        return Trained(parts.pop("sampler"), *outcome, parts)
    sizes = np.bincount(labels, minlength=num_classes)
    held_sizes = np.bincount(validation_labels, minlength=num_classes)
    if sizes.min() < 2 or held_sizes.min() < 1:
        raise ValueError(
            "per_class needs at least 2 training images and 1 validation image of every class, found "
            f"{sizes.tolist()} and {held_sizes.tolist()}"
        )
    saved = checkpoint.load() if checkpoint else None
    finished: list[State] = saved["finished"] if saved else []
    current = saved["current"] if saved else None
    trained: list[Trained] = []
    for k in range(num_classes):
        own_seed = subseed(seed, f"class {k}")
        parts = built(f"class_{k}", own_seed)
        whole = parts["whole"]
        if k < len(finished):
            for weight, value in zip(whole.weights, finished[k]["weights"], strict=True):
                weight.assign(value)
        else:
            shown = _after(report, sum(len(one.history["loss"]) for one in trained))
            part = _part(checkpoint, finished, current)
            current = None  # it was the first unfinished class's
            outcome = train_one(whole, labels == k, validation_labels == k, own_seed, shown, part)
            finished.append({"outcome": outcome, "weights": [weight.value.detach() for weight in whole.weights]})
            if checkpoint and k < num_classes - 1:
                checkpoint.save(lambda: {"finished": finished, "current": None})
        own_history, best_epoch, kept = finished[k]["outcome"]
        trained.append(Trained(parts.pop("sampler"), own_history, best_epoch, kept, parts))
    running = range(max(len(one.history["loss"]) for one in trained))
    history = {
        name: [
            _mean({k: one.history[name][i] for k, one in enumerate(trained) if i < len(one.history[name])}, sizes)
            for i in running
        ]
        for name in trained[0].history
    }
    return Trained(
        joined([one.sampler for one in trained]),
        history,
        max(one.best_epoch for one in trained),
        {name: _mean({k: one.losses[name] for k, one in enumerate(trained)}, sizes) for name in history},
        trained[0].networks,
    )


def reconstruct(sampler: keras.Model, images: np.ndarray, labels: np.ndarray, *, seed: int, mode: str) -> np.ndarray:
    """A new version of each uint8 image (n, 28, 28, C); `labels` (n,) choose the part of a `per_class` sampler.

    `mode`: "sample" draws both latent variables; "mean" takes the mean and the softmax of the logits; "train_pair"
    repeats the published code, where each image goes as a pair of equal images through batch norm in training mode:
    the last batch norm of the encoder then sees two equal rows and gives its bias, whatever the image.
    """
    rng = np.random.default_rng(subseed(seed, "noise"))
    made = np.empty_like(images)
    for part, chosen in _parts(sampler, labels):
        latent_dim, categories = (given.shape[-1] for given in part.inputs[1:])
        paint = painter(part, training=mode == "train_pair")
        copies, together = (2, 1) if mode == "train_pair" else (1, TOGETHER)
        noise = rng.standard_normal((len(chosen), copies, latent_dim), dtype=np.float32)
        shift = gumbel(rng.random((len(chosen), copies, categories), dtype=np.float32), np.log)
        if mode == "mean":
            noise, shift = np.zeros_like(noise), np.zeros_like(shift)
        for start in range(0, len(chosen), together):
            rows = slice(start, start + together)
            batch = np.repeat(images[chosen[rows]], copies, axis=0).astype(np.float32)
            rebuilt = paint(batch, noise[rows].reshape(-1, latent_dim), shift[rows].reshape(-1, categories))
            made[chosen[rows]] = rebuilt[::copies]
    return made


def _parts(sampler: keras.Model, labels: np.ndarray) -> list[tuple[keras.Model, np.ndarray]]:
    """The sampler's models, each with the rows it is for."""
    if len(sampler.inputs) == 3:
        return [(sampler, np.arange(len(labels)))]
    return [(sampler.get_layer(f"class_{k}"), np.flatnonzero(labels == k)) for k in np.unique(labels)]


def joined(samplers: list[keras.Model]) -> keras.Model:
    """The samplers of the classes 0 .. K - 1 as one, which takes the labels (B,) as a fourth input."""
    inputs = [keras.Input(given.shape[1:], name=given.name) for given in samplers[0].inputs]
    label = keras.Input((), dtype="int32", name="label")
    masked = []
    for k, sampler in enumerate(samplers):
        own = layers.Embedding(len(samplers), 1, trainable=False, name=f"is_class_{k}")
        mask = layers.Reshape((1, 1, 1), name=f"mask_{k}")(own(label))
        own.set_weights([np.eye(len(samplers), dtype=np.float32)[:, k : k + 1]])
        masked.append(layers.Multiply(name=f"masked_{k}")([sampler(inputs), mask]))
    return keras.Model([*inputs, label], layers.Add(name="chosen")(masked), name="joint_vae_sampler")


def _after(report: Report, epochs: int) -> Report:
    """Counts on from the epochs of the classes before."""
    return lambda epoch, logs: report(epochs + epoch, logs)


def _part(checkpoint: Checkpoint | None, finished: list[State], current: State | None) -> Checkpoint | None:
    """The checkpoint of one class; what those before it have `finished` is kept with it."""
    if checkpoint is None:
        return None
    return Checkpoint(
        load=lambda: current,
        save=lambda state: checkpoint.save(lambda: {"finished": finished, "current": state()}),
    )


def _mean(values: dict[int, float], sizes: np.ndarray) -> float:
    """Of the classes that have a value, weighted by their training images `sizes` (K,)."""
    return float(np.average(list(values.values()), weights=sizes[list(values)]))
