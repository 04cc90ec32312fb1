"""What a finished run gives back."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_azure.lazy import lazy

if TYPE_CHECKING:
    import keras

    from keras_azure.models.classic import FeatureClassifier


@dataclass(frozen=True)
class RunResult:
    """What a finished run gives back; all of it is in the run folder too.

    Attributes:
        run_dir: the run folder.
        test_loss, test_accuracy: of the saved model, loaded again from its file, on the test split. Of
            labels, numbers and an autoencoder there is no accuracy.
        test_metrics: these and the further metrics that were asked for.
        images_per_second: training throughput without the first step, which compiles.
        parameters: the model's number of parameters, trainable or not.
        seconds: wall time of the whole run.
        epochs: finished epochs.
        history: one mapping of numbers per epoch.
        tracking: where MLflow keeps the run (`uri`, `run_id`), or None.
        performance: what the network was trained on (`engine`, `device`, `xla`, `threads`), how many steps were made in
            a call (`steps_per_call`), what a step took (`step_median_seconds`, `step_99th_percentile_seconds`), the
            share of the time in which steps waited for pictures (`waiting_share`), and `epoch_images_per_second`. Empty
            where no network was trained.
    """

    run_dir: Path
    test_loss: float
    test_accuracy: float | None
    test_metrics: Mapping[str, float]
    images_per_second: float
    parameters: int
    seconds: float
    epochs: int
    history: tuple[Mapping[str, float], ...] = field(repr=False)
    tracking: Mapping[str, str] | None = None
    performance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def model(self) -> "keras.Model | FeatureClassifier":
        """The trained `keras.Model` or `FeatureClassifier`, loaded from the run folder.

        A model is not compiled where the loss, a metric or the optimizer was code of a Python program.
        """
        if (self.run_dir / "model.zip").exists():
            kind: type[FeatureClassifier] = lazy("keras_azure.models.classic:FeatureClassifier")
            return kind.load(self.run_dir / "model.zip")
        network: keras.Model = lazy("keras_azure.models.saving:load_run_model")(self.run_dir)
        return network

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores, and curves over the epochs."""
        shown: str = lazy("keras_azure.reporting.notebook:result_html")(self)
        return shown

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "run_dir": str(self.run_dir)}
