"""scikit-learn's estimators as bytes: equal ones give equal bytes, and reading them runs no code from the file."""

import io
import itertools
import re
import zipfile
from collections.abc import Iterator

import numpy as np
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from keras_azure.data import TaskName
from keras_azure.models.saving import renumbering, undated
from keras_azure.models.untrusted import check_archive

# What skops does not trust of itself. It can only tell types, and trees of gradient boosting crash the process if their
# numbers are wrong: `_check_trees` looks at those.
_TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
_SCHEMA = "schema.json"
_ADDRESS = re.compile(rb'("__id__": |"file": ")(\d+)')


def to_bytes(estimator: BaseEstimator) -> bytes:
    """The estimator as skops writes it, without the memory addresses by which it marks objects and names files.

    Raises:
        TypeError: the estimator has a part that skops cannot write.
    """
    import skops.io  # which takes seconds: it imports all of scikit-learn

    number, written = renumbering(), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as source, zipfile.ZipFile(written, "w") as target:
        schema = _ADDRESS.sub(lambda match: match[1] + number(match[2]), source.read(_SCHEMA))
        entries = {_SCHEMA: schema}
        for name in source.namelist():
            if name != _SCHEMA:
                address, _, ending = name.partition(".")
                entries[f"{number(address.encode()).decode()}.{ending}"] = source.read(name)
        for name, content in sorted(entries.items()):
            target.writestr(undated(name), content)
    return written.getvalue()


def from_bytes(content: bytes, task: TaskName = "classify") -> BaseEstimator:
    """The classifier, or for numbers the regressor, that `to_bytes` wrote.

    Raises:
        ValueError: it is made of types that are not trusted, of trees that lead astray, is compressed, or is no
            classifier.
        Exception: whatever damage happens to cause.
    """
    import skops.io

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_archive(archive, len(content))
    found = skops.io.get_untrusted_types(data=content)
    if refused := sorted(set(found) - set(_TRUSTED)):
        raise ValueError(f"its classifier is made of what is not trusted: {', '.join(refused)}")
    estimator = skops.io.loads(content, trusted=_TRUSTED)
    is_of_task, called = (is_regressor, "regressor") if task == "regress" else (is_classifier, "classifier")
    if not is_of_task(estimator):
        raise ValueError(f"it holds a {type(estimator).__name__}, which is no {called} of scikit-learn")
    if found:
        _check_trees(estimator)
    return estimator


def _check_trees(estimator: BaseEstimator) -> None:
    """Refuses trees that would be followed to where there is nothing, or for ever."""
    for step in _parts(estimator):
        if type(step) in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
            trees = itertools.chain.from_iterable(getattr(step, "_predictors", ()))  # none of one that is not fitted
            if not all(_leads_down(tree.nodes, step.n_features_in_) for tree in trees):
                raise ValueError("its classifier has damaged trees")
        elif type(step) is not StandardScaler:
            raise ValueError(f"its classifier has trees in a {type(step).__name__}, where they cannot be checked")


def _parts(estimator: BaseEstimator) -> Iterator[BaseEstimator]:
    """What is behind one another, or one for each label or number, within an estimator."""
    match estimator:
        case Pipeline():
            within = [each for _, each in estimator.steps]
        case OneVsRestClassifier() | MultiOutputRegressor():
            within = list(estimator.estimators_)
        case TransformedTargetRegressor():
            within = [estimator.regressor_, estimator.transformer_]
        case _:
            yield estimator
            return
    for each in within:
        yield from _parts(each)


def _leads_down(nodes: np.ndarray, num_features: int) -> bool:
    """Whether each node of a tree asks for a feature that there is, and leads to nodes behind it that there are."""
    asking = np.flatnonzero(nodes["is_leaf"] == 0)  # the other nodes are ends
    left, right, feature = (nodes[name][asking].astype(np.int64) for name in ("left", "right", "feature_idx"))
    return bool(
        len(nodes)
        and (np.minimum(left, right) > asking).all()
        and (np.maximum(left, right) < len(nodes)).all()
        and ((feature >= 0) & (feature < num_features)).all()
        and not nodes["is_categorical"].any()
    )
