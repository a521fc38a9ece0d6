"""Conditional VAE: Sohn et al. 2015, https://papers.nips.cc/paper/5775; layers of the paper's Figs. 19 and 20.

The layers are PyTorch-VAE's (https://github.com/AntixK/PyTorch-VAE) with the paper's output block for 28 x 28. Loss:
squared error summed over the batch + kl_weight * KL (the published code), or its mean (upstream).

Shapes: B batch, N images, H x W x C image, K classes, Z latent_dim.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import torch
from keras import layers

from medaug_keras import networks
from medaug_keras.generators.loop import Losses, Trained, gaussian_kl, painter, squared_error, train_vae
from medaug_keras.networks import fuse
from medaug_keras.training import Checkpoint, Report, subseed

FEWEST = 256  # images that share batch statistics when images are made


def build(*, image_shape: tuple[int, int, int], num_classes: int, latent_dim: int) -> dict[str, keras.Model]:
    """The networks by name.

    `whole`: [images in [-1, 1], labels, noise (B, Z)] -> [reconstructions, mean (B, Z), log variance (B, Z)];
    `sampler`: [noise (B, Z), labels (B,)] -> images in 0..255; and those of Figs. 19 and 20.
    """
    height, width, channels = image_shape
    encoder = networks.vae_encoder(channels + 1)
    decoder = networks.vae_decoder(channels, latent_dim + num_classes)

    def decode(z: Any, one_hot: Any) -> Any:
        x = layers.Concatenate(name="latent_and_label")([z, one_hot])
        for part in decoder:
            x = part(x)
        return x

    image = keras.Input(image_shape, name="image")
    label = keras.Input((), dtype="int32", name="label")
    noise = keras.Input((latent_dim,), name="noise")
    one_hot = layers.CategoryEncoding(num_classes, output_mode="one_hot", name="one_hot")(label)
    plane = layers.Dense(height * width, name="label_embedding", **networks.torch_init(num_classes))(one_hot)
    plane = layers.Reshape((height, width, 1), name="label_plane")(plane)
    x = layers.Conv2D(channels, 1, name="image_embedding", **networks.torch_init(channels))(image)
    x = encoder(layers.Concatenate(name="image_and_label")([x, plane]))
    x = layers.Flatten(name="flatten")(x)
    mean = layers.Dense(latent_dim, **networks.torch_init(512), name="mean")(x)
    log_variance = layers.Dense(latent_dim, **networks.torch_init(512), name="log_variance")(x)
    rebuilt = decode(networks.reparameterised(mean, log_variance, noise), one_hot)
    whole = keras.Model([image, label, noise], [rebuilt, mean, log_variance], name="cvae")

    pixels = layers.Rescaling(127.5, offset=127.5, name="pixels")(decode(noise, one_hot))
    sampler = keras.Model([noise, label], pixels, name="cvae_sampler")
    return {
        "encoder": encoder,
        "decoder input": decoder[0],
        "decoder hidden": decoder[1],
        "decoder output": decoder[2],
        "whole": whole,
        "sampler": sampler,
    }


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
    epochs: int,
    batch_size: int,
    sampling: str,
    patience: int | None,
    keep: str,
    optimizer: Mapping[str, Any],
    learning_rate_decay: float,
    reconstruction: str,
    kl_weight: float,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on uint8 images (N, 28, 28, C) and labels (N,); settings as in the study.

    With a `checkpoint`, training goes on after the epoch that it keeps.

    Losses, means over the images: `reconstruction` (squared error an image, pixels in [-1, 1]), `kl` (nats an image),
    `loss` (what is minimised, divided by the images of the batch if it is a sum), and the same with `val_`.
    """
    keras.utils.set_random_seed(subseed(seed, "weights"))
    parts = build(image_shape=images.shape[1:], num_classes=num_classes, latent_dim=latent_dim)
    sampler, whole = parts.pop("sampler"), parts["whole"]
    call = fuse(whole)

    def losses(image: torch.Tensor, label: torch.Tensor, chance: torch.Generator, training: bool) -> Losses:
        noise = torch.randn(len(image), latent_dim, generator=chance, device=image.device)
        rebuilt, mean, log_variance = call(image, label, noise, training=training)
        kl = gaussian_kl(mean, log_variance).mean()
        error = squared_error(image, rebuilt, reconstruction)
        return error.to_minimise + kl_weight * kl, {"reconstruction": error.per_image, "kl": kl}

    history, best_epoch, kept = train_vae(
        whole,
        losses,
        images,
        labels,
        validation_images,
        validation_labels,
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
    )
    return Trained(sampler, history, best_epoch, kept, parts)


def sample(sampler: keras.Model, labels: np.ndarray, *, seed: int, sampling_statistics: str) -> np.ndarray:
    """uint8 images (n, 28, 28, C) of the classes in `labels` (n,); z ~ N(0, 1).

    `sampling_statistics` "moving" uses batch norm's moving averages. "batch" uses the statistics of the images made
    together, as the published code does: under its loss the posterior covers little of N(0, 1), and samples through
    the moving averages are washed out. The labels are then shuffled and cut into chunks of 256 or more; a smaller
    request is filled up with more of the same labels, whose images are dropped. So an image then depends on the
    classes it is made with, and a request for one class alone is the worst case.
    """
    rng = np.random.default_rng(subseed(seed, "noise"))
    filled = labels if sampling_statistics == "moving" else np.resize(labels, max(len(labels), FEWEST))
    noise = rng.standard_normal((len(filled), sampler.inputs[0].shape[-1]), dtype=np.float32)
    mixed = rng.permutation(len(filled))
    paint = painter(sampler, training=sampling_statistics == "batch")
    made = np.empty((len(filled), *sampler.output_shape[1:]), np.uint8)
    for chunk in np.array_split(mixed, max(1, len(filled) // FEWEST)):
        made[chunk] = paint(noise[chunk], filled[chunk].astype(np.int64))
    return made[: len(labels)]
