"""A loss is its closed form, and Torch's or Keras's own of the same name, with targets of one class and mixed ones."""

import itertools

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from test_classifiers import trained

from medaug_keras.training import balanced_weights, classification_loss
from studies import recipe

CLASSES = 4
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0])


def batch(mixed: bool, classes: int = CLASSES) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    targets = torch.eye(classes)[torch.randint(classes, (32,), generator=rng)]
    if mixed:  # as MixUp and CutMix make them
        part = torch.rand(32, 1, generator=rng)
        targets = part * targets + (1 - part) * targets.flip(0)
    return 3 * torch.randn(32, classes, generator=rng), targets


def made(head: str = "softmax", weights: torch.Tensor | None = None, smoothing: float = 0.0, gamma: float = 0.0):
    return classification_loss(head=head, class_weights=weights, label_smoothing=smoothing, focal_gamma=gamma)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("weights", "smoothing"), list(itertools.product([None, WEIGHTS], [0.0, 0.1])))
def test_class_weights_and_label_smoothing_are_torchs(weights, smoothing, mixed):
    logits, targets = batch(mixed)
    expected = F.cross_entropy(logits, targets, weights, label_smoothing=smoothing)
    torch.testing.assert_close(made(weights=weights, smoothing=smoothing)(logits, targets), expected)


@pytest.mark.parametrize("mixed", [False, True])
def test_the_focal_loss_is_kerass(mixed):
    logits, targets = batch(mixed)
    expected = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=1.5)(targets, torch.softmax(logits, 1))
    torch.testing.assert_close(made(gamma=1.5)(logits, targets), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("smoothing", "gamma"), [(0.0, 0.0), (0.2, 0.0), (0.0, 2.0), (0.2, 2.0)])
def test_with_one_logit_it_is_kerass_binary_loss(smoothing, gamma, mixed):
    logits, targets = batch(mixed, 2)
    theirs = keras.losses.BinaryFocalCrossentropy(gamma=gamma, from_logits=True, label_smoothing=smoothing)
    if not gamma:
        theirs = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    if gamma and (mixed or smoothing):
        # Keras's focusing factor is then one of the mixed class; ours is each class's own, as for several classes
        p = torch.sigmoid(logits[:, 0])
        t = torch.lerp(targets[:, 1], torch.full((32,), 0.5), smoothing)
        expected = -(t * (1 - p) ** gamma * p.log() + (1 - t) * p**gamma * (1 - p).log()).mean()
    else:
        expected = theirs(targets[:, 1:], logits[:, :1])
    found = made("sigmoid", smoothing=smoothing, gamma=gamma)(logits[:, :1], targets)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_a_loss_that_nothing_changes_is_the_general_one_with_weights_of_one(head):
    logits, targets = batch(True, 2)
    logits = logits[:, :1] if head == "sigmoid" else logits
    torch.testing.assert_close(made(head)(logits, targets), made(head, torch.ones(2))(logits, targets))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_an_image_of_which_the_network_is_certain_has_no_infinite_slope(gamma):
    for size in (50.0, 200.0):
        logits = torch.tensor([[size, -size]], requires_grad=True)
        loss = made(gamma=gamma)(logits, torch.tensor([[1.0, 0.0]]))
        loss.backward()
        assert loss.item() == 0
        assert logits.grad.abs().max() == 0


def test_balanced_weights_are_scikit_learns_and_give_every_class_the_same_share():
    labels = np.repeat([0, 1, 3], [70, 25, 5])
    weights = balanced_weights(labels, 4).numpy()
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    np.testing.assert_allclose(weights, [*expected[:2], 0, expected[2]], rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)


def test_the_validation_loss_is_the_cross_entropy_whatever_is_minimized():
    """At a learning rate that moves nothing, the network is the same: one loss changes, the other does not."""
    still = {"learning_rate": 1e-30}
    plain = trained(**recipe(epochs=1, optimizer=still))[0].history
    for loss in ({"class_weights": "balanced"}, {"label_smoothing": 0.3}, {"focal_gamma": 2.0}):
        other = trained(**recipe(epochs=1, optimizer=still, loss=loss))[0].history
        assert other["val_loss"] == plain["val_loss"]
        assert other["loss"] != pytest.approx(plain["loss"], rel=1e-6)


def test_mixed_images_are_trained_with_every_loss():
    loss = {"class_weights": "balanced", "label_smoothing": 0.1, "focal_gamma": 1.0}
    mixing = [{"layer": "MixUp", "alpha": 0.2}, {"layer": "CutMix", "factor": 1.0}]
    for head in ("softmax", "sigmoid"):
        how = recipe(epochs=2, batch_size=16, head=head, loss=loss, optimizer={"learning_rate": 0.01})
        first, second = trained(**how, augment=mixing)[0].history["loss"]
        assert second < first
