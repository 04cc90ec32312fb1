"""`kaz predict`: what the model of a finished run says of picture files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_azure.cli.output import print_json, print_text
from keras_azure.data.formats.litter import is_ignored
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy
from keras_azure.redaction import printable

if TYPE_CHECKING:
    from keras_azure.models.predictor import Prediction, Predictor

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


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
    """Tell the classes of pictures, by the model of a finished run."""
    paths = [path for picture in pictures for path in _expanded(picture)]
    predictor: Predictor = lazy("keras_azure.api.runs:load")(run)
    predictions = predictor.predict(paths)
    if json:
        print_json([_as_object(prediction, top) for prediction in predictions])
        return
    # Printable here already, for it changes how wide a name is, and each picture has one line.
    names = [printable(prediction.path) for prediction in predictions]
    width = max(map(len, names))
    for name, prediction in zip(names, predictions, strict=True):
        classes = [f"{printable(class_name)}  {probability:.1%}" for class_name, probability in prediction.top(top)]
        print_text("  ".join([name.ljust(width), *classes]))


def _expanded(path: Path) -> Sequence[Path]:
    """The path of a picture, or of those directly in a folder.

    Raises:
        UsageError: the folder holds none, or cannot be read.
    """
    if not path.is_dir():
        return [path]
    try:
        found = sorted(each for each in path.iterdir() if _is_picture(each))
    except OSError as error:
        raise UsageError(f"The folder {path} cannot be read: {error.strerror}.") from error
    if not found:
        raise UsageError(
            f"The folder {path} has no pictures directly in it.",
            expected=f"files that end with {', '.join(_ENDINGS)}",
        )
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS and not is_ignored(path.name) and path.is_file()


def _as_object(prediction: "Prediction", top: int) -> dict[str, Any]:
    return {
        "path": str(prediction.path),
        "class": prediction.class_name,
        "probability": prediction.probability,
        "probabilities": dict(prediction.top(top)),
    }
