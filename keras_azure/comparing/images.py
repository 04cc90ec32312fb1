"""The images on which runs differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_azure.evaluation.answers import Answers

MOST_NUMBERS = 100  # images that are named of those that get numbers, which nearly all differ


@dataclass(frozen=True)
class DifferingImage:
    """An image of which runs say different things.

    Attributes:
        sample: its index in the split.
        place: its place among the answers.
        truth: the class, the labels, or the numbers in their order.
        said: by each run, as text; of a class with its probability.
        right: whether that is right; of numbers None.
    """

    sample: int
    place: int
    truth: str
    said: tuple[str, ...]
    right: tuple[bool, ...] | None

    def to_json(self) -> dict[str, Any]:
        return {"sample": self.sample, "truth": self.truth, "said": self.said, "right": self.right}


def differing_images(answers: Sequence[Answers]) -> list[DifferingImage]:
    """Those of which not all say the same, of numbers those that differ most.

    First come those that some are right on and others wrong, and of these those that runs are most at odds about.

    Args:
        answers: of two runs or more, on the same images.
    """
    first = answers[0]
    given = np.stack([each.given for each in answers])
    apart = given.max(axis=0) - given.min(axis=0)
    if first.task == "regress":
        spread = first.truth.std(axis=0)
        most = (apart / np.where(spread > 0, spread, 1)).max(axis=1)
        places = np.argsort(-most, kind="stable")[:MOST_NUMBERS]
        return [_image(int(place), answers, given[:, place], None) for place in places[most[places] > 0]]
    predicted = np.stack([each.predicted for each in answers])
    right = np.stack([each.right for each in answers])
    differences = np.not_equal(predicted, predicted[0]).reshape(len(answers), len(first), -1).sum(axis=(0, 2))
    places, wins = np.flatnonzero(differences), right.sum(axis=0)
    at_odds = (wins > 0) & (wins < len(answers))
    order = np.lexsort((-apart.max(axis=1)[places], ~at_odds[places]))
    return [_image(int(place), answers, predicted[:, place], right[:, place]) for place in places[order]]


def _image(place: int, answers: Sequence[Answers], said: np.ndarray, right: np.ndarray | None) -> DifferingImage:
    first = answers[0]
    return DifferingImage(
        int(first.samples[place]),
        place,
        _as_text(first, first.truth[place]),
        tuple(_said(each, place, value) for each, value in zip(answers, said, strict=True)),
        None if right is None else tuple(map(bool, right)),
    )


def _said(answers: Answers, place: int, value: Any) -> str:
    text = _as_text(answers, value)
    return f"{text} ({answers.given[place, int(value)]:.0%})" if answers.task == "classify" else text


def _as_text(answers: Answers, value: Any) -> str:
    match answers.task:
        case "classify":
            return answers.names[int(value)]
        case "multilabel":
            return ", ".join(answers.names[label] for label in np.flatnonzero(value)) or "none"
    return ", ".join(f"{float(each):.4g}" for each in value)
