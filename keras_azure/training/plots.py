"""The pictures in `plots/`: learning curves, the confusion matrix, and a page of the worst mistakes."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_azure.data import Dataset
from keras_azure.data.figure_text import drawable_labels, style_of
from keras_azure.files import make_folder, write_atomically
from keras_azure.training.evaluation import Evaluation, ImageEvaluation, LabelsEvaluation, NumbersEvaluation
from keras_azure.training.history import History

WORST = 25  # pictures on the page of mistakes, 5 x 5
_PLACE = np.array([2.5, 2.2])  # the height and width of a place on that page, in inches
_PICTURE = 1.95  # the longer side of the picture in it; the rest is for two lines of text
_NAME = 16  # characters of a class's name
_TITLES = {"macro_f1": "Macro F1", "micro_f1": "Micro F1", "mae": "Mean absolute error"}
_MOST_CURVES = 20  # on one plot; beyond that no legend is read
_MOST_NUMBERS = 12  # that have a panel each
_MOST_LABELLED_CLASSES = 30  # beyond that the confusion matrix has no room for numbers and names


def draw_plots(
    folder: Path, history: History, figures: Mapping[str, Figure], scores: Sequence[str] = ("loss", "accuracy")
) -> None:
    """Writes the PNG files: learning curves of some scores, and what else there is, each by its name."""
    make_folder(folder)
    curves = {"learning_curves": learning_curves(history, scores)} if history else {}
    for name, figure in {**curves, **figures}.items():
        _save(figure, folder / f"{name}.png")


def learning_curves(history: History, scores: Sequence[str] = ("loss", "accuracy")) -> Figure:
    """Scores over the epochs, in training and in validation; stages of fine-tuning are marked."""
    names = [name for name in scores if name in history[0]]
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False).flat, names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in history[0]:
                epochs = [row["epoch"] for row in history]
                axes.plot(epochs, [row[column] for row in history], marker="o", label=label)
        axes.set(title=_TITLES.get(name, name.capitalize()), xlabel="Epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        _mark_stages(axes, history)
        axes.legend()
    return figure


def _mark_stages(axes: Axes, history: History) -> None:
    """A line between the epochs of two stages, with the later one's number and learning rate."""
    for before, row in itertools.pairwise(history):
        if row.get("stage") != before.get("stage"):
            between = (before["epoch"] + row["epoch"]) / 2
            axes.axvline(between, color="gray", linestyle="--", linewidth=1)
            text = f" stage {row['stage']}: {row['stage_learning_rate']:g}"
            axes.text(between, 0.98, text, transform=axes.get_xaxis_transform(), rotation=90, va="top", fontsize=8)


def reconstructions(test: ImageEvaluation) -> Figure:
    """Some test pictures, and below each what the autoencoder gave back."""
    count = len(test.images)
    figure = Figure(figsize=(1.6 * count, 3.6), layout="constrained")
    figure.suptitle(f"Test pictures and what came back; loss {test.scores['loss']:.4g}")
    panels = figure.subplots(2, count, squeeze=False)
    for row, pictures in zip(panels, (test.images, test.reconstructions), strict=True):
        for axes, picture in zip(row, pictures, strict=True):
            axes.set_axis_off()
            gray = picture.shape[-1] == 1
            axes.imshow(picture[..., 0] if gray else picture.clip(0, 1), cmap="gray" if gray else None, vmin=0, vmax=1)
    return figure


def precision_recall(test: LabelsEvaluation, class_names: Sequence[str]) -> Figure:
    """Precision over recall of each label that occurs, at each threshold; a point marks the threshold that is used."""
    from sklearn.metrics import precision_recall_curve

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    names = drawable_labels(class_names, _NAME)
    present = np.flatnonzero(test.labels.any(axis=0)).tolist()
    for label in present[:_MOST_CURVES]:
        name = class_names[label]
        precision, recall, _ = precision_recall_curve(test.labels[:, label], test.probabilities[:, label])
        score = test.each[name]
        (line,) = axes.plot(recall, precision, label=f"{names[name]}  {score['average_precision']:.3f}", linewidth=1.2)
        axes.plot(score["recall"], score["precision"], "o", color=line.get_color(), markersize=4)
    left_out = f"; {_MOST_CURVES} of {len(present)} labels" if len(present) > _MOST_CURVES else ""
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title(f"Macro F1 {test.scores['macro_f1']:.4f}{left_out}")
    axes.grid(alpha=0.3)
    if present:
        style = style_of("".join(names.values()))
        legend = axes.legend(title="Average precision", loc="center left", bbox_to_anchor=(1, 0.5))
        for text in legend.get_texts():
            text.set(**style)
    return figure


def predicted_over_true(test: NumbersEvaluation, class_names: Sequence[str]) -> Figure:
    """What was predicted over what is true, a panel for each number."""
    return _panels(test, class_names, "True", "Predicted", lambda truth, predicted: predicted, diagonal=True)


def residuals(test: NumbersEvaluation, class_names: Sequence[str]) -> Figure:
    """By how much predictions are too high, over what is true, a panel for each number."""
    return _panels(
        test, class_names, "True", "Predicted - true", lambda truth, predicted: predicted - truth, diagonal=False
    )


def _panels(
    test: NumbersEvaluation,
    class_names: Sequence[str],
    across: str,
    up: str,
    height: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    diagonal: bool,
) -> Figure:
    count = min(len(class_names), _MOST_NUMBERS)
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = Figure(figsize=(4 * columns + 1, 4 * rows), layout="constrained")
    names = drawable_labels(class_names, _NAME)
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if number >= count:
            axes.set_axis_off()
            continue
        name, truth = class_names[number], test.truth[:, number]
        axes.scatter(truth, height(truth, test.predicted[:, number]), s=6, alpha=0.4, linewidths=0)
        ends = np.array([truth.min(), truth.max()])
        axes.plot(ends, ends if diagonal else 0 * ends, color="gray", linestyle="--", linewidth=1)
        title = f"{names[name]}: MAE {test.each[name]['mae']:.4g}"
        axes.set(xlabel=across, ylabel=up)
        axes.set_title(title, **style_of(title))
        axes.grid(alpha=0.3)
    return figure


def confusion_matrix(test: Evaluation, class_names: Sequence[str]) -> Figure:
    """How often each true class (row) was taken for each class (column): shares as colour, counts as text."""
    count = len(class_names)
    counts = np.zeros((count, count), int)
    np.add.at(counts, (test.labels, test.predicted), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labelled = count <= _MOST_LABELLED_CLASSES
    size = min(3 + 0.5 * count, 14)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="Share of the true class", shrink=0.8)
    axes.set(xlabel="Predicted class", ylabel="True class", title=f"Accuracy {test.scores['accuracy']:.2%}")
    if labelled:
        names = [*drawable_labels(class_names, _NAME).values()]
        style = style_of("".join(names))
        axes.set_xticks(range(count), names, rotation=45, ha="right", **style)
        axes.set_yticks(range(count), names, **style)
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=colour, fontsize=8)
    return figure


def worst_mistakes(test: Evaluation, dataset: Dataset) -> Figure:
    """The test pictures whose true class got the least probability, wrong ones first."""
    given_to_truth = test.probabilities[np.arange(len(test.labels)), test.labels]
    wrong = test.predicted != test.labels
    worst = np.lexsort((given_to_truth, ~wrong))[:WORST]
    mistakes = int(wrong.sum())
    columns = 5
    rows = max(1, -(-len(worst) // columns))
    height, width = _PLACE * (rows, columns)
    figure = Figure(figsize=(width, height + 0.6))
    figure.suptitle(f"{mistakes} mistakes in {len(wrong)} test pictures, the worst first")
    # One pair of axes for all, with a unit for each picture: a pair for each would take ten times as long to draw.
    axes = figure.add_axes((0, 0, 1, height / (height + 0.6)))
    axes.set_axis_off()
    labels = drawable_labels(dataset.class_names, _NAME)
    for place, index in enumerate(worst):
        _draw_sample(axes, divmod(place, columns), test, dataset, labels, int(index), bool(wrong[index]))
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="auto")
    return figure


def _draw_sample(
    axes: Axes,
    place: tuple[int, int],
    test: Evaluation,
    dataset: Dataset,
    labels: Mapping[str, str],
    index: int,
    wrong: bool,
) -> None:
    """Draws a test picture and what was said of it in the row and column `place`."""
    picture, label = dataset.read("test", index)
    gray, (row, column) = picture.shape[-1] == 1, place
    highest, _ = _PICTURE / _PLACE
    half = _PICTURE / _PLACE / 2 * picture.shape[:2] / max(picture.shape[:2])
    middle = np.array([row + 0.98 - highest / 2, column + 0.5])
    (top, left), (bottom, right) = middle - half, middle + half
    axes.imshow(
        picture[..., 0] if gray else picture,
        cmap="gray" if gray else None,
        vmin=0,
        vmax=255,
        extent=(left, right, bottom, top),
    )
    predicted = int(test.predicted[index])
    said = f"{labels[dataset.class_names[predicted]]} ({test.probabilities[index, predicted]:.0%})"
    text = f"{labels[dataset.class_names[label]]}, taken for\n{said}" if wrong else f"right: {said}"
    axes.text(
        column + 0.5,
        row + 0.95 - highest,
        text,
        fontsize=8,
        color="darkred" if wrong else "darkgreen",
        ha="center",
        va="bottom",
        **style_of(text),
    )


def _save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda beside: figure.savefig(beside, dpi=110))
