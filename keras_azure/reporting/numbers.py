"""What a report says of a model for numbers."""

from collections.abc import Iterator

import numpy as np

from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.figures import NumberFigures
from keras_azure.reporting.album import Album
from keras_azure.reporting.charts import scatter_chart
from keras_azure.reporting.curves import title_of
from keras_azure.reporting.galleries import mistakes
from keras_azure.reporting.limits import Limits
from keras_azure.reporting.maps import Explain
from keras_azure.reporting.parts import Part, Section, Table, Text, charts, named, sentence
from keras_azure.reporting.tested_images import TestedImages
from keras_azure.reporting.text import number

_MOST_CHARTS = 12
_POINTS = 1000  # of a chart
_WORST = 24


def sections(
    answers: Answers, figures: NumberFigures, images: TestedImages, album: Album, explain: Explain, limits: Limits
) -> Iterator[Section]:
    yield Section("Test", [*_scores(figures, limits), *_charts(answers)])
    yield Section("Worst mistakes", [*_worst(answers, images, album, explain)])


def _scores(figures: NumberFigures, limits: Limits) -> Iterator[Part]:
    rows = [("Test images", figures.images), *((title_of(name), each) for name, each in figures.averages.items())]
    yield Table("Scores of the test", ("Score", "Value"), rows)
    each = list(figures.each.items())
    if len(each) > limits.rows:
        yield Text(f"Of {len(each)} numbers the first {limits.rows} follow: the page has no room for more.")
        each = each[: limits.rows]
    columns = list(dict.fromkeys(name for _, scores in each for name in scores))
    yield Table(
        f"{len(each)} numbers",
        ("Number", *map(title_of, columns)),
        [(named(name), *(scores.get(column) for column in columns)) for name, scores in each],
        folded=len(each) > limits.unfolded,
    )


def _charts(answers: Answers) -> Iterator[Part]:
    some = np.unique(np.linspace(0, len(answers) - 1, min(_POINTS, len(answers))).round().astype(int))
    if len(some) < len(answers):
        yield Text(f"Predicted over true, of {len(some):,} of the {len(answers):,} test images:")
    yield from charts(
        [
            scatter_chart(
                [*zip(answers.truth[some, place].tolist(), answers.given[some, place].tolist(), strict=True)],
                title=name if len(name) <= 40 else name[:39] + "…",
                across="True",
                up="Predicted",
                diagonal=True,
            )
            for place, name in enumerate(answers.names[:_MOST_CHARTS])
        ]
    )


def _worst(answers: Answers, images: TestedImages, album: Album, explain: Explain) -> Iterator[Part]:
    """By how far numbers are off, each in units of how much it varies."""
    off = answers.given - answers.truth
    deviation = answers.truth.std(axis=0)
    far = np.abs(off / np.where(deviation > 0, deviation, 1))
    worst = np.argsort(-far.max(axis=1), kind="stable")[:_WORST].tolist()
    yield Text("The images with the number that is furthest off, in units of how much it varies.")
    explained = far[worst].argmax(axis=1)
    rows, alts, captions = [], [], []
    for place, which in zip(worst, explained.tolist(), strict=True):
        name, truth, said = answers.names[which], answers.truth[place, which], answers.given[place, which]
        rows.append((int(answers.samples[place]), named(name), float(truth), float(said)))
        alts.append(f"Test image {answers.samples[place]}: {name} {number(truth)}, predicted {number(said)}")
        captions.append(sentence("{}: {}, predicted {}", named(name), number(truth), number(said)))
    shown = [*mistakes(worst, explained, answers.names, alts, captions, images, album, explain)]
    yield from shown
    headings = ("Test image", "Number", "True", "Predicted")
    yield Table(f"The {len(rows)} worst mistakes", headings, rows, folded=bool(shown))
