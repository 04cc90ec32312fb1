"""The chapter's convolutional network: small, and trained from scratch in minutes."""

import keras
from keras import layers

from keras_azure import TaskName, output_layer, start_from


def cnn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    filters: tuple[int, ...] = (16, 32),
    dense: tuple[int, ...] = (256,),
    dropout: float = 0.0,
    weights: str = "none",
    task: TaskName = "classify",
) -> keras.Model:
    """Convolutions that halve the picture one after another, then fully connected layers.

    On 28x28x1 pictures of 10 classes it has 409,034 parameters, on 28x28x3 it has 409,322.

    Args:
        input_shape: height, width and channels of a picture with pixels 0..255.
        num_classes: how many probabilities or numbers come out.
        filters: the filters of each 3x3 convolution; a maximum over 2x2 pixels follows each.
        dense: the units of each fully connected layer.
        dropout: the share of units that is left out in training behind each fully connected layer.
        weights: "none", or the run or model.keras of another `cnn` or of an `autoencoder`, from which all layers start
            but the last.
        task: what for: "classify", "multilabel" or "regress".

    Raises:
        ValueError: an option is out of its range.
    """
    if any(count < 1 for count in (*filters, *dense)):
        raise ValueError(f"filters={filters} and dense={dense} must be 1 or more each")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout} must be at least 0 and below 1")

    # Every layer has a name of its own: Keras would count on through the process, and two equal networks would differ.
    network = [layers.Input(input_shape, name="pixels"), layers.Rescaling(1 / 255, name="scale")]
    for number, count in enumerate(filters, start=1):
        network += [
            layers.Conv2D(count, 3, padding="same", activation="relu", name=f"convolution_{number}"),
            # "same" changes nothing while the size is even, and leaves a pixel of the smallest picture to work on.
            layers.MaxPooling2D(2, padding="same", name=f"pool_{number}"),
        ]
    network.append(layers.Flatten(name="flatten"))
    for number, units in enumerate(dense, start=1):
        network.append(layers.Dense(units, activation="relu", name=f"dense_{number}"))
        if dropout:
            network.append(layers.Dropout(dropout, name=f"dropout_{number}"))
    network.append(output_layer(num_classes, task))
    model = keras.Sequential(network, name="cnn")
    if weights != "none":
        start_from(model, weights)
    return model
