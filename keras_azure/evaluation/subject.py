"""A trained model and the images that it is tested on: those of its run, or any that have its classes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_azure.data import Dataset, open_dataset, task_of_data
from keras_azure.data.formats.options import SPLITS
from keras_azure.data.label_forms import Scaling
from keras_azure.data.overview import absent_classes, divided, not_in_averages
from keras_azure.data.source import open_source
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.figures import Figures, figures_of
from keras_azure.evaluation.result import EvaluationResult, Group
from keras_azure.evaluation.view import View
from keras_azure.models.trained import Trained
from keras_azure.pipeline import labels_of
from keras_azure.registry.registry import DATASETS
from keras_azure.registry.specs import Spec
from keras_azure.training.data import Part, RunData, digest_of
from keras_azure.training.evaluation import ImageEvaluation, NumbersEvaluation, Predict, answers_of
from keras_azure.training.examining import examine
from keras_azure.training.tasks import Task, task_of

ALL = "all"
_MOST_GROUPS = 50
_ROUNDING = 0.01  # of probabilities, as half precision leaves them


@dataclass(frozen=True)
class Subject:
    """A model, and the images of a split.

    Attributes:
        trained: the model.
        split: of its run's data, or of other data.
        data: the images, as the test part of a run.
        samples: the index of each of them in the split.
        dataset: which they are of.
        view: what they are a part of, where they are not just the test split of a run.
    """

    trained: Trained
    split: str
    data: RunData
    samples: np.ndarray
    dataset: Dataset
    view: View | None


def test(subject: Subject, observer: Observer, *, tta: bool = False, by: str | None = None) -> EvaluationResult:
    """Tests a model on the images of a split; the arguments are those of `keras_azure.evaluate`."""
    trained, data = subject.trained, subject.data
    columns = None if by is None else _groups(subject, by)
    predict = _with_flips(lambda pixels: trained.kind.predict(trained.model, pixels)) if tta else None
    about = {**trained.about, "labels": list(trained.class_names), "numbers": list(trained.class_names)}
    outcome, used = examine(trained.model, data, about, observer, predict=predict)
    scores = dict(outcome.scores)
    if isinstance(outcome, NumbersEvaluation) and data.task.scaling is None:
        del scores["loss"]  # an older run has not recorded the scaling of its loss
    if isinstance(outcome, ImageEvaluation):
        return EvaluationResult(trained.file, data.dataset.description, subject.split, len(data.test), scores)
    digest = _digest(subject.dataset, subject.split, observer)
    answers = answers_of(outcome, data.dataset, subject.samples[used.test.samples], subject.split, digest)
    _require_probabilities(answers, trained)
    if absent := absent_classes(answers.truth, answers.names):
        observer.message(not_in_averages(absent))
    figures = figures_of(answers)
    return EvaluationResult(
        model=trained.file,
        data=data.dataset.description,
        split=subject.split,
        images=len(answers),
        scores=scores | {name: value for name, value in figures.scores().items() if name not in scores},
        answers=answers,
        figures=figures,
        groups={} if columns is None else _of_groups(answers, columns[used.test.samples]),
        temperature=trained.about.get("temperature"),
    )


@contextlib.contextmanager
def subject_of(
    trained: Trained, config: RunConfig, data: Spec | None, split: str, observer: Observer
) -> Iterator[Subject]:
    """Opens the images that a model is to be tested on.

    Args:
        config: of its run.
        data: other data than that of the run.

    Raises:
        KerasAzureError: there is no such data or split, or the model is not for it.
    """
    own = config.data_to_open if data is None else None
    with keras_settings(config.precision):
        dataset = open_dataset(own or _sized(data, trained), observer)
        observer.message(dataset.description)
        task = task_of(trained.model, trained.task, _scaling(trained))
        if task.targets == "labels" and task_of_data(dataset) != trained.task:
            raise UsageError(
                f"The model {trained.in_words} is for {trained.task!r}, and the labels of the data are for "
                f"{task_of_data(dataset)!r}.",
                hint="--data 'table(path=..., task=...)', if they can be read so",
            )
        if task.targets == "labels":
            trained.require_names()
        subject = _opened(trained, config, task, dataset, split, own is not None, observer)
        with contextlib.closing(subject.data):
            yield subject


def _opened(
    trained: Trained, config: RunConfig, task: Task, dataset: Dataset, split: str, own: bool, observer: Observer
) -> Subject:
    """The images of a split as the test part of a run."""
    names = trained.class_names if task.targets == "labels" else dataset.class_names
    as_it_is = tuple(dataset.class_names) == names and tuple(dataset.image_shape) == trained.image_shape
    if own and as_it_is and split == "test":
        source = open_source(dataset, "test", observer, config.cache)
        part, view = Part(source, np.arange(source.size)), None
        samples = part.samples
    else:
        view = View(dataset, _places(dataset, config, split, own, observer), names, trained.image_shape)
        view.tell(observer)
        # Nothing is read twice, so that nothing needs to be kept.
        source = open_source(view, "test", observer, "none")
        part, samples = Part(source, np.arange(source.size)), view.samples
    data = RunData(config, view or dataset, part, part, part, None, task)
    return Subject(trained, split, data, samples, dataset, view)


def _places(
    dataset: Dataset, config: RunConfig, split: str, own: bool, observer: Observer
) -> list[tuple[str, np.ndarray]]:
    """Which images are meant.

    Args:
        own: whether it is the data that the run was trained on; then a validation part that it drew is that again.

    Raises:
        UsageError: there is no such split.
    """
    sizes = dataset.split_sizes
    if split == ALL:
        return [(each, np.arange(sizes[each])) for each in SPLITS if each in sizes]
    if own and split in ("train", "validation") and "validation" not in sizes and config.validation_split:
        train = open_source(dataset, "train", observer, config.cache)
        with contextlib.closing(train.streams):
            parts = divided(dataset, config, lambda: labels_of(train, np.arange(train.size)))
        return [("train", parts[split == "validation"])]
    if split not in sizes:
        raise UsageError(
            f"There is no split {split!r} in {dataset.description}.",
            expected=f"one of {', '.join([*sizes, ALL])}",
        )
    return [(split, np.arange(sizes[split]))]


def _require_probabilities(answers: Answers, trained: Trained) -> None:
    """
    Raises:
        UsageError: a model from elsewhere ends otherwise.
    """
    if answers.task == "regress" or not np.isfinite(answers.given).all():
        return
    low, high = float(answers.given.min()), float(answers.given.max())
    sums = answers.given.sum(axis=1)
    adds_up = answers.task == "multilabel" or np.abs(sums - 1).max() < _ROUNDING
    if low < -_ROUNDING or high > 1 + _ROUNDING or not adds_up:
        raise UsageError(
            f"The model {trained.in_words} gives no probabilities: {low:.4g} to {high:.4g}, {sums[0]:.4g} in all for "
            "the first image.",
            expected="a softmax at its end, or for several labels a sigmoid",
            hint="keras.Sequential([model, keras.layers.Softmax()]).save(...)",
        )


def _sized(data: Spec | None, trained: Trained) -> Spec:
    """Other data, read in the size that the model takes, where it can be."""
    assert data is not None, "a run's own data otherwise"
    height, width, channels = trained.image_shape
    wanted: dict[str, Any] = {"image_size": (height, width), "channels": channels, "bit_depth": trained.bit_depth}
    if trained.task != "classify":
        wanted["task"] = trained.task
    options = {name: value for name, value in wanted.items() if DATASETS.takes(data, name)}
    return data.with_options(**{**options, **data.options})


def _scaling(trained: Trained) -> Scaling | None:
    """Of the numbers that the loss is of."""
    found = trained.about.get("scaling")
    return None if found is None else Scaling(tuple(found["mean"]), tuple(found["deviation"]))


def _digest(dataset: Dataset, split: str, observer: Observer) -> str:
    """Of the split's images and labels; empty without. What was read before costs nothing more."""
    splits = [each for each in SPLITS if each in dataset.split_sizes] if split == ALL else [split]
    if any(each not in dataset.split_sizes for each in splits):
        return ""  # a part of one that was drawn
    return " ".join(digest_of(dataset, each, observer) or "" for each in splits).strip()


def _with_flips(predict: Predict) -> Predict:
    """The mean of what is said of an image and of its mirror image."""

    def both(pixels: np.ndarray) -> np.ndarray:
        return (predict(pixels) + predict(pixels[:, :, ::-1])) / 2

    return both


def _groups(subject: Subject, by: str) -> np.ndarray:
    """The group of each image, texts (n,)."""
    view, data = subject.view, subject.data
    view = view or View(data.dataset, [("test", subject.samples)], data.dataset.class_names, data.dataset.image_shape)
    values = np.array(view.column(by), np.str_)
    if len(found := np.unique(values)) > _MOST_GROUPS:
        raise UsageError(
            f"The column {by!r} has {len(found)} different values among the {len(values)} images.",
            expected=f"a column with {_MOST_GROUPS} at most",
        )
    return values


def _of_groups(answers: Answers, columns: np.ndarray) -> dict[str, Group]:
    found = {}
    for name in np.unique(columns).tolist():
        figures: Figures = figures_of(answers.only(columns == name))
        found[name] = Group(figures.images, figures.scores(), figures)
    return found
