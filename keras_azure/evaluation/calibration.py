"""Whether probabilities say how often they are right, and the temperature that makes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 15
LARGEST = 20.0  # temperature that is looked for; the smallest is its inverse


@dataclass(frozen=True)
class Bin:
    """Some answers of about one confidence.

    Attributes:
        images: how many answers there are.
        confidence: the mean of their probabilities.
        accuracy: how many of them are right, 0..1.
    """

    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy are apart.

    Attributes:
        ece: the expected calibration error, 0..1: the mean over all answers of the distance of their bin's confidence
            to its accuracy.
        bins: of about as many answers each, by confidence.
    """

    ece: float
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        return {"ece": self.ece, "bins": [vars(each) for each in self.bins]}


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Calibration:
    """The calibration of answers.

    The expected calibration error is that of Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using
    Bayesian Binning, AAAI 2015, with bins of equal mass as Nixon et al.: Measuring Calibration in Deep Learning,
    arXiv:1904.01685, have them: bins of equal width are nearly all empty for a good model.

    Args:
        confidence: the probability of each answer, (n,), one or more.
        right: bool (n,).
        bins: how many, at most as many as there are answers; equal probabilities are in one bin.
    """
    order = np.argsort(confidence, kind="stable")
    sure, hit = np.asarray(confidence, np.float64)[order], np.asarray(right, np.float64)[order]
    edges = np.unique(np.linspace(0, len(sure), min(bins, len(sure)) + 1).round().astype(int))
    inner = np.searchsorted(sure, sure[edges[1:-1]])  # where equal ones would be divided, before the first of them
    starts = np.unique(np.concatenate([[0], inner]))
    counts = np.diff(np.append(starts, len(sure)))
    confidences = np.add.reduceat(sure, starts) / counts
    accuracies = np.add.reduceat(hit, starts) / counts
    found = tuple(Bin(*each) for each in zip(counts.tolist(), confidences.tolist(), accuracies.tolist(), strict=True))
    return Calibration(float(np.abs(confidences - accuracies) @ counts / len(sure)), found)


def answered(confidence: np.ndarray, right: np.ndarray, points: int = 50) -> tuple[tuple[float, float], ...]:
    """Shares of images that are answered, and the accuracy of them, if the least sure are refused.

    Returns:
        Some pairs, of all images last.
    """
    order = np.argsort(-np.asarray(confidence), kind="stable")
    accuracy = np.cumsum(np.asarray(right, np.float64)[order]) / np.arange(1, len(order) + 1)
    last = np.unique(np.linspace(1, len(order), min(points, len(order))).round().astype(int))
    return tuple(zip((last / len(order)).tolist(), accuracy[last - 1].tolist(), strict=True))


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that is best for the likelihood of the truth: logits are to be divided by it.

    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.

    Args:
        logits: (n, classes); of several labels (n, labels), each with a sigmoid.
        truth: classes, int64 (n,), or 0 and 1, (n, labels).

    Returns:
        Between 1 / LARGEST and LARGEST; near these the answers tell none, as where all are right.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    values = np.asarray(logits, np.float64)
    rows = np.arange(len(values))

    def lost(log_scale: float) -> float:
        scaled = values * np.exp(log_scale)
        if truth.ndim == 1:
            return float(np.mean(logsumexp(scaled, axis=1) - scaled[rows, truth]))
        return float(np.mean(np.logaddexp(0, scaled) - truth * scaled))

    found = minimize_scalar(lost, bounds=(-np.log(LARGEST), np.log(LARGEST)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(-found.x))
