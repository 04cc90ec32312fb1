"""The Python API: what `kaz runs` and `kaz compare` do, as functions."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_azure.description.events import Observer
from keras_azure.description.folder import runs_folder
from keras_azure.description.listing import RunList, list_runs, sorted_runs
from keras_azure.errors import OutputExists
from keras_azure.keras_engine import native_messages_held_back, prepare_keras
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.comparing.comparison import Comparison
    from keras_azure.description.result import RunResult


def runs(folder: str | Path | None = None, *, sort: str = "started") -> RunList:
    """The runs whose folders are here, from their files alone, the newest first.

        for run in keras_azure.runs(sort="score"):
            print(run.name, run.state, run.metric, run.score)

    Args:
        folder: where the run folders are; by default `runs/`, or what KAZ_RUNS names.
        sort: a column: name, state, started, model, data, epochs, metric, score, images_per_second, seconds, backend.
            Texts are sorted from A to Z, numbers from the highest, times from the newest, scores from the best.

    Returns:
        A tuple of `keras_azure.description.listing.ListedRun`. A run whose files are damaged is one that says so.

    Raises:
        UsageError: the folder cannot be read, or there is no such column.
    """
    if folder is None:
        place = runs_folder().absolute()
        found = list_runs(place) if place.exists() else []
    else:
        place = Path(folder).expanduser().absolute()
        found = list_runs(place)
    return RunList(place, sorted_runs(found, sort))


def compare(
    *runs: "str | Path | RunResult",
    tolerance: float = 0.01,
    metric: str | None = None,
    html: str | Path | None = None,
    overwrite: bool = False,
    observer: Observer | None = None,
) -> "Comparison":
    """Compares finished runs of one task: settings, scores, speed, and what they said of the same images.

        comparison = keras_azure.compare("runs/20260102-120000-cnn", "runs/20260101-120000-cnn")
        comparison.worse_than  # () if the first is as good

    Args:
        runs: two or more: run folders, or what `keras_azure.run` gave; the others are compared with the first.
        tolerance: the share by which the first may be worse.
        metric: the score in which; by default the main one of the task: accuracy, macro_f1, mae or loss.
        html: a file to write the comparison to, as a page that needs nothing else.
        overwrite: whether `html` may be there already.
        observer: hears of the progress instead of the display.

    Returns:
        A `keras_azure.comparing.comparison.Comparison`, which a notebook shows.

    Raises:
        UsageError: they are no finished runs of one task, or there is no such metric.
        DamagedRun: the files of one are not as a run wrote them.
        OutputExists: `html` is there.
    """
    page = None if html is None else Path(html).expanduser()
    if page is not None and page.exists() and not overwrite:
        raise OutputExists(
            f"{page} is there already, and nothing is overwritten.", hint="--overwrite, or another --html"
        )
    folders = [Path(run if isinstance(run, str | Path) else run.run_dir).expanduser() for run in runs]
    compare_runs: Callable[..., Comparison] = lazy("keras_azure.comparing.comparison:compare_runs")
    display_for_here: Callable[..., contextlib.AbstractContextManager[Observer]]
    display_for_here = lazy("keras_azure.listeners.display:display_for_here")  # with rich, which a list needs not
    with display_for_here(observer) as display:
        comparison = compare_runs(folders, tolerance=tolerance, metric=metric, observer=display)
        if page is not None:
            prepare_keras()  # some data sets are TensorFlow's
            with native_messages_held_back():
                write_page: Callable[..., None] = lazy("keras_azure.comparing.page:write_page")
            write_page(comparison, page, display)
    return comparison
