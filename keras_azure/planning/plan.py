"""The plan of a run: memory, time and money, for one machine or for several side by side."""

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keras_azure.augmentations import build_augment
from keras_azure.backends.machine import Machine, Price
from keras_azure.data import Dataset, TaskName
from keras_azure.data.overview import open_and_describe, tell_absent_classes
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.planning.cost import START_MINUTES, Range, run_cost
from keras_azure.planning.input import InputCost, input_cost
from keras_azure.planning.machines import usable_memory
from keras_azure.planning.memory import chapter_rule
from keras_azure.planning.speed import StepTime, gpu_step, input_time, longest, step_here
from keras_azure.planning.work import Phase, Work, work_of
from keras_azure.training.compiling import check_options
from keras_azure.training.data import DataFacts, facts_of, sizes_of_parts

_ADVICE = {
    "compute": "--precision mixed_float16, which tensor cores compute several times as fast; or a faster GPU",
    "memory": "--precision mixed_float16, which halves what moves; or a GPU with more bandwidth",
    "launch": "a larger --batch-size: between small steps the GPU waits for the processor",
    "input": "--augment-on device, or a size with more vCPUs",
}
_ADVICE_IN_HALF_PRECISION = _ADVICE | {"compute": "a faster GPU", "memory": "a GPU with more bandwidth"}


@dataclass(frozen=True)
class Estimate:
    """A run on one machine.

    Attributes:
        limit: bytes of memory that it may have; None if that is not known.
        needed: bytes that it needs.
        largest_batch: that fits; 0 if none does, None if that is not known.
        step: of training; None if the machine's speed is not known, as all that follows from it.
        images_per_second: in training.
        seconds: from the first picture to the test.
        usd, price: what it costs, from the node's start to its end, and what that rests on; None if no price is known.
        advice: what to change, and to what.
    """

    machine: Machine
    limit: int | None
    needed: int
    largest_batch: int | None
    step: StepTime | None
    images_per_second: Range | None
    seconds: Range | None
    usd: Range | None
    price: Price | None
    advice: str

    @property
    def fits(self) -> bool | None:
        """Whether there is memory enough; None if that is not known."""
        return None if self.limit is None else self.needed <= self.limit

    def to_json(self) -> dict[str, Any]:
        machine = self.machine
        return {
            "backend": machine.backend,
            "here": machine.here,
            "size": machine.name,
            "gpu": machine.gpu,
            "gpu_count": None if machine.gpu_count is None else float(machine.gpu_count),
            "gpu_memory_gb": machine.gpu_memory_gb,
            "nodes": self.machine.nodes,
            "spot": self.machine.spot,
            "fits": self.fits,
            "memory_limit": self.limit,
            "memory_needed": self.needed,
            "largest_batch": self.largest_batch,
            "bound": self.step.bound if self.step else None,
            "step_seconds": _pair(self.step.seconds if self.step else None),
            "images_per_second": _pair(self.images_per_second),
            "seconds": _pair(self.seconds),
            "usd": _pair(self.usd),
            "price": asdict(self.price) if self.price else None,
            "advice": self.advice,
            "note": self.machine.note,
        }


def plan_run(
    config: RunConfig,
    machines: Sequence[Machine],
    observer: Observer,
    *,
    facts: tuple[int, tuple[int, int, int], int] | None = None,
) -> dict[str, Any]:
    """The plan of a run, JSON-safe: what it needs, and how it would go on each machine.

    Bytes, seconds and US dollars; what is a range is a list of its low and its high end.

    Args:
        config: the run, with its names resolved.
        facts: how many training pictures there are, their shape, and the number of classes, where the data is not here.

    Raises:
        KerasAzureError: the data cannot be opened, or the model not be built.
    """
    check_options(config)
    dataset: Dataset | None = None
    if facts is None:
        dataset = open_and_describe(config, observer)
        pictures = facts_of(dataset, config)
    else:
        pictures = _imagined(config, *facts)
    observer.message("Tracing the training step")
    work = work_of(config, pictures)
    if dataset is not None and work.targets == "labels":
        tell_absent_classes(dataset, config, observer)
    observer.message("Trying what the input pipeline costs here")
    cost = input_cost(config, pictures, dataset)
    estimates = [estimate(work, config, machine, cost) for machine in machines]
    return describe(work, config, cost, estimates)


def _imagined(config: RunConfig, number: int, shape: tuple[int, int, int], classes: int) -> DataFacts:
    parts = sizes_of_parts({"train": number}, config.validation_split)
    augment = build_augment(config.augment, shape, classes)
    labels: TaskName = "classify" if config.task == "auto" else config.task
    return DataFacts(shape, tuple(map(str, range(classes))), *parts, test=0, augment=augment, task=labels)


def estimate(work: Work, config: RunConfig, machine: Machine, cost: InputCost) -> Estimate:
    """What a run needs and takes on one machine."""
    limit, needed, price = usable_memory(machine), work.largest.memory.at(work.largest.batch_size).total, machine.price
    largest = None if limit is None else _largest_batch(work, config, limit)
    fits = limit is None or needed <= limit
    step, seconds = _times(work, config, machine, cost) if fits else (None, None)
    speed = usd = None
    if step is not None:
        batch = work.training.batch_size
        speed = Range(batch / step.seconds.high, batch / step.seconds.low)
    if seconds is not None and price is not None:
        usd = run_cost(seconds, machine.nodes, price.usd_per_hour, machine.idle_minutes)
    advice = _advice(config, machine, fits, largest, step)
    return Estimate(machine, limit, needed, largest, step, speed, seconds, usd, price, advice)


def describe(work: Work, config: RunConfig, cost: InputCost, estimates: Sequence[Estimate]) -> dict[str, Any]:
    """All of a plan, JSON-safe."""
    phase, pictures = work.training, work.pictures
    memory = phase.memory.at(phase.batch_size)
    rule = chapter_rule(
        work.parameters,
        phase.batch_size,
        bytes_per_number=4 if config.precision == "float32" else 2,
        training=phase.kind == "train",
    )
    return {
        "model": config.model,
        "data": config.data,
        "precision": config.precision,
        "batch_size": phase.batch_size,
        "epochs": work.epochs,
        "pictures": {
            "image_shape": list(pictures.image_shape),
            "class_names": list(pictures.class_names),
            "train": pictures.train,
            "validation": pictures.validation,
            "test": pictures.test,
        },
        "parameters": work.parameters,
        "memory": asdict(memory) | {"total": memory.total, "chapters_rule": rule},
        "operations_per_picture": {"forward": phase.operations.forward, "backward": phase.operations.backward},
        "core_seconds_per_picture": asdict(cost),
        "machines": [each.to_json() for each in estimates],
        "start_minutes": list(START_MINUTES),
        "date": datetime.date.today().isoformat(),
        "notes": list(work.notes),
    }


def _largest_batch(work: Work, config: RunConfig, limit: int) -> int:
    """The largest batch size of the run with which all its phases fit."""
    largest = []
    for phase in work.phases:
        if phase.follows_batch_size:
            largest.append(phase.memory.largest_batch(limit))
        elif phase.memory.at(phase.batch_size).total > limit:
            return 0
    return min(largest, default=config.batch_size)


def _times(work: Work, config: RunConfig, machine: Machine, cost: InputCost) -> tuple[StepTime | None, Range | None]:
    """A step of training, and the seconds of all steps."""
    training, seconds = None, Range(0.0, 0.0)
    if cost.decoding is not None and config.cache != "none":
        # Pictures that are kept are all decoded before training begins.
        extra = max(0.0, cost.decoding - cost.augmenting)
        decoding = input_time(extra * work.pictures.total, machine)
        if decoding is None:
            return None, None
        seconds = decoding
    for phase in work.phases:
        step = _step(phase, config, machine, cost)
        if step is None:
            return None, None
        seconds += step.seconds * phase.steps
        if phase is work.training:
            training = step
    return training, seconds


def _step(phase: Phase, config: RunConfig, machine: Machine, cost: InputCost) -> StepTime | None:
    """A step behind the input pipeline, which works at the same time: on a GPU's machine beside it, else in its way."""
    each_time = cost.decoding if config.cache == "none" and cost.decoding else cost.augmenting
    made = input_time(each_time * phase.batch_size, machine) if phase.from_pipeline else Range(0.0, 0.0)
    if made is None:
        return None
    if machine.here:
        step = step_here(phase)
        return StepTime(step.seconds + made, step.bound)
    on_gpu = None if machine.needs_rocm else gpu_step(phase, machine, config.precision)
    return on_gpu and longest({on_gpu.bound: on_gpu.seconds, "input": made})


def _advice(config: RunConfig, machine: Machine, fits: bool, largest: int | None, step: StepTime | None) -> str:
    if machine.needs_rocm:
        return "TensorFlow's packages for NVIDIA do not run on it"
    float32 = config.precision == "float32"
    if not fits:
        if largest:
            return f"--batch-size {largest} fits"
        return "no batch fits: a size with more memory a GPU" + ("; or --precision mixed_float16" if float32 else "")
    if step is None:
        return "its speed is not known" if machine.is_known else ""
    return _ADVICE.get(step.bound, "") if float32 else _ADVICE_IN_HALF_PRECISION.get(step.bound, "")


def _pair(value: Range | None) -> list[float] | None:
    return None if value is None else [value.low, value.high]
