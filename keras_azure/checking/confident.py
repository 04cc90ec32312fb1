"""Confident learning: labels that are probably wrong, from probabilities of a model that has not seen them.

Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, arXiv:1911.00068: thresholds of
each class (equation 2), the confident joint (1), calibrated (3), pruned by noise rate (section 3.2).
"""

import numpy as np


def label_errors(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The numbers of the samples whose labels are probably wrong, the most probable first, int64 (n,).

    Args:
        labels: int64 (N,), each of the classes at least once, or not at all.
        probabilities: out of sample, (N, classes).
    """
    suspect = probabilities.argmax(axis=1) != labels
    expected = _whole(noisy_joint(labels, probabilities) * len(labels))
    given = probabilities[np.arange(len(labels)), labels]
    found = np.zeros(len(labels), bool)
    for label, other in np.argwhere(expected):
        if label != other:
            members = np.flatnonzero(labels == label)
            margin = probabilities[members, other] - given[members]
            found[members[np.argsort(-margin, kind="stable")[: expected[label, other]]]] = True
    chosen = np.flatnonzero(found & suspect)
    return chosen[np.argsort(given[chosen] - probabilities[chosen].max(axis=1), kind="stable")]


def noisy_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """How large a share of the samples has each given label and each true one, estimated, (classes, classes)."""
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    given = probabilities[np.arange(len(labels)), labels]
    # The mean probability of a class, where it is the label: what is as probable as usual counts as that class.
    usual = np.bincount(labels, given, minlength=classes) / np.maximum(counts, 1)
    passed = (probabilities >= np.where(counts > 0, usual, np.inf)) & (probabilities > 0)
    true = np.where(passed, probabilities, -1).argmax(axis=1)
    joint = np.zeros((classes, classes))
    confident = passed.any(axis=1)
    np.add.at(joint, (labels[confident], true[confident]), 1)
    joint[np.diag_indices(classes)] += joint.sum(axis=1) == 0  # of a class with nothing confident all is right
    joint *= (counts / joint.sum(axis=1))[:, np.newaxis]
    return joint / joint.sum()


def _whole(counts: np.ndarray) -> np.ndarray:
    """Counts, (rows, columns), as whole numbers with the same sums of rows: the largest remainders are rounded up."""
    found = np.floor(counts).astype(np.int64)
    missing = np.rint(counts.sum(axis=1)).astype(np.int64) - found.sum(axis=1)
    rank = np.argsort(np.argsort(found - counts, axis=1, kind="stable"), axis=1)
    return found + (rank < missing[:, np.newaxis])
