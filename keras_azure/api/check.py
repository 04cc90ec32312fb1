"""The Python API: what `kaz data check` does, as a function."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_azure.data.given import Data, data_as_text
from keras_azure.data.locate import find_dataset
from keras_azure.description.config import RunConfig, lay_over
from keras_azure.description.events import Observer
from keras_azure.keras_engine import load_on
from keras_azure.listeners.display import display_for_here

if TYPE_CHECKING:
    from keras_azure.checking.findings import DataCheck


def check_data(
    data: Data = RunConfig.data,
    *,
    weights: str | Path | None = None,
    labels: bool = True,
    model: str = "cnn",
    seed: int = RunConfig.seed,
    observer: Observer | None = None,
    skip_unreadable: bool | None = None,
    split_names: str | None = None,
    bit_depth: int | None = None,
) -> "DataCheck":
    """Looks through a data set before it is trained on, and says what may be wrong with it.

        found = keras_azure.check_data("my/images")
        found.failed, [found.place(number) for number in found.poor["dark"]]

    All images are decoded once. Found are files that cannot be read, images that are there more than once, also in
    another size, stored with loss or cut at the edges, those of them that are in several splits or classes, dark,
    light, flat, blurry and oddly shaped images, and labels that are probably wrong.

    Args:
        data, skip_unreadable, split_names, bit_depth: as in `run`. Without a test split of its own, the data is divided
            as a run divides it.
        weights: a run's folder or a `.keras` file, by whose features labels are judged. By default a small network is
            trained five times, each time without a fifth of the images, which it then judges.
        labels: False leaves the labels as they are.
        model: that network.
        seed: of the folds and of training.
        observer: hears of the progress instead of the display.

    Returns:
        A `keras_azure.checking.findings.DataCheck`, which a notebook shows as a table.

    Raises:
        KerasAzureError: it is no data set, no image of it can be read, or the weights cannot be used; see
            `keras_azure.errors`.
    """
    changes = {"skip_unreadable": skip_unreadable, "split_names": split_names, "bit_depth": bit_depth}
    named = str(find_dataset(lay_over({"data": data_as_text(data)}, changes)["data"]))
    with display_for_here(observer) as display:
        check: Any = load_on("auto", "keras_azure.checking.check:check", display)
        found: DataCheck = check(
            named,
            weights=weights,
            labels=labels,
            model=model,
            seed=seed,
            tolerant=bool(skip_unreadable),
            observer=display,
        )
        return found
