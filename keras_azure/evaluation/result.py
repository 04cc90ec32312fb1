"""What an evaluation gives back."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.figures import ClassFigures, Figures
from keras_azure.evaluation.text import as_html, as_text
from keras_azure.files import json_text, make_folder, require_empty, write_text


@dataclass(frozen=True)
class Group:
    """The images of a group, such as those of one camera.

    Attributes:
        images: how many there are.
        scores: as those of an evaluation.
        figures: all of them.
    """

    images: int
    scores: Mapping[str, float]
    figures: Figures = field(repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult:
    """What a model is worth on some images. In a notebook it shows itself as tables.

    Attributes:
        model: the file of the model.
        data: what it was tested on, as a phrase.
        split: which part of it.
        images: how many there are.
        scores: "loss", "accuracy" and all other figures of all images, by their names.
        answers: what the model said of each image, and the truth; None of an autoencoder.
        figures: of each class, label or number, with intervals; None of an autoencoder.
        groups: the figures of the images of each group, by its name, where `by` names a column.
        temperature: that the model's logits are divided by, if it was calibrated.

    Example:
        result = keras_azure.evaluate("runs/20250101-120000-cnn")
        result.scores["accuracy"], result.figures.rows[0].recall
    """

    model: Path
    data: str
    split: str
    images: int
    scores: Mapping[str, float]
    answers: Answers | None = None
    figures: Figures | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)
    temperature: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "model": str(self.model),
            "data": self.data,
            "split": self.split,
            "images": self.images,
            "scores": dict(self.scores),
            "figures": None if self.figures is None else self.figures.to_json(),
            "groups": {name: {"images": each.images, **each.scores} for name, each in self.groups.items()},
            "temperature": self.temperature,
        }

    def save(self, folder: str | Path) -> None:
        """Writes `evaluation.json`, what was said of each image as `predictions.npz`, and of classes also
        `confusion_matrix.csv` and `classes.csv`.

        Args:
            folder: is made if it is not there.

        Raises:
            OutputExists: there is something in it.
            RunFailed: it cannot be written.
        """
        folder = Path(folder).expanduser()
        require_empty(folder)
        make_folder(folder)
        if self.answers is not None:
            self.answers.save(folder / "predictions.npz")
        if isinstance(self.figures, ClassFigures):
            write_text(folder / "confusion_matrix.csv", confusion_csv(self.figures))
            write_text(folder / "classes.csv", classes_csv(self.figures))
        write_text(folder / "evaluation.json", json_text(self.to_json()))

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def confusion_csv(figures: ClassFigures) -> str:
    """How many images of each class, a row, were taken for each, a column."""
    names = [row.name for row in figures.rows]
    return _csv([["", *names], *([name, *counts] for name, counts in zip(names, figures.confusion, strict=True))])


def classes_csv(figures: ClassFigures) -> str:
    """A row for each class, with its intervals; what cannot be said is empty."""
    shares = [f"{name}{end}" for name in ("precision", "recall") for end in ("", "_low", "_high")]
    rows: list[list[object]] = [["class", "images", *shares, "f1", "average_precision", "roc_auc"]]
    for row in figures.rows:
        said: list[object] = [row.name, row.support]
        for share in (row.precision, row.recall):
            said += [None] * 3 if share is None else [share.value, share.low, share.high]
        rows.append([*said, row.f1, row.average_precision, row.roc_auc])
    return _csv(rows)


def _csv(rows: list[list[object]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()
