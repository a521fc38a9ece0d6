"""Networks: layers and blocks that the models share, and a Keras model as a function of fused Torch operations."""

from medaug_keras.networks.blocks import (
    GAN_SLOPE,
    SelfAttention,
    SpectralConv2D,
    SpectralConv2DTranspose,
    SpectralDense,
    SpectralEmbedding,
    batch_norm,
    chain,
    conditional_batch_norm,
    reparameterised,
    torch_init,
    vae_decoder,
    vae_encoder,
)
from medaug_keras.networks.fused import device_of, fuse, parameters

__all__ = [
    "GAN_SLOPE",
    "SelfAttention",
    "SpectralConv2D",
    "SpectralConv2DTranspose",
    "SpectralDense",
    "SpectralEmbedding",
    "batch_norm",
    "chain",
    "conditional_batch_norm",
    "device_of",
    "fuse",
    "parameters",
    "reparameterised",
    "torch_init",
    "vae_decoder",
    "vae_encoder",
]
