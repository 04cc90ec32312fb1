"""report.html and model_card.md, written into a run folder."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_azure.data import Dataset
from keras_azure.description.commands import command
from keras_azure.errors import KerasAzureError
from keras_azure.evaluation.answers import Answers
from keras_azure.files import json_text, write_text
from keras_azure.models.kinds import Model
from keras_azure.models.saving import reason
from keras_azure.reporting.card import card
from keras_azure.reporting.finished import FinishedRun, read_finished
from keras_azure.reporting.page import page
from keras_azure.reporting.pictures import Pictures, pictures_of

REPORT, CARD = "report.html", "model_card.md"


def report_at_end(
    run_dir: Path,
    facts: Mapping[str, Any],
    answers: Answers | None,
    dataset: Dataset,
    model: Model,
    tell: Callable[[str], None],
) -> None:
    """Writes both files of a run that is about to be finished, which it is also without them.

    Args:
        facts: what metrics.json will have.
        answers: what the model said of the test images; None of an autoencoder.
        model: as it was saved and loaded again.
        tell: hears why there is no report.
    """
    try:
        run = read_finished(run_dir, json.loads(json_text(facts)), answers)
        write_report(run, pictures_of(run, dataset, model))
    except Exception as error:  # the run is trained and tested: nothing that goes wrong here may lose it
        said = error.problem if isinstance(error, KerasAzureError) else f"{type(error).__name__}: {reason(error)}."
        tell(f"There is no report of the run: {said} To try again: {command('kaz', 'report', run_dir)}")


def write_report(run: FinishedRun, pictures: Pictures) -> Path:
    """Writes both files, each as a whole.

    Returns:
        The path of the report.

    Raises:
        RunFailed: the disk is full or not writable, or the files of the run do not fit together.
    """
    written, about = page(run, pictures), card(run)
    write_text(run.run_dir / REPORT, written)
    write_text(run.run_dir / CARD, about)
    return run.run_dir / REPORT
