"""Applies augmentations to pictures, every draw being a function of `(seed, epoch, sample index)`.

An augmentation is a Keras preprocessing layer, or a function of the same form: pictures, or a mapping of "images" and
"labels", in; the same out, in the same shape.
"""

import re
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from keras_azure.errors import BrokenPlugin
from keras_azure.registry import AUGMENTATIONS

# (pictures (batch, height, width, channels), labels (batch, num_classes), draws (batch, 3)) -> (pictures, labels)
Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def build_augment(specs: Sequence[str], image_shape: tuple[int, int, int], num_classes: int) -> Augment | None:
    """One function that applies the named augmentations in their order, or None when there are none.

    Raises:
        BrokenPlugin: an augmentation changes the pictures' shape or cannot take them.
    """
    if not specs:
        return None
    draws = SampleDraws()
    stages = []
    for spec in specs:
        augmentation = AUGMENTATIONS.build(spec)
        if isinstance(augmentation, keras.Layer):
            _draw_from(augmentation, draws)
        stages.append(_adapted(augmentation, draws, spec, image_shape, num_classes))

    def augment_one(image: tf.Tensor, label: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draws.begin(draw)
        images, labels = image[None], label[None]  # layers differ in what they make of a picture without a batch
        for stage in stages:
            images, labels = stage(images, labels)
        return tf.cast(images[0], tf.float32), labels[0]

    def augment(images: tf.Tensor, labels: tf.Tensor, sample_draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.cast(images, tf.float32)
        return tf.map_fn(
            lambda sample: augment_one(*sample),
            (images, labels, sample_draws),
            fn_output_signature=(tf.TensorSpec(image_shape, tf.float32), tf.TensorSpec((num_classes,), tf.float32)),
        )

    return augment


class SampleDraws(keras.random.SeedGenerator):
    """Stands in for the seed generators of Keras layers: its seeds follow from one sample alone, with no state."""

    def begin(self, draw: tf.Tensor) -> None:
        """Turns to a sample; `draw` is its `(seed, epoch, sample index)`."""
        seed = tf.stack([draw[0], tf.zeros_like(draw[0])])
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


def _adapted(
    augmentation: Callable, draws: SampleDraws, spec: str, image_shape: tuple[int, int, int], num_classes: int
) -> Callable:
    """The augmentation as a function of pictures and labels, whichever of the two forms it has."""

    def with_labels(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        out = augmentation({"images": images, "labels": labels})
        return out["images"], out["labels"]

    def pictures_alone(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augmentation(images), labels

    def traced(form: Callable) -> tf.TensorShape:
        def once(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            draws.begin(tf.zeros(3, tf.int64))
            return form(images, labels)[0]

        signature = [tf.TensorSpec((1, *image_shape), tf.float32), tf.TensorSpec((1, num_classes), tf.float32)]
        return tf.function(once, input_signature=signature).get_concrete_function().output_shapes

    failure: Exception | None = None
    for form in (with_labels, pictures_alone):
        try:
            shape = traced(form)
        except Exception as error:  # whatever a stranger's code raises for the form that it does not take
            failure = error
            continue
        if not shape.is_compatible_with((1, *image_shape)):
            raise BrokenPlugin(
                f"The augmentation {spec} makes pictures of {shape[1:]} from pictures of {image_shape}.",
                expected="the same shape out as in",
            )
        return form
    raise BrokenPlugin(
        f"The augmentation {spec} cannot take pictures of {image_shape}: {_reason(failure)}",
        hint=f"kaz check {spec.partition('(')[0]}",
    ) from failure


def _reason(failure: Exception) -> str:
    """What was said of an error in a traced function, without the places and arguments that surround it."""
    paragraphs = [" ".join(text.split()) for text in re.split(r"\n\s*\n", str(failure))]
    around = ("in user code", "File ", "Arguments received")
    said = " ".join(text for text in paragraphs if not text.startswith(around))
    return said if said.startswith(type(failure).__name__) else f"{type(failure).__name__}: {said}"
