"""The outputs of a frozen network, computed once for all epochs."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_azure.observers import Observer

BATCH_SIZE = 32  # pictures that features are computed of at once


def compute_features(
    network: keras.Model, batches: Iterable[tuple[Any, Any]], pictures: int, observer: Observer
) -> tuple[np.ndarray, np.ndarray]:
    """What the network gives for each of a stream of pictures, and their labels.

    Args:
        batches: pictures (batch, height, width, channels) and one-hot labels.
        pictures: how many there will be.

    Returns:
        float32 (pictures, num_features), which holds all of half precision too, and int64 (pictures,).
    """
    features, labels = [], []
    done = 0
    for images, one_hot in batches:
        # NumPy in between: tf.data gives TensorFlow's tensors, which no other engine takes.
        features.append(np.asarray(network.predict_on_batch(np.asarray(images)), np.float32))
        labels.append(np.asarray(one_hot).argmax(axis=1))
        done += len(images)
        observer.advance("Computing features", done, pictures)
    return np.concatenate(features), np.concatenate(labels)
