"""The page of a run: one file of HTML, which needs nothing else."""

from collections.abc import Iterator

from keras_azure.errors import RunFailed
from keras_azure.evaluation.figures import ClassFigures, LabelFigures, NumberFigures
from keras_azure.reporting import about, autoencoder, classes, labels, numbers
from keras_azure.reporting.album import Album
from keras_azure.reporting.finished import FinishedRun
from keras_azure.reporting.limits import LARGEST_PAGE, LIMITS, Limits
from keras_azure.reporting.parts import Section, Text
from keras_azure.reporting.pictures import Pictures
from keras_azure.reporting.template import rendered


def page(run: FinishedRun, pictures: Pictures) -> str:
    """The HTML of a run, of `LARGEST_PAGE` bytes at most.

    Raises:
        RunFailed: the model gave something that is no number.
    """
    for limits in LIMITS:
        html = rendered(run.run_dir.name, [*_sections(run, pictures, limits)])
        if len(html.encode()) <= LARGEST_PAGE:
            return html
    raise RunFailed(f"The report of the run in {run.run_dir} would be larger than {LARGEST_PAGE} bytes.")


def _sections(run: FinishedRun, pictures: Pictures, limits: Limits) -> Iterator[Section]:
    album = Album(limits.images)
    tested = [*_tested(run, pictures, album, limits)]
    notes = [pictures.problem] if pictures.problem else []
    if album.left_out:
        notes.append(f"{album.left_out} images are left out: a page has {LARGEST_PAGE // 1_000_000} MB at most.")
    yield about.result(run)
    yield about.settings(run)
    yield about.data(run, limits)
    yield about.training(run)
    yield from tested
    if notes:
        yield Section("Images", [Text(note) for note in notes])
    yield about.speed(run)
    yield about.cost(run)
    yield about.environment(run)


def _tested(run: FinishedRun, pictures: Pictures, album: Album, limits: Limits) -> Iterator[Section]:
    """What the test came to, by what the model is for."""
    figures, answers, images = run.figures, run.answers, pictures.images
    if answers is None or images is None:
        yield from autoencoder.sections(pictures, album)
    elif isinstance(figures, ClassFigures):
        yield from classes.sections(answers, figures, images, album, pictures.explain, limits)
    elif isinstance(figures, LabelFigures):
        yield from labels.sections(answers, figures, images, album, pictures.explain, limits)
    elif isinstance(figures, NumberFigures):
        yield from numbers.sections(answers, figures, images, album, pictures.explain, limits)
