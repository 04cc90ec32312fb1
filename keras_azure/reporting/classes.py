"""What a report says of a classifier: its scores, what it takes for what, and how sure it may be."""

from collections.abc import Iterator

import numpy as np

from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.calibration import Calibration
from keras_azure.evaluation.figures import ClassFigures
from keras_azure.evaluation.intervals import Share
from keras_azure.reporting.album import Album
from keras_azure.reporting.charts import Line, line_chart
from keras_azure.reporting.galleries import mistakes, to_images
from keras_azure.reporting.limits import Limits
from keras_azure.reporting.maps import Explain
from keras_azure.reporting.parts import (
    Figure,
    Gallery,
    Image,
    Matrix,
    Part,
    Section,
    Table,
    Text,
    Value,
    charts,
    named,
    percent,
    sentence,
)
from keras_azure.reporting.tested_images import TestedImages

_MOST_IN_A_MATRIX = 16  # classes of which a matrix has room for numbers
_LARGEST_MATRIX = 2000  # classes of which there is a picture, a pixel each
_CELLS = 20
_EXAMPLES = 4  # images of a wrong cell
_WORST = 24
_WHOLE = (0.0, 1.0)


def sections(
    answers: Answers, figures: ClassFigures, images: TestedImages, album: Album, explain: Explain, limits: Limits
) -> Iterator[Section]:
    """The sections on the test, the most telling images first, as long as the album has room."""
    worst = Section("Worst mistakes", [*_worst(answers, images, album, explain)])
    confusion = Section("Confusion", [*_confusion(answers, figures, images, album)])
    yield Section("Test", [*_scores(figures), *_classes(figures, limits)])
    yield confusion
    yield worst
    yield Section("Calibration", [*_calibrated(figures)])


def interval(share: Share | None) -> str | None:
    """A share with its interval: "98.6 % (97.0 to 99.4)"."""
    return None if share is None else f"{percent(share.value)} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _scores(figures: ClassFigures) -> Iterator[Part]:
    top = [(f"Top-{k} accuracy" if k > 1 else "Accuracy", interval(share)) for k, share in figures.top.items()]
    further = [("ROC AUC, macro", figures.roc_auc), ("Average precision, macro", figures.average_precision)]
    yield Table(
        "Scores of the test, shares with their 95 % intervals (Wilson)",
        ("Score", "Value"),
        [
            ("Test images", figures.images),
            *(top or [("Accuracy", interval(figures.accuracy))]),
            *((name, value) for name, value in further if value is not None),
        ],
    )
    means = (("each class counts the same (macro)", figures.macro), ("by images (weighted)", figures.weighted))
    yield Table(
        "Averages over the classes that occur",
        ("Average", "Precision", "Recall", "F1"),
        [(name, percent(mean.precision), percent(mean.recall), percent(mean.f1)) for name, mean in means],
    )


def _classes(figures: ClassFigures, limits: Limits) -> Iterator[Part]:
    rows = figures.rows
    if len(rows) > limits.rows:
        yield Text(
            f"Of {len(rows)} classes, the {limits.rows} with the lowest F1 follow: the page has no room for more."
        )
        rows = tuple(sorted(rows, key=lambda row: (row.f1 is None, row.f1))[: limits.rows])
    yield Table(
        f"{len(rows)} classes, shares with their 95 % intervals (Wilson)",
        ("Class", "Images", "Precision", "Recall", "F1", "Average precision"),
        [
            (
                *(named(row.name), row.support, interval(row.precision), interval(row.recall)),
                *(None if row.f1 is None else percent(row.f1), row.average_precision),
            )
            for row in rows
        ],
        folded=len(rows) > limits.unfolded,
    )


def _confusion(answers: Answers, figures: ClassFigures, images: TestedImages, album: Album) -> Iterator[Part]:
    counts, names = figures.confusion, answers.names
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(names) <= _MOST_IN_A_MATRIX:
        cells = [[*zip(*row, strict=True)] for row in zip(counts.tolist(), shares.tolist(), strict=True)]
        yield Matrix("How often each true class (row) was taken for each class (column)", names, cells)
    elif len(names) <= _LARGEST_MATRIX and (picture := album.add(_picture(shares))):
        alt = f"Confusion matrix of {len(names)} classes; its largest wrong cells are listed below"
        caption = (
            "A row for each true class, a column for each class that was said, in the order of the classes, from the "
            "top left: the darker, the larger the share of the true class. Blue is right, orange is wrong."
        )
        yield Gallery([Figure([Image(picture, alt)], caption)], wide=True)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    largest = [int(cell) for cell in np.argsort(-wrong, axis=None, kind="stable")[:_CELLS] if wrong.flat[cell]]
    if not largest:
        yield Text("No test image was taken for another class.")
        return
    pairs = [divmod(cell, len(names)) for cell in largest]
    yield Table(
        f"The {len(pairs)} largest wrong cells",
        ("True class", "Taken for", "Images", "Share of the true class"),
        [
            (named(names[row]), named(names[column]), int(counts[row, column]), percent(shares[row, column]))
            for row, column in pairs
        ],
    )
    yield from _examples(answers, pairs, images, album)


def _examples(answers: Answers, pairs: list[tuple[int, int]], images: TestedImages, album: Album) -> Iterator[Part]:
    """Some images of each wrong cell."""
    names, predicted, sure = answers.names, answers.predicted, answers.given.max(axis=1)
    chosen = []
    for row, column in pairs:
        places = np.flatnonzero((answers.truth == row) & (predicted == column))
        chosen.append(places[np.argsort(-sure[places], kind="stable")][:_EXAMPLES].tolist())
    read = iter(images.read([place for places in chosen for place in places]))
    figures = []
    for (row, column), places in zip(pairs, chosen, strict=True):
        alts = [f"Test image {answers.samples[place]}: {names[row]}, taken for {names[column]}" for place in places]
        if shown := to_images([next(read) for _ in places], alts, album):
            figures.append(Figure(shown, sentence("{} taken for {}", named(names[row]), named(names[column]))))
    if figures:
        yield Text("Of each of them the images of which the model was surest:")
        yield Gallery(figures)


def _worst(answers: Answers, images: TestedImages, album: Album, explain: Explain) -> Iterator[Part]:
    places = np.arange(len(answers))
    to_truth = answers.given[places, answers.truth]
    worst = places[np.lexsort((to_truth, answers.right))][: min(_WORST, int((~answers.right).sum()))]
    if not len(worst):
        yield Text("The model made no mistake on the test images.")
        return
    wrong = int((~answers.right).sum())
    yield Text(
        f"{wrong:,} mistakes in {len(answers):,} test images; first those to whose true class the model gave least."
    )
    predicted = answers.predicted[worst]
    rows: list[tuple[Value, ...]] = []
    captions, alts = [], []
    for index, said in zip(worst.tolist(), predicted.tolist(), strict=True):
        true, taken = answers.names[answers.truth[index]], answers.names[said]
        sure, least = percent(answers.given[index, said]), percent(to_truth[index])
        rows.append((int(answers.samples[index]), named(true), named(taken), sure, least))
        alts.append(f"Test image {answers.samples[index]}: {true}, taken for {taken}")
        captions.append(
            sentence("{} taken for {} ({}; {} for the true class)", *map(named, (true, taken)), sure, least)
        )
    shown = [*mistakes(worst.tolist(), predicted, answers.names, alts, captions, images, album, explain)]
    yield from shown
    headings = ("Test image", "True class", "Taken for", "Probability of that", "Of the true class")
    yield Table(f"The {len(rows)} worst mistakes", headings, rows, folded=bool(shown))


def _calibrated(figures: ClassFigures) -> Iterator[Part]:
    answered = line_chart(
        [Line("accuracy", figures.answered)],
        title="Accuracy if the least sure are refused",
        across="Share answered",
        up="Accuracy",
        x_range=_WHOLE,
    )
    yield from reliability(figures.calibration, "test images", "the class that is said", answered)


def reliability(known: Calibration, what: str, said: str, beside: str = "") -> Iterator[Part]:
    """How far probabilities and what is true are apart.

    Args:
        what: the answers are of, such as "test images".
        said: the probability is of, such as "the class that is said".
        beside: a further chart.
    """
    yield Text(
        f"The expected calibration error is {percent(known.ece)}: by so much, on average over the {what}, the "
        f"probability of {said} and how often it is right are apart, in {len(known.bins)} bins of about as many each. "
        "On the broken line they are the same."
    )
    points = [(each.confidence, each.accuracy) for each in known.bins]
    drawn = line_chart(
        [Line("right", points)],
        title="Reliability",
        across="Probability",
        up="Share that is right",
        x_range=_WHOLE,
        y_range=_WHOLE,
        diagonal=True,
    )
    yield from charts([drawn, beside])
    yield Table(
        "The bins of the reliability curve",
        ("Mean probability", "Share that is right", "Answers"),
        [(percent(each.confidence), percent(each.accuracy), each.images) for each in known.bins],
        folded=True,
    )


def _picture(shares: np.ndarray) -> np.ndarray:
    """A pixel for each cell, which shows as much as its share: on a white page and on a black one."""
    found = np.empty((*shares.shape, 4), np.uint8)
    found[...] = (217, 112, 43, 0)
    found[np.arange(len(shares)), np.arange(len(shares)), :3] = (59, 130, 214)
    found[..., 3] = np.where(shares > 0, 80 + 175 * np.sqrt(shares), 0)  # so that few show too
    return found
