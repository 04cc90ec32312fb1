"""`kaz evaluate`: what a trained model is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_azure.api.evaluation import Split
from keras_azure.cli.output import print_json, print_text
from keras_azure.errors import UnknownName, UsageError, WorseThanAsked
from keras_azure.files import require_empty
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.evaluation.result import EvaluationResult


def register(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run folder, or a .keras file.", show_default=False)],
    *,
    data: Annotated[
        str | None, typer.Option(help="What to test on, as in kaz run. By default the data of the run.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = "test",
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a model from elsewhere: the names of its classes, one in each line."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="The batch size. By default that of the run.", show_default=False)
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over each image and its mirror image.")] = False,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Figures of each value of a column of a table, too.")
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Fit a temperature on the validation images, and keep it in the model."),
    ] = False,
    at_least: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCORE=VALUE",
            help="Exit with 1 if a score is below, such as accuracy=0.9; may be given several times.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the figures there: JSON, CSV, and what was said of each image."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test a trained model: accuracy, figures of each class with 95 % intervals, confusion and calibration."""
    bounds = dict(map(_bound, at_least or ()))
    if output is not None:
        require_empty(output)
    result: EvaluationResult = lazy("keras_azure.api.evaluation:evaluate")(
        run, data, split=split, classes=classes, batch_size=batch_size, tta=tta, by=by, calibrate=calibrate
    )
    if output is not None:
        result.save(output)
    if json:
        print_json(result.to_json())
    else:
        print_text(repr(result))
    _require(result, bounds)


def _bound(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise UsageError(f"{text!r} names no score and its least value.", expected="such as accuracy=0.9") from None


def _require(result: "EvaluationResult", bounds: dict[str, float]) -> None:
    """
    Raises:
        UnknownName: there is no such score.
        WorseThanAsked: a score is lower than it is to be.
    """
    for name in bounds:
        if name not in result.scores:
            raise UnknownName.among("score", name, result.scores)
    below = [
        f"{name} is {result.scores[name]:.6g}, below {bound:g}"
        for name, bound in bounds.items()
        if not result.scores[name] >= bound
    ]
    if below:
        raise WorseThanAsked(f"The model is not good enough: {'; '.join(below)}.")
