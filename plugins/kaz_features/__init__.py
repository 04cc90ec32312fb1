"""A classifier of scikit-learn on the features of a network that was trained elsewhere."""

from typing import Any, Literal

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import LinearSVC, LinearSVR

from keras_azure import FeatureClassifier, TaskName, features_model

_MOST_ITERATIONS = 1_000  # a minute where features hardly differ; a run says if it was not enough


def features(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str = "inceptionv3",
    weights: str = "imagenet",
    image_size: tuple[int, int] | int | None = None,
    classifier: Literal["svm", "logistic", "knn", "boosting", "best"] = "svm",
    regularization: float = 1.0,
    neighbors: int = 5,
    task: TaskName = "classify",
) -> FeatureClassifier:
    """A network that stays as it is, without its top and with average pooling, and a classifier on what it gives.

    Args:
        input_shape: height, width and channels of a picture with pixels 0..255.
        num_classes: how many probabilities or numbers come out.
        backbone: a network of keras.applications in lower case, such as "inceptionv3"; or "encoder", for the one in
            the model.keras that `weights` names.
        weights: "imagenet", "none", or a file of weights without the top: `.keras`, `.weights.h5` or `.h5`.
        image_size: the height and width that pictures are brought to in the model. By default those that the backbone
            was trained on, and without weights the pictures' own.
        classifier: "svm" (linear), "logistic" (regression), "knn" (nearest neighbours), "boosting" (of trees), or
            "best", for the one of them that is best in cross-validation. For numbers they are the regressors of the
            same kind; "logistic" is ridge regression.
        regularization: how small "svm" and "logistic" hold their weights; scikit-learn's C is its inverse.
        neighbors: how many "knn" asks.
        task: what for: "classify", "multilabel", with a classifier for each label, or "regress", with a regressor for
            each number.

    Raises:
        ValueError: an option is out of its range.
    """
    if not 0 < regularization < float("inf") or neighbors < 1:
        raise ValueError(f"regularization={regularization} must be above 0, and neighbors={neighbors} 1 or more")
    known = (_regressors if task == "regress" else _classifiers)(1 / regularization, neighbors)
    if classifier not in (*known, "best"):
        raise ValueError(f"classifier={classifier!r} must be one of {', '.join(known)} and best")
    estimator, *others = known.values() if classifier == "best" else [known[classifier]]
    network = features_model(backbone, input_shape, weights=weights, image_size=image_size)
    return FeatureClassifier(network, estimator, num_classes, tuple(others), task)


def _classifiers(inverse_regularization: float, neighbors: int) -> dict[str, Any]:
    return {
        "svm": LinearSVC(C=inverse_regularization, max_iter=_MOST_ITERATIONS),
        "logistic": LogisticRegression(C=inverse_regularization, max_iter=_MOST_ITERATIONS),
        # In so many dimensions, trees of neighbours are slower than looking at all of them.
        "knn": KNeighborsClassifier(neighbors, algorithm="brute"),
        # Fewer and smaller trees than by default, in larger steps: as good on features, and several times faster.
        # Stopping early would need more than one picture of each class to judge by.
        "boosting": HistGradientBoostingClassifier(
            learning_rate=0.2, max_iter=40, max_leaf_nodes=8, early_stopping=False
        ),
    }


def _regressors(inverse_regularization: float, neighbors: int) -> dict[str, Any]:
    return {
        "svm": LinearSVR(C=inverse_regularization, max_iter=_MOST_ITERATIONS),
        "logistic": Ridge(1 / inverse_regularization),
        "knn": KNeighborsRegressor(neighbors, algorithm="brute"),
        "boosting": HistGradientBoostingRegressor(
            learning_rate=0.2, max_iter=40, max_leaf_nodes=8, early_stopping=False
        ),
    }
