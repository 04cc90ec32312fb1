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
from keras_azure.saving import load_model, save_model
from keras_azure.stages import learning_rates
from keras_azure.tracking import Tracker
from keras_azure.training.checkpoints import Checkpoints
from keras_azure.training.classic import fit_classifier
from keras_azure.training.compiling import (
    build_model,
    build_optimizer,
    check_options,
    compile_model,
    initial_learning_rate,
    is_autoencoder,
)
from keras_azure.training.data import RunData, open_data
from keras_azure.training.devices import Device, dtype_policy, on_device
from keras_azure.training.evaluation import evaluate, evaluate_pictures
from keras_azure.training.fine_tuning import check_stages, enter_stage
from keras_azure.training.history import History
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.placement import Place, place_augmentations
from keras_azure.training.plots import draw_plots
from keras_azure.training.progress import Progress, stopped_early
from keras_azure.transfer import FeatureClassifier
from keras_azure.transfer.parts import Parts, parts_of

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
                model = build_model(config, data.dataset, statistics)
                check_stages(model, config)
            if isinstance(model, keras.Model) and is_autoencoder(model):
                data = dataclasses.replace(data, targets="pictures")
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
            f"The run in {run_dir} was stopped; {len(history)} of its {config.total_epochs} epochs are finished and "
            "kept.",
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

    def to_the_end(self, model: keras.Model | FeatureClassifier, started: float) -> RunResult:
        data, stop = self.data, StopRequests(self.observer.message)
        classic = isinstance(model, FeatureClassifier)
        with self._failures_of_data(), stop:
            images_per_second, augment_on = (self._fit_classic if classic else self._fit)(model, stop)
        kept_epoch, saved = self._save_classic() if classic else self._save(model)
        predict = saved.predict if classic else saved.predict_on_batch
        judge = evaluate_pictures if data.targets == "pictures" else evaluate
        with self._failures_of_data(), stop:
            num_batches = steps_in_epoch(len(data.test), self.config.batch_size)
            test = judge(predict, data.ordered_batches(data.test), num_batches, self.config, self.observer, stop)
        draw_plots(self.run_dir / "plots", self.history, test, data.dataset)

        result = RunResult(
            run_dir=self.run_dir,
            test_loss=test.scores["loss"],
            test_accuracy=test.scores.get("accuracy"),
            test_metrics=test.scores,
            images_per_second=images_per_second,
            parameters=(saved.features if classic else saved).count_params(),
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

    def _fit_classic(self, classifier: FeatureClassifier, stop: StopRequests) -> tuple[float, Place | None]:
        fitted, row = fit_classifier(classifier, self.data, self.config, self.observer, stop)
        fitted.save(self.run_dir / "model.zip")
        self.history.append(row)
        self.tracker.log_epoch(row)
        return row["images_per_second"], "host" if self.data.augment else None

    def _save_classic(self) -> tuple[int, FeatureClassifier]:
        """The classifier as its file has it."""
        return 1, FeatureClassifier.load(self.run_dir / "model.zip")

    def _fit(self, model: keras.Model, stop: StopRequests) -> tuple[float, Place | None]:
        """Trains to the last epoch; gives the images per second, and where augmentations were applied."""
        config, data, stages = self.config, self.data, self.config.stages
        facts = RunFacts(
            epochs=config.total_epochs,
            steps_per_epoch=data.steps_per_epoch,
            first_epoch=len(self.history),
            batch_size=config.batch_size,
            parameters=model.count_params(),
            device=self.device,
        )
        self.observer.training_started(facts)
        progress = Progress(
            *(model, config, self.history, self.checkpoints, self.tracker, self.observer, stop),
            images_per_epoch=data.images_per_epoch,
        )
        place = None
        for stage, rate in zip(stages, learning_rates(stages, initial_learning_rate(config)), strict=True):
            finished = len(self.history.in_stage(stage.number))
            if finished == stage.epochs or (finished and stopped_early(config, self.history, stage.number)):
                continue
            if not finished:  # else it was loaded as it was in the middle of the stage, with its optimizer
                optimizer = build_optimizer(config, rate, stage.epochs * data.steps_per_epoch)
                if config.fine_tune is not None:
                    self.observer.message(enter_stage(model, stage, rate))
                compile_model(model, config, self.device, optimizer)
            progress.begin(stage, rate)
            place = self._fit_stage(model, progress, stage.epochs - finished)
        return progress.images_per_second, place

    def _fit_stage(self, model: keras.Model, progress: Progress, epochs: int) -> Place | None:
        """Trains some epochs with what is trainable now."""
        first, last = len(self.history), len(self.history) + epochs
        parts = parts_of(model)
        with contextlib.ExitStack() as opened:
            if parts is not None and self._features_stay(parts):
                data = self.data.with_features(parts.features, self.observer, progress.stop)
                opened.enter_context(contextlib.closing(data))
                # A model around the head's layers: were the head compiled itself, its part of the whole model would
                # be where Keras saves the optimizer, and does not look for it.
                place, trained = "host", keras.Model(parts.head.inputs, parts.head.outputs, name="head_alone")
                compile_model(trained, self.config, self.device, model.optimizer)
            else:
                data = self.data
                place, trained = place_augmentations(
                    model, data, self.config, self.device, (first, last), self.observer
                )
            trained.fit(
                data.train_batches(first, last, place),
                validation_data=data.validation_batches(first, last, place) if data.validation_steps else None,
                validation_steps=data.validation_steps or None,
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=data.steps_per_epoch,
                shuffle=False,  # the pipeline has shuffled
                callbacks=[progress],
                verbose=0,
            )
        return place if data.augment else None

    def _features_stay(self, parts: Parts) -> bool:
        """Whether the features of a picture are the same in each epoch, so that they need computing only once."""
        frozen = not parts.features.trainable_weights
        return frozen and self.data.augment is None and self.config.cache != "none"

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
