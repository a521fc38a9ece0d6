import itertools
from typing import get_args

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from medaug_keras import classifiers, evaluation
from medaug_keras.augmentation import augmentation
from medaug_keras.spec import FOLLOWS, Metric, Select
from medaug_keras.training import DivergedError, epoch_order, subseed
from studies import recipe, sgd

SETTINGS = {
    **recipe(epochs=2, batch_size=16, optimizer={"learning_rate": 0.01}),
    "sampling": "shuffle",
    "augment": [],
    "seed": 0,
    "on_epoch": lambda epoch, logs: None,
}


def bright_and_dark(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    noise = rng.integers(0, 60, (count, 28, 28, 1))
    return (noise + 150 * labels[:, None, None, None]).astype(np.uint8), labels


def trained(validation=None, **changes):
    model = classifiers.build(
        "cnn", image_shape=(28, 28, 1), num_classes=2, head=changes.get("head", "softmax"), seed=0
    )
    held_out = {"validation": validation or bright_and_dark(30, 1), "test": bright_and_dark(40, 2)}
    train = bright_and_dark(96, 0)
    return classifiers.fit(model, train, held_out, num_classes=2, **(SETTINGS | changes)), held_out


@pytest.mark.parametrize(
    ("channels", "classes", "head", "parameters"),
    [
        (3, 9, "softmax", 235_225),
        (3, 7, "softmax", 234_967),
        (1, 4, "softmax", 234_292),
        (1, 2, "softmax", 234_034),
        (1, 2, "sigmoid", 233_905),
        (1, 11, "softmax", 235_195),
    ],
)
def test_the_cnn_has_the_papers_number_of_trainable_parameters(channels, classes, head, parameters):
    model = classifiers.build("cnn", image_shape=(28, 28, channels), num_classes=classes, head=head, seed=0)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == parameters


def test_every_layer_of_the_cnn_but_the_last_ends_in_a_relu():
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=3, head="softmax", seed=0)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("ReLU") == kinds.count("Conv2D") + kinds.count("Dense") - 1 == 7
    assert [kind for kind in kinds if kind in ("Dense", "ReLU")][-5:] == ["Dense", "ReLU", "Dense", "ReLU", "Dense"]


def test_initial_weights_have_pytorchs_bounds():
    model = classifiers.build("cnn", image_shape=(28, 28, 3), num_classes=9, head="softmax", seed=0)
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            fan_in = np.prod(layer.kernel.shape[:-1])
            kernel, bias = (torch.abs(weight.value).max().item() for weight in (layer.kernel, layer.bias))
            assert 0.9 / np.sqrt(fan_in) < kernel <= 1 / np.sqrt(fan_in)
            assert 0 < bias <= 1 / np.sqrt(fan_in)


def test_initial_weights_depend_on_the_seed_alone():
    def weights(seed):
        model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=seed)
        return np.concatenate([weight.ravel() for weight in model.get_weights()])

    first = weights(3)
    np.testing.assert_array_equal(first, weights(3))
    assert not np.array_equal(first, weights(4))


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_the_classifier_learns_what_is_plain(head):
    result, held_out = trained(head=head, epochs=4)
    labels = held_out["test"][1]
    found = result.chosen("best_validation_auc")["test"]
    assert (found.argmax(axis=1) == labels).mean() == 1.0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_training_twice_gives_the_same_bytes():
    first, second = trained(sampling="weighted")[0], trained(sampling="weighted")[0]
    assert first.history == second.history
    assert first.selected == second.selected
    for rule in first.selected:
        for split in ("validation", "test"):
            np.testing.assert_array_equal(first.chosen(rule)[split], second.chosen(rule)[split])


def ranks(history, rule):
    """What a rule ranks epochs by, said another way than in the program."""
    columns = {
        "best_validation_accuracy": [("val_accuracy", 1)],
        "best_validation_auc": [("val_auc", 1), ("val_loss", -1)],
        "best_validation_balanced_accuracy": [("val_balanced_accuracy", 1), ("val_loss", -1)],
        "best_validation_loss": [("val_loss", -1)],
    }[rule]
    return [tuple(sign * history[name][epoch] for name, sign in columns) for epoch in range(6)]


@pytest.mark.parametrize("sampling", ["shuffle", "weighted"])
@pytest.mark.parametrize("rule", classifiers.RULES)
def test_a_rule_chooses_the_first_epoch_with_the_highest_rank(rule, sampling):
    result, _ = trained(epochs=6, batch_size=8, sampling=sampling)
    found = ranks(result.history, rule)
    assert result.selected[rule] == 1 + found.index(max(found))
    assert result.selected["last"] == 6
    assert set(result.kept) == set(result.selected.values())


def test_a_rule_forgets_no_epoch_that_was_better_than_those_after_it():
    """Validation labels that mean nothing: what is measured on them goes up and down."""
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    images = bright_and_dark(40, 1)[0]
    held_out = {s: (images, np.random.default_rng(0).integers(0, 2, 40)) for s in ("validation", "test")}
    how = SETTINGS | {"epochs": 8, "optimizer": sgd(0.05)}
    result = classifiers.fit(model, bright_and_dark(96, 0), held_out, num_classes=2, **how)
    rises = 0
    for rule in classifiers.RULES:
        found = ranks(result.history, rule)
        assert result.selected[rule] == 1 + found.index(max(found))
        best = found.index(max(found))
        rises += any(before < now for before, now in itertools.pairwise(found[best:]))
    assert rises > 0


def test_of_epochs_that_sort_the_validation_images_equally_well_the_least_trained_does_not_win():
    result, _ = trained(epochs=6)
    assert result.history["val_auc"].count(1.0) > 1  # bright and dark are told apart at once
    losses = result.history["val_loss"]
    assert losses[result.selected["best_validation_auc"] - 1] == min(
        loss for loss, auc in zip(losses, result.history["val_auc"], strict=True) if auc == 1.0
    )
    assert result.selected["best_validation_auc"] > 1


def test_without_a_class_among_the_validation_images_the_auc_rule_goes_by_the_loss():
    images, labels = bright_and_dark(30, 1)
    result, _ = trained(epochs=4, validation=(images[labels == 0], labels[labels == 0]))
    assert result.history["val_auc"] == [None] * 4
    assert result.selected["best_validation_auc"] == result.selected["best_validation_loss"]


def test_a_kept_epoch_is_bit_for_bit_a_training_that_ended_there():
    """Its weights, and what they say of the validation and test images, when all is over."""
    images, labels = bright_and_dark(40, 1)
    unclear = images, np.where(np.arange(40) % 3 == 0, 1 - labels, labels)  # so that rules disagree
    result, held_out = trained(epochs=6, batch_size=8, sampling="weighted", validation=unclear)
    assert len(result.kept) > 2
    for epoch, kept in result.kept.items():
        ended, _ = trained(epochs=epoch, batch_size=8, sampling="weighted", validation=unclear)
        weights = ended.model.get_weights()
        for found, expected in zip(result.at(epoch).get_weights(), weights, strict=True):
            np.testing.assert_array_equal(found, expected)
        for split in ("validation", "test"):
            np.testing.assert_array_equal(kept.probabilities[split], ended.chosen("last")[split])
            again = classifiers.predict(result.model, held_out[split][0], head="softmax")
            np.testing.assert_array_equal(again, kept.probabilities[split])


def test_every_rule_of_a_study_is_one_that_a_training_keeps():
    assert set(get_args(Select)) == set(trained(epochs=1)[0].selected)
    assert set(FOLLOWS) == set(get_args(Metric))


def test_a_saved_classifier_gives_the_same_probabilities_without_our_trainer(tmp_path):
    result, held_out = trained()
    result.model.save(tmp_path / "classifier.keras")
    images = held_out["test"][0].astype(np.float32) / 127.5 - 1
    logits = keras.models.load_model(tmp_path / "classifier.keras").predict(images, verbose=0)
    probabilities = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    np.testing.assert_allclose(probabilities, result.chosen("last")["test"], atol=1e-5)


def test_a_loss_that_is_no_number_is_named_as_such():
    with pytest.raises(DivergedError, match=r"^loss is (nan|inf) after epoch"):
        trained(optimizer=sgd(1e30))


def test_the_sigmoid_head_refuses_more_than_two_classes():
    with pytest.raises(ValueError, match="for two classes"):
        classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=3, head="sigmoid", seed=0)


def test_the_history_has_one_value_an_epoch_of_every_metric():
    result, _ = trained(epochs=3)
    assert {name: len(values) for name, values in result.history.items()} == dict.fromkeys(
        ["loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc", "val_balanced_accuracy"], 3
    )


def by_hand(head="softmax", *, epochs, batch_size, optimizer, sampling, seed, augment=(), **defaults):
    """The loss of every epoch, by the model as Keras has it and gradient descent with momentum written out."""
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head=head, seed=0)
    images, labels = bright_and_dark(96, 0)
    x, y = torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels)
    change = augmentation(augment, seed=seed)
    rng = np.random.default_rng(subseed(seed, "order"))
    weights = [weight.value for weight in model.trainable_weights]
    speed = [torch.zeros_like(weight) for weight in weights]
    losses = []
    for _ in range(epochs):
        total = 0.0
        for index in torch.from_numpy(epoch_order(labels, sampling, rng)).split(batch_size):
            changed, _ = change(x[index], y[index])
            logits = model(2 * changed - 1, training=True)
            if head == "softmax":
                loss = F.cross_entropy(logits, y[index])
            else:
                loss = F.binary_cross_entropy_with_logits(logits[:, 0], y[index].float())
            slopes = torch.autograd.grad(loss, weights)
            total += loss.item() * len(index)
            with torch.no_grad():
                for weight, slope, v in zip(weights, slopes, speed, strict=True):
                    v.mul_(optimizer["momentum"]).add_(slope)
                    weight.sub_(optimizer["learning_rate"] * v)
        losses.append(total / len(labels))
    return losses


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": sgd(0.01, 0.5)},  # at 0.02, rounding grows to 0.001 of the third loss
        {"head": "sigmoid"},
        {"sampling": "weighted", "seed": 3},
        {"batch_size": 40},  # the last batch is smaller: it weighs less in the epoch's mean
        {"augment": [{"layer": "horizontal_flip", "probability": 0.5}], "seed": 3},
    ],
    ids=str,
)
def test_a_training_is_gradient_descent_with_momentum_on_new_orders_of_all_images(changes):
    """Three epochs, so that momentum and the order of the second epoch are in the loss of the third."""
    how = recipe(epochs=3, batch_size=48, optimizer={"learning_rate": 0.005})
    how |= {"sampling": "shuffle", "seed": 0} | changes
    assert trained(**how)[0].history["loss"] == pytest.approx(by_hand(**how), rel=1e-3)


def test_another_seed_is_another_order_from_the_same_weights():
    def losses(**changes):
        return trained(**changes)[0].history["loss"]

    assert losses(seed=1) != pytest.approx(losses(seed=2), rel=1e-4)
    whole = {"batch_size": 96}  # in one batch the order does not matter
    assert losses(seed=1, **whole) == pytest.approx(losses(seed=2, **whole), rel=1e-4)


def test_the_weights_of_an_epoch_are_those_of_its_predictions_and_its_history_and_not_the_last_ones():
    """Labels of the held-out images are exchanged: the more is learnt, the fewer of them are met."""
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    held_out = {s: (images, 1 - labels) for s, (images, labels) in trained(epochs=1)[1].items()}
    told = []
    how = SETTINGS | {"epochs": 4, "on_epoch": lambda epoch, logs: told.append((epoch, logs))}
    result = classifiers.fit(model, bright_and_dark(96, 0), held_out, num_classes=2, **how)
    history = result.history
    best_epoch = result.selected["best_validation_accuracy"]
    best, last = result.chosen("best_validation_accuracy"), result.chosen("last")
    assert best_epoch < 4
    for split, (images, _) in held_out.items():
        np.testing.assert_array_equal(classifiers.predict(result.at(best_epoch), images, head="softmax"), best[split])
        assert not np.array_equal(best[split], last[split])
    for epoch, kept in ((best_epoch, best), (4, last)):
        labels, chosen = held_out["validation"][1], kept["validation"]
        assert history["val_accuracy"][epoch - 1] == evaluation.accuracy(labels, chosen)
        assert history["val_loss"][epoch - 1] == pytest.approx(
            F.nll_loss(torch.log(torch.tensor(chosen)), torch.tensor(labels)).item()
        )
    assert history["accuracy"][-1] > 0.9  # of the passes that trained, each image beside its own label
    assert told == [(n + 1, {name: values[n] for name, values in history.items()}) for n in range(4)]


def test_features_are_what_the_last_layer_makes_its_logits_of():
    result, held_out = trained()
    hidden = classifiers.features(result.model, held_out["test"][0])
    assert hidden.shape == (40, 128)
    kernel, bias = (weight.value.detach().numpy() for weight in result.model.get_layer("logits").weights)
    chosen = torch.softmax(torch.from_numpy(hidden @ kernel + bias), dim=1).numpy()
    np.testing.assert_allclose(chosen, result.chosen("last")["test"], atol=1e-5)


@pytest.mark.slow
def test_breastmnist_agrees_with_an_independent_pytorch_implementation(medmnist_root):
    """A plain PyTorch implementation gave 80.45 +- 1.74 (shuffle), 81.73 +- 2.23 (weighted): last epoch, 10 seeds."""
    with np.load(medmnist_root / "breastmnist.npz") as file:
        split = {
            s: (file[f"{s}_images"][..., None], file[f"{s}_labels"][:, 0].astype(int)) for s in ("train", "val", "test")
        }
    held_out = {"validation": split["val"], "test": split["test"]}
    settings = SETTINGS | {"epochs": 20, "batch_size": 64, "optimizer": sgd(0.001)}
    for sampling, expected, spread in (("shuffle", 80.45, 1.74), ("weighted", 81.73, 2.23)):
        found = []
        for seed in range(10):
            model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=seed)
            result = classifiers.fit(
                model,
                split["train"],
                held_out,
                num_classes=2,
                **(settings | {"sampling": sampling, "seed": seed}),
            )
            found.append(100 * (result.chosen("last")["test"].argmax(axis=1) == split["test"][1]).mean())
        # Two means of 10 runs each: their difference has a standard error of about spread * sqrt(2 / 10).
        assert abs(np.mean(found) - expected) < 3 * spread * np.sqrt(2 / 10)
