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
    reparameterized,
    torch_init,
    vae_decoder,
    vae_encoder,
)
from medaug_keras.networks.fused import fuse
from medaug_keras.networks.weights import assign_weights, copy_weights, device_of, parameters

__all__ = [
    "GAN_SLOPE",
    "SelfAttention",
    "SpectralConv2D",
    "SpectralConv2DTranspose",
    "SpectralDense",
    "SpectralEmbedding",
    "assign_weights",
    "batch_norm",
    "chain",
    "conditional_batch_norm",
    "copy_weights",
    "device_of",
    "fuse",
    "parameters",
    "reparameterized",
    "torch_init",
    "vae_decoder",
    "vae_encoder",
]
