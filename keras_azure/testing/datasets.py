"""The contract of data sets."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_azure.data import (
    Dataset,
    DatasetWithRequirements,
    has_groups,
    has_requirements,
    has_weights,
    is_held,
    open_dataset,
    task_of_data,
    tells_labels,
)
from keras_azure.data.label_forms import LabelForm
from keras_azure.data.local_files import local_files
from keras_azure.description.events import Observer
from keras_azure.registry.registry import DATASETS, as_spec
from keras_azure.registry.specs import Spec
from keras_azure.testing.findings import Findings, is_whole, name_of, short, with_article

_REQUIREMENT = re.compile(r"\s*[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?\s*($|[\[<>=!~;@(])")  # as packages are named


def check_dataset(dataset: Dataset | str | Spec) -> None:
    """Checks a data set: what it says of itself, and its first, last and some other samples of each split; of a spec
    also which files it is made of, asked before it is opened.

    Args:
        dataset: the data set, or the spec of a registered one.

    Raises:
        ContractError: the data set breaks its contract.
        KerasAzureError: it cannot be opened, or does not say which files it is made of.
    """
    findings = Findings(f"The data set {name_of(dataset)!r}")
    if isinstance(dataset, str | Spec):
        spec = as_spec(dataset)
        unopened = DATASETS.build(spec)
        if hasattr(unopened, "files"):
            local_files(spec, unopened, Observer())
        if has_requirements(unopened):
            with findings.when("asked what its files take to be read"):
                findings.extend(_requirement_problems(unopened))
            findings.settle()
        dataset = open_dataset(spec, Observer())
    missing = [name for name in ("class_names", "split_sizes", "image_shape", "read") if not hasattr(dataset, name)]
    if missing:
        findings.add(f"it has no {' and no '.join(missing)}", "the attributes of keras_azure.data.Dataset")
        findings.settle()
    with findings.when("described"):
        findings.extend(_description_problems(dataset))
    findings.settle()
    for split in dataset.split_sizes:
        with findings.when(f"read in the split {split!r}"):
            findings.extend(_sample_problems(dataset, split))
    findings.settle()


def _description_problems(dataset: Dataset) -> Iterator[tuple[str, str]]:
    names, shape = list(dataset.class_names), tuple(dataset.image_shape)
    least = 2 if task_of_data(dataset) == "classify" else 1
    if len(names) < least or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        yield f"its class_names are {short(names)}", f"{'two' if least == 2 else 'one'} or more different strings"
    if has_groups(dataset):
        yield from _of_each_sample(dataset, "groups", "whole numbers", "iu")
    if has_weights(dataset):
        yield from _of_each_sample(dataset, "weights", "numbers", "iuf")
    for split in ("train", "test"):
        if not dataset.split_sizes.get(split, 0) > 0:
            yield f"its split_sizes are {short(dict(dataset.split_sizes))}", f"samples in {split!r}"
    if len(shape) != 3 or not all(is_whole(size) and size > 0 for size in shape) or shape[-1] not in (1, 3):
        yield f"its image_shape is {shape}", "(height, width, channels) with 1 or 3 channels"


def _of_each_sample(dataset: Dataset, name: str, what: str, kinds: str) -> Iterator[tuple[str, str]]:
    """Of a method that gives something for each image of a split."""
    for split, size in dataset.split_sizes.items():
        found = np.asarray(getattr(dataset, name)(split))
        if found.shape != (size,) or found.dtype.kind not in kinds:
            yield f"{name}({split!r}) is of type {found.dtype} and shape {found.shape}", f"{what} ({size},)"


def _requirement_problems(dataset: DatasetWithRequirements) -> Iterator[tuple[str, str]]:
    for each in dataset.requirements():
        if not isinstance(each, str) or not _REQUIREMENT.match(each):
            yield f"requirements() gives {short(each)}", "texts as pip writes them, such as 'openslide-python>=1.3'"


def _sample_problems(dataset: Dataset, split: str) -> Iterator[tuple[str, str]]:
    size, shape, form = dataset.split_sizes[split], tuple(dataset.image_shape), LabelForm.of(dataset)
    chosen = sorted({0, size // 3, size // 2, size - 1})
    arrays = dataset.arrays(split) if is_held(dataset) else None
    labels = np.asarray(dataset.known_labels(split)) if tells_labels(dataset) else None
    if labels is not None and len(labels) != size:
        yield f"known_labels({split!r}) has the shape {labels.shape}", f"{size} labels, one for each picture"
        return
    if arrays is not None and [len(array) for array in arrays] != [size, size]:
        yield f"arrays({split!r}) has {[len(array) for array in arrays]} samples", f"{size} pictures and {size} labels"
        return
    for index in chosen:
        called = f"read({split!r}, {index})"
        image, label = dataset.read(split, index)
        if getattr(image, "shape", None) != shape or image.dtype != np.uint8:
            found = f"{image.shape} {image.dtype}" if hasattr(image, "dtype") else with_article(image)
            yield f"{called} gives a picture of {found}", f"{shape} uint8"
            return
        if not _is_label(label, form):
            yield f"{called} gives the label {label!r}", form.in_words
            return
        again = dataset.read(split, index)
        if not np.array_equal(image, again[0]) or not np.array_equal(label, again[1]):
            yield f"{called} gives something else each time", "the same sample"
            return
        if arrays is not None and not all(map(np.array_equal, [array[index] for array in arrays], (image, label))):
            yield f"{called} is not the sample that arrays({split!r}) has there", "the same sample"
            return
        if labels is not None and not np.array_equal(labels[index], label):
            yield f"{called} gives the label {label}, and known_labels({split!r}) has {labels[index]} there", "the same"
            return
    try:
        dataset.read(split, size)
    except IndexError:
        return
    yield f"read({split!r}, {size}) gives a sample, although {split!r} has {size}", "an IndexError"


def _is_label(label: Any, form: LabelForm) -> bool:
    if not form.shape:
        return is_whole(label) and 0 <= label < form.count
    try:
        return isinstance(label, np.ndarray) and form.vectors(label) is not None
    except ValueError:
        return False
