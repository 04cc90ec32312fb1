"""One run on this machine, from its description to its result."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer, RunFacts
from keras_azure.description.folder import DESCRIPTION, RESULTS
from keras_azure.description.result import RunResult
from keras_azure.description.stages import Stage, learning_rates
from keras_azure.engines import steps_of
from keras_azure.engines.devices import Device, dtype_policy, on_device
from keras_azure.engines.environment import describe_environment
from keras_azure.errors import KerasAzureError, RunFailed, RunInterrupted
from keras_azure.files import write_json, write_text
from keras_azure.listeners.tracking import Tracker
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.saving import load_model, own_objects, save_model
from keras_azure.models.weights import without_weights
from keras_azure.pipeline import steps_in_epoch
from keras_azure.training.checkpoints import Checkpoint, Checkpoints, State
from keras_azure.training.compiling import (
    build_model,
    build_optimizer,
    check_options,
    compile_model,
    initial_learning_rate,
    is_autoencoder,
)
from keras_azure.training.data import RunData, open_data, require_same_data
from keras_azure.training.evaluation import evaluate, evaluate_pictures
from keras_azure.training.fine_tuning import check_stages, enter_stage, head_alone, parts_to_train_apart
from keras_azure.training.history import History
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.loop import train_epochs
from keras_azure.training.performance import advice_on_input
from keras_azure.training.placement import Place, place_augmentations
from keras_azure.training.plots import draw_plots
from keras_azure.training.progress import Progress, stopped_early
from keras_azure.training.standardizing import Statistics
from keras_azure.training.writer import CheckpointWriter


@dataclass(frozen=True)
class _Fitted:
    """What came of training, beside what it made: see `RunResult`, and `augment_on` of the result's file."""

    images_per_second: float
    augment_on: Place | None
    performance: dict[str, Any] = field(default_factory=dict)


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
        resume: goes on after the newest sound checkpoint in the folder.

    Raises:
        RunInterrupted: stopped on request.
        KerasAzureError: something is wrong with the data, the model, or the run.
    """
    started = time.perf_counter()
    checkpoints = Checkpoints(run_dir)
    try:
        with contextlib.ExitStack() as opened:
            stop = opened.enter_context(StopRequests(observer.message))
            device_name = opened.enter_context(on_device(device))
            opened.enter_context(dtype_policy(config.precision))
            check_options(config)
            data = opened.enter_context(contextlib.closing(open_data(config, observer)))
            found = checkpoints.newest(observer, config.keep == "best") if resume else None
            if found is not None:
                require_same_data(found.state.data, data.identity, run_dir)
            statistics = _statistics(config, data, run_dir if found else None, observer)
            with without_weights() if found else contextlib.nullcontext():
                model = build_model(config, data.dataset, statistics)
            check_stages(model, config)
            if isinstance(model, keras.Model) and is_autoencoder(model):
                data = dataclasses.replace(data, targets="pictures")
            if found is not None and isinstance(model, keras.Model):
                found.restore("model", model.variables)
            # Nothing is written, here or in MLflow, before it is clear that the run can begin.
            write_text(run_dir / DESCRIPTION, config.to_json())
            if statistics is not None:
                statistics.save(run_dir)
            state = State(data=data.identity) if found is None else found.state
            history = History(run_dir, state.history)
            if history:
                history.save()  # its file may be one epoch ahead
            tracker = opened.enter_context(Tracker(config, run_dir, history, state.tracking))
            writer = opened.enter_context(CheckpointWriter(checkpoints))
            run = _Run(
                config,
                run_dir,
                data,
                history,
                checkpoints,
                found,
                state,
                writer,
                tracker,
                observer,
                stop,
                device_name,
                started,
            )
            with stop.deferred():
                result, facts = run.to_the_end(model)
    except (RunInterrupted, KeyboardInterrupt):
        raise _interrupted(config, run_dir, checkpoints) from None
    except KerasAzureError:
        if checkpoints.names():
            observer.message(
                f"{checkpoints.reached(config.total_epochs)} kept; when this is mended: kaz resume {run_dir}"
            )
        raise
    for problem in tracker.problems:
        observer.message(problem)
    result = dataclasses.replace(result, tracking=tracker.address)
    # The last of all files: a run that has it is finished, here and in MLflow.
    write_json(run_dir / RESULTS, facts)
    observer.run_finished(result)
    return result


def _statistics(config: RunConfig, data: RunData, saved_in: Path | None, observer: Observer) -> Statistics | None:
    """What pixels are standardised by: as a run that goes on has it, or measured."""
    if config.standardize != "featurewise":
        return None
    saved = Statistics.load(saved_in) if saved_in is not None else None
    return saved or data.statistics(observer)


def _interrupted(config: RunConfig, run_dir: Path, checkpoints: Checkpoints) -> RunInterrupted:
    if not (run_dir / DESCRIPTION).exists():
        return RunInterrupted("The run was stopped before training began; nothing was kept.")
    return RunInterrupted(
        f"The run in {run_dir} was stopped; {checkpoints.reached(config.total_epochs)} kept.",
        hint=f"kaz resume {run_dir}",
    )


@dataclass(frozen=True)
class _Run:
    """A run under way: everything that its three acts, training, saving and testing, share.

    Attributes:
        found: the checkpoint that it goes on from.
        state: where it stands when it begins.
        started: on the clock `time.perf_counter`.
    """

    config: RunConfig
    run_dir: Path
    data: RunData
    history: History
    checkpoints: Checkpoints
    found: Checkpoint | None
    state: State
    writer: CheckpointWriter
    tracker: Tracker
    observer: Observer
    stop: StopRequests
    device: str
    started: float

    def to_the_end(self, model: keras.Model | FeatureClassifier) -> tuple[RunResult, dict[str, Any]]:
        """Gives the result, and what its file in the run folder has."""
        data = self.data
        classic = isinstance(model, FeatureClassifier)
        with self._failures():
            fitted = (self._fit_classic if classic else self._fit)(model)
        self.stop.check()
        kept_epoch, saved = self._save_classic() if classic else self._save(model)
        predict = saved.predict if classic else saved.predict_on_batch
        judge = evaluate_pictures if data.targets == "pictures" else evaluate
        with self._failures():
            num_batches = steps_in_epoch(len(data.test), self.config.batch_size)
            test = judge(predict, data.ordered_batches(data.test), num_batches, self.config, self.observer, self.stop)
        draw_plots(self.run_dir / "plots", self.history, test, data.dataset)

        result = RunResult(
            run_dir=self.run_dir,
            test_loss=test.scores["loss"],
            test_accuracy=test.scores.get("accuracy"),
            test_metrics=test.scores,
            images_per_second=fitted.images_per_second,
            parameters=(saved.features if classic else saved).count_params(),
            seconds=self.state.elapsed + time.perf_counter() - self.started,
            epochs=len(self.history),
            history=tuple(self.history),
            performance=fitted.performance,
        )
        environment = describe_environment(self.device)
        numbers = {name: value for name, value in result.to_json().items() if name not in _NOT_METRICS}
        facts = numbers | {
            "kept_epoch": kept_epoch,
            "augment_on": fitted.augment_on,
            "class_names": data.dataset.class_names,
            "environment": environment,
        }
        self.tracker.log_result(result, environment, facts)
        return result, facts

    def _fit_classic(self, classifier: FeatureClassifier) -> _Fitted:
        from keras_azure.training.classic import fit_classifier  # with scikit-learn, which networks do not wait for

        fitted, row = fit_classifier(classifier, self.data, self.config, self.observer, self.stop)
        fitted.save(self.run_dir / "model.zip")
        self.history.append(row)
        self.tracker.log_epoch(row)
        return _Fitted(row["images_per_second"], "host" if self.data.augment else None)

    def _save_classic(self) -> tuple[int, FeatureClassifier]:
        """The classifier as its file has it."""
        return 1, FeatureClassifier.load(self.run_dir / "model.zip")

    def _fit(self, model: keras.Model) -> _Fitted:
        """Trains to the last epoch."""
        facts = RunFacts(
            epochs=self.config.total_epochs,
            steps_per_epoch=self.data.steps_per_epoch,
            first_epoch=self.state.epochs,
            first_step=self.state.step,
            batch_size=self.config.batch_size,
            parameters=model.count_params(),
            device=self.device,
        )
        self.observer.training_started(facts)
        progress = Progress(
            *(model, self.config, self.data, self.history, self.writer, self.tracker, self.observer, self.stop),
            state=self.state,
            started=self.started,
        )
        place = None
        for stage, rate in self._stages():
            finished = len(self.history.in_stage(stage.number))
            if finished >= stage.epochs or (finished and stopped_early(self.config, self.history, stage.number)):
                continue
            if line := self._enter(model, stage, rate):
                self.observer.message(line)
            progress.begin(stage, rate)
            if self.found is not None and (finished or self.state.step) and self.state.stage == stage.number:
                model.optimizer.build(model.trainable_variables)
                self.found.restore("optimizer", model.optimizer.variables)
                if self.state.step:
                    progress.carry(self.found)
            place = self._fit_stage(model, progress, stage.epochs - finished)
        self.writer.wait()
        if advice := advice_on_input(progress.times, self.config, place):
            self.observer.message(advice)
        return _Fitted(progress.images_per_second, place, self._performance(model, progress))

    def _performance(self, model: keras.Model, progress: Progress) -> dict[str, Any]:
        """What `RunResult.performance` has. Times are those of this process, which may have gone on with a run."""
        if not progress.times.steps:
            return {}
        return {
            "engine": keras.backend.backend(),
            "device": self.device,
            "xla": bool(model.jit_compile),
            "threads": os.cpu_count(),
            **progress.times.to_json(),
            "epoch_images_per_second": [row["images_per_second"] for row in self.history],
        }

    def _stages(self) -> list[tuple[Stage, float]]:
        """Each stage with its learning rate."""
        stages = self.config.stages
        return list(zip(stages, learning_rates(stages, initial_learning_rate(self.config)), strict=True))

    def _enter(self, model: keras.Model, stage: Stage, rate: float) -> str:
        """Makes what a stage trains trainable, with an optimizer of its own; gives a line about it, or nothing."""
        optimizer = build_optimizer(self.config, rate, stage.epochs * self.data.steps_per_epoch)
        line = enter_stage(model, stage, rate) if self.config.fine_tune is not None else ""
        compile_model(model, self.config, self.device, optimizer)
        return line

    def _fit_stage(self, model: keras.Model, progress: Progress, epochs: int) -> Place | None:
        """Trains some epochs with what is trainable now."""
        first, last = len(self.history), len(self.history) + epochs
        parts = parts_to_train_apart(model, self.config, augmented=self.data.augment is not None)
        with contextlib.ExitStack() as opened:
            if parts is not None:
                data = self.data.with_features(parts.features, self.observer, self.stop)
                opened.enter_context(contextlib.closing(data))
                head = head_alone(parts)
                compile_model(head, self.config, self.device, model.optimizer)
                place, steps = "host", steps_of(head)
            else:
                data = self.data
                place, steps = place_augmentations(model, data, self.config, self.device, (first, last), self.observer)
            train_epochs(steps, progress, data, place, first, last)
        return place if data.augment else None

    def _save(self, model: keras.Model) -> tuple[int, keras.Model]:
        """Saves the model of the epoch to keep; gives that epoch's number and the model as its file has it."""
        kept_epoch = self.history.best_epoch if self.config.keep == "best" else len(self.history)
        if not model.compiled or kept_epoch != len(self.history):
            checkpoint = self.checkpoints.load(State(epochs=kept_epoch).name)
            stage, rate = self._stages()[checkpoint.state.stage]
            self._enter(model, stage, rate)
            checkpoint.restore("model", model.variables)
            model.optimizer.build(model.trainable_variables)
            checkpoint.restore("optimizer", model.optimizer.variables)
        save_model(model, self.run_dir / "model.keras")
        return kept_epoch, load_model(self.run_dir / "model.keras", own_objects(self.config))

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turns what an engine raises into the error of the picture behind it, or else of the run."""
        try:
            yield
        except KerasAzureError:
            raise
        except Exception as error:
            if self.data.failure is not None:
                raise self.data.failure from None
            if _is_out_of_memory(error):
                raise RunFailed(
                    "There is not enough memory to go on training.",
                    hint="a smaller --batch-size, --cache disk, or a machine with more memory",
                ) from error
            raise RunFailed(f"Training failed: {type(error).__name__}: {error}") from error


def _is_out_of_memory(error: Exception) -> bool:
    """Also by what TensorFlow and JAX call it."""
    names = (type(error).__name__, str(error))
    return isinstance(error, MemoryError) or any(
        word in text for word in ("ResourceExhausted", "RESOURCE_EXHAUSTED", "MemoryError") for text in names
    )
