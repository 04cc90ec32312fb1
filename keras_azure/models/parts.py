"""The parts of a transfer model, and the blocks of its backbone.

A model whose layers end with two models, called "features" and "head", can be trained in steps: the head alone on
features that are computed once, then the last blocks of "backbone", a model within "features".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

_POOLING = (layers.MaxPooling2D, layers.AveragePooling2D)
_RANDOM = (layers.Dropout, layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise)
_STARTS = "block_starts"  # the attribute of a backbone that has named ones


@dataclass(frozen=True)
class Parts:
    """A transfer model, taken apart; the parts share its weights.

    Attributes:
        features: from pixels 0..255 to (batch, num_features).
        head: from there to probabilities.
        backbone: the network within `features`.
    """

    features: keras.Model
    head: keras.Model
    backbone: keras.Model


def parts_of(model: keras.Model) -> Parts | None:
    """The parts of a model, also behind layers that standardise its pictures; None if it has none."""
    last = model.layers[-1]
    if isinstance(last, keras.Model) and last.name != "head":
        inner = parts_of(last)
        if inner is None:
            return None
        features = keras.Sequential([*_inputs(model), *model.layers[:-1], inner.features], name="features")
        return Parts(features, inner.head, inner.backbone)
    found = {layer.name: layer for layer in model.layers}
    features, head = found.get("features"), found.get("head")
    if not isinstance(features, keras.Model) or head is not last:
        return None
    backbone = next((layer for layer in features.layers if layer.name == "backbone"), None)
    return Parts(features, head, backbone) if isinstance(backbone, keras.Model) else None


def frozen_parts(model: keras.Model) -> Parts | None:
    """The parts of a model all of whose features stay as they are while its head is trained; else None."""
    parts = parts_of(model)
    return parts if parts is not None and not parts.features.trainable_weights else None


def blocks_of(backbone: keras.Model) -> list[list[keras.Layer]]:
    """The layers with weights in blocks, from the input to the output.

    Where `name_block_starts` named layers, a block begins with each of them. Else a block ends where the network is one
    tensor wide again behind a layer that joins branches, or one that pools: the residual blocks of a ResNet, the
    modules of an Inception, the stages of a VGG. In a network that does neither, each convolution is a block. A model
    within the network is in one block as a whole.
    """
    starts = getattr(backbone, _STARTS, ())
    ends = set() if starts else _block_ends(backbone)
    blocks: list[list[keras.Layer]] = [[]]
    for layer in backbone.operations:
        if layer.name in starts and _learns(blocks[-1]):
            blocks.append([])
        if getattr(layer, "weights", None):
            blocks[-1].append(layer)
        if layer.name in ends and _learns(blocks[-1]):
            blocks.append([])
    return [block for block in blocks if _learns(block)]


def name_block_starts(backbone: keras.Model, names: Sequence[str]) -> None:
    """Has blocks begin with the layers of these names; files of the model do not keep it.

    Raises:
        ValueError: the backbone has no such layer.
    """
    known = {layer.name for layer in backbone.layers}
    if missing := [name for name in names if name not in known]:
        raise ValueError(f"the backbone has no layer {missing[0]!r} for a block to begin with")
    setattr(backbone, _STARTS, tuple(names))


def set_trainable_blocks(backbone: keras.Model, count: int) -> None:
    """Freezes all but the last `count` blocks, and all batch normalisation: training on few pictures would spoil it."""
    blocks = blocks_of(backbone)
    trained = {id(layer) for block in blocks[max(len(blocks) - count, 0) :] for layer in block}
    backbone.trainable = bool(trained)  # of all layers, so before each one's own
    for layer in backbone.layers:
        layer.trainable = id(layer) in trained
        for part in layer._flatten_layers():  # itself, and what is in it
            if isinstance(part, layers.BatchNormalization):
                part.trainable = False


def without_dropout(network: keras.Model) -> keras.Model:
    """The network without Keras's dropout and noise in training; itself, if that is so already.

    Calling it with `training=False` would do as much, but a model's own `training=True` goes over it (Keras 3.15).
    """
    if not any(isinstance(layer, _RANDOM) for layer in network._flatten_layers()):
        return network

    def copy(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if isinstance(layer, _RANDOM):
            config |= {strength: 0.0 for strength in ("rate", "stddev") if strength in config}
        return type(layer).from_config(config)

    copied = keras.models.clone_model(network, clone_function=copy, recursive=True)
    copied.set_weights(network.get_weights())
    return copied


def _learns(block: list[keras.Layer]) -> bool:
    return any(not isinstance(layer, layers.BatchNormalization) for layer in block)


def _block_ends(network: keras.Model) -> set[str]:
    """The names of what joins branches or pools, where nothing goes past it."""
    operations = network.operations  # each behind those that it takes from
    number = {operation.name: place for place, operation in enumerate(operations)}
    sources = {
        operation.name: {source._keras_history.operation.name for source in keras.tree.flatten(operation.input)}
        for operation in operations
        if not isinstance(operation, layers.InputLayer)
    }
    # The furthest place that anything before a place is still needed at.
    needed_at = [0] * len(operations)
    for name, taken in sources.items():
        for source in taken:
            needed_at[number[source]] = max(needed_at[number[source]], number[name])
    ends, furthest = set(), 0
    for place, operation in enumerate(operations):
        joins = len(sources.get(operation.name, ())) > 1 or isinstance(operation, _POOLING)
        if joins and furthest <= place:
            ends.add(operation.name)
        furthest = max(furthest, needed_at[place])
    return ends or {operation.name for operation in operations}


def _inputs(model: keras.Model) -> Sequence[keras.Layer]:
    return [layers.Input(model.input_shape[1:], name="pixels")]
