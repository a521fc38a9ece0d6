import keras
import numpy as np
import pytest
import torch
from keras import layers

from medaug_keras import classifiers
from medaug_keras.networks import fuse, parameters
from medaug_keras.training import Passes, batches, epoch_order, name_streams, numpy_rng, subseed, torch_rng


def small_network(layer_chain, shape):
    x = inputs = keras.Input(shape)
    for layer in layer_chain:
        x = layer(x)
    return keras.Model(inputs, x)


def in_training(layer):
    return lambda x: layer(x, training=True)


FUSED_CASES = {
    "convolution": ([layers.Conv2D(4, 3)], (9, 9, 2)),
    "convolution, same": ([layers.Conv2D(4, 3, padding="same")], (9, 9, 2)),
    "padded convolution, stride 2": ([layers.ZeroPadding2D(1), layers.Conv2D(4, 3, strides=2)], (8, 8, 2)),
    "transposed convolution, cropped": (
        [layers.Conv2DTranspose(4, 3, strides=2), layers.Cropping2D(((1, 0), (1, 0)))],
        (5, 5, 3),
    ),
    "transposed convolution, same": ([layers.Conv2DTranspose(4, 4, strides=2, padding="same")], (5, 5, 3)),
    "batch norm": ([layers.BatchNormalization(momentum=0.9, epsilon=1e-5)], (6, 6, 3)),
    "batch norm of vectors": ([layers.BatchNormalization(momentum=0.9, epsilon=1e-5)], (7,)),
    "pooling and flattening": ([layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(3)], (6, 6, 2)),
    "dense, reshaped": ([layers.Dense(8), layers.Reshape((2, 2, 2)), layers.Conv2D(3, 1)], (5,)),
    "activations": ([layers.ReLU(), layers.LeakyReLU(0.2), layers.Activation("tanh")], (4, 4, 2)),
    "activation of a layer": ([layers.Dense(4, activation="relu"), layers.Dense(2, activation="softmax")], (5,)),
    "rescaling": ([layers.Rescaling(127.5, 127.5)], (4, 4, 1)),
    "dilated convolution": ([layers.Conv2D(4, 3, dilation_rate=2)], (9, 9, 2)),
    "padding that differs by axis": ([layers.ZeroPadding2D((2, 1)), layers.Conv2D(4, 3)], (6, 7, 2)),
    "padding that differs by side": ([layers.ZeroPadding2D(((1, 2), (3, 0))), layers.Conv2D(4, 3)], (7, 6, 2)),
    "cropping that differs by side": ([layers.Cropping2D(((1, 2), (0, 3)))], (8, 9, 2)),
    "overlapping pooling": ([layers.MaxPooling2D(3, strides=2)], (7, 7, 2)),
    "bilinear resizing": ([layers.Resizing(10, 6)], (5, 3, 2)),
    "softmax over channels": ([layers.Activation("softmax")], (4, 4, 3)),
    "a mode of its own gives way to the model's": ([in_training(layers.BatchNormalization())], (4, 4, 3)),
}


@pytest.mark.parametrize("case", FUSED_CASES)
@pytest.mark.parametrize("training", [False, True])
def test_a_fused_network_equals_the_keras_model_forward_and_backward(case, training):
    keras.utils.set_random_seed(0)
    model = small_network(*FUSED_CASES[case])
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    x = torch.randn(16, *model.input_shape[1:])

    expected = twin(x, training=training)
    found = fuse(model)(x.clone(), training=training)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    if not model.trainable_weights:
        return
    for network, output in ((twin, expected), (model, found)):
        network.zero_grad()
        (output * torch.linspace(-1, 1, output[0].numel()).reshape(output.shape[1:])).sum().backward()
    for ours, theirs in zip(parameters(model), parameters(twin), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-3, rtol=1e-3)


def test_fused_batch_norm_moves_its_statistics_by_pytorchs_rule():
    keras.utils.set_random_seed(0)
    model = small_network([layers.BatchNormalization(momentum=0.9, epsilon=1e-5)], (3,))
    x = torch.randn(8, 3) * 2 + 1
    fuse(model)(x, training=True)
    norm = torch.nn.BatchNorm1d(3)
    norm(x)
    layer = model.layers[1]
    torch.testing.assert_close(layer.moving_mean.value.detach(), norm.running_mean)
    torch.testing.assert_close(layer.moving_variance.value.detach(), norm.running_var)


IN_PLACE = [layers.ReLU, lambda: layers.LeakyReLU(0.2), lambda: layers.Activation("relu")]


@pytest.mark.parametrize("layer", IN_PLACE)
def test_a_tensor_that_two_layers_use_is_not_changed_in_place(layer):
    inputs = keras.Input((4,))
    x = layers.Dense(4)(inputs)
    model = keras.Model(inputs, layers.Concatenate()([layer()(x), x]))
    data = torch.randn(5, 4)
    torch.testing.assert_close(fuse(model)(data, training=False), model(data))


@pytest.mark.parametrize("layer", IN_PLACE)
def test_the_callers_tensor_is_not_changed_in_place(layer):
    model = small_network([layer()], (4,))
    data = torch.randn(5, 4)
    before = data.clone()
    fuse(model)(data, training=False)
    assert torch.equal(data, before)


@pytest.mark.parametrize("join", [layers.Add, layers.Multiply, layers.Concatenate, lambda: layers.Dot(axes=1)])
def test_layers_of_several_inputs_are_fused(join):
    one, other = keras.Input((6,)), keras.Input((6,))
    model = keras.Model([one, other], join()([one, other]))
    data = torch.randn(5, 6), torch.randn(5, 6)
    torch.testing.assert_close(fuse(model)(*data, training=False), model(list(data)))


def test_a_fused_function_names_the_layers_that_run_as_keras_has_them():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    x = layers.UnitNormalization(name="unit")(x)
    x = layers.GaussianNoise(0.1, name="noise")(x)
    assert fuse(keras.Model(inputs, layers.Flatten()(x))).unfused == ["unit", "noise"]
    model = classifiers.build("cnn", image_shape=(28, 28, 3), num_classes=4, head="softmax", seed=5)
    assert fuse(model).unfused == []


def test_the_whole_classifier_trains_as_pytorchs_own_network_does():
    """Same weights, same batches, 6 steps: the independent PyTorch network ends with the same weights.

    More steps would compare rounding, which such training doubles again and again: by 30 it is in the second digit.
    """
    model = classifiers.build("cnn", image_shape=(28, 28, 3), num_classes=4, head="softmax", seed=5)
    nn = torch.nn

    def block(into, out, padding=0):
        return [nn.Conv2d(into, out, 3, padding=padding), nn.BatchNorm2d(out), nn.ReLU()]

    blocks = [*block(3, 16), *block(16, 16), nn.MaxPool2d(2), *block(16, 64), *block(64, 64), *block(64, 64, 1)]
    dense = [nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 4)]
    other = nn.Sequential(*blocks, nn.MaxPool2d(2), nn.Flatten(), *dense)
    with torch.no_grad():
        weights = iter(model.trainable_weights)
        for theirs in other.parameters():
            ours = next(weights).value
            if theirs.ndim == 4:
                ours = ours.permute(3, 2, 0, 1)
            elif theirs.ndim == 2:
                ours = ours.t()
                if ours.shape[1] == 1024:  # Keras flattens H, W, C; PyTorch C, H, W
                    ours = ours.reshape(128, 4, 4, 64).permute(0, 3, 1, 2).reshape(128, 1024)
            theirs.copy_(ours)
    rng = torch_rng(0, "data")
    network = fuse(model)
    ours, theirs = (torch.optim.SGD(p, lr=0.01, momentum=0.9) for p in (parameters(model), other.parameters()))
    for _ in range(6):
        x, y = torch.randn(16, 28, 28, 3, generator=rng), torch.randint(0, 4, (16,), generator=rng)
        for descent, logits in ((ours, network(x, training=True)), (theirs, other(x.permute(0, 3, 1, 2)))):
            descent.zero_grad()
            nn.functional.cross_entropy(logits, y).backward()
            descent.step()
    x = torch.randn(8, 28, 28, 3, generator=rng)
    other.eval()
    torch.testing.assert_close(network(x, training=False), other(x.permute(0, 3, 1, 2)), atol=1e-4, rtol=1e-3)


def test_shuffled_order_has_every_image_once():
    order = epoch_order(np.array([0, 1] * 50), "shuffle", np.random.default_rng(0))
    assert sorted(order) == list(range(100))


def test_weighted_order_gives_every_class_the_same_share_and_keeps_the_length():
    labels = np.repeat([0, 1, 2], [2000, 150, 30])
    rng = np.random.default_rng(0)
    drawn = np.concatenate([labels[epoch_order(labels, "weighted", rng)] for _ in range(20)])
    assert len(drawn) == 20 * len(labels)
    # Binomial standard deviation of a share is 0.0023 here: four of them.
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), 1 / 3, atol=0.0095)


def test_weighted_order_sees_a_third_of_dermamnists_images_in_an_epoch():
    labels = np.repeat(np.arange(7), [228, 359, 769, 80, 779, 4693, 99])  # the published sizes
    seen = len(np.unique(epoch_order(labels, "weighted", np.random.default_rng(0))))
    assert abs(seen - 2766) < 100  # the expectation of an independent calculation is 2,766


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 129])
def test_batches_keep_every_index_and_only_a_merged_batch_is_larger(count):
    order = np.arange(count)
    plain = list(batches(order, 64))
    merged = list(batches(order, 64, merge_single=True))
    for cut in (plain, merged):
        np.testing.assert_array_equal(np.concatenate(cut), order)
    assert all(len(batch) <= 64 for batch in plain)
    assert count == 1 or all(len(batch) > 1 for batch in merged)


def test_only_a_last_batch_of_one_is_merged():
    sizes = [[len(batch) for batch in batches(np.arange(n), 4, merge_single=True)] for n in (4, 5, 6, 9)]
    assert sizes == [[4], [5], [4, 2], [4, 5]]
    assert [len(batch) for batch in batches(np.arange(5), 4)] == [4, 1]


def test_subseeds_differ_by_purpose_and_are_always_the_same():
    assert subseed(7, "order") == subseed(7, "order")
    assert len({subseed(seed, word) for seed in range(50) for word in ("order", "weights")}) == 100
    assert all(0 <= subseed(seed, "order") < 2**31 for seed in range(100))


def test_generators_of_two_purposes_draw_apart():
    assert not torch.equal(*(torch.rand(9, generator=torch_rng(7, word)) for word in ("noise", "labels")))
    assert not np.array_equal(*(numpy_rng(7, word).random(9) for word in ("noise", "labels")))


def test_every_layer_that_draws_has_a_stream_of_its_own_that_the_seed_decides():
    def streams(seed: int) -> list[list[int]]:
        x = inputs = keras.Input((6,))
        for _ in range(2):
            x = layers.Dropout(0.5)(layers.Dense(6)(x))
        return [state.tolist() for state in name_streams(keras.Model(inputs, x), seed)]

    one, other = streams(3)
    assert one != other
    assert streams(3) == [one, other]
    assert not [state for state in streams(4) if state in (one, other)]


def test_passes_that_are_cut_anywhere_are_whole_and_go_on_from_their_state():
    labels = np.zeros(10, int)
    passes = Passes(labels, "shuffle", np.random.default_rng(0))
    cuts = [passes.take(count) for count in (3, 6, 9, 1, 15)]  # twice with one image left
    drawn = np.concatenate(cuts)[:30].reshape(3, 10)  # what was taken does not change with the next pass
    assert [len(cut) for cut in cuts] == [3, 6, 9, 1, 15]
    assert np.array_equal(np.sort(drawn, axis=1), np.tile(np.arange(10), (3, 1)))
    assert len({tuple(one) for one in drawn}) == 3
    rng = np.random.default_rng(1)
    rng.bit_generator.state = passes.rng.bit_generator.state
    again = Passes(labels, "shuffle", rng)
    for mine, theirs in zip(again.state, passes.state, strict=True):
        mine.copy_(theirs)
    assert np.array_equal(again.take(25), passes.take(25))
