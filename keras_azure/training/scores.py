"""What is said of predictions for several labels, and of numbers: as scikit-learn has it.

Averages over labels leave out those that do not occur among the images: nothing could be right of them.
"""

from collections.abc import Sequence

import numpy as np

PerName = dict[str, dict[str, float]]  # scores of each label or number, by its name
NO_THRESHOLD = 0.5  # of a label that nothing is known of


def label_scores(
    truth: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float], names: Sequence[str]
) -> tuple[dict[str, float], PerName]:
    """Scores of several labels.

    Args:
        truth: 0 and 1, (n, labels).
        probabilities: (n, labels).
        thresholds: a label is predicted from so much on.

    Returns:
        `macro_f1`, `micro_f1`, `average_precision` (its mean over labels) and `subset_accuracy`, the share of images
        all of whose labels are right; and of each label `f1`, `precision`, `recall`, `average_precision`, `threshold`
        and `images`, how many have it.
    """
    # With scipy, which no run without labels needs to wait for.
    from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_recall_fscore_support

    truth = np.asarray(truth, np.uint8)
    predicted = (probabilities >= np.asarray(thresholds)).astype(np.uint8)
    present = np.flatnonzero(truth.any(axis=0))
    each: PerName = {}
    # Label by label: of a single one scikit-learn would take that it is not there for a second.
    for label, name in enumerate(names):
        of_label = truth[:, label], predicted[:, label]
        precision, recall, f1, _ = precision_recall_fscore_support(*of_label, average="binary", zero_division=0)
        each[name] = {"f1": float(f1), "precision": float(precision), "recall": float(recall)}
        each[name] |= {"threshold": float(thresholds[label]), "images": int(truth[:, label].sum())}
    for label in present.tolist():
        found = average_precision_score(truth[:, label], probabilities[:, label])
        each[names[label]]["average_precision"] = float(found)
    of_present = [each[names[label]] for label in present.tolist()]
    scores = {
        "macro_f1": _mean([found["f1"] for found in of_present]),
        "micro_f1": float(f1_score(truth.ravel(), predicted.ravel(), zero_division=0)),
        "average_precision": _mean([found["average_precision"] for found in of_present]),
        "subset_accuracy": float(accuracy_score(truth, predicted)),
    }
    return scores, each


def number_scores(truth: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> tuple[dict[str, float], PerName]:
    """Scores of numbers (n, numbers): `mae`, `rmse` and `r2`, each the mean over the numbers, and those of each.

    One image has no `r2`: it compares with the mean of several.
    """
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    measures = {"mae": mean_absolute_error, "rmse": root_mean_squared_error}
    if len(truth) > 1:
        measures["r2"] = r2_score
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    found = {name: measure(truth, predicted, multioutput="raw_values") for name, measure in measures.items()}
    each = {
        name: {measure: float(values[number]) for measure, values in found.items()} for number, name in enumerate(names)
    }
    return {measure: float(np.mean(values)) for measure, values in found.items()}, each


def best_thresholds(truth: np.ndarray, probabilities: np.ndarray) -> list[float]:
    """For each label the threshold with the highest F1 on some images, halfway between two probabilities; the one
    nearest to 0.5 of equals. Of a label that all of them or none have it is 0.5.

    Args:
        truth: 0 and 1, (n, labels).
        probabilities: (n, labels).
    """
    return [_best_threshold(*each) for each in zip(np.asarray(truth, bool).T, probabilities.T, strict=True)]


def _best_threshold(truth: np.ndarray, probabilities: np.ndarray) -> float:
    positives = int(truth.sum())
    if positives in (0, len(truth)):
        return NO_THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    values, right = probabilities[order].astype(np.float64), np.cumsum(truth[order])
    f1 = 2 * right / (np.arange(1, len(values) + 1) + positives)
    below = np.append(values[1:], 0.0)
    f1[:-1][values[:-1] == values[1:]] = -1  # equal ones are predicted together
    halfway = ((values + below) / 2)[f1 == f1.max()]
    return float(halfway[np.argmin(np.abs(halfway - NO_THRESHOLD))])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
