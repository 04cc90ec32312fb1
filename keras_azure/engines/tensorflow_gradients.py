"""Gradients by TensorFlow's tape, within a graph: operation by operation it would compute those of kernels, too, which
nobody asks for and which take as long as all the rest."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_azure.engines.gradients import Forward, Slopes


class TensorFlowGradients:
    """As `Gradients` says."""

    def __init__(self, model: keras.Model, forward: Forward):
        self._forward = forward
        self._traced = tf.function(self._slopes, autograph=False)

    def __call__(self, *inputs: np.ndarray) -> Slopes:
        return Slopes(*(np.asarray(each) for each in self._traced(*map(tf.convert_to_tensor, inputs))))

    def _slopes(self, *inputs: Any) -> tuple[Any, ...]:
        tapped: list[Any] = []
        # Without its variables the tape keeps nothing of what comes before the tap.
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def tap(values: Any) -> Any:
                tape.watch(values)
                tapped.append(values)
                return values

            scores, outputs = self._forward(*inputs, tap)
        gradients = tape.gradient(scores, tapped[-1], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tapped[-1], gradients, scores, outputs
