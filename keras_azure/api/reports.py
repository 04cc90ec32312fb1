"""`keras_azure.report`, what `kaz report` does, as a function."""

from collections.abc import Callable
from pathlib import Path

from keras_azure.description.events import Observer
from keras_azure.keras_engine import native_messages_held_back, prepare_keras
from keras_azure.lazy import lazy
from keras_azure.listeners.display import display_for_here


def report(run: str | Path, *, observer: Observer | None = None) -> Path:
    """Makes the report of a finished run again, and its model card: `report.html` and `model_card.md` in its folder.

    Images are shown as long as the run's data can be read. A run of an older version, which has no predictions.npz, is
    tested again.

        keras_azure.report("runs/20250101-120000-cnn")

    Args:
        run: the run folder.
        observer: hears what is not in the report, and why, instead of the display.

    Returns:
        The path of the report, an HTML file that needs nothing else.

    Raises:
        KerasAzureError: there is no finished run, or a file of it is damaged; see `keras_azure.errors`.
    """
    prepare_keras()
    with display_for_here(observer) as display:
        with native_messages_held_back():
            report_again: Callable[[Path, Observer], Path] = lazy("keras_azure.reporting.again:report_again")
            lazy("keras.distribution:list_devices")()  # the first look at them makes TensorFlow talk about the driver
        return report_again(Path(run).expanduser().absolute(), display)
