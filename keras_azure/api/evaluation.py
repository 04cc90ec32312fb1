"""`keras_azure.evaluate`, what `kaz evaluate` does, as a function."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from keras_azure.data.given import Data, data_as_text
from keras_azure.data.locate import find_dataset
from keras_azure.description.events import Observer
from keras_azure.description.folder import read_description
from keras_azure.errors import UsageError
from keras_azure.keras_engine import load_on
from keras_azure.listeners.display import display_for_here

if TYPE_CHECKING:
    from keras_azure.evaluation.result import EvaluationResult

Split = Literal["train", "validation", "test", "all"]


def evaluate(
    run: str | Path,
    data: Data | None = None,
    *,
    split: Split = "test",
    classes: str | Path | Sequence[str] | None = None,
    batch_size: int | None = None,
    tta: bool = False,
    by: str | None = None,
    calibrate: bool = False,
    observer: Observer | None = None,
) -> "EvaluationResult":
    """Tests a trained model: accuracy, top-k, figures of each class with 95 % intervals, the confusion matrix and
    calibration; of several labels and of numbers what is said of those.

        result = keras_azure.evaluate("runs/20250101-120000-cnn")
        result.scores["macro_f1"], result.figures.rows[3].recall

    Args:
        run: the folder of a finished run, or a `.keras` file, which takes pixels 0..255.
        data: what to test on, as in `run`; by default the data of the run. Classes are matched by their names, and
            images are brought to the size that the model takes.
        split: which part of the data; "all" for all of it.
        classes: of a model from elsewhere the names of its classes in their order, or a file with one in each line.
        batch_size: images at once; by default that of the run. Another one may change last digits.
        tta: says the mean of what the model says of an image and of its mirror image.
        by: a column of a table: the figures of the images of each of its values, too.
        calibrate: fits a temperature on the validation images, divides the model's logits by it, and keeps that in the
            model's file, and in a run's metrics.json (Guo et al., arXiv:1706.04599). Accuracy stays as it is.
        observer: hears of the progress instead of the display.

    Returns:
        A `keras_azure.evaluation.result.EvaluationResult`, which a notebook shows as tables.

    Raises:
        KerasAzureError: there is no such model or data, or they do not fit together; see `keras_azure.errors`.
    """
    if calibrate and tta:
        raise UsageError("A temperature is fitted to what the model itself says.", hint="--calibrate without --tta")
    path = Path(run).expanduser()
    folder = path.parent if path.is_file() else path
    own_run = (folder / "run.json").is_file()
    if calibrate and own_run and (data is not None or split != "test"):
        raise UsageError(
            "A run is calibrated on its own validation images, and tested on its own test images.",
            hint="--calibrate without --data and --split",
        )
    names = _names(classes)
    found = None if data is None else find_dataset(data_as_text(data))
    engine = read_description(folder).engine if own_run else "auto"
    with display_for_here(observer) as display:
        evaluate_here: Callable[..., EvaluationResult]
        evaluate_here = load_on(engine, "keras_azure.evaluation.evaluate:evaluate", display)
        return evaluate_here(
            path,
            data=found,
            split=split,
            class_names=names,
            batch_size=batch_size,
            tta=tta,
            by=by,
            calibrated=calibrate,
            observer=display,
        )


def _names(classes: str | Path | Sequence[str] | None) -> Sequence[str] | None:
    """The names of classes, of a file those of its lines.

    Raises:
        UsageError: it cannot be read, or has a name twice.
    """
    if classes is None:
        return None
    if isinstance(classes, str | Path):
        try:
            text = Path(classes).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise UsageError(f"The names of classes in {classes} cannot be read: {reason}.") from None
        names: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        names = [*classes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        said = f"has {twice[0]!r} twice" if twice else "is empty"
        raise UsageError(f"The list of classes {said}.", expected="different names, one in each line")
    return names
