"""`kaz predict`: what the model of a finished run says of picture files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_azure.cli.output import print_json, print_text
from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.litter import is_ignored, is_litter
from keras_azure.description.events import Observer
from keras_azure.errors import UnreadableFile, UsageError
from keras_azure.lazy import lazy
from keras_azure.redaction import printable

if TYPE_CHECKING:
    from keras_azure.models.predictor import Predictor, Said


def register(app: typer.Typer) -> None:
    app.command("predict")(predict)


def predict(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE...", help="Picture files, or folders of some.", show_default=False),
    ],
    *,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show, the most probable first.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell the classes, labels or numbers of pictures, by the model of a finished run.

    Files are known by their content. Those that cannot be read are named on stderr, and the exit code is 1 then.
    """
    observer = Told()
    paths = [path for picture in pictures for path in expanded(picture, observer)]
    predictor: Predictor = lazy("keras_azure.api.runs:load")(run)
    outcomes = [*predictor.predict_each(paths, observer)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, UnreadableFile)]
    predictions = [outcome for outcome in outcomes if not isinstance(outcome, UnreadableFile)]
    if json:
        print_json([prediction.to_json(top) for prediction in predictions])
    else:
        _print_lines(predictions, top)
    if failures:
        raise all_in_one(failures)


def _print_lines(predictions: Sequence["Said"], top: int) -> None:
    # Printable here already, for it changes how wide a name is, and each picture has one line.
    names = [printable(prediction.path) for prediction in predictions]
    width = max(map(len, names), default=0)
    for name, prediction in zip(names, predictions, strict=True):
        said = [f"{printable(called)}  {value}".rstrip() for called, value in prediction.in_words(top)]
        print_text("  ".join([name.ljust(width), *said]))


class Told(Observer):
    """Says on stderr what is told: stdout is for results."""

    def message(self, text: str) -> None:
        print_text(text, err=True)


def all_in_one(failures: Sequence[UnreadableFile]) -> UnreadableFile:
    """One error that names all files."""
    hints = "; ".join(dict.fromkeys(failure.hint for failure in failures))
    return UnreadableFile("\n".join(each.problem for each in failures), expected=failures[0].expected, hint=hints)


def expanded(path: Path, observer: Observer) -> Sequence[Path]:
    """The path of a picture, or of all files directly in a folder but hidden ones and what systems leave behind.

    The observer hears of what else is in the folder.

    Raises:
        UsageError: the folder holds none, or cannot be read.
    """
    if not path.is_dir():
        return [path]
    try:
        inside = sorted(each for each in path.iterdir() if not is_litter(each.name))
        folders = [each.name for each in inside if each.is_dir() and not is_ignored(each.name)]
        found = [each for each in inside if not is_ignored(each.name) and not each.is_dir()]
    except OSError as error:
        raise UsageError(f"The folder {path} cannot be read: {error.strerror}.") from error
    if not found:
        raise UsageError(
            f"The folder {path} has no pictures directly in it.",
            expected="picture files, known by their content",
            hint=f"the folders in it: {some_of(folders)}" if folders else "",
        )
    hidden = [each.name for each in inside if is_ignored(each.name)]
    for why, names in (("hidden files and folders are", hidden), ("folders in a folder are", folders)):
        if names:
            observer.message(f"Left out of {path}, as {why}: {some_of(names)}")
    return found
