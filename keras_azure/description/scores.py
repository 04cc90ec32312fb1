"""What the scores of runs are called, which of them is a run's main one, and whether a high one is good."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_azure.description.reading import number

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "mae": "MAE",
    "rmse": "RMSE",
    "subset_accuracy": "all labels right",
}
# Of each task; where a run's files name none it classifies, or gives back images, of which there is the loss alone.
_MAIN = {"classify": "accuracy", "multilabel": "macro_f1", "regress": "mae"}
_MOST_DECIMALS = 10
_LOW = ("loss", "mae", "mse", "rmse", "ece", "brier")
_LOW_ENDS = ("_loss", "_error", "crossentropy", "divergence", "hinge", "poisson")
_HIGH = ("auc", "r2", "r2_score", "precision", "recall", "roc_auc", "cosine_similarity")
_HIGH_ENDS = ("accuracy", "f1", "f1_score", "fbeta_score", "precision", "recall", "iou", "auc")


def task_of(facts: Mapping[str, Any]) -> str:
    """The task of a finished run, from what its `metrics.json` says: "classify", ..., "give back images"."""
    if isinstance(task := facts.get("task"), str):
        return task
    return "give back images" if facts.get("test_accuracy") is None else "classify"


def scores_of(facts: Mapping[str, Any]) -> dict[str, float]:
    """The test scores in a `metrics.json`.

    Raises:
        ValueError: they are no numbers.
    """
    scores = facts.get("test_metrics")
    if not isinstance(scores, Mapping) or not scores:
        raise ValueError("test_metrics holds no scores")
    return {name: number(value, f"the test score {name}") for name, value in scores.items()}


def main_score(task: str, scores: Mapping[str, float]) -> str:
    """The name of the score that a run of a task is judged by first."""
    return name if (name := _MAIN.get(task, "loss")) in scores else "loss" if "loss" in scores else next(iter(scores))


def highest_is_best(name: str) -> bool | None:
    """Whether a high score of that name is good; None where that is not known.

    Of Keras's and scikit-learn's names, without Keras, which has a rule of its own for the metrics of a model.
    """
    name = name.removeprefix("val_").removeprefix("test_")
    if name in _LOW or name.endswith(_LOW_ENDS) or name.startswith(("mean_absolute", "mean_squared")):
        return False
    if name in _HIGH or name.endswith(_HIGH_ENDS) or name.startswith(("top_", "macro_", "micro_", "weighted_")):
        return True
    return None


def figure(value: float) -> str:
    """A score as text, with four digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}"


def shown(values: Sequence[float], *, signed: bool = False, decimals: int | None = None) -> list[str]:
    """Scores of one kind as text, with the same number of decimals.

    Args:
        signed: of differences also the sign.
        decimals: how many; by default such that the largest has four digits that count.
    """
    places = decimals_of(values) if decimals is None else decimals
    return [f"{value:{'+' if signed else ''},.{places}f}" for value in values]


def decimals_of(values: Sequence[float]) -> int:
    """How many decimals scores of one kind have, such that the largest has four digits that count."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return 4 if largest == 0 else min(max(3 - math.floor(math.log10(largest)), 0), _MOST_DECIMALS)
