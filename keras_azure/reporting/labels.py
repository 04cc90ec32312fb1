"""What a report says of a model for several labels."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.figures import LabelFigures
from keras_azure.reporting.album import Album
from keras_azure.reporting.charts import Line, line_chart
from keras_azure.reporting.classes import interval, reliability
from keras_azure.reporting.curves import title_of
from keras_azure.reporting.galleries import mistakes
from keras_azure.reporting.limits import Limits
from keras_azure.reporting.maps import Explain
from keras_azure.reporting.parts import Part, Section, Table, Text, charts, named, sentence
from keras_azure.reporting.tested_images import TestedImages
from keras_azure.reporting.text import number

_MOST_CURVES = 12
_POINTS = 100  # of a curve
_WORST = 24


def sections(
    answers: Answers, figures: LabelFigures, images: TestedImages, album: Album, explain: Explain, limits: Limits
) -> Iterator[Section]:
    yield Section("Test", [*_scores(figures), *_labels(answers, figures, limits), *_curves(answers, figures)])
    yield Section("Worst mistakes", [*_worst(answers, images, album, explain)])
    yield Section("Calibration", [*reliability(figures.calibration, "labels of images", "a label")])


def _scores(figures: LabelFigures) -> Iterator[Part]:
    yield Table(
        "Scores of the test; shares of images with their 95 % interval (Wilson)",
        ("Score", "Value"),
        [
            ("Test images", figures.images),
            ("All labels right", interval(figures.all_right)),
            *((title_of(name), value) for name, value in figures.averages.items()),
        ],
    )


def _labels(answers: Answers, figures: LabelFigures, limits: Limits) -> Iterator[Part]:
    each = list(figures.each.items())
    thresholds = dict(zip(answers.names, answers.thresholds, strict=True))
    if len(each) > limits.rows:
        yield Text(f"Of {len(each)} labels the first {limits.rows} follow: the page has no room for more.")
        each = each[: limits.rows]
    columns = list(dict.fromkeys(name for _, scores in each for name in scores if name != "threshold"))
    yield Table(
        f"{len(each)} labels",
        ("Label", "Threshold", *map(title_of, columns)),
        [(named(name), thresholds[name], *(scores.get(column) for column in columns)) for name, scores in each],
        folded=len(each) > limits.unfolded,
    )


def _curves(answers: Answers, figures: LabelFigures) -> Iterator[Part]:
    """Precision over recall of labels that occur, the worst first."""
    from sklearn.metrics import precision_recall_curve

    present = np.flatnonzero(answers.truth.any(axis=0)).tolist()
    scores = {label: figures.each[answers.names[label]]["average_precision"] for label in present}
    shown = sorted(present, key=lambda label: scores[label])[:_MOST_CURVES]
    if len(present) > len(shown):
        yield Text(f"Precision over recall of the {len(shown)} labels with the lowest average precision:")
    drawn = []
    for label in shown:
        precision, recall, _ = precision_recall_curve(answers.truth[:, label], answers.given[:, label])
        some = np.unique(np.linspace(0, len(recall) - 1, min(_POINTS, len(recall))).round().astype(int))[::-1]
        points = [*zip(recall[some].tolist(), precision[some].tolist(), strict=True)]
        name = answers.names[label]
        title = f"{name if len(name) <= 24 else name[:23] + '…'}: average precision {number(scores[label], 3)}"
        whole = (0.0, 1.02)
        drawn.append(
            line_chart(
                [Line("precision", points)], title=title, across="Recall", up="Precision", x_range=whole, y_range=whole
            )
        )
    yield from charts(drawn)


def _worst(answers: Answers, images: TestedImages, album: Album, explain: Explain) -> Iterator[Part]:
    truth, said = answers.truth.astype(bool), answers.predicted.astype(bool)
    wrong = (truth != said).sum(axis=1)
    each = -np.log(np.clip(np.where(truth, answers.given, 1 - answers.given), 1e-7, 1))
    worst = np.lexsort((-each.sum(axis=1), wrong == 0))[: min(_WORST, int((wrong > 0).sum()))].tolist()
    if not worst:
        yield Text("All labels of all test images are right.")
        return
    yield Text(f"{int((wrong > 0).sum()):,} of {len(wrong):,} test images have a wrong label; the least likely first.")
    rows, alts, captions = [], [], []
    for place in worst:
        missed = [answers.names[label] for label in np.flatnonzero(truth[place] & ~said[place])]
        added = [answers.names[label] for label in np.flatnonzero(~truth[place] & said[place])]
        parts = [(what, names) for what, names in (("missed", missed), ("wrongly said", added)) if names]
        alts.append(
            f"Test image {answers.samples[place]}: " + "; ".join(f"{what}: {', '.join(names)}" for what, names in parts)
        )
        captions.append(
            Markup("; ").join(sentence("{}: {}", what, Markup(", ").join(map(named, names))) for what, names in parts)
        )
        rows.append((int(answers.samples[place]), captions[-1]))
    explained = np.where(truth != said, each, -1)[worst].argmax(axis=1)
    shown = [*mistakes(worst, explained, answers.names, alts, captions, images, album, explain)]
    yield from shown
    yield Table(f"The {len(rows)} worst mistakes", ("Test image", "Labels"), rows, folded=bool(shown))
