"""The stages of fine-tuning: which blocks of the backbone each of them trains."""

import keras

from keras_azure.description.config import RunConfig
from keras_azure.description.stages import Stage
from keras_azure.errors import UsageError
from keras_azure.models.kinds import NETWORK, Model, kind_of
from keras_azure.models.parts import Parts, blocks_of, frozen_parts, parts_of, set_trainable_blocks
from keras_azure.registry.registry import as_spec


def check_stages(model: Model, config: RunConfig) -> None:
    """Refuses to fine-tune what has nothing frozen.

    Raises:
        UsageError: the model has no backbone, or it is trained from the beginning.
    """
    if config.fine_tune is None:
        return
    name, parts = as_spec(config.model).name, parts_of(model) if kind_of(model) is NETWORK else None
    if parts is None:
        raise UsageError(
            f"The model {name!r} has no backbone whose blocks could be trained in stages.",
            expected="a model with the parts features and head, such as resnet50 or transfer",
        )
    if parts.features.trainable_weights:
        raise UsageError(
            f"The backbone of {name!r} is trained from the beginning, and nothing is left to unfreeze in stages.",
            hint="--set trainable_blocks=0",
        )


def enter_stage(model: keras.Model, stage: Stage, learning_rate: float) -> str:
    """Makes what a stage trains trainable, and all else not, before the model is compiled; gives a line about it."""
    parts = parts_of(model)
    assert parts is not None  # a run of stages without them is refused
    total = len(blocks_of(parts.backbone))
    count = stage.blocks_of(total)
    set_trainable_blocks(parts.backbone, count)
    what = f"the head and the last {count} of {total} blocks" if count else "the head"
    return f"Stage {stage.number}: training {what}, with learning rate {learning_rate:g}"


def parts_to_train_apart(model: keras.Model, config: RunConfig, *, augmented: bool) -> Parts | None:
    """The parts of a model whose features of an image are the same in each epoch, so that they are computed only
    once, and the head is trained on them; else None.

    Args:
        augmented: whether images are changed in each epoch.
    """
    return None if augmented or config.cache == "none" else frozen_parts(model)


def head_alone(parts: Parts) -> keras.Model:
    """The head, to be trained on features with the whole model's optimizer.

    A model around the head's layers: were the head compiled itself, its part of the whole model would be where Keras
    saves the optimizer, and does not look for it.
    """
    return keras.Model(parts.head.inputs, parts.head.outputs, name="head_alone")
