"""Conditional VAE: Sohn et al. 2015, https://papers.nips.cc/paper/5775; layers of the paper's Figs. 19 and 20.

The layers are PyTorch-VAE's (https://github.com/AntixK/PyTorch-VAE) with the paper's output block for 28 x 28. Images
of other sizes, which the paper has not, are resized to the next 32 x 2^k and back, and for each doubling of 32 the
networks are one block deeper. Loss: squared error summed over the batch + kl_weight * KL (the published code), or its
mean (upstream).

Where images have several findings, the vector of 0 and 1 is what the one-hot vector of a class is elsewhere: both
embeddings are linear in it, so a condition is the sum of its findings, and no finding is the bias alone.

Shapes: B batch, N images, H x W x C image, K classes or findings, Z latent_dim.
"""

from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from torch import Tensor

from medaug_keras import labels as labels_of
from medaug_keras import networks
from medaug_keras.generators.fitting import Images, Labels, Recipe, Trained, TrainingData, image_function
from medaug_keras.generators.vae import Losses, gaussian_kl, kl_scale, squared_error, train_vae
from medaug_keras.networks import fuse
from medaug_keras.networks.scaling import to_pixels_layer
from medaug_keras.training import Checkpoint, OnEpoch, numpy_rng, silent, subseed

SMALLEST_BATCH = 256  # images that share batch statistics when images are made


def build(
    *, image_shape: tuple[int, int, int], num_classes: int, latent_dim: int, several: bool = False
) -> dict[str, keras.Model]:
    """The networks by name.

    `whole`: [images in [-1, 1], labels, noise (B, Z)] -> [reconstructions, mean (B, Z), log variance (B, Z)];
    `sampler`: [noise (B, Z), labels (B,)] -> images in 0..255; and those of Figs. 19 and 20. With `several` findings an
    image, labels are (B, K) of 0 and 1.
    """
    side, _, channels = image_shape
    inside = networks.vae_side(side)
    encoder = networks.vae_encoder(channels + 1, side)
    decoder = networks.vae_decoder(channels, latent_dim + num_classes, side)

    def decode(z: Any, one_hot: Any) -> Any:
        x = layers.Concatenate(name="latent_and_label")([z, one_hot])
        for part in decoder:
            x = part(x)
        return networks.resized(x, side, "to_its_size")

    image = keras.Input(image_shape, name="image")
    label, one_hot = networks.label_input(num_classes, several=several)
    noise = keras.Input((latent_dim,), name="noise")
    if not several:
        one_hot = layers.CategoryEncoding(num_classes, output_mode="one_hot", name="one_hot")(label)
    plane = layers.Dense(inside * inside, name="label_embedding", **networks.torch_init(num_classes))(one_hot)
    plane = layers.Reshape((inside, inside, 1), name="label_plane")(plane)
    x = networks.resized(image, inside, "to_the_network")
    x = layers.Conv2D(channels, 1, name="image_embedding", **networks.torch_init(channels))(x)
    x = encoder(layers.Concatenate(name="image_and_label")([x, plane]))
    x = layers.Flatten(name="flatten")(x)
    mean = layers.Dense(latent_dim, **networks.torch_init(512), name="mean")(x)
    log_variance = layers.Dense(latent_dim, **networks.torch_init(512), name="log_variance")(x)
    rebuilt = decode(networks.reparameterized(mean, log_variance, noise), one_hot)
    whole = keras.Model([image, label, noise], [rebuilt, mean, log_variance], name="cvae")

    pixels = to_pixels_layer()(decode(noise, one_hot))
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
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    on_epoch: OnEpoch = silent,
    latent_dim: int,
    reconstruction: str,
    kl_weight: float,
    kl_by_area: bool,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on square images; settings as in the study.

    With a `checkpoint`, training resumes after the epoch that it holds.

    Losses, means over the images: `reconstruction` (squared error per image, pixels in [-1, 1]), `kl` (nats per
    image), `loss` (what is minimized, divided by the images of the batch if it is a sum), and the same with `val_`.
    """
    keras.utils.set_random_seed(subseed(seed, "weights"))
    parts = build(
        image_shape=data.images.shape[1:],
        num_classes=data.num_classes,
        latent_dim=latent_dim,
        several=labels_of.several(data.labels),
    )
    sampler, whole = parts.pop("sampler"), parts["whole"]
    call = fuse(whole)
    kl_weight *= kl_scale(data.images.shape[1], reconstruction, by_area=kl_by_area)

    def losses(image: Tensor, label: Tensor, rng: torch.Generator, training: bool) -> Losses:
        noise = torch.randn(len(image), latent_dim, generator=rng, device=image.device)
        rebuilt, mean, log_variance = call(image, label, noise, training=training)
        kl = gaussian_kl(mean, log_variance).mean()
        error = squared_error(image, rebuilt, reconstruction)
        return error.to_minimize + kl_weight * kl, {"reconstruction": error.per_image, "kl": kl}

    outcome = train_vae(
        whole, losses, data, recipe, reconstruction=reconstruction, seed=seed, on_epoch=on_epoch, checkpoint=checkpoint
    )
    return Trained(**vars(outcome), sampler=sampler, networks=parts)


def sample(sampler: keras.Model, labels: Labels, *, seed: int, sampling_statistics: str) -> Images:
    """uint8 images (n, S, S, C) of the classes in `labels` (n,), or of their findings (n, K); z ~ N(0, 1).

    `sampling_statistics` "moving" uses batch norm's moving averages. "batch" uses the statistics of the images made
    together, as the published code does: under its loss the posterior covers little of N(0, 1), and samples through
    the moving averages are washed out. The labels are then shuffled and cut into chunks of 256 or more; a smaller
    request is filled up with more of the same labels, whose images are dropped. So an image then depends on the
    classes it is made with, and a request for one class alone is the worst case.
    """
    rng = numpy_rng(seed, "noise")
    size = (max(len(labels), SMALLEST_BATCH), *labels.shape[1:])
    filled = labels if sampling_statistics == "moving" else np.resize(labels, size)
    noise = rng.standard_normal((len(filled), sampler.inputs[0].shape[-1]), dtype=np.float32)
    mixed = rng.permutation(len(filled))
    make = image_function(sampler, training=sampling_statistics == "batch")
    made = np.empty((len(filled), *sampler.output_shape[1:]), np.uint8)
    for chunk in np.array_split(mixed, max(1, len(filled) // SMALLEST_BATCH)):
        made[chunk] = make(noise[chunk], filled[chunk].astype(np.int64))
    return made[: len(labels)]
