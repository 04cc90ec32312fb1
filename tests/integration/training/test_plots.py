"""The plots show what they say."""

import warnings

import matplotlib.image
import numpy as np
import pytest

from keras_azure.data.arrays import ArrayDataset
from keras_azure.training.evaluation import Evaluation
from keras_azure.training.history import History
from keras_azure.training.plots import confusion_matrix, draw_plots, learning_curves, worst_mistakes
from keras_azure.training.tasks import CLASSIFY

NAMES = ("cat", "dog", "a name of $many$ characters")


@pytest.fixture
def dataset():
    split = (np.zeros((6, 4, 4, 3), np.uint8), np.array([0, 0, 1, 1, 2, 2]))
    return ArrayDataset(NAMES, {"train": split, "test": split}, "six pictures")


@pytest.fixture
def test_result():
    probabilities = np.full((6, 3), 0.1, np.float32)
    probabilities[range(6), [0, 1, 1, 1, 2, 0]] = 0.8  # two mistakes: a cat taken for a dog, the last for a cat
    return Evaluation(probabilities, np.array([0, 0, 1, 1, 2, 2]), {"loss": 0.7, "accuracy": 4 / 6})


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path)
    for epoch in (1, 2):
        history.append({"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5, "val_loss": 0.6, "val_accuracy": 0.4})
    return history


def test_learning_curves_draw_training_and_validation(history):
    loss, accuracy = learning_curves(history).axes
    assert [line.get_label() for line in loss.get_lines()] == ["training", "validation"]
    assert loss.get_lines()[0].get_ydata().tolist() == [1.0, 0.5]
    assert accuracy.get_title() == "Accuracy"


def test_the_confusion_matrix_counts(test_result):
    axes = confusion_matrix(test_result, NAMES).axes[0]
    counts = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "1", (0, 1): "1", (1, 1): "2", (2, 2): "1", (2, 0): "1"}


def test_the_page_of_mistakes_shows_them_first(test_result, dataset):
    figure = worst_mistakes(test_result, dataset)
    assert figure.get_suptitle() == "2 mistakes in 6 test pictures, the worst first"
    (axes,) = figure.axes
    titles = [text.get_text() for text in axes.texts]
    assert len(titles) == len(axes.images) == 6
    squares = {(int(left), int(top)) for left, right, bottom, top in (image.get_extent() for image in axes.images)}
    assert squares == {(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 1)}  # none is drawn over another
    assert sorted("taken for" in title for title in titles[:2]) == [True, True]
    assert titles[0] == "cat, taken for\ndog (80%)"
    assert titles[-1].startswith("right: ")


def test_all_are_written_as_pictures(tmp_path, history, test_result, dataset):
    draw_plots(tmp_path / "plots", history, CLASSIFY.figures(test_result, dataset))
    for name in ("learning_curves", "confusion_matrix", "worst_mistakes"):
        picture = matplotlib.image.imread(tmp_path / "plots" / f"{name}.png")
        assert min(picture.shape[:2]) > 200
        assert picture[..., :3].std() > 0.02  # something is drawn


@pytest.mark.parametrize(
    "names",
    [("猫", "🐶", "$x_1^2$"), ("a name that begins as the other 1", "a name that begins as the other 2", "c\nd")],
)
def test_names_in_any_script_and_of_any_length(tmp_path, history, test_result, dataset, names):
    dataset.class_names = names
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_plots(tmp_path / "plots", history, CLASSIFY.figures(test_result, dataset))
    axes = confusion_matrix(test_result, names).axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert len({tick.get_text() for tick in ticks}) == 3
    texts = [text.get_text() for text in worst_mistakes(test_result, dataset).axes[0].texts]
    right = {text.partition("right: ")[2].rpartition(" (")[0] for text in texts if text.startswith("right")}
    assert len(right) == 3
