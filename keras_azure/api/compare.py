"""The Python API: what `kaz runs` does, as a function."""

from pathlib import Path

from keras_azure.description.folder import runs_folder
from keras_azure.description.listing import RunList, list_runs, sorted_runs


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
