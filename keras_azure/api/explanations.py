"""`keras_azure.explain`: what `kaz explain` does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from keras_azure.api.runs import load
from keras_azure.description.events import Observer
from keras_azure.errors import OutputExists, UsageError
from keras_azure.lazy import lazy
from keras_azure.listeners.display import display_for_here

if TYPE_CHECKING:
    from keras_azure.explaining.explanation import Explanation

Method = Literal["grad-cam", "integrated-gradients", "both"]
_METHODS = {
    "grad-cam": ("grad-cam",),
    "integrated-gradients": ("integrated-gradients",),
    "both": ("grad-cam", "integrated-gradients"),
}


def explain(
    run: str | Path,
    images: Sequence[str | Path] | str | Path,
    *,
    method: Method = "grad-cam",
    class_name: str | None = None,
    layer: str | None = None,
    steps: int = 64,
    output: str | Path | None = None,
    arrays: str | Path | None = None,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    observer: Observer | None = None,
) -> "Explanation":
    """What in images the model of a finished run goes by.

        explanation = keras_azure.explain("runs/20250101-120000-cnn", ["cat.jpg"])
        explanation.maps["grad-cam"][0]  # (height, width), 0..1

    Args:
        run: the run folder, or the file of the model in it.
        images: image files.
        method: "grad-cam" shows where the last convolution finds what speaks for a class; "integrated-gradients" what
            each level of each pixel adds to its score; "both" are made.
        class_name: the class, label or number that is explained; by default the most probable one of each image, and
            the first number.
        layer: of Grad-CAM, in place of the last convolution's.
        steps: of integrated gradients; more are made where they are not exact to 1 %.
        output: a PNG file to write the images and maps to.
        arrays: an NPZ file to write the arrays to.
        overwrite: replaces files that are there.
        skip_unreadable: leaves out files that cannot be read, whose errors are in the explanation's `unreadable`.
        observer: hears of the progress instead of the display.

    Returns:
        A `keras_azure.explaining.explanation.Explanation`; a notebook shows it.

    Raises:
        UnreadableFile: a file cannot be read and none may be left out, or all of them cannot.
        KerasAzureError: something else is not possible; see `keras_azure.errors`.
    """
    if method not in _METHODS:
        raise UsageError(f"There is no method {method!r}.", expected=f"one of {', '.join(_METHODS)}")
    sheet = None if output is None else _checked(Path(output), ".png", overwrite)
    npz = None if arrays is None else _checked(Path(arrays), ".npz", overwrite)
    paths = [Path(path).expanduser() for path in ([images] if isinstance(images, str | Path) else images)]
    predictor = load(run)
    explain_files: Callable[..., Explanation] = lazy("keras_azure.explaining.explanation:explain_files")
    with display_for_here(observer) as display:
        explanation = explain_files(
            predictor, paths, _METHODS[method], class_name=class_name, layer=layer, steps=steps, observer=display
        )
        unreadable = explanation.unreadable
        if unreadable and (not skip_unreadable or len(unreadable) == len(paths)):
            raise unreadable[0]
        explanation.save(sheet, npz)
    return explanation


def _checked(path: Path, ending: str, overwrite: bool) -> Path:
    """A file that can be written, as far as that can be known before the work."""
    path = path.expanduser()
    if path.suffix.lower() != ending:
        raise UsageError(f"{path} cannot be written.", expected=f"a name that ends in {ending}")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} is there already, and nothing is overwritten.", hint="--overwrite, or another name")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}.")
    return path
