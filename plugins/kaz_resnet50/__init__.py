"""ResNet-50 with a new head, as the chapter builds it."""

import keras

from keras_azure import TaskName, transfer_model


def resnet50(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    head: str = "mlp(units=256)",
    weights: str = "imagenet",
    trainable_blocks: int | None = None,
    image_size: tuple[int, int] | int | None = None,
    task: TaskName = "classify",
) -> keras.Model:
    """ResNet-50 without its top (23,587,712 parameters), average pooling, and a head.

    Args:
        input_shape: height, width and channels of a picture with pixels 0..255.
        num_classes: how many probabilities or numbers come out.
        head: "linear", or "mlp(units=256, dropout=0.0)".
        weights: "imagenet", "none", or a file of weights without the top: `.keras`, `.weights.h5` or `.h5`.
        trainable_blocks: how many of the 16 residual blocks are trained, counted from the end. By default none, and
            all where there are no weights to keep.
        image_size: the height and width that pictures are brought to in the model. By default 224, and without
            weights the pictures' own.
        task: what for: "classify", "multilabel" or "regress".
    """
    return transfer_model(
        "resnet50",
        input_shape,
        num_classes,
        task=task,
        head=head,
        weights=weights,
        trainable_blocks=trainable_blocks,
        image_size=image_size,
    )
