"""One run on this machine, from its description to its result."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_azure.config import RunConfig, RunResult
from keras_azure.environment import describe_environment
from keras_azure.errors import KerasAzureError, RunFailed, RunInterrupted
from keras_azure.files import write_json, write_text
from keras_azure.observers import Observer, RunFacts
from keras_azure.pipeline import steps_in_epoch
from keras_azure.tracking import Tracker
from keras_azure.training.checkpoints import Checkpoints
from keras_azure.training.compiling import build_model, check_options
from keras_azure.training.data import RunData, open_data
from keras_azure.training.devices import Device, dtype_policy, on_device
from keras_azure.training.evaluation import evaluate
from keras_azure.training.history import History
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.placement import Place, place_augmentations
from keras_azure.training.plots import draw_plots
from keras_azure.training.progress import Progress, stopped_early
from keras_azure.training.saving import load_model, save_model

_NOT_METRICS = ("run_dir", "history", "tracking")  # of a result: they have files of their own


def train(
    config: RunConfig, run_dir: Path, observer: Observer, *, device: Device = "auto", resume: bool = False
) -> RunResult:
    """Trains, saves, loads what was saved, tests it, and fills the run folder.

    Args:
        config: the run, with its names resolved.
        run_dir: the run folder, which exists.
        observer: hears of the progress.
        device: "cpu", "gpu", or "auto" for a GPU if there is one.
        resume: goes on after the newest checkpoint in the folder.

    Raises:
        RunInterrupted: stopped on request.
        KerasAzureError: something is wrong with the data, the model, or the run.
    """
    started = time.perf_counter()
    try:
        with on_device(device) as device_name, dtype_policy(config.precision), contextlib.ExitStack() as opened:
            check_options(config)
            data = opened.enter_context(contextlib.closing(open_data(config, observer)))
            checkpoints = Checkpoints(run_dir)
            finished = max(checkpoints.finished_epochs(), default=0) if resume else 0
            history = History.load(run_dir, finished)
            if finished:
                model, statistics = checkpoints.load(finished), None
            else:
                statistics = data.statistics(observer) if config.standardize == "featurewise" else None
                model = build_model(config, data.dataset, device_name, statistics)
            # Nothing is written, here or in MLflow, before it is clear that the run can begin.
            write_text(run_dir / "run.json", config.to_json())
            if statistics is not None:
                statistics.save(run_dir)
            with Tracker(config, run_dir) as tracker:
                run = _Run(config, run_dir, data, history, checkpoints, tracker, observer, device_name)
                result = run.to_the_end(model, started)
    except (RunInterrupted, KeyboardInterrupt):
        if not (run_dir / "run.json").exists():
            raise RunInterrupted("The run was stopped before training began; nothing was kept.") from None
        raise RunInterrupted(
            f"The run in {run_dir} was stopped; {len(history)} of its {config.epochs} epochs are finished and kept.",
            hint=f"kaz resume {run_dir}",
        ) from None
    for problem in tracker.problems:
        observer.message(problem)
    result = dataclasses.replace(result, tracking=tracker.address)
    observer.run_finished(result)
    return result


@dataclass(frozen=True)
class _Run:
    """A run under way: everything that its three acts, training, saving and testing, share."""

    config: RunConfig
    run_dir: Path
    data: RunData
    history: History
    checkpoints: Checkpoints
    tracker: Tracker
    observer: Observer
    device: str

    def to_the_end(self, model: keras.Model, started: float) -> RunResult:
        data, stop = self.data, StopRequests(self.observer.message)
        with self._failures_of_data(), stop:
            images_per_second, augment_on = self._fit(model, stop)
        kept_epoch, saved = self._save(model)
        with self._failures_of_data(), stop:
            num_batches = steps_in_epoch(len(data.test), self.config.batch_size)
            batches = data.ordered_batches(data.test)
            test = evaluate(saved, batches, num_batches, self.config, self.observer, stop)
        draw_plots(self.run_dir / "plots", self.history, test, data.dataset)

        result = RunResult(
            run_dir=self.run_dir,
            test_loss=test.scores["loss"],
            test_accuracy=test.scores["accuracy"],
            test_metrics=test.scores,
            images_per_second=images_per_second,
            parameters=saved.count_params(),
            seconds=time.perf_counter() - started,
            epochs=len(self.history),
            history=tuple(self.history),
        )
        environment = describe_environment(self.device)
        numbers = {name: value for name, value in result.to_json().items() if name not in _NOT_METRICS}
        facts = {
            "kept_epoch": kept_epoch,
            "augment_on": augment_on,
            "class_names": data.dataset.class_names,
            "environment": environment,
        }
        write_json(self.run_dir / "metrics.json", numbers | facts)
        self.tracker.log_result(result, environment)
        return result

    def _fit(self, model: keras.Model, stop: StopRequests) -> tuple[float, Place | None]:
        """Trains to the last epoch; gives the images per second, and where augmentations were applied."""
        config, data, first_epoch = self.config, self.data, len(self.history)
        facts = RunFacts(
            epochs=config.epochs,
            steps_per_epoch=data.steps_per_epoch,
            first_epoch=first_epoch,
            batch_size=config.batch_size,
            parameters=model.count_params(),
            device=self.device,
        )
        self.observer.training_started(facts)
        if first_epoch == config.epochs or stopped_early(config, self.history):
            return 0.0, None  # it was stopped after its last epoch: only the test is missing
        progress = Progress(
            *(model, config, self.history, self.checkpoints, self.tracker, self.observer, stop),
            images_per_epoch=data.images_per_epoch,
        )
        place, trained = place_augmentations(model, data, config, self.device, first_epoch, self.observer)
        trained.fit(
            data.train_batches(first_epoch, place),
            validation_data=data.validation_batches(first_epoch, place) if data.validation_steps else None,
            validation_steps=data.validation_steps or None,
            initial_epoch=first_epoch,
            epochs=config.epochs,
            steps_per_epoch=data.steps_per_epoch,
            shuffle=False,  # the pipeline has shuffled
            callbacks=[progress],
            verbose=0,
        )
        return progress.images_per_second, place if data.augment else None

    def _save(self, model: keras.Model) -> tuple[int, keras.Model]:
        """Saves the model of the epoch to keep; gives that epoch's number and the model as its file has it."""
        kept_epoch = self.history.best_epoch if self.config.keep == "best" else len(self.history)
        if kept_epoch != len(self.history):
            model = self.checkpoints.load(kept_epoch)
        save_model(model, self.run_dir / "model.keras")
        return kept_epoch, load_model(self.run_dir / "model.keras")

    @contextlib.contextmanager
    def _failures_of_data(self) -> Iterator[None]:
        """Turns what an engine raises into the error of the picture behind it, or else of the run."""
        try:
            yield
        except KerasAzureError:
            raise
        except Exception as error:
            if self.data.failure is not None:
                raise self.data.failure from None
            raise RunFailed(f"Training failed: {type(error).__name__}: {error}") from error
