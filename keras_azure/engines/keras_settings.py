"""What Keras has one of in a process, and a model depends on: set for a run, whatever a user's keras.json says."""

import contextlib
from collections.abc import Iterator

import keras

FLOATX, EPSILON, IMAGE_DATA_FORMAT = "float32", 1e-7, "channels_last"  # those that Keras has itself


@contextlib.contextmanager
def keras_settings(precision: str = FLOATX) -> Iterator[None]:
    """Builds and runs models as our runs do, and leaves the user's own settings in place afterwards.

        with keras_settings("mixed_float16"):
            model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(8, 3)])

    Args:
        precision: the Keras dtype policy.
    """
    config = keras.config
    before = config.dtype_policy(), config.floatx(), config.epsilon(), config.image_data_format()
    _set(precision, FLOATX, EPSILON, IMAGE_DATA_FORMAT)
    try:
        yield
    finally:
        _set(*before)


def _set(policy: str | keras.DTypePolicy, floatx: str, epsilon: float, image_data_format: str) -> None:
    keras.config.set_floatx(floatx)
    keras.config.set_epsilon(epsilon)
    keras.config.set_image_data_format(image_data_format)
    keras.config.set_dtype_policy(policy)
