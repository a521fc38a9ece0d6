"""The CNN of Le Roux et al., Fig. 9: MedMNIST's getting-started network."""

from typing import Any

from keras import layers

from medaug_keras.networks import batch_norm, torch_init


def build(image: Any, *, num_outputs: int) -> Any:
    """(B, 28, 28, C) -> (B, num_outputs) logits.

    Images of another size, from 16 x 16 on, make another first dense layer; all else is the same. Initial weights and
    batch-norm conventions are PyTorch's. 235,225 trainable parameters for 9 classes in color.
    """
    x = image
    blocks = [(16, "valid", False), (16, "valid", True), (64, "valid", False), (64, "valid", False), (64, "same", True)]
    for number, (filters, padding, pool) in enumerate(blocks, 1):
        x = layers.Conv2D(filters, 3, padding=padding, **torch_init(9 * x.shape[-1]), name=f"conv{number}")(x)
        x = batch_norm(f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        if pool:
            x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = layers.Dense(128, **torch_init(x.shape[-1]), name=f"dense{number}")(x)
        x = layers.ReLU(name=f"dense{number}_relu")(x)
    return layers.Dense(num_outputs, **torch_init(x.shape[-1]), name="logits")(x)
