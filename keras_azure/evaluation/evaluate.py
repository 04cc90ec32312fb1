"""The story of an evaluation: a trained model, tested, and calibrated before if that is asked for."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.description.folder import is_finished, read_description
from keras_azure.engines.devices import Device, on_device
from keras_azure.errors import UsageError
from keras_azure.evaluation.calibrating import calibrate, keep
from keras_azure.evaluation.result import EvaluationResult
from keras_azure.evaluation.subject import subject_of, test
from keras_azure.lazy import lazy
from keras_azure.models.trained import Trained, open_trained
from keras_azure.registry.specs import Spec, is_object


def evaluate(
    run: str | Path,
    *,
    data: Spec | None,
    split: str,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    tta: bool,
    by: str | None,
    calibrated: bool,
    observer: Observer,
    device: Device = "auto",
) -> EvaluationResult:
    """Tests a model; the arguments are those of `keras_azure.evaluate`, of which this is the heavy part.

    Raises:
        KerasAzureError: there is no such model or data, they do not fit together, or the model cannot compute.
    """
    with on_device(device):
        trained = open_trained(run, class_names)
        config = _config(trained, data, batch_size)
        with subject_of(trained, config, data, split, observer) as subject:
            if not calibrated:
                return test(subject, observer, tta=tta, by=by)
            with subject_of(trained, config, data, "validation", Observer()) as validation:
                subject = calibrate(subject, validation, observer)
            result = test(subject, observer, by=by)
            keep(subject, result, observer)
            if trained.run_dir is not None:
                lazy("keras_azure.reporting.again:refresh")(trained.run_dir, observer)
            return result


def _config(trained: Trained, data: Spec | None, batch_size: int | None) -> RunConfig:
    """The description of the run that a model is of; of a model from elsewhere one with nothing of its own."""
    if trained.run_dir is None:
        if data is None:
            raise UsageError(
                f"The model {trained.file} is of no run here: nothing says which data it is to be tested on.",
                hint="--data",
            )
        config = RunConfig(trained.file.stem)
    elif not is_finished(trained.run_dir):
        raise UsageError(f"The run in {trained.run_dir} is not finished.", hint="kaz resume, which ends it")
    else:
        config = read_description(trained.run_dir)
        if data is None and is_object(config.data):
            raise UsageError(
                f"The data of the run in {trained.run_dir} was in the memory of a Python program.",
                expected="the same again, or other data",
                hint=f"keras_azure.evaluate({str(trained.run_dir)!r}, data), or --data",
            )
    return config if batch_size is None else dataclasses.replace(config, batch_size=batch_size)
