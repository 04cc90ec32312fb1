"""A report made again, of what is in a run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_azure.description.events import Observer
from keras_azure.description.folder import PREDICTIONS
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import KerasAzureError, RunFailed
from keras_azure.evaluation.answers import Answers
from keras_azure.lazy import lazy
from keras_azure.models.kinds import KINDS, Model
from keras_azure.models.saving import reason
from keras_azure.reporting.finished import read_facts, read_finished
from keras_azure.reporting.pictures import pictures_of
from keras_azure.reporting.tested_images import data_of
from keras_azure.reporting.writing import write_report
from keras_azure.training.tasks import GIVE_BACK, task_of


def report_again(run_dir: Path, observer: Observer) -> Path:
    """Writes report.html and model_card.md of a finished run.

    Args:
        observer: hears what is not in the report, and why.

    Returns:
        The path of the report.

    Raises:
        UsageError: there is no run, or it is not finished.
        RunFailed: a file of the run is damaged.
    """
    facts = read_facts(run_dir)
    with keras_settings():
        model, no_model = _model(run_dir)
        answers = _answers(run_dir, model, no_model, observer)
        run = read_finished(run_dir, facts, answers)
        dataset, no_data = data_of(run.config, observer)
        problem = " ".join(filter(None, [no_data, no_model]))
        if problem:
            observer.message(problem)
        try:
            pictures = pictures_of(run, dataset, model, problem, observer)
            path = write_report(run, pictures)
        except KerasAzureError:
            raise
        except Exception as error:  # files that are whole may still be of another run
            raise RunFailed(
                f"The files of the run in {run_dir} do not fit together: {type(error).__name__}: {reason(error)}."
            ) from error
    if pictures.problem and pictures.problem != problem:
        observer.message(pictures.problem)
    return path


def refresh(run_dir: Path, observer: Observer) -> None:
    """Makes the report of a run again, of which a file has changed; the observer hears where that is not possible."""
    try:
        report_again(run_dir, observer)
    except KerasAzureError as error:
        observer.message(f"The report of the run is as it was: {error.problem}")


def _model(run_dir: Path) -> tuple[Model | None, str]:
    """The run's model, or why there is none."""
    for kind in KINDS:
        if (run_dir / kind.file).is_file():
            try:
                return kind.load_of_run(run_dir, run_dir / kind.file), ""
            except KerasAzureError as error:
                return None, f"There are no explanation maps: {error.problem}"
    return None, "There are no explanation maps: the run's model is not there any more."


def _answers(run_dir: Path, model: Model | None, no_model: str, observer: Observer) -> Answers | None:
    """What the model said of the test images; a run of an older version is tested again for it.

    Raises:
        RunFailed: the file is damaged, or not there and neither is the model.
    """
    path = run_dir / PREDICTIONS
    if path.exists():
        return Answers.load(path)
    if model is None:
        raise RunFailed(f"There is no {PREDICTIONS} in {run_dir}, and no model to test again. {no_model}")
    if task_of(model) is GIVE_BACK:
        return None
    observer.message(f"There is no {PREDICTIONS} in {run_dir}: the model is tested again.")
    evaluate: Callable[..., Any] = lazy("keras_azure.evaluation.evaluate:evaluate")
    settings = {"data": None, "split": "test", "class_names": None, "batch_size": None}
    tested = evaluate(run_dir, **settings, tta=False, by=None, calibrated=False, observer=observer)
    answers: Answers = tested.answers
    answers.save(path)  # for the next report, and for comparisons
    return answers
