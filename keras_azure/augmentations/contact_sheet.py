"""A contact sheet: pictures of a data set beside what a run's augmentations make of them.

The pictures go the way of a training run, with the same random numbers: what is shown is what is trained on.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from keras_azure.augmentations import build_augment
from keras_azure.data import Dataset, TaskName, open_dataset, task_of_data
from keras_azure.data.figure_text import drawable, drawable_labels, style_of
from keras_azure.data.overview import absent_classes, known_labels, not_learned
from keras_azure.data.shown_figure import ShownFigure
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.engines.keras_settings import keras_settings

_INCHES = 1.2  # of a picture on the sheet
_LOOKED_AT = 10  # pictures that are decoded for each one that is shown, to find different classes


def contact_sheet(
    data: str, augment: Sequence[str], samples: int, draws: int, seed: int, observer: Observer
) -> ShownFigure:
    """A row for each of some training pictures, of different classes first: as it is, then as it is in each epoch.

    Args:
        data: a data set's spec.
        augment: the augmentations, in their order.
        samples: how many pictures.
        draws: how many epochs.
        seed: of the run.

    Raises:
        KerasAzureError: the data or an augmentation cannot be used.
    """
    with keras_settings():
        return _contact_sheet(data, augment, samples, draws, seed, observer)


def _contact_sheet(
    data: str, augment: Sequence[str], samples: int, draws: int, seed: int, observer: Observer
) -> ShownFigure:
    dataset = open_dataset(data, observer)
    observer.message(dataset.description)
    labels = known_labels(dataset, "train")
    if labels is not None and (absent := absent_classes(labels, dataset.class_names)):
        observer.message(not_learned(absent))
    augmentation = build_augment(augment, dataset.image_shape, len(dataset.class_names))
    source = open_source(dataset, "train", observer, cache="none")  # only some of the pictures are looked at
    chosen = _of_different_classes(dataset, samples, seed)
    indices = tf.constant(chosen, tf.int64)
    pictures, labels = source.read(indices)
    shares = source.targets(labels)
    columns = [_Column("original", np.asarray(pictures), np.asarray(shares))]
    for epoch in range(draws):
        if augmentation is not None:
            epochs = tf.fill(indices.shape, tf.constant(epoch, tf.int64))
            pictures, shares = augmentation.on_host(source, seed, epochs, indices, np.arange(source.size))
        columns.append(_Column(f"epoch {epoch + 1}", np.asarray(pictures), np.asarray(shares)))
    title = ", then ".join(augment) or "no augmentation"
    return _draw(columns, dataset.class_names, task_of_data(dataset), title)


@dataclass(frozen=True)
class _Column:
    heading: str
    pictures: np.ndarray  # (samples, height, width, channels), 0..255
    shares: np.ndarray  # the labels, or numbers, (samples, num_classes)


def _of_different_classes(dataset: Dataset, samples: int, seed: int) -> list[int]:
    """The indices of `samples` training pictures, one of each class, or set of labels, before a second one of any."""
    size = dataset.split_sizes["train"]
    looked_at = np.random.default_rng(seed).permutation(size)[: samples * _LOOKED_AT].tolist()
    labels = [tuple(np.ravel(dataset.read("train", index)[1]).tolist()) for index in looked_at]
    earlier = [labels[:place].count(label) for place, label in enumerate(labels)]
    order = sorted(range(len(looked_at)), key=lambda place: (earlier[place], labels[place]))
    return [looked_at[place] for place in order[:samples]]


def _draw(columns: Sequence[_Column], class_names: Sequence[str], task: TaskName, title: str) -> ShownFigure:
    rows, height, width, _ = columns[0].pictures.shape
    one_class = task == "classify"
    # A class is named once, beside its row; all else is below each picture.
    below = not one_class or any((column.shares.max(axis=1) < 1).any() for column in columns)
    size = (_INCHES * len(columns) + 0.9, (_INCHES * height / width + (0.2 if below else 0)) * rows + 0.8)
    figure = ShownFigure(figsize=size, layout="constrained")
    lines = "\n".join(map(drawable, textwrap.wrap(title, int(12 * size[0]))))
    figure.suptitle(lines, fontsize="medium", **style_of(lines))
    labels, short = drawable_labels(class_names, 18), drawable_labels(class_names, 8)
    grid = figure.subplots(rows, len(columns), squeeze=False)
    for place, column in enumerate(columns):
        grid[0, place].set_title(column.heading, fontsize="small")
        for axes, picture, shares in zip(grid[:, place], column.pictures, column.shares, strict=True):
            shown = np.clip(picture, 0, 255).astype(np.uint8)
            axes.imshow(shown if shown.shape[-1] == 3 else shown[..., 0], cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            if below:
                label = _label(shares, [short[name] for name in class_names], task)
                axes.set_xlabel(label, fontsize="xx-small", **style_of(label))
    for axes, shares in zip(grid[:, 0], columns[0].shares if one_class else (), strict=one_class):
        label = labels[class_names[shares.argmax()]]
        axes.set_ylabel(label, fontsize="small", **style_of(label))
    return figure


def _label(shares: np.ndarray, class_names: Sequence[str], task: TaskName) -> str:
    """`cat 70 %, dog 30 %`; of labels that are there as a whole the names alone, and of numbers their values."""
    if task == "regress":
        values = [f"{value:.4g}" for value in shares[:3]]
        if len(shares) == 1:
            return values[0]
        return ", ".join(f"{name} {value}" for name, value in zip(class_names, values, strict=False))
    largest = [index for index in np.argsort(-shares, kind="stable")[:3] if shares[index] >= 0.005]
    if task == "multilabel" and np.all(shares[largest] == 1):
        more = int(np.count_nonzero(shares)) - len(largest)
        return ", ".join(class_names[index] for index in largest) + (f" + {more}" if more else "") or "none"
    return ", ".join(f"{class_names[index]} {shares[index]:.0%}" for index in largest)
