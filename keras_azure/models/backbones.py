"""Networks of `keras.applications` by name, or any other, without their tops, as models that take pixels 0..255.

A transfer model has two parts, each a model of its own: `features`, from pixels to a vector, and `head`, from there to
probabilities. Within `features` is the network itself, `backbone`. Training looks for these three names: see parts.py.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
from keras import layers

from keras_azure.data import TaskName
from keras_azure.errors import UnknownName
from keras_azure.models.foreign import Preprocessing, foreign_network, preprocessing_function
from keras_azure.models.heads import build_head
from keras_azure.models.parts import name_block_starts, set_trainable_blocks, without_dropout
from keras_azure.models.weights import load_encoder, load_weights

ENCODER = "encoder"  # in place of a network's name: the one that is in the file of the weights
Shape = tuple[int, int, int]  # height, width, channels
Preprocess = Callable[[keras.KerasTensor], keras.KerasTensor]
Size = tuple[int, int] | int  # height and width; a number stands for both


@dataclass(frozen=True)
class Family:
    """What the networks of one module of keras.applications have in common.

    Attributes:
        preprocess: what brings pixels 0..255 to what they were trained on, as layers and operations.
        smallest: the height and width that a picture must have.
    """

    preprocess: Preprocess
    smallest: int = 32


def _subtract_means(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Blue, green and red less their means over ImageNet, as Caffe had it."""
    means = layers.Normalization(mean=(123.68, 116.779, 103.939), variance=(1.0, 1.0, 1.0), name="subtract_means")
    return keras.ops.flip(means(pixels), axis=-1)


def _to_plus_minus_one(pixels: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Rescaling(1 / 127.5, offset=-1.0, name="to_plus_minus_one")(pixels)


def _standardize(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Mean 0 and deviation 1 over ImageNet, as PyTorch's networks have it."""
    mean = [255 * value for value in (0.485, 0.456, 0.406)]
    variance = [(255 * value) ** 2 for value in (0.229, 0.224, 0.225)]
    return layers.Normalization(mean=mean, variance=variance, name="standardize")(pixels)


def _as_they_are(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """The network has its preprocessing in it."""
    return pixels


# By the last part of the module's name. A test compares each with the module's own preprocess_input.
_FAMILIES = {
    "convnext": Family(_as_they_are),
    "densenet": Family(_standardize),
    "efficientnet": Family(_as_they_are),
    "efficientnet_v2": Family(_as_they_are),
    "inception_resnet_v2": Family(_to_plus_minus_one, 75),
    "inception_v3": Family(_to_plus_minus_one, 75),
    "mobilenet": Family(_to_plus_minus_one),
    "mobilenet_v2": Family(_to_plus_minus_one),
    "mobilenet_v3": Family(_as_they_are),
    "nasnet": Family(_to_plus_minus_one),
    "resnet": Family(_subtract_means),
    "resnet_v2": Family(_to_plus_minus_one),
    "vgg16": Family(_subtract_means),
    "vgg19": Family(_subtract_means),
    "xception": Family(_to_plus_minus_one, 71),
}
_USUAL_SIZE = 224  # height and width that the networks were trained on, where nothing else stands here
_SIZES = {
    "inceptionv3": 299,
    "inceptionresnetv2": 299,
    "xception": 299,
    "nasnetlarge": 331,
    "efficientnetb1": 240,
    "efficientnetb2": 260,
    "efficientnetb3": 300,
    "efficientnetb4": 380,
    "efficientnetb5": 456,
    "efficientnetb6": 528,
    "efficientnetb7": 600,
    "efficientnetv2b1": 240,
    "efficientnetv2b2": 260,
    "efficientnetv2b3": 300,
    "efficientnetv2s": 384,
    "efficientnetv2m": 480,
    "efficientnetv2l": 480,
}


def networks() -> dict[str, Callable[..., keras.Model]]:
    """The networks of keras.applications by their names in lower case: "resnet50", "efficientnetv2b0"."""
    found = {name.lower(): value for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    return {name: function for name, function in sorted(found.items()) if _module(function) in _FAMILIES}


def transfer_model(
    backbone: str | keras.Model,
    input_shape: Shape,
    num_classes: int,
    *,
    task: TaskName = "classify",
    preprocessing: Preprocessing | None = None,
    block_starts: Sequence[str] = (),
    head: str = "linear",
    weights: str | None = None,
    trainable_blocks: int | None = None,
    image_size: Size | None = None,
) -> keras.Model:
    """A network without its top, average pooling, and a head for `num_classes` classes.

    Unless it is trained from scratch, the backbone computes in training as it does in prediction: its batch
    normalisation stays as it is, in all blocks, and Keras's dropout and noise are off.

    Args:
        backbone: a network of keras.applications in lower case, such as "resnet50"; or "encoder", for the encoder in
            the file of the `weights`; or a functional or sequential `keras.Model` from images to a vector or to feature
            maps, which becomes a part of the new model.
        input_shape: height, width and channels of a picture with pixels 0..255; one channel is repeated to three.
        num_classes: how many probabilities or numbers come out.
        task: what for: "classify", "multilabel" or "regress".
        preprocessing: what a `keras.Model` is given in place of pixels 0..255: a function of `keras.ops`, a layer, or
            `(scale, offset)` for `pixels * scale + offset`, each a number or one for each channel. It is saved with
            the model, and not trained.
        block_starts: the names of the layers that blocks begin with, to be unfrozen together. By default they follow
            from the form of the network.
        head: "linear", or "mlp(units=256, dropout=0.0)".
        weights: "imagenet", "none" to train from scratch, or a file of weights: `.keras`, `.weights.h5` or `.h5`. By
            default "imagenet" for a name; a `keras.Model` keeps its own.
        trainable_blocks: how many of the backbone's blocks are trained, counted from the end. By default none, and
            all where there are no weights to keep.
        image_size: the height and width that pictures are brought to in the model; a number stands for both. By
            default the size that the weights were trained on, and without weights the pictures' own if it is not too
            small. A `keras.Model` of one size keeps it.

    Raises:
        UnknownName: there is no such backbone or head.
        UnusableWeights: the weights are not there, damaged, unsafe, or of another network.
        DataUnavailable: the weights would have to be fetched, and that did not work.
        ValueError: a number is out of its range, or the `keras.Model` cannot be a backbone.

    Example:
        def my_net(input_shape, num_classes, *, weights: str = "none"):
            backbone = build()  # a keras.Model without its top
            return transfer_model(backbone, input_shape, num_classes, preprocessing=(1 / 255, 0), weights=weights)
    """
    if trainable_blocks is not None and trainable_blocks < 0:
        raise ValueError(f"trainable_blocks={trainable_blocks} must be 0 or more")
    from_scratch = weights == "none" and trainable_blocks is None
    features = features_model(
        *(backbone, input_shape),
        preprocessing=preprocessing,
        block_starts=block_starts,
        weights=weights,
        image_size=image_size,
        dropout=from_scratch,
    )
    if not from_scratch:
        set_trainable_blocks(features.get_layer("backbone"), trainable_blocks or 0)
    pixels = layers.Input(input_shape, name="pixels")
    head_model = build_head(head, features.output_shape[-1], num_classes, task)
    name = backbone if isinstance(backbone, str) else "transfer"
    return keras.Model(pixels, head_model(features(pixels)), name=name)


def features_model(
    backbone: str | keras.Model,
    input_shape: Shape,
    *,
    preprocessing: Preprocessing | None = None,
    block_starts: Sequence[str] = (),
    weights: str | None = None,
    image_size: Size | None = None,
    dropout: bool = False,
) -> keras.Model:
    """From pixels 0..255 to the vector of features: the first part of `transfer_model`.

    Args:
        dropout: keeps what the network leaves out at random in training.
    """
    if isinstance(backbone, str) and preprocessing is not None:
        raise ValueError(f"the backbone {backbone!r} has its own preprocessing: pass one with a keras.Model alone")
    network, preprocess = _network(backbone, input_shape, weights, image_size, preprocessing)
    if not dropout:
        network = without_dropout(network)
    # Under its new name afterwards: some of the functions of keras.applications find their settings by it.
    network = keras.Model(network.inputs[0], network.outputs[0], name="backbone")
    name_block_starts(network, block_starts)
    pixels = layers.Input(input_shape, name="pixels")
    prepared = preprocess(_brought_to(pixels, network.input_shape[1:]))
    features = keras.Model(pixels, network(prepared), name="features")
    for layer in features.layers:
        if layer is not network and layer.trainable_weights:
            layer.trainable = False
    return features


def _network(
    backbone: str | keras.Model,
    input_shape: Shape,
    weights: str | None,
    image_size: Size | None,
    preprocessing: Preprocessing | None,
) -> tuple[keras.Model, Preprocess]:
    """From prepared pixels to vectors, and what prepares them."""
    if isinstance(backbone, keras.Model):
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        return foreign_network(backbone, input_shape, weights, size), preprocessing_function(preprocessing)
    weights = "imagenet" if weights is None else weights
    if backbone == ENCODER:
        if image_size is not None:
            raise ValueError(f"image_size={image_size} cannot be chosen for an encoder, which has a size of its own")
        return load_encoder(weights), _as_they_are
    return _build(backbone, weights, _size(backbone, weights, image_size, input_shape))


def _build(name: str, weights: str, size: tuple[int, int]) -> tuple[keras.Model, Preprocess]:
    """The network, and what its pixels go through before."""
    function = _find(name)
    network = function(include_top=False, weights=None, input_shape=(*size, 3), pooling="avg")
    load_weights(network, function, weights)
    return network, _FAMILIES[_module(function)].preprocess


def _find(name: str) -> Callable[..., keras.Model]:
    known = networks()
    if name not in known:
        raise UnknownName.among("backbone", name, [*known, ENCODER])
    return known[name]


def _module(function: Callable[..., object]) -> str:
    return function.__module__.rpartition(".")[2]


def _size(name: str, weights: str, image_size: Size | None, input_shape: Shape) -> tuple[int, int]:
    """The height and width of the pictures that the network takes."""
    smallest = _FAMILIES[_module(_find(name))].smallest
    if image_size is not None:
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, width) < smallest:
            raise ValueError(f"image_size={image_size} is too small for {name}, which takes {smallest} or more")
        return height, width
    if weights != "none":
        return (_SIZES.get(name, _USUAL_SIZE),) * 2
    return max(input_shape[0], smallest), max(input_shape[1], smallest)


def _brought_to(pixels: keras.KerasTensor, shape: Shape) -> keras.KerasTensor:
    """Pictures in the size and with the channels that a network takes."""
    channels = pixels.shape[-1]
    if channels == 1 and shape[-1] == 3:
        pixels = layers.Concatenate(name="to_three_channels")([pixels] * 3)
    elif channels != shape[-1]:
        raise ValueError(f"its backbone takes pictures of {shape[-1]} channels, and these have {channels}")
    if tuple(pixels.shape[1:3]) != tuple(shape[:2]):
        pixels = layers.Resizing(*shape[:2], name="to_size")(pixels)
    return pixels
