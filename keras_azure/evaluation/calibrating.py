"""One temperature for a trained model, so that its probabilities say how often it is right; kept in its file."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np

from keras_azure.description.events import Observer
from keras_azure.description.folder import PREDICTIONS, RESULTS
from keras_azure.errors import UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.calibration import LARGEST, temperature
from keras_azure.evaluation.result import EvaluationResult
from keras_azure.evaluation.subject import Subject, test
from keras_azure.files import write_json
from keras_azure.models.ends import divide_logits
from keras_azure.models.trained import Trained

_SMALLEST = float(np.finfo(np.float32).tiny)


def temperature_of(answers: Answers | None, model: str) -> float:
    """The temperature that is best on a model's answers on validation images.

    Args:
        answers: None of an autoencoder.
        model: what messages call it.

    Raises:
        UsageError: they are no probabilities, or tell no temperature.
    """
    if answers is None or answers.task == "regress":
        raise UsageError(
            f"The model {model} gives no probabilities, which alone can be calibrated.", hint="no --calibrate"
        )
    given = answers.given.astype(np.float64)
    logits = np.log(np.maximum(given, _SMALLEST))
    if answers.task == "multilabel":
        logits -= np.log(np.maximum(1 - given, np.finfo(np.float32).eps / 2))
    found = temperature(logits, answers.truth)
    if answers.right.all() or not 1.01 / LARGEST < found < LARGEST / 1.01:
        wrong = len(answers) - int(answers.right.sum())
        raise UsageError(
            f"The {len(answers)} validation images, of which {wrong} are wrong, do not tell how sure the model {model} "
            "may be.",
            expected="more images, of which most are right and some are wrong",
            hint="a run with a larger --validation-split",
        )
    return found


def calibrated(trained: Trained, by: float) -> Trained:
    """The model with its logits divided, in memory alone; thresholds of labels mean the same logits as before.

    Raises:
        UsageError: it does not end as a network that can be calibrated.
    """
    try:
        if not isinstance(trained.model, keras.Model):
            raise ValueError("it is a classifier of scikit-learn")
        divide_logits(trained.model, by)
    except ValueError as error:
        raise UsageError(
            f"The model {trained.in_words} cannot be calibrated: {error}.", hint="no --calibrate"
        ) from None
    about = {**trained.about, "temperature": by * trained.about.get("temperature", 1.0)}
    if trained.thresholds:
        about["thresholds"] = [_moved(each, by) for each in trained.thresholds]
    return dataclasses.replace(trained, about=about)


def keep(subject: Subject, tested: EvaluationResult, observer: Observer) -> None:
    """Writes a calibrated model over its file; of a run, the test of it over that of the model before.

    Args:
        tested: the calibrated model on the run's own test split.

    Raises:
        RunFailed: a file cannot be written.
    """
    trained = subject.trained
    trained.kind.save(trained.model, trained.file, trained.about)
    observer.message(f"The temperature {trained.about['temperature']:.4g} is kept in {trained.file}")
    if trained.run_dir is None or tested.answers is None:
        return
    results: Path = trained.run_dir / RESULTS
    facts = json.loads(results.read_text(encoding="utf-8"))
    metrics = {name: tested.scores[name] for name in facts.get("test_metrics", {}) if name in tested.scores}
    facts |= {"test_metrics": {**facts.get("test_metrics", {}), **metrics}, **trained.about}
    facts |= {f"test_{name}": metrics[name] for name in ("loss", "accuracy") if facts.get(f"test_{name}") is not None}
    tested.answers.save(trained.run_dir / PREDICTIONS)
    write_json(results, facts)


def calibrate(subject: Subject, validation: Subject, observer: Observer) -> Subject:
    """Fits a temperature on validation images, and gives the model with it.

    Args:
        subject: the model and the images that it is to be tested on.
        validation: the same model and its validation images.
    """
    before = test(validation, observer)
    found = temperature_of(before.answers, validation.trained.in_words)
    trained = calibrated(subject.trained, found)
    after = test(dataclasses.replace(validation, trained=trained), observer)
    observer.message(
        f"Temperature {found:.4g}: on {before.images} validation images the calibration error goes from "
        f"{before.scores['ece']:.2%} to {after.scores['ece']:.2%}, the loss from {before.scores['loss']:.4g} to "
        f"{after.scores['loss']:.4g}."
    )
    return dataclasses.replace(subject, trained=trained)


def _moved(threshold: float, by: float) -> float:
    """The probability, after calibration, of the logit that a threshold stood for."""
    inside = float(np.clip(threshold, _SMALLEST, 1 - np.finfo(np.float32).eps / 2))
    return float(1 / (1 + np.exp(-np.log(inside / (1 - inside)) / by)))
