"""Any network of keras.applications, or an encoder of one's own, with a new head."""

import keras

from keras_azure import TaskName, transfer_model


def transfer(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str = "efficientnetv2b0",
    head: str = "linear",
    weights: str = "imagenet",
    trainable_blocks: int | None = None,
    image_size: tuple[int, int] | int | None = None,
    task: TaskName = "classify",
) -> keras.Model:
    """A network that was trained elsewhere, without its top, average pooling, and a head.

    Args:
        input_shape: height, width and channels of a picture with pixels 0..255.
        num_classes: how many probabilities or numbers come out.
        backbone: a network of keras.applications in lower case, such as "mobilenetv3small", "inceptionv3" or
            "convnexttiny"; or "encoder", for the one in the model.keras that `weights` names.
        head: "linear", or "mlp(units=256, dropout=0.0)".
        weights: "imagenet", "none", or a file of weights without the top: `.keras`, `.weights.h5` or `.h5`.
        trainable_blocks: how many of the backbone's blocks are trained, counted from the end. By default none, and
            all where there are no weights to keep.
        image_size: the height and width that pictures are brought to in the model. By default those that the backbone
            was trained on, and without weights the pictures' own.
        task: what for: "classify", "multilabel" or "regress".
    """
    return transfer_model(
        backbone,
        input_shape,
        num_classes,
        task=task,
        head=head,
        weights=weights,
        trainable_blocks=trainable_blocks,
        image_size=image_size,
    )
