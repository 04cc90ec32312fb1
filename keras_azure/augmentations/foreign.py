"""Augmentations of other packages, as they are: any Keras preprocessing layer, or a function of the same form.

Pictures, or a mapping of "images" and "labels", in; the same out, in the same shape. Each picture is changed by itself,
and what is random in a Keras layer is drawn from its `(seed, epoch, sample index)` instead of the layer's own state.
"""

import re
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_azure.errors import BrokenPlugin

Form = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class ForeignAugmentation:
    """One such augmentation in the pipeline.

    Args:
        augmentation: the layer or function.
        spec: what it is called in messages.
        stream: sets its random numbers apart from those of the others.

    Raises:
        BrokenPlugin: it changes the pictures' shape or cannot take them.
    """

    def __init__(
        self,
        augmentation: Callable[..., tf.Tensor],
        spec: str,
        stream: int,
        image_shape: tuple[int, int, int],
        num_classes: int,
    ):
        self._draws = SampleDraws(stream)
        self._image_shape = image_shape
        self._num_classes = num_classes
        if isinstance(augmentation, keras.Layer):
            _draw_from(augmentation, self._draws)
        self._form = self._working_form(augmentation, spec)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Changes pictures (batch, height, width, channels) and labels (batch, num_classes).

        Args:
            draws: `(seed, epoch, sample index)` of each, int64 (batch, 3).

        Returns:
            Pictures and labels, float32.
        """
        pixels, shares = tf.TensorSpec(self._image_shape, tf.float32), tf.TensorSpec((self._num_classes,), tf.float32)
        return tf.map_fn(
            lambda sample: self._one(*sample),
            (tf.cast(images, tf.float32), labels, draws),
            fn_output_signature=(pixels, shares),
        )

    def _one(self, image: tf.Tensor, label: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        self._draws.begin(draw)
        # With a batch of one: layers differ in what they make of a picture without a batch.
        images, labels = self._form(image[None], label[None])
        return tf.cast(images[0], tf.float32), labels[0]

    def _working_form(self, augmentation: Callable[..., tf.Tensor], spec: str) -> Form:
        """The augmentation as a function of pictures and labels, whichever of the two forms it has."""

        def with_labels(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            out = augmentation({"images": images, "labels": labels})
            return out["images"], out["labels"]

        def pictures_alone(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return augmentation(images), labels

        failures: list[Exception] = []
        for form in (with_labels, pictures_alone):
            try:
                shape = self._traced(form)
            except Exception as error:  # whatever a stranger's code raises for the form that it does not take
                failures.append(error)
                continue
            if not shape.is_compatible_with((1, *self._image_shape)):
                raise BrokenPlugin(
                    f"The augmentation {spec} makes pictures of {shape[1:]} from pictures of {self._image_shape}.",
                    expected="the same shape out as in",
                )
            return form
        raise BrokenPlugin(
            f"The augmentation {spec} cannot take pictures of {self._image_shape}: {_reason(failures[-1])}",
            hint=f"kaz check {spec.partition('(')[0]}",
        ) from failures[-1]

    def _traced(self, form: Form) -> tf.TensorShape:
        def once(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            self._draws.begin(tf.zeros(3, tf.int64))
            return form(images, labels)[0]

        images = tf.TensorSpec((1, *self._image_shape), tf.float32)
        labels = tf.TensorSpec((1, self._num_classes), tf.float32)
        return tf.function(once, input_signature=[images, labels]).get_concrete_function().output_shapes


class SampleDraws(keras.random.SeedGenerator):
    """Stands in for the seed generators of Keras layers: its seeds follow from one sample alone, with no state."""

    def __init__(self, stream: int):
        super().__init__(0)
        self._stream = stream

    def begin(self, draw: tf.Tensor) -> None:
        """Turns to a sample; `draw` is its `(seed, epoch, sample index)`."""
        seed = tf.stack([draw[0], tf.constant(self._stream, draw.dtype)])
        for number in (draw[1], draw[2]):
            seed = tf.random.experimental.stateless_fold_in(seed, number)
        self._seed = seed
        self._drawn = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        self._drawn += 1
        return tf.cast(tf.random.experimental.stateless_fold_in(self._seed, self._drawn), tf.int32)


def _draw_from(layer: keras.Layer, draws: SampleDraws) -> None:
    for part in layer._flatten_layers():
        for name, value in list(vars(part).items()):
            if isinstance(value, keras.random.SeedGenerator):
                object.__setattr__(part, name, draws)
        object.__setattr__(part, "_get_seed_generator", lambda backend=None: draws)


def _reason(failure: Exception) -> str:
    """What was said of an error in a traced function, without the places and arguments that surround it."""
    paragraphs = [" ".join(text.split()) for text in re.split(r"\n\s*\n", str(failure))]
    around = ("in user code", "File ", "Arguments received")
    said = " ".join(text for text in paragraphs if not text.startswith(around))
    return said if said.startswith(type(failure).__name__) else f"{type(failure).__name__}: {said}"
