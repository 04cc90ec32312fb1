"""What is hot is what the network goes by: without it the class is less probable than without as much elsewhere."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from keras_azure.data.digits import digits
from keras_azure.explaining import grad_cam, integrated_gradients

SHARE = 0.2  # of an image's pixels
MASKS = 20


def hottest(maps):
    """Where the hottest pixels of each map are, as bool (n, height, width)."""
    flat = maps.reshape(len(maps), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, : int(SHARE * flat.shape[1])]
    masks = np.zeros(flat.shape, bool)
    np.put_along_axis(masks, order, True, axis=1)
    return masks.reshape(maps.shape)


def p_values(model, images, maps):
    """Of the drop without the hottest pixels being no greater than the mean drop without others: pixels anywhere, and
    the same shapes elsewhere."""
    probabilities = model.predict_on_batch(images.astype(np.float32))
    rows, classes = np.arange(len(images)), probabilities.argmax(axis=1)
    means = images.mean(axis=(1, 2), keepdims=True, dtype=np.float32)

    def drop(masks):
        left = np.where(masks[..., np.newaxis], means, images.astype(np.float32))
        return probabilities[rows, classes] - model.predict_on_batch(left)[rows, classes]

    rng, hot = np.random.default_rng(0), hottest(maps)
    sides = np.array(maps.shape[1:])
    anywhere = [drop(hottest(rng.random(maps.shape))) for _ in range(MASKS)]
    elsewhere = [drop(np.stack([np.roll(each, rng.integers(0, sides), (0, 1)) for each in hot])) for _ in range(MASKS)]
    drops = drop(hot)
    return [wilcoxon(drops, np.mean(others, axis=0), alternative="greater").pvalue for others in (anywhere, elsewhere)]


def test_of_a_cnn(trained_cnn):
    images = digits().arrays("test")[0][:96]
    assert max(p_values(trained_cnn, images, grad_cam(trained_cnn, images))) < 0.01


@pytest.mark.slow
def test_of_a_residual_network_in_a_transfer_model(trained_residual, test_images):
    assert max(p_values(trained_residual, test_images, grad_cam(trained_residual, test_images))) < 0.01


@pytest.mark.slow
def test_of_integrated_gradients(trained_residual, test_images):
    added = np.abs(integrated_gradients(trained_residual, test_images[:48])).sum(axis=-1)
    assert max(p_values(trained_residual, test_images[:48], added)) < 0.01


def test_a_map_of_another_class_fails(trained_cnn):
    """The test itself can fail: what speaks for another class is not what the predicted one goes by."""
    images = digits().arrays("test")[0][:96]
    cold = 1 - grad_cam(trained_cnn, images)
    assert min(p_values(trained_cnn, images, cold)) > 0.01
