"""An autoencoder: it learns without labels to give back pictures that went through a narrow place."""

import keras
from keras import layers

from keras_azure import MODELS, Spec


def autoencoder(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    filters: tuple[int, ...] = (16, 32),
    dense: tuple[int, ...] = (256,),
) -> keras.Model:
    """The network `cnn` up to its probabilities as encoder, and its mirror image as decoder.

    What comes out is the picture with levels 0..1. The encoder is a model of its own, `encoder`, from which others can
    start: `kaz run cnn --set weights=RUN` and `kaz run transfer --set backbone=encoder --set weights=RUN`.

    Args:
        input_shape: height, width and channels of a picture with pixels 0..255.
        num_classes: of the data set; it makes no difference.
        filters: the filters of the encoder's convolutions, as in `cnn`.
        dense: the units of the fully connected layers behind them, as in `cnn`; the last are the code.
    """
    network: keras.Model = MODELS.build(Spec("cnn", {"filters": filters, "dense": dense}), input_shape, num_classes)
    encoder = keras.Model(network.inputs[0], network.layers[-2].output, name="encoder")
    pixels = layers.Input(input_shape, name="pixels")
    return keras.Model(pixels, _decoder(encoder, input_shape, filters)(encoder(pixels)), name="autoencoder")


def _decoder(encoder: keras.Model, input_shape: tuple[int, int, int], filters: tuple[int, ...]) -> keras.Model:
    """From a code back to levels 0..1."""
    sizes = [input_shape[:2]]
    for _ in filters:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    height, width = sizes[-1]
    channels = filters[-1] if filters else input_shape[-1]
    code = layers.Input(encoder.output_shape[1:], name="code")
    levels = layers.Dense(height * width * channels, activation="relu", name="spread")(code)
    levels = layers.Reshape((height, width, channels), name="as_picture")(levels)
    for number, (count, (height, width)) in enumerate(zip(filters[::-1], sizes[-2::-1], strict=True), start=1):
        levels = layers.Conv2DTranspose(
            count, 3, strides=2, padding="same", activation="relu", name=f"transposed_{number}"
        )(levels)
        # Twice a half that was rounded up may be a row or a column too many.
        surplus = ((0, levels.shape[1] - height), (0, levels.shape[2] - width))
        levels = layers.Cropping2D(surplus, name=f"crop_{number}")(levels)
    levels = layers.Conv2D(input_shape[-1], 3, padding="same", activation="sigmoid", dtype="float32", name="levels")(
        levels
    )
    return keras.Model(code, levels, name="decoder")
