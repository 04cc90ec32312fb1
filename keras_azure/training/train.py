"""One run on this machine, from its description to its result."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from keras_azure.data import has_weights
from keras_azure.data.overview import absent_classes, not_in_averages, not_learned
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Listener, Listeners, Observer, RunFacts
from keras_azure.description.folder import DESCRIPTION, PREDICTIONS, RESULTS
from keras_azure.description.intervals import parse_interval
from keras_azure.description.result import RunResult
from keras_azure.engines import steps_of
from keras_azure.engines.devices import Device, on_device
from keras_azure.engines.environment import describe_environment
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import KerasAzureError, RunInterrupted, UsageError
from keras_azure.files import write_json, write_text
from keras_azure.lazy import lazy
from keras_azure.listeners.tracking import Tracker
from keras_azure.models.kinds import Model
from keras_azure.models.saving import own_objects
from keras_azure.models.weights import without_weights
from keras_azure.training.building_callbacks import build_callbacks, check_before, check_run, led_to
from keras_azure.training.callbacks import Callbacks
from keras_azure.training.checkpoints import Checkpoint, Checkpoints, State
from keras_azure.training.compiling import build_metrics, build_model, check_options
from keras_azure.training.data import CONTENTS, RunData, open_data, require_same_data, tell_other_decoding
from keras_azure.training.data_summary import Noted, summary
from keras_azure.training.evaluation import (
    Evaluation,
    ImageEvaluation,
    LabelsEvaluation,
    NumbersEvaluation,
    answers_of,
)
from keras_azure.training.examining import examine, failures
from keras_azure.training.history import History, Row
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.loop import FiniteLoss, Loop
from keras_azure.training.performance import advice_on_input
from keras_azure.training.phases import Phase, phases
from keras_azure.training.placement import Placement, place_augmentations
from keras_azure.training.standardizing import Statistics
from keras_azure.training.state import TrainingState
from keras_azure.training.tasks import task_of
from keras_azure.training.writer import Checkpointing, CheckpointWriter

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
    with _told_what_is_kept(config, run_dir, checkpoints, observer), contextlib.ExitStack() as opened:
        stop = opened.enter_context(StopRequests(observer.message))
        device_name = opened.enter_context(on_device(device))
        opened.enter_context(keras_settings(config.precision))
        check_options(config)
        callbacks, metrics = build_callbacks(config), build_metrics(config)
        checkpoints.monitor = check_before(config, callbacks, metrics)

        # What there is: the checkpoint that the run is resumed from, the data, and the model.
        found = checkpoints.newest(observer, config.keep == "best") if resume else None
        before = None if found is None else found.state.data
        noted = Noted(observer)
        data = opened.enter_context(contextlib.closing(open_data(config, noted, before)))
        identity = data.identity(observer)
        if found is not None:
            require_same_data(found.state.data, identity, run_dir)
            tell_other_decoding(found.state.data, identity, observer)
        statistics = _statistics(config, data, run_dir if found else None, observer)
        with without_weights() if found else contextlib.nullcontext():
            model = build_model(config, data.dataset, statistics)
        task = task_of(model, data.facts.task, data.scaling)
        if has_weights(data.dataset) and not task.has_steps:
            raise UsageError(
                f"The images of the data have weights, which {config.model_spec.name!r} does not learn by.",
                expected="a network, in whose loss they count",
            )
        if has_weights(data.dataset) and task.targets == "pictures":
            observer.message("All images count the same: weights are of what is learned from labels.")
        data = dataclasses.replace(data, task=task)
        if task.targets == "labels" and (absent := data.absent_from_training()):
            observer.message(not_learned(absent))
        monitor = check_run(config, callbacks, task, metrics)
        upcoming = phases(config, model, data.facts, device_name, task)
        state = State(data=identity) if found is None else found.state
        earlier = None if found is None else state.callbacks
        calling = Callbacks(callbacks, run_dir, observer.message, stop.request, earlier, ended=state.ended)
        if found is not None:
            found.restore("model", task.kind.network(model).variables)

        # Nothing is written, here or in MLflow, before it is clear that the run can begin.
        write_text(run_dir / DESCRIPTION, config.to_json())
        if statistics is not None:
            statistics.save(run_dir)
        history = History(run_dir, state.history, monitor)
        if history:
            history.save()  # its file may be one epoch ahead
        training = TrainingState(model, state, data.images_per_epoch, config.batch_size, started)
        tracker = opened.enter_context(Tracker(config, run_dir, history, state.tracking))
        writer = opened.enter_context(CheckpointWriter(checkpoints))
        checkpointing = Checkpointing(writer, training, state, parse_interval(config.checkpoint_every))
        opened.enter_context(led_to(run_dir, callbacks, resumed=found is not None, tell=observer.message))
        listeners = in_order(
            [*([calling] if callbacks else []), FiniteLoss(training, data, calling), history, tracker],
            checkpointing if task.has_steps else None,
            [observer],
        )

        with stop.deferred():
            loop = Loop(training, history, listeners, stop, found, patience=config.early_stopping)
            with failures(data):
                if task.has_steps:
                    trained = _train(upcoming, loop, data, config, device_name)
                else:
                    trained = _fit(next(iter(upcoming)), listeners, stop, data, config)
                writer.wait()
            if task.has_steps and found is not None and training.epochs == found.state.epochs:  # all were done before
                _return_to(found, model, upcoming)
                network = task.kind.network(model)
                network.optimizer.finalize_variable_values(network.trainable_weights)
                if callbacks:
                    calling.begin(model)
            listeners.training_done()
            stop.check()
            kept_epoch = (history.best_epoch if config.keep == "best" else None) or len(history)
            if task.has_steps and kept_epoch != len(history):
                _return_to(checkpoints.load(State(epochs=kept_epoch).name), model, upcoming)
            path = run_dir / task.kind.file
            about = task.about(
                data.dataset.class_names,
                lambda pixels: task.kind.predict(trained.model, pixels),
                data.ordered_batches(data.validation) if data.validation_steps else None,
                observer.message,
            )
            task.kind.save(task.finished(trained.model, build_metrics(config)), path, about)
            saved = task.kind.load(path, own_objects(config))
            test, tested = examine(saved, data, about, observer, stop.check)
            answers = None
            if not isinstance(test, ImageEvaluation):
                digest = identity.get(CONTENTS, {}).get("test", "")
                answers = answers_of(test, data.dataset, tested.test.samples, "test", digest)
                answers.save(run_dir / PREDICTIONS)
            labels = test.labels if isinstance(test, Evaluation | LabelsEvaluation) else None
            if labels is not None and (absent := absent_classes(labels, data.dataset.class_names)):
                observer.message(not_in_averages(absent))
            figures = task.figures(test, tested.test_view)
            curves = ("loss", *(metric.name for metric in task.metrics()))
            lazy("keras_azure.training.plots:draw_plots")(run_dir / "plots", history, figures, curves)

            result = RunResult(
                run_dir=run_dir,
                test_loss=test.scores["loss"],
                test_accuracy=test.scores.get("accuracy"),
                test_metrics=test.scores,
                images_per_second=trained.images_per_second,
                parameters=task.kind.network(saved).count_params(),
                seconds=state.elapsed + time.perf_counter() - started,
                epochs=len(history),
                history=tuple(history),
                performance=trained.performance,
            )
            environment = describe_environment(device_name)
            facts = {name: value for name, value in result.to_json().items() if name not in _NOT_METRICS} | {
                "kept_epoch": kept_epoch,
                "augment_on": trained.augment_on,
                "class_names": data.dataset.class_names,
                "environment": environment,
                "data": summary(tested, noted.notes),
                **about,
            }
            if isinstance(test, LabelsEvaluation | NumbersEvaluation):
                facts["each"] = test.each
            if untested := len(data.test) - len(tested.test):
                facts["untested_pictures"] = untested
            report = lazy("keras_azure.reporting.writing:report_at_end")  # with what it is drawn with
            report(run_dir, facts, answers, data.dataset, saved, observer.message)
            tracker.log_result(result, environment, facts)
    for problem in tracker.problems:
        observer.message(problem)
    result = dataclasses.replace(result, tracking=tracker.address)
    # The last of all files: a run that has it is finished, here and in MLflow.
    write_json(run_dir / RESULTS, facts)
    listeners.run_finished(result)
    return result


def in_order(first: Sequence[Listener], checkpointing: Checkpointing | None, last: Sequence[Listener]) -> Listeners:
    """Everybody who hears of a run, in the order that makes resume exact: checkpoint, then record, then display.

    First come those whose state the checkpoint keeps, so that it is of the same moment as the model's variables. Then
    the checkpoint is made. Who shows or passes on an event comes last: nobody has seen what a run would do again.
    The record in MLflow is written when `checkpoint_written` says so, for the same reason; its tracker has no state
    that changes by an event, and only keeps rows till then.
    """
    if checkpointing is None:  # of what has no steps
        return Listeners([*first, *last])
    checkpointing.others = Listeners([*first, *last])
    return Listeners([*first, checkpointing, *last])


@dataclass(frozen=True)
class _Trained:
    """What came of training: the model, and as in `RunResult` and in the result's file."""

    model: Model
    images_per_second: float
    augment_on: Placement | None
    performance: Mapping[str, Any] = field(default_factory=dict)


def _train(upcoming: Iterable[Phase], loop: Loop, data: RunData, config: RunConfig, device: str) -> _Trained:
    """Trains a network, phase by phase, from where the run stands."""
    training, history, found, model = loop.training, loop.history, loop.resumed, loop.training.model
    loop.listeners.training_started(
        RunFacts(
            epochs=config.total_epochs,
            steps_per_epoch=data.steps_per_epoch,
            first_epoch=training.epochs,
            first_step=training.step,
            batch_size=config.batch_size,
            parameters=model.count_params(),
            device=device,
            monitor=history.monitor.name,
            metrics=tuple(metric.name for metric in data.task.metrics()),
        )
    )
    placement = None
    for phase in () if training.ended and not training.step else upcoming:
        stage, done = phase.stage, len(history.in_stage(phase.stage.number))
        if done >= stage.epochs or history.is_stopped_early(stage.number, config.early_stopping):
            continue
        if phase.line:
            loop.listeners.message(phase.line)
        if found is not None and (done or training.step) and found.state.stage == stage.number:
            model.optimizer.build(model.trainable_variables)
            found.restore("optimizer", model.optimizer.variables)
        placement = _train_phase(phase, range(len(history), len(history) + stage.epochs - done), loop, data, device)
        if training.ended:  # the next phase would prepare the model for itself
            break
    if advice := advice_on_input(training.times, config, placement):
        loop.listeners.message(advice)
    performance = _performance(model, training, history, device) if training.times.steps else {}
    return _Trained(model, training.images_per_second, placement, performance)


def _train_phase(phase: Phase, epochs: range, loop: Loop, data: RunData, device: str) -> Placement | None:
    """Trains some epochs of a phase; gives where their images were augmented."""
    config, model = data.config, loop.training.model
    # What the history has of an epoch besides its means.
    row: Row = {}
    if config.fine_tune is not None and phase.learning_rate is not None:
        row = {"stage": phase.stage.number, "stage_learning_rate": phase.learning_rate}
    if phase.features is not None:
        with contextlib.closing(data.with_features(phase.features, loop.listeners, loop.stop)) as featured:
            loop.train(phase.facts(), steps_of(phase.model), featured, epochs, row)
        return None
    ends = (epochs.start, epochs.stop)
    placement, steps = place_augmentations(model, data, config, device, ends, loop.listeners)
    used = placement if data.augment else None
    loop.train(phase.facts(used), steps, data, epochs, row)
    return used


def _fit(phase: Phase, listeners: Listeners, stop: StopRequests, data: RunData, config: RunConfig) -> _Trained:
    """Fits a classifier to features."""
    fit_classifier: Callable[..., tuple[Model, Row]]
    fit_classifier = lazy("keras_azure.training.classic:fit_classifier")  # with scikit-learn
    listeners.phase_started(phase.facts(), phase.model)
    fitted, row = fit_classifier(phase.model, data, config, listeners, stop)
    listeners.epoch_done(0, row)
    listeners.phase_done()
    return _Trained(fitted, row["images_per_second"], "host" if data.augment else None)


def _return_to(checkpoint: Checkpoint, model: keras.Model, upcoming: Iterable[Phase]) -> None:
    """Gives the model what it was at a checkpoint, with the optimizer of its phase."""
    next(phase for phase in upcoming if phase.stage.number == checkpoint.state.stage)
    checkpoint.restore("model", model.variables)
    model.optimizer.build(model.trainable_variables)
    checkpoint.restore("optimizer", model.optimizer.variables)


def _performance(model: keras.Model, training: TrainingState, history: History, device: str) -> dict[str, Any]:
    """What `RunResult.performance` has. Times are those of this process, which may have resumed a run."""
    return {
        "engine": keras.backend.backend(),
        "device": device,
        "xla": bool(model.jit_compile),
        "threads": os.cpu_count(),
        **training.times.to_json(),
        "epoch_images_per_second": [row["images_per_second"] for row in history],
    }


def _statistics(config: RunConfig, data: RunData, saved_in: Path | None, observer: Observer) -> Statistics | None:
    """What pixels are standardised by: as a run that is resumed has it, or measured."""
    if config.standardize != "featurewise":
        return None
    saved = Statistics.load(saved_in) if saved_in is not None else None
    return saved or data.statistics(observer)


@contextlib.contextmanager
def _told_what_is_kept(
    config: RunConfig, run_dir: Path, checkpoints: Checkpoints, observer: Observer
) -> Iterator[None]:
    """Says, of what ends a run, how far it has come and how to resume it."""
    try:
        yield
    except (RunInterrupted, KeyboardInterrupt):
        if not (run_dir / DESCRIPTION).exists():
            raise RunInterrupted("The run was stopped before training began; nothing was kept.") from None
        raise RunInterrupted(
            f"The run in {run_dir} was stopped; {checkpoints.reached(config.total_epochs)} kept.",
            hint=command("kaz", "resume", run_dir),
        ) from None
    except KerasAzureError:
        if checkpoints.names():
            observer.message(
                f"{checkpoints.reached(config.total_epochs)} kept; when this is mended: "
                + command("kaz", "resume", run_dir)
            )
        raise
