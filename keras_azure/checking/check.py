"""A data set, looked through: what a user should know of it before training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_azure.checking.confident import label_errors
from keras_azure.checking.duplicates import Groups, exact_duplicates, groups_of, near_duplicates
from keras_azure.checking.findings import DataCheck, WrongLabel, spread
from keras_azure.checking.looking import UNKNOWN, Looked, look
from keras_azure.checking.out_of_fold import FOLDS, ByFeatures, ByTraining, Judge, folds_of
from keras_azure.checking.quality import poor_images
from keras_azure.data.originals import Originals, open_originals
from keras_azure.description.events import Observer
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.training.interrupts import StopRequests

_LEAST_ACCURACY = 0.5  # out of fold: below, a model knows too little of the classes to judge labels by


def check(
    data: str, *, weights: str | Path | None, labels: bool, model: str, seed: int, tolerant: bool, observer: Observer
) -> DataCheck:
    """Looks at all images of a data set once, and says what was found.

    Args:
        data: a data set's spec.
        weights: a run or a `.keras` file, by whose features labels are judged; by default `model` is trained.
        labels: whether to judge labels.
        model: a model's spec.
        seed: of folds and training.
        tolerant: whether files that cannot be read are to be left out of training.

    Raises:
        KerasAzureError: it is no data set, no image of it can be read, or the weights cannot be used.
    """
    with StopRequests(observer.message) as stop, keras_settings():
        return _check(data, weights, labels, model, seed, tolerant, _Stopping(observer, stop))


@dataclass
class _Stopping(Observer):
    """Passes on what it hears, and ends the check after a Ctrl-C that Python dropped, in the middle of a collection."""

    observer: Observer
    stop: StopRequests

    def message(self, text: str) -> None:
        self.observer.message(text)

    def advance(self, activity: str, done: int, total: int) -> None:
        if self.stop.requested:
            raise KeyboardInterrupt
        self.observer.advance(activity, done, total)


def _check(
    data: str, weights: str | Path | None, labels: bool, model: str, seed: int, tolerant: bool, observer: Observer
) -> DataCheck:
    originals = open_originals(data, observer)
    why_not = _not_judged(originals) if labels else "not judged, as was asked for"
    judge: Judge | None = None
    if not why_not:
        judge = ByTraining(model, seed) if weights is None else ByFeatures(str(weights))
    looked = look(originals, observer, judge)
    exact = exact_duplicates(looked.measures)
    near = near_duplicates(looked.measures, exact, observer)
    wrong = None
    if judge is not None:
        wrong, why_not = _judged(looked, judge, [*exact, *near], seed, observer)
    # Of a group that has near ones all is said there; it has all of its equal ones, too.
    together = groups_of((group[0], number) for group in [*exact, *near] for number in group)
    splits = np.array([looked.split(number) for number in range(len(looked.places))])
    return DataCheck(
        looked,
        exact,
        near,
        spread(together, splits),
        spread(together, looked.labels),
        poor_images(looked.measures),
        wrong,
        why_not,
        tolerant,
    )


def _not_judged(originals: Originals) -> str:
    """Why labels cannot be judged; empty if they can."""
    if originals.task != "classify":
        return f"not judged, as they are no single classes ({originals.task})"
    if not originals.is_labelled or len(originals.class_names) < 2:
        return "not judged, as there are no classes"
    return ""


def _judged(
    looked: Looked, judge: Judge, together: Groups, seed: int, observer: Observer
) -> tuple[list[WrongLabel] | None, str]:
    """The labels that are probably wrong, and by what they were judged; or None, and why not."""
    numbers = np.array([number for number in looked.readable if looked.labels[number] != UNKNOWN], np.int64)
    classes, counts = np.unique(looked.labels[numbers], return_counts=True)
    enough = classes[counts >= FOLDS]
    numbers = numbers[np.isin(looked.labels[numbers], enough)]
    if len(enough) < 2:
        return None, f"not judged, as fewer than two classes have {FOLDS} images"
    labels = np.searchsorted(enough, looked.labels[numbers])
    within = {number: place for place, number in enumerate(numbers.tolist())}
    groups = [[within[number] for number in group if number in within] for group in together]
    folds = folds_of(labels, [group for group in groups if group], seed)
    probabilities = judge.probabilities(numbers, labels, folds, len(enough), observer)
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    if accuracy < _LEAST_ACCURACY:
        return None, (
            f"not judged, as {judge.name} has an accuracy of {accuracy:.0%} alone; --weights may name a network that "
            "knows more"
        )
    found = [
        WrongLabel(
            int(numbers[place]),
            int(enough[labels[place]]),
            int(enough[probabilities[place].argmax()]),
            float(probabilities[place].max()),
        )
        for place in label_errors(labels, probabilities).tolist()
    ]
    left_out = f"; {len(classes) - len(enough)} classes of fewer than {FOLDS} images are not judged"
    said = f"judged by {judge.name}, with an accuracy of {accuracy:.1%}"
    return found, said + (left_out if len(enough) < len(classes) else "")
