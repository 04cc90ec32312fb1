"""The contract of augmentations."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from keras_azure.registry.registry import AUGMENTATIONS
from keras_azure.registry.specs import Spec
from keras_azure.testing.findings import SUM_TOLERANCE, Findings, name_of, numbers, some_pixels, with_article


def check_augmentation(augmentation: Callable[[Any], Any] | str | Spec) -> None:
    """Checks a Keras layer or a function which takes pictures, or a mapping of "images" and one-hot "labels".

    Args:
        augmentation: the layer or function, or the spec of a registered one.

    Raises:
        ContractError: the augmentation breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.
    """
    subject = f"The augmentation {name_of(augmentation)!r}"
    if isinstance(augmentation, str | Spec):
        augmentation = AUGMENTATIONS.build(augmentation)
    findings = Findings(subject)
    images = some_pixels((32, 40, 3), count=6)  # (6, 32, 40, 3)
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]  # (6, 3)

    def augmented(data: Any) -> Any:
        # As in training: traced by tf.data.
        mapped = tf.data.Dataset.from_tensors(data).map(augmentation).get_single_element()
        return tf.nest.map_structure(np.asarray, mapped)

    forms = {
        'a mapping of "images" and "labels"': lambda pixels: {"images": pixels, "labels": labels},
        "pictures alone": lambda pixels: pixels,
    }
    refusals = []
    for form, made in forms.items():
        try:
            augmented(made(images))
        except Exception as error:  # whatever a stranger's code raises for the form that it does not take
            refusals.append((form, error))
            continue
        for pixels in (images, images.astype(np.uint8)):
            case = f"given {form} of {pixels.dtype}"
            with findings.when(case):
                findings.extend(_augmented_problems(augmented(made(pixels)), made(pixels), case))
    if len(refusals) == len(forms):
        for form, refusal in refusals:
            findings.failed(f"given {form} in tf.data", refusal)
    findings.settle()


def _augmented_problems(out: Any, data: Any, case: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        if not isinstance(out, dict) or not data.keys() <= out.keys():
            yield f"{case}, it gives {with_article(out)}", 'a mapping of "images" and "labels"'
            return
        yield from _augmented_problems(out["images"], data["images"], case)
        labels, before = np.asarray(out["labels"]), data["labels"]
        if labels.shape != before.shape:
            yield f"{case}, labels {before.shape} become {labels.shape}", "the same shape"
        elif not np.allclose(labels.sum(axis=1), 1, atol=SUM_TOLERANCE):
            yield f"{case}, a label becomes {numbers(labels[0])}", "shares that add up to 1"
        return
    shape = getattr(out, "shape", None)
    if shape != data.shape:
        yield f"{case}, pictures {data.shape} become {shape or with_article(out)}", "the same shape"
    elif not np.isfinite(np.asarray(out, np.float64)).all():
        yield f"{case}, some pixels are no finite numbers", "finite pixels"
