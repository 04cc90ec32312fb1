"""A comparison as a page, one file that needs nothing else, and as what a notebook shows."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from markupsafe import Markup

from keras_azure.comparing.comparison import Comparison
from keras_azure.comparing.images import DifferingImage
from keras_azure.comparing.settings import Difference
from keras_azure.comparing.text import COST, how_many_differ, score_headings, score_rows, sentences, speed_rows, verdict
from keras_azure.description.events import Observer
from keras_azure.errors import RunFailed
from keras_azure.evaluation.answers import Answers
from keras_azure.files import write_text
from keras_azure.reporting.album import Album
from keras_azure.reporting.charts import Line, line_chart
from keras_azure.reporting.curves import title_of
from keras_azure.reporting.limits import LARGEST_PAGE, LIMITS, Limits
from keras_azure.reporting.notebook import curves_html, table_html
from keras_azure.reporting.parts import (
    Figure,
    Gallery,
    Image,
    Part,
    Section,
    Table,
    Text,
    Value,
    charts,
    named,
    sentence,
)
from keras_azure.reporting.template import rendered
from keras_azure.reporting.tested_images import TestedImages, data_of

MOST_PICTURES = 48
MOST_CURVES = 4  # on one chart, which are told apart


def write_page(comparison: Comparison, path: Path, observer: Observer) -> None:
    """Writes the page of a comparison, of `LARGEST_PAGE` bytes at most.

    Args:
        observer: hears why there are no images.

    Raises:
        RunFailed: the file cannot be written.
    """
    images = _tested_images(comparison, observer)
    for limits in LIMITS:
        page = rendered("Comparison of runs", [*_sections(comparison, images, limits)])
        if len(page.encode()) <= LARGEST_PAGE:
            write_text(path, page)
            return
    raise RunFailed(f"The page of the comparison would be larger than {LARGEST_PAGE} bytes.", hint="fewer runs")


def notebook_html(comparison: Comparison) -> str:
    """What a notebook shows: small tables and curves."""
    letters = [run.letter for run in comparison.runs]
    parts = [table_html(("run", "where"), [(run.letter, str(run.run_dir)) for run in comparison.runs])]
    if comparison.settings:
        parts.append(table_html(("setting", *letters), _rows(comparison.settings), caption="What differs"))
    parts.append(table_html(score_headings(comparison), [*score_rows(comparison)], caption="Scores"))
    parts += [table_html(("", ""), [("", each)]) for each in [*sentences(comparison), *verdict(comparison)]]
    return "".join(parts) + curves_html(_curves(comparison))


def _sections(comparison: Comparison, images: TestedImages | None, limits: Limits) -> Iterator[Section]:
    letters = [run.letter for run in comparison.runs]
    runs = Table(
        "The first run is compared with the others",
        ("Run", "Folder"),
        [(run.letter, str(run.run_dir)) for run in comparison.runs],
    )
    yield Section("Result", [runs, *map(Text, [*verdict(comparison), *sentences(comparison)])])
    yield Section("Settings", [*_differences("What differs in run.json", "Setting", comparison.settings, letters)])
    scores = [(named(name), *rest) for name, *rest in score_rows(comparison)]
    yield Section("Scores", [Table("Scores of the test", score_headings(comparison), scores)])
    curves: list[Part] = [*charts(_curves(comparison))]
    if len(comparison.runs) > MOST_CURVES:
        curves.insert(0, Text(f"The first {MOST_CURVES} of {len(comparison.runs)} runs are drawn."))
    yield Section("Curves", curves or [Text("No run has a history.")])
    if comparison.image_runs:
        yield Section("Images", [*_images(comparison, images, limits)])
    headings, *rows = speed_rows(comparison)
    cost = [Text(COST)] if any(run.usd is not None for run in comparison.runs) else []
    yield Section("Speed and cost", [Table("Training on the machine of each run", headings, rows), *cost])
    versions = _differences("What differs in versions and machines", "", comparison.versions, letters)
    yield Section("Versions", [*versions])


def _differences(
    caption: str, heading: str, differences: Sequence[Difference], letters: Sequence[str]
) -> Iterator[Part]:
    if differences:
        yield Table(caption, (heading, *letters), _rows(differences))
    else:
        yield Text("They are the same.")


def _rows(differences: Sequence[Difference]) -> list[tuple[str, ...]]:
    return [(each.name, *each.values) for each in differences]


def _curves(comparison: Comparison) -> list[str]:
    """A chart for each score that epochs have, with a curve for each run."""
    runs = comparison.runs[:MOST_CURVES]
    columns = dict.fromkeys(
        f"{prefix}{name}"
        for name in ["loss", *comparison.scores]
        for prefix in ("", "val_")
        if any(f"{prefix}{name}" in row for run in runs for row in run.history)
    )
    return [
        line_chart(
            [Line(run.letter, [(row["epoch"], row[column]) for row in run.history if column in row]) for run in runs],
            title=_title(column),
            across="Epoch",
        )
        for column in columns
    ]


def _title(column: str) -> str:
    name = column.removeprefix("val_")
    return f"{title_of(name)}, {'training' if name == column else 'validation'}"


def _tested_images(comparison: Comparison, observer: Observer) -> TestedImages | None:
    first = comparison.runs[0]
    if not isinstance(first.answers, Answers) or not comparison.images:
        return None
    dataset, problem = data_of(comparison.runs[0].config, observer)
    if problem:
        observer.message(problem)
    return TestedImages(dataset, first.answers, problem)


def _images(comparison: Comparison, images: TestedImages | None, limits: Limits) -> Iterator[Part]:
    yield Text(how_many_differ(comparison))
    album, figures = Album(limits.images), []
    shown = comparison.images[:MOST_PICTURES]
    pixels = images.read([image.place for image in shown]) if images and limits.images else []
    for image, picture in zip_longest(shown, pixels):
        if picture is not None and (uri := album.add(picture)) is not None:
            alt = f"Test image {image.sample}, {image.truth}"
            figures.append(Figure([Image(uri, alt)], _caption(image, comparison.image_runs)))
    if figures:
        yield Gallery(figures)
    if images and images.problem:
        yield Text(images.problem)
    rows: list[tuple[Value, ...]] = [
        (image.sample, named(image.truth), *map(named, image.said)) for image in comparison.images[: limits.rows]
    ]
    if rows:
        caption = f"{len(rows):,} images, by their index in the test split"
        headings = ("Image", "Truth", *comparison.image_runs)
        yield Table(caption, headings, rows, folded=bool(figures) or len(rows) > limits.unfolded)


def _caption(image: DifferingImage, letters: Sequence[str]) -> Markup:
    parts = [sentence("truth: {} (image {})", named(image.truth), str(image.sample))]
    for letter, text, right in zip_longest(letters, image.said, image.right or ()):
        judged = "" if right is None else ", right" if right else ", wrong"
        parts.append(sentence("{}: {}{}", letter, named(text), judged))
    return Markup("; ").join(parts)
