"""What `kaz bench` measures: the input, the step, and both together, with a user's own model and data."""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, Literal

import keras
import numpy as np

from keras_azure.data import Dataset, open_dataset, task_of_data
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.engines import Steps, steps_of
from keras_azure.engines.devices import Device, device_name, on_device, put
from keras_azure.engines.environment import describe_environment
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import UsageError
from keras_azure.models.parts import frozen_parts
from keras_azure.models.weights import without_weights
from keras_azure.pipeline import steps_at_once
from keras_azure.planning.operations import step_operations
from keras_azure.registry.registry import as_spec
from keras_azure.throughput.advice import advice
from keras_azure.throughput.cases import PRECISIONS, described, flops
from keras_azure.throughput.peak import measured_tflops
from keras_azure.throughput.price import price_of
from keras_azure.throughput.step import OurStep, synthetic_batches
from keras_azure.throughput.timing import Candidate, Timing, measure
from keras_azure.throughput.utilisation import Utilisation, watched
from keras_azure.training.compiling import build_model, check_options
from keras_azure.training.data import Batch, RunData, facts_of, open_data
from keras_azure.training.phases import phases
from keras_azure.training.placement import Placement, place_augmentations
from keras_azure.training.standardizing import Statistics
from keras_azure.training.tasks import Task, task_of

Part = Literal["input", "step", "run"]
_STREAM_STEPS = 1 << 20  # of a stream that is not to end while it is measured


def bench(
    part: Part, config: RunConfig, observer: Observer, *, rounds: int = 3, seconds: float = 1.0, device: Device = "auto"
) -> dict[str, Any]:
    """Measures a part of a run on this machine.

    Args:
        part: "input" is the pipeline alone; "step" the training step on made-up pictures that are on the device
            already; "run" both alone and together, as a run has them.
        config: the run, with its names resolved; nothing is trained to the end, saved or recorded.
        rounds: laps of each, in turns.
        seconds: a lap takes about so long.

    Returns:
        A report, JSON-safe. `images_per_second` is that of the part; `ceiling_images_per_second` the most that it could
        be: of the input what tf.data gives with nothing done but batching and casting, of the step what the device
        would do if it did nothing but multiply, of a run the slower one of input and step; `bound` is "input" or
        "step", whichever is slower. `measured` has each that was measured.

    Raises:
        KerasAzureError: something is wrong with the data or the model.
    """
    with contextlib.ExitStack() as opened:
        here = opened.enter_context(on_device(device))
        opened.enter_context(keras_settings(config.precision))
        check_options(config)
        data = None
        if part == "step":
            dataset = open_dataset(config.data_to_open, observer)
        else:
            data = opened.enter_context(contextlib.closing(open_data(config, observer)))
            # Full batches alone: an epoch's last one may be of a size that has to be compiled for.
            data = dataclasses.replace(data, config=dataclasses.replace(config, steps_per_epoch=data.steps_per_epoch))
            dataset = data.dataset
        model = _first_trained(config, dataset, here)
        task = task_of(model, task_of_data(dataset))
        subject = _Subject(config, model, task, dataset.image_shape, len(dataset.class_names), here, data, observer)
        candidates = subject.candidates(part)
        utilisation = Utilisation()
        with _failures(subject):
            timings = measure(
                candidates,
                rounds=rounds,
                seconds=seconds,
                told=lambda done, total: observer.advance(f"Measuring {' and '.join(candidates)}", done, total),
                around_laps=watched(here, utilisation),
            )
        measured = {name: _numbers(timing) for name, timing in timings.items()}
        precision = next(name for name, policy in PRECISIONS.items() if policy == config.precision)
        step = timings["step"].images_per_second
        operations = step_operations(model).total
        measured["step"] |= described(timings["step"], here, utilisation) | flops(step, operations, here, precision)
        if part == "step" and operations:
            measured["ceiling"] = {"images_per_second": 1e12 * measured_tflops(here, precision) / operations}
        if part == "run":
            measured["run"]["waiting_share"] = subject.waiting_share
        report = {
            "part": part,
            "model": config.model,
            "data": config.data,
            "image_shape": list(dataset.image_shape),
            "augment": list(config.augment),
            "augment_on": subject.place,
            "batch_size": config.batch_size,
            "precision": config.precision,
            "rounds": rounds,
            "seconds": seconds,
            "device": device_name(here),
            **_verdict(part, measured),
            "measured": measured,
            "environment": describe_environment(here),
        }
        report["price"] = price_of(config.backend, report["images_per_second"])
        report["next"] = advice(report, config, frozen=frozen_parts(model) is not None)
        return report


def _first_trained(config: RunConfig, dataset: Dataset, device: str) -> keras.Model:
    """What a run trains first, on images: also where it would compute the features of a frozen network only once.

    Raises:
        UsageError: nothing is trained in steps.
    """
    with without_weights():  # of which no time depends
        model = build_model(config, dataset, Statistics.made_up(dataset.image_shape[-1]))
    on_images = dataclasses.replace(config, cache="none")
    phase = next(iter(phases(on_images, model, facts_of(dataset, on_images), device)))
    if not phase.task.has_steps:
        raise UsageError(
            f"The model {as_spec(config.model).name} is not trained in steps: there is none to measure.",
            expected="a model with a training step, such as cnn, resnet50 or transfer",
        )
    return phase.model


class _Subject:
    """A model and its data, as things that make steps.

    Attributes:
        place: where augmentations are applied.
    """

    def __init__(
        self,
        config: RunConfig,
        model: keras.Model,
        task: Task,
        image_shape: tuple[int, int, int],
        num_classes: int,
        device: str,
        data: RunData | None,
        observer: Observer,
    ):
        self._task = task
        self.data = data
        self.place: Placement = "host"
        self._batch_size = config.batch_size
        self._image_shape, self._num_classes = image_shape, num_classes
        self._device = device
        self._seconds = self._waited = 0.0
        self._steps: Steps
        if data is None:
            self._steps = steps_of(model)
        else:
            self.data = data = dataclasses.replace(data, task=task)
            self.place, self._steps = place_augmentations(model, data, config, device, (0, self._epochs), observer)
        self._step = OurStep(self._steps, self._device_batch())

    def candidates(self, part: Part) -> dict[str, Candidate]:
        step = Candidate(self._step.run, self._batch_size)
        if part == "step":
            return {"step": step}
        lot = steps_at_once(self._batch_size, self._image_shape) * (os.cpu_count() or 1)
        found = {"input": Candidate(_reader(self._stream()), self._batch_size, lot=lot, one_by_one=False), "step": step}
        if part == "run":
            return {**found, "run": Candidate(self._trainer(self._stream()), self._batch_size, lot=lot)}
        from keras_azure.throughput.ceiling import ceiling  # here, as it needs TensorFlow; so does all input, so far

        plain = iter(ceiling(self._image_shape, self._num_classes, self._batch_size))
        return {**found, "ceiling": Candidate(_reader(plain), self._batch_size, one_by_one=False)}

    @property
    def waiting_share(self) -> float:
        """Of the time of the run, how much the device waited for a batch, 0..1."""
        return self._waited / self._seconds if self._seconds else 0.0

    @property
    def _epochs(self) -> int:
        return 1 + _STREAM_STEPS // self._opened.steps_per_epoch

    @property
    def _opened(self) -> RunData:
        assert self.data is not None  # it is opened for all but the step alone
        return self.data

    def _stream(self) -> Iterator[Batch]:
        return iter(self._opened.train_batches(0, self._epochs, self.place))

    def _device_batch(self) -> Any:
        """A batch on the device: made up, or the first of the data where a step has augmentations within."""
        if self.place == "device":
            first = keras.tree.map_structure(np.asarray, next(self._stream()))
            return keras.tree.map_structure(lambda values: put(values, self._device), first)
        batches = synthetic_batches(self._image_shape, self._num_classes, self._batch_size, self._device)
        return self._task.batch(*batches[0])

    def _trainer(self, stream: Iterator[Batch]) -> Callable[[int], list[float]]:
        def run(steps: int) -> list[float]:
            each: list[float] = []
            while len(each) < steps:
                done = self._steps.run(stream, steps - len(each))
                each += done.seconds.tolist()
                self._waited += done.waited
            self._seconds += sum(each)
            return each

        return run


def _reader(stream: Iterator[Batch]) -> Callable[[int], None]:
    def run(steps: int) -> None:
        for _ in itertools.islice(stream, steps):
            pass

    return run


def _numbers(timing: Timing) -> dict[str, Any]:
    return {
        "images_per_second": timing.images_per_second,
        "rates": timing.rates,
        "first_step_seconds": timing.first_seconds,
    }


def _verdict(part: Part, measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    rates = {name: numbers["images_per_second"] for name, numbers in measured.items()}
    bound = "input" if rates.get("input", float("inf")) < rates["step"] else "step"
    ceiling = min(rates["input"], rates["step"]) if part == "run" else rates.get("ceiling")
    return {
        "bound": bound,
        "images_per_second": rates[part],
        "ceiling_images_per_second": ceiling,
        "share_of_ceiling": rates[part] / ceiling if ceiling else None,
    }


@contextlib.contextmanager
def _failures(subject: _Subject) -> Iterator[None]:
    """Turns what an engine raises because of a picture into the picture's own error."""
    try:
        yield
    except Exception:
        if subject.data is not None and subject.data.failure is not None:
            raise subject.data.failure from None
        raise
